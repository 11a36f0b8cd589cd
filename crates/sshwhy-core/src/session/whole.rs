//! Which connections stand wholly in one block of the log and tell nothing but what can be counted. They are joined in the parallel
//! half, so that the second half, which is one thread's work, takes each in at once and not line by line.
//!
//! What comes of it is exactly what [`Sessions`] makes of the same lines one by one. Whatever could make a difference keeps a
//! connection out, and its lines go the long way: a login, a line that some detector listens to, more than one name, a peer's port
//! that another connection's line in the block names too, an end so late in the block that more lines may come in the next. A block
//! in which time goes back is not joined at all.

use super::{End, LINGER, LineRef, PREAUTH_QUIET, Role, Session, Sessions};
use crate::detect::forgery::{Harmless, client_text};
use crate::detect::kinds::Kind;
use crate::detect::pulse::Pulse;
use crate::event::{Row, catalog};
use crate::names::{AddrId, HostId};
use crate::scan::{NO_TIME, NONE, Record, UNKNOWN, flag};
use crate::time::Time;
use hashbrown::HashMap;

/// A connection, with the block's own numbers of its host, address and user; its first line is counted from the block's start.
#[derive(Clone, Debug)]
pub struct Whole {
    pub session: Session,
    /// When sshd said that it was over.
    over: Time,
    /// Lines that say that something failed or ended.
    pub failed: u32,
    /// Lines such as are written once in a connection's life.
    pub once: u32,
    /// It is one, and not only some lines with the same number.
    pub holds: bool,
    ended: bool,
}

/// What one record is to its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part(u32);

impl Part {
    const NONE: Part = Part(u32::MAX);
    /// It counts against the connection's address.
    const BAD: u32 = 1 << 31;
    /// With it the connection is over.
    const OVER: u32 = 1 << 30;

    /// Which of [`Wholes::all`].
    pub fn whole(self) -> Option<usize> {
        (self != Part::NONE).then_some((self.0 & !(Part::BAD | Part::OVER)) as usize)
    }

    pub fn is_bad(self) -> bool {
        self.0 & Part::BAD != 0
    }

    pub fn ends_it(self) -> bool {
        self.0 & Part::OVER != 0
    }
}

/// What was joined in one block. Empty where nothing could be.
#[derive(Clone, Debug)]
pub struct Wholes {
    pub all: Vec<Whole>,
    /// By record.
    parts: Vec<Part>,
    /// The distinct wordings in the block: host, row and text.
    pub wordings: Vec<(u16, Row, u8)>,
    /// By host of the block: when it wrote.
    pub pulses: Vec<Option<Pulse>>,
    /// The first line of the block, and the last one of a daemon.
    pub first: Time,
    pub last: Time,
    /// Some line is the same as the one before it, and it is one that is written once in a connection's life.
    pub copies: bool,
    /// Some line is the same as the one before it.
    pub repeats: bool,
}

impl Default for Wholes {
    fn default() -> Wholes {
        Wholes {
            all: Vec::new(),
            parts: Vec::new(),
            wordings: Vec::new(),
            pulses: Vec::new(),
            first: Time(NO_TIME),
            last: Time(NO_TIME),
            copies: false,
            repeats: false,
        }
    }
}

impl Wholes {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn part(&self, record: usize) -> Option<Part> {
        self.parts.get(record).copied()
    }

    pub fn clear(&mut self) {
        self.all.clear();
        self.parts.clear();
        self.wordings.clear();
        self.pulses.clear();
        self.copies = false;
        self.repeats = false;
    }
}

/// What a row's lines may do in a connection that is joined whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plain {
    role: Role,
    /// It counts against the address, unless PAM wrote it.
    bad: bool,
    /// It says that something failed or ended.
    failed: bool,
    /// It holds words of the client's.
    text: bool,
}

impl Plain {
    /// `None`: not every effect of such a line is a count.
    fn of(message: &crate::catalog::messages::Message) -> Option<Plain> {
        let role = Role::of(message);
        let text = match Kind::of(message) {
            Kind::Plain => false,
            Kind::ClientText => true,
            _ => return None,
        };
        let (bad, failed) = match role {
            Role::Failed | Role::FailedKey | Role::Closed => (true, true),
            Role::FailedDialogue | Role::InvalidUser | Role::Silent | Role::TooManyFailures => {
                (true, false)
            }
            Role::FailedPam | Role::Other | Role::Connection => (false, false),
            _ => return None,
        };
        Some(Plain {
            role,
            bad,
            failed,
            text,
        })
    }
}

