//! `doctor --fix`: does what the plan says, and takes it back unless somebody who logged in anew says that it is well.
//!
//! In this order, each step on disk before the next begins: the plan is shown; everything is copied; a watcher of its own
//! starts; each change is announced, done, noted; sshd tests its configuration before it reads it again; the machine is
//! looked at again, and sshd is called over loopback. Killed anywhere, the watcher takes it back; with the watcher killed
//! too, the next `doctor --recover` (at boot, say) or `--fix` does.

mod disk;
mod journal;
mod undo;

pub use undo::{confirm, recover, watch};

use crate::host::machine::Machine;
use crate::host::{Question, accounts, daemon};
use crate::{net, sys};
use disk::{Disk, Meta};
use journal::{Entry, Header, Journal, Note, born, uptime};
use serde::Serialize;
use sshwhy_core::catalog::fixes;
use sshwhy_core::config::parse::{Config, parse};
use sshwhy_core::finding::Finding;
use sshwhy_core::observation::Observation;
use sshwhy_core::plan::{self, Act, Plan, World};
use sshwhy_core::server::modes::Stat;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where fixes are kept.
pub const STATE: &str = "/var/lib/sshwhy/fix";

pub struct Options {
    pub root: PathBuf,
    pub live: bool,
    pub state: PathBuf,
    pub dry_run: bool,
    /// Seconds.
    pub within: u64,
    /// Private keys to log in with over loopback.
    pub keys: Vec<PathBuf>,
    /// Ends the process at that step, for tests.
    pub stop_at: Option<u32>,
}

/// What came of it.
#[derive(Serialize)]
pub struct Outcome {
    pub plan: Plan,
    /// `nothing`, `dry-run`, `applied`, `reverted`.
    pub result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What was tried to see whether it works, and what came of it.
    pub proof: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

struct Eyes<'a>(&'a Machine);

impl sshwhy_core::config::Files for Eyes<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0.text(path)
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        self.0.glob(pattern)
    }
}

impl World for Eyes<'_> {
    fn stat(&self, path: &str) -> Option<Stat> {
        // Where it really is: the steps themselves follow no link.
        let path = self.0.canonical(path);
        self.0.stat(&path)
    }

    fn account(&self, name: &str) -> Option<(u32, u32, String)> {
        let a = accounts::find(self.0, name)?;
        Some((a.uid, a.gid, self.0.canonical(&a.home)))
    }

    fn has_fail2ban(&self) -> bool {
        let asked = self.0.ask("fail2ban-ping", "fail2ban-client", &["ping"]);
        asked.is_some_and(|a| a.ok)
    }

    fn has_units(&self) -> bool {
        self.0.is_live() && Path::new("/run/systemd/system").exists()
    }
}

/// The plan for what was found.
pub fn plan_for(
    machine: &Machine,
    question: &Question,
    findings: &[Finding],
    seen: &[Observation],
) -> Plan {
    let addr = question.from.map(|a| a.to_string());
    plan::plan(
        &Eyes(machine),
        &config(machine),
        findings,
        seen,
        question.user.as_deref(),
        addr.as_deref(),
    )
}

fn config(machine: &Machine) -> Config {
    let release = daemon::binary(machine, None)
        .and_then(|b| b.release)
        .unwrap_or((9, 2));
    parse(machine, "/etc/ssh/sshd_config", release, "/")
}

