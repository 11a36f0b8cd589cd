//! The causes behind a client's message here: its wording has a list, and its own text, the lines around it and the command
//! that was typed leave fewer of them, or others.

use super::said;
use crate::diagnose::Case;
use crate::probe::command::Command;
use crate::transcript::Hit;
use std::collections::BTreeSet;

/// What else was seen: the same words have other causes behind them.
pub struct Scene<'a> {
    pub case: &'a Case,
    pub command: Option<&'a Command>,
    pub slugs: BTreeSet<&'static str>,
    /// The message that ends the text.
    pub last: &'static str,
}

type Causes = Vec<(&'static str, f64)>;

impl Scene<'_> {
    pub fn saw(&self, slug: &str) -> bool {
        self.slugs.contains(slug)
    }

    /// The causes behind a message here.
    pub fn behind(&self, hit: &Hit<'_>) -> Causes {
        let mut listed: Causes = hit
            .message
            .causes
            .iter()
            .map(|(slug, weight)| (*slug, f64::from(*weight)))
            .collect();
        if let Some(told) = self.told(hit) {
            return told;
        }
        let mut set = |cause: &str, weight: f64| {
            for known in listed.iter_mut().filter(|(slug, _)| *slug == cause) {
                known.1 = weight;
            }
        };
        let port = hit.port().or(self.case.port);
        match hit.message.slug {
            "client-permission-denied" | "putty-no-methods" => return self.denied(hit, listed),
            "client-try-again" => return self.password_refused(),
            "client-closed-by-peer" | "client-reset-by-peer" if self.saw("trace-key-accepted") => {
                return vec![
                    ("account-denied", 0.8),
                    ("pam-denied", 0.4),
                    ("account-expired", 0.15),
                    ("nologin-file", 0.12),
                    ("shell-not-listed", 0.1),
                ];
            }
            // A password was typed, and the server closed before it answered.
            "client-closed-by-peer"
                if self.saw("client-prompt") && !self.saw("client-try-again") =>
            {
                return vec![
                    ("server-closed-early", 0.7),
                    ("login-grace-time", 0.4),
                    ("pam-denied", 0.25),
                ];
            }
            "client-connect-refused" if port.is_some_and(|p| p != 22) => {
                set("wrong-port", 0.36);
                set("sshd-not-running", 0.2);
            }
            // A web server waits for a request, and closes on a greeting.
            "client-ident-closed" if port.is_some_and(is_web) => {
                set("not-ssh-service", 0.6);
                set("max-startups", 0.08);
                set("source-penalty", 0.05);
                set("tcp-wrappers-deny", 0.05);
            }
            "client-ident-closed" | "client-ident-reset" if port.is_some_and(|p| p != 22) => {
                set("not-ssh-service", 0.24);
            }
            _ => {}
        }
        listed
    }

    /// Where the message's own text, or the lines around it, leave fewer causes than the wording alone.
    pub fn told(&self, hit: &Hit<'_>) -> Option<Causes> {
        let listed = hit.message.causes;
        let first = listed.first().map_or("", |(slug, _)| *slug);
        if listed.len() > 1 && first.starts_with("no-matching") {
            return Some(vec![(algorithm(hit.body)?, 0.94)]);
        }
        let in_key_exchange = self.saw("trace-kex-waiting") && !self.saw("trace-newkeys");
        Some(match hit.message.slug {
            "client-key-too-open" => vec![(key_too_open(hit.body)?, 0.94)],
            "machine-avc" => said::selinux_refusal(hit.body)
                .into_iter()
                .map(|(slug, weight)| (slug, f64::from(weight)))
                .collect(),
            "go-unable-to-authenticate" => self.refused_by(hit.text().unwrap_or_default())?,
            "ssh-file-missing" if hit.body.contains("known_hosts") => {
                vec![("host-key-unknown", 0.8)]
            }
            "paramiko-log" if hit.method() == Some("password") => self.password_refused(),
            // It calls, and the text ends.
            "trace-connecting" if self.last == "trace-connecting" => vec![
                ("connect-timeout", 0.49),
                ("firewall-server-drop", 0.22),
                ("firewall-path-drop", 0.22),
                ("ip-banned", 0.08),
                ("dns-stale-address", 0.08),
            ],
            // It waits for the first large packet, and the text ends.
            "trace-kex-waiting" if in_key_exchange && !self.saw("trace-established") => vec![
                ("mtu-blackhole", 0.45),
                ("sshd-hung", 0.1),
                ("server-overloaded", 0.06),
            ],
            "client-closed-by-peer" | "client-reset-by-peer" if in_key_exchange => vec![
                ("server-closed-early", 0.6),
                ("mtu-blackhole", 0.4),
                ("host-key-unusable", 0.12),
                ("reset-by-middlebox", 0.1),
            ],
            "remote-command-not-found" if hit.body.contains("sftp-server") => {
                vec![("sftp-subsystem-missing", 0.92)]
            }
            // A session that ends behind such a line ends because of it.
            "client-session-over"
                if self.saw("remote-wrong-user") || self.saw("remote-shell-denied") =>
            {
                Vec::new()
            }
            "remote-command-not-found" if missing_program(hit.body).is_some() => vec![
                ("remote-program-missing", 0.82),
                ("forced-command", 0.06),
                ("chroot-ownership", 0.04),
            ],
            // The upload failed because of that, and not for want of space.
            "files-write-failed" if self.saw("files-remote-permission") => Vec::new(),
            // ssh goes on without the master because the master could take no more.
            "client-control-exists" if self.saw("client-channel-refused") => {
                vec![("control-socket-stale", 0.1)]
            }
            _ => return None,
        })
    }

    /// `Permission denied (…)`: the list in brackets, and what was tried before, say more than the words.
    fn denied(&self, hit: &Hit<'_>, mut listed: Causes) -> Causes {
        let methods = hit.text().unwrap_or_default();
        let takes = |method: &str| methods.split([',', ' ']).any(|m| m == method);
        let passwords = takes("password") || takes("keyboard-interactive");
        let symptom = ("auth-rejected-publickey", 0.8);
        if self.saw("client-partial-success") {
            return Vec::new();
        }
        if self.saw("client-try-again") {
            // Every word about it was said when the password was refused.
            return vec![("auth-rejected-password", 0.6)];
        }
        if self.saw("trace-key-accepted") {
            return vec![
                symptom,
                ("key-passphrase", 0.42),
                ("agent-refused", 0.2),
                ("key-pair-mismatch", 0.1),
            ];
        }
        if passwords && self.no_keys_tried() {
            return self.password_refused();
        }
        if !takes("publickey") && methods.is_empty() {
            return vec![
                symptom,
                ("no-auth-methods", 0.45),
                ("password-auth-disabled", 0.15),
                ("user-not-allowed", 0.1),
            ];
        }
        if !takes("publickey") && !passwords {
            let gssapi = methods.contains("gssapi");
            return vec![
                symptom,
                if gssapi {
                    ("kerberos-failed", 0.48)
                } else {
                    ("auth-method-mismatch", 0.4)
                },
                ("pubkey-auth-disabled", 0.2),
                ("password-auth-disabled", 0.15),
            ];
        }
        if methods == "keyboard-interactive" {
            return vec![
                ("auth-rejected-password", 0.8),
                ("wrong-password", 0.4),
                ("one-time-code-rejected", 0.18),
                ("pubkey-auth-disabled", 0.12),
                ("user-not-found", 0.08),
            ];
        }
        if !takes("publickey") {
            return vec![
                symptom,
                ("pubkey-auth-disabled", 0.46),
                ("wrong-password", 0.1),
            ];
        }
        if !passwords {
            for (slug, weight) in &mut listed {
                match *slug {
                    "password-auth-disabled" => *weight = 0.24,
                    "wrong-password" => *weight = 0.0,
                    _ => {}
                }
            }
        }
        if self.case.user.as_deref() == Some("root") {
            listed.push(("root-login-disabled", 0.2));
        }
        listed
    }

    /// `attempted methods [none password]`: what was tried is what was refused.
    fn refused_by(&self, methods: &str) -> Option<Causes> {
        let tried = |method: &str| methods.split([' ', '[', ']', ',']).any(|m| m == method);
        if tried("publickey") {
            return None;
        }
        if tried("password") || tried("keyboard-interactive") {
            return Some(self.password_refused());
        }
        Some(vec![
            ("auth-rejected-publickey", 0.6),
            ("auth-method-mismatch", 0.45),
            ("identity-file-missing", 0.2),
            ("agent-unreachable", 0.12),
        ])
    }

    /// The command line kept ssh from offering keys, and let it ask for a password.
    fn no_keys_tried(&self) -> bool {
        let Some(command) = self.command else {
            return false;
        };
        let off = |keyword: &str| {
            command
                .setting(keyword)
                .is_some_and(|v| v.eq_ignore_ascii_case("no") || v.eq_ignore_ascii_case("false"))
        };
        let batch = command
            .setting("batchmode")
            .is_some_and(|v| v.eq_ignore_ascii_case("yes") || v.eq_ignore_ascii_case("true"));
        let preferred = command
            .setting("preferredauthentications")
            .is_some_and(|v| !v.contains("publickey"));
        !batch && (off("pubkeyauthentication") || preferred)
    }

    fn password_refused(&self) -> Causes {
        let symptom = ("auth-rejected-password", 0.9);
        // PermitRootLogin prohibit-password is the default: sshd asks root for a password, and takes none.
        if self.case.user.as_deref() == Some("root") {
            return vec![
                symptom,
                ("root-password-disabled", 0.48),
                ("wrong-password", 0.34),
                ("account-locked", 0.06),
            ];
        }
        vec![
            symptom,
            ("wrong-password", 0.47),
            ("account-locked", 0.12),
            ("user-not-found", 0.1),
            ("account-faillock", 0.08),
            ("user-not-allowed", 0.06),
        ]
    }
}

