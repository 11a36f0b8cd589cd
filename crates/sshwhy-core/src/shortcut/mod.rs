//! Recognises a message without a search, where a wording was found before and it is proven that no other can be meant.
//!
//! Logs say the same few things over and over. A wording that turned up some times is turned into a straight list of steps
//! (literal, address, number, word), together with the wrapping that stood around it (level word, PAM module, ` [preauth]`). The
//! steps accept plain values only: dotted addresses, numbers, words without spaces or punctuation. Before a wording gets its
//! steps, it is compared with every wording that the search prefers to it. Those that some text accepted by the steps could be
//! are tried first each time; when there are many of them, the wording stays with the search. So a shortcut says what
//! [`Catalog::event`] would have said, or nothing.
//!
//! Bounded: at most [`MAX_SHORTCUTS`], and no more than [`MAX_STUDIED`] wordings are looked at.

mod proof;

use proof::prove;

use crate::addr::v4_prefix;
use crate::event::{Catalog, Event, Found, Row, TIMEOUT_FROM};
use crate::line::{Program, number};
use crate::template::{Fields, Slot, Span, Template};
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// How many shortcuts are kept.
pub const MAX_SHORTCUTS: usize = 192;
/// How many combinations of wording and wrapping are counted.
pub const MAX_STUDIED: usize = 2048;
/// A wording gets its steps when it was found so often: the proof costs as much as some searches.
const WORTH_IT: u32 = 12;
/// A wording that has to give way to more than so many others is left to the search.
const MAX_RIVALS: usize = 8;
const BUCKETS: usize = 64;

/// Bytes of plain user names, host names and the like.
const WORD: [bool; 256] = {
    let mut set = [false; 256];
    let mut b = 0usize;
    while b < 256 {
        let c = b as u8;
        set[b] = c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'@' | b'+');
        b += 1;
    }
    set
};

/// Bytes of key types and fingerprints; brackets begin what stands behind a message.
const GRAPHIC: [bool; 256] = {
    let mut set = [false; 256];
    let mut b = 0x21usize;
    while b < 0x7f {
        set[b] = b as u8 != b'[' && b as u8 != b']';
        b += 1;
    }
    set
};

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Literal(Box<[u8]>),
    /// At most eight bytes, compared at once: the bits that `mask` has.
    Short {
        text: u64,
        mask: u64,
        len: usize,
    },
    Ip(Slot),
    /// A word that is an address more often than not.
    Host {
        optional: bool,
    },
    Port(Slot),
    Number,
    Word {
        slot: Slot,
        optional: bool,
        graphic: bool,
    },
    /// The rest of the body.
    Rest {
        optional: bool,
    },
}

impl Step {
    fn literal(text: &[u8]) -> Step {
        if text.len() > 8 {
            return Step::Literal(text.into());
        }
        Step::Short {
            text: text.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)),
            mask: text.iter().fold(0, |n, _| n << 8 | 0xff),
            len: text.len(),
        }
    }
}

#[derive(Debug)]
struct Shortcut {
    steps: Vec<Step>,
    /// Wordings that win if they match, each with what it ends in.
    rivals: Vec<(Box<[u8]>, Template)>,
    /// Where the body's text begins for them.
    offset: u32,
    /// How many bytes of level word stand before the body.
    before: u32,
    /// How many bytes ` [preauth]` and the like take.
    after: u32,
    row: Row,
    text: u8,
    preauth: bool,
    hostile: bool,
    user_is_invalid: bool,
}

/// A reading of a wording, what stood in front of it, and how many bytes behind it.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Studied {
    number: u32,
    entry: u32,
    front: Box<[u8]>,
    behind: u32,
}

/// What was learned from the lines of one stream.
#[derive(Debug)]
pub struct Shortcuts {
    buckets: Vec<Vec<Shortcut>>,
    known: usize,
    /// How often each was found.
    studied: HashMap<Studied, u32>,
}

