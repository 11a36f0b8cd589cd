//! What `message repeated N times` stands for: the line before it.

use super::Role;
use crate::names::{AddrId, HostId, UserId};
use crate::scan::{Record, flag};

/// A line with the names that it has in the whole run.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub record: Record,
    pub host: HostId,
    pub addr: AddrId,
    pub user: UserId,
    pub role: Role,
}

/// Remembers the last line that said something itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeats {
    pub last: Option<Said>,
}

impl Repeats {
    /// The line, or as many more of the one before as it says, if that was one of ours; its place and time stay its own.
    #[inline]
    pub fn resolve(&mut self, said: Said) -> Said {
        if !said.record.is(flag::REPEATS_LAST) {
            self.last = Some(said);
            return said;
        }
        match self.last {
            Some(before) => Said {
                record: Record {
                    repeat: said.record.repeat,
                    line: said.record.line,
                    time: said.record.time,
                    ..before.record
                },
                host: said.host,
                ..before
            },
            None => said,
        }
    }
}
