//! What the detectors are given, and what they give back.
//!
//! [`Detectors`] hears of every line about SSH as a [`Fact`], of every accepted login and of every session that is over, in the
//! order of the log; at the end it turns what it counted into findings. It never sees text except to quote it as evidence.
//!
//! Two halves: while the log is read everything is only counted ([`ledger`] by address, the rest by what is rare), in the order
//! of time ([`order`]); afterwards [`standing`] says whose failures are a person's or a job's, each `judge` accuses, and each
//! `findings` writes, in that order, so that no finding contradicts another.

mod blind;
mod case;
mod distributed;
mod flood;
pub(crate) mod forgery;
mod guessing;
pub(crate) mod kinds;
mod ledger;
mod logins;
mod monitor;
mod order;
mod probing;
pub(crate) mod pulse;
mod quotes;
mod schedule;
mod settings;
mod standing;
mod success;
mod trouble;
pub mod words;

pub use settings::{SettingError, Settings};

use self::blind::Sight;
use self::case::Case;
use self::flood::Flood;
use self::forgery::{Forgers, Imitation};
use self::kinds::Kind;
use self::ledger::{Event, Ledger, What};
use self::logins::Logins;
use self::monitor::Beats;
use self::order::Order;
use self::pulse::Pulse;
use self::quotes::Quotes;
use self::success::Successes;
use self::trouble::Troubles;
use crate::addr::{Addr, is_private};
use crate::event::{Row, catalog};
use crate::finding::Finding;
use crate::names::{AddrId, HostId, Names, UserId};
use crate::scan::{NONE, UNKNOWN, flag};
use crate::session::{End, LineRef, Role, Session, Whole};
use crate::time::{Time, Zone};

/// Of the lines that count against an address, the last one that may be quoted.
const QUOTED: u8 = 7;

/// One line about SSH, joined to its session.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    pub time: Time,
    pub at: LineRef,
    pub host: HostId,
    /// 0: not known.
    pub pid: u32,
    /// [`crate::scan::NONE`]: not known, not even from the session.
    pub addr: AddrId,
    /// [`crate::scan::NONE`]: not known.
    pub user: UserId,
    pub port: u16,
    /// [`crate::scan::UNKNOWN`]: a line that the catalogue does not know.
    pub row: crate::event::Row,
    pub role: Role,
    pub flags: u8,
    /// The line counts against its address.
    pub hostile: bool,
    /// How often it happened.
    pub repeat: u32,
    /// The message, for evidence.
    pub message: &'a [u8],
}

impl Fact<'_> {
    pub fn ambiguous(&self) -> bool {
        self.flags & flag::AMBIGUOUS != 0
    }
}

/// What findings need to know about the run to be written.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub names: &'a Names,
    /// Names of the inputs, by index: evidence is `name:line`.
    pub files: &'a [String],
    /// For times of day in headlines and windows.
    pub zone: &'a Zone,
}

impl Context<'_> {
    /// `file:line`
    pub fn source(&self, at: LineRef) -> String {
        let name = self
            .files
            .get(at.file as usize)
            .map_or("input", |n| n.as_str());
        format!("{name}:{}", at.line)
    }
}

/// All detectors over one run.
#[derive(Debug)]
pub struct Detectors {
    on: bool,
    settings: Settings,
    /// By row of the catalogue.
    kinds: Vec<Kind>,
    ledger: Ledger,
    order: Order<Event>,
    due: Vec<(Time, Event)>,
    quotes: Quotes,
    beats: Beats,
    flood: Flood,
    forgers: Forgers,
    logins: Logins,
    successes: Successes,
    troubles: Troubles,
    sight: Sight,
    /// By address: lines that count against it, up to seven. Apart from the ledger, because every line asks.
    bad_lines: Vec<u8>,
    /// By user: sshd called the name invalid.
    invalid: Vec<bool>,
}

impl Default for Detectors {
    fn default() -> Detectors {
        Detectors::new(Settings::default())
    }
}

impl Detectors {
    pub fn new(settings: Settings) -> Detectors {
        Detectors {
            on: true,
            kinds: catalog().rows().iter().map(|m| Kind::of(m)).collect(),
            ledger: Ledger::new(&settings),
            order: Order::default(),
            due: Vec::new(),
            quotes: Quotes::default(),
            beats: Beats::default(),
            flood: Flood::default(),
            forgers: Forgers::default(),
            logins: Logins::default(),
            successes: Successes::default(),
            troubles: Troubles::default(),
            sight: Sight::default(),
            bad_lines: Vec::new(),
            invalid: Vec::new(),
            settings,
        }
    }

