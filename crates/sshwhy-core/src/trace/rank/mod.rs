//! Who made the logins: every container and host process as a hypothesis, weighed by what speaks for and against it.
//!
//! Scores are natural logarithms of odds against the hypothesis that whoever did it is not in the evidence at all. A chance p of a
//! match counts as the Sellke–Bayarri bound allows, `-ln(-e p ln p)`, less [`CAUTION`]: a p-value overstates what it proves.
//! What many candidates have in common counts only as much as it singles out. Candidates that explain the same logins share their
//! probability; those that explain different ones do not compete (two culprits, or one that was replaced). And each kind of
//! evidence has a ceiling: who only lived at the right time is never accused.

mod conclude;
mod kernel;
mod loops;
mod schedules;
mod signs;
mod who;

pub use signs::starts_things;
pub use who::shim_of;

use super::container::Container;
use super::digest::contains_word;
use super::evidence::{Evidence, Found, LogFacts, Way};
use super::matching::{Match, Matcher};
use crate::audit::facts::{Connect, Login};
use crate::finding::Evidence as Proof;
use crate::time::{Time, Zone};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Odds given away for everything that is not modelled.
const CAUTION: f64 = 3.0;
/// Probability, before anything was seen, that the culprit left no trace in what was collected.
const ABSENT: f64 = 0.25;
/// What one kind of evidence can say at most.
const MOST: f64 = 25.0;
/// A node has at least so many programs that could have done it, however few were collected.
const MANY: usize = 20;
/// Times that fit with less weight than this are no accusation by themselves, nor are fewer than so many.
const TELLING: f64 = 2.0;
const FEWEST: usize = 4;

/// Ceilings of confidence by the best kind of evidence there is. Only times that fit, and the source's own address, accuse (more than
/// 0.5): whoever names the target and runs ssh may do so at other hours.
const SEEN_CONNECTING: f64 = 0.99;
const LOG_FOLLOWS: f64 = 0.97;
const TIMETABLE: f64 = 0.9;
const NAMES_AND_TOOLS: f64 = 0.5;
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
    /// Seconds that are added to it from a moment on, where the clock was set or the zone changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_step_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_step_at: Option<Time>,
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
    /// As whom it ran, as far as the kernel saw: `uid 33`, `maria (uid 1007)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    pub evidence: Vec<Proof>,
    #[serde(skip)]
    pub matched: Vec<u32>,
    #[serde(skip)]
    pub way: Way,
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
    /// The zone in which the target's log was read: most likely the node's too.
    pub zone: Zone,
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
    logins: BTreeSet<Login>,
    matched: Vec<u32>,
    covered: usize,
    fit: Option<(Match, f64)>,
    evidence: Vec<(f64, Proof)>,
    suspicious: bool,
    users: Vec<String>,
    way: Way,
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
            logins: BTreeSet::new(),
            matched: Vec::new(),
            covered: 0,
            fit: None,
            evidence: Vec::new(),
            suspicious: false,
            users: Vec::new(),
            way: Way::Program,
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

/// The target's addresses, and its names as far as they are long enough to tell anything.
fn needles(q: &Question, target: Option<IpAddr>) -> Vec<String> {
    let addrs = q.target_addrs.iter().copied().chain(target);
    let names = q.target_names.iter().filter(|n| n.len() >= 3);
    addrs.map(|a| a.to_string()).chain(names.cloned()).collect()
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn tool_in(text: &str) -> Option<&'static str> {
    TOOLS
        .into_iter()
        .find(|t| contains_word(text.as_bytes(), t.as_bytes()))
}

/// Whether a command line runs a program that speaks SSH.
pub fn speaks_ssh(command: &str) -> bool {
    tool_in(command).is_some()
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
    let mut candidates = who::candidates(q, e);
    let weighed = candidates.len();
    signs::lifetimes(q, &mut candidates);
    candidates.retain(|c| c.alive > 0.0);
    let alive = candidates.len();
    let prior = ((1.0 - ABSENT) / ABSENT / candidates.len().max(MANY) as f64).ln();
    for c in &mut candidates {
        c.score += prior;
        signs::logs(q, c);
    }
    let target = kernel::audit(q, e, &mut candidates, &mut matcher);
    signs::names(q, target, &mut candidates);
    signs::tools(&mut candidates);
    signs::networks(&mut candidates);
    signs::files(q, e, &mut candidates);
    schedules::schedules(q, e, target, &mut candidates);
    loops::loops(q, e, target, &mut candidates);
    // Files and schedules bring their own.
    let weighed = weighed + candidates.len().saturating_sub(alive);
    kernel::logins(e, &mut candidates);
    conclude::conclude(q, candidates, weighed, target)
}
