//! Any bytes are a message: never a panic, never out of bounds, and what is found stands in the message.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::event::catalog;
use sshwhy_core::line::Program;

fuzz_target!(|data: &[u8]| {
    for message in data.split(|b| *b == b'\n') {
        for program in [
            Program::Sshd,
            Program::Dropbear,
            Program::Platform,
            Program::Bare,
        ] {
            let Some(event) = catalog().event(program, b"sshd", message) else {
                continue;
            };
            for part in [
                event.addr(),
                event.user(),
                event.method(),
                event.fingerprint(),
                event.free_text(),
            ]
            .into_iter()
            .flatten()
            {
                assert!(part.is_empty() || message.windows(part.len()).any(|w| w == part));
            }
            if event.fields.ambiguous {
                assert!(event.addr().is_none());
            }
            let _ = (event.port(), event.hostile(), event.wording());
        }
        let _ = catalog().audit(message);
    }
});
