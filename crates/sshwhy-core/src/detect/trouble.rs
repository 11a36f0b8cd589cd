//! `broken-login`: somebody who belongs here is refused again and again, and why.
//!
//! Lines that say what is wrong often carry neither address nor user: they are held until their connection is over and known.

use super::Fact;
use super::case::{Case, MAX_EACH, Standing};
use super::kinds::Kind;
use super::ledger::{BURST_GAP, Event, What};
use super::quotes::{QuoteId, Quotes};
use super::words::{self, Fill};
use crate::catalog::causes::{self, Cause};
use crate::event::{Row, catalog};
use crate::finding::{Finding, Severity, Step};
use crate::names::{AddrId, HostId, UserId};
use crate::scan::NONE;
use crate::session::{LineRef, Session};
use crate::time::{SECOND, Time};
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;

/// Pairs of address and user with a reason.
const MAX_TROUBLES: usize = 50_000;
/// Lines held until their connection is known; a newer one takes the place of an older one.
const HELD: usize = 1024;
/// Logins whose own process may yet say why it ends; it does so at once, and its number is one of the next.
const LET_IN: usize = 64;
const AT_ONCE: i64 = 5 * SECOND;
const NEXT_PIDS: u32 = 64;
/// Of one run of refusals, days are counted up to that.
const MOST_DAYS: usize = 4_000;

#[derive(Clone, Debug)]
struct Trouble {
    row: Row,
    kind: Kind,
    connections: u32,
    /// Since the last login of that user from there.
    since_login: u32,
    first: Time,
    last: Time,
    days: u32,
    day: i64,
    login: Option<Time>,
    /// Of the connections, those that were let in first.
    thrown_out: u32,
    quotes: [QuoteId; 3],
}

/// A login that was let in a moment ago.
#[derive(Clone, Copy, Debug)]
struct LetIn {
    host: HostId,
    pid: u32,
    time: Time,
    addr: AddrId,
    user: UserId,
}

#[derive(Clone, Debug, Default)]
struct Held {
    key: (HostId, u32),
    time: Time,
    at: LineRef,
    text: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Troubles {
    all: HashMap<(AddrId, UserId), Trouble>,
    by_addr: HashMap<AddrId, u32>,
    held: Vec<Held>,
    let_in: VecDeque<LetIn>,
}

fn place(host: HostId, pid: u32) -> usize {
    (pid.wrapping_mul(0x9E37_79B1) ^ host.wrapping_mul(0x85EB_CA6B)) as usize % HELD
}

impl Troubles {
    /// Holds a line that says why a connection fails.
    pub fn hold(&mut self, fact: &Fact<'_>) {
        if fact.pid == 0 {
            return;
        }
        if self.held.is_empty() {
            self.held.resize_with(HELD, Held::default);
        }
        if let Some(h) = self.held.get_mut(place(fact.host, fact.pid)) {
            // The first reason of a connection is the one that counts.
            if h.key == (fact.host, fact.pid) && fact.time.0 - h.time.0 < BURST_GAP / 16 {
                return;
            }
            h.key = (fact.host, fact.pid);
            h.time = fact.time;
            h.at = fact.at;
            h.text.clear();
            h.text.extend_from_slice(fact.message);
        }
    }

    /// Quotes the line held for a connection.
    pub fn quote(&mut self, host: HostId, pid: u32, quotes: &mut Quotes) -> QuoteId {
        match self.held.get_mut(place(host, pid)) {
            Some(h) if h.key == (host, pid) && pid != 0 => {
                h.key = (NONE, 0);
                quotes.keep(h.time, h.at, &h.text)
            }
            _ => NONE,
        }
    }

    /// Remembers a login, in case that its session ends at once.
    pub fn let_in(&mut self, s: &Session, time: Time) {
        if self.let_in.len() >= LET_IN {
            self.let_in.pop_front();
        }
        self.let_in.push_back(LetIn {
            host: s.host,
            pid: s.pid,
            time,
            addr: s.addr,
            user: s.user,
        });
    }

