//! What this machine's packet filters do with the client's packets, and where a translation sends them before.

use super::machine::Machine;
use super::{Scene, daemon};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::server::{Fate, Leg, Packet, Ruling, Translation, iptables, nft};

const NFT: (&str, &str, &[&str]) = ("nft", "nft", &["-j", "list", "ruleset"]);

/// Starts what takes long on a host with many rules.
pub(super) fn begin(machine: &Machine) {
    let (name, program, args) = NFT;
    machine.begin(name, program, args);
}

/// The packet filters of this machine, as far as they can be read.
#[derive(Default)]
struct Filters {
    nft: Option<serde_json::Value>,
    /// What iptables-save and its like say, with the program's name.
    tables: Vec<(&'static str, String)>,
    sets: iptables::Sets,
}

impl Filters {
    fn read(scene: &mut Scene<'_>, v6: bool) -> Filters {
        let machine = scene.machine;
        let mut filters = Filters::default();
        match machine.ask(NFT.0, NFT.1, NFT.2) {
            Some(a) if a.ok => filters.nft = serde_json::from_str(&a.out).ok(),
            Some(a) if a.err.contains("ermitted") || a.err.contains("ermission") => {
                let text = "the packet filter can be read by root only";
                scene.seen.blind.push(text.to_owned());
            }
            _ => {}
        }
        let (programs, names) = if v6 {
            (
                ["ip6tables-save", "ip6tables-legacy-save"],
                "/proc/net/ip6_tables_names",
            )
        } else {
            (
                ["iptables-save", "iptables-legacy-save"],
                "/proc/net/ip_tables_names",
            )
        };
        let legacy = machine.text(names).is_ok_and(|t| !t.trim().is_empty());
        for program in programs {
            // Asking the legacy tool loads its modules: only where its tables are there already.
            if program.contains("legacy") && !legacy && machine.is_live() {
                continue;
            }
            if let Some(a) = machine.ask(program, program, &[]).filter(|a| a.ok) {
                filters.tables.push((program, a.out));
            }
        }
        let sets = machine.ask("ipset", "ipset", &["save"]);
        filters.sets = sets.map(|a| iptables::ipsets(&a.out)).unwrap_or_default();
        // Which queues a program reads: a number in front of each line. Without the file nothing is known.
        if let Ok(text) = machine.text("/proc/net/netfilter/nfnetlink_queue") {
            let read = text.lines();
            let read = read.filter_map(|l| l.split_ascii_whitespace().next());
            let read = read.map(str::to_owned).collect();
            filters.sets.insert(iptables::QUEUES.to_owned(), read);
        }
        // Lists of the match `recent`: `src=192.0.2.7 ttl: …` a line.
        for list in machine.names(RECENT) {
            let text = machine.text(&format!("{RECENT}/{list}"));
            let text = text.unwrap_or_default();
            let members = text.lines().filter_map(|l| {
                let (address, _) = l.strip_prefix("src=")?.split_once(' ')?;
                Some(address.to_owned())
            });
            let members = members.collect();
            filters.sets.insert(iptables::recent(&list), members);
        }
        filters
    }

    /// Where the client's first packet is sent instead, before any filter sees it.
    fn translated(&self, packet: &Packet) -> Option<(Translation, &'static str)> {
        let nft = self.nft.as_ref().and_then(|json| {
            let found = nft::Ruleset::new(json).translated(packet)?;
            Some((found, "nft list ruleset"))
        });
        nft.or_else(|| {
            self.tables.iter().find_map(|(program, text)| {
                Some((iptables::translated(text, packet, &self.sets)?, *program))
            })
        })
    }

