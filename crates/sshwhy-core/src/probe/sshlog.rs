//! The failing ssh's own text, read into observations: with `-v` every gate shows, without it the error at least.
//!
//! Reads what ssh, scp and sftp write to standard error (OpenSSH 7 to 10; the wordings stand in ssh.c, sshconnect.c,
//! sshconnect2.c, packet.c, clientloop.c, readconf.c, scp.c and sftp.c). The server's banner stands in the same text, so
//! a line means something only where ssh itself could have written it at that point. Nothing is judged here.
//!
//! With ProxyJump the jump host's ssh writes into the same text; its lines count for the jump until the real target
//! speaks.

use super::command::{Command, Program};
use super::says;
use crate::catalog::causes::Gate;
use crate::observation::Observation;

/// Longer lines are cut: ssh's own are shorter, a server's banner may be anything.
const LONGEST_LINE: usize = 4096;
/// How many lines are read; a session with -v writes about a hundred.
const MOST_LINES: usize = 100_000;
/// How many observations one text may become.
const MOST: usize = 2_000;
/// How many lines of a session's output are looked at: who turns somebody away says so at once.
const MOST_OUTPUT: usize = 20;

/// Reads the text. `command` is what was run, where that is known: it tells the target from a jump host, and whose
/// command a message is about.
pub fn read(text: &str, command: Option<&Command>) -> Vec<Observation> {
    let mut reader = Reader {
        command,
        verbose: false,
        line: 0,
        out: Vec::new(),
        stage: Stage::Start,
        hop: None,
        through: None,
        method: String::new(),
        prompted: false,
        no_terminal: false,
        offered: 0,
        offering: None,
        accepted: None,
        says: Vec::new(),
        prelude: Vec::new(),
        channel: Channel::Session,
        command_sent: false,
        ready: false,
        connecting: None,
        broken: false,
        ended: false,
        mux: None,
        client_keys: false,
        exit: None,
        target: command.map(|c| c.host.clone()),
    };
    for line in text.lines().take(MOST_LINES) {
        reader.line += 1;
        let line = line.trim_end();
        let mut end = line.len().min(LONGEST_LINE);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        reader.one(line.get(..end).unwrap_or_default());
        if reader.out.len() >= MOST {
            break;
        }
    }
    reader.finish();
    reader.out
}

/// What a session printed before it ended badly (ssh's standard output, where ssh was run by us). `log` is what its
/// standard error came to: the output of a session that went well is the user's own business.
pub fn output(text: &str, log: &[Observation]) -> Vec<Observation> {
    let has = |key: &str, values: &[&str]| {
        log.iter()
            .any(|o| o.key == key && values.contains(&o.value.as_str()))
    };
    if !has("auth.end", &["ok"]) || !has("session.end", &["exit", "closed", "reset", "signal"]) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate().take(MOST_OUTPUT) {
        let (gate, key, word) = match (says::account(line, true), says::session(line)) {
            (Some(word), _) => (Gate::Account, "account.says", word),
            (None, Some(word)) => (Gate::Session, "session.says", word),
            (None, None) => continue,
        };
        let source = format!("the session's output, line {}", i + 1);
        out.push(Observation::new(gate, key, word, source).text(line));
    }
    out
}

/// How far the target's connection got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Start,
    Connecting,
    Connected,
    Ident,
    HostKey,
    Auth,
    Session,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Channel {
    Session,
    Forward,
}

struct Reader<'c> {
    command: Option<&'c Command>,
    verbose: bool,
    line: u32,
    out: Vec<Observation>,
    stage: Stage,
    /// The jump host whose lines these are.
    hop: Option<String>,
    /// The proxy that the target is reached through: (is a jump, command).
    through: Option<(bool, String)>,
    /// The method under way.
    method: String,
    prompted: bool,
    no_terminal: bool,
    offered: usize,
    offering: Option<String>,
    accepted: Option<String>,
    /// What nobody of ours wrote: the server's banner, the remote command's error output.
    says: Vec<(u32, String)>,
    prelude: Vec<(u32, String)>,
    channel: Channel,
    command_sent: bool,
    /// The server has spoken inside the session.
    ready: bool,
    connecting: Option<String>,
    /// Something failed, and was said.
    broken: bool,
    /// ssh came to its end.
    ended: bool,
    mux: Option<String>,
    client_keys: bool,
    exit: Option<i64>,
    target: Option<String>,
}

/// The text between two marks.
fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let rest = text.split_once(from)?.1;
    if to.is_empty() {
        return Some(rest);
    }
    Some(rest.split_once(to)?.0)
}

/// `connect(2)`'s error as ssh prints it (strerror of glibc, musl, BSD and macOS).
fn connect_error(text: &str) -> &'static str {
    let text = text.to_ascii_lowercase();
    let is = |part: &str| text.contains(part);
    if is("refused") {
        "refused"
    } else if is("timed out") {
        "timeout"
    } else if is("no route to host") || is("host is down") || is("host is unreachable") {
        "host-unreachable"
    } else if is("network is unreachable") || is("network is down") || is("network unreachable") {
        "net-unreachable"
    } else if is("reset") {
        "reset"
    } else if is("invalid argument") {
        // A blackhole route answers with EINVAL (fib_props of the kernel's fib_semantics.c).
        "no-route"
    } else {
        "error"
    }
}

/// What getaddrinfo(3) said (glibc, musl, BSD, macOS, Windows).
fn lookup_error(text: &str) -> &'static str {
    let text = text.to_ascii_lowercase();
    let is = |part: &str| text.contains(part);
    if is("temporary failure") || is("try again") || is("non-recoverable") {
        "no-server"
    } else if is("name or service not known")
        || is("not known")
        || is("name does not resolve")
        || is("no such host")
    {
        "nxdomain"
    } else if is("no address associated") || is("address family for hostname") {
        "no-address"
    } else {
        "error"
    }
}

