//! Decides who said each line of a paste: a client, a server's log, the reader's own shell, or nobody we know.
//!
//! A line with a syslog envelope is the server's. Without one, both sides' wordings are tried; a few are the same on both
//! (`Connection reset by 192.0.2.7 port 22`, `… line 3: Bad configuration option: …`), and then the rest of the paste, the
//! port and the file decide.

use super::said;
use crate::catalog::client_messages::Program as Speaker;
use crate::catalog::clues;
use crate::catalog::messages::{Message, Outcome};
use crate::event::{self, Event};
use crate::line::{LineParser, Program, Years};
use crate::probe::command::{self, Command};
use crate::time::Zone;
use crate::transcript::{self, Hit, Text};

/// One line of the input.
#[derive(Debug)]
pub struct Reading<'a> {
    pub number: usize,
    pub text: &'a str,
    pub said: Said<'a>,
}

#[derive(Debug)]
pub enum Said<'a> {
    /// Outermost message first.
    Client(Vec<Hit<'a>>),
    Server(ServerLine),
    /// The command that failed, typed at a prompt that was copied too.
    Command(Command),
    /// Known, and of no meaning: debug output, decoration, other programs' log lines.
    Nothing,
    Unknown,
}

/// A line of the server's log, recognised; what it says, copied out.
#[derive(Debug)]
pub struct ServerLine {
    pub message: &'static Message,
    pub body: String,
    pub user: Option<String>,
    pub addr: Option<String>,
    /// The last free text of the line, which may be a file.
    pub file: Option<String>,
    pub pid: Option<u32>,
    pub preauth: bool,
    /// It stood in a log's envelope.
    pub enveloped: bool,
    /// The wording begins with a slot: almost any line could be it.
    pub loose: bool,
}

impl ServerLine {
    /// The causes behind this line, likeliest first.
    pub fn behind(&self) -> Vec<(&'static str, f32)> {
        if let Some(by_text) = said::causes(self) {
            return by_text;
        }
        let Some(listed) = clues::behind(self.message.slug) else {
            return match self.message.cause {
                "" => self.listening(),
                cause => vec![(cause, self.weight())],
            };
        };
        let mut causes = listed.to_vec();
        // PermitRootLogin prohibit-password is the default, and refuses root's right password with these same words.
        if self.user.as_deref() == Some("root")
            && causes.first().is_some_and(|(c, _)| *c == "wrong-password")
        {
            causes.insert(0, ("root-password-disabled", 0.48));
            if let Some(wrong) = causes.get_mut(1) {
                wrong.1 = 0.34;
            }
        }
        causes
    }

    /// How surely a row's own cause is behind it.
    fn weight(&self) -> f32 {
        match self.message.outcome {
            Outcome::Info | Outcome::Success => 0.45,
            Outcome::AuthFailure | Outcome::InternalError | Outcome::Disconnect => 0.6,
            Outcome::InvalidUser => 0.82,
            _ => 0.9,
        }
    }

    /// Where sshd listens is no fault, but clients call port 22 at an address that they reach.
    fn listening(&self) -> Vec<(&'static str, f32)> {
        if self.message.slug != "server-listening" {
            return Vec::new();
        }
        let words: Vec<&str> = self.body.split(' ').collect();
        let value = |name: &str| {
            let at = words.iter().position(|w| *w == name)?;
            words.get(at + 1).map(|w| w.trim_end_matches('.'))
        };
        if value("on").is_some_and(|a| a == "::1" || a.starts_with("127.")) {
            return vec![("listen-address", 0.7)];
        }
        match value("port") {
            Some("22") | None => Vec::new(),
            Some(_) => vec![("wrong-port", 0.42)],
        }
    }
}

