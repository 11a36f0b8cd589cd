//! Who made the logins: every container and host process as a hypothesis, weighed by what speaks for and against it.
//!
//! Scores are natural logarithms of odds against the hypothesis that whoever did it is not in the evidence at all. A chance p of a
//! match counts as the Sellke–Bayarri bound allows, `-ln(-e p ln p)`, less [`CAUTION`]: a p-value overstates what it proves.
//! What many candidates have in common counts only as much as it singles out. Candidates that explain the same logins share their
//! probability; those that explain different ones do not compete (two culprits, or one that was replaced). And each kind of
//! evidence has a ceiling: who only lived at the right time is never accused.

use super::container::Container;
use super::digest::contains_word;
use super::evidence::{Evidence, Found, LogFacts, Owner, Topic};
use super::matching::{Match, Matcher, ln_tail};
use crate::audit::{Tree, facts::Connect};
use crate::finding::Evidence as Proof;
use crate::time::{DAY, HOUR, MINUTE, SECOND, Time, human_span};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Odds given away for everything that is not modelled.
const CAUTION: f64 = 3.0;
/// Probability, before anything was seen, that the culprit left no trace in what was collected.
const ABSENT: f64 = 0.25;
/// What one kind of evidence can say at most.
const MOST: f64 = 25.0;

/// Ceilings of confidence by the best kind of evidence there is.
const SEEN_CONNECTING: f64 = 0.99;
const LOG_FOLLOWS: f64 = 0.97;
const NAMES_AND_TOOLS: f64 = 0.8;
const CIRCUMSTANCES: f64 = 0.45;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuspectKind {
    Container,
    HostProcess,
}

/// Somebody who may have done it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    pub kind: SuspectKind,
    /// The container's full id.
    pub container: Option<String>,
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub command: String,
    /// 0–1
    pub confidence: f64,
    /// Seconds that its clock is ahead of the target's (its log's or the audit log's times minus the target's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset_s: Option<f64>,
    /// Seconds a day that this grows, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_drift_s_per_day: Option<f64>,
    /// How sure the offset is: the tolerance of a match in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset_within_s: Option<f64>,
    /// Chance that an innocent's times fit so well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance_match: Option<f64>,
    /// Logins that it explains, and logins that it could have shown.
    pub explains: u64,
    pub of: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Runs from where no program belongs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspicious: bool,
    pub evidence: Vec<Proof>,
    #[serde(skip)]
    pub matched: Vec<u32>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The logins, UTC microseconds, sorted; in the middle of what the log's resolution leaves open.
    pub events: Vec<i64>,
    pub source: String,
    pub target_addrs: Vec<IpAddr>,
    pub target_names: Vec<String>,
    /// sshd's port on the target.
    pub port: u16,
    /// What the target's log spans.
    pub log: Option<(Time, Time)>,
    /// Part of a second that a login's time is known to.
    pub resolution: i64,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// Most likely first; only those worth a look.
    pub suspects: Vec<Suspect>,
    /// How many were weighed.
    pub weighed: usize,
    /// Where the logins went, as far as it was found out.
    pub target: Option<IpAddr>,
    /// Logins that nobody explains.
    pub unexplained: u64,
}

struct Candidate<'a> {
    kind: SuspectKind,
    container: Option<&'a Container>,
    key: String,
    name: String,
    command: String,
    score: f64,
    ceiling: f64,
    alive: f64,
    logs: Vec<&'a LogFacts>,
    found: Option<(&'a LogFacts, &'a Found)>,
    connects: Vec<Connect>,
    exes: BTreeSet<String>,
    matched: Vec<u32>,
    covered: usize,
    fit: Option<(Match, f64)>,
    evidence: Vec<(f64, Proof)>,
    suspicious: bool,
}

