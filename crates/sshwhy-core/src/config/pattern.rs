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

fn entry(text: &str) -> Entry {
    let (ip, len) = match text.split_once('/') {
        Some((ip, len)) => (ip, Some(len)),
        None => (text, None),
    };
    let Some(ip) = parse_ip(ip.as_bytes()) else {
        return Entry::Wildcard;
    };
    let max = if ip.is_ipv4() { 32 } else { 128 };
    let Some(len) = len else {
        return Entry::Net(ip, max);
    };
    let digits = !len.is_empty() && len.len() <= 3 && len.bytes().all(|b| b.is_ascii_digit());
    match len.parse::<u8>() {
        Ok(len) if digits && len <= max && network(ip, len) == ip => Entry::Net(ip, len),
        Ok(len) if digits && len <= max => Entry::Bad,
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
    let Some((name, at)) = pattern.rsplit_once('@') else {
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
    match pattern.rsplit_once('@') {
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