/// For which kind of algorithm nothing in common was found: as the message says it, or as the names in its lists show.
pub fn algorithm(body: &str) -> Option<&'static str> {
    const SAID: [(&str, &str); 17] = [
        ("host key", "no-matching-host-key-type"),
        ("hostkey", "no-matching-host-key-type"),
        ("host_key", "no-matching-host-key-type"),
        ("key exchange algo", "no-matching-kex"),
        ("key-exchange algo", "no-matching-kex"),
        ("for key exchange", "no-matching-kex"),
        ("kex algo", "no-matching-kex"),
        ("\"kex\"", "no-matching-kex"),
        ("settle on kex", "no-matching-kex"),
        ("algo kex", "no-matching-kex"),
        ("cipher", "no-matching-cipher"),
        ("encryption algo", "no-matching-cipher"),
        ("encryption client", "no-matching-cipher"),
        ("encryption_", "no-matching-cipher"),
        ("enc ", "no-matching-cipher"),
        ("hmac", "no-matching-mac"),
        ("mac", "no-matching-mac"),
    ];
    const NAMES: [(&[&str], &str); 4] = [
        (
            &["diffie-hellman", "curve25519", "ecdh-", "sntrup", "mlkem"],
            "no-matching-kex",
        ),
        (
            &[
                "ssh-rsa",
                "ssh-dss",
                "ssh-ed25519",
                "rsa-sha2",
                "ecdsa-sha2",
            ],
            "no-matching-host-key-type",
        ),
        (&["hmac-", "umac-"], "no-matching-mac"),
        (
            &["aes", "3des", "chacha20", "blowfish"],
            "no-matching-cipher",
        ),
    ];
    let lower = body.to_ascii_lowercase();
    // What stands before the lists names the kind; `serverProposal` has the word of every kind in it.
    let ends = [
        "(available",
        "(client",
        "server [",
        "; client",
        "; we",
        "jschproposal",
        ": client",
        ", sent ",
    ];
    let head = ends
        .iter()
        .filter_map(|end| lower.find(end))
        .min()
        .and_then(|end| lower.get(..end))
        .unwrap_or(&lower);
    SAID.iter()
        .find(|(words, _)| head.contains(words))
        .map(|(_, cause)| *cause)
        .or_else(|| {
            NAMES
                .iter()
                .find(|(names, _)| names.iter().any(|name| lower.contains(name)))
                .map(|(_, cause)| *cause)
        })
}

