//! Servers that are not OpenSSH: dropbear, TinySSH, paramiko, libssh.

use super::*;
use std::os::fd::OwnedFd;

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

/// The port that a server prints first.
fn port_said(child: &mut Child) -> u16 {
    let mut out = child.stdout.take().unwrap();
    let mut line = Vec::new();
    let mut byte = [0];
    while out.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap().trim().parse().unwrap()
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
    let port = port_said(&mut child);
    let _server = Running(child);
    let answer = home.probe(port, &[]);
    assert!(
        values(&answer, "ident.server")[0].contains("paramiko"),
        "{answer:#}"
    );
    assert_eq!(state(&answer, "auth"), "passed", "{answer:#}");
    assert_eq!(state(&answer, "session"), "passed", "{answer:#}");
}

#[test]
fn libssh_is_asked_too() {
    let name = "libssh_is_asked_too";
    let library = Path::new("/usr/include/libssh/server.h").exists();
    if !library || !has("cc") || !has("ssh-keygen") {
        return skipped(
            name,
            "a C compiler and libssh: Debian gcc, libc6-dev and libssh-dev",
        );
    }
    let home = Home::new("libssh");
    assert!(home.keygen("id", &["-t", "ed25519"]) && home.keygen("stranger", &["-t", "ed25519"]));
    assert!(home.keygen("host", &["-t", "ed25519"]));
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/probe_peers/libssh_server.c"
    );
    let built = Command::new("cc")
        .args(["-w", "-o", &home.path("server"), source, "-lssh"])
        .status();
    assert!(built.unwrap().success());
    let mut child = Command::new(home.path("server"))
        .args([home.path("host"), home.path("id.pub")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let port = port_said(&mut child);
    let _server = Running(child);
    let answer = home.probe(port, &[]);
    assert!(
        values(&answer, "ident.server")[0].contains("libssh"),
        "{answer:#}"
    );
    for gate in ["kex", "auth", "session"] {
        assert_eq!(state(&answer, gate), "passed", "{gate}: {answer:#}");
    }
    fs::copy(home.path("stranger"), home.path("id")).unwrap();
    fs::copy(home.path("stranger.pub"), home.path("id.pub")).unwrap();
    let answer = home.probe(port, &[]);
    assert_eq!(values(&answer, "auth.end"), ["denied"], "{answer:#}");
    assert_eq!(values(&answer, "auth.methods"), ["publickey"], "{answer:#}");
}
