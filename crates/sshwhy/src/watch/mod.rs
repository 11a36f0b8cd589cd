//! `trace arm`: records who connects to one address, until it is taken away again.
//!
//! With auditd the kernel records: two rules, printed, and loaded when asked to. Without, this program looks itself: the process
//! connector tells of every program that starts, and the kernel's list of sockets (`sock_diag`, or `/proc/net/tcp` of each network
//! namespace) of connections that are there. What it sees is written as audit records, so that one reader serves both.

mod connector;
mod process;
mod sockets;

use process::{Memory, Seen};
use sockets::{Connection, Namespaces};
use sshwhy_core::time::{Time, Zone};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Where the watcher writes; `collect` takes it from there.
pub const DEFAULT_OUT: &str = "/var/log/sshwhy-watch.log";
/// The key of our audit rules.
pub const KEY: &str = "sshwhy-trace";

/// Rules for connects to addresses of that family and for programs that start. The kernel cannot look at the port: the reader does.
pub fn rules(target: IpAddr) -> Vec<String> {
    // The length of a socket address says its family, on every kernel; sockets of IPv6 connect to addresses of IPv4 too (Java does).
    let lengths: &[u32] = if target.is_ipv4() { &[16, 28] } else { &[28] };
    let mut rules: Vec<String> = lengths
        .iter()
        .map(|n| format!("-a always,exit -F arch=b64 -S connect -F a2={n} -k {KEY}"))
        .collect();
    rules.push(format!(
        "-a always,exit -F arch=b64 -S execve -S execveat -k {KEY}"
    ));
    rules
}

/// Between two times of the day, which may span midnight.
#[derive(Clone, Debug)]
pub struct Hours {
    /// Minutes of the day.
    pub from: u32,
    pub until: u32,
    pub zone: Zone,
}

impl Hours {
    /// `16:00-20:00`
    pub fn parse(text: &str, zone: Zone) -> Result<Hours, String> {
        let bad = || format!("{text:?} is no window: give 16:00-20:00");
        let minute = |t: &str| -> Option<u32> {
            let (h, m) = t.trim().split_once(':')?;
            let (h, m): (u32, u32) = (h.parse().ok()?, m.parse().ok()?);
            (h < 24 && m < 60 || h == 24 && m == 0).then_some(h * 60 + m)
        };
        let (from, until) = text.split_once(['-', '–']).ok_or_else(bad)?;
        let (from, until) = (
            minute(from).ok_or_else(bad)?,
            minute(until).ok_or_else(bad)?,
        );
        if from == until {
            return Err(bad());
        }
        Ok(Hours { from, until, zone })
    }

    pub fn holds(&self, at: Time) -> bool {
        let civil = self.zone.civil(at);
        let minute = u32::from(civil.hour) * 60 + u32::from(civil.minute);
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

/// Set when the user or the system wants it to end.
pub fn stopped() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        else {
            return;
        };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut term), Ok(mut int)) = (
                signal(SignalKind::terminate()),
                signal(SignalKind::interrupt()),
            ) else {
                return;
            };
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        });
        flag.store(true, Ordering::SeqCst);
    });
    stop
}

/// What is watched for, and how long.
pub struct Watch {
    /// `None`: any address on this port.
    pub target: Option<IpAddr>,
    pub port: u16,
    pub hours: Option<Hours>,
    pub until: Option<Time>,
    pub most: u64,
}

impl Watch {
    fn wants(&self, to: SocketAddr) -> bool {
        to.port() == self.port && self.target.is_none_or(|t| t == to.ip())
    }
}

/// What came of it.
#[derive(Debug, Default, PartialEq)]
pub struct Watched {
    pub connections: u64,
    /// Connections that were over before their process was found.
    pub nameless: u64,
    pub full: bool,
    pub notes: Vec<String>,
}

/// Looks at most so often, at least so often, and this often where something just started that may connect.
const OFTEN: Duration = Duration::from_millis(250);
const SELDOM: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_millis(25);
/// One fortieth of one processor is all that it may take.
const SHARE: u32 = 40;
/// A connection that was not seen so long, because nobody was left in its namespace to look through, is over.
const FORGOTTEN: Duration = Duration::from_secs(120);
/// Connections remembered, so that each is written once.
const MAX_KNOWN: usize = 100_000;

