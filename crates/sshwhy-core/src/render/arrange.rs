//! What is shown, in which order, and how much of it: the same choice in the text view and on the page.
//!
//! Four hundred attackers must not push one break-in off the screen. What is severe or alone of its kind stands in full;
//! the rest of a kind goes to a table. Nothing is judged here: severity, kind and hostility were given.

use crate::finding::{Finding, Kind, Severity};
use crate::report::{Activity, Bucket, Login};
use std::collections::HashMap;

/// A piece of the list of findings.
#[derive(Clone, Debug)]
pub enum Block<'a> {
    Full(&'a Finding),
    Tail(Tail<'a>),
}

/// Findings of one kind that get a line each.
#[derive(Clone, Debug)]
pub struct Tail<'a> {
    /// How many of the kind stand in full above.
    pub full: usize,
    /// Best first; at least two.
    pub findings: Vec<&'a Finding>,
}

impl Tail<'_> {
    fn severity(&self) -> Severity {
        self.findings
            .first()
            .map_or(Severity::Informational, |f| f.severity)
    }
}

/// Findings that stand in full whatever their kind's number, by severity.
fn quota(f: &Finding, of_kind: usize) -> usize {
    match f.severity {
        // Causes and lints differ from each other even where they share a slug.
        _ if f.kind != Kind::Detection => usize::MAX,
        _ if of_kind <= 2 => 2,
        Severity::Critical => 10,
        Severity::High => 3,
        _ if f.hostile => 0,
        _ => 2,
    }
}

/// The list of findings in the order to show it: what needs a person, the long tail of attackers below it, then what
/// only needs to be known. Takes `findings` best first.
pub fn blocks(findings: &[Finding]) -> Vec<Block<'_>> {
    let mut of_kind: HashMap<&str, usize> = HashMap::new();
    for f in findings {
        *of_kind.entry(f.slug).or_default() += 1;
    }
    let mut in_full: HashMap<&str, usize> = HashMap::new();
    let mut full: Vec<(usize, &Finding)> = Vec::new();
    let mut tails: Vec<(&str, Vec<(usize, &Finding)>)> = Vec::new();
    for (at, f) in findings.iter().enumerate() {
        let so_far = in_full.entry(f.slug).or_default();
        if *so_far < quota(f, of_kind.get(f.slug).copied().unwrap_or(0)) {
            *so_far += 1;
            full.push((at, f));
        } else if let Some(tail) = tails.iter_mut().find(|t| t.0 == f.slug) {
            tail.1.push((at, f));
        } else {
            tails.push((f.slug, vec![(at, f)]));
        }
    }
    // A table of one row saves nothing.
    tails.retain(|(_, tail)| match tail.as_slice() {
        [one] => {
            full.push(*one);
            false
        }
        _ => true,
    });
    full.sort_unstable_by_key(|(at, _)| *at);
    let mut out = Vec::with_capacity(full.len() + tails.len());
    let minor = |severity: Severity| severity < Severity::Medium;
    for pass in [false, true] {
        let full = full.iter().map(|(_, f)| *f);
        out.extend(full.filter(|f| minor(f.severity) == pass).map(Block::Full));
        let tails = tails.iter().map(|(slug, tail)| Tail {
            full: in_full.get(slug).copied().unwrap_or(0),
            findings: tail.iter().map(|(_, f)| *f).collect(),
        });
        out.extend(
            tails
                .filter(|t| minor(t.severity()) == pass)
                .map(Block::Tail),
        );
    }
    out
}

/// Logins that a finding names, then the latest, at most `limit`; in the order of the log.
pub fn logins(logins: &[Login], limit: usize) -> Vec<&Login> {
    let named = logins.iter().filter(|l| !l.findings.is_empty()).count();
    let mut named_left = named.min(limit);
    let mut others_left = limit - named_left;
    let mut others_skip = (logins.len() - named).saturating_sub(others_left);
    logins
        .iter()
        .filter(|l| {
            let (left, skip) = if l.findings.is_empty() {
                (&mut others_left, &mut others_skip)
            } else {
                (&mut named_left, &mut 0)
            };
            if *skip > 0 {
                *skip -= 1;
                return false;
            }
            let take = *left > 0;
            *left -= usize::from(take);
            take
        })
        .collect()
}

/// One of the things counted over time.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    pub name: &'static str,
    pub of: fn(&Bucket) -> u64,
}

impl Series {
    pub fn total(&self, buckets: &[Bucket]) -> u64 {
        buckets.iter().map(self.of).fold(0, u64::saturating_add)
    }

    pub fn most(&self, buckets: &[Bucket]) -> u64 {
        buckets.iter().map(self.of).max().unwrap_or(0)
    }
}

pub const SERIES: [Series; 3] = [
    Series {
        name: "failures",
        of: |b| b.failures,
    },
    Series {
        name: "logins",
        of: |b| b.accepted,
    },
    Series {
        name: "other",
        of: |b| b.other,
    },
];

