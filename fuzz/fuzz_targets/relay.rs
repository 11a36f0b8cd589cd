//! Any bytes are a line that speaks of somebody else: never a panic, and what is kept of it stays bounded.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/sshwhy-core/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|data: &[u8]| exercise::relay(data));
