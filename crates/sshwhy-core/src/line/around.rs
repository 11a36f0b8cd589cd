//! What people and tools put around whole lines: grep's file name and line number, a quotation, the name of a host or container, the
//! cells of an exported table, labels of a log store.
//!
//! Only what is surely a line is taken out: it begins with a time and names its program. A client chooses words inside bare
//! messages, and must not be able to begin a line there: so everything in front of the line has to have one of a few fixed forms.

use super::cursor::{Cursor, long_number, number};
use super::foreign::{ruby_hash, ruby_time};
use super::json::{json_time, push_one_line};
use super::stamp::iso;
use super::{Line, LineParser, Program};
use memchr::{memchr, memchr2, memchr3, memmem};
use std::borrow::Cow;

/// A longer path in front of a line is none.
const LONGEST_PREFIX: usize = 256;
/// Columns of a table that are looked at.
const MOST_CELLS: usize = 48;

/// Where the lines that `text` may hold would begin: behind each prefix that it has.
pub(super) fn insides(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    // A quotation, a list, a row of a pasted table; less and cat put a number and a tab.
    let whole = text.len();
    let element = text.trim_ascii();
    let text = match element.strip_suffix(b",").unwrap_or(element) {
        [open @ (b'"' | b'\'' | b'`'), inner @ .., close] if open == close => inner,
        _ => text,
    };
    let quoted = skip(text, |b| {
        matches!(b, b' ' | b'\t' | b'>' | b'|' | b'"' | b'\'' | b'`' | b'*')
    });
    let numbered = skip(quoted, |b| b.is_ascii_digit());
    let numbered = (numbered.len() < quoted.len()
        && matches!(numbered.first(), Some(b' ' | b'\t')))
    .then(|| skip(numbered, |b| matches!(b, b' ' | b'\t')));
    let quoted_more = (quoted.len() < whole).then_some(quoted);
    let head = text
        .get(..LONGEST_PREFIX.min(text.len()))
        .unwrap_or_default();
    let word = head
        .get(..memchr(b' ', head).unwrap_or(head.len()))
        .unwrap_or_default();
    // `auth.log.1:`, `auth.log:17:`, `17:`, and `auth.log-` where grep shows what stands around.
    let grepped = word
        .iter()
        .enumerate()
        .filter(|(_, b)| matches!(b, b':' | b'-'))
        .filter_map(|(at, _)| text.get(at + 1..));
    // `web1: `, `[web1] `, `web1 | `: tools that ask many hosts.
    let named = (word.ends_with(b":") || (word.starts_with(b"[") && word.ends_with(b"]")))
        .then(|| text.get(word.len()..))
        .flatten()
        .map(|rest| skip(rest, |b| b == b' '));
    // OSSEC's archive: `2026 Nov 03 04:05:06 (web1) 10.0.0.5->/var/log/auth.log `, and what it read there.
    let archived = (word.len() == 4 && word.iter().all(u8::is_ascii_digit))
        .then(|| {
            let at = memmem::find(head, b"->/")?;
            let end = memchr(b' ', head.get(at..)?)?;
            text.get(at + end + 1..)
        })
        .flatten();
    archived
        .into_iter()
        .chain(quoted_more)
        .chain(numbered)
        .chain(grepped)
        .chain(named)
}

fn skip(text: &[u8], of: impl Fn(u8) -> bool) -> &[u8] {
    let at = text.iter().position(|b| !of(*b)).unwrap_or(text.len());
    text.get(at..).unwrap_or_default()
}

/// What stands behind the name that compose (`sshd-1  | `), swarm (`sshd.1.x@node1    | `) or kubectl (`[pod/sshd-0/sshd] `) puts
/// in front of each line.
pub(super) fn after_container(text: &[u8]) -> Option<&[u8]> {
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'/');
    let head = text.get(..LONGEST_PREFIX.min(text.len()))?;
    if head.starts_with(b"[pod/") {
        let close = memmem::find(head, b"] ")?;
        let inside = text.get(1..close)?;
        return inside.iter().all(name).then(|| text.get(close + 2..))?;
    }
    if let Some(bar) = memmem::find(head, b" | ") {
        let before = text.get(..bar)?;
        let word = before.trim_ascii_end();
        return (!word.is_empty() && word.iter().all(name)).then(|| text.get(bar + 3..))?;
    }
    // stern: `sshd-7d9f-x2x4k sshd message`. A pod's name has a hyphen, which no first word of sshd's has, and the container's
    // has to say what it is.
    let mut words = head.splitn(3, |b| *b == b' ');
    let (pod, container) = (words.next()?, words.next()?);
    let plain = |word: &[u8]| {
        word.iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
    };
    (memchr(b'-', pod).is_some()
        && plain(pod)
        && plain(container)
        && (memmem::find(container, b"ssh").is_some() || container == b"dropbear"))
        .then(|| text.get(pod.len() + container.len() + 2..))?
}

