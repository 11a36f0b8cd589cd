//! What a line says: the catalogue row of its message, and the fields in it.
//!
//! OpenSSH puts, in this order, around the text that the catalogue knows: a LogVerbose tag, a level word, and ` [preauth]` or
//! ` [postauth]` (log.c, monitor.c). They come off first; what is left must be a wording from end to end.

use crate::addr::{is_private, parse_ip};
use crate::catalog::messages::{self, Daemon, Hostile, Message, Text};
use crate::line::Program;
use crate::template::{Fields, Matcher, Span};
use memchr::{memchr, memmem};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::OnceLock;

/// Index of a row in [`Catalog::rows`].
pub type Row = u16;

/// The message of a line, recognised.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub row: Row,
    /// Which wording of the row.
    pub text: u8,
    /// What the fields index into: the message without level word and suffix.
    pub body: &'a [u8],
    pub fields: Fields,
    pub preauth: bool,
    /// 0: none.
    pub(crate) port: u16,
    /// The address, where it was read as one already.
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) hostile: bool,
    pub(crate) user_is_invalid: bool,
}

/// How an event was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'c> {
    pub matcher: &'c Matcher,
    /// The reading in `matcher`.
    pub entry: u32,
    /// Where in the body the matcher's text begins.
    pub offset: u32,
    /// A space at the end had to come off.
    pub trimmed: bool,
}

impl<'a> Event<'a> {
    pub fn message(&self) -> &'static Message {
        catalog().row(self.row)
    }

    pub fn wording(&self) -> Option<&'static Text> {
        self.message().texts.get(usize::from(self.text))
    }

    pub fn addr(&self) -> Option<&'a [u8]> {
        let addr = self.fields.addr(self.body)?;
        (addr != b"UNKNOWN").then_some(addr)
    }

    /// The user as sshd wrote it (escaped); present but empty where somebody asked for the empty name.
    pub fn user(&self) -> Option<&'a [u8]> {
        self.fields.has_user.then(|| self.fields.user.of(self.body))
    }

    /// 1–65535.
    pub fn port(&self) -> Option<u16> {
        (self.port > 0).then_some(self.port)
    }

    pub fn method(&self) -> Option<&'a [u8]> {
        if self.fields.method.is_empty() {
            // Rows for one method say it in the wording: `Failed password for …`.
            let mut words = self.body.split(|b| *b == b' ');
            let verb = words.next()?;
            let method = words.next()?;
            let is_result = RESULTS.iter().any(|word| word.as_bytes() == verb);
            return (is_result && METHODS.iter().any(|m| method.starts_with(m))).then_some(method);
        }
        Some(self.fields.method.of(self.body))
    }

    fn field(&self, span: Span) -> Option<&'a [u8]> {
        (!span.is_empty()).then(|| span.of(self.body))
    }

    pub fn key_type(&self) -> Option<&'a [u8]> {
        self.field(self.fields.key_type)
    }

    pub fn fingerprint(&self) -> Option<&'a [u8]> {
        self.field(self.fields.fingerprint)
    }

    pub fn free_text(&self) -> Option<&'a [u8]> {
        self.field(self.fields.text)
    }

    /// Whether the line alone counts against its address.
    pub fn hostile(&self) -> bool {
        self.hostile
    }

    /// Whether sshd says that there is no such user.
    pub fn user_is_invalid(&self) -> bool {
        self.user_is_invalid
    }
}

/// Words in front of which a method may stand without a slot.
const RESULTS: [&str; 4] = ["Failed", "Accepted", "Postponed", "Partial"];

fn tells_how(message: &Message) -> bool {
    message.texts.iter().any(|t| {
        t.text.contains("{method")
            || t.text.contains("{fingerprint")
            || t.text.starts_with('{')
            || RESULTS.iter().any(|word| t.text.starts_with(word))
    })
}

fn port_of(digits: &[u8]) -> u16 {
    let n = digits.iter().try_fold(0u32, |n, b| {
        (b.is_ascii_digit() && n <= 65_535).then(|| n * 10 + u32::from(b - b'0'))
    });
    n.and_then(|n| u16::try_from(n).ok()).unwrap_or(0)
}

