//! What a fix did, written before it is done: a folder a fix, with the journal, the files as they were and as they shall be.
//!
//! A line counts once it is whole and on disk. Time is counted from the machine's start and marked with it, so that neither a
//! wrong clock nor a reboot keeps a change that nobody confirmed.

use super::disk::Meta;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One change, with all that is needed to do it and to take it back, at any time and any number of times.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "act")]
pub enum Entry {
    Access {
        path: String,
        before: (u32, u32, u32),
        after: (u32, u32, u32),
    },
    /// `N.before` and `N.after` in the folder; no meta: no file.
    Content {
        path: String,
        before: Option<Meta>,
        after: Option<Meta>,
    },
    Folder {
        path: String,
        mode: u32,
    },
    Run {
        program: Vec<String>,
        undo: Vec<String>,
    },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Header {
    pub root: PathBuf,
    pub entries: Vec<Entry>,
    /// Seconds from the end of the fix to its end, unless confirmed.
    pub within: u64,
    /// Who does it: process, when it was started, its session.
    pub pid: u32,
    pub born: String,
    pub session: i32,
    /// sshd reads its configuration again after the changes, and after their end.
    pub reload: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    Header(Header),
    Begin(usize),
    Done(usize),
    /// All done and proven: seconds since the machine's start at which it ends, and which start that was.
    Applied {
        until: f64,
        boot: String,
    },
    Confirmed,
    /// Why it is taken back.
    Reverting(String),
    Reverted,
}

pub struct Journal {
    pub folder: PathBuf,
    notes: Vec<Note>,
    file: File,
    steps: Cell<u32>,
    stop_at: Option<u32>,
}

/// Seconds since the machine was started, and a name of that start.
pub fn uptime() -> (f64, String) {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text
        .split(' ')
        .next()
        .and_then(|w| w.parse().ok())
        .unwrap_or(0.0);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    (seconds, boot.trim().to_owned())
}

/// When a process was started, in the kernel's ticks; empty: there is none.
pub fn born(pid: u32) -> String {
    stat_field(pid, 19)
}

/// A field of /proc/PID/stat, counted from the state (0), which stands behind the program's name in brackets. Empty where
/// the process is gone or dead.
pub fn stat_field(pid: u32, field: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after.split_ascii_whitespace();
    match fields.clone().next() {
        Some("Z" | "X") | None => String::new(),
        Some(_) => fields.nth(field).unwrap_or_default().to_owned(),
    }
}

impl Journal {
    pub fn create(state: &Path, id: &str, stop_at: Option<u32>) -> Result<Journal, String> {
        let folder = state.join(id);
        let told = |e: std::io::Error| format!("{}: {e}", folder.display());
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(told)?;
        let path = folder.join("journal");
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(told)?;
        sync(&folder);
        sync(state);
        Ok(Journal {
            folder,
            notes: Vec::new(),
            file,
            steps: Cell::new(0),
            stop_at,
        })
    }

    pub fn open(state: &Path, id: &str, stop_at: Option<u32>) -> Result<Journal, String> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!("{id:?} is no name of a fix"));
        }
        let folder = state.join(id);
        let path = folder.join("journal");
        let told = |e: std::io::Error| format!("no fix {id}: {}: {e}", path.display());
        let text = fs::read_to_string(&path).map_err(told)?;
        // What follows the last whole line was being written when it ended.
        let whole = text.rfind('\n').map_or(0, |i| i + 1);
        let notes = text
            .get(..whole)
            .unwrap_or_default()
            .lines()
            .map_while(|l| serde_json::from_str(l).ok())
            .collect();
        let mut file = OpenOptions::new().append(true).open(&path).map_err(told)?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(told)?;
            file.flush().map_err(told)?;
        }
        Ok(Journal {
            folder,
            notes,
            file,
            steps: Cell::new(0),
            stop_at,
        })
    }

    /// Ends this process here, as kill -9 would, if it is the step that a test asked for.
    pub fn step(&self) {
        self.steps.set(self.steps.get() + 1);
        if self.stop_at == Some(self.steps.get()) {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }

    pub fn write(&mut self, note: Note) -> Result<(), String> {
        self.step();
        let told = |e: std::io::Error| format!("the journal: {e}");
        let mut line = serde_json::to_string(&note).map_err(|e| e.to_string())?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(told)?;
        self.file.sync_data().map_err(told)?;
        self.notes.push(note);
        self.step();
        Ok(())
    }

    /// Keeps bytes beside the journal.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let told = |e: std::io::Error| format!("{name}: {e}");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.folder.join(name))
            .map_err(told)?;
        file.write_all(bytes).map_err(told)?;
        file.sync_all().map_err(told)?;
        sync(&self.folder);
        self.step();
        Ok(())
    }

    pub fn kept(&self, name: &str) -> Result<Vec<u8>, String> {
        fs::read(self.folder.join(name)).map_err(|e| format!("{name}: {e}"))
    }

    pub fn header(&self) -> Option<&Header> {
        self.notes.iter().find_map(|n| match n {
            Note::Header(h) => Some(h),
            _ => None,
        })
    }

    pub fn has(&self, note: &Note) -> bool {
        self.notes.contains(note)
    }

    /// Entries that may have been done, last first.
    pub fn begun(&self) -> Vec<usize> {
        let begun = self.notes.iter().filter_map(|n| match n {
            Note::Begin(i) => Some(*i),
            _ => None,
        });
        let mut out: Vec<usize> = begun.collect();
        out.reverse();
        out
    }

    pub fn is_over(&self) -> bool {
        self.has(&Note::Confirmed) || self.has(&Note::Reverted)
    }

    /// Why it has to be taken back now; `None`: it is over, or has time left.
    pub fn overdue(&self) -> Option<String> {
        if self.is_over() {
            return None;
        }
        let why = self.notes.iter().find_map(|n| match n {
            Note::Reverting(why) => Some(why.clone()),
            _ => None,
        });
        if why.is_some() {
            return why;
        }
        let applied = self.notes.iter().find_map(|n| match n {
            Note::Applied { until, boot } => Some((*until, boot)),
            _ => None,
        });
        let (now, boot) = uptime();
        match (applied, self.header()) {
            (Some((_, then)), _) if *then != boot => {
                Some("the machine was started again before anybody confirmed it".to_owned())
            }
            (Some((until, _)), _) if now >= until => Some("nobody confirmed it in time".to_owned()),
            (Some(_), _) => None,
            (None, Some(h)) if born(h.pid) == h.born => None,
            (None, Some(_)) => Some("it was cut off in the middle".to_owned()),
            (None, None) => None,
        }
    }

    /// Held while a fix is confirmed or taken back, so that only one of them happens.
    pub fn lock(&self) -> Result<File, String> {
        let file = File::open(&self.folder).map_err(|e| e.to_string())?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|e| format!("the lock: {}", std::io::Error::from(e)))?;
        Ok(file)
    }
}

/// A folder's own entries on disk; where that cannot be, the file system has no such thing.
fn sync(folder: &Path) {
    if let Ok(f) = File::open(folder) {
        let _ = f.sync_all();
    }
}
