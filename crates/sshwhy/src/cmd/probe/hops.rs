//! Other ways there: jump hosts, proxy commands, and the view from another host (`--via`).
//!
//! What the user's ssh would go through is gone through here too, with ssh itself (`ssh -W`) or the configured command, and
//! the server behind it is looked at as far as one that is called directly. Nobody is asked anything on the way: where ssh
//! would ask, that is said, and nothing is blamed.

use super::{Probe, is_shell_builtin, millis, on_path, plain_error};
use crate::carrier::Carrier;
use crate::client;
use crate::net::{self, Talk, Waits};
use crate::sys::Dial;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::diagnose::{Case, diagnose};
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::command::{self, Command};
use sshwhy_core::probe::exchange::{Depth, Exchange};
use sshwhy_core::probe::sshlog;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a program that carries a connection may still take to say why it carries nothing.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What ssh says of a way that failed elsewhere.
const NOISE: &[&str] = &[
    "debug",
    "Killed by signal",
    "Connection closed by UNKNOWN",
    "kex_exchange_identification: Connection closed",
    "ssh_exchange_identification: Connection closed",
];

/// How a connection to the server is had, as often as a look needs one of its own.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Direct(SocketAddr),
    /// A program, and its arguments.
    Through(&'static str, Vec<String>),
}

impl Way {
    /// One more conversation. A program on the way may take as long as a stage before the first word comes.
    pub(super) fn talk(&self, how: Dial, stage: Duration, exchange: Exchange) -> Option<Talk> {
        match self {
            Way::Direct(addr) => {
                let d = crate::sys::dial(*addr, how, stage);
                Some(net::talk(d.result.ok()?, exchange, Waits::of(stage)))
            }
            Way::Through(program, arguments) => {
                let (_carrier, stream) = Carrier::start(program, arguments).ok()?;
                Some(net::talk(stream, exchange, far(stage)))
            }
        }
    }
}

fn far(stage: Duration) -> Waits {
    Waits {
        first: stage * 2,
        stage,
    }
}

