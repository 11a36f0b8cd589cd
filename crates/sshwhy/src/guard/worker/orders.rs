//! What was decided goes to the half that can do it, and what that half and other programs say comes back.

use super::super::config::Config;
use super::super::message::{Order, PIECE, Word};
use super::{Worker, log};
use crate::cmd::reading::now;
use crate::sink::notify::Alert;
use serde_json::json;
use sshwhy_core::ban::{Action, Decision};
use sshwhy_core::finding::Severity;
use std::time::{Duration, Instant};

impl Worker {
    pub(super) fn decide(&mut self) {
        let clock = now();
        for d in std::mem::take(&mut self.decisions) {
            match d {
                Decision::Act(action) => {
                    if let Action::Ban(ban) = &action {
                        *self.totals.bans.entry(ban.detector.clone()).or_default() += 1;
                        log("ban", json!({ "ban": ban, "in_force": ban.holds(clock) }));
                        if !ban.holds(clock) {
                            continue;
                        }
                        self.alert(
                            Severity::Low,
                            "ban",
                            &ban.net.to_string(),
                            &ban.detector,
                            format!("{} is banned: {}", ban.net, ban.reason),
                        );
                    }
                    self.actions.push(action);
                }
                Decision::Spared {
                    net,
                    why,
                    detector,
                    reason,
                } => {
                    self.totals.spared += 1;
                    log(
                        "spared",
                        json!({ "net": net, "why": why, "detector": detector, "reason": reason }),
                    );
                    let text = format!("{net} would have been banned ({reason}), but {why}");
                    self.alert(Severity::Medium, "spared", &net.to_string(), detector, text);
                }
                Decision::Taken { ip, user, failures } => {
                    log(
                        "taken",
                        json!({ "addr": ip, "user": user, "failures": failures }),
                    );
                    let text = format!(
                        "{ip} got in as {user:?} after {failures} failures: treat the account as taken"
                    );
                    self.alert(
                        Severity::Critical,
                        "taken",
                        &ip.to_string(),
                        "success-after-failures",
                        text,
                    );
                }
                Decision::Leaks { net } => {
                    let name = net.to_string();
                    if !self.state.leaks.contains(&name) && self.state.leaks.len() < 16 {
                        log("leaks", json!({ "net": net }));
                        self.state.leaks.push(name);
                    }
                    // It may be missing there only.
                    self.restore_soon(Duration::ZERO);
                }
            }
        }
    }

    pub(super) fn alert(
        &self,
        severity: Severity,
        state: &str,
        subject: &str,
        slug: &str,
        headline: String,
    ) {
        if self.notifier.is_empty() {
            return;
        }
        self.notifier.send(&Alert {
            headline,
            severity,
            state: state.to_owned(),
            subject: subject.to_owned(),
            slug: slug.to_owned(),
            details: String::new(),
            time: now(),
        });
    }

    pub(super) fn restore_soon(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.restore_at = Some(self.restore_at.map_or(at, |known| known.min(at)));
    }

    /// Sends what was decided to the half that can do it.
    pub(super) fn apply(&mut self) {
        if self.state.panic {
            self.actions.clear();
            self.restoring = None;
            return;
        }
        if self.restore_at.is_some_and(|at| at <= Instant::now()) {
            self.restore_at = None;
            self.restoring = Some(None);
            // The bans come with all others.
            self.actions.retain(|a| matches!(a, Action::Unban { .. }));
        }
        // One piece after the other: what is decided meanwhile goes between two.
        if let Some(after) = self.restoring.filter(|_| self.asked.is_empty()) {
            let clock = now();
            let mut last = None;
            let bans: Vec<Action> = self
                .decider
                .bans(after)
                .inspect(|b| last = Some(b.net))
                .filter(|b| b.holds(clock))
                .take(PIECE)
                .map(Action::Ban)
                .collect();
            self.restoring = last.filter(|_| bans.len() == PIECE).map(Some);
            self.order(&Order::Restore {
                first: after.is_none(),
                bans,
            });
        }
        let actions = std::mem::take(&mut self.actions);
        for piece in actions.chunks(PIECE) {
            self.order(&Order::Apply(piece.to_vec()));
        }
    }

    pub(super) fn order(&mut self, order: &Order) {
        let lifts = |all: &[Action]| -> Vec<Action> {
            let lifts = all.iter().filter(|a| matches!(a, Action::Unban { .. }));
            lifts.cloned().collect()
        };
        match order {
            Order::Alive(_) => {}
            Order::Apply(all) => self.asked.push_back(lifts(all)),
            Order::Restore { .. } | Order::Flush => self.asked.push_back(Vec::new()),
        }
        if self.half.send(order).is_err() {
            self.half.closed = true;
        }
    }

    /// Whether more can be sent at once.
    pub(super) fn is_pressed(&self) -> bool {
        !self.actions.is_empty() || (self.restoring.is_some() && self.asked.is_empty())
    }

    pub(super) fn word(&mut self, word: Word) {
        match word {
            Word::Config { text, name } => match Config::parse(&text, &name) {
                Ok(config) => self.reload(config),
                Err(e) => log("settings", json!({ "refused": e })),
            },
            Word::Applied {
                banned,
                unbanned,
                refused,
            } => {
                self.asked.pop_front();
                if self.state.firewall.take().is_some() {
                    log("firewall", json!({ "works": "again" }));
                }
                self.totals.applied += (banned + unbanned) as u64;
                for (net, why) in refused {
                    self.totals.refused += 1;
                    if self.told.insert(format!("refused {net}")) {
                        log("refused", json!({ "net": net, "why": why }));
                    }
                }
            }
            Word::Failed(why) => {
                if self.state.firewall.is_none() {
                    log("firewall", json!({ "failed": why }));
                }
                self.state.firewall = Some(why);
                // What was to be lifted is not among what a restore puts back.
                let lifts = self.asked.pop_front().unwrap_or_default();
                self.actions.extend(lifts);
                self.restoring = None;
                self.restore_soon(Duration::from_secs(2));
            }
            Word::Ineffective(net, why) => {
                if self.state.ineffective.is_none() {
                    log("ineffective", json!({ "net": net, "why": why }));
                }
                self.state.ineffective = Some((net, why));
            }
            Word::Effective => {
                self.state.ineffective = None;
                self.state.leaks.clear();
            }
            Word::Lost => {
                log(
                    "firewall",
                    json!({ "rules": "were removed by somebody; put back" }),
                );
                self.restore_soon(Duration::ZERO);
            }
            Word::Firewall(name, expires) => self.firewall = (name, expires),
            Word::Stop => self.stop = true,
        }
    }

    /// Takes over what another program did to the bans: a part at a time.
    pub(super) fn adopt(&mut self, look: bool) {
        if !look && !self.adopting {
            return;
        }
        let news = self.store.changed();
        self.adopting = news.is_some();
        let actions: Vec<Action> = news
            .into_iter()
            .flatten()
            .filter_map(|(net, ban)| self.decider.adopt(net, ban))
            .collect();
        if actions.is_empty() {
            return;
        }
        let added = actions.iter().filter(|a| matches!(a, Action::Ban(_)));
        let (added, some) = (added.clone().count(), added.map(Action::net).take(20));
        log(
            "bans",
            json!({ "added": added, "some": some.collect::<Vec<_>>(), "removed": actions.len() - added }),
        );
        self.actions.extend(actions);
    }
}
