//! The evaluator of ssh_config against `ssh -G`: some hundred generated configurations, every keyword that ssh prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sshwhy_core::config::pattern;
use sshwhy_core::probe::ssh_config::algorithms::Lists;
use sshwhy_core::probe::ssh_config::tokens::Client;
use sshwhy_core::probe::ssh_config::{Files, Typed, World, evaluate};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The machine itself, without networks.
struct Machine;

impl World for Machine {
    fn read(
        &mut self,
        path: &str,
        _check: bool,
    ) -> Result<Option<Vec<u8>>, sshwhy_core::probe::ssh_config::Unsafe> {
        Ok(fs::read(path).ok())
    }

    fn glob(&mut self, pattern: &str) -> Vec<String> {
        let path = Path::new(pattern);
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Vec::new();
        };
        let mut out: Vec<String> = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|e| pattern::matches(&e.file_name().to_string_lossy(), &name.to_string_lossy()))
            .map(|e| e.path().display().to_string())
            .collect();
        out.sort();
        out
    }

    fn exec(&mut self, command: &str) -> bool {
        Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
            .status
            .success()
    }

    fn local_network(&mut self, _networks: &str) -> bool {
        false
    }

    fn env(&mut self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn canonical(&mut self, _name: &str) -> Option<String> {
        None
    }
}

/// Small and repeatable.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }
}

