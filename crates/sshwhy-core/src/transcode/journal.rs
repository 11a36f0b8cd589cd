//! systemd journal files, read without libsystemd: <https://systemd.io/JOURNAL_FILE_FORMAT>.
//!
//! A journal is an arena of objects: *data* objects (`MESSAGE=…`, each distinct one once), *entry* objects (a time and the
//! offsets of its data) and *entry arrays*, a chain that lists all entries in the order in which they were written. The
//! reader follows that chain. Where it is broken or ends too early (the file was in use, cut, or damaged), it walks the
//! objects one after another from the last good entry on, so that everything that can be reached is delivered; the rest is
//! counted. Both the regular and the compact layout are read; hashes and seals are not checked.
//!
//! Every entry becomes one line ([`Record::line`]). The text of programs that have nothing to do with logins
//! ([`is_relevant`]) is left out, as fetching it is what costs most.
//!
//! Nothing in a file is believed: offsets and sizes are checked, chains only go forward, so every walk ends. Memory is
//! bounded by [`PAGES`] pages and [`CACHED`] short values.

use super::record::{Field, Record, is_relevant};
use super::{Losses, MAX_LINE};
use std::collections::HashMap;

/// A file that can be read at any place.
pub trait ReadAt {
    /// Fills `buf` with the bytes from `offset` on and returns how many there were: fewer at the end of the file, none
    /// where it cannot be read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> usize;

    fn size(&self) -> u64;
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> usize {
        let from = usize::try_from(offset)
            .ok()
            .and_then(|o| self.get(o..))
            .unwrap_or_default();
        let n = from.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), from.get(..n)) {
            to.copy_from_slice(from);
        }
        n
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

/// How a data object is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    Xz,
    /// 64 bits of length (little endian), then one lz4 block.
    Lz4,
    Zstd,
}

/// Unpacks data objects; the program brings it along, as this crate knows no compression.
pub trait Unpack {
    /// Appends what is packed in `input` to `out`, at most `limit` bytes of it. `false` when it is damaged and nothing came
    /// out.
    fn unpack(&mut self, how: Compression, input: &[u8], limit: usize, out: &mut Vec<u8>) -> bool;
}

/// Why a file cannot be read as a journal at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Shorter than its header, or the header makes no sense.
    Header,
    /// It has features that were not known when this was written: these bits of the header's incompatible flags.
    Newer(u32),
}

const PAGE: u64 = 32 * 1024;

/// How many pages of a file are held. journald appends, so what an entry refers to is near it or long known.
const PAGES: usize = 64;

/// How many values are remembered by their offset. Values longer than [`SHORT`] are not.
const CACHED: usize = 8 * 1024;
const SHORT: usize = 256;

/// A packed value of more bytes than this is not unpacked.
const MAX_PACKED: u64 = 1024 * 1024;

/// How much of a value is unpacked.
const MAX_VALUE: usize = MAX_LINE + 64;

/// An entry of more fields than this is damaged: journald refuses to write them.
const MAX_ITEMS: u64 = 4096;

/// Behind a damaged place, an entry is believed when its number is at most so much higher than that of the last one.
/// (Journals of one machine share their numbers, so gaps are usual.)
const MAX_GAP: u64 = 1 << 24;

const HEADER_MIN: u64 = 208;
const OBJECT_HEADER: u64 = 16;
const ENTRY_HEADER: u64 = 64;
const ARRAY_HEADER: u64 = 24;
const DATA_HEADER: u64 = 64;
const DATA_HEADER_COMPACT: u64 = 72;

const TYPE_DATA: u8 = 1;
const TYPE_ENTRY: u8 = 3;
const TYPE_ARRAY: u8 = 6;
const TYPE_MAX: u8 = 7;

const COMPACT: u32 = 1 << 4;
/// xz, lz4, keyed hash, zstd, compact.
const KNOWN: u32 = 0b1_1111;

