//! The addresses, users and hosts of a whole run, each once, as small numbers. Bounded.
//!
//! What is forgotten first: beyond [`Limits::addrs`] distinct addresses, a new one is counted under its network (IPv4 /16,
//! IPv6 /32) and, beyond twice that, under one name for all; beyond [`Limits::users`] user names, under `(other names)`.
//! Every use of such a stand-in is counted, and the report says so.

use crate::addr::{Addr, network, parse_ip};
use crate::scan::{Scanned, user_name};
use hashbrown::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub type AddrId = u32;
pub type UserId = u32;
pub type HostId = u32;

/// How many names are kept apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub addrs: usize,
    pub users: usize,
    pub hosts: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            addrs: 400_000,
            users: 200_000,
            hosts: 10_000,
        }
    }
}

/// What stands for every address beyond all limits.
pub const OTHER_ADDRESSES: &str = "(other addresses)";

/// Longer names are cut; sshd itself cuts user names at 100 bytes before escaping.
const MAX_NAME: usize = 400;

#[derive(Debug, Default)]
pub struct Names {
    limits: Limits,
    addrs: Vec<Addr>,
    v4_ids: HashMap<Ipv4Addr, AddrId>,
    v6_ids: HashMap<Ipv6Addr, AddrId>,
    /// Host names and prefixes.
    other_ids: HashMap<Addr, AddrId>,
    users: Vec<Box<str>>,
    user_ids: HashMap<Box<str>, UserId>,
    hosts: Vec<Box<str>>,
    host_ids: HashMap<Box<[u8]>, HostId>,
    /// How many times a stand-in was used for an address.
    pub addrs_forgotten: u64,
    pub users_forgotten: u64,
    hosts_forgotten: u64,
}

impl Names {
    pub fn new(limits: Limits) -> Names {
        Names {
            limits,
            ..Names::default()
        }
    }

    /// The numbers of a block's addresses, users and hosts, in the order of its lists.
    pub fn number(&mut self, block: &[u8], scanned: &Scanned, numbers: &mut [Vec<u32>; 3]) {
        let [addrs, users, hosts] = numbers;
        addrs.clear();
        for (span, v4) in scanned.addrs.iter().zip(&scanned.v4) {
            addrs.push(match v4 {
                Some(ip) => self.ip((*ip).into()),
                None => self.addr(scanned.text(block, *span)),
            });
        }
        users.clear();
        users.extend(
            scanned
                .users
                .iter()
                .map(|s| self.user(scanned.text(block, *s))),
        );
        hosts.clear();
        hosts.extend(
            scanned
                .hosts
                .iter()
                .map(|s| self.host(scanned.text(block, *s))),
        );
    }

    /// How many times a stand-in was used for a name.
    pub fn forgotten(&self) -> u64 {
        self.addrs_forgotten + self.users_forgotten + self.hosts_forgotten
    }

    /// From the text of a log: an IP address, or a host name.
    pub fn addr(&mut self, text: &[u8]) -> AddrId {
        match parse_ip(text) {
            Some(ip) => self.ip(ip),
            None => {
                let name = String::from_utf8_lossy(
                    text.get(..MAX_NAME.min(text.len())).unwrap_or_default(),
                );
                self.other(Addr::Name(name.into()))
            }
        }
    }

    pub fn ip(&mut self, ip: IpAddr) -> AddrId {
        if let Some(id) = self.find_addr(ip) {
            return id;
        }
        if self.addrs.len() >= self.limits.addrs {
            self.addrs_forgotten += 1;
            let len = if ip.is_ipv4() { 16 } else { 32 };
            return self.other(Addr::Net(network(ip, len), len));
        }
        let id = self.addrs.len() as AddrId;
        self.addrs.push(Addr::Ip(ip));
        match ip {
            IpAddr::V4(ip) => self.v4_ids.insert(ip, id),
            IpAddr::V6(ip) => self.v6_ids.insert(ip, id),
        };
        id
    }

