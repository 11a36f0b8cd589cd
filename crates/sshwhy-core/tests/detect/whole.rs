//! Connections that are joined in the parallel half come out as those joined line by line: logs at random, in which everything
//! happens that could make a difference, read both ways.

use crate::log::{Dice, Log, read_blocks};
use sshwhy_core::detect::Settings;
use sshwhy_core::names::Limits;

struct Actors {
    dice: Dice,
    log: Log,
    pid: u32,
    /// Of the messages that one release after the other changed.
    old: bool,
}

impl Actors {
    fn roll(&mut self, n: u32) -> u32 {
        (self.dice.roll() * f64::from(n)) as u32
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len() as u32) as usize]
    }

    /// One connection that begins at `at`; what it is and how long it takes is left to the dice.
    fn connection(&mut self, at: f64) {
        // Numbers of processes come round, ports are used again, addresses come back.
        self.pid = (self.pid + 1 + self.roll(4)) % 4_000;
        let pid = 1_000 + self.pid;
        let port = 40_000 + self.roll(3_000);
        let ip = match self.roll(12) {
            0 => format!("2001:db8::{:x}", self.roll(9)),
            1 => format!("host{}.example.net", self.roll(4)),
            _ => format!("198.51.100.{}", self.roll(60)),
        };
        let user = self.one(&[
            "root",
            "alice",
            "admin",
            "bob",
            "x y",
            "from 192.0.2.1 port 22",
            "",
            "oracle",
            "postgres",
        ]);
        let pause = [0.0, 0.3, 2.0, 7.0, 14.0, 15.0, 16.0, 40.0][self.roll(8) as usize];
        let invalid = self.roll(3) == 0;
        let who = if invalid {
            format!("invalid user {user}")
        } else {
            user.to_owned()
        };
        let before = if invalid {
            "invalid user"
        } else {
            "authenticating user"
        };
        let bye = self.one(&[
            "Bye Bye",
            "disconnected by user",
            "Normal Shutdown, Thank you for playing",
            "Accepted password for root from 192.0.2.9 port 1 ssh2",
            "Client disconnecting normally",
        ]);
        let mut said: Vec<String> = Vec::new();
        if !self.old && self.roll(6) == 0 {
            said.push(format!(
                "Connection from {ip} port {port} on 192.0.2.1 port 22 rdomain \"\""
            ));
        }
        let what = match (self.roll(14), self.old) {
            (0, true) | (3 | 5, false) => 10,
            (what, _) => what,
        };
        match what {
            0 => said.extend([
                "error: kex_exchange_identification: Connection closed by remote host".to_owned(),
                format!("Connection closed by {ip} port {port}"),
            ]),
            1 => said.extend([
                format!("Accepted password for {user} from {ip} port {port} ssh2"),
                format!("pam_unix(sshd:session): session opened for user {user}(uid=0) by (uid=0)"),
                format!("Disconnected from user {user} {ip} port {port}"),
                format!("pam_unix(sshd:session): session closed for user {user}"),
            ]),
            2 => said.extend([
                format!("Invalid user {user} from {ip} port {port}"),
                "pam_unix(sshd:auth): check pass; user unknown".to_owned(),
                format!("Failed password for invalid user {user} from {ip} port {port} ssh2"),
                format!("Connection closed by invalid user {user} {ip} port {port} [preauth]"),
            ]),
            3 => said.push(format!("Bad protocol version identification 'GET / HTTP/1.1' from {ip} port {port}")),
            4 => said.extend([
                format!("Unable to negotiate with {ip} port {port}: no matching key exchange method found. Their offer: a,b [preauth]"),
            ]),
            5 => said.extend([
                format!("Timeout before authentication for {ip} port {port}"),
            ]),
            6 => said.push("a message that nobody knows".to_owned()),
            7 => said.extend([
                "Authentication refused: bad ownership or modes for directory /home/alice".to_owned(),
                format!("Connection closed by authenticating user {user} {ip} port {port} [preauth]"),
            ]),
            8 => said.extend([
                format!("Failed publickey for {who} from {ip} port {port} ssh2: RSA SHA256:abc"),
                format!("Postponed keyboard-interactive for {who} from {ip} port {port} ssh2 [preauth]"),
                format!("error: PAM: Authentication failure for {who} from {ip}"),
                format!("Failed keyboard-interactive/pam for {who} from {ip} port {port} ssh2"),
                format!("Connection reset by {before} {user} {ip} port {port} [preauth]"),
            ]),
            9 => said.extend([
                format!("User {user} from {ip} not allowed because not listed in AllowUsers"),
                format!("Connection closed by invalid user {user} {ip} port {port} [preauth]"),
            ]),
            _ => {
                let tries = 1 + self.roll(4);
                said.push(format!(
                    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}"
                ));
                for _ in 0..tries {
                    said.push(format!("Failed password for {who} from {ip} port {port} ssh2"));
                }
                if tries > 3 {
                    said.push(format!(
                        "error: maximum authentication attempts exceeded for {who} from {ip} port {port} ssh2 [preauth]"
                    ));
                    said.push(format!("Disconnecting {before} {user} {ip} port {port}: Too many authentication failures [preauth]"));
                } else {
                    said.push(format!("Received disconnect from {ip} port {port}:11: {bye} [preauth]"));
                    said.push(format!("Disconnected from {before} {user} {ip} port {port} [preauth]"));
                }
                if tries > 1 {
                    said.push(format!(
                        "PAM {} more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}",
                        tries - 1
                    ));
                }
            }
        }
        // Now and then a connection has no end, or its lines belong to two.
        if self.roll(15) == 0 {
            said.pop();
        }
        let mut t = at;
        for text in said {
            self.log.say(t.floor(), pid, &text);
            t += pause * self.dice.roll();
        }
    }
}

