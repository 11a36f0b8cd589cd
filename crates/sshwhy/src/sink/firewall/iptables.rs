//! ipset and iptables, for machines without nft: two sets, `sshwhy-ban4` and `sshwhy-ban6`, and a rule in front of raw PREROUTING.
//!
//! raw comes before connection tracking and before Docker's NAT, so an ACCEPT in filter INPUT or in Docker's chains lets nobody
//! in. Here an ACCEPT before ours in the same chain does win; [`Backend::prove`] finds it. Where only some ports are guarded, a
//! rule in filter FORWARD covers containers by the port that they have there. ipset loads a batch as one input; it stops at
//! the first line that it does not take, and the next restore puts in what is missing.

use super::{Backend, Held, Order, Proof, Runner, Scope, Trouble};
use sshwhy_core::addr::Cidr;
use sshwhy_core::server::{Fate, Packet, iptables};
use std::fmt::Write;

const SETS: [(&str, &str, &str, &str); 2] = [
    ("sshwhy-ban4", "inet", "iptables", "iptables-save"),
    ("sshwhy-ban6", "inet6", "ip6tables", "ip6tables-save"),
];
/// ipset counts in 32 bits of milliseconds: longer bans are put in anew by the next restore.
const LONGEST: u64 = 2_147_483;
/// Elements that a set may hold.
const MOST: u32 = 2_000_000;

pub struct Ipset {
    scope: Scope,
    run: Runner,
}

fn set_of(net: Cidr) -> &'static str {
    if net.ip.is_ipv4() {
        SETS[0].0
    } else {
        SETS[1].0
    }
}

impl Ipset {
    pub fn new(scope: Scope, run: Runner) -> Ipset {
        Ipset { scope, run }
    }

    /// The rules that drop, as `(table, chain, words)`.
    fn rules(&self, set: &str) -> Vec<(&'static str, &'static str, Vec<String>)> {
        let ports: Vec<String> = self.scope.ports.iter().map(u16::to_string).collect();
        let mut words: Vec<String> = Vec::new();
        if !ports.is_empty() {
            words.extend(["-p", "tcp", "-m", "multiport", "--dports"].map(str::to_owned));
            words.push(ports.join(","));
        }
        words.extend(["-m", "set", "--match-set", set, "src", "-j", "DROP"].map(str::to_owned));
        let mut out = vec![("raw", "PREROUTING", words.clone())];
        if !ports.is_empty() {
            out.push(("filter", "FORWARD", words));
        }
        out
    }

    fn tables(
        &self,
        program: &str,
        table: &str,
        verb: &[&str],
        words: &[String],
    ) -> Result<bool, Trouble> {
        let mut args = vec!["-w", "5", "-t", table];
        args.extend(verb);
        args.extend(words.iter().map(String::as_str));
        if verb.first() == Some(&"-C") {
            return self.run.ask(program, &args, None).map(|s| s.ok);
        }
        self.run.run(program, &args, None).map(|_| true)
    }

    /// Families whose iptables is installed; IPv4 is always expected.
    fn families(
        &self,
    ) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str, &'static str)>
    {
        SETS.iter()
            .filter(|(_, family, program, _)| *family == "inet" || self.run.find(program).is_some())
    }

    fn restore(&self, text: String) -> Result<(), Trouble> {
        self.run
            .run("ipset", &["-exist", "restore"], Some(text.into_bytes()))
            .map(drop)
    }
}

