//! What an nftables rule set (`nft -j list ruleset`) does with a new connection to a port.
//!
//! Chains hooked at prerouting and input (forward, for a packet to a container; output and postrouting, for our answer) are
//! walked in the order of their priorities; a packet must pass all of them (libnftables-json(5)). What cannot be read
//! counts as not matching, and makes the answer uncertain.

use super::{Fate, Leg, Packet, Ruling, Translation, is_ban_name};
use crate::addr::{network, parse_ip};
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;

/// Rules walked for one packet: a bound for chains that jump in circles.
const MAX_STEPS: usize = 200_000;
const MAX_DEPTH: usize = 16;

struct Chain<'a> {
    rules: Vec<&'a Value>,
    hook: &'a str,
    priority: i64,
    policy: &'a str,
    family: &'a str,
    table: &'a str,
    name: &'a str,
}

/// A whole rule set.
pub struct Ruleset<'a> {
    chains: Vec<Chain<'a>>,
    index: HashMap<(&'a str, &'a str, &'a str), usize>,
    sets: HashMap<(&'a str, &'a str, &'a str), &'a Value>,
    /// Tables that stand there and do nothing.
    dormant: Vec<(&'a str, &'a str)>,
    /// Numbers of the queues that a program reads, where that is known.
    read: Option<&'a [String]>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Truth {
    Yes,
    No,
    Unknown,
}

enum Flow {
    Next,
    Return,
    End(Fate, Reason),
}

#[derive(Clone, Default)]
struct Reason {
    place: String,
    rule: String,
    names_client: bool,
    /// It is about where the client comes from, be it one address or a network.
    by_source: bool,
    limited: bool,
    packets: Option<u64>,
}

struct Walk<'a, 'p> {
    set: &'p Ruleset<'a>,
    packet: &'p Packet,
    steps: usize,
    uncertain: bool,
    /// One of the rules that could not be read might have let the packet in.
    might_pass: bool,
    /// A rule would have let the packet in, within a rate.
    skipped_limit: bool,
    translated: Option<Translation>,
}

fn text<'a>(v: &'a Value, key: &str) -> &'a str {
    v.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl<'a> Ruleset<'a> {
    pub fn new(json: &'a Value) -> Ruleset<'a> {
        let mut set = Ruleset {
            chains: Vec::new(),
            index: HashMap::new(),
            sets: HashMap::new(),
            dormant: Vec::new(),
            read: None,
        };
        let items = json.get("nftables").and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            if let Some(t) = item.get("table") {
                // nft 1.0.6 writes the table's name there; of the flags that there are, dormant is the one people set.
                let dormant =
                    |f: &Value| has_word(f, "dormant") || f.as_str() == Some(text(t, "name"));
                if t.get("flags").is_some_and(dormant) {
                    set.dormant.push((text(t, "family"), text(t, "name")));
                }
            } else if let Some(c) = item.get("chain") {
                let key = (text(c, "family"), text(c, "table"), text(c, "name"));
                set.index.insert(key, set.chains.len());
                set.chains.push(Chain {
                    rules: Vec::new(),
                    hook: text(c, "hook"),
                    priority: c.get("prio").and_then(Value::as_i64).unwrap_or(0),
                    policy: text(c, "policy"),
                    family: key.0,
                    table: key.1,
                    name: key.2,
                });
            } else if let Some(s) = item.get("set").or_else(|| item.get("map")) {
                set.sets
                    .insert((text(s, "family"), text(s, "table"), text(s, "name")), s);
            }
        }
        for item in items.into_iter().flatten() {
            if let Some(r) = item.get("rule") {
                let key = (text(r, "family"), text(r, "table"), text(r, "chain"));
                if let Some(chain) = set.index.get(&key).and_then(|i| set.chains.get_mut(*i)) {
                    chain.rules.push(r);
                }
            }
        }
        set
    }

    /// Which queues a program reads (/proc/net/netfilter/nfnetlink_queue): the kernel drops what goes to any other.
    #[must_use]
    pub fn read_queues(mut self, numbers: Option<&'a [String]>) -> Ruleset<'a> {
        self.read = numbers;
        self
    }

    pub fn rules(&self) -> usize {
        self.chains.iter().map(|c| c.rules.len()).sum()
    }

    /// Whether the table was made by iptables: its rules are better read from iptables-save.
    fn is_compat(&self, chain: &Chain<'_>) -> bool {
        self.chains
            .iter()
            .filter(|c| c.family == chain.family && c.table == chain.table)
            .flat_map(|c| &c.rules)
            .filter_map(|r| r.get("expr").and_then(Value::as_array))
            .flatten()
            .any(|e| e.get("xt").is_some())
    }

    /// Whether some of it is only to be read from iptables-save.
    pub fn needs_iptables(&self) -> bool {
        self.chains.iter().any(|c| self.is_compat(c))
    }

    /// The first chain that does not let the packet pass; or that it passes, with the first rule that accepted it.
    pub fn evaluate(&self, packet: &Packet) -> Ruling {
        self.evaluate_at(packet, if packet.goes_out() { "output" } else { "input" })
    }

    /// The same for a packet that is for somebody behind this machine: a container, with the port that it has there.
    pub fn evaluate_forwarded(&self, packet: &Packet) -> Ruling {
        self.evaluate_at(packet, "forward")
    }

    /// Where chains at prerouting send the client's first packet, where they send it elsewhere.
    pub fn translated(&self, packet: &Packet) -> Option<Translation> {
        let mut walk = self.walk(packet);
        let mut bases: Vec<&Chain<'_>> = self.bases(packet, |c| c.hook == "prerouting");
        bases.sort_by_key(|c| c.priority);
        for chain in bases {
            walk.chain(chain, 0);
            if walk.translated.is_some() {
                break;
            }
        }
        walk.translated
    }

    fn walk<'p>(&'p self, packet: &'p Packet) -> Walk<'a, 'p> {
        Walk {
            set: self,
            packet,
            steps: 0,
            uncertain: false,
            might_pass: false,
            skipped_limit: false,
            translated: None,
        }
    }

    /// The chains that the packet comes by, of those that are wanted.
    fn bases(&self, packet: &Packet, wanted: impl Fn(&Chain<'a>) -> bool) -> Vec<&Chain<'a>> {
        let v6 = packet.from.is_ipv6();
        self.chains
            .iter()
            .filter(|c| wanted(c))
            .filter(|c| !self.dormant.contains(&(c.family, c.table)))
            .filter(|c| match c.family {
                "ip" => !v6,
                "ip6" => v6,
                _ => true,
            })
            .filter(|c| !self.is_compat(c))
            .collect()
    }

    fn evaluate_at(&self, packet: &Packet, hook: &str) -> Ruling {
        let mut bases: Vec<&Chain<'_>> = self.bases(packet, |c| match hook {
            "output" => matches!(c.hook, "output" | "postrouting"),
            _ => matches!(c.hook, "prerouting" | "ingress") || c.hook == hook,
        });
        let last = if hook == "output" {
            "postrouting"
        } else {
            hook
        };
        bases.sort_by_key(|c| (c.hook == last, c.priority));
        let mut accepted: Option<Reason> = None;
        let mut walk = self.walk(packet);
        for chain in bases {
            let (fate, mut reason) = match walk.chain(chain, 0) {
                Flow::End(fate, reason) => (fate, reason),
                _ if chain.policy == "drop" => (
                    Fate::Drops,
                    Reason {
                        place: format!("{} {} {}", chain.family, chain.table, chain.name),
                        rule: "policy drop".to_owned(),
                        ..Reason::default()
                    },
                ),
                _ => continue,
            };
            if fate != Fate::Passes {
                reason.limited |= walk.skipped_limit;
                return Ruling {
                    fate,
                    place: reason.place,
                    rule: reason.rule,
                    names_client: reason.names_client,
                    limited: reason.limited,
                    packets: reason.packets,
                    uncertain: walk.might_pass,
                };
            }
            accepted.get_or_insert(reason);
        }
        let accepted = accepted.unwrap_or_default();
        Ruling {
            fate: Fate::Passes,
            place: accepted.place,
            rule: accepted.rule,
            names_client: false,
            limited: false,
            packets: None,
            uncertain: walk.uncertain,
        }
    }

    /// Sets that hold the address, by name: bans and blocklists, and counters of a rate limit.
    pub fn listed(&self, ip: IpAddr) -> Vec<String> {
        let mut out: Vec<String> = self
            .sets
            .iter()
            .filter(|(_, s)| {
                s.get("elem")
                    .and_then(Value::as_array)
                    .is_some_and(|e| e.iter().any(|e| address_is(e, ip) == Truth::Yes))
            })
            .map(|((family, table, name), _)| format!("{family} {table} {name}"))
            .collect();
        out.sort();
        out
    }
}

