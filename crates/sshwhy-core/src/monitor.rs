//! What the results of a monitor's checks mean: up, down or flapping, changed, drifted; and when that is news.
//!
//! Pure: a check's [`Outcome`] and what was known go in, [`News`] come out, each ending in a [`Finding`]. One bad check is no
//! news: an endpoint is down after `retries` more have failed. One that changes too often is flapping, which is said once.
//! During maintenance nothing is said, and everything is remembered.

use crate::catalog::causes::Gate;
use crate::catalog::detectors::Detector;
use crate::catalog::watches;
use crate::diagnose::{Case, diagnose};
use crate::finding::{Evidence, Finding, Kind, Severity, Step, Subjects};
use crate::observation::Observation;
use crate::probe::known_hosts::matches;
use crate::time::Time;
use crate::wire::kexinit::Proposal;
use serde::{Deserialize, Serialize};

/// How far a check goes. Each includes what stands before it, from `tcp` on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// ICMP echo.
    Ping,
    /// One SYN; the answer is reset by the kernel, and the server never hears of it.
    HalfOpen,
    /// A TCP connection.
    Tcp,
    /// The server's greeting.
    Ident,
    /// Its proposal of algorithms.
    Kex,
    /// Its host key, proven by its signature.
    #[serde(alias = "host-key", rename = "hostkey")]
    HostKey,
    /// A login with a key, without a session.
    Auth,
    /// And a command that has to end with 0.
    Session,
}

impl Depth {
    pub const ALL: [Depth; 8] = [
        Depth::Ping,
        Depth::HalfOpen,
        Depth::Tcp,
        Depth::Ident,
        Depth::Kex,
        Depth::HostKey,
        Depth::Auth,
        Depth::Session,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Depth::Ping => "ping",
            Depth::HalfOpen => "half-open",
            Depth::Tcp => "tcp",
            Depth::Ident => "ident",
            Depth::Kex => "kex",
            Depth::HostKey => "hostkey",
            Depth::Auth => "auth",
            Depth::Session => "session",
        }
    }

    pub fn parse(text: &str) -> Option<Depth> {
        Depth::ALL.into_iter().find(|d| d.name() == text)
    }
}

/// A part of a check, with a time of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Resolve,
    Ping,
    /// Connecting, or the answer to a SYN.
    Tcp,
    Ident,
    Kex,
    HostKey,
    Auth,
    Session,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Ping => "ping",
            Phase::Tcp => "tcp",
            Phase::Ident => "ident",
            Phase::Kex => "kex",
            Phase::HostKey => "hostkey",
            Phase::Auth => "auth",
            Phase::Session => "session",
        }
    }

    fn gate(self) -> Gate {
        match self {
            Phase::Resolve => Gate::Name,
            Phase::Ping => Gate::Route,
            Phase::Tcp => Gate::Tcp,
            Phase::Ident => Gate::Ident,
            Phase::Kex => Gate::Kex,
            Phase::HostKey => Gate::HostKey,
            Phase::Auth => Gate::Auth,
            Phase::Session => Gate::Session,
        }
    }
}

/// Where a check ended before its depth.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Failure {
    pub phase: Phase,
    /// A word of [`crate::catalog::facts`] where there is one: `refused`, `timeout`, `reset`, `closed`, …
    pub word: String,
    /// As it was seen. Hostile.
    pub text: String,
    /// This machine's own trouble (no permission, no descriptor): says nothing about the endpoint.
    pub ours: bool,
}

/// A host key as the server showed it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HostKey {
    /// `ssh-ed25519`, …
    pub kind: String,
    /// `SHA256:…`; of a certificate, of the key in it.
    pub fingerprint: String,
    /// Whether the server proved, by a signature over this very exchange, that it has the private key.
    pub proven: bool,
    /// Seconds since the epoch, where it is a certificate; `u64::MAX`: for ever.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub valid_before: Option<u64>,
}

