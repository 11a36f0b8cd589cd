//! Decides whether a message body is one of the catalogue's wordings, and where its fields are.
//!
//! A wording is compiled once into literals and slots. Matching goes from both ends towards the free text in the middle, so a
//! user name that contains ` from 203.0.113.5 port 22` cannot move the address: what sshd wrote last stands last. Where two
//! texts chosen by the peer leave more than one reading, the match says [`Fields::ambiguous`] and gives no address.
//!
//! Candidates are found in a trie over literals and bounded slots: the most that is fixed, read from the left, wins; then
//! wordings whose end is certain (nobody can append to them), then the most literal bytes. The slow matcher in the tests tries every wording in that order and must agree.

use memchr::memmem;
use std::sync::OnceLock;

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

fn stop_of(next: Option<&Token>) -> &[u8] {
    match next {
        Some(Token::Literal(l)) => l,
        _ => b"",
    }
}

/// The end of a token that begins at `lo`: `None` where it is free text, `Some(None)` where it does not match.
fn forward(
    token: &Token,
    next: Option<&Token>,
    body: &[u8],
    lo: usize,
    hi: usize,
) -> Option<Option<usize>> {
    let text = body.get(lo..hi)?;
    match token {
        Token::Literal(l) => Some(text.starts_with(l).then(|| lo + l.len())),
        Token::Words(words) => Some(
            words
                .iter()
                .find(|w| text.starts_with(w.as_bytes()))
                .map(|w| lo + w.len()),
        ),
        Token::Slot(slot, optional) => {
            if !slot.bounded() {
                return None;
            }
            let len = extent(*slot, text, slot.stop(stop_of(next)));
            Some((valid(*slot, *optional, text.get(..len).unwrap_or_default())).then_some(lo + len))
        }
    }
}

/// The start of a token that ends at `hi`; as [`forward`].
fn backward(
    token: &Token,
    before: Option<&Token>,
    body: &[u8],
    lo: usize,
    hi: usize,
) -> Option<Option<usize>> {
    let text = body.get(lo..hi)?;
    match token {
        Token::Literal(l) => Some(text.ends_with(l).then(|| hi - l.len())),
        Token::Words(words) => Some(
            words
                .iter()
                .find(|w| text.ends_with(w.as_bytes()))
                .map(|w| hi - w.len()),
        ),
        Token::Slot(slot, optional) => {
            if !slot.bounded() {
                return None;
            }
            let stop = match before {
                Some(Token::Literal(l)) => &**l,
                _ => b"",
            };
            let len = extent_back(*slot, text, stop);
            let found = text.get(text.len() - len..).unwrap_or_default();
            Some(valid(*slot, *optional, found).then_some(hi - len))
        }
    }
}

fn valid(slot: Slot, optional: bool, found: &[u8]) -> bool {
    if found.is_empty() {
        return optional;
    }
    match slot {
        Slot::Ip | Slot::LocalIp => found == b"UNKNOWN" || looks_like_ip(found),
        // -1 and 65535 stand beside UNKNOWN; more than five digits or a leading zero is nothing sshd prints.
        Slot::Port | Slot::LocalPort => {
            found == b"-1"
                || (found.len() <= 5 && (found.len() == 1 || found.first() != Some(&b'0')))
        }
        Slot::AddrPort => found.iter().any(|b| matches!(b, b'.' | b':')),
        _ => true,
    }
}

/// Cheap shape check (the address is parsed for good later); a scope `%eth0` may follow. Masked digits (`183.0.2.x`), as in
/// logs made anonymous, are no address.
#[inline]
fn looks_like_ip(found: &[u8]) -> bool {
    let (mut dots, mut colons, mut letters) = (0u32, 0u32, 0u32);
    for b in found {
        match b {
            b'0'..=b'9' => {}
            b'.' => dots += 1,
            b':' => colons += 1,
            b'a'..=b'f' | b'A'..=b'F' => letters += 1,
            b'%' => break,
            _ => return false,
        }
    }
    colons >= 2 || (colons == 0 && dots == 3 && letters == 0)
}

