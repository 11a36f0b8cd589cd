//! The pure core of sshwhy: bytes and values in, findings out. No files, sockets, clock, async or printing.
//!
//! Two pipelines share one catalogue and end in one type:
//!
//! ```text
//! bytes → Line → Event → Session → Finding
//! Target → Observation → Cause → Remedy → Finding
//! ```
#![forbid(unsafe_code)]

pub mod addr;
pub mod analysis;
pub mod audit;
pub mod ban;
pub mod catalog;
pub mod config;
pub mod detect;
pub mod diagnose;
pub mod event;
pub mod explain;
pub mod finding;
pub mod image;
pub mod import;
pub mod line;
pub mod monitor;
pub mod names;
pub mod observation;
pub mod once;
pub mod plan;
pub mod probe;
pub mod render;
pub mod report;
pub mod scan;
pub mod server;
pub mod session;
pub mod shortcut;
pub mod template;
pub mod time;
pub mod trace;
pub mod transcode;
pub mod transcript;
pub mod version;
pub mod wire;
