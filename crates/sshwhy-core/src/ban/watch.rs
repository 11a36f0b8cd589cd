//! From the records of a followed log to offences, the moment a line says so.
//!
//! The report counts a connection when it is over; whoever bans cannot wait for that. So each line is joined to its connection
//! as everywhere else ([`Sessions`]), and whatever the connection's count of failures grew by is an offence of its address now.
//! What only the end of a connection shows (a name was given and no answer tried) is counted at its end. So one attempt is
//! counted once, however many lines sshd and PAM write about it, and whatever text the client put into them.

use super::clock::Clock;
use crate::addr::Addr;
use crate::detect::forgery::{Imitation, client_text, imitates};
use crate::detect::kinds::Kind;
use crate::event::catalog;
use crate::names::{Limits, Names, UserId};
use crate::scan::{NONE, Record, Scanned, UNKNOWN, flag};
use crate::session::{LineRef, Packed, Repeats, Role, Said, Session, Sessions, Snapshot};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// What an address did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Attempts to log in that were refused.
    Failed,
    /// It named a user and left without trying anything that can be guessed: a key that is not known here, or nothing at all.
    Left,
    /// It does not speak SSH, or not to the end.
    Probe,
    /// It sat out LoginGraceTime.
    TimedOut,
    /// It sent text that imitates log lines; `sure` where that is no slip.
    Forged { sure: bool },
    /// It got in; `key` with a key.
    Accepted { key: bool },
}

#[derive(Clone, Copy, Debug)]
pub struct Offence<'a> {
    /// In the order of things, see [`Clock`].
    pub at: Time,
    /// As the log says it.
    pub logged: Time,
    pub ip: IpAddr,
    pub what: What,
    pub n: u32,
    /// As typed.
    pub user: Option<&'a str>,
    /// sshd says that there is no such user.
    pub invalid: bool,
}

/// What was seen so far, for whoever asks whether we would see an attack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sight {
    pub lines: u64,
    /// Lines of sshd and of others about logins.
    pub ssh: u64,
    /// Lines of sshd that the catalogue does not know.
    pub unknown: u64,
    pub failures: u64,
    pub accepted: u64,
    /// Failures of somebody whom the log calls by a host name: nobody can be banned for them.
    pub nameless: u64,
    /// Lines that say that lines were suppressed.
    pub suppressed: u64,
    /// Time of the last line of sshd, as logged; 0: none yet.
    pub last: i64,
}

/// Names kept apart before those of connections that are over are dropped.
const NAMES: usize = 40_000;
/// Open connections of one log: far more than any sshd has, and all of them are written down at every commit.
const SESSIONS: usize = 16_000;

/// Bits of [`Session::noted`].
const PROBED: u8 = 1;
const FORGED: u8 = 2;
const TIMED_OUT: u8 = 4;
const ENDED: u8 = 8;

/// Follows one log.
#[derive(Debug)]
pub struct Watch {
    names: Names,
    /// By user number: what its name imitates.
    judged: Vec<Imitation>,
    sessions: Sessions,
    clock: Clock,
    pub sight: Sight,
    repeats: Repeats,
    kinds: Vec<Kind>,
    done: Vec<Session>,
    /// Scratch: local to global numbers of the block at hand.
    maps: [Vec<u32>; 3],
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            names: Names::new(limits()),
            judged: Vec::new(),
            sessions: Sessions::new(SESSIONS),
            clock: Clock::default(),
            sight: Sight::default(),
            repeats: Repeats::default(),
            kinds: catalog().rows().iter().map(|m| Kind::of(m)).collect(),
            done: Vec::new(),
            maps: Default::default(),
        }
    }
}

fn limits() -> Limits {
    // A block holds at most as many names as lines: far below what is between these and `NAMES`.
    Limits::default()
}

