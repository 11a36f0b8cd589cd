//! /etc/hosts.deny: for an sshd that is linked against libwrap, where no packet filter can be used.
//!
//! Our lines stand between two marks, each under a comment with its end; everybody else's lines stay byte for byte as they are. The
//! file is written beside itself and renamed, so a reader sees the old or the new one, and a full disk costs neither. Most
//! sshds have no libwrap since OpenSSH 6.7 (Debian's has): [`Backend::prove`] looks.

use super::{Backend, Held, Order, Proof, Trouble};
use crate::host::daemon;
use crate::host::machine::Machine;
use sshwhy_core::addr::{Cidr, network, parse_ip};
use sshwhy_core::server::{Packet, wrappers};
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

const BEGIN: &str = "# sshwhy begin: kept by sshwhy, changes in here are lost";
const END: &str = "# sshwhy end";

pub struct HostsDeny {
    file: PathBuf,
    /// Only the machine's own file can be compared with its sshd.
    own: bool,
}

/// A line of ours: network, and when it ends (Unix seconds).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    net: Cidr,
    until: Option<u64>,
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// As hosts_access(5) writes a client: an address, `net/mask`, `[v6net]/len`.
fn client(net: Cidr) -> String {
    match net.ip {
        IpAddr::V4(ip) if net.len == 32 => ip.to_string(),
        IpAddr::V4(ip) => format!("{ip}/{}", network(Ipv4Addr::BROADCAST.into(), net.len)),
        IpAddr::V6(ip) => format!("[{ip}]/{}", net.len),
    }
}

fn parse_client(text: &str) -> Option<Cidr> {
    let (ip, mask) = match text.split_once('/') {
        Some((ip, mask)) => (ip, Some(mask)),
        None => (text, None),
    };
    let ip = parse_ip(ip.trim_matches(['[', ']']).as_bytes())?;
    let len = match mask {
        None => return Some(Cidr::one(ip)),
        Some(m) => match (m.parse::<u8>(), parse_ip(m.as_bytes())) {
            (Ok(len), _) => len,
            (_, Some(IpAddr::V4(m))) => u8::try_from(u32::from(m).leading_ones()).ok()?,
            _ => return None,
        },
    };
    Some(Cidr::around(ip, len))
}

/// The text before our block, our entries, the text after it.
fn split(text: &str) -> (String, Vec<Entry>, String) {
    let (mut before, mut entries, mut after) = (String::new(), Vec::new(), String::new());
    let mut inside = false;
    let mut seen = false;
    let mut until = None;
    // A begin without an end is somebody's half edit: then nothing is ours but the lines that look like ours.
    let closed = text.lines().any(|l| l.trim_end() == END);
    for line in text.split_inclusive('\n') {
        let plain = line.trim_end();
        if plain == BEGIN {
            (inside, seen) = (true, true);
        } else if plain == END && inside {
            inside = false;
        } else if inside {
            if let Some(t) = plain.strip_prefix("# until ") {
                until = t.parse().ok();
            } else if let Some(net) = plain.strip_prefix("sshd: ").and_then(parse_client) {
                entries.push(Entry {
                    net,
                    until: until.take(),
                });
            } else if !closed {
                after.push_str(line);
            }
        } else if seen {
            after.push_str(line);
        } else {
            before.push_str(line);
        }
    }
    (before, entries, after)
}

