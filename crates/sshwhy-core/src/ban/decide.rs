//! Offences against a policy: who is banned now, for how long and why.
//!
//! **What is forgotten first.** At most [`Policy::sources`] sources are counted. Beyond that, the one that was not heard of for
//! the longest time goes, if it was never banned; those that were banned go last, and a ban that is in force never goes. A flood
//! of ten million addresses therefore costs what 65,536 cost. What such a flood can hide is a slow guesser among addresses that
//! each come once; the names it tries are still counted ([`Policy::distributed`]), and so are the IPv6 networks around it.

use super::held::Bans;
use super::never::{Never, NeverList, Why};
use super::policy::{Policy, Rule};
use super::source::Source;
use super::watch::{Offence, What};
use super::{Action, Ban, Origin};
use crate::addr::Cidr;
use crate::time::{HOUR, MINUTE, SECOND, Time, human_span};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;

/// What was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    Act(Action),
    /// It would have been banned.
    Spared {
        net: Cidr,
        why: Why,
        detector: &'static str,
        reason: String,
    },
    /// Somebody who had been guessing got in.
    Taken {
        ip: IpAddr,
        user: String,
        failures: u64,
    },
    /// It is banned, and still comes through.
    Leaks {
        net: Cidr,
    },
}

/// What changed since it was asked last; for a file. Nothing instead of a value: forgotten.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Source(Cidr, Option<String>),
    Name(u64, Option<String>),
    Ban(Cidr, Option<Ban>),
    Never(String),
}

/// Who tries one name from many places.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Crowd {
    /// Source, when it last tried, whether it has tried enough to be banned with the others.
    tries: VecDeque<(Cidr, i64, bool)>,
    #[serde(default)]
    seen: i64,
}

/// Names whose crowds are watched at once; the one not tried for longest gives way.
const CROWDS: usize = 512;
/// More than the rule asks for is kept, so that the list that is banned is longer than the shortest that is one.
const CROWD: usize = 256;
/// Lines about connections that were there before a ban may come this long after it.
const SETTLED: i64 = 15 * SECOND;

#[derive(Debug)]
pub struct Decider {
    pub policy: Policy,
    pub never: NeverList,
    /// Users whose key logins protect the address they come from.
    pub admins: Vec<String>,
    /// For how long. Microseconds; 0: not at all.
    pub key_login: i64,
    sources: HashMap<Cidr, Source>,
    /// In the order in which they are looked at when places run out.
    queue: VecDeque<(Cidr, i64)>,
    crowds: HashMap<u64, Crowd>,
    bans: Bans,
    dirty: HashSet<Cidr>,
    dirty_crowds: HashSet<u64>,
    dirty_bans: HashSet<Cidr>,
    dirty_never: bool,
    /// Sources that gave way to others.
    pub forgotten: u64,
    spared: HashMap<Cidr, i64>,
    leaked: HashMap<Cidr, (i64, u32)>,
}

/// The same for a name on every run (FNV-1a).
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What counts as one source: an IPv4 address, an IPv6 /64.
pub fn source_of(ip: IpAddr) -> Cidr {
    match ip {
        IpAddr::V4(_) => Cidr::one(ip),
        IpAddr::V6(_) => Cidr::around(ip, 64),
    }
}

impl Decider {
    pub fn new(policy: Policy) -> Decider {
        Decider {
            policy,
            never: NeverList::default(),
            admins: vec!["root".to_owned()],
            key_login: 7 * 24 * HOUR,
            sources: HashMap::new(),
            queue: VecDeque::new(),
            crowds: HashMap::new(),
            bans: Bans::default(),
            dirty: HashSet::new(),
            dirty_crowds: HashSet::new(),
            dirty_bans: HashSet::new(),
            dirty_never: false,
            forgotten: 0,
            spared: HashMap::new(),
            leaked: HashMap::new(),
        }
    }

    /// Takes in one offence. Decisions are added to `out`.
    pub fn offence(&mut self, o: &Offence<'_>, out: &mut Vec<Decision>) {
        if let What::Accepted { key } = o.what {
            self.accepted(o, key, out);
            return;
        }
        let net = source_of(o.ip);
        if let Some(detector) = self.count(o, net) {
            self.ban_source(o, net, detector, out);
        } else if o.ip.is_ipv6() {
            self.neighbours(o, net, out);
        }
        if matches!(o.what, What::Failed | What::Left)
            && let Some(user) = o.user
        {
            self.crowd(o, net, hash(user.as_bytes()), out);
        }
        if let Some((net, since)) = self.bans.over(o.ip, o.logged) {
            // Lines that were on their way when the ban came are no sign of anything.
            let leaks = o.logged.0 - since.0 > SETTLED;
            if leaks {
                let (since, n) = self.leaked.entry(net).or_insert((o.at.0, 0));
                if o.at.0 - *since > 5 * MINUTE {
                    (*since, *n) = (o.at.0, 0);
                }
                *n += 1;
                if *n == 3 {
                    out.push(Decision::Leaks { net });
                }
            }
            if self.leaked.len() > 1024 {
                self.leaked.clear();
            }
        }
    }

