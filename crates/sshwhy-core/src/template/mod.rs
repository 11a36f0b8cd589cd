//! Decides whether a message body is one of the catalogue's wordings, and where its fields are.
//!
//! A wording is compiled once into literals and slots. Matching goes from both ends towards the free text in the middle, so a
//! user name that contains ` from 203.0.113.5 port 22` cannot move the address: what sshd wrote last stands last. Where two
//! texts chosen by the peer leave more than one reading, the match says [`Fields::ambiguous`] and gives no address.
//!
//! Candidates are found in a trie over literals and bounded slots: the most that is fixed, read from the left, wins; then
//! wordings whose end is certain (nobody can append to them), then the most literal bytes. The slow matcher in the tests tries every wording in that order and must agree.

mod matcher;
mod reading;

pub use matcher::Matcher;

use reading::{backward, forward, middle};

/// What a slot may match, from its name (see `catalog::messages`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    Ip,
    Host,
    AddrPort,
    Port,
    LocalIp,
    LocalPort,
    User,
    Method,
    Submethod,
    KeyType,
    Fingerprint,
    /// One word without a field of its own.
    Word,
    /// A number without a field of its own.
    Number,
    Text,
}

impl Slot {
    fn of(name: &str) -> Slot {
        match name {
            "ip" => Slot::Ip,
            "host" => Slot::Host,
            "addrport" => Slot::AddrPort,
            "port" => Slot::Port,
            "local-ip" => Slot::LocalIp,
            "local-port" => Slot::LocalPort,
            "user" => Slot::User,
            "method" => Slot::Method,
            "submethod" => Slot::Submethod,
            "key-type" | "key-algorithm" => Slot::KeyType,
            "fingerprint" => Slot::Fingerprint,
            "ca-key-type" | "ca-fingerprint" | "keyword" | "signal" | "status" | "logname"
            | "tty" | "ruser" => Slot::Word,
            "n" | "count" | "pid" | "uid" | "euid" | "gid" | "seconds" | "line" | "serial"
            | "masklen" | "len" | "channel" | "fd" | "type" => Slot::Number,
            _ => Slot::Text,
        }
    }

    /// Of the literal behind it, what decides where it ends.
    fn stop(self, literal: &[u8]) -> &[u8] {
        match self {
            // `from 192.0.2.7: 11: bye`: the colon is the wording's.
            Slot::Ip | Slot::LocalIp if literal.first() == Some(&b':') => b":",
            Slot::Ip | Slot::LocalIp | Slot::Port | Slot::LocalPort | Slot::Number => b"",
            // Words end at a space, or where the literal begins.
            _ => literal.split(|b| *b == b' ').next().unwrap_or_default(),
        }
    }

    /// Whether its extent is decided by its own characters, not by what stands around it.
    fn bounded(self) -> bool {
        !matches!(self, Slot::User | Slot::Text)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    Literal(Box<[u8]>),
    Slot(Slot, bool),
    /// Longest first.
    Words(Vec<&'static str>),
}

/// A part of the message: byte offsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    fn some(self, text: &[u8]) -> Option<&[u8]> {
        (!self.is_empty()).then(|| self.of(text))
    }
}

/// Where the fields of a matched message stand. Empty spans are absent fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fields {
    pub ip: Span,
    pub host: Span,
    pub port: Span,
    pub user: Span,
    pub method: Span,
    pub key_type: Span,
    pub fingerprint: Span,
    pub text: Span,
    /// Whether the wording has a user slot at all (it may be empty: an empty user name was tried).
    pub has_user: bool,
    /// More than one reading fits: texts chosen by the peer stand on both sides of the address.
    pub ambiguous: bool,
}

