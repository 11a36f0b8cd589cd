//! The program reads what it can of any mixture of good and bad input, names the rest, and says so with its exit code.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path =
            std::env::temp_dir().join(format!("sshwhy-sources-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sshwhy(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sshwhy"))
        .args(args)
        .output()
        .unwrap()
}

fn report(logs: &[&str]) -> (Option<i32>, serde_json::Value) {
    let args = [
        &[
            "report", "--format", "json", "--tz", "UTC", "--year", "2026",
        ][..],
        logs,
    ]
    .concat();
    let out = sshwhy(&args);
    let json = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)));
    (out.status.code(), json)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/sources")
        .join(name);
    let mut bytes = Vec::new();
    lzma_rust2::XzReader::new(std::fs::File::open(path).unwrap(), true)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn log(lines: u32) -> Vec<u8> {
    (0..lines)
        .flat_map(|i| {
            let (m, s, pid, port) = (i / 60 % 60, i % 60, 800 + i, 20_000 + i);
            format!("2026-11-03T04:{m:02}:{s:02}Z web1 sshd[{pid}]: Invalid user bob from 192.0.2.7 port {port}\n").into_bytes()
        })
        .collect()
}

#[test]
fn whatever_is_wrong_with_one_input_the_others_are_reported() {
    let dir = Scratch::new("mixed");
    let good = dir.write("auth.log", &log(100));
    let packed = gzip(&log(5000));
    let noise: Vec<u8> = (0..50_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let fifo = dir.0.join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let gone = dir.0.join("gone.log");
    std::os::unix::fs::symlink("loop", dir.0.join("loop")).unwrap();
    let cases = [
        (
            dir.write("cut.gz", &packed[..packed.len() / 2]),
            "gzip data that ends in the middle",
        ),
        (dir.write("noise.bin", &noise), "binary data"),
        (
            dir.write("Security.evtx", b"ElfFile\0\0\0\0\0\0"),
            "Windows event log",
        ),
        (gone.to_str().unwrap().to_owned(), "not found"),
        (fifo.to_str().unwrap().to_owned(), "nobody writes"),
        (dir.0.join("loop").to_str().unwrap().to_owned(), "circle"),
        ("/dev/zero".to_owned(), "a device"),
        (
            dir.write("long.log", &[&b"x".repeat(200_000)[..], b"\n"].concat()),
            "longer than 64 KiB",
        ),
    ];
    for (bad, want) in &cases {
        let (code, json) = report(&[&good, bad]);
        assert_eq!(code, Some(3), "{bad}");
        let skipped = json["input"]["skipped"].as_array().unwrap();
        assert_eq!(skipped.len(), 1, "{bad}: {skipped:?}");
        assert!(
            skipped[0]["what"].as_str().unwrap().contains(want),
            "{skipped:?}"
        );
        assert_eq!(skipped[0]["name"], bad.as_str());
        assert!(!skipped[0]["advice"].as_str().unwrap().is_empty());
        assert!(json["input"]["ssh_lines"].as_u64().unwrap() >= 100);
    }
    // What came out of the cut archive counts.
    let (_, json) = report(&[&cases[0].0]);
    assert!(json["input"]["ssh_lines"].as_u64().unwrap() > 1000);
}

#[test]
fn an_empty_file_is_nothing_wrong() {
    let dir = Scratch::new("empty");
    let empty = dir.write("empty.log", b"");
    let good = dir.write("auth.log", &log(3));
    let (code, json) = report(&[&good, &empty]);
    assert_ne!(code, Some(3));
    assert!(json["input"]["skipped"].as_array().unwrap().is_empty());
}

#[test]
fn the_same_lines_in_journal_and_text_are_counted_once() {
    let dir = Scratch::new("once");
    let journal = dir.write(
        "disk/var/log/journal/0123/system.journal",
        &sample("compact.journal.xz"),
    );
    // journalctl does not show a message that is not UTF-8; a text log has its bytes. In it nothing tells the logins that
    // `logger` wrote from sshd's.
    let all: Vec<u8> = sample("compact.short.xz")
        .split_inclusive(|&b| b == b'\n')
        .filter(|l| !l.ends_with(b"blob data]\n"))
        .filter(|l| {
            !String::from_utf8_lossy(l).contains("Accepted password for root from 203.0.113.5")
        })
        .flatten()
        .copied()
        .collect();
    let text = dir.write("disk/var/log/auth.log", &all);
    std::fs::create_dir(dir.0.join("disk/etc")).unwrap();
    let lines = |json: &serde_json::Value| json["input"]["ssh_lines"].as_u64().unwrap();
    let (_, alone) = report(&[&journal]);
    assert!(lines(&alone) > 40);
    let (_, both) = report(&[&text, &journal]);
    assert_eq!(both["totals"]["accepted"], alone["totals"]["accepted"]);
    assert_eq!(lines(&both), lines(&alone));
    let (_, disk) = report(&[dir.0.join("disk").to_str().unwrap()]);
    assert_eq!(disk["totals"]["accepted"], alone["totals"]["accepted"]);
    assert!(
        disk["input"]["notes"].to_string().contains("counted once"),
        "{}",
        disk["input"]["notes"]
    );
    // The lines of a process that the text log lacks come from the journal.
    let shorter: Vec<u8> = all
        .split_inclusive(|&b| b == b'\n')
        .filter(|l| !String::from_utf8_lossy(l).contains("sshd[809]"))
        .flatten()
        .copied()
        .collect();
    let text = dir.write("shorter/auth.log", &shorter);
    let (_, both) = report(&[&text, &journal]);
    assert_eq!(both["totals"]["accepted"], alone["totals"]["accepted"]);
}

#[test]
fn every_serialization_of_the_journal_tells_the_same_story() {
    let dir = Scratch::new("forms");
    let (_, want) = report(&[&dir.write("system.journal", &sample("compact.journal.xz"))]);
    for form in ["export", "json", "json-pretty", "json-seq", "json-sse"] {
        let (_, got) = report(&[&dir.write(form, &sample(&format!("compact.{form}.xz")))]);
        assert_eq!(got["totals"], want["totals"], "{form}");
        assert_eq!(got["addresses"], want["addresses"], "{form}");
    }
}

/// The journal knows the writer; a plain file does not.
#[test]
fn a_line_that_logger_wrote_in_sshds_name_is_no_login() {
    let record = |exe: &str, pid: u32, text: &str| {
        format!(
            "__REALTIME_TIMESTAMP=1774713616359253\n_HOSTNAME=web1\nSYSLOG_IDENTIFIER=sshd\n_PID={pid}\n_EXE={exe}\n_UID=1000\n\
             PRIORITY=6\nSYSLOG_FACILITY=10\nMESSAGE={text}\n\n"
        )
    };
    let text = "Accepted password for root from 203.0.113.5 port 34488 ssh2";
    let dir = Scratch::new("forged");
    for (exe, logins, findings) in [("/usr/bin/logger", 0, 1), ("/usr/sbin/sshd", 1, 0)] {
        let log = dir.write("x.export", record(exe, 700, text).as_bytes());
        let (_, json) = report(&[&log]);
        assert_eq!(json["totals"]["accepted"], logins, "{exe}: {json}");
        let forged: Vec<_> = json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["slug"] == "log-forgery")
            .collect();
        assert_eq!(forged.len(), findings, "{exe}: {json}");
        for f in forged {
            let headline = f["headline"].as_str().unwrap();
            assert!(
                headline.contains("/usr/bin/logger as uid 1000"),
                "{headline}"
            );
            assert!(
                f["evidence"][0]["text"].as_str().unwrap().contains(text),
                "{f}"
            );
        }
    }
}
