//! Connects that the kernel saw: they follow the logins, or fall at least into their time; and who made none is cleared.

use super::super::evidence::Evidence;
use super::super::matching::{Match, Matcher, ln_tail_of};
use super::{
    CIRCUMSTANCES, Candidate, NAMES_AND_TOOLS, Question, SEEN_CONNECTING, TELLING, base,
    chance_in_words, odd_place, signed_span, tool_in, weight_of,
};
use crate::audit::facts::Connect;
use crate::time::{HOUR, MINUTE, SECOND, Time, human_span};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Connects seen by the kernel. Returns where the logins went.
pub(super) fn audit(
    q: &Question,
    e: &Evidence,
    candidates: &mut [Candidate<'_>],
    matcher: &mut Matcher,
) -> Option<IpAddr> {
    let known = q.target_addrs.first().copied();
    let facts = e.audit.as_ref()?;
    let (from, until) = facts.span?;
    let slack = HOUR;
    let covered: Vec<u32> = (0..q.events.len() as u32)
        .filter(|i| {
            q.events
                .get(*i as usize)
                .is_some_and(|t| *t >= from.0 - slack && *t <= until.0 + slack)
        })
        .collect();
    let events: Vec<i64> = covered
        .iter()
        .filter_map(|i| q.events.get(*i as usize).copied())
        .collect();
    let destination = |c: &Connect| facts.destinations.get(c.to as usize).copied();
    let ssh = |c: &Connect| {
        destination(c).is_some_and(|(ip, port)| {
            if q.target_addrs.is_empty() {
                port == q.port
            } else {
                q.target_addrs.contains(&ip)
            }
        })
    };
    let bin = |t: i64| t.div_euclid(10 * MINUTE);
    let event_bins: BTreeSet<i64> = events.iter().map(|t| bin(*t)).collect();
    let near = |t: i64| (-1..=1).any(|d| event_bins.contains(&(bin(t) + d)));
    let all_bins = ((until.0 - from.0) / (10 * MINUTE) + 1).max(1) as f64;
    let speakers = candidates
        .iter()
        .filter(|c| c.connects.iter().any(|x| ssh(x) && near(x.time.0)))
        .count();
    let population = candidates.len().max(2) as f64;
    let mut target: Option<(f64, IpAddr)> = None;
    let mut followed = false;
    for c in candidates.iter_mut() {
        if c.connects.is_empty() || events.is_empty() {
            continue;
        }
        let mut by_destination: BTreeMap<(IpAddr, u16), Vec<i64>> = BTreeMap::new();
        for x in &c.connects {
            if let Some(to) = destination(x) {
                by_destination.entry(to).or_default().push(x.time.0);
            }
        }
        let tried = by_destination.len().max(1) as f64;
        let mut best: Option<(f64, (IpAddr, u16), Match)> = None;
        for (to, times) in &by_destination {
            // Of so many destinations some are met by chance: another port than sshd's has to be met often.
            let enough = if to.1 == q.port || q.target_addrs.contains(&to.0) {
                2
            } else {
                (events.len() / 8).max(4)
            };
            if times.len() < enough {
                continue;
            }
            if let Some(m) = matcher.best(&events, times) {
                let ln = (m.ln_chance
                    + if to.1 == q.port {
                        0.0
                    } else {
                        tried.ln() + 2.0
                    })
                .min(0.0);
                if best.as_ref().is_none_or(|(b, ..)| ln < *b) {
                    best = Some((ln, *to, m));
                }
            }
        }
        let spoken: Vec<i64> = c
            .connects
            .iter()
            .filter(|x| ssh(x))
            .map(|x| x.time.0)
            .collect();
        let in_time = spoken.iter().filter(|t| near(**t)).count();
        let mut exes: Vec<String> = c.exes.iter().cloned().collect();
        exes.sort_by_key(|e| !odd_place(e));
        let with = exes.first().map_or(String::new(), |e| format!(" with {e}"));
        let odd = exes.iter().any(|e| odd_place(e));
        let follows = best
            .as_ref()
            .is_some_and(|(ln, ..)| weight_of(*ln) >= TELLING);
        if let Some((ln, to, fit)) = best
            && weight_of(ln) > 0.0
        {
            let text = format!(
                "connected to {} port {}{with}: {} of {} logins have a connect at {} (±{:.1} s), {} connects in all; {}",
                to.0,
                to.1,
                fit.matched.len(),
                events.len(),
                signed_span(fit.offset),
                fit.tolerance as f64 / SECOND as f64,
                fit.lines,
                chance_in_words(ln),
            );
            // Where the target is known, a connect to somebody else at the same moments may be another job of the same clock; or the
            // address leads to the target, which nobody here can tell.
            let elsewhere = !q.target_addrs.is_empty() && !q.target_addrs.contains(&to.0);
            let text = if elsewhere {
                format!("{text}; that is another address than the target's")
            } else {
                text
            };
            followed |= !elsewhere;
            if target.is_none_or(|(best, _)| ln < best) {
                target = Some((ln, to.0));
            }
            let matched: Vec<u32> = fit
                .matched
                .iter()
                .filter_map(|i| covered.get(*i as usize).copied())
                .collect();
            let at = c
                .connects
                .iter()
                .find(|x| destination(x) == Some(to))
                .map(|x| x.time);
            let ceiling = if elsewhere {
                NAMES_AND_TOOLS
            } else if follows {
                SEEN_CONNECTING
            } else {
                CIRCUMSTANCES
            };
            c.add(weight_of(ln), ceiling, &e.audit_name, at, text);
            if matched.len() > c.matched.len() || c.fit.is_none() {
                c.covered = events.len().max(c.covered);
                c.matched = matched;
            }
            if c.fit.as_ref().is_none_or(|(_, old)| ln < *old) {
                c.fit = Some((fit, ln));
            }
        }
        if in_time > 0 {
            // Among those who spoke SSH at all, and by how well the ten-minute pieces agree (a storm is one piece): who connects all
            // day long meets the logins too.
            let bins: BTreeSet<i64> = spoken.iter().map(|t| bin(*t)).collect();
            let around: BTreeSet<i64> = bins.iter().flat_map(|b| [b - 1, *b, b + 1]).collect();
            let hits = event_bins.iter().filter(|b| around.contains(b)).count() as f64;
            let pieces = event_bins.len().max(1) as f64;
            let by_chance = pieces * (around.len() as f64 / all_bins).min(1.0);
            let agreement = -ln_tail_of(pieces, hits, by_chance);
            let of_events = hits / pieces;
            let alone = (population / speakers.max(1) as f64).ln().clamp(0.0, 5.0);
            let mut weight = (alone + (agreement * 0.5).min(4.0)) * of_events;
            if q.target_addrs.is_empty() {
                weight = weight.min(7.0);
            } else {
                weight += 2.0;
            }
            if exes.iter().any(|e| tool_in(base(e)).is_some()) {
                weight += 1.0;
            }
            let to = c
                .connects
                .iter()
                .find(|x| ssh(x) && near(x.time.0))
                .and_then(destination);
            if target.is_none()
                && let Some((ip, _)) = to
            {
                target = Some((0.0, ip));
            }
            let at = spoken.first().map(|t| Time(*t));
            let text = format!(
                "{in_time} of its {} connects to port {}{with} fall into the time of the logins; {} of {weighed} candidates spoke SSH then",
                spoken.len(),
                to.map_or(q.port, |(_, p)| p),
                speakers,
                weighed = population,
            );
            // As many connects to one place as there were logins, and hardly any at other times.
            let same_number = by_destination.iter().any(|(to, times)| {
                let inside = times.iter().filter(|t| near(**t)).count();
                (to.1 == q.port || q.target_addrs.contains(&to.0))
                    && inside >= 5
                    && (events.len() / 2..=events.len() * 2).contains(&inside)
                    && inside * 5 >= times.len() * 4
            });
            let ceiling = if follows || same_number {
                SEEN_CONNECTING
            } else {
                CIRCUMSTANCES
            };
            c.add(weight, ceiling, &e.audit_name, at, text);
            if c.matched.is_empty() && of_events > 0.5 {
                c.covered = events.len();
                c.matched = covered
                    .iter()
                    .zip(&events)
                    .filter(|(_, t)| (-1..=1).any(|d| bins.contains(&(bin(**t) + d))))
                    .map(|(i, _)| *i)
                    .collect();
            }
            if odd {
                c.suspicious = true;
                let exe = exes.first().map_or("", |e| e.as_str());
                let text = format!("{exe} runs from where no installed program lies");
                let proof = e
                    .files
                    .iter()
                    .find(|f| !exe.is_empty() && f.path.ends_with(exe))
                    .map(|f| {
                        let before = q.events.first().map_or(0, |t| t - f.mtime.0);
                        format!(
                            "{text}; {} was written {} {} the first login",
                            f.path,
                            human_span(before.abs()),
                            if before >= 0 { "before" } else { "after" }
                        )
                    });
                let weight = if proof.is_some() { 4.0 } else { 3.0 };
                c.add(weight, ceiling, "files", None, proof.unwrap_or(text));
            }
        }
    }
    // The kernel saw who connected, and it was somebody else.
    if followed && covered.len() >= 3 {
        for c in candidates.iter_mut() {
            let connected = c.connects.iter().any(|x| ssh(x) && near(x.time.0));
            let seen = c
                .evidence
                .iter()
                .any(|(w, p)| *w > 0.0 && p.source == e.audit_name);
            if !connected && !seen {
                c.add(
                    -8.0,
                    0.0,
                    &e.audit_name,
                    None,
                    format!(
                        "made no connect at any of the {} logins that the audit log covers",
                        covered.len()
                    ),
                );
            }
        }
    }
    known.or(target.map(|(_, ip)| ip))
}

/// As whom the connects were made, and who had logged in to start them: said, not weighed.
pub(super) fn logins(e: &Evidence, candidates: &mut [Candidate<'_>]) {
    const NOBODY: u32 = u32::MAX;
    let account = |uid: u32| match e.accounts.get(&uid) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    };
    for c in candidates.iter_mut() {
        let logins = std::mem::take(&mut c.logins);
        for login in logins.iter().filter(|l| l.uid != NOBODY).take(4) {
            let who = account(login.uid);
            let text = match login.auid {
                NOBODY => format!("ran as {who}, started by no login"),
                same if same == login.uid => format!("ran as {who}, from a login of theirs"),
                other => format!("ran as {who}, from a login of {}", account(other)),
            };
            if !c.users.contains(&who) {
                c.users.push(who);
            }
            c.add(0.0, 0.0, &e.audit_name, None, text);
        }
    }
}
