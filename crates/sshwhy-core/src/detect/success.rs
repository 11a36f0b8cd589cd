//! `success-after-failures`: an address that guessed, and was let in. What the session then did is kept while it lasts.

use super::Fact;
use super::case::{Case, Standing};
use super::kinds::Kind;
use super::ledger::{Event, Ledger, Login};
use super::quotes::{QuoteId, Quotes};
use super::settings::Settings;
use super::words;
use crate::finding::{Finding, Severity};
use crate::names::{AddrId, UserId};
use crate::scan::NONE;
use crate::session::{Role, Session};
use crate::time::{SECOND, Time, human_span};

/// Logins looked at more closely; whoever gets in so often after failing is no guesser.
const MAX_BREACHES: usize = 2_000;
/// Sessions whose lines are listened to at once.
const MAX_WATCHED: usize = 64;
const DEEDS: usize = 3;

/// A login that follows failures.
#[derive(Clone, Debug)]
struct Breach {
    addr: AddrId,
    user: UserId,
    time: Time,
    streak: u32,
    /// The failures were those of the whole /64.
    of_net: bool,
    quote: QuoteId,
    ended: Option<Time>,
}

/// A session that may turn out to be a break-in.
#[derive(Clone, Debug)]
struct Watched {
    addr: AddrId,
    port: u16,
    since: Time,
    deeds: [QuoteId; DEEDS],
    count: u32,
    open: bool,
}

#[derive(Debug, Default)]
pub struct Successes {
    breaches: Vec<Breach>,
    watched: Vec<Watched>,
    open: usize,
}

impl Successes {
    /// Begins to listen to a session that was let in, where its address has failed before.
    pub fn let_in(&mut self, s: &Session, at: Time, ledger: &Ledger) {
        let Some(source) = ledger.sources.get(s.addr as usize) else {
            return;
        };
        let streak = ledger
            .history(source)
            .map_or(source.guess.fails, |h| h.streak);
        // Half of what would count: the latest failures may not have been counted yet.
        if streak + s.failures < 4 || self.watched.len() >= MAX_BREACHES {
            return;
        }
        if self.open >= MAX_WATCHED {
            if let Some(oldest) = self.watched.iter_mut().find(|w| w.open) {
                oldest.open = false;
            }
            self.open -= 1;
        }
        self.open += 1;
        self.watched.push(Watched {
            addr: s.addr,
            port: s.port,
            since: at,
            deeds: [NONE; DEEDS],
            count: 0,
            open: true,
        });
    }

    pub fn listening(&self) -> bool {
        self.open > 0
    }

    /// A line of a session; only what it did is kept.
    pub fn line(&mut self, fact: &Fact<'_>, kind: Kind, quotes: &mut Quotes) {
        let Some(w) = self
            .watched
            .iter_mut()
            .rev()
            .find(|w| w.open && w.addr == fact.addr && w.port == fact.port)
        else {
            return;
        };
        let tells = matches!(kind, Kind::Deed | Kind::PamOpened)
            || matches!(fact.role, Role::LoggedOut | Role::Closed);
        if !tells {
            return;
        }
        w.count += u32::from(kind == Kind::Deed);
        let last = DEEDS - 1;
        let over = matches!(fact.role, Role::LoggedOut | Role::Closed);
        // The last place is for the end.
        let free = w
            .deeds
            .iter()
            .position(|d| *d == NONE)
            .filter(|i| *i < last || over);
        if let Some(place) = free.and_then(|i| w.deeds.get_mut(if over { last } else { i })) {
            *place = quotes.keep_always(fact.time, fact.at, fact.message);
        }
    }

    pub fn ended(&mut self, s: &Session) {
        if self.open == 0 {
            return;
        }
        if let Some(w) = self
            .watched
            .iter_mut()
            .rev()
            .find(|w| w.open && w.addr == s.addr && w.port == s.port)
        {
            w.open = false;
            self.open -= 1;
        }
    }

    /// A login in the order of time, with what the ledger makes of it.
    pub fn accepted(&mut self, e: &Event, login: Login, ledger: &Ledger, settings: &Settings) {
        let more_than = settings.success_failures;
        let Some(source) = ledger.sources.get(e.addr as usize) else {
            return;
        };
        let net = ledger
            .nets
            .get(source.net as usize)
            .map_or(0, |(_, g)| g.fails);
        let (streak, of_net) = if login.streak > more_than {
            (login.streak, false)
        } else {
            (net, true)
        };
        if login.known || streak <= more_than || self.breaches.len() >= MAX_BREACHES {
            return;
        }
        self.breaches.push(Breach {
            addr: e.addr,
            user: e.user,
            time: e.time,
            streak,
            of_net,
            quote: e.quote,
            ended: None,
        });
    }

    /// The end of a login.
    pub fn over(&mut self, e: &Event) {
        if let Some(b) = self
            .breaches
            .iter_mut()
            .rev()
            .find(|b| b.addr == e.addr && b.time == e.first && b.ended.is_none())
        {
            b.ended = e.closed.then_some(e.time);
        }
    }

    fn watched(&self, b: &Breach) -> Option<&Watched> {
        self.watched
            .iter()
            .find(|w| w.addr == b.addr && w.since == b.time)
    }
}

/// Which of the logins after failures are break-ins: those of addresses that guess.
fn holds(case: &Case<'_>, b: &Breach) -> bool {
    if case.front == Some(b.addr) {
        return false;
    }
    match case.standing(b.addr) {
        Standing::Guesser => true,
        Standing::Familiar | Standing::Scheduled | Standing::LockedOut => false,
        // The /64 guessed, and this address of it got in.
        Standing::Nobody => b.of_net && case.is_hostile(b.addr),
    }
}

