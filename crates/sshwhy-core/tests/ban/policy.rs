//! maxretry, findtime and bantime; growth; neighbours; crowds; whom never.

use super::{START, World, net};
use sshwhy_core::ban::{Decision, Never, Policy, Why};
use sshwhy_core::time::{HOUR, Time};

#[test]
fn the_fifth_failure_in_ten_minutes_bans_for_an_hour() {
    let mut w = World::default();
    for i in 0..4 {
        w.fail(i * 100, "203.0.113.7", "root");
    }
    assert!(w.bans().is_empty());
    w.fail(599, "203.0.113.7", "root");
    let bans = w.bans();
    assert_eq!(bans.len(), 1);
    assert_eq!(bans[0].net.to_string(), "203.0.113.7");
    assert_eq!(bans[0].until, Some(Time::from_secs(START + 599 + 3600)));
    assert_eq!(
        (bans[0].detector.as_str(), bans[0].strikes),
        ("brute-force", 1)
    );
    // Too slow for it: never five within ten minutes.
    let mut slow = World::default();
    for i in 0..8 {
        slow.fail(i * 200, "203.0.113.7", "root");
    }
    assert!(slow.bans().is_empty(), "{:?}", slow.bans());
}

#[test]
fn one_connection_with_six_tries_is_six_failures_and_pam_and_sshd_are_one() {
    let mut w = World::default();
    for i in 0..3 {
        w.say(i, 77, "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root");
        w.say(
            i,
            77,
            "Failed password for root from 203.0.113.7 port 4000 ssh2",
        );
    }
    assert_eq!(w.watch.sight.failures, 3);
    w.say(
        9,
        77,
        "message repeated 2 times: [ Failed password for root from 203.0.113.7 port 4000 ssh2]",
    );
    assert_eq!(w.nets(), ["203.0.113.7"]);
    assert_eq!(w.watch.sight.failures, 5);
}

#[test]
fn repeat_offenders_are_out_longer_each_time_and_a_month_later_they_are_new() {
    let mut w = World::default();
    let mut at = 0;
    for _ in 0..3 {
        for i in 0..5 {
            w.fail(at + i, "203.0.113.7", "root");
        }
        at += 9 * 3600;
        w.decider.expire(Time::from_secs(START + at));
    }
    let hours = |w: &World| -> Vec<i64> {
        w.bans()
            .iter()
            .map(|b| (b.until.unwrap().0 - b.since.0) / HOUR)
            .collect()
    };
    assert_eq!(hours(&w), [1, 2, 4]);
    at += 40 * 86_400;
    w.decider.expire(Time::from_secs(START + at));
    for i in 0..5 {
        w.fail(at + i, "203.0.113.7", "root");
    }
    assert_eq!(hours(&w), [1, 2, 4, 1]);
}

#[test]
fn somebody_who_gets_in_is_forgiven_his_slips() {
    let mut w = World::default();
    for day in 0..30 {
        let at = day * 86_400;
        for i in 0..4 {
            w.fail(at + i, "198.51.100.9", "alice");
        }
        w.accept(at + 10, "198.51.100.9", "alice", "password");
    }
    assert!(w.bans().is_empty(), "{:?}", w.bans());
}

#[test]
fn a_guesser_who_got_in_is_told_and_not_forgiven() {
    let mut w = World::default();
    for (i, user) in ["root", "admin", "bob", "carol"].iter().enumerate() {
        w.fail(i as i64, "203.0.113.7", user);
    }
    w.accept(9, "203.0.113.7", "dave", "password");
    assert!(
        w.decisions
            .iter()
            .any(|d| matches!(d, Decision::Taken { user, .. } if user == "dave"))
    );
    w.fail(10, "203.0.113.7", "erin");
    assert_eq!(w.nets(), ["203.0.113.7"]);
}

#[test]
fn ipv6_is_banned_by_64_and_neighbours_make_it_56_and_48() {
    let mut w = World::default();
    for i in 0..5 {
        w.fail(i, &format!("2001:db8:1:1::{:x}", i + 1), "root");
    }
    assert_eq!(w.nets(), ["2001:db8:1:1::/64"]);
    // More of the same /56, each /64 for itself below the limit.
    for i in 0..16 {
        w.fail(10 + i, &format!("2001:db8:1:{:x}::1", 2 + i % 4), "root");
    }
    assert!(
        w.nets().contains(&"2001:db8:1::/56".to_owned()),
        "{:?}",
        w.nets()
    );
    for i in 0..40 {
        w.fail(60 + i, &format!("2001:db8:1:{:x}00::1", 1 + i), "root");
    }
    assert!(
        w.nets().contains(&"2001:db8:1::/48".to_owned()),
        "{:?}",
        w.nets()
    );
    // Nobody outside.
    assert!(w.nets().iter().all(|n| n.starts_with("2001:db8:1:")));
}

#[test]
fn twenty_addresses_for_one_name_are_banned_together() {
    let mut w = World::default();
    for i in 0..20 {
        for n in 0..3 {
            w.fail(i * 1200 + n, &format!("203.0.113.{}", i + 1), "oracle");
        }
    }
    assert_eq!(w.nets().len(), 20);
    assert!(
        w.bans()
            .iter()
            .all(|b| b.detector == "distributed-brute-force")
    );
    // Somebody who mistyped that name once is not one of them.
    let mut mixed = World::default();
    mixed.fail(0, "198.51.100.9", "oracle");
    for i in 0..20 {
        for n in 0..3 {
            mixed.fail(i * 1200 + n, &format!("203.0.113.{}", i + 1), "oracle");
        }
    }
    assert!(!mixed.nets().contains(&"198.51.100.9".to_owned()));
    assert!(mixed.nets().len() >= 19);
}

