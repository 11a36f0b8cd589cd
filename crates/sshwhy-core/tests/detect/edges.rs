//! What lies just beside the plain cases: guessers more patient than any limit, people who look like guessers, jobs that fail as a
//! whole, crowds, and lines that name nobody or stand there twice.

use crate::log::*;

const BAD: &str = "198.51.100.7";
const HOME: &str = "10.0.0.8";

#[test]
fn two_tries_a_day_without_end_are_guessing_where_the_names_are_nobodys_own() {
    let run = |names: &[&str], days: u32| {
        let mut log = Log::new();
        log.login(0.5 * DAY, "10.0.0.9", "carol", "publickey", 60.0);
        for i in 0..days * 2 {
            let user = names[i as usize % names.len()];
            log.fails(
                f64::from(i) * 12.0 * HOUR + 7.0 * f64::from(i),
                BAD,
                user,
                1,
            );
        }
        log.findings()
    };
    for names in [
        &["root"][..],
        &["root", "no-admin", "no-test"],
        &["no-a", "no-b"],
    ] {
        let all = run(names, 40);
        let f = the(&all, "slow-brute-force");
        assert_eq!((f.count, f.hostile), (80, true));
        // Not yet, after two weeks.
        assert_eq!(summary(&run(names, 14)), Vec::<String>::new());
    }
    // Somebody's own name, or the job of one who has left.
    assert_eq!(hostile(&run(&["carol"], 40)), Vec::<String>::new());
    assert_eq!(hostile(&run(&["no-left"], 40)), Vec::<String>::new());
}

#[test]
fn a_forgotten_caps_lock_is_no_attack_where_that_user_is_at_home() {
    let run = |user: &str, tries: u32| {
        let mut log = Log::new();
        log.habit(HOME, "bob", 3);
        log.habit("10.0.0.9", "carol", 3);
        for i in 0..tries / 3 {
            log.fails(3.4 * DAY + 20.0 * f64::from(i), HOME, user, 3);
        }
        log.login(
            3.4 * DAY + 20.0 * f64::from(tries / 3),
            HOME,
            "bob",
            "password",
            60.0,
        );
        hostile(&log.findings())
    };
    assert_eq!(run("bob", 12), Vec::<String>::new());
    assert_eq!(run("bob", 24), Vec::<String>::new());
    assert_eq!(
        run("carol", 12),
        ["brute-force 10.0.0.8", "success-after-failures 10.0.0.8"][..1]
    );
    assert_ne!(run("bob", 60), Vec::<String>::new());
}

#[test]
fn a_nightly_job_that_fails_as_a_whole_on_some_nights_has_a_schedule() {
    let run = |bad: &[u32], hour: fn(u32) -> f64| {
        let mut log = Log::new();
        for day in 0..14 {
            let at = f64::from(day) * DAY + hour(day) * HOUR;
            if bad.contains(&day) {
                for i in 0..4 {
                    log.refused(at + 30.0 * f64::from(i), HOME, "backup");
                }
            } else {
                log.login(at, HOME, "backup", "publickey", 1200.0);
            }
        }
        log.findings()
    };
    let two = |_| 2.0;
    let all = run(&[4, 5, 9], two);
    let f = the(&all, "scheduled-automation");
    assert!(
        f.headline.contains(
            "between 02:00 and 02:01, on 14 days since 2026-03-02: 12 attempts failed, 11 worked"
        ),
        "{}",
        f.headline
    );
    assert_eq!(
        (f.hostile, f.subjects.users.as_slice()),
        (false, &["backup".to_owned()][..])
    );
    // One bad night; hours as a person keeps them; nights that all fail from some day on, which is a fault with a beginning.
    assert!(!has(&run(&[4], two), "scheduled-automation"));
    assert!(!has(
        &run(&[4, 5, 9], |day| f64::from(day * 5 % 14) + 7.0),
        "scheduled-automation"
    ));
    let broken = run(&[10, 11, 12, 13], two);
    assert!(!has(&broken, "scheduled-automation"));
    assert!(
        the(&broken, "broken-login")
            .headline
            .contains("worked until")
    );
}

