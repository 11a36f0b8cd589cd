//! Frees one log line of its envelope: when, which host, which program and pid, and the message.
//!
//! Two paths that must agree: [`LineParser::parse`] tries the two shapes that nearly all lines have (RFC 3164 and ISO time, then
//! `host ident[pid]: `) and remembers the last time stamp; everything else goes the long way through [`slow`]. Nothing is
//! required: a line without time, host or pid is still a line, and bytes are never assumed to be UTF-8.
//!
//! Local times become UTC with the zone given. Years that the log does not write are counted on from the year given, one
//! more each time the month jumps back by more than half a year.

use crate::shortcut::same;
use crate::time::{Civil, Local, SECOND, Time, Zone};
use crate::transcode::record::{Field, Record};
use memchr::{memchr, memchr3, memmem};
use std::borrow::Cow;

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

const TAGS: usize = 4;

/// What stands between the time and the pid, and what it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tag {
    text: Vec<u8>,
    host: usize,
    pub program: Program,
    /// sshd without a module in its name (`sshd(pam_unix)`).
    pub plain: bool,
    /// The name says that the process serves one connection.
    pub session: bool,
    /// The reader's number of the host.
    pub host_id: Option<u16>,
}

impl Tag {
    fn new(text: &[u8], host: usize, program: Program) -> Tag {
        let ident = text.get(host + 1..text.len() - 1).unwrap_or_default();
        Tag {
            text: text.to_owned(),
            host,
            program,
            plain: program == Program::Sshd && ident.last() != Some(&b')'),
            session: serves_one(ident),
            host_id: None,
        }
    }
}

/// Whether a program's name says that each of its processes serves one connection.
pub(crate) fn serves_one(ident: &[u8]) -> bool {
    ident.ends_with(b"-session") || ident.ends_with(b"-auth")
}

/// A line in the shape that nearly all have, by a program that wrote one just before: offsets into the line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quick {
    pub time: Option<Time>,
    pub twice: bool,
    pub pid: u32,
    /// Index for [`LineParser::tag`].
    pub tag: usize,
    pub host: usize,
    pub host_end: usize,
    pub message: usize,
}

/// Counts years on where the log writes none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Years {
    pub year: i32,
    /// Month of the last stamp (1–12), 0 before the first.
    month: u8,
}

impl Years {
    pub fn starting(year: i32) -> Years {
        Years { year, month: 0 }
    }

    /// The year of a stamp that says only its month.
    pub fn of(&mut self, month: u8) -> i32 {
        if self.month == 0 {
            self.month = month;
        }
        let jump = i32::from(month) - i32::from(self.month);
        if jump < -6 {
            self.year += 1;
        } else if jump > 6 {
            // A line that comes late over New Year: last year's, without going back.
            return self.year - 1;
        }
        self.month = month;
        self.year
    }
}

/// The month (1–12) of a line that begins with a stamp without year, if that is what it begins with.
pub fn yearless_month(raw: &[u8]) -> Option<u8> {
    yearless(raw).map(|(m, ..)| m)
}

/// Month, day, second of the day of a stamp without year at the start of a line.
pub fn yearless(raw: &[u8]) -> Option<(u8, u8, u32)> {
    let raw = match raw.strip_prefix(b"<") {
        Some(rest) => rest.get(memchr(b'>', rest.get(..5.min(rest.len()))?)? + 1..)?,
        None => raw,
    };
    let mut cur = Cursor::new(raw);
    let (civil, has_year) = rfc3164(&mut cur)?;
    (!has_year).then(|| {
        (
            civil.month,
            civil.day,
            u32::from(civil.hour) * 3600 + u32::from(civil.minute) * 60 + u32::from(civil.second),
        )
    })
}

