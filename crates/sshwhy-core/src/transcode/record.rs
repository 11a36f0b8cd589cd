//! One journal record, of whichever serialization, and the line that it becomes.
//!
//! The line is RFC 5424: `<86>1 2026-03-28T16:00:15.123456Z web1 sshd-session 812 - - Accepted password for ann …`. Where
//! the journal knows that the program that named itself sshd was another one (`logger -t sshd`), the structured data says
//! so before the text: `[journal exe="/usr/bin/logger" uid="1000"] Accepted …` ([`origin_in_doubt`]), which the catalogue
//! knows as a line in sshd's name that sshd did not write. journald took both from the kernel, so the sender could not
//! choose them; no text of sshd's own begins so.

use super::MAX_LINE;
use crate::catalog::deeds;
use crate::time::Time;
use std::io::Write;

/// The fields of a record that matter here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// Microseconds since the epoch.
    pub realtime: Option<u64>,
    /// `facility * 8 + severity`
    pub severity: Option<u8>,
    pub facility: Option<u8>,
    pub host: Vec<u8>,
    pub identifier: Vec<u8>,
    /// `_COMM`, which stands in for a missing identifier.
    pub comm: Vec<u8>,
    pub pid: Vec<u8>,
    /// `SYSLOG_PID`, which stands in for a missing `_PID`.
    pub syslog_pid: Vec<u8>,
    pub exe: Vec<u8>,
    pub uid: Vec<u8>,
    pub message: Option<Vec<u8>>,
    /// `__CURSOR`: where to go on reading after this record.
    pub cursor: Vec<u8>,
}

/// The fields that a [`Record`] keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    Realtime,
    Priority,
    Facility,
    Host,
    Identifier,
    Comm,
    Pid,
    SyslogPid,
    Exe,
    Uid,
    Message,
    Cursor,
}

impl Field {
    pub fn of(name: &[u8]) -> Option<Field> {
        Some(match name {
            b"__REALTIME_TIMESTAMP" => Field::Realtime,
            b"PRIORITY" => Field::Priority,
            b"SYSLOG_FACILITY" => Field::Facility,
            b"_HOSTNAME" => Field::Host,
            b"SYSLOG_IDENTIFIER" => Field::Identifier,
            b"_COMM" => Field::Comm,
            b"_PID" => Field::Pid,
            b"SYSLOG_PID" => Field::SyslogPid,
            b"_EXE" => Field::Exe,
            b"_UID" => Field::Uid,
            b"MESSAGE" => Field::Message,
            b"__CURSOR" => Field::Cursor,
            _ => return None,
        })
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

impl Record {
    pub fn clear(&mut self) {
        *self = Record::default();
    }

    /// Sets a field; the first value of a field that is there twice holds.
    pub fn set(&mut self, field: Field, value: &[u8]) {
        let value = value.get(..MAX_LINE).unwrap_or(value);
        let slot = match field {
            Field::Realtime => return self.realtime = self.realtime.or_else(|| number(value)),
            Field::Priority => {
                return self.severity = self
                    .severity
                    .or_else(|| number(value).filter(|n| *n < 8).map(|n| n as u8));
            }
            Field::Facility => {
                return self.facility = self
                    .facility
                    .or_else(|| number(value).filter(|n| *n < 24).map(|n| n as u8));
            }
            Field::Message => {
                self.message.get_or_insert_with(|| value.to_vec());
                return;
            }
            Field::Host => &mut self.host,
            Field::Identifier => &mut self.identifier,
            Field::Comm => &mut self.comm,
            Field::Pid => &mut self.pid,
            Field::SyslogPid => &mut self.syslog_pid,
            Field::Exe => &mut self.exe,
            Field::Uid => &mut self.uid,
            Field::Cursor => &mut self.cursor,
        };
        if slot.is_empty() {
            slot.extend_from_slice(value.get(..256).unwrap_or(value));
        }
    }

    /// The name that the line goes by: the program's own, where a unit gave it another (`SyslogIdentifier=bastion`).
    pub fn ident(&self) -> &[u8] {
        let renamed = !is_relevant(&self.identifier)
            && (self.comm.starts_with(b"sshd") || self.comm == b"dropbear");
        if self.identifier.is_empty() || renamed {
            &self.comm
        } else {
            &self.identifier
        }
    }

    /// Whether there is anything to write a line about.
    pub fn is_empty(&self) -> bool {
        self.message.is_none() && self.ident().is_empty()
    }

    /// Appends the record as a line.
    pub fn line(&self, out: &mut Vec<u8>) {
        let priority = self.facility.unwrap_or(10) * 8 + self.severity.unwrap_or(6);
        // Writing to a vector does not fail.
        let _ = match self.realtime.and_then(|t| i64::try_from(t).ok()) {
            Some(t) => write!(out, "<{priority}>1 {}", Time(t)),
            None => write!(out, "<{priority}>1 -"),
        };
        let foreign = origin_in_doubt(self.ident(), &self.exe);
        let pid: &[u8] = if foreign {
            // The writer's number, which is no connection's.
            b""
        } else if self.pid.is_empty() {
            &self.syslog_pid
        } else {
            &self.pid
        };
        for word in [&self.host, self.ident(), pid] {
            out.push(b' ');
            if word.is_empty() {
                out.push(b'-');
            }
            out.extend(
                word.iter()
                    .map(|&b| if b.is_ascii_graphic() { b } else { b'_' }),
            );
        }
        out.extend_from_slice(b" - - ");
        if foreign {
            out.extend_from_slice(b"[journal exe=\"");
            parameter(&self.exe, out);
            out.extend_from_slice(b"\" uid=\"");
            parameter(&self.uid, out);
            out.extend_from_slice(b"\"] ");
        }
        escape(self.message.as_deref().unwrap_or_default(), out);
        out.push(b'\n');
    }
}

/// A daemon's name, or that of a program whose deeds matter, on a line that another program sent.
fn origin_in_doubt(ident: &[u8], exe: &[u8]) -> bool {
    let daemon = |name: &[u8]| name.starts_with(b"sshd") || name.starts_with(b"dropbear");
    let base = exe.rsplit(|&b| b == b'/').next().unwrap_or_default();
    if exe.is_empty() {
        return false;
    }
    match deeds::program(ident) {
        // One program may be many (busybox), and a newer one has more to its name (sudo-rs).
        Some(name) => !base.starts_with(name.as_bytes()) && base != b"busybox",
        None => daemon(ident) && !daemon(base),
    }
}

/// A value of structured data (RFC 5424 section 6.3.3).
fn parameter(value: &[u8], out: &mut Vec<u8>) {
    for &b in value {
        match b {
            b'"' | b'\\' | b']' => out.extend_from_slice(&[b'\\', b]),
            _ if b.is_ascii_control() => out.push(b'_'),
            _ => out.push(b),
        }
    }
}

/// Appends text as one line: control bytes as sshd itself writes them, line ends at the end dropped, NULs dropped.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    for &b in text {
        match b {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0 => {}
            0x01..=0x1f | 0x7f => {
                let _ = write!(out, "\\{b:03o}");
            }
            _ => out.push(b),
        }
    }
}

