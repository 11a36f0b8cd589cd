//! `brute-force`, `slow-brute-force`, `password-spray`, `invalid-user-scan`: one address, or one IPv6 /64, that guesses.

use super::case::{Case, MAX_EACH, Standing, busiest};
use super::ledger::{Guess, Source};
use super::standing::{Shape, names, shape};
use super::words;
use crate::finding::{Finding, Severity};
use crate::names::AddrId;
use crate::scan::NONE;
use crate::time::{Time, human_span};
use hashbrown::HashMap;
use std::net::Ipv6Addr;

/// Who guessed.
struct Actor<'a> {
    addrs: Vec<AddrId>,
    /// The /64 that they share, where they are several.
    prefix: Option<u64>,
    guess: &'a Guess,
    quotes: Vec<u32>,
    /// When it got in, if it did.
    accepted: u32,
    refused: u32,
    penalties: u32,
}

/// Accuses the /64s whose addresses together do what one alone did not, or that rotate through them.
pub fn judge_nets(case: &mut Case<'_>) -> HashMap<u32, Vec<AddrId>> {
    let mut groups: HashMap<u32, Vec<AddrId>> = HashMap::new();
    for (addr, s) in case.ledger.sources.iter().enumerate() {
        if s.net != NONE && s.guess.fails > 0 {
            groups.entry(s.net).or_default().push(addr as AddrId);
        }
    }
    groups.retain(|net, members| {
        let Some((_, guess)) = case.ledger.nets.get(*net as usize) else {
            return false;
        };
        if members.len() < 2 || !shape(case, guess).any() {
            return false;
        }
        // A network of our own people and one that only fails are told apart by who gets in.
        let innocent: u64 = members
            .iter()
            .filter(|a| {
                !matches!(case.standing(**a), Standing::Nobody | Standing::Guesser)
                    || case.source(**a).is_some_and(|s| case.accepts(s) > 0)
                        && !case.is_hostile(**a)
            })
            .filter_map(|a| case.source(*a))
            .map(|s| u64::from(s.guess.fails))
            .sum();
        if innocent * 5 > u64::from(guess.fails) {
            return false;
        }
        members.retain(|a| {
            matches!(case.standing(*a), Standing::Nobody | Standing::Guesser)
                && (case.is_hostile(*a) || case.source(*a).is_some_and(|s| case.accepts(s) == 0))
        });
        // One address that does nearly all of it speaks for itself.
        let most = members
            .iter()
            .filter_map(|a| case.source(*a))
            .map(|s| u64::from(s.guess.fails))
            .max()
            .unwrap_or(0);
        members.len() >= 2 && most * 10 < u64::from(guess.fails) * 9
    });
    for members in groups.values() {
        for addr in members {
            case.accuse(*addr);
        }
    }
    groups
}