/// A watch's knowledge, for a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    clock: Clock,
    sight: Sight,
    hosts: Vec<String>,
    addrs: Vec<String>,
    users: Vec<String>,
    sessions: Vec<Packed>,
    previous: Option<SavedLine>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SavedLine {
    slug: String,
    names: [u32; 3],
    pid: u32,
    port: u16,
    flags: u8,
}

/// Numbers for a file: each name once.
#[derive(Default)]
struct Table {
    places: HashMap<u32, u32>,
    texts: Vec<String>,
}

impl Table {
    fn place(&mut self, id: u32, text: impl FnOnce() -> String) -> u32 {
        if id == NONE {
            return NONE;
        }
        *self.places.entry(id).or_insert_with(|| {
            self.texts.push(text());
            self.texts.len() as u32 - 1
        })
    }
}

impl Watch {
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn open_connections(&self) -> usize {
        self.sessions.len()
    }

    pub fn snapshot(&self) -> Saved {
        let (mut hosts, mut addrs, mut users) =
            (Table::default(), Table::default(), Table::default());
        let names = &self.names;
        let mut place = |h: u32, a: u32, u: u32| {
            [
                hosts.place(h, || names.host_of(h).to_owned()),
                addrs.place(a, || names.addr_text(a)),
                users.place(u, || names.user_of(u).to_owned()),
            ]
        };
        let sessions = self.sessions.snapshot().pack(&mut place);
        let previous = self.repeats.last.map(|said| SavedLine {
            slug: match said.record.row {
                UNKNOWN => String::new(),
                row => catalog().row(row).slug.to_owned(),
            },
            names: place(said.host, said.addr, said.user),
            pid: said.record.pid,
            port: said.record.port,
            flags: said.record.flags,
        });
        Saved {
            clock: self.clock,
            sight: self.sight,
            hosts: hosts.texts,
            addrs: addrs.texts,
            users: users.texts,
            sessions,
            previous,
        }
    }

    pub fn restore(saved: &Saved) -> Watch {
        let mut watch = Watch::default();
        watch.take_back(saved);
        watch
    }

    /// Its open connections, for whoever goes on where it stopped; it has none any more.
    pub fn hand_over(&mut self) -> Saved {
        let saved = self.snapshot();
        let (clock, sight) = (self.clock, self.sight);
        self.take_back(&Saved {
            clock,
            sight,
            ..Saved::default()
        });
        saved
    }

    /// Goes on with the open connections of another one.
    pub fn take_over(&mut self, other: Saved) {
        let sight = self.sight;
        self.take_back(&Saved { sight, ..other });
    }

    /// Takes in a block that counts elsewhere, for the connections that go on behind it.
    pub fn prepare(&mut self, block: &[u8], scanned: &Scanned) {
        let sight = self.sight;
        self.block(block, scanned, &mut |_| {});
        self.sight = sight;
    }

    fn take_back(&mut self, saved: &Saved) {
        let mut names = Names::new(limits());
        let hosts: Vec<u32> = saved
            .hosts
            .iter()
            .map(|h| names.host(h.as_bytes()))
            .collect();
        let addrs: Vec<u32> = saved
            .addrs
            .iter()
            .map(|a| names.addr(a.as_bytes()))
            .collect();
        let users: Vec<u32> = saved.users.iter().map(|u| names.user_named(u)).collect();
        let back = |n: [u32; 3]| {
            let of = |all: &[u32], i: u32| all.get(i as usize).copied().unwrap_or(NONE);
            let host = if hosts.is_empty() {
                0
            } else {
                of(&hosts, n[0])
            };
            (host, of(&addrs, n[1]), of(&users, n[2]))
        };
        self.sessions
            .restore(Snapshot::unpack(&saved.sessions, back));
        self.repeats.last = saved.previous.as_ref().map(|line| {
            let row = catalog()
                .rows()
                .iter()
                .position(|m| m.slug == line.slug)
                .map_or(UNKNOWN, |i| i as u16);
            let (host, addr, user) = back(line.names);
            let record = Record {
                time: 0,
                line: 0,
                start: 0,
                len: 0,
                pid: line.pid,
                addr: NONE,
                user: NONE,
                repeat: 1,
                host: 0,
                row,
                port: line.port,
                text: 0,
                flags: line.flags,
            };
            Said {
                record,
                host,
                addr,
                user,
                role: self.repeats.role(row),
            }
        });
        self.names = names;
        self.judged.clear();
        self.clock = saved.clock;
        self.sight = saved.sight;
    }

