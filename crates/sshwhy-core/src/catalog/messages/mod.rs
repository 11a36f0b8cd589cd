//! Every message that sshd, dropbear, PAM and tcp wrappers can log, by version: one row a message, one [`Text`] a wording.
//!
//! # Templates
//!
//! A wording is literal text with slots in braces; everything outside braces is matched to the letter.
//!
//! | slot | matches |
//! |---|---|
//! | `{name}` | a value, at least one byte; what it may be depends on the name, below |
//! | `{name?}` | the same, or nothing |
//! | `{=a\|b\|c}` | one of these words |
//! | `{?text}` | that text or nothing |
//!
//! | name | matches | becomes |
//! |---|---|---|
//! | `ip` | an IP address (zone id allowed), or `UNKNOWN` | the event's `addr` |
//! | `host` | a host name or an address, no spaces | the event's `addr` where the wording has no `ip` |
//! | `addrport` | `192.0.2.7:50122`, `[2001:db8::7]:50122`, or `2001:db8::7:50122` (split at the last colon) | `addr` and `port` |
//! | `peer` | `[authenticating user U \|invalid user U \|user U ]IP port N` | `addr`, `port`, `user` |
//! | `port` | digits, or `-1` | the event's `port` |
//! | `local-ip`, `local-port` | as `ip`, `port` | |
//! | `user` | free text, hostile | the event's `user` |
//! | `method`, `submethod`, `key-type`, `key-algorithm`, `fingerprint`, `ca-key-type`, `ca-fingerprint`, `keyword`, `signal`, `status`, `logname`, `tty`, `ruser` | one word without spaces | the field of that name |
//! | `n`, `count`, `pid`, `uid`, `euid`, `gid`, `seconds`, `line`, `serial`, `masklen`, `len`, `channel`, `fd`, `type` | a number | |
//! | any other | free text | `text` |

mod audit;
mod dropbear;
mod openssh_auth;
mod openssh_config;
mod openssh_connection;
mod openssh_internal;
mod openssh_key;
mod openssh_session;
mod pam;
mod platform;
mod records;

/// Who writes the message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Daemon {
    Openssh,
    Pam,
    Dropbear,
    TcpWrappers,
    Systemd,
    Kernel,
    /// Another program of the platform whose lines are about sshd logins (audit, logind, btmp records, …).
    Platform,
}

/// What a message says about the login it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    Success,
    AuthFailure,
    InvalidUser,
    Probe,
    Disconnect,
    Refused,
    Throttled,
    ConfigError,
    PermissionProblem,
    KeyProblem,
    AlgorithmMismatch,
    Timeout,
    InternalError,
    Info,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::AuthFailure => "auth-failure",
            Outcome::InvalidUser => "invalid-user",
            Outcome::Probe => "probe",
            Outcome::Disconnect => "disconnect",
            Outcome::Refused => "refused",
            Outcome::Throttled => "throttled",
            Outcome::ConfigError => "config-error",
            Outcome::PermissionProblem => "permission-problem",
            Outcome::KeyProblem => "key-problem",
            Outcome::AlgorithmMismatch => "algorithm-mismatch",
            Outcome::Timeout => "timeout",
            Outcome::InternalError => "internal-error",
            Outcome::Info => "info",
        }
    }
}

/// Whether the line alone counts against its address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hostile {
    No,
    Yes,
    /// Only with ` [preauth]` on it (the same words after a login are an ordinary goodbye).
    Preauth,
    /// Only when the connection it belongs to has shown its intent in an earlier line.
    InContext,
    /// Unless an earlier line of its connection did already: a summary of what was counted.
    Once,
}

/// One wording of a message.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub text: &'static str,
    /// First release that prints it (OpenSSH, Linux-PAM or Dropbear, as the row's daemon); empty: not known.
    pub since: &'static str,
    /// Last release that prints it; empty: still does.
    pub until: &'static str,
}

impl Text {
    /// A wording of the releases `since`–`until`.
    pub const fn new(text: &'static str, since: &'static str, until: &'static str) -> Text {
        Text { text, since, until }
    }

    /// A wording that the oldest release read (OpenSSH 5.3, Linux-PAM 1.1.0, Dropbear 0.52) and the newest have, or one whose
    /// releases are not known.
    pub const fn any(text: &'static str) -> Text {
        Text::new(text, "", "")
    }
}

/// One message of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// `SW2…`–`SW6…`; never changes, never reused.
    pub id: &'static str,
    /// The event's name in every output.
    pub slug: &'static str,
    pub daemon: Daemon,
    pub outcome: Outcome,
    pub hostile: Hostile,
    /// Slug of the cause it points at (`catalog::causes`), or empty.
    pub cause: &'static str,
    /// In plain English, one sentence.
    pub meaning: &'static str,
    pub texts: &'static [Text],
    /// A line body (after `sshd[pid]: `) that is this message.
    pub example: &'static str,
    /// One that looks like it and is not.
    pub near_miss: &'static str,
}

/// Every table of the catalogue.
pub const TABLES: &[&[Message]] = &[
    openssh_auth::ROWS,
    openssh_connection::ROWS,
    openssh_session::ROWS,
    openssh_key::ROWS,
    openssh_config::ROWS,
    openssh_internal::ROWS,
    pam::ROWS,
    dropbear::ROWS,
    platform::ROWS,
    audit::ROWS,
    records::ROWS,
];

