//! Follows one log file as it grows, through every way in which logs are rotated, from a position that survives a crash.
//!
//! A [`Position`] names a file by device, inode and a fingerprint of its first bytes, and says how much of it was taken in. After
//! a start the file of each position is looked for: at its path, among the rotated copies (renamed: same inode; copied: same
//! first bytes) and among the packed ones (same first bytes inside). What is newer than the newest position is read from its
//! beginning. The same is done whenever the path leads to another file than before, so a rotation while the program was down
//! and one while it runs take the same way.
//!
//! Where much is waiting at the start, the end of the file is followed at once and what lies before it is read behind it.

use crate::source::rotation::{Age, rotation, sort};
use crate::source::unpack::{Stream, unpacked};
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So many first bytes tell a file from another one.
const HEAD: usize = 256;
/// At most so much is handed out at once.
const CHUNK: usize = 256 * 1024;
/// A line longer than this is cut, as everywhere.
const MAX_LINE: usize = 64 * 1024;
/// With more than this waiting at the start, the end is followed first.
const LIVE_FIRST: u64 = 16 << 20;
/// Of a log that was never read before, so much is looked at for its past.
const FIRST_PAST: u64 = 64 << 20;
/// A writer may go on with a renamed file until it is told; after so long without a byte it has been.
const DRAINED: Duration = Duration::from_secs(60);

/// How far one file was taken in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Position {
    pub dev: u64,
    pub ino: u64,
    /// Bytes taken in: whole lines. Of a packed file: bytes of what is in it.
    pub offset: u64,
    /// How many first bytes the fingerprint covers.
    pub head_len: u32,
    pub head: u64,
    /// Where to stop, for what is read behind the end of the file.
    pub end: Option<u64>,
    /// Where the file was when it was opened, links followed: what a link led to is not among the copies beside the link.
    pub real: PathBuf,
}

/// Which order lines belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    Live,
    /// Older than what is read live.
    Behind,
}

/// What one look brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Got {
    Lines(Lane),
    Nothing,
}

enum Bytes {
    Plain(File),
    /// What is left of a packed file, and the beginning of a line that was not whole.
    Packed(Stream, Vec<u8>),
}

struct Reader {
    bytes: Bytes,
    pos: Position,
    /// Without news since then.
    quiet: Instant,
    /// No more will come: the last line counts although nothing ends it.
    closed: bool,
}

