//! Pastes as people bring them, and what must stand first.

use super::*;

const KEY: &str = "SHA256:q1xWl5FR5yIXi7Zx0m4ZfZ8oC4m2A3Jd0XcPpV7bXyM";

/// The beginning of `ssh -v` up to a trusted host key.
fn trace(rest: &str) -> String {
    format!(
        "OpenSSH_9.6p1 Ubuntu-3ubuntu13, OpenSSL 3.0.13 30 Jan 2024
debug1: Reading configuration data /etc/ssh/ssh_config
debug1: Connecting to build.example.org [192.0.2.10] port 22.
debug1: Connection established.
debug1: identity file /home/carol/.ssh/id_ed25519 type 3
debug1: Local version string SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13
debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2
debug1: Authenticating to build.example.org:22 as 'build'
debug1: SSH2_MSG_KEXINIT sent
debug1: SSH2_MSG_KEXINIT received
debug1: kex: algorithm: sntrup761x25519-sha512@openssh.com
debug1: expecting SSH2_MSG_KEX_ECDH_REPLY
debug1: SSH2_MSG_KEX_ECDH_REPLY received
debug1: Server host key: ssh-ed25519 {KEY}
debug1: Host 'build.example.org' is known and matches the ED25519 host key.
debug1: SSH2_MSG_NEWKEYS sent
debug1: SSH2_MSG_NEWKEYS received
debug1: SSH2_MSG_SERVICE_ACCEPT received
{rest}"
    )
}

/// What sshd logs, in a syslog envelope of one connection.
fn log(messages: &[&str]) -> String {
    messages
        .iter()
        .map(|m| format!("Mar 28 16:00:15 web1 sshd[4214]: {m}\n"))
        .collect()
}

fn check(name: &str, paste: &str, want: &str, known: bool) -> Result<(), String> {
    let answer = explain(paste);
    let got: Vec<_> = answer
        .findings
        .iter()
        .map(|f| (f.slug, f.confidence))
        .collect();
    match got.first() {
        Some((slug, confidence)) if *slug == want && (*confidence >= 0.5) == known => Ok(()),
        _ => Err(format!(
            "{name}: wanted {want} (known: {known}), got {got:?}"
        )),
    }
}