const METHODS: [&[u8]; 6] = [
    b"password",
    b"publickey",
    b"keyboard-interactive",
    b"none",
    b"hostbased",
    b"gssapi",
];

/// The catalogue, compiled.
#[derive(Debug)]
pub struct Catalog {
    rows: Vec<&'static Message>,
    /// By row: see [`Catalog::tells_how`].
    how: Vec<bool>,
    /// OpenSSH, tcp wrappers, and PAM's messages without a module prefix.
    sshd: Matcher,
    /// By module (`pam_unix`): what follows `pam_unix(sshd:auth): `.
    pam: HashMap<&'static [u8], Matcher>,
    dropbear: Matcher,
    platform: Matcher,
}

/// The compiled catalogue; built at the first call (a few milliseconds).
pub fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(Catalog::build)
}

const NO_ROW: Message = Message {
    id: "",
    slug: "unknown",
    daemon: Daemon::Openssh,
    outcome: messages::Outcome::Info,
    hostile: Hostile::No,
    cause: "",
    meaning: "",
    texts: &[],
    example: "",
    near_miss: "",
};

impl Catalog {
    fn build() -> Catalog {
        let rows: Vec<&'static Message> = messages::all().collect();
        let mut sshd = Vec::new();
        let mut dropbear = Vec::new();
        let mut platform = Vec::new();
        let mut pam: HashMap<&'static [u8], Vec<(&'static str, u32)>> = HashMap::new();
        for (row, message) in rows.iter().enumerate() {
            for (i, text) in message.texts.iter().enumerate() {
                let number = (row as u32) << 8 | i as u32;
                match message.daemon {
                    Daemon::Dropbear => dropbear.push((text.text, number)),
                    Daemon::Systemd | Daemon::Kernel | Daemon::Platform => {
                        platform.push((text.text, number))
                    }
                    Daemon::Openssh | Daemon::TcpWrappers => sshd.push((text.text, number)),
                    Daemon::Pam => match pam_module(text.text.as_bytes()) {
                        Some((module, rest)) => {
                            let rest = text.text.get(rest..).unwrap_or_default();
                            pam.entry(module).or_default().push((rest, number));
                        }
                        None => sshd.push((text.text, number)),
                    },
                }
            }
        }
        // A wording that does not compile is left out here and named by the catalogue's own test.
        let compile = |texts: Vec<(&'static str, u32)>| {
            let good = texts
                .into_iter()
                .filter(|(t, _)| crate::template::Template::compile(t).is_ok());
            Matcher::new(good).unwrap_or_default()
        };
        Catalog {
            sshd: compile(sshd),
            dropbear: compile(dropbear),
            platform: compile(platform),
            pam: pam
                .into_iter()
                .map(|(module, texts)| (module, compile(texts)))
                .collect(),
            how: rows.iter().map(|m| tells_how(m)).collect(),
            rows,
        }
    }

    /// Whether an event of this row can have a method or a fingerprint.
    pub fn tells_how(&self, row: Row) -> bool {
        self.how.get(usize::from(row)).copied().unwrap_or(false)
    }

    pub fn rows(&self) -> &[&'static Message] {
        &self.rows
    }

    pub fn row(&self, row: Row) -> &'static Message {
        self.rows.get(usize::from(row)).copied().unwrap_or(&NO_ROW)
    }

    /// The event of a message, if the catalogue knows it. `ident` is the program's name as logged.
    pub fn event<'a>(
        &self,
        program: Program,
        ident: &[u8],
        message: &'a [u8],
    ) -> Option<Event<'a>> {
        self.event_found(program, ident, message).map(|(e, _)| e)
    }

    /// As [`Catalog::event`], and how it was found.
    pub(crate) fn event_found<'a>(
        &self,
        program: Program,
        ident: &[u8],
        message: &'a [u8],
    ) -> Option<(Event<'a>, Found<'_>)> {
        let (whole, mut preauth) = strip(message);
        let mut body = whole;
        let mut hit = self.hit(program, ident, body);
        if hit.is_none() && (whole.last() == Some(&b' ') || message.last() == Some(&b' ')) {
            // Some relays leave a space behind; a wording that ends in one was tried first.
            (body, preauth) = strip(message.trim_ascii_end());
            body = body.trim_ascii_end();
            hit = self.hit(program, ident, body);
        }
        let (mut found, mut fields) = hit?;
        found.trimmed = body.len() != whole.len();
        if found.offset != 0 {
            shift(&mut fields, found.offset);
        }
        client_of_timeout(body, &mut fields);
        let number = found.matcher.number(found.entry);
        let row = (number >> 8) as Row;
        let before = body.get(..fields.user.start as usize).unwrap_or_default();
        let event = Event {
            row,
            text: (number & 0xff) as u8,
            body,
            fields,
            preauth,
            port: port_of(fields.port.of(body)),
            v4: None,
            hostile: match self.row(row).hostile {
                Hostile::Yes => true,
                Hostile::Preauth => preauth,
                Hostile::No | Hostile::InContext | Hostile::Once => false,
            },
            user_is_invalid: fields.has_user
                && (before.ends_with(b"nvalid user ") || before.ends_with(b"llegal user ")),
        };
        Some((event, found))
    }

    fn hit(&self, program: Program, ident: &[u8], body: &[u8]) -> Option<(Found<'_>, Fields)> {
        match program {
            Program::Sshd => self.sshd_event(ident, body),
            Program::Bare => self
                .sshd_event(ident, body)
                .or_else(|| found(&self.dropbear, body, 0)),
            Program::Dropbear => found(&self.dropbear, body, 0).or_else(|| self.pam_event(body)),
            Program::Platform => found(&self.platform, body, 0),
            Program::Audit | Program::Other => None,
        }
    }

    fn sshd_event(&self, ident: &[u8], body: &[u8]) -> Option<(Found<'_>, Fields)> {
        // sshd itself says `pam_putenv: …`, which is no module's.
        if body.starts_with(b"pam_")
            && let Some((module, rest)) = pam_module(body)
        {
            return found(self.pam.get(module)?, body, rest);
        }
        // Very old RHEL: the module stands in the ident, `sshd(pam_unix)[812]: …`.
        if let Some(module) = ident
            .strip_prefix(b"sshd(")
            .and_then(|m| m.strip_suffix(b")"))
            && let Some(hit) = self.pam.get(module).and_then(|m| found(m, body, 0))
        {
            return Some(hit);
        }
        found(&self.sshd, body, 0)
    }

    fn pam_event(&self, body: &[u8]) -> Option<(Found<'_>, Fields)> {
        let (module, rest) = pam_module(body)?;
        found(self.pam.get(module)?, body, rest)
    }
}

