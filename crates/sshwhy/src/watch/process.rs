//! Processes as they were when they started, remembered for a while after they are gone.

use crate::evidence::container_of_cgroup;
use sshwhy_core::time::{SECOND, Time};
use sshwhy_core::trace::mask;
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub pid: u32,
    pub ppid: u32,
    pub uid: u32,
    pub started: Time,
    pub comm: String,
    pub exe: String,
    /// Masked.
    pub argv: Vec<String>,
    pub container: Option<String>,
}

/// Processes remembered; the oldest goes first.
const MOST: usize = 32_768;
const MAX_CMDLINE: u64 = 4096;
/// Folders of file descriptors looked through for one socket.
const MAX_SEARCH: usize = 100_000;

#[derive(Default)]
pub struct Memory {
    known: HashMap<u32, Seen>,
    order: VecDeque<u32>,
}

impl Memory {
    pub fn put(&mut self, seen: Seen) {
        let pid = seen.pid;
        if self.known.insert(pid, seen).is_none() {
            self.order.push_back(pid);
            if self.order.len() > MOST
                && let Some(old) = self.order.pop_front()
            {
                self.known.remove(&old);
            }
        }
    }

    pub fn get(&self, pid: u32) -> Option<Seen> {
        self.known.get(&pid).cloned()
    }

    /// The youngest first: who connects has often just started.
    fn youngest(&self) -> impl Iterator<Item = u32> + '_ {
        self.order.iter().rev().copied().take(256)
    }
}

fn read(path: &str, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .ok()?
        .take(most)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// A process as it is now.
pub fn look(pid: u32) -> Option<Seen> {
    let dir = format!("/proc/{pid}");
    let stat = read(&format!("{dir}/stat"), 4096)?;
    let stat = String::from_utf8_lossy(&stat);
    let close = stat.rfind(')')?;
    let comm = stat.get(stat.find('(')? + 1..close)?.to_owned();
    let fields: Vec<&str> = stat.get(close + 2..)?.split(' ').collect();
    let ticks: i64 = fields.get(19)?.parse().ok()?;
    let cmdline = read(&format!("{dir}/cmdline"), MAX_CMDLINE)?;
    let argv: Vec<String> = cmdline
        .split(|b| *b == 0)
        .filter(|a| !a.is_empty())
        .map(|a| String::from_utf8_lossy(a).into_owned())
        .collect();
    let cgroup = read(&format!("{dir}/cgroup"), 16 << 10).unwrap_or_default();
    Some(Seen {
        pid,
        ppid: fields.get(1)?.parse().ok()?,
        uid: fs::metadata(&dir).map_or(u32::MAX, |m| m.uid()),
        started: Time(boot() + ticks * 10_000),
        comm,
        exe: fs::read_link(format!("{dir}/exe"))
            .map_or(String::new(), |p| p.to_string_lossy().into_owned()),
        argv: mask::argv(&argv),
        container: container_of_cgroup(&String::from_utf8_lossy(&cgroup)),
    })
}

/// When the machine started, in microseconds. `btime` is of whole seconds; the time it runs says it to a hundredth.
fn boot() -> i64 {
    static BOOT: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let whole = stat
            .lines()
            .find_map(|l| l.strip_prefix("btime ")?.parse::<i64>().ok())
            .unwrap_or(0)
            * SECOND;
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        uptime
            .split_whitespace()
            .next()
            .and_then(|t| t.parse::<f64>().ok())
            .map(|up| super::now().0 - (up * SECOND as f64) as i64)
            // In a container it may be the container's own.
            .filter(|fine| (fine - whole).abs() < 2 * SECOND)
            .unwrap_or(whole)
    })
}

/// The number of a network namespace.
pub fn namespace(pid: u32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/net"))
        .ok()
        .map(|m| m.ino())
}

fn holds(pid: u32, socket: &str) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == socket))
}

/// The process that holds a socket.
pub fn owner(memory: &Memory, netns: u64, inode: u64) -> Option<Seen> {
    if inode == 0 {
        return None;
    }
    let socket = format!("socket:[{inode}]");
    let young: Vec<u32> = memory.youngest().collect();
    let all = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().to_str().and_then(|n| n.parse::<u32>().ok()))
        .filter(|pid| !young.contains(pid));
    let found = young
        .iter()
        .copied()
        .chain(all)
        .take(MAX_SEARCH)
        .filter(|pid| namespace(*pid) == Some(netns))
        .find(|pid| holds(*pid, &socket))?;
    look(found).or_else(|| memory.get(found))
}
