//! What guard says of itself: whether it sees, what it counted, and the answers to who asks.

use super::super::control::Request;
use super::super::sight::{self, Log};
use super::super::tail::{self, Tail};
use super::{SKEW, WALK, Worker, log};
use crate::cmd::reading::now;
use crate::host::logging;
use crate::host::machine::Machine;
use crate::sink::metrics::{self, Kind, Page};
use crate::sink::notify::Alert;
use serde_json::json;
use sshwhy_core::ban::Sight;
use sshwhy_core::finding::{Finding, Severity};
use sshwhy_core::time::Time;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What `/metrics` and `/healthz` show.
#[derive(Default)]
pub(super) struct Board(Mutex<(String, Option<String>)>);

impl metrics::Source for Board {
    fn metrics(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    fn health(&self) -> Result<String, String> {
        match &self.0.lock().unwrap_or_else(PoisonError::into_inner).1 {
            None => Ok("guard sees and keeps out".to_owned()),
            Some(why) => Err(why.clone()),
        }
    }
}

impl Worker {
    /// Looks, on a thread of its own, whether what sshd writes comes to what is followed.
    pub(super) fn walk(&mut self) {
        if let Some(answer) = &self.walk {
            match answer.try_recv() {
                Ok(breaks) => self.state.breaks = breaks,
                Err(mpsc::TryRecvError::Empty) => return,
                Err(mpsc::TryRecvError::Disconnected) => {}
            }
            self.walk = None;
        }
        if self.walked.is_some_and(|w| w.elapsed() < WALK) {
            return;
        }
        self.walked = Some(Instant::now());
        let followed = tail::followed(&self.config);
        let (send, answer) = mpsc::channel();
        let started = std::thread::Builder::new()
            .name("walk".to_owned())
            .spawn(move || send.send(logging::breaks(&Machine::here(), &followed)));
        if started.is_ok() {
            self.walk = Some(answer);
        }
    }

    /// Judges whether we see, and says what is new.
    pub(super) fn look(&mut self, clock: Time) {
        self.state.up = self.started.elapsed();
        let before = std::mem::take(&mut self.state.logs);
        self.state.logs = self
            .tails
            .iter()
            .map(|t| {
                let sight = t.sight();
                let was = before.iter().find(|l| l.name == t.name);
                let news = was.is_none_or(|w| w.sight.ssh != sight.ssh);
                let fresh = t.caught_up
                    && t.last_line
                        .is_some_and(|l| l.elapsed() < Duration::from_secs(2));
                let off = clock.0 - sight.last;
                Log {
                    name: t.name.clone(),
                    open: t.is_open(),
                    sight,
                    silent: t.last_line.map(|l| l.elapsed()),
                    skew: match was {
                        _ if news && fresh && off.abs() > SKEW => off,
                        _ if news && fresh => 0,
                        Some(w) => w.skew,
                        None => 0,
                    },
                    steps: t.watch().clock().steps,
                }
            })
            .collect();
        let found = sight::judge(&self.state);
        for f in &found {
            if !self.findings.iter().any(|old| same(old, f)) {
                log("finding", json!({ "finding": f }));
                self.notifier.send(&Alert::of(f, "blind", f.slug, clock));
            }
        }
        for f in &self.findings {
            if !found.iter().any(|new| same(new, f)) {
                log("resolved", json!({ "headline": f.headline }));
            }
        }
        self.findings = found;
    }

    pub(super) fn sight(&self) -> Sight {
        self.tails
            .iter()
            .map(Tail::sight)
            .fold(Sight::default(), |mut all, s| {
                all.lines += s.lines;
                all.ssh += s.ssh;
                all.unknown += s.unknown;
                all.failures += s.failures;
                all.accepted += s.accepted;
                all.nameless += s.nameless;
                all.suppressed += s.suppressed;
                all.last = all.last.max(s.last);
                all
            })
    }

