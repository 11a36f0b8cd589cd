//! What we know, as tables: one row a fact, named fields, ids that never change. Nothing here runs.
//!
//! Ids: `SW1…` messages, `SW2…` causes, `SW3…` detectors, `SW4…` client-side messages, `SW5…` keywords.

pub mod messages;