/// One check.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Outcome {
    pub at: Time,
    /// Seconds, whole check and each phase that was reached.
    pub took: f64,
    pub phases: Vec<(Phase, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// `192.0.2.7:22`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ident: Option<String>,
    #[serde(skip)]
    pub proposal: Option<Proposal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key: Option<HostKey>,
    /// What known_hosts says, where one was given: a word of `hostkey.check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<&'static str>,
    /// What did not work as it should and is no failure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What an endpoint should be like.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Fingerprints, `SHA256:…`: any of them.
    pub host_keys: Vec<String>,
    /// A pattern with `*` and `?` for the ident: `SSH-2.0-OpenSSH_9.*`.
    pub ident: Option<String>,
    /// Algorithms that have to be offered, of any class.
    pub algorithms: Vec<String>,
    /// Algorithms that must not be.
    pub forbid: Vec<String>,
}

/// When something is news.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rules {
    /// Failed checks after the first before it is down.
    pub retries: u32,
    /// Share of changes among the last [`FLAP_CHECKS`] checks from which it flaps, and under which it is steady again.
    pub flap_high: f64,
    pub flap_low: f64,
    /// Seconds before a certificate's end.
    pub certificate: u64,
    /// Seconds a whole check may take.
    pub slow: Option<f64>,
    /// Whether a key and a proposal that are not pinned are remembered, and a change said.
    pub remember: bool,
}

/// Checks that count for flapping (Nagios looks at as many).
pub const FLAP_CHECKS: u32 = 21;

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            retries: 2,
            flap_high: 0.3,
            flap_low: 0.1,
            certificate: 14 * 86_400,
            slow: None,
            remember: true,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Unknown,
    Up,
    Down,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Up => "up",
            State::Down => "down",
        }
    }
}

/// What is kept about an endpoint from check to check, and over restarts.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Track {
    pub state: State,
    /// Since when; microseconds since the epoch.
    pub since: i64,
    /// Failed checks in a row.
    pub failed: u32,
    /// The last checks, the newest in the lowest bit; 1 is good.
    results: u32,
    checks: u32,
    pub flapping: bool,
    /// What was said last while it flapped, so that the way out is said right.
    said: State,
    pub keys: Vec<HostKey>,
    pub ident: Option<String>,
    algorithms: Option<Vec<String>>,
    /// Slugs of standing warnings, so that each is said once.
    pub warnings: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Down,
    Up,
    Flapping,
    Steady,
    /// A host key that is not the one that was pinned or remembered.
    Changed,
    Warning,
    /// A warning that holds no longer.
    Cleared,
}

impl Change {
    pub fn name(self) -> &'static str {
        match self {
            Change::Down => "down",
            Change::Up => "up",
            Change::Flapping => "flapping",
            Change::Steady => "steady",
            Change::Changed => "changed",
            Change::Warning => "warning",
            Change::Cleared => "cleared",
        }
    }
}

/// Something to tell people.
#[derive(Clone, PartialEq, Debug)]
pub struct News {
    pub change: Change,
    pub finding: Finding,
}

/// One endpoint as it is judged.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Subject<'a> {
    pub name: &'a str,
    pub host: &'a str,
    pub port: u16,
    pub user: Option<&'a str>,
}

