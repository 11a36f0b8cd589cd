//! People and jobs: what is harmless, what is broken, and what is only unusual.

use crate::log::*;

const JOB: &str = "10.0.0.8";

/// A job that half works: ten attempts a night from `hour` on, over `hours`.
fn nights(log: &mut Log, ip: &str, days: &[u32], hour: f64, hours: f64, fail_of_ten: u32) {
    for day in days {
        for i in 0..10 {
            let at = f64::from(*day) * DAY + hour * HOUR + f64::from(i) * hours * HOUR / 10.0;
            // 7 is coprime to 10: failures and successes mix.
            if (i * 7 + day) % 10 < fail_of_ten {
                log.fails(at, ip, "ops", 1);
            } else {
                log.login(at, ip, "ops", "password", 5.0);
            }
        }
    }
}

#[test]
fn a_job_that_half_works_is_named_with_its_hours() {
    for (hour, hours, window) in [
        (0.0, 4.0, "between 00:00 and 03:36"),
        (22.0, 7.0, "between 22:00 and 04:18"),
        (12.0, 1.0, "between 12:00 and 12:54"),
    ] {
        for ip in [JOB, "198.51.100.3"] {
            let mut log = Log::new();
            nights(&mut log, ip, &[0, 1, 2, 3, 4], hour, hours, 6);
            let all = log.findings();
            let f = the(&all, "scheduled-automation");
            assert!(f.headline.contains(window), "{}", f.headline);
            assert!(
                f.headline
                    .contains("on 5 days since 2026-03-02: 30 attempts failed, 20 worked"),
                "{}",
                f.headline
            );
            assert_eq!(
                (f.hostile, f.subjects.users.clone()),
                (false, vec!["ops".to_owned()])
            );
            assert_eq!(hostile(&all), Vec::<String>::new());
        }
    }
}