impl Backend for Ipset {
    fn name(&self) -> &'static str {
        "ipset"
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn ensure(&mut self, rebuild: bool) -> Result<bool, Trouble> {
        let before = self.run.run("ipset", &["list", "-n"], None)?.text();
        let mut text = String::new();
        let mut empty = false;
        for (set, family, ..) in self.families() {
            empty |= !before.lines().any(|l| l.trim() == *set);
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "create {set} hash:net family {family} timeout 0 maxelem {MOST}"
            );
        }
        self.restore(text)?;
        for (set, _, program, _) in self.families() {
            for (table, chain, words) in self.rules(set) {
                let there = self.tables(program, table, &["-C", chain], &words)?;
                if there && rebuild {
                    // Back in front of whatever was put there since; until then the old one counts.
                    self.tables(program, table, &["-I", chain, "1"], &words)?;
                    // -D takes the first that fits, and both are alike: the last is deleted by its number.
                    let listing = self
                        .run
                        .run(program, &["-w", "5", "-t", table, "-S", chain], None)?
                        .text();
                    let numbers: Vec<usize> = listing
                        .lines()
                        .filter(|l| l.starts_with("-A "))
                        .enumerate()
                        .filter(|(_, l)| l.contains(set) && l.ends_with("-j DROP"))
                        .map(|(i, _)| i + 1)
                        .collect();
                    for n in numbers.iter().skip(1).rev() {
                        self.tables(program, table, &["-D", chain, &n.to_string()], &[])?;
                    }
                } else if !there {
                    self.tables(program, table, &["-I", chain, "1"], &words)?;
                }
            }
        }
        Ok(empty)
    }

    fn stands(&mut self) -> Result<bool, Trouble> {
        for (set, _, program, _) in self.families() {
            for (table, chain, words) in self.rules(set) {
                if !self.tables(program, table, &["-C", chain], &words)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn apply(&mut self, orders: &[Order], _: bool) -> Result<(), Trouble> {
        let mut text = String::with_capacity(orders.len() * 48);
        for order in orders {
            let set = set_of(order.net());
            let _ = match order {
                Order::Ban(net, secs) => {
                    let secs = secs.unwrap_or(0).min(LONGEST);
                    writeln!(text, "add {set} {net} timeout {secs}")
                }
                Order::Unban(net) => writeln!(text, "del {set} {net}"),
            };
        }
        self.restore(text)
    }

    fn list(&mut self) -> Result<Vec<Held>, Trouble> {
        let names = self.run.run("ipset", &["list", "-n"], None)?.text();
        let mut out = Vec::new();
        for (set, ..) in SETS {
            if !names.lines().any(|l| l.trim() == set) {
                continue;
            }
            let said = self.run.run("ipset", &["save", set], None)?.text();
            for line in said.lines() {
                let mut words = line.split_ascii_whitespace();
                if words.next() != Some("add") || words.next() != Some(set) {
                    continue;
                }
                let Some(net) = words.next().and_then(Cidr::parse) else {
                    continue;
                };
                let mut rest = words.skip_while(|w| *w != "timeout").skip(1);
                let left = rest.next().and_then(|s| s.parse().ok()).filter(|s| *s > 0);
                out.push(Held { net, left });
            }
        }
        Ok(out)
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        for (set, _, program, _) in self.families() {
            for (table, chain, words) in self.rules(set) {
                while self.tables(program, table, &["-C", chain], &words)? {
                    self.tables(program, table, &["-D", chain], &words)?;
                }
            }
            let names = self.run.run("ipset", &["list", "-n"], None)?.text();
            if names.lines().any(|l| l.trim() == *set) {
                self.run.run("ipset", &["destroy", set], None)?;
            }
        }
        Ok(())
    }

    fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble> {
        let sets = self.run.run("ipset", &["save"], None)?.text();
        let sets = iptables::ipsets(&sets);
        let mut out = Vec::with_capacity(packets.len());
        let mut texts: [Option<String>; 2] = [None, None];
        for packet in packets {
            let which = usize::from(packet.from.is_ipv6());
            let (set, _, _, save) = SETS.get(which).copied().unwrap_or(SETS[0]);
            let slot = &mut texts[which];
            let text = match slot {
                Some(text) => text,
                None => slot.insert(self.run.run(save, &[], None)?.text()),
            };
            let ruling = iptables::evaluate(text, packet, &sets);
            let listed = sets.get(set).into_iter().flatten();
            let listed = listed
                .filter_map(|e| Cidr::parse(e))
                .any(|c| c.contains(packet.from));
            out.push(match ruling {
                Some(r) if r.fate != Fate::Passes => Proof::Effective {
                    place: r.place,
                    rule: r.rule,
                },
                _ if !listed => Proof::Ineffective {
                    why: format!("the set {set} does not hold {}", packet.from),
                    place: String::new(),
                    rule: String::new(),
                },
                None => Proof::Ineffective {
                    why: format!("{save} shows no rules at all: somebody flushed them"),
                    place: String::new(),
                    rule: String::new(),
                },
                Some(r) if !r.rule.is_empty() => Proof::Ineffective {
                    why: format!("\"{}\" in {} accepts before it", r.rule, r.place),
                    place: r.place,
                    rule: r.rule,
                },
                Some(r) if r.uncertain => Proof::Unproven {
                    why: format!("{save} shows a rule that is not understood"),
                },
                Some(_) => Proof::Ineffective {
                    why: format!("no rule asks the set {set}: somebody took ours out"),
                    place: String::new(),
                    rule: String::new(),
                },
            });
        }
        Ok(out)
    }
}