    fn accepted(&mut self, o: &Offence<'_>, key: bool, out: &mut Vec<Decision>) {
        let net = source_of(o.ip);
        let failures = self.policy.brute_force.maxretry;
        let source = self.source(net, o.at);
        let guessed = source.fails.recent(HOUR) as u32 >= failures.saturating_sub(1).max(2)
            && source.names.count(o.at, HOUR).0 >= 3;
        if guessed && !source.is_known(o.at) {
            // Nobody mistypes three accounts in a row: what it did stays counted.
            out.push(Decision::Taken {
                ip: o.ip,
                user: o.user.unwrap_or_default().to_owned(),
                failures: source.total,
            });
        } else {
            source.forgive();
            source.known = o.at.0;
        }
        self.dirty.insert(net);
        if key && self.key_login > 0 && self.admins.iter().any(|a| Some(a.as_str()) == o.user) {
            self.never.add(Never {
                net: Cidr::one(o.ip),
                why: Why::KeyLogin,
                until: Some(Time(o.logged.0.saturating_add(self.key_login))),
            });
            self.dirty_never = true;
        }
    }

    /// Counts it for its own source; the detector that says that it was one too many.
    fn count(&mut self, o: &Offence<'_>, net: Cidr) -> Option<&'static str> {
        let policy = self.policy.clone();
        let source = self.source(net, o.at);
        let known = source.is_known(o.at);
        let mut detector = None;
        let mut say = |rule: &Rule, hit: bool, slug: &'static str| {
            if rule.on && hit && detector.is_none() {
                detector = Some(slug);
            }
        };
        match o.what {
            What::Failed => {
                source.total += u64::from(o.n);
                let mut hit = false;
                for _ in 0..o.n.min(policy.brute_force.maxretry.max(1)) {
                    hit |= source.fails.hit(o.at, &policy.brute_force);
                }
                say(&policy.brute_force, hit, "brute-force");
                if let Some(user) = o.user {
                    source.names.note(hash(user.as_bytes()), o.at, o.invalid);
                    let unreal = source.names.count(o.at, policy.invalid_users.findtime).1;
                    let all = source.names.count(o.at, policy.spray.findtime).0;
                    let full = |n: usize, rule: &Rule| n as u32 >= rule.maxretry;
                    say(
                        &policy.invalid_users,
                        full(unreal, &policy.invalid_users),
                        "invalid-user-scan",
                    );
                    say(&policy.spray, full(all, &policy.spray), "password-spray");
                }
                let over = source
                    .bucket
                    .pour(o.at, o.n, &policy.slow, policy.slow_leak);
                // A user of this machine who mistypes now and then is no guesser, however long he goes on.
                say(&policy.slow, over && !known, "slow-brute-force");
            }
            What::Left => {
                source.total += 1;
                let over = source.bucket.pour(o.at, 1, &policy.slow, policy.slow_leak);
                say(&policy.slow, over && !known, "slow-brute-force");
            }
            What::Probe => {
                let hit = source.probes.hit(o.at, &policy.probes);
                say(&policy.probes, hit, "protocol-scan");
            }
            What::TimedOut => {
                let hit = source.floods.hit(o.at, &policy.flood);
                say(&policy.flood, hit, "startup-flood");
            }
            What::Forged { sure } => {
                let hit = sure || source.slips.hit(o.at, &policy.forgery);
                say(&policy.forgery, hit, "log-forgery");
            }
            What::Accepted { .. } => {}
        }
        self.dirty.insert(net);
        detector
    }

