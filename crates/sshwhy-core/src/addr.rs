//! Addresses as they stand in logs: parsed, normalised (IPv4-mapped to IPv4, zone ids dropped), and cut to prefixes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where somebody comes from. The order (addresses before names) is only there to make output stable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Addr {
    Ip(IpAddr),
    /// A prefix that stands for many addresses.
    Net(IpAddr, u8),
    /// A host name: text that the owner of the address chooses (reverse DNS).
    Name(Box<str>),
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Ip(ip) => write!(f, "{ip}"),
            Addr::Net(ip, len) => write!(f, "{ip}/{len}"),
            Addr::Name(name) => f.write_str(name),
        }
    }
}

/// `192.0.2.7`, `2001:db8::7`, `fe80::1%eth0`, `::ffff:192.0.2.7`.
pub fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    if let Some(v4) = parse_v4(text) {
        return Some(IpAddr::V4(v4));
    }
    let text = match memchr::memchr(b'%', text) {
        Some(zone) => text.get(..zone)?,
        None => text,
    };
    let v6: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(canonical(IpAddr::V6(v6)))
}

/// IPv4-mapped addresses are IPv4 addresses.
pub fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// The dotted address that a text begins with, and its length.
#[inline(always)]
pub(crate) fn v4_prefix(text: &[u8]) -> Option<(u32, usize)> {
    if let Some(head) = text.first_chunk::<16>()
        && let Some(found) = plain_v4(*head)
    {
        return Some(found);
    }
    any_v4_prefix(text)
}

/// An address without leading zeros and something else behind it, all at once: the lengths of its numbers differ from line to
/// line, and asking for each digit is what a processor guesses wrong. `None` says nothing.
#[inline(always)]
fn plain_v4(text: [u8; 16]) -> Option<(u32, usize)> {
    const EACH: u128 = u128::from_ne_bytes([1; 16]);
    let all = u128::from_le_bytes(text);
    let digits = all ^ (EACH * 0x30);
    // The high bit of each byte that is no digit.
    let mut others = (((digits & (EACH * 0x7f)) + EACH * 0x76) | digits) & (EACH * 0x80);
    let mut value = 0u32;
    let mut start = 0u32;
    for part in 0..4 {
        // An eighth of a bit's number is a byte's.
        let end = others.trailing_zeros() / 8;
        let len = end.wrapping_sub(start);
        if others == 0 || len == 0 || len > 3 {
            return None;
        }
        if part < 3 && text.get(end as usize) != Some(&b'.') {
            return None;
        }
        others &= others - 1;
        // The digits at the end of three bytes, zeros in front.
        let three = ((digits >> (start * 8)) as u32) << (8 * (4 - len)) >> 8;
        let (a, b, c) = (three & 0xff, three >> 8 & 0xff, three >> 16);
        let octet = a * 100 + b * 10 + c;
        // `01` is octal to some readers and decimal to others: nothing that sshd prints.
        let least = match len {
            1 => 0,
            2 => 10,
            _ => 100,
        };
        if octet > 255 || octet < least {
            return None;
        }
        value = value << 8 | octet;
        start = end + 1;
    }
    Some((value, start as usize - 1))
}

#[inline(never)]
fn any_v4_prefix(text: &[u8]) -> Option<(u32, usize)> {
    let digit = |at: usize| {
        let d = text.get(at)?.wrapping_sub(b'0');
        (d < 10).then_some(u32::from(d))
    };
    let (mut value, mut at) = (0u32, 0usize);
    for part in 0..4 {
        if part > 0 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let mut octet = digit(at)?;
        at += 1;
        // `01` is octal to some readers and decimal to others: nothing that sshd prints.
        if octet != 0
            && let Some(d) = digit(at)
        {
            octet = octet * 10 + d;
            at += 1;
            if let Some(d) = digit(at) {
                octet = octet * 10 + d;
                at += 1;
            }
        }
        if octet > 255 {
            return None;
        }
        value = value << 8 | octet;
    }
    Some((value, at))
}

pub(crate) fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    let (value, len) = v4_prefix(text)?;
    (len == text.len()).then(|| Ipv4Addr::from(value))
}

/// The network of an address, `len` bits long.
pub fn network(ip: IpAddr, len: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let len = len.min(32);
            let mask = if len == 0 { 0 } else { u32::MAX << (32 - len) };
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let len = len.min(128);
            let mask = if len == 0 {
                0
            } else {
                u128::MAX << (128 - len)
            };
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

/// A prefix given by a user: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr {
    pub ip: IpAddr,
    pub len: u8,
}

