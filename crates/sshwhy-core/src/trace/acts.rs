//! The logins that a target's log shows, one by one: what `trace` compares with everything else. Bounded.

use crate::addr::{Addr, is_private};
use crate::names::{AddrId, Names, UserId};
use crate::session::{End, LineRef, Session};
use crate::time::{SECOND, Time};
use std::collections::BTreeMap;

/// Beyond this many, only logins from inside (or accepted ones) are kept; beyond twice as many, none.
pub const MAX_ACTS: usize = 1_000_000;

/// One connection that tried to log in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Act {
    /// Its first line.
    pub at: Time,
    pub addr: AddrId,
    pub user: UserId,
    pub host: u32,
    pub ok: bool,
    /// When it was let in, and when it ended, where the log says so.
    pub stay: Option<(Time, Option<Time>)>,
    /// Refused attempts in it.
    pub failures: u32,
    pub line: LineRef,
}

/// Collects acts as sessions end.
#[derive(Clone, Debug, Default)]
pub struct Acts {
    list: Vec<Act>,
    /// Acts that were not kept.
    pub dropped: u64,
}

/// All acts of one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub addr: String,
    /// Routed over the Internet.
    pub public: bool,
    /// In order of time.
    pub acts: Vec<Act>,
    pub users: Vec<String>,
    /// Names of the hosts that were logged in to.
    pub hosts: Vec<String>,
}

impl Source {
    pub fn failures(&self) -> u64 {
        self.acts.iter().map(|a| u64::from(a.failures)).sum()
    }

    pub fn successes(&self) -> u64 {
        self.acts.iter().filter(|a| a.ok).count() as u64
    }
}

impl Acts {
    /// A session is over.
    pub fn ended(&mut self, s: &Session, names: &Names) {
        let failures = s.attempts_failed();
        let ok = s.accepted.is_some();
        // What has no time matches nothing that was done elsewhere.
        if !s.has_addr() || (failures == 0 && !ok) || !s.first.is_dated() {
            return;
        }
        if self.list.len() >= MAX_ACTS {
            let inside = matches!(names.addr_of(s.addr), Some(Addr::Ip(ip)) if is_private(*ip));
            if self.list.len() >= 2 * MAX_ACTS || !(inside || ok) {
                self.dropped += 1;
                return;
            }
        }
        self.list.push(Act {
            at: s.first,
            addr: s.addr,
            user: s.user,
            host: s.host,
            ok,
            stay: s
                .accepted
                .map(|(at, _)| (at, (s.end == End::Closed).then_some(s.last))),
            failures,
            line: LineRef {
                file: s.file,
                line: s.line,
            },
        });
    }

    /// By address, most acts first.
    pub fn sources(self, names: &Names) -> Vec<Source> {
        let mut by_addr: BTreeMap<AddrId, Vec<Act>> = BTreeMap::new();
        for act in self.list {
            by_addr.entry(act.addr).or_default().push(act);
        }
        let mut out: Vec<Source> = by_addr
            .into_iter()
            .map(|(addr, mut acts)| {
                acts.sort_by_key(|a| (a.at, a.line));
                let mut users: Vec<String> = Vec::new();
                let mut hosts: Vec<String> = Vec::new();
                for act in &acts {
                    for (list, name) in [
                        (&mut users, names.user_of(act.user)),
                        (&mut hosts, names.host_of(act.host)),
                    ] {
                        if !name.is_empty() && list.len() < 100 && !list.iter().any(|n| n == name) {
                            list.push(name.to_owned());
                        }
                    }
                }
                Source {
                    addr: names.addr_text(addr),
                    public: !matches!(names.addr_of(addr), Some(Addr::Ip(ip)) if is_private(*ip)),
                    acts,
                    users,
                    hosts,
                }
            })
            .collect();
        out.sort_by(|a, b| {
            b.acts
                .len()
                .cmp(&a.acts.len())
                .then_with(|| a.addr.cmp(&b.addr))
        });
        out
    }
}

/// How finely the log writes time: whole seconds (then an event lies somewhere in its second), or finer.
pub fn resolution(acts: &[Act]) -> i64 {
    if acts.iter().any(|a| a.at.0.rem_euclid(SECOND) != 0) {
        1
    } else {
        SECOND
    }
}
