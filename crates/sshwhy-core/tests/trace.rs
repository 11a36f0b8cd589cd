//! Holds the rows of `catalog::traces` to their word: each has an incident that is it, and one that only looks like it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::audit::facts::{Facts, Intake, Limits};
use sshwhy_core::catalog::traces;
use sshwhy_core::names::{AddrId, UserId};
use sshwhy_core::session::LineRef;
use sshwhy_core::time::{DAY, HOUR, MINUTE, SECOND, Time, Zone};
use sshwhy_core::trace::container::Container;
use sshwhy_core::trace::digest::{Digest, Needles};
use sshwhy_core::trace::evidence::{FileTime, LogFacts, Owner, Schedule};
use sshwhy_core::trace::matching::Matcher;
use sshwhy_core::trace::story::{self, TargetLog, Trace};
use sshwhy_core::trace::{Act, Deeds, Evidence, Pattern, Source};
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
        stay: None,
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
    tell_all(source, |events| {
        let (containers, logs) = evidence(events).into_iter().unzip();
        Evidence {
            containers,
            logs,
            ..Evidence::default()
        }
    })
}

fn tell_all(source: &Source, evidence: impl FnOnce(&[i64]) -> Evidence) -> Trace {
    let zone = Zone::utc();
    let log = Some((Time(START - 9 * DAY), Time(START + 12 * DAY)));
    let q = story::question(source, Vec::new(), 22, log, &zone);
    let e = evidence(&q.events);
    story::tell(
        source,
        Pattern::of(source, &zone),
        &TargetLog {
            sources: std::slice::from_ref(source),
            deeds: &Deeds::default(),
            place: &|_| "log:1".to_owned(),
        },
        &q,
        &e,
        &zone,
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

/// An audit log of connects to port 22: (time, pid, address).
fn connects(list: &[(i64, u32, [u8; 4])]) -> Facts {
    let mut list = list.to_vec();
    list.sort_unstable();
    let mut intake = Intake::new(Zone::utc(), Limits::default(), 22);
    for (serial, (at, pid, [a, b, c, d])) in list.into_iter().enumerate() {
        let stamp = format!(
            "msg=audit({}.{:03}:{serial})",
            at / SECOND,
            at % SECOND / 1000
        );
        let records = format!(
            "type=SYSCALL {stamp}: arch=c000003e syscall=42 success=yes exit=0 ppid=1 pid={pid} uid=0 comm=\"git\" exe=\"/usr/bin/ssh\"\n\
             type=SOCKADDR {stamp}: saddr=02000016{a:02X}{b:02X}{c:02X}{d:02X}0000000000000000\n"
        );
        intake.block(records.as_bytes());
    }
    intake.finish()
}

/// `n` containers that run all the time, with the pids 1000, 1001, …
fn running(n: u32) -> Vec<Container> {
    (0..n)
        .map(|i| Container {
            id: format!("c{i}"),
            name: format!("app-{i}"),
            pid: 1000 + i,
            created: Some(Time(START - 60 * DAY)),
            ..Container::default()
        })
        .collect()
}

fn accused(t: &Trace) -> Vec<&str> {
    t.suspects
        .iter()
        .filter(|s| s.confidence > 0.5)
        .map(|s| s.name.as_str())
        .collect()
}

#[test]
fn the_one_that_connects_at_the_logins_is_named_and_the_one_that_connects_all_day_is_not() {
    let all_day: Vec<(i64, u32, [u8; 4])> = (0..10 * 288)
        .map(|i| (START + i * 5 * MINUTE, 1003, [192, 0, 2, 80]))
        .collect();
    let with = |list: Vec<(i64, u32, [u8; 4])>| {
        tell_all(&nightly(), |_| Evidence {
            containers: running(40),
            audit: Some(connects(&list)),
            audit_name: "audit.log".to_owned(),
            ..Evidence::default()
        })
    };
    let innocent = with(all_day.clone());
    assert_eq!(accused(&innocent), [""; 0], "{:?}", innocent.suspects);
    let mut both = all_day;
    both.extend(
        nightly()
            .acts
            .iter()
            .map(|a| (a.at.0 - 400_000, 1007, [192, 0, 2, 1])),
    );
    let t = with(both);
    assert_eq!(accused(&t), ["app-7"], "{:?}", t.suspects);
    assert_eq!(t.target.as_deref(), Some("192.0.2.1"));
}

#[test]
fn names_tools_and_dates_accuse_nobody_whose_times_do_not_fit() {
    let t = tell_all(&nightly(), |events| {
        let times: Vec<i64> = (0..events.len() as u64)
            .map(|i| START + (i / 12) as i64 * DAY + drawn(i + 7000, 4 * HOUR))
            .collect();
        let (mut c, log) = container("x", &times, events);
        c.name = "ansible".to_owned();
        c.command = ["ansible-playbook", "-i", "db-3,", "site.yml"]
            .map(str::to_owned)
            .to_vec();
        c.created = Some(Time(START - HOUR));
        c.finished = Some(Time(START + 9 * DAY + 5 * HOUR));
        let mut containers = running(40);
        containers.push(c);
        Evidence {
            containers,
            logs: vec![log],
            ..Evidence::default()
        }
    });
    assert_eq!(accused(&t), [""; 0], "{:?}", t.suspects);
    assert_eq!(t.suspects[0].name, "ansible", "worth a look all the same");
}

#[test]
fn a_new_crontab_that_the_logins_keep_to_is_named_and_one_of_other_hours_is_not() {
    let logins = || {
        source(
            (0..160u64)
                .map(|i| {
                    let (night, quarter) = ((i / 16) as i64, (i % 16) as i64);
                    let late = 2 + drawn(i, 4);
                    act(
                        START + night * DAY + quarter * 15 * MINUTE + late * SECOND,
                        i % 3 == 0,
                    )
                })
                .collect(),
        )
    };
    let with = |line: &str, written: i64| {
        tell_all(&logins(), |_| Evidence {
            containers: running(40),
            schedules: [
                ("etc/cron.d/sync", line),
                (
                    "etc/cron.d/other",
                    "17 5 * * * root rsync -a /srv/ backup:/srv/",
                ),
            ]
            .map(|(file, text)| Schedule {
                place: format!("{file}:1"),
                text: text.to_owned(),
            })
            .to_vec(),
            files: vec![FileTime {
                path: "/etc/cron.d/sync".to_owned(),
                mtime: Time(written),
                ..FileTime::default()
            }],
            ..Evidence::default()
        })
    };
    let new = with(
        "*/15 0-3 * * * root /usr/local/bin/sync.sh",
        START - 9 * HOUR,
    );
    assert_eq!(accused(&new), ["sync.sh"], "{:?}", new.suspects);
    for (line, written) in [
        // Written long before it began: a timetable like that may be anybody's.
        (
            "*/15 0-3 * * * root /usr/local/bin/sync.sh",
            START - 90 * DAY,
        ),
        // New, and at noon.
        ("0 12 * * * root ssh ops@db-3 uptime", START - 9 * HOUR),
        ("*/15 * * * * root /usr/local/bin/sync.sh", START - 9 * HOUR),
    ] {
        let t = with(line, written);
        assert_eq!(accused(&t), [""; 0], "{line}: {:?}", t.suspects);
    }
}