/// A connection that was seen.
struct Known {
    written: bool,
    seen: Instant,
}

impl Known {
    /// Whether it is remembered after a look. Where nobody could look it may be there still: a closed connection stands for a minute,
    /// and is no new one when it is seen again.
    fn stays(&self, looked_at: bool, begin: Instant) -> bool {
        self.seen == begin || !looked_at && begin.duration_since(self.seen) < FORGOTTEN
    }
}

fn now() -> Time {
    crate::cmd::reading::now()
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches until told to stop.
pub fn run(watch: &Watch, out: &Path, stop: &AtomicBool) -> Result<Watched, String> {
    let mut file = Output::open(out, watch.most)?;
    let mut done = Watched::default();
    let memory = Arc::new(Mutex::new(Memory::default()));
    let (started, starts) = mpsc::sync_channel::<u32>(4096);
    if let Err(e) = connector::listen(Arc::clone(&memory), started) {
        done.notes.push(format!(
            "the process connector is not to be had ({e}): programs that are over within {} ms stay unseen",
            OFTEN.as_millis()
        ));
    }
    let mut namespaces = Namespaces::default();
    let mut known: HashMap<(u64, SocketAddr, SocketAddr), Known> = HashMap::new();
    let mut lost = false;
    let mut hurry_until = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        let at = now();
        if watch.until.is_some_and(|u| at >= u) || file.full {
            break;
        }
        if watch.hours.as_ref().is_some_and(|h| !h.holds(at)) {
            while starts.try_recv().is_ok() {}
            std::thread::sleep(Duration::from_millis(500));
            continue;
        }
        let begin = Instant::now();
        let mut looked_at = HashSet::new();
        for (netns, pid) in namespaces.list(std::mem::take(&mut lost)) {
            let Some(connections) = sockets::connections(pid, watch.port) else {
                lost = true;
                continue;
            };
            looked_at.insert(netns);
            for c in connections {
                if !watch.wants(c.remote) {
                    continue;
                }
                let key = (netns, c.local, c.remote);
                let room = known.len() < MAX_KNOWN;
                let first_sight = !known.contains_key(&key);
                if let Some(k) = known.get_mut(&key) {
                    k.seen = begin;
                }
                if known.get(&key).is_some_and(|k| k.written) || !room {
                    continue;
                }
                let owner = process::owner(&lock(&memory), netns, c.inode);
                // It may be on its way from a parent to its child: once more.
                let written = owner.is_some() || !first_sight || c.inode == 0;
                known.insert(
                    key,
                    Known {
                        written,
                        seen: begin,
                    },
                );
                if !written {
                    continue;
                }
                done.connections += 1;
                // Over already: what shares its network is all there is to name.
                let owner = owner.or_else(|| {
                    done.nameless += 1;
                    let host = namespaces.own == Some(netns);
                    (!host).then(|| process::look(pid)).flatten()
                });
                file.connection(at, &c, owner.as_ref(), &lock(&memory))?;
            }
        }
        known.retain(|(netns, ..), k| k.stays(looked_at.contains(netns), begin));
        let took = begin.elapsed();
        let mut wait = (took * SHARE).clamp(OFTEN, SELDOM);
        if Instant::now() < hurry_until {
            wait = SOON.max(took * 4);
        }
        if let Ok(pid) = starts.recv_timeout(wait) {
            hurry_until = Instant::now() + Duration::from_secs(1);
            namespaces.saw(pid);
            while let Ok(pid) = starts.try_recv() {
                namespaces.saw(pid);
            }
            std::thread::sleep(Duration::from_millis(5));
        } else if !matches!(starts.try_recv(), Err(mpsc::TryRecvError::Empty)) {
            // Nobody will tell of starts: only the clock wakes us.
            std::thread::sleep(wait);
        }
    }
    done.full = file.full;
    Ok(done)
}

/// The bounded file of records.
struct Output {
    file: File,
    left: u64,
    serial: u64,
    full: bool,
    /// Processes whose start was written already.
    told: HashSet<(u32, Time)>,
}

