//! What is counted for each address, and for each IPv6 /64: the dense part of the detectors' memory.
//!
//! Bounds: one [`Source`] (192 bytes) for each address that [`crate::names::Limits`] keeps apart. Beyond that, for the
//! interesting ones only: times of the latest failures from the third on ([`MAX_RINGS`] addresses), user names beyond four
//! ([`MAX_MORE`] addresses, 64 names each, then an estimate), history of an address that comes back or gets in
//! ([`MAX_HISTORIES`] without a login; one that got in always has its own).

use super::quotes::QuoteId;
use super::settings::Settings;
use crate::addr::{Addr, is_private};
use crate::event::Row;
use crate::names::{AddrId, Names, OTHER_ADDRESSES, UserId};
use crate::scan::NONE;
use crate::time::{HOUR, Time};
use hashbrown::HashMap;
use std::net::IpAddr;

pub const MAX_RINGS: usize = 200_000;
pub const MAX_MORE: usize = 50_000;
pub const MAX_HISTORIES: usize = 100_000;
const MAX_NETS: usize = 400_000;
/// Names kept one by one beyond the inline ones.
const MORE_USERS: usize = 60;
/// Runs of activity kept for one address; later ones are only counted.
const MAX_BURSTS: usize = 400;
/// Activity after so long a pause is another run of it.
pub const BURST_GAP: i64 = 4 * HOUR;

/// What became of a connection, or of a login in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Attempts that failed.
    Failed,
    /// A fault of the server's stood in the way before anything could be wrong or right.
    Faulty,
    Accepted,
    /// The end of a login.
    Ended,
    /// Gone without a word.
    Gone,
    Probed,
    TimedOut,
}

/// One thing that happened, in the order of time.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub what: What,
    /// When the first of its failures happened, or the login of which this is the end.
    pub first: Time,
    pub time: Time,
    pub addr: AddrId,
    pub user: UserId,
    pub host: u32,
    /// Failures, or lines of a probe.
    pub n: u32,
    /// sshd called the user invalid.
    pub invalid: bool,
    /// A line said that an answer was refused (not only that the connection ended).
    pub said: bool,
    pub timed_out: bool,
    /// A rule refused the user whatever it sent.
    pub refused: bool,
    /// The end was seen.
    pub closed: bool,
    /// The fault came after the login was accepted.
    pub let_in: bool,
    /// What the probe was: no SSH at all, or these kinds of algorithms without a common one.
    pub not_ssh: bool,
    pub mismatch: u8,
    /// The row of a symptom; [`crate::scan::UNKNOWN`]: none.
    pub row: Row,
    pub quote: QuoteId,
}

#[derive(Clone, Copy, Debug)]
pub struct Tries {
    pub user: UserId,
    /// Both stop at 65,535.
    pub fails: u16,
    pub accepts: u16,
}

const NO_TRIES: Tries = Tries {
    user: NONE,
    fails: 0,
    accepts: 0,
};

/// Names beyond the inline ones.
#[derive(Debug, Default)]
struct More {
    users: Vec<Tries>,
    /// Beyond those, a linear counter of 1,024 bits.
    sketch: Option<Box<[u64; 16]>>,
}

impl More {
    /// How many names there are that are not kept, about.
    fn beyond(&self) -> u64 {
        let Some(sketch) = &self.sketch else {
            return 0;
        };
        let set: u32 = sketch.iter().map(|w| w.count_ones()).sum();
        let empty = f64::from(1024 - set.min(1023)) / 1024.0;
        (-1024.0 * empty.ln()).round() as u64
    }
}

pub mod fired {
    pub const FAST: u8 = 1;
    pub const DAY: u8 = 2;
    pub const WEEK: u8 = 4;
    /// More than a day's worth, in a log without times.
    pub const UNTIMED: u8 = 8;
    pub const ALL: u8 = FAST | DAY | WEEK;
}

/// Failures of one address, or of one IPv6 /64. In the order of use: what every failure changes stands in one line of the
/// processor's cache.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Guess {
    pub first: Time,
    pub last: Time,
    pub fails: u32,
    /// Connections with failures.
    pub connections: u32,
    /// Failures that a line of sshd or PAM named.
    pub said: u32,
    /// Failures for names that do not exist.
    pub invalid: u32,
    more: u32,
    ring: u32,
    minute: u32,
    early: [u32; 2],
    in_minute: u16,
    /// Most failures in one minute of the clock.
    pub peak: u16,
    /// Which rates were exceeded.
    pub fired: u8,
    inline: [Tries; 4],
}

