//! Lines in the node's own logs that speak of somebody else: a container's output in the journal, a command that somebody ran in a
//! pod (the audit log of Kubernetes), a connection that the packet filter logged or tracked, what a watcher of system calls (Falco)
//! saw, somebody who came in to go on from here. They count for whom they speak of, not for who wrote them.
//!
//! Nothing is guessed: a line that does not say whom it is about is nobody's.

use crate::addr::parse_ip;
use crate::time::Time;
use memchr::memmem;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// Whom a line speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Its id, or the first digits of it, and its name where that stands there.
    Container { id: String, name: String },
    /// A container by the name that it goes by among those of its project.
    Named(String),
    /// A pod of Kubernetes; the container is empty where the pod's first one is meant.
    Pod {
        namespace: String,
        pod: String,
        container: String,
    },
    /// Whoever has this address behind the node.
    Addr(IpAddr),
    /// A process of the node itself.
    Process(String),
    /// Who was let in to the node, and from where.
    Visitor(String),
}

/// What was said of somebody, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Relayed {
    pub who: Who,
    pub at: Time,
    pub text: String,
}

/// Hex digits of an id that Docker gives as the name of who wrote a line.
const SHORT_ID: usize = 12;
const MAX_TEXT: usize = 2000;

fn text(v: Option<&Value>) -> String {
    v.and_then(Value::as_str)
        .unwrap_or_default()
        .chars()
        .take(MAX_TEXT)
        .collect()
}

fn moment(v: Option<&Value>) -> Option<Time> {
    Some(Time::parse_rfc3339(v?.as_str()?.as_bytes())?.0)
}

/// Whom a whole line speaks of, where it says so in a form of its own: JSON of the journal, of Kubernetes' audit log and of Falco,
/// and `conntrack -E -o timestamp`. `port`: sshd's on the target.
pub fn relayed(line: &[u8], port: u16) -> Option<Relayed> {
    if line.first() == Some(&b'[') {
        return tracked(line, port);
    }
    if line.first() != Some(&b'{') {
        return composed(line);
    }
    let has = |needle: &[u8]| memmem::find(line, needle).is_some();
    let journal = has(b"\"CONTAINER_ID");
    let cluster = !journal && has(b"\"audit.k8s.io/");
    let falco = !journal && !cluster && has(b"\"output_fields\"");
    if !journal && !cluster && !falco {
        return None;
    }
    let Ok(Value::Object(map)) = serde_json::from_slice(line) else {
        return None;
    };
    if journal {
        of_journal(&map)
    } else if cluster {
        of_cluster(&map)
    } else {
        of_falco(&map, port)
    }
}

/// `docker compose logs --timestamps`: `puller-1  | 2023-03-28T16:00:15.123456789Z text`.
fn composed(line: &[u8]) -> Option<Relayed> {
    let bar = memmem::find(line.get(..100).unwrap_or(line), b" | ")?;
    let name = std::str::from_utf8(line.get(..bar)?).ok()?.trim_end();
    let rest = line.get(bar + 3..)?;
    let (at, used) = Time::parse_rfc3339(rest)?;
    let named = !name.is_empty() && !name.contains(char::is_whitespace);
    let said = String::from_utf8_lossy(rest.get(used..)?);
    named.then(|| Relayed {
        who: Who::Named(name.to_owned()),
        at,
        text: said.trim_start().chars().take(MAX_TEXT).collect(),
    })
}

/// Docker's and podman's journald drivers.
fn of_journal(map: &Map<String, Value>) -> Option<Relayed> {
    let id = text(map.get("CONTAINER_ID_FULL").or(map.get("CONTAINER_ID")));
    let micros: i64 = text(map.get("__REALTIME_TIMESTAMP")).parse().ok()?;
    let said = match map.get("MESSAGE")? {
        // Bytes that are no UTF-8.
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes
                .iter()
                .take(MAX_TEXT)
                .filter_map(|b| b.as_u64().and_then(|b| u8::try_from(b).ok()))
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        v => text(Some(v)),
    };
    (!id.is_empty()).then(|| Relayed {
        who: Who::Container {
            id,
            name: text(map.get("CONTAINER_NAME")),
        },
        at: Time(micros),
        text: said,
    })
}

