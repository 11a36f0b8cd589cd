//! The canary: a login that fails, made over loopback with this machine's own ssh, has to come through to the guard.

use super::config::Config;
use super::control::{Request, ask};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long it took; why it did not come.
pub fn run(config: &Config, port: u16, wait: Duration) -> Result<Result<Duration, String>, String> {
    // Asks first: without a guard there is nothing to wait for.
    ask(&config.socket, &Request::Status)?;
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let user = format!("sshwhy-canary-{:08x}", nanos % 0xffff_ffff);
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let begin = Instant::now();
    let said = Command::new("ssh")
        .args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
        ])
        .args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ])
        .args(["-o", "ConnectTimeout=5", "-o", "IdentityAgent=none", "-p"])
        .arg(port.to_string())
        .arg(format!("{user}@{ip}"))
        .arg("true")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| {
            format!("cannot run ssh, which makes the failing login: {e} (install openssh-client)")
        })?;
    let words = String::from_utf8_lossy(&said.stderr);
    let refused = ["Connection refused", "timed out", "No route"];
    if let Some(line) = words
        .lines()
        .find(|l| refused.iter().any(|r| l.contains(r)))
    {
        return Err(format!("sshd does not answer at {ip} port {port}: {line}"));
    }
    while begin.elapsed() < wait {
        let request = Request::Seen {
            ip,
            user: user.clone(),
        };
        if ask(&config.socket, &request)?["seen"] == true {
            let request = Request::Canary {
                seen: true,
                what: String::new(),
            };
            ask(&config.socket, &request)?;
            return Ok(Ok(begin.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let what = format!(
        "a login as {user} over loopback, port {port}, did not come through in {} s",
        wait.as_secs()
    );
    let request = Request::Canary {
        seen: false,
        what: what.clone(),
    };
    ask(&config.socket, &request)?;
    Ok(Err(what))
}
