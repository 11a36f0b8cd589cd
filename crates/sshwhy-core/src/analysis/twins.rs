//! Lines that stand in one log twice, because two collectors wrote it (rsyslog that reads the journal and the socket).
//!
//! Some lines are written once in the life of a connection: where one of these is followed by itself, the second is a copy. A
//! refused password may honestly be refused again in the same second; it is taken for a copy only where nearly all of the
//! others are followed by theirs.

use crate::names::{AddrId, UserId};
use crate::scan::{NO_TIME, Record, flag};
use crate::session::Role;

/// Copies of lines that happen once, before others are believed to be copies.
const ENOUGH: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    time: i64,
    pid: u32,
    addr: AddrId,
    user: UserId,
    host: u32,
    len: u32,
    row: u16,
    port: u16,
}

/// Counts bounded by one line.
#[derive(Debug, Default)]
pub struct Twins {
    last: Option<Key>,
    /// Lines that happen once, and how many of them came again.
    once: u32,
    again: u32,
    /// Lines left out.
    pub dropped: u64,
}

impl Twins {
    /// Whether the line is a copy of the one before it.
    #[inline]
    pub fn is_copy(
        &mut self,
        record: &Record,
        host: u32,
        addr: AddrId,
        user: UserId,
        role: Role,
    ) -> bool {
        let key = Key::of(record, host, addr, user);
        let once = role.happens_once();
        let same = self.last == Some(key)
            && record.pid != 0
            && record.time != NO_TIME
            && !record.is(flag::REPEATS_LAST);
        if !same {
            self.last = Some(key);
            self.once = self.once.saturating_add(u32::from(once));
            return false;
        }
        self.again = self.again.saturating_add(u32::from(once));
        // Nine in ten, so that a few lines in between that only one of the two has do not hide it.
        let copy =
            once || self.again >= ENOUGH && u64::from(self.again) * 10 >= u64::from(self.once) * 9;
        self.dropped += u64::from(copy);
        copy
    }

    /// Whether a line can be a copy that may honestly be there twice.
    pub fn believes(&self) -> bool {
        self.again >= ENOUGH
    }

    /// Whether a line is the same as the one before it.
    pub fn follows(&self, record: &Record, host: u32, addr: AddrId, user: UserId) -> bool {
        self.last == Some(Key::of(record, host, addr, user))
    }

    /// Lines passed of which none is a copy, `once` of them such as happen once.
    pub fn pass(&mut self, once: u32) {
        self.last = None;
        self.once = self.once.saturating_add(once);
    }

    /// The line before the next.
    pub fn see(&mut self, record: &Record, host: u32, addr: AddrId, user: UserId) {
        self.last = Some(Key::of(record, host, addr, user));
    }
}

impl Key {
    fn of(record: &Record, host: u32, addr: AddrId, user: UserId) -> Key {
        Key {
            time: record.time,
            pid: record.pid,
            addr,
            user,
            host,
            len: record.len,
            row: record.row,
            port: record.port,
        }
    }
}