/// Reads every line.
pub fn read(lines: &[Text]) -> Vec<Reading<'_>> {
    let zone = Zone::utc();
    let mut parser = LineParser::new(&zone, Years::starting(2000));
    let mut scratch = Vec::new();
    let mut both = Vec::with_capacity(lines.len());
    for line in lines {
        let parsed = parser.parse(line.text.trim().as_bytes(), &mut scratch);
        let catalog = event::catalog();
        let found = match parsed.program {
            // nologin, refused by tcp wrappers, …: programs beside sshd with a word about logins.
            Program::Other if parsed.time.is_some() => {
                catalog.event(Program::Platform, parsed.ident, parsed.message)
            }
            Program::Other => None,
            Program::Audit => catalog.audit(parsed.message),
            // What sshd says on a console begins with its name, and some messages do by themselves.
            Program::Sshd if parsed.time.is_none() && parsed.pid.is_none() => catalog
                .event(Program::Sshd, parsed.ident, parsed.message)
                .or_else(|| catalog.event(Program::Sshd, b"sshd", line.text.trim().as_bytes())),
            program => catalog.event(program, parsed.ident, parsed.message),
        };
        let enveloped = parsed.program != Program::Bare
            && (parsed.program != Program::Other || parsed.time.is_some());
        let server = found.map(|event| server_line(&event, parsed.pid, enveloped));
        let other_log =
            parsed.time.is_some() && parsed.program == Program::Other && server.is_none();
        let ours_unknown =
            matches!(parsed.program, Program::Sshd | Program::Dropbear) && server.is_none();
        both.push((server, other_log, ours_unknown));
    }
    let from_a_log = both
        .iter()
        .any(|(server, _, _)| server.as_ref().is_some_and(|s| s.enveloped));
    lines
        .iter()
        .zip(both)
        .map(|(line, (server, other_log, ours_unknown))| {
            let said = match server {
                Some(server) if server.enveloped => Said::Server(server),
                server if ours_unknown => {
                    debug_assert!(server.is_none());
                    let hits = transcript::find_all(&line.text);
                    match hits.first() {
                        Some(hit) if either_side_says(hit) => Said::Client(hits),
                        _ => Said::Unknown,
                    }
                }
                server => {
                    let hits = transcript::find_all(&line.text);
                    match (hits.is_empty(), server) {
                        // `{tag}: open {file}: {error}` without a log's envelope is anybody's.
                        (true, Some(server))
                            if server.loose && server.message.outcome == Outcome::InternalError =>
                        {
                            rest(&line.text)
                        }
                        (true, Some(server)) => Said::Server(server),
                        (false, Some(server))
                            if servers_own(&server, &hits, &line.text, from_a_log) =>
                        {
                            Said::Server(server)
                        }
                        (false, _) => Said::Client(hits),
                        (true, None) if other_log => Said::Nothing,
                        (true, None) => rest(&line.text),
                    }
                }
            };
            Reading {
                number: line.number,
                text: line.text.trim(),
                said,
            }
        })
        .collect()
}

/// Whether sshd may have written a message that stands among the clients': what the Kerberos library, the name service or Windows says, word by
/// word, the box about a key file that others may read, and a shell's word about sftp-server, which looks like its log.
fn either_side_says(hit: &Hit<'_>) -> bool {
    matches!(
        hit.message.program,
        Speaker::Kerberos | Speaker::Windows | Speaker::Device | Speaker::NameService
    ) || matches!(
        hit.message.slug,
        "client-key-too-open" | "remote-command-not-found"
    )
}

/// Whether a wording of both sides is the server's here.
fn servers_own(server: &ServerLine, hits: &[Hit<'_>], text: &str, from_a_log: bool) -> bool {
    if server.preauth || text.ends_with(" [postauth]") {
        return true;
    }
    if text.contains("sshd_config") {
        return true;
    }
    let Some(hit) = hits.first() else { return true };
    // Only a client behind a proxy does not know whom it speaks to, and only a client's words fit this closely.
    if hit.port() == Some(u16::MAX) || server.loose {
        return false;
    }
    // A client that says less of the line than the server's wording does not know it: it is the server's.
    if hit.body.len() < server.body.len() && !text.starts_with("debug") {
        return true;
    }
    // Clients call well-known ports, and call from high ones.
    from_a_log && hit.port().is_none_or(|port| port >= 1024)
        || hit.port().is_some_and(|port| port >= 10_000)
}

fn server_line(event: &Event<'_>, pid: Option<u32>, enveloped: bool) -> ServerLine {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ServerLine {
        message: event.message(),
        body: text(event.body),
        user: event.user().filter(|u| !u.is_empty()).map(text),
        addr: event.addr().map(text),
        file: Some(text(event.fields.text.of(event.body))),
        pid,
        preauth: event.preauth,
        enveloped,
        loose: event.wording().is_some_and(|w| w.text.starts_with('{')),
    }
}

