//! What rules of iptables (`iptables-save`, `ip6tables-save`) do with a new connection to a port.
//!
//! The tables raw, mangle and filter are walked in the kernel's order; matches are those of iptables-extensions(8) that
//! rule sets of servers use. What cannot be read counts as not matching, and makes the answer uncertain.

use super::{Fate, Leg, Packet, Ruling, Translation, destination, is_ban_name};
use crate::addr::Cidr;
use std::collections::HashMap;

const MAX_DEPTH: usize = 16;
const MAX_STEPS: usize = 200_000;

#[derive(Default)]
struct Table {
    policies: HashMap<String, String>,
    chains: HashMap<String, Vec<Vec<String>>>,
}

/// Members of ip sets by name, as `ipset save` lists them; and of the lists of the match `recent`, as [`recent`] names those.
pub type Sets = HashMap<String, Vec<String>>;

/// Under which name the numbers of the queues stand among the sets that a program reads.
pub const QUEUES: &str = "queues";

/// Under which name a list of the match `recent` stands among the sets.
pub fn recent(list: &str) -> String {
    format!("recent {list}")
}

/// `add NAME ELEMENT …` lines.
pub fn ipsets(text: &str) -> Sets {
    let mut out = Sets::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some("add"), Some(name), Some(element)) = (words.next(), words.next(), words.next())
        {
            out.entry(name.to_owned())
                .or_default()
                .push(element.to_owned());
        }
    }
    out
}

/// Words of a rule, quotes taken off.
fn split(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn tables(text: &str) -> Vec<(String, Table)> {
    let mut out: Vec<(String, Table)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            out.push((name.trim().to_owned(), Table::default()));
            continue;
        }
        let Some((_, table)) = out.last_mut() else {
            continue;
        };
        if let Some(rest) = line.strip_prefix(':') {
            let mut words = rest.split(' ');
            if let (Some(chain), Some(policy)) = (words.next(), words.next()) {
                table.policies.insert(chain.to_owned(), policy.to_owned());
                table.chains.entry(chain.to_owned()).or_default();
            }
        } else {
            // `[12:340] -A INPUT …` where counters were asked for.
            let line = match line.split_once("] ") {
                Some((head, rest)) if head.starts_with('[') => rest,
                _ => line,
            };
            if let Some(rest) = line.strip_prefix("-A ") {
                let words = split(rest);
                if let Some((chain, rule)) = words.split_first() {
                    table
                        .chains
                        .entry(chain.clone())
                        .or_default()
                        .push(rule.to_vec());
                }
            }
        }
    }
    out
}

enum Flow {
    Next,
    Return,
    End(Ruling),
}

struct Walk<'a> {
    table: &'a str,
    chains: &'a HashMap<String, Vec<Vec<String>>>,
    packet: &'a Packet,
    sets: &'a Sets,
    steps: usize,
    uncertain: bool,
    /// One of the rules that could not be read might have let the packet in.
    might_pass: bool,
    skipped_limit: bool,
    translated: Option<Translation>,
}

/// Where the table `nat` sends the client's first packet, where it sends it elsewhere.
pub fn translated(text: &str, packet: &Packet, sets: &Sets) -> Option<Translation> {
    let tables = tables(text);
    let (name, table) = tables.iter().find(|(n, _)| n == "nat")?;
    let mut walk = Walk::new(name, &table.chains, packet, sets);
    walk.chain("PREROUTING", 0);
    walk.translated
}

/// What all tables together do; `None` where the text holds no rules at all. Of one that passes the first rule is named
/// that accepted it.
pub fn evaluate(text: &str, packet: &Packet, sets: &Sets) -> Option<Ruling> {
    evaluate_on(text, packet, sets, false)
}

/// The same for a packet that is for somebody behind this machine: a container, with the port that it has there.
pub fn evaluate_forwarded(text: &str, packet: &Packet, sets: &Sets) -> Option<Ruling> {
    evaluate_on(text, packet, sets, true)
}