    /// Whose login a process was that says why it must end: (address, user). It writes under a number of its own, which is among
    /// the next after that of the process that let it in.
    pub fn thrown_out(&self, fact: &Fact<'_>) -> Option<(AddrId, UserId)> {
        let says = fact.message.starts_with(b"fatal: ")
            || fact
                .message
                .strip_prefix(b"error: ")
                .unwrap_or(fact.message)
                .starts_with(b"subsystem");
        if fact.pid == 0 || !says {
            return None;
        }
        self.let_in
            .iter()
            .filter(|l| l.host == fact.host && (0..AT_ONCE).contains(&(fact.time.0 - l.time.0)))
            .filter(|l| l.pid != 0 && (l.pid..l.pid.saturating_add(NEXT_PIDS)).contains(&fact.pid))
            .min_by_key(|l| fact.pid - l.pid)
            .map(|l| (l.addr, l.user))
    }

    /// Whether another line about them is worth keeping.
    pub fn wants_quote(&self, addr: AddrId, user: UserId) -> bool {
        self.all
            .get(&(addr, user))
            .is_none_or(|t| t.quotes.contains(&NONE))
    }

    /// A refused connection with a reason.
    pub fn refused(&mut self, e: &Event, kind: Kind) {
        if self.all.len() >= MAX_TROUBLES && !self.all.contains_key(&(e.addr, e.user)) {
            return;
        }
        *self.by_addr.entry(e.addr).or_default() += 1;
        let t = self.all.entry((e.addr, e.user)).or_insert(Trouble {
            row: e.row,
            kind,
            connections: 0,
            since_login: 0,
            first: e.time,
            last: e.time,
            days: 0,
            day: i64::MIN,
            login: None,
            thrown_out: 0,
            quotes: [NONE; 3],
        });
        t.thrown_out += u32::from(e.let_in);
        // A fault says more than the rule that a guesser meets too.
        if kind == Kind::Fault && t.kind != Kind::Fault {
            t.row = e.row;
            t.kind = kind;
        }
        t.connections += 1;
        t.since_login += 1;
        t.first = t.first.min(e.time);
        t.last = t.last.max(e.time);
        let day = e.time.secs().div_euclid(86_400);
        if day != t.day && e.time.is_dated() {
            t.day = day;
            t.days += 1;
        }
        if let Some(place) = t.quotes.iter_mut().find(|q| **q == NONE) {
            *place = e.quote;
        }
    }

    /// That user got in from there.
    pub fn accepted(&mut self, e: &Event) {
        if let Some(t) = self.all.get_mut(&(e.addr, e.user)) {
            t.since_login = 0;
            t.login = Some(e.time);
        }
    }

    /// Refused connections of an address with a reason.
    pub fn connections(&self, addr: AddrId) -> u32 {
        self.by_addr.get(&addr).copied().unwrap_or(0)
    }
}

/// Whether an event goes to the troubles.
pub fn concerns(e: &Event, kind: Kind) -> bool {
    matches!(kind, Kind::Fault | Kind::Denied) && matches!(e.what, What::Failed | What::Faulty)
}

/// One user and one reason, from one or several addresses.
struct Group<'a> {
    user: UserId,
    cause: &'static str,
    of: Vec<(AddrId, &'a Trouble)>,
}

pub fn findings(case: &Case<'_>, out: &mut Vec<Finding>) {
    let more_than = case.settings.broken_refusals;
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut all: Vec<(&(AddrId, UserId), &Trouble)> = case.troubles.all.iter().collect();
    all.sort_by_key(|(key, _)| (key.1, key.0));
    for ((addr, user), t) in all {
        if t.connections <= more_than || !credible(case, *addr, *user, t) {
            continue;
        }
        let cause = catalog().row(t.row).cause;
        match groups
            .last_mut()
            .filter(|g| g.user == *user && *user != NONE && g.cause == cause)
        {
            Some(group) => group.of.push((*addr, t)),
            None => groups.push(Group {
                user: *user,
                cause,
                of: vec![(*addr, t)],
            }),
        }
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.of.iter().map(|(_, t)| t.connections).max()));
    groups.truncate(MAX_EACH);
    let mut told: HashSet<AddrId> = HashSet::new();
    for group in &groups {
        told.extend(group.of.iter().map(|(a, _)| *a));
        out.push(explained(case, group));
    }
    let mut written = 0;
    for (addr, source) in case.ledger.sources.iter().enumerate() {
        let addr = addr as AddrId;
        if told.contains(&addr)
            || case.is_hostile(addr)
            || source.stands_in()
            || written >= MAX_EACH
        {
            continue;
        }
        if let Some(f) = unexplained(case, addr, source).or_else(|| outdated(case, addr, source)) {
            written += 1;
            out.push(f);
        }
    }
}

