//! `guard`: follows the log, decides, bans, and says loudly when it cannot.
//!
//! Two processes. The one that was started stays privileged and small ([`half`]): it applies what the other one decided, after a
//! look of its own at each action, and restarts it when it dies. The other one ([`worker`]) reads, decides and keeps the state
//! without root's rights ([`drop`]): whatever a hostile log line could do to it, it cannot do to the machine. They talk over a
//! socket pair ([`message`]), a line of JSON each.
//!
//! ```text
//! files, journal → Watch → Decider → state file
//!                              ↓ Action
//!                    socket pair → check again → Firewall
//! ```

pub mod config;
pub mod control;
pub mod drop;
pub mod dry;
pub mod half;
pub mod message;
pub mod sight;
pub mod store;
pub mod tail;
pub mod test;
pub mod worker;

use std::time::{Duration, Instant};

/// A start reads far more of the program than the waiting after it; a burst needs memory that the quiet does not.
const SPARE: Duration = Duration::from_secs(600);
const SPARE_FIRST: Duration = Duration::from_secs(4);

/// When memory is given back next: soon after the start, and now and then.
pub struct Spare(Instant);

impl Default for Spare {
    fn default() -> Spare {
        Spare(Instant::now() + SPARE_FIRST)
    }
}

impl Spare {
    pub fn give_back(&mut self) {
        let now = Instant::now();
        if now >= self.0 {
            self.0 = now + SPARE;
            crate::sys::process::give_back();
        }
    }
}