fn evaluate_on(text: &str, packet: &Packet, sets: &Sets, forwarded: bool) -> Option<Ruling> {
    let mut accepted: Option<Ruling> = None;
    let tables = tables(text);
    let mut uncertain = false;
    let mut any = false;
    const IN: &[(&str, &str)] = &[
        ("raw", "PREROUTING"),
        ("mangle", "PREROUTING"),
        ("mangle", "INPUT"),
        ("filter", "INPUT"),
        ("security", "INPUT"),
    ];
    const THROUGH: &[(&str, &str)] = &[
        ("raw", "PREROUTING"),
        ("mangle", "PREROUTING"),
        ("mangle", "FORWARD"),
        ("filter", "FORWARD"),
        ("security", "FORWARD"),
    ];
    const OUT: &[(&str, &str)] = &[
        ("raw", "OUTPUT"),
        ("mangle", "OUTPUT"),
        ("filter", "OUTPUT"),
        ("security", "OUTPUT"),
        ("mangle", "POSTROUTING"),
    ];
    let hooks = match (packet.goes_out(), forwarded) {
        (true, _) => OUT,
        (false, true) => THROUGH,
        (false, false) => IN,
    };
    for (name, hook) in hooks {
        let Some((_, table)) = tables.iter().find(|(n, _)| n == *name) else {
            continue;
        };
        let policy = table.policies.get(*hook).map_or("ACCEPT", String::as_str);
        any |= policy != "ACCEPT" || table.chains.values().any(|c| !c.is_empty());
        let mut walk = Walk::new(name, &table.chains, packet, sets);
        let end = match walk.chain(hook, 0) {
            Flow::End(ruling) => Some(ruling),
            _ if policy == "DROP" => Some(Ruling {
                fate: Fate::Drops,
                place: format!("{name} {hook}"),
                rule: format!("-P {hook} DROP"),
                names_client: false,
                limited: false,
                packets: None,
                uncertain: false,
            }),
            _ => None,
        };
        uncertain |= walk.uncertain;
        match end {
            Some(mut ruling) if ruling.fate != Fate::Passes => {
                ruling.limited |= walk.skipped_limit;
                ruling.uncertain = walk.might_pass;
                return Some(ruling);
            }
            Some(ruling) => {
                accepted.get_or_insert(ruling);
            }
            None => {}
        }
    }
    let (place, rule) = accepted.map_or_else(Default::default, |r| (r.place, r.rule));
    any.then_some(Ruling {
        fate: Fate::Passes,
        place,
        rule,
        names_client: false,
        limited: false,
        packets: None,
        uncertain,
    })
}

