//! Follows one log file as it grows, through every way in which logs are rotated, from positions that survive a crash.
//!
//! A [`Position`] names a file by device, inode and fingerprints of its first bytes and of those before the place where reading
//! stopped, and says how much of it was taken in. Every file of the set (the log and its rotated copies) has one, also those that
//! are done with. So a look at the set decides by one rule, at the start and while it runs: a file that a position is about
//! (renamed: same inode; copied or packed: same bytes) is read on from there, any other file was never read and is read from its
//! beginning. Where nothing was taken in of a file yet, nothing has to be known of it either.
//!
//! Where much is waiting at the start, the last part of the file is followed at once and what lies before it is read behind it. A
//! connection may lie across that cut: the lines before it come first of all, as [`Lane::Known`], for whoever joins lines.

mod set;
#[cfg(test)]
mod tests;

use crate::source::unpack::{Stream, unpacked};
use serde::{Deserialize, Serialize};
use set::{Heads, Sibling, settled, siblings};
use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// So many first bytes, and so many last ones, tell a file from another one.
const HEAD: usize = 256;
/// At most so much is handed out at once.
const CHUNK: usize = 256 * 1024;
/// A line longer than this is cut, as everywhere.
const MAX_LINE: usize = 64 * 1024;
/// With more than this waiting at the start, the end is followed first.
const LIVE_FIRST: u64 = 16 << 20;
/// So much before the end is followed with it: an attack that goes on at the start has its beginning there.
const RECENT: u64 = 1 << 20;
/// Of a log that was never read before, so much is looked at for its past.
const FIRST_PAST: u64 = 64 << 20;
/// A writer may go on with a renamed file until it is told; after so long without a byte it has been.
const DRAINED: Duration = Duration::from_secs(60);
/// A rotation leaves no log for a moment; after so long it is gone.
const GONE: Duration = Duration::from_secs(5);
/// A folder's time goes in ticks of the kernel's clock: of a change so shortly before a look, the look may have missed a part.
const TICK: Duration = Duration::from_millis(20);
/// Positions of files that are gone and may come back (a disk that is mounted again).
const REMEMBERED: usize = 1000;

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
    /// How many bytes before `offset` this fingerprint covers; 0: not known.
    pub tail_len: u32,
    pub tail: u64,
    /// Where to stop, for what is read behind the end of the file.
    pub end: Option<u64>,
    /// Where the file was when it was opened, links followed: what a link led to is not among the copies beside the link.
    pub real: PathBuf,
    /// No more is expected of it.
    pub done: bool,
}

/// Which order lines belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    Live,
    /// Older than what is read live.
    Behind,
    /// What lies right before the live ones, and comes behind once more: what they say counts there.
    Known,
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
    /// The last bytes that were taken in.
    recent: Vec<u8>,
    /// Without news since then.
    quiet: Instant,
    /// No more will come: the last line counts although nothing ends it.
    closed: bool,
    /// The file was emptied or written anew under our hands: what is left to read of it stands in a copy.
    lost: bool,
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

/// Up to `most` bytes from `offset` on.
fn piece(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let got = read_at(file, &mut bytes, offset)?;
    bytes.truncate(got);
    Ok(bytes)
}

impl Position {
    /// Of a file of which nothing was taken in.
    fn new(meta: &Metadata, real: PathBuf) -> Position {
        Position {
            dev: meta.dev(),
            ino: meta.ino(),
            offset: 0,
            head_len: 0,
            head: fingerprint(&[]),
            tail_len: 0,
            tail: fingerprint(&[]),
            end: None,
            real,
            done: false,
        }
    }

    /// Whether a file begins as the one that this is about.
    fn begins(&self, head: &[u8]) -> bool {
        head.get(..self.head_len as usize)
            .is_some_and(|h| fingerprint(h) == self.head)
    }

    /// The file begins like this.
    fn knows(&mut self, head: &[u8]) {
        (self.head_len, self.head) = (head.len() as u32, fingerprint(head));
    }

