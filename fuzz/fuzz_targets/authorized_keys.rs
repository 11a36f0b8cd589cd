//! Any bytes are an authorized_keys: never a panic, never for ever.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/sshwhy-core/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|data: &[u8]| exercise::authorized_keys(data));
