//! The last lines of the log about one user or address: read from the end, so that a log of a gigabyte costs no more.
//!
//! Lines are joined to connections by address and port, else by process; what a line means is the catalogue's word.

use super::machine::Machine;
use sshwhy_core::addr::parse_ip;
use sshwhy_core::catalog::causes::{self, Gate};
use sshwhy_core::catalog::messages::Outcome;
use sshwhy_core::line::Years;
use sshwhy_core::scan::{Scanner, user_name};
use sshwhy_core::time::{Time, Zone};
use std::collections::HashMap;
use std::net::IpAddr;

/// How much of the end of each log is read.
const TAIL: u64 = 4 << 20;
/// How much where that end does not speak of the user or address: hours of a heavy attack.
const DEEP: u64 = 48 << 20;
const LONGEST_LINE: u64 = 64 << 10;
/// A log shorter than this has just been rotated: the one before is read first.
const SHORT: usize = 64 << 10;
/// Connections kept, the latest.
const CONNECTIONS: usize = 20_000;
/// Lines kept of one connection.
const LINES: usize = 60;

#[derive(Clone, Debug)]
pub struct Said {
    pub slug: &'static str,
    pub cause: &'static str,
    pub text: String,
    pub source: String,
    pub at: Option<Time>,
}

/// One connection as far as the log tells it.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    pub addr: Option<IpAddr>,
    pub user: Option<String>,
    pub lines: Vec<Said>,
    pub last: Option<Time>,
}

impl Connection {
    pub fn says(&self, part: &str) -> bool {
        self.lines.iter().any(|l| l.text.contains(part))
    }

    /// A tool that says who it is, and not somebody who wants to get in.
    pub fn is_probe(&self) -> bool {
        self.says("sshwhy") && !self.says("Accepted ")
    }
}

#[derive(Clone, Debug, Default)]
pub struct Log {
    /// In the order of their last lines.
    pub connections: Vec<Connection>,
    /// Lines of the daemon that belong to no connection: starting, stopping, limits.
    pub daemon: Vec<Said>,
    /// The last of what it complained of without naming a client.
    pub stray: Option<Said>,
    /// When it last said anything.
    pub last: Option<Time>,
    /// What was read, and what could not be.
    pub sources: Vec<String>,
}

/// The last two only where the first ones say nothing of sshd (SyslogFacility).
const FILES: [&str; 4] = [
    "/var/log/auth.log",
    "/var/log/secure",
    "/var/log/messages",
    "/var/log/syslog",
];

/// Who is asked about.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub user: Option<String>,
    pub from: Option<IpAddr>,
    /// Where sshd writes in syslog's place (`sshd -E`): lines without time and process.
    pub own_file: Option<String>,
}

/// Reads the tails of this machine's logs; further back where the near end does not speak of who is asked about.
pub fn read(machine: &Machine, zone: &Zone, now: Time, wanted: &Wanted) -> Log {
    let (log, cut) = once(machine, zone, now, wanted, TAIL);
    let someone = wanted.user.is_some() || wanted.from.is_some();
    let none = log.attempts(wanted.user.as_deref(), wanted.from).is_empty();
    match cut && someone && none {
        true => once(machine, zone, now, wanted, DEEP).0,
        false => log,
    }
}

