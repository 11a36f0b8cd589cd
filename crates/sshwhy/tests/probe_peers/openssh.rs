//! OpenSSH: keys, passwords, agents, certificates of users and of hosts, old algorithms, and what its log says of us.

use super::*;

#[test]
fn openssh_lets_a_key_in_and_hears_who_asked() {
    let home = Home::new("openssh");
    let Some((_server, port)) = sshd(&home, "openssh_lets_a_key_in_and_hears_who_asked", "") else {
        return;
    };
    assert!(home.keygen("id", &["-t", "ed25519"]));
    fs::copy(home.path("id.pub"), home.path("authorized")).unwrap();
    let answer = home.probe(port, &[]);
    for gate in ["tcp", "ident", "kex", "auth", "account", "session"] {
        assert_eq!(state(&answer, gate), "passed", "{gate}: {answer:#}");
    }
    assert!(causes(&answer).is_empty(), "{answer:#}");
    // Told after the login, without another connection.
    assert!(values(&answer, "hostkey.also").len() >= 2);
    let log = fs::read_to_string(home.path("log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    assert!(log.contains("sshwhy probe"), "{log}");
    assert!(!log.contains("error:") && !log.contains("Failed"), "{log}");
}

#[test]
fn openssh_is_asked_about_every_key_in_one_connection() {
    let home = Home::new("keys");
    let name = "openssh_is_asked_about_every_key_in_one_connection";
    let Some((_server, port)) = sshd(
        &home,
        name,
        "LogLevel VERBOSE\nPasswordAuthentication no\nKbdInteractiveAuthentication no",
    ) else {
        return;
    };
    let mut more = Vec::new();
    for key in ["id", "two", "three"] {
        assert!(home.keygen(key, &["-t", "ed25519"]));
        more.push(home.path(key));
    }
    fs::write(home.path("authorized"), "").unwrap();
    let answer = home.probe(port, &["-i", &more[1], "-i", &more[2]]);
    let keys = values(&answer, "auth.key");
    assert_eq!(
        keys.iter().filter(|v| **v == "refused").count(),
        3,
        "{keys:?}"
    );
    assert_eq!(values(&answer, "auth.methods"), ["publickey"]);
    assert_eq!(values(&answer, "auth.end"), ["denied"]);
    assert_eq!(state(&answer, "auth"), "failed");
    assert!(
        causes(&answer).contains(&"auth-rejected-publickey"),
        "{answer:#}"
    );
    let log = fs::read_to_string(home.path("log")).unwrap();
    assert_eq!(log.matches("Connection from ").count(), 1, "{log}");
    // The same keys against a server that ends it after two.
    let few = Home::new("few");
    let Some((_server, port)) = sshd(&few, name, "MaxAuthTries 2") else {
        return;
    };
    fs::write(few.path("authorized"), "").unwrap();
    assert!(few.keygen("id", &["-t", "ed25519"]));
    let answer = few.probe(port, &["-i", &more[1], "-i", &more[2]]);
    assert_eq!(
        causes(&answer).first(),
        Some(&"too-many-auth-failures"),
        "{answer:#}"
    );
}

#[test]
fn an_old_server_can_be_talked_about_and_logged_in_to() {
    let home = Home::new("old");
    let name = "an_old_server_can_be_talked_about_and_logged_in_to";
    let old = "KexAlgorithms diffie-hellman-group1-sha1\nHostKeyAlgorithms ssh-rsa\nCiphers 3des-cbc\nMACs hmac-sha1";
    let Some((_server, port)) = sshd(&home, name, old) else {
        return;
    };
    assert!(home.keygen("id", &["-t", "ed25519"]));
    fs::copy(home.path("id.pub"), home.path("authorized")).unwrap();
    let answer = home.probe(port, &[]);
    assert_eq!(
        causes(&answer).first(),
        Some(&"no-matching-kex"),
        "{answer:#}"
    );
    assert_eq!(state(&answer, "ident"), "passed");
    let answer = home.probe(
        port,
        &[
            "-o",
            "KexAlgorithms=+diffie-hellman-group1-sha1",
            "-o",
            "HostKeyAlgorithms=+ssh-rsa",
            "-o",
            "Ciphers=+3des-cbc",
        ],
    );
    assert_eq!(state(&answer, "auth"), "passed", "{answer:#}");
    assert_eq!(state(&answer, "session"), "passed", "{answer:#}");
}

#[test]
fn a_changed_host_key_is_told_nothing() {
    let home = Home::new("changed");
    let Some((_server, port)) = sshd(&home, "a_changed_host_key_is_told_nothing", "") else {
        return;
    };
    assert!(home.keygen("id", &["-t", "ed25519"]) && home.keygen("other", &["-t", "ed25519"]));
    fs::copy(home.path("id.pub"), home.path("authorized")).unwrap();
    let other = fs::read_to_string(home.path("other.pub")).unwrap();
    fs::write(
        home.path("known_hosts"),
        format!("[127.0.0.1]:{port} {other}"),
    )
    .unwrap();
    let answer = home.probe(port, &[]);
    assert_eq!(
        causes(&answer).first(),
        Some(&"host-key-changed"),
        "{answer:#}"
    );
    assert!(values(&answer, "auth.key").iter().all(|v| *v != "offered"));
    let log = fs::read_to_string(home.path("log")).unwrap();
    assert!(!log.contains("Accepted"), "{log}");
}

/// What is typed for a server that is trusted at first sight.
fn typed<'a>(port: &'a str, more: &[&'a str], known: &'a str) -> Vec<&'a str> {
    let mut words = vec!["-F", "none", "-o", "GlobalKnownHostsFile=none", "-o", known];
    words.extend(["-o", "StrictHostKeyChecking=accept-new", "-p", port]);
    words.extend(more);
    words
}

/// An agent of the test's own.
struct Agent {
    _running: Running,
    socket: String,
}

impl Agent {
    fn start(home: &Home, askpass: &str) -> Agent {
        // A socket's path is short; the folder of a test is not.
        let socket = std::env::temp_dir().join(format!(
            "sshwhy-agent-{}-{}",
            std::process::id(),
            home.dir.file_name().unwrap().display()
        ));
        let _ = fs::remove_file(&socket);
        let socket = socket.display().to_string();
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", &socket])
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..500 {
            if Path::new(&socket).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Agent {
            _running: Running(child),
            socket,
        }
    }

    fn add(&self, arguments: &[&str], askpass: &str) {
        let added = Command::new("ssh-add")
            .arg("-q")
            .args(arguments)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .status();
        assert!(added.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

/// A program that answers every prompt with the same text, and writes down what it was asked.
fn askpass(home: &Home, name: &str, answer: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = home.path(name);
    let asked = home.path("asked");
    let script = format!("#!/bin/sh\necho \"$1\" >> {asked}\n{answer}\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn an_agent_signs_and_one_that_will_not_is_named() {
    let test = "an_agent_signs_and_one_that_will_not_is_named";
    let home = Home::new("agent");
    let Some((_server, port)) = sshd(&home, test, "") else {
        return;
    };
    let port = port.to_string();
    let known = format!("UserKnownHostsFile={}", home.path("known_hosts"));
    let target = format!("{}@127.0.0.1", user());
    let made = Command::new("ssh-keygen")
        .args([
            "-q",
            "-t",
            "ed25519",
            "-N",
            "a passphrase",
            "-f",
            &home.path("locked"),
        ])
        .status();
    assert!(made.unwrap().success());
    fs::copy(home.path("locked.pub"), home.path("authorized")).unwrap();
    let says = askpass(&home, "says", "echo a passphrase");
    let agent = Agent::start(&home, &says);
    agent.add(&[&home.path("locked")], &says);
    let environment = [("SSH_AUTH_SOCK", agent.socket.as_str())];
    let locked = home.path("locked");
    // Named by the file, and by nobody.
    for more in [vec!["-i", locked.as_str(), &target], vec![&target]] {
        let words = typed(&port, &more, &known);
        let answer = home.ask(&[], &words, &environment);
        assert_eq!(state(&answer, "session"), "passed", "{answer:#}");
        assert!(causes(&answer).is_empty(), "{answer:#}");
    }
    assert!(
        !home.dir.join("asked").exists()
            || fs::read_to_string(home.path("asked"))
                .unwrap()
                .lines()
                .count()
                == 1
    );
    // The same key, to be confirmed by somebody who says no.
    let no = askpass(&home, "no", "exit 1");
    let refusing = Agent::start(&Home::new("agent-no"), &no);
    refusing.add(&["-c", &locked], &says);
    let environment = [("SSH_AUTH_SOCK", refusing.socket.as_str())];
    let words = typed(
        &port,
        &["-i", &locked, "-o", "BatchMode=yes", &target],
        &known,
    );
    let answer = home.ask(&[], &words, &environment);
    assert_eq!(
        causes(&answer).first(),
        Some(&"agent-refused"),
        "{answer:#}"
    );
    // Without an agent the file is locked.
    let answer = home.ask(&[], &words, &[]);
    assert_eq!(
        causes(&answer).first(),
        Some(&"key-passphrase"),
        "{answer:#}"
    );
    let log = fs::read_to_string(home.path("log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 2, "{log}");
}

#[test]
fn certificates_of_users_are_shown_and_judged() {
    let test = "certificates_of_users_are_shown_and_judged";
    let home = Home::new("certificates");
    let ca = home.path("ca");
    let config = format!(
        "TrustedUserCAKeys {ca}.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no"
    );
    assert!(home.keygen("ca", &["-t", "ed25519"]));
    let Some((_server, port)) = sshd(&home, test, &config) else {
        return;
    };
    let me = user();
    let certify = |name: &str, kind: &str, principal: &str, validity: &str| {
        assert!(home.keygen(name, &["-t", kind]));
        let made = Command::new("ssh-keygen")
            .args(["-q", "-s", &ca, "-I", name, "-n", principal, "-V", validity])
            .arg(home.path(&format!("{name}.pub")))
            .status();
        assert!(made.unwrap().success());
    };
    assert!(home.keygen("id", &["-t", "ed25519"]));
    certify("good", "ed25519", &me, "-1h:+1h");
    certify("rsa", "rsa", &me, "-1h:+1h");
    certify("ecdsa", "ecdsa", &me, "-1h:+1h");
    certify("old", "ed25519", &me, "-2h:-1h");
    certify("early", "ed25519", &me, "+1h:+2h");
    certify("other", "ed25519", "somebody-else", "-1h:+1h");
    fs::write(home.path("authorized"), "").unwrap();
    for (name, cause) in [
        ("good", None),
        ("rsa", None),
        ("ecdsa", None),
        ("old", Some("cert-expired")),
        ("early", Some("cert-not-yet-valid")),
        ("other", Some("cert-principal-mismatch")),
    ] {
        let answer = home.probe(port, &["-o", &format!("IdentityFile={}", home.path(name))]);
        assert_eq!(
            causes(&answer).first().copied(),
            cause,
            "{name}: {answer:#}"
        );
        let expected = if cause.is_none() { "passed" } else { "failed" };
        assert_eq!(state(&answer, "auth"), expected, "{name}: {answer:#}");
    }
    let log = fs::read_to_string(home.path("log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 3, "{log}");
    assert!(log.contains("CA ED25519"), "{log}");
}

#[test]
fn certificates_of_hosts_are_trusted_by_their_authority_alone() {
    let test = "certificates_of_hosts_are_trusted_by_their_authority_alone";
    for (kind, n) in [("good", 0), ("expired", 1), ("of-another-host", 2)] {
        let home = Home::new(&format!("hostcert-{kind}"));
        let ca = home.path("ca");
        assert!(home.keygen("ca", &["-t", "ed25519"]) && home.keygen("id", &["-t", "ed25519"]));
        assert!(home.keygen("host", &["-t", "ed25519"]));
        let (names, validity) = match kind {
            "expired" => ("127.0.0.1", "-2h:-1h"),
            "of-another-host" => ("elsewhere.example", "-1h:+1h"),
            _ => ("127.0.0.1", "-1h:+1h"),
        };
        let made = Command::new("ssh-keygen")
            .args([
                "-q", "-s", &ca, "-I", "h", "-h", "-n", names, "-V", validity,
            ])
            .arg(home.path("host.pub"))
            .status();
        assert!(made.unwrap().success());
        let more = format!(
            "HostKey {0}/host\nHostCertificate {0}/host-cert.pub",
            home.dir.display()
        );
        let Some((_server, port)) = sshd(&home, test, &more) else {
            return;
        };
        fs::copy(home.path("id.pub"), home.path("authorized")).unwrap();
        let authority = fs::read_to_string(home.path("ca.pub")).unwrap();
        let known = format!("@cert-authority [127.0.0.1]:* {authority}");
        fs::write(home.path("known_hosts"), known).unwrap();
        let answer = home.probe(port, &["-o", "StrictHostKeyChecking=yes"]);
        let said = values(&answer, "hostkey.check");
        if n == 0 {
            assert_eq!(said, ["match"], "{answer:#}");
            assert_eq!(state(&answer, "session"), "passed", "{answer:#}");
            assert!(causes(&answer).is_empty(), "{answer:#}");
        } else {
            assert_eq!(said, ["certificate-invalid"], "{kind}: {answer:#}");
            assert_eq!(
                causes(&answer).first(),
                Some(&"host-certificate-invalid"),
                "{kind}: {answer:#}"
            );
            let log = fs::read_to_string(home.path("log")).unwrap();
            assert!(!log.contains("Accepted"), "{kind}: {log}");
        }
    }
}

/// SHA-512 of "right-word", by crypt(3).
const HASH: &str = "$6$sshwhytest$123GCSHk6O4K2RKA4f0Cw7WY8Tp/1HZZa6rs7aSwixRdYlLL1TNVtRXV8kM8igm/lH4Jl99klhxLI/0pBP88.1";
const ACCOUNT: &str = "sshwhy-probe";

/// An sshd that knows one more account than this machine, which has a password.
fn with_account(home: &Home, test: &str, more: &str) -> Option<(Running, u16)> {
    let dir = home.dir.display().to_string();
    for (file, line) in [
        (
            "passwd",
            format!("{ACCOUNT}:x:64123:64123::{dir}:/bin/sh\n"),
        ),
        ("shadow", format!("{ACCOUNT}:{HASH}:20000:0:99999:7:::\n")),
    ] {
        let text = fs::read_to_string(format!("/etc/{file}")).ok()?;
        fs::write(home.path(file), text + &line).unwrap();
    }
    let script = format!(
        "mount --bind {dir}/passwd /etc/passwd; mount --bind {dir}/shadow /etc/shadow; exec \"$@\""
    );
    sshd_with(home, test, more, |sshd, arguments| {
        let mut command = Command::new("unshare");
        command
            .args([
                "-m",
                "--propagation",
                "private",
                "sh",
                "-ec",
                &script,
                "sh",
                sshd,
            ])
            .args(arguments);
        command
    })
}

#[test]
fn a_password_is_tried_once_and_never_shown() {
    let test = "a_password_is_tried_once_and_never_shown";
    let root = Command::new("id")
        .arg("-u")
        .output()
        .unwrap()
        .stdout
        .trim_ascii()
        == b"0";
    if !root || !has("unshare") {
        return skipped(test, "root and unshare: Debian util-linux");
    }
    for (method, config) in [
        (
            "password",
            "PasswordAuthentication yes\nKbdInteractiveAuthentication no",
        ),
        (
            "keyboard-interactive",
            "PasswordAuthentication no\nKbdInteractiveAuthentication yes\nUsePAM yes",
        ),
    ] {
        let home = Home::new(&format!("word-{method}"));
        let Some((_server, port)) = with_account(&home, test, config) else {
            return;
        };
        let port = port.to_string();
        let known = format!("UserKnownHostsFile={}", home.path("known_hosts"));
        let target = format!("{ACCOUNT}@127.0.0.1");
        let words = typed(&port, &["-o", "IdentityFile=none", &target], &known);
        let ask = |answer: &str, own: &[&str]| {
            let says = askpass(&home, "says", answer);
            let environment = [
                ("SSH_ASKPASS", says.as_str()),
                ("SSH_ASKPASS_REQUIRE", "force"),
            ];
            home.ask(own, &words, &environment)
        };
        // PAM lets one who was wrong wait for two seconds.
        let asking = ["--password", "--timeout", "8"];
        // Not asked for, not tried.
        let answer = ask("echo right-word", &[]);
        assert!(!home.dir.join("asked").exists(), "{answer:#}");
        assert!(causes(&answer).is_empty(), "{answer:#}");
        let answer = ask("echo wrong-word", &asking);
        assert_eq!(
            causes(&answer).first(),
            Some(&"auth-rejected-password"),
            "{answer:#}"
        );
        assert_eq!(state(&answer, "auth"), "failed");
        assert!(!answer.to_string().contains("wrong-word"));
        let answer = ask("echo right-word", &asking);
        assert_eq!(state(&answer, "session"), "passed", "{method}: {answer:#}");
        assert!(causes(&answer).is_empty(), "{answer:#}");
        assert!(!answer.to_string().contains("right-word"));
        let asked = fs::read_to_string(home.path("asked")).unwrap();
        assert_eq!(asked.lines().count(), 2, "{asked}");
        let log = fs::read_to_string(home.path("log")).unwrap();
        let refusals = ["Failed password", "PAM: Authentication failure"];
        let refused: usize = refusals.iter().map(|r| log.matches(r).count()).sum();
        assert_eq!(refused, 1, "{log}");
        // A server whose key nobody knows is told no password.
        let mut words = vec!["-F", "none", "-o", "GlobalKnownHostsFile=none", "-p", &port];
        words.extend([
            "-o",
            "UserKnownHostsFile=none",
            "-o",
            "IdentityFile=none",
            &target,
        ]);
        let says = askpass(&home, "says", "echo right-word");
        let environment = [
            ("SSH_ASKPASS", says.as_str()),
            ("SSH_ASKPASS_REQUIRE", "force"),
        ];
        let answer = home.ask(&["--password"], &words, &environment);
        let notes = answer["notes"].to_string();
        assert!(notes.contains("no password was asked for"), "{answer:#}");
        assert_eq!(fs::read_to_string(home.path("asked")).unwrap(), asked);
    }
}
