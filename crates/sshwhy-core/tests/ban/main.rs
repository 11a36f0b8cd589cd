//! Whom a log gets banned, line by line, through the same parser and joining as everywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile;
mod policy;
mod restart;

use sshwhy_core::addr::Cidr;
use sshwhy_core::ban::{Action, Ban, Decider, Decision, Policy, Watch};
use sshwhy_core::line::Years;
use sshwhy_core::scan::{Scanned, Scanner};
use sshwhy_core::time::{Time, Zone};

pub struct World {
    pub watch: Watch,
    pub decider: Decider,
    pub decisions: Vec<Decision>,
    scanner: Scanner,
    scanned: Scanned,
    pid: u32,
}

impl Default for World {
    fn default() -> World {
        World::with(Policy::default())
    }
}

/// 2026-03-28T16:00:00Z
pub const START: i64 = 1_774_713_600;

impl World {
    pub fn with(policy: Policy) -> World {
        World {
            watch: Watch::default(),
            decider: Decider::new(policy),
            decisions: Vec::new(),
            scanner: Scanner::default(),
            scanned: Scanned::default(),
            pid: 1000,
        }
    }

    /// Takes in lines as they stand.
    pub fn log(&mut self, text: &[u8]) {
        self.scanner
            .scan(text, Years::starting(2026), &Zone::utc(), &mut self.scanned);
        let (decider, decisions) = (&mut self.decider, &mut self.decisions);
        self.watch
            .block(text, &self.scanned, &mut |o| decider.offence(o, decisions));
    }

    /// One line of a connection's process.
    pub fn say(&mut self, second: i64, pid: u32, message: &str) {
        let at = Time::from_secs(START + second);
        self.log(format!("{at} web1 sshd[{pid}]: {message}\n").as_bytes());
    }

    /// A connection of its own with one wrong password.
    pub fn fail(&mut self, second: i64, ip: &str, user: &str) {
        self.pid += 1;
        let pid = self.pid;
        self.say(
            second,
            pid,
            &format!(
                "Failed password for {user} from {ip} port {} ssh2",
                pid % 60_000 + 1024
            ),
        );
    }

    pub fn fail_invalid(&mut self, second: i64, ip: &str, user: &str) {
        self.pid += 1;
        let (pid, port) = (self.pid, self.pid % 60_000 + 1024);
        self.say(
            second,
            pid,
            &format!("Invalid user {user} from {ip} port {port}"),
        );
        self.say(
            second,
            pid,
            &format!("Failed password for invalid user {user} from {ip} port {port} ssh2"),
        );
    }

    pub fn accept(&mut self, second: i64, ip: &str, user: &str, method: &str) {
        self.pid += 1;
        let pid = self.pid;
        let key = match method {
            "publickey" => ": ED25519 SHA256:0123456789012345678901234567890123456789012",
            _ => "",
        };
        self.say(
            second,
            pid,
            &format!(
                "Accepted {method} for {user} from {ip} port {} ssh2{key}",
                pid % 60_000 + 1024
            ),
        );
    }

    pub fn bans(&self) -> Vec<&Ban> {
        self.decisions
            .iter()
            .filter_map(|d| match d {
                Decision::Act(Action::Ban(b)) => Some(b),
                _ => None,
            })
            .collect()
    }

    pub fn nets(&self) -> Vec<String> {
        self.bans().iter().map(|b| b.net.to_string()).collect()
    }

    pub fn spared(&self) -> usize {
        self.decisions
            .iter()
            .filter(|d| matches!(d, Decision::Spared { .. }))
            .count()
    }
}

pub fn net(text: &str) -> Cidr {
    Cidr::parse(text).unwrap()
}
