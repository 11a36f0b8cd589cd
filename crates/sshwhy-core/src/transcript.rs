//! Decides which known message each line of a client's output is, whatever wraps it.
//!
//! Clients have no envelope, but what runs them does: `debug1: ` of `ssh -v`, `FATAL ERROR: ` of PuTTY, Ansible's
//! `fatal: [web1]: UNREACHABLE! => {"msg": "…"}`, a wrapper's own words and a colon. So a line is tried as it is, and then from
//! every place where a wrapping may end; the first that is a message from there to its end is taken.
//!
//! Bounded: [`MAX_LINES`] lines of [`MAX_LINE`] bytes; what is over is left out and counted. Anything longer is a log, and
//! logs have their own pipeline.

use crate::catalog::client_messages::{self, ClientMessage, Program};
use crate::template::{Fields, Matcher, Template};
use std::sync::OnceLock;

pub const MAX_LINES: usize = 20_000;
pub const MAX_LINE: usize = 4096;

/// Over how many lines one message may have been broken, and in how long a text this is looked for: a log has no such lines.
const MAX_FOLDS: usize = 4;
const MAX_UNFOLDED: usize = 500;

/// How many places of a line may be the end of its wrapping.
const MAX_STARTS: usize = 24;

/// One line, freed of terminal control sequences and of what JSON or YAML puts around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// From 1: the line of the input that it stands in. A message with line breaks inside JSON has several.
    pub number: usize,
    pub text: String,
}

/// A line that is a known message.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    pub message: &'static ClientMessage,
    /// The message without its wrapping; the fields index into it.
    pub body: &'a str,
    pub fields: Fields,
}

impl<'a> Hit<'a> {
    fn field(&self, span: crate::template::Span) -> Option<&'a str> {
        let text = self.body.get(span.start as usize..span.end as usize)?;
        (!text.is_empty()).then_some(text)
    }

    pub fn user(&self) -> Option<&'a str> {
        self.field(self.fields.user)
    }

    pub fn host(&self) -> Option<&'a str> {
        self.field(self.fields.host)
    }

    /// An address literal; `UNKNOWN` is none.
    pub fn ip(&self) -> Option<&'a str> {
        self.field(self.fields.ip).filter(|ip| *ip != "UNKNOWN")
    }

    pub fn port(&self) -> Option<u16> {
        self.field(self.fields.port)?.parse().ok()
    }

    pub fn method(&self) -> Option<&'a str> {
        self.field(self.fields.method)
    }

    /// The last free text of the message.
    pub fn text(&self) -> Option<&'a str> {
        self.field(self.fields.text)
    }
}

struct Known {
    rows: Vec<&'static ClientMessage>,
    matcher: Matcher,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let rows: Vec<&'static ClientMessage> = client_messages::all().collect();
        // A wording that does not compile is left out here and named by the test below.
        let wordings = rows.iter().enumerate().flat_map(|(i, row)| {
            row.texts
                .iter()
                .filter(|text| Template::compile(text).is_ok())
                .map(move |text| (*text, i as u32))
        });
        Known {
            matcher: Matcher::new(wordings).unwrap_or_default(),
            rows,
        }
    })
}

/// The message of a line, if it is one.
pub fn find(line: &str) -> Option<Hit<'_>> {
    let known = known();
    let line = line.trim();
    starts(line).into_iter().find_map(|at| {
        let whole = line.get(at..)?;
        // `msg="…"`: the quote that closes is the wrapping's.
        let unquoted = whole.strip_suffix('"').filter(|_| at > 0);
        let (body, (number, fields)) = [Some(whole), unquoted]
            .into_iter()
            .flatten()
            .find_map(|body| Some((body, known.matcher.find(body.as_bytes())?)))?;
        let message = known.rows.get(number as usize).copied()?;
        if says_nothing_of_ssh(body) && line.get(..at).is_some_and(is_another_programs) {
            return None;
        }
        Some(Hit {
            message,
            body,
            fields,
        })
    })
}

/// Words of the operating system and of every server that asks for a password: any program prints them.
fn says_nothing_of_ssh(body: &str) -> bool {
    const WORDS: [&str; 9] = [
        "Broken pipe",
        "No route to host",
        "Network is unreachable",
        "Connection refused",
        "Connection timed out",
        "Connection closed",
        "Access denied",
        "Access denied.",
        "Authentication failed.",
    ];
    WORDS.iter().any(|words| body.eq_ignore_ascii_case(words))
}