impl Output {
    fn open(path: &Path, most: u64) -> Result<Output, String> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        let size = file.metadata().map_or(0, |m| m.len());
        Ok(Output {
            file,
            left: most.saturating_sub(size),
            serial: 1,
            full: size >= most,
            told: HashSet::new(),
        })
    }

    fn connection(
        &mut self,
        at: Time,
        c: &Connection,
        owner: Option<&Seen>,
        memory: &Memory,
    ) -> Result<(), String> {
        let mut text = String::new();
        if let Some(p) = owner {
            // Ancestors first, each with the time of its own start.
            let mut line = vec![p.clone()];
            while let Some(parent) = line.last().map(|p| p.ppid).filter(|pid| *pid > 1)
                && line.len() < 32
                && let Some(seen) = memory.get(parent).or_else(|| process::look(parent))
            {
                line.push(seen);
            }
            for seen in line.iter().rev() {
                if !self.told.contains(&(seen.pid, seen.started)) {
                    self.told.insert((seen.pid, seen.started));
                    self.start(&mut text, seen);
                }
            }
            if self.told.len() > MAX_KNOWN {
                self.told.clear();
            }
        }
        let stamp = self.stamp(at);
        let _ = writeln!(
            text,
            "type=SYSCALL {stamp}: arch=c000003e syscall=42 success=yes exit=0 {}",
            fields(owner)
        );
        let _ = writeln!(text, "type=SOCKADDR {stamp}: saddr={}", sockaddr(c.remote));
        if text.len() as u64 > self.left {
            self.full = true;
            return Ok(());
        }
        self.left -= text.len() as u64;
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| format!("cannot write the record: {e}"))
    }

    fn stamp(&mut self, at: Time) -> String {
        self.serial += 1;
        format!(
            "msg=audit({}.{:03}:{})",
            at.0.div_euclid(1_000_000),
            at.0.rem_euclid(1_000_000) / 1000,
            self.serial
        )
    }

    fn start(&mut self, text: &mut String, p: &Seen) {
        let stamp = self.stamp(p.started);
        let _ = writeln!(
            text,
            "type=SYSCALL {stamp}: arch=c000003e syscall=59 success=yes exit=0 {}",
            fields(Some(p))
        );
        let _ = write!(text, "type=EXECVE {stamp}: argc={}", p.argv.len());
        for (i, a) in p.argv.iter().enumerate() {
            let _ = write!(text, " a{i}={}", encoded(a));
        }
        text.push('\n');
    }
}

fn fields(p: Option<&Seen>) -> String {
    match p {
        Some(p) => format!(
            "ppid={} pid={} auid=4294967295 uid={} comm={} container={} exe={} key=\"{KEY}\"",
            p.ppid,
            p.pid,
            p.uid,
            encoded(&p.comm),
            encoded(p.container.as_deref().unwrap_or("")),
            encoded(&p.exe)
        ),
        None => format!(
            "ppid=0 pid=0 auid=4294967295 uid=4294967295 comm=(null) exe=(null) key=\"{KEY}\""
        ),
    }
}

/// As the kernel writes what others chose: quoted, or in hex where it holds what would end the quotes.
fn encoded(text: &str) -> String {
    if text.is_empty() {
        return "(null)".to_owned();
    }
    if text.bytes().all(|b| b.is_ascii_graphic() && b != b'"') {
        return format!("\"{text}\"");
    }
    text.bytes().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02X}");
        out
    })
}

