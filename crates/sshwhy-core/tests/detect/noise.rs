//! Scanners, floods, monitors, and those who suffer from them.

use crate::log::*;

const BAD: &str = "198.51.100.7";
const INSIDE: &str = "10.0.0.8";

#[test]
fn what_is_no_ssh_three_times_is_a_scan_and_twice_is_a_browser() {
    let run = |n: u32| {
        let mut log = Log::new();
        for i in 0..n {
            log.probe(
                f64::from(i) * 20.0,
                BAD,
                "banner exchange: Connection from IP port PORT: invalid format",
            );
        }
        log.findings()
    };
    let all = run(3);
    assert_eq!(summary(&all), [format!("protocol-scan {BAD}")]);
    assert!(all[0].hostile && all[0].count == 3);
    assert_eq!(summary(&run(2)), Vec::<String>::new());
}

#[test]
fn probes_without_an_address_of_their_own_are_their_connections() {
    let mut log = Log::new();
    for i in 0..4 {
        log.probe(f64::from(i) * 20.0, BAD, "error: kex_exchange_identification: client sent invalid protocol identifier \"GET / HTTP/1.1\"");
    }
    let all = log.findings();
    let f = the(&all, "protocol-scan");
    assert!(
        f.evidence.iter().any(|e| e.text.contains("GET / HTTP/1.1")),
        "{:?}",
        f.evidence
    );
}

#[test]
fn an_outdated_client_is_told_from_a_scanner() {
    let offer = |what: &str| {
        format!(
            "Unable to negotiate with IP port PORT: no matching {what} found. Their offer: x [preauth]"
        )
    };
    let mut log = Log::new();
    for i in 0..6 {
        log.probe(f64::from(i) * 3600.0, INSIDE, &offer("host key type"));
    }
    let all = log.findings();
    assert_eq!(summary(&all), [format!("broken-login {INSIDE}")]);
    assert!(!all[0].hostile);
    assert!(
        all[0]
            .notes
            .iter()
            .any(|n| n.contains("no-matching-host-key-type"))
    );
    assert!(all[0].remedy.len() > 2);
    let mut log = Log::new();
    for (i, what) in ["host key type", "key exchange method", "cipher"]
        .iter()
        .enumerate()
    {
        log.probe(i as f64 * 3600.0, BAD, &offer(what));
    }
    assert_eq!(summary(&log.findings()), [format!("protocol-scan {BAD}")]);
}

#[test]
fn the_same_refusal_again_and_again_in_one_burst_is_a_scan() {
    let mut log = Log::new();
    for i in 0..6 {
        log.say(f64::from(i), 900, &format!("Unable to negotiate with {BAD} port 4000: no matching MAC found. Their offer: x [preauth]"));
    }
    assert_eq!(summary(&log.findings()), [format!("protocol-scan {BAD}")]);
}

#[test]
fn a_flood_is_blamed_and_its_victims_are_not() {
    let mut log = Log::new();
    log.habit(INSIDE, "alice", 3);
    log.say(DAY, 700, "error: beginning MaxStartups throttling");
    for i in 0..60 {
        log.drop(DAY + f64::from(i) * 0.3, BAD, "past MaxStartups");
    }
    log.drop(DAY + 5.0, INSIDE, "past MaxStartups");
    log.say(
        DAY + 30.0,
        700,
        "exited MaxStartups throttling after 00:00:30, 61 connections dropped",
    );
    let all = log.findings();
    assert_eq!(hostile(&all), [format!("startup-flood {BAD}")]);
    assert_eq!(the(&all, "startup-flood").count, 60);
    let victim = the(&all, "throttling");
    assert_eq!(
        (victim.subjects.addrs.clone(), victim.hostile),
        (vec![INSIDE.to_owned()], false)
    );
    assert_eq!(victim.subjects.users, ["alice"]);
}

#[test]
fn twenty_drops_are_a_tool_in_a_hurry_and_one_more_is_a_flood() {
    for (drops, flood) in [(20, false), (21, true)] {
        let mut log = Log::new();
        for i in 0..drops {
            log.drop(f64::from(i), BAD, "Maxstartups");
        }
        assert_eq!(has(&log.findings(), "startup-flood"), flood, "{drops}");
    }
    // A deployment tool that also gets in is throttled, whatever the number.
    let mut log = Log::new();
    for i in 0..100 {
        log.drop(f64::from(i), INSIDE, "past MaxStartups");
        log.login(f64::from(i) + 0.5, INSIDE, "deploy", "publickey", 5.0);
    }
    assert_eq!(summary(&log.findings()), [format!("throttling {INSIDE}")]);
}

#[test]
fn connections_held_open_are_a_flood_and_a_forgotten_prompt_is_not() {
    let run = |n: u32, gap: f64| {
        let mut log = Log::new();
        for i in 0..n {
            log.say(
                f64::from(i) * gap,
                800 + i,
                &format!(
                    "fatal: Timeout before authentication for {BAD} port {}",
                    4000 + i
                ),
            );
        }
        log.findings()
    };
    // Uneven, as a flood is: an even rhythm is a monitor that does not hang up.
    let mut dice = Dice(7);
    let mut log = Log::new();
    let mut at = 0.0;
    for i in 0..14 {
        at += dice.roll() * 200.0;
        log.say(
            at,
            800 + i,
            &format!(
                "fatal: Timeout before authentication for {BAD} port {}",
                4000 + i
            ),
        );
    }
    assert_eq!(hostile(&log.findings()), [format!("startup-flood {BAD}")]);
    assert_eq!(summary(&run(9, 37.0)), Vec::<String>::new());
    assert_eq!(hostile(&run(12, DAY)), Vec::<String>::new());
}