/// Somebody ran a command in a pod, attached to it, or forwarded a port of it. Each request is written down when it comes in and when
/// it is answered; it is counted once, by when it came in.
fn of_cluster(map: &Map<String, Value>) -> Option<Relayed> {
    let of = map.get("objectRef")?;
    let how = text(of.get("subresource"));
    let enters = matches!(how.as_str(), "exec" | "attach" | "portforward");
    if !enters || text(of.get("resource")) != "pods" || text(map.get("stage")) == "RequestReceived"
    {
        return None;
    }
    // A session is answered when it begins and again when it ends.
    if text(map.get("stage")) == "ResponseComplete" && map.get("responseStatus").is_none() {
        return None;
    }
    let uri = text(map.get("requestURI"));
    let query = uri.split_once('?').map_or("", |(_, q)| q);
    let values = |key: &str| -> Vec<String> {
        query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .filter(|(k, _)| *k == key)
            .map(|(_, v)| unescaped(v))
            .collect()
    };
    let user = text(map.get("user").and_then(|u| u.get("username")));
    let from = text(map.get("sourceIPs").and_then(|s| s.get(0)));
    let from = if from.is_empty() {
        String::new()
    } else {
        format!(" from {from}")
    };
    Some(Relayed {
        who: Who::Pod {
            namespace: text(of.get("namespace")),
            pod: text(of.get("name")),
            container: values("container").pop().unwrap_or_default(),
        },
        at: moment(map.get("requestReceivedTimestamp"))?,
        text: format!("{how} by {user}{from}: {}", values("command").join(" ")),
    })
}

