//! Any bytes are a tar archive: never a panic, no name that leads anywhere, never more bytes than allowed.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Read};

#[path = "../../crates/sshwhy/src/evidence/archive.rs"]
#[allow(dead_code)] // the program uses all of it
mod archive;

const MOST: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let limits = archive::Limits {
        bytes: MOST,
        entries: 1000,
    };
    let Ok(mut tape) = archive::Archive::from_stream(Box::new(Cursor::new(data.to_vec())), limits)
    else {
        return;
    };
    let (mut all, mut entries) = (0u64, 0u64);
    while let Some(entry) = tape.next() {
        let Ok(entry) = entry else { break };
        entries += 1;
        assert!(!entry.name.starts_with('/') && entry.name.split('/').all(|p| p != ".."));
        let head = entry.peek(64);
        let mut content = Vec::new();
        if entry.stream().read_to_end(&mut content).is_ok() {
            assert!(content.starts_with(&head));
        }
        all += content.len() as u64;
    }
    assert!(all <= MOST && entries <= 1000);
});