/// One reading of so much of the end of each log, and whether there was more.
fn once(machine: &Machine, zone: &Zone, now: Time, wanted: &Wanted, most: u64) -> (Log, bool) {
    let mut log = Log::default();
    let mut cut = false;
    let mut join = Join {
        wanted: wanted.clone(),
        ..Join::default()
    };
    let year = Years::starting(now.civil().year);
    for file in wanted.own_file.as_deref().into_iter().chain(FILES) {
        // messages repeats what the others have.
        if !join.open.is_empty() || !log.daemon.is_empty() {
            break;
        }
        let Ok(bytes) = machine.tail(file, most) else {
            continue;
        };
        // The tail begins with a whole line, so a cut one is a little shorter than what was asked for.
        cut |= bytes.len() as u64 + LONGEST_LINE > most;
        if bytes.len() < SHORT
            && let Some((older, before)) = rotated(machine, file)
        {
            log.sources.push(older.clone());
            join.read(&before, year, zone, &older, &mut log);
        }
        if !bytes.is_empty() {
            log.sources.push(file.to_owned());
            join.read(&bytes, year, zone, file, &mut log);
        }
    }
    let journal = machine.is_live()
        && (machine.exists("/run/log/journal") || machine.exists("/var/log/journal"));
    if log.sources.is_empty() && (journal || !machine.is_live()) {
        let args = [
            "-q",
            "--no-pager",
            "-o",
            "short-iso-precise",
            "-n",
            "5000",
            "-t",
            "sshd",
            "-t",
            "sshd-session",
            "-t",
            "sshd-auth",
            "-t",
            "sftp-server",
            "-t",
            "internal-sftp",
        ];
        if let Some(answer) = machine
            .ask("journalctl", "journalctl", &args)
            .filter(|a| !a.out.is_empty())
        {
            log.sources.push("journal".to_owned());
            join.read(
                answer.out.as_bytes(),
                year,
                zone,
                "journalctl -t sshd",
                &mut log,
            );
        }
    }
    log.connections = join.finish();
    // A daemon that does not come up speaks with a process number that never has a client.
    let (own, connections) = std::mem::take(&mut log.connections)
        .into_iter()
        .partition(|c: &Connection| c.addr.is_none() && c.user.is_none());
    log.connections = connections;
    let starts = |l: &Said| {
        l.cause == "service-sandboxed"
            || causes::by_slug(l.cause).is_some_and(|c| c.gate == Gate::Tcp)
    };
    let own: Vec<Connection> = own;
    let of_connections = log.connections.iter().filter_map(|c| c.last).max();
    let own = own.into_iter().flat_map(|c| c.lines);
    let (own, others): (Vec<Said>, Vec<Said>) = own.partition(starts);
    log.daemon.extend(own);
    log.daemon.sort_by_key(|l| l.at);
    let complains = |l: &&Said| ["error: ", "fatal: "].iter().any(|p| l.text.starts_with(p));
    let all = others.iter().chain(&log.daemon);
    log.stray = all.clone().filter(complains).max_by_key(|l| l.at).cloned();
    log.last = all.filter_map(|l| l.at).max().max(of_connections);
    (log, cut)
}

/// Whether root was not permitted what root is permitted: a capability was taken from sshd, or a system call is filtered.
fn kept_from(text: &str) -> bool {
    const CALLS: [&str; 6] = [
        "chroot(\"",
        "setgroups: ",
        "setgid ",
        "setuid ",
        "setresuid ",
        "initgroups: ",
    ];
    let text = text.strip_prefix("fatal: ").unwrap_or(text);
    CALLS.iter().any(|c| text.starts_with(c)) && text.contains(": Operation not permitted")
}

/// The log before this one, where it is not packed: `auth.log.1`, or `secure-20261120`.
fn rotated(machine: &Machine, file: &str) -> Option<(String, Vec<u8>)> {
    let mut dated: Vec<String> = machine
        .glob(&format!("{file}-*"))
        .into_iter()
        .filter(|f| f.ends_with(|c: char| c.is_ascii_digit()))
        .collect();
    dated.sort();
    let known = [format!("{file}.1")].into_iter().chain(dated.pop());
    known
        .filter_map(|f| {
            let bytes = machine.tail(&f, TAIL / 4).ok()?;
            (!bytes.is_empty()).then_some((f, bytes))
        })
        .next()
}

#[derive(Default)]
struct Join {
    wanted: Wanted,
    open: Vec<Connection>,
    by_peer: HashMap<(IpAddr, u16), usize>,
    by_pid: HashMap<u32, usize>,
    /// Processes that speak for nobody in particular.
    listeners: Vec<u32>,
    /// Lines without process and address: they belong to the connection that is named next.
    waiting: Vec<Said>,
}

