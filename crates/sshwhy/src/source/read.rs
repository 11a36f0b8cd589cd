//! Reads one input as blocks of whole lines, whatever it is packed in and whatever form it has.
//!
//! Plain text costs one `read` into the block and a few scans at memory speed: no byte is looked at one by one, no line
//! is copied except the one that a block's end cuts. Memory is bounded: a block is [`BLOCK`] bytes (transcoders may
//! exceed it by what one piece of input expands to), a line that is longer than [`MAX_LINE`] is cut, and what is held
//! between two blocks is less than one line.
//!
//! Nothing here fails as a whole: what came out before the trouble is delivered, and the trouble is named in
//! [`Outcome::skipped`].

use super::Input;
use super::Origin;
use super::journal::{self, Journals};
use super::open::{self, Opened, Problem};
use super::unpack::{Counted, Failed, Stream, Unpacked, unpack};
use memchr::{memchr, memchr_iter, memrchr};
use sshwhy_core::report::Skipped;
use sshwhy_core::transcode::{
    CarriageReturns, Form, Losses, MAX_LINE, Packing, Sniff, Transcoder,
    cri::Cri,
    export::{Export, Verbose},
    json::Json,
    octet::Octets,
    utf16::Utf16,
    utmp::{self, Utmp},
    winevent::WinEvent,
};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Size of a block in bytes: large enough that a system call costs nothing, small enough for a core's cache.
pub const BLOCK: usize = 1024 * 1024;

/// How much of a binary format is read at once.
const PIECE: usize = 128 * 1024;

/// Whole lines of one input, in order.
#[derive(Debug, Default)]
pub struct Block {
    /// Index of the input, as given to [`Blocks::open`].
    pub file: u32,
    /// Number of the first line, from 1; for a form that is no text, the number of the record.
    pub first_line: u64,
    /// How many lines there are.
    pub lines: u64,
    /// The lines with their newlines; at the end of the input the last may lack its own.
    pub bytes: Vec<u8>,
}

/// What became of an input, when all its blocks were taken.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What could not be read, or only in part.
    pub skipped: Vec<Skipped>,
    /// What was odd and cost nothing that could be read: NULs, another text encoding.
    pub notes: Vec<String>,
}

/// A source of bytes that are lines already.
pub(super) trait Fill: Send {
    /// Puts more bytes into `buf` from `*filled` on and moves `*filled`; `buf` may be longer than what is filled, or be
    /// made longer. `false`: there are no more.
    fn fill(&mut self, buf: &mut Vec<u8>, filled: &mut usize) -> io::Result<bool>;

    fn losses(&self) -> Losses {
        Losses::default()
    }

    /// What was wrong with one of several files, by its name.
    fn problems(&mut self) -> Vec<(String, Problem)> {
        Vec::new()
    }
}

/// Text: read straight into the block.
struct Direct(Stream);

impl Fill for Direct {
    fn fill(&mut self, buf: &mut Vec<u8>, filled: &mut usize) -> io::Result<bool> {
        // Buffers come back at full length, so this writes zeros only the first time.
        if buf.len() < BLOCK {
            buf.resize(BLOCK, 0);
        }
        let n = read_some(&mut self.0, buf.get_mut(*filled..).unwrap_or_default())?;
        *filled += n;
        Ok(n > 0)
    }
}

/// Anything else: read piece by piece and transcoded.
struct Transcoded<T> {
    stream: Stream,
    piece: Vec<u8>,
    transcoder: T,
    ended: bool,
}

impl<T: Transcoder> Transcoded<T> {
    fn new(stream: Stream, transcoder: T) -> Transcoded<T> {
        Transcoded {
            stream,
            piece: vec![0; PIECE],
            transcoder,
            ended: false,
        }
    }
}

impl<T: Transcoder + Send> Fill for Transcoded<T> {
    fn fill(&mut self, buf: &mut Vec<u8>, filled: &mut usize) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        buf.truncate(*filled);
        let read = read_some(&mut self.stream, &mut self.piece);
        match read {
            Ok(n) if n > 0 => self
                .transcoder
                .feed(self.piece.get(..n).unwrap_or_default(), buf),
            // The end, or as good as: the last record may still be of use.
            _ => {
                self.ended = true;
                self.transcoder.finish(buf);
            }
        }
        *filled = buf.len();
        read.map(|_| true)
    }

    fn losses(&self) -> Losses {
        self.transcoder.losses()
    }
}

