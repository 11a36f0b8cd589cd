//! `protocol-scan`: connections that do not speak SSH, or that only ask what we speak.

use super::case::{Case, busiest};
use super::ledger::Source;
use super::words;
use crate::finding::Finding;
use crate::names::AddrId;
use crate::time::SECOND;

/// So many connections without a word, one after the other within seconds and out of step, are no check of anybody's.
const KNOCKS: u32 = 10;
const KNOCK_GAP: i64 = 5 * SECOND;

/// Whether a stranger from outside connects again and again in a hurry and never says anything that the log shows.
fn knocks(case: &Case<'_>, addr: AddrId, source: &Source) -> bool {
    source.gone >= KNOCKS
        && source.guess.fails == 0
        && !source.private()
        && !source.stands_in()
        && case.accepts(source) == 0
        && source.last.is_dated()
        && source.last.0 - source.first.0 <= i64::from(source.gone) * KNOCK_GAP
        && !case.keeps_rhythm(addr)
        && case.front != Some(addr)
}

/// Whether a source scans. One kind of algorithm missing again and again is an outdated client, unless it comes in a burst.
fn scans(case: &Case<'_>, addr: AddrId, source: &Source) -> bool {
    if knocks(case, addr, source) {
        return true;
    }
    if source.probes <= case.settings.probe_probes || source.stands_in() || case.accepts(source) > 0
    {
        return false;
    }
    // An uptime check inside that was set up for a web server.
    if source.private() && source.mismatch == 0 && case.keeps_rhythm(addr) {
        return false;
    }
    let burst = source.probes >= 6
        && !source.private()
        && source.last.is_dated()
        && source.last.0 - source.first.0 <= i64::from(source.probes) * 10 * SECOND;
    source.not_ssh > 0 || source.mismatch.count_ones() >= 2 || burst
}

pub fn judge(case: &mut Case<'_>) {
    for addr in 0..case.ledger.sources.len() as AddrId {
        if case
            .ledger
            .sources
            .get(addr as usize)
            .is_some_and(|s| scans(case, addr, s))
        {
            case.accuse(addr);
        }
    }
}

pub fn findings(case: &Case<'_>, out: &mut Vec<Finding>) {
    let scanners = case
        .ledger
        .sources
        .iter()
        .enumerate()
        .filter(|(a, s)| scans(case, *a as AddrId, s))
        .map(|(a, s)| (u64::from(s.probes + s.gone), a as AddrId))
        .collect();
    let (each, rest) = busiest(scanners);
    if !rest.is_empty() {
        let addrs: Vec<AddrId> = rest.iter().map(|(_, a)| *a).collect();
        let count = rest.iter().map(|(n, _)| n).sum();
        out.push(case.rest("protocol-scan", &addrs, count, "scanned"));
    }
    for addr in each {
        let Some(source) = case.source(addr) else {
            continue;
        };
        let mut f = words::finding("protocol-scan", case.subjects(&[addr], &[]));
        let mut what: Vec<&str> = Vec::new();
        if source.not_ssh > 0 {
            what.push("sent what is no SSH");
        }
        if source.mismatch != 0 {
            what.push("tried algorithms that nobody uses any more");
        }
        let silent = what.is_empty();
        if silent {
            what.push("connected and said nothing");
        }
        let connections = if silent { source.gone } else { source.probes };
        f.headline = format!(
            "{} {} in {} {}: a scanner",
            case.addr(addr),
            what.join(" and "),
            words::count(u64::from(connections), "connection", "connections"),
            words::within(source.first, source.last),
        );
        f.first = Some(source.first);
        f.last = Some(source.last);
        f.count = u64::from(connections);
        // Many and of several kinds: a scanner. Few of one kind: a misdirected program, an old client.
        let kinds = source.mismatch.count_ones() + u32::from(source.not_ssh > 0);
        f.confidence = match (kinds, source.probes) {
            (2.., 5..) => 0.95,
            (2.., _) => 0.88,
            (_, 10..) => 0.85,
            _ => 0.7,
        };
        if source.gone > 0 && !silent {
            f.notes.push(format!(
                "{} without a word",
                words::count(
                    u64::from(source.gone),
                    "more connection",
                    "more connections"
                )
            ));
        }
        if source.guess.fails > 0 {
            f.notes.push(format!(
                "it also failed to log in {}",
                words::count(u64::from(source.guess.fails), "time", "times")
            ));
        }
        f.evidence = case.evidence(&source.quotes);
        out.push(f);
    }
}