    /// What each filter does with each of the packets.
    fn rulings(&self, legs: &[&Packet]) -> Vec<(Leg, Ruling, &'static str)> {
        let mut rulings = Vec::new();
        if let Some(json) = &self.nft {
            let read = self.sets.get(iptables::QUEUES).map(Vec::as_slice);
            let set = nft::Ruleset::new(json).read_queues(read);
            for packet in legs {
                rulings.push((packet.leg, set.evaluate(packet), "nft list ruleset"));
            }
        }
        for (program, text) in &self.tables {
            for packet in legs {
                if let Some(r) = iptables::evaluate(text, packet, &self.sets) {
                    rulings.push((packet.leg, r, *program));
                }
            }
        }
        rulings
    }
}

const RECENT: &str = "/proc/net/xt_recent";

/// The client's packet goes to another port or address than the one that it called. Where nobody of this machine gets it, that is
/// said, and `false` returned; else the filters are asked about the new port.
fn redirected(scene: &mut Scene<'_>, to: &Translation, source: &str) -> bool {
    let own = daemon::own_addresses(scene.machine);
    let port = to.port.unwrap_or(scene.port);
    let away = to.addr.filter(|a| !own.contains(a) && !a.is_loopback());
    let (value, about, what) = if let Some(addr) = away {
        let text = format!("to {addr}, which is another machine or a container");
        ("machine", addr.to_string(), text)
    } else {
        let holder = scene.listeners.iter().find(|l| l.port == port);
        let process = holder.and_then(|l| scene.processes.iter().find(|p| Some(p.pid) == l.pid));
        match (holder, process) {
            (None, _) => (
                "closed",
                port.to_string(),
                format!("to port {port}, where nobody listens"),
            ),
            (Some(_), Some(p)) if !p.is_sshd() && p.pid != 1 => (
                "program",
                port.to_string(),
                format!("to port {port}, which {} has (process {})", p.title, p.pid),
            ),
            _ => (
                "sshd",
                port.to_string(),
                format!("to port {port}, where sshd listens"),
            ),
        }
    };
    let text = format!(
        "what comes for port {} is sent {what}: {}: {}",
        scene.port, to.place, to.rule
    );
    scene.say(Gate::Tcp, "fw.redirect", value, about, text, source);
    value == "sshd"
}

/// What the filters do with the client's packets, after the translation that comes before them.
pub(super) fn look(scene: &mut Scene<'_>, packet: &Packet) {
    let machine = scene.machine;
    let filters = Filters::read(scene, packet.from.is_ipv6());
    let mut packet = packet.clone();
    if let Some((to, source)) = filters.translated(&packet) {
        if !redirected(scene, &to, source) {
            return;
        }
        packet.port = to.port.unwrap_or(packet.port);
    }
    let packet = &packet;
    // What comes in must be answered: the answer has chains of its own to pass.
    let answer = Packet {
        leg: Leg::Answers,
        ..packet.clone()
    };
    // A rule for new connections alone lets the first packet in and nothing after it.
    let next = Packet {
        leg: Leg::Follows,
        ..packet.clone()
    };
    let mut rulings = filters.rulings(&[packet, &answer, &next]);
    let read = !rulings.is_empty();
    if machine.is_running() && !read {
        scene
            .seen
            .blind
            .push("no packet filter could be read (nft, iptables-save)".to_owned());
    }
    rulings.sort_by_key(|(leg, ..)| *leg == Leg::Follows);
    let stops = rulings.iter().find(|(_, r, _)| r.fate != Fate::Passes);
    let Some((leg, r, source)) = stops.cloned() else {
        if read {
            scene.say(
                Gate::Tcp,
                "fw.rule",
                "passes",
                packet.port.to_string(),
                format!(
                    "the packet filter lets {} reach port {}",
                    packet.from, packet.port
                ),
                "packet filter",
            );
        }
        return;
    };
    if leg == Leg::Follows {
        // A doubt weighs more here: the usual rule for what is established may be the one that cannot be read.
        if !r.uncertain && !r.limited {
            let drops = r.fate == Fate::Drops;
            scene.say(
                Gate::Ident,
                "fw.follows",
                if drops { "drops" } else { "rejects" },
                r.place.clone(),
                format!(
                    "the first packet of a connection gets in, what follows it does not: {}: {}",
                    r.place, r.rule
                ),
                source,
            );
        }
        return;
    }
    let key = match (r.names_client, r.limited) {
        (true, _) => "fw.ban",
        (_, true) => "fw.limit",
        _ => "fw.rule",
    };
    // A rule that cannot be read may let the client in before.
    let value = match (r.fate, r.uncertain && key == "fw.rule") {
        (Fate::Drops, false) => "drops",
        (Fate::Drops, true) => "may-drop",
        (_, false) => "rejects",
        (_, true) => "may-reject",
    };
    let count = r
        .packets
        .map(|n| format!(", {n} packets so far"))
        .unwrap_or_default();
    let doubt = if r.uncertain {
        "; some rule before it could not be read"
    } else {
        ""
    };
    scene.say(
        Gate::Tcp,
        key,
        value,
        r.place.clone(),
        format!(
            "{}: {} ({}{count}{doubt})",
            r.place,
            r.rule,
            if r.fate == Fate::Drops {
                "it answers nothing"
            } else {
                "it answers with a refusal"
            }
        ),
        source,
    );
    if key == "fw.limit" {
        let ip = packet.from.to_string();
        let counted = machine.names(RECENT).iter().any(|n| {
            machine
                .text(&format!("{RECENT}/{n}"))
                .is_ok_and(|t| t.contains(&format!("src={ip} ")))
        });
        if counted || r.packets.is_some_and(|n| n > 0) {
            scene.say(
                Gate::Tcp,
                "fw.limit-reached",
                "yes",
                r.place.clone(),
                format!("the limit has already refused packets{count}"),
                source,
            );
        }
    }
}