    pub(super) fn show(&mut self) {
        if self.server.is_none() {
            return;
        }
        let s = self.sight();
        let mut page = Page::default();
        use Kind::{Counter, Gauge};
        let grave = |f: &&Finding| f.severity >= Severity::High;
        for (name, kind, help, value) in [
            (
                "sshwhy_guard_lines_total",
                Counter,
                "Lines read.",
                s.lines as f64,
            ),
            (
                "sshwhy_guard_ssh_lines_total",
                Counter,
                "Lines about logins.",
                s.ssh as f64,
            ),
            (
                "sshwhy_guard_unknown_lines_total",
                Counter,
                "Lines of sshd that are not understood.",
                s.unknown as f64,
            ),
            (
                "sshwhy_guard_failures_total",
                Counter,
                "Failures counted.",
                s.failures as f64,
            ),
            (
                "sshwhy_guard_accepted_total",
                Counter,
                "Logins accepted.",
                s.accepted as f64,
            ),
            (
                "sshwhy_guard_banned",
                Gauge,
                "Networks that are banned.",
                self.decider.ban_count() as f64,
            ),
            (
                "sshwhy_guard_sources",
                Gauge,
                "Sources that are counted.",
                self.decider.source_count() as f64,
            ),
            (
                "sshwhy_guard_sources_forgotten_total",
                Counter,
                "Sources that gave way to others.",
                self.decider.forgotten as f64,
            ),
            (
                "sshwhy_guard_spared_total",
                Counter,
                "Bans that the never-list prevented.",
                self.totals.spared as f64,
            ),
            (
                "sshwhy_guard_refused_total",
                Counter,
                "Actions that the privileged half refused.",
                self.totals.refused as f64,
            ),
            (
                "sshwhy_guard_commits_total",
                Counter,
                "Commits of the state.",
                self.totals.commits as f64,
            ),
            (
                "sshwhy_guard_blind",
                Gauge,
                "Findings of high severity or more about guard itself.",
                self.findings.iter().filter(grave).count() as f64,
            ),
            ("sshwhy_guard_up", Gauge, "1 while guard runs.", 1.0),
        ] {
            page.family(name, kind, help);
            page.sample(&[], value);
        }
        page.family("sshwhy_guard_bans_total", Counter, "Bans by detector.");
        for (detector, n) in &self.totals.bans {
            page.sample(&[("detector", detector)], *n as f64);
        }
        page.family("sshwhy_guard_log_open", Gauge, "Whether a log can be read.");
        for log in &self.state.logs {
            page.sample(&[("log", &log.name)], f64::from(u8::from(log.open)));
        }
        let ill = self
            .findings
            .first()
            .filter(|f| f.severity >= Severity::High)
            .map(|f| f.headline.clone());
        *self.board.0.lock().unwrap_or_else(PoisonError::into_inner) = (page.into_text(), ill);
    }

    pub(super) fn answer(&mut self, request: Request) -> serde_json::Value {
        let clock = now();
        match request {
            Request::Status => {
                self.look(clock);
                json!({
                    "findings": self.findings,
                    "logs": self.tails.iter().map(|t| json!({
                        "name": t.name, "open": t.is_open(), "behind": t.is_behind(), "sight": t.sight(),
                        "connections": t.watch().open_connections(),
                    })).collect::<Vec<_>>(),
                    "banned": self.decider.ban_count(),
                    "bans_decided": self.totals.bans,
                    "sources": self.decider.source_count(),
                    "forgotten": self.decider.forgotten,
                    "spared": self.totals.spared,
                    "refused": self.totals.refused,
                    "applied": self.totals.applied,
                    "commits": self.totals.commits,
                    "firewall": self.firewall.0,
                    "confined": self.confined,
                    "never": self.decider.never.entries().len(),
                    "up": self.started.elapsed().as_secs(),
                    "panic": self.state.panic,
                })
            }
            Request::Why { ip } => json!({
                "addr": ip,
                "ban": self.decider.ban_over(ip, clock),
                "never": self.decider.never.holds(ip, clock),
                "counted": self.decider.source_at(ip),
            }),
            Request::Seen { ip, user } => {
                json!({ "seen": self.own.iter().any(|(a, u)| *a == ip && *u == user) })
            }
            Request::Canary { seen, what } => {
                self.state.canary = (!seen).then_some(what);
                self.look(clock);
                json!({ "noted": true })
            }
        }
    }
}

fn same(a: &Finding, b: &Finding) -> bool {
    // Numbers change; what is wrong does not.
    let words =
        |f: &Finding| -> String { f.headline.chars().filter(|c| !c.is_ascii_digit()).collect() };
    a.slug == b.slug && words(a) == words(b)
}
