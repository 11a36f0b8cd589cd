//! First half of the log pipeline, the parallel one: a block of whole lines becomes small records.
//!
//! A block needs nothing from its neighbours except the year of its first line, so blocks are scanned on all cores; what
//! joins lines (sessions, detection) happens afterwards, in order, on the records alone. Names are interned per block:
//! the second half looks each address up once a block, not once a line.

use crate::addr::parse_v4;
use crate::catalog::deeds;
use crate::event::{Catalog, Event, Row, catalog};
use crate::line::{Line, LineParser, Program, Quick, Tag, Years, cut, serves_one, unescape};
use crate::session::{Joiner, Wholes};
use crate::shortcut::{Hit, Shortcuts, same};
use crate::template::Span;
use crate::time::{Time, Zone};
use hashbrown::{HashMap, HashTable};
use memchr::{memchr, memmem};
use std::borrow::Cow;
use std::hash::BuildHasher;
use std::net::Ipv4Addr;

/// No address, user or host.
pub const NONE: u32 = u32::MAX;
/// A line of ours whose message the catalogue does not know.
pub const UNKNOWN: Row = Row::MAX;
/// A line without a time.
pub const NO_TIME: i64 = i64::MIN;

/// Facts about a record, one bit each.
pub mod flag {
    pub const PREAUTH: u8 = 1;
    /// The line alone counts against its address.
    pub const HOSTILE: u8 = 2;
    /// The line has more than one reading; its address was not taken.
    pub const AMBIGUOUS: u8 = 4;
    /// The local time exists twice; the earlier reading stands in `time`.
    pub const TWICE: u8 = 8;
    /// `last message repeated N times`.
    pub const REPEATS_LAST: u8 = 16;
    /// `user` is a name that sshd called invalid.
    pub const INVALID_USER: u8 = 32;
    /// From sshd or dropbear itself (not logind, audit, login records).
    pub const DAEMON: u8 = 64;
    /// The program's name says that this process serves one connection (`sshd-session`).
    pub const SESSION_PROCESS: u8 = 128;
}

/// One line about SSH, reduced to numbers. 48 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Microseconds UTC, or [`NO_TIME`].
    pub time: i64,
    /// Counted from the start of the block, the first is 0.
    pub line: u32,
    /// The message, in [`Scanned::text`].
    pub start: u32,
    pub len: u32,
    /// 0: not known.
    pub pid: u32,
    /// Index into [`Scanned::addrs`], or [`NONE`].
    pub addr: u32,
    /// Index into [`Scanned::users`], or [`NONE`].
    pub user: u32,
    pub repeat: u32,
    /// Index into [`Scanned::hosts`].
    pub host: u16,
    /// A row of the catalogue, or [`UNKNOWN`].
    pub row: Row,
    /// 0: not known.
    pub port: u16,
    pub text: u8,
    pub flags: u8,
}

impl Record {
    pub fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn time(&self) -> Option<Time> {
        (self.time != NO_TIME).then_some(Time(self.time))
    }
}

/// A line of another program that `catalog::deeds` knows.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    pub time: Time,
    /// The local time exists twice; the earlier reading stands in `time`.
    pub twice: bool,
    pub line: u32,
    /// Index into [`Scanned::hosts`].
    pub host: u16,
    /// The line's own tag.
    pub program: &'static str,
    pub message: Span,
}

/// What a block holds.
#[derive(Debug, Default)]
pub struct Scanned {
    pub records: Vec<Record>,
    /// Where they are wanted ([`Scanner::for_deeds`]).
    pub deeds: Vec<Deed>,
    /// Distinct names, as places in the block's text. Users are as logged (escaped).
    pub addrs: Vec<Span>,
    /// Beside `addrs`: those that are IPv4, read.
    pub v4: Vec<Option<Ipv4Addr>>,
    pub users: Vec<Span>,
    pub hosts: Vec<Span>,
    /// Where they are wanted ([`Scanner::joining`]): connections that stand wholly in the block.
    pub wholes: Wholes,
    /// Text that does not stand in the block as such: lines rewritten from JSON, decoded audit names. Its offsets go on
    /// where the block ends.
    pub extra: Vec<u8>,
    pub lines: u64,
    /// Lines of other programs, lines that are no log lines.
    pub other: u64,
    pub unknown: u64,
    /// Of `other`, lines in sshd's words whose envelope could not be read, and the first of them.
    pub unread: u64,
    pub first_unread: Option<(u32, Span)>,
}

