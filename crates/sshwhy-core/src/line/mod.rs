//! Frees one log line of its envelope: when, which host, which program and pid, and the message.
//!
//! Two paths that must agree: [`LineParser::parse`] tries the two shapes that nearly all lines have (RFC 3164 and ISO time, then
//! `host ident[pid]: `) and remembers the last time stamp; everything else goes the long way through [`slow`]. Nothing is
//! required: a line without time, host or pid is still a line, and bytes are never assumed to be UTF-8.
//!
//! Local times become UTC with the zone given. Years that the log does not write are counted on from the year given, one
//! more each time the month jumps back by more than half a year.

mod around;
mod cursor;
mod envelope;
mod escapes;
mod foreign;
mod json;
mod stamp;
#[cfg(test)]
mod tests;
mod usual;
mod wrapping;
mod years;

pub(crate) use self::cursor::number;
pub use self::escapes::unescape;
pub(crate) use self::usual::{Quick, Tag, serves_one};
pub(crate) use self::wrapping::cut;
pub use self::years::{Years, first_year, yearless, yearless_month};

use self::stamp::Stamp;
use self::usual::TAGS;
use crate::time::{Time, Zone};

/// Longer lines are cut here; sshd itself cuts at about 1 KiB.
pub const MAX_LINE: usize = 64 * 1024;

/// Which of our programs wrote a line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Program {
    /// sshd and its helpers (sshd-session, sshd-auth, sftp-server), with PAM's lines.
    Sshd,
    Dropbear,
    /// systemd-logind, systemd, kernel, login records: lines that are about logins without being sshd's.
    Platform,
    /// An audit record (`type=USER_LOGIN msg=audit(…): …`).
    Audit,
    /// No program is named: raw standard error of `sshd -e`, or a line that is something else altogether.
    Bare,
    #[default]
    Other,
}

impl Program {
    /// From the ident of a syslog line: `sshd`, `sshd-session`, `/usr/sbin/sshd`, `sshd(pam_unix)`, `sshd@3`.
    pub fn of(ident: &[u8]) -> Program {
        let name = match memchr::memrchr(b'/', ident) {
            Some(slash) => ident.get(slash + 1..).unwrap_or_default(),
            None => ident,
        };
        if let Some(rest) = name.strip_prefix(b"sshd") {
            return match rest.first() {
                None | Some(b'(' | b'@' | b'.') => Program::Sshd,
                _ if matches!(
                    rest,
                    b"-session" | b"-auth" | b"-session.exe" | b"-auth.exe"
                ) =>
                {
                    Program::Sshd
                }
                _ => Program::Other,
            };
        }
        match name {
            b"sftp-server" | b"internal-sftp" | b"ssh.service" | b"OpenSSH" => Program::Sshd,
            b"dropbear" => Program::Dropbear,
            b"systemd-logind" | b"systemd" | b"kernel" | b"btmp" | b"wtmp" | b"utmp"
            | b"lastlog" | b"systemd-journald" | b"systemd-journal" | b"rsyslogd" => {
                Program::Platform
            }
            _ => Program::Other,
        }
    }
}

/// One log record without its envelope.
#[derive(Clone, Debug, Default)]
pub struct Line<'a> {
    pub time: Option<Time>,
    /// The other reading, where the local time exists twice (clocks went back).
    pub twice: Option<Time>,
    pub host: &'a [u8],
    /// As written.
    pub ident: &'a [u8],
    pub program: Program,
    pub pid: Option<u32>,
    /// `facility * 8 + severity`, where the envelope keeps it.
    pub priority: Option<u8>,
    /// Level words, `[preauth]` and the like still on it.
    pub message: &'a [u8],
    /// How often the message happened: 1, or N in `message repeated N times`.
    pub repeat: u32,
    /// `last message repeated N times`: this line stands for `repeat` more of the one before.
    pub repeats_last: bool,
    /// The slices point into the scratch buffer, not into the line that was given.
    pub rewritten: bool,
}

/// Parses the lines of one stream, in order.
#[derive(Debug)]
pub struct LineParser<'z> {
    zone: &'z Zone,
    years: Years,
    key: [u8; 19],
    key_len: usize,
    stamp: Stamp,
    /// The first second of the key's minute, where the others follow from it.
    minute: Option<Time>,
    /// The last few beginnings `host ident[`: a log has not many.
    tags: [Tag; TAGS],
    next_tag: usize,
}

impl<'z> LineParser<'z> {
    /// `year`: of the first line, used where lines write none.
    pub fn new(zone: &'z Zone, years: Years) -> LineParser<'z> {
        LineParser {
            zone,
            years,
            key: [0; 19],
            key_len: 0,
            stamp: Stamp::default(),
            minute: None,
            tags: Default::default(),
            next_tag: 0,
        }
    }

    /// `raw`: one line without its newline. `scratch` is overwritten when the line has to be rewritten (JSON and the like).
    #[inline]
    pub fn parse<'a>(&mut self, raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Line<'a> {
        let raw = cut(raw);
        match self.fast(raw) {
            Some(line) => line,
            None => self.slow(raw, scratch),
        }
    }
}
