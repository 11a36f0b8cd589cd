//! What is odd about a source of logins: when, how often, in which order failures and successes come, and what that says.
//!
//! Two things are told apart. *Automation that is configured wrongly* comes in a fixed window for many days and fails and succeeds
//! in turn, with the same few users. An *intrusion* is a storm of failures, faster than a schedule would be, that ends when a
//! guess was right; or something that runs from a place where no program belongs. What fits neither is unknown.

use super::acts::{Act, Source};
use crate::time::{DAY, HOUR, MINUTE, SECOND, Time, Zone, human_span};
use serde::Serialize;

/// Failures within [`STORM_SPAN`] that are a storm.
const STORM: usize = 20;
const STORM_SPAN: i64 = 10 * MINUTE;
/// Who tries so many user names guesses.
const NAMES: usize = 5;
/// A longer pause ends a chain of guesses.
const PAUSE: i64 = 3 * MINUTE;
/// Nobody guesses by a timer slower than this; jobs retry by one.
const BEAT: i64 = 20 * SECOND;
/// Logins at one distance from each other, all day long, are a timer's from so many on, over so long.
const BEATS: usize = 20;
const BEATS_SPAN: i64 = 6 * HOUR;
/// A job that waits longer after a failure skips so many beats at most.
const SKIPPED: i64 = 6;

/// Counts of one day (or night: days are cut at the quietest hour).
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Night {
    /// The date on which it begins, in the zone of the view: `2026-03-29`.
    pub date: String,
    pub failures: u64,
    pub successes: u64,
    /// By hour of the day (0–23) of the zone: logins tried.
    pub hours: [u32; 24],
    #[serde(skip)]
    pub start: Time,
}

/// When and how a source logs in.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Pattern {
    pub logins: u64,
    pub failures: u64,
    pub successes: u64,
    pub users: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// Hours of the day between which nearly all of it happens (`00:00`, `04:00`); empty where it is spread over the day.
    pub window: Vec<String>,
    pub nights: Vec<Night>,
    /// How often failure and success follow each other.
    pub crossings: u64,
    /// Most failures within ten minutes.
    pub storm: u64,
    /// Guessing ended in a success; nothing had succeeded before it.
    pub storm_won: bool,
    /// Failures without a pause that led up to the first success.
    pub chain: u64,
    /// Failures before the first success, with whatever pauses.
    pub before: u64,
    /// The chain may have been guessing: half of what would show it by itself.
    #[serde(skip)]
    pub perhaps_guessed: bool,
    /// Microseconds from one login to the next, where they keep a beat.
    #[serde(skip)]
    pub every: Option<i64>,
    /// It comes over the Internet.
    #[serde(skip)]
    pub public: bool,
}

/// What the target's log alone says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Intrusion,
    MisconfiguredAutomation,
    #[default]
    Unknown,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Intrusion => "intrusion",
            Verdict::MisconfiguredAutomation => "misconfigured-automation",
            Verdict::Unknown => "unknown",
        }
    }
}

/// Local hour of the day.
fn hour(t: Time, zone: &Zone) -> usize {
    usize::from(zone.civil(t).hour)
}

/// The shortest run of hours (start, length) that holds at least 95 % of the acts.
fn window_of(hours: &[u64; 24]) -> Option<(usize, usize)> {
    let all: u64 = hours.iter().sum();
    let at = |h: usize| hours.get(h % 24).copied().unwrap_or(0);
    (1..=24).find_map(|len| {
        (0..24)
            .map(|start| {
                let held: u64 = (0..len).map(|i| at(start + i)).sum();
                (held, start)
            })
            // A run that begins and ends in an empty hour is not the shortest; ties go to the earliest start.
            .max_by_key(|(held, start)| (*held, std::cmp::Reverse(*start)))
            .filter(|(held, _)| *held * 100 >= all * 95)
            .map(|(_, start)| (start, len))
    })
}

