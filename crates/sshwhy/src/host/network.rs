//! The way in: bans, TCP wrappers, the route back; what is left in common for a key exchange; and what greets at a port.

use super::daemon;
use super::log::Log;
use super::machine::Machine;
use super::{Scene, packet_filter};
use sshwhy_core::addr::{Cidr, parse_ip};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::server::{Leg, Packet, wrappers};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub(crate) fn look(scene: &mut Scene<'_>, binary: Option<&daemon::Binary>) {
    offers(scene);
    let Some(from) = scene.question.from else {
        return;
    };
    let (interface, to) = route_back(scene, from);
    unacknowledged(scene, from);
    let packet = Packet {
        from,
        to,
        port: scene.port,
        interface,
        leg: Leg::Opens,
    };
    packet_filter::look(scene, &packet);
    if let Some((jail, text)) = Log::banned(scene.machine, from) {
        scene.say(
            Gate::Tcp,
            "ban.log",
            "banned",
            format!("fail2ban jail {jail}"),
            text,
            "/var/log/fail2ban.log",
        );
    }
    for (name, program, args) in [("cscli", "cscli", ["decisions", "list", "-o", "raw"])] {
        if let Some(a) = scene.machine.ask(name, program, &args)
            && let Some(line) = a.out.lines().find(|l| {
                l.contains(&format!(":{from},")) || l.split(',').any(|w| w == from.to_string())
            })
        {
            scene.say(
                Gate::Tcp,
                "ban.log",
                "banned",
                "CrowdSec",
                line,
                "cscli decisions list",
            );
        }
    }
    // sshguard(8) keeps whom it holds for good: time|service|kind|address.
    for file in [
        "/var/db/sshguard/blacklist.db",
        "/var/lib/sshguard/blacklist.db",
        "/etc/sshguard/blacklist",
    ] {
        let text = scene.machine.text(file).unwrap_or_default();
        let mine = text.lines().enumerate().find(|(_, l)| {
            let address = l.rsplit('|').next().unwrap_or_default().trim();
            Cidr::parse(address).is_some_and(|c| c.contains(from))
        });
        if let Some((i, line)) = mine {
            let place = format!("{file}:{}", i + 1);
            scene.say(Gate::Tcp, "ban.log", "banned", "sshguard", line, place);
        }
    }
    if binary.is_some_and(|b| daemon::has_libwrap(scene.machine, &b.path)) {
        let text = |p: &str| scene.machine.text(p).unwrap_or_default();
        let (allow, deny) = (text("/etc/hosts.allow"), text("/etc/hosts.deny"));
        let call = wrappers::Call {
            daemon: "sshd",
            server: packet.to,
            client: from,
            host: None,
        };
        let place_of = |d: &wrappers::Denial| {
            let file = match d.in_allow {
                true => "/etc/hosts.allow",
                false => "/etc/hosts.deny",
            };
            format!("{file}:{}", d.line)
        };
        if let Some(d) = wrappers::asks_for_name(&allow, &deny, &call) {
            let place = place_of(&d);
            let text = format!(
                "{place}: {}: before sshd greets, it asks for the client's name",
                d.text
            );
            scene.say(
                Gate::Ident,
                "names.asked",
                "before-greeting",
                place.clone(),
                text,
                place,
            );
        }
        if let Some(d) = wrappers::denied(&allow, &deny, &call) {
            let place = place_of(&d);
            scene.say(
                Gate::Ident,
                "wrappers.verdict",
                "denies",
                place.clone(),
                format!("{place}: {} (this sshd is linked against libwrap)", d.text),
                place,
            );
        }
    }
}

/// What current clients offer (OpenSSH 9), for a look at whether anything is left in common.
const CURRENT: [(&str, &str, &[&str]); 4] = [
    (
        "KexAlgorithms",
        "kex",
        &[
            "mlkem768x25519-sha256",
            "sntrup761x25519",
            "curve25519-sha256",
            "ecdh-sha2-nistp",
            "diffie-hellman-group-exchange-sha256",
            "diffie-hellman-group16",
            "diffie-hellman-group18",
            "diffie-hellman-group14-sha256",
        ],
    ),
    (
        "Ciphers",
        "cipher",
        &[
            "chacha20-poly1305",
            "aes128-ctr",
            "aes192-ctr",
            "aes256-ctr",
            "aes128-gcm",
            "aes256-gcm",
        ],
    ),
    (
        "MACs",
        "mac",
        &[
            "umac-64",
            "umac-128",
            "hmac-sha2-256",
            "hmac-sha2-512",
            "hmac-sha1",
        ],
    ),
    (
        "HostKeyAlgorithms",
        "host-key",
        &[
            "ssh-ed25519",
            "ecdsa-sha2-nistp",
            "sk-ssh-ed25519",
            "sk-ecdsa",
            "rsa-sha2-",
        ],
    ),
];

