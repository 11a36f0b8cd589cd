//! Facts of the machine with the sshd, each an observation: nothing here judges.
//!
//! [`look`] walks the gates from the inside, in their order. What needs root and has none, or what a folder cannot tell,
//! is named in [`Seen::blind`].

pub use network::address;

pub mod accounts;
mod arguments;
mod attempts;
mod check;
pub mod daemon;
mod kernel;
mod keys;
pub mod log;
pub mod logging;
pub mod machine;
mod network;
pub mod never;
mod packet_filter;
mod policy;
mod resolver;
mod running;
mod sandbox;
pub mod session;
mod sockets;
mod startup;
mod unit_failure;
mod units;

use accounts::Account;
use daemon::{Listener, Process};
use log::Log;
use machine::Machine;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::config::effective::{Effective, effective};
use sshwhy_core::config::parse::{Config, parse};
use sshwhy_core::config::{self, Connection};
use sshwhy_core::observation::Observation;
use sshwhy_core::time::{Time, Zone};
use std::net::IpAddr;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub user: Option<String>,
    pub from: Option<IpAddr>,
    /// The port the client calls.
    pub port: Option<u16>,
    /// The address of this machine that the client calls, where it said so.
    pub to: Option<IpAddr>,
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

/// What all the looks share.
pub(crate) struct Scene<'a> {
    pub machine: &'a Machine,
    pub question: &'a Question,
    pub now: Time,
    pub zone: &'a Zone,
    /// The file that sshd reads first.
    pub config_file: String,
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
                config::effective::Why::Later => "is replaced by a later line".to_owned(),
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

    /// The name of the files of PAM's rules (PAMServiceName, since 9.8).
    pub fn pam_service(&self) -> &str {
        match self.effective.value("PAMServiceName") {
            "" => "sshd",
            name => name,
        }
    }
}

/// The address of this machine that the client's connections come to (Match LocalAddress): the one that it says it calls, where
/// that is one of ours and no translator stands between; else the only one of the client's family.
fn called(machine: &Machine, question: &Question) -> Option<IpAddr> {
    let own = daemon::own_addresses(machine);
    let from = question.from?;
    question.to.filter(|to| own.contains(to)).or_else(|| {
        let mut same = own
            .iter()
            .filter(|ip| ip.is_ipv4() == from.is_ipv4() && ip.is_loopback() == from.is_loopback());
        let first = same.next()?;
        same.next().is_none().then_some(*first)
    })
}

/// Looks at everything that has to do with this login.
pub fn look(machine: &Machine, question: &Question, zone: &Zone, now: Time) -> Seen {
    if question.from.is_some() {
        packet_filter::begin(machine);
    }
    let mut processes = if machine.is_running() {
        daemon::processes(machine)
    } else {
        Vec::new()
    };
    let listeners = daemon::listeners(machine, &processes);
    // Of several daemons it is about the one that has the port.
    let port = question.port.unwrap_or(22);
    let serves = |p: &Process| {
        p.is_listener()
            && listeners
                .iter()
                .any(|l| l.port == port && l.pid == Some(p.pid))
    };
    processes.sort_by_key(|p| !serves(p));
    let running = processes.iter().find(|p| p.is_listener());
    let binary = daemon::binary(machine, running);
    let release = binary.as_ref().and_then(|b| b.release).unwrap_or((9, 2));
    let file = running
        .and_then(|p| arguments::file(&p.title))
        .unwrap_or_else(|| "/etc/ssh/sshd_config".to_owned());
    let typed = running.map(|p| arguments::settings(&p.title));
    // Include is how the file follows; releases before it are read without what was typed.
    let typed = typed.filter(|t| !t.is_empty() && release >= (8, 2));
    let parsed = match (running, typed) {
        (Some(p), Some(settings)) => {
            let files = arguments::WithArguments::new(machine, p.pid, &settings, &file);
            parse(&files, &files.name, release, "/")
        }
        _ => parse(machine, &file, release, "/"),
    };
    let accounts = accounts::all(machine);
    let account = question
        .user
        .as_deref()
        .and_then(|u| accounts::find(machine, u));
    let from = question.from.map(|f| f.to_string());
    let connection = Connection {
        user: question.user.clone(),
        groups: account
            .as_ref()
            .map(|a| a.groups.clone())
            .unwrap_or_default(),
        host: from.clone(),
        addr: from,
        laddr: called(machine, question).map(|a| a.to_string()),
        lport: Some(port),
        invalid_user: question.user.is_some() && account.is_none(),
        ..Connection::default()
    };
    let effective_now = effective(&parsed, Some(&connection));
    let wanted = log::Wanted {
        user: question.user.clone(),
        from: question.from,
        own_file: running.and_then(|p| arguments::log_file(&p.title)),
    };
    let log = log::read(machine, zone, now, &wanted);
    let mut scene = Scene {
        machine,
        question,
        now,
        zone,
        config_file: file,
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
    let root = machine.owner("/proc/self") == Some(0);
    if machine.is_live() && !root {
        scene.seen.blind.push(
            "which process listens where, and other people's keys: run it as root to see them"
                .to_owned(),
        );
    }
    if let Some(b) = &binary {
        scene.seen.notes.push(format!("{} {}", b.path, b.text));
    }
    check::configuration(&mut scene, binary.as_ref());
    running::running_daemon(&mut scene, binary.as_ref());
    units::units(&mut scene);
    kernel::look(&mut scene);
    network::look(&mut scene, binary.as_ref());
    resolver::look(&mut scene);
    attempts::attempts(&mut scene);
    check::mended(&mut scene);
    if scene.question.user.is_some() {
        policy::policy(&mut scene);
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
