//! The bans in force, small: a million of them in about 150 MiB. Texts that many bans share are kept once.

use super::{Ban, Origin};
use crate::addr::Cidr;
use crate::time::{SECOND, Time};
use hashbrown::HashSet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

/// For good.
const EVER: i64 = i64::MAX;
/// So many bans may be looked through for those that are over, each second.
const A_SECOND: i64 = 100_000;

#[derive(Debug)]
struct Held {
    since: i64,
    until: i64,
    detector: Arc<str>,
    reason: Arc<str>,
    strikes: u32,
    origin: Origin,
}

impl Held {
    fn holds(&self, now: Time) -> bool {
        self.until > now.0
    }

    fn ban(&self, net: Cidr) -> Ban {
        Ban {
            net,
            since: Time(self.since),
            until: (self.until != EVER).then_some(Time(self.until)),
            detector: self.detector.to_string(),
            reason: self.reason.to_string(),
            origin: self.origin,
            strikes: self.strikes,
        }
    }
}

#[derive(Debug)]
pub struct Bans {
    held: BTreeMap<Cidr, Held>,
    texts: HashSet<Arc<str>>,
    /// How many there are of each length of prefix, IPv4 and IPv6: the others are not asked for.
    widths: [[u32; 129]; 2],
    /// Nothing ends before that.
    soonest: i64,
    looked: i64,
}

impl Default for Bans {
    fn default() -> Bans {
        Bans {
            held: BTreeMap::new(),
            texts: HashSet::new(),
            widths: [[0; 129]; 2],
            soonest: EVER,
            looked: i64::MIN,
        }
    }
}

fn family(ip: IpAddr) -> usize {
    usize::from(ip.is_ipv6())
}

