//! `new-source-login`, `odd-hour-login`, `root-login`: what each user's logins usually look like, and those that do not.

use super::case::Case;
use super::quotes::{QuoteId, Quotes};
use super::settings::Settings;
use super::words;
use crate::addr::{Addr, is_private, network};
use crate::finding::{Finding, Severity};
use crate::names::{AddrId, Names, UserId};
use crate::scan::NONE;
use crate::session::{LineRef, Session};
use crate::time::{DAY, HOUR, Time};
use hashbrown::{HashMap, HashSet};
use std::net::IpAddr;

/// Pairs of user and address; logins beyond are only counted for their user.
const MAX_PLACES: usize = 200_000;
/// Users whose habits are kept.
const MAX_HABITS: usize = 20_000;
const MAX_NEW: usize = 500;

/// A user's logins from one address.
#[derive(Clone, Debug)]
struct Place {
    user: UserId,
    addr: AddrId,
    first: Time,
    last: Time,
    count: u32,
    passwords: u32,
    quote: QuoteId,
}

#[derive(Clone, Debug)]
struct Habit {
    count: u32,
    first: Time,
    last: Time,
    days: u32,
    day: i64,
    /// UTC: what counts is the distance between hours, which no zone changes.
    hours: [u32; 24],
    /// On how many days.
    hour_days: [u32; 24],
    hour_quotes: [QuoteId; 24],
    /// From where that line's login came.
    hour_addrs: [AddrId; 24],
    hour_last: [Time; 24],
    /// Networks logged in from (IPv4 /24, IPv6 /48), the first 32.
    nets: Vec<(IpAddr, u8)>,
    keys_only: bool,
}

/// A login from a network that was new for its user.
#[derive(Clone, Debug)]
struct Newcomer {
    user: UserId,
    addr: AddrId,
    time: Time,
    /// Logins and days known before.
    before: u32,
    days: u32,
    password: bool,
    /// The user had always used keys.
    keys_before: bool,
    quote: QuoteId,
}

/// The first login of a user from an address.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub user: UserId,
    pub addr: AddrId,
    pub time: Time,
    pub quote: QuoteId,
}

#[derive(Debug, Default)]
pub struct Logins {
    places: HashMap<(UserId, AddrId), Place>,
    habits: HashMap<UserId, Habit>,
    newcomers: Vec<Newcomer>,
}

/// Whether a line says that a password (or a dialogue) was accepted, not a key.
fn by_password(message: &[u8]) -> bool {
    message.starts_with(b"Accepted password")
        || message.starts_with(b"Accepted keyboard-interactive")
        || message.starts_with(b"Password auth succeeded")
}

fn network_of(addr: Option<&Addr>) -> Option<(IpAddr, u8)> {
    match addr? {
        Addr::Ip(ip) => {
            let len = if ip.is_ipv4() { 24 } else { 48 };
            Some((network(*ip, len), len))
        }
        Addr::Net(ip, len) => Some((*ip, *len)),
        Addr::Name(_) => None,
    }
}

impl Logins {
    /// Takes in an accepted login; returns its line as kept, if it was.
    pub fn accepted(
        &mut self,
        s: &Session,
        at: (Time, LineRef),
        message: &[u8],
        names: &Names,
        settings: &Settings,
        quotes: &mut Quotes,
    ) -> QuoteId {
        let (time, line) = at;
        let mut kept = NONE;
        let mut keep = |quotes: &mut Quotes| {
            if kept == NONE {
                kept = quotes.keep_always(time, line, message);
            }
            kept
        };
        let password = by_password(message);
        let place_is_new = !self.places.contains_key(&(s.user, s.addr));
        if place_is_new && self.places.len() < MAX_PLACES {
            let quote = keep(quotes);
            self.places.insert(
                (s.user, s.addr),
                Place {
                    user: s.user,
                    addr: s.addr,
                    first: time,
                    last: time,
                    count: 0,
                    passwords: 0,
                    quote,
                },
            );
        }
        if let Some(p) = self.places.get_mut(&(s.user, s.addr)) {
            p.count += 1;
            p.passwords += u32::from(password);
            p.first = p.first.min(time);
            p.last = p.last.max(time);
        }
        if self.habits.len() >= MAX_HABITS && !self.habits.contains_key(&s.user) {
            return kept;
        }
        let dated = time.is_dated();
        let h = self.habits.entry(s.user).or_insert(Habit {
            count: 0,
            first: time,
            last: time,
            days: 0,
            day: i64::MIN,
            hours: [0; 24],
            hour_days: [0; 24],
            hour_quotes: [NONE; 24],
            hour_addrs: [NONE; 24],
            hour_last: [time; 24],
            nets: Vec::new(),
            keys_only: true,
        });
        if place_is_new && let Some(net) = network_of(names.addr_of(s.addr)) {
            let known = h.nets.contains(&net);
            if !known
                && dated
                && h.count > settings.source_logins
                && (time.0 - h.first.0) > i64::from(settings.source_days) * DAY
                && h.nets.len() as u32 <= settings.source_networks
                && self.newcomers.len() < MAX_NEW
            {
                self.newcomers.push(Newcomer {
                    user: s.user,
                    addr: s.addr,
                    time,
                    before: h.count,
                    days: h.days,
                    password,
                    keys_before: h.keys_only,
                    quote: keep(quotes),
                });
            }
            if !known && h.nets.len() < 32 {
                h.nets.push(net);
            }
        }
        h.count += 1;
        h.keys_only &= !password;
        h.first = h.first.min(time);
        h.last = h.last.max(time);
        if !dated {
            return kept;
        }
        let day = time.0.div_euclid(DAY);
        if day != h.day {
            h.day = day;
            h.days += 1;
        }
        let hour = (time.0.div_euclid(HOUR)).rem_euclid(24) as usize;
        if let (Some(n), Some(days), Some(q), Some(a), Some(t)) = (
            h.hours.get_mut(hour),
            h.hour_days.get_mut(hour),
            h.hour_quotes.get_mut(hour),
            h.hour_addrs.get_mut(hour),
            h.hour_last.get_mut(hour),
        ) {
            if *n == 0 {
                *q = keep(quotes);
                *a = s.addr;
            }
            if *n == 0 || t.0.div_euclid(DAY) != day {
                *days += 1;
            }
            *n += 1;
            *t = time;
        }
        kept
    }

