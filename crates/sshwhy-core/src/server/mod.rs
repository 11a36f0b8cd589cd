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

/// The packet that opens a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    pub from: IpAddr,
    /// Our address, where it is known.
    pub to: Option<IpAddr>,
    pub port: u16,
    /// The interface it comes in by, where it is known.
    pub interface: Option<String>,
    /// It is our answer on its way out (SYN and ACK) that is asked about; `from` stays the client.
    pub reply: bool,
}

impl Packet {
    /// Where the packet itself comes from, and where it goes.
    fn ends(&self) -> (Option<IpAddr>, Option<IpAddr>) {
        match self.reply {
            true => (self.to, Some(self.from)),
            false => (Some(self.from), self.to),
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
    /// The rule is about the client's very address: a ban.
    pub names_client: bool,
    /// The rule counts connections: it is a limit, and may let the next one pass.
    pub limited: bool,
    /// Packets that the rule has counted, where it counts.
    pub packets: Option<u64>,
    /// Some rule before it could not be read: the answer may be wrong.
    pub uncertain: bool,
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
