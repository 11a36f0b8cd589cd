//! The log as data: one JSON object or CSV record for each line of the input.
//!
//! Written by hand because this is the one view that sees every line: 300 MB/s of log is its aim.

use super::escape::csv_field;
use super::json::push_string;
use crate::time::{SECOND, Time};

/// What there is to say about one line. Absent fields are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventLine<'a> {
    /// From 1, over the whole input.
    pub line: u64,
    pub time: Option<Time>,
    pub host: &'a [u8],
    pub program: &'a [u8],
    pub pid: Option<u32>,
    pub event: &'a str,
    pub outcome: &'a str,
    pub hostile: bool,
    pub user: Option<&'a str>,
    pub addr: Option<&'a str>,
    pub port: Option<u16>,
    pub method: Option<&'a [u8]>,
    pub key: Option<&'a [u8]>,
    pub repeat: u32,
}

/// Writes event lines, remembering the last time stamp's text.
#[derive(Debug, Default)]
pub struct EventWriter {
    second: Option<i64>,
    /// `2026-03-28T16:00:15`
    text: Vec<u8>,
    /// The last host and program, and how they are written.
    source: (Vec<u8>, Vec<u8>),
    written: Vec<u8>,
}

fn push_number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    // Two at a time: most of these numbers have four digits and more.
    while n >= 100 {
        let (tens, ones) = ((n % 100 / 10) as u8, (n % 10) as u8);
        at -= 2;
        if let Some([a, b]) = digits.get_mut(at..at + 2) {
            (*a, *b) = (b'0' + tens, b'0' + ones);
        }
        n /= 100;
    }
    loop {
        at -= 1;
        if let Some(d) = digits.get_mut(at) {
            *d = b'0' + (n % 10) as u8;
        }
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

fn push_bytes(out: &mut Vec<u8>, text: &[u8]) {
    // Without a way out in between: texts are short, and so the compiler looks at many bytes at once.
    let odd = text.iter().fold(false, |odd, b| {
        odd | !(b' '..=b'~').contains(b) | (*b == b'"') | (*b == b'\\')
    });
    if !odd {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else {
        push_string(out, &String::from_utf8_lossy(text));
    }
}

impl EventWriter {
    fn time(&mut self, out: &mut Vec<u8>, t: Time) {
        let second = t.secs();
        if self.second != Some(second) {
            self.second = Some(second);
            self.text.clear();
            let whole = Time::from_secs(second).to_string();
            self.text
                .extend_from_slice(whole.trim_end_matches('Z').as_bytes());
        }
        out.extend_from_slice(&self.text);
        let micro = t.0.rem_euclid(SECOND);
        if micro != 0 {
            out.push(b'.');
            let digits = (1_000_000 + micro) as u64;
            let start = out.len();
            push_number(out, digits);
            // The leading 1 kept the zeros.
            out.remove(start);
        }
        out.push(b'Z');
    }

    /// One object and a newline.
    pub fn json(&mut self, out: &mut Vec<u8>, e: &EventLine<'_>) {
        out.extend_from_slice(b"{\"line\":");
        push_number(out, e.line);
        if let Some(t) = e.time {
            out.extend_from_slice(b",\"time\":\"");
            self.time(out, t);
            out.push(b'"');
        }
        if self.source.0 != e.host || self.source.1 != e.program {
            self.source = (e.host.to_owned(), e.program.to_owned());
            self.written.clear();
            for (key, value) in [(&b",\"host\":"[..], e.host), (b",\"program\":", e.program)] {
                if !value.is_empty() {
                    self.written.extend_from_slice(key);
                    push_bytes(&mut self.written, value);
                }
            }
        }
        out.extend_from_slice(&self.written);
        if let Some(pid) = e.pid {
            out.extend_from_slice(b",\"pid\":");
            push_number(out, u64::from(pid));
        }
        out.extend_from_slice(b",\"event\":\"");
        out.extend_from_slice(e.event.as_bytes());
        out.extend_from_slice(b"\",\"outcome\":\"");
        out.extend_from_slice(e.outcome.as_bytes());
        out.extend_from_slice(if e.hostile {
            b"\",\"hostile\":true"
        } else {
            b"\",\"hostile\":false"
        });
        for (key, value) in [(&b",\"user\":"[..], e.user), (b",\"addr\":", e.addr)] {
            if let Some(value) = value {
                out.extend_from_slice(key);
                push_bytes(out, value.as_bytes());
            }
        }
        if let Some(port) = e.port {
            out.extend_from_slice(b",\"port\":");
            push_number(out, u64::from(port));
        }
        for (key, value) in [(&b",\"method\":"[..], e.method), (b",\"key\":", e.key)] {
            if let Some(value) = value {
                out.extend_from_slice(key);
                push_bytes(out, value);
            }
        }
        out.extend_from_slice(b",\"repeat\":");
        push_number(out, u64::from(e.repeat));
        out.extend_from_slice(b"}\n");
    }

    /// The header of [`EventWriter::csv`].
    pub const CSV_HEADER: &'static str =
        "line,time,host,program,pid,event,outcome,hostile,user,addr,port,method,key,repeat\r\n";

    /// One record (RFC 4180) and its line end.
    pub fn csv(&mut self, out: &mut Vec<u8>, e: &EventLine<'_>) {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        push_number(out, e.line);
        out.push(b',');
        if let Some(t) = e.time {
            self.time(out, t);
        }
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        for field in [
            text(e.host),
            text(e.program),
            number(e.pid.map(u64::from)),
            e.event.to_owned(),
            e.outcome.to_owned(),
            e.hostile.to_string(),
            e.user.unwrap_or_default().to_owned(),
            e.addr.unwrap_or_default().to_owned(),
            number(e.port.map(u64::from)),
            text(e.method.unwrap_or_default()),
            text(e.key.unwrap_or_default()),
            e.repeat.to_string(),
        ] {
            out.push(b',');
            out.extend_from_slice(csv_field(&field).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_what_is_known_and_no_nulls() {
        let mut out = Vec::new();
        let mut w = EventWriter::default();
        let e = EventLine {
            line: 3,
            time: Some(Time(1_774_713_615_000_042)),
            program: b"sshd",
            event: "failed-password",
            outcome: "auth-failure",
            hostile: true,
            user: Some("a\u{1b}]52;\"b"),
            addr: Some("192.0.2.7"),
            repeat: 1,
            ..EventLine::default()
        };
        w.json(&mut out, &e);
        let text = String::from_utf8(out).unwrap();
        let v: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(v["time"], "2026-03-28T16:00:15.000042Z");
        assert_eq!(v["user"], "a\u{1b}]52;\"b");
        assert!(v.get("pid").is_none() && !text.contains('\u{1b}'));
        let mut out = Vec::new();
        w.csv(&mut out, &e);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text.matches(',').count(),
            EventWriter::CSV_HEADER.matches(',').count()
        );
        assert!(!text.contains('\u{1b}'));
    }
}
