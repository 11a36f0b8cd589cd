//! Whom nobody may ban: gathered facts of this machine, and the allow-list that its owner wrote.
//!
//! Own addresses, gateway, resolver, and the addresses of administrators who are logged in now. Each fact says why it is one,
//! so that a refused ban can be explained. Names of the allow-list are resolved anew at every call; a name that cannot be
//! resolved keeps the addresses that it had, because a resolver that is down must not unlock anybody's office for a ban.

use super::accounts;
use super::daemon;
use super::machine::Machine;
use sshwhy_core::addr::{Cidr, canonical, parse_ip};
use sshwhy_core::ban::{NeverList, Why};
use sshwhy_core::transcode::Transcoder;
use sshwhy_core::transcode::utmp::{Utmp, layout};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

/// How long one name of an allow-list may take to be resolved.
const PATIENCE: Duration = Duration::from_secs(3);
/// Groups whose members may become root (Debian and Ubuntu; RHEL, Arch, Alpine; older Ubuntu).
const ADMIN_GROUPS: [&str; 4] = ["sudo", "wheel", "admin", "root"];

/// An allow-list that counts without being named anywhere.
pub const ALLOW: &str = "/etc/sshwhy/allow";

/// A network that is never banned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    pub net: Cidr,
    pub why: Why,
    /// In words: `the gateway`, `alice is logged in from there`.
    pub text: String,
}

/// All of them, and what could not be found out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    pub facts: Vec<Fact>,
    /// Allow-list entries that were not understood or not resolved, facts that could not be read.
    pub troubles: Vec<String>,
}

/// The addresses that names of the allow-list had when they were last resolved.
#[derive(Clone, Debug, Default)]
pub struct Names {
    known: BTreeMap<String, Vec<IpAddr>>,
}

impl Facts {
    /// Puts the facts in the place of those that the list had from an earlier look. Recent key logins and monitors
    /// are not touched.
    pub fn fill(&self, list: &mut NeverList) {
        for why in [
            Why::Listed,
            Why::Own,
            Why::Gateway,
            Why::Resolver,
            Why::LoggedIn,
        ] {
            let nets = self.facts.iter().filter(|f| f.why == why).map(|f| f.net);
            list.replace(why, nets);
        }
    }

    /// In words, what keeps `net` from being banned.
    pub fn words(&self, net: &Cidr) -> Option<&str> {
        let fact = self.facts.iter().find(|f| f.net.overlaps(net))?;
        Some(&fact.text)
    }

    fn add(&mut self, ip: IpAddr, why: Why, text: impl Into<String>) {
        let ip = canonical(ip);
        if ip.is_unspecified() {
            return;
        }
        let len = if ip.is_ipv4() { 32 } else { 128 };
        self.net(Cidr { ip, len }, why, text);
    }

    fn net(&mut self, net: Cidr, why: Why, text: impl Into<String>) {
        let fact = Fact {
            net,
            why,
            text: text.into(),
        };
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }
}

/// Everything that can be known now. `allow` as the owner wrote it: addresses, prefixes, names, and files of them (`/path`);
/// [`ALLOW`] counts besides.
pub fn gather(machine: &Machine, allow: &[String], names: &mut Names) -> Facts {
    let mut out = Facts::default();
    for (net, len) in [
        (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    ] {
        out.net(Cidr { ip: net, len }, Why::Own, "this machine itself");
    }
    for ip in daemon::own_addresses(machine) {
        if !ip.is_loopback() {
            out.add(ip, Why::Own, "an address of this machine");
        }
    }
    for ip in gateways(machine) {
        out.add(ip, Why::Gateway, "the gateway");
    }
    for file in ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"] {
        for line in machine.text(file).unwrap_or_default().lines() {
            let mut words = line.split_ascii_whitespace();
            if words.next() == Some("nameserver")
                && let Some(ip) = words.next().and_then(|w| parse_ip(w.as_bytes()))
            {
                out.add(ip, Why::Resolver, format!("the resolver ({file})"));
            }
        }
    }
    for (user, ip) in logged_in(machine) {
        if is_admin(machine, &user) {
            out.add(ip, Why::LoggedIn, format!("{user} is logged in from there"));
        }
    }
    let usual = allow.iter().all(|a| a != ALLOW) && machine.exists(ALLOW);
    for entry in allow
        .iter()
        .map(String::as_str)
        .chain(usual.then_some(ALLOW))
    {
        allowed(machine, entry, names, &mut out, 0);
    }
    out
}

