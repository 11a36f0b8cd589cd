//! What holds for all detectors: order, bounds, blindness, and that every row of the catalogue is in use.

use crate::log::*;
use sshwhy_core::catalog::detectors;
use sshwhy_core::detect::Settings;
use sshwhy_core::names::Limits;
use std::collections::BTreeSet;

/// A week in which everything happens.
fn week() -> Log {
    let mut log = Log::new();
    log.habit("192.0.2.9", "alice", 7);
    for i in 0..300 {
        log.fails(
            DAY + f64::from(i) * 7.0,
            "198.51.100.7",
            ["root", "no-x", "postgres"][i as usize % 3],
            1 + i % 3,
        );
    }
    log.login(DAY + 2200.0, "198.51.100.7", "postgres", "password", 900.0);
    for i in 0..60 {
        log.fails(2.0 * DAY + f64::from(i) * 1500.0, "198.51.100.8", "root", 1);
    }
    for i in 0..7 {
        log.fails(
            DAY + f64::from(i) * 45.0,
            "198.51.100.9",
            ["bob", "eve", "dan", "kim", "lee", "pat", "sam"][i as usize],
            1,
        );
        log.fails(
            DAY + f64::from(i) * 45.0,
            "198.51.100.10",
            &format!("no-{i}"),
            1,
        );
    }
    for i in 0..50 {
        log.fails(
            3.0 * DAY + f64::from(i) * 300.0,
            &format!("203.0.113.{i}"),
            "deploy",
            1,
        );
    }
    for i in 0..5 {
        log.probe(
            4.0 * DAY + f64::from(i) * 9.0,
            "198.51.100.11",
            "banner exchange: Connection from IP port PORT: invalid format",
        );
        log.fails(
            5.0 * DAY + f64::from(i) * 50.0,
            "198.51.100.12",
            "x from 192.0.2.1 port 22",
            1,
        );
        log.symptom(
            f64::from(i) * DAY + 8.0 * HOUR,
            "10.0.0.3",
            "bob",
            "Authentication refused: bad ownership or modes for directory /home/bob/.ssh",
        );
        for k in 0..10 {
            let at = f64::from(i) * DAY + HOUR + f64::from(k) * 700.0;
            if (k * 7 + i) % 10 < 6 {
                log.fails(at, "10.0.0.4", "ops", 1);
            } else {
                log.login(at, "10.0.0.4", "ops", "password", 4.0);
            }
        }
    }
    for i in 0..80 {
        log.drop(
            6.0 * DAY + f64::from(i),
            "198.51.100.13",
            "past MaxStartups",
        );
    }
    log.drop(6.0 * DAY + 3.0, "192.0.2.9", "past MaxStartups");
    for i in 0..5000 {
        log.check(f64::from(i) * 120.0, "10.0.0.5");
    }
    log.login(
        6.0 * DAY + 3.0 * HOUR,
        "192.0.2.9",
        "alice",
        "publickey",
        60.0,
    );
    log.login(
        6.0 * DAY + 11.0 * HOUR,
        "203.0.113.250",
        "alice",
        "publickey",
        60.0,
    );
    log.login(
        6.0 * DAY + 12.0 * HOUR,
        "10.0.0.6",
        "root",
        "publickey",
        60.0,
    );
    log
}

#[test]
fn every_row_of_the_catalogue_is_found_by_somebody() {
    let mut found: BTreeSet<&str> = week().findings().iter().map(|f| f.slug).collect();
    let mut quiet = Log::new();
    for i in 0..20 {
        quiet.say(
            f64::from(i),
            900 + i,
            "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)",
        );
    }
    found.extend(quiet.findings().iter().map(|f| f.slug));
    let rows: BTreeSet<&str> = detectors::ROWS.iter().map(|d| d.slug).collect();
    assert_eq!(found, rows);
}

#[test]
fn findings_are_whole() {
    for f in week().findings() {
        let row = detectors::by_slug(f.slug).unwrap();
        assert_eq!(f.id, row.id);
        assert!(
            !f.headline.is_empty() && f.headline.len() < 300,
            "{}",
            f.headline
        );
        assert!(
            (0.3..=1.0).contains(&f.confidence),
            "{} {}",
            f.slug,
            f.confidence
        );
        assert!(
            !f.evidence.is_empty() && f.evidence.len() <= 8,
            "{} {}",
            f.slug,
            f.evidence.len()
        );
        assert!(f.first <= f.last && f.first.is_some(), "{}", f.slug);
        assert!(f.count > 0 && !f.remedy.is_empty(), "{}", f.slug);
        let unique: BTreeSet<&String> = f.subjects.addrs.iter().collect();
        assert_eq!(unique.len(), f.subjects.addrs.len());
    }
}

#[test]
fn no_actor_has_two_findings_of_one_kind() {
    let mut seen = BTreeSet::new();
    for f in week().findings() {
        for a in &f.subjects.addrs {
            assert!(
                seen.insert((f.slug, a.clone(), f.subjects.users.clone())),
                "{} {a}",
                f.slug
            );
        }
    }
}