/// Whether what stands in front of such words is about something other than SSH: the web, or a port that is not ours, with
/// no word of ssh.
fn is_another_programs(wrapping: &str) -> bool {
    const OURS: [&str; 4] = ["ssh", "sftp", "scp", "git@"];
    let lower = wrapping.to_ascii_lowercase();
    if OURS.iter().any(|ours| lower.contains(ours)) {
        return false;
    }
    let other_port = lower.split("port ").skip(1).any(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest.get(..digits) != Some("22")
    });
    other_port || lower.contains("http")
}

/// Whether a message's own text is another message: it says what happened, the outer one only who reports it.
fn quotes(message: &ClientMessage) -> bool {
    matches!(message.program, Program::Ansible | Program::VsCode)
        || matches!(
            message.slug,
            "client-disconnected-by-server"
                | "trace-remote-message"
                | "libssh-socket"
                | "php-handshake"
                | "libgit2-failed"
                | "dbclient-exited"
        )
}

/// The messages of a line, outermost first: a wrapper that quotes another program's message gives both.
pub fn find_all(line: &str) -> Vec<Hit<'_>> {
    let mut hits = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest.take() {
        let Some(hit) = find(text) else { break };
        let wraps = quotes(hit.message);
        hits.push(hit);
        if wraps && hits.len() < 4 {
            rest = hit.text();
        }
    }
    hits
}

/// Where a wrapping may end: the beginning, and behind what wrappers put between their words and another's.
fn starts(line: &str) -> Vec<usize> {
    const ENDS: [&str; 11] = [
        ": ",
        "| ",
        "] ",
        "> ",
        "! ",
        "\"",
        "- ",
        ", ",
        ":\t",
        "\u{2502} ",
        "stderr=",
    ];
    let mut found = vec![0];
    // A time stamp in front, as build systems write it; Docker's numbers each step and counts its seconds.
    let mut at = 0;
    while let Some((stamp, rest)) = line.get(at..).and_then(|rest| rest.split_once(' '))
        && found.len() < 3
        && is_stamp(stamp)
    {
        at += stamp.len() + 1;
        if !is_stamp(rest.split(' ').next().unwrap_or_default()) {
            found.push(at);
        }
    }
    // Python's logging: LEVEL:logger:message.
    if let Some((level, rest)) = line.split_once(':')
        && ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"].contains(&level)
        && let Some((logger, _)) = rest.split_once(':')
    {
        found.push(level.len() + 1 + logger.len() + 1);
    }
    for (at, _) in line.char_indices() {
        let Some(rest) = line.get(at..) else { continue };
        if let Some(end) = ENDS.iter().find(|end| rest.starts_with(**end)) {
            let behind = rest.get(end.len()..).unwrap_or_default();
            found.push(at + end.len() + (behind.len() - behind.trim_start_matches(' ').len()));
            if found.len() >= MAX_STARTS {
                break;
            }
        }
    }
    found
}

/// `2026-03-28T16:00:15Z`, `2026/03/28`, `[16:00:15.123]`, `#12`, `3.456`.
fn is_stamp(word: &str) -> bool {
    let digits = word.bytes().any(|b| b.is_ascii_digit());
    let parts = word.bytes().any(|b| b"/:.-#".contains(&b));
    digits
        && parts
        && word
            .bytes()
            .all(|b| b.is_ascii_digit() || b"/:.,-+#[]TZ".contains(&b))
}

/// A paste cut into lines: control sequences gone, JSON strings decoded and split. The count is of lines left out.
pub fn lines(paste: &str) -> (Vec<Text>, usize) {
    let mut out = Vec::new();
    let mut left_out = 0;
    for (i, raw) in paste.split(['\n', '\r']).enumerate() {
        let number = 1 + paste_line(paste, i);
        if out.len() >= MAX_LINES {
            left_out += 1;
            continue;
        }
        let text = plain(raw);
        let text = text.trim_end();
        if text.trim().is_empty() {
            continue;
        }
        match json_message(text) {
            Some(inner) => out.extend(
                inner
                    .split(['\n', '\r'])
                    .filter(|line| !line.trim().is_empty())
                    .map(|line| Text {
                        number,
                        text: cut(line).to_owned(),
                    }),
            ),
            None => out.push(Text {
                number,
                text: cut(text).to_owned(),
            }),
        }
    }
    (out, left_out)
}