/// Does the plan. `again` looks at the machine anew and gives what is still found.
pub fn run(
    machine: &Machine,
    plan: Plan,
    question: &Question,
    options: &Options,
    again: &dyn Fn() -> Vec<Finding>,
) -> Result<Outcome, String> {
    let mut outcome = Outcome {
        plan,
        result: "nothing",
        id: None,
        proof: Vec::new(),
        why: None,
    };
    if outcome.plan.steps.is_empty() {
        return Ok(outcome);
    }
    if options.dry_run {
        outcome.result = "dry-run";
        return Ok(outcome);
    }
    if options.live && sys::user_id() != 0 {
        return Err(
            "--fix changes the system: run it as root (--dry-run shows the plan without)"
                .to_owned(),
        );
    }
    recover(&options.state)?;
    let disk = Disk::at(&options.root)?;
    let (seconds, _) = uptime();
    let id = format!("fix-{}-{}", seconds as u64, std::process::id());
    let mut journal = Journal::create(&options.state, &id, options.stop_at)?;
    let mut entries = Vec::new();
    for step in &outcome.plan.steps {
        prepare(&step.act, machine, &disk, &journal, &mut entries)?;
    }
    let pid = std::process::id();
    let reload = outcome.plan.reloads() && options.live;
    journal.write(Note::Header(Header {
        root: options.root.clone(),
        entries: entries.clone(),
        within: options.within,
        pid,
        born: born(pid),
        session: session(),
        reload,
    }))?;
    outcome.id = Some(id.clone());
    start_watcher(options, &id, &journal.folder)?;
    journal.step();
    match carry_out(
        machine,
        &disk,
        &mut journal,
        &entries,
        &outcome.plan,
        question,
        options,
        again,
    ) {
        Ok(proof) => {
            outcome.proof = proof;
            let (now, boot) = uptime();
            journal.write(Note::Applied {
                until: now + options.within as f64,
                boot,
            })?;
            outcome.result = "applied";
        }
        Err(why) => {
            let left = undo::revert(&options.state, &id, &why, None)?;
            outcome.result = "reverted";
            outcome.why = Some(match left.is_empty() {
                true => why,
                false => format!("{why}; not taken back: {}", left.join("; ")),
            });
        }
    }
    Ok(outcome)
}

/// The kernel's session: who confirms must come from another one. 0 where its leader is outside this process namespace, as
/// in a container that somebody entered: such sessions cannot be told apart and count as one (proc_pid_stat(5), `session`).
fn session() -> i32 {
    journal::stat_field(std::process::id(), 3)
        .parse()
        .unwrap_or(0)
}

/// From a step to entries, with the bytes before and after beside the journal.
fn prepare(
    act: &Act,
    machine: &Machine,
    disk: &Disk,
    journal: &Journal,
    entries: &mut Vec<Entry>,
) -> Result<(), String> {
    let mut content = |path: &str, after: Option<(Vec<u8>, Meta)>| -> Result<(), String> {
        let path = machine.canonical(path);
        let n = entries.len();
        let held = disk.hold(&path)?;
        if let Some(h) = &held {
            journal.keep(&format!("{n}.before"), &h.bytes)?;
        }
        let before = held.map(|h| h.meta);
        let after = match after {
            None => None,
            Some((bytes, meta)) => {
                journal.keep(&format!("{n}.after"), &bytes)?;
                // What stood there keeps its owner, mode and label.
                Some(before.clone().unwrap_or(meta))
            }
        };
        entries.push(Entry::Content {
            path,
            before,
            after,
        });
        Ok(())
    };
    let new = |mode| Meta {
        mode,
        ..Meta::default()
    };
    match act {
        Act::Access {
            path,
            before,
            after,
        } => {
            let path = machine.canonical(path);
            let now = disk.meta(&path)?.map(|m| (m.mode, m.uid, m.gid));
            if now != Some(*before) {
                return Err(format!(
                    "{path} has changed since it was looked at: nothing was done"
                ));
            }
            entries.push(Entry::Access {
                path,
                before: *before,
                after: *after,
            });
        }
        Act::Write {
            path,
            before,
            after,
        } => {
            let real = machine.canonical(path);
            let now = disk.hold(&real)?.map(|h| h.bytes);
            if now.as_deref() != Some(before.as_bytes()) {
                return Err(format!(
                    "{path} has changed since it was looked at: nothing was done"
                ));
            }
            content(path, Some((after.clone().into_bytes(), new(0o600))))?;
        }
        Act::Remove { path } => content(path, None)?,
        Act::MakeDir { path, mode } => entries.push(Entry::Folder {
            path: machine.canonical(path),
            mode: *mode,
        }),
        Act::MakeHostKey { path, kind } => {
            let folder = journal.folder.join("keys");
            std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            let staged = folder.join(kind);
            let _ = std::fs::remove_file(&staged);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-N", "", "-C", "root", "-f"])
                .arg(&staged)
                .stdin(Stdio::null())
                .output()
                .map_err(|e| format!("ssh-keygen: {e}"))?;
            if !made.status.success() {
                return Err(format!(
                    "ssh-keygen: {}",
                    String::from_utf8_lossy(&made.stderr).trim()
                ));
            }
            let read = |p: &Path| std::fs::read(p).map_err(|e| format!("{}: {e}", p.display()));
            content(path, Some((read(&staged)?, new(0o600))))?;
            content(
                &format!("{path}.pub"),
                Some((read(&staged.with_extension("pub"))?, new(0o644))),
            )?;
        }
        Act::Run { program, undo } => entries.push(Entry::Run {
            program: program.clone(),
            undo: undo.clone(),
        }),
    }
    Ok(())
}