fn read_some(stream: &mut Stream, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buf) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A regular file up to the size that it had when it was opened, and to the end of the line that was being written then:
/// a log that grows faster than it is read ends too.
struct UpToNow {
    file: File,
    left: u64,
    /// Bytes after that size that may be read to complete a line.
    grace: u64,
    last: u8,
}

impl Read for UpToNow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && (self.last == b'\n' || self.grace == 0) {
            return Ok(0);
        }
        let allowed = if self.left > 0 { self.left } else { self.grace };
        let room = usize::try_from(allowed)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let buf = buf.get_mut(..room).unwrap_or_default();
        let mut n = self.file.read(buf)?;
        if self.left > 0 {
            self.left = self.left.saturating_sub(n as u64);
        } else {
            self.grace = self.grace.saturating_sub(n as u64);
            if let Some(end) = memchr(b'\n', buf.get(..n).unwrap_or_default()) {
                n = end + 1;
            }
        }
        if let Some(&last) = n.checked_sub(1).and_then(|i| buf.get(i)) {
            self.last = last;
        }
        Ok(n)
    }
}

/// One input being read.
pub struct Blocks {
    file: u32,
    name: String,
    /// `None` when it could not be opened or has ended.
    fill: Option<Box<dyn Fill>>,
    /// A file that is read from its beginning to its end.
    regular: bool,
    /// Comes in its own time: a block is handed on as soon as it holds a line.
    live: bool,
    packings: Vec<Packing>,
    carry: Vec<u8>,
    /// Inside a line whose head was delivered: the rest is dropped.
    skipping: bool,
    cut: u64,
    nuls: u64,
    losses: Losses,
    /// Bytes of the file as it lies on the disk, so far.
    raw: Arc<AtomicU64>,
    /// The size that it had when it was opened.
    size: Option<u64>,
    /// Unpacked bytes.
    unpacked: Arc<AtomicU64>,
    lines: u64,
    problems: Vec<Problem>,
    /// The same for one of several files that are read as one log.
    parts: Vec<(String, Problem)>,
    notes: Vec<String>,
}

impl Blocks {
    /// Never fails: what is wrong is told by [`Blocks::finish`].
    pub fn open(input: &Input, file: u32) -> Blocks {
        Blocks::open_patiently(input, file, open::PIPE_PATIENCE)
    }

    fn open_patiently(input: &Input, file: u32, patience: Duration) -> Blocks {
        let mut blocks = Blocks::new(&input.name, file);
        match &input.origin {
            Origin::Stdin => {
                blocks = Blocks::from_stream(&input.name, file, io::stdin());
                blocks.live = true;
            }
            Origin::File(path) => blocks.start_file(path, patience),
            Origin::Journal(paths) => {
                blocks.size = input.size;
                blocks.fill = Some(Box::new(Journals::new(paths, Arc::clone(&blocks.raw))));
                blocks.unpacked = Arc::clone(&blocks.raw);
            }
        }
        blocks
    }

    /// Reads lines from anything.
    pub fn from_stream(name: &str, file: u32, stream: impl Read + Send + 'static) -> Blocks {
        let mut blocks = Blocks::new(name, file);
        let raw = Arc::clone(&blocks.raw);
        blocks.start(Box::new(Counted::new(stream, raw)));
        blocks
    }

