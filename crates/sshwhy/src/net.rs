//! Sockets and timers that drive [`sshwhy_core::probe::exchange`]: every wait is bounded, and nothing is left open.

use crate::carrier::Stream;
use crate::sys::{Dial, Dialled, dial};
use sshwhy_core::probe::exchange::{Depth, Exchange, Phase, Seen};
use sshwhy_core::wire::dns;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

/// How long a server may keep still before we greet first.
const QUIET: Duration = Duration::from_millis(1500);
/// How much is read before a connection is left, whatever it is.
const MOST_BYTES: usize = 1 << 20;

/// One address, tried.
#[derive(Debug)]
pub struct Reached {
    pub addr: SocketAddr,
    pub dialled: Dialled,
}

/// The word of the catalogue for how connecting ended.
pub fn word(d: &Dialled) -> &'static str {
    let e = match &d.result {
        Ok(_) => return "ok",
        Err(e) => e,
    };
    let prohibited = d.icmp.is_some_and(|i| i.word().ends_with("prohibited"));
    match e.kind() {
        _ if prohibited => "prohibited",
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "timeout",
        ErrorKind::ConnectionReset => "reset",
        ErrorKind::HostUnreachable => "host-unreachable",
        ErrorKind::NetworkUnreachable if d.icmp.is_none() => "no-route",
        ErrorKind::NetworkUnreachable => "net-unreachable",
        ErrorKind::InvalidInput => "no-route",
        _ => "error",
    }
}

/// Tries addresses at the same time; the answers come in the order of the addresses.
pub fn reach(addrs: &[SocketAddr], how: Dial, timeout: Duration) -> Vec<Reached> {
    std::thread::scope(|scope| {
        let tries: Vec<_> = addrs
            .iter()
            .map(|addr| (*addr, scope.spawn(move || dial(*addr, how, timeout))))
            .collect();
        tries
            .into_iter()
            .filter_map(|(addr, t)| t.join().ok().map(|dialled| Reached { addr, dialled }))
            .collect()
    })
}

/// What a conversation showed.
#[derive(Debug)]
pub struct Talk {
    pub seen: Seen,
    /// Before we said anything: `ident`, `closed`, `reset`, `silent`, `other`.
    pub quiet: &'static str,
    /// After we had greeted, where we did before anything came.
    pub spoken: Option<&'static str>,
    /// How it ended: `done`, `closed`, `reset`, `timeout`.
    pub end: &'static str,
    /// Where it ended.
    pub phase: Phase,
    /// Milliseconds until the greeting, the proposal, the host key.
    pub greeting_ms: Option<u64>,
    pub proposal_ms: Option<u64>,
    pub host_key_ms: Option<u64>,
    pub took: Duration,
    /// The connection, where a library is to go on with it, and what it reads first.
    pub onward: Option<(Stream, Vec<u8>)>,
    /// How often something came.
    pub pieces: usize,
}