/// A power of two: the latest process numbers, each with its connection.
const LATEST: usize = 1024;
/// Likewise, wordings.
const SETTLED: usize = 512;

/// Ports of peers that lines name which go the long way, as bits.
#[derive(Debug)]
struct Ports(Box<[u64; 1024]>);

impl Default for Ports {
    fn default() -> Ports {
        Ports(Box::new([0; 1024]))
    }
}

impl Ports {
    fn clear(&mut self) {
        self.0.fill(0);
    }

    fn insert(&mut self, port: u16) {
        if let Some(word) = self.0.get_mut(usize::from(port >> 6)) {
            *word |= 1 << (port & 63);
        }
    }

    fn contains(&self, port: u16) -> bool {
        self.0
            .get(usize::from(port >> 6))
            .is_some_and(|word| word >> (port & 63) & 1 == 1)
    }
}

/// Joins one block after the other, keeping its buffers.
#[derive(Debug)]
pub struct Joiner {
    /// By row.
    plain: Vec<Option<Plain>>,
    once: Vec<bool>,
    by_pid: HashMap<(u16, u32), u32>,
    latest: Box<[u32; LATEST]>,
    ports: Ports,
    harmless: Harmless,
    settled: [u64; SETTLED],
}

impl Default for Joiner {
    fn default() -> Joiner {
        Joiner {
            plain: catalog().rows().iter().map(|m| Plain::of(m)).collect(),
            once: catalog()
                .rows()
                .iter()
                .map(|m| Role::of(m).happens_once())
                .collect(),
            by_pid: HashMap::new(),
            latest: Box::new([NONE; LATEST]),
            ports: Ports::default(),
            harmless: Harmless::default(),
            settled: [0; SETTLED],
        }
    }
}

impl Joiner {
    /// Joins what can be joined of a block's records; `text` gives the message of one.
    pub fn join<'a>(
        &mut self,
        records: &[Record],
        text: impl Fn(&Record) -> &'a [u8],
        out: &mut Wholes,
    ) {
        out.clear();
        self.by_pid.clear();
        self.latest.fill(NONE);
        self.ports.clear();
        self.settled.fill(0);
        let Some(first) = records.first() else {
            return;
        };
        out.first = Time(first.time);
        out.last = Time(first.time);
        if !in_order(records) {
            return;
        }
        let mut before = None;
        for record in records {
            if before.is_some_and(|b| same(b, record)) {
                out.repeats = true;
                out.copies |= self.happens_once(record);
            }
            before = Some(record);
            self.heard(record, out);
            let part = self.line(record, &text, out);
            out.parts.push(part);
        }
        let end = records.last().map_or(NO_TIME, |r| r.time);
        for w in &mut out.all {
            // It must be handed out in this block, and everything that was said of it must have been said by then.
            let s = &w.session;
            w.holds &=
                w.ended && s.port != 0 && s.last.0 < w.over.0 + LINGER && s.last.0 + LINGER <= end;
            if !w.holds {
                self.ports.insert(s.port);
            }
        }
        for w in &mut out.all {
            w.holds &= !self.ports.contains(w.session.port);
        }
    }

    fn happens_once(&self, record: &Record) -> bool {
        let once = self.once.get(usize::from(record.row));
        once.copied().unwrap_or(false)
    }

    /// What the line says of its host and of the daemon's release.
    fn heard(&mut self, record: &Record, out: &mut Wholes) {
        let host = usize::from(record.host);
        if host >= out.pulses.len() {
            out.pulses.resize(host + 1, None);
        }
        if let Some(pulse) = out.pulses.get_mut(host) {
            Pulse::beat(pulse, Time(record.time));
        }
        if !record.is(flag::DAEMON) || record.row == UNKNOWN {
            return;
        }
        let wording = 1 << 40
            | u64::from(record.host) << 24
            | u64::from(record.row) << 8
            | u64::from(record.text);
        let place =
            (usize::from(record.row) ^ (usize::from(record.text) << 5) ^ (host * 7)) % SETTLED;
        if let Some(known) = self.settled.get_mut(place)
            && *known != wording
        {
            *known = wording;
            out.wordings.push((record.host, record.row, record.text));
        }
    }

    fn line<'a>(
        &mut self,
        record: &Record,
        text: &impl Fn(&Record) -> &'a [u8],
        out: &mut Wholes,
    ) -> Part {
        if !record.is(flag::DAEMON) {
            return Part::NONE;
        }
        out.last = Time(record.time);
        if record.pid == 0 {
            self.ports.insert(record.port);
            return Part::NONE;
        }
        let id = self.connection(record, out);
        let Some(w) = out.all.get_mut(id as usize) else {
            return Part::NONE;
        };
        let mut part = id;
        let plain = self.plain.get(usize::from(record.row)).copied().flatten();
        let fits = w.holds && plain.is_some_and(|p| fits(&w.session, record, p));
        let plain = plain.filter(|p| {
            fits && (!p.text
                || client_text(text(record)).is_none_or(|words| self.harmless.is(words)))
        });
        let Some(plain) = plain else {
            w.holds = false;
            self.ports.insert(record.port);
            return Part(part);
        };
        let at = LineRef {
            file: 0,
            line: u64::from(record.line),
        };
        let time = Time(record.time);
        let over = w
            .session
            .note(record, record.addr, record.user, plain.role, time, at);
        w.failed += u32::from(plain.failed);
        w.once += u32::from(plain.role.happens_once());
        if plain.bad && w.session.has_addr() && !text(record).starts_with(b"pam_") {
            part |= Part::BAD;
        }
        if over && !w.ended {
            w.ended = true;
            w.over = time;
            w.session.closing = true;
            w.session.end = End::Closed;
            part |= Part::OVER;
        }
        Part(part)
    }

    /// The connection of the line's process.
    #[inline]
    fn connection(&mut self, record: &Record, out: &mut Wholes) -> u32 {
        let latest = self.latest.get_mut(record.pid as usize % LATEST);
        if let Some(id) = &latest
            && let Some(w) = out.all.get(**id as usize)
            && w.session.pid == record.pid
            && w.session.host == u32::from(record.host)
        {
            return **id;
        }
        let fresh = out.all.len() as u32;
        let id = *self
            .by_pid
            .entry((record.host, record.pid))
            .or_insert(fresh);
        if id == fresh {
            let at = LineRef {
                file: 0,
                line: u64::from(record.line),
            };
            let time = Time(record.time);
            out.all.push(Whole {
                session: Session::new(u32::from(record.host), record.pid, time, at, 0),
                over: time,
                failed: 0,
                once: 0,
                holds: true,
                ended: false,
            });
        }
        if let Some(latest) = latest {
            *latest = id;
        }
        id
    }
}

