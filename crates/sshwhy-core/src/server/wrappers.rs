//! TCP wrappers: what /etc/hosts.allow and /etc/hosts.deny say to a daemon's client (hosts_access(5), hosts_options(5)).
//!
//! The first line that fits decides: in hosts.allow it lets in, in hosts.deny it keeps out, unless an option says otherwise.

use crate::addr::{network, parse_ip};
use std::net::IpAddr;

/// Who calls whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call<'a> {
    /// The name of the program that is called, `sshd`.
    pub daemon: &'a str,
    /// The address that was called, where it is known.
    pub server: Option<IpAddr>,
    pub client: IpAddr,
    /// The client's name.
    pub host: Option<&'a str>,
}

/// The line that keeps the client out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// `hosts.allow` or `hosts.deny`.
    pub in_allow: bool,
    /// From 1, of the line's beginning.
    pub line: u32,
    pub text: String,
}

/// Logical lines (a backslash at the end goes on) with their numbers.
fn lines(text: &str) -> Vec<(u32, String)> {
    let mut out: Vec<(u32, String)> = Vec::new();
    let mut open: Option<(u32, String)> = None;
    for (i, line) in text.lines().enumerate() {
        let (number, mut whole) = open.take().unwrap_or((i as u32 + 1, String::new()));
        match line.strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part);
                open = Some((number, whole));
            }
            None => {
                whole.push_str(line);
                out.push((number, whole));
            }
        }
    }
    out.extend(open);
    out.retain(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'));
    out
}

