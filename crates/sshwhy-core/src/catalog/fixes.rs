//! Which causes the program may mend itself, and how: the steps of the catalogue that open nothing and can be undone.
//!
//! What widens who may log in (AllowUsers, passwords, unlocking an account, a firewall rule, a shell) is a decision for a
//! person and never stands here. A file is never given to the user unless it was root's: whoever else owned it may have
//! written keys into it.

/// What is done. The plan fills in paths, modes and names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Take the group's and everybody's write permission from the path that StrictModes objects to, and from those
    /// beside it.
    TightenKeys,
    /// Private host keys become root's and 0600.
    TightenHostKeys,
    /// Host keys of the types that the configuration names and that are missing.
    MakeHostKeys,
    /// sshd's empty folder, root's and 0755.
    MakePrivsep,
    /// Take /etc/nologin or /run/nologin away.
    RemoveNologin,
    /// A keyword that is misspelt gets the name it was meant to have; its value stays.
    MendKeyword,
    /// `Subsystem sftp internal-sftp`, above the first Match.
    AddSftp,
    Unmask,
    Start,
    /// Lift the ban of the asking address.
    Unban,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fix {
    /// Slug of the cause.
    pub cause: &'static str,
    pub how: How,
    /// What people should know before; `none`, or what it changes.
    pub risk: &'static str,
    /// The daemon does not run because of it: start it when the rest is done.
    pub starts: bool,
}

const fn fix(cause: &'static str, how: How, risk: &'static str, starts: bool) -> Fix {
    Fix {
        cause,
        how,
        risk,
        starts,
    }
}

/// At most one row a cause.
pub const ROWS: &[Fix] = &[
    fix(
        "authorized-keys-permissions",
        How::TightenKeys,
        "others could write there: look through the keys that stand in the file",
        false,
    ),
    fix(
        "host-key-permissions",
        How::TightenHostKeys,
        "others could read the private key: make a new one if they are not to be trusted",
        true,
    ),
    fix(
        "host-keys-missing",
        How::MakeHostKeys,
        "clients that knew an older key will be warned",
        true,
    ),
    fix("privsep-dir-missing", How::MakePrivsep, "none", true),
    fix(
        "nologin-file",
        How::RemoveNologin,
        "users may come in during maintenance",
        false,
    ),
    fix(
        "sshd-config-error",
        How::MendKeyword,
        "what the line says counts from then on",
        true,
    ),
    fix("sftp-subsystem-missing", How::AddSftp, "none", false),
    fix(
        "sshd-masked",
        How::Unmask,
        "somebody masked it: the reason may still stand",
        true,
    ),
    fix("sshd-not-running", How::Start, "none", true),
    fix("ip-banned", How::Unban, "the address may try again", false),
];

pub fn of(cause: &str) -> Option<&'static Fix> {
    ROWS.iter().find(|f| f.cause == cause)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::catalog::causes::{self, Blame};

    #[test]
    fn rows_stand_for_causes_on_the_server_once_each() {
        let mut seen = std::collections::HashSet::new();
        for row in ROWS {
            let cause = causes::by_slug(row.cause).unwrap();
            assert!(!cause.is_symptom && seen.insert(row.cause), "{}", row.cause);
            assert!(cause.remedy.iter().any(|r| r.place == "server"));
            assert_ne!(cause.blames, Blame::Client, "{}", row.cause);
        }
    }

    /// A rule that does what somebody told it to do is not ours to lift, but for two that people set for a time.
    #[test]
    fn policy_is_left_alone() {
        for row in ROWS {
            let policy = causes::by_slug(row.cause).unwrap().blames == Blame::Policy;
            assert!(
                !policy || matches!(row.how, How::RemoveNologin | How::Unban | How::Unmask),
                "{}",
                row.cause
            );
        }
        for cause in [
            "password-auth-disabled",
            "root-login-disabled",
            "user-not-allowed",
            "account-locked",
            "firewall-server-drop",
        ] {
            assert!(
                of(cause).is_none() && causes::by_slug(cause).is_some(),
                "{cause}"
            );
        }
    }
}
