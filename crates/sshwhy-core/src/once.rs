//! Lets a line through once when several logs of one machine hold it: the journal and auth.log, or auth.log and messages.
//!
//! The rule: for each process (host and pid), each kind of line (its first word) and each two minutes or so, the log that
//! came first is the one that counts; what others say of that around that time is left out. Whole texts are not compared, as
//! copies of one line differ: rsyslog folds repeats into `message repeated N times`, escapes and cuts in its own way, and
//! stamps the line a little later. What the first log does not have (rsyslog was down, lines were removed, sshd and PAM
//! go to different files) is taken from the next one.
//!
//! Lines without a pid are told apart by their text. Up to [`REMEMBERED`] of these are remembered; beyond, for each host a
//! whole hour belongs to the log that came first.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many processes, kinds and times are remembered: about 64 MiB.
pub const REMEMBERED: usize = 1 << 21;

/// Seconds are compared in steps of 2^7 = 128.
const STEP: u32 = 7;

/// Bytes of the first word that tell kinds of lines apart.
const KIND: usize = 16;

#[derive(Debug, Default)]
pub struct Once {
    /// The log that counts, by a hash of host, process, kind and time.
    lines: HashMap<u64, u32>,
    /// The same by host and hour, for what did not fit above.
    hours: HashMap<u64, u32>,
    /// The last answer, as lines of one process follow each other.
    last: Option<(u64, u32, bool)>,
    dropped: u64,
}

impl Once {
    pub fn new() -> Once {
        Once::default()
    }

    /// Whether a line of log `set` counts. Logs are to be asked about one after another, not mixed. `secs` are since the epoch.
    pub fn claim(
        &mut self,
        set: u32,
        host: &[u8],
        secs: i64,
        pid: Option<u32>,
        message: &[u8],
    ) -> bool {
        let mut who = DefaultHasher::new();
        let short = host.split(|&b| b == b'.').next().unwrap_or_default();
        short.to_ascii_lowercase().hash(&mut who);
        let host = who.clone();
        match pid {
            Some(pid) => {
                pid.hash(&mut who);
                let end = message
                    .iter()
                    .position(|b| matches!(b, b' ' | b':' | b'('))
                    .unwrap_or(message.len());
                message.get(..end.min(KIND)).hash(&mut who);
            }
            None => message.hash(&mut who),
        }
        let step = secs >> STEP;
        let key = |by: &DefaultHasher, at: i64| {
            let mut h = by.clone();
            at.hash(&mut h);
            h.finish()
        };
        let here = key(&who, step);
        if let Some((last, of, answer)) = self.last
            && last == here
            && of == set
        {
            self.dropped += u64::from(!answer);
            return answer;
        }
        let others = [here, key(&who, step - 1), key(&who, step + 1)]
            .iter()
            .filter_map(|k| self.lines.get(k))
            .any(|s| *s != set);
        let hour = key(&host, secs.div_euclid(3600));
        let answer = !others && self.hours.get(&hour).is_none_or(|s| *s == set);
        if answer {
            if self.lines.len() < REMEMBERED {
                self.lines.insert(here, set);
            } else {
                self.hours.entry(hour).or_insert(set);
            }
        }
        self.last = Some((here, set, answer));
        self.dropped += u64::from(!answer);
        answer
    }

    /// How many lines were left out.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_774_713_615;

    #[test]
    fn the_second_log_gives_only_what_the_first_has_not() {
        let mut once = Once::new();
        for i in 0..50 {
            let pid = Some(800 + i as u32 / 3);
            assert!(once.claim(0, b"web1", T + i * 10, pid, b"Failed none for root"));
        }
        // The same lines from the journal, a little earlier, with the whole host name, unfolded.
        for i in 0..50 {
            let pid = Some(800 + i as u32 / 3);
            assert!(
                !once.claim(
                    1,
                    b"WEB1.example.net",
                    T + i * 10 - 1,
                    pid,
                    b"Failed password"
                ),
                "{i}"
            );
        }
        assert_eq!(once.dropped(), 50);
        // PAM's line of that process, which goes to another file.
        assert!(once.claim(
            1,
            b"web1",
            T,
            Some(800),
            b"pam_unix(sshd:auth): authentication failure"
        ));
        // A process that the first log does not know; the same pid an hour later; the same pid on another host.
        assert!(once.claim(1, b"web1", T, Some(900), b"x"));
        assert!(once.claim(1, b"web1", T + 3600, Some(800), b"Failed"));
        assert!(once.claim(1, b"web2", T, Some(800), b"Failed"));
        // And a third log has nothing new.
        assert!(!once.claim(2, b"web1", T, Some(900), b"x"));
        assert!(!once.claim(2, b"web1", T + 3601, Some(800), b"Failed"));
    }

    #[test]
    fn one_log_repeats_itself_as_it_likes() {
        let mut once = Once::new();
        for _ in 0..3 {
            assert!(once.claim(0, b"web1", T, Some(812), b"Failed password"));
            assert!(once.claim(0, b"web1", T, None, b"no pid"));
        }
        assert!(!once.claim(1, b"web1", T, None, b"no pid"));
        assert!(once.claim(1, b"web1", T, None, b"another text"));
        assert_eq!(once.dropped(), 1);
    }

    #[test]
    fn beyond_the_limit_hours_count() {
        let mut once = Once::new();
        for i in 0..REMEMBERED as i64 + 10 {
            assert!(once.claim(0, b"web1", T + i * 128, Some(1), b""));
        }
        let late = T + (REMEMBERED as i64 + 5) * 128;
        assert!(once.lines.len() <= REMEMBERED);
        assert!(!once.claim(1, b"web1", late, Some(77), b""));
        assert!(once.claim(1, b"web1", late + 7200, Some(77), b""));
        assert!(once.claim(1, b"web2", late, Some(77), b""));
    }
}
