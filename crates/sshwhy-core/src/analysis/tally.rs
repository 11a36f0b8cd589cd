//! What is counted while the log is read: by address, by user, by hour.

use crate::session::Session;

/// User names remembered per address; the detectors count how many there are.
const USERS_KEPT: usize = 5;

/// What one address did, in one line of the processor's cache. The counts stop where they are full.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(super) struct AddrTally {
    pub first: i64,
    pub last: i64,
    pub failures: u32,
    pub invalid: u32,
    pub accepted: u32,
    pub connections: u32,
    pub users: [u32; USERS_KEPT],
    pub user_tries: [u16; USERS_KEPT],
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UserTally {
    pub exists: bool,
    pub failures: u64,
    pub accepted: u64,
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
    pub fn ended(&mut self, s: &Session, failed: u32) {
        if self.connections == 0 {
            self.first = s.first.0;
            self.last = s.last.0;
        }
        self.first = self.first.min(s.first.0);
        self.last = self.last.max(s.last.0);
        self.connections = self.connections.saturating_add(1);
        self.failures = self.failures.saturating_add(failed);
        self.invalid = self.invalid.saturating_add(u32::from(s.invalid_user));
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
    }

    /// There may be more users than are kept.
    pub fn is_full(&self) -> bool {
        self.user_tries.iter().all(|n| *n > 0)
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
    }
}