/// How sshd 9.8 and later begin their word on LoginGraceTime.
pub(crate) const TIMEOUT_FROM: &[u8] = b"Timeout before authentication for connection from ";

/// sshd 9.8 (9.9 mended it) wrote its own address first and the client's behind `to`. Which of the two it was the line does not
/// say, but nobody from inside reaches a server by an outside address: an inside one in front of an outside one is the server's.
fn client_of_timeout(body: &[u8], fields: &mut Fields) {
    let Some(rest) = body.strip_prefix(TIMEOUT_FROM) else {
        return;
    };
    let from = fields.ip.of(body);
    let Some((at, to)) = memmem::find(rest, b" to ").and_then(|to| {
        let at = TIMEOUT_FROM.len() + to + 4;
        let text = body.get(at..)?;
        Some((at, text.get(..memchr(b',', text)?)?))
    }) else {
        return;
    };
    let inside = |text: &[u8]| parse_ip(text).map(is_private);
    if inside(from) == Some(true) && inside(to) == Some(false) {
        fields.ip = Span {
            start: at as u32,
            end: (at + to.len()) as u32,
        };
    }
}

/// What a matcher makes of a body from `offset` on; the fields are not moved yet.
fn found<'c>(matcher: &'c Matcher, body: &[u8], offset: usize) -> Option<(Found<'c>, Fields)> {
    let (entry, fields) = matcher.find_entry(body.get(offset..)?)?;
    let found = Found {
        matcher,
        entry,
        offset: offset as u32,
        trimmed: false,
    };
    Some((found, fields))
}

