//! Holds the message catalogue to its word: every row's example is that row, its near miss is not, and the fast matcher
//! agrees with a slow, obvious one.
//!
//! The slow matcher knows nothing of tries, ends and anchors: it spells a wording's alternatives out and tries every way to lay
//! slots over the text.

#![allow(clippy::unwrap_used)]

use sshwhy_core::catalog::messages::{self, Daemon, Message};
use sshwhy_core::event::{catalog, strip};
use sshwhy_core::line::Program;
use sshwhy_core::template::Template;

fn program(daemon: Daemon) -> Program {
    match daemon {
        Daemon::Dropbear => Program::Dropbear,
        Daemon::Systemd | Daemon::Kernel | Daemon::Platform => Program::Platform,
        Daemon::Openssh | Daemon::Pam | Daemon::TcpWrappers => Program::Sshd,
    }
}

fn id_of(message: &Message, body: &str) -> Option<&'static str> {
    catalog()
        .event(program(message.daemon), b"sshd", body.as_bytes())
        .map(|e| e.message().id)
}

#[test]
fn every_wording_compiles() {
    let bad: Vec<_> = messages::all()
        .flat_map(|m| m.texts)
        .filter_map(|t| Template::compile(t.text).err())
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(messages::all().count() > 500, "the catalogue is missing");
}

