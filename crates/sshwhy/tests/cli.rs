//! The program from outside: what it prints and how it exits on good, bad and hostile input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn sshwhy(args: &[&str], input: Option<&[u8]>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
        .args(args)
        .env("TZ", "UTC")
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input)
        && let Err(e) = pipe.write_all(input)
    {
        // A program that does not read it may be gone already.
        assert_eq!(e.kind(), std::io::ErrorKind::BrokenPipe);
    }
    child.wait_with_output().unwrap()
}

fn stdout(o: &Output) -> String {
    String::from_utf8(o.stdout.clone()).unwrap()
}

/// A folder of the test's own, removed when it passes.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("sshwhy-cli-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GOOD: &str =
    "Nov  3 04:05:06 web1 sshd[812]: Failed password for root from 192.0.2.7 port 50122 ssh2\n";

/// (report's exit code, its JSON, its text)
fn report(path: &str) -> (i32, serde_json::Value, String) {
    let json = sshwhy(
        &[
            "report", "--format", "json", "--tz", "UTC", "--year", "2026", path,
        ],
        None,
    );
    let text = sshwhy(&["report", "--tz", "UTC", "--year", "2026", path], None);
    assert_eq!(json.status.code(), text.status.code(), "{path}");
    let value = serde_json::from_slice(&json.stdout).unwrap_or_default();
    let all = stdout(&text) + &String::from_utf8_lossy(&text.stderr);
    (text.status.code().unwrap(), value, all)
}

fn packed(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut pipe = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&bytes));
    let out = child.wait_with_output().ok()?;
    writer.join().unwrap().unwrap();
    out.status.success().then_some(out.stdout)
}

#[test]
fn an_archive_cut_anywhere_gives_what_came_out_and_names_the_cut() {
    let dir = Dir::new("cut");
    let mut log = String::new();
    for i in 0..4000 {
        log += &GOOD
            .replace("50122", &(20_000 + i * 7 % 40_000).to_string())
            .replace("812", &(812 + i).to_string());
    }
    for (program, ending) in [
        ("gzip", "gz"),
        ("xz", "xz"),
        ("zstd", "zst"),
        ("bzip2", "bz2"),
    ] {
        let whole = packed(program, log.as_bytes())
            .unwrap_or_else(|| panic!("{program} is missing: ./test installs it"));
        let path = dir.file(&format!("whole.{ending}"), &whole);
        let (_, json, _) = report(&path);
        assert_eq!(json["input"]["lines"], 4000, "{ending}");
        assert_eq!(
            json["input"]["skipped"].as_array().unwrap().len(),
            0,
            "{ending}"
        );
        for part in [10, 50, 90] {
            let cut = dir.file(
                &format!("cut{part}.{ending}"),
                &whole[..whole.len() * part / 100],
            );
            let (code, json, text) = report(&cut);
            assert!(code == 3 || code == 2, "{ending} {part}: {code}");
            assert!(
                text.contains(&format!("cut{part}.{ending}")),
                "{ending} {part}: {text}"
            );
            if code == 3 {
                assert!(
                    json["input"]["lines"].as_u64().unwrap() < 4000,
                    "{ending} {part}"
                );
            }
        }
    }
}

#[test]
fn a_byte_changed_in_an_archive_loses_only_what_is_behind_it() {
    let dir = Dir::new("corrupt");
    // Hardly compressible, and longer than any block of any format.
    let mut log = String::new();
    let mut dice = 7u64;
    for _ in 0..40_000 {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        log += &format!(
            "Nov  3 04:05:06 web1 sshd[{}]: Invalid user {dice:016x}{:016x} from 192.0.2.7 port 50122\n",
            dice >> 45,
            dice.rotate_left(17),
        );
    }
    for (program, ending) in [
        ("gzip", "gz"),
        ("xz", "xz"),
        ("zstd", "zst"),
        ("bzip2", "bz2"),
    ] {
        let mut bytes = packed(program, log.as_bytes())
            .unwrap_or_else(|| panic!("{program} is missing: ./test installs it"));
        let at = bytes.len() * 9 / 10;
        bytes[at] ^= 0xff;
        let (code, json, text) = report(&dir.file(&format!("corrupt.{ending}"), &bytes));
        assert_eq!(code, 3, "{ending}: {text}");
        let lines = json["input"]["ssh_lines"].as_u64().unwrap();
        assert!((1000..=40_000).contains(&lines), "{ending}: {lines}");
        let skipped = json["input"]["skipped"].as_array().unwrap();
        let named = |s: &serde_json::Value| {
            s["name"]
                .as_str()
                .unwrap()
                .ends_with(&format!("corrupt.{ending}"))
                && s["what"].as_str().unwrap().contains("damaged")
        };
        assert!(skipped.iter().any(named), "{ending}: {skipped:?}");
    }
}