impl Track {
    /// Takes a check, and says what is new.
    pub fn take(
        &mut self,
        subject: &Subject<'_>,
        outcome: &Outcome,
        expect: &Expect,
        rules: &Rules,
        maintenance: bool,
    ) -> Vec<News> {
        let mut news = Vec::new();
        let failure = outcome.failure.as_ref();
        if failure.is_some_and(|f| f.ours) {
            return news;
        }
        let (changed, warnings) = remarks(self, subject, outcome, expect, rules);
        let good = failure.is_none() && changed.is_none();
        self.results = (self.results << 1) | u32::from(good);
        self.checks = (self.checks + 1).min(FLAP_CHECKS);
        self.failed = if good {
            0
        } else {
            self.failed.saturating_add(1)
        };
        let (was, said) = (self.state, self.said);
        if good {
            self.state = State::Up;
        } else if changed.is_some() || self.failed > rules.retries {
            self.state = State::Down;
        }
        if self.state != was {
            self.since = outcome.at.0;
        }
        let share = self.flap_share();
        let flapped = self.flapping;
        if share >= rules.flap_high {
            self.flapping = true;
        } else if share <= rules.flap_low {
            self.flapping = false;
        }
        if let Some(finding) = changed {
            if self.note(finding.slug) {
                news.push(News {
                    change: Change::Changed,
                    finding,
                });
            }
        } else if failure.is_none() && self.forget("host-key-changed") {
            news.push(cleared(subject, outcome, "host-key-changed"));
        }
        if self.flapping && !flapped {
            let text = format!(
                "{} changes again and again: in {:.0}% of the last {FLAP_CHECKS} checks",
                subject.name,
                share * 100.0
            );
            let mut f = row("endpoint-flapping", subject, outcome, text);
            f.evidence.extend(failure.map(|x| evidence(outcome, x)));
            news.push(News {
                change: Change::Flapping,
                finding: f,
            });
        } else if !self.flapping && flapped {
            let text = format!("{} is steady again: {}", subject.name, self.state.name());
            let mut f = row("endpoint-flapping", subject, outcome, text);
            f.severity = Severity::Low;
            self.said = self.state;
            news.push(News {
                change: Change::Steady,
                finding: f,
            });
        }
        if !self.flapping && self.state != self.said {
            let first = self.said == State::Unknown;
            self.said = self.state;
            match (self.state, failure) {
                (State::Down, Some(f)) => news.push(News {
                    change: Change::Down,
                    finding: down(subject, outcome, f, self.failed),
                }),
                (State::Up, _) if !first => {
                    let text = format!("{} answers again", subject.name);
                    let mut f = row("endpoint-unreachable", subject, outcome, text);
                    f.severity = Severity::Low;
                    f.remedy.clear();
                    news.push(News {
                        change: Change::Up,
                        finding: f,
                    });
                }
                _ => {}
            }
        }
        if failure.is_none() {
            let standing: Vec<&str> = warnings.iter().map(|w| w.slug).collect();
            let over: Vec<String> = self
                .warnings
                .iter()
                .filter(|w| *w != "host-key-changed" && !standing.contains(&w.as_str()))
                .cloned()
                .collect();
            for slug in over {
                self.forget(&slug);
                news.push(cleared(subject, outcome, &slug));
            }
            for finding in warnings {
                if self.note(finding.slug) {
                    news.push(News {
                        change: Change::Warning,
                        finding,
                    });
                }
            }
        }
        if maintenance {
            // What is still so when it ends is said then.
            for n in &news {
                match n.change {
                    Change::Down | Change::Up => self.said = said,
                    Change::Changed | Change::Warning => {
                        self.forget(n.finding.slug);
                    }
                    _ => {}
                }
            }
            news.clear();
        }
        news
    }

    /// The same for one who asks for the first time: what is remembered stays, what was told does not.
    #[must_use]
    pub fn unsaid(self) -> Track {
        Track {
            keys: self.keys,
            ident: self.ident,
            algorithms: self.algorithms,
            ..Track::default()
        }
    }

    /// Without what was learned of the server, for one whose key was changed on purpose. How it fares stays known, and a
    /// warning that stands is cleared by the next check, where it holds no longer.
    #[must_use]
    pub fn forgotten(self) -> Track {
        Track {
            keys: Vec::new(),
            ident: None,
            algorithms: None,
            ..self
        }
    }

    /// Whether it was not noted before.
    fn note(&mut self, slug: &str) -> bool {
        let new = !self.warnings.iter().any(|w| w == slug);
        if new {
            self.warnings.push(slug.to_owned());
        }
        new
    }

    fn forget(&mut self, slug: &str) -> bool {
        let before = self.warnings.len();
        self.warnings.retain(|w| w != slug);
        self.warnings.len() != before
    }

    /// Share of the last [`FLAP_CHECKS`] checks that were other than the one before. Those that were never made count as
    /// steady, so that the first few say little.
    pub fn flap_share(&self) -> f64 {
        let mask = (1_u32 << self.checks.saturating_sub(1)) - 1;
        let changes = ((self.results ^ (self.results >> 1)) & mask).count_ones();
        f64::from(changes) / f64::from(FLAP_CHECKS - 1)
    }
}

