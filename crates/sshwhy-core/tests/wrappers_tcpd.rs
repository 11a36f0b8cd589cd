//! hosts.allow and hosts.deny as we read them against tcpdmatch(8), which asks libwrap itself: generated files, each asked about for
//! several clients.
//!
//! Without tcpdmatch (Debian: tcpd) it does not run, and says so by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::server::wrappers::{Call, denied};
use std::fs;
use std::net::IpAddr;
use std::process::Command;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }
}

const DAEMONS: &[&str] = &[
    "sshd",
    "ALL",
    "SSHD",
    "vsftpd",
    "sshd, vsftpd",
    "ALL EXCEPT vsftpd",
    "ALL EXCEPT sshd",
    "all",
    "sshd@198.51.100.1",
    "sshd@203.0.113.0/24, vsftpd",
    "ALL@[2001:db8::]/32",
    "ALL EXCEPT sshd@198.51.100.1",
    "s*@ALL",
    "sshd@UNKNOWN",
    "sshd@KNOWN",
    "sshd@LOCAL",
    "sshd@198.51.100.",
    "@sshd",
    "sshd@",
    "sshd@198.51.100.1@x",
    "ss?d",
    "KNOWN",
    "UNKNOWN",
    ".sshd",
];
const CLIENTS: &[&str] = &[
    "ALL",
    "all",
    "192.0.2.",
    "192.0.2.7",
    "192.0.2",
    "192.0.2.0/24",
    "192.0.2.1/24",
    "192.0.2.0/255.255.255.0",
    "192.0.*.7",
    "192.0.2.?",
    "10.",
    "198.51.100.0/25",
    "[2001:db8::]/32",
    "[2001:db8::7]",
    "[192.0.2.7]",
    "UNKNOWN",
    "KNOWN",
    "LOCAL",
    ".example.org",
    "bob@192.0.2.7",
    "ALL@192.0.2.7",
    "0.0.0.0/0",
    "192.0.2.7/32",
    "[2001:db9::]/16",
];
const OPTIONS: &[&str] = &[
    "",
    "",
    "",
    " : allow",
    " : deny",
    " : ALLOW",
    ": severity auth.info",
    " : foo",
    " : spawn (true) : deny",
];

fn line(d: &mut Dice) -> String {
    let mut clients = d.pick(CLIENTS).to_owned();
    for _ in 0..d.roll(3) {
        let between = d.pick(&[" ", ", ", " EXCEPT ", "\t"]);
        clients.push_str(between);
        clients.push_str(d.pick(CLIENTS));
    }
    let (indent, around) = (d.pick(&["", " "]), d.pick(&[":", " : ", ": \\\n "]));
    format!(
        "{indent}{}{around}{clients}{}\n",
        d.pick(DAEMONS),
        d.pick(OPTIONS)
    )
}

fn file(d: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..d.roll(4) {
        match d.roll(6) {
            0 => text.push_str("# a comment\n"),
            1 => text.push('\n'),
            _ => text.push_str(&line(d)),
        }
    }
    text
}

/// tcpdmatch asks for names of addresses: nobody is to be asked here, and nothing waited for.
fn without_a_network() -> &'static [&'static str] {
    let ways: [&'static [&'static str]; 2] = [&["unshare", "-n"], &["unshare", "-rn"]];
    let works = |way: &&&'static [&'static str]| {
        Command::new(way[0])
            .args(&way[1..])
            .arg("true")
            .status()
            .is_ok_and(|s| s.success())
    };
    // The resolver gives up at once where it cannot be kept away.
    ways.iter()
        .find(works)
        .copied()
        .unwrap_or(&["env", "RES_OPTIONS=timeout:1 attempts:1"])
}

#[test]
fn libwrap_lets_in_whom_we_let_in() {
    if Command::new("tcpdmatch").output().is_err() {
        eprintln!(
            "skipped: wrappers_tcpd::libwrap_lets_in_whom_we_let_in: there is no tcpdmatch (package tcpd)"
        );
        return;
    }
    let desk = std::env::temp_dir().join(format!("sshwhy-tcpd-{}", std::process::id()));
    let _ = fs::remove_dir_all(&desk);
    fs::create_dir_all(&desk).unwrap();
    let (mut asked, mut refused, mut wrong) = (0, 0, Vec::new());
    // Which address is called: none that anybody named, or one of these.
    let alone = without_a_network();
    let servers = [None, Some("198.51.100.1"), Some("2001:db8::1")];
    for number in 1..=400u64 {
        let mut d = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (allow, deny) = (file(&mut d), file(&mut d));
        fs::write(desk.join("hosts.allow"), &allow).unwrap();
        fs::write(desk.join("hosts.deny"), &deny).unwrap();
        for addr in ["192.0.2.7", "198.51.100.9", "2001:db8::7"] {
            let server = servers[d.roll(servers.len())];
            let name = server.map_or("sshd".to_owned(), |s| format!("sshd@{s}"));
            let said = Command::new(alone[0])
                .args(&alone[1..])
                .args(["tcpdmatch", "-d", &name, addr])
                .current_dir(&desk)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let theirs = said.contains("access:   denied");
            assert!(theirs || said.contains("access:   granted"), "{said}");
            let ip: IpAddr = addr.parse().unwrap();
            let call = Call {
                daemon: "sshd",
                server: server.map(|s| s.parse().unwrap()),
                client: ip,
                host: None,
            };
            let ours = denied(&allow, &deny, &call).is_some();
            asked += 1;
            refused += usize::from(theirs);
            if ours != theirs {
                wrong.push(format!(
                    "{name} {addr}: libwrap denies {theirs}, we {ours}\n--- allow\n{allow}--- deny\n{deny}"
                ));
            }
        }
    }
    fs::remove_dir_all(&desk).unwrap();
    eprintln!(
        "{asked} answers compared, {refused} of them refusals, {} differ",
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "{}",
        wrong
            .iter()
            .take(10)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert!(
        refused > asked / 10 && refused < asked * 9 / 10,
        "{refused} of {asked}"
    );
}