impl Talk {
    /// Text came little by little, and no greeting: lines one at a time, or not even a line.
    pub fn dripped(&self) -> bool {
        let seen = &self.seen;
        let a_line_begins_ssh = seen.first_bytes.starts_with(b"SSH-");
        seen.greeting.is_none() && (seen.prelude_lines > 1 || self.pieces > 2 && !a_line_begins_ssh)
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// How long a conversation waits.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For the first word of the other side: a program that carries the connection has its own way to go before.
    pub first: Duration,
    /// For each stage after that.
    pub stage: Duration,
}

impl Waits {
    pub fn of(stage: Duration) -> Waits {
        Waits {
            first: stage,
            stage,
        }
    }
}

/// Speaks with a server as deep as the exchange wants to go; each stage waits no longer than `waits` says.
pub fn talk(stream: impl Into<Stream>, mut exchange: Exchange, waits: Waits) -> Talk {
    let (mut stream, stage) = (stream.into(), waits.stage);
    let start = Instant::now();
    let mut talk = Talk {
        seen: Seen::default(),
        quiet: "silent",
        spoken: None,
        end: "done",
        phase: Phase::Greeting,
        greeting_ms: None,
        proposal_ms: None,
        host_key_ms: None,
        took: Duration::ZERO,
        onward: None,
        pieces: 0,
    };
    stream.set_waits(stage);
    let quiet = QUIET.min(stage / 2);
    let mut stage_end = start + waits.first;
    let mut buffer = vec![0; 16 << 10];
    let mut total = 0;
    let mut heard = false;
    loop {
        if exchange.is_done() {
            break;
        }
        let now = Instant::now();
        if !heard && !exchange.has_spoken() && now >= start + quiet {
            exchange.speak();
        }
        if send(&mut stream, &mut exchange).is_err() {
            // What the server sent before it left is still to be read.
        }
        let until = if !heard && !exchange.has_spoken() {
            start + quiet
        } else {
            stage_end
        };
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            if until == stage_end {
                talk.end = "timeout";
                break;
            }
            continue;
        }
        stream.set_read_wait(left);
        let before = exchange.phase();
        match stream.read(&mut buffer) {
            Ok(0) => {
                talk.end = "closed";
                break;
            }
            Ok(n) => {
                heard = true;
                talk.pieces += 1;
                total += n;
                exchange.received(buffer.get(..n).unwrap_or_default());
                let ms = millis(start.elapsed());
                if before == Phase::Greeting && exchange.seen.greeting.is_some() {
                    talk.greeting_ms = Some(ms);
                }
                if talk.proposal_ms.is_none() && exchange.seen.proposal.is_some() {
                    talk.proposal_ms = Some(ms);
                }
                if exchange.seen.host_key.is_some() {
                    talk.host_key_ms = Some(ms);
                }
                if exchange.phase() != before {
                    stage_end = Instant::now() + stage;
                }
                if total > MOST_BYTES {
                    exchange.finish();
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => {
                talk.end = if e.kind() == ErrorKind::ConnectionReset {
                    "reset"
                } else {
                    "closed"
                };
                break;
            }
        }
    }
    talk.phase = exchange.phase();
    if talk.end != "done" {
        if talk.end == "timeout" {
            exchange.finish();
            let _ = send(&mut stream, &mut exchange);
        }
        exchange.ended();
    } else {
        let _ = send(&mut stream, &mut exchange);
    }
    match exchange.handed_over() {
        Some(replay) => talk.onward = Some((stream, replay)),
        None => stream.shutdown(),
    }
    let spoke_first = exchange.has_spoken() && exchange.seen.greeting.is_none();
    let first = |end: &'static str| match end {
        "timeout" => "silent",
        "done" => "other",
        end => end,
    };
    if exchange.seen.greeting.is_some() && talk.greeting_ms.is_none_or(|ms| ms <= millis(quiet)) {
        talk.quiet = "ident";
        if exchange.seen.proposal.is_none() {
            talk.spoken = Some(first(talk.end));
        }
    } else if exchange.seen.greeting.is_some() {
        talk.spoken = Some("ident");
    } else if spoke_first {
        talk.spoken = Some(if heard { "other" } else { first(talk.end) });
    } else {
        talk.quiet = if heard && talk.end == "done" {
            "other"
        } else {
            first(talk.end)
        };
    }
    talk.seen = exchange.seen;
    talk.took = start.elapsed();
    talk
}

fn send(stream: &mut Stream, exchange: &mut Exchange) -> io::Result<()> {
    let out = exchange.take_output();
    if out.is_empty() {
        return Ok(());
    }
    stream.write_all(&out)
}

/// Connects and never says a word: what does the other side do by itself? The words of `ident.mute`.
pub fn mute(addr: SocketAddr, wait: Duration) -> Option<&'static str> {
    let mut stream = dial(addr, Dial::default(), wait).result.ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    let mut buffer = [0; 512];
    Some(match stream.read(&mut buffer) {
        Ok(0) => "closed",
        Ok(n) if buffer.get(..n).unwrap_or_default().starts_with(b"SSH-") => "ident",
        Ok(_) => "other",
        Err(e) if e.kind() == ErrorKind::ConnectionReset => "reset",
        Err(_) => "silent",
    })
}

/// Whether an SSH server greets there: `ssh`, `other`, `closed`, `filtered`.
pub fn greets(addr: SocketAddr, timeout: Duration) -> &'static str {
    let d = dial(addr, Dial::default(), timeout);
    match d.result {
        Ok(stream) => {
            let talk = talk(
                stream,
                Exchange::new(Depth::Ident, &[], 0),
                Waits::of(timeout),
            );
            if talk.seen.greeting.is_some() {
                "ssh"
            } else {
                "other"
            }
        }
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => "closed",
        Err(_) => "filtered",
    }
}

