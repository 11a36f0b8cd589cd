//! The firewall: what was decided is checked once more, done in one transaction, compared and proven.
//!
//! ```text
//! Action → check (address, width, never-list) → Order → Backend
//! ```
//!
//! A [`Backend`] knows one firewall's own tool. It is handed addresses and seconds, never text from a log, so no reason, user
//! name or host name can become an argument of a command. Whether a ban works is read from the live rules ([`Backend::prove`]),
//! not from the exit status of the tool that set it.

mod changes;
mod command;
mod firewalld;
mod hosts_deny;
mod iptables;
mod nftables;
mod null;
mod run;
#[cfg(test)]
mod testing;
mod ufw;

pub use changes::Changes;
pub use command::Template;
pub use run::{Runner, Trouble};

use sshwhy_core::addr::{Cidr, canonical, network};
use sshwhy_core::ban::{Action, NeverList, Origin};
use sshwhy_core::server::Packet;
use sshwhy_core::time::{SECOND, Time};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Orders of one transaction. A larger load goes in several, so that the firewall's own tool stays small (nft takes 1.1 GiB
/// for a million in one, 60 MiB for these).
pub const BATCH: usize = 50_000;

/// What a backend does for one network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Keep it out for so many seconds; for good without.
    Ban(Cidr, Option<u64>),
    Unban(Cidr),
}

impl Order {
    pub fn net(&self) -> Cidr {
        match self {
            Order::Ban(net, _) | Order::Unban(net) => *net,
        }
    }
}

/// What the live firewall holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    pub net: Cidr,
    /// Seconds left; nothing: for good, or the backend does not know.
    pub left: Option<u64>,
}

/// What the live rules do with a packet from a banned address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// It is kept out, by that rule.
    Effective {
        place: String,
        rule: String,
    },
    /// It gets in.
    Ineffective {
        why: String,
        place: String,
        /// The rule that lets it in first, where one does.
        rule: String,
    },
    Unproven {
        why: String,
    },
}

/// What is kept from banned addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    /// Ports of this machine, and of containers on it. Without any: everything, which also covers whatever is published
    /// later.
    pub ports: Vec<u16>,
}

/// One firewall. Every call may be repeated without harm.
pub trait Backend {
    fn name(&self) -> &'static str;

    /// Makes what is missing, sets and rules; `rebuild`: all of it anew, in front of others' rules. True where bans that stood
    /// in it are gone and have to be loaded again.
    fn ensure(&mut self, rebuild: bool) -> Result<bool, Trouble>;

    /// Cheap enough for every second: whether what [`ensure`](Backend::ensure) made is still there.
    fn stands(&mut self) -> Result<bool, Trouble>;

    /// All of them or none, as far as the firewall can. `fresh`: what it holds of them stays as it is.
    fn apply(&mut self, orders: &[Order], fresh: bool) -> Result<(), Trouble>;

    fn list(&mut self) -> Result<Vec<Held>, Trouble>;

    /// Lifts everything that this program ever set, and leaves nothing of it behind.
    fn flush(&mut self) -> Result<(), Trouble>;

    /// Evaluates the live rules for these packets.
    fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble>;

    /// Whether a ban that is there may be added again as `fresh`, at no cost.
    fn may_repeat(&self) -> bool {
        false
    }

    /// Whether bans end by themselves; otherwise somebody has to lift them when their time is over.
    fn expires(&self) -> bool {
        true
    }
}

/// An action that was not done, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    pub net: Cidr,
    pub why: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    pub banned: usize,
    pub unbanned: usize,
    pub refused: Vec<Refused>,
}

pub struct Firewall {
    backend: Box<dyn Backend>,
    ready: bool,
}

/// How a backend is chosen and set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub scope: Scope,
    pub ban: Option<Template>,
    pub unban: Option<Template>,
    /// Another file than /etc/hosts.deny, with hosts.allow beside it.
    pub hosts_deny: Option<PathBuf>,
    pub runner: Runner,
}

/// Names that may be given for a backend.
pub const NAMES: [&str; 8] = [
    "auto",
    "nftables",
    "ipset",
    "firewalld",
    "ufw",
    "hosts.deny",
    "command",
    "null",
];

