//! What comes to a server: connections with a source, a time and an end, invented from rates or taken from a log.
//!
//! Invented ones are the same for the same numbers: a generator of its own decides, and no clock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// How a connection leaves the state in which it is not logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    LoggedIn,
    /// It tried, was refused, and left.
    Failed,
    /// It left without a try.
    Left,
    /// It says nothing and stays until LoginGraceTime ends it, or for ever.
    Hangs,
}

/// One connection as it comes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Arrival {
    /// Seconds from the start.
    pub at: f64,
    pub source: IpAddr,
    /// Seconds until `fate`, as long as nothing ends it before.
    pub hold: f64,
    pub fate: Fate,
    /// Of somebody who is meant to get in, and tries again.
    pub wanted: bool,
}

/// A generator of its own, so that a run can be seen again (xorshift).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 up to, not including, 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A waiting time with this mean (exponential).
    fn pause(&mut self, mean: f64) -> f64 {
        -(1.0 - self.share()).ln() * mean
    }
}

/// Rates from which connections are invented.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates {
    /// Logins a second, of people who are meant to get in.
    pub logins: f64,
    /// Seconds that a login takes on average.
    pub login_seconds: f64,
    /// From so many addresses.
    pub login_sources: u32,
    /// Connections a second of others, who all fail as `attack` says.
    pub attacks: f64,
    pub attack: Fate,
    /// Seconds until they leave, where they leave.
    pub attack_seconds: f64,
    pub attack_sources: u32,
    /// Half-open connections that are there from the start and come again when they are thrown out.
    pub held: u32,
    pub seconds: f64,
}

/// More than this is not simulated.
pub const MOST: usize = 2_000_000;

fn source(block: u8, n: u32) -> IpAddr {
    let [_, b, c, d] = n.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(block, b, c, d))
}

/// Connections in the order in which they come, or how many it would be if they were too many.
pub fn invent(rates: &Rates, seed: u64) -> Result<Vec<Arrival>, f64> {
    let count = (rates.logins + rates.attacks) * rates.seconds + f64::from(rates.held);
    if !(count >= 0.0 && count <= MOST as f64) {
        return Err(count);
    }
    let mut out = Vec::with_capacity(count as usize);
    let mut dice = Dice::new(seed);
    for n in 0..rates.held {
        out.push(Arrival {
            at: 0.0,
            source: source(12, n % rates.attack_sources.max(1)),
            hold: f64::INFINITY,
            fate: Fate::Hangs,
            wanted: false,
        });
    }
    let mut stream = |rate: f64, one: &mut dyn FnMut(f64, &mut Dice) -> Arrival| {
        if rate <= 0.0 {
            return;
        }
        let mut at = dice.pause(1.0 / rate);
        while at < rates.seconds && out.len() < MOST {
            let arrival = one(at, &mut dice);
            out.push(arrival);
            at += dice.pause(1.0 / rate);
        }
    };
    stream(rates.logins, &mut |at, dice| Arrival {
        at,
        source: source(
            11,
            (dice.share() * f64::from(rates.login_sources.max(1))) as u32,
        ),
        hold: dice.pause(rates.login_seconds),
        fate: Fate::LoggedIn,
        wanted: true,
    });
    stream(rates.attacks, &mut |at, dice| Arrival {
        at,
        source: source(
            12,
            (dice.share() * f64::from(rates.attack_sources.max(1))) as u32,
        ),
        hold: match rates.attack {
            Fate::Hangs => f64::INFINITY,
            _ => dice.pause(rates.attack_seconds),
        },
        fate: rates.attack,
        wanted: false,
    });
    out.sort_by(|a, b| a.at.total_cmp(&b.at));
    Ok(out)
}

/// What a line of a log says about a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// It came (LogLevel VERBOSE).
    Came,
    Accepted,
    Failed,
    /// LoginGraceTime ended it.
    TimedOut,
    /// sshd turned it away at the door.
    Dropped,
    /// It ended.
    Ended,
}

/// A line that names an address and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Microseconds.
    pub time: i64,
    pub source: IpAddr,
    pub port: u16,
    pub said: Said,
}

#[derive(Clone, Copy)]
struct Open {
    first: i64,
    last: i64,
    came: bool,
    failed: bool,
    fate: Option<Fate>,
    dropped: bool,
}

/// What a log shows of the connections that came.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Replay {
    /// In the order in which they came, the first at 0.
    pub arrivals: Vec<Arrival>,
    /// How many the log itself says were turned away; they count as arrivals too.
    pub dropped: usize,
    /// Of how many the log says when they came; of the others it only names what happened later.
    pub timed: usize,
}

/// A port is used again after this long.
const REUSED: i64 = 3600 * 1_000_000;

