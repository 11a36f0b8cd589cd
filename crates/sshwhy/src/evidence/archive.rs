//! Reads a tar archive entry by entry, without ever writing a file.
//!
//! Nothing is unpacked to disk, so no path can lead anywhere; names that try are refused all the same, since they would be shown as
//! if they were true. Links, devices and directories are passed over. What comes out of the decompressor is bounded in all and for
//! each entry, and so is the number of entries: an archive from a machine that somebody else controls may be a bomb.
//!
//! Formats: ustar (POSIX.1-1988), pax headers (POSIX.1-2001) for `path` and `size`, GNU long names.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes as they come, from wherever.
pub type Stream = Box<dyn Read + Send>;

const BLOCK: usize = 512;
/// Longest name and longest extended header.
const MAX_NAME: usize = 4096;
const MAX_HEADER: u64 = 1 << 20;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Unpacked bytes in all.
    pub bytes: u64,
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 256 << 30,
            entries: 1_000_000,
        }
    }
}

/// The bytes of the archive, behind the decompressor.
struct Tape {
    stream: Stream,
    left: u64,
    /// Bytes of the current entry that were not read, and of its padding.
    entry: u64,
    padding: u64,
    /// The beginning of the current entry, looked at ahead.
    ahead: Vec<u8>,
    error: Option<String>,
}

impl Tape {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = buf
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 && !buf.is_empty() {
            return Err(io::Error::other("unpacks to more than is allowed"));
        }
        let n = self.stream.read(buf.get_mut(..want).unwrap_or_default())?;
        self.left -= n as u64;
        Ok(n)
    }

    /// Fills `buf` or says how much there was.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(room) = buf.get_mut(filled..).filter(|r| !r.is_empty()) {
            match self.read(room) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        let mut buf = vec![0; 64 * 1024];
        while bytes > 0 {
            let want = bytes.min(buf.len() as u64) as usize;
            let n = self.fill(buf.get_mut(..want).unwrap_or_default())?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes -= n as u64;
        }
        Ok(())
    }

    fn read_entry(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let n = self.ahead.len().min(buf.len());
            for (to, from) in buf.iter_mut().zip(self.ahead.drain(..n)) {
                *to = from;
            }
            return Ok(n);
        }
        let want = buf
            .len()
            .min(usize::try_from(self.entry).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let n = self.read(buf.get_mut(..want).unwrap_or_default())?;
        if n == 0 {
            self.entry = 0;
            self.padding = 0;
            self.error = Some("ends in the middle of an entry".to_owned());
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.entry -= n as u64;
        Ok(n)
    }
}

type Shared = Arc<Mutex<Tape>>;

fn lock(tape: &Shared) -> std::sync::MutexGuard<'_, Tape> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    File,
    Folder,
    /// Symbolic.
    Link,
    HardLink,
}

/// What a header says beside the name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    pub kind: EntryKind,
    /// What a link names; nobody has looked whether it leads out.
    pub target: String,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
}

/// Something in the archive: a regular file, unless all was asked for.
pub struct Entry {
    pub name: String,
    pub head: Head,
    tape: Shared,
}

struct EntryStream(Shared);

impl Read for EntryStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        lock(&self.0).read_entry(buf)
    }
}

impl Entry {
    /// The first bytes, without taking them.
    pub fn peek(&self, bytes: usize) -> Vec<u8> {
        let mut tape = lock(&self.tape);
        let missing = bytes.saturating_sub(tape.ahead.len());
        let want = missing.min(usize::try_from(tape.entry).unwrap_or(usize::MAX));
        let mut buf = vec![0; want];
        if let Ok(n) = tape.fill(&mut buf) {
            tape.entry -= n as u64;
            buf.truncate(n);
            tape.ahead.extend(buf);
        }
        tape.ahead.clone()
    }

    /// The entry as it stands in the archive, up to `most` bytes.
    #[cfg(test)]
    pub fn read(&self, most: u64) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        self.stream()
            .take(most)
            .read_to_end(&mut out)
            .map_err(|e| e.to_string())?;
        Ok(out)
    }

    /// What was not read yet. Good until the next entry is asked for.
    pub fn stream(&self) -> Stream {
        Box::new(EntryStream(Arc::clone(&self.tape)))
    }
}

