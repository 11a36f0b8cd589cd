//! Alerts to people: webhook, e-mail, a program, syslog, the journal; settings in [`settings`], sending in [`send`].
//!
//! Whoever has something to say hands it over and goes on: every channel has its own thread and its own bounded queue, so
//! a channel that hangs or fails delays nobody and no other channel. What could not be kept is counted. Alerts that come
//! together go out as one message, and no channel sends more than its limit.

mod send;
pub mod settings;

use serde::Serialize;
use settings::{Channels, Limit, named};
use sshwhy_core::finding::{Finding, Severity};
use sshwhy_core::time::Time;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Alerts that wait for one channel.
const QUEUE: usize = 256;
/// Alerts named in one message; the rest are counted.
const MOST_IN_ONE: usize = 50;
/// Tries at one message, with the pauses between them.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// One thing to say. Its texts may hold what a stranger wrote; they are escaped for each channel.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Alert {
    pub headline: String,
    pub severity: Severity,
    /// One word: `down`, `up`, `changed`, `ban`, …
    pub state: String,
    /// Whom it is about: an endpoint, an address.
    pub subject: String,
    /// The finding's slug; empty where no finding is behind it.
    pub slug: String,
    /// More lines: evidence, the next step.
    pub details: String,
    pub time: Time,
}

impl Alert {
    /// What a finding says, for a subject in a state.
    pub fn of(finding: &Finding, state: &str, subject: &str, time: Time) -> Alert {
        let mut details: Vec<String> = Vec::new();
        details.extend(finding.evidence.iter().take(3).map(|e| e.text.clone()));
        details.extend(finding.notes.iter().cloned());
        if let Some(step) = finding.remedy.first() {
            let command = step.command.as_deref().map(|c| format!(": {c}"));
            details.push(format!("{}{}", step.action, command.unwrap_or_default()));
        }
        Alert {
            headline: finding.headline.clone(),
            severity: finding.severity,
            state: state.to_owned(),
            subject: subject.to_owned(),
            slug: finding.slug.to_owned(),
            details: details.join("\n"),
            time,
        }
    }
}

/// How a channel fares.
#[derive(Debug, Default)]
pub struct Counts {
    /// Messages.
    pub sent: AtomicU64,
    pub failed: AtomicU64,
    /// Alerts that found the queue full.
    pub dropped: AtomicU64,
    pub last_error: Mutex<Option<String>>,
}

/// The same at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fare {
    pub channel: String,
    pub sent: u64,
    pub failed: u64,
    pub dropped: u64,
    pub last_error: Option<String>,
}

struct Channel {
    name: String,
    severity: Severity,
    queue: Option<SyncSender<Alert>>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// All channels of a settings file.
#[derive(Default)]
pub struct Notifier {
    channels: Vec<Channel>,
}

impl Notifier {
    /// Starts a thread for each channel. `host` is what `{host}` says: this machine.
    pub fn start(settings: &Channels, host: &str) -> Result<Notifier, String> {
        settings.check()?;
        let mut all = Notifier::default();
        let mut add =
            |kind: &str, name: &Option<String>, i: usize, limit: &Limit, way: send::Way| {
                all.add(named(kind, name.as_deref(), i), limit, way, host)
            };
        for (i, w) in settings.webhook.iter().enumerate() {
            add("webhook", &w.name, i, &w.limit, send::Way::webhook(w)?)?;
        }
        for (i, e) in settings.email.iter().enumerate() {
            add("email", &e.name, i, &e.limit, send::Way::email(e)?)?;
        }
        for (i, e) in settings.exec.iter().enumerate() {
            add("exec", &e.name, i, &e.limit, send::Way::Exec(e.clone()))?;
        }
        for (i, s) in settings.syslog.iter().enumerate() {
            add("syslog", &s.name, i, &s.limit, send::Way::Syslog(s.clone()))?;
        }
        for (i, j) in settings.journal.iter().enumerate() {
            add(
                "journal",
                &j.name,
                i,
                &j.limit,
                send::Way::Journal(j.clone()),
            )?;
        }
        Ok(all)
    }

