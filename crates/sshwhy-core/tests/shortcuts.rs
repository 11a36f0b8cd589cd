//! A shortcut says what the search says, or nothing: every message of the catalogue, over and over, with values of all kinds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::catalog::messages;
use sshwhy_core::event::catalog;
use sshwhy_core::line::Program;
use sshwhy_core::shortcut::Shortcuts;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

const WORDS: &[&str] = &[
    "root",
    "invalid",
    "user",
    "admin-2",
    "a.b",
    "x@y",
    "",
    " ",
    "UNKNOWN",
    "password",
    "from",
    "none",
    "error:",
    "root]",
    "[preauth]",
    "x from 203.0.113.5 port 22 ssh2",
    "192.0.2.7",
    "192.0.2.300",
    "01.2.3.4",
    "2001:db8::9",
    "fe80::1%eth0",
    "50122",
    "0",
    "065",
    "-1",
    "70000",
    "123456",
    "host.example",
    "a:b",
    "SHA256:abc",
    "(x):",
    "pam_unix(sshd:auth):",
    "11:",
];

/// The message with one word, or what looks like an address or a number in it, replaced.
fn vary(message: &str, dice: &mut Dice) -> String {
    let mut words: Vec<String> = message.split(' ').map(str::to_owned).collect();
    for _ in 0..dice.roll(3) {
        let i = dice.roll(words.len());
        let numeric = words[i].bytes().any(|b| b.is_ascii_digit());
        let new = WORDS[dice.roll(WORDS.len())];
        words[i] = match words[i].rsplit_once('=') {
            Some((key, _)) if dice.roll(3) > 0 => format!("{key}={new}"),
            _ if numeric && dice.roll(2) == 0 => format!("198.51.100.{}", dice.roll(256)),
            _ => new.to_owned(),
        };
    }
    let wrapped = words.join(" ");
    match dice.roll(12) {
        0 => format!("error: {wrapped}"),
        1 => format!("{wrapped} [preauth]"),
        2 => format!("{wrapped} [postauth]"),
        3 => format!("debug1: {wrapped} "),
        _ => wrapped,
    }
}

#[test]
fn shortcuts_agree_with_the_search() {
    let mut dice = Dice(5);
    let mut wrong = Vec::new();
    let mut taken = 0usize;
    let rows: Vec<_> = messages::all().collect();
    // A few rows at a time, so that the bound on how many are kept leaves none out.
    for some in rows.chunks(40) {
        let mut shortcuts = Shortcuts::default();
        for m in some {
            for plain in [m.example.to_owned(), format!("{} [preauth]", m.example)] {
                for _ in 0..20 {
                    shortcuts.event(catalog(), Program::Sshd, b"sshd", plain.as_bytes());
                }
            }
        }
        taken += shortcuts.len();
        for m in some {
            for _ in 0..150 {
                let text = vary(m.example, &mut dice);
                let slow = catalog().event(Program::Sshd, b"sshd", text.as_bytes());
                let fast = shortcuts.event(catalog(), Program::Sshd, b"sshd", text.as_bytes());
                let show = |e: &Option<sshwhy_core::event::Event<'_>>| {
                    e.as_ref().map(|e| {
                        let facts = (e.hostile(), e.user_is_invalid(), e.port(), e.preauth);
                        format!("{} {} {:?} {facts:?} {:?}", e.row, e.text, e.fields, e.body)
                    })
                };
                if show(&slow) != show(&fast) {
                    wrong.push(format!(
                        "{text}\n  slow {:?}\n  fast {:?}",
                        show(&slow),
                        show(&fast)
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(taken > 100, "only {taken} wordings have a shortcut");
}

#[test]
fn what_logs_are_full_of_has_a_shortcut() {
    for text in [
        "Failed password for root from 192.0.2.7 port 50122 ssh2",
        "Failed password for invalid user admin from 192.0.2.7 port 50122 ssh2",
        "Invalid user admin from 192.0.2.7 port 50122",
        "Connection closed by authenticating user root 192.0.2.7 port 50122 [preauth]",
        "Received disconnect from 192.0.2.7 port 50122:11: Bye Bye [preauth]",
        "Disconnected from authenticating user root 192.0.2.7 port 50122 [preauth]",
        "Accepted publickey for alice from 192.0.2.7 port 50122 ssh2: ED25519 SHA256:uVbXq0l2cC0mD9o4wQb6eWcZQ8yYk1m3s5t7u9w1y3A",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=root",
        "pam_unix(sshd:auth): check pass; user unknown",
        "error: kex_exchange_identification: Connection closed by remote host",
    ] {
        let mut shortcuts = Shortcuts::default();
        for _ in 0..20 {
            assert!(
                shortcuts
                    .event(catalog(), Program::Sshd, b"sshd", text.as_bytes())
                    .is_some()
            );
        }
        assert_eq!(shortcuts.len(), 1, "{text}");
    }
}