#[test]
fn what_is_no_log_is_named_with_advice_and_what_is_one_is_still_read() {
    let dir = Dir::new("odd");
    dir.file("auth.log", GOOD.as_bytes());
    dir.file("empty.log", b"");
    dir.file("event.evtx", b"ElfFile\0rest of an event log");
    let noise: Vec<u8> = (0..100_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    dir.file("noise.bin", &noise);
    dir.file(
        "latin1.log",
        b"Nov  3 04:05:07 web1 sshd[813]: Invalid user caf\xe9 from 192.0.2.8 port 50123\n",
    );
    std::os::unix::fs::symlink("nowhere", dir.0.join("dangling.log")).unwrap();
    std::os::unix::fs::symlink("loop.log", dir.0.join("loop.log")).unwrap();
    let evtx = dir.0.join("event.evtx");
    let (code, json, _) = report(dir.0.to_str().unwrap());
    assert_eq!(json["input"]["ssh_lines"], 2, "{:#}", json["input"]);
    // Met in a folder, what is no log is passed over; what might be one and cannot be read is named.
    let names = |list: &str| -> Vec<String> {
        json["input"][list]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| {
                f["name"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(code, 3, "{:#}", json["input"]);
    assert_eq!(names("skipped"), ["event.evtx", "loop.log"]);
    assert_eq!(names("files"), ["auth.log", "latin1.log"]);
    // Named by itself, a file that cannot be read is an error with advice.
    let (code, _, text) = report(evtx.to_str().unwrap());
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("event.evtx") && text.to_lowercase().contains("windows"),
        "{text}"
    );
    for gone in ["dangling.log", "loop.log", "never-there.log"] {
        let (code, _, text) = report(dir.0.join(gone).to_str().unwrap());
        assert_eq!(code, 2, "{gone}: {text}");
        assert!(text.contains(gone), "{text}");
    }
    // A crash leaves runs of NULs in a log: skipped, and what stands between them is read.
    let nuls = dir.file(
        "nul.log",
        &[GOOD.as_bytes(), &[0; 5000], GOOD.as_bytes(), &[0; 5000]].concat(),
    );
    let (_, json, _) = report(&nuls);
    assert_eq!(json["input"]["ssh_lines"], 2, "{:#}", json["input"]);
    let both = sshwhy(
        &[
            "report",
            "--format",
            "json",
            "--year",
            "2026",
            dir.0.join("auth.log").to_str().unwrap(),
            dir.0.join("never-there.log").to_str().unwrap(),
        ],
        None,
    );
    assert_eq!(both.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_slice(&both.stdout).unwrap();
    assert_eq!(json["input"]["ssh_lines"], 1);
    assert_eq!(json["input"]["skipped"].as_array().unwrap().len(), 1);
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_the_others_are_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let dir = Dir::new("forbidden");
    let good = dir.file("auth.log", GOOD.as_bytes());
    let secret = dir.file("secure", GOOD.as_bytes());
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    // root reads everything: somebody else has to try, with a program that they can reach.
    let program = dir.0.join("sshwhy");
    fs::copy(env!("CARGO_BIN_EXE_sshwhy"), &program).unwrap();
    let run = |logs: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args([
                "report", "--format", "json", "--year", "2026", "--tz", "UTC",
            ])
            .args(logs)
            .stdin(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.uid(65_534).gid(65_534);
        }
        command.output().unwrap()
    };
    let out = run(&[&good, &secret]);
    assert_eq!(out.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["input"]["ssh_lines"], 1);
    let skipped = json["input"]["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!(skipped[0]["what"], "permission denied");
    assert_eq!(skipped[0]["name"], secret.as_str());
    let out = run(&[&secret]);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("secure") && said.contains("sudo"), "{said}");
}

#[test]
fn an_empty_log_says_what_was_read() {
    let dir = Dir::new("empty");
    let (code, _, text) = report(&dir.file("empty.log", b""));
    assert!(code == 0 || code == 2, "{code}");
    assert!(text.contains("empty.log"), "{text}");
    let (code, _, text) = report(&dir.file(
        "other.log",
        b"Nov  3 04:05:06 web1 CRON[1]: nothing about logins\n",
    ));
    assert_eq!(code, 0);
    assert!(text.contains("no line about SSH logins"), "{text}");
}

#[test]
fn a_line_of_a_gigabyte_takes_little_memory_and_the_next_one_is_read() {
    let dir = Dir::new("long");
    let path = dir.0.join("long.log");
    let mut f = fs::File::create(&path).unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        f.write_all(&piece).unwrap();
    }
    f.write_all(b"\n").unwrap();
    f.write_all(GOOD.as_bytes()).unwrap();
    drop(f);
    let mut child = Command::new("sh")
        // 400 MiB of address space: a program that holds the line cannot.
        .args([
            "-c",
            "ulimit -v 409600; exec \"$0\" report --threads 1 --format json --year 2026 \"$1\"",
            env!("CARGO_BIN_EXE_sshwhy"),
            path.to_str().unwrap(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["input"]["ssh_lines"], 1, "{:#}", json["input"]);
    let skipped = json["input"]["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert!(
        skipped[0]["what"].as_str().unwrap().contains("64 KiB"),
        "{skipped:?}"
    );
}

#[test]
fn a_pipe_without_a_writer_does_not_hang_and_one_with_a_writer_is_read() {
    let dir = Dir::new("fifo");
    let path = dir.0.join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let (code, _, text) = report(path.to_str().unwrap());
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("pipe"), "{text}");
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || fs::write(path, GOOD.repeat(10)))
    };
    let o = sshwhy(
        &[
            "report",
            "--format",
            "json",
            "--year",
            "2026",
            path.to_str().unwrap(),
        ],
        None,
    );
    writer.join().unwrap().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
    assert_eq!(json["input"]["ssh_lines"], 10);
}

#[test]
fn a_file_that_grows_while_it_is_read_ends() {
    let dir = Dir::new("grow");
    let path = dir.0.join("auth.log");
    fs::write(&path, GOOD.repeat(20_000)).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (path, stop) = (path.clone(), std::sync::Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut f = fs::OpenOptions::new().append(true).open(path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                f.write_all(GOOD.repeat(100).as_bytes()).unwrap();
            }
        })
    };
    let o = sshwhy(
        &[
            "report",
            "--format",
            "json",
            "--year",
            "2026",
            path.to_str().unwrap(),
        ],
        None,
    );
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
    assert!(json["input"]["ssh_lines"].as_u64().unwrap() >= 20_000);
}

