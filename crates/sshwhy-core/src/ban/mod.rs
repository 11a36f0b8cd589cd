//! Whom to keep out, for how long, and whom never: decided here, from lines and time alone.
//!
//! ```text
//! Line → Offence (watch) → Action (decide) → firewall
//! ```
//!
//! [`Watch`] turns the records of a followed log into [`Offence`]s: one failed attempt, one probe, one forged text. A
//! [`Decider`] counts them against a [`Policy`] and says [`Action`]s, unless the [`NeverList`] holds the address. Both are pure:
//! the same lines in the same order lead to the same actions, however often the program was stopped between two of them. What
//! they know can be taken out and put back ([`Watch::snapshot`], [`Decider::take_changes`]).
//!
//! **Memory** is bounded. See [`decide`] for what is forgotten first.

pub mod clock;
pub mod decide;
mod held;
pub mod never;
pub mod policy;
pub mod source;
pub mod watch;

pub use decide::{Change, Decider, Decision};
pub use never::{Never, NeverList, Why};
pub use policy::{Policy, Rule};
pub use watch::{Offence, Sight, Watch, What};

use crate::addr::Cidr;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Who wanted a ban.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    Detector,
    Operator,
    Import,
}

/// A network that is kept out. One address is a /32 or a /128.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ban {
    pub net: Cidr,
    pub since: Time,
    /// Nothing: until somebody lifts it.
    pub until: Option<Time>,
    /// The catalogue's slug of the detector; `operator` or `import` where a person wanted it.
    pub detector: String,
    /// One sentence for people; may hold text from a log: escape it for where it goes.
    pub reason: String,
    pub origin: Origin,
    /// How often this network has been banned, with this time.
    pub strikes: u32,
}

impl Ban {
    /// Whether it is in force at `now`.
    pub fn holds(&self, now: Time) -> bool {
        self.until.is_none_or(|u| u > now)
    }
}

/// What the firewall is to do. Any number of them is one transaction; each may be repeated without harm.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Also prolongs or shortens a ban of the same network.
    Ban(Ban),
    Unban {
        net: Cidr,
        reason: String,
    },
}

impl Action {
    pub fn net(&self) -> Cidr {
        match self {
            Action::Ban(ban) => ban.net,
            Action::Unban { net, .. } => *net,
        }
    }
}
