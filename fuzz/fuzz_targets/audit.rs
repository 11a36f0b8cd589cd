//! Any bytes are an audit log: never a panic, and what comes out does not depend on where blocks end.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::audit::Limits;
use sshwhy_core::audit::facts::Intake;
use sshwhy_core::time::Zone;
use sshwhy_core::trace::mask;

fuzz_target!(|data: &[u8]| {
    let read = |blocks: &[&[u8]]| {
        let mut intake = Intake::new(Zone::utc(), Limits::default(), 22);
        for block in blocks {
            intake.block(block);
        }
        let facts = intake.finish();
        (
            facts.records,
            facts.span,
            facts.connects,
            facts.processes,
            facts.destinations,
        )
    };
    let middle = data.len() / 2;
    let cut = memchr_from(data, middle);
    let (a, b) = data.split_at(cut);
    assert_eq!(read(&[data]), read(&[a, b]));
    // What is masked once holds nothing more to mask.
    for line in data.split(|b| *b == b'\n') {
        let once = mask::audit_line(line).into_owned();
        let _ = mask::audit_line(&once);
        let text = String::from_utf8_lossy(line);
        let _ = mask::line(&text);
    }
});

/// Behind the first line end from there on.
fn memchr_from(data: &[u8], from: usize) -> usize {
    data.iter()
        .skip(from)
        .position(|b| *b == b'\n')
        .map_or(data.len(), |i| from + i + 1)
}