impl Cidr {
    pub fn parse(text: &str) -> Option<Cidr> {
        let (ip, len) = match text.split_once('/') {
            Some((ip, len)) => (parse_ip(ip.as_bytes())?, Some(len.parse::<u8>().ok()?)),
            None => (parse_ip(text.as_bytes())?, None),
        };
        let max = if ip.is_ipv4() { 32 } else { 128 };
        let len = len.unwrap_or(max);
        (len <= max).then(|| Cidr {
            ip: network(ip, len),
            len,
        })
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        self.ip.is_ipv4() == ip.is_ipv4() && network(ip, self.len) == self.ip
    }

    /// One address.
    pub fn one(ip: IpAddr) -> Cidr {
        let len = if ip.is_ipv4() { 32 } else { 128 };
        Cidr { ip, len }
    }

    /// The network of `len` bits around an address.
    pub fn around(ip: IpAddr, len: u8) -> Cidr {
        let len = len.min(if ip.is_ipv4() { 32 } else { 128 });
        Cidr {
            ip: network(ip, len),
            len,
        }
    }

    pub fn is_one(&self) -> bool {
        self.len == if self.ip.is_ipv4() { 32 } else { 128 }
    }

    /// Whether they share an address: then one of them holds the other.
    pub fn overlaps(&self, other: &Cidr) -> bool {
        self.contains(other.ip) && self.len <= other.len
            || other.contains(self.ip) && other.len <= self.len
    }
}

/// `192.0.2.7`, `2001:db8::/64`
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() {
            write!(f, "{}", self.ip)
        } else {
            write!(f, "{}/{}", self.ip, self.len)
        }
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Cidr, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Cidr::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no address or network")))
    }
}

/// Whether the address is of a kind that is not routed over the Internet (RFC 1918, RFC 6598, RFC 4193, link-local, loopback).
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let o = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || (o[0] == 100 && (64..128).contains(&o[1]))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_as_the_standard_library_does() {
        for text in [
            "192.0.2.7",
            "0.0.0.0",
            "255.255.255.255",
            "2001:db8::7",
            "::",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.2.3.4",
            "1..2.3",
            "",
            "x",
            "1.2.3.4 ",
        ] {
            let ours = parse_ip(text.as_bytes());
            assert_eq!(ours, text.parse::<IpAddr>().ok(), "{text}");
        }
        assert_eq!(parse_ip(b"::ffff:192.0.2.7"), parse_ip(b"192.0.2.7"));
        assert_eq!(parse_ip(b"fe80::1%eth0"), parse_ip(b"fe80::1"));
    }

    #[test]
    fn an_address_in_front_of_something_is_read_alike_both_ways() {
        for text in [
            "192.0.2.7 port 22 ssh2",
            "1.2.3.4 port 22 ssh2",
            "255.255.255.255 port",
            "255.255.255.2555 port",
            "256.1.1.1 port 22 ssh2",
            "1.2.3.04 port 22 ssh2",
            "01.2.3.4 port 22 ssh2",
            "0.0.0.0 port 22 ssh2",
            "1.2.3.4.5 port 22 ssh2",
            "1..3.4 port 22 ssh2xx",
            "1.2.3 port 22 ssh2xxx",
            "1.2.3:4 port 22 ssh2xx",
            ".1.2.3.4 port 22 ssh2",
            "1.2.3.4\u{b0} port 22 ssh2",
            "1234.2.3.4 port 22 ssh2",
        ] {
            let slow = any_v4_prefix(text.as_bytes());
            assert_eq!(v4_prefix(text.as_bytes()), slow, "{text}");
            let quick = text.as_bytes().first_chunk().and_then(|h| plain_v4(*h));
            assert!(quick.is_none() || quick == slow, "{text}");
        }
        let mut n = 1u32;
        for _ in 0..20_000 {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let ip = Ipv4Addr::from(n >> (n % 24));
            let text = format!("{ip} port 22 ssh2");
            let head = text.as_bytes().first_chunk();
            let quick = head.and_then(|h| plain_v4(*h));
            assert_eq!(quick, Some((u32::from(ip), ip.to_string().len())), "{text}");
        }
    }

    #[test]
    fn prefixes_contain_what_they_should_and_not_the_neighbour() {
        let c = Cidr::parse("192.0.2.128/25").unwrap();
        assert!(c.contains(parse_ip(b"192.0.2.200").unwrap()));
        assert!(!c.contains(parse_ip(b"192.0.2.127").unwrap()));
        assert!(!c.contains(parse_ip(b"2001:db8::1").unwrap()));
        assert!(
            Cidr::parse("2001:db8::/32")
                .unwrap()
                .contains(parse_ip(b"2001:db8:ffff::1").unwrap())
        );
        assert!(
            Cidr::parse("0.0.0.0/0")
                .unwrap()
                .contains(parse_ip(b"198.51.100.1").unwrap())
        );
        for bad in ["192.0.2.0/33", "192.0.2.0/", "/24", "x/8", ""] {
            assert_eq!(Cidr::parse(bad), None, "{bad}");
        }
    }
}
