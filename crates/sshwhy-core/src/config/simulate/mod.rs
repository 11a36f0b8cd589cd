//! What limits do under load: MaxStartups by sshd's own integer formula, and the state it settles in.
//!
//! sshd.c should_drop_connection(): below `start` nobody is refused, from `full` on everybody, between them a percentage that
//! rises from `rate` to 100 in integer arithmetic. That alone settles in a state that can be written down ([`settle`]);
//! sources, penalties, LoginGraceTime and people who try again are simulated ([`run`]), from rates or a log ([`load`]).

pub mod limits;
pub mod load;
pub mod run;

/// `start:rate:full`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaxStartups {
    pub start: u32,
    /// Percent.
    pub rate: u32,
    pub full: u32,
}

impl MaxStartups {
    /// As the evaluator prints it.
    pub fn parse(text: &str) -> Option<MaxStartups> {
        let parts: Vec<u32> = text
            .split(':')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        match parts[..] {
            [n] if n > 0 => Some(MaxStartups {
                start: n,
                rate: 30,
                full: n,
            }),
            [start, rate, full] if start > 0 && start <= full && (1..=100).contains(&rate) => {
                Some(MaxStartups { start, rate, full })
            }
            _ => None,
        }
    }

    /// With that `full`, and `start` in the same proportion.
    pub fn scaled(self, full: u32) -> MaxStartups {
        let full = full.max(1);
        let start = u64::from(self.start) * u64::from(full) / u64::from(self.full.max(1));
        MaxStartups {
            start: u32::try_from(start).unwrap_or(full).clamp(1, full),
            rate: self.rate,
            full,
        }
    }

    /// Percent of new connections refused while `startups` are unauthenticated.
    pub fn drop_percent(self, startups: u32) -> u32 {
        if startups < self.start {
            return 0;
        }
        if startups >= self.full || self.rate == 100 {
            return 100;
        }
        let (p, over) = (
            100 - u64::from(self.rate.min(100)),
            u64::from(startups - self.start),
        );
        let span = u64::from(self.full - self.start).max(1);
        (p * over / span) as u32 + self.rate
    }
}

/// What arrives.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Load {
    /// New connections a second, everybody's.
    pub per_second: f64,
    /// Seconds that a connection stays unauthenticated, on average.
    pub hold: f64,
    /// Connections that hold a slot all the time (half-open ones of an attacker).
    pub held: u32,
}

/// Where it settles.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settled {
    /// 0–1: how likely a new connection is refused.
    pub drop: f64,
    /// Unauthenticated connections on average.
    pub mean: f64,
    /// Slots that are taken 99 % of the time or less.
    pub p99: u32,
    /// Attempts until one is let in: median and 99th percentile.
    pub tries_p50: u32,
    pub tries_p99: u32,
}

/// The stationary state of a birth-death chain whose arrivals are admitted with 1 − drop_percent: exact for Poisson arrivals,
/// and independent of how holding times are distributed (Erlang's loss formula with state-dependent admission).
pub fn settle(limit: MaxStartups, load: Load) -> Settled {
    let offered = (load.per_second.max(0.0) * load.hold.max(0.0)).min(1e9);
    // More slots than `full` are never taken; 100,000 bounds the table for absurd settings.
    let top = limit.full.min(100_000).max(load.held);
    let mut weights = vec![0.0f64];
    let mut log = 0.0f64;
    for n in load.held..top {
        let admit = 1.0 - f64::from(limit.drop_percent(n)) / 100.0;
        let free = f64::from(n - load.held) + 1.0;
        if admit <= 0.0 || offered <= 0.0 {
            break;
        }
        log += (offered * admit / free).ln();
        weights.push(log);
    }
    let peak = weights.iter().copied().fold(f64::MIN, f64::max);
    let shares: Vec<f64> = weights.iter().map(|w| (w - peak).exp()).collect();
    let total: f64 = shares.iter().sum();
    let (mut drop, mut mean, mut seen, mut p99) = (0.0, 0.0, 0.0, load.held);
    for (i, share) in shares.iter().enumerate() {
        let n = load.held + i as u32;
        let p = share / total;
        drop += p * f64::from(limit.drop_percent(n)) / 100.0;
        mean += p * f64::from(n);
        if seen < 0.99 {
            p99 = n;
        }
        seen += p;
    }
    let tries = |q: f64| match drop {
        d if d <= 0.0 => 1,
        d if d >= 1.0 => u32::MAX,
        d => ((1.0 - q).ln() / d.ln()).ceil().clamp(1.0, 1e9) as u32,
    };
    Settled {
        drop: drop.clamp(0.0, 1.0),
        mean,
        p99,
        tries_p50: tries(0.5),
        tries_p99: tries(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: MaxStartups = MaxStartups {
        start: 10,
        rate: 30,
        full: 100,
    };

    #[test]
    fn the_formula_is_sshds_integer_one() {
        for (startups, percent) in [
            (0, 0),
            (9, 0),
            (10, 30),
            (11, 30),
            (12, 31),
            (55, 65),
            (99, 99),
            (100, 100),
            (500, 100),
        ] {
            assert_eq!(DEFAULT.drop_percent(startups), percent, "{startups}");
        }
        let hard = MaxStartups {
            start: 3,
            rate: 100,
            full: 3,
        };
        assert_eq!((hard.drop_percent(2), hard.drop_percent(3)), (0, 100));
        assert_eq!(MaxStartups::parse("10:30"), None);
    }

    #[test]
    fn held_slots_alone_give_the_formula() {
        let held = |n| {
            settle(
                DEFAULT,
                Load {
                    per_second: 0.0,
                    hold: 0.0,
                    held: n,
                },
            )
            .drop
        };
        assert!((held(55) - 0.65).abs() < 1e-9);
        assert_eq!(held(9), 0.0);
        assert_eq!(held(100), 1.0);
    }

    #[test]
    fn a_hard_limit_is_erlang_b() {
        // Erlang's B for 5 slots and 3 Erlangs: 0.110054
        let limit = MaxStartups {
            start: 5,
            rate: 100,
            full: 5,
        };
        let s = settle(
            limit,
            Load {
                per_second: 1.5,
                hold: 2.0,
                held: 0,
            },
        );
        assert!((s.drop - 0.110_054).abs() < 1e-5, "{}", s.drop);
    }
}
