//! Facts of the machine with the sshd, each an observation: nothing here judges.
//!
//! [`look`] walks the gates from the inside, in their order. What needs root and has none, or what a folder cannot tell,
//! is named in [`Seen::blind`].

pub use network::address;

pub mod accounts;
pub mod daemon;
mod keys;
pub mod log;
pub mod machine;
mod network;
pub mod never;
pub mod session;

use accounts::Account;
use daemon::{Listener, Process};
use log::Log;
use machine::Machine;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::config::access;
use sshwhy_core::config::effective::{Effective, effective};
use sshwhy_core::config::parse::{Config, Level, Shown, parse};
use sshwhy_core::config::{self, Connection};
use sshwhy_core::event::catalog;
use sshwhy_core::line::Program;
use sshwhy_core::observation::Observation;
use sshwhy_core::server::modes::Kind;
use sshwhy_core::time::{Time, Zone};
use std::net::IpAddr;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub user: Option<String>,
    pub from: Option<IpAddr>,
    /// The port the client calls.
    pub port: Option<u16>,
    /// Fingerprints (`SHA256:…`) of keys that the client has.
    pub keys: Vec<String>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub observations: Vec<Observation>,
    /// What could not be looked at, and why.
    pub blind: Vec<String>,
    /// Programs and files that were read, for people who want to know.
    pub notes: Vec<String>,
}

/// How long ago an attempt may be and still say how far the client gets now.
const RECENT: i64 = 15 * 60 * 1_000_000;

/// What all the looks share.
pub(crate) struct Scene<'a> {
    pub machine: &'a Machine,
    pub question: &'a Question,
    pub now: Time,
    pub zone: &'a Zone,
    pub config: Config,
    pub effective: Effective,
    pub connection: Connection,
    pub account: Option<Account>,
    pub accounts: Vec<Account>,
    pub processes: Vec<Process>,
    pub listeners: Vec<Listener>,
    pub log: Log,
    pub port: u16,
    pub seen: Seen,
}

impl Scene<'_> {
    pub fn say(
        &mut self,
        gate: Gate,
        key: &'static str,
        value: &str,
        about: impl Into<String>,
        text: impl Into<String>,
        source: impl Into<String>,
    ) {
        self.seen.observations.push(
            Observation::new(gate, key, value, source)
                .about(about)
                .text(text),
        );
    }

    /// `file:line: the line` of the lines that set a keyword, or that it is the default.
    pub fn set_at(&self, keyword: &str) -> (String, String) {
        let Some(s) = self.effective.of(keyword) else {
            return (String::new(), String::new());
        };
        let value = format!("{} {}", s.keyword.name, s.values.join(" "));
        let Some(pos) = s.from.first() else {
            return ("default".to_owned(), format!("{value} (the default)"));
        };
        let mut text = format!(
            "{}: {}",
            self.config.place(*pos),
            self.config.line(*pos).trim()
        );
        if let Some(block) = s.block {
            text.push_str(&format!(
                " (in \"{}\" at {})",
                self.config.line(block).trim(),
                self.config.place(block)
            ));
        }
        for lost in &s.lost {
            let why = match lost.why {
                config::effective::Why::Earlier => "comes too late".to_owned(),
                config::effective::Why::Match => "is replaced by the Match block".to_owned(),
                config::effective::Why::NotMatched(m) => {
                    format!("counts only for \"{}\"", self.config.line(m).trim())
                }
            };
            text.push_str(&format!(
                "; {} at {} {why}",
                self.config.line(lost.pos).trim(),
                self.config.place(lost.pos)
            ));
        }
        (self.config.place(*pos), text)
    }

    pub fn uses_pam(&self) -> bool {
        self.effective.is("UsePAM", "yes")
    }
}

/// Looks at everything that has to do with this login.
pub fn look(machine: &Machine, question: &Question, zone: &Zone, now: Time) -> Seen {
    let processes = if machine.is_running() {
        daemon::processes(machine)
    } else {
        Vec::new()
    };
    let listeners = daemon::listeners(machine, &processes);
    let running = processes.iter().find(|p| p.is_listener());
    let binary = daemon::binary(machine, running);
    let release = binary.as_ref().and_then(|b| b.release).unwrap_or((9, 2));
    let file = running
        .and_then(|p| option_of(&p.title, "-f"))
        .unwrap_or_else(|| "/etc/ssh/sshd_config".to_owned());
    let parsed = parse(machine, &file, release, "/");
    let accounts = accounts::all(machine);
    let account = question
        .user
        .as_deref()
        .and_then(|u| accounts::find(machine, u));
    let from = question.from.map(|f| f.to_string());
    let mut connection = Connection {
        user: question.user.clone(),
        groups: account
            .as_ref()
            .map(|a| a.groups.clone())
            .unwrap_or_default(),
        host: from.clone(),
        addr: from,
        laddr: None,
        lport: question.port,
        invalid_user: question.user.is_some() && account.is_none(),
        ..Connection::default()
    };
    let effective_now = effective(&parsed, Some(&connection));
    let port = question.port.unwrap_or(22);
    connection.lport = connection.lport.or(Some(port));
    let log = log::read(machine, zone, now);
    let mut scene = Scene {
        machine,
        question,
        now,
        zone,
        config: parsed,
        effective: effective_now,
        connection,
        account,
        accounts,
        processes,
        listeners,
        log,
        port,
        seen: Seen::default(),
    };
    if let Some(b) = &binary {
        scene.seen.notes.push(format!("{} {}", b.path, b.text));
    }
    configuration(&mut scene, binary.as_ref());
    running_daemon(&mut scene, binary.as_ref());
    units(&mut scene);
    network::look(&mut scene, binary.as_ref());
    attempts(&mut scene);
    if scene.question.user.is_some() {
        policy(&mut scene);
        keys::look(&mut scene);
        session::look(&mut scene);
    }
    if scene.log.sources.is_empty() {
        scene
            .seen
            .blind
            .push("no log of sshd could be read".to_owned());
    }
    scene.seen
}

