//! The daemon itself: does it run, which one, who started it, what listens, does it take its configuration.

use super::machine::Machine;
use sshwhy_core::version::{Release, parse_release};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A process, from /proc.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    /// Arguments, or the title that it gave itself, with blanks.
    pub title: String,
    pub exe: Option<String>,
    pub state: char,
    pub uid: u32,
}

impl Process {
    pub fn is_sshd(&self) -> bool {
        self.name == "sshd"
            || self
                .exe
                .as_deref()
                .is_some_and(|e| e.trim_end_matches(" (deleted)").ends_with("/sshd"))
    }

    /// The one that accepts connections.
    pub fn is_listener(&self) -> bool {
        // `sshd -t` and its like answer a question and go.
        let asks = |w: &str| matches!(w, "-t" | "-T" | "-G" | "-V" | "-i");
        // One that is just ending has no arguments any more.
        self.is_sshd()
            && self.state != 'Z'
            && !self.title.is_empty()
            && (self.title.contains("[listener]") || !self.title.starts_with("sshd: "))
            && !self.title.split_ascii_whitespace().skip(1).any(asks)
    }

    /// `(now, start, full)` of `… [listener] 3 of 10-100 startups`.
    pub fn startups(&self) -> Option<(u32, u32, u32)> {
        let rest = self.title.split("[listener] ").nth(1)?;
        let mut w = rest.split([' ', '-']);
        let now = w.next()?.parse().ok()?;
        let _ = w.next()?;
        Some((now, w.next()?.parse().ok()?, w.next()?.parse().ok()?))
    }
}

/// All processes that can be read.
pub fn processes(machine: &Machine) -> Vec<Process> {
    let mut out = Vec::new();
    for name in machine.names("/proc") {
        let Ok(pid) = name.parse::<u32>() else {
            continue;
        };
        let Ok(stat) = machine.text(&format!("/proc/{pid}/stat")) else {
            continue;
        };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else {
            continue;
        };
        let mut rest = stat
            .get(close + 1..)
            .unwrap_or_default()
            .split_ascii_whitespace();
        let state = rest.next().and_then(|s| s.chars().next()).unwrap_or('?');
        let status = machine
            .text(&format!("/proc/{pid}/status"))
            .unwrap_or_default();
        let uid = status
            .lines()
            .find_map(|l| l.strip_prefix("Uid:"))
            .and_then(|l| l.split_ascii_whitespace().next())
            .and_then(|u| u.parse().ok())
            .unwrap_or(0);
        let title = machine
            .text(&format!("/proc/{pid}/cmdline"))
            .unwrap_or_default();
        out.push(Process {
            pid,
            name: stat.get(open + 1..close).unwrap_or_default().to_owned(),
            title: title.replace('\0', " ").trim().to_owned(),
            exe: machine.link(&format!("/proc/{pid}/exe")),
            state,
            uid,
        });
    }
    out
}