impl<'a> Walk<'a, '_> {
    fn chain(&mut self, chain: &Chain<'a>, depth: usize) -> Flow {
        if depth > MAX_DEPTH {
            self.unread();
            return Flow::Next;
        }
        for rule in &chain.rules {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                self.unread();
                return Flow::Next;
            }
            match self.rule(chain, rule, depth) {
                Flow::Next => {}
                Flow::Return => return Flow::Next,
                end => return end,
            }
        }
        Flow::Next
    }

    /// Something was passed over that may have done anything.
    fn unread(&mut self) {
        (self.uncertain, self.might_pass) = (true, true);
    }

    fn rule(&mut self, chain: &Chain<'a>, rule: &'a Value, depth: usize) -> Flow {
        let mut reason = Reason {
            place: format!("{} {} {}", chain.family, chain.table, chain.name),
            ..Reason::default()
        };
        let mut words: Vec<String> = Vec::new();
        let exprs = rule.get("expr").and_then(Value::as_array);
        for e in exprs.into_iter().flatten() {
            if let Some(m) = e.get("match") {
                words.push(shown_match(m));
                match self.matches(chain, m, &mut reason) {
                    Truth::Yes => {}
                    Truth::No => return Flow::Next,
                    Truth::Unknown => {
                        self.uncertain = true;
                        self.might_pass |= exprs.is_some_and(|e| e.iter().any(lets_in));
                        return Flow::Next;
                    }
                }
                continue;
            }
            let Some((kind, value)) = e.as_object().and_then(|o| o.iter().next()) else {
                continue;
            };
            reason.rule = words.join(" ");
            let verdict = |fate, word: &str, mut reason: Reason| {
                reason.rule = format!("{} {word}", reason.rule).trim().to_owned();
                reason.names_client |= reason.by_source && is_ban_name(chain.name);
                Flow::End(fate, reason)
            };
            match kind.as_str() {
                "counter" => reason.packets = value.get("packets").and_then(Value::as_u64),
                "limit" | "ct count" | "meter" | "quota" => {
                    reason.limited = true;
                    words.push(shown_limit(kind, value));
                }
                "set" => {
                    let name = text(value, "set").trim_start_matches('@').to_owned();
                    let stmt = value.get("stmt").and_then(Value::as_array);
                    if stmt
                        .into_iter()
                        .flatten()
                        .any(|s| s.get("limit").is_some() || s.get("ct count").is_some())
                    {
                        reason.limited = true;
                    }
                    words.push(format!("{} @{name}", text(value, "op")));
                }
                "accept" if reason.limited => {
                    // Within the rate it passes, beyond it the next rules decide.
                    self.skipped_limit = true;
                    return Flow::Next;
                }
                "accept" => return verdict(Fate::Passes, "accept", reason),
                "redirect" | "dnat" => {
                    let port = value.get("port").and_then(Value::as_u64);
                    let word = port.map_or_else(|| kind.clone(), |p| format!("{kind} to :{p}"));
                    self.translated = Some(Translation {
                        addr: parse_ip(text(value, "addr").as_bytes()),
                        port: port.and_then(|p| u16::try_from(p).ok()),
                        place: reason.place.clone(),
                        rule: format!("{} {word}", reason.rule).trim().to_owned(),
                    });
                    return verdict(Fate::Passes, &word, reason);
                }
                "drop" => return verdict(Fate::Drops, "drop", reason),
                "reject" => {
                    let how = value
                        .get("expr")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    let how = if how.is_empty() {
                        text(value, "type")
                    } else {
                        how
                    };
                    return verdict(Fate::Rejects, format!("reject {how}").trim(), reason);
                }
                "return" => return Flow::Return,
                "jump" | "goto" => {
                    let target = text(value, "target");
                    let found = self
                        .set
                        .index
                        .get(&(chain.family, chain.table, target))
                        .and_then(|i| self.set.chains.get(*i));
                    if let Some(next) = found {
                        match self.chain(next, depth + 1) {
                            Flow::End(fate, mut inner) => {
                                inner.names_client |= reason.names_client;
                                inner.limited |= reason.limited;
                                if !words.is_empty() {
                                    inner.rule = format!(
                                        "{} jump {target}: {}",
                                        words.join(" "),
                                        inner.rule
                                    );
                                }
                                return Flow::End(fate, inner);
                            }
                            _ if kind == "goto" => return Flow::Return,
                            _ => {}
                        }
                    }
                }
                "vmap" => match self.map(chain, value, depth) {
                    Flow::Next => {}
                    end => return end,
                },
                "xt" => {
                    self.unread();
                    return Flow::Next;
                }
                "queue" => {
                    let number = value.get("num").and_then(Value::as_u64).unwrap_or(0);
                    let flags = value.get("flags");
                    let bypass = flags
                        .is_some_and(|f| has_word(f, "bypass") || f.as_str() == Some("bypass"));
                    match self.set.read {
                        Some(_) if bypass => {}
                        Some(read) if !read.contains(&number.to_string()) => {
                            let word = format!("queue to {number}, which nobody reads");
                            return verdict(Fate::Drops, &word, reason);
                        }
                        _ => self.unread(),
                    }
                    return Flow::Next;
                }
                _ => {}
            }
        }
        Flow::Next
    }

    fn map(&mut self, chain: &Chain<'a>, value: &'a Value, depth: usize) -> Flow {
        let Some(key) = value.get("key") else {
            return Flow::Next;
        };
        let entries: Option<&Vec<Value>> = match value.get("data") {
            Some(Value::String(name)) => self
                .set
                .sets
                .get(&(chain.family, chain.table, name.trim_start_matches('@')))
                .and_then(|s| s.get("elem"))
                .and_then(Value::as_array),
            Some(data) => data.get("set").and_then(Value::as_array),
            None => None,
        };
        for entry in entries.into_iter().flatten() {
            let (Some(k), Some(v)) = (entry.get(0), entry.get(1)) else {
                continue;
            };
            let mut reason = Reason::default();
            if self.equals(chain, key, k, &mut reason) == Truth::Yes {
                let fake = serde_json::json!({ "expr": [v] });
                let place = format!("{} {} {}", chain.family, chain.table, chain.name);
                if let Some(target) = v
                    .get("jump")
                    .or_else(|| v.get("goto"))
                    .map(|t| text(t, "target"))
                {
                    let found = self.set.chains.iter().find(|c| {
                        c.family == chain.family && c.table == chain.table && c.name == target
                    });
                    return match found {
                        Some(next) => self.chain(next, depth + 1),
                        None => Flow::Next,
                    };
                }
                let fate = match fake
                    .pointer("/expr/0")
                    .and_then(Value::as_object)
                    .and_then(|o| o.keys().next())
                {
                    Some(k) if k == "drop" => Fate::Drops,
                    Some(k) if k == "accept" => Fate::Passes,
                    Some(k) if k == "reject" => Fate::Rejects,
                    _ => return Flow::Next,
                };
                reason.place = place;
                reason.rule = format!("{} vmap {k}", shown(key));
                return Flow::End(fate, reason);
            }
        }
        Flow::Next
    }

    fn matches(&mut self, chain: &Chain<'a>, m: &'a Value, reason: &mut Reason) -> Truth {
        let (Some(left), Some(right)) = (m.get("left"), m.get("right")) else {
            return Truth::Unknown;
        };
        let truth = self.equals(chain, left, right, reason);
        match (text(m, "op"), truth) {
            ("!=", Truth::Yes) => {
                (reason.names_client, reason.by_source) = (false, false);
                Truth::No
            }
            ("!=", Truth::No) => Truth::Yes,
            ("<" | ">" | "<=" | ">=", _) => self.compares(left, text(m, "op"), right),
            (_, truth) => truth,
        }
    }

    fn compares(&self, left: &Value, op: &str, right: &Value) -> Truth {
        let field = left.pointer("/payload/field").and_then(Value::as_str);
        let (Some("dport"), Some(n)) = (field, right.as_u64()) else {
            return Truth::Unknown;
        };
        let port = u64::from(self.packet.port);
        let yes = match op {
            "<" => port < n,
            ">" => port > n,
            "<=" => port <= n,
            _ => port >= n,
        };
        if yes { Truth::Yes } else { Truth::No }
    }

    fn equals(
        &mut self,
        chain: &Chain<'a>,
        left: &Value,
        right: &Value,
        reason: &mut Reason,
    ) -> Truth {
        if let Some(name) = right.as_str().and_then(|r| r.strip_prefix('@')) {
            let Some(set) = self.set.sets.get(&(chain.family, chain.table, name)) else {
                return Truth::Unknown;
            };
            let none = Value::Array(Vec::new());
            let truth = self.any(chain, left, set.get("elem").unwrap_or(&none), reason);
            if truth == Truth::Yes && is_source(left, self.packet.is_answer()) && is_ban_name(name)
            {
                reason.names_client = true;
            }
            return truth;
        }
        if let Some(set) = right.get("set") {
            return self.any(chain, left, set, reason);
        }
        if let Some(Value::Array(parts)) = left.get("concat") {
            let values = right
                .get("concat")
                .or_else(|| right.pointer("/elem/val/concat"));
            let Some(Value::Array(values)) = values else {
                return Truth::Unknown;
            };
            let mut all = Truth::Yes;
            for (l, r) in parts.iter().zip(values) {
                match self.equals(chain, l, r, reason) {
                    Truth::Yes => {}
                    Truth::No => return Truth::No,
                    Truth::Unknown => all = Truth::Unknown,
                }
            }
            return all;
        }
        self.one(left, right, reason)
    }

    fn any(&mut self, chain: &Chain<'a>, left: &Value, set: &Value, reason: &mut Reason) -> Truth {
        let mut truth = Truth::No;
        let one = std::slice::from_ref(set);
        for r in set.as_array().map_or(one, Vec::as_slice) {
            match self.equals(chain, left, r, reason) {
                Truth::Yes => return Truth::Yes,
                Truth::Unknown => truth = Truth::Unknown,
                Truth::No => {}
            }
        }
        truth
    }

    fn one(&self, left: &Value, right: &Value, reason: &mut Reason) -> Truth {
        let p = self.packet;
        let is = |yes: bool| if yes { Truth::Yes } else { Truth::No };
        let words = |right: &Value, words: &[&str]| {
            let hit = |v: &Value| v.as_str().is_some_and(|s| words.contains(&s));
            match right {
                Value::Array(all) => all.iter().any(hit),
                v => hit(v),
            }
        };
        if let Some(payload) = left.get("payload") {
            return match (text(payload, "protocol"), text(payload, "field")) {
                ("tcp" | "th", "dport") if !p.is_answer() => number_is(right, u64::from(p.port)),
                ("tcp" | "th", "sport") if p.is_answer() => number_is(right, u64::from(p.port)),
                ("udp" | "icmp" | "icmpv6" | "sctp", _) => Truth::No,
                ("ip" | "ip6", field @ ("saddr" | "daddr")) => {
                    if (text(payload, "protocol") == "ip6") != p.from.is_ipv6() {
                        return Truth::No;
                    }
                    let (source, destination) = p.ends();
                    let end = if field == "saddr" {
                        source
                    } else {
                        destination
                    };
                    let Some(end) = end else {
                        return Truth::Unknown;
                    };
                    let truth = address_is(right, end);
                    if truth == Truth::Yes && end == p.from {
                        reason.by_source = true;
                        reason.names_client |= is_host(right);
                    }
                    truth
                }
                ("ip", "protocol") | ("ip6", "nexthdr") => {
                    is(words(right, &["tcp"]) || right.as_u64() == Some(6))
                }
                ("tcp", "flags") => is(words(
                    right,
                    &[if p.leg == Leg::Follows { "ack" } else { "syn" }],
                )),
                // The client's own port: one of the high ones.
                ("tcp" | "th", "sport" | "dport") => {
                    match right.pointer("/range/0").and_then(Value::as_u64) {
                        Some(low) => is(low <= 32_768),
                        None => Truth::No,
                    }
                }
                _ => Truth::Unknown,
            };
        }
        if let Some(meta) = left.get("meta") {
            return match text(meta, "key") {
                "l4proto" => is(words(right, &["tcp"]) || right.as_u64() == Some(6)),
                "nfproto" => is(words(
                    right,
                    &[if p.from.is_ipv6() { "ipv6" } else { "ipv4" }],
                )),
                "protocol" => is(words(right, &[if p.from.is_ipv6() { "ip6" } else { "ip" }])),
                "iifname" | "iif" if p.goes_out() => Truth::No,
                // Not there yet where it comes in.
                "oifname" | "oif" if p.leg == Leg::Returns => Truth::No,
                "iifname" | "iif" | "oifname" | "oif" => match (&p.interface, right.as_str()) {
                    (Some(have), Some(want)) => is(match want.strip_suffix('*') {
                        Some(start) => have.starts_with(start),
                        None => have == want,
                    }),
                    (None, Some("lo")) => Truth::No,
                    _ => Truth::Unknown,
                },
                "pkttype" => is(words(right, &["host", "unicast"])),
                _ => Truth::Unknown,
            };
        }
        if let Some(ct) = left.get("ct") {
            return match text(ct, "key") {
                "state" => is(words(
                    right,
                    &[if p.is_first() { "new" } else { "established" }],
                )),
                "status" => Truth::No,
                "direction" => is(words(
                    right,
                    &[if p.is_answer() { "reply" } else { "original" }],
                )),
                _ => Truth::Unknown,
            };
        }
        if let Some(fib) = left.get("fib") {
            return is(matches!(text(fib, "result"), "type") && words(right, &["local"]));
        }
        // `ip6 saddr & ffff:ffff:ffff:ffff:: @networks`
        if let Some(parts) = left.get("&").and_then(Value::as_array)
            && let Some(payload) = parts.first().and_then(|l| l.get("payload"))
            && text(payload, "field") == "saddr"
        {
            if (text(payload, "protocol") == "ip6") != p.from.is_ipv6() {
                return Truth::No;
            }
            let mask = parts
                .get(1)
                .and_then(Value::as_str)
                .and_then(|m| parse_ip(m.as_bytes()));
            return mask.map_or(Truth::Unknown, |m| address_is(right, masked(p.from, m)));
        }
        // `tcp flags & (syn|ack) == syn`: the first packet has SYN alone.
        if let Some(parts) = left.get("&").and_then(Value::as_array)
            && parts
                .first()
                .and_then(|l| l.pointer("/payload/field"))
                .and_then(Value::as_str)
                == Some("flags")
        {
            let mask_has_syn = parts
                .get(1)
                .is_some_and(|m| words(m, &["syn"]) || flags_of(m).contains(&"syn"));
            let wants_syn = words(right, &["syn"]) && flags_of(right).len() <= 1;
            if !p.is_first() {
                return if wants_syn { Truth::No } else { Truth::Unknown };
            }
            return is(if mask_has_syn {
                wants_syn
            } else {
                right.as_u64() == Some(0)
            });
        }
        Truth::Unknown
    }
}

