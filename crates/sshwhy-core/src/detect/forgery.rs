//! `log-forgery`: client text that imitates what sshd writes, and lines that another program wrote in sshd's name.
//!
//! Whom such text names is nobody's business but the text's: the address blamed is the one that sshd wrote, and a line
//! that sshd did not write blames nobody.

use super::Fact;
use super::case::{Case, busiest};
use super::quotes::{QuoteId, Quotes};
use super::words;
use crate::addr::parse_ip;
use crate::catalog::detectors::WHO_WROTE_IT;
use crate::finding::Finding;
use crate::names::{AddrId, Names, UserId};
use crate::scan::NONE;
use crate::shortcut::same;
use crate::time::Time;
use hashbrown::{HashMap, HashSet};
use memchr::memmem;

const MAX_FORGERS: usize = 20_000;
const HARMLESS: usize = 4;

/// How much a name or text looks like a part of a log line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Imitation {
    No,
    /// An address stands in it: a typing error, once.
    Weak,
    /// Words of a log line around an address, or control characters.
    Strong,
}

/// Words of log lines that stand in no name.
const MARKS: [&str; 14] = [
    "sshd[",
    "sshd-session[",
    "Accepted password",
    "Accepted publickey",
    "Failed password",
    "Failed publickey",
    "Failed none",
    "Invalid user",
    "authenticating user",
    "pam_unix(",
    "rhost=",
    "[preauth]",
    " ssh2",
    "Connection closed by",
];

/// Judges a name as typed, or another text of the client's.
pub fn imitates(text: &str) -> Imitation {
    // Line breaks make lines, escapes move cursors, bidi turns text round: none of them is typed by accident.
    let control = |c: char| {
        matches!(c, '\n' | '\r' | '\u{1b}' | '\u{9b}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(control) {
        return Imitation::Strong;
    }
    if MARKS.iter().any(|m| text.contains(m)) {
        return Imitation::Strong;
    }
    let mut weak = false;
    let mut previous = "";
    for word in text.split([
        ' ', '\t', ',', ';', '=', '\'', '"', '(', ')', '[', ']', '<', '>', '@',
    ]) {
        let is_addr = word.len() >= 3 && parse_ip(word.as_bytes()).is_some();
        if is_addr && matches!(previous, "from" | "by" | "to" | "host" | "user") {
            return Imitation::Strong;
        }
        if previous == "port" && !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) {
            return Imitation::Strong;
        }
        weak |= is_addr;
        if !word.is_empty() {
            previous = word;
        }
    }
    if weak { Imitation::Weak } else { Imitation::No }
}

#[derive(Debug)]
struct Forger {
    strong: u32,
    weak: u32,
    first: Time,
    last: Time,
    users: [UserId; 4],
    quotes: [QuoteId; 4],
}

/// What the client chose in a goodbye (behind the code) or a banner (in quotes).
pub fn client_text(message: &[u8]) -> Option<&[u8]> {
    if message.starts_with(b"Received disconnect") {
        let colon =
            memchr::memchr_iter(b':', message).find(|i| message.get(i + 1) == Some(&b' '))?;
        return message.get(colon + 2..);
    }
    let open = memchr::memchr2(b'"', b'\'', message)?;
    let close = memchr::memrchr(*message.get(open)?, message)?;
    message.get(open + 1..close)
}

impl Forger {
    fn guilty(&self, more_than: u32) -> bool {
        self.strong > 0 || self.weak > more_than
    }
}

/// Tells words of a client's that imitate nothing; remembers the last few, for nearly everybody says goodbye in the same words.
#[derive(Debug, Default)]
pub struct Harmless {
    known: [Vec<u8>; HARMLESS],
    next: usize,
}

impl Harmless {
    pub fn is(&mut self, text: &[u8]) -> bool {
        if text.len() < 12 || self.known.iter().any(|known| same(known, text)) {
            return true;
        }
        let words = String::from_utf8_lossy(text);
        let words = words.strip_suffix(" [preauth]").unwrap_or(&words);
        if imitates(words) == Imitation::Strong {
            return false;
        }
        if text.len() <= 64
            && let Some(place) = self.known.get_mut(self.next % HARMLESS)
        {
            place.clear();
            place.extend_from_slice(text);
            self.next = self.next.wrapping_add(1);
        }
        true
    }
}

#[derive(Debug, Default)]
pub struct Forgers {
    /// By user, each name judged once.
    judged: Vec<Imitation>,
    harmless: Harmless,
    by_addr: HashMap<AddrId, Forger>,
    foreign: Option<Foreign>,
}

/// Lines in sshd's name that the journal says another program wrote.
#[derive(Debug)]
struct Foreign {
    count: u64,
    first: Time,
    last: Time,
    /// The program's path and the user's number, as the journal has them.
    writers: Vec<(String, String)>,
    quotes: Vec<QuoteId>,
}

/// More are counted only.
const MAX_WRITERS: usize = 4;

