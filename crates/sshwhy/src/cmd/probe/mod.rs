//! `probe`: why can't I get in? Reads what ssh said, looks at this machine, walks the way to the server, and judges.

mod auth;
mod hops;
mod near;
mod talk;
mod way;

use super::both_sides;
use super::reading::now;
use super::report::{print, width};
use crate::cli::{Probe as Args, ProbeFormat};
use crate::client::{self, Config};
use crate::exit::Exit;
use crate::sys::Dial;
use auth::Deeper;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::diagnose::{Case, Diagnosis, diagnose};
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::command::{self, Command, Program};
use sshwhy_core::probe::redact::Redactor;
use sshwhy_core::probe::sshlog;
use sshwhy_core::render::probe::{Target, to_json, to_text};
use std::io::{IsTerminal, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A log of `ssh -v` is read up to here.
const MOST_LOG: u64 = 16 << 20;

pub fn run(args: Args) -> Result<Exit, String> {
    let words = typed(&args.words);
    let command = command::parse(&words)?;
    let mut notes = Vec::new();
    let (log, output) = log(&args, &words, &command)?;
    let mut observations = log
        .as_deref()
        .map(|text| sshlog::read(text, Some(&command)))
        .unwrap_or_default();
    observations.extend(sshlog::output(&output, &observations));
    let mut probe = Probe::new(&args, &command);
    probe.configuration(&mut notes);
    probe.target();
    if !probe.stopped_by_configuration(&observations) {
        probe.keys();
        if !args.offline {
            probe.deeper = auth::deeper(args.depth, &observations);
            probe.way(&observations);
        }
    }
    notes.append(&mut probe.notes);
    observations.append(&mut probe.out);
    if let Some(server) = &args.server {
        match both_sides::ask(server, &observations) {
            Ok(told) => {
                observations = told.observations;
                notes.extend(told.blind);
            }
            Err(why) => notes.push(why),
        }
    }

    let mut case = Case {
        user: probe.user.clone(),
        host: Some(probe.host.clone()),
        port: Some(probe.port),
        addr: probe.addr.map(|a| a.ip().to_string()),
        client_addr: probe.source.map(|ip| ip.to_string()),
    };
    let mut target = Target {
        user: probe.user.clone(),
        host: probe.host.clone(),
        port: probe.port,
        program: command.program.name(),
    };
    if args.redact {
        redact(
            &mut case,
            &mut target,
            &mut observations,
            &mut notes,
            &command,
            args.via.as_ref(),
        );
    }
    let diagnosis = diagnose(&case, &observations);
    show(args.format, &target, &diagnosis, &observations, &notes)?;
    Ok(Exit::of(&diagnosis.findings, false))
}

/// The words after our own options; a `--` before or between them is ours.
fn typed(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    if words.first().is_some_and(|w| w == "--") {
        words.remove(0);
    }
    words
}

/// What ssh wrote to standard error, and, where it was run here, what came out of its session.
fn log(
    args: &Args,
    words: &[String],
    command: &Command,
) -> Result<(Option<String>, String), String> {
    if let Some(path) = &args.ssh_log {
        let mut bytes = Vec::new();
        let read = if path.as_os_str() == "-" {
            std::io::stdin()
                .lock()
                .take(MOST_LOG)
                .read_to_end(&mut bytes)
        } else {
            std::fs::File::open(path).and_then(|f| f.take(MOST_LOG).read_to_end(&mut bytes))
        };
        read.map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        return Ok((Some(text), String::new()));
    }
    if !args.run {
        return Ok((None, String::new()));
    }
    let program = command.program.name();
    let named = words.first().is_some_and(|w| {
        w.rsplit('/').next().is_some_and(|w| {
            [Program::Ssh, Program::Scp, Program::Sftp]
                .iter()
                .any(|p| p.name() == w)
        })
    });
    let mut arguments = vec!["-v".to_owned()];
    arguments.extend(words.iter().skip(usize::from(named)).cloned());
    let limit = Duration::from_secs(u64::from(args.timeout) * 4);
    let ran = client::run(program, &arguments, limit)
        .map_err(|e| format!("cannot run {program}: {e}"))?;
    Ok((Some(ran.err), ran.out))
}

struct Probe<'a> {
    args: &'a Args,
    command: &'a Command,
    stage: Duration,
    config: Config,
    config_failed: bool,
    user: Option<String>,
    host: String,
    port: u16,
    addr: Option<SocketAddr>,
    source: Option<IpAddr>,
    /// BindAddress: from where ssh would call.
    bind: Option<IpAddr>,
    /// What a login is to find out.
    deeper: Deeper,
    notes: Vec<String>,
    out: Vec<Observation>,
}

