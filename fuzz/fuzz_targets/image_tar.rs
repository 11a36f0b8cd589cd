//! Any bytes are an archive: never a panic, never for ever, no more than is allowed, and no name that leads out.
#![no_main]
#![allow(dead_code)]
use libfuzzer_sys::fuzz_target;
use std::io::Read;

#[path = "../../crates/sshwhy/src/evidence/archive.rs"]
mod archive;

/// Stands in for the decompressors, which have fuzzers of their own.
mod source {
    pub type Stream = Box<dyn std::io::Read + Send>;

    pub fn unpacked(stream: Stream) -> Stream {
        stream
    }
}

fuzz_target!(|data: &[u8]| {
    let limits = archive::Limits { bytes: 1 << 20, entries: 1000 };
    let Ok(mut all) = archive::Archive::from_stream(Box::new(std::io::Cursor::new(data.to_vec())), limits) else { return };
    let mut entries = 0;
    while let Some(entry) = all.next_of_all() {
        let Ok(entry) = entry else { break };
        entries += 1;
        assert!(entries <= 1000 && !entry.name.starts_with('/') && entry.name.split('/').all(|p| p != ".."));
        let _ = entry.peek(4);
        let mut bytes = Vec::new();
        if entry.stream().take(1 << 20).read_to_end(&mut bytes).is_ok() {
            assert!(bytes.len() <= data.len());
        }
    }
});
