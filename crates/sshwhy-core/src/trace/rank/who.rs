//! Who is weighed at all: every container, every program whose kind of line in the node's own logs follows the logins, and whoever
//! the audit log saw connecting, joined to its container by ancestry.

use super::super::evidence::{Evidence, Owner, Running, Topic, ran};
use super::{Candidate, Question, SuspectKind, base, weight_of};
use crate::audit::facts::{Connect, TextId};
use crate::audit::{Facts, Tree};
use crate::time::HOUR;
use std::collections::{BTreeSet, HashMap};

pub(super) fn candidates<'a>(q: &Question, e: &'a Evidence) -> Vec<Candidate<'a>> {
    let mut out: Vec<Candidate<'a>> = Vec::new();
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for c in &e.containers {
        by_id.insert(c.id.as_str(), out.len());
        out.push(Candidate::new(
            SuspectKind::Container,
            c.id.clone(),
            Some(c),
        ));
    }
    // Candidates by log and program, and those of whom others speak.
    let mut said: HashMap<(&str, String), usize> = HashMap::new();
    let mut others: HashMap<&str, usize> = HashMap::new();
    for log in &e.logs {
        match &log.owner {
            Owner::Container(id) => {
                if let Some(c) = by_id.get(id.as_str()).and_then(|i| out.get_mut(*i)) {
                    c.logs.push(log);
                }
            }
            Owner::Node => {
                for found in &log.found {
                    if weight_of(found.ln_chance) <= 0.0 || found.topic != Topic::Kind {
                        continue;
                    }
                    let Some(command) = subject(&log.name, &found.sample) else {
                        continue;
                    };
                    // One program says several things about one job.
                    let name = program_name(&command);
                    let next = out.len();
                    let place = *said
                        .entry((log.name.as_str(), name.clone()))
                        .or_insert(next);
                    if place == next {
                        let mut c = Candidate::new(SuspectKind::HostProcess, command, None);
                        c.name = name;
                        out.push(c);
                    }
                    if let Some(c) = out.get_mut(place)
                        && c.found
                            .is_none_or(|(_, old)| found.ln_chance < old.ln_chance)
                    {
                        c.found = Some((log, found));
                    }
                }
            }
            Owner::Other(name, way) => {
                let next = out.len();
                let place = *others.entry(name.as_str()).or_insert(next);
                if place == next {
                    let mut c = Candidate::new(SuspectKind::HostProcess, name.clone(), None);
                    c.way = *way;
                    out.push(c);
                }
                if let Some(c) = out.get_mut(place) {
                    c.logs.push(log);
                }
            }
        }
    }
    hosts_and_connects(q, e, &mut out, &by_id);
    out
}

/// Whose line of the node's log this is: the command of `CRON: (root) CMD (/usr/local/bin/x)`, the unit that systemd writes about,
/// otherwise the program's name; where the line names no program, what it names in quotes (`spawned: 'tunnel'`, `App [feed:3] online`),
/// or the file. `None`: nobody's, since the kernel writes of what others do.
pub(super) fn subject(log: &str, sample: &str) -> Option<String> {
    if let Some(command) = ran(sample) {
        return Some(command.to_owned());
    }
    let (program, message) = sample.split_once(": ").unwrap_or((sample, ""));
    // What a job printed, and that its session began: who it is stands in other lines of the same daemon.
    if message.contains(" CMDOUT (") || message.starts_with("pam_") && message.contains(":session)")
    {
        return None;
    }
    match program {
        "kernel" => None,
        "systemd" => Some(unit_in(message).unwrap_or(program).to_owned()),
        "" => {
            let file = called(log);
            Some(match quoted(message) {
                Some(name) => format!("{name} (in the log of {file})"),
                None => file,
            })
        }
        _ => Some(program.to_owned()),
    }
}

/// Whose log a file is: `squid` of `var/log/squid/access.log.1`, `pm2` of `home/node/.pm2/pm2.log`.
fn called(log: &str) -> String {
    let mut parts = log.rsplit('/');
    let file = parts.next().unwrap_or(log);
    let stem = file
        .split('.')
        .next()
        .filter(|f| !f.is_empty())
        .unwrap_or(file);
    // Every server has logs of these names.
    let common = [
        "access", "error", "out", "output", "stdout", "stderr", "main", "current", "log",
    ];
    match parts.next().filter(|f| !f.is_empty()) {
        Some(folder) if common.contains(&stem) => folder.trim_start_matches('.').to_owned(),
        _ => stem.to_owned(),
    }
}

