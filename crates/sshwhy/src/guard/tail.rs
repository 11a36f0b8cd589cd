//! The logs that are followed: files and the journal, each with what joins its lines.

use super::config::{Config, Journal};
use crate::source::follow::{Follow, Got, Lane, Position};
use memchr::memchr;
use serde::{Deserialize, Serialize};
use sshwhy_core::ban::watch::Saved;
use sshwhy_core::ban::{Offence, Watch};
use sshwhy_core::line::{Years, yearless_month};
use sshwhy_core::scan::{Scanned, Scanner};
use sshwhy_core::time::{Time, Zone};
use sshwhy_core::transcode::Transcoder;
use sshwhy_core::transcode::export::Export;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where sshd's lines are on a machine that nobody says anything about: Debian and Ubuntu; RHEL and Fedora; OpenBSD's name.
pub const OWN: [&str; 3] = ["/var/log/auth.log", "/var/log/secure", "/var/log/authlog"];
/// Where everything is (Alpine, busybox).
const SHARED: &str = "/var/log/messages";
/// Processes whose lines are asked of the journal.
pub const COMMS: [&str; 4] = ["sshd", "sshd-session", "sshd-auth", "dropbear"];
/// A file that nothing was written to for so long is a leftover where there is a journal.
const STALE: Duration = Duration::from_secs(7 * 86_400);

/// How far a log was read, for the state file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mark {
    pub positions: Vec<Position>,
    /// Of the journal.
    pub cursor: String,
}

enum Source {
    File(Box<Follow>),
    Journal(Box<Reading>),
}

/// `journalctl -f` and what it says.
struct Reading {
    program: PathBuf,
    child: Option<Child>,
    export: Export,
    cursor: String,
    tried: Option<Instant>,
    failures: u32,
    said: Vec<String>,
}

pub struct Tail {
    pub name: String,
    source: Source,
    live: Watch,
    behind: Watch,
    /// The last block came before those that count.
    preparing: bool,
    /// Everything that was there has been read at least once.
    pub caught_up: bool,
    pub last_line: Option<Instant>,
    buf: Vec<u8>,
}

/// Whether what lies there is written by this machine alone, on a disk of which the kernel tells every change (linux/magic.h): not
/// a network's, not a program's, not a layer of others.
pub fn is_local(path: &Path) -> bool {
    const TELLING: [u64; 8] = [
        0xef53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683e, // btrfs
        0xf2f5_2010, // f2fs
        0x2fc1_2fc1, // zfs
        0xca45_1a4e, // bcachefs
        0x0102_1994, // tmpfs
        0x8584_58f6, // ramfs
    ];
    rustix::fs::statfs(path).is_ok_and(|s| TELLING.contains(&(s.f_type as u64 & 0xffff_ffff)))
}

/// Which logs this machine has, and why these.
pub fn choose(config: &Config) -> (Vec<PathBuf>, bool) {
    let mut files: Vec<PathBuf> = Vec::new();
    for pattern in &config.log.files {
        if pattern.contains(['*', '?', '[']) {
            files.extend(
                glob::glob(pattern)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter(|p| {
                        // Rotated copies belong to their log.
                        !crate::source::is_rotated(p)
                    }),
            );
        } else {
            files.push(PathBuf::from(pattern));
        }
    }
    let journal_there = Path::new("/run/systemd/journal").exists() && journalctl().is_some();
    if config.log.files.is_empty() {
        let fresh = |p: &Path| {
            std::fs::metadata(p)
                .and_then(|m| m.modified())
                .is_ok_and(|t| !journal_there || t.elapsed().is_ok_and(|e| e < STALE))
        };
        files.extend(OWN.iter().map(PathBuf::from).filter(|p| fresh(p)));
        if files.is_empty() && !journal_there {
            files.extend(Some(PathBuf::from(SHARED)).filter(|p| p.exists()));
        }
    }
    files.sort();
    files.dedup();
    // A link beside what it leads to, both of them named by one pattern: lines are counted once.
    let all = files.clone();
    files.retain(|f| {
        let real = std::fs::canonicalize(f).ok();
        real.is_none_or(|real| real == *f || !all.contains(&real))
    });
    let journal = match config.log.journal {
        Journal::Yes => true,
        Journal::No => false,
        Journal::Auto => files.is_empty() && journal_there,
    };
    (files, journal)
}

