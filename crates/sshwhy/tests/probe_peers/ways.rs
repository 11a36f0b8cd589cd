//! Ways to a server that are not straight: jump hosts in chains, proxy commands, the view from another host, addresses that
//! are dead, and ssh run once for its own words.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// Servers `h1`, `h2`, …, each with an entry of that name in an ssh_config, whose user has a key that they take.
struct Hosts {
    home: Home,
    config: String,
    _servers: Vec<Running>,
}

impl Hosts {
    /// One server for each piece of sshd_config.
    fn start(test: &str, configs: &[&str]) -> Option<Hosts> {
        let home = Home::new(test);
        assert!(home.keygen("id", &["-t", "ed25519"]));
        let mut servers = Vec::new();
        let mut text = String::new();
        let mut known = String::new();
        for (i, more) in configs.iter().enumerate() {
            let at = Home::new(&format!("{test}-h{}", i + 1));
            let (server, port) = sshd(&at, test, more)?;
            fs::copy(home.path("id.pub"), at.path("authorized")).unwrap();
            let key = fs::read_to_string(at.path("host_ed25519.pub")).unwrap();
            known.push_str(&format!("[127.0.0.1]:{port} {key}"));
            text.push_str(&format!(
                "Host h{}\n  HostName 127.0.0.1\n  Port {port}\n",
                i + 1
            ));
            servers.push(server);
        }
        fs::write(home.path("known_hosts"), known).unwrap();
        text.push_str(&format!(
            "Host *\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n",
            user(),
            home.path("id"),
            home.path("known_hosts")
        ));
        let config = home.path("config");
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        Some(Hosts {
            home,
            config,
            _servers: servers,
        })
    }

    fn ask(&self, own: &[&str], typed: &[&str]) -> Value {
        let mut words = vec!["-F", self.config.as_str()];
        words.extend(typed);
        self.home.ask(own, &words, &[])
    }

    fn log(&self, n: usize) -> String {
        let dir = format!("{}-h{n}", self.home.dir.display());
        fs::read_to_string(format!("{dir}/log")).unwrap()
    }
}

const ALL: [&str; 9] = [
    "name", "route", "tcp", "ident", "kex", "hostkey", "auth", "account", "session",
];

#[test]
fn chains_of_jump_hosts_lead_into_a_session() {
    let test = "chains_of_jump_hosts_lead_into_a_session";
    let Some(hosts) = Hosts::start("chain", &["", "", ""]) else {
        return skipped(test, "sshd: Debian openssh-server");
    };
    for (jump, n) in [("h1", 2), ("h1,h2", 3), ("h2,h3,h1", 4)] {
        let target = if n == 4 { "h2" } else { "h3" };
        let answer = hosts.ask(&[], &["-J", jump, target]);
        for gate in ALL {
            assert_eq!(state(&answer, gate), "passed", "{jump} {gate}: {answer:#}");
        }
        assert!(causes(&answer).is_empty(), "{answer:#}");
        // Each hop is told of, and the server's key was compared.
        let oks = values(&answer, "proxy.jump");
        assert!(oks.iter().filter(|v| **v == "ok").count() >= n, "{oks:?}");
        assert_eq!(values(&answer, "hostkey.check"), ["match"]);
    }
    assert!(hosts.log(3).contains("sshwhy probe"), "{}", hosts.log(3));
}

#[test]
fn nobody_is_named_in_an_answer_that_is_for_all_to_see() {
    let test = "nobody_is_named_in_an_answer_that_is_for_all_to_see";
    let Some(hosts) = Hosts::start("redact", &["", ""]) else {
        return skipped(test, "sshd: Debian openssh-server");
    };
    // The hop stands in the configuration only, the other one after --via.
    let text = fs::read_to_string(&hosts.config).unwrap();
    let text = text.replace("Host h2\n", "Host secretgate\n");
    let text =
        format!("Host inner\n  HostName 127.0.0.1\n  Port 1\n  ProxyJump secretgate\n{text}");
    fs::write(&hosts.config, text).unwrap();
    for typed in [
        vec!["secretname@inner"],
        vec!["secretname@secrethost.invalid"],
    ] {
        let answer = hosts
            .ask(&["--redact", "--via", "secretgate"], &typed)
            .to_string();
        assert!(!answer.contains("secret"), "{answer}");
        assert!(
            answer.contains("HOST") || answer.contains("HOP"),
            "{answer}"
        );
        assert!(answer.contains("USER"), "{answer}");
    }
}

