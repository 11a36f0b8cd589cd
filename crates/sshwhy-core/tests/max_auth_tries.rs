//! MaxAuthTries as we say it works against a real sshd on loopback: how many refused tries end a connection, and which of them a
//! log of LogLevel INFO shows.
//!
//! Without root, an sshd or an ssh it does not run, and says so by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::config::simulate::limits::{Method, tries};
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Daemon {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn missing() -> Option<&'static str> {
    if !Path::new("/usr/sbin/sshd").exists() || !Path::new("/usr/bin/ssh").exists() {
        return Some("there is no sshd or no ssh");
    }
    if !fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        return Some("it needs root");
    }
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    let locked = shadow.lines().any(|l| l.starts_with("root:!"));
    locked.then_some("root is locked here, and sshd logs everything for it")
}

fn key(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

fn start(max_auth_tries: u32) -> Daemon {
    let _ = fs::create_dir_all("/run/sshd");
    let name = format!("sshwhy-tries-{}-{max_auth_tries}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let host = key(&folder, "host");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let config = folder.join("config");
    fs::write(
        &config,
        format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nPidFile none\nUsePAM no\nPermitRootLogin yes\nLogLevel INFO\nKbdInteractiveAuthentication no\nAuthorizedKeysFile none\nMaxAuthTries {max_auth_tries}\n",
            host.display()
        ),
    )
    .unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    let child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let daemon = Daemon {
        child,
        folder,
        port,
    };
    let began = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "sshd does not start"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon
}

#[test]
fn refused_tries_end_the_connection_and_show_in_the_log_as_we_say() {
    if let Some(why) = missing() {
        eprintln!(
            "skipped: max_auth_tries::refused_tries_end_the_connection_and_show_in_the_log_as_we_say: {why}"
        );
        return;
    }
    // Passwords first, then keys.
    for (most, passwords, keys) in [
        (6, 0, 8),
        (3, 0, 4),
        (1, 0, 2),
        (6, 0, 2),
        (6, 3, 4),
        (6, 2, 2),
        (4, 2, 4),
    ] {
        let daemon = start(most);
        let ask = daemon.folder.join("ask");
        fs::write(&ask, "#!/bin/sh\necho wrong\n").unwrap();
        fs::set_permissions(&ask, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-p", &daemon.port.to_string()]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
        ] {
            ssh.args(["-o", option]);
        }
        let methods = if passwords > 0 {
            "password,publickey"
        } else {
            "publickey"
        };
        ssh.args(["-o", &format!("PreferredAuthentications={methods}")]);
        ssh.args([
            "-o",
            &format!("NumberOfPasswordPrompts={}", passwords.max(1)),
        ]);
        ssh.env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null());
        for n in 0..keys {
            ssh.arg("-i").arg(key(&daemon.folder, &format!("k{n}")));
        }
        let out = ssh.args(["root@127.0.0.1", "true"]).output().unwrap();
        assert!(!out.status.success());
        let mut offers = vec![Method::Password; passwords];
        offers.extend(vec![Method::Key; keys]);
        let predicted = tries(most, &offers);
        let ended = predicted.last().is_some_and(|t| t.last);
        let shown = predicted.iter().filter(|t| t.logged).count();
        // The last line of a connection is written before its end is seen here, or a little later.
        let began = Instant::now();
        let log = loop {
            let log = fs::read_to_string(daemon.folder.join("log")).unwrap();
            let over = [
                "Disconnecting authenticating user",
                "Connection closed by authenticating user",
            ];
            if over.iter().any(|o| log.contains(o)) {
                break log;
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "no end in the log: {log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        let failed = log
            .lines()
            .filter(|l| {
                l.contains("Failed publickey for root") || l.contains("Failed password for root")
            })
            .count();
        assert_eq!(
            failed, shown,
            "MaxAuthTries {most}, {passwords} passwords, {keys} keys: {log}"
        );
        assert_eq!(
            log.contains("Too many authentication failures"),
            ended,
            "MaxAuthTries {most}, {passwords} passwords, {keys} keys: {log}"
        );
    }
}