#[test]
fn a_crowd_that_fills_the_places_is_a_flood_although_none_of_it_is() {
    let run = |addrs: u32, each: u32| {
        let mut log = Log::new();
        log.habit("192.0.2.77", "ann", 1);
        log.say(0.9 * DAY, 700, "error: beginning MaxStartups throttling");
        for i in 0..addrs * each {
            log.drop(
                0.9 * DAY + f64::from(i) * 0.3,
                &format!("198.51.100.{}", 1 + i % addrs),
                "past MaxStartups",
            );
        }
        log.drop(0.9 * DAY + 5.0, "192.0.2.77", "past MaxStartups");
        log.drop(0.9 * DAY + 6.0, "203.0.113.9", "past MaxStartups");
        log.findings()
    };
    let all = run(40, 10);
    let f = the(&all, "startup-flood");
    assert_eq!((f.hostile, f.subjects.addrs.len()), (true, 40));
    assert!(f.headline.contains("together"), "{}", f.headline);
    // Who logs in as well, and who tried once, are nobody to blame.
    assert!(
        !f.subjects
            .addrs
            .iter()
            .any(|a| a == "192.0.2.77" || a == "203.0.113.9")
    );
    assert_eq!(the(&all, "throttling").subjects.addrs, ["192.0.2.77"]);
    assert_eq!(hostile(&run(8, 10)), Vec::<String>::new());
    assert_eq!(hostile(&run(4, 20)), Vec::<String>::new());
}

#[test]
fn a_stranger_who_knocks_in_a_hurry_scans_and_a_check_does_not() {
    let run = |ip: &str, gaps: &[f64]| {
        let mut log = Log::new();
        let mut at = 1000.0;
        for i in 0..12 {
            log.check(at, ip);
            at += gaps[i % gaps.len()];
        }
        log.findings()
    };
    let uneven = [1.0, 6.3, 2.2, 4.9, 1.4];
    let all = run(BAD, &uneven);
    let f = the(&all, "protocol-scan");
    assert_eq!((f.count, f.hostile), (12, true));
    assert!(
        f.headline
            .contains("connected and said nothing in 12 connections"),
        "{}",
        f.headline
    );
    assert!(!has(&run(HOME, &uneven), "protocol-scan"));
    assert!(!has(
        &run(BAD, &[15.0, 2.0, 41.0, 8.0, 3.0]),
        "protocol-scan"
    ));
    // A check every four seconds keeps its step.
    let mut log = Log::new();
    for i in 0..100 {
        log.check(f64::from(i) * 4.0, BAD);
    }
    assert_eq!(summary(&log.findings()), [format!("port-monitor {BAD}")]);
}

#[test]
fn the_listeners_timeouts_are_one_connection_each_and_name_the_client() {
    let run = |line: &str| {
        let mut log = Log::new();
        for i in 0..40 {
            log.say(
                500.0 + f64::from(i) * 1.7,
                700,
                &format!(
                    "Timeout before authentication for connection from {line}, pid = {}",
                    900 + i
                ),
            );
        }
        log.findings()
    };
    let f = run(&format!("{BAD} to 10.0.0.1"));
    assert_eq!(the(&f, "startup-flood").count, 40);
    assert_eq!(the(&f, "startup-flood").subjects.addrs, [BAD]);
    // OpenSSH 9.8 had them the other way round.
    let f = run(&format!("10.0.0.1 to {BAD}"));
    assert_eq!(the(&f, "startup-flood").subjects.addrs, [BAD]);
    // Both inside: as every release but that one means it.
    let f = run("10.0.0.7 to 10.0.0.1");
    assert_eq!(the(&f, "startup-flood").subjects.addrs, ["10.0.0.7"]);
}

#[test]
fn a_refusal_that_no_line_gives_an_address_for_still_has_its_user() {
    let run = |times: u32| {
        let mut log = Log::new();
        for i in 0..times {
            let at = f64::from(i) * 600.0;
            log.say(
                at,
                3000 + i,
                "pam_unix(sshd:account): account erin has expired (account expired)",
            );
            log.say(
                at + 0.1,
                3000 + i,
                "fatal: Access denied for user erin by PAM account configuration [preauth]",
            );
        }
        log.say(50_000.0, 9000, "Server listening on :: port 22.");
        log.findings()
    };
    let all = run(3);
    let f = the(&all, "broken-login");
    assert_eq!(f.subjects.users, ["erin"]);
    assert_eq!(f.subjects.addrs, Vec::<String>::new());
    assert!(
        f.headline
            .starts_with("erin cannot log in: refused 3 times"),
        "{}",
        f.headline
    );
    assert!(!f.evidence.is_empty());
    assert!(!has(&run(2), "broken-login"));
}