impl Scanned {
    /// The bytes of a span: in the block, or in what was added to it.
    pub fn text<'a>(&'a self, block: &'a [u8], span: Span) -> &'a [u8] {
        text_of(block, &self.extra, span)
    }

    pub fn message<'a>(&'a self, block: &'a [u8], record: &Record) -> &'a [u8] {
        self.text(
            block,
            Span {
                start: record.start,
                end: record.start + record.len,
            },
        )
    }

    fn clear(&mut self) {
        self.records.clear();
        self.deeds.clear();
        self.addrs.clear();
        self.v4.clear();
        self.users.clear();
        self.hosts.clear();
        self.wholes.clear();
        self.extra.clear();
        self.lines = 0;
        self.other = 0;
        self.unknown = 0;
        self.unread = 0;
        self.first_unread = None;
    }
}

fn text_of<'a>(block: &'a [u8], extra: &'a [u8], span: Span) -> &'a [u8] {
    let len = block.len() as u32;
    if span.start >= len {
        Span {
            start: span.start - len,
            end: span.end - len,
        }
        .of(extra)
    } else {
        span.of(block)
    }
}

/// Distinct byte strings of a block.
#[derive(Debug, Default)]
struct Interner {
    table: HashTable<u32>,
    hasher: hashbrown::DefaultHashBuilder,
    last: u32,
}

impl Interner {
    #[inline]
    fn intern(&mut self, spans: &mut Vec<Span>, block: &[u8], extra: &[u8], span: Span) -> u32 {
        let key = text_of(block, extra, span);
        // Lines come in bursts: the last one is often the one.
        if let Some(last) = spans.get(self.last as usize)
            && same(text_of(block, extra, *last), key)
        {
            return self.last;
        }
        self.look_up(spans, block, extra, span, key)
    }

    #[inline(never)]
    fn look_up(
        &mut self,
        spans: &mut Vec<Span>,
        block: &[u8],
        extra: &[u8],
        span: Span,
        key: &[u8],
    ) -> u32 {
        let hash = self.hasher.hash_one(key);
        let found = self.table.find(hash, |id| {
            spans
                .get(*id as usize)
                .is_some_and(|s| text_of(block, extra, *s) == key)
        });
        let id = match found {
            Some(id) => *id,
            None => {
                let id = spans.len() as u32;
                spans.push(span);
                let hasher = &self.hasher;
                let all = &*spans;
                self.table.insert_unique(hash, id, |i| {
                    hasher.hash_one(
                        all.get(*i as usize)
                            .map_or(&[][..], |s| text_of(block, extra, *s)),
                    )
                });
                id
            }
        };
        self.last = id;
        id
    }

    fn clear(&mut self) {
        self.table.clear();
        self.last = 0;
    }
}

/// Scans blocks one after the other, keeping its buffers.
#[derive(Debug, Default)]
pub struct Scanner {
    shortcuts: Shortcuts,
    names: BlockNames,
    scratch: Vec<u8>,
    deeds: bool,
    joiner: Option<Joiner>,
}

/// What the caller of [`Scanner::lines`] is given for each line.
#[derive(Debug)]
pub struct Seen<'s, 'a> {
    /// From 0.
    pub number: u32,
    pub line: &'s Line<'a>,
    pub event: Option<&'s Event<'a>>,
}

impl Seen<'_, '_> {
    /// Whether the line is about SSH logins at all.
    pub fn is_ours(&self) -> bool {
        match self.line.program {
            Program::Sshd | Program::Dropbear => true,
            Program::Platform | Program::Bare | Program::Audit => {
                self.event.is_some() || self.line.repeats_last
            }
            Program::Other => false,
        }
    }
}

impl Scanner {
    /// One that also takes in what other programs say was done on the host.
    pub fn for_deeds(deeds: bool) -> Scanner {
        Scanner {
            deeds,
            ..Scanner::default()
        }
    }