#[derive(Clone, Debug)]
enum Known {
    /// A field that is not wanted.
    Unwanted,
    Value(Field, Box<[u8]>),
    Bad,
}

struct Page {
    number: u64,
    bytes: Vec<u8>,
}

/// The entry that comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Microseconds since the epoch.
    pub realtime: u64,
    pub seqnum: u64,
    offset: u64,
    items: u64,
}

enum Walk {
    /// Along the chain of entry arrays: this one, its next item, and how many it has.
    Arrays {
        array: u64,
        item: u64,
        items: u64,
    },
    /// From object to object.
    Objects {
        at: u64,
    },
    Done,
}

pub struct Journal<R> {
    file: R,
    size: u64,
    compact: bool,
    /// Entries that journals of one sequence share by number ([`Head::seqnum`]).
    pub sequence: [u8; 16],
    entries: u64,
    walk: Walk,
    next: Option<Head>,
    /// The last entry that was found, which everything else must stand behind.
    last: u64,
    last_seqnum: u64,
    found: u64,
    damaged: u64,
    pages: Vec<Page>,
    cache: HashMap<u64, Known>,
    record: Record,
    text: Vec<u8>,
    packed: Vec<u8>,
    offsets: Vec<u64>,
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

/// What the header of a file says, read without the file's entries. Enough to order files in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Microseconds since the epoch; 0 when the file is empty.
    pub first: u64,
    pub last: u64,
}

/// The times between which the entries of a file lie, from its header.
pub fn span(file: &impl ReadAt) -> Option<Span> {
    let mut header = [0; HEADER_MIN as usize];
    (file.read_at(0, &mut header) == header.len() && header.starts_with(b"LPKSHHRH")).then(|| {
        Span {
            first: le64(&header, 184),
            last: le64(&header, 192),
        }
    })
}

impl<R: ReadAt> Journal<R> {
    pub fn open(file: R) -> Result<Journal<R>, Refusal> {
        let mut header = [0; HEADER_MIN as usize];
        if file.read_at(0, &mut header) < header.len() || !header.starts_with(b"LPKSHHRH") {
            return Err(Refusal::Header);
        }
        let incompatible = le32(&header, 12);
        if incompatible & !KNOWN != 0 {
            return Err(Refusal::Newer(incompatible & !KNOWN));
        }
        let header_size = le64(&header, 88);
        let size = file.size();
        if header_size < HEADER_MIN || header_size >= size {
            return Err(Refusal::Header);
        }
        let mut journal = Journal {
            file,
            size,
            compact: incompatible & COMPACT != 0,
            sequence: header
                .get(72..88)
                .and_then(|b| b.try_into().ok())
                .unwrap_or_default(),
            // The header may be as damaged as the rest: two of its statements have to agree.
            entries: le64(&header, 152).min(
                le64(&header, 160)
                    .saturating_sub(le64(&header, 168))
                    .saturating_add(1),
            ),
            walk: Walk::Done,
            next: None,
            last: header_size - 1,
            last_seqnum: 0,
            found: 0,
            damaged: 0,
            pages: Vec::new(),
            cache: HashMap::new(),
            record: Record::default(),
            text: Vec::new(),
            packed: Vec::new(),
            offsets: Vec::new(),
        };
        journal.enter_array(le64(&header, 176));
        journal.next = journal.seek();
        Ok(journal)
    }

    /// The entry that [`Journal::line`] will write.
    pub fn peek(&self) -> Option<Head> {
        self.next
    }

    /// Writes the next entry as a line and goes on to the one after it. `false` when there is none.
    pub fn line(&mut self, unpack: &mut dyn Unpack, out: &mut Vec<u8>) -> bool {
        let Some(head) = self.next else { return false };
        if !self.fetch(head, unpack) {
            self.damaged += 1;
        }
        if !self.record.is_empty() {
            self.record.line(out);
        }
        self.next = self.seek();
        true
    }

