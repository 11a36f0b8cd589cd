//! What each message does to the connection that it belongs to.

use crate::catalog::messages::{Daemon, Hostile, Message, Outcome};

/// What a message does to the connection that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A login was accepted.
    Accepted,
    /// sshd's word on a connection's end, before login or without saying.
    Closed,
    /// sshd's word on the end of a login.
    LoggedOut,
    /// The session after login was closed (PAM).
    SessionClosed,
    /// A connection began (VERBOSE).
    Connection,
    /// A password or other answer was refused.
    Failed,
    /// A key was refused (VERBOSE), or a method that clients try before they ask anybody: `none`, hostbased, GSSAPI.
    FailedKey,
    /// PAM's word on a refused password; sshd's own usually follows.
    FailedPam,
    /// sshd's word on what PAM refused in a dialogue (`error: PAM: Authentication failure for …`); another may follow.
    FailedDialogue,
    InvalidUser,
    /// The user exists and the rules forbid it (AllowUsers, shell, locked, root …).
    NotAllowed,
    /// Gone before it said anything: what a port check looks like.
    Silent,
    /// Not SSH, or not to the end: bad ident, no common algorithm, broken packets.
    Probe,
    /// Dropped by the listener: MaxStartups, penalties, tcp wrappers.
    Dropped,
    /// LoginGraceTime ran out.
    Timeout,
    TooManyFailures,
    /// A sign of what is broken for this user (permissions, key type, account …).
    Symptom,
    Other,
}

impl Role {
    /// Whether such a line is written once in the life of a connection.
    pub fn happens_once(self) -> bool {
        matches!(
            self,
            Role::Accepted
                | Role::Closed
                | Role::LoggedOut
                | Role::SessionClosed
                | Role::Connection
                | Role::InvalidUser
        )
    }

    /// From the row: its slug where the slug decides, otherwise its outcome.
    pub fn of(message: &Message) -> Role {
        let slug = message.slug;
        let starts = |p: &str| slug.starts_with(p);
        match slug {
            "connection-from" | "dropbear-child-connection" => return Role::Connection,
            "pam-session-closed" => return Role::SessionClosed,
            "pam-authentication-failure" | "pam-more-authentication-failures" => {
                return Role::FailedPam;
            }
            // Junos says it beside sshd's own line.
            "pam-authentication-failed" | "pam-max-tries" | "junos-login-failed" => {
                return Role::FailedDialogue;
            }
            "max-auth-tries-exceeded" | "monitor-too-many-attempts" => {
                return Role::TooManyFailures;
            }
            "no-identification-string"
            | "kex-identification-closed"
            | "kex-identification-reset"
            | "kex-identification-failed"
            | "kex-identification-read-failed"
            | "banner-exchange-broken-pipe"
            | "banner-exchange-failed"
            | "could-not-write-ident" => return Role::Silent,
            "timeout-before-authentication"
            | "kex-identification-timeout"
            | "banner-exchange-timeout"
            | "banner-exchange-timed-out"
            | "connection-timed-out"
            | "dispatch-timeout"
            | "dropbear-timeout-before-auth" => return Role::Timeout,
            "dispatch-reset" | "read-from-socket-failed" => return Role::Closed,
            "connection-closed-user"
            | "connection-reset-user"
            | "disconnected-user"
            | "timeout-client-not-responding"
            | "dropbear-exit"
            | "dropbear-idle-timeout"
            | "dropbear-keepalive-timeout"
            | "dropbear-max-duration" => return Role::LoggedOut,
            "protocol-version-differs"
            | "banner-exchange-version-mismatch"
            | "connection-ip-options"
            | "client-too-old-refused" => return Role::Probe,
            "maxstartups-exit" | "libwrap-refused" => return Role::Dropped,
            "preauth-ended-invalid-user" | "preauth-ended-auth-failure" => return Role::Other,
            _ => {}
        }
        if starts("failed-") && message.daemon == Daemon::Openssh {
            let first = ["publickey", "none", "hostbased", "gssapi"];
            return if first.iter().any(|m| slug.contains(m)) {
                Role::FailedKey
            } else {
                Role::Failed
            };
        }
        if starts("connection-closed")
            || starts("connection-reset")
            || starts("disconnected")
            || starts("disconnecting")
        {
            return Role::Closed;
        }
        if starts("received-disconnect") {
            return Role::Other;
        }
        match message.outcome {
            Outcome::Success if starts("accepted-") && !message.cause.is_empty() => Role::Other,
            Outcome::Success
                if starts("accepted-")
                    || slug == "dropbear-password-auth-succeeded"
                    || slug == "dropbear-pubkey-auth-succeeded"
                    || slug == "dropbear-blank-password-accepted" =>
            {
                Role::Accepted
            }
            Outcome::AuthFailure if slug == "dropbear-bad-password" => Role::Failed,
            Outcome::AuthFailure if slug == "dropbear-bad-signature" => Role::FailedKey,
            Outcome::AuthFailure | Outcome::Disconnect if starts("dropbear-") => Role::Closed,
            // pam_unix's helper, its summary, SSSD's answer: each repeats a failure that has its line.
            Outcome::AuthFailure if message.daemon == Daemon::Pam => Role::Other,
            // What is left is no attempt of its own: it tells why one failed, or nothing.
            Outcome::AuthFailure if points_at_a_fault(message) => Role::Symptom,
            Outcome::InvalidUser => Role::InvalidUser,
            Outcome::Probe | Outcome::AlgorithmMismatch => Role::Probe,
            Outcome::Disconnect if matches!(message.hostile, Hostile::Yes | Hostile::Preauth) => {
                Role::Probe
            }
            Outcome::Throttled if message.daemon == Daemon::Openssh => Role::Dropped,
            Outcome::Refused if message.daemon == Daemon::TcpWrappers => Role::Dropped,
            Outcome::Refused => Role::NotAllowed,
            Outcome::PermissionProblem | Outcome::KeyProblem => Role::Symptom,
            Outcome::ConfigError | Outcome::InternalError if !message.cause.is_empty() => {
                Role::Symptom
            }
            _ => Role::Other,
        }
    }
}

fn points_at_a_fault(message: &Message) -> bool {
    !matches!(
        message.cause,
        "" | "wrong-password" | "too-many-auth-failures" | "source-penalty"
    )
}