/// How many bytes a bounded slot takes from the left of `text`.
fn extent(slot: Slot, text: &[u8], stop: &[u8]) -> usize {
    match slot {
        Slot::Ip | Slot::LocalIp => {
            if text.starts_with(b"UNKNOWN") {
                return 7;
            }
            let mut n = text
                .iter()
                .position(|b| !is_ip_byte(*b))
                .unwrap_or(text.len());
            if text.get(n) == Some(&b'%') {
                n += 1;
                n += text
                    .get(n..)
                    .and_then(|t| {
                        t.iter().position(|b| {
                            !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
                        })
                    })
                    .unwrap_or(text.len() - n);
            }
            while n > 0 && stop.first() == Some(&b':') && text.get(n - 1) == Some(&b':') {
                n -= 1;
            }
            n
        }
        Slot::Port | Slot::LocalPort | Slot::Number => {
            let sign = usize::from(text.first() == Some(&b'-'));
            let digits = text.get(sign..).map_or(0, |t| {
                t.iter()
                    .position(|b| !b.is_ascii_digit())
                    .unwrap_or(t.len())
            });
            if digits == 0 { 0 } else { sign + digits }
        }
        _ => {
            let run = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
            let word = text.get(..run).unwrap_or_default();
            match stop.first() {
                None | Some(b' ') => run,
                Some(_) => memmem::find(word, stop.split(|b| *b == b' ').next().unwrap_or(stop))
                    .unwrap_or(run),
            }
        }
    }
}

fn extent_back(slot: Slot, text: &[u8], stop: &[u8]) -> usize {
    let run = |keep: fn(u8) -> bool| {
        text.iter()
            .rev()
            .position(|b| !keep(*b))
            .unwrap_or(text.len())
    };
    match slot {
        Slot::Ip | Slot::LocalIp => {
            if text.ends_with(b"UNKNOWN") {
                return 7;
            }
            let word = run(|b| {
                is_ip_byte(b) || b.is_ascii_alphanumeric() || matches!(b, b'%' | b'_' | b'-')
            });
            let found = text.get(text.len() - word..).unwrap_or_default();
            if memchr::memchr(b'%', found).is_some() {
                return word;
            }
            run(is_ip_byte)
        }
        Slot::Port | Slot::LocalPort | Slot::Number => {
            let digits = run(|b| b.is_ascii_digit());
            let sign = digits > 0
                && text.len() > digits
                && text.get(text.len() - digits - 1) == Some(&b'-');
            // ` port -1`: the sign belongs to the number only behind a space.
            let alone = text.len() < digits + 2 || text.get(text.len() - digits - 2) == Some(&b' ');
            digits + usize::from(sign && alone)
        }
        _ => {
            let run = run(|b| b != b' ');
            let word = text.get(text.len() - run..).unwrap_or_default();
            match stop.last() {
                None | Some(b' ') => run,
                Some(_) => {
                    let needle = stop.rsplit(|b| *b == b' ').next().unwrap_or(stop);
                    memmem::rfind(word, needle).map_or(run, |at| run - at - needle.len())
                }
            }
        }
    }
}

/// How many steps the search between two free texts may take before the line counts as unknown.
const MAX_STEPS: usize = 50_000;

/// Tokens that begin and end with free text: every split is tried, left to right.
fn middle(tokens: &[Token], body: &[u8], lo: usize, hi: usize, fields: Fields) -> Option<Fields> {
    let mut steps = 0usize;
    let mut found: Option<Fields> = None;
    let delicate = tokens.iter().any(|t| {
        matches!(
            t,
            Token::Slot(Slot::User | Slot::Ip | Slot::Host | Slot::AddrPort, _)
        )
    });
    let mut fields = fields;
    splits(
        tokens,
        body,
        lo,
        hi,
        &mut fields,
        &mut steps,
        &mut |f| match &mut found {
            None => {
                found = Some(*f);
                delicate
            }
            Some(first) => {
                if first.ip != f.ip || first.host != f.host || first.user != f.user {
                    first.ambiguous = true;
                    return false;
                }
                true
            }
        },
    );
    if steps >= MAX_STEPS {
        return None;
    }
    if let Some(f) = &mut found
        && f.ambiguous
    {
        f.ip = Span::default();
        f.host = Span::default();
        f.port = Span::default();
        f.user = Span::default();
    }
    found
}