/// The same for the same bytes on every run (FNV-1a).
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while let Some(room) = buf.get_mut(got..).filter(|r| !r.is_empty()) {
        match file.read_at(room, offset + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

fn head_of(file: &File, len: u32) -> Option<u64> {
    let mut head = vec![0; (len as usize).min(HEAD)];
    let got = read_at(file, &mut head, 0).ok()?;
    (got == head.len()).then(|| fingerprint(&head))
}

fn head_inside(path: &Path, len: u32) -> Option<u64> {
    let mut head = vec![0; (len as usize).min(HEAD)];
    unpacked(Box::new(File::open(path).ok()?))
        .read_exact(&mut head)
        .ok()?;
    Some(fingerprint(&head))
}

enum Read1 {
    Lines,
    Nothing,
    /// The file does not begin any more as it did.
    Replaced,
    Failed(io::Error),
}

impl Reader {
    fn plain(file: File, pos: Position) -> Reader {
        Reader {
            bytes: Bytes::Plain(file),
            pos,
            quiet: Instant::now(),
            closed: false,
        }
    }

    /// The file from its beginning.
    fn fresh(path: &Path) -> io::Result<Reader> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        // Also of what is not taken in yet: it may be rotated away before it is.
        let head_len = meta.len().min(HEAD as u64) as u32;
        let head = head_of(&file, head_len);
        let pos = Position {
            dev: meta.dev(),
            ino: meta.ino(),
            offset: 0,
            head_len: if head.is_some() { head_len } else { 0 },
            head: head.unwrap_or_else(|| fingerprint(&[])),
            end: None,
            real: std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
        };
        Ok(if is_packed(path) {
            let pos = Position {
                head_len: 0,
                head: fingerprint(&[]),
                ..pos
            };
            Reader::packed(file, pos, 0)?
        } else {
            Reader::plain(file, pos)
        })
    }

    fn packed(file: File, pos: Position, skip: u64) -> io::Result<Reader> {
        let mut stream = unpacked(Box::new(file));
        io::copy(&mut (&mut stream).take(skip), &mut io::sink())?;
        Ok(Reader {
            bytes: Bytes::Packed(stream, Vec::new()),
            pos,
            quiet: Instant::now(),
            closed: true,
        })
    }

    /// Puts whole lines into `buf`.
    fn read(&mut self, buf: &mut Vec<u8>) -> Read1 {
        buf.clear();
        match &mut self.bytes {
            Bytes::Plain(file) => {
                let left = self
                    .pos
                    .end
                    .map_or(u64::MAX, |e| e.saturating_sub(self.pos.offset));
                let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                buf.resize(want, 0);
                match read_at(file, buf, self.pos.offset) {
                    Ok(n) => buf.truncate(n),
                    Err(e) => return Read1::Failed(e),
                }
                // Looked at after reading: what was read is of the file that begins like this.
                let size = file.metadata().map_or(0, |m| m.len());
                let same = size >= self.pos.offset
                    && head_of(file, self.pos.head_len) == Some(self.pos.head);
                if !same {
                    buf.clear();
                    return Read1::Replaced;
                }
                let cut = whole(buf, self.closed || self.pos.end.is_some());
                buf.truncate(cut);
                if (self.pos.head_len as usize) < HEAD && size > u64::from(self.pos.head_len) {
                    let len = size.min(HEAD as u64) as u32;
                    if let Some(head) = head_of(file, len) {
                        (self.pos.head_len, self.pos.head) = (len, head);
                    }
                }
                if buf.is_empty() {
                    return Read1::Nothing;
                }
                self.pos.offset += buf.len() as u64;
            }
            Bytes::Packed(stream, carry) => {
                std::mem::swap(buf, carry);
                let mut ended = false;
                let begin = buf.len();
                buf.resize(begin + CHUNK, 0);
                let mut got = begin;
                while let Some(room) = buf.get_mut(got..).filter(|r| !r.is_empty()) {
                    match stream.read(room) {
                        Ok(0) => {
                            ended = true;
                            break;
                        }
                        Ok(n) => got += n,
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        Err(e) => return Read1::Failed(e),
                    }
                }
                buf.truncate(got);
                let cut = whole(buf, ended);
                carry.extend_from_slice(buf.get(cut..).unwrap_or_default());
                buf.truncate(cut);
                if buf.is_empty() {
                    return Read1::Nothing;
                }
                if self.pos.offset == 0 {
                    let head = buf.get(..HEAD.min(buf.len())).unwrap_or_default();
                    (self.pos.head_len, self.pos.head) = (head.len() as u32, fingerprint(head));
                }
                self.pos.offset += buf.len() as u64;
            }
        }
        self.quiet = Instant::now();
        Read1::Lines
    }
}

/// How much of a block is whole lines.
fn whole(buf: &[u8], closed: bool) -> usize {
    match memchr::memrchr(b'\n', buf) {
        _ if closed && buf.len() < CHUNK => buf.len(),
        Some(end) => end + 1,
        // Nobody writes such a line: it is cut, and the rest is another one.
        None if buf.len() >= MAX_LINE => buf.len(),
        None => 0,
    }
}

/// A file of the set: the log itself and its rotated copies.
struct Sibling {
    path: PathBuf,
    age: Age,
    packed: bool,
    mtime: i64,
    dev: u64,
    ino: u64,
    size: u64,
}

fn is_packed(path: &Path) -> bool {
    path.file_name()
        .and_then(|n| n.to_str())
        .is_some_and(|name| rotation(name).packed)
}

/// Oldest first; the log itself, where it is there, comes last.
fn siblings(path: &Path) -> Vec<Sibling> {
    let Some(base) = path.file_name().and_then(|n| n.to_str()) else {
        return Vec::new();
    };
    let folder = match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) => folder,
        None => Path::new("."),
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
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
                packed: r.packed && !itself,
                mtime: meta.mtime(),
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
        (&s.age, Some(s.mtime), s.path.to_str().unwrap_or_default())
    });
    all
}