/// One entry of the allow-list; a file may name further files, three deep.
fn allowed(machine: &Machine, entry: &str, names: &mut Names, out: &mut Facts, depth: u8) {
    let entry = entry.split('#').next().unwrap_or_default().trim();
    if entry.is_empty() {
        return;
    }
    if let Some(net) = Cidr::parse(entry) {
        // A whole family allowed is a mistake that turns everything off.
        if net.len == 0 {
            out.troubles.push(format!(
                "{entry} in the allow-list is everybody: nobody could be banned, so it was left out"
            ));
            return;
        }
        out.net(net, Why::Listed, format!("the allow-list has {entry}"));
        return;
    }
    if entry.starts_with('/') {
        match machine.text(entry) {
            Ok(text) if depth < 3 => {
                for line in text.lines() {
                    for word in line
                        .split('#')
                        .next()
                        .unwrap_or_default()
                        .split([' ', '\t', ','])
                    {
                        allowed(machine, word, names, out, depth + 1);
                    }
                }
            }
            Ok(_) => out
                .troubles
                .push(format!("allow-list {entry}: too many files within files")),
            Err(why) => out.troubles.push(format!("allow-list {entry}: {why}")),
        }
        return;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let digits = entry
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | '/'));
    if !entry.chars().all(plain) || digits || entry.len() > 253 {
        out.troubles.push(format!(
            "allow-list: {entry:?} is no address, prefix, name or file"
        ));
        return;
    }
    match resolve(entry) {
        Some(found) if !found.is_empty() => {
            names.known.insert(entry.to_owned(), found);
        }
        _ => {
            let kept = names.known.get(entry).map_or(0, Vec::len);
            out.troubles.push(match kept {
                0 => format!(
                    "allow-list: {entry} cannot be resolved, so its addresses are not protected"
                ),
                n => format!(
                    "allow-list: {entry} cannot be resolved now; the {n} addresses that it had are kept"
                ),
            });
        }
    }
    for ip in names.known.get(entry).into_iter().flatten() {
        out.add(*ip, Why::Listed, format!("the allow-list has {entry}"));
    }
}

/// The addresses of a name, unless the resolver takes too long.
fn resolve(name: &str) -> Option<Vec<IpAddr>> {
    let (send, done) = mpsc::channel();
    let asked = format!("{name}:22");
    std::thread::spawn(move || {
        let found: BTreeSet<IpAddr> = asked
            .to_socket_addrs()
            .into_iter()
            .flatten()
            .map(|a| canonical(a.ip()))
            .collect();
        let _ = send.send(found);
    });
    done.recv_timeout(PATIENCE)
        .ok()
        .map(|set| set.into_iter().collect())
}

/// Next hops of default routes, from /proc/net.
fn gateways(machine: &Machine) -> BTreeSet<IpAddr> {
    let mut out = BTreeSet::new();
    let v4 = machine.text("/proc/net/route").unwrap_or_default();
    for line in v4.lines().skip(1) {
        let w: Vec<&str> = line.split_ascii_whitespace().collect();
        let hex = |i: usize| {
            w.get(i)
                .and_then(|h| u32::from_str_radix(h, 16).ok())
                .map(u32::swap_bytes)
        };
        if let (Some(0), Some(via), Some(0)) = (hex(1), hex(2), hex(7))
            && via != 0
        {
            out.insert(IpAddr::V4(Ipv4Addr::from(via)));
        }
    }
    let v6 = machine.text("/proc/net/ipv6_route").unwrap_or_default();
    for line in v6.lines() {
        let w: Vec<&str> = line.split_ascii_whitespace().collect();
        let hex = |i: usize| w.get(i).and_then(|h| u128::from_str_radix(h, 16).ok());
        if let (Some(0), Some(&"00"), Some(via)) = (hex(0), w.get(1), hex(4))
            && via != 0
        {
            out.insert(IpAddr::V6(Ipv6Addr::from(via)));
        }
    }
    out
}

/// Root, and members of a group that may become root.
fn is_admin(machine: &Machine, user: &str) -> bool {
    accounts::find(machine, user)
        .is_some_and(|a| a.uid == 0 || a.groups.iter().any(|g| ADMIN_GROUPS.contains(&g.as_str())))
}

