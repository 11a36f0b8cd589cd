//! Writes an incident of any size for the benchmark of `trace`: a container that logs in elsewhere at night, a thousand that do not,
//! and an audit log of all of them.
//!
//! ```text
//! cargo run --release -p sshwhy-core --example gen_incident -- 0.1 DIR
//! ```
//!
//! Scale 1 is 10 million audit records, 1,000 containers and 10 GB of logs. The same scale gives the same bytes. `DIR/target/auth.log` is
//! the target's log (local time of +08:00, 2023), `DIR/node` what was collected, `DIR/truth.json` who did it.

use serde_json::json;
use sshwhy_core::time::{SECOND, Time, Zone};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

const DAY: i64 = 86_400 * SECOND;
/// 2023-03-29T00:00:00+08:00
const FIRST: i64 = 1_680_019_200 * SECOND;
const NIGHTS: i64 = 10;
const CONTAINERS: u64 = 1000;
const CULPRIT: u64 = 500;
const SOURCE: &str = "10.42.7.7";
/// The target, 10.42.250.3, as a socket address has it.
const TARGET: &str = "0A2AFA03";
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
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
}

fn stamp(t: i64) -> String {
    Time(t).to_string()
}

fn id_of(container: u64) -> String {
    let mut dice = Dice(container * 2 + 1);
    (0..64)
        .map(|_| char::from_digit(dice.roll(16) as u32, 16).unwrap_or('0'))
        .collect()
}

/// When somebody logged in, and whether it was let in.
fn logins() -> Vec<(i64, bool)> {
    let mut dice = Dice(7);
    let mut acts: Vec<(i64, bool)> = (0..NIGHTS)
        .flat_map(|n| (0..18).map(move |_| n))
        .map(|n| {
            let at = FIRST + n * DAY + (30 + dice.roll(14_000) as i64) * SECOND;
            (at + dice.roll(1_000_000) as i64, dice.roll(5) < 2)
        })
        .collect();
    acts.sort_unstable();
    acts
}

fn target(dir: &Path, acts: &[(i64, bool)]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(dir.join("target/auth.log"))?);
    let zone = Zone::fixed("+08:00", 28_800);
    for (i, (t, ok)) in acts.iter().enumerate() {
        let c = zone.civil(Time(*t));
        writeln!(
            out,
            "{} {:2} {:02}:{:02}:{:02} db-3 sshd[{}]: {} password for ops from {SOURCE} port {} ssh2",
            MONTHS[usize::from(c.month) - 1],
            c.day,
            c.hour,
            c.minute,
            c.second,
            20_000 + i,
            if *ok { "Accepted" } else { "Failed" },
            32_768 + i
        )?;
    }
    out.flush()
}

/// The log of one container in Docker's form: two kinds of lines all day long, and with the culprit one before each login.
fn log(path: &Path, container: u64, bytes: u64, acts: &[(i64, bool)]) -> io::Result<()> {
    let mut dice = Dice(container + 99);
    let lines: Vec<String> = (0..200)
        .map(|k| {
            let (a, b) = (dice.roll(1_000_000), dice.roll(99));
            let said = if k % 3 == 0 {
                format!(
                    "processed batch {a} of tenant {} with {b} rows in {} ms, queue empty",
                    char::from(b'a' + (a % 8) as u8),
                    a % 99
                )
            } else {
                format!(
                    "GET /items/{a} from 10.42.{}.{} 200 in {b} ms, cache hit, shard {container}",
                    a % 9,
                    b
                )
            };
            format!("{{\"log\":\"{said}\\n\",\"stream\":\"stdout\",\"time\":\"")
        })
        .collect();
    let each = lines.iter().map(|l| l.len() as u64).sum::<u64>() / 200 + 33;
    let count = (bytes / each).max(1) as i64;
    let (from, until) = (FIRST - 4 * DAY, FIRST + NIGHTS * DAY);
    let mut own = acts
        .iter()
        .filter(|_| container == CULPRIT)
        .map(|(t, _)| t - 600_000)
        .peekable();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut second, mut head) = (i64::MIN, String::new());
    for i in 0..count {
        let t = from + (until - from) / count * i;
        while let Some(at) = own.next_if(|o| *o <= t) {
            writeln!(
                out,
                "{{\"log\":\"dispatch job={} begin\\n\",\"stream\":\"stdout\",\"time\":\"{}\"}}",
                dice.roll(1_000_000),
                stamp(at)
            )?;
        }
        if t / SECOND != second {
            second = t / SECOND;
            head = stamp(second * SECOND).trim_end_matches('Z').to_owned();
        }
        let line = lines.get((i * 7 % 200) as usize).map_or("", |l| l);
        writeln!(out, "{line}{head}.{:06}000Z\"}}", t % SECOND)?;
    }
    out.flush()
}

