//! Other ways there: jump hosts, proxy commands, and the view from another host (`--via`).

use super::{Probe, is_shell_builtin, on_path, plain_error};
use crate::client;
use crate::net;
use crate::sys::Dial;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::probe::command;
use sshwhy_core::probe::exchange::{Depth, Exchange};

impl Probe<'_> {
    /// A jump host: is it there at all? What lies behind it can only be seen through it.
    pub(super) fn jump(&mut self, jump: &str) {
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

    /// The same address and port, as a working jump host sees them: `ssh -W` carries the server's greeting.
    pub(super) fn via(&mut self, via: &str) {
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