pub struct Archive {
    tape: Shared,
    limits: Limits,
    seen: u64,
    ended: bool,
    /// Entries whose name was refused.
    pub refused: u64,
}

impl Archive {
    /// `stream` is the archive itself, unpacked already.
    pub fn from_stream(stream: Stream, limits: Limits) -> Result<Archive, String> {
        Ok(Archive {
            tape: Arc::new(Mutex::new(Tape {
                stream,
                left: limits.bytes,
                entry: 0,
                padding: 0,
                ahead: Vec::new(),
                error: None,
            })),
            limits,
            seen: 0,
            ended: false,
            refused: 0,
        })
    }

    /// The next regular file. After an error there is no more.
    pub fn next(&mut self) -> Option<Result<Entry, String>> {
        self.step(false)
    }

    /// The next file, folder or link.
    pub fn next_of_all(&mut self) -> Option<Result<Entry, String>> {
        self.step(true)
    }

    fn step(&mut self, all: bool) -> Option<Result<Entry, String>> {
        if self.ended {
            return None;
        }
        match self.advance(all) {
            Ok(Some((name, head))) => Some(Ok(Entry {
                name,
                head,
                tape: Arc::clone(&self.tape),
            })),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(e) => {
                self.ended = true;
                Some(Err(e))
            }
        }
    }

    fn advance(&mut self, all: bool) -> Result<Option<(String, Head)>, String> {
        let mut tape = lock(&self.tape);
        if let Some(e) = tape.error.take() {
            return Err(e);
        }
        tape.ahead.clear();
        let rest = tape.entry + tape.padding;
        (tape.entry, tape.padding) = (0, 0);
        tape.skip(rest).map_err(|e| e.to_string())?;
        let mut long_name: Option<String> = None;
        let mut long_size: Option<u64> = None;
        let mut long_link: Option<String> = None;
        loop {
            let mut header = [0u8; BLOCK];
            match tape.fill(&mut header).map_err(|e| e.to_string())? {
                0 => return Ok(None),
                BLOCK => {}
                _ => return Err("ends in the middle of a header".to_owned()),
            }
            if header.iter().all(|b| *b == 0) {
                return Ok(None);
            }
            self.seen += 1;
            if self.seen > self.limits.entries {
                return Err("more entries than are allowed".to_owned());
            }
            if !checksum_holds(&header) {
                return Err("not a tar archive, or a damaged one".to_owned());
            }
            let field = |from: usize, len: usize| header.get(from..from + len).unwrap_or_default();
            let size = number(field(124, 12)).ok_or("a size that is no number")?;
            let kind = header.get(156).copied().unwrap_or(0);
            let padded = |n: u64| n.div_ceil(BLOCK as u64) * BLOCK as u64 - n;
            match kind {
                b'L' | b'K' | b'x' => {
                    if size > MAX_HEADER {
                        return Err("a header that is too long".to_owned());
                    }
                    let mut bytes = vec![0; size as usize];
                    if tape.fill(&mut bytes).map_err(|e| e.to_string())? < bytes.len() {
                        return Err("ends in the middle of a header".to_owned());
                    }
                    tape.skip(padded(size)).map_err(|e| e.to_string())?;
                    if kind == b'L' {
                        long_name = Some(text(&bytes));
                    } else if kind == b'K' {
                        long_link = Some(text(&bytes));
                    } else {
                        for (key, value) in pax(&bytes) {
                            match key {
                                b"path" => long_name = Some(text(value)),
                                b"linkpath" => long_link = Some(text(value)),
                                b"size" => {
                                    long_size =
                                        std::str::from_utf8(value).ok().and_then(|v| v.parse().ok())
                                }
                                _ => {}
                            }
                        }
                    }
                }
                b'0' | 0 | b'7' | b'1' | b'2' | b'5' if all || matches!(kind, b'0' | 0 | b'7') => {
                    let kind = match kind {
                        b'1' => EntryKind::HardLink,
                        b'2' => EntryKind::Link,
                        b'5' => EntryKind::Folder,
                        _ => EntryKind::File,
                    };
                    let size = long_size.take().unwrap_or(size);
                    let small =
                        |from, len| number(field(from, len)).and_then(|n| u32::try_from(n).ok());
                    let head = Head {
                        kind,
                        target: long_link.take().unwrap_or_else(|| text(field(157, 100))),
                        mode: small(100, 8).unwrap_or(0) & 0o7777,
                        uid: small(108, 8).unwrap_or(0),
                        gid: small(116, 8).unwrap_or(0),
                        size,
                    };
                    let name = long_name.take().unwrap_or_else(|| {
                        let prefix = if field(257, 5) == b"ustar" {
                            text(field(345, 155))
                        } else {
                            String::new()
                        };
                        let name = text(field(0, 100));
                        if prefix.is_empty() {
                            name
                        } else {
                            format!("{prefix}/{name}")
                        }
                    });
                    match safe_name(&name) {
                        Some(name) => {
                            tape.entry = size;
                            tape.padding = padded(size);
                            return Ok(Some((name, head)));
                        }
                        None => {
                            self.refused += 1;
                            tape.skip(size.saturating_add(padded(size)))
                                .map_err(|e| e.to_string())?;
                        }
                    }
                }
                _ => {
                    (long_name, long_size, long_link) = (None, None, None);
                    tape.skip(size.saturating_add(padded(size)))
                        .map_err(|e| e.to_string())?;
                }
            }
        }
    }
}

