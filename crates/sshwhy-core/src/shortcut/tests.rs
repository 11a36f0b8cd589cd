//! Shortcuts against the search.

use super::proof::{items, meet};
use super::*;

fn template(text: &'static str) -> Template {
    Template::compile(text).unwrap().remove(0)
}

#[test]
fn wordings_meet_where_one_text_is_both() {
    let meets = |a, b| meet(&items(&template(a), true), &items(&template(b), false));
    let failed = "Failed password for {user} from {ip} port {port} ssh2";
    assert!(meets(
        failed,
        "Failed {method} for {user} from {ip} port {port} ssh2"
    ));
    assert!(!meets(
        failed,
        "Failed password for invalid user {user} from {ip} port {port} ssh2"
    ));
    assert!(!meets(
        failed,
        "Failed password for {user} from {ip} port {port}"
    ));
    assert!(meets("Received {n}: {text}", "Received 11: bye"));
    // A user may be called so: then the wording stays with the search.
    assert!(meets("User {user} left", "User root left"));
}

#[test]
fn short_texts_are_compared_whole() {
    for n in 0..40usize {
        let a: Vec<u8> = (0..n as u8).collect();
        assert!(same(&a, &a.clone()));
        for i in 0..n {
            let mut b = a.clone();
            b[i] ^= 1;
            assert!(!same(&a, &b), "{n} {i}");
        }
    }
}
