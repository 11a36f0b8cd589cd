//! How one address is taken out of a packet filter whose ban tool is gone: the commands, and those that put it back.

use std::net::IpAddr;

/// `place` and `rule` as in [`super::Ruling`]; `source`: the program that showed them (`nft`, `iptables-save`). `None`: the rule does
/// not say what to take out.
pub fn lift(
    place: &str,
    rule: &str,
    source: &str,
    ip: IpAddr,
) -> Option<(Vec<String>, Vec<String>)> {
    let words: Vec<&str> = rule.split_ascii_whitespace().collect();
    let owned = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let addr = ip.to_string();
    match place.split(' ').collect::<Vec<_>>()[..] {
        // A rule without a set has only its handle for a name.
        [family, table, _] => {
            let sets: Vec<&str> = words.iter().filter_map(|w| w.strip_prefix('@')).collect();
            let &[set] = sets.as_slice() else { return None };
            let element = ["{", addr.as_str(), "}"];
            let act = |verb: &str| {
                let mut out = owned(&["nft", verb, "element", family, table, set]);
                out.push(element.join(" "));
                out
            };
            Some((act("delete"), act("add")))
        }
        [table, chain] => {
            let after = |name: &str| {
                let at = words.iter().position(|w| *w == name)?;
                words.get(at + 1).copied()
            };
            if let Some(set) = after("--match-set") {
                return Some((
                    owned(&["ipset", "del", set, &addr]),
                    owned(&["ipset", "add", set, &addr]),
                ));
            }
            let whole = [
                addr.clone(),
                format!("{addr}/{}", if ip.is_ipv4() { 32 } else { 128 }),
            ];
            let own = after("-s").is_some_and(|s| whole.iter().any(|w| w == s));
            let rest = words.strip_prefix(&["-A", chain])?;
            // Words of a comment are not told apart any more.
            if !own || words.iter().any(|w| *w == "--comment" || *w == "!") {
                return None;
            }
            let program = source.strip_suffix("-save")?;
            let mut out = owned(&[program, "-t", table, "-D", chain]);
            let mut back = owned(&[program, "-t", table, "-I", chain, "1"]);
            out.extend(owned(rest));
            back.extend(owned(rest));
            Some((out, back))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(place: &str, rule: &str, source: &str) -> Option<(String, String)> {
        let out = lift(place, rule, source, "192.0.2.7".parse().unwrap());
        out.map(|(a, b)| (a.join(" "), b.join(" ")))
    }

    #[test]
    fn an_address_is_taken_out_where_the_rule_says_what_holds_it() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(
            said(
                "inet f2b-table f2b-chain",
                "tcp dport 22 ip saddr @addr-set-sshd reject",
                "nft"
            ),
            pair(
                "nft delete element inet f2b-table addr-set-sshd { 192.0.2.7 }",
                "nft add element inet f2b-table addr-set-sshd { 192.0.2.7 }"
            )
        );
        assert_eq!(
            said(
                "filter f2b-sshd",
                "-A f2b-sshd -s 192.0.2.7/32 -j REJECT --reject-with icmp-port-unreachable",
                "iptables-save"
            ),
            pair(
                "iptables -t filter -D f2b-sshd -s 192.0.2.7/32 -j REJECT --reject-with icmp-port-unreachable",
                "iptables -t filter -I f2b-sshd 1 -s 192.0.2.7/32 -j REJECT --reject-with icmp-port-unreachable"
            )
        );
        assert_eq!(
            said(
                "filter INPUT",
                "-A INPUT -p tcp -m set --match-set f2b-sshd src -j DROP",
                "iptables-save"
            ),
            pair(
                "ipset del f2b-sshd 192.0.2.7",
                "ipset add f2b-sshd 192.0.2.7"
            )
        );
        // What holds more than the address, or cannot be named.
        for (place, rule, source) in [
            ("inet filter input", "ip saddr 192.0.2.7 drop", "nft"),
            (
                "filter INPUT",
                "-A INPUT -s 192.0.2.0/24 -j DROP",
                "iptables-save",
            ),
            (
                "filter INPUT",
                "-A INPUT ! -s 192.0.2.7/32 -j DROP",
                "iptables-save",
            ),
            (
                "filter INPUT",
                "-A INPUT -s 192.0.2.7/32 -m comment --comment a b -j DROP",
                "iptables-save",
            ),
            ("filter", "policy drop", "nft"),
        ] {
            assert_eq!(said(place, rule, source), None, "{rule}");
        }
    }
}