/// `gap`: seconds between two connections, at most. `disorder`: so many lines in a thousand come late.
fn log(seed: u64, connections: u32, gap: f64, disorder: u32) -> String {
    let mut a = Actors {
        dice: Dice(seed),
        log: Log::new(),
        pid: 0,
        old: seed.is_multiple_of(2),
    };
    let mut at = 0.0;
    for n in 0..connections {
        // An upgrade.
        a.old &= !seed.is_multiple_of(4) || n < connections / 3;
        a.connection(at);
        at += gap * a.dice.roll();
        if a.roll(400) == 0 {
            at += 20_000.0 * a.dice.roll();
        }
    }
    a.log.lines.sort_by(|x, y| x.0.total_cmp(&y.0));
    for i in 1..a.log.lines.len() {
        if a.roll(1000) < disorder {
            a.log.lines.swap(i - 1, i);
        }
    }
    // Another collector writes some stretches too, and now and then one line.
    let mut out = String::new();
    let lines = std::mem::take(&mut a.log.lines);
    for (i, (_, text)) in lines.iter().enumerate() {
        out.push_str(text);
        let stretch = seed.is_multiple_of(5) && (i / 700) % 3 == 1;
        if stretch || (seed % 4 == 1 && a.roll(1_500) == 0) {
            out.push_str(text);
        }
    }
    out
}

#[test]
fn joined_in_blocks_or_line_by_line_the_report_is_the_same() {
    let (mut joined, mut all) = (0, 0);
    for seed in 1..=12 {
        let gap = [0.2, 1.0, 6.0, 30.0][seed as usize % 4];
        let text = log(seed, 1_500, gap, u32::from(seed.is_multiple_of(3)));
        for size in [9_000, 60_000, 400_000] {
            let read =
                |join| read_blocks(&text, Settings::default(), Limits::default(), size, join);
            let ((single, none), (report, some)) = (read(false), read(true));
            assert_eq!(none, 0);
            joined += some;
            all += report.input.ssh_lines;
            let (single, report) = (format!("{single:#?}"), format!("{report:#?}"));
            let differs = single.lines().zip(report.lines()).find(|(a, b)| a != b);
            assert_eq!(differs, None, "seed {seed}, blocks of {size} bytes");
            assert_eq!(single, report, "seed {seed}, blocks of {size} bytes");
        }
    }
    // Or the comparison says nothing.
    assert!(joined * 8 > all, "{joined} of {all} lines were joined");
}
