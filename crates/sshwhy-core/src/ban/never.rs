//! Who is never banned, and why: asked before a ban is decided, and again by whoever applies it.

use crate::addr::{Cidr, canonical};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Why somebody is never banned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The operator said so.
    Listed,
    /// It is one of this machine's own addresses.
    Own,
    Gateway,
    Resolver,
    /// An administrator is logged in from there.
    LoggedIn,
    /// An administrator came from there with a key not long ago.
    KeyLogin,
    /// A monitor that we run.
    Monitor,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Listed => "it is on the allow-list",
            Why::Own => "it is an address of this machine",
            Why::Gateway => "it is a gateway of this machine",
            Why::Resolver => "it is a resolver of this machine",
            Why::LoggedIn => "an administrator is logged in from there",
            Why::KeyLogin => "an administrator came from there with a key not long ago",
            Why::Monitor => "it is a monitor of ours",
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Never {
    pub net: Cidr,
    pub why: Why,
    /// Nothing: always.
    pub until: Option<Time>,
}

/// More than this are not kept; the operator's own come first and are all kept.
const MAX_ENTRIES: usize = 4096;

/// A list of few entries, looked through as a whole.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NeverList {
    entries: Vec<Never>,
}

impl NeverList {
    /// Adds an entry, or prolongs one that is there.
    pub fn add(&mut self, never: Never) {
        if let Some(known) = self
            .entries
            .iter_mut()
            .find(|n| n.net == never.net && n.why == never.why)
        {
            known.until = match (known.until, never.until) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            };
            return;
        }
        if never.why != Why::Listed && self.entries.len() >= MAX_ENTRIES {
            return;
        }
        self.entries.push(never);
    }

    /// Puts `entries` in the place of all that stand there for the same reason.
    pub fn replace(&mut self, why: Why, entries: impl IntoIterator<Item = Cidr>) {
        self.entries.retain(|n| n.why != why);
        for net in entries {
            self.add(Never {
                net,
                why,
                until: None,
            });
        }
    }

    /// Drops what is over.
    pub fn expire(&mut self, now: Time) {
        self.entries.retain(|n| n.until.is_none_or(|u| u > now));
    }

    /// What keeps `net` from being banned: an entry that shares any address with it.
    pub fn covers(&self, net: &Cidr, now: Time) -> Option<&Never> {
        self.entries
            .iter()
            .filter(|n| n.until.is_none_or(|u| u > now))
            .find(|n| n.net.overlaps(net))
    }

    pub fn holds(&self, ip: IpAddr, now: Time) -> Option<&Never> {
        self.covers(&Cidr::one(canonical(ip)), now)
    }

    pub fn entries(&self) -> &[Never] {
        &self.entries
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn net(text: &str) -> Cidr {
        Cidr::parse(text).unwrap()
    }

    #[test]
    fn a_ban_that_touches_an_entry_is_covered_from_either_side() {
        let mut list = NeverList::default();
        list.replace(Why::Listed, [net("192.0.2.0/24"), net("2001:db8::7")]);
        let now = Time(0);
        assert!(list.covers(&net("192.0.2.9"), now).is_some());
        assert!(list.covers(&net("192.0.0.0/16"), now).is_some());
        assert!(list.covers(&net("2001:db8::/64"), now).is_some());
        assert!(
            list.holds("::ffff:192.0.2.1".parse().unwrap(), now)
                .is_some()
        );
        assert!(list.covers(&net("192.0.3.1"), now).is_none());
        assert!(list.covers(&net("2001:db8:0:1::/64"), now).is_none());
    }

    #[test]
    fn entries_end_and_are_prolonged() {
        let mut list = NeverList::default();
        let entry = |until| Never {
            net: net("192.0.2.9"),
            why: Why::KeyLogin,
            until: Some(Time(until)),
        };
        list.add(entry(10));
        list.add(entry(5));
        assert!(list.covers(&net("192.0.2.9"), Time(9)).is_some());
        assert!(list.covers(&net("192.0.2.9"), Time(10)).is_none());
        list.expire(Time(10));
        assert!(list.entries().is_empty());
    }

    #[test]
    fn the_operators_entries_are_kept_whatever_else_there_is() {
        let mut list = NeverList::default();
        for i in 0..5000u32 {
            list.add(Never {
                net: Cidr::one(std::net::Ipv4Addr::from(0x0a00_0000 + i).into()),
                why: Why::KeyLogin,
                until: None,
            });
        }
        assert_eq!(list.entries().len(), MAX_ENTRIES);
        list.replace(Why::Listed, [net("192.0.2.0/24")]);
        assert!(list.covers(&net("192.0.2.9"), Time(0)).is_some());
    }
}