/// Whether the set is still what it was when it was listed. A rotation renames one file after another: a list made in its
/// midst lacks some, and a path out of it may lead to another file by now.
fn settled(set: &[Sibling], path: &Path) -> bool {
    let now = siblings(path);
    set.len() == now.len()
        && set
            .iter()
            .zip(&now)
            .all(|(a, b)| (a.dev, a.ino, &a.path) == (b.dev, b.ino, &b.path))
}

/// How often a look is made anew while a rotation goes on, and the pause between two.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(2);

/// One log that is followed.
pub struct Follow {
    pub path: PathBuf,
    live: Option<Reader>,
    /// Read before what is live, oldest first: what was rotated away.
    before: VecDeque<Reader>,
    /// Read when there is nothing else to do, oldest first.
    behind: VecDeque<Reader>,
    /// What to tell people: gaps, files that cannot be read.
    pub said: Vec<String>,
    /// What cannot be read was said once.
    failing: bool,
}

impl Follow {
    /// Goes on from `positions`; without any, the log is new to us: its end is followed and its past is read behind.
    pub fn start(path: &Path, positions: Vec<Position>, from_the_beginning: bool) -> Follow {
        let mut f = Follow {
            path: path.to_owned(),
            live: None,
            before: VecDeque::new(),
            behind: VecDeque::new(),
            said: Vec::new(),
            failing: false,
        };
        if positions.is_empty() && !from_the_beginning {
            f.begin();
        } else if positions.is_empty() {
            // With all that was rotated away.
            for look in 1..=LOOKS {
                let set = siblings(path);
                let newer = f.open_newer(&set, 0, &[]);
                if look == LOOKS || settled(&set, path) {
                    f.place(&set, newer);
                    break;
                }
                std::thread::sleep(PAUSE);
            }
        } else {
            f.resume(positions);
        }
        f
    }

    /// The positions to go on from: to be committed together with what was made of the lines.
    pub fn positions(&self) -> Vec<Position> {
        self.behind
            .iter()
            .chain(&self.before)
            .chain(&self.live)
            .map(|r| r.pos.clone())
            .collect()
    }

    /// Whether everything that is there was taken in.
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    pub fn is_open(&self) -> bool {
        self.live.is_some()
    }

    fn begin(&mut self) {
        match Reader::fresh(&self.path) {
            Ok(mut reader) => {
                let Bytes::Plain(file) = &reader.bytes else {
                    return;
                };
                let size = file.metadata().map_or(0, |m| m.len());
                let end = line_before(file, size);
                if end > 0 {
                    let mut past = reader.pos.clone();
                    let from = match end.checked_sub(FIRST_PAST) {
                        Some(from) if from > 0 => line_before(file, from),
                        _ => 0,
                    };
                    set(&mut past, file, from);
                    past.end = Some(end);
                    if let Ok(file) = file.try_clone() {
                        self.behind.push_back(Reader::plain(file, past));
                    }
                    let Bytes::Plain(file) = &reader.bytes else {
                        return;
                    };
                    set(&mut reader.pos, file, end);
                }
                self.live = Some(reader);
            }
            Err(e) => self.cannot(&e),
        }
    }

    fn cannot(&mut self, e: &io::Error) {
        if !self.failing {
            self.said
                .push(format!("{} cannot be read: {e}", self.path.display()));
        }
        self.failing = true;
    }

    /// Finds the file of each position, and what is newer than all of them.
    fn resume(&mut self, positions: Vec<Position>) {
        for look in 1..=LOOKS {
            let set = siblings(&self.path);
            self.resume_in(&set, positions.clone());
            if look == LOOKS || settled(&set, &self.path) {
                break;
            }
            self.live = None;
            self.before.clear();
            self.behind.clear();
            self.said.clear();
            self.failing = false;
            std::thread::sleep(PAUSE);
        }
    }