    /// Whether what was taken in stands in this file, at the same place.
    fn stands_in(&self, file: &File) -> bool {
        let size = file.metadata().map_or(0, |m| m.len());
        let tail = || {
            let from = self.offset.checked_sub(u64::from(self.tail_len))?;
            let bytes = piece(file, from, self.tail_len as usize).ok()?;
            (bytes.len() == self.tail_len as usize).then(|| fingerprint(&bytes))
        };
        size >= self.offset
            && piece(file, 0, self.head_len as usize).is_ok_and(|h| self.begins(&h))
            && tail() == Some(self.tail)
    }

    /// Whether anything has to be known of the file: one of which nothing was taken in is read like any other.
    fn counts(&self) -> bool {
        self.offset > 0 || self.end.is_some()
    }

    fn is_of(&self, s: &Sibling) -> bool {
        self.dev == s.dev && self.ino == s.ino
    }
}

enum Read1 {
    Lines,
    Nothing,
    /// The file is not what it was.
    Replaced,
    Failed(io::Error),
}

impl Reader {
    fn plain(file: File, pos: Position) -> Reader {
        let len = pos.offset.min(HEAD as u64);
        let recent = piece(&file, pos.offset - len, len as usize).unwrap_or_default();
        let mut reader = Reader {
            bytes: Bytes::Plain(file),
            pos,
            recent,
            quiet: Instant::now(),
            closed: false,
            lost: false,
        };
        reader.mark();
        reader
    }

    /// The file from its beginning.
    fn fresh(path: &Path) -> io::Result<Reader> {
        let file = File::open(path)?;
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let pos = Position::new(&file.metadata()?, real);
        if set::is_packed(path) {
            return Reader::packed(file, pos);
        }
        let mut reader = Reader::plain(file, pos);
        reader.learn();
        Ok(reader)
    }

    fn packed(file: File, pos: Position) -> io::Result<Reader> {
        let mut stream = unpacked(Box::new(file));
        io::copy(&mut (&mut stream).take(pos.offset), &mut io::sink())?;
        Ok(Reader {
            bytes: Bytes::Packed(stream, Vec::new()),
            pos,
            recent: Vec::new(),
            quiet: Instant::now(),
            closed: true,
            lost: false,
        })
    }

    fn of(path: &Path, packed: bool, pos: Position) -> io::Result<Reader> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let pos = Position {
            dev: meta.dev(),
            ino: meta.ino(),
            done: false,
            ..pos
        };
        if packed {
            Reader::packed(file, pos)
        } else {
            Ok(Reader::plain(file, pos))
        }
    }

    /// A second reader of the same open file.
    fn again(&self, pos: Position) -> Option<Reader> {
        match &self.bytes {
            Bytes::Plain(file) => Some(Reader::plain(file.try_clone().ok()?, pos)),
            Bytes::Packed(..) => None,
        }
    }

    /// Reads what lies right before `end`, not further back than `from`.
    fn lead_in(&self, end: u64, from: u64) -> Option<Reader> {
        let Bytes::Plain(file) = &self.bytes else {
            return None;
        };
        let offset = match end.saturating_sub(RECENT) {
            begin if begin > from => line_before(file, begin).max(from),
            _ => from,
        };
        self.again(Position {
            offset,
            end: Some(end),
            ..self.pos.clone()
        })
    }

    fn size(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::Plain(file) => file.metadata().ok().map(|m| m.len()),
            Bytes::Packed(..) => None,
        }
    }

    /// Learns more of how the file begins, while it is short; also of what is not taken in yet, for it may be copied away before
    /// it is.
    fn learn(&mut self) {
        let Bytes::Plain(file) = &self.bytes else {
            return;
        };
        if self.pos.head_len as usize >= HEAD {
            return;
        }
        // One read: what was known and what is new have to be of the same file.
        if let Ok(head) = piece(file, 0, HEAD)
            && self.pos.begins(&head)
        {
            self.pos.knows(&head);
        }
    }

    fn mark(&mut self) {
        self.pos.tail_len = self.recent.len() as u32;
        self.pos.tail = fingerprint(&self.recent);
    }

    /// Goes on behind what was taken in.
    fn took(&mut self, lines: &[u8]) {
        self.pos.offset += lines.len() as u64;
        let from = lines.len().saturating_sub(HEAD);
        self.recent
            .extend_from_slice(lines.get(from..).unwrap_or_default());
        let over = self.recent.len().saturating_sub(HEAD);
        self.recent.drain(..over);
        self.mark();
        self.quiet = Instant::now();
    }

    /// Puts whole lines into `buf`; `room` is where they are read to first.
    fn read(&mut self, buf: &mut Vec<u8>, room: &mut Vec<u8>) -> Read1 {
        buf.clear();
        match &mut self.bytes {
            Bytes::Plain(file) => {
                let left = self
                    .pos
                    .end
                    .map_or(u64::MAX, |e| e.saturating_sub(self.pos.offset));
                let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                room.resize(CHUNK, 0);
                let room = room.get_mut(..want).unwrap_or_default();
                let got = match read_at(file, room, self.pos.offset) {
                    Ok(n) => room.get(..n).unwrap_or_default(),
                    Err(e) => return Read1::Failed(e),
                };
                // Looked at after reading: what was read is of the file that is what it was.
                if !self.pos.stands_in(file) {
                    return Read1::Replaced;
                }
                // How it begins is learned of the file that was read, not of one that has taken its place since.
                if (self.pos.head_len as usize) < HEAD {
                    match piece(file, 0, HEAD) {
                        Ok(head)
                            if self.pos.begins(&head) && goes_on(&head, self.pos.offset, got) =>
                        {
                            self.pos.knows(&head);
                        }
                        Ok(_) => return Read1::Replaced,
                        Err(e) => return Read1::Failed(e),
                    }
                }
                let cut = whole(got, self.closed || self.pos.end.is_some());
                buf.extend_from_slice(got.get(..cut).unwrap_or_default());
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
                if self.pos.offset == 0 {
                    let head = buf.get(..HEAD.min(buf.len())).unwrap_or_default();
                    self.pos.knows(head);
                }
            }
        }
        if buf.is_empty() {
            return Read1::Nothing;
        }
        self.took(buf);
        Read1::Lines
    }
}

