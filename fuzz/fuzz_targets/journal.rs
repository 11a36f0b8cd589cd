//! Any bytes are a journal file: never a panic, never for ever, and only whole lines come out.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::transcode::journal::{Compression, Journal, Unpack};

/// Stands in for every compression, so that packed values are reached too.
struct Reverse;

impl Unpack for Reverse {
    fn unpack(&mut self, _: Compression, input: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
        out.extend(input.iter().rev().take(limit));
        !input.is_empty()
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(mut journal) = Journal::open(data.to_vec()) else {
        return;
    };
    let mut out = Vec::new();
    let mut entries = 0u64;
    while journal.peek().is_some() {
        out.clear();
        if journal.line(&mut Reverse, &mut out) {
            assert_eq!(
                out.iter().filter(|b| **b == b'\n').count(),
                usize::from(!out.is_empty())
            );
        }
        entries += 1;
        // An entry takes at least 64 bytes of the file.
        assert!(
            entries <= data.len() as u64 / 16 + 16,
            "more entries than the file can hold"
        );
    }
    let _ = journal.losses();
});
