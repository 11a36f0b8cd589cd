//! What ssh says with `-v`: how far it came, and which keys went which way.

use super::{Channel, Reader, Stage, banner_line, between, connect_error, key_name, socket};
use crate::catalog::causes::Gate;

impl Reader<'_> {
    /// What `-v` says.
    pub(super) fn debug(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("Setting implicit ProxyCommand from ProxyJump: ") {
            self.through = Some((true, rest.to_owned()));
        } else if let Some(rest) = line
            .strip_prefix("Executing proxy command: exec ")
            .or_else(|| line.strip_prefix("Executing proxy dialer command: exec "))
        {
            let jump = self.through.as_ref().is_some_and(|(jump, _)| *jump);
            if self.hop.is_none() || self.through.is_none() {
                let name = if jump {
                    rest.rsplit(' ').next().unwrap_or(rest).to_owned()
                } else {
                    rest.to_owned()
                };
                let key = if jump { "proxy.jump" } else { "proxy.command" };
                self.see(Gate::Tcp, key, "used", &name, line);
                self.through = Some((jump, rest.to_owned()));
                self.reach(Stage::Connecting);
                if jump {
                    self.hop = Some(name);
                }
            }
        } else if let Some(rest) = line.strip_prefix("Connecting to ") {
            let addr = between(rest, "[", "]").unwrap_or_default();
            let port = between(rest, "port ", ".").unwrap_or("22");
            let about = socket(addr, port);
            if !addr.is_empty() {
                let family = if addr.contains(':') { "6" } else { "4" };
                self.see(Gate::Name, "name.address", family, addr, line);
            }
            let host = rest.split(' ').next().unwrap_or_default();
            if self.hop.is_none() {
                self.connecting = Some(about);
                if self.stage == Stage::Start {
                    self.see(Gate::Name, "name.lookup", "ok", host, line);
                }
            }
            self.reach(Stage::Connecting);
        } else if let Some(rest) = line.strip_prefix("connect to address ") {
            let addr = rest.split(' ').next().unwrap_or_default();
            let port = between(rest, "port ", ":").unwrap_or("22");
            self.connect_failed(addr, port, rest, line);
        } else if line.starts_with("Connection established") {
            let about = self.connecting.take().unwrap_or_default();
            self.see(Gate::Tcp, "tcp.connect", "ok", &about, line);
            self.reach(Stage::Connected);
        } else if let Some(rest) = line.strip_prefix("Remote protocol version ") {
            let software = between(rest, "remote software version ", "").unwrap_or_default();
            let version = rest.split(',').next().unwrap_or("2.0");
            let ident = format!("SSH-{version}-{software}");
            self.see(Gate::Ident, "ident.server", &ident, "", line);
            self.see(Gate::Ident, "ident.end", "ok", "", line);
            self.reach(Stage::Ident);
        } else if let Some(rest) = line.strip_prefix("Authenticating to ") {
            let host = rest
                .split(" as '")
                .next()
                .and_then(|h| h.rsplit_once(':'))
                .map_or("", |(host, _)| host);
            let user = between(rest, "as '", "'").unwrap_or_default();
            if self.through.as_ref().is_some_and(|(jump, _)| *jump) {
                // The jump's own ssh says so about the jump, the outer one about the target.
                if self.is_target(host) {
                    let hop = self.hop.take().unwrap_or_default();
                    self.see(Gate::Tcp, "proxy.jump", "ok", &hop, line);
                    self.reach(Stage::Ident);
                } else {
                    return;
                }
            }
            self.see(Gate::Auth, "target.user", user, "", line);
        } else if let Some(rest) = banner_line(line) {
            self.prelude.push((self.line, rest.to_owned()));
        } else if line.starts_with("Server host key: ") {
            let mut words = line.split(' ').skip(3);
            let kind = words.next().unwrap_or_default();
            let print = words.next().unwrap_or_default();
            self.see(Gate::HostKey, "hostkey.offered", print, kind, line);
            self.see(Gate::Kex, "kex.end", "ok", "", line);
            self.reach(Stage::HostKey);
        } else if line.contains(" is known and matches the ") {
            self.see(Gate::HostKey, "hostkey.check", "match", "", line);
        } else if line.starts_with("Authentications that can continue: ") {
            let list = between(line, ": ", "").unwrap_or_default();
            self.reach(Stage::Auth);
            self.refused(line);
            self.see(Gate::Auth, "auth.methods", list, "", line);
        } else if line.starts_with("Trying private key: ")
            || line.starts_with("No more authentication methods")
        {
            self.unsigned();
        } else if let Some(method) = line.strip_prefix("Next authentication method: ") {
            self.unsigned();
            self.method = method.to_owned();
            self.prompted = false;
            self.see(Gate::Auth, "auth.method", "tried", method, line);
        } else if line.starts_with("read_passphrase: can't open") {
            self.no_terminal = true;
        } else if line.starts_with("read_passphrase: requested to askpass") {
            self.prompted = true;
            self.no_terminal = false;
        } else {
            self.debug_keys(line);
        }
    }

    pub(super) fn debug_keys(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("identity file ") {
            if let Some((_, kind)) = rest.rsplit_once(" type ")
                && kind != "-1"
            {
                self.client_keys = true;
            }
        } else if line.starts_with("Skipping ") && line.contains("corresponding algo") {
            // `Skipping ssh-dss key FILE - corresponding algo not in PubkeyAcceptedAlgorithms`
            let name = between(line, " key ", " - corresponding").unwrap_or_default();
            self.client_keys = true;
            self.see(Gate::Auth, "auth.key", "type-not-taken", name, line);
        } else if let Some(rest) = line
            .strip_prefix("Offering public key: ")
            .or_else(|| line.strip_prefix("Offering RSA public key: "))
        {
            self.unsigned();
            let name = key_name(rest);
            self.client_keys = true;
            self.offered += usize::from(self.hop.is_none());
            self.offering = Some(name.clone());
            self.see(Gate::Auth, "auth.key", "offered", &name, line);
        } else if let Some(rest) = line.strip_prefix("Server accepts key: ") {
            let name = match key_name(rest) {
                // Older releases print the algorithm and length only: it is the key just offered.
                n if n.is_empty() || n.starts_with("pkalg ") => {
                    self.offering.clone().unwrap_or_default()
                }
                n => n,
            };
            self.offering = None;
            self.accepted = Some(name.clone());
            self.see(Gate::Auth, "auth.key", "accepted", &name, line);
        } else if line.contains("no mutual signature") {
            let name = self.offering.take().unwrap_or_default();
            self.see(
                Gate::Auth,
                "auth.key",
                "no-signature-algorithm",
                &name,
                line,
            );
        } else if line.contains("get_authentication_socket: ") {
            self.see(Gate::Auth, "auth.agent", "unreachable", "", line);
        } else if line.contains("agent returned ") {
            let count = between(line, "agent returned ", " ").unwrap_or("0");
            let value = if count == "0" { "empty" } else { "ok" };
            self.client_keys |= count != "0";
            self.see(Gate::Auth, "auth.agent", value, "", line);
        } else if let Some(rest) = line.strip_prefix("Authentication succeeded (") {
            let method = rest.split(')').next().unwrap_or_default().to_owned();
            self.authenticated(&method, line);
        } else if let Some((_, list)) = line.split_once(": key options: ") {
            let about = line
                .strip_prefix("Remote: ")
                .and_then(|l| l.split(": key options").next())
                .unwrap_or_default();
            self.see(Gate::Auth, "auth.key-options", list, about, line);
        } else if line.starts_with("Remote: Forced command") {
            self.see(Gate::Auth, "auth.key-options", "command", "", line);
        } else {
            self.debug_session(line);
        }
    }

    pub(super) fn debug_session(&mut self, line: &str) {
        if line.starts_with("channel ") && line.contains(": new ") {
            let forward = ["forward", "direct-tcpip", "forwarded"];
            self.channel = if forward.iter().any(|f| line.contains(f)) {
                Channel::Forward
            } else {
                Channel::Session
            };
        } else if line.starts_with("Sending command: ")
            || line.starts_with("Sending subsystem: ")
            || line.starts_with("Requesting X11")
        {
            self.command_sent |= self.hop.is_none();
            self.asks(line);
        } else if line.starts_with("Requesting authentication agent forwarding") {
            if self.hop.is_none() {
                self.see(Gate::Session, "session.agent", "asked", "", line);
            }
        } else if line.starts_with("client_input_global_request: ") {
            self.ready |= self.hop.is_none();
        } else if line.starts_with("client_input_channel_req: ")
            && line.contains(" rtype exit-signal ")
        {
            self.signalled |= self.hop.is_none();
        } else if let Some(rest) = line.strip_prefix("Exit status ") {
            if self.hop.is_none() {
                self.exit = rest.trim().parse().ok();
                self.ended = true;
            }
        } else if let Some(rest) = line.strip_prefix("auto-mux: Trying existing master") {
            let path = between(rest, "'", "'").unwrap_or_default().to_owned();
            self.see(Gate::Session, "mux.socket", "used", &path, line);
            self.mux = Some(path);
        } else if line.starts_with("Control socket ") && line.contains("does not exist") {
            self.mux = None;
        } else if line.starts_with("Control socket connect")
            || line.starts_with("Stale control socket")
        {
            self.stale(line);
        } else if line.starts_with("mux_client_request_session: master session id")
            || line.starts_with("mux_client_hello_exchange: master version")
        {
            self.mux = None;
        } else if line.starts_with("rekeying in progress") {
            self.see(Gate::Session, "session.rekey", "stalled", "", line);
        } else if line.contains("Unable to negotiate with ") {
            self.plain(line);
        } else {
            self.exchange(line);
        }
    }

    /// What the session is for.
    fn asks(&mut self, line: &str) {
        if self.hop.is_some() {
            return;
        }
        if line.starts_with("Sending subsystem: ") {
            self.asked = Some(("subsystem", self.line));
        } else if let Some(command) = line.strip_prefix("Sending command: ") {
            let mut words = command.split_ascii_whitespace();
            let copies = words.next() == Some("scp") && words.any(|w| matches!(w, "-t" | "-f"));
            let word = if copies { "scp" } else { "command" };
            self.asked = Some((word, self.line));
        }
    }

    pub(super) fn stale(&mut self, line: &str) {
        let path = between(line, "(", ")").unwrap_or_default().to_owned();
        if line.contains("refused") || line.contains("Stale") {
            self.see(Gate::Session, "mux.socket", "stale", &path, line);
        }
        self.mux = None;
    }

    pub(super) fn connect_failed(&mut self, addr: &str, port: &str, error: &str, line: &str) {
        if self.hop.is_some() {
            self.jump_failed(line);
            return;
        }
        self.connecting = None;
        let about = socket(addr, port);
        let value = connect_error(error);
        let error = error.to_ascii_lowercase();
        if error.contains("permission denied") || error.contains("not permitted") {
            self.see(Gate::Tcp, "tcp.local-refusal", "permission", addr, line);
        }
        self.see(Gate::Tcp, "tcp.connect", value, &about, line);
        self.reach(Stage::Connecting);
    }

    /// Whether that is the target's name; without a command line, whatever is not the jump's.
    pub(super) fn is_target(&self, host: &str) -> bool {
        let hop = self.hop.as_deref().unwrap_or_default();
        let hop_host = hop.rsplit('@').next().unwrap_or(hop);
        let asked = self
            .through
            .as_ref()
            .and_then(|(_, c)| between(c, "-W '[", "]").or_else(|| between(c, "-W [", "]")));
        match asked {
            Some(asked) => asked.eq_ignore_ascii_case(host),
            None => {
                self.target
                    .as_deref()
                    .is_some_and(|t| t.eq_ignore_ascii_case(host))
                    || host != hop_host
            }
        }
    }

    /// The offered key, or the password, was not what the server wanted.
    pub(super) fn refused(&mut self, line: &str) {
        if let Some(name) = self.offering.take() {
            self.see(Gate::Auth, "auth.key", "refused", &name, line);
        }
        if let Some(name) = self.accepted.take() {
            // ssh asked whether the key would do, then signed with it, and was refused after all.
            let text = "the server would take the key, and refused the signature";
            self.see(Gate::Auth, "auth.key", "signed-refused", &name, text);
        }
        if matches!(self.method.as_str(), "password" | "keyboard-interactive") {
            if self.prompted {
                self.see(Gate::Auth, "auth.password", "refused", "", line);
            } else if self.no_terminal {
                self.see(Gate::Auth, "auth.password", "not-possible", "", line);
            }
            self.prompted = false;
        }
    }

    /// A key that the server would take, and that was then not used.
    pub(super) fn unsigned(&mut self) {
        if let Some(name) = self.accepted.take() {
            let text = "the server accepts the key, and nothing was signed with it";
            self.see(Gate::Auth, "auth.key", "accepted-not-signed", &name, text);
        }
    }

    pub(super) fn authenticated(&mut self, method: &str, line: &str) {
        if self.hop.is_some() {
            return;
        }
        self.accepted = None;
        self.offering = None;
        self.see(Gate::Auth, "auth.method", "ok", method, line);
        self.see(Gate::Auth, "auth.end", "ok", "", line);
        self.reach(Stage::Session);
    }
}
