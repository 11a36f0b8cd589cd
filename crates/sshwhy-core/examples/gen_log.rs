//! Writes an auth.log in which known things happen: for the sample in `examples/` and for the benchmark.
//!
//! ```text
//! cargo run --release -p sshwhy-core --example gen_log -- sample > examples/break-in.log
//! cargo run --release -p sshwhy-core --example gen_log -- bytes 1000000000 > big.log
//! cargo run --release -p sshwhy-core --example gen_log -- lines 10000000 addresses 100000 > many.log
//! cargo run --release -p sshwhy-core --example gen_log -- lines 41600000 addresses 10000000 in-turn > each-once.log
//! ```
//!
//! The same arguments give the same bytes. Addresses are of the ranges set aside for documentation and benchmarks. The lines are
//! those that Debian's OpenSSH 9.2 writes at LogLevel INFO.

use sshwhy_core::time::{Time, civil_from_days};
use std::collections::BinaryHeap;
use std::io::{self, BufWriter, Write};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const NAMES: [&str; 16] = [
    "admin",
    "test",
    "oracle",
    "user",
    "guest",
    "pi",
    "ftpuser",
    "hadoop",
    "jenkins",
    "minecraft",
    "nagios",
    "es",
    "dev",
    "steam",
    "tomcat",
    "ubnt",
];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n.max(1)
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len() as u64) as usize]
    }
}

/// What somebody does again and again.
#[derive(Clone)]
enum Actor {
    /// Tries names or root until it has tried `left` times; then, maybe, gets in.
    Brute {
        addr: String,
        gap: u64,
        left: u32,
        root: bool,
        wins: bool,
    },
    /// One try each from many addresses for one name.
    Botnet {
        addresses: u64,
        gap: u64,
        /// The address of the next try, where each has its turn; by chance otherwise.
        turn: Option<u64>,
    },
    Person {
        addr: String,
        user: &'static str,
    },
    Monitor {
        addr: String,
        every: u64,
    },
    LockedOut {
        addr: String,
        user: &'static str,
    },
    Cron,
}

struct World {
    dice: Dice,
    pid: u64,
    actors: Vec<Actor>,
    /// (negative second, actor): the next to act comes first.
    queue: BinaryHeap<(i64, usize)>,
    /// Lines of connections that go on: (negative second, order, text).
    later: BinaryHeap<(i64, i64, String)>,
    order: i64,
}

fn benchmark_address(n: u64) -> String {
    // More than the range for benchmarks holds: IPv6, each of another network.
    if let Some(n) = n.checked_sub(131_072) {
        return format!(
            "2001:db8:{:x}:{:x}::{:x}",
            n / 65_536,
            n % 65_536,
            1 + n % 9
        );
    }
    format!("198.{}.{}.{}", 18 + n / 65_536 % 2, n / 256 % 256, n % 256)
}

impl World {
    fn new(seed: u64) -> World {
        World {
            dice: Dice(seed),
            pid: 1200,
            actors: Vec::new(),
            queue: BinaryHeap::new(),
            later: BinaryHeap::new(),
            order: 0,
        }
    }

    fn add(&mut self, start: i64, actor: Actor) {
        self.actors.push(actor);
        self.queue.push((-start, self.actors.len() - 1));
    }

    fn pid(&mut self) -> u64 {
        self.pid = if self.pid > 4_000_000 {
            1200
        } else {
            self.pid + 1 + self.dice.roll(7)
        };
        self.pid
    }

    fn say(&mut self, at: i64, program: &str, pid: u64, text: String) {
        self.order += 1;
        self.later
            .push((-at, -self.order, format!("{program}[{pid}]: {text}")));
    }

    fn failure(&mut self, at: i64, addr: &str, user: &str, known: bool) {
        let (pid, port) = (self.pid(), 32_768 + self.dice.roll(28_000));
        let who = if known {
            user.to_owned()
        } else {
            format!("invalid user {user}")
        };
        if !known {
            self.say(
                at,
                "sshd",
                pid,
                format!("Invalid user {user} from {addr} port {port}"),
            );
            self.say(
                at,
                "sshd",
                pid,
                "pam_unix(sshd:auth): check pass; user unknown".to_owned(),
            );
        }
        let tail = if known {
            format!("  user={user}")
        } else {
            String::new()
        };
        self.say(at, "sshd", pid, format!("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={addr}{tail}"));
        self.say(
            at + 2,
            "sshd",
            pid,
            format!("Failed password for {who} from {addr} port {port} ssh2"),
        );
        let kind = if known { "authenticating" } else { "invalid" };
        if self.dice.roll(2) == 0 {
            self.say(
                at + 3,
                "sshd",
                pid,
                format!("Connection closed by {kind} user {user} {addr} port {port} [preauth]"),
            );
        } else {
            self.say(
                at + 3,
                "sshd",
                pid,
                format!("Received disconnect from {addr} port {port}:11: Bye Bye [preauth]"),
            );
            self.say(
                at + 3,
                "sshd",
                pid,
                format!("Disconnected from {kind} user {user} {addr} port {port} [preauth]"),
            );
        }
    }

