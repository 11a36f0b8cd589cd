//! `config` as people use it: on a file that lies anywhere, on a copied disk (`--root`), with a load and with a log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a@b\n";

struct Desk(PathBuf);

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Desk {
    fn new(name: &str) -> Desk {
        let path =
            std::env::temp_dir().join(format!("sshwhy-config-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Desk(path)
    }

    fn file(&self, name: &str, text: &str) -> &Desk {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// A disk with alice (a key), bob (a password), carol (neither) and a daemon.
    fn disk(name: &str, config: &str) -> Desk {
        let desk = Desk::new(name);
        desk.file(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\ncarol:x:1002:1002::/home/carol:/bin/sh\nwww:x:33:33::/srv:/usr/sbin/nologin\n",
        )
        .file("etc/group", "root:x:0:\nstaff:x:50:alice,bob\nalice:x:1000:\nbob:x:1001:\ncarol:x:1002:\n")
        .file("etc/shadow", "root:*:1::::::\nalice:!:1::::::\nbob:$6$x$y:1::::::\ncarol:!:1::::::\nwww:*:1::::::\n")
        .file("bin/sh", "")
        .file("home/alice/.ssh/authorized_keys", KEY)
        .file("etc/ssh/sshd_config", config);
        desk
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .args(args)
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(
            matches!(out.status.code(), Some(0 | 1)),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    }

    /// Of `config VERB …` on the disk.
    fn json(&self, args: &[&str]) -> Value {
        let root = self.path("");
        let mut all = vec![
            "config",
            "--format",
            "json",
            "--root",
            &root,
            "--openssh",
            "9.2",
        ];
        all.extend(args);
        serde_json::from_str(&self.text(&all)).unwrap()
    }
}

fn account<'a>(v: &'a Value, name: &str) -> &'a Value {
    let all = v["accounts"].as_array().unwrap();
    all.iter().find(|a| a["user"] == name).unwrap()
}

#[test]
fn who_gets_in_from_where_and_how() {
    let desk = Desk::disk(
        "who",
        "UsePAM yes\nKbdInteractiveAuthentication no\nPasswordAuthentication no\nAllowGroups staff root\nMatch Address 192.0.2.0/24\nPasswordAuthentication yes\n",
    );
    let v = desk.json(&["who"]);
    let alice = account(&v, "alice");
    assert_eq!(
        (alice["can"].as_bool(), &alice["methods"][0]),
        (Some(true), &"publickey".into())
    );
    let bob = account(&v, "bob");
    assert_eq!(bob["can"], true);
    let places = bob["places"].as_array().unwrap();
    assert_eq!(places[0]["from"][0], "192.0.2.0/24");
    assert_eq!(places[0]["methods"][0], "password");
    assert_eq!(
        (&places[1]["from"][0], &places[1]["can"]),
        (&"elsewhere".into(), &false.into())
    );
    let why = |name: &str| account(&v, name)["why"].as_str().unwrap().to_owned();
    assert!(why("carol").starts_with("AllowGroups (") && why("carol").contains("sshd_config:4"));
    assert!(why("www").contains("AllowGroups"));
    assert!(why("root").contains("it has no key"), "{}", why("root"));
    // Without PAM a locked account is closed, its keys too.
    let desk = Desk::disk("locked", "UsePAM no\n");
    let v = desk.json(&["who"]);
    assert!(
        account(&v, "alice")["why"]
            .as_str()
            .unwrap()
            .contains("locked")
    );
    let root = desk.path("");
    let text = desk.text(&["config", "--root", &root, "who"]);
    assert!(text.contains("1 more without a login shell"), "{text}");
}

#[test]
fn files_are_compared_for_each_kind_of_caller() {
    let desk = Desk::new("diff");
    desk.file("a", "X11Forwarding yes\nMatch User git\nMaxSessions 2\n")
        .file(
            "b",
            "X11Forwarding = yes # the same\nMatch User git\n   MaxSessions 3\n",
        )
        .file(
            "c",
            "x11forwarding\tyes\nMatch User git\nMaxSessions 2\nPort 22\n",
        );
    let text = desk.text(&["config", "diff", &desk.path("a"), &desk.path("b")]);
    assert!(
        text.contains("for Match User git, besides:")
            && text.contains("- 2")
            && text.contains("+ 3"),
        "{text}"
    );
    assert!(!text.contains("X11Forwarding"));
    let same = desk.text(&["config", "diff", &desk.path("a"), &desk.path("a")]);
    assert_eq!(same, "The same in effect.\n");
    // One of them is broken: said, and only a part of an answer.
    let out = desk.run(&["config", "diff", &desk.path("a"), &desk.path("c")]);
    assert_eq!(out.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&out.stderr).contains("not allowed within a Match block"));
}

#[test]
fn a_release_is_chosen_and_its_words_are_used() {
    let desk = Desk::new("release");
    desk.file(
        "c",
        "PerSourcePenalties authfail:1m\nPubkeyAcceptedKeyTypes ssh-ed25519\n",
    );
    let c = desk.path("c");
    let new = desk.text(&["config", "--openssh", "10.0", "effective", "--plain", &c]);
    assert!(
        new.contains("persourcepenalties crash:90 authfail:60 ")
            && new.contains("pubkeyacceptedalgorithms ssh-ed25519\n")
    );
    let old = desk.run(&["config", "--openssh", "8.4", "check", &c]);
    assert_eq!(old.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&old.stdout).contains("OpenSSH 9.8 knows it, this is 8.4"));
    assert_eq!(
        desk.run(&["config", "--openssh", "new", "check", &c])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_load_is_simulated_and_drawn() {
    let desk = Desk::new("simulate");
    desk.file("c", "LoginGraceTime 120\nMaxStartups 10:30:100\n");
    let (c, svg) = (desk.path("c"), desk.path("load.svg"));
    let args = [
        "config",
        "--format",
        "json",
        "--openssh",
        "9.2",
        "simulate",
        "--rate",
        "0.5",
        "--attack-rate",
        "2",
        "--attack",
        "hang",
        "--tries",
        "3",
        "--svg",
        &svg,
        &c,
    ];
    let text = desk.text(&args);
    let v: Value = serde_json::from_str(&text).unwrap();
    assert!(v["logins"]["first_refused"].as_f64().unwrap() > 0.5);
    assert!(v["logins"]["by_penalties"] == 0 && v["others"]["came"].as_u64().unwrap() > 5000);
    let lines: Vec<&str> = v["meets_target"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["line"].as_str().unwrap())
        .collect();
    assert!(lines[0].starts_with("PerSourceMaxStartups"), "{lines:?}");
    assert_eq!(
        text,
        desk.text(&args),
        "the same numbers give the same answer"
    );
    let drawn = fs::read_to_string(&svg).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.contains("PerSourceMaxStartups none"));
    // With penalties: who hangs from one address is soon kept out.
    let newer = [
        "config",
        "--format",
        "json",
        "--openssh",
        "10.0",
        "simulate",
        "--rate",
        "0.5",
        "--attack-rate",
        "2",
        &c,
    ];
    let v: Value = serde_json::from_str(&desk.text(&newer)).unwrap();
    assert!(v["others"]["by_penalties"].as_u64().unwrap() > 5000);
    assert!(v["logins"]["first_refused"].as_f64().unwrap() < 0.01);
    for wrong in [
        &["--rate", "-1"][..],
        &["--rate", "1e9"],
        &["--target", "2"],
        &["--max-startups", "10:30"],
    ] {
        let mut all = vec!["config", "simulate"];
        all.extend(wrong);
        all.push(&c);
        assert_eq!(desk.run(&all).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_log_is_replayed_and_says_what_a_login_leaves() {
    let desk = Desk::disk(
        "replay",
        "UsePAM yes\nMaxStartups 2:100:2\nMaxAuthTries 4\nClientAliveInterval 10\n",
    );
    desk.file("etc/pam.d/sshd", "@include common-auth\n")
        .file(
            "etc/pam.d/common-auth",
            "auth required pam_faillock.so preauth\nauth sufficient pam_unix.so\n",
        )
        .file("etc/security/faillock.conf", "# deny = 9\ndeny = 5\n");
    let mut log = String::new();
    for n in 0..6 {
        // Six at once, of whom two fit.
        log.push_str(&format!("2026-03-01T10:00:0{n}Z web sshd[{n}]: Connection from 192.0.2.{n} port 400{n} on 198.51.100.1 port 22\n"));
        log.push_str(&format!("2026-03-01T10:00:3{n}Z web sshd[{n}]: Accepted password for bob from 192.0.2.{n} port 400{n} ssh2\n"));
    }
    desk.file("log", &log);
    let path = desk.path("log");
    let v = desk.json(&["simulate", "--tries", "1", "--log", &path, "--tz", "UTC"]);
    assert_eq!(
        (
            v["logins"]["came"].as_u64(),
            v["logins"]["by_max_startups"].as_u64()
        ),
        (Some(6), Some(4))
    );
    assert_eq!(v["logins"]["wait_p50"], Value::Null);
    let login = &v["login"];
    assert_eq!(
        (
            login["pam_tries"].as_u64(),
            login["passwords_left"].as_u64()
        ),
        (Some(5), Some(4))
    );
    assert_eq!(
        (
            login["keys_not_logged"].as_u64(),
            login["gone_noticed_after"].as_u64()
        ),
        (Some(4), Some(40))
    );
    // Nothing in it: said, and no table of zeros.
    desk.file("empty", "Mar  1 10:00:00 web cron[1]: x\n");
    let out = desk.run(&[
        "config",
        "--root",
        &desk.path(""),
        "simulate",
        "--log",
        &desk.path("empty"),
        "--tz",
        "UTC",
    ]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("nothing to go by"));
}

#[test]
fn what_keeps_somebody_out_is_no_part_of_a_proposal() {
    let desk = Desk::disk("harden", "UsePAM yes\nPermitRootLogin yes\n");
    let keeps = |v: &Value, keyword: &str| {
        let all = v["changes"].as_array().unwrap();
        let change = all.iter().find(|c| c["keyword"] == keyword).unwrap();
        change["keeps_out"].as_array().unwrap().len()
    };
    let v = desk.json(&["harden", "--keep", "alice"]);
    assert_eq!(
        (
            keeps(&v, "PasswordAuthentication"),
            keeps(&v, "KbdInteractiveAuthentication")
        ),
        (0, 0)
    );
    // bob has a password only: one of the two ways stays.
    let v = desk.json(&["harden", "--keep", "bob"]);
    assert_eq!(
        keeps(&v, "PasswordAuthentication") + keeps(&v, "KbdInteractiveAuthentication"),
        1
    );
    // A log shows alice with a password, whatever keys lie there.
    desk.file("log", "2026-03-01T10:00:00Z web sshd[1]: Accepted password for alice from 192.0.2.1 port 4000 ssh2\n");
    let shadow = fs::read_to_string(desk.path("etc/shadow")).unwrap();
    desk.file("etc/shadow", &shadow.replace("alice:!", "alice:$6$x$y"));
    let path = desk.path("log");
    let v = desk.json(&["harden", "--log", &path, "--tz", "UTC"]);
    assert_eq!(
        keeps(&v, "PasswordAuthentication") + keeps(&v, "KbdInteractiveAuthentication"),
        1
    );
    assert_eq!(v["keeps"][0], "alice");
}

#[test]
fn a_file_from_elsewhere_is_checked_without_this_machine() {
    let broken =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/config/broken/misspelt.conf");
    let desk = Desk::new("check");
    let out = desk.run(&[
        "config",
        "--openssh",
        "9.2",
        "check",
        &broken.to_string_lossy(),
    ]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text.contains("did you mean PermitRootLogin?") && text.contains("misspelt.conf:1"),
        "{text}"
    );
    let none = desk.run(&["config", "check", &desk.path("none")]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("none"));
}