    /// Hears everything and finds nothing: for callers that want lines only.
    pub fn off() -> Detectors {
        Detectors {
            on: false,
            ..Detectors::default()
        }
    }

    fn kind(&self, row: Row) -> Kind {
        self.kinds
            .get(usize::from(row))
            .copied()
            .unwrap_or(Kind::Plain)
    }

    /// Every line about SSH.
    pub fn line(&mut self, fact: &Fact<'_>, names: &Names) {
        if !self.on {
            return;
        }
        let kind = self.kind(fact.row);
        self.sight.line(fact, kind, &mut self.quotes);
        if self.successes.listening() {
            self.successes.line(fact, kind, &mut self.quotes);
        }
        match fact.role {
            Role::Accepted
            | Role::Connection
            | Role::SessionClosed
            | Role::LoggedOut
            | Role::FailedPam => return,
            Role::Other => {
                if kind == Kind::ClientText && fact.addr != NONE {
                    self.forgers.text(fact, &mut self.quotes);
                } else if kind == Kind::Foreign {
                    self.forgers.foreign(fact, &mut self.quotes);
                }
                return;
            }
            Role::Dropped => {
                if fact.addr != NONE {
                    self.ledger.touch(fact.addr, fact.host, fact.time, names);
                }
                self.flood.line(fact, kind, &mut self.quotes);
                return;
            }
            _ => {}
        }
        if matches!(kind, Kind::Fault | Kind::Denied)
            || (fact.addr == NONE && fact.role == Role::Probe)
        {
            self.troubles.hold(fact);
        }
        if kind == Kind::Fault
            && let Some((addr, user)) = self.troubles.thrown_out(fact)
        {
            self.thrown_out(fact, addr, user, names);
        }
        if kind == Kind::NotSsh && fact.addr != NONE {
            self.forgers.text(fact, &mut self.quotes);
        }
        let how = self.forgers.user(fact.user, names);
        if how != Imitation::No {
            self.forgers.line(fact, how, &mut self.quotes);
        }
        // PAM's side of an attempt says less than sshd's.
        if fact.message.starts_with(b"pam_") && kind == Kind::Plain {
            return;
        }
        if fact.addr == NONE {
            return;
        }
        self.bad_line(fact.addr, fact.time, fact.at, fact.message);
    }

    /// A line that counts against its address.
    pub fn bad_line(&mut self, addr: AddrId, time: Time, at: LineRef, message: &[u8]) {
        if !self.on {
            return;
        }
        let i = addr as usize;
        if i >= self.bad_lines.len() {
            self.bad_lines.resize(i + 1, 0);
        }
        let Some(lines) = self.bad_lines.get_mut(i).filter(|n| **n < QUOTED) else {
            return;
        };
        // The first two, and one that shows how it went on.
        *lines += 1;
        let place = match *lines {
            1 => 0,
            2 => 1,
            QUOTED => 2,
            _ => return,
        };
        if let Some(source) = self.ledger.source(addr)
            && let Some(place) = source.quotes.get_mut(place)
        {
            *place = self.quotes.keep(time, at, message);
        }
    }

    /// A connection of which no line names the address: where PAM refuses the account, sshd says who, why, and nothing more.
    fn nameless(&mut self, s: &Session, names: &Names) {
        let Some(row) = s.symptom.filter(|row| self.kind(*row) == Kind::Fault) else {
            return;
        };
        if s.accepted.is_some() || s.logged_in || !s.has_user() {
            return;
        }
        let mut e = event(s, What::Faulty, s.last);
        e.row = row;
        if self.troubles.wants_quote(s.addr, s.user) {
            e.quote = self.troubles.quote(s.host, s.pid, &mut self.quotes);
        }
        self.push(e, names);
    }

    /// A session ends for a fault right after its login was accepted.
    fn thrown_out(&mut self, fact: &Fact<'_>, addr: AddrId, user: UserId, names: &Names) {
        let quote = if self.troubles.wants_quote(addr, user) {
            self.quotes.keep(fact.time, fact.at, fact.message)
        } else {
            NONE
        };
        let e = Event {
            what: What::Faulty,
            first: fact.time,
            time: fact.time,
            addr,
            user,
            host: fact.host,
            n: 0,
            invalid: false,
            said: false,
            timed_out: false,
            refused: false,
            closed: false,
            let_in: true,
            not_ssh: false,
            mismatch: 0,
            row: fact.row,
            quote,
        };
        self.push(e, names);
    }

    /// What a stretch of a host's log says of it, before or instead of its lines.
    pub fn stretch(&mut self, host: HostId, pulse: &Pulse) {
        if self.on {
            self.sight.stretch(host, pulse);
        }
    }