/// `%40` of a query; `+` is a blank there.
fn unescaped(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let pair = more.get(..2).and_then(|p| std::str::from_utf8(p).ok());
        match (first, pair.and_then(|p| u8::from_str_radix(p, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = more.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*first),
        }
        rest = more;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An alert about a connection to sshd's port, or about a program that speaks SSH.
fn of_falco(map: &Map<String, Value>, port: u16) -> Option<Relayed> {
    let fields = map.get("output_fields")?;
    let of = |key: &str| text(fields.get(key));
    let command = of("proc.cmdline");
    let to_port = ["fd.sport", "fd.rport", "fd.l4port"]
        .iter()
        .find_map(|k| fields.get(*k).and_then(Value::as_u64));
    let ssh = to_port == Some(u64::from(port)) || super::rank::speaks_ssh(&command);
    let id = of("container.id");
    if !ssh || id.is_empty() {
        return None;
    }
    let who = if id == "host" {
        let program = [of("proc.pname"), of("proc.name")]
            .into_iter()
            .find(|p| !p.is_empty() && p != "<NA>");
        Who::Process(program.unwrap_or_else(|| command.clone()))
    } else {
        Who::Container {
            id,
            name: of("container.name"),
        }
    };
    Some(Relayed {
        who,
        at: moment(map.get("time"))?,
        text: format!("{}: {} ({command})", text(map.get("rule")), of("fd.name")),
    })
}

/// The value after `key=`, where it stands as a word.
fn value_of<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words
        .iter()
        .find_map(|w| w.strip_prefix(key)?.strip_prefix('='))
}

/// `[1680019200.123456]     [NEW] tcp      6 120 SYN_SENT src=10.244.1.37 dst=192.0.2.5 sport=40000 dport=22 [UNREPLIED] src=…`
fn tracked(line: &[u8], port: u16) -> Option<Relayed> {
    memmem::find(line, b"[NEW]")?;
    let line = std::str::from_utf8(line).ok()?;
    let (stamp, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (secs, fraction) = stamp.trim().split_once('.')?;
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let at = Time(secs.parse::<i64>().ok()?.checked_mul(1_000_000)? + micros);
    let words: Vec<&str> = rest.split_whitespace().collect();
    let from = parse_ip(value_of(&words, "src")?.as_bytes())?;
    let to = parse_ip(value_of(&words, "dst")?.as_bytes())?;
    if value_of(&words, "dport")?.parse::<u16>().ok()? != port {
        return None;
    }
    Some(Relayed {
        who: Who::Addr(from),
        at,
        text: format!("a connection to {to} port {port} was tracked"),
    })
}

/// What the packet filter logged of a connection's first packet to sshd's port: `IN=cni0 OUT=eth0 … SRC=10.244.1.37 DST=192.0.2.5 …
/// PROTO=TCP SPT=40000 DPT=22 … SYN URGP=0`, with `UID=1007` where the rule says so and a process of the node sent it.
pub fn filtered(message: &str, port: u16) -> Option<(Who, String)> {
    if !message.contains("SRC=") || !message.contains("DPT=") {
        return None;
    }
    let words: Vec<&str> = message.split_whitespace().collect();
    let from = parse_ip(value_of(&words, "SRC")?.as_bytes())?;
    let to = parse_ip(value_of(&words, "DST")?.as_bytes())?;
    let first = words.contains(&"SYN") && !words.contains(&"ACK");
    if !first || value_of(&words, "DPT")?.parse::<u16>().ok()? != port {
        return None;
    }
    let text = format!("the packet filter logged a connection to {to} port {port}");
    let own = value_of(&words, "IN").is_some_and(str::is_empty);
    let who = match (own, value_of(&words, "UID")) {
        (true, Some(uid)) => Who::Process(format!("a process of uid {uid}")),
        // The node itself, which says nothing about who on it.
        (true, None) => return None,
        (false, _) => Who::Addr(from),
    };
    // Who came to the node itself is another question.
    (!value_of(&words, "OUT").is_some_and(str::is_empty)).then_some((who, text))
}

/// A container whose output stands in a text log under the first digits of its id, as Docker's syslog and journald drivers name it:
/// `5c1b0c2d3e4f[911]`, `docker/5c1b0c2d3e4f`.
pub fn named_by_id(ident: &[u8]) -> Option<Who> {
    let ident = std::str::from_utf8(ident).ok()?;
    let id = ident.rsplit('/').next()?;
    let hex = |id: &str| {
        id.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    // Twelve letters of a word may be hex; an id without a digit is rarer than such a word.
    let drawn = id.bytes().any(|b| b.is_ascii_digit());
    (id.len() == SHORT_ID && hex(id) && drawn).then(|| Who::Container {
        id: id.to_owned(),
        name: String::new(),
    })
}

/// Units whose lines are told apart by something better: cron's by their commands, sshd's by who came in, an engine's by container.
const SHARED_UNITS: [&str; 11] = [
    "cron",
    "crond",
    "cronie",
    "anacron",
    "ssh",
    "sshd",
    "docker",
    "containerd",
    "podman",
    "kubelet",
    "crio",
];

/// The service that a JSON line of the journal is about: systemd's own lines say it in `UNIT`, all others in `_SYSTEMD_UNIT`. What it
/// starts is then known by its name, whichever program of it writes.
pub fn unit_of(line: &[u8]) -> Option<Who> {
    let value = |key: &[u8]| {
        let at = memmem::find(line, key)? + key.len();
        let rest = line.get(at..at + 256).or(line.get(at..))?;
        let rest = rest
            .strip_prefix(b" ")
            .unwrap_or(rest)
            .strip_prefix(b"\"")?;
        std::str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()
    };
    if line.first() != Some(&b'{') {
        return None;
    }
    let unit = [
        &b"\"USER_UNIT\":"[..],
        b"\"UNIT\":",
        b"\"_SYSTEMD_USER_UNIT\":",
        b"\"_SYSTEMD_UNIT\":",
    ]
    .iter()
    .find_map(|key| value(key))?;
    let name = unit.strip_suffix(".service")?;
    let shared = name.starts_with("user@") || SHARED_UNITS.contains(&name.split('@').next()?);
    (!shared && !name.is_empty()).then(|| Who::Process(name.to_owned()))
}

/// Somebody was let in to the node: `Accepted publickey for deploy from 192.0.2.7 port 40000 ssh2`. Whoever goes on from here to the
/// target comes in just before.
pub fn came_in(message: &str) -> Option<(Who, String)> {
    let rest = message.strip_prefix("Accepted ")?;
    let (_, rest) = rest.split_once(" for ")?;
    // The peer's address stands last; a user's name may hold anything.
    let (rest, _) = rest.rsplit_once(" port ")?;
    let (user, from) = rest.rsplit_once(" from ")?;
    let from = parse_ip(from.as_bytes())?;
    let user: String = user.chars().take(64).collect();
    Some((
        Who::Visitor(format!("{user} from {from}")),
        format!("{user} was let in to this node from {from}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, name: &str) -> Who {
        Who::Container {
            id: id.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_line_counts_for_whom_it_speaks_of() {
        let journal = br#"{"__REALTIME_TIMESTAMP":"1680019200000000","CONTAINER_ID":"5c1b0c2d3e4f","CONTAINER_NAME":"job","MESSAGE":"dispatch","SYSLOG_IDENTIFIER":"5c1b0c2d3e4f"}"#;
        let r = relayed(journal, 22).unwrap();
        assert_eq!(
            (r.who, r.at, r.text.as_str()),
            (
                container("5c1b0c2d3e4f", "job"),
                Time::from_secs(1_680_019_200),
                "dispatch"
            )
        );
        let bytes = br#"{"__REALTIME_TIMESTAMP":"1680019200000000","CONTAINER_ID_FULL":"ab","MESSAGE":[104,105,255]}"#;
        assert_eq!(relayed(bytes, 22).unwrap().text, "hi\u{fffd}");
        let exec = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/ops/pods/tools-0/exec?command=ssh&command=a%40b&container=main","verb":"create","user":{"username":"ci"},"sourceIPs":["192.0.2.8"],"objectRef":{"resource":"pods","namespace":"ops","name":"tools-0","subresource":"exec"},"requestReceivedTimestamp":"2023-03-28T16:00:00.5Z"}"#;
        let r = relayed(exec, 22).unwrap();
        assert_eq!(
            r.who,
            Who::Pod {
                namespace: "ops".to_owned(),
                pod: "tools-0".to_owned(),
                container: "main".to_owned()
            }
        );
        assert_eq!(r.text, "exec by ci from 192.0.2.8: ssh a@b");
        let falco = br#"{"rule":"Disallowed SSH Connection","time":"2023-03-28T16:00:00.5Z","output_fields":{"container.id":"5c1b0c2d3e4f","container.name":"job","fd.name":"172.17.0.9:41000->192.0.2.5:22","fd.sport":22,"proc.cmdline":"ssh a@192.0.2.5"}}"#;
        assert_eq!(
            relayed(falco, 22).unwrap().who,
            container("5c1b0c2d3e4f", "job")
        );
        let tracked = b"[1680019200.123456]\t    [NEW] tcp      6 120 SYN_SENT src=10.244.1.37 dst=192.0.2.5 sport=40000 dport=22 [UNREPLIED] src=192.0.2.5 dst=192.0.2.1 sport=22 dport=40000";
        let r = relayed(tracked, 22).unwrap();
        assert_eq!(
            (r.who, r.at),
            (
                Who::Addr("10.244.1.37".parse().unwrap()),
                Time(1_680_019_200_123_456)
            )
        );
        let r = relayed(b"puller-1    | 2023-03-28T16:00:00Z pull | from b", 22).unwrap();
        assert_eq!(
            (r.who, r.at, r.text.as_str()),
            (
                Who::Named("puller-1".to_owned()),
                Time::from_secs(1_680_019_200),
                "pull | from b"
            )
        );
        let syn = "[9.1] OUT IN=cni0 OUT=eth0 MAC= SRC=10.244.1.37 DST=192.0.2.5 LEN=60 PROTO=TCP SPT=40000 DPT=22 WINDOW=64860 RES=0x00 SYN URGP=0";
        assert_eq!(
            filtered(syn, 22).unwrap().0,
            Who::Addr("10.244.1.37".parse().unwrap())
        );
        let own = "IN= OUT=eth0 SRC=192.0.2.1 DST=192.0.2.5 LEN=60 PROTO=TCP SPT=40000 DPT=22 SYN URGP=0 UID=1007 GID=1007";
        assert_eq!(
            filtered(own, 22).unwrap().0,
            Who::Process("a process of uid 1007".to_owned())
        );
        assert_eq!(
            named_by_id(b"docker/5c1b0c2d3e4f"),
            Some(container("5c1b0c2d3e4f", ""))
        );
        let (who, _) = came_in(
            "Accepted publickey for x from y from 192.0.2.7 port 40000 ssh2: ED25519 SHA256:a",
        )
        .unwrap();
        assert_eq!(who, Who::Visitor("x from y from 192.0.2.7".to_owned()));
    }

    #[test]
    fn what_names_nobody_is_nobodys() {
        for line in [
            &br#"{"__REALTIME_TIMESTAMP":"1680019200000000","MESSAGE":"x","_COMM":"sshd"}"#[..],
            br#"{"__REALTIME_TIMESTAMP":"16800192000000000000000","CONTAINER_ID":"5c1b0c2d3e4f","MESSAGE":"x"}"#,
            br#"{"CONTAINER_ID":"#,
            br#"{"apiVersion":"audit.k8s.io/v1","objectRef":{"resource":"pods","name":"a"},"verb":"list"}"#,
            br#"{"apiVersion":"audit.k8s.io/v1","stage":"RequestReceived","objectRef":{"resource":"pods","subresource":"exec","name":"a"},"requestReceivedTimestamp":"2023-03-28T16:00:00Z"}"#,
            br#"{"rule":"Write below etc","time":"2023-03-28T16:00:00Z","output_fields":{"container.id":"ab","proc.cmdline":"vi /etc/x"}}"#,
            b"[1680019200.1] [NEW] tcp 6 120 SYN_SENT src=10.244.1.37 dst=192.0.2.5 sport=40000 dport=443",
            b"[1680019200.1] [DESTROY] tcp src=10.244.1.37 dst=192.0.2.5 sport=40000 dport=22",
            b"[x] [NEW] src= dst= dport=22",
            b"puller-1  | no time",
            b"two words | 2023-03-28T16:00:00Z x",
            b" | 2023-03-28T16:00:00Z x",
            b"[",
            b"",
        ] {
            assert_eq!(relayed(line, 22), None, "{}", String::from_utf8_lossy(line));
        }
        for message in [
            // An answer, another port, somebody who came to this node, a process that nobody wrote down.
            "IN=cni0 OUT=eth0 SRC=10.0.0.1 DST=192.0.2.5 PROTO=TCP SPT=4 DPT=22 ACK SYN URGP=0",
            "IN=cni0 OUT=eth0 SRC=10.0.0.1 DST=192.0.2.5 PROTO=TCP SPT=4 DPT=222 SYN URGP=0",
            "IN=eth0 OUT= SRC=10.0.0.1 DST=192.0.2.5 PROTO=TCP SPT=4 DPT=22 SYN URGP=0",
            "IN= OUT=eth0 SRC=10.0.0.1 DST=192.0.2.5 PROTO=TCP SPT=4 DPT=22 SYN URGP=0",
            "SRC=x DST=y DPT=z SYN",
            "",
        ] {
            assert_eq!(filtered(message, 22), None, "{message}");
        }
        for ident in [
            &b"sshd"[..],
            b"defacedbeefs",
            b"abcdefabcdef",
            b"\xff\xfe",
            b"",
        ] {
            assert_eq!(named_by_id(ident), None);
        }
        for unit in [
            "cron.service",
            "ssh.service",
            "sshd@3.service",
            "session-4.scope",
            "user@1000.service",
            ".service",
            "",
        ] {
            let line = format!(r#"{{"MESSAGE":"x","_SYSTEMD_UNIT":"{unit}"}}"#);
            assert_eq!(unit_of(line.as_bytes()), None, "{unit}");
        }
        assert_eq!(unit_of(br#"{"_SYSTEMD_UNIT":"a"#), None);
        assert_eq!(unit_of(b"x"), None);
        assert_eq!(came_in("Accepted key from nowhere"), None);
        assert_eq!(
            came_in("Failed password for a from 192.0.2.7 port 1 ssh2"),
            None
        );
    }
}
