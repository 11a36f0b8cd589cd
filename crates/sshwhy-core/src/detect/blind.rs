//! `blind`: reasons to think that the log would not show an attack. Each needs a sign in the log; silence alone is none.

use super::Fact;
use super::case::Case;
use super::kinds::Kind;
use super::pulse::Pulse;
use super::quotes::{QuoteId, Quotes};
use super::words;
use crate::finding::{Finding, Severity};
use crate::names::HostId;
use crate::scan::{UNKNOWN, flag};
use crate::session::{LineRef, Role};
use crate::time::{HOUR, Time, human_span};

/// Hosts whose stretches of silence are followed.
const MAX_HOSTS: usize = 4_096;
/// A share of unknown lines says nothing of a few.
const ENOUGH_LINES: u64 = 200;
/// So many lines that cannot be read may be scraps: the end of a cut line, somebody's remark.
const A_FEW: u64 = 2;

#[derive(Debug, Default)]
pub struct Sight {
    pulses: Vec<Option<Pulse>>,
    lines: u64,
    unknown: u64,
    accepted: u64,
    failed: u64,
    pam_opened: u64,
    pam_quotes: Vec<QuoteId>,
    suppressed: u64,
    suppressed_quotes: Vec<QuoteId>,
    unknown_quotes: Vec<QuoteId>,
    unread: u64,
    unread_quotes: Vec<QuoteId>,
}

impl Sight {
    pub fn unread(&mut self, lines: u64, at: LineRef, text: &[u8], quotes: &mut Quotes) {
        self.unread += lines;
        if self.unread_quotes.len() < 3 {
            self.unread_quotes
                .push(quotes.keep_always(Time::undated(0), at, text));
        }
    }

    /// Whether a stretch of a host's log goes on where the one before ended.
    pub fn follows(&self, host: HostId, pulse: &Pulse) -> bool {
        let before = self.pulses.get(host as usize).copied().flatten();
        before.is_none_or(|p| p.last <= pulse.first)
    }

    /// A stretch of a host's log, before or instead of its lines.
    pub fn stretch(&mut self, host: HostId, pulse: &Pulse) {
        let i = host as usize;
        if i < MAX_HOSTS {
            if i >= self.pulses.len() {
                self.pulses.resize(i + 1, None);
            }
            if let Some(place) = self.pulses.get_mut(i) {
                Pulse::go_on(place, pulse);
            }
        }
    }

    /// Lines of a daemon that need not be looked at one by one, and how many of them say that something failed or ended.
    pub fn lines(&mut self, lines: u64, failed: u64) {
        self.lines += lines;
        self.failed += failed;
    }

    pub fn line(&mut self, fact: &Fact<'_>, kind: Kind, quotes: &mut Quotes) {
        let i = fact.host as usize;
        if i < MAX_HOSTS && fact.time.is_dated() {
            if i >= self.pulses.len() {
                self.pulses.resize(i + 1, None);
            }
            if let Some(place) = self.pulses.get_mut(i) {
                Pulse::beat(place, fact.time);
            }
        }
        if fact.flags & flag::DAEMON == 0 {
            if kind == Kind::Suppressed {
                self.suppressed += 1;
                if self.suppressed_quotes.len() < 4 {
                    self.suppressed_quotes.push(quotes.keep_always(
                        fact.time,
                        fact.at,
                        fact.message,
                    ));
                }
            }
            return;
        }
        // At DEBUG2 and 3 sshd writes many times as much, and nothing in it that does not stand elsewhere too.
        if fact.row == UNKNOWN && fact.message.starts_with(b"debug") {
            return;
        }
        self.lines += 1;
        if fact.row == UNKNOWN {
            self.unknown += 1;
            if self.unknown_quotes.len() < 4 {
                self.unknown_quotes
                    .push(quotes.keep(fact.time, fact.at, fact.message));
            }
            return;
        }
        match fact.role {
            Role::Accepted => self.accepted += 1,
            Role::Failed | Role::FailedKey | Role::Closed | Role::LoggedOut => self.failed += 1,
            _ if kind == Kind::PamOpened => {
                self.pam_opened += 1;
                if self.pam_quotes.len() < 3 {
                    self.pam_quotes
                        .push(quotes.keep_always(fact.time, fact.at, fact.message));
                }
            }
            _ => {}
        }
    }
}