    fn new(name: &str, file: u32) -> Blocks {
        Blocks {
            file,
            name: name.to_owned(),
            fill: None,
            regular: false,
            live: false,
            packings: Vec::new(),
            carry: Vec::new(),
            skipping: false,
            cut: 0,
            nuls: 0,
            losses: Losses::default(),
            raw: Arc::default(),
            size: None,
            unpacked: Arc::default(),
            lines: 0,
            problems: Vec::new(),
            parts: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn start_file(&mut self, path: &Path, patience: Duration) {
        match open::open(path, patience) {
            Ok(Opened::Regular { file, size }) => {
                self.size = Some(size);
                self.regular = true;
                let raw = Arc::clone(&self.raw);
                if size == 0 {
                    // Files of /proc have no size and yet a content.
                    self.start(Box::new(Counted::new(file, raw)));
                } else {
                    let now = UpToNow {
                        file,
                        left: size,
                        grace: MAX_LINE as u64,
                        last: 0,
                    };
                    self.start(Box::new(Counted::new(now, raw)));
                }
            }
            Ok(Opened::Pipe { first, rest }) => {
                self.live = true;
                let raw = Arc::clone(&self.raw);
                self.start(Box::new(Counted::new(Cursor::new(first).chain(rest), raw)));
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    fn start(&mut self, stream: Stream) {
        let Unpacked {
            sniff,
            mut head,
            rest,
            packings,
            error,
        } = unpack(stream);
        self.packings = packings;
        let form = match sniff {
            Sniff::Empty => {
                if let Some(e) = error {
                    self.read_failed(&e);
                }
                return;
            }
            Sniff::Packed(packing) => {
                match error {
                    Some(e) => self.read_failed(&e),
                    None => self.problems.push(Problem::new(
                        format!("packed too many times over ({} inside)", packing.name()),
                        "unpack it by hand",
                    )),
                }
                return;
            }
            Sniff::Unreadable(u) => {
                self.problems.push(Problem::new(u.what, u.advice));
                return;
            }
            Sniff::Form(form) => form,
        };
        if form == Form::Lines && head.starts_with(b"\xef\xbb\xbf") {
            head.drain(..3);
        }
        let utmp = utmp::layout(&head).map(|layout| Utmp::new(layout, &head));
        let stream: Stream = match error {
            None => Box::new(Cursor::new(head).chain(rest)),
            Some(e) => Box::new(Cursor::new(head).chain(Failed(Some(e)))),
        };
        let stream: Stream = Box::new(Counted::new(stream, Arc::clone(&self.unpacked)));
        self.fill = match form {
            Form::Lines => Some(Box::new(Direct(stream))),
            Form::CarriageReturns => Some(Box::new(Transcoded::new(stream, CarriageReturns))),
            Form::Utf16 { big_endian } => {
                self.notes.push(format!("{}: is UTF-16 text", self.name));
                Some(Box::new(Transcoded::new(stream, Utf16::new(big_endian))))
            }
            Form::Octets => Some(Box::new(Transcoded::new(stream, Octets::default()))),
            Form::Cri => Some(Box::new(Transcoded::new(stream, Cri::default()))),
            Form::Json => Some(Box::new(Transcoded::new(stream, Json::default()))),
            Form::Export => Some(Box::new(Transcoded::new(stream, Export::default()))),
            Form::Verbose => Some(Box::new(Transcoded::new(stream, Verbose::default()))),
            Form::WindowsXml => Some(Box::new(Transcoded::new(stream, WinEvent::xml()))),
            Form::WindowsText => Some(Box::new(Transcoded::new(stream, WinEvent::text()))),
            Form::Utmp => utmp.map(|t| -> Box<dyn Fill> { Box::new(Transcoded::new(stream, t)) }),
            Form::Journal => self
                .hold_journal(stream)
                .map(|j| -> Box<dyn Fill> { Box::new(j) }),
        };
    }

    /// A journal is read here and there, so one that comes as a stream has to be held.
    fn hold_journal(&mut self, stream: Stream) -> Option<Journals> {
        let mut bytes = Vec::new();
        let read = stream.take(journal::MAX_HELD + 1).read_to_end(&mut bytes);
        if bytes.len() as u64 > journal::MAX_HELD {
            self.problems.push(Problem::new(
                format!(
                    "a journal of more than {} MiB that is packed or comes from a pipe",
                    journal::MAX_HELD >> 20
                ),
                "unpack it into a file first",
            ));
            return None;
        }
        if let Err(e) = read {
            self.read_failed(&e);
        }
        Some(Journals::held(&self.name, bytes, Arc::default()))
    }

    fn read_failed(&mut self, error: &io::Error) {
        let problem = match self.packings.last() {
            Some(packing) if error.raw_os_error().is_none() => {
                let name = packing.name();
                let what = if error.kind() == io::ErrorKind::UnexpectedEof {
                    format!("{name} data that ends in the middle")
                } else if error.kind() == io::ErrorKind::OutOfMemory {
                    format!("{name} data that needs more than 256 MiB of memory")
                } else {
                    format!("damaged {name} data ({error})")
                };
                Problem::new(
                    what,
                    format!(
                        "what came before the damage was read; `{} FILE` tells more, another copy may be whole",
                        packing.check()
                    ),
                )
            }
            _ => Problem::new(
                format!("reading stopped: {error}"),
                "check the disk or the connection; what came before was read",
            ),
        };
        self.problems.push(problem);
    }

    /// The next block, or `None` at the end. `spare` is a buffer to put it in: hand back the one of an earlier block, as
    /// it is, and nothing is allocated.
    pub fn next(&mut self, spare: Vec<u8>) -> Option<Block> {
        let mut buf = spare;
        loop {
            if self.fill.is_none() && self.carry.is_empty() {
                return None;
            }
            let mut filled = self.carry.len();
            if buf.len() < filled {
                buf.resize(filled, 0);
            }
            if let Some(start) = buf.get_mut(..filled) {
                start.copy_from_slice(&self.carry);
            }
            self.carry.clear();
            while filled < BLOCK {
                let Some(fill) = &mut self.fill else { break };
                let before = filled;
                let more = fill.fill(&mut buf, &mut filled);
                self.clean(&mut buf, before, &mut filled);
                match more {
                    Ok(true) => {}
                    Ok(false) => self.ended(),
                    Err(e) => {
                        self.read_failed(&e);
                        self.ended();
                    }
                }
                if self.live
                    && memrchr(b'\n', buf.get(before..filled).unwrap_or_default()).is_some()
                {
                    break;
                }
            }
            self.cut_long_lines(&mut buf, &mut filled);
            let end = match (
                &self.fill,
                memrchr(b'\n', buf.get(..filled).unwrap_or_default()),
            ) {
                (None, _) => filled,
                (Some(_), Some(newline)) => newline + 1,
                (Some(_), None) => 0,
            };
            self.carry
                .extend_from_slice(buf.get(end..filled).unwrap_or_default());
            if end == 0 {
                continue;
            }
            buf.truncate(end);
            let newlines = memchr_iter(b'\n', &buf).count() as u64;
            let lines = newlines + u64::from(buf.last() != Some(&b'\n'));
            let first_line = self.lines + 1;
            self.lines += lines;
            return Some(Block {
                file: self.file,
                first_line,
                lines,
                bytes: buf,
            });
        }
    }

    /// The input has no more to give.
    fn ended(&mut self) {
        if let Some(mut fill) = self.fill.take() {
            self.losses = fill.losses();
            self.parts = fill.problems();
        }
        let raw = self.raw.load(Ordering::Relaxed);
        if let Some(size) = self.size.filter(|_| self.regular)
            && raw < size
            && self.problems.is_empty()
        {
            self.problems.push(Problem::new(
                format!("became shorter while it was read ({raw} of {size} bytes)"),
                "it was rotated or truncated; read it again with its rotated copies",
            ));
        }
    }

    /// Drops the rest of a cut line and all NULs from the bytes that were just read.
    fn clean(&mut self, buf: &mut [u8], from: usize, filled: &mut usize) {
        let new = buf.get(from..*filled).unwrap_or_default();
        if self.skipping {
            let drop = match memchr(b'\n', new) {
                Some(newline) => {
                    self.skipping = false;
                    newline + 1
                }
                None => new.len(),
            };
            buf.copy_within(from + drop..*filled, from);
            *filled -= drop;
        }
        let new = buf.get_mut(from..*filled).unwrap_or_default();
        if let Some(first) = memchr(0, new) {
            let mut to = first;
            for i in first..new.len() {
                if let Some(&b) = new.get(i)
                    && b != 0
                    && let Some(slot) = new.get_mut(to)
                {
                    *slot = b;
                    to += 1;
                }
            }
            self.nuls += (new.len() - to) as u64;
            *filled = from + to;
        }
    }

    /// Cuts lines that are longer than [`MAX_LINE`]. Looks for one newline in each stretch of that length, so that it
    /// costs nothing where lines are short. `buf` begins at the start of a line.
    fn cut_long_lines(&mut self, buf: &mut [u8], filled: &mut usize) {
        let mut at = 0;
        while *filled - at > MAX_LINE {
            let stretch = buf.get(at..=at + MAX_LINE).unwrap_or_default();
            if let Some(newline) = memrchr(b'\n', stretch) {
                at += newline + 1;
                continue;
            }
            self.cut += 1;
            let head_end = at + MAX_LINE;
            match memchr(b'\n', buf.get(head_end..*filled).unwrap_or_default()) {
                Some(distance) => {
                    buf.copy_within(head_end + distance..*filled, head_end);
                    *filled -= distance;
                    at = head_end + 1;
                }
                None => {
                    if let Some(slot) = buf.get_mut(head_end) {
                        *slot = b'\n';
                    }
                    *filled = head_end + 1;
                    self.skipping = self.fill.is_some();
                    return;
                }
            }
        }
    }

    /// Bytes of the file as it lies on the disk: read so far, and in all where that is known. For a progress bar.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.raw.load(Ordering::Relaxed), self.size)
    }

    /// What became of it. Call it when [`Blocks::next`] has returned `None`; before that, it tells what is known so far.
    pub fn finish(self) -> Outcome {
        let bytes = self.unpacked.load(Ordering::Relaxed);
        let mut problems = self.problems;
        let cut = self.cut + self.losses.cut;
        if cut > 0 {
            problems.push(Problem::new(
                format!(
                    "{cut} {} longer than {} KiB: only the beginning was read",
                    if cut == 1 { "line" } else { "lines" },
                    MAX_LINE / 1024
                ),
                "no program writes such lines about SSH; look at the file with `less`",
            ));
        }
        let lost = self.losses.records;
        if lost > 0 {
            problems.push(Problem::new(
                format!(
                    "{lost} {} could not be read",
                    if lost == 1 { "record" } else { "records" }
                ),
                "the file is damaged or was being written; look for another copy",
            ));
        } else if self.losses.unfinished {
            problems.push(Problem::new(
                "ends in the middle of a record",
                "it was cut or is still being written; look for the whole file",
            ));
        }
        let mut notes = self.notes;
        if self.nuls > 0 {
            notes.push(format!(
                "{}: {} NUL bytes left out, as a crash leaves them: lines may be missing there",
                self.name, self.nuls
            ));
        }
        let own = problems.into_iter().map(|p| (self.name.clone(), p));
        let skipped = own
            .chain(self.parts)
            .map(|(name, p)| Skipped {
                name,
                what: p.what,
                advice: p.advice,
                bytes_read: bytes,
                lines_read: self.lines,
            })
            .collect();
        Outcome { skipped, notes }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expand;
    use super::super::testing::{Scratch, bzip2, gzip, lz4, xz, zstd};
    use super::*;
    use std::io::Write;
    use std::path::PathBuf;

    fn all(mut blocks: Blocks) -> (Vec<u8>, Outcome) {
        let mut text = Vec::new();
        let mut spare = Vec::new();
        let mut next_line = 1;
        while let Some(block) = blocks.next(spare) {
            assert_eq!(block.first_line, next_line);
            next_line += block.lines;
            assert!(!block.bytes.is_empty());
            assert!(
                block.bytes.len() <= BLOCK + PIECE * 2,
                "{}",
                block.bytes.len()
            );
            text.extend_from_slice(&block.bytes);
            spare = block.bytes;
        }
        assert_eq!(blocks.lines, next_line - 1);
        (text, blocks.finish())
    }

    fn read_bytes(bytes: &[u8]) -> (Vec<u8>, Outcome) {
        all(Blocks::from_stream("test", 0, Cursor::new(bytes.to_vec())))
    }

    fn read_path(path: PathBuf) -> (Vec<u8>, Outcome) {
        let input = Input {
            name: path.display().to_string(),
            origin: Origin::File(path),
            set: 0,
            shared: false,
            mtime: None,
            size: None,
        };
        all(Blocks::open_patiently(&input, 0, Duration::from_millis(50)))
    }

    fn log(lines: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for i in 0..lines {
            writeln!(
                out,
                "Nov  3 04:{:02}:{:02} web1 sshd[{}]: Invalid user u{} from 192.0.2.{} port {}",
                i / 60 % 60,
                i % 60,
                800 + i % 1000,
                i * 7919 % 10_007,
                i % 250,
                1024 + i % 60_000
            )
            .unwrap();
        }
        out
    }

    #[test]
    fn plain_text_comes_whole_and_in_whole_lines() {
        let text = log(60_000);
        assert!(text.len() > 3 * BLOCK);
        let mut blocks = Blocks::from_stream("test", 7, Cursor::new(text.clone()));
        let mut got = Vec::new();
        while let Some(block) = blocks.next(Vec::new()) {
            assert_eq!(block.file, 7);
            assert_eq!(block.bytes.last(), Some(&b'\n'));
            got.extend_from_slice(&block.bytes);
        }
        assert!(got == text);
        assert_eq!(blocks.lines, 60_000);
        let outcome = blocks.finish();
        assert!(outcome.skipped.is_empty() && outcome.notes.is_empty());
    }

    type Packer = fn(&[u8]) -> Vec<u8>;
    const PACKERS: [(&str, Packer); 5] = [
        ("gzip", gzip),
        ("xz", xz),
        ("zstd", zstd),
        ("bzip2", bzip2),
        ("lz4", lz4),
    ];

    #[test]
    fn every_packing_is_unpacked_also_twice_and_in_many_members() {
        let (a, b) = (log(3000), log(2000));
        let both = [a.clone(), b.clone()].concat();
        for (name, pack) in PACKERS {
            let (got, outcome) = read_bytes(&pack(&both));
            assert!(got == both, "{name}");
            assert!(outcome.skipped.is_empty(), "{name}: {:?}", outcome.skipped);
            let (got, outcome) = read_bytes(&[pack(&a), pack(&b)].concat());
            assert!(
                got == both,
                "{name}, two members: {} of {}",
                got.len(),
                both.len()
            );
            assert!(outcome.skipped.is_empty(), "{name}: {:?}", outcome.skipped);
            let (got, _) = read_bytes(&gzip(&pack(&both)));
            assert!(got == both, "{name} in gzip");
        }
        let nested = (0..6).fold(a, |bytes, _| gzip(&bytes));
        let (got, outcome) = read_bytes(&nested);
        assert!(got.is_empty());
        assert!(outcome.skipped[0].what.contains("too many times"));
    }

    #[test]
    fn a_cut_archive_gives_what_came_before_the_cut_and_is_named() {
        let text = log(1500);
        for (name, pack) in PACKERS {
            let packed = pack(&text);
            for cut in (10..packed.len())
                .step_by(packed.len() / 60 + 1)
                .chain([packed.len() - 1])
            {
                let (got, outcome) = read_bytes(&packed[..cut]);
                assert!(text.starts_with(&got), "{name} cut at {cut}");
                assert_eq!(
                    outcome.skipped.len(),
                    1,
                    "{name} cut at {cut}: {:?}",
                    outcome.skipped
                );
                assert!(
                    outcome.skipped[0].what.contains(name),
                    "{name} cut at {cut}: {:?}",
                    outcome.skipped
                );
                assert_eq!(outcome.skipped[0].bytes_read, got.len() as u64);
            }
            // What was good is not lost: all but the last part that the decoder had not finished.
            let (got, _) = read_bytes(&packed[..packed.len() - 5]);
            if matches!(name, "gzip") {
                assert!(
                    got.len() * 10 > text.len() * 9,
                    "{name}: {} of {}",
                    got.len(),
                    text.len()
                );
            }
        }
    }

    #[test]
    fn a_damaged_archive_never_panics_and_is_named() {
        let text = log(1500);
        for (name, pack) in PACKERS {
            let packed = pack(&text);
            for at in (8..packed.len()).step_by(packed.len() / 60 + 1) {
                let mut damaged = packed.clone();
                damaged[at] ^= 0x55;
                let (got, outcome) = read_bytes(&damaged);
                // A flipped bit in a header that carries no data changes nothing.
                assert!(
                    got == text || outcome.skipped.len() == 1,
                    "{name} at {at}: {:?}",
                    outcome.skipped
                );
            }
        }
    }

    #[test]
    fn windows_and_mac_and_marked_text_become_plain_lines() {
        let utf16: Vec<u8> = "\u{feff}one\r\ntwo\r\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(read_bytes(&utf16).0, b"one\r\ntwo\r\n");
        assert_eq!(read_bytes(b"\xef\xbb\xbfone\ntwo").0, b"one\ntwo");
        assert_eq!(read_bytes(b"one\rtwo\r").0, b"one\ntwo\n");
        let (text, outcome) = read_bytes(b"{\n \"MESSAGE\" : \"x\"\n}\n{\n \"MESSAGE\" : \"cut");
        assert_eq!(text, b"{\"MESSAGE\":\"x\"}\n");
        assert_eq!(outcome.skipped.len(), 1);
    }

    #[test]
    fn nuls_are_left_out_and_told() {
        let mut input = b"first\n".to_vec();
        input.extend(vec![0; 3 * BLOCK]);
        input.extend_from_slice(b"sec\0ond\n\0\0\0third");
        let (text, outcome) = read_bytes(&input);
        assert_eq!(text, b"first\nsecond\nthird");
        assert!(
            outcome.notes[0].contains(&format!("{} NUL bytes", 3 * BLOCK + 4)),
            "{:?}",
            outcome.notes
        );
        assert!(outcome.skipped.is_empty());
    }

    #[test]
    fn long_lines_are_cut_wherever_they_stand() {
        let at_limit = vec![b'a'; MAX_LINE];
        let over = vec![b'b'; MAX_LINE + 1];
        let huge = vec![b'c'; BLOCK * 2 + 5];
        let input = [
            &at_limit[..],
            b"\n",
            &over,
            b"\nshort\n",
            &huge,
            b"\n",
            &log(2000),
            &huge,
        ]
        .concat();
        let (text, outcome) = read_bytes(&input);
        let want = [
            &at_limit[..],
            b"\n",
            &over[..MAX_LINE],
            b"\nshort\n",
            &huge[..MAX_LINE],
            b"\n",
            &log(2000),
            &huge[..MAX_LINE],
            b"\n",
        ]
        .concat();
        assert!(text == want, "{} {}", text.len(), want.len());
        assert_eq!(outcome.skipped[0].lines_read, 2005);
        assert!(
            outcome.skipped[0].what.starts_with("3 lines longer"),
            "{:?}",
            outcome.skipped
        );
    }

    /// `head`, then `fill` so many times, then `tail`.
    struct Endless {
        head: Cursor<Vec<u8>>,
        left: u64,
        tail: Cursor<Vec<u8>>,
    }

    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.head.read(buf)?;
            if n > 0 {
                return Ok(n);
            }
            if self.left > 0 {
                let n = self.left.min(buf.len() as u64) as usize;
                buf[..n].fill(b'x');
                self.left -= n as u64;
                return Ok(n);
            }
            self.tail.read(buf)
        }
    }

    #[test]
    fn one_line_of_a_gigabyte_takes_constant_room() {
        let endless = Endless {
            head: Cursor::new(b"before\n".to_vec()),
            left: 1 << 30,
            tail: Cursor::new(b"\nafter\n".to_vec()),
        };
        let mut blocks = Blocks::from_stream("test", 0, endless);
        let mut lengths = Vec::new();
        let mut spare = Vec::new();
        while let Some(block) = blocks.next(spare) {
            assert!(block.bytes.capacity() <= 2 * BLOCK);
            lengths.extend(
                block
                    .bytes
                    .split_inclusive(|&b| b == b'\n')
                    .map(<[u8]>::len),
            );
            spare = block.bytes;
        }
        assert_eq!(lengths, [7, MAX_LINE + 1, 6]);
        assert!(blocks.carry.capacity() <= 2 * BLOCK);
        let outcome = blocks.finish();
        assert_eq!(outcome.skipped.len(), 1);
        assert_eq!(outcome.skipped[0].bytes_read, (1 << 30) + 14);
    }

    #[test]
    fn invalid_utf8_passes_and_garbage_is_refused() {
        let line = b"Nov  3 04:05:06 web1 sshd[812]: Invalid user \xff\xfe\xc3 from 192.0.2.7 port 50122\n";
        let (text, outcome) = read_bytes(line);
        assert_eq!(text, line);
        assert!(outcome.skipped.is_empty());
        let garbage: Vec<u8> = (0..100_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let (text, outcome) = read_bytes(&garbage);
        assert!(text.is_empty());
        assert!(outcome.skipped[0].what.contains("binary data"));
        // Garbage in the middle of a log is passed on: its lines are simply not known.
        let mixed = [log(1000), garbage, log(10)].concat();
        let (text, _) = read_bytes(&mixed);
        assert!(text.starts_with(&log(1000)) && text.ends_with(&log(10)));
    }

    #[test]
    fn empty_vanished_and_forbidden_files() {
        let dir = Scratch::new();
        let (text, outcome) = read_path(dir.write("empty", b""));
        assert!(text.is_empty() && outcome.skipped.is_empty());
        // Named, then gone.
        let path = dir.write("auth.log", b"x\n");
        let input = expand(&[path.clone().into_os_string()]).inputs.remove(0);
        std::fs::remove_file(path).unwrap();
        let (text, outcome) = all(Blocks::open(&input, 0));
        assert!(text.is_empty());
        assert!(
            outcome.skipped[0].what.contains("not found"),
            "{:?}",
            outcome.skipped
        );
        assert_eq!(outcome.skipped[0].name, input.name);
        let (_, outcome) = read_path(dir.path().to_owned());
        assert!(outcome.skipped[0].what.contains("folder"));
        let denied = Problem::opening(
            Path::new("/x"),
            &io::Error::from(io::ErrorKind::PermissionDenied),
        );
        assert_eq!(denied.what, "permission denied");
        assert!(denied.advice.contains("sudo"));
    }

    /// Fails once the bytes are used up.
    struct Breaks(Cursor<Vec<u8>>);

    impl Read for Breaks {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buf)? {
                0 => Err(io::Error::from_raw_os_error(5)),
                n => Ok(n),
            }
        }
    }

    #[test]
    fn a_failing_disk_costs_only_what_comes_after() {
        for (text, want) in [
            (log(20_000), log(20_000)),
            (gzip(&log(20_000)), log(20_000)),
            (log(2), log(2)),
        ] {
            let (got, outcome) = all(Blocks::from_stream("test", 0, Breaks(Cursor::new(text))));
            assert!(got == want);
            assert_eq!(outcome.skipped.len(), 1);
            assert!(
                outcome.skipped[0].what.starts_with("reading stopped"),
                "{:?}",
                outcome.skipped
            );
        }
    }

    fn fifo(dir: &Scratch) -> PathBuf {
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        path
    }

    #[test]
    fn a_pipe_without_a_writer_is_named_and_does_not_hang() {
        let dir = Scratch::new();
        let (text, outcome) = read_path(fifo(&dir));
        assert!(text.is_empty());
        assert!(
            outcome.skipped[0].what.contains("nobody writes"),
            "{:?}",
            outcome.skipped
        );
    }

    #[test]
    fn a_pipe_is_read_to_its_end_however_slowly_it_comes() {
        let dir = Scratch::new();
        let path = fifo(&dir);
        let text = log(5000);
        let (there, sent) = (path.clone(), text.clone());
        let writer = std::thread::spawn(move || {
            let mut pipe = std::fs::OpenOptions::new().write(true).open(there).unwrap();
            let (a, b) = sent.split_at(10);
            pipe.write_all(a).unwrap();
            std::thread::sleep(Duration::from_millis(30));
            pipe.write_all(b).unwrap();
        });
        let input = expand(&[path.into_os_string()]).inputs.remove(0);
        let (got, outcome) = all(Blocks::open(&input, 0));
        writer.join().unwrap();
        assert!(got == text, "{} of {}", got.len(), text.len());
        assert!(outcome.skipped.is_empty(), "{:?}", outcome.skipped);
    }

    #[test]
    fn a_growing_file_is_read_to_where_it_was_and_the_line_then_written() {
        let dir = Scratch::new();
        let text = log(30_000);
        let half = text.len() / 2;
        let path = dir.write("auth.log", &text[..half]);
        let input = expand(&[path.clone().into_os_string()]).inputs.remove(0);
        let mut blocks = Blocks::open(&input, 0);
        let mut got = blocks.next(Vec::new()).unwrap().bytes;
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&text[half..]).unwrap();
        while let Some(block) = blocks.next(Vec::new()) {
            got.extend_from_slice(&block.bytes);
        }
        let end = half + memchr(b'\n', &text[half..]).unwrap() + 1;
        assert!(got == text[..end], "{} {end}", got.len());
        assert!(blocks.finish().skipped.is_empty());
    }

    #[test]
    fn a_file_truncated_while_it_is_read_is_named() {
        let dir = Scratch::new();
        let path = dir.write("auth.log", &log(60_000));
        let input = expand(&[path.clone().into_os_string()]).inputs.remove(0);
        let mut blocks = Blocks::open(&input, 0);
        assert!(blocks.next(Vec::new()).is_some());
        std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(10)
            .unwrap();
        while blocks.next(Vec::new()).is_some() {}
        let outcome = blocks.finish();
        assert!(
            outcome.skipped[0].what.contains("became shorter"),
            "{:?}",
            outcome.skipped
        );
    }
}