impl Pattern {
    pub fn of(source: &Source, zone: &Zone) -> Pattern {
        let acts = &source.acts;
        let mut hours = [0u64; 24];
        for a in acts {
            if let Some(h) = hours.get_mut(hour(a.at, zone)) {
                *h += 1;
            }
        }
        let window = window_of(&hours);
        // Days are cut in the middle of the quiet time, so that a night is one piece.
        let cut = window.map_or(0, |(start, len)| (start + len + (24 - len) / 2) % 24);
        let storm = storm(acts);
        let (chain, steady) = guessed(acts);
        Pattern {
            logins: acts.len() as u64,
            failures: source.failures(),
            successes: source.successes(),
            users: source.users.iter().take(20).cloned().collect(),
            first: acts.first().map(|a| a.at),
            last: acts.last().map(|a| a.at),
            window: match window {
                Some((start, len)) if len <= 12 && acts.len() >= 3 => vec![
                    format!("{start:02}:00"),
                    format!("{:02}:00", (start + len) % 24),
                ],
                _ => Vec::new(),
            },
            nights: nights(acts, zone, cut),
            crossings: acts
                .iter()
                .zip(acts.iter().skip(1))
                .filter(|(a, b)| a.ok != b.ok)
                .count() as u64,
            storm,
            storm_won: chain >= STORM as u64 && !steady,
            perhaps_guessed: chain >= STORM as u64 / 2 && !steady,
            chain,
            before: acts
                .iter()
                .take_while(|a| !a.ok)
                .map(|a| u64::from(a.failures))
                .sum(),
            every: beat(acts),
            public: source.public,
        }
    }

    /// Days with anything in them.
    pub fn active_nights(&self) -> usize {
        self.nights
            .iter()
            .filter(|n| n.failures + n.successes > 0)
            .count()
    }

    /// How little this looks like people or like the noise of the Internet; only the order matters. `log` is what the target's log
    /// spans.
    pub fn oddness(&self, public: bool, log: Option<(Time, Time)>) -> f64 {
        let nights = self.active_nights();
        let mut odd = (self.logins as f64).ln_1p() * 0.5;
        if self.failures > 0 && self.successes > 0 {
            odd += 1.5 + (self.crossings as f64).ln_1p();
        }
        if !self.window.is_empty() && nights >= 3 {
            odd += 1.5;
        }
        if self.storm_won {
            odd += 5.0;
        }
        if public && self.successes == 0 {
            odd -= 4.0;
        } else if !public {
            odd += 1.0;
        }
        if self.failures == 0 {
            odd -= 2.0;
        }
        if let (Some(first), Some((from, until))) = (self.first, log)
            && until.0 - from.0 > 3 * DAY
            && first.0 - from.0 > DAY
            && self.logins >= 3
        {
            odd += 1.0;
        }
        odd
    }

    /// What the target's log says by itself, and why.
    pub fn verdict(&self) -> (Verdict, Vec<String>) {
        let nights = self.active_nights();
        let mut why = Vec::new();
        let regular = nights >= 3 && (!self.window.is_empty() || self.crossings >= 4);
        if self.storm_won && !(regular && self.crossings >= 6) {
            why.push(format!(
                "{} failures without a pause, at times {} within ten minutes, then a success: a password was guessed",
                self.chain, self.storm
            ));
            return (Verdict::Intrusion, why);
        }
        if self.successes > 0 && self.before >= STORM as u64 && self.users.len() >= NAMES {
            why.push(format!(
                "{} failures with {} user names, slowly, then a success: somebody guessed until it was right",
                self.before,
                self.users.len()
            ));
            return (Verdict::Intrusion, why);
        }
        // What never fails is a job that works, or a person: nothing is wrong with it that this log would know of.
        if regular && self.failures == 0 {
            why.push(format!(
                "it came back on {nights} days and was let in each time: a job that works, or a person"
            ));
            return (Verdict::Unknown, why);
        }
        if regular && self.logins >= 5 && self.users.len() <= 10 {
            why.push(if self.window.is_empty() {
                format!("it came back on {nights} days")
            } else {
                format!(
                    "it came back on {nights} days, always between {} and {}",
                    self.window.first().map_or("", |w| w),
                    self.window.last().map_or("", |w| w)
                )
            });
            if self.successes > 0 && self.failures > 0 {
                why.push(format!(
                    "failures and successes cross ({} changes between them): whoever does it knows a password that is right only sometimes, or in some places",
                    self.crossings
                ));
            } else if self.successes == 0 {
                why.push(
                    "it fails every time and never changes what it tries: no guessing".to_owned(),
                );
            }
            if self.users.len() == 1 {
                why.push(format!("always the user {}", self.users.concat()));
            }
            let guesses = self.successes == 0 && self.storm >= STORM as u64;
            if !guesses {
                return (Verdict::MisconfiguredAutomation, why);
            }
        }
        // From the Internet the same beat may be the patience of somebody who guesses.
        if let Some(every) = self.every
            && self.failures > 0
            && self.users.len() <= 3
            && self.storm < STORM as u64
            && !self.public
        {
            why.push(format!(
                "one login each {} and hardly any in between: a timer, not a person",
                human_span(every)
            ));
            if self.successes == 0 {
                why.push(
                    "it fails every time and never changes what it tries: no guessing".to_owned(),
                );
            }
            return (Verdict::MisconfiguredAutomation, why);
        }
        if self.crossings >= 4 && self.storm < STORM as u64 && self.users.len() <= 3 {
            why.push(format!(
                "failures and successes cross {} times without any guessing",
                self.crossings
            ));
            return (Verdict::MisconfiguredAutomation, why);
        }
        why.clear();
        if self.storm >= STORM as u64 {
            why.push(format!(
                "{} failures within ten minutes and no success after them: an attack that did not get in, or a job that retries without end",
                self.storm
            ));
        } else {
            why.push(format!(
                "{} logins on {} days are too few, or too mixed, to tell",
                self.logins, nights
            ));
        }
        (Verdict::Unknown, why)
    }
}