    fn resume_in(&mut self, set: &[Sibling], positions: Vec<Position>) {
        let mut newest: Option<usize> = None;
        let mut readers: Vec<(usize, Reader)> = Vec::new();
        let last = positions.len().saturating_sub(1);
        let mut heads: Vec<(u32, u64)> = Vec::new();
        for (i, pos) in positions.into_iter().enumerate() {
            heads.push((pos.head_len, pos.head));
            match find(set, &pos) {
                Some((at, reader)) => {
                    newest = newest.max(Some(at));
                    match reader {
                        Ok(reader) => readers.push((at, reader)),
                        Err(e) => self.said.push(format!(
                            "{} cannot be read on: {e}",
                            set.get(at).map_or(String::new(), |s| s.path.display().to_string())
                        )),
                    }
                }
                None if let Some(reader) = elsewhere(&pos) => self.before.push_back(reader),
                None if i == last => self.said.push(format!(
                    "what {} held when it was read last is gone: lines written after that may be missing (rotated away, or truncated)",
                    self.path.display()
                )),
                None => {}
            }
        }
        // Without any position that was found, only the log itself is ours to read.
        let from = newest.map_or(set.len().saturating_sub(1), |n| n + 1);
        readers.extend(self.open_newer(set, from, &heads));
        self.place(set, readers);
    }

    /// Begins with every file from the one at `from` on.
    fn open_newer(
        &mut self,
        set: &[Sibling],
        from: usize,
        heads: &[(u32, u64)],
    ) -> Vec<(usize, Reader)> {
        let mut readers = Vec::new();
        for (at, sibling) in set.iter().enumerate().skip(from) {
            let current = sibling.age == Age::Current;
            // A copy of what was read already.
            let copied = !current
                && heads.iter().any(|(len, head)| {
                    *len > 0
                        && (if sibling.packed {
                            head_inside(&sibling.path, *len)
                        } else {
                            File::open(&sibling.path)
                                .ok()
                                .and_then(|f| head_of(&f, *len))
                        }) == Some(*head)
                });
            if copied {
                continue;
            }
            match Reader::fresh(&sibling.path) {
                Ok(reader) => readers.push((at, reader)),
                Err(e) => self.cannot(&e),
            }
        }
        readers
    }

    /// Puts readers in the order in which they are to be read.
    fn place(&mut self, set: &[Sibling], mut readers: Vec<(usize, Reader)>) {
        readers.sort_by_key(|(at, r)| (*at, r.pos.end.is_none()));
        let current = set
            .iter()
            .position(|s| s.age == Age::Current)
            .unwrap_or(usize::MAX);
        let waiting: u64 = readers
            .iter()
            .filter(|(_, r)| r.pos.end.is_none())
            .map(|(at, r)| {
                set.get(*at)
                    .map_or(0, |s| s.size.saturating_sub(r.pos.offset))
            })
            .sum();
        for (at, mut reader) in readers {
            if reader.pos.end.is_some() {
                self.behind.push_back(reader);
                continue;
            }
            if at != current {
                reader.closed |= matches!(reader.bytes, Bytes::Packed(..));
                if waiting > LIVE_FIRST {
                    self.behind.push_back(reader);
                } else {
                    self.before.push_back(reader);
                }
                continue;
            }
            if waiting > LIVE_FIRST
                && let Bytes::Plain(file) = &reader.bytes
                && let Ok(again) = file.try_clone()
            {
                let size = file.metadata().map_or(0, |m| m.len());
                let end = line_before(file, size).max(reader.pos.offset);
                let mut past = reader.pos.clone();
                past.end = Some(end);
                set_pos(&mut reader, end);
                self.behind.push_back(Reader::plain(again, past));
            }
            self.live = Some(reader);
        }
    }