impl Join {
    fn read(&mut self, bytes: &[u8], years: Years, zone: &Zone, source: &str, log: &mut Log) {
        let mut scanner = Scanner::default();
        scanner.lines(bytes, years, zone, |_, seen| {
            let line = &seen.line;
            let ident = line.ident;
            let sftp = matches!(ident, b"sftp-server" | b"internal-sftp");
            if !seen.is_ours() && !sftp {
                return;
            }
            let text = String::from_utf8_lossy(line.message).into_owned();
            let (mut slug, mut cause, mut outcome) = ("unknown", "", Outcome::Info);
            let (mut addr, mut port, mut user) = (None, None, None);
            if let Some(e) = &seen.event {
                let m = e.message();
                (slug, cause, outcome) = (m.slug, m.cause, m.outcome);
                addr = e.addr().and_then(parse_ip);
                port = e.port();
                user = e.user().map(user_name).filter(|u| !u.is_empty());
            }
            if sftp && text.contains("No space left on device") {
                (slug, cause) = ("sftp-no-space", "disk-full");
            }
            if kept_from(&text) {
                cause = "service-sandboxed";
            }
            if causes::by_slug(cause).is_some_and(|c| c.gate == Gate::Tcp) {
                // The daemon about itself: the address in it is its own.
                (addr, port, user) = (None, None, None);
            }
            let said = Said {
                slug,
                cause,
                text,
                source: source.to_owned(),
                at: line.time,
            };
            let pid = line.pid.unwrap_or(0);
            let of_listener = matches!(outcome, Outcome::Throttled)
                || slug.starts_with("server-listening")
                || said.text.starts_with("Server listening");
            if of_listener && pid != 0 && !self.listeners.contains(&pid) {
                self.listeners.push(pid);
            }
            let of_somebody = causes::by_slug(cause).is_some_and(|c| c.gate > Gate::Ident);
            if pid == 0 && addr.is_none() && of_somebody {
                if self.waiting.len() < LINES {
                    self.waiting.push(said);
                }
                return;
            }
            let index = match (addr, port) {
                (Some(a), Some(p)) => {
                    let known = self.by_peer.get(&(a, p)).copied();
                    let mine = (pid != 0 && !self.listeners.contains(&pid))
                        .then(|| self.by_pid.get(&pid).copied())
                        .flatten();
                    // What a process said before it named the connection that it serves.
                    if let (Some(i), Some(j)) = (known, mine) {
                        self.merge(i, j);
                    }
                    let unclaimed = mine.filter(|i| {
                        self.open
                            .get(*i)
                            .is_some_and(|c| c.addr.is_none_or(|x| x == a))
                    });
                    Some(known.or(unclaimed).unwrap_or_else(|| self.new_connection()))
                }
                _ if pid != 0 && !self.listeners.contains(&pid) => {
                    let known = self.by_pid.get(&pid).copied();
                    // A module of PAM speaks about a login even in words that are not known.
                    let module = said.text.starts_with("pam_");
                    let about =
                        addr.is_some() || user.is_some() || !cause.is_empty() || sftp || module;
                    match known {
                        Some(i) => Some(i),
                        None if about => Some(self.new_connection()),
                        None => None,
                    }
                }
                _ => None,
            };
            let Some(i) = index else {
                log.daemon.push(said);
                if log.daemon.len() > 4000 {
                    log.daemon.drain(..2000);
                }
                return;
            };
            if let (Some(a), Some(p)) = (addr, port) {
                self.by_peer.insert((a, p), i);
            }
            if pid != 0 && !self.listeners.contains(&pid) {
                self.by_pid.insert(pid, i);
            }
            if let Some(c) = self.open.get_mut(i) {
                c.addr = c.addr.or(addr);
                if user.is_some() && (c.user.is_none() || slug.starts_with("accepted")) {
                    c.user = user;
                }
                c.last = c.last.max(said.at);
                if pid == 0 {
                    c.lines.append(&mut self.waiting);
                }
                if c.lines.len() < LINES {
                    c.lines.push(said);
                }
            }
        });
    }

