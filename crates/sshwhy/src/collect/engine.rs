//! Containers of Docker and Podman, exited ones too: from the engine's socket, or from its files where it does not answer.

use super::http;
use super::logs::{self, Form};
use super::{Known, Node, file_list};
use serde_json::Value;
use sshwhy_core::time::Time;
use sshwhy_core::trace::container::parse;
use sshwhy_core::trace::digest::container_line;
use sshwhy_core::trace::mask;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Longest answer of an engine that is read whole.
const MOST: u64 = 256 << 20;
const MAX_CONTAINERS: usize = 20_000;

/// Where engines listen, of every user.
fn sockets() -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::env::var("DOCKER_HOST")
        .ok()
        .and_then(|h| h.strip_prefix("unix://").map(PathBuf::from))
        .into_iter()
        .collect();
    out.extend(
        [
            "/run/docker.sock",
            "/var/run/docker.sock",
            "/run/podman/podman.sock",
        ]
        .map(PathBuf::from),
    );
    for user in file_list(Path::new("/run/user")) {
        out.push(user.join("docker.sock"));
        out.push(user.join("podman/podman.sock"));
    }
    let mut seen = Vec::new();
    out.retain(|p| {
        let real = std::fs::canonicalize(p);
        let new = real.as_ref().is_ok_and(|r| !seen.contains(r));
        seen.extend(real);
        new
    });
    out
}

/// What the engines say; puts `containers.json` and the engines' events into the archive.
pub fn collect(node: &mut Node<'_>) -> Result<Vec<Known>, String> {
    let mut all: Vec<Value> = Vec::new();
    let mut known: Vec<Known> = Vec::new();
    let asked = if !node.sockets.is_empty() {
        node.sockets.clone()
    } else if node.live {
        sockets()
    } else {
        Vec::new()
    };
    if asked.is_empty() && node.live {
        node.pack
            .refuse("Docker and Podman", "no socket of an engine is there");
    }
    for socket in &asked {
        if let Err(e) = ask(node, socket, &mut all, &mut known) {
            node.pack.refuse(
                format!("the engine behind {}", socket.display()),
                e.to_string(),
            );
        }
        if let Err(e) = events(node, socket) {
            node.pack
                .refuse(format!("events of {}", socket.display()), e.to_string());
        }
    }
    on_disk(node, &mut all, &mut known);
    if !all.is_empty() {
        let text = serde_json::to_vec_pretty(&all).map_err(|e| e.to_string())?;
        node.pack
            .add("containers.json", "container engines", &text)?;
    }
    Ok(known)
}

fn ask(
    node: &mut Node<'_>,
    socket: &Path,
    all: &mut Vec<Value>,
    known: &mut Vec<Known>,
) -> io::Result<()> {
    let deadline = node.pack.deadline;
    let list = http::whole(socket, "/containers/json?all=true", deadline, MOST)?;
    let list: Vec<Value> = serde_json::from_slice(&list)?;
    for row in list.iter().take(MAX_CONTAINERS) {
        let Some(id) = row.get("Id").and_then(Value::as_str).filter(|id| is_id(id)) else {
            continue;
        };
        if node.pack.late() {
            node.pack.refuse("containers", "the time given was over");
            break;
        }
        let one = http::whole(socket, &format!("/containers/{id}/json"), deadline, MOST)
            .and_then(|b| Ok(serde_json::from_slice::<Value>(&b)?));
        // Removed in the meantime: the list's row is all there is.
        let mut one = match one {
            Ok(v) => v,
            Err(e) => {
                node.pack.refuse(format!("container {id}"), e.to_string());
                row.clone()
            }
        };
        mask::scrub(&mut one);
        take(&one, Some(socket), known);
        all.push(one);
    }
    Ok(())
}

fn is_id(id: &str) -> bool {
    (12..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit())
}

fn take(one: &Value, socket: Option<&Path>, known: &mut Vec<Known>) {
    for c in parse(one) {
        if known.iter().any(|k| k.id == c.id) {
            continue;
        }
        known.push(Known {
            tty: one
                .get("Config")
                .and_then(|c| c.get("Tty"))
                .and_then(Value::as_bool)
                .unwrap_or(false),
            socket: socket.map(Path::to_owned),
            id: c.id,
            log_path: c.log_path,
            layers: c.layers,
        });
    }
}