impl Fields {
    pub fn addr<'a>(&self, body: &'a [u8]) -> Option<&'a [u8]> {
        self.ip.some(body).or_else(|| self.host.some(body))
    }

    fn set(&mut self, slot: Slot, span: Span, body: &[u8]) {
        match slot {
            Slot::Ip => self.ip = span,
            Slot::Host => self.host = span,
            Slot::Port => self.port = span,
            Slot::User => {
                self.user = span;
                self.has_user = true;
            }
            Slot::Method => self.method = span,
            Slot::KeyType => {
                if self.key_type.is_empty() {
                    self.key_type = span;
                }
            }
            Slot::Fingerprint => {
                if self.fingerprint.is_empty() {
                    self.fingerprint = span;
                }
            }
            Slot::Text => self.text = span,
            Slot::AddrPort => {
                let (addr, port) = split_addr_port(span.of(body));
                self.ip = Span {
                    start: span.start + addr.start,
                    end: span.start + addr.end,
                };
                self.port = Span {
                    start: span.start + port.start,
                    end: span.start + port.end,
                };
            }
            Slot::LocalIp | Slot::LocalPort | Slot::Submethod | Slot::Word | Slot::Number => {}
        }
    }
}

/// `192.0.2.7:22`, `[2001:db8::7]:22`, `2001:db8::7:22` → (address, port); without a port the second is empty.
fn split_addr_port(text: &[u8]) -> (Span, Span) {
    let end = text.len();
    if text.first() == Some(&b'[')
        && let Some(close) = memchr::memchr(b']', text)
    {
        let port = if text.get(close + 1) == Some(&b':') {
            close + 2
        } else {
            end
        };
        return (Span::new(1, close), Span::new(port, end));
    }
    match memchr::memrchr(b':', text) {
        Some(colon)
            if text
                .get(colon + 1..)
                .is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit)) =>
        {
            (Span::new(0, colon), Span::new(colon + 1, end))
        }
        _ => (Span::new(0, end), Span::default()),
    }
}

fn is_ip_byte(b: u8) -> bool {
    b.is_ascii_hexdigit() || b == b'.' || b == b':'
}

/// One compiled reading of a wording (optional parts spelled out).
#[derive(Clone, Debug)]
pub struct Template {
    tokens: Vec<Token>,
    /// Literal bytes in all.
    weight: usize,
    /// The longest literal, for a quick look before the full match of wordings that begin with a slot.
    anchor: Box<[u8]>,
}

/// Why a wording of the catalogue does not compile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadTemplate(pub String);

/// How many readings one wording may be spelled out into before its alternatives stay inside.
const MAX_READINGS: usize = 32;