#[test]
fn who_gets_in_and_finds_no_sftp_is_told_so() {
    let mut log = Log::new();
    for i in 0..3 {
        let at = f64::from(i) * 900.0;
        log.login(at, HOME, "frank", "publickey", 2.0);
        log.say(
            at + 0.2,
            1004 + 3 * i,
            "subsystem request for sftp by user frank failed, subsystem not found",
        );
    }
    let all = log.findings();
    let f = the(&all, "broken-login");
    assert_eq!(
        (f.subjects.users.as_slice(), f.subjects.addrs.as_slice()),
        (&["frank".to_owned()][..], &[HOME.to_owned()][..])
    );
    assert!(
        f.notes.iter().any(|n| n.contains("sftp-subsystem-missing")),
        "{:?}",
        f.notes
    );
}

#[test]
fn an_odd_hour_names_the_address_too() {
    let mut log = Log::new();
    log.habit(HOME, "carol", 12);
    log.login(
        13.0 * DAY + 3.0 * HOUR,
        "203.0.113.9",
        "carol",
        "publickey",
        60.0,
    );
    assert_eq!(
        the(&log.findings(), "odd-hour-login").subjects.addrs,
        ["203.0.113.9"]
    );
}

#[test]
fn a_log_that_two_collectors_wrote_is_counted_once() {
    let mut log = Log::new();
    for i in 0..20 {
        log.fails(1000.0 + f64::from(i) * 8.0, BAD, "root", 1);
    }
    log.habit(HOME, "bob", 2);
    log.fails(1.6 * DAY, HOME, "bob", 3);
    let honest = log.report();
    let doubled: String = log.text().lines().map(|l| format!("{l}\n{l}\n")).collect();
    let report = read(&doubled, Default::default(), Default::default());
    let told = |r: &sshwhy_core::report::Report| {
        r.findings
            .iter()
            .map(|f| (f.slug, f.count, f.headline.clone()))
            .collect::<Vec<_>>()
    };
    let slack =
        the(&report.findings, "brute-force").count - the(&honest.findings, "brute-force").count;
    // Until a few lines that happen once have come again, a second refusal is taken for one.
    assert!(slack <= 4, "{slack}");
    assert_eq!(told(&report).len(), told(&honest).len());
    assert!(
        report
            .input
            .notes
            .iter()
            .any(|n| n.contains("copy of itself")),
        "{:?}",
        report.input.notes
    );
    assert!(
        !honest
            .input
            .notes
            .iter()
            .any(|n| n.contains("copy of itself"))
    );
    // Refusals that honestly follow each other in one second of one connection count as they are.
    let mut log = Log::new();
    for i in 0..9 {
        for _ in 0..2 {
            log.say(
                f64::from(i),
                5000,
                &format!("Failed password for root from {BAD} port 4000 ssh2"),
            );
        }
    }
    assert_eq!(the(&log.findings(), "brute-force").count, 18);
}

#[test]
fn one_wrong_password_on_many_hosts_inside_is_a_person() {
    let run = |ip: &str, hosts: &[&'static str], each: u32| {
        let mut log = Log::new();
        for round in 0..each {
            for (i, host) in hosts.iter().enumerate() {
                log.host = host;
                log.fails(1000.0 + f64::from(round) * 20.0 + i as f64, ip, "ann", 1);
            }
        }
        for (i, host) in hosts.iter().enumerate() {
            log.host = host;
            log.login(1200.0 + i as f64, ip, "ann", "password", 30.0);
        }
        hostile(&log.findings())
    };
    let fleet = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10"];
    assert_eq!(run(HOME, &fleet, 2), Vec::<String>::new());
    // From outside, and many times on each, it is what it looks like.
    assert_eq!(run(BAD, &fleet, 2).len(), 2);
    assert_eq!(run(HOME, &fleet, 8).len(), 2);
}

