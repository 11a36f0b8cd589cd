//! This machine's own packet filter, as far as a packet that leaves it for a server is concerned.
//!
//! Reads `nft list ruleset` and `iptables-save`, which only root may. Rules are evaluated one after the other as long as
//! each of their conditions is understood; what is not understood is said, never guessed.

use crate::client;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `drops`, `rejects`, `passes` or `unreadable`, with the rule; `None` where there is no filter to read.
pub fn outbound(addr: SocketAddr, source: Option<IpAddr>) -> Option<(&'static str, String)> {
    let wait = Duration::from_secs(3);
    let list = |program: &str, arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let ran = client::run(program, &arguments, wait).ok()?;
        (ran.code == Some(0)).then_some(ran.out)
    };
    let nft = list("nft", &["-nn", "list", "ruleset"]);
    let saved = list(
        if addr.is_ipv4() {
            "iptables-save"
        } else {
            "ip6tables-save"
        },
        &["-t", "filter"],
    );
    if nft.is_none() && saved.is_none() {
        return None;
    }
    let packet = Packet { addr, source };
    let mut unread = None;
    for verdict in [
        nft.as_deref().map(|t| nftables(t, &packet)),
        saved.as_deref().map(|t| iptables(t, &packet)),
    ]
    .into_iter()
    .flatten()
    {
        match verdict {
            Verdict::Stops(word, rule) => return Some((word, rule)),
            Verdict::Unread(rule) => unread = unread.or(Some(rule)),
            Verdict::Passes => {}
        }
    }
    Some(match unread {
        Some(rule) => ("unreadable", format!("not understood: {rule}")),
        None => ("passes", "this machine's own rules let it out".to_owned()),
    })
}

