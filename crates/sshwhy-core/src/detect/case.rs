//! What the judging half of the detectors works on, after the last line: everything counted, and who stands accused so far.

use super::Context;
use super::flood::Flood;
use super::forgery::Forgers;
use super::ledger::{Guess, History, Ledger, Source, Tries};
use super::logins::Logins;
use super::monitor::Beats;
use super::quotes::{QuoteId, Quotes};
use super::settings::Settings;
use super::success::Successes;
use super::trouble::Troubles;
use super::words;
use crate::finding::{Evidence, Finding, Subjects};
use crate::names::{AddrId, UserId};

/// More addresses than that are not listed one by one in a finding.
pub const MAX_LISTED: usize = 10_000;
/// More findings of one kind than that are put into one.
pub const MAX_EACH: usize = 1_000;
const MAX_USERS_LISTED: usize = 64;

/// The busiest [`MAX_EACH`], and the rest, each in the order of their numbers.
pub fn busiest(mut all: Vec<(u64, AddrId)>) -> (Vec<AddrId>, Vec<(u64, AddrId)>) {
    if all.len() <= MAX_EACH {
        return (all.into_iter().map(|(_, a)| a).collect(), Vec::new());
    }
    all.sort_by_key(|(n, a)| (std::cmp::Reverse(*n), *a));
    let mut rest = all.split_off(MAX_EACH);
    rest.sort_by_key(|(_, a)| *a);
    let mut head: Vec<AddrId> = all.into_iter().map(|(_, a)| a).collect();
    head.sort_unstable();
    (head, rest)
}

/// What an address is, as far as its failures tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Standing {
    /// Nothing to say of it.
    #[default]
    Nobody,
    /// Its failures are those of people and programs that also get in.
    Familiar,
    /// A job on a schedule.
    Scheduled,
    /// Somebody who is locked out.
    LockedOut,
    /// It guesses.
    Guesser,
}

pub struct Case<'a> {
    pub settings: &'a Settings,
    pub context: &'a Context<'a>,
    pub ledger: &'a Ledger,
    pub quotes: &'a Quotes,
    pub beats: &'a Beats,
    pub flood: &'a Flood,
    pub forgers: &'a Forgers,
    pub logins: &'a Logins,
    pub successes: &'a Successes,
    pub troubles: &'a Troubles,
    /// By user: sshd called the name invalid and nobody ever got in with it.
    pub nonexistent: &'a [bool],
    pub standing: Vec<Standing>,
    pub hostile: Vec<bool>,
    /// The address behind which everybody comes, where there is one (a proxy or NAT).
    pub front: Option<AddrId>,
}

impl Case<'_> {
    pub fn source(&self, addr: AddrId) -> Option<&Source> {
        self.ledger.sources.get(addr as usize)
    }

    pub fn history(&self, source: &Source) -> Option<&History> {
        self.ledger.history(source)
    }

    pub fn accepts(&self, source: &Source) -> u32 {
        self.history(source).map_or(0, |h| h.accepts)
    }

    pub fn standing(&self, addr: AddrId) -> Standing {
        self.standing
            .get(addr as usize)
            .copied()
            .unwrap_or_default()
    }

    pub fn is_hostile(&self, addr: AddrId) -> bool {
        self.hostile.get(addr as usize).copied().unwrap_or(false)
    }

    pub fn accuse(&mut self, addr: AddrId) {
        if self.source(addr).is_none_or(Source::stands_in) {
            return;
        }
        if let Some(h) = self.hostile.get_mut(addr as usize) {
            *h = true;
        }
    }

    /// Whether the address connects to some host at even intervals without a word.
    pub fn keeps_rhythm(&self, addr: AddrId) -> bool {
        let hosts = self.source(addr).map_or(0, |s| s.hosts);
        (0..32).any(|h| {
            hosts & (1 << h) != 0 && self.beats.regular(addr, h, self.settings.monitor_checks)
        })
    }

    pub fn addr(&self, addr: AddrId) -> String {
        self.context.names.addr_text(addr)
    }

    pub fn is_nonexistent(&self, user: UserId) -> bool {
        self.nonexistent
            .get(user as usize)
            .copied()
            .unwrap_or(false)
    }

    /// One finding for those beyond [`MAX_EACH`] of a kind.
    pub fn rest(&self, slug: &str, addrs: &[AddrId], count: u64, what: &str) -> Finding {
        let mut f = words::finding(slug, self.subjects(addrs, &[]));
        f.headline = format!(
            "{} more {what}: {} in all",
            words::count(addrs.len() as u64, "address", "addresses"),
            words::count(count, "attempt", "attempts"),
        );
        let sources = || addrs.iter().filter_map(|a| self.source(*a));
        f.first = sources().map(|s| s.first).min();
        f.last = sources().map(|s| s.last).max();
        f.count = count;
        // As sure as of the least of those that have a finding of their own.
        f.confidence = 0.7;
        f.notes.push(format!(
            "the {MAX_EACH} busiest have findings of their own; `sshwhy report --addr` tells about any other"
        ));
        if addrs.len() > MAX_LISTED {
            f.notes.push(format!(
                "the first {MAX_LISTED} are listed, {} more are not",
                addrs.len() - MAX_LISTED
            ));
        }
        let quotes: Vec<QuoteId> = sources()
            .take(8)
            .filter_map(|s| s.quotes.first().copied())
            .collect();
        f.evidence = self.evidence(&quotes);
        f
    }

    pub fn is_root(&self, user: UserId) -> bool {
        matches!(
            self.context.names.user_of(user),
            "root" | "toor" | "Administrator"
        )
    }

    /// Names of users, most tries first, as they stand in sentences and subjects.
    pub fn user_names(&self, tries: &[Tries]) -> Vec<String> {
        tries
            .iter()
            .take(MAX_USERS_LISTED)
            .map(|t| self.context.names.user_of(t.user).to_owned())
            .collect()
    }

    pub fn failing(&self, guess: &Guess) -> (Vec<Tries>, u64) {
        self.ledger.failing(guess)
    }

    pub fn evidence(&self, ids: &[QuoteId]) -> Vec<Evidence> {
        self.quotes.evidence(ids, self.context)
    }

    /// Addresses, users, and the hosts that these addresses touched.
    pub fn subjects(&self, addrs: &[AddrId], users: &[UserId]) -> Subjects {
        let bits = addrs
            .iter()
            .filter_map(|a| self.source(*a))
            .fold(0u32, |bits, s| bits | s.hosts);
        Subjects {
            addrs: addrs
                .iter()
                .take(MAX_LISTED)
                .map(|a| self.addr(*a))
                .collect(),
            users: words::users(
                users
                    .get(..users.len().min(MAX_USERS_LISTED))
                    .unwrap_or_default(),
                self.context,
            ),
            hosts: (0..32)
                .filter(|i| bits & (1 << i) != 0)
                .map(|i| self.context.names.host_of(i).to_owned())
                .filter(|h| !h.is_empty())
                .collect(),
            ..Subjects::default()
        }
    }
}
