//! The machine that is looked at: this one, a folder that holds another one's file system, or a snapshot for tests.
//!
//! Everything goes through here: reading is bounded and stays below the root whatever links say; programs run on the live
//! machine only, with a time limit, and are asked for facts only.

use sshwhy_core::server::modes::{Acl, Kind, Stat};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest file read whole.
const MOST: u64 = 8 << 20;
/// Longest answer of a program: ten thousand firewall rules are a few megabytes of JSON.
const MOST_OUTPUT: u64 = 64 << 20;
const MAX_LINKS: usize = 40;
/// Where a snapshot keeps what a folder cannot: owners and modes, and what programs answered.
const SNAPSHOT: &str = ".snapshot";

/// What a program answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

pub struct Machine {
    root: PathBuf,
    live: bool,
    /// `path → (mode, uid, gid)` of a snapshot.
    stats: BTreeMap<String, (u32, u32, u32)>,
    answers: RefCell<HashMap<String, Option<Answer>>>,
    /// Programs that were started and not yet asked for what they said.
    begun: RefCell<HashMap<String, JoinHandle<Option<Answer>>>>,
}

impl Machine {
    pub fn here() -> Machine {
        Machine {
            root: PathBuf::from("/"),
            live: true,
            stats: BTreeMap::new(),
            answers: RefCell::default(),
            begun: RefCell::default(),
        }
    }

    /// Another machine's file system. A folder `.snapshot` in it overrides owners and modes (`stat`: `MODE UID GID PATH`
    /// a line) and holds what programs answered (`run/NAME`).
    pub fn at(root: &Path) -> Machine {
        let stats = fs::read_to_string(root.join(SNAPSHOT).join("stat")).unwrap_or_default();
        let parse = |line: &str| {
            let mut w = line.splitn(4, ' ');
            let mode = u32::from_str_radix(w.next()?, 8).ok()?;
            let (uid, gid) = (w.next()?.parse().ok()?, w.next()?.parse().ok()?);
            Some((w.next()?.to_owned(), (mode, uid, gid)))
        };
        Machine {
            root: root.to_owned(),
            live: false,
            stats: stats.lines().filter_map(parse).collect(),
            answers: RefCell::default(),
            begun: RefCell::default(),
        }
    }

    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether processes, sockets and programs' answers are known: this machine, or a snapshot of one that ran.
    pub fn is_running(&self) -> bool {
        self.live || self.root.join("proc/net/tcp").exists()
    }

