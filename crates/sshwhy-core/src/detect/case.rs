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
use crate::finding::{Evidence, Subjects};
use crate::names::{AddrId, UserId};

/// More addresses than that are not listed one by one in a finding.
pub const MAX_LISTED: usize = 10_000;
const MAX_USERS_LISTED: usize = 64;

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
        if let Some(h) = self.hostile.get_mut(addr as usize) {
            *h = true;
        }
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