fn option_of(title: &str, flag: &str) -> Option<String> {
    let mut words = title.split_ascii_whitespace();
    words.find(|w| *w == flag)?;
    words.next().map(str::to_owned)
}

/// Whether the file is sound to us and to `sshd -t`.
fn configuration(scene: &mut Scene<'_>, binary: Option<&daemon::Binary>) {
    let errors: Vec<(String, String)> = scene
        .config
        .diagnostics
        .iter()
        .filter(|d| d.level == Level::Error)
        .map(|d| {
            (
                scene.config.place(d.pos),
                Shown(&scene.config, d).to_string(),
            )
        })
        .collect();
    for (place, text) in &errors {
        scene.say(
            Gate::Tcp,
            "sshd.config",
            "error",
            place.clone(),
            text.clone(),
            place.clone(),
        );
    }
    let Some(binary) = binary else {
        if scene.machine.is_running() {
            scene.say(
                Gate::Tcp,
                "sshd.binary",
                "missing",
                "/usr/sbin/sshd",
                "no sshd binary was found",
                "/usr/sbin",
            );
        }
        return;
    };
    let path = scene.config.source(0).to_owned();
    let Some(answer) = scene
        .machine
        .ask("sshd-t", &binary.path, &["-t", "-f", &path])
    else {
        return;
    };
    if answer.ok {
        return;
    }
    let mut known = false;
    for line in answer
        .err
        .lines()
        .chain(answer.out.lines())
        .filter(|l| !l.trim().is_empty())
    {
        let line = line.trim_end_matches('\r');
        let event = catalog().event(Program::Sshd, b"sshd", line.as_bytes());
        let cause = event.map_or("", |e| e.message().cause);
        let place = file_line(line);
        match cause {
            "host-keys-missing" | "host-key-permissions" | "privsep-dir-missing" => {
                scene.say(Gate::Tcp, "sshd.test", cause, place, line, "sshd -t");
            }
            _ if line.contains("line ") || cause == "sshd-config-error" => {
                known = true;
                scene.say(
                    Gate::Tcp,
                    "sshd.test",
                    "sshd-config-error",
                    place,
                    line,
                    "sshd -t",
                );
            }
            _ => {}
        }
    }
    if !known
        && scene.seen.observations.iter().all(|o| o.key != "sshd.test")
        && !answer.err.trim().is_empty()
    {
        scene.say(
            Gate::Tcp,
            "sshd.test",
            "error",
            "",
            answer.err.trim(),
            "sshd -t",
        );
    }
}

/// `FILE line 3: …`, `FILE: line 3: …` → `FILE:3`.
fn file_line(text: &str) -> String {
    let Some((head, rest)) = text.split_once("line ") else {
        return String::new();
    };
    let file = head.trim().trim_end_matches(':');
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    match (file.starts_with('/'), number.is_empty()) {
        (true, false) => format!("{file}:{number}"),
        _ => String::new(),
    }
}