/// `sync` of `Starting sync.service - Copy …`: a timer and its service are one job.
fn unit_in(message: &str) -> Option<&str> {
    message.split_whitespace().find_map(|word| {
        let word = word.trim_end_matches([':', ',', '.']);
        [".service", ".timer"]
            .iter()
            .find_map(|kind| word.strip_suffix(kind))
            .filter(|unit| !unit.is_empty())
    })
}

/// Words in brackets that say how bad a line is, or who wrote it; not what it is about.
const LEVELS: [&str; 12] = [
    "info", "warn", "warning", "error", "err", "debug", "notice", "crit", "fatal", "trace", "main",
    "inf",
];

/// The first name in quotes or brackets.
fn quoted(message: &str) -> Option<&str> {
    message.char_indices().find_map(|(at, open)| {
        let close = match open {
            '\'' | '"' => open,
            '[' => ']',
            _ => return None,
        };
        let rest = message.get(at + 1..)?;
        let name = rest.get(..rest.find(close)?)?;
        let good = (3..=64).contains(&name.len())
            && !name.contains(char::is_whitespace)
            && name.contains(|c: char| c.is_ascii_alphabetic())
            && !LEVELS.contains(&name.to_ascii_lowercase().as_str());
        good.then_some(name)
    })
}

/// The script or program that a command line is about: `sync-config.sh` of `/bin/sh -c /usr/local/bin/sync-config.sh`, `run-parts` of
/// `test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }`.
pub(super) fn program_name(command: &str) -> String {
    let spaced = command.replace(';', " ; ");
    let words: Vec<&str> = spaced
        .split_whitespace()
        .map(|w| w.trim_matches(|c| matches!(c, '\'' | '"' | '(' | ')')))
        .filter(|w| !w.is_empty())
        .collect();
    // What only asks or prepares, and the rest of its part of the line.
    let prepares = |w: &str| {
        matches!(
            w,
            "test"
                | "["
                | "[["
                | "cd"
                | "true"
                | ":"
                | "set"
                | "export"
                | "umask"
                | "sleep"
                | "command"
                | "if"
                | "while"
                | "until"
                | "for"
        )
    };
    let parts = words.split(|w| matches!(*w, ";" | "&&" | "||" | "|" | "{" | "}" | "then" | "do"));
    for part in parts {
        let mut rest = part.iter().skip_while(|w| {
            launches(w) || w.starts_with('-') || w.contains('=') && !w.starts_with('/')
        });
        match rest.next() {
            Some(w) if !prepares(w) => return base(w.trim_end_matches(':')).to_owned(),
            _ => {}
        }
    }
    words
        .first()
        .map_or(command, |w| base(w.trim_end_matches(':')))
        .to_owned()
}

/// Programs that only start what stands behind them.
fn launches(word: &str) -> bool {
    let b = base(word);
    matches!(
        b,
        "sh" | "bash"
            | "dash"
            | "zsh"
            | "ksh"
            | "env"
            | "sudo"
            | "nice"
            | "ionice"
            | "timeout"
            | "flock"
            | "exec"
            | "perl"
            | "ruby"
            | "node"
    ) || b.starts_with("python")
}