/// The same, for who walks the way from sshd to here.
pub fn followed(config: &Config) -> crate::host::logging::Followed {
    let (files, journal) = choose(config);
    crate::host::logging::Followed {
        files: files.iter().map(|f| f.display().to_string()).collect(),
        journal,
        comms: &COMMS,
    }
}

fn journalctl() -> Option<PathBuf> {
    [
        "/usr/bin/journalctl",
        "/bin/journalctl",
        "/run/current-system/sw/bin/journalctl",
    ]
    .iter()
    .map(PathBuf::from)
    .find(|p| p.exists())
}

impl Tail {
    pub fn file(
        path: &Path,
        mark: Option<Mark>,
        watch: Option<(Saved, Saved)>,
        from_the_beginning: bool,
    ) -> Tail {
        let positions = mark.map(|m| m.positions).unwrap_or_default();
        let follow = Follow::start(path, positions, from_the_beginning);
        Tail::new(
            path.display().to_string(),
            Source::File(Box::new(follow)),
            watch,
        )
    }

    pub fn journal(mark: Option<Mark>, watch: Option<(Saved, Saved)>) -> Tail {
        let reading = Reading {
            program: journalctl().unwrap_or_else(|| PathBuf::from("journalctl")),
            child: None,
            export: Export::default(),
            cursor: mark.map(|m| m.cursor).unwrap_or_default(),
            tried: None,
            failures: 0,
            said: Vec::new(),
        };
        Tail::new(
            "journal".to_owned(),
            Source::Journal(Box::new(reading)),
            watch,
        )
    }

    fn new(name: String, source: Source, watch: Option<(Saved, Saved)>) -> Tail {
        let (live, behind) = match watch {
            Some((live, behind)) => (Watch::restore(&live), Watch::restore(&behind)),
            None => (Watch::default(), Watch::default()),
        };
        Tail {
            name,
            source,
            live,
            behind,
            preparing: false,
            caught_up: false,
            last_line: None,
            buf: Vec::new(),
        }
    }

    pub fn mark(&self) -> Mark {
        match &self.source {
            Source::File(f) => Mark {
                positions: f.positions(),
                cursor: String::new(),
            },
            Source::Journal(r) => Mark {
                positions: Vec::new(),
                cursor: r.cursor.clone(),
            },
        }
    }

    pub fn watches(&self) -> (Saved, Saved) {
        (self.live.snapshot(), self.behind.snapshot())
    }

    pub fn watch(&self) -> &Watch {
        &self.live
    }

    /// Both lanes.
    pub fn sight(&self) -> sshwhy_core::ban::Sight {
        let (a, b) = (self.live.sight, self.behind.sight);
        sshwhy_core::ban::Sight {
            lines: a.lines + b.lines,
            ssh: a.ssh + b.ssh,
            unknown: a.unknown + b.unknown,
            failures: a.failures + b.failures,
            accepted: a.accepted + b.accepted,
            nameless: a.nameless + b.nameless,
            suppressed: a.suppressed + b.suppressed,
            last: a.last.max(b.last),
        }
    }

    pub fn is_open(&self) -> bool {
        match &self.source {
            Source::File(f) => f.is_open(),
            // journalctl waits for a journal that nobody writes as patiently as for any other.
            Source::Journal(r) => {
                r.child.is_some()
                    && r.failures == 0
                    && Path::new("/run/systemd/journal/socket").exists()
            }
        }
    }

