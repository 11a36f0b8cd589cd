//! Reads the journal files of one machine as one log, in the order of time.
//!
//! journald splits by user (a session's later lines lie in `user-1000.journal`) and rotates, so the files of one folder
//! are merged: at any time only those are open whose time has come. A file's own order is kept, whatever its clock did.
//! An entry that two files hold (a copy of the live file) is delivered once.

use super::open::{self, Opened, Problem};
use super::read::{BLOCK, Fill};
use sshwhy_core::transcode::journal::{Compression, Journal, ReadAt, Refusal, Unpack, span};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A journal that has no place on a disk (packed, or from a pipe) is held in memory up to this size.
pub const MAX_HELD: u64 = 256 * 1024 * 1024;

pub struct FileAt {
    file: File,
    size: u64,
}

impl ReadAt for FileAt {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|r| !r.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        done
    }

    fn size(&self) -> u64 {
        self.size
    }
}

type Bytes = Box<dyn ReadAt + Send>;

struct Boxed(Bytes);

impl ReadAt for Boxed {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> usize {
        self.0.read_at(offset, buf)
    }

    fn size(&self) -> u64 {
        self.0.size()
    }
}

/// Unpacks data objects with the decoders that files are unpacked with.
struct Unpacker;

impl Unpack for Unpacker {
    fn unpack(&mut self, how: Compression, input: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        let limit_64 = limit as u64;
        match how {
            // A damaged tail costs only itself.
            Compression::Zstd => {
                if let Ok(decoder) = zstd::stream::read::Decoder::with_buffer(input) {
                    let _ = decoder.take(limit_64).read_to_end(out);
                }
            }
            Compression::Xz => {
                let memory_kib = 64 * 1024;
                let decoder = lzma_rust2::XzReader::new_mem_limit(input, false, memory_kib);
                let _ = decoder.take(limit_64).read_to_end(out);
            }
            Compression::Lz4 => {
                let Some((size, block)) = input.split_first_chunk::<8>() else {
                    return false;
                };
                let size = u64::from_le_bytes(*size);
                // One block cannot be unpacked in part; 16 MiB is far beyond any text.
                if size > 16 * 1024 * 1024 {
                    return false;
                }
                let mut text = vec![0; size as usize];
                if let Ok(n) = lz4_flex::block::decompress_into(block, &mut text) {
                    text.truncate(n.min(limit));
                    out.append(&mut text);
                }
            }
        }
        out.len() > before
    }
}

/// A file of the set that is not open yet.
struct Waiting {
    first: u64,
    path: PathBuf,
}

struct Open {
    name: String,
    journal: Journal<Boxed>,
}

/// The files of one machine.
pub struct Journals {
    /// By time, the latest first.
    waiting: Vec<Waiting>,
    open: Vec<Open>,
    raw: Arc<AtomicU64>,
    problems: Vec<(String, Problem)>,
}

impl Journals {
    pub fn new(paths: &[PathBuf], raw: Arc<AtomicU64>) -> Journals {
        let mut journals = Journals {
            waiting: Vec::new(),
            open: Vec::new(),
            raw,
            problems: Vec::new(),
        };
        for path in paths {
            match open_at(path) {
                Ok(file) => {
                    if let Some(span) = span(&file) {
                        journals.waiting.push(Waiting {
                            first: span.first,
                            path: path.clone(),
                        });
                    } else {
                        journals.refused(&name(path), Refusal::Header);
                    }
                }
                Err(problem) => journals.problems.push((name(path), problem)),
            }
        }
        journals
            .waiting
            .sort_by(|a, b| b.first.cmp(&a.first).then_with(|| b.path.cmp(&a.path)));
        journals
    }

    /// One journal that has no file of its own.
    pub fn held(label: &str, bytes: Vec<u8>, raw: Arc<AtomicU64>) -> Journals {
        let mut journals = Journals::new(&[], raw);
        journals.begin(label, Box::new(bytes));
        journals
    }

    fn begin(&mut self, name: &str, file: Bytes) {
        match Journal::open(Boxed(file)) {
            Ok(journal) => self.open.push(Open {
                name: name.to_owned(),
                journal,
            }),
            Err(refusal) => self.refused(name, refusal),
        }
    }