pub fn findings(case: &Case<'_>, nets: &HashMap<u32, Vec<AddrId>>, out: &mut Vec<Finding>) {
    let guessers = case
        .ledger
        .sources
        .iter()
        .enumerate()
        .filter(|(a, s)| {
            let addr = *a as AddrId;
            // Members are in ascending order.
            let in_net = nets
                .get(&s.net)
                .is_some_and(|m| m.binary_search(&addr).is_ok());
            case.standing(addr) == Standing::Guesser && !in_net
        })
        .map(|(a, s)| (u64::from(s.guess.fails), a as AddrId))
        .collect();
    let (each, rest) = busiest(guessers);
    for addr in each {
        let Some(source) = case.source(addr) else {
            continue;
        };
        let actor = Actor {
            addrs: vec![addr],
            prefix: None,
            guess: &source.guess,
            quotes: source.quotes.to_vec(),
            accepted: case.accepts(source),
            refused: source.refused,
            penalties: case.flood.penalties(addr),
        };
        describe(case, &actor, out);
    }
    // Those beyond: one finding for each way of guessing.
    for slug in [
        "brute-force",
        "invalid-user-scan",
        "password-spray",
        "slow-brute-force",
    ] {
        let some: Vec<(u64, AddrId)> = rest
            .iter()
            .filter(|(_, a)| {
                let shape = case.source(*a).map(|s| shape(case, &s.guess));
                shape.and_then(|s| slugs(s).first().copied()) == Some(slug)
            })
            .copied()
            .collect();
        if !some.is_empty() {
            let addrs: Vec<AddrId> = some.iter().map(|(_, a)| *a).collect();
            let count = some.iter().map(|(n, _)| n).sum();
            out.push(case.rest(slug, &addrs, count, "guessed like that"));
        }
    }
    let mut groups: Vec<(&u32, &Vec<AddrId>)> = nets.iter().collect();
    groups.sort();
    let beyond: Vec<AddrId> = groups
        .iter()
        .skip(MAX_EACH)
        .flat_map(|(_, m)| m.iter().copied())
        .collect();
    if !beyond.is_empty() {
        let count = beyond
            .iter()
            .filter_map(|a| case.source(*a))
            .map(|s| u64::from(s.guess.fails))
            .sum();
        out.push(case.rest(
            "brute-force",
            &beyond,
            count,
            "guessed, each with others of its /64",
        ));
    }
    for (net, members) in groups.into_iter().take(MAX_EACH) {
        let Some((prefix, guess)) = case.ledger.nets.get(*net as usize) else {
            continue;
        };
        let sources: Vec<&Source> = members.iter().filter_map(|a| case.source(*a)).collect();
        let actor = Actor {
            addrs: members.clone(),
            prefix: Some(*prefix),
            guess,
            quotes: sources
                .iter()
                .take(8)
                .filter_map(|s| s.quotes.first().copied())
                .collect(),
            accepted: sources.iter().map(|s| case.accepts(s)).sum(),
            refused: sources.iter().map(|s| s.refused).sum(),
            penalties: members.iter().map(|a| case.flood.penalties(*a)).sum(),
        };
        describe(case, &actor, out);
    }
}

/// Which findings a shape makes: the rate by itself, and the list that was tried.
fn slugs(shape: Shape) -> Vec<&'static str> {
    let mut all = Vec::new();
    if shape.fast || (shape.untimed && !shape.spray && !shape.scan) {
        all.push("brute-force");
    }
    if shape.scan {
        all.push("invalid-user-scan");
    } else if shape.spray {
        all.push("password-spray");
    } else if shape.slow && !shape.fast && !shape.untimed {
        all.push("slow-brute-force");
    }
    all
}

fn describe(case: &Case<'_>, actor: &Actor<'_>, out: &mut Vec<Finding>) {
    let mut shape = shape(case, actor.guess);
    // Names made up to imitate log lines are no list of users.
    if actor
        .addrs
        .iter()
        .any(|a| case.forgers.is_guilty(*a, case.settings.forgery_names))
    {
        shape.scan = false;
        shape.spray = false;
    }
    for slug in slugs(shape) {
        out.push(one(case, actor, shape, slug));
    }
}

