//! Guessing in all its paces, forging, and getting in.

use crate::log::*;
use sshwhy_core::finding::Severity;

const BAD: &str = "198.51.100.7";

#[test]
fn six_failures_within_a_minute_are_brute_force_and_five_are_not() {
    let run = |times: &[f64]| {
        let mut log = Log::new();
        for t in times {
            log.fails(*t, BAD, "root", 1);
        }
        log.findings()
    };
    let six = run(&[0.0, 10.0, 20.0, 30.0, 40.0, 59.0]);
    let f = the(&six, "brute-force");
    assert!(f.hostile);
    assert_eq!(
        (f.count, f.subjects.addrs.clone()),
        (6, vec![BAD.to_owned()])
    );
    assert_eq!(
        f.headline,
        "198.51.100.7 tried 6 passwords for root in 59 s, none accepted"
    );
    assert!(f.evidence.len() >= 2 && f.evidence[0].source == "auth.log:1");
    // Exactly five a minute, however long.
    assert_eq!(
        summary(&run(&[0.0, 12.0, 24.0, 36.0, 48.0, 60.0, 72.0])),
        Vec::<String>::new()
    );
    assert!(!has(&run(&[0.0, 1.0, 2.0, 3.0, 4.0]), "brute-force"));
}

#[test]
fn tries_within_one_connection_count_one_by_one() {
    let mut log = Log::new();
    log.fails(100.0, BAD, "root", 6);
    assert_eq!(the(&log.findings(), "brute-force").count, 6);
    // Six in one connection, a prompt answered every half a minute.
    let mut log = Log::new();
    for i in 0..6 {
        log.say(
            f64::from(i) * 30.0,
            5000,
            &format!("Failed password for root from {BAD} port 4000 ssh2"),
        );
    }
    log.say(
        151.0,
        5000,
        &format!("Connection closed by authenticating user root {BAD} port 4000 [preauth]"),
    );
    assert!(!has(&log.findings(), "brute-force"));
}

#[test]
fn the_threshold_can_be_set() {
    let mut log = Log::new();
    for i in 0..10 {
        log.fails(f64::from(i), BAD, "root", 1);
    }
    assert!(has(
        &log.findings_with(&["brute-force.failures=9"]),
        "brute-force"
    ));
    assert!(!has(
        &log.findings_with(&["brute-force.failures=10"]),
        "brute-force"
    ));
    assert!(!has(
        &log.findings_with(&["brute-force.seconds=5"]),
        "brute-force"
    ));
}

#[test]
fn slow_guessing_is_told_from_a_few_tries_a_day() {
    let run = |n: u32, gap: f64| {
        let mut log = Log::new();
        for i in 0..n {
            log.fails(f64::from(i) * gap, BAD, "root", 1);
        }
        log.findings()
    };
    // Eleven in a day, and ten.
    let f = run(11, 2.0 * HOUR);
    assert_eq!(the(&f, "slow-brute-force").count, 11);
    assert!(
        the(&f, "slow-brute-force")
            .headline
            .contains("about every 2 h"),
        "{:?}",
        f[0].headline
    );
    assert_eq!(summary(&run(10, 2.0 * HOUR)), Vec::<String>::new());
    // Five a day for a week, and three a day.
    assert!(has(&run(35, DAY / 5.0), "slow-brute-force"));
    assert_eq!(summary(&run(21, DAY / 3.0)), Vec::<String>::new());
}

#[test]
fn guesses_show_where_only_the_connections_end_is_logged() {
    let mut log = Log::new();
    for i in 0..40 {
        log.refused(f64::from(i) * 5.0, BAD, "root");
    }
    let all = log.findings();
    let f = the(&all, "brute-force");
    assert_eq!(f.count, 40);
    assert!(
        f.headline.contains("tried 40 times to log in as root"),
        "{}",
        f.headline
    );
}

