//! Any text is sshguard's blacklist: never a panic, and every line is an entry, odd, or says nothing.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::import::sshguard;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let list = sshguard::parse(&text);
    let said = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .count();
    assert_eq!(list.blocked.len() + list.odd_count, said);
    assert!(list.odd.len() <= 20);
});
