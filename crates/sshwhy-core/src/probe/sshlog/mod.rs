//! The failing ssh's own text, read into observations: with `-v` every gate shows, without it the error at least.
//!
//! Reads what ssh, scp and sftp write to standard error (OpenSSH 7 to 10; the wordings stand in ssh.c, sshconnect.c,
//! sshconnect2.c, packet.c, clientloop.c, readconf.c, scp.c and sftp.c). The server's banner stands in the same text, so
//! a line means something only where ssh itself could have written it at that point. Nothing is judged here.
//!
//! With ProxyJump the jump host's ssh writes into the same text; its lines count for the jump until the real target
//! speaks.

mod ending;
mod plain;
mod verbose;

use super::command::Command;
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
        asked: None,
        copying: false,
        ready: false,
        connecting: None,
        broken: false,
        ended: false,
        mux: None,
        client_keys: false,
        exit: None,
        signalled: false,
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
    /// What the session was asked for, and the line where.
    asked: Option<(&'static str, u32)>,
    /// scp's old protocol was spoken, or the other scp said why not.
    copying: bool,
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
    /// The server says that a signal ended what it ran.
    signalled: bool,
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
mod tests;