impl<'a> Probe<'a> {
    fn new(args: &'a Args, command: &'a Command) -> Probe<'a> {
        Probe {
            args,
            command,
            stage: Duration::from_secs(u64::from(args.timeout)),
            config: Config::default(),
            config_failed: false,
            user: command.user.clone(),
            host: command.host.clone(),
            port: command.port.unwrap_or(22),
            addr: None,
            source: None,
            bind: None,
            deeper: Deeper::No,
            notes: Vec::new(),
            out: Vec::new(),
        }
    }

    /// The same question, with nothing seen yet: for looks that go on at the same time.
    fn again(&self) -> Probe<'a> {
        Probe {
            config: self.config.clone(),
            user: self.user.clone(),
            host: self.host.clone(),
            port: self.port,
            addr: self.addr,
            source: self.source,
            bind: self.bind,
            ..Probe::new(self.args, self.command)
        }
    }

    fn see(&mut self, gate: Gate, key: &'static str, value: &str, about: &str, text: String) {
        let source = format!("probe:{}", gate.name());
        self.out.push(
            Observation::new(gate, key, value, source)
                .about(about)
                .text(text)
                .at(Some(now())),
        );
    }

    /// The same with the time it took.
    fn timed(
        &mut self,
        gate: Gate,
        key: &'static str,
        value: &str,
        about: &str,
        text: String,
        ms: u64,
    ) {
        self.see(gate, key, value, about, text);
        if let Some(last) = self.out.last_mut() {
            last.ms = Some(ms);
        }
    }

    fn state(&mut self, gate: Gate, passed: bool) {
        let value = if passed { "passed" } else { "failed" };
        self.see(gate, "gate.state", value, "", String::new());
    }

    fn configuration(&mut self, notes: &mut Vec<String>) {
        match client::configuration(self.command) {
            Ok(config) => self.config = config,
            Err(complaint) => {
                let mut said = sshlog::read(&complaint, Some(self.command));
                for o in &mut said {
                    "ssh_config".clone_into(&mut o.source);
                }
                self.config_failed = said
                    .iter()
                    .any(|o| o.key == "client.config" || o.key == "client.destination");
                if said.is_empty() {
                    notes.push(format!(
                        "ssh_config was not taken into account: {complaint}"
                    ));
                }
                self.out.append(&mut said);
            }
        }
        if let Some(user) = self.config.first("user") {
            self.user = Some(user.to_owned());
        }
        if let Some(host) = self.config.first("hostname") {
            host.clone_into(&mut self.host);
        }
        if let Some(port) = self.config.first("port").and_then(|p| p.parse().ok()) {
            self.port = port;
        }
        self.bind = self
            .config
            .first("bindaddress")
            .and_then(|a| a.parse().ok());
    }

    /// How this client calls.
    fn dialling(&self) -> Dial {
        Dial {
            bind: self.bind,
            ..Dial::default()
        }
    }

    fn target(&mut self) {
        let from = |key: &str| {
            self.config
                .place(key)
                .filter(|p| *p != "command-line")
                .map(|p| format!(" ({p})"))
                .unwrap_or_default()
        };
        let (from_user, from_host, from_port) = (from("user"), from("hostname"), from("port"));
        if let Some(user) = self.user.clone() {
            let text = format!("user {user}{from_user}");
            self.see(Gate::Name, "target.user", &user, "", text);
            if user == "root" {
                self.see(Gate::Auth, "auth.root", "yes", "", String::new());
            }
        }
        let (host, port) = (self.host.clone(), self.port.to_string());
        let text = format!("host {host}{from_host}");
        self.see(Gate::Name, "target.host", &host, "", text);
        let text = format!("port {port}{from_port}");
        self.see(Gate::Name, "target.port", &port, "", text);
        let program = self.command.program.name();
        self.see(Gate::Session, "target.command", program, "", String::new());
    }

    fn stopped_by_configuration(&self, log: &[Observation]) -> bool {
        self.config_failed || log.iter().any(|o| o.key == "client.config")
    }

    fn keys(&mut self) {
        let now = u64::try_from(now().secs()).unwrap_or(0);
        let mut seen = client::keys(&self.config, self.user.as_deref(), now);
        seen.extend(client::agent(&self.config));
        seen.extend(client::control_socket(&self.config));
        if self.config.is_known() {
            seen.extend(client::intentions(
                &self.config,
                !self.command.remote.is_empty(),
            ));
        }
        self.out.append(&mut seen);
    }
}

