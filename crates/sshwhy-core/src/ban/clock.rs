//! Time that only goes forward, made of the times that a log says.
//!
//! A clock that is set back must not hide an attack: what happens after that would seem to have happened before, and windows
//! would never fill. Lines a little out of order are normal (several processes write); a step back of more than
//! [`DISORDER`] is a clock that was set, and its distance is added from there on until the log has caught up.

use crate::time::{SECOND, Time};
use serde::{Deserialize, Serialize};

/// Lines of one machine may be this much out of order. Microseconds.
pub const DISORDER: i64 = 60 * SECOND;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Clock {
    /// The latest time said so far, with `ahead` in it. 0: none yet.
    high: i64,
    /// How far this clock is ahead of the log's.
    ahead: i64,
    /// Steps back so far.
    pub steps: u64,
}

impl Clock {
    /// The place of a line in the order of things.
    pub fn place(&mut self, logged: Option<Time>) -> Time {
        let Some(Time(t)) = logged else {
            return Time(self.high);
        };
        if self.high == 0 || t >= self.high {
            // Also the end of a step: the log's own time is later than all that was made up.
            self.ahead = 0;
            self.high = t;
            return Time(t);
        }
        let mut at = t.saturating_add(self.ahead);
        if at < self.high - DISORDER {
            self.steps += 1;
            self.ahead += self.high - at;
            at = self.high;
        }
        self.high = self.high.max(at);
        Time(at)
    }

    /// How far the log's clock is behind, in microseconds; 0 unless it was set back.
    pub fn ahead(&self) -> i64 {
        self.ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_disorder_stays_and_a_step_back_does_not_stop_time() {
        let mut c = Clock::default();
        let mut at = |secs| c.place(Some(Time::from_secs(secs))).secs();
        assert_eq!([at(10_000), at(9_990), at(10_001)], [10_000, 9_990, 10_001]);
        // An hour back: time goes on from where it was.
        assert_eq!([at(6_401), at(6_411), at(6_405)], [10_001, 10_011, 10_005]);
        // Set right again.
        assert_eq!([at(10_030), at(10_029)], [10_030, 10_029]);
        assert_eq!((c.steps, c.ahead()), (1, 0));
        assert_eq!(c.place(None).secs(), 10_030);
    }
}
