//! Whether sshd asks a name server about the client, and whether one answers: a dead one holds the greeting or the login up.

use super::Scene;
use sshwhy_core::catalog::causes::Gate;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long all name servers together may take.
const PATIENCE: Duration = Duration::from_millis(1500);
/// resolv.conf(5): MAXNS.
const MOST: usize = 3;

/// Says what makes sshd ask, and asks the same name servers the same question; nothing is asked where sshd asks nothing.
pub(super) fn look(scene: &mut Scene<'_>) {
    let Some(from) = scene.question.from.filter(|f| !f.is_loopback()) else {
        return;
    };
    if scene.effective.is("UseDNS", "yes") {
        let (place, line) = scene.set_at("UseDNS");
        let text = format!("{line}: at a login sshd asks for the client's name");
        scene.say(
            Gate::Auth,
            "names.asked",
            "at-login",
            place.clone(),
            text,
            place,
        );
    }
    let asked = scene
        .seen
        .observations
        .iter()
        .any(|o| o.key == "names.asked");
    let machine = scene.machine;
    if !asked || !machine.is_live() {
        return;
    }
    let text = |path: &str| machine.text(path).unwrap_or_default();
    if known_here(&text("/etc/hosts"), from) || !uses_dns(&text("/etc/nsswitch.conf")) {
        return;
    }
    let servers = servers(&text("/etc/resolv.conf"));
    let shown: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let shown = shown.join(", ");
    let (value, text) = match answers(&servers, from) {
        Some(server) => ("answers", format!("{server} answers")),
        None => (
            "dead",
            format!(
                "no name server of /etc/resolv.conf ({shown}) answered within {} ms",
                PATIENCE.as_millis()
            ),
        ),
    };
    scene.say(
        Gate::Ident,
        "names.resolver",
        value,
        shown,
        text,
        "/etc/resolv.conf",
    );
}

/// A line of /etc/hosts has the address: no name server is asked.
fn known_here(hosts: &str, from: IpAddr) -> bool {
    hosts.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let first = line.split_ascii_whitespace().next();
        first.is_some_and(|word| word.parse() == Ok(from))
    })
}

/// nsswitch.conf(5): without a line for hosts, DNS is asked.
fn uses_dns(text: &str) -> bool {
    let line = text
        .lines()
        .find_map(|l| l.trim_start().strip_prefix("hosts:"));
    line.is_none_or(|l| {
        l.split_ascii_whitespace()
            .any(|w| matches!(w, "dns" | "resolve"))
    })
}

/// The name servers of resolv.conf(5); without any, this machine's own.
fn servers(text: &str) -> Vec<IpAddr> {
    let found: Vec<IpAddr> = text
        .lines()
        .filter_map(|l| {
            let mut words = l.split_ascii_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next())?
        })
        .filter_map(|w| w.split('%').next()?.parse().ok())
        .take(MOST)
        .collect();
    match found.is_empty() {
        true => vec![IpAddr::from([127, 0, 0, 1])],
        false => found,
    }
}

/// The first server from which anything comes back.
fn answers(servers: &[IpAddr], about: IpAddr) -> Option<IpAddr> {
    let began = Instant::now();
    let question = question(about);
    let each = PATIENCE / u32::try_from(servers.len().max(1)).unwrap_or(1);
    servers.iter().copied().find(|server| {
        let left = PATIENCE.saturating_sub(began.elapsed()).min(each);
        !left.is_zero() && ask((*server, 53).into(), &question, left).unwrap_or(false)
    })
}

fn ask(server: SocketAddr, question: &[u8], patience: Duration) -> std::io::Result<bool> {
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(question)?;
    let mut answer = [0u8; 512];
    let got = socket.recv(&mut answer)?;
    Ok(answer.get(..2) == question.get(..2) && got >= 12)
}

/// Which name has the address (RFC 1035 4.1, PTR).
fn question(about: IpAddr) -> Vec<u8> {
    let labels: Vec<String> = match about {
        IpAddr::V4(ip) => {
            let bytes = ip.octets().into_iter().rev().map(|b| b.to_string());
            bytes.chain(["in-addr".to_owned()]).collect()
        }
        IpAddr::V6(ip) => {
            let halves = ip.octets().into_iter().rev().flat_map(|b| [b & 15, b >> 4]);
            let halves = halves.map(|h| format!("{h:x}"));
            halves.chain(["ip6".to_owned()]).collect()
        }
    };
    // Any number, recursion wanted, one question.
    let mut out = vec![0x5a, 0x57, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels.iter().map(String::as_str).chain(["arpa"]) {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend_from_slice(label.as_bytes());
    }
    // The end of the name; PTR, IN.
    out.extend_from_slice(&[0, 0, 12, 0, 1]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_one_for_the_name_of_an_address() {
        let q = question("192.0.2.7".parse().unwrap());
        assert!(q.ends_with(b"\x017\x012\x010\x03192\x07in-addr\x04arpa\0\0\x0c\0\x01"));
        let q = question("2001:db8::7".parse().unwrap());
        assert!(q.ends_with(b"\x012\x03ip6\x04arpa\0\0\x0c\0\x01"));
        assert_eq!(q.len(), 12 + 64 + 4 + 5 + 5);
    }

    #[test]
    fn who_is_asked_stands_in_the_files() {
        let ip = |t: &str| t.parse::<IpAddr>().unwrap();
        assert_eq!(
            servers(
                "# x\nnameserver 192.0.2.53\nnameservers 192.0.2.54\nnameserver fe80::1%eth0\n"
            ),
            [ip("192.0.2.53"), ip("fe80::1")]
        );
        assert_eq!(servers("nameservers 192.0.2.53\n"), [ip("127.0.0.1")]);
        assert!(uses_dns("passwd: files\nhosts: files dns\n"));
        assert!(uses_dns(""));
        assert!(!uses_dns("hosts: files\n"));
        assert!(known_here(
            "127.0.0.1 x\n192.0.2.7 pc # desk\n",
            ip("192.0.2.7")
        ));
        assert!(!known_here("# 192.0.2.7 pc\n", ip("192.0.2.7")));
    }

    #[test]
    fn a_server_that_speaks_is_told_from_one_that_does_not() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let mut bytes = [0u8; 512];
            let (n, who) = server.recv_from(&mut bytes).unwrap();
            server.send_to(&bytes[..n], who).unwrap();
        });
        let q = question("192.0.2.7".parse().unwrap());
        let patience = Duration::from_secs(5);
        assert!(ask(at, &q, patience).unwrap());
        answering.join().unwrap();
        // Its socket is closed now, and this machine says so.
        assert!(!ask(at, &q, patience).unwrap_or(false));
    }
}