/// When a process started, in ticks since the machine did.
pub fn start_ticks(machine: &Machine, pid: u32) -> Option<i64> {
    let stat = machine.text(&format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    // The state is field 3.
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// Connections to a port from one address that are up now.
pub fn connected(machine: &Machine, port: u16, from: IpAddr) -> usize {
    let files = ["/proc/net/tcp", "/proc/net/tcp6"];
    let lines = files.map(|f| machine.text(f).unwrap_or_default());
    let from = from.to_canonical();
    lines
        .iter()
        .flat_map(|t| t.lines().skip(1))
        .filter(|line| {
            let w: Vec<&str> = line.split_ascii_whitespace().collect();
            let ends = w
                .get(1)
                .and_then(|l| address(l))
                .zip(w.get(2).and_then(|r| address(r)));
            w.get(3) == Some(&"01")
                && ends.is_some_and(|(l, r)| l.1 == port && r.0.to_canonical() == from)
        })
        .count()
}

/// How much of what was sent from a port to one address was sent again and again without an answer, and how often.
pub fn unacknowledged(machine: &Machine, port: u16, from: IpAddr) -> Option<(u64, u32)> {
    /// So many times takes a few seconds.
    const AGAIN: u32 = 3;
    let files = ["/proc/net/tcp", "/proc/net/tcp6"];
    let lines = files.map(|f| machine.text(f).unwrap_or_default());
    let from = from.to_canonical();
    lines
        .iter()
        .flat_map(|t| t.lines().skip(1))
        .filter_map(|line| {
            let w: Vec<&str> = line.split_ascii_whitespace().collect();
            let (local, remote) = (address(w.get(1)?)?, address(w.get(2)?)?);
            let sent = u64::from_str_radix(w.get(4)?.split(':').next()?, 16).ok()?;
            let again = u32::from_str_radix(w.get(6)?, 16).ok()?;
            // A SYN of ours that nobody answers is of the handshake.
            let open = !matches!(*w.get(3)?, "02" | "03" | "0A");
            (open
                && local.1 == port
                && remote.0.to_canonical() == from
                && sent > 0
                && again >= AGAIN)
                .then_some((sent, again))
        })
        .max()
}

/// Of the established connections of a process, one that cannot come to anything any more, in words: its own end is an address that
/// this machine has no longer, or what it sent was sent again and again without an answer.
pub fn dead_connection(machine: &Machine, pid: u32) -> Option<String> {
    let folder = format!("/proc/{pid}/fd");
    let sockets: Vec<String> = machine
        .names(&folder)
        .iter()
        .filter_map(|fd| machine.link(&format!("{folder}/{fd}")))
        .collect();
    let own = own_addresses(machine);
    let files = ["/proc/net/tcp", "/proc/net/tcp6"];
    let lines = files.map(|f| machine.text(f).unwrap_or_default());
    lines
        .iter()
        .flat_map(|t| t.lines().skip(1))
        .find_map(|line| dead(line, &sockets, &own))
}

/// The same of one line of /proc/net/tcp.
fn dead(line: &str, sockets: &[String], own: &[IpAddr]) -> Option<String> {
    /// So many times takes a few seconds.
    const AGAIN: u32 = 3;
    let w: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, _) = address(w.get(1)?)?;
    let (remote, port) = address(w.get(2)?)?;
    let inode = format!("socket:[{}]", w.get(9)?);
    if w.get(3) != Some(&"01") || !sockets.contains(&inode) {
        return None;
    }
    let (local, remote) = (local.to_canonical(), remote.to_canonical());
    let again = u32::from_str_radix(w.get(6)?, 16).unwrap_or(0);
    if !local.is_loopback() && !own.contains(&local) {
        Some(format!(
            "its connection to {remote} port {port} was made from {local}, an address that this machine has no more"
        ))
    } else if again >= AGAIN {
        Some(format!(
            "its connection to {remote} port {port} is dead: what it sent was sent {again} times again, and nothing came back"
        ))
    } else {
        None
    }
}

/// A listening TCP socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    pub ip: IpAddr,
    pub port: u16,
    pub inode: u64,
    pub pid: Option<u32>,
    /// Connections that nobody has fetched yet.
    pub queue: u64,
    /// systemd opened it and passed it on: then `[::]` takes IPv4 too, which sshd's own sockets never do.
    pub inherited: bool,
}

pub(crate) fn address(hex: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = hex.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<u32>> = (0..ip.len() / 8)
        .map(|i| {
            u32::from_str_radix(ip.get(i * 8..i * 8 + 8)?, 16)
                .ok()
                .map(u32::swap_bytes)
        })
        .collect();
    match words?[..] {
        [a] => Some((IpAddr::V4(Ipv4Addr::from(a)), port)),
        [a, b, c, d] => {
            let bits =
                u128::from(a) << 96 | u128::from(b) << 64 | u128::from(c) << 32 | u128::from(d);
            Some((IpAddr::V6(Ipv6Addr::from(bits)), port))
        }
        _ => None,
    }
}

