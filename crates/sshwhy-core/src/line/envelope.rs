//! Any envelope of which we know: the long way.
//!
//! See the tests for the list.

use super::around::after_container;
use super::cursor::{Cursor, fraction, long_number, number};
use super::foreign::{asl, is_aix_level, login_record, macos};
use super::json::json_line;
use super::stamp::iso;
use super::wrapping::{dropbear_prefix, strip_colour, strip_decoration, unwrap_message};
use super::{Line, LineParser, Program, Years};
use crate::catalog::messages;
use crate::time::{SECOND, Time};
use crate::transcode::winevent::xml_line;
use memchr::{memchr, memmem};
use std::collections::HashSet;
use std::sync::OnceLock;

/// Finds `ident[pid]: ` or `ident: ` behind at most three words (host, `facility.level`, `<auth.info>`).
pub(super) fn tag<'a>(text: &'a [u8], stamped: bool, line: &mut Line<'a>) -> bool {
    let mut rest = text;
    let mut host: &[u8] = &[];
    for position in 0..4 {
        // AIX, of what another machine sent.
        if let Some(from) = rest.strip_prefix(b"Message forwarded from ")
            && let Some(colon) = memmem::find(from, b": ")
        {
            host = from.get(..colon).unwrap_or_default();
            rest = from.get(colon + 2..).unwrap_or_default();
        }
        let mut word_end = memchr(b' ', rest).unwrap_or(rest.len());
        let word = rest.get(..word_end).unwrap_or_default();
        // A record behind the tag of a forwarder.
        if word.starts_with(b"{") {
            return false;
        }
        let mut named = ident_of(word);
        // Apple System Log: `sshd[812] <Info>: message`.
        if word.ends_with(b"]")
            && let Some(level) = rest.get(word_end + 1..word_end + 16)
            && level.starts_with(b"<")
            && let Some(end) = memmem::find(level, b">: ")
        {
            named = name_and_pid(word);
            word_end += end + 3;
        }
        if let Some((ident, pid)) = named.filter(|n| !n.0.starts_with(b"%")) {
            // A bare `name: ` counts as a tag only behind a time and a host, or where we know the name; otherwise it is the
            // message's own word (`error: …`, `Starting session: …`).
            let program = Program::of(ident);
            let level = matches!(
                ident,
                b"error" | b"fatal" | b"debug1" | b"debug2" | b"debug3" | b"PAM"
            );
            let said = || {
                let from_start = text.len() - rest.len() + word_end;
                begins_a_message(text.get(..from_start).unwrap_or_default())
            };
            if !level
                && (pid.is_some()
                    || program != Program::Other
                    || (stamped && position > 0 && !host.is_empty() && !said()))
            {
                line.host = host;
                line.ident = ident;
                line.pid = pid.flatten();
                line.program = program;
                let message = rest.get(word_end..).unwrap_or_default();
                line.message = message.strip_prefix(b" ").unwrap_or(message);
                return true;
            }
        }
        // metalog: `[sshd] message`.
        if let Some(ident) = word.strip_prefix(b"[")
            && let Some(ident) = ident
                .strip_suffix(b"]")
                .or_else(|| ident.strip_suffix(b"]:"))
            && Program::of(ident) != Program::Other
        {
            line.ident = ident;
            line.host = host;
            line.program = Program::of(ident);
            let message = rest.get(word_end..).unwrap_or_default();
            line.message = message.strip_prefix(b" ").unwrap_or(message);
            return true;
        }
        // Cisco NX-OS puts a code in front and the program behind: `nx1 %DAEMON-3-SYSTEM_MSG: message - sshd[812]`.
        if word.starts_with(b"%")
            && word.ends_with(b"SYSTEM_MSG:")
            && let Some(dash) = memmem::rfind(rest, b" - ")
            && let Some((ident, pid)) = rest.get(dash + 3..).and_then(name_and_pid)
            && Program::of(ident) != Program::Other
        {
            line.host = host;
            line.ident = ident;
            line.pid = pid.flatten();
            line.program = Program::of(ident);
            line.message = rest.get(word_end + 1..dash).unwrap_or_default();
            return true;
        }
        let is_level = word.starts_with(b"<") && word.ends_with(b">")
            || memchr(b'.', word)
                .is_some_and(|dot| is_facility(word.get(..dot).unwrap_or_default()))
                && priority_of(word).is_some()
            // F5 and others write the level by itself, AIX both in its own way.
            || (!host.is_empty() && is_level_name(word))
            || is_aix_level(word, is_facility, is_level_name);
        if is_level {
            line.priority = line.priority.or_else(|| priority_of(word));
        } else if host.is_empty() {
            host = word;
        } else {
            return false;
        }
        if word_end >= rest.len() {
            return false;
        }
        rest = rest.get(word_end + 1..).unwrap_or_default();
    }
    false
}

