//! Any bytes in any form: never a panic, and the same lines however the input is cut.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::transcode::cri::Cri;
use sshwhy_core::transcode::export::{Export, Verbose};
use sshwhy_core::transcode::json::Json;
use sshwhy_core::transcode::octet::Octets;
use sshwhy_core::transcode::utf16::Utf16;
use sshwhy_core::transcode::winevent::WinEvent;
use sshwhy_core::transcode::{Transcoder, sniff};

fn transcoder(which: u8) -> Box<dyn Transcoder> {
    match which % 8 {
        0 => Box::new(Cri::default()),
        1 => Box::new(Export::default()),
        2 => Box::new(Verbose::default()),
        3 => Box::new(Json::default()),
        4 => Box::new(Octets::default()),
        5 => Box::new(WinEvent::xml()),
        6 => Box::new(WinEvent::text()),
        _ => Box::new(Utf16::new(which >= 128)),
    }
}

fn run(which: u8, step: usize, data: &[u8]) -> (Vec<u8>, sshwhy_core::transcode::Losses) {
    let mut t = transcoder(which);
    let mut out = Vec::new();
    for piece in data.chunks(step) {
        t.feed(piece, &mut out);
    }
    t.finish(&mut out);
    (out, t.losses())
}

fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else {
        return;
    };
    let _ = sniff(data);
    let _ = sniff::looks_like_log(data);
    let whole = run(which, data.len().max(1), data);
    assert_eq!(run(which, 1, data), whole);
    assert_eq!(run(which, 13, data), whole);
});