    fn login(&mut self, at: i64, addr: &str, user: &str, method: &str, seconds: i64) {
        let (pid, port) = (self.pid(), 32_768 + self.dice.roll(28_000));
        let key = if method == "publickey" {
            ": ED25519 SHA256:uVbXq0l2cC0mD9o4wQb6eWcZQ8yYk1m3s5t7u9w1y3A"
        } else {
            ""
        };
        let uid = if user == "root" { 0 } else { 1000 };
        self.say(
            at,
            "sshd",
            pid,
            format!("Accepted {method} for {user} from {addr} port {port} ssh2{key}"),
        );
        self.say(
            at,
            "sshd",
            pid,
            format!("pam_unix(sshd:session): session opened for user {user}(uid={uid}) by (uid=0)"),
        );
        self.say(
            at + seconds,
            "sshd",
            pid + 1,
            format!("Received disconnect from {addr} port {port}:11: disconnected by user"),
        );
        self.say(
            at + seconds,
            "sshd",
            pid + 1,
            format!("Disconnected from user {user} {addr} port {port}"),
        );
        self.say(
            at + seconds,
            "sshd",
            pid,
            format!("pam_unix(sshd:session): session closed for user {user}"),
        );
    }

    /// Lets one actor act; returns when it acts again.
    fn act(&mut self, at: i64, index: usize) -> Option<i64> {
        let actor = self.actors[index].clone();
        match actor {
            Actor::Brute {
                addr,
                gap,
                left,
                root,
                wins,
            } => {
                let user = if root { "root" } else { self.dice.pick(&NAMES) };
                if left == 0 {
                    if wins {
                        self.login(at, &addr, "root", "password", 1100);
                    }
                    return None;
                }
                self.failure(at, &addr, user, root);
                self.actors[index] = Actor::Brute {
                    addr,
                    gap,
                    left: left - 1,
                    root,
                    wins,
                };
                Some(at + 4 + self.dice.roll(gap) as i64)
            }
            Actor::Botnet {
                addresses,
                gap,
                turn,
            } => {
                let at_turn = turn.unwrap_or_else(|| self.dice.roll(addresses));
                let addr = benchmark_address(at_turn);
                if turn.is_some() {
                    self.actors[index] = Actor::Botnet {
                        addresses,
                        gap,
                        turn: Some((at_turn + 1) % addresses),
                    };
                }
                self.failure(at, &addr, "root", true);
                Some(at + self.dice.roll(gap) as i64)
            }
            Actor::Person { addr, user } => {
                if self.dice.roll(8) == 0 {
                    self.failure(at, &addr, user, true);
                }
                let seconds = 60 + self.dice.roll(7000) as i64;
                self.login(at + 9, &addr, user, "publickey", seconds);
                let to_morning = 86_400 - (at % 86_400) + 8 * 3600;
                let today = 3600 + self.dice.roll(9000) as i64;
                Some(if (at + today) % 86_400 < 18 * 3600 && today < to_morning {
                    at + today
                } else {
                    at + to_morning + self.dice.roll(3600) as i64
                })
            }
            Actor::Monitor { addr, every } => {
                let (pid, port) = (self.pid(), 32_768 + self.dice.roll(28_000));
                self.say(
                    at,
                    "sshd",
                    pid,
                    "error: kex_exchange_identification: Connection closed by remote host"
                        .to_owned(),
                );
                self.say(
                    at,
                    "sshd",
                    pid,
                    format!("Connection closed by {addr} port {port}"),
                );
                Some(at + every as i64)
            }
            Actor::LockedOut { addr, user } => {
                let (pid, port) = (self.pid(), 32_768 + self.dice.roll(28_000));
                self.say(at, "sshd", pid, format!("Authentication refused: bad ownership or modes for directory /home/{user}/.ssh"));
                self.say(at + 1, "sshd", pid, format!("Connection closed by authenticating user {user} {addr} port {port} [preauth]"));
                Some(if self.dice.roll(3) > 0 {
                    at + 20
                } else {
                    at + 86_400 - at % 86_400 + 8 * 3600 + self.dice.roll(7200) as i64
                })
            }
            Actor::Cron => {
                let pid = self.pid();
                self.say(
                    at,
                    "CRON",
                    pid,
                    "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"
                        .to_owned(),
                );
                self.say(
                    at,
                    "CRON",
                    pid,
                    "pam_unix(cron:session): session closed for user root".to_owned(),
                );
                Some(at + 900)
            }
        }
    }

