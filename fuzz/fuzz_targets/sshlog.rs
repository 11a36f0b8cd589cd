//! Any text is what a failing ssh wrote: never a panic, a bounded number of observations, and a diagnosis of them.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::diagnose::{Case, diagnose};
use sshwhy_core::probe::{command, sshlog};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let words = ["ssh", "-v", "alice@server.example", "uptime"].map(str::to_owned);
    let command = command::parse(&words).ok();
    for command in [None, command.as_ref()] {
        let seen = sshlog::read(&text, command);
        assert!(seen.len() < 3000);
        let said = diagnose(&Case::default(), &seen);
        assert!(
            said.findings
                .iter()
                .all(|f| (0.0..=1.0).contains(&f.confidence))
        );
    }
});
