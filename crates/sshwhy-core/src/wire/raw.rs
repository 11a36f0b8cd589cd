//! An ICMP echo (RFC 792, RFC 4443) and one TCP SYN (RFC 9293 section 3.1), and whether a packet answers them.

use super::Cursor;
use std::net::{IpAddr, SocketAddr};

const FLAG_SYN: u8 = 2;
const FLAG_RST: u8 = 4;
const FLAG_ACK: u8 = 16;

/// The internet checksum (RFC 1071).
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            let high = pair.first().copied().unwrap_or(0);
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([high, low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// An echo request. The kernel fills in the identifier of a datagram socket, and the checksum of IPv6.
pub fn echo(v6: bool, sequence: u16, token: &[u8; 16]) -> Vec<u8> {
    let mut out = vec![if v6 { 128 } else { 8 }, 0, 0, 0];
    out.extend_from_slice(token.get(..2).unwrap_or(&[0, 0]));
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(token);
    if !v6 {
        let sum = checksum(&[&out]);
        put(&mut out, 2, sum);
    }
    out
}

/// Whether it is an echo reply that carries the token.
pub fn is_echo_reply(v6: bool, packet: &[u8], token: &[u8; 16]) -> bool {
    let kind = if v6 { 129 } else { 0 };
    packet.first() == Some(&kind) && packet.get(8..24) == Some(token.as_slice())
}

/// What follows an IPv4 header.
pub fn after_ipv4(packet: &[u8]) -> &[u8] {
    let words = packet.first().map_or(0, |b| usize::from(b & 15));
    packet.get(words * 4..).unwrap_or_default()
}

/// A SYN with its checksum, without an IP header.
pub fn syn(from: SocketAddr, to: SocketAddr, sequence: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    out.extend_from_slice(&from.port().to_be_bytes());
    out.extend_from_slice(&to.port().to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    // Six words of header, SYN, a window, no checksum yet, nothing urgent; MSS 1460.
    out.extend_from_slice(&[6 << 4, FLAG_SYN, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 0x05, 0xb4]);
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let length = u32::try_from(out.len()).unwrap_or(24).to_be_bytes();
    let sum = checksum(&[&octets(from.ip()), &octets(to.ip()), &length, &[0, 6], &out]);
    put(&mut out, 16, sum);
    out
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Open,
    Refused,
}

/// What a TCP segment says to our SYN; `None` where it is not about it.
pub fn answer(segment: &[u8], our_port: u16, their_port: u16, sequence: u32) -> Option<Answer> {
    let mut c = Cursor::new(segment);
    (c.u16()? == their_port && c.u16()? == our_port).then_some(())?;
    c.u32()?;
    (c.u32()? == sequence.wrapping_add(1)).then_some(())?;
    c.u8()?;
    let flags = c.u8()?;
    if flags & FLAG_ACK == 0 {
        None
    } else if flags & FLAG_RST != 0 {
        Some(Answer::Refused)
    } else {
        (flags & FLAG_SYN != 0).then_some(Answer::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_out_even() {
        // RFC 1071 section 3: the sum over data and checksum is all ones.
        assert_eq!(
            checksum(&[&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]]),
            !0xddf2
        );
        let echo = echo(false, 3, &[9; 16]);
        assert_eq!(checksum(&[&echo]), 0);
        let (a, b) = (
            "192.0.2.1:4000".parse().unwrap(),
            "192.0.2.7:22".parse().unwrap(),
        );
        let syn = syn(a, b, 7);
        let pseudo = [192, 0, 2, 1, 192, 0, 2, 7, 0, 6, 0, 24];
        assert_eq!(checksum(&[&pseudo, &syn]), 0);
    }

    #[test]
    fn answers_are_told_from_the_rest() {
        let token = [5; 16];
        let mut reply = echo(false, 1, &token);
        assert!(!is_echo_reply(false, &reply, &token), "our own request");
        reply[0] = 0;
        assert!(is_echo_reply(false, &reply, &token));
        assert!(!is_echo_reply(false, &reply[..10], &token));
        assert!(!is_echo_reply(false, &reply, &[6; 16]));
        let segment = |flags: u8, ack: u32| {
            let mut s = vec![0, 22, 0x0f, 0xa0, 1, 2, 3, 4];
            s.extend_from_slice(&ack.to_be_bytes());
            s.extend_from_slice(&[0x50, flags, 0, 0, 0, 0, 0, 0]);
            answer(&s, 4000, 22, 7)
        };
        assert_eq!(segment(FLAG_SYN | FLAG_ACK, 8), Some(Answer::Open));
        assert_eq!(segment(FLAG_RST | FLAG_ACK, 8), Some(Answer::Refused));
        assert_eq!(segment(FLAG_SYN | FLAG_ACK, 9), None);
        assert_eq!(segment(FLAG_SYN, 8), None);
        assert_eq!(answer(&[0; 5], 4000, 22, 7), None);
        assert_eq!(after_ipv4(&[0x45; 24]), [0x45; 4]);
        assert_eq!(after_ipv4(&[]), [0_u8; 0]);
    }
}
