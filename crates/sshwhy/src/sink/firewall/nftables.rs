//! nftables: a table of our own, `inet sshwhy`, spoken to in JSON (libnftables-json(5)), one transaction for any batch.
//!
//! - One hash set for each length of prefix, matched by the masked source address (`ip6 saddr & ffff:ffff:ffff:ffff:: @ban6_64`).
//!   Interval sets refuse a network that overlaps another, and a ban that grows from /64 to /56 does just that; a hash set
//!   also takes a new element without reading the hundred thousand that are there.
//! - The chain hangs at prerouting, priority -310: before connection tracking, before any destination NAT, and so before
//!   Docker's. In nftables an `accept` ends only its own chain, while a `drop` is final, so no rule of others can let a banned
//!   address in. Where only some ports are guarded, a chain at forward covers containers by the port that they have there.
//! - Elements end by themselves (timeouts), also when this program is not running.

use super::{Backend, Held, Order, Proof, Runner, Scope, Trouble};
use serde::Deserialize;
use serde_json::{Value, json};
use sshwhy_core::addr::{Cidr, network};
use sshwhy_core::server::{Fate, Packet, nft};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const TABLE: &str = "sshwhy";
/// Prefix lengths that have their set from the start: what detectors ban. Others are made when the first ban needs them.
const LENGTHS: [(bool, u8); 6] = [
    (false, 32),
    (false, 24),
    (true, 128),
    (true, 64),
    (true, 56),
    (true, 48),
];
/// Before raw (-300), and after defragmentation (-400).
const PRIORITY: i64 = -310;

pub struct Nftables {
    scope: Scope,
    run: Runner,
    /// Sets that exist, with their rule: (IPv6, prefix length).
    sets: BTreeSet<(bool, u8)>,
}

/// `ban4_32`, `ban6_64`
fn set_name((v6, len): (bool, u8)) -> String {
    format!("ban{}_{len}", if v6 { 6 } else { 4 })
}

fn set_of(name: &str) -> Option<(bool, u8)> {
    let (family, len) = name.strip_prefix("ban")?.split_once('_')?;
    let (v6, most) = match family {
        "4" => (false, 32),
        "6" => (true, 128),
        _ => return None,
    };
    let len = len.parse().ok()?;
    (len <= most).then_some((v6, len))
}

fn key(net: Cidr) -> (bool, u8) {
    (net.ip.is_ipv6(), net.len)
}

fn table() -> Value {
    json!({"family": "inet", "name": TABLE})
}

fn set(key: (bool, u8)) -> Value {
    let kind = if key.0 { "ipv6_addr" } else { "ipv4_addr" };
    json!({"add": {"set": {"family": "inet", "table": TABLE, "name": set_name(key), "type": kind, "flags": ["timeout"]}}})
}

/// Our table, when it is asleep.
fn asleep() -> Value {
    json!({"nftables": [{"table": {"family": "inet", "name": TABLE, "flags": ["dormant"]}}]})
}

fn rule(chain: &str, expr: Value) -> Value {
    json!({"add": {"rule": {"family": "inet", "table": TABLE, "chain": chain, "expr": expr}}})
}

/// Drops, and counts, what comes from a network of that set.
fn drop_rule(key: (bool, u8)) -> Value {
    let (v6, len) = key;
    let all = if v6 {
        IpAddr::V6(Ipv6Addr::from(u128::MAX))
    } else {
        IpAddr::V4(Ipv4Addr::BROADCAST)
    };
    let saddr = json!({"payload": {"protocol": if v6 { "ip6" } else { "ip" }, "field": "saddr"}});
    let left = match network(all, len) {
        whole if whole == all => saddr,
        mask => json!({"&": [saddr, mask.to_string()]}),
    };
    rule(
        "banned",
        json!([
            {"match": {"op": "==", "left": left, "right": format!("@{}", set_name(key))}},
            {"counter": null}, {"drop": null},
        ]),
    )
}

fn base(name: &str, hook: &str, prio: i64) -> Value {
    json!({"add": {"chain": {"family": "inet", "table": TABLE, "name": name, "type": "filter", "hook": hook, "prio": prio, "policy": "accept"}}})
}

