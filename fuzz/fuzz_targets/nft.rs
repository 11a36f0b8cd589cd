//! Any bytes are an answer of nft -j: never a panic, never for ever.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/sshwhy-core/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|data: &[u8]| exercise::nft(data));
