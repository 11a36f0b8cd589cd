//! `probe` against real servers and against things that are none, on loopback: what it says, and that it always ends, in
//! bounded memory. What is not installed is skipped by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
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

    /// What the probe says, and how long it took.
    fn probe(&self, port: u16, more: &[&str]) -> Value {
        let user = user();
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .args([
                "probe",
                "--format",
                "json",
                "--timeout",
                "2",
                "ssh",
                "-F",
                "none",
            ])
            .args([
                "-o",
                &known,
                "-o",
                "GlobalKnownHostsFile=none",
                "-o",
                "StrictHostKeyChecking=accept-new",
            ])
            .args([
                "-i",
                &self.path("id"),
                "-o",
                "IdentitiesOnly=yes",
                "-p",
                &port.to_string(),
            ])
            .args(more)
            .arg(format!("{user}@127.0.0.1"))
            .env("HOME", &self.dir)
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("SSH_ASKPASS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            text
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
        let text = reader.join().unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
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

fn skipped(test: &str, needs: &str) {
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
    let child = Command::new("/usr/sbin/sshd")
        .args([
            "-D",
            "-f",
            &home.path("sshd_config"),
            "-E",
            &home.path("log"),
        ])
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

#[test]
fn openssh_lets_a_key_in_and_hears_who_asked() {
    let home = Home::new("openssh");
    let Some((_server, port)) = sshd(&home, "openssh_lets_a_key_in_and_hears_who_asked", "") else {
        return;
    };
    assert!(home.keygen("id", &["-t", "ed25519"]));
    fs::copy(home.path("id.pub"), home.path("authorized")).unwrap();
    let answer = home.probe(port, &[]);
    for gate in ["tcp", "ident", "kex", "auth", "account", "session"] {
        assert_eq!(state(&answer, gate), "passed", "{gate}: {answer:#}");
    }
    assert!(causes(&answer).is_empty(), "{answer:#}");
    // Told after the login, without another connection.
    assert!(values(&answer, "hostkey.also").len() >= 2);
    let log = fs::read_to_string(home.path("log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    assert!(log.contains("sshwhy probe"), "{log}");
    assert!(!log.contains("error:") && !log.contains("Failed"), "{log}");
}

#[test]
fn openssh_is_asked_about_every_key_in_one_connection() {
    let home = Home::new("keys");
    let name = "openssh_is_asked_about_every_key_in_one_connection";
    let Some((_server, port)) = sshd(
        &home,
        name,
        "LogLevel VERBOSE\nPasswordAuthentication no\nKbdInteractiveAuthentication no",
    ) else {
        return;
    };
    let mut more = Vec::new();
    for key in ["id", "two", "three"] {
        assert!(home.keygen(key, &["-t", "ed25519"]));
        more.push(home.path(key));
    }
    fs::write(home.path("authorized"), "").unwrap();
    let answer = home.probe(port, &["-i", &more[1], "-i", &more[2]]);
    let keys = values(&answer, "auth.key");
    assert_eq!(
        keys.iter().filter(|v| **v == "refused").count(),
        3,
        "{keys:?}"
    );
    assert_eq!(values(&answer, "auth.methods"), ["publickey"]);
    assert_eq!(values(&answer, "auth.end"), ["denied"]);
    assert_eq!(state(&answer, "auth"), "failed");
    assert!(
        causes(&answer).contains(&"auth-rejected-publickey"),
        "{answer:#}"
    );
    let log = fs::read_to_string(home.path("log")).unwrap();
    assert_eq!(log.matches("Connection from ").count(), 1, "{log}");
    // The same keys against a server that ends it after two.
    let few = Home::new("few");
    let Some((_server, port)) = sshd(&few, name, "MaxAuthTries 2") else {
        return;
    };
    fs::write(few.path("authorized"), "").unwrap();
    assert!(few.keygen("id", &["-t", "ed25519"]));
    let answer = few.probe(port, &["-i", &more[1], "-i", &more[2]]);
    assert_eq!(
        causes(&answer).first(),
        Some(&"too-many-auth-failures"),
        "{answer:#}"
    );
}

#[test]
fn an_old_server_can_be_talked_about_and_logged_in_to() {
    let home = Home::new("old");
    let name = "an_old_server_can_be_talked_about_and_logged_in_to";
    let old = "KexAlgorithms diffie-hellman-group1-sha1\nHostKeyAlgorithms ssh-rsa\nCiphers 3des-cbc\nMACs hmac-sha1";
    let Some((_server, port)) = sshd(&home, name, old) else {
        return;
    };
    assert!(home.keygen("id", &["-t", "ed25519"]));
    fs::copy(home.path("id.pub"), home.path("authorized")).unwrap();
    let answer = home.probe(port, &[]);
    assert_eq!(
        causes(&answer).first(),
        Some(&"no-matching-kex"),
        "{answer:#}"
    );
    assert_eq!(state(&answer, "ident"), "passed");
    let answer = home.probe(
        port,
        &[
            "-o",
            "KexAlgorithms=+diffie-hellman-group1-sha1",
            "-o",
            "HostKeyAlgorithms=+ssh-rsa",
            "-o",
            "Ciphers=+3des-cbc",
        ],
    );
    assert_eq!(state(&answer, "auth"), "passed", "{answer:#}");
    assert_eq!(state(&answer, "session"), "passed", "{answer:#}");
}

#[test]
fn a_changed_host_key_is_told_nothing() {
    let home = Home::new("changed");
    let Some((_server, port)) = sshd(&home, "a_changed_host_key_is_told_nothing", "") else {
        return;
    };
    assert!(home.keygen("id", &["-t", "ed25519"]) && home.keygen("other", &["-t", "ed25519"]));
    fs::copy(home.path("id.pub"), home.path("authorized")).unwrap();
    let other = fs::read_to_string(home.path("other.pub")).unwrap();
    fs::write(
        home.path("known_hosts"),
        format!("[127.0.0.1]:{port} {other}"),
    )
    .unwrap();
    let answer = home.probe(port, &[]);
    assert_eq!(
        causes(&answer).first(),
        Some(&"host-key-changed"),
        "{answer:#}"
    );
    assert!(values(&answer, "auth.key").iter().all(|v| *v != "offered"));
    let log = fs::read_to_string(home.path("log")).unwrap();
    assert!(!log.contains("Accepted"), "{log}");
}

#[test]
fn dropbear_is_asked_too() {
    let name = "dropbear_is_asked_too";
    if !has("dropbear") || !has("dropbearkey") || !has("ssh-keygen") {
        return skipped(name, "dropbear: Debian dropbear-bin");
    }
    let home = Home::new("dropbear");
    assert!(home.keygen("id", &["-t", "ed25519"]));
    let made = Command::new("dropbearkey")
        .args(["-t", "ed25519", "-f", &home.path("host")])
        .output()
        .unwrap();
    assert!(made.status.success());
    let port = free_port();
    let child = Command::new("dropbear")
        .args([
            "-F",
            "-E",
            "-s",
            "-p",
            &format!("127.0.0.1:{port}"),
            "-r",
            &home.path("host"),
            "-P",
            &home.path("pid"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Running(child);
    wait_for(port);
    let answer = home.probe(port, &[]);
    assert_eq!(state(&answer, "kex"), "passed", "{answer:#}");
    assert!(values(&answer, "ident.server")[0].contains("dropbear"));
    assert_eq!(values(&answer, "auth.end"), ["denied"], "{answer:#}");
}

/// Answers each connection with a program whose input and output it is.
fn super_server(program: &'static str, arguments: Vec<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(20) {
            let out = stream.try_clone().unwrap();
            let child = Command::new(program)
                .args(&arguments)
                .stdin(Stdio::from(OwnedFd::from(stream)))
                .stdout(Stdio::from(OwnedFd::from(out)))
                .stderr(Stdio::null())
                .spawn();
            if let Ok(mut child) = child {
                let _ = child.wait();
            }
        }
    });
    port
}

#[test]
fn tinyssh_is_asked_too() {
    let name = "tinyssh_is_asked_too";
    if !has("tinysshd") || !has("tinysshd-makekey") || !has("ssh-keygen") {
        return skipped(name, "tinysshd: Debian tinysshd");
    }
    let home = Home::new("tinyssh");
    assert!(home.keygen("id", &["-t", "ed25519"]));
    let made = Command::new("tinysshd-makekey")
        .arg(home.path("keys"))
        .output()
        .unwrap();
    assert!(made.status.success());
    let port = super_server("/usr/sbin/tinysshd", vec![home.path("keys")]);
    let answer = home.probe(port, &[]);
    assert!(
        values(&answer, "ident.server")[0].contains("tinyssh"),
        "{answer:#}"
    );
    assert_eq!(state(&answer, "kex"), "passed", "{answer:#}");
    assert_eq!(values(&answer, "auth.methods"), ["publickey"], "{answer:#}");
    assert_eq!(values(&answer, "auth.end"), ["denied"], "{answer:#}");
}

const PARAMIKO: &str = r#"
import socket, sys, threading, paramiko
key = paramiko.RSAKey.generate(2048)
class Server(paramiko.ServerInterface):
    def get_allowed_auths(self, user): return 'publickey,password'
    def check_auth_publickey(self, user, key): return paramiko.AUTH_SUCCESSFUL
    def check_channel_request(self, kind, chanid): return paramiko.OPEN_SUCCEEDED
    def check_channel_exec_request(self, channel, command):
        def answer():
            channel.send_exit_status(0)
            channel.close()
        threading.Timer(0.05, answer).start()
        return True
    def check_channel_pty_request(self, *a): return True
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen(5)
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    t = paramiko.Transport(c)
    t.add_server_key(key)
    try: t.start_server(server=Server())
    except Exception: pass
"#;

#[test]
fn paramiko_is_asked_too() {
    let name = "paramiko_is_asked_too";
    let python = "/usr/bin/python3";
    let there = Command::new(python)
        .args(["-c", "import paramiko"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !there || !has("ssh-keygen") {
        return skipped(name, "paramiko: Debian python3-paramiko");
    }
    let home = Home::new("paramiko");
    assert!(home.keygen("id", &["-t", "ed25519"]));
    let mut child = Command::new(python)
        .args(["-c", PARAMIKO])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let _server = Running(child);
    let mut line = Vec::new();
    let mut byte = [0];
    while out.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    let port: u16 = String::from_utf8(line).unwrap().trim().parse().unwrap();
    let answer = home.probe(port, &[]);
    assert!(
        values(&answer, "ident.server")[0].contains("paramiko"),
        "{answer:#}"
    );
    assert_eq!(state(&answer, "auth"), "passed", "{answer:#}");
    assert_eq!(state(&answer, "session"), "passed", "{answer:#}");
}

#[test]
fn libssh_has_no_server_program_to_ask() {
    skipped(
        "libssh_has_no_server_program_to_ask",
        "a server built on libssh; Debian packages none",
    );
    assert!(!has("libssh_server"), "there is one now: ask it");
}

/// Serves every connection with a function, each in a thread of its own.
fn serve(with: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || with(stream));
        }
    });
    port
}

fn against(name: &str, with: fn(TcpStream)) -> Value {
    let home = Home::new(name);
    home.probe(serve(with), &[])
}

/// Until the other side has gone.
fn hold(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
}

#[test]
fn a_plain_acceptor_never_greets() {
    let answer = against("acceptor", hold);
    assert_eq!(
        causes(&answer).first(),
        Some(&"banner-timeout"),
        "{answer:#}"
    );
    assert_eq!(state(&answer, "ident"), "failed");
}

#[test]
fn web_servers_are_no_ssh() {
    let answer = against("http", |mut s| {
        let mut buffer = [0; 512];
        let _ = s.read(&mut buffer);
        let _ = s.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    assert_eq!(
        causes(&answer).first(),
        Some(&"not-ssh-service"),
        "{answer:#}"
    );
    assert_eq!(values(&answer, "ident.protocol"), ["http"]);
    let answer = against("tls", |mut s| {
        let mut buffer = [0; 512];
        let _ = s.read(&mut buffer);
        // A fatal alert: unexpected message.
        let _ = s.write_all(&[0x15, 3, 3, 0, 2, 2, 10]);
    });
    assert_eq!(values(&answer, "ident.protocol"), ["tls"], "{answer:#}");
}

#[test]
fn a_tarpit_is_told_from_a_slow_server() {
    let answer = against("tarpit", |mut s| {
        while s.write_all(b"9d2f\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(150));
        }
    });
    assert_eq!(causes(&answer).first(), Some(&"tarpit"), "{answer:#}");
    let answer = against("bytes", |mut s| {
        for b in b"SSH-2.0-Slow\r\n" {
            if s.write_all(&[*b]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        hold(s);
    });
    assert_eq!(
        values(&answer, "ident.server"),
        ["SSH-2.0-Slow"],
        "{answer:#}"
    );
    assert_eq!(state(&answer, "ident"), "passed");
    assert_eq!(state(&answer, "kex"), "failed");
}

#[test]
fn who_never_reads_and_who_never_stops_are_left() {
    let answer = against("deaf", |mut s| {
        let _ = s.write_all(b"SSH-2.0-Deaf\r\n");
        std::thread::sleep(Duration::from_secs(30));
    });
    assert_eq!(state(&answer, "kex"), "failed", "{answer:#}");
    let answer = against("flood", |mut s| {
        let junk = vec![b'x'; 1 << 16];
        for _ in 0..160 {
            if s.write_all(&junk).is_err() {
                return;
            }
        }
        let _ = s.write_all(b"\r\nSSH-2.0-Late\r\n");
    });
    assert_eq!(state(&answer, "ident"), "failed", "{answer:#}");
    // After the greeting: a packet that is none, and lengths that cannot be.
    let answer = against("garbage", |mut s| {
        let _ = s.write_all(b"SSH-2.0-Garbage\r\n");
        let _ = s.write_all(&[0xff; 100_000]);
        hold(s);
    });
    assert_eq!(state(&answer, "kex"), "failed", "{answer:#}");
}