#[test]
fn hostile_text_is_escaped_wherever_it_goes() {
    let dir = Dir::new("hostile");
    let names = [
        "\u{1b}]52;c;aGVsbG8=\u{7}",
        "\u{202e}toor",
        "<script>alert(1)</script>",
        "'; rm -rf / #",
        "$(reboot)",
        "=cmd|' /C calc'!A0",
    ];
    let mut log = String::new();
    for (i, name) in names.iter().enumerate() {
        for n in 0..20 {
            log += &format!(
                "Nov  3 04:{:02}:{:02} web1 sshd[{}]: Failed password for invalid user {name} from 192.0.2.7 port 50122 ssh2\n",
                i,
                n * 2,
                900 + i * 20 + n
            );
        }
    }
    let path = dir.file("auth.log", log.as_bytes());
    let run = |format: &str| {
        stdout(&sshwhy(
            &[
                "report", "--all", "--format", format, "--year", "2026", &path,
            ],
            None,
        ))
    };
    for (format, text) in [
        ("text", run("text")),
        ("json", run("json")),
        ("html", run("html")),
    ] {
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\u{202e}'),
            "{format}"
        );
        assert!(
            format != "html" || (!text.contains("<script") && text.contains("&lt;script&gt;")),
            "{format}"
        );
        assert!(text.contains("toor"), "{format} lost the name");
    }
    let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    let users: Vec<&str> = json["users"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|u| u["user"].as_str())
        .collect();
    assert!(names.iter().all(|n| users.contains(n)), "{users:?}");
    for format in ["ndjson", "csv"] {
        let text = stdout(&sshwhy(
            &["events", "--format", format, "--year", "2026", &path],
            None,
        ));
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{format}"
        );
        assert!(
            format != "csv"
                || !text
                    .lines()
                    .any(|l| l.split(',').any(|f| f.starts_with('='))),
            "a formula in the CSV"
        );
    }
}

