//! What a row of the message catalogue means to the detectors, looked up once a run.

use crate::catalog::messages::Message;
use crate::session::Role;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Plain,
    /// A connection dropped over MaxStartups.
    StartupDrop,
    /// sshd's account of MaxStartups, without an address.
    StartupNote,
    /// A connection dropped over a penalty.
    PenaltyDrop,
    /// Does not speak SSH.
    NotSsh,
    /// Speaks SSH, and shares no algorithm of one kind with us; which kind, as a bit.
    Mismatch(u8),
    /// Something is broken or expired for this user, and guessing wrong would not show it.
    Fault,
    /// A rule keeps this user out whatever it sends; guessers run into it too.
    Denied,
    /// Holds text of the client's choice beside the user name.
    ClientText,
    /// PAM opened a session.
    PamOpened,
    /// What a session did.
    Deed,
    /// Somebody dropped lines on their way into the log.
    Suppressed,
    /// Another program wrote it in sshd's name.
    Foreign,
}

impl Kind {
    pub fn of(message: &Message) -> Kind {
        let slug = message.slug;
        match slug {
            "maxstartups-drop" | "drop-connection" => return Kind::StartupDrop,
            "maxstartups-begin"
            | "maxstartups-continue"
            | "maxstartups-exit"
            | "drop-logging-limited" => return Kind::StartupNote,
            "penalty-drop" | "penalty-table-drop" => return Kind::PenaltyDrop,
            "no-matching-kex" => return Kind::Mismatch(1),
            "no-matching-host-key-type" => return Kind::Mismatch(2),
            "no-matching-cipher" => return Kind::Mismatch(4),
            "no-matching-mac" => return Kind::Mismatch(8),
            "no-matching-compression" => return Kind::Mismatch(16),
            "no-matching-algorithm" | "dropbear-no-matching-algorithm" => {
                return Kind::Mismatch(32);
            }
            "pam-session-opened" => return Kind::PamOpened,
            "journald-suppressed" | "rsyslog-rate-limited" => return Kind::Suppressed,
            "written-in-sshds-name" => return Kind::Foreign,
            "pam-account-denied" => return Kind::Fault,
            "bad-protocol-version" | "kex-identification-invalid" => return Kind::NotSsh,
            _ => {}
        }
        let starts = |p: &str| slug.starts_with(p);
        if starts("received-disconnect") {
            return Kind::ClientText;
        }
        if starts("starting-")
            || starts("sftp-")
            || matches!(
                slug,
                "subsystem-request" | "connect-to-failed" | "denied-forward-request"
            )
        {
            return Kind::Deed;
        }
        match Role::of(message) {
            Role::Probe => Kind::NotSsh,
            Role::Symptom => Kind::Fault,
            Role::NotAllowed => match message.cause {
                "account-expired"
                | "password-expired"
                | "shell-missing"
                | "nologin-file"
                | "authorized-keys-from"
                | "pubkey-not-authorized"
                | "sftp-subsystem-missing"
                | "pam-misconfigured" => Kind::Fault,
                _ => Kind::Denied,
            },
            _ => Kind::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::messages;

    #[test]
    fn rows_that_decide_are_there() {
        let kind = |slug: &str| messages::all().find(|m| m.slug == slug).map(Kind::of);
        for (slug, expected) in [
            ("maxstartups-drop", Kind::StartupDrop),
            ("maxstartups-exit", Kind::StartupNote),
            ("penalty-drop", Kind::PenaltyDrop),
            ("no-matching-kex", Kind::Mismatch(1)),
            ("no-matching-mac", Kind::Mismatch(8)),
            ("kex-identification-invalid", Kind::NotSsh),
            ("dispatch-corrupted", Kind::NotSsh),
            ("bad-ownership-or-modes", Kind::Fault),
            ("pubkey-algorithm-rejected", Kind::Fault),
            ("pam-unix-account-expired", Kind::Fault),
            ("not-allowed-allowusers", Kind::Denied),
            ("pam-faillock-locked", Kind::Denied),
            ("received-disconnect-goodbye", Kind::ClientText),
            ("failed-password", Kind::Plain),
            ("pam-session-opened", Kind::PamOpened),
            ("starting-command", Kind::Deed),
        ] {
            assert_eq!(kind(slug), Some(expected), "{slug}");
        }
    }
}
