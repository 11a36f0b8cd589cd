//! A program's log as series of times: one for each kind of line, each address and each name of the target that it mentions.
//!
//! Two lines are of one kind when they differ only in words that hold a digit. Nothing else of the text is kept but one example.
//! Bounded: [`MAX_KINDS`] kinds, [`MAX_STAMPS`] times in all; a kind with more lines than fit gives its times up, not its count.

use crate::addr::parse_ip;
use crate::time::Time;
use hashbrown::HashMap;
use memchr::{memchr, memchr_iter, memmem};
use std::net::IpAddr;

pub const MAX_KINDS: usize = 512;
pub const MAX_STAMPS: usize = 400_000;
/// Addresses followed in one log.
const MAX_ADDRS: usize = 256;
/// Bytes of a line that decide its kind.
const HEAD: usize = 400;
/// Longest example.
const SAMPLE: usize = 300;

/// Times of lines that have something in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// One of its lines, or the name of what is mentioned.
    pub sample: String,
    /// UTC microseconds; in order after [`Digest::finish`]. Empty where there were too many.
    pub times: Vec<i64>,
    pub lines: u64,
    /// Kinds that begin with the same words share it.
    head: u64,
    /// It mentions an address.
    addressed: bool,
    given_up: bool,
}

/// Which texts name the target.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    /// Host names, as they stand in the target's log; shorter than three characters is not looked for.
    pub names: Vec<String>,
    pub addrs: Vec<IpAddr>,
}

/// What a log came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Digested {
    pub kinds: Vec<Series>,
    /// By the first words of the line, where several kinds share them.
    pub heads: Vec<Series>,
    pub addrs: Vec<(IpAddr, Series)>,
    /// Lines that name the target.
    pub names: Series,
    pub first: Option<Time>,
    pub last: Option<Time>,
    pub lines: u64,
    /// Lines inside of the time looked at.
    pub lines_within: u64,
    /// Lines without a time.
    pub timeless: u64,
}

/// Takes in the lines of one log.
#[derive(Debug)]
pub struct Digest {
    from: i64,
    until: i64,
    needles: Needles,
    kinds: HashMap<u64, Series>,
    addrs: HashMap<IpAddr, Series>,
    names: Series,
    first: Option<Time>,
    last: Option<Time>,
    lines: u64,
    lines_within: u64,
    timeless: u64,
    stamps: usize,
}

impl Digest {
    /// Lines outside of `from`..`until` are only counted.
    pub fn new(from: Time, until: Time, needles: Needles) -> Digest {
        Digest {
            from: from.0,
            until: until.0,
            needles: Needles {
                names: needles.names.into_iter().filter(|n| n.len() >= 3).collect(),
                addrs: needles.addrs,
            },
            kinds: HashMap::new(),
            addrs: HashMap::new(),
            names: Series::default(),
            first: None,
            last: None,
            lines: 0,
            lines_within: 0,
            timeless: 0,
            stamps: 0,
        }
    }

    /// One line: when, and what it says without its envelope.
    pub fn line(&mut self, time: Option<Time>, text: &[u8]) {
        self.lines += 1;
        let Some(time) = time else {
            self.timeless += 1;
            return;
        };
        self.first = Some(self.first.map_or(time, |f| f.min(time)));
        self.last = Some(self.last.map_or(time, |l| l.max(time)));
        if time.0 < self.from || time.0 > self.until {
            return;
        }
        self.lines_within += 1;
        if self.stamps >= MAX_STAMPS {
            self.give_up();
        }
        let (kind, head) = kinds_of(text);
        let full = self.kinds.len() >= MAX_KINDS;
        let addressed = match self.kinds.get_mut(&kind) {
            Some(series) => {
                series.add(time.0, &mut self.stamps);
                series.addressed
            }
            None if full => has_address(text),
            None => {
                let addressed = has_address(text);
                let mut series = Series {
                    sample: sample(text),
                    head,
                    addressed,
                    ..Series::default()
                };
                series.add(time.0, &mut self.stamps);
                self.kinds.insert(kind, series);
                addressed
            }
        };
        let mut named = self
            .needles
            .names
            .iter()
            .any(|n| contains_word(text, n.as_bytes()));
        if addressed {
            for ip in addresses(text) {
                named |= self.needles.addrs.contains(&ip);
                if self.addrs.len() >= MAX_ADDRS && !self.addrs.contains_key(&ip) {
                    continue;
                }
                let series = self.addrs.entry(ip).or_insert_with(|| Series {
                    sample: sample(text),
                    ..Series::default()
                });
                series.add(time.0, &mut self.stamps);
            }
        }
        if named {
            if self.names.lines == 0 {
                self.names.sample = sample(text);
            }
            self.names.add(time.0, &mut self.stamps);
        }
    }