impl Default for Shortcuts {
    fn default() -> Shortcuts {
        Shortcuts {
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            known: 0,
            studied: HashMap::new(),
        }
    }
}

/// By the first eight bytes.
#[inline]
fn bucket(message: &[u8]) -> usize {
    message.first_chunk::<8>().map_or(0, |head| {
        (u64::from_le_bytes(*head).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
    })
}

/// Equality without a call, for the short texts that it is about.
#[inline(always)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if let (Some(a_end), Some(b_end)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        let (a, _) = a.as_chunks::<8>();
        let (b, _) = b.as_chunks::<8>();
        for (x, y) in a.iter().zip(b) {
            if u64::from_ne_bytes(*x) != u64::from_ne_bytes(*y) {
                return false;
            }
        }
        return a_end == b_end;
    }
    if let (Some(a4), Some(b4)) = (a.first_chunk::<4>(), b.first_chunk::<4>()) {
        return a4 == b4 && a.last_chunk::<4>() == b.last_chunk::<4>();
    }
    a.iter().zip(b).all(|(x, y)| x == y)
}

impl Shortcuts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.known
    }

    pub fn is_empty(&self) -> bool {
        self.known == 0
    }

    /// As [`Catalog::event`], remembering what it finds.
    #[inline]
    pub fn event<'a>(
        &mut self,
        catalog: &'static Catalog,
        program: Program,
        ident: &[u8],
        message: &'a [u8],
    ) -> Option<Event<'a>> {
        // The same wording may be somebody else's in another program, or in `sshd(pam_unix)`.
        if program != Program::Sshd {
            return catalog.event(program, ident, message);
        }
        if ident.last() != Some(&b')') {
            let bucket = self.buckets.get(bucket(message));
            if let Some(event) = bucket.and_then(|b| b.iter().find_map(|s| s.take(message))) {
                return Some(event);
            }
            return self.search(catalog, ident, message);
        }
        catalog.event(program, ident, message)
    }

    /// What a record needs of a message of sshd's, where a shortcut leads to it.
    #[inline(always)]
    pub(crate) fn hit(&mut self, message: &[u8]) -> Option<Hit> {
        let bucket = self.buckets.get_mut(bucket(message))?;
        for i in 0..bucket.len() {
            if let Some(hit) = bucket.get(i)?.hit(message) {
                // Who is asked for often moves forward.
                if i > 0 {
                    bucket.swap(i - 1, i);
                }
                return Some(hit);
            }
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn search<'a>(
        &mut self,
        catalog: &'static Catalog,
        ident: &[u8],
        message: &'a [u8],
    ) -> Option<Event<'a>> {
        let (event, found) = catalog.event_found(Program::Sshd, ident, message)?;
        if self.known < MAX_SHORTCUTS {
            self.study(&event, &found, message);
        }
        Some(event)
    }

    fn study(&mut self, event: &Event<'_>, found: &Found<'static>, message: &[u8]) {
        let before = (event.body.as_ptr() as usize).wrapping_sub(message.as_ptr() as usize);
        let Some(front) = message.get(..before + found.offset as usize) else {
            return;
        };
        let Some(after) = message.len().checked_sub(before + event.body.len()) else {
            return;
        };
        // Which of its two addresses counts is no matter of places.
        if found.trimmed || front.len() > 64 || event.body.starts_with(TIMEOUT_FROM) {
            return;
        }
        let number = u32::from(event.row) << 8 | u32::from(event.text);
        let key = Studied {
            number,
            entry: found.entry,
            front: front.into(),
            behind: after as u32,
        };
        if self.studied.len() >= MAX_STUDIED && !self.studied.contains_key(&key) {
            return;
        }
        let times = self.studied.entry(key).or_insert(0);
        *times = times.saturating_add(1);
        if *times != WORTH_IT {
            return;
        }
        let behind = message.get(message.len() - after..).unwrap_or_default();
        if let Some(shortcut) = prove(event, found, front, behind, before as u32)
            && let Some(place) = self.buckets.get_mut(bucket(message))
        {
            place.push(shortcut);
            self.known += 1;
        }
    }
}

