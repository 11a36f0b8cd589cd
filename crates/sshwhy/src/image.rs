//! A container image without Docker: an OCI layout (a folder or a tar of it) or what `docker save` wrote, to a folder like the
//! root of a container, in which the rest of `doctor` looks around.
//!
//! Layers are joined in memory by their names, whiteouts included, before anything is written; what is written lies in a folder
//! of our own that nobody else can enter, and a file's parents must be folders of the image. Only what matters to SSH keeps its
//! content; what comes out of the decompressors is bounded in all.

use crate::evidence::{Archive, ArchiveLimits, EntryKind};
use crate::source::{Stream, unpacked};
use serde_json::Value;
use sshwhy_core::config::Memory;
use sshwhy_core::image::{Facts, Seen, configured};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Longest file of an image that is kept: sshd itself is below 2 MiB.
const MOST_FILE: u64 = 4 << 20;
/// Bytes kept in all, and names.
const MOST_KEPT: u64 = 256 << 20;
const MOST_NAMES: usize = 2_000_000;
/// Longest manifest or configuration.
const MOST_JSON: u64 = 4 << 20;

#[derive(Clone, Debug)]
struct Node {
    kind: EntryKind,
    mode: u32,
    uid: u32,
    gid: u32,
    /// Content, or what a link names.
    bytes: Vec<u8>,
}

/// One layer's names, in its order.
type Layer = Vec<(String, Node)>;