/// Joins messages that a terminal, a mail or a box of Terraform's broke over several lines: what no line says alone, they
/// may say together.
pub fn unfold(lines: Vec<Text>) -> Vec<Text> {
    if lines.len() > MAX_UNFOLDED {
        return lines;
    }
    let alone: Vec<bool> = lines
        .iter()
        .map(|line| find(&line.text).is_some())
        .collect();
    let is_open = |at: usize| alone.get(at).is_some_and(|alone| !alone);
    let mut out = Vec::with_capacity(lines.len());
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let mut joined = line.text.clone();
        let mut found = None;
        for n in 1..MAX_FOLDS {
            if !is_open(at + n) {
                break;
            }
            let Some(next) = lines.get(at + n) else { break };
            // Words that any text may follow are not continued by this one.
            let anything = find(&format!("{joined} \u{fffd}")).map(|hit| hit.message.slug);
            let gap = if joined.ends_with('-') { "" } else { " " };
            let tail = unboxed(&next.text);
            joined = format!("{joined}{gap}{tail}");
            let whole = find(&joined).filter(|hit| hit.body.len() > tail.len() + gap.len());
            let is_told = whole.is_some_and(|hit| Some(hit.message.slug) != anything);
            if is_told && joined.len() <= MAX_LINE {
                found = Some((n, joined.clone()));
            }
        }
        let step = match found {
            Some((n, text)) => {
                out.push(Text {
                    number: line.number,
                    text,
                });
                n + 1
            }
            None => {
                out.push(line.clone());
                1
            }
        };
        at += step;
    }
    out
}

/// A line without the frame that is drawn at its left.
fn unboxed(line: &str) -> &str {
    line.trim_start_matches(['\u{2502}', '\u{2577}', '|', ' ', '\t'])
}

/// The line number (from 0) of the `i`th piece when split at both line feeds and carriage returns.
fn paste_line(paste: &str, i: usize) -> usize {
    // Terminals end lines with CR LF, and progress meters overwrite theirs with CR: only line feeds count.
    if !paste.contains('\r') {
        return i;
    }
    paste
        .bytes()
        .filter(|b| matches!(b, b'\n' | b'\r'))
        .take(i)
        .filter(|b| *b == b'\n')
        .count()
}

