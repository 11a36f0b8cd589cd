//! One file for each verb, each a straight line from what was typed to what is shown.

pub mod bans;
mod both_sides;
pub mod config;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod guard;
pub mod monitor;
pub mod probe;
pub mod reading;
pub mod report;
pub mod trace;
pub mod trace_node;