fn join(before: &str, entries: &[Entry], after: &str) -> String {
    let mut out = before.to_owned();
    if entries.is_empty() {
        out.push_str(after);
        return out;
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(BEGIN);
    out.push('\n');
    for e in entries {
        if let Some(until) = e.until {
            out.push_str(&format!("# until {until}\n"));
        }
        out.push_str(&format!("sshd: {}\n", client(e.net)));
    }
    out.push_str(END);
    out.push('\n');
    out.push_str(after);
    out
}

impl HostsDeny {
    pub fn new(file: Option<PathBuf>) -> HostsDeny {
        HostsDeny {
            own: file.is_none(),
            file: file.unwrap_or_else(|| PathBuf::from("/etc/hosts.deny")),
        }
    }

    fn trouble(&self, e: &std::io::Error, doing: &str) -> Trouble {
        Trouble::new(
            &self.file.display().to_string(),
            format!("cannot be {doing}: {e}"),
            "nothing was changed; it takes root and some space on that disk",
        )
    }

    fn read(&self) -> Result<String, Trouble> {
        match fs::read(&self.file) {
            // hosts_access(5) is bytes; what is no UTF-8 must not be rewritten.
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| {
                Trouble::new(
                    &self.file.display().to_string(),
                    "holds bytes that are no UTF-8",
                    "correct those lines first: rewriting the file would change them",
                )
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(self.trouble(&e, "read")),
        }
    }

    fn write(&self, before: &str, text: &str) -> Result<(), Trouble> {
        if before == text {
            return Ok(());
        }
        // Behind a link the file itself is replaced, not the link.
        let file = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        let mut beside = file.as_os_str().to_owned();
        beside.push(".sshwhy-new");
        let beside = PathBuf::from(beside);
        let meta = fs::metadata(&file).ok();
        let write = || {
            let _ = fs::remove_file(&beside);
            let mut f = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(meta.as_ref().map_or(0o644, |m| m.mode() & 0o7777))
                .open(&beside)?;
            f.write_all(text.as_bytes())?;
            if let Some(m) = &meta {
                std::os::unix::fs::chown(&beside, Some(m.uid()), Some(m.gid()))?;
                f.set_permissions(m.permissions())?;
            }
            f.sync_all()?;
            // Somebody else may have written meanwhile: his lines count too.
            if fs::read(&file).unwrap_or_default() != before.as_bytes() {
                return Err(std::io::Error::other(
                    "somebody else changed it at the same moment; try again",
                ));
            }
            fs::rename(&beside, &file)
        };
        write().map_err(|e| {
            let _ = fs::remove_file(&beside);
            self.trouble(&e, "written")
        })
    }
}

impl Backend for HostsDeny {
    fn name(&self) -> &'static str {
        "hosts.deny"
    }

    fn ensure(&mut self, _: bool) -> Result<bool, Trouble> {
        self.read().map(|_| false)
    }

    fn stands(&mut self) -> Result<bool, Trouble> {
        self.read().map(|_| true)
    }

    fn apply(&mut self, orders: &[Order], _: bool) -> Result<(), Trouble> {
        let text = self.read()?;
        let (before, mut entries, after) = split(&text);
        let now = now();
        let named: std::collections::HashSet<(IpAddr, u8)> =
            orders.iter().map(|o| (o.net().ip, o.net().len)).collect();
        entries
            .retain(|e| !named.contains(&(e.net.ip, e.net.len)) && e.until.is_none_or(|u| u > now));
        for order in orders {
            if let Order::Ban(net, secs) = order {
                entries.push(Entry {
                    net: *net,
                    until: secs.map(|s| now.saturating_add(s)),
                });
            }
        }
        self.write(&text, &join(&before, &entries, &after))
    }

    fn list(&mut self) -> Result<Vec<Held>, Trouble> {
        let now = now();
        let (_, entries, _) = split(&self.read()?);
        let held = |e: &Entry| Held {
            net: e.net,
            left: e.until.map(|u| u.saturating_sub(now)),
        };
        Ok(entries.iter().map(held).collect())
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        let text = self.read()?;
        let (before, _, after) = split(&text);
        self.write(&text, &join(&before, &[], &after))
    }

    fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble> {
        let deny = self.read()?;
        let allow = self.file.with_file_name("hosts.allow");
        let allow = fs::read(allow).unwrap_or_default();
        let allow = String::from_utf8_lossy(&allow);
        let machine = Machine::here();
        let binary = daemon::binary(&machine, None);
        if self.own
            && let Some(b) = &binary
            && !daemon::has_libwrap(&machine, &b.path)
        {
            let why = format!(
                "{} is not linked against libwrap, so it never reads hosts.deny",
                b.path
            );
            let ineffective = Proof::Ineffective {
                why,
                place: String::new(),
                rule: String::new(),
            };
            return Ok(vec![ineffective; packets.len()]);
        }
        let call = |p: &Packet| wrappers::Call {
            daemon: "sshd",
            server: p.to,
            client: p.from,
            host: None,
        };
        let one = |p: &Packet| match wrappers::denied(&allow, &deny, &call(p)) {
            Some(d) => Proof::Effective {
                place: format!("{}:{}", self.file.display(), d.line),
                rule: d.text,
            },
            None if wrappers::denied("", &deny, &call(p)).is_some() => Proof::Ineffective {
                why: "a line of hosts.allow lets it in before hosts.deny is read".to_owned(),
                place: "hosts.allow".to_owned(),
                rule: String::new(),
            },
            None => Proof::Ineffective {
                why: format!("no line denies {}", p.from),
                place: String::new(),
                rule: String::new(),
            },
        };
        Ok(packets.iter().map(one).collect())
    }

    /// The comment says when; nobody but us reads it.
    fn expires(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::testing::net;
    use super::*;
    use sshwhy_core::server::Leg;
    use std::os::unix::fs::PermissionsExt;

    fn file(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("sshwhy-deny-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir.join("hosts.deny")
    }

    fn packet(from: &str) -> Packet {
        Packet {
            from: from.parse().unwrap(),
            to: None,
            port: 22,
            interface: None,
            leg: Leg::Opens,
        }
    }

    #[test]
    fn others_lines_stay_as_they_are_and_ours_are_read_by_libwraps_rules() {
        let path = file("others");
        let others = "# mine\nvsftpd: ALL\nsshd: 203.0.113.77\\\n , 203.0.113.78\n";
        fs::write(&path, others).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mut b = HostsDeny::new(Some(path.clone()));
        b.apply(
            &[
                Order::Ban(net("192.0.2.7"), Some(600)),
                Order::Ban(net("198.51.100.0/22"), None),
                Order::Ban(net("2001:db8::/64"), None),
            ],
            false,
        )
        .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(others), "{text}");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        let held: Vec<String> = b
            .list()
            .unwrap()
            .iter()
            .map(|h| h.net.to_string())
            .collect();
        assert_eq!(held.len(), 3, "{held:?}");
        for (ip, denied) in [
            ("192.0.2.7", true),
            ("198.51.103.9", true),
            ("198.51.104.9", false),
            ("2001:db8::5", true),
            ("2001:db8:0:1::5", false),
            ("192.0.2.8", false),
        ] {
            let got = matches!(
                b.prove(&[packet(ip)]).unwrap().first(),
                Some(Proof::Effective { .. })
            );
            assert_eq!(got, denied, "{ip}");
        }
        // hosts.allow wins, and the proof says so.
        fs::write(path.with_file_name("hosts.allow"), "sshd: 192.0.2.\n").unwrap();
        let said = format!("{:?}", b.prove(&[packet("192.0.2.7")]).unwrap());
        assert!(said.contains("hosts.allow"), "{said}");
        // What others append comes to stand after our block, and stays.
        fs::write(&path, format!("{text}ALL: 203.0.113.1\n")).unwrap();
        b.apply(&[Order::Unban(net("192.0.2.7"))], false).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.ends_with("ALL: 203.0.113.1\n") && !text.contains("192.0.2.7"),
            "{text}"
        );
        b.flush().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{others}ALL: 203.0.113.1\n")
        );
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_and_left_whole() {
        let missing = file("missing");
        let path = missing.with_file_name("none").join("hosts.deny");
        let mut b = HostsDeny::new(Some(path));
        let e = b
            .apply(&[Order::Ban(net("192.0.2.7"), None)], false)
            .unwrap_err();
        assert!(e.to_string().contains("cannot be written"), "{e}");
        fs::remove_dir_all(missing.parent().unwrap()).unwrap();
        let path = file("bytes");
        fs::write(&path, b"sshd: \xff\n").unwrap();
        let e = HostsDeny::new(Some(path.clone()))
            .apply(&[Order::Ban(net("192.0.2.7"), None)], false)
            .unwrap_err();
        assert!(e.to_string().contains("UTF-8"), "{e}");
        assert_eq!(fs::read(&path).unwrap(), b"sshd: \xff\n");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_half_edited_block_loses_nobodys_line() {
        let text = format!("a: b\n{BEGIN}\nsshd: 192.0.2.7\nsshd: example.org\nvsftpd: ALL\n");
        let (before, entries, after) = split(&text);
        assert_eq!((before.as_str(), entries.len()), ("a: b\n", 1));
        assert_eq!(after, "sshd: example.org\nvsftpd: ALL\n");
    }
}
