//! Any bytes are login records: never a panic, and records come out as whole lines however the input is cut.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::transcode::Transcoder;
use sshwhy_core::transcode::utmp::{Utmp, layout};

fuzz_target!(|data: &[u8]| {
    let Some(how) = layout(data) else { return };
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    let mut t = Utmp::new(how, data);
    t.feed(data, &mut whole);
    t.finish(&mut whole);
    let mut t = Utmp::new(how, data);
    for piece in data.chunks(77) {
        t.feed(piece, &mut pieces);
    }
    t.finish(&mut pieces);
    assert_eq!(whole, pieces);
    assert!(whole.is_empty() || whole.ends_with(b"\n"));
});
