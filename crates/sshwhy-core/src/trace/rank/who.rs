//! Who is weighed at all: every container, every program whose kind of line in the node's own logs follows the logins, and whoever
//! the audit log saw connecting, joined to its container by ancestry.

use super::super::evidence::{Evidence, Owner, Running, Topic};
use super::{Candidate, Question, SuspectKind, base, weight_of};
use crate::audit::facts::Connect;
use crate::audit::{Facts, Tree};
use crate::time::HOUR;
use std::collections::HashMap;

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
                    let command = logged_command(&found.sample);
                    // The node's own sshd and the like answer to whoever connects to the node: no sign of connecting out.
                    let mut c = Candidate::new(SuspectKind::HostProcess, command.clone(), None);
                    c.name = program_name(&command);
                    c.found = Some((log, found));
                    out.push(c);
                }
            }
        }
    }
    hosts_and_connects(q, e, &mut out, &by_id);
    out
}

/// `CRON: (root) CMD (/usr/local/bin/x)` → `/usr/local/bin/x`; otherwise the program's name and what it says.
fn logged_command(sample: &str) -> String {
    if let Some(at) = sample.find("CMD (") {
        let rest = sample.get(at + 5..).unwrap_or_default();
        return rest.strip_suffix(')').unwrap_or(rest).trim().to_owned();
    }
    sample.split(": ").next().unwrap_or(sample).to_owned()
}

/// The script or program that a command line is about: `sync-config.sh` of `/bin/sh -c /usr/local/bin/sync-config.sh`.
pub(super) fn program_name(command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let interpreter = |w: &str| {
        let b = base(w);
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
                | "perl"
                | "ruby"
                | "node"
        ) || b.starts_with("python")
    };
    words
        .iter()
        .find(|w| !interpreter(w) && !w.starts_with('-') && !w.contains('='))
        .or(words.first())
        .map_or(command, |w| base(w.trim_matches(|c| c == '\'' || c == '"')))
        .to_owned()
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
            Some(list) => list,
            None => {
                let command = host_command(&tree, facts, &snapshot, &pids, connect);
                let key = masked(&command);
                let next = out.len();
                let place = *hosts.entry(key.clone()).or_insert(next);
                if place == next {
                    let mut c = Candidate::new(SuspectKind::HostProcess, key, None);
                    c.name = program_name(&command);
                    c.command = command;
                    out.push(c);
                }
                vec![place]
            }
        };
        for i in places {
            if let Some(c) = out.get_mut(i) {
                c.connects.push(*connect);
                if ssh && c.exes.len() < 16 {
                    c.exes.insert(exe.clone());
                }
            }
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
        if argv.first().is_some_and(|a| {
            !PARENTS.contains(&base(a).trim_start_matches('-').trim_end_matches(':'))
        }) {
            return argv.join(" ");
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
pub(super) const PARENTS: [&str; 16] = [
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