#[test]
fn every_example_is_its_row_and_no_near_miss_is() {
    let mut wrong = Vec::new();
    for m in messages::all() {
        let got = id_of(m, m.example);
        if got != Some(m.id) {
            wrong.push(format!(
                "{} {}: example is {got:?}: {}",
                m.id, m.slug, m.example
            ));
        }
        if id_of(m, m.near_miss) == Some(m.id) {
            wrong.push(format!(
                "{} {}: near miss matches: {}",
                m.id, m.slug, m.near_miss
            ));
        }
        if m.near_miss.is_empty() {
            wrong.push(format!("{} {}: no near miss", m.id, m.slug));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[derive(Clone, Debug)]
enum Tok {
    Lit(String),
    Slot(String, bool),
    Words(Vec<String>),
}

fn spell_out(text: &str) -> Vec<Vec<Tok>> {
    let Some(open) = text.find('{') else {
        return vec![if text.is_empty() {
            vec![]
        } else {
            vec![Tok::Lit(text.to_owned())]
        }];
    };
    let close = open + text[open..].find('}').unwrap();
    let (before, slot, after) = (
        &text[..open],
        &text[open + 1..close],
        spell_out(&text[close + 1..]),
    );
    let mut alternatives: Vec<Vec<Tok>> = Vec::new();
    if let Some(literal) = slot.strip_prefix('?') {
        alternatives.push(vec![Tok::Lit(literal.to_owned())]);
        alternatives.push(vec![]);
    } else if let Some(words) = slot.strip_prefix('=') {
        alternatives.push(vec![Tok::Words(
            words.split('|').map(str::to_owned).collect(),
        )]);
    } else if slot == "peer" {
        for kind in [
            "authenticating user ",
            "authenticatinguser ",
            "invalid user ",
            "user ",
            "",
        ] {
            let mut a = vec![];
            if !kind.is_empty() {
                a.extend([
                    Tok::Lit(kind.to_owned()),
                    Tok::Slot("user".into(), true),
                    Tok::Lit(" ".into()),
                ]);
            }
            a.extend([
                Tok::Slot("ip".into(), false),
                Tok::Lit(" port ".into()),
                Tok::Slot("port".into(), false),
            ]);
            alternatives.push(a);
        }
    } else {
        let (name, optional) = slot.strip_suffix('?').map_or((slot, false), |n| (n, true));
        alternatives.push(vec![Tok::Slot(name.to_owned(), optional || name == "user")]);
    }
    let mut all = Vec::new();
    for a in alternatives {
        for tail in &after {
            let mut one = Vec::new();
            if !before.is_empty() {
                one.push(Tok::Lit(before.to_owned()));
            }
            one.extend(a.clone());
            one.extend(tail.clone());
            all.push(one);
        }
    }
    all
}

fn may_be(name: &str, optional: bool, s: &str) -> bool {
    if s.is_empty() {
        return optional;
    }
    match name {
        "ip" | "local-ip" => {
            let plain = s.split('%').next().unwrap();
            s == "UNKNOWN"
                || (plain.matches(':').count() >= 2
                    && plain
                        .chars()
                        .all(|c| c.is_ascii_hexdigit() || ":.".contains(c)))
                || (plain.matches('.').count() == 3
                    && plain.chars().all(|c| c.is_ascii_digit() || c == '.'))
        }
        "port" | "local-port" => {
            s == "-1"
                || (s.len() <= 5
                    && s.bytes().all(|b| b.is_ascii_digit())
                    && (s.len() == 1 || !s.starts_with('0')))
        }
        "host" | "method" | "submethod" | "key-type" | "key-algorithm" | "fingerprint"
        | "ca-key-type" | "ca-fingerprint" | "keyword" | "signal" | "status" | "logname"
        | "tty" | "ruser" => !s.contains(' '),
        "addrport" => !s.contains(' ') && s.contains(['.', ':']),
        "n" | "count" | "pid" | "uid" | "euid" | "gid" | "seconds" | "line" | "serial"
        | "masklen" | "len" | "channel" | "fd" | "type" => {
            let digits = s.strip_prefix('-').unwrap_or(s);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        }
        _ => true,
    }
}

fn fits(toks: &[Tok], s: &str) -> bool {
    fn go(
        toks: &[Tok],
        s: &str,
        at: usize,
        dead: &mut std::collections::HashSet<(usize, usize)>,
    ) -> bool {
        let Some(first) = toks.first() else {
            return at == s.len();
        };
        if dead.contains(&(toks.len(), at)) {
            return false;
        }
        let rest = &s[at..];
        let hit = match first {
            Tok::Lit(l) => rest.starts_with(l.as_str()) && go(&toks[1..], s, at + l.len(), dead),
            Tok::Words(ws) => ws
                .iter()
                .any(|w| rest.starts_with(w.as_str()) && go(&toks[1..], s, at + w.len(), dead)),
            Tok::Slot(name, optional) => (at..=s.len())
                .filter(|e| s.is_char_boundary(*e))
                .any(|e| may_be(name, *optional, &s[at..e]) && go(&toks[1..], s, e, dead)),
        };
        if !hit {
            dead.insert((toks.len(), at));
        }
        hit
    }
    go(toks, s, 0, &mut std::collections::HashSet::new())
}

/// Whether some wording of the row fits the body, tried the slow way.
fn slow_fits(m: &Message, body: &str) -> bool {
    let pam = |t: &str| {
        let (module, rest) = t.split_once('(').filter(|_| t.starts_with("pam_"))?;
        let (_, message) = rest.split_once("): ")?;
        let word = |m: &str| m.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        word(module).then(|| (module.to_owned(), message.to_owned()))
    };
    m.texts
        .iter()
        .any(|t| match (m.daemon, pam(t.text), pam(body)) {
            (Daemon::Pam, Some((module, wording)), Some((seen, rest))) => {
                module == seen && spell_out(&wording).iter().any(|toks| fits(toks, &rest))
            }
            (Daemon::Pam, Some(_), None) => false,
            _ => spell_out(t.text).iter().any(|toks| fits(toks, body)),
        })
}

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

/// A body changed a little, so that it is nearly a message.
fn mutate(body: &str, dice: &mut Dice) -> String {
    let mut words: Vec<&str> = body.split(' ').collect();
    let i = dice.roll(words.len());
    match dice.roll(5) {
        0 => {
            words.remove(i);
        }
        1 => words.insert(i, "from 203.0.113.5 port 22 ssh2"),
        2 => words.insert(i, ""),
        3 => words[i] = "2001:db8::9",
        _ => words.truncate(i + 1),
    }
    words.join(" ")
}

#[test]
fn the_fast_matcher_agrees_with_the_slow_one() {
    let mut dice = Dice(7);
    let rows: Vec<&Message> = messages::all().collect();
    let mut wrong = Vec::new();
    let mut known = 0;
    for m in &rows {
        for round in 0..4 {
            let changed = if round == 0 {
                m.example.to_owned()
            } else {
                mutate(m.example, &mut dice)
            };
            let fast = catalog().event(program(m.daemon), b"sshd", changed.as_bytes());
            let (body, _) = strip(changed.as_bytes());
            let body = std::str::from_utf8(body).unwrap();
            // A space that a relay left behind does not count.
            let fits = |m: &Message| slow_fits(m, body) || slow_fits(m, body.trim_end());
            match fast {
                Some(event) => {
                    known += 1;
                    // What the fast one says must be so …
                    if !fits(event.message()) {
                        wrong.push(format!(
                            "fast says {}, slow does not: {changed}",
                            event.message().slug
                        ));
                    }
                    if let Some(addr) = event.addr() {
                        let addr = String::from_utf8_lossy(addr).into_owned();
                        if !body.contains(&addr) {
                            wrong.push(format!("address {addr} is not in: {changed}"));
                        }
                    }
                }
                // … and where it finds nothing there must be nothing: asked of the row that the text was made from.
                None => {
                    if fits(m) {
                        wrong.push(format!(
                            "slow says {}, fast finds nothing: {changed}",
                            m.slug
                        ));
                    }
                }
            }
        }
    }
    assert!(
        known > rows.len(),
        "only {known} of the texts were known at all"
    );
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn hostile_user_names_change_neither_address_nor_outcome() {
    // (what the attacker types as user name, in lines of each shape)
    let names = [
        "root from 203.0.113.5 port 22 ssh2",
        "invalid user admin",
        "",
        " ",
        "x 203.0.113.5 port 22 [preauth]",
        "a\\nAccepted password for root from 203.0.113.5 port 22 ssh2",
        "user root from 203.0.113.5 port 2222",
        "203.0.113.5",
    ];
    let shapes = [
        (
            "Failed password for invalid user @ from 192.0.2.7 port 50122 ssh2",
            "failed-password-invalid-user",
        ),
        ("Invalid user @ from 192.0.2.7 port 50122", "invalid-user"),
        (
            "Connection closed by invalid user @ 192.0.2.7 port 50122 [preauth]",
            "connection-closed-invalid-user",
        ),
        (
            "Disconnected from invalid user @ 192.0.2.7 port 50122 [preauth]",
            "disconnected-invalid-user",
        ),
    ];
    for (shape, slug) in shapes {
        for name in names {
            let line = shape.replace('@', name);
            let event = catalog()
                .event(Program::Sshd, b"sshd", line.as_bytes())
                .unwrap_or_else(|| panic!("unknown: {line}"));
            assert_eq!(event.message().slug, slug, "{line}");
            assert_eq!(
                event
                    .addr()
                    .map(|a| String::from_utf8_lossy(a).into_owned()),
                Some("192.0.2.7".to_owned()),
                "{line}"
            );
            assert_eq!(event.port(), Some(50122), "{line}");
        }
    }
}
