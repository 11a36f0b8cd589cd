//! `scheduled-automation`: the same source day after day in the same hours, its failures and successes crossing.

use super::case::{Case, MAX_EACH, Standing};
use super::ledger::{Burst, Source};
use super::words;
use crate::finding::Finding;
use crate::names::AddrId;
use crate::time::{SECOND, Time};

/// A quarter of an hour each: the resolution in which hours are compared.
const BINS: usize = 96;
const BIN: i64 = 86_400 / BINS as i64;
/// Longer sessions on average are people's, unless there are many an hour.
const SHORT_SESSION: u64 = 300;
const BUSY: u32 = 8;
/// One run a day needs more days to be told from chance, and less time to be told from a person.
const NIGHTS: u32 = 5;
const MOMENT: i64 = 3600;

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
    /// Seconds after local midnight; `to` < `from` where it goes over midnight.
    pub from: i64,
    pub to: i64,
    pub days: u32,
    /// Runs outside the window.
    pub outside: u32,
    pub first: Time,
    pub last: Time,
    pub fails: u32,
    pub accepts: u32,
}

/// The schedule of a source, if it keeps one.
pub fn of(case: &Case<'_>, source: &Source) -> Option<Schedule> {
    crossing(case, source).or_else(|| nightly(case, source))
}

/// A job of one short run at the same time of the day, some of which fail as a whole: a key that is missing on some nights.
/// A person whose login fails tries again at once, and keeps no such time.
fn nightly(case: &Case<'_>, source: &Source) -> Option<Schedule> {
    let h = case
        .history(source)
        .filter(|h| h.accepts >= 3 && h.turns >= 1)?;
    let (failing, names) = case.failing(&source.guess);
    if names == 0 || names > 3 || failing.iter().any(|t| t.accepts == 0) {
        return None;
    }
    let failed = h.bursts.iter().filter(|b| b.accepts == 0).count();
    let worked = h.bursts.iter().filter(|b| b.fails == 0).count();
    if failed < 2 || worked < 3 {
        return None;
    }
    let (from, to, outside) = window(&h.bursts, case)?;
    let days = days(&h.bursts, case);
    if (to - from).rem_euclid(86_400) > MOMENT
        || outside as usize * 8 > h.bursts.len()
        || days < NIGHTS.max(case.settings.schedule_days + 1)
    {
        return None;
    }
    Some(Schedule {
        from,
        to,
        days,
        outside,
        first: h.bursts.iter().map(|b| b.start).min()?,
        last: h.bursts.iter().map(|b| b.end).max()?,
        fails: source.guess.fails,
        accepts: h.accepts,
    })
}

/// On how many days of the zone runs began.
fn days(bursts: &[Burst], case: &Case<'_>) -> u32 {
    let mut days: Vec<i64> = bursts
        .iter()
        .map(|b| words::local_day(b.start, case.context))
        .collect();
    days.sort_unstable();
    days.dedup();
    days.len() as u32
}

/// Failures and successes of the same users cross within the runs.
fn crossing(case: &Case<'_>, source: &Source) -> Option<Schedule> {
    let h = case.history(source).filter(|h| h.accepts >= 2)?;
    let s = case.settings;
    let (fails, accepts) = (source.guess.fails, h.accepts);
    if fails < 3 || h.bursts.len() < 2 {
        return None;
    }
    // Failures are a good part of it, and they and the successes cross: neither belongs to one end of the time.
    if u64::from(fails) * 100 <= u64::from(fails + accepts) * u64::from(s.schedule_share) {
        return None;
    }
    let both = h
        .bursts
        .iter()
        .filter(|b| b.fails > 0 && b.accepts > 0)
        .count();
    if h.turns < 3 || both < 2 || both * 2 < h.bursts.len() {
        return None;
    }
    // What never got in before is a stranger's try: a few at the start are chance, many are guesses.
    let (failing, names) = case.failing(&source.guess);
    let strangers = failing.iter().filter(|t| t.accepts == 0).count();
    if h.unfamiliar > s.success_failures
        && u64::from(h.unfamiliar) * 5 > u64::from(fails) * 3
        && !(source.private() && strangers <= 3)
        || names > 6
        || failing
            .iter()
            .any(|t| case.is_nonexistent(t.user) && t.fails > 3)
    {
        return None;
    }
    let events = (fails + accepts) / (h.bursts.len() as u32).max(1);
    let short = h.ended > 0 && h.seconds / u64::from(h.ended) < SHORT_SESSION;
    if !short && events < BUSY {
        return None;
    }
    let days = days(&h.bursts, case);
    let (from, to, outside) = window(&h.bursts, case)?;
    let length = (to - from).rem_euclid(86_400);
    if days <= s.schedule_days || length > i64::from(s.schedule_window) * 3600 {
        return None;
    }
    let first = h.bursts.iter().map(|b| b.start).min()?;
    let last = h.bursts.iter().map(|b| b.end).max()?;
    Some(Schedule {
        from,
        to,
        days,
        outside,
        first,
        last,
        fails,
        accepts,
    })
}

