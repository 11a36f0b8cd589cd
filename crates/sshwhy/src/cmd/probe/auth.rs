//! Past the key exchange: which proofs the server takes of this user, and what a session may do. One connection, the one
//! that the greetings came on; nothing that ssh's own text has told already is asked again.

use super::{Probe, millis};
use crate::carrier::Stream;
use crate::cli::ProbeDepth;
use crate::client;
use crate::login::{End, Login, Plan, Signs, Wish, proposal};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::command::{Command, Program};
use sshwhy_core::wire::kexinit::Proposal;

/// What is left to find out with a login.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deeper {
    No,
    /// ssh got in, and its session ended without saying why.
    Session,
    All,
}

/// What ssh's text leaves open. What it has told already is not asked again: every login costs the server something.
pub(super) fn deeper(depth: ProbeDepth, log: &[Observation]) -> Deeper {
    if depth == ProbeDepth::Hostkey {
        return Deeper::No;
    }
    if log.is_empty() {
        return Deeper::All;
    }
    let has = |key: &str, values: &[&str]| {
        log.iter()
            .any(|o| o.key == key && (values.is_empty() || values.contains(&o.value.as_str())))
    };
    let by_key = log
        .iter()
        .any(|o| o.key == "auth.method" && o.value == "ok" && o.about == "publickey");
    let unexplained = has("session.end", &["exit"])
        || has("session.end", &["closed"]) && has("session.lasted", &["moment"]);
    let told = has("account.says", &[]) || has("session.says", &[]);
    if depth == ProbeDepth::Session && by_key && unexplained && !told {
        Deeper::Session
    } else {
        Deeper::No
    }
}

/// What the user's command would ask of the server once it is in.
pub(super) fn wish(command: &Command) -> Wish {
    let sftp = command.program != Program::Ssh || command.subsystem && command.remote == "sftp";
    let session =
        !command.no_session && command.stdio_forward.is_none() && (sftp || !command.subsystem);
    let tty =
        session && !sftp && (command.tty > 0 || command.tty == 0 && command.remote.is_empty());
    let mut wish = Wish {
        session,
        tty,
        sftp,
        ..Wish::default()
    };
    if let Some(target) = command.stdio_forward.as_deref().and_then(host_port) {
        wish.forward.push(target);
    }
    for (letter, spec) in &command.forwards {
        let parts = split(spec);
        let n = parts.len();
        match letter {
            'L' => {
                if let (Some(host), Some(Ok(port))) = (
                    n.checked_sub(2).and_then(|i| parts.get(i)),
                    parts.last().map(|p| p.parse()),
                ) && n >= 3
                {
                    wish.forward.push((host.clone(), port));
                }
            }
            'R' => {
                // `[bind:]port:host:hostport`, or `[bind:]port` alone for a SOCKS server.
                let at = if n >= 3 {
                    n.checked_sub(3)
                } else {
                    n.checked_sub(1)
                };
                let Some(at) = at else { continue };
                let Some(Ok(port)) = parts.get(at).map(|p| p.parse::<u16>()) else {
                    continue;
                };
                let bind = at.checked_sub(1).and_then(|i| parts.get(i)).cloned();
                wish.listen
                    .push((bind.unwrap_or_else(|| "localhost".to_owned()), port));
            }
            _ => {}
        }
    }
    wish
}

/// `host:port`, `[address]:port`.
fn host_port(text: &str) -> Option<(String, u16)> {
    let parts = split(text);
    match parts.as_slice() {
        [host, port] => Some((host.clone(), port.parse().ok()?)),
        _ => None,
    }
}

