//! The client's half of a diagnosis: what was typed, what the failing ssh said, and what a connection shows.

pub mod command;
pub mod protocol;
pub mod sshlog;
