//! Connections through the limits, one by one: who is let in, who is turned away by which limit, how long it takes.
//!
//! As sshd.c drop_connection() decides at the door: penalties first, then MaxStartups by its integer formula and a die, then
//! PerSourceMaxStartups. A connection holds its slot until it has logged in, left, or LoginGraceTime has run out; then srclimit.c
//! adds its penalty. Before 9.8 there are no penalties.

use super::limits::{Limits, Penalties};
use super::load::{Arrival, Dice, Fate};
use crate::addr::network;
use crate::config::pattern::{self, Verdict};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;

/// What turned a connection away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    MaxStartups,
    PerSource,
    Penalty,
}

/// What somebody does who was turned away.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Patience {
    /// Seconds until the next try.
    pub pause: f64,
    /// Tries, the first included.
    pub tries: u32,
}

/// What became of one group of connections.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tally {
    /// That came, each counted once however often it tried.
    pub came: u64,
    /// Let in at the first try.
    pub at_once: u64,
    /// Let in at all.
    pub admitted: u64,
    /// Tries, and how many of them each limit turned away.
    pub tries: u64,
    pub by_startups: u64,
    pub by_source: u64,
    pub by_penalty: u64,
    /// Seconds from the first try to the one that was let in, in order; only of those who were let in.
    waits: Vec<f64>,
}

impl Tally {
    /// The chance that a try is turned away.
    pub fn refused(&self) -> f64 {
        share(
            self.by_startups + self.by_source + self.by_penalty,
            self.tries,
        )
    }

    /// The chance that the first try is turned away.
    pub fn first_refused(&self) -> f64 {
        share(self.came - self.at_once, self.came)
    }

    /// The share that gave up.
    pub fn gave_up(&self) -> f64 {
        share(self.came - self.admitted, self.came)
    }

    /// The wait that this share of those who came did not exceed, in seconds; `None`: more than the rest gave up.
    pub fn wait(&self, quantile: f64) -> Option<f64> {
        if self.came == 0 {
            return Some(0.0);
        }
        let rank = (quantile * self.came as f64).ceil().max(1.0) as usize;
        self.waits.get(rank - 1).copied()
    }
}

fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    }
}

/// A stretch of time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Slice {
    /// Tries in it, and those turned away.
    pub tries: u32,
    pub refused: u32,
    /// The most slots that were taken at once.
    pub most: u32,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// Those who are meant to get in.
    pub wanted: Tally,
    /// Everybody else.
    pub others: Tally,
    /// Contiguous, from the first connection on, each `slice_seconds` long.
    pub slices: Vec<Slice>,
    pub slice_seconds: f64,
    /// Seconds for which so many slots were taken; the index is the number.
    pub occupied: Vec<f64>,
}

/// How many stretches of time an outcome has.
pub const SLICES: usize = 120;

enum What {
    /// Index, which try it is, when the first one was.
    Comes(usize, u32, f64),
    /// Source as it is counted, who it is, whether LoginGraceTime ended it.
    Goes(IpAddr, IpAddr, Fate),
}

struct Happens {
    at: f64,
    order: u64,
    what: What,
}

impl PartialEq for Happens {
    fn eq(&self, other: &Happens) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Happens {}

impl PartialOrd for Happens {
    fn partial_cmp(&self, other: &Happens) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Happens {
    /// The earliest first; a slot is free before somebody comes at the same moment.
    fn cmp(&self, other: &Happens) -> Ordering {
        let comes = |h: &Happens| matches!(h.what, What::Comes(..));
        other
            .at
            .total_cmp(&self.at)
            .then_with(|| comes(other).cmp(&comes(self)))
            .then_with(|| other.order.cmp(&self.order))
    }
}

struct Held {
    until: f64,
    active: bool,
}

/// Penalties by source (srclimit.c).
struct Sources<'a> {
    rules: Option<&'a Penalties>,
    held: HashMap<IpAddr, Held>,
    /// No penalty ends before.
    next_end: f64,
}

impl Sources<'_> {
    fn expire(&mut self, now: f64) {
        if now >= self.next_end {
            self.held.retain(|_, h| h.until >= now);
            self.next_end = self
                .held
                .values()
                .map(|h| h.until)
                .fold(f64::INFINITY, f64::min);
        }
    }

    fn is_exempt(rules: &Penalties, addr: IpAddr) -> bool {
        !rules.exempt.is_empty()
            && pattern::addresses(Some(&addr.to_string()), &rules.exempt) == Ok(Verdict::Yes)
    }

