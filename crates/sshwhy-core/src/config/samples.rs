//! Connections worth asking about: one for each Match block, and one from each place that a list or a block names.
//!
//! A configuration is compared, and accounts are asked about, not for one caller but for each kind of caller that it tells apart.

use super::Body;
use super::effective::Connection;
use super::parse::{Config, MatchLine, Node, Test};
use super::pattern;
use crate::addr::parse_ip;

/// Where a connection comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// As the configuration names it; `elsewhere` for what it does not name.
    pub name: String,
    pub addr: String,
    pub host: String,
}

/// Addresses of documentation and of test networks that hardly any configuration names.
const ELSEWHERE: [&str; 4] = [
    "203.0.113.77",
    "198.51.100.77",
    "192.0.2.77",
    "198.18.77.77",
];

/// An address or name that the pattern fits.
fn inside(pattern: &str) -> Option<(String, bool)> {
    let (base, _) = pattern.split_once('/').unwrap_or((pattern, ""));
    if parse_ip(base.as_bytes()).is_some() {
        return Some((base.to_owned(), true));
    }
    let filled = pattern.replace(['*', '?'], "7");
    match parse_ip(filled.as_bytes()) {
        Some(_) => Some((filled, true)),
        // `192.0.2*` and names.
        None if filled.bytes().all(|b| b.is_ascii_digit() || b == b'.') => None,
        None => Some((pattern.replace('*', "host").replace('?', "x"), false)),
    }
}

fn blocks<'a>(body: &'a Body, out: &mut Vec<&'a MatchLine>) {
    for node in &body.nodes {
        match node {
            Node::Match(m) => out.push(m),
            Node::Include { files, .. } => files.iter().for_each(|f| blocks(f, out)),
            Node::Set(_) => {}
        }
    }
}

/// Every Match line, in the order in which sshd reads them.
pub fn matches(config: &Config) -> Vec<&MatchLine> {
    let mut out = Vec::new();
    blocks(&config.body, &mut out);
    out
}

/// The places that the configuration tells apart, `elsewhere` last. At most 20.
pub fn places(config: &Config) -> Vec<Place> {
    let mut named: Vec<String> = Vec::new();
    let mut list = |text: &str| {
        let words = text.split(',').map(|w| w.trim_start_matches('!'));
        named.extend(
            words
                .filter(|w| !w.is_empty() && *w != "*")
                .map(str::to_owned),
        );
    };
    for m in matches(config) {
        let from = m
            .criteria
            .iter()
            .filter(|c| matches!(c.test, Test::Address | Test::Host));
        from.for_each(|c| list(&c.argument));
    }
    let users = ["AllowUsers", "DenyUsers"];
    for d in config
        .directives()
        .into_iter()
        .filter(|d| users.contains(&d.keyword.name))
    {
        d.values
            .iter()
            .filter_map(|v| v.split_once('@'))
            .for_each(|(_, at)| list(at));
    }
    let mut out: Vec<Place> = Vec::new();
    for name in named {
        if let Some((at, is_addr)) = inside(&name)
            && !out.iter().any(|p| p.name == name)
            && out.len() < 19
        {
            let outside = elsewhere(&out);
            out.push(Place {
                name,
                addr: if is_addr { at.clone() } else { outside },
                host: at,
            });
        }
    }
    let addr = elsewhere(&out);
    out.push(Place {
        name: if out.is_empty() {
            "anywhere"
        } else {
            "elsewhere"
        }
        .to_owned(),
        host: addr.clone(),
        addr,
    });
    out
}

fn elsewhere(places: &[Place]) -> String {
    let named = |a: &&&str| {
        places
            .iter()
            .all(|p| pattern::addresses(Some(a), &p.name) != Ok(pattern::Verdict::Yes))
    };
    let free = ELSEWHERE.iter().find(named);
    free.or(ELSEWHERE.first())
        .map_or(String::new(), |a| (*a).to_owned())
}

/// A connection for which the block holds, if one can be made up.
pub fn of(line: &MatchLine) -> Option<Connection> {
    let first = |list: &str| {
        let word = list.split(',').find(|w| !w.starts_with('!'))?;
        Some(word.replace('*', "someone").replace('?', "x"))
    };
    let mut c = Connection {
        user: Some("someone".to_owned()),
        addr: ELSEWHERE.first().map(|a| (*a).to_owned()),
        host: ELSEWHERE.first().map(|a| (*a).to_owned()),
        lport: Some(22),
        ..Connection::default()
    };
    for t in &line.criteria {
        let argument = t.argument.as_str();
        match t.test {
            Test::User => c.user = Some(first(argument)?),
            Test::Group => c.groups.push(first(argument)?),
            Test::Host => c.host = Some(first(argument)?),
            Test::Address | Test::LocalAddress => {
                let word = argument.split(',').find(|w| !w.starts_with('!'))?;
                let (at, _) = inside(word).filter(|(_, is_addr)| *is_addr)?;
                match t.test {
                    Test::Address => c.addr = Some(at),
                    _ => c.laddr = Some(at),
                }
            }
            Test::LocalPort => c.lport = super::value::port(argument),
            Test::RDomain => c.rdomain = Some(first(argument)?),
            Test::InvalidUser => c.invalid_user = true,
            Test::Version => {}
        }
    }
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::super::effective::fits;
    use super::super::{Memory, parse::parse};
    use super::*;

    fn config(text: &str) -> Config {
        parse(&Memory::default().with("/c", text), "/c", (10, 0), "/")
    }

    #[test]
    fn places_are_those_that_are_told_apart() {
        let names = |text: &str| -> Vec<String> {
            places(&config(text)).into_iter().map(|p| p.name).collect()
        };
        assert_eq!(names("Port 22\n"), ["anywhere"]);
        assert_eq!(
            names(
                "AllowUsers a@192.0.2.0/24 b@*.example.org c\nMatch Address 10.0.0.0/8,!10.1.1.1\nX11Forwarding no\n"
            ),
            [
                "10.0.0.0/8",
                "10.1.1.1",
                "192.0.2.0/24",
                "*.example.org",
                "elsewhere"
            ]
        );
        let all = places(&config("AllowUsers a@203.0.113.0/24 b@198.51.100.*\n"));
        assert_eq!(all.last().map(|p| p.addr.as_str()), Some("192.0.2.77"));
        assert_eq!(all[1].addr, "198.51.100.7");
    }

    #[test]
    fn a_sample_of_a_block_fits_it() {
        for criteria in [
            "User git",
            "User g*,!root",
            "Group staff,wheel",
            "Address 192.0.2.0/24 User x",
            "LocalPort 2222",
            "LocalAddress 198.51.100.1",
            "Host *.example.org",
            "invalid-user",
            "all",
        ] {
            let c = config(&format!("Match {criteria}\nX11Forwarding no\n"));
            let line = matches(&c)[0];
            let sample = of(line).unwrap();
            assert!(fits(line, &sample, (10, 0)), "{criteria}: {sample:?}");
        }
    }
}