impl Default for Guess {
    fn default() -> Guess {
        Guess {
            first: Time(i64::MAX),
            last: Time(i64::MIN),
            fails: 0,
            connections: 0,
            said: 0,
            invalid: 0,
            inline: [NO_TRIES; 4],
            more: NONE,
            ring: NONE,
            early: [0; 2],
            minute: 0,
            in_minute: 0,
            peak: 0,
            fired: 0,
        }
    }
}

pub mod trait_of {
    /// Not routed over the Internet.
    pub const PRIVATE: u8 = 1;
    /// Looked at once.
    pub const KNOWN: u8 = 2;
    /// No address, but what stands for many when there are too many to keep apart.
    pub const STANDS_IN: u8 = 4;
}

/// One address: three lines of the processor's cache, of which a failure needs the first two.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Source {
    pub guess: Guess,
    pub first: Time,
    pub last: Time,
    pub history: u32,
    /// The /64 of an IPv6 address.
    pub net: u32,
    /// The first 32 hosts of the run, as bits.
    pub hosts: u32,
    pub mismatch: u8,
    pub traits: u8,
    /// Connections without a word.
    pub gone: u32,
    /// Connections that were no SSH, or had no common algorithm.
    pub probes: u32,
    pub not_ssh: u32,
    pub timeouts: u32,
    /// Connections that a rule refused.
    pub refused: u32,
    /// Connections that a fault of the server's made fail.
    pub faulty: u32,
    /// Lines that count against it, the first of them and one from the middle.
    pub quotes: [QuoteId; 3],
}

impl Default for Source {
    fn default() -> Source {
        Source {
            guess: Guess::default(),
            first: Time(i64::MAX),
            last: Time(i64::MIN),
            history: NONE,
            net: NONE,
            gone: 0,
            probes: 0,
            not_ssh: 0,
            mismatch: 0,
            traits: 0,
            timeouts: 0,
            refused: 0,
            faulty: 0,
            hosts: 0,
            quotes: [NONE; 3],
        }
    }
}

impl Source {
    pub fn private(&self) -> bool {
        self.traits & trait_of::PRIVATE != 0
    }

    /// Whether it is many addresses counted as one: they are not judged, for some may belong to people.
    pub fn stands_in(&self) -> bool {
        self.traits & trait_of::STANDS_IN != 0
    }
}

/// A run of activity: no pause in it is longer than [`BURST_GAP`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Burst {
    pub start: Time,
    pub end: Time,
    pub fails: u32,
    pub accepts: u32,
}

/// An address that came back, or got in.
#[derive(Clone, Debug)]
pub struct History {
    pub accepts: u32,
    pub first_accept: Time,
    pub last_accept: Time,
    /// Failures since the last login.
    pub streak: u32,
    pub streak_connections: u32,
    pub streak_first: Time,
    /// Failures for users who had not logged in from here by then.
    pub unfamiliar: u32,
    /// How often a login followed failures.
    pub turns: u32,
    /// Seconds in logins that ended, and how many did.
    pub seconds: u64,
    pub ended: u32,
    pub bursts: Vec<Burst>,
    pub bursts_cut: u32,
}

/// What a login means for its address.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// Failures since the login before.
    pub streak: u32,
    /// The user had logged in from here before.
    pub known: bool,
}

/// All addresses.
#[derive(Debug)]
pub struct Ledger {
    pub sources: Vec<Source>,
    pub nets: Vec<(u64, Guess)>,
    net_ids: HashMap<u64, u32>,
    histories: Vec<History>,
    histories_without_login: usize,
    more: Vec<More>,
    rings: Rings,
}

/// Times of the latest failures, ascending, in eighths of a second.
#[derive(Debug)]
struct Rings {
    stride: usize,
    times: Vec<u32>,
    lens: Vec<u16>,
    /// (bit, more than so many, within so many eighths)
    rules: [(u8, usize, u32); 3],
    /// More failures than that are too many where the log writes no times.
    untimed: u32,
}

fn eighths(t: Time) -> u32 {
    // 17 years until it comes round; differences are what counts.
    t.0.div_euclid(125_000) as u32
}

