//! What was collected on the source node, reduced to what the ranking needs. Bounded by what was put in: each log keeps its best
//! series only.

use super::container::Container;
use super::digest::{Digested, Series};
use super::matching::{Match, Matcher};
use super::timetable::{Kept, Timetable};
use crate::audit::Facts;
use crate::time::Time;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// When a file on the node was changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileTime {
    pub path: String,
    pub mtime: Time,
    /// Of the inode: cannot be set by hand.
    pub ctime: Option<Time>,
    pub birth: Option<Time>,
    pub size: u64,
}

/// A process that ran when the node was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    pub pid: u32,
    pub ppid: u32,
    pub started: Option<Time>,
    pub argv: Vec<String>,
    pub exe: String,
    /// The container's id, from its cgroup.
    pub container: Option<String>,
}

/// A line of a crontab, a timer's unit or the like, as it was on the node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// `/etc/cron.d/sync:3`
    pub place: String,
    pub text: String,
}

/// What a series of log lines has in common.
#[derive(Clone, Debug, PartialEq)]
pub enum Topic {
    /// Lines of one kind.
    Kind,
    /// Lines that mention this address.
    Addr(IpAddr),
    /// Lines that name the target.
    Target,
}

/// A series that follows the logins.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub topic: Topic,
    pub sample: String,
    /// Lines of the series in the time looked at.
    pub lines: u64,
    pub fit: Match,
    /// Chance of such a match anywhere in this log, as a natural logarithm.
    pub ln_chance: f64,
    /// Time of the first line.
    pub first: Time,
}

/// How somebody on the node is known who is no container: it decides where to look for more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Way {
    /// A program that ran.
    #[default]
    Program,
    /// A command that was typed into a shell.
    Typed,
    /// Somebody who was let in to the node.
    Visitor,
    /// An address behind the node.
    Address,
}

/// Who wrote a log.
#[derive(Clone, Debug, PartialEq)]
pub enum Owner {
    /// Id of a container.
    Container(String),
    /// The node itself: syslog, the journal. Each kind of line may be another program's.
    Node,
    /// Somebody who is no container and of whom other logs speak: a user, a process, an address behind the node.
    Other(String, Way),
}

/// What is kept of one log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFacts {
    pub name: String,
    pub owner: Owner,
    pub first: Option<Time>,
    pub last: Option<Time>,
    pub lines: u64,
    /// Lines within the time looked at.
    pub lines_within: u64,
    /// Lines that name the target, and one of them.
    pub names_target: u64,
    pub names_sample: String,
    /// Best first.
    pub found: Vec<Found>,
    /// What the node's own daemons started by a timetable that the logins keep to: a line that says so, and how well. A series of
    /// times says nothing where both keep to the clock.
    pub started: Vec<(String, Kept)>,
    /// Addresses mentioned, with the number of lines, most first.
    pub addrs: Vec<(IpAddr, u64)>,
}

/// Series kept of one log, and of the node's own.
const FOUND: usize = 4;
const FOUND_OF_NODE: usize = 64;

/// What a daemon or sudo says that it ran: `CRON: (root) CMD (/usr/local/bin/x)`, cronie's `CMDEND (x)`, busybox's `USER root pid 7 cmd x`,
/// anacron's ``Job `x' started``, `sudo: ops : … COMMAND=/usr/bin/x`.
pub fn ran(sample: &str) -> Option<&str> {
    let (program, message) = sample.split_once(": ")?;
    let after = |key: &str| {
        message
            .find(key)
            .and_then(|at| message.get(at + key.len()..))
    };
    let command = match program {
        "sudo" | "doas" => after("COMMAND=")?,
        "anacron" | "fcron" => after("Job `")
            .or(after("Job "))?
            .split(['\'', ' '])
            .next()?,
        _ if message.starts_with("USER ") || message.contains(" USER ") => {
            after(" cmd ").or(after(" job "))?
        }
        _ => {
            let inner = after(" CMD (").or(after(" CMDEND ("))?;
            inner.strip_suffix(')').unwrap_or(inner)
        }
    };
    Some(command.trim()).filter(|c| !c.is_empty())
}

fn starts_something(sample: &str) -> bool {
    ran(sample).is_some()
        || ["systemd: Starting ", "systemd: Started "]
            .iter()
            .any(|s| sample.starts_with(s))
}