/// The year in which a log without years begins: `stamps` are its (month, day, second of day) in order (the first one is enough
/// when it spans less than a year), `end` is when it was last written, `zone` the server's.
pub fn first_year(stamps: impl IntoIterator<Item = (u8, u8, u32)>, end: Time, zone: &Zone) -> i32 {
    let end_civil = zone.civil(Time(end.0.saturating_add(crate::time::DAY)));
    let mut years = Years::starting(0);
    let mut last = None;
    let mut leap_at = None;
    for (month, day, second) in stamps {
        let relative = years.of(month);
        if month == 2 && day == 29 {
            leap_at = Some(relative);
        }
        last = Some((relative, month, day, second));
    }
    let Some((relative, month, day, second)) = last else {
        return end_civil.year;
    };
    let of_end = (
        end_civil.month,
        end_civil.day,
        u32::from(end_civil.hour) * 3600
            + u32::from(end_civil.minute) * 60
            + u32::from(end_civil.second),
    );
    let mut first = end_civil.year - relative - i32::from((month, day, second) > of_end);
    if let Some(at) = leap_at {
        let is_leap = |y: i32| (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        while !is_leap(first + at) {
            first -= 1;
        }
    }
    first
}

#[derive(Clone, Copy, Debug, Default)]
struct Stamp {
    time: Option<Time>,
    twice: Option<Time>,
}

impl Stamp {
    fn of_local(local: Local, micro: u32) -> Stamp {
        let at = |s: i64| Time(s.saturating_mul(SECOND).saturating_add(i64::from(micro)));
        Stamp {
            time: Some(at(local.first())),
            twice: match local {
                Local::Twice(_, second) => Some(at(second)),
                _ => None,
            },
        }
    }

    fn plus(self, micro: u32) -> Stamp {
        let add = |t: Time| Time(t.0.saturating_add(i64::from(micro)));
        Stamp {
            time: self.time.map(add),
            twice: self.twice.map(add),
        }
    }
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

    /// The time stamp that a line begins with, in one of the two usual shapes, and where it ends.
    #[inline(always)]
    fn usual_stamp(&mut self, raw: &[u8]) -> Option<(Stamp, usize)> {
        Some(match raw.first()? {
            b'A'..=b'Z' => {
                let head = raw.get(..16)?;
                if head.get(15) != Some(&b' ') {
                    return None;
                }
                let key = head.get(..15)?;
                if (self.key_len != 15 || !same(self.key.get(..15)?, key)) && !self.same_minute(key)
                {
                    let mut cur = Cursor::new(key);
                    let (civil, has_year) = rfc3164(&mut cur)?;
                    if has_year || !cur.rest().is_empty() {
                        return None;
                    }
                    self.stamp = self.local(civil, true);
                    self.remember(key, civil.second);
                }
                (self.stamp, 16)
            }
            b'0'..=b'9' => {
                let key = raw.get(..19)?;
                if key.get(10) != Some(&b'T') {
                    return None;
                }
                let mut at = 19;
                let mut micro = 0u32;
                if raw.get(at) == Some(&b'.') {
                    let (value, len) = fraction(raw.get(at + 1..)?);
                    micro = value;
                    at += 1 + len;
                }
                let (offset, len) = numeric_zone(raw.get(at..)?)?;
                at += len;
                if raw.get(at) != Some(&b' ') {
                    return None;
                }
                if (self.key_len != 19 || !same(&self.key, key)) && !self.same_minute(key) {
                    let mut cur = Cursor::new(key);
                    let civil = iso(&mut cur).filter(|_| cur.rest().is_empty())?;
                    self.stamp = Stamp {
                        time: Some(Time::from_secs(civil.as_utc_secs())),
                        twice: None,
                    };
                    self.remember(key, civil.second);
                }
                let time = self
                    .stamp
                    .time
                    .map(|t| Time(t.0 - i64::from(offset) * SECOND + i64::from(micro)));
                (Stamp { time, twice: None }, at + 1)
            }
            _ => return None,
        })
    }

    /// A line by a program that wrote one just before; `raw` as [`cut`] leaves it. Whatever needs a second look is `None`.
    #[inline(always)]
    pub(crate) fn quick(&mut self, raw: &[u8]) -> Option<Quick> {
        let (stamp, after) = self.usual_stamp(raw)?;
        let rest = raw.get(after..)?;
        for (i, tag) in self.tags.iter().enumerate() {
            let len = tag.text.len();
            let Some(head) = rest.get(..len) else {
                continue;
            };
            if len == 0 || !same(head, &tag.text) {
                continue;
            }
            let (pid, digits) = number(rest.get(len..)?)?;
            let message = rest.get(len + digits..)?.strip_prefix(b"]: ")?;
            if tag.program != Program::Other && !needs_no_unwrapping(message) {
                return None;
            }
            return Some(Quick {
                time: stamp.time,
                twice: stamp.twice.is_some(),
                pid,
                tag: i,
                host: after,
                host_end: after + tag.host,
                message: raw.len() - message.len(),
            });
        }
        None
    }

    pub(crate) fn tag(&mut self, index: usize) -> Option<&mut Tag> {
        self.tags.get_mut(index)
    }

    #[inline]
    fn fast<'a>(&mut self, raw: &'a [u8]) -> Option<Line<'a>> {
        if let Some(q) = self.quick(raw) {
            let tag = self.tags.get(q.tag)?;
            return Some(Line {
                time: q.time,
                twice: if q.twice { self.stamp.twice } else { None },
                host: raw.get(q.host..q.host_end)?,
                ident: raw.get(q.host_end + 1..q.host + tag.text.len() - 1)?,
                program: tag.program,
                pid: Some(q.pid),
                priority: None,
                message: raw.get(q.message..)?,
                repeat: 1,
                repeats_last: false,
                rewritten: false,
            });
        }
        let (stamp, after) = self.usual_stamp(raw)?;
        let rest = raw.get(after..)?;
        let space = memchr(b' ', rest)?;
        let host = rest.get(..space)?;
        // `sshd[812]:` where the host should be, or an empty host: the long way.
        if space == 0
            || host.last() == Some(&b':')
            || matches!(rest.get(space + 1)?, b' ' | b'[' | b'<')
        {
            return None;
        }
        let tagged = rest.get(space + 1..)?;
        let stop = memchr3(b'[', b':', b' ', tagged)?;
        let ident = tagged.get(..stop)?;
        let (pid, message) = match tagged.get(stop)? {
            b'[' => {
                let (pid, len) = number(tagged.get(stop + 1..)?)?;
                let message = tagged.get(stop + 1 + len..)?.strip_prefix(b"]: ")?;
                (Some(pid), message)
            }
            b':' => (None, tagged.get(stop + 1..)?.strip_prefix(b" ")?),
            _ => return None,
        };
        if ident.is_empty() || ident.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let program = Program::of(ident);
        if pid.is_some()
            && let Some(text) = rest.get(..space + 1 + stop + 1)
            && self.tags.iter().all(|tag| !same(&tag.text, text))
            && let Some(place) = self.tags.get_mut(self.next_tag % TAGS)
        {
            *place = Tag::new(text, space, program);
            self.next_tag += 1;
        }
        let mut line = Line {
            time: stamp.time,
            twice: stamp.twice,
            host,
            ident,
            program,
            pid,
            priority: None,
            message,
            repeat: 1,
            repeats_last: false,
            rewritten: false,
        };
        unwrap_message(&mut line);
        Some(line)
    }

    /// `second`: of the minute that the key names.
    fn remember(&mut self, key: &[u8], second: u8) {
        if let Some(place) = self.key.get_mut(..key.len()) {
            place.copy_from_slice(key);
            self.key_len = key.len();
        }
        // Clocks are not put forward or back in the middle of this minute: its seconds are one after another.
        let steady = match (self.stamp, key.len()) {
            (
                Stamp {
                    time: Some(t),
                    twice: None,
                },
                15,
            ) => {
                let secs = t.secs() - i64::from(second);
                let offset = self.zone.offset_at(secs);
                let local = secs + i64::from(offset);
                let at = |s: i64| self.zone.to_utc(s) == Local::Unique(s - i64::from(offset));
                at(local) && at(local + 30) && at(local + 59)
            }
            (stamp, _) => stamp.time.is_some() && stamp.twice.is_none(),
        };
        self.minute = self
            .stamp
            .time
            .filter(|_| steady && second < 60)
            .map(|t| Time(t.0 - i64::from(second) * SECOND));
    }

    /// Whether a key names another second of the minute that was read last; if so, it is the last one from now on.
    #[inline(always)]
    fn same_minute(&mut self, key: &[u8]) -> bool {
        let Some(head) = key.len().checked_sub(2) else {
            return false;
        };
        if let Some(minute) = self.minute
            && self.key_len == key.len()
            && let (Some(before), Some(now)) = (self.key.get(..head), key.get(..head))
            && same(before, now)
            && let Some(second) = two(key, head).filter(|s| *s < 60)
            && let Some(place) = self.key.get_mut(..key.len())
        {
            place.copy_from_slice(key);
            self.stamp = Stamp {
                time: Some(Time(minute.0 + i64::from(second) * SECOND)),
                twice: None,
            };
            return true;
        }
        false
    }

    /// A wall-clock time of this stream.
    fn local(&mut self, mut civil: Civil, yearless: bool) -> Stamp {
        if yearless {
            civil.year = self.years.of(civil.month);
        }
        Stamp::of_local(self.zone.to_utc(civil.as_utc_secs()), civil.micro)
    }

    /// Any envelope of which we know; see the module's tests for the list.
    pub fn slow<'a>(&mut self, raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Line<'a> {
        let mut text = strip_decoration(raw);
        if memchr(0x1b, text).is_some() {
            scratch.clear();
            strip_colour(text, scratch);
            let coloured = std::mem::take(scratch);
            let again = self.rewrite_from(&coloured, scratch);
            if !again {
                *scratch = coloured;
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
        // `sshd-1  | 2026-…`: compose and kubectl put their own name in front.
        if let Some(bar) = memmem::find(text.get(..64.min(text.len())).unwrap_or_default(), b" | ")
        {
            let inner = text.get(bar + 3..).unwrap_or_default();
            if Cursor::new(inner).any_stamp() {
                text = inner;
            }
        }
        self.envelope(text)
    }

    /// JSON of the journal, of Docker or of a cloud agent, written anew as an RFC 5424 line (or as the text it carries).
    fn rewrite_from(&mut self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let Ok(serde_json::Value::Object(map)) = serde_json::from_slice::<serde_json::Value>(text)
        else {
            return false;
        };
        out.clear();
        json_line(&map, out)
    }

    fn envelope<'a>(&mut self, text: &'a [u8]) -> Line<'a> {
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
        if self.macos(&mut cur, &mut line) {
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
                if tag(probe.rest(), true, &mut line) {
                    unwrap_message(&mut line);
                    return line;
                }
            }
        }
        line.message = after_stamp;
        unwrap_message(&mut line);
        line
    }

    /// A container runtime's record: what is inside may have its own envelope, or be bare.
    fn within<'a>(&mut self, message: &'a [u8], outer: Line<'a>) -> Line<'a> {
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

    fn rfc5424<'a>(&mut self, mut cur: Cursor<'a>, mut line: Line<'a>) -> Line<'a> {
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

    /// Any time stamp at the start, with the space behind it.
    fn stamp(&mut self, cur: &mut Cursor<'_>) -> Option<Stamp> {
        let start = cur.at;
        let found = self.stamp_here(cur);
        if found.is_none() {
            cur.at = start;
        } else {
            while cur.eat(b" ") {
                if cur.rest().first() != Some(&b' ') {
                    break;
                }
            }
        }
        found
    }

    fn stamp_here(&mut self, cur: &mut Cursor<'_>) -> Option<Stamp> {
        let start = cur.at;
        // `@4000000…`: TAI64N of multilog and s6.
        if let Some(hex) = cur.rest().strip_prefix(b"@") {
            let digits = hex.get(..16)?;
            let secs = digits.iter().try_fold(0u64, |n, b| {
                Some(n << 4 | u64::from(char::from(*b).to_digit(16)?))
            })?;
            cur.word();
            return Some(Stamp {
                time: Some(Time::from_secs((secs & 0x3fff_ffff_ffff_ffff) as i64 - 10)),
                twice: None,
            });
        }
        if cur.rest().first() == Some(&b'[') {
            // `[   12.345678]`: monotonic, without a boot time it says nothing; `[2026-…]` is a time in brackets.
            let close = memchr(b']', cur.rest().get(..40.min(cur.rest().len()))?)?;
            let inner = cur.rest().get(1..close)?;
            let mut within = Cursor::new(inner);
            let stamp = if inner
                .iter()
                .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b' '))
                && memchr(b'.', inner).is_some()
            {
                Stamp::default()
            } else {
                self.stamp_here(&mut within)?
            };
            cur.at += close + 1;
            return Some(stamp);
        }
        // A weekday in front: `Tue 2026-11-03 04:05:06 CET`, `Tue Nov  3 04:05:06 2026`.
        if weekday(cur.rest()) {
            cur.word();
        }
        if let Some((civil, has_year)) = rfc3164(cur) {
            return Some(self.local(civil, !has_year));
        }
        if let Some(civil) = iso(cur) {
            if let Some((offset, len)) = numeric_zone(cur.rest()) {
                cur.at += len;
                return Some(zoned(civil, offset));
            }
            let here = cur.at;
            if cur.eat(b" ") {
                if let Some((offset, len)) = named_zone(cur.rest()) {
                    cur.at += len;
                    return Some(match offset {
                        Some(offset) => zoned(civil, offset),
                        // CET, CST, …: ambiguous names; the zone of the log is the better guess.
                        None => self.local(civil, false),
                    });
                }
                if let Some((offset, len)) = numeric_zone(cur.rest()).filter(|(_, len)| *len >= 5) {
                    cur.at += len;
                    return Some(zoned(civil, offset));
                }
                cur.at = here;
            }
            return Some(self.local(civil, false));
        }
        cur.at = start;
        // `1793678706.123456 `: seconds since the epoch, within reason (2001–2100).
        let (secs, len) = long_number(cur.rest())?;
        if !(9..=10).contains(&len) || !(978_307_200..4_102_444_800).contains(&secs) {
            return None;
        }
        let mut micro = 0;
        let mut end = len;
        if cur.rest().get(len) == Some(&b'.') {
            let (value, digits) = fraction(cur.rest().get(len + 1..)?);
            micro = value;
            end = len + 1 + digits;
        }
        if cur.rest().get(end) != Some(&b' ') {
            return None;
        }
        cur.at += end;
        Some(
            Stamp {
                time: Some(Time::from_secs(secs)),
                twice: None,
            }
            .plus(micro),
        )
    }

    /// `log show` on macOS: thread, type, activity, pid and ttl stand before the process.
    fn macos<'a>(&mut self, cur: &mut Cursor<'a>, line: &mut Line<'a>) -> bool {
        let start = cur.at;
        if cur.rest().starts_with(b"0x") {
            let _thread = cur.word();
            cur.spaces();
            let _kind = cur.word();
            cur.spaces();
            let _activity = cur.word();
            cur.spaces();
            let pid = number(cur.word()).map(|n| n.0);
            cur.spaces();
            let _ttl = cur.word();
            cur.spaces();
            if let Some(colon) = memchr(b':', cur.rest()) {
                let ident = cur.rest().get(..colon).unwrap_or_default();
                if pid.is_some() && Program::of(ident) != Program::Other {
                    line.pid = pid;
                    line.ident = ident;
                    line.program = Program::of(ident);
                    let message = cur.rest().get(colon + 1..).unwrap_or_default();
                    line.message = message.strip_prefix(b" ").unwrap_or(message);
                    return true;
                }
            }
        }
        cur.at = start;
        false
    }
}