pub fn findings(case: &Case<'_>, sight: &Sight, out: &mut Vec<Finding>) {
    if sight.suppressed > 0 {
        let mut f = words::finding("blind", case.subjects(&[], &[]));
        f.headline = format!(
            "the log lost lines: {} that messages were dropped over a rate limit",
            words::count(sight.suppressed, "line says", "lines say")
        );
        // Its writer says so.
        f.confidence = 0.98;
        f.count = sight.suppressed;
        f.notes
            .push("every count here is a lower bound; floods are what such limits cut".to_owned());
        f.evidence = case.evidence(&sight.suppressed_quotes);
        out.push(f);
    }
    if sight.pam_opened > u64::from(case.settings.blind_sessions)
        && sight.accepted == 0
        && sight.failed == 0
    {
        let mut f = words::finding("blind", case.subjects(&[], &[]));
        f.headline = format!(
            "sshd's own lines are missing: {} opened, and not one line says who logged in from where",
            words::count(sight.pam_opened, "session was", "sessions were")
        );
        // PAM writes whatever LogLevel says; the other reason would be a filter on the way.
        f.confidence = 0.9;
        f.count = sight.pam_opened;
        f.notes.push(
            "LogLevel is below INFO (QUIET, FATAL or ERROR), or a filter kept only PAM's lines"
                .to_owned(),
        );
        f.evidence = case.evidence(&sight.pam_quotes);
        out.push(f);
    }
    if sight.lines >= ENOUGH_LINES
        && sight.unknown * 100 > sight.lines * u64::from(case.settings.blind_unknown)
    {
        let mut f = words::finding("blind", case.subjects(&[], &[]));
        f.headline = format!(
            "{} % of sshd's lines are in words that are not known here",
            sight.unknown * 100 / sight.lines
        );
        // What they would have said is exactly what is not known.
        f.confidence = 0.8;
        f.count = sight.unknown;
        f.remedy.clear();
        f.notes.push("a patched sshd, another language or a rewriting log shipper: attacks among these lines are not seen".to_owned());
        f.evidence = case.evidence(&sight.unknown_quotes);
        out.push(f);
    }
    if sight.unread > A_FEW {
        let mut f = words::finding("blind", case.subjects(&[], &[]));
        f.headline = format!(
            "{} of logins in a form that cannot be read here, and are not counted",
            words::count(sight.unread, "line speaks", "lines speak")
        );
        // The words are sshd's; a text about sshd, a patch or a mail, could hold them too.
        f.confidence = 0.85;
        f.count = sight.unread;
        f.remedy.clear();
        f.notes.push(
            "something stands around the lines that is not known; what they say of attacks and logins is missing above. Give the log as its \
             server wrote it, or cut what stands in front of the time and the program"
                .to_owned(),
        );
        f.evidence = case.evidence(&sight.unread_quotes);
        out.push(f);
    }
    for (host, pulse) in sight.pulses.iter().enumerate() {
        if let Some(f) = pulse.as_ref().and_then(|p| gap(case, host as HostId, p)) {
            out.push(f);
        }
    }
    let beyond: u64 = case
        .ledger
        .sources
        .iter()
        .filter(|s| s.stands_in())
        .map(|s| u64::from(s.guess.fails))
        .sum();
    if beyond > 0 {
        let mut f = words::finding("blind", case.subjects(&[], &[]));
        f.headline = format!(
            "more addresses than are kept apart: {} of the later ones are counted by network and judged by nobody",
            words::count(beyond, "failure", "failures")
        );
        // It is this program's own limit.
        f.confidence = 1.0;
        f.severity = Severity::Low;
        f.count = beyond;
        f.remedy.clear();
        f.notes.push(
            "look at a part of the time or of the network: --since, --until, --addr".to_owned(),
        );
        out.push(f);
    }
    if let Some(addr) = case.front {
        let mut f = words::finding("blind", case.subjects(&[addr], &[]));
        f.headline = format!(
            "everybody seems to come from {}: real addresses are hidden behind it",
            case.addr(addr)
        );
        // Guesses and real logins from one inside address, and nobody from anywhere else: hard to explain otherwise.
        f.confidence = 0.85;
        if let Some(s) = case.source(addr) {
            f.count = u64::from(s.guess.fails);
            f.first = Some(s.first);
            f.last = Some(s.last);
            f.evidence = case.evidence(&s.quotes);
        }
        f.remedy.clear();
        f.notes.push("a proxy, a container's gateway or NAT: let it pass the client's address on, or read its own log; blocking it blocks everybody".to_owned());
        out.push(f);
    }
}

/// A long silence in a log that is otherwise never silent.
fn gap(case: &Case<'_>, host: HostId, p: &Pulse) -> Option<Finding> {
    let span = p.last.0 - p.first.0;
    if p.gap <= i64::from(case.settings.blind_gap) * HOUR || span < 48 * HOUR {
        return None;
    }
    let rest = ((span - p.gap) / HOUR).max(1);
    // Nine of ten hours have a line: nights and weekends do not make it silent.
    if rest < 24 || i64::from(p.hours) * 10 < rest * 9 {
        return None;
    }
    let mut f = words::finding("blind", case.subjects(&[], &[]));
    let name = case.context.names.host_of(host);
    if !name.is_empty() {
        f.subjects.hosts.push(name.to_owned());
    }
    let end = Time(p.gap_from.0.saturating_add(p.gap));
    f.headline = format!(
        "nothing was logged from {} for {}, where otherwise hardly an hour is without a line",
        words::moment(p.gap_from, case.context),
        human_span(p.gap)
    );
    f.first = Some(p.gap_from);
    f.last = Some(end);
    f.count = 1;
    f.severity = Severity::Low;
    // The machine may simply have been off, or a file of the rotation is not here.
    f.confidence = 0.6;
    f.remedy.clear();
    f.notes.push("the machine was off, a file of the rotation is missing, logging stood still, or somebody cut it: `last -x` shows reboots".to_owned());
    Some(f)
}