fn offers(scene: &mut Scene<'_>) {
    for (keyword, what, current) in CURRENT {
        let value = scene.effective.value(keyword).to_owned();
        let (place, line) = scene.set_at(keyword);
        if place == "default" || value.is_empty() {
            continue;
        }
        let some = value
            .split(',')
            .any(|a| current.iter().any(|c| a.starts_with(c)));
        scene.say(
            Gate::Kex,
            "conf.offer",
            if some { "changed" } else { "outdated" },
            what,
            line,
            place,
        );
    }
    // Host keys of a kind that the list of algorithms does not name.
    let hosts: Vec<String> = scene.effective.values("HostKey").to_vec();
    let algorithms = scene.effective.value("HostKeyAlgorithms").to_owned();
    let kinds: Vec<String> = hosts
        .iter()
        .filter_map(|h| scene.machine.text(&format!("{h}.pub")).ok())
        .filter_map(|t| t.split(' ').next().map(str::to_owned))
        .collect();
    // An algorithm of certificates is of no use to a key without one.
    let plain = |a: &&str| !a.contains("-cert-v01@");
    let certified = !scene.effective.values("HostCertificate").is_empty();
    let fits = |kind: &String| {
        let mut some = algorithms.split(',').filter(|a| certified || plain(a));
        match kind.as_str() {
            "ssh-rsa" => some.any(|a| a.starts_with("rsa-sha2-")),
            k => some.any(|a| a == k || a.strip_prefix(k).is_some_and(|r| r.starts_with("-cert-"))),
        }
    };
    if !kinds.is_empty() && !kinds.iter().any(fits) {
        let (place, line) = scene.set_at("HostKeyAlgorithms");
        scene.say(
            Gate::Kex,
            "conf.offer",
            "outdated",
            "host-key",
            format!("the host keys are {}; {line}", kinds.join(", ")),
            place,
        );
    }
}

/// The route to the client, the interface that it takes (packets from there come in by it as a rule) and our address on it.
fn route_back(scene: &mut Scene<'_>, from: IpAddr) -> (Option<String>, Option<IpAddr>) {
    if from.is_loopback() {
        return (Some("lo".to_owned()), Some(from));
    }
    if !scene.machine.is_running() {
        return (None, None);
    }
    let machine = scene.machine;
    let down: Vec<String> = machine
        .names("/sys/class/net")
        .into_iter()
        .filter(|n| n != "lo")
        .filter(|n| {
            machine
                .text(&format!("/sys/class/net/{n}/operstate"))
                .is_ok_and(|s| s.trim() == "down")
        })
        .collect();
    let up = machine.names("/sys/class/net").into_iter().any(|n| {
        n != "lo"
            && machine
                .text(&format!("/sys/class/net/{n}/operstate"))
                .is_ok_and(|s| s.trim() == "up")
    });
    if !down.is_empty() && !up {
        scene.say(
            Gate::Route,
            "host.interface",
            "down",
            down.join(", "),
            format!("the network interface {} is down", down.join(", ")),
            "/sys/class/net",
        );
    }
    let answer = machine.ask("ip-route-get", "ip", &["route", "get", &from.to_string()]);
    if let Some(a) = answer {
        let text = format!("{}{}", a.out, a.err);
        let lower = text.to_ascii_lowercase();
        let bad = [
            "blackhole",
            "prohibit",
            "unreachable",
            "invalid argument",
            "permission denied",
            "no route",
        ];
        if lower.starts_with("blackhole") || (!a.ok && bad.iter().any(|b| lower.contains(b))) {
            let rule = machine
                .ask("ip-route-show", "ip", &["route", "show", "table", "all"])
                .map(|r| r.out)
                .unwrap_or_default();
            let rule = rule
                .lines()
                .find(|l| covers(l, from))
                .unwrap_or_default()
                .trim()
                .to_owned();
            let own = rule.split_ascii_whitespace().any(|w| w == from.to_string());
            let value = if own { "banned" } else { "none" };
            scene.say(
                Gate::Route,
                "route.return",
                value,
                if rule.is_empty() {
                    from.to_string()
                } else {
                    rule.clone()
                },
                format!("no route back to {from}: {} {rule}", text.trim()),
                "ip route get",
            );
        } else if a.ok {
            let after = |word: &str| {
                let mut words = text.split_ascii_whitespace();
                words.find(|w| *w == word).and_then(|_| words.next())
            };
            let interface = after("dev").map(str::to_owned);
            let source: Option<IpAddr> = after("src").and_then(|s| s.parse().ok());
            let hop = after("via").and_then(|v| v.parse().ok()).unwrap_or(from);
            let called = scene.question.to;
            let own = daemon::own_addresses(machine);
            if let Some(called) = called {
                let mine = own.contains(&called);
                scene.say(
                    Gate::Route,
                    "route.called",
                    if mine { "own" } else { "other" },
                    called.to_string(),
                    format!(
                        "the client called {called}, {}",
                        if mine {
                            "which is this machine"
                        } else {
                            "which is no address of this machine"
                        }
                    ),
                    "/proc/net/fib_trie",
                );
            }
            let to = called.filter(|t| own.contains(t));
            let to = to.or(source);
            let dead = to
                .and_then(|to| no_answer(machine, from, to))
                .map(|why| ("none", why))
                .or_else(|| Some(("dead", filtered(machine, interface.as_deref()?, to?)?)))
                .or_else(|| Some(("dead", dead_link(machine, interface.as_deref()?, hop)?)));
            match dead {
                Some((value, why)) => scene.say(
                    Gate::Route,
                    "route.return",
                    value,
                    interface.clone().unwrap_or_default(),
                    format!("{} ({why})", text.lines().next().unwrap_or_default().trim()),
                    "ip route get",
                ),
                None => scene.say(
                    Gate::Route,
                    "route.return",
                    "ok",
                    from.to_string(),
                    text.lines().next().unwrap_or_default(),
                    "ip route get",
                ),
            }
            if let Some(name) = &interface {
                mtu(scene, name, &text);
            }
            return (interface, to);
        }
        return (None, None);
    }
    if let IpAddr::V4(v4) = from {
        let table = machine.text("/proc/net/route").unwrap_or_default();
        return (route_v4(&table, v4), None);
    }
    (None, None)
}