    /// IPv6 neighbours that attack together: the /56, then the /48.
    fn neighbours(&mut self, o: &Offence<'_>, net: Cidr, out: &mut Vec<Decision>) {
        if self.policy.neighbours == 0 || o.what != What::Failed {
            return;
        }
        let want = self.policy.neighbours as usize;
        let base = self.policy.brute_force;
        let wide = Rule {
            maxretry: base.maxretry.saturating_mul(self.policy.neighbours + 1),
            ..base
        };
        let mut child = net;
        for len in [56, 48] {
            let around = Cidr::around(net.ip, len);
            let source = self.source(around, o.at);
            let mut hit = false;
            for _ in 0..o.n.min(wide.maxretry) {
                hit |= source.fails.hit(o.at, &wide);
            }
            source
                .names
                .note(hash(child.to_string().as_bytes()), o.at, false);
            let children = source.names.count(o.at, wide.findtime).0;
            self.dirty.insert(around);
            if hit && children >= want && base.on {
                let reason = format!(
                    "{} failures in {} from {children} networks inside {around}",
                    wide.maxretry,
                    human_span(wide.findtime)
                );
                self.ban(o, around, "brute-force", reason, base.bantime, out);
            }
            child = around;
        }
    }

    /// Many sources that try one name.
    fn crowd(&mut self, o: &Offence<'_>, net: Cidr, name: u64, out: &mut Vec<Decision>) {
        let rule = self.policy.distributed;
        let Some(source) = self
            .sources
            .get(&net)
            .filter(|s| rule.on && !s.is_known(o.at))
        else {
            return;
        };
        // A name that exists is mistyped by those who have it: more than a slip or two is asked for.
        let enough = o.invalid || source.total > u64::from(self.policy.brute_force.maxretry) / 2;
        if !self.crowds.contains_key(&name)
            && self.crowds.len() >= CROWDS
            && let Some(oldest) = self
                .crowds
                .iter()
                .min_by_key(|(n, c)| (c.seen, **n))
                .map(|(n, _)| *n)
        {
            self.crowds.remove(&oldest);
            self.dirty_crowds.insert(oldest);
        }
        let crowd = self.crowds.entry(name).or_default();
        crowd.seen = crowd.seen.max(o.at.0);
        match crowd.tries.iter_mut().find(|t| t.0 == net) {
            Some(known) => {
                known.1 = known.1.max(o.at.0);
                known.2 |= enough;
            }
            None => {
                if crowd.tries.len() >= CROWD.max(rule.maxretry as usize) {
                    crowd.tries.pop_front();
                }
                crowd.tries.push_back((net, o.at.0, enough));
            }
        }
        self.dirty_crowds.insert(name);
        let near = |t: &&(Cidr, i64, bool)| o.at.0 - t.1 <= rule.findtime;
        let size = crowd.tries.iter().filter(near).count();
        if (size as u32) < rule.maxretry {
            return;
        }
        let guilty: Vec<Cidr> = crowd
            .tries
            .iter()
            .filter(near)
            .filter(|t| t.2)
            .map(|t| t.0)
            .collect();
        let reason = format!(
            "one of {size} addresses that tried the name {} within {}",
            shown(o.user.unwrap_or_default()),
            human_span(rule.findtime)
        );
        for net in guilty {
            let standing = self
                .sources
                .get(&net)
                .is_some_and(|s| !s.is_known(o.at) && !s.is_banned(o.at));
            if standing {
                self.ban(
                    o,
                    net,
                    "distributed-brute-force",
                    reason.clone(),
                    rule.bantime,
                    out,
                );
            }
        }
    }

    fn ban_source(
        &mut self,
        o: &Offence<'_>,
        net: Cidr,
        detector: &'static str,
        out: &mut Vec<Decision>,
    ) {
        let Some(source) = self.sources.get(&net) else {
            return;
        };
        let policy = &self.policy;
        let user = match o.user {
            Some(user) => format!(", last for {}", shown(user)),
            None => String::new(),
        };
        let (bantime, reason) = match detector {
            "brute-force" => {
                let took = source.fails.first().map_or(0, |f| o.at.0 - f.0);
                (
                    policy.brute_force.bantime,
                    format!(
                        "{} failures in {}{user}",
                        policy.brute_force.maxretry,
                        human_span(took.max(SECOND))
                    ),
                )
            }
            "slow-brute-force" => (
                policy.slow.bantime,
                format!("{} failures, few at a time{user}", source.total),
            ),
            "invalid-user-scan" => (
                policy.invalid_users.bantime,
                format!(
                    "{} names that do not exist{user}",
                    policy.invalid_users.maxretry
                ),
            ),
            "password-spray" => (
                policy.spray.bantime,
                format!("{} user names{user}", policy.spray.maxretry),
            ),
            "protocol-scan" => (
                policy.probes.bantime,
                format!(
                    "{} connections that did not speak SSH to the end",
                    policy.probes.maxretry
                ),
            ),
            "startup-flood" => (
                policy.flood.bantime,
                format!(
                    "{} connections that sat out LoginGraceTime",
                    policy.flood.maxretry
                ),
            ),
            _ => (
                policy.forgery.bantime,
                format!("sent text that imitates log lines{user}"),
            ),
        };
        self.ban(o, net, detector, reason, bantime, out);
    }