    /// Goes on to the entry after the next without writing it.
    pub fn skip(&mut self) {
        if self.next.is_some() {
            self.next = self.seek();
        }
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn losses(&self) -> Losses {
        let unreached = match self.walk {
            Walk::Done => self.entries.saturating_sub(self.found),
            _ => 0,
        };
        Losses {
            records: self.damaged + unreached,
            ..Losses::default()
        }
    }

    // Finding entries.

    fn seek(&mut self) -> Option<Head> {
        loop {
            match self.walk {
                Walk::Done => return None,
                Walk::Arrays { array, item, items } => {
                    if item >= items {
                        let next = self.u64_at(array + OBJECT_HEADER);
                        if next == Some(0) {
                            self.array_ended();
                        } else {
                            self.enter_array(next.filter(|n| *n > array).unwrap_or(0));
                        }
                        continue;
                    }
                    self.walk = Walk::Arrays {
                        array,
                        item: item + 1,
                        items,
                    };
                    let offset = if self.compact {
                        self.u32_at(array + ARRAY_HEADER + item * 4).map(u64::from)
                    } else {
                        self.u64_at(array + ARRAY_HEADER + item * 8)
                    };
                    match offset {
                        // Room for entries to come.
                        Some(0) => self.array_ended(),
                        Some(offset) if offset > self.last => {
                            if let Some(head) = self.entry_at(offset) {
                                return Some(self.take(head));
                            }
                            // Never written, or lost: it is counted by its absence.
                        }
                        // Into nowhere or backwards: the chain is not to be trusted from here on.
                        _ => {
                            self.walk = Walk::Objects {
                                at: self.after_last(),
                            }
                        }
                    }
                }
                Walk::Objects { at } => {
                    let Some((kind, size)) = self.object_at(at) else {
                        self.resync(at);
                        continue;
                    };
                    self.walk = Walk::Objects {
                        at: (at + size).next_multiple_of(8),
                    };
                    if kind == TYPE_ENTRY
                        && let Some(head) =
                            self.entry_at(at).filter(|h| h.seqnum > self.last_seqnum)
                    {
                        return Some(self.take(head));
                    }
                }
            }
        }
    }

    fn take(&mut self, head: Head) -> Head {
        self.last = head.offset;
        self.last_seqnum = head.seqnum;
        self.found += 1;
        head
    }

    fn enter_array(&mut self, array: u64) {
        self.walk = match self.object_at(array) {
            Some((TYPE_ARRAY, size)) if size >= ARRAY_HEADER => Walk::Arrays {
                array,
                item: 0,
                items: (size - ARRAY_HEADER) / if self.compact { 4 } else { 8 },
            },
            _ => Walk::Objects {
                at: self.after_last(),
            },
        };
    }

    /// The chain is at its end. Entries that it should have named are looked for behind the last one.
    fn array_ended(&mut self) {
        self.walk = if self.found < self.entries {
            Walk::Objects {
                at: self.after_last(),
            }
        } else {
            Walk::Done
        };
    }

    fn after_last(&mut self) -> u64 {
        let size = self.object_at(self.last).map_or(1, |(_, size)| size);
        (self.last + size).next_multiple_of(8)
    }

    /// Looks for the next thing that could be an object.
    fn resync(&mut self, at: u64) {
        let mut at = at + 8;
        while at + OBJECT_HEADER <= self.size {
            // Only entries are of use here, so anything else need not be recognized. The number must be the next or a
            // little more, as a message could hold what looks like an entry.
            if self.u8_at(at) == Some(TYPE_ENTRY)
                && let Some(head) = self.entry_at(at)
                && (self.last_seqnum == 0
                    || (self.last_seqnum + 1..self.last_seqnum + MAX_GAP).contains(&head.seqnum))
            {
                self.walk = Walk::Objects { at };
                return;
            }
            at += 8;
        }
        self.walk = Walk::Done;
    }

    /// Type and size of the object at an offset, if one can stand there.
    fn object_at(&mut self, at: u64) -> Option<(u8, u64)> {
        if at == 0 || !at.is_multiple_of(8) || at.checked_add(OBJECT_HEADER)? > self.size {
            return None;
        }
        let mut header = [0; OBJECT_HEADER as usize];
        self.read(at, &mut header)?;
        let size = le64(&header, 8);
        let kind = *header.first()?;
        ((1..=TYPE_MAX).contains(&kind)
            && size >= OBJECT_HEADER
            && at.checked_add(size)? <= self.size)
            .then_some((kind, size))
    }

    fn entry_at(&mut self, offset: u64) -> Option<Head> {
        let (TYPE_ENTRY, size) = self.object_at(offset)? else {
            return None;
        };
        let item = if self.compact { 4 } else { 16 };
        let items = size.checked_sub(ENTRY_HEADER)? / item;
        if items == 0 || items > MAX_ITEMS {
            return None;
        }
        let mut fixed = [0; ENTRY_HEADER as usize];
        self.read(offset, &mut fixed)?;
        let (seqnum, realtime) = (le64(&fixed, 16), le64(&fixed, 24));
        // journald refuses times beyond this (the year 32 000), too; zero is none.
        (seqnum > 0 && seqnum < 1 << 62 && realtime > 0 && realtime < 1 << 55).then_some(Head {
            realtime,
            seqnum,
            offset,
            items,
        })
    }

    // Reading one entry.

    /// Fills the record from an entry. `false` when a part of it cannot be read.
    fn fetch(&mut self, head: Head, unpack: &mut dyn Unpack) -> bool {
        self.record.clear();
        self.record.realtime = Some(head.realtime);
        let mut offsets = std::mem::take(&mut self.offsets);
        offsets.clear();
        let mut whole = true;
        for item in 0..head.items {
            let offset = if self.compact {
                self.u32_at(head.offset + ENTRY_HEADER + item * 4)
                    .map(u64::from)
            } else {
                self.u64_at(head.offset + ENTRY_HEADER + item * 16)
            };
            let Some(offset) = offset else {
                whole = false;
                continue;
            };
            // First what is known already: it often says that the rest is not wanted.
            match self.cache.get(&offset) {
                Some(Known::Value(field, value)) => self.record.set(*field, value),
                Some(Known::Unwanted) => {}
                Some(Known::Bad) => whole = false,
                None => offsets.push(offset),
            }
        }
        for offset in &offsets {
            let r = &self.record;
            if !r.identifier.is_empty()
                && !r.comm.is_empty()
                && !r.host.is_empty()
                && !is_relevant(r.ident())
            {
                break;
            }
            whole &= self.data(*offset, unpack);
        }
        self.offsets = offsets;
        if !is_relevant(self.record.ident()) {
            // What was fetched besides depends on what happened to be known.
            self.record = Record {
                realtime: self.record.realtime,
                host: std::mem::take(&mut self.record.host),
                identifier: self.record.ident().to_vec(),
                ..Record::default()
            };
        } else if self.record.message.is_none() {
            whole = false;
        }
        whole
    }

    /// Puts a data object into the record. `false` when it cannot be read.
    fn data(&mut self, offset: u64, unpack: &mut dyn Unpack) -> bool {
        let known = self.load(offset, unpack);
        let good = !matches!(known, Some(Known::Bad));
        if let Some(known) = known {
            if self.cache.len() >= CACHED {
                self.cache.clear();
            }
            if let Known::Value(field, value) = &known {
                self.record.set(*field, value);
            }
            self.cache.insert(offset, known);
        }
        good
    }

    /// Reads a data object. What is worth remembering is returned; a message goes straight into the record.
    fn load(&mut self, offset: u64, unpack: &mut dyn Unpack) -> Option<Known> {
        let Some((TYPE_DATA, size)) = self.object_at(offset) else {
            return Some(Known::Bad);
        };
        let header = if self.compact {
            DATA_HEADER_COMPACT
        } else {
            DATA_HEADER
        };
        let Some(length) = size.checked_sub(header) else {
            return Some(Known::Bad);
        };
        let flags = self.u8_at(offset + 1).unwrap_or(0);
        let users = self.u64_at(offset + 56).unwrap_or(0);
        let start = offset + header;
        self.text.clear();
        let how = match flags & 7 {
            0 => None,
            1 => Some(Compression::Xz),
            2 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => return Some(Known::Bad),
        };
        match how {
            None => {
                // The name first: most fields are not wanted, and some are large.
                let mut name = [0; 32];
                let n = length.min(name.len() as u64) as usize;
                let name = name.get_mut(..n).unwrap_or_default();
                if self.read(start, name).is_none() {
                    return Some(Known::Bad);
                }
                let wanted = memchr::memchr(b'=', name).and_then(|e| Field::of(name.get(..e)?));
                if wanted.is_none() {
                    // Values that only one entry has will not be asked for again.
                    return (users != 1).then_some(Known::Unwanted);
                }
                let mut text = std::mem::take(&mut self.text);
                text.resize(length.min(MAX_VALUE as u64) as usize, 0);
                let read = self.read(start, &mut text);
                self.text = text;
                if read.is_none() {
                    return Some(Known::Bad);
                }
            }
            Some(how) => {
                if length > MAX_PACKED {
                    return Some(Known::Unwanted);
                }
                let mut packed = std::mem::take(&mut self.packed);
                packed.resize(length as usize, 0);
                let read = self.read(start, &mut packed);
                let good = read.is_some() && unpack.unpack(how, &packed, MAX_VALUE, &mut self.text);
                self.packed = packed;
                if !good {
                    return Some(Known::Bad);
                }
            }
        }
        let Some(equals) = memchr::memchr(b'=', &self.text) else {
            return Some(Known::Bad);
        };
        let (name, value) = self.text.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        let Some(field) = Field::of(name) else {
            return (users != 1).then_some(Known::Unwanted);
        };
        if field == Field::Message || value.len() > SHORT || users == 1 {
            self.record.set(field, value);
            return None;
        }
        Some(Known::Value(field, value.into()))
    }

    // Reading bytes, by page.

    /// Fills `buf`, or nothing when the file does not reach that far.
    fn read(&mut self, mut at: u64, buf: &mut [u8]) -> Option<()> {
        if at.checked_add(buf.len() as u64)? > self.size {
            return None;
        }
        let mut done = 0;
        while done < buf.len() {
            let (number, within) = (at / PAGE, (at % PAGE) as usize);
            let page = self.page(number)?;
            let have = page.get(within..).filter(|p| !p.is_empty())?;
            let n = have.len().min(buf.len() - done);
            buf.get_mut(done..done + n)?.copy_from_slice(have.get(..n)?);
            done += n;
            at += n as u64;
        }
        Some(())
    }

    fn page(&mut self, number: u64) -> Option<&[u8]> {
        let slot = number as usize % PAGES;
        while self.pages.len() <= slot {
            self.pages.push(Page {
                number: u64::MAX,
                bytes: Vec::new(),
            });
        }
        let page = self.pages.get_mut(slot)?;
        if page.number != number {
            page.bytes.resize(PAGE as usize, 0);
            let n = self.file.read_at(number * PAGE, &mut page.bytes);
            page.bytes.truncate(n);
            page.number = number;
        }
        Some(&page.bytes)
    }

    fn u8_at(&mut self, at: u64) -> Option<u8> {
        let mut b = [0];
        self.read(at, &mut b)?;
        Some(u8::from_le_bytes(b))
    }

    fn u32_at(&mut self, at: u64) -> Option<u32> {
        let mut b = [0; 4];
        self.read(at, &mut b)?;
        Some(u32::from_le_bytes(b))
    }

    fn u64_at(&mut self, at: u64) -> Option<u64> {
        let mut b = [0; 8];
        self.read(at, &mut b)?;
        Some(u64::from_le_bytes(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes journals as journald does, as far as a reader can tell.
    struct Writer {
        bytes: Vec<u8>,
        compact: bool,
        known: HashMap<Vec<u8>, u64>,
        entries: Vec<u64>,
        /// Room in each entry array.
        room: usize,
        /// Offsets of the arrays.
        arrays: Vec<u64>,
    }

    impl Writer {
        fn new(compact: bool, room: usize) -> Writer {
            let mut bytes = vec![0; 256];
            bytes[..8].copy_from_slice(b"LPKSHHRH");
            bytes[12..16].copy_from_slice(&(if compact { COMPACT } else { 0 } | 4).to_le_bytes());
            bytes[72..88].copy_from_slice(b"sequence of test");
            bytes[88..96].copy_from_slice(&256u64.to_le_bytes());
            Writer {
                bytes,
                compact,
                known: HashMap::new(),
                entries: Vec::new(),
                room,
                arrays: Vec::new(),
            }
        }

        fn put(&mut self, at: usize, value: u64) {
            self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }

        fn object(&mut self, kind: u8, flags: u8, body: &[u8]) -> u64 {
            let at = self.bytes.len();
            self.bytes
                .extend_from_slice(&[kind, flags, 0, 0, 0, 0, 0, 0]);
            self.bytes
                .extend_from_slice(&(body.len() as u64 + 16).to_le_bytes());
            self.bytes.extend_from_slice(body);
            self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
            at as u64
        }

        fn data(&mut self, flags: u8, payload: &[u8]) -> u64 {
            if let Some(&at) = self.known.get(payload) {
                let users = le64(&self.bytes, at as usize + 56);
                self.put(at as usize + 56, users + 1);
                return at;
            }
            let mut body = vec![0; if self.compact { 56 } else { 48 }];
            body[40] = 1;
            body.extend_from_slice(payload);
            let at = self.object(TYPE_DATA, flags, &body);
            self.known.insert(payload.to_vec(), at);
            at
        }

        fn entry(&mut self, fields: &[&str]) {
            let offsets: Vec<u64> = fields.iter().map(|f| self.data(0, f.as_bytes())).collect();
            self.entry_of(&offsets);
        }

        fn entry_of(&mut self, offsets: &[u64]) {
            let n = self.entries.len() as u64;
            let mut body = Vec::new();
            for word in [n + 100, 1_774_713_615_000_000 + n * 1_000_000, 5, 0, 0, 0] {
                body.extend_from_slice(&word.to_le_bytes());
            }
            for offset in offsets {
                if self.compact {
                    body.extend_from_slice(&(*offset as u32).to_le_bytes());
                } else {
                    body.extend_from_slice(&offset.to_le_bytes());
                    body.extend_from_slice(&[0; 8]);
                }
            }
            let at = self.object(TYPE_ENTRY, 0, &body);
            let within = self.entries.len() % self.room;
            self.entries.push(at);
            let width = if self.compact { 4 } else { 8 };
            if within == 0 {
                let array = self.object(TYPE_ARRAY, 0, &vec![0; 8 + self.room * width]);
                match self.arrays.last() {
                    None => self.put(176, array),
                    Some(&before) => self.put(before as usize + 16, array),
                }
                self.arrays.push(array);
            }
            let slot = *self.arrays.last().unwrap() as usize + 24 + within * width;
            self.bytes[slot..slot + width].copy_from_slice(&at.to_le_bytes()[..width]);
            let count = self.entries.len() as u64;
            self.put(152, count);
            self.put(160, 100 + n);
            self.put(168, 100);
        }

        fn sample(compact: bool) -> Writer {
            let mut w = Writer::new(compact, 4);
            for i in 0..30 {
                let pid = format!("_PID={}", 800 + i / 2);
                let ident = if i % 3 == 2 { "nginx" } else { "sshd" };
                w.entry(&[
                    "_HOSTNAME=web1",
                    &format!("SYSLOG_IDENTIFIER={ident}"),
                    &format!("_COMM={ident}"),
                    &pid,
                    "PRIORITY=6",
                    "_TRANSPORT=syslog",
                    &format!("_SOURCE_REALTIME_TIMESTAMP={i}"),
                    &format!(
                        "MESSAGE=Invalid user u{i} from 192.0.2.7 port {}",
                        50_000 + i
                    ),
                ]);
            }
            w
        }
    }

    /// Reverses bytes: stands in for a compression.
    struct Reverse;

    impl Unpack for Reverse {
        fn unpack(
            &mut self,
            _: Compression,
            input: &[u8],
            limit: usize,
            out: &mut Vec<u8>,
        ) -> bool {
            out.extend(input.iter().rev().take(limit));
            !input.is_empty()
        }
    }

    fn lines(bytes: &[u8]) -> (Vec<String>, Losses) {
        let mut journal = match Journal::open(bytes.to_vec()) {
            Ok(journal) => journal,
            Err(_) => return (Vec::new(), Losses::default()),
        };
        let mut out = Vec::new();
        while journal.line(&mut Reverse, &mut out) {}
        let text = String::from_utf8_lossy(&out).into_owned();
        (text.lines().map(str::to_owned).collect(), journal.losses())
    }

    #[test]
    fn every_entry_is_a_line_in_both_layouts() {
        for compact in [false, true] {
            let (got, losses) = lines(&Writer::sample(compact).bytes);
            assert_eq!(got.len(), 30);
            assert_eq!(losses, Losses::default());
            assert_eq!(
                got[1],
                "<86>1 2026-03-28T16:00:16Z web1 sshd 800 - - Invalid user u1 from 192.0.2.7 port 50001"
            );
            // The text of other programs is not fetched; that they wrote something is.
            assert!(
                got[2].starts_with("<86>1 2026-03-28T16:00:17Z web1 nginx "),
                "{}",
                got[2]
            );
            assert!(
                !got.iter()
                    .any(|l| l.contains("nginx") && l.contains("Invalid"))
            );
        }
    }

    #[test]
    fn packed_values_are_unpacked() {
        for compact in [false, true] {
            let mut w = Writer::new(compact, 2);
            let message: Vec<u8> = format!("MESSAGE={}", "long ".repeat(200))
                .bytes()
                .rev()
                .collect();
            let ident: Vec<u8> = "SYSLOG_IDENTIFIER=sshd".bytes().rev().collect();
            for flags in [1, 2, 4] {
                w.known.clear();
                let offsets = [w.data(flags, &ident), w.data(flags, &message)];
                w.entry_of(&offsets);
            }
            let (got, losses) = lines(&w.bytes);
            assert_eq!(got.len(), 3);
            assert!(
                got.iter()
                    .all(|l| l.ends_with(&format!(" sshd - - - {}", "long ".repeat(200))))
            );
            assert_eq!(losses.records, 0);
        }
    }

    #[test]
    fn a_cut_file_gives_all_entries_before_the_cut_and_counts_the_rest() {
        for compact in [false, true] {
            let whole = Writer::sample(compact);
            let (all, _) = lines(&whole.bytes);
            for cut in (257..whole.bytes.len()).step_by(8) {
                let (got, losses) = lines(&whole.bytes[..cut]);
                // An entry counts when it, and so all that it refers to, lies before the cut.
                let reachable = whole
                    .entries
                    .iter()
                    .filter(|&&e| e as usize + 64 + 8 * if compact { 4 } else { 16 } <= cut)
                    .count();
                assert_eq!(got[..], all[..reachable], "{cut}");
                assert_eq!(losses.records, 30 - reachable as u64, "{cut}");
            }
        }
    }

    #[test]
    fn entries_that_no_array_names_are_found() {
        for compact in [false, true] {
            let whole = Writer::sample(compact);
            let (all, _) = lines(&whole.bytes);
            // The first array names none.
            let mut damaged = whole.bytes.clone();
            damaged[176..184].fill(0);
            assert_eq!(lines(&damaged).0, all);
            // The chain leads into nowhere after the second array, or back to the first.
            for next in [1u64 << 40, whole.arrays[0], 13] {
                let mut damaged = whole.bytes.clone();
                let at = whole.arrays[1] as usize + 16;
                damaged[at..at + 8].copy_from_slice(&next.to_le_bytes());
                assert_eq!(lines(&damaged).0, all, "{next}");
            }
            // The last entries were written, but not yet linked.
            let mut damaged = whole.bytes.clone();
            let at = *whole.arrays.last().unwrap() as usize + 24;
            damaged[at..at + 2 * if compact { 4 } else { 8 }].fill(0);
            assert_eq!(lines(&damaged).0, all);
        }
    }

    #[test]
    fn one_damaged_entry_costs_only_itself() {
        let whole = Writer::sample(false);
        let (all, _) = lines(&whole.bytes);
        let mut damaged = whole.bytes.clone();
        damaged[whole.entries[9] as usize] = 77;
        let (got, losses) = lines(&damaged);
        assert_eq!(losses.records, 1);
        assert_eq!([&all[..9], &all[10..]].concat(), got);
        // A hole of zeros in the middle, with the chain gone.
        let mut damaged = whole.bytes.clone();
        damaged[176..184].fill(0);
        damaged[whole.entries[9] as usize - 100..whole.entries[12] as usize].fill(0);
        let (got, losses) = lines(&damaged);
        assert!(got.len() >= 25, "{}", got.len());
        assert_eq!(got.last(), all.last());
        assert!(losses.records > 0);
    }

    #[test]
    fn a_message_that_looks_like_an_entry_is_not_one() {
        let mut inner = Writer::new(false, 4);
        inner.entry(&[
            "SYSLOG_IDENTIFIER=sshd",
            "MESSAGE=Accepted password for root from 203.0.113.5 port 1 ssh2",
        ]);
        let fake = inner.bytes[inner.entries[0] as usize..].to_vec();
        let mut w = Writer::new(false, 4);
        w.entry(&["SYSLOG_IDENTIFIER=sshd", "MESSAGE=first"]);
        let mut message = b"MESSAGE=".to_vec();
        message.extend_from_slice(&fake);
        let offsets = [w.data(0, b"SYSLOG_IDENTIFIER=sshd"), w.data(0, &message)];
        w.entry_of(&offsets);
        w.entry(&["SYSLOG_IDENTIFIER=sshd", "MESSAGE=last"]);
        w.bytes[176..184].fill(0);
        assert_eq!(lines(&w.bytes).0.len(), 3);
    }

    #[test]
    fn flipped_bytes_never_panic_and_never_hang() {
        let mut x = 1u64;
        for compact in [false, true] {
            let whole = Writer::sample(compact).bytes;
            for _ in 0..3000 {
                let mut damaged = whole.clone();
                for _ in 0..4 {
                    x = x
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let at = 8 + (x >> 33) as usize % (damaged.len() - 8);
                    damaged[at] = (x >> 25) as u8;
                }
                let (got, _) = lines(&damaged);
                assert!(got.len() <= 60);
            }
        }
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        let good = Writer::sample(false).bytes;
        assert_eq!(
            Journal::open(good[..200].to_vec()).err(),
            Some(Refusal::Header)
        );
        assert_eq!(
            Journal::open(b"LPKSHHRX".to_vec()).err(),
            Some(Refusal::Header)
        );
        let mut newer = good;
        newer[12] |= 1 << 6;
        assert_eq!(Journal::open(newer).err(), Some(Refusal::Newer(1 << 6)));
    }
}
