//! A real sshd, a real attacker and a real nft, in network namespaces of their own: who attacks is out, who is in stays in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SSHWHY: &str = env!("CARGO_BIN_EXE_sshwhy");

fn missing() -> Option<&'static str> {
    let root =
        fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let found = |p: &str| {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .iter()
            .any(|f| Path::new(f).join(p).exists())
    };
    if !root {
        return Some("root");
    }
    if let Some(p) = [
        "sshd",
        "ssh",
        "ssh-keygen",
        "nft",
        "ip",
        "unshare",
        "nsenter",
    ]
    .into_iter()
    .find(|p| !found(p))
    {
        return Some(p);
    }
    let made = Command::new("unshare").args(["-nm", "true"]).output();
    (!made.is_ok_and(|o| o.status.success())).then_some("a system that makes namespaces")
}

/// A process that is ended with the test.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    dir: PathBuf,
    server: Held,
    client: Held,
    guard: Option<Held>,
    sshd: Option<Held>,
}

fn space() -> Held {
    let mut holder = Command::new("unshare")
        .args(["-n", "sh", "-c", "echo ready; read -r _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0u8; 6];
    let out = holder.stdout.as_mut().unwrap();
    out.read_exact(&mut ready).unwrap();
    Held(holder)
}

fn within(space: &Held, program: &str) -> Command {
    let mut c = Command::new("nsenter");
    c.arg(format!("--net=/proc/{}/ns/net", space.0.id()));
    c.args(["--", program]);
    c
}

fn sh(space: &Held, script: &str) {
    let out = within(space, "sh").args(["-ec", script]).output().unwrap();
    assert!(
        out.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "waited for {what} in vain"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl World {
    fn new() -> World {
        let dir = std::env::temp_dir().join(format!("sshwhy-live-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for folder in ["dev", "log", "state"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        let (server, client) = (space(), space());
        sh(
            &server,
            &format!(
                "ip link set lo up; ip link add v0 type veth peer name v1 netns {}; ip addr add 192.0.2.1/24 dev v0; ip link set v0 up",
                client.0.id()
            ),
        );
        sh(
            &client,
            "ip link set lo up; for a in 7 8 9; do ip addr add 192.0.2.$a/24 dev v1; done; ip link set v1 up",
        );
        let mut w = World {
            dir,
            server,
            client,
            guard: None,
            sshd: None,
        };
        w.start_sshd();
        w.start_guard();
        w
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// With the system's own syslog call, taken up here and written as rsyslog does.
    fn start_sshd(&mut self) {
        let socket = UnixDatagram::bind(self.path("dev/log")).unwrap();
        let log = self.path("log/auth.log");
        fs::write(&log, "").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n) = socket.recv(&mut buffer) {
                let line = String::from_utf8_lossy(&buffer[..n]).into_owned();
                // <38>Nov 27 18:00:00 sshd[7]: …
                let Some((_, said)) = line.split_once('>') else {
                    continue;
                };
                let said = said.get(16..).unwrap_or_default();
                let said = said.trim_end_matches(['\0', '\n']);
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap();
                let now = sshwhy_core::time::Time(i64::try_from(now.as_micros()).unwrap());
                let file = fs::File::options().append(true).open(&log);
                let _ = file.and_then(|mut f| writeln!(f, "{now} web1 {said}"));
            }
        });
        for key in ["host", "owner", "stranger"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &self.path(key)])
                .status();
            assert!(made.unwrap().success());
        }
        fs::copy(self.path("owner.pub"), self.path("authorized")).unwrap();
        let d = self.dir.display();
        let config = format!(
            "Port 22\nListenAddress 192.0.2.1\nHostKey {d}/host\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
             AuthorizedKeysFile {d}/authorized\nMaxStartups 100\n"
        );
        fs::write(self.path("sshd_config"), &config).unwrap();
        // Newer ones would keep the attacker out by themselves.
        fs::write(
            self.path("sshd_new"),
            format!("{config}PerSourcePenalties no\n"),
        )
        .unwrap();
        let script = format!(
            "set -e; mkdir -p /run/sshd; for n in null zero random urandom ptmx tty; do touch {d}/dev/$n; mount --bind /dev/$n {d}/dev/$n; done; \
             mkdir -p {d}/dev/pts; mount --bind /dev/pts {d}/dev/pts; mount --rbind {d}/dev /dev; \
             C={d}/sshd_config; $(command -v sshd) -t -f {d}/sshd_new 2>/dev/null && C={d}/sshd_new; exec $(command -v sshd) -D -f $C"
        );
        let child = within(&self.server, "unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", &script])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.sshd = Some(Held(child));
        until("sshd", || {
            self.ssh("192.0.2.9", "owner", "root", &["true"])
                .output()
                .unwrap()
                .status
                .success()
        });
    }

    fn start_guard(&mut self) {
        let d = self.dir.display();
        let text = format!(
            "state = \"{d}/state/sshwhy/guard.db\"\nsocket = \"{d}/state/sshwhy/guard.sock\"\npanic-file = \"{d}/state/sshwhy/panic\"\n\
             tz = \"UTC\"\n[log]\nfiles = [\"{d}/log/auth.log\"]\njournal = \"no\"\n[firewall]\nbackend = \"nftables\"\n"
        );
        fs::write(self.path("guard.toml"), text).unwrap();
        let out = fs::File::create(self.path("out")).unwrap();
        let child = within(&self.server, SSHWHY)
            .args(["guard", "--config", &self.path("guard.toml")])
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        self.guard = Some(Held(child));
        until("guard", || {
            self.status().status.code().is_some_and(|c| c < 2)
        });
    }

    fn status(&self) -> Output {
        within(&self.server, SSHWHY)
            .args(["guard", "--config", &self.path("guard.toml")])
            .args(["status", "--format", "json"])
            .output()
            .unwrap()
    }

    fn bans(&self, args: &[&str]) -> String {
        let out = within(&self.server, SSHWHY)
            .arg("bans")
            .args(args)
            .args(["--config", &self.path("guard.toml")])
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
    }

    fn ssh(&self, from: &str, key: &str, user: &str, command: &[&str]) -> Command {
        self.log_in(within(&self.client, "ssh"), from, key, user, command)
    }

    /// `c` begins with ssh.
    fn log_in(
        &self,
        mut c: Command,
        from: &str,
        key: &str,
        user: &str,
        command: &[&str],
    ) -> Command {
        c.args(["-F", "/dev/null", "-b", from, "-i", &self.path(key)]);
        c.args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]);
        c.args(["-o", "IdentityAgent=none", "-o", "StrictHostKeyChecking=no"]);
        c.args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "ConnectTimeout=3",
        ]);
        c.arg(format!("{user}@192.0.2.1"));
        c.args(command).stdin(Stdio::null());
        c
    }

    /// What ssh says of a login that fails.
    fn refused(&self, from: &str, user: &str) -> String {
        // Whom a ban meets in the midst of a connection waits for ever.
        let mut c = within(&self.client, "timeout");
        c.args(["15", "ssh"]);
        let out = self
            .log_in(c, from, "stranger", user, &["true"])
            .output()
            .unwrap();
        assert!(!out.status.success());
        String::from_utf8_lossy(&out.stderr).into_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(guard) = &self.guard {
            let children = format!("/proc/{0}/task/{0}/children", guard.0.id());
            let children = fs::read_to_string(children).unwrap_or_default();
            let _ = Command::new("kill")
                .arg("-9")
                .args(children.split_whitespace())
                .stderr(Stdio::null())
                .status();
        }
        self.guard = None;
        self.sshd = None;
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn who_attacks_a_real_sshd_is_out_and_who_is_in_stays_in() {
    if let Some(what) = missing() {
        eprintln!("skipped: who_attacks_a_real_sshd_is_out_and_who_is_in_stays_in needs {what}");
        return;
    }
    let w = World::new();
    // Somebody at work, from another address, and somebody who mistypes twice.
    let mut session = Held(
        w.ssh(
            "192.0.2.8",
            "owner",
            "root",
            &["while :; do echo tick; sleep 0.1; done"],
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap(),
    );
    let mut ticks = session.0.stdout.take().unwrap();
    let mut tick = [0u8; 5];
    ticks.read_exact(&mut tick).unwrap();
    for _ in 0..2 {
        assert!(
            w.refused("192.0.2.8", "nobody-here")
                .contains("Permission denied")
        );
    }
    // The attacker, until nothing answers any more.
    let mut tries = 0;
    until("the attacker's silence", || {
        tries += 1;
        let said = w.refused("192.0.2.7", &format!("admin{tries}"));
        assert!(tries < 30, "still answered: {said}\n{}", w.bans(&["list"]));
        said.contains("timed out")
    });
    assert!(tries > 4, "out after {tries} tries");
    let why = w.bans(&["why", "192.0.2.7"]);
    assert!(why.contains("192.0.2.7 has been kept out since"), "{why}");
    let check = w.bans(&["check", "192.0.2.7"]);
    assert!(check.contains("192.0.2.7: proven by"), "{check}");
    // The session that was there goes on, and its owner gets in again.
    for _ in 0..10 {
        ticks.read_exact(&mut tick).unwrap();
        assert_eq!(&tick, b"tick\n");
    }
    let again = w.ssh("192.0.2.8", "owner", "root", &["true"]).status();
    assert!(again.unwrap().success());
    assert!(w.bans(&["why", "192.0.2.8"]).contains("is not banned"));
    // An administrator who came with his key is not banned, whatever comes from there.
    for n in 0..8 {
        w.refused("192.0.2.8", &format!("typo{n}"));
    }
    until("the slips to be spared", || {
        let out = w.status();
        let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        status["spared"].as_u64() > Some(0)
    });
    let again = w.ssh("192.0.2.8", "owner", "root", &["true"]).status();
    assert!(again.unwrap().success());
    // Lifted, he is answered again.
    w.bans(&["remove", "192.0.2.7"]);
    until("an answer", || {
        w.refused("192.0.2.7", "admin")
            .contains("Permission denied")
    });
}