/// Whether a file that begins with `head` has `got` at `offset`, as far as the head reaches.
fn goes_on(head: &[u8], offset: u64, got: &[u8]) -> bool {
    let from = usize::try_from(offset).unwrap_or(HEAD);
    let now = head.get(from..).unwrap_or_default();
    let both = now.len().min(got.len());
    (head.len() == HEAD || now.len() >= got.len()) && now.get(..both) == got.get(..both)
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

/// The end of the last whole line before `at`.
fn line_before(file: &File, at: u64) -> u64 {
    let from = at.saturating_sub(MAX_LINE as u64);
    let want = usize::try_from(at - from).unwrap_or(MAX_LINE);
    match piece(file, from, want) {
        Ok(buf) => memchr::memrchr(b'\n', &buf).map_or(from, |end| from + end as u64 + 1),
        Err(_) => at,
    }
}

/// How often a look is made anew while a rotation goes on: at the start, where everything depends on it, and later, where what
/// is open is read on meanwhile. And the pause between two.
const LOOKS: (u32, u32) = (2000, 25);
const PAUSE: Duration = Duration::from_millis(2);

/// What a file is to be taken for of which nothing is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// Never read.
    New,
    /// The log is new to us: its copies are no business of ours.
    Past,
}

/// What a look at the set decided.
#[derive(Default)]
struct Plan {
    /// By the place of their file in the set.
    readers: Vec<(usize, Reader)>,
    /// What is not in the set any more, but where it was.
    elsewhere: Vec<Reader>,
    done: Vec<Position>,
    empty: Vec<PathBuf>,
    said: Vec<String>,
    /// The log itself could not be opened.
    failed: Option<io::Error>,
    /// The log is a copy of that file (device, inode) and takes its place.
    moved: Option<(u64, u64)>,
}

/// One log that is followed.
pub struct Follow {
    pub path: PathBuf,
    live: Option<Reader>,
    /// Read before what is live, oldest first: what was rotated away.
    before: VecDeque<Reader>,
    /// Read when there is nothing else to do, oldest first.
    behind: VecDeque<Reader>,
    /// Read first of all, and again behind.
    known: Option<Reader>,
    /// Files of the set of which everything was taken in.
    done: Vec<Position>,
    /// Copies without a byte. What they are is said by the first one: it may be a copy in the making of what is read already.
    empty: Vec<PathBuf>,
    heads: Heads,
    room: Vec<u8>,
    /// The folder's time when the set was looked at last, and when that was.
    looked: Option<(SystemTime, SystemTime)>,
    /// The path leads nowhere since then.
    missing: Option<Instant>,
    /// What to tell people: gaps, files that cannot be read.
    pub said: Vec<String>,
    /// What cannot be read was said once.
    failing: bool,
}

