//! Would we see an attack, and would a ban hold? Judged from what was gathered; nothing is read here.

use crate::host::logging::Break;
use sshwhy_core::ban::Sight;
use sshwhy_core::catalog::protection;
use sshwhy_core::detect::words;
use sshwhy_core::finding::{Finding, Severity, Subjects};
use std::time::Duration;

/// One log as it is followed.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub name: String,
    pub open: bool,
    pub sight: Sight,
    /// Since the last line of sshd that came while we looked on.
    pub silent: Option<Duration>,
    /// Microseconds that its lines' times differ from the clock; of live lines only.
    pub skew: i64,
    pub steps: u64,
}

/// Everything that is known about whether protection works.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub logs: Vec<Log>,
    pub unknown_percent: u32,
    pub quiet: Duration,
    /// Since the start.
    pub up: Duration,
    /// The firewall's last trouble, if it was not followed by a success.
    pub firewall: Option<String>,
    /// A ban that does not hold: network and why.
    pub ineffective: Option<(String, String)>,
    /// Banned networks that still come through.
    pub leaks: Vec<String>,
    pub state_file: Option<String>,
    pub panic: bool,
    /// Where the way from sshd to what is followed is broken.
    pub breaks: Vec<Break>,
    /// The canary was not seen.
    pub canary: Option<String>,
}

/// Lines that are enough to speak of a share.
const ENOUGH: u64 = 50;
/// Local time and its zone differ by at least a quarter of an hour.
const SKEW: i64 = 10 * 60 * 1_000_000;

fn finding(slug: &str, severity: Severity, headline: String, notes: &[String]) -> Finding {
    let mut f = match protection::by_slug(slug) {
        Some(row) => words::of_row(row, Subjects::default()),
        None => words::finding("blind", Subjects::default()),
    };
    f.severity = severity;
    f.headline = headline;
    f.confidence = 0.95;
    f.count = 1;
    f.notes = notes.to_vec();
    f
}