#[test]
fn a_slow_guesser_is_banned_and_a_user_of_this_machine_is_not() {
    let mut w = World::default();
    w.accept(0, "198.51.100.9", "alice", "password");
    for i in 0..40 {
        w.fail(i * 3600, "203.0.113.7", "root");
        w.fail(i * 3600 + 5, "198.51.100.9", "alice");
    }
    assert!(
        !w.nets().is_empty() && w.nets().iter().all(|n| n == "203.0.113.7"),
        "{:?}",
        w.nets()
    );
    assert_eq!(w.bans()[0].detector, "slow-brute-force");
}

#[test]
fn who_may_not_be_banned_is_spared_and_said_once_an_hour() {
    let mut w = World::default();
    w.decider.never.add(Never {
        net: net("198.51.100.0/24"),
        why: Why::Listed,
        until: None,
    });
    for i in 0..50 {
        w.fail(i, "198.51.100.9", "root");
    }
    assert_eq!((w.nets().len(), w.spared()), (0, 1));
    // Next door to somebody to be spared: only the one who did it.
    w.decider.never.add(Never {
        net: net("2001:db8:7::1"),
        why: Why::LoggedIn,
        until: None,
    });
    for i in 0..5 {
        w.fail(100 + i, "2001:db8:7::66", "root");
    }
    assert_eq!(w.nets(), ["2001:db8:7::66"]);
}

#[test]
fn an_administrators_key_protects_where_it_came_from() {
    let mut w = World::default();
    w.decider.admins.push("alice".to_owned());
    w.accept(0, "198.51.100.9", "alice", "publickey");
    w.accept(0, "198.51.100.10", "bob", "publickey");
    w.accept(0, "198.51.100.11", "alice", "password");
    for ip in ["198.51.100.9", "198.51.100.10", "198.51.100.11"] {
        for i in 0..9 {
            w.fail(10 + i, ip, "x");
        }
    }
    assert_eq!(w.nets(), ["198.51.100.10", "198.51.100.11"]);
    let week = 8 * 86_400;
    for i in 0..9 {
        w.fail(week + i, "198.51.100.9", "x");
    }
    assert_eq!(w.nets().len(), 3, "the key's protection is over");
}

#[test]
fn a_banned_address_that_still_comes_through_is_noticed() {
    let mut w = World::default();
    for i in 0..9 {
        w.fail(i, "203.0.113.7", "root");
    }
    let leaks = |w: &World| {
        w.decisions
            .iter()
            .filter(|d| matches!(d, Decision::Leaks { .. }))
            .count()
    };
    assert_eq!(leaks(&w), 0, "lines that were on their way");
    for i in 0..9 {
        w.fail(60 + i, "203.0.113.7", "root");
    }
    assert_eq!((leaks(&w), w.nets().len()), (1, 1));
}

#[test]
fn an_hour_back_on_the_clock_does_not_open_a_gap() {
    let mut w = World::default();
    for i in 0..4 {
        w.fail(7200 + i, "203.0.113.7", "root");
    }
    w.fail(7200 + 5 - 3600, "203.0.113.7", "root");
    assert_eq!(w.nets(), ["203.0.113.7"]);
    // Its end is by the clock as it is now.
    assert_eq!(w.bans()[0].until, Some(Time::from_secs(START + 7200 + 5)));
    let mut after = World::default();
    after.fail(7200, "192.0.2.1", "x");
    for i in 0..5 {
        after.fail(3600 + i, "203.0.113.7", "root");
    }
    assert_eq!(after.nets(), ["203.0.113.7"]);
}

#[test]
fn ten_times_more_sources_than_places_stay_in_their_places_and_the_banned_are_kept() {
    let policy = Policy {
        sources: 2_000,
        ..Policy::default()
    };
    let mut w = World::with(policy);
    for i in 0..5 {
        w.fail(i, "203.0.113.7", "root");
    }
    for i in 0..20_000u32 {
        let ip = format!("2001:db8:{:x}:{:x}::1", i >> 8, i & 0xff);
        w.fail(i64::from(i / 100), &ip, "root");
    }
    assert!(
        w.decider.source_count() <= 2_000,
        "{}",
        w.decider.source_count()
    );
    assert!(w.decider.forgotten > 18_000);
    let kept = w.decider.source_at("203.0.113.7".parse().unwrap()).unwrap();
    assert_eq!(kept.strikes, 1);
}

#[test]
fn a_ban_is_lifted_with_what_led_to_it() {
    let mut w = World::default();
    for i in 0..5 {
        w.fail(i, "203.0.113.7", "root");
    }
    let lifted = w.decider.remove(net("203.0.113.0/24"), "test");
    assert_eq!(lifted.len(), 1);
    assert_eq!(w.decider.ban_count(), 0);
    for i in 0..4 {
        w.fail(20 + i, "203.0.113.7", "root");
    }
    assert_eq!(w.nets().len(), 1, "the count began anew");
}
