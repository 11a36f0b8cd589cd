//! `trace collect`: what a node still knows of who may have logged in elsewhere, as one archive.
//!
//! Nothing on the node is changed; each part stands for itself, so that what is missing or refused costs only itself and is named
//! in the manifest. Bounded in time and in bytes. Values of environments and secrets in command lines are not in it
//! ([`sshwhy_core::trace::mask`]); containers' logs are copied as they are.

mod cluster;
mod engine;
mod files;
mod http;
mod logs;
mod node;
mod pack;

use logs::Window;
use pack::Pack;
use serde::Serialize;
use sshwhy_core::time::Time;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is wanted.
pub struct Order {
    pub since: Time,
    pub until: Time,
    pub now: Time,
    /// The archive; `-` for standard output.
    pub out: PathBuf,
    /// `/`, or another machine's file system.
    pub root: PathBuf,
    /// Sockets of engines instead of the usual ones.
    pub sockets: Vec<PathBuf>,
    /// Unpacked bytes in all, and of one log.
    pub most: u64,
    pub most_log: u64,
    pub most_files: usize,
    pub time_limit: Duration,
}

/// What came of it.
#[derive(Serialize)]
pub struct Manifest {
    pub sshwhy: &'static str,
    pub host: String,
    pub collected: Time,
    pub since: Time,
    pub until: Time,
    pub files: Vec<pack::Packed>,
    /// What was not had, and why.
    pub refused: Vec<pack::Refused>,
}

/// A container whose log is wanted.
#[derive(Clone, Debug, Default)]
struct Known {
    id: String,
    log_path: String,
    layers: Vec<String>,
    tty: bool,
    socket: Option<PathBuf>,
}

/// The node while it is looked at.
struct Node<'a> {
    root: PathBuf,
    /// This machine, now: programs may be asked.
    live: bool,
    sockets: Vec<PathBuf>,
    window: Window,
    now: Time,
    most_files: usize,
    pack: &'a mut Pack,
}

impl Node<'_> {
    /// The place of a path of that node.
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// What a program prints; `None`: it is not there, or the node is not this machine.
    fn run(
        &self,
        program: &str,
        arguments: &[&str],
        patience: Duration,
    ) -> Option<Result<String, String>> {
        if !self.live {
            return None;
        }
        let left = self
            .pack
            .deadline
            .saturating_duration_since(Instant::now())
            .min(patience);
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        match crate::client::run(program, &arguments, left) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => Some(Err(e.to_string())),
            Ok(ran) => Some(match ran.code {
                Some(0) => Ok(ran.out),
                Some(code) => Err(format!(
                    "exit code {code}: {}",
                    ran.err.trim().lines().next().unwrap_or_default()
                )),
                None => Err("no answer in time".to_owned()),
            }),
        }
    }
}

/// Entries of a folder in order; nothing where there is none.
fn file_list(dir: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    list.sort();
    list
}

/// Collects. An error only where the archive itself cannot be written.
pub fn run(order: &Order) -> Result<Manifest, String> {
    let to_stdout = order.out.as_os_str() == "-";
    let (out, dir): (Box<dyn Write>, PathBuf) = if to_stdout {
        (Box::new(io::stdout()), std::env::temp_dir())
    } else {
        let dir = order
            .out
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        (
            Box::new(io::BufWriter::new(pack::create(&order.out)?)),
            dir.to_owned(),
        )
    };
    let deadline = Instant::now() + order.time_limit;
    let mut pack = Pack::new(out, dir, order.most, order.most_log, deadline)?;
    let done = gather(order, &mut pack);
    let manifest = done.and_then(|host| {
        let manifest = Manifest {
            sshwhy: env!("CARGO_PKG_VERSION"),
            host,
            collected: order.now,
            since: order.since,
            until: order.until,
            files: std::mem::take(&mut pack.files),
            refused: std::mem::take(&mut pack.refused),
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(|e| e.to_string())?;
        pack.left = u64::MAX;
        pack.add("MANIFEST.json", "sshwhy trace collect", &text)?;
        pack.finish()?;
        Ok(manifest)
    });
    if manifest.is_err() && !to_stdout {
        // Half an archive would be taken for a whole one.
        let _ = std::fs::remove_file(&order.out);
    }
    manifest
}

/// What is small and lost first comes first; logs, which may be long, come last.
fn gather(order: &Order, pack: &mut Pack) -> Result<String, String> {
    let live = order.root == Path::new("/");
    let mut node = Node {
        root: order.root.clone(),
        live,
        sockets: order.sockets.clone(),
        window: Window {
            since: order.since,
            until: order.until,
        },
        now: order.now,
        most_files: order.most_files,
        pack,
    };
    let host = node::describe(&mut node)?;
    node::processes(&mut node)?;
    node::connections(&mut node)?;
    let mut known = engine::collect(&mut node)?;
    cluster::cri(&mut node, &mut known)?;
    cluster::kubernetes(&mut node)?;
    node::schedules(&mut node)?;
    files::changed(&mut node, &known)?;
    node::audit(&mut node)?;
    node::journal(&mut node)?;
    let share = known.len();
    for (i, c) in known.iter().enumerate() {
        // Logs of pods come from their own folder.
        if c.log_path.starts_with("/var/log/pods/") {
            continue;
        }
        if node.pack.late() {
            node.pack.refuse(
                "logs of containers",
                format!(
                    "the time given was over: {} of {share} were not read",
                    share - i
                ),
            );
            break;
        }
        engine::log(&mut node, c)?;
    }
    cluster::pod_logs(&mut node)?;
    Ok(host)
}
