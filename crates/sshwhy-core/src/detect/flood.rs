//! `startup-flood` and `throttling`: who fills the places for unfinished logins, and who is turned away for it.

use super::Fact;
use super::case::{Case, MAX_EACH, MAX_LISTED};
use super::kinds::Kind;
use super::quotes::{QuoteId, Quotes};
use super::words;
use crate::finding::{Finding, Severity};
use crate::names::AddrId;
use crate::scan::NONE;
use crate::time::{HOUR, SECOND, Time};
use hashbrown::{HashMap, HashSet};

const MAX_DROPPED: usize = 100_000;
/// A monitor checks no more often than that.
const CROWDING: i64 = 5 * SECOND;

#[derive(Debug)]
struct Drops {
    startups: u32,
    penalties: u32,
    first: Time,
    last: Time,
    quotes: [QuoteId; 3],
}

#[derive(Debug, Default)]
pub struct Flood {
    by_addr: HashMap<AddrId, Drops>,
    /// What sshd summed up without addresses, and when.
    summed: u64,
    notes: u32,
    note_first: Option<Time>,
    note_last: Option<Time>,
    note_quotes: Vec<QuoteId>,
    attributed: u64,
}

impl Flood {
    pub fn line(&mut self, fact: &Fact<'_>, kind: Kind, quotes: &mut Quotes) {
        if kind == Kind::StartupNote {
            self.notes += 1;
            self.note_first = Some(self.note_first.map_or(fact.time, |t| t.min(fact.time)));
            self.note_last = Some(self.note_last.map_or(fact.time, |t| t.max(fact.time)));
            self.summed += dropped(fact.message);
            if self.note_quotes.len() < 4 {
                self.note_quotes
                    .push(quotes.keep(fact.time, fact.at, fact.message));
            }
            return;
        }
        if !matches!(kind, Kind::StartupDrop | Kind::PenaltyDrop) || fact.addr == NONE {
            return;
        }
        if self.by_addr.len() >= MAX_DROPPED && !self.by_addr.contains_key(&fact.addr) {
            return;
        }
        let d = self.by_addr.entry(fact.addr).or_insert(Drops {
            startups: 0,
            penalties: 0,
            first: fact.time,
            last: fact.time,
            quotes: [NONE; 3],
        });
        d.first = d.first.min(fact.time);
        d.last = d.last.max(fact.time);
        if kind == Kind::StartupDrop {
            d.startups = d.startups.saturating_add(fact.repeat);
            self.attributed += u64::from(fact.repeat);
        } else {
            d.penalties = d.penalties.saturating_add(fact.repeat);
        }
        if let Some(place) = d.quotes.iter_mut().find(|q| **q == NONE) {
            *place = quotes.keep(fact.time, fact.at, fact.message);
        }
    }

    /// Connections of that address which sshd dropped over a penalty.
    pub fn penalties(&self, addr: AddrId) -> u32 {
        self.by_addr.get(&addr).map_or(0, |d| d.penalties)
    }

    fn sorted(&self) -> Vec<(AddrId, &Drops)> {
        let mut all: Vec<(AddrId, &Drops)> = self.by_addr.iter().map(|(a, d)| (*a, d)).collect();
        all.sort_by_key(|(a, _)| *a);
        all
    }
}

/// The number before ` connections dropped`.
fn dropped(message: &[u8]) -> u64 {
    let Some(at) = memchr::memmem::find(message, b" connections dropped") else {
        return 0;
    };
    let head = message.get(..at).unwrap_or_default();
    let from = head
        .iter()
        .rposition(|b| !b.is_ascii_digit())
        .map_or(0, |i| i + 1);
    std::str::from_utf8(head.get(from..).unwrap_or_default())
        .ok()
        .and_then(|d| d.parse().ok())
        .unwrap_or(0)
}

/// Why an address counts as the one that floods.
struct Flooder {
    addr: AddrId,
    drops: u32,
    timeouts: u32,
}