/// Activity in at most `most` columns of equal length, with the seconds of one; `None` where there is nothing to see.
pub fn columns(activity: &Activity, most: usize) -> Option<(u64, Vec<Bucket>)> {
    let buckets = &activity.buckets;
    if buckets.len() < 2 || SERIES.iter().all(|s| s.total(buckets) == 0) {
        return None;
    }
    let per = buckets.len().div_ceil(most.max(1));
    let columns = buckets
        .chunks(per)
        .map(|chunk| Bucket {
            start: chunk.first().map(|b| b.start).unwrap_or_default(),
            failures: SERIES[0].total(chunk),
            accepted: SERIES[1].total(chunk),
            other: SERIES[2].total(chunk),
        })
        .collect();
    Some((activity.bucket_seconds.saturating_mul(per as u64), columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Subjects;
    use crate::time::Time;

    fn finding(slug: &'static str, severity: Severity, hostile: bool) -> Finding {
        Finding {
            id: "SW1000",
            slug,
            cause: None,
            kind: Kind::Detection,
            severity,
            confidence: 1.0,
            hostile,
            headline: String::new(),
            subjects: Subjects::default(),
            first: None,
            last: None,
            count: 1,
            evidence: Vec::new(),
            notes: Vec::new(),
            remedy: Vec::new(),
            refs: Vec::new(),
        }
    }

    /// `full slug` or `slug ×n after m`.
    fn shape(findings: &[Finding]) -> Vec<String> {
        blocks(findings)
            .iter()
            .map(|b| match b {
                Block::Full(f) => format!("full {}", f.slug),
                Block::Tail(t) => {
                    format!(
                        "{} ×{} after {}",
                        t.findings[0].slug,
                        t.findings.len(),
                        t.full
                    )
                }
            })
            .collect()
    }

    fn many(n: usize, slug: &'static str, severity: Severity, hostile: bool) -> Vec<Finding> {
        vec![finding(slug, severity, hostile); n]
    }

    #[test]
    fn the_tail_stands_below_what_needs_a_person() {
        let findings = [
            many(1, "success-after-failures", Severity::Critical, true),
            many(400, "brute-force", Severity::Medium, true),
            many(1, "broken-login", Severity::Medium, false),
            many(1, "port-monitor", Severity::Informational, false),
        ]
        .concat();
        assert_eq!(
            shape(&findings),
            [
                "full success-after-failures",
                "full broken-login",
                "brute-force ×400 after 0",
                "full port-monitor"
            ]
        );
    }

    #[test]
    fn high_ones_fill_a_quota_and_one_left_over_stands_in_full() {
        let high = |n| shape(&many(n, "brute-force", Severity::High, true));
        assert_eq!(high(4), ["full brute-force"; 4]);
        assert_eq!(high(5)[3], "brute-force ×2 after 3");
        assert_eq!(
            shape(&many(2, "brute-force", Severity::Medium, true)),
            ["full brute-force"; 2]
        );
        assert_eq!(
            shape(&many(
                12,
                "success-after-failures",
                Severity::Critical,
                true
            ))[10],
            "success-after-failures ×2 after 10"
        );
    }

    #[test]
    fn causes_are_never_put_in_a_table() {
        let mut findings = many(30, "weak-algorithm", Severity::Low, false);
        findings.iter_mut().for_each(|f| f.kind = Kind::Lint);
        assert_eq!(shape(&findings), ["full weak-algorithm"; 30]);
    }

    #[test]
    fn nothing_is_lost() {
        let severities = [
            Severity::Critical,
            Severity::High,
            Severity::Medium,
            Severity::Low,
        ];
        for n in 0..20 {
            let findings: Vec<Finding> = severities
                .iter()
                .flat_map(|s| {
                    many(
                        n,
                        if *s > Severity::Low { "a" } else { "b" },
                        *s,
                        n % 2 == 0,
                    )
                })
                .collect();
            let shown: usize = blocks(&findings)
                .iter()
                .map(|b| match b {
                    Block::Full(_) => 1,
                    Block::Tail(t) => t.findings.len(),
                })
                .sum();
            assert_eq!(shown, findings.len());
        }
    }

    #[test]
    fn logins_in_a_finding_come_before_the_latest() {
        let all: Vec<Login> = (0..10)
            .map(|n| Login {
                at: Some(Time(n)),
                findings: if n == 2 || n == 3 {
                    vec!["root-login"]
                } else {
                    vec![]
                },
                ..Login::default()
            })
            .collect();
        let at = |limit| -> Vec<i64> {
            logins(&all, limit)
                .iter()
                .filter_map(|l| Some(l.at?.0))
                .collect()
        };
        assert!(at(0).is_empty());
        assert_eq!(at(1), [2]);
        assert_eq!(at(4), [2, 3, 8, 9]);
        assert_eq!(at(usize::MAX), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn columns_keep_the_sum() {
        let activity = Activity {
            bucket_seconds: 60,
            buckets: (0..7)
                .map(|n| Bucket {
                    start: Time::from_secs(n * 60),
                    failures: n as u64,
                    ..Bucket::default()
                })
                .collect(),
            ..Activity::default()
        };
        let (seconds, folded) = columns(&activity, 3).unwrap();
        assert_eq!(seconds, 180);
        assert_eq!(
            folded.iter().map(|b| b.failures).collect::<Vec<_>>(),
            [3, 12, 6]
        );
        assert_eq!(folded[1].start, Time::from_secs(180));
        assert!(columns(&Activity::default(), 3).is_none());
    }
}