#[test]
fn a_hop_that_does_not_lead_on_is_the_one_that_is_named() {
    let test = "a_hop_that_does_not_lead_on_is_the_one_that_is_named";
    let Some(hosts) = Hosts::start("blame", &["", "AllowTcpForwarding no", "AllowUsers nobody"])
    else {
        return skipped(test, "sshd: Debian openssh-server");
    };
    let closed = free_port().to_string();
    for (typed, guilty, said) in [
        (vec!["-J", "h1,h2", "h1"], "h2", "prohibited"),
        (vec!["-J", "h2,h1", "h1"], "h2", "prohibited"),
        (vec!["-J", "h1", "-p", &closed, "h2"], "h1", "refused"),
        (
            vec!["-o", "BatchMode=yes", "-J", "h1,h3", "h1"],
            "h3",
            "Permission denied",
        ),
        (
            vec!["-J", "nowhere.invalid", "h1"],
            "nowhere.invalid",
            "nowhere.invalid",
        ),
    ] {
        let answer = hosts.ask(&[], &typed);
        assert_eq!(
            causes(&answer),
            ["proxy-jump-failed"],
            "{typed:?} {answer:#}"
        );
        let failed: Vec<_> = answer["observations"].as_array().unwrap().iter().collect();
        let failed: Vec<_> = failed
            .iter()
            .filter(|o| o["value"] == "failed" && o["key"] == "proxy.jump")
            .collect();
        assert_eq!(failed.len(), 1, "{answer:#}");
        assert_eq!(failed[0]["about"], guilty, "{answer:#}");
        assert!(
            failed[0]["text"].as_str().unwrap().contains(said),
            "{answer:#}"
        );
    }
    // Where a person would have been asked, nobody is to blame.
    let answer = hosts.ask(&[], &["-J", "h3", "h1"]);
    assert!(causes(&answer).is_empty(), "{answer:#}");
    let notes = answer["notes"].to_string();
    assert!(notes.contains("ssh would ask for a password"), "{notes}");
}

#[test]
fn a_proxy_command_is_gone_through() {
    let test = "a_proxy_command_is_gone_through";
    let Some(hosts) = Hosts::start("proxy", &["", ""]) else {
        return skipped(test, "sshd: Debian openssh-server");
    };
    let good = format!("ProxyCommand=ssh -F {} -W [%h]:%p h2", hosts.config);
    let answer = hosts.ask(&[], &["-o", &good, "h1"]);
    for gate in ALL {
        assert_eq!(state(&answer, gate), "passed", "{gate}: {answer:#}");
    }
    for (command, said) in [
        ("echo no such luck >&2; exit 1", "no such luck"),
        ("true", "nothing came through it"),
        ("no-such-program-at-all %h", "no-such-program-at-all"),
    ] {
        let option = format!("ProxyCommand={command}");
        let answer = hosts.ask(&[], &["-o", &option, "h1"]);
        assert_eq!(
            causes(&answer).first(),
            Some(&"proxy-command-failed"),
            "{answer:#}"
        );
        assert!(
            answer["findings"][0]["evidence"].to_string().contains(said),
            "{answer:#}"
        );
    }
    // It answers, and not as an SSH server: that is told of the server, not of the command.
    let answer = hosts.ask(
        &[],
        &[
            "-o",
            "ProxyCommand=printf 'HTTP/1.0 403 Forbidden\\r\\n\\r\\n'",
            "h1",
        ],
    );
    assert_eq!(
        causes(&answer).first(),
        Some(&"not-ssh-service"),
        "{answer:#}"
    );
}

#[test]
fn another_host_tells_a_dead_server_from_one_that_shuns_us() {
    let test = "another_host_tells_a_dead_server_from_one_that_shuns_us";
    let Some(hosts) = Hosts::start("via", &["", "AllowTcpForwarding no", "AllowUsers nobody"])
    else {
        return skipped(test, "sshd: Debian openssh-server");
    };
    let closed = free_port().to_string();
    let seen = |via: &str, typed: &[&str]| {
        let answer = hosts.ask(&["--via", via], typed);
        let word = values(&answer, "via.connect")[0].to_owned();
        (word, answer)
    };
    assert_eq!(seen("h1", &["h3"]).0, "ssh");
    let (word, answer) = seen("h1", &["-p", &closed, "h3"]);
    assert_eq!(word, "refused");
    assert_eq!(
        causes(&answer).first(),
        Some(&"sshd-not-running"),
        "{answer:#}"
    );
    // What the other host itself refuses says nothing about the server.
    for via in ["h2", "h3", "nowhere.invalid"] {
        let (word, answer) = seen(via, &["-p", &closed, "h1"]);
        assert_eq!(word, "error", "{via}: {answer:#}");
        assert_eq!(
            causes(&answer).first(),
            Some(&"connect-refused"),
            "{answer:#}"
        );
        assert!(
            answer["notes"].to_string().contains("told nothing"),
            "{answer:#}"
        );
    }
}