    fn refused(&mut self, name: &str, refusal: Refusal) {
        let problem = match refusal {
            Refusal::Header => Problem::new(
                "a journal whose beginning is damaged",
                "look for another copy; `journalctl --verify --file=FILE` tells more",
            ),
            Refusal::Newer(bits) => Problem::new(
                format!("a journal with features that are not known here (flags {bits:#x})"),
                "give the output of `journalctl -o export --file=FILE`, taken on the machine that wrote it",
            ),
        };
        self.problems.push((name.to_owned(), problem));
    }

    /// Opens what has begun by the time of the next entry.
    fn open_due(&mut self) {
        loop {
            let next = self
                .open
                .iter()
                .filter_map(|o| o.journal.peek())
                .map(|h| h.realtime)
                .min();
            match self.waiting.last() {
                Some(w) if next.is_none_or(|n| w.first <= n) => {}
                _ => return,
            }
            if let Some(waiting) = self.waiting.pop() {
                let name = name(&waiting.path);
                match open_at(&waiting.path) {
                    Ok(file) => self.begin(&name, Box::new(file)),
                    Err(problem) => self.problems.push((name, problem)),
                }
            }
        }
    }

    /// Writes the next line; `false` at the end.
    fn line(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.waiting.is_empty() {
            self.open_due();
        }
        let Some((at, head)) = self
            .open
            .iter()
            .enumerate()
            .filter_map(|(i, o)| Some((i, o.journal.peek()?)))
            .min_by_key(|(_, h)| h.realtime)
        else {
            self.close_ended();
            return false;
        };
        let Some(sequence) = self.open.get(at).map(|o| o.journal.sequence) else {
            return false;
        };
        for (i, other) in self.open.iter_mut().enumerate() {
            let twin = |h: sshwhy_core::transcode::journal::Head| {
                h.seqnum == head.seqnum && h.realtime == head.realtime
            };
            if i != at
                && other.journal.sequence == sequence
                && other.journal.peek().is_some_and(twin)
            {
                other.journal.skip();
            }
        }
        if let Some(open) = self.open.get_mut(at) {
            open.journal.line(&mut Unpacker, out);
        }
        if self.open.iter().any(|o| o.journal.peek().is_none()) {
            self.close_ended();
        }
        true
    }

    fn close_ended(&mut self) {
        let problems = &mut self.problems;
        let raw = &self.raw;
        self.open.retain(|o| {
            if o.journal.peek().is_some() {
                return true;
            }
            raw.fetch_add(o.journal.size(), Ordering::Relaxed);
            let lost = o.journal.losses().records;
            if lost > 0 {
                problems.push((
                    o.name.clone(),
                    Problem::new(
                        format!("a damaged journal: {lost} {} could not be read", if lost == 1 { "entry" } else { "entries" }),
                        "everything else in it was read; `journalctl --verify --file=FILE` tells more",
                    ),
                ));
            }
            false
        });
    }
}

impl Fill for Journals {
    fn fill(&mut self, buf: &mut Vec<u8>, filled: &mut usize) -> io::Result<bool> {
        buf.truncate(*filled);
        let mut more = true;
        while more && buf.len() < BLOCK {
            more = self.line(buf);
        }
        let got = buf.len() > *filled;
        *filled = buf.len();
        Ok(got)
    }