    /// Gives the lines of a connection without a peer to the one whose process it turned out to be.
    fn merge(&mut self, to: usize, from: usize) {
        let orphan = |c: &&mut Connection| c.addr.is_none() && to != from;
        let Some(from) = self.open.get_mut(from).filter(orphan) else {
            return;
        };
        let lines = std::mem::take(&mut from.lines);
        from.user = None;
        if let Some(c) = self.open.get_mut(to) {
            let room = LINES.saturating_sub(c.lines.len());
            c.lines.extend(lines.into_iter().take(room));
        }
    }

    fn new_connection(&mut self) -> usize {
        if self.open.len() >= CONNECTIONS {
            // The oldest half goes, but for whom this is about; what pointed there starts anew.
            let wanted = &self.wanted;
            let old: Vec<Connection> = self.open.drain(..CONNECTIONS / 2).collect();
            let asked = |c: &Connection| {
                wanted.from.is_some() && c.addr == wanted.from
                    || wanted.user.is_some() && c.user == wanted.user
            };
            let kept = old.into_iter().rev().filter(asked).take(CONNECTIONS / 10);
            let mut kept: Vec<Connection> = kept.collect();
            kept.reverse();
            self.open.splice(..0, kept);
            self.by_peer.clear();
            self.by_pid.clear();
        }
        self.open.push(Connection::default());
        self.open.len() - 1
    }

    fn finish(self) -> Vec<Connection> {
        let mut all = self.open;
        // Stable: connections without times keep the order of the log.
        all.sort_by_key(|c| c.last);
        all
    }
}

impl Log {
    /// The latest connections of that user and address, newest first; probes of our own are left out.
    pub fn attempts(&self, user: Option<&str>, from: Option<IpAddr>) -> Vec<&Connection> {
        let fits = |c: &&Connection| {
            let by_user = user.is_none_or(|u| c.user.as_deref().is_none_or(|x| x == u));
            let by_addr = match (from, c.addr) {
                (Some(f), Some(a)) => a == f,
                // What PAM refuses is logged with the user's name alone.
                (Some(_), None) => user.is_some() && c.user.is_some(),
                (None, _) => true,
            };
            (from.is_some() && c.addr.is_some() || user.is_some() && c.user.is_some())
                && by_addr
                && by_user
                && !c.is_probe()
        };
        self.connections.iter().rev().filter(fits).take(8).collect()
    }

    /// The lines of the last fail2ban decision about an address, `(jail, text)`, where it was a ban.
    pub fn banned(machine: &Machine, ip: IpAddr) -> Option<(String, String)> {
        let bytes = machine.tail("/var/log/fail2ban.log", 1 << 20).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let ip = ip.to_string();
        let last = text.lines().rev().find(|l| {
            l.split_ascii_whitespace().next_back() == Some(&ip)
                && (l.contains("] Ban ") || l.contains("] Restore Ban ") || l.contains("] Unban "))
        })?;
        let jail = last.rsplit('[').next()?.split(']').next()?.to_owned();
        (!last.contains("] Unban ")).then(|| (jail, last.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_root_was_not_permitted() {
        for text in [
            "fatal: chroot(\"/run/sshd\"): Operation not permitted [preauth]",
            "fatal: setgroups: Operation not permitted [preauth]",
            "setuid 2001: Operation not permitted",
        ] {
            assert!(kept_from(text), "{text}");
        }
        for text in [
            "fatal: chroot(\"/run/sshd\"): No such file or directory",
            "error: setsid: Operation not permitted",
            "pam_limits(sshd:session): Could not set limit for 'nofile': Operation not permitted",
        ] {
            assert!(!kept_from(text), "{text}");
        }
    }
}
