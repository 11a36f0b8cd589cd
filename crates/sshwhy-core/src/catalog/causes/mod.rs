//! Why logins fail: one row a root cause or symptom, with whom it blames, what would settle it, and the way out.
//!
//! The rows are grouped by the gate of a login at which they show (see [`Gate`]); the slugs are a contract with
//! everybody who reads our JSON. Commands are exact; words in capitals (`USER`, `HOST`, `ADDR`, `CLIENT_NET`, …) are
//! for the reader to replace. A remedy never weakens the host, and says so where it widens anything.
//!
//! To add a cause: a row in the file of its gate, with the next free id of that file's block.

mod auth;
mod client;
mod network;
mod session;
mod symptoms;
mod transport;

use crate::finding::Severity;

/// Who has to do something about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Blame {
    /// What lies between the two, name service included.
    Network,
    Client,
    /// The server's state: something there is broken or missing.
    Server,
    /// A rule on the server that does what somebody told it to do.
    Policy,
    /// Both sides are in order, and do not fit together (or the other side is not who it was).
    Peer,
    /// Not known from here: a symptom.
    Nobody,
}

impl Blame {
    pub fn name(self) -> &'static str {
        match self {
            Blame::Network => "network",
            Blame::Client => "client",
            Blame::Server => "server",
            Blame::Policy => "policy",
            Blame::Peer => "peer",
            Blame::Nobody => "nobody",
        }
    }
}

/// The stages of a login, in the order in which they are passed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Gate {
    /// From what was typed to an address: options, configuration, name service.
    Name,
    Route,
    Tcp,
    /// The two greetings (RFC 4253 section 4.2).
    Ident,
    Kex,
    HostKey,
    Auth,
    Account,
    Session,
}

impl Gate {
    /// Every gate, first to last.
    pub const ALL: [Gate; 9] = [
        Gate::Name,
        Gate::Route,
        Gate::Tcp,
        Gate::Ident,
        Gate::Kex,
        Gate::HostKey,
        Gate::Auth,
        Gate::Account,
        Gate::Session,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Gate::Name => "name",
            Gate::Route => "route",
            Gate::Tcp => "tcp",
            Gate::Ident => "ident",
            Gate::Kex => "kex",
            Gate::HostKey => "hostkey",
            Gate::Auth => "auth",
            Gate::Account => "account",
            Gate::Session => "session",
        }
    }
}

/// One look that settles whether it is this cause.
#[derive(Clone, Copy, Debug)]
pub struct Confirm {
    pub command: &'static str,
    /// Where to run it: `server`, `client`, or `network` (somewhere else).
    pub place: &'static str,
    /// What it shows when it is this cause (or not).
    pub shows: &'static str,
}

/// One step of the way out.
#[derive(Clone, Copy, Debug)]
pub struct Remedy {
    pub action: &'static str,
    pub command: Option<&'static str>,
    /// Where to do it: `server`, `client`, or `network`.
    pub place: &'static str,
    /// `none`, or what it opens or could break.
    pub risk: &'static str,
    pub undo: Option<&'static str>,
}

/// One row: a root cause, or a symptom.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// `SW0…`; never changes, never reused.
    pub id: &'static str,
    pub slug: &'static str,
    /// What is so, in one line; not what to do about it.
    pub title: &'static str,
    pub blames: Blame,
    /// Where it shows.
    pub gate: Gate,
    pub severity: Severity,
    /// What a client sees when the cause cannot be known from there: never the full answer.
    pub is_symptom: bool,
    /// What it is, why it happens, and what tells it from its look-alikes.
    pub explanation: &'static str,
    pub confirm: &'static [Confirm],
    /// In the order to try them, safest first. Empty only for symptoms.
    pub remedy: &'static [Remedy],
    /// Slugs that are easily taken for this one; for a symptom, the causes behind it.
    pub look_alikes: &'static [&'static str],
    /// Manual pages, RFC sections, OpenSSH's source files.
    pub refs: &'static [&'static str],
}

/// The rows by file, in the order of the gates.
const BLOCKS: [&[Cause]; 6] = [
    network::ROWS,
    transport::ROWS,
    auth::ROWS,
    session::ROWS,
    client::ROWS,
    symptoms::ROWS,
];

/// Every row, symptoms last.
pub fn all() -> impl Iterator<Item = &'static Cause> {
    BLOCKS.iter().flat_map(|block| block.iter())
}

