//! Logs without times, as a container's output is: who guessed and who got in still shows; pace, hours and spans are not made up.

use crate::log::{DAY, HOUR, Log, has, hostile, read, summary, the};
use sshwhy_core::detect::Settings;
use sshwhy_core::names::Limits;
use sshwhy_core::report::Report;

/// The messages of a log alone, in its order.
fn bare(log: &Log) -> Report {
    let text: String = log
        .text()
        .lines()
        .map(|l| {
            let (_, message) = l.split_once("]: ").unwrap();
            format!("{}\n", message.strip_prefix("error: ").unwrap_or(message))
        })
        .collect();
    read(&text, Settings::default(), Limits::default())
}

#[test]
fn guessing_shows_by_its_number_and_nothing_is_said_of_its_pace() {
    let mut log = Log::new();
    for i in 0..11 {
        log.fails(f64::from(i) * 3.0, "198.51.100.3", "root", 1);
    }
    for i in 0..10 {
        log.fails(100.0 + f64::from(i) * 3.0, "198.51.100.4", "root", 1);
    }
    let report = bare(&log);
    assert_eq!(hostile(&report.findings), ["brute-force 198.51.100.3"]);
    let f = the(&report.findings, "brute-force");
    assert_eq!((f.first, f.last, f.count), (None, None, 11));
    assert!(f.headline.contains("at unknown times"), "{}", f.headline);
    assert!(f.evidence.iter().all(|e| e.at.is_none()));
    assert!(f.notes.iter().any(|n| n.contains("the log has no times")));
    assert!(
        report
            .addresses
            .iter()
            .all(|a| a.first.is_none() && a.last.is_none())
    );
    assert!(report.activity.buckets.is_empty());
    assert!(
        report
            .input
            .notes
            .iter()
            .any(|n| n.contains("lines about logins have no time"))
    );
}

#[test]
fn a_break_in_shows_without_a_time() {
    let mut log = Log::new();
    for i in 0..30 {
        log.fails(f64::from(i) * 3.0, "198.51.100.3", "root", 1);
    }
    log.login(200.0, "198.51.100.3", "root", "password", 50.0);
    let report = bare(&log);
    let f = the(&report.findings, "success-after-failures");
    assert!(
        f.headline.contains("got in as root after 30 failures"),
        "{}",
        f.headline
    );
    assert!(!f.headline.contains("stayed"), "{}", f.headline);
    assert_eq!(
        (f.first, report.logins[0].at, report.logins[0].seconds),
        (None, None, None)
    );
}

#[test]
fn what_only_time_could_tell_is_not_told() {
    let mut log = Log::new();
    // Even gaps between lines are no rhythm; failures that logins cross are no guesses.
    for i in 0..60 {
        let at = f64::from(i) * 30.0;
        log.check(at, "10.0.0.9");
    }
    for night in 0..5 {
        for i in 0..4 {
            let at = f64::from(night) * DAY + HOUR + f64::from(i) * 300.0;
            log.fails(at, "10.0.0.8", "ops", 1);
            log.login(at + 100.0, "10.0.0.8", "ops", "password", 5.0);
        }
    }
    log.habit("192.0.2.9", "alice", 12);
    log.login(
        12.0 * DAY + 3.0 * HOUR,
        "198.51.100.77",
        "alice",
        "publickey",
        60.0,
    );
    assert!(has(&log.findings(), "port-monitor"));
    assert!(has(&log.findings(), "scheduled-automation"));
    assert_eq!(summary(&bare(&log).findings), Vec::<String>::new());
}