/// A relative path without `..`, short enough to be one.
fn safe_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let bad = name.is_empty()
        || name.len() > MAX_NAME
        || name.starts_with('/')
        || name.contains('\0')
        || name.split('/').any(|p| p == "..");
    (!bad).then(|| name.to_owned())
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// Octal digits, or (GNU) big-endian with the first bit set.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        let mut n = u64::from(first & 0x7f);
        for b in rest {
            n = n.checked_mul(256)?.checked_add(u64::from(*b))?;
        }
        return Some(n);
    }
    let digits: Vec<u8> = field
        .iter()
        .copied()
        .skip_while(|b| *b == b' ')
        .take_while(u8::is_ascii_digit)
        .collect();
    if digits.is_empty() {
        return field.iter().all(|b| matches!(b, 0 | b' ')).then_some(0);
    }
    u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

fn checksum_holds(header: &[u8; BLOCK]) -> bool {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(i, b)| u64::from(if (148..156).contains(&i) { b' ' } else { *b }))
        .sum();
    number(header.get(148..156).unwrap_or_default()) == Some(sum)
}

/// `LENGTH KEY=VALUE\n` records.
fn pax(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut out = Vec::new();
    while let Some(space) = memchr::memchr(b' ', bytes) {
        let length: Option<usize> = std::str::from_utf8(bytes.get(..space).unwrap_or_default())
            .ok()
            .and_then(|n| n.parse().ok());
        let Some(length) = length.filter(|n| *n > space + 1 && *n <= bytes.len()) else {
            break;
        };
        let record = bytes.get(space + 1..length - 1).unwrap_or_default();
        if let Some(equals) = memchr::memchr(b'=', record) {
            let (key, value) = record.split_at(equals);
            out.push((key, value.get(1..).unwrap_or_default()));
        }
        bytes = bytes.get(length..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn header(name: &str, size: u64, kind: u8) -> Vec<u8> {
        let mut h = vec![0u8; BLOCK];
        h[..name.len()].copy_from_slice(name.as_bytes());
        h[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        h[156] = kind;
        h[257..262].copy_from_slice(b"ustar");
        h[148..156].copy_from_slice(b"        ");
        let sum: u32 = h.iter().map(|b| u32::from(*b)).sum();
        h[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        h
    }

    fn entry(name: &str, content: &[u8], kind: u8) -> Vec<u8> {
        let mut out = header(name, content.len() as u64, kind);
        out.extend(content);
        out.resize(out.len().div_ceil(BLOCK) * BLOCK, 0);
        out
    }

    fn all(bytes: Vec<u8>, limits: Limits) -> (Vec<(String, String)>, Option<String>, u64) {
        let stream = crate::source::unpacked(Box::new(Cursor::new(bytes)));
        let mut a = Archive::from_stream(stream, limits).unwrap();
        let mut out = Vec::new();
        let mut error = None;
        while let Some(e) = a.next() {
            match e {
                Ok(e) => match e.read(1 << 20) {
                    Ok(c) => out.push((e.name, String::from_utf8_lossy(&c).into_owned())),
                    Err(e) => error = Some(e),
                },
                Err(e) => error = Some(e),
            }
        }
        (out, error, a.refused)
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn entries_come_out_plain_and_packed() {
        let long = format!("{}/x", "d".repeat(150));
        let record = format!("path={long}\n");
        let record = format!("{} {record}", record.len() + 4);
        let tar = [
            entry("./a.txt", b"hello", b'0'),
            entry("dir/", b"", b'5'),
            entry("pax", record.as_bytes(), b'x'),
            entry("short", b"long", b'0'),
            entry("././@LongLink", format!("{long}2\0").as_bytes(), b'L'),
            entry("short", b"gnu", b'0'),
            entry("link", b"", b'2'),
            vec![0; 1024],
        ]
        .concat();
        let want = vec![
            pair("a.txt", "hello"),
            pair(&long, "long"),
            pair(&format!("{long}2"), "gnu"),
        ];
        assert_eq!(all(tar.clone(), Limits::default()), (want.clone(), None, 0));
        let packed = zstd::encode_all(Cursor::new(tar), 1).unwrap();
        assert_eq!(all(packed, Limits::default()), (want, None, 0));
    }

    #[test]
    fn names_that_lead_out_are_refused_and_the_rest_is_read() {
        let tar = [
            entry("../etc/passwd", b"x", b'0'),
            entry("/etc/passwd", b"x", b'0'),
            entry("a/../../b", b"x", b'0'),
            entry("a/..b", b"fine", b'0'),
        ]
        .concat();
        assert_eq!(
            all(tar, Limits::default()),
            (vec![pair("a/..b", "fine")], None, 3)
        );
    }

    #[test]
    fn bombs_are_bounded() {
        let big = entry("zeros", &vec![0; 4 << 20], b'0');
        let packed = zstd::encode_all(Cursor::new(big), 1).unwrap();
        assert!(packed.len() < 4096);
        let limits = Limits {
            bytes: 1 << 20,
            entries: 10,
        };
        let (out, error, _) = all(packed, limits);
        assert!(out.is_empty());
        assert!(error.unwrap().contains("more than is allowed"));
        let many: Vec<u8> = (0..50).flat_map(|_| entry("x", b"", b'0')).collect();
        let (out, error, _) = all(many, limits);
        assert_eq!(out.len(), 10);
        assert!(error.unwrap().contains("entries"));
        // A size that nobody can have.
        let mut lie = header("x", 0, b'0');
        lie[124..136].copy_from_slice(&[0xff; 12]);
        lie[148..156].copy_from_slice(b"        ");
        let sum: u32 = lie.iter().map(|b| u32::from(*b)).sum();
        lie[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(all(lie, limits).1.is_some());
    }

    #[test]
    fn damage_is_told_and_costs_only_what_follows() {
        let mut tar = [entry("a", b"first", b'0'), entry("b", &[7; 2000], b'0')].concat();
        tar.truncate(BLOCK * 2 + BLOCK + 100);
        let (out, error, _) = all(tar, Limits::default());
        assert_eq!(out, [pair("a", "first")]);
        assert!(error.is_some());
        let (out, error, _) = all(
            b"not a tar at all, but longer than nothing".repeat(20),
            Limits::default(),
        );
        assert!(out.is_empty() && error.is_some());
        assert_eq!(all(Vec::new(), Limits::default()), (vec![], None, 0));
    }

    #[test]
    fn what_is_looked_at_ahead_is_not_lost() {
        let tar = entry("a", b"0123456789", b'0');
        let mut a = Archive::from_stream(Box::new(Cursor::new(tar)), Limits::default()).unwrap();
        let e = a.next().unwrap().unwrap();
        assert_eq!(e.peek(4), b"0123");
        assert_eq!(e.peek(6), b"012345");
        assert_eq!(e.read(100).unwrap(), b"0123456789");
        assert!(a.next().is_none());
    }
}