/// Joins lines to connections by address and port. `grace`: the LoginGraceTime under which the log was written, `login`: what a
/// login takes where the log does not tell, both in seconds.
pub fn replay(lines: &[Line], grace: f64, login: f64) -> Replay {
    let mut open: HashMap<(IpAddr, u16), Open> = HashMap::new();
    let mut done: Vec<(IpAddr, Open)> = Vec::new();
    for line in lines {
        let key = (line.source, line.port);
        if let Some(old) = open.get(&key)
            && line.time - old.last > REUSED
            && let Some(old) = open.remove(&key)
        {
            done.push((line.source, old));
        }
        let slot = open.entry(key).or_insert(Open {
            first: line.time,
            last: line.time,
            came: false,
            failed: false,
            fate: None,
            dropped: false,
        });
        // What follows a login says nothing about the time before.
        if slot.fate.is_some() {
            continue;
        }
        slot.last = slot.last.max(line.time);
        slot.first = slot.first.min(line.time);
        match line.said {
            Said::Came => slot.came = true,
            Said::Accepted => slot.fate = Some(Fate::LoggedIn),
            Said::Failed => slot.failed = true,
            Said::TimedOut => slot.fate = Some(Fate::Hangs),
            Said::Dropped => {
                slot.dropped = true;
                slot.fate = Some(Fate::Left);
            }
            Said::Ended => {
                slot.fate = Some(if slot.failed {
                    Fate::Failed
                } else {
                    Fate::Left
                });
            }
        }
    }
    done.extend(open.into_iter().map(|((source, _), o)| (source, o)));
    let known: std::collections::HashSet<IpAddr> = done
        .iter()
        .filter(|(_, o)| o.fate == Some(Fate::LoggedIn))
        .map(|(s, _)| *s)
        .collect();
    let mut out = Replay::default();
    let mut rows: Vec<(i64, Arrival)> = Vec::new();
    for (source, o) in done {
        out.dropped += usize::from(o.dropped);
        out.timed += usize::from(o.came);
        let fate = o
            .fate
            .unwrap_or(if o.failed { Fate::Failed } else { Fate::Left });
        let seen = (o.last - o.first) as f64 / 1e6;
        let (back, hold) = match fate {
            // The line stands there when the time had run out.
            Fate::Hangs => (grace.max(seen) - seen, f64::INFINITY),
            _ if o.came || seen >= login => (0.0, seen),
            // The first line tells of what happened after it had come.
            _ => (login - seen, login),
        };
        rows.push((
            o.first - (back * 1e6) as i64,
            Arrival {
                at: 0.0,
                source,
                hold,
                fate,
                wanted: known.contains(&source),
            },
        ));
    }
    rows.sort_by(|a, b| {
        let key = |r: &(i64, Arrival)| (r.0, r.1.source);
        key(a).cmp(&key(b))
    });
    let start = rows.first().map_or(0, |r| r.0);
    out.arrivals = rows
        .into_iter()
        .take(MOST)
        .map(|(time, a)| Arrival {
            at: (time - start) as f64 / 1e6,
            ..a
        })
        .collect();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_connections_come_as_often_as_asked() {
        let rates = Rates {
            logins: 2.0,
            login_seconds: 3.0,
            login_sources: 10,
            attacks: 5.0,
            attack: Fate::Failed,
            attack_seconds: 8.0,
            attack_sources: 3,
            held: 4,
            seconds: 5000.0,
        };
        let all = invent(&rates, 1).unwrap();
        assert_eq!(all, invent(&rates, 1).unwrap());
        let wanted: Vec<_> = all.iter().filter(|a| a.wanted).collect();
        // Poisson: ten standard errors.
        assert!(
            (wanted.len() as f64 - 10_000.0).abs() < 1000.0,
            "{}",
            wanted.len()
        );
        let mean = wanted.iter().map(|a| a.hold).sum::<f64>() / wanted.len() as f64;
        assert!((mean - 3.0).abs() < 0.3, "{mean}");
        assert_eq!(all.iter().filter(|a| a.fate == Fate::Hangs).count(), 4);
        assert!(all.windows(2).all(|w| w[0].at <= w[1].at));
        let sources: std::collections::HashSet<_> =
            all.iter().filter(|a| !a.wanted).map(|a| a.source).collect();
        assert_eq!(sources.len(), 3);
        assert!(
            invent(
                &Rates {
                    logins: 1e9,
                    ..rates
                },
                1
            )
            .is_err()
        );
    }

    #[test]
    fn lines_of_a_log_become_connections() {
        let ip = |n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
        let line = |seconds: i64, n, port, said| Line {
            time: seconds * 1_000_000,
            source: ip(n),
            port,
            said,
        };
        let log = [
            line(100, 1, 5, Said::Came),
            line(104, 1, 5, Said::Accepted),
            line(900, 1, 5, Said::Ended),
            line(130, 2, 6, Said::Failed),
            line(140, 2, 6, Said::Ended),
            line(260, 3, 7, Said::TimedOut),
            line(261, 4, 8, Said::Dropped),
            // The same port an hour and more later is another connection.
            line(5000, 1, 5, Said::Accepted),
        ];
        let r = replay(&log, 120.0, 3.0);
        assert_eq!((r.arrivals.len(), r.dropped, r.timed), (5, 1, 1));
        let of = |n| r.arrivals.iter().find(|a| a.source == ip(n)).unwrap();
        assert_eq!(
            (of(1).at, of(1).hold, of(1).fate, of(1).wanted),
            (0.0, 4.0, Fate::LoggedIn, true)
        );
        assert_eq!(
            (of(2).at, of(2).hold, of(2).fate, of(2).wanted),
            (30.0, 10.0, Fate::Failed, false)
        );
        assert_eq!((of(3).at, of(3).fate), (40.0, Fate::Hangs));
        assert_eq!(replay(&[], 120.0, 3.0), Replay::default());
    }
}