/// Whether a statement may keep the packet from the rules that follow, other than by dropping it.
fn lets_in(statement: &Value) -> bool {
    ["accept", "jump", "goto", "return", "vmap", "queue"]
        .iter()
        .any(|word| statement.get(word).is_some())
}

fn flags_of(v: &Value) -> Vec<&str> {
    match v {
        Value::String(s) => vec![s.as_str()],
        Value::Array(a) => a.iter().filter_map(Value::as_str).collect(),
        Value::Object(o) => o.get("|").map(flags_of).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn has_word(v: &Value, word: &str) -> bool {
    match v {
        Value::String(s) => s == word,
        Value::Array(all) => all.iter().any(|v| has_word(v, word)),
        _ => false,
    }
}

fn masked(ip: IpAddr, mask: IpAddr) -> IpAddr {
    match (ip, mask) {
        (IpAddr::V4(a), IpAddr::V4(m)) => IpAddr::V4((u32::from(a) & u32::from(m)).into()),
        (IpAddr::V6(a), IpAddr::V6(m)) => IpAddr::V6((u128::from(a) & u128::from(m)).into()),
        _ => ip,
    }
}

/// Whether it is the client's end of the packet.
fn is_source(left: &Value, reply: bool) -> bool {
    let field = if reply { "daddr" } else { "saddr" };
    let left = left.pointer("/&/0").unwrap_or(left);
    left.pointer("/payload/field").and_then(Value::as_str) == Some(field)
        || left
            .get("concat")
            .and_then(Value::as_array)
            .is_some_and(|parts| parts.iter().any(|p| is_source(p, reply)))
}

/// One address, not a network.
fn is_host(right: &Value) -> bool {
    let value = right.pointer("/elem/val").unwrap_or(right);
    value.is_string()
        || value
            .pointer("/prefix/len")
            .and_then(Value::as_u64)
            .is_some_and(|l| l == 32 || l == 128)
}

fn address_is(right: &Value, ip: IpAddr) -> Truth {
    let value = right.pointer("/elem/val").unwrap_or(right);
    let parse = |v: Option<&Value>| {
        v.and_then(Value::as_str)
            .and_then(|s| parse_ip(s.as_bytes()))
    };
    let yes = match value {
        Value::String(s) => match parse_ip(s.as_bytes()) {
            Some(other) => other == ip,
            None => return Truth::Unknown,
        },
        Value::Object(o) => {
            if let Some(prefix) = o.get("prefix") {
                let len = prefix.get("len").and_then(Value::as_u64).unwrap_or(0) as u8;
                match parse(prefix.get("addr")) {
                    Some(net) => {
                        net.is_ipv4() == ip.is_ipv4() && network(ip, len) == network(net, len)
                    }
                    None => return Truth::Unknown,
                }
            } else if let Some(range) = o.get("range") {
                match (parse(range.get(0)), parse(range.get(1))) {
                    (Some(a), Some(b)) => a.is_ipv4() == ip.is_ipv4() && a <= ip && ip <= b,
                    _ => return Truth::Unknown,
                }
            } else if let Some(Value::Array(parts)) = o.get("concat") {
                return parts
                    .iter()
                    .map(|v| address_is(v, ip))
                    .find(|t| *t == Truth::Yes)
                    .unwrap_or(Truth::No);
            } else {
                return Truth::Unknown;
            }
        }
        _ => return Truth::Unknown,
    };
    if yes { Truth::Yes } else { Truth::No }
}

fn number_is(right: &Value, n: u64) -> Truth {
    let value = right.pointer("/elem/val").unwrap_or(right);
    let yes = match value {
        Value::Number(v) => v.as_u64() == Some(n),
        Value::String(s) => match s.as_str() {
            "ssh" => n == 22,
            s => s.parse::<u64>() == Ok(n),
        },
        Value::Object(o) => match o.get("range") {
            Some(r) => {
                let end = |i: usize| r.get(i).and_then(Value::as_u64);
                match (end(0), end(1)) {
                    (Some(a), Some(b)) => a <= n && n <= b,
                    _ => return Truth::Unknown,
                }
            }
            None => return Truth::Unknown,
        },
        _ => return Truth::Unknown,
    };
    if yes { Truth::Yes } else { Truth::No }
}

fn shown(v: &Value) -> String {
    if let Some(p) = v.get("payload") {
        return format!("{} {}", text(p, "protocol"), text(p, "field"));
    }
    if let Some(m) = v.get("meta").or_else(|| v.get("ct")) {
        return text(m, "key").to_owned();
    }
    if let Some(parts) = v.get("&").and_then(Value::as_array) {
        let parts: Vec<String> = parts.iter().map(shown).collect();
        return parts.join(" & ");
    }
    if let Some(p) = v.get("prefix") {
        return format!(
            "{}/{}",
            text(p, "addr"),
            p.get("len").unwrap_or(&Value::Null)
        );
    }
    if let Some(r) = v.get("range") {
        return format!(
            "{}-{}",
            shown(r.get(0).unwrap_or(&Value::Null)),
            shown(r.get(1).unwrap_or(&Value::Null))
        );
    }
    match v {
        Value::String(s) => s.clone(),
        Value::Array(a) => {
            let some: Vec<String> = a.iter().take(6).map(shown).collect();
            format!(
                "{{ {}{} }}",
                some.join(", "),
                if a.len() > 6 { ", …" } else { "" }
            )
        }
        Value::Object(o) => match o.get("set") {
            Some(set) => shown(set),
            None => o.keys().next().cloned().unwrap_or_default(),
        },
        other => other.to_string(),
    }
}

fn shown_match(m: &Value) -> String {
    let op = match text(m, "op") {
        "==" | "in" => "",
        op => op,
    };
    let (l, r) = (m.get("left").map(shown), m.get("right").map(shown));
    format!("{} {op} {}", l.unwrap_or_default(), r.unwrap_or_default()).replace("  ", " ")
}

fn shown_limit(kind: &str, v: &Value) -> String {
    match v.get("rate") {
        Some(rate) => format!("limit rate {rate}/{}", text(v, "per")),
        None => kind.to_owned(),
    }
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
    use serde_json::json;

    fn ruling(rules: Vec<Value>, policy: &str, from: &str, port: u16) -> Ruling {
        let mut items = vec![
            json!({"table": {"family": "inet", "name": "filter"}}),
            json!({"chain": {"family": "inet", "table": "filter", "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": policy}}),
            json!({"chain": {"family": "inet", "table": "filter", "name": "tcp_in"}}),
            json!({"set": {"family": "inet", "table": "filter", "name": "addr-set-sshd", "type": "ipv4_addr", "elem": ["192.0.2.7", {"elem": {"val": "192.0.2.8", "timeout": 600}}]}}),
            json!({"set": {"family": "inet", "table": "filter", "name": "office", "type": "ipv4_addr", "elem": [{"prefix": {"addr": "198.51.100.0", "len": 24}}]}}),
        ];
        for expr in rules {
            let chain = expr
                .get(0)
                .and_then(|e| e.get("in"))
                .and_then(Value::as_str)
                .unwrap_or("input")
                .to_owned();
            items.push(json!({"rule": {"family": "inet", "table": "filter", "chain": chain, "expr": expr}}));
        }
        let set = json!({"nftables": items});
        Ruleset::new(&set).evaluate(&Packet {
            from: from.parse().unwrap(),
            to: None,
            port,
            interface: Some("eth0".into()),
            leg: Leg::Opens,
        })
    }

    fn m(l: Value, r: Value) -> Value {
        json!({"match": {"op": "==", "left": l, "right": r}})
    }
    fn dport(r: Value) -> Value {
        m(json!({"payload": {"protocol": "tcp", "field": "dport"}}), r)
    }
    fn saddr(r: Value) -> Value {
        m(json!({"payload": {"protocol": "ip", "field": "saddr"}}), r)
    }

    #[test]
    fn drops_and_their_neighbours() {
        let drop22 = || {
            vec![json!([dport(json!(22)), {"counter": {"packets": 3, "bytes": 1}}, {"drop": null}])]
        };
        let r = ruling(drop22(), "accept", "192.0.2.7", 22);
        assert_eq!(
            (r.fate, r.names_client, r.packets),
            (Fate::Drops, false, Some(3))
        );
        assert_eq!(r.rule, "tcp dport 22 drop");
        assert_eq!(
            ruling(drop22(), "accept", "192.0.2.7", 2222).fate,
            Fate::Passes
        );
        let set = || {
            vec![
                json!([dport(json!({"set": [22, {"range": [8000, 8100]}]})), {"reject": {"type": "tcp reset"}}]),
            ]
        };
        assert_eq!(
            ruling(set(), "accept", "192.0.2.7", 8050).fate,
            Fate::Rejects
        );
        assert_eq!(
            ruling(set(), "accept", "192.0.2.7", 8101).fate,
            Fate::Passes
        );
    }

    #[test]
    fn a_ban_is_told_from_a_network_rule() {
        let set = |name: &str| vec![json!([saddr(json!(format!("@{name}"))), {"drop": null}])];
        assert!(ruling(set("addr-set-sshd"), "accept", "192.0.2.8", 22).names_client);
        assert_eq!(
            ruling(set("addr-set-sshd"), "accept", "192.0.2.9", 22).fate,
            Fate::Passes
        );
        let r = ruling(set("office"), "accept", "198.51.100.3", 22);
        assert_eq!((r.fate, r.names_client), (Fate::Drops, false));
    }

    #[test]
    fn policy_states_jumps_and_limits() {
        let state = json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}});
        let lo = m(json!({"meta": {"key": "iifname"}}), json!("lo"));
        let rules = vec![
            json!([state, {"accept": null}]),
            json!([lo, {"accept": null}]),
            json!([dport(json!({"set": [80, 443]})), {"accept": null}]),
        ];
        let r = ruling(rules, "drop", "192.0.2.7", 22);
        assert_eq!(
            (r.fate, r.rule.as_str(), r.uncertain),
            (Fate::Drops, "policy drop", false)
        );
        let jump = vec![
            json!([{"jump": {"target": "tcp_in"}}]),
            json!([{"in": "tcp_in"}, dport(json!(22)), {"drop": null}]),
        ];
        assert_eq!(ruling(jump, "accept", "192.0.2.7", 22).fate, Fate::Drops);
        let limit = vec![
            json!([dport(json!(22)), {"limit": {"rate": 3, "per": "minute"}}, {"accept": null}]),
            json!([dport(json!(22)), {"drop": null}]),
        ];
        let r = ruling(limit, "accept", "192.0.2.7", 22);
        assert_eq!((r.fate, r.limited), (Fate::Drops, true));
    }

    #[test]
    fn masked_sets_dormant_tables_and_the_forward_hook() {
        let table = |flags: Value, hook: &str| {
            json!({"nftables": [
                {"table": {"family": "inet", "name": "t", "flags": flags}},
                {"chain": {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": hook, "prio": -310, "policy": "accept"}},
                {"set": {"family": "inet", "table": "t", "name": "ban6_64", "type": "ipv6_addr", "elem": [{"elem": {"val": "2001:db8:1:2::", "timeout": 60}}]}},
                {"rule": {"family": "inet", "table": "t", "chain": "c", "expr": [
                    {"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "ip6", "field": "saddr"}}, "ffff:ffff:ffff:ffff::"]}, "right": "@ban6_64"}},
                    {"counter": {"packets": 0, "bytes": 0}}, {"drop": null}]}},
            ]})
        };
        let packet = |from: &str| Packet {
            from: from.parse().unwrap(),
            to: None,
            port: 22,
            interface: None,
            leg: Leg::Opens,
        };
        let live = table(json!([]), "prerouting");
        let r = Ruleset::new(&live).evaluate(&packet("2001:db8:1:2:3:4:5:6"));
        assert_eq!(
            (r.fate, r.names_client, r.uncertain),
            (Fate::Drops, true, false)
        );
        for other in ["2001:db8:1:3::1", "192.0.2.7"] {
            let r = Ruleset::new(&live).evaluate(&packet(other));
            assert_eq!((r.fate, r.uncertain), (Fate::Passes, false), "{other}");
        }
        for flags in [json!("dormant"), json!(["dormant"]), json!("t")] {
            let asleep = table(flags, "prerouting");
            let r = Ruleset::new(&asleep).evaluate(&packet("2001:db8:1:2::9"));
            assert_eq!(r.fate, Fate::Passes);
        }
        let forward = table(json!([]), "forward");
        let set = Ruleset::new(&forward);
        assert_eq!(set.evaluate(&packet("2001:db8:1:2::9")).fate, Fate::Passes);
        let r = set.evaluate_forwarded(&packet("2001:db8:1:2::9"));
        assert_eq!(r.fate, Fate::Drops);
    }

    #[test]
    fn who_lets_it_pass_is_named() {
        let rules = vec![
            json!([saddr(json!("192.0.2.7")), {"accept": null}]),
            json!([dport(json!(22)), {"drop": null}]),
        ];
        let r = ruling(rules, "accept", "192.0.2.7", 22);
        assert_eq!(r.fate, Fate::Passes);
        assert_eq!(r.place, "inet filter input");
        assert_eq!(r.rule, "ip saddr 192.0.2.7 accept");
    }

    #[test]
    fn our_answer_must_get_out() {
        let chain = json!({"chain": {"family": "inet", "table": "f", "name": "out", "type": "filter", "hook": "output", "prio": 0, "policy": "drop"}});
        let rule = |expr: Value| json!({"rule": {"family": "inet", "table": "f", "chain": "out", "expr": expr}});
        let fate = |rules: Vec<Value>, leg: Leg| {
            let mut items = vec![chain.clone()];
            items.extend(rules.into_iter().map(rule));
            Ruleset::new(&json!({"nftables": items}))
                .evaluate(&client(leg))
                .fate
        };
        let state = |s: &str| json!([{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": s}}, {"accept": null}]);
        let out = |n: u16| json!([dport(json!(n)), {"accept": null}]);
        let own = json!([m(json!({"payload": {"protocol": "tcp", "field": "sport"}}), json!(22)), {"accept": null}]);
        assert_eq!(fate(vec![out(53)], Leg::Opens), Fate::Passes);
        assert_eq!(fate(vec![out(53), state("new")], Leg::Answers), Fate::Drops);
        assert_eq!(fate(vec![state("established")], Leg::Answers), Fate::Passes);
        assert_eq!(fate(vec![own], Leg::Answers), Fate::Passes);
        // Port 22 elsewhere is not port 22 here.
        assert_eq!(fate(vec![out(22)], Leg::Answers), Fate::Drops);
    }

    #[test]
    fn what_follows_must_get_in_too() {
        let fate = |rules: Vec<Value>, leg: Leg| {
            let chain = json!({"chain": {"family": "inet", "table": "f", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}});
            let rule = |expr: Value| json!({"rule": {"family": "inet", "table": "f", "chain": "in", "expr": expr}});
            let mut items = vec![chain];
            items.extend(rules.into_iter().map(rule));
            Ruleset::new(&json!({"nftables": items}))
                .evaluate(&client(leg))
                .fate
        };
        let state =
            |s: &str| json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": s}});
        let new = json!([dport(json!(22)), state("new"), {"accept": null}]);
        let established = json!([state("established"), {"accept": null}]);
        assert_eq!(fate(vec![new.clone()], Leg::Opens), Fate::Passes);
        assert_eq!(fate(vec![new.clone()], Leg::Follows), Fate::Drops);
        let both = vec![established, new];
        assert_eq!(fate(both, Leg::Follows), Fate::Passes);
        let stateless = vec![json!([dport(json!(22)), {"accept": null}])];
        assert_eq!(fate(stateless, Leg::Follows), Fate::Passes);
    }

    #[test]
    fn a_network_in_the_chain_of_a_ban_tool_is_a_ban() {
        for (chain, ban) in [("sshguard", true), ("tcp_in", false)] {
            let net = json!({"prefix": {"addr": "192.0.2.0", "len": 24}});
            let set = json!({"nftables": [
                {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}},
                {"chain": {"family": "ip", "table": "filter", "name": chain}},
                {"rule": {"family": "ip", "table": "filter", "chain": "INPUT", "expr": [{"jump": {"target": chain}}]}},
                {"rule": {"family": "ip", "table": "filter", "chain": chain, "expr": [saddr(net), {"drop": null}]}},
            ]});
            let r = Ruleset::new(&set).evaluate(&Packet {
                from: "192.0.2.7".parse().unwrap(),
                to: None,
                port: 22,
                interface: None,
                leg: Leg::Opens,
            });
            assert_eq!((r.fate, r.names_client), (Fate::Drops, ban), "{chain}");
        }
    }

    #[test]
    fn what_it_cannot_read_makes_it_uncertain() {
        let rules = vec![json!([m(json!({"socket": {"key": "mark"}}), json!(1)), {"drop": null}])];
        let r = ruling(rules, "accept", "192.0.2.7", 22);
        assert_eq!((r.fate, r.uncertain), (Fate::Passes, true));
        // Before a drop it counts only where it could have let the packet in.
        for (verdict, doubt) in [("accept", true), ("drop", false), ("log", false)] {
            let odd = m(json!({"socket": {"key": "mark"}}), json!(1));
            let rules = vec![json!([odd, {verdict: null}]), json!([{"drop": null}])];
            let r = ruling(rules, "accept", "192.0.2.7", 22);
            assert_eq!((r.fate, r.uncertain), (Fate::Drops, doubt), "{verdict}");
        }
        for odd in [
            json!(null),
            json!({"nftables": 7}),
            json!({"nftables": [{"rule": 1}, {"chain": []}]}),
        ] {
            let p = Packet {
                from: "192.0.2.7".parse().unwrap(),
                to: None,
                port: 22,
                interface: None,
                leg: Leg::Opens,
            };
            assert_eq!(Ruleset::new(&odd).evaluate(&p).fate, Fate::Passes);
        }
    }

    #[test]
    fn a_queue_that_nobody_reads_drops() {
        let fate = |queue: Value, read: Option<&[String]>| {
            let json = serde_json::json!({"nftables": [
                {"table": {"family": "inet", "name": "f"}},
                {"chain": {"family": "inet", "table": "f", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}},
                {"rule": {"family": "inet", "table": "f", "chain": "in", "expr": [{"queue": queue}]}}
            ]});
            let r = Ruleset::new(&json)
                .read_queues(read)
                .evaluate(&client(Leg::Opens));
            (r.fate, r.uncertain)
        };
        let plain = serde_json::json!({"num": 3});
        let (none, third) = ([], ["3".to_owned()]);
        assert_eq!(fate(plain.clone(), Some(&none)), (Fate::Drops, false));
        assert_eq!(fate(plain.clone(), Some(&third)), (Fate::Passes, true));
        assert_eq!(fate(plain, None), (Fate::Passes, true));
        let bypass = serde_json::json!({"num": 3, "flags": "bypass"});
        assert_eq!(fate(bypass, Some(&none)), (Fate::Passes, false));
    }

    #[test]
    fn a_packet_is_sent_elsewhere_before_it_is_filtered() {
        let set = |port: u16, verdict: Value| {
            serde_json::json!({"nftables": [
                {"table": {"family": "ip", "name": "nat"}},
                {"chain": {"family": "ip", "table": "nat", "name": "pre", "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}},
                {"rule": {"family": "ip", "table": "nat", "chain": "pre", "expr": [
                    {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}}, verdict]}}
            ]})
        };
        let to = |json: &Value| {
            let t = Ruleset::new(json).translated(&client(Leg::Opens))?;
            Some((t.addr.map(|a| a.to_string()), t.port))
        };
        let redirect = serde_json::json!({"redirect": {"port": 2222}});
        assert_eq!(to(&set(22, redirect.clone())), Some((None, Some(2222))));
        assert_eq!(to(&set(80, redirect)), None);
        let dnat = serde_json::json!({"dnat": {"addr": "172.17.0.2", "port": 22}});
        let there = Some((Some("172.17.0.2".to_owned()), Some(22)));
        assert_eq!(to(&set(22, dnat.clone())), there);
        // The filters judge what they judged before.
        let json = set(22, dnat);
        assert_eq!(
            Ruleset::new(&json).evaluate(&client(Leg::Opens)).fate,
            Fate::Passes
        );
    }
}