fn on_path(program: &str) -> bool {
    if program.contains('/') {
        return std::path::Path::new(program).exists();
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn is_shell_builtin(word: &str) -> bool {
    [
        "cd", "eval", "test", "command", "true", "false", ".", "source", "if", "for", "while",
    ]
    .contains(&word)
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// An error without Rust's number behind it.
fn plain_error(e: &std::io::Error) -> String {
    let text = match e.kind() {
        std::io::ErrorKind::TimedOut => "Connection timed out".to_owned(),
        _ => e.to_string(),
    };
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn redact(
    case: &mut Case,
    target: &mut Target,
    observations: &mut [Observation],
    notes: &mut [String],
    command: &Command,
    via: Option<&String>,
) {
    let mut r = Redactor::default();
    r.hide(&target.host, "HOST");
    r.hide(&command.host, "HOST");
    if let Some(user) = &target.user {
        r.hide(user, "USER");
    }
    for name in ["USER", "LOGNAME", "USERNAME"] {
        if let Ok(user) = std::env::var(name) {
            r.hide(&user, "ME");
        }
    }
    if let Some(name) = client::home().and_then(|h| Some(h.file_name()?.to_str()?.to_owned())) {
        r.hide(&name, "ME");
    }
    // Hops, wherever they were named: typed, in a configuration, after `--via`.
    let mut hops: Vec<String> = command.jump.iter().chain(via).cloned().collect();
    for o in observations.iter() {
        let agents = o.key == "auth.key" && o.about.contains('@') && !o.about.starts_with('/');
        if matches!(o.key.as_str(), "proxy.jump" | "via.connect") || agents {
            hops.push(o.about.clone());
        }
        match o.key.as_str() {
            "name.lookup" => r.hide(&o.about, "HOST"),
            "target.host" => r.hide(&o.value, "HOST"),
            _ => {}
        }
    }
    for hop in hops
        .iter()
        .flat_map(|h| h.split([',', '@', ':', '[', ']', ' ']))
    {
        if !matches!(hop, "ok" | "failed" | "used" | "ssh") && hop.parse::<u16>().is_err() {
            r.hide(hop, "HOP");
        }
    }
    r.case(case);
    target.host = r.text(&target.host);
    target.user = target.user.as_ref().map(|u| r.text(u));
    for o in observations {
        r.observation(o);
    }
    for note in notes {
        *note = r.text(note);
    }
}

fn show(
    format: ProbeFormat,
    target: &Target,
    diagnosis: &Diagnosis,
    observations: &[Observation],
    notes: &[String],
) -> Result<(), String> {
    let text = match format {
        ProbeFormat::Json => to_json(target, diagnosis, observations, notes),
        ProbeFormat::Text => {
            let width = width(std::io::stdout().is_terminal());
            to_text(target, diagnosis, observations, notes, width)
        }
    };
    print(text.as_bytes())
}
