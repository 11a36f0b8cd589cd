//! Which OpenSSH wrote a log, inferred from its wordings: each wording was printed from one release to another, and the
//! releases that print all of them are left.
//!
//! A log that spans an upgrade has no such release; then the wordings after the last contradiction count.

use crate::catalog::messages::Daemon;
use crate::event::{Row, catalog};
use crate::names::HostId;
use std::collections::BTreeMap;

/// A release as two numbers: `9.8` → (9, 8).
pub type Release = (u16, u16);

/// `9.8`, `9.2p1`, `2024.86`.
pub fn parse_release(text: &str) -> Option<Release> {
    let (major, rest) = text.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Range {
    since: Option<Release>,
    until: Option<Release>,
}

impl Range {
    /// What is left of these releases after a wording of those.
    fn narrowed(self, range: Range) -> Range {
        let left = Range {
            since: self.since.max(range.since),
            until: match (self.until, range.until) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        };
        // An upgrade (or a downgrade): what is seen from here on counts.
        match (left.since, left.until) {
            (Some(s), Some(u)) if s > u => range,
            _ => left,
        }
    }
}

/// The releases that fit one host's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostRange {
    pub daemon: &'static str,
    pub since: Option<String>,
    pub until: Option<String>,
}

/// How many wordings are remembered as known.
const SETTLED: usize = 64;

#[derive(Debug, Default)]
pub struct Versions {
    /// By row: where its wordings begin in `ranges`, and whose they are; filled at first use.
    rows: Vec<(u32, Option<&'static str>)>,
    ranges: Vec<Range>,
    hosts: BTreeMap<(HostId, &'static str), Range>,
    /// Host, row and text in one number; 0: none.
    last: u64,
    /// Wordings that say nothing new as long as no host's releases change: one for each place.
    settled: Vec<u64>,
    /// The host and daemon of the last wording that counted, and what is left of their releases.
    current: Option<(HostId, &'static str, Range)>,
}

/// A wording as one number, and its place among the settled ones.
fn key(host: HostId, row: Row, text: u8) -> (u64, usize) {
    (
        u64::from(host) << 32 | u64::from(row) << 8 | u64::from(text) | 1 << 24,
        ((host as usize * 5) ^ usize::from(row) ^ usize::from(text) << 5) % SETTLED,
    )
}

impl Versions {
    /// A line of this wording was seen.
    #[inline]
    pub fn see(&mut self, host: HostId, row: Row, text: u8) {
        let (wording, place) = key(host, row, text);
        if self.settled.get(place) == Some(&wording) || self.last == wording {
            return;
        }
        self.last = wording;
        if self.learn(host, row, text) {
            self.settled.clear();
        } else {
            self.settled.resize(SETTLED, 0);
            if let Some(place) = self.settled.get_mut(place) {
                *place = wording;
            }
        }
    }

    /// Whether the wording is known to say nothing new: then seeing it again changes nothing.
    pub fn knows(&self, host: HostId, row: Row, text: u8) -> bool {
        let (wording, place) = key(host, row, text);
        self.settled.get(place) == Some(&wording)
            || (!self.rows.is_empty()
                && self.printed_by(row, text).is_none_or(|(daemon, range)| {
                    self.hosts
                        .get(&(host, daemon))
                        .is_some_and(|all| all.narrowed(range) == *all)
                }))
    }

    /// The daemon, and the releases of it that print a wording, where that is not all of them.
    fn printed_by(&self, row: Row, text: u8) -> Option<(&'static str, Range)> {
        let (first, daemon) = self.rows.get(usize::from(row)).copied()?;
        let range = *self.ranges.get(first as usize + usize::from(text))?;
        (range != Range::default()).then_some((daemon?, range))
    }

    /// Whether the wording says something new.
    fn learn(&mut self, host: HostId, row: Row, text: u8) -> bool {
        if self.rows.is_empty() {
            for message in catalog().rows() {
                let daemon = match message.daemon {
                    Daemon::Openssh => Some("OpenSSH"),
                    Daemon::Dropbear => Some("Dropbear"),
                    _ => None,
                };
                self.rows.push((self.ranges.len() as u32, daemon));
                self.ranges.extend(message.texts.iter().map(|t| Range {
                    since: parse_release(t.since),
                    until: parse_release(t.until),
                }));
            }
        }
        let Some((daemon, range)) = self.printed_by(row, text) else {
            return false;
        };
        // Nothing new from a wording as wide as what is left: most lines.
        if let Some((h, d, left)) = &self.current
            && (*h, *d) == (host, daemon)
            && range.since <= left.since
            && (range.until.is_none() || (left.until.is_some() && left.until <= range.until))
        {
            return false;
        }
        let all = self.hosts.entry((host, daemon)).or_default();
        let left = all.narrowed(range);
        let news = *all != left;
        *all = left;
        self.current = Some((host, daemon, left));
        news
    }

    /// Host by host: the releases left.
    pub fn ranges(&self) -> impl Iterator<Item = (HostId, HostRange)> + '_ {
        let text = |r: Option<Release>| r.map(|(a, b)| format!("{a}.{b}"));
        self.hosts
            .iter()
            .filter(|(_, r)| **r != Range::default())
            .map(move |((host, daemon), r)| {
                (
                    *host,
                    HostRange {
                        daemon,
                        since: text(r.since),
                        until: text(r.until),
                    },
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        assert_eq!(parse_release("9.8"), Some((9, 8)));
        assert_eq!(parse_release("10.0p2"), Some((10, 0)));
        assert_eq!(parse_release("2024.86"), Some((2024, 86)));
        assert_eq!(parse_release(""), None);
        assert_eq!(parse_release("x.y"), None);
    }
}