fn cut(text: &str) -> &str {
    if text.len() <= MAX_LINE {
        return text;
    }
    let mut end = MAX_LINE;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Without terminal control sequences (CSI and OSC). Other control characters stay: they are for the renderer to show.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            out.push(c);
            continue;
        }
        match rest.peek() {
            Some('[') => {
                rest.next();
                for c in rest.by_ref() {
                    if ('\u{40}'..='\u{7e}').contains(&c) {
                        break;
                    }
                }
            }
            Some(']') => {
                while let Some(c) = rest.next() {
                    if c == '\u{7}' {
                        break;
                    }
                    if c == '\u{1b}' {
                        rest.next_if_eq(&'\\');
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    out
}

/// Under which names programs give a message, the most telling first.
const MEMBERS: [&str; 5] = ["module_stderr", "msg", "stderr", "message", "error"];

/// One line of an object that was printed over several: `"msg": "…",`.
fn json_member(line: &str) -> Option<String> {
    let member = line.trim().trim_end_matches(',');
    if !member.starts_with('"') || !member.ends_with('"') {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(&format!("{{{member}}}")).ok()?;
    let text = MEMBERS.iter().find_map(|key| value.get(*key)?.as_str())?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// Ansible and its like: the text of `"msg": "…"` in a line that is, or ends in, a JSON object.
fn json_message(line: &str) -> Option<String> {
    let Some(open) = line.find("{\"") else {
        return json_member(line);
    };
    let object = line.get(open..)?;
    let value: serde_json::Value = serde_json::Deserializer::from_str(object)
        .into_iter()
        .next()?
        .ok()?;
    // `module_stderr` says more than `msg`, where both are there.
    MEMBERS
        .iter()
        .filter_map(|key| value.get(*key)?.as_str())
        .find(|text| !text.trim().is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(line: &str) -> Option<&'static str> {
        find(line).map(|hit| hit.message.slug)
    }

    #[test]
    fn every_wording_compiles() {
        for row in client_messages::all() {
            for text in row.texts {
                if let Err(bad) = Template::compile(text) {
                    panic!("{}: {}", row.slug, bad.0);
                }
            }
        }
    }

    #[test]
    fn examples_match_and_near_misses_do_not() {
        for row in client_messages::all() {
            assert_eq!(slug(row.example), Some(row.slug), "{}", row.example);
            assert_ne!(slug(row.near_miss), Some(row.slug), "{}", row.near_miss);
        }
    }

    /// A wording's own letters, with the slots filled in plainly, must lead back to its row.
    #[test]
    fn every_wording_can_be_reached() {
        let mut lost = Vec::new();
        for row in client_messages::all() {
            for text in row.texts {
                let found = slug(&fill(text));
                if found != Some(row.slug) {
                    lost.push(format!("{text} is {found:?}, not {}", row.slug));
                }
            }
        }
        assert!(lost.is_empty(), "{lost:#?}");
    }

    fn fill(template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('{') {
            out.push_str(literal);
            let (slot, tail) = after.split_once('}').unwrap();
            rest = tail;
            out.push_str(match slot {
                "ip" => "192.0.2.10",
                "host" => "build.example.org",
                "target" => "192.0.2.10:22",
                "keyword" | "reason" | "offer" => "word",
                "port" | "line" | "n" => "22",
                "user" => "build",
                "method" => "publickey",
                "methods" => "publickey,password",
                "key-type" => "ED25519",
                "fingerprint" => "SHA256:q1xWl5FR5yIXi7Zx0m4ZfZ8oC4m2A3Jd0XcPpV7bXyM",
                "file" => "/home/build/x",
                slot if slot.ends_with('?') => "",
                slot if slot.starts_with('=') => slot[1..].split('|').next().unwrap(),
                _ => "some thing",
            });
        }
        out + rest
    }

    #[test]
    fn wrappings_come_off() {
        for (line, want) in [
            (
                "debug1: connect to address 192.0.2.10 port 22: Connection timed out",
                "trace-address-failed",
            ),
            (
                "2026-03-28T16:00:15.1234567Z Load key \"/root/.ssh/id_rsa\": error in libcrypto",
                "client-key-invalid",
            ),
            (
                "deploy-1  | Host key verification failed.",
                "client-host-key-failed",
            ),
            (
                "Error: timeout - last error: dial tcp 192.0.2.10:22: connect: connection refused",
                "go-dial-refused",
            ),
            (
                "    remote: ssh: connect to host build.example.org port 22: Connection refused",
                "client-connect-refused",
            ),
        ] {
            assert_eq!(slug(line), Some(want), "{line}");
        }
        assert_eq!(slug("the connection was refused, they say"), None);
        assert_eq!(slug(""), None);
    }

    #[test]
    fn the_systems_own_words_are_left_to_whom_they_belong() {
        for line in [
            "psql: error: connection to server at \"192.0.2.10\", port 5432 failed: Connection refused",
            "curl: (7) Failed to connect to localhost port 8080 after 0 ms: Connection refused",
            "remote: HTTP Basic: Access denied",
        ] {
            assert_eq!(slug(line), None, "{line}");
        }
        for line in [
            "curl: (7) Failed to connect to 192.0.2.10 port 22: Connection refused",
            "deploy-1  | Connection refused",
            "sftp on port 2222: Connection refused",
        ] {
            assert!(slug(line).is_some(), "{line}");
        }
    }

    #[test]
    fn more_wrappings_come_off() {
        for (line, want) in [
            (
                "Error:\tConnection timed out after 20 seconds of inactivity",
                "filezilla-timeout",
            ),
            (
                "#12 3.456 Host key verification failed.",
                "client-host-key-failed",
            ),
            (
                "command [ssh -- h docker system dial-stdio] has exited with exit status 255, please make sure: stderr=Host key verification failed.",
                "client-host-key-failed",
            ),
            (
                "level=fatal msg=\"unable to connect to 192.0.2.10:22: ssh: handshake failed: EOF\"",
                "go-handshake-eof",
            ),
            (
                "INFO:paramiko.transport:Authentication (publickey) failed.",
                "paramiko-log",
            ),
            (
                "PHP Warning:  ssh2_auth_password(): Authentication failed for build using password in /srv/up.php on line 4",
                "php-password",
            ),
            (
                "\u{2502} timeout - last error: dial tcp 192.0.2.10:22: i/o timeout",
                "go-dial-timeout",
            ),
        ] {
            assert_eq!(slug(line), Some(want), "{line}");
        }
        let (got, _) = lines(
            "    \"msg\": \"Failed to connect to the host via ssh: Host key verification failed.\",\n    \"unreachable\": true",
        );
        assert_eq!(
            got[0].text,
            "Failed to connect to the host via ssh: Host key verification failed."
        );
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn broken_lines_are_joined() {
        for (paste, want) in [
            (
                "ssh: connect to host\n192.0.2.10 port 22: Connection\nrefused",
                vec!["client-connect-refused"],
            ),
            (
                "Permission denied (publickey,gssapi-keyex,gssapi-with-\nmic,password).",
                vec!["client-permission-denied"],
            ),
            (
                "\u{2502} timeout - last error: SSH authentication failed (build@192.0.2.10:22): ssh:\n\u{2502} handshake failed: ssh: unable to authenticate, attempted methods [none\n\u{2502} publickey], no supported methods remain",
                vec!["go-unable-to-authenticate"],
            ),
            // Messages that stand for themselves stay apart, and prose does not become one.
            (
                "Connection closed by UNKNOWN port 65535\nlost connection",
                vec!["client-closed-by-unknown", "files-connection-closed"],
            ),
            ("the server was quiet\nand then it was not", vec![]),
            (
                "nothing known here\nPermission denied (publickey).",
                vec!["client-permission-denied"],
            ),
        ] {
            let (read, _) = lines(paste);
            let joined = unfold(read);
            let slugs: Vec<_> = joined.iter().filter_map(|line| slug(&line.text)).collect();
            assert_eq!(slugs, want, "{paste}");
        }
        // A log has no broken lines, and is not searched for them.
        let (read, _) = lines(&"Connection\nrefused\n".repeat(MAX_UNFOLDED));
        let count = read.len();
        assert_eq!(unfold(read).len(), count);
    }

    #[test]
    fn ansible_is_unwrapped_line_by_line() {
        let (lines, left_out) = lines(
            "fatal: [web1]: UNREACHABLE! => {\"changed\": false, \"msg\": \"Failed to connect to the host via ssh: kex_exchange_identification: read: Connection reset by peer\\r\\nConnection reset by 192.0.2.10 port 22\", \"unreachable\": true}\n",
        );
        assert_eq!(left_out, 0);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.number == 1));
        let slugs: Vec<_> = lines
            .iter()
            .flat_map(|line| find_all(&line.text))
            .map(|hit| hit.message.slug)
            .collect();
        assert_eq!(
            slugs,
            [
                "tool-ansible-unreachable",
                "client-ident-reset",
                "client-reset-by-peer"
            ]
        );
        assert_eq!(json_message("{\"msg\": \"cut off in the mid"), None);
    }

    #[test]
    fn lines_are_counted_as_the_reader_counts_them() {
        let (got, _) = lines("one\r\n\r\nthree\r\n 10%\r 20%\r\nfive");
        let numbers: Vec<_> = got.iter().map(|l| (l.number, l.text.as_str())).collect();
        assert_eq!(
            numbers,
            [
                (1, "one"),
                (3, "three"),
                (4, " 10%"),
                (4, " 20%"),
                (5, "five")
            ]
        );
    }

    #[test]
    fn terminal_control_is_taken_off_and_length_is_bounded() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(plain("a\u{1b}]52;c;ZXZpbA==\u{7}b"), "ab");
        assert_eq!(plain("a\u{1b}"), "a");
        let long = "é".repeat(MAX_LINE);
        assert!(cut(&long).len() <= MAX_LINE);
        let (got, left_out) = lines(&"x\n".repeat(MAX_LINES + 7));
        // The last piece, after the last line feed, is empty and counts as left out too.
        assert_eq!((got.len(), left_out), (MAX_LINES, 8));
        assert!(starts(&": ".repeat(5000)).len() <= MAX_STARTS);
    }
}
