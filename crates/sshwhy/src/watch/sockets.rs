//! Connections that are there now: of this network namespace from the kernel (`sock_diag(7)`, which filters by port), of the others,
//! and where that is refused, from `/proc/PID/net/tcp`.

use super::process::namespace;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connection {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// 0: nobody holds it any more.
    pub inode: u64,
}

/// Network namespaces looked at; each costs two files a look.
const MAX_NAMESPACES: usize = 2000;
const AGAIN: Duration = Duration::from_secs(3);

/// One process of each network namespace.
#[derive(Default)]
pub struct Namespaces {
    list: BTreeMap<u64, u32>,
    /// Our own.
    pub own: Option<u64>,
    looked: Option<Instant>,
}

impl Namespaces {
    /// A process that just started: its namespace may be new, or may have lost the process that stood for it.
    pub fn saw(&mut self, pid: u32) {
        let Some(netns) = namespace(pid) else { return };
        let stands = self
            .list
            .get(&netns)
            .is_some_and(|known| namespace(*known) == Some(netns));
        if !stands && (self.list.len() < MAX_NAMESPACES || self.list.contains_key(&netns)) {
            self.list.insert(netns, pid);
        }
    }

    /// Each namespace and the process that stands for it. `again`: somebody who stood for one was found gone.
    pub fn list(&mut self, again: bool) -> Vec<(u64, u32)> {
        if again || self.looked.is_none_or(|t| t.elapsed() > AGAIN) {
            let me = std::process::id();
            self.own = namespace(me);
            self.list.clear();
            for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
                    continue;
                };
                if let Some(netns) = namespace(pid)
                    && self.list.len() < MAX_NAMESPACES
                {
                    self.list.entry(netns).or_insert(pid);
                }
            }
            if let Some(own) = self.own {
                self.list.insert(own, me);
            }
            self.looked = Some(Instant::now());
        }
        self.list.iter().map(|(n, p)| (*n, *p)).collect()
    }
}

/// Connections of the network namespace of `pid` to a port; `None` where that process is gone, which says nothing about them.
pub fn connections(pid: u32, port: u16) -> Option<Vec<Connection>> {
    if pid == std::process::id()
        && let Some(list) = asked(port)
    {
        return Some(list);
    }
    let mut out = Vec::new();
    for name in ["tcp", "tcp6"] {
        match std::fs::read_to_string(format!("/proc/{pid}/net/{name}")) {
            Ok(text) => out.extend(
                text.lines()
                    .skip(1)
                    .filter_map(row)
                    .filter(|c| c.remote.port() == port),
            ),
            // A kernel without IPv6 has no such list.
            Err(_) if name == "tcp6" => {}
            Err(_) => return None,
        }
    }
    // Of a process that ends meanwhile the list is read as an empty one.
    namespace(pid).is_some().then_some(out)
}

/// `  0: 0100007F:1F90 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 12345 …`; listeners have no peer.
fn row(line: &str) -> Option<Connection> {
    let mut fields = line.split_whitespace().skip(1);
    let local = endpoint(fields.next()?)?;
    let remote = endpoint(fields.next()?)?;
    let inode = fields.nth(6)?.parse().ok()?;
    (remote.port() != 0).then_some(Connection {
        local,
        remote,
        inode,
    })
}

/// Words of an address in the machine's byte order, the port in the network's.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (addr, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |i: usize| {
        u32::from_str_radix(addr.get(i * 8..i * 8 + 8)?, 16)
            .ok()
            .map(u32::to_ne_bytes)
    };
    let ip = match addr.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut octets = [0u8; 16];
            for (i, chunk) in octets.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(i)?);
            }
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST_AND_DUMP: u16 = 0x301;

