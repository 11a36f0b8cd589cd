//! Joins lines to connections: by (host, pid), and across processes by (address, port).
//!
//! Since OpenSSH 9.8 the listener, sshd-session and (after login) the user's own process all write about one connection; key
//! lines carry no address of their own, and a log may begin or end in the middle. A session is over when sshd says so, when its
//! pid turns up with another peer, or after a quiet time; it is handed out a little later, so that lines that come late
//! (`PAM 2 more authentication failures`) still find it.

mod repeats;
mod role;
mod snapshot;
mod whole;

pub use repeats::{Repeats, Said};
pub use role::Role;
pub use snapshot::{Packed, Snapshot};
pub use whole::{Joiner, Part, Whole, Wholes};

use crate::event::Row;
use crate::names::{AddrId, HostId, UserId};
use crate::scan::{NONE, Record, flag};
use crate::time::{MINUTE, SECOND, Time};
use hashbrown::HashMap;
use std::collections::VecDeque;

/// A line of the input.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LineRef {
    /// Index of the input.
    pub file: u32,
    /// From 1.
    pub line: u64,
}

/// How a connection ended, as far as the log says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum End {
    /// Not yet, or the log ends before it does.
    #[default]
    Open,
    Closed,
    /// No line for a long time.
    Quiet,
    /// Its pid belongs to another connection now.
    Superseded,
}

/// One connection's life.
#[derive(Clone, Debug)]
pub struct Session {
    pub host: HostId,
    /// 0: not known.
    pub pid: u32,
    /// [`NONE`]: not known.
    pub addr: AddrId,
    pub port: u16,
    /// The first user name seen, or the one that got in.
    pub user: UserId,
    pub first: Time,
    pub last: Time,
    pub file: u32,
    /// The first line, from 1, in `file`; `lines` counts all.
    pub line: u64,
    pub lines: u32,
    /// Refused passwords and the like; where only PAM says so, its count.
    pub failures: u32,
    pub key_failures: u32,
    pub pam_failures: u32,
    pub dialogue_failures: u32,
    /// How often sshd named a user who does not exist (once a connection, unless lines were joined on their way here).
    pub names_refused: u32,
    /// Lines of the row in `probe`.
    pub probe_lines: u32,
    /// When the first and the last of `failures` happened.
    pub fail_first: Time,
    pub fail_last: Time,
    /// sshd called the user invalid.
    pub invalid_user: bool,
    /// It got as far as naming a user.
    pub attempted: bool,
    /// It was let in, also where the log begins after that.
    pub logged_in: bool,
    pub not_allowed: bool,
    pub probed: bool,
    pub timed_out: bool,
    pub too_many: bool,
    pub dropped: bool,
    /// Some line had more than one reading.
    pub ambiguous: bool,
    /// Some line counts against the address.
    pub hostile: bool,
    /// The row that tells what is wrong for this user, if one does.
    pub symptom: Option<Row>,
    /// The row that shows that it does not speak SSH as we do.
    pub probe: Option<Row>,
    /// When it was let in, and by which line.
    pub accepted: Option<(Time, LineRef)>,
    /// The caller's number of the login.
    pub login: u32,
    /// How many of the failures a caller who counts as they come has taken note of.
    pub counted: u32,
    /// What else such a caller has taken note of; bits of its own.
    pub noted: u8,
    pub end: End,
    /// Another process of the same connection (the user's own, after login).
    alias: u32,
    /// It is the one that its address and port lead to, until it ends.
    by_port: bool,
    closing: bool,
    /// Its numbers and its peer's lead to it.
    listed: bool,
    /// Changes when the place is used again.
    generation: u32,
}

impl Session {
    fn new(host: HostId, pid: u32, time: Time, at: LineRef, generation: u32) -> Session {
        Session {
            host,
            pid,
            addr: NONE,
            port: 0,
            user: NONE,
            first: time,
            last: time,
            file: at.file,
            line: at.line,
            lines: 0,
            failures: 0,
            key_failures: 0,
            pam_failures: 0,
            dialogue_failures: 0,
            names_refused: 0,
            probe_lines: 0,
            fail_first: time,
            fail_last: time,
            invalid_user: false,
            attempted: false,
            logged_in: false,
            not_allowed: false,
            probed: false,
            timed_out: false,
            too_many: false,
            dropped: false,
            ambiguous: false,
            hostile: false,
            symptom: None,
            probe: None,
            accepted: None,
            login: NONE,
            counted: 0,
            noted: 0,
            end: End::Open,
            alias: 0,
            by_port: false,
            closing: false,
            listed: true,
            generation,
        }
    }

