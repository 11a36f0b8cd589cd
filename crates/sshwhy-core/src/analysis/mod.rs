//! Second half of the log pipeline, in order: records become sessions, tallies and findings, and in the end a [`Report`].
//!
//! It sees each block once and keeps nothing of it but counts, names (bounded by [`crate::names::Limits`]), open sessions
//! (bounded by [`Sessions`]) and accepted logins (bounded by [`MAX_LOGINS`]).

mod ending;
mod joined;
mod tally;
mod twins;

use self::joined::Way;
use self::tally::{AddrTally, HourTally, UserTally};
use self::twins::Twins;
use crate::addr::{Addr, Cidr};
use crate::catalog::deeds::SESSIONS;
use crate::catalog::messages::Hostile;
use crate::detect::{Detectors, Fact};
use crate::event::{Row, catalog};
use crate::line::Program;
use crate::names::{AddrId, Limits, Names, UserId};
use crate::once::Once;
use crate::report::{InputFile, Login, Totals};
use crate::scan::{Deed, NO_TIME, NONE, Record, Scanned, UNKNOWN, flag};
use crate::session::{LineRef, Repeats, Role, Said, Session, Sessions};
use crate::time::{HOUR, MINUTE, SECOND, Time, Zone};
use crate::trace::{Acts, Deeds, Source};
use crate::version::Versions;
use std::collections::BTreeMap;

/// Accepted logins kept for the audit list; more are counted.
pub const MAX_LOGINS: usize = 100_000;
/// So many records at a time the addresses that come next are looked up in advance.
const AHEAD: usize = 512;

/// Which lines count. Everything is inclusive; nothing given means everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub addrs: Vec<Cidr>,
    pub users: Vec<String>,
    pub hosts: Vec<String>,
}

impl Filter {
    fn time(&self, t: Time) -> bool {
        self.since.is_none_or(|s| t >= s) && self.until.is_none_or(|u| t <= u)
    }

    fn names(&self) -> bool {
        !self.addrs.is_empty() || !self.users.is_empty()
    }

    /// Whether it leaves anything out.
    pub fn any(&self) -> bool {
        self.names() || !self.hosts.is_empty() || self.since.is_some() || self.until.is_some()
    }
}

/// Scratch for looking ahead.
#[derive(Debug, Default)]
struct Ahead {
    /// By the block's number of an address: the chunk in which it was looked up last.
    seen: Vec<u32>,
    soon: Vec<AddrId>,
}

/// What was counted in the block at hand.
#[derive(Clone, Copy, Debug)]
struct Read {
    lines: u64,
    first: i64,
    last: i64,
}

impl Default for Read {
    fn default() -> Read {
        Read {
            lines: 0,
            first: i64::MAX,
            last: i64::MIN,
        }
    }
}

/// A file as the program opened it.
#[derive(Clone, Debug, Default)]
pub struct FileFacts {
    pub name: String,
    pub bytes: u64,
}

/// The whole run.
#[derive(Debug)]
pub struct Analysis {
    filter: Filter,
    zone: Zone,
    names: Names,
    hostile: Vec<Hostile>,
    sessions: Sessions,
    detectors: Detectors,
    versions: Versions,
    files: Vec<String>,
    inputs: Vec<InputFile>,
    /// By input: the log whose lines may stand in another one too.
    shared: Vec<Option<u32>>,
    once: Once,
    twins: Twins,
    /// What became of the record before.
    before: Option<Resolved>,
    addr_tally: Vec<AddrTally>,
    user_tally: Vec<UserTally>,
    hours: BTreeMap<i64, HourTally>,
    logins: Vec<Login>,
    logins_cut: u64,
    totals: Totals,
    lines: u64,
    bytes: u64,
    ssh_lines: u64,
    unknown: u64,
    lines_joined: u64,
    last_time: i64,
    /// Lines so far that have no time, in an input where none before them has one.
    undated: u64,
    /// The input of the block before.
    reading: u32,
    /// The hour that is being read a second time.
    second_hour: Option<i64>,
    read: Read,
    done: Vec<Session>,
    /// Every login one by one, for callers that asked for it.
    acts: Option<Acts>,
    /// With the logins: what was done on the host.
    deeds: Option<Deeds>,
    /// With those: by row, the kind of session that sshd says began.
    kinds: Vec<Option<&'static str>>,
    suppressed: u64,
    repeats: Repeats,
    /// Scratch: local to global numbers of the block at hand.
    maps: [Vec<u32>; 3],
    ahead: Ahead,
    /// Scratch: by connection of the block at hand, how it is taken in.
    ways: Vec<Way>,
    hour: (i64, HourTally),
}

