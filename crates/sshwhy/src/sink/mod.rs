//! Where findings and actions go besides the terminal: the firewall, people's alert channels, and a metrics endpoint.

pub mod firewall;
pub mod metrics;
pub mod notify;
