//! Each detector on logs in which what it looks for happened, and on logs that only look like it.
// The lints against them make an exception for test functions only, not for what those share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod edges;
mod guesses;
mod habits;
mod log;
mod noise;
mod robust;
mod undated;
mod whole;