    /// Takes in one of its lines; `addr` and `user` are numbers of whatever list the caller uses throughout. Says whether the line
    /// ends it.
    fn note(
        &mut self,
        record: &Record,
        addr: AddrId,
        user: UserId,
        role: Role,
        time: Time,
        at: LineRef,
    ) -> bool {
        self.lines = self.lines.saturating_add(1);
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        // sshd writes the port beside the address; PAM's rhost may be a name.
        if addr != NONE && (self.addr == NONE || (self.port == 0 && record.port != 0)) {
            self.addr = addr;
        }
        if self.port == 0 && record.port != 0 {
            self.port = record.port;
        }
        if user != NONE && (self.user == NONE || role == Role::Accepted) {
            self.user = user;
        }
        let n = record.repeat.max(1);
        self.ambiguous |= record.is(flag::AMBIGUOUS);
        self.invalid_user |= record.is(flag::INVALID_USER) || role == Role::InvalidUser;
        self.logged_in |= matches!(role, Role::Accepted | Role::LoggedOut | Role::SessionClosed);
        self.attempted |= user != NONE && !matches!(role, Role::Other | Role::LoggedOut);
        match role {
            Role::Accepted => {
                self.accepted = self.accepted.or(Some((time, at)));
                self.closing = false;
                self.end = End::Open;
            }
            Role::Failed => {
                if self.failures == 0 {
                    self.fail_first = time;
                    self.fail_last = time;
                }
                self.fail_first = self.fail_first.min(time);
                self.fail_last = self.fail_last.max(time);
                self.failures = self.failures.saturating_add(n);
            }
            Role::FailedKey => self.key_failures = self.key_failures.saturating_add(n),
            Role::FailedPam => self.pam_failures = self.pam_failures.saturating_add(n),
            Role::FailedDialogue => {
                self.dialogue_failures = self.dialogue_failures.saturating_add(n)
            }
            Role::InvalidUser if addr != NONE && user != NONE => {
                self.names_refused = self.names_refused.saturating_add(n);
            }
            Role::NotAllowed => self.not_allowed = true,
            Role::Probe => {
                self.probed = true;
                self.probe = self.probe.or(Some(record.row));
                if self.probe == Some(record.row) {
                    self.probe_lines = self.probe_lines.saturating_add(n);
                }
            }
            Role::Timeout => self.timed_out = true,
            Role::TooManyFailures => self.too_many = true,
            _ => {}
        }
        if matches!(role, Role::Symptom | Role::NotAllowed) && self.symptom.is_none() {
            self.symptom = Some(record.row);
        }
        match role {
            Role::Closed | Role::LoggedOut | Role::SessionClosed => true,
            Role::Timeout => self.accepted.is_none(),
            // The last word of older releases on such a connection.
            Role::Silent | Role::Probe => self.accepted.is_none() && addr != NONE,
            _ => false,
        }
    }

    pub fn has_addr(&self) -> bool {
        self.addr != NONE
    }

    pub fn has_user(&self) -> bool {
        self.user != NONE
    }

    /// Attempts to log in that failed: lines that say so, or one where the connection ended between name and proof.
    pub fn attempts_failed(&self) -> u32 {
        // Where it got in, PAM's word alone counts for nothing: a stack of modules says "failure" on the way to success.
        if self.accepted.is_some() {
            return self.failures;
        }
        let said = self
            .failures
            .max(self.pam_failures)
            .max(self.dialogue_failures);
        if said > 0 {
            said
        } else {
            self.names_refused
                .max(u32::from(self.attempted || self.key_failures > 0))
        }
    }

    /// It connected and never named a user.
    pub fn without_attempt(&self) -> bool {
        !self.logged_in && !self.attempted && self.attempts_failed() == 0
    }