/// The parts between colons, brackets kept together and taken off.
fn split(spec: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut inside = false;
    for c in spec.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            ':' if !inside => parts.push(String::new()),
            c => {
                if let Some(last) = parts.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    parts
}

impl Probe<'_> {
    /// What a library could propose, where it is to go on with the connection: the client's own lists and the library's
    /// part of them must both fit the server's.
    pub(super) fn library(&self, host_keys: &[String]) -> Vec<Proposal> {
        if self.deeper == Deeper::No || self.user.is_none() {
            return Vec::new();
        }
        let mut own = self.config.proposal();
        own.host_key = host_keys.to_vec();
        let all = proposal(&own, host_keys, true);
        vec![own, all]
    }

    /// Goes on with a connection after the server's proposal. `None`: the library cannot, and own code should.
    pub(super) fn go_on(
        &mut self,
        stream: Stream,
        replay: Vec<u8>,
        library: &Proposal,
    ) -> Option<()> {
        let login = match Login::begin(stream, replay, library, self.stage) {
            Ok(login) => login,
            Err(End::Failed(why)) => {
                self.notes.push(format!(
                    "the key exchange could not be done here ({why}); only the clear part was looked at"
                ));
                return None;
            }
            Err(end) => {
                let word = match end {
                    End::Timeout => "timeout",
                    End::Reset => "reset",
                    _ => "closed",
                };
                let text = format!("in the key exchange: {}", end.text());
                self.see(Gate::Kex, "kex.end", word, "", text);
                self.state(Gate::Kex, false);
                return Some(());
            }
        };
        let ms = millis(login.took());
        let text = login.agreed().unwrap_or_default();
        self.timed(Gate::Kex, "kex.end", "ok", "", text, ms);
        self.state(Gate::Kex, true);
        let word = match login.host_key() {
            Some((kind, _)) if login.is_forged() => self.forged(&kind),
            Some((kind, blob)) => self.shown(&kind, &blob, ms),
            None => "unknown",
        };
        self.log_in(login, word);
        Some(())
    }

    fn log_in(&mut self, mut login: Login, host_key: &str) {
        let Some(user) = self.user.clone() else {
            login.close();
            return;
        };
        if matches!(host_key, "changed" | "revoked" | "certificate-invalid") {
            self.notes.push(
                "nothing was told to this server: its host key is not the one that is known"
                    .to_owned(),
            );
            login.close();
            return;
        }
        let lenient = self.config.is(
            "stricthostkeychecking",
            &["no", "off", "false", "accept-new"],
        );
        let trusted = host_key == "match" || lenient;
        let mut offers = if self.config.is("pubkeyauthentication", &["no", "false"]) {
            Vec::new()
        } else {
            login.offers(&self.config, client::agent_socket(&self.config))
        };
        let sign = trusted && self.args.depth == ProbeDepth::Session;
        if !sign {
            for offer in &mut offers {
                offer.signs = Signs::Nobody("only asked about");
            }
        }
        let mut ask = client::ask_secret;
        let may_ask = self.args.password && trusted;
        if self.args.password && !trusted {
            self.notes.push(
                "no password was asked for: the server's host key is not known here".to_owned(),
            );
        }
        let accepted = self.config.list("pubkeyacceptedalgorithms");
        let plan = Plan {
            user: &user,
            offers: &offers,
            accepted: &accepted,
            ask: may_ask.then_some(&mut ask),
        };
        let began = std::time::Instant::now();
        let mut seen = login.authenticate(plan);
        if let Some(o) = seen.iter_mut().rfind(|o| o.gate == Gate::Auth) {
            o.ms = Some(millis(began.elapsed()));
        }
        let end = seen
            .iter()
            .find(|o| o.key == "auth.end")
            .map(|o| o.value.clone());
        let only_asked = !sign
            && seen
                .iter()
                .any(|o| o.key == "auth.key" && o.value == "accepted");
        // ssh itself told about the login; here it is only the way to the session.
        let told = self.deeper == Deeper::Session;
        self.out.extend(seen.into_iter().filter(|o| {
            !(told && o.gate == Gate::Auth)
                // What was not signed with because nobody wanted it to be is no failure.
                && !(only_asked && (o.key == "auth.end" || o.value == "accepted-not-signed"))
        }));
        match end.as_deref() {
            Some("ok") => {
                self.state(Gate::Auth, true);
                self.state(Gate::Account, true);
                if self.args.depth == ProbeDepth::Session {
                    let began = std::time::Instant::now();
                    let mut seen = login.session(&wish(self.command));
                    if let Some(o) = seen.last_mut() {
                        o.ms = Some(millis(began.elapsed()));
                    }
                    let bad = |o: &Observation| {
                        o.key == "forward.end"
                            || o.key == "session.request"
                            || (o.key == "session.end" || o.key == "session.open")
                                && o.value != "ok"
                    };
                    let well = !seen.iter().any(bad);
                    self.out.extend(seen);
                    self.state(Gate::Session, well);
                    self.other_host_keys(&login.all_keys());
                }
            }
            _ if only_asked => {
                self.notes.push(format!(
                    "the server would take a key of {user}; whether a login succeeds was not tried{}",
                    if trusted {
                        " (--depth session tries)"
                    } else {
                        ", since the server's host key is not known here"
                    }
                ));
            }
            Some(_) => self.state(Gate::Auth, false),
            None => self.password_next(&user),
        }
        login.close();
    }

    /// Keys did not do; the server would take a password. Is there anybody who could give one?
    fn password_next(&mut self, user: &str) {
        let batch = self.config.is("batchmode", &["yes", "true"]);
        let says = |o: &&Observation, value: &str| o.key == "auth.key" && o.value == value;
        let locked = self
            .out
            .iter()
            .find(|o| says(o, "accepted-not-signed"))
            .map(|o| o.about.clone());
        let can_ask = self
            .out
            .iter()
            .any(|o| o.key == "client.can-prompt" && o.value == "yes");
        if batch || !can_ask && !self.args.password {
            let why = if batch {
                "BatchMode"
            } else {
                "no terminal and no askpass program"
            };
            let text = format!("what is left is a password, and nobody can be asked for it: {why}");
            self.see(Gate::Auth, "auth.end", "denied", "", text);
            self.state(Gate::Auth, false);
            return;
        }
        let note = match (locked, self.args.password) {
            (Some(key), _) => format!(
                "the server would take {key} of {user}, which could not be used without asking (its passphrase, a touch, or its mode)"
            ),
            (None, true) => {
                "the server would ask for a password next, and nobody gave one".to_owned()
            }
            (None, false) => format!(
                "no key lets {user} in; the server would ask for a password next (--password asks you for it and tries it)"
            ),
        };
        self.notes.push(note);
    }

    /// What the server told of its other host keys after the login.
    fn other_host_keys(&mut self, keys: &[(String, Vec<u8>)]) {
        for (kind, blob) in keys {
            let print = sshwhy_core::probe::keyfile::fingerprint(blob);
            let known = self.check(kind, blob).0;
            let text = format!("{kind} {print}, in known_hosts: {known}");
            self.see(Gate::HostKey, "hostkey.also", &print, kind, text);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use sshwhy_core::probe::command;

    fn of(line: &str) -> Wish {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        wish(&command::parse(&words).unwrap())
    }

    #[test]
    fn the_wish_is_what_was_typed() {
        let shell = of("ssh host.example");
        assert!(shell.session && shell.tty && !shell.sftp);
        let command = of("ssh host.example uptime");
        assert!(command.session && !command.tty);
        assert!(of("ssh -t host.example uptime").tty);
        assert!(!of("ssh -T host.example").tty);
        assert!(of("scp a host.example:b").sftp);
        assert!(of("sftp host.example").sftp);
        assert!(!of("ssh -N host.example").session);
        let w = of("ssh -W [2001:db8::1]:22 host.example");
        assert_eq!(w.forward, [("2001:db8::1".to_owned(), 22)]);
        assert!(!w.session);
        let l = of("ssh -N -L 127.0.0.1:8080:inner.example:80 -R 9000:localhost:3000 host.example");
        assert_eq!(l.forward, [("inner.example".to_owned(), 80)]);
        assert_eq!(l.listen, [("localhost".to_owned(), 9000)]);
        assert_eq!(
            of("ssh -R 0.0.0.0:9000 h.example").listen,
            [("0.0.0.0".to_owned(), 9000)]
        );
    }

    #[test]
    fn what_ssh_told_is_not_asked_again() {
        let o = |key: &'static str, value: &str, about: &str| {
            Observation::new(Gate::Auth, key, value, "ssh -v line 1").about(about)
        };
        let session = ProbeDepth::Session;
        assert_eq!(deeper(session, &[]), Deeper::All);
        assert_eq!(deeper(ProbeDepth::Hostkey, &[]), Deeper::No);
        let denied = [o("auth.end", "denied", "")];
        assert_eq!(deeper(session, &denied), Deeper::No);
        let mut ended = vec![
            o("auth.method", "ok", "publickey"),
            o("session.end", "exit", ""),
        ];
        assert_eq!(deeper(session, &ended), Deeper::Session);
        assert_eq!(deeper(ProbeDepth::Auth, &ended), Deeper::No);
        ended.push(o("account.says", "expired", ""));
        assert_eq!(deeper(session, &ended), Deeper::No);
    }
}