/// What is noted down on the way through a shortcut's steps: places in the message.
trait Notes {
    fn ip(&mut self, at: Span, ip: Ipv4Addr);
    fn host(&mut self, at: Span, ip: Option<Ipv4Addr>);
    fn port(&mut self, at: Span, port: u32);
    fn user(&mut self, at: Span);
    fn other(&mut self, slot: Slot, at: Span);
}

/// All that an [`Event`] says.
#[derive(Default)]
struct Everything {
    fields: Fields,
    v4: Option<Ipv4Addr>,
    port: u32,
}

impl Notes for Everything {
    fn ip(&mut self, at: Span, ip: Ipv4Addr) {
        self.fields.ip = at;
        self.v4 = Some(ip);
    }

    fn host(&mut self, at: Span, ip: Option<Ipv4Addr>) {
        self.fields.host = at;
        self.v4 = ip;
    }

    fn port(&mut self, at: Span, port: u32) {
        self.fields.port = at;
        self.port = port;
    }

    fn user(&mut self, at: Span) {
        self.fields.user = at;
        self.fields.has_user = true;
    }

    fn other(&mut self, slot: Slot, at: Span) {
        match slot {
            Slot::Method => self.fields.method = at,
            Slot::KeyType => self.fields.key_type = at,
            Slot::Fingerprint => self.fields.fingerprint = at,
            Slot::Text => self.fields.text = at,
            _ => {}
        }
    }
}

/// What a record needs of a message: places in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hit {
    pub row: Row,
    pub text: u8,
    pub port: u16,
    pub preauth: bool,
    pub hostile: bool,
    pub user_is_invalid: bool,
    pub has_user: bool,
    pub user: Span,
    /// An address or a host name; empty where there is none.
    pub addr: Span,
    /// The address, where it is one of IPv4.
    pub v4: Option<Ipv4Addr>,
}

impl Notes for Hit {
    #[inline(always)]
    fn ip(&mut self, at: Span, ip: Ipv4Addr) {
        self.addr = at;
        self.v4 = Some(ip);
    }

    #[inline(always)]
    fn host(&mut self, at: Span, ip: Option<Ipv4Addr>) {
        // No wording has both; if one had, the address would count.
        if self.v4.is_none() {
            self.addr = at;
            self.v4 = ip;
        }
    }

    #[inline(always)]
    fn port(&mut self, _: Span, port: u32) {
        self.port = u16::try_from(port).unwrap_or(0);
    }

    #[inline(always)]
    fn user(&mut self, at: Span) {
        self.user = at;
        self.has_user = true;
    }

    #[inline(always)]
    fn other(&mut self, _: Slot, _: Span) {}
}

