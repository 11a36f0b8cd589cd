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
//! | `method`, `submethod`, `key-type`, `key-algorithm`, `fingerprint`, `ca-key-type`, `ca-fingerprint`, `keyword`, `signal`, `status` | one word without spaces | the field of that name |
//! | `n`, `count`, `pid`, `uid`, `euid`, `gid`, `seconds`, `line`, `serial`, `masklen`, `len`, `channel`, `fd`, `type` | a number | |
//! | any other | free text | `text` |

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
pub const TABLES: &[&[Message]] = &[];

/// Every row, table by table.
pub fn all() -> impl Iterator<Item = &'static Message> {
    TABLES.iter().flat_map(|t| t.iter())
}
