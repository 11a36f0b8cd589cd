//! `port-monitor`: who connects at even intervals and never says anything.
//!
//! The interval is found by majority: each gap either agrees with the candidate, is a multiple of it (checks that are missing),
//! or votes against it; a candidate without votes gives way. That needs 48 bytes an address, whatever the log's length.

use super::case::{Case, MAX_EACH};
use super::words;
use crate::finding::{Finding, Severity};
use crate::names::AddrId;
use crate::time::{MINUTE, SECOND, Time, human_span};
use hashbrown::HashMap;

/// Addresses (times hosts) whose rhythm is followed.
const MAX_BEATS: usize = 200_000;
/// Two connections within this are one check (a monitor that tries twice, or over IPv4 and IPv6).
const SAME_CHECK: i64 = SECOND / 2;
/// What lasts less is a burst, however even.
const SHORTEST: i64 = 2 * MINUTE;
/// So many checks a day without a rhythm are still worth a word.
const RESTLESS: u32 = 200;

#[derive(Clone, Debug)]
struct Beat {
    first: Time,
    last: Time,
    /// Microseconds; the candidate.
    interval: i64,
    votes: u32,
    /// Gaps that agreed, and those that did not.
    agreed: u32,
    against: u32,
    connections: u32,
}

#[derive(Debug, Default)]
pub struct Beats {
    all: HashMap<(AddrId, u32), Beat>,
}

impl Beats {
    /// A connection without a word.
    pub fn check(&mut self, addr: AddrId, host: u32, time: Time, jitter: u32) {
        if !time.is_dated() {
            return;
        }
        if self.all.len() >= MAX_BEATS && !self.all.contains_key(&(addr, host)) {
            return;
        }
        let b = self.all.entry((addr, host)).or_insert(Beat {
            first: time,
            last: time,
            interval: 0,
            votes: 0,
            agreed: 0,
            against: 0,
            connections: 0,
        });
        b.connections += 1;
        let gap = time.0 - b.last.0;
        if b.connections == 1 || (-5 * SECOND..SAME_CHECK).contains(&gap) {
            return;
        }
        b.last = time;
        b.first = b.first.min(time);
        if gap < 0 {
            // Another log of the same host begins.
            return;
        }
        if b.votes == 0 {
            b.interval = gap;
            b.votes = 1;
            return;
        }
        // Whole seconds in the log move a gap by one; of short intervals that is too much to say anything.
        let rounding = (SECOND + SECOND / 10).min(b.interval / 3);
        let slack = (b.interval / 100 * i64::from(jitter)).max(rounding);
        if (gap - b.interval).abs() <= slack {
            b.votes += 1;
            b.agreed += 1;
            b.interval += (gap - b.interval) / i64::from(b.votes.min(32));
        } else {
            let missed = (gap + b.interval / 2) / b.interval.max(1);
            let of_multiple = (gap - missed * b.interval).abs() <= slack;
            // A multiple of a short interval is always near: that says nothing either way.
            if missed < 2 || !of_multiple {
                b.votes -= 1;
                b.against += 1;
            }
        }
    }

    /// Whether the address keeps a rhythm.
    pub fn regular(&self, addr: AddrId, host: u32, checks: u32) -> bool {
        self.all
            .get(&(addr, host))
            .is_some_and(|b| b.is_regular(checks))
    }
}

impl Beat {
    fn is_regular(&self, checks: u32) -> bool {
        // Two of three gaps: restarts, lost lines and a second check in between may break the step.
        self.agreed >= checks
            && self.agreed >= 2 * self.against
            && self.last.0 - self.first.0 >= SHORTEST
    }
}