    /// Whether anybody got in with that name in this log.
    pub fn knows(&self, user: UserId) -> bool {
        self.habits.contains_key(&user)
    }

    /// Whether that user got in from another address too.
    pub fn known_from_elsewhere(&self, user: UserId, addr: AddrId) -> bool {
        self.habits
            .get(&user)
            .is_some_and(|h| h.count > self.places.get(&(user, addr)).map_or(0, |p| p.count))
    }

    /// The line of the first login from an address.
    pub fn first_from(&self, addr: AddrId) -> Option<QuoteId> {
        self.places
            .values()
            .filter(|p| p.addr == addr)
            .min_by_key(|p| (p.first, p.user))
            .map(|p| p.quote)
    }

    /// First logins with a password in that time: of one of these users, from an outside address, where others of that user's
    /// come from elsewhere.
    pub fn arrivals(
        &self,
        users: &[UserId],
        first: Time,
        last: Time,
        names: &Names,
    ) -> Vec<Arrival> {
        let mut all: Vec<Arrival> = self
            .places
            .values()
            .filter(|p| p.passwords > 0 && (first..=last).contains(&p.first))
            .filter(|p| users.contains(&p.user) && self.known_from_elsewhere(p.user, p.addr))
            .filter(|p| matches!(names.addr_of(p.addr), Some(Addr::Ip(ip)) if !is_private(*ip)))
            .map(|p| Arrival {
                user: p.user,
                addr: p.addr,
                time: p.first,
                quote: p.quote,
            })
            .collect();
        all.sort_by_key(|a| (a.time, a.user, a.addr));
        all
    }

    pub fn users(&self) -> impl Iterator<Item = UserId> + '_ {
        self.habits.keys().copied()
    }
}

/// `told`: logins that have a finding already.
pub fn findings(case: &Case<'_>, told: &[(UserId, AddrId)], out: &mut Vec<Finding>) {
    new_sources(case, told, out);
    odd_hours(case, out);
    root(case, out);
}

fn new_sources(case: &Case<'_>, told: &[(UserId, AddrId)], out: &mut Vec<Finding>) {
    for n in &case.logins.newcomers {
        // A break-in has a finding of its own.
        if case.is_hostile(n.addr) || told.contains(&(n.user, n.addr)) {
            continue;
        }
        let mut f = words::finding("new-source-login", case.subjects(&[n.addr], &[n.user]));
        let name = words::name(case.context.names.user_of(n.user));
        f.headline = format!(
            "{name} logged in from {}, a network new for {name} after {} on {}",
            case.addr(n.addr),
            words::count(u64::from(n.before), "login", "logins"),
            words::count(u64::from(n.days), "day", "days"),
        );
        f.first = Some(n.time);
        f.last = Some(n.time);
        f.count = 1;
        // That the network is new is certain; what it means is not: 0.5 is the honest middle.
        f.confidence = 0.5;
        let outside =
            matches!(case.context.names.addr_of(n.addr), Some(Addr::Ip(ip)) if !is_private(*ip));
        if n.password && n.keys_before && outside {
            f.severity = Severity::Medium;
            f.confidence = 0.6;
            f.notes
                .push("with a password, where that user had always used a key".to_owned());
        } else if case.is_root(n.user) && outside {
            f.severity = Severity::Medium;
        } else if !outside {
            f.notes.push("an address inside".to_owned());
        }
        f.evidence = case.evidence(&[n.quote]);
        out.push(f);
    }
}

