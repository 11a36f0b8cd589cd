//! The daemon as an administrator has it: started, killed, starved, flushed, reloaded, asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The program; `benches/guard-kill` has the test use another build of it.
fn sshwhy() -> PathBuf {
    std::env::var_os("SSHWHY_BIN").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_sshwhy")),
        PathBuf::from,
    )
}

struct World {
    dir: PathBuf,
    guard: Option<Child>,
    lines: u64,
}

impl World {
    fn new(firewall: &str, more: &str) -> World {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("sshwhy-guard-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("log")).unwrap();
        fs::create_dir_all(dir.join("state")).unwrap();
        let w = World {
            dir,
            guard: None,
            lines: 0,
        };
        fs::write(w.log(), "").unwrap();
        w.settings("guard.toml", "state", firewall, more);
        w
    }

    fn settings(&self, name: &str, folder: &str, firewall: &str, more: &str) {
        let d = self.dir.display();
        let text = format!(
            "state = \"{d}/{folder}/sshwhy/guard.db\"\nsocket = \"{d}/{folder}/sshwhy/guard.sock\"\npanic-file = \"{d}/{folder}/sshwhy/panic\"\n\
             tz = \"UTC\"\n[log]\nfiles = [\"{d}/log/auth.log\"]\njournal = \"no\"\nfrom-the-beginning = true\n[firewall]\n{firewall}\n{more}\n"
        );
        fs::write(self.dir.join(name), text).unwrap();
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log/auth.log")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(sshwhy());
        c.arg("guard")
            .arg("--config")
            .arg(self.dir.join("guard.toml"));
        c.args(args);
        c
    }

    fn start(&mut self) {
        let out = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("out"))
            .unwrap();
        let child = self
            .command(&[])
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        self.guard = Some(child);
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.join("out")).unwrap_or_default()
    }

    /// How many guards began to read so far.
    fn lives(&self) -> usize {
        self.said().matches("\"event\":\"started\"").count()
    }

    fn until_said(&self, what: &str, is: impl Fn(&World) -> bool) {
        let begin = Instant::now();
        while !is(self) {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "waited for {what} in vain: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn status(&self) -> (Option<i32>, Value) {
        let out = self
            .command(&["status", "--format", "json"])
            .output()
            .unwrap();
        let value = serde_json::from_slice(&out.stdout).unwrap_or(Value::Null);
        (out.status.code(), value)
    }

    /// Until `is` holds of the status; panics with what was said.
    fn until(&self, what: &str, mut is: impl FnMut(Option<i32>, &Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let (code, status) = self.status();
            if is(code, &status) {
                return status;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "waited for {what} in vain: {code:?} {status}\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Until so many failures were counted, or no more come.
    fn progress(&self, want: u64) {
        let mut last = (0, Instant::now());
        while last.0 < want && last.1.elapsed() < Duration::from_secs(30) {
            let n = self.status().1["logs"][0]["sight"]["failures"].as_u64();
            if n.is_some_and(|n| n > last.0) {
                last = (n.unwrap_or(0), Instant::now());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn write(&mut self, text: &str) {
        self.lines += text.lines().count() as u64;
        let mut f = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        f.write_all(text.as_bytes()).unwrap();
    }

    fn attack(&mut self, ip: &str, n: u32) {
        let text: String = (0..n).map(|i| failed(ip, 2000 + i)).collect();
        self.write(&text);
    }

    /// kill -9, of both halves at once.
    fn kill(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            let children = format!("/proc/{0}/task/{0}/children", guard.id());
            let children = fs::read_to_string(children).unwrap_or_default();
            let _ = Command::new("kill")
                .arg("-9")
                .args(children.split_whitespace())
                .arg(guard.id().to_string())
                .stderr(Stdio::null())
                .status();
            guard.wait().unwrap();
            // A zombie has no open files any more.
            let alive = |pid: &str| {
                let fds = Path::new("/proc").join(pid).join("fd").read_dir();
                fds.is_ok_and(|mut d| d.next().is_some())
            };
            while children.split_whitespace().any(alive) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn stop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            Command::new("kill")
                .arg(guard.id().to_string())
                .status()
                .unwrap();
            assert!(guard.wait().unwrap().success(), "{}", self.said());
        }
    }

    fn reload(&self) {
        let pid = self.guard.as_ref().unwrap().id().to_string();
        Command::new("kill").args(["-HUP", &pid]).status().unwrap();
    }

    /// Bans, and what was counted of each address, from the state file.
    fn state(&self, folder: &str) -> (Vec<String>, BTreeMap<String, u64>) {
        let c = rusqlite::Connection::open(self.dir.join(folder).join("sshwhy/guard.db")).unwrap();
        let mut bans: Vec<String> = c
            .prepare("SELECT hex(ip), since, until, detector, strikes FROM bans")
            .unwrap()
            .query_map([], |r| {
                Ok(format!(
                    "{} {} {} {} {}",
                    r.get::<_, String>(0)?,
                    r.get::<_, i64>(1)?,
                    r.get::<_, i64>(2)?,
                    r.get::<_, String>(3)?,
                    r.get::<_, i64>(4)?
                ))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        bans.sort();
        let counted = c
            .prepare("SELECT net, state FROM guard_source")
            .unwrap()
            .query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .map(|(net, state)| {
                let state: Value = serde_json::from_str(&state).unwrap();
                (net, state["c"].as_u64().unwrap_or(0))
            })
            .collect();
        (bans, counted)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn now() -> String {
    let t = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let out = sshwhy_core::time::Time(i64::try_from(t.as_micros()).unwrap());
    out.to_string()
}

fn failed(ip: &str, pid: u32) -> String {
    format!(
        "{} web1 sshd[{pid}]: Failed password for root from {ip} port {} ssh2\n",
        now(),
        1024 + pid % 60_000
    )
}

/// The end of that connection.
fn closed(ip: &str, pid: u32) -> String {
    format!(
        "{} web1 sshd[{pid}]: Connection closed by authenticating user root {ip} port {} [preauth]\n",
        now(),
        1024 + pid % 60_000
    )
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// Small, fast, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Rounds of kill -9 while lines come and the log is rotated: every failure is counted once, and the bans are those of a run
/// that nobody disturbed. SSHWHY_ROUNDS sets how many.
#[test]
fn killed_at_any_moment_it_counts_every_line_once_and_bans_the_same() {
    let rounds: u64 = std::env::var("SSHWHY_ROUNDS")
        .ok()
        .and_then(|r| r.parse().ok())
        .unwrap_or(8);
    let mut w = World::new("backend = \"null\"", "");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ rounds);
    let mut all = String::new();
    let mut ledger: BTreeMap<String, u64> = BTreeMap::new();
    let mut pid = 1000;
    let mut rotated = 0u32;
    for round in 0..rounds {
        let lives = w.lives();
        w.start();
        // Most are killed at work, the others while they begin.
        if dice.roll(4) > 0 {
            w.until_said("a life", |w| w.lives() > lives);
        }
        let bursts = 4 + dice.roll(12);
        for _ in 0..bursts {
            let mut text = String::new();
            for _ in 0..1 + dice.roll(120) {
                let ip = format!("203.0.113.{}", 1 + dice.roll(200));
                pid += 1;
                text.push_str(&failed(&ip, pid));
                if dice.roll(8) > 0 {
                    text.push_str(&closed(&ip, pid));
                }
                *ledger.entry(ip).or_default() += 1;
            }
            all.push_str(&text);
            w.write(&text);
            std::thread::sleep(Duration::from_millis(dice.roll(40)));
            let copy = |n: u32| w.dir.join(format!("log/auth.log.{n}"));
            // None is thrown away: what nobody could have read would be missing.
            let shift = |rotated: u32| {
                for n in (1..rotated).rev() {
                    for end in ["", ".gz"] {
                        let from = w.dir.join(format!("log/auth.log.{n}{end}"));
                        let to = w.dir.join(format!("log/auth.log.{}{end}", n + 1));
                        if from.exists() {
                            fs::rename(from, to).unwrap();
                        }
                    }
                }
            };
            match dice.roll(9) {
                // logrotate: rename, and the one before is packed.
                0 | 1 => {
                    rotated += 1;
                    shift(rotated);
                    fs::rename(w.log(), copy(1)).unwrap();
                    fs::write(w.log(), "").unwrap();
                    if dice.roll(2) == 0 && copy(2).exists() {
                        assert!(
                            Command::new("gzip")
                                .arg(copy(2))
                                .status()
                                .unwrap()
                                .success()
                        );
                    }
                }
                // copytruncate
                2 => {
                    rotated += 1;
                    shift(rotated);
                    fs::copy(w.log(), copy(1)).unwrap();
                    fs::File::options()
                        .write(true)
                        .open(w.log())
                        .unwrap()
                        .set_len(0)
                        .unwrap();
                }
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_millis(dice.roll(300)));
        if round + 1 < rounds {
            w.kill();
        }
    }
    let want: u64 = ledger.values().sum();
    w.progress(want);
    std::thread::sleep(Duration::from_millis(600));
    w.stop();
    let (bans, counted) = w.state("state");
    assert_eq!(
        counted,
        ledger,
        "{rounds} rounds, {rotated} rotations\n{}",
        w.said()
    );
    // The same lines in one file, and nobody disturbs.
    w.settings("guard.toml", "calm", "backend = \"null\"", "");
    for old in fs::read_dir(w.dir.join("log")).unwrap().flatten() {
        fs::remove_file(old.path()).unwrap();
    }
    fs::write(w.log(), "").unwrap();
    w.start();
    // In pieces: the end of a long backlog would be read first, and whoever comes at the end be banned for that.
    let (mut rest, mut given) = (all.as_str(), 0);
    while !rest.is_empty() {
        let cut = rest.get(4 << 20..).and_then(|r| r.find('\n'));
        let (piece, next) = rest.split_at(cut.map_or(rest.len(), |at| (4 << 20) + at + 1));
        w.write(piece);
        given += piece.matches("Failed password").count() as u64;
        w.progress(given);
        rest = next;
    }
    assert_eq!(given, want);
    std::thread::sleep(Duration::from_millis(600));
    w.stop();
    let (calm, calmly) = w.state("calm");
    assert_eq!(counted, calmly);
    assert_eq!(bans, calm);
    assert!(!bans.is_empty());
    eprintln!(
        "{rounds} rounds of kill -9, {rotated} rotations, {want} failures of {} addresses counted once, {} bans",
        ledger.len(),
        bans.len()
    );
}

#[test]
fn a_folder_that_is_gone_is_said_loudly_and_followed_again() {
    let mut w = World::new("backend = \"null\"", "");
    w.attack("203.0.113.7", 5);
    w.start();
    w.until("a ban", |code, s| code == Some(0) && s["banned"] == 1);
    w.stop();
    fs::remove_dir_all(w.dir.join("log")).unwrap();
    w.start();
    let s = w.until("blindness", |code, _| code == Some(1));
    assert_eq!(s["findings"][0]["severity"], "critical", "{s}");
    assert_eq!(s["findings"][0]["slug"], "blind");
    fs::create_dir(w.dir.join("log")).unwrap();
    w.attack("203.0.113.8", 5);
    w.until("sight again", |code, s| code == Some(0) && s["banned"] == 2);
}

#[test]
fn a_firewall_that_fails_is_said_loudly_and_tried_again() {
    let dir = std::env::temp_dir().join(format!("sshwhy-guard-fw-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let program = dir.join("block");
    let script = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("echo no such table >&2; exit 1");
    let firewall = format!(
        "backend = \"command\"\nban-command = \"{} <net>\"",
        program.display()
    );
    let mut w = World::new(&firewall, "");
    w.start();
    w.until("guard", |code, _| code.is_some_and(|c| c < 2));
    w.attack("203.0.113.7", 5);
    let s = w.until("the trouble", |code, s| code == Some(1) && s["banned"] == 1);
    assert!(
        s["findings"][0]["headline"]
            .as_str()
            .unwrap()
            .contains("cannot be applied"),
        "{s}"
    );
    script(&format!("echo \"$1\" >> {}/banned", dir.display()));
    w.until("success", |code, _| code == Some(0));
    assert!(
        fs::read_to_string(dir.join("banned"))
            .unwrap()
            .contains("203.0.113.7")
    );
    drop(w);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_full_disk_does_not_end_protection() {
    if !is_root() {
        eprintln!("skipped: a_full_disk_does_not_end_protection needs root, to mount a small disk");
        return;
    }
    let mut w = World::new("backend = \"null\"", "");
    let disk = w.dir.join("state");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
        .arg(&disk)
        .status()
        .is_ok_and(|s| s.success());
    if !mounted {
        eprintln!("skipped: a_full_disk_does_not_end_protection: no disk can be mounted here");
        return;
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        w.start();
        w.until("guard", |code, _| code == Some(0));
        // Full to the last byte.
        let mut f = fs::File::create(disk.join("filler")).unwrap();
        while f.write_all(&[0; 4096]).is_ok() {}
        for i in 0..100 {
            w.attack(&format!("203.0.113.{i}"), 5);
        }
        let s = w.until("bans on a full disk", |code, s| {
            code == Some(1) && s["banned"] == 100
        });
        let said = s["findings"].to_string();
        assert!(said.contains("cannot write the state"), "{said}");
        // An open file keeps its room.
        drop(f);
        fs::remove_file(disk.join("filler")).unwrap();
        w.until("the state to be written", |code, _| code == Some(0));
        w.stop();
        assert_eq!(w.state("state").0.len(), 100);
    }));
    w.kill();
    Command::new("umount").arg(&disk).status().unwrap();
    if let Err(e) = result {
        std::panic::resume_unwind(e);
    }
}

#[test]
fn settings_with_a_mistake_are_refused_and_the_old_ones_stay() {
    let mut w = World::new("backend = \"null\"", "");
    w.start();
    w.until("guard", |code, _| code == Some(0));
    w.settings(
        "guard.toml",
        "state",
        "backend = \"null\"",
        "[detectors.brute-force]\nmaxretry = 0\n",
    );
    let check = w.command(&["check-config"]).output().unwrap();
    assert_eq!(check.status.code(), Some(2));
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(said.contains("guard.toml:12:12: "), "{said}");
    w.reload();
    w.until_said("a refusal", |w| {
        w.said().contains("are refused, the old ones stay")
    });
    w.settings(
        "guard.toml",
        "state",
        "backend = \"null\"",
        "[detectors.brute-force]\nmaxretry = 2\n",
    );
    w.reload();
    w.until_said("new settings", |w| w.said().contains("\"loaded\":true"));
    w.attack("203.0.113.7", 2);
    w.until("a ban by the new settings", |_, s| s["banned"] == 1);
}

#[test]
fn the_panic_file_lifts_everything_and_bans_come_back_without_it() {
    let mut w = World::new("backend = \"null\"", "");
    w.attack("203.0.113.7", 5);
    w.start();
    w.until("a ban", |_, s| s["banned"] == 1);
    assert!(w.command(&["--panic"]).status().unwrap().success());
    w.until("panic", |code, s| code == Some(1) && s["panic"] == true);
    fs::remove_file(w.dir.join("state/sshwhy/panic")).unwrap();
    w.until("calm", |code, s| {
        code == Some(0) && s["panic"] == false && s["banned"] == 1
    });
}

#[test]
fn a_journal_that_vanishes_is_said_loudly_and_followed_again() {
    let journalctl = Path::new("/usr/bin/journalctl").exists();
    let made = Command::new("unshare").args(["-m", "true"]).output();
    if !is_root() || !journalctl || !made.is_ok_and(|o| o.status.success()) {
        eprintln!(
            "skipped: a_journal_that_vanishes_is_said_loudly_and_followed_again needs root, unshare and journalctl"
        );
        return;
    }
    let mut w = World::new("backend = \"null\"", "");
    let text = fs::read_to_string(w.dir.join("guard.toml")).unwrap();
    let text: String = text
        .lines()
        .filter(|l| !l.starts_with("files"))
        .map(|l| format!("{}\n", l.replace("journal = \"no\"", "journal = \"yes\"")))
        .collect();
    fs::write(w.dir.join("guard.toml"), text).unwrap();
    // A /run of its own, in which journald seems to run, whatever this machine has.
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && touch /run/systemd/journal/socket && exec \"$@\"";
    let out = fs::File::create(w.dir.join("out")).unwrap();
    let child = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(sshwhy())
        .args(["guard", "--config"])
        .arg(w.dir.join("guard.toml"))
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let socket = format!("/proc/{}/root/run/systemd/journal/socket", child.id());
    w.guard = Some(child);
    let open = |s: &Value| s["logs"][0]["open"] == true;
    w.until("the journal", |_, s| open(s));
    fs::remove_file(&socket).unwrap();
    let s = w.until("blindness", |code, s| code == Some(1) && !open(s));
    assert_eq!(s["findings"][0]["severity"], "critical", "{s}");
    assert!(
        s["findings"][0]["headline"]
            .as_str()
            .unwrap()
            .contains("journal"),
        "{s}"
    );
    fs::write(&socket, "").unwrap();
    w.until("the journal again", |_, s| open(s));
}

#[test]
fn a_clock_that_is_set_back_by_an_hour_opens_no_gap_and_is_said() {
    let mut w = World::new("backend = \"null\"", "");
    w.start();
    w.until("guard", |code, _| code == Some(0));
    w.attack("203.0.113.6", 1);
    w.until("a line", |_, s| s["logs"][0]["sight"]["failures"] == 1);
    // What sshd writes is an hour behind from now on; the attack begins before that and goes on.
    let back = |text: String| {
        let (time, rest) = text.split_once(' ').unwrap();
        let (time, _) = sshwhy_core::time::Time::parse_rfc3339(time.as_bytes()).unwrap();
        format!("{} {rest}", sshwhy_core::time::Time(time.0 - 3_600_000_000))
    };
    w.attack("203.0.113.7", 4);
    let one = back(failed("203.0.113.7", 3000));
    w.write(&one);
    let five: String = (0..5)
        .map(|i| back(failed("203.0.113.8", 4000 + i)))
        .collect();
    w.write(&five);
    let s = w.until("both bans", |code, s| code == Some(1) && s["banned"] == 2);
    let said = s["findings"].to_string();
    assert!(said.contains("behind this clock"), "{said}");
    assert!(said.contains("was set back"), "{said}");
    w.stop();
    // The bans run by this machine's clock: an hour from now, not an hour ago.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let c = rusqlite::Connection::open(w.dir.join("state/sshwhy/guard.db")).unwrap();
    let first: i64 = c
        .query_row("SELECT min(until) FROM bans", [], |r| r.get(0))
        .unwrap();
    assert!(first > i64::try_from(now.as_micros()).unwrap() + 1_800_000_000);
}

#[test]
fn a_folder_that_goes_while_it_is_followed_is_said_and_followed_again() {
    let mut w = World::new("backend = \"null\"", "");
    w.attack("203.0.113.7", 5);
    w.start();
    w.until("a ban", |code, s| code == Some(0) && s["banned"] == 1);
    fs::remove_dir_all(w.dir.join("log")).unwrap();
    let s = w.until("blindness", |code, _| code == Some(1));
    assert!(s["findings"].to_string().contains("cannot be read"), "{s}");
    fs::create_dir(w.dir.join("log")).unwrap();
    w.attack("203.0.113.8", 5);
    w.until("sight again", |code, s| code == Some(0) && s["banned"] == 2);
}

/// With nftables in a network of its own: banned, flushed by somebody, there again.
#[test]
fn a_flushed_ruleset_is_put_back() {
    let has = |p: &str| Command::new(p).arg("--version").output().is_ok();
    if !is_root() || !has("nft") || !has("unshare") {
        eprintln!("skipped: a_flushed_ruleset_is_put_back needs root, nft and unshare");
        return;
    }
    let mut w = World::new("backend = \"nftables\"", "");
    w.attack("203.0.113.7", 5);
    let script = format!(
        "'{1}' guard --config '{0}/guard.toml' >'{0}/out' 2>&1 & P=$!; trap 'kill $P; wait $P' EXIT\n\
         there() {{ for i in $(seq 100); do nft list ruleset | grep -q 203.0.113.7 && return 0; sleep 0.1; done; echo \"$1\"; nft list ruleset; exit 1; }}\n\
         there 'not banned'\nnft flush ruleset\nthere 'not put back'\n",
        w.dir.display(),
        sshwhy().display()
    );
    let out = Command::new("unshare")
        .args(["-n", "sh", "-c", &script])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&out.stdout),
        w.said()
    );
}