/// Calls `hit` for every way to lay the tokens over `body[lo..hi]`; stops when it returns false. Returns whether to go on.
fn splits(
    tokens: &[Token],
    body: &[u8],
    lo: usize,
    hi: usize,
    fields: &mut Fields,
    steps: &mut usize,
    hit: &mut dyn FnMut(&Fields) -> bool,
) -> bool {
    *steps += 1;
    if *steps >= MAX_STEPS {
        return false;
    }
    let Some((first, rest)) = tokens.split_first() else {
        return if lo == hi { hit(fields) } else { true };
    };
    if let Some(end) = forward(first, rest.first(), body, lo, hi) {
        let Some(end) = end else { return true };
        let saved = *fields;
        if let Token::Slot(slot, _) = first {
            fields.set(*slot, Span::new(lo, end), body);
        }
        let go_on = splits(rest, body, end, hi, fields, steps, hit);
        *fields = saved;
        return go_on;
    }
    let Token::Slot(slot, optional) = first else {
        return true;
    };
    let saved = *fields;
    if rest.is_empty() {
        if lo < hi || *optional {
            fields.set(*slot, Span::new(lo, hi), body);
            let go_on = hit(fields);
            *fields = saved;
            return go_on;
        }
        return true;
    }
    let mut end = if *optional { lo } else { lo + 1 };
    while end <= hi {
        // The next literal tells where this text can end at all.
        if let Some(Token::Literal(l)) = rest.first() {
            match body.get(end..hi).and_then(|t| memmem::find(t, l)) {
                Some(at) => end += at,
                None => break,
            }
        }
        fields.set(*slot, Span::new(lo, end), body);
        let go_on = splits(rest, body, end, hi, fields, steps, hit);
        *fields = saved;
        if !go_on {
            return false;
        }
        end += 1;
    }
    true
}