impl Reader<'_> {
    fn source(&self) -> String {
        if self.verbose {
            format!("ssh -v line {}", self.line)
        } else {
            format!("ssh line {}", self.line)
        }
    }

    fn see(&mut self, gate: Gate, key: &'static str, value: &str, about: &str, text: &str) {
        // Inside a jump only the jump itself is an observation.
        if self.hop.is_some() && !key.starts_with("proxy.") {
            return;
        }
        let source = self.source();
        self.out.push(
            Observation::new(gate, key, value, source)
                .about(about)
                .text(text),
        );
    }

    /// The same, and the way ends here.
    fn fail(&mut self, gate: Gate, key: &'static str, value: &str, about: &str, text: &str) {
        if self.hop.is_some() {
            self.jump_failed(text);
            return;
        }
        self.see(gate, key, value, about, text);
        self.broken = true;
    }

    fn jump_failed(&mut self, text: &str) {
        let hop = self.hop.clone().unwrap_or_default();
        self.see(Gate::Tcp, "proxy.jump", "failed", &hop, text);
        self.broken = true;
    }

    fn reach(&mut self, stage: Stage) {
        if self.hop.is_none() && self.stage < stage {
            self.stage = stage;
        }
    }

    fn one(&mut self, raw: &str) {
        // scp and sftp put their name before ssh's own lines, and before their own debug lines.
        let unnamed = raw
            .strip_prefix("scp: ")
            .or_else(|| raw.strip_prefix("sftp: "))
            .unwrap_or(raw);
        let debug = ["debug1: ", "debug2: ", "debug3: "]
            .into_iter()
            .find_map(|p| unnamed.strip_prefix(p));
        match debug {
            Some(line) => {
                self.verbose = true;
                self.debug(line);
            }
            None => self.plain(raw),
        }
    }

    /// What `-v` says.
    fn debug(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("Setting implicit ProxyCommand from ProxyJump: ") {
            self.through = Some((true, rest.to_owned()));
        } else if let Some(rest) = line.strip_prefix("Executing proxy command: exec ") {
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

    fn debug_keys(&mut self, line: &str) {
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

    fn debug_session(&mut self, line: &str) {
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
        } else if line.starts_with("client_input_global_request: ") {
            self.ready |= self.hop.is_none();
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

    fn stale(&mut self, line: &str) {
        let path = between(line, "(", ")").unwrap_or_default().to_owned();
        if line.contains("refused") || line.contains("Stale") {
            self.see(Gate::Session, "mux.socket", "stale", &path, line);
        }
        self.mux = None;
    }

    fn connect_failed(&mut self, addr: &str, port: &str, error: &str, line: &str) {
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
    fn is_target(&self, host: &str) -> bool {
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
    fn refused(&mut self, line: &str) {
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
    fn unsigned(&mut self) {
        if let Some(name) = self.accepted.take() {
            let text = "the server accepts the key, and nothing was signed with it";
            self.see(Gate::Auth, "auth.key", "accepted-not-signed", &name, text);
        }
    }

    fn authenticated(&mut self, method: &str, line: &str) {
        if self.hop.is_some() {
            return;
        }
        self.accepted = None;
        self.offering = None;
        self.see(Gate::Auth, "auth.method", "ok", method, line);
        self.see(Gate::Auth, "auth.end", "ok", "", line);
        self.reach(Stage::Session);
    }

    /// What is written without `-v` too.
    fn plain(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        if line.starts_with("OpenSSH_") && line.contains("SSL") {
            let version = line.split(',').next().unwrap_or(line);
            if self.stage == Stage::Start && self.through.is_none() {
                self.see(Gate::Name, "client.version", version, "", line);
            }
        } else if let Some(rest) = line.strip_prefix("ssh: Could not resolve hostname ") {
            let (host, error) = rest.split_once(": ").unwrap_or((rest, ""));
            if self.hop.is_some() {
                self.jump_failed(line);
            } else {
                self.fail(Gate::Name, "name.lookup", lookup_error(error), host, line);
            }
        } else if let Some(rest) = line.strip_prefix("ssh: connect to host ") {
            let host = rest.split(' ').next().unwrap_or_default();
            let port = between(rest, "port ", ":").unwrap_or("22");
            let error = between(rest, ": ", "").unwrap_or_default();
            let known = self.out.iter().any(|o| {
                o.key == "tcp.connect" && o.value == connect_error(error) && o.value != "error"
            });
            if self.hop.is_some() {
                self.jump_failed(line);
            } else if known {
                self.broken = true;
            } else {
                self.connect_failed(host, port, error, line);
                self.broken = true;
            }
            self.reach(Stage::Connecting);
        } else if !self.configuration(line)
            && !self.exchange(line)
            && !self.host_key(line)
            && !self.authentication(line)
            && !self.session(line)
            && !noise(line)
        {
            self.other(line);
        }
    }

    /// The client's configuration and command line (readconf.c, ssh.c, sshconnect.c ssh_create_socket()).
    fn configuration(&mut self, line: &str) -> bool {
        if self.stage == Stage::Connecting
            && let Some(rest) = line
                .strip_prefix("bind ")
                .or_else(|| line.strip_prefix("getaddrinfo: "))
            && (rest.ends_with("Cannot assign requested address")
                || rest.ends_with("Can't assign requested address")
                || rest.ends_with("Invalid argument"))
        {
            // BindAddress or BindInterface: this machine does not have that address.
            let about = rest.split(": ").next().unwrap_or_default().to_owned();
            self.fail(Gate::Name, "client.config", "error", &about, line);
            return true;
        }
        if self.stage != Stage::Start {
            return false;
        }
        if let Some(file) = line.strip_prefix("Bad owner or permissions on ") {
            self.fail(Gate::Name, "client.config", "permissions", file, line);
            return true;
        }
        if line.contains(": terminating, ") && line.contains("bad configuration option") {
            self.broken = true;
            return true;
        }
        let numbered = line.find(" line ").filter(|_| {
            !line.contains("Deprecated option") && !line.contains("Unsupported option")
        });
        if let Some(at) = numbered {
            let (file, rest) = line.split_at_checked(at).unwrap_or((line, ""));
            let number: String = rest
                .chars()
                .skip(" line ".len())
                .take_while(char::is_ascii_digit)
                .collect();
            let after = rest
                .get(" line ".len() + number.len()..)
                .unwrap_or_default();
            if !number.is_empty() && after.starts_with([':', '.']) {
                let file = file.trim_end_matches(':');
                let about = format!("{file}:{number}");
                self.fail(Gate::Name, "client.config", "error", &about, line);
                return true;
            }
        }
        const ABOUT_CONFIG: &[&str] = &[
            "Can't open user config file ",
            "command-line: ",
            "jumphost loop via ",
            "Bad dynamic forwarding specification",
            "Bad local forwarding specification",
            "Bad remote forwarding specification",
            "Bad stdio forwarding specification",
            "Bad escape character",
            "Unknown cipher type",
            "Unknown mac type",
            "Bad key types",
            "unknown option -- ",
            "ssh: illegal option -- ",
            "Invalid -J argument",
            "Too many configuration",
            "Cannot specify -J with ProxyCommand",
        ];
        const ABOUT_DESTINATION: &[&str] = &[
            "hostname contains invalid characters",
            "remote username contains invalid characters",
            "usage: ssh ",
            "usage: scp ",
            "usage: sftp ",
            "Bad port '",
        ];
        if ABOUT_CONFIG.iter().any(|p| line.starts_with(p)) {
            self.fail(Gate::Name, "client.config", "error", "", line);
            return true;
        }
        if ABOUT_DESTINATION.iter().any(|p| line.starts_with(p)) {
            self.fail(Gate::Name, "client.destination", "invalid", "", line);
            return true;
        }
        false
    }

    /// How the transport ended (kex.c, packet.c, sshconnect.c).
    fn exchange(&mut self, line: &str) -> bool {
        let line = line
            .strip_prefix("ssh_exchange_identification: ")
            .or_else(|| line.strip_prefix("kex_exchange_identification: "))
            .unwrap_or(line);
        let (gate, end) = match self.stage {
            Stage::Start | Stage::Connecting | Stage::Connected => (Gate::Ident, "ident.end"),
            Stage::Ident => (Gate::Kex, "kex.end"),
            Stage::HostKey => (Gate::HostKey, "kex.end"),
            Stage::Auth => (Gate::Auth, "auth.end"),
            Stage::Session => (Gate::Session, "session.end"),
        };
        // Behind a proxy the two ends of the pipe are all that ssh sees.
        let broken_proxy = self.through.is_some() && self.stage <= Stage::Connecting;
        if let Some(rest) = line.strip_prefix("Unable to negotiate with ") {
            let class = match rest {
                r if r.contains("no matching key exchange method") => "kex",
                r if r.contains("no matching host key type") => "host-key",
                r if r.contains("no matching cipher") => "cipher",
                r if r.contains("no matching MAC") => "mac",
                r if r.contains("no matching compression") => "compression",
                _ => return false,
            };
            let offer = between(rest, "Their offer: ", "").unwrap_or_default();
            self.fail(Gate::Kex, "kex.mismatch", class, offer, line);
            return true;
        }
        if line.starts_with("banner line contains invalid characters")
            || line.contains(": invalid format")
            || line.starts_with("Protocol major versions differ")
            || line.starts_with("Bad remote protocol version identification")
            || line.starts_with("client sent invalid protocol identifier")
        {
            self.fail(Gate::Ident, "ident.end", "other-protocol", "", line);
        } else if line.starts_with("Connection timed out during banner exchange")
            || line.starts_with("Operation timed out during banner exchange")
        {
            self.fail(Gate::Ident, "ident.end", "timeout", "", line);
        } else if line.starts_with("Corrupted MAC on input")
            || line.starts_with("Bad packet length ")
            || line.contains("message authentication code incorrect")
        {
            self.fail(gate, "kex.end", "corrupt", "", line);
        } else if line.contains("DH GEX group out of range") {
            self.fail(Gate::Kex, "kex.end", "group-out-of-range", "", line);
        } else if line.contains("Invalid key length") {
            self.fail(Gate::HostKey, "hostkey.check", "too-short", "", line);
        } else if let Some(rest) = line.strip_prefix("Received disconnect from ") {
            let too_many = rest.contains("Too many authentication failures");
            let said = rest.splitn(3, ':').last().unwrap_or(rest).trim();
            if too_many {
                self.fail(Gate::Auth, "auth.end", "too-many", "", line);
            } else {
                let value = if end == "auth.end" {
                    "disconnected"
                } else {
                    "closed"
                };
                self.fail(gate, end, value, "", line);
                self.see(gate, "auth.server-says", said, "", line);
            }
        } else if line.starts_with("Connection closed by remote host") || {
            line.starts_with("Connection closed by ") && line.contains(" port ")
        } {
            if broken_proxy && line.contains("UNKNOWN") {
                self.proxy_failed(line);
            } else if !broken_proxy {
                self.end_once(gate, end, "closed", line);
            }
        } else if line.contains("Connection reset by peer")
            || (line.starts_with("Connection reset by ") && line.contains(" port "))
            || line.contains(": Software caused connection abort")
        {
            if broken_proxy {
                self.proxy_failed(line);
            } else {
                self.end_once(gate, end, "reset", line);
            }
        } else if line.contains("Broken pipe") && !line.starts_with("debug") {
            let value = if end == "session.end" {
                "broken-pipe"
            } else {
                "reset"
            };
            if broken_proxy {
                self.proxy_failed(line);
            } else {
                self.end_once(gate, end, value, line);
            }
        } else if line.starts_with("Connection to ") && line.ends_with(" timed out") {
            self.end_once(gate, end, "timeout", line);
        } else if line.starts_with("Disconnected from ") && line.contains(" port ") {
            self.broken = true;
        } else {
            return false;
        }
        true
    }

    /// ssh says twice how a connection ended; the first one knows best.
    fn end_once(&mut self, gate: Gate, key: &'static str, value: &str, line: &str) {
        let known = self.broken
            && self
                .out
                .iter()
                .any(|o| o.key == key && o.value != "ok" || o.key == "kex.mismatch");
        if !known {
            self.fail(gate, key, value, "", line);
        }
    }

    fn proxy_failed(&mut self, line: &str) {
        match self.through.clone() {
            Some((true, command)) => {
                let hop = self.hop.clone();
                let hop = hop
                    .unwrap_or_else(|| command.rsplit(' ').next().unwrap_or_default().to_owned());
                self.see(Gate::Tcp, "proxy.jump", "failed", &hop, line);
            }
            Some((false, command)) => {
                self.see(Gate::Tcp, "proxy.command", "failed", &command, line);
            }
            None => {}
        }
        self.broken = true;
    }

    /// The server's host key (sshconnect.c).
    fn host_key(&mut self, line: &str) -> bool {
        let check = |value| ("hostkey.check", value);
        let (key, value) = if line.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            check("changed")
        } else if let Some(file) = line
            .strip_prefix("Host key ")
            .and_then(|l| l.split_once(" revoked by file "))
            .map(|(_, file)| file.to_owned())
        {
            // RevokedHostKeys
            self.reach(Stage::HostKey);
            self.fail(Gate::HostKey, "hostkey.check", "revoked", &file, line);
            return true;
        } else if line.contains("REVOKED HOST KEY DETECTED") || line.contains("marked as revoked") {
            check("revoked")
        } else if line.starts_with("No ") && line.contains(" host key is known for ")
            || line.contains("can't be established.")
        {
            check("unknown")
        } else if line.starts_with("Host key verification failed") {
            check("failed")
        } else if line.contains("differs from the key for the IP address")
            || line.contains("POSSIBLE DNS SPOOFING DETECTED")
        {
            self.see(
                Gate::HostKey,
                "hostkey.check",
                "differs-by-address",
                "",
                line,
            );
            return true;
        } else if line.starts_with("Certificate invalid: ")
            || line.contains("Host certificate") && line.contains("invalid")
        {
            check("certificate-invalid")
        } else if line.starts_with("Offending ") && line.contains(" in ") {
            let about = between(line, " in ", "").unwrap_or_default().to_owned();
            for o in &mut self.out {
                if o.key == "hostkey.check" && o.value == "changed" && o.about.is_empty() {
                    o.about = about.clone();
                }
            }
            return true;
        } else {
            return false;
        };
        self.reach(Stage::HostKey);
        self.fail(Gate::HostKey, key, value, "", line);
        true
    }

    /// Keys, passwords and the server's verdict on them (sshconnect2.c, authfile.c).
    fn authentication(&mut self, line: &str) -> bool {
        let key = |s: &mut Self, value: &str, name: &str| {
            s.client_keys = true;
            s.see(Gate::Auth, "auth.key", value, name, line);
        };
        if let Some(rest) = line.strip_prefix("Permissions ")
            && rest.contains("are too open")
        {
            let name = between(rest, "'", "'").unwrap_or_default().to_owned();
            self.accepted = None;
            key(self, "permissions", &name);
        } else if let Some(rest) = line.strip_prefix("Load key \"") {
            let (name, error) = rest.split_once("\": ").unwrap_or((rest, ""));
            let name = name.to_owned();
            let value = match error {
                e if e.contains("bad permissions") || e.contains("Permission denied") => {
                    "permissions"
                }
                e if e.contains("passphrase") => "passphrase",
                e if e.contains("No such file") => "missing",
                _ => "invalid",
            };
            self.accepted = None;
            let known = self
                .out
                .iter()
                .any(|o| o.key == "auth.key" && o.about == name && o.value == value);
            if !known {
                key(self, value, &name);
            }
        } else if let Some(rest) = line
            .strip_prefix("no such identity: ")
            .or_else(|| line.strip_prefix("Warning: Identity file "))
        {
            let (name, error) = rest
                .split_once(" not accessible: ")
                .or_else(|| rest.split_once(": "))
                .unwrap_or((rest, ""));
            let value = if error.contains("Permission denied") {
                "permissions"
            } else {
                "missing"
            };
            let name = name.to_owned();
            self.see(Gate::Auth, "auth.key", value, &name, line);
        } else if line.contains("no mutual signature") {
            let name = self.offering.take().unwrap_or_default();
            key(self, "no-signature-algorithm", &name);
        } else if line.contains("signing failed for ") || line.contains("agent refused operation") {
            let name = between(line, "\"", "\"").unwrap_or_default().to_owned();
            let value =
                if line.contains("agent refused operation") || line.contains("communication") {
                    "agent-refused"
                } else if line.contains("passphrase") {
                    "passphrase"
                } else {
                    "sign-failed"
                };
            self.accepted = None;
            key(self, value, &name);
        } else if line.contains("refusing RSA key: Invalid key length") || {
            line.contains("Invalid key length") && self.stage == Stage::Auth
        } {
            key(self, "too-short", "");
        } else if line.contains("do not match") && line.contains("private") {
            let name = between(line, "\"", "\"").unwrap_or_default().to_owned();
            key(self, "mismatch", &name);
        } else if line.contains("with partial success") {
            let method = between(line, "\"", "\"").unwrap_or(&self.method).to_owned();
            self.accepted = None;
            self.see(Gate::Auth, "auth.method", "partial", &method, line);
        } else if let Some(rest) = line.strip_prefix("Authenticated to ") {
            let host = rest.split(' ').next().unwrap_or_default();
            let method = between(line, "using \"", "\"")
                .unwrap_or_default()
                .to_owned();
            if self.hop.is_some() && !rest.contains("(via proxy)") && !self.is_target(host) {
                return true;
            }
            self.hop = None;
            self.authenticated(&method, line);
        } else if line.starts_with("Permission denied, please try again") {
            let value = if self.no_terminal {
                "not-possible"
            } else {
                "refused"
            };
            let said = self
                .out
                .iter()
                .any(|o| o.key == "auth.password" && o.value == value);
            if !said {
                self.see(Gate::Auth, "auth.password", value, "", line);
            }
            self.reach(Stage::Auth);
        } else if line.contains("Permission denied (") && line.ends_with(").") {
            if self.hop.is_some() {
                self.jump_failed(line);
                return true;
            }
            let list = between(line, "Permission denied (", ").").unwrap_or_default();
            let list = list.to_owned();
            self.refused(line);
            self.reach(Stage::Auth);
            self.see(Gate::Auth, "auth.methods", &list, "", line);
            self.fail(Gate::Auth, "auth.end", "denied", "", line);
        } else if line.starts_with("@@@@@")
            || line.starts_with("@ ")
            || line.starts_with("It is required that your private key files")
            || line.starts_with("This private key will be ignored")
            || line.starts_with("Too many authentication failures")
        {
            // Part of a message whose other lines are read.
        } else {
            return false;
        }
        true
    }

    /// Channels, forwardings, file transfers (clientloop.c, channels.c, mux.c, sftp-client.c).
    fn session(&mut self, line: &str) -> bool {
        let bare = line
            .strip_prefix("scp: ")
            .or_else(|| line.strip_prefix("sftp: "))
            .unwrap_or(line);
        let lower = bare.to_ascii_lowercase();
        if line.starts_with("channel ") && line.contains(": open failed: ") {
            let reason = between(line, ": open failed: ", "").unwrap_or_default();
            let forward = self.channel == Channel::Forward
                || self.command.is_some_and(|c| c.stdio_forward.is_some());
            if forward {
                let value = if reason.starts_with("administratively prohibited") {
                    "prohibited"
                } else if reason.starts_with("connect failed") {
                    "connect-failed"
                } else {
                    "unknown-channel"
                };
                let about = self
                    .command
                    .and_then(|c| c.stdio_forward.clone())
                    .unwrap_or_default();
                self.fail(Gate::Session, "forward.end", value, &about, line);
            } else {
                self.fail(Gate::Session, "session.open", "refused", "", line);
            }
        } else if line.starts_with("stdio forwarding failed") {
            self.fail(Gate::Session, "forward.stdio", "failed", "", line);
        } else if line.contains("remote port forwarding failed for listen") {
            let about = line.rsplit(' ').next().unwrap_or_default().to_owned();
            self.fail(Gate::Session, "forward.end", "remote-failed", &about, line);
        } else if line.starts_with("bind [") && line.contains("Address already in use")
            || line.starts_with("bind [") && line.contains("Permission denied")
            || line.starts_with("channel_setup_fwd_listener")
            || line.starts_with("Could not request local forwarding")
            || line.starts_with("Privileged ports can only be forwarded")
        {
            let known = self.out.iter().any(|o| o.value == "local-failed");
            if !known {
                let about = between(line, "bind ", ": ").unwrap_or_default().to_owned();
                self.fail(Gate::Session, "forward.end", "local-failed", &about, line);
            }
        } else if line.contains(" request failed on channel ") {
            let value = match line.split(' ').next() {
                Some("PTY") => "pty-refused",
                Some("exec") => "exec-refused",
                Some("shell") => "shell-refused",
                Some("subsystem") => "subsystem-refused",
                _ => return false,
            };
            self.fail(Gate::Session, "session.request", value, "", line);
        } else if line.starts_with("Connection to ") && line.ends_with(" closed by remote host.") {
            self.fail(Gate::Session, "session.end", "closed", "", line);
        } else if line.starts_with("Timeout, server ") {
            self.fail(
                Gate::Session,
                "session.alive",
                "server-not-responding",
                "",
                line,
            );
            self.fail(Gate::Session, "session.end", "timeout", "", line);
        } else if line.contains("session request failed: Session open refused by peer") {
            self.fail(Gate::Session, "mux.socket", "refused", "", line);
        } else if line.contains("too long for Unix domain socket") {
            let about = between(line, "\"", "\"").unwrap_or_default().to_owned();
            self.fail(Gate::Session, "mux.socket", "too-long", &about, line);
        } else if line.starts_with("Control socket connect(") {
            self.stale(line);
        } else if line.starts_with("mux_client_") {
            let path = self.mux.clone().unwrap_or_default();
            self.fail(Gate::Session, "mux.socket", "stale", &path, line);
        } else if lower.contains("no space left on device") {
            self.says_at_work("no-space", line);
        } else if lower.contains("disk quota exceeded") {
            self.says_at_work("quota", line);
        } else if self.copies() && lower.ends_with("read-only file system") {
            self.says_at_work("read-only", line);
        } else if self.copies()
            && (lower.contains("dest open ") || lower.starts_with("remote open("))
            && lower.ends_with("failure")
        {
            // SFTP has no word for it.
            self.says_at_work("open-failure", line);
        } else if bare.starts_with("Received message too long")
            || lower.contains("is your shell clean")
            || lower.contains("ensure the remote shell produces no output")
            || lower.contains("protocol error: unexpected")
        {
            self.says_at_work("not-clean", line);
        } else if self.copies()
            && (lower.starts_with("write remote ")
                || lower.starts_with("couldn't write to remote file")
                || lower.starts_with("close remote:"))
            && lower.ends_with("failure")
        {
            self.says_at_work("write-failure", line);
        } else if self.copies() && lower.ends_with("permission denied") {
            self.says_at_work("permission-denied", line);
        } else if self.copies() && lower.ends_with("no such file or directory") {
            self.says_at_work("no-such-file", line);
        } else if lower.contains("this service allows sftp connections only") {
            self.says_at_work("sftp-only", line);
        } else if line.starts_with("Could not chdir to home directory") {
            let about = between(line, "directory ", ":")
                .unwrap_or_default()
                .to_owned();
            self.see(Gate::Session, "session.says", "no-home", &about, line);
        } else if self.proxy_missing(line) {
            let command = self.through.clone().map(|(_, c)| c).unwrap_or_default();
            self.see(Gate::Tcp, "proxy.command", "missing", &command, line);
            self.broken = true;
        } else {
            return false;
        }
        true
    }

    fn says_at_work(&mut self, value: &str, line: &str) {
        self.fail(Gate::Session, "session.says", value, "", line);
    }

    fn copies(&self) -> bool {
        self.command.is_some_and(|c| c.program != Program::Ssh)
    }

    /// The shell says that the proxy command does not exist.
    fn proxy_missing(&self, line: &str) -> bool {
        self.through.as_ref().is_some_and(|(jump, _)| !jump)
            && self.stage <= Stage::Connecting
            && (line.ends_with("not found") || line.ends_with("No such file or directory"))
    }

    /// What ssh did not write: the server's banner before the login, the remote side's words after it.
    fn other(&mut self, line: &str) {
        if self.says.len() < 200 {
            self.says.push((self.line, line.to_owned()));
        }
    }

    /// What only the whole text tells: the state of each gate, and how it ended.
    fn finish(&mut self) {
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
        }
        self.words();
        self.session_end(let_in);
        self.states();
    }

    fn prelude_facts(&mut self) {
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
        if let Some(protocol) = super::protocol::of_lines(&texts) {
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

    fn stopped(&mut self) {
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
    fn words(&mut self) {
        let let_in = self.stage == Stage::Session;
        let failed = self.broken || self.exit.is_some_and(|e| e != 0);
        let asked = self.command.map_or("", |c| c.remote.as_str()).to_owned();
        for (line, text) in std::mem::take(&mut self.says) {
            self.line = line;
            let lower = text.to_ascii_lowercase();
            let is = |part: &str| lower.contains(part);
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
            if missing && self.exit == Some(127) {
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

    fn session_end(&mut self, let_in: bool) {
        if !let_in {
            return;
        }
        self.line = self.line.max(1);
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
    fn states(&mut self) {
        let config = self
            .out
            .iter()
            .any(|o| o.key == "client.config" || o.key == "client.destination");
        let lookup = self
            .out
            .iter()
            .any(|o| o.key == "name.lookup" && o.value != "ok");
        let passed: &[Gate] = match self.stage {
            Stage::Start => &[],
            // An address that this machine does not have is found out late, and is the configuration's all the same.
            Stage::Connecting if config => &[],
            Stage::Connecting => &[Gate::Name],
            Stage::Connected => &[Gate::Name, Gate::Route, Gate::Tcp],
            Stage::Ident => &[Gate::Name, Gate::Route, Gate::Tcp, Gate::Ident],
            Stage::HostKey => &[Gate::Name, Gate::Route, Gate::Tcp, Gate::Ident, Gate::Kex],
            Stage::Auth => &[
                Gate::Name,
                Gate::Route,
                Gate::Tcp,
                Gate::Ident,
                Gate::Kex,
                Gate::HostKey,
            ],
            Stage::Session => &[
                Gate::Name,
                Gate::Route,
                Gate::Tcp,
                Gate::Ident,
                Gate::Kex,
                Gate::HostKey,
                Gate::Auth,
            ],
        };
        for gate in passed {
            self.see(*gate, "gate.state", "passed", "", "");
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

/// `banner line 3: TEXT`
fn banner_line(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("kex_exchange_identification: banner line ")
        .or_else(|| line.strip_prefix("ssh_exchange_identification: banner line "))
        .or_else(|| line.strip_prefix("ssh_exchange_identification: "))?;
    match rest.split_once(": ") {
        Some((number, text)) if number.bytes().all(|b| b.is_ascii_digit()) => Some(text),
        _ if line.starts_with("ssh_") => Some(rest),
        // An empty line is written without a blank after its colon where that was trimmed.
        _ => rest.strip_suffix(':').map(|_| ""),
    }
}

/// `FILE RSA SHA256:… agent` without what follows the name; file names may hold blanks.
fn key_name(rest: &str) -> String {
    let cut = [" RSA", " ED25519", " ECDSA", " DSA", " XMSS"]
        .iter()
        .filter_map(|kind| rest.rfind(kind))
        .max();
    let cut = match cut {
        Some(cut) => cut,
        None => rest.find(" SHA256:").unwrap_or(rest.len()),
    };
    rest.get(..cut).unwrap_or(rest).trim().to_owned()
}

fn socket(addr: &str, port: &str) -> String {
    if addr.contains(':') {
        format!("[{addr}]:{port}")
    } else {
        format!("{addr}:{port}")
    }
}

/// Lines of ssh, scp and sftp that say nothing.
fn noise(line: &str) -> bool {
    const NOISE: &[&str] = &[
        "Transferred: ",
        "Bytes per second: ",
        "Executing: ",
        "Warning: Permanently added ",
        "Connected to ",
        "Connection closed",
        "Connection to ",
        "IT IS POSSIBLE THAT SOMEONE",
        "Someone could be eavesdropping",
        "It is also possible that a host key",
        "The fingerprint for the ",
        "SHA256:",
        "Please contact your system administrator",
        "Add correct host key in ",
        "  remove with:",
        "  ssh-keygen -f ",
        "Host key for ",
        "Password authentication is disabled to avoid",
        "Keyboard-interactive authentication is disabled",
        "This could mean that a stolen key",
        "impersonate this host",
        "Are you sure you want to continue",
        "This key is not known by any other names",
        "Matching host key in ",
        "scp: failed to upload",
        "lost connection",
    ];
    NOISE.iter().any(|n| line.starts_with(n)) || line.contains("fingerprint is SHA256:") || {
        line.contains(" host key for ") && line.contains(" was revoked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::{Case, diagnose};
    use crate::probe::command;

    fn read_as(typed: &str, text: &str) -> Vec<Observation> {
        let words: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
        read(text, Some(&command::parse(&words).unwrap()))
    }

    fn verdict(typed: &str, text: &str) -> Option<(&'static str, bool)> {
        let d = diagnose(&Case::default(), &read_as(typed, text));
        d.findings.first().map(|f| (f.slug, f.confidence >= 0.5))
    }

    /// A login up to authentication, in the words of ssh -v.
    const UP_TO_AUTH: &str = "OpenSSH_9.6p1, OpenSSL 3.0.13 30 Jan 2024\n\
        debug1: Connecting to server.example [192.0.2.7] port 22.\n\
        debug1: Connection established.\n\
        debug1: identity file /home/me/.ssh/id_ed25519 type 3\n\
        debug1: Remote protocol version 2.0, remote software version OpenSSH_9.6\n\
        debug1: Authenticating to server.example:22 as 'alice'\n\
        debug1: Server host key: ssh-ed25519 SHA256:AAAA\n\
        debug1: Host 'server.example' is known and matches the ED25519 host key.\n\
        debug1: Authentications that can continue: publickey,password\n\
        debug1: Next authentication method: publickey\n";

    const OFFER: &str =
        "debug1: Offering public key: /home/me/.ssh/id_ed25519 ED25519 SHA256:BBBB\n";
    const ACCEPT: &str =
        "debug1: Server accepts key: /home/me/.ssh/id_ed25519 ED25519 SHA256:BBBB\n";
    const GO_ON: &str = "debug1: Authentications that can continue: publickey,password\n";
    const DENIED: &str = "debug1: No more authentication methods to try.\n\
        alice@server.example: Permission denied (publickey,password).\n";
    const LET_IN: &str = "Authenticated to server.example ([192.0.2.7]:22) using \"publickey\".\n\
        debug1: channel 0: new session [client-session]\n";

    fn auth(tail: &[&str]) -> Option<(&'static str, bool)> {
        verdict(
            "ssh alice@server.example uptime",
            &format!("{UP_TO_AUTH}{}", tail.concat()),
        )
    }

    #[test]
    fn an_address_that_this_machine_lacks_is_the_configurations_fault() {
        let text = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\n\
             debug1: Connecting to h.example [192.0.2.7] port 22.\n\
             bind 198.51.100.9: Cannot assign requested address\n\
             ssh: connect to host h.example port 22: failure\n";
        let seen = read(text, None);
        let config = seen.iter().find(|o| o.key == "client.config").unwrap();
        assert_eq!(
            (config.value.as_str(), config.about.as_str()),
            ("error", "198.51.100.9")
        );
        let failed: Vec<Gate> = seen
            .iter()
            .filter(|o| o.key == "gate.state" && o.value == "failed")
            .map(|o| o.gate)
            .collect();
        assert_eq!(failed, [Gate::Name]);
    }

    #[test]
    fn a_proxy_command_that_carries_nothing_is_named() {
        let text = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\n\
             debug1: Executing proxy command: exec connect-proxy h.example 22\n\
             debug1: identity file /home/me/.ssh/id type -1\n";
        let seen = read(text, None);
        let failed = seen
            .iter()
            .find(|o| o.key == "proxy.command" && o.value == "failed")
            .unwrap();
        assert_eq!(failed.about, "connect-proxy h.example 22");
    }

    #[test]
    fn a_key_that_a_file_revokes_is_revoked() {
        let text = "Host key ED25519 SHA256:abc revoked by file /home/me/revoked\nHost key verification failed.\n";
        let seen = read(text, None);
        let check = seen.iter().find(|o| o.key == "hostkey.check").unwrap();
        assert_eq!(
            (check.value.as_str(), check.about.as_str()),
            ("revoked", "/home/me/revoked")
        );
    }

    #[test]
    fn output_counts_where_the_session_ended_badly() {
        let o = |key: &'static str, value: &str| {
            Observation::new(Gate::Session, key, value, "ssh -v line 1")
        };
        let said = "This account is currently not available.\n";
        let bad = [o("auth.end", "ok"), o("session.end", "exit")];
        let seen = output(said, &bad);
        assert_eq!(seen.len(), 1);
        assert_eq!(
            (seen[0].key.as_str(), seen[0].value.as_str()),
            ("account.says", "shell-nologin")
        );
        assert!(output(said, &[o("auth.end", "ok"), o("session.end", "ok")]).is_empty());
        assert!(output(said, &[o("auth.end", "denied")]).is_empty());
    }

    #[test]
    fn keys_end_in_many_ways() {
        assert_eq!(
            auth(&[OFFER, GO_ON, DENIED]),
            Some(("auth-rejected-publickey", false))
        );
        assert_eq!(
            auth(&[OFFER, ACCEPT, DENIED]),
            Some(("key-passphrase", true))
        );
        assert_eq!(
            auth(&[OFFER, ACCEPT, GO_ON, DENIED]),
            Some(("auth-rejected-publickey", false)),
            "signed, and refused after all: no passphrase"
        );
        assert_eq!(
            auth(&[OFFER, ACCEPT, "Connection closed by 192.0.2.7 port 22\n"]),
            Some(("account-denied", false))
        );
        assert_eq!(
            auth(&[
                OFFER,
                "Received disconnect from 192.0.2.7 port 22:2: Too many authentication failures\n"
            ]),
            Some(("too-many-auth-failures", true))
        );
        assert_eq!(
            auth(&[
                "no such identity: /home/me/.ssh/id_job: No such file or directory\n",
                DENIED
            ]),
            Some(("identity-file-missing", true))
        );
    }

    #[test]
    fn a_login_that_works_has_nothing_to_find() {
        let works = [
            OFFER,
            ACCEPT,
            LET_IN,
            "debug1: Sending command: uptime\ndebug1: Exit status 0\n",
        ];
        assert_eq!(auth(&works), None);
        // A banner that speaks of maintenance is no nologin file where the login works.
        let banner = [
            "Maintenance on Sunday.\n",
            OFFER,
            ACCEPT,
            LET_IN,
            "debug1: Exit status 0\n",
        ];
        assert_eq!(auth(&banner), None);
        let fails = [
            OFFER,
            ACCEPT,
            "Down for maintenance.\n",
            "Connection closed by 192.0.2.7 port 22\n",
        ];
        assert_eq!(auth(&fails), Some(("nologin-file", true)));
        let exit = [OFFER, ACCEPT, LET_IN, "debug1: Exit status 3\n"];
        assert_eq!(auth(&exit), Some(("session-closed", false)));
    }

    #[test]
    fn the_way_there() {
        let say = |text: &str| verdict("ssh server.example", text);
        assert_eq!(
            say("ssh: Could not resolve hostname server.example: Name or service not known\n"),
            Some(("dns-failure", true))
        );
        assert_eq!(
            say(
                "ssh: Could not resolve hostname server.example: Temporary failure in name resolution\n"
            ),
            Some(("dns-server-unreachable", true))
        );
        assert_eq!(
            say("ssh: connect to host server.example port 22: Connection refused\n"),
            Some(("connect-refused", false))
        );
        assert_eq!(
            say(
                "kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.7 port 22\n"
            ),
            Some(("server-closed-early", false))
        );
        assert_eq!(
            say(
                "Unable to negotiate with 192.0.2.7 port 22: no matching cipher found. Their offer: 3des-cbc\n"
            ),
            Some(("no-matching-cipher", true))
        );
        assert_eq!(
            say("/home/me/.ssh/config: line 3: Bad configuration option: hostnmae\n"),
            Some(("client-config-error", true))
        );
        assert_eq!(say(""), None);
        assert_eq!(say("hello\n"), None);
    }

    #[test]
    fn a_jump_hosts_words_are_not_the_targets() {
        let text = "debug1: Setting implicit ProxyCommand from ProxyJump: ssh -v -W '[%h]:%p' gate.example\n\
            debug1: Executing proxy command: exec ssh -v -W '[server.example]:22' gate.example\n\
            debug1: Connecting to gate.example [192.0.2.1] port 22.\n\
            debug1: connect to address 192.0.2.1 port 22: Connection refused\n\
            ssh: connect to host gate.example port 22: Connection refused\n\
            Connection closed by UNKNOWN port 65535\n";
        let seen = read_as("ssh -J gate.example server.example", text);
        assert!(seen.iter().all(|o| o.key != "tcp.connect"), "{seen:?}");
        let d = diagnose(&Case::default(), &seen);
        assert_eq!(d.findings[0].slug, "proxy-jump-failed");
    }

    #[test]
    fn any_text_is_survived() {
        let nonsense = [
            "debug1: ",
            "debug1: Offering public key: ",
            "channel : open failed: ",
            "Permission denied (",
            "Load key \"",
            "Connecting to [",
            "\u{202e}\u{0}",
            ": line :",
        ];
        for a in nonsense {
            for b in nonsense {
                let _ = read(&format!("{a}\n{b}{a}\n"), None);
            }
        }
        let long = "x".repeat(LONGEST_LINE - 1) + "é";
        let _ = read(&long, None);
    }
}