/// Policy routing may send what comes from the called address another way than a packet of our own: why nothing goes there.
fn no_answer(machine: &Machine, from: IpAddr, to: IpAddr) -> Option<String> {
    let (client, own) = (from.to_string(), to.to_string());
    let args = ["route", "get", &client, "from", &own];
    let answer = machine.ask("ip-route-get-from", "ip", &args)?;
    if answer.ok && !answer.out.trim_start().starts_with("blackhole") {
        return None;
    }
    let v6 = if to.is_ipv6() { "-6" } else { "-4" };
    let rules = machine.ask("ip-rule", "ip", &[v6, "rule"]);
    let rules = rules.map(|r| r.out).unwrap_or_default();
    let rule = rules.lines().find(|l| l.contains(&own)).unwrap_or_default();
    let said = format!("{}{}", answer.out, answer.err);
    let said = said.lines().next().unwrap_or_default();
    Some(format!(
        "but what comes from {to} has no way: {said}; ip rule: {}",
        rule.trim()
    ))
}

/// The interface that has an address of this machine.
pub(super) fn interface_of(machine: &Machine, own: IpAddr) -> Option<String> {
    let own = own.to_string();
    let args = ["-o", "addr", "show", "to", &own];
    let answer = machine.ask("ip-addr-of", "ip", &args)?;
    let line = answer.out.lines().next()?;
    line.split_ascii_whitespace().nth(1).map(str::to_owned)
}

/// Why the kernel takes no packet from there (ip-sysctl, rp_filter): it comes in by the interface that has the called address, and
/// would be answered by another.
fn filtered(machine: &Machine, back: &str, to: IpAddr) -> Option<String> {
    let arrives = interface_of(machine, to).filter(|_| to.is_ipv4())?;
    let arrives = arrives.as_str();
    let set = |name: &str| {
        let file = format!("/proc/sys/net/ipv4/conf/{name}/rp_filter");
        machine.text(&file).ok()?.trim().parse::<u8>().ok()
    };
    // The higher of the two counts; 2 takes what could be answered by any interface.
    let strict = set("all").max(set(arrives)) == Some(1);
    (strict && arrives != back && arrives != "lo").then(|| {
        format!(
            "but {to} is on {arrives}, and rp_filter=1 makes the kernel drop what comes in there and would be answered by {back}"
        )
    })
}

/// What a greeting and the names around it are no longer than.
const SMALL: u64 = 300;

/// What was sent to the client and sent again: it has lost its way, in that direction or the answer in the other.
fn unacknowledged(scene: &mut Scene<'_>, from: IpAddr) {
    let Some((bytes, again)) = daemon::unacknowledged(scene.machine, scene.port, from) else {
        return;
    };
    let value = if bytes <= SMALL { "small" } else { "large" };
    let text = format!(
        "{bytes} bytes that sshd sent to {from} were sent {again} times again, and {from} never told that it has them"
    );
    scene.say(
        Gate::Ident,
        "path.unacked",
        value,
        from.to_string(),
        text,
        "/proc/net/tcp",
    );
}