    fn add(
        &mut self,
        name: String,
        limit: &Limit,
        way: send::Way,
        host: &str,
    ) -> Result<(), String> {
        let (queue, alerts) = sync_channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let worker = Worker {
            way,
            limit: limit.clone(),
            host: host.to_owned(),
            counts: Arc::clone(&counts),
        };
        let thread = std::thread::Builder::new()
            .name(format!("notify {name}").chars().take(15).collect())
            .spawn(move || worker.work(&alerts))
            .map_err(|e| format!("cannot start a thread for {name}: {e}"))?;
        self.channels.push(Channel {
            name,
            severity: limit.severity,
            queue: Some(queue),
            counts,
            thread: Some(thread),
        });
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Hands an alert to every channel that wants it. Never waits.
    pub fn send(&self, alert: &Alert) {
        for c in &self.channels {
            if alert.severity < c.severity {
                continue;
            }
            let full = c.queue.as_ref().is_none_or(|q| {
                matches!(
                    q.try_send(alert.clone()),
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_))
                )
            });
            if full {
                c.counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub fn fares(&self) -> Vec<Fare> {
        self.channels
            .iter()
            .map(|c| Fare {
                channel: c.name.clone(),
                sent: c.counts.sent.load(Ordering::Relaxed),
                failed: c.counts.failed.load(Ordering::Relaxed),
                dropped: c.counts.dropped.load(Ordering::Relaxed),
                last_error: c
                    .counts
                    .last_error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
            })
            .collect()
    }

    /// Lets the channels send what they have, for at most that long. A channel that hangs is left behind.
    pub fn finish(mut self, wait: Duration) {
        let end = Instant::now() + wait;
        for c in &mut self.channels {
            c.queue = None;
        }
        for c in &mut self.channels {
            while c.thread.as_ref().is_some_and(|t| !t.is_finished()) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            if let Some(thread) = c.thread.take().filter(JoinHandle::is_finished) {
                let _ = thread.join();
            }
        }
    }
}

struct Worker {
    way: send::Way,
    limit: Limit,
    host: String,
    counts: Arc<Counts>,
}

impl Worker {
    fn work(&self, alerts: &Receiver<Alert>) {
        let mut budget = Budget::new(self.limit.per_hour);
        while let Ok(first) = alerts.recv() {
            let mut batch = Batch::default();
            batch.push(first);
            let mut open = self.gather(alerts, &mut batch, self.limit.batch.0);
            // Over the limit: what comes meanwhile is said in the same message.
            while open && let Some(wait) = budget.wait(Instant::now()) {
                open = self.gather(alerts, &mut batch, wait);
            }
            budget.take(Instant::now());
            self.deliver(&batch, open);
        }
    }

    /// Takes what comes within that time; `false` once nothing more will come.
    fn gather(&self, alerts: &Receiver<Alert>, batch: &mut Batch, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match alerts.recv_timeout(left) {
                Ok(alert) => batch.push(alert),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn deliver(&self, batch: &Batch, patient: bool) {
        let mut tries = 0;
        loop {
            match self.way.send(batch, &self.host, self.limit.timeout.0) {
                Ok(()) => {
                    self.counts.sent.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(failure) => {
                    *self
                        .counts
                        .last_error
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = Some(failure.why);
                    let pause = PAUSES.get(tries).filter(|_| failure.passes && patient);
                    let Some(pause) = pause else {
                        self.counts.failed.fetch_add(1, Ordering::Relaxed);
                        return;
                    };
                    std::thread::sleep(*pause);
                    tries += 1;
                }
            }
        }
    }
}

/// Alerts that go out as one message.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub alerts: Vec<Alert>,
    pub more: usize,
}

impl Batch {
    fn push(&mut self, alert: Alert) {
        if self.alerts.len() < MOST_IN_ONE {
            self.alerts.push(alert);
        } else {
            self.more += 1;
        }
    }

    pub fn count(&self) -> usize {
        self.alerts.len() + self.more
    }

    /// What a placeholder says.
    pub fn value(&self, name: &str, host: &str) -> String {
        let Some(first) = self.alerts.first() else {
            return String::new();
        };
        let one = self.count() == 1;
        let worst = self.alerts.iter().map(|a| a.severity).max();
        let same = |of: fn(&Alert) -> &String| {
            let all = self.alerts.iter().all(|a| of(a) == of(first));
            all.then(|| of(first).clone())
        };
        let line = |a: &Alert| format!("{}: {}", a.state, a.headline);
        match name {
            "headline" if one => first.headline.clone(),
            "headline" => format!("{} alerts: {}; …", self.count(), first.headline),
            "severity" => worst.unwrap_or(first.severity).name().to_owned(),
            "state" => same(|a| &a.state).unwrap_or_else(|| "alerts".to_owned()),
            "subject" => {
                same(|a| &a.subject).unwrap_or_else(|| format!("{} subjects", self.count()))
            }
            "slug" => same(|a| &a.slug).unwrap_or_default(),
            "details" if one => first.details.clone(),
            "details" | "text" => {
                let mut lines: Vec<String> = Vec::new();
                for a in &self.alerts {
                    lines.push(line(a));
                    if one && !a.details.is_empty() {
                        lines.push(a.details.clone());
                    }
                }
                if self.more > 0 {
                    lines.push(format!("and {} more", self.more));
                }
                lines.join("\n")
            }
            "time" => first.time.to_string(),
            "count" => self.count().to_string(),
            "host" => host.to_owned(),
            _ => String::new(),
        }
    }
}

/// Messages an hour, as a bucket that holds an hour's worth and fills evenly.
struct Budget {
    per_hour: f64,
    tokens: f64,
    at: Instant,
}

impl Budget {
    fn new(per_hour: u32) -> Budget {
        Budget {
            per_hour: f64::from(per_hour),
            tokens: f64::from(per_hour),
            at: Instant::now(),
        }
    }

    fn fill(&mut self, now: Instant) {
        let hours = now.saturating_duration_since(self.at).as_secs_f64() / 3600.0;
        self.tokens = (self.tokens + hours * self.per_hour).min(self.per_hour);
        self.at = now;
    }

    /// How long until one may go; `None` is now.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.fill(now);
        (self.tokens < 1.0)
            .then(|| Duration::from_secs_f64((1.0 - self.tokens) / self.per_hour * 3600.0 + 0.001))
    }

    fn take(&mut self, now: Instant) {
        self.fill(now);
        self.tokens -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn alert(n: usize) -> Alert {
        Alert {
            headline: format!("web{n} does not answer"),
            severity: Severity::High,
            state: "down".to_owned(),
            subject: format!("web{n}"),
            slug: "connect-timeout".to_owned(),
            details: "line \"one\"\nline two".to_owned(),
            time: Time::from_secs(1_790_000_000),
        }
    }

    #[test]
    fn a_batch_says_what_it_holds() {
        let mut b = Batch::default();
        b.push(alert(1));
        assert_eq!(b.value("headline", "h"), "web1 does not answer");
        assert_eq!(b.value("details", "h"), "line \"one\"\nline two");
        assert_eq!(
            b.value("text", "h"),
            "down: web1 does not answer\nline \"one\"\nline two"
        );
        for n in 2..=MOST_IN_ONE + 3 {
            b.push(alert(n));
        }
        assert_eq!(b.value("count", "h"), "53");
        assert_eq!(
            b.value("headline", "h"),
            "53 alerts: web1 does not answer; …"
        );
        assert_eq!(b.value("state", "h"), "down");
        assert_eq!(b.value("subject", "h"), "53 subjects");
        assert!(
            b.value("text", "h")
                .ends_with("web50 does not answer\nand 3 more")
        );
        assert_eq!(b.value("host", "h"), "h");
        for name in settings::PLACEHOLDERS {
            assert!(!b.value(name, "h").is_empty(), "{name}");
        }
    }

    #[test]
    fn the_budget_is_an_hours_worth() {
        let start = Instant::now();
        let mut b = Budget::new(60);
        for _ in 0..60 {
            assert_eq!(b.wait(start), None);
            b.take(start);
        }
        let wait = b.wait(start).unwrap();
        assert!((59..=61).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(b.wait(start + Duration::from_secs(61)), None);
        assert!(b.wait(start + Duration::from_secs(7200)).is_none());
        assert!(b.tokens <= 60.0);
    }
}