/// An image, laid out.
pub struct Image {
    folder: PathBuf,
    pub facts: Facts,
    /// What was read and what was passed over.
    pub notes: Vec<String>,
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Image {
    pub fn root(&self) -> &Path {
        &self.folder
    }
}

#[derive(Default)]
struct Shelf {
    json: HashMap<String, Value>,
    layers: HashMap<String, Layer>,
    kept: u64,
    names: usize,
    notes: Vec<String>,
}

/// Reads the image at that path; `-` is standard input.
pub fn read(path: &Path) -> Result<Image, String> {
    let mut shelf = Shelf::default();
    if path.is_dir() {
        shelf.folder(path, "", 0)?;
    } else {
        let stream: Stream = match path == Path::new("-") {
            true => Box::new(std::io::stdin()),
            false => Box::new(File::open(path).map_err(|e| format!("{}: {e}", path.display()))?),
        };
        shelf
            .archive(stream)
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let (config, layers) = shelf
        .manifest()
        .map_err(|e| format!("{}: {e}", path.display()))?;
    let config = config.clone();
    let mut tree: BTreeMap<String, Node> = BTreeMap::new();
    let mut baked: Vec<Seen> = Vec::new();
    for (n, name) in layers.iter().enumerate() {
        let Some(layer) = shelf.layers.get(name) else {
            shelf.notes.push(format!(
                "layer {name} is not there: the image is looked at without it"
            ));
            continue;
        };
        for (path, node) in layer {
            if is_host_key(path) && node.kind == EntryKind::File && !node.bytes.is_empty() {
                baked.push(Seen::new(
                    format!("/{path}"),
                    format!("in layer {} of {}", n + 1, layers.len()),
                ));
            }
        }
        join(&mut tree, layer);
    }
    let mut facts = facts(&config, &tree);
    facts.baked = baked;
    let folder = lay(&tree)?;
    let mut notes = shelf.notes;
    notes.push(format!("{} layers, {} names", layers.len(), tree.len()));
    Ok(Image {
        folder,
        facts,
        notes,
    })
}

fn is_host_key(path: &str) -> bool {
    path.strip_prefix("etc/ssh/ssh_host_")
        .is_some_and(|n| n.ends_with("_key") && !n.contains('/'))
}

/// Whether a file's content has to do with a login.
fn matters(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["etc/", "run/", "var/run/"]
        .iter()
        .any(|p| path.starts_with(p))
        || path.contains("/.ssh/")
        || matches!(path, "usr/sbin/sshd" | "usr/local/sbin/sshd" | "sbin/sshd")
        || name.ends_with(".sh")
        || name.contains("entrypoint")
        || name.contains("init")
        || !path.contains('/')
}

impl Shelf {
    fn folder(&mut self, root: &Path, below: &str, depth: usize) -> Result<(), String> {
        let here = root.join(below);
        for name in fs::read_dir(&here)
            .map_err(|e| format!("{}: {e}", here.display()))?
            .flatten()
        {
            let Ok(text) = name.file_name().into_string() else {
                continue;
            };
            let path = if below.is_empty() {
                text
            } else {
                format!("{below}/{text}")
            };
            let Ok(kind) = name.file_type() else { continue };
            if kind.is_dir() && depth < 4 {
                self.folder(root, &path, depth + 1)?;
            } else if kind.is_file() {
                let file = File::open(name.path()).map_err(|e| format!("{path}: {e}"))?;
                let mut first = [0u8; 1];
                let json = std::os::unix::fs::FileExt::read_at(&file, &mut first, 0).is_ok()
                    && matches!(first, [b'{' | b'[']);
                self.blob(&path, json, Box::new(file))?;
            }
        }
        Ok(())
    }

    fn archive(&mut self, stream: Stream) -> Result<(), String> {
        let mut archive = Archive::from_stream(unpacked(stream), limits())?;
        let mut links = Vec::new();
        while let Some(entry) = archive.next_of_all() {
            let entry = entry?;
            match entry.head.kind {
                EntryKind::File => {
                    let json = matches!(entry.peek(1).first(), Some(b'{' | b'['));
                    self.blob(&entry.name, json, entry.stream())?;
                }
                // Old docker save links a layer that is there twice.
                EntryKind::Link | EntryKind::HardLink => {
                    links.push((entry.name, entry.head.target))
                }
                EntryKind::Folder => {}
            }
        }
        for (name, target) in links {
            let parts: Vec<&str> = target.rsplit('/').take(2).collect();
            let target = parts.into_iter().rev().collect::<Vec<_>>().join("/");
            if let Some(layer) = self.layers.get(&target).cloned() {
                self.layers.insert(name, layer);
            }
        }
        Ok(())
    }

    fn blob(&mut self, name: &str, json: bool, stream: Stream) -> Result<(), String> {
        use std::io::Read;
        let is_blob =
            name.starts_with("blobs/") || name.ends_with("layer.tar") || name.ends_with(".tar");
        if json {
            let mut text = Vec::new();
            stream
                .take(MOST_JSON)
                .read_to_end(&mut text)
                .map_err(|e| format!("{name}: {e}"))?;
            if let Ok(value) = serde_json::from_slice(&text) {
                self.json.insert(name.to_owned(), value);
            }
        } else if is_blob {
            match self.layer(stream) {
                Ok(layer) => drop(self.layers.insert(name.to_owned(), layer)),
                Err(e) if e.contains("allowed") => return Err(format!("{name}: {e}")),
                // Signatures and the like lie among the blobs.
                Err(e) => self.notes.push(format!("{name} is no layer: {e}")),
            }
        }
        Ok(())
    }

    fn layer(&mut self, stream: Stream) -> Result<Layer, String> {
        let mut archive = Archive::from_stream(unpacked(stream), limits())?;
        let mut out = Vec::new();
        while let Some(entry) = archive.next_of_all() {
            let entry = entry?;
            self.names += 1;
            if self.names > MOST_NAMES {
                return Err("more names than are allowed".to_owned());
            }
            let path = entry.name.trim_end_matches('/').to_owned();
            let head = entry.head.clone();
            let bytes = match head.kind {
                EntryKind::File if matters(&path) && head.size <= MOST_FILE => {
                    use std::io::Read;
                    let mut bytes = Vec::new();
                    entry
                        .stream()
                        .take(MOST_FILE)
                        .read_to_end(&mut bytes)
                        .map_err(|e| e.to_string())?;
                    bytes
                }
                EntryKind::Link | EntryKind::HardLink => head.target.clone().into_bytes(),
                _ => Vec::new(),
            };
            self.kept += bytes.len() as u64;
            if self.kept > MOST_KEPT {
                return Err("more content than is allowed".to_owned());
            }
            out.push((
                path,
                Node {
                    kind: head.kind,
                    mode: head.mode,
                    uid: head.uid,
                    gid: head.gid,
                    bytes,
                },
            ));
        }
        if archive.refused > 0 {
            self.notes.push(format!(
                "{} names that lead out of the image were refused",
                archive.refused
            ));
        }
        Ok(out)
    }

    /// The configuration, and the layers' names in order.
    fn manifest(&self) -> Result<(&Value, Vec<String>), String> {
        let text = |v: &Value, k: &str| {
            v.get(k)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let blob = |digest: &str| format!("blobs/{}", digest.replacen(':', "/", 1));
        if let Some(first) = self.json.get("manifest.json").and_then(|m| m.get(0)) {
            let config = self
                .json
                .get(&text(first, "Config"))
                .ok_or("its configuration is missing")?;
            let layers = first
                .get("Layers")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            return Ok((
                config,
                layers
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
            ));
        }
        let mut at = self
            .json
            .get("index.json")
            .ok_or("no image: neither manifest.json nor index.json is in it")?;
        // An index of images for several machines names other indexes: the first one for amd64, or the first one.
        for _ in 0..4 {
            let Some(list) = at.get("manifests").and_then(Value::as_array) else {
                break;
            };
            let fits = |m: &&Value| {
                m.pointer("/platform/architecture").and_then(Value::as_str) == Some("amd64")
            };
            let chosen = list
                .iter()
                .find(fits)
                .or_else(|| list.first())
                .ok_or("its index names no image")?;
            at = self
                .json
                .get(&blob(&text(chosen, "digest")))
                .ok_or("the manifest that its index names is missing")?;
        }
        let digest = at
            .pointer("/config/digest")
            .and_then(Value::as_str)
            .ok_or("its manifest names no configuration")?;
        let config = self
            .json
            .get(&blob(digest))
            .ok_or("its configuration is missing")?;
        let layers = at
            .get("layers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Ok((config, layers.map(|l| blob(&text(l, "digest"))).collect()))
    }
}

fn limits() -> ArchiveLimits {
    ArchiveLimits {
        bytes: 64 << 30,
        entries: MOST_NAMES as u64,
    }
}

/// A layer over those below it: whiteouts first, as the format wants it.
fn join(tree: &mut BTreeMap<String, Node>, layer: &Layer) {
    let clear = |tree: &mut BTreeMap<String, Node>, path: &str, itself: bool| {
        let below = format!("{path}/");
        let inside: Vec<String> = tree
            .range(below.clone()..)
            .take_while(|(k, _)| k.starts_with(&below))
            .map(|(k, _)| k.clone())
            .collect();
        inside.iter().for_each(|k| drop(tree.remove(k)));
        if itself {
            tree.remove(path);
        }
    };
    for (path, _) in layer {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == ".wh..wh..opq" {
            match folder.is_empty() {
                true => tree.clear(),
                false => clear(tree, folder, false),
            }
        } else if let Some(name) = name.strip_prefix(".wh.") {
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            clear(tree, &path, true);
        }
    }
    for (path, node) in layer {
        let name = path.rsplit('/').next().unwrap_or_default();
        if path.is_empty() || path == "." || name.starts_with(".wh.") {
            continue;
        }
        // What was a folder and is none any more takes what was in it along.
        if node.kind != EntryKind::Folder {
            clear(tree, path, false);
        }
        let node = match node.kind {
            EntryKind::HardLink => {
                let target = String::from_utf8_lossy(&node.bytes).into_owned();
                match tree.get(target.trim_start_matches("./").trim_start_matches('/')) {
                    Some(n) => n.clone(),
                    None => continue,
                }
            }
            _ => node.clone(),
        };
        tree.insert(path.clone(), node);
    }
}

/// The tree as files below a folder of our own, with owners and modes beside them.
fn lay(tree: &BTreeMap<String, Node>) -> Result<PathBuf, String> {
    let mut n = 0u32;
    let folder = loop {
        let made = std::env::temp_dir().join(format!("sshwhy-image-{}-{n}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&made) {
            Ok(()) => break made,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && n < 1000 => {
                n += 1;
            }
            Err(e) => return Err(format!("{}: {e}", made.display())),
        }
    };
    let told = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut stats = String::new();
    // In order of names a folder comes before what is in it.
    for (path, node) in tree {
        let parent = path.rsplit_once('/').map_or("", |(p, _)| p);
        let in_folder = |p: &str| {
            let mut at = String::new();
            p.split('/').filter(|x| !x.is_empty()).all(|part| {
                if !at.is_empty() {
                    at.push('/');
                }
                at.push_str(part);
                tree.get(&at).is_none_or(|n| n.kind == EntryKind::Folder)
            })
        };
        let clean = path
            .split('/')
            .all(|p| !p.is_empty() && p != "." && p != "..");
        if !clean || !in_folder(parent) || path.starts_with(".snapshot") || path.contains('\n') {
            continue;
        }
        let real = folder.join(path);
        match node.kind {
            EntryKind::Folder => fs::create_dir_all(&real).map_err(told)?,
            kind => {
                fs::create_dir_all(folder.join(parent)).map_err(told)?;
                if kind == EntryKind::Link {
                    let target = String::from_utf8_lossy(&node.bytes).into_owned();
                    if target.is_empty() || target.contains('\0') {
                        continue;
                    }
                    std::os::unix::fs::symlink(target, &real).map_err(told)?;
                } else {
                    fs::write(&real, &node.bytes).map_err(told)?;
                }
            }
        }
        stats.push_str(&format!(
            "{:o} {} {} /{path}\n",
            node.mode, node.uid, node.gid
        ));
    }
    fs::create_dir_all(folder.join(".snapshot")).map_err(told)?;
    fs::write(folder.join(".snapshot/stat"), stats).map_err(told)?;
    Ok(folder)
}

/// What the configuration and the tree say about a start.
fn facts(config: &Value, tree: &BTreeMap<String, Node>) -> Facts {
    let text = |path: &str| -> Option<String> {
        let node = tree
            .get(path.trim_start_matches('/'))
            .filter(|n| n.kind == EntryKind::File)?;
        Some(String::from_utf8_lossy(&node.bytes).into_owned())
    };
    let run = config.get("config").unwrap_or(&Value::Null);
    let words = |key: &str| -> Vec<String> {
        let list = run.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (entry, command) = (words("Entrypoint"), words("Cmd"));
    let all: Vec<String> = entry.iter().chain(&command).cloned().collect();
    let mut start_text = all.join(" ");
    for word in &all {
        let paths = [
            word.trim_start_matches('/').to_owned(),
            format!("usr/local/bin/{word}"),
            format!("usr/bin/{word}"),
        ];
        let script = paths
            .iter()
            .find_map(|p| text(p))
            .filter(|t| t.starts_with("#!"));
        if let Some(script) = script {
            // "$@" of an entrypoint is the command.
            start_text.push('\n');
            start_text.push_str(&script.replace("\"$@\"", &command.join(" ")));
        }
    }
    let sshd = ["usr/sbin/sshd", "usr/local/sbin/sshd", "sbin/sshd"]
        .iter()
        .find(|p| tree.contains_key(**p));
    let memory = tree
        .iter()
        .filter(|(p, n)| p.starts_with("etc/ssh/sshd_config") && n.kind == EntryKind::File)
        .fold(Memory::default(), |m, (p, n)| {
            m.with(&format!("/{p}"), &String::from_utf8_lossy(&n.bytes))
        });
    let (ports, pam) = match memory.0.contains_key("/etc/ssh/sshd_config") {
        true => configured(&memory),
        false => (vec![22], false),
    };
    let loginuid = text("etc/pam.d/sshd").filter(|_| pam).and_then(|t| {
        let line = t.lines().enumerate().find(|(_, l)| {
            let w: Vec<&str> = l.split_whitespace().collect();
            matches!(w.as_slice(), ["session", "required" | "requisite", m, ..] if m.ends_with("pam_loginuid.so"))
        });
        line.map(|(i, l)| Seen::new(format!("/etc/pam.d/sshd:{}", i + 1), l.trim()))
    });
    let debian = tree.contains_key("etc/debian_version");
    let exposed = run.get("ExposedPorts").and_then(Value::as_object);
    let user = run
        .get("User")
        .and_then(Value::as_str)
        .filter(|u| !u.is_empty());
    Facts {
        sshd: Some(sshd.map(|p| Seen::new(format!("/{p}"), ""))),
        baked: Vec::new(),
        has_keys: Some(
            tree.iter()
                .any(|(p, n)| is_host_key(p) && n.kind == EntryKind::File),
        ),
        privsep: debian.then(|| tree.contains_key("run/sshd") || tree.contains_key("var/run/sshd")),
        start: vec![Seen::new(
            "the image's configuration",
            format!("entrypoint {entry:?}, command {command:?}"),
        )],
        has_init: start_text.contains("/sbin/init") || start_text.contains("systemd"),
        start_text,
        exposed: exposed
            .into_iter()
            .flatten()
            .map(|(k, _)| k.clone())
            .collect(),
        ports,
        user: user.map(|u| Seen::new("the image's configuration", u)),
        loginuid,
        passwords: history(config),
    }
}

/// Steps of the build that set a password; the password itself is not repeated.
fn history(config: &Value) -> Vec<Seen> {
    let steps = config
        .get("history")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    steps
        .enumerate()
        .filter(|(_, s)| {
            let by = s
                .get("created_by")
                .and_then(Value::as_str)
                .unwrap_or_default();
            by.contains("chpasswd") || by.contains("passwd --stdin")
        })
        .map(|(i, _)| Seen::new(format!("step {} of the build", i + 1), "sets a password"))
        .collect()
}