    /// One that also joins the connections that stand wholly in a block.
    pub fn joining(self) -> Scanner {
        Scanner {
            joiner: Some(Joiner::default()),
            ..self
        }
    }

    /// Every line of a block, in order, for who has its records already; the messages of those lines only are recognised for which
    /// `wanted`, given a line's number, says so.
    pub fn lines_again<'b>(
        &mut self,
        block: &'b [u8],
        years: Years,
        zone: &Zone,
        mut wanted: impl FnMut(u32) -> bool,
        mut each: impl FnMut(&Seen<'_, '_>),
    ) {
        let mut parser = LineParser::new(zone, years);
        let catalog = catalog();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut rest = block;
        let mut number = 0u32;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let raw: &'b [u8] = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            let line = parser.parse(raw, &mut scratch);
            let event = if wanted(number) {
                recognise(&mut self.shortcuts, catalog, &line)
            } else {
                None
            };
            each(&Seen {
                number,
                line: &line,
                event: event.as_ref(),
            });
            number += 1;
        }
        self.scratch = scratch;
    }

    /// Every line of a block, parsed and recognised, in order. `years` is the year of the first line.
    pub fn lines<'b>(
        &mut self,
        block: &'b [u8],
        years: Years,
        zone: &Zone,
        mut each: impl FnMut(&'b [u8], &Seen<'_, '_>),
    ) -> u64 {
        let mut parser = LineParser::new(zone, years);
        let catalog = catalog();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut rest = block;
        let mut number = 0u32;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let raw = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            let line = parser.parse(raw, &mut scratch);
            let event = recognise(&mut self.shortcuts, catalog, &line);
            each(
                raw,
                &Seen {
                    number,
                    line: &line,
                    event: event.as_ref(),
                },
            );
            number += 1;
        }
        self.scratch = scratch;
        u64::from(number)
    }

    /// Reduces a block to records. `out` is cleared first.
    pub fn scan(&mut self, block: &[u8], years: Years, zone: &Zone, out: &mut Scanned) {
        out.clear();
        self.names.clear();
        let catalog = catalog();
        let mut parser = LineParser::new(zone, years);
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut reducer = Reducer {
            base: block.as_ptr() as usize,
            block,
            names: &mut self.names,
            out,
        };
        let mut rest = block;
        let mut number = 0u32;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let raw = cut(rest.get(..end).unwrap_or_default());
            let start = block.len() - rest.len();
            rest = rest.get(end + 1..).unwrap_or_default();
            let at = number;
            number += 1;
            // Nearly every line: a program that wrote one just before says what was said before.
            if let Some(quick) = parser.quick(raw)
                && let Some(tag) = parser.tag(quick.tag)
            {
                if tag.program == Program::Other {
                    reducer.out.other += 1;
                    if self.deeds {
                        let line = parser.parse(raw, &mut scratch);
                        reducer.deed(at, &line);
                    }
                    continue;
                }
                if tag.plain
                    && let Some(message) = raw.get(quick.message..)
                    && let Some(hit) = self.shortcuts.hit(message)
                {
                    reducer.quick(at, start as u32, raw.len() as u32, &quick, tag, &hit);
                    continue;
                }
            }
            let line = parser.parse(raw, &mut scratch);
            if self.deeds && line.program == Program::Other {
                reducer.deed(at, &line);
            }
            let event = recognise(&mut self.shortcuts, catalog, &line);
            reducer.line(&Seen {
                number: at,
                line: &line,
                event: event.as_ref(),
            });
        }
        out.lines = u64::from(number);
        self.scratch = scratch;
        if let Some(joiner) = &mut self.joiner {
            let mut wholes = std::mem::take(&mut out.wholes);
            joiner.join(&out.records, |r| out.message(block, r), &mut wholes);
            out.wholes = wholes;
        }
    }
}

fn recognise<'a>(
    shortcuts: &mut Shortcuts,
    catalog: &'static Catalog,
    line: &Line<'a>,
) -> Option<Event<'a>> {
    match line.program {
        Program::Other => None,
        Program::Audit => catalog.audit(line.message),
        program => shortcuts.event(catalog, program, line.ident, line.message),
    }
}

