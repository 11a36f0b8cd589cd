//! The files that one log consists of: itself and its rotated copies, oldest first, and which of them a position is about.

use super::{HEAD, Position, fingerprint, piece};
use crate::source::rotation::{Age, rotation, sort};
use crate::source::unpack::unpacked;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub struct Sibling {
    pub path: PathBuf,
    age: Age,
    /// The log itself.
    pub current: bool,
    pub packed: bool,
    mtime: (i64, i64),
    pub dev: u64,
    pub ino: u64,
    pub size: u64,
}

pub fn is_packed(path: &Path) -> bool {
    path.file_name()
        .and_then(|n| n.to_str())
        .is_some_and(|name| rotation(name).packed)
}

fn folder(path: &Path) -> &Path {
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) => folder,
        None => Path::new("."),
    }
}

/// When a name in the log's folder changed last.
pub fn folder_time(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(folder(path))
        .and_then(|m| m.modified())
        .ok()
}

/// The log and its copies, oldest first, the log itself last; where it is a link, also the copies beside what it leads to, and
/// beside the files `also`, which were followed when they were last looked at.
pub fn siblings(path: &Path, also: &[PathBuf]) -> Vec<Sibling> {
    let mut places: Vec<PathBuf> = vec![path.to_owned()];
    let home = std::fs::canonicalize(folder(path)).ok();
    let real = std::fs::canonicalize(path).ok();
    let base = path.file_name().and_then(|n| n.to_str());
    for place in real.iter().chain(also) {
        let of_the_log = place.parent() == home.as_deref()
            && place
                .file_name()
                .and_then(|n| n.to_str())
                .is_some_and(|n| Some(n) == base || Some(rotation(n).base.as_str()) == base);
        if !of_the_log && !places.iter().any(|p| p == place) {
            places.push(place.clone());
        }
    }
    let mut out: Vec<Sibling> = Vec::new();
    for (n, place) in places.iter().enumerate() {
        let mut here = beside(place);
        for s in &mut here {
            s.current = n == 0 && s.age == Age::Current;
        }
        here.retain(|s| !out.iter().any(|o| (o.dev, o.ino) == (s.dev, s.ino)));
        out.splice(0..0, here);
    }
    out
}

fn beside(path: &Path) -> Vec<Sibling> {
    let Some(base) = path.file_name().and_then(|n| n.to_str()) else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(folder(path)) else {
        return Vec::new();
    };
    let mut all: Vec<Sibling> = entries
        .flatten()
        .filter_map(|e| {
            let name = e.file_name();
            let r = rotation(name.to_str()?);
            let itself = name.to_str() == Some(base);
            if !itself && (r.base != base || r.age == Age::Current) {
                return None;
            }
            let meta = std::fs::metadata(e.path()).ok().filter(|m| m.is_file())?;
            Some(Sibling {
                path: e.path(),
                age: if itself { Age::Current } else { r.age },
                current: false,
                packed: r.packed && !itself,
                mtime: (meta.mtime(), meta.mtime_nsec()),
                dev: meta.dev(),
                ino: meta.ino(),
                size: meta.len(),
            })
        })
        .collect();
    // While a copy is being packed both are there, and the packed one is not whole.
    let plain: Vec<PathBuf> = all
        .iter()
        .filter(|s| !s.packed)
        .map(|s| s.path.clone())
        .collect();
    all.retain(|s| !s.packed || !plain.contains(&s.path.with_extension("")));
    sort(&mut all, |s| {
        (&s.age, Some(s.mtime.0), s.path.to_str().unwrap_or_default())
    });
    all
}

/// Whether the set is still what it was when it was listed. A rotation renames one file after another: a list made in its
/// midst lacks some, and a path out of it may lead to another file by now. Or it copies the log and empties it: whoever looks
/// at the copy before it is whole, and at the log after that, finds neither. So nothing may have shrunk, and nothing grown but
/// the log and what `grows`.
pub fn settled(set: &[Sibling], now: &[Sibling], grows: impl Fn(&Sibling) -> bool) -> bool {
    set.len() == now.len()
        && set.iter().zip(now).all(|(a, b)| {
            (a.dev, a.ino, &a.path) == (b.dev, b.ino, &b.path)
                && (a.size == b.size || a.size < b.size && (a.current || grows(a)))
        })
}