#[test]
fn a_few_tries_for_many_users_are_a_spray() {
    let mut log = Log::new();
    for (i, user) in ["alice", "bob", "carol", "deploy", "git"]
        .iter()
        .enumerate()
    {
        log.fails(i as f64 * 40.0, BAD, user, 1);
    }
    let all = log.findings();
    assert_eq!(summary(&all), [format!("password-spray {BAD}")]);
    assert_eq!(all[0].subjects.users.len(), 5);
    // Four users: still a colleague who administrates several accounts.
    log.lines.retain(|(_, l)| !l.contains(" git "));
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn names_that_do_not_exist_are_a_scan_and_one_typing_error_is_not() {
    let mut log = Log::new();
    for i in 0..5 {
        log.fails(f64::from(i) * 50.0, BAD, &format!("no-{i}"), 1);
    }
    let all = log.findings();
    assert_eq!(summary(&all), [format!("invalid-user-scan {BAD}")]);
    assert!(
        all[0].headline.contains("tried 5 user names"),
        "{}",
        all[0].headline
    );
    let mut log = Log::new();
    log.fails(0.0, "192.0.2.5", "no-alcie", 2);
    log.login(20.0, "192.0.2.5", "alice", "password", 60.0);
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn many_quiet_addresses_are_one_campaign() {
    let run = |n: u32, user: &dyn Fn(u32) -> String| {
        let mut log = Log::new();
        for i in 0..n {
            log.fails(
                f64::from(i) * 600.0,
                &format!("198.51.100.{i}"),
                &user(i),
                1,
            );
        }
        log.findings()
    };
    let all = run(40, &|_| "deploy".to_owned());
    let f = the(&all, "distributed-brute-force");
    assert_eq!((all.len(), f.subjects.addrs.len(), f.count), (1, 40, 40));
    assert!(
        f.hostile && f.headline.starts_with("40 addresses tried deploy"),
        "{}",
        f.headline
    );
    // A list of users instead of one.
    let list = run(60, &|i| format!("no-{}", i % 6));
    assert_eq!(
        the(&list, "distributed-brute-force").subjects.addrs.len(),
        60
    );
    assert_eq!(
        the(&list, "distributed-brute-force").subjects.users.len(),
        6
    );
    // Nineteen addresses, or forty that have nothing in common, or that come over months.
    assert_eq!(
        summary(&run(19, &|_| "deploy".to_owned())),
        Vec::<String>::new()
    );
    assert_eq!(
        summary(&run(40, &|i| format!("no-{i}"))),
        Vec::<String>::new()
    );
    let mut log = Log::new();
    for i in 0..40 {
        log.fails(
            f64::from(i) * 2.0 * DAY,
            &format!("198.51.100.{i}"),
            "deploy",
            1,
        );
    }
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn a_login_from_a_new_place_weighs_more_while_strangers_guess_that_password() {
    let run = |method: &str, at: f64| {
        let mut log = Log::new();
        log.habit("192.0.2.9", "alice", 3);
        for i in 0..30 {
            log.fails(
                2.0 * DAY + f64::from(i) * 300.0,
                &format!("203.0.113.{i}"),
                "alice",
                2,
            );
        }
        log.login(at, "198.51.100.77", "alice", method, 60.0);
        log.findings()
    };
    let all = run("password", 2.0 * DAY + 2.0 * HOUR);
    let f = the(&all, "new-source-login");
    assert!(
        f.headline.contains("while 30 strangers guessed"),
        "{}",
        f.headline
    );
    assert_eq!(f.subjects.addrs, ["198.51.100.77"]);
    assert!(!f.hostile && f.severity == Severity::High);
    // A key cannot be guessed, and a week later it is another story.
    assert!(!has(
        &run("publickey", 2.0 * DAY + 2.0 * HOUR),
        "new-source-login"
    ));
    let later = run("password", 9.0 * DAY);
    assert!(
        !the(&later, "new-source-login")
            .headline
            .contains("strangers")
    );
}

#[test]
fn a_person_who_mistypes_during_a_campaign_is_not_part_of_it() {
    let mut log = Log::new();
    for i in 0..40 {
        log.fails(
            f64::from(i) * 600.0,
            &format!("198.51.100.{i}"),
            "deploy",
            1,
        );
    }
    log.fails(3000.0, "192.0.2.77", "deploy", 2);
    log.login(3010.0, "192.0.2.77", "deploy", "password", 60.0);
    // Somebody inside who cannot get in is somebody to help.
    log.fails(4000.0, "10.0.0.9", "deploy", 1);
    let all = log.findings();
    let addrs = &the(&all, "distributed-brute-force").subjects.addrs;
    assert_eq!(addrs.len(), 40);
    assert!(!addrs.iter().any(|a| a == "192.0.2.77" || a == "10.0.0.9"));
}

#[test]
fn addresses_of_one_v6_network_count_together() {
    let mut log = Log::new();
    for i in 0..40 {
        log.fails(
            f64::from(i) * 3.0,
            &format!("2001:db8:1:2::{i:x}"),
            "root",
            1,
        );
    }
    // A neighbour in the next /64 has nothing to do with it.
    log.fails(5.0, "2001:db8:1:3::1", "root", 1);
    let all = log.findings();
    let f = the(&all, "brute-force");
    assert_eq!((f.count, f.subjects.addrs.len()), (40, 40));
    assert!(
        f.headline
            .starts_with("40 addresses of 2001:db8:1:2::/64 tried 40 passwords"),
        "{}",
        f.headline
    );
    assert!(
        !all.iter()
            .any(|f| f.subjects.addrs.contains(&"2001:db8:1:3::1".to_owned()))
    );
}

#[test]
fn a_v6_network_of_our_own_is_not_accused_for_one_of_its_addresses() {
    let mut log = Log::new();
    log.habit("2001:db8:a:b::5", "alice", 4);
    log.fails(9.0 * HOUR - 20.0, "2001:db8:a:b::5", "alice", 2);
    for i in 0..30 {
        log.fails(f64::from(i) * 4.0, "2001:db8:a:b::bad", "root", 1);
    }
    for i in 0..600 {
        log.check(f64::from(i) * 60.0, "2001:db8:a:b::c4ec");
    }
    let all = log.findings();
    assert_eq!(hostile(&all), ["brute-force 2001:db8:a:b::bad"]);
}

#[test]
fn getting_in_after_guessing_is_a_break_in() {
    let mut log = Log::new();
    for i in 0..50 {
        log.fails(
            f64::from(i) * 5.0,
            BAD,
            if i % 2 == 0 { "root" } else { "no-admin" },
            1,
        );
    }
    log.login(251.0, BAD, "deploy", "password", 2400.0);
    let all = log.findings();
    let f = the(&all, "success-after-failures");
    assert_eq!(
        (f.count, f.subjects.users.clone()),
        (50, vec!["deploy".to_owned()])
    );
    assert_eq!(
        f.headline,
        "198.51.100.7 got in as deploy after 50 failures, stayed 40 min"
    );
    assert!(f.hostile && f.confidence > 0.9);
    assert!(
        f.evidence
            .iter()
            .any(|e| e.text.starts_with("Accepted password for deploy"))
    );
    assert!(
        f.evidence
            .iter()
            .any(|e| e.text.starts_with("Disconnected from user deploy"))
    );
    assert!(has(&all, "brute-force"), "both, each once");
    assert_eq!(all.iter().filter(|f| f.slug == "brute-force").count(), 1);
    let report = log.report();
    assert!(
        report.logins[0]
            .findings
            .contains(&"success-after-failures")
    );
}

#[test]
fn several_accounts_broken_by_one_address_are_one_finding_that_names_them() {
    let mut log = Log::new();
    for round in 0..3 {
        let at = f64::from(round) * 2000.0;
        for i in 0..60 {
            log.fails(
                at + f64::from(i) * 3.0,
                BAD,
                ["root", "postgres", "deploy"][i as usize % 3],
                1,
            );
        }
        let user = ["postgres", "deploy", "root"][round as usize];
        log.login(at + 200.0, BAD, user, "password", 100.0);
    }
    let all = log.findings();
    let f = the(&all, "success-after-failures");
    assert_eq!(f.subjects.users, ["postgres", "deploy", "root"]);
    assert_eq!(f.count, 60);
}

#[test]
fn getting_in_from_a_network_that_rotates_its_addresses_is_a_break_in() {
    let mut log = Log::new();
    for i in 0..60 {
        log.fails(
            f64::from(i) * 3.0,
            &format!("2001:db8:1:2::{i:x}"),
            "root",
            1,
        );
    }
    log.login(200.0, "2001:db8:1:2::ffff", "root", "password", 60.0);
    let all = log.findings();
    let f = the(&all, "success-after-failures");
    assert_eq!(f.subjects.addrs, ["2001:db8:1:2::ffff"]);
}

#[test]
fn a_person_who_mistypes_is_no_break_in() {
    for tries in 1..=3 {
        let mut log = Log::new();
        log.fails(100.0, "192.0.2.9", "alice", tries);
        log.login(110.0, "192.0.2.9", "alice", "password", 600.0);
        assert_eq!(summary(&log.findings()), Vec::<String>::new(), "{tries}");
    }
    // Even where it is a bad morning: three prompts twice, then in.
    let mut log = Log::new();
    log.fails(100.0, "192.0.2.9", "alice", 3);
    log.fails(115.0, "192.0.2.9", "alice", 3);
    log.login(130.0, "192.0.2.9", "alice", "password", 600.0);
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn an_office_behind_one_address_is_no_guesser() {
    let mut log = Log::new();
    let users = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"];
    for day in 0..20 {
        for (i, user) in users.iter().enumerate() {
            let at = f64::from(day) * DAY + 9.0 * HOUR + i as f64 * 5.0;
            if (day as usize + i).is_multiple_of(3) {
                log.fails(at - 3.0, "192.0.2.200", user, 2);
            }
            log.login(at, "192.0.2.200", user, "password", 3600.0);
        }
    }
    assert_eq!(hostile(&log.findings()), Vec::<String>::new());
    // The same office once somebody in it guesses in earnest.
    for i in 0..400 {
        log.fails(
            21.0 * DAY + f64::from(i) * 2.0,
            "192.0.2.200",
            &format!("no-{}", i % 90),
            1,
        );
    }
    assert_eq!(
        hostile(&log.findings()),
        ["brute-force 192.0.2.200", "invalid-user-scan 192.0.2.200"]
    );
}

#[test]
fn forged_names_blame_who_sent_them() {
    let victim = "203.0.113.99";
    let mut log = Log::new();
    log.fails(0.0, BAD, &format!("root from {victim} port 22 ssh2"), 1);
    let all = log.findings();
    let f = the(&all, "log-forgery");
    assert_eq!(f.subjects.addrs, [BAD]);
    assert!(f.notes.iter().any(|n| n.contains(victim)), "{:?}", f.notes);
    assert!(
        all.iter()
            .all(|f| !f.subjects.addrs.contains(&victim.to_owned()))
    );
    // An address for a name: twice is a typing error, three times is not.
    for (times, found) in [(2, false), (3, true)] {
        let mut log = Log::new();
        for i in 0..times {
            log.say(
                f64::from(i) * 100.0,
                7000 + i,
                &format!("Invalid user {victim} from {BAD} port 4000"),
            );
        }
        assert_eq!(has(&log.findings(), "log-forgery"), found, "{times}");
    }
    // Names with spaces are odd, not forged.
    let mut log = Log::new();
    log.fails(0.0, BAD, "a b c", 1);
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn forged_goodbyes_are_seen_and_real_ones_are_not_suspected() {
    let mut log = Log::new();
    log.say(0.0, 900, &format!("Received disconnect from {BAD} port 4000:11: Accepted password for root from 203.0.113.9 port 22 ssh2 [preauth]"));
    log.say(
        0.1,
        900,
        &format!("Disconnected from {BAD} port 4000 [preauth]"),
    );
    assert_eq!(summary(&log.findings()), [format!("log-forgery {BAD}")]);
    let mut log = Log::new();
    for (i, text) in [
        "disconnected by user",
        "Bye Bye",
        "Closed due to user request.",
        "PECL/ssh2 (http://pecl.php.net/packages/ssh2)",
    ]
    .iter()
    .enumerate()
    {
        log.say(
            i as f64,
            900 + i as u32,
            &format!("Received disconnect from {BAD} port 40{i}0:11: {text} [preauth]"),
        );
    }
    assert!(!has(&log.findings(), "log-forgery"));
}