/// Who is logged in over the network, and from where: by utmp, by logind's sessions, and by sshd's own processes, because
/// no system has all three (Debian 13 and Alpine have no utmp, a container no logind).
pub fn logged_in(machine: &Machine) -> BTreeSet<(String, IpAddr)> {
    let mut out = BTreeSet::new();
    for file in ["/run/utmp", "/var/run/utmp"] {
        if let Some(bytes) = machine.raw(file) {
            from_utmp(machine, &bytes, &mut out);
            break;
        }
    }
    let folder = "/run/systemd/sessions";
    for name in machine
        .names(folder)
        .iter()
        .filter(|n| !n.ends_with(".ref"))
    {
        let text = machine
            .text(&format!("{folder}/{name}"))
            .unwrap_or_default();
        let value = |key: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
        };
        if value("STATE") != Some("closing")
            && let (Some(user), Some(ip)) = (
                value("USER"),
                value("REMOTE_HOST").and_then(|h| parse_ip(h.as_bytes())),
            )
        {
            out.insert((user.to_owned(), ip));
        }
    }
    from_processes(machine, &mut out);
    out
}

/// Records of utmp whose process still runs.
fn from_utmp(machine: &Machine, bytes: &[u8], out: &mut BTreeSet<(String, IpAddr)>) {
    let Some(how) = layout(bytes) else {
        return;
    };
    let mut lines = Vec::new();
    let mut reader = Utmp::new(how, bytes);
    reader.feed(bytes, &mut lines);
    reader.finish(&mut lines);
    for line in String::from_utf8_lossy(&lines).lines() {
        // `<86>1 TIME - wtmp PID - - login record: user "U" from ADDR on LINE`
        let Some((head, rest)) = line.split_once(" - - login record: user \"") else {
            continue;
        };
        let pid = head.rsplit(' ').next().unwrap_or_default();
        let Some((user, rest)) = rest.split_once('"') else {
            continue;
        };
        let from = rest
            .strip_prefix(" from ")
            .and_then(|r| r.split(' ').next())
            .and_then(|a| parse_ip(a.as_bytes()));
        if let Some(ip) = from
            && machine.exists(&format!("/proc/{pid}"))
        {
            out.insert((user.to_owned(), ip));
        }
    }
}

/// `sshd: alice@pts/0`: sshd titles a process so only after the login, and only with names that exist.
fn from_processes(machine: &Machine, out: &mut BTreeSet<(String, IpAddr)>) {
    if !machine.is_live() {
        return;
    }
    let mut connected: BTreeMap<String, IpAddr> = BTreeMap::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in machine.text(file).unwrap_or_default().lines().skip(1) {
            let w: Vec<&str> = line.split_ascii_whitespace().collect();
            if let (Some(peer), Some(&"01"), Some(inode)) = (w.get(2), w.get(3), w.get(9))
                && let Some((ip, _)) = daemon::address(peer)
            {
                connected.insert((*inode).to_owned(), canonical(ip));
            }
        }
    }
    for p in daemon::processes(machine) {
        let title = p
            .title
            .strip_prefix("sshd: ")
            .or_else(|| p.title.strip_prefix("sshd-session: "));
        let ours = p.is_sshd()
            || p.exe
                .as_deref()
                .is_some_and(|e| e.trim_end_matches(" (deleted)").ends_with("/sshd-session"));
        let Some((user, on)) = title.and_then(|t| t.split_once('@')).filter(|_| ours) else {
            continue;
        };
        if on.contains('[') {
            continue;
        }
        let folder = format!("/proc/{}/fd", p.pid);
        for fd in machine.names(&folder) {
            if let Some(ip) = machine
                .link(&format!("{folder}/{fd}"))
                .as_deref()
                .and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']'))
                .and_then(|inode| connected.get(inode))
            {
                out.insert((user.to_owned(), *ip));
            }
        }
    }
}