/// What listens, and which process owns it.
pub fn listeners(machine: &Machine, processes: &[Process]) -> Vec<Listener> {
    let mut out = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in machine.text(file).unwrap_or_default().lines().skip(1) {
            let w: Vec<&str> = line.split_ascii_whitespace().collect();
            let (Some(local), Some(&"0A"), Some(inode)) = (w.get(1), w.get(3), w.get(9)) else {
                continue;
            };
            // tx_queue:rx_queue, in hexadecimal digits.
            let queue = w.get(4).and_then(|q| q.split_once(':'));
            let queue = queue.and_then(|(_, rx)| u64::from_str_radix(rx, 16).ok());
            if let (Some((ip, port)), Ok(inode)) = (address(local), inode.parse()) {
                out.push(Listener {
                    ip,
                    port,
                    inode,
                    queue: queue.unwrap_or(0),
                    pid: None,
                    inherited: false,
                });
            }
        }
    }
    for p in processes {
        if out.iter().all(|l| l.pid.is_some()) {
            break;
        }
        let folder = format!("/proc/{}/fd", p.pid);
        for fd in machine.names(&folder) {
            let Some(target) = machine.link(&format!("{folder}/{fd}")) else {
                continue;
            };
            let Some(inode) = target
                .strip_prefix("socket:[")
                .and_then(|t| t.strip_suffix(']'))
            else {
                continue;
            };
            for l in out.iter_mut().filter(|l| l.inode.to_string() == inode) {
                // Every child has the socket too: the oldest process is the one that opened it. systemd comes before sshd.
                let better = l.pid.is_none_or(|pid| {
                    p.is_sshd() && processes.iter().any(|q| q.pid == pid && !q.is_sshd())
                });
                l.inherited |= p.pid == 1;
                if better {
                    l.pid = Some(p.pid);
                }
            }
        }
    }
    out
}

/// The addresses of this machine, from /proc/net/fib_trie and if_inet6.
pub fn own_addresses(machine: &Machine) -> Vec<IpAddr> {
    let mut out = Vec::new();
    let trie = machine.text("/proc/net/fib_trie").unwrap_or_default();
    let mut last = None;
    for line in trie.lines() {
        let word = line.trim_start_matches([' ', '|', '-', '+']);
        if let Ok(ip) = word
            .split(['/', ' '])
            .next()
            .unwrap_or_default()
            .parse::<Ipv4Addr>()
        {
            last = Some(ip);
        }
        if line.contains("/32 host LOCAL")
            && let Some(ip) = last
            && !out.contains(&IpAddr::V4(ip))
        {
            out.push(IpAddr::V4(ip));
        }
    }
    for line in machine
        .text("/proc/net/if_inet6")
        .unwrap_or_default()
        .lines()
    {
        let hex = line.split_ascii_whitespace().next().unwrap_or_default();
        if let Ok(bits) = u128::from_str_radix(hex, 16) {
            out.push(IpAddr::V6(Ipv6Addr::from(bits)));
        }
    }
    out
}

/// The binary and its release.
#[derive(Clone, Debug)]
pub struct Binary {
    pub path: String,
    pub release: Option<Release>,
    pub text: String,
}

pub fn binary(machine: &Machine, running: Option<&Process>) -> Option<Binary> {
    let known = running
        .and_then(|p| p.exe.clone())
        .map(|e| e.trim_end_matches(" (deleted)").to_owned())
        .filter(|e| e.ends_with("/sshd"));
    let path = known.or_else(|| {
        [
            "/usr/sbin/sshd",
            "/usr/local/sbin/sshd",
            "/sbin/sshd",
            "/usr/bin/sshd",
            "/opt/sbin/sshd",
        ]
        .iter()
        .find(|p| machine.exists(p))
        .map(|p| (*p).to_owned())
    })?;
    // sshd -V (9.2 and later) says it; older ones say it among the complaints about -V.
    let said = machine.ask("sshd-V", &path, &["-V"]);
    let text = said
        .map(|a| format!("{}{}", a.out, a.err))
        .unwrap_or_default();
    let at = text.find("OpenSSH_").map(|i| i + "OpenSSH_".len());
    let release = at.and_then(|i| text.get(i..)).and_then(parse_release);
    let line = text
        .lines()
        .find(|l| l.contains("OpenSSH_"))
        .unwrap_or_default()
        .to_owned();
    Some(Binary {
        path,
        release,
        text: line,
    })
}

