//! Where findings go besides the terminal: people's alert channels, and a metrics endpoint.

pub mod metrics;
pub mod notify;