    fn ban(
        &mut self,
        o: &Offence<'_>,
        net: Cidr,
        detector: &'static str,
        reason: String,
        bantime: i64,
        out: &mut Vec<Decision>,
    ) {
        let now = o.logged;
        let mut net = net;
        if let Some(never) = self.never.covers(&net, now).copied() {
            let alone = Cidr::one(o.ip);
            // Somebody to be spared lives next door: only the one who did it, then.
            if net.contains(o.ip) && net != alone && self.never.covers(&alone, now).is_none() {
                net = alone;
            } else {
                if self.spared.len() > 1024 {
                    self.spared.clear();
                }
                let last = self.spared.entry(net).or_insert(i64::MIN);
                if last.saturating_add(HOUR) <= o.at.0 {
                    *last = o.at.0;
                    out.push(Decision::Spared {
                        net,
                        why: never.why,
                        detector,
                        reason,
                    });
                }
                return;
            }
        }
        if self.bans.cover(net, now) {
            return;
        }
        let memory = self.policy.memory;
        let policy = self.policy.clone();
        let source = self.source(net, o.at);
        if source.strikes > 0 && o.at.0 - source.until.max(source.banned) > memory {
            source.strikes = 0;
        }
        let length = policy.length(bantime, source.strikes);
        source.strikes = source.strikes.saturating_add(1);
        let strikes = source.strikes;
        source.banned = o.at.0;
        source.until = o.at.0.saturating_add(length);
        source.forgive();
        self.dirty.insert(net);
        let ban = Ban {
            net,
            since: now,
            until: Some(Time(now.0.saturating_add(length))),
            detector: detector.to_owned(),
            reason,
            origin: Origin::Detector,
            strikes,
        };
        self.put(&ban);
        out.push(Decision::Act(Action::Ban(ban)));
    }

    fn put(&mut self, ban: &Ban) {
        self.dirty_bans.insert(ban.net);
        self.leaked.remove(&ban.net);
        self.bans.insert(ban);
    }

    /// The widest ban in force over an address.
    pub fn ban_over(&self, ip: IpAddr, now: Time) -> Option<Ban> {
        let (net, _) = self.bans.over(ip, now)?;
        self.bans.get(net)
    }

    /// What is known of a source, making a place for it.
    fn source(&mut self, net: Cidr, at: Time) -> &mut Source {
        if !self.sources.contains_key(&net) {
            self.make_room(at);
            self.queue.push_back((net, at.0));
        }
        let source = self.sources.entry(net).or_default();
        source.seen = source.seen.max(at.0);
        source
    }

    fn make_room(&mut self, now: Time) {
        let limit = self.policy.sources.max(16);
        let mut looked = 0;
        while self.sources.len() >= limit {
            let Some((net, queued)) = self.queue.pop_front() else {
                return;
            };
            looked += 1;
            let Some(source) = self.sources.get(&net) else {
                continue;
            };
            let strikes = source.strikes > 0 && now.0 - source.until <= self.policy.memory;
            let spare = source.is_banned(now) || source.seen > queued || strikes;
            // After a whole round without finding anybody better, the one that is next goes.
            if spare && looked <= limit {
                let seen = source.seen;
                self.queue.push_back((net, seen));
                continue;
            }
            self.sources.remove(&net);
            self.dirty.insert(net);
            self.forgotten += 1;
        }
    }

    /// Bans that are over by the wall's clock. The firewall's own timeouts have ended them there.
    pub fn expire(&mut self, now: Time) -> Vec<Ban> {
        self.never.expire(now);
        let over = self.bans.expire(now);
        self.dirty_bans.extend(over.iter().map(|b| b.net));
        over
    }

    /// An operator's or an import's ban.
    pub fn add(&mut self, ban: Ban, now: Time) -> Result<Action, Never> {
        if let Some(never) = self.never.covers(&ban.net, now) {
            return Err(*never);
        }
        self.put(&ban);
        Ok(Action::Ban(ban))
    }

    /// Takes over what somebody else made of a ban in the file: what it is there now, or that it is gone from there. What this
    /// decider has changed itself and not handed out yet stays.
    pub fn adopt(&mut self, net: Cidr, ban: Option<Ban>) -> Option<Action> {
        let ours = self.bans.get(net);
        if ours == ban || self.dirty_bans.contains(&net) {
            return None;
        }
        match ban {
            Some(ban) => {
                self.bans.insert(&ban);
                Some(Action::Ban(ban))
            }
            None => {
                self.lift(net);
                Some(Action::Unban {
                    net,
                    reason: "lifted by bans".to_owned(),
                })
            }
        }
    }