impl Firewall {
    /// `auto` takes nftables wherever there is nft, also beside firewalld, ufw and Docker: a drop in a table of our own is final,
    /// whatever their rules accept.
    pub fn open(name: &str, setup: Setup) -> Result<Firewall, String> {
        let Setup {
            scope,
            ban,
            unban,
            hosts_deny,
            runner,
        } = setup;
        let name = match name {
            "auto" if runner.find("nft").is_some() => "nftables",
            "auto" if runner.find("ipset").is_some() && runner.find("iptables").is_some() => {
                "ipset"
            }
            "auto" => {
                return Err("no firewall was found: neither nft nor ipset with iptables is installed (apt install nftables), \
                            and nothing else was chosen with --firewall"
                    .to_owned());
            }
            name => name,
        };
        let backend: Box<dyn Backend> = match name {
            "nftables" => Box::new(nftables::Nftables::new(scope, runner)),
            "ipset" => Box::new(iptables::Ipset::new(scope, runner)),
            "firewalld" => Box::new(firewalld::Firewalld::new(runner)),
            "ufw" => Box::new(ufw::Ufw::new(runner)),
            "hosts.deny" => Box::new(hosts_deny::HostsDeny::new(hosts_deny)),
            "command" => match ban {
                Some(ban) => Box::new(command::CommandTemplate::new(ban, unban, runner)),
                None => {
                    return Err(
                        "firewall \"command\" needs the command that bans: --ban-command"
                            .to_owned(),
                    );
                }
            },
            "null" => Box::new(null::Null::default()),
            other => {
                return Err(format!(
                    "no firewall is called {other:?}: give {}",
                    NAMES.join(", ")
                ));
            }
        };
        Ok(Firewall {
            backend,
            ready: false,
        })
    }

    pub fn name(&self) -> &'static str {
        self.backend.name()
    }

    pub fn expires(&self) -> bool {
        self.backend.expires()
    }

    /// Does what was decided, after a check of its own. One refused does not hold up the others; where the firewall itself
    /// fails, nothing of that transaction is done.
    pub fn apply(
        &mut self,
        actions: &[Action],
        never: &NeverList,
        now: Time,
    ) -> Result<Applied, Trouble> {
        let mut out = Applied::default();
        let mut orders: Vec<Order> = Vec::with_capacity(actions.len());
        // The last word about a network counts.
        let mut at: HashMap<(IpAddr, u8), usize> = HashMap::with_capacity(actions.len());
        for action in actions {
            match check(action, never, now) {
                Err(why) => out.refused.push(Refused {
                    net: action.net(),
                    why,
                }),
                Ok(order) => {
                    let net = order.net();
                    match at.get(&(net.ip, net.len)).and_then(|i| orders.get_mut(*i)) {
                        Some(earlier) => *earlier = order,
                        None => {
                            at.insert((net.ip, net.len), orders.len());
                            orders.push(order);
                        }
                    }
                }
            }
        }
        if orders.is_empty() {
            return Ok(out);
        }
        self.ready()?;
        for batch in orders.chunks(BATCH) {
            self.backend.apply(batch, false)?;
        }
        out.unbanned = orders
            .iter()
            .filter(|o| matches!(o, Order::Unban(_)))
            .count();
        out.banned = orders.len() - out.unbanned;
        Ok(out)
    }

    fn ready(&mut self) -> Result<(), Trouble> {
        if !self.ready {
            self.backend.ensure(false)?;
            self.ready = true;
        }
        Ok(())
    }

    /// Makes the firewall hold what the state says: after a start, a reboot, a flush. `bans` gives network and end, and is asked
    /// again only for what is missing. Returns how many had to be put back.
    pub fn restore(
        &mut self,
        bans: impl Iterator<Item = Action>,
        never: &NeverList,
        now: Time,
        rebuild: bool,
    ) -> Result<Applied, Trouble> {
        let empty = self.backend.ensure(rebuild)?;
        self.ready = true;
        let mut held: HashMap<(IpAddr, u8), ()> = HashMap::new();
        if !empty {
            held.extend(
                self.backend
                    .list()?
                    .iter()
                    .map(|h| ((h.net.ip, h.net.len), ())),
            );
        }
        let mut out = Applied::default();
        let mut batch = Vec::new();
        for action in bans {
            match check(&action, never, now) {
                Err(why) => out.refused.push(Refused {
                    net: action.net(),
                    why,
                }),
                Ok(Order::Unban(_)) => {}
                Ok(order) => {
                    let net = order.net();
                    if held.contains_key(&(net.ip, net.len)) {
                        continue;
                    }
                    batch.push(order);
                    out.banned += 1;
                    if batch.len() == BATCH {
                        self.backend.apply(&batch, true)?;
                        batch.clear();
                    }
                }
            }
        }
        if !batch.is_empty() {
            self.backend.apply(&batch, true)?;
        }
        Ok(out)
    }

    /// The same in pieces, of which the `first` makes what is missing: nothing is listed where the firewall does not mind to be told
    /// what it holds, because a list of a million is larger than all else.
    pub fn refill(
        &mut self,
        bans: &[Action],
        never: &NeverList,
        now: Time,
        first: bool,
    ) -> Result<Applied, Trouble> {
        if !self.backend.may_repeat() {
            return self.restore(bans.iter().cloned(), never, now, false);
        }
        if first || !self.ready {
            self.backend.ensure(false)?;
            self.ready = true;
        }
        let mut out = Applied::default();
        let mut orders = Vec::with_capacity(bans.len());
        for action in bans {
            match check(action, never, now) {
                Ok(order) => orders.push(order),
                Err(why) => out.refused.push(Refused {
                    net: action.net(),
                    why,
                }),
            }
        }
        orders.retain(|o| matches!(o, Order::Ban(..)));
        for batch in orders.chunks(BATCH) {
            self.backend.apply(batch, true)?;
        }
        out.banned = orders.len();
        Ok(out)
    }

    /// Whether our rules are still there. Cheap.
    pub fn stands(&mut self) -> Result<bool, Trouble> {
        self.backend.stands()
    }

    pub fn list(&mut self) -> Result<Vec<Held>, Trouble> {
        self.backend.list()
    }

    pub fn flush(&mut self) -> Result<(), Trouble> {
        self.ready = false;
        self.backend.flush()
    }

    pub fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble> {
        self.backend.prove(packets)
    }
}

