//! Any text is a known_hosts file: never a panic, and every entry can be asked about.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::probe::known_hosts::{check, name, parse};

fuzz_target!(|data: &[u8]| {
    let entries = parse(&String::from_utf8_lossy(data));
    let asked = name("server.example", 2222);
    for entry in entries.iter().take(50) {
        let _ = entry.covers(&asked);
        for n in entry.names() {
            let _ = check(&entries, n, &entry.kind, &entry.blob, 0);
        }
    }
    let _ = check(&entries, &asked, "ssh-ed25519", data, 0);
});
