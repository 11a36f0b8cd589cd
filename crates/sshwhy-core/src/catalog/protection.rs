//! Whether bans hold: one row for each way in which an address that should be kept out is not, or nobody knows why it is.
//!
//! The rows have the form of detectors, without thresholds; `bans check` and `guard` look for them on the live machine.

use super::causes::Remedy;
use super::detectors::Detector;
use crate::finding::Severity;

const fn step(
    action: &'static str,
    command: &'static str,
    risk: &'static str,
    undo: Option<&'static str>,
) -> Remedy {
    Remedy {
        action,
        command: Some(command),
        place: "server",
        risk,
        undo,
    }
}

/// The row of that slug.
pub fn by_slug(slug: &str) -> Option<&'static Detector> {
    ROWS.iter().find(|row| row.slug == slug)
}

const SEE: Remedy = step(
    "See what the live rules do with that address",
    "sshwhy bans check ADDR; sshwhy doctor --from ADDR",
    "none",
    None,
);
const RESTORE: Remedy = step(
    "Put every ban of the state back into the firewall",
    "sshwhy bans restore",
    "none: nobody is banned who was not before",
    None,
);

pub const ROWS: &[Detector] = &[
    Detector {
        id: "SW1801",
        slug: "ban-not-effective",
        title: "Set but not effective",
        severity: Severity::Critical,
        hostile: false,
        what: "The ban stands in the firewall, and the live rules let a packet from that address reach the port all the same: some rule \
               accepts it first, or the rule or table that should drop it does not count.",
        thresholds: &[],
        remedy: &[
            SEE,
            step(
                "Put the rule that drops banned addresses before the one that accepts: sshwhy makes its own anew, in front",
                "sshwhy bans restore --rebuild",
                "none: rules of others stay as they are",
                None,
            ),
        ],
        refs: &["nft(8) CHAINS", "iptables(8)"],
    },
    Detector {
        id: "SW1802",
        slug: "ban-missing",
        title: "Banned, but not in the firewall",
        severity: Severity::High,
        hostile: false,
        what: "The state says that the address is kept out, and the firewall does not hold it: somebody flushed the rules, a reboot \
               emptied them, or an element was deleted by hand.",
        thresholds: &[],
        remedy: &[RESTORE, SEE],
        refs: &["nft(8) flush ruleset"],
    },
    Detector {
        id: "SW1803",
        slug: "ban-unknown",
        title: "In our firewall set, but nobody knows why",
        severity: Severity::Low,
        hostile: false,
        what: "Our own set holds an address that the state does not know: somebody added it by hand, or the state file was lost.",
        thresholds: &[],
        remedy: &[step(
            "Take it out, or ban it properly so that there is a reason",
            "sshwhy bans remove ADDR",
            "the address can reach this machine again",
            Some("sshwhy bans add ADDR --reason WHY"),
        )],
        refs: &[],
    },
    Detector {
        id: "SW1804",
        slug: "ban-unproven",
        title: "Nobody can say whether the ban works",
        severity: Severity::Medium,
        hostile: false,
        what: "What was done cannot be looked at: the live rules cannot be read, they hold something that is not understood, or the \
               ban was handed to a command of yours.",
        thresholds: &[],
        remedy: &[SEE],
        refs: &[],
    },
    Detector {
        id: "SW1805",
        slug: "firewall-failed",
        title: "The firewall did not take it",
        severity: Severity::Critical,
        hostile: false,
        what: "The program that sets bans failed: what was decided is not in force.",
        thresholds: &[],
        remedy: &[
            step(
                "See whether it can be used at all: it needs root (CAP_NET_ADMIN) and the kernel's modules",
                "nft list tables; iptables -S | head; ipset list -n",
                "none",
                None,
            ),
            RESTORE,
        ],
        refs: &["capabilities(7) CAP_NET_ADMIN"],
    },
    Detector {
        id: "SW1806",
        slug: "ban-hits-owner",
        title: "A ban keeps out somebody who must get in",
        severity: Severity::High,
        hostile: false,
        what: "A ban in force covers an address that is never to be banned: your own, a gateway, a resolver, an administrator who is \
               logged in, or an entry of the allow-list.",
        thresholds: &[],
        remedy: &[step(
            "Lift it",
            "sshwhy bans remove ADDR",
            "none: that address is never to be banned",
            Some("sshwhy bans add ADDR --reason WHY"),
        )],
        refs: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn rows_are_whole_and_ids_are_their_own() {
        let mut seen = HashSet::new();
        for row in ROWS {
            assert!(
                row.id.starts_with("SW18") && seen.insert(row.id),
                "{}",
                row.id
            );
            assert!(seen.insert(row.slug), "{}", row.slug);
            assert!(crate::catalog::detectors::by_slug(row.slug).is_none());
            assert!(!row.what.is_empty() && !row.remedy.is_empty());
            assert!(row.thresholds.is_empty());
            assert_eq!(by_slug(row.slug).map(|r| r.id), Some(row.id));
        }
        assert_eq!(
            by_slug("ban-not-effective").map(|r| r.severity),
            Some(Severity::Critical)
        );
    }
}
