//! Any bytes are what an engine or a cluster says: never a panic, and no value of an environment survives the masking.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::trace::container::{merge, parse};
use sshwhy_core::trace::{happening, mask};

fuzz_target!(|data: &[u8]| {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    let containers = merge(parse(&document));
    let happenings = happening::parse(&document);
    let told = happening::containers(&happenings, &containers);
    let _ = happening::families(&[containers, told].concat());
    let mut masked = document;
    mask::scrub(&mut masked);
    assert_no_values(&masked);
});

fn assert_no_values(v: &serde_json::Value) {
    match v {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                if let (true, serde_json::Value::Array(list)) = (key == "Env", value) {
                    assert!(
                        list.iter()
                            .all(|e| e.as_str().is_none_or(|e| !e.contains('=')))
                    );
                } else {
                    assert_no_values(value);
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(assert_no_values),
        _ => {}
    }
}