    fn allows(&mut self, addr: IpAddr, source: IpAddr, now: f64) -> bool {
        let Some(rules) = self.rules else { return true };
        if Sources::is_exempt(rules, addr) {
            return true;
        }
        self.expire(now);
        if rules.deny_all && self.held.len() >= rules.max_sources {
            return false;
        }
        self.held
            .get(&source)
            .is_none_or(|h| h.until < now || !h.active)
    }

    fn punish(&mut self, addr: IpAddr, source: IpAddr, seconds: f64, now: f64) {
        let Some(rules) = self.rules else { return };
        if seconds <= 0.0 || Sources::is_exempt(rules, addr) {
            return;
        }
        self.expire(now);
        if rules.deny_all && self.held.len() >= rules.max_sources {
            return;
        }
        let slot = self.held.entry(source).or_insert(Held {
            until: now,
            active: false,
        });
        slot.until = (slot.until + seconds).min(now + rules.max.max(seconds));
        slot.active |= slot.until - now > rules.min;
        self.next_end = self.next_end.min(slot.until);
        // Permissive: the one that would end first is forgotten.
        if self.held.len() > rules.max_sources {
            let first = self
                .held
                .iter()
                .min_by(|a, b| a.1.until.total_cmp(&b.1.until));
            if let Some(gone) = first.map(|(k, _)| *k) {
                self.held.remove(&gone);
            }
        }
    }
}

/// Lets them all come. The same arrivals and seed give the same outcome.
pub fn run(arrivals: &[Arrival], limits: &Limits, patience: Patience, seed: u64) -> Outcome {
    let mut dice = Dice::new(seed);
    let last = arrivals.last().map_or(0.0, |a| a.at);
    let mut out = Outcome {
        slices: vec![Slice::default(); SLICES],
        slice_seconds: (last / SLICES as f64).max(1e-3),
        occupied: vec![0.0],
        ..Outcome::default()
    };
    let mut heap: BinaryHeap<Happens> = BinaryHeap::new();
    let mut order = 0u64;
    let mut push = |heap: &mut BinaryHeap<Happens>, at: f64, what: What| {
        order += 1;
        heap.push(Happens { at, order, what });
    };
    let mut coming = arrivals.iter().enumerate().peekable();
    let mut sources = Sources {
        rules: limits.penalties.as_ref(),
        held: HashMap::new(),
        next_end: f64::INFINITY,
    };
    let mut per_source: HashMap<IpAddr, u32> = HashMap::new();
    let (mut taken, mut clock) = (0usize, 0.0f64);
    loop {
        // The next arrival joins the others when its turn comes, so that the heap stays small.
        if let Some((i, a)) = coming.peek()
            && heap.peek().is_none_or(|h| h.at >= a.at)
        {
            push(&mut heap, a.at, What::Comes(*i, 1, a.at));
            coming.next();
        }
        let Some(happens) = heap.pop() else { break };
        let now = happens.at;
        if !now.is_finite() {
            break;
        }
        // What happens after the last arrival came is no part of the picture.
        let seen = now.min(last);
        if let Some(slot) = out.occupied.get_mut(taken) {
            *slot += (seen - clock).max(0.0);
        }
        clock = clock.max(seen);
        match happens.what {
            What::Goes(addr, source, fate) => {
                taken = taken.saturating_sub(1);
                if let Some(n) = per_source.get_mut(&source) {
                    *n -= 1;
                    if *n == 0 {
                        per_source.remove(&source);
                    }
                }
                let seconds = limits.penalties.as_ref().map_or(0.0, |p| match fate {
                    Fate::LoggedIn => 0.0,
                    Fate::Failed => p.authfail,
                    Fate::Left => p.noauth,
                    Fate::Hangs => p.grace_exceeded,
                });
                sources.punish(addr, source, seconds, now);
            }
            What::Comes(index, nth, first) => {
                let Some(a) = arrivals.get(index) else {
                    continue;
                };
                let bits = if a.source.is_ipv4() {
                    limits.bits.0
                } else {
                    limits.bits.1
                };
                let source = network(a.source, bits);
                let startups = u32::try_from(taken).unwrap_or(u32::MAX);
                let full = limits
                    .per_source
                    .is_some_and(|most| per_source.get(&source).copied().unwrap_or(0) >= most);
                let percent = limits.startups.drop_percent(startups);
                let door = if !sources.allows(a.source, source, now) {
                    Some(Door::Penalty)
                } else if dice.share() * 100.0 < f64::from(percent) {
                    Some(Door::MaxStartups)
                } else if full {
                    Some(Door::PerSource)
                } else {
                    None
                };
                let at = (now / out.slice_seconds) as usize;
                let tally = if a.wanted {
                    &mut out.wanted
                } else {
                    &mut out.others
                };
                tally.came += u64::from(nth == 1);
                tally.tries += 1;
                match door {
                    None => {}
                    Some(Door::Penalty) => tally.by_penalty += 1,
                    Some(Door::MaxStartups) => tally.by_startups += 1,
                    Some(Door::PerSource) => tally.by_source += 1,
                }
                // Those who still try after the last one came are no part of the picture.
                let shown = now <= last;
                if let Some(slice) = out.slices.get_mut(at.min(SLICES - 1)).filter(|_| shown) {
                    slice.tries += 1;
                    slice.refused += u32::from(door.is_some());
                }
                if door.is_some() {
                    // Those who hang come again as well: they are there to fill the slots.
                    let again = a.wanted || a.fate == Fate::Hangs && a.hold.is_infinite();
                    if again && nth < patience.tries && patience.pause > 0.0 {
                        push(
                            &mut heap,
                            now + patience.pause,
                            What::Comes(index, nth + 1, first),
                        );
                    }
                    continue;
                }
                tally.admitted += 1;
                tally.at_once += u64::from(nth == 1);
                tally.waits.push(now - first);
                taken += 1;
                if out.occupied.len() <= taken {
                    out.occupied.resize(taken + 1, 0.0);
                }
                if let Some(slice) = out.slices.get_mut(at.min(SLICES - 1)).filter(|_| shown) {
                    slice.most = slice.most.max(startups.saturating_add(1));
                }
                *per_source.entry(source).or_insert(0) += 1;
                let (hold, fate) = match limits.grace {
                    Some(grace) if a.hold >= grace => (grace, Fate::Hangs),
                    _ => (a.hold, a.fate),
                };
                push(&mut heap, now + hold, What::Goes(a.source, source, fate));
            }
        }
    }
    for tally in [&mut out.wanted, &mut out.others] {
        tally.waits.sort_by(f64::total_cmp);
    }
    out
}