/// Fields parted by colons outside brackets.
fn fields(line: &str) -> Vec<String> {
    let (mut out, mut field, mut depth, mut escaped) = (Vec::new(), String::new(), 0u32, false);
    for c in line.chars() {
        match c {
            _ if escaped => {
                field.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '[' => {
                depth += 1;
                field.push(c);
            }
            ']' => {
                depth = depth.saturating_sub(1);
                field.push(c);
            }
            ':' if depth == 0 => out.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    out.push(field);
    out
}

/// A list with EXCEPT, of which every further one takes back.
fn list(text: &str, hit: &dyn Fn(&str) -> bool) -> bool {
    let words: Vec<&str> = text
        .split([' ', '\t', ','])
        .filter(|w| !w.is_empty())
        .collect();
    let mut parts = words.split(|w| w.eq_ignore_ascii_case("EXCEPT"));
    let first = parts.next().is_some_and(|p| p.iter().any(|w| hit(w)));
    // `a EXCEPT b EXCEPT c` is `a EXCEPT (b EXCEPT c)`.
    let rest: Vec<bool> = parts.map(|p| p.iter().any(|w| hit(w))).collect();
    let excepted = rest.iter().rev().fold(false, |inner, this| *this && !inner);
    first && !excepted
}

fn masked(net: &str, mask: &str, ip: IpAddr) -> bool {
    let Some(net) = address(net) else {
        return false;
    };
    match (net, ip) {
        (IpAddr::V4(net), IpAddr::V4(ip)) => {
            let mask = match (mask.parse::<u32>(), parse_ip(mask.as_bytes())) {
                // A length of 0 is none to libwrap.
                (Ok(len @ 1..=32), _) => u32::MAX << (32 - len),
                (_, Some(IpAddr::V4(m))) => u32::from(m),
                _ => return false,
            };
            // A net with bits beyond its mask fits nobody.
            u32::from(ip) & mask == u32::from(net)
        }
        (IpAddr::V6(_), IpAddr::V6(_)) => match mask.parse::<u8>() {
            Ok(len) if len <= 128 => network(net, len) == network(ip, len),
            _ => false,
        },
        _ => false,
    }
}

/// An address as libwrap writes it: IPv6, and only that, in brackets.
fn address(word: &str) -> Option<IpAddr> {
    let inner = word.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
    parse_ip(inner.unwrap_or(word).as_bytes()).filter(|ip| ip.is_ipv6() == inner.is_some())
}

fn client(word: &str, call: &Call<'_>) -> bool {
    // Nobody answers the question for a client's user name (RFC 931): only these fit.
    let word = match word.rsplit_once('@') {
        Some((user, host)) if matches!(user.to_ascii_uppercase().as_str(), "ALL" | "UNKNOWN") => {
            host
        }
        Some(_) => return false,
        None => word,
    };
    end(word, Some(call.client), call.host)
}

/// Whether a word means this end of the connection, the client's or our own.
fn end(word: &str, ip: Option<IpAddr>, host: Option<&str>) -> bool {
    let upper = word.to_ascii_uppercase();
    match upper.as_str() {
        "ALL" => return true,
        "KNOWN" => return host.is_some(),
        "UNKNOWN" => return host.is_none(),
        "PARANOID" => return false,
        "LOCAL" => return host.is_some_and(|h| !h.contains('.')),
        _ => {}
    }
    // What has no address has no name that is one, either.
    let Some(ip) = ip else {
        return false;
    };
    if let Some((net, mask)) = word.split_once('/') {
        return masked(net, mask, ip);
    }
    if word.starts_with('.') {
        return host.is_some_and(|h| h.to_ascii_lowercase().ends_with(&word.to_ascii_lowercase()));
    }
    if word.ends_with('.') {
        return ip.is_ipv4() && ip.to_string().starts_with(word);
    }
    if let Some(own) = address(word) {
        return own == ip;
    }
    if word.contains(['*', '?']) {
        let fits = |t: &str| {
            crate::config::pattern::matches(&t.to_ascii_lowercase(), &word.to_ascii_lowercase())
        };
        return fits(&ip.to_string()) || host.is_some_and(fits);
    }
    host.is_some_and(|h| h.eq_ignore_ascii_case(word))
}

/// `name` or `name@address`, the address being the one that was called.
fn daemon(word: &str, call: &Call<'_>) -> bool {
    // An @ at the beginning belongs to the name.
    let at = word.char_indices().skip(1).find(|(_, c)| *c == '@');
    let parts = at.and_then(|(at, _)| Some((word.get(..at)?, word.get(at + 1..)?)));
    let (name, own) = match parts {
        Some((name, own)) => (name, Some(own)),
        None => (word, None),
    };
    let (pattern, of) = (name.to_ascii_lowercase(), call.daemon.to_ascii_lowercase());
    let named = matches!(pattern.as_str(), "all" | "known")
        || crate::config::pattern::matches(&of, &pattern);
    named && own.is_none_or(|own| end(own, call.server, None))
}

/// hosts_options(5). Another word is a mistake, for which libwrap refuses the client.
const OPTIONS: [&str; 13] = [
    "allow",
    "deny",
    "twist",
    "spawn",
    "user",
    "group",
    "umask",
    "linger",
    "rfc931",
    "nice",
    "keepalive",
    "banners",
    "setenv",
];

/// What the options at the end of a line say, where they overrule the file.
fn overruled(fields: &[String]) -> Option<bool> {
    let last = fields.len().saturating_sub(1);
    fields.iter().enumerate().skip(2).find_map(|(i, f)| {
        let word = f.trim().split([' ', '=', '\t']).next().unwrap_or_default();
        match word.to_ascii_lowercase().as_str() {
            // It has to be the last one.
            "allow" => Some(i == last),
            "deny" | "twist" => Some(false),
            "severity" | "aclexec" => None,
            other if OPTIONS.contains(&other) => None,
            _ => Some(false),
        }
    })
}

/// The line that keeps the client out, if one does.
pub fn denied(allow: &str, deny: &str, call: &Call<'_>) -> Option<Denial> {
    for (text, in_allow) in [(allow, true), (deny, false)] {
        for (number, line) in lines(text) {
            let fields = fields(&line);
            let (Some(daemons), Some(clients)) = (fields.first(), fields.get(1)) else {
                continue;
            };
            if !list(daemons, &|w| daemon(w, call)) || !list(clients, &|w| client(w, call)) {
                continue;
            }
            let lets_in = overruled(&fields).unwrap_or(in_allow);
            return (!lets_in).then(|| Denial {
                in_allow,
                line: number,
                text: line.trim().to_owned(),
            });
        }
    }
    None
}

/// A line about the daemon for which the client's name has to be looked up, whoever the client is: `.example.org`, `LOCAL`,
/// `PARANOID`, a host's name.
pub fn asks_for_name(allow: &str, deny: &str, call: &Call<'_>) -> Option<Denial> {
    let named = |word: &str| {
        let word = word.rsplit('@').next().unwrap_or_default();
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "ALL" | "EXCEPT" | "" => false,
            "KNOWN" | "UNKNOWN" | "LOCAL" | "PARANOID" => true,
            _ => {
                let plain = word.contains('/') || word.ends_with('.') || address(word).is_some();
                !plain && word.contains(|c: char| c.is_ascii_alphabetic())
            }
        }
    };
    [(allow, true), (deny, false)]
        .into_iter()
        .find_map(|(text, in_allow)| {
            lines(text).into_iter().find_map(|(number, line)| {
                let fields = fields(&line);
                let (daemons, clients) = (fields.first()?, fields.get(1)?);
                let asks = list(daemons, &|w| daemon(w, call))
                    && clients.split([' ', '\t', ',']).any(named);
                asks.then(|| Denial {
                    in_allow,
                    line: number,
                    text: line.trim().to_owned(),
                })
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_only_where_a_line_needs_it() {
        let call = Call {
            daemon: "sshd",
            server: None,
            client: "192.0.2.7".parse().unwrap(),
            host: None,
        };
        let asks = |deny: &str| asks_for_name("", deny, &call).map(|d| d.line);
        for names in [
            ".example.org",
            "LOCAL",
            "ALL EXCEPT PARANOID",
            "web7.example.org",
            "a@unknown",
        ] {
            assert_eq!(asks(&format!("# x\nsshd: {names}\n")), Some(2), "{names}");
        }
        for none in [
            "ALL",
            "192.0.2.",
            "192.0.2.0/255.255.255.0",
            "[2001:db8::]/32",
            "[2001:db8::1]",
            "/etc/deny.list",
        ] {
            assert_eq!(asks(&format!("sshd: {none}\n")), None, "{none}");
        }
        assert_eq!(asks("vsftpd: .example.org\n"), None);
        assert!(asks_for_name("ALL: .example.org\n", "", &call).is_some_and(|d| d.in_allow));
    }

    fn line(allow: &str, deny: &str) -> Option<(bool, u32)> {
        let call = Call {
            daemon: "sshd",
            server: "198.51.100.1".parse().ok(),
            client: "192.0.2.7".parse().unwrap(),
            host: Some("h.example.org"),
        };
        denied(allow, deny, &call).map(|d| (d.in_allow, d.line))
    }

    #[test]
    fn a_daemon_may_be_meant_at_one_address_only() {
        for fits in [
            "sshd@198.51.100.1",
            "s*@198.51.100.",
            "ALL@198.51.100.0/24",
            "sshd@ALL",
            "ss?d",
            "KNOWN",
            "vsftpd, sshd@198.51.100.1",
        ] {
            assert_eq!(
                line("", &format!("{fits}: ALL\n")),
                Some((false, 1)),
                "{fits}"
            );
            // In hosts.allow it lets in.
            assert_eq!(line(&format!("{fits}: ALL\n"), "ALL: ALL\n"), None);
        }
        for none in [
            "sshd@198.51.100.2",
            "vsftpd@198.51.100.1",
            "@198.51.100.1",
            "sshd@",
            "sshd@[2001:db8::]/32",
            "sshd@LOCAL",
            "UNKNOWN",
            "ss?",
        ] {
            assert_eq!(line("", &format!("{none}: ALL\n")), None, "{none}");
        }
        // Which address was called is not always known.
        let call = Call {
            daemon: "sshd",
            server: None,
            client: "192.0.2.7".parse().unwrap(),
            host: None,
        };
        assert_eq!(denied("", "sshd@198.51.100.1: ALL\n", &call), None);
        assert!(denied("", "sshd@ALL: ALL\n", &call).is_some());
    }

    #[test]
    fn the_first_line_that_fits_decides() {
        assert_eq!(line("", "sshd: ALL\n"), Some((false, 1)));
        assert_eq!(line("sshd: 192.0.2.\n", "ALL: ALL\n"), None);
        assert_eq!(
            line("sshd: 198.51.100.\n", "# all\nALL: ALL\n"),
            Some((false, 2))
        );
        assert_eq!(line("", "vsftpd: ALL\n"), None);
        assert_eq!(line("", "ALL: ALL EXCEPT 192.0.2.0/255.255.255.0\n"), None);
        assert_eq!(line("", "ALL: ALL EXCEPT .example.com\n"), Some((false, 1)));
        assert_eq!(line("sshd: ALL: deny\n", ""), Some((true, 1)));
        assert_eq!(line("", "sshd: \\\n 192.0.2.7\n"), Some((false, 1)));
        assert_eq!(
            line("sshd: [2001:db8::]/32\nsshd: h.example.org\n", "ALL: ALL"),
            None
        );
        assert_eq!(line("", "ALL EXCEPT sshd: ALL\n"), None);
        assert_eq!(line("", "SSHD: ALL\n"), Some((false, 1)));
        // What looks like a rule for this client and is none to libwrap.
        for none in ["192.0.2.1/24", "[192.0.2.7]", "bob@192.0.2.7", "192.0.2"] {
            assert_eq!(line("", &format!("sshd: {none}\n")), None, "{none}");
        }
        assert_eq!(line("sshd: ALL : alow\n", ""), Some((true, 1)));
        assert_eq!(line("sshd: ALL : severity auth.info\n", "ALL: ALL\n"), None);
        assert_eq!(line("", "sshd: 192.0.2.0/24"), Some((false, 1)));
        assert_eq!(line("", "sshd\n: ALL"), None);
    }
}