/// Appends the elements of one command, `add` or `delete`, set by set.
fn elements(out: &mut String, verb: &str, orders: &[Order], timeouts: bool) {
    let keys: BTreeSet<(bool, u8)> = orders.iter().map(|o| key(o.net())).collect();
    for k in keys {
        let _ = write!(
            out,
            r#"{{"{verb}":{{"element":{{"family":"inet","table":"{TABLE}","name":"{}","elem":["#,
            set_name(k)
        );
        let mut gap = "";
        for order in orders.iter().filter(|o| key(o.net()) == k) {
            let ip = order.net().ip;
            // Writing to a string does not fail; an address holds nothing that JSON would escape.
            let _ = match order {
                Order::Ban(_, Some(secs)) if timeouts => {
                    write!(out, r#"{gap}{{"elem":{{"val":"{ip}","timeout":{secs}}}}}"#)
                }
                _ => write!(out, r#"{gap}"{ip}""#),
            };
            gap = ",";
        }
        out.push_str("]}}},");
    }
}

impl Nftables {
    pub fn new(scope: Scope, run: Runner) -> Nftables {
        Nftables {
            scope,
            run,
            sets: BTreeSet::new(),
        }
    }

    /// One transaction.
    fn commit(&self, commands: &str) -> Result<(), Trouble> {
        let text = format!(r#"{{"nftables":[{}]}}"#, commands.trim_end_matches(','));
        self.run
            .run("nft", &["-j", "-f", "-"], Some(text.into_bytes()))
            .map(drop)
    }

    fn commit_values(&self, values: &[Value]) -> Result<(), Trouble> {
        let texts: Vec<String> = values.iter().map(Value::to_string).collect();
        self.commit(&texts.join(","))
    }

    /// The whole of our table without its elements; `None` where it is not there.
    fn read(&self) -> Result<Option<Value>, Trouble> {
        // Of all that nft lists, this alone reads no elements: milliseconds, whatever the sets hold.
        let args = ["-j", "-t", "list", "ruleset", "inet"];
        let said = self.run.run("nft", &args, None)?;
        let Ok(mut json) = serde_json::from_slice::<Value>(&said.out) else {
            return self.read_alone();
        };
        let ours = |item: &Value| {
            let Some((kind, what)) = item.as_object().and_then(|o| o.iter().next()) else {
                return false;
            };
            let key = if kind == "table" { "name" } else { "table" };
            what.get(key).and_then(Value::as_str) == Some(TABLE)
        };
        let items = json.get_mut("nftables").and_then(Value::as_array_mut);
        let Some(items) = items else { return Ok(None) };
        items.retain(ours);
        if items.is_empty() {
            return Ok(None);
        }
        if items.iter().any(|i| i.pointer("/table/flags").is_some()) && self.sleeps()? {
            return Ok(Some(asleep()));
        }
        Ok(Some(json))
    }

    /// The same where the JSON of the whole ruleset is broken: nft 1.0.6 writes a table's flags as whatever lies in memory.
    fn read_alone(&self) -> Result<Option<Value>, Trouble> {
        let tables = self
            .run
            .run("nft", &["list", "tables", "inet"], None)?
            .text();
        let name = format!("table inet {TABLE}");
        if !tables.lines().any(|l| l.trim() == name) {
            return Ok(None);
        }
        if self.sleeps()? {
            return Ok(Some(asleep()));
        }
        let args = ["-j", "-t", "list", "table", "inet", TABLE];
        let said = self.run.run("nft", &args, None)?;
        serde_json::from_slice(&said.out).map(Some).map_err(|e| {
            Trouble::new(
                "nft -j list table inet sshwhy",
                format!("its JSON was not understood: {e}"),
                "nft may be built without JSON: nft -V",
            )
        })
    }

    fn sleeps(&self) -> Result<bool, Trouble> {
        let args = ["-t", "list", "ruleset", "inet"];
        let text = self.run.run("nft", &args, None)?.text();
        let head = format!("table inet {TABLE} {{");
        let ours = text.lines().skip_while(|l| *l != head).skip(1);
        Ok(ours
            .take_while(|l| *l != "}")
            .map(str::trim)
            .any(|l| l.starts_with("flags ") && l.contains("dormant")))
    }

    fn jumps(&self) -> Vec<Value> {
        let jump = json!({"jump": {"target": "banned"}});
        if self.scope.ports.is_empty() {
            return vec![rule("prerouting", json!([jump]))];
        }
        // One rule a port: a set without a name is left out where elements are.
        let port = |port: &u16| json!({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}});
        let mut out = Vec::new();
        for chain in ["prerouting", "forward"] {
            let ports = self.scope.ports.iter();
            out.extend(ports.map(|p| rule(chain, json!([port(p), jump.clone()]))));
        }
        out
    }

    fn make(&mut self, there: bool) -> Result<(), Trouble> {
        let mut commands = Vec::new();
        if there {
            commands.push(json!({"delete": {"table": table()}}));
        }
        commands.push(json!({"add": {"table": table()}}));
        commands.extend(LENGTHS.map(set));
        commands
            .push(json!({"add": {"chain": {"family": "inet", "table": TABLE, "name": "banned"}}}));
        commands.extend(LENGTHS.map(drop_rule));
        commands.push(base("prerouting", "prerouting", PRIORITY));
        if !self.scope.ports.is_empty() {
            commands.push(base("forward", "forward", PRIORITY));
        }
        commands.extend(self.jumps());
        self.commit_values(&commands)?;
        self.sets = LENGTHS.into_iter().collect();
        Ok(())
    }

    /// Sets of the table that have their rule, if all else is there too.
    fn whole(&self, table: &Value) -> Option<BTreeSet<(bool, u8)>> {
        let items = table.get("nftables").and_then(Value::as_array)?;
        let name = |v: &Value, key: &str| {
            v.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut sets = BTreeSet::new();
        let mut ruled = BTreeSet::new();
        let (mut hooks, mut jumps) = (BTreeSet::new(), BTreeSet::new());
        for item in items {
            if let Some(s) = item.get("set") {
                sets.extend(set_of(&name(s, "name")));
            } else if let Some(c) = item.get("chain")
                && c.get("hook").is_some()
            {
                hooks.insert(name(c, "hook"));
            } else if let Some(r) = item.get("rule") {
                let expr = r.get("expr").and_then(Value::as_array)?;
                let drops = expr.last().is_some_and(|e| e.get("drop").is_some());
                let jump = expr.last().and_then(|e| e.pointer("/jump/target"));
                if jump.and_then(Value::as_str) == Some("banned") {
                    let port = expr.first().and_then(|e| e.pointer("/match/right"));
                    jumps.insert((name(r, "chain"), port.and_then(Value::as_u64)));
                }
                if drops
                    && let Some(set) = expr
                        .first()
                        .and_then(|e| e.pointer("/match/right"))
                        .and_then(Value::as_str)
                {
                    ruled.extend(set_of(set.trim_start_matches('@')));
                }
            }
        }
        // Other ports than before are another table.
        let wanted: BTreeSet<(String, Option<u64>)> = match self.scope.ports.as_slice() {
            [] => [("prerouting".to_owned(), None)].into(),
            ports => ["prerouting", "forward"]
                .iter()
                .flat_map(|c| ports.iter().map(|p| ((*c).to_owned(), Some(u64::from(*p)))))
                .collect(),
        };
        let hooked = wanted == jumps && wanted.iter().all(|(c, _)| hooks.contains(c));
        let known: BTreeSet<_> = sets.intersection(&ruled).copied().collect();
        (hooked && LENGTHS.iter().all(|k| known.contains(k)) && sets == known).then_some(known)
    }

    /// Whether the set holds the element: a check-only `create` fails for what exists, and reads no other element.
    fn holds(&self, k: (bool, u8), ip: IpAddr) -> Result<bool, Trouble> {
        let element = format!("{{ {} }}", network(ip, k.1));
        let name = set_name(k);
        let args = ["-c", "create", "element", "inet", TABLE, &name, &element];
        let said = self.run.ask("nft", &args, None)?;
        if said.ok || said.err.is_empty() {
            return Ok(false);
        }
        if said.err.contains("File exists") {
            return Ok(true);
        }
        if said.err.contains("No such file") {
            return Ok(false);
        }
        self.run.run("nft", &args, None).map(|_| false)
    }
}

impl Backend for Nftables {
    fn name(&self) -> &'static str {
        "nftables"
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn ensure(&mut self, rebuild: bool) -> Result<bool, Trouble> {
        let table = self.read()?;
        if !rebuild && let Some(sets) = table.as_ref().and_then(|t| self.whole(t)) {
            self.sets = sets;
            return Ok(false);
        }
        self.make(table.is_some())?;
        Ok(true)
    }

    fn stands(&mut self) -> Result<bool, Trouble> {
        // Listing chains reads no elements, whatever their number.
        let said = self.run.run("nft", &["-j", "list", "chains"], None)?;
        let json: Value = serde_json::from_slice(&said.out).unwrap_or(Value::Null);
        let chains = json.get("nftables").and_then(Value::as_array);
        let ours = |name: &str| {
            chains.into_iter().flatten().any(|i| {
                i.pointer("/chain/table").and_then(Value::as_str) == Some(TABLE)
                    && i.pointer("/chain/name").and_then(Value::as_str) == Some(name)
            })
        };
        Ok(ours("prerouting") && ours("banned"))
    }

    fn apply(&mut self, orders: &[Order], fresh: bool) -> Result<(), Trouble> {
        let mut text = String::with_capacity(orders.len() * 64);
        let mut made = BTreeSet::new();
        for order in orders {
            let k = key(order.net());
            if !self.sets.contains(&k) && made.insert(k) {
                text.push_str(&set(k).to_string());
                text.push(',');
                text.push_str(&drop_rule(k).to_string());
                text.push(',');
            }
        }
        let bans: Vec<Order> = orders
            .iter()
            .filter(|o| matches!(o, Order::Ban(..)))
            .copied()
            .collect();
        // What is deleted has to be there, and what is there keeps its old timeout: so each is added, deleted, added.
        if !fresh || bans.len() != orders.len() {
            elements(&mut text, "add", orders, false);
            elements(&mut text, "delete", orders, false);
        }
        elements(&mut text, "add", &bans, true);
        self.commit(&text)?;
        self.sets.extend(made);
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<Held>, Trouble> {
        #[derive(Deserialize)]
        struct Listing {
            nftables: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            set: Option<Set>,
        }
        #[derive(Deserialize)]
        struct Set {
            name: String,
            #[serde(default)]
            elem: Vec<Element>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Element {
            Plain(IpAddr),
            Timed { elem: Timed },
        }
        #[derive(Deserialize)]
        struct Timed {
            val: IpAddr,
            expires: Option<u64>,
        }
        if self.read()?.is_none() {
            return Ok(Vec::new());
        }
        let args = ["-j", "list", "table", "inet", TABLE];
        let said = self.run.run("nft", &args, None)?;
        let listing: Listing = serde_json::from_slice(&said.out).map_err(|e| {
            Trouble::new(
                "nft -j list table inet sshwhy",
                format!("its JSON was not understood: {e}"),
                "",
            )
        })?;
        let mut out = Vec::new();
        for set in listing.nftables.into_iter().filter_map(|i| i.set) {
            let Some((_, len)) = set_of(&set.name) else {
                continue;
            };
            for e in set.elem {
                let (ip, left) = match e {
                    Element::Plain(ip) => (ip, None),
                    Element::Timed { elem } => (elem.val, elem.expires),
                };
                out.push(Held {
                    net: Cidr { ip, len },
                    left,
                });
            }
        }
        Ok(out)
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.sets.clear();
        let add = json!({"add": {"table": table()}});
        let delete = json!({"delete": {"table": table()}});
        self.commit_values(&[add, delete])
    }

    fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble> {
        let Some(mut json) = self.read()? else {
            let gone = |_: &Packet| Proof::Ineffective {
                why: "the table inet sshwhy is gone: somebody flushed the ruleset".to_owned(),
                place: String::new(),
                rule: String::new(),
            };
            return Ok(packets.iter().map(gone).collect());
        };
        if json == asleep() {
            let sleeps = |_: &Packet| Proof::Ineffective {
                why: "the table inet sshwhy sleeps (flags dormant): its rules do not count"
                    .to_owned(),
                place: format!("inet {TABLE}"),
                rule: String::new(),
            };
            return Ok(packets.iter().map(sleeps).collect());
        }
        let sets: BTreeSet<(bool, u8)> = json
            .get("nftables")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|i| set_of(i.pointer("/set/name")?.as_str()?))
            .collect();
        let mut out = Vec::with_capacity(packets.len());
        for packet in packets {
            let mut holding = Vec::new();
            for k in sets.iter().filter(|k| k.0 == packet.from.is_ipv6()) {
                if self.holds(*k, packet.from)? {
                    holding.push(set_name(*k));
                }
            }
            // The elements that concern this packet, and no others.
            for item in json
                .get_mut("nftables")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                let Some(set) = item.get_mut("set").and_then(Value::as_object_mut) else {
                    continue;
                };
                let name = set.get("name").and_then(Value::as_str).unwrap_or_default();
                let elements: Vec<String> = match set_of(name) {
                    Some((_, len)) if holding.iter().any(|h| h == name) => {
                        vec![network(packet.from, len).to_string()]
                    }
                    _ => Vec::new(),
                };
                set.insert("elem".to_owned(), json!(elements));
            }
            let rules = nft::Ruleset::new(&json);
            let ruling = rules.evaluate(packet);
            out.push(match ruling.fate {
                Fate::Passes if holding.is_empty() => Proof::Ineffective {
                    why: format!("no set of the table inet {TABLE} holds {}", packet.from),
                    place: String::new(),
                    rule: String::new(),
                },
                Fate::Passes if ruling.uncertain => Proof::Unproven {
                    why: "a rule in our table is not understood".to_owned(),
                },
                Fate::Passes => Proof::Ineffective {
                    why: if ruling.rule.is_empty() {
                        "no rule of our table drops it: its rules were taken out".to_owned()
                    } else {
                        format!("\"{}\" in {} accepts before it", ruling.rule, ruling.place)
                    },
                    place: ruling.place,
                    rule: ruling.rule,
                },
                Fate::Drops | Fate::Rejects => Proof::Effective {
                    place: ruling.place,
                    rule: ruling.rule,
                },
            });
        }
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::testing::{Fakes, net};
    use super::*;

    #[test]
    fn names_of_sets_go_both_ways() {
        for k in LENGTHS {
            assert_eq!(set_of(&set_name(k)), Some(k));
        }
        for bad in ["ban4_33", "ban6_129", "ban5_1", "never4_32", "ban4_", ""] {
            assert_eq!(set_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_transaction_whatever_the_number_and_it_is_json() {
        let input = Fakes::new("nft-one", &[("nft", "cat > \"${0%/*}/input\"")]);
        let mut b = Nftables::new(Scope::default(), input.runner());
        b.sets = LENGTHS.into_iter().collect();
        let mut orders: Vec<Order> = (0..5000u32)
            .map(|i| Order::Ban(Cidr::one(Ipv4Addr::from(0xcb00_0000 + i).into()), Some(60)))
            .collect();
        orders.push(Order::Ban(net("2001:db8::/64"), None));
        orders.push(Order::Ban(net("198.51.0.0/17"), Some(9)));
        orders.push(Order::Unban(net("192.0.2.7")));
        b.apply(&orders, false).unwrap();
        assert_eq!(input.calls(), ["nft [-j] [-f] [-]"]);
        let text = std::fs::read_to_string(input.folder.join("input")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let commands = json["nftables"].as_array().unwrap();
        let verbs: Vec<String> = commands
            .iter()
            .map(|c| {
                let (verb, what) = c.as_object().unwrap().iter().next().unwrap();
                let set = what.pointer("/element/name").and_then(Value::as_str);
                format!("{verb} {}", set.unwrap_or("-"))
            })
            .collect();
        assert_eq!(
            verbs,
            [
                "add -",
                "add -",
                "add ban4_17",
                "add ban4_32",
                "add ban6_64",
                "delete ban4_17",
                "delete ban4_32",
                "delete ban6_64",
                "add ban4_17",
                "add ban4_32",
                "add ban6_64"
            ]
        );
        let last = |i: usize| commands[i].pointer("/add/element/elem").unwrap();
        assert_eq!(
            last(9).as_array().unwrap().len(),
            5000,
            "the lifted one is not added again"
        );
        assert_eq!(last(10), &json!(["2001:db8::"]), "for good: no timeout");
    }

    #[test]
    fn what_nft_says_is_told() {
        let fakes = Fakes::new(
            "nft-fails",
            &[(
                "nft",
                "cat >/dev/null; echo 'internal:0:0-0: Error: Could not process rule: Operation not permitted' >&2; exit 1",
            )],
        );
        let mut b = Nftables::new(Scope::default(), fakes.runner());
        let e = b.ensure(false).unwrap_err().to_string();
        assert!(
            e.contains("Operation not permitted") && e.contains("root"),
            "{e}"
        );
    }
}