/// `[journal exe="/usr/bin/logger" uid="1000"] …`
fn writer(message: &[u8]) -> Option<(String, String)> {
    let rest = message.strip_prefix(b"[journal exe=\"")?;
    let mid = memmem::find(rest, b"\" uid=\"")?;
    let uid = rest.get(mid + 7..)?;
    let end = memchr::memchr(b'"', uid)?;
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    Some((text(rest.get(..mid)?), text(uid.get(..end)?)))
}

impl Forgers {
    pub fn user(&mut self, user: UserId, names: &Names) -> Imitation {
        if user == NONE {
            return Imitation::No;
        }
        while self.judged.len() <= user as usize {
            let name = names.user_of(self.judged.len() as UserId);
            self.judged.push(imitates(name));
        }
        self.judged
            .get(user as usize)
            .copied()
            .unwrap_or(Imitation::No)
    }

    /// A connection that used such a name.
    pub fn connection(&mut self, addr: AddrId, user: UserId, how: Imitation, time: Time) {
        if let Some(f) = self.entry(addr, time) {
            match how {
                Imitation::Strong => f.strong += 1,
                Imitation::Weak => f.weak += 1,
                Imitation::No => return,
            }
            f.first = f.first.min(time);
            f.last = f.last.max(time);
            if let Some(place) = f.users.iter_mut().find(|u| **u == user || **u == NONE) {
                *place = user;
            }
        }
    }

    /// A line with such a name in it.
    pub fn line(&mut self, fact: &Fact<'_>, how: Imitation, quotes: &mut Quotes) {
        if fact.message.starts_with(b"pam_") {
            // About the same attempt, without the text.
            return;
        }
        if let Some(f) = self.entry(fact.addr, fact.time)
            && let Some(at) = f.quotes.iter().position(|q| *q == NONE)
            && (at == 0 || how == Imitation::Strong)
            && let Some(place) = f.quotes.get_mut(at)
        {
            *place = quotes.keep(fact.time, fact.at, fact.message);
        }
    }

    /// A goodbye or a banner: whatever stands behind the last of the fields that sshd wrote.
    pub fn text(&mut self, fact: &Fact<'_>, quotes: &mut Quotes) {
        if client_text(fact.message).is_some_and(|text| !self.harmless.is(text)) {
            self.line(fact, Imitation::Strong, quotes);
            self.connection(fact.addr, NONE, Imitation::Strong, fact.time);
        }
    }

    /// A line that the journal says sshd did not write.
    pub fn foreign(&mut self, fact: &Fact<'_>, quotes: &mut Quotes) {
        let f = self.foreign.get_or_insert_with(|| Foreign {
            count: 0,
            first: fact.time,
            last: fact.time,
            writers: Vec::new(),
            quotes: Vec::new(),
        });
        f.count += u64::from(fact.repeat.max(1));
        f.first = f.first.min(fact.time);
        f.last = f.last.max(fact.time);
        if f.quotes.len() < 4 {
            f.quotes
                .push(quotes.keep_always(fact.time, fact.at, fact.message));
        }
        if f.writers.len() < MAX_WRITERS
            && let Some(w) = writer(fact.message)
            && !f.writers.contains(&w)
        {
            f.writers.push(w);
        }
    }

    fn entry(&mut self, addr: AddrId, time: Time) -> Option<&mut Forger> {
        if addr == NONE || (self.by_addr.len() >= MAX_FORGERS && !self.by_addr.contains_key(&addr))
        {
            return None;
        }
        Some(self.by_addr.entry(addr).or_insert(Forger {
            strong: 0,
            weak: 0,
            first: time,
            last: time,
            users: [NONE; 4],
            quotes: [NONE; 4],
        }))
    }

    pub fn is_guilty(&self, addr: AddrId, more_than: u32) -> bool {
        self.by_addr.get(&addr).is_some_and(|f| f.guilty(more_than))
    }

    /// Addresses that forge, in order.
    fn guilty(&self, more_than: u32) -> Vec<(AddrId, &Forger)> {
        let mut all: Vec<(AddrId, &Forger)> = self
            .by_addr
            .iter()
            .filter(|(_, f)| f.guilty(more_than))
            .map(|(a, f)| (*a, f))
            .collect();
        all.sort_by_key(|(a, _)| *a);
        all
    }
}

pub fn judge(case: &mut Case<'_>) {
    for (addr, _) in case.forgers.guilty(case.settings.forgery_names) {
        case.accuse(addr);
    }
}

