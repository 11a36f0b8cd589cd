use super::*;

fn subject() -> Subject<'static> {
    Subject {
        name: "web1",
        host: "web1.example",
        port: 22,
        user: None,
    }
}

fn good(at: i64) -> Outcome {
    Outcome {
        at: Time::from_secs(1_790_000_000 + at),
        took: 0.02,
        phases: vec![(Phase::Tcp, 0.01), (Phase::Ident, 0.01)],
        addr: Some("192.0.2.7:22".to_owned()),
        ident: Some("SSH-2.0-OpenSSH_9.2p1".to_owned()),
        ..Outcome::default()
    }
}

fn bad(at: i64) -> Outcome {
    Outcome {
        at: Time::from_secs(1_790_000_000 + at),
        phases: vec![(Phase::Tcp, 0.0)],
        addr: Some("192.0.2.7:22".to_owned()),
        failure: Some(Failure {
            phase: Phase::Tcp,
            word: "refused".to_owned(),
            text: "192.0.2.7:22: Connection refused".to_owned(),
            ours: false,
        }),
        ..Outcome::default()
    }
}

fn key(n: &str) -> HostKey {
    HostKey {
        kind: "ssh-ed25519".to_owned(),
        fingerprint: format!("SHA256:{n}"),
        proven: true,
        valid_before: None,
    }
}

fn with_key(at: i64, n: &str) -> Outcome {
    Outcome {
        host_key: Some(key(n)),
        ..good(at)
    }
}

fn run(track: &mut Track, outcomes: &[Outcome], rules: &Rules) -> Vec<Change> {
    let expect = Expect::default();
    outcomes
        .iter()
        .flat_map(|o| track.take(&subject(), o, &expect, rules, false))
        .map(|n| n.change)
        .collect()
}

#[test]
fn down_after_its_retries_and_up_at_once() {
    let mut t = Track::default();
    let rules = Rules::default();
    assert!(run(&mut t, &[good(0), bad(1), bad(2), good(3)], &rules).is_empty());
    assert_eq!(t.state, State::Up);
    let news = run(&mut t, &[bad(4), bad(5)], &rules);
    assert!(news.is_empty());
    let last = t.take(&subject(), &bad(6), &Expect::default(), &rules, false);
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].change, Change::Down);
    let f = &last[0].finding;
    assert_eq!(f.headline, "web1: 192.0.2.7:22: Connection refused");
    assert!(f.cause.is_some(), "{f:?}");
    assert!(f.severity >= Severity::High);
    assert_eq!(run(&mut t, &[bad(7), good(8)], &rules), [Change::Up]);
    assert_eq!(t.since, Time::from_secs(1_790_000_008).0);
}

#[test]
fn one_that_was_never_up_is_said_once_and_a_first_good_check_is_no_news() {
    let rules = Rules {
        retries: 0,
        ..Rules::default()
    };
    let mut t = Track::default();
    assert_eq!(run(&mut t, &[bad(0), bad(1)], &rules), [Change::Down]);
    assert!(run(&mut Track::default(), &[good(0)], &rules).is_empty());
}

#[test]
fn flapping_is_said_once_and_holds_the_rest_back() {
    let rules = Rules {
        retries: 0,
        ..Rules::default()
    };
    let mut t = Track::default();
    let flip: Vec<Outcome> = (0..40)
        .map(|i| if i % 2 == 0 { good(i) } else { bad(i) })
        .collect();
    let news = run(&mut t, &flip, &rules);
    assert_eq!(news.iter().filter(|c| **c == Change::Flapping).count(), 1);
    assert!(news.len() <= 8, "{news:?}");
    assert!(t.flapping);
    let calm: Vec<Outcome> = (40..70).map(good).collect();
    assert_eq!(run(&mut t, &calm, &rules), [Change::Steady]);
    assert!(!t.flapping);
    assert_eq!(run(&mut t, &[bad(70)], &rules), [Change::Down]);
}

#[test]
fn a_remembered_key_that_changes_is_critical_and_said_once() {
    let rules = Rules::default();
    let mut t = Track::default();
    assert!(run(&mut t, &[with_key(0, "a"), with_key(1, "a")], &rules).is_empty());
    let news = t.take(
        &subject(),
        &with_key(2, "b"),
        &Expect::default(),
        &rules,
        false,
    );
    assert_eq!(news[0].change, Change::Changed);
    let f = &news[0].finding;
    assert_eq!(
        (f.slug, f.severity),
        ("host-key-changed", Severity::Critical)
    );
    assert!(
        f.headline.contains("SHA256:b instead of SHA256:a"),
        "{}",
        f.headline
    );
    assert_eq!(t.state, State::Down);
    assert!(run(&mut t, &[with_key(3, "b")], &rules).is_empty());
    assert_eq!(t.keys, [key("a")], "the new one is not taken over");
    let back = run(&mut t, &[with_key(4, "a")], &rules);
    assert!(back.contains(&Change::Cleared), "{back:?}");
    // Another type of key is no change.
    let other = Outcome {
        host_key: Some(HostKey {
            kind: "ssh-rsa".to_owned(),
            ..key("r")
        }),
        ..good(5)
    };
    assert!(run(&mut t, &[other], &rules).is_empty());
    assert_eq!(t.keys.len(), 2);
}

