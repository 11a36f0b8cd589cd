//! `probe` against real servers and against things that are none, on loopback: what it says, and that it always ends, in
//! bounded memory. On Debian, as root, `./test` installs all of them, and nothing may be missing; elsewhere what is not
//! there is skipped by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

mod odd;
mod openssh;
mod others;
mod ways;

use serde_json::Value;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No probe with a stage of 2 s takes longer, whatever the other side does and however busy the machine is.
const LONGEST: Duration = Duration::from_secs(90);
/// The most memory that a probe may ever hold, in KiB.
const MOST_MEMORY: u64 = 128 << 10;

/// A folder of its own, with a key and an empty known_hosts.
struct Home {
    dir: PathBuf,
}

impl Home {
    fn new(name: &str) -> Home {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("peers-{name}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join(".ssh")).unwrap();
        Home { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn keygen(&self, name: &str, kind: &[&str]) -> bool {
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-q", "-N", "", "-f", &self.path(name)])
            .args(kind);
        command.status().is_ok_and(|s| s.success())
    }

    /// What the probe says of the server on that port.
    fn probe(&self, port: u16, more: &[&str]) -> Value {
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts"));
        let (identity, port) = (self.path("id"), port.to_string());
        let target = format!("{}@127.0.0.1", user());
        let mut words = vec![
            "-F",
            "none",
            "-o",
            &known,
            "-o",
            "GlobalKnownHostsFile=none",
        ];
        // The first of several counts.
        words.extend(more);
        words.extend(["-o", "StrictHostKeyChecking=accept-new", "-i", &identity]);
        words.extend(["-o", "IdentitiesOnly=yes", "-p", &port]);
        words.push(&target);
        self.ask(&[], &words, &[])
    }

    /// The answer to any question: the probe's own words, what was typed after `ssh`, the environment.
    fn ask(&self, own: &[&str], typed: &[&str], environment: &[(&str, &str)]) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sshwhy"));
        command
            .args(["probe", "--format", "json"])
            .args(if own.contains(&"--timeout") {
                &[][..]
            } else {
                &["--timeout", "2"]
            })
            .args(own)
            .arg("ssh")
            .args(typed)
            .env("HOME", &self.dir)
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("SSH_ASKPASS")
            .envs(environment.iter().copied());
        let text = bounded(command);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// Runs it, watches its memory and its time, and hands over what it printed.
fn bounded(mut command: Command) -> String {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let readers = [
        Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>,
        Box::new(child.stderr.take().unwrap()),
    ]
    .map(|mut pipe| {
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = pipe.read_to_string(&mut text);
            text
        })
    });
    let start = Instant::now();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(memory(child.id()));
        if start.elapsed() > LONGEST {
            let _ = child.kill();
            panic!("the probe did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(most < MOST_MEMORY, "{most} KiB");
    let [out, err] = readers.map(|r| r.join().unwrap());
    assert!(!out.is_empty(), "{err}");
    out
}

/// The peak of a process' memory, in KiB.
fn memory(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn user() -> String {
    let out = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// A program that lives until the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Until somebody listens there.
fn wait_for(port: u16) {
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody listens on {port}");
}

fn has(program: &str) -> bool {
    let found = |dir: PathBuf| dir.join(program).is_file();
    Path::new(program).is_absolute() && Path::new(program).is_file()
        || std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(found))
        || found(PathBuf::from("/usr/sbin"))
}

/// For what is not here. `./test` installs everything on Debian, as root: there it is a failure.
fn skipped(test: &str, needs: &str) {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .unwrap()
        .stdout
        .trim_ascii()
        == b"0";
    let installable = root && Path::new("/etc/debian_version").exists();
    assert!(!installable, "{test} needs {needs}: ./test installs it");
    eprintln!("skipped: {test} (needs {needs})");
}

fn state<'v>(answer: &'v Value, gate: &str) -> &'v str {
    let gates = answer["gates"].as_array().unwrap();
    let gate = gates.iter().find(|g| g["gate"] == gate).unwrap();
    gate["state"].as_str().unwrap()
}

fn causes(answer: &Value) -> Vec<&str> {
    let findings = answer["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|f| f["cause"].as_str().unwrap())
        .collect()
}

fn values<'v>(answer: &'v Value, key: &str) -> Vec<&'v str> {
    let all = answer["observations"].as_array().unwrap();
    let mine = all.iter().filter(|o| o["key"] == key);
    mine.map(|o| o["value"].as_str().unwrap()).collect()
}

/// sshd on a port of its own; `None` where it is not installed.
fn sshd(home: &Home, test: &str, more: &str) -> Option<(Running, u16)> {
    sshd_with(home, test, more, |sshd, arguments| {
        let mut command = Command::new(sshd);
        command.args(arguments);
        command
    })
}

/// The same, started in another way.
fn sshd_with(
    home: &Home,
    test: &str,
    more: &str,
    start: impl FnOnce(&str, &[String]) -> Command,
) -> Option<(Running, u16)> {
    if !has("/usr/sbin/sshd") || !has("ssh-keygen") {
        skipped(test, "sshd: Debian openssh-server");
        return None;
    }
    // A server that runs as root wants this folder.
    let _ = fs::create_dir_all("/run/sshd");
    let port = free_port();
    for (name, kind) in [("host_ed25519", "ed25519"), ("host_rsa", "rsa")] {
        assert!(home.keygen(name, &["-t", kind]));
    }
    let config = format!(
        "{more}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {0}/host_ed25519\nHostKey {0}/host_rsa\nPidFile none\nAuthorizedKeysFile {0}/authorized\nStrictModes no\nUsePAM no\nLogLevel INFO\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n",
        home.dir.display()
    );
    fs::write(home.path("sshd_config"), config).unwrap();
    let (file, log) = (home.path("sshd_config"), home.path("log"));
    let arguments = ["-D", "-f", &file, "-E", &log].map(str::to_owned);
    let child = start("/usr/sbin/sshd", &arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    for _ in 0..500 {
        let log = fs::read_to_string(home.path("log")).unwrap_or_default();
        if log.contains("Server listening") {
            return Some((running, port));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("sshd did not start");
}