    /// Drops the times of whatever has most of them: too frequent to be a sign of anything.
    fn give_up(&mut self) {
        let kinds = self.kinds.values_mut();
        let addrs = self.addrs.values_mut();
        if let Some(most) = kinds
            .chain(addrs)
            .chain(std::iter::once(&mut self.names))
            .max_by_key(|s| s.times.len())
        {
            self.stamps -= most.times.len();
            most.times = Vec::new();
            most.given_up = true;
        }
    }

    pub fn finish(self) -> Digested {
        let mut kinds: Vec<Series> = self.kinds.into_values().collect();
        let mut addrs: Vec<(IpAddr, Series)> = self.addrs.into_iter().collect();
        let mut names = self.names;
        for series in kinds
            .iter_mut()
            .chain(addrs.iter_mut().map(|(_, s)| s))
            .chain(std::iter::once(&mut names))
        {
            series.times.sort_unstable();
        }
        kinds.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.sample.cmp(&b.sample)));
        addrs.sort_by(|a, b| b.1.lines.cmp(&a.1.lines).then_with(|| a.0.cmp(&b.0)));
        let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
        for (i, s) in kinds.iter().enumerate() {
            groups.entry(s.head).or_default().push(i);
        }
        let mut heads: Vec<Series> = groups
            .into_values()
            .filter(|g| g.len() > 1)
            .map(|g| {
                let members = || g.iter().filter_map(|i| kinds.get(*i));
                let mut times: Vec<i64> = Vec::new();
                if !members().any(|s| s.given_up) {
                    times.extend(members().flat_map(|s| s.times.iter()));
                    times.sort_unstable();
                }
                Series {
                    sample: members()
                        .next()
                        .map(|s| s.sample.clone())
                        .unwrap_or_default(),
                    times,
                    lines: members().map(|s| s.lines).sum(),
                    ..Series::default()
                }
            })
            .collect();
        heads.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.sample.cmp(&b.sample)));
        Digested {
            kinds,
            heads,
            addrs,
            names,
            first: self.first,
            last: self.last,
            lines: self.lines,
            lines_within: self.lines_within,
            timeless: self.timeless,
        }
    }
}

impl Series {
    fn add(&mut self, time: i64, stamps: &mut usize) {
        self.lines += 1;
        if !self.given_up {
            self.times.push(time);
            *stamps += 1;
        }
    }
}

fn sample(text: &[u8]) -> String {
    let text = text.get(..SAMPLE).unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    text.trim_end().trim_end_matches("\\n").to_owned()
}

/// The line's kind, and that of its first two words.
fn kinds_of(text: &[u8]) -> (u64, u64) {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const STEP: u64 = 0x0100_0000_01b3;
    let text = text.get(..HEAD).unwrap_or(text);
    let mut all = START;
    let mut head = 0;
    let mut words = 0;
    let mut word = START;
    let mut digits = false;
    let mut inside = false;
    let mut end_word = |word: u64, digits: bool, all: &mut u64| {
        *all = (*all ^ if digits { 1 } else { word }).wrapping_mul(STEP);
        words += 1;
        if words == 2 {
            head = *all;
        }
    };
    for b in text {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => {
                word = (word ^ u64::from(*b)).wrapping_mul(STEP);
                inside = true;
            }
            b'0'..=b'9' => {
                digits = true;
                inside = true;
            }
            _ => {
                if inside {
                    end_word(word, digits, &mut all);
                    word = START;
                    digits = false;
                    inside = false;
                }
                // Blanks come in varying numbers where columns are aligned.
                if *b != b' ' {
                    all = (all ^ u64::from(*b) ^ 0x100).wrapping_mul(STEP);
                }
            }
        }
    }
    if inside {
        end_word(word, digits, &mut all);
    }
    (all, if head == 0 { all } else { head })
}

/// Whether a name stands there as a word of its own: `db-3` in `host=db-3:22`, not in `mydb-30`.
pub fn contains_word(text: &[u8], name: &[u8]) -> bool {
    let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-';
    memmem::find_iter(text, name).any(|at| {
        let before = at.checked_sub(1).and_then(|i| text.get(i));
        let after = text.get(at + name.len());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

fn has_address(text: &[u8]) -> bool {
    addresses(text).next().is_some()
}

/// IP addresses in a text, whatever stands around them.
pub fn addresses(text: &[u8]) -> impl Iterator<Item = IpAddr> + '_ {
    let part = |b: u8| b.is_ascii_hexdigit() || b == b'.' || b == b':';
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // Cheap refusal first: no dot and no colon, no address.
            let rest = text.get(at..)?;
            let start = at
                + rest
                    .iter()
                    .position(|b| b.is_ascii_hexdigit() || *b == b':')?;
            let run = text.get(start..)?;
            let len = run.iter().position(|b| !part(*b)).unwrap_or(run.len());
            at = start + len.max(1);
            let run = run.get(..len)?;
            if let Some(ip) = address_in(run) {
                return Some(ip);
            }
        }
    })
}

