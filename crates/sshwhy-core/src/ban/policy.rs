//! How much is too much, and how long a ban lasts: fail2ban's words (maxretry, findtime, bantime), a row a detector.
//!
//! The numbers come from the catalogue's thresholds where a detector has them. Guessing is counted over ten minutes, as
//! fail2ban does, and not over the report's minute: who is banned has to be stopped, and need not be beyond all doubt.

use crate::detect::Settings;
use crate::time::{DAY, HOUR, MINUTE, SECOND};

/// `maxretry` of them within `findtime`, and the address is out for `bantime`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    pub on: bool,
    /// The ban comes with this one, as in fail2ban.
    pub maxretry: u32,
    /// Microseconds.
    pub findtime: i64,
    /// Microseconds, the first time.
    pub bantime: i64,
}

impl Rule {
    const fn new(maxretry: u32, findtime: i64, bantime: i64) -> Rule {
        Rule {
            on: true,
            maxretry,
            findtime,
            bantime,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    pub brute_force: Rule,
    /// A bucket: `maxretry` is how much it holds, and in `findtime` it leaks as much as [`Policy::slow_leak`] says.
    pub slow: Rule,
    /// How many failures leak in `slow.findtime`.
    pub slow_leak: u32,
    /// Distinct names that do not exist.
    pub invalid_users: Rule,
    /// Distinct names, existing or not.
    pub spray: Rule,
    pub probes: Rule,
    /// Connections that sat out LoginGraceTime, or were dropped over MaxStartups.
    pub flood: Rule,
    /// Texts that might be a slip; what is surely a forgery is banned at once.
    pub forgery: Rule,
    /// `maxretry` is the number of addresses that fail for one name.
    pub distributed: Rule,
    /// Each ban of the same network lasts this many times longer than the one before.
    pub growth: u32,
    /// No ban by a detector lasts longer. Microseconds.
    pub longest: i64,
    /// How long a ban is remembered after it ended: within this time the next one is longer. Microseconds.
    pub memory: i64,
    /// So many banned neighbours (/64 in a /56, /56 in a /48) and the network around them is banned. 0: never.
    pub neighbours: u32,
    /// How many sources are counted at once.
    pub sources: usize,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy::from(&Settings::default())
    }
}

impl From<&Settings> for Policy {
    fn from(s: &Settings) -> Policy {
        let bantime = HOUR;
        Policy {
            brute_force: Rule::new(
                s.brute_failures,
                (i64::from(s.brute_seconds) * SECOND).max(10 * MINUTE),
                bantime,
            ),
            slow: Rule::new(s.slow_failures, 7 * DAY, 6 * HOUR),
            slow_leak: s.slow_week,
            invalid_users: Rule::new(s.scan_names + 1, DAY, bantime),
            spray: Rule::new(s.spray_users + 1, DAY, bantime),
            probes: Rule::new(s.probe_probes + 1, HOUR, bantime),
            flood: Rule::new(s.flood_timeouts + 1, 10 * MINUTE, bantime),
            forgery: Rule::new(s.forgery_names + 1, DAY, bantime),
            distributed: Rule::new(
                s.distributed_addresses + 1,
                i64::from(s.distributed_hours) * HOUR,
                bantime,
            ),
            growth: 2,
            longest: 30 * DAY,
            memory: 30 * DAY,
            neighbours: 3,
            sources: 65_536,
        }
    }
}

impl Policy {
    /// The rows by their detectors' slugs, for a configuration file.
    pub fn rule_mut(&mut self, slug: &str) -> Option<&mut Rule> {
        Some(match slug {
            "brute-force" => &mut self.brute_force,
            "slow-brute-force" => &mut self.slow,
            "invalid-user-scan" => &mut self.invalid_users,
            "password-spray" => &mut self.spray,
            "protocol-scan" => &mut self.probes,
            "startup-flood" => &mut self.flood,
            "log-forgery" => &mut self.forgery,
            "distributed-brute-force" => &mut self.distributed,
            _ => return None,
        })
    }

    pub const SLUGS: [&'static str; 8] = [
        "brute-force",
        "slow-brute-force",
        "invalid-user-scan",
        "password-spray",
        "protocol-scan",
        "startup-flood",
        "log-forgery",
        "distributed-brute-force",
    ];

    /// The length of a ban after `strikes` earlier ones. Microseconds.
    pub fn length(&self, bantime: i64, strikes: u32) -> i64 {
        let times = i64::from(self.growth.max(1)).saturating_pow(strikes.min(40));
        bantime.saturating_mul(times).min(self.longest.max(bantime))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bans_grow_up_to_the_longest() {
        let p = Policy::default();
        let lengths: Vec<i64> = [0, 1, 2, 9, 40, 4_000_000]
            .iter()
            .map(|n| p.length(HOUR, *n) / HOUR)
            .collect();
        assert_eq!(lengths, [1, 2, 4, 512, 720, 720]);
        let flat = Policy { growth: 1, ..p };
        assert_eq!(flat.length(HOUR, 9), HOUR);
        assert_eq!(flat.length(90 * DAY, 0), 90 * DAY);
    }

    #[test]
    fn every_row_is_a_detector_of_the_catalogue() {
        let mut p = Policy::default();
        for slug in Policy::SLUGS {
            assert!(crate::catalog::detectors::by_slug(slug).is_some(), "{slug}");
            assert!(p.rule_mut(slug).is_some(), "{slug}");
        }
        assert!(p.rule_mut("blind").is_none());
    }
}
