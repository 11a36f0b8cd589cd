//! What the text as a whole amounts to, once its last line was read.

use super::{Reader, Stage};
use crate::catalog::causes::Gate;
use crate::probe::says;

impl Reader<'_> {
    /// What only the whole text tells: the state of each gate, and how it ended.
    pub(super) fn finish(&mut self) {
        let end = self.line;
        let let_in = self.stage == Stage::Session;
        self.prelude_facts();
        if self.offering.is_some() || self.accepted.is_some() {
            // The last key was under way when the server closed: then it was signed.
            self.offering = None;
        }
        if self.mux.is_some() && self.stage == Stage::Start && !self.broken && !self.ended {
            let path = self.mux.clone().unwrap_or_default();
            let text = "the text ends while ssh waits for the existing master";
            self.fail(Gate::Session, "mux.socket", "frozen", &path, text);
        }
        // A text that just stops: ssh was stopped, or still waits.
        let over = self.broken || self.ended || (let_in && self.exit.is_some());
        if self.verbose && !over {
            self.stopped();
        }
        if self.hop.is_some() && !self.broken && self.verbose {
            self.jump_failed("the text ends at the jump host");
        }
        self.hop = None;
        self.line = end;
        if self.verbose && (self.stage >= Stage::Auth) {
            let count = match self.offered {
                0 => "none",
                1 => "one",
                2..=5 => "few",
                _ => "many",
            };
            let text = format!("{} keys were offered", self.offered);
            self.see(Gate::Auth, "auth.keys", count, "", &text);
            let any = if self.client_keys { "some" } else { "none" };
            self.see(Gate::Auth, "client.keys", any, "", "");
            // ssh names every method that it begins with, also one for which it has nothing to show.
            let offered = self.out.iter().rfind(|o| o.key == "auth.methods");
            let signs = ["auth.method", "auth.key", "auth.password"];
            let tried =
                self.offered > 0 || self.out.iter().any(|o| signs.contains(&o.key.as_str()));
            let denied = self
                .out
                .iter()
                .any(|o| o.key == "auth.end" && o.value == "denied");
            if let (Some(offered), false, true) = (offered, tried, denied) {
                let text = format!(
                    "the server offers {}, and ssh tried none of them: its configuration allows it none",
                    offered.value
                );
                self.see(Gate::Auth, "auth.common", "none", "", &text);
            }
        }
        self.words();
        self.session_end(let_in);
        self.states();
    }

    pub(super) fn prelude_facts(&mut self) {
        let lines = std::mem::take(&mut self.prelude);
        let Some((first_line, first)) = lines.first().cloned() else {
            return;
        };
        let at = std::mem::replace(&mut self.line, first_line);
        for (line, text) in &lines {
            self.line = *line;
            if text.contains("Exceeded MaxStartups") {
                self.see(Gate::Ident, "ident.reason", "max-startups", "", text);
            } else if text.contains("Not allowed at this time") {
                self.see(Gate::Ident, "ident.reason", "not-allowed", "", text);
            }
        }
        let texts: Vec<&str> = lines.iter().map(|(_, t)| t.as_str()).collect();
        if let Some(protocol) = crate::probe::protocol::of_lines(&texts) {
            self.line = first_line;
            self.see(Gate::Ident, "ident.protocol", protocol, "", &first);
        } else if lines.len() >= 2 && self.stage < Stage::Ident {
            let timed_out = self
                .out
                .iter()
                .any(|o| o.key == "ident.end" && o.value == "timeout");
            if timed_out || !self.broken {
                self.see(Gate::Ident, "ident.prelude", "dripping", "", &first);
            }
        }
        self.line = at;
    }

    pub(super) fn stopped(&mut self) {
        let text = "the text ends here: ssh was stopped, or was still waiting";
        match self.stage {
            Stage::Start => {}
            Stage::Connecting => {
                if let Some(about) = self.connecting.clone() {
                    self.see(Gate::Tcp, "tcp.connect", "started", &about, text);
                } else if let Some((false, command)) = self.through.clone() {
                    let text = "the text ends while nothing has come through the proxy command";
                    self.see(Gate::Tcp, "proxy.command", "failed", &command, text);
                }
            }
            Stage::Connected => self.see(Gate::Ident, "ident.end", "timeout", "", text),
            Stage::Ident => self.see(Gate::Kex, "kex.end", "timeout", "", text),
            Stage::HostKey => self.see(Gate::HostKey, "kex.end", "timeout", "", text),
            Stage::Auth => self.see(Gate::Auth, "auth.end", "timeout", "", text),
            Stage::Session => self.see(Gate::Session, "session.end", "timeout", "", text),
        }
        self.see(Gate::Session, "attempt.end", "stopped", "", text);
        if self.stage != Stage::Start {
            self.broken = true;
        }
    }

    /// What the server or the remote side said, where it means something.
    pub(super) fn words(&mut self) {
        let let_in = self.stage == Stage::Session;
        let failed = self.broken || self.exit.is_some_and(|e| e != 0);
        let asked = self.command.map_or("", |c| c.remote.as_str()).to_owned();
        // Where the other scp should have spoken came a text, and nothing was copied.
        let instead = match self.asked {
            Some(("scp", at)) if !self.copying && !matches!(self.exit, Some(126 | 127)) => Some(at),
            _ => None,
        };
        for (line, text) in std::mem::take(&mut self.says) {
            self.line = line;
            let lower = text.to_ascii_lowercase();
            let is = |part: &str| lower.contains(part);
            let stray = instead.is_some_and(|at| line > at);
            if stray && says::account(&text, let_in).is_none() && says::session(&text).is_none() {
                self.fail(Gate::Session, "session.says", "stray-output", "", &text);
                continue;
            }
            if !failed {
                continue;
            }
            let says = says::account(&text, let_in);
            if let Some(says) = says {
                self.see(Gate::Account, "account.says", says, "", &text);
                continue;
            }
            if !let_in {
                self.see(Gate::Auth, "auth.server-says", &text, "", &text);
                continue;
            }
            let missing =
                is("command not found") || is("no such file or directory") || is(": not found");
            if let Some(place) = startup_exec(&text)
                && matches!(self.exit, Some(126 | 127))
            {
                self.see(Gate::Session, "session.says", "startup-exec", &place, &text);
            } else if missing && self.exit == Some(127) {
                // `bash: line 1: WORD: command not found`
                let word = text
                    .split(": ")
                    .find(|w| w.starts_with('/') || asked.contains(*w) && !w.is_empty())
                    .unwrap_or_default()
                    .to_owned();
                let other = word.starts_with('/') && !asked.contains(&word);
                let value = if other {
                    "other-command-missing"
                } else {
                    "no-such-command"
                };
                self.see(Gate::Session, "session.says", value, &word, &text);
            } else if is("resource temporarily unavailable") || is("cannot allocate memory") {
                self.see(Gate::Session, "session.says", "no-resources", "", &text);
            } else {
                self.see(Gate::Session, "auth.server-says", &text, "", &text);
            }
        }
    }

    pub(super) fn session_end(&mut self, let_in: bool) {
        if !let_in {
            return;
        }
        self.line = self.line.max(1);
        let other_use = self
            .command
            .is_some_and(|c| c.no_session || c.stdio_forward.is_some());
        match self.asked {
            Some((word, _)) => self.see(Gate::Session, "session.asked", word, "", ""),
            None if self.verbose && !other_use => {
                self.see(Gate::Session, "session.asked", "shell", "", "");
            }
            None => {}
        }
        if let Some(exit) = self.exit {
            let text = format!("Exit status {exit}");
            self.see(Gate::Session, "session.exit", &exit.to_string(), "", &text);
            let ended = self
                .out
                .iter()
                .any(|o| o.gate == Gate::Session && o.key == "session.end");
            if exit > 0 {
                self.fail(Gate::Session, "session.end", "exit", "", &text);
            } else if exit == 0 && !ended && !self.broken {
                self.see(Gate::Session, "session.end", "ok", "", &text);
            } else if exit < 0 && !ended && self.signalled {
                let text = "a signal ended what the server ran for the session";
                self.fail(Gate::Session, "session.end", "signal", "", text);
            } else if exit < 0 && !ended && !self.broken && !other_use {
                let text = "the server closed the session without saying how it ended";
                self.fail(Gate::Session, "session.end", "closed", "", text);
            }
        }
        let lasted = if self.command_sent && self.ready {
            "while"
        } else {
            "moment"
        };
        self.see(Gate::Session, "session.lasted", lasted, "", "");
    }

    /// Which gates were passed, and at which one it failed.
    pub(super) fn states(&mut self) {
        let config = self
            .out
            .iter()
            .any(|o| o.key == "client.config" || o.key == "client.destination");
        let lookup = self
            .out
            .iter()
            .any(|o| o.key == "name.lookup" && o.value != "ok");
        // How many gates, in their order, are behind it.
        let passed = match self.stage {
            Stage::Start => 0,
            // An address that this machine does not have is found out late, and is the configuration's all the same.
            Stage::Connecting | Stage::Connected if config => 0,
            Stage::Connecting => 1,
            Stage::Connected => 3,
            Stage::Ident => 4,
            Stage::HostKey => 5,
            Stage::Auth => 6,
            Stage::Session => 7,
        };
        for gate in Gate::ALL.into_iter().take(passed) {
            self.see(gate, "gate.state", "passed", "", "");
        }
        let account = self.out.iter().any(|o| o.key == "account.says");
        let failed_at = match self.stage {
            Stage::Start if config || lookup => Gate::Name,
            Stage::Start => {
                if self.broken {
                    let gate = self.out.last().map_or(Gate::Name, |o| o.gate);
                    self.see(gate, "gate.state", "failed", "", "");
                }
                return;
            }
            Stage::Connecting if lookup || config => Gate::Name,
            Stage::Connected if config => Gate::Name,
            Stage::Connecting => Gate::Tcp,
            Stage::Connected => Gate::Ident,
            Stage::Ident => Gate::Kex,
            Stage::HostKey => Gate::HostKey,
            Stage::Auth if account => Gate::Account,
            Stage::Auth => Gate::Auth,
            Stage::Session => Gate::Session,
        };
        if self.broken {
            self.see(failed_at, "gate.state", "failed", "", "");
        } else if self.stage == Stage::Session && self.exit == Some(0) {
            self.see(Gate::Account, "gate.state", "passed", "", "");
            self.see(Gate::Session, "gate.state", "passed", "", "");
            self.see(Gate::Session, "attempt.end", "ok", "", "");
        }
    }
}

/// `FILE:LINE` of a start-up file whose exec failed, as bash, dash and ksh say it (empty: a login shell that does not name
/// the file).
fn startup_exec(text: &str) -> Option<String> {
    const NAMES: [&str; 12] = [
        ".bashrc",
        "bash.bashrc",
        "bashrc",
        ".bash_profile",
        ".bash_login",
        ".profile",
        "profile",
        ".zshenv",
        "zshenv",
        ".zprofile",
        ".zshrc",
        ".zlogin",
    ];
    let (before, _) = text.split_once(": exec: ")?;
    let (file, line) = before.split_once(": ").unwrap_or((before, ""));
    if file.starts_with('-') {
        return Some(String::new());
    }
    let name = file.rsplit('/').next()?;
    if !NAMES.contains(&name) && !file.starts_with("/etc/profile.d/") {
        return None;
    }
    let line = line.strip_prefix("line ").unwrap_or(line);
    Some(format!("{file}:{line}"))
}
