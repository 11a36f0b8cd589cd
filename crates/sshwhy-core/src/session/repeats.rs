//! What `message repeated N times` stands for: the line before it.

use super::Role;
use crate::event::{Row, catalog};
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

/// Gives each line its role, and remembers the last one that said something itself.
#[derive(Clone, Debug)]
pub struct Repeats {
    /// By row.
    roles: Vec<Role>,
    pub last: Option<Said>,
}

impl Default for Repeats {
    fn default() -> Repeats {
        Repeats {
            roles: catalog().rows().iter().map(|m| Role::of(m)).collect(),
            last: None,
        }
    }
}

impl Repeats {
    pub fn role(&self, row: Row) -> Role {
        self.roles
            .get(usize::from(row))
            .copied()
            .unwrap_or(Role::Other)
    }

    /// The line, or as many more of the one before as it says, if that was one of ours; its place and time stay its own.
    #[inline]
    pub fn resolve(&mut self, record: &Record, host: HostId, addr: AddrId, user: UserId) -> Said {
        let said = Said {
            record: *record,
            host,
            addr,
            user,
            role: self.role(record.row),
        };
        if !record.is(flag::REPEATS_LAST) {
            self.last = Some(said);
            return said;
        }
        match self.last {
            Some(before) => Said {
                record: Record {
                    repeat: record.repeat,
                    line: record.line,
                    time: record.time,
                    ..before.record
                },
                host,
                ..before
            },
            None => said,
        }
    }
}