/// The addresses of a name in the order in which ssh tries them, or what getaddrinfo(3) said. It knows no limit of its own
/// (name servers that are dead, one after the other), so it is left to itself after `wait`.
pub fn lookup(
    host: &str,
    port: u16,
    family: Option<u8>,
    wait: Duration,
) -> Result<Vec<SocketAddr>, String> {
    let (over, waiting) = std::sync::mpsc::channel();
    let name = host.to_owned();
    std::thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        let _ = over.send(found.map(Iterator::collect::<Vec<SocketAddr>>));
    });
    let found = waiting.recv_timeout(wait).map_err(|_| {
        format!(
            "Temporary failure in name resolution (no answer within {} s)",
            wait.as_secs_f64()
        )
    })?;
    let all = found.map_err(|e| {
        let text = e.to_string();
        text.rsplit(": ").next().unwrap_or(&text).to_owned()
    })?;
    let mut out: Vec<SocketAddr> = Vec::new();
    for addr in all {
        let fits = match family {
            Some(4) => addr.is_ipv4(),
            Some(6) => addr.is_ipv6(),
            _ => true,
        };
        if fits && !out.contains(&addr) && out.len() < 32 {
            out.push(addr);
        }
    }
    Ok(out)
}

/// What the name servers themselves say; `None` where none answers. Takes no longer than `timeout`, however many there are.
pub fn ask_dns(servers: &[IpAddr], name: &str, timeout: Duration) -> Option<dns::Answer> {
    let servers = servers.get(..servers.len().min(3)).unwrap_or_default();
    let each = timeout / u32::try_from(servers.len().max(1)).unwrap_or(1);
    let family = |v6: bool| {
        servers.iter().enumerate().find_map(|(i, server)| {
            let id = 0x5357_u16.wrapping_add(u16::try_from(i).unwrap_or(0));
            ask(*server, &dns::question(id, name, v6)?, id, each)
        })
    };
    let (v4, v6) = std::thread::scope(|scope| {
        let other = scope.spawn(|| family(true));
        (family(false), other.join().unwrap_or_default())
    });
    match (v4, v6) {
        (Some(dns::Answer::Addresses(mut all)), Some(dns::Answer::Addresses(more))) => {
            all.extend(more);
            Some(dns::Answer::Addresses(all))
        }
        (Some(dns::Answer::Addresses(all)), _) | (_, Some(dns::Answer::Addresses(all))) => {
            Some(dns::Answer::Addresses(all))
        }
        (v4, v6) => v4.or(v6),
    }
}

fn ask(server: IpAddr, question: &[u8], id: u16, timeout: Duration) -> Option<dns::Answer> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((server, 53)).ok()?;
    socket.set_read_timeout(Some(timeout)).ok()?;
    socket.send(question).ok()?;
    let mut buffer = [0; 1500];
    let n = socket.recv(&mut buffer).ok()?;
    dns::answer(id, buffer.get(..n)?)
}

/// What the routing table says about an address, and from which address this machine would call: connecting a UDP socket
/// sends nothing and asks just that (errors of Linux: fib_semantics.c fib_props).
pub fn route(addr: SocketAddr) -> (&'static str, String, Option<IpAddr>) {
    let any: SocketAddr = if addr.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = match UdpSocket::bind(any) {
        Ok(socket) => socket,
        Err(e) => return ("none", e.to_string(), None),
    };
    match socket.connect(addr) {
        Ok(()) => {
            let source = socket.local_addr().ok().map(|a| a.ip());
            ("ok", String::new(), source)
        }
        Err(e) => {
            let (word, text) = match e.kind() {
                ErrorKind::InvalidInput => ("blackhole", "a blackhole route"),
                ErrorKind::PermissionDenied => ("prohibit", "a prohibit route"),
                ErrorKind::HostUnreachable => ("unreachable", "an unreachable route"),
                _ => ("none", "no route"),
            };
            (word, text.to_owned(), None)
        }
    }
}