/// The privileged side's own look at an action: it trusts nobody who decided.
pub fn check(action: &Action, never: &NeverList, now: Time) -> Result<Order, String> {
    let net = action.net();
    let most = if net.ip.is_ipv4() { 32 } else { 128 };
    if net.len > most || network(net.ip, net.len) != net.ip {
        return Err(format!("{}/{} is no network", net.ip, net.len));
    }
    if canonical(net.ip) != net.ip {
        return Err(format!("{net} is an IPv4 address written as IPv6"));
    }
    let ban = match action {
        Action::Unban { .. } => return Ok(Order::Unban(net)),
        Action::Ban(ban) => ban,
    };
    if net.ip.is_unspecified() || net.ip.is_loopback() || net.ip.is_multicast() {
        return Err(format!("{net} is nobody who could attack"));
    }
    // Machines ban what misbehaved and its neighbours, people whole providers; nobody half of the Internet.
    let widest = match (ban.origin, net.ip.is_ipv4()) {
        (Origin::Operator, true) => 8,
        (Origin::Operator, false) => 16,
        (_, true) => 16,
        (_, false) => 32,
    };
    if net.len < widest {
        return Err(format!("{net} is too wide: at least /{widest}"));
    }
    if let Some(n) = never.covers(&net, now) {
        return Err(format!("{net} is never banned: {} ({})", n.why, n.net));
    }
    let left = match ban.until {
        None => None,
        Some(until) => {
            let left = until.0.saturating_sub(now.0);
            if left <= 0 {
                return Ok(Order::Unban(net));
            }
            // A ban does not end early.
            Some(u64::try_from((left + SECOND - 1) / SECOND).unwrap_or(1))
        }
    };
    Ok(Order::Ban(net, left))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::testing::{ban, net};
    use super::*;
    use sshwhy_core::ban::{Never, Why};

    fn never(text: &str) -> NeverList {
        let mut list = NeverList::default();
        list.add(Never {
            net: net(text),
            why: Why::LoggedIn,
            until: None,
        });
        list
    }

    #[test]
    fn what_may_not_be_banned_is_refused_with_a_reason() {
        let now = Time::from_secs(1000);
        let none = NeverList::default();
        let refused = |text: &str, list: &NeverList| {
            let Action::Ban(mut b) = ban(text, Some(60), now) else {
                panic!()
            };
            b.origin = Origin::Detector;
            check(&Action::Ban(b), list, now)
        };
        assert_eq!(
            refused("192.0.2.7", &none),
            Ok(Order::Ban(net("192.0.2.7"), Some(60)))
        );
        for (text, list, part) in [
            ("127.0.0.1", &none, "nobody"),
            ("0.0.0.0", &none, "nobody"),
            ("224.0.0.1", &none, "nobody"),
            ("::1", &none, "nobody"),
            ("10.0.0.0/8", &none, "too wide"),
            ("2001::/16", &none, "too wide"),
            ("192.0.2.7", &never("192.0.2.0/24"), "logged in"),
            ("192.0.2.0/24", &never("192.0.2.7"), "logged in"),
            ("2001:db8::/64", &never("2001:db8::9"), "logged in"),
        ] {
            let why = refused(text, list).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
        // What only a broken or hostile sender writes.
        for (ip, len) in [
            ("192.0.2.7", 33),
            ("192.0.2.7", 24),
            ("::ffff:192.0.2.7", 128),
        ] {
            let Action::Ban(mut b) = ban("192.0.2.7", None, now) else {
                panic!()
            };
            b.net = Cidr {
                ip: ip.parse().unwrap(),
                len,
            };
            assert!(check(&Action::Ban(b), &none, now).is_err(), "{ip}/{len}");
        }
    }

    #[test]
    fn a_ban_that_is_over_is_lifted_and_one_that_is_not_never_ends_early() {
        let none = NeverList::default();
        let action = ban("192.0.2.7", Some(60), Time(0));
        assert_eq!(
            check(&action, &none, Time(1)),
            Ok(Order::Ban(net("192.0.2.7"), Some(60)))
        );
        assert_eq!(
            check(&action, &none, Time::from_secs(60)),
            Ok(Order::Unban(net("192.0.2.7")))
        );
        let lift = Action::Unban {
            net: net("192.0.2.7"),
            reason: String::new(),
        };
        assert!(check(&lift, &never("192.0.2.7"), Time(0)).is_ok());
    }

    #[test]
    fn the_last_word_about_a_network_counts_and_one_refused_holds_up_nobody() {
        let mut fw = Firewall::open("null", Setup::default()).unwrap();
        let now = Time::from_secs(5);
        let lift = Action::Unban {
            net: net("192.0.2.7"),
            reason: String::new(),
        };
        let actions = [
            ban("192.0.2.7", None, now),
            ban("192.0.2.8", None, now),
            lift,
            ban("127.0.0.1", None, now),
        ];
        let done = fw.apply(&actions, &NeverList::default(), now).unwrap();
        assert_eq!((done.banned, done.unbanned, done.refused.len()), (1, 1, 1));
        let held = fw.list().unwrap();
        assert_eq!(held.len(), 1);
        assert_eq!(held.first().map(|h| h.net), Some(net("192.0.2.8")));
    }

    #[test]
    fn a_missing_firewall_is_named() {
        let setup = || Setup {
            runner: Runner::of(std::path::Path::new("/nonexistent")),
            ..Setup::default()
        };
        let why = Firewall::open("auto", setup()).err().unwrap();
        assert!(why.contains("nft"), "{why}");
        let why = Firewall::open("pf", setup()).err().unwrap();
        assert!(why.contains("nftables"), "{why}");
        let mut fw = Firewall::open("nftables", setup()).unwrap();
        let now = Time(0);
        let e = fw
            .apply(&[ban("192.0.2.7", None, now)], &NeverList::default(), now)
            .unwrap_err();
        assert!(e.to_string().contains("no program nft"), "{e}");
    }
}
