//! The thresholds of a run: the catalogue's defaults, and what the user set instead.

use crate::catalog::detectors::{self, Threshold};
use std::fmt;

/// Why a threshold could not be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SettingError {
    /// No such name; those that are near it.
    Unknown { name: String, near: Vec<String> },
    OutOfRange {
        name: String,
        value: i64,
        min: u32,
        max: u32,
        unit: &'static str,
    },
    /// `name=value` was expected, or the value is no whole number.
    Unreadable(String),
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingError::Unknown { name, near } => {
                write!(f, "no threshold is called {name:?}")?;
                if near.is_empty() {
                    f.write_str("; `sshwhy explain brute-force` shows what a detector can be told")
                } else {
                    write!(f, "; near it: {}", near.join(", "))
                }
            }
            SettingError::OutOfRange {
                name,
                value,
                min,
                max,
                unit,
            } => write!(f, "{name} is {min} to {max} ({unit}), not {value}"),
            SettingError::Unreadable(text) => write!(
                f,
                "{text:?} is not of the form detector.name=number, as in brute-force.failures=10"
            ),
        }
    }
}

impl std::error::Error for SettingError {}

macro_rules! settings {
    ($($field:ident = $name:literal,)*) => {
        /// One field a threshold; each is crossed by *more than* its value. Units stand in [`detectors::ROWS`].
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Settings {
            $(pub $field: u32,)*
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($field: threshold($name).map_or(0, |t| t.default),)* }
            }
        }

        impl Settings {
            /// Every name that can be set.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            fn field(&mut self, name: &str) -> Option<&mut u32> {
                match name {
                    $($name => Some(&mut self.$field),)*
                    _ => None,
                }
            }

            /// The value in force.
            pub fn value(&self, name: &str) -> Option<u32> {
                match name {
                    $($name => Some(self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

settings! {
    brute_failures = "brute-force.failures",
    brute_seconds = "brute-force.seconds",
    slow_failures = "slow-brute-force.failures",
    slow_hours = "slow-brute-force.hours",
    slow_week = "slow-brute-force.week",
    spray_users = "password-spray.users",
    spray_tries = "password-spray.tries",
    scan_names = "invalid-user-scan.names",
    scan_share = "invalid-user-scan.share",
    distributed_addresses = "distributed-brute-force.addresses",
    distributed_hours = "distributed-brute-force.hours",
    success_failures = "success-after-failures.failures",
    probe_probes = "protocol-scan.probes",
    flood_drops = "startup-flood.drops",
    flood_timeouts = "startup-flood.timeouts",
    forgery_names = "log-forgery.names",
    monitor_checks = "port-monitor.checks",
    monitor_jitter = "port-monitor.jitter",
    schedule_days = "scheduled-automation.days",
    schedule_window = "scheduled-automation.window",
    schedule_share = "scheduled-automation.share",
    broken_refusals = "broken-login.refusals",
    broken_days = "broken-login.days",
    source_days = "new-source-login.days",
    source_logins = "new-source-login.logins",
    source_networks = "new-source-login.networks",
    hour_logins = "odd-hour-login.logins",
    hour_days = "odd-hour-login.days",
    hour_distance = "odd-hour-login.distance",
    root_logins = "root-login.logins",
    throttling_drops = "throttling.drops",
    blind_unknown = "blind.unknown",
    blind_gap = "blind.gap",
    blind_sessions = "blind.sessions",
}

/// The catalogue's row of `brute-force.failures`.
pub fn threshold(name: &str) -> Option<&'static Threshold> {
    let (slug, name) = name.split_once('.')?;
    detectors::by_slug(slug)?
        .thresholds
        .iter()
        .find(|t| t.name == name)
}

impl Settings {
    /// Sets a threshold by its name, `brute-force.failures`.
    pub fn set(&mut self, name: &str, value: i64) -> Result<(), SettingError> {
        let (Some(row), Some(field)) = (threshold(name), self.field(name)) else {
            return Err(SettingError::Unknown {
                name: name.to_owned(),
                near: near(name),
            });
        };
        match u32::try_from(value) {
            Ok(n) if (row.min..=row.max).contains(&n) => {
                *field = n;
                Ok(())
            }
            _ => Err(SettingError::OutOfRange {
                name: name.to_owned(),
                value,
                min: row.min,
                max: row.max,
                unit: row.unit,
            }),
        }
    }

    /// Sets a threshold from what was typed: `brute-force.failures=10`.
    pub fn set_text(&mut self, text: &str) -> Result<(), SettingError> {
        let unreadable = || SettingError::Unreadable(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(unreadable)?;
        let value = value.trim().parse().map_err(|_| unreadable())?;
        self.set(name.trim(), value)
    }
}

/// Up to four names that somebody may have meant.
fn near(typed: &str) -> Vec<String> {
    let mut ranked: Vec<(usize, &str)> = Settings::NAMES
        .iter()
        .map(|name| {
            let (slug, last) = name.split_once('.').unwrap_or((name, ""));
            let part = typed.rsplit('.').next().unwrap_or(typed);
            // The whole name misspelled, the detector alone, or the threshold alone.
            let score = distance(typed, name)
                .min(distance(typed, slug) + 1)
                .min(distance(part, last) + 2);
            (score, *name)
        })
        .filter(|(score, name)| *score <= (name.len() / 4).max(3))
        .collect();
    ranked.sort();
    ranked
        .iter()
        .take(4)
        .map(|(_, n)| (*n).to_owned())
        .collect()
}

/// Edits from one to the other (Levenshtein); names are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cb, place) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = *place;
            left = cost.min(*place + 1).min(left + 1);
            *place = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_threshold_of_the_catalogue_is_a_field_and_the_other_way_round() {
        let rows: BTreeSet<String> = detectors::ROWS
            .iter()
            .flat_map(|d| {
                d.thresholds
                    .iter()
                    .map(|t| format!("{}.{}", d.slug, t.name))
            })
            .collect();
        let fields: BTreeSet<String> = Settings::NAMES.iter().map(|n| (*n).to_owned()).collect();
        assert_eq!(rows, fields);
        let defaults = Settings::default();
        for name in Settings::NAMES {
            assert_eq!(
                defaults.value(name),
                threshold(name).map(|t| t.default),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_set_is_in_force_and_nothing_else_changes() {
        let mut s = Settings::default();
        s.set("brute-force.failures", 10).unwrap();
        assert_eq!(s.brute_failures, 10);
        s.set_text(" port-monitor.checks = 4 ").unwrap();
        assert_eq!(s.monitor_checks, 4);
        s.brute_failures = 5;
        s.monitor_checks = 9;
        assert_eq!(s, Settings::default());
    }

    #[test]
    fn errors_say_what_would_do() {
        let mut s = Settings::default();
        let unknown = s.set("brute-froce.failures", 10).unwrap_err().to_string();
        assert!(unknown.contains("brute-force.failures"), "{unknown}");
        let alone = s.set("brute-force", 10).unwrap_err().to_string();
        assert!(alone.contains("brute-force.failures"), "{alone}");
        let strange = s.set("zzzzzzzzzz", 10).unwrap_err().to_string();
        assert!(strange.contains("explain"), "{strange}");
        let range = s.set("brute-force.failures", 1).unwrap_err().to_string();
        assert_eq!(range, "brute-force.failures is 2 to 200 (failures), not 1");
        for bad in ["brute-force.failures", "brute-force.failures=x", "=", ""] {
            assert!(s.set_text(bad).is_err(), "{bad}");
        }
        assert!(s.set("brute-force.failures", i64::MAX).is_err());
        assert_eq!(s, Settings::default());
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