impl Rings {
    fn new(s: &Settings) -> Rings {
        let rules = [
            (fired::FAST, s.brute_failures as usize, s.brute_seconds * 8),
            (
                fired::DAY,
                s.slow_failures as usize,
                s.slow_hours * 3600 * 8,
            ),
            (fired::WEEK, s.slow_week as usize, 7 * 24 * 3600 * 8),
        ];
        Rings {
            // Three more than the longest rule needs, for failures that come in late.
            stride: rules.iter().map(|r| r.1).max().unwrap_or(0) + 4,
            times: Vec::new(),
            lens: Vec::new(),
            rules,
            untimed: s.slow_failures,
        }
    }

    /// Something of each part of a ring.
    fn touch(&self, ring: u32) -> u64 {
        let ring = ring as usize;
        let times = self
            .times
            .get(ring * self.stride..(ring + 1) * self.stride)
            .unwrap_or_default();
        let ends = times.last().copied().unwrap_or_default();
        let within = times.iter().step_by(16).fold(ends, |sum, t| sum ^ t);
        u64::from(within) ^ self.lens.get(ring).copied().map_or(0, u64::from)
    }

    /// Adds a failure; says which rates are exceeded by it (only those that were not before).
    fn push(&mut self, guess: &mut Guess, t: u32) -> u8 {
        // Nothing is left to find out.
        if guess.fired == fired::ALL {
            return 0;
        }
        if guess.ring == NONE {
            let before = guess.fails.min(2) as usize;
            if before < 2 {
                if let Some(place) = guess.early.get_mut(before) {
                    *place = t;
                }
                return 0;
            }
            if self.lens.len() >= MAX_RINGS {
                return 0;
            }
            guess.ring = self.lens.len() as u32;
            self.lens.push(0);
            self.times.resize(self.times.len() + self.stride, 0);
            let early = guess.early;
            for e in early {
                self.insert(guess.ring as usize, e, fired::ALL);
            }
        }
        self.insert(guess.ring as usize, t, guess.fired)
    }

    fn insert(&mut self, ring: usize, t: u32, known: u8) -> u8 {
        let (Some(len), Some(times)) = (
            self.lens.get_mut(ring),
            self.times
                .get_mut(ring * self.stride..(ring + 1) * self.stride),
        ) else {
            return 0;
        };
        let after = |a: u32, b: u32| a.wrapping_sub(b) as i32 > 0;
        let mut n = usize::from(*len);
        // A log that begins again further back (another host's) begins a count of its own.
        if n > 0
            && let Some(newest) = times.get(n - 1)
            && newest.wrapping_sub(t) as i32 > 3600 * 8
        {
            n = 0;
        }
        if n == times.len() {
            times.copy_within(1.., 0);
            n -= 1;
        }
        let mut at = n;
        while at > 0
            && let Some(previous) = times.get(at - 1).copied()
            && after(previous, t)
        {
            if let Some(place) = times.get_mut(at) {
                *place = previous;
            }
            at -= 1;
        }
        if let Some(place) = times.get_mut(at) {
            *place = t;
        }
        n += 1;
        *len = n as u16;
        let mut hit = 0;
        for (bit, more_than, within) in self.rules {
            if known & bit != 0 {
                continue;
            }
            // Every stretch of `more_than` + 1 failures that holds the new one.
            let from = at.saturating_sub(more_than);
            for start in from..=at {
                match (times.get(start), times.get(start + more_than)) {
                    (Some(a), Some(b)) if start + more_than < n => {
                        if b.wrapping_sub(*a) < within {
                            hit |= bit;
                        }
                    }
                    _ => break,
                }
            }
        }
        hit
    }
}

impl Ledger {
    pub fn new(settings: &Settings) -> Ledger {
        Ledger {
            sources: Vec::new(),
            nets: Vec::new(),
            net_ids: HashMap::new(),
            histories: Vec::new(),
            histories_without_login: 0,
            more: Vec::new(),
            rings: Rings::new(settings),
        }
    }

    pub fn source(&mut self, addr: AddrId) -> Option<&mut Source> {
        let i = addr as usize;
        if i >= self.sources.len() {
            if addr == NONE {
                return None;
            }
            self.sources.resize_with(i + 1, Source::default);
        }
        self.sources.get_mut(i)
    }