/// Most failures in [`STORM_SPAN`].
fn storm(acts: &[Act]) -> u64 {
    let failed: Vec<(Time, u64)> = acts
        .iter()
        .filter(|a| !a.ok)
        .map(|a| (a.at, u64::from(a.failures.max(1))))
        .collect();
    let (mut from, mut held, mut most) = (0usize, 0u64, 0u64);
    for (at, n) in &failed {
        held += n;
        while let Some((old, m)) = failed.get(from)
            && at.0 - old.0 > STORM_SPAN
        {
            held -= m;
            from += 1;
        }
        most = most.max(held);
    }
    most
}

/// The distance that nine of ten logins keep to the next one, or a small multiple of it: jobs that wait longer after a failure.
fn beat(acts: &[Act]) -> Option<i64> {
    let (first, last) = (acts.first()?.at.0, acts.last()?.at.0);
    if acts.len() < BEATS || last - first < BEATS_SPAN {
        return None;
    }
    let mut gaps: Vec<i64> = acts
        .iter()
        .zip(acts.iter().skip(1))
        .map(|(a, b)| b.at.0 - a.at.0)
        .collect();
    gaps.sort_unstable();
    let every = *gaps.get(gaps.len() / 2)?;
    if every < BEAT {
        return None;
    }
    let kept = gaps
        .iter()
        .filter(|g| {
            let times = (**g + every / 2) / every;
            (1..=SKIPPED).contains(&times) && (**g - times * every).abs() <= times * every / 6
        })
        .count();
    (kept * 10 >= gaps.len() * 9).then_some(every)
}

/// The failures that led up to the first success, none farther than [`PAUSE`] from the next, and whether they keep the beat of a job
/// that tries the same again each minute, which many guesses do not.
fn guessed(acts: &[Act]) -> (u64, bool) {
    let Some(won) = acts.iter().position(|a| a.ok) else {
        return (0, false);
    };
    let before = acts.get(..won).unwrap_or_default();
    let mut next = acts.get(won).map_or(0, |a| a.at.0);
    let mut chain = 0u64;
    let mut gaps: Vec<i64> = Vec::new();
    for act in before.iter().rev() {
        let gap = next - act.at.0;
        if gap > PAUSE {
            break;
        }
        // The last gap is the winner's: it may have waited, and a chain of one connection has no other.
        gaps.push(gap);
        chain += u64::from(act.failures.max(1));
        next = act.at.0;
    }
    gaps.sort_unstable();
    let at = |share: usize| gaps.get(gaps.len() * share / 10).copied().unwrap_or(0);
    let (early, middle, late) = (at(1), at(5), at(9));
    (chain, middle >= BEAT && late - early <= middle / 10)
}

