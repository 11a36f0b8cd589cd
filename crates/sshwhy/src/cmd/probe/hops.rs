//! Other ways there: jump hosts, proxy commands, and the view from another host (`--via`).

use super::{Probe, is_shell_builtin, on_path, plain_error};
use crate::client;
use crate::net;
use crate::sys::Dial;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::probe::command;
use sshwhy_core::probe::exchange::{Depth, Exchange};

/// What a look through another host brought.
enum Seen {
    Greeting(String),
    /// The word of `via.connect`, and what ssh said.
    Nothing(&'static str, String),
}

impl Probe<'_> {
    /// A chain of jump hosts: the first is looked at from here, each next one through those before it. What ssh's own text
    /// told (`fresh`: there is none) is not tried again.
    pub(super) fn jump(&mut self, jump: &str, fresh: bool) {
        let hops: Vec<&str> = jump.split(',').filter(|h| !h.is_empty()).collect();
        let Some(first) = hops.first().copied() else {
            return;
        };
        let text = format!("by way of {}", hops.join(", then "));
        self.see(Gate::Tcp, "proxy.jump", "used", first, text);
        let Some((host, port)) = self.hop_address(first) else {
            return;
        };
        let (ok, text) = self.hop(&host, port);
        let word = if ok { "ok" } else { "failed" };
        self.see(Gate::Tcp, "proxy.jump", word, first, text);
        if !ok {
            self.state(Gate::Tcp, false);
            return;
        }
        if !fresh {
            return;
        }
        for (i, hop) in hops.iter().enumerate() {
            let before = hops.get(..i).unwrap_or_default().join(",");
            let next = match hops.get(i + 1) {
                Some(next) => self.hop_address(next),
                None => Some((self.host.clone(), self.port)),
            };
            let Some((host, port)) = next else { return };
            let target = format!("[{host}]:{port}");
            match self.through(hop, &before, &target) {
                Seen::Greeting(greeting) => {
                    let text = format!("through {hop}, {target} greets: {greeting}");
                    if hops.get(i + 1).is_some() {
                        self.see(Gate::Tcp, "proxy.jump", "ok", hop, text);
                    } else {
                        self.see(Gate::Tcp, "proxy.jump", "ok", hop, text);
                        self.state(Gate::Tcp, true);
                        self.see(Gate::Ident, "ident.server", &greeting, "", greeting.clone());
                        self.see(Gate::Ident, "ident.end", "ok", "", String::new());
                        self.state(Gate::Ident, true);
                    }
                }
                Seen::Nothing(_, said) => {
                    let text = format!("{hop}, asked for {target}: {said}");
                    self.see(Gate::Tcp, "proxy.jump", "failed", hop, text);
                    self.state(Gate::Tcp, false);
                    return;
                }
            }
        }
        self.notes.push(
            "behind a jump host only the way is looked at; --run lets ssh itself try the login"
                .to_owned(),
        );
    }

    /// A hop as its own configuration names it; `None` where it is reached by a way of its own.
    fn hop_address(&self, hop: &str) -> Option<(String, u16)> {
        let mut words = vec!["ssh".to_owned()];
        if let Some(file) = &self.command.config_file {
            words.extend(["-F".to_owned(), file.clone()]);
        }
        let uri = hop.contains("://");
        match hop.rsplit_once(':') {
            Some((host, port)) if !uri && port.parse::<u16>().is_ok() && !host.ends_with(':') => {
                words.extend(["-p".to_owned(), port.to_owned(), host.to_owned()]);
            }
            _ => words.push(hop.to_owned()),
        }
        let command = command::parse(&words).ok()?;
        let config = client::configuration(&command).unwrap_or_default();
        if config.first("proxyjump").is_some_and(|j| j != "none") {
            return None;
        }
        let host = config.first("hostname").unwrap_or(&command.host).to_owned();
        let port = config.first("port").and_then(|p| p.parse().ok());
        Some((host, port.or(command.port).unwrap_or(22)))
    }

    /// What stands at `target`, as `hop` (reached through `before`) sees it: `ssh -W` carries the greeting.
    fn through(&self, hop: &str, before: &str, target: &str) -> Seen {
        let mut arguments: Vec<String> = Vec::new();
        if let Some(file) = &self.command.config_file {
            arguments.extend(["-F".to_owned(), file.clone()]);
        }
        if !before.is_empty() {
            arguments.extend(["-J".to_owned(), before.to_owned()]);
        }
        let seconds = format!("ConnectTimeout={}", self.stage.as_secs().max(1));
        for word in ["BatchMode=yes", "ClearAllForwardings=yes", seconds.as_str()] {
            arguments.extend(["-o".to_owned(), word.to_owned()]);
        }
        let place = match hop.strip_prefix("ssh://").unwrap_or(hop).rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && !host.ends_with(':') => {
                arguments.extend(["-p".to_owned(), port.to_owned()]);
                host.to_owned()
            }
            _ => hop.to_owned(),
        };
        arguments.extend(["-W".to_owned(), target.to_owned(), "--".to_owned(), place]);
        match client::first_line("ssh", &arguments, self.stage * 2) {
            Ok(ran) if ran.out.starts_with("SSH-") => {
                Seen::Greeting(ran.out.lines().next().unwrap_or_default().to_owned())
            }
            Ok(ran) => {
                let said = ran.err.lines().map(str::trim).rfind(|l| !l.is_empty());
                let said = said.unwrap_or_default().to_owned();
                let all = ran.err.to_ascii_lowercase();
                let word = match all.as_str() {
                    s if s.contains("refused") => "refused",
                    s if s.contains("timed out") || s.trim().is_empty() => "timeout",
                    _ => "error",
                };
                let said = if said.is_empty() {
                    "no answer".to_owned()
                } else {
                    said
                };
                Seen::Nothing(word, said)
            }
            Err(e) => Seen::Nothing("error", format!("ssh could not be run: {e}")),
        }
    }

    /// Whether an SSH server greets at a hop, and what else happened.
    pub(super) fn hop(&self, host: &str, port: u16) -> (bool, String) {
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

    pub(super) fn proxy(&mut self, proxy: &str) {
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

    /// The same address and port, as a working jump host sees them.
    pub(super) fn via(&mut self, via: &str) {
        let host = self
            .addr
            .map_or_else(|| self.host.clone(), |a| a.ip().to_string());
        let target = format!("[{host}]:{}", self.port);
        let (word, text) = match self.through(via, "", &target) {
            Seen::Greeting(g) => ("ssh", format!("through {via}, {target} greets: {g}")),
            Seen::Nothing(word, said) => (word, format!("through {via}, {target}: {said}")),
        };
        self.see(Gate::Tcp, "via.connect", word, via, text);
    }
}
