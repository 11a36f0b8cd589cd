//! `distributed-brute-force`: many addresses, each too quiet by itself, for one user or one list of users.

use super::case::{Case, MAX_EACH, MAX_LISTED, Standing};
use super::guessing;
use super::ledger::Source;
use super::logins::Arrival;
use super::words;
use crate::finding::{Finding, Severity};
use crate::names::{AddrId, UserId};
use crate::scan::NONE;
use crate::time::{DAY, HOUR, Time};
use hashbrown::{HashMap, HashSet};

/// One address's try at one name.
#[derive(Clone, Copy)]
struct Try {
    user: UserId,
    first: Time,
    /// Addresses of one /64 are one.
    actor: u64,
    addr: AddrId,
}

/// Addresses that tried the same user in the same hours, or several users of one list.
pub struct Campaign {
    users: Vec<UserId>,
    addrs: Vec<AddrId>,
}

/// Who could be part of one: an address that failed, never got in, and is not accused of anything or known to be somebody.
fn quiet(case: &Case<'_>, addr: AddrId, s: &Source) -> bool {
    s.guess.fails > 0
        && !s.stands_in()
        && case.standing(addr) == Standing::Nobody
        && !case.is_hostile(addr)
        && case.accepts(s) == 0
        && case.troubles.connections(addr) == 0
        && case.front != Some(addr)
        // Somebody inside who fails for one name that exists is a colleague until proven otherwise.
        && !(s.private() && {
            let (failing, total) = case.failing(&s.guess);
            total == 1 && failing.iter().all(|t| !case.is_nonexistent(t.user))
        })
}

pub fn judge(case: &mut Case<'_>) -> Vec<Campaign> {
    let mut tries: Vec<Try> = Vec::new();
    for (addr, s) in case.ledger.sources.iter().enumerate() {
        let addr = addr as AddrId;
        if !quiet(case, addr, s) {
            continue;
        }
        let actor = if s.net == NONE {
            u64::from(addr)
        } else {
            1 << 32 | u64::from(s.net)
        };
        for t in case.failing(&s.guess).0 {
            tries.push(Try {
                user: t.user,
                first: s.guess.first,
                actor,
                addr,
            });
        }
    }
    tries.sort_by_key(|t| (t.user, t.first, t.addr));
    let more_than = case.settings.distributed_addresses as usize;
    let within = i64::from(case.settings.distributed_hours) * HOUR;
    // By user first: the plainest sign.
    let mut by_user: Vec<(UserId, Vec<Try>)> = Vec::new();
    for group in tries.chunk_by(|a, b| a.user == b.user) {
        let hit = crowded(group, more_than, within);
        if let (false, Some(first)) = (hit.is_empty(), group.first()) {
            by_user.push((first.user, hit));
        }
    }
    let mut names_of: HashMap<AddrId, u32> = HashMap::new();
    for t in &tries {
        *names_of.entry(t.addr).or_default() += 1;
    }
    let mut campaigns: Vec<Campaign> = Vec::new();
    let mut lists: Vec<(UserId, Vec<Try>)> = Vec::new();
    let mut taken: HashSet<AddrId> = HashSet::new();
    for (user, hit) in by_user {
        let alone = hit
            .iter()
            .filter(|t| names_of.get(&t.addr) == Some(&1))
            .count();
        if alone * 10 >= hit.len() * 6 {
            let addrs = addrs_of(&hit);
            taken.extend(&addrs);
            campaigns.push(Campaign {
                users: vec![user],
                addrs,
            });
        } else {
            lists.push((user, hit));
        }
    }
    // Then by list: names that several of these addresses share, in the same hours.
    let mut shared: HashMap<UserId, HashSet<u64>> = HashMap::new();
    for t in &tries {
        let actors = shared.entry(t.user).or_default();
        if actors.len() < 3 {
            actors.insert(t.actor);
        }
    }
    let mut rest: Vec<Try> = tries
        .iter()
        .filter(|t| !taken.contains(&t.addr) && shared.get(&t.user).is_some_and(|a| a.len() >= 3))
        .copied()
        .collect();
    rest.extend(lists.into_iter().flat_map(|(_, hit)| hit));
    rest.sort_by_key(|t| (t.first, t.addr, t.user));
    rest.dedup_by_key(|t| (t.addr, t.user));
    let hit = crowded(&rest, more_than, within);
    // Runs that a day of silence separates are two campaigns.
    let mut begin = 0;
    for i in 1..=hit.len() {
        let breaks = match (hit.get(i - 1), hit.get(i)) {
            (Some(a), Some(b)) => b.first.0 - a.first.0 > within,
            _ => true,
        };
        if breaks && let Some(run) = hit.get(begin..i).filter(|r| !r.is_empty()) {
            begin = i;
            let mut tally: HashMap<UserId, u32> = HashMap::new();
            for t in run {
                *tally.entry(t.user).or_default() += 1;
            }
            let mut users: Vec<(u32, UserId)> = tally.into_iter().map(|(u, n)| (n, u)).collect();
            users.sort_by_key(|(n, u)| (std::cmp::Reverse(*n), *u));
            campaigns.push(Campaign {
                users: users.into_iter().map(|(_, u)| u).collect(),
                addrs: addrs_of(run),
            });
        }
    }
    for campaign in &campaigns {
        for addr in &campaign.addrs {
            case.accuse(*addr);
        }
    }
    campaigns
}

