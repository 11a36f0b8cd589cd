//! What is remembered of one source: an IPv4 address, an IPv6 /64, or an IPv6 network around several.

use super::policy::Rule;
use crate::time::{DAY, Time};
use serde::{Deserialize, Serialize};

/// The last few moments of something, in order: as many as a rule asks for, so that it can say whether they lie close enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window(Vec<i64>);

impl Window {
    /// Notes one; says whether the rule's number has been reached within its time. Late news finds its place.
    pub fn hit(&mut self, at: Time, rule: &Rule) -> bool {
        let keep = rule.maxretry.max(1) as usize;
        let place = self.0.partition_point(|t| *t <= at.0);
        self.0.insert(place, at.0);
        let reached = self
            .0
            .windows(keep)
            .any(|w| matches!((w.first(), w.last()), (Some(a), Some(b)) if b - a <= rule.findtime));
        if self.0.len() > keep {
            self.0.drain(..self.0.len() - keep);
        }
        reached
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many are kept that lie within `span` of the last one.
    pub fn recent(&self, span: i64) -> usize {
        let last = self.0.last().copied().unwrap_or(0);
        self.0.iter().filter(|t| last - **t <= span).count()
    }

    pub fn first(&self) -> Option<Time> {
        self.0.first().copied().map(Time)
    }
}

/// Distinct things (user names, neighbours) with the time when each was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Set(Vec<(u64, i64, bool)>);

/// More than any rule asks for are not kept.
const SET: usize = 64;

impl Set {
    /// Notes one, with a mark; the oldest gives way.
    pub fn note(&mut self, what: u64, at: Time, mark: bool) {
        if let Some(known) = self.0.iter_mut().find(|k| k.0 == what) {
            known.1 = known.1.max(at.0);
            known.2 |= mark;
            return;
        }
        if self.0.len() >= SET
            && let Some(oldest) = (0..self.0.len()).min_by_key(|i| self.0.get(*i).map(|k| k.1))
        {
            self.0.swap_remove(oldest);
        }
        self.0.push((what, at.0, mark));
    }

    /// How many were seen within `span` before `now`: all, and those with the mark.
    pub fn count(&self, now: Time, span: i64) -> (usize, usize) {
        let near = self.0.iter().filter(|k| now.0 - k.1 <= span);
        near.fold((0, 0), |(all, marked), k| {
            (all + 1, marked + usize::from(k.2))
        })
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Fills by one a failure and leaks all the time: over when it holds more than it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    level: f64,
    at: i64,
}

impl Bucket {
    pub fn pour(&mut self, at: Time, n: u32, rule: &Rule, leak: u32) -> bool {
        let passed = (at.0 - self.at).max(0) as f64;
        let leaked = passed * f64::from(leak) / (rule.findtime.max(1) as f64);
        self.level = (self.level - leaked).max(0.0) + f64::from(n);
        self.at = self.at.max(at.0);
        self.level > f64::from(rule.maxretry)
    }

    pub fn empty(&mut self) {
        self.level = 0.0;
    }
}

/// All of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    #[serde(rename = "f", skip_serializing_if = "is_default")]
    pub fails: Window,
    #[serde(rename = "b", skip_serializing_if = "is_default")]
    pub bucket: Bucket,
    #[serde(rename = "n", skip_serializing_if = "is_default")]
    pub names: Set,
    #[serde(rename = "p", skip_serializing_if = "is_default")]
    pub probes: Window,
    #[serde(rename = "t", skip_serializing_if = "is_default")]
    pub floods: Window,
    #[serde(rename = "w", skip_serializing_if = "is_default")]
    pub slips: Window,
    /// Every failure ever counted here.
    #[serde(rename = "c", skip_serializing_if = "is_default")]
    pub total: u64,
    /// When somebody last got in from here. 0: never.
    #[serde(rename = "k", skip_serializing_if = "is_default")]
    pub known: i64,
    #[serde(rename = "s", skip_serializing_if = "is_default")]
    pub strikes: u32,
    /// When the last ban began and ends, in the decider's time. 0: none.
    #[serde(rename = "lb", skip_serializing_if = "is_default")]
    pub banned: i64,
    #[serde(rename = "u", skip_serializing_if = "is_default")]
    pub until: i64,
    #[serde(rename = "l")]
    pub seen: i64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Who got in within this time is a user of this machine. Microseconds.
pub const KNOWN: i64 = 30 * DAY;

impl Source {
    pub fn is_banned(&self, now: Time) -> bool {
        self.until > now.0
    }

    pub fn is_known(&self, now: Time) -> bool {
        self.known != 0 && now.0 - self.known <= KNOWN
    }

    /// Begins to count anew: a ban has answered for what was, or somebody got in who mistyped before.
    pub fn forgive(&mut self) {
        self.fails.clear();
        self.bucket.empty();
        self.names.clear();
        self.probes.clear();
        self.floods.clear();
        self.slips.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{HOUR, MINUTE};

    fn rule(maxretry: u32, findtime: i64) -> Rule {
        Rule {
            on: true,
            maxretry,
            findtime,
            bantime: HOUR,
        }
    }

    fn secs(n: i64) -> Time {
        Time::from_secs(n)
    }

    #[test]
    fn a_window_fills_with_the_last_one_and_slides() {
        let r = rule(3, MINUTE);
        let mut w = Window::default();
        assert_eq!(
            [0, 30, 61, 90].map(|t| w.hit(secs(t), &r)),
            [false, false, false, true]
        );
        let mut late = Window::default();
        assert_eq!(
            [100, 160, 130].map(|t| late.hit(secs(t), &r)),
            [false, false, true],
            "late news fills it too"
        );
        let one = rule(1, 0);
        assert!(Window::default().hit(secs(5), &one));
    }

    #[test]
    fn a_window_keeps_no_more_than_its_rule_needs() {
        let r = rule(5, MINUTE);
        let mut w = Window::default();
        for t in 0..1000 {
            w.hit(secs(t * 100), &r);
        }
        assert_eq!(w.0.len(), 5);
    }

    #[test]
    fn a_bucket_forgives_a_slow_pace_and_not_a_steady_one() {
        let r = rule(10, 7 * DAY);
        // Four a day leak as fast as they come (30 a week); six a day do not.
        let fills = |per_day: i64| {
            let mut b = Bucket::default();
            (1..=60 * per_day).find(|i| b.pour(Time(i * DAY / per_day), 1, &r, 30))
        };
        assert_eq!(fills(4), None);
        assert!(fills(6).is_some_and(|n| n < 60), "{:?}", fills(6));
        assert!(fills(24).is_some_and(|n| n <= 13), "{:?}", fills(24));
    }

    #[test]
    fn a_set_counts_each_once_and_stays_small() {
        let mut s = Set::default();
        for i in 0..1000u64 {
            s.note(i % 100, secs(i as i64), i % 2 == 0);
        }
        assert_eq!(s.0.len(), SET);
        let mut few = Set::default();
        few.note(1, secs(0), false);
        few.note(1, secs(5), true);
        few.note(2, secs(900), false);
        assert_eq!(few.count(secs(900), DAY), (2, 1));
        assert_eq!(few.count(secs(900), MINUTE), (1, 0));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut s = Source::default();
        s.fails.hit(secs(3), &rule(5, MINUTE));
        s.bucket.pour(secs(3), 1, &rule(5, MINUTE), 2);
        s.names.note(7, secs(3), true);
        s.seen = 3;
        let text = serde_json::to_string(&s).unwrap_or_default();
        assert_eq!(
            serde_json::from_str::<Source>(&text).ok(),
            Some(s),
            "{text}"
        );
    }
}