/// Whether two lines say the same of the same process in the same moment.
fn same(a: &Record, b: &Record) -> bool {
    let key = |r: &Record| (r.time, r.pid, r.row, r.len, r.addr, r.user, r.host, r.port);
    a.pid != 0 && key(a) == key(b)
}

/// Every line has a time, which does not go back, and stands for itself.
fn in_order(records: &[Record]) -> bool {
    let mut last = NO_TIME;
    records.iter().all(|r| {
        let before = std::mem::replace(&mut last, r.time);
        r.time >= before && Time(r.time).is_dated() && !r.is(flag::TWICE | flag::REPEATS_LAST)
    })
}

/// Whether the line goes on with the connection as [`Sessions::attach`] would have it, about the same peer and user.
fn fits(s: &Session, record: &Record, plain: Plain) -> bool {
    let same = |known: u32, said: u32| known == NONE || said == NONE || known == said;
    !record.is(flag::AMBIGUOUS)
        && same(s.addr, record.addr)
        && same(s.user, record.user)
        && (s.port == 0 || record.port == 0 || s.port == record.port)
        && record.time - s.last.0 <= PREAUTH_QUIET
        && (plain.role != Role::Connection || s.lines == 0)
}

impl Sessions {
    /// Whether a block can be taken in whole that begins then: time has not gone back.
    pub fn follows(&self, first: Time) -> bool {
        first.0 >= self.newest
    }

    /// Whether a line of this process, or of this peer, would find a session.
    pub fn finds(&self, (host, pid, addr, port): (HostId, u32, AddrId, u16)) -> bool {
        self.by_pid.contains_key(&(host, pid)) || self.by_port.contains_key(&(addr, port))
    }

    /// Takes in a connection whose last line was read; it is handed out when its time comes. `session` has the run's numbers.
    pub fn put(&mut self, whole: &Whole, session: Session, done: &mut Vec<Session>) {
        self.let_go(whole.over, done);
        let slot = self.place(Session {
            by_port: false,
            listed: false,
            ..session
        });
        self.closing
            .push_back((whole.over.0 + LINGER, slot, self.generation));
    }

    /// A block was taken in: it is as late as that.
    pub fn advance(&mut self, last: Time, done: &mut Vec<Session>) {
        self.newest = last.0;
        self.behind = 0;
        self.let_go(last, done);
    }
}