fn shift(f: &mut Fields, by: u32) {
    for span in [
        &mut f.ip,
        &mut f.host,
        &mut f.port,
        &mut f.user,
        &mut f.method,
        &mut f.key_type,
        &mut f.fingerprint,
        &mut f.text,
    ] {
        if !span.is_empty() {
            span.start += by;
            span.end += by;
        }
    }
}

/// `pam_unix(sshd:auth): text` → (`pam_unix`, where the text begins).
fn pam_module(body: &[u8]) -> Option<(&[u8], usize)> {
    if !body.starts_with(b"pam_") {
        return None;
    }
    let open = memchr(b'(', body).filter(|at| *at < 40)?;
    let close = memmem::find(body.get(open..)?, b"): ")?;
    let module = body.get(..open)?;
    module
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .then_some((module, open + close + 3))
}

/// The message without LogVerbose tag, level word and suffix; and whether the suffix was ` [preauth]`.
pub fn strip(message: &[u8]) -> (&[u8], bool) {
    let mut body = message;
    let mut preauth = false;
    if body.last() == Some(&b']') {
        if let Some(rest) = body.strip_suffix(b" [preauth]") {
            body = rest;
            preauth = true;
        } else if let Some(rest) = body.strip_suffix(b" [postauth]") {
            body = rest;
        }
    }
    match body.first() {
        Some(b'e') => body = body.strip_prefix(b"error: ").unwrap_or(body),
        Some(b'f') => body = body.strip_prefix(b"fatal: ").unwrap_or(body),
        Some(b'd') => {
            for level in [b"debug1: ", b"debug2: ", b"debug3: "] {
                body = body.strip_prefix(level).unwrap_or(body);
            }
        }
        _ => {}
    }
    // Source files are lower case, nearly all messages are not.
    if body.first().is_some_and(u8::is_ascii_lowercase) {
        body = without_tag(body);
    }
    (body, preauth)
}

/// Takes off LogVerbose's tag: `auth2-pubkey.c:621:user_key_allowed():612 (bin=sshd-session, pid=812): text`.
fn without_tag(body: &[u8]) -> &[u8] {
    // The file name comes first and has no space in it; nearly every line is told apart here.
    let Some(dot) = body
        .iter()
        .take(40)
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')))
    else {
        return body;
    };
    if body.get(dot..dot + 3) != Some(b".c:") {
        return body;
    }
    let Some(end) = memmem::find(body, b"): ") else {
        return body;
    };
    match body
        .get(dot..end)
        .is_some_and(|tag| memmem::find(tag, b"():").is_some())
    {
        true => body.get(end + 3..).unwrap_or_default(),
        false => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappings_come_off_and_lookalikes_stay() {
        assert_eq!(strip(b"error: x y [preauth]"), (&b"x y"[..], true));
        assert_eq!(strip(b"x [postauth]"), (&b"x"[..], false));
        assert_eq!(
            strip(b"auth2-pubkey.c:621:user_key_allowed():612 (bin=sshd-session, pid=812): trying"),
            (&b"trying"[..], false)
        );
        assert_eq!(strip(b"errors: x"), (&b"errors: x"[..], false));
        assert_eq!(strip(b"see a.c: b"), (&b"see a.c: b"[..], false));
    }

    #[test]
    fn rows_that_tell_how_are_known() {
        let catalog = catalog();
        for (row, message) in catalog.rows().iter().enumerate() {
            for program in [Program::Sshd, Program::Dropbear, Program::Platform] {
                let event = catalog.event(program, b"sshd", message.example.as_bytes());
                let Some(event) = event.filter(|e| usize::from(e.row) == row) else {
                    continue;
                };
                if event.method().is_some() || event.fingerprint().is_some() {
                    assert!(catalog.tells_how(event.row), "{}", message.slug);
                }
            }
        }
        let count = (0..catalog.rows().len())
            .filter(|r| catalog.tells_how(*r as Row))
            .count();
        assert!(count * 4 < catalog.rows().len(), "{count}");
    }

    #[test]
    fn pam_prefixes_are_read() {
        assert_eq!(
            pam_module(b"pam_unix(sshd:auth): check pass"),
            Some((&b"pam_unix"[..], 21))
        );
        assert_eq!(pam_module(b"pam_unix: check pass"), None);
        assert_eq!(pam_module(b"pam x(y): z"), None);
    }
}
