//! sshguard's blacklist: `TIMESTAMP|SERVICE|ADDRESS TYPE|ADDRESS` a line, blocked for good (sshguard(8), `-b`).

use crate::addr::Cidr;
use crate::time::Time;

/// Lines that are read; a blacklist of more is none.
const MOST: usize = 5_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocked {
    pub net: Cidr,
    /// When sshguard saw it last.
    pub at: Option<Time>,
    /// sshguard's own number of the service: 100 is sshd.
    pub service: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Blacklist {
    pub blocked: Vec<Blocked>,
    /// Lines that were not understood: number from 1, and the text.
    pub odd: Vec<(usize, String)>,
    /// How many odd ones there are in all; the first ones are kept.
    pub odd_count: usize,
}

/// Any text; what is no entry is counted and the first of it kept.
pub fn parse(text: &str) -> Blacklist {
    let mut out = Blacklist::default();
    for (i, line) in text.lines().take(MOST).enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line) {
            Some(blocked) => out.blocked.push(blocked),
            None => {
                out.odd_count += 1;
                if out.odd.len() < 20 {
                    out.odd.push((i + 1, line.chars().take(200).collect()));
                }
            }
        }
    }
    out
}

fn entry(line: &str) -> Option<Blocked> {
    let mut fields = line.split('|');
    let (Some(first), Some(service), Some(kind), Some(address), None) = (
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
    ) else {
        // A list written by hand: one address a line.
        let net = Cidr::parse(line)?;
        return Some(Blocked {
            net,
            at: None,
            service: None,
        });
    };
    let net = Cidr::parse(address)?;
    // 4 and 6 as sshguard writes them; an address of the other kind is a damaged line.
    let fits = match kind {
        "4" => net.ip.is_ipv4(),
        "6" => net.ip.is_ipv6() || address.starts_with("::ffff:"),
        _ => false,
    };
    let seconds: i64 = first.parse().ok()?;
    let plausible = (0..=4_102_444_800).contains(&seconds);
    (fits && plausible).then(|| Blocked {
        net,
        at: Some(Time::from_secs(seconds)),
        service: service.parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_odd_lines_named() {
        let text = "# blacklist\n1385562473|100|4|192.0.2.1\n1385562474|100|6|2001:db8::7\n\n\
                    198.51.100.0/24\n1385562473|100|6|192.0.2.1\n1|2|3\nx|100|4|192.0.2.9\n1385562473|100|4|192.0.2.1|x\n";
        let list = parse(text);
        let nets: Vec<String> = list.blocked.iter().map(|b| b.net.to_string()).collect();
        assert_eq!(nets, ["192.0.2.1", "2001:db8::7", "198.51.100.0/24"]);
        let first = list.blocked.first().copied();
        assert_eq!(
            first.and_then(|b| b.at),
            Some(Time::from_secs(1_385_562_473))
        );
        assert_eq!(first.and_then(|b| b.service), Some(100));
        let lines: Vec<usize> = list.odd.iter().map(|o| o.0).collect();
        assert_eq!((lines, list.odd_count), (vec![6, 7, 8, 9], 4));
    }
}