fn flooders(case: &Case<'_>) -> Vec<Flooder> {
    let s = case.settings;
    let mut found: Vec<Flooder> = Vec::new();
    for (addr, d) in case.flood.sorted() {
        let Some(source) = case.source(addr) else {
            continue;
        };
        // Somebody who also logs in is a client that opens too many, unless it is known to be worse.
        if d.startups > s.flood_drops && (case.accepts(source) == 0 || case.is_hostile(addr)) {
            found.push(Flooder {
                addr,
                drops: d.startups,
                timeouts: source.timeouts,
            });
        }
    }
    let named: HashSet<AddrId> = found.iter().map(|f| f.addr).collect();
    for (addr, source) in case.ledger.sources.iter().enumerate() {
        let addr = addr as AddrId;
        if source.timeouts <= s.flood_timeouts || source.stands_in() || named.contains(&addr) {
            continue;
        }
        // Held open by the dozen within hours; a monitor that forgets to hang up keeps a rhythm, a person takes days.
        let hours = ((source.last.0 - source.first.0) / HOUR).max(1) as u32;
        // Who holds one for a minute and more, and opens the next within seconds, fills the places however even the pace is.
        let crowds = (source.last.0 - source.first.0) / i64::from(source.timeouts) < CROWDING;
        if source.timeouts / hours >= 2
            && source.last.is_dated()
            && (crowds || !case.keeps_rhythm(addr))
            && (case.accepts(source) == 0 || case.is_hostile(addr))
            && source.guess.connections < source.timeouts
        {
            found.push(Flooder {
                addr,
                drops: 0,
                timeouts: source.timeouts,
            });
        }
    }
    // The worst of them, where there are very many.
    found.sort_by_key(|f| (std::cmp::Reverse(f.drops.max(f.timeouts)), f.addr));
    found.truncate(MAX_EACH);
    found
}

/// Many sources that together fill the places, none of them by itself.
struct Crowd {
    /// Those that lost more than a person would have tried again, most first.
    blamed: Vec<AddrId>,
    addrs: u64,
    drops: u64,
    first: Time,
    last: Time,
    quotes: Vec<QuoteId>,
}

/// Tries again after so many dropped connections are no person's any more.
const STUBBORN: u32 = 4;
/// So many times what one source is blamed for.
const TOGETHER: u64 = 5;
/// Fewer strangers are not many.
const STRANGERS: u64 = 5;

fn crowd(case: &Case<'_>) -> Option<Crowd> {
    let limit = case.settings.flood_drops;
    let strangers: Vec<(AddrId, &Drops)> = case
        .flood
        .sorted()
        .into_iter()
        .filter(|(addr, d)| {
            (1..=limit).contains(&d.startups)
                && case
                    .source(*addr)
                    .is_some_and(|s| !s.private() && case.accepts(s) == 0)
                && !case.keeps_rhythm(*addr)
        })
        .collect();
    let drops: u64 = strangers.iter().map(|(_, d)| u64::from(d.startups)).sum();
    let addrs = strangers.len() as u64;
    if drops <= u64::from(limit) * TOGETHER || addrs < STRANGERS {
        return None;
    }
    let mut blamed: Vec<&(AddrId, &Drops)> = strangers
        .iter()
        .filter(|(_, d)| d.startups > STUBBORN)
        .collect();
    blamed.sort_by_key(|(a, d)| (std::cmp::Reverse(d.startups), *a));
    Some(Crowd {
        blamed: blamed.into_iter().map(|(a, _)| *a).collect(),
        addrs,
        drops,
        first: strangers.iter().map(|(_, d)| d.first).min()?,
        last: strangers.iter().map(|(_, d)| d.last).max()?,
        quotes: strangers
            .iter()
            .take(6)
            .map(|(_, d)| *d.quotes.first().unwrap_or(&NONE))
            .collect(),
    })
}

pub fn judge(case: &mut Case<'_>) {
    for f in flooders(case) {
        case.accuse(f.addr);
    }
    if let Some(crowd) = crowd(case) {
        for addr in crowd.blamed {
            case.accuse(addr);
        }
    }
}