    /// Whether the path leads to another file than before; if so, goes over to it.
    fn look_at_path(&mut self) {
        let here = std::fs::metadata(&self.path);
        let here = match &here {
            Ok(meta) if meta.is_file() => meta,
            Ok(_) => return,
            Err(e) => {
                // Rotated away and not made anew yet, or the folder is gone: what is open is read on.
                if e.kind() != io::ErrorKind::NotFound {
                    self.cannot(e);
                }
                return;
            }
        };
        let same = |r: &Reader| r.pos.dev == here.dev() && r.pos.ino == here.ino();
        if self.live.as_ref().is_some_and(same) {
            self.failing = false;
            return;
        }
        for look in 1..=LOOKS {
            let set = siblings(&self.path);
            // Where what we hold stands now.
            let held: Vec<&Reader> = self.before.iter().chain(&self.live).collect();
            let newest = held
                .iter()
                .filter_map(|r| {
                    set.iter()
                        .rposition(|s| s.dev == r.pos.dev && s.ino == r.pos.ino)
                        .or_else(|| find(&set, &r.pos).map(|(at, _)| at))
                })
                .max();
            let heads: Vec<(u32, u64)> =
                held.iter().map(|r| (r.pos.head_len, r.pos.head)).collect();
            // A symbolic link that was switched: the new target has siblings of its own and none of ours.
            let from = newest
                .map(|n| n + 1)
                .filter(|n| *n < set.len())
                .unwrap_or(set.len().saturating_sub(1));
            let newer = self.open_newer(&set, from, &heads);
            if look < LOOKS && !settled(&set, &self.path) {
                std::thread::sleep(PAUSE);
                continue;
            }
            if let Some(mut old) = self.live.take() {
                old.quiet = Instant::now();
                self.before.push_back(old);
            }
            self.place(&set, newer);
            break;
        }
        if self.live.is_some() {
            self.failing = false;
        }
    }

    /// The next whole lines, if there are any. `buf` is overwritten.
    pub fn next(&mut self, buf: &mut Vec<u8>) -> Got {
        // Twice at most: what is new after a rotation is worth a second look.
        for round in 0..2 {
            let mut i = 0;
            while i < self.before.len() {
                let Some(reader) = self.before.get_mut(i) else {
                    break;
                };
                match reader.read(buf) {
                    Read1::Lines => return Got::Lines(Lane::Live),
                    Read1::Nothing if !reader.closed && reader.quiet.elapsed() < DRAINED => i += 1,
                    Read1::Nothing if !reader.closed => {
                        // The writer has gone over: a last line without an end is all that can be left.
                        reader.closed = true;
                    }
                    Read1::Nothing | Read1::Replaced => {
                        self.before.remove(i);
                    }
                    Read1::Failed(e) => {
                        self.said.push(format!(
                            "a rotated copy of {} cannot be read on: {e}",
                            self.path.display()
                        ));
                        self.before.remove(i);
                    }
                }
            }
            if let Some(reader) = &mut self.live {
                match reader.read(buf) {
                    Read1::Lines => return Got::Lines(Lane::Live),
                    Read1::Nothing => {}
                    Read1::Replaced => {
                        self.truncated();
                        continue;
                    }
                    Read1::Failed(e) => self.cannot(&e),
                }
            }
            if round == 0 {
                let had = self.live.as_ref().map(|r| (r.pos.dev, r.pos.ino));
                self.look_at_path();
                if self.live.as_ref().map(|r| (r.pos.dev, r.pos.ino)) == had {
                    break;
                }
            }
        }
        while let Some(reader) = self.behind.front_mut() {
            match reader.read(buf) {
                Read1::Lines => return Got::Lines(Lane::Behind),
                Read1::Replaced => {
                    // Truncated under our hands: its copy may be there.
                    let pos = reader.pos.clone();
                    self.behind.pop_front();
                    let set = siblings(&self.path);
                    if let Some((_, Ok(copy))) = find(&set, &pos) {
                        self.behind.push_front(copy);
                    }
                }
                Read1::Nothing => {
                    self.behind.pop_front();
                }
                Read1::Failed(e) => {
                    self.said.push(format!(
                        "an older part of {} cannot be read: {e}",
                        self.path.display()
                    ));
                    self.behind.pop_front();
                }
            }
        }
        Got::Nothing
    }