struct Packet {
    addr: SocketAddr,
    source: Option<IpAddr>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Verdict {
    Passes,
    Stops(&'static str, String),
    Unread(String),
}

/// The chains of `nft list ruleset` that hang on the output hook.
fn nftables(text: &str, packet: &Packet) -> Verdict {
    let mut unread = None;
    let (mut table, mut chain) = (String::new(), String::new());
    let (mut hooked, mut policy, mut over) = (false, "accept", false);
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("table ") {
            name.trim_end_matches(" {").clone_into(&mut table);
        } else if let Some(name) = line.strip_prefix("chain ") {
            name.trim_end_matches(" {").clone_into(&mut chain);
            (hooked, policy, over) = (false, "accept", false);
        } else if line.starts_with("type ") && line.contains("hook output") {
            let family = table.split(' ').next().unwrap_or_default();
            let fits = match family {
                "ip" => packet.addr.is_ipv4(),
                "ip6" => packet.addr.is_ipv6(),
                "inet" => true,
                _ => false,
            };
            hooked = fits && line.starts_with("type filter");
            policy = if line.contains("policy drop") {
                "drop"
            } else {
                "accept"
            };
        } else if line == "}" {
            if hooked && !over && policy == "drop" && unread.is_none() {
                let rule = format!("nft {table} {chain}: policy drop");
                return Verdict::Stops("drops", rule);
            }
            hooked = false;
        } else if hooked && !over {
            let Some(fits) = nft_rule_fits(line, packet) else {
                unread = unread.or(Some(format!("nft {table} {chain}: {line}")));
                continue;
            };
            let word = |w: &str| line.split_whitespace().any(|x| x == w);
            if !fits {
                continue;
            }
            let rule = format!("nft {table} {chain}: {line}");
            if word("drop") {
                return Verdict::Stops("drops", rule);
            } else if word("reject") {
                return Verdict::Stops("rejects", rule);
            } else if word("accept") || word("return") {
                over = true;
            } else if word("jump") || word("goto") {
                unread = unread.or(Some(rule));
            }
        }
    }
    unread.map_or(Verdict::Passes, Verdict::Unread)
}

/// Whether a rule's conditions hold for a first packet; `None` where one of them is not understood.
fn nft_rule_fits(rule: &str, packet: &Packet) -> Option<bool> {
    let mut words: Vec<&str> = Vec::new();
    let mut depth = 0;
    let mut set = String::new();
    let mut sets: Vec<String> = Vec::new();
    for word in rule.split_whitespace() {
        if word.starts_with('{') {
            depth += 1;
        }
        if depth > 0 {
            set.push_str(word);
            if word.ends_with('}') {
                depth -= 1;
                sets.push(std::mem::take(&mut set));
                words.push("{}");
            }
        } else {
            words.push(word);
        }
    }
    let mut sets = sets.into_iter();
    let mut i = 0;
    let mut fits = true;
    while let Some(word) = words.get(i) {
        let next = words.get(i + 1).copied().unwrap_or_default();
        i += 1;
        match *word {
            "drop" | "accept" | "return" | "reject" | "jump" | "goto" | "counter" | "log" => {
                if *word == "counter" && next == "packets" {
                    i += 4;
                } else if *word != "counter" {
                    return Some(fits);
                }
            }
            "comment" => i = words.len(),
            "tcp" | "th" | "meta" | "ip" | "ip6" | "ct" | "udp" | "icmp" | "icmpv6" => {
                let field = next;
                i += 1;
                let mut value = words.get(i).copied().unwrap_or_default();
                i += 1;
                let not = value == "!=";
                if not || value == "==" {
                    value = words.get(i).copied().unwrap_or_default();
                    i += 1;
                }
                let value = if value == "{}" {
                    sets.next()?
                } else {
                    value.to_owned()
                };
                let holds = condition(word, field, &value, packet)?;
                fits &= holds != not;
            }
            _ => return None,
        }
    }
    Some(fits)
}

fn condition(what: &str, field: &str, value: &str, packet: &Packet) -> Option<bool> {
    let values: Vec<&str> = value
        .trim_matches(['{', '}'])
        .split(',')
        .map(str::trim)
        .collect();
    match (what, field) {
        ("tcp" | "th", "dport") => Some(values.iter().any(|v| in_ports(v, packet.addr.port()))),
        ("udp" | "icmp" | "icmpv6", _) => Some(false),
        ("meta", "l4proto") | ("ip", "protocol") | ("ip6", "nexthdr") => {
            Some(values.iter().any(|v| *v == "tcp" || *v == "6"))
        }
        ("meta", "nfproto") => {
            let own = if packet.addr.is_ipv4() {
                "ipv4"
            } else {
                "ipv6"
            };
            Some(values.contains(&own))
        }
        ("ip", "daddr") => {
            Some(packet.addr.is_ipv4() && in_networks(&values, Some(packet.addr.ip()))?)
        }
        ("ip6", "daddr") => {
            Some(packet.addr.is_ipv6() && in_networks(&values, Some(packet.addr.ip()))?)
        }
        ("ip" | "ip6", "saddr") => in_networks(&values, packet.source),
        ("ct", "state") => Some(values.contains(&"new")),
        ("tcp", "flags") => None,
        _ => None,
    }
}

fn in_ports(value: &str, port: u16) -> bool {
    match value.split_once(['-', ':']) {
        Some((from, to)) => {
            from.parse().unwrap_or(u16::MAX) <= port && port <= to.parse().unwrap_or(0)
        }
        None => value.parse() == Ok(port),
    }
}

/// `None` where a value is no network (a named set).
fn in_networks(values: &[&str], ip: Option<IpAddr>) -> Option<bool> {
    let ip = ip?;
    let mut found = false;
    for value in values {
        let network = sshwhy_core::addr::Cidr::parse(value)?;
        found |= network.contains(ip);
    }
    Some(found)
}

/// The OUTPUT chain of `iptables-save`.
fn iptables(text: &str, packet: &Packet) -> Verdict {
    let mut policy = "ACCEPT";
    let mut unread = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(":OUTPUT ") {
            policy = rest.split(' ').next().unwrap_or("ACCEPT");
        }
        let Some(rule) = line.strip_prefix("-A OUTPUT ") else {
            continue;
        };
        let Some((fits, target)) = iptables_rule(rule, packet) else {
            unread = unread.or(Some(format!("iptables {line}")));
            continue;
        };
        if !fits {
            continue;
        }
        let shown = format!("iptables {line}");
        match target {
            "DROP" => return Verdict::Stops("drops", shown),
            "REJECT" => return Verdict::Stops("rejects", shown),
            "ACCEPT" | "RETURN" => return unread.map_or(Verdict::Passes, Verdict::Unread),
            "LOG" | "NFLOG" | "" => {}
            _ => unread = unread.or(Some(shown)),
        }
    }
    match unread {
        Some(rule) => Verdict::Unread(rule),
        None if policy == "DROP" => {
            Verdict::Stops("drops", "iptables: policy DROP of OUTPUT".to_owned())
        }
        None => Verdict::Passes,
    }
}

