//! Any bytes are a line: never a panic, and the two paths through the parser agree.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::line::{LineParser, Years};
use sshwhy_core::time::Zone;

fuzz_target!(|data: &[u8]| {
    let zone = Zone::new(
        "fuzz",
        3600,
        vec![(1_774_746_000, 7200), (1_792_890_000, 3600)],
    );
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for raw in data.split(|b| *b == b'\n') {
        let quick = LineParser::new(&zone, Years::starting(2026)).parse(raw, &mut a);
        let cut = raw.strip_suffix(b"\r").unwrap_or(raw);
        let mut slow = LineParser::new(&zone, Years::starting(2026));
        let slow = slow.slow(cut, &mut b);
        if !quick.rewritten && !slow.rewritten && quick.pid.is_some() && !quick.host.is_empty() {
            assert_eq!(quick.pid, slow.pid);
            assert_eq!(quick.message, slow.message);
            assert_eq!(quick.time, slow.time);
        }
    }
});