/// Whether this is how a message of ours begins, up to its first colon: behind a container's time `banner exchange: …` names
/// neither a host nor a program.
pub(super) fn begins_a_message(text: &[u8]) -> bool {
    static BEGINNINGS: OnceLock<HashSet<&'static [u8]>> = OnceLock::new();
    BEGINNINGS
        .get_or_init(|| {
            let texts = messages::all().flat_map(|m| m.texts);
            texts
                .filter_map(|t| Some(t.text.get(..t.text.find(": ")? + 1)?.as_bytes()))
                .filter(|t| memchr(b'{', t).is_none() && memchr(b' ', t).is_some())
                .collect()
        })
        .contains(text)
}

/// `sshd[812]:` → (`sshd`, Some(Some(812))), `sshd:` → (`sshd`, None).
#[allow(clippy::type_complexity)]
pub(super) fn ident_of(word: &[u8]) -> Option<(&[u8], Option<Option<u32>>)> {
    name_and_pid(word.strip_suffix(b":")?)
}

/// Whether what stands before a pid is no name, but columns: a tab or a comma parts them.
pub(super) fn is_columns(ident: &[u8]) -> bool {
    ident.iter().any(|b| b.is_ascii_control() || *b == b',')
}

#[allow(clippy::type_complexity)]
fn name_and_pid(word: &[u8]) -> Option<(&[u8], Option<Option<u32>>)> {
    if let Some(open) = memchr(b'[', word) {
        let inside = word.get(open + 1..)?.strip_suffix(b"]")?;
        let ident = word.get(..open)?;
        if ident.is_empty() || inside.is_empty() || is_columns(ident) {
            return None;
        }
        let (pid, len) = number(inside)?;
        return (len == inside.len()).then_some((ident, Some(Some(pid))));
    }
    (!word.is_empty() && word.iter().all(|b| b.is_ascii_graphic())).then_some((word, None))
}

pub(super) const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

pub(super) const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

pub(super) fn is_facility(word: &[u8]) -> bool {
    FACILITIES
        .iter()
        .any(|f| f.as_bytes().eq_ignore_ascii_case(word))
}

fn is_level_name(word: &[u8]) -> bool {
    LEVELS.iter().any(|l| l.as_bytes() == word) || matches!(word, b"warn" | b"error")
}

/// `auth.info`, `<auth.info>`, `<4.6>` → facility * 8 + severity.
pub(super) fn priority_of(word: &[u8]) -> Option<u8> {
    let word = word
        .strip_prefix(b"<")
        .and_then(|w| w.strip_suffix(b">"))
        .unwrap_or(word);
    let dot = memchr(b'.', word)?;
    let place = |table: &[&str], w: &[u8]| {
        table
            .iter()
            .position(|n| {
                n.as_bytes().eq_ignore_ascii_case(w)
                    || (*n == "warning" && w.eq_ignore_ascii_case(b"warn"))
                    || (*n == "err" && w.eq_ignore_ascii_case(b"error"))
            })
            .or_else(|| {
                number(w)
                    .filter(|(n, _)| (*n as usize) < table.len())
                    .map(|(n, _)| n as usize)
            })
    };
    let facility = place(&FACILITIES, word.get(..dot)?)?;
    let level = place(&LEVELS, word.get(dot + 1..)?)?;
    Some((facility * 8 + level) as u8)
}

/// `type=USER_LOGIN msg=audit(1793678706.123:45): …` → the whole record as message, with time and pid.
pub(super) fn audit_line(text: &[u8]) -> Option<Line<'_>> {
    // A central auditd puts `node=NAME ` in front.
    let text = text.get(memmem::find(text, b"type=")?..)?;
    let at = memmem::find(text, b"msg=audit(")?;
    let inside = text.get(at + 10..)?;
    let (secs, len) = long_number(inside)?;
    // More digits are no time (the year 5138).
    if len > 11 {
        return None;
    }
    let (micro, _) = if inside.get(len) == Some(&b'.') {
        fraction(inside.get(len + 1..)?)
    } else {
        (0, 0)
    };
    let pid = memmem::find(text, b" pid=")
        .and_then(|p| number(text.get(p + 5..)?))
        .map(|n| n.0);
    let of_sshd =
        memmem::find(text, b"/sshd").is_some() || memmem::find(text, b"/dropbear").is_some();
    Some(Line {
        time: Some(Time(secs.saturating_mul(SECOND) + i64::from(micro))),
        ident: b"audit",
        program: if of_sshd {
            Program::Audit
        } else {
            Program::Other
        },
        pid,
        message: text,
        repeat: 1,
        ..Line::default()
    })
}