/// The longest run of days that is listed one by one.
const MAX_NIGHTS: i64 = 4000;

fn nights(acts: &[Act], zone: &Zone, cut: usize) -> Vec<Night> {
    let day_of = |t: Time| {
        let local = t.secs() + i64::from(zone.offset_at(t.secs())) - cut as i64 * 3600;
        local.div_euclid(86_400)
    };
    let (Some(first), Some(last)) = (acts.first(), acts.last()) else {
        return Vec::new();
    };
    let (from, until) = (day_of(first.at), day_of(last.at));
    if until - from > MAX_NIGHTS {
        return Vec::new();
    }
    let mut out: Vec<Night> = (from..=until)
        .map(|day| {
            // A night that begins in the evening carries the date of the morning it ends in, as people say it.
            let local = day * 86_400 + cut as i64 * 3600;
            let named = if cut >= 12 { local + 86_400 } else { local };
            let (y, m, d) = crate::time::civil_from_days(named.div_euclid(86_400));
            Night {
                date: format!("{y:04}-{m:02}-{d:02}"),
                start: Time::from_secs(zone.to_utc(local).first()),
                ..Night::default()
            }
        })
        .collect();
    for act in acts {
        if let Some(night) = out.get_mut((day_of(act.at) - from) as usize) {
            night.failures += u64::from(act.failures);
            night.successes += u64::from(act.ok);
            if let Some(h) = night.hours.get_mut(hour(act.at, zone)) {
                *h += 1;
            }
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::session::LineRef;

    pub fn act(secs: i64, ok: bool) -> Act {
        Act {
            at: Time::from_secs(secs),
            addr: 0,
            user: 0,
            host: 0,
            ok,
            stay: None,
            failures: u32::from(!ok),
            line: LineRef::default(),
        }
    }

    pub fn source(acts: Vec<Act>, users: &[&str]) -> Source {
        Source {
            addr: "192.0.2.7".to_owned(),
            public: false,
            acts,
            users: users.iter().map(|u| (*u).to_owned()).collect(),
            hosts: vec!["db-3".to_owned()],
        }
    }

    const MIDNIGHT: i64 = 1_680_019_200; // 2023-03-29 00:00 at +08:00

    fn nightly(nights: i64, ok: impl Fn(i64) -> bool) -> Vec<Act> {
        (0..nights)
            .flat_map(|n| (0..10).map(move |k| (n, k)))
            .map(|(n, k)| {
                act(
                    MIDNIGHT + n * 86_400 + 900 * k + (n * 37 + k * 91) % 600,
                    ok(n * 10 + k),
                )
            })
            .collect()
    }

    fn zone() -> Zone {
        Zone::fixed("+08:00", 28_800)
    }

    #[test]
    fn nightly_mixture_is_automation() {
        let p = Pattern::of(&source(nightly(6, |i| i % 3 == 0), &["ops"]), &zone());
        assert_eq!(p.window, ["00:00", "03:00"]);
        assert_eq!(p.nights.len(), 6);
        assert_eq!(p.nights[0].date, "2023-03-29");
        assert!(p.nights.iter().all(|n| n.failures + n.successes == 10));
        assert_eq!(p.verdict().0, Verdict::MisconfiguredAutomation);
    }

    #[test]
    fn automation_that_only_ever_fails_is_no_intrusion() {
        let p = Pattern::of(&source(nightly(6, |_| false), &["ops"]), &zone());
        assert_eq!(p.verdict().0, Verdict::MisconfiguredAutomation);
    }

    #[test]
    fn a_storm_that_ends_in_a_success_is_an_intrusion_and_one_that_does_not_is_unknown() {
        let mut acts: Vec<Act> = (0..300).map(|i| act(MIDNIGHT + i, false)).collect();
        let lost = Pattern::of(&source(acts.clone(), &["root"]), &zone());
        assert_eq!(lost.verdict().0, Verdict::Unknown);
        acts.push(act(MIDNIGHT + 303, true));
        let won = Pattern::of(&source(acts.clone(), &["root"]), &zone());
        assert_eq!(won.verdict().0, Verdict::Intrusion);
        assert_eq!(won.storm, 300);
        // The same storm from somebody who had been getting in all along: no guess.
        acts.insert(0, act(MIDNIGHT - 86_400, true));
        let known = Pattern::of(&source(acts, &["root"]), &zone());
        assert_ne!(known.verdict().0, Verdict::Intrusion);
    }

    #[test]
    fn slow_guessing_is_guessing_and_a_job_that_retries_by_a_timer_is_not() {
        // Every 20 to 40 seconds for more than an hour, so that the fastest ten minutes are long over when it gets in.
        let mut at = MIDNIGHT;
        let mut acts: Vec<Act> = Vec::new();
        for i in 0..200 {
            at += if i < 40 { 18 } else { 20 + (i * 7919) % 20 };
            acts.push(act(at, false));
        }
        acts.push(act(at + 25, true));
        let p = Pattern::of(&source(acts, &["admin"]), &zone());
        assert!(p.storm_won && p.chain == 200, "{} {}", p.chain, p.storm);
        assert_eq!(p.verdict().0, Verdict::Intrusion);
        // Each minute for hours, until somebody put the password right.
        let mut acts: Vec<Act> = (0..300)
            .map(|i| act(MIDNIGHT + i * 60 + i % 2, false))
            .collect();
        acts.push(act(MIDNIGHT + 300 * 60, true));
        let p = Pattern::of(&source(acts, &["ops"]), &zone());
        assert_ne!(p.verdict().0, Verdict::Intrusion);
    }

    #[test]
    fn many_names_tried_slowly_are_guesses() {
        let mut acts: Vec<Act> = (0..60)
            .map(|i| act(MIDNIGHT + i * 1000 + (i * 7919) % 500, false))
            .collect();
        acts.push(act(MIDNIGHT + 61_000, true));
        let names = ["root", "admin", "test", "oracle", "pi", "git"];
        let verdict = |names: &[&str]| {
            Pattern::of(&source(acts.clone(), names), &zone())
                .verdict()
                .0
        };
        assert_eq!(verdict(&names), Verdict::Intrusion);
        assert_ne!(verdict(&names[..2]), Verdict::Intrusion);
    }

    #[test]
    fn what_never_fails_is_no_misconfiguration() {
        let p = Pattern::of(&source(nightly(8, |_| true), &["alice"]), &zone());
        assert_eq!(p.verdict().0, Verdict::Unknown);
        assert!(p.verdict().1.concat().contains("let in each time"));
    }

    #[test]
    fn a_night_across_midnight_is_one_night() {
        let acts = (0..5)
            .flat_map(|n| [-3000, -60, 60, 3000].map(|s| act(MIDNIGHT + n * 86_400 + s, s > 0)))
            .collect();
        let p = Pattern::of(&source(acts, &["ops"]), &zone());
        assert_eq!(p.window, ["23:00", "01:00"]);
        assert_eq!(p.nights.len(), 5);
        assert_eq!(p.nights[0].date, "2023-03-29");
    }

    #[test]
    fn three_logins_say_nothing() {
        let p = Pattern::of(
            &source(
                vec![act(MIDNIGHT, true), act(MIDNIGHT + 5000, false)],
                &["a"],
            ),
            &zone(),
        );
        assert_eq!(p.verdict().0, Verdict::Unknown);
    }

    #[test]
    fn inside_and_crossing_is_odder_than_noise_from_outside() {
        let odd = Pattern::of(&source(nightly(6, |i| i % 3 == 0), &["ops"]), &zone());
        let noise = Pattern::of(
            &source(
                (0..5000).map(|i| act(MIDNIGHT + i * 100, false)).collect(),
                &["root"],
            ),
            &zone(),
        );
        let person = Pattern::of(
            &source(
                (0..40).map(|i| act(MIDNIGHT + i * 40_000, true)).collect(),
                &["alice"],
            ),
            &zone(),
        );
        let log = Some((
            Time::from_secs(MIDNIGHT - 864_000),
            Time::from_secs(MIDNIGHT + 864_000),
        ));
        assert!(odd.oddness(false, log) > noise.oddness(true, log));
        assert!(odd.oddness(false, log) > person.oddness(false, log));
    }
}