impl Template {
    /// All readings of a wording, in order of preference.
    pub fn compile(text: &'static str) -> Result<Vec<Template>, BadTemplate> {
        let bad = |why: &str| BadTemplate(format!("{why}: {text}"));
        let mut readings: Vec<Vec<Token>> = vec![Vec::new()];
        let mut rest = text;
        while !rest.is_empty() {
            let Some(open) = rest.find('{') else {
                readings.iter_mut().for_each(|r| push_literal(r, rest));
                break;
            };
            if open > 0 {
                let literal = rest.get(..open).unwrap_or_default();
                readings.iter_mut().for_each(|r| push_literal(r, literal));
            }
            let after = rest.get(open + 1..).unwrap_or_default();
            let close = after.find('}').ok_or_else(|| bad("a slot is not closed"))?;
            let slot = after.get(..close).unwrap_or_default();
            rest = after.get(close + 1..).unwrap_or_default();
            if slot.is_empty() {
                return Err(bad("an empty slot"));
            }
            if let Some(literal) = slot.strip_prefix('?') {
                let mut without = readings.clone();
                readings.iter_mut().for_each(|r| push_literal(r, literal));
                readings.append(&mut without);
            } else if let Some(words) = slot.strip_prefix('=') {
                let mut words: Vec<&'static str> = words.split('|').collect();
                words.sort_by_key(|w| std::cmp::Reverse(w.len()));
                if readings.len() * words.len() <= MAX_READINGS {
                    readings = words
                        .iter()
                        .flat_map(|w| {
                            readings.iter().map(move |r| {
                                let mut r = r.clone();
                                push_literal(&mut r, w);
                                r
                            })
                        })
                        .collect();
                } else {
                    readings
                        .iter_mut()
                        .for_each(|r| r.push(Token::Words(words.clone())));
                }
            } else if slot == "peer" {
                let before = std::mem::take(&mut readings);
                for kind in [
                    "authenticating user ",
                    "authenticatinguser ",
                    "invalid user ",
                    "user ",
                    "",
                ] {
                    for r in &before {
                        let mut r = r.clone();
                        if !kind.is_empty() {
                            push_literal(&mut r, kind);
                            // A client may ask for the empty user name.
                            r.push(Token::Slot(Slot::User, true));
                            push_literal(&mut r, " ");
                        }
                        r.push(Token::Slot(Slot::Ip, false));
                        push_literal(&mut r, " port ");
                        r.push(Token::Slot(Slot::Port, false));
                        readings.push(r);
                    }
                }
            } else {
                let (name, optional) = slot.strip_suffix('?').map_or((slot, false), |n| (n, true));
                let kind = Slot::of(name);
                // The user name is the client's choice and may be empty wherever sshd prints it.
                let optional = optional || kind == Slot::User;
                readings
                    .iter_mut()
                    .for_each(|r| r.push(Token::Slot(kind, optional)));
            }
            if readings.len() > 4 * MAX_READINGS {
                return Err(bad("too many readings"));
            }
        }
        Ok(readings
            .into_iter()
            .map(|tokens| {
                let literals = || {
                    tokens.iter().filter_map(|t| match t {
                        Token::Literal(l) => Some(l),
                        _ => None,
                    })
                };
                let weight = literals().map(|l| l.len()).sum();
                let anchor = literals()
                    .max_by_key(|l| l.len())
                    .cloned()
                    .unwrap_or_default();
                Template {
                    tokens,
                    weight,
                    anchor,
                }
            })
            .collect())
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Whether it ends in free text.
    fn open_ended(&self) -> bool {
        matches!(self.tokens.last(), Some(Token::Slot(slot, _)) if !slot.bounded())
    }

    /// Whether the whole body is this wording.
    pub fn matches(&self, body: &[u8]) -> Option<Fields> {
        self.matches_beyond(body, 0, 0, Fields::default())
    }

    /// As [`Template::matches`], where the first `skip` tokens are known to cover the first `lo` bytes and gave `fields`.
    fn matches_beyond(
        &self,
        body: &[u8],
        skip: usize,
        lo: usize,
        mut fields: Fields,
    ) -> Option<Fields> {
        let (mut lo, mut hi) = (lo, body.len());
        let mut tokens = self.tokens.get(skip..)?;
        // From the left, as long as the extent of each token is certain.
        while let [first, rest @ ..] = tokens {
            let Some(end) = forward(first, rest.first(), body, lo, hi) else {
                break;
            };
            let end = end?;
            if let Token::Slot(slot, _) = first {
                fields.set(*slot, Span::new(lo, end), body);
            }
            lo = end;
            tokens = rest;
        }
        // From the right.
        while let [rest @ .., last] = tokens {
            let Some(start) = backward(last, rest.last(), body, lo, hi) else {
                break;
            };
            let start = start?;
            if let Token::Slot(slot, _) = last {
                fields.set(*slot, Span::new(start, hi), body);
            }
            hi = start;
            tokens = rest;
        }
        match tokens {
            [] => (lo == hi).then_some(fields),
            [Token::Slot(slot, optional)] => {
                if lo == hi && !optional {
                    return None;
                }
                fields.set(*slot, Span::new(lo, hi), body);
                Some(fields)
            }
            _ => middle(tokens, body, lo, hi, fields),
        }
    }
}

fn push_literal(tokens: &mut Vec<Token>, text: &str) {
    if text.is_empty() {
        return;
    }
    if let Some(Token::Literal(last)) = tokens.last_mut() {
        let joined = [&**last, text.as_bytes()].concat();
        *last = joined.into();
    } else {
        tokens.push(Token::Literal(text.as_bytes().into()));
    }
}

#[cfg(test)]
mod tests;