/// Starts the process that takes it back, and waits until it watches.
fn start_watcher(options: &Options, id: &str, folder: &Path) -> Result<(), String> {
    let exe = std::env::current_exe().map_err(|e| format!("this program's own file: {e}"))?;
    let mut words: Vec<std::ffi::OsString> = vec![
        "doctor".into(),
        "--fix-watch".into(),
        id.into(),
        "--fix-state".into(),
        options.state.clone().into(),
    ];
    let mut command = match options.live && Path::new("/run/systemd/system").exists() {
        // A unit of its own outlives the login session in which it was started.
        true => {
            let mut c = Command::new("systemd-run");
            c.args(["--quiet", "--collect", "--unit"])
                .arg(format!("sshwhy-{id}"))
                .arg(&exe);
            c
        }
        false => Command::new(&exe),
    };
    command
        .args(words.drain(..))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().map_err(|e| {
        format!("the watcher that would take it back did not start: {e}; nothing was done")
    })?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        if folder.join("watcher").exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("the watcher that would take it back did not start: nothing was done".to_owned())
}

/// Every change, then sshd's own test, its reading, and the proof. An error: take it all back.
#[allow(clippy::too_many_arguments)] // one call, a straight line
fn carry_out(
    machine: &Machine,
    disk: &Disk,
    journal: &mut Journal,
    entries: &[Entry],
    plan: &Plan,
    question: &Question,
    options: &Options,
    again: &dyn Fn() -> Vec<Finding>,
) -> Result<Vec<String>, String> {
    let is_run = |e: &Entry| matches!(e, Entry::Run { .. });
    let mut proof = Vec::new();
    let mark = journal
        .folder
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let perform = |journal: &mut Journal, i: usize, entry: &Entry| {
        journal.write(Note::Begin(i))?;
        apply(disk, journal, i, entry, &mark)?;
        journal.step();
        journal.write(Note::Done(i))
    };
    for (i, entry) in entries.iter().enumerate().filter(|(_, e)| !is_run(e)) {
        perform(journal, i, entry)?;
    }
    if options.live {
        proof.push(test_configuration(machine, plan)?);
    }
    for (i, entry) in entries.iter().enumerate().filter(|(_, e)| is_run(e)) {
        perform(journal, i, entry)?;
    }
    if plan.reloads() && options.live {
        proof.extend(undo::reload());
    }
    let left: Vec<&'static str> = again()
        .iter()
        .filter(|f| {
            f.confidence >= 0.5
                && fixes::of(f.slug).is_some()
                && plan.steps.iter().any(|s| s.cause == f.slug)
        })
        .map(|f| f.slug)
        .collect();
    if !left.is_empty() {
        return Err(format!(
            "looked again, and it is still there: {}",
            left.join(", ")
        ));
    }
    proof.push("looked again: what was mended is no longer found".to_owned());
    if options.live {
        proof.extend(call(question, options)?);
    }
    journal.step();
    Ok(proof)
}