/// A line that neither side's catalogue has.
fn rest(line: &str) -> Said<'static> {
    let line = line.trim();
    if let Some(command) = typed(line) {
        return Said::Command(command);
    }
    let is_debug = ["debug1: ", "debug2: ", "debug3: "]
        .iter()
        .any(|p| line.starts_with(p));
    let decoration = line.chars().all(|c| !c.is_alphanumeric());
    let progress = ["PLAY [", "TASK [", "PLAY RECAP", "Traceback (most recent"]
        .iter()
        .any(|p| line.starts_with(p));
    if is_debug || decoration || progress || is_stack_frame(line) || line.starts_with("SHA256:") {
        Said::Nothing
    } else {
        Said::Unknown
    }
}

/// Where a program was when it failed, as Java, Python, Ruby and JavaScript print it: the message stands beside it.
fn is_stack_frame(line: &str) -> bool {
    let java = line.starts_with("at ") && line.ends_with(')') && line.contains('(');
    let python = line.starts_with("File \"") && line.contains("\", line ");
    let ruby = line.starts_with('/') && (line.contains(":in `") || line.contains(":in '"));
    let more = line.starts_with("... ") && line.ends_with(" more");
    java || python || ruby || more
}

/// `$ ssh -p 2222 build@build.example.org`: the command after a prompt.
fn typed(line: &str) -> Option<Command> {
    let at = ["$ ", "# ", "% ", "> "]
        .iter()
        .filter_map(|prompt| line.find(prompt).map(|at| at + prompt.len()))
        .min()?;
    let words = shell_words(line.get(at..)?);
    let program = words.first()?.rsplit('/').next()?;
    if !matches!(program, "ssh" | "scp" | "sftp") {
        return None;
    }
    command::parse(&words).ok()
}

/// Words of a simple command line; quotes join, nothing else is special.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut open) = (None, false);
    for c in line.chars() {
        match quote {
            Some(q) if q == c => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                open = true;
            }
            None if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            _ => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<&'static str> {
        let (lines, _) = transcript::lines(text);
        read(&lines)
            .iter()
            .map(|r| match &r.said {
                Said::Client(hits) => hits.first().map_or("", |h| h.message.slug),
                Said::Server(s) => s.message.slug,
                Said::Command(_) => "command",
                Said::Nothing => "nothing",
                Said::Unknown => "unknown",
            })
            .collect()
    }

    #[test]
    fn who_said_it() {
        for (line, want) in [
            (
                "Nov 20 23:20:02 web1 sshd[812]: Failed password for build from 192.0.2.77 port 50112 ssh2",
                "failed-password",
            ),
            ("Host key verification failed.", "client-host-key-failed"),
            (
                "Failed password for build from 192.0.2.77 port 50112 ssh2",
                "failed-password",
            ),
            (
                "Connection closed by 192.0.2.10 port 22",
                "client-closed-by-peer",
            ),
            (
                "Connection closed by 192.0.2.77 port 50112 [preauth]",
                "connection-closed",
            ),
            (
                "Nov 20 23:20:02 web1 CRON[99]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
                "nothing",
            ),
            (
                "debug2: resolve_canonicalize: hostname is address",
                "nothing",
            ),
            ("@@@@@@@@@@@@@@@@@@@@@@@@@@@", "nothing"),
            ("$ ssh -p 2222 build@build.example.org 'uptime'", "command"),
            ("build@laptop:~$ ssh web1", "command"),
            ("$ ls", "unknown"),
            ("the server is sad today", "unknown"),
        ] {
            assert_eq!(said(line), [want], "{line}");
        }
    }

    #[test]
    fn the_same_words_belong_to_the_side_that_the_paste_shows() {
        let bad = "line 12: Bad configuration option: PermitRootLogn";
        assert_eq!(
            said(&format!("/etc/ssh/sshd_config: {bad}")),
            ["bad-configuration-option"]
        );
        assert_eq!(
            said(&format!("/home/build/.ssh/config: {bad}")),
            ["client-config-bad-option"]
        );
        assert_eq!(
            said(
                "Nov 20 23:20:02 web1 sshd[812]: Server listening on 0.0.0.0 port 22.\nConnection reset by 192.0.2.77 port 50112"
            ),
            ["server-listening", "connection-reset"]
        );
        assert_eq!(
            said("debug1: Connection established.\nConnection reset by 192.0.2.10 port 22"),
            ["trace-established", "client-reset-by-peer"]
        );
    }

    #[test]
    fn words_are_split_as_a_shell_would() {
        assert_eq!(
            shell_words("ssh -i 'a b' h  \"x 'y\""),
            ["ssh", "-i", "a b", "h", "x 'y"]
        );
        assert_eq!(shell_words(""), Vec::<String>::new());
    }
}