    /// What is no longer banned has not done anything yet.
    fn lift(&mut self, net: Cidr) {
        self.bans.remove(net);
        if let Some(source) = self.sources.get_mut(&net) {
            source.forgive();
            source.until = 0;
            self.dirty.insert(net);
        }
    }

    /// Lifts every ban that shares an address with `net`, and forgives what it did.
    pub fn remove(&mut self, net: Cidr, reason: &str) -> Vec<Action> {
        let lifted: Vec<Cidr> = self.bans.nets().filter(|b| b.overlaps(&net)).collect();
        let mut out = Vec::new();
        for net in lifted {
            self.lift(net);
            self.dirty_bans.insert(net);
            out.push(Action::Unban {
                net,
                reason: reason.to_owned(),
            });
        }
        out
    }

    /// Bans that the never-list has come to cover, to be lifted.
    pub fn lift_spared(&mut self, now: Time) -> Vec<Action> {
        let wrong: Vec<(Cidr, Why)> = self
            .bans
            .nets()
            .filter_map(|net| Some((net, self.never.covers(&net, now)?.why)))
            .collect();
        wrong
            .into_iter()
            .flat_map(|(net, why)| self.remove(net, &why.to_string()))
            .collect()
    }

    /// By network; from the one behind `after` on.
    pub fn bans(&self, after: Option<Cidr>) -> impl Iterator<Item = Ban> {
        self.bans.after(after)
    }

    /// Puts back a ban that was written down.
    pub fn hold(&mut self, ban: &Ban) {
        self.bans.insert(ban);
    }

    pub fn ban_count(&self) -> usize {
        self.bans.len()
    }

    pub fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// What is counted against an address.
    pub fn source_at(&self, ip: IpAddr) -> Option<&Source> {
        self.sources.get(&source_of(ip))
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let json = |s: &Source| serde_json::to_string(s).unwrap_or_default();
        let mut out: Vec<Change> = Vec::new();
        for net in self.dirty.drain() {
            out.push(Change::Source(net, self.sources.get(&net).map(json)));
        }
        for name in self.dirty_crowds.drain() {
            let text = self
                .crowds
                .get(&name)
                .map(|c| serde_json::to_string(c).unwrap_or_default());
            out.push(Change::Name(name, text));
        }
        for net in self.dirty_bans.drain() {
            out.push(Change::Ban(net, self.bans.get(net)));
        }
        if std::mem::take(&mut self.dirty_never) {
            let learnt: Vec<&Never> = self
                .never
                .entries()
                .iter()
                .filter(|n| n.why == Why::KeyLogin)
                .collect();
            out.push(Change::Never(
                serde_json::to_string(&learnt).unwrap_or_default(),
            ));
        }
        out
    }

    /// Puts back what was taken out; sources in the order in which they were seen last. What does not parse is left out and
    /// counted in the answer.
    pub fn restore(&mut self, changes: impl IntoIterator<Item = Change>) -> usize {
        let mut bad = 0;
        let mut sources: Vec<(Cidr, Source)> = Vec::new();
        for change in changes {
            match change {
                Change::Source(net, Some(text)) => match serde_json::from_str(&text) {
                    Ok(source) => sources.push((net, source)),
                    Err(_) => bad += 1,
                },
                Change::Name(name, Some(text)) => match serde_json::from_str(&text) {
                    Ok(crowd) => {
                        self.crowds.insert(name, crowd);
                    }
                    Err(_) => bad += 1,
                },
                Change::Ban(_, Some(ban)) => self.hold(&ban),
                Change::Never(text) => match serde_json::from_str::<Vec<Never>>(&text) {
                    Ok(learnt) => learnt.into_iter().for_each(|n| self.never.add(n)),
                    Err(_) => bad += 1,
                },
                Change::Source(_, None) | Change::Name(_, None) | Change::Ban(_, None) => {}
            }
        }
        sources.sort_by_key(|(net, s)| (s.seen, *net));
        for (net, source) in sources {
            self.queue.push_back((net, source.seen));
            self.sources.insert(net, source);
        }
        bad
    }
}

/// A name in a sentence: quoted, cut, and without anything that does things to a terminal or a line.
fn shown(name: &str) -> String {
    let mut out = String::from("\"");
    for (n, c) in name.chars().enumerate() {
        if n == 32 {
            out.push('…');
            break;
        }
        let plain = !c.is_control()
            && !matches!(c, '"' | '\\' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        out.push(if plain { c } else { '?' });
    }
    out.push('"');
    out
}