/// Whether a source comes on three days or more, and always in the same hours.
pub fn keeps_hours(case: &Case<'_>, source: &Source) -> bool {
    let Some(h) = case.history(source).filter(|h| h.bursts.len() >= 3) else {
        return false;
    };
    window(&h.bursts, case).is_some_and(|(from, to, outside)| {
        let length = (to - from).rem_euclid(86_400);
        outside == 0 && length <= i64::from(case.settings.schedule_window) * 3600 / 2
    })
}

/// The hours of the day that the runs share, and how many runs lie outside of them.
fn window(bursts: &[Burst], case: &Case<'_>) -> Option<(i64, i64, u32)> {
    let local = |t: Time| t.secs() + i64::from(case.context.zone.offset_at(t.secs()));
    let mut bins = [0u32; BINS];
    for b in bursts {
        let (start, end) = (local(b.start), local(b.end));
        if end - start >= 86_400 {
            return None;
        }
        for bin in start.div_euclid(BIN)..=end.div_euclid(BIN) {
            if let Some(n) = bins.get_mut(bin.rem_euclid(BINS as i64) as usize) {
                *n += 1;
            }
        }
    }
    // One run in eight may fall outside: somebody started the job by hand.
    let usual = (bursts.len() as u32 / 8).max(1);
    let quiet = |i: usize| bins.get(i % BINS).is_none_or(|n| *n < usual);
    // The longest quiet stretch round the clock; the rest is the window.
    let (mut best, mut best_start) = (0, 0);
    for start in 0..BINS {
        let run = (0..BINS).take_while(|i| quiet(start + i)).count();
        if run > best {
            best = run;
            best_start = start;
        }
    }
    if best == 0 || best == BINS {
        return None;
    }
    let opens = ((best_start + best) % BINS) as i64 * BIN;
    let length = (BINS - best) as i64 * BIN;
    let (mut from, mut to, mut outside) = (length, 0, 0);
    for b in bursts {
        let a = (local(b.start) - opens).rem_euclid(86_400);
        let z = a + (b.end.0 - b.start.0) / SECOND;
        if a < length && z <= length {
            from = from.min(a);
            to = to.max(z);
        } else {
            outside += 1;
        }
    }
    (from <= to).then(|| {
        (
            (opens + from).rem_euclid(86_400),
            (opens + to).rem_euclid(86_400),
            outside,
        )
    })
}

pub fn findings(case: &Case<'_>, out: &mut Vec<Finding>) {
    let scheduled =
        |(addr, _): &(usize, &Source)| case.standing(*addr as AddrId) == Standing::Scheduled;
    let sources = case.ledger.sources.iter().enumerate();
    for (addr, source) in sources.filter(scheduled).take(MAX_EACH) {
        let addr = addr as AddrId;
        let Some(s) = of(case, source) else { continue };
        let (tried, total) = case.ledger.users(&source.guess);
        let users: Vec<u32> = tried.iter().map(|t| t.user).collect();
        let mut f = words::finding("scheduled-automation", case.subjects(&[addr], &users));
        let hm = |secs: i64| format!("{:02}:{:02}", secs / 3600, secs / 60 % 60);
        f.headline = format!(
            "{} logs in as {} between {} and {}, on {} since {}: {} failed, {} worked",
            case.addr(addr),
            words::list(&case.user_names(&tried), total),
            hm(s.from),
            hm(s.to),
            words::count(u64::from(s.days), "day", "days"),
            words::moment(s.first, case.context)
                .get(..10)
                .unwrap_or_default(),
            words::count(u64::from(s.fails), "attempt", "attempts"),
            s.accepts,
        );
        f.first = Some(s.first);
        f.last = Some(s.last);
        f.count = u64::from(s.fails);
        // Three nights in the same hours are no chance; two could be; a fixed inside address makes either likelier.
        f.confidence = match (s.days, source.private()) {
            (3.., true) => 0.95,
            (3.., false) => 0.88,
            (_, true) => 0.8,
            (_, false) => 0.7,
        };
        f.notes.push(format!(
            "first seen {}, last {}; times are {}",
            words::moment(s.first, case.context),
            words::moment(s.last, case.context),
            case.context.zone.name
        ));
        f.notes.push(
            "failures and logins alternate for the same users, which guessing does not look like"
                .to_owned(),
        );
        if s.outside > 0 {
            f.notes.push(format!(
                "{} outside these hours",
                words::count(u64::from(s.outside), "run lies", "runs lie")
            ));
        }
        f.hostile = case.is_hostile(addr);
        if f.hostile {
            f.notes.push(
                "the same address also does hostile things: see its other findings first"
                    .to_owned(),
            );
        }
        let mut quotes = source.quotes.to_vec();
        quotes.extend(case.logins.first_from(addr));
        f.evidence = case.evidence(&quotes);
        out.push(f);
    }
}
