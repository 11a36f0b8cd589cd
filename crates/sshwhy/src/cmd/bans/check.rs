//! The proof: live rules, evaluated for a packet from a banned address.

use super::Desk;
use crate::cli::BansCheck;
use crate::exit::Exit;
use crate::host::machine::Machine;
use crate::sink::firewall::Proof;
use serde_json::{Value, json as object};
use sshwhy_core::addr::Cidr;
use sshwhy_core::finding::Finding;
use sshwhy_core::render::escape::terminal;
use sshwhy_core::server::{Fate, Leg, Packet, Ruling, iptables, nft};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

/// Of each kind of network so many are proven, where all are asked for: they share their rule.
const SAMPLE: usize = 5;

pub fn words(proof: &Proof) -> String {
    match proof {
        Proof::Effective { place, rule } => format!("proven by \"{rule}\" in {place}"),
        Proof::Ineffective { why, .. } => format!("SET BUT NOT EFFECTIVE: {why}"),
        Proof::Unproven { why } => format!("not proven: {why}"),
    }
}

pub fn json(proof: &Proof) -> Value {
    match proof {
        Proof::Effective { place, rule } => {
            object!({"effective": true, "place": place, "rule": rule})
        }
        Proof::Ineffective { why, place, rule } => {
            object!({"effective": false, "why": why, "place": place, "rule": rule})
        }
        Proof::Unproven { why } => object!({"effective": null, "why": why}),
    }
}

/// Which rule that is not ours keeps the address out.
pub fn others(machine: &Machine, from: IpAddr, port: u16) -> Option<String> {
    let packet = Packet {
        from,
        to: None,
        port,
        interface: None,
        leg: Leg::Opens,
    };
    let told =
        |r: Ruling| (r.fate != Fate::Passes).then(|| format!("\"{}\" in {}", r.rule, r.place));
    if let Some(a) = machine
        .ask("nft", "nft", &["-j", "list", "ruleset"])
        .filter(|a| a.ok)
        && let Ok(mut all) = serde_json::from_str::<Value>(&a.out)
    {
        if let Some(items) = all.get_mut("nftables").and_then(Value::as_array_mut) {
            let ours = |item: &Value| {
                item.as_object()
                    .and_then(|o| o.values().next())
                    .and_then(|v| v.get("table").or_else(|| v.get("name")))
                    .and_then(Value::as_str)
                    == Some("sshwhy")
            };
            items.retain(|i| !ours(i));
        }
        if let Some(told) = told(nft::Ruleset::new(&all).evaluate(&packet)) {
            return Some(told);
        }
    }
    let save = if from.is_ipv6() {
        "ip6tables-save"
    } else {
        "iptables-save"
    };
    let a = machine.ask(save, save, &[]).filter(|a| a.ok)?;
    let sets = machine
        .ask("ipset", "ipset", &["save"])
        .map(|a| iptables::ipsets(&a.out))
        .unwrap_or_default();
    let text: Vec<&str> = a
        .out
        .lines()
        .filter(|l| !l.contains("sshwhy-ban"))
        .collect();
    iptables::evaluate(&text.join("\n"), &packet, &sets).and_then(told)
}