fn audit(path: &Path, events: i64, acts: &[(i64, bool)]) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (from, until) = (FIRST - 4 * DAY, FIRST + NIGHTS * DAY);
    let mut own = acts.iter().map(|(t, _)| t - 400_000).peekable();
    for i in 0..events {
        let t = from + (until - from) / events * i;
        let s = format!(
            "msg=audit({}.{:03}:{})",
            t / SECOND,
            t % SECOND / 1000,
            i + 1000
        );
        let mine = own.next_if(|o| *o <= t).is_some();
        let c = if mine {
            CULPRIT as i64
        } else {
            i * 7919 % CONTAINERS as i64
        };
        let exec = i % 5 == 0 && !mine;
        writeln!(
            out,
            "type=SYSCALL {s}: arch=c000003e syscall={} success=yes exit=0 a0=3 a1=7ffd a2=10 a3=0 items=0 ppid={} pid={} auid=4294967295 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=4294967295 comm=\"run\" exe=\"/app/run\" key=\"x\"",
            if exec { 59 } else { 42 },
            3000 + c,
            100_000 + i % 30_000
        )?;
        if exec {
            writeln!(
                out,
                "type=EXECVE {s}: argc=3 a0=\"/app/run\" a1=\"--shard={c}\" a2=\"--once\""
            )?;
        } else if mine {
            writeln!(
                out,
                "type=SOCKADDR {s}: saddr=02000016{TARGET}0000000000000000"
            )?;
        } else {
            writeln!(
                out,
                "type=SOCKADDR {s}: saddr=020001BB0A2A{:02X}{:02X}0000000000000000",
                i % 9,
                i % 250
            )?;
        }
        writeln!(
            out,
            "type=CWD {s}: cwd=\"/app\"\ntype=PROCTITLE {s}: proctitle=2F6170702F72756E002D2D73686172643D31"
        )?;
    }
    out.flush()
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(scale), Some(dir)) = (args.next().and_then(|s| s.parse::<f64>().ok()), args.next())
    else {
        eprintln!("gen_incident SCALE DIR");
        std::process::exit(2);
    };
    let dir = Path::new(&dir);
    fs::create_dir_all(dir.join("target"))?;
    fs::create_dir_all(dir.join("node/logs"))?;
    let acts = logins();
    target(dir, &acts)?;
    let mut list = Vec::new();
    for c in 0..CONTAINERS {
        let id = id_of(c);
        let name = format!("logs/{id}-json.log");
        let born = stamp(FIRST - 90 * DAY);
        list.push(json!({"Id": id, "Created": born, "Path": "/app/run", "Args": [format!("--shard={c}")], "Name": format!("/app-{c}"),
            "State": {"Status": "running", "Running": true, "Pid": 3000 + c, "StartedAt": born},
            "Config": {"Image": format!("registry.local/app:{}", c % 40)}, "LogPath": name}));
        log(
            &dir.join("node").join(&name),
            c,
            (1e7 * scale) as u64,
            &acts,
        )?;
    }
    fs::write(dir.join("node/containers.json"), serde_json::to_vec(&list)?)?;
    fs::write(
        dir.join("truth.json"),
        json!({"container": id_of(CULPRIT)}).to_string(),
    )?;
    audit(
        &dir.join("node/audit.log"),
        (1e7 * scale / 4.0) as i64,
        &acts,
    )
}
