//! `doctor` over snapshots of servers: one file a scenario in `testdata/doctor`, laid over the healthy one in `base`.
//!
//! Beside each fault stands what only looks like it, and must not be reported.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/doctor")
}

/// `=== file PATH`, `=== append PATH`, `=== link PATH TARGET`, `=== remove PATH`; what stands before the first is prose.
fn lay(root: &Path, text: &str) {
    for section in text.split("=== ").skip(1) {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let mut words = head.split(' ');
        let (verb, path) = (words.next().unwrap(), root.join(words.next().unwrap()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match verb {
            "file" => fs::write(&path, body).unwrap(),
            "append" => {
                let before = fs::read_to_string(&path).unwrap_or_default();
                fs::write(&path, before + body).unwrap();
            }
            "link" => symlink(words.next().unwrap(), &path).unwrap(),
            "remove" if path.is_dir() => fs::remove_dir_all(&path).unwrap(),
            "remove" => fs::remove_file(&path).unwrap(),
            other => panic!("{other}?"),
        }
    }
}

fn ask(name: &str, scenario: &str) -> serde_json::Value {
    let root = std::env::temp_dir().join(format!("sshwhy-doctor-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    lay(&root, &fs::read_to_string(testdata().join("base")).unwrap());
    lay(&root, scenario);
    let args = scenario
        .lines()
        .find_map(|l| l.strip_prefix("args: "))
        .unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
        .args(["doctor", "--format", "json", "--root"])
        .arg(&root)
        .args(args.split(' '))
        .output()
        .unwrap();
    fs::remove_dir_all(&root).unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}: {text} {errors}"))
}

fn known(answer: &serde_json::Value) -> Vec<&str> {
    let findings = answer["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|f| f["confidence"].as_f64().unwrap() >= 0.5)
        .map(|f| f["cause"].as_str().unwrap())
        .collect()
}

fn scenarios() -> Vec<(String, String)> {
    let names = fs::read_dir(testdata()).unwrap();
    let mut names: Vec<String> = names
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n != "base")
        .collect();
    names.sort();
    let read = |n: String| (n.clone(), fs::read_to_string(testdata().join(n)).unwrap());
    names.into_iter().map(read).collect()
}

#[test]
fn every_scenario_has_its_cause_on_top_and_healthy_ones_have_none() {
    let all = scenarios();
    assert!(all.len() > 25);
    let mut wrong = Vec::new();
    for (name, scenario) in all {
        let field = |key: &str| scenario.lines().find_map(|l| l.strip_prefix(key));
        let expect = field("expect: ").unwrap();
        let answer = ask(&name, &scenario);
        let known = known(&answer);
        let right = match expect {
            "none" => known.is_empty(),
            cause => known.first() == Some(&cause),
        };
        if !right {
            wrong.push(format!("{name}: expected {expect}, got {known:?}"));
        } else if let Some(mention) = field("mention: ")
            && !answer["findings"][0].to_string().contains(mention)
        {
            let first = &answer["findings"][0];
            wrong.push(format!("{name}: does not mention {mention}: {first}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Gatherers write no other words than the catalogue has.
#[test]
fn observations_use_the_words_of_the_catalogue() {
    for (name, scenario) in scenarios() {
        let answer = ask(&format!("words-{name}"), &scenario);
        for o in answer["observations"].as_array().unwrap() {
            let (key, value) = (o["key"].as_str().unwrap(), o["value"].as_str().unwrap());
            let fact = sshwhy_core::catalog::facts::by_key(key);
            let fact = fact.unwrap_or_else(|| panic!("no fact {key}"));
            let known = fact.values.is_empty() || fact.values.contains(&value);
            assert!(known, "{key} is never {value}");
        }
    }
}