/// What this machine takes for the largest packet on the way to the other end of a connection.
#[cfg(target_os = "linux")]
pub fn path_mtu(stream: &TcpStream) -> Option<u32> {
    use rustix::net::sockopt::{ip_mtu, ipv6_mtu};
    match stream.peer_addr().ok()? {
        SocketAddr::V4(_) => ip_mtu(stream).ok(),
        SocketAddr::V6(_) => ipv6_mtu(stream).ok(),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn path_mtu(_stream: &TcpStream) -> Option<u32> {
    None
}

/// The addresses of this machine.
#[cfg(target_os = "linux")]
pub fn own_addresses() -> Vec<IpAddr> {
    crate::host::daemon::own_addresses(&crate::host::machine::Machine::here())
}

/// The addresses of this machine, as far as calling out tells.
#[cfg(not(target_os = "linux"))]
pub fn own_addresses() -> Vec<IpAddr> {
    let out = [
        ([192, 0, 2, 1], 9).into(),
        ([0x2001_u16, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into(),
    ];
    out.into_iter().filter_map(|a| route(a).2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc;

    const STAGE: Duration = Duration::from_millis(1200);

    /// A server that does that with its one connection.
    fn against(server: impl FnOnce(TcpStream) + Send + 'static) -> Talk {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (done, finished) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            server(stream);
            drop(done);
        });
        let d = dial(addr, Dial::default(), STAGE);
        let talk = talk(
            d.result.unwrap(),
            Exchange::new(Depth::HostKey, &[], 0),
            Waits::of(STAGE),
        );
        let _ = finished.recv();
        thread.join().unwrap();
        talk
    }

    #[test]
    fn a_plain_acceptor_is_silent() {
        let t = against(|s| {
            std::thread::sleep(STAGE * 3 + (s.nodelay().map_or(STAGE, |_| Duration::ZERO)))
        });
        assert_eq!(
            (t.quiet, t.spoken, t.end),
            ("silent", Some("silent"), "timeout")
        );
        assert!(t.seen.greeting.is_none());
    }

    #[test]
    fn who_closes_at_once_says_why() {
        let t = against(|mut s| {
            s.write_all(b"Exceeded MaxStartups\r\n").unwrap();
        });
        assert_eq!((t.quiet, t.end), ("closed", "closed"));
        assert_eq!(t.seen.prelude, ["Exceeded MaxStartups"]);
    }

    #[test]
    fn a_web_server_answers_what_we_say() {
        let t = against(|mut s| {
            let mut b = [0; 64];
            let n = s.read(&mut b).unwrap();
            assert!(b[..n].starts_with(b"SSH-2.0-sshwhy"));
            s.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                .unwrap();
        });
        assert_eq!(t.seen.protocol, Some("http"));
        assert_eq!(t.quiet, "silent");
    }

    #[test]
    fn a_tls_server_sends_an_alert() {
        let t = against(|mut s| {
            let mut b = [0; 64];
            let _ = s.read(&mut b).unwrap();
            s.write_all(&[0x15, 3, 1, 0, 2, 2, 0x46]).unwrap();
        });
        assert_eq!(t.seen.protocol, Some("tls"));
    }

    #[test]
    fn a_tarpit_drips_until_the_stage_is_over() {
        let t = against(|mut s| {
            while s.write_all(b"x3f\r\n").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        assert_eq!(t.end, "timeout");
        assert!(t.seen.prelude_lines >= 3 && t.seen.greeting.is_none());
    }

    #[test]
    fn ten_megabytes_before_the_greeting_are_not_kept() {
        let t = against(|mut s| {
            let junk = vec![b'a'; 1 << 16];
            for _ in 0..160 {
                if s.write_all(&junk).is_err() {
                    break;
                }
            }
        });
        assert!(t.seen.flood);
        assert!(t.seen.first_bytes.len() <= 512 && t.seen.prelude.len() <= 20);
    }

    #[test]
    fn byte_by_byte_is_a_greeting_too() {
        let t = against(|mut s| {
            for b in b"SSH-1.5-Slow\r\n" {
                s.write_all(&[*b]).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        assert_eq!(t.seen.greeting.as_deref(), Some("SSH-1.5-Slow"));
        assert_eq!(t.quiet, "ident");
    }

    #[test]
    fn who_never_reads_does_not_hold_us() {
        let t = against(|mut s| {
            s.write_all(b"SSH-2.0-Stuck\r\n").unwrap();
            std::thread::sleep(STAGE * 2);
        });
        assert_eq!((t.end, t.phase), ("timeout", Phase::Kex));
        assert_eq!(t.quiet, "ident");
    }

    #[test]
    fn the_routing_table_knows_this_machine() {
        let (word, _, source) = route(([127, 0, 0, 1], 22).into());
        assert_eq!(word, "ok");
        assert_eq!(source, Some(IpAddr::from([127, 0, 0, 1])));
    }
}