    /// Whether that stretch goes on where the one before ended.
    pub fn follows(&self, host: HostId, pulse: &Pulse) -> bool {
        self.sight.follows(host, pulse)
    }

    /// Whether the lines of a connection that names this user must be looked at one by one.
    pub fn listens(&mut self, user: UserId, names: &Names) -> bool {
        self.on && self.forgers.user(user, names) != Imitation::No
    }

    /// Whether lines against this address may still be quoted.
    pub fn wants_lines(&self, addr: AddrId) -> bool {
        self.on
            && self
                .bad_lines
                .get(addr as usize)
                .is_none_or(|n| *n < QUOTED)
    }

    /// The lines of a connection that need not be looked at one by one.
    pub fn whole(&mut self, w: &Whole) {
        if self.on {
            self.sight
                .lines(u64::from(w.session.lines), u64::from(w.failed));
        }
    }

    /// Lines in sshd's words whose form is not known, and the first of them.
    pub fn unread(&mut self, lines: u64, at: LineRef, text: &[u8]) {
        if self.on {
            self.sight.unread(lines, at, text, &mut self.quotes);
        }
    }

    /// Addresses that are about to be counted.
    pub fn warm(&self, addrs: impl Iterator<Item = AddrId> + Clone) -> u64 {
        if self.on { self.ledger.warm(addrs) } else { 0 }
    }

    /// A login was accepted; the session goes on.
    pub fn accepted(&mut self, s: &Session, message: &[u8], names: &Names) {
        let Some((time, at)) = s.accepted.filter(|_| self.on) else {
            return;
        };
        let quote = self.logins.accepted(
            s,
            (time, at),
            message,
            names,
            &self.settings,
            &mut self.quotes,
        );
        if !s.has_addr() {
            return;
        }
        self.successes.let_in(s, time, &self.ledger);
        self.troubles.let_in(s, time);
        if s.failures > 0 {
            let failed = Event {
                n: s.failures,
                first: s.fail_first,
                said: true,
                ..event(s, What::Failed, s.fail_last.min(time))
            };
            self.push(failed, names);
        }
        let accepted = Event {
            quote,
            first: time,
            ..event(s, What::Accepted, time)
        };
        self.push(accepted, names);
    }

    /// A session is over (also one that was accepted).
    pub fn ended(&mut self, s: &Session, names: &Names) {
        if !self.on {
            return;
        }
        if !s.has_addr() {
            self.nameless(s, names);
            return;
        }
        if let Some((time, _)) = s.accepted {
            self.successes.ended(s);
            let ended = Event {
                first: time,
                closed: s.end == End::Closed,
                ..event(s, What::Ended, s.last)
            };
            self.push(ended, names);
            return;
        }
        if s.logged_in {
            // The log begins after its login.
            return;
        }
        let failures = s.attempts_failed();
        let row = s.symptom.unwrap_or(UNKNOWN);
        let kind = self.kind(row);
        let mut e = event(s, What::Gone, s.last);
        e.row = row;
        e.timed_out = s.timed_out;
        e.invalid = s.invalid_user && !s.not_allowed;
        e.refused = kind == Kind::Denied;
        if e.invalid && s.has_user() {
            let i = s.user as usize;
            if i >= self.invalid.len() {
                self.invalid.resize(i + 1, false);
            }
            if let Some(place) = self.invalid.get_mut(i) {
                *place = true;
            }
        }
        let said = s.failures.max(s.pam_failures).max(s.dialogue_failures) > 0;
        if kind == Kind::Fault && s.failures == 0 {
            e.what = What::Faulty;
        } else if failures > 0 {
            e.what = What::Failed;
            e.n = failures;
            e.said = said;
            if s.failures > 0 {
                e.first = s.fail_first;
                e.time = s.fail_last;
            } else if failures > 1 {
                e.first = s.first;
            }
        } else if s.probed {
            e.what = What::Probed;
            e.n = s.probe_lines.max(1);
            match s.probe.map(|row| self.kind(row)) {
                Some(Kind::Mismatch(bit)) => e.mismatch = bit,
                _ => e.not_ssh = true,
            }
        } else if s.timed_out {
            e.what = What::TimedOut;
        }
        if trouble::concerns(&e, kind) {
            if self.troubles.wants_quote(s.addr, s.user) {
                e.quote = self.troubles.quote(s.host, s.pid, &mut self.quotes);
            }
        } else if e.what == What::Probed {
            // Its first line had no address when it was read.
            let quote = self.troubles.quote(s.host, s.pid, &mut self.quotes);
            if let Some(source) = self.ledger.source(s.addr)
                && let Some(place) = source.quotes.get_mut(2)
                && *place == NONE
            {
                *place = quote;
            }
        }
        let how = self.forgers.user(s.user, names);
        if how != Imitation::No {
            self.forgers.connection(s.addr, s.user, how, s.first);
        }
        self.push(e, names);
    }