/// One finding for each address, whatever number of hosts it checks.
pub fn findings(case: &Case<'_>, out: &mut Vec<Finding>) {
    let mut by_addr: Vec<(AddrId, u32, &Beat)> = case
        .beats
        .all
        .iter()
        .map(|((addr, host), b)| (*addr, *host, b))
        .collect();
    by_addr.sort_by_key(|(addr, host, b)| (*addr, std::cmp::Reverse(b.agreed), *host));
    let mut written = 0;
    for group in by_addr.chunk_by(|a, b| a.0 == b.0) {
        if written >= MAX_EACH {
            break;
        }
        let Some((addr, _, lead)) = group.first() else {
            continue;
        };
        let Some(source) = case.source(*addr) else {
            continue;
        };
        let regular = lead.is_regular(case.settings.monitor_checks);
        let days = ((lead.last.0 - lead.first.0) as f64 / 86_400e6).max(1.0);
        let restless = lead.connections as f64 / days >= f64::from(RESTLESS)
            && source.probes == 0
            // Who also works here loses a connection now and then.
            && case.accepts(source) == 0
            && lead.last.0 - lead.first.0 > 6 * 3600 * SECOND;
        if (!regular && !restless) || source.stands_in() {
            continue;
        }
        // Connections that a flood holds open end evenly too.
        if case.is_hostile(*addr) && u64::from(source.timeouts) * 2 > u64::from(lead.connections) {
            continue;
        }
        let hosts: Vec<&(AddrId, u32, &Beat)> = group
            .iter()
            .filter(|g| g.2.is_regular(case.settings.monitor_checks) || (restless && !regular))
            .collect();
        let connections: u64 = hosts.iter().map(|g| u64::from(g.2.connections)).sum();
        let first = hosts.iter().map(|g| g.2.first).min();
        let last = hosts.iter().map(|g| g.2.last).max();
        let mut f = words::finding("port-monitor", case.subjects(&[*addr], &[]));
        let who = case.addr(*addr);
        let mean = (lead.last.0 - lead.first.0) / i64::from(lead.connections.max(2) - 1);
        // Of a few seconds, whole seconds in the log make gaps of one and of three out of two: then the mean says more, unless
        // pauses have gone into it.
        let blurred = lead.interval < 5 * SECOND
            && (lead.interval / 2..=lead.interval * 5 / 2).contains(&mean);
        let every = if regular && !blurred {
            lead.interval
        } else {
            mean
        };
        f.headline = if regular && case.accepts(source) > 0 {
            format!(
                "{who} checks the port every {} besides its logins: a monitor",
                interval(every)
            )
        } else if regular {
            format!(
                "{who} checks the port every {} and never logs in: a monitor",
                interval(every)
            )
        } else {
            format!(
                "{who} connects about every {} and never says anything: probably a monitor",
                interval(every)
            )
        };
        f.count = connections;
        f.first = first;
        f.last = last;
        // The share of gaps that keep step is the measure; even a perfect rhythm could be a patient scanner's.
        f.confidence = if regular {
            let share = f64::from(lead.agreed) / f64::from((lead.agreed + lead.against).max(1));
            (0.55 + 0.4 * share).min(0.97)
        } else {
            0.5
        };
        f.notes.push(format!(
            "{} without a word since {}; {} in step with the interval, {} not",
            words::count(connections, "connection", "connections"),
            words::moment(lead.first, case.context),
            words::count(u64::from(lead.agreed), "gap", "gaps"),
            lead.against
        ));
        if source.not_ssh > 0 {
            f.notes.push(
                "it sends what is no SSH: the check was set up for another kind of service"
                    .to_owned(),
            );
        }
        let drops = case.flood.penalties(*addr);
        if drops > 0 {
            f.notes.push(format!(
                "sshd penalises it: {} dropped, so the monitor sees outages that are none",
                words::count(u64::from(drops), "connection was", "connections were")
            ));
        }
        f.hostile = case.is_hostile(*addr);
        if f.hostile {
            f.severity = Severity::Medium;
            f.notes.push(
                "the same address also does hostile things: see its other findings first"
                    .to_owned(),
            );
        }
        f.evidence = case.evidence(&source.quotes);
        written += 1;
        out.push(f);
    }
}

/// `20 s`, `60 s`, `5 min`, `1 h`
fn interval(micros: i64) -> String {
    let s = (micros + SECOND / 2) / SECOND;
    // What an administrator would have typed, within one part in fifty.
    for round in [
        5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600, 900, 1200, 1800, 3600,
    ] {
        if (s - round).abs() * 50 <= round {
            return match round {
                3600 => "1 h".to_owned(),
                r if r > 120 => format!("{} min", r / 60),
                r => format!("{r} s"),
            };
        }
    }
    if s < 120 {
        format!("{s} s")
    } else {
        // To the nearest minute: checks every 8 min are 7 min 59.9 s apart.
        human_span(micros.saturating_add(MINUTE / 2))
    }
}