/// Why a packet that leaves by that interface arrives nowhere: no link there, or nobody who answers for the next hop.
fn dead_link(machine: &Machine, interface: &str, hop: IpAddr) -> Option<String> {
    // /sys may show another network namespace than ours: then ip(8) is asked.
    let down = match machine.text(&format!("/sys/class/net/{interface}/operstate")) {
        Ok(state) => matches!(state.trim(), "down" | "lowerlayerdown"),
        Err(_) => machine
            .ask("ip-link", "ip", &["-o", "link", "show", "dev", interface])
            .is_some_and(|a| a.out.contains("NO-CARRIER")),
    };
    if down {
        return Some(format!("nothing is connected to {interface}"));
    }
    let hop = hop.to_string();
    let args = ["neigh", "show", "to", &hop, "dev", interface];
    let answer = machine.ask("ip-neigh", "ip", &args)?;
    let line = answer.out.lines().next()?.trim();
    line.split_ascii_whitespace()
        .any(|w| matches!(w, "FAILED" | "INCOMPLETE"))
        .then(|| format!("nobody on {interface} answers for it: {line}"))
}

/// The smallest packet that IPv4 and IPv6 promise to carry; less than that on a way is a fault of its own.
const LEAST_MTU: u32 = 1280;

/// The size of packets on the way back: of the interface, or of the route where it says so.
fn mtu(scene: &mut Scene<'_>, interface: &str, route: &str) {
    let file = format!("/sys/class/net/{interface}/mtu");
    let own = scene.machine.text(&file).ok();
    let own = own.and_then(|t| t.trim().parse::<u32>().ok());
    let mut words = route.split_ascii_whitespace();
    let of_route = words
        .find(|w| *w == "mtu")
        .and_then(|_| words.find_map(|w| w.parse::<u32>().ok()));
    let Some(least) = own.into_iter().chain(of_route).min() else {
        return;
    };
    let value = if least < LEAST_MTU { "small" } else { "usual" };
    let text = format!("packets to the client may have {least} bytes ({interface})");
    scene.say(Gate::Kex, "route.mtu", value, interface, text, file);
}

/// `blackhole 192.0.2.0/24`, `unreachable 192.0.2.7`, … covers the address.
fn covers(line: &str, ip: IpAddr) -> bool {
    let mut w = line.split_ascii_whitespace();
    matches!(
        w.next(),
        Some("blackhole" | "unreachable" | "prohibit" | "throw")
    ) && w
        .next()
        .is_some_and(|n| n == "default" || Cidr::parse(n).is_some_and(|c| c.contains(ip)))
}

fn route_v4(table: &str, ip: Ipv4Addr) -> Option<String> {
    let mut best: Option<(u32, String)> = None;
    for line in table.lines().skip(1) {
        let w: Vec<&str> = line.split_ascii_whitespace().collect();
        let hex = |i: usize| {
            w.get(i)
                .and_then(|h| u32::from_str_radix(h, 16).ok())
                .map(u32::swap_bytes)
        };
        if let (Some(name), Some(net), Some(mask)) = (w.first(), hex(1), hex(7))
            && u32::from(ip) & mask == net
            && best.as_ref().is_none_or(|(m, _)| mask >= *m)
        {
            best = Some((mask, (*name).to_owned()));
        }
    }
    best.map(|(_, n)| n)
}

/// What greets at a port of this machine: `ssh`, `dripping`, `other`, `silent`.
pub(crate) fn greeting(port: u16) -> (Option<&'static str>, String) {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&to, Duration::from_millis(500)) else {
        return (None, String::new());
    };
    let began = Instant::now();
    let mut got = Vec::new();
    let mut buffer = [0u8; 512];
    let mut times = 0;
    let _ = stream.set_read_timeout(Some(Duration::from_millis(800)));
    while began.elapsed() < Duration::from_millis(2600) && got.len() < 4096 {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                times += 1;
                got.extend_from_slice(buffer.get(..n).unwrap_or_default());
                if got.starts_with(b"SSH-") || got.windows(5).any(|w| w == b"\nSSH-") {
                    // What follows the greeting is no text.
                    let text = String::from_utf8_lossy(&got).into_owned();
                    let line = text.lines().find(|l| l.starts_with("SSH-"));
                    return (Some("ssh"), line.unwrap_or_default().trim().to_owned());
                }
            }
            Err(_) => {
                // Who says nothing may wait to be spoken to.
                if got.is_empty() && began.elapsed() > Duration::from_millis(1500) {
                    let _ = stream.write_all(b"\r\n");
                }
            }
        }
    }
    let text = String::from_utf8_lossy(&got).trim().to_owned();
    match (got.is_empty(), times) {
        (true, _) => (Some("silent"), text),
        (false, n) if n > 1 && !text.contains("HTTP") => (Some("dripping"), text),
        _ => (Some("other"), text),
    }
}

/// The client's address, as typed: with or without brackets and zone.
pub fn address(text: &str) -> Option<IpAddr> {
    parse_ip(text.trim_matches(['[', ']']).as_bytes())
}
