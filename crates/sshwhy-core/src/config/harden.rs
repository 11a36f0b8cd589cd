//! A proposal for a stricter configuration, that leaves in who must get in.
//!
//! Every change is tried: it is put before everything else, where the first value wins, and those who must get in are asked about
//! under the configuration that results. A change that keeps one of them out is no part of the proposal.

use super::access::{self, Account};
use super::effective::{Connection, Effective, effective};
use super::parse::parse;
use super::{Files, pattern};
use crate::version::Release;

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
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needed {
    pub account: Account,
    pub connection: Connection,
    /// A key of the account counts under the configuration as it is.
    pub has_key: bool,
    /// A password can be right.
    pub has_password: bool,
    /// Methods by which it was seen to log in; empty: not known, and any that works will do.
    pub used: Vec<String>,
}

impl Needed {
    /// The methods that let it in.
    fn ways(&self, e: &Effective) -> Vec<&'static str> {
        if access::refused(e, &self.account, &self.connection).is_some() {
            return Vec::new();
        }
        let works = |m: &&str| match *m {
            "publickey" => self.has_key || self.used.iter().any(|u| u == "publickey"),
            "password" | "keyboard-interactive" => self.has_password,
            _ => true,
        };
        let methods: Vec<&str> = access::methods(e, &self.account)
            .into_iter()
            .filter(works)
            .collect();
        match access::chains(e, &methods) {
            Some(chains) if chains.is_empty() => Vec::new(),
            _ => methods,
        }
    }

    /// Whether it gets in before, and not after.
    fn is_kept_out(&self, before: &Effective, after: &Effective) -> bool {
        let (had, has) = (self.ways(before), self.ways(after));
        let used = |ways: &[&str]| self.used.iter().any(|u| same_kind(u, ways));
        match self.used.is_empty() || !used(&had) {
            true => !had.is_empty() && has.is_empty(),
            false => !used(&has),
        }
    }
}

/// A password typed at a dialogue is the same password.
fn same_kind(used: &str, ways: &[&str]) -> bool {
    let password = ["password", "keyboard-interactive"];
    ways.iter()
        .any(|w| *w == used || password.iter().any(|p| used.starts_with(p)) && password.contains(w))
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

/// A configuration to be made stricter.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    pub files: &'a dyn Files,
    pub path: &'a str,
    pub release: Release,
    pub cwd: &'a str,
}

/// The files with lines put before the main one.
struct Before<'a> {
    draft: &'a Draft<'a>,
    lines: String,
}

impl Files for Before<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        let text = self.draft.files.read(path)?;
        Ok(match path == self.draft.path {
            true => format!("{}{text}", self.lines),
            false => text,
        })
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        self.draft.files.glob(pattern)
    }

    fn is_folder(&self, path: &str) -> bool {
        self.draft.files.is_folder(path)
    }
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

/// What to change, in the order of the tables, and what was left out because it would lock somebody out. `key_types`: the types of
/// keys that a log shows logging in (`RSA`, `DSA`, …).
pub fn propose(
    draft: &Draft<'_>,
    policy: Policy,
    needed: &[Needed],
    key_types: &[String],
) -> Vec<Change> {
    let before = parse(draft.files, draft.path, draft.release, draft.cwd);
    let e = effective(&before, None);
    let mut lines = String::new();
    let mut out: Vec<Change> = Vec::new();
    for mut change in candidates(&e, policy, key_types) {
        let line = format!("{} {}\n", change.keyword, change.to);
        let tried = Before {
            draft,
            lines: format!("{lines}{line}"),
        };
        let after = parse(&tried, draft.path, draft.release, draft.cwd);
        // A change that sshd would not start with is none.
        if before.is_sound() && !after.is_sound() {
            continue;
        }
        change.keeps_out = needed
            .iter()
            .filter(|n| {
                let c = Some(&n.connection);
                n.is_kept_out(&effective(&before, c), &effective(&after, c))
            })
            .map(|n| n.account.name.clone())
            .collect();
        change.keeps_out.sort();
        change.keeps_out.dedup();
        if change.keeps_out.is_empty() {
            lines.push_str(&line);
        }
        out.push(change);
    }
    out
}