#[test]
fn a_machine_inside_with_a_name_that_is_gone_is_broken_and_no_guesser() {
    let mut log = Log::new();
    for i in 0..300 {
        log.fails(f64::from(i) * 300.0, HOME, "no-nagios", 1);
    }
    let all = log.findings();
    assert_eq!(hostile(&all), Vec::<String>::new());
    assert_eq!(the(&all, "broken-login").subjects.users, ["no-nagios"]);
    // From outside, or with several names, it is guessing.
    let mut log = Log::new();
    for i in 0..300 {
        log.fails(f64::from(i) * 300.0, BAD, "no-nagios", 1);
        log.fails(
            f64::from(i) * 300.0 + 9.0,
            HOME,
            ["no-a", "no-b"][i as usize % 2],
            1,
        );
    }
    assert_eq!(hostile(&log.findings()).len(), 2);
}

#[test]
fn a_check_every_two_seconds_is_named_so_although_the_log_writes_whole_ones() {
    let mut log = Log::new();
    let mut dice = Dice(7);
    for i in 0..900 {
        // Just before and just behind the full second.
        let at = f64::from(i) * 2.0 + 0.99 + 0.03 * dice.roll();
        log.check(at.floor(), HOME);
    }
    let all = log.findings();
    let f = the(&all, "port-monitor");
    assert!(f.headline.contains("every 2 s"), "{}", f.headline);
}

#[test]
fn a_class_that_mistypes_and_gets_in_is_no_spray() {
    let run = |get_in: usize| {
        let mut log = Log::new();
        for i in 0..20 {
            let user = format!("stud{i:02}");
            let at = 1000.0 + i as f64 * 15.0;
            log.fails(at, BAD, &user, 3);
            if i < get_in {
                log.login(at + 9.0, BAD, &user, "password", 900.0);
            }
        }
        hostile(&log.findings())
    };
    assert_eq!(run(20), Vec::<String>::new());
    assert_eq!(run(16), Vec::<String>::new());
    assert_ne!(run(8), Vec::<String>::new());
}

#[test]
fn an_office_where_people_give_the_name_of_their_own_machine_scans_nothing() {
    let run = |before: bool, tries: u32| {
        let mut log = Log::new();
        for user in ["carol", "dave", "erin"] {
            for day in 0..10 {
                let at = f64::from(day) * DAY + 9.0 * HOUR + f64::from(user.len() as u32) * 60.0;
                log.login(at, BAD, user, "password", 900.0);
            }
        }
        for i in 0..6 {
            let day = if before { 0.0 } else { f64::from(i) + 1.0 };
            log.fails(
                day * DAY + HOUR * f64::from(i),
                BAD,
                &format!("no-pc{i}"),
                tries,
            );
        }
        hostile(&log.findings())
    };
    assert_eq!(run(false, 1), Vec::<String>::new());
    // The names came first; or each was tried again and again.
    assert_ne!(run(true, 1), Vec::<String>::new());
    assert_ne!(run(false, 6), Vec::<String>::new());
}

#[test]
fn a_web_check_from_inside_is_a_monitor_and_from_outside_a_scanner() {
    let run = |ip: &str, gap: fn(u32) -> f64| {
        let mut log = Log::new();
        for i in 0..100 {
            log.probe(
                gap(i),
                ip,
                "banner exchange: Connection from IP port PORT: invalid format",
            );
        }
        log.findings()
    };
    let even = |i| f64::from(i) * 30.0;
    let all = run(HOME, even);
    let f = the(&all, "port-monitor");
    assert!(
        !f.hostile && f.headline.contains("every 30 s"),
        "{}",
        f.headline
    );
    assert!(
        f.notes.iter().any(|n| n.contains("no SSH")),
        "{:?}",
        f.notes
    );
    assert_eq!(hostile(&all), Vec::<String>::new());
    assert!(has(&run(BAD, even), "protocol-scan"));
    assert!(has(&run(HOME, |i| f64::from(i * i)), "protocol-scan"));
}