    /// The real place of a path of that machine, links followed below the root; `None` where it leads nowhere.
    fn real(&self, path: &str) -> Option<PathBuf> {
        if self.live {
            return Some(PathBuf::from(path));
        }
        let mut links = 0;
        let mut left: Vec<String> = path
            .split('/')
            .rev()
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect();
        let mut done: Vec<String> = Vec::new();
        while let Some(part) = left.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => {}
            }
            let here = self.root.join(done.join("/")).join(&part);
            match fs::read_link(&here) {
                Ok(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.is_absolute() {
                        done.clear();
                    }
                    let target = target.to_string_lossy().into_owned();
                    left.extend(
                        target
                            .split('/')
                            .rev()
                            .filter(|p| !p.is_empty())
                            .map(str::to_owned),
                    );
                }
                Err(_) => done.push(part),
            }
        }
        Some(self.root.join(done.join("/")))
    }

    /// Where the path really is on that machine (`realpath`).
    pub fn canonical(&self, path: &str) -> String {
        if self.live {
            return fs::canonicalize(path)
                .map_or_else(|_| path.to_owned(), |p| p.to_string_lossy().into_owned());
        }
        let real = self.real(path);
        real.as_deref()
            .and_then(|r| r.strip_prefix(&self.root).ok())
            .map_or_else(|| path.to_owned(), |r| format!("/{}", r.to_string_lossy()))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.real(path).is_some_and(|p| p.exists())
    }

    /// The link's own target, unresolved.
    pub fn link(&self, path: &str) -> Option<String> {
        let (folder, name) = path.rsplit_once('/')?;
        let folder = self.real(if folder.is_empty() { "/" } else { folder })?;
        let target = fs::read_link(folder.join(name)).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    /// The file's text, bytes that are no UTF-8 replaced. Only regular files and /proc.
    pub fn text(&self, path: &str) -> Result<String, String> {
        let real = self.real(path).ok_or_else(|| "too many links".to_owned())?;
        let meta = fs::metadata(&real).map_err(|e| plain(&e))?;
        if !meta.is_file() {
            return Err("not a regular file".to_owned());
        }
        let mut bytes = Vec::new();
        fs::File::open(&real)
            .and_then(|f| f.take(MOST).read_to_end(&mut bytes))
            .map_err(|e| plain(&e))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last `most` bytes of a file, from the beginning of a line.
    pub fn tail(&self, path: &str, most: u64) -> Result<Vec<u8>, String> {
        let real = self.real(path).ok_or_else(|| "too many links".to_owned())?;
        let mut file = fs::File::open(&real).map_err(|e| plain(&e))?;
        let meta = file.metadata().map_err(|e| plain(&e))?;
        if !meta.is_file() {
            return Err("not a regular file".to_owned());
        }
        let from = meta.len().saturating_sub(most);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))
            .and_then(|_| file.take(most).read_to_end(&mut bytes))
            .map_err(|e| plain(&e))?;
        if from > 0 {
            let cut = bytes
                .iter()
                .position(|b| *b == b'\n')
                .map_or(bytes.len(), |i| i + 1);
            bytes.drain(..cut);
        }
        Ok(bytes)
    }

    /// The file's bytes, for the few files that are no text.
    pub fn raw(&self, path: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = fs::File::open(self.real(path)?).ok()?;
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The first bytes of a regular file.
    fn head(&self, path: &str, most: u64) -> Option<Vec<u8>> {
        let real = self.real(path)?;
        if !fs::metadata(&real).ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        fs::File::open(real)
            .ok()?
            .take(most)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(bytes)
    }

    /// Why the program cannot be started, where that can be told without starting it.
    pub fn cannot_run(&self, path: &str) -> Option<String> {
        if !self.exists(path) {
            return Some(format!("{path} does not exist"));
        }
        if !self.is_executable(path) {
            return Some(format!("{path} is not executable"));
        }
        if self.is_noexec(path) {
            return Some(format!(
                "{path} lies on a file system that is mounted noexec: nothing there can be started"
            ));
        }
        let head = self.head(path, HEAD)?;
        if let Some(machine) = self.foreign(&head) {
            return Some(format!(
                "{path} is a program for another kind of machine ({machine}): Exec format error"
            ));
        }
        let wanted = interpreter(&head)?;
        if wanted.starts_with('/') && !self.exists(&wanted) {
            let ends = match wanted.ends_with('\r') {
                true => " (the file has the line ends of DOS)",
                false => "",
            };
            let wanted = wanted.trim_end_matches('\r');
            return Some(format!(
                "{path} wants {wanted} to run it, which does not exist{ends}"
            ));
        }
        None
    }

    /// Whether the path lies on a file system from which nothing may be started.
    fn is_noexec(&self, path: &str) -> bool {
        self.is_mounted(path, rustix::fs::StatVfsMountFlags::NOEXEC)
    }

    /// Whether nothing can be written there, as this process sees it.
    pub fn is_read_only(&self, path: &str) -> bool {
        self.is_mounted(path, rustix::fs::StatVfsMountFlags::RDONLY)
    }

    /// Whether the path's file system is mounted with that flag; what is no live machine has no mounts.
    fn is_mounted(&self, path: &str, flag: rustix::fs::StatVfsMountFlags) -> bool {
        let real = self.real(path).filter(|_| self.live);
        real.and_then(|p| rustix::fs::statvfs(p).ok())
            .is_some_and(|s| s.f_flag.contains(flag))
    }

    /// The kind of machine of an ELF file, where this one's own shell is of another, and nothing is set up to run that kind.
    fn foreign(&self, head: &[u8]) -> Option<String> {
        let own = elf_machine(&self.head("/bin/sh", HEAD)?)?;
        let its = elf_machine(head).filter(|m| *m != own)?;
        // x86-64 runs what was built for i386, and 64-bit ARM mostly what was built for ARM.
        if matches!((own, its), (62, 3) | (183, 40)) {
            return None;
        }
        let handlers = self.names("/proc/sys/fs/binfmt_misc");
        let emulated = handlers
            .iter()
            .any(|h| !matches!(h.as_str(), "register" | "status"));
        (!emulated).then(|| match its {
            3 => "i386".to_owned(),
            8 => "MIPS".to_owned(),
            20 | 21 => "PowerPC".to_owned(),
            22 => "s390x".to_owned(),
            40 => "ARM".to_owned(),
            62 => "x86-64".to_owned(),
            183 => "64-bit ARM".to_owned(),
            243 => "RISC-V".to_owned(),
            n => format!("ELF machine {n}"),
        })
    }

    /// An extended attribute, links followed.
    pub fn attribute(&self, path: &str, name: &str) -> Option<Vec<u8>> {
        let mut bytes = [0u8; 4096];
        let real = self.real(path)?;
        let len = rustix::fs::getxattr(real.as_path(), name, &mut bytes).ok()?;
        bytes.get(..len).map(<[u8]>::to_vec)
    }

    /// Whose it is.
    pub fn owner(&self, path: &str) -> Option<u32> {
        Some(fs::metadata(self.real(path)?).ok()?.uid())
    }

    /// When the file was last written, in seconds of Unix time.
    pub fn written(&self, path: &str) -> Option<i64> {
        Some(fs::metadata(self.real(path)?).ok()?.mtime())
    }

    /// The same with the parts of a second.
    pub fn written_at(&self, path: &str) -> Option<f64> {
        let meta = fs::metadata(self.real(path)?).ok()?;
        Some(meta.mtime() as f64 + meta.mtime_nsec() as f64 / 1e9)
    }

    /// Whether a program of that name stands where people's shells look for one.
    pub fn in_path(&self, name: &str) -> bool {
        FOLDERS
            .iter()
            .any(|folder| self.is_executable(&format!("{folder}/{name}")))
    }

    /// Device and number of what lies there: whether two paths lead to the same.
    pub fn identity(&self, path: &str) -> Option<(u64, u64)> {
        let meta = fs::metadata(self.real(path)?).ok()?;
        Some((meta.dev(), meta.ino()))
    }

    pub fn stat(&self, path: &str) -> Option<Stat> {
        let meta = fs::metadata(self.real(path)?).ok()?;
        let kind = match meta.file_type() {
            t if t.is_file() => Kind::File,
            t if t.is_dir() => Kind::Dir,
            _ => Kind::Other,
        };
        let (mode, uid, gid) = match self.stats.get(path) {
            Some(s) => *s,
            // What a snapshot does not say is root's and closed to others.
            None if !self.live && self.root.join(SNAPSHOT).exists() => {
                (if kind == Kind::Dir { 0o755 } else { 0o644 }, 0, 0)
            }
            None => (meta.mode() & 0o7777, meta.uid(), meta.gid()),
        };
        Some(Stat {
            path: path.to_owned(),
            mode,
            uid,
            gid,
            kind,
            acl: self
                .attribute(path, "system.posix_acl_access")
                .and_then(|b| Acl::parse(&b)),
        })
    }

    pub fn is_executable(&self, path: &str) -> bool {
        let Some(real) = self.real(path) else {
            return false;
        };
        let Ok(meta) = fs::metadata(real) else {
            return false;
        };
        meta.is_file()
            && (meta.mode() & 0o111 != 0 || self.stats.get(path).is_some_and(|s| s.0 & 0o111 != 0))
    }

    /// Names in a folder, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Some(real) = self.real(path) else {
            return Vec::new();
        };
        let mut out: Vec<String> = fs::read_dir(real)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        out.sort();
        out
    }

    /// Files and folders of a pattern, with wildcards in any part, as glob(3) finds them.
    pub fn glob(&self, pattern: &str) -> Vec<String> {
        let mut found = vec![String::new()];
        for part in pattern.split('/').filter(|p| !p.is_empty()) {
            let wild = part.contains(['*', '?', '[', '\\']);
            let mut next = Vec::new();
            for base in &found {
                if !wild {
                    next.push(format!("{base}/{part}"));
                    continue;
                }
                let names = self.names(if base.is_empty() { "/" } else { base });
                let fits = |n: &&String| sshwhy_core::config::pattern::glob(n, part);
                next.extend(names.iter().filter(fits).map(|n| format!("{base}/{n}")));
            }
            found = next;
        }
        found.retain(|p| self.exists(p));
        found
    }

    /// Starts a program whose answer [`Machine::ask`] will want under the same name: a large rule set is listed while the
    /// log is read.
    pub fn begin(&self, name: &str, program: &str, args: &[&str]) {
        if !self.live || self.answers.borrow().contains_key(name) {
            return;
        }
        let program = program.to_owned();
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let started = std::thread::spawn(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            run(&program, &args)
        });
        self.begun.borrow_mut().insert(name.to_owned(), started);
    }

    /// Asks a program; `None` where it is not there, does not end in time, or this is no live machine and the snapshot has
    /// no answer under `name`.
    pub fn ask(&self, name: &str, program: &str, args: &[&str]) -> Option<Answer> {
        if let Some(known) = self.answers.borrow().get(name) {
            return known.clone();
        }
        let begun = self.begun.borrow_mut().remove(name);
        let answer = if let Some(begun) = begun {
            begun.join().ok().flatten()
        } else if self.live {
            run(program, args)
        } else {
            let file = self.root.join(SNAPSHOT).join("run").join(name);
            fs::read_to_string(file).ok().map(|out| Answer {
                ok: !out.starts_with("FAILED\n"),
                err: out.strip_prefix("FAILED\n").unwrap_or_default().to_owned(),
                out,
            })
        };
        self.answers
            .borrow_mut()
            .insert(name.to_owned(), answer.clone());
        answer
    }
}