/// What many sources did together.
fn together(case: &Case<'_>, crowd: &Crowd) -> Finding {
    let mut f = words::finding("startup-flood", case.subjects(&crowd.blamed, &[]));
    f.headline = format!(
        "{} together kept so many connections open that sshd dropped {} of theirs {} (MaxStartups)",
        words::count(crowd.addrs, "address", "addresses"),
        words::count(crowd.drops, "more", "more"),
        words::within(crowd.first, crowd.last),
    );
    f.first = Some(crowd.first);
    f.last = Some(crowd.last);
    f.count = crowd.drops;
    // Whose places they were the lines do not say, only who was turned away meanwhile: strangers, again and again.
    f.confidence = 0.75;
    let rest = crowd.addrs - crowd.blamed.len() as u64;
    if rest > 0 {
        f.notes.push(format!(
            "only those are named that lost more than {STUBBORN} connections; {} lost fewer, as anybody would who tries at that time",
            words::count(rest, "address", "addresses")
        ));
    }
    let mut quotes: Vec<QuoteId> = case.flood.note_quotes.iter().take(2).copied().collect();
    quotes.extend(&crowd.quotes);
    f.evidence = case.evidence(&quotes);
    f
}

pub fn findings(case: &Case<'_>, out: &mut Vec<Finding>) {
    for flooder in flooders(case) {
        let Some(source) = case.source(flooder.addr) else {
            continue;
        };
        let drops = case.flood.by_addr.get(&flooder.addr);
        let mut f = words::finding("startup-flood", case.subjects(&[flooder.addr], &[]));
        let first = drops.map_or(source.first, |d| d.first);
        let last = drops.map_or(source.last, |d| d.last.max(source.last));
        f.headline = if flooder.drops > 0 {
            format!(
                "{} kept so many connections open that sshd dropped {} of it {} (MaxStartups)",
                case.addr(flooder.addr),
                words::count(u64::from(flooder.drops), "more", "more"),
                words::within(first, last),
            )
        } else {
            format!(
                "{} held {} open until LoginGraceTime ended them, {}",
                case.addr(flooder.addr),
                words::count(u64::from(flooder.timeouts), "connection", "connections"),
                words::within(source.first, source.last),
            )
        };
        f.first = Some(first);
        f.last = Some(last);
        f.count = u64::from(flooder.drops.max(flooder.timeouts));
        // Dropped connections alone could be a tool that opens many at once; connections held open until the limit are not.
        f.confidence = match (flooder.drops, flooder.timeouts) {
            (0, _) => 0.75,
            (_, 0) => 0.82,
            _ => 0.95,
        };
        if flooder.drops == 0 {
            f.severity = Severity::Medium;
            f.notes.push("many such connections at once are also how CVE-2024-6387 (regreSSHion) is tried: OpenSSH before 9.8p1 needs the fix".to_owned());
        } else if flooder.timeouts > 0 {
            f.notes.push(format!(
                "{} of its connections ran into LoginGraceTime",
                words::count(u64::from(flooder.timeouts), "", "").trim()
            ));
        }
        let others = case
            .flood
            .by_addr
            .iter()
            .filter(|(a, d)| **a != flooder.addr && d.startups > 0)
            .count();
        if others > 0 {
            f.notes.push(format!(
                "{} lost connections in the meantime",
                words::count(others as u64, "other address", "other addresses")
            ));
        }
        let mut quotes: Vec<QuoteId> = case.flood.note_quotes.iter().take(2).copied().collect();
        quotes.extend(drops.map(|d| d.quotes).unwrap_or([NONE; 3]));
        quotes.extend(source.quotes);
        f.evidence = case.evidence(&quotes);
        out.push(f);
    }
    if let Some(crowd) = crowd(case) {
        out.push(together(case, &crowd));
    }
    throttled(case, true, out);
    throttled(case, false, out);
    unattributed(case, out);
}