/// Whether this is somebody who belongs here, and not a guesser who meets a rule.
fn credible(case: &Case<'_>, addr: AddrId, user: UserId, t: &Trouble) -> bool {
    if case.is_hostile(addr) || case.front == Some(addr) {
        return false;
    }
    let private = case.source(addr).is_some_and(|s| s.private());
    match t.kind {
        // It takes the right key or password, or an account that exists, to run into these.
        Kind::Fault => true,
        _ => private || (case.logins.knows(user) && !case.is_root(user)),
    }
}

fn explained(case: &Case<'_>, group: &Group<'_>) -> Finding {
    // Some faults are written without an address.
    let addrs: Vec<AddrId> = group
        .of
        .iter()
        .map(|(a, _)| *a)
        .filter(|a| *a != NONE)
        .collect();
    let users: Vec<UserId> = if group.user == NONE {
        Vec::new()
    } else {
        vec![group.user]
    };
    let mut f = words::finding("broken-login", case.subjects(&addrs, &users));
    let connections: u64 = group.of.iter().map(|(_, t)| u64::from(t.connections)).sum();
    let days = group.of.iter().map(|(_, t)| t.days).max().unwrap_or(0);
    let lead = group.of.iter().max_by_key(|(_, t)| t.connections);
    let row = lead.map(|(_, t)| catalog().row(t.row));
    let cause = causes::by_slug(group.cause);
    let who = if group.user == NONE {
        "a user".to_owned()
    } else {
        words::name(case.context.names.user_of(group.user))
    };
    let texts: Vec<String> = addrs.iter().take(3).map(|a| case.addr(*a)).collect();
    let reason = cause.map_or_else(
        || {
            row.map_or("", |r| r.meaning)
                .trim_end_matches('.')
                .to_owned()
        },
        |c| c.title.to_owned(),
    );
    let thrown_out = group
        .of
        .iter()
        .any(|(_, t)| t.thrown_out * 2 > t.connections);
    let from = match addrs.len() as u64 {
        0 => String::new(),
        n => format!(" from {}", words::list(&texts, n)),
    };
    let times = words::count(connections, "time", "times");
    let (days, why) = (on_days(u64::from(days)), lower(&reason));
    f.headline = if thrown_out {
        format!("{who} is let in{from} and thrown out at once, {times}{days}: {why}")
    } else {
        format!("{who} cannot log in{from}: refused {times}{days}: {why}")
    };
    f.first = group.of.iter().map(|(_, t)| t.first).min();
    f.last = group.of.iter().map(|(_, t)| t.last).max();
    f.count = connections;
    let solved = group.of.iter().all(|(_, t)| t.since_login == 0) && !thrown_out;
    // sshd or PAM names the reason; what is left to doubt is only whether it is the whole reason.
    f.confidence = match lead.map(|(_, t)| t.kind) {
        Some(Kind::Fault) => 0.93,
        _ => 0.85,
    };
    if let Some(row) = row {
        f.notes.push(format!(
            "the log says so itself ({}): {}",
            row.slug, row.meaning
        ));
    }
    if let Some(cause) = cause {
        name_cause(&mut f, cause);
    }
    if thrown_out {
        f.notes.push(
            "the line that says why has no name in it: it is the login's own by its time and the number of its process".to_owned(),
        );
    } else if let Some(login) = group.of.iter().filter_map(|(_, t)| t.login).max() {
        f.notes.push(if solved {
            format!(
                "solved, it seems: in again {}",
                words::moment(login, case.context)
            )
        } else {
            format!("got in another way {}", words::moment(login, case.context))
        });
    }
    if solved {
        f.severity = Severity::Low;
    }
    let quotes: Vec<QuoteId> = group.of.iter().flat_map(|(_, t)| t.quotes).collect();
    f.evidence = case.evidence(&quotes);
    if f.evidence.is_empty()
        && let Some(source) = lead.and_then(|(a, _)| case.source(*a))
    {
        f.evidence = case.evidence(&source.quotes);
    }
    f
}