#[test]
fn a_weekly_job_is_a_schedule_and_one_night_is_none() {
    let mut log = Log::new();
    nights(&mut log, JOB, &[0, 7, 14], 1.0, 2.0, 6);
    assert!(has(&log.findings(), "scheduled-automation"));
    let mut log = Log::new();
    nights(&mut log, JOB, &[0], 1.0, 2.0, 6);
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn the_same_nights_from_a_scanner_are_hostile() {
    let mut log = Log::new();
    nights(&mut log, "198.51.100.3", &[0, 1, 2, 3], 1.0, 2.0, 6);
    log.fails(
        5.0 * DAY,
        "198.51.100.3",
        "root from 203.0.113.9 port 22",
        1,
    );
    assert!(the(&log.findings(), "scheduled-automation").hostile);
}

#[test]
fn failures_alone_night_after_night_are_no_half_working_job() {
    let mut log = Log::new();
    nights(&mut log, "198.51.100.3", &[0, 1, 2, 3], 1.0, 2.0, 10);
    let all = log.findings();
    assert!(!has(&all, "scheduled-automation"));
    assert_eq!(hostile(&all), ["slow-brute-force 198.51.100.3"]);
}

#[test]
fn a_person_who_comes_every_day_is_no_job() {
    let mut log = Log::new();
    log.habit("192.0.2.9", "alice", 10);
    for day in [1, 4, 6] {
        log.fails(
            f64::from(day) * DAY + 9.0 * HOUR - 9.0,
            "192.0.2.9",
            "alice",
            1,
        );
    }
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn a_fault_that_the_log_names_is_told_with_its_way_out() {
    for (text, cause) in [
        (
            "Authentication refused: bad ownership or modes for directory /home/bob/.ssh",
            "authorized-keys-permissions",
        ),
        (
            "userauth_pubkey: signature algorithm ssh-rsa not in PubkeyAcceptedAlgorithms [preauth]",
            "pubkey-algorithm-rejected",
        ),
        (
            "pam_unix(sshd:account): account bob has expired (account expired)",
            "account-expired",
        ),
        (
            "User bob from 10.0.0.8 not allowed because not listed in AllowUsers",
            "user-not-allowed",
        ),
    ] {
        let mut log = Log::new();
        for day in 0..3 {
            log.symptom(f64::from(day) * DAY + 9.0 * HOUR, JOB, "bob", text);
        }
        let all = log.findings();
        let f = the(&all, "broken-login");
        assert_eq!(
            (f.subjects.users.clone(), f.subjects.addrs.clone()),
            (vec!["bob".to_owned()], vec![JOB.to_owned()])
        );
        assert!(f.notes.iter().any(|n| n.contains(cause)), "{:?}", f.notes);
        assert!(
            f.evidence.iter().any(|e| e.text == text),
            "{:?}",
            f.evidence
        );
        assert!(
            f.remedy
                .iter()
                .any(|s| s.command.as_deref().is_some_and(|c| c.contains("bob"))),
            "{cause}"
        );
        assert!(!f.hostile && f.count == 3);
        assert_eq!(all.len(), 1);
    }
}

#[test]
fn two_refusals_are_a_slip() {
    let mut log = Log::new();
    for i in 0..2 {
        log.symptom(
            f64::from(i) * DAY,
            JOB,
            "bob",
            "Authentication refused: bad ownership or modes for directory /home/bob/.ssh",
        );
    }
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn one_user_refused_for_one_reason_from_two_places_is_one_finding() {
    let mut log = Log::new();
    for i in 0..4 {
        for ip in [JOB, "192.0.2.40"] {
            log.symptom(
                f64::from(i) * DAY,
                ip,
                "bob",
                "Authentication refused: bad ownership or modes for directory /home/bob/.ssh",
            );
        }
    }
    let all = log.findings();
    assert_eq!(
        (
            the(&all, "broken-login").subjects.addrs.len(),
            the(&all, "broken-login").count
        ),
        (2, 8)
    );
}

#[test]
fn a_guesser_who_meets_a_rule_is_nobody_to_help() {
    let mut log = Log::new();
    let bad = "198.51.100.7";
    for i in 0..40 {
        log.symptom(
            f64::from(i) * 5.0,
            bad,
            "root",
            &format!("User root from {bad} not allowed because not listed in AllowUsers"),
        );
    }
    let all = log.findings();
    assert_eq!(summary(&all), [format!("brute-force {bad}")]);
    assert!(
        all[0].notes.iter().any(|n| n.contains("refused by a rule")),
        "{:?}",
        all[0].notes
    );
}

#[test]
fn a_locked_out_user_who_tries_every_morning_is_no_guesser() {
    let mut log = Log::new();
    log.habit("192.0.2.9", "bob", 3);
    for day in 0..8 {
        for i in 0..2 {
            log.fails(
                f64::from(day) * DAY + 8.0 * HOUR + f64::from(i) * 40.0,
                JOB,
                "bob",
                1,
            );
        }
    }
    let all = log.findings();
    let f = the(&all, "broken-login");
    assert!(
        f.notes.iter().any(|n| n.contains("wrong-password")),
        "{:?}",
        f.notes
    );
    assert_eq!(hostile(&all), Vec::<String>::new());
    // On one morning only it is a typing error.
    let mut log = Log::new();
    log.habit("192.0.2.9", "bob", 3);
    log.fails(8.0 * HOUR, JOB, "bob", 3);
    assert!(!has(&log.findings(), "broken-login"));
}

#[test]
fn a_known_user_outside_who_tries_at_the_same_hour_each_day_is_locked_out_and_round_the_clock_is_not()
 {
    let run = |hours: &[f64]| {
        let mut log = Log::new();
        log.habit("192.0.2.9", "bob", 3);
        for day in 0..10 {
            for hour in hours {
                log.fails(f64::from(day) * DAY + hour * HOUR, "198.51.100.3", "bob", 1);
            }
        }
        log.findings()
    };
    let mornings = run(&[8.0, 8.01, 8.02, 8.03, 8.05]);
    assert_eq!(hostile(&mornings), Vec::<String>::new());
    assert_eq!(
        the(&mornings, "broken-login").subjects.addrs,
        ["198.51.100.3"]
    );
    let always = run(&[1.0, 6.0, 11.0, 16.0, 21.0]);
    assert_eq!(hostile(&always), ["slow-brute-force 198.51.100.3"]);
}

#[test]
fn what_worked_until_some_day_is_said_so() {
    let mut log = Log::new();
    log.habit("192.0.2.9", "alice", 4);
    for day in 4..8 {
        for i in 0..3 {
            log.fails(
                f64::from(day) * DAY + 9.0 * HOUR + f64::from(i) * 60.0,
                "192.0.2.9",
                "alice",
                1,
            );
        }
    }
    let all = log.findings();
    let f = the(&all, "broken-login");
    assert!(
        f.headline.contains("worked until 2026-03-05 16:00"),
        "{}",
        f.headline
    );
    assert_eq!(hostile(&all), Vec::<String>::new());
}

#[test]
fn a_job_that_broke_is_counted_by_days_although_it_never_pauses() {
    let mut log = Log::new();
    for hour in 0..96 {
        log.login(
            f64::from(hour) * HOUR,
            "192.0.2.9",
            "backup",
            "publickey",
            60.0,
        );
    }
    for hour in 96..192 {
        log.refused(f64::from(hour) * HOUR, "192.0.2.9", "backup");
    }
    let all = log.findings();
    let f = the(&all, "broken-login");
    assert!(
        f.headline.contains("worked until 2026-03-05 23:00") && f.headline.ends_with("on 4 days"),
        "{}",
        f.headline
    );
    assert_eq!(hostile(&all), Vec::<String>::new());
}

#[test]
fn who_is_let_in_and_thrown_out_at_once_is_told_why() {
    let fatal = "fatal: bad ownership or modes for chroot directory \"/srv/sftp/partner\"";
    let run = |own_process: u32, after: f64| {
        let mut log = Log::new();
        for i in 0..4 {
            let at = f64::from(i) * HOUR;
            let pid = 1003 + 3 * i;
            log.login(at, "192.0.2.9", "partner", "publickey", 1.0 + after);
            log.say(at + after, pid + own_process, fatal);
        }
        log.findings()
    };
    // sshd says it under the number of the login, or of the process that it made for the session.
    for own_process in [0, 2] {
        let all = run(own_process, 0.3);
        let f = the(&all, "broken-login");
        assert!(
            f.headline
                .contains("partner is let in from 192.0.2.9 and thrown out at once, 4 times"),
            "{}",
            f.headline
        );
        assert!(
            f.notes
                .iter()
                .any(|n| n.contains("cause: chroot-ownership"))
        );
    }
    // What is said much later, or by a process that began before, is somebody else's.
    assert!(!has(&run(2, 60.0), "broken-login"));
}

#[test]
fn a_new_network_is_news_only_where_there_is_a_habit() {
    let mut log = Log::new();
    log.habit("192.0.2.9", "alice", 6);
    log.login(
        6.0 * DAY + 10.0 * HOUR,
        "203.0.113.5",
        "alice",
        "publickey",
        60.0,
    );
    let all = log.findings();
    let f = the(&all, "new-source-login");
    assert_eq!(
        (f.subjects.addrs.clone(), f.hostile),
        (vec!["203.0.113.5".to_owned()], false)
    );
    assert_eq!(
        log.report().logins.last().unwrap().findings,
        ["new-source-login"]
    );
    // The next address of the same network, and the first day of a log, are none.
    let mut log = Log::new();
    log.habit("192.0.2.9", "alice", 6);
    log.login(
        6.0 * DAY + 10.0 * HOUR,
        "192.0.2.77",
        "alice",
        "publickey",
        60.0,
    );
    log.login(10.0 * HOUR, "203.0.113.5", "alice", "publickey", 60.0);
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn a_password_from_a_new_place_where_a_key_was_the_habit_weighs_more() {
    let run = |method: &str| {
        let mut log = Log::new();
        log.habit("192.0.2.9", "alice", 6);
        log.login(
            6.0 * DAY + 10.0 * HOUR,
            "203.0.113.5",
            "alice",
            method,
            60.0,
        );
        let all = log.findings();
        the(&all, "new-source-login").severity
    };
    assert!(run("password") > run("publickey"));
}

#[test]
fn three_in_the_morning_is_odd_for_office_hours_and_overtime_is_not() {
    let run = |hour: f64| {
        let mut log = Log::new();
        log.habit("192.0.2.9", "alice", 7);
        log.login(
            7.0 * DAY + hour * HOUR,
            "192.0.2.9",
            "alice",
            "publickey",
            60.0,
        );
        log.findings()
    };
    let all = run(3.2);
    let f = the(&all, "odd-hour-login");
    assert!(f.headline.contains("03:12"), "{}", f.headline);
    assert!(!f.hostile);
    assert_eq!(summary(&run(18.5)), Vec::<String>::new());
    // Without a habit there is no odd hour.
    let mut log = Log::new();
    log.habit("192.0.2.9", "alice", 3);
    log.login(
        3.0 * DAY + 3.0 * HOUR,
        "192.0.2.9",
        "alice",
        "publickey",
        60.0,
    );
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}

#[test]
fn a_burst_in_one_night_does_not_make_office_hours_odd() {
    let mut log = Log::new();
    log.habit("192.0.2.9", "alice", 10);
    for i in 0..400 {
        log.login(
            4.0 * DAY + f64::from(i) * 4.0,
            "192.0.2.9",
            "alice",
            "publickey",
            2.0,
        );
    }
    assert!(
        !has(&log.findings(), "odd-hour-login"),
        "{:?}",
        summary(&log.findings())
    );
}

#[test]
fn root_logins_are_one_finding_and_by_password_from_outside_they_weigh_more() {
    let run = |method: &str| {
        let mut log = Log::new();
        log.login(0.0, "198.51.100.3", "root", method, 60.0);
        log.login(500.0, "10.0.0.4", "root", "publickey", 60.0);
        let all = log.findings();
        let f = the(&all, "root-login").clone();
        assert_eq!((f.count, f.subjects.addrs.len(), f.hostile), (2, 2, false));
        f.severity
    };
    assert!(run("password") > run("publickey"));
    let mut log = Log::new();
    log.login(0.0, "198.51.100.3", "rooter", "password", 60.0);
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
}
