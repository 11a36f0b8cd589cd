//! MaxStartups as we predict it against a real sshd on loopback: half-open connections are held, and new ones counted that it
//! turns away. The two must agree within the binomial error. 460 connections at most stand or come.
//!
//! No clock decides: after each connection that was let in the test waits until sshd has no more children than are held, so that
//! a busy machine makes it slow and not wrong.
//!
//! Without an sshd, or where it does not start, it does not run, and says so by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::config::simulate::{Load, MaxStartups, settle};
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: MaxStartups = MaxStartups {
    start: 10,
    rate: 30,
    full: 60,
};

struct Daemon {
    child: Child,
    folder: PathBuf,
    addr: SocketAddrV4,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn start() -> Result<Daemon, String> {
    let sshd = std::env::var("SSHWHY_TEST_SSHD").unwrap_or_else(|_| "/usr/sbin/sshd".to_owned());
    let sshd = sshd.as_str();
    if !Path::new(sshd).exists() {
        return Err(format!("there is no {sshd}"));
    }
    let _ = fs::create_dir_all("/run/sshd");
    let folder = std::env::temp_dir().join(format!("sshwhy-startups-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let key = folder.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .map_err(|e| e.to_string())?;
    assert!(made.success());
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nUsePAM no\nPidFile none\nLoginGraceTime 600\nMaxStartups {}:{}:{}\n",
        key.display(),
        LIMIT.start,
        LIMIT.rate,
        LIMIT.full
    );
    let path = folder.join("config");
    // Newer ones would count the loopback address as hostile; older ones do not know the word.
    for more in ["PerSourcePenalties no\n", ""] {
        let text = format!("{config}{more}");
        fs::write(&path, &text).unwrap();
        let sound = Command::new(sshd)
            .args(["-t", "-f"])
            .arg(&path)
            .output()
            .unwrap();
        if sound.status.success() {
            config = text;
            break;
        }
    }
    fs::write(&path, &config).unwrap();
    let child = Command::new(sshd)
        .args(["-D", "-e", "-f"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let daemon = Daemon {
        child,
        folder,
        addr,
    };
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if TcpStream::connect(addr).is_ok() {
            daemon.settles(0)?;
            return Ok(daemon);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("sshd does not start here".to_owned())
}

impl Daemon {
    /// Waits until sshd has that many connections.
    fn settles(&self, connections: usize) -> Result<(), String> {
        let pid = self.child.id();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
            if text.split_ascii_whitespace().count() == connections {
                return Ok(());
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "sshd keeps {text:?} for {connections} connections"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A connection that sshd greets; `None`: it was turned away.
    fn admitted(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut first = [0u8; 4];
        match stream.read_exact(&mut first) {
            Ok(()) => (&first == b"SSH-").then_some(stream),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("sshd neither greets nor turns away within a minute")
            }
            // It hung up.
            Err(_) => None,
        }
    }

    /// How many of `tries` are turned away while `want` connections stand half open.
    fn measured(&self, held: &mut Vec<TcpStream>, want: usize, tries: u32) -> u32 {
        let mut asked = 0;
        while held.len() < want {
            held.extend(self.admitted());
            asked += 1;
            assert!(asked < 2000, "sshd takes no {want} connections");
        }
        let mut away = 0;
        for _ in 0..tries {
            self.settles(held.len()).unwrap();
            match self.admitted() {
                Some(stream) => drop(stream),
                None => away += 1,
            }
        }
        away
    }
}

#[test]
fn the_predicted_share_is_turned_away() {
    let daemon = match start() {
        Ok(d) => d,
        Err(why) => {
            eprintln!("skipped: max_startups::the_predicted_share_is_turned_away: {why}");
            return;
        }
    };
    let mut held = Vec::new();
    for (want, tries) in [(9, 20), (10, 120), (25, 120), (45, 120), (60, 20)] {
        let load = Load {
            per_second: 0.0,
            hold: 0.0,
            held: want as u32,
        };
        let predicted = settle(LIMIT, load).drop;
        let away = daemon.measured(&mut held, want, tries);
        let measured = f64::from(away) / f64::from(tries);
        let error = (predicted * (1.0 - predicted) / f64::from(tries)).sqrt();
        eprintln!(
            "{want} held: predicted {:.1} %, measured {:.1} % of {tries}, standard error {:.1} %",
            predicted * 100.0,
            measured * 100.0,
            error * 100.0
        );
        // Four standard errors: one run in 16,000 fails by chance. Where nothing is left to chance, nothing may differ.
        assert!(
            (measured - predicted).abs() <= 4.0 * error,
            "{want} held: {measured} instead of {predicted}"
        );
    }
}
