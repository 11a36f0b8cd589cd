//! The two shapes that nearly all lines have: RFC 3164 and ISO time, then `host ident[pid]: `.
//!
//! Remembers the last time stamp and the last few beginnings `host ident[`; what needs a second look goes the long way.

use super::cursor::{Cursor, fraction, number, two};
use super::envelope::{begins_a_message, is_columns};
use super::stamp::{Stamp, iso, numeric_zone, rfc3164};
use super::wrapping::{needs_no_unwrapping, unwrap_message};
use super::{Line, LineParser, Program};
use crate::shortcut::same;
use crate::time::{Local, SECOND, Time};
use memchr::{memchr, memchr3};

pub(super) const TAGS: usize = 4;

/// What stands between the time and the pid, and what it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tag {
    pub(super) text: Vec<u8>,
    pub(super) host: usize,
    pub program: Program,
    /// sshd without a module in its name (`sshd(pam_unix)`).
    pub plain: bool,
    /// The name says that the process serves one connection.
    pub session: bool,
    /// The reader's number of the host.
    pub host_id: Option<u16>,
}

impl Tag {
    pub(super) fn new(text: &[u8], host: usize, program: Program) -> Tag {
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

impl LineParser<'_> {
    /// The time stamp that a line begins with, in one of the two usual shapes, and where it ends.
    #[inline(always)]
    pub(super) fn usual_stamp(&mut self, raw: &[u8]) -> Option<(Stamp, usize)> {
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
    pub(super) fn fast<'a>(&mut self, raw: &'a [u8]) -> Option<Line<'a>> {
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
        // `sshd[812]:` where the host should be, an empty host, or a record of JSON: the long way.
        if space == 0
            || host.first() == Some(&b'{')
            || host.last() == Some(&b':')
            || matches!(rest.get(space + 1)?, b' ' | b'[' | b'<' | b'{')
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
        if ident.is_empty() || ident.first() == Some(&b'%') || ident.iter().all(u8::is_ascii_digit)
        {
            return None;
        }
        if pid.is_some() && is_columns(ident) {
            return None;
        }
        let program = Program::of(ident);
        // Two words and a colon may also be how a message begins.
        if pid.is_none()
            && program == Program::Other
            && begins_a_message(rest.get(..space + 1 + stop + 1)?)
        {
            return None;
        }
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
    pub(super) fn remember(&mut self, key: &[u8], second: u8) {
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
    pub(super) fn same_minute(&mut self, key: &[u8]) -> bool {
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
}
