//! Puts what is known of connections into the order of time.
//!
//! Sessions are handed out when they end, logins when they begin, and log lines themselves may be out of order by seconds: what
//! counts is kept back for half a minute and released by time. Something later than that passes as it comes.

use crate::time::Time;

/// How long something waits for what happened before it: sessions linger for 15 s, and lines may be late by a few more.
const HOLD: i64 = 32;
/// One place a second; a power of two greater than `HOLD`.
const PLACES: i64 = 64;
/// A step back by more than this is another log, not disorder.
const ANOTHER_LOG: i64 = 3600;

/// At most as many as fall into half a minute of log; they are released early when that is too many.
#[derive(Debug)]
pub struct Order<T> {
    places: Vec<Vec<(Time, T)>>,
    /// The second of the next place to be released.
    next: i64,
    newest: i64,
    held: usize,
    limit: usize,
}

impl<T> Default for Order<T> {
    fn default() -> Order<T> {
        Order {
            places: (0..PLACES).map(|_| Vec::new()).collect(),
            next: i64::MIN,
            newest: i64::MIN,
            held: 0,
            limit: 1 << 20,
        }
    }
}

impl<T> Order<T> {
    /// Takes something in; what has waited long enough goes to `out`, oldest first.
    pub fn push(&mut self, time: Time, item: T, out: &mut Vec<(Time, T)>) {
        let second = time.secs();
        if self.held == 0 && self.newest == i64::MIN
            || second.saturating_add(ANOTHER_LOG) < self.newest
            || self.held >= self.limit
        {
            self.release(out);
            self.next = second.saturating_sub(HOLD);
            self.newest = second;
        }
        if second < self.next {
            out.push((time, item));
            return;
        }
        self.newest = self.newest.max(second);
        let until = self.newest.saturating_sub(HOLD);
        if until.saturating_sub(self.next) >= PLACES {
            // A quiet stretch of the log: everything is due.
            self.release(out);
            self.next = until;
        }
        while self.next < until {
            self.let_go(self.next, out);
            self.next += 1;
        }
        if let Some(place) = self.places.get_mut(second.rem_euclid(PLACES) as usize) {
            place.push((time, item));
            self.held += 1;
        }
    }

    /// Everything, oldest first.
    pub fn release(&mut self, out: &mut Vec<(Time, T)>) {
        if self.held == 0 {
            return;
        }
        for second in self.next..self.next.saturating_add(PLACES) {
            self.let_go(second, out);
        }
    }

    fn let_go(&mut self, second: i64, out: &mut Vec<(Time, T)>) {
        if let Some(place) = self.places.get_mut(second.rem_euclid(PLACES) as usize) {
            if place.is_empty() {
                return;
            }
            self.held -= place.len();
            // Stable: what was said in one microsecond stays in the order of the log.
            place.sort_by_key(|(t, _)| *t);
            out.append(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(times: &[i64]) -> Vec<i64> {
        let mut order = Order::default();
        let mut out = Vec::new();
        for t in times {
            order.push(Time::from_secs(*t), *t, &mut out);
        }
        order.release(&mut out);
        out.into_iter().map(|(_, t)| t).collect()
    }

    #[test]
    fn seconds_of_disorder_are_undone() {
        assert_eq!(
            run(&[10, 5, 12, 11, 40, 38, 100, 99]),
            [5, 10, 11, 12, 38, 40, 99, 100]
        );
        let mixed: Vec<i64> = (0..500).map(|i| i * 3 + (i * 7919 % 25)).collect();
        let mut sorted = mixed.clone();
        sorted.sort_unstable();
        assert_eq!(run(&mixed), sorted);
    }

    #[test]
    fn what_is_too_late_passes_and_nothing_is_lost() {
        assert_eq!(run(&[1000, 1100, 1001, 1101]), [1000, 1001, 1100, 1101]);
        assert_eq!(
            run(&[0, 1_000_000, 5, 1_000_001]),
            [0, 1_000_000, 5, 1_000_001]
        );
        assert_eq!(run(&[i64::MIN / 2_000_000, 0]).len(), 2);
    }
}
