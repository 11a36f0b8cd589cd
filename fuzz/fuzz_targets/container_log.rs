//! Any bytes are a container's log, Docker's or of the CRI: never a panic, and what is kept stays bounded.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::time::Time;
use sshwhy_core::trace::digest::{Digest, MAX_KINDS, Needles, addresses, container_line};
use sshwhy_core::trace::matching::Matcher;

fuzz_target!(|data: &[u8]| {
    let needles = Needles {
        names: vec!["db-3".to_owned()],
        addrs: Vec::new(),
    };
    let mut digest = Digest::new(Time(i64::MIN), Time(i64::MAX), needles);
    for line in data.split(|b| *b == b'\n') {
        let _ = addresses(line).count();
        match container_line(line) {
            Some((time, text)) => digest.line(Some(time), text),
            None => digest.line(None, line),
        }
    }
    let log = digest.finish();
    assert!(log.kinds.len() <= MAX_KINDS);
    assert!(log.lines >= log.lines_within + log.timeless);
    let mut events = log.names.times.clone();
    events.truncate(100);
    for series in log.kinds.iter().take(4) {
        let times: Vec<i64> = series.times.iter().copied().take(200).collect();
        if let Some(m) = Matcher::default().best(&events, &times) {
            assert!(m.ln_chance <= 0.0);
        }
    }
});
