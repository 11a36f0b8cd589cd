//! This machine's own packet filter, as far as a connection that it opens is concerned.
//!
//! The rules, which only root may read, are evaluated as those of a server are: the packet that opens the connection must
//! get out, and the answer in. What is not understood is said, never guessed.

use crate::client;
use serde_json::Value;
use sshwhy_core::server::{Fate, Leg, Packet, Ruling, iptables, nft};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(3);

/// `drops`, `rejects`, `passes` or `unreadable`, with the rule; `None` where there is no filter to read.
pub fn outbound(addr: SocketAddr, source: Option<IpAddr>) -> Option<(&'static str, String)> {
    let nft = ask("nft", &["-j", "list", "ruleset"]);
    let nft = nft.and_then(|t| serde_json::from_str::<Value>(&t).ok());
    let (save, any) = match addr {
        SocketAddr::V4(_) => ("iptables-save", IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        SocketAddr::V6(_) => ("ip6tables-save", IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    };
    let saved = ask(save, &[]);
    if nft.is_none() && saved.is_none() {
        return None;
    }
    let sets = saved.as_ref().and_then(|_| ask("ipset", &["save"]));
    let sets = iptables::ipsets(&sets.unwrap_or_default());
    let leaves = Packet {
        from: source.unwrap_or(any),
        to: Some(addr.ip()),
        port: addr.port(),
        interface: interface(addr.ip()),
        leg: Leg::Leaves,
    };
    Some(verdict(nft.as_ref(), saved.as_deref(), &sets, &leaves))
}

fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    let ran = client::run(program, &arguments, WAIT).ok()?;
    (ran.code == Some(0)).then_some(ran.out)
}

/// The interface by which this machine reaches the address.
fn interface(ip: IpAddr) -> Option<String> {
    let text = ask("ip", &["route", "get", &ip.to_string()])?;
    let mut words = text.split_ascii_whitespace();
    words.find(|w| *w == "dev")?;
    words.next().map(str::to_owned)
}

/// The first rule that stops one of the two packets; else one that might.
fn verdict(
    nft: Option<&Value>,
    saved: Option<&str>,
    sets: &iptables::Sets,
    leaves: &Packet,
) -> (&'static str, String) {
    let returns = Packet {
        leg: Leg::Returns,
        ..leaves.clone()
    };
    let nft = nft.map(nft::Ruleset::new);
    let mut doubt = None;
    for (packet, what) in [(leaves, ""), (&returns, ", for the server's answer")] {
        let by_nft = nft.as_ref().map(|set| ("nft", set.evaluate(packet)));
        let by_tables = saved.and_then(|text| iptables::evaluate(text, packet, sets));
        let by_tables = by_tables.map(|r| ("iptables", r));
        for (program, r) in by_nft.into_iter().chain(by_tables) {
            let rule = format!("{program} {}: {}{what}", r.place, r.rule);
            match fate(&r) {
                Some("passes") => {}
                Some(word) => return (word, rule),
                None if r.fate == Fate::Passes => {
                    doubt = doubt.or(Some(format!(
                        "{program}: some rules are not understood{what}"
                    )));
                }
                None => {
                    doubt = doubt.or(Some(format!("{rule}; a rule before it is not understood")));
                }
            }
        }
    }
    // What iptables put there in a form that nft cannot show was read by nobody.
    if saved.is_none() && nft.is_some_and(|set| set.needs_iptables()) {
        doubt = doubt.or(Some("iptables-save is missing".to_owned()));
    }
    match doubt {
        Some(text) => ("unreadable", text),
        None => (
            "passes",
            "this machine's own rules let it out, and the answer in".to_owned(),
        ),
    }
}

/// `None` where a rule that could not be read may decide otherwise.
fn fate(r: &Ruling) -> Option<&'static str> {
    match r.fate {
        _ if r.uncertain => None,
        Fate::Passes => Some("passes"),
        Fate::Drops => Some("drops"),
        Fate::Rejects => Some("rejects"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn packet() -> Packet {
        Packet {
            from: IpAddr::from([198, 51, 100, 4]),
            to: Some(IpAddr::from([192, 0, 2, 7])),
            port: 22,
            interface: Some("eth0".to_owned()),
            leg: Leg::Leaves,
        }
    }

    fn ipt(text: &str) -> &'static str {
        let text = format!("*filter\n:INPUT ACCEPT [0:0]\n{text}COMMIT\n");
        verdict(None, Some(&text), &iptables::Sets::new(), &packet()).0
    }

    /// The words of a policy and of rules: `KEY VALUE VERDICT`.
    fn nft(hook: &str, policy: &str, rules: Vec<Value>) -> &'static str {
        let mut items = vec![
            json!({"chain": {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": hook, "prio": 0, "policy": policy}}),
            json!({"set": {"family": "inet", "table": "t", "name": "friends", "type": "ipv4_addr", "elem": [{"prefix": {"addr": "203.0.113.0", "len": 24}}]}}),
        ];
        let rule = |e| json!({"rule": {"family": "inet", "table": "t", "chain": "c", "expr": e}});
        items.extend(rules.into_iter().map(rule));
        let set = json!({ "nftables": items });
        verdict(Some(&set), None, &iptables::Sets::new(), &packet()).0
    }

    fn is(left: Value, right: Value, verdict: &str) -> Value {
        json!([{"match": {"op": "==", "left": left, "right": right}}, {"counter": {"packets": 1, "bytes": 60}}, {verdict: null}])
    }

    #[test]
    fn the_usual_rules_are_understood() {
        let out = json!({"meta": {"key": "oifname"}});
        let to = json!({"payload": {"protocol": "ip", "field": "daddr"}});
        let dport = json!({"payload": {"protocol": "tcp", "field": "dport"}});
        let state = json!({"ct": {"key": "state"}});
        let usual = vec![
            is(out, json!("lo"), "accept"),
            is(state, json!(["established", "related"]), "accept"),
            is(to.clone(), json!("@friends"), "accept"),
            is(dport.clone(), json!({"set": [80, 443]}), "accept"),
        ];
        assert_eq!(nft("output", "drop", usual.clone()), "drops");
        let mut with = usual;
        with.push(is(dport.clone(), json!(22), "accept"));
        assert_eq!(nft("output", "drop", with), "passes");
        let one = |e| nft("output", "accept", vec![e]);
        assert_eq!(one(is(dport.clone(), json!(22), "drop")), "drops");
        assert_eq!(one(is(dport.clone(), json!(23), "drop")), "passes");
        let range = json!({"prefix": {"addr": "192.0.2.0", "len": 24}});
        assert_eq!(one(is(to, range, "reject")), "rejects");
        let odd = json!({"meta": {"key": "skuid"}});
        assert_eq!(one(is(odd, json!(1000), "drop")), "unreadable");
    }

    #[test]
    fn the_answer_must_get_in() {
        let state = json!({"ct": {"key": "state"}});
        let sport = json!({"payload": {"protocol": "tcp", "field": "sport"}});
        let dport = json!({"payload": {"protocol": "tcp", "field": "dport"}});
        assert_eq!(nft("input", "accept", Vec::new()), "passes");
        assert_eq!(nft("input", "drop", Vec::new()), "drops");
        let one = |e| nft("input", "drop", vec![e]);
        assert_eq!(one(is(state, json!("established"), "accept")), "passes");
        assert_eq!(one(is(sport, json!(22), "accept")), "passes");
        // Port 22 of this machine is another one.
        assert_eq!(one(is(dport, json!(22), "accept")), "drops");
    }

    #[test]
    fn rules_of_iptables() {
        for (rules, word) in [
            (
                ":OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --dport 22 -j DROP\n",
                "drops",
            ),
            (
                ":OUTPUT DROP [0:0]\n-A OUTPUT -p tcp -m tcp --dport 22 -j ACCEPT\n",
                "passes",
            ),
            (
                ":OUTPUT DROP [0:0]\n-A OUTPUT -o lo -j ACCEPT\n-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A OUTPUT -p tcp -m multiport --dports 53,80,443 -j ACCEPT\n",
                "drops",
            ),
            (
                ":OUTPUT DROP [0:0]\n-A OUTPUT -d 203.0.113.0/24 -j ACCEPT\n",
                "drops",
            ),
            (
                ":OUTPUT ACCEPT [0:0]\n-A OUTPUT ! -d 203.0.113.0/24 -p tcp -j REJECT --reject-with tcp-reset\n",
                "rejects",
            ),
            (
                ":OUTPUT DROP [0:0]\n-A OUTPUT -m owner --uid-owner 0 -j ACCEPT\n",
                "unreadable",
            ),
        ] {
            assert_eq!(ipt(rules), word, "{rules}");
        }
    }

    #[test]
    fn what_only_iptables_can_read() {
        let hidden = vec![json!([{"xt": null}, {"drop": null}])];
        assert_eq!(nft("output", "accept", hidden), "unreadable");
    }
}