#[test]
fn ssh_is_run_once_and_read() {
    let test = "ssh_is_run_once_and_read";
    let Some(hosts) = Hosts::start(
        "run",
        &[
            "",
            "ForceCommand echo This account is currently not available.; exit 1",
        ],
    ) else {
        return skipped(test, "sshd: Debian openssh-server");
    };
    let answer = hosts.ask(&["--run"], &["-o", "BatchMode=yes", "h1", "true"]);
    assert_eq!(state(&answer, "session"), "passed", "{answer:#}");
    assert!(causes(&answer).is_empty(), "{answer:#}");
    assert_eq!(hosts.log(1).matches("Accepted publickey").count(), 1);
    // What it says on standard output, where its shell is none.
    let answer = hosts.ask(&["--run"], &["-o", "BatchMode=yes", "h2", "true"]);
    assert_eq!(
        causes(&answer).first(),
        Some(&"shell-nologin"),
        "{answer:#}"
    );
    let answer = hosts.ask(
        &["--run"],
        &[
            "-o",
            "BatchMode=yes",
            "-i",
            "/nowhere/id",
            "-o",
            "IdentityAgent=none",
            "h9.invalid",
        ],
    );
    assert_eq!(causes(&answer).first(), Some(&"dns-failure"), "{answer:#}");
}

/// A namespace in which 10.77.1.0/24 swallows everything, and `/etc/hosts` is the test's.
fn in_silence(home: &Home, hosts: &str, typed: &[&str]) -> Option<Value> {
    fs::write(home.path("hosts"), hosts).unwrap();
    let script = format!(
        "mount --bind {}/hosts /etc/hosts; ip link set lo up; ip route add 10.77.1.0/24 dev lo; nft add table ip t; \
         nft add chain ip t i '{{ type filter hook prerouting priority -400; }}'; \
         nft add rule ip t i ip daddr 10.77.1.0/24 drop; exec \"$@\"",
        home.dir.display()
    );
    let mut command = Command::new("unshare");
    command
        .args([
            "-n",
            "-m",
            "sh",
            "-ec",
            &script,
            "sh",
            env!("CARGO_BIN_EXE_sshwhy"),
        ])
        .args([
            "probe",
            "--format",
            "json",
            "--timeout",
            "2",
            "ssh",
            "-F",
            "none",
        ])
        .args(typed)
        .env("HOME", &home.dir);
    serde_json::from_str(&bounded(command)).ok()
}

#[test]
fn dead_addresses_are_waited_for_together() {
    let test = "dead_addresses_are_waited_for_together";
    let root = Command::new("id")
        .arg("-u")
        .output()
        .unwrap()
        .stdout
        .trim_ascii()
        == b"0";
    if !root || !has("unshare") || !has("nft") || !has("ip") {
        return skipped(test, "root, unshare, ip and nft: Debian nftables, iproute2");
    }
    let home = Home::new("dead");
    let lines: String = (1..=8)
        .map(|i| format!("10.77.1.{i} dead.example\n"))
        .collect();
    let millis = |answer: &Value| -> Vec<u64> {
        let all = answer["observations"].as_array().unwrap();
        let mine = all.iter().filter(|o| o["key"] == "tcp.connect");
        mine.map(|o| o["ms"].as_u64().unwrap()).collect()
    };
    // The configured timeout, `--timeout 2`, is what each address was given, and all at once: one after the other would be
    // eight times as long, and so the last would have begun when the first were long over.
    let answer = in_silence(&home, &lines, &["dead.example"]).unwrap();
    assert_eq!(values(&answer, "tcp.connect"), ["timeout"; 8], "{answer:#}");
    assert!(
        millis(&answer)
            .iter()
            .all(|ms| (1_900..16_000).contains(ms)),
        "{answer:#}"
    );
    assert_eq!(state(&answer, "tcp"), "failed");
    // ssh's own ConnectTimeout is the shorter one.
    let answer = in_silence(&home, &lines, &["-o", "ConnectTimeout=1", "dead.example"]).unwrap();
    assert!(
        millis(&answer).iter().all(|ms| (900..8_000).contains(ms)),
        "{answer:#}"
    );
}
