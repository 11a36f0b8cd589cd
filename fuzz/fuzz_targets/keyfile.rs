//! Any bytes are a private key file, a public line or a certificate: never a panic.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::probe::keyfile;

fuzz_target!(|data: &[u8]| {
    let _ = keyfile::read(data);
    let text = String::from_utf8_lossy(data);
    if let Some((kind, blob)) = keyfile::public_line(&text) {
        let _ = keyfile::kind_word(&kind);
        assert!(keyfile::fingerprint(&blob).starts_with("SHA256:"));
    }
    if let Some(cert) = keyfile::certificate(data) {
        let _ = cert.judge(0, Some("alice"));
        let _ = cert.is_for_host(0, "[server.example]:22");
    }
});
