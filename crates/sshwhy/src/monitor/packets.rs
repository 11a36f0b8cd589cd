//! Two looks that the server never hears of: an ICMP echo, and one SYN whose answer the kernel resets.
//!
//! Echo needs a raw socket, or a range of groups that may ping (Linux: net.ipv4.ping_group_range); the SYN needs a raw
//! socket (CAP_NET_RAW).

use super::check::Stop;
use rustix::net::{AddressFamily, SocketType, ipproto, socket};
use sshwhy_core::wire::raw::{self, Answer};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Pauses after which it is sent again, as the kernel does.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

fn ours(what: &str, e: &io::Error) -> Stop {
    let why = if e.kind() == io::ErrorKind::PermissionDenied {
        format!("{what} needs CAP_NET_RAW (root), which this process does not have")
    } else {
        format!("{what}: {e}")
    };
    Stop {
        ours: true,
        ..Stop::new("error", why)
    }
}

/// A socket of packets, as the one kind of socket that knows addresses and no streams.
fn packets(v6: bool, kind: SocketType, protocol: rustix::net::Protocol) -> io::Result<UdpSocket> {
    let family = if v6 {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let fd = socket(family, kind, Some(protocol))?;
    let socket = UdpSocket::from(fd);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub async fn ping(to: IpAddr, wait: Duration) -> Result<(), Stop> {
    let v6 = to.is_ipv6();
    let protocol = if v6 { ipproto::ICMPV6 } else { ipproto::ICMP };
    let (socket, raw) = match packets(v6, SocketType::DGRAM, protocol) {
        Ok(s) => (s, false),
        Err(_) => (
            packets(v6, SocketType::RAW, protocol).map_err(|e| ours("ping", &e))?,
            true,
        ),
    };
    let socket = tokio::net::UdpSocket::from_std(socket).map_err(|e| ours("ping", &e))?;
    let at = SocketAddr::new(to, 0);
    let mut token = [0; 16];
    let random = ring::rand::SystemRandom::new();
    let _ = ring::rand::SecureRandom::fill(&random, &mut token);
    let end = Instant::now() + wait;
    for (n, pause) in AGAIN.iter().chain([&wait]).enumerate() {
        let sequence = u16::try_from(n + 1).unwrap_or(1);
        let echo = raw::echo(v6, sequence, &token);
        match socket.send_to(&echo, at).await {
            Ok(_) => {}
            Err(e) => return Err(Stop::new("host-unreachable", format!("cannot send: {e}"))),
        }
        let left = end.saturating_duration_since(Instant::now()).min(*pause);
        let heard = timeout(left, async {
            let mut buffer = [0; 2048];
            loop {
                let (n, from) = socket.recv_from(&mut buffer).await?;
                let packet = buffer.get(..n).unwrap_or_default();
                // A raw socket of IPv4 hands over the IP header too.
                let packet = if raw && !v6 {
                    raw::after_ipv4(packet)
                } else {
                    packet
                };
                if from.ip() == to && raw::is_echo_reply(v6, packet, &token) {
                    return io::Result::Ok(());
                }
            }
        })
        .await;
        match heard {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(e)) => return Err(Stop::new("host-unreachable", e.to_string())),
            Err(_) if Instant::now() >= end => break,
            Err(_) => {}
        }
    }
    Err(Stop::new(
        "timeout",
        format!("no echo within {} s", wait.as_secs_f64()),
    ))
}

pub async fn half_open(to: SocketAddr, wait: Duration) -> Result<(), Stop> {
    let fail = |e: &io::Error| ours("half-open", e);
    let v6 = to.is_ipv6();
    let socket = packets(v6, SocketType::RAW, ipproto::TCP).map_err(|e| fail(&e))?;
    let socket = tokio::net::UdpSocket::from_std(socket).map_err(|e| fail(&e))?;
    // Connecting a UDP socket asks the routing table for our address.
    let any: SocketAddr = if v6 {
        ([0_u16; 8], 0).into()
    } else {
        ([0, 0, 0, 0], 0).into()
    };
    let asked = UdpSocket::bind(any).and_then(|s| {
        s.connect(to)?;
        s.local_addr()
    });
    let from = asked.map_err(|_| Stop::new("no-route", "no route"))?.ip();
    // A port of our own, at which nothing listens for as long as this is held: the kernel answers with RST.
    let held = rustix_bound(from).map_err(|e| fail(&e))?;
    let source = SocketAddr::new(from, held.1);
    let mut number = [0; 4];
    let random = ring::rand::SystemRandom::new();
    let _ = ring::rand::SecureRandom::fill(&random, &mut number);
    let sequence = u32::from_be_bytes(number);
    let syn = raw::syn(source, to, sequence);
    let end = Instant::now() + wait;
    for pause in AGAIN.iter().chain([&wait]) {
        socket
            .send_to(&syn, SocketAddr::new(to.ip(), 0))
            .await
            .map_err(|e| fail(&e))?;
        let left = end.saturating_duration_since(Instant::now()).min(*pause);
        let heard = timeout(left, async {
            let mut buffer = [0; 2048];
            loop {
                let (n, peer) = socket.recv_from(&mut buffer).await?;
                let packet = buffer.get(..n).unwrap_or_default();
                let segment = if v6 { packet } else { raw::after_ipv4(packet) };
                if peer.ip() != to.ip() {
                    continue;
                }
                if let Some(answer) = raw::answer(segment, source.port(), to.port(), sequence) {
                    return io::Result::Ok(answer);
                }
            }
        })
        .await;
        match heard {
            Ok(Ok(Answer::Open)) => return Ok(()),
            Ok(Ok(Answer::Refused)) => return Err(Stop::new("refused", "Connection refused")),
            Ok(Err(e)) => return Err(fail(&e)),
            Err(_) if Instant::now() >= end => break,
            Err(_) => {}
        }
    }
    drop(held);
    Err(Stop::new("timeout", "no answer to a SYN"))
}

/// A TCP port that is ours and does not listen.
fn rustix_bound(ip: IpAddr) -> io::Result<(rustix::fd::OwnedFd, u16)> {
    let family = if ip.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let fd = socket(family, SocketType::STREAM, None)?;
    rustix::net::bind(&fd, &SocketAddr::new(ip, 0))?;
    let bound = TcpListener::from(fd.try_clone()?).local_addr()?;
    Ok((fd, bound.port()))
}