/// What stands behind the labels that `docker logs --details` puts between the time and the message: `a=b,c=d `. No message of
/// ours begins with an equation.
fn after_labels(text: &[u8]) -> &[u8] {
    let end = memchr(b' ', text).unwrap_or(0);
    let labels = text.get(..end).unwrap_or_default();
    let all = !labels.is_empty()
        && labels.split(|b| *b == b',').all(|label| {
            memchr(b'=', label).is_some_and(|at| {
                at > 0
                    && label.iter().take(at).all(|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/')
                    })
            })
        });
    match text.get(end + 1..) {
        Some(rest) if all => rest,
        _ => text,
    }
}

impl LineParser<'_> {
    /// Any envelope of which we know; see the module's tests for the list.
    pub fn slow<'a>(&mut self, raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Line<'a> {
        let mut text = strip_decoration(raw);
        if memchr(0x1b, text).is_some() {
            scratch.clear();
            strip_colour(text, scratch);
            let coloured = std::mem::take(scratch);
            let again = self.rewrite_from(&coloured, scratch);
            if !again {
                scratch.clear();
                scratch.extend_from_slice(after_container(&coloured).unwrap_or(&coloured));
            }
            let mut line = self.envelope(scratch);
            line.rewritten = true;
            return line;
        }
        if text.first() == Some(&b'{') && self.rewrite_from(text, scratch) {
            let mut line = self.envelope(scratch);
            line.rewritten = true;
            return line;
        }
        if text.starts_with(b"<Event ") && xml_line(text, scratch) {
            let mut line = self.envelope(scratch);
            line.rewritten = true;
            return line;
        }
        if let Some(line) = asl(text) {
            return line;
        }
        text = after_container(text).unwrap_or(text);
        let line = self.envelope(text);
        if line.program == Program::Bare && line.time.is_none() && login_record(text, scratch) {
            let mut line = self.envelope(scratch);
            line.rewritten = true;
            return line;
        }
        if line.program == Program::Bare
            && let Some(inside) = self.inside(text, &line, scratch)
        {
            return inside;
        }
        line
    }

    /// JSON of the journal, of Docker or of a cloud agent, written anew as an RFC 5424 line (or as the text it carries).
    pub(super) fn rewrite_from(&mut self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let Ok(serde_json::Value::Object(map)) = serde_json::from_slice::<serde_json::Value>(text)
        else {
            return false;
        };
        out.clear();
        json_line(&map, out)
    }

    pub(super) fn envelope<'a>(&mut self, text: &'a [u8]) -> Line<'a> {
        let mut line = Line {
            repeat: 1,
            program: Program::Bare,
            ..Line::default()
        };
        let mut cur = Cursor::new(text);
        // RFC 6587 octet counting: `97 <38>1 …`.
        if let Some((_, len)) = number(text)
            && text.get(len) == Some(&b' ')
            && text.get(len + 1) == Some(&b'<')
        {
            cur = Cursor::new(text.get(len + 1..).unwrap_or_default());
        }
        if let Some(priority) = cur.priority() {
            line.priority = Some(priority);
            if cur.eat(b"1 ") {
                return self.rfc5424(cur, line);
            }
        }
        // RFC 5424 as some store it, without the priority. A number and a time with a space in it is Windows' form.
        if let Some(stored) = cur.rest().strip_prefix(b"1 ")
            && stored.get(10) == Some(&b'T')
            && iso(&mut Cursor::new(stored)).is_some()
        {
            return self.rfc5424(Cursor::new(stored), line);
        }
        if (cur.rest().starts_with(b"type=") || cur.rest().starts_with(b"node="))
            && let Some(audit) = audit_line(cur.rest())
        {
            return Line {
                priority: line.priority,
                ..audit
            };
        }
        // Dropbear on standard error: `[825] Jul 10 23:53:52 message`.
        if let Some((pid, mut inner)) = dropbear_prefix(cur.rest())
            && let Some(stamp) = self.stamp(&mut inner)
        {
            line.time = stamp.time;
            line.twice = stamp.twice;
            line.pid = Some(pid);
            line.program = Program::Dropbear;
            line.message = inner.rest();
            return line;
        }
        // Windows: `4532 2026-11-03 04:05:06.123 message`.
        if let Some((pid, len)) = number(cur.rest()) {
            let after = cur.rest().get(len..).and_then(|r| r.strip_prefix(b" "));
            if let Some(mut inner) = after.map(Cursor::new)
                && let Some(civil) = iso(&mut inner)
                && inner.rest().first() != Some(&b'-')
                && inner.rest().first() != Some(&b'+')
            {
                inner.eat(b" ");
                let stamp = self.local(civil, false);
                line.time = stamp.time;
                line.twice = stamp.twice;
                line.pid = Some(pid);
                line.program = Program::Sshd;
                line.message = inner.rest();
                unwrap_message(&mut line);
                return line;
            }
        }
        let stamped = self.stamp(&mut cur);
        if let Some(stamp) = stamped {
            line.time = stamp.time;
            line.twice = stamp.twice;
        }
        // Kubernetes CRI: `TIME stderr F message`.
        for stream in [b"stdout ".as_slice(), b"stderr "] {
            if let Some(inner) = cur.rest().strip_prefix(stream)
                && let Some(message) = inner
                    .strip_prefix(b"F ")
                    .or_else(|| inner.strip_prefix(b"P "))
            {
                return self.within(message, line);
            }
        }
        if macos(&mut cur, &mut line) {
            unwrap_message(&mut line);
            return line;
        }
        let after_stamp = cur.rest();
        if tag(
            after_stamp,
            stamped.is_some() || line.priority.is_some(),
            &mut line,
        ) {
            unwrap_message(&mut line);
            return line;
        }
        // A relay's own envelope around another: `TIME relay Nov  3 04:05:06 web1 sshd[812]: …`.
        if stamped.is_some()
            && let Some(space) = memchr(b' ', after_stamp)
        {
            let inner = after_stamp.get(space + 1..).unwrap_or_default();
            let mut probe = Cursor::new(inner);
            let priority = probe.priority();
            let saved = self.years;
            if let Some(outer) = line.time {
                // The outer time knows the year.
                self.years = Years::starting(self.zone.civil(outer).year);
            }
            let inner_stamp = self.stamp(&mut probe);
            self.years = saved;
            if let Some(stamp) = inner_stamp {
                line.time = stamp.time.or(line.time);
                line.twice = stamp.twice;
                line.priority = priority.or(line.priority);
                if tag(probe.rest(), true, &mut line) {
                    unwrap_message(&mut line);
                    return line;
                }
            }
        }
        line.message = match stamped {
            Some(_) => after_labels(after_stamp),
            None => after_stamp,
        };
        unwrap_message(&mut line);
        line
    }

    /// A container runtime's record: what is inside may have its own envelope, or be bare.
    pub(super) fn within<'a>(&mut self, message: &'a [u8], outer: Line<'a>) -> Line<'a> {
        let message = message.strip_suffix(b"\r").unwrap_or(message);
        let mut inner = self.envelope(message);
        if inner.program == Program::Bare && inner.time.is_none() {
            inner.message = message;
            unwrap_message(&mut inner);
        }
        inner.time = inner.time.or(outer.time);
        inner.twice = inner.twice.or(outer.twice);
        inner
    }

    pub(super) fn rfc5424<'a>(&mut self, mut cur: Cursor<'a>, mut line: Line<'a>) -> Line<'a> {
        if !cur.eat(b"- ") {
            if let Some(stamp) = self.stamp(&mut cur) {
                line.time = stamp.time;
                line.twice = stamp.twice;
            } else {
                cur.word();
            }
        }
        let nil = |w: &'a [u8]| if w == b"-" { &[][..] } else { w };
        line.host = nil(cur.word());
        line.ident = nil(cur.word());
        line.pid = number(cur.word()).map(|n| n.0);
        cur.word();
        cur.structured_data();
        let message = cur.rest();
        line.message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
        line.program = if line.ident.is_empty() {
            Program::Bare
        } else {
            Program::of(line.ident)
        };
        unwrap_message(&mut line);
        line
    }
}