/// ` on 3 days`; nothing where the log does not say when.
fn on_days(days: u64) -> String {
    if days == 0 {
        return String::new();
    }
    format!(" on {}", words::count(days, "day", "days"))
}

/// Puts a cause's way out in front of the general advice.
fn name_cause(f: &mut Finding, cause: &'static Cause) {
    f.notes.push(format!(
        "cause: {} ({}); `sshwhy explain {}` tells more",
        cause.slug, cause.id, cause.slug
    ));
    let fill = Fill::of(&f.subjects);
    let mut steps: Vec<Step> = cause.remedy.iter().map(|r| fill.step(r)).collect();
    steps.append(&mut f.remedy);
    f.remedy = steps;
    f.refs.extend(cause.refs.iter().filter(|r| !r.is_empty()));
    f.refs.dedup();
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // Only an ordinary first word, no name or acronym.
        (Some(a), Some(b))
            if a.is_ascii_uppercase()
                && b.is_ascii_lowercase()
                && !text.starts_with("Allow")
                && !text.starts_with("Deny") =>
        {
            format!("{}{}", a.to_ascii_lowercase(), chars.as_str())
        }
        _ => text.to_owned(),
    }
}

/// A known user, or one from inside, whose password or key is refused on several days, or since some day; no line says why.
fn unexplained(case: &Case<'_>, addr: AddrId, source: &super::ledger::Source) -> Option<Finding> {
    let guess = &source.guess;
    let more_than = case.settings.broken_refusals;
    let history = case.history(source);
    let (failing, total) = case.failing(guess);
    let [one] = failing.as_slice() else {
        return None;
    };
    if total != 1 || one.user == NONE || case.front == Some(addr) {
        return None;
    }
    let user = one.user;
    // Either never in from here, or in until some day and never since.
    let (connections, first) = match history {
        Some(h) if h.accepts > 0 => {
            // Typing errors come between logins; a run of refusals over days, after which nothing worked, does not.
            if h.streak_connections <= more_than + 2 || one.accepts == 0 {
                return None;
            }
            (h.streak_connections, h.streak_first)
        }
        _ => (guess.connections, guess.first),
    };
    let day = |t: Time| words::local_day(t, case.context);
    // What pauses for less than a few hours is one run, which may last for days.
    let mut days: Vec<i64> = match history {
        Some(h) => h
            .bursts
            .iter()
            .filter(|b| b.fails > 0 && b.end >= first)
            .flat_map(|b| (day(b.start.max(first))..=day(b.end)).take(MOST_DAYS))
            .collect(),
        None if first.is_dated() => (day(first)..=day(guess.last)).take(MOST_DAYS).collect(),
        None => Vec::new(),
    };
    days.sort_unstable();
    days.dedup();
    let locked_out = case.standing(addr) == Standing::LockedOut;
    if connections <= more_than || (days.len() as u32 <= case.settings.broken_days && !locked_out) {
        return None;
    }
    let known = case.logins.knows(user);
    if !(source.private() || known && !case.is_root(user)) {
        return None;
    }
    let unreal = case.is_nonexistent(user);
    if unreal && !source.private() {
        return None;
    }
    let mut f = words::finding("broken-login", case.subjects(&[addr], &[user]));
    let name = words::name(case.context.names.user_of(user));
    let since = match history {
        Some(h) if h.accepts > 0 => format!(
            "worked until {} and",
            words::moment(h.last_accept, case.context)
        ),
        _ => "never got in and".to_owned(),
    };
    f.headline = format!(
        "{name} from {} {since} was refused {}{}",
        case.addr(addr),
        words::count(u64::from(connections), "time", "times"),
        on_days(days.len() as u64),
    );
    f.first = Some(first);
    f.last = Some(guess.last);
    f.count = u64::from(connections);
    let said = u64::from(guess.said) * 2 >= u64::from(guess.fails);
    let slug = match (unreal, said) {
        (true, _) => "user-not-found",
        (false, true) => "wrong-password",
        (false, false) => "pubkey-not-authorized",
    };
    // No line names the reason: the refusals are certain, that it is a colleague and not a patient guesser is likely only.
    f.confidence = match (known, source.private()) {
        (true, true) => 0.75,
        (true, false) => 0.6,
        _ => 0.6,
    };
    f.notes.push(if said {
        "passwords were refused: wrong, changed or expired".to_owned()
    } else if unreal {
        "the account does not exist: deleted, or its name is misspelt in some job".to_owned()
    } else {
        "the connection ended between the name and a proof: no key that the account accepts, and no password tried".to_owned()
    });
    if !known {
        f.notes.push(
            "nobody logged in with that name in this log: if you do not know who this is, take it for slow guessing".to_owned(),
        );
    }
    if let Some(cause) = causes::by_slug(slug) {
        f.notes
            .push("no line says why: what follows is the likeliest cause".to_owned());
        name_cause(&mut f, cause);
    }
    f.severity = if known {
        Severity::Medium
    } else {
        Severity::Low
    };
    f.evidence = case.evidence(&source.quotes);
    Some(f)
}