impl Shortcut {
    /// Goes along the steps; whether the message is this wording from end to end.
    #[inline(always)]
    fn walk(&self, message: &[u8], notes: &mut impl Notes) -> Option<()> {
        let mut at = 0usize;
        let end = message.len();
        for step in &self.steps {
            match step {
                Step::Literal(text) => {
                    let next = at + text.len();
                    if !same(message.get(at..next)?, text) {
                        return None;
                    }
                    at = next;
                }
                Step::Short { text, mask, len } => {
                    let rest = message.get(at..)?;
                    let found = match rest.first_chunk::<8>() {
                        Some(head) => u64::from_le_bytes(*head),
                        // The end is near: zeros stand behind it.
                        None => rest.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)),
                    };
                    if (found ^ text) & mask != 0 || end - at < *len {
                        return None;
                    }
                    at += len;
                }
                Step::Ip(slot) => {
                    let (ip, len) = v4_prefix(message.get(at..)?)?;
                    if *slot == Slot::Ip {
                        notes.ip(self.span(at, at + len), Ipv4Addr::from(ip));
                    }
                    at += len;
                }
                Step::Host { optional } => {
                    let rest = message.get(at..)?;
                    let (mut len, mut v4) = (0, None);
                    if let Some((ip, n)) = v4_prefix(rest) {
                        len = n;
                        v4 = Some(Ipv4Addr::from(ip));
                    }
                    let more = run(rest.get(len..)?, &WORD);
                    if more > 0 {
                        len += more;
                        v4 = None;
                    }
                    if len == 0 && !optional {
                        return None;
                    }
                    notes.host(self.span(at, at + len), v4);
                    at += len;
                }
                Step::Port(slot) => {
                    let rest = message.get(at..)?;
                    let (n, len) = number(rest)?;
                    if len > 5 || (len > 1 && rest.first() == Some(&b'0')) {
                        return None;
                    }
                    if *slot == Slot::Port {
                        notes.port(self.span(at, at + len), n);
                    }
                    at += len;
                }
                Step::Number => {
                    let rest = message.get(at..)?;
                    let len = rest
                        .iter()
                        .position(|b| !b.is_ascii_digit())
                        .unwrap_or(rest.len());
                    if len == 0 {
                        return None;
                    }
                    at += len;
                }
                Step::Word {
                    slot,
                    optional,
                    graphic,
                } => {
                    let set = if *graphic { &GRAPHIC } else { &WORD };
                    let len = run(message.get(at..)?, set);
                    if len == 0 && !optional {
                        return None;
                    }
                    let span = self.span(at, at + len);
                    match slot {
                        Slot::User => notes.user(span),
                        _ => notes.other(*slot, span),
                    }
                    at += len;
                }
                Step::Rest { optional } => {
                    let stop = end.checked_sub(self.after as usize)?;
                    if stop < at || (stop == at && !optional) {
                        return None;
                    }
                    // Another wrapping than the one that was studied.
                    if self.after == 0 && message.last() == Some(&b']') {
                        return None;
                    }
                    notes.other(Slot::Text, self.span(at, stop));
                    at = stop;
                }
            }
        }
        if at != end {
            return None;
        }
        let body = message.get(self.before as usize..end - self.after as usize)?;
        if !self.rivals.is_empty() {
            let text = body.get(self.offset as usize..)?;
            let beaten = |(end, wording): &(Box<[u8]>, Template)| {
                text.ends_with(end) && wording.matches(text).is_some()
            };
            if self.rivals.iter().any(beaten) {
                return None;
            }
        }
        Some(())
    }

    fn take<'a>(&self, message: &'a [u8]) -> Option<Event<'a>> {
        let mut all = Everything::default();
        self.walk(message, &mut all)?;
        Some(Event {
            row: self.row,
            text: self.text,
            body: message.get(self.before as usize..message.len() - self.after as usize)?,
            fields: all.fields,
            preauth: self.preauth,
            port: u16::try_from(all.port).unwrap_or(0),
            v4: all.v4,
            hostile: self.hostile,
            user_is_invalid: self.user_is_invalid,
        })
    }

    /// As [`Shortcut::take`], for who needs less; places are those in the message.
    #[inline(always)]
    fn hit(&self, message: &[u8]) -> Option<Hit> {
        let mut hit = Hit::default();
        self.walk(message, &mut hit)?;
        let moved = |s: Span| Span {
            start: s.start + self.before,
            end: s.end + self.before,
        };
        Some(Hit {
            row: self.row,
            text: self.text,
            preauth: self.preauth,
            hostile: self.hostile,
            user_is_invalid: self.user_is_invalid,
            user: moved(hit.user),
            addr: moved(hit.addr),
            ..hit
        })
    }

    #[inline(always)]
    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            start: start as u32 - self.before,
            end: end as u32 - self.before,
        }
    }
}

#[inline(always)]
fn run(text: &[u8], set: &[bool; 256]) -> usize {
    let mut len = 0;
    for b in text {
        if !set[usize::from(*b)] {
            break;
        }
        len += 1;
    }
    len
}

#[cfg(test)]
mod tests;