/// Whether lines of this program can matter: sshd and dropbear with their helpers, those that log about logins, and those that
/// say what was done on the host. The text of other programs' journal records is not fetched.
pub fn is_relevant(ident: &[u8]) -> bool {
    let base = ident.rsplit(|&b| b == b'/').next().unwrap_or_default();
    deeds::program(base).is_some()
        || base.starts_with(b"(") // `(sd-pam)`, `(sshd)`: a service's process before it runs its program
        || [
            &b"sshd"[..],
            b"ssh",
            b"dropbear",
            b"sftp",
            b"internal-sftp",
            b"systemd",
            b"kernel",
            b"audit",
            b"pam",
            b"unix_chkpwd",
            b"sudo",
            b"su",
            b"login",
            b"OpenSSH",
            b"google_authenticator",
        ]
        .iter()
        .any(|name| base.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(fields: &[(&str, &str)]) -> String {
        let mut record = Record::default();
        for (name, value) in fields {
            if let Some(field) = Field::of(name.as_bytes()) {
                record.set(field, value.as_bytes());
            }
        }
        let mut out = Vec::new();
        record.line(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_record_is_one_line() {
        let got = line(&[
            ("__REALTIME_TIMESTAMP", "1774713615123456"),
            ("PRIORITY", "6"),
            ("SYSLOG_FACILITY", "4"),
            ("SYSLOG_IDENTIFIER", "sshd-session"),
            ("_COMM", "sshd"),
            ("_PID", "812"),
            ("SYSLOG_PID", "811"),
            ("_HOSTNAME", "web1"),
            ("_EXE", "/usr/lib/openssh/sshd-session"),
            ("MESSAGE", "two\nlines\t\u{1b}[31m \u{fc}\r\n"),
        ]);
        assert_eq!(
            got,
            "<38>1 2026-03-28T16:00:15.123456Z web1 sshd-session 812 - - two\\nlines\\t\\033[31m \u{fc}\n"
        );
        assert_eq!(
            line(&[("MESSAGE", "x"), ("_COMM", "a b")]),
            "<86>1 - - a_b - - - x\n"
        );
        let renamed = [
            ("MESSAGE", "x"),
            ("_COMM", "sshd"),
            ("SYSLOG_IDENTIFIER", "bastion"),
        ];
        assert_eq!(line(&renamed), "<86>1 - - sshd - - - x\n");
    }

    #[test]
    fn a_foreign_program_under_the_name_of_sshd_is_marked() {
        let forged = line(&[
            ("SYSLOG_IDENTIFIER", "sshd"),
            ("_EXE", "/usr/bin/logger\"]"),
            ("_UID", "1000"),
            ("MESSAGE", "x"),
        ]);
        assert_eq!(
            forged,
            "<86>1 - - sshd - - - [journal exe=\"/usr/bin/logger\\\"\\]\" uid=\"1000\"] x\n"
        );
        for (ident, exe) in [
            ("sshd", "/usr/sbin/sshd"),
            ("sshd", "/usr/lib/ssh/sshd-session"),
            ("sshd", ""),
            ("cron", "/usr/bin/logger"),
        ] {
            let honest = line(&[
                ("SYSLOG_IDENTIFIER", ident),
                ("_EXE", exe),
                ("MESSAGE", "x"),
            ]);
            assert!(honest.ends_with(" - - x\n"), "{honest}");
        }
    }

    #[test]
    fn relevance_is_by_program() {
        for ident in [
            "sshd",
            "sshd-session",
            "/usr/sbin/sshd",
            "dropbear",
            "systemd-logind",
            "kernel",
            "sudo",
            "su",
            "useradd",
            "crontab",
        ] {
            assert!(is_relevant(ident.as_bytes()), "{ident}");
        }
        for ident in ["nginx", "cron", "dockerd", ""] {
            assert!(!is_relevant(ident.as_bytes()), "{ident}");
        }
    }
}