impl<'a> Walk<'a> {
    fn new(
        table: &'a str,
        chains: &'a HashMap<String, Vec<Vec<String>>>,
        packet: &'a Packet,
        sets: &'a Sets,
    ) -> Walk<'a> {
        Walk {
            table,
            chains,
            packet,
            sets,
            steps: 0,
            uncertain: false,
            might_pass: false,
            skipped_limit: false,
            translated: None,
        }
    }

    fn chain(&mut self, name: &str, depth: usize) -> Flow {
        let chains = self.chains;
        let Some(rules) = chains.get(name) else {
            return Flow::Next;
        };
        if depth > MAX_DEPTH {
            (self.uncertain, self.might_pass) = (true, true);
            return Flow::Next;
        }
        for rule in rules {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                (self.uncertain, self.might_pass) = (true, true);
                return Flow::Next;
            }
            match self.rule(name, rule, depth) {
                Flow::Next => {}
                Flow::Return => return Flow::Next,
                end => return end,
            }
        }
        Flow::Next
    }

    fn rule(&mut self, chain: &str, rule: &[String], depth: usize) -> Flow {
        let p = self.packet;
        let (mut names_client, mut limited, mut target, mut goto) = (false, false, None, false);
        let mut negate = false;
        let mut words = rule.iter().map(String::as_str);
        // The match `recent`: in which list the client is looked up, and whether it must be absent.
        let (mut list, mut looked_up, mut absent) = ("DEFAULT".to_owned(), false, false);
        let mut counted = false;
        let mut destined = None::<String>;
        let (mut queue, mut bypass) = ("0".to_owned(), false);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default().to_owned();
            let hit: Option<bool> = match word {
                "!" => {
                    negate = true;
                    continue;
                }
                "-m"
                | "--match"
                | "--comment"
                | "--mask"
                | "--limit-burst"
                | "--hashlimit-name"
                | "--hashlimit-burst"
                | "--hashlimit-mode"
                | "--hashlimit-srcmask"
                | "--hashlimit-htable-expire"
                | "--connlimit-mask"
                | "--seconds"
                | "--log-prefix"
                | "--log-level"
                | "--reject-with"
                | "--hashlimit-htable-size"
                | "--hashlimit-htable-max" => {
                    value();
                    continue;
                }
                "--rsource" | "--set" | "--rttl" | "--reap" | "--connlimit-saddr"
                | "--tcp-options" => continue,
                "-j" | "--jump" => {
                    target = Some(value());
                    continue;
                }
                "-g" | "--goto" => {
                    target = Some(value());
                    goto = true;
                    continue;
                }
                "-p" | "--protocol" => Some(matches!(value().as_str(), "tcp" | "all" | "6")),
                "-s" | "--source" | "--src-range" | "-d" | "--destination" | "--dst-range" => {
                    let text = value();
                    let (source, destination) = p.ends();
                    let end = if matches!(word, "-s" | "--source" | "--src-range") {
                        source
                    } else {
                        destination
                    };
                    match (end, text.split_once('-')) {
                        (None, _) => None,
                        (Some(end), Some((a, b))) => match (Cidr::parse(a), Cidr::parse(b)) {
                            (Some(a), Some(b)) => Some(a.ip <= end && end <= b.ip),
                            _ => None,
                        },
                        (Some(end), None) => {
                            let mut any = None;
                            for part in text.split(',') {
                                let hit = Cidr::parse(part).map(|c| {
                                    let whole = if c.ip.is_ipv4() { 32 } else { 128 };
                                    let hit = c.contains(end);
                                    if hit && end == p.from && c.len == whole && !negate {
                                        names_client = true;
                                    }
                                    hit
                                });
                                any = Some(any.unwrap_or(false) | hit.unwrap_or(false));
                            }
                            any
                        }
                    }
                }
                "-i" | "--in-interface" if p.goes_out() => {
                    value();
                    Some(false)
                }
                // Not there yet where it comes in.
                "-o" | "--out-interface" if p.leg == Leg::Returns => {
                    value();
                    Some(false)
                }
                "-i" | "--in-interface" | "-o" | "--out-interface" => {
                    let want = value();
                    match (&p.interface, want.strip_suffix('+')) {
                        (Some(have), Some(start)) => Some(have.starts_with(start)),
                        (Some(have), None) => Some(*have == want),
                        (None, _) if want == "lo" => Some(false),
                        _ => None,
                    }
                }
                "--ports" => Some(ports(&value(), p.port)),
                "--dport" | "--destination-port" | "--dports" if !p.is_answer() => {
                    Some(ports(&value(), p.port))
                }
                "--sport" | "--source-port" | "--sports" if p.is_answer() => {
                    Some(ports(&value(), p.port))
                }
                // The client's own port: one of the high ones.
                "--sport" | "--source-port" | "--sports" | "--dport" | "--destination-port"
                | "--dports" => Some(value().contains(':')),
                "--ctstate" | "--state" => {
                    let state = if p.is_first() { "NEW" } else { "ESTABLISHED" };
                    Some(value().split(',').any(|s| s == state))
                }
                "--syn" => Some(p.is_first()),
                "--tcp-flags" => {
                    let (mask, set) = (value(), value());
                    Some(p.is_first() && mask.split(',').any(|f| f == "SYN") == (set == "SYN"))
                }
                "--match-set" => {
                    let (name, _) = (value(), value());
                    let members = self.sets.get(&name);
                    members.map(|m| {
                        let hit = m.iter().any(|e| {
                            let ip = e.split(',').next().unwrap_or_default();
                            Cidr::parse(ip).is_some_and(|c| c.contains(p.from))
                        });
                        if hit && !negate && is_ban_name(&name) {
                            names_client = true;
                        }
                        hit
                    })
                }
                "--limit" | "--hashlimit" | "--hashlimit-above" | "--hashlimit-upto"
                | "--connlimit-above" | "--connlimit-upto" | "--hitcount" => {
                    counted |= word == "--hitcount";
                    value();
                    limited = true;
                    negate = false;
                    continue;
                }
                "--name" => {
                    list = value();
                    continue;
                }
                "--queue-num" | "--queue-balance" => {
                    queue = value();
                    continue;
                }
                "--queue-bypass" => {
                    bypass = true;
                    continue;
                }
                // Text in the packet: the client's greeting is the first that has any.
                "--string" => {
                    let text = value();
                    Some(p.leg == Leg::Follows && GREETING.contains(text.as_str()))
                }
                "--algo" | "--from" | "--to" => {
                    value();
                    continue;
                }
                "--icase" => continue,
                "--to-ports" | "--to-destination" => {
                    destined = Some(value());
                    continue;
                }
                "--rcheck" | "--update" => {
                    looked_up = true;
                    absent = std::mem::take(&mut negate);
                    continue;
                }
                "--dst-type" => Some((value() == "LOCAL") != p.goes_out()),
                "--pkt-type" => Some(value() == "unicast"),
                other if other.starts_with('-') => None,
                _ => continue,
            };
            match hit {
                Some(hit) if hit != negate => negate = false,
                Some(_) => return Flow::Next,
                None => {
                    self.uncertain = true;
                    let ends =
                        |w: &String| matches!(w.as_str(), "DROP" | "REJECT" | "LOG" | "MARK");
                    self.might_pass |= !rule.iter().any(ends);
                    return Flow::Next;
                }
            }
        }
        let Some(target) = target else {
            return Flow::Next;
        };
        if looked_up && !counted {
            // Without a count it is a list, of those who knocked or of those who are kept out.
            let known = self.sets.get(&recent(&list));
            let listed = known.map(|m| m.iter().any(|e| e.parse() == Ok(p.from)));
            if listed.is_some_and(|listed| listed == absent) {
                return Flow::Next;
            }
            // How long it counts is not known here.
            limited |= target != "ACCEPT" || listed.is_none();
        }
        let end = |fate| {
            Flow::End(Ruling {
                fate,
                place: format!("{} {chain}", self.table),
                rule: format!("-A {chain} {}", rule.join(" ")),
                names_client: names_client
                    || (fate != Fate::Passes
                        && is_ban_chain(chain)
                        && rule.iter().any(|w| w == "-s")),
                limited,
                packets: None,
                uncertain: false,
            })
        };
        match target.as_str() {
            "ACCEPT" if limited => {
                self.skipped_limit = true;
                Flow::Next
            }
            "ACCEPT" => end(Fate::Passes),
            "DROP" | "TARPIT" | "STEAL" => end(Fate::Drops),
            "REJECT" => end(Fate::Rejects),
            // The kernel drops what nobody fetches; what a program does with it only that program knows.
            "NFQUEUE" => match self.sets.get(QUEUES) {
                Some(_) if bypass => Flow::Next,
                Some(read) if !read.contains(&queue) => end(Fate::Drops),
                _ => {
                    (self.uncertain, self.might_pass) = (true, true);
                    Flow::Next
                }
            },
            "REDIRECT" | "DNAT" => {
                let (addr, port) = destined.as_deref().map(destination).unwrap_or_default();
                self.translated = Some(Translation {
                    addr,
                    port,
                    place: format!("{} {chain}", self.table),
                    rule: format!("-A {chain} {}", rule.join(" ")),
                });
                end(Fate::Passes)
            }
            "RETURN" if limited => Flow::Next,
            "RETURN" => Flow::Return,
            own if self.chains.contains_key(own) => match self.chain(own, depth + 1) {
                Flow::End(mut r) => {
                    r.limited |= limited;
                    r.names_client |= names_client && r.fate != Fate::Passes;
                    Flow::End(r)
                }
                _ if goto => Flow::Return,
                _ => Flow::Next,
            },
            _ => Flow::Next,
        }
    }
}