    /// Brings what is kept of these addresses into the processor's cache, all at once: one by one, when each is needed, every one
    /// of them would be waited for. Returns what keeps the compiler from leaving it out.
    pub fn warm(&self, addrs: impl Iterator<Item = AddrId> + Clone) -> u64 {
        let mut sum = 0u64;
        let sources = || addrs.clone().filter_map(|a| self.sources.get(a as usize));
        for s in sources() {
            sum ^= u64::from(s.guess.fails) ^ s.last.0 as u64;
        }
        // What they point at.
        for s in sources() {
            if s.guess.ring != NONE && s.guess.fired != fired::ALL {
                sum ^= self.rings.touch(s.guess.ring);
            }
            if let Some(h) = self.histories.get(s.history as usize) {
                sum ^= h.streak_first.0 as u64 ^ h.bursts.len() as u64 ^ u64::from(h.bursts_cut);
            }
        }
        for s in sources() {
            if let Some(b) = self
                .histories
                .get(s.history as usize)
                .and_then(|h| h.bursts.last())
            {
                sum ^= b.end.0 as u64;
            }
        }
        sum
    }

    pub fn history(&self, source: &Source) -> Option<&History> {
        self.histories.get(source.history as usize)
    }

    /// By user: how many addresses tried it, as far as their names are kept.
    pub fn addrs_of_users(&self) -> Vec<u64> {
        let mut counts = Vec::new();
        for source in &self.sources {
            let more = self.more.get(source.guess.more as usize);
            let more = more.map_or(&[][..], |m| m.users.as_slice());
            for t in source.guess.inline.iter().chain(more) {
                if t.user == NONE {
                    continue;
                }
                let i = t.user as usize;
                if i >= counts.len() {
                    counts.resize(i + 1, 0);
                }
                if let Some(n) = counts.get_mut(i) {
                    *n += 1;
                }
            }
        }
        counts
    }

    /// Every user tried, most tries first, and how many there are (an estimate beyond 64).
    pub fn users(&self, guess: &Guess) -> (Vec<Tries>, u64) {
        let mut all: Vec<Tries> = guess
            .inline
            .iter()
            .filter(|t| t.user != NONE)
            .copied()
            .collect();
        let more = self.more.get(guess.more as usize);
        if let Some(more) = more {
            all.extend_from_slice(&more.users);
        }
        all.sort_by(|a, b| {
            b.fails
                .cmp(&a.fails)
                .then(b.accepts.cmp(&a.accepts))
                .then(a.user.cmp(&b.user))
        });
        let beyond = more.map_or(0, More::beyond);
        let total = all.len() as u64 + beyond;
        (all, total)
    }

    /// Only the users whose attempts failed.
    pub fn failing(&self, guess: &Guess) -> (Vec<Tries>, u64) {
        let (mut all, total) = self.users(guess);
        let before = all.len() as u64;
        all.retain(|t| t.fails > 0);
        let gone = before - all.len() as u64;
        (all, total - gone)
    }

    /// An address that did something outside of a connection.
    pub fn touch(&mut self, addr: AddrId, host: u32, time: Time, names: &Names) {
        self.learn(addr, names);
        if let Some(source) = self.source(addr) {
            source.first = source.first.min(time);
            source.last = source.last.max(time);
            source.hosts |= 1u32.checked_shl(host).unwrap_or(0);
        }
    }

    /// What the address itself says, looked up once.
    fn learn(&mut self, addr: AddrId, names: &Names) {
        let Some(source) = self.source(addr) else {
            return;
        };
        if source.traits & trait_of::KNOWN != 0 {
            return;
        }
        source.traits |= trait_of::KNOWN;
        let ip = match names.addr_of(addr) {
            Some(Addr::Ip(ip)) => ip,
            Some(Addr::Net(..)) => {
                source.traits |= trait_of::STANDS_IN;
                return;
            }
            Some(Addr::Name(name)) => {
                if &**name == OTHER_ADDRESSES {
                    source.traits |= trait_of::STANDS_IN;
                }
                return;
            }
            None => return,
        };
        if is_private(*ip) {
            source.traits |= trait_of::PRIVATE;
        }
        let IpAddr::V6(v6) = ip else { return };
        let prefix = (u128::from(*v6) >> 64) as u64;
        let net = match self.net_ids.get(&prefix) {
            Some(id) => *id,
            None if self.nets.len() < MAX_NETS => {
                let id = self.nets.len() as u32;
                self.net_ids.insert(prefix, id);
                self.nets.push((prefix, Guess::default()));
                id
            }
            None => NONE,
        };
        if let Some(source) = self.source(addr) {
            source.net = net;
        }
    }

