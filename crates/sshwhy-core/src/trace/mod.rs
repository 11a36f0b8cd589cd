//! What on a host made the odd logins that another host logged.
//!
//! ```text
//! target's log → Source (acts) → Pattern ─┐
//!               Deeds (what was done there) ┤
//! containers, their logs → Digested → Match ├→ rank → Trace (verdict, suspects, timeline, what to do next)
//! audit records → Facts → Tree ─────────────┘
//! ```

pub mod acts;
pub mod container;
pub mod deeds;
pub mod digest;
pub mod evidence;
pub mod happening;
pub mod mask;
pub mod matching;
pub mod pattern;
pub mod rank;
pub mod relay;
pub mod story;
pub mod timetable;

pub use acts::{Act, Acts, Source};
pub use deeds::{Deed, Deeds};
pub use evidence::Evidence;
pub use pattern::{Pattern, Verdict};
pub use rank::{Question, Ranking, Suspect, SuspectKind};
pub use story::{TargetLog, Trace};