fn iptables_rule<'r>(rule: &'r str, packet: &Packet) -> Option<(bool, &'r str)> {
    let mut words = rule.split_whitespace();
    let (mut fits, mut not, mut target) = (true, false, "");
    while let Some(word) = words.next() {
        let mut hold = |holds: bool| {
            fits &= holds != not;
            not = false;
        };
        match word {
            "!" => {
                not = true;
                continue;
            }
            "-p" => hold(words.next()? == "tcp"),
            "-d" => hold(in_networks(&[words.next()?], Some(packet.addr.ip()))?),
            "-s" => hold(in_networks(&[words.next()?], packet.source)?),
            "--dport" => {
                let v = words.next()?;
                hold(in_ports(v, packet.addr.port()));
            }
            "--dports" => {
                let v = words.next()?;
                hold(v.split(',').any(|p| in_ports(p, packet.addr.port())));
            }
            "--ctstate" | "--state" => {
                let v = words.next()?;
                hold(v.split(',').any(|s| s == "NEW"));
            }
            "-m" => {
                words.next()?;
            }
            "-j" => {
                target = words.next()?;
                break;
            }
            _ => return None,
        }
    }
    Some((fits, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Packet {
        Packet {
            addr: ([192, 0, 2, 7], 22).into(),
            source: Some(IpAddr::from([198, 51, 100, 4])),
        }
    }

    fn nft(rules: &str, policy: &str) -> Verdict {
        nftables(
            &format!(
                "table inet t {{\n\tchain o {{\n\t\ttype filter hook output priority filter; policy {policy};\n{rules}\n\t}}\n}}\n"
            ),
            &packet(),
        )
    }

    fn word(v: Verdict) -> &'static str {
        match v {
            Verdict::Passes => "passes",
            Verdict::Stops(w, _) => w,
            Verdict::Unread(_) => "unread",
        }
    }

    #[test]
    fn nftables_rules_in_order() {
        assert_eq!(word(nft("tcp dport 22 drop", "accept")), "drops");
        assert_eq!(
            word(nft(
                "tcp dport { 22, 80 } counter packets 1 bytes 60 reject with tcp reset",
                "accept"
            )),
            "rejects"
        );
        assert_eq!(word(nft("tcp dport 23 drop", "accept")), "passes");
        assert_eq!(word(nft("tcp dport != 443 drop", "accept")), "drops");
        assert_eq!(
            word(nft(
                "ip daddr 192.0.2.0/24 accept\ntcp dport 22 drop",
                "accept"
            )),
            "passes"
        );
        assert_eq!(
            word(nft("ip daddr 203.0.113.0/24 tcp dport 22 drop", "accept")),
            "passes"
        );
        assert_eq!(word(nft("udp dport 53 accept", "drop")), "drops");
        assert_eq!(word(nft("tcp dport 22 accept", "drop")), "passes");
        assert_eq!(
            word(nft("ct state established,related accept", "drop")),
            "drops"
        );
        assert_eq!(word(nft("ip daddr @friends accept", "drop")), "unread");
        let input =
            "table inet t {\n chain i {\n type filter hook input priority 0; policy drop;\n }\n}\n";
        assert_eq!(word(nftables(input, &packet())), "passes");
        assert_eq!(word(nftables("", &packet())), "passes");
    }

    #[test]
    fn iptables_rules_in_order() {
        let ipt = |text: &str| word(iptables(text, &packet()));
        assert_eq!(
            ipt(":OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --dport 22 -j DROP\n"),
            "drops"
        );
        assert_eq!(
            ipt(":OUTPUT DROP [0:0]\n-A OUTPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"),
            "passes"
        );
        assert_eq!(
            ipt(":OUTPUT DROP [0:0]\n-A OUTPUT -d 203.0.113.0/24 -j ACCEPT\n"),
            "drops"
        );
        assert_eq!(
            ipt(
                ":OUTPUT ACCEPT [0:0]\n-A OUTPUT ! -d 203.0.113.0/24 -p tcp -j REJECT --reject-with tcp-reset\n"
            ),
            "rejects"
        );
        assert_eq!(
            ipt(":OUTPUT DROP [0:0]\n-A OUTPUT -m owner --uid-owner 0 -j ACCEPT\n"),
            "unread"
        );
    }
}