impl Bans {
    pub fn len(&self) -> usize {
        self.held.len()
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        if self.texts.len() > 1024 + 2 * self.held.len() {
            self.texts.retain(|t| Arc::strong_count(t) > 1);
        }
        let new: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&new));
        new
    }

    pub fn insert(&mut self, ban: &Ban) {
        let held = Held {
            since: ban.since.0,
            until: ban.until.map_or(EVER, |u| u.0),
            detector: self.text(&ban.detector),
            // What a detector says is rarely said twice.
            reason: match ban.origin {
                Origin::Detector => Arc::from(ban.reason.as_str()),
                Origin::Operator | Origin::Import => self.text(&ban.reason),
            },
            strikes: ban.strikes,
            origin: ban.origin,
        };
        self.soonest = self.soonest.min(held.until);
        if self.held.insert(ban.net, held).is_none() {
            self.count(ban.net, 1);
        }
    }

    fn count(&mut self, net: Cidr, by: i32) {
        let widths = self.widths.get_mut(family(net.ip));
        if let Some(n) = widths.and_then(|w| w.get_mut(usize::from(net.len))) {
            *n = n.saturating_add_signed(by);
        }
    }

    pub fn remove(&mut self, net: Cidr) -> Option<Ban> {
        let held = self.held.remove(&net)?;
        self.count(net, -1);
        Some(held.ban(net))
    }

    pub fn get(&self, net: Cidr) -> Option<Ban> {
        self.held.get(&net).map(|h| h.ban(net))
    }

    pub fn nets(&self) -> impl Iterator<Item = Cidr> {
        self.held.keys().copied()
    }

    /// By network; from the one behind `after` on.
    pub fn after(&self, after: Option<Cidr>) -> impl Iterator<Item = Ban> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.held.range((from, Bound::Unbounded));
        rest.map(|(net, held)| held.ban(*net))
    }

    /// The widest ban in force that holds every address of the network: which, since when.
    fn widest(&self, net: Cidr, now: Time) -> Option<(Cidr, Time)> {
        let widths = self.widths.get(family(net.ip))?;
        let known = (0..=net.len).zip(widths).filter(|(_, n)| **n > 0);
        known
            .map(|(len, _)| Cidr::around(net.ip, len))
            .find_map(|around| {
                let held = self.held.get(&around).filter(|h| h.holds(now))?;
                Some((around, Time(held.since)))
            })
    }

    pub fn over(&self, ip: IpAddr, now: Time) -> Option<(Cidr, Time)> {
        self.widest(Cidr::one(ip), now)
    }

    /// Whether every address of `net` is banned already.
    pub fn cover(&self, net: Cidr, now: Time) -> bool {
        self.widest(net, now).is_some()
    }

    /// Takes out what is over. Of very many bans not every second.
    pub fn expire(&mut self, now: Time) -> Vec<Ban> {
        let rest = self.held.len() as i64 / A_SECOND * SECOND;
        let early = now.0 >= self.looked && now.0.saturating_sub(self.looked) < rest;
        if now.0 < self.soonest || early {
            return Vec::new();
        }
        self.looked = now.0;
        self.soonest = EVER;
        let mut over = Vec::new();
        for (net, held) in &self.held {
            if held.holds(now) {
                self.soonest = self.soonest.min(held.until);
            } else {
                over.push(*net);
            }
        }
        over.into_iter()
            .filter_map(|net| self.remove(net))
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ban(net: &str, until: Option<i64>) -> Ban {
        Ban {
            net: Cidr::parse(net).unwrap(),
            since: Time::from_secs(1),
            until: until.map(Time::from_secs),
            detector: "import".to_owned(),
            reason: "on a list".to_owned(),
            origin: Origin::Import,
            strikes: 1,
        }
    }

    #[test]
    fn what_is_put_in_comes_out_and_the_widest_covers() {
        let mut b = Bans::default();
        let all = [
            ban("192.0.2.7", Some(50)),
            ban("192.0.2.0/24", Some(60)),
            ban("2001:db8::/32", None),
        ];
        all.iter().for_each(|x| b.insert(x));
        b.insert(&ban("192.0.2.7", Some(40)));
        assert_eq!(b.get(all[2].net), Some(all[2].clone()));
        let over = |b: &Bans, ip: &str, at: i64| {
            b.over(ip.parse().unwrap(), Time::from_secs(at))
                .map(|(n, _)| n.to_string())
        };
        assert_eq!(over(&b, "192.0.2.7", 10).unwrap(), "192.0.2.0/24");
        assert_eq!(over(&b, "192.0.3.7", 10), None);
        assert_eq!(over(&b, "2001:db8:1::1", 10).unwrap(), "2001:db8::/32");
        assert_eq!(over(&b, "2001:db9::1", 10), None);
        let one = Cidr::parse("192.0.2.7").unwrap();
        assert!(b.cover(one, Time::from_secs(59)) && !b.cover(one, Time::from_secs(60)));
        assert_eq!(b.expire(Time::from_secs(39)).len(), 0);
        let over = b.expire(Time::from_secs(40));
        assert_eq!(over.len(), 1, "shortened, and over");
        assert_eq!(b.expire(Time::from_secs(60)).len(), 1);
        assert_eq!((b.len(), b.after(None).count()), (1, 1));
        assert_eq!(b.after(Some(all[2].net)).count(), 0);
    }

    #[test]
    fn texts_that_are_alike_are_kept_once_and_forgotten_with_their_bans() {
        let mut b = Bans::default();
        for i in 0..5000u32 {
            let mut x = ban(&format!("10.0.{}.{}", i >> 8, i & 255), Some(50));
            x.reason = format!("list {}", i % 3);
            b.insert(&x);
        }
        assert_eq!(b.texts.len(), 4);
        b.expire(Time::from_secs(50));
        for i in 0..5000u32 {
            let mut x = ban("10.0.0.1", Some(50));
            x.reason = format!("list {i}");
            b.insert(&x);
        }
        assert!(b.texts.len() < 1100, "{}", b.texts.len());
    }
}
