//! Where a machine keeps its own logs: this one, or one whose disk is mounted somewhere.

use super::read::Blocks;
use super::rotation::{self, rotation};
use super::{Input, Origin};
use memchr::memmem;
use std::path::{Path, PathBuf};

/// Logs that sshd writes to by itself: read wherever they are.
const OWN: &[&str] = &[
    "auth.log",
    "secure",
    "authlog",
    "sshd.log",
    "sshd-session.log",
];

/// Logs that hold everything on some systems and nothing of sshd on others: read where they hold lines of sshd.
const SHARED: &[&str] = &[
    "messages",
    "syslog",
    "everything/current",
    "pwdfail/current",
    "daemon.log",
];

/// Login records, to check the others against.
const RECORDS: &[&str] = &["wtmp", "btmp"];

#[derive(Debug, Default)]
pub struct Found {
    pub paths: Vec<PathBuf>,
    /// wtmp and btmp with their rotated copies.
    pub records: Vec<PathBuf>,
    /// What was there and what was not, in one line.
    pub looked_at: String,
}

/// Whether a folder is the root of a machine's disk.
pub fn is_root(folder: &Path) -> bool {
    folder.join("var/log").is_dir() && folder.join("etc").is_dir()
}

pub fn find(root: &Path) -> Found {
    let mut look = Look::default();
    let log = root.join("var/log");
    for name in OWN {
        look.at(name, rotated(&log.join(name)));
    }
    for name in SHARED {
        let set = rotated(&log.join(name));
        if set.is_empty() || set.iter().rev().take(2).any(|p| holds_sshd(p)) {
            look.at(name, set);
        } else {
            look.there.push(format!(
                "{name} (not read: no line of sshd in the newest two files)"
            ));
        }
    }
    for folder in ["var/log/journal", "run/log/journal"] {
        let mut journals = Vec::new();
        for machine in folders(&root.join(folder)) {
            journals.extend(files(&machine).into_iter().filter(|p| {
                let name = p.to_string_lossy();
                name.ends_with(".journal") || name.ends_with(".journal~")
            }));
        }
        look.at(&root.join(folder).to_string_lossy(), journals);
    }
    let paths = std::mem::take(&mut look.paths);
    for name in RECORDS {
        look.at(name, rotated(&log.join(name)));
    }
    let list = |names: &[String]| match names {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    };
    Found {
        looked_at: format!(
            "looked for logs in {}: found {}; not there: {}",
            log.display(),
            list(&look.there),
            list(&look.absent)
        ),
        paths,
        records: look.paths,
    }
}

#[derive(Default)]
struct Look {
    paths: Vec<PathBuf>,
    there: Vec<String>,
    absent: Vec<String>,
}

impl Look {
    fn at(&mut self, place: &str, paths: Vec<PathBuf>) {
        match paths.len() {
            0 => self.absent.push(place.to_owned()),
            1 => self.there.push(place.to_owned()),
            n => self.there.push(format!("{place} ({n} files)")),
        }
        self.paths.extend(paths);
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|e| e.ok().map(|e| e.path())).collect(),
        Err(_) => Vec::new(),
    };
    paths.sort();
    paths
}

fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|p| p.is_file())
        .collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|p| p.is_dir()).collect()
}

/// A log and its rotated copies, oldest first.
fn rotated(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(base)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    let mut set: Vec<_> = files(folder)
        .into_iter()
        .filter_map(|p| {
            let r = rotation(p.file_name()?.to_str()?);
            let mtime = p.metadata().ok().map(|m| super::open::mtime(&m));
            (r.base == base).then_some((p, r.age, mtime))
        })
        .collect();
    rotation::sort(&mut set, |(path, age, mtime)| {
        (age, *mtime, path.to_str().unwrap_or(""))
    });
    set.into_iter().map(|(path, ..)| path).collect()
}

/// Whether a line of sshd or dropbear stands anywhere in a file. An unreadable one counts as if: then it is named.
fn holds_sshd(path: &Path) -> bool {
    let input = Input {
        name: String::new(),
        origin: Origin::File(path.to_owned()),
        set: 0,
        mtime: None,
        size: None,
        shared: false,
    };
    let finders = [
        memmem::Finder::new(b" sshd"),
        memmem::Finder::new(b" dropbear["),
    ];
    let mut blocks = Blocks::open(&input, 0);
    let mut spare = Vec::new();
    while let Some(block) = blocks.next(spare) {
        if finders.iter().any(|f| f.find(&block.bytes).is_some()) {
            return true;
        }
        spare = block.bytes;
    }
    !blocks.finish().skipped.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, gzip};
    use super::*;

    #[test]
    fn a_mounted_disk_is_searched_where_logs_are_kept() {
        let dir = Scratch::new();
        let line = b"Nov  3 04:05:06 web1 sshd[812]: Invalid user bob from 192.0.2.7 port 50122\n";
        let other = b"Nov  3 04:05:06 web1 cron[812]: job\n";
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        dir.write("var/log/auth.log", line);
        dir.write("var/log/auth.log.1", line);
        dir.write("var/log/auth.log.2.gz", &gzip(line));
        dir.write("var/log/syslog", other);
        dir.write("var/log/syslog.1", other);
        dir.write("var/log/messages", other);
        dir.write("var/log/messages.1.gz", &gzip(line));
        dir.write("var/log/dpkg.log", other);
        dir.write("var/log/journal/0123/system.journal", b"LPKSHHRH");
        dir.write("var/log/journal/0123/notes.txt", b"x");
        assert!(is_root(dir.path()));
        let found = find(dir.path());
        let names: Vec<_> = found
            .paths
            .iter()
            .map(|p| {
                p.strip_prefix(dir.path())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(
            names,
            [
                "var/log/auth.log.2.gz",
                "var/log/auth.log.1",
                "var/log/auth.log",
                "var/log/messages.1.gz",
                "var/log/messages",
                "var/log/journal/0123/system.journal",
            ]
        );
        let all = found.looked_at;
        assert!(all.contains("not there: secure, authlog, "), "{all}");
        assert!(all.contains("syslog (not read: no line of sshd"), "{all}");
        assert!(
            all.contains("found auth.log (3 files), messages (2 files), "),
            "{all}"
        );
        assert!(!is_root(&dir.path().join("var")));
    }
}
