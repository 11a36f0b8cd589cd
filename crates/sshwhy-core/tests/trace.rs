//! Holds the rows of `catalog::traces` to their word: each has an incident that is it, and one that only looks like it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::catalog::traces;
use sshwhy_core::names::{AddrId, UserId};
use sshwhy_core::session::LineRef;
use sshwhy_core::time::{DAY, HOUR, MINUTE, SECOND, Time, Zone};
use sshwhy_core::trace::container::Container;
use sshwhy_core::trace::digest::{Digest, Needles};
use sshwhy_core::trace::evidence::{LogFacts, Owner};
use sshwhy_core::trace::matching::Matcher;
use sshwhy_core::trace::story::{self, Trace};
use sshwhy_core::trace::{Act, Evidence, Pattern, Source};
use std::collections::BTreeSet;

/// 2026-03-02T00:00:00Z
const START: i64 = 1_772_409_600 * SECOND;

/// Numbers that follow no rule, the same ones in each run.
fn drawn(seed: u64, below: i64) -> i64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 32;
    (x % below as u64) as i64
}

fn act(at: i64, ok: bool) -> Act {
    Act {
        at: Time(at),
        addr: AddrId::default(),
        user: UserId::default(),
        host: 0,
        ok,
        failures: u32::from(!ok),
        line: LineRef::default(),
    }
}

fn source(mut acts: Vec<Act>) -> Source {
    acts.sort_by_key(|a| a.at);
    Source {
        addr: "192.0.2.7".to_owned(),
        public: false,
        acts,
        users: vec!["ops".to_owned()],
        hosts: vec!["db-3".to_owned()],
    }
}

/// Twelve logins a night between midnight and four, some of them right.
fn nightly() -> Source {
    source(
        (0..120u64)
            .map(|i| {
                act(
                    START + (i / 12) as i64 * DAY + drawn(i, 4 * HOUR) / SECOND * SECOND,
                    i % 3 == 0,
                )
            })
            .collect(),
    )
}

/// Guesses for five minutes, and one of them is right or not.
fn storm(won: bool) -> Source {
    let mut acts: Vec<Act> = (0..200)
        .map(|i| {
            act(
                START + 2 * DAY + i * 3 * SECOND / 2 / SECOND * SECOND,
                false,
            )
        })
        .collect();
    acts.extend(won.then(|| act(START + 2 * DAY + 305 * SECOND, true)));
    source(acts)
}

/// A container whose log has a line half a second before each of `times`.
fn container(id: &str, times: &[i64], all: &[i64]) -> (Container, LogFacts) {
    let mut digest = Digest::new(
        Time(START - 3 * DAY),
        Time(START + 30 * DAY),
        Needles::default(),
    );
    for t in times {
        digest.line(Some(Time(t - SECOND / 2)), b"run job 5");
    }
    for i in 0..300 {
        digest.line(
            Some(Time(START + drawn(i + 1000, 12 * DAY))),
            b"cache refreshed",
        );
    }
    let log = LogFacts::study(
        &format!("logs/{id}"),
        Owner::Container(id.to_owned()),
        digest.finish(),
        all,
        &mut Matcher::default(),
    );
    let c = Container {
        id: id.to_owned(),
        name: format!("job-{id}"),
        created: Some(Time(START - 30 * DAY)),
        ..Container::default()
    };
    (c, log)
}

fn tell(source: &Source, evidence: impl FnOnce(&[i64]) -> Vec<(Container, LogFacts)>) -> Trace {
    let zone = Zone::utc();
    let log = Some((Time(START - 9 * DAY), Time(START + 12 * DAY)));
    let q = story::question(source, Vec::new(), 22, log);
    let (containers, logs) = evidence(&q.events).into_iter().unzip();
    let e = Evidence {
        containers,
        logs,
        ..Evidence::default()
    };
    story::tell(
        source,
        Pattern::of(source, &zone),
        std::slice::from_ref(source),
        &q,
        &e,
        &zone,
        |_| "log:1".to_owned(),
    )
}

fn slugs(t: &Trace) -> BTreeSet<&'static str> {
    t.findings.iter().map(|f| f.slug).collect()
}

#[test]
fn every_row_has_its_incident_and_a_near_miss() {
    let others = |events: &[i64]| -> Vec<i64> {
        (0..events.len() as u64)
            .map(|i| START + (i / 12) as i64 * DAY + drawn(i + 7000, 4 * HOUR))
            .collect()
    };
    // slug, an incident that is it, one that only looks like it
    let cases: [(&str, Trace, Trace); 5] = [
        // The same storm of guesses, and none of them was right.
        (
            "trace-intrusion",
            tell(&storm(true), |_| Vec::new()),
            tell(&storm(false), |_| Vec::new()),
        ),
        // Two logins by hand.
        (
            "trace-automation",
            tell(&nightly(), |_| Vec::new()),
            tell(
                &source(vec![act(START, false), act(START + MINUTE, true)]),
                |_| Vec::new(),
            ),
        ),
        (
            "trace-unclear",
            tell(&storm(false), |_| Vec::new()),
            tell(&nightly(), |_| Vec::new()),
        ),
        // As many lines in the same hours, at other times.
        (
            "trace-culprit",
            tell(&nightly(), |e| {
                vec![container("a", e, e), container("b", &others(e), e)]
            }),
            tell(&nightly(), |e| vec![container("b", &others(e), e)]),
        ),
        (
            "trace-nobody",
            tell(&nightly(), |e| vec![container("b", &others(e), e)]),
            tell(&nightly(), |e| {
                vec![container("a", e, e), container("b", &others(e), e)]
            }),
        ),
    ];
    let rows: BTreeSet<&str> = traces::ROWS.iter().map(|r| r.slug).collect();
    assert_eq!(rows, cases.iter().map(|(slug, ..)| *slug).collect());
    for (slug, positive, near_miss) in &cases {
        assert!(
            slugs(positive).contains(slug),
            "{slug}: {:?}",
            slugs(positive)
        );
        assert!(
            !slugs(near_miss).contains(slug),
            "{slug}: {:?}",
            slugs(near_miss)
        );
        let found = positive.findings.iter().find(|f| f.slug == *slug).unwrap();
        let row = traces::by_slug(slug).unwrap();
        assert_eq!(
            (found.id, found.severity, found.refs.as_slice()),
            (row.id, row.severity, row.refs)
        );
        assert!(rows.is_superset(&slugs(positive)), "{:?}", slugs(positive));
    }
    let culprit = &cases.iter().find(|c| c.0 == "trace-culprit").unwrap().1;
    assert_eq!(culprit.suspects[0].container.as_deref(), Some("a"));
    assert!(culprit.suspects.iter().skip(1).all(|s| s.confidence <= 0.5));
    let nobody = &cases.iter().find(|c| c.0 == "trace-nobody").unwrap().1;
    assert!(nobody.suspects.iter().all(|s| s.confidence <= 0.5));
    let commands: Vec<&str> = nobody
        .next
        .iter()
        .filter_map(|s| s.command.as_deref())
        .collect();
    assert!(
        commands
            .iter()
            .any(|c| c.starts_with("sshwhy trace arm ADDR --window 00:00-04:00 --tz UTC")),
        "{commands:?}"
    );
}