const DIRECTIVES: &[(&str, &[&str])] = &[
    ("User", &["alice", "bob", "\"quoted user\""]),
    ("Port", &["22", "2222", "65535"]),
    (
        "HostName",
        &["real.example", "%h.example", "192.0.2.7", "UPPER.example"],
    ),
    (
        "IdentityFile",
        &["~/.ssh/a", "/k/%r", "none", "\"~/with blank\""],
    ),
    ("CertificateFile", &["~/.ssh/c-cert.pub"]),
    ("ProxyJump", &["jump.example", "u@j1:22,j2", "none"]),
    (
        "ProxyCommand",
        &["nc %h %p", "none", "ssh -W %h:%p gate # all of it"],
    ),
    ("BatchMode", &["yes", "no", "true", "False"]),
    (
        "StrictHostKeyChecking",
        &["yes", "no", "accept-new", "off", "ask"],
    ),
    (
        "PubkeyAuthentication",
        &["yes", "no", "host-bound", "unbound"],
    ),
    ("PasswordAuthentication", &["yes", "no"]),
    ("ChallengeResponseAuthentication", &["yes", "no"]),
    (
        "PreferredAuthentications",
        &["publickey", "publickey,password"],
    ),
    ("IdentitiesOnly", &["yes", "no"]),
    (
        "IdentityAgent",
        &["none", "SSH_AUTH_SOCK", "~/agent-%u", "$SOME_SOCK"],
    ),
    (
        "AddKeysToAgent",
        &["yes", "confirm", "confirm 5m", "1h", "no", "ask"],
    ),
    ("ForwardAgent", &["yes", "no"]),
    (
        "Ciphers",
        &[
            "aes128-ctr",
            "+aes128-cbc",
            "-*gcm*",
            "^aes256-ctr",
            "aes256-ctr,aes128-ctr",
        ],
    ),
    (
        "MACs",
        &["hmac-sha2-256", "+hmac-md5", "-umac*", "^hmac-sha1"],
    ),
    (
        "KexAlgorithms",
        &[
            "curve25519-sha256",
            "+diffie-hellman-group1-sha1",
            "-ecdh*",
            "^ecdh-sha2-nistp256",
        ],
    ),
    (
        "HostKeyAlgorithms",
        &[
            "ssh-ed25519",
            "+ssh-rsa",
            "-*cert*",
            "^rsa-sha2-512",
            "+ssh-dss*",
        ],
    ),
    (
        "PubkeyAcceptedKeyTypes",
        &["+ssh-rsa", "-rsa*", "rsa-sha2-256"],
    ),
    ("HostbasedAcceptedAlgorithms", &["ssh-ed25519", "-ssh*"]),
    ("CASignatureAlgorithms", &["+ssh-rsa", "-rsa*"]),
    ("ConnectTimeout", &["5", "1m", "none", "1h30m"]),
    ("ConnectionAttempts", &["1", "3"]),
    ("ServerAliveInterval", &["30", "1m"]),
    ("ServerAliveCountMax", &["2"]),
    ("Compression", &["yes", "no"]),
    ("LogLevel", &["DEBUG", "debug3", "quiet", "VERBOSE"]),
    ("SyslogFacility", &["AUTH", "local3"]),
    ("ControlMaster", &["auto", "yes", "no", "autoask"]),
    (
        "ControlPath",
        &["~/.ssh/cm-%r@%h:%p", "none", "/tmp/%C", "/tmp/%n-%L"],
    ),
    ("ControlPersist", &["yes", "no", "10m", "0"]),
    (
        "UserKnownHostsFile",
        &["/dev/null", "~/.ssh/kh", "~/a ~/b", "none"],
    ),
    ("GlobalKnownHostsFile", &["/etc/kh", "none"]),
    ("UpdateHostKeys", &["yes", "ask", "no"]),
    ("VerifyHostKeyDNS", &["yes", "ask", "no"]),
    ("HostKeyAlias", &["Alias"]),
    ("CheckHostIP", &["yes", "no"]),
    (
        "LocalForward",
        &[
            "8080 localhost:80",
            "127.0.0.1:81 [2001:db8::1]:82",
            "8080 localhost:80",
        ],
    ),
    ("RemoteForward", &["9000 localhost:90", "9001"]),
    ("DynamicForward", &["1080", "localhost:1081"]),
    ("ClearAllForwardings", &["yes", "no"]),
    ("ExitOnForwardFailure", &["yes"]),
    ("GatewayPorts", &["yes"]),
    ("SendEnv", &["LANG LC_*", "A", "-LC_*"]),
    ("SetEnv", &["A=1 B=2", "C=3"]),
    ("RequestTTY", &["force", "yes", "no", "auto"]),
    ("SessionType", &["none", "default"]),
    ("RemoteCommand", &["uptime", "echo %h", "none"]),
    ("LocalCommand", &["echo %h"]),
    ("PermitLocalCommand", &["yes"]),
    ("Tunnel", &["yes", "ethernet", "no"]),
    ("TunnelDevice", &["1:2", "any", "0:any"]),
    ("AddressFamily", &["inet", "inet6", "any"]),
    ("BindAddress", &["192.0.2.1"]),
    ("BindInterface", &["lo"]),
    ("RekeyLimit", &["1G", "default none", "512M 1h", "16"]),
    ("EscapeChar", &["none", "!"]),
    ("FingerprintHash", &["md5", "sha256"]),
    ("NumberOfPasswordPrompts", &["1"]),
    ("TCPKeepAlive", &["no"]),
    ("KeepAlive", &["yes"]),
    ("RequiredRSASize", &["2048"]),
    ("StreamLocalBindMask", &["0111"]),
    ("StreamLocalBindUnlink", &["yes"]),
    ("VisualHostKey", &["yes"]),
    ("HashKnownHosts", &["yes"]),
    ("EnableSSHKeysign", &["yes"]),
    ("CanonicalDomains", &["a.example b.example", "none"]),
    ("CanonicalizeMaxDots", &["0", "2"]),
    // Others make ssh -G look the name up.
    ("CanonicalizePermittedCNAMEs", &["none"]),
    ("KnownHostsCommand", &["/bin/true %H", "none"]),
    ("RevokedHostKeys", &["/etc/revoked", "none"]),
    ("PKCS11Provider", &["/lib/p11.so", "none"]),
    ("PermitRemoteOpen", &["any", "none"]),
    ("IgnoreUnknown", &["UseKeychain,Odd*"]),
    ("UseKeychain", &["yes"]),
    ("Protocol", &["2"]),
    ("UsePrivilegedPort", &["no"]),
    ("RhostsRSAAuthentication", &["no"]),
    ("Odd", &["thing"]),
    ("User", &["\"open"]),
    ("Port", &["0", "x"]),
    ("BatchMode", &["perhaps", "yes no"]),
    ("ForwardX11", &["yes"]),
    ("ForwardX11Timeout", &["10m"]),
    ("XAuthLocation", &["/x"]),
    ("StdinNull", &["yes"]),
    ("ForkAfterAuthentication", &["no"]),
    ("ProxyUseFdpass", &["yes"]),
    ("LogVerbose", &["kex.c:*:1000", "none"]),
    ("NoHostAuthenticationForLocalhost", &["yes"]),
    ("KbdInteractiveDevices", &["pam"]),
    ("CanonicalizeFallbackLocal", &["yes"]),
];