    /// Takes in one block, in the order of the log.
    pub fn block(&mut self, block: &[u8], scanned: &Scanned, each: &mut dyn FnMut(&Offence<'_>)) {
        if self.names.addr_count() > NAMES || self.names.user_count() > NAMES {
            // Only what open connections need goes on.
            let saved = self.snapshot();
            self.take_back(&saved);
        }
        self.sight.lines += scanned.lines;
        self.sight.unknown += scanned.unknown;
        let mut maps = std::mem::take(&mut self.maps);
        self.names.number(block, scanned, &mut maps);
        let [addrs, users, hosts] = &maps;
        for record in &scanned.records {
            let addr = addrs.get(record.addr as usize).copied().unwrap_or(NONE);
            let user = users.get(record.user as usize).copied().unwrap_or(NONE);
            let host = hosts.get(usize::from(record.host)).copied().unwrap_or(0);
            let message = scanned.message(block, record);
            self.record(record, addr, user, host, message, each);
        }
        self.maps = maps;
    }

    fn record(
        &mut self,
        record: &Record,
        addr: u32,
        user: u32,
        host: u32,
        message: &[u8],
        each: &mut dyn FnMut(&Offence<'_>),
    ) {
        let Said {
            record,
            addr,
            user,
            role,
            ..
        } = self.repeats.resolve(record, host, addr, user);
        let at = self.clock.place(record.time());
        let logged = record.time().unwrap_or(at);
        self.sight.ssh += 1;
        self.sight.last = logged.0;
        let kind = self
            .kinds
            .get(usize::from(record.row))
            .copied()
            .unwrap_or(Kind::Plain);
        if kind == Kind::Suppressed {
            self.sight.suppressed += 1;
        }
        if !record.is(flag::DAEMON) {
            return;
        }
        let line = LineRef { file: 0, line: 1 };
        let mut done = std::mem::take(&mut self.done);
        let slot = self
            .sessions
            .attach(&record, host, addr, user, role, at, line, &mut done);
        let behind = logged.0 - at.0;
        for mut s in done.drain(..) {
            let last = s.last;
            self.over(&mut s, last, Time(last.0 + behind), each);
        }
        self.done = done;
        let Some(slot) = slot else {
            // A line that belongs to no connection: dropped by the listener, or written without a pid.
            if role == Role::Failed && addr != NONE {
                let n = record.repeat.max(1);
                let invalid = record.is(flag::INVALID_USER);
                self.say(addr, user, invalid, at, logged, What::Failed, n, each);
            }
            return;
        };
        let Some(mut s) = self.sessions.get(slot).cloned() else {
            return;
        };
        if s.has_addr() {
            let forged = match kind {
                Kind::ClientText | Kind::NotSsh => client_text(message)
                    .filter(|t| t.len() >= 12)
                    .map_or(Imitation::No, |t| {
                        let text = String::from_utf8_lossy(t);
                        let text = text.strip_suffix(" [preauth]").unwrap_or(&text);
                        // A name may be a slip, a goodbye is none: only what is plain counts there.
                        match imitates(text) {
                            Imitation::Strong => Imitation::Strong,
                            _ => Imitation::No,
                        }
                    }),
                _ => self.judge(s.user),
            };
            if forged != Imitation::No && s.noted & FORGED == 0 {
                s.noted |= FORGED;
                let what = What::Forged {
                    sure: forged == Imitation::Strong,
                };
                self.say(s.addr, s.user, s.invalid_user, at, logged, what, 1, each);
            }
            match role {
                Role::Accepted => {
                    self.sight.accepted += 1;
                    let key = message
                        .windows(9)
                        .take(32)
                        .any(|w| w == b"publickey" || w == b"Pubkey au");
                    let what = What::Accepted { key };
                    self.say(s.addr, s.user, false, at, logged, what, 1, each);
                }
                Role::Probe if s.noted & PROBED == 0 => {
                    s.noted |= PROBED;
                    self.say(s.addr, s.user, false, at, logged, What::Probe, 1, each);
                }
                Role::Timeout if s.accepted.is_none() && s.noted & TIMED_OUT == 0 => {
                    s.noted |= TIMED_OUT;
                    self.say(s.addr, s.user, false, at, logged, What::TimedOut, 1, each);
                }
                _ => {}
            }
            if s.accepted.is_none() {
                // A name that does not exist, a name that is forbidden, one try too many: each is a sign of its own, and counts beside
                // the answers that were wrong. (fail2ban counts lines, and bans at the same one.)
                let keys = if s.invalid_user { s.key_failures } else { 0 };
                let sure = s.failures.max(s.dialogue_failures)
                    + s.names_refused.min(1)
                    + u32::from(s.not_allowed && s.has_user())
                    + u32::from(s.too_many)
                    + keys;
                self.grown(&mut s, sure, at, logged, each);
            }
            if matches!(role, Role::Closed | Role::Timeout) {
                self.over(&mut s, at, logged, each);
            }
        }
        if let Some(place) = self.sessions.get_mut(slot) {
            place.counted = s.counted;
            place.noted = s.noted;
        }
    }

    /// Counts what the connection's number of failures grew by.
    fn grown(
        &mut self,
        s: &mut Session,
        sure: u32,
        at: Time,
        logged: Time,
        each: &mut dyn FnMut(&Offence<'_>),
    ) {
        if sure > s.counted {
            let n = sure - s.counted;
            s.counted = sure;
            self.say(
                s.addr,
                s.user,
                s.invalid_user,
                at,
                logged,
                What::Failed,
                n,
                each,
            );
        }
    }

    /// The end of a connection: what nothing but its end shows.
    fn over(
        &mut self,
        s: &mut Session,
        at: Time,
        logged: Time,
        each: &mut dyn FnMut(&Offence<'_>),
    ) {
        if !s.has_addr() || s.accepted.is_some() || s.logged_in {
            return;
        }
        let all = s.attempts_failed();
        let said = s.failures.max(s.pam_failures).max(s.dialogue_failures) > 0 || s.invalid_user;
        if said {
            self.grown(s, all, at, logged, each);
        } else if all > s.counted && s.noted & ENDED == 0 {
            s.noted |= ENDED;
            s.counted = all;
            self.say(s.addr, s.user, false, at, logged, What::Left, 1, each);
        }
    }

    fn judge(&mut self, user: UserId) -> Imitation {
        if user == NONE {
            return Imitation::No;
        }
        while self.judged.len() <= user as usize {
            let name = self.names.user_of(self.judged.len() as UserId);
            self.judged.push(imitates(name));
        }
        self.judged
            .get(user as usize)
            .copied()
            .unwrap_or(Imitation::No)
    }

    #[allow(clippy::too_many_arguments)]
    fn say(
        &mut self,
        addr: u32,
        user: u32,
        invalid: bool,
        at: Time,
        logged: Time,
        what: What,
        n: u32,
        each: &mut dyn FnMut(&Offence<'_>),
    ) {
        if what == What::Failed {
            self.sight.failures += u64::from(n);
        }
        let Some(Addr::Ip(ip)) = self.names.addr_of(addr) else {
            self.sight.nameless += u64::from(n);
            return;
        };
        each(&Offence {
            at,
            logged,
            ip: *ip,
            what,
            n,
            user: (user != NONE).then(|| self.names.user_of(user)),
            invalid,
        });
    }
}
