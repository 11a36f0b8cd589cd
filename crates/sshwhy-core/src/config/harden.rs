//! A proposal for a stricter configuration, that leaves in who must get in.

use super::effective::{Connection, Effective};
use super::pattern;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// What current clients take: no SHA-1, no CBC; passwords as they are.
    Compatible,
    /// Keys only, root by key only, current algorithms.
    Modern,
    /// Modern, and no forwarding, few tries, short waits.
    Strict,
}

/// Somebody who must still get in afterwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Needed {
    pub connection: Connection,
    pub is_root: bool,
    /// A key of the account counts under the configuration as it is.
    pub has_key: bool,
}

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub keyword: &'static str,
    pub from: String,
    pub to: String,
    pub why: &'static str,
    /// Whom it would lock out; then it is not part of the proposal.
    pub keeps_out: Vec<String>,
}

const COMPATIBLE: &[(&str, &str, &str)] = &[
    (
        "PermitEmptyPasswords",
        "no",
        "an account without a password must not be open",
    ),
    (
        "StrictModes",
        "yes",
        "a key file that others can write is theirs",
    ),
    (
        "HostbasedAuthentication",
        "no",
        "another host's word is no proof",
    ),
    ("IgnoreRhosts", "yes", "another host's word is no proof"),
    (
        "PermitUserEnvironment",
        "no",
        "LD_PRELOAD and the like get around ForceCommand",
    ),
    (
        "LogLevel",
        "VERBOSE",
        "the key that was offered stands in the log",
    ),
];
const MODERN: &[(&str, &str, &str)] = &[
    (
        "PermitRootLogin",
        "without-password",
        "nobody can guess a key",
    ),
    ("PasswordAuthentication", "no", "nobody can guess a key"),
    (
        "KbdInteractiveAuthentication",
        "no",
        "passwords come this way too",
    ),
    (
        "X11Forwarding",
        "no",
        "the server can read the client's keyboard",
    ),
    ("MaxAuthTries", "4", "fewer guesses for each connection"),
    (
        "LoginGraceTime",
        "60",
        "idle connections hold their slots for a shorter time",
    ),
];
const STRICT: &[(&str, &str, &str)] = &[
    (
        "AllowAgentForwarding",
        "no",
        "root on the server can use the client's agent",
    ),
    (
        "AllowTcpForwarding",
        "no",
        "the server is no way into the network behind it",
    ),
    ("AllowStreamLocalForwarding", "no", "as AllowTcpForwarding"),
    ("PermitTunnel", "no", "as AllowTcpForwarding"),
    ("MaxSessions", "4", "fewer sessions for each connection"),
    (
        "LoginGraceTime",
        "30",
        "idle connections hold their slots for a shorter time",
    ),
];
/// Names that no list keeps.
const WEAK: &str = "*-cbc,arcfour*,hmac-md5*,*-96,*-96-etm@openssh.com,hmac-sha1*,umac-64*,*-sha1,ssh-dss*,ssh-rsa,ssh-rsa-cert-v01@openssh.com";

/// What to change, in the order of the tables, and what was left out because it would lock somebody out.
pub fn propose(e: &Effective, policy: Policy, needed: &[Needed]) -> Vec<Change> {
    let tables: &[&[(&str, &str, &str)]] = match policy {
        Policy::Compatible => &[COMPATIBLE],
        Policy::Modern => &[COMPATIBLE, MODERN],
        Policy::Strict => &[STRICT, COMPATIBLE, MODERN],
    };
    let mut out: Vec<Change> = Vec::new();
    for (keyword, to, why) in tables.iter().flat_map(|t| t.iter()) {
        let Some(setting) = e.of(keyword) else {
            continue;
        };
        let from = setting.values.join(" ");
        let tighter = match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(0), Ok(_)) => *keyword == "LoginGraceTime",
            (Ok(from), Ok(to)) => from > to,
            _ if *keyword == "PermitRootLogin" => from == "yes",
            _ if *keyword == "LogLevel" => !from.starts_with("DEBUG") && from != *to,
            _ => from != *to,
        };
        if !tighter || out.iter().any(|c| c.keyword == setting.keyword.name) {
            continue;
        }
        let keeps_out = needed
            .iter()
            .filter(|n| !n.has_key && locks_out(keyword, n))
            .filter_map(|n| n.connection.user.clone())
            .collect();
        out.push(Change {
            keyword: setting.keyword.name,
            from,
            to: (*to).to_owned(),
            why,
            keeps_out,
        });
    }
    for keyword in [
        "Ciphers",
        "MACs",
        "KexAlgorithms",
        "HostKeyAlgorithms",
        "PubkeyAcceptedAlgorithms",
    ] {
        let Some(setting) = e.of(keyword) else {
            continue;
        };
        let from = setting.values.join(",");
        let kept: Vec<&str> = from
            .split(',')
            .filter(|a| pattern::list(a, WEAK, false) != pattern::Verdict::Yes)
            .collect();
        if !kept.is_empty() && kept.join(",") != from {
            out.push(Change {
                keyword: setting.keyword.name,
                to: kept.join(","),
                from,
                why: "what is left has no known weakness",
                keeps_out: Vec::new(),
            });
        }
    }
    out
}

fn locks_out(keyword: &str, needed: &Needed) -> bool {
    match keyword {
        "PasswordAuthentication" | "KbdInteractiveAuthentication" => true,
        "PermitRootLogin" => needed.is_root,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, effective::effective, parse::parse};
    use super::*;

    fn of(text: &str, policy: Policy, has_key: bool) -> Vec<Change> {
        let files = Memory::default().with("/c", text);
        let needed = Needed {
            connection: Connection {
                user: Some("alice".into()),
                ..Connection::default()
            },
            is_root: false,
            has_key,
        };
        propose(
            &effective(&parse(&files, "/c", (9, 2), "/"), None),
            policy,
            &[needed],
        )
    }

    #[test]
    fn whoever_has_no_key_keeps_the_password() {
        let password = |has_key| {
            of("", Policy::Modern, has_key)
                .into_iter()
                .find(|c| c.keyword == "PasswordAuthentication")
                .unwrap()
        };
        assert_eq!(password(false).keeps_out, ["alice"]);
        assert!(password(true).keeps_out.is_empty());
    }

    #[test]
    fn nothing_gets_looser_and_nothing_is_said_twice() {
        let strict = of(
            "MaxAuthTries 2\nLoginGraceTime 20\nPermitRootLogin no\n",
            Policy::Strict,
            true,
        );
        assert!(
            strict.iter().all(|c| !matches!(
                c.keyword,
                "MaxAuthTries" | "LoginGraceTime" | "PermitRootLogin"
            )),
            "{strict:?}"
        );
        let macs = strict.iter().find(|c| c.keyword == "MACs").unwrap();
        assert!(!macs.to.contains("sha1") && macs.to.contains("hmac-sha2-512"));
        let unlimited = of("LoginGraceTime 0\n", Policy::Modern, true);
        assert!(unlimited.iter().any(|c| c.keyword == "LoginGraceTime"));
    }
}