/// How files begin, read once as long as they do not change.
#[derive(Default)]
pub struct Heads {
    known: HashMap<(u64, u64, u64, (i64, i64)), Vec<u8>>,
    /// Of the file that was looked at last, if it was changing.
    passing: Vec<u8>,
}

/// With fewer first bytes, and nothing taken in, two files may begin alike by chance: the first half of a line.
const SURE: u32 = 64;
/// More files than any set has.
const MOST: usize = 1000;

impl Heads {
    fn of(&mut self, s: &Sibling) -> &[u8] {
        if self.known.len() > MOST {
            self.known.clear();
        }
        match self.known.entry((s.dev, s.ino, s.size, s.mtime)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => match head(s) {
                (head, true) => place.insert(head),
                (head, false) => {
                    self.passing = head;
                    &self.passing
                }
            },
        }
    }

    /// Whether the file is what the position is about: itself, a copy of it, or packed.
    pub fn is(&mut self, s: &Sibling, pos: &Position) -> bool {
        if pos.head_len == 0 {
            // Nothing could be read of it; itself, as long as nothing was written to it.
            return pos.done && pos.is_of(s) && s.size == pos.offset;
        }
        if !pos.begins(self.of(s)) {
            return false;
        }
        s.packed || File::open(&s.path).is_ok_and(|f| pos.stands_in(&f))
    }

    /// Whether that two begin alike says that they are the same.
    pub fn surely(&mut self, s: &Sibling, pos: &Position) -> bool {
        pos.offset > 0 || pos.head_len >= SURE || self.of(s).len() == pos.head_len as usize
    }

    /// The file of a position: itself rather than a copy, a copy rather than a packed one, and rather one that is not `taken`.
    pub fn find<'a>(
        &mut self,
        set: &'a [Sibling],
        pos: &Position,
        taken: impl Fn(usize) -> bool,
    ) -> Option<(usize, &'a Sibling)> {
        let rank = |i: usize, s: &Sibling| (pos.is_of(s) && !s.packed, !s.packed, !taken(i), i);
        let fits = set.iter().enumerate().filter(|(_, s)| self.is(s, pos));
        fits.max_by_key(|(i, s)| rank(*i, s))
    }

    /// Whether the file is a copy of the log as it stands there, made to be emptied next.
    pub fn is_copy(&mut self, s: &Sibling, log: Option<&Sibling>) -> bool {
        let Some(log) = log.filter(|log| !s.packed && s.size > 0 && log.size >= s.size) else {
            return false;
        };
        let head = self.of(s).to_vec();
        if !self.of(log).starts_with(&head) {
            return false;
        }
        let end = |s: &Sibling, size: u64| {
            let from = size.saturating_sub(HEAD as u64);
            piece(&File::open(&s.path).ok()?, from, HEAD.min(size as usize)).ok()
        };
        let ours = end(s, s.size);
        ours.is_some() && ours == end(log, s.size)
    }

    /// The position of a file that is not to be read.
    pub fn past(&mut self, s: &Sibling) -> Position {
        let head = self.of(s).to_vec();
        Position {
            dev: s.dev,
            ino: s.ino,
            offset: s.size,
            head_len: head.len() as u32,
            head: fingerprint(&head),
            tail_len: 0,
            tail: fingerprint(&[]),
            end: None,
            real: s.path.clone(),
            done: true,
        }
    }
}

/// How the file begins, and whether that is to be remembered of the one that was listed: not where it was written on since then.
/// Where its path leads to another one by now, it begins like nothing.
fn head(s: &Sibling) -> (Vec<u8>, bool) {
    let Ok(file) = File::open(&s.path) else {
        return (Vec::new(), false);
    };
    let head = if s.packed {
        packed_head(&file)
    } else {
        piece(&file, 0, HEAD).ok()
    };
    // Looked at after reading, as everywhere.
    match file.metadata() {
        Ok(m) if (m.dev(), m.ino()) == (s.dev, s.ino) => {
            let same = (m.len(), m.mtime(), m.mtime_nsec()) == (s.size, s.mtime.0, s.mtime.1);
            (head.unwrap_or_default(), same)
        }
        _ => (Vec::new(), false),
    }
}

fn packed_head(file: &File) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let stream = unpacked(Box::new(file.try_clone().ok()?));
    stream.take(HEAD as u64).read_to_end(&mut head).ok()?;
    Some(head)
}