impl<'a> Candidate<'a> {
    fn new(kind: SuspectKind, key: String, container: Option<&'a Container>) -> Candidate<'a> {
        let (name, command) = match container {
            Some(c) => (c.shown_name(), c.command.join(" ")),
            None => (key.clone(), key.clone()),
        };
        Candidate {
            kind,
            container,
            key,
            name,
            command,
            score: 0.0,
            ceiling: CIRCUMSTANCES,
            alive: 1.0,
            logs: Vec::new(),
            found: None,
            connects: Vec::new(),
            exes: BTreeSet::new(),
            matched: Vec::new(),
            covered: 0,
            fit: None,
            evidence: Vec::new(),
            suspicious: false,
        }
    }

    fn add(&mut self, weight: f64, ceiling: f64, source: &str, at: Option<Time>, text: String) {
        self.score += weight;
        if weight > 0.0 {
            self.ceiling = self.ceiling.max(ceiling);
        }
        self.evidence.push((
            weight,
            Proof {
                source: source.to_owned(),
                at,
                text,
            },
        ));
    }
}

/// A chance as a weight of evidence.
pub fn weight_of(ln_chance: f64) -> f64 {
    let p = -ln_chance;
    if p <= 1.0 {
        return 0.0;
    }
    (p - 1.0 - p.ln() - CAUTION).clamp(0.0, MOST)
}

/// `1 in 3 million`, for people.
pub fn chance_in_words(ln_chance: f64) -> String {
    let log10 = -ln_chance / std::f64::consts::LN_10;
    if log10 < 0.3 {
        "no surprise".to_owned()
    } else if log10 > 15.0 {
        "by chance less than 1 in 10^15".to_owned()
    } else if log10 >= 6.0 {
        format!("by chance 1 in 10^{}", log10.floor())
    } else {
        format!("by chance 1 in {}", 10f64.powf(log10).round())
    }
}

/// `+1 min 27.3 s`, `-0.6 s`, `+8 h 0.2 s`
pub fn signed_span(micros: i64) -> String {
    let sign = if micros < 0 { '-' } else { '+' };
    let all = micros.unsigned_abs();
    let secs = all / 1_000_000;
    let tenths = all / 100_000 % 10;
    let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (h, m) {
        (0, 0) => format!("{sign}{s}.{tenths} s"),
        (0, m) => format!("{sign}{m} min {s}.{tenths} s"),
        (h, 0) => format!("{sign}{h} h {s}.{tenths} s"),
        (h, m) => format!("{sign}{h} h {m} min {s}.{tenths} s"),
    }
}

/// Programs that speak SSH or drive those that do.
const TOOLS: [&str; 24] = [
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "sshpass",
    "autossh",
    "pssh",
    "parallel-ssh",
    "plink",
    "ansible",
    "ansible-playbook",
    "paramiko",
    "fabric",
    "fab",
    "netmiko",
    "salt-ssh",
    "rundeck",
    "awx",
    "capistrano",
    "mina",
    "rclone",
    "lftp",
    "expect",
    "dbclient",
];
/// Words that only hint at it.
const HINTS: [&str; 8] = [
    "executor",
    "remote",
    "deploy",
    "backup",
    "sync",
    "jenkins",
    "gitlab-runner",
    "orchestrat",
];

/// Daemons that start others' programs: never the culprit themselves while something below them is known.
const PARENTS: [&str; 16] = [
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

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn tool_in(text: &str) -> Option<&'static str> {
    TOOLS
        .into_iter()
        .find(|t| contains_word(text.as_bytes(), t.as_bytes()))
}

/// Where nothing that an administrator installed runs from.
pub fn odd_place(exe: &str) -> bool {
    let odd_dir = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", "/memfd:"]
        .iter()
        .any(|d| exe.starts_with(d));
    odd_dir || exe.ends_with(" (deleted)") || base(exe).starts_with('.')
}

/// Weighs everybody.
pub fn rank(q: &Question, e: &Evidence) -> Ranking {
    let mut matcher = Matcher::default();
    let mut candidates = candidates(q, e);
    let weighed = candidates.len();
    lifetimes(q, &mut candidates);
    candidates.retain(|c| c.alive > 0.0);
    let prior = ((1.0 - ABSENT) / ABSENT / (candidates.len() + 2) as f64).ln();
    for c in &mut candidates {
        c.score += prior;
        logs(q, c);
    }
    let target = audit(q, e, &mut candidates, &mut matcher);
    names(q, target, &mut candidates);
    tools(&mut candidates);
    files(q, e, &mut candidates);
    schedules(q, e, target, &mut candidates);
    conclude(q, candidates, weighed, target)
}

fn candidates<'a>(q: &Question, e: &'a Evidence) -> Vec<Candidate<'a>> {
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
fn program_name(command: &str) -> String {
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
    let snapshot: HashMap<u32, &super::evidence::Running> =
        e.running.iter().map(|r| (r.pid, r)).collect();
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
    facts: &crate::audit::Facts,
    snapshot: &HashMap<u32, &super::evidence::Running>,
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

/// Alive while it happened; created just before it began, gone just before it stopped.
fn lifetimes(q: &Question, candidates: &mut [Candidate<'_>]) {
    let (Some(first), Some(last)) = (q.events.first(), q.events.last()) else {
        return;
    };
    for c in candidates {
        let Some(container) = c.container else {
            continue;
        };
        // Clocks of the two machines differ by minutes at most while nothing else is known.
        let slack = 5 * MINUTE;
        let alive = q
            .events
            .iter()
            .filter(|t| {
                container.alive_at(Time(**t + slack)) || container.alive_at(Time(**t - slack))
            })
            .count();
        c.alive = if q.events.is_empty() {
            1.0
        } else {
            alive as f64 / q.events.len() as f64
        };
        let span = q.log.map_or(last - first, |(a, b)| b.0 - a.0).max(1);
        if let Some(born) = container.born()
            && born.0 <= first + slack
            && first - born.0 < DAY
            && q.log.is_some_and(|(a, _)| first - a.0 > DAY)
        {
            let gap = (first - born.0).max(MINUTE);
            let weight = (span as f64 / gap as f64).ln().clamp(0.0, 2.5);
            c.add(
                weight,
                CIRCUMSTANCES,
                "containers",
                Some(born),
                format!("created {} before the first login", human_span(gap)),
            );
        }
        if let Some(finished) = container.finished
            && finished.0 >= last - slack
            && finished.0 - last < 2 * DAY
            && q.log.is_some_and(|(_, b)| b.0 > finished.0 + 12 * HOUR)
        {
            let gap = (finished.0 - last).max(MINUTE);
            let weight = ((span as f64 / gap as f64).ln() - 1.5).clamp(0.0, 2.0);
            c.add(
                weight,
                CIRCUMSTANCES,
                "containers",
                Some(finished),
                format!(
                    "exited{} {} after the last login, and there was none after that",
                    container
                        .exit_code
                        .map_or(String::new(), |code| format!(" (code {code})")),
                    human_span(gap)
                ),
            );
        }
    }
}

/// Lines that follow the logins.
fn logs<'a>(q: &Question, c: &mut Candidate<'a>) {
    let of_container = c
        .logs
        .iter()
        .flat_map(|l| l.found.iter().map(|f| (*l, f)))
        .min_by(|a, b| a.1.ln_chance.total_cmp(&b.1.ln_chance));
    let Some((log, found)) = of_container.or(c.found) else {
        if c.alive < 1.0 {
            let missing = 1.0 - c.alive;
            c.score -= 8.0 * missing;
        }
        return;
    };
    let weight = weight_of(found.ln_chance);
    // Few of many is a coincidence of a part of it more often than not.
    let weight = if found.fit.share() < 0.15 {
        weight.min(4.0)
    } else {
        weight
    };
    if weight <= 0.0 {
        if c.alive < 1.0 {
            c.score -= 8.0 * (1.0 - c.alive);
        }
        return;
    }
    let fit = &found.fit;
    let what = match &found.topic {
        Topic::Kind => "lines like".to_owned(),
        Topic::Addr(ip) => format!("lines that mention {ip}, like"),
        Topic::Target => "lines that name the target, like".to_owned(),
    };
    let text = format!(
        "{} of {} logins have {what} {:?} at {} (±{:.1} s){}; {} of these lines in that time; {}",
        fit.matched.len(),
        fit.covered,
        found.sample,
        signed_span(fit.offset),
        fit.tolerance as f64 / SECOND as f64,
        if fit.drift.abs() > 100_000.0 {
            format!(", drifting {:+.1} s a day", fit.drift / SECOND as f64)
        } else {
            String::new()
        },
        fit.lines,
        chance_in_words(found.ln_chance),
    );
    let first = found.first;
    c.matched = fit.matched.clone();
    c.covered = fit.covered;
    c.fit = Some((fit.clone(), found.ln_chance));
    c.found = Some((log, found));
    c.add(weight, LOG_FOLLOWS, &log.name, Some(first), text);
    // Logins before its log began or after it ended are nobody's fault (rotated away); those before it was created are.
    if c.alive < 0.5 && fit.matched.len() * 2 < (c.alive * q.events.len() as f64) as usize {
        c.score -= 2.0;
    }
}

/// Connects seen by the kernel. Returns where the logins went.
fn audit(
    q: &Question,
    e: &Evidence,
    candidates: &mut [Candidate<'_>],
    matcher: &mut Matcher,
) -> Option<IpAddr> {
    let known = q.target_addrs.first().copied();
    let facts = e.audit.as_ref()?;
    let (from, until) = facts.span?;
    let slack = HOUR;
    let covered: Vec<u32> = (0..q.events.len() as u32)
        .filter(|i| {
            q.events
                .get(*i as usize)
                .is_some_and(|t| *t >= from.0 - slack && *t <= until.0 + slack)
        })
        .collect();
    let events: Vec<i64> = covered
        .iter()
        .filter_map(|i| q.events.get(*i as usize).copied())
        .collect();
    let destination = |c: &Connect| facts.destinations.get(c.to as usize).copied();
    let ssh = |c: &Connect| {
        destination(c).is_some_and(|(ip, port)| {
            if q.target_addrs.is_empty() {
                port == q.port
            } else {
                q.target_addrs.contains(&ip)
            }
        })
    };
    let bin = |t: i64| t.div_euclid(10 * MINUTE);
    let event_bins: BTreeSet<i64> = events.iter().map(|t| bin(*t)).collect();
    let near = |t: i64| (-1..=1).any(|d| event_bins.contains(&(bin(t) + d)));
    let all_bins = ((until.0 - from.0) / (10 * MINUTE) + 1).max(1) as f64;
    let speakers = candidates
        .iter()
        .filter(|c| c.connects.iter().any(|x| ssh(x) && near(x.time.0)))
        .count();
    let population = candidates.len().max(2) as f64;
    let mut target: Option<(f64, IpAddr)> = None;
    let mut followed = false;
    for c in candidates.iter_mut() {
        if c.connects.is_empty() || events.is_empty() {
            continue;
        }
        let mut by_destination: BTreeMap<(IpAddr, u16), Vec<i64>> = BTreeMap::new();
        for x in &c.connects {
            if let Some(to) = destination(x) {
                by_destination.entry(to).or_default().push(x.time.0);
            }
        }
        let tried = by_destination.len().max(1) as f64;
        let mut best: Option<(f64, (IpAddr, u16), Match)> = None;
        for (to, times) in &by_destination {
            // Of so many destinations some are met by chance: another port than sshd's has to be met often.
            let enough = if to.1 == q.port || q.target_addrs.contains(&to.0) {
                2
            } else {
                (events.len() / 8).max(4)
            };
            if times.len() < enough {
                continue;
            }
            if let Some(m) = matcher.best(&events, times) {
                let ln = (m.ln_chance
                    + if to.1 == q.port {
                        0.0
                    } else {
                        tried.ln() + 2.0
                    })
                .min(0.0);
                if best.as_ref().is_none_or(|(b, ..)| ln < *b) {
                    best = Some((ln, *to, m));
                }
            }
        }
        let spoken: Vec<i64> = c
            .connects
            .iter()
            .filter(|x| ssh(x))
            .map(|x| x.time.0)
            .collect();
        let in_time = spoken.iter().filter(|t| near(**t)).count();
        let mut exes: Vec<String> = c.exes.iter().cloned().collect();
        exes.sort_by_key(|e| !odd_place(e));
        let with = exes.first().map_or(String::new(), |e| format!(" with {e}"));
        let odd = exes.iter().any(|e| odd_place(e));
        if let Some((ln, to, fit)) = best
            && weight_of(ln) > 0.0
        {
            let text = format!(
                "connected to {} port {}{with}: {} of {} logins have a connect at {} (±{:.1} s), {} connects in all; {}",
                to.0,
                to.1,
                fit.matched.len(),
                events.len(),
                signed_span(fit.offset),
                fit.tolerance as f64 / SECOND as f64,
                fit.lines,
                chance_in_words(ln),
            );
            followed = true;
            if target.is_none_or(|(best, _)| ln < best) {
                target = Some((ln, to.0));
            }
            let matched: Vec<u32> = fit
                .matched
                .iter()
                .filter_map(|i| covered.get(*i as usize).copied())
                .collect();
            let at = c
                .connects
                .iter()
                .find(|x| destination(x) == Some(to))
                .map(|x| x.time);
            c.add(weight_of(ln), SEEN_CONNECTING, &e.audit_name, at, text);
            if matched.len() > c.matched.len() || c.fit.is_none() {
                c.covered = events.len().max(c.covered);
                c.matched = matched;
            }
            if c.fit.as_ref().is_none_or(|(_, old)| ln < *old) {
                c.fit = Some((fit, ln));
            }
        }
        if in_time > 0 {
            // Among those who spoke SSH at all, and by how well the ten-minute pieces agree (a storm is one piece).
            let bins: BTreeSet<i64> = spoken.iter().map(|t| bin(*t)).collect();
            let inside = bins.iter().filter(|b| near(**b * 10 * MINUTE)).count();
            let share = (event_bins.len() as f64 * 3.0 / all_bins).min(1.0);
            let agreement = -ln_tail(inside as f64, share * bins.len() as f64);
            let hits = event_bins
                .iter()
                .filter(|b| (-1..=1).any(|d| bins.contains(&(**b + d))))
                .count();
            let of_events = hits as f64 / event_bins.len().max(1) as f64;
            let alone = (population / speakers.max(1) as f64).ln().clamp(0.0, 5.0);
            let mut weight = (alone + (agreement * 0.5).min(4.0)) * of_events;
            if q.target_addrs.is_empty() {
                weight = weight.min(7.0);
            } else {
                weight += 2.0;
            }
            if exes.iter().any(|e| tool_in(base(e)).is_some()) {
                weight += 1.0;
            }
            let to = c
                .connects
                .iter()
                .find(|x| ssh(x) && near(x.time.0))
                .and_then(destination);
            if target.is_none()
                && let Some((ip, _)) = to
            {
                target = Some((0.0, ip));
            }
            let at = spoken.first().map(|t| Time(*t));
            let text = format!(
                "{in_time} of its {} connects to port {}{with} fall into the time of the logins; {} of {weighed} candidates spoke SSH then",
                spoken.len(),
                to.map_or(q.port, |(_, p)| p),
                speakers,
                weighed = population,
            );
            c.add(weight, SEEN_CONNECTING, &e.audit_name, at, text);
            if c.matched.is_empty() && of_events > 0.5 {
                c.covered = events.len();
                c.matched = covered
                    .iter()
                    .zip(&events)
                    .filter(|(_, t)| (-1..=1).any(|d| bins.contains(&(bin(**t) + d))))
                    .map(|(i, _)| *i)
                    .collect();
            }
            if odd {
                c.suspicious = true;
                let exe = exes.first().map_or("", |e| e.as_str());
                let text = format!("{exe} runs from where no installed program lies");
                let proof = e
                    .files
                    .iter()
                    .find(|f| !exe.is_empty() && f.path.ends_with(exe))
                    .map(|f| {
                        let before = q.events.first().map_or(0, |t| t - f.mtime.0);
                        format!(
                            "{text}; {} was written {} {} the first login",
                            f.path,
                            human_span(before.abs()),
                            if before >= 0 { "before" } else { "after" }
                        )
                    });
                let weight = if proof.is_some() { 4.0 } else { 3.0 };
                c.add(
                    weight,
                    SEEN_CONNECTING,
                    "files",
                    None,
                    proof.unwrap_or(text),
                );
            }
        }
    }
    // The kernel saw who connected, and it was somebody else.
    if followed && covered.len() >= 3 {
        for c in candidates.iter_mut() {
            let connected = c.connects.iter().any(|x| ssh(x) && near(x.time.0));
            let seen = c
                .evidence
                .iter()
                .any(|(w, p)| *w > 0.0 && p.source == e.audit_name);
            if !connected && !seen {
                c.add(
                    -8.0,
                    0.0,
                    &e.audit_name,
                    None,
                    format!(
                        "made no connect at any of the {} logins that the audit log covers",
                        covered.len()
                    ),
                );
            }
        }
    }
    known.or(target.map(|(_, ip)| ip))
}

/// Names the target: in its command, its labels, its log. What many do singles nobody out.
fn names(q: &Question, target: Option<IpAddr>, candidates: &mut [Candidate<'_>]) {
    let mut texts: Vec<String> = q.target_addrs.iter().map(IpAddr::to_string).collect();
    if let Some(t) = target {
        texts.push(t.to_string());
    }
    let hosts: Vec<&String> = q.target_names.iter().filter(|n| n.len() >= 3).collect();
    let addr_in = |text: &str| {
        texts
            .iter()
            .find(|t| contains_word(text.as_bytes(), t.as_bytes()))
            .cloned()
    };
    let host_in = |text: &str| {
        hosts
            .iter()
            .find(|n| contains_word(text.as_bytes(), n.as_bytes()))
            .map(|n| (*n).clone())
    };
    let about = |c: &Candidate<'_>| {
        let mut all = c.command.clone();
        if let Some(container) = c.container {
            for (k, v) in &container.labels {
                all.push(' ');
                all.push_str(k);
                all.push(' ');
                all.push_str(v);
            }
        }
        all
    };
    let in_command: Vec<Option<String>> = candidates
        .iter()
        .map(|c| {
            let text = about(c);
            addr_in(&text).or_else(|| host_in(&text))
        })
        .collect();
    let in_log: Vec<Option<(String, u64, String)>> = candidates
        .iter()
        .map(|c| {
            c.logs.iter().find_map(|l| {
                let by_addr = target
                    .iter()
                    .chain(&q.target_addrs)
                    .find_map(|t| l.addrs.iter().find(|(ip, _)| ip == t));
                match by_addr {
                    Some((ip, n)) => Some((l.name.clone(), *n, ip.to_string())),
                    None if l.names_target > 0 => Some((
                        l.name.clone(),
                        l.names_target,
                        hosts.first().map_or(String::new(), |h| (*h).clone()),
                    )),
                    None => None,
                }
            })
        })
        .collect();
    let population = candidates.len().max(2) as f64;
    let singled = |n: usize| (population / n.max(1) as f64).ln();
    let commands = singled(in_command.iter().flatten().count());
    let logs = singled(in_log.iter().flatten().count());
    for ((c, command), log) in candidates.iter_mut().zip(in_command).zip(in_log) {
        if let Some(name) = command {
            let speaks = tool_in(&c.command).is_some();
            let weight = (2.0 + commands).min(if speaks { 6.0 } else { 4.0 });
            c.add(
                weight,
                NAMES_AND_TOOLS,
                "containers",
                None,
                format!("its command or labels name the target ({name})"),
            );
        }
        if let Some((source, n, name)) = log {
            let weight = (1.0 + logs).clamp(0.0, 3.0);
            c.add(
                weight,
                NAMES_AND_TOOLS,
                &source,
                None,
                format!("{n} lines of its log name the target ({name})"),
            );
        }
        if let Some(container) = c.container
            && container.addrs.contains(&q.source)
        {
            c.add(
                5.0,
                NAMES_AND_TOOLS,
                "containers",
                None,
                format!("the logins come from its own address, {}", q.source),
            );
        }
    }
}

/// Runs what logs in.
fn tools(candidates: &mut [Candidate<'_>]) {
    for c in candidates {
        let image = c.container.map_or("", |k| k.image.as_str());
        let text = format!("{} {} {}", c.name, image, c.command);
        if let Some(tool) = tool_in(&c.command).or_else(|| tool_in(image)) {
            c.add(
                2.5,
                NAMES_AND_TOOLS,
                "containers",
                None,
                format!("runs {tool}"),
            );
        } else if let Some(hint) = HINTS.into_iter().find(|h| text.contains(h)) {
            c.add(
                0.5,
                CIRCUMSTANCES,
                "containers",
                None,
                format!("its name or command says {hint:?}"),
            );
        }
    }
}

/// Files that make something run by itself.
pub fn starts_things(path: &str) -> bool {
    [
        "/etc/cron",
        "/var/spool/cron/",
        "/var/spool/at/",
        "/var/spool/cron/atjobs/",
        "/etc/systemd/system/",
        "/usr/lib/systemd/system/",
        "/lib/systemd/system/",
        "/etc/init.d/",
        "/etc/rc",
        "/etc/anacrontab",
        "/etc/kubernetes/manifests/",
    ]
    .iter()
    .any(|p| path.starts_with(p))
        || path.contains("/.config/systemd/")
        || path.contains("/.ssh/")
}

/// Files changed shortly before it began: those that a suspect runs, and those that start things.
fn files(q: &Question, e: &Evidence, candidates: &mut Vec<Candidate<'_>>) {
    let Some(first) = q.events.first() else {
        return;
    };
    let recent =
        |f: &&super::evidence::FileTime| f.mtime.0 <= first + MINUTE && first - f.mtime.0 < 2 * DAY;
    let mut told: BTreeSet<String> = BTreeSet::new();
    for c in candidates.iter_mut() {
        if c.kind != SuspectKind::HostProcess {
            continue;
        }
        let hit = e.files.iter().filter(recent).find(|f| {
            contains_word(c.command.as_bytes(), f.path.as_bytes())
                && !PARENTS.contains(&base(&f.path))
        });
        if let Some(f) = hit {
            told.insert(f.path.clone());
            c.add(
                2.0,
                CIRCUMSTANCES,
                "files",
                Some(f.mtime),
                format!(
                    "{} was written {} before the first login",
                    f.path,
                    human_span(first - f.mtime.0)
                ),
            );
        }
    }
    // What starts things and was written just before: named even where nobody saw it run, without accusing it.
    let starters: Vec<&super::evidence::FileTime> = e
        .files
        .iter()
        .filter(recent)
        .filter(|f| starts_things(&f.path))
        .take(8)
        .collect();
    for f in starters {
        let stem = base(&f.path).split('.').next().unwrap_or_default();
        let text = format!(
            "{} was written {} before the first login",
            f.path,
            human_span(first - f.mtime.0)
        );
        let known = candidates.iter_mut().find(|c| {
            c.kind == SuspectKind::HostProcess
                && c.fit.is_some()
                && stem.len() >= 3
                && c.command.contains(stem)
        });
        match known {
            Some(c) => c.add(1.5, CIRCUMSTANCES, "files", Some(f.mtime), text),
            None => {
                let mut c = Candidate::new(SuspectKind::HostProcess, f.path.clone(), None);
                c.name = base(&f.path).to_owned();
                c.score = ((1.0 - ABSENT) / ABSENT / 8.0).ln();
                c.add(1.0, CIRCUMSTANCES, "files", Some(f.mtime), text);
                candidates.push(c);
            }
        }
    }
}

/// Crontabs and units that were collected: their text may name the target or a tool.
fn schedules(
    q: &Question,
    e: &Evidence,
    target: Option<IpAddr>,
    candidates: &mut Vec<Candidate<'_>>,
) {
    let mut needles: Vec<String> = q.target_addrs.iter().map(IpAddr::to_string).collect();
    needles.extend(target.map(|t| t.to_string()));
    needles.extend(q.target_names.iter().filter(|n| n.len() >= 3).cloned());
    for s in e.schedules.iter().take(100_000) {
        let named = needles
            .iter()
            .find(|n| contains_word(s.text.as_bytes(), n.as_bytes()));
        let tool = tool_in(&s.text);
        let known = candidates.iter_mut().find(|c| {
            c.kind == SuspectKind::HostProcess
                && c.fit.is_some()
                && c.name.len() >= 3
                && s.text.contains(c.name.as_str())
        });
        let what = format!("started by {}: {:?}", s.place, s.text);
        if let Some(c) = known {
            c.add(1.0, CIRCUMSTANCES, &s.place, None, what);
        } else if named.is_some() || (tool.is_some() && candidates.len() < 5000) {
            let mut c = Candidate::new(SuspectKind::HostProcess, s.text.clone(), None);
            c.name = program_name(&s.text);
            c.score = ((1.0 - ABSENT) / ABSENT / 8.0).ln();
            if let Some(name) = named {
                c.add(
                    2.5,
                    NAMES_AND_TOOLS,
                    &s.place,
                    None,
                    format!("{what}; names the target ({name})"),
                );
            }
            if let Some(tool) = tool {
                c.add(
                    1.5,
                    NAMES_AND_TOOLS,
                    &s.place,
                    None,
                    format!("{what}; runs {tool}"),
                );
            }
            candidates.push(c);
        }
    }
}

/// Worth showing.
const WORTH: f64 = 0.02;
const SHOWN: usize = 10;

fn overlap(a: &[u32], b: &[u32]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let set: BTreeSet<&u32> = a.iter().collect();
    b.iter().filter(|i| set.contains(i)).count() as f64 / b.len() as f64
}

fn conclude(
    q: &Question,
    mut candidates: Vec<Candidate<'_>>,
    weighed: usize,
    target: Option<IpAddr>,
) -> Ranking {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key)));
    // Slots of candidates that explain the same logins.
    let mut slots: Vec<(Vec<u32>, Vec<usize>)> = Vec::new();
    for (i, c) in candidates.iter().enumerate() {
        let apart = c.matched.len() >= 3 && c.fit.is_some();
        let place = slots
            .iter()
            .position(|(matched, _)| !apart || overlap(matched, &c.matched) >= 0.5);
        match place {
            Some(at) => {
                if let Some((_, members)) = slots.get_mut(at) {
                    members.push(i);
                }
            }
            None => slots.push((c.matched.clone(), vec![i])),
        }
    }
    let mut confidence = vec![0.0f64; candidates.len()];
    for (_, members) in &slots {
        let score = |i: &usize| candidates.get(*i).map_or(f64::MIN, |c| c.score.min(40.0));
        let top = members.iter().map(score).fold(0.0, f64::max);
        let all: f64 = (-top).exp() + members.iter().map(|i| (score(i) - top).exp()).sum::<f64>();
        for i in members {
            if let Some(place) = confidence.get_mut(*i) {
                *place = (score(i) - top).exp() / all;
            }
        }
    }
    let mut explained: BTreeSet<u32> = BTreeSet::new();
    let mut suspects: Vec<Suspect> = Vec::new();
    for (c, p) in candidates.into_iter().zip(confidence) {
        let confidence = (p.min(c.ceiling) * 1000.0).round() / 1000.0;
        if confidence < WORTH {
            continue;
        }
        if confidence > 0.5 {
            explained.extend(&c.matched);
        }
        suspects.push(suspect(q, c, confidence));
    }
    suspects.sort_by(|a, b| {
        b.confidence
            .total_cmp(&a.confidence)
            .then(b.explains.cmp(&a.explains))
            .then_with(|| a.name.cmp(&b.name))
    });
    suspects.truncate(SHOWN);
    Ranking {
        suspects,
        weighed,
        target,
        unexplained: (q.events.len() - explained.len().min(q.events.len())) as u64,
    }
}

