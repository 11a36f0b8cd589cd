//! Whose failures are a person's or a job's, and whose are guesses: decided before anybody is accused.
//!
//! The question is always the same: do the failures belong to users who also get in from there? A guesser's successes come after
//! its failures and end them; a job's and an office's failures and successes cross.

use super::case::{Case, Standing};
use super::ledger::{Guess, Source, fired};
use super::schedule;
use crate::names::AddrId;
use crate::time::DAY;

const WEEK: i64 = 7 * DAY;
/// Users, to be several.
const SEVERAL: usize = 5;
/// One connection's worth of tries at a name that is somebody else's.
const SLIPS: u32 = 3;

/// What the failures of a source look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shape {
    /// Too many in a minute.
    pub fast: bool,
    /// Too many in a day or a week.
    pub slow: bool,
    /// Too many, and the log does not say how fast.
    pub untimed: bool,
    /// Many users, few tries each.
    pub spray: bool,
    /// Many names that do not exist, few tries each.
    pub scan: bool,
}

impl Shape {
    pub fn any(self) -> bool {
        self.fast || self.slow || self.untimed || self.spray || self.scan
    }
}

/// How many names were tried, and how many of them do not exist.
pub fn names(case: &Case<'_>, guess: &Guess) -> (u64, u64) {
    let (tried, total) = case.failing(guess);
    let listed = tried.len() as u64;
    let unreal = tried.iter().filter(|t| case.is_nonexistent(t.user)).count() as u64;
    // Names beyond those kept are like the attempts: so many of them invalid.
    let beyond = (total - listed) * u64::from(guess.invalid) / u64::from(guess.fails.max(1));
    (total, unreal + beyond)
}

pub fn shape(case: &Case<'_>, guess: &Guess) -> Shape {
    let s = case.settings;
    let (total, unreal) = names(case, guess);
    let few_each = u64::from(guess.fails) <= total * u64::from(s.spray_tries);
    let scan = few_each
        && unreal > u64::from(s.scan_names)
        && unreal * 100 > total * u64::from(s.scan_share);
    Shape {
        fast: guess.fired & fired::FAST != 0,
        slow: guess.fired & (fired::DAY | fired::WEEK) != 0 || patient(case, guess, total, unreal),
        untimed: guess.fired & fired::UNTIMED != 0,
        spray: few_each && !scan && total > u64::from(s.spray_users),
        scan,
    }
}

/// Fewer in a week than any limit, and on and on: as many in all as a week may have, only for names that are nobody's own here
/// (root, and those that do not exist). A person who is locked out has a name, and gives up.
fn patient(case: &Case<'_>, guess: &Guess, total: u64, unreal: u64) -> bool {
    guess.fails > case.settings.slow_week
        && guess.last.is_dated()
        && guess.last.0 - guess.first.0 > WEEK
        // One name that does not exist may be a job of somebody who has left.
        && (total, unreal) != (1, 1)
        && case
            .failing(guess)
            .0
            .iter()
            .all(|t| t.accepts == 0 && (case.is_nonexistent(t.user) || case.is_root(t.user)))
}

/// Gives every address its standing.
pub fn judge(case: &mut Case<'_>) {
    case.front = front(case);
    for addr in 0..case.ledger.sources.len() as AddrId {
        let Some(source) = case.ledger.sources.get(addr as usize) else {
            continue;
        };
        let standing = of(case, addr, source);
        if let Some(place) = case.standing.get_mut(addr as usize) {
            *place = standing;
        }
        if standing == Standing::Guesser && case.front != Some(addr) {
            case.accuse(addr);
        }
    }
}

fn of(case: &Case<'_>, addr: AddrId, source: &Source) -> Standing {
    let guess = &source.guess;
    if guess.fails == 0 || source.stands_in() {
        return Standing::Nobody;
    }
    if schedule::of(case, source).is_some() {
        return Standing::Scheduled;
    }
    if familiar(case, source) {
        return Standing::Familiar;
    }
    let shape = shape(case, guess);
    if !shape.any() {
        return Standing::Nobody;
    }
    if locked_out(case, addr, source, shape) {
        return Standing::LockedOut;
    }
    Standing::Guesser
}

