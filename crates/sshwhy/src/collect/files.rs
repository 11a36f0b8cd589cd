//! Files of the node and of the containers' layers that were written, changed or made within the window: names and times, no content.

use super::{Known, Node};
use sshwhy_core::time::Time;
use std::collections::HashSet;
use std::fs::Metadata;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where to look first, should the time not be enough for all.
const FIRST: [&str; 14] = [
    "/etc",
    "/var/spool",
    "/usr/local",
    "/opt",
    "/root",
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/srv",
    "/home",
    "/usr/lib/systemd",
    "/lib/systemd",
    "/usr/bin",
    "/usr/sbin",
];
const MAX_DEPTH: usize = 64;

/// `path TAB mtime TAB size TAB ctime TAB birth`, in seconds; the last one is empty where the file system keeps none.
pub fn changed(node: &mut Node<'_>, known: &[Known]) -> Result<(), String> {
    let mut spool = node.pack.spool()?;
    // Half of the time that is left: logs say more.
    let left = node.pack.deadline.saturating_duration_since(Instant::now());
    let mut walk = Walk {
        node,
        end: Instant::now() + left.min(Duration::from_secs(600)) / 2,
        virtual_systems: HashSet::new(),
        seen: HashSet::new(),
        rows: Vec::new(),
        refused: 0,
        late: false,
    };
    walk.virtual_systems = walk.find_virtual();
    let mut roots: Vec<PathBuf> = FIRST.iter().map(|p| walk.node.at(p)).collect();
    for layer in known.iter().flat_map(|k| &k.layers) {
        roots.push(walk.node.at(layer));
    }
    roots.push(walk.node.root.clone());
    for root in roots {
        walk.from(&root);
    }
    let (refused, late, full) = (
        walk.refused,
        walk.late,
        walk.rows.len() >= walk.node.most_files,
    );
    let mut rows = walk.rows;
    rows.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    let mut cut = Vec::new();
    if late {
        cut.push("the time given was over".to_owned());
    }
    if full {
        cut.push(format!("more than {} files changed", node.most_files));
    }
    if refused > 0 {
        cut.push(format!("{refused} folders could not be read"));
    }
    for (path, row) in rows.iter().map(|(p, _, row)| (p, row)) {
        if spool
            .write_all(path)
            .and_then(|()| spool.write_all(row.as_bytes()))
            .is_err()
        {
            cut.push("no more rows fit".to_owned());
            break;
        }
    }
    let cut = cut.join("; ");
    node.pack.add_spool("files.tsv", "file times", spool, &cut)
}

struct Walk<'a, 'b> {
    node: &'a Node<'b>,
    end: Instant,
    /// Devices of file systems that hold no files of this machine.
    virtual_systems: HashSet<u64>,
    /// Folders that were looked at, by device and inode.
    seen: HashSet<(u64, u64)>,
    rows: Vec<(Vec<u8>, i64, String)>,
    refused: u64,
    late: bool,
}

impl Walk<'_, '_> {
    /// `/proc` and the like, what lies on other machines, and the merged view of layers that are looked at themselves.
    fn find_virtual(&self) -> HashSet<u64> {
        let mut out = HashSet::new();
        if !self.node.live {
            return out;
        }
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for line in table.lines() {
            let mut halves = line.splitn(2, " - ");
            let (Some(mount), Some(kind)) = (halves.next(), halves.next()) else {
                continue;
            };
            let kind = kind.split(' ').next().unwrap_or_default();
            let place = mount.split(' ').nth(4).unwrap_or_default();
            let ours = matches!(
                kind,
                "ext2"
                    | "ext3"
                    | "ext4"
                    | "xfs"
                    | "btrfs"
                    | "zfs"
                    | "f2fs"
                    | "tmpfs"
                    | "vfat"
                    | "ntfs3"
                    | "bcachefs"
                    | "jfs"
                    | "reiserfs"
            ) || kind == "overlay" && place == "/";
            if !ours && let Ok(meta) = std::fs::symlink_metadata(place) {
                out.insert(meta.dev());
            }
        }
        out
    }

    fn from(&mut self, root: &Path) {
        let mut stack = vec![(root.to_owned(), 0)];
        while let Some((dir, depth)) = stack.pop() {
            if Instant::now() >= self.end {
                self.late = true;
                return;
            }
            let Ok(meta) = std::fs::symlink_metadata(&dir) else {
                continue;
            };
            let new = meta.is_dir()
                && !self.virtual_systems.contains(&meta.dev())
                && self.seen.insert((meta.dev(), meta.ino()));
            if !new {
                continue;
            }
            let Ok(entries) = std::fs::read_dir(&dir) else {
                self.refused += 1;
                continue;
            };
            for entry in entries.flatten() {
                let Ok(meta) = entry.metadata() else { continue };
                if meta.is_dir() {
                    if depth < MAX_DEPTH {
                        stack.push((entry.path(), depth + 1));
                    }
                } else if meta.is_file() || meta.is_symlink() {
                    self.take(&entry.path(), &meta);
                }
            }
        }
    }

    fn take(&mut self, path: &Path, meta: &Metadata) {
        let time = |secs: i64, nanos: i64| {
            Time(secs.saturating_mul(1_000_000).saturating_add(nanos / 1000))
        };
        let (m, c) = (
            time(meta.mtime(), meta.mtime_nsec()),
            time(meta.ctime(), meta.ctime_nsec()),
        );
        let birth = meta
            .created()
            .ok()
            .and_then(|b| b.duration_since(std::time::UNIX_EPOCH).ok())
            .map(|d| Time(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)));
        let window = self.node.window;
        let inside = window.holds(m) || window.holds(c) || birth.is_some_and(|b| window.holds(b));
        if !inside || self.rows.len() >= self.node.most_files {
            return;
        }
        // The name as it is on the node; what would break the row is replaced.
        let shown = path.strip_prefix(&self.node.root).unwrap_or(path);
        let mut name = vec![b'/'];
        name.extend(shown.as_os_str().as_bytes().iter().map(|b| {
            if matches!(b, b'\t' | b'\n' | b'\r') {
                b'?'
            } else {
                *b
            }
        }));
        let secs = |t: Time| {
            format!(
                "{}.{:06}",
                t.0.div_euclid(1_000_000),
                t.0.rem_euclid(1_000_000)
            )
        };
        let row = format!(
            "\t{}\t{}\t{}\t{}\n",
            secs(m),
            meta.len(),
            secs(c),
            birth.map_or(String::new(), secs)
        );
        self.rows.push((name, m.0, row));
    }
}
