//! Linux audit records: who connected where, who executed what, and which process begot which.
//!
//! ```text
//! bytes → Record → Event (records joined by time and serial) → Facts (connects, processes) → Tree (whose child, which container)
//! ```
//!
//! Reads raw `audit.log` (also with `log_format = ENRICHED` and with `node=`), the kernel's own lines in syslog (`audit: type=1300
//! audit(…)`), and `ausearch` text, with `----` and `time->` lines and with `-i`. What is kept is bounded: see [`facts::Limits`].

pub mod facts;
pub mod join;
pub mod record;
pub mod tree;

pub use facts::{Connect, Facts, Limits};
pub use join::{Call, Event, Joiner};
pub use record::{Kind, Reader, Record};
pub use tree::Tree;