impl Follow {
    /// Goes on from `positions`; without any, the log is new to us: its end is followed and its past is read behind, unless it
    /// is to be read from the beginning, with all that was rotated away.
    pub fn start(path: &Path, positions: Vec<Position>, from_the_beginning: bool) -> Follow {
        let mut f = Follow {
            path: path.to_owned(),
            live: None,
            before: VecDeque::new(),
            behind: VecDeque::new(),
            known: None,
            done: Vec::new(),
            empty: Vec::new(),
            heads: Heads::default(),
            room: Vec::new(),
            looked: None,
            missing: None,
            said: Vec::new(),
            failing: false,
        };
        if positions.is_empty() && !from_the_beginning {
            f.look(Vec::new(), Unknown::Past, LOOKS.0);
            f.follow_end();
        } else {
            f.look(positions, Unknown::New, LOOKS.0);
        }
        f
    }

    /// The positions to go on from: to be committed together with what was made of the lines.
    pub fn positions(&self) -> Vec<Position> {
        let open = self.behind.iter().chain(&self.before).chain(&self.live);
        let open = open.map(|r| r.pos.clone());
        self.done.iter().cloned().chain(open).collect()
    }

    /// Whether something older is still to be taken in.
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    pub fn is_open(&self) -> bool {
        self.live.is_some() && self.missing.is_none_or(|since| since.elapsed() < GONE)
    }

    /// Of a log that is new to us: what is there already is read behind what comes.
    fn follow_end(&mut self) {
        let Some(live) = &mut self.live else { return };
        let Bytes::Plain(file) = &live.bytes else {
            return;
        };
        let end = line_before(file, live.size().unwrap_or(0).saturating_sub(RECENT));
        if end == 0 {
            return;
        }
        let from = match end.checked_sub(FIRST_PAST) {
            Some(from) if from > 0 => line_before(file, from),
            _ => 0,
        };
        let at = |offset, end| Position {
            offset,
            end,
            ..live.pos.clone()
        };
        let past = live.again(at(from, Some(end)));
        let Some(next) = live.again(at(end, None)) else {
            return;
        };
        self.known = live.lead_in(end, from);
        self.behind.extend(past);
        *live = next;
    }

    fn cannot(&mut self, e: &io::Error) {
        if !self.failing {
            self.said
                .push(format!("{} cannot be read: {e}", self.path.display()));
        }
        self.failing = true;
    }

    fn readers(&self) -> impl Iterator<Item = &Reader> {
        self.behind.iter().chain(&self.before).chain(&self.live)
    }