/// e_machine of an ELF file (elf(5)), least byte first or last as the file says.
fn elf_machine(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"\x7fELF")?;
    let bytes = [*head.get(18)?, *head.get(19)?];
    match rest.get(1)? {
        1 => Some(u16::from_le_bytes(bytes)),
        2 => Some(u16::from_be_bytes(bytes)),
        _ => None,
    }
}

/// How much of a program is read to see what runs it.
const HEAD: u64 = 4096;

/// What the kernel starts in the program's stead: the first word after `#!`, or an ELF file's dynamic loader (elf(5)
/// PT_INTERP, 64 bits, least byte first).
fn interpreter(head: &[u8]) -> Option<String> {
    if let Some(rest) = head.strip_prefix(b"#!") {
        let line = rest.split(|b| *b == b'\n').next()?;
        let line = String::from_utf8_lossy(line).into_owned();
        return line
            .trim_start_matches([' ', '\t'])
            .split([' ', '\t'])
            .next()
            .map(str::to_owned);
    }
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |at: usize, len: usize| -> Option<usize> {
        let bytes = head.get(at..at.checked_add(len)?)?;
        bytes.iter().rev().try_fold(0usize, |n, b| {
            n.checked_mul(256)?.checked_add(usize::from(*b))
        })
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let part = (0..count)
        .map(|i| table.checked_add(i.checked_mul(size)?))
        .find(|at| at.is_some_and(|at| number(at, 4) == Some(3)))??;
    let (from, len) = (
        number(part.checked_add(8)?, 8)?,
        number(part.checked_add(32)?, 8)?,
    );
    let name = head.get(from..from.checked_add(len)?)?;
    let name = name.split(|b| *b == 0).next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn plain(e: &std::io::Error) -> String {
    let text = e.to_string();
    match text.split_once(" (os error") {
        Some((t, _)) => t.to_owned(),
        None => text,
    }
}

/// Where programs of an administrator are looked for, whatever PATH says.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

fn run(program: &str, args: &[&str]) -> Option<Answer> {
    let path = match program.starts_with('/') {
        true => PathBuf::from(program),
        false => FOLDERS
            .iter()
            .map(|f| Path::new(f).join(program))
            .find(|p| p.exists())?,
    };
    let mut child = Command::new(path)
        .args(args)
        .env("LC_ALL", "C")
        .env("PATH", FOLDERS.join(":"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let (send, done) = mpsc::channel();
    for (which, pipe) in [
        (
            0,
            child
                .stdout
                .take()
                .map(|p| Box::new(p) as Box<dyn Read + Send>),
        ),
        (
            1,
            child
                .stderr
                .take()
                .map(|p| Box::new(p) as Box<dyn Read + Send>),
        ),
    ] {
        let (send, Some(pipe)) = (send.clone(), pipe) else {
            continue;
        };
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.take(MOST_OUTPUT).read_to_end(&mut bytes);
            let _ = send.send((which, bytes));
        });
    }
    drop(send);
    let mut answer = Answer::default();
    for _ in 0..2 {
        match done.recv_timeout(Duration::from_secs(5)) {
            Ok((0, bytes)) => answer.out = String::from_utf8_lossy(&bytes).into_owned(),
            Ok((_, bytes)) => answer.err = String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => {
                // It hangs: a program that we started, and nobody waits for it any more.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
    answer.ok = child.wait().is_ok_and(|s| s.success());
    Some(answer)
}

impl sshwhy_core::config::Files for Machine {
    fn read(&self, path: &str) -> Result<String, String> {
        self.text(path)
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        Machine::glob(self, pattern)
    }

    fn is_folder(&self, path: &str) -> bool {
        self.stat(path)
            .is_some_and(|s| s.kind == sshwhy_core::server::modes::Kind::Dir)
    }
}

impl sshwhy_core::server::startup::Disk for Machine {
    fn text(&self, path: &str) -> Option<String> {
        Machine::text(self, path).ok()
    }

    fn exists(&self, path: &str) -> bool {
        Machine::exists(self, path)
    }

    fn is_folder(&self, path: &str) -> bool {
        sshwhy_core::config::Files::is_folder(self, path)
    }

    fn runs(&self, path: &str) -> bool {
        self.is_executable(path)
    }
}

impl sshwhy_core::server::pam::Read for Machine {
    fn text(&self, path: &str) -> Option<String> {
        Machine::text(self, path).ok()
    }

    fn exists(&self, path: &str) -> bool {
        Machine::exists(self, path)
    }

    fn module(&self, name: &str) -> bool {
        // `/lib/security/$ISA/pam_x.so`: the library puts the word for its own kind of machine there, or nothing.
        let name = match name.split_once("/$ISA/") {
            Some((_, file)) => file,
            None => name,
        };
        if name.starts_with('/') {
            return self.exists(name);
        }
        let folders = [
            "/lib/security",
            "/lib64/security",
            "/usr/lib/security",
            "/usr/lib64/security",
            "/usr/local/lib/security",
        ];
        let mut any = false;
        for folder in folders
            .iter()
            .map(|f| (*f).to_owned())
            .chain(self.glob("/usr/lib/*/security"))
            .chain(self.glob("/lib/*/security"))
        {
            if self.exists(&format!("{folder}/{name}")) {
                return true;
            }
            any |= self.exists(&format!("{folder}/pam_unix.so"));
        }
        // Without any module to compare with, this image keeps them elsewhere: nothing can be said.
        !any
    }

    fn writable(&self, path: &str) -> bool {
        self.stat(path).is_some_and(|s| s.mode & 0o002 != 0)
    }

    fn folder(&self, path: &str, ending: &str) -> Vec<String> {
        self.names(path)
            .into_iter()
            .filter(|n| n.ends_with(ending))
            .map(|n| format!("{path}/{n}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_a_program_is_read_from_its_first_bytes() {
        let of = |text: &[u8]| interpreter(text);
        assert_eq!(of(b"#!/bin/sh -e\nexit\n").as_deref(), Some("/bin/sh"));
        assert_eq!(of(b"#! /bin/sh\r\n").as_deref(), Some("/bin/sh\r"));
        assert_eq!(of(b"exit\n"), None);
        let elf = |order: u8, bytes: [u8; 2]| {
            let mut head = b"\x7fELF\x02\x00\x01\x00".to_vec();
            head[5] = order;
            head.resize(18, 0);
            head.extend(bytes);
            elf_machine(&head)
        };
        assert_eq!(elf(1, [183, 0]), Some(183));
        assert_eq!(elf(2, [0, 22]), Some(22));
        assert_eq!(elf(0, [183, 0]), None);
        assert_eq!(elf_machine(b"#!/bin/sh\n"), None);
        // This test's own binary has a loader, or is linked without one.
        let own = Machine::here().head("/proc/self/exe", HEAD).unwrap();
        assert!(of(&own).is_none_or(|l| l.starts_with('/') && Path::new(&l).exists()));
        for len in 0..own.len() {
            let cut = of(&own[..len]);
            assert!(cut.is_none_or(|l| l.starts_with('/')));
        }
    }

    #[test]
    fn a_program_for_another_machine() {
        let root = crate::source::testing::Scratch::new();
        let elf = |machine: u8| {
            let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
            bytes.resize(18, 0);
            bytes.extend([machine, 0]);
            bytes.resize(64, 0);
            bytes
        };
        root.write("bin/sh", &elf(62));
        let machine = Machine::at(root.path());
        assert!(
            machine
                .foreign(&elf(183))
                .is_some_and(|m| m.contains("ARM"))
        );
        assert_eq!(machine.foreign(&elf(62)), None);
        assert_eq!(machine.foreign(&elf(3)), None);
        assert_eq!(machine.foreign(b"#!/bin/sh\n"), None);
        // Something is set up to run it.
        root.write("proc/sys/fs/binfmt_misc/qemu-aarch64", b"enabled\n");
        assert_eq!(machine.foreign(&elf(183)), None);
    }

    #[test]
    fn a_program_that_cannot_start_says_why() {
        let dir = std::env::temp_dir().join(format!("sshwhy-machine-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let put = |name: &str, text: &str, mode: u32| {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("there", "#!/there\n", 0o755);
        put("closed", "#!/there\n", 0o644);
        put("gone", "#!/opt/none -x\n", 0o755);
        put("dos", "#!/there\r\n", 0o755);
        let machine = Machine::at(&dir);
        let why = |p: &str| machine.cannot_run(p);
        assert_eq!(why("/there"), None);
        assert!(why("/nothing").unwrap().ends_with("does not exist"));
        assert!(why("/closed").unwrap().ends_with("not executable"));
        assert!(why("/gone").unwrap().contains("/opt/none"));
        assert!(why("/dos").unwrap().contains("DOS"));
        fs::remove_dir_all(&dir).unwrap();
    }
}
