//! Time stamps: which forms there are, and the instant that each means.

use super::LineParser;
use super::cursor::{Cursor, fraction, long_number, number, two};
use crate::time::{Civil, Local, SECOND, Time};
use memchr::memchr;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamp {
    pub(super) time: Option<Time>,
    pub(super) twice: Option<Time>,
}

impl Stamp {
    pub(super) fn of_local(local: Local, micro: u32) -> Stamp {
        let at = |s: i64| Time(s.saturating_mul(SECOND).saturating_add(i64::from(micro)));
        Stamp {
            time: Some(at(local.first())),
            twice: match local {
                Local::Twice(_, second) => Some(at(second)),
                _ => None,
            },
        }
    }

    pub(super) fn plus(self, micro: u32) -> Stamp {
        let add = |t: Time| Time(t.0.saturating_add(i64::from(micro)));
        Stamp {
            time: self.time.map(add),
            twice: self.twice.map(add),
        }
    }
}

pub(super) fn zoned(civil: Civil, offset: i32) -> Stamp {
    Stamp {
        time: Some(Time(
            (civil.as_utc_secs() - i64::from(offset)).saturating_mul(SECOND)
                + i64::from(civil.micro),
        )),
        twice: None,
    }
}

pub(super) fn weekday(text: &[u8]) -> bool {
    [
        b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun ",
    ]
    .iter()
    .any(|d| text.starts_with(*d))
        && text
            .get(4)
            .is_some_and(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

/// `Z`, `+01:00`, `+0100`, `+01`: (offset in seconds, length).
#[inline]
pub(super) fn numeric_zone(text: &[u8]) -> Option<(i32, usize)> {
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
pub(super) fn named_zone(text: &[u8]) -> Option<(Option<i32>, usize)> {
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
pub(super) const MONTHS: &[(&str, u8)] = &[
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
pub(super) fn month(text: &[u8]) -> Option<(u8, usize)> {
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
pub(super) fn rfc3164(cur: &mut Cursor<'_>) -> Option<(Civil, bool)> {
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
pub(super) fn clock(text: &[u8]) -> Option<(u8, u8, u8, u32, usize)> {
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
    // The space is a narrow one in newer locale data.
    let rest = text.get(at..).unwrap_or_default();
    let gap = if rest.starts_with(b"\xe2\x80\xaf") {
        3
    } else {
        1
    };
    match rest.get(gap - 1..gap + 2) {
        Some(b" AM" | b"\xafAM") if hour <= 12 => {
            hour %= 12;
            at += gap + 2;
        }
        Some(b" PM" | b"\xafPM") if hour <= 12 => {
            hour = hour % 12 + 12;
            at += gap + 2;
        }
        _ => {}
    }
    (hour < 24 && minute < 60 && second <= 60).then_some((hour, minute, second, micro, at))
}

/// `2026-11-03T04:05:06[.123456]`, `2026-11-03 04:05:06,123`, `2026/11/03 04:05:06`: what stands before the zone.
pub(super) fn iso(cur: &mut Cursor<'_>) -> Option<Civil> {
    let text = cur.rest();
    let separator = *text.get(4)?;
    let between = *text.get(10)?;
    // `2026:11:03-04:05:06` is Sophos'.
    let usual = matches!(separator, b'-' | b'/') && matches!(between, b'T' | b' ' | b't');
    if !(usual || separator == b':' && between == b'-') || text.get(7) != Some(&separator) {
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

/// Dates that begin with neither year nor month's name: `11/3/2026 4:05:06 AM`, `11/3/2026, 4:05:06.123 AM`, `03.11.2026 04:05:06`,
/// `03/Nov/2026:04:05:06 +0100`, `03-Nov-2026 04:05:06`, `3 Nov 2026 04:05:06 +0100`, with the zone where one stands there. The date is `None` where day and month cannot be told apart:
/// only who writes AM and PM puts the month first for certain enough.
pub(super) fn other_order(cur: &mut Cursor<'_>) -> Option<(Option<Civil>, Option<i32>)> {
    let text = cur.rest();
    let (a, first) = number(text).filter(|n| n.1 <= 2)?;
    let separator = *text.get(first)?;
    let mut at = first + 1;
    if matches!(separator, b'/' | b'-' | b' ') && text.get(at).is_some_and(u8::is_ascii_alphabetic)
    {
        let (name, len) = month(text.get(at..)?)?;
        at += len;
        if text.get(at) != Some(&separator) {
            return None;
        }
        let (year, len) = number(text.get(at + 1..)?).filter(|n| n.1 == 4)?;
        at += 1 + len;
        if !matches!(text.get(at), Some(b':' | b' ')) {
            return None;
        }
        let (hour, minute, second, micro, len) = clock(text.get(at + 1..)?)?;
        at += 1 + len;
        let zone = text
            .get(at..)
            .and_then(|t| t.strip_prefix(b" "))
            .and_then(numeric_zone);
        at += zone.map_or(0, |(_, len)| len + 1);
        cur.at += at;
        let civil = Civil {
            year: year as i32,
            month: name,
            day: a as u8,
            hour,
            minute,
            second,
            micro,
        };
        return (1..=31)
            .contains(&a)
            .then_some((Some(civil), zone.map(|z| z.0)));
    }
    if !matches!(separator, b'/' | b'.') {
        return None;
    }
    let (b, len) = number(text.get(at..)?).filter(|n| n.1 <= 2)?;
    at += len;
    if text.get(at) != Some(&separator) {
        return None;
    }
    let (year, len) =
        number(text.get(at + 1..)?).filter(|n| n.1 == 4 && (1970..2200).contains(&n.0))?;
    at += 1 + len;
    at += usize::from(text.get(at) == Some(&b','));
    if text.get(at) != Some(&b' ') {
        return None;
    }
    let (hour, minute, second, micro, len) = clock(text.get(at + 1..)?)?;
    let twelve = text.get(at + 1..at + 1 + len)?.ends_with(b"M");
    let (month, day) = match (separator, a, b) {
        (b'.', _, _) => (b, a),
        (_, 13.., _) => (b, a),
        (_, _, 13..) => (a, b),
        _ if twelve || a == b => (a, b),
        _ => (0, 0),
    };
    if (month, day) != (0, 0) && !((1..=12).contains(&month) && (1..=31).contains(&day)) {
        return None;
    }
    cur.at += at + 1 + len;
    let civil = Civil {
        year: year as i32,
        month: month as u8,
        day: day as u8,
        hour,
        minute,
        second,
        micro,
    };
    Some(((month > 0).then_some(civil), None))
}

impl LineParser<'_> {
    /// A wall-clock time of this stream.
    pub(super) fn local(&mut self, mut civil: Civil, yearless: bool) -> Stamp {
        if yearless {
            civil.year = self.years.of(civil.month);
        }
        Stamp::of_local(self.zone.to_utc(civil.as_utc_secs()), civil.micro)
    }

    /// Any time stamp at the start, with the space behind it.
    pub(super) fn stamp(&mut self, cur: &mut Cursor<'_>) -> Option<Stamp> {
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

    pub(super) fn stamp_here(&mut self, cur: &mut Cursor<'_>) -> Option<Stamp> {
        let start = cur.at;
        // `@4000000…`: TAI64N of multilog and s6.
        if let Some(hex) = cur.rest().strip_prefix(b"@") {
            let digits = hex.get(..16)?;
            let secs = digits.iter().try_fold(0u64, |n, b| {
                Some(n << 4 | u64::from(char::from(*b).to_digit(16)?))
            })?;
            cur.word();
            let secs = (secs & 0x3fff_ffff_ffff_ffff) as i64 - 10;
            // Ten digits and more are no time of any log.
            return (secs < 100_000_000_000).then(|| Stamp {
                time: Some(Time::from_secs(secs)),
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
                // `-o short-delta` adds what passed since the line before: `[12.345678 <    3.000000 >]`.
                .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b' ' | b'<' | b'>' | b'*'))
                && memchr(b'.', inner).is_some()
            {
                Stamp::default()
            } else {
                self.stamp_here(&mut within)?
            };
            cur.at += close + 1;
            return Some(stamp);
        }
        // Spreadsheets, Windows' viewers and web servers.
        if let Some((civil, zone)) = other_order(cur) {
            return Some(match (civil, zone) {
                (Some(civil), Some(offset)) => zoned(civil, offset),
                (Some(civil), None) => self.local(civil, false),
                // Which number is the month cannot be told: a time that we do not know.
                (None, _) => Stamp::default(),
            });
        }
        // A weekday in front: `Tue 2026-11-03 04:05:06 CET`, `Tue Nov  3 04:05:06 2026`.
        if weekday(cur.rest()) {
            cur.word();
        } else if cur.rest().get(3..5) == Some(b", ")
            && cur.rest().first().is_some_and(u8::is_ascii_uppercase)
            && let Some(rest) = cur.rest().get(5..)
            && let mut inner = Cursor::new(rest)
            && let Some((Some(civil), zone)) = other_order(&mut inner)
        {
            // A mail's: `Tue, 03 Nov 2026 04:05:06 +0100`.
            cur.at += 5 + inner.at;
            return Some(match zone {
                Some(offset) => zoned(civil, offset),
                None => self.local(civil, false),
            });
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
        // Thirteen digits are milliseconds.
        let (secs, mut micro) = match len {
            13 => (secs / 1000, (secs % 1000) as u32 * 1000),
            9..=10 => (secs, 0),
            _ => return None,
        };
        if !(978_307_200..4_102_444_800).contains(&secs) {
            return None;
        }
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
}