/// Longest command shown.
const MAX_COMMAND: usize = 500;

fn suspect(q: &Question, c: Candidate<'_>, confidence: f64) -> Suspect {
    let mut evidence = c.evidence;
    evidence.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let mut proofs: Vec<Proof> = evidence.into_iter().map(|(_, p)| p).take(12).collect();
    if let Some(k) = c.container
        && k.is_described()
    {
        proofs.push(Proof {
            source: "containers".to_owned(),
            at: k.born(),
            text: format!(
                "{} {} % of the logins",
                match k.finished {
                    Some(t) => format!("lived until {t}, alive at"),
                    None => "still running, alive at".to_owned(),
                },
                (c.alive * 100.0).floor()
            ),
        });
    }
    let mut command: String = c.command.chars().take(MAX_COMMAND).collect();
    if command.len() < c.command.len() {
        command.push('…');
    }
    let fit = c.fit.as_ref().map(|(m, _)| m);
    let seconds = |micros: f64| (micros / 1000.0).round() / 1000.0;
    // Of a login's second the middle was taken; half of that is doubt.
    let within = |m: &Match| seconds(m.tolerance as f64 + q.resolution as f64 / 2.0);
    Suspect {
        kind: c.kind,
        container: c.container.map(|k| k.id.clone()),
        name: c.name,
        image: c.container.map_or(String::new(), |k| k.image.clone()),
        pod: c.container.map_or(String::new(), |k| k.pod.clone()),
        namespace: c.container.map_or(String::new(), |k| k.namespace.clone()),
        command,
        confidence,
        clock_offset_s: fit.map(|m| seconds(m.offset as f64)),
        clock_drift_s_per_day: fit
            .filter(|m| m.drift.abs() > 50_000.0)
            .map(|m| seconds(m.drift)),
        clock_offset_within_s: fit.map(within),
        chance_match: c.fit.as_ref().map(|(_, ln)| ln.exp()),
        explains: c.matched.len() as u64,
        of: c.covered as u64,
        created: c.container.and_then(Container::born),
        finished: c.container.and_then(|k| k.finished),
        exit_code: c.container.and_then(|k| k.exit_code),
        suspicious: c.suspicious,
        evidence: proofs,
        matched: c.matched,
    }
}
