//! What stands around a message, or around the line as a whole, without being an envelope.

use super::cursor::{Cursor, number};
use super::foreign::after_sender;
use super::stamp::rfc3164;
use super::{Line, MAX_LINE, Program};
use memchr::{memchr, memmem};

/// A line without the carriage return of some systems, and not longer than [`MAX_LINE`].
#[inline(always)]
pub(crate) fn cut(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    raw.get(..MAX_LINE).unwrap_or(raw)
}

/// What nearly all messages begin with, and nothing that [`unwrap_message`] looks at.
#[inline(always)]
pub(super) fn needs_no_unwrapping(message: &[u8]) -> bool {
    matches!(
        message.first(),
        Some(b'A'..=b'K' | b'M'..=b'Z' | b'e' | b'f' | b'p')
    )
}

/// Takes what wraps the message itself off: Solaris' `[ID …]`, repeats, a kernel time that a relay put in.
pub(super) fn unwrap_message(line: &mut Line<'_>) {
    if line.program == Program::Other {
        return;
    }
    let mut message = line.message;
    // `Server listening …` with two spaces in some relays.
    while message.first() == Some(&b' ') && line.program != Program::Bare {
        message = message.get(1..).unwrap_or_default();
    }
    match message.first() {
        Some(b'[') if line.program == Program::Dropbear => {
            // Logged to standard error and to syslog by whoever runs it.
            if let Some((_, mut inner)) = dropbear_prefix(message)
                && rfc3164(&mut inner).is_some()
            {
                message = inner.rest().strip_prefix(b" ").unwrap_or(inner.rest());
            }
        }
        // Cygwin in Windows' event log: `sshd: PID 812: message`.
        Some(b'P') if line.pid.is_none() && line.program == Program::Sshd => {
            if let Some(rest) = message.strip_prefix(b"PID ")
                && let Some((pid, len)) = number(rest)
                && let Some(inner) = rest.get(len..).and_then(|r| r.strip_prefix(b": "))
            {
                line.pid = Some(pid);
                message = inner;
            }
        }
        // Junos: `%AUTH-6: message`.
        Some(b'%') => {
            if let Some(colon) = memmem::find(
                message.get(..40.min(message.len())).unwrap_or_default(),
                b": ",
            ) && message.get(1..colon).is_some_and(|code| {
                code.iter().all(|b| {
                    b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')
                })
            }) {
                message = message.get(colon + 2..).unwrap_or_default();
            }
        }
        // `log show --style syslog` names the library or the subsystem in front.
        Some(b'(') if line.program == Program::Sshd => message = after_sender(message),
        Some(b'[') if message.starts_with(b"[ID ") => {
            if let Some(close) = memmem::find(message, b"] ") {
                message = message.get(close + 2..).unwrap_or_default();
            }
        }
        Some(b'm') => {
            if let Some(rest) = message.strip_prefix(b"message repeated ")
                && let Some((times, len)) = number(rest)
                && let Some(inner) = rest.get(len..).and_then(|r| r.strip_prefix(b" times: [ "))
                && let Some(inner) = inner.strip_suffix(b"]")
            {
                line.repeat = times;
                message = inner;
            }
        }
        Some(b'k') if line.program == Program::Sshd => {
            // `kernel:[  970.699396]: text` inside an sshd line: forwarded twice.
            if let Some(rest) = message.strip_prefix(b"kernel:") {
                let rest = rest.strip_prefix(b" ").unwrap_or(rest);
                if let Some(close) = rest
                    .first()
                    .filter(|b| **b == b'[')
                    .and_then(|_| memchr(b']', rest))
                {
                    let rest = rest.get(close + 1..).unwrap_or_default();
                    let rest = rest.strip_prefix(b":").unwrap_or(rest);
                    message = rest.strip_prefix(b" ").unwrap_or(rest);
                }
            }
        }
        _ if line.program == Program::Bare
            || matches!(message.first(), Some(b'l' | b'L' | b'-')) =>
        {
            // Without a tag the host, if any, still stands in front.
            let head = message.get(..96.min(message.len())).unwrap_or_default();
            let from = memmem::find(head, b" last message repeated ").map_or(0, |at| at + 1);
            let message = message.get(from..).unwrap_or_default();
            let inner = message
                .strip_prefix(b"--- ")
                .or_else(|| message.strip_prefix(b"-- "))
                .unwrap_or(message);
            let rest = inner
                .strip_prefix(b"last message repeated ")
                .or_else(|| inner.strip_prefix(b"Last output repeated "));
            if let Some((times, len)) = rest.and_then(number) {
                let tail = rest.and_then(|r| r.get(len..)).unwrap_or_default();
                if tail.starts_with(b" time") {
                    line.repeat = times;
                    line.repeats_last = true;
                }
            }
        }
        _ => {}
    }
    line.message = message;
}

/// `[825] ` in front of a time: (pid, the rest).
pub(super) fn dropbear_prefix(text: &[u8]) -> Option<(u32, Cursor<'_>)> {
    let (pid, len) = number(text.strip_prefix(b"[")?)?;
    let rest = text.get(len + 1..)?.strip_prefix(b"] ")?;
    Some((pid, Cursor::new(rest)))
}

/// BOM, record separator, `data: ` of server-sent events, NULs of a crashed file system.
pub(super) fn strip_decoration(raw: &[u8]) -> &[u8] {
    let mut text = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    while let Some((0 | 0x1e, rest)) = text.split_first() {
        text = rest;
    }
    text.strip_prefix(b"data: ").unwrap_or(text)
}

/// Copies text without its ANSI colour sequences (docker compose, systemd on a terminal).
pub(super) fn strip_colour(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(escape) = memmem::find(rest, b"\x1b[") {
        out.extend_from_slice(rest.get(..escape).unwrap_or_default());
        let tail = rest.get(escape + 2..).unwrap_or_default();
        let len = tail
            .iter()
            .position(|b| !(b.is_ascii_digit() || *b == b';'))
            .unwrap_or(tail.len());
        if tail.get(len) == Some(&b'm') {
            rest = tail.get(len + 1..).unwrap_or_default();
        } else {
            out.extend_from_slice(b"\x1b[");
            rest = tail;
        }
    }
    out.extend_from_slice(rest);
}