/// The distinct names of a block.
#[derive(Debug, Default)]
struct BlockNames {
    addrs: Interner,
    v4: V4s,
    users: Interner,
    hosts: Interner,
}

impl BlockNames {
    fn clear(&mut self) {
        self.addrs.clear();
        self.v4.clear();
        self.users.clear();
        self.hosts.clear();
    }
}

/// Numbers of IPv4 addresses, with a small table of the latest in front.
#[derive(Debug)]
struct V4s {
    all: HashMap<Ipv4Addr, u32>,
    latest: Box<[(u32, u32); LATEST]>,
}

/// A power of two.
const LATEST: usize = 512;

impl Default for V4s {
    fn default() -> V4s {
        V4s {
            all: HashMap::new(),
            latest: Box::new([(0, NONE); LATEST]),
        }
    }
}

impl V4s {
    fn clear(&mut self) {
        self.all.clear();
        self.latest.fill((0, NONE));
    }

    /// The number of an address; `fresh` gives one to an address that has none.
    #[inline(always)]
    fn number(&mut self, ip: Ipv4Addr, fresh: impl FnOnce() -> u32) -> u32 {
        let bits = u32::from(ip);
        let place = (bits.wrapping_mul(0x9E37_79B1) >> 16) as usize % LATEST;
        if let Some((known, id)) = self.latest.get(place)
            && *known == bits
            && *id != NONE
        {
            return *id;
        }
        let id = *self.all.entry(ip).or_insert_with(fresh);
        if let Some(latest) = self.latest.get_mut(place) {
            *latest = (bits, id);
        }
        id
    }
}

/// Turns the lines of one block into records.
struct Reducer<'s> {
    block: &'s [u8],
    base: usize,
    names: &'s mut BlockNames,
    out: &'s mut Scanned,
}

