//! Patterns of sshd_config and authorized_keys: `*`, `?`, comma lists with `!`, and addresses with prefixes.
//!
//! As OpenSSH's match.c and addrmatch.c judge them, down to what is an error.

use crate::addr::{network, parse_ip};
use std::net::IpAddr;

/// Whether `text` is of the shape `pattern`: `*` any run, `?` any one character. Linear in memory, no recursion.
pub fn matches(text: &str, pattern: &str) -> bool {
    let (t, p): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut i, mut j, mut back) = (0, 0, None::<(usize, usize)>);
    while i < t.len() {
        match p.get(j) {
            Some('*') => {
                back = Some((j, i));
                j += 1;
            }
            Some(c) if *c == '?' || Some(c) == t.get(i) => {
                i += 1;
                j += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    i = from + 1;
                    j = star + 1;
                }
                None => return false,
            },
        }
    }
    p.get(j..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// Whether `name` is of the shape `pattern` as glob(3) reads one part of a path: as [`matches`], and `[abc]`, `[a-z]`, `[!a]`.
pub fn glob(name: &str, pattern: &str) -> bool {
    let (n, p): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    // A hidden file has to be asked for.
    if n.first() == Some(&'.') && p.first() != Some(&'.') {
        return false;
    }
    let (mut i, mut j, mut back) = (0, 0, None::<(usize, usize)>);
    while let Some(c) = n.get(i) {
        if p.get(j) == Some(&'*') {
            back = Some((j, i));
            j += 1;
            continue;
        }
        match one(*c, &p, j) {
            Some(next) => (i, j) = (i + 1, next),
            None => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (i, j) = (from + 1, star + 1);
                }
                None => return false,
            },
        }
    }
    p.get(j..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// Where the pattern goes on behind its part at `j`, if that fits the character.
fn one(c: char, p: &[char], j: usize) -> Option<usize> {
    match p.get(j)? {
        '?' => Some(j + 1),
        '\\' => (p.get(j + 1) == Some(&c)).then_some(j + 2),
        '[' => {
            let negated = matches!(p.get(j + 1), Some('!' | '^'));
            let first = j + 1 + usize::from(negated);
            // A `]` that stands first is one of the characters.
            let Some(close) = (first + 1..p.len()).find(|k| p.get(*k) == Some(&']')) else {
                return (c == '[').then_some(j + 1);
            };
            let class = p.get(first..close).unwrap_or_default();
            let (mut k, mut hit) = (0, false);
            while let Some(low) = class.get(k) {
                match (class.get(k + 1), class.get(k + 2)) {
                    (Some('-'), Some(high)) => {
                        hit |= (*low..=*high).contains(&c);
                        k += 3;
                    }
                    _ => {
                        hit |= *low == c;
                        k += 1;
                    }
                }
            }
            (hit != negated).then_some(close + 1)
        }
        other => (*other == c).then_some(j + 1),
    }
}

/// What a comma list says about a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Yes,
    No,
    /// A `!pattern` matched: no, whatever else matches.
    Never,
}

/// A comma list of patterns (match.c match_pattern_list()).
pub fn list(text: &str, patterns: &str, ignore_case: bool) -> Verdict {
    let lower = |s: &str| {
        if ignore_case {
            s.to_ascii_lowercase()
        } else {
            s.to_owned()
        }
    };
    let text = lower(text);
    let mut verdict = Verdict::No;
    for entry in patterns.split(',') {
        let (negated, pattern) = match entry.strip_prefix('!') {
            Some(p) => (true, p),
            None => (false, entry),
        };
        if matches(&text, &lower(pattern)) {
            if negated {
                return Verdict::Never;
            }
            verdict = Verdict::Yes;
        }
    }
    verdict
}

/// One entry of an address list that cannot be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadEntry(pub String);

enum Entry {
    Net(IpAddr, u8),
    Wildcard,
    Bad,
}

