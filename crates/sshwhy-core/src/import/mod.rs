//! What other tools know, read so that nobody has to start from nothing: fail2ban's jails, sshguard's blacklist.
//!
//! Readers only: they say what stands there, what of it has a place with us, and name all that has none.

pub mod fail2ban;
pub mod sshguard;
