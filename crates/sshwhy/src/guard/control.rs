//! The Unix socket over which `guard status`, `guard test` and `bans why` ask the running guard: one line of JSON each way.

use super::message::Peer;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// How it fares: findings, counts, logs.
    Status,
    /// What is known of one address.
    Why { ip: IpAddr },
    /// Failures that were counted for one address of this machine, for the canary.
    Seen { ip: IpAddr, user: String },
    /// The canary's end.
    Canary { seen: bool, what: String },
}

/// Asks the guard that listens there.
pub fn ask(socket: &Path, request: &Request) -> Result<serde_json::Value, String> {
    let name = socket.display();
    let stream = UnixStream::connect(socket).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            format!("no guard is running here (nobody listens at {name}): start it with `systemctl start sshwhy-guard` or `sshwhy guard`")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{name}: permission denied; ask as root")
        }
        _ => format!("{name}: {e}"),
    })?;
    let said = |e: std::io::Error| format!("the guard at {name} does not answer: {e}");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .map_err(said)?;
    let mut line = serde_json::to_vec(request).map_err(|e| e.to_string())?;
    line.push(b'\n');
    (&stream).write_all(&line).map_err(said)?;
    let mut answer = String::new();
    BufReader::new(&stream)
        .read_line(&mut answer)
        .map_err(said)?;
    let value: serde_json::Value = serde_json::from_str(&answer)
        .map_err(|e| format!("the guard at {name} answers what is no JSON: {e}"))?;
    match value.get("error").and_then(|e| e.as_str()) {
        Some(e) => Err(e.to_owned()),
        None => Ok(value),
    }
}

/// Listens; a socket that was left behind is replaced, one that somebody answers is not.
pub fn listen(socket: &Path) -> Result<UnixListener, String> {
    let name = socket.display();
    if UnixStream::connect(socket).is_ok() {
        return Err(format!("another guard is running: it answers at {name}"));
    }
    let _ = std::fs::remove_file(socket);
    let listener =
        UnixListener::bind(socket).map_err(|e| format!("cannot listen at {name}: {e}"))?;
    let private = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(socket, private)
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(|e| format!("{name}: {e}"))?;
    Ok(listener)
}

/// Those who are asking at the moment.
#[derive(Default)]
pub struct Askers(Vec<Peer>);

/// More than this wait in the system's queue.
const AT_ONCE: usize = 16;

impl Askers {
    pub fn peers(&self) -> &[Peer] {
        &self.0
    }

    pub fn accept(&mut self, listener: &UnixListener) {
        while self.0.len() < AT_ONCE
            && let Ok((stream, _)) = listener.accept()
            && let Ok(peer) = Peer::new(stream)
        {
            self.0.push(peer);
        }
    }

    pub fn answer(&mut self, mut to: impl FnMut(Request) -> serde_json::Value) {
        for peer in &mut self.0 {
            for request in peer.receive::<Request>() {
                // Somebody who does not read his answer shall not stop us.
                let _ = peer.stream.set_write_timeout(Some(Duration::from_secs(1)));
                if peer.send(&to(request)).is_err() {
                    peer.closed = true;
                }
            }
        }
        self.0.retain(|p| !p.closed);
    }
}
