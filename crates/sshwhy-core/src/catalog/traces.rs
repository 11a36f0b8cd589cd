//! What `trace` says: one row for each verdict on a source of logins and for each answer to who made them.
//!
//! Rows have the form of detectors; what is weighed for them stands in `trace::pattern` and `trace::rank`, which have no thresholds to
//! set. An example and a near miss of each row are in `tests/trace.rs`.

use super::causes::Remedy;
use super::detectors::Detector;
use crate::finding::Severity;

/// The row of that slug.
pub fn by_slug(slug: &str) -> Option<&'static Detector> {
    ROWS.iter().find(|row| row.slug == slug)
}

const fn step(
    action: &'static str,
    command: Option<&'static str>,
    place: &'static str,
    risk: &'static str,
    undo: Option<&'static str>,
) -> Remedy {
    Remedy {
        action,
        command,
        place,
        risk,
        undo,
    }
}

const COLLECT: Remedy = step(
    "Collect what the source node still knows, before logs rotate and containers are removed",
    Some("sshwhy trace collect"),
    "client",
    "none",
    None,
);
const ARM: Remedy = step(
    "Record who connects in the coming night",
    Some("sshwhy trace arm TARGET --window HOURS --apply"),
    "client",
    "a record for each connection and each program that starts, while it runs",
    Some("sshwhy trace disarm"),
);

pub const ROWS: &[Detector] = &[
    Detector {
        id: "SW1901",
        slug: "trace-intrusion",
        title: "A source broke in",
        severity: Severity::Critical,
        hostile: true,
        what: "A storm of failures from one source, faster than any schedule, ended in a login; or fewer did, and right after it an account, \
               a group, a password or a crontab was changed as never before; or what logs in there runs from a place where no \
               installed program lies.",
        thresholds: &[],
        remedy: &[
            step(
                "Take the source node off the network without switching it off, and keep its memory and disks",
                None,
                "client",
                "everything that runs on the node loses its network",
                None,
            ),
            COLLECT,
        ],
        refs: &["MITRE ATT&CK T1110", "MITRE ATT&CK T1021.004"],
    },
    Detector {
        id: "SW1902",
        slug: "trace-automation",
        title: "A source logs in by itself",
        severity: Severity::Medium,
        hostile: false,
        what: "The same few users come from one source in the same hours on several days, and failures and successes take turns: a job \
               with an inventory or with credentials that are no longer right.",
        thresholds: &[],
        remedy: &[
            step(
                "Ask the owner of the job for its inventory and its credentials",
                None,
                "client",
                "none",
                None,
            ),
            COLLECT,
        ],
        refs: &["MITRE ATT&CK T1078"],
    },
    Detector {
        id: "SW1903",
        slug: "trace-unclear",
        title: "A source logs in, and nothing says why",
        severity: Severity::Low,
        hostile: false,
        what: "The logins of this source are neither a storm that ended in a success nor the work of a schedule: too few, or spread over \
               the day.",
        thresholds: &[],
        remedy: &[COLLECT, ARM],
        refs: &["sshd_config(5) LogLevel"],
    },
    Detector {
        id: "SW1910",
        slug: "trace-culprit",
        title: "Who made the logins",
        severity: Severity::High,
        hostile: false,
        what: "A container or a program of the source node explains the logins better than everything else that was there: its log's lines \
               or its connects follow them, and that is more than chance does.",
        thresholds: &[],
        remedy: &[step(
            "Keep it and its log before anything else: removing it removes the evidence",
            Some("sshwhy trace collect"),
            "client",
            "none",
            None,
        )],
        refs: &["docker-inspect(1)", "crictl(1)"],
    },
    Detector {
        id: "SW1911",
        slug: "trace-nobody",
        title: "Nobody in the evidence made the logins",
        severity: Severity::Medium,
        hostile: false,
        what: "Of everything that was collected on the source node nothing fits the logins. Whoever made them left no trace there, or was \
               removed before.",
        thresholds: &[],
        remedy: &[COLLECT, ARM],
        refs: &["auditctl(8)"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::detectors;

    #[test]
    fn rows_are_whole_and_no_detector_has_their_names() {
        for (i, row) in ROWS.iter().enumerate() {
            assert!(row.id.starts_with("SW19"), "{}", row.id);
            assert!(
                !row.what.is_empty() && !row.remedy.is_empty() && !row.refs.is_empty(),
                "{}",
                row.slug
            );
            assert!(
                ROWS.iter()
                    .skip(i + 1)
                    .all(|r| r.id != row.id && r.slug != row.slug)
            );
            assert!(detectors::by_slug(row.slug).is_none() && detectors::by_id(row.id).is_none());
            assert_eq!(by_slug(row.slug).map(|r| r.id), Some(row.id));
        }
    }
}