pub fn findings(case: &Case<'_>, out: &mut Vec<Finding>) {
    out.extend(case.forgers.foreign.as_ref().map(|f| foreign(f, case)));
    let guilty = case.forgers.guilty(case.settings.forgery_names);
    let weights = guilty
        .iter()
        .map(|(a, f)| (u64::from(f.strong + f.weak), *a))
        .collect();
    let (each, rest) = busiest(weights);
    if !rest.is_empty() {
        let addrs: Vec<AddrId> = rest.iter().map(|(_, a)| *a).collect();
        let count = rest.iter().map(|(n, _)| n).sum();
        out.push(case.rest("log-forgery", &addrs, count, "sent such names"));
    }
    let each: HashSet<AddrId> = each.into_iter().collect();
    for (addr, forger) in guilty.into_iter().filter(|(a, _)| each.contains(a)) {
        let users: Vec<UserId> = forger
            .users
            .iter()
            .filter(|u| **u != NONE)
            .copied()
            .collect();
        let mut f = words::finding("log-forgery", case.subjects(&[addr], &users));
        let n = forger.strong + forger.weak;
        let what = if users.is_empty() {
            "text"
        } else {
            "user names"
        };
        f.headline = format!(
            "{} sent {what} that imitate log lines, {}: the address to blame is this one, not those in the text",
            case.addr(addr),
            words::count(u64::from(n), "time", "times"),
        );
        f.first = Some(forger.first);
        f.last = Some(forger.last);
        f.count = u64::from(n);
        // One name may be a slip of somebody who pastes; several are not.
        f.confidence = match (forger.strong, forger.weak) {
            (0, _) => 0.7,
            (1, 0) => 0.85,
            (2, _) => 0.93,
            _ => 0.96,
        };
        let mut framed: Vec<String> = Vec::new();
        for user in &users {
            for word in case.context.names.user_of(*user).split(' ') {
                if parse_ip(word.as_bytes()).is_some() && !framed.iter().any(|f| f == word) {
                    framed.push(word.to_owned());
                }
            }
        }
        if !framed.is_empty() {
            f.notes.push(format!(
                "framed, and innocent as far as this shows: {}",
                words::list(&framed, framed.len() as u64)
            ));
        }
        f.notes.push(
            "a log reader that takes the first `from` in such a line blames or bans the wrong one"
                .to_owned(),
        );
        let mut quotes = forger.quotes.to_vec();
        if quotes.iter().all(|q| *q == NONE)
            && let Some(source) = case.source(addr)
        {
            quotes.extend(source.quotes);
        }
        f.evidence = case.evidence(&quotes);
        out.push(f);
    }
}

/// Somebody on the machine itself wrote in sshd's name.
fn foreign(lines: &Foreign, case: &Case<'_>) -> Finding {
    let mut f = words::finding("log-forgery", case.subjects(&[], &[]));
    let who: Vec<String> = lines
        .writers
        .iter()
        .map(|(exe, uid)| format!("{exe} as uid {uid}"))
        .collect();
    f.headline = format!(
        "{} in sshd's name {} written by another program on the machine: {}",
        words::count(lines.count, "line", "lines"),
        if lines.count == 1 { "was" } else { "were" },
        who.join(", "),
    );
    f.first = Some(lines.first);
    f.last = Some(lines.last);
    f.count = lines.count;
    // The kernel told the journal who wrote; only a wrapper that passes sshd's own output on would be innocent.
    f.confidence = 0.9;
    f.notes.push(
        "what those lines say is not counted: no login, no failure and no address in them is taken for true; a copy of them in \
         a text file cannot be told from sshd's own lines"
            .to_owned(),
    );
    f.notes.push(
        "innocent where a wrapper passes on what sshd writes (a container's log shipper, `sshd -e | logger`)"
            .to_owned(),
    );
    f.remedy = vec![words::Fill::of(&f.subjects).step(&WHO_WROTE_IT)];
    f.evidence = case.evidence(&lines.quotes);
    f
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clients_own_words_are_judged() {
        let text =
            |m: &'static str| client_text(m.as_bytes()).and_then(|t| std::str::from_utf8(t).ok());
        assert_eq!(
            text("Received disconnect from 2001:db8::7 port 22:11: disconnected by user"),
            Some("disconnected by user")
        );
        assert_eq!(
            text("Bad protocol version identification 'GET / HTTP/1.1' from 192.0.2.7 port 5"),
            Some("GET / HTTP/1.1")
        );
        assert_eq!(
            text("banner exchange: Connection from 192.0.2.7 port 5: invalid format"),
            None
        );
        assert_eq!(text("x \""), None);
    }

    #[test]
    fn imitations_and_names_that_only_look_odd() {
        for strong in [
            "root from 192.0.2.9 port 22 ssh2",
            "x from 192.0.2.9",
            "user root from 192.0.2.9 port 2222",
            "from 2001:db8::9",
            "a\nAccepted password for root",
            "x\u{1b}]52;c;AAAA",
            "rhost=192.0.2.9",
            "admin port 22",
            "Accepted password for root",
        ] {
            assert_eq!(imitates(strong), Imitation::Strong, "{strong:?}");
        }
        for weak in ["192.0.2.9", "root@192.0.2.9", "2001:db8::9", "1.2.3.4;id"] {
            assert_eq!(imitates(weak), Imitation::Weak, "{weak:?}");
        }
        for no in [
            "a b c",
            "from",
            "root",
            "port",
            "sport 22x",
            "from here",
            "1.2.3",
            "café",
            "",
            "user from office",
            "DOMAIN\\alice",
            "alice@example.org",
        ] {
            assert_eq!(imitates(no), Imitation::No, "{no:?}");
        }
    }
}