/// The address that this very command was called from, where it runs within an SSH session: `SSH_CONNECTION` or
/// `SSH_CLIENT` of the caller, as sshd sets them and sudo may drop them.
pub fn caller() -> Option<IpAddr> {
    ["SSH_CONNECTION", "SSH_CLIENT"].iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        parse_ip(value.split(' ').next()?.as_bytes())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    fn machine(files: &[(&str, &[u8])]) -> (Machine, std::path::PathBuf) {
        let root = std::env::temp_dir().join(format!(
            "sshwhy-never-{}-{}",
            std::process::id(),
            files.first().map_or("x", |f| f.0).replace('/', "_")
        ));
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (Machine::at(&root), root)
    }

    fn why(facts: &Facts, ip: &str) -> Option<String> {
        let ip = ip.parse().unwrap();
        facts
            .facts
            .iter()
            .find(|f| f.net.contains(ip))
            .map(|f| f.text.clone())
    }

    fn record(user: &str, ip: [u8; 4], pid: u32) -> Vec<u8> {
        let mut r = vec![0u8; 384];
        r[0] = 7;
        r[4..8].copy_from_slice(&pid.to_le_bytes());
        r[8..13].copy_from_slice(b"pts/0");
        r[44..44 + user.len()].copy_from_slice(user.as_bytes());
        r[340..344].copy_from_slice(&1_700_000_000u32.to_le_bytes());
        r[348..352].copy_from_slice(&ip);
        r
    }

    #[test]
    fn each_fact_is_found_and_says_why() {
        let mut utmp = record("alice", [198, 51, 100, 9], 77);
        utmp.extend(record("bob", [198, 51, 100, 10], 78));
        utmp.extend(record("root", [198, 51, 100, 11], 9999));
        let (m, root) = machine(&[
            ("run/utmp", &utmp),
            ("proc/77/stat", b"x"),
            ("proc/78/stat", b"x"),
            ("etc/passwd", b"root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/:/bin/sh\ncarol:x:1002:27::/:/bin/sh\n"),
            ("etc/group", b"sudo:x:27:alice\nbob:x:1001:\n"),
            ("etc/resolv.conf", b"# x\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"),
            ("proc/net/route", b"Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\neth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\neth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"),
            ("proc/net/ipv6_route", b"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000000 00000000 00000003 eth0\n"),
            ("proc/net/if_inet6", b"20010db8000000000000000000000007 02 40 00 80 eth0\n"),
            ("run/systemd/sessions/4", b"UID=1002\nUSER=carol\nSTATE=active\nREMOTE_HOST=2001:db8:1::5\n"),
            ("run/systemd/sessions/5", b"UID=0\nUSER=root\nSTATE=closing\nREMOTE_HOST=2001:db8:1::6\n"),
        ]);
        let facts = gather(&m, &[], &mut Names::default());
        assert_eq!(
            why(&facts, "127.9.9.9").as_deref(),
            Some("this machine itself")
        );
        assert_eq!(
            why(&facts, "2001:db8::7").as_deref(),
            Some("an address of this machine")
        );
        assert_eq!(why(&facts, "192.0.2.1").as_deref(), Some("the gateway"));
        assert_eq!(why(&facts, "fe80::1").as_deref(), Some("the gateway"));
        assert!(why(&facts, "192.0.2.53").unwrap().contains("resolver"));
        assert!(why(&facts, "2001:db8::53").unwrap().contains("resolver"));
        assert_eq!(
            why(&facts, "198.51.100.9").as_deref(),
            Some("alice is logged in from there")
        );
        assert_eq!(why(&facts, "198.51.100.10"), None, "no administrator");
        assert_eq!(why(&facts, "198.51.100.11"), None, "that process is gone");
        assert!(why(&facts, "2001:db8:1::5").unwrap().contains("carol"));
        assert_eq!(why(&facts, "2001:db8:1::6"), None, "that session is over");
        assert_eq!(why(&facts, "203.0.113.1"), None);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn allow_lists_take_prefixes_names_and_files_and_keep_what_was_known() {
        let (m, root) = machine(&[(
            "etc/sshwhy/allow",
            b"# office\n198.51.100.0/24\n2001:db8:5::/48, 192.0.2.77\n0.0.0.0/0\nbad/99 $(x)\n",
        )]);
        let mut names = Names::default();
        names.known.insert(
            "no-such-host.invalid".to_owned(),
            vec!["203.0.113.5".parse().unwrap()],
        );
        let allow = [
            "/etc/sshwhy/allow",
            "no-such-host.invalid",
            "/missing",
            "10.1.2",
        ]
        .map(str::to_owned);
        let facts = gather(&m, &allow, &mut names);
        for ip in ["198.51.100.200", "2001:db8:5::9", "192.0.2.77"] {
            assert!(why(&facts, ip).unwrap().contains("allow-list"), "{ip}");
        }
        assert!(
            why(&facts, "203.0.113.5").is_some(),
            "kept though not resolved"
        );
        assert_eq!(why(&facts, "8.8.8.8"), None, "0.0.0.0/0 is left out");
        let told = facts.troubles.join("\n");
        for part in [
            "0.0.0.0/0",
            "bad/99",
            "$(x)",
            "kept",
            "/missing",
            "\"10.1.2\"",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}