/// The row of that slug.
pub fn by_slug(slug: &str) -> Option<&'static Cause> {
    all().find(|cause| cause.slug == slug)
}

/// The row of that id, in any case of letters.
pub fn by_id(id: &str) -> Option<&'static Cause> {
    all().find(|cause| cause.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The vocabulary that answers are graded by: none of these may ever go missing.
    const ROOT_CAUSES: &[&str] = &[
        "dns-failure",
        "dns-server-unreachable",
        "dns-stale-address",
        "hosts-file-override",
        "dns-dead-address",
        "ipv6-unreachable",
        "no-route",
        "no-return-route",
        "host-unreachable",
        "firewall-client-outbound",
        "firewall-path-drop",
        "firewall-server-drop",
        "firewall-server-reject",
        "ip-banned",
        "rate-limited",
        "source-penalty",
        "tcp-wrappers-deny",
        "reset-by-middlebox",
        "mtu-blackhole",
        "idle-connection-dropped",
        "tarpit",
        "not-ssh-service",
        "port-in-use",
        "wrong-port",
        "listen-address",
        "socket-activation",
        "sshd-not-running",
        "sshd-masked",
        "sshd-unit-broken",
        "service-sandboxed",
        "sshd-hung",
        "sshd-config-error",
        "host-keys-missing",
        "host-key-permissions",
        "privsep-dir-missing",
        "max-startups",
        "login-grace-time",
        "max-sessions",
        "too-many-auth-failures",
        "no-matching-kex",
        "no-matching-cipher",
        "no-matching-mac",
        "no-matching-host-key-type",
        "host-key-unknown",
        "host-key-changed",
        "host-key-revoked",
        "user-not-found",
        "user-not-allowed",
        "root-login-disabled",
        "root-password-disabled",
        "wrong-password",
        "password-auth-disabled",
        "pubkey-auth-disabled",
        "auth-method-mismatch",
        "multi-factor-required",
        "pubkey-not-authorized",
        "authorized-keys-malformed",
        "authorized-keys-permissions",
        "authorized-keys-path",
        "authorized-keys-from",
        "authorized-keys-command",
        "pubkey-revoked",
        "pubkey-algorithm-rejected",
        "key-too-short",
        "cert-expired",
        "cert-not-yet-valid",
        "cert-principal-mismatch",
        "identity-file-missing",
        "private-key-permissions",
        "private-key-invalid",
        "key-passphrase",
        "key-pair-mismatch",
        "agent-refused",
        "agent-unreachable",
        "account-locked",
        "account-expired",
        "password-expired",
        "account-faillock",
        "nologin-file",
        "pam-denied",
        "pam-misconfigured",
        "pam-limits",
        "process-limit",
        "shell-nologin",
        "shell-missing",
        "shell-not-listed",
        "shell-rc-exits",
        "shell-rc-output",
        "home-missing",
        "forced-command",
        "chroot-ownership",
        "sftp-subsystem-missing",
        "pty-disabled",
        "forwarding-disabled",
        "remote-forward-failed",
        "local-forward-failed",
        "client-alive-timeout",
        "disk-full",
        "client-config-error",
        "client-config-permissions",
        "proxy-jump-failed",
        "proxy-command-failed",
        "control-socket-stale",
    ];
    const SYMPTOMS: &[&str] = &[
        "connect-timeout",
        "connect-refused",
        "firewall-drop",
        "firewall-reject",
        "connection-reset-early",
        "server-closed-early",
        "banner-timeout",
        "auth-rejected-publickey",
        "auth-rejected-password",
        "account-denied",
        "session-closed",
        "session-refused",
        "session-dropped",
        "idle-timeout",
        "attempt-unexplained",
    ];

    #[test]
    fn the_vocabulary_is_complete() {
        for slug in ROOT_CAUSES {
            let row = by_slug(slug).unwrap_or_else(|| panic!("no row for {slug}"));
            assert!(!row.is_symptom, "{slug} is a root cause");
        }
        for slug in SYMPTOMS {
            let row = by_slug(slug).unwrap_or_else(|| panic!("no row for {slug}"));
            assert!(row.is_symptom, "{slug} is a symptom");
            assert_eq!(row.blames, Blame::Nobody);
        }
        assert!(by_slug("gremlins").is_none());
    }

    #[test]
    fn ids_and_slugs_are_unique_and_well_formed() {
        let (mut ids, mut slugs) = (HashSet::new(), HashSet::new());
        for row in all() {
            assert!(ids.insert(row.id), "{} twice", row.id);
            assert!(slugs.insert(row.slug), "{} twice", row.slug);
            assert!(row.id.len() == 6 && row.id.starts_with("SW0"), "{}", row.id);
            assert!(row.id[2..].bytes().all(|b| b.is_ascii_digit()));
            assert!(
                row.slug
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                row.slug
            );
        }
        assert_eq!(
            by_id("sw0311").map(|row| row.slug),
            Some("authorized-keys-permissions")
        );
    }

    #[test]
    fn every_row_says_what_why_and_how_to_tell() {
        const PLACES: [&str; 3] = ["server", "client", "network"];
        for row in all() {
            let sentences = row.explanation.matches(['.', '?']).count();
            assert!(sentences >= 2, "{}: explanation too thin", row.slug);
            assert!(row.explanation.len() < 900, "{}: too long", row.slug);
            assert!(row.explanation.ends_with(['.', '?', ')']), "{}", row.slug);
            assert!(!row.confirm.is_empty(), "{}: no way to confirm", row.slug);
            assert!(!row.refs.is_empty(), "{}: no reference", row.slug);
            assert!(!row.look_alikes.is_empty(), "{}", row.slug);
            assert_eq!(row.remedy.is_empty(), row.is_symptom, "{}", row.slug);
            for look in row.confirm {
                assert!(PLACES.contains(&look.place), "{}", row.slug);
                assert!(!look.command.is_empty() && !look.shows.is_empty());
            }
            for step in row.remedy {
                assert!(PLACES.contains(&step.place), "{}", row.slug);
                assert!(!step.action.is_empty() && !step.risk.is_empty());
                assert_ne!(step.command, Some(""));
            }
            assert!(
                row.remedy.iter().any(|step| step.command.is_some()) || row.is_symptom,
                "{}: nothing to copy",
                row.slug
            );
        }
    }

    #[test]
    fn look_alikes_exist_and_are_others() {
        for row in all() {
            for other in row.look_alikes {
                assert_ne!(*other, row.slug);
                assert!(by_slug(other).is_some(), "{}: {other}?", row.slug);
            }
        }
    }

    /// What no remedy may advise, however it is spelt.
    fn weakens(text: &str) -> Option<&'static str> {
        const NEVER: &[&str] = &[
            "chmod 777",
            "chmod 666",
            "chmod -r 777",
            "chmod a+w",
            "chmod o+w",
            "stricthostkeychecking=no",
            "stricthostkeychecking no",
            "stricthostkeychecking=off",
            "userknownhostsfile=/dev/null",
            "userknownhostsfile /dev/null",
            "setenforce 0",
            "selinux=disabled",
            "selinux=permissive",
            "strictmodes no",
            "permitrootlogin yes",
            "permitemptypasswords yes",
            "usepam no",
            "iptables -f",
            "nft flush",
            "ufw disable",
            "stop firewalld",
            "disable --now firewalld",
            "stop fail2ban",
            "persourcepenalties no",
            "rm -rf",
            "kill -9",
            "dsaauthentication",
            "ciphers +none",
            "logingracetime 0",
        ];
        let text = text.to_ascii_lowercase();
        NEVER.iter().find(|bad| text.contains(**bad)).copied()
    }

    #[test]
    fn no_remedy_weakens_the_host() {
        assert!(weakens("then chmod 777 ~/.ssh").is_some());
        assert!(weakens("ssh -o StrictHostKeyChecking=no HOST").is_some());
        assert!(weakens("ssh -o StrictHostKeyChecking=accept-new HOST").is_none());
        for row in all() {
            for step in row.remedy {
                let texts = [Some(step.action), step.command, step.undo];
                for text in texts.into_iter().flatten() {
                    assert_eq!(weakens(text), None, "{}: {text}", row.slug);
                }
            }
        }
    }

    #[test]
    fn whoever_changes_sshd_checks_first_and_keeps_a_session() {
        for row in all() {
            for step in row.remedy {
                let command = step.command.unwrap_or("");
                if command.contains("reload ssh") || command.contains("restart ssh") {
                    let checked = command.contains("sshd -t");
                    let socket = command.contains("ssh.socket");
                    let frozen = row.slug == "sshd-hung";
                    assert!(checked || socket || frozen, "{}: {command}", row.slug);
                }
            }
        }
    }
}