/// What is wrong, worst first.
pub fn judge(s: &State) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut blind = |severity, headline: String, note: &str| {
        let notes = if note.is_empty() {
            Vec::new()
        } else {
            vec![note.to_owned()]
        };
        out.push(finding("blind", severity, headline, &notes));
    };
    if s.logs.is_empty() {
        blind(
            Severity::Critical,
            "guard follows no log: none was found".to_owned(),
            "name one under [log] files, or install rsyslog; looked for auth.log, secure, messages and the journal",
        );
    } else if s.logs.iter().all(|l| !l.open) {
        let names: Vec<&str> = s.logs.iter().map(|l| l.name.as_str()).collect();
        blind(
            Severity::Critical,
            format!("guard sees nothing: {} cannot be read", names.join(", ")),
            "guard goes on as soon as it is there again; until then nobody is banned",
        );
    } else {
        for log in s.logs.iter().filter(|l| !l.open) {
            blind(
                Severity::High,
                format!("{} cannot be read", log.name),
                "the other logs are still followed",
            );
        }
    }
    if let Some(why) = &s.canary {
        blind(
            Severity::Critical,
            format!("a failed login that guard made itself was not seen: {why}"),
            "sshd writes somewhere else than guard reads, or not at all",
        );
    }
    for b in &s.breaks {
        blind(Severity::High, b.what.clone(), &b.next);
    }
    for log in &s.logs {
        let sight = &log.sight;
        if sight.ssh >= ENOUGH && sight.unknown * 100 > sight.ssh * u64::from(s.unknown_percent) {
            blind(
                Severity::High,
                format!(
                    "{} of {} lines of sshd in {} are not understood",
                    sight.unknown, sight.ssh, log.name
                ),
                "a new release of OpenSSH, or a log in another form: report a few of them",
            );
        }
        if sight.nameless > 0 {
            blind(
                Severity::High,
                format!(
                    "{} failures in {} name a host instead of an address: nobody can be banned for them",
                    sight.nameless, log.name
                ),
                "set UseDNS no in sshd_config",
            );
        }
        if sight.suppressed > 0 {
            blind(
                Severity::Medium,
                format!(
                    "{}: lines were suppressed on their way, {} times",
                    log.name, sight.suppressed
                ),
                "raise RateLimitBurst in journald.conf, or rsyslog's rate limit",
            );
        }
        if log.skew.abs() > SKEW {
            blind(
                Severity::Medium,
                format!(
                    "the times in {} are {} {} this clock: bans are counted by this clock instead",
                    log.name,
                    sshwhy_core::time::human_span(log.skew.abs()),
                    if log.skew > 0 { "behind" } else { "ahead of" }
                ),
                "the log is of another zone (tz in guard.toml), or one of the clocks is wrong",
            );
        }
        if log.steps > 0 {
            blind(
                Severity::Low,
                format!(
                    "the clock behind {} was set back, {} times",
                    log.name, log.steps
                ),
                "nothing is missed: guard counts on from where it was",
            );
        }
        if !s.quiet.is_zero() && log.silent.unwrap_or(s.up) > s.quiet {
            blind(
                Severity::High,
                format!(
                    "no line of sshd in {} for {}",
                    log.name,
                    sshwhy_core::time::human_span(
                        i64::try_from(log.silent.unwrap_or(s.up).as_micros()).unwrap_or(i64::MAX)
                    )
                ),
                "`sshwhy guard test` finds out whether one would come through",
            );
        }
    }
    if let Some((net, why)) = &s.ineffective {
        out.push(finding(
            "ban-not-effective",
            Severity::Critical,
            format!("the ban of {net} is set but not effective: {why}"),
            &[],
        ));
    }
    if !s.leaks.is_empty() {
        out.push(finding(
            "ban-not-effective",
            Severity::Critical,
            format!("banned, and still failing to log in: {}", s.leaks.join(", ")),
            &["they come by a way that the firewall's rules do not see (a proxy, a container, another address of theirs)".to_owned()],
        ));
    }
    if let Some(why) = &s.firewall {
        out.push(finding(
            "blind",
            Severity::Critical,
            format!("bans cannot be applied: {why}"),
            &[
                "guard goes on deciding and tries again; nobody is kept out until it succeeds"
                    .to_owned(),
            ],
        ));
    }
    if let Some(why) = &s.state_file {
        out.push(finding("blind", Severity::High, why.clone(), &[]));
    }
    if s.panic {
        out.push(finding(
            "blind",
            Severity::High,
            "everything is lifted: the panic file exists".to_owned(),
            &["remove it to go on".to_owned()],
        ));
    }
    out.sort_by_key(|f| std::cmp::Reverse(f.severity));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> State {
        State {
            logs: vec![Log {
                name: "auth.log".to_owned(),
                open: true,
                sight: Sight {
                    lines: 1000,
                    ssh: 1000,
                    ..Sight::default()
                },
                ..Log::default()
            }],
            unknown_percent: 20,
            ..State::default()
        }
    }

    fn change(f: impl FnOnce(&mut State)) -> Vec<(Severity, String)> {
        let mut s = good();
        f(&mut s);
        judge(&s)
            .into_iter()
            .map(|f| (f.severity, f.headline))
            .collect()
    }

    #[test]
    fn nothing_is_said_when_all_is_well_and_each_blindness_is_loud() {
        assert_eq!(change(|_| {}), []);
        let worst = |found: Vec<(Severity, String)>, part: &str| {
            assert!(
                found.iter().any(|f| f.1.contains(part)),
                "{part}: {found:?}"
            );
            found.first().map(|f| f.0)
        };
        use Severity::{Critical, High, Medium};
        assert_eq!(worst(change(|s| s.logs.clear()), "no log"), Some(Critical));
        assert_eq!(
            worst(change(|s| s.logs[0].open = false), "cannot be read"),
            Some(Critical)
        );
        assert_eq!(
            worst(change(|s| s.logs[0].sight.unknown = 300), "not understood"),
            Some(High)
        );
        assert_eq!(change(|s| s.logs[0].sight.unknown = 150), []);
        assert_eq!(
            worst(
                change(|s| s.logs[0].sight.nameless = 1),
                "instead of an address"
            ),
            Some(High)
        );
        assert_eq!(
            worst(change(|s| s.logs[0].skew = 3_600_000_000), "behind"),
            Some(Medium)
        );
        assert_eq!(
            worst(
                change(|s| s.firewall = Some("nft: no".to_owned())),
                "cannot be applied"
            ),
            Some(Critical)
        );
        assert_eq!(
            worst(
                change(|s| s.leaks.push("192.0.2.1".to_owned())),
                "still failing"
            ),
            Some(Critical)
        );
        let quiet = Break {
            what: "LogLevel ERROR hides failures".to_owned(),
            next: "LogLevel INFO".to_owned(),
        };
        assert_eq!(
            worst(change(|s| s.breaks.push(quiet)), "LogLevel ERROR"),
            Some(High)
        );
        assert_eq!(
            worst(change(|s| s.canary = Some("x".to_owned())), "not seen"),
            Some(Critical)
        );
        assert_eq!(
            worst(
                change(|s| {
                    s.quiet = Duration::from_secs(60);
                    s.up = Duration::from_secs(61);
                }),
                "no line of sshd"
            ),
            Some(High)
        );
    }
}