/// One setting alone that keeps the refused first tries at or below the target.
#[derive(Clone, PartialEq, Debug)]
pub struct Remedy {
    /// As it stands in sshd_config.
    pub line: String,
    pub why: &'static str,
    /// The share that is refused with it.
    pub refused: f64,
    pub limits: Limits,
}

/// Settings that meet the target, the least change first: what throws idle connections out sooner, what limits one source, and
/// only then more slots. `penalties`: the release knows PerSourcePenalties.
pub fn remedies(
    arrivals: &[Arrival],
    limits: &Limits,
    patience: Patience,
    target: f64,
    seed: u64,
    since: crate::version::Release,
) -> Vec<Remedy> {
    let refused = |l: &Limits| {
        let o = run(arrivals, l, patience, seed);
        match o.wanted.came {
            0 => o.others.first_refused(),
            _ => o.wanted.first_refused(),
        }
    };
    let mut out = Vec::new();
    let mut consider = |line: String, why: &'static str, l: Limits| {
        let refused = refused(&l);
        let fits = refused <= target;
        if fits {
            out.push(Remedy {
                line,
                why,
                refused,
                limits: l,
            });
        }
        fits
    };
    // The largest that will do.
    for most in [10, 5, 3, 2, 1] {
        let tighter = limits.per_source.is_none_or(|now| most < now);
        let line = format!("PerSourceMaxStartups {most}");
        let l = Limits {
            per_source: Some(most),
            ..limits.clone()
        };
        if since >= (8, 5) && tighter && consider(line, "one source cannot take all slots", l) {
            break;
        }
    }
    for grace in [60.0, 30.0, 20.0] {
        let shorter = limits.grace.is_none_or(|now| grace < now);
        let l = Limits {
            grace: Some(grace),
            ..limits.clone()
        };
        let line = format!("LoginGraceTime {grace}");
        if shorter && consider(line, "who says nothing is thrown out sooner", l) {
            break;
        }
    }
    // More slots: double until it fits, then the smallest between.
    let scaled = |full: u32| Limits {
        startups: limits.startups.scaled(full),
        ..limits.clone()
    };
    let (mut low, mut high) = (
        limits.startups.full,
        limits.startups.full.saturating_mul(2).max(2),
    );
    while high <= 65_536 && refused(&scaled(high)) > target {
        low = high;
        high *= 2;
    }
    if high <= 65_536 {
        while low + 1 < high && high - low > high / 50 {
            let middle = low.midpoint(high);
            match refused(&scaled(middle)) <= target {
                true => high = middle,
                false => low = middle,
            }
        }
        let l = scaled(high);
        let m = l.startups;
        let line = format!("MaxStartups {}:{}:{}", m.start, m.rate, m.full);
        let refused = refused(&l);
        out.push(Remedy {
            line,
            why: "more slots; each costs a process",
            refused,
            limits: l,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::load::{Rates, invent};
    use super::super::{Load, MaxStartups, settle};
    use super::*;

    const LIMITS: Limits = Limits {
        startups: MaxStartups {
            start: 10,
            rate: 30,
            full: 100,
        },
        grace: Some(120.0),
        per_source: None,
        bits: (32, 128),
        penalties: None,
    };
    const ONCE: Patience = Patience {
        pause: 0.0,
        tries: 1,
    };
    const RATES: Rates = Rates {
        logins: 5.0,
        login_seconds: 3.0,
        login_sources: 1000,
        attacks: 0.0,
        attack: Fate::Hangs,
        attack_seconds: 5.0,
        attack_sources: 1,
        held: 0,
        seconds: 20_000.0,
    };

    #[test]
    fn what_is_simulated_is_what_the_formula_gives() {
        // One login in 10^17 lasts longer than the grace time.
        for (logins, full) in [(5.0, 100), (2.0, 12), (20.0, 60)] {
            let startups = MaxStartups {
                start: 10,
                rate: 30,
                full,
            };
            let limits = Limits { startups, ..LIMITS };
            let rates = Rates { logins, ..RATES };
            let o = run(&invent(&rates, 7).unwrap(), &limits, ONCE, 3);
            let exact = settle(
                startups,
                Load {
                    per_second: logins,
                    hold: 3.0,
                    held: 0,
                },
            );
            let n = o.wanted.tries as f64;
            // Arrivals in a row meet the same state: their number counts for a tenth.
            let error = (exact.drop * (1.0 - exact.drop) / (n / 10.0)).sqrt();
            let got = o.wanted.refused();
            assert!(
                (got - exact.drop).abs() < 4.0 * error,
                "{got} instead of {}",
                exact.drop
            );
            let time: f64 = o.occupied.iter().sum();
            let mean = o
                .occupied
                .iter()
                .enumerate()
                .map(|(n, t)| n as f64 * t)
                .sum::<f64>()
                / time;
            assert!(
                (mean - exact.mean).abs() < 0.05 * exact.mean.max(1.0),
                "{mean} {}",
                exact.mean
            );
        }
    }

    #[test]
    fn hanging_connections_fill_the_slots_until_the_grace_time_ends_them() {
        let rates = Rates {
            logins: 0.5,
            attacks: 2.0,
            ..RATES
        };
        let arrivals = invent(&rates, 1).unwrap();
        let long = run(&arrivals, &LIMITS, ONCE, 1);
        let short = run(
            &arrivals,
            &Limits {
                grace: Some(5.0),
                ..LIMITS
            },
            ONCE,
            1,
        );
        assert!(long.wanted.refused() > 0.4, "{:?}", long.wanted.refused());
        assert!(short.wanted.refused() < 0.25 * long.wanted.refused());
        assert_eq!(short.others.by_source + short.others.by_penalty, 0);
        // For ever: the slots stay taken.
        let never = run(
            &arrivals,
            &Limits {
                grace: None,
                ..LIMITS
            },
            ONCE,
            1,
        );
        assert!(never.wanted.refused() > 0.9);
    }

    #[test]
    fn one_source_is_stopped_by_its_own_limit() {
        let rates = Rates {
            logins: 0.5,
            attacks: 2.0,
            attack_sources: 1,
            ..RATES
        };
        let arrivals = invent(&rates, 1).unwrap();
        let o = run(
            &arrivals,
            &Limits {
                per_source: Some(3),
                ..LIMITS
            },
            ONCE,
            1,
        );
        assert!(o.wanted.refused() < 0.002, "{}", o.wanted.refused());
        assert!(o.others.by_source > 1000 && o.slices.iter().all(|s| s.most <= 30));
        // From many sources it does not help, unless they are of one network and that counts.
        let many = invent(
            &Rates {
                attack_sources: 250,
                ..rates
            },
            1,
        )
        .unwrap();
        let each = Limits {
            per_source: Some(3),
            ..LIMITS
        };
        assert!(run(&many, &each, ONCE, 1).wanted.refused() > 0.4);
        let net = Limits {
            bits: (24, 64),
            ..each
        };
        assert!(run(&many, &net, ONCE, 1).wanted.refused() < 0.1);
    }

    #[test]
    fn penalties_add_up_and_end() {
        let penalties = Penalties {
            authfail: 5.0,
            noauth: 1.0,
            grace_exceeded: 10.0,
            min: 15.0,
            max: 600.0,
            max_sources: 65_536,
            deny_all: false,
            exempt: String::new(),
        };
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        let at = |seconds: f64| Arrival {
            at: seconds,
            source: ip,
            hold: 0.5,
            fate: Fate::Failed,
            wanted: false,
        };
        let limits = Limits {
            penalties: Some(penalties.clone()),
            ..LIMITS
        };
        // 5, 9, 13, 17 seconds: the fourth failure makes it longer than 15, and the fifth connection is refused.
        let every: Vec<Arrival> = (0..5).map(|n| at(f64::from(n))).collect();
        let o = run(&every, &limits, ONCE, 1);
        assert_eq!((o.others.admitted, o.others.by_penalty), (4, 1));
        // After it has ended, it is let in again.
        let later: Vec<Arrival> = every.iter().copied().chain([at(100.0)]).collect();
        assert_eq!(run(&later, &limits, ONCE, 1).others.admitted, 5);
        let exempt = Penalties {
            exempt: "192.0.2.0/24".into(),
            ..penalties
        };
        let limits = Limits {
            penalties: Some(exempt),
            ..LIMITS
        };
        assert_eq!(run(&every, &limits, ONCE, 1).others.by_penalty, 0);
    }

    #[test]
    fn waiting_is_counted_from_the_first_try() {
        let rates = Rates {
            logins: 1.0,
            held: 55,
            attack_sources: 55,
            seconds: 4000.0,
            ..RATES
        };
        let limits = Limits {
            grace: None,
            ..LIMITS
        };
        let patience = Patience {
            pause: 5.0,
            tries: 50,
        };
        let o = run(&invent(&rates, 1).unwrap(), &limits, patience, 1);
        // About two thirds of the tries fail: the median waits for one or two more, and few for many.
        assert!(
            matches!(o.wanted.wait(0.5), Some(w) if (5.0..=15.0).contains(&w)),
            "{:?}",
            o.wanted.wait(0.5)
        );
        assert!(o.wanted.wait(0.99).unwrap() > 30.0);
        assert!(o.wanted.gave_up() < 0.001);
        let hurried = Patience {
            tries: 2,
            ..patience
        };
        let o = run(&invent(&rates, 1).unwrap(), &limits, hurried, 1);
        assert!(o.wanted.gave_up() > 0.2 && o.wanted.wait(0.99).is_none());
    }

    #[test]
    fn settings_that_meet_the_target_are_found() {
        let rates = Rates {
            logins: 0.5,
            attacks: 2.0,
            seconds: 4000.0,
            ..RATES
        };
        let arrivals = invent(&rates, 1).unwrap();
        let found = remedies(&arrivals, &LIMITS, ONCE, 0.01, 1, (9, 2));
        assert!(found.iter().all(|r| r.refused <= 0.01), "{found:?}");
        let lines: Vec<&str> = found.iter().map(|r| r.line.as_str()).collect();
        assert_eq!(lines[0], "PerSourceMaxStartups 5");
        assert!(
            lines.iter().any(|l| l.starts_with("MaxStartups ")),
            "{lines:?}"
        );
        // 8.4 does not know it.
        let old = remedies(&arrivals, &LIMITS, ONCE, 0.01, 1, (8, 4));
        assert!(old.iter().all(|r| !r.line.starts_with("PerSource")));
    }

    #[test]
    fn nothing_comes_and_nothing_happens() {
        let o = run(&[], &LIMITS, ONCE, 1);
        assert_eq!((o.wanted.refused(), o.wanted.wait(0.5)), (0.0, Some(0.0)));
    }
}
