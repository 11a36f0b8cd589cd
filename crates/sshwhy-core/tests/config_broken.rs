//! Files that people really write (testdata/config/broken): what is wrong with each is said at the right place, in words that
//! help, and sshd agrees on which of them it does not start with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::config::Memory;
use sshwhy_core::config::lint::{Known, lint};
use sshwhy_core::config::parse::{Config, Shown, parse};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/config")
}

struct Case {
    name: String,
    text: String,
    line: u32,
    column: u32,
    says: String,
}

fn cases() -> Vec<Case> {
    let table = fs::read_to_string(folder().join("expected.tsv")).unwrap();
    let rows = table.lines().filter(|l| !l.starts_with('#'));
    rows.map(|row| {
        let [name, at, says] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let (line, column) = at.split_once(':').unwrap();
        Case {
            name: name.to_owned(),
            text: fs::read_to_string(folder().join(format!("broken/{name}.conf"))).unwrap(),
            line: line.parse().unwrap(),
            column: column.parse().unwrap(),
            says: says.to_owned(),
        }
    })
    .collect()
}

fn read(case: &Case) -> Config {
    let files = Memory::default().with("/c", &case.text);
    parse(&files, "/c", (9, 2), "/")
}

#[test]
fn what_is_wrong_is_said_where_it_is_wrong() {
    let all = cases();
    let files = fs::read_dir(folder().join("broken")).unwrap().count();
    assert_eq!(
        files,
        all.len(),
        "each file has its row, and each row its file"
    );
    for case in &all {
        let config = read(case);
        let place = format!("/c:{}", case.line);
        let told = config.diagnostics.iter().any(|d| {
            let shown = Shown(&config, d).to_string();
            (d.pos.line, d.pos.column) == (case.line, case.column) && shown.contains(&case.says)
        });
        // What sshd starts with is no diagnostic: it is told by the line alone.
        let linted = lint(&config, &Known::default()).iter().any(|f| {
            let at = f.evidence.first().is_some_and(|e| e.source == place);
            let text = format!("{}\n{}", f.headline, f.notes.join("\n"));
            at && f.slug != "config-error" && text.contains(&case.says)
        });
        let shown: Vec<String> = lint(&config, &Known::default())
            .iter()
            .map(|f| format!("{} {:?}\n{}", f.headline, f.evidence, f.notes.join("\n")))
            .collect();
        assert!(told || linted, "{}: {}", case.name, shown.join("\n\n"));
    }
}

#[test]
fn sshd_does_not_start_with_the_same_files() {
    let sshd = "/usr/sbin/sshd";
    let version = Command::new(sshd).arg("-V").output();
    let is_9_2 = version.is_ok_and(|o| String::from_utf8_lossy(&o.stderr).contains("OpenSSH_9.2"));
    if !is_9_2 {
        eprintln!(
            "skipped: config_broken::sshd_does_not_start_with_the_same_files: {sshd} is not OpenSSH 9.2"
        );
        return;
    }
    let _ = fs::create_dir_all("/run/sshd");
    let desk = std::env::temp_dir().join(format!("sshwhy-broken-{}", std::process::id()));
    let _ = fs::remove_dir_all(&desk);
    fs::create_dir_all(&desk).unwrap();
    let key = desk.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let mut wrong = Vec::new();
    for case in cases() {
        let path = desk.join("sshd_config");
        fs::write(&path, &case.text).unwrap();
        let said = Command::new(sshd)
            .args(["-t", "-h"])
            .arg(&key)
            .arg("-f")
            .arg(&path)
            .output()
            .unwrap();
        if said.status.success() != read(&case).is_sound() {
            wrong.push(format!(
                "{}: {}",
                case.name,
                String::from_utf8_lossy(&said.stderr)
            ));
        }
    }
    fs::remove_dir_all(&desk).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