    /// Takes in an event. A login is answered with what it means.
    pub fn take(&mut self, e: &Event, names: &Names) -> Option<Login> {
        self.learn(e.addr, names);
        let source = self.sources.get_mut(e.addr as usize)?;
        source.first = source.first.min(e.first);
        source.last = source.last.max(e.time);
        source.hosts |= 1u32.checked_shl(e.host).unwrap_or(0);
        if e.timed_out {
            source.timeouts += 1;
        }
        match e.what {
            What::Gone => source.gone += 1,
            What::TimedOut => {}
            What::Probed => {
                source.probes = source.probes.saturating_add(e.n);
                source.not_ssh = source.not_ssh.saturating_add(e.n * u32::from(e.not_ssh));
                source.mismatch |= e.mismatch;
            }
            What::Faulty => source.faulty += 1,
            What::Failed => self.failed(e),
            What::Accepted => return self.accepted(e),
            What::Ended => {
                if let Some(h) = self.histories.get_mut(source.history as usize)
                    && e.closed
                {
                    h.ended += 1;
                    h.seconds += ((e.time.0 - e.first.0).max(0) / 1_000_000) as u64;
                }
            }
        }
        None
    }

    fn failed(&mut self, e: &Event) {
        let Some(source) = self.sources.get_mut(e.addr as usize) else {
            return;
        };
        if e.refused {
            source.refused += 1;
        }
        // An address that comes back after a pause gets a history.
        if source.history == NONE
            && source.guess.fails > 0
            && e.first.0 - source.guess.last.0 > BURST_GAP
            && self.histories_without_login < MAX_HISTORIES
        {
            self.histories_without_login += 1;
            source.history = self.histories.len() as u32;
            self.histories.push(History::of(&source.guess));
        }
        let net = source.net;
        let accepts = count(&mut source.guess, &mut self.more, &mut self.rings, e);
        if let Some(h) = self.histories.get_mut(source.history as usize) {
            if h.streak == 0 {
                h.streak_first = e.first;
            }
            h.streak = h.streak.saturating_add(e.n);
            h.streak_connections += 1;
            if accepts == 0 {
                h.unfamiliar = h.unfamiliar.saturating_add(e.n);
            }
            h.active(e.first, e.time, e.n, 0);
        }
        if let Some((_, guess)) = self.nets.get_mut(net as usize) {
            count(guess, &mut self.more, &mut self.rings, e);
        }
    }

    fn accepted(&mut self, e: &Event) -> Option<Login> {
        let source = self.sources.get_mut(e.addr as usize)?;
        if source.history == NONE {
            source.history = self.histories.len() as u32;
            self.histories.push(History::of(&source.guess));
        } else if self
            .histories
            .get(source.history as usize)
            .is_some_and(|h| h.accepts == 0)
        {
            self.histories_without_login -= 1;
        }
        let h = self.histories.get_mut(source.history as usize)?;
        let mut login = Login {
            streak: h.streak,
            known: false,
        };
        if h.streak > 0 {
            h.turns += 1;
        }
        h.streak = 0;
        h.streak_connections = 0;
        if h.accepts == 0 {
            h.first_accept = e.time;
        }
        h.accepts += 1;
        h.first_accept = h.first_accept.min(e.time);
        h.last_accept = h.last_accept.max(e.time);
        h.active(e.time, e.time, 0, 1);
        if let Some(t) = tries(&mut source.guess, &mut self.more, e.user) {
            login.known = t.accepts > 0;
            t.accepts = t.accepts.saturating_add(1);
        }
        Some(login)
    }
}

impl History {
    /// Of an address of which only failures are known so far.
    fn of(guess: &Guess) -> History {
        let mut h = History {
            accepts: 0,
            first_accept: Time(0),
            last_accept: Time(i64::MIN),
            streak: guess.fails,
            streak_connections: guess.connections,
            streak_first: guess.first,
            unfamiliar: guess.fails,
            turns: 0,
            seconds: 0,
            ended: 0,
            bursts: Vec::new(),
            bursts_cut: 0,
        };
        if guess.fails > 0 && guess.last.is_dated() {
            h.bursts.push(Burst {
                start: guess.first,
                end: guess.last,
                fails: guess.fails,
                accepts: 0,
            });
        }
        h
    }