fn odd_hours(case: &Case<'_>, out: &mut Vec<Finding>) {
    let s = case.settings;
    let mut habits: Vec<(&UserId, &Habit)> = case.logins.habits.iter().collect();
    habits.sort_by_key(|(u, _)| **u);
    for (user, h) in habits {
        if h.count <= s.hour_logins || h.days <= s.hour_days {
            continue;
        }
        // An hour is usual from two logins and one in fifty on; three days make a habit, whatever a burst weighs.
        let usual = (h.count / 50).max(1);
        let is_usual = |hour: usize| {
            h.hours.get(hour % 24).is_some_and(|n| *n > usual)
                || h.hour_days.get(hour % 24).is_some_and(|n| *n >= 3)
        };
        let odd: Vec<usize> = (0..24)
            .filter(|hour| h.hours.get(*hour).is_some_and(|n| *n > 0) && !is_usual(*hour))
            .filter(|hour| {
                let d = s.hour_distance as usize;
                !(0..=2 * d).any(|k| is_usual(hour + 24 + k - d))
            })
            .collect();
        let logins: u32 = odd.iter().filter_map(|o| h.hours.get(*o)).sum();
        // Many of them are a second habit, not an exception.
        if logins == 0 || logins * 10 > h.count {
            continue;
        }
        let quotes: Vec<QuoteId> = odd
            .iter()
            .filter_map(|o| h.hour_quotes.get(*o))
            .copied()
            .collect();
        let times: Vec<Time> = odd
            .iter()
            .filter_map(|o| h.hour_last.get(*o))
            .copied()
            .collect();
        let mut addrs: Vec<AddrId> = odd
            .iter()
            .filter_map(|o| h.hour_addrs.get(*o))
            .filter(|a| **a != NONE)
            .copied()
            .collect();
        addrs.sort_unstable();
        addrs.dedup();
        let mut f = words::finding("odd-hour-login", case.subjects(&addrs, &[*user]));
        let name = words::name(case.context.names.user_of(*user));
        let clocks: Vec<String> = times
            .iter()
            .map(|t| words::clock(*t, case.context))
            .collect();
        f.headline = format!(
            "{name} logged in at {}, far from the hours of {} others",
            words::list(&clocks, clocks.len() as u64),
            h.count - logins,
        );
        f.first = times.iter().min().copied();
        f.last = times.iter().max().copied();
        f.count = u64::from(logins);
        // Habits are statistics, and people have emergencies.
        f.confidence = 0.5;
        f.notes.push(format!(
            "{} on {} days; hours are {}",
            words::count(u64::from(h.count), "login", "logins"),
            h.days,
            case.context.zone.name
        ));
        f.evidence = case.evidence(&quotes);
        out.push(f);
    }
}

fn root(case: &Case<'_>, out: &mut Vec<Finding>) {
    let mut places: Vec<&Place> = case
        .logins
        .places
        .values()
        .filter(|p| case.is_root(p.user) && !case.is_hostile(p.addr))
        .collect();
    let total: u64 = places.iter().map(|p| u64::from(p.count)).sum();
    if total <= u64::from(case.settings.root_logins) {
        return;
    }
    places.sort_by_key(|p| (p.first, p.addr));
    let passwords: u64 = places.iter().map(|p| u64::from(p.passwords)).sum();
    let addrs: Vec<AddrId> = places.iter().map(|p| p.addr).collect();
    let mut users: Vec<UserId> = places.iter().map(|p| p.user).collect();
    users.sort_unstable();
    users.dedup();
    let distinct: HashSet<&AddrId> = addrs.iter().collect();
    let mut f = words::finding("root-login", case.subjects(&addrs, &users));
    f.headline = format!(
        "{} logged in directly {} from {}{}",
        words::list(&words::users(&users, case.context), users.len() as u64),
        words::count(total, "time", "times"),
        words::count(distinct.len() as u64, "address", "addresses"),
        match passwords {
            0 => String::new(),
            n if n == total => ", by password".to_owned(),
            n => format!(", {n} of them by password"),
        }
    );
    f.first = places.iter().map(|p| p.first).min();
    f.last = places.iter().map(|p| p.last).max();
    f.count = total;
    // It is written there in so many words.
    f.confidence = 0.99;
    let outside = places.iter().any(|p| {
        p.passwords > 0
            && matches!(case.context.names.addr_of(p.addr), Some(Addr::Ip(ip)) if !is_private(*ip))
    });
    if outside {
        f.severity = Severity::Medium;
        f.notes
            .push("by password and from outside: guessers try exactly this".to_owned());
    } else if passwords == 0 {
        f.severity = Severity::Informational;
    }
    let quotes: Vec<QuoteId> = places.iter().take(8).map(|p| p.quote).collect();
    f.evidence = case.evidence(&quotes);
    out.push(f);
}
