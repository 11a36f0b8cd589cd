//! When a host wrote to its log at all: over how many hours, and how long it was silent at most.

use crate::time::{HOUR, Time};

/// A stretch of a host's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pulse {
    pub first: Time,
    pub last: Time,
    /// The last hour with a line, counted from 1970.
    hour: i64,
    /// Hours with a line.
    pub hours: u32,
    /// The longest silence between two lines, and when it began.
    pub gap: i64,
    pub gap_from: Time,
}

impl Pulse {
    /// A line. One that comes late changes nothing.
    pub fn beat(place: &mut Option<Pulse>, time: Time) {
        let one = Pulse {
            first: time,
            last: time,
            hour: time.0.div_euclid(HOUR),
            hours: 1,
            gap: 0,
            gap_from: time,
        };
        Pulse::go_on(place, &one);
    }

    /// What was written next; `next` begins no earlier than what is known ends, or is one line.
    pub fn go_on(place: &mut Option<Pulse>, next: &Pulse) {
        let Some(p) = place else {
            *place = Some(*next);
            return;
        };
        if next.first.0 - p.last.0 > p.gap {
            p.gap = next.first.0 - p.last.0;
            p.gap_from = p.last;
        }
        if next.gap > p.gap {
            p.gap = next.gap;
            p.gap_from = next.gap_from;
        }
        if next.last > p.last {
            p.last = next.last;
            if next.hour > p.hour {
                // Its first hour may be the one that was written in before.
                let shared = next.first.0 < p.hour.saturating_add(1).saturating_mul(HOUR);
                p.hours += next.hours - u32::from(shared);
                p.hour = next.hour;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_make_the_same_as_their_lines() {
        let seconds = [
            0, 5, 3600, 3600, 3700, 9000, 9001, 40_000, 40_000, 50_399, 50_400,
        ];
        let mut whole = None;
        for s in seconds {
            Pulse::beat(&mut whole, Time::from_secs(s));
        }
        let found = whole.unwrap();
        assert_eq!(
            (found.hours, found.gap, found.gap_from),
            (6, 30_999 * crate::time::SECOND, Time::from_secs(9001))
        );
        for cut in 0..=seconds.len() {
            for next in cut..=seconds.len() {
                let mut all = None;
                for part in [&seconds[..cut], &seconds[cut..next], &seconds[next..]] {
                    let mut stretch = None;
                    for s in part {
                        Pulse::beat(&mut stretch, Time::from_secs(*s));
                    }
                    if let Some(stretch) = stretch {
                        Pulse::go_on(&mut all, &stretch);
                    }
                }
                assert_eq!(all, whole, "cut at {cut} and {next}");
            }
        }
    }

    #[test]
    fn a_late_line_changes_nothing() {
        let mut pulse = None;
        Pulse::beat(&mut pulse, Time::from_secs(10_000));
        let before = pulse;
        Pulse::beat(&mut pulse, Time::from_secs(3));
        assert_eq!(pulse, before);
    }
}