const BLOCKS: &[&str] = &[
    "Host *",
    "Host srv* !srv2",
    "Host !srv1 *",
    "Host nothing other",
    "Match all",
    "Match host srv1",
    "Match host *.example",
    "Match originalhost srv*",
    "Match !originalhost srv1",
    "Match user alice",
    "Match localuser nobody",
    "Match exec \"test %p = 22\"",
    "Match host srv* exec \"test %h = srv1\"",
    "Match exec false user alice",
    "Match final host *.example",
    "Match canonical",
    "Match final all",
    "Match !final",
    "Match user",
];

fn config(dice: &mut Dice, include: &str) -> String {
    let mut out = String::new();
    for _ in 0..4 + dice.roll(14) {
        if dice.roll(4) == 0 {
            out.push_str(dice.of(BLOCKS));
            out.push('\n');
        }
        if dice.roll(12) == 0 {
            out.push_str(&format!("Include {include}\n"));
        }
        let (word, values) = DIRECTIVES[dice.roll(DIRECTIVES.len())];
        let between = dice.of(&[" ", "=", " = ", "\t"]);
        // Bad values are rare, or nothing else would be tried.
        let value = dice.of(values);
        let bad = ["\"open", "0", "x", "perhaps", "yes no", "thing"].contains(&value);
        if bad && dice.roll(6) > 0 {
            continue;
        }
        out.push_str(&format!("{word}{between}{value}\n"));
        if dice.roll(15) == 0 {
            out.push_str("# a comment\n\n");
        }
    }
    out
}

fn text(program: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(program).args(args).output().ok()?;
    out.status
        .success()
        .then(|| String::from_utf8(out.stdout).unwrap())
}

type Table = BTreeMap<String, Vec<String>>;

fn table(text: &str) -> Table {
    let mut out = Table::new();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        out.entry(key.to_ascii_lowercase())
            .or_default()
            .push(value.to_owned());
    }
    out
}