    /// Looks at the log and its rotated copies, and decides what is to be read of each. `resumed`: positions of an earlier run.
    /// While the set does not come to rest nothing is decided: what is missing in one moment is there in the next.
    fn look(&mut self, resumed: Vec<Position>, unknown: Unknown, looks: u32) {
        for look in 1..=looks {
            let begin = SystemTime::now();
            let time = set::folder_time(&self.path);
            let also: Vec<PathBuf> = resumed
                .iter()
                .chain(self.readers().map(|r| &r.pos))
                .filter(|p| !p.done)
                .map(|p| p.real.clone())
                .collect();
            let set = siblings(&self.path, &also);
            // After the list: whatever was copied or packed by then was in what is open before.
            for r in self.live.iter_mut().chain(&mut self.before) {
                if !r.lost {
                    r.learn();
                }
            }
            let plan = self.plan(&set, &resumed, unknown);
            let at_last = look == looks && looks == LOOKS.0;
            let followed = |s: &Sibling| {
                let open = self.readers().map(|r| &r.pos);
                resumed.iter().chain(open).any(|p| p.is_of(s))
            };
            if at_last || settled(&set, &siblings(&self.path, &also), followed) {
                self.looked = time.map(|t| (t, begin));
                self.carry_out(&set, plan);
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn plan(&mut self, set: &[Sibling], resumed: &[Position], unknown: Unknown) -> Plan {
        let mut plan = Plan::default();
        let mut claimed: Vec<bool> = set
            .iter()
            .map(|s| self.readers().any(|r| !r.lost && r.pos.is_of(s)))
            .collect();
        // What has to be found: where an earlier run stopped, and what was lost under our hands.
        let lost: Vec<Position> = self
            .readers()
            .filter(|r| r.lost)
            .map(|r| r.pos.clone())
            .collect();
        let last = resumed.iter().rposition(|p| !p.done);
        let wanted = resumed.iter().enumerate().map(|(i, p)| (p, Some(i)));
        let wanted: Vec<(&Position, Option<usize>)> = wanted
            .chain(lost.iter().map(|p| (p, None)))
            .filter(|(p, _)| !p.done && p.counts())
            .collect();
        for (pos, resumed_at) in &wanted {
            let found = self.heads.find(set, pos, |i| {
                // Of two that are alike, one that nobody holds.
                claimed.get(i).copied().unwrap_or(false)
            });
            if let Some((at, s)) = found {
                match Reader::of(&s.path, s.packed, (*pos).clone()) {
                    Ok(mut reader) => {
                        // A copy of what was emptied gets no more.
                        reader.closed |= resumed_at.is_none();
                        plan.readers.push((at, reader));
                    }
                    Err(e) => plan
                        .said
                        .push(format!("{} cannot be read on: {e}", s.path.display())),
                }
                if let Some(c) = claimed.get_mut(at) {
                    *c = true;
                }
            } else if let Some(reader) = elsewhere(pos) {
                plan.elsewhere.push(reader);
            } else if resumed_at.is_none() {
                plan.said.push(format!(
                    "{} was truncated and no copy of what it held was found: up to then, all of it had been read but its last moments",
                    self.path.display()
                ));
            } else {
                if *resumed_at == last {
                    plan.said.push(format!(
                        "what {} held when it was read last is gone: lines written after that may be missing (rotated away, or truncated)",
                        self.path.display()
                    ));
                }
                // It may come back, and is not new then.
                plan.done.push(Position {
                    done: true,
                    ..(*pos).clone()
                });
            }
        }
        let known: Vec<Position> = self.done.iter().chain(resumed).cloned().collect();
        let known: Vec<&Position> = known.iter().filter(|p| p.done).collect();
        let mut found = vec![false; known.len()];
        let open: Vec<Position> = self
            .readers()
            .filter(|r| !r.lost)
            .map(|r| r.pos.clone())
            .chain(wanted.iter().map(|(p, _)| (*p).clone()))
            .collect();
        for (at, s) in set.iter().enumerate() {
            if claimed.get(at).copied().unwrap_or(false) {
                continue;
            }
            if !s.current && s.size == 0 {
                plan.empty.push(s.path.clone());
                continue;
            }
            // Most are where they were.
            let itself = known.iter().position(|p| p.is_of(s));
            let itself = itself.filter(|i| known.get(*i).is_some_and(|p| self.heads.is(s, p)));
            let found_at = itself.or_else(|| known.iter().position(|p| self.heads.is(s, p)));
            if let Some((i, pos)) = found_at.and_then(|i| Some((i, (*known.get(i)?).clone()))) {
                if let Some(f) = found.get_mut(i) {
                    *f = true;
                }
                // Written on after all, or the log again.
                if !s.packed && (s.current || s.size > pos.offset) {
                    match Reader::of(&s.path, false, pos) {
                        Ok(reader) => plan.readers.push((at, reader)),
                        Err(e) if s.current => plan.failed = Some(e),
                        Err(_) => {}
                    }
                } else {
                    plan.done.push(Position {
                        dev: s.dev,
                        ino: s.ino,
                        ..pos
                    });
                }
                continue;
            }
            let alike = |p: &&Position| self.heads.is(s, p) && self.heads.surely(s, p);
            if let Some(pos) = open.iter().find(alike) {
                // A copy of what is being read: of no use until the other one is emptied, unless it takes its place.
                if s.current
                    && pos.end.is_none()
                    && let Ok(reader) = Reader::of(&s.path, false, pos.clone())
                {
                    plan.readers.push((at, reader));
                    plan.moved = Some((pos.dev, pos.ino));
                }
                continue;
            }
            if !s.current && self.heads.is_copy(s, set.iter().find(|s| s.current)) {
                continue;
            }
            if unknown == Unknown::Past && !s.current {
                plan.done.push(self.heads.past(s));
                continue;
            }
            match Reader::fresh(&s.path) {
                Ok(reader) => plan.readers.push((at, reader)),
                Err(e) if s.current => plan.failed = Some(e),
                Err(e) => {
                    plan.said
                        .push(format!("{} cannot be read: {e}", s.path.display()));
                    plan.done.push(self.heads.past(s));
                }
            }
        }
        let gone = known.iter().zip(&found).filter(|(_, found)| !**found);
        let gone: Vec<Position> = gone.map(|(p, _)| (*p).clone()).collect();
        let over = gone.len().saturating_sub(REMEMBERED);
        plan.done.splice(0..0, gone.into_iter().skip(over));
        plan
    }

    /// Puts readers in the order in which they are to be read.
    fn carry_out(&mut self, set: &[Sibling], plan: Plan) {
        let place = |r: &Reader| set.iter().position(|s| r.pos.is_of(s));
        self.done = plan.done;
        self.empty = plan.empty;
        self.said.extend(plan.said);
        // All of what was moved stands in its successor.
        let stays = |r: &Reader| !r.lost && plan.moved != Some((r.pos.dev, r.pos.ino));
        self.before.retain(stays);
        self.behind.retain(|r| !r.lost);
        self.live = self.live.take().filter(stays);
        let current = set.iter().position(|s| s.current);
        let mut readers = plan.readers;
        if let Some(mut old) = self.live.take() {
            if current.is_none() || place(&old) == current {
                self.live = Some(old);
            } else {
                old.quiet = Instant::now();
                self.before.push_back(old);
            }
        }
        let waiting: u64 = readers
            .iter()
            .filter(|(_, r)| r.pos.end.is_none())
            .map(|(at, r)| {
                set.get(*at)
                    .map_or(0, |s| s.size.saturating_sub(r.pos.offset))
            })
            .sum();
        readers.sort_by_key(|(at, r)| (*at, r.pos.end.is_none()));
        let much = waiting > LIVE_FIRST;
        self.before.extend(plan.elsewhere);
        for (at, mut reader) in readers {
            if reader.pos.end.is_some() {
                self.behind.push_back(reader);
            } else if Some(at) != current {
                if much {
                    self.behind.push_back(reader);
                } else {
                    self.before.push_back(reader);
                }
            } else {
                if much && let Bytes::Plain(file) = &reader.bytes {
                    let size = reader.size().unwrap_or(0);
                    let end = line_before(file, size.saturating_sub(RECENT)).max(reader.pos.offset);
                    let at = |offset, end| Position {
                        offset,
                        end,
                        ..reader.pos.clone()
                    };
                    let past = reader.again(at(reader.pos.offset, Some(end)));
                    let next = reader.again(at(end, None));
                    if let (Some(past), Some(next)) = (past, next) {
                        self.known = reader.lead_in(end, reader.pos.offset);
                        self.behind.push_back(past);
                        reader = next;
                        reader.learn();
                    }
                }
                self.live = Some(reader);
            }
        }
        // Oldest first; what is in no folder any more is older than all that is.
        self.before
            .make_contiguous()
            .sort_by_key(|r| place(r).map_or(0, |at| at + 1));
        match plan.failed {
            Some(e) => self.cannot(&e),
            None if self.live.is_some() => self.failing = false,
            None => {}
        }
    }

    /// Whether the set may be another one than at the last look.
    fn changed(&mut self) -> bool {
        if self.readers().any(|r| r.lost) {
            return true;
        }
        match std::fs::metadata(&self.path) {
            Ok(meta) if meta.is_file() => {
                self.missing = None;
                let same = |r: &Reader| r.pos.dev == meta.dev() && r.pos.ino == meta.ino();
                if !self.live.as_ref().is_some_and(same) {
                    return true;
                }
            }
            Ok(_) => return false,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // Rotated away and not made anew yet, or the folder is gone: what is open is read on.
                if self.missing.is_none() {
                    self.missing = Some(Instant::now());
                }
                if self.live.is_none() {
                    self.cannot(&e);
                }
            }
            Err(e) => {
                self.cannot(&e);
                return false;
            }
        }
        let written = |p: &PathBuf| std::fs::metadata(p).is_ok_and(|m| m.len() > 0);
        if self.empty.iter().any(written) {
            return true;
        }
        let Some(time) = set::folder_time(&self.path) else {
            return false;
        };
        self.looked.is_none_or(|(then, at)| {
            let sure = at.duration_since(time).is_ok_and(|d| d > TICK);
            then != time || !sure
        })
    }

    /// The next whole lines, if there are any. `buf` is overwritten.
    pub fn next(&mut self, buf: &mut Vec<u8>) -> Got {
        // What is lost under our hands is looked for and read at once; a log that is emptied again and again waits.
        for _ in 0..4 {
            if self.changed() {
                self.look(Vec::new(), Unknown::New, LOOKS.1);
            }
            if let Some(got) = self.read(buf) {
                return got;
            }
            if !self.readers().any(|r| r.lost) {
                break;
            }
        }
        Got::Nothing
    }

    fn read(&mut self, buf: &mut Vec<u8>) -> Option<Got> {
        if let Some(known) = &mut self.known {
            if matches!(known.read(buf, &mut self.room), Read1::Lines) {
                return Some(Got::Lines(Lane::Known));
            }
            self.known = None;
        }
        let mut i = 0;
        while let Some(reader) = self.before.get_mut(i) {
            match reader.read(buf, &mut self.room) {
                Read1::Lines => return Some(Got::Lines(Lane::Live)),
                Read1::Nothing if reader.closed => self.drop_before(i),
                Read1::Nothing if reader.quiet.elapsed() < DRAINED => i += 1,
                // The writer has gone over: a last line without an end is all that can be left.
                Read1::Nothing => reader.closed = true,
                Read1::Replaced => {
                    reader.lost = true;
                    i += 1;
                }
                Read1::Failed(e) => {
                    self.said.push(format!(
                        "a rotated copy of {} cannot be read on: {e}",
                        self.path.display()
                    ));
                    self.drop_before(i);
                }
            }
        }
        if self.before.iter().any(|r| r.lost) {
            return None;
        }
        if let Some(reader) = &mut self.live {
            match reader.read(buf, &mut self.room) {
                Read1::Lines => return Some(Got::Lines(Lane::Live)),
                Read1::Nothing => {}
                Read1::Replaced => {
                    reader.lost = true;
                    return None;
                }
                Read1::Failed(e) => self.cannot(&e),
            }
        }
        while let Some(reader) = self.behind.front_mut() {
            match reader.read(buf, &mut self.room) {
                Read1::Lines => return Some(Got::Lines(Lane::Behind)),
                Read1::Replaced => {
                    reader.lost = true;
                    return None;
                }
                Read1::Nothing => self.drop_behind(),
                Read1::Failed(e) => {
                    self.said.push(format!(
                        "an older part of {} cannot be read: {e}",
                        self.path.display()
                    ));
                    self.drop_behind();
                }
            }
        }
        None
    }

    fn drop_before(&mut self, i: usize) {
        if let Some(r) = self.before.remove(i) {
            self.is_done(r.pos);
        }
    }

    fn drop_behind(&mut self) {
        if let Some(r) = self.behind.pop_front() {
            self.is_done(r.pos);
        }
    }

    fn is_done(&mut self, pos: Position) {
        // A part of a file that is still read ends with its reader.
        if pos.end.is_none() && pos.counts() {
            self.done.push(Position { done: true, ..pos });
        }
    }
}

/// The file of a position where it was opened, for what a link led to.
fn elsewhere(pos: &Position) -> Option<Reader> {
    let file = File::open(&pos.real).ok()?;
    let meta = file.metadata().ok().filter(|m| m.is_file())?;
    let same = meta.dev() == pos.dev && meta.ino() == pos.ino && pos.stands_in(&file);
    same.then(|| Reader::plain(file, pos.clone()))
}