#[test]
fn events_has_one_object_for_each_line_whatever_it_is() {
    let input = [
        GOOD,
        "\n",
        "garbage without meaning\n",
        "Nov  3 04:05:07 web1 CRON[1]: x\n",
        "Nov  3 04:05:08 web1 sshd[812]: something sshd never says\n",
        "Nov  3 04:05:09 web1 sshd[812]: message repeated 3 times: [ Failed password for root from 192.0.2.7 port 50122 ssh2]\n",
        "Nov  3 04:05:10 web1 last message repeated 2 times\n",
        "no newline at the end",
    ]
    .concat();
    let o = sshwhy(
        &["events", "--tz", "UTC", "--year", "2026", "-"],
        Some(input.as_bytes()),
    );
    let rows: Vec<serde_json::Value> = stdout(&o)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(rows.len(), 8);
    let event = |i: usize| rows[i]["event"].as_str().unwrap();
    assert_eq!(
        [0, 1, 2, 3, 4, 5, 6, 7].map(event),
        [
            "failed-password",
            "other",
            "other",
            "other",
            "unknown",
            "failed-password",
            "failed-password",
            "other"
        ]
    );
    assert_eq!(rows[0]["time"], "2026-11-03T04:05:06Z");
    assert_eq!(
        (rows[5]["repeat"].as_u64(), rows[6]["repeat"].as_u64()),
        (Some(3), Some(2))
    );
    assert_eq!(rows[6]["addr"], "192.0.2.7");
    assert!(
        rows.iter()
            .enumerate()
            .all(|(i, r)| r["line"] == i as u64 + 1)
    );
}