impl LineParser<'_> {
    /// The line inside of a bare text, if there is one.
    pub(super) fn inside<'a>(
        &mut self,
        text: &'a [u8],
        bare: &Line<'a>,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Line<'a>> {
        let saved = self.years;
        // A row whose first cell is quoted would otherwise look like a quotation of one line.
        if text.starts_with(b"\"")
            && table_row(text, scratch)
            && self.envelope(scratch).program != Program::Bare
        {
            let line = self.envelope(scratch);
            return Some(Line {
                rewritten: true,
                ..line
            });
        }
        self.years = saved;
        if bare.message.first() == Some(&b'\t') && self.tabbed(text, bare, scratch) {
            let inner = self.envelope(scratch);
            return Some(Line {
                time: inner.time.or(bare.time),
                rewritten: true,
                ..inner
            });
        }
        self.years = saved;
        if let Some(record) = ruby_hash(text)
            && (text.starts_with(b"[") || text.starts_with(b"{"))
            && self.rewrite_from(&record, scratch)
        {
            let time = ruby_time(text).and_then(json_time);
            let inner = self.envelope(scratch);
            return Some(Line {
                time: inner.time.or(time),
                rewritten: true,
                ..inner
            });
        }
        // Its usual table: `11/3/2026 4:05:06 AM      4 Information      sshd: …`.
        if bare.time.is_some()
            && let Some(value) = windows_row(bare.message)
        {
            let line = self.envelope(value);
            return (line.program == Program::Sshd).then_some(Line {
                time: bare.time,
                twice: bare.twice,
                ..line
            });
        }
        // `TIME tag: {json}`, Fluentd's standard output.
        if bare.time.is_some()
            && let Some(space) = memchr(b' ', bare.message)
            && let (tag, record) = bare.message.split_at(space)
            && tag.ends_with(b":")
            && record.starts_with(b" {")
            && self.rewrite_from(record, scratch)
        {
            let inner = self.envelope(scratch);
            return Some(Line {
                time: inner.time.or(bare.time),
                rewritten: true,
                ..inner
            });
        }
        // `Get-WinEvent | Format-List`: `Message      : sshd: Failed password …`.
        if let Some(value) = text
            .strip_prefix(b"Message")
            .and_then(|t| skip(t, |b| b == b' ').strip_prefix(b": "))
        {
            let line = self.envelope(value);
            return (line.program == Program::Sshd).then_some(line);
        }
        if bare.time.is_none() {
            for inner in insides(text).filter(|t| Cursor::new(t).any_stamp()) {
                let line = self.envelope(inner);
                if line.program != Program::Bare {
                    return Some(line);
                }
                self.years = saved;
            }
        } else if bare.message.first() == Some(&b'{') {
            return self.labelled(bare, scratch);
        }
        if table_row(text, scratch) {
            let mut line = self.envelope(scratch);
            if line.program != Program::Bare {
                line.rewritten = true;
                return Some(line);
            }
            self.years = saved;
        }
        None
    }

    /// Tabs where others put spaces: between the time, the host and the program, or around the tag of a forwarder in front of a
    /// record. What a client sends has no tabs left when it is logged, and none stands behind the time of a bare message. True
    /// when `scratch` holds a line.
    fn tabbed(&mut self, text: &[u8], bare: &Line<'_>, scratch: &mut Vec<u8>) -> bool {
        let records = bare.message.splitn(3, |b| *b == b'\t').skip(1);
        for record in records.filter(|r| r.starts_with(b"{")) {
            if self.rewrite_from(record, scratch) {
                return true;
            }
        }
        scratch.clear();
        scratch.extend_from_slice(text);
        let head = [&b": "[..], b":\t"]
            .iter()
            .filter_map(|end| memmem::find(text, end))
            .min()
            .map_or(text.len(), |at| at + 2);
        for b in scratch.iter_mut().take(head) {
            if *b == b'\t' {
                *b = b' ';
            }
        }
        self.envelope(scratch).program != Program::Bare
    }

    /// `TIME {json}` of a forwarder, or `TIME {label="…"} line` of a log store.
    fn labelled<'a>(&mut self, bare: &Line<'a>, scratch: &'a mut Vec<u8>) -> Option<Line<'a>> {
        if self.rewrite_from(bare.message, scratch) {
            let inner = self.envelope(scratch);
            return Some(Line {
                time: inner.time.or(bare.time),
                rewritten: true,
                ..inner
            });
        }
        let close = memmem::find(bare.message, b"} ")?;
        let rest = skip(bare.message.get(close + 2..)?, |b| b == b' ');
        let inner = self.envelope(rest);
        Some(Line {
            time: inner.time.or(bare.time),
            ..inner
        })
    }
}

