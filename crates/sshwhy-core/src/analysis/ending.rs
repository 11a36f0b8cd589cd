//! The end of a run: what was counted becomes a [`Report`].

use super::Analysis;
use super::tally::HourTally;
use crate::detect::Context;
use crate::detect::words::count;
use crate::finding::Finding;
use crate::names::UserId;
use crate::report::{Activity, AddressRow, Bucket, HostVersion, Input, Report, Skipped, UserRow};
use crate::time::{Time, Zone};
use std::collections::{BTreeMap, HashMap};

/// Names shown for an address.
const USERS_SHOWN: usize = 6;

impl Analysis {
    /// Ends the run. `bytes` and `skipped` are what the program knows better (sizes before decompression are not counted).
    pub fn finish(mut self, skipped: Vec<Skipped>, mut notes: Vec<String>) -> Report {
        self.close_sessions();
        self.flush_hour();
        let context = Context {
            names: &self.names,
            files: &self.files,
            zone: &self.zone,
        };
        // Who tried more names than are kept here failed with them: the detectors know how often.
        let more_tried: HashMap<usize, (Vec<UserId>, u64)> = self
            .addr_tally
            .iter()
            .enumerate()
            .filter(|(_, t)| t.is_full())
            .map(|(id, _)| {
                let (mut users, count) = self.detectors.users_of(id as u32);
                users.truncate(USERS_SHOWN);
                (id, (users, count))
            })
            .collect();
        let addr_counts = self.detectors.addrs_of_users();
        let mut findings = std::mem::take(&mut self.detectors).finish(&context);
        findings.sort_by(Finding::order);
        if self.sessions.overflowed > 0 {
            notes.push(format!(
                "{} connections were cut off because more than 100,000 were open at once",
                self.sessions.overflowed
            ));
        }
        if self.names.addrs_forgotten > 0 {
            notes.push("more addresses than are kept apart: later ones are counted by network (IPv4 /16, IPv6 /32)".to_owned());
        }
        if self.names.users_forgotten > 0 {
            notes.push(
                "more user names than are kept apart: later ones are counted as \"(other names)\""
                    .to_owned(),
            );
        }
        if self.once.dropped() > 0 {
            notes.push(format!(
                "{} lines stand in more than one of these logs and are counted once",
                self.once.dropped()
            ));
        }
        if self.twins.dropped > 0 {
            notes.push(format!(
                "{} followed by a copy of itself (two collectors write this log) and counted once",
                count(self.twins.dropped, "line is", "lines are")
            ));
        }
        if self.suppressed > 0 {
            notes.push(format!(
                "{} lines say that messages were suppressed: counts are lower bounds",
                self.suppressed
            ));
        }
        if self.undated > 0 {
            notes.push(format!(
                "{} no time: nothing is said about pace, hours and how long sessions lasted (`docker logs -t`, \
                 `kubectl logs --timestamps` and `journalctl` without `-o cat` write it)",
                count(self.undated, "line about logins has", "lines about logins have")
            ));
        }
        let mut by_addr: HashMap<&str, (Vec<&'static str>, bool)> = HashMap::new();
        for f in &findings {
            for a in &f.subjects.addrs {
                let entry = by_addr.entry(a.as_str()).or_default();
                if !entry.0.contains(&f.slug) {
                    entry.0.push(f.slug);
                }
                entry.1 |= f.hostile;
            }
        }
        let mut addresses: Vec<AddressRow> = Vec::with_capacity(self.addr_tally.len());
        for (id, t) in self.addr_tally.iter().enumerate() {
            if t.connections == 0 && t.accepted == 0 {
                continue;
            }
            let addr = self.names.addr_text(id as u32);
            let (slugs, hostile) = by_addr.get(addr.as_str()).cloned().unwrap_or_default();
            let mut tried: Vec<(u16, u32)> = t
                .users
                .iter()
                .zip(t.user_tries)
                .filter(|(_, n)| *n > 0)
                .map(|(u, n)| (n, *u))
                .collect();
            tried.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            let (users, user_count) = match more_tried.get(&id) {
                Some((users, count)) if *count > tried.len() as u64 => (users.clone(), *count),
                _ => (tried.iter().map(|t| t.1).collect(), tried.len() as u64),
            };
            addresses.push(AddressRow {
                addr,
                failures: t.failures.into(),
                invalid_users: t.invalid.into(),
                accepted: t.accepted.into(),
                connections: t.connections.into(),
                user_count,
                users: users
                    .iter()
                    .map(|u| self.names.user_of(*u).to_owned())
                    .collect(),
                first: Time(t.first).dated(),
                last: Time(t.last).dated(),
                findings: slugs,
                hostile,
            });
        }
        addresses.sort_by(|a, b| {
            b.failures
                .cmp(&a.failures)
                .then(b.connections.cmp(&a.connections))
                .then_with(|| a.addr.cmp(&b.addr))
        });
        let mut users: Vec<UserRow> = self
            .user_tally
            .iter()
            .enumerate()
            .filter(|(_, t)| t.failures + t.accepted > 0)
            .map(|(id, t)| UserRow {
                user: self.names.user_of(id as u32).to_owned(),
                exists: t.exists,
                failures: t.failures,
                accepted: t.accepted,
                // Who is in this table came from somewhere.
                addr_count: addr_counts.get(id).copied().unwrap_or(0).max(1),
                first: Time(t.first).dated(),
                last: Time(t.last).dated(),
            })
            .collect();
        users.sort_by(|a, b| {
            b.failures
                .cmp(&a.failures)
                .then(b.accepted.cmp(&a.accepted))
                .then_with(|| a.user.cmp(&b.user))
        });
        let mut totals = self.totals.clone();
        totals.addresses = addresses.len() as u64;
        totals.addresses_forgotten = self.names.addrs_forgotten;
        totals.users = users.len() as u64;
        totals.hostile_addresses = addresses.iter().filter(|a| a.hostile).count() as u64;
        let mut by_source: HashMap<&str, Vec<&'static str>> = HashMap::new();
        for f in findings.iter() {
            for e in &f.evidence {
                by_source.entry(e.source.as_str()).or_default().push(f.slug);
            }
        }
        for login in &mut self.logins {
            if let Some(slugs) = by_source.get(login.source.as_str()) {
                login.findings = slugs.clone();
                login.findings.dedup();
            }
        }
        let versions = self
            .versions
            .ranges()
            .map(|(host, range)| HostVersion {
                host: self.names.host_of(host).to_owned(),
                daemon: range.daemon,
                since: range.since,
                until: range.until,
            })
            .collect();
        let input = Input {
            first: self.inputs.iter().filter_map(|i| i.first).min(),
            last: self.inputs.iter().filter_map(|i| i.last).max(),
            files: self.inputs,
            bytes: self.bytes,
            lines: self.lines,
            ssh_lines: self.ssh_lines,
            unknown_lines: self.unknown,
            narrowed: self.filter.any(),
            zone: self.zone.name.clone(),
            skipped,
            notes,
            versions,
        };
        Report {
            verdict: crate::report::verdict(&findings, &totals, &input),
            activity: activity(&self.hours, &self.zone),
            input,
            totals,
            findings,
            addresses_cut: 0,
            addresses,
            users_cut: 0,
            users,
            logins: self.logins,
            logins_cut: self.logins_cut,
        }
    }
}

/// At most this many bars in the picture of activity.
const MAX_BUCKETS: i64 = 240;

fn activity(hours: &BTreeMap<i64, HourTally>, zone: &Zone) -> Activity {
    let mut a = Activity::default();
    let (Some((first, _)), Some((last, _))) = (hours.first_key_value(), hours.last_key_value())
    else {
        return a;
    };
    let span = last - first + 1;
    let per = [1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 8_760]
        .into_iter()
        .find(|per| span / per < MAX_BUCKETS)
        .unwrap_or(span / MAX_BUCKETS + 1);
    a.bucket_seconds = (per * 3600) as u64;
    // Buckets of a day and more begin at the zone's midnight.
    let shift = if per >= 24 {
        i64::from(zone.offset_at(first * 3600)) / 3600
    } else {
        0
    };
    let bucket_of = |hour: i64| (hour + shift).div_euclid(per);
    let (b0, b1) = (bucket_of(*first), bucket_of(*last));
    a.buckets = (b0..=b1)
        .map(|b| Bucket {
            start: Time::from_secs((b * per - shift) * 3600),
            ..Bucket::default()
        })
        .collect();
    for (hour, t) in hours {
        if let Some(b) = a.buckets.get_mut((bucket_of(*hour) - b0) as usize) {
            b.failures += t.failures;
            b.accepted += t.accepted;
            b.other += t.other;
        }
        let civil = zone.civil(Time::from_secs(hour * 3600));
        let cell = |m: &mut [[u64; 24]; 7], n: u64| {
            if let Some(c) = m
                .get_mut(civil.weekday())
                .and_then(|d| d.get_mut(usize::from(civil.hour)))
            {
                *c += n;
            }
        };
        cell(&mut a.failures_by_hour, t.failures);
        cell(&mut a.accepted_by_hour, t.accepted);
    }
    a
}