fn zoned(civil: Civil, offset: i32) -> Stamp {
    Stamp {
        time: Some(Time(
            (civil.as_utc_secs() - i64::from(offset)).saturating_mul(SECOND)
                + i64::from(civil.micro),
        )),
        twice: None,
    }
}

/// Finds `ident[pid]: ` or `ident: ` behind at most three words (host, `facility.level`, `<auth.info>`).
fn tag<'a>(text: &'a [u8], stamped: bool, line: &mut Line<'a>) -> bool {
    let mut rest = text;
    let mut host: &[u8] = &[];
    for position in 0..4 {
        let word_end = memchr(b' ', rest).unwrap_or(rest.len());
        let word = rest.get(..word_end).unwrap_or_default();
        if let Some((ident, pid)) = ident_of(word) {
            // A bare `name: ` counts as a tag only behind a time and a host, or where we know the name; otherwise it is the
            // message's own word (`error: …`, `Starting session: …`).
            let program = Program::of(ident);
            let level = matches!(
                ident,
                b"error" | b"fatal" | b"debug1" | b"debug2" | b"debug3" | b"PAM"
            );
            if !level
                && (pid.is_some()
                    || program != Program::Other
                    || (stamped && position > 0 && !host.is_empty()))
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
        let is_level = word.starts_with(b"<") && word.ends_with(b">")
            || memchr(b'.', word)
                .is_some_and(|dot| is_facility(word.get(..dot).unwrap_or_default()));
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

/// `sshd[812]:` → (`sshd`, Some(Some(812))), `sshd:` → (`sshd`, None).
#[allow(clippy::type_complexity)]
fn ident_of(word: &[u8]) -> Option<(&[u8], Option<Option<u32>>)> {
    let word = word.strip_suffix(b":")?;
    if let Some(open) = memchr(b'[', word) {
        let inside = word.get(open + 1..)?.strip_suffix(b"]")?;
        let ident = word.get(..open)?;
        if ident.is_empty() || inside.is_empty() {
            return None;
        }
        let (pid, len) = number(inside)?;
        return (len == inside.len()).then_some((ident, Some(Some(pid))));
    }
    (!word.is_empty() && word.iter().all(|b| b.is_ascii_graphic())).then_some((word, None))
}

const FACILITIES: [&str; 24] = [
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
const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

fn is_facility(word: &[u8]) -> bool {
    FACILITIES.iter().any(|f| f.as_bytes() == word)
}

/// `auth.info`, `<auth.info>`, `<4.6>` → facility * 8 + severity.
fn priority_of(word: &[u8]) -> Option<u8> {
    let word = word
        .strip_prefix(b"<")
        .and_then(|w| w.strip_suffix(b">"))
        .unwrap_or(word);
    let dot = memchr(b'.', word)?;
    let place = |table: &[&str], w: &[u8]| {
        table
            .iter()
            .position(|n| {
                n.as_bytes() == w
                    || (*n == "warning" && w == b"warn")
                    || (*n == "err" && w == b"error")
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

/// `[825] ` in front of a time: (pid, the rest).
fn dropbear_prefix(text: &[u8]) -> Option<(u32, Cursor<'_>)> {
    let (pid, len) = number(text.strip_prefix(b"[")?)?;
    let rest = text.get(len + 1..)?.strip_prefix(b"] ")?;
    Some((pid, Cursor::new(rest)))
}

/// A line without the carriage return of some systems, and not longer than [`MAX_LINE`].
#[inline(always)]
pub(crate) fn cut(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    raw.get(..MAX_LINE).unwrap_or(raw)
}

/// What nearly all messages begin with, and nothing that [`unwrap_message`] looks at.
#[inline(always)]
fn needs_no_unwrapping(message: &[u8]) -> bool {
    matches!(
        message.first(),
        Some(b'A'..=b'K' | b'M'..=b'Z' | b'e' | b'f' | b'p')
    )
}

/// Takes what wraps the message itself off: Solaris' `[ID …]`, repeats, a kernel time that a relay put in.
fn unwrap_message(line: &mut Line<'_>) {
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

/// BOM, record separator, `data: ` of server-sent events, NULs of a crashed file system.
fn strip_decoration(raw: &[u8]) -> &[u8] {
    let mut text = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    while let Some((0 | 0x1e, rest)) = text.split_first() {
        text = rest;
    }
    text.strip_prefix(b"data: ").unwrap_or(text)
}

/// Copies text without its ANSI colour sequences (docker compose, systemd on a terminal).
fn strip_colour(text: &[u8], out: &mut Vec<u8>) {
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

/// The fields of a JSON record as one RFC 5424 line, or as the bare text that it carries. False when there is no message.
fn json_line(map: &serde_json::Map<String, serde_json::Value>, out: &mut Vec<u8>) -> bool {
    use serde_json::Value;
    let text = |key: &str| map.get(key).and_then(json_text);
    // journalctl -o json
    if map.contains_key("MESSAGE") {
        let mut record = Record::default();
        for (key, value) in map {
            if let Some(field) = Field::of(key.as_bytes())
                && let Some(value) = json_text(value)
            {
                record.set(field, &value);
            }
        }
        if record.message.is_none() {
            return false;
        }
        if let Some(micros) = text("_SOURCE_REALTIME_TIMESTAMP") {
            // Where an export left the journal's own time out.
            record.set(Field::Realtime, &micros);
        }
        record.line(out);
        out.pop();
        return true;
    }
    // Docker json-file
    if let (Some(log), Some(time)) = (text("log"), map.get("time").and_then(Value::as_str)) {
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(b" stderr F ");
        push_one_line(out, log.strip_suffix(b"\n").unwrap_or(&log));
        return true;
    }
    // Cloud agents and exports
    for key in [
        "message",
        "@message",
        "textPayload",
        "msg",
        "log",
        "_raw",
        "line",
        "full_message",
        "short_message",
    ] {
        let Some(message) = text(key) else { continue };
        let time = ["timestamp", "@timestamp", "time", "receiveTimestamp", "ts"]
            .iter()
            .find_map(|k| text(k));
        let host = ["hostname", "host", "_HOSTNAME", "computer"]
            .iter()
            .find_map(|k| text(k));
        let ident = [
            "program",
            "appname",
            "app-name",
            "ident",
            "syslog_identifier",
            "process",
            "tag",
        ]
        .iter()
        .find_map(|k| text(k));
        let pid = ["pid", "procid", "syslog_pid"].iter().find_map(|k| text(k));
        match ident {
            Some(ident) if !ident.is_empty() => {
                let time = time.and_then(|t| json_time(&t));
                let record = Record {
                    realtime: time.and_then(|t| u64::try_from(t.0).ok()),
                    host: host.unwrap_or_default(),
                    identifier: ident,
                    pid: pid.unwrap_or_default(),
                    message: Some(message),
                    ..Record::default()
                };
                record.line(out);
                out.pop();
            }
            _ => {
                // The message carries an envelope of its own, or is bare.
                if let Some(time) = time.and_then(|t| json_time(&t)) {
                    out.extend_from_slice(time.to_string().as_bytes());
                    out.extend_from_slice(b" stderr F ");
                }
                push_one_line(out, &message);
            }
        }
        return true;
    }
    false
}

fn json_time(text: &[u8]) -> Option<Time> {
    let mut cur = Cursor::new(text);
    if let Some(civil) = iso(&mut cur) {
        let offset = numeric_zone(cur.rest()).map_or(0, |z| z.0);
        return zoned(civil, offset).time;
    }
    let (n, len) = long_number(text)?;
    Some(match len {
        ..=10 => Time::from_secs(n),
        11..=13 => Time(n.saturating_mul(1000)),
        14..=16 => Time(n),
        _ => Time(n / 1000),
    })
}

/// A string, a number, an array of byte values (not UTF-8), or the first of an array of strings.
fn json_text(value: &serde_json::Value) -> Option<Vec<u8>> {
    use serde_json::Value;
    match value {
        Value::String(s) => Some(s.as_bytes().to_vec()),
        Value::Number(n) => Some(n.to_string().into_bytes()),
        Value::Array(items) => match items.first() {
            Some(Value::Number(_)) => Some(
                items
                    .iter()
                    .filter_map(|i| i.as_u64().map(|n| n as u8))
                    .collect(),
            ),
            Some(Value::String(s)) => Some(s.as_bytes().to_vec()),
            _ => None,
        },
        _ => None,
    }
}

/// Control characters as sshd itself writes them, so that one record stays one line.
fn push_one_line(out: &mut Vec<u8>, message: &[u8]) {
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    let message = message.strip_suffix(b"\r").unwrap_or(message);
    for b in message {
        match b {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => {}
            _ => out.push(*b),
        }
    }
}

/// `type=USER_LOGIN msg=audit(1793678706.123:45): …` → the whole record as message, with time and pid.
fn audit_line(text: &[u8]) -> Option<Line<'_>> {
    // A central auditd puts `node=NAME ` in front.
    let text = text.get(memmem::find(text, b"type=")?..)?;
    let at = memmem::find(text, b"msg=audit(")?;
    let inside = text.get(at + 10..)?;
    let (secs, len) = long_number(inside)?;
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

/// A place in a line.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, what: &[u8]) -> bool {
        let yes = self.rest().starts_with(what);
        if yes {
            self.at += what.len();
        }
        yes
    }

    fn spaces(&mut self) {
        while self.eat(b" ") {}
    }

    /// Up to the next space, which is eaten too.
    fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = memchr(b' ', rest).unwrap_or(rest.len());
        self.at += (end + 1).min(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    fn priority(&mut self) -> Option<u8> {
        let inner = self.rest().strip_prefix(b"<")?;
        let (n, len) = number(inner)?;
        if n > 191 || len > 3 || inner.get(len) != Some(&b'>') {
            return None;
        }
        self.at += len + 2;
        u8::try_from(n).ok()
    }

    /// `- ` or `[id k="v"]…`, with `\]` escaped inside quotes.
    fn structured_data(&mut self) {
        if self.eat(b"- ") || self.rest() == b"-" {
            return;
        }
        while self.rest().first() == Some(&b'[') {
            let rest = self.rest();
            let mut escaped = false;
            let Some(close) = rest.iter().position(|b| {
                let end = *b == b']' && !escaped;
                escaped = *b == b'\\' && !escaped;
                end
            }) else {
                return;
            };
            self.at += close + 1;
        }
        self.eat(b" ");
    }

    fn any_stamp(&self) -> bool {
        let mut probe = self.clone();
        iso(&mut probe).is_some() || rfc3164(&mut self.clone()).is_some()
    }
}

fn weekday(text: &[u8]) -> bool {
    [
        b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun ",
    ]
    .iter()
    .any(|d| text.starts_with(*d))
        && text
            .get(4)
            .is_some_and(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

/// Decimal digits at the start: (value, how many); at most 9, so that nothing overflows.
#[inline(always)]
pub(crate) fn number(text: &[u8]) -> Option<(u32, usize)> {
    match text.first_chunk::<8>().and_then(|c| short_number(*c)) {
        Some((_, 0)) => None,
        Some(found) => Some(found),
        None => long(text),
    }
}

/// The number that eight bytes begin with and how many digits it has; `None` where all eight are digits, for it may go on.
#[inline(always)]
fn short_number(text: [u8; 8]) -> Option<(u32, usize)> {
    let digits = u64::from_le_bytes(text) ^ 0x3030_3030_3030_3030;
    // The high bit of each byte that is above 9.
    let others = (((digits & 0x7f7f_7f7f_7f7f_7f7f) + 0x7676_7676_7676_7676) | digits)
        & 0x8080_8080_8080_8080;
    if others == 0 {
        return None;
    }
    let len = others.trailing_zeros() as usize / 8;
    if len == 0 {
        return Some((0, 0));
    }
    // The digits to the end, zeros in front; then pairs, fours and all eight at once.
    let n = digits << (64 - 8 * len);
    let n = (n.wrapping_mul(2561) >> 8) & 0x00ff_00ff_00ff_00ff;
    let n = (n.wrapping_mul(6_553_601) >> 16) & 0x0000_ffff_0000_ffff;
    let n = n.wrapping_mul(42_949_672_960_001) >> 32;
    Some((n as u32, len))
}

/// As [`number`], for many digits or a short text.
#[inline(never)]
fn long(text: &[u8]) -> Option<(u32, usize)> {
    let mut n = 0u32;
    let mut len = 0;
    for b in text.iter().take(10) {
        if !b.is_ascii_digit() {
            break;
        }
        n = n.checked_mul(10)?.checked_add(u32::from(b - b'0'))?;
        len += 1;
    }
    (len > 0).then_some((n, len))
}

fn long_number(text: &[u8]) -> Option<(i64, usize)> {
    let len = text
        .iter()
        .take(18)
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len().min(18));
    let n = text
        .get(..len)?
        .iter()
        .fold(0i64, |n, b| n * 10 + i64::from(b - b'0'));
    (len > 0).then_some((n, len))
}

/// Digits after the point: (microseconds, how many digits).
#[inline]
fn fraction(text: &[u8]) -> (u32, usize) {
    let mut micro = 0u32;
    let mut len = 0usize;
    for b in text {
        if !b.is_ascii_digit() {
            break;
        }
        if len < 6 {
            micro = micro * 10 + u32::from(b - b'0');
        }
        len += 1;
    }
    for _ in len..6 {
        micro *= 10;
    }
    (micro, len)
}

#[inline]
fn two(text: &[u8], at: usize) -> Option<u8> {
    let (a, b) = (
        text.get(at)?.wrapping_sub(b'0'),
        text.get(at + 1)?.wrapping_sub(b'0'),
    );
    (a < 10 && b < 10).then(|| a * 10 + b)
}

/// `Z`, `+01:00`, `+0100`, `+01`: (offset in seconds, length).
#[inline]
fn numeric_zone(text: &[u8]) -> Option<(i32, usize)> {
    let sign = match text.first()? {
        b'Z' | b'z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let h = i32::from(two(text, 1)?);
    let (m, len) = if text.get(3) == Some(&b':') {
        (i32::from(two(text, 4)?), 6)
    } else if let Some(m) = two(text, 3) {
        (i32::from(m), 5)
    } else {
        (0, 3)
    };
    (h <= 18 && m < 60).then_some((sign * (h * 3600 + m * 60), len))
}

/// `UTC `, `CET `: (offset where the name is unambiguous, length).
fn named_zone(text: &[u8]) -> Option<(Option<i32>, usize)> {
    let len = text
        .iter()
        .position(|b| !b.is_ascii_uppercase())
        .unwrap_or(text.len());
    if !(2..=5).contains(&len) || text.get(len) != Some(&b' ') {
        return None;
    }
    let offset = match text.get(..len)? {
        b"UTC" | b"GMT" => Some(0),
        _ => None,
    };
    Some((offset, len))
}

/// Beginnings of month names as daemons write them in other locales; the English ones first.
#[rustfmt::skip]
const MONTHS: &[(&str, u8)] = &[
    ("Jan", 1), ("Feb", 2), ("Mar", 3), ("Apr", 4), ("May", 5), ("Jun", 6), ("Jul", 7), ("Aug", 8), ("Sep", 9),
    ("Oct", 10), ("Nov", 11), ("Dec", 12), ("Mär", 3), ("Mai", 5), ("Okt", 10), ("Dez", 12), ("janv.", 1), ("févr.", 2),
    ("mars", 3), ("avril", 4), ("avr.", 4), ("mai", 5), ("juin", 6), ("juil.", 7), ("août", 8), ("sept.", 9), ("oct.", 10),
    ("nov.", 11), ("déc.", 12), ("янв", 1), ("фев", 2), ("мар", 3), ("апр", 4), ("мая", 5), ("май", 5), ("июн", 6),
    ("июл", 7), ("авг", 8), ("сен", 9), ("окт", 10), ("ноя", 11), ("дек", 12), ("ene", 1), ("feb", 2), ("mar", 3),
    ("abr", 4), ("may", 5), ("jun", 6), ("jul", 7), ("ago", 8), ("sep", 9), ("oct", 10), ("nov", 11), ("dic", 12),
    ("gen", 1), ("mag", 5), ("giu", 6), ("lug", 7), ("set", 9), ("ott", 10), ("10月", 10), ("11月", 11), ("12月", 12),
    ("1月", 1), ("2月", 2), ("3月", 3), ("4月", 4), ("5月", 5), ("6月", 6), ("7月", 7), ("8月", 8), ("9月", 9),
];

#[inline]
fn month(text: &[u8]) -> Option<(u8, usize)> {
    let english = match text.get(..3)? {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => 0,
    };
    if english != 0 {
        return Some((english, 3));
    }
    let (name, n) = MONTHS
        .iter()
        .find(|(name, _)| text.starts_with(name.as_bytes()))?;
    let rest = text.get(name.len()..)?;
    let dot = usize::from(rest.first() == Some(&b'.'));
    Some((*n, name.len() + dot))
}

/// `Nov  3 04:05:06[.123456]`, with ` 2026` before or behind the time of day, 12-hour clocks too. The flag says whether a year stood there.
fn rfc3164(cur: &mut Cursor<'_>) -> Option<(Civil, bool)> {
    let text = cur.rest();
    let (month, mut at) = month(text)?;
    if text.get(at) != Some(&b' ') {
        return None;
    }
    while text.get(at) == Some(&b' ') {
        at += 1;
    }
    let (day, len) = number(text.get(at..)?)?;
    at += len;
    if text.get(at) == Some(&b',') {
        at += 1;
    }
    if text.get(at) != Some(&b' ') || !(1..=31).contains(&day) {
        return None;
    }
    at += 1;
    let mut year = None;
    if let Some((y, 4)) = number(text.get(at..)?)
        && text.get(at + 4) == Some(&b' ')
        && (1970..2200).contains(&y)
    {
        year = Some(y as i32);
        at += 5;
    }
    let (hour, minute, second, micro, len) = clock(text.get(at..)?)?;
    at += len;
    if year.is_none()
        && text.get(at) == Some(&b' ')
        && let Some((y, 4)) = number(text.get(at + 1..)?)
        && (1970..2200).contains(&y)
        && matches!(text.get(at + 5), None | Some(b' '))
    {
        year = Some(y as i32);
        at += 5;
    }
    cur.at += at;
    Some((
        Civil {
            year: year.unwrap_or(0),
            month,
            day: day as u8,
            hour,
            minute,
            second,
            micro,
        },
        year.is_some(),
    ))
}

/// `04:05:06[.123456| AM]`: hour, minute, second, microseconds, length.
#[inline]
fn clock(text: &[u8]) -> Option<(u8, u8, u8, u32, usize)> {
    let (mut hour, mut at) = match two(text, 0) {
        Some(h) => (h, 2),
        None => (two(&[b'0', *text.first()?], 0)?, 1),
    };
    if text.get(at) != Some(&b':') || text.get(at + 3) != Some(&b':') {
        return None;
    }
    let minute = two(text, at + 1)?;
    let second = two(text, at + 4)?;
    at += 6;
    let mut micro = 0;
    if matches!(text.get(at), Some(b'.' | b',')) && text.get(at + 1).is_some_and(u8::is_ascii_digit)
    {
        let (value, len) = fraction(text.get(at + 1..)?);
        micro = value;
        at += 1 + len;
    }
    match text.get(at..at + 3) {
        Some(b" AM") if hour <= 12 => {
            hour %= 12;
            at += 3;
        }
        Some(b" PM") if hour <= 12 => {
            hour = hour % 12 + 12;
            at += 3;
        }
        _ => {}
    }
    (hour < 24 && minute < 60 && second <= 60).then_some((hour, minute, second, micro, at))
}

/// `2026-11-03T04:05:06[.123456]`, `2026-11-03 04:05:06,123`, `2026/11/03 04:05:06`: what stands before the zone.
fn iso(cur: &mut Cursor<'_>) -> Option<Civil> {
    let text = cur.rest();
    let separator = *text.get(4)?;
    if !matches!(separator, b'-' | b'/')
        || text.get(7) != Some(&separator)
        || !matches!(text.get(10)?, b'T' | b' ' | b't')
    {
        return None;
    }
    let year = i32::from(two(text, 0)?) * 100 + i32::from(two(text, 2)?);
    let (month, day) = (two(text, 5)?, two(text, 8)?);
    let (hour, minute, second, micro, len) = clock(text.get(11..)?)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    cur.at += 11 + len;
    Some(Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        micro,
    })
}

/// A user name or other text as its author typed it: sshd's escapes (`\303\251`, `\n`, `\\`) taken back, at most twice, because
/// up to OpenSSH 10.2 lines with `[preauth]` are escaped twice.
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let once = unescape_once(text);
    // A second time only for octal codes: `corp\\\\ann` is a Windows domain and its user, not a bell.
    let octal =
        |w: &[u8]| w.first() == Some(&b'\\') && w.iter().skip(1).all(|d| (b'0'..=b'7').contains(d));
    if once.windows(4).any(octal) {
        Cow::Owned(unescape_once(&once))
    } else {
        Cow::Owned(once)
    }
}

fn unescape_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((b, tail)) = rest.split_first() {
        rest = tail;
        if *b != b'\\' {
            out.push(*b);
            continue;
        }
        let octal = |i: usize| {
            tail.get(i)
                .filter(|d| (b'0'..=b'7').contains(*d))
                .map(|d| u32::from(d - b'0'))
        };
        if let (Some(a), Some(b), Some(c)) = (octal(0), octal(1), octal(2)) {
            out.push((a * 64 + b * 8 + c) as u8);
            rest = tail.get(3..).unwrap_or_default();
            continue;
        }
        let known = match tail.first() {
            Some(b'\\') => Some(b'\\'),
            Some(b'n') => Some(b'\n'),
            Some(b't') => Some(b'\t'),
            Some(b'r') => Some(b'\r'),
            Some(b'a') => Some(7),
            Some(b'b') => Some(8),
            Some(b'f') => Some(12),
            Some(b'v') => Some(11),
            Some(b's') => Some(b' '),
            Some(b'0') => Some(0),
            _ => None,
        };
        match known {
            Some(k) => {
                out.push(k);
                rest = tail.get(1..).unwrap_or_default();
            }
            None => out.push(b'\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::days_from_civil;

    fn parse(raw: &str) -> (String, String, String, String, Option<u32>, String) {
        let zone = Zone::parse_fixed("+01:00").unwrap();
        let mut scratch = Vec::new();
        let mut p = LineParser::new(&zone, Years::starting(2026));
        let l = p.parse(raw.as_bytes(), &mut scratch);
        let s = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (
            l.time.map_or("-".into(), |t| t.to_string()),
            s(l.host),
            format!("{:?}", l.program),
            s(l.ident),
            l.pid,
            s(l.message),
        )
    }

    const MESSAGE: &str = "Invalid user bob from 192.0.2.7 port 50122";

    #[test]
    fn every_envelope_gives_the_same_line() {
        // (envelope with § for the message, time, host, pid)
        let t = "2026-11-03T03:05:06Z";
        let f = "2026-11-03T03:05:06.123456Z";
        let ms = "2026-11-03T03:05:06.123000Z";
        for (raw, time, host, pid) in [
            ("Nov  3 04:05:06 web1 sshd[812]: §", t, "web1", Some(812)),
            (
                "Nov 03 04:05:06 web1 sshd-session[812]: §",
                t,
                "web1",
                Some(812),
            ),
            (
                "Nov 03 04:05:06.123456 web1 sshd[812]: §",
                f,
                "web1",
                Some(812),
            ),
            (
                "2026-11-03T04:05:06.123456+01:00 web1 sshd[812]: §",
                f,
                "web1",
                Some(812),
            ),
            (
                "2026-11-03T04:05:06+0100 web1 sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            (
                "2026-11-03T03:05:06Z web1 sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            (
                "<38>1 2026-11-03T03:05:06.123Z web1 sshd 812 - - §",
                ms,
                "web1",
                Some(812),
            ),
            (
                "<38>1 2026-11-03T03:05:06.123Z web1 sshd 812 - [a@1 k=\"v\\]\"][b] §",
                ms,
                "web1",
                Some(812),
            ),
            (
                "97 <38>1 2026-11-03T03:05:06Z web1 sshd 812 - - §",
                t,
                "web1",
                Some(812),
            ),
            (
                "<86>Nov  3 04:05:06 web1 sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            (
                "Tue 2026-11-03 04:05:06 CET web1 sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            (
                "Tue 2026-11-03 03:05:06 UTC web1 sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            ("1793675106.123456 web1 sshd[812]: §", f, "web1", Some(812)),
            (
                "Nov  3 04:05:06 web1 auth.info sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            (
                "Tue Nov  3 04:05:06 2026 authpriv.info sshd[812]: §",
                t,
                "",
                Some(812),
            ),
            (
                "Nov  3 04:05:06 <auth.info> fbsd sshd[812]: §",
                t,
                "fbsd",
                Some(812),
            ),
            (
                "Nov  3 04:05:06 fbsd <4.6> sshd[812]: §",
                t,
                "fbsd",
                Some(812),
            ),
            ("Nov  3 04:05:06 sshd[812]: §", t, "", Some(812)),
            ("Nov  3 04:05:06 [sshd] §", t, "", None),
            ("Nov  3 04:05:06 web1 sshd: §", t, "web1", None),
            (
                "Nov  3 04:05:06 s@relay/web1 sshd[812]: §",
                t,
                "s@relay/web1",
                Some(812),
            ),
            (
                "2026-11-03T03:05:07Z relay Nov  3 04:05:06 web1 sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            ("4532 2026-11-03 04:05:06.123 §", ms, "", Some(4532)),
            (
                "2026-11-03 04:05:06.123456+0100 0x1a2b     Info        0x0                  812    0    sshd: §",
                f,
                "",
                Some(812),
            ),
            (
                "2026-11-03 04:05:06.123456+0100  web1 sshd[812]: §",
                f,
                "web1",
                Some(812),
            ),
            (
                "Nov  3 04:05:06 web1 sshd[812]: [ID 800047 auth.info] §",
                t,
                "web1",
                Some(812),
            ),
            ("web1 sshd[812]: §", "-", "web1", Some(812)),
            ("sshd[812]: §", "-", "", Some(812)),
            ("Nov  3 04:05:06 AM web1 sshd[812]: §", t, "web1", Some(812)),
            ("Nov  3 4:05:06 web1 sshd[812]: §", t, "web1", Some(812)),
            (
                "\u{feff}Nov  3 04:05:06 web1 sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            ("ноя  3 04:05:06 web1 sshd[812]: §", t, "web1", Some(812)),
            ("11月  3 04:05:06 web1 sshd[812]: §", t, "web1", Some(812)),
            ("Nov  3 04:05:06 web1 sshd[812]: §\r", t, "web1", Some(812)),
            (
                "\u{1b}[1mNov  3 04:05:06\u{1b}[0m web1 sshd[812]: §",
                t,
                "web1",
                Some(812),
            ),
            (
                "{\"__REALTIME_TIMESTAMP\":\"1793675106123456\",\"PRIORITY\":\"6\",\"SYSLOG_IDENTIFIER\":\"sshd-session\",\"_PID\":\"812\",\"_HOSTNAME\":\"web1\",\"MESSAGE\":\"§\"}",
                f,
                "web1",
                Some(812),
            ),
            (
                "{\"timestamp\":\"2026-11-03T03:05:06Z\",\"message\":\"Nov  3 04:05:06 web1 sshd[812]: §\"}",
                t,
                "web1",
                Some(812),
            ),
        ] {
            let got = parse(&raw.replace('§', MESSAGE));
            assert_eq!(
                (
                    got.0.as_str(),
                    got.1.as_str(),
                    got.2.as_str(),
                    got.4,
                    got.5.as_str()
                ),
                (time, host, "Sshd", pid, MESSAGE),
                "{raw}"
            );
        }
    }

    #[test]
    fn container_and_raw_lines_are_bare() {
        for (raw, time) in [
            (
                format!(
                    "{{\"log\":\"{MESSAGE}\\r\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-03T03:05:06.123456789Z\"}}"
                ),
                "2026-11-03T03:05:06.123456Z",
            ),
            (
                format!("2026-11-03T03:05:06.123456789Z stderr F {MESSAGE}"),
                "2026-11-03T03:05:06.123456Z",
            ),
            (
                format!("sshd-1  | 2026-11-03T03:05:06Z {MESSAGE}"),
                "2026-11-03T03:05:06Z",
            ),
            (MESSAGE.to_owned(), "-"),
        ] {
            let got = parse(&raw);
            assert_eq!(
                (got.0.as_str(), got.2.as_str(), got.5.as_str()),
                (time, "Bare", MESSAGE),
                "{raw}"
            );
        }
    }

    #[test]
    fn level_words_are_no_program() {
        for raw in [
            "Starting session: shell on pts/0 for ann from 192.0.2.7 port 50122 id 0",
            "Close session: user ann from 192.0.2.7 port 50122 id 0",
        ] {
            assert_eq!(parse(raw).2, "Bare", "{raw}");
        }
        let got = parse("error: PAM: Authentication failure for ann from 192.0.2.7");
        assert_eq!(
            (got.2.as_str(), got.5.as_str()),
            (
                "Bare",
                "error: PAM: Authentication failure for ann from 192.0.2.7"
            )
        );
    }

    #[test]
    fn other_programs_are_other() {
        for raw in [
            "Nov  3 04:05:06 web1 CRON[9]: pam_unix(cron:session): session opened",
            "Nov  3 04:05:06 web1 sshguard[9]: x",
            "Nov  3 04:05:06 web1 sshd-unix-local[9]: x",
        ] {
            assert_eq!(parse(raw).2, "Other", "{raw}");
        }
    }

    #[test]
    fn repeats_are_counted() {
        let zone = Zone::utc();
        let mut scratch = Vec::new();
        let mut p = LineParser::new(&zone, Years::starting(2026));
        let l = p.parse(b"Nov  3 04:05:06 web1 sshd[812]: message repeated 4 times: [ Failed password for a]b from 192.0.2.7 port 1 ssh2]", &mut scratch);
        assert_eq!(
            (l.repeat, l.message),
            (
                4,
                &b"Failed password for a]b from 192.0.2.7 port 1 ssh2"[..]
            )
        );
        let l = p.parse(
            b"Nov  3 04:05:06 web1 last message repeated 4 times",
            &mut scratch,
        );
        assert!(l.repeats_last, "{l:?}");
    }

    #[test]
    fn a_byte_array_message_and_broken_json() {
        let got = parse(
            "{\"MESSAGE\":[73,110,118,255],\"SYSLOG_IDENTIFIER\":\"sshd\",\"__REALTIME_TIMESTAMP\":\"1793675106123456\"}",
        );
        assert_eq!(got.5, "Inv\u{fffd}");
        assert_eq!(parse("{\"MESSAGE\":\"x").2, "Bare");
    }

    #[test]
    fn years_roll_over_and_small_disorder_does_not() {
        let mut y = Years::starting(2025);
        assert_eq!(
            [11, 12, 12, 1, 12, 1, 2].map(|m| y.of(m)),
            [2025, 2025, 2025, 2026, 2025, 2026, 2026]
        );
        let zone = Zone::utc();
        let end = Time::from_secs(days_from_civil(2026, 2, 10) * 86_400);
        assert_eq!(
            first_year([(12, 30, 0), (1, 2, 0), (2, 9, 0)], end, &zone),
            2025
        );
        assert_eq!(first_year([(2, 9, 0)], end, &zone), 2026);
        assert_eq!(first_year([(3, 9, 0)], end, &zone), 2025);
        assert_eq!(first_year([(2, 29, 0)], end, &zone), 2024);
    }

    #[test]
    fn fast_and_slow_agree_on_what_the_fast_one_takes() {
        let zone = Zone::parse_fixed("+01:00").unwrap();
        for raw in [
            &b"Nov  3 04:05:06 web1 sshd[812]: Invalid user bob from 192.0.2.7 port 50122"[..],
            b"2026-11-03T04:05:06.5+01:00 web1 CRON[1]: x",
            b"2026-11-03T04:05:06Z web1 kernel: x",
            b"Dec 31 23:59:59 h a: ",
            b"2026-11-03T04:05:06Z web1 kernel[1]: x",
        ] {
            let mut scratch = Vec::new();
            let f = LineParser::new(&zone, Years::starting(2026))
                .fast(raw)
                .expect("fast");
            let mut p = LineParser::new(&zone, Years::starting(2026));
            let s = p.slow(raw, &mut scratch);
            assert_eq!(
                (f.time, f.host, f.ident, f.pid, f.message),
                (s.time, s.host, s.ident, s.pid, s.message)
            );
        }
    }

    #[test]
    fn a_clock_with_a_digit_too_many_is_no_fast_time() {
        let zone = Zone::utc();
        let mut p = LineParser::new(&zone, Years::starting(2026));
        assert!(p.fast(b"2026-11-03T0:53:006Z web1 sshd[812]: x").is_none());
    }

    #[test]
    fn user_names_come_back_as_typed() {
        assert_eq!(unescape(b"caf\\303\\251").as_ref(), "café".as_bytes());
        assert_eq!(unescape(b"caf\\\\303\\\\251").as_ref(), "café".as_bytes());
        assert_eq!(unescape(b"a\\nb").as_ref(), b"a\nb");
        assert_eq!(unescape(b"corp\\\\ann").as_ref(), b"corp\\ann".as_slice());
        assert_eq!(unescape(b"plain").as_ref(), b"plain");
    }
}
