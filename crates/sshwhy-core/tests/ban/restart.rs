//! Taken out and put back between any two lines, watch and decider do as if nothing had happened.

use super::World;
use sshwhy_core::ban::{Change, Decider, Policy, Watch};
use sshwhy_core::line::Years;
use sshwhy_core::time::Zone;
use std::collections::BTreeMap;

/// A log with everything in it: connections that overlap, tries that are joined, names, IPv6, folded repeats.
fn log() -> Vec<String> {
    let mut out = Vec::new();
    let mut dice = 0x2545_f491_4f6c_dd1du64;
    let mut roll = |n: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % n
    };
    for i in 0..1500u64 {
        let at = sshwhy_core::time::Time::from_secs(super::START + i as i64 / 3);
        let pid = 1000 + roll(40);
        let ip = match roll(4) {
            0 => format!("2001:db8:{:x}:{:x}::{:x}", roll(2), roll(9), roll(50) + 1),
            _ => format!("203.0.113.{}", roll(60) + 1),
        };
        let (port, user) = (
            2000 + pid,
            ["root", "admin", "oracle", "bob"][roll(4) as usize],
        );
        let message = match roll(9) {
            0 => format!("Connection from {ip} port {port} on 192.0.2.1 port 22"),
            1 => format!("Invalid user {user} from {ip} port {port}"),
            2 => format!(
                "Connection closed by authenticating user {user} {ip} port {port} [preauth]"
            ),
            3 => format!(
                "message repeated 2 times: [ Failed password for {user} from {ip} port {port} ssh2]"
            ),
            4 => "last message repeated 3 times".to_owned(),
            5 => "error: PAM: Authentication failure for illegal user x from somewhere".to_owned(),
            6 => format!(
                "Unable to negotiate with {ip} port {port}: no matching key exchange method found. Their offer: x [preauth]"
            ),
            _ => format!("Failed password for {user} from {ip} port {port} ssh2"),
        };
        out.push(format!("{at} web1 sshd[{pid}]: {message}\n"));
    }
    out
}

#[test]
fn a_stop_between_any_two_lines_changes_nothing() {
    let lines = log();
    let mut whole = World::default();
    for line in &lines {
        whole.log(line.as_bytes());
    }
    assert!(whole.bans().len() > 10, "{}", whole.bans().len());
    for every in [1usize, 7, 100] {
        let mut w = World::default();
        let mut file: BTreeMap<String, Change> = BTreeMap::new();
        for (i, line) in lines.iter().enumerate() {
            w.log(line.as_bytes());
            if i % every != 0 {
                continue;
            }
            for change in w.decider.take_changes() {
                let key = match &change {
                    Change::Source(net, _) => format!("s{net}"),
                    Change::Name(hash, _) => format!("n{hash}"),
                    Change::Ban(net, _) => format!("b{net}"),
                    Change::Never(_) => "never".to_owned(),
                };
                file.insert(key, change);
            }
            // Only what was written lives on.
            let text = serde_json::to_string(&w.watch.snapshot()).unwrap();
            w.watch = Watch::restore(&serde_json::from_str(&text).unwrap());
            w.decider = Decider::new(Policy::default());
            assert_eq!(w.decider.restore(file.values().cloned()), 0);
        }
        let bans =
            |w: &World| -> Vec<String> { w.bans().iter().map(|b| format!("{b:?}")).collect() };
        assert_eq!(bans(&w), bans(&whole), "stopped every {every} lines");
        assert_eq!(w.watch.sight, whole.watch.sight);
    }
}

#[test]
fn a_log_that_is_cut_in_two_counts_the_same() {
    let lines = log();
    let offences = |w: &mut World, text: &[String], known: bool| -> Vec<String> {
        let text = text.concat();
        w.scanner.scan(
            text.as_bytes(),
            Years::starting(2026),
            &Zone::utc(),
            &mut w.scanned,
        );
        let mut out = Vec::new();
        if known {
            w.watch.prepare(text.as_bytes(), &w.scanned);
        } else {
            w.watch.block(text.as_bytes(), &w.scanned, &mut |o| {
                out.push(format!("{o:?}"));
            });
        }
        out
    };
    let whole = offences(&mut World::default(), &lines, false);
    let mut torn = 0;
    for cut in (100..lines.len()).step_by(97) {
        let (older, newer) = lines.split_at(cut);
        let mut live = World::default();
        offences(&mut live, older, true);
        assert_eq!(live.watch.sight, World::default().watch.sight);
        let now = offences(&mut live, newer, false);
        let then = offences(&mut World::default(), older, false);
        assert_eq!([then.clone(), now].concat(), whole, "cut at {cut}");
        let unprepared = offences(&mut World::default(), newer, false);
        torn += usize::from([then, unprepared].concat() != whole);
    }
    assert!(torn > 0, "no cut went through a connection");
}

#[test]
fn open_connections_are_handed_over_and_leave_nothing_behind() {
    let mut first = World::default();
    first.say(
        0,
        7,
        "Failed password for root from 203.0.113.7 port 5000 ssh2",
    );
    let mut second = World::default();
    second.watch.take_over(first.watch.hand_over());
    assert_eq!(first.watch.open_connections(), 0);
    assert_eq!(first.watch.sight.failures, 1);
    assert_eq!(second.watch.sight.failures, 0);
    let end = "Connection closed by authenticating user root 203.0.113.7 port 5000 [preauth]";
    second.say(1, 7, end);
    assert_eq!(second.watch.sight.failures, 0);
}