    fn other(&mut self, addr: Addr) -> AddrId {
        if let Some(id) = self.other_ids.get(&addr) {
            return *id;
        }
        let addr = if self.addrs.len() >= self.limits.addrs.saturating_mul(2) {
            self.addrs_forgotten += 1;
            Addr::Name(OTHER_ADDRESSES.into())
        } else {
            addr
        };
        if let Some(id) = self.other_ids.get(&addr) {
            return *id;
        }
        let id = self.addrs.len() as AddrId;
        self.addrs.push(addr.clone());
        self.other_ids.insert(addr, id);
        id
    }

    /// From the text of a log (escaped as sshd does).
    pub fn user(&mut self, logged: &[u8]) -> UserId {
        let name = user_name(logged.get(..MAX_NAME.min(logged.len())).unwrap_or_default());
        self.user_named(&name)
    }

    pub fn user_named(&mut self, name: &str) -> UserId {
        if let Some(id) = self.user_ids.get(name) {
            return *id;
        }
        let name = if self.users.len() >= self.limits.users {
            self.users_forgotten += 1;
            "(other names)"
        } else {
            name
        };
        if let Some(id) = self.user_ids.get(name) {
            return *id;
        }
        let id = self.users.len() as UserId;
        self.users.push(name.into());
        self.user_ids.insert(name.into(), id);
        id
    }

    pub fn host(&mut self, text: &[u8]) -> HostId {
        if let Some(id) = self.host_ids.get(text) {
            return *id;
        }
        if self.hosts.len() >= self.limits.hosts {
            self.hosts_forgotten += 1;
            return (self.hosts.len() - 1) as HostId;
        }
        let id = self.hosts.len() as HostId;
        self.hosts.push(
            String::from_utf8_lossy(text.get(..MAX_NAME.min(text.len())).unwrap_or_default())
                .into(),
        );
        self.host_ids.insert(text.into(), id);
        id
    }

    pub fn addr_of(&self, id: AddrId) -> Option<&Addr> {
        self.addrs.get(id as usize)
    }

    /// Empty for an unknown id.
    pub fn addr_text(&self, id: AddrId) -> String {
        self.addr_of(id).map(Addr::to_string).unwrap_or_default()
    }

    pub fn user_of(&self, id: UserId) -> &str {
        self.users.get(id as usize).map_or("", |u| u)
    }

    pub fn host_of(&self, id: HostId) -> &str {
        self.hosts.get(id as usize).map_or("", |h| h)
    }

    pub fn find_addr(&self, ip: IpAddr) -> Option<AddrId> {
        match ip {
            IpAddr::V4(ip) => self.v4_ids.get(&ip).copied(),
            IpAddr::V6(ip) => self.v6_ids.get(&ip).copied(),
        }
    }

    pub fn find_user(&self, name: &str) -> Option<UserId> {
        self.user_ids.get(name).copied()
    }

    pub fn addr_count(&self) -> usize {
        self.addrs.len()
    }

    pub fn user_count(&self) -> usize {
        self.users.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_one_number_however_it_is_written() {
        let mut n = Names::new(Limits::default());
        let a = n.addr(b"192.0.2.7");
        assert_eq!(n.addr(b"::ffff:192.0.2.7"), a);
        assert_ne!(n.addr(b"192.0.2.8"), a);
        assert_eq!(n.addr_text(a), "192.0.2.7");
        let u = n.user(b"caf\\303\\251");
        assert_eq!(n.user_of(u), "café");
    }

    #[test]
    fn beyond_the_limit_networks_stand_for_addresses() {
        let mut n = Names::new(Limits {
            addrs: 2,
            users: 1,
            hosts: 1,
        });
        n.addr(b"192.0.2.1");
        n.addr(b"192.0.2.2");
        let c = n.addr(b"198.51.100.1");
        assert_eq!(n.addr(b"198.51.3.9"), c);
        assert_eq!(n.addr_text(c), "198.51.0.0/16");
        for i in 0..50u32 {
            n.addr(format!("10.{i}.0.1").as_bytes());
        }
        assert!(n.addr_count() <= 5, "{}", n.addr_count());
        assert!(n.addrs_forgotten > 50);
        n.user(b"a");
        let other = n.user(b"b");
        assert_eq!(n.user_of(other), "(other names)");
        assert_eq!(n.user(b"c"), other);
    }
}