fn running_daemon(scene: &mut Scene<'_>, binary: Option<&daemon::Binary>) {
    let machine = scene.machine;
    let hosts: Vec<String> = scene.effective.values("HostKey").to_vec();
    let usable = hosts.iter().filter(|k| machine.exists(k)).count();
    let agent = !scene.effective.is("HostKeyAgent", "none");
    if usable == 0 && !agent {
        let about = hosts.first().cloned().unwrap_or_default();
        scene.say(
            Gate::Tcp,
            "sshd.hostkeys",
            "missing",
            about,
            format!("none of {} exists", hosts.join(", ")),
            "/etc/ssh",
        );
    }
    let mut open = Vec::new();
    for key in &hosts {
        if let Some(s) = machine
            .stat(key)
            .filter(|s| s.uid == 0 && s.mode & 0o077 != 0)
        {
            open.push((key.clone(), s.mode));
        }
    }
    if usable > 0 && open.len() == usable {
        for (key, mode) in open {
            scene.say(
                Gate::Tcp,
                "sshd.hostkeys",
                "permissions",
                key.clone(),
                format!(
                    "{key} has mode {mode:04o}: sshd ignores a private key that others can read"
                ),
                key,
            );
        }
    }
    let dir = "/run/sshd";
    match machine.stat(dir) {
        None => scene.say(
            Gate::Tcp,
            "sshd.privsep",
            "missing",
            dir,
            format!("{dir} does not exist"),
            dir,
        ),
        Some(s) if s.kind == Kind::Dir && (s.uid != 0 || s.mode & 0o022 != 0) => {
            scene.say(
                Gate::Tcp,
                "sshd.privsep",
                "permissions",
                dir,
                format!("{dir} has owner {} and mode {:04o}", s.uid, s.mode),
                dir,
            );
        }
        Some(_) => {}
    }
    if !machine.is_running() {
        return;
    }
    let listeners: Vec<Process> = scene
        .processes
        .iter()
        .filter(|p| p.is_listener())
        .cloned()
        .collect();
    match listeners.first() {
        Some(p) if matches!(p.state, 'T' | 't') => {
            scene.say(
                Gate::Ident,
                "sshd.process",
                "stopped",
                p.title.clone(),
                format!(
                    "process {} is stopped (state {}): it takes connections and says nothing",
                    p.pid, p.state
                ),
                format!("/proc/{}/stat", p.pid),
            );
        }
        Some(p) if p.state == 'D' => {
            scene.say(
                Gate::Ident,
                "sshd.process",
                "blocked",
                p.title.clone(),
                format!(
                    "process {} waits for a disk or a network file system (state D)",
                    p.pid
                ),
                format!("/proc/{}/stat", p.pid),
            );
        }
        Some(p) => scene.say(
            Gate::Tcp,
            "sshd.process",
            "running",
            p.title.clone(),
            format!("process {}", p.pid),
            format!("/proc/{}", p.pid),
        ),
        None => {
            let what = binary.map_or("sshd", |b| b.path.as_str()).to_owned();
            scene.say(
                Gate::Tcp,
                "sshd.process",
                "none",
                what,
                "no sshd is running",
                "/proc",
            );
        }
    }
    let ours = |l: &Listener| {
        l.pid
            .is_some_and(|pid| listeners.iter().any(|p| p.pid == pid))
    };
    let others: Vec<Listener> = scene.listeners.clone();
    let own = daemon::own_addresses(machine);
    let mine: Vec<&Listener> = others.iter().filter(|l| ours(l)).collect();
    let shown = |ls: &[&Listener]| {
        ls.iter()
            .map(|l| std::net::SocketAddr::new(l.ip, l.port).to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let on_port: Vec<&Listener> = mine
        .iter()
        .filter(|l| l.port == scene.port)
        .copied()
        .collect();
    let family = scene.question.from;
    let reachable = |l: &&Listener| match family {
        Some(f) if f.is_loopback() => f.is_ipv4() == l.ip.is_ipv4(),
        Some(f) => {
            let dual = l.inherited && l.ip.is_unspecified();
            !l.ip.is_loopback() && (f.is_ipv4() == l.ip.is_ipv4() || dual)
        }
        None => !l.ip.is_loopback(),
    };
    let (at, line) = scene.set_at("ListenAddress");
    let (port_at, port_line) = scene.set_at("Port");
    if !mine.is_empty() {
        if on_port.is_empty() {
            let about = mine.first().map(|l| l.port.to_string()).unwrap_or_default();
            let text = format!(
                "sshd listens on {}, nobody on port {}; {port_line}",
                shown(&mine),
                scene.port
            );
            scene.say(Gate::Tcp, "sshd.listen", "other-port", about, text, port_at);
        } else if !on_port.iter().any(reachable) {
            let loopback = on_port.iter().all(|l| l.ip.is_loopback());
            let value = if loopback {
                "loopback"
            } else {
                "other-address"
            };
            scene.say(
                Gate::Tcp,
                "sshd.listen",
                value,
                shown(&on_port),
                format!("sshd listens on {} only; {line}", shown(&on_port)),
                at.clone(),
            );
        } else {
            scene.say(
                Gate::Tcp,
                "sshd.listen",
                "reachable",
                shown(&on_port),
                "",
                "/proc/net/tcp",
            );
        }
    }
    let port = scene.port;
    for l in others.iter().filter(|l| l.port == port && !ours(l)) {
        let Some(p) = scene
            .processes
            .iter()
            .find(|p| Some(p.pid) == l.pid)
            .cloned()
        else {
            continue;
        };
        if p.pid == 1 || p.name == "systemd" {
            scene.say(
                Gate::Tcp,
                "sshd.listen",
                "socket-unit",
                p.name.clone(),
                format!("systemd holds port {}", l.port),
                "/proc/net/tcp",
            );
        } else if !p.is_sshd() {
            scene.say(
                Gate::Tcp,
                "port.holder",
                "other",
                p.name.clone(),
                format!("port {} is held by {} (process {})", l.port, p.title, p.pid),
                "/proc/net/tcp",
            );
        }
    }
    let wanted: Vec<IpAddr> = scene
        .effective
        .values("ListenAddress")
        .iter()
        .filter_map(|v| v.parse::<std::net::SocketAddr>().ok())
        .map(|a| a.ip())
        .filter(|ip| !ip.is_unspecified())
        .collect();
    let explicit = scene
        .effective
        .of("ListenAddress")
        .is_some_and(|s| !s.from.is_empty());
    if explicit && !own.is_empty() {
        for ip in wanted
            .iter()
            .filter(|ip| !own.contains(ip) && !ip.is_loopback())
        {
            scene.say(
                Gate::Tcp,
                "sshd.bind",
                "address-missing",
                ip.to_string(),
                format!("{ip} is no address of this machine; {line}"),
                at.clone(),
            );
        }
    }
    if let Some((now, start, full)) = listeners.iter().find_map(Process::startups) {
        let limit = config::simulate::MaxStartups::parse(scene.effective.value("MaxStartups"));
        let (at, line) = scene.set_at("MaxStartups");
        let percent = limit
            .filter(|m| m.full == full)
            .map_or(if now >= full { 100 } else { 0 }, |m| m.drop_percent(now));
        let value = match percent {
            100 => "full",
            0 => "normal",
            _ => "throttling",
        };
        scene.say(Gate::Ident, "load.startups", value, "MaxStartups", format!("{now} connections have not logged in yet, MaxStartups begins at {start} and ends at {full}: {percent} % of new ones are refused; {line}"), at);
    }
    // Whether another program answers with SSH's greeting is only asked where it is not sshd that listens.
    if machine.is_live()
        && on_port.is_empty()
        && scene
            .seen
            .observations
            .iter()
            .any(|o| o.key == "port.holder")
    {
        let (value, text) = network::greeting(scene.port);
        if let Some(value) = value {
            scene.say(
                Gate::Ident,
                "port.greeting",
                value,
                scene.port.to_string(),
                text,
                "127.0.0.1",
            );
        }
    }
}

fn units(scene: &mut Scene<'_>) {
    let machine = scene.machine;
    let systemd = machine.exists("/run/systemd/system")
        || machine
            .ask(
                "systemctl-show-ssh.service",
                "systemctl",
                &["show", "ssh.service", "-p", "ActiveState"],
            )
            .is_some_and(|a| a.ok);
    let name = ["ssh.service", "sshd.service"].into_iter().find(|n| {
        machine.link(&format!("/etc/systemd/system/{n}")).is_some()
            || daemon::unit(machine, n).is_some()
    });
    let Some((name, unit)) = name.and_then(|n| Some((n, daemon::unit(machine, n)?))) else {
        return;
    };
    let is_init = if machine.is_live() {
        machine.exists("/run/systemd/system")
    } else {
        systemd || !machine.is_running()
    };
    if !is_init {
        return;
    }
    let source = format!("systemctl show {name}");
    let shown = machine
        .ask(
            "systemctl-is-running",
            "systemctl",
            &["show", name, "-p", "ActiveState"],
        )
        .map(|_| daemon::show(machine, name))
        .unwrap_or_default();
    let prop = |k: &str| shown.get(k).map_or("", String::as_str).to_owned();
    if unit.masked || prop("LoadState") == "masked" {
        let file = format!("/etc/systemd/system/{name}");
        scene.say(
            Gate::Tcp,
            "unit.state",
            "masked",
            name,
            format!("{name} is masked: {file} points to /dev/null, systemd will not start it"),
            file,
        );
    } else if !shown.is_empty() {
        let state = prop("ActiveState");
        let value = match state.as_str() {
            "active" => "active",
            "failed" => "failed",
            "activating" | "reloading" => "activating",
            _ => "inactive",
        };
        let text = format!(
            "{name} is {state} ({}), {}; result {}, exit {}",
            prop("SubState"),
            prop("UnitFileState"),
            prop("Result"),
            prop("ExecMainStatus")
        );
        scene.say(Gate::Tcp, "unit.state", value, name, text, source.clone());
        if !prop("LoadError").is_empty() && prop("LoadState") != "loaded" {
            scene.say(
                Gate::Tcp,
                "unit.broken",
                "load",
                name,
                prop("LoadError"),
                source.clone(),
            );
        }
        if prop("ExecMainStatus") == "203" {
            scene.say(
                Gate::Tcp,
                "unit.broken",
                "exec",
                name,
                "status 203: the program of ExecStart could not be run",
                source.clone(),
            );
        }
        if matches!(
            prop("ExecMainStatus").as_str(),
            "200" | "209" | "217" | "219" | "226" | "227" | "233"
        ) {
            scene.say(
                Gate::Tcp,
                "unit.broken",
                "exec",
                name,
                format!(
                    "status {}: systemd could not set up the service's surroundings",
                    prop("ExecMainStatus")
                ),
                source.clone(),
            );
        }
    }
    for key in ["Unit.ConditionPathExists", "Unit.AssertPathExists"] {
        for (value, place) in unit.all(key) {
            let (negated, path) = match value.strip_prefix('!') {
                Some(p) => (true, p),
                None => (false, value.as_str()),
            };
            if machine.exists(path) == negated {
                scene.say(
                    Gate::Tcp,
                    "unit.broken",
                    "condition",
                    place.clone(),
                    format!("{key}={value} does not hold ({place})"),
                    place.clone(),
                );
            }
        }
    }
    for (key, kind) in [
        ("Service.ExecStart", "exec"),
        ("Service.ExecStartPre", "exec-pre"),
    ] {
        for (value, place) in unit.all(key) {
            let soft = value.starts_with('-');
            let program = value
                .trim_start_matches(['-', '@', ':', '+', '!'])
                .split_ascii_whitespace()
                .next()
                .unwrap_or_default();
            if program.starts_with('/') && !machine.is_executable(program) && !soft {
                scene.say(
                    Gate::Tcp,
                    "unit.broken",
                    kind,
                    place.clone(),
                    format!("{key} names {program}, which cannot be run ({place})"),
                    place.clone(),
                );
            }
        }
    }
    for key in ["Service.EnvironmentFile"] {
        for (value, place) in unit.all(key) {
            if !value.starts_with('-') && !value.contains('*') && !machine.exists(value) {
                scene.say(
                    Gate::Tcp,
                    "unit.broken",
                    "exec",
                    place.clone(),
                    format!("{key} names {value}, which does not exist ({place})"),
                    place.clone(),
                );
            }
        }
    }
    for key in ["Unit.Requires", "Unit.BindsTo", "Unit.Requisite"] {
        for (value, place) in unit.all(key) {
            for other in value.split_ascii_whitespace() {
                if other.contains('.')
                    && !other.contains('%')
                    && daemon::unit(machine, other).is_none_or(|u| u.masked)
                {
                    let generated = other.ends_with(".mount")
                        || other.ends_with(".device")
                        || other.ends_with(".slice")
                        || other.contains('@');
                    if !generated {
                        scene.say(
                            Gate::Tcp,
                            "unit.broken",
                            "dependency",
                            place.clone(),
                            format!(
                                "{key}={other}: there is no such unit, or it is masked ({place})"
                            ),
                            place.clone(),
                        );
                    }
                }
            }
        }
    }
    sandbox(scene, &unit);
    if let Some(socket) =
        daemon::unit(machine, "ssh.socket").or_else(|| daemon::unit(machine, "sshd.socket"))
    {
        let state = daemon::show(machine, &socket.name);
        let active = state
            .get("ActiveState")
            .map_or(socket.enabled && !machine.is_live(), |s| s == "active");
        let streams: Vec<(String, String)> = socket.all("Socket.ListenStream").to_vec();
        let port_of = |v: &str| v.rsplit(':').next().and_then(|p| p.parse::<u16>().ok());
        if active && !socket.masked {
            let ours = streams.iter().any(|(v, _)| port_of(v) == Some(scene.port));
            let (value, place) = streams.last().cloned().unwrap_or_default();
            let files = socket.files.join(", ");
            scene.say(
                Gate::Tcp,
                "unit.socket",
                if ours { "listens" } else { "other-port" },
                format!("{} {value}", socket.name),
                format!("{} decides where sshd is reached, not sshd_config: ListenStream={value} ({place}; {files})", socket.name),
                place,
            );
        }
    }
}

/// Settings of the unit that hide what sshd needs.
fn sandbox(scene: &mut Scene<'_>, unit: &daemon::Unit) {
    let home = scene
        .account
        .as_ref()
        .map_or_else(|| "/home".to_owned(), |a| a.home.clone());
    let covers =
        |path: &str| home.starts_with(path.trim_start_matches(['-', '+', ':'])) && path.len() > 1;
    let usual =
        home.starts_with("/home") || home.starts_with("/root") || home.starts_with("/run/user");
    for (key, values) in &unit.settings {
        for (value, place) in values {
            let first = value.split([' ', ':']).next().unwrap_or_default();
            let on = matches!(
                value.to_ascii_lowercase().as_str(),
                "yes" | "true" | "on" | "1" | "strict"
            );
            let hides = match key.as_str() {
                "Service.ProtectHome" => usual && (on || value == "tmpfs"),
                "Service.InaccessiblePaths"
                | "Service.InaccessibleDirectories"
                | "Service.TemporaryFileSystem" => {
                    value
                        .split_ascii_whitespace()
                        .any(|p| covers(p.split(':').next().unwrap_or_default()))
                        || first.contains("/etc/ssh")
                        || first.contains("shadow")
                }
                "Service.PrivateNetwork" | "Service.PrivateUsers" => on,
                "Service.RootDirectory" | "Service.RootImage" => true,
                "Service.RestrictAddressFamilies" => {
                    !value.starts_with('~') && !value.contains("AF_INET")
                }
                "Service.IPAddressDeny" => {
                    scene.question.from.is_some()
                        && unit.all("Service.IPAddressAllow").iter().all(|(v, _)| {
                            !v.split_ascii_whitespace()
                                .any(|c| allows(c, scene.question.from))
                        })
                        && value
                            .split_ascii_whitespace()
                            .any(|c| allows(c, scene.question.from))
                }
                "Service.CapabilityBoundingSet" => {
                    let both = value.contains("CAP_SETUID") && value.contains("CAP_SETGID");
                    !value.starts_with('~') && !both
                }
                "Service.NoExecPaths" => value
                    .split_ascii_whitespace()
                    .any(|p| matches!(p, "/" | "/bin" | "/usr" | "/usr/bin")),
                "Service.User" => value != "root" && value != "0",
                "Service.PrivateDevices" => false,
                _ => false,
            };
            if hides {
                let short = key.trim_start_matches("Service.");
                scene.say(
                    Gate::Auth,
                    "unit.sandbox",
                    "hides",
                    format!("{short}={value}"),
                    format!("{} has {short}={value} ({place})", unit.name),
                    place.clone(),
                );
            }
        }
    }
    // What the running sshd really sees.
    let view = scene
        .processes
        .iter()
        .find(|p| p.is_listener())
        .map(|p| format!("/proc/{}/root", p.pid));
    if let (Some(view), Some(a), true) = (view, scene.account.clone(), scene.machine.is_live())
        && !a.home.is_empty()
        && scene.machine.exists(&a.home)
        && scene.machine.exists(&format!("{view}/etc"))
        && (!scene.machine.exists(&format!("{view}{}", a.home))
            || scene.machine.exists(&format!("{}/.ssh", a.home))
                && !scene.machine.exists(&format!("{view}{}/.ssh", a.home)))
    {
        scene.say(
            Gate::Auth,
            "unit.sandbox",
            "hides",
            a.home.clone(),
            format!("the running sshd does not see {}", a.home),
            view,
        );
    }
}

fn allows(word: &str, from: Option<IpAddr>) -> bool {
    word == "any"
        || from.is_some_and(|f| sshwhy_core::addr::Cidr::parse(word).is_some_and(|c| c.contains(f)))
}

/// What the log says of the last attempts.
fn attempts(scene: &mut Scene<'_>) {
    let user = scene.question.user.clone();
    let from = scene.question.from;
    let trouble = scene
        .seen
        .observations
        .iter()
        .any(|o| o.key == "sshd.process" && o.value != "running");
    // What the daemon said of itself since it last began to listen.
    let since = scene
        .log
        .daemon
        .iter()
        .rposition(|l| l.text.starts_with("Server listening"))
        .map_or(0, |i| i + 1);
    let own: Vec<log::Said> = scene
        .log
        .daemon
        .iter()
        .skip(if trouble { 0 } else { since })
        .filter(|l| !l.cause.is_empty())
        .cloned()
        .collect();
    for l in own.iter().rev().take(12) {
        scene.seen.observations.push(
            Observation::new(Gate::Tcp, "log.daemon", l.cause, l.source.clone())
                .about(file_line(&l.text))
                .text(l.text.clone())
                .at(l.at),
        );
    }
    if user.is_none() && from.is_none() {
        return;
    }
    let all: Vec<log::Connection> = scene
        .log
        .attempts(user.as_deref(), from)
        .into_iter()
        .cloned()
        .collect();
    let Some(newest) = all.first() else {
        if !scene.log.sources.is_empty() {
            scene.say(
                Gate::Tcp,
                "log.outcome",
                "no-trace",
                "",
                "the log has no line about this client",
                scene.log.sources.join(", "),
            );
        }
        return;
    };
    let lead = all
        .iter()
        .find(|c| c.user.is_some() || c.lines.iter().any(|l| !l.cause.is_empty()))
        .unwrap_or(newest)
        .clone();
    let near = |c: &&log::Connection| match (lead.last, c.last) {
        (Some(a), Some(b)) => (a.0 - b.0).abs() < 120_000_000,
        _ => true,
    };
    let accepted = lead
        .lines
        .iter()
        .position(|l| l.slug.starts_with("accepted"));
    let outcome = outcome(&lead);
    let end = lead
        .lines
        .iter()
        .rev()
        .find(|l| !l.text.is_empty())
        .cloned();
    if let Some(l) = &end {
        scene.seen.observations.push(
            Observation::new(Gate::Auth, "log.outcome", outcome, l.source.clone())
                .about(lead.user.clone().unwrap_or_default())
                .text(l.text.clone())
                .at(l.at),
        );
    }
    let mut said: Vec<log::Said> = Vec::new();
    for (i, c) in all.iter().filter(near).enumerate() {
        let was_in = c.lines.iter().position(|l| l.slug.starts_with("accepted"));
        if accepted.is_some() && i > 0 && was_in.is_none() && c.last <= lead.last {
            continue;
        }
        said.extend(
            c.lines
                .iter()
                .skip(was_in.unwrap_or(0))
                .filter(|l| !l.cause.is_empty())
                .cloned(),
        );
    }
    let mut slugs: Vec<&str> = Vec::new();
    for l in said {
        if slugs.iter().filter(|s| **s == l.cause).count() < 2 {
            slugs.push(l.cause);
            scene.seen.observations.push(
                Observation::new(Gate::Auth, "log.says", l.cause, l.source.clone())
                    .about(path_in(&l.text))
                    .text(l.text.clone())
                    .at(l.at),
            );
        }
    }
    let method = |m: &str| {
        lead.lines
            .iter()
            .any(|l| l.text.contains(&format!(" {m} for ")))
    };
    let password = method("password")
        || method("keyboard-interactive/pam")
        || lead
            .lines
            .iter()
            .any(|l| l.slug.starts_with("pam-") && l.text.contains(":auth)"));
    if password {
        scene.say(Gate::Auth, "log.method", "password", "", "", "log");
    }
    if method("publickey") {
        scene.say(Gate::Auth, "log.method", "publickey", "", "", "log");
    }
    if let Some(i) = accepted
        && let (Some(a), Some(b)) = (lead.lines.get(i).and_then(|l| l.at), lead.last)
    {
        let value = if b.0 - a.0 < 2_500_000 {
            "moment"
        } else {
            "while"
        };
        scene.say(
            Gate::Session,
            "log.lasted",
            value,
            "",
            format!(
                "{:.1} s from login to the last line",
                (b.0 - a.0) as f64 / 1e6
            ),
            "log",
        );
    }
    if lead.says("subsystem request for sftp") {
        scene.say(Gate::Session, "log.subsystem", "sftp", "", "", "log");
    }
    let fresh = lead.last.is_none_or(|t| scene.now.0 - t.0 < RECENT);
    if !fresh || trouble {
        return;
    }
    let elsewhere = scene.question.port.is_none()
        && scene
            .seen
            .observations
            .iter()
            .any(|o| o.key == "sshd.listen" && o.value == "other-port");
    let mut state = |gate: Gate, value: &str| {
        scene
            .seen
            .observations
            .push(Observation::new(gate, "gate.state", value, "log"));
    };
    if elsewhere {
        // It got to sshd, so the other port is the one it calls.
        state(Gate::Tcp, "passed");
    }
    if lead.user.is_some() {
        for gate in [Gate::Ident, Gate::Kex, Gate::HostKey] {
            if newest.user.is_some() {
                state(gate, "passed");
            }
        }
        if accepted.is_some() {
            state(Gate::Auth, "passed");
        } else {
            state(Gate::Auth, "failed");
        }
    }
}

/// How the connection ended.
fn outcome(c: &log::Connection) -> &'static str {
    let any = |f: &dyn Fn(&log::Said) -> bool| c.lines.iter().any(f);
    if any(&|l| l.slug.starts_with("accepted")) {
        return "accepted";
    }
    if any(&|l| {
        l.text.contains("Failed password for") || l.text.contains("Failed keyboard-interactive")
    }) {
        return "denied-password";
    }
    if any(&|l| l.text.contains("drop connection") || l.text.contains("refused connect")) {
        return "dropped";
    }
    if any(&|l| {
        l.text.contains("Invalid user")
            || l.text.contains("not allowed because")
            || l.text.contains("Access denied")
    }) {
        return "refused";
    }
    if any(&|l| l.text.contains("Failed publickey")) {
        return "denied-key";
    }
    if any(&|l| l.text.contains("authenticating user") || l.text.contains("invalid user")) {
        return "gave-up";
    }
    if c.user.is_some() {
        "refused"
    } else {
        "closed-early"
    }
}

/// The first absolute path in a message.
fn path_in(text: &str) -> String {
    let at = text
        .find(" /")
        .map(|i| i + 1)
        .or_else(|| text.starts_with('/').then_some(0))
        .or_else(|| text.find("\"/").map(|i| i + 1));
    let Some(path) = at.and_then(|i| text.get(i..)) else {
        return String::new();
    };
    let end = path.find([' ', '"', ',']).unwrap_or(path.len());
    path.get(..end)
        .unwrap_or_default()
        .trim_end_matches(':')
        .to_owned()
}

/// What the configuration and the account say to this user.
fn policy(scene: &mut Scene<'_>) {
    let user = scene.question.user.clone().unwrap_or_default();
    let Some(account) = scene.account.clone() else {
        scene.say(
            Gate::Auth,
            "user.exists",
            "no",
            user.clone(),
            format!("no account {user:?} in /etc/passwd or any name service"),
            "/etc/passwd",
        );
        return;
    };
    scene.say(
        Gate::Auth,
        "user.exists",
        "yes",
        user.clone(),
        format!("uid {}", account.uid),
        account.source,
    );
    let who = access::Account {
        name: account.name.clone(),
        uid: account.uid,
        groups: account.groups.clone(),
    };
    if let Some(r) = access::refused(&scene.effective, &who, &scene.connection) {
        let place =
            r.at.first()
                .map(|p| scene.config.place(*p))
                .unwrap_or_default();
        let (_, line) = scene.set_at(r.keyword);
        let text = match &r.pattern {
            Some(p) => format!("{} {p} keeps {user} out ({line})", r.keyword),
            None => format!(
                "{} {} does not let {user} in ({line})",
                r.keyword,
                r.values.join(" ")
            ),
        };
        let value = match r.keyword {
            "PermitRootLogin" => "root-no",
            "RefuseConnection" => "refuse",
            _ => "refused",
        };
        scene.say(Gate::Auth, "conf.lists", value, r.keyword, text, place);
    }
    let methods = access::methods(&scene.effective, &who);
    for (keyword, method) in [
        ("PasswordAuthentication", "password"),
        ("PubkeyAuthentication", "publickey"),
        ("KbdInteractiveAuthentication", "keyboard-interactive"),
    ] {
        let (place, line) = scene.set_at(keyword);
        let value = if scene.effective.is(keyword, "yes") {
            "on"
        } else {
            "off"
        };
        scene.say(Gate::Auth, "conf.method", value, method, line, place);
    }
    if account.uid == 0
        && matches!(
            scene.effective.value("PermitRootLogin"),
            "without-password" | "forced-commands-only"
        )
    {
        let (place, line) = scene.set_at("PermitRootLogin");
        scene.say(
            Gate::Auth,
            "conf.root",
            "key-only",
            "PermitRootLogin",
            line,
            place,
        );
    }
    if let Some(chains) = access::chains(&scene.effective, &methods) {
        let (place, line) = scene.set_at("AuthenticationMethods");
        let value = match chains.as_slice() {
            [] => "impossible",
            c if c.iter().all(|c| c.contains(',')) => "several",
            _ => "one",
        };
        scene.say(
            Gate::Auth,
            "conf.chain",
            value,
            chains.join(" "),
            line,
            place,
        );
    }
    if scene.effective.number("LoginGraceTime") > 0 && scene.effective.number("LoginGraceTime") < 15
    {
        let (place, line) = scene.set_at("LoginGraceTime");
        scene.say(
            Gate::Auth,
            "conf.grace",
            "short",
            "LoginGraceTime",
            line,
            place,
        );
    }
    if scene.effective.number("MaxAuthTries") <= 2 {
        let (place, line) = scene.set_at("MaxAuthTries");
        scene.say(Gate::Auth, "conf.tries", "few", "MaxAuthTries", line, place);
    }
    shadow(scene, &account);
    session::account(scene, &account);
}

fn shadow(scene: &mut Scene<'_>, account: &Account) {
    let Some(s) = account.shadow.clone() else {
        if scene.machine.text("/etc/shadow").is_err() {
            scene.seen.blind.push("/etc/shadow cannot be read: run it as root to know whether the account is locked or expired".to_owned());
        }
        return;
    };
    let user = account.name.as_str();
    let source = "/etc/shadow";
    let today = scene.now.secs().div_euclid(86_400);
    let value = match &s {
        s if s.is_empty() => "empty",
        s if s.hash.starts_with('!') => "locked",
        s if s.is_locked() => "none",
        _ => "set",
    };
    let text = match value {
        "locked" => format!("{user}'s password is locked (it begins with ! in /etc/shadow)"),
        "none" => format!("{user} has no password that could be right (* in /etc/shadow)"),
        "empty" => format!("{user} has an empty password"),
        _ => format!("{user} has a password"),
    };
    scene.say(Gate::Auth, "user.password", value, user, text, source);
    if !scene.uses_pam() && s.hash.starts_with('!') {
        scene.say(
            Gate::Auth,
            "user.lock-counts",
            "yes",
            user,
            "UsePAM is off: sshd itself refuses locked accounts, keys included",
            source,
        );
    }
    let day = |d: i64| {
        let c = Time(d.saturating_mul(86_400_000_000)).civil();
        format!("{:04}-{:02}-{:02}", c.year, c.month, c.day)
    };
    if let Some(e) = s.expire.filter(|e| *e > 0 && today >= *e) {
        scene.say(
            Gate::Account,
            "user.account",
            "expired",
            user,
            format!("the account expired on {}", day(e)),
            source,
        );
    }
    let max = s.max.filter(|m| *m >= 0 && *m < 99_999);
    match (s.last, max) {
        (Some(0), _) => scene.say(
            Gate::Account,
            "user.password-age",
            "must-change",
            user,
            "the password must be changed at the next login (chage -d 0)",
            source,
        ),
        (Some(last), Some(max)) if today > last + max => {
            let dead = s.inactive.is_some_and(|i| i >= 0 && today > last + max + i);
            if dead {
                scene.say(
                    Gate::Account,
                    "user.account",
                    "expired",
                    user,
                    format!(
                        "the password ran out on {} and the account with it",
                        day(last + max)
                    ),
                    source,
                );
            } else {
                scene.say(
                    Gate::Account,
                    "user.password-age",
                    "expired",
                    user,
                    format!("the password ran out on {}", day(last + max)),
                    source,
                );
            }
        }
        _ => {}
    }
}