/// The message of a row that PowerShell shows of an event log: number and level stand in front, parted by many spaces.
fn windows_row(text: &[u8]) -> Option<&[u8]> {
    let (_, len) = number(text)?;
    let level = text.get(len..)?.strip_prefix(b" ")?;
    let rest = skip(skip(level, |b| b == b' '), |b| b.is_ascii_alphabetic());
    let message = rest.strip_prefix(b"  ").map(|r| skip(r, |b| b == b' '))?;
    message.starts_with(b"sshd").then_some(message)
}

/// Writes the line that a row of a table holds (`1774627200718,"Nov  3 04:05:06 web1 sshd[812]: …"`, or program and message in
/// cells of their own). False when it is no such row.
fn table_row(text: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(end) = memchr3(b'\t', b',', b';', text) else {
        return false;
    };
    // A message of sshd's begins neither with a quotation mark nor with a number, and not with one word and a comma.
    let one_word = || memchr(b' ', text.get(..end).unwrap_or_default()).is_none();
    let begins_like_a_row =
        matches!(text.first(), Some(b'"' | b'0'..=b'9')) || end > 0 && one_word();
    if !begins_like_a_row {
        return false;
    }
    // A time with a message behind it is no cell: there a comma may be the client's own. Nor is half a time, `04:05:06,123`.
    let number_or_time = |b: &u8| b.is_ascii_digit() || b"-:./+TZ ".contains(b);
    let first = text.get(..end).unwrap_or_default();
    if text.first() != Some(&b'"') && !first.iter().all(number_or_time) && !one_word() {
        return false;
    }
    let mut time = Cursor::new(text);
    if iso(&mut time).is_some() && time.at > end {
        return false;
    }
    let Some(cells) = cells(text) else {
        return false;
    };
    out.clear();
    let stamped = |c: &&Cow<'_, [u8]>| Cursor::new(c).any_stamp();
    if let Some(line) = cells
        .iter()
        .filter(stamped)
        .find(|c| c.len() > 32 && memmem::find(c, b": ").is_some())
    {
        push_one_line(out, line);
        return true;
    }
    // `sshd: Failed password …` in one cell, as Windows' event log has it: the first, whatever a client put behind a comma.
    let said = cells.iter().find_map(|c| {
        let colon = memmem::find(c, b": ")?;
        let (ident, pid) = program(c.get(..colon)?)?;
        Some((ident, pid, c.get(colon + 2..)?))
    });
    let Some((ident, pid, message)) = said.or_else(|| own_cells(&cells)) else {
        return false;
    };
    let epoch =
        |c: &Cow<'_, [u8]>| long_number(c).is_some_and(|(_, len)| len == c.len() && len >= 10);
    if let Some(cell) = cells.iter().find(stamped) {
        match json_time(cell) {
            Some(time) => out.extend_from_slice(time.to_string().as_bytes()),
            None => out.extend_from_slice(cell),
        }
        out.push(b' ');
    } else if let Some(time) = cells.iter().find(|c| epoch(c)).and_then(|c| json_time(c)) {
        out.extend_from_slice(time.to_string().as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(ident);
    if let Some(pid) = pid {
        out.extend_from_slice(format!("[{pid}]").as_bytes());
    }
    out.extend_from_slice(b": ");
    push_one_line(out, message);
    true
}

/// Program, pid and message in cells of their own, in whatever order.
fn own_cells<'c>(cells: &'c [Cow<'_, [u8]>]) -> Option<(&'c [u8], Option<u32>, &'c [u8])> {
    let (at, ident, pid) = cells.iter().enumerate().find_map(|(at, c)| {
        let (ident, pid) = program(c)?;
        Some((at, ident, pid))
    })?;
    let digits = |c: &[u8]| number(c).filter(|(_, len)| *len == c.len());
    let sentence = |c: &&Cow<'_, [u8]>| memchr(b' ', c).is_some() && !Cursor::new(c).any_stamp();
    let pid_beside = |c: Option<&Cow<'_, [u8]>>| c.and_then(|c| digits(c)).map(|n| n.0);
    // The first that is a sentence: a comma in a message that was not quoted would make more of them.
    if let Some(message) = cells.iter().skip(at + 1).find(sentence) {
        return Some((
            ident,
            pid.or_else(|| pid_beside(cells.get(at + 1))),
            message,
        ));
    }
    let (before, message) = cells
        .iter()
        .take(at)
        .enumerate()
        .rfind(|(_, c)| sentence(c))?;
    Some((
        ident,
        pid.or_else(|| pid_beside(cells.get(before + 1))),
        message,
    ))
}

/// `sshd`, `sshd[812]`, `sshd-session[812]:`
fn program(cell: &[u8]) -> Option<(&[u8], Option<u32>)> {
    let cell = cell.strip_suffix(b":").unwrap_or(cell);
    let (ident, pid) = match memchr(b'[', cell) {
        Some(open) => {
            let inside = cell.get(open + 1..)?.strip_suffix(b"]")?;
            (cell.get(..open)?, Some(number(inside)?.0))
        }
        None => (cell, None),
    };
    matches!(Program::of(ident), Program::Sshd | Program::Dropbear).then_some((ident, pid))
}

/// The cells of a row that tabs or commas part, doubled quotation marks made one; `None` where it is no row of several.
fn cells(text: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let behind = match text.strip_prefix(b"\"") {
        Some(quoted) => quoted_cell(quoted)?.1,
        None => text,
    };
    let between = if memchr(b'\t', text).is_some() {
        b'\t'
    } else {
        *behind.get(memchr2(b',', b';', behind)?)?
    };
    let mut cells = Vec::new();
    let mut rest = text;
    while cells.len() < MOST_CELLS {
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let (cell, after) = quoted_cell(quoted)?;
            cells.push(cell);
            match after.split_first() {
                None => break,
                Some((b, more)) if *b == between => rest = more,
                Some(_) => return None,
            }
        } else {
            let end = memchr(between, rest);
            cells.push(Cow::Borrowed(rest.get(..end.unwrap_or(rest.len()))?));
            match end {
                Some(end) => rest = rest.get(end + 1..)?,
                None => break,
            }
        }
    }
    (cells.len() > 1).then_some(cells)
}

/// A cell behind its opening quotation mark, and what follows it.
fn quoted_cell(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = memchr(b'"', text)?;
    if text.get(end + 1) != Some(&b'"') {
        return Some((Cow::Borrowed(text.get(..end)?), text.get(end + 1..)?));
    }
    let mut cell = Vec::new();
    let mut rest = text;
    loop {
        let end = memchr(b'"', rest)?;
        cell.extend_from_slice(rest.get(..end)?);
        rest = rest.get(end + 1..)?;
        match rest.strip_prefix(b"\"") {
            Some(more) => {
                cell.push(b'"');
                rest = more;
            }
            None => return Some((Cow::Owned(cell), rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::Years;
    use super::*;
    use crate::time::Zone;

    fn parse(raw: &str) -> (Program, String, Option<u32>, String) {
        let zone = Zone::utc();
        let mut scratch = Vec::new();
        let mut parser = LineParser::new(&zone, Years::starting(2026));
        let line = parser.parse(raw.as_bytes(), &mut scratch);
        (
            line.program,
            line.time.map_or("-".to_owned(), |t| t.to_string()),
            line.pid,
            String::from_utf8_lossy(line.message).into_owned(),
        )
    }

    const MESSAGE: &str = "Failed password for root from 192.0.2.7 port 50122 ssh2";

    #[test]
    fn whole_lines_are_taken_out_of_what_stands_around_them() {
        for line in [
            "Nov  3 04:05:06 web1 sshd[812]: §",
            "2026-11-03T04:05:06Z web1 sshd[812]: §",
        ] {
            for around in [
                "auth.log.1:¶",
                "/var/log/auth.log:17:¶",
                "log/auth.log-20261101-¶",
                "17:¶",
                "17-¶",
                "     7\t¶",
                "  12 ¶",
                "> ¶",
                "    ¶",
                "\"¶\"",
                "web1: ¶",
                "[web1] ¶",
                "web-1 | ¶",
                "1793678706123,\"¶\"",
                "\"x\",\"1\",\"¶\"",
                "12\tauth\t¶",
                "2026-11-03T04:05:09Z {job=\"auth\", host=\"web1\"} ¶",
                "2026-11-03T04:05:09Z {\"message\":\"¶\"}",
            ] {
                let raw = around.replace('¶', &line.replace('§', MESSAGE));
                let (program, time, pid, message) = parse(&raw);
                assert_eq!(program, Program::Sshd, "{raw}");
                assert_eq!(time, "2026-11-03T04:05:06Z", "{raw}");
                assert_eq!(pid, Some(812), "{raw}");
                assert_eq!(message, MESSAGE, "{raw}");
            }
        }
    }

    #[test]
    fn cells_of_their_own_are_put_together() {
        for raw in [
            format!("\"2026-11-03T04:05:06Z\",\"web1\",\"auth\",\"sshd\",\"812\",\"{MESSAGE}\""),
            format!("2026-11-03 04:05:06\tweb1\tauth\tinfo\tsshd[812]\t{MESSAGE}"),
            format!("1793678706,17,sshd-session[812]:,{MESSAGE}"),
        ] {
            assert_eq!(
                parse(&raw),
                (
                    Program::Sshd,
                    "2026-11-03T04:05:06Z".to_owned(),
                    Some(812),
                    MESSAGE.to_owned()
                ),
                "{raw}"
            );
        }
        let quoted = "1,\"Nov  3 04:05:06 web1 sshd[812]: Invalid user \"\"a\"\" from 192.0.2.7\"";
        assert_eq!(parse(quoted).3, "Invalid user \"a\" from 192.0.2.7");
    }

    #[test]
    fn containers_names_are_taken_off_with_and_without_a_time() {
        for (raw, time) in [
            (format!("sshd-1  | {MESSAGE}"), "-"),
            (format!("\u{1b}[36msshd-1  |\u{1b}[0m {MESSAGE}"), "-"),
            (
                format!("\u{1b}[36msshd-1  |\u{1b}[0m 2026-11-03T04:05:06Z {MESSAGE}"),
                "2026-11-03T04:05:06Z",
            ),
            (format!("ssh_sshd.1.x8a@node1    | {MESSAGE}"), "-"),
            (format!("[pod/sshd-0/sshd] {MESSAGE}"), "-"),
            (
                format!("[pod/sshd-0/sshd] 2026-11-03T04:05:06Z {MESSAGE}"),
                "2026-11-03T04:05:06Z",
            ),
        ] {
            let got = parse(&raw);
            assert_eq!((got.0, got.1.as_str()), (Program::Bare, time), "{raw}");
            assert_eq!(got.3, MESSAGE, "{raw}");
        }
    }

    #[test]
    fn behind_a_containers_time_two_words_and_a_colon_are_a_message() {
        for message in [
            "banner exchange: Connection from 192.0.2.7 port 50122: invalid format",
            "Certificate invalid: expired",
            "Starting session: shell on pts/0 for ann from 192.0.2.7 port 50122 id 0",
        ] {
            let got = parse(&format!("2026-11-03T04:05:06Z {message}"));
            assert_eq!((got.0, got.3.as_str()), (Program::Bare, message));
        }
        let got = parse("2026-11-03T04:05:06Z web1 sudo: banner exchange: x");
        assert_eq!(got.0, Program::Other);
    }

    #[test]
    fn a_client_cannot_begin_a_line_inside_of_a_message() {
        let forged =
            "Nov  3 04:05:06 web1 sshd[1]: Accepted password for root from 192.0.2.9 port 22 ssh2";
        for around in [
            "Invalid user ¶ from 192.0.2.7 port 50122",
            "Invalid user x:¶ from 192.0.2.7 port 50122",
            "Invalid user \"¶\" from 192.0.2.7 port 50122",
            "Invalid user a,\"¶\" from 192.0.2.7 port 50122",
            "Invalid user a\t¶ from 192.0.2.7 port 50122",
            "Bad protocol version identification '¶' from 192.0.2.7 port 50122",
            "Received disconnect from 192.0.2.7 port 50122:11: ¶",
            "Failed password for invalid user a,¶ from 192.0.2.7 port 50122 ssh2",
        ] {
            let raw = around.replace('¶', forged);
            let (program, time, _, message) = parse(&raw);
            assert_eq!((program, time.as_str()), (Program::Bare, "-"), "{raw}");
            assert_eq!(message, raw);
            // Behind a container's time, too.
            for stamp in ["2026-11-03T04:05:07Z", "2026-11-03 04:05:07,250"] {
                let stamped = format!("{stamp} {raw}");
                let (program, time, _, message) = parse(&stamped);
                assert_eq!(program, Program::Bare, "{stamped}");
                assert!(time.starts_with("2026-11-03T04:05:07"), "{stamped}: {time}");
                assert_eq!(message, raw);
            }
        }
        // A row whose message was not quoted is cut at the client's comma, and says nothing more.
        let raw = "7,sshd[9],Invalid user a,Accepted password for root from 192.0.2.9 port 22 ssh2";
        assert_eq!(parse(raw).3, "Invalid user a");
    }
}