/// Those who belong here and were turned away.
fn throttled(case: &Case<'_>, by_penalty: bool, out: &mut Vec<Finding>) {
    let n = |d: &Drops| if by_penalty { d.penalties } else { d.startups };
    let belongs = |addr: AddrId| {
        !case.is_hostile(addr)
            && (case.source(addr).is_some_and(|s| case.accepts(s) > 0) || case.keeps_rhythm(addr))
    };
    let victims: Vec<(AddrId, &Drops)> = case
        .flood
        .sorted()
        .into_iter()
        .filter(|(addr, d)| n(d) > case.settings.throttling_drops && belongs(*addr))
        .collect();
    if victims.is_empty() {
        return;
    }
    let addrs: Vec<AddrId> = victims.iter().map(|v| v.0).collect();
    let total: u64 = victims.iter().map(|v| u64::from(n(v.1))).sum();
    let mut users: Vec<u32> = Vec::new();
    for (addr, _) in &victims {
        if let Some(s) = case.source(*addr) {
            for t in case.ledger.users(&s.guess).0 {
                if t.accepts > 0 && !users.contains(&t.user) && users.len() < 16 {
                    users.push(t.user);
                }
            }
        }
    }
    let mut f = words::finding("throttling", case.subjects(&addrs, &users));
    let texts: Vec<String> = addrs.iter().take(4).map(|a| case.addr(*a)).collect();
    f.headline = format!(
        "sshd dropped {} of {} over {}",
        words::count(total, "connection", "connections"),
        words::list(&texts, addrs.len() as u64),
        if by_penalty {
            "penalties (PerSourcePenalties)"
        } else {
            "MaxStartups"
        },
    );
    f.first = victims.iter().map(|v| v.1.first).min();
    f.last = victims.iter().map(|v| v.1.last).max();
    f.count = total;
    // sshd says so itself; that they belong here follows from their logins or their rhythm.
    f.confidence = 0.9;
    f.notes.push(if by_penalty {
        "they see the connection closed before the banner, or \"Not allowed at this time\"; it clears by itself within minutes".to_owned()
    } else {
        "they see \"Connection closed by remote host\" now and then, without a reason".to_owned()
    });
    if addrs.len() > MAX_LISTED {
        f.notes.push(format!(
            "{} more addresses are not listed",
            addrs.len() - MAX_LISTED
        ));
    }
    let quotes: Vec<QuoteId> = victims
        .iter()
        .take(8)
        .filter_map(|v| v.1.quotes.first().copied())
        .collect();
    f.evidence = case.evidence(&quotes);
    out.push(f);
}

/// sshd says how many it dropped, and no line says whose.
fn unattributed(case: &Case<'_>, out: &mut Vec<Finding>) {
    let flood = case.flood;
    if flood.notes == 0 || flood.attributed > 0 {
        return;
    }
    let mut f = words::finding("throttling", case.subjects(&[], &[]));
    f.headline = match flood.summed {
        0 => "sshd dropped connections over MaxStartups, and the log does not say whose".to_owned(),
        n => format!(
            "sshd dropped {} over MaxStartups, and the log does not say whose",
            words::count(n, "connection", "connections")
        ),
    };
    f.first = flood.note_first;
    f.last = flood.note_last;
    f.count = flood.summed.max(u64::from(flood.notes));
    // That it happened is certain; that it hit anybody who belongs here is not.
    f.confidence = 0.6;
    f.notes
        .push("LogLevel VERBOSE names each dropped address".to_owned());
    f.evidence = case.evidence(&flood.note_quotes);
    out.push(f);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read() {
        assert_eq!(
            dropped(b"exited MaxStartups throttling after 00:05:00, 12 connections dropped"),
            12
        );
        assert_eq!(
            dropped(b"Maxstartups logging rate-limited: additional 812 connections dropped"),
            812
        );
        assert_eq!(dropped(b"beginning MaxStartups throttling"), 0);
        assert_eq!(dropped(b" connections dropped"), 0);
    }
}
