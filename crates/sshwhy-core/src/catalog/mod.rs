//! What we know, as tables: one row a fact, named fields, ids that never change. Nothing here runs.
//!
//! Ids: `SW0…` causes, `SW1…` detectors (`SW18…` whether bans hold), `SW2…`–`SW6…` messages (`SW2…`/`SW3…` OpenSSH, `SW4…` PAM, `SW5…` Dropbear,
//! `SW6…` tcp wrappers and the platform), `SW7…` client-side messages, `SW8…` keywords (`SW85…` lints of configurations), `SW9…` algorithms.

pub mod causes;
pub mod client_messages;
pub mod clues;
pub mod deeds;
pub mod detectors;
pub mod facts;
pub mod fixes;
pub mod keywords;
pub mod lints;
pub mod messages;
pub mod protection;
pub mod rules;
pub mod systemd;
pub mod traces;
pub mod watches;