/// What began and ended in the window: containers that were removed since are named only here.
fn events(node: &mut Node<'_>, socket: &Path) -> io::Result<()> {
    let path = format!(
        "/events?since={}&until={}&filters=%7B%22type%22%3A%5B%22container%22%5D%7D",
        node.window.since.secs(),
        node.window.until.secs()
    );
    let body = http::get(socket, &path, node.pack.deadline)?;
    let mut out: Vec<u8> = Vec::new();
    for v in
        serde_json::Deserializer::from_reader(BufReader::new(body.take(MOST))).into_iter::<Value>()
    {
        // An answer that breaks off was good until there.
        let Ok(mut v) = v else { break };
        mask::scrub(&mut v);
        serde_json::to_writer(&mut out, &v)?;
        out.push(b'\n');
    }
    if out.is_empty() {
        return Ok(());
    }
    let n = node
        .pack
        .files
        .iter()
        .filter(|f| f.name.starts_with("events/"))
        .count();
    node.pack
        .add(
            &format!("events/engine-{n}.json"),
            &format!("{} /events", socket.display()),
            &out,
        )
        .map_err(io::Error::other)
}

/// Docker keeps `config.v2.json` of each container, Podman a list: both are there when the engine is not.
fn on_disk(node: &mut Node<'_>, all: &mut Vec<Value>, known: &mut Vec<Known>) {
    for dir in file_list(&node.at("/var/lib/docker/containers")) {
        let Some(id) = dir
            .file_name()
            .and_then(|n| n.to_str())
            .map(str::to_owned)
            .filter(|n| is_id(n))
        else {
            continue;
        };
        if known.iter().any(|k| k.id == id) {
            continue;
        }
        let config = std::fs::read(dir.join("config.v2.json"))
            .and_then(|b| Ok(serde_json::from_slice::<Value>(&b)?));
        match config {
            Ok(mut v) => {
                mask::scrub(&mut v);
                take(&v, None, known);
                all.push(v);
            }
            Err(e) => node
                .pack
                .refuse(format!("{}/config.v2.json", dir.display()), e.to_string()),
        }
        let log = dir.join(format!("{id}-json.log"));
        match known.iter_mut().find(|k| k.id == id) {
            Some(k) => k.log_path = log.display().to_string(),
            // The log outlived its description.
            None if log.exists() => known.push(Known {
                id,
                log_path: log.display().to_string(),
                ..Known::default()
            }),
            None => {}
        }
    }
    let podman = node.at("/var/lib/containers/storage/overlay-containers/containers.json");
    if let Ok(bytes) = std::fs::read(&podman)
        && let Ok(Value::Array(list)) = serde_json::from_slice(&bytes)
    {
        for row in list {
            let text = |key: &str| {
                row.get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let id = text("id");
            if !is_id(&id) || known.iter().any(|k| k.id == id) {
                continue;
            }
            let name = row
                .get("names")
                .and_then(|n| n.get(0))
                .and_then(Value::as_str)
                .unwrap_or_default();
            let log = node
                .at("/var/lib/containers/storage/overlay-containers")
                .join(&id)
                .join("userdata/ctr.log");
            known.push(Known {
                id: id.clone(),
                log_path: log.display().to_string(),
                ..Known::default()
            });
            all.push(serde_json::json!({
                "Id": id, "Name": name, "Created": text("created"), "LogPath": log,
                "Config": {"Image": text("image")},
            }));
        }
    }
}

/// A container's log in the window: from its file, or as the engine hands it out.
pub fn log(node: &mut Node<'_>, c: &Known) -> Result<(), String> {
    let path = PathBuf::from(&c.log_path);
    let path = if node.live || path.starts_with(&node.root) {
        path
    } else {
        node.at(&c.log_path)
    };
    let name = format!("logs/{}-json.log", c.id);
    let mut refused = "the engine names no log file".to_owned();
    if !c.log_path.is_empty() && path.is_absolute() {
        let mut spool = node.pack.spool()?;
        let time =
            |line: &[u8]| container_line(line.strip_suffix(b"\n").unwrap_or(line)).map(|(t, _)| t);
        let form = Form {
            time: &time,
            mask: &logs::as_it_is,
        };
        let files = logs::rotated(&path);
        if files.is_empty() {
            refused = format!("{} is not there", path.display());
        } else {
            match logs::copy(&files, node.window, &form, &mut spool, node.pack.deadline) {
                Ok(cut) => {
                    if spool.bytes > 0 {
                        return node.pack.add_spool(
                            &name,
                            &path.display().to_string(),
                            spool,
                            &cut,
                        );
                    }
                    return Ok(()); // it said nothing in the window
                }
                Err(e) => refused = e,
            }
        }
    }
    let Some(socket) = &c.socket else {
        node.pack.refuse(format!("log of {}", c.id), refused);
        return Ok(());
    };
    let mut spool = node.pack.spool()?;
    match from_engine(node, socket, c, &mut spool) {
        Ok(()) if spool.bytes > 0 => {
            node.pack
                .add_spool(&name, &format!("{} logs", socket.display()), spool, "")
        }
        Ok(()) => Ok(()),
        Err(e) if spool.bytes > 0 => node.pack.add_spool(
            &name,
            &format!("{} logs", socket.display()),
            spool,
            &e.to_string(),
        ),
        Err(e) => {
            node.pack.refuse(
                format!("log of {}", c.id),
                format!("{refused}; the engine: {e}"),
            );
            Ok(())
        }
    }
}

fn from_engine(node: &Node<'_>, socket: &Path, c: &Known, out: &mut dyn Write) -> io::Result<()> {
    let path = format!(
        "/containers/{}/logs?stdout=true&stderr=true&timestamps=true&since={}&until={}",
        c.id,
        node.window.since.secs(),
        node.window.until.secs() + 1
    );
    let mut body = BufReader::new(http::get(socket, &path, node.pack.deadline)?);
    if c.tty {
        let mut line = Vec::new();
        loop {
            line.clear();
            if body.by_ref().take(1 << 20).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            json_line(&line, "stdout", out)?;
        }
    }
    // Frames: one byte for the stream, three zeros, the length, big-endian.
    let mut rest: HashMap<u8, Vec<u8>> = HashMap::new();
    loop {
        let mut head = [0u8; 8];
        match body.read_exact(&mut head) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(e),
        }
        let [stream, 0, 0, 0, l0, l1, l2, l3] = head else {
            return Err(io::Error::other("a log that is in no frames"));
        };
        let length = u64::from(u32::from_be_bytes([l0, l1, l2, l3]));
        let pending = rest.entry(stream).or_default();
        if length > (16 << 20) || pending.len() > (16 << 20) {
            return Err(io::Error::other("a frame that is too long"));
        }
        body.by_ref().take(length).read_to_end(pending)?;
        while let Some(end) = memchr::memchr(b'\n', pending) {
            let line: Vec<u8> = pending.drain(..=end).collect();
            json_line(&line, if stream == 2 { "stderr" } else { "stdout" }, out)?;
        }
    }
    for (stream, line) in rest {
        if !line.is_empty() {
            json_line(&line, if stream == 2 { "stderr" } else { "stdout" }, out)?;
        }
    }
    Ok(())
}

/// `2023-03-29T00:00:15.123456789Z text` as the json-file driver writes it.
fn json_line(line: &[u8], stream: &str, out: &mut dyn Write) -> io::Result<()> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let Some((_, used)) = Time::parse_rfc3339(line) else {
        return Ok(());
    };
    let (time, text) = line.split_at(used);
    let text = String::from_utf8_lossy(text.strip_prefix(b" ").unwrap_or(text));
    let text = serde_json::to_string(&format!("{text}\n"))?;
    let time = String::from_utf8_lossy(time);
    writeln!(
        out,
        "{{\"log\":{text},\"stream\":\"{stream}\",\"time\":\"{time}\"}}"
    )
}