/// Addresses of a guessing /64 that got in: accused before the /64's findings are written.
pub fn judge_nets(case: &mut Case<'_>, guessing: &hashbrown::HashMap<u32, Vec<AddrId>>) {
    let breaches = &case.successes.breaches;
    let accused: Vec<AddrId> = breaches
        .iter()
        .filter(|b| b.of_net && case.standing(b.addr) == Standing::Nobody)
        .filter(|b| {
            case.source(b.addr)
                .is_some_and(|s| guessing.contains_key(&s.net))
        })
        .map(|b| b.addr)
        .collect();
    for addr in accused {
        case.accuse(addr);
    }
}

pub fn findings(case: &Case<'_>, out: &mut Vec<Finding>) {
    let mut breaches: Vec<&Breach> = case
        .successes
        .breaches
        .iter()
        .filter(|b| holds(case, b))
        .collect();
    breaches.sort_by_key(|b| (b.addr, b.time));
    for group in breaches.chunk_by(|a, b| a.addr == b.addr) {
        let Some(lead) = group.first() else { continue };
        if let Some(source) = case.source(lead.addr) {
            out.push(one(case, lead, group, source));
        }
    }
}

fn one(
    case: &Case<'_>,
    lead: &Breach,
    group: &[&Breach],
    source: &super::ledger::Source,
) -> Finding {
    let mut users: Vec<UserId> = Vec::new();
    for b in group {
        if !users.contains(&b.user) {
            users.push(b.user);
        }
    }
    let mut f = words::finding(
        "success-after-failures",
        case.subjects(&[lead.addr], &users),
    );
    let names = words::users(&users, case.context);
    let stay = |b: &Breach| match b.ended {
        Some(end) if end.is_dated() => format!("stayed {}", human_span((end.0 - b.time.0).max(0))),
        Some(_) => "when and for how long the log does not say".to_owned(),
        None => "its end is not in the log".to_owned(),
    };
    let after = if lead.of_net {
        "failures of its /64"
    } else {
        "failures"
    };
    f.headline = format!(
        "{} got in as {} after {} {after}, {}",
        case.addr(lead.addr),
        words::list(&names, names.len() as u64),
        words::count(u64::from(lead.streak), "", "").trim(),
        stay(lead),
    );
    f.first = Some(lead.time);
    f.last = group.iter().map(|b| b.ended.unwrap_or(b.time)).max();
    f.count = u64::from(lead.streak);
    // What else could it be: a user who forgot the password and then remembered it. One name, few tries, and that user is known
    // from elsewhere make this possible; many names or many tries do not.
    let (failing, total) = case.failing(&source.guess);
    let own_name_only = total == 1 && failing.iter().all(|t| users.contains(&t.user));
    let known = users
        .iter()
        .all(|u| case.logins.known_from_elsewhere(*u, lead.addr));
    f.confidence = match (own_name_only, lead.streak) {
        (true, 0..=20) if known => 0.55,
        (true, 0..=20) => 0.7,
        (true, _) => 0.9,
        (false, _) => 0.97,
    };
    if f.confidence < 0.6 {
        f.severity = Severity::High;
        f.notes.push(
            "that user also logs in from elsewhere: it may be the owner who had forgotten the password; ask before you act".to_owned(),
        );
    }
    for b in group.iter().take(6) {
        let when = match b.time.dated() {
            Some(time) => format!("{}: ", words::moment(time, case.context)),
            None => String::new(),
        };
        f.notes.push(format!(
            "{when}in as {} after {} failures; {}{}",
            words::name(case.context.names.user_of(b.user)),
            b.streak,
            stay(b),
            match case.successes.watched(b).map_or(0, |w| w.count) {
                0 => "; the log does not say what it did (LogLevel VERBOSE would name commands and files)".to_owned(),
                n => format!("; {} of what it did", words::count(u64::from(n), "line", "lines")),
            }
        ));
    }
    if let Some(h) = case.history(source) {
        let later = h.accepts.saturating_sub(group.len() as u32);
        if later > 0 {
            f.notes.push(format!(
                "{} from there, the last {}",
                words::count(u64::from(later), "more login", "more logins"),
                words::moment(h.last_accept, case.context)
            ));
        }
        if h.streak > 0 {
            f.notes.push(format!(
                "it goes on: {} since then",
                words::count(u64::from(h.streak), "failure", "failures")
            ));
        }
    }
    if users.iter().any(|u| case.is_root(*u)) {
        f.notes
            .push("root: nothing on this machine can be trusted any more".to_owned());
    }
    let span = source.guess.first.0;
    if source.guess.first.is_dated() && span < lead.time.0 && lead.streak > 0 && !lead.of_net {
        f.notes.push(format!(
            "the guessing began {}, {} before it got in",
            words::moment(source.guess.first, case.context),
            human_span((lead.time.0 - span).max(SECOND))
        ));
    }
    // Two of the failures, the logins, what they did.
    let mut quotes: Vec<QuoteId> = source.quotes.iter().take(2).copied().collect();
    quotes.extend(group.iter().take(3).map(|b| b.quote));
    for b in group.iter().take(2) {
        if let Some(w) = case.successes.watched(b) {
            quotes.extend(w.deeds);
        }
    }
    f.evidence = case.evidence(&quotes);
    f
}
