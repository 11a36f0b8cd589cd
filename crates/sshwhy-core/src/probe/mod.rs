//! The client's half of a diagnosis: what was typed, what the failing ssh said, and what a connection shows.

pub mod command;
pub mod exchange;
pub mod keyfile;
pub mod known_hosts;
pub mod protocol;
pub mod redact;
pub mod says;
pub mod ssh_config;
pub mod sshlog;