/// An address as getaddrinfo(3) reads numbers: also `10.1` for 10.0.0.1 and `0x7f.1`, which a reader would take for something else.
fn numeric(text: &str) -> Option<IpAddr> {
    if let Some(ip) = parse_ip(text.as_bytes()) {
        return Some(ip);
    }
    let parts: Vec<u32> = text
        .split('.')
        .map(
            |p| match p.strip_prefix("0x").or_else(|| p.strip_prefix("0X")) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None if p.starts_with('+') => None,
                None if p.len() > 1 && p.starts_with('0') => u32::from_str_radix(p, 8).ok(),
                None => p.parse().ok(),
            },
        )
        .collect::<Option<_>>()?;
    let (last, before) = parts.split_last()?;
    let free = 4usize.checked_sub(before.len())?;
    if before.iter().any(|p| *p > 255) || u64::from(*last) >= 1u64 << (8 * free) {
        return None;
    }
    let high = before.iter().fold(0u32, |sum, p| (sum << 8) | p);
    let high = high.checked_shl(8 * free as u32).unwrap_or(0);
    Some(IpAddr::from(std::net::Ipv4Addr::from(high | last)))
}

fn entry(text: &str) -> Entry {
    let (ip, len) = match text.split_once('/') {
        Some((ip, len)) => (ip, Some(len)),
        None => (text, None),
    };
    // addr_pton_cidr(): what is longer is no address.
    let Some(ip) = numeric(ip).filter(|_| text.len() < 64) else {
        return Entry::Wildcard;
    };
    let max = if ip.is_ipv4() { 32 } else { 128 };
    let Some(len) = len else {
        return Entry::Net(ip, max);
    };
    let digits = !len.is_empty() && len.bytes().all(|b| b.is_ascii_digit());
    match len.parse::<u8>() {
        _ if !digits => Entry::Wildcard,
        Ok(len) if len <= max && network(ip, len) == ip => Entry::Net(ip, len),
        Ok(len) if len <= 128 => Entry::Bad,
        _ => Entry::Wildcard,
    }
}

/// A comma list of addresses, prefixes and patterns (addrmatch.c addr_match_list()). `None`: no address to test, only the
/// syntax counts.
pub fn addresses(addr: Option<&str>, patterns: &str) -> Result<Verdict, BadEntry> {
    let ip = addr.and_then(|a| parse_ip(a.as_bytes()));
    let mut verdict = Verdict::No;
    for item in patterns.split(',') {
        let (negated, text) = match item.strip_prefix('!') {
            Some(p) => (true, p),
            None => (false, item),
        };
        if text.is_empty() {
            return Err(BadEntry(item.to_owned()));
        }
        let hit = match entry(text) {
            Entry::Bad => return Err(BadEntry(item.to_owned())),
            Entry::Net(net, len) => {
                ip.is_some_and(|ip| ip.is_ipv4() == net.is_ipv4() && network(ip, len) == net)
            }
            Entry::Wildcard => addr.is_some_and(|a| matches(a, text)),
        };
        if hit {
            if negated {
                return Ok(Verdict::Never);
            }
            verdict = Verdict::Yes;
        }
    }
    Ok(verdict)
}

/// `from=` of authorized_keys: a list of names and addresses (match.c match_host_and_ip()).
pub fn host_and_ip(host: Option<&str>, addr: &str, patterns: &str) -> bool {
    match addresses(Some(addr), patterns) {
        Ok(Verdict::Never) => false,
        // An address list with an inconsistent prefix is refused as a whole.
        Err(_) => false,
        by_addr => {
            let by_name = host.map_or(Verdict::No, |h| list(h, patterns, true));
            by_name != Verdict::Never && (by_addr == Ok(Verdict::Yes) || by_name == Verdict::Yes)
        }
    }
}