#[test]
fn lines_out_of_order_by_seconds_change_nothing_that_matters() {
    let log = week();
    let straight = summary(&log.findings());
    for seed in 1..4 {
        let mut dice = Dice(seed);
        let mut shuffled = log.clone();
        for (at, _) in &mut shuffled.lines {
            *at += dice.roll() * 4.0;
        }
        assert_eq!(summary(&shuffled.findings()), straight, "seed {seed}");
    }
}

#[test]
fn logs_of_several_hosts_read_one_after_the_other_say_what_each_says() {
    let host = |name: &'static str, addr: &str| {
        let mut log = Log::new();
        log.host = name;
        log.habit("192.0.2.9", "alice", 5);
        for i in 0..60 {
            log.fails(DAY + f64::from(i) * 7.0, addr, "root", 1);
        }
        log.login(DAY + 500.0, addr, "root", "password", 300.0);
        log
    };
    let (a, b, c) = (
        host("a", "203.0.113.5"),
        host("b", "203.0.113.6"),
        host("c", "203.0.113.7"),
    );
    let text = a.text() + &b.text() + &c.text();
    let all = read(&text, Settings::default(), Limits::default()).findings;
    let mut broken_in: Vec<&str> = all
        .iter()
        .filter(|f| f.slug == "success-after-failures")
        .map(|f| {
            assert!(
                f.headline.contains("after 60 failures, stayed 5 min"),
                "{}",
                f.headline
            );
            f.subjects.addrs[0].as_str()
        })
        .collect();
    broken_in.sort_unstable();
    assert_eq!(broken_in, ["203.0.113.5", "203.0.113.6", "203.0.113.7"]);
}

#[test]
fn a_log_read_twice_in_pieces_says_the_same() {
    // Two hosts one after the other, as files are read: time steps back between them.
    let mut log = week();
    let a = log.text();
    log.lines
        .iter_mut()
        .for_each(|(_, l)| *l = l.replacen(" srv ", " two ", 1));
    let both = a.clone() + &log.text();
    let once = hostile(&read(&a, Settings::default(), Limits::default()).findings);
    let twice = hostile(&read(&both, Settings::default(), Limits::default()).findings);
    assert_eq!(once, twice);
}

#[test]
fn memory_is_bounded_by_the_limits_of_names() {
    let limits = Limits {
        addrs: 500,
        users: 100,
        hosts: 4,
    };
    let mut log = Log::new();
    for i in 0..6000u32 {
        log.fails(
            f64::from(i),
            &format!("198.{}.{}.{}", 18 + i % 2, i / 250 % 250, i % 250),
            &format!("no-{i}"),
            1,
        );
    }
    // An attacker among the first is still found.
    for i in 0..50 {
        log.fails(f64::from(i) * 2.0, "203.0.113.5", "root", 1);
    }
    let report = read(&log.text(), Settings::default(), limits);
    assert!(
        hostile(&report.findings)
            .iter()
            .any(|f| f == "brute-force 203.0.113.5")
    );
    // What stands for many addresses is counted, and nobody is blamed for it.
    let blind = the(&report.findings, "blind");
    assert!(
        blind
            .headline
            .starts_with("more addresses than are kept apart"),
        "{}",
        blind.headline
    );
    for f in report.findings.iter().filter(|f| f.hostile) {
        assert!(
            f.subjects
                .addrs
                .iter()
                .all(|a| !a.contains('/') && !a.contains('(')),
            "{:?}",
            f.subjects
        );
    }
}

#[test]
fn thousands_of_guessers_are_not_thousands_of_findings() {
    let mut log = Log::new();
    for i in 0..1300u32 {
        for k in 0..7 {
            log.fails(
                f64::from(i) * 10.0 + f64::from(k) * 3.0,
                &format!("198.18.{}.{}", i / 250, i % 250),
                "root",
                1,
            );
        }
    }
    let all = log.findings();
    let guesses: Vec<_> = all.iter().filter(|f| f.slug == "brute-force").collect();
    assert_eq!(guesses.len(), 1001);
    let named: BTreeSet<&String> = guesses
        .iter()
        .flat_map(|f| f.subjects.addrs.iter())
        .collect();
    assert_eq!(named.len(), 1300);
}