/// `192.0.2.1`, `192.0.2.1:22`, `192.0.2.1.` or an IPv6 address, in a run of the characters that they are made of.
fn address_in(run: &[u8]) -> Option<IpAddr> {
    if run.len() < 3 || run.len() > 64 {
        return None;
    }
    let trimmed = run.strip_suffix(b".").unwrap_or(run);
    let trimmed = trimmed.strip_suffix(b":").unwrap_or(trimmed);
    if memchr_iter(b'.', trimmed).count() == 3 {
        let host = match memchr(b':', trimmed) {
            Some(colon) if colon > 6 => trimmed.get(..colon)?,
            _ => trimmed,
        };
        if let Some(ip) = parse_ip(host) {
            return Some(ip);
        }
        // A letter of the word before it got in: `addr:192.0.2.1`, `d192.0.2.1` is none.
        let colon = memchr::memrchr(b':', host)?;
        return parse_ip(host.get(colon + 1..)?);
    }
    // `12:30:45` and `ab:cd:ef` are no addresses; those of IPv6 have `::` or seven colons.
    let colons = memchr_iter(b':', trimmed).count();
    if colons >= 2 && (memmem::find(trimmed, b"::").is_some() || colons == 7) && trimmed.len() > 3 {
        return parse_ip(trimmed);
    }
    None
}

/// When a container's log line was written, and the line itself: Docker's json-file, CRI, or a leading RFC 3339 time (`docker logs
/// -t`). `None`: another form.
pub fn container_line(line: &[u8]) -> Option<(Time, &[u8])> {
    if line.first() == Some(&b'{') {
        return json_file_line(line);
    }
    let (time, used) = Time::parse_rfc3339(line)?;
    let rest = line.get(used..)?;
    let rest = rest.strip_prefix(b" ")?;
    for head in [&b"stdout F "[..], b"stderr F ", b"stdout P ", b"stderr P "] {
        if let Some(text) = rest.strip_prefix(head) {
            return Some((time, text));
        }
    }
    Some((time, rest))
}