#[test]
fn years_across_new_year_are_inferred_and_said() {
    let dir = Dir::new("years");
    let log = "Dec 30 23:00:00 web1 sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2\nJan  2 01:00:00 web1 sshd[2]: Failed password for root from 192.0.2.7 port 2 ssh2\n";
    let path = dir.file("auth.log", log.as_bytes());
    // Last written on 2024-01-02.
    assert!(
        Command::new("touch")
            .args(["-d", "2024-01-02T02:00:00Z", &path])
            .status()
            .unwrap()
            .success()
    );
    let o = sshwhy(&["events", "--tz", "UTC", &path], None);
    let times: Vec<String> = stdout(&o)
        .lines()
        .map(|l| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["time"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(times, ["2023-12-30T23:00:00Z", "2024-01-02T01:00:00Z"]);
    let o = sshwhy(&["report", "--format", "json", "--tz", "UTC", &path], None);
    let json: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
    let notes = json["input"]["notes"].to_string();
    assert!(notes.contains("2023") && notes.contains("2024"), "{notes}");
}

#[test]
fn the_hour_that_exists_twice_is_read_in_the_order_of_the_file() {
    let line = |clock: &str, pid: u32| {
        format!(
            "Oct 25 {clock} web1 sshd[{pid}]: Failed password for root from 192.0.2.7 port {pid} ssh2\n"
        )
    };
    let log = [
        line("02:10:00", 11),
        line("02:50:00", 12),
        line("02:05:00", 13),
        line("02:40:00", 14),
        line("03:01:00", 15),
    ]
    .concat();
    let o = sshwhy(
        &["events", "--tz", "Europe/Berlin", "--year", "2026", "-"],
        Some(log.as_bytes()),
    );
    let times: Vec<String> = stdout(&o)
        .lines()
        .map(|l| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["time"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        times,
        [
            "2026-10-25T00:10:00Z",
            "2026-10-25T00:50:00Z",
            "2026-10-25T01:05:00Z",
            "2026-10-25T01:40:00Z",
            "2026-10-25T02:01:00Z"
        ]
    );
}

#[test]
fn filters_leave_out_what_they_should() {
    let mut log = String::new();
    for (i, (addr, user)) in [
        ("192.0.2.7", "root"),
        ("192.0.2.200", "bob"),
        ("2001:db8::7", "root"),
    ]
    .iter()
    .enumerate()
    {
        log += &format!(
            "Nov  {} 04:05:06 web{i} sshd[{i}1]: Failed password for {user} from {addr} port 50122 ssh2\n",
            i + 1
        );
    }
    let count = |args: &[&str]| {
        let all = [&["events", "--tz", "UTC", "--year", "2026"], args, &["-"]].concat();
        stdout(&sshwhy(&all, Some(log.as_bytes()))).lines().count()
    };
    assert_eq!(count(&[]), 3);
    assert_eq!(count(&["--addr", "192.0.2.0/25"]), 1);
    assert_eq!(count(&["--addr", "2001:db8::/32"]), 1);
    assert_eq!(count(&["--user", "root"]), 2);
    assert_eq!(count(&["--host", "web1"]), 1);
    assert_eq!(count(&["--since", "2026-11-02"]), 2);
    assert_eq!(count(&["--until", "2026-11-02"]), 1);
    let o = sshwhy(&["events", "--addr", "192.0.2.300", "-"], Some(b""));
    assert_eq!(o.status.code(), Some(2));
}

#[test]
fn help_works_and_a_reader_that_leaves_early_is_no_error() {
    let o = sshwhy(&["--help"], None);
    assert_eq!(o.status.code(), Some(0));
    assert!(stdout(&o).contains("Exit codes"));
    let dir = Dir::new("head");
    let path = dir.file("auth.log", GOOD.repeat(50_000).as_bytes());
    let o = Command::new("sh")
        .args([
            "-c",
            "\"$0\" events --year 2026 \"$1\" | head -n 1",
            env!("CARGO_BIN_EXE_sshwhy"),
            &path,
        ])
        .output()
        .unwrap();
    assert_eq!(stdout(&o).lines().count(), 1);
    assert!(
        o.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&o.stderr)
    );
}

#[test]
fn thresholds_are_set_by_file_and_by_flag_and_mistakes_are_named() {
    let dir = Dir::new("settings");
    let mut log = String::new();
    for i in 0..8 {
        log += &format!(
            "Nov  3 04:05:{:02} web1 sshd[{}]: Failed password for root from 192.0.2.7 port 50122 ssh2\n",
            i * 3,
            900 + i
        );
    }
    let path = dir.file("auth.log", log.as_bytes());
    let config = dir.file("quiet.toml", b"[brute-force]\nfailures = 100\n");
    let slugs = |args: &[&str]| {
        let all = [
            &[
                "report", "--format", "json", "--tz", "UTC", "--year", "2026",
            ],
            args,
            &[path.as_str()],
        ]
        .concat();
        let json: serde_json::Value = serde_json::from_slice(&sshwhy(&all, None).stdout).unwrap();
        json["findings"].to_string()
    };
    assert!(slugs(&[]).contains("\"brute-force\""));
    assert!(!slugs(&["--config", &config]).contains("\"brute-force\""));
    assert!(!slugs(&["--set", "brute-force.failures=100"]).contains("\"brute-force\""));
    for (args, wanted) in [
        (["--set", "brute-force.failure=3"], "brute-force.failures"),
        (
            ["--set", "brute-force.failures=many"],
            "brute-force.failures",
        ),
        (["--config", "/nowhere/sshwhy.toml"], "/nowhere/sshwhy.toml"),
    ] {
        let o = sshwhy(&[&["report"], &args[..], &[path.as_str()]].concat(), None);
        assert_eq!(o.status.code(), Some(2));
        assert!(
            String::from_utf8_lossy(&o.stderr).contains(wanted),
            "{}",
            String::from_utf8_lossy(&o.stderr)
        );
    }
    let broken = dir.file("broken.toml", b"[brute-force]\nfailures = \n");
    let o = sshwhy(&["report", "--config", &broken, &path], None);
    assert!(
        String::from_utf8_lossy(&o.stderr).contains("line 2"),
        "{}",
        String::from_utf8_lossy(&o.stderr)
    );
}

#[test]
fn the_sample_tells_its_story() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/break-in.log");
    let o = sshwhy(
        &[
            "report",
            "--format",
            "json",
            "--year",
            "2026",
            "--tz",
            "UTC",
            sample.to_str().unwrap(),
        ],
        None,
    );
    assert_eq!(o.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
    let slugs: Vec<&str> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|f| f["slug"].as_str())
        .collect();
    for slug in [
        "success-after-failures",
        "brute-force",
        "broken-login",
        "port-monitor",
    ] {
        assert!(slugs.contains(&slug), "{slug} is missing: {slugs:?}");
    }
}

#[test]
fn what_looks_closer_reads_the_same_logs_again() {
    let dir = Dir::new("closer");
    let text = GOOD.repeat(12);
    let command = |logs: &[&str], input: Option<&[u8]>| {
        let args = [&["report", "--format", "json", "--year", "2026"], logs].concat();
        let out = sshwhy(&args, input);
        let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        json["findings"][0]["remedy"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|s| s["command"].as_str())
            .find(|c| c.contains("sshwhy report"))
            .unwrap()
            .to_owned()
    };
    let plain = dir.file("auth.log", text.as_bytes());
    let spaced = dir.file("my log", text.as_bytes());
    let odd = dir.file("it's $(x)", text.as_bytes());
    let ends = |command: String, with: &str| assert!(command.ends_with(with), "{command}");
    ends(
        command(&[&plain], None),
        &format!("sshwhy report {plain} --addr 192.0.2.7"),
    );
    ends(
        command(&[&spaced], None),
        &format!("sshwhy report '{spaced}' --addr 192.0.2.7"),
    );
    // What a shell would take apart is not put into a command at all.
    ends(
        command(&[&plain, &odd], None),
        "sshwhy report LOG --addr 192.0.2.7",
    );
    ends(
        command(&["-"], Some(text.as_bytes())),
        "sshwhy report LOG --addr 192.0.2.7",
    );
}

#[test]
fn what_is_piped_in_is_read_and_nothing_is_nobodys_log() {
    let read = |input: Option<&[u8]>| {
        let out = sshwhy(&["report", "--format", "json"], input);
        let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        let input = &report["input"];
        let name = input["files"][0]["name"].as_str().map(str::to_owned);
        let notes = input["notes"].to_string() + &String::from_utf8_lossy(&out.stderr);
        (name.as_deref() == Some("-"), notes)
    };
    let (piped, notes) = read(Some(GOOD.as_bytes()));
    assert!(piped, "{notes}");
    assert!(notes.contains("read from standard input"), "{notes}");
    // cron gives its jobs a pipe that is closed at once.
    let (piped, notes) = read(Some(b""));
    assert!(!piped, "{notes}");
    assert!(notes.contains("empty pipe"), "{notes}");
    let (piped, notes) = read(None);
    assert!(!piped, "{notes}");
    assert!(!notes.contains("standard input"), "{notes}");
    // A file given with `<` is what is meant, also when nothing is in it.
    let dir = Dir::new("stdin");
    for (text, lines) in [(GOOD, 1), ("", 0)] {
        let path = dir.file("auth.log", text.as_bytes());
        let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .args(["report", "--format", "json", "--tz", "UTC"])
            .stdin(fs::File::open(&path).unwrap())
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(report["input"]["files"][0]["name"], "-");
        assert_eq!(report["input"]["lines"], lines);
    }
}

#[test]
fn an_output_that_takes_nothing_is_an_error_and_a_reader_that_leaves_is_none() {
    let log = GOOD.repeat(20_000);
    for verb in ["events", "report", "explain"] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .args(
                [verb, "-"]
                    .iter()
                    .take(if verb == "explain" { 1 } else { 2 }),
            )
            .stdin(Stdio::piped())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let text = if verb == "explain" {
            "Connection refused\n"
        } else {
            &log
        };
        // It may be gone before it has read all of it.
        let _ = pipe.write_all(text.as_bytes());
        drop(pipe);
        let out = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{verb}: {said}");
        assert!(
            said.contains("cannot write to standard output: No space left"),
            "{verb}: {said}"
        );
    }
    let dir = Dir::new("left");
    let path = dir.file("auth.log", log.as_bytes());
    let mut child = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
        .args(["events", &path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), out.stderr.len()), (Some(0), 0));
}