/// What came of a look through a host.
enum Reached {
    /// Somebody speaks at the other end.
    Heard(Box<Talk>, Carrier),
    /// ssh would have asked somebody, which is not done here: what about.
    WouldAsk(&'static str),
    /// The word of `via.connect`, and what was said.
    Nothing(&'static str, String),
}

impl Probe<'_> {
    /// A chain of jump hosts: the first is looked at from here, the server through all of them. What ssh's own text told
    /// (`fresh`: there is none) is not tried again.
    pub(super) fn jump(&mut self, jump: &str, fresh: bool, log: &[Observation]) {
        let hops: Vec<&str> = jump.split(',').filter(|h| !h.is_empty()).collect();
        let (Some(first), Some(last)) = (hops.first().copied(), hops.last().copied()) else {
            return;
        };
        let text = format!("by way of {}", hops.join(", then "));
        self.see(Gate::Tcp, "proxy.jump", "used", first, text);
        // One that has a way of its own is left to ssh.
        if let Some((host, port)) = self.hop_address(first) {
            let (ok, text) = self.hop(&host, port);
            let word = if ok { "ok" } else { "failed" };
            self.see(Gate::Tcp, "proxy.jump", word, first, text);
            if !ok {
                self.state(Gate::Tcp, false);
                return;
            }
        }
        if !fresh {
            return;
        }
        let before = |i: usize| hops.get(..i).unwrap_or_default().join(",");
        let target = (self.host.clone(), self.port);
        let all_but_last = before(hops.len() - 1);
        match self.through(last, &all_but_last, &target) {
            Reached::Heard(talk, carrier) => {
                for line in carrier.said().lines() {
                    self.passed(&hops, line);
                }
                let text = format!("{last} leads to {} port {}", target.0, target.1);
                self.see(Gate::Tcp, "proxy.jump", "ok", last, text);
                self.left_to(last);
                let way = Way::Through("ssh", self.carry(last, &all_but_last, &target));
                self.heard(*talk, &way, log);
            }
            Reached::WouldAsk(what) => self.asks(last, what),
            Reached::Nothing(_, mut said) => {
                // Which of them? Each is asked for the next one.
                let mut guilty = last;
                for (i, hop) in hops.iter().enumerate().take(hops.len() - 1) {
                    let Some(next) = hops.get(i + 1).and_then(|next| self.hop_address(next)) else {
                        break;
                    };
                    match self.through(hop, &before(i), &next) {
                        Reached::Heard(..) => {}
                        Reached::WouldAsk(what) => return self.asks(hop, what),
                        Reached::Nothing(_, why) => {
                            guilty = hop;
                            said = why;
                            break;
                        }
                    }
                }
                self.see(Gate::Tcp, "proxy.jump", "failed", guilty, said);
                self.state(Gate::Tcp, false);
            }
        }
    }

    /// Somebody else finds the way there, and has found it.
    fn left_to(&mut self, whom: &str) {
        let host = self.host.clone();
        let text = format!("{whom} found it");
        self.see(Gate::Name, "name.source", "hop", &host, text);
        for gate in [Gate::Name, Gate::Route, Gate::Tcp] {
            self.state(gate, true);
        }
    }

    /// ssh would ask somebody something at this host.
    fn asks(&mut self, hop: &str, what: &str) {
        self.notes.push(format!(
            "at {hop} ssh would ask for {what}, which was not done: what lies behind it was not looked at (--run lets ssh itself try, --password lets it ask)"
        ));
    }

    /// `Authenticated to bastion ([192.0.2.1]:22) using "publickey".`: one hop is behind us.
    fn passed(&mut self, hops: &[&str], line: &str) {
        let Some(rest) = line.strip_prefix("Authenticated to ") else {
            return;
        };
        let host = rest.split(' ').next().unwrap_or_default();
        let hop = hops.iter().find(|h| place(h).0 == host).copied();
        let about = hop.unwrap_or(host).to_owned();
        self.see(Gate::Tcp, "proxy.jump", "ok", &about, line.to_owned());
    }

    /// The command of one hop alone, as ssh would be called for it.
    fn hop_command(&self, hop: &str) -> Option<Command> {
        let mut words = vec!["ssh".to_owned()];
        if let Some(file) = &self.command.config_file {
            words.extend(["-F".to_owned(), file.clone()]);
        }
        let (host, port) = place_with_user(hop);
        if let Some(port) = port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        words.push(host.to_owned());
        command::parse(&words).ok()
    }

    /// A hop as its own configuration names it; `None` where it is reached by a way of its own.
    fn hop_address(&self, hop: &str) -> Option<(String, u16)> {
        let command = self.hop_command(hop)?;
        let config = client::configuration(&command).unwrap_or_default();
        let set = |key: &str| config.first(key).is_some_and(|v| v != "none");
        if set("proxyjump") || set("proxycommand") {
            return None;
        }
        let host = config.first("hostname").unwrap_or(&command.host).to_owned();
        let port = config.first("port").and_then(|p| p.parse().ok());
        Some((host, port.or(command.port).unwrap_or(22)))
    }

    /// ssh's arguments to carry a connection to `target` from `hop`, which is reached through `before`.
    fn carry(&self, hop: &str, before: &str, target: &(String, u16)) -> Vec<String> {
        let mut arguments = vec!["-v".to_owned()];
        if let Some(file) = &self.command.config_file {
            arguments.extend(["-F".to_owned(), file.clone()]);
        }
        if !before.is_empty() {
            arguments.extend(["-J".to_owned(), before.to_owned()]);
        }
        let seconds = format!("ConnectTimeout={}", self.stage.as_secs().max(1));
        let mut options = vec!["ClearAllForwardings=yes", seconds.as_str()];
        if !self.args.password {
            options.push("BatchMode=yes");
        }
        for word in options {
            arguments.extend(["-o".to_owned(), word.to_owned()]);
        }
        let (host, port) = place_with_user(hop);
        if let Some(port) = port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        let (to, port) = target;
        arguments.extend([
            "-W".to_owned(),
            format!("[{to}]:{port}"),
            "--".to_owned(),
            host.to_owned(),
        ]);
        arguments
    }

    /// What stands at `target`, as `hop` (reached through `before`) sees it.
    fn through(&self, hop: &str, before: &str, target: &(String, u16)) -> Reached {
        let arguments = self.carry(hop, before, target);
        let (carrier, stream) = match Carrier::start("ssh", &arguments) {
            Ok(started) => started,
            Err(e) => return Reached::Nothing("error", format!("ssh could not be run: {e}")),
        };
        let talk = self.speak(stream, far(self.stage));
        if !talk.seen.first_bytes.is_empty() {
            return Reached::Heard(Box::new(talk), carrier);
        }
        let wait = if talk.end == "timeout" {
            Duration::ZERO
        } else {
            LAST_WORDS
        };
        let hops = before.split(',').filter(|h| !h.is_empty()).count();
        self.silence(hop, hops, &carrier.finish(wait))
    }

    /// Nothing came through a host, which stands behind so many others: what did ssh say about it?
    fn silence(&self, hop: &str, hops: usize, said: &str) -> Reached {
        let command = self.hop_command(hop);
        let seen = sshlog::read(said, command.as_ref());
        let has = |key: &str, value: &str| {
            seen.iter()
                .any(|o| o.key == key && (value.is_empty() || o.value == value))
        };
        // Each host that lets us in is told of; the last of them is the one that was to carry on.
        let let_in = said
            .lines()
            .filter(|l| l.starts_with("Authenticated to "))
            .count();
        let refusal = said
            .lines()
            .find_map(|l| l.split_once(": open failed: ").map(|(_, why)| why));
        if let Some(why) = refusal {
            let word = match why {
                w if w.contains("refused") => "refused",
                w if w.contains("timed out") || w.contains("No route") => "timeout",
                _ => "error",
            };
            let text = format!("{hop} lets us in and does not lead on: {why}");
            return Reached::Nothing(word, text);
        }
        if let_in > hops {
            let text = format!("{hop} lets us in, and nothing comes through it");
            return Reached::Nothing("timeout", text);
        }
        // What a person at a terminal would have been asked is no failure.
        let may_ask = !self.config.is("batchmode", &["yes", "true"]) && !self.args.password;
        if may_ask && has("hostkey.check", "unknown") && !has("hostkey.check", "changed") {
            return Reached::WouldAsk("its host key to be confirmed");
        }
        let by_password = seen.iter().any(|o| {
            o.key == "auth.methods"
                && (o.value.contains("password") || o.value.contains("keyboard-interactive"))
        });
        let locked = has("auth.key", "accepted-not-signed") || has("auth.key", "passphrase");
        if may_ask && has("auth.end", "denied") && locked {
            return Reached::WouldAsk("a key's passphrase");
        }
        if may_ask && has("auth.end", "denied") && by_password {
            return Reached::WouldAsk("a password");
        }
        let judged = diagnose(&Case::default(), &seen);
        let last = said
            .lines()
            .map(str::trim)
            .rfind(|l| !l.is_empty() && !NOISE.iter().any(|n| l.starts_with(n)));
        let last = last.unwrap_or("no answer came").to_owned();
        let text = match judged.findings.first() {
            Some(f) => format!("{} ({}): {last}", f.headline, f.slug),
            None => last,
        };
        let word = if said.is_empty() { "timeout" } else { "error" };
        Reached::Nothing(word, text)
    }

    /// Whether an SSH server greets at a hop, and what else happened.
    pub(super) fn hop(&self, host: &str, port: u16) -> (bool, String) {
        let addrs = match net::lookup(host, port, self.command.family, self.stage) {
            Ok(addrs) if !addrs.is_empty() => addrs,
            Ok(_) => return (false, format!("{host} has no address")),
            Err(e) => return (false, format!("{host}: {e}")),
        };
        let mut last = String::new();
        for r in net::reach(&addrs, self.dialling(), self.stage) {
            match r.dialled.result {
                Ok(stream) => {
                    let exchange = Exchange::new(Depth::Ident, &[], 0);
                    let talk = net::talk(stream, exchange, Waits::of(self.stage));
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

    /// A command that leads there. Only where ssh's own text has not told what came of it is it run.
    pub(super) fn proxy(&mut self, proxy: &str, fresh: bool, log: &[Observation]) {
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
            return;
        }
        if !fresh {
            return;
        }
        if self.config.is("proxyusefdpass", &["yes", "true"]) {
            self.notes.push(
                "the proxy command hands over a descriptor (ProxyUseFdpass), which is left to ssh: --run lets it try".to_owned(),
            );
            return;
        }
        let Some(command) = self.config.expanded(proxy) else {
            return;
        };
        // As ssh runs it (sshconnect.c ssh_proxy_connect()).
        let way = Way::Through("/bin/sh", vec!["-c".to_owned(), format!("exec {command}")]);
        let started = match &way {
            Way::Through(shell, arguments) => Carrier::start(shell, arguments),
            Way::Direct(_) => return,
        };
        let (carrier, stream) = match started {
            Ok(started) => started,
            Err(e) => {
                let text = format!("it could not be run: {e}");
                self.see(Gate::Tcp, "proxy.command", "failed", proxy, text);
                self.state(Gate::Tcp, false);
                return;
            }
        };
        let talk = self.speak(stream, far(self.stage));
        if talk.seen.first_bytes.is_empty() {
            let took = millis(talk.took);
            let wait = if talk.end == "timeout" {
                Duration::ZERO
            } else {
                LAST_WORDS
            };
            let said = carrier.finish(wait);
            let last = said.lines().map(str::trim).rfind(|l| !l.is_empty());
            let text = match last {
                Some(line) => line.to_owned(),
                None => format!("nothing came through it in {took} ms ({})", talk.end),
            };
            self.see(Gate::Tcp, "proxy.command", "failed", proxy, text);
            self.state(Gate::Tcp, false);
            return;
        }
        let text = "somebody speaks at its other end".to_owned();
        self.see(Gate::Tcp, "proxy.command", "ok", proxy, text);
        self.left_to("the proxy command");
        self.heard(talk, &way, log);
    }

    /// The same address and port, as a working jump host sees them.
    pub(super) fn via(&mut self, via: &str) {
        let host = self
            .addr
            .map_or_else(|| self.host.clone(), |a| a.ip().to_string());
        let port = self.port;
        let target = format!("{host} port {port}");
        let (word, text) = match self.through(via, "", &(host, port)) {
            Reached::Heard(talk, _) => match talk.seen.greeting {
                Some(greeting) => ("ssh", format!("through {via}, {target} greets: {greeting}")),
                None => (
                    "error",
                    format!("through {via}, {target} answers, and not as an SSH server"),
                ),
            },
            Reached::WouldAsk(what) => ("error", format!("{via} asks for {what}")),
            Reached::Nothing(word, said) => (word, format!("through {via}, {target}: {said}")),
        };
        if word == "error" {
            self.notes.push(format!(
                "the look through another host told nothing: {text}"
            ));
        }
        self.see(Gate::Tcp, "via.connect", word, via, text);
    }
}

/// `user@host`, `user@host:port`, `user@[v6]:port`, `ssh://…`: what ssh is told of the host, and the port.
fn place_with_user(hop: &str) -> (&str, Option<u16>) {
    let hop = hop.strip_prefix("ssh://").unwrap_or(hop);
    let hop = hop.trim_end_matches('/');
    let (rest, port) = match hop.rsplit_once(':') {
        Some((rest, port)) if !rest.contains(':') || rest.ends_with(']') => {
            match port.parse::<u16>() {
                Ok(port) => (rest, Some(port)),
                Err(_) => (hop, None),
            }
        }
        _ => (hop, None),
    };
    // The brackets were there for the port alone; `user@[v6]` keeps its user.
    match rest.strip_prefix('[').and_then(|r| r.strip_suffix(']')) {
        Some(bare) => (bare, port),
        None => (rest, port),
    }
}

/// The host alone, and the port.
fn place(hop: &str) -> (&str, Option<u16>) {
    let (host, port) = place_with_user(hop);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    (host.trim_matches(['[', ']']), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_taken_apart() {
        assert_eq!(place("bastion"), ("bastion", None));
        assert_eq!(place("me@bastion:2222"), ("bastion", Some(2222)));
        assert_eq!(place("ssh://me@bastion:2222/"), ("bastion", Some(2222)));
        assert_eq!(place("2001:db8::1"), ("2001:db8::1", None));
        assert_eq!(place("me@[2001:db8::1]:22"), ("2001:db8::1", Some(22)));
        assert_eq!(
            place_with_user("[2001:db8::1]:22"),
            ("2001:db8::1", Some(22))
        );
        assert_eq!(
            place_with_user("me@bastion:2222"),
            ("me@bastion", Some(2222))
        );
    }
}
