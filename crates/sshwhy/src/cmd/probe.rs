//! `probe`: why can't I get in? Reads what ssh said, looks at this machine, walks the way to the server, and judges.

use super::reading::now;
use super::report::print;
use crate::cli::{Probe as Args, ProbeFormat};
use crate::client::{self, Config};
use crate::exit::Exit;
use crate::net;
use crate::sys::{Dial, Icmp};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::diagnose::{Case, Diagnosis, diagnose};
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::command::{self, Command, Program};
use sshwhy_core::probe::exchange::{Depth, Exchange, Phase};
use sshwhy_core::probe::keyfile::fingerprint;
use sshwhy_core::probe::known_hosts::{self, Check};
use sshwhy_core::probe::redact::Redactor;
use sshwhy_core::probe::sshlog;
use sshwhy_core::render::probe::{Target, to_json, to_text};
use sshwhy_core::wire::{dns, ident};
use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A log of `ssh -v` is read up to here.
const MOST_LOG: u64 = 16 << 20;

pub fn run(args: Args) -> Result<Exit, String> {
    let words = typed(&args.words);
    let command = command::parse(&words)?;
    let mut notes = Vec::new();
    let log = log(&args, &words, &command)?;
    let mut observations = log
        .as_deref()
        .map(|text| sshlog::read(text, Some(&command)))
        .unwrap_or_default();
    let mut probe = Probe::new(&args, &command);
    probe.configuration(&mut notes);
    probe.target();
    if !probe.stopped_by_configuration(&observations) {
        probe.keys();
        if !args.offline {
            probe.way(&observations);
        }
    }
    observations.append(&mut probe.out);

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

fn log(args: &Args, words: &[String], command: &Command) -> Result<Option<String>, String> {
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
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    if !args.run {
        return Ok(None);
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
    Ok(Some(ran.err))
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
            out: Vec::new(),
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
            Err(Some(complaint)) => {
                let mut said = sshlog::read(&complaint, Some(self.command));
                for o in &mut said {
                    "ssh -G".clone_into(&mut o.source);
                }
                self.config_failed = said
                    .iter()
                    .any(|o| o.key == "client.config" || o.key == "client.destination");
                self.out.append(&mut said);
                if !self.config_failed {
                    notes
                        .push("ssh -G failed, so ssh_config was not taken into account".to_owned());
                }
            }
            Err(None) => notes.push(
                "no ssh on this machine to ask for its configuration; only what was typed counts"
                    .to_owned(),
            ),
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
    }

    fn target(&mut self) {
        if let Some(user) = self.user.clone() {
            self.see(Gate::Name, "target.user", &user, "", String::new());
            if user == "root" {
                self.see(Gate::Auth, "auth.root", "yes", "", String::new());
            }
        }
        let (host, port) = (self.host.clone(), self.port.to_string());
        self.see(Gate::Name, "target.host", &host, "", String::new());
        self.see(Gate::Name, "target.port", &port, "", String::new());
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
            seen.extend(client::intentions(&self.config));
        }
        self.out.append(&mut seen);
    }

    /// From a name to a host key, as far as it goes.
    fn way(&mut self, log: &[Observation]) {
        let jump = self.command.jump.clone().or_else(|| {
            let configured = self.config.first("proxyjump").filter(|j| *j != "none");
            configured.map(str::to_owned)
        });
        if let Some(jump) = jump.filter(|j| j != "none") {
            self.jump(&jump);
            return;
        }
        let proxy = self.config.first("proxycommand").filter(|c| *c != "none");
        if let Some(proxy) = proxy.map(str::to_owned) {
            self.proxy(&proxy);
            return;
        }
        let family = self
            .command
            .family
            .or(match self.config.first("addressfamily") {
                Some("inet") => Some(4),
                Some("inet6") => Some(6),
                _ => None,
            });
        let Some(addrs) = self.names(family) else {
            return;
        };
        let Some(first) = addrs.first().copied() else {
            return;
        };
        self.addr = Some(first);
        if !self.routes(&addrs) {
            return;
        }
        let wait = self
            .config
            .first("connecttimeout")
            .and_then(|t| t.parse::<u64>().ok())
            .filter(|t| *t > 0)
            .map_or(self.stage, |t| self.stage.min(Duration::from_secs(t)));
        let mut reached = net::reach(&addrs, Dial::default(), wait);
        for r in &reached {
            let socket = r.addr.to_string();
            let word = net::word(&r.dialled);
            let ms = millis(r.dialled.took);
            let text = match &r.dialled.result {
                Ok(_) => format!("{socket}: connected"),
                Err(e) => format!("{socket}: {}", plain_error(e)),
            };
            self.timed(Gate::Tcp, "tcp.connect", word, &socket, text, ms);
            if let Some(icmp) = r.dialled.icmp {
                self.icmp(r.addr, icmp);
            }
            let local = matches!(
                r.dialled.result.as_ref().map_err(std::io::Error::kind),
                Err(std::io::ErrorKind::PermissionDenied)
            );
            if local {
                let text = format!("{socket}: this machine itself refuses to send");
                self.see(Gate::Tcp, "tcp.local-refusal", "permission", &socket, text);
            }
        }
        let words: Vec<(SocketAddr, &'static str, Duration)> = reached
            .iter()
            .map(|r| (r.addr, net::word(&r.dialled), r.dialled.took))
            .collect();
        self.together(&words, log);
        let alive = reached.iter().position(|r| r.dialled.result.is_ok());
        self.state(Gate::Tcp, alive.is_some());
        if alive.is_some() {
            self.state(Gate::Route, true);
        }
        match alive {
            Some(i) => {
                let r = reached.swap_remove(i);
                self.addr = Some(r.addr);
                if let Ok(stream) = r.dialled.result {
                    self.talk(stream, r.addr, log);
                }
            }
            None => self.look_around(&words),
        }
        self.known_addresses(&addrs);
        if let Some(via) = self.args.via.clone() {
            self.via(&via);
        }
    }

    fn names(&mut self, family: Option<u8>) -> Option<Vec<SocketAddr>> {
        let host = self.host.clone();
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            self.see(
                Gate::Name,
                "name.source",
                "literal",
                &host,
                format!("{host} is an address"),
            );
            self.state(Gate::Name, true);
            return Some(vec![SocketAddr::new(ip, self.port)]);
        }
        let start = std::time::Instant::now();
        let found = net::lookup(&host, self.port, family);
        let ms = millis(start.elapsed());
        let addrs = match found {
            Err(error) => {
                let word = match error.to_ascii_lowercase() {
                    e if e.contains("temporary failure") || e.contains("non-recoverable") => {
                        "no-server"
                    }
                    e if e.contains("no address") => "no-address",
                    e if e.contains("not known")
                        || e.contains("does not")
                        || e.contains("no such") =>
                    {
                        "nxdomain"
                    }
                    _ => "error",
                };
                self.timed(
                    Gate::Name,
                    "name.lookup",
                    word,
                    &host,
                    format!("{host}: {error}"),
                    ms,
                );
                self.state(Gate::Name, false);
                return None;
            }
            Ok(addrs) if addrs.is_empty() => {
                let text = format!("{host} has no address of the family that was asked for");
                self.timed(Gate::Name, "name.lookup", "no-address", &host, text, ms);
                self.state(Gate::Name, false);
                return None;
            }
            Ok(addrs) => addrs,
        };
        let list: Vec<String> = addrs.iter().map(|a| a.ip().to_string()).collect();
        let text = format!("{host} is {}", list.join(", "));
        self.timed(Gate::Name, "name.lookup", "ok", &host, text, ms);
        for (i, addr) in addrs.iter().enumerate() {
            let family = if addr.is_ipv4() { "4" } else { "6" };
            let text = format!("{host} is {} ({} of {})", addr.ip(), i + 1, addrs.len());
            self.see(
                Gate::Name,
                "name.address",
                family,
                &addr.ip().to_string(),
                text,
            );
        }
        self.state(Gate::Name, true);
        self.hosts_file(&host);
        Some(addrs)
    }

    /// /etc/hosts against what DNS itself says.
    fn hosts_file(&mut self, host: &str) {
        let lines = client::hosts_file(host);
        if lines.is_empty() {
            return;
        }
        let servers = client::name_servers();
        let wait = self.stage.min(Duration::from_secs(2));
        let said = net::ask_dns(&servers, host, wait);
        for (line, ip) in lines {
            if ip.is_loopback() {
                continue;
            }
            let (word, text) = match &said {
                Some(dns::Answer::Addresses(all)) if all.contains(&ip) => {
                    ("agrees", "DNS says the same".to_owned())
                }
                Some(dns::Answer::Addresses(all)) if !all.is_empty() => {
                    let all: Vec<String> = all.iter().map(IpAddr::to_string).collect();
                    ("differs", format!("DNS says {}", all.join(", ")))
                }
                _ => ("dns-silent", "DNS knows no address for it".to_owned()),
            };
            let text = format!("/etc/hosts line {line}: {host} is {ip}; {text}");
            self.see(Gate::Name, "name.hosts-file", word, &ip.to_string(), text);
            if let Some(last) = self.out.last_mut() {
                last.source = format!("/etc/hosts:{line}");
            }
        }
    }

    fn routes(&mut self, addrs: &[SocketAddr]) -> bool {
        let mut any = false;
        for addr in addrs {
            let (word, text, source) = net::route(*addr);
            let ip = addr.ip().to_string();
            // An IPv6 address without a route is nothing wrong where there is an IPv4 one with a route.
            if word != "ok" && addrs.iter().any(|a| net::route(*a).0 == "ok") {
                continue;
            }
            any |= word == "ok";
            let text = match source {
                Some(source) => format!("{ip} is called from {source}"),
                None => format!("{ip}: {text} on this machine"),
            };
            self.see(Gate::Route, "route.lookup", word, &ip, text);
            if let (Some(source), None) = (source, self.source) {
                self.source = Some(source);
                let text = source.to_string();
                self.see(Gate::Route, "route.source", &text, &ip, String::new());
            }
        }
        if !any {
            self.state(Gate::Route, false);
        }
        any
    }

    fn icmp(&mut self, addr: SocketAddr, icmp: Icmp) {
        let from = icmp.from.to_string();
        let text = format!(
            "{} answered for {}: ICMP type {} code {} ({})",
            from,
            addr.ip(),
            icmp.kind,
            icmp.code,
            icmp.word()
        );
        self.see(Gate::Tcp, "tcp.icmp", icmp.word(), &from, text.clone());
        let own = self.source.is_some_and(|s| s == icmp.from);
        let who = if icmp.from == addr.ip() {
            "target"
        } else if own {
            "self"
        } else {
            "other"
        };
        // A machine's own "host unreachable" is the neighbour that does not answer, not a filter.
        if who != "self" || icmp.word() != "host" {
            self.see(Gate::Tcp, "tcp.icmp-from", who, &from, text);
        }
    }

    /// The addresses of the name together.
    fn together(&mut self, words: &[(SocketAddr, &'static str, Duration)], log: &[Observation]) {
        let dead = |w: &str| matches!(w, "timeout" | "host-unreachable" | "prohibited");
        let any_alive = words.iter().any(|(_, w, _)| *w == "ok");
        let Some((first, word, _)) = words.first() else {
            return;
        };
        if words.len() == 1 || !any_alive {
            return;
        }
        // Where ssh was stopped on one of them, that one was dead to it, however it answers now.
        let hung = |a: &SocketAddr| {
            let socket = a.to_string();
            log.iter().any(|o| {
                o.key == "tcp.connect"
                    && o.about == socket
                    && (o.value == "started" || dead(&o.value))
            })
        };
        let first_dead = dead(word) && (*word == "timeout" || hung(first));
        let of_family = |six: bool, alive: bool| {
            words
                .iter()
                .any(|(a, w, _)| a.is_ipv6() == six && (*w == "ok") == alive)
        };
        if first_dead {
            let text = format!(
                "{} is tried first and does not answer; another address of {} does",
                first.ip(),
                self.host
            );
            if first.is_ipv6() && !of_family(true, true) && of_family(false, true) {
                self.see(
                    Gate::Tcp,
                    "tcp.dead-family",
                    "6",
                    &first.ip().to_string(),
                    text,
                );
            } else {
                self.see(
                    Gate::Tcp,
                    "tcp.addresses",
                    "first-dead",
                    &first.ip().to_string(),
                    text,
                );
            }
        } else if words.iter().any(|(_, w, _)| dead(w)) {
            let text = "an address that is not tried first does not answer".to_owned();
            self.see(Gate::Tcp, "tcp.addresses", "later-dead", "", text);
        }
    }

    fn talk(&mut self, stream: std::net::TcpStream, addr: SocketAddr, log: &[Observation]) {
        let want = self.config.list("hostkeyalgorithms");
        let exchange = Exchange::new(Depth::HostKey, &want, 0);
        let talk = net::talk(stream, exchange, self.stage);
        let first = String::from_utf8_lossy(&talk.seen.first_bytes);
        let first: String = first.chars().take(80).collect();
        let quiet_text = match talk.quiet {
            "silent" => "the server kept still until we greeted".to_owned(),
            other => format!("before we said anything: {other}"),
        };
        self.see(Gate::Ident, "ident.quiet", talk.quiet, "", quiet_text);
        if let Some(spoken) = talk.spoken {
            let text = format!("after we had greeted: {spoken}");
            self.see(Gate::Ident, "ident.spoken", spoken, "", text);
        }
        if talk.quiet == "silent" && talk.spoken == Some("reset") {
            // A server that is slow to refuse resets what it has not read; one in between only minds what is said.
            if let Some(word) = net::mute(addr, self.stage.min(Duration::from_secs(8))) {
                let text = format!("on a connection on which nothing was said: {word}");
                self.see(Gate::Ident, "ident.mute", word, "", text);
            }
        }
        for line in &talk.seen.prelude {
            if line.contains("Exceeded MaxStartups") {
                self.see(
                    Gate::Ident,
                    "ident.reason",
                    "max-startups",
                    "",
                    line.clone(),
                );
            } else if line.contains("Not allowed at this time") {
                self.see(Gate::Ident, "ident.reason", "not-allowed", "", line.clone());
            }
        }
        let took = millis(talk.took);
        let Some(greeting) = talk.seen.greeting.clone() else {
            let end = match (talk.seen.protocol, talk.end) {
                (Some(_), _) => "other-protocol",
                (None, "done") => "other-protocol",
                (None, end) => end,
            };
            let text = format!("no SSH greeting came in {took} ms; the connection ended: {end}");
            self.timed(Gate::Ident, "ident.end", end, "", text, took);
            if let Some(protocol) = talk.seen.protocol {
                let text = format!("{protocol} speaks there: {first}");
                self.see(Gate::Ident, "ident.protocol", protocol, "", text);
            } else if talk.seen.flood {
                self.see(Gate::Ident, "ident.prelude", "flood", "", first);
            } else if talk.end == "timeout" && talk.seen.prelude_lines > 1 {
                let text = format!("{} lines and no greeting: {first}", talk.seen.prelude_lines);
                self.see(Gate::Ident, "ident.prelude", "dripping", "", text);
            }
            self.state(Gate::Ident, false);
            if self.port != 22 {
                self.default_port(addr.ip());
            }
            return;
        };
        let ms = talk.greeting_ms.unwrap_or(took);
        self.timed(
            Gate::Ident,
            "ident.server",
            &greeting,
            "",
            greeting.clone(),
            ms,
        );
        self.see(Gate::Ident, "ident.end", "ok", "", String::new());
        self.state(Gate::Ident, true);
        let speaks = ident::parse(&greeting).is_some_and(|g| g.speaks_2());
        if !speaks {
            return;
        }
        self.kex(&talk, addr, log);
    }

    fn kex(&mut self, talk: &net::Talk, addr: SocketAddr, log: &[Observation]) {
        let took = millis(talk.took);
        let Some(theirs) = talk.seen.proposal.clone() else {
            let text = format!("after the greetings: {} in {took} ms", talk.end);
            let end = if talk.seen.broken {
                "protocol-error"
            } else {
                talk.end
            };
            self.timed(Gate::Kex, "kex.end", end, "", text, took);
            self.state(Gate::Kex, false);
            if talk.end == "timeout" {
                self.small_segments(addr);
            }
            return;
        };
        let ms = talk.proposal_ms.unwrap_or(took);
        let text = format!(
            "the server offers {} / {} / {}",
            theirs.kex.first().map_or("", String::as_str),
            theirs.host_key.first().map_or("", String::as_str),
            theirs.cipher_in.first().map_or("", String::as_str)
        );
        self.timed(Gate::Kex, "kex.offer", &theirs.kex.join(","), "", text, ms);
        if let Some(m) = self.config.proposal().mismatch(&theirs) {
            let text = format!(
                "{}: this client takes {}, the server offers {}",
                m.class,
                m.ours.join(","),
                m.theirs.join(",")
            );
            self.see(
                Gate::Kex,
                "kex.mismatch",
                m.class,
                &m.theirs.join(","),
                text,
            );
            self.state(Gate::Kex, false);
            return;
        }
        let stalled = log
            .iter()
            .any(|o| o.key == "kex.end" && o.value == "timeout");
        let lost = talk.phase == Phase::HostKey && talk.end == "timeout";
        if stalled || lost {
            self.small_segments(addr);
        }
        if lost {
            let text = format!("the key exchange stopped for {took} ms");
            self.timed(Gate::Kex, "kex.end", "timeout", "", text, took);
            self.state(Gate::Kex, false);
            return;
        }
        self.state(Gate::Kex, true);
        if let Some((kind, blob)) = talk.seen.host_key.clone() {
            let ms = talk.host_key_ms.unwrap_or(took);
            let print = fingerprint(&blob);
            let text = format!("{kind} {print}");
            self.timed(Gate::HostKey, "hostkey.offered", &print, &kind, text, ms);
            self.host_key(&kind, &blob);
        }
    }

    /// The server's key against known_hosts.
    fn host_key(&mut self, kind: &str, blob: &[u8]) {
        let alias = self.config.first("hostkeyalias").map(str::to_owned);
        let name = match alias {
            Some(alias) => alias.to_ascii_lowercase(),
            None => known_hosts::name(&self.host, self.port),
        };
        let entries = client::known_hosts(&self.config);
        if entries.is_empty() {
            return;
        }
        let files: BTreeSet<String> = entries.iter().map(|(f, _)| f.clone()).collect();
        let mut verdict = (Check::Unknown, String::new());
        for file in &files {
            let of_file: Vec<_> = entries
                .iter()
                .filter(|(f, _)| f == file)
                .map(|(_, e)| e.clone())
                .collect();
            let check = known_hosts::check(&of_file, &name, kind, blob);
            let rank = |c: &Check| match c {
                Check::Revoked { .. } => 3,
                Check::Match { .. } => 2,
                Check::Changed { .. } => 1,
                Check::Unknown => 0,
            };
            if rank(&check) > rank(&verdict.0) {
                verdict = (check, file.clone());
            }
        }
        let (word, line) = match verdict.0 {
            Check::Revoked { line } => ("revoked", line),
            Check::Match { line } => ("match", line),
            Check::Changed { line } => ("changed", line),
            Check::Unknown => ("unknown", 0),
        };
        let about = if line > 0 {
            format!("{}:{line}", verdict.1)
        } else {
            String::new()
        };
        let text = format!("the key that the server shows, for {name}: {word}");
        self.see(Gate::HostKey, "hostkey.check", word, &about, text);
        if word == "match" {
            self.state(Gate::HostKey, true);
        } else if word != "unknown" {
            self.state(Gate::HostKey, false);
        }
    }

    /// The same again with small segments: what gets through now and did not before was too large for the way.
    fn small_segments(&mut self, addr: SocketAddr) {
        let how = Dial {
            hops: None,
            segment: Some(480),
        };
        let d = crate::sys::dial(addr, how, self.stage);
        let Ok(stream) = d.result else { return };
        let want = self.config.list("hostkeyalgorithms");
        let talk = net::talk(stream, Exchange::new(Depth::HostKey, &want, 0), self.stage);
        if talk.seen.proposal.is_none() {
            let text = "with small segments it stops too".to_owned();
            self.see(Gate::Kex, "kex.large", "lost", "", text);
            return;
        }
        // It works with small ones; do large ones of ours arrive?
        let d = crate::sys::dial(addr, Dial::default(), self.stage);
        let Ok(stream) = d.result else { return };
        let exchange = Exchange::new(Depth::HostKey, &want, 6000);
        let wait = self.stage.min(Duration::from_secs(4));
        let large = net::talk(stream, exchange, wait);
        if large.end == "timeout" && large.phase != Phase::Greeting {
            let text =
                "with segments of 480 bytes the key exchange goes on, with full ones it stops"
                    .to_owned();
            self.see(
                Gate::Kex,
                "kex.large",
                "lost-unless-small-segments",
                "",
                text,
            );
        } else {
            self.see(
                Gate::Kex,
                "kex.large",
                "passes",
                "",
                "large packets arrive".to_owned(),
            );
        }
    }

    /// Nothing could be reached: what is near it?
    fn look_around(&mut self, words: &[(SocketAddr, &'static str, Duration)]) {
        let Some((addr, word, _)) = words.first().copied() else {
            return;
        };
        let wait = self.stage.min(Duration::from_secs(3));
        if addr.is_ipv6() && word != "refused" {
            self.other_family(addr, wait);
        }
        if self.port != 22 {
            self.default_port(addr.ip());
        } else if word == "refused" {
            self.other_ssh_ports(addr.ip());
        }
        if word == "timeout" {
            let other = SocketAddr::new(addr.ip(), if self.port == 1 { 7 } else { 1 });
            self.first_hop(addr, wait);
            let near = net::reach(&[other], Dial::default(), wait);
            for r in near {
                let value = match net::word(&r.dialled) {
                    "ok" => "open",
                    "refused" => "refused",
                    "timeout" => "timeout",
                    _ => "unreachable",
                };
                let text = format!("{other}: {value}");
                self.see(Gate::Tcp, "tcp.other-port", value, &other.to_string(), text);
            }
        } else if word == "refused" {
            self.first_hop(addr, wait);
        }
        self.local_firewall(addr);
    }

    /// Only IPv6 was tried, and it is dead: does the server greet over IPv4?
    fn other_family(&mut self, dead: SocketAddr, wait: Duration) {
        let others = net::lookup(&self.host, self.port, Some(4)).unwrap_or_default();
        if let Some(other) = others.first()
            && net::greets(*other, wait) == "ssh"
        {
            let text = format!("{} does not answer; {} does", dead.ip(), other.ip());
            self.see(
                Gate::Tcp,
                "tcp.dead-family",
                "6",
                &dead.ip().to_string(),
                text,
            );
        }
    }

    /// Packets that live for one hop: does one to this port come as far as one to another?
    fn first_hop(&mut self, addr: SocketAddr, wait: Duration) {
        let about = addr.to_string();
        if client::is_near(addr.ip()) != Some(false) {
            return;
        }
        let how = Dial {
            hops: Some(1),
            segment: None,
        };
        let other = SocketAddr::new(addr.ip(), if self.port == 1 { 7 } else { 1 });
        let wait = wait.min(Duration::from_secs(2));
        let mut tries = net::reach(&[addr, other], how, wait).into_iter();
        let (Some(this), Some(that)) = (tries.next(), tries.next()) else {
            return;
        };
        let over = |r: &net::Reached| r.dialled.icmp.is_some_and(Icmp::is_time_exceeded);
        let (word, text) = if net::word(&this.dialled) == "refused" {
            (
                "refused",
                "refused within the first hop, by this machine or the first router",
            )
        } else if over(&this) {
            ("passes", "a packet to this port reaches the first router")
        } else if over(&that) {
            (
                "this-port-silent",
                "a packet to another port reaches the first router, one to this port does not",
            )
        } else {
            ("silent", "the first router does not say")
        };
        let text = format!("{about}: {text}");
        self.see(Gate::Tcp, "tcp.first-hop", word, &about, text);
    }

    fn default_port(&mut self, ip: IpAddr) {
        let addr = SocketAddr::new(ip, 22);
        let wait = self.stage.min(Duration::from_secs(3));
        let word = net::greets(addr, wait);
        let text = match word {
            "ssh" => format!(
                "an SSH server answers at port 22 of {ip}, not at {}",
                self.port
            ),
            other => format!("port 22 of {ip}: {other}"),
        };
        self.see(Gate::Tcp, "tcp.default-port", word, &addr.to_string(), text);
    }

    /// The ports at which this client has known the host, and the usual second one.
    fn other_ssh_ports(&mut self, ip: IpAddr) {
        let mut ports: Vec<u16> = Vec::new();
        let hosts = [self.host.to_ascii_lowercase(), ip.to_string()];
        for (_, entry) in client::known_hosts(&self.config) {
            for name in entry.names() {
                if let Some((host, port)) = name.strip_prefix('[').and_then(|n| n.split_once("]:"))
                    && hosts.iter().any(|h| h == host)
                    && let Ok(port) = port.parse()
                    && !ports.contains(&port)
                    && ports.len() < 4
                {
                    ports.push(port);
                }
            }
        }
        for usual in [2222, 22222] {
            if !ports.contains(&usual) {
                ports.push(usual);
            }
        }
        let wait = self.stage.min(Duration::from_secs(3));
        for port in ports {
            let addr = SocketAddr::new(ip, port);
            if net::greets(addr, wait) == "ssh" {
                let text = format!("an SSH server answers at port {port} of {ip}");
                self.see(Gate::Tcp, "tcp.ssh-port", "ssh", &addr.to_string(), text);
                return;
            }
        }
    }

    /// Addresses that known_hosts keeps for the same name, where the name leads elsewhere now.
    fn known_addresses(&mut self, addrs: &[SocketAddr]) {
        let worked = self
            .out
            .iter()
            .any(|o| o.key == "ident.end" && o.value == "ok");
        let fine = self
            .out
            .iter()
            .all(|o| o.key != "hostkey.check" || matches!(o.value.as_str(), "match" | "unknown"));
        if worked && fine {
            return;
        }
        let name = known_hosts::name(&self.host, self.port);
        // An address of the other family is no other place: the name still leads there.
        let every = net::lookup(&self.host, self.port, None).unwrap_or_default();
        let mut known: Vec<IpAddr> = Vec::new();
        for (_, entry) in client::known_hosts(&self.config) {
            if !entry.names().any(|n| n.eq_ignore_ascii_case(&name)) {
                continue;
            }
            for other in entry.names() {
                let other = other
                    .strip_prefix('[')
                    .and_then(|n| n.split_once("]:"))
                    .map_or(other, |(h, _)| h);
                if let Ok(ip) = other.parse()
                    && !known.contains(&ip)
                    && !addrs.iter().chain(&every).any(|a| a.ip() == ip)
                    && known.len() < 4
                {
                    known.push(ip);
                }
            }
        }
        let wait = self.stage.min(Duration::from_secs(3));
        for ip in known {
            let about = ip.to_string();
            let now: Vec<String> = addrs.iter().map(|a| a.ip().to_string()).collect();
            let text = format!(
                "known_hosts keeps {about} for {}, which leads to {} now",
                self.host,
                now.join(", ")
            );
            self.see(Gate::Name, "name.known-address", "other", &about, text);
            let word = net::greets(SocketAddr::new(ip, self.port), wait);
            let word = if word == "ssh" { "ssh" } else { "no" };
            let text = format!("{about} port {}: {word}", self.port);
            self.see(Gate::Name, "name.known-address-answers", word, &about, text);
        }
    }

    /// What this machine's own packet filter does, where it may be read.
    fn local_firewall(&mut self, addr: SocketAddr) {
        let Some((word, text)) = crate::filter::outbound(addr, self.source) else {
            return;
        };
        self.see(
            Gate::Tcp,
            "client.firewall",
            word,
            &addr.ip().to_string(),
            text,
        );
    }

    /// A jump host: is it there at all? What lies behind it can only be seen through it.
    fn jump(&mut self, jump: &str) {
        let first = jump.split(',').next().unwrap_or(jump).to_owned();
        self.see(
            Gate::Tcp,
            "proxy.jump",
            "used",
            &first,
            format!("by way of {first}"),
        );
        let mut words = vec!["ssh".to_owned()];
        if let Some(file) = &self.command.config_file {
            words.extend(["-F".to_owned(), file.clone()]);
        }
        let uri = first.contains("://");
        match first.rsplit_once(':') {
            Some((host, port)) if !uri && port.parse::<u16>().is_ok() && !host.ends_with(':') => {
                words.extend(["-p".to_owned(), port.to_owned(), host.to_owned()]);
            }
            _ => words.push(first.clone()),
        }
        let Ok(command) = command::parse(&words) else {
            return;
        };
        let config = client::configuration(&command).unwrap_or_default();
        if config.first("proxyjump").is_some_and(|j| j != "none") {
            return;
        }
        let host = config.first("hostname").unwrap_or(&command.host).to_owned();
        let port = config
            .first("port")
            .and_then(|p| p.parse().ok())
            .or(command.port)
            .unwrap_or(22);
        let (ok, text) = self.hop(&host, port);
        self.see(
            Gate::Tcp,
            "proxy.jump",
            if ok { "ok" } else { "failed" },
            &first,
            text,
        );
        if !ok {
            self.state(Gate::Tcp, false);
        }
    }

    /// Whether an SSH server greets at a hop, and what else happened.
    fn hop(&self, host: &str, port: u16) -> (bool, String) {
        let addrs = match net::lookup(host, port, self.command.family) {
            Ok(addrs) if !addrs.is_empty() => addrs,
            Ok(_) => return (false, format!("{host} has no address")),
            Err(e) => return (false, format!("{host}: {e}")),
        };
        let mut last = String::new();
        for r in net::reach(&addrs, Dial::default(), self.stage) {
            match r.dialled.result {
                Ok(stream) => {
                    let talk = net::talk(stream, Exchange::new(Depth::Ident, &[], 0), self.stage);
                    return match talk.seen.greeting {
                        Some(greeting) => {
                            (true, format!("{} port {port}: {greeting}", r.addr.ip()))
                        }
                        None => (
                            false,
                            format!(
                                "{} port {port}: connected, and no SSH greeting: {}",
                                r.addr.ip(),
                                talk.end
                            ),
                        ),
                    };
                }
                Err(e) => {
                    last = format!("{host} ({}) port {port}: {}", r.addr.ip(), plain_error(&e))
                }
            }
        }
        (false, last)
    }

    fn proxy(&mut self, proxy: &str) {
        let program = proxy
            .split_whitespace()
            .find(|w| *w != "exec")
            .unwrap_or_default();
        let missing = !program.is_empty()
            && program
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c))
            && !on_path(program);
        let text = format!("ProxyCommand {proxy}");
        self.see(Gate::Tcp, "proxy.command", "used", proxy, text);
        if missing && !is_shell_builtin(program) {
            let text = format!("{program}: no such program");
            self.see(Gate::Tcp, "proxy.command", "missing", proxy, text);
            self.state(Gate::Tcp, false);
        }
    }

    /// The same address and port, as a working jump host sees them: `ssh -W` carries the server's greeting.
    fn via(&mut self, via: &str) {
        let mut arguments: Vec<String> = Vec::new();
        if let Some(file) = &self.command.config_file {
            arguments.extend(["-F".to_owned(), file.clone()]);
        }
        let target = format!(
            "[{}]:{}",
            self.addr
                .map_or_else(|| self.host.clone(), |a| a.ip().to_string()),
            self.port
        );
        for word in ["-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "-W"] {
            arguments.push(word.to_owned());
        }
        arguments.extend([target.clone(), "--".to_owned(), via.to_owned()]);
        let (word, text) = match client::run("ssh", &arguments, self.stage) {
            Ok(ran) if ran.out.starts_with("SSH-") => {
                let greeting = ran.out.lines().next().unwrap_or_default().to_owned();
                ("ssh", format!("through {via}, {target} greets: {greeting}"))
            }
            Ok(ran) => {
                let said = ran.err.lines().last().unwrap_or_default().to_owned();
                let word = match said.as_str() {
                    s if s.contains("refused") => "refused",
                    s if s.contains("timed out") || s.is_empty() => "timeout",
                    _ => "error",
                };
                (word, format!("through {via}, {target}: {said}"))
            }
            Err(e) => ("error", format!("ssh could not be run: {e}")),
        };
        self.see(Gate::Tcp, "via.connect", word, via, text);
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
    if let Some(jump) = &command.jump {
        for hop in jump.split([',', '@', ':']) {
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
        ProbeFormat::Text => to_text(target, diagnosis, observations, notes),
    };
    print(text.as_bytes())
}
