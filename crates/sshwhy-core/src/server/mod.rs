//! What the files and rule sets of a server do to one login: packet filters, TCP wrappers, PAM, modes and owners, start-up
//! files of the shell.
//!
//! Pure readers and evaluators of what `host/` in the program gathers; each says what decides, in the words of the file.

pub mod iptables;
pub mod lift;
pub mod modes;
pub mod nft;
pub mod pam;
mod shell;
pub mod startup;
pub mod wrappers;

use std::net::IpAddr;

/// Which packet of a connection it is, and on which of the two machines it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leg {
    /// On the server: the packet that opens the connection comes in (SYN).
    Opens,
    /// On the server: the answer goes out (SYN and ACK).
    Answers,
    /// On the server: what the client sends from then on comes in.
    Follows,
    /// On the client: the packet that opens the connection goes out.
    Leaves,
    /// On the client: the answer comes in.
    Returns,
}

/// A packet of a connection from a client to a server's port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The client, whichever way the packet goes; unspecified where its address is not known.
    pub from: IpAddr,
    /// The server's address, where it is known.
    pub to: Option<IpAddr>,
    pub port: u16,
    /// The interface it comes in or goes out by, where it is known.
    pub interface: Option<String>,
    pub leg: Leg,
}

impl Packet {
    /// Whether it goes from the server to the client.
    fn is_answer(&self) -> bool {
        matches!(self.leg, Leg::Answers | Leg::Returns)
    }

    /// Whether it leaves the machine that filters it.
    fn goes_out(&self) -> bool {
        matches!(self.leg, Leg::Answers | Leg::Leaves)
    }

    /// Whether it is the first of its connection.
    fn is_first(&self) -> bool {
        matches!(self.leg, Leg::Opens | Leg::Leaves)
    }

    /// Where the packet itself comes from, and where it goes.
    fn ends(&self) -> (Option<IpAddr>, Option<IpAddr>) {
        let client = Some(self.from).filter(|ip| !ip.is_unspecified());
        match self.is_answer() {
            true => (self.to, client),
            false => (client, self.to),
        }
    }
}

/// What a filter does with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Passes,
    Drops,
    Rejects,
}

/// A filter's answer, and the rule that gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruling {
    pub fate: Fate,
    /// Table and chain.
    pub place: String,
    /// The rule, or the policy, as far as it can be written in a line.
    pub rule: String,
    /// The rule is about the client's very address, or its network stands in a ban list: a ban.
    pub names_client: bool,
    /// The rule counts connections: it is a limit, and may let the next one pass.
    pub limited: bool,
    /// Packets that the rule has counted, where it counts.
    pub packets: Option<u64>,
    /// Some rule before it could not be read: the answer may be wrong.
    pub uncertain: bool,
}

/// What a packet becomes before any filter sees it (NAT, prerouting).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Translation {
    /// The new destination, where it is another than the one that was called.
    pub addr: Option<IpAddr>,
    pub port: Option<u16>,
    /// Table and chain.
    pub place: String,
    /// The rule, as far as it can be written in a line.
    pub rule: String,
}

/// `192.0.2.7`, `192.0.2.7:22`, `[2001:db8::7]:22`, `2222`, of ranges the first.
fn destination(text: &str) -> (Option<IpAddr>, Option<u16>) {
    let text = text.split('-').next().unwrap_or_default();
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return (Some(socket.ip()), Some(socket.port()));
    }
    let addr = text.trim_matches(['[', ']']).parse().ok();
    (addr, text.parse().ok())
}

/// Names that programs and people give to lists of banned addresses.
pub fn is_ban_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "f2b",
        "fail2ban",
        "sshguard",
        "crowdsec",
        "blacklist",
        "blocklist",
        "blocked",
        "denylist",
        "banned",
        "ban",
        "denyhosts",
        "attackers",
        "bad",
        "drop_list",
        "sshwhy",
    ]
    .iter()
    .any(|w| name.contains(w))
}