/// Whether the binary is linked against libwrap: it names the library among what it needs.
pub fn has_libwrap(machine: &Machine, binary: &str) -> bool {
    if machine.is_live() {
        return memchr::memmem::find(&std::fs::read(binary).unwrap_or_default(), b"libwrap.so")
            .is_some();
    }
    machine
        .tail(binary, 4 << 20)
        .is_ok_and(|b| memchr::memmem::find(&b, b"libwrap.so").is_some())
}

/// A systemd unit, its drop-ins laid over it.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    pub name: String,
    pub masked: bool,
    /// Some target wants it.
    pub enabled: bool,
    /// `section.key` → values in order, with `file:line`; an empty value resets the list.
    pub settings: BTreeMap<String, Vec<(String, String)>>,
    pub files: Vec<String>,
}

impl Unit {
    pub fn all(&self, key: &str) -> &[(String, String)] {
        self.settings.get(key).map_or(&[], Vec::as_slice)
    }
}

const UNIT_FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Reads a unit from its files; `None` where there is none of that name.
pub fn unit(machine: &Machine, name: &str) -> Option<Unit> {
    let mut unit = Unit {
        name: name.to_owned(),
        ..Unit::default()
    };
    let main = UNIT_FOLDERS
        .iter()
        .map(|f| format!("{f}/{name}"))
        .find(|p| machine.link(p).is_some() || machine.exists(p))?;
    if machine.link(&main).as_deref() == Some("/dev/null") {
        unit.masked = true;
    } else {
        load(machine, &main, &mut unit);
    }
    let mut drop_ins: BTreeMap<String, String> = BTreeMap::new();
    for folder in UNIT_FOLDERS.iter().rev() {
        for file in machine.glob(&format!("{folder}/{name}.d/*.conf")) {
            let key = file.rsplit('/').next().unwrap_or_default().to_owned();
            drop_ins.insert(key, file);
        }
    }
    for file in drop_ins.into_values() {
        load(machine, &file, &mut unit);
    }
    unit.enabled = !machine
        .glob(&format!("/etc/systemd/system/*.wants/{name}"))
        .is_empty();
    Some(unit)
}

fn load(machine: &Machine, path: &str, unit: &mut Unit) {
    let Ok(text) = machine.text(path) else { return };
    unit.files.push(path.to_owned());
    let mut section = String::new();
    let mut carry = String::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with(['#', ';']) || line.is_empty() {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            carry.push_str(part);
            carry.push(' ');
            continue;
        }
        let line = format!("{}{line}", std::mem::take(&mut carry));
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let slot = unit
            .settings
            .entry(format!("{section}.{}", key.trim()))
            .or_default();
        if value.trim().is_empty() {
            slot.clear();
        } else {
            slot.push((value.trim().to_owned(), format!("{path}:{}", i + 1)));
        }
    }
}

