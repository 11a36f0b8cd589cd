//! Where decisions go: the firewall.

pub mod firewall;