#[test]
fn a_pin_counts_more_than_memory() {
    let rules = Rules::default();
    let expect = Expect {
        host_keys: vec!["SHA256:p".to_owned(), "SHA256:q".to_owned()],
        ..Expect::default()
    };
    let mut t = Track::default();
    let mut take = |o: &Outcome| t.take(&subject(), o, &expect, &rules, false).len();
    assert_eq!(take(&with_key(0, "p")), 0);
    assert_eq!(take(&with_key(1, "q")), 0);
    assert_eq!(take(&with_key(2, "x")), 1);
}

#[test]
fn drift_and_certificates_are_warnings_said_once_and_cleared() {
    let rules = Rules::default();
    let mut t = Track::default();
    let mut proposal = Proposal {
        kex: vec!["curve25519-sha256".to_owned(), "ext-info-s".to_owned()],
        ..Proposal::default()
    };
    let with = |at: i64, p: &Proposal| Outcome {
        proposal: Some(p.clone()),
        ..good(at)
    };
    assert!(run(&mut t, &[with(0, &proposal)], &rules).is_empty());
    let old = proposal.clone();
    proposal.kex.push("diffie-hellman-group1-sha1".to_owned());
    let news = t.take(
        &subject(),
        &with(1, &proposal),
        &Expect::default(),
        &rules,
        false,
    );
    assert_eq!(news[0].finding.slug, "algorithm-drift");
    assert!(
        news[0]
            .finding
            .headline
            .contains("new diffie-hellman-group1-sha1")
    );
    assert!(run(&mut t, &[with(2, &proposal)], &rules).is_empty());
    assert_eq!(run(&mut t, &[with(3, &old)], &rules), [Change::Cleared]);
    let expect = Expect {
        ident: Some("SSH-2.0-OpenSSH_10.*".to_owned()),
        algorithms: vec!["mlkem768x25519-sha256".to_owned()],
        forbid: vec!["curve25519-sha256".to_owned()],
        ..Expect::default()
    };
    let slugs: Vec<&str> = Track::default()
        .take(&subject(), &with(4, &old), &expect, &rules, false)
        .iter()
        .map(|n| n.finding.slug)
        .collect();
    assert_eq!(slugs, ["ident-drift", "algorithm-drift"]);
    let certificate = |days: u64| {
        let now = 1_790_000_000_u64;
        let mut o = with_key(0, "c");
        if let Some(k) = &mut o.host_key {
            k.valid_before = Some(now + days * 86_400 - 1);
        }
        Track::default()
            .take(&subject(), &o, &Expect::default(), &rules, false)
            .first()
            .map(|n| n.finding.headline.clone())
    };
    assert_eq!(certificate(30), None);
    assert!(certificate(3).unwrap().contains("ends in 2 days"));
    assert!(certificate(0).unwrap().contains("has ended"));
}

#[test]
fn maintenance_is_silent_and_what_stays_is_said_after_it() {
    let rules = Rules {
        retries: 0,
        ..Rules::default()
    };
    let expect = Expect::default();
    let mut t = Track::default();
    assert!(
        t.take(&subject(), &good(0), &expect, &rules, false)
            .is_empty()
    );
    assert!(
        t.take(&subject(), &bad(1), &expect, &rules, true)
            .is_empty()
    );
    assert_eq!(t.state, State::Down);
    assert!(
        t.take(&subject(), &bad(2), &expect, &rules, true)
            .is_empty()
    );
    let after = t.take(&subject(), &bad(3), &expect, &rules, false);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].change, Change::Down);
}

#[test]
fn our_own_trouble_is_not_theirs() {
    let mut t = Track::default();
    let mut o = bad(0);
    o.failure.as_mut().unwrap().ours = true;
    let rules = Rules {
        retries: 0,
        ..Rules::default()
    };
    assert!(run(&mut t, &[o], &rules).is_empty());
    assert_eq!(t.state, State::Unknown);
}

#[test]
fn a_track_survives_being_written_down() {
    let mut t = Track::default();
    run(
        &mut t,
        &[with_key(0, "a"), bad(1), good(2)],
        &Rules::default(),
    );
    let text = serde_json::to_string(&t).unwrap();
    assert_eq!(serde_json::from_str::<Track>(&text).unwrap(), t);
    assert_eq!(
        serde_json::from_str::<Track>("{}").unwrap(),
        Track::default()
    );
}

#[test]
fn the_pause_is_that_of_the_version() {
    assert_eq!(
        least_pause(Some("SSH-2.0-OpenSSH_9.2p1"), false, false),
        0.0
    );
    assert_eq!(
        least_pause(Some("SSH-2.0-OpenSSH_10.0p2"), false, false),
        2.0
    );
    assert_eq!(least_pause(Some("SSH-2.0-OpenSSH_9.8"), true, true), 10.0);
    assert_eq!(least_pause(Some("SSH-2.0-OpenSSH_9.8"), true, false), 0.0);
    assert_eq!(
        least_pause(Some("SSH-2.0-dropbear_2022.83"), false, false),
        0.0
    );
}

#[test]
fn depths_have_their_names() {
    for d in Depth::ALL {
        assert_eq!(Depth::parse(d.name()), Some(d));
        assert_eq!(
            serde_json::from_str::<Depth>(&format!("\"{}\"", d.name())).unwrap(),
            d
        );
    }
}