    /// In one word, as in the JSON of sessions.
    pub fn outcome(&self) -> &'static str {
        if self.accepted.is_some() {
            "success"
        } else if self.dropped {
            "throttled"
        } else if self.invalid_user {
            "invalid-user"
        } else if self.not_allowed {
            "refused"
        } else if self.attempts_failed() > 0 {
            "auth-failure"
        } else if self.timed_out {
            "timeout"
        } else if self.probed {
            "probe"
        } else {
            "disconnect"
        }
    }
}

/// A preauth connection without a line for so long is over (LoginGraceTime is 120 s by default; people set more).
const PREAUTH_QUIET: i64 = 20 * MINUTE;
/// How long after its end a session waits for lines that come late.
const LINGER: i64 = 15 * SECOND;
/// Lines so far back, so many in a row, are no disorder but another log (of another host, read after this one).
const ANOTHER_LOG: i64 = 60 * MINUTE;
const LINES_OF_ANOTHER: u8 = 32;

/// Open sessions. At most `limit`; beyond it the one that began first is handed out as [`End::Quiet`].
#[derive(Debug)]
pub struct Sessions {
    slab: Vec<Session>,
    free: Vec<u32>,
    by_pid: HashMap<(HostId, u32), u32>,
    by_port: HashMap<(AddrId, u16), u32>,
    /// (when to let go, slot, generation)
    closing: VecDeque<(i64, u32, u32)>,
    /// (began, slot, generation), to find what went quiet.
    opened: VecDeque<(i64, u32, u32)>,
    limit: usize,
    generation: u32,
    /// The last one used: lines come in bursts.
    last: (HostId, u32, u32),
    /// The latest moment of this log, and how many lines in a row lay far before it.
    newest: i64,
    behind: u8,
    /// How many were cut off because too many were open.
    pub overflowed: u64,
}

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions::new(100_000)
    }
}

impl Sessions {
    pub fn new(limit: usize) -> Sessions {
        Sessions {
            slab: Vec::new(),
            free: Vec::new(),
            by_pid: HashMap::new(),
            by_port: HashMap::new(),
            closing: VecDeque::new(),
            opened: VecDeque::new(),
            limit: limit.max(1),
            generation: 0,
            last: (NONE, NONE, NONE),
            newest: i64::MIN,
            behind: 0,
            overflowed: 0,
        }
    }