/// How what a client sends begins.
const GREETING: &str = "SSH-2.0-OpenSSH_";

fn is_ban_chain(chain: &str) -> bool {
    is_ban_name(chain)
}

fn ports(text: &str, port: u16) -> bool {
    text.split(',').any(|part| match part.split_once(':') {
        Some((a, b)) => {
            let low = a.parse::<u16>().unwrap_or(0);
            let high = b.parse::<u16>().unwrap_or(u16::MAX);
            (low..=high).contains(&port)
        }
        None => part == "ssh" && port == 22 || part.parse() == Ok(port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 192.0.2.7, to port 22 on eth0.
    fn client(leg: Leg) -> Packet {
        Packet {
            from: "192.0.2.7".parse().unwrap(),
            to: None,
            port: 22,
            interface: Some("eth0".into()),
            leg,
        }
    }

    #[test]
    fn our_answer_must_get_out() {
        let fate = |rules: &str, leg: Leg| {
            let packet = client(leg);
            evaluate(rules, &packet, &Sets::new()).map(|r| (r.fate, r.names_client))
        };
        let head = "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n";
        let out = |rule: &str| format!("{head}{rule}\nCOMMIT\n");
        let dns = out("-A OUTPUT -p udp --dport 53 -j ACCEPT");
        assert_eq!(fate(&dns, Leg::Answers), Some((Fate::Drops, false)));
        assert_eq!(fate(&dns, Leg::Opens), Some((Fate::Passes, false)));
        for good in [
            "-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A OUTPUT -p tcp --sport 22 -o eth0 -j ACCEPT",
            "-A OUTPUT -d 192.0.2.0/24 -j ACCEPT",
        ] {
            assert_eq!(
                fate(&out(good), Leg::Answers),
                Some((Fate::Passes, false)),
                "{good}"
            );
        }
        let ban = out("-A OUTPUT -d 192.0.2.7/32 -j REJECT");
        assert_eq!(fate(&ban, Leg::Answers), Some((Fate::Rejects, true)));
        assert_eq!(
            fate(
                &out("-A OUTPUT -s 192.0.2.7/32 -p tcp --dport 22 -j ACCEPT"),
                Leg::Answers
            ),
            Some((Fate::Drops, false))
        );
    }

    #[test]
    fn what_follows_must_get_in_too() {
        let fate = |rules: &str, leg: Leg| {
            let packet = client(leg);
            let text = format!("*filter\n:INPUT DROP [0:0]\n{rules}COMMIT\n");
            evaluate(&text, &packet, &Sets::new()).map(|r| r.fate)
        };
        let new = "-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT\n";
        assert_eq!(fate(new, Leg::Opens), Some(Fate::Passes));
        assert_eq!(fate(new, Leg::Follows), Some(Fate::Drops));
        let both = format!("-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n{new}");
        assert_eq!(fate(&both, Leg::Follows), Some(Fate::Passes));
    }

    fn ruling(rules: &str, from: &str, port: u16) -> Option<Ruling> {
        let sets = ipsets("create blocklist hash:net\nadd blocklist 198.51.100.0/24 timeout 5\n");
        let packet = Packet {
            from: from.parse().unwrap(),
            to: None,
            port,
            interface: Some("eth0".into()),
            leg: Leg::Opens,
        };
        evaluate(rules, &packet, &sets)
    }

    const HEAD: &str = "*filter\n:INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n";

    #[test]
    fn policies_ports_and_interfaces() {
        let text = "*filter\n:INPUT DROP [1:2]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT\nCOMMIT\n";
        let r = ruling(text, "192.0.2.7", 22).unwrap();
        assert_eq!((r.fate, r.rule.as_str()), (Fate::Drops, "-P INPUT DROP"));
        assert_eq!(ruling(text, "192.0.2.7", 443).unwrap().fate, Fate::Passes);
    }

    #[test]
    fn bans_and_their_neighbours() {
        let text = format!(
            "{HEAD}-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n-A f2b-sshd -s 192.0.2.7/32 -j REJECT --reject-with icmp-port-unreachable\n-A f2b-sshd -j RETURN\n"
        );
        let r = ruling(&text, "192.0.2.7", 22).unwrap();
        assert_eq!((r.fate, r.names_client), (Fate::Rejects, true));
        assert_eq!(ruling(&text, "192.0.2.8", 22).unwrap().fate, Fate::Passes);
        let set = format!("{HEAD}-A INPUT -m set --match-set blocklist src -j DROP\n");
        assert!(ruling(&set, "198.51.100.9", 22).unwrap().names_client);
        assert_eq!(ruling(&set, "192.0.2.7", 22).unwrap().fate, Fate::Passes);
        let not = format!("{HEAD}-A INPUT ! -s 192.0.2.0/24 -p tcp --dport 22 -j DROP\n");
        assert_eq!(ruling(&not, "192.0.2.7", 22).unwrap().fate, Fate::Passes);
        let r = ruling(&not, "198.51.100.9", 22).unwrap();
        assert_eq!((r.fate, r.names_client), (Fate::Drops, false));
    }

    #[test]
    fn limits_are_limits() {
        let recent = format!(
            "{HEAD}-A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --set --name ssh --mask 255.255.255.255 --rsource\n-A INPUT -p tcp --dport 22 -m recent --update --seconds 60 --hitcount 4 --name ssh --mask 255.255.255.255 --rsource -j DROP\n"
        );
        let r = ruling(&recent, "192.0.2.7", 22).unwrap();
        assert_eq!((r.fate, r.limited), (Fate::Drops, true));
        let limit = format!(
            "{HEAD}-A INPUT -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT\n-A INPUT -p tcp --dport 22 -j DROP\n"
        );
        assert!(ruling(&limit, "192.0.2.7", 22).unwrap().limited);
    }

    #[test]
    fn a_queue_that_nobody_reads_drops() {
        let fate = |rule: &str, read: Option<&[&str]>| {
            let mut sets = Sets::new();
            if let Some(read) = read {
                let read = read.iter().map(|q| (*q).to_owned()).collect();
                sets.insert(QUEUES.to_owned(), read);
            }
            let text = format!("{HEAD}-A INPUT -i eth0 {rule}\n");
            let r = evaluate(&text, &client(Leg::Opens), &sets).unwrap();
            (r.fate, r.uncertain)
        };
        let rule = "-j NFQUEUE --queue-num 1";
        assert_eq!(fate(rule, Some(&[])), (Fate::Drops, false));
        assert_eq!(fate(rule, Some(&["0", "1"])), (Fate::Passes, true));
        assert_eq!(fate(rule, None), (Fate::Passes, true));
        let bypass = format!("{rule} --queue-bypass");
        assert_eq!(fate(&bypass, Some(&[])), (Fate::Passes, false));
    }

    #[test]
    fn text_is_looked_for_in_the_greeting() {
        let fate = |text: &str, leg: Leg| {
            let rule = format!(
                "{HEAD}-A INPUT -p tcp --dport 22 -m string --string \"{text}\" --algo bm --to 65535 -j DROP\n"
            );
            evaluate(&rule, &client(leg), &Sets::new()).unwrap().fate
        };
        assert_eq!(fate("SSH-", Leg::Follows), Fate::Drops);
        assert_eq!(fate("SSH-", Leg::Opens), Fate::Passes);
        assert_eq!(fate("SSH-1.5", Leg::Follows), Fate::Passes);
    }

    #[test]
    fn who_has_not_knocked_is_not_counted() {
        let text = format!(
            "{HEAD}-A INPUT -p tcp --dport 7000 -m recent --set --name KNOCK --rsource -j DROP\n-A INPUT -p tcp --dport 22 -m recent --rcheck --seconds 30 --name KNOCK --rsource -j ACCEPT\n-A INPUT -p tcp --dport 22 -j DROP\n"
        );
        let with = |members: &[&str]| {
            let mut sets = Sets::new();
            let members = members.iter().map(|m| (*m).to_owned()).collect();
            sets.insert(recent("KNOCK"), members);
            let r = evaluate(&text, &client(Leg::Opens), &sets).unwrap();
            (r.fate, r.limited)
        };
        assert_eq!(with(&[]), (Fate::Drops, false));
        assert_eq!(with(&["192.0.2.7"]), (Fate::Passes, false));
        // Nothing is known of the list: it may be a limit.
        assert!(ruling(&text, "192.0.2.7", 22).unwrap().limited);
    }

    #[test]
    fn a_packet_is_sent_elsewhere_before_it_is_filtered() {
        let text = |rule: &str| {
            format!(
                "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n{rule}\nCOMMIT\n"
            )
        };
        let to = |rule: &str| {
            let t = translated(&text(rule), &client(Leg::Opens), &Sets::new())?;
            Some((t.addr.map(|a| a.to_string()), t.port))
        };
        assert_eq!(
            to("-A PREROUTING -i eth0 -p tcp -m tcp --dport 22 -j REDIRECT --to-ports 2222"),
            Some((None, Some(2222)))
        );
        assert_eq!(
            to(
                "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 22 -j DNAT --to-destination 172.17.0.2:22"
            ),
            Some((Some("172.17.0.2".to_owned()), Some(22)))
        );
        assert_eq!(
            to("-A PREROUTING -i eth7 -p tcp --dport 22 -j REDIRECT --to-ports 2222"),
            None
        );
        assert_eq!(
            to("-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080"),
            None
        );
    }

    #[test]
    fn odd_text_is_survived() {
        assert_eq!(ruling("", "192.0.2.7", 22), None);
        assert_eq!(
            ruling("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "192.0.2.7", 22),
            None
        );
        let odd =
            format!("{HEAD}-A INPUT -m geoip --source-country XX -j DROP\n-A INPUT -j INPUT\n-A\n");
        let r = ruling(&odd, "192.0.2.7", 22).unwrap();
        assert_eq!((r.fate, r.uncertain), (Fate::Passes, true));
        // Before a drop it counts only where it could have let the packet in.
        for (target, doubt) in [("DROP", false), ("ACCEPT", true), ("LOG", false)] {
            let text = format!(
                "{HEAD}-A INPUT -m geoip --source-country XX -j {target}\n-A INPUT -p tcp --dport 22 -j DROP\n"
            );
            let r = ruling(&text, "192.0.2.7", 22).unwrap();
            assert_eq!((r.fate, r.uncertain), (Fate::Drops, doubt), "{target}");
        }
    }
}
