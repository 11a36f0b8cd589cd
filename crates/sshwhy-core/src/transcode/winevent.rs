//! Exports of Windows' event log that give a record several lines, or no line of its own: the XML of `wevtutil` and of the event
//! viewer, and `wevtutil /f:text`. Each record of OpenSSH becomes `TIME COMPUTER sshd[PID]: message`; those of others are dropped.
//!
//! At most one record is held, of at most [`MAX_LINE`] bytes.

use super::record::escape;
use super::{Losses, MAX_LINE, Transcoder};
use memchr::{memchr, memmem};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Xml,
    Text,
}

#[derive(Debug)]
pub struct WinEvent {
    form: Form,
    held: Vec<u8>,
    losses: Losses,
}

/// Whether a file that begins like that is XML of the event log.
pub(super) fn is_xml(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = text.trim_ascii_start();
    (text.starts_with(b"<?xml") || text.starts_with(b"<Events>") || text.starts_with(b"<Event "))
        && memmem::find(head, b"<Event ").is_some()
        && memmem::find(head, b"schemas.microsoft.com/win/2004/08/events").is_some()
}

/// Whether it is what `wevtutil qe … /f:text` prints.
pub(super) fn is_text(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    text.trim_ascii_start().starts_with(b"Event[") && memmem::find(head, b"Log Name:").is_some()
}

impl WinEvent {
    pub fn xml() -> WinEvent {
        WinEvent::of(Form::Xml)
    }

    pub fn text() -> WinEvent {
        WinEvent::of(Form::Text)
    }

    fn of(form: Form) -> WinEvent {
        WinEvent {
            form,
            held: Vec::new(),
            losses: Losses::default(),
        }
    }

    /// Where the first whole record in `held` ends.
    fn end(&self, held: &[u8]) -> Option<usize> {
        match self.form {
            Form::Xml => memmem::find(held, b"</Event>").map(|at| at + 8),
            Form::Text => {
                let from = memmem::find(held, b"Event[")? + 6;
                let next = memmem::find(held.get(from..)?, b"\nEvent[")?;
                Some(from + next + 1)
            }
        }
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>) {
        let written = match self.form {
            Form::Xml => xml(record, out),
            Form::Text => text(record, out),
        };
        if written.is_none() {
            self.losses.records += 1;
        }
    }
}

impl Transcoder for WinEvent {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        // In pieces, so that a record without an end is noticed before it is large.
        for piece in input.chunks(MAX_LINE) {
            self.held.extend_from_slice(piece);
            let held = std::mem::take(&mut self.held);
            let mut rest = held.as_slice();
            while let Some(end) = self.end(rest) {
                let (record, more) = rest.split_at(end);
                self.record(record, out);
                rest = more;
            }
            self.held.extend_from_slice(rest);
            if self.held.len() > 2 * MAX_LINE {
                self.losses.records += 1;
                self.losses.cut += 1;
                self.held.clear();
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.form == Form::Text && memmem::find(&self.held, b"Event[").is_some() {
            let held = std::mem::take(&mut self.held);
            self.record(&held, out);
        } else if memmem::find(&self.held, b"<Event ").is_some() {
            self.losses.records += 1;
            self.losses.unfinished = true;
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

fn write(time: &[u8], host: &[u8], program: &[u8], pid: &[u8], message: &[u8], out: &mut Vec<u8>) {
    let word = |text: &[u8], out: &mut Vec<u8>| {
        let text = text.trim_ascii();
        if text.is_empty() {
            out.push(b'-');
        }
        out.extend(
            text.iter()
                .map(|b| if b.is_ascii_graphic() { *b } else { b'_' }),
        );
    };
    word(time, out);
    out.push(b' ');
    word(host, out);
    out.push(b' ');
    word(program, out);
    if !pid.is_empty() && pid.iter().all(u8::is_ascii_digit) {
        out.push(b'[');
        out.extend_from_slice(pid);
        out.push(b']');
    }
    out.extend_from_slice(b": ");
    escape(message, out);
    out.push(b'\n');
}

/// Writes the line of a record that stands on a line of its own. False when it is none of OpenSSH's.
pub fn xml_line(record: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let written = xml(record, out).is_some() && !out.is_empty();
    out.pop();
    written
}

/// What stands behind `key` up to the next quotation mark.
fn attribute<'a>(record: &'a [u8], element: &[u8], name: &[u8]) -> Option<&'a [u8]> {
    let from = memmem::find(record, element)? + element.len();
    let tag = record.get(from..)?;
    let tag = tag.get(..memchr(b'>', tag)?)?;
    let at = memmem::find(tag, name)? + name.len();
    let quote = *tag.get(at)?;
    let value = tag.get(at + 1..)?;
    matches!(quote, b'"' | b'\'')
        .then(|| value.get(..memchr(quote, value)?))
        .flatten()
}

fn element<'a>(record: &'a [u8], open: &[u8], close: &[u8]) -> Option<&'a [u8]> {
    let from = memmem::find(record, open)? + open.len();
    let rest = record.get(from..)?;
    rest.get(..memmem::find(rest, close)?)
}

