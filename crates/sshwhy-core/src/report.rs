//! What `report` has to tell, as plain data: the model behind the terminal, JSON and HTML views.
//!
//! Everything here is judged already; a view only chooses how to show it. The JSON form is a contract.

use crate::finding::Finding;
use crate::time::Time;
use serde::Serialize;

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Report {
    /// The answer in one line: `2 break-ins, 25 attackers, 1 locked-out user, 1 noisy monitor`.
    pub verdict: String,
    pub input: Input,
    pub totals: Totals,
    /// Best first ([`Finding::order`]).
    pub findings: Vec<Finding>,
    /// Most failures first; at most `Totals::addresses` of them, cut where the caller said (then `addresses_cut` > 0).
    pub addresses: Vec<AddressRow>,
    #[serde(skip_serializing_if = "is_zero")]
    pub addresses_cut: u64,
    pub users: Vec<UserRow>,
    #[serde(skip_serializing_if = "is_zero")]
    pub users_cut: u64,
    /// Every accepted login, in the order of the log.
    pub logins: Vec<Login>,
    #[serde(skip_serializing_if = "is_zero")]
    pub logins_cut: u64,
    pub activity: Activity,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What was read, and what was not.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Input {
    pub files: Vec<InputFile>,
    /// Uncompressed bytes.
    pub bytes: u64,
    pub lines: u64,
    /// Lines of sshd, dropbear or PAM about SSH logins.
    pub ssh_lines: u64,
    /// Of these, lines that the catalogue does not know.
    pub unknown_lines: u64,
    /// Only a part was asked for: a time, an address, a user, a host. What is not counted may be there all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub narrowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// In which zone local times were read, and in which they are shown: `+08:00`, `Europe/Berlin`, `UTC`.
    pub zone: String,
    pub skipped: Vec<Skipped>,
    /// What was inferred or lost: years, zones, versions, limits reached, suppressed messages.
    pub notes: Vec<String>,
    /// The OpenSSH releases that print these wordings, by host: `9.2 – 9.7`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<HostVersion>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct HostVersion {
    pub host: String,
    pub daemon: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct InputFile {
    pub name: String,
    pub bytes: u64,
    pub lines: u64,
    pub ssh_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
}

/// Something that could not be read, or only in part.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Skipped {
    pub name: String,
    /// What was seen: `permission denied`, `gzip data ends in the middle`, `a Windows event log (EVTX)`.
    pub what: String,
    /// What to do about it.
    pub advice: String,
    pub bytes_read: u64,
    pub lines_read: u64,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Totals {
    pub connections: u64,
    pub accepted: u64,
    /// Refused passwords and keys.
    pub failures: u64,
    pub invalid_users: u64,
    /// Connections without any attempt to log in.
    pub without_attempt: u64,
    /// Connections that sshd dropped or throttled.
    pub dropped: u64,
    /// Distinct; a `+` in text where the limit of tracked addresses was reached (`addresses_forgotten` > 0).
    pub addresses: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub addresses_forgotten: u64,
    pub users: u64,
    pub hostile_addresses: u64,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct AddressRow {
    pub addr: String,
    pub failures: u64,
    pub invalid_users: u64,
    pub accepted: u64,
    pub connections: u64,
    /// Some of the user names tried, most often first.
    pub users: Vec<String>,
    /// How many distinct ones (a lower bound when they were too many to keep).
    pub user_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// Slugs of the findings that name it.
    pub findings: Vec<&'static str>,
    pub hostile: bool,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct UserRow {
    pub user: String,
    /// `true`: sshd accepted it or failed it without calling it invalid; `false`: sshd said invalid user.
    pub exists: bool,
    pub failures: u64,
    pub accepted: u64,
    pub addr_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
}

/// One accepted login.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Login {
    /// Absent where the log writes no times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    pub host: String,
    pub user: String,
    pub addr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub method: String,
    /// `ED25519 SHA256:…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Absent while it lasts or when the log does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// `file:line`
    pub source: String,
    /// Slugs of the findings that name it (`new-source-login`, `odd-hour-login`, `success-after-failures`, …).
    pub findings: Vec<&'static str>,
}

/// Counts over time, in the zone of `Input::zone`.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Activity {
    /// Length of a bucket in seconds.
    pub bucket_seconds: u64,
    pub buckets: Vec<Bucket>,
    /// [weekday, Monday first][hour]: failed attempts.
    pub failures_by_hour: [[u64; 24]; 7],
    /// [weekday, Monday first][hour]: accepted logins.
    pub accepted_by_hour: [[u64; 24]; 7],
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Bucket {
    pub start: Time,
    pub failures: u64,
    pub accepted: u64,
    /// Connections without an attempt, scans, drops.
    pub other: u64,
}

/// The answer in one line.
pub fn verdict(findings: &[Finding], totals: &Totals, input: &Input) -> String {
    use std::collections::BTreeSet;
    let addrs = |wanted: &dyn Fn(&Finding) -> bool| -> usize {
        findings
            .iter()
            .filter(|f| wanted(f))
            .flat_map(|f| f.subjects.addrs.iter())
            .collect::<BTreeSet<_>>()
            .len()
    };
    let count = |slug: &str| findings.iter().filter(|f| f.slug == slug).count();
    let n = |n: usize, one: &str, many: &str| {
        (n > 0).then(|| format!("{n} {}", if n == 1 { one } else { many }))
    };
    let broken: BTreeSet<&String> = findings
        .iter()
        .filter(|f| f.slug == "broken-login")
        .flat_map(|f| f.subjects.users.iter())
        .collect();
    let parts: Vec<String> = [
        n(count("success-after-failures"), "break-in", "break-ins"),
        n(addrs(&|f| f.hostile), "attacker", "attackers"),
        n(broken.len(), "locked-out user", "locked-out users"),
        n(
            count("scheduled-automation"),
            "broken nightly job",
            "broken nightly jobs",
        ),
        n(
            addrs(&|f| f.slug == "port-monitor"),
            "noisy monitor",
            "noisy monitors",
        ),
        n(count("blind"), "blind spot", "blind spots"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !parts.is_empty() {
        return parts.join(", ");
    }
    if input.ssh_lines == 0 {
        return match input.narrowed {
            true => "no line about SSH logins in what was asked for".to_owned(),
            false => "no line about SSH logins in what was read".to_owned(),
        };
    }
    if input.narrowed && totals.connections == 0 && totals.accepted == 0 {
        return "no connection in what was asked for".to_owned();
    }
    match totals.accepted {
        0 => "nothing wrong found, and nobody logged in".to_owned(),
        1 => "nothing wrong found; 1 login".to_owned(),
        logins => format!("nothing wrong found; {logins} logins"),
    }
}
