//! `bans` against real firewalls, in network namespaces that the test makes: an attacker, a gateway of ours, a container behind it.
//!
//! What counts is what packets do. Without root, or without a program, a test says by name that it was skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn have(test: &str, programs: &[&str]) -> bool {
    let root =
        fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let found = |p: &str| {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .iter()
            .any(|f| PathBuf::from(f).join(p).exists())
    };
    for p in programs {
        if !found(p) {
            eprintln!("skipped: {test}: {p} is not installed");
            return false;
        }
    }
    if !root {
        eprintln!("skipped: {test}: it makes network namespaces, which takes root");
        return false;
    }
    let made = Command::new("unshare").args(["-n", "true"]).output();
    if !made.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: {test}: this system makes no network namespaces");
        return false;
    }
    true
}

/// A namespace that lives as long as the process that holds it.
struct Space {
    holder: Child,
}

impl Space {
    fn new() -> Space {
        let mut holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo ready; read -r _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0u8; 6];
        holder
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        let space = Space { holder };
        space.sh("ip link set lo up");
        space
    }

    fn command(&self, program: &str) -> Command {
        let mut c = Command::new("nsenter");
        c.arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg("--")
            .arg(program);
        c
    }

    fn sh(&self, script: &str) -> String {
        let out = self.try_sh(script);
        assert!(
            out.status.success(),
            "{script}: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn try_sh(&self, script: &str) -> Output {
        self.command("sh").args(["-ec", script]).output().unwrap()
    }

    /// A link from here to there, with addresses on both ends.
    fn link(&self, name: &str, ours: &[&str], other: &Space, theirs: &[&str]) {
        let peer = format!("{name}p");
        self.sh(&format!(
            "ip link add name {name} type veth peer name {peer} netns {}",
            other.holder.id()
        ));
        for (space, dev, addrs) in [(self, name, ours), (other, peer.as_str(), theirs)] {
            for a in addrs {
                space.sh(&format!(
                    "ip addr add {a} dev {dev} nodad 2>/dev/null || ip addr add {a} dev {dev}"
                ));
            }
            space.sh(&format!("ip link set {dev} up"));
        }
    }

    /// Whether a TCP connection from `from` comes through within a second.
    fn reaches(&self, from: &str, to: &str, port: u16) -> bool {
        let code = format!(
            "import socket,sys\ns=socket.socket(socket.AF_INET6 if ':' in '{to}' else socket.AF_INET)\ns.settimeout(1)\ns.bind(('{from}',0))\ntry:\n s.connect(('{to}',{port}))\n sys.exit(0 if s.recv(3)==b'SSH' else 3)\nexcept OSError:\n sys.exit(4)"
        );
        self.command("python3")
            .args(["-c", &code])
            .status()
            .unwrap()
            .success()
    }

    /// Something that greets like sshd.
    fn greeter(&self, port: u16) -> Greeter {
        let code = format!(
            "import socket\ns=socket.socket(socket.AF_INET6)\ns.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\ns.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_V6ONLY,0)\ns.bind(('::',{port}))\ns.listen(50)\nprint('up',flush=True)\nwhile True:\n c,_=s.accept()\n c.sendall(b'SSH-2.0-test\\r\\n')\n c.close()\n"
        );
        let mut child = self
            .command("python3")
            .args(["-c", &code])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0u8; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
        Greeter(child)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

struct Greeter(Child);

impl Drop for Greeter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An attacker's network and a server's, linked; the server answers on port 22.
struct World {
    client: Space,
    server: Space,
    _sshd: Greeter,
    dir: PathBuf,
    firewall: &'static str,
    more: Vec<String>,
}

impl World {
    fn new(name: &str, firewall: &'static str) -> World {
        let (client, server) = (Space::new(), Space::new());
        server.link(
            "v0",
            &["192.0.2.1/24", "2001:db8::1/32"],
            &client,
            &[
                "192.0.2.7/24",
                "192.0.2.8/24",
                "2001:db8:0:1::7/32",
                "2001:db8:0:2::7/32",
            ],
        );
        let sshd = server.greeter(22);
        let dir = std::env::temp_dir().join(format!("sshwhy-bans-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        // IPv6 takes a moment to come up; nothing else here waits.
        let end = Instant::now() + Duration::from_secs(10);
        while !client.reaches("2001:db8:0:1::7", "2001:db8::1", 22) {
            assert!(
                Instant::now() < end,
                "the namespaces are not linked over IPv6"
            );
        }
        assert!(
            client.reaches("192.0.2.7", "192.0.2.1", 22),
            "and not over IPv4"
        );
        World {
            client,
            server,
            _sshd: sshd,
            dir,
            firewall,
            more: Vec::new(),
        }
    }

    fn in_reach(&self, from: &str) -> bool {
        let to = if from.contains(':') {
            "2001:db8::1"
        } else {
            "192.0.2.1"
        };
        self.client.reaches(from, to, 22)
    }

    fn run(&self, args: &[&str]) -> Output {
        self.server
            .command(env!("CARGO_BIN_EXE_sshwhy"))
            .arg("bans")
            .args(args)
            .args(["--firewall", self.firewall, "--state"])
            .arg(self.dir.join("state.db"))
            .args(&self.more)
            .env_remove("SSH_CONNECTION")
            .env_remove("SSH_CLIENT")
            .output()
            .unwrap()
    }

    fn json(&self, args: &[&str]) -> (Value, Option<i32>) {
        let mut all = args.to_vec();
        all.extend(["--format", "json"]);
        let out = self.run(&all);
        let text = String::from_utf8(out.stdout).unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        let value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}{said}"));
        (value, out.status.code())
    }

    fn slugs(&self, args: &[&str]) -> Vec<String> {
        let (value, _) = self.json(args);
        let findings = value["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|f| f["slug"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn effective(value: &Value) -> Option<bool> {
    value["banned"][0]["proof"]["effective"].as_bool()
}

#[test]
fn a_ban_drops_packets_and_the_proof_agrees() {
    if !have(
        "a_ban_drops_packets_and_the_proof_agrees",
        &["nft", "ip", "python3", "nsenter"],
    ) {
        return;
    }
    let w = World::new("nft", "nftables");
    let (banned, code) = w.json(&["add", "192.0.2.7", "--time", "1h"]);
    assert_eq!(
        (effective(&banned), code),
        (Some(true), Some(0)),
        "{banned}"
    );
    assert!(!w.in_reach("192.0.2.7"));
    assert!(w.in_reach("192.0.2.8"), "a neighbour is not banned");
    // A prefix of IPv6, and only it; a wider one over it is no conflict.
    w.json(&["add", "2001:db8:0:1::/64"]);
    assert!(!w.in_reach("2001:db8:0:1::7") && w.in_reach("2001:db8:0:2::7"));
    let (wider, _) = w.json(&["add", "2001:db8::/44"]);
    // The server's own address lies in it.
    assert_eq!(wider["refused"][0]["net"], "2001:db8::/44");
    w.json(&["add", "2001:db8:0:2::/63"]);
    assert!(!w.in_reach("2001:db8:0:2::7"));
    // Somebody accepts everything, earlier and later: in nftables that lets nobody in, and the proof knows it.
    w.server.sh("nft add table inet mine; nft 'add chain inet mine in { type filter hook prerouting priority -400; policy accept; }'; nft add rule inet mine in accept");
    assert!(!w.in_reach("192.0.2.7"));
    assert_eq!(w.slugs(&["check"]), [""; 0]);
    let (list, _) = w.json(&["list"]);
    assert_eq!(list["bans"].as_array().unwrap().len(), 3, "{list}");
    assert_eq!(list["held"], 3);
    w.json(&["remove", "192.0.2.7"]);
    assert!(w.in_reach("192.0.2.7"));
    // Whoever is in a banned network is let in by lifting that network.
    let (lifted, _) = w.json(&["remove", "2001:db8:0:2::7"]);
    assert_eq!(lifted["removed"][0]["lifted"][0], "2001:db8:0:2::/63");
    assert!(w.in_reach("2001:db8:0:2::7"));
    w.json(&["remove", "--all"]);
    assert!(w.in_reach("2001:db8:0:1::7"));
    assert!(
        !w.server.sh("nft list tables").contains("sshwhy"),
        "nothing is left behind"
    );
}

#[test]
fn what_is_set_but_not_effective_is_critical() {
    if !have(
        "what_is_set_but_not_effective_is_critical",
        &["nft", "ip", "python3", "nsenter"],
    ) {
        return;
    }
    let w = World::new("weak", "nftables");
    w.json(&["add", "192.0.2.7"]);
    let not_effective = |why: &str| {
        let (got, code) = w.json(&["check", "192.0.2.7"]);
        let first = &got["findings"][0];
        assert_eq!(first["slug"], "ban-not-effective", "{got}");
        assert_eq!(first["severity"], "critical");
        assert_eq!(code, Some(1));
        assert!(first["headline"].as_str().unwrap().contains(why), "{first}");
        assert!(w.in_reach("192.0.2.7"), "and the packet does come through");
    };
    w.server
        .sh("nft insert rule inet sshwhy prerouting ip saddr 192.0.2.0/24 accept");
    not_effective("ip saddr 192.0.2.0/24 accept");
    w.json(&["restore", "--rebuild"]);
    assert!(
        !w.in_reach("192.0.2.7"),
        "the remedy that the finding names works"
    );
    w.server
        .sh("nft add table inet sshwhy '{ flags dormant; }'");
    not_effective("sleeps");
    w.json(&["restore", "--rebuild"]);
    w.server
        .sh("nft delete element inet sshwhy ban4_32 '{ 192.0.2.7 }'");
    not_effective("no set");
    assert_eq!(w.slugs(&["list"]), ["ban-missing"]);
    w.json(&["restore"]);
    assert_eq!(w.slugs(&["check"]), [""; 0]);
    assert!(!w.in_reach("192.0.2.7"));
    w.server.sh("nft flush ruleset");
    not_effective("flushed");
    w.json(&["restore"]);
    assert!(!w.in_reach("192.0.2.7"));
    w.server.sh("nft flush chain inet sshwhy prerouting");
    not_effective("taken out");
    w.json(&["restore"]);
    assert!(!w.in_reach("192.0.2.7"));
    w.server
        .sh("nft add element inet sshwhy ban4_32 '{ 198.51.100.99 }'");
    assert_eq!(w.slugs(&["list"]), ["ban-unknown"]);
}

#[test]
fn published_ports_of_containers_are_covered_with_and_without_a_list_of_ports() {
    let name = "published_ports_of_containers_are_covered_with_and_without_a_list_of_ports";
    if !have(name, &["nft", "ip", "python3", "nsenter", "iptables"]) {
        return;
    }
    for (ports, firewall) in [
        ("", "nftables"),
        ("22", "nftables"),
        ("", "ipset"),
        ("22", "ipset"),
    ] {
        if firewall == "ipset" && !have(name, &["ipset"]) {
            continue;
        }
        let mut w = World::new(&format!("docker{ports}{firewall}"), firewall);
        if !ports.is_empty() {
            w.more = vec!["--port".to_owned(), ports.to_owned()];
        }
        let container = Space::new();
        w.server
            .link("d0", &["172.17.0.1/16"], &container, &["172.17.0.2/16"]);
        container.sh("ip route add default via 172.17.0.1");
        let _sshd = container.greeter(22);
        // As Docker publishes 2222:22, accepting rules included.
        w.server.sh(
            "sysctl -qw net.ipv4.ip_forward=1
             iptables -t nat -A PREROUTING ! -i d0 -p tcp --dport 2222 -j DNAT --to-destination 172.17.0.2:22
             iptables -A FORWARD -d 172.17.0.2/32 ! -i d0 -o d0 -p tcp --dport 22 -j ACCEPT",
        );
        let published = || w.client.reaches("192.0.2.7", "192.0.2.1", 2222);
        assert!(published(), "{firewall} {ports}");
        let (banned, _) = w.json(&["add", "192.0.2.7"]);
        assert_eq!(
            effective(&banned),
            Some(true),
            "{firewall} {ports}: {banned}"
        );
        assert!(!published(), "{firewall} {ports}: the container");
        assert!(!w.in_reach("192.0.2.7"), "{firewall} {ports}: the host");
        assert!(w.client.reaches("192.0.2.8", "192.0.2.1", 2222));
        w.json(&["remove", "192.0.2.7"]);
        assert!(published(), "{firewall} {ports}");
    }
}

#[test]
fn timeouts_end_bans_in_the_kernel_and_a_new_ban_prolongs() {
    let name = "timeouts_end_bans_in_the_kernel_and_a_new_ban_prolongs";
    if !have(name, &["nft", "ip", "python3", "nsenter"]) {
        return;
    }
    for firewall in ["nftables", "ipset"] {
        if firewall == "ipset" && !have(name, &["ipset", "iptables"]) {
            continue;
        }
        let w = World::new(&format!("time-{firewall}"), firewall);
        w.json(&["add", "192.0.2.7", "--time", "2s"]);
        w.json(&["add", "192.0.2.8", "--time", "2s"]);
        w.json(&["add", "192.0.2.8", "--time", "1h"]);
        assert!(!w.in_reach("192.0.2.7") && !w.in_reach("192.0.2.8"));
        let end = Instant::now() + Duration::from_secs(20);
        while !w.in_reach("192.0.2.7") {
            assert!(Instant::now() < end, "{firewall}: the ban did not end");
        }
        assert!(!w.in_reach("192.0.2.8"), "{firewall}: prolonged");
        let (list, _) = w.json(&["list"]);
        assert_eq!(list["bans"].as_array().unwrap().len(), 1, "{list}");
        let (why, _) = w.json(&["why", "192.0.2.7"]);
        let acts: Vec<&str> = why["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|h| h["act"].as_str().unwrap())
            .collect();
        assert_eq!(acts, ["expired", "ban"], "{why}");
    }
}

#[test]
fn with_iptables_an_accept_before_ours_is_found() {
    let name = "with_iptables_an_accept_before_ours_is_found";
    if !have(name, &["ipset", "iptables", "ip", "python3", "nsenter"]) {
        return;
    }
    let w = World::new("ipset", "ipset");
    let (banned, _) = w.json(&["add", "192.0.2.7"]);
    assert_eq!(effective(&banned), Some(true), "{banned}");
    w.json(&["add", "2001:db8:0:1::/64"]);
    assert!(!w.in_reach("192.0.2.7") && !w.in_reach("2001:db8:0:1::7") && w.in_reach("192.0.2.8"));
    // Accepting in filter INPUT changes nothing, as ours is in raw.
    w.server
        .sh("iptables -I INPUT 1 -p tcp --dport 22 -j ACCEPT");
    assert!(!w.in_reach("192.0.2.7"));
    assert_eq!(w.slugs(&["check", "192.0.2.7"]), [""; 0]);
    w.server
        .sh("iptables -t raw -I PREROUTING 1 -s 192.0.2.0/24 -j ACCEPT");
    assert!(w.in_reach("192.0.2.7"));
    let (got, _) = w.json(&["check", "192.0.2.7"]);
    assert_eq!(got["findings"][0]["slug"], "ban-not-effective");
    let headline = got["findings"][0]["headline"].as_str().unwrap();
    assert!(
        headline.contains("192.0.2.0/24 -j ACCEPT") && headline.contains("before it"),
        "{headline}"
    );
    w.json(&["restore", "--rebuild"]);
    assert!(!w.in_reach("192.0.2.7"), "ours is in front again");
    assert!(
        w.server
            .sh("iptables -t raw -S")
            .contains("192.0.2.0/24 -j ACCEPT"),
        "and theirs is still there"
    );
    assert_eq!(w.slugs(&["check", "192.0.2.7"]), [""; 0]);
    w.server.sh("iptables -t raw -F");
    assert!(w.in_reach("192.0.2.7"));
    assert_eq!(w.slugs(&["check", "192.0.2.7"]), ["ban-not-effective"]);
    w.json(&["restore"]);
    assert!(!w.in_reach("192.0.2.7"));
    w.json(&["remove", "--all"]);
    assert!(w.in_reach("192.0.2.7") && w.in_reach("2001:db8:0:1::7"));
    assert!(!w.server.sh("iptables-save; ipset save").contains("sshwhy"));
}

#[test]
fn an_administrator_who_locked_out_his_office_gets_it_back() {
    let name = "an_administrator_who_locked_out_his_office_gets_it_back";
    if !have(name, &["nft", "ip", "python3", "nsenter", "iptables"]) {
        return;
    }
    let w = World::new("office", "nftables");
    w.json(&["add", "192.0.2.0/29", "--reason", "noise"]);
    // The server is 192.0.2.1: that network is refused, and why is said.
    let out = w.run(&["add", "192.0.2.0/29"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        text.contains("not banned") && text.contains("address of this machine"),
        "{text}"
    );
    assert_eq!(out.status.code(), Some(3));
    assert!(w.in_reach("192.0.2.7"));
    w.json(&["add", "192.0.2.8/30", "--reason", "too many failures"]);
    assert!(!w.in_reach("192.0.2.8"));
    let out = w.run(&["why", "192.0.2.8"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    for part in [
        "192.0.2.8/30 has been kept out",
        "too many failures",
        "sshwhy bans remove 192.0.2.8",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // fail2ban keeps it out as well: lifting ours is not enough, and that is said.
    w.server.sh("iptables -N f2b-sshd; iptables -I INPUT 1 -p tcp --dport 22 -j f2b-sshd; iptables -A f2b-sshd -s 192.0.2.8/32 -j REJECT");
    let out = w.run(&["remove", "192.0.2.8"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        text.contains("192.0.2.8/30 is lifted (it covered 192.0.2.8)"),
        "{text}"
    );
    assert!(
        text.contains("still kept out, not by sshwhy") && text.contains("f2b-sshd"),
        "{text}"
    );
    w.server.sh("iptables -F f2b-sshd");
    assert!(w.in_reach("192.0.2.8"));
    let out = w.run(&["remove", "192.0.2.8"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("was not banned: looked through"), "{text}");
    // On the allow-list nobody can ban it again, not by a wider network either.
    for who in ["192.0.2.8", "192.0.2.8/31"] {
        let (got, _) = w.json(&["add", who, "--allow", "192.0.2.8"]);
        assert!(
            got["refused"][0]["why"]
                .as_str()
                .unwrap()
                .contains("allow-list"),
            "{got}"
        );
    }
    assert!(w.in_reach("192.0.2.8"));
}

#[test]
fn reasons_reach_no_command_and_are_shown_escaped() {
    if !have(
        "reasons_reach_no_command_and_are_shown_escaped",
        &["nft", "ip", "python3", "nsenter"],
    ) {
        return;
    }
    let w = World::new("hostile", "nftables");
    let marker = w.dir.join("pwned");
    let reason = format!(
        "x\x1b]52;c;cm0=\x07 '; touch {0}; $(touch {0}) \u{202e} <b>\n\"",
        marker.display()
    );
    w.json(&["add", "192.0.2.7", "--reason", &reason]);
    for args in [
        &["list"][..],
        &["why", "192.0.2.7"],
        &["export", "--as", "json"],
        &["export", "--as", "plain"],
        &["export", "--as", "nft"],
        &["export", "--as", "fail2ban"],
        &["list", "--format", "json"],
    ] {
        let out = w.run(args);
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(text.contains("192.0.2.7"), "{args:?}: {text}");
        assert!(
            !text.contains(['\x1b', '\x07', '\u{202e}']),
            "{args:?}: {text:?}"
        );
    }
    assert!(!marker.exists());
    // What leaves as commands or rules has no reason in it.
    for form in ["plain", "nft", "fail2ban"] {
        let text = String::from_utf8(w.run(&["export", "--as", form]).stdout).unwrap();
        assert!(!text.contains("touch"), "{form}: {text}");
    }
    // And is understood where it goes.
    w.json(&["add", "198.51.100.0/24", "--time", "forever"]);
    w.json(&["add", "198.51.100.9"]);
    let rules = w.dir.join("rules.nft");
    fs::write(&rules, w.run(&["export", "--as", "nft"]).stdout).unwrap();
    w.server.sh(&format!("nft -f {}", rules.display()));
    assert!(
        w.server
            .sh("nft list table inet sshwhy_export")
            .contains("198.51.100.0/24")
    );
}

#[test]
fn fail2bans_bans_and_jails_are_taken_over() {
    if !have(
        "fail2bans_bans_and_jails_are_taken_over",
        &["nft", "ip", "python3", "nsenter"],
    ) {
        return;
    }
    let w = World::new("import", "nftables");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let db = w.dir.join("fail2ban.sqlite3");
    // The schema of fail2ban 1.0, as its database.py makes it.
    let script = format!(
        "import sqlite3,json\nc=sqlite3.connect('{}')\nc.executescript('''CREATE TABLE fail2banDb(version INTEGER);CREATE TABLE jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);\nCREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON);\nCREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON, PRIMARY KEY(ip, jail));''')\nd=json.dumps({{'matches':['Nov 21 sshd[7]: Failed password for root from 192.0.2.7 port 22 ssh2\\x1b[2J'],'failures':5}})\nfor ip,jail,at,time,n in [('192.0.2.7','sshd',{now}-10,3600,3),('2001:db8:0:1::7','sshd',{now}-10,-1,1),('192.0.2.8','sshd',{now}-5000,600,1),('203.0.113.5','apache-auth',{now},600,1),('192.0.2.1','sshd',{now},600,1),('nonsense','sshd',{now},600,1)]:\n c.execute('INSERT INTO bips VALUES (?,?,?,?,?,?)',(ip,jail,at,time,n,d))\nc.commit()",
        db.display()
    );
    assert!(
        Command::new("python3")
            .args(["-c", &script])
            .status()
            .unwrap()
            .success()
    );
    let etc = w.dir.join("fail2ban");
    fs::create_dir_all(etc.join("jail.d")).unwrap();
    fs::write(etc.join("jail.conf"), "[DEFAULT]\nbantime = 10m\nmaxretry = 5\nbackend = auto\n[sshd]\nport = ssh\nlogpath = /var/log/auth.log\n").unwrap();
    fs::write(etc.join("jail.local"), "[DEFAULT]\nignoreip = 198.51.100.0/24 ::1\nignorecommand = /bin/x\n[sshd]\nenabled = true\nmaxretry = %(default/maxretry)s\nbantime = 2h\n").unwrap();
    let (etc, db) = (etc.display().to_string(), db.display().to_string());
    let (dry, _) = w.json(&["import", "--dry-run", &etc, &db]);
    assert_eq!(dry["taken"], 2, "{dry}");
    assert!(w.in_reach("192.0.2.7"), "a dry run bans nobody");
    let toml = w.dir.join("guard.toml");
    let (got, code) = w.json(&["import", &etc, &db, "--output", &toml.display().to_string()]);
    assert_eq!(
        (got["taken"].as_u64(), got["over"].as_u64()),
        (Some(2), Some(1)),
        "{got}"
    );
    assert_eq!(code, Some(3), "one row was not understood");
    assert_eq!(
        got["refused"][0]["net"], "192.0.2.1",
        "our own address: {got}"
    );
    assert_eq!(got["other_jails"]["apache-auth"], 1);
    assert!(got["left"].to_string().contains("ignorecommand"), "{got}");
    assert!(!w.in_reach("192.0.2.7") && !w.in_reach("2001:db8:0:1::7") && w.in_reach("192.0.2.8"));
    let text = fs::read_to_string(&toml).unwrap();
    for line in [
        "files = [\"/var/log/auth.log\"]",
        "ports = [22]",
        "allow = [\"198.51.100.0/24\", \"::1\"]",
        "maxretry = 5",
        "bantime = \"7200s\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let (why, _) = w.json(&["why", "192.0.2.7"]);
    assert_eq!(why["bans"][0]["strikes"], 3);
    assert!(
        why["bans"][0]["evidence"][0]["text"]
            .as_str()
            .unwrap()
            .contains("Failed password for root")
    );
    // The settings are read back: that allow-list counts now.
    let (refused, _) = w.json(&[
        "add",
        "198.51.100.77",
        "--config",
        &toml.display().to_string(),
    ]);
    assert_eq!(refused["refused"][0]["net"], "198.51.100.77", "{refused}");
    let out = w.run(&["import", &etc, "--output", &toml.display().to_string()]);
    assert_eq!(
        out.status.code(),
        Some(2),
        "a file that is there is not overwritten"
    );
    // sshguard's, and a file that is neither.
    let list = w.dir.join("blacklist.db");
    fs::File::create(&list)
        .unwrap()
        .write_all(b"1385562473|100|4|192.0.2.8\nodd\n")
        .unwrap();
    let (got, _) = w.json(&["import", &list.display().to_string()]);
    assert_eq!(got["taken"], 1, "{got}");
    assert!(!w.in_reach("192.0.2.8"));
    let out = w.run(&["import", "/etc/passwd"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("neither fail2ban"));
}

#[test]
fn many_bans_are_one_file_one_load_and_one_restore() {
    if !have(
        "many_bans_are_one_file_one_load_and_one_restore",
        &["nft", "ip", "python3", "nsenter"],
    ) {
        return;
    }
    let w = World::new("many", "nftables");
    let list = w.dir.join("blacklist");
    let lines: Vec<String> = (0..120_000u32)
        .map(|i| {
            format!(
                "1385562473|100|4|{}",
                std::net::Ipv4Addr::from(0x0b00_0000 + i)
            )
        })
        .chain(["1385562473|100|4|192.0.2.7".to_owned()])
        .collect();
    fs::write(&list, lines.join("\n")).unwrap();
    let (got, _) = w.json(&["import", &list.display().to_string()]);
    assert_eq!(got["taken"], 120_001);
    assert!(!w.in_reach("192.0.2.7"));
    w.server.sh("nft flush ruleset");
    assert!(w.in_reach("192.0.2.7"));
    let (got, _) = w.json(&["restore"]);
    assert_eq!(got["restored"], 120_001);
    assert!(!w.in_reach("192.0.2.7"));
    let (got, _) = w.json(&["restore"]);
    assert_eq!(got["restored"], 0, "nothing was missing");
    assert_eq!(w.slugs(&["check", "11.0.200.7"]), [""; 0]);
}

#[test]
fn a_firewall_that_fails_is_told_and_the_ban_is_not_forgotten() {
    // No namespace and no root: a command of the administrator's that fails, then works.
    let dir = std::env::temp_dir().join(format!("sshwhy-bans-{}-failing", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let block = dir.join("block");
    let script = |body: &str| {
        fs::write(&block, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&block, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .arg("bans")
            .args(args)
            .args(["--firewall", "command", "--ban-command"])
            .arg(format!("{} <ip> <bantime>", block.display()))
            .arg("--state")
            .arg(dir.join("state.db"))
            .output()
            .unwrap()
    };
    script("echo 'the edge does not answer' >&2; exit 7");
    let out = run(&["add", "203.0.113.7", "--time", "10m"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.contains("the edge does not answer") && said.contains("sshwhy bans restore"),
        "{said}"
    );
    script(&format!("echo \"$1 $2\" >> {}/got", dir.display()));
    let out = run(&["restore"]);
    assert_eq!(
        out.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let got = fs::read_to_string(dir.join("got")).unwrap();
    assert!(
        got.starts_with("203.0.113.7 ") && got.lines().count() == 1,
        "{got}"
    );
    // Nobody can prove what a command does, and that is said.
    let out = run(&["check", "203.0.113.7", "--format", "json"]);
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["findings"][0]["slug"], "ban-unproven", "{json}");
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_was_mistyped_is_named() {
    let dir = std::env::temp_dir().join(format!("sshwhy-bans-{}-typed", std::process::id()));
    let state = dir.join("state.db").display().to_string();
    for (args, part) in [
        (&["add", "192.0.2.300"][..], "192.0.2.300"),
        (&["add", "192.0.2.7", "--time", "soon"], "--time"),
        (&["why", "office"], "office"),
        (&["list", "--firewall", "pf"], "nftables"),
        (&["list", "--firewall", "command"], "--ban-command"),
        (
            &[
                "list",
                "--firewall",
                "null",
                "--config",
                "/nonexistent.toml",
            ],
            "/nonexistent.toml",
        ),
        (&["import", "/nonexistent"], "/nonexistent"),
    ] {
        let mut all = vec!["bans"];
        all.extend(args);
        if !args.contains(&"--firewall") {
            all.extend(["--firewall", "null"]);
        }
        all.extend(["--state", &state]);
        let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .args(&all)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
    }
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn a_rehearsal_is_told_as_one_and_misses_nothing() {
    let dir = std::env::temp_dir().join(format!("sshwhy-bans-null-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let state = dir.join("state.db").display().to_string();
    let run = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .arg("bans")
            .args(args)
            .args(["--firewall", "null", "--state", &state])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert_eq!(
            out.status.code(),
            Some(0),
            "{args:?}: {said}{}",
            String::from_utf8_lossy(&out.stderr)
        );
        said
    };
    run(&["add", "192.0.2.7"]);
    assert!(run(&["list"]).contains("1 banned on paper only"));
    let why = run(&["why", "192.0.2.7"]);
    assert!(why.contains("Nobody keeps it out"), "{why}");
    assert!(
        why.contains("sshwhy report --addr 192.0.2.7 --since 2"),
        "{why}"
    );
    assert!(!why.contains("does not hold"), "{why}");
    assert!(run(&["check"]).contains("1 bans were looked for"));
    let _ = fs::remove_dir_all(&dir);
}