    fn problems(&mut self) -> Vec<(String, Problem)> {
        std::mem::take(&mut self.problems)
    }
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn open_at(path: &Path) -> Result<FileAt, Problem> {
    match open::open(path, Duration::ZERO)? {
        Opened::Regular { file, size } => Ok(FileAt { file, size }),
        Opened::Pipe { .. } => Err(Problem::new(
            "a pipe",
            "journals from a pipe have to be given one by one",
        )),
    }
}

/// Whether a file begins as a journal does.
pub fn is_journal(path: &Path) -> bool {
    open_at(path).is_ok_and(|file| {
        let mut magic = [0; 8];
        file.read_at(0, &mut magic) == 8 && &magic == b"LPKSHHRH"
    })
}

/// When the earliest entry of some journals was written, in seconds since the epoch.
pub fn begin(paths: &[PathBuf]) -> Option<i64> {
    paths
        .iter()
        .filter_map(|p| span(&open_at(p).ok()?))
        .filter_map(|s| i64::try_from(s.first / 1_000_000).ok())
        .filter(|s| *s > 0)
        .min()
}

#[cfg(test)]
mod tests {
    use super::super::read::Blocks;
    use super::super::testing::{Scratch, lz4_block, sample, xz, zstd};
    use super::super::{Input, Origin};
    use super::*;
    use sshwhy_core::transcode::record::is_relevant;

    /// What [`Blocks`] makes of a stream.
    fn lines_of(bytes: Vec<u8>) -> Vec<String> {
        lines(Blocks::from_stream("test", 0, io::Cursor::new(bytes))).0
    }

    fn lines(mut blocks: Blocks) -> (Vec<String>, Vec<String>) {
        let mut text = Vec::new();
        while let Some(block) = blocks.next(Vec::new()) {
            text.extend_from_slice(&block.bytes);
        }
        let skipped = blocks
            .finish()
            .skipped
            .into_iter()
            .map(|s| format!("{}: {}", s.name, s.what))
            .collect();
        (
            String::from_utf8_lossy(&text)
                .lines()
                .map(str::to_owned)
                .collect(),
            skipped,
        )
    }

    fn merged(paths: Vec<PathBuf>) -> (Vec<String>, Vec<String>) {
        let input = Input {
            name: "journal".to_owned(),
            origin: Origin::Journal(paths),
            set: 0,
            shared: false,
            mtime: None,
            size: None,
        };
        lines(Blocks::open(&input, 0))
    }

    fn ident(line: &str) -> &str {
        line.split(' ').nth(3).unwrap()
    }

    /// Journal files leave out the text of programs that do not matter.
    fn agree(journal: &[String], export: &[String]) {
        assert_eq!(journal.len(), export.len());
        for (j, e) in journal.iter().zip(export) {
            if is_relevant(ident(e).as_bytes()) {
                assert_eq!(j, e);
            } else {
                let time = |l: &str| l.split(' ').nth(1).map(str::to_owned);
                assert_eq!((time(j), ident(j)), (time(e), ident(e)));
            }
        }
    }

    #[test]
    fn journal_files_and_journalctl_say_the_same() {
        let export = lines_of(sample("compact.export.xz"));
        assert_eq!(export.len(), 63);
        assert_eq!(
            export[0],
            "<38>1 2026-03-28T16:00:16.359253Z web1 sshd 700 - - Server listening on 0.0.0.0 port 22."
        );
        let has = |text: &str| assert!(export.iter().any(|l| l.ends_with(text)), "{text}");
        has(" - - two lines of one message:\\n\\tsecond line = here");
        has(" - - Invalid user J\u{fffd}rgen from 192.0.2.7 port 50122");
        assert!(export.iter().any(|l| l.contains(
            " sshd - - - [journal exe=\"/usr/bin/logger\" uid=\"1000\"] Accepted password for root"
        )));
        // A value that is longer than 512 bytes is packed in the file.
        assert!(export.iter().any(|l| l.len() > 700));
        assert_eq!(lines_of(sample("compact.verbose.xz")), export);
        agree(&lines_of(sample("compact.journal.xz")), &export);
    }

    #[test]
    fn every_json_form_gives_the_same_objects() {
        let plain = lines_of(sample("compact.json.xz"));
        assert_eq!(plain.len(), 63);
        assert!(plain.iter().all(|l| l.starts_with('{') && l.ends_with('}')));
        let squeeze = |l: &[String]| -> Vec<serde_json::Value> {
            l.iter().map(|l| serde_json::from_str(l).unwrap()).collect()
        };
        for form in ["json-pretty", "json-sse", "json-seq"] {
            let lines = lines_of(sample(&format!("compact.{form}.xz")));
            assert_eq!(squeeze(&lines), squeeze(&plain), "{form}");
        }
    }