/// The tries (ascending by time) that lie in some stretch of `within` with more than so many actors.
fn crowded(tries: &[Try], more_than: usize, within: i64) -> Vec<Try> {
    let mut inside = vec![false; tries.len()];
    let mut actors: HashMap<u64, u32> = HashMap::new();
    let mut from = 0;
    let mut marked = 0;
    for (i, t) in tries.iter().enumerate() {
        *actors.entry(t.actor).or_default() += 1;
        while let Some(old) = tries.get(from)
            && t.first.0 - old.first.0 > within
        {
            if let Some(n) = actors.get_mut(&old.actor) {
                *n -= 1;
                if *n == 0 {
                    actors.remove(&old.actor);
                }
            }
            from += 1;
        }
        if actors.len() > more_than {
            for place in inside.iter_mut().take(i + 1).skip(from.max(marked)) {
                *place = true;
            }
            marked = i + 1;
        }
    }
    tries
        .iter()
        .zip(inside)
        .filter(|(_, inside)| *inside)
        .map(|(t, _)| *t)
        .collect()
}

fn addrs_of(tries: &[Try]) -> Vec<AddrId> {
    let mut addrs: Vec<AddrId> = tries.iter().map(|t| t.addr).collect();
    addrs.sort_unstable();
    addrs.dedup();
    addrs
}

/// Returns the logins that were told about: those that a campaign may have won.
pub fn findings(
    case: &Case<'_>,
    campaigns: &[Campaign],
    out: &mut Vec<Finding>,
) -> Vec<(UserId, AddrId)> {
    let mut told = Vec::new();
    for c in campaigns {
        let sources: Vec<&Source> = c.addrs.iter().filter_map(|a| case.source(*a)).collect();
        let fails: u64 = sources.iter().map(|s| u64::from(s.guess.fails)).sum();
        let (first, last) = guessing::span(case, &c.addrs);
        let mut f = words::finding("distributed-brute-force", case.subjects(&c.addrs, &c.users));
        let names = words::users(
            c.users.get(..c.users.len().min(4)).unwrap_or_default(),
            case.context,
        );
        f.headline = format!(
            "{} tried {} {}: {}, at most {} each, none accepted",
            words::count(c.addrs.len() as u64, "address", "addresses"),
            words::list(&names, c.users.len() as u64),
            first
                .zip(last)
                .map(|(a, b)| words::within(a, b))
                .unwrap_or_default(),
            words::count(fails, "attempt", "attempts"),
            sources.iter().map(|s| s.guess.fails).max().unwrap_or(0),
        );
        f.first = first;
        f.last = last;
        f.count = fails;
        // The more strangers, the less can be chance; a list is looser than one name.
        let size =
            (c.addrs.len() as f64 / f64::from(case.settings.distributed_addresses.max(1))).min(8.0);
        f.confidence = if c.users.len() == 1 {
            (0.8 + 0.02 * size).min(0.96)
        } else {
            (0.7 + 0.02 * size).min(0.88)
        };
        f.notes.push(
            "each address stays below the limits for one address: only together do they show"
                .to_owned(),
        );
        if c.addrs.len() > MAX_LISTED {
            f.notes.push(format!(
                "the first {MAX_LISTED} addresses are listed, {} more are not",
                c.addrs.len() - MAX_LISTED
            ));
        }
        let arrivals = arrivals(case, c, first, last);
        if !arrivals.is_empty() {
            f.notes.push(format!(
                "meanwhile {} with a password from an address not seen before: see what is said of new sources",
                words::count(arrivals.len() as u64, "of its users came in", "of its users came in")
            ));
        }
        for a in arrivals {
            if told.len() >= MAX_EACH || told.contains(&(a.user, a.addr)) {
                continue;
            }
            told.push((a.user, a.addr));
            out.push(arrival(case, c, &a));
        }
        let mut order: Vec<&&Source> = sources.iter().collect();
        order.sort_by_key(|s| s.guess.first);
        let quotes: Vec<u32> = order
            .iter()
            .take(6)
            .filter_map(|s| s.quotes.first().copied())
            .collect();
        f.evidence = case.evidence(&quotes);
        out.push(f);
    }
    told
}

/// Logins of a user under attack, while it lasted or on the day after, from an address that user had never come from.
fn arrivals(
    case: &Case<'_>,
    c: &Campaign,
    first: Option<Time>,
    last: Option<Time>,
) -> Vec<Arrival> {
    let Some((first, last)) = first.zip(last).filter(|(f, _)| f.is_dated()) else {
        return Vec::new();
    };
    let until = Time(last.0.saturating_add(DAY));
    let mut all = case
        .logins
        .arrivals(&c.users, first, until, case.context.names);
    all.retain(|a| !case.is_hostile(a.addr));
    all
}

/// A password that many strangers were guessing was used from a new place: the owner's journey, or the guess that was right.
fn arrival(case: &Case<'_>, c: &Campaign, a: &Arrival) -> Finding {
    let mut f = words::finding("new-source-login", case.subjects(&[a.addr], &[a.user]));
    let name = words::name(case.context.names.user_of(a.user));
    f.headline = format!(
        "{name} logged in with a password from {}, never seen before, while {} guessed {name}'s password",
        case.addr(a.addr),
        words::count(c.addrs.len() as u64, "stranger", "strangers"),
    );
    f.first = Some(a.time);
    f.last = Some(a.time);
    f.count = 1;
    f.severity = Severity::High;
    // Campaigns go on for weeks and people travel; that both fall together is no proof of either.
    f.confidence = 0.6;
    f.notes.push(
        "ask the owner whether this was theirs; until then take the password for known to others"
            .to_owned(),
    );
    f.evidence = case.evidence(&[a.quote]);
    f
}