/// What stands against a check that passed: a key that changed, and warnings. What is not pinned is remembered here.
fn remarks(
    track: &mut Track,
    subject: &Subject<'_>,
    outcome: &Outcome,
    expect: &Expect,
    rules: &Rules,
) -> (Option<Finding>, Vec<Finding>) {
    let mut warnings = Vec::new();
    let mut changed = None;
    if let Some(key) = &outcome.host_key {
        let pinned = !expect.host_keys.is_empty();
        let same_kind = track.keys.iter().find(|k| k.kind == key.kind);
        let instead = if pinned {
            let fits = expect.host_keys.contains(&key.fingerprint);
            (!fits).then(|| expect.host_keys.join(" or "))
        } else if matches!(outcome.known, Some("changed" | "revoked")) {
            Some("the one in known_hosts".to_owned())
        } else if rules.remember && outcome.known != Some("match") {
            same_kind
                .filter(|k| k.fingerprint != key.fingerprint)
                .map(|k| k.fingerprint.clone())
        } else {
            None
        };
        match instead {
            Some(instead) => changed = Some(key_changed(subject, outcome, key, &instead)),
            None if rules.remember => {
                track.keys.retain(|k| k.kind != key.kind);
                track.keys.push(key.clone());
            }
            None => {}
        }
        if let Some(end) = key.valid_before.filter(|e| *e != u64::MAX) {
            let now = u64::try_from(outcome.at.secs()).unwrap_or(0);
            if end <= now.saturating_add(rules.certificate) {
                let days = end.saturating_sub(now) / 86_400;
                let text = if end <= now {
                    format!("the host certificate of {} has ended", subject.name)
                } else {
                    format!(
                        "the host certificate of {} ends in {days} days",
                        subject.name
                    )
                };
                let mut f = row("host-certificate-expiring", subject, outcome, text);
                if end <= now {
                    f.severity = Severity::High;
                }
                warnings.push(f);
            }
        }
    }
    if let Some(ident) = &outcome.ident {
        let expected = expect.ident.as_deref();
        let was = match expected {
            Some(pattern) => (!matches(pattern, ident)).then(|| pattern.to_owned()),
            None if rules.remember => track.ident.clone().filter(|was| was != ident),
            None => None,
        };
        if let Some(was) = was {
            let text = format!("{} says {ident}, not {was}", subject.name);
            let mut f = row("ident-drift", subject, outcome, text);
            f.evidence.push(Evidence {
                source: "monitor:ident".to_owned(),
                at: Some(outcome.at),
                text: ident.clone(),
            });
            warnings.push(f);
        } else if rules.remember {
            track.ident = Some(ident.clone());
        }
    }
    if let Some(proposal) = &outcome.proposal {
        let offered = names(proposal);
        let has = |name: &String| offered.contains(name);
        let lacks: Vec<&str> = expect
            .algorithms
            .iter()
            .filter(|n| !has(n))
            .map(String::as_str)
            .collect();
        let unwanted: Vec<&str> = expect
            .forbid
            .iter()
            .filter(|n| has(n))
            .map(String::as_str)
            .collect();
        let mut said = Vec::new();
        if !lacks.is_empty() {
            said.push(format!("does not offer {}", lacks.join(", ")));
        }
        if !unwanted.is_empty() {
            said.push(format!("offers {}", unwanted.join(", ")));
        }
        let free = expect.algorithms.is_empty() && expect.forbid.is_empty() && rules.remember;
        match &track.algorithms {
            Some(was) if free && *was != offered => {
                let gone = differ(was, &offered);
                let new = differ(&offered, was);
                said.push(format!(
                    "changed what it offers: new {}, gone {}",
                    or_none(&new),
                    or_none(&gone)
                ));
            }
            _ if free => track.algorithms = Some(offered),
            _ => {}
        }
        if !said.is_empty() {
            let text = format!("{} {}", subject.name, said.join(" and "));
            warnings.push(row("algorithm-drift", subject, outcome, text));
        }
    }
    if let Some(limit) = rules.slow
        && outcome.failure.is_none()
        && outcome.took > limit
    {
        let text = format!(
            "{} took {:.3} s, more than {limit} s",
            subject.name, outcome.took
        );
        warnings.push(row("endpoint-slow", subject, outcome, text));
    }
    (changed, warnings)
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() {
        "none (only the order)".to_owned()
    } else {
        names.join(", ")
    }
}