    #[test]
    fn the_files_of_one_machine_are_merged_by_time() {
        let dir = Scratch::new();
        let mut paths = Vec::new();
        for name in ["user-1000", "system"] {
            paths.push(dir.unpacked(&format!("{name}.journal"), &format!("{name}.journal.xz")));
        }
        let compact = dir.unpacked("compact.journal", "compact.journal.xz");
        let (one, skipped) = merged(vec![compact.clone()]);
        assert!(skipped.is_empty(), "{skipped:?}");
        let (both, skipped) = merged(paths);
        assert!(skipped.is_empty(), "{skipped:?}");
        assert_eq!(both, one);
        // A copy of a file beside it says nothing new.
        let copy = dir.path().join("compact@1.journal");
        std::fs::copy(&compact, &copy).unwrap();
        assert_eq!(merged(vec![compact, copy]).0, one);
    }

    #[test]
    fn a_damaged_journal_gives_what_can_be_reached_and_is_named() {
        let dir = Scratch::new();
        let whole = dir.unpacked("system.journal", "system.journal.xz");
        let bytes = std::fs::read(&whole).unwrap();
        let (all, _) = merged(vec![whole.clone()]);
        // The last object, from the header; before the entries lie several megabytes of hash tables.
        let tail = u64::from_le_bytes(bytes[136..144].try_into().unwrap()) as usize;
        let mut most = 0;
        for cut in (1..9)
            .map(|i| i * 1000)
            .chain((tail - 40_000..tail).step_by(800))
        {
            let path = dir.write("system@1.journal~", &bytes[..cut]);
            let (got, skipped) = merged(vec![path]);
            assert_eq!(got[..], all[..got.len()], "{cut}");
            assert_eq!(skipped.len(), 1, "{cut}: {skipped:?}");
            most = most.max(got.len());
        }
        assert!(most * 10 > all.len() * 9, "{most} of {}", all.len());
        // Garbage in one of two files costs the other nothing.
        let mut damaged = bytes.clone();
        damaged[tail - 10_000..tail - 6_000].fill(0xa5);
        let path = dir.write("user-1.journal", &damaged);
        let (got, skipped) = merged(vec![path, whole]);
        assert!(
            skipped[0].contains("user-1.journal: a damaged journal"),
            "{skipped:?}"
        );
        assert_eq!(got, all);
    }

    #[test]
    fn what_is_no_journal_is_named() {
        let dir = Scratch::new();
        let newer = {
            let mut bytes = std::fs::read(dir.unpacked("a.journal", "system.journal.xz")).unwrap();
            bytes[13] = 0x40;
            bytes
        };
        for (bytes, want) in [
            (&newer[..], "not known here"),
            (b"LPKSHHRH", "beginning is damaged"),
        ] {
            let path = dir.write("b.journal", bytes);
            let (got, skipped) = merged(vec![path, dir.path().join("gone.journal")]);
            assert!(got.is_empty());
            assert!(skipped.iter().any(|s| s.contains(want)), "{skipped:?}");
            assert!(
                skipped.iter().any(|s| s.contains("not found")),
                "{skipped:?}"
            );
        }
    }

    #[test]
    fn data_objects_of_every_packing_are_unpacked() {
        let text = "MESSAGE=a long value ".repeat(100).into_bytes();
        for (how, packed) in [
            (Compression::Zstd, zstd(&text)),
            (Compression::Xz, xz(&text)),
            (Compression::Lz4, lz4_block(&text)),
        ] {
            let mut out = Vec::new();
            assert!(Unpacker.unpack(how, &packed, 1 << 20, &mut out), "{how:?}");
            assert_eq!(out, text, "{how:?}");
            out.clear();
            Unpacker.unpack(how, &packed, 100, &mut out);
            assert_eq!(out, text[..100], "{how:?}");
            for cut in 0..packed.len() {
                out.clear();
                Unpacker.unpack(how, &packed[..cut], 1 << 20, &mut out);
                assert!(text.starts_with(&out), "{how:?} {cut}");
            }
        }
    }
}
