//! From scores to confidence: candidates that explain the same logins share one probability, with the hypothesis that none of them did
//! it; each stays below the ceiling of the best kind of evidence against it.

use super::super::container::Container;
use super::super::matching::Match;
use super::{Candidate, Question, Ranking, Suspect};
use crate::finding::Evidence as Proof;
use crate::time::Time;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Worth showing.
const WORTH: f64 = 0.02;

const SHOWN: usize = 10;

/// What a rival loses that explains none of the logins that it could have shown, beside one that explains all.
const UNEXPLAINED: f64 = 8.0;

/// Part of the shorter list that stands in the other one too.
fn overlap(a: &[u32], b: &[u32]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let set: BTreeSet<&u32> = a.iter().collect();
    let both = b.iter().filter(|i| set.contains(i)).count();
    both as f64 / a.len().min(b.len()) as f64
}

/// Of those that explain the same logins whoever explains more of what it could have shown is more likely: chances below one in
/// billions say nothing about that any more.
fn compare(members: &[usize], candidates: &mut [Candidate<'_>]) {
    let share = |c: &Candidate<'_>| {
        (c.fit.is_some() && c.covered > 0).then(|| c.matched.len() as f64 / c.covered as f64)
    };
    let best = members
        .iter()
        .filter_map(|i| candidates.get(*i))
        .filter_map(share)
        .fold(0.0, f64::max);
    for i in members {
        if let Some(c) = candidates.get_mut(*i)
            && let Some(share) = share(c)
        {
            c.score -= UNEXPLAINED * (best - share).max(0.0);
        }
    }
}

pub(super) fn conclude(
    q: &Question,
    mut candidates: Vec<Candidate<'_>>,
    weighed: usize,
    target: Option<IpAddr>,
) -> Ranking {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key)));
    // Slots of candidates that explain the same logins.
    let mut slots: Vec<(Vec<u32>, Vec<usize>)> = Vec::new();
    for (i, c) in candidates.iter().enumerate() {
        let apart = c.matched.len() >= 3 && c.fit.is_some();
        let place = slots
            .iter()
            .position(|(matched, _)| !apart || overlap(matched, &c.matched) >= 0.5);
        match place {
            Some(at) => {
                if let Some((_, members)) = slots.get_mut(at) {
                    members.push(i);
                }
            }
            None => slots.push((c.matched.clone(), vec![i])),
        }
    }
    for (_, members) in &slots {
        compare(members, &mut candidates);
    }
    let mut confidence = vec![0.0f64; candidates.len()];
    for (_, members) in &slots {
        let score = |i: &usize| candidates.get(*i).map_or(f64::MIN, |c| c.score.min(40.0));
        let top = members.iter().map(score).fold(0.0, f64::max);
        let all: f64 = (-top).exp() + members.iter().map(|i| (score(i) - top).exp()).sum::<f64>();
        for i in members {
            if let Some(place) = confidence.get_mut(*i) {
                *place = (score(i) - top).exp() / all;
            }
        }
    }
    let mut explained: BTreeSet<u32> = BTreeSet::new();
    let mut suspects: Vec<Suspect> = Vec::new();
    for (c, p) in candidates.into_iter().zip(confidence) {
        let confidence = (p.min(c.ceiling) * 1000.0).round() / 1000.0;
        if confidence < WORTH {
            continue;
        }
        if confidence > 0.5 {
            explained.extend(&c.matched);
        }
        suspects.push(suspect(q, c, confidence));
    }
    suspects.sort_by(|a, b| {
        b.confidence
            .total_cmp(&a.confidence)
            .then(b.explains.cmp(&a.explains))
            .then_with(|| a.name.cmp(&b.name))
    });
    suspects.truncate(SHOWN);
    Ranking {
        suspects,
        weighed,
        target,
        unexplained: (q.events.len() - explained.len().min(q.events.len())) as u64,
    }
}

/// Longest command shown.
const MAX_COMMAND: usize = 500;

fn suspect(q: &Question, c: Candidate<'_>, confidence: f64) -> Suspect {
    let mut evidence = c.evidence;
    evidence.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let mut proofs: Vec<Proof> = evidence.into_iter().map(|(_, p)| p).take(12).collect();
    if let Some(k) = c.container
        && k.is_described()
    {
        proofs.push(Proof {
            source: "containers".to_owned(),
            at: k.born(),
            text: format!(
                "{} {} % of the logins",
                match k.finished {
                    Some(t) => {
                        let c = q.zone.civil(t);
                        let (date, time) = (
                            format!("{}-{:02}-{:02}", c.year, c.month, c.day),
                            format!("{:02}:{:02}:{:02}", c.hour, c.minute, c.second),
                        );
                        format!("lived until {date} {time} {}, alive at", q.zone.name)
                    }
                    None => "still running, alive at".to_owned(),
                },
                (c.alive * 100.0).floor()
            ),
        });
    }
    let mut command: String = c.command.chars().take(MAX_COMMAND).collect();
    if command.len() < c.command.len() {
        command.push('…');
    }
    let fit = c.fit.as_ref().map(|(m, _)| m);
    let step = fit.and_then(|m| m.step);
    let seconds = |micros: f64| (micros / 1000.0).round() / 1000.0;
    // Of a login's second the middle was taken; half of that is doubt.
    let within = |m: &Match| seconds(m.tolerance as f64 + q.resolution as f64 / 2.0);
    Suspect {
        kind: c.kind,
        container: c.container.map(|k| k.id.clone()),
        name: c.name,
        image: c.container.map_or(String::new(), |k| k.image.clone()),
        pod: c.container.map_or(String::new(), |k| k.pod.clone()),
        namespace: c.container.map_or(String::new(), |k| k.namespace.clone()),
        command,
        confidence,
        clock_offset_s: fit.map(|m| seconds(m.offset as f64)),
        clock_drift_s_per_day: fit
            .filter(|m| m.drift.abs() > 50_000.0)
            .map(|m| seconds(m.drift)),
        clock_step_s: step.map(|s| seconds(s.by as f64)),
        clock_step_at: step.map(|s| Time(s.at)),
        clock_offset_within_s: fit.map(within),
        chance_match: c.fit.as_ref().map(|(_, ln)| ln.exp()),
        explains: c.matched.len() as u64,
        of: c.covered as u64,
        created: c.container.and_then(Container::born),
        finished: c.container.and_then(|k| k.finished),
        exit_code: c.container.and_then(|k| k.exit_code),
        suspicious: c.suspicious,
        users: c.users,
        evidence: proofs,
        matched: c.matched,
        way: c.way,
    }
}