fn lists(defaults: &Table) -> Lists {
    let known = |what: &str| -> Vec<String> {
        text("ssh", &["-Q", what])
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let default =
        |key: &str| -> Vec<String> { defaults[key][0].split(',').map(str::to_owned).collect() };
    Lists {
        all: [
            known("cipher"),
            known("mac"),
            known("kex"),
            known("HostKeyAlgorithms"),
        ],
        default: [
            default("ciphers"),
            default("macs"),
            default("kexalgorithms"),
            default("hostkeyalgorithms"),
            default("casignaturealgorithms"),
        ],
    }
}

fn client() -> Client {
    let one = |p: &str, a: &[&str]| text(p, a).unwrap().trim().to_owned();
    Client {
        user: one("id", &["-un"]),
        // As the account says, which is what ssh goes by.
        home: one("sh", &["-c", "getent passwd $(id -un) | cut -d: -f6"]),
        uid: one("id", &["-u"]).parse().unwrap(),
        hostname: one("uname", &["-n"]),
    }
}

#[test]
fn generated_configurations_come_out_as_ssh_says() {
    let Some(defaults) = text("ssh", &["-G", "-F", "none", "srv1"]) else {
        eprintln!(
            "skipped: generated_configurations_come_out_as_ssh_says (needs ssh: Debian openssh-client)"
        );
        return;
    };
    let defaults = table(&defaults);
    let lists = lists(&defaults);
    let client = client();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ssh_config");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("parts")).unwrap();
    let file = dir.join("config");
    let (mut agreed, mut refused) = (0, 0);
    let mut wrong: Vec<String> = Vec::new();
    for seed in 0..400_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
        for part in ["parts/a", "parts/b"] {
            fs::write(dir.join(part), config(&mut dice, "/nowhere/*")).unwrap();
        }
        let include = dir.join("parts/*").display().to_string();
        let written = config(&mut dice, &include);
        fs::write(&file, &written).unwrap();
        let host = dice.of(&["srv1", "srv2", "SRV1.example", "192.0.2.9"]);
        let out = Command::new("ssh")
            .args(["-G", "-F"])
            .arg(&file)
            .arg(host)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let typed = Typed {
            host: host.to_owned(),
            file: Some(file.display().to_string()),
            ..Typed::default()
        };
        let files = Files {
            user: None,
            system: "/nowhere",
        };
        let ours = evaluate(&typed, files, &client, &lists, &mut Machine);
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        let shown = || {
            let part = |p: &str| fs::read_to_string(dir.join(p)).unwrap();
            format!(
                "seed {seed}, host {host}\n{written}-- a\n{}-- b\n{}",
                part("parts/a"),
                part("parts/b")
            )
        };
        let ours = match (out.status.success(), ours) {
            (false, Err(said)) => {
                refused += 1;
                let first = &said.0[0];
                if !err.contains(first.as_str()) {
                    wrong.push(format!(
                        "ours: {first}
ssh: {err}
{}",
                        shown()
                    ));
                }
                continue;
            }
            (false, Ok(_)) => {
                wrong.push(format!("ssh refuses, we do not: {err}\n{}", shown()));
                continue;
            }
            (true, Err(said)) => {
                wrong.push(format!("ssh takes it, we do not: {said:?}\n{}", shown()));
                continue;
            }
            (true, Ok(ours)) => ours,
        };
        let theirs = table(&String::from_utf8(out.stdout).unwrap());
        let mut mine = Table::new();
        for (key, value) in ours.lines() {
            // A default of ours is what this build of ssh does by default.
            let text = match (&value.place, defaults.get(key)) {
                (None, Some(d))
                    if !matches!(
                        key,
                        "identityfile" | "updatehostkeys" | "user" | "host" | "hostname"
                    ) =>
                {
                    d[0].clone()
                }
                _ => value.text.clone(),
            };
            mine.entry(key.to_owned()).or_default().push(text);
        }
        for (key, values) in &theirs {
            // Debian's ssh keeps unattended sessions alive.
            let debian = key == "serveraliveinterval"
                && theirs.get("batchmode").is_some_and(|v| v[0] == "yes")
                && ours.first(key).is_some_and(|v| v.place.is_none());
            let same = debian
                || mine.get(key) == Some(values)
                || !mine.contains_key(key) && defaults.get(key) == Some(values);
            if !same {
                wrong.push(format!(
                    "{key}\n ssh: {values:?}\nours: {:?}\n{}",
                    mine.get(key),
                    shown()
                ));
            }
        }
        for (key, values) in &mine {
            let silent = ["tag"].contains(&key.as_str());
            if !silent && !theirs.contains_key(key) {
                wrong.push(format!("{key} {values:?} is not of ssh\n{}", shown()));
            }
        }
        agreed += 1;
    }
    let some: Vec<&String> = wrong.iter().take(5).collect();
    assert!(
        wrong.is_empty(),
        "{} differences, the first: {some:#?}",
        wrong.len()
    );
    assert!(
        agreed > 150 && refused > 20,
        "{agreed} agreed, {refused} refused by both"
    );
}