/// A set of wordings, each with the caller's number.
///
/// A trie over literals and bounded slots: wordings share the work as far as they are alike. At each place literal text is
/// tried first, then slots, then the wordings that go on with free text.
#[derive(Debug, Default)]
pub struct Matcher {
    entries: Vec<Entry>,
    nodes: Vec<Node>,
    /// Text of the edges.
    labels: Vec<u8>,
    /// Wordings that begin with a slot, best first.
    floating: Vec<(u32, memmem::Finder<'static>)>,
    /// The others, in the order in which the walk comes to them; filled at first use.
    order: OnceLock<Vec<u32>>,
}

#[derive(Debug)]
struct Entry {
    template: Template,
    number: u32,
    /// How many of its tokens the way to its node covers.
    covered: usize,
    /// What a message must end with, where that is not covered.
    suffix: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    first: u8,
    /// In [`Matcher::labels`].
    start: u32,
    end: u32,
    child: u32,
}

/// A bounded slot, with the literal behind it as far as that decides where it ends.
#[derive(Debug)]
struct SlotEdge {
    slot: Slot,
    optional: bool,
    stop: Box<[u8]>,
    child: u32,
}

#[derive(Debug, Default)]
struct Node {
    /// First bytes are distinct.
    edges: Vec<Edge>,
    /// Where there are many edges: by first byte, the edge's place plus one.
    table: Option<Box<[u16; 256]>>,
    slots: Vec<SlotEdge>,
    /// Best first.
    here: Vec<u32>,
}

impl Node {
    #[inline]
    fn edge(&self, first: u8) -> Option<&Edge> {
        match &self.table {
            Some(table) => {
                let place = usize::from(*table.get(usize::from(first))?);
                self.edges.get(place.wrapping_sub(1))
            }
            None => self.edges.iter().find(|e| e.first == first),
        }
    }
}

/// From so many edges on a node has a table.
const TABLE_FROM: usize = 6;

impl Matcher {
    pub fn new(
        wordings: impl IntoIterator<Item = (&'static str, u32)>,
    ) -> Result<Matcher, BadTemplate> {
        let mut m = Matcher {
            nodes: vec![Node::default()],
            ..Matcher::default()
        };
        for (text, number) in wordings {
            for template in Template::compile(text)? {
                let entry = m.entries.len() as u32;
                let covered = match template.tokens.first() {
                    Some(Token::Literal(_)) => m.insert(&template.tokens, entry),
                    _ => {
                        m.floating
                            .push((entry, memmem::Finder::new(&*template.anchor).into_owned()));
                        0
                    }
                };
                let suffix = match template.tokens.get(covered..).and_then(|t| t.last()) {
                    Some(Token::Literal(l)) => l.clone(),
                    _ => Box::default(),
                };
                m.entries.push(Entry {
                    template,
                    number,
                    covered,
                    suffix,
                });
            }
        }
        let Matcher {
            entries,
            nodes,
            floating,
            ..
        } = &mut m;
        let rank = |e: u32| {
            entries
                .get(e as usize)
                .map_or((true, std::cmp::Reverse(0)), |e| {
                    (
                        e.template.open_ended(),
                        std::cmp::Reverse(e.template.weight),
                    )
                })
        };
        for node in nodes.iter_mut() {
            node.here.sort_by_key(|e| (rank(*e), *e));
            if node.edges.len() >= TABLE_FROM {
                let mut table = Box::new([0u16; 256]);
                for (i, edge) in node.edges.iter().enumerate() {
                    if let Some(place) = table.get_mut(usize::from(edge.first)) {
                        *place = i as u16 + 1;
                    }
                }
                node.table = Some(table);
            }
        }
        floating.sort_by_key(|(e, _)| (rank(*e), *e));
        Ok(m)
    }

    /// Lays the way to a wording, up to its first free text; returns how many tokens that covers.
    fn insert(&mut self, tokens: &[Token], entry: u32) -> usize {
        let mut at = 0u32;
        let mut covered = 0;
        for (i, token) in tokens.iter().enumerate() {
            at = match token {
                Token::Literal(text) => self.along(at, text),
                Token::Slot(slot, optional) if slot.bounded() => {
                    self.through(at, *slot, *optional, stop_of(tokens.get(i + 1)))
                }
                Token::Slot(..) | Token::Words(_) => break,
            };
            covered = i + 1;
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.here.push(entry);
        }
        covered
    }

    fn fresh(&mut self) -> u32 {
        self.nodes.push(Node::default());
        (self.nodes.len() - 1) as u32
    }

    /// The node that literal text leads to.
    fn along(&mut self, mut at: u32, mut key: &[u8]) -> u32 {
        while let Some(first) = key.first().copied() {
            let known = self
                .nodes
                .get(at as usize)
                .and_then(|n| n.edges.iter().position(|e| e.first == first));
            let Some(place) = known else {
                let child = self.fresh();
                let start = self.labels.len() as u32;
                self.labels.extend_from_slice(key);
                if let Some(node) = self.nodes.get_mut(at as usize) {
                    node.edges.push(Edge {
                        first,
                        start,
                        end: start + key.len() as u32,
                        child,
                    });
                }
                return child;
            };
            let Some(edge) = self
                .nodes
                .get(at as usize)
                .and_then(|n| n.edges.get(place))
                .copied()
            else {
                return at;
            };
            let label = self
                .labels
                .get(edge.start as usize..edge.end as usize)
                .unwrap_or_default();
            let common = label.iter().zip(key).take_while(|(a, b)| a == b).count();
            if common < label.len() {
                let first_of_tail = label.get(common).copied().unwrap_or_default();
                let middle = self.fresh();
                if let Some(node) = self.nodes.get_mut(middle as usize) {
                    node.edges.push(Edge {
                        first: first_of_tail,
                        start: edge.start + common as u32,
                        ..edge
                    });
                }
                if let Some(e) = self
                    .nodes
                    .get_mut(at as usize)
                    .and_then(|n| n.edges.get_mut(place))
                {
                    e.end = edge.start + common as u32;
                    e.child = middle;
                }
                at = middle;
            } else {
                at = edge.child;
            }
            key = key.get(common..).unwrap_or_default();
        }
        at
    }

    /// The node that a slot leads to.
    fn through(&mut self, at: u32, slot: Slot, optional: bool, stop: &[u8]) -> u32 {
        let stop = slot.stop(stop);
        let known = self.nodes.get(at as usize).and_then(|n| {
            n.slots
                .iter()
                .find(|s| s.slot == slot && s.optional == optional && &*s.stop == stop)
        });
        if let Some(known) = known {
            return known.child;
        }
        let child = self.fresh();
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.slots.push(SlotEdge {
                slot,
                optional,
                stop: stop.into(),
                child,
            });
        }
        child
    }

    /// The best wording for a body: its number and the fields.
    pub fn find(&self, body: &[u8]) -> Option<(u32, Fields)> {
        let (entry, fields) = self.find_entry(body)?;
        Some((self.number(entry), fields))
    }