/// Joins connects to whoever made them: a container by ancestry, else the topmost command that is no daemon.
fn hosts_and_connects<'a>(
    q: &Question,
    e: &'a Evidence,
    out: &mut Vec<Candidate<'a>>,
    by_id: &HashMap<&str, usize>,
) {
    let Some(facts) = &e.audit else { return };
    let tree = Tree::new(facts);
    let mut inits: HashMap<u32, Vec<usize>> = HashMap::new();
    for (i, c) in e.containers.iter().enumerate() {
        if c.pid > 1 {
            inits.entry(c.pid).or_default().push(i);
        }
    }
    let mut running: HashMap<u32, usize> = HashMap::new();
    for r in &e.running {
        if let Some(i) = r.container.as_deref().and_then(|id| by_id.get(id)) {
            running.insert(r.pid, *i);
        }
    }
    let snapshot: HashMap<u32, &Running> = e.running.iter().map(|r| (r.pid, r)).collect();
    let mut shims: HashMap<u32, Option<usize>> = HashMap::new();
    let mut hosts: HashMap<String, usize> = HashMap::new();
    let mut runs: HashMap<(TextId, TextId, u32), usize> = HashMap::new();
    let mut lives: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    let slack = HOUR;
    let (from, until) = (
        q.events
            .first()
            .map_or(i64::MIN, |t| t.saturating_sub(slack)),
        q.events
            .last()
            .map_or(i64::MAX, |t| t.saturating_add(slack)),
    );
    for connect in &facts.connects {
        let ssh = facts
            .destinations
            .get(connect.to as usize)
            .is_some_and(|(ip, port)| *port == q.port || q.target_addrs.contains(ip));
        // What happened outside of the whole story tells only about silence, and only SSH needs that.
        if !ssh && (connect.time.0 < from || connect.time.0 > until) {
            continue;
        }
        let mut pids = tree.ancestry(connect.pid, connect.ppid, connect.time);
        // Beyond the records, the snapshot may know more.
        while let Some(r) = pids.last().and_then(|p| snapshot.get(p))
            && r.ppid > 1
            && r.started.is_none_or(|s| s <= connect.time)
            && !pids.contains(&r.ppid)
            && pids.len() < 64
        {
            pids.push(r.ppid);
        }
        let named = by_id
            .get(facts.texts.text(connect.container).as_ref())
            .map(|i| vec![*i]);
        let owner = named.or_else(|| {
            pids.iter().find_map(|pid| {
                let by_init = inits.get(pid).map(|list| {
                    list.iter()
                        .copied()
                        .filter(|i| {
                            e.containers
                                .get(*i)
                                .is_some_and(|c| c.alive_at(connect.time))
                        })
                        .collect::<Vec<_>>()
                });
                match by_init.as_deref() {
                    Some([]) | None => running.get(pid).map(|i| vec![*i]).or_else(|| {
                        shims
                            .entry(*pid)
                            .or_insert_with(|| {
                                let argv = tree
                                    .execution(*pid, connect.time)
                                    .map(|p| facts.texts.list(p.argv))
                                    .or_else(|| snapshot.get(pid).map(|r| r.argv.clone()))
                                    .unwrap_or_default();
                                shim_of(&argv).and_then(|id| by_id.get(id).copied())
                            })
                            .map(|i| vec![i])
                    }),
                    Some(list) => Some(list.to_vec()),
                }
            })
        });
        let exe = facts.texts.text(connect.exe).into_owned();
        let places = match owner {
            // Containers that only the audit log knows, and that do the same to the same host one after the other, are runs of one
            // job (`docker run --rm`): each of them alone would explain one login.
            Some(list) => match list.as_slice() {
                [one] if ssh && e.containers.get(*one).is_some_and(|c| !c.is_described()) => {
                    let job = (connect.exe, connect.comm, connect.to);
                    let first = *runs.entry(job).or_insert(*one);
                    lives.entry(first).or_default().insert(*one);
                    vec![first]
                }
                _ => list,
            },
            None => {
                let command = host_command(&tree, facts, &snapshot, &pids, connect);
                let key = masked(&command);
                let name = program_name(&command);
                // The daemon's log and the kernel's may both tell of one job.
                let logged = out.iter().position(|c| {
                    c.found.is_some() && c.name == name && command.contains(c.command.as_str())
                });
                let next = out.len();
                let place = *hosts.entry(key.clone()).or_insert(logged.unwrap_or(next));
                if place == next {
                    let mut c = Candidate::new(SuspectKind::HostProcess, key, None);
                    c.name = name;
                    c.command = command;
                    out.push(c);
                }
                vec![place]
            }
        };
        for i in places {
            if let Some(c) = out.get_mut(i) {
                c.connects.push(*connect);
                if ssh && c.logins.len() < 16 {
                    c.logins.insert(connect.login);
                }
                if ssh && c.exes.len() < 16 {
                    c.exes.insert(exe.clone());
                }
            }
        }
    }
    for (first, all) in lives.iter().filter(|(_, all)| all.len() > 1) {
        if let Some(c) = out.get_mut(*first) {
            c.name = format!("{} (the first of {} runs)", c.name, all.len());
        }
    }
}

