//! What any bytes must not do to the readers of a server's files and of evidence: panic, hang, or point outside of the text. Driven by the fuzz
//! targets of `fuzz/`, and by `mutations.rs` where no fuzzer is at hand.
#![allow(dead_code)] // each fuzz target uses one of them

use sshwhy_core::config::Memory;
use sshwhy_core::config::authorized_keys::{self, Line};
use sshwhy_core::config::effective::{Connection, effective};
use sshwhy_core::config::krl;
use sshwhy_core::config::lint::{Known, lint};
use sshwhy_core::config::parse::{Shown, parse};
use sshwhy_core::config::samples;
use sshwhy_core::config::simulate::limits::Limits;
use sshwhy_core::image::{dockerfile, from_dockerfile, judge, patch};
use sshwhy_core::server::{Leg, Packet, iptables, nft, pam, wrappers};
use sshwhy_core::trace::evidence::ran;
use sshwhy_core::trace::{happening, relay};
use std::net::{IpAddr, Ipv4Addr};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

fn packet() -> Packet {
    Packet {
        from: CLIENT,
        to: None,
        port: 22,
        interface: None,
        leg: Leg::Opens,
    }
}

/// It may include itself.
pub fn sshd_config(data: &[u8]) {
    let files = Memory::default().with("/etc/ssh/sshd_config", &text(data));
    let connection = Connection {
        user: Some("alice".into()),
        addr: Some("192.0.2.7".into()),
        ..Connection::default()
    };
    for release in [(8, 4), (9, 2), (9, 9), (10, 6)] {
        let config = parse(&files, "/etc/ssh/sshd_config", release, "/");
        for d in config.diagnostics.iter().take(50) {
            assert!(d.pos.file < config.sources.len());
            let _ = Shown(&config, d).to_string();
        }
        let e = effective(&config, Some(&connection));
        let _ = (e.dump(), Limits::of(&e));
        if config.sources.len() < 8 {
            let findings = lint(&config, &Known::default());
            let said = sshwhy_core::render::config::check(&config, &findings, false);
            assert!(!said.contains('\x1b'));
            assert!(samples::places(&config).len() <= 20);
            for line in samples::matches(&config).into_iter().take(20) {
                let _ = samples::of(line);
            }
        }
    }
}

pub fn authorized_keys(data: &[u8]) {
    let text = text(data);
    let count = text.lines().count() as u32 + 1;
    for (number, line) in authorized_keys::lines(&text) {
        assert!(number >= 1 && number <= count);
        if let Line::Entry(e) = line {
            assert!(e.key.fingerprint.starts_with("SHA256:"));
        }
    }
    for (number, key) in authorized_keys::mangled(&text) {
        assert!(number >= 1 && number <= count);
        assert!(key.is_none_or(|k| k.starts_with("SHA256:")));
    }
    for print in krl::fingerprints(data).unwrap_or_default() {
        assert!(print.starts_with("SHA256:"));
    }
}

struct Pam(String);

impl pam::Read for Pam {
    fn text(&self, path: &str) -> Option<String> {
        // The stack may include itself, and the modules read whatever they are told to.
        Some(match path {
            "/etc/passwd" => "alice:x:1000:1000::/home/alice:/bin/sh\n".to_owned(),
            _ => self.0.clone(),
        })
    }

    fn exists(&self, _: &str) -> bool {
        true
    }

    fn module(&self, name: &str) -> bool {
        !name.contains("missing")
    }

    fn writable(&self, path: &str) -> bool {
        path.is_empty()
    }

    fn folder(&self, path: &str, ending: &str) -> Vec<String> {
        vec![format!("{path}/x{ending}")]
    }
}

pub fn pam(data: &[u8]) {
    let read = Pam(text(data));
    let who = pam::Who {
        user: "alice".into(),
        uid: 1000,
        gid: 1000,
        ..pam::Who::default()
    };
    let _ = pam::rules(&read, "sshd");
    for stack in ["auth", "account", "session"] {
        let _ = pam::refusals(&read, "sshd", stack, &who);
    }
}

pub fn hosts_allow(data: &[u8]) {
    let text = text(data);
    let mut call = wrappers::Call {
        daemon: "sshd",
        server: Some(CLIENT),
        client: CLIENT,
        host: Some("a.example.org"),
    };
    let _ = wrappers::denied(&text, "ALL: ALL", &call);
    (call.server, call.host) = (None, None);
    let _ = wrappers::denied("", &text, &call);
}

pub fn nft(data: &[u8]) {
    let Ok(json) = serde_json::from_slice(data) else {
        return;
    };
    let rules = nft::Ruleset::new(&json);
    let _ = (
        rules.rules(),
        rules.evaluate(&packet()),
        rules.evaluate_forwarded(&packet()),
        rules.listed(CLIENT),
    );
}

pub fn iptables(data: &[u8]) {
    let text = text(data);
    let sets = iptables::ipsets(&text);
    let _ = iptables::evaluate(&text, &packet(), &sets);
    let _ = iptables::evaluate_forwarded(&text, &packet(), &sets);
}

/// What a patch is made for can be read again.
pub fn dockerfile(data: &[u8]) {
    let text = text(data);
    let d = dockerfile::parse(&text, &[("A", "1")]);
    let count = text.lines().count() as u32 + 1;
    for i in d.stages.iter().flat_map(|s| &s.instructions) {
        assert!(i.lines.0 >= 1 && i.lines.0 <= i.lines.1 && i.lines.1 <= count);
    }
    let _ = judge(&from_dockerfile(&d, "Dockerfile"));
    let _ = patch(&text, "Dockerfile");
}

/// Lines that speak of somebody else: what is kept of one stays bounded, and a command is a part of its line.
pub fn relay(data: &[u8]) {
    for line in data.split(|b| *b == b'\n') {
        if let Some(said) = relay::relayed(line, 22) {
            assert!(said.text.len() <= 64 << 10);
        }
        let _ = relay::unit_of(line);
        let _ = relay::named_by_id(line);
        let _ = happening::line(line);
        let text = String::from_utf8_lossy(line);
        let _ = relay::filtered(&text, 22);
        let _ = relay::came_in(&text);
        if let Some(command) = ran(&text) {
            assert!(text.contains(command));
        }
    }
}