fn apply(
    disk: &Disk,
    journal: &Journal,
    i: usize,
    entry: &Entry,
    mark: &str,
) -> Result<(), String> {
    match entry {
        Entry::Access { path, after, .. } => disk.set_access(path, after.0, after.1, after.2),
        Entry::Content {
            path,
            after: Some(meta),
            ..
        } => disk.put(path, &journal.kept(&format!("{i}.after"))?, meta, mark),
        Entry::Content {
            path, after: None, ..
        } => disk.remove(path, false),
        Entry::Folder { path, mode } => disk.make_folder(path, *mode),
        Entry::Run { program, .. } => undo::execute(program).or_else(|why| {
            // systemd may have been in the midst of one more try with the files as they were.
            if !program.iter().any(|w| w == "start") {
                return Err(why);
            }
            std::thread::sleep(START_AGAIN);
            undo::execute(program)
        }),
    }
}

/// How long until a start that failed is tried once more.
const START_AGAIN: Duration = Duration::from_millis(1500);

/// `sshd -t`, before anybody makes the daemon read what it says no to.
fn test_configuration(machine: &Machine, plan: &Plan) -> Result<String, String> {
    let Some(binary) = daemon::binary(machine, None) else {
        return Ok("no sshd binary here: sshd -t was skipped".to_owned());
    };
    let out = Command::new(&binary.path)
        .arg("-t")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{} -t: {e}", binary.path))?;
    let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    match out.status.success() {
        true => Ok(format!("{} -t: in order", binary.path)),
        // The last thing that it looks for, and the unit makes it at the start.
        false if is_for_the_unit(plan, &said) => Ok(format!(
            "{} -t: in order, but for the folder that the unit makes",
            binary.path
        )),
        false => Err(format!("{} -t refuses it: {said}", binary.path)),
    }
}

/// Whether sshd misses nothing but its own folder, which systemd makes when it starts the unit (RuntimeDirectory=). That it
/// does is seen right after: the machine is looked at again.
fn is_for_the_unit(plan: &Plan, said: &str) -> bool {
    let starts = |act: &Act| match act {
        Act::Run { program, .. } => program.iter().any(|w| w == "start"),
        _ => false,
    };
    said.lines().count() == 1
        && said.starts_with("Missing privilege separation directory: /run/")
        && plan.steps.iter().any(|s| starts(&s.act))
}

/// sshd answers over loopback, and the user gets in where there is a key to try with.
fn call(question: &Question, options: &Options) -> Result<Vec<String>, String> {
    let port = question.port.unwrap_or(22);
    let runs = !daemon::processes(&Machine::here())
        .iter()
        .all(|p| !p.is_listener());
    if !runs {
        return Ok(vec![
            "no sshd runs here: start it; nobody was called over loopback".to_owned(),
        ]);
    }
    let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let began = Instant::now();
    // A daemon that was just told to read again needs a moment.
    while net::greets(addr, Duration::from_secs(3)) != "ssh" {
        if began.elapsed() > Duration::from_secs(10) {
            return Err(format!("no SSH server answers at {addr}"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut out = vec![format!("an SSH server greets at {addr}")];
    let Some(user) = question.user.as_deref() else {
        return Ok(out);
    };
    let Some(key) = options.keys.first() else {
        out.push(format!(
            "no private key of {user} is here (--key FILE): the login itself was not tried"
        ));
        return Ok(out);
    };
    let said = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "ConnectTimeout=10",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ])
        .args(["-p", &port.to_string(), "-l", user, "-i"])
        .arg(key)
        .args(["127.0.0.1", "true"])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("ssh: {e}"))?;
    if !said.status.success() {
        return Err(format!(
            "{user} still does not get in over loopback: {}",
            String::from_utf8_lossy(&said.stderr).trim()
        ));
    }
    out.push(format!(
        "{user} logged in over loopback with {}",
        key.display()
    ));
    Ok(out)
}