#[test]
fn penalties_on_a_monitor_and_on_a_guesser_are_two_things() {
    let mut log = Log::new();
    for i in 0..300 {
        log.check(f64::from(i) * 30.0, INSIDE);
        if i % 10 == 0 {
            log.drop(
                f64::from(i) * 30.0 + 5.0,
                INSIDE,
                "penalty: connections without attempting authentication",
            );
        }
        log.fails(f64::from(i) * 4.0, BAD, "root", 1);
        log.drop(
            f64::from(i) * 4.0 + 1.0,
            BAD,
            "penalty: failed authentication",
        );
    }
    let all = log.findings();
    let f = the(&all, "throttling");
    assert_eq!(
        (f.subjects.addrs.clone(), f.count),
        (vec![INSIDE.to_owned()], 30)
    );
    assert!(
        the(&all, "brute-force")
            .notes
            .iter()
            .any(|n| n.contains("300 connections were dropped"))
    );
    assert_eq!(hostile(&all), [format!("brute-force {BAD}")]);
}

#[test]
fn maxstartups_without_addresses_is_said_and_nobody_blamed() {
    let mut log = Log::new();
    log.say(0.0, 700, "error: beginning MaxStartups throttling");
    log.say(
        60.0,
        700,
        "exited MaxStartups throttling after 00:01:00, 812 connections dropped",
    );
    let all = log.findings();
    let f = the(&all, "throttling");
    assert!(f.headline.contains("812 connections"), "{}", f.headline);
    assert!(f.subjects.addrs.is_empty() && !f.hostile);
}

#[test]
fn a_monitor_is_named_with_its_interval() {
    for (every, words) in [
        (20.0, "every 20 s"),
        (60.0, "every 60 s"),
        (300.0, "every 5 min"),
        (5.0, "every 5 s"),
    ] {
        let mut dice = Dice(3);
        let mut log = Log::new();
        for i in 0..200 {
            // A check in fifty is missing.
            if i % 50 != 49 {
                log.check(f64::from(i) * every + dice.roll() * every * 0.05, INSIDE);
            }
        }
        let all = log.findings();
        let f = the(&all, "port-monitor");
        assert!(f.headline.contains(words), "{}", f.headline);
        assert!(!f.hostile);
        let commands: Vec<&str> = f
            .remedy
            .iter()
            .filter_map(|r| r.command.as_deref())
            .collect();
        assert!(commands[0].contains("sshwhy monitor"), "{commands:?}");
        assert!(commands.iter().any(|c| c.contains(INSIDE)), "{commands:?}");
        // Lines that are not written show no attack either.
        assert!(
            commands.iter().all(|c| !c.contains("rsyslog")),
            "{commands:?}"
        );
        assert_eq!(all.len(), 1);
    }
}

#[test]
fn who_works_here_and_loses_a_connection_now_and_then_is_no_monitor() {
    let mut dice = Dice(5);
    let mut log = Log::new();
    for i in 0..3000 {
        let at = f64::from(i) * 30.0 + dice.roll() * 10.0;
        log.login(at, INSIDE, "git", "publickey", 1.0);
        if dice.roll() < 0.1 {
            log.check(at + 3.0 + dice.roll() * 9.0, INSIDE);
        }
    }
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
    // One that logs in and checks besides is told as what it is.
    let mut log = Log::new();
    for i in 0..300 {
        log.check(f64::from(i) * 299.7, INSIDE);
        if i % 12 == 0 {
            log.login(f64::from(i) * 299.7 + 50.0, INSIDE, "git", "publickey", 1.0);
        }
    }
    let all = log.findings();
    let f = the(&all, "port-monitor");
    assert!(f.headline.contains("besides its logins"), "{}", f.headline);
}

#[test]
fn a_monitor_of_several_hosts_keeps_a_rhythm_on_each() {
    let mut log = Log::new();
    for i in 0..100 {
        log.host = "a";
        log.check(f64::from(i) * 30.0, INSIDE);
        log.host = "b";
        log.check(f64::from(i) * 30.0 + 11.0, INSIDE);
    }
    let all = log.findings();
    let f = the(&all, "port-monitor");
    assert!(f.headline.contains("every 30 s"), "{}", f.headline);
    assert_eq!(
        (f.count, f.subjects.hosts.clone()),
        (200, vec!["a".to_owned(), "b".to_owned()])
    );
}

#[test]
fn who_comes_by_at_random_is_no_monitor() {
    let mut dice = Dice(11);
    let mut log = Log::new();
    let mut at = 0.0;
    for _ in 0..60 {
        at += 1.0 + dice.roll() * 120.0;
        log.check(at, BAD);
    }
    assert_eq!(summary(&log.findings()), Vec::<String>::new());
    // Nine gaps in step, and ten.
    for (checks, found) in [(10, false), (12, true)] {
        let mut log = Log::new();
        for i in 0..checks {
            log.check(f64::from(i) * 30.0, INSIDE);
        }
        assert_eq!(has(&log.findings(), "port-monitor"), found, "{checks}");
    }
}

#[test]
fn a_monitor_that_also_guesses_is_no_harmless_monitor() {
    let mut log = Log::new();
    for i in 0..100 {
        log.check(f64::from(i) * 30.0, BAD);
        log.fails(f64::from(i) * 3.0 + 1.0, BAD, "root", 1);
    }
    let all = log.findings();
    assert!(the(&all, "port-monitor").hostile);
    assert_eq!(the(&all, "brute-force").count, 100);
}