#[test]
fn the_cause_stands_first() {
    let offered = format!(
        "debug1: Authentications that can continue: publickey,password
debug1: Next authentication method: publickey
debug1: Offering public key: /home/carol/.ssh/id_ed25519 ED25519 {KEY}"
    );
    let cases: Vec<(&str, String, &str, bool)> = vec![
        // ---- ssh without -v
        (
            "name",
            "$ ssh build@bulid.example.org\nssh: Could not resolve hostname bulid.example.org: Name or service not known".into(),
            "dns-failure",
            true,
        ),
        (
            "resolver on macOS",
            "ssh: Could not resolve hostname build.example.org: Temporary failure in name resolution".into(),
            "dns-server-unreachable",
            true,
        ),
        (
            "refused",
            "ssh: connect to host build.example.org port 22: Connection refused".into(),
            "connect-refused",
            false,
        ),
        (
            "timeout",
            "ssh: connect to host 192.0.2.10 port 22: Operation timed out".into(),
            "connect-timeout",
            false,
        ),
        (
            "no route",
            "ssh: connect to host 2001:db8::10 port 22: Network is unreachable".into(),
            "no-route",
            true,
        ),
        (
            "local firewall",
            "ssh: connect to host build.example.org port 22: Operation not permitted".into(),
            "firewall-client-outbound",
            true,
        ),
        (
            "changed host key",
            format!(
                "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
{KEY}.
Please contact your system administrator.
Add correct host key in /home/carol/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/carol/.ssh/known_hosts:12
  remove with:
  ssh-keygen -f \"/home/carol/.ssh/known_hosts\" -R \"build.example.org\"
Host key for build.example.org has changed and you have requested strict checking.
Host key verification failed."
            ),
            "host-key-changed",
            true,
        ),
        (
            "unknown host in a job",
            "No ED25519 host key is known for build.example.org and you have requested strict checking.
Host key verification failed."
                .into(),
            "host-key-unknown",
            true,
        ),
        (
            "old device",
            "Unable to negotiate with 192.0.2.10 port 22: no matching host key type found. Their offer: ssh-rsa,ssh-dss".into(),
            "no-matching-host-key-type",
            true,
        ),
        (
            "key file mode",
            "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Permissions 0644 for '/home/carol/.ssh/id_rsa' are too open.
It is required that your private key files are NOT accessible by others.
This private key will be ignored.
Load key \"/home/carol/.ssh/id_rsa\": bad permissions
build@build.example.org: Permission denied (publickey)."
                .into(),
            "private-key-permissions",
            true,
        ),
        (
            "key without its last line break",
            "Load key \"/builds/team/.ssh/deploy\": error in libcrypto
git@git.example.org: Permission denied (publickey).
fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists."
                .into(),
            "private-key-invalid",
            true,
        ),
        (
            "too many keys",
            "Received disconnect from 192.0.2.10 port 22:2: Too many authentication failures
Disconnected from 192.0.2.10 port 22"
                .into(),
            "too-many-auth-failures",
            true,
        ),
        (
            "denied, nothing else",
            "build@build.example.org: Permission denied (publickey).".into(),
            "auth-rejected-publickey",
            false,
        ),
        (
            "password three times",
            "build@build.example.org's password:
Permission denied, please try again.
build@build.example.org's password:
Permission denied, please try again.
build@build.example.org's password:
build@build.example.org: Permission denied (publickey,password)."
                .into(),
            "auth-rejected-password",
            false,
        ),
        (
            "a password was asked for by the command line",
            "$ ssh -o PubkeyAuthentication=no build@build.example.org
build@build.example.org: Permission denied (publickey,password)."
                .into(),
            "auth-rejected-password",
            false,
        ),
        (
            "second factor",
            "Authenticated using \"publickey\" with partial success.
build@build.example.org: Permission denied (keyboard-interactive)."
                .into(),
            "multi-factor-required",
            true,
        ),
        (
            "agent",
            "sign_and_send_pubkey: signing failed for ED25519 \"carol@laptop\" from agent: agent refused operation
build@build.example.org: Permission denied (publickey,password)."
                .into(),
            "agent-refused",
            true,
        ),
        (
            "expired account",
            "Your account has expired; please contact your system administrator.
Connection closed by 192.0.2.10 port 22"
                .into(),
            "account-expired",
            true,
        ),
        (
            "booting",
            "\"System is booting up. Unprivileged users are not permitted to log in yet. Please come back later. For technical details, see pam_nologin(8).\"
Connection closed by 192.0.2.10 port 22"
                .into(),
            "nologin-file",
            true,
        ),
        (
            "nologin shell",
            "This account is currently not available.\nConnection to build.example.org closed.".into(),
            "shell-nologin",
            true,
        ),
        (
            "jump host down",
            "ssh: connect to host gate.example.org port 22: Connection refused
kex_exchange_identification: Connection closed by remote host
Connection closed by UNKNOWN port 65535"
                .into(),
            "proxy-jump-failed",
            true,
        ),
        (
            "closed before the greeting",
            "kex_exchange_identification: Connection closed by remote host
Connection closed by 192.0.2.10 port 22"
                .into(),
            "server-closed-early",
            false,
        ),
        (
            "a web port",
            "$ ssh -p 443 build@build.example.org
kex_exchange_identification: Connection closed by remote host
Connection closed by 192.0.2.10 port 443"
                .into(),
            "not-ssh-service",
            true,
        ),
        (
            "tunnel",
            "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed".into(),
            "forwarding-disabled",
            true,
        ),
        (
            "client configuration",
            "/home/carol/.ssh/config: line 7: Bad configuration option: identitiyfile
/home/carol/.ssh/config: terminating, 1 bad configuration options"
                .into(),
            "client-config-error",
            true,
        ),
        (
            "scp and a shell that talks",
            "scp: Received message too long 1416128883
scp: Ensure the remote shell produces no output for non-interactive sessions.
scp: Connection closed"
                .into(),
            "shell-rc-output",
            true,
        ),
        (
            "full disk",
            "scp: write remote \"backup.tar\": Failure\nscp: failed to upload file backup.tar to backup.tar".into(),
            "disk-full",
            true,
        ),
        // ---- ssh -v
        (
            "path MTU",
            trace("")
                .split("debug1: SSH2_MSG_KEX_ECDH_REPLY received")
                .next()
                .unwrap()
                .to_owned(),
            "mtu-blackhole",
            true,
        ),
        (
            "max startups on the wire",
            "debug1: Connecting to build.example.org [192.0.2.10] port 22.
debug1: Connection established.
debug1: Local version string SSH-2.0-OpenSSH_9.6
debug1: kex_exchange_identification: banner line 0: Exceeded MaxStartups
kex_exchange_identification: Connection closed by remote host
Connection closed by 192.0.2.10 port 22"
                .into(),
            "max-startups",
            true,
        ),
        (
            "SHA-1",
            trace(&format!(
                "{}\ndebug1: send_pubkey_test: no mutual signature algorithm
debug1: No more authentication methods to try.
build@build.example.org: Permission denied (publickey).",
                offered.replace("id_ed25519 ED25519", "id_rsa RSA")
            )),
            "pubkey-algorithm-rejected",
            true,
        ),
        (
            "right key, closed",
            trace(&format!(
                "{offered}
debug1: Server accepts key: /home/carol/.ssh/id_ed25519 ED25519 {KEY}
Connection closed by 192.0.2.10 port 22"
            )),
            "account-denied",
            false,
        ),
        (
            "key refused",
            trace(&format!(
                "{offered}
debug1: Authentications that can continue: publickey,password
debug1: Trying private key: /home/carol/.ssh/id_rsa
debug1: Next authentication method: password
debug1: read_passphrase: can't open /dev/tty: No such device or address
debug1: No more authentication methods to try.
build@build.example.org: Permission denied (publickey,password)."
            )),
            "auth-rejected-publickey",
            false,
        ),
        // ---- other clients
        (
            "ansible",
            "PLAY [web] *******************************
fatal: [web1]: UNREACHABLE! => {\"changed\": false, \"msg\": \"Failed to connect to the host via ssh: build@192.0.2.10: Permission denied (publickey).\", \"unreachable\": true}".into(),
            "auth-rejected-publickey",
            false,
        ),
        (
            "terraform",
            "Error: timeout - last error: SSH authentication failed (build@192.0.2.10:22): ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain".into(),
            "auth-rejected-publickey",
            false,
        ),
        (
            "go dial",
            "dial tcp 192.0.2.10:22: i/o timeout".into(),
            "connect-timeout",
            false,
        ),
        (
            "plink",
            "FATAL ERROR: Couldn't agree a key exchange algorithm (available: diffie-hellman-group1-sha1)".into(),
            "no-matching-kex",
            true,
        ),
        (
            "putty host key",
            "WARNING - POTENTIAL SECURITY BREACH!
The host key does not match the one PuTTY has cached for this server:
build.example.org (port 22)"
                .into(),
            "host-key-changed",
            true,
        ),
        (
            "paramiko",
            "Traceback (most recent call last):
paramiko.ssh_exception.PasswordRequiredException: Private key file is encrypted"
                .into(),
            "key-passphrase",
            true,
        ),
        (
            "rsync",
            "protocol version mismatch -- is your shell clean?
(see the rsync manpage for an explanation)
rsync error: protocol incompatibility (code 2) at compat.c(622) [sender=3.2.7]"
                .into(),
            "shell-rc-output",
            true,
        ),
        (
            "systemctl",
            "Failed to start ssh.service: Unit ssh.service is masked.".into(),
            "sshd-masked",
            true,
        ),
        // ---- the server's log
        (
            "modes",
            log(&[
                "Authentication refused: bad ownership or modes for directory /home/build/.ssh",
                "Connection closed by authenticating user build 192.0.2.77 port 50112 [preauth]",
            ]),
            "authorized-keys-permissions",
            true,
        ),
        (
            "allow list",
            log(&[
                "User build from 192.0.2.77 not allowed because not listed in AllowUsers",
                "Connection closed by invalid user build 192.0.2.77 port 50112 [preauth]",
            ]),
            "user-not-allowed",
            true,
        ),
        (
            "expired, says PAM",
            log(&[
                "pam_unix(sshd:account): account build has expired (account expired)",
                "fatal: Access denied for user build by PAM account configuration [preauth]",
            ]),
            "account-expired",
            true,
        ),
        (
            "PAM says no, nobody says why",
            log(&["fatal: Access denied for user build by PAM account configuration [preauth]"]),
            "pam-denied",
            false,
        ),
        (
            "root's password",
            log(&["Failed password for root from 192.0.2.77 port 50112 ssh2"]),
            "root-password-disabled",
            false,
        ),
        (
            "only the close",
            log(&["Connection closed by authenticating user build 192.0.2.77 port 50112 [preauth]"]),
            "pubkey-not-authorized",
            false,
        ),
        (
            "configuration",
            "/etc/ssh/sshd_config: line 12: Bad configuration option: PermitRootLogn
/etc/ssh/sshd_config: terminating, 1 bad configuration options"
                .into(),
            "sshd-config-error",
            true,
        ),
        (
            "full, from the log",
            "Mar 28 16:00:15 web1 sftp-server[4220]: error: process_write: write \"backup.tar\": No space left on device".into(),
            "disk-full",
            true,
        ),
        (
            "penalty",
            "Mar 28 16:00:15 web1 sshd[812]: drop connection #0 from [192.0.2.77]:50112 on [192.0.2.10]:22 penalty: failed authentication".into(),
            "source-penalty",
            true,
        ),
        // ---- both sides in one paste
        (
            "both sides",
            format!(
                "build@build.example.org: Permission denied (publickey).\n{}",
                log(&[
                    "userauth_pubkey: signature algorithm ssh-rsa not in PubkeyAcceptedAlgorithms [preauth]",
                    "Connection closed by authenticating user build 192.0.2.77 port 50112 [preauth]",
                ])
            ),
            "pubkey-algorithm-rejected",
            true,
        ),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(name, paste, want, known)| check(name, paste, want, *known).err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_good_login_is_no_fault() {
    let answer = explain(&log(&[
        "Accepted publickey for build from 192.0.2.77 port 50112 ssh2: ED25519 SHA256:q1xWl5FR5yIXi7Zx0m4ZfZ8oC4m2A3Jd0XcPpV7bXyM",
        "pam_unix(sshd:session): session opened for user build(uid=1001) by (uid=0)",
        "Disconnected from user build 192.0.2.77 port 50112",
        "pam_unix(sshd:session): session closed for user build",
    ]));
    assert_eq!(answer.findings, []);
    assert_eq!(answer.lines.len(), 4);
    assert!(answer.notes[0].starts_with("Nothing in these lines is a fault"));
    // Two slips before a login are no locked-out user.
    let answer = explain(&log(&[
        "Failed password for build from 192.0.2.77 port 50112 ssh2",
        "Accepted password for build from 192.0.2.77 port 50112 ssh2",
    ]));
    assert_eq!(answer.findings, []);
}

#[test]
fn a_root_cause_sinks_its_symptoms_and_what_was_passed() {
    let answer = explain(
        "Load key \"/home/carol/.ssh/id_rsa\": invalid format
build@build.example.org: Permission denied (publickey).",
    );
    let slugs: Vec<_> = answer.findings.iter().map(|f| f.slug).collect();
    assert_eq!(slugs[0], "private-key-invalid");
    assert!(!slugs.contains(&"auth-rejected-publickey"));
    assert!(answer.findings[1..].iter().all(|f| f.confidence < 0.3));
    assert_eq!(answer.causes.len(), answer.findings.len());
}

#[test]
fn what_is_known_fills_the_commands() {
    let answer = explain(
        "$ ssh -p 2222 build@build.example.org
ssh: connect to host build.example.org port 2222: Connection refused",
    );
    let commands: Vec<String> = answer
        .causes
        .iter()
        .flat_map(|c| c.remedy.iter().filter_map(|s| s.command.clone()))
        .collect();
    assert!(
        commands
            .iter()
            .any(|c| c == "ssh -p 2222 build@build.example.org"),
        "{commands:?}"
    );
    assert_eq!(answer.findings[0].subjects.hosts, ["build.example.org"]);
    // A name that no shell word can hold stays a placeholder.
    let answer = explain("$ ssh 'a;b'@h\na;b@h: Permission denied (publickey).");
    let text = serde_json::to_string(&answer.causes).unwrap();
    assert!(!text.contains(" a;b@h"), "{text}");
}

#[test]
fn ids_are_rows_and_messages_are_not() {
    assert!(explain("SW0311").findings.is_empty());
    assert_eq!(explain("SW0311").rows.len(), 1);
    assert!(explain("Connection refused").rows.is_empty());
    let unknown = explain("Mar 28 16:00:15 web1 sshd[4214]: the moon is full");
    assert!(unknown.is_empty());
    assert_eq!(unknown.unknown[0].line, 1);
    assert!(explain("").is_empty());
}

#[test]
fn big_and_bad_input_is_bounded() {
    for text in [
        "\0\u{fffd}\u{202e}".repeat(10_000),
        "a: ".repeat(50_000),
        "{\"".repeat(20_000),
        format!("debug1: {}", "x".repeat(1_000_000)),
    ] {
        let answer = explain(&text);
        assert!(answer.unknown.len() <= MOST_UNKNOWN);
        assert!(answer.findings.len() <= 6);
    }
    let many = explain(&"Permission denied (publickey).\n".repeat(30_000));
    assert!(
        many.notes
            .iter()
            .any(|n| n.contains("more lines were not read"))
    );
    assert_eq!(many.lines.len(), 1);
    assert_eq!(many.lines[0].times, crate::transcript::MAX_LINES);
}

#[test]
fn the_json_is_the_contract() {
    let value = serde_json::to_value(explain("Permission denied, please try again.")).unwrap();
    let first = &value["findings"][0];
    assert_eq!(first["kind"], "cause");
    assert_eq!(first["cause"], "auth-rejected-password");
    assert!(first["confidence"].is_number());
    assert_eq!(value["lines"][0]["slug"], "client-try-again");
    assert_eq!(value["causes"][0]["slug"], "auth-rejected-password");
    let row = serde_json::to_value(explain("brute-force")).unwrap();
    assert_eq!(row["rows"][0]["kind"], "detector");
}