/// What became of one record: for callers that print every line.
#[derive(Clone, Copy, Debug)]
pub struct Resolved {
    /// Differs from the record's where the line only says that the one before was repeated.
    pub row: Row,
    pub addr: AddrId,
    pub user: UserId,
    pub port: u16,
    pub hostile: bool,
    pub time: Option<Time>,
    /// It is not what a filter leaves out.
    pub passed: bool,
}

impl Analysis {
    pub fn new(zone: Zone, filter: Filter, limits: Limits, detectors: Detectors) -> Analysis {
        Analysis {
            filter,
            zone,
            names: Names::new(limits),
            hostile: catalog().rows().iter().map(|m| m.hostile).collect(),
            sessions: Sessions::default(),
            detectors,
            versions: Versions::default(),
            files: Vec::new(),
            inputs: Vec::new(),
            shared: Vec::new(),
            once: Once::new(),
            twins: Twins::default(),
            before: None,
            addr_tally: Vec::new(),
            user_tally: Vec::new(),
            hours: BTreeMap::new(),
            logins: Vec::new(),
            logins_cut: 0,
            totals: Totals::default(),
            lines: 0,
            bytes: 0,
            ssh_lines: 0,
            unknown: 0,
            lines_joined: 0,
            last_time: NO_TIME,
            undated: 0,
            reading: u32::MAX,
            second_hour: None,
            read: Read::default(),
            done: Vec::new(),
            acts: None,
            deeds: None,
            kinds: Vec::new(),
            suppressed: 0,
            repeats: Repeats::default(),
            maps: Default::default(),
            ahead: Ahead::default(),
            ways: Vec::new(),
            hour: (i64::MIN, HourTally::default()),
        }
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    /// How many lines were taken in as a part of a connection that was joined before.
    pub fn lines_joined(&self) -> u64 {
        self.lines_joined
    }

    /// Keeps every login one by one from now on, and what was done on the host (bounded, see [`crate::trace::acts`] and
    /// [`crate::trace::deeds`]).
    pub fn keep_acts(&mut self) {
        self.acts = Some(Acts::default());
        self.deeds = Some(Deeds::default());
        self.kinds = catalog()
            .rows()
            .iter()
            .map(|m| SESSIONS.iter().find(|s| s.0 == m.slug).map(|s| s.1))
            .collect();
    }

    /// Whether blocks should be scanned for what other programs say was done.
    pub fn wants_deeds(&self) -> bool {
        self.deeds.is_some()
    }

    /// What was done on the host, where that was kept.
    pub fn take_deeds(&mut self) -> Deeds {
        let mut deeds = self.deeds.take().unwrap_or_default();
        deeds.name(&self.names);
        deeds
    }

    /// Ends all open sessions and hands out the logins by source, and how many were not kept.
    pub fn take_sources(&mut self) -> (Vec<Source>, u64) {
        self.close_sessions();
        let acts = self.acts.take().unwrap_or_default();
        let dropped = acts.dropped;
        (acts.sources(&self.names), dropped)
    }

    fn close_sessions(&mut self) {
        self.sessions.drain(&mut self.done);
        self.end_sessions();
    }

    /// Announces an input; returns its number. Lines that follow belong to it.
    pub fn file(&mut self, name: &str) -> u32 {
        self.files.push(name.to_owned());
        self.inputs.push(InputFile {
            name: name.to_owned(),
            ..InputFile::default()
        });
        self.repeats.last = None;
        (self.files.len() - 1) as u32
    }

    /// Says that the lines of input `file`, a part of log `set`, may stand in another log of the same machine too: each counts
    /// once.
    pub fn share(&mut self, file: u32, set: u32) {
        let file = file as usize;
        if self.shared.len() <= file {
            self.shared.resize(file + 1, None);
        }
        if let Some(slot) = self.shared.get_mut(file) {
            *slot = Some(set);
        }
    }

    /// Whether a line counts here, and not in another log that holds it too.
    fn claim(
        &mut self,
        at: LineRef,
        host: u32,
        time: Option<Time>,
        pid: u32,
        message: &[u8],
    ) -> bool {
        match (self.shared.get(at.file as usize), time) {
            (Some(Some(set)), Some(time)) => {
                let pid = (pid != 0).then_some(pid);
                self.once.claim(
                    *set,
                    self.names.host_of(host).as_bytes(),
                    time.secs(),
                    pid,
                    message,
                )
            }
            _ => true,
        }
    }

    /// Takes in one block of input `file`, whose first line has the number `first_line` (from 1). `resolved`, where wanted, gets
    /// one entry for each record.
    pub fn fold(
        &mut self,
        block: &[u8],
        scanned: &Scanned,
        file: u32,
        first_line: u64,
        mut resolved: Option<&mut Vec<Resolved>>,
    ) {
        // What one log says of the time says nothing about the lines of another.
        if std::mem::replace(&mut self.reading, file) != file {
            self.last_time = NO_TIME;
        }
        self.lines += scanned.lines;
        self.bytes += block.len() as u64;
        if let Some(input) = self.inputs.get_mut(file as usize) {
            input.lines += scanned.lines;
            input.bytes += block.len() as u64;
        }
        let mut maps = std::mem::take(&mut self.maps);
        let forgotten = self.names.forgotten();
        self.names.number(block, scanned, &mut maps);
        // What stands for many names joins what does not belong together.
        let distinct = self.names.forgotten() == forgotten;
        let [addrs, users, hosts] = &maps;
        self.addr_tally
            .resize(self.names.addr_count(), AddrTally::default());
        self.user_tally
            .resize(self.names.user_count(), UserTally::default());
        let wanted_hosts: Vec<bool> = hosts
            .iter()
            .map(|h| {
                self.filter.hosts.is_empty()
                    || self
                        .filter
                        .hosts
                        .iter()
                        .any(|w| w == self.names.host_of(*h))
            })
            .collect();
        self.read = Read::default();
        let joined = distinct && resolved.is_none() && self.joins(scanned, file, &maps);
        let mut wholes = scanned.wholes.all.as_slice();
        let mut number = 0;
        let mut records = scanned.records.as_slice();
        let mut chunks = 0;
        self.ahead.seen.clear();
        self.ahead.seen.resize(addrs.len(), 0);
        let mut deeds = scanned.deeds.as_slice();
        while !records.is_empty() {
            let (chunk, later) = records.split_at(AHEAD.min(records.len()));
            chunks += 1;
            if joined {
                let end = chunk.last().map_or(0, |r| u64::from(r.line));
                let soon = wholes.partition_point(|w| w.session.line <= end);
                let (soon, later) = wholes.split_at(soon);
                wholes = later;
                self.warm(chunks, soon.iter().map(|w| w.session.addr), addrs);
            } else {
                self.warm(chunks, chunk.iter().map(|r| r.addr), addrs);
            }
            for record in chunk {
                number += 1;
                if joined && self.skips(number - 1, scanned, block, &maps, file, first_line) {
                    continue;
                }
                while let Some((deed, more)) = deeds.split_first()
                    && deed.line < record.line
                {
                    deeds = more;
                    let host = hosts.get(usize::from(deed.host)).copied().unwrap_or(0);
                    let text = scanned.text(block, deed.message);
                    self.deed(deed, host, file, first_line, text);
                }
                let at = LineRef {
                    file,
                    line: first_line + u64::from(record.line),
                };
                let addr = addrs.get(record.addr as usize).copied().unwrap_or(NONE);
                let user = users.get(record.user as usize).copied().unwrap_or(NONE);
                let host = hosts.get(usize::from(record.host)).copied().unwrap_or(0);
                let wanted = wanted_hosts
                    .get(usize::from(record.host))
                    .copied()
                    .unwrap_or(true);
                let message = scanned.message(block, record);
                let out = self.record(record, addr, user, host, wanted, at, message);
                if let Some(list) = resolved.as_deref_mut() {
                    list.push(out);
                }
            }
            records = later;
        }
        for deed in deeds {
            let host = hosts.get(usize::from(deed.host)).copied().unwrap_or(0);
            let text = scanned.text(block, deed.message);
            self.deed(deed, host, file, first_line, text);
        }
        if joined {
            self.joined(scanned, &maps);
        }
        if let Some((line, text)) = scanned.first_unread {
            let at = LineRef {
                file,
                line: first_line + u64::from(line),
            };
            self.detectors
                .unread(scanned.unread, at, scanned.text(block, text));
        }
        self.ssh_lines += self.read.lines;
        if let Some(input) = self.inputs.get_mut(file as usize) {
            let read = &self.read;
            input.ssh_lines += read.lines;
            if read.first <= read.last {
                let (first, last) = (Time(read.first), Time(read.last));
                input.first = Some(input.first.map_or(first, |f| f.min(first)));
                input.last = Some(input.last.map_or(last, |l| l.max(last)));
            }
        }
        self.maps = maps;
    }

    /// A line of another program, which says that something was done.
    fn deed(&mut self, deed: &Deed, host: u32, file: u32, first_line: u64, message: &[u8]) {
        let mut time = deed.time;
        if deed.twice && self.second_hour == Some(time.0.div_euclid(HOUR)) {
            time.0 += HOUR;
        }
        let hosts = &self.filter.hosts;
        if !self.filter.time(time)
            || !(hosts.is_empty() || hosts.iter().any(|h| h == self.names.host_of(host)))
        {
            return;
        }
        let at = LineRef {
            file,
            line: first_line + u64::from(deed.line),
        };
        if let Some(deeds) = &mut self.deeds {
            deeds.line(deed.program, message, time, at, host);
        }
    }

    /// Looks ahead at the addresses that come next, by their numbers in the block. `chunk` counts the calls for one block.
    fn warm(&mut self, chunk: u32, next: impl Iterator<Item = u32>, addrs: &[AddrId]) {
        let ahead = &mut self.ahead;
        ahead.soon.clear();
        for addr in next {
            // Each address once: a connection has several lines.
            if let Some(seen) = ahead.seen.get_mut(addr as usize)
                && *seen != chunk
                && let Some(id) = addrs.get(addr as usize)
            {
                *seen = chunk;
                ahead.soon.push(*id);
            }
        }
        let mut tallies = 0u32;
        for id in &ahead.soon {
            if let Some(t) = self.addr_tally.get(*id as usize) {
                tallies ^= t.failures;
            }
        }
        std::hint::black_box(u64::from(tallies) ^ self.detectors.warm(ahead.soon.iter().copied()));
    }

    fn end_sessions(&mut self) {
        let mut done = std::mem::take(&mut self.done);
        for s in done.drain(..) {
            self.ended(&s);
        }
        self.done = done;
    }

    #[allow(clippy::too_many_arguments)]
    fn record(
        &mut self,
        record: &Record,
        addr: AddrId,
        user: UserId,
        host: u32,
        wanted: bool,
        at: LineRef,
        message: &[u8],
    ) -> Resolved {
        let Said {
            mut record,
            addr,
            user,
            role,
            ..
        } = self.repeats.resolve(record, host, addr, user);
        // The hour that exists twice: the later reading is right from where the file steps back in it.
        if record.is(flag::TWICE) {
            let hour = record.time.div_euclid(HOUR);
            let back = self.last_time != NO_TIME && record.time + 30 * MINUTE < self.last_time;
            if self.second_hour == Some(hour) || back {
                self.second_hour = Some(hour);
                record.time += HOUR;
            }
        }
        let time = record.time();
        if let Some(t) = time {
            self.last_time = t.0;
        }
        // A line without a time happened when its neighbours did, and after them where none of them has one.
        let now = time.unwrap_or_else(|| {
            if self.last_time == NO_TIME {
                self.undated += 1;
                Time::undated(self.undated)
            } else {
                Time(self.last_time)
            }
        });
        let mut out = Resolved {
            row: record.row,
            addr,
            user,
            port: record.port,
            hostile: record.is(flag::HOSTILE) && addr != NONE,
            time,
            passed: false,
        };
        if !wanted
            || (time.is_some() && !self.filter.time(now))
            || !self.claim(at, host, time, record.pid, message)
        {
            return out;
        }
        if self.twins.is_copy(&record, host, addr, user, role) {
            return self.before.unwrap_or(out);
        }
        self.read.lines += 1;
        if let Some(t) = time {
            self.read.first = self.read.first.min(t.0);
            self.read.last = self.read.last.max(t.0);
        }
        if record.row == UNKNOWN {
            self.unknown += 1;
        } else if record.is(flag::DAEMON) {
            self.versions.see(host, record.row, record.text);
        }
        let slot = if record.is(flag::DAEMON) {
            let done = &mut self.done;
            let slot = self
                .sessions
                .attach(&record, host, addr, user, role, now, at, done);
            if !self.done.is_empty() {
                self.end_sessions();
            }
            slot
        } else {
            None
        };
        let mut session_hostile = false;
        if let Some(s) = slot.and_then(|s| self.sessions.get(s)) {
            if out.addr == NONE {
                out.addr = s.addr;
            }
            if out.port == 0 {
                out.port = s.port;
            }
            if out.user == NONE && role != Role::Other {
                out.user = s.user;
            }
            session_hostile = s.hostile;
        }
        if record.row != UNKNOWN {
            let counts = record.is(flag::HOSTILE)
                || match self
                    .hostile
                    .get(usize::from(record.row))
                    .copied()
                    .unwrap_or(Hostile::No)
                {
                    Hostile::InContext => session_hostile,
                    Hostile::Once => !session_hostile,
                    Hostile::No | Hostile::Yes | Hostile::Preauth => false,
                };
            out.hostile = out.addr != NONE && counts;
        }
        if out.hostile
            && let Some(s) = slot.and_then(|s| self.sessions.get_mut(s))
        {
            s.hostile = true;
        }
        if self.filter.names() && !self.passes(out.addr, out.user) {
            self.before = Some(out);
            return out;
        }
        out.passed = true;
        let fact = Fact {
            time: now,
            at,
            host,
            pid: record.pid,
            addr: out.addr,
            user: out.user,
            port: out.port,
            row: record.row,
            role,
            flags: record.flags,
            hostile: out.hostile,
            repeat: record.repeat.max(1),
            message,
        };
        self.detectors.line(&fact, &self.names);
        if role == Role::Dropped {
            self.totals.dropped += u64::from(fact.repeat);
            self.hour_of(now).other += 1;
        }
        if role == Role::Accepted {
            self.accepted(slot, &fact);
        }
        if let Some(deeds) = &mut self.deeds
            && let Some(Some(kind)) = self.kinds.get(usize::from(record.row))
            && let Some(time) = time
            && out.user != NONE
        {
            deeds.session(kind, self.names.user_of(out.user), time, at, host);
        }
        self.before = Some(out);
        out
    }

    fn passes(&self, addr: AddrId, user: UserId) -> bool {
        let addr_ok = self.filter.addrs.is_empty()
            || matches!(self.names.addr_of(addr), Some(Addr::Ip(ip)) if self.filter.addrs.iter().any(|c| c.contains(*ip)));
        let user_ok = self.filter.users.is_empty()
            || (user != NONE
                && self
                    .filter
                    .users
                    .iter()
                    .any(|u| u == self.names.user_of(user)));
        addr_ok && user_ok
    }

    fn hour_of(&mut self, time: Time) -> &mut HourTally {
        let hour = time.dated().map_or(i64::MIN, |t| t.0.div_euclid(HOUR));
        if self.hour.0 != hour {
            self.flush_hour();
            self.hour.0 = hour;
        }
        &mut self.hour.1
    }

    fn flush_hour(&mut self) {
        let (hour, tally) = std::mem::replace(&mut self.hour, (i64::MIN, HourTally::default()));
        if hour != i64::MIN {
            let entry = self.hours.entry(hour).or_default();
            entry.failures += tally.failures;
            entry.accepted += tally.accepted;
            entry.other += tally.other;
        }
    }

    fn accepted(&mut self, slot: Option<u32>, fact: &Fact<'_>) {
        self.totals.accepted += 1;
        self.hour_of(fact.time).accepted += 1;
        if let Some(t) = self.addr_tally.get_mut(fact.addr as usize) {
            t.accepted = t.accepted.saturating_add(1);
        }
        if let Some(t) = self.user_tally.get_mut(fact.user as usize) {
            t.accepted += 1;
            t.exists = true;
        }
        if let Some(s) = slot.and_then(|s| self.sessions.get(s)) {
            self.detectors.accepted(s, fact.message, &self.names);
        }
        if self.logins.len() >= MAX_LOGINS {
            self.logins_cut += 1;
            return;
        }
        let event = catalog()
            .event(Program::Sshd, b"sshd", fact.message)
            .or_else(|| catalog().event(Program::Dropbear, b"dropbear", fact.message));
        let text = |b: Option<&[u8]>| b.map(|b| String::from_utf8_lossy(b).into_owned());
        let key = event.as_ref().and_then(|e| {
            let kind = text(e.key_type());
            match (kind, text(e.fingerprint())) {
                (Some(k), Some(f)) => Some(format!("{k} {f}")),
                (None, Some(f)) => Some(f),
                _ => None,
            }
        });
        if let Some(s) = slot.and_then(|s| self.sessions.get_mut(s)) {
            s.login = self.logins.len() as u32;
        }
        self.logins.push(Login {
            at: fact.time.dated(),
            host: self.names.host_of(fact.host).to_owned(),
            user: self.names.user_of(fact.user).to_owned(),
            addr: self.names.addr_text(fact.addr),
            port: (fact.port != 0).then_some(fact.port),
            method: text(event.as_ref().and_then(|e| e.method()))
                .unwrap_or_else(|| "unknown".to_owned()),
            key,
            seconds: None,
            source: format!(
                "{}:{}",
                self.files
                    .get(fact.at.file as usize)
                    .map_or("", |f| f.as_str()),
                fact.at.line
            ),
            findings: Vec::new(),
        });
    }

    /// A session is over.
    fn ended(&mut self, s: &Session) {
        if self.filter.names() && !self.passes(s.addr, s.user) {
            return;
        }
        self.detectors.ended(s, &self.names);
        if let Some(acts) = &mut self.acts {
            acts.ended(s, &self.names);
        }
        self.totals.connections += 1;
        let tries = s.attempts_failed();
        let failed = u64::from(tries);
        self.totals.failures += failed;
        self.totals.invalid_users += u64::from(s.invalid_user);
        let idle = s.without_attempt();
        self.totals.without_attempt += u64::from(idle);
        if failed > 0 {
            self.hour_of(s.first).failures += failed;
        } else if idle {
            self.hour_of(s.first).other += 1;
        }
        if let Some(t) = self.addr_tally.get_mut(s.addr as usize) {
            t.ended(s, tries);
        }
        if let Some(t) = self.user_tally.get_mut(s.user as usize) {
            t.ended(s, failed);
        }
        if let Some(login) = self.logins.get_mut(s.login as usize)
            && let (Some((at, _)), crate::session::End::Closed) = (s.accepted, s.end)
            && at.is_dated()
        {
            login.seconds = Some(((s.last.0 - at.0).max(0) / SECOND) as u64);
        }
    }
}
