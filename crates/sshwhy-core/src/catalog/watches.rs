//! What a monitor says about an endpoint that answers, and is not as it was or as it should be. What it says about one that
//! does not answer stands in [`super::causes`].

use super::causes::Remedy;
use super::detectors::Detector;
use crate::finding::Severity;

const fn advice(action: &'static str, place: &'static str) -> Remedy {
    Remedy {
        action,
        command: None,
        place,
        risk: "none",
        undo: None,
    }
}

/// The row of that slug.
pub fn by_slug(slug: &str) -> Option<&'static Detector> {
    ROWS.iter().find(|row| row.slug == slug)
}

pub const ROWS: &[Detector] = &[
    Detector {
        id: "SW1101",
        slug: "ident-drift",
        title: "The server says it is another software than before, or than expected",
        severity: Severity::Medium,
        hostile: false,
        what: "The ident line changed. After an upgrade that is as it should be; without one, the name may lead to \
            another machine, or something stands in between.",
        thresholds: &[],
        remedy: &[advice(
            "If it was upgraded, expect the new ident (expect.ident), or let the monitor forget what it remembered: \
             sshwhy monitor --config FILE --forget NAME",
            "monitor",
        )],
        refs: &["RFC 4253 section 4.2"],
    },
    Detector {
        id: "SW1102",
        slug: "algorithm-drift",
        title: "The server offers other algorithms than before, or than expected",
        severity: Severity::Medium,
        hostile: false,
        what: "The lists of the server's KEXINIT changed, lack one that is expected, or hold one that is not wanted. A \
            client that only knows what was dropped cannot log in any more.",
        thresholds: &[],
        remedy: &[advice(
            "Compare with the server's own configuration (sshwhy config effective); if it is meant, expect the new lists",
            "server",
        )],
        refs: &["RFC 4253 section 7.1", "sshd_config(5) KexAlgorithms"],
    },
    Detector {
        id: "SW1103",
        slug: "host-certificate-expiring",
        title: "The server's host certificate ends soon",
        severity: Severity::Medium,
        hostile: false,
        what: "When a host certificate has ended, clients that trust only its authority treat the host as unknown: \
            everybody is asked, and what runs unattended stops.",
        thresholds: &[],
        remedy: &[Remedy {
            action: "Sign the host key again and put the certificate in place, then let sshd read it",
            command: Some(
                "ssh-keygen -s CA_KEY -I HOST -h -n HOST -V +52w /etc/ssh/ssh_host_ed25519_key.pub",
            ),
            place: "server",
            risk: "none",
            undo: None,
        }],
        refs: &[
            "ssh-keygen(1) CERTIFICATES",
            "sshd_config(5) HostCertificate",
        ],
    },
    Detector {
        id: "SW1104",
        slug: "endpoint-flapping",
        title: "The endpoint goes up and down again and again",
        severity: Severity::Medium,
        hostile: false,
        what: "Its checks change between good and bad so often that single alerts would say nothing. Alerts are held \
            back until it has been steady for a while.",
        thresholds: &[],
        remedy: &[advice(
            "Look at the times in its history: an even rhythm points to a job or a limit (MaxStartups), an uneven one to \
             the network",
            "monitor",
        )],
        refs: &["sshd_config(5) MaxStartups"],
    },
    Detector {
        id: "SW1105",
        slug: "endpoint-slow",
        title: "The endpoint answers, and slower than allowed",
        severity: Severity::Low,
        hostile: false,
        what: "All stages passed, and together they took longer than the limit that is set.",
        thresholds: &[],
        remedy: &[advice(
            "See which stage is slow: tcp is the network, ident the server's load or its name lookups, kex its processor",
            "monitor",
        )],
        refs: &["sshd_config(5) UseDNS"],
    },
    Detector {
        id: "SW1106",
        slug: "endpoint-unreachable",
        title: "The endpoint does not pass its check",
        severity: Severity::High,
        hostile: false,
        what: "A stage of the check failed, and what was seen from here fits no known cause.",
        thresholds: &[],
        remedy: &[Remedy {
            action: "Walk the way to it gate by gate",
            command: Some("sshwhy probe HOST"),
            place: "client",
            risk: "none",
            undo: None,
        }],
        refs: &["sshwhy probe"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole() {
        for row in ROWS {
            assert!(row.id.starts_with("SW11"), "{}", row.slug);
            assert!(!row.what.is_empty() && !row.remedy.is_empty() && !row.refs.is_empty());
            assert_eq!(by_slug(row.slug).map(|r| r.id), Some(row.id));
        }
        let mut ids: Vec<_> = ROWS.iter().map(|r| r.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), ROWS.len());
    }
}
