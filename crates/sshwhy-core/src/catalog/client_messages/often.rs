//! What a failure means whichever client tells of it: causes of messages that many of them have in their own words, ranked as
//! [`super::ClientMessage::causes`].

/// Nobody took the connection.
pub(super) const REFUSED: &[(&str, f32)] = &[
    ("connect-refused", 0.95),
    ("sshd-not-running", 0.35),
    ("wrong-port", 0.18),
    ("firewall-server-reject", 0.14),
    ("ip-banned", 0.12),
];

/// Nobody answered at all.
pub(super) const NO_ANSWER: &[(&str, f32)] = &[
    ("connect-timeout", 0.92),
    ("firewall-server-drop", 0.27),
    ("firewall-path-drop", 0.27),
    ("dns-stale-address", 0.1),
    ("ip-banned", 0.1),
];

/// A router, or the own machine, said that there is no way.
pub(super) const UNREACHABLE: &[(&str, f32)] = &[
    ("host-unreachable", 0.5),
    ("firewall-server-reject", 0.28),
    ("dns-stale-address", 0.12),
    ("no-route", 0.06),
];

/// No algorithm of some kind in common, and it is not said of which.
pub(super) const NOTHING_COMMON: &[(&str, f32)] = &[
    ("no-matching-kex", 0.4),
    ("no-matching-host-key-type", 0.25),
    ("no-matching-cipher", 0.15),
    ("no-matching-mac", 0.1),
];

/// The client did not take the host key, and does not say why.
pub(super) const HOST_KEY_NOT_TAKEN: &[(&str, f32)] = &[
    ("host-key-unknown", 0.6),
    ("host-key-changed", 0.3),
    ("host-key-differs-by-address", 0.04),
];

/// The server refused the key.
pub(super) const KEY_REFUSED: &[(&str, f32)] = &[
    ("auth-rejected-publickey", 0.8),
    ("pubkey-not-authorized", 0.36),
    ("user-not-found", 0.14),
    ("authorized-keys-permissions", 0.12),
    ("pubkey-algorithm-rejected", 0.12),
];

/// The server refused the password.
pub(super) const PASSWORD_REFUSED: &[(&str, f32)] = &[
    ("auth-rejected-password", 0.85),
    ("wrong-password", 0.47),
    ("user-not-found", 0.12),
    ("account-locked", 0.1),
    ("password-auth-disabled", 0.08),
    ("account-faillock", 0.07),
];

/// The server refused whatever proof it was; the client does not say which.
pub(super) const PROOF_REFUSED: &[(&str, f32)] = &[
    ("auth-rejected-publickey", 0.5),
    ("auth-rejected-password", 0.45),
    ("wrong-password", 0.24),
    ("pubkey-not-authorized", 0.24),
    ("pubkey-algorithm-rejected", 0.14),
    ("user-not-found", 0.1),
    ("auth-method-mismatch", 0.08),
];
