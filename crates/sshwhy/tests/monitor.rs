//! The monitor against real sshd's: what they log at each depth, and what the monitor does for people.
//!
//! sshd writes by syslog(3), so each runs in a mount namespace of its own whose /dev/log is the test's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const TOOL: &str = env!("CARGO_BIN_EXE_sshwhy");

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path =
            std::env::temp_dir().join(format!("sshwhy-monitor-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

fn has(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn keygen(path: &str) {
    let _ = std::fs::remove_file(path);
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", path])
        .status()
        .unwrap();
    assert!(status.success());
}

struct Sshd {
    child: Child,
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Sshd {
    /// `None` where this machine cannot do it.
    fn start(dir: &Dir, sshd: &str, port: u16) -> Option<Sshd> {
        if !Path::new(sshd).exists() || !has("unshare") || !is_root() {
            return None;
        }
        std::fs::create_dir_all("/run/sshd").unwrap();
        let d = dir.0.display();
        if !dir.0.join("host_key").exists() {
            keygen(&dir.file("host_key"));
        }
        let _ = std::fs::create_dir_all(dir.0.join("dev/pts"));
        let log = dir.file("dev/log");
        let _ = std::fs::remove_file(&log);
        let socket = UnixDatagram::bind(&log).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = socket.recv(&mut buffer) {
                let line = String::from_utf8_lossy(&buffer[..n])
                    .trim_end_matches(['\0', '\n'])
                    .to_owned();
                into.lock().unwrap().push(line);
            }
        });
        std::fs::write(
            dir.0.join("sshd_config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/host_key\nLogLevel INFO\nPidFile none\nUsePAM no\n\
                 AuthorizedKeysFile {d}/authorized_keys\nStrictModes no\n"
            ),
        )
        .unwrap();
        let script = format!(
            "set -e; for n in null zero random urandom; do touch {d}/dev/$n; mount --bind /dev/$n {d}/dev/$n; done; \
             mount --rbind {d}/dev /dev; exec {sshd} -D -f {d}/sshd_config"
        );
        let child = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", &script])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Sshd { child, port, lines };
        for _ in 0..200 {
            if server.child.try_wait().unwrap().is_some() {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                std::thread::sleep(Duration::from_millis(300));
                server.lines.lock().unwrap().clear();
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tool(args: &[&str]) -> Output {
    Command::new(TOOL)
        .arg("monitor")
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As a syslog daemon writes it; sshd-session under the tag that older filters know, which is the stricter reading.
fn as_file(lines: &[String]) -> String {
    let mut out = String::new();
    for line in lines {
        let line = line.split_once('>').map_or(line.as_str(), |l| l.1);
        let line = line
            .replace("sshd-session[", "sshd[")
            .replace("sshd-auth[", "sshd[");
        let (time, rest) = line.split_at(16);
        out.push_str(&format!("{time}host {rest}\n"));
    }
    out
}

/// What fail2ban's own filter counts, in its strictest mode.
fn counted(dir: &Dir, log: &str) -> usize {
    let file = dir.file("auth.log");
    std::fs::write(&file, log).unwrap();
    let out = Command::new("fail2ban-regex")
        .args(["-o", "ip", &file, "sshd[mode=aggressive]"])
        .output()
        .unwrap();
    assert!(
        out.status.code().is_some_and(|c| c < 2),
        "{}",
        text(&out.stderr)
    );
    text(&out.stdout)
        .lines()
        .filter(|l| !l.trim().is_empty())
        .count()
}

const SSHDS: [&str; 3] = [
    "/usr/sbin/sshd",
    "/opt/openssh-8.4/sbin/sshd",
    "/opt/openssh-10.0/sbin/sshd",
];

/// Rounds at every depth, each depth with a server of its own and all at the same time.
fn rounds_leave_a_clean_log(sshd: &str, name: &str, pace: Duration) {
    if !has("fail2ban-regex") {
        eprintln!("skipped: rounds against {sshd}: no fail2ban-regex");
        return;
    }
    std::thread::scope(|scope| {
        for (depth, ours) in [
            ("ping", None),
            ("half-open", None),
            ("tcp", Some("sshwhy_monitor")),
            ("ident", Some("sshwhy_monitor")),
            ("kex", Some("sshwhy-monitor")),
            ("hostkey", Some("sshwhy-monitor")),
            ("auth", Some("sshwhy monitor")),
            ("session", Some("sshwhy monitor")),
        ] {
            scope.spawn(move || rounds(sshd, &format!("{name}-{depth}"), depth, ours, pace));
        }
    });
}

fn rounds(sshd: &str, name: &str, depth: &str, ours: Option<&str>, pace: Duration) {
    const ROUNDS: usize = 50;
    let dir = Dir::new(name);
    keygen(&dir.file("key"));
    std::fs::copy(dir.file("key.pub"), dir.file("authorized_keys")).unwrap();
    let Some(server) = Sshd::start(&dir, sshd, free_port()) else {
        eprintln!("skipped: {depth} against {sshd}: it is not here, or no namespace can be made");
        return;
    };
    let host = format!("root@127.0.0.1:{}", server.port);
    for round in 0..ROUNDS {
        let start = Instant::now();
        let key = dir.file("key");
        let out = tool(&["--once", "--depth", depth, "--identity", &key, &host]);
        assert!(
            out.status.success(),
            "{sshd} {depth} round {round}: {}{}",
            text(&out.stdout),
            text(&out.stderr)
        );
        std::thread::sleep(pace.saturating_sub(start.elapsed()));
    }
    std::thread::sleep(Duration::from_millis(700));
    let log = as_file(&server.log());
    assert!(!log.contains("error:"), "{sshd} {depth}:\n{log}");
    assert!(!log.contains("fatal:"), "{sshd} {depth}:\n{log}");
    assert_eq!(counted(&dir, &log), 0, "{sshd} {depth}:\n{log}");
    match ours {
        Some(ours) => {
            let named = log.lines().filter(|l| l.contains(ours)).count();
            assert_eq!(named, ROUNDS, "{sshd} {depth}:\n{log}");
        }
        None => assert!(log.is_empty(), "{sshd} {depth}:\n{log}"),
    }
}

#[test]
fn fifty_rounds_at_each_depth_leave_the_log_of_9_2_clean() {
    rounds_leave_a_clean_log(SSHDS[0], "r92", Duration::ZERO);
}

#[test]
fn fifty_rounds_at_each_depth_leave_the_log_of_8_4_clean() {
    rounds_leave_a_clean_log(SSHDS[1], "r84", Duration::ZERO);
}

/// Its penalties are a second for each connection without a login; the monitor itself keeps two seconds apart.
#[test]
fn fifty_rounds_at_each_depth_leave_the_log_of_10_0_clean() {
    rounds_leave_a_clean_log(SSHDS[2], "r100", Duration::from_millis(1100));
}

#[test]
fn the_counter_counts_an_ordinary_port_check() {
    let dir = Dir::new("counter");
    let Some(server) = Sshd::start(&dir, SSHDS[0], free_port()).filter(|_| has("fail2ban-regex"))
    else {
        eprintln!(
            "skipped: the_counter_counts_an_ordinary_port_check: needs root, sshd and fail2ban-regex"
        );
        return;
    };
    for _ in 0..3 {
        drop(TcpStream::connect(("127.0.0.1", server.port)).unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(counted(&dir, &as_file(&server.log())) >= 3);
}

/// A daemon that is ended with the test.
struct Daemon {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Daemon {
    fn start(config: &str) -> Daemon {
        let mut child = Command::new(TOOL)
            .args(["monitor", "--config", config])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        for stream in [
            Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>,
            Box::new(child.stderr.take().unwrap()),
        ] {
            let into = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut said = into.lock().unwrap();
                    said.push_str(&line);
                    said.push('\n');
                }
            });
        }
        Daemon { child, said }
    }

    fn wait_for(&self, what: &str) -> String {
        let end = Instant::now() + Duration::from_secs(40);
        while Instant::now() < end {
            let said = self.said.lock().unwrap().clone();
            if said.contains(what) {
                return said;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("never said {what:?}:\n{}", self.said.lock().unwrap());
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn metrics(&self) -> String {
        let said = self.wait_for("metrics at http://");
        let at = said.rsplit("metrics at http://").next().unwrap();
        let at = at.split("/metrics").next().unwrap().to_owned();
        let mut s = TcpStream::connect(at).unwrap();
        s.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        s.read_to_string(&mut page).unwrap();
        page
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Greets as an SSH server, and closes: enough for the depth `ident`. Ends with the test.
fn greeter(port: u16, up: Arc<std::sync::atomic::AtomicBool>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            if up.load(std::sync::atomic::Ordering::SeqCst) {
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 test\r\n");
                let mut line = [0; 256];
                let _ = stream.read(&mut line);
            }
        }
    });
    port
}

/// Takes webhooks, and hands over their bodies.
fn hook() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let (mut length, mut head) = (0, String::new());
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_ok() {
                into.lock()
                    .unwrap()
                    .push(format!("{head}\n{}", text(&body)));
            }
            let _ = reader
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    (port, got)
}

/// Takes mail, and hands over what came.
fn mailbox() -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let _ = reader.get_mut().write_all(b"220 sink ESMTP\r\n");
            let mut data = false;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
                into.lock().unwrap().push_str(&line);
                let answer: &[u8] = match line.trim_end() {
                    "." if data => {
                        data = false;
                        b"250 ok\r\n"
                    }
                    _ if data => continue,
                    "DATA" => {
                        data = true;
                        b"354 go on\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 ok\r\n",
                };
                let _ = reader.get_mut().write_all(answer);
            }
        }
    });
    (port, got)
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(40);
    while !done() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn down_and_up_reach_people_by_webhook_mail_and_push() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let dir = Dir::new("news");
    let up = Arc::new(AtomicBool::new(true));
    let port = greeter(0, Arc::clone(&up));
    let (hook_port, hooks) = hook();
    let (push_port, pushes) = hook();
    let (mail_port, mail) = mailbox();
    let config = dir.file("m.toml");
    std::fs::write(
        &config,
        format!(
            "state = \"{}\"\nmetrics = \"127.0.0.1:0\"\n[defaults]\ninterval = \"1s\"\nretries = 1\ndepth = \"ident\"\ntimeout = \"2s\"\n\
             [[endpoint]]\nname = \"we\\\"b1\"\nhost = \"127.0.0.1\"\nport = {port}\npush = \"http://127.0.0.1:{push_port}/api/push/T?status=up\"\n\
             [[notify.webhook]]\nurl = \"http://127.0.0.1:{hook_port}/\"\nbody = '{{\"text\": \"{{state}} {{headline}}\"}}'\nlimit.batch = \"0s\"\n\
             [[notify.email]]\nserver = \"127.0.0.1\"\nport = {mail_port}\ntls = \"none\"\nfrom = \"m@host.example\"\nto = [\"admin@host.example\"]\nlimit.batch = \"0s\"\n",
            dir.file("state.db")
        ),
    )
    .unwrap();
    let daemon = Daemon::start(&config);
    wait_until("a push", || {
        pushes
            .lock()
            .unwrap()
            .iter()
            .any(|p| p.contains("status=up"))
    });
    let page = daemon.metrics();
    assert!(
        page.contains("probe_success{target=\"we\\\"b1\",depth=\"ident\"} 1"),
        "{page}"
    );
    assert!(
        page.contains("probe_duration_seconds{target=\"we\\\"b1\",phase=\"ident\"}"),
        "{page}"
    );
    up.store(false, Ordering::SeqCst);
    daemon.wait_for(" down ");
    wait_until("the webhook", || !hooks.lock().unwrap().is_empty());
    let first = hooks.lock().unwrap()[0].clone();
    let body = first.split("\n\n").last().unwrap().trim();
    let body = &body[body.find('{').unwrap()..];
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    let said = value["text"].as_str().unwrap();
    assert!(said.starts_with("down we\"b1: 127.0.0.1:"), "{said}");
    wait_until("the mail", || mail.lock().unwrap().contains("\n.\r\n"));
    assert!(
        mail.lock()
            .unwrap()
            .contains("RCPT TO:<admin@host.example>")
    );
    wait_until("a push that it is down", || {
        pushes
            .lock()
            .unwrap()
            .iter()
            .any(|p| p.contains("status=down"))
    });
    up.store(true, Ordering::SeqCst);
    daemon.wait_for(" up ");
    wait_until("the second webhook", || hooks.lock().unwrap().len() >= 2);
    assert!(hooks.lock().unwrap()[1].contains("answers again"));
}

#[test]
fn a_bad_file_is_refused_and_the_old_one_stays() {
    let dir = Dir::new("reload");
    let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let port = greeter(0, up);
    let config = dir.file("m.toml");
    let good = format!(
        "state = \"{}\"\nmetrics = \"127.0.0.1:0\"\n[defaults]\ninterval = \"1s\"\ndepth = \"ident\"\n[[endpoint]]\nname = \"one\"\nhost = \"127.0.0.1\"\nport = {port}\n",
        dir.file("state.db")
    );
    std::fs::write(&config, &good).unwrap();
    let daemon = Daemon::start(&config);
    wait_until("a check", || {
        daemon.metrics().contains("probe_success{target=\"one\"")
    });
    std::fs::write(&config, good.replace("port = ", "prot = ")).unwrap();
    daemon.signal("-HUP");
    let said = daemon.wait_for("nothing was changed");
    assert!(
        said.contains(&format!("{config}:9:1: unknown field `prot`")),
        "{said}"
    );
    assert!(daemon.metrics().contains("sshwhy_monitor_reload_failed 1"));
    let checks = |page: &str| -> f64 {
        let line = page
            .lines()
            .find(|l| l.starts_with("sshwhy_monitor_checks_total{target=\"one\""));
        line.map_or(0.0, |l| l.rsplit(' ').next().unwrap().parse().unwrap())
    };
    let before = checks(&daemon.metrics());
    wait_until("it goes on", || checks(&daemon.metrics()) > before);
    std::fs::write(
        &config,
        format!("{good}[[endpoint]]\nname = \"two\"\nhost = \"127.0.0.1\"\nport = {port}\n"),
    )
    .unwrap();
    daemon.signal("-HUP");
    daemon.wait_for("watching 2 endpoints");
    wait_until("the second one", || {
        daemon.metrics().contains("probe_success{target=\"two\"")
    });
    assert!(daemon.metrics().contains("sshwhy_monitor_reload_failed 0"));
    let out = tool(&["--config", &dir.file("none.toml"), "--check"]);
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn history_and_memory_survive_kill_9() {
    let dir = Dir::new("kill");
    let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let port = greeter(0, up);
    let config = dir.file("m.toml");
    let state = dir.file("deep/state.db");
    std::fs::write(
        &config,
        format!("state = \"{state}\"\nmetrics = \"127.0.0.1:0\"\n[defaults]\ninterval = \"1s\"\ndepth = \"ident\"\n[[endpoint]]\nname = \"one\"\nhost = \"127.0.0.1\"\nport = {port}\n"),
    )
    .unwrap();
    let count = || -> i64 {
        let Ok(c) = rusqlite::Connection::open(&state) else {
            return 0;
        };
        c.query_row("SELECT count(*) FROM result WHERE good = 1", [], |r| {
            r.get(0)
        })
        .unwrap_or(0)
    };
    let mut daemon = Daemon::start(&config);
    wait_until("three results", || count() >= 3);
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let before = count();
    assert!(before >= 3);
    let daemon = Daemon::start(&config);
    wait_until("more", || count() > before);
    // What it remembers: the ident of before.
    let c = rusqlite::Connection::open(&state).unwrap();
    let track: String = c
        .query_row("SELECT track FROM endpoint WHERE name = 'one'", [], |r| {
            r.get(0)
        })
        .unwrap();
    assert!(track.contains("OpenSSH_9.2p1 test"), "{track}");
    let doubled: i64 = c
        .query_row(
            "SELECT count(*) FROM (SELECT at FROM result GROUP BY at, endpoint HAVING count(*) > 1)",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(doubled, 0);
    daemon.signal("-TERM");
}

#[test]
fn a_host_key_that_changes_is_an_alert() {
    let dir = Dir::new("key");
    let port = free_port();
    let Some(server) = Sshd::start(&dir, SSHDS[0], port) else {
        eprintln!("skipped: a_host_key_that_changes_is_an_alert: needs root, sshd and unshare");
        return;
    };
    let config = dir.file("m.toml");
    let (hook_port, hooks) = hook();
    std::fs::write(
        &config,
        format!(
            "state = \"{}\"\nmetrics = \"127.0.0.1:0\"\n[defaults]\ninterval = \"1s\"\n[[endpoint]]\nname = \"one\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             [[notify.webhook]]\nurl = \"http://127.0.0.1:{hook_port}/\"\nlimit.batch = \"0s\"\n",
            dir.file("state.db")
        ),
    )
    .unwrap();
    let daemon = Daemon::start(&config);
    wait_until("a check", || {
        daemon.metrics().contains("host_key=\"SHA256:")
    });
    drop(server);
    keygen(&dir.file("host_key"));
    let Some(_server) = Sshd::start(&dir, SSHDS[0], port) else {
        panic!("the second sshd did not start");
    };
    let said = daemon.wait_for(" changed critical one shows ssh-ed25519 SHA256:");
    assert!(said.contains("instead of SHA256:"), "{said}");
    wait_until("the webhook", || {
        hooks
            .lock()
            .unwrap()
            .iter()
            .any(|h| h.contains("\"slug\":\"host-key-changed\""))
    });
    assert!(
        daemon
            .metrics()
            .contains("probe_ssh_host_key_changed{target=\"one\",depth=\"hostkey\"} 1")
    );
    // It was changed on purpose: one that runs forgets the old one, and takes the new one for its own.
    let out = tool(&["--config", &config, "--forget", "one"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    daemon.wait_for("forgot what was known of one");
    daemon.wait_for(" cleared ");
    assert!(
        daemon
            .metrics()
            .contains("probe_ssh_host_key_changed{target=\"one\",depth=\"hostkey\"} 0")
    );
    let out = tool(&["--config", &config, "--forget", "no-such"]);
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn a_plugin_says_one_line_and_its_number() {
    let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let port = greeter(0, up);
    let host = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| {
        let out = tool(args);
        (out.status.code().unwrap(), text(&out.stdout))
    };
    let (code, said) = run(&["--nagios", "--depth", "ident", &host]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with(&format!("SSH OK - {host}: ident in OpenSSH_9.2p1 test, ")),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1);
    let data = said.split_once(" | ").unwrap().1;
    assert!(
        data.starts_with("time=0.") && data.contains(";;;0;10 "),
        "{data}"
    );
    assert!(
        data.contains(" ident=0.") && data.contains(" tcp=0."),
        "{data}"
    );
    let (code, said) = run(&[
        "--nagios",
        "--depth",
        "ident",
        "--warning",
        "0.000001",
        &host,
    ]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("time=0.") && said.contains("s;0.000001;;0;10"),
        "{said}"
    );
    let (code, said) = run(&[
        "--nagios",
        "--depth",
        "ident",
        "--critical",
        "0.000001",
        &host,
    ]);
    assert_eq!(code, 2, "{said}");
    let (code, said) = run(&[
        "--nagios",
        "--depth",
        "ident",
        "--expect-ident",
        "SSH-2.0-dropbear*",
        &host,
    ]);
    assert_eq!(code, 1, "{said}");
    let closed = format!("127.0.0.1:{}", free_port());
    let (code, said) = run(&["--nagios", "--depth", "ident", &closed]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("SSH CRITICAL - ") && said.contains("tcp: ") && said.contains("refused"),
        "{said}"
    );
    let (code, said) = run(&["--nagios", "--depth", "auth", &host]);
    assert_eq!(code, 3, "{said}");
    assert!(said.starts_with("SSH UNKNOWN - "), "{said}");
    let (code, said) = run(&["--nagios", "--depth", "ident", &host, &closed]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("1 of 2 endpoints are well"), "{said}");
    assert_eq!(said.lines().count(), 3, "{said}");
}

/// Peers that are no SSH servers cost their time and no more.
#[test]
fn whatever_answers_it_ends_in_time() {
    let serve = |what: fn(TcpStream)| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || what(stream));
            }
        });
        format!("127.0.0.1:{port}")
    };
    let silent = serve(|s| {
        std::thread::sleep(Duration::from_secs(30));
        drop(s);
    });
    let http = serve(|mut s| {
        let _ = s.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let drip = serve(|mut s| {
        while s.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let flood = serve(|mut s| while s.write_all(&[b'a'; 65_536]).is_ok() {});
    let broken = serve(|mut s| {
        let _ = s.write_all(b"SSH-2.0-x\r\n");
        let _ = s.write_all(&[0xff; 64]);
        std::thread::sleep(Duration::from_secs(30));
    });
    let barred = serve(|mut s| {
        let _ = s.write_all(b"Not allowed at this time\r\n");
    });
    for (host, word) in [
        (&silent, "no end of ident"),
        (&http, "http speaks there"),
        (&drip, "no end of ident"),
        (&flood, "not SSH"),
        (&broken, "no SSH packet"),
        (&barred, "Not allowed at this time"),
    ] {
        let start = Instant::now();
        let out = tool(&["--once", "--timeout", "3s", host]);
        let said = text(&out.stdout);
        assert!(said.contains(word), "{word}: {said}{}", text(&out.stderr));
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(start.elapsed() < Duration::from_secs(20), "{word}");
    }
}