/// One word of AllowUsers or DenyUsers: `user` or `user@host`, the host a name pattern, an address or a prefix
/// (match.c match_user()).
pub fn user_at_host(user: &str, host: Option<&str>, addr: Option<&str>, pattern: &str) -> bool {
    let Some((name, at)) = pattern.split_once('@') else {
        return matches(user, pattern);
    };
    if !matches(user, name) {
        return false;
    }
    match addr {
        Some(addr) => host_and_ip(host, addr, at),
        None => false,
    }
}

/// Whether sshd takes the word at all.
pub fn user_pattern_is_sound(pattern: &str) -> bool {
    match pattern.split_once('@') {
        Some((_, host)) => addresses(None, host).is_ok(),
        None => !pattern.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_and_near_misses_do_not() {
        assert!(matches("alice", "al*"));
        assert!(matches("alice", "*l?ce"));
        assert!(matches("", "*"));
        assert!(!matches("alice", "al"));
        assert!(!matches("alice", "?lic"));
        assert!(!matches("", "?"));
        // Would take forever by recursion.
        assert!(!matches(
            &"a".repeat(300),
            &format!("{}b", "*a".repeat(100))
        ));
    }

    #[test]
    fn file_names_fit_as_in_a_shell() {
        for (name, pattern, fits) in [
            ("10-a.conf", "*.conf", true),
            ("10-a.conf", "[0-9][0-9]-*.conf", true),
            ("a0-a.conf", "[0-9][0-9]-*.conf", false),
            ("a.conf", "[!b]*", true),
            ("b.conf", "[!b]*", false),
            ("].conf", "[]a].conf", true),
            (".hidden.conf", "*.conf", false),
            (".hidden.conf", ".*.conf", true),
            ("a*b", "a\\*b", true),
            ("axb", "a\\*b", false),
            ("[x", "[x", true),
        ] {
            assert_eq!(glob(name, pattern), fits, "{name} {pattern}");
        }
    }

    #[test]
    fn a_negation_wins_wherever_it_stands() {
        assert_eq!(list("bob", "*,!bob", false), Verdict::Never);
        assert_eq!(list("bob", "!bob,*", false), Verdict::Never);
        assert_eq!(list("al", "!bob", false), Verdict::No);
        assert_eq!(list("WWW.x", "www.*", true), Verdict::Yes);
        assert_eq!(list("WWW.x", "www.*", false), Verdict::No);
    }

    #[test]
    fn prefixes_must_be_consistent() {
        let yes = |a: &str, p: &str| addresses(Some(a), p);
        assert_eq!(yes("192.0.2.9", "192.0.2.0/24"), Ok(Verdict::Yes));
        assert_eq!(yes("192.0.3.9", "192.0.2.0/24"), Ok(Verdict::No));
        assert_eq!(
            yes("192.0.2.9", "!192.0.2.9,192.0.2.0/24"),
            Ok(Verdict::Never)
        );
        assert_eq!(yes("192.0.2.9", "192.0.2.*"), Ok(Verdict::Yes));
        assert_eq!(yes("2001:db8::9", "2001:db8::/32"), Ok(Verdict::Yes));
        assert!(yes("192.0.2.9", "192.0.2.1/24").is_err());
        assert!(yes("192.0.2.9", "192.0.2.0/33").is_err());
        assert_eq!(yes("192.0.2.9", "192.0.2.0/999"), Ok(Verdict::No));
        assert_eq!(yes("10.0.0.1", "10.1"), Ok(Verdict::Yes));
        assert!(yes("10.1.0.1", "10.1/16").is_err());
        assert!(yes("192.0.2.9", "a,,b").is_err());
    }

    #[test]
    fn users_at_hosts() {
        let hit = |p: &str| user_at_host("alice", Some("h.example"), Some("192.0.2.9"), p);
        assert!(hit("alice"));
        assert!(hit("al*@192.0.2.0/24"));
        assert!(hit("alice@*.example"));
        assert!(!hit("alice@192.0.3.0/24"));
        assert!(!hit("bob@192.0.2.0/24"));
        assert!(!user_pattern_is_sound("alice@192.0.2.1/24"));
    }
}