/// Every row, table by table.
pub fn all() -> impl Iterator<Item = &'static Message> {
    TABLES.iter().flat_map(|t| t.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Names that a slot may have and that are a field or a shape of their own; all other names are free text.
    fn slot_is_known(slot: &str) -> bool {
        let inner = slot.strip_suffix('?').unwrap_or(slot);
        if let Some(words) = slot.strip_prefix('=') {
            return words.split('|').count() > 1 && words.split('|').all(|w| !w.is_empty());
        }
        if let Some(literal) = slot.strip_prefix('?') {
            return !literal.is_empty();
        }
        !inner.is_empty()
            && inner
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }

    /// Literal parts and slots of a wording; `None` where braces do not pair up.
    fn parts(text: &str) -> Option<(Vec<&str>, Vec<&str>)> {
        let (mut literals, mut slots, mut rest) = (Vec::new(), Vec::new(), text);
        while let Some(open) = rest.find('{') {
            literals.push(&rest[..open]);
            let close = open + rest[open..].find('}')?;
            slots.push(&rest[open + 1..close]);
            rest = &rest[close + 1..];
        }
        literals.push(rest);
        let clean = |s: &&str| !s.contains(['{', '}']);
        (literals.iter().all(clean) && slots.iter().all(clean)).then_some((literals, slots))
    }

    fn release(version: &str) -> Vec<u32> {
        version
            .split('.')
            .map(|part| part.parse().expect(version))
            .collect()
    }

    #[test]
    fn ids_are_unique_and_say_who_speaks() {
        let mut seen = HashMap::new();
        for m in all() {
            let number: u32 = m.id.strip_prefix("SW").unwrap().parse().unwrap();
            let range = match m.daemon {
                Daemon::Openssh => 2001..4000,
                Daemon::Pam => 4001..5000,
                Daemon::Dropbear => 5001..6000,
                _ => 6001..7000,
            };
            assert!(range.contains(&number), "{}", m.id);
            assert_eq!(m.id.len(), 6, "{}", m.id);
            if let Some(other) = seen.insert(m.id, m.slug) {
                panic!("{} is both {other} and {}", m.id, m.slug);
            }
        }
    }

    #[test]
    fn slugs_are_unique_kebab_case() {
        let mut seen = HashMap::new();
        for m in all() {
            let kebab = m.slug.split('-').all(|w| {
                !w.is_empty()
                    && w.bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            });
            assert!(kebab, "{}", m.slug);
            assert!(m.slug.len() <= 44, "{}", m.slug);
            assert!(
                !matches!(m.slug, "other" | "unknown"),
                "these two say that no row fits"
            );
            if let Some(other) = seen.insert(m.slug, m.id) {
                panic!("{} is both {other} and {}", m.slug, m.id);
            }
        }
    }

    #[test]
    fn wordings_are_well_formed() {
        for m in all() {
            // The matcher numbers the wordings of a row in one byte.
            assert!(!m.texts.is_empty() && m.texts.len() <= 255, "{}", m.id);
            for t in m.texts {
                let (literals, slots) = parts(t.text).unwrap_or_else(|| panic!("{}", t.text));
                for slot in &slots {
                    assert!(slot_is_known(slot), "{}: {{{slot}}}", t.text);
                }
                let letters = |s: &&str, n| {
                    s.split(|c: char| !c.is_ascii_alphanumeric())
                        .any(|w| w.len() >= n)
                };
                // Enough of sshd's own words to tell the line from any other.
                assert!(
                    slots.is_empty()
                        || literals.iter().any(|l| letters(l, 4))
                        || letters(&literals[0], 3),
                    "{}: nothing literal in {}",
                    m.id,
                    t.text
                );
            }
        }
    }

    #[test]
    fn releases_parse_and_stand_in_order() {
        for m in all() {
            for t in m.texts {
                for version in [t.since, t.until] {
                    assert!(
                        version.is_empty() || release(version).len() >= 2,
                        "{version}"
                    );
                }
                if !t.since.is_empty() && !t.until.is_empty() {
                    assert!(release(t.since) <= release(t.until), "{}", t.text);
                }
            }
        }
    }

    #[test]
    fn no_two_rows_share_a_wording() {
        // sshd prints tcp wrappers' and PAM's lines as its own; Dropbear and the platform are other programs.
        let speaker = |d| match d {
            Daemon::Openssh | Daemon::Pam | Daemon::TcpWrappers => 0,
            Daemon::Dropbear => 1,
            Daemon::Systemd | Daemon::Kernel | Daemon::Platform => 2,
        };
        let mut seen = HashMap::new();
        for m in all() {
            for t in m.texts {
                if let Some(other) = seen.insert((speaker(m.daemon), t.text), m.id) {
                    panic!("{other} and {} both have {}", m.id, t.text);
                }
            }
        }
    }

    #[test]
    fn causes_are_in_their_catalogue() {
        for m in all() {
            assert!(
                m.cause.is_empty() || crate::catalog::causes::by_slug(m.cause).is_some(),
                "{}: {}",
                m.id,
                m.cause
            );
        }
    }

    #[test]
    fn what_succeeds_or_happens_after_login_is_never_hostile() {
        for m in all() {
            let after_login = ["accepted-", "starting-", "sftp-", "pam-session-"]
                .iter()
                .any(|start| m.slug.starts_with(start))
                || matches!(
                    m.slug,
                    "received-disconnect-by-user" | "disconnected-user" | "connection-closed-user"
                );
            if m.outcome == Outcome::Success || after_login {
                assert_eq!(m.hostile, Hostile::No, "{}", m.slug);
            }
        }
    }

    #[test]
    fn rows_say_something_in_full() {
        for m in all() {
            for text in [m.meaning, m.example, m.near_miss] {
                assert!(!text.trim().is_empty(), "{}", m.id);
            }
            assert!(
                m.meaning.ends_with('.') && !m.meaning.contains(". "),
                "{}: one sentence: {}",
                m.id,
                m.meaning
            );
            assert_ne!(m.example, m.near_miss, "{}", m.id);
        }
    }
}