/// The same box stands in sshd's log about its own keys, and in Windows' sshd's about the user's file.
fn key_too_open(body: &str) -> Option<&'static str> {
    if body.contains("ssh_host_") {
        Some("host-key-permissions")
    } else if body.contains("authorized_keys") {
        Some("authorized-keys-permissions")
    } else if body.trim_end_matches('.').ends_with("config") {
        Some("client-config-permissions")
    } else {
        None
    }
}

/// Programs that others start on the server by ssh: a shell that does not find them says why the transfer failed.
pub fn missing_program(body: &str) -> Option<String> {
    const PROGRAMS: [&str; 20] = [
        "rsync",
        "scp",
        "borg",
        "mosh-server",
        "docker",
        "git",
        "git-upload-pack",
        "git-receive-pack",
        "git-lfs-authenticate",
        "restic",
        "rclone",
        "tar",
        "unison",
        "python",
        "python3",
        "wget",
        "curl",
        "sudo",
        "svnserve",
        "hg",
    ];
    body.split([':', ' '])
        .map(|word| word.rsplit('/').next().unwrap_or_default())
        .find(|word| PROGRAMS.contains(word))
        .map(str::to_owned)
}

/// Ports on which something other than SSH is usual.
fn is_web(port: u16) -> bool {
    matches!(
        port,
        80 | 443 | 3000 | 5000 | 8000 | 8080 | 8081 | 8443 | 8888 | 9000
    )
}