/// Failures that belong to users who get in from there.
fn familiar(case: &Case<'_>, source: &Source) -> bool {
    let Some(h) = case.history(source).filter(|h| h.accepts > 0) else {
        return false;
    };
    let fails = source.guess.fails;
    let few = case.settings.success_failures;
    let (failing, total) = case.failing(&source.guess);
    // A class or an office where nearly everybody who mistypes gets in after all: no list of guesses fits so well.
    let in_after_all = failing.iter().filter(|t| t.accepts > 0).count();
    if total == failing.len() as u64
        && failing.len() >= SEVERAL
        && in_after_all * 5 >= failing.len() * 4
        && u64::from(fails) <= total * u64::from(case.settings.spray_tries)
    {
        return true;
    }
    // People at work before anything failed, who now and then give the name they have on their own machine.
    let inside = case.ledger.users(&source.guess).0;
    if inside.iter().filter(|t| t.accepts > 0).count() >= 3
        && h.first_accept < source.guess.first
        && h.accepts >= fails.saturating_mul(3)
        && failing
            .iter()
            .all(|t| t.accepts > 0 || u32::from(t.fails) <= SLIPS)
    {
        return true;
    }
    // Typing errors: a handful, for users who then got in, and perhaps one misspelt name.
    if fails <= few {
        let strangers: u32 = failing
            .iter()
            .filter(|t| t.accepts == 0)
            .map(|t| u32::from(t.fails))
            .sum();
        let names = failing.iter().filter(|t| t.accepts == 0).count();
        return total == failing.len() as u64 && names <= 1 && strangers <= 3;
    }
    // A forgotten Caps Lock: a few dozen at most, every one for somebody who had been in from here before.
    if h.unfamiliar == 0 && fails <= few.saturating_mul(3) {
        return true;
    }
    // A tool that goes to many hosts at once, with the wrong password first: once or twice on each, and then in on all of them.
    // From outside it would be a stolen password that fits everywhere.
    let hosts = source.hosts.count_ones();
    if source.private()
        && total == 1
        && failing.iter().all(|t| t.accepts > 0)
        && hosts > 2
        && fails <= hosts.saturating_mul(3)
        && h.accepts >= hosts
    {
        return true;
    }
    // Mostly successes, and hardly a failure for somebody who had not been in before.
    if h.accepts >= fails && h.unfamiliar <= few {
        return true;
    }
    // Failures and successes cross. After a break-in they do not: the guessing is over, or goes on for other users.
    h.turns >= 3
        && h.accepts.saturating_mul(20) >= fails
        && (h.unfamiliar <= few || h.unfamiliar.saturating_mul(2) <= fails)
}

/// One known user whom something else than a wrong guess keeps out.
fn locked_out(case: &Case<'_>, addr: AddrId, source: &Source, shape: Shape) -> bool {
    let guess = &source.guess;
    let (failing, total) = case.failing(guess);
    let [one] = failing.as_slice() else {
        return false;
    };
    if total != 1 || case.accepts(source) > 0 && one.accepts == 0 {
        return false;
    }
    // Nearly all of it was refused by a rule or a fault that the log names: a guesser from outside runs into rules too, but one
    // from inside would not insist on the one name that cannot work.
    let named = source.refused.max(case.troubles.connections(addr));
    let explained = u64::from(named) * 10 >= u64::from(guess.connections) * 7;
    if explained && (source.private() || case.logins.knows(one.user) && !case.is_root(one.user)) {
        return true;
    }
    // Somebody known from elsewhere who tries at the same hours of each day: a habit, not a search. A search that is fast, or
    // more than a person's patience in one day, is none.
    if !shape.fast
        && guess.fired & fired::DAY == 0
        && case.logins.knows(one.user)
        && !case.is_root(one.user)
        && schedule::keeps_hours(case, source)
    {
        return true;
    }
    // A machine inside that keeps failing for one name, at a pace no guesser would be content with; the account may be gone.
    source.private() && !shape.fast
}

/// Whether everybody seems to come from one inside address: a proxy, a container's gateway, NAT. Blaming it blames everybody.
fn front(case: &Case<'_>) -> Option<AddrId> {
    let weight =
        |s: &Source| u64::from(s.guess.fails) + u64::from(case.accepts(s)) + u64::from(s.gone);
    let total: u64 = case.ledger.sources.iter().map(weight).sum();
    let (addr, source) = case
        .ledger
        .sources
        .iter()
        .enumerate()
        .max_by_key(|(_, s)| weight(s))?;
    let (_, users) = case.ledger.users(&source.guess);
    let (_, unreal) = names(case, &source.guess);
    // Logins of real people and guesses at names that do not exist, from the same inside address, and nobody from anywhere else.
    let is = source.private()
        && weight(source) >= 200
        && weight(source) * 100 >= total * 98
        && users >= 15
        && unreal >= 8
        && case.accepts(source) >= 3;
    is.then_some(addr as AddrId)
}