/// `struct sockaddr_in` or `sockaddr_in6`, in hex.
fn sockaddr(to: SocketAddr) -> String {
    let mut out = String::new();
    match to.ip() {
        IpAddr::V4(ip) => {
            let _ = write!(out, "0200{:04X}", to.port());
            for b in ip.octets() {
                let _ = write!(out, "{b:02X}");
            }
            out.push_str("0000000000000000");
        }
        IpAddr::V6(ip) => {
            let _ = write!(out, "0A00{:04X}00000000", to.port());
            for b in ip.octets() {
                let _ = write!(out, "{b:02X}");
            }
            out.push_str("00000000");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sshwhy_core::audit::facts::Intake;
    use sshwhy_core::audit::{Limits, Tree};

    #[test]
    fn windows_of_the_day() {
        let utc = Zone::utc();
        let at =
            |h: i64, m: i64| Time::from_secs(1_680_000_000 / 86_400 * 86_400 + h * 3600 + m * 60);
        let day = Hours::parse("16:00-20:00", utc.clone()).unwrap();
        assert!(
            day.holds(at(16, 0))
                && day.holds(at(19, 59))
                && !day.holds(at(20, 0))
                && !day.holds(at(3, 0))
        );
        let night = Hours::parse("22:30-04:00", utc.clone()).unwrap();
        assert!(
            night.holds(at(23, 0))
                && night.holds(at(3, 59))
                && !night.holds(at(4, 0))
                && !night.holds(at(22, 29))
        );
        for bad in ["", "16:00", "16:00-16:00", "25:00-26:00", "16-20", "a-b"] {
            assert!(Hours::parse(bad, utc.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = std::env::temp_dir().join(format!("sshwhy-watch-{}", std::process::id()));
        let _ = std::fs::remove_file(&dir);
        let mut out = Output::open(&dir, 1 << 20).unwrap();
        let mut memory = Memory::default();
        let seen = |pid, ppid, argv: &[&str], secs| Seen {
            pid,
            ppid,
            uid: 0,
            started: Time::from_secs(secs),
            comm: "ssh \"x".to_owned(),
            exe: "/usr/bin/ssh".to_owned(),
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            container: Some("ab".repeat(32)),
        };
        memory.put(seen(7_000_001, 1, &["/opt/run me.sh"], 90));
        let p = seen(7_000_002, 7_000_001, &["ssh", "ops@192.0.2.1"], 99);
        for (at, to) in [(100, "192.0.2.1:22"), (200, "[2001:db8::7]:22")] {
            let c = Connection {
                local: "192.0.2.9:50000".parse().unwrap(),
                remote: to.parse().unwrap(),
                inode: 1,
            };
            out.connection(Time::from_secs(at), &c, Some(&p), &memory)
                .unwrap();
        }
        let text = std::fs::read(&dir).unwrap();
        std::fs::remove_file(&dir).unwrap();
        let mut intake = Intake::new(Zone::utc(), Limits::default(), 22);
        intake.block(&text);
        let facts = intake.finish();
        assert_eq!(facts.connects.len(), 2);
        assert_eq!(facts.incomplete, 0);
        let c = facts.connects[0];
        assert_eq!(facts.texts.text(c.container), "ab".repeat(32));
        assert_eq!(facts.texts.text(c.comm), "ssh \"x");
        assert_eq!(
            facts.destinations[facts.connects[1].to as usize]
                .0
                .to_string(),
            "2001:db8::7"
        );
        let tree = Tree::new(&facts);
        assert_eq!(tree.ancestry(c.pid, c.ppid, c.time), [7_000_002, 7_000_001]);
        assert_eq!(
            facts
                .texts
                .list(tree.execution(7_000_001, c.time).unwrap().argv),
            ["/opt/run me.sh"]
        );
    }

    #[test]
    fn a_connection_is_over_only_where_somebody_looked() {
        let seen = Instant::now();
        let k = Known {
            written: true,
            seen,
        };
        let next = seen + Duration::from_secs(1);
        assert!(k.stays(true, seen));
        assert!(!k.stays(true, next));
        assert!(k.stays(false, next));
        assert!(!k.stays(false, seen + FORGOTTEN));
    }

    #[test]
    fn the_file_has_an_end() {
        let dir = std::env::temp_dir().join(format!("sshwhy-watch-full-{}", std::process::id()));
        let _ = std::fs::remove_file(&dir);
        let mut out = Output::open(&dir, 300).unwrap();
        let c = Connection {
            local: "192.0.2.9:50000".parse().unwrap(),
            remote: "192.0.2.1:22".parse().unwrap(),
            inode: 1,
        };
        for i in 0..5 {
            out.connection(Time::from_secs(i), &c, None, &Memory::default())
                .unwrap();
        }
        assert!(out.full);
        assert!(std::fs::metadata(&dir).unwrap().len() <= 300);
        std::fs::remove_file(&dir).unwrap();
    }
}