    /// As [`Matcher::find`], with the reading in place of the caller's number.
    pub(crate) fn find_entry(&self, body: &[u8]) -> Option<(u32, Fields)> {
        self.walk(0, body, 0, &Fields::default()).or_else(|| {
            self.floating.iter().find_map(|(e, anchor)| {
                anchor.find(body)?;
                let entry = self.entries.get(*e as usize)?;
                entry.template.matches(body).map(|f| (*e, f))
            })
        })
    }

    /// The caller's number of a reading.
    pub(crate) fn number(&self, entry: u32) -> u32 {
        self.entries.get(entry as usize).map_or(0, |e| e.number)
    }

    pub(crate) fn template(&self, entry: u32) -> Option<&Template> {
        Some(&self.entries.get(entry as usize)?.template)
    }

    /// Calls `each` for the readings that win over `entry` where both match, until it returns false. `None` for a reading that
    /// the walk does not come to.
    pub(crate) fn preferred(
        &self,
        entry: u32,
        mut each: impl FnMut(&Template) -> bool,
    ) -> Option<()> {
        let order = self.order.get_or_init(|| {
            let mut order = Vec::with_capacity(self.entries.len());
            self.order_from(0, &mut order);
            order
        });
        let place = order.iter().position(|e| *e == entry)?;
        for e in order.get(..place)? {
            if !each(self.template(*e)?) {
                break;
            }
        }
        Some(())
    }

    fn order_from(&self, node: u32, order: &mut Vec<u32>) {
        let Some(node) = self.nodes.get(node as usize) else {
            return;
        };
        // As the walk goes: literals, slots, free text.
        for edge in &node.edges {
            self.order_from(edge.child, order);
        }
        for slot in &node.slots {
            self.order_from(slot.child, order);
        }
        order.extend(&node.here);
    }

