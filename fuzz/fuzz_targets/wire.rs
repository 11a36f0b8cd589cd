//! Any bytes of a server, cut anywhere: the exchange never panics, keeps little, and comes to the same end however they came.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::probe::exchange::{Depth, Exchange};
use sshwhy_core::wire::kexinit;
use sshwhy_core::wire::packet::{self, Taken};

fuzz_target!(|data: &[u8]| {
    let (cut, rest) = data
        .split_first()
        .map_or((1, data), |(c, r)| (usize::from(*c).max(1), r));
    let mut whole =
        Exchange::new(Depth::HostKey, &[], 0).hand_over(vec![kexinit::Proposal::default()]);
    whole.received(rest);
    let mut pieces =
        Exchange::new(Depth::HostKey, &[], 0).hand_over(vec![kexinit::Proposal::default()]);
    for piece in rest.chunks(cut) {
        pieces.received(piece);
    }
    // Another protocol is told as early as its first bytes allow, which depends on how they came.
    if whole.seen.protocol.is_none() && pieces.seen.protocol.is_none() {
        assert_eq!(whole.seen.greeting, pieces.seen.greeting);
        assert_eq!(whole.seen.proposal, pieces.seen.proposal);
    }
    whole.ended();
    pieces.finish();
    assert!(whole.seen.first_bytes.len() <= 512 && whole.seen.prelude.len() <= 21);
    let mut buffer = rest.to_vec();
    while let Taken::Payload(payload) = packet::take(&mut buffer) {
        let _ = packet::parse_disconnect(&payload);
        if let Some(theirs) = kexinit::parse(&payload) {
            let _ = kexinit::Proposal::default().mismatch(&theirs);
        }
    }
});