/// The container that a runtime's process serves: `containerd-shim -id ID`, `conmon -c ID`, `runc … ID`.
pub fn shim_of(argv: &[String]) -> Option<&str> {
    let program = base(argv.first()?);
    let runtime = program.starts_with("containerd-shim")
        || program.starts_with("docker-containerd-shim")
        || matches!(program, "conmon" | "runc" | "crun");
    if !runtime {
        return None;
    }
    argv.iter()
        .flat_map(|a| a.split('/'))
        .find(|a| a.len() == 64 && a.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn host_command(
    tree: &Tree<'_>,
    facts: &Facts,
    snapshot: &HashMap<u32, &Running>,
    pids: &[u32],
    connect: &Connect,
) -> String {
    for pid in pids.iter().rev() {
        let argv = tree
            .execution(*pid, connect.time)
            .map(|p| facts.texts.list(p.argv))
            .or_else(|| snapshot.get(pid).map(|r| r.argv.clone()))
            .unwrap_or_default();
        let Some(program) = argv.first() else {
            continue;
        };
        let command = argv.join(" ");
        let starts_others = |name: &str| PARENTS.contains(&name);
        if !starts_others(base(program).trim_start_matches('-').trim_end_matches(':'))
            && !starts_others(&program_name(&command))
        {
            return command;
        }
    }
    let exe = facts.texts.text(connect.exe);
    let comm = facts.texts.text(connect.comm);
    match (exe.is_empty(), comm.is_empty()) {
        (false, _) => exe.into_owned(),
        (true, false) => comm.into_owned(),
        (true, true) => "(unknown program)".to_owned(),
    }
}

/// Daemons that start others' programs: never the culprit themselves while something below them is known.
pub(super) const PARENTS: [&str; 17] = [
    "systemd",
    "init",
    "cron",
    "crond",
    "CRON",
    "atd",
    "anacron",
    "sshd",
    "containerd-shim",
    "containerd-shim-runc-v2",
    "containerd",
    "dockerd",
    "conmon",
    "runc",
    "crun",
    "supervisord",
    "run-parts",
];

/// Numbers differ from run to run.
fn masked(command: &str) -> String {
    let mut out = String::with_capacity(command.len());
    let mut digits = false;
    for c in command.chars() {
        if c.is_ascii_digit() {
            if !digits {
                out.push('#');
            }
            digits = true;
        } else {
            digits = false;
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_command_is_what_it_is_about() {
        for (command, name) in [
            ("/bin/sh -c /usr/local/bin/sync-config.sh", "sync-config.sh"),
            ("python3 /usr/bin/ansible-pull -U git@x", "ansible-pull"),
            (
                "/bin/sh -c test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }",
                "run-parts",
            ),
            ("cd /srv/app; ./bin/pull --all", "pull"),
            ("HOME=/root LANG=C /opt/x/job.sh", "job.sh"),
            ("while true; do ssh a@b df; sleep 600; done", "ssh"),
            (
                "[ -x /usr/lib/php/sessionclean ] && /usr/lib/php/sessionclean",
                "sessionclean",
            ),
            ("php-fpm: pool www", "php-fpm"),
            ("test", "test"),
            ("", ""),
        ] {
            assert_eq!(program_name(command), name, "{command}");
        }
    }

    #[test]
    fn lines_of_the_node_are_those_of_whom_they_name() {
        for (log, sample, whose) in [
            (
                "syslog",
                "CRON: (ops) CMD (/opt/x.sh -q)",
                Some("/opt/x.sh -q"),
            ),
            (
                "journal.log",
                "systemd: Starting sync.service - Copy it...",
                Some("sync"),
            ),
            (
                "journal.log",
                "systemd: sync.timer: Triggered.",
                Some("sync"),
            ),
            ("journal.log", "rsync: error (code 255)", Some("rsync")),
            (
                "syslog",
                "crond: USER root pid 7 cmd /opt/x.sh",
                Some("/opt/x.sh"),
            ),
            ("cron", "CROND: (ops) CMDOUT (refused)", None),
            (
                "auth.log",
                "CRON: pam_unix(cron:session): session opened for user ops",
                None,
            ),
            (
                "kern.log",
                "kernel: SRC=192.0.2.1 DST=192.0.2.2 DPT=22",
                None,
            ),
            (
                "log/supervisord.log",
                ": INFO spawned: 'db-tunnel' with pid 4",
                Some("db-tunnel (in the log of supervisord)"),
            ),
            (
                "home/a/.pm2/pm2.log",
                ": PM2 log: App [feed:3] online",
                Some("feed:3 (in the log of pm2)"),
            ),
            ("log/app.log", ": [INFO] pulled 5 rows", Some("app")),
            (
                "log/squid/access.log",
                ": CONNECT 192.0.2.5:22",
                Some("squid"),
            ),
        ] {
            assert_eq!(subject(log, sample).as_deref(), whose, "{sample}");
        }
    }
}