    /// Writes lines until `enough` says so or nobody acts any more before `until`.
    fn write(
        &mut self,
        out: &mut impl Write,
        until: i64,
        mut enough: impl FnMut(u64, u64) -> bool,
    ) -> io::Result<()> {
        let (mut lines, mut bytes) = (0u64, 0u64);
        loop {
            let next_act = self.queue.peek().map(|a| -a.0).filter(|t| *t < until);
            let next_line = self.later.peek().map(|l| -l.0);
            match (next_act, next_line) {
                (None, None) => return Ok(()),
                (Some(act), line) if line.is_none_or(|l| act <= l) => {
                    let Some((_, index)) = self.queue.pop() else {
                        continue;
                    };
                    if let Some(again) = self.act(act, index) {
                        self.queue.push((-again, index));
                    }
                }
                _ => {
                    let Some((at, _, text)) = self.later.pop() else {
                        continue;
                    };
                    let secs = -at;
                    let (_, month, day) = civil_from_days(secs.div_euclid(86_400));
                    let c = Time::from_secs(secs).civil();
                    let line = format!(
                        "{} {day:2} {:02}:{:02}:{:02} web1 {text}\n",
                        MONTHS[usize::from(month) - 1],
                        c.hour,
                        c.minute,
                        c.second
                    );
                    out.write_all(line.as_bytes())?;
                    lines += 1;
                    bytes += line.len() as u64;
                    if enough(lines, bytes) {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// 2026-03-28T00:00:00Z
const START: i64 = 1_774_656_000;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        args.iter()
            .position(|a| a == name)
            .and_then(|i| args.get(i + 1))
            .and_then(|n| n.parse::<u64>().ok())
    };
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    if args.first().is_some_and(|a| a == "sample") {
        let mut w = World::new(11);
        w.add(START, Actor::Cron);
        w.add(
            START + 7,
            Actor::Monitor {
                addr: "10.20.0.9".into(),
                every: 300,
            },
        );
        w.add(
            START + 8 * 3600 + 540,
            Actor::Person {
                addr: "10.20.1.14".into(),
                user: "alice",
            },
        );
        w.add(
            START + 9 * 3600,
            Actor::LockedOut {
                addr: "10.20.1.31".into(),
                user: "bob",
            },
        );
        w.add(
            START + 3 * 3600,
            Actor::Brute {
                addr: "198.51.100.77".into(),
                gap: 9,
                left: 60,
                root: false,
                wins: false,
            },
        );
        w.add(
            START + 25 * 3600,
            Actor::Brute {
                addr: "203.0.113.24".into(),
                gap: 6,
                left: 140,
                root: true,
                wins: true,
            },
        );
        return w.write(&mut out, START + 2 * 86_400, |_, _| false);
    }
    let (bytes, lines) = (number("bytes"), number("lines"));
    if bytes.is_none() && lines.is_none() {
        eprintln!("usage: gen_log sample | bytes N | lines N [addresses N [in-turn]] [seed N]");
        std::process::exit(2);
    }
    let mut w = World::new(number("seed").unwrap_or(7) | 1);
    w.add(START, Actor::Cron);
    for i in 0..5 {
        let user = ["alice", "bob", "carol", "deploy", "git"][i];
        w.add(
            START + 8 * 3600 + i as i64 * 977,
            Actor::Person {
                addr: format!("10.20.1.{}", 10 + i),
                user,
            },
        );
    }
    w.add(
        START + 3,
        Actor::Monitor {
            addr: "10.20.0.9".into(),
            every: 30,
        },
    );
    w.add(
        START + 9 * 3600,
        Actor::LockedOut {
            addr: "10.20.1.31".into(),
            user: "bob",
        },
    );
    w.add(
        START,
        Actor::Botnet {
            addresses: number("addresses").unwrap_or(20_000),
            gap: 3,
            turn: args.iter().any(|a| a == "in-turn").then_some(0),
        },
    );
    for i in 0..30u64 {
        let start = START + w.dice.roll(40 * 86_400) as i64;
        w.add(
            start,
            Actor::Brute {
                addr: benchmark_address((120_000 + i * 37) % 131_072),
                gap: 12,
                left: u32::MAX,
                root: i % 3 == 0,
                wins: false,
            },
        );
    }
    w.write(&mut out, i64::MAX, |l, b| {
        bytes.is_some_and(|n| b >= n) || lines.is_some_and(|n| l >= n)
    })
}
