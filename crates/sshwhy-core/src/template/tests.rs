//! Wordings against messages, forged ones too.

use super::*;

fn one(text: &'static str, body: &str) -> Option<Fields> {
    Matcher::new([(text, 0)])
        .unwrap()
        .find(body.as_bytes())
        .map(|(_, f)| f)
}

fn show<'a>(f: &Fields, body: &'a str) -> (&'a str, &'a str, &'a str) {
    let s = |x: Span| std::str::from_utf8(x.of(body.as_bytes())).unwrap();
    (
        s(f.user),
        f.addr(body.as_bytes())
            .map_or("", |a| std::str::from_utf8(a).unwrap()),
        s(f.port),
    )
}

const FAILED: &str = "Failed password for {?invalid user }{user} from {ip} port {port} ssh2";

#[test]
fn the_address_that_sshd_wrote_wins_over_one_in_the_user_name() {
    let body = "Failed password for invalid user root from 203.0.113.5 port 22 ssh2 from 192.0.2.7 port 50122 ssh2";
    let f = one(FAILED, body).unwrap();
    assert_eq!(
        show(&f, body),
        ("root from 203.0.113.5 port 22 ssh2", "192.0.2.7", "50122")
    );
    assert!(!f.ambiguous);
}

#[test]
fn an_empty_user_name_is_a_user_name() {
    let body = "Failed password for invalid user  from 192.0.2.7 port 50122 ssh2";
    let f = one(FAILED, body).unwrap();
    assert!(f.has_user && f.user.is_empty());
    assert_eq!(show(&f, body).1, "192.0.2.7");
}

#[test]
fn near_misses_do_not_match() {
    for body in [
        "Failed password for root from 192.0.2.7 port 50122",
        "Failed password for root from 192.0.2.7 port  ssh2",
        "Failed password for root from client.example port 22 ssh2",
        "Failed password for root from 192.0.2.7 port 050 ssh2",
        "failed password for root from 192.0.2.7 port 50122 ssh2",
    ] {
        assert!(one(FAILED, body).is_none(), "{body}");
    }
}

#[test]
fn free_text_on_both_sides_is_ambiguous_only_when_two_readings_fit() {
    let t = "Failed publickey for {user} from {ip} port {port} ssh2: {text}";
    let honest = "Failed publickey for ann from 192.0.2.7 port 50122 ssh2: ED25519 SHA256:abc";
    assert_eq!(
        show(&one(t, honest).unwrap(), honest),
        ("ann", "192.0.2.7", "50122")
    );
    let forged = "Failed publickey for ann from 192.0.2.7 port 1 ssh2: x from 203.0.113.5 port 2 ssh2: ED25519 SHA256:abc";
    let f = one(t, forged).unwrap();
    assert!(f.ambiguous);
    assert_eq!(f.addr(forged.as_bytes()), None);
}

#[test]
fn text_on_the_right_cannot_replace_the_first_address() {
    let t = "Received disconnect from {ip} port {port}:{n}: {text}";
    let body = "Received disconnect from 192.0.2.7 port 50122:11: 11: from 203.0.113.5";
    assert_eq!(show(&one(t, body).unwrap(), body).1, "192.0.2.7");
    let old = "Received disconnect from 2001:db8::7: 11: bye";
    assert_eq!(
        show(
            &one("Received disconnect from {ip}: {n}: {text}", old).unwrap(),
            old
        )
        .1,
        "2001:db8::7"
    );
}

#[test]
fn a_peer_has_its_forms() {
    let t = "Disconnecting {peer}: {text}";
    let body = "Disconnecting invalid user x 203.0.113.5 port 22 192.0.2.7 port 50122: Too many authentication failures";
    let f = one(t, body).unwrap();
    // Two readings: the reason, too, is free text as far as the wording says.
    assert!(f.ambiguous || show(&f, body).1 == "192.0.2.7");
    let plain = "Disconnecting 2001:db8::7%eth0 port 50122: bye";
    assert_eq!(
        show(&one(t, plain).unwrap(), plain),
        ("", "2001:db8::7%eth0", "50122")
    );
}

#[test]
fn addresses_with_ports() {
    for (body, addr, port) in [
        (
            "Exit before auth from <192.0.2.7:50122>: bye",
            "192.0.2.7",
            "50122",
        ),
        (
            "Exit before auth from <[2001:db8::7]:50122>: bye",
            "2001:db8::7",
            "50122",
        ),
        (
            "Exit before auth from <2001:db8::7:50122>: bye",
            "2001:db8::7",
            "50122",
        ),
    ] {
        let f = one("Exit before auth from <{addrport}>: {text}", body).unwrap();
        assert_eq!((show(&f, body).1, show(&f, body).2), (addr, port));
    }
}

#[test]
fn the_longest_beginning_wins() {
    let m = Matcher::new([("Failed {text}", 1), (FAILED, 2), ("{text} closed", 3)]).unwrap();
    let body = b"Failed password for root from 192.0.2.7 port 50122 ssh2";
    assert_eq!(m.find(body).unwrap().0, 2);
    assert_eq!(m.find(b"Failed otherwise").unwrap().0, 1);
    assert_eq!(m.find(b"it was closed").unwrap().0, 3);
    assert!(m.find(b"nothing of the kind").is_none());
}

#[test]
fn a_hostile_line_cannot_make_the_search_explode() {
    let t = "a {x} b {y} c {z} d {w} e";
    let body = format!("a {}", "b c d ".repeat(20_000));
    assert!(one(t, &body).is_none());
}