    fn push(&mut self, e: Event, names: &Names) {
        let mut due = std::mem::take(&mut self.due);
        self.order.push(e.time, e, &mut due);
        self.take(&mut due, names);
        self.due = due;
    }

    /// Takes in what is in the order of time now.
    fn take(&mut self, due: &mut Vec<(Time, Event)>, names: &Names) {
        for (_, e) in due.drain(..) {
            let kind = self.kind(e.row);
            // A check that speaks something else than SSH keeps its step too; from outside it is a scanner's, even so.
            let misled = || {
                e.what == What::Probed
                    && e.not_ssh
                    && matches!(names.addr_of(e.addr), Some(Addr::Ip(ip)) if is_private(*ip))
            };
            if matches!(e.what, What::Gone | What::TimedOut) || misled() {
                self.beats
                    .check(e.addr, e.host, e.time, self.settings.monitor_jitter);
            }
            if trouble::concerns(&e, kind) {
                self.troubles.refused(&e, kind);
            }
            let login = self.ledger.take(&e, names);
            match e.what {
                What::Accepted => {
                    self.troubles.accepted(&e);
                    if let Some(login) = login {
                        self.successes
                            .accepted(&e, login, &self.ledger, &self.settings);
                    }
                }
                What::Ended => self.successes.over(&e),
                _ => {}
            }
        }
    }

    /// The users that an address tried, most tries first, and how many they are (an estimate beyond 64).
    pub fn users_of(&self, addr: AddrId) -> (Vec<UserId>, u64) {
        let Some(source) = self.ledger.sources.get(addr as usize) else {
            return (Vec::new(), 0);
        };
        let (all, count) = self.ledger.users(&source.guess);
        (all.iter().map(|t| t.user).collect(), count)
    }

    /// By user: from how many addresses attempts were counted or logins accepted. Addresses that tried more than 64 names count for
    /// those only.
    pub fn addrs_of_users(&self) -> Vec<u64> {
        self.ledger.addrs_of_users()
    }

    /// What it all amounts to.
    pub fn finish(mut self, context: &Context<'_>) -> Vec<Finding> {
        if !self.on {
            return Vec::new();
        }
        let mut due = std::mem::take(&mut self.due);
        self.order.release(&mut due);
        self.take(&mut due, context.names);
        let addrs = self.ledger.sources.len();
        for user in self.logins.users() {
            if let Some(place) = self.invalid.get_mut(user as usize) {
                *place = false;
            }
        }
        let mut case = Case {
            settings: &self.settings,
            context,
            ledger: &self.ledger,
            quotes: &self.quotes,
            beats: &self.beats,
            flood: &self.flood,
            forgers: &self.forgers,
            logins: &self.logins,
            successes: &self.successes,
            troubles: &self.troubles,
            nonexistent: &self.invalid,
            standing: vec![Default::default(); addrs],
            hostile: vec![false; addrs],
            front: None,
        };
        standing::judge(&mut case);
        probing::judge(&mut case);
        forgery::judge(&mut case);
        let nets = guessing::judge_nets(&mut case);
        success::judge_nets(&mut case, &nets);
        flood::judge(&mut case);
        let campaigns = distributed::judge(&mut case);
        let mut out = Vec::new();
        success::findings(&case, &mut out);
        guessing::findings(&case, &nets, &mut out);
        let told = distributed::findings(&case, &campaigns, &mut out);
        probing::findings(&case, &mut out);
        forgery::findings(&case, &mut out);
        flood::findings(&case, &mut out);
        monitor::findings(&case, &mut out);
        schedule::findings(&case, &mut out);
        trouble::findings(&case, &mut out);
        logins::findings(&case, &told, &mut out);
        blind::findings(&case, &self.sight, &mut out);
        for f in &mut out {
            f.confidence = (f.confidence * 100.0).round() / 100.0;
            f.first = f.first.and_then(Time::dated);
            f.last = f.last.and_then(Time::dated);
        }
        out
    }
}

/// What a session says of itself.
fn event(s: &Session, what: What, time: Time) -> Event {
    Event {
        what,
        first: time,
        time,
        addr: s.addr,
        user: s.user,
        host: s.host,
        n: 0,
        invalid: false,
        said: false,
        timed_out: false,
        refused: false,
        closed: false,
        let_in: false,
        not_ssh: false,
        mismatch: 0,
        row: UNKNOWN,
        quote: NONE,
    }
}