impl LogFacts {
    /// Compares every series of a log with the logins (`events`: UTC microseconds, sorted).
    pub fn study(
        name: &str,
        owner: Owner,
        log: Digested,
        events: &[i64],
        matcher: &mut Matcher,
    ) -> LogFacts {
        let mut found: Vec<Found> = Vec::new();
        let mut tried = 0u32;
        let mut look = |topic: Topic, series: &Series| {
            if series.times.len() < 2 {
                return;
            }
            tried += 1;
            if let Some(fit) = matcher.best(events, &series.times)
                && fit.ln_chance < -1.0
            {
                found.push(Found {
                    topic,
                    sample: series.sample.clone(),
                    lines: series.lines,
                    ln_chance: fit.ln_chance,
                    first: Time(series.times.first().copied().unwrap_or(0)),
                    fit,
                });
            }
        };
        look(Topic::Target, &log.names);
        for (ip, series) in &log.addrs {
            look(Topic::Addr(*ip), series);
        }
        for series in &log.kinds {
            look(Topic::Kind, series);
        }
        if owner != Owner::Node {
            for series in &log.heads {
                look(Topic::Kind, series);
            }
        }
        // A program that says each time something else says it all at one distance.
        if owner != Owner::Node
            && let Some(best) = found
                .iter()
                .filter(|f| f.topic == Topic::Kind)
                .min_by(|a, b| a.ln_chance.total_cmp(&b.ln_chance))
            && best.fit.share() < 0.5
        {
            let at = best.fit.offset;
            let reach = 2 * best.fit.tolerance;
            let alike: Vec<&str> = found
                .iter()
                .filter(|f| f.topic == Topic::Kind && (f.fit.offset - at).abs() <= reach)
                .map(|f| f.sample.as_str())
                .collect();
            let mut union = Series::default();
            let mut kinds = 0;
            for series in log
                .kinds
                .iter()
                .filter(|s| alike.contains(&s.sample.as_str()))
            {
                kinds += 1;
                union.lines += series.lines;
                union.times.extend(&series.times);
                if union.sample.is_empty() {
                    union.sample.clone_from(&series.sample);
                }
            }
            union.times.sort_unstable();
            if kinds > 1
                && let Some(fit) = matcher.best(events, &union.times)
                && fit.ln_chance < -1.0
            {
                tried += kinds;
                found.push(Found {
                    topic: Topic::Kind,
                    sample: union.sample,
                    lines: union.lines,
                    ln_chance: fit.ln_chance,
                    first: Time(union.times.first().copied().unwrap_or(0)),
                    fit,
                });
            }
        }
        let mut started = Vec::new();
        if owner == Owner::Node {
            for series in log.kinds.iter().filter(|s| starts_something(&s.sample)) {
                let known = found.iter().any(|f| f.sample == series.sample);
                if let Some(kept) = Timetable::seen(&series.times, events)
                    && !known
                    && started.len() < FOUND_OF_NODE
                {
                    started.push((series.sample.clone(), kept));
                }
            }
        }
        for f in &mut found {
            f.ln_chance = (f.ln_chance + f64::from(tried.max(1)).ln()).min(0.0);
        }
        found.sort_by(|a, b| a.ln_chance.total_cmp(&b.ln_chance));
        found.truncate(match owner {
            Owner::Node => FOUND_OF_NODE,
            Owner::Container(_) | Owner::Other(..) => FOUND,
        });
        LogFacts {
            name: name.to_owned(),
            owner,
            first: log.first,
            last: log.last,
            lines: log.lines,
            lines_within: log.lines_within,
            names_target: log.names.lines,
            names_sample: log.names.sample,
            found,
            started,
            addrs: log
                .addrs
                .iter()
                .take(64)
                .map(|(ip, s)| (*ip, s.lines))
                .collect(),
        }
    }
}

/// Everything from the node.
#[derive(Debug, Default)]
pub struct Evidence {
    pub containers: Vec<Container>,
    pub logs: Vec<LogFacts>,
    pub audit: Option<Facts>,
    /// Name of the audit log, for evidence.
    pub audit_name: String,
    pub files: Vec<FileTime>,
    pub running: Vec<Running>,
    pub schedules: Vec<Schedule>,
    /// Lines of scripts.
    pub scripts: Vec<Schedule>,
    /// Lines that people typed into their shells.
    pub typed: Vec<Schedule>,
    /// Names of the node's accounts by number.
    pub accounts: BTreeMap<u32, String>,
    /// The node's own addresses.
    pub addrs: Vec<IpAddr>,
    /// Seconds that the node's clock was ahead of true time when it was collected, where it knew.
    pub clock_ahead: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_run_is_read_from_whoever_ran_it() {
        for (sample, command) in [
            (
                "CRON: (ops) CMD (/opt/x.sh -q (all))",
                Some("/opt/x.sh -q (all)"),
            ),
            ("CROND: (ops) CMDEND (/opt/x.sh)", Some("/opt/x.sh")),
            (
                "crond: USER root pid 77 cmd /opt/x.sh -q",
                Some("/opt/x.sh -q"),
            ),
            (
                "crond: FILE /var/spool/cron/root USER root PID 5 job sys-hourly",
                Some("sys-hourly"),
            ),
            ("anacron: Job `cron.daily' started", Some("cron.daily")),
            (
                "fcron: Job /opt/x.sh started for user root (pid 1)",
                Some("/opt/x.sh"),
            ),
            (
                "sudo:   ops : PWD=/srv ; USER=root ; COMMAND=/usr/bin/rsync -a /x h:/y",
                Some("/usr/bin/rsync -a /x h:/y"),
            ),
            ("CROND: (ops) CMDOUT (ssh: refused)", None),
            (
                "CRON: pam_unix(cron:session): session opened for user ops",
                None,
            ),
            ("app: the command CMD failed", None),
            (
                "sudo: pam_unix(sudo:session): session closed for user root",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(ran(sample), command, "{sample}");
        }
    }
}
