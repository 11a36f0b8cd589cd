//! One question to a name server: what does DNS itself say, beside /etc/hosts? (RFC 1035 section 4, RFC 3596)

use super::Cursor;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many compressed names are followed before an answer is taken for a loop.
const MOST_JUMPS: usize = 16;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Perhaps none: the name exists, and has no address of this family.
    Addresses(Vec<IpAddr>),
    NoSuchName,
    /// SERVFAIL, REFUSED and the like.
    Failed(u8),
}

/// A recursive question for the addresses of `name` of one family; `None` where that is no name for DNS.
pub fn question(id: u16, name: &str, v6: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let n = u8::try_from(label.len())
            .ok()
            .filter(|n| (1..64).contains(n))?;
        out.push(n);
        out.extend_from_slice(label.as_bytes());
    }
    if out.len() > 12 + 254 {
        return None;
    }
    out.extend_from_slice(&[0, 0, if v6 { 28 } else { 1 }, 0, 1]);
    Some(out)
}

/// Reads the answer to question `id`; `None` where it is none.
pub fn answer(id: u16, bytes: &[u8]) -> Option<Answer> {
    let mut c = Cursor::new(bytes);
    (c.u16()? == id).then_some(())?;
    let flags = c.u16()?;
    (flags & 0x8000 != 0).then_some(())?;
    let (questions, answers) = (c.u16()?, c.u16()?);
    c.bytes(4)?;
    match flags & 15 {
        0 => {}
        3 => return Some(Answer::NoSuchName),
        code => return Some(Answer::Failed(code as u8)),
    }
    for _ in 0..questions {
        skip_name(&mut c)?;
        c.bytes(4)?;
    }
    let mut addresses = Vec::new();
    for _ in 0..answers {
        skip_name(&mut c)?;
        let kind = c.u16()?;
        c.bytes(6)?;
        let length = c.u16()?;
        let data = c.bytes(usize::from(length))?;
        match kind {
            1 => {
                let octets: [u8; 4] = data.try_into().ok()?;
                addresses.push(IpAddr::V4(Ipv4Addr::from(octets)));
            }
            28 => {
                let octets: [u8; 16] = data.try_into().ok()?;
                addresses.push(IpAddr::V6(Ipv6Addr::from(octets)));
            }
            _ => {}
        }
    }
    Some(Answer::Addresses(addresses))
}

fn skip_name(c: &mut Cursor<'_>) -> Option<()> {
    for _ in 0..MOST_JUMPS * 8 {
        match c.u8()? {
            0 => return Some(()),
            n if n & 0xc0 == 0xc0 => {
                c.u8()?;
                return Some(());
            }
            n => {
                c.bytes(usize::from(n))?;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(flags: u8, count: u8, records: &[u8]) -> Vec<u8> {
        let mut q = question(7, "server.example", false).unwrap();
        q[2] = 0x81;
        q[3] = 0x80 | flags;
        q[7] = count;
        q.extend_from_slice(records);
        q
    }

    #[test]
    fn answers_are_read() {
        let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 7];
        let bytes = reply(0, 1, &record);
        assert_eq!(
            answer(7, &bytes),
            Some(Answer::Addresses(vec![IpAddr::from([192, 0, 2, 7])]))
        );
        assert_eq!(answer(8, &bytes), None, "another question's");
        assert_eq!(answer(7, &reply(3, 0, &[])), Some(Answer::NoSuchName));
        assert_eq!(answer(7, &reply(2, 0, &[])), Some(Answer::Failed(2)));
        assert_eq!(
            answer(7, &reply(0, 0, &[])),
            Some(Answer::Addresses(Vec::new()))
        );
        for cut in 0..bytes.len() {
            assert_eq!(answer(7, &bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn names_that_are_none_are_not_asked() {
        for bad in ["", ".", "a..b", &"x".repeat(64), &"abc.".repeat(80)] {
            assert_eq!(question(1, bad, false), None, "{bad}");
        }
    }
}