/// `Key=Value` lines of `systemctl show`; what it says several times stands on lines of its own.
pub fn show(machine: &Machine, unit: &str) -> BTreeMap<String, String> {
    let props = "LoadState,LoadError,ActiveState,SubState,UnitFileState,Result,ExecMainCode,ExecMainStatus,\
                 ExecStartPre,ExecStart,ExecStartPost,Job,ConditionResult,ConditionTimestampMonotonic";
    let Some(answer) = machine.ask(
        &format!("systemctl-show-{unit}"),
        "systemctl",
        &["show", unit, "-p", props, "--no-pager"],
    ) else {
        return BTreeMap::new();
    };
    if !answer.ok {
        return BTreeMap::new();
    }
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in answer.out.lines().filter_map(|l| l.split_once('=')) {
        match out.get_mut(key) {
            Some(known) => {
                known.push('\n');
                known.push_str(value);
            }
            None => {
                out.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_from_an_address_that_is_gone_or_without_answers_is_dead() {
        // 10.66.1.2:40000 to 10.66.2.2:22, socket 77.
        let line = |state: &str, again: &str| {
            format!(
                "   1: 0201420A:9C40 0202420A:0016 {state} 00000058:00000000 01:00000010 {again}  1000        0 77 2 0 0"
            )
        };
        let mine = ["socket:[77]".to_owned()];
        let here: [IpAddr; 1] = ["10.66.1.2".parse().unwrap()];
        let gone: [IpAddr; 1] = ["10.66.1.5".parse().unwrap()];
        let up = line("01", "00000000");
        assert!(dead(&up, &mine, &gone).unwrap().contains("10.66.1.2"));
        assert_eq!(dead(&up, &mine, &here), None);
        assert_eq!(dead(&up, &["socket:[78]".to_owned()], &gone), None);
        assert_eq!(dead(&line("06", "00000000"), &mine, &gone), None);
        assert!(dead(&line("01", "00000005"), &mine, &here).is_some());
        assert_eq!(dead(&line("01", "00000001"), &mine, &here), None);
        assert_eq!(dead("", &mine, &gone), None);
    }

    #[test]
    fn what_is_sent_again_and_again_is_counted() {
        let root = crate::source::testing::Scratch::new();
        // 198.51.100.2:22 to 192.0.2.7:40000, 41 bytes in the queue.
        let line = |state: &str, again: &str| {
            format!(
                "  sl  local\n   1: 026433C6:0016 070200C0:9C40 {state} 00000029:00000000 01:00000010 {again}  0        0 77 2 0 0\n"
            )
        };
        let from: IpAddr = "192.0.2.7".parse().unwrap();
        let seen = |text: String, port: u16| {
            root.write("proc/net/tcp", text.as_bytes());
            unacknowledged(&Machine::at(root.path()), port, from)
        };
        assert_eq!(seen(line("01", "00000004"), 22), Some((41, 4)));
        assert_eq!(seen(line("04", "00000004"), 22), Some((41, 4)));
        assert_eq!(seen(line("01", "00000001"), 22), None);
        assert_eq!(seen(line("03", "00000004"), 22), None);
        assert_eq!(seen(line("01", "00000004"), 2222), None);
    }

    #[test]
    fn socket_addresses_are_read_in_either_length() {
        assert_eq!(
            address("0100007F:0016"),
            Some((IpAddr::V4(Ipv4Addr::LOCALHOST), 22))
        );
        assert_eq!(
            address("00000000000000000000000001000000:08AE"),
            Some((IpAddr::V6(Ipv6Addr::LOCALHOST), 2222))
        );
        assert_eq!(address("xyz"), None);
    }

    #[test]
    fn the_listeners_title_tells_its_load() {
        let p = |title: &str| Process {
            pid: 1,
            name: "sshd".into(),
            title: title.into(),
            exe: None,
            state: 'S',
            uid: 0,
        };
        let l = p("sshd: /usr/sbin/sshd -D [listener] 3 of 10-100 startups");
        assert!(l.is_listener());
        assert_eq!(l.startups(), Some((3, 10, 100)));
        assert!(!p("sshd: alice [priv]").is_listener());
        assert_eq!(p("/usr/sbin/sshd -D").startups(), None);
        assert!(p("/usr/sbin/sshd -D").is_listener());
        assert!(!p("/usr/sbin/sshd -t").is_listener());
        assert!(!p("").is_listener());
    }
}