#[test]
fn a_log_without_sshds_own_lines_is_called_blind() {
    let mut log = Log::new();
    for i in 0..10 {
        log.say(
            f64::from(i) * 60.0,
            900 + i,
            "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)",
        );
    }
    let all = log.findings();
    assert!(
        the(&all, "blind")
            .headline
            .contains("10 sessions were opened"),
        "{}",
        all[0].headline
    );
    // One line of sshd's, and it sees.
    log.login(9000.0, "192.0.2.9", "alice", "publickey", 5.0);
    assert!(!has(&log.findings(), "blind"));
    let mut log = Log::new();
    for i in 0..9 {
        log.say(
            f64::from(i) * 60.0,
            900 + i,
            "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)",
        );
    }
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn lines_that_cannot_be_read_are_a_blind_spot_and_scraps_are_none() {
    let run = |lines: u32| {
        let mut log = Log::new();
        log.login(10.0, "192.0.2.9", "alice", "publickey", 5.0);
        let mut text = log.text();
        for i in 0..lines {
            text.push_str(&format!(
                "<<web1>> Failed password for root from 192.0.2.7 port {} ssh2\n",
                40_000 + i
            ));
        }
        read(&text, Settings::default(), Limits::default())
    };
    let report = run(3);
    let f = the(&report.findings, "blind");
    assert!(
        f.headline.contains("3 lines speak of logins"),
        "{}",
        f.headline
    );
    assert_eq!(f.count, 3);
    assert!(f.evidence[0].text.starts_with("<<web1>> Failed"));
    assert!(
        report.verdict.contains("1 blind spot"),
        "{}",
        report.verdict
    );
    assert_eq!(summary(&run(2).findings), Vec::<String>::new());
}

#[test]
fn what_sshd_says_at_debug_level_is_no_blind_spot() {
    let mut log = Log::new();
    for i in 0..300 {
        log.say(
            f64::from(i),
            1000 + i,
            "debug3: mm_request_send: entering, type 13",
        );
    }
    assert!(!has(&log.findings(), "blind"));
    for i in 0..300 {
        log.say(f64::from(i), 1000 + i, "nobody has ever said that");
    }
    assert!(has(&log.findings(), "blind"));
}

#[test]
fn lines_lost_to_a_rate_limit_are_a_blind_spot_and_those_of_other_programs_are_not() {
    for (text, blind) in [
        (
            "systemd-journald[250]: Suppressed 812 messages from ssh.service",
            true,
        ),
        (
            "systemd-journald[250]: Suppressed 812 messages from cron.service",
            false,
        ),
        (
            "rsyslogd: imjournal: begin to drop messages due to rate-limiting",
            true,
        ),
    ] {
        let mut log = Log::new();
        log.login(0.0, "192.0.2.9", "alice", "publickey", 5.0);
        log.lines
            .push((60.0, format!("2026-03-02T00:01:00Z srv {text}\n")));
        let all = log.findings();
        assert_eq!(has(&all, "blind"), blind, "{text}");
    }
}

#[test]
fn a_hole_in_a_busy_log_is_named_and_quiet_nights_are_not() {
    let mut log = Log::new();
    for i in 0..2000 {
        let at = f64::from(i) * 300.0;
        if !(2.0 * DAY..3.0 * DAY).contains(&at) {
            log.check(at, "10.0.0.5");
        }
    }
    let all = log.findings();
    assert!(
        the(&all, "blind").headline.contains("2026-03-03 23:55"),
        "{:?}",
        summary(&all)
    );
    let mut log = Log::new();
    log.habit("192.0.2.9", "alice", 5);
    assert!(!has(&log.findings(), "blind"));
}

#[test]
fn a_proxy_hides_everybody_and_is_not_to_blame() {
    let mut log = Log::new();
    let proxy = "172.17.0.1";
    for i in 0..400 {
        log.fails(f64::from(i) * 20.0, proxy, &format!("no-{}", i % 40), 1);
    }
    for i in 0..6 {
        log.login(f64::from(i) * 1000.0, proxy, "alice", "publickey", 60.0);
    }
    let all = log.findings();
    assert_eq!(the(&all, "blind").subjects.addrs, [proxy]);
    assert_eq!(hostile(&all), Vec::<String>::new());
    // One inside machine that guesses beside others is just that.
    for i in 0..200 {
        log.check(f64::from(i) * 31.0, "10.9.9.9");
    }
    assert!(!has(&log.findings(), "blind"));
    assert!(hostile(&log.findings()).iter().any(|f| f.ends_with(proxy)));
}

#[test]
fn unknown_words_are_a_blind_spot_from_a_fifth_on() {
    let run = |unknown: u32| {
        let mut log = Log::new();
        for i in 0..400 {
            if i < unknown {
                log.say(f64::from(i), 900 + i, "zugang verweigert fuer jemanden");
            } else {
                log.say(
                    f64::from(i),
                    900 + i,
                    "Server listening on 0.0.0.0 port 22.",
                );
            }
        }
        log.findings()
    };
    assert!(has(&run(100), "blind"));
    assert!(!has(&run(80), "blind"));
}

#[test]
fn hostile_names_reach_no_command() {
    let mut log = Log::new();
    for i in 0..20 {
        log.fails(f64::from(i), "198.51.100.7", "no-$(reboot)", 1);
    }
    log.login(30.0, "198.51.100.7", "$(reboot)", "password", 5.0);
    for f in log.findings() {
        for s in &f.remedy {
            assert!(
                !s.command.as_deref().unwrap_or("").contains("reboot"),
                "{:?}",
                s.command
            );
        }
    }
}
