//! What a server's line says about causes, where the one cause in its row is not the whole story.
//!
//! A row of [`super::messages`] names at most one cause. Some lines have several behind them (`Failed password`), some speak
//! only faintly (`Connection closed by authenticating user`), and some name none because they are no failure by themselves.
//! Weights are as in [`super::client_messages`]: how often the cause is behind the line when nothing else is known. A line
//! that stands neither here nor names a cause says nothing about why.

/// Events by slug, with the causes behind them, likeliest first.
pub const ROWS: &[(&str, &[(&str, f32)])] = &[
    (
        "failed-password",
        &[
            ("wrong-password", 0.48),
            ("account-locked", 0.12),
            ("password-expired", 0.03),
        ],
    ),
    (
        "failed-keyboard-interactive",
        &[("wrong-password", 0.44), ("one-time-code-rejected", 0.2)],
    ),
    ("pam-authentication-failure", &[("wrong-password", 0.4)]),
    (
        "pam-more-authentication-failures",
        &[("wrong-password", 0.3)],
    ),
    ("pam-authentication-failed", &[("wrong-password", 0.4)]),
    ("pam-otp-invalid", &[("one-time-code-rejected", 0.88)]),
    (
        "failed-publickey",
        &[
            ("pubkey-not-authorized", 0.6),
            ("authorized-keys-permissions", 0.12),
            ("authorized-keys-path", 0.06),
        ],
    ),
    (
        "connection-closed-authenticating",
        &[
            ("pubkey-not-authorized", 0.46),
            ("password-auth-disabled", 0.1),
            ("key-passphrase", 0.06),
            ("agent-refused", 0.04),
            ("authorized-keys-path", 0.04),
        ],
    ),
    (
        "disconnected-authenticating",
        &[
            ("pubkey-not-authorized", 0.4),
            ("auth-method-mismatch", 0.1),
        ],
    ),
    (
        "connection-reset-authenticating",
        &[("pubkey-not-authorized", 0.34)],
    ),
    (
        "received-disconnect-no-methods",
        &[
            ("pubkey-not-authorized", 0.36),
            ("auth-method-mismatch", 0.3),
            ("password-auth-disabled", 0.16),
        ],
    ),
    ("received-disconnect-cancelled", &[("wrong-password", 0.2)]),
    (
        "received-disconnect-host-key",
        &[("host-key-unknown", 0.5), ("host-key-changed", 0.4)],
    ),
    (
        "received-disconnect-kex-failed",
        &[("no-matching-kex", 0.5), ("no-matching-host-key-type", 0.3)],
    ),
    ("connection-closed-invalid-user", &[("user-not-found", 0.6)]),
    ("connection-reset-invalid-user", &[("user-not-found", 0.6)]),
    ("disconnected-invalid-user", &[("user-not-found", 0.6)]),
    ("failed-password-invalid-user", &[("user-not-found", 0.7)]),
    ("failed-publickey-invalid-user", &[("user-not-found", 0.7)]),
    (
        "pam-account-denied",
        &[
            ("pam-denied", 0.48),
            ("account-expired", 0.12),
            ("nologin-file", 0.12),
            ("shell-not-listed", 0.06),
            ("password-expired", 0.03),
        ],
    ),
    (
        "pam-open-session-failed",
        &[("pam-session-failed", 0.46), ("pam-limits", 0.34)],
    ),
    ("pam-session-entry", &[("pam-session-failed", 0.48)]),
    (
        "timeout-before-authentication",
        &[
            ("login-grace-time", 0.72),
            ("mtu-blackhole", 0.1),
            ("slow-reverse-dns", 0.05),
        ],
    ),
    ("maxstartups-exit", &[("max-startups", 0.6)]),
    ("source-slot", &[]),
    ("connection-reset", &[("reset-by-middlebox", 0.12)]),
    ("partial-publickey", &[("multi-factor-required", 0.55)]),
    ("partial-authentication", &[("multi-factor-required", 0.55)]),
    ("refuse-connection", &[("refuse-connection", 0.92)]),
    ("refuse-connection-ended", &[("refuse-connection", 0.92)]),
    ("dispatch-mac-incorrect", &[("packet-corruption", 0.8)]),
    ("dispatch-corrupted", &[("packet-corruption", 0.8)]),
    ("corrupted-mac", &[("packet-corruption", 0.8)]),
    ("packet-corrupt", &[("packet-corruption", 0.7)]),
    (
        "bad-packet-length",
        &[("packet-corruption", 0.5), ("not-ssh-service", 0.1)],
    ),
    ("packet-padding-error", &[("packet-corruption", 0.6)]),
    (
        "dispatch-timeout",
        &[("mtu-blackhole", 0.3), ("idle-connection-dropped", 0.25)],
    ),
    (
        "read-error",
        &[
            ("idle-connection-dropped", 0.45),
            ("client-alive-timeout", 0.05),
        ],
    ),
    ("write-failed", &[("idle-connection-dropped", 0.3)]),
    ("dispatch-dh-group", &[("dh-group-exchange-failed", 0.9)]),
    (
        "no-suitable-dh-group",
        &[("dh-group-exchange-failed", 0.85)],
    ),
    ("moduli-missing", &[("dh-group-exchange-failed", 0.4)]),
    (
        "max-auth-tries-exceeded",
        &[("too-many-auth-failures", 0.93)],
    ),
    (
        "disconnecting-too-many-failures",
        &[("too-many-auth-failures", 0.93)],
    ),
    (
        "monitor-too-many-attempts",
        &[("too-many-auth-failures", 0.8)],
    ),
    // The end of a story that other lines may tell: why none could be loaded.
    (
        "no-host-keys",
        &[("host-keys-missing", 0.72), ("host-key-permissions", 0.2)],
    ),
    ("host-key-signing-failed", &[("host-key-unusable", 0.9)]),
    ("host-key-agent-unreachable", &[("host-key-unusable", 0.8)]),
    ("host-key-mismatch", &[("host-key-unusable", 0.6)]),
    (
        "received-signal-terminating",
        &[("session-killed", 0.36), ("sshd-not-running", 0.3)],
    ),
    ("reverse-mapping-failed", &[("slow-reverse-dns", 0.2)]),
    ("address-maps-elsewhere", &[("slow-reverse-dns", 0.08)]),
    (
        "session-fork-failed",
        &[("process-limit", 0.5), ("out-of-memory", 0.34)],
    ),
    (
        "internal-pty-or-exec-failed",
        &[("pty-exhausted", 0.4), ("process-limit", 0.2)],
    ),
    (
        "internal-out-of-resources",
        &[("out-of-memory", 0.6), ("process-limit", 0.25)],
    ),
    (
        "internal-child-crashed",
        &[("sshd-crashes", 0.75), ("out-of-memory", 0.1)],
    ),
    (
        "internal-restart-needed-after-upgrade",
        &[("sshd-crashes", 0.85)],
    ),
    ("internal-sshd-session-missing", &[("sshd-crashes", 0.85)]),
    ("internal-sandbox-setup-failed", &[("sshd-crashes", 0.5)]),
    (
        "internal-pam-backend-unavailable",
        &[("directory-service-down", 0.8)],
    ),
    (
        "bind-permission-denied",
        &[("selinux-port", 0.55), ("sshd-unit-broken", 0.15)],
    ),
    (
        "cannot-bind-any",
        &[("port-in-use", 0.55), ("listen-address", 0.3)],
    ),
    (
        "channel-connection-failed",
        &[("forwarding-target-unreachable", 0.85)],
    ),
    (
        "connect-to-failed",
        &[("forwarding-target-unreachable", 0.85)],
    ),
    (
        "channel-open-failed",
        &[
            ("forwarding-target-unreachable", 0.5),
            ("forwarding-disabled", 0.2),
        ],
    ),
    ("timeout-channel", &[("idle-timeout", 0.49)]),
    ("unused-connection-timeout", &[("idle-timeout", 0.49)]),
    (
        "security-key-touch-missing",
        &[("security-key-policy", 0.93)],
    ),
    ("security-key-pin-missing", &[("security-key-policy", 0.93)]),
    (
        "selinux-context-failed",
        &[("selinux-context", 0.5), ("pam-session-failed", 0.1)],
    ),
    (
        "gssapi-step-failed",
        &[("kerberos-failed", 0.8), ("clock-skew", 0.08)],
    ),
    ("gssapi-mic-failed", &[("kerberos-failed", 0.8)]),
    ("failed-gssapi-with-mic", &[("kerberos-failed", 0.7)]),
    (
        "unit-failed",
        &[
            ("sshd-config-error", 0.36),
            ("sshd-unit-broken", 0.3),
            ("host-keys-missing", 0.08),
        ],
    ),
    (
        "unit-main-process-exited",
        &[("sshd-config-error", 0.34), ("sshd-unit-broken", 0.3)],
    ),
    (
        "unit-start-failed",
        &[("sshd-config-error", 0.34), ("sshd-unit-broken", 0.3)],
    ),
    (
        "unit-start-limit",
        &[("sshd-config-error", 0.34), ("sshd-unit-broken", 0.34)],
    ),
    ("conntrack-full", &[("firewall-server-drop", 0.5)]),
    ("refused-local-forward", &[("forwarding-disabled", 0.93)]),
    (
        "dropbear-max-auth-tries",
        &[("too-many-auth-failures", 0.8)],
    ),
    ("pam-loginuid", &[("pam-session-failed", 0.8)]),
    (
        "login-record-failed",
        &[("directory-service-down", 0.4), ("user-not-found", 0.2)],
    ),
    (
        "shadow-unreadable",
        &[
            ("wrong-password", 0.25),
            ("directory-service-down", 0.2),
            ("selinux-context", 0.12),
        ],
    ),
];

/// The causes behind an event, where this table has more to say than the event's own row.
pub fn behind(event: &str) -> Option<&'static [(&'static str, f32)]> {
    ROWS.iter()
        .find(|(slug, _)| *slug == event)
        .map(|(_, causes)| *causes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{causes, messages};
    use std::collections::HashSet;

    #[test]
    fn slugs_exist_once_and_weights_are_ranked() {
        let events: HashSet<_> = messages::all().map(|row| row.slug).collect();
        let mut seen = HashSet::new();
        for (event, behind) in ROWS {
            assert!(events.contains(event), "no event {event}");
            assert!(seen.insert(event), "{event} twice");
            for (slug, weight) in *behind {
                assert!(causes::by_slug(slug).is_some(), "{event}: no cause {slug}");
                assert!(*weight > 0.0 && *weight < 1.0, "{event}");
            }
            assert!(behind.windows(2).all(|w| w[0].1 >= w[1].1), "{event}");
            assert!(behind.iter().map(|c| c.1).sum::<f32>() <= 1.0, "{event}");
        }
    }
}