    /// The file was emptied and begun anew where it is (copytruncate): what was not read yet stands in its copy.
    fn truncated(&mut self) {
        let Some(mut reader) = self.live.take() else {
            return;
        };
        let set: Vec<Sibling> = siblings(&self.path)
            .into_iter()
            .filter(|s| s.ino != reader.pos.ino || s.dev != reader.pos.dev)
            .collect();
        match find(&set, &reader.pos) {
            Some((_, Ok(mut copy))) => {
                copy.closed = true;
                self.before.push_back(copy);
            }
            _ => self.said.push(format!(
                "{} was truncated and no copy of what it held was found: up to then, all of it had been read but its last moments",
                self.path.display()
            )),
        }
        reader.pos.offset = 0;
        reader.pos.head_len = 0;
        reader.pos.head = fingerprint(&[]);
        self.live = Some(reader);
    }
}

fn set(pos: &mut Position, file: &File, offset: u64) {
    pos.offset = offset;
    let len = offset.min(HEAD as u64) as u32;
    if let Some(head) = head_of(file, len) {
        (pos.head_len, pos.head) = (len, head);
    }
}

fn set_pos(reader: &mut Reader, offset: u64) {
    if let Bytes::Plain(file) = &reader.bytes {
        set(&mut reader.pos, file, offset);
    }
}

/// The end of the last whole line before `at`.
fn line_before(file: &File, at: u64) -> u64 {
    let mut buf = vec![0; MAX_LINE];
    let from = at.saturating_sub(MAX_LINE as u64);
    let want = usize::try_from(at - from).unwrap_or(MAX_LINE);
    buf.truncate(want);
    match read_at(file, &mut buf, from) {
        Ok(n) => {
            buf.truncate(n);
            memchr::memrchr(b'\n', &buf).map_or(from, |end| from + end as u64 + 1)
        }
        Err(_) => at,
    }
}

/// The file of a position where it was opened, for what a link led to.
fn elsewhere(pos: &Position) -> Option<Reader> {
    let file = File::open(&pos.real).ok()?;
    let meta = file.metadata().ok().filter(|m| m.is_file())?;
    let same = meta.dev() == pos.dev
        && meta.ino() == pos.ino
        && meta.len() >= pos.offset
        && head_of(&file, pos.head_len) == Some(pos.head);
    same.then(|| Reader::plain(file, pos.clone()))
}

/// The file that a position is about, wherever it is now.
fn find(set: &[Sibling], pos: &Position) -> Option<(usize, io::Result<Reader>)> {
    let open = |s: &Sibling| -> io::Result<Reader> {
        let file = File::open(&s.path)?;
        let mut pos = pos.clone();
        (pos.dev, pos.ino) = (s.dev, s.ino);
        if s.packed {
            let offset = pos.offset;
            Reader::packed(file, pos, offset)
        } else {
            Ok(Reader::plain(file, pos))
        }
    };
    let begins_so = |s: &Sibling| {
        s.size >= pos.offset
            && File::open(&s.path)
                .ok()
                .and_then(|f| head_of(&f, pos.head_len))
                == Some(pos.head)
    };
    let same = |s: &Sibling| !s.packed && s.dev == pos.dev && s.ino == pos.ino && begins_so(s);
    // Without a fingerprint only the inode tells.
    let known = pos.head_len > 0;
    let copy = |s: &Sibling| known && !s.packed && begins_so(s);
    let packed =
        |s: &Sibling| known && s.packed && head_inside(&s.path, pos.head_len) == Some(pos.head);
    let at = set
        .iter()
        .rposition(same)
        .or_else(|| set.iter().rposition(copy))
        .or_else(|| set.iter().rposition(packed))?;
    Some((at, open(set.get(at)?)))
}