fn candidates(e: &Effective, policy: Policy, key_types: &[String]) -> Vec<Change> {
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
        out.push(Change {
            keyword: setting.keyword.name,
            from,
            to: (*to).to_owned(),
            why,
            keeps_out: Vec::new(),
        });
    }
    let seen = |kind: &str| key_types.iter().any(|t| t.eq_ignore_ascii_case(kind));
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
        // The log does not tell with which signature an RSA key logged in.
        let in_use = |a: &str| {
            keyword == "PubkeyAcceptedAlgorithms"
                && (a.starts_with("ssh-rsa") && (seen("RSA") || seen("RSA-CERT"))
                    || a.starts_with("ssh-dss") && seen("DSA"))
        };
        let from = setting.values.join(",");
        let kept: Vec<&str> = from
            .split(',')
            .filter(|a| pattern::list(a, WEAK, false) != pattern::Verdict::Yes || in_use(a))
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

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;

    fn somebody(name: &str, uid: u32, has_key: bool) -> Needed {
        Needed {
            account: Account {
                name: name.into(),
                uid,
                groups: vec![name.into()],
            },
            connection: Connection {
                user: Some(name.into()),
                groups: vec![name.into()],
                addr: Some("192.0.2.7".into()),
                ..Connection::default()
            },
            has_key,
            has_password: true,
            used: Vec::new(),
        }
    }

    fn of(text: &str, policy: Policy, needed: &[Needed], key_types: &[&str]) -> Vec<Change> {
        let files = Memory::default().with("/c", text);
        let draft = Draft {
            files: &files,
            path: "/c",
            release: (9, 2),
            cwd: "/",
        };
        let types: Vec<String> = key_types.iter().map(|t| (*t).to_owned()).collect();
        propose(&draft, policy, needed, &types)
    }

    fn keeps_out(changes: &[Change], keyword: &str) -> Vec<String> {
        let change = changes.iter().find(|c| c.keyword == keyword);
        change.map(|c| c.keeps_out.clone()).unwrap_or_default()
    }

    #[test]
    fn whoever_has_no_key_keeps_one_way_in() {
        let out = of("", Policy::Modern, &[somebody("alice", 9, false)], &[]);
        // The password may go while the dialogue stays; both may not.
        assert!(keeps_out(&out, "PasswordAuthentication").is_empty());
        assert_eq!(keeps_out(&out, "KbdInteractiveAuthentication"), ["alice"]);
        let out = of("", Policy::Modern, &[somebody("alice", 9, true)], &[]);
        assert!(keeps_out(&out, "KbdInteractiveAuthentication").is_empty());
        // Whoever was seen with a password may have no private key at hand.
        let seen = Needed {
            used: vec!["password".into()],
            ..somebody("alice", 9, true)
        };
        assert_eq!(
            keeps_out(
                &of("", Policy::Modern, &[seen], &[]),
                "KbdInteractiveAuthentication"
            ),
            ["alice"]
        );
    }

    #[test]
    fn root_by_password_and_blocks_are_looked_at() {
        let root = somebody("root", 0, false);
        let out = of(
            "PermitRootLogin yes\n",
            Policy::Modern,
            std::slice::from_ref(&root),
            &[],
        );
        assert_eq!(keeps_out(&out, "PermitRootLogin"), ["root"]);
        // The block wins over what stands before it.
        let own = "PermitRootLogin yes\nMatch User root\nPermitRootLogin yes\n";
        assert!(keeps_out(&of(own, Policy::Modern, &[root], &[]), "PermitRootLogin").is_empty());
    }

    #[test]
    fn nothing_gets_looser_and_nothing_is_said_twice() {
        let strict = of(
            "MaxAuthTries 2\nLoginGraceTime 20\nPermitRootLogin no\n",
            Policy::Strict,
            &[],
            &[],
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
        let unlimited = of("LoginGraceTime 0\n", Policy::Modern, &[], &[]);
        assert!(unlimited.iter().any(|c| c.keyword == "LoginGraceTime"));
    }

    #[test]
    fn algorithms_of_keys_that_were_seen_stay() {
        let text = "PubkeyAcceptedAlgorithms +ssh-rsa,ssh-dss\n";
        let to = |types: &[&str]| {
            let out = of(text, Policy::Compatible, &[], types);
            let change = out
                .into_iter()
                .find(|c| c.keyword == "PubkeyAcceptedAlgorithms");
            change.map_or(String::new(), |c| c.to)
        };
        let has = |list: &str, name: &str| list.split(',').any(|a| a == name);
        assert!(!has(&to(&[]), "ssh-rsa") && !has(&to(&["ED25519"]), "ssh-dss"));
        assert!(has(&to(&["RSA"]), "ssh-rsa") && !has(&to(&["RSA"]), "ssh-dss"));
        assert!(has(&to(&["DSA"]), "ssh-dss"));
    }
}
