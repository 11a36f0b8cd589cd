//! What comes out does not depend on how many threads there are: `report` and `events` on a log of some megabytes, in which
//! sessions overlap, cross the blocks that are scanned apart, and share pids.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

/// The lines of some connections, mixed: each connection's are in order, with those of others between them.
fn log(lines: usize) -> String {
    let mut dice = Dice(3);
    let mut open: Vec<(u64, Vec<String>)> = Vec::new();
    let mut out = String::new();
    let mut second = 0u64;
    for number in 0..lines {
        while open.len() < 40 {
            let addr = match dice.roll(3) {
                0 => format!("2001:db8::{:x}", dice.roll(3000)),
                _ => format!("198.51.100.{}", dice.roll(250)),
            };
            let (port, user) = (1024 + dice.roll(60_000), dice.roll(300));
            let mut said = match dice.roll(5) {
                0 => vec![
                    format!("Accepted password for u{user} from {addr} port {port} ssh2"),
                    format!(
                        "pam_unix(sshd:session): session opened for user u{user}(uid=1000) by (uid=0)"
                    ),
                    format!("Disconnected from user u{user} {addr} port {port}"),
                    format!("pam_unix(sshd:session): session closed for user u{user}"),
                ],
                1 => vec![
                    format!("Invalid user x{user} from {addr} port {port}"),
                    format!(
                        "Failed password for invalid user x{user} from {addr} port {port} ssh2"
                    ),
                    format!(
                        "Connection closed by invalid user x{user} {addr} port {port} [preauth]"
                    ),
                ],
                2 => vec![
                    "error: kex_exchange_identification: Connection closed by remote host"
                        .to_owned(),
                    format!("Connection closed by {addr} port {port}"),
                ],
                3 => vec![format!("a message that nobody knows {user}")],
                _ => vec![
                    format!("Failed password for u{user} from {addr} port {port} ssh2"),
                    format!(
                        "message repeated 2 times: [ Failed password for u{user} from {addr} port {port} ssh2]"
                    ),
                    format!("Received disconnect from {addr} port {port}:11: Bye Bye [preauth]"),
                    format!(
                        "Disconnected from authenticating user u{user} {addr} port {port} [preauth]"
                    ),
                ],
            };
            said.reverse();
            open.push((1000 + dice.roll(5000), said));
        }
        let at = dice.roll(open.len() as u64) as usize;
        let (pid, said) = &mut open[at];
        let text = said.pop().unwrap();
        let (h, m, s) = (second / 3600 % 24, second / 60 % 60, second % 60);
        let program = if number % 50 == 0 { "CRON" } else { "sshd" };
        writeln!(
            out,
            "Nov {:2} {h:02}:{m:02}:{s:02} web{} {program}[{pid}]: {text}",
            1 + second / 86_400,
            number % 2
        )
        .unwrap();
        if said.is_empty() {
            open.swap_remove(at);
        }
        second += dice.roll(2);
    }
    out
}

fn run(args: &[&str], log: &PathBuf, threads: &str) -> Vec<u8> {
    let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
        .args(args)
        .args(["--tz", "UTC", "--year", "2026", "--threads", threads])
        .arg(log)
        .output()
        .unwrap();
    assert!(
        !out.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

#[test]
fn any_number_of_threads_says_the_same() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = dir.join("parallel.log");
    let text = log(60_000);
    assert!(
        text.len() > 4 << 20,
        "{} bytes are too few blocks",
        text.len()
    );
    std::fs::write(&path, text).unwrap();
    for args in [&["report", "--format", "json"][..], &["events"]] {
        let one = run(args, &path, "1");
        for threads in ["2", "5"] {
            assert!(
                one == run(args, &path, threads),
                "{args:?} with {threads} threads differs"
            );
        }
    }
}