/// `{"log":"text\n","stream":"stdout","time":"2023-03-29T00:00:15.123456789Z"}`; the text stays as JSON wrote it.
fn json_file_line(line: &[u8]) -> Option<(Time, &[u8])> {
    let body = line
        .strip_prefix(b"{\"log\":\"")
        .or_else(|| line.strip_prefix(b"{\"log\": \""))?;
    // As the daemon writes it: no search is needed.
    let close = body.strip_suffix(b"\"}")?;
    let value = memchr::memrchr(b'"', close)?;
    let plain = close.get(..value).and_then(|rest| {
        let rest = rest.strip_suffix(b",\"time\":")?;
        rest.strip_suffix(b"\",\"stream\":\"stdout\"")
            .or_else(|| rest.strip_suffix(b"\",\"stream\":\"stderr\""))
    });
    if let Some(text) = plain {
        let (time, _) = Time::parse_rfc3339(close.get(value + 1..)?)?;
        return Some((time, text.strip_suffix(b"\\n").unwrap_or(text)));
    }
    let tail_from = body.len().saturating_sub(64);
    let tail = body.get(tail_from..)?;
    let key = memmem::rfind(tail, b"\"time\":")?;
    let value = tail.get(key + 7..)?;
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let (time, _) = Time::parse_rfc3339(value.strip_prefix(b"\"")?)?;
    let end = memmem::rfind(body, b"\"stream\":")?;
    let text = body.get(..end)?;
    // `\n", ` behind the text
    let text = text.get(..memchr::memrchr(b'"', text)?)?;
    Some((time, text.strip_suffix(b"\\n").unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &str) -> Vec<String> {
        addresses(text.as_bytes()).map(|i| i.to_string()).collect()
    }

    #[test]
    fn addresses_are_found_and_lookalikes_are_not() {
        assert_eq!(ips("host=192.0.2.1 port 22"), ["192.0.2.1"]);
        assert_eq!(
            ips("to 192.0.2.1:22, [2001:db8::7]:22."),
            ["192.0.2.1", "2001:db8::7"]
        );
        assert_eq!(ips("at 192.0.2.1."), ["192.0.2.1"]);
        for none in [
            "12:30:45.123",
            "1.2.3",
            "v1.2.3.4.5",
            "de:ad:be:ef:00:01",
            "dead beef",
            "a::",
            "300.1.1.1",
            "",
            "::",
        ] {
            assert_eq!(ips(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn lines_that_differ_in_numbers_are_of_one_kind() {
        let kind = |t: &str| kinds_of(t.as_bytes()).0;
        assert_eq!(
            kind("dispatch job=81 host=192.0.2.1"),
            kind("dispatch job=9 host=198.51.100.7")
        );
        assert_eq!(kind("id 4f3a9c ok"), kind("id 77ab01 ok"));
        assert_ne!(kind("job failed: rc=5"), kind("job done: rc=5"));
        assert_ne!(kind("a b"), kind("a-b"));
        let head = |t: &str| kinds_of(t.as_bytes()).1;
        assert_eq!(head("dispatch job to alice"), head("dispatch job from bob"));
    }

    #[test]
    fn every_form_of_a_container_log_gives_time_and_text() {
        let t = "2023-03-28T16:00:15.5Z";
        for line in [
            "{\"log\":\"say \\\"hi\\\"\\n\",\"stream\":\"stdout\",\"time\":\"2023-03-28T16:00:15.500000000Z\"}",
            "{\"log\": \"say \\\"hi\\\"\\n\", \"stream\": \"stdout\", \"time\": \"2023-03-28T16:00:15.500000000Z\"}",
            "{\"log\":\"say \\\"hi\\\"\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"b\"},\"time\":\"2023-03-29T00:00:15.5+08:00\"}",
        ] {
            let (time, text) = container_line(line.as_bytes()).unwrap();
            assert_eq!(time, Time::parse_rfc3339(t.as_bytes()).unwrap().0);
            assert_eq!(text, b"say \\\"hi\\\"", "{line}");
        }
        for line in [
            "2023-03-28T16:00:15.5Z stdout F hello",
            "2023-03-28T16:00:15.500000000Z stderr P hello",
            "2023-03-28T16:00:15.5Z hello",
        ] {
            assert_eq!(container_line(line.as_bytes()).unwrap().1, b"hello");
        }
        for none in [
            "",
            "{}",
            "{\"log\":\"x\"}",
            "hello",
            "{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"yesterday\"}",
        ] {
            assert_eq!(container_line(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn names_are_words_of_their_own() {
        assert!(contains_word(b"host=db-3:22", b"db-3"));
        assert!(contains_word(b"db-3", b"db-3"));
        assert!(!contains_word(b"mydb-3", b"db-3"));
        assert!(!contains_word(b"db-30 db-3x", b"db-3"));
    }

    #[test]
    fn a_digest_groups_and_forgets_what_is_too_much() {
        let t = |s: i64| Some(Time::from_secs(s));
        let needles = Needles {
            names: vec!["db-3".to_owned()],
            addrs: vec!["192.0.2.1".parse().unwrap()],
        };
        let mut d = Digest::new(Time::from_secs(100), Time::from_secs(10_000_000), needles);
        d.line(t(50), b"dispatch job=1 host=192.0.2.1");
        for i in 0..20 {
            d.line(
                t(1000 + i),
                format!("dispatch job={i} host=192.0.2.1").as_bytes(),
            );
        }
        d.line(t(2000), b"connect db-3 failed");
        d.line(None, b"no time");
        for i in 0..(MAX_STAMPS as i64 + 10) {
            d.line(t(3000 + i), b"tick");
        }
        let d = d.finish();
        assert_eq!(d.first, t(50));
        assert_eq!(d.timeless, 1);
        let tick = d.kinds.iter().find(|k| k.sample == "tick").unwrap();
        assert!(tick.times.is_empty() && tick.lines == MAX_STAMPS as u64 + 10);
        let dispatch = d
            .kinds
            .iter()
            .find(|k| k.sample.starts_with("dispatch"))
            .unwrap();
        assert_eq!(dispatch.times.len(), 20);
        assert_eq!(d.addrs.len(), 1);
        assert_eq!(d.names.times.len(), 21);
        let mut many = Digest::new(Time(0), Time(i64::MAX), Needles::default());
        for i in 0..2000u32 {
            let word: String = (0..5)
                .map(|k| char::from(b'a' + ((i >> (2 * k)) & 15) as u8))
                .collect();
            many.line(t(i64::from(i)), format!("{word} x").as_bytes());
        }
        assert!(many.finish().kinds.len() <= MAX_KINDS);
    }
}