/// `None`: the record could not be read. Another program's is read and left out.
fn xml(record: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let provider = attribute(record, b"<Provider ", b"Name=")?;
    if provider != b"OpenSSH" {
        return Some(());
    }
    let data = |name: &str| {
        [
            format!("<Data Name='{name}'>"),
            format!("<Data Name=\"{name}\">"),
        ]
        .iter()
        .find_map(|open| element(record, open.as_bytes(), b"</Data>"))
    };
    let message = data("payload")?;
    let program = data("process").unwrap_or(b"sshd");
    write(
        attribute(record, b"<TimeCreated ", b"SystemTime=").unwrap_or_default(),
        element(record, b"<Computer>", b"</Computer>").unwrap_or_default(),
        program,
        attribute(record, b"<Execution ", b"ProcessID=").unwrap_or_default(),
        &unescaped(message),
        out,
    );
    Some(())
}

/// Without XML's entities.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let known = [
            (&b"&lt;"[..], b'<'),
            (b"&gt;", b'>'),
            (b"&amp;", b'&'),
            (b"&quot;", b'"'),
            (b"&apos;", b'\''),
            (b"&#xD;", b'\r'),
            (b"&#xA;", b'\n'),
            (b"&#13;", b'\r'),
            (b"&#10;", b'\n'),
        ];
        let (len, byte) = known
            .iter()
            .find(|(name, _)| rest.starts_with(name))
            .map_or((1, b'&'), |(name, byte)| (name.len(), *byte));
        out.push(byte);
        rest = rest.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

fn text(record: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut lines = record
        .split(|b| *b == b'\n')
        .map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let (mut time, mut host, mut source) = (&b""[..], &b""[..], &b""[..]);
    for line in lines.by_ref() {
        let line = line.trim_ascii();
        let value = |key: &[u8]| line.strip_prefix(key).map(<[u8]>::trim_ascii);
        if let Some(v) = value(b"Date:") {
            time = v;
        } else if let Some(v) = value(b"Computer:") {
            host = v;
        } else if let Some(v) = value(b"Source:") {
            source = v;
        } else if line.starts_with(b"Description:") {
            break;
        }
    }
    if source != b"OpenSSH" {
        return Some(());
    }
    let said = lines.find(|l| !l.trim_ascii().is_empty())?;
    let colon = memmem::find(said, b": ")?;
    write(
        time,
        host,
        said.get(..colon)?,
        b"",
        said.get(colon + 2..)?,
        out,
    );
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::run_all;
    use super::*;

    const ONE: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='OpenSSH' Guid='{c4}'/><EventID>4</EventID><TimeCreated SystemTime='2026-11-03T03:05:06.1234567Z'/><Execution ProcessID='4532' ThreadID='11'/><Computer>WIN1</Computer></System><EventData><Data Name='process'>sshd</Data><Data Name='payload'>Invalid user a&lt;b&amp;c from 192.0.2.7 port 50122</Data></EventData></Event>";
    const OTHER: &str = "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\"><System><Provider Name=\"Schannel\"/></System></Event>";

    #[test]
    fn records_of_openssh_become_lines_however_the_xml_is_laid_out() {
        let expected = "2026-11-03T03:05:06.1234567Z WIN1 sshd[4532]: Invalid user a<b&c from 192.0.2.7 port 50122\n";
        for file in [
            format!("{ONE}\r\n{OTHER}\r\n"),
            format!("<?xml version=\"1.0\"?><Events>{OTHER}{ONE}</Events>"),
            ONE.replace("><", ">\n  <"),
        ] {
            assert!(is_xml(file.as_bytes()), "{file}");
            let got = run_all(|| Box::new(WinEvent::xml()), file.as_bytes());
            assert_eq!(got, expected);
        }
        assert!(!is_xml(b"<Event "));
    }

    #[test]
    fn the_text_form_has_its_time_lines_before_its_message() {
        let one = |source: &str, text: &str| {
            format!(
                "Event[0]:\r\n  Log Name: OpenSSH/Operational\r\n  Source: {source}\r\n  Date: 2026-11-03T04:05:06.123\r\n  Event ID: 4\r\n  Computer: WIN1\r\n  Description: \r\n{text}\r\n\r\n"
            )
        };
        let file = one(
            "OpenSSH",
            "sshd: Failed password for ann from 192.0.2.7 port 1 ssh2",
        ) + &one("Other", "sshd: not ours")
            + &one("OpenSSH", "sshd: Connection closed by 192.0.2.7 port 1");
        assert!(is_text(file.as_bytes()));
        assert_eq!(
            run_all(|| Box::new(WinEvent::text()), file.as_bytes()),
            "2026-11-03T04:05:06.123 WIN1 sshd: Failed password for ann from 192.0.2.7 port 1 ssh2\n\
             2026-11-03T04:05:06.123 WIN1 sshd: Connection closed by 192.0.2.7 port 1\n"
        );
    }

    #[test]
    fn a_record_without_an_end_takes_bounded_room() {
        let mut t = WinEvent::xml();
        let mut out = Vec::new();
        t.feed(b"<Event ", &mut out);
        for _ in 0..100 {
            t.feed(&[b'x'; 10_000], &mut out);
        }
        assert!(t.held.len() <= 3 * MAX_LINE);
        t.feed(ONE.as_bytes(), &mut out);
        t.finish(&mut out);
        assert!(out.ends_with(b"port 50122\n"));
        assert!(t.losses().records > 0);
    }
}
