//! `sshwhy monitor`: is SSH up, well and unchanged over there? Checks endpoints again and again, quietly.
//!
//! [`check`] walks one endpoint as deep as asked and says goodbye so that the server's log stays clean ([`quiet`]);
//! what a result means is judged in [`sshwhy_core::monitor`]; [`daemon`] keeps time, and hands what is new to people.

pub mod check;
pub mod daemon;
pub mod login;
mod packets;
mod quiet;
pub mod settings;
pub mod store;