fn differ(a: &[String], b: &[String]) -> Vec<String> {
    a.iter().filter(|n| !b.contains(n)).cloned().collect()
}

/// Every name of a proposal that is an algorithm, class by class, each once.
fn names(p: &Proposal) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for list in [
        &p.kex,
        &p.host_key,
        &p.cipher_out,
        &p.cipher_in,
        &p.mac_out,
        &p.mac_in,
        &p.compression_out,
        &p.compression_in,
    ] {
        for name in list {
            let sign = name.starts_with("ext-info-") || name.starts_with("kex-strict-");
            if !sign && name != "none" && !out.contains(name) {
                out.push(name.clone());
            }
        }
    }
    out
}

fn case(subject: &Subject<'_>, outcome: &Outcome) -> Case {
    let addr = outcome.addr.as_deref().and_then(|a| a.rsplit_once(':'));
    Case {
        user: subject.user.map(str::to_owned),
        host: Some(subject.host.to_owned()),
        port: Some(subject.port),
        addr: addr.map(|(ip, _)| ip.trim_matches(['[', ']']).to_owned()),
        client_addr: None,
    }
}

fn evidence(outcome: &Outcome, f: &Failure) -> Evidence {
    Evidence {
        source: format!("monitor:{}", f.phase.name()),
        at: Some(outcome.at),
        text: f.text.clone(),
    }
}

/// The facts of a failed check, in the catalogue's words.
pub fn observations(subject: &Subject<'_>, outcome: &Outcome) -> Vec<Observation> {
    let mut out = Vec::new();
    let source = |gate: Gate| format!("monitor:{}", gate.name());
    let mut see = |gate: Gate, key: &'static str, value: &str, about: &str, text: &str| {
        out.push(
            Observation::new(gate, key, value, source(gate))
                .about(about)
                .text(text)
                .at(Some(outcome.at)),
        );
    };
    see(Gate::Name, "target.host", subject.host, "", "");
    see(Gate::Name, "target.port", &subject.port.to_string(), "", "");
    let about = outcome.addr.as_deref().unwrap_or_default();
    let failed = outcome.failure.as_ref();
    for (phase, _) in &outcome.phases {
        if failed.is_none_or(|f| f.phase != *phase) {
            see(phase.gate(), "gate.state", "passed", "", "");
        }
    }
    if let Some(f) = failed {
        match f.phase {
            Phase::Resolve => see(Gate::Name, "name.lookup", &f.word, subject.host, &f.text),
            Phase::Tcp => see(Gate::Tcp, "tcp.connect", &f.word, about, &f.text),
            Phase::Ident => {
                if matches!(f.word.as_str(), "max-startups" | "not-allowed") {
                    see(Gate::Ident, "ident.reason", &f.word, "", &f.text);
                    see(Gate::Ident, "ident.end", "closed", "", &f.text);
                } else {
                    see(Gate::Ident, "ident.end", &f.word, "", &f.text);
                }
            }
            Phase::Kex | Phase::HostKey => see(Gate::Kex, "kex.end", &f.word, "", &f.text),
            Phase::Ping | Phase::Auth | Phase::Session => {}
        }
        see(f.phase.gate(), "gate.state", "failed", "", &f.text);
    }
    out
}

/// Why it is down: the best cause that the catalogue knows for what was seen.
fn down(subject: &Subject<'_>, outcome: &Outcome, f: &Failure, failed: u32) -> Finding {
    let found = diagnose(&case(subject, outcome), &observations(subject, outcome));
    let text = format!("{}: {}", subject.name, f.text);
    let Some(mut best) = found.findings.into_iter().next() else {
        let mut finding = row("endpoint-unreachable", subject, outcome, text);
        finding.evidence.push(evidence(outcome, f));
        finding.count = u64::from(failed);
        return finding;
    };
    best.notes.insert(0, best.headline.clone());
    best.headline = text;
    best.count = u64::from(failed);
    best.severity = best.severity.max(Severity::High);
    best
}