/// A client too old or too new for this sshd: it fails for one and the same kind of algorithm, again and again.
fn outdated(case: &Case<'_>, addr: AddrId, source: &super::ledger::Source) -> Option<Finding> {
    if source.probes <= case.settings.broken_refusals
        || source.not_ssh > 0
        || source.mismatch.count_ones() != 1
    {
        return None;
    }
    let slug = match source.mismatch {
        1 => "no-matching-kex",
        2 => "no-matching-host-key-type",
        4 => "no-matching-cipher",
        8 => "no-matching-mac",
        _ => return None,
    };
    let cause = causes::by_slug(slug)?;
    let mut f = words::finding("broken-login", case.subjects(&[addr], &[]));
    f.headline = format!(
        "a client at {} and sshd have no {} in common: refused {}",
        case.addr(addr),
        match source.mismatch {
            1 => "key exchange",
            2 => "host key type",
            4 => "cipher",
            _ => "MAC",
        },
        words::count(u64::from(source.probes), "time", "times"),
    );
    f.first = Some(source.first);
    f.last = Some(source.last);
    f.count = u64::from(source.probes);
    // Certain as to what; who it is cannot be told, because no name was sent yet. A scanner would vary its offers.
    f.confidence = if source.private() { 0.85 } else { 0.6 };
    f.severity = Severity::Low;
    f.notes
        .push("no user name was sent yet: only the address tells whose client that is".to_owned());
    name_cause(&mut f, cause);
    f.evidence = case.evidence(&source.quotes);
    Some(f)
}
