//! What is counted while the log is read: by address, by user, by hour.

use crate::session::Session;

/// User names remembered per address.
const USERS_KEPT: usize = 6;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AddrTally {
    pub failures: u64,
    pub invalid: u64,
    pub accepted: u64,
    pub connections: u64,
    pub first: i64,
    pub last: i64,
    pub users: [u32; USERS_KEPT],
    pub user_tries: [u32; USERS_KEPT],
    /// Distinct users beyond those kept, as a lower bound.
    pub more_users: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UserTally {
    pub exists: bool,
    pub failures: u64,
    pub accepted: u64,
    pub addrs: u64,
    last_addr: u32,
    pub first: i64,
    pub last: i64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HourTally {
    pub failures: u64,
    pub accepted: u64,
    pub other: u64,
}

impl AddrTally {
    /// A connection is over in which `failed` attempts failed.
    pub fn ended(&mut self, s: &Session, failed: u64) {
        if self.connections == 0 {
            self.first = s.first.0;
            self.last = s.last.0;
        }
        self.first = self.first.min(s.first.0);
        self.last = self.last.max(s.last.0);
        self.connections += 1;
        self.failures += failed;
        self.invalid += u64::from(s.invalid_user);
        if s.has_user() {
            self.user(s.user);
        }
    }

    fn user(&mut self, user: u32) {
        for (place, tries) in self.users.iter_mut().zip(self.user_tries.iter_mut()) {
            if *tries == 0 {
                *place = user;
            }
            if *place == user {
                *tries = tries.saturating_add(1);
                return;
            }
        }
        // More names than are kept: the count goes on as a lower bound by remembering only the last one.
        self.more_users = self.more_users.saturating_add(1).min(9_999);
    }
}

impl UserTally {
    /// A connection of this user's is over in which `failed` attempts failed.
    pub fn ended(&mut self, s: &Session, failed: u64) {
        if self.last == 0 {
            self.first = s.first.0;
            self.last = s.last.0;
        }
        self.first = self.first.min(s.first.0);
        self.last = self.last.max(s.last.0);
        self.failures += failed;
        self.exists |= failed > 0 && !s.invalid_user;
        // Changes of address: distinct ones are counted where it matters, by the detectors.
        if s.addr != self.last_addr || self.addrs == 0 {
            self.addrs += 1;
            self.last_addr = s.addr;
        }
    }
}