fn key_changed(subject: &Subject<'_>, outcome: &Outcome, key: &HostKey, instead: &str) -> Finding {
    let shown = format!("{} {}", key.kind, key.fingerprint);
    let proof = if key.proven { "" } else { " (unproven)" };
    let text = format!("shows {shown}{proof} instead of {instead}");
    let word = outcome
        .known
        .filter(|w| *w == "revoked")
        .unwrap_or("changed");
    let seen = Observation::new(Gate::HostKey, "hostkey.check", word, "monitor:hostkey")
        .about(&key.kind)
        .text(&text)
        .at(Some(outcome.at));
    let failed = Observation::new(Gate::HostKey, "gate.state", "failed", "monitor:hostkey");
    let found = diagnose(&case(subject, outcome), &[seen, failed]);
    let headline = format!("{} {text}", subject.name);
    let known = |f: &Finding| matches!(f.slug, "host-key-changed" | "host-key-revoked");
    let Some(mut finding) = found.findings.into_iter().find(known) else {
        let mut f = row("endpoint-unreachable", subject, outcome, headline);
        f.slug = "host-key-changed";
        f.severity = Severity::Critical;
        return f;
    };
    // One slug for the track, whichever of the two it is.
    finding.notes.insert(0, finding.headline.clone());
    finding.headline = headline;
    finding.severity = Severity::Critical;
    finding
}

fn cleared(subject: &Subject<'_>, outcome: &Outcome, slug: &str) -> News {
    let of = watches::by_slug(slug).map_or("host-key-changed", |r| r.slug);
    let text = format!("{}: no longer {of}", subject.name);
    let mut finding = row(of, subject, outcome, text);
    finding.slug = of;
    finding.severity = Severity::Low;
    finding.remedy.clear();
    News {
        change: Change::Cleared,
        finding,
    }
}

/// A finding of the catalogue's row.
fn row(slug: &str, subject: &Subject<'_>, outcome: &Outcome, headline: String) -> Finding {
    const NONE: &Detector = &watches::ROWS[watches::ROWS.len() - 1];
    let row = watches::by_slug(slug).unwrap_or(NONE);
    let remedy = row.remedy.iter().map(|r| Step {
        action: r.action.to_owned(),
        command: r.command.map(|c| {
            let host = crate::render::escape::shell_word(subject.host);
            host.map_or_else(|| c.to_owned(), |h| c.replace("HOST", &h))
        }),
        place: r.place,
        risk: r.risk,
        undo: r.undo.map(str::to_owned),
    });
    Finding {
        id: row.id,
        slug: row.slug,
        cause: None,
        kind: Kind::Detection,
        severity: row.severity,
        confidence: 0.95,
        hostile: false,
        headline,
        subjects: Subjects {
            hosts: vec![subject.host.to_owned()],
            ..Subjects::default()
        },
        first: Some(outcome.at),
        last: Some(outcome.at),
        count: 1,
        evidence: Vec::new(),
        notes: vec![row.what.to_owned()],
        remedy: remedy.collect(),
        refs: row.refs.to_vec(),
    }
}

/// The pause that a server of this ident wants between connections of one source, in seconds. From 9.8 on sshd adds a
/// penalty of 1 s for a connection that ends without a login and of 5 s for a failed one, and bars who has more than 15 s
/// of them (sshd_config(5) PerSourcePenalties); they run off by 1 s each second.
pub fn least_pause(ident: Option<&str>, logs_in: bool, failed: bool) -> f64 {
    let openssh = ident
        .and_then(crate::wire::ident::parse)
        .and_then(|g| g.openssh());
    match openssh {
        Some(v) if v < (9, 8) => 0.0,
        // A server that was not heard yet may be one.
        Some(_) | None if logs_in && failed => 10.0,
        Some(_) if !logs_in => 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests;