    fn active(&mut self, first: Time, last: Time, fails: u32, accepts: u32) {
        if !last.is_dated() {
            return;
        }
        if let Some(b) = self.bursts.last_mut()
            && first.0 - b.end.0 <= BURST_GAP
            && b.start.0 - last.0 <= BURST_GAP
        {
            b.start = b.start.min(first);
            b.end = b.end.max(last);
            b.fails = b.fails.saturating_add(fails);
            b.accepts = b.accepts.saturating_add(accepts);
        } else if self.bursts.len() < MAX_BURSTS {
            self.bursts.push(Burst {
                start: first,
                end: last,
                fails,
                accepts,
            });
        } else {
            self.bursts_cut += 1;
        }
    }
}

/// Counts failures; returns how often the user had logged in from here before.
fn count(guess: &mut Guess, more: &mut Vec<More>, rings: &mut Rings, e: &Event) -> u16 {
    guess.first = guess.first.min(e.first);
    guess.last = guess.last.max(e.time);
    guess.connections += 1;
    if e.time.is_dated() {
        pace(guess, rings, e);
    } else {
        guess.fails = guess.fails.saturating_add(e.n);
        if guess.fails > rings.untimed {
            guess.fired |= fired::UNTIMED;
        }
    }
    if e.said {
        guess.said = guess.said.saturating_add(e.n);
    }
    if e.invalid {
        guess.invalid = guess.invalid.saturating_add(e.n);
    }
    match tries(guess, more, e.user) {
        Some(t) => {
            t.fails = t.fails.saturating_add(e.n.min(u32::from(u16::MAX)) as u16);
            t.accepts
        }
        None => 0,
    }
}

/// Counts failures, and sees which rates they exceed.
fn pace(guess: &mut Guess, rings: &mut Rings, e: &Event) {
    // A line may say that it happened thousands of times: beyond what a ring holds they are spread alike anyway.
    let spread = (e.n as usize).min(rings.stride.max(8)) as i64;
    let step = (e.time.0 - e.first.0).max(0) / (spread - 1).max(1);
    for i in 0..spread {
        let t = Time(if spread == 1 {
            e.time.0
        } else {
            e.first.0 + step * i
        });
        guess.fired |= rings.push(guess, eighths(t));
        guess.fails = guess.fails.saturating_add(1);
        let minute = t.secs().div_euclid(60) as u32;
        if minute != guess.minute {
            guess.minute = minute;
            guess.in_minute = 0;
        }
        guess.in_minute = guess.in_minute.saturating_add(1);
        guess.peak = guess.peak.max(guess.in_minute);
    }
    guess.fails = guess.fails.saturating_add(e.n - spread as u32);
}

/// The entry of a user, made if there is room; a name beyond is only estimated.
fn tries<'a>(guess: &'a mut Guess, more: &'a mut Vec<More>, user: UserId) -> Option<&'a mut Tries> {
    if user == NONE {
        return None;
    }
    if let Some(at) = guess
        .inline
        .iter()
        .position(|t| t.user == user || t.user == NONE)
    {
        let place = guess.inline.get_mut(at)?;
        place.user = user;
        return Some(place);
    }
    if guess.more == NONE {
        if more.len() >= MAX_MORE {
            return None;
        }
        guess.more = more.len() as u32;
        more.push(More::default());
    }
    let more = more.get_mut(guess.more as usize)?;
    if let Some(at) = more.users.iter().position(|t| t.user == user) {
        return more.users.get_mut(at);
    }
    if more.users.len() < MORE_USERS {
        more.users.push(Tries { user, ..NO_TRIES });
        return more.users.last_mut();
    }
    let sketch = more.sketch.get_or_insert_with(|| Box::new([0; 16]));
    // Any fixed mixing does: numbers of names come from no attacker's choice.
    let hash = user.wrapping_mul(0x9E37_79B1).rotate_right(13) & 1023;
    if let Some(word) = sketch.get_mut((hash >> 6) as usize) {
        *word |= 1 << (hash & 63);
    }
    None
}