impl Desk {
    /// One proof a network, and a finding for each that is not effective.
    pub(super) fn prove(&mut self, nets: &[Cidr]) -> Result<(Vec<Proof>, Vec<Finding>), String> {
        let ports = match self.scope.ports.as_slice() {
            [] => vec![22],
            some => some.to_vec(),
        };
        let mut packets = Vec::new();
        for net in nets {
            packets.extend(ports.iter().map(|port| Packet {
                from: net.ip,
                to: None,
                port: *port,
                interface: None,
                leg: Leg::Opens,
            }));
        }
        let all = match self.firewall.prove(&packets) {
            Ok(all) => all,
            Err(e) => vec![Proof::Unproven { why: e.to_string() }; packets.len()],
        };
        let mut proofs = Vec::new();
        let mut findings = Vec::new();
        for (net, of_net) in nets.iter().zip(all.chunks(ports.len())) {
            // The worst port counts.
            let worst = of_net.iter().max_by_key(|p| match p {
                Proof::Effective { .. } => 0,
                Proof::Unproven { .. } => 1,
                Proof::Ineffective { .. } => 2,
            });
            let Some(proof) = worst else { continue };
            let found = match proof {
                Proof::Effective { .. } => None,
                // Nothing is meant to happen, and that is said.
                _ if self.is_rehearsal() => None,
                Proof::Ineffective { why, .. } => {
                    let f = self.finding(
                        "ban-not-effective",
                        Some(*net),
                        format!("The ban of {net} is set but not effective: {why}"),
                    );
                    f.map(|f| (f, why))
                }
                Proof::Unproven { why } => {
                    let f = self.finding(
                        "ban-unproven",
                        Some(*net),
                        format!("Nobody can say whether the ban of {net} works: {why}"),
                    );
                    f.map(|f| (f, why))
                }
            };
            if let Some((mut f, why)) = found {
                f.evidence.push(self.evidence(
                    &format!("live rules ({})", self.firewall.name()),
                    why.clone(),
                ));
                findings.push(f);
            }
            proofs.push(proof.clone());
        }
        Ok((proofs, findings))
    }

    pub(super) fn check(&mut self, a: &BansCheck) -> Result<Exit, String> {
        let mut findings = Vec::new();
        let mut text = String::new();
        let nets = if a.addrs.is_empty() {
            let held = self.firewall.list();
            match &held {
                Ok(held) => findings.extend(self.compare(held, true)?),
                Err(e) => self.notes.push(format!(
                    "the firewall could not be asked whom it holds: {e}"
                )),
            }
            let mut kinds: BTreeMap<(bool, u8), Vec<Cidr>> = BTreeMap::new();
            self.ledger.each(self.now, |b| {
                let kind = kinds.entry((b.net.ip.is_ipv6(), b.net.len)).or_default();
                if kind.len() < SAMPLE {
                    kind.push(b.net);
                }
            })?;
            kinds.into_values().flatten().collect()
        } else {
            super::nets(&a.addrs)?
        };
        // Of whom nobody banned there is nothing to prove; what keeps him out all the same is said.
        let mut free = Vec::new();
        for net in &nets {
            let held = !self.ledger.covering(net.ip, self.now)?.is_empty();
            if !held && self.ledger.within(*net, self.now)?.is_empty() {
                free.push(*net);
            }
        }
        let (proofs, mut found) = self.prove(&nets)?;
        found.retain(|f| {
            !free
                .iter()
                .any(|n| f.subjects.addrs.contains(&n.to_string()))
        });
        findings.extend(found);
        findings.sort_by(Finding::order);
        for (net, proof) in nets.iter().zip(&proofs) {
            let kept_out = matches!(proof, Proof::Effective { .. });
            let _ = match free.contains(net) {
                true if kept_out => writeln!(
                    text,
                    "{net} is not banned in {}, and is kept out: {}",
                    self.state.display(),
                    terminal(&words(proof))
                ),
                true => writeln!(text, "{net} is not banned: see sshwhy bans why {}", net.ip),
                false => writeln!(text, "{net}: {}", terminal(&words(proof))),
            };
        }
        let total = self.ledger.count(self.now)?;
        if a.addrs.is_empty() {
            let _ = writeln!(
                text,
                "{total} bans were looked for in the firewall ({}), {} of them evaluated against its live rules.",
                self.firewall.name(),
                nets.len()
            );
        }
        let rows: Vec<Value> = nets
            .iter()
            .zip(&proofs)
            .map(|(n, p)| object!({"net": n.to_string(), "banned": !free.contains(n), "proof": json(p)}))
            .collect();
        self.show(text, object!({"proofs": rows, "total": total}), &findings)?;
        Ok(Exit::of(&findings, false))
    }
}