impl Reducer<'_> {
    fn host(&mut self, span: Span) -> u16 {
        let out = &mut *self.out;
        self.names
            .hosts
            .intern(&mut out.hosts, self.block, &out.extra, span)
            .min(u32::from(u16::MAX)) as u16
    }

    #[inline(always)]
    fn user(&mut self, span: Span) -> u32 {
        let out = &mut *self.out;
        self.names
            .users
            .intern(&mut out.users, self.block, &out.extra, span)
    }

    #[inline(always)]
    fn addr(&mut self, span: Span, v4: Option<Ipv4Addr>) -> u32 {
        let out = &mut *self.out;
        match v4 {
            Some(ip) => self.names.v4.number(ip, || {
                out.addrs.push(span);
                out.v4.push(Some(ip));
                out.addrs.len() as u32 - 1
            }),
            None => {
                let addrs = &mut self.names.addrs;
                let id = addrs.intern(&mut out.addrs, self.block, &out.extra, span);
                out.v4.resize(out.addrs.len(), None);
                id
            }
        }
    }

    /// A line of sshd's for which there is a shortcut; `start` is its place in the block.
    #[inline(always)]
    fn quick(&mut self, at: u32, start: u32, len: u32, line: &Quick, tag: &mut Tag, hit: &Hit) {
        let moved = |s: Span, by: u32| Span {
            start: s.start + by,
            end: s.end + by,
        };
        let message = start + line.message as u32;
        let host = match tag.host_id {
            Some(id) => id,
            None => {
                let id = self.host(Span {
                    start: start + line.host as u32,
                    end: start + line.host_end as u32,
                });
                tag.host_id = Some(id);
                id
            }
        };
        let bit = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag::DAEMON
            | bit(line.twice, flag::TWICE)
            | bit(tag.session, flag::SESSION_PROCESS)
            | bit(hit.preauth, flag::PREAUTH)
            | bit(hit.hostile, flag::HOSTILE)
            | bit(hit.has_user && hit.user_is_invalid, flag::INVALID_USER);
        let addr = if hit.addr.is_empty() {
            NONE
        } else {
            let span = moved(hit.addr, message);
            if hit.v4.is_none() && span.of(self.block) == b"UNKNOWN" {
                NONE
            } else {
                self.addr(span, hit.v4)
            }
        };
        let user = match hit.has_user {
            false => NONE,
            true if hit.user.is_empty() => self.user(Span::default()),
            true => self.user(moved(hit.user, message)),
        };
        self.out.records.push(Record {
            time: line.time.map_or(NO_TIME, |t| t.0),
            line: at,
            start: message,
            len: len - line.message as u32,
            pid: line.pid,
            addr,
            user,
            repeat: 1,
            host,
            row: hit.row,
            port: hit.port,
            text: hit.text,
            flags,
        });
    }

    /// A line that looks like one of sshd's, in a form that is not known here.
    #[cold]
    fn unread(&mut self, seen: &Seen<'_, '_>) {
        let out = &mut *self.out;
        out.unread += 1;
        if out.first_unread.is_none() {
            let start = (self.block.len() + out.extra.len()) as u32;
            out.extra.extend_from_slice(cut(seen.line.message));
            let end = (self.block.len() + out.extra.len()) as u32;
            out.first_unread = Some((seen.number, Span { start, end }));
        }
    }

    /// A line of a program that logs what is done on the host.
    fn deed(&mut self, at: u32, line: &Line<'_>) {
        let (Some(program), Some(time)) = (deeds::program(line.ident), line.time) else {
            return;
        };
        let mut place = |slice: &[u8]| -> Span {
            let start = if line.rewritten {
                let extra = &mut self.out.extra;
                let start = self.block.len() + extra.len();
                extra.extend_from_slice(slice);
                start
            } else {
                (slice.as_ptr() as usize).wrapping_sub(self.base)
            } as u32;
            Span {
                start,
                end: start + slice.len() as u32,
            }
        };
        let message = place(line.message);
        let host = if line.host.is_empty() {
            Span::default()
        } else {
            place(line.host)
        };
        let host = self.host(host);
        self.out.deeds.push(Deed {
            time,
            twice: line.twice.is_some(),
            line: at,
            host,
            program,
            message,
        });
    }

    /// Any other line.
    fn line(&mut self, seen: &Seen<'_, '_>) {
        let line = seen.line;
        if !seen.is_ours() {
            self.out.other += 1;
            if line.program == Program::Bare && speaks_of_logins(line.message) {
                self.unread(seen);
            }
            return;
        }
        let block_len = self.block.len() as u32;
        // Where the line's slices are: in the block, or moved to `extra` first.
        let moved = if line.rewritten {
            let extra = &mut self.out.extra;
            let at = block_len + extra.len() as u32;
            extra.extend_from_slice(line.host);
            let message_at = block_len + extra.len() as u32;
            extra.extend_from_slice(line.message);
            Some((at, message_at))
        } else {
            None
        };
        let base = self.base;
        let place = |slice: &[u8]| -> Span {
            let start = match moved {
                Some((_, message_at)) => {
                    message_at
                        + (slice.as_ptr() as usize).wrapping_sub(line.message.as_ptr() as usize)
                            as u32
                }
                None => (slice.as_ptr() as usize).wrapping_sub(base) as u32,
            };
            Span {
                start,
                end: start + slice.len() as u32,
            }
        };
        let message = place(line.message);
        let host = match moved {
            Some((at, _)) => Span {
                start: at,
                end: at + line.host.len() as u32,
            },
            None if line.host.is_empty() => Span::default(),
            None => place(line.host),
        };
        let mut record = Record {
            time: line.time.map_or(NO_TIME, |t| t.0),
            line: seen.number,
            start: message.start,
            len: message.end - message.start,
            pid: line.pid.unwrap_or(0),
            addr: NONE,
            user: NONE,
            repeat: line.repeat,
            host: self.host(host),
            row: UNKNOWN,
            port: 0,
            text: 0,
            flags: 0,
        };
        if line.twice.is_some() {
            record.flags |= flag::TWICE;
        }
        if line.repeats_last {
            record.flags |= flag::REPEATS_LAST;
        }
        if matches!(
            line.program,
            Program::Sshd | Program::Dropbear | Program::Bare
        ) {
            record.flags |= flag::DAEMON;
        }
        if serves_one(line.ident) {
            record.flags |= flag::SESSION_PROCESS;
        }
        match seen.event {
            None if line.repeats_last => {}
            None => self.out.unknown += 1,
            Some(event) => {
                record.row = event.row;
                record.text = event.text;
                record.port = event.port().unwrap_or(0);
                if event.preauth {
                    record.flags |= flag::PREAUTH;
                }
                if event.hostile() {
                    record.flags |= flag::HOSTILE;
                }
                if event.fields.ambiguous {
                    record.flags |= flag::AMBIGUOUS;
                }
                if let Some(addr) = event.addr() {
                    record.addr = self.addr(place(addr), event.v4.or_else(|| parse_v4(addr)));
                }
                if let Some(user) = event.user() {
                    if event.user_is_invalid() {
                        record.flags |= flag::INVALID_USER;
                    }
                    let span = if line.program == Program::Audit {
                        match audit_name(user) {
                            Cow::Borrowed(name) => place(name),
                            Cow::Owned(name) => {
                                let start = block_len + self.out.extra.len() as u32;
                                self.out.extra.extend_from_slice(&name);
                                Span {
                                    start,
                                    end: start + name.len() as u32,
                                }
                            }
                        }
                    } else if user.is_empty() {
                        Span::default()
                    } else {
                        place(user)
                    };
                    record.user = self.user(span);
                }
            }
        }
        self.out.records.push(record);
    }
}