    pub fn is_behind(&self) -> bool {
        matches!(&self.source, Source::File(f) if f.is_behind())
    }

    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::File(f) => Some(&f.path),
            Source::Journal(_) => None,
        }
    }

    /// What wakes us besides inotify.
    pub fn child_output(&self) -> Option<&std::process::ChildStdout> {
        match &self.source {
            Source::Journal(r) => r.child.as_ref()?.stdout.as_ref(),
            Source::File(_) => None,
        }
    }

    /// What happened to the log, to be told.
    pub fn said(&mut self) -> Vec<String> {
        match &mut self.source {
            Source::File(f) => std::mem::take(&mut f.said),
            Source::Journal(r) => std::mem::take(&mut r.said),
        }
    }

    /// Reads one block, if there is one; says what stands in it. The answer: whether the lines are live ones.
    pub fn step(
        &mut self,
        scanner: &mut Scanner,
        scanned: &mut Scanned,
        zone: &Zone,
        now: Time,
        each: &mut dyn FnMut(&Offence<'_>),
    ) -> Option<Lane> {
        let mut buf = std::mem::take(&mut self.buf);
        let got = match &mut self.source {
            Source::File(f) => f.next(&mut buf),
            Source::Journal(r) => r.next(&mut buf),
        };
        let lane = match got {
            Got::Lines(lane) => lane,
            Got::Nothing => {
                self.buf = buf;
                self.caught_up = true;
                return None;
            }
        };
        scanner.scan(&buf, years(&buf, zone, now), zone, scanned);
        let preparing = std::mem::replace(&mut self.preparing, lane == Lane::Known);
        match lane {
            Lane::Live => self.live.block(&buf, scanned, each),
            Lane::Behind => self.behind.block(&buf, scanned, each),
            Lane::Known => {
                if !preparing {
                    // What was open where an earlier run stopped goes on behind.
                    let open = self.live.hand_over();
                    if self.behind.open_connections() == 0 {
                        self.behind.take_over(open);
                    }
                }
                self.live.prepare(&buf, scanned);
            }
        }
        if !scanned.records.is_empty() {
            self.last_line = Some(Instant::now());
        }
        self.buf = buf;
        Some(lane)
    }
}

/// The year of the first line of a block of a log without years: the last one in which it is not in the future.
fn years(block: &[u8], zone: &Zone, now: Time) -> Years {
    // A clock that is ahead, a zone that is not ours: a day's grace.
    let today = zone.civil(Time(now.0.saturating_add(sshwhy_core::time::DAY)));
    let end = memchr(b'\n', block).unwrap_or(block.len());
    let month = block.get(..end).and_then(yearless_month);
    Years::starting(match month {
        Some(month) if month > today.month => today.year - 1,
        _ => today.year,
    })
}

impl Reading {
    fn start(&mut self) {
        let pause = Duration::from_secs(u64::from(self.failures.min(6)) * 5);
        if self.tried.is_some_and(|t| t.elapsed() < pause) {
            return;
        }
        self.tried = Some(Instant::now());
        let mut command = Command::new(&self.program);
        command
            .args(["-q", "--no-pager", "-f", "-o", "export", "--all"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if self.cursor.is_empty() {
            command.args(["--since", "-1d", "-n", "all"]);
        } else {
            command.arg(format!("--after-cursor={}", self.cursor));
            command.args(["-n", "all"]);
        }
        // The kernel's word on who wrote it, not the writer's: nobody but root's sshd can put lines here.
        command.arg("_UID=0");
        command.args(COMMS.iter().map(|c| format!("_COMM={c}")));
        match command.spawn() {
            Ok(mut child) => {
                let ready = child
                    .stdout
                    .as_ref()
                    .is_some_and(|out| rustix::io::ioctl_fionbio(out, true).is_ok());
                if ready {
                    self.export = Export::default();
                    self.child = Some(child);
                } else {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
            Err(e) => self.failed(&format!("cannot be started: {e}")),
        }
    }

    fn failed(&mut self, why: &str) {
        if self.failures == 0 {
            self.said.push(format!(
                "the journal is not followed: {} {why}; it is tried again",
                self.program.display()
            ));
        }
        self.failures += 1;
    }

    fn next(&mut self, buf: &mut Vec<u8>) -> Got {
        if self.child.is_none() {
            self.start();
        }
        let Some(child) = &mut self.child else {
            return Got::Nothing;
        };
        let Some(out) = &mut child.stdout else {
            return Got::Nothing;
        };
        buf.clear();
        let mut raw = [0; 64 * 1024];
        while buf.len() < 256 * 1024 {
            match out.read(&mut raw) {
                Ok(0) => {
                    let status = child.wait();
                    self.child = None;
                    let why = status.map_or_else(|e| e.to_string(), |s| format!("ended ({s})"));
                    self.failed(&why);
                    break;
                }
                Ok(n) => {
                    self.failures = 0;
                    self.export.feed(raw.get(..n).unwrap_or_default(), buf);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let cursor = String::from_utf8_lossy(self.export.cursor());
        if !cursor.is_empty() && cursor != self.cursor {
            self.cursor = cursor.into_owned();
        }
        if buf.is_empty() {
            Got::Nothing
        } else {
            Got::Lines(Lane::Live)
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