    pub fn get(&self, slot: u32) -> Option<&Session> {
        self.slab.get(slot as usize)
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Session> {
        self.slab.get_mut(slot as usize)
    }

    /// The session of a line, if it has one; `role` is the row's, `addr`, `user`, `host` global numbers. Sessions that end because
    /// of it go to `done`.
    #[allow(clippy::too_many_arguments)]
    pub fn attach(
        &mut self,
        record: &Record,
        host: HostId,
        addr: AddrId,
        user: UserId,
        role: Role,
        time: Time,
        at: LineRef,
        done: &mut Vec<Session>,
    ) -> Option<u32> {
        if time.0 >= self.newest {
            self.newest = time.0;
            self.behind = 0;
        } else if self.newest.saturating_sub(ANOTHER_LOG) > time.0 {
            self.behind += 1;
            if self.behind > LINES_OF_ANOTHER {
                self.another_log(time, done);
            }
        } else {
            self.behind = 0;
        }
        self.let_go(time, done);
        let pid = record.pid;
        // The listener's lines are about connections that it never handed on.
        if role == Role::Dropped || (pid == 0 && record.port == 0) {
            return None;
        }
        let mut slot = if pid == 0 {
            None
        } else if self.last.0 == host && self.last.1 == pid {
            Some(self.last.2)
        } else {
            self.by_pid.get(&(host, pid)).copied()
        };
        if let Some(s) = slot.and_then(|s| self.slab.get(s as usize)) {
            let other_peer = !record.is(flag::AMBIGUOUS)
                && record.port != 0
                && s.port != 0
                && addr != NONE
                && s.addr != NONE
                && (record.port != s.port || addr != s.addr);
            // A login timeout is the listener's line about another process.
            let foreign = role == Role::Timeout && other_peer;
            let stale = s.accepted.is_none() && time.0 - s.last.0 > PREAUTH_QUIET;
            // sshd says `Connection from` once, first; a few seconds of disorder aside.
            let anew = role == Role::Connection && (s.closing || time.0 - s.first.0 > 5 * SECOND);
            // Since 9.8 the listener writes of timeouts, all under its own pid and without a port: each is another connection.
            let another = role == Role::Timeout && record.port == 0 && s.timed_out && s.port == 0;
            if foreign {
                slot = self.by_port.get(&(addr, record.port)).copied();
            } else if other_peer || stale || anew || another {
                let end = if stale { End::Quiet } else { End::Superseded };
                if let Some(old) = slot {
                    self.finish(old, end, done);
                }
                slot = None;
            }
        }
        if slot.is_none() && addr != NONE && record.port != 0 {
            // Another process of a connection that we know: the user's own after login, or the listener.
            if let Some(known) = self.by_port.get(&(addr, record.port)).copied() {
                let joins = self.slab.get(known as usize).is_some_and(|s| {
                    s.host == host && (s.accepted.is_some() || s.pid == 0 || role == Role::Timeout)
                });
                if joins {
                    slot = Some(known);
                    if pid != 0
                        && role != Role::Timeout
                        && let Some(s) = self.slab.get_mut(known as usize)
                        && s.alias == 0
                        && s.pid != pid
                    {
                        s.alias = pid;
                        self.by_pid.insert((host, pid), known);
                    }
                }
            }
        }
        let slot = match slot {
            Some(slot) => slot,
            None => self.open(host, pid, time, at, done),
        };
        if pid != 0 {
            self.last = (host, pid, slot);
        }
        let s = self.slab.get_mut(slot as usize)?;
        let over = s.note(record, addr, user, role, time, at);
        if !s.by_port && s.addr != NONE && s.port != 0 {
            let key = (s.addr, s.port);
            s.by_port = *self.by_port.entry(key).or_insert(slot) == slot;
        }
        // The monitor's PAM line comes after the child's goodbye: only then is a login over.
        if over {
            s.end = End::Closed;
            if !s.closing {
                s.closing = true;
                self.closing
                    .push_back((time.0 + LINGER, slot, s.generation));
            }
        }
        Some(slot)
    }

    /// Another log begins, further back in time: what was open in the one before is not waited for any longer, or nothing of
    /// this one would be handed out before its time comes.
    #[cold]
    fn another_log(&mut self, now: Time, done: &mut Vec<Session>) {
        self.newest = now.0;
        self.behind = 0;
        let stuck = now.0.saturating_add(ANOTHER_LOG);
        for (at, slot, generation) in std::mem::take(&mut self.closing) {
            let Some(s) = self.slab.get(slot as usize) else {
                continue;
            };
            if at <= stuck {
                self.closing.push_back((at, slot, generation));
            } else if s.generation == generation && s.closing {
                self.finish(slot, End::Closed, done);
            }
        }
        for (began, slot, generation) in std::mem::take(&mut self.opened) {
            let Some(s) = self.slab.get(slot as usize) else {
                continue;
            };
            if s.generation != generation {
                continue;
            }
            if began <= stuck {
                self.opened.push_back((began, slot, generation));
            } else if s.accepted.is_some() {
                // Its end may still come, where the logs are of one machine.
                self.opened.push_back((now.0, slot, generation));
            } else {
                self.finish(slot, End::Quiet, done);
            }
        }
    }

    fn open(
        &mut self,
        host: HostId,
        pid: u32,
        time: Time,
        at: LineRef,
        done: &mut Vec<Session>,
    ) -> u32 {
        if self.slab.len() - self.free.len() >= self.limit {
            while let Some((_, slot, generation)) = self.opened.pop_front() {
                if self
                    .slab
                    .get(slot as usize)
                    .is_some_and(|s| s.generation == generation)
                {
                    self.overflowed += 1;
                    self.finish(slot, End::Quiet, done);
                    break;
                }
            }
        }
        let slot = self.place(Session::new(host, pid, time, at, 0));
        if pid != 0 {
            self.by_pid.insert((host, pid), slot);
        }
        self.opened.push_back((time.0, slot, self.generation));
        slot
    }

    /// Finds a place for a session, and gives it a generation.
    fn place(&mut self, session: Session) -> u32 {
        self.generation = self.generation.wrapping_add(1).max(1);
        let session = Session {
            generation: self.generation,
            ..session
        };
        match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slab.get_mut(slot as usize) {
                    *place = session;
                }
                slot
            }
            None => {
                self.slab.push(session);
                (self.slab.len() - 1) as u32
            }
        }
    }

    /// Hands a session out and frees its place.
    fn finish(&mut self, slot: u32, end: End, done: &mut Vec<Session>) {
        let Some(s) = self.slab.get_mut(slot as usize) else {
            return;
        };
        if s.generation == 0 {
            return;
        }
        let mut session = s.clone();
        s.generation = 0;
        if !session.closing {
            session.end = end;
        }
        if session.listed {
            for pid in [session.pid, session.alias] {
                if pid != 0 && self.by_pid.get(&(session.host, pid)) == Some(&slot) {
                    self.by_pid.remove(&(session.host, pid));
                }
            }
            let key = (session.addr, session.port);
            if self.by_port.get(&key) == Some(&slot) {
                self.by_port.remove(&key);
            }
            if self.last.2 == slot {
                self.last = (NONE, NONE, NONE);
            }
        }
        self.free.push(slot);
        done.push(session);
    }

    /// Hands out what is over at `now`.
    #[inline]
    fn let_go(&mut self, now: Time, done: &mut Vec<Session>) {
        let over = self.closing.front().is_some_and(|(at, ..)| *at <= now.0);
        let quiet = self
            .opened
            .front()
            .is_some_and(|(began, ..)| now.0 - *began > PREAUTH_QUIET);
        if over || quiet {
            self.let_go_now(now, done);
        }
    }

    /// In the order in which they came to an end, however late this is asked.
    #[inline(never)]
    fn let_go_now(&mut self, now: Time, done: &mut Vec<Session>) {
        loop {
            let over = self.closing.front().map(|c| c.0).filter(|at| *at <= now.0);
            let quiet = self
                .opened
                .front()
                .map(|o| o.0.saturating_add(PREAUTH_QUIET))
                .filter(|at| *at < now.0);
            match (over, quiet) {
                (Some(over), quiet) if quiet.is_none_or(|at| over <= at) => {
                    self.let_go_of_closed(now, done);
                }
                (_, Some(_)) => self.let_go_of_quiet(now, done),
                (_, None) => break,
            }
        }
    }

    fn let_go_of_closed(&mut self, now: Time, done: &mut Vec<Session>) {
        let Some((at, slot, generation)) = self.closing.pop_front() else {
            return;
        };
        let Some(s) = self.slab.get(slot as usize) else {
            return;
        };
        if s.generation != generation || !s.closing {
            return;
        }
        // A late line moves the end on; an accepted login reopens it.
        let late = s.last.0 + LINGER;
        if late > at && now.0 >= s.last.0 {
            let place = self.closing.partition_point(|(at, ..)| *at <= late);
            self.closing.insert(place, (late, slot, generation));
        } else {
            self.finish(slot, End::Closed, done);
        }
    }

    fn let_go_of_quiet(&mut self, now: Time, done: &mut Vec<Session>) {
        let Some((began, slot, generation)) = self.opened.pop_front() else {
            return;
        };
        let Some(s) = self.slab.get(slot as usize) else {
            return;
        };
        if s.generation != generation {
            return;
        }
        let last = s.last.0;
        if s.accepted.is_some() || s.closing {
            // A login may last for months: looked at again only when places run out.
            self.opened.push_back((now.0, slot, generation));
        } else if last > began {
            let place = self.opened.partition_point(|(at, ..)| *at <= last);
            self.opened.insert(place, (last, slot, generation));
        } else {
            self.finish(slot, End::Quiet, done);
        }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.slab.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The end of the input: everything that is still open, oldest first.
    pub fn drain(&mut self, done: &mut Vec<Session>) {
        let mut open: Vec<(Time, u32, u32)> = self
            .slab
            .iter()
            .enumerate()
            .filter(|(_, s)| s.generation != 0)
            .map(|(i, s)| (s.first, s.generation, i as u32))
            .collect();
        open.sort_unstable();
        for (.., slot) in open {
            self.finish(slot, End::Open, done);
        }
    }
}

#[cfg(test)]
mod tests;
