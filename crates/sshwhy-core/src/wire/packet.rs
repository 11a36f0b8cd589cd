//! Packets before encryption: length, padding, payload, no MAC (RFC 4253 section 6), and the few messages of a probe.

use super::{Cursor, put_string};

/// What every implementation must take (RFC 4253 section 6.1); OpenSSH takes 256 KiB, and nobody needs it here.
const LONGEST: usize = 35_000;

pub const DISCONNECT: u8 = 1;
pub const IGNORE: u8 = 2;
pub const UNIMPLEMENTED: u8 = 3;
pub const DEBUG: u8 = 4;
pub const EXT_INFO: u8 = 7;
pub const KEXINIT: u8 = 20;
pub const NEWKEYS: u8 = 21;
pub const KEX_ECDH_INIT: u8 = 30;
pub const KEX_ECDH_REPLY: u8 = 31;

/// SSH_DISCONNECT_BY_APPLICATION: the polite one, which sshd logs without `error:`.
pub const BY_APPLICATION: u32 = 11;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    More,
    Payload(Vec<u8>),
    /// Not a packet: a length that cannot be.
    Broken,
}

/// Takes one packet off the front of `buffer`.
pub fn take(buffer: &mut Vec<u8>) -> Taken {
    let mut cursor = Cursor::new(buffer);
    let (Some(length), Some(padding)) = (cursor.u32(), cursor.u8()) else {
        return Taken::More;
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let padding = usize::from(padding);
    if !(5..=LONGEST).contains(&length) || padding + 1 >= length || !(length + 4).is_multiple_of(8)
    {
        return Taken::Broken;
    }
    if buffer.len() < length + 4 {
        return Taken::More;
    }
    let packet: Vec<u8> = buffer.drain(..length + 4).collect();
    let payload = packet.get(5..length + 4 - padding).unwrap_or_default();
    Taken::Payload(payload.to_vec())
}

/// A payload as a packet; padding is zeros, which is allowed where nothing is encrypted.
pub fn wrap(payload: &[u8]) -> Vec<u8> {
    let mut padding = 8 - (payload.len() + 5) % 8;
    if padding < 4 {
        padding += 8;
    }
    let length = u32::try_from(payload.len() + padding + 1).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(payload.len() + padding + 5);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(padding as u8);
    out.extend_from_slice(payload);
    out.resize(out.len() + padding, 0);
    out
}

/// SSH_MSG_DISCONNECT (RFC 4253 section 11.1).
pub fn disconnect(reason: u32, text: &str) -> Vec<u8> {
    let mut payload = vec![DISCONNECT];
    payload.extend_from_slice(&reason.to_be_bytes());
    put_string(&mut payload, text.as_bytes());
    put_string(&mut payload, b"");
    wrap(&payload)
}

/// The reason and text of a DISCONNECT payload.
pub fn parse_disconnect(payload: &[u8]) -> Option<(u32, String)> {
    let mut c = Cursor::new(payload);
    (c.u8()? == DISCONNECT).then_some(())?;
    Some((c.u32()?, c.text()?))
}

/// SSH_MSG_IGNORE with that many bytes: a large packet that means nothing.
pub fn ignore(bytes: usize) -> Vec<u8> {
    let mut payload = vec![IGNORE];
    put_string(&mut payload, &vec![b'.'; bytes.min(LONGEST / 2)]);
    wrap(&payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_is_taken() {
        for n in 1..70 {
            let payload = vec![7; n];
            let packet = wrap(&payload);
            assert!(packet.len().is_multiple_of(8) && packet[4] >= 4);
            let mut buffer = Vec::new();
            for b in &packet {
                assert_eq!(take(&mut buffer), Taken::More);
                buffer.push(*b);
            }
            buffer.push(9);
            assert_eq!(take(&mut buffer), Taken::Payload(payload));
            assert_eq!(buffer, [9]);
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_broken() {
        let length = |n: u32, padding: u8| {
            let mut b = n.to_be_bytes().to_vec();
            b.push(padding);
            take(&mut b)
        };
        assert_eq!(length(0, 4), Taken::Broken);
        assert_eq!(length(u32::MAX, 4), Taken::Broken);
        assert_eq!(length(40_004, 4), Taken::Broken);
        assert_eq!(length(12, 11), Taken::Broken, "nothing but padding");
        assert_eq!(length(13, 4), Taken::Broken, "no multiple of eight");
        assert_eq!(length(12, 4), Taken::More);
    }

    #[test]
    fn goodbyes_name_us() {
        let mut packet = disconnect(BY_APPLICATION, "sshwhy probe");
        let Taken::Payload(payload) = take(&mut packet) else {
            panic!("no packet");
        };
        assert_eq!(
            parse_disconnect(&payload),
            Some((11, "sshwhy probe".to_owned()))
        );
        assert_eq!(parse_disconnect(&[1, 0, 0]), None);
        assert_eq!(parse_disconnect(&[2]), None);
    }
}
