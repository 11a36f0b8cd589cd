//! `doctor --fix` over a folder with a broken server in it: what it changes, and that nothing ever stays half done.
//!
//! Killed with SIGKILL at every step of doing and of taking back, the folder must come to be as it was, byte for byte and
//! mode for mode: by the watcher, and where that was killed too, by the next run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q alice@client\n";

struct World {
    folder: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl World {
    /// A machine on which alice cannot log in for three reasons that may be mended, and one that may not.
    fn new(name: &str) -> World {
        let folder = std::env::temp_dir().join(format!("sshwhy-fix-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let world = World { folder };
        let root = world.root();
        let uid = fs::metadata("/proc/self").unwrap().uid();
        let (uid, gid) = if uid == 0 {
            (1000, 1000)
        } else {
            (uid, fs::metadata("/proc/self").unwrap().gid())
        };
        let write = |path: &str, text: &str, mode: u32| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write(
            "etc/passwd",
            &format!("root:x:0:0::/root:/bin/sh\nalice:x:{uid}:{gid}::/home/alice:/bin/sh\n"),
            0o644,
        );
        write(
            "etc/group",
            &format!("root:x:0:\nalice:x:{gid}:bob\n"),
            0o644,
        );
        write("etc/shadow", "alice:$6$a$b:19000:0:99999:7:::\n", 0o640);
        write("etc/shells", "/bin/sh\n", 0o644);
        write("bin/sh", "", 0o755);
        write("etc/nologin", "maintenance\n", 0o644);
        write("etc/ssh/ssh_host_ed25519_key", "a key\n", 0o600);
        write(
            "etc/ssh/sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nHostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM no\nAllowUsers carol\n",
            0o640,
        );
        write(
            "etc/ssh/sshd_config.d/10-x.conf",
            "# ours\nX11Fowarding no\n",
            0o600,
        );
        write("home/alice/.ssh/authorized_keys", KEY, 0o664);
        fs::create_dir_all(root.join("run/sshd")).unwrap();
        fs::set_permissions(
            root.join("home/alice/.ssh"),
            fs::Permissions::from_mode(0o777),
        )
        .unwrap();
        for path in [
            "home/alice",
            "home/alice/.ssh",
            "home/alice/.ssh/authorized_keys",
        ] {
            chown(root.join(path), Some(uid), Some(gid)).unwrap();
        }
        world
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn doctor(&self, args: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_sshwhy"));
        c.args(["doctor", "--fix-state"])
            .arg(self.state())
            .args(args);
        c
    }

    fn fix(&self, within: &str, more: &[&str]) -> Output {
        let root = self.root();
        let mut c = self.doctor(&[
            "--fix",
            "--format",
            "json",
            "--user",
            "alice",
            "--from",
            "192.0.2.7",
        ]);
        c.args(["--confirm-within", within, "--root"])
            .arg(root)
            .args(more);
        c.output().unwrap()
    }

    /// Path → mode, owner, content.
    fn tree(&self) -> BTreeMap<PathBuf, (u32, u32, u32, Vec<u8>)> {
        let mut out = BTreeMap::new();
        let mut left = vec![self.root()];
        while let Some(path) = left.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let bytes = match meta.is_dir() {
                true => {
                    left.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
                    Vec::new()
                }
                false => fs::read(&path).unwrap(),
            };
            out.insert(path, (meta.mode(), meta.uid(), meta.gid(), bytes));
        }
        out
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_default()
    }

    /// The only fix there is; `None`: it was ended before it had a name.
    fn id(&self) -> Option<String> {
        let mut names = fs::read_dir(self.state()).ok()?;
        Some(names.next()?.unwrap().file_name().into_string().unwrap())
    }

    fn journal(&self) -> String {
        self.id()
            .and_then(|id| fs::read_to_string(self.state().join(id).join("journal")).ok())
            .unwrap_or_default()
    }

    /// Ends the watcher that this test's fix started.
    fn kill_watcher(&self) {
        let pid = self.state().join(self.id().unwrap()).join("watcher");
        if let Ok(pid) = fs::read_to_string(pid) {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            assert!(String::from_utf8_lossy(&line).contains("--fix-watch") || line.is_empty());
            let _ = Command::new("kill").args(["-9", &pid]).output().unwrap();
            wait("the watcher is gone", || {
                fs::read(format!("/proc/{pid}/cmdline"))
                    .unwrap_or_default()
                    .is_empty()
            });
        }
    }
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{what} never came"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn json(out: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&out.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&out.stderr)))
}

fn was_killed(out: &Output) -> bool {
    out.status.signal() == Some(9)
}

#[test]
fn a_dry_run_shows_a_patch_and_changes_nothing() {
    let w = World::new("dry");
    let before = w.tree();
    let root = w.root();
    let out = w
        .doctor(&[
            "--fix",
            "--dry-run",
            "--user",
            "alice",
            "--from",
            "192.0.2.7",
            "--root",
        ])
        .arg(&root)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    for part in [
        "-X11Fowarding no\n",
        "+X11Forwarding no\n",
        "--- /etc/nologin\n",
        "mode 0777",
        "Not mended: user-not-allowed",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert_eq!(w.tree(), before);
    assert!(w.id().is_none());
}

#[test]
fn what_is_confirmed_from_a_new_session_stays() {
    let w = World::new("confirm");
    let out = json(&w.fix("30s", &[]));
    assert_eq!(out["fix"]["result"], "applied", "{}", out["fix"]);
    assert_eq!(
        w.read("etc/ssh/sshd_config.d/10-x.conf"),
        "# ours\nX11Forwarding no\n"
    );
    assert!(!w.root().join("etc/nologin").exists());
    let mode = |p: &str| fs::metadata(w.root().join(p)).unwrap().mode() & 0o7777;
    assert_eq!(
        mode("etc/ssh/sshd_config.d/10-x.conf"),
        0o600,
        "its mode is kept"
    );
    assert_eq!(
        (
            mode("home/alice/.ssh"),
            mode("home/alice/.ssh/authorized_keys")
        ),
        (0o755, 0o644)
    );
    assert!(
        w.read("etc/ssh/sshd_config").contains("AllowUsers carol"),
        "policy is not ours to change"
    );

    let id = w.id().unwrap();
    let same = w.doctor(&["--confirm", &id]).output().unwrap();
    assert!(
        !same.status.success(),
        "the session that did it proves nothing"
    );
    assert!(String::from_utf8_lossy(&same.stderr).contains("log in anew"));
    let new = Command::new("setsid")
        .args([
            "--wait",
            env!("CARGO_BIN_EXE_sshwhy"),
            "doctor",
            "--confirm",
            &id,
            "--fix-state",
        ])
        .arg(w.state())
        .output()
        .unwrap();
    assert!(
        new.status.success(),
        "{}",
        String::from_utf8_lossy(&new.stderr)
    );
    let after = w.tree();
    wait("the end of the watcher", || {
        let pid = fs::read_to_string(w.state().join(&id).join("watcher")).unwrap();
        fs::read(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .is_empty()
    });
    w.doctor(&["--recover"]).output().unwrap();
    assert_eq!(w.tree(), after);
}

#[test]
fn a_session_whose_leader_is_outside_this_process_namespace_is_one_too() {
    // As in a container that somebody entered: the kernel's number of the session is 0 there.
    let w = World::new("outside");
    let inside = [
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
    ];
    let works = Command::new("unshare").args(inside).arg("true").output();
    if !works.is_ok_and(|o| o.status.success()) {
        eprintln!(
            "skipped: a_session_whose_leader_is_outside_this_process_namespace_is_one_too needs unshare(1) and its rights"
        );
        return;
    }
    let mut c = Command::new("unshare");
    c.args(inside).arg(env!("CARGO_BIN_EXE_sshwhy"));
    c.args(["doctor", "--fix", "--format", "json", "--user", "alice"]);
    c.args(["--from", "192.0.2.7", "--confirm-within", "60s"]);
    c.arg("--fix-state").arg(w.state());
    c.arg("--root").arg(w.root());
    let out = json(&c.output().unwrap());
    assert_eq!(out["fix"]["result"], "applied", "{}", out["fix"]);
    let id = w.id().unwrap();
    // From a session that has a number, it is confirmed.
    let mut c = Command::new("setsid");
    c.arg("--wait").arg(env!("CARGO_BIN_EXE_sshwhy"));
    c.args(["doctor", "--confirm", &id, "--fix-state"])
        .arg(w.state());
    let new = c.output().unwrap();
    assert!(
        new.status.success(),
        "{}",
        String::from_utf8_lossy(&new.stderr)
    );
    assert!(!w.root().join("etc/nologin").exists());
}

#[test]
fn what_nobody_confirms_is_taken_back() {
    let w = World::new("timeout");
    let before = w.tree();
    let out = json(&w.fix("1s", &[]));
    assert_eq!(out["fix"]["result"], "applied");
    assert_ne!(w.tree(), before);
    wait("the end", || w.journal().contains("\"reverted\""));
    assert_eq!(w.tree(), before);
    let late = w.doctor(&["--confirm", &w.id().unwrap()]).output().unwrap();
    assert!(String::from_utf8_lossy(&late.stderr).contains("taken back"));
}

#[test]
fn what_somebody_else_changed_meanwhile_is_left_alone() {
    let w = World::new("meanwhile");
    json(&w.fix("1s", &[]));
    let path = w.root().join("etc/ssh/sshd_config.d/10-x.conf");
    fs::write(&path, "X11Forwarding yes\n").unwrap();
    wait("the end", || w.journal().contains("\"reverted\""));
    assert_eq!(
        w.read("etc/ssh/sshd_config.d/10-x.conf"),
        "X11Forwarding yes\n"
    );
    assert!(w.root().join("etc/nologin").exists());
}

#[test]
fn killed_at_any_step_it_is_taken_back_by_the_watcher() {
    let mut steps = 0;
    loop {
        steps += 1;
        let w = World::new(&format!("kill-{steps}"));
        let before = w.tree();
        let out = w.fix("1s", &["--stop-at", &steps.to_string()]);
        let conf = w.read("etc/ssh/sshd_config.d/10-x.conf");
        assert!(
            conf.ends_with("X11Fowarding no\n") || conf.ends_with("X11Forwarding no\n"),
            "step {steps}: {conf}"
        );
        let begun = w.journal().contains("\"header\"");
        if begun && w.state().join(w.id().unwrap()).join("watcher").exists() {
            wait("the end", || w.journal().contains("\"reverted\""));
        } else {
            w.doctor(&["--recover"]).output().unwrap();
        }
        assert_eq!(w.tree(), before, "step {steps}");
        if !was_killed(&out) {
            assert_eq!(json(&out)["fix"]["result"], "applied");
            break;
        }
    }
    assert!(steps > 20, "only {steps} steps");
}

#[test]
fn killed_at_any_step_of_taking_back_the_next_run_ends_it() {
    let mut steps = 0;
    loop {
        steps += 1;
        let w = World::new(&format!("back-{steps}"));
        let before = w.tree();
        json(&w.fix("1s", &[]));
        w.kill_watcher();
        assert_ne!(w.tree(), before);
        std::thread::sleep(Duration::from_millis(1100));
        let id = w.id().unwrap();
        let out = w
            .doctor(&["--fix-watch", &id, "--stop-at", &steps.to_string()])
            .output()
            .unwrap();
        let said = w.doctor(&["--recover"]).output().unwrap();
        assert_eq!(
            w.tree(),
            before,
            "step {steps}: {}",
            String::from_utf8_lossy(&said.stdout)
        );
        if !was_killed(&out) {
            break;
        }
    }
    assert!(steps > 5, "only {steps} steps");
}

/// A user who puts a link where root is about to write gets nothing.
#[test]
fn links_are_not_followed() {
    let w = World::new("links");
    let secret = w.folder.join("secret");
    fs::write(&secret, "root's\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o666)).unwrap();
    let keys = w.root().join("home/alice/.ssh/authorized_keys");
    fs::remove_file(&keys).unwrap();
    std::os::unix::fs::symlink(&secret, &keys).unwrap();
    w.fix("1s", &[]);
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o666);
    if w.id().is_some() {
        w.kill_watcher();
    }
}

#[test]
fn names_of_fixes_lead_nowhere_else() {
    let w = World::new("names");
    for id in ["../../etc", "", "a/b", "fix-0-0"] {
        let out = w.doctor(&["--confirm", id]).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{id:?}");
    }
    assert!(!Path::new("/etc/journal").exists());
}

#[test]
fn a_ban_is_lifted_by_whoever_still_holds_it() {
    let w = World::new("ban");
    let root = w.root();
    let ask = |answers: bool, chain: &str, rule: &str| {
        let run = root.join(".snapshot/run");
        fs::create_dir_all(&run).unwrap();
        let ping = run.join("fail2ban-ping");
        let _ = fs::remove_file(&ping);
        if answers {
            fs::write(&ping, "Server replied: pong\n").unwrap();
        }
        let nft = format!(
            r#"{{"nftables": [{{"table": {{"family": "inet", "name": "f2b-table"}}}}, {{"chain": {{"family": "inet", "table": "f2b-table", "name": "{chain}", "type": "filter", "hook": "input", "prio": -1, "policy": "accept"}}}}, {{"set": {{"family": "inet", "table": "f2b-table", "name": "addr-set-sshd", "type": "ipv4_addr", "elem": ["192.0.2.7"]}}}}, {{"rule": {{"family": "inet", "table": "f2b-table", "chain": "{chain}", "expr": [{{"match": {{"op": "==", "left": {{"payload": {{"protocol": "ip", "field": "saddr"}}}}, "right": "{rule}"}}}}, {{"drop": null}}]}}}}]}}"#
        );
        fs::write(run.join("nft"), nft).unwrap();
        let out = w
            .doctor(&["--fix", "--dry-run", "--from", "192.0.2.7", "--root"])
            .arg(&root)
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let running = ask(true, "f2b-chain", "@addr-set-sshd");
    assert!(
        running.contains("fail2ban-client set sshd unbanip 192.0.2.7"),
        "{running}"
    );
    let gone = ask(false, "f2b-chain", "@addr-set-sshd");
    assert!(
        gone.contains("nft delete element inet f2b-table addr-set-sshd"),
        "{gone}"
    );
    // A rule that holds the address itself is known by its handle only.
    let rule = ask(false, "f2b-chain", "192.0.2.7");
    assert!(rule.contains("fail2ban does not run"), "{rule}");
}