fn one(case: &Case<'_>, actor: &Actor<'_>, shape: Shape, slug: &str) -> Finding {
    let g = actor.guess;
    let (tried, total) = case.failing(g);
    let (_, unreal) = names(case, g);
    let users: Vec<u32> = tried.iter().map(|t| t.user).collect();
    let mut f = words::finding(slug, case.subjects(&actor.addrs, &users));
    let who = match (actor.prefix, actor.addrs.as_slice()) {
        (Some(prefix), members) => format!(
            "{} of {}/64",
            words::count(members.len() as u64, "address", "addresses"),
            Ipv6Addr::from(u128::from(prefix) << 64)
        ),
        (None, addrs) => addrs.first().map(|a| case.addr(*a)).unwrap_or_default(),
    };
    let user_list = words::list(&case.user_names(&tried), total);
    let span = words::within(g.first, g.last);
    let tries = if u64::from(g.said) * 2 >= u64::from(g.fails) {
        format!(
            "tried {} for {user_list}",
            words::count(u64::from(g.fails), "password", "passwords")
        )
    } else {
        format!(
            "tried {} to log in as {user_list}",
            words::count(u64::from(g.fails), "time", "times")
        )
    };
    let fate = if actor.accepted > 0 {
        "and got in: see its other finding"
    } else {
        "none accepted"
    };
    f.headline = match slug {
        "invalid-user-scan" => format!(
            "{who} tried {} {span}, {unreal} of which do not exist: {user_list}",
            words::count(total, "user name", "user names")
        ),
        "password-spray" => format!(
            "{who} tried {} {span}, {} in all: {user_list}; {fate}",
            words::count(total, "user", "users"),
            words::count(u64::from(g.fails), "attempt", "attempts"),
        ),
        "slow-brute-force" => {
            let every = (g.last.0 - g.first.0) / i64::from(g.connections.max(2) - 1);
            format!(
                "{who} {tries} {span}, a connection about every {}, {fate}",
                human_span(every)
            )
        }
        _ => format!("{who} {tries} {span}, {fate}"),
    };
    f.first = Some(g.first);
    f.last = Some(g.last);
    f.count = u64::from(g.fails);
    f.confidence = confidence(case, actor, shape, slug, total, unreal);
    if slug == "brute-force" && !shape.fast {
        f.notes.push(format!(
            "the log has no times: more than {} in all count, and how fast they came cannot be said",
            words::count(u64::from(case.settings.slow_failures), "failure", "failures"),
        ));
    } else if slug == "brute-force" {
        f.notes.push(format!(
            "up to {} in one minute; the limit is {} in {}",
            words::count(u64::from(g.peak.max(1)), "failure", "failures"),
            case.settings.brute_failures,
            human_span(i64::from(case.settings.brute_seconds) * 1_000_000),
        ));
    }
    if unreal > 0 && slug != "invalid-user-scan" {
        f.notes.push(format!(
            "{unreal} of {total} names do not exist on this machine"
        ));
    }
    if total > tried.len() as u64 {
        f.notes.push(format!(
            "only the first {} names were kept; how many there are is an estimate",
            tried.len()
        ));
    }
    if actor.refused > 0 {
        f.notes.push(format!(
            "{} refused by a rule (AllowUsers, DenyUsers, root …) whatever the password was",
            words::count(
                u64::from(actor.refused),
                "connection was",
                "connections were"
            )
        ));
    }
    if actor.penalties > 0 {
        f.notes.push(format!(
            "sshd slowed it down by itself: {} dropped",
            words::count(
                u64::from(actor.penalties),
                "connection was",
                "connections were"
            )
        ));
    }
    if let [addr] = actor.addrs.as_slice() {
        if case.front == Some(*addr) {
            f.hostile = false;
            f.notes.push("everybody comes from this address (a proxy or NAT): blocking it blocks all; find out who is behind it".to_owned());
        } else if case.source(*addr).is_some_and(Source::private) {
            f.notes.push(
                "an address of your own network: look at that machine, it may be taken over, or run a broken job"
                    .to_owned(),
            );
        }
    }
    if actor.accepted > 0 && f.severity < Severity::High {
        f.severity = Severity::High;
    }
    f.evidence = case.evidence(&actor.quotes);
    f
}

/// How sure. What else than guessing could it be: a person who forgot a password (one name, few tries), a broken job (one name,
/// many tries, evenly). Many names, or names that do not exist, are neither.
fn confidence(
    case: &Case<'_>,
    actor: &Actor<'_>,
    shape: Shape,
    slug: &str,
    total: u64,
    unreal: u64,
) -> f64 {
    let g = actor.guess;
    let lists = total >= 3 || unreal >= 2;
    let only_root = total == 1 && case.failing(g).0.iter().all(|t| case.is_root(t.user));
    let base = match slug {
        // The rate alone: a person cannot; a job can. Without a rate it may also be years of typing errors.
        "brute-force" if !shape.fast => 0.65,
        "brute-force" if g.fails > 30 => 0.93,
        "brute-force" => 0.78,
        // Slow and for one name is what a broken job does too.
        "slow-brute-force" => 0.72,
        // Somebody who inherited a list of accounts would have to mistype each.
        "password-spray" => 0.85,
        _ => 0.88,
    };
    let mut c: f64 = base;
    if lists {
        c += 0.05;
    } else if only_root {
        // Nobody's own account: who forgot this password has others to ask.
        c += 0.03;
    }
    if shape.fast && slug != "brute-force" {
        c += 0.04;
    }
    if actor.accepted > 0 {
        c -= 0.1;
    }
    c.clamp(0.3, 0.98)
}

/// First and last moment of what some addresses did.
pub fn span(case: &Case<'_>, addrs: &[AddrId]) -> (Option<Time>, Option<Time>) {
    let guesses = || {
        addrs
            .iter()
            .filter_map(|a| case.source(*a))
            .filter(|s| s.guess.fails > 0)
            .map(|s| &s.guess)
    };
    (
        guesses().map(|g| g.first).min(),
        guesses().map(|g| g.last).max(),
    )
}