#[test]
fn a_part_that_was_asked_for_is_not_the_whole() {
    let ask = |args: &[&str]| {
        let all = [&["report", "--tz", "UTC", "--year", "2025", "-"], args].concat();
        sshwhy(&all, Some(GOOD.as_bytes()))
    };
    let out = ask(&["--since", "2025-12-01", "--until", "2025-11-01"]);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("is not before --until"), "{said}");
    let out = ask(&["--since", "2025-12-01"]);
    let said = stdout(&out);
    assert!(
        said.starts_with("no line about SSH logins in what was asked for"),
        "{said}"
    );
    assert!(
        said.contains("none of them about SSH logins in what was asked for"),
        "{said}"
    );
    let said = stdout(&ask(&["--user", "nobody-of-that-name"]));
    assert!(
        said.starts_with("no connection in what was asked for"),
        "{said}"
    );
    let said = stdout(&ask(&["--user", "root"]));
    assert!(!said.contains("asked for"), "{said}");
}

#[test]
fn what_only_looks_makes_nothing_and_takes_nobodys_file() {
    let dir = Dir::new("looks");
    let text = dir.file("sshd_config", b"PermitRootLogin no\n");
    let absent = dir.0.join("not/there.db");
    let absent = absent.to_str().unwrap();
    for verb in [
        &["list"][..],
        &["why", "192.0.2.7"],
        &["export"],
        &["check"],
    ] {
        let run = |state: &str| {
            let args = [&["bans", "--firewall", "null", "--state", state], verb].concat();
            sshwhy(&args, None)
        };
        let out = run(absent);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            said.contains("is not there: nothing is remembered in it"),
            "{verb:?}: {said}"
        );
        let out = run(&text);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{verb:?}: {said}");
        assert!(said.contains("was left as it is"), "{verb:?}: {said}");
    }
    let out = sshwhy(&["monitor", "--state", absent, "--forget", "web1"], None);
    assert_eq!(out.status.code(), Some(2));
    let left: Vec<_> = fs::read_dir(&dir.0).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(fs::read_to_string(&text).unwrap(), "PermitRootLogin no\n");
}

#[test]
fn a_probe_that_asked_nobody_does_not_say_that_all_is_well() {
    let out = sshwhy(&["probe", "--offline", "192.0.2.7"], None);
    let said = stdout(&out);
    assert!(
        said.starts_with("Nobody was asked, so nothing is known of the server"),
        "{said}"
    );
}

#[test]
fn nobody_has_no_name() {
    let out = sshwhy(&["doctor", "--user", ""], None);
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn a_fingerprint_that_is_none_is_refused_before_anything_is_checked() {
    let out = sshwhy(
        &["monitor", "--once", "--host-key", "nonsense", "192.0.2.7"],
        None,
    );
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("is no fingerprint"), "{said}");
}