    /// From a node on, with everything before `at` laid. As deep as the longest wording has tokens.
    fn walk(&self, node: u32, body: &[u8], at: usize, fields: &Fields) -> Option<(u32, Fields)> {
        let node = self.nodes.get(node as usize)?;
        let rest = body.get(at..)?;
        if let Some(edge) = rest.first().and_then(|b| node.edge(*b)) {
            let label = self
                .labels
                .get(edge.start as usize..edge.end as usize)
                .unwrap_or_default();
            if rest.starts_with(label) {
                let hit = self.walk(edge.child, body, at + label.len(), fields);
                if hit.is_some() {
                    return hit;
                }
            }
        }
        for edge in &node.slots {
            let len = extent(edge.slot, rest, &edge.stop);
            let found = rest.get(..len).unwrap_or_default();
            if valid(edge.slot, edge.optional, found) {
                let mut with = *fields;
                with.set(edge.slot, Span::new(at, at + len), body);
                let hit = self.walk(edge.child, body, at + len, &with);
                if hit.is_some() {
                    return hit;
                }
            }
        }
        for e in &node.here {
            let Some(entry) = self.entries.get(*e as usize) else {
                continue;
            };
            // Most candidates end otherwise: told apart before anything is parsed.
            if rest.ends_with(&entry.suffix)
                && let Some(found) = entry
                    .template
                    .matches_beyond(body, entry.covered, at, *fields)
            {
                return Some((*e, found));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &'static str, body: &str) -> Option<Fields> {
        Matcher::new([(text, 0)])
            .unwrap()
            .find(body.as_bytes())
            .map(|(_, f)| f)
    }

    fn show<'a>(f: &Fields, body: &'a str) -> (&'a str, &'a str, &'a str) {
        let s = |x: Span| std::str::from_utf8(x.of(body.as_bytes())).unwrap();
        (
            s(f.user),
            f.addr(body.as_bytes())
                .map_or("", |a| std::str::from_utf8(a).unwrap()),
            s(f.port),
        )
    }

    const FAILED: &str = "Failed password for {?invalid user }{user} from {ip} port {port} ssh2";

    #[test]
    fn the_address_that_sshd_wrote_wins_over_one_in_the_user_name() {
        let body = "Failed password for invalid user root from 203.0.113.5 port 22 ssh2 from 192.0.2.7 port 50122 ssh2";
        let f = one(FAILED, body).unwrap();
        assert_eq!(
            show(&f, body),
            ("root from 203.0.113.5 port 22 ssh2", "192.0.2.7", "50122")
        );
        assert!(!f.ambiguous);
    }

    #[test]
    fn an_empty_user_name_is_a_user_name() {
        let body = "Failed password for invalid user  from 192.0.2.7 port 50122 ssh2";
        let f = one(FAILED, body).unwrap();
        assert!(f.has_user && f.user.is_empty());
        assert_eq!(show(&f, body).1, "192.0.2.7");
    }

    #[test]
    fn near_misses_do_not_match() {
        for body in [
            "Failed password for root from 192.0.2.7 port 50122",
            "Failed password for root from 192.0.2.7 port  ssh2",
            "Failed password for root from client.example port 22 ssh2",
            "Failed password for root from 192.0.2.7 port 050 ssh2",
            "failed password for root from 192.0.2.7 port 50122 ssh2",
        ] {
            assert!(one(FAILED, body).is_none(), "{body}");
        }
    }

    #[test]
    fn free_text_on_both_sides_is_ambiguous_only_when_two_readings_fit() {
        let t = "Failed publickey for {user} from {ip} port {port} ssh2: {text}";
        let honest = "Failed publickey for ann from 192.0.2.7 port 50122 ssh2: ED25519 SHA256:abc";
        assert_eq!(
            show(&one(t, honest).unwrap(), honest),
            ("ann", "192.0.2.7", "50122")
        );
        let forged = "Failed publickey for ann from 192.0.2.7 port 1 ssh2: x from 203.0.113.5 port 2 ssh2: ED25519 SHA256:abc";
        let f = one(t, forged).unwrap();
        assert!(f.ambiguous);
        assert_eq!(f.addr(forged.as_bytes()), None);
    }

    #[test]
    fn text_on_the_right_cannot_replace_the_first_address() {
        let t = "Received disconnect from {ip} port {port}:{n}: {text}";
        let body = "Received disconnect from 192.0.2.7 port 50122:11: 11: from 203.0.113.5";
        assert_eq!(show(&one(t, body).unwrap(), body).1, "192.0.2.7");
        let old = "Received disconnect from 2001:db8::7: 11: bye";
        assert_eq!(
            show(
                &one("Received disconnect from {ip}: {n}: {text}", old).unwrap(),
                old
            )
            .1,
            "2001:db8::7"
        );
    }

    #[test]
    fn a_peer_has_its_forms() {
        let t = "Disconnecting {peer}: {text}";
        let body = "Disconnecting invalid user x 203.0.113.5 port 22 192.0.2.7 port 50122: Too many authentication failures";
        let f = one(t, body).unwrap();
        // Two readings: the reason, too, is free text as far as the wording says.
        assert!(f.ambiguous || show(&f, body).1 == "192.0.2.7");
        let plain = "Disconnecting 2001:db8::7%eth0 port 50122: bye";
        assert_eq!(
            show(&one(t, plain).unwrap(), plain),
            ("", "2001:db8::7%eth0", "50122")
        );
    }

    #[test]
    fn addresses_with_ports() {
        for (body, addr, port) in [
            (
                "Exit before auth from <192.0.2.7:50122>: bye",
                "192.0.2.7",
                "50122",
            ),
            (
                "Exit before auth from <[2001:db8::7]:50122>: bye",
                "2001:db8::7",
                "50122",
            ),
            (
                "Exit before auth from <2001:db8::7:50122>: bye",
                "2001:db8::7",
                "50122",
            ),
        ] {
            let f = one("Exit before auth from <{addrport}>: {text}", body).unwrap();
            assert_eq!((show(&f, body).1, show(&f, body).2), (addr, port));
        }
    }

    #[test]
    fn the_longest_beginning_wins() {
        let m = Matcher::new([("Failed {text}", 1), (FAILED, 2), ("{text} closed", 3)]).unwrap();
        let body = b"Failed password for root from 192.0.2.7 port 50122 ssh2";
        assert_eq!(m.find(body).unwrap().0, 2);
        assert_eq!(m.find(b"Failed otherwise").unwrap().0, 1);
        assert_eq!(m.find(b"it was closed").unwrap().0, 3);
        assert!(m.find(b"nothing of the kind").is_none());
    }

    #[test]
    fn a_hostile_line_cannot_make_the_search_explode() {
        let t = "a {x} b {y} c {z} d {w} e";
        let body = format!("a {}", "b c d ".repeat(20_000));
        assert!(one(t, &body).is_none());
    }
}