/// Whether a text without a known program holds words that sshd writes, and hardly anything else does.
fn speaks_of_logins(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 5] = [
        b"Failed password for ",
        b"Accepted password for ",
        b"Accepted publickey for ",
        b"Invalid user ",
        b" [preauth]",
    ];
    WORDS.iter().any(|w| memmem::find(text, w).is_some())
}

/// An audit record's `acct`: quoted, or hexadecimal when it holds odd characters.
pub fn audit_name(value: &[u8]) -> Cow<'_, [u8]> {
    let hex = value.len() >= 2
        && value.len().is_multiple_of(2)
        && value
            .iter()
            .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b));
    if !hex {
        return Cow::Borrowed(value);
    }
    let digit = |b: u8| {
        if b.is_ascii_digit() {
            b - b'0'
        } else {
            b - b'A' + 10
        }
    };
    Cow::Owned(
        value
            .chunks_exact(2)
            .filter_map(|p| Some(digit(*p.first()?) << 4 | digit(*p.get(1)?)))
            .collect(),
    )
}

impl crate::event::Catalog {
    /// The event of an audit record (`type=USER_LOGIN msg=audit(…): …`): user and address are `acct=` and `addr=`.
    pub fn audit<'a>(&self, record: &'a [u8]) -> Option<Event<'a>> {
        let mut event = self.event(Program::Platform, b"audit", record)?;
        let field = |key: &[u8]| -> Option<Span> {
            let at = memmem::find(record, key)? + key.len();
            let rest = record.get(at..)?;
            let (from, len) = match rest.first()? {
                b'"' => (1, memchr(b'"', rest.get(1..)?)?),
                _ => (
                    0,
                    rest.iter()
                        .position(|b| matches!(b, b' ' | b'\'' | 0x1d))
                        .unwrap_or(rest.len()),
                ),
            };
            Some(Span {
                start: (at + from) as u32,
                end: (at + from + len) as u32,
            })
        };
        // An operand may sit inside `msg='…'`: keys are preceded by a space or a quote.
        let addr = field(b" addr=").or_else(|| field(b"'addr="));
        event.fields.ip = addr
            .filter(|s| crate::addr::parse_ip(s.of(record)).is_some())
            .unwrap_or_default();
        let acct = field(b" acct=").or_else(|| field(b"'acct="));
        if let Some(acct) = acct {
            let name = audit_name(acct.of(record));
            if !matches!(
                name.as_ref(),
                b"?" | b"(invalid user)" | b"(unknown user)" | b"(unknown)"
            ) {
                event.fields.user = acct;
                event.fields.has_user = true;
            }
        }
        Some(event)
    }
}

/// A user name as typed, for people and for comparing.
pub fn user_name(logged: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(logged)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_names_are_decoded_and_others_left() {
        assert_eq!(
            audit_name(b"28696E76616C6964207573657229").as_ref(),
            b"(invalid user)"
        );
        assert_eq!(audit_name(b"root").as_ref(), b"root");
        assert_eq!(audit_name(b"abc").as_ref(), b"abc");
    }
}