/// The kernel's answer; `None` where it gives none.
fn asked(port: u16) -> Option<Vec<Connection>> {
    let fd = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )
    .ok()?;
    let kernel = SocketAddrNetlink::new(0, 0);
    bind(&fd, &kernel).ok()?;
    rustix::net::sockopt::set_socket_timeout(
        &fd,
        rustix::net::sockopt::Timeout::Recv,
        Some(Duration::from_secs(1)),
    )
    .ok()?;
    let mut out = Vec::new();
    for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
        sendto(&fd, &request(family, port), SendFlags::empty(), &kernel).ok()?;
        let mut buf = vec![0u8; 64 << 10];
        'answers: loop {
            let (n, _) = recv(&fd, &mut buf, RecvFlags::empty()).ok()?;
            let mut rest = buf.get(..n)?;
            while let Some((kind, body, after)) = message(rest) {
                rest = after;
                match kind {
                    NLMSG_DONE => break 'answers,
                    NLMSG_ERROR => return None,
                    _ => out.extend(diag(body)),
                }
            }
            if n == 0 {
                break;
            }
        }
    }
    out.retain(|c| c.remote.port() == port);
    Some(out)
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(family: u8, port: u16) -> Vec<u8> {
    let mut m = Vec::with_capacity(72);
    m.extend(72u32.to_ne_bytes());
    m.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    m.extend(REQUEST_AND_DUMP.to_ne_bytes());
    m.extend([0; 8]);
    m.extend([family, 6, 0, 0]);
    // Every state but listening.
    m.extend((!(1u32 << 10)).to_ne_bytes());
    m.extend([0, 0]);
    m.extend(port.to_be_bytes());
    m.extend([0; 44]);
    m
}

/// The first message of a buffer: its type, its body, and what follows.
pub fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(16..length)?;
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((kind, body, bytes.get(next..)?))
}

/// `struct inet_diag_msg`
fn diag(body: &[u8]) -> Option<Connection> {
    let family = *body.first()?;
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let ip = |at: usize| -> Option<IpAddr> {
        if i32::from(family) == libc::AF_INET {
            let o: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
            Some(IpAddr::V4(Ipv4Addr::from(o)))
        } else {
            let o: [u8; 16] = body.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(o)).to_canonical())
        }
    };
    Some(Connection {
        local: SocketAddr::new(ip(8)?, port(4)?),
        remote: SocketAddr::new(ip(24)?, port(6)?),
        inode: u64::from(u32::from_ne_bytes(body.get(68..72)?.try_into().ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn both_ways_see_the_same_connection() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(bind) else {
                eprintln!("skipped: {bind}, no such address here");
                continue;
            };
            let to = listener.local_addr().unwrap();
            let stream = TcpStream::connect(to).unwrap();
            let want = (stream.local_addr().unwrap(), to);
            let kernel = asked(to.port()).unwrap();
            let name = if to.is_ipv4() { "tcp" } else { "tcp6" };
            let text = std::fs::read_to_string(format!("/proc/self/net/{name}")).unwrap();
            let files: Vec<Connection> = text.lines().skip(1).filter_map(row).collect();
            let of = |list: &[Connection]| {
                list.iter()
                    .copied()
                    .find(|c| (c.local, c.remote) == want)
                    .unwrap()
            };
            assert_eq!(of(&kernel), of(&files));
            assert_ne!(of(&kernel).inode, 0);
            let me = super::super::process::owner(
                &super::super::process::Memory::default(),
                namespace(std::process::id()).unwrap(),
                of(&kernel).inode,
            );
            assert_eq!(me.unwrap().pid, std::process::id());
        }
    }

    #[test]
    fn a_namespace_is_known_as_soon_as_its_first_process_is() {
        let me = std::process::id();
        let own = namespace(me).unwrap();
        let mut all = Namespaces::default();
        all.saw(me);
        assert_eq!(all.list.get(&own), Some(&me));
        // Whoever stood for it is gone.
        all.list.insert(own, u32::MAX);
        all.saw(me);
        assert_eq!(all.list.get(&own), Some(&me));
        all.saw(u32::MAX);
        assert_eq!(all.list.len(), 1);
        // Whoever is gone saw nothing, which is not the same as that there was nothing.
        assert_eq!(connections(u32::MAX, 22), None);
    }

    #[test]
    fn torn_messages_are_nothing() {
        assert_eq!(message(&[]), None);
        assert_eq!(message(&[255; 20]), None);
        assert_eq!(diag(&[2; 40]), None);
        assert_eq!(row("x"), None);
        assert_eq!(endpoint("é000007F:0016"), None);
    }
}
