//! Instants, civil dates and zones, without a clock and without the zone database.
//!
//! Everything inside the program is a [`Time`]: UTC microseconds. A log that writes local time is turned into it with a
//! [`Zone`], a plain table of offsets that the program fills (from the zone database or from `--tz +08:00`).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub i64);

pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A date and time of day as written on a wall, in whichever zone the context says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    pub year: i32,
    /// 1–12
    pub month: u8,
    /// 1–31
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micro: u32,
}

impl Civil {
    /// Seconds since the epoch if this civil time were UTC.
    pub fn as_utc_secs(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day) * 86_400
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }

    /// 0 = Monday … 6 = Sunday.
    pub fn weekday(&self) -> usize {
        (days_from_civil(self.year, self.month, self.day) + 3).rem_euclid(7) as usize
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
pub fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let y = i64::from(year) - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let m = i64::from(month);
    let doy = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// The inverse of [`days_from_civil`]: (year, month, day).
pub fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u8;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u8;
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year as i32, month, day)
}

/// Before it nothing is a date: see [`Time::undated`].
const DATED_FROM: i64 = -(1 << 59);

impl Time {
    /// Stands for a line of a log that writes no times: one second after the line before it, and far before any date. It orders
    /// what happened and measures nothing, so [`Time::is_dated`] has to be asked before a span or an hour means anything.
    pub const fn undated(line: u64) -> Time {
        let base = Time(2 * DATED_FROM);
        Time(base.0.saturating_add((line & 0xFFFF_FFFF) as i64 * SECOND))
    }

    pub const fn is_dated(self) -> bool {
        self.0 >= DATED_FROM
    }

    /// This instant, unless it only stands for a place in an undated log.
    pub fn dated(self) -> Option<Time> {
        self.is_dated().then_some(self)
    }

    pub const fn from_secs(secs: i64) -> Time {
        Time(secs.saturating_mul(SECOND))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// The civil time of this instant at a fixed offset from UTC in seconds.
    pub fn civil_at(self, offset: i32) -> Civil {
        let secs = self.secs() + i64::from(offset);
        let (year, month, day) = civil_from_days(secs.div_euclid(86_400));
        let of_day = secs.rem_euclid(86_400);
        Civil {
            year,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            micro: self.0.rem_euclid(SECOND) as u32,
        }
    }

    pub fn civil(self) -> Civil {
        self.civil_at(0)
    }

    /// What [`Time`] is shown as, read back: RFC 3339 in UTC, `2026-03-28T16:00:15.25Z`. Nothing else.
    pub fn parse_utc(text: &str) -> Option<Time> {
        let text = text.strip_suffix('Z')?;
        let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
        let (date, time) = clock.split_once('T')?;
        let number = |t: &str, width: usize| {
            let digits = t.len() == width && t.bytes().all(|b| b.is_ascii_digit());
            if digits { t.parse::<u32>().ok() } else { None }
        };
        let mut parts = date.split('-');
        let year = i32::try_from(number(parts.next()?, 4)?).ok()?;
        let month = u8::try_from(number(parts.next()?, 2)?).ok()?;
        let day = u8::try_from(number(parts.next()?, 2)?).ok()?;
        let mut hms = time.split(':');
        let (hour, minute, second) = (
            number(hms.next()?, 2)?,
            number(hms.next()?, 2)?,
            number(hms.next()?, 2)?,
        );
        let leftover = parts.next().is_some() || hms.next().is_some();
        let days = days_from_civil(year, month, day);
        let real = (1..=12).contains(&month) && civil_from_days(days) == (year, month, day);
        if leftover || !real || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let micros = match fraction.len() {
            0 if text.contains('.') => return None,
            0 => 0,
            n @ 1..=6 => {
                i64::from(number(fraction, n)?) * 10_i64.pow(6_u32.saturating_sub(n as u32))
            }
            _ => return None,
        };
        let secs = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
        Some(Time(secs * SECOND + micros))
    }

    /// Leading `2026-03-28T16:00:15Z`, `2026-03-28 16:00:15.123456789+08:00` (RFC 3339): the instant and the bytes used.
    pub fn parse_rfc3339(text: &[u8]) -> Option<(Time, usize)> {
        let head = text.get(..19)?;
        let digits = |at: usize, len: usize| -> Option<i32> {
            head.get(at..at + len)?.iter().try_fold(0i32, |n, b| {
                b.is_ascii_digit().then(|| n * 10 + i32::from(b - b'0'))
            })
        };
        let mark = |at: usize, any: &[u8]| head.get(at).is_some_and(|b| any.contains(b));
        let marks =
            mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":") && mark(16, b":");
        let (month, day, hour) = (digits(5, 2)?, digits(8, 2)?, digits(11, 2)?);
        let (minute, second) = (digits(14, 2)?, digits(17, 2)?);
        if !marks
            || !(1..=12).contains(&month)
            || !(1..=31).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
        {
            return None;
        }
        let mut at = 19;
        let mut micro = 0i64;
        if text.get(at) == Some(&b'.') {
            let fraction = text.get(at + 1..)?;
            let len = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if len == 0 {
                return None;
            }
            for i in 0..6 {
                let digit = if i < len { *fraction.get(i)? - b'0' } else { 0 };
                micro = micro * 10 + i64::from(digit);
            }
            at += 1 + len;
        }
        let offset = match text.get(at)? {
            b'Z' | b'z' => {
                at += 1;
                0
            }
            sign @ (b'+' | b'-') => {
                let zone = text.get(at + 1..at + 6)?;
                let pair = |at: usize| -> Option<i64> {
                    zone.get(at..at + 2)?.iter().try_fold(0i64, |n, b| {
                        b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0'))
                    })
                };
                if zone.get(2) != Some(&b':') {
                    return None;
                }
                at += 6;
                let minutes = pair(0)? * 60 + pair(3)?;
                if *sign == b'-' { -minutes } else { minutes }
            }
            _ => return None,
        };
        let days = days_from_civil(digits(0, 4)?, month as u8, day as u8);
        let secs =
            days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
                - offset * 60;
        Some((Time(secs * SECOND + micro), at))
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC; a fraction only where there is one: `2026-03-28T16:00:15Z`, `2026-03-28T16:00:15.123456Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )?;
        if c.micro != 0 {
            write!(f, ".{:06}", c.micro)?;
        }
        f.write_str("Z")
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Time, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Time::parse_utc(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no time in UTC")))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What a local time means in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Local {
    /// UTC seconds.
    Unique(i64),
    /// The hour that exists twice when clocks go back: UTC seconds of the first and of the second reading.
    Twice(i64, i64),
    /// The hour that is skipped when clocks go forward: read with the offset from before the jump.
    Skipped(i64),
}

impl Local {
    /// The first reading, in UTC seconds.
    pub fn first(self) -> i64 {
        match self {
            Local::Unique(s) | Local::Twice(s, _) | Local::Skipped(s) => s,
        }
    }
}

/// A time zone as a table of offsets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// As the user would type it: `UTC`, `+08:00`, `Europe/Berlin`.
    pub name: String,
    /// (UTC second from which it holds, offset from UTC in seconds), ascending; never empty.
    spans: Vec<(i64, i32)>,
}

impl Zone {
    pub fn utc() -> Zone {
        Zone::fixed("UTC", 0)
    }

    pub fn fixed(name: &str, offset: i32) -> Zone {
        Zone {
            name: name.to_owned(),
            spans: vec![(i64::MIN, offset)],
        }
    }

    /// `first` holds until the first of `changes`, each (UTC second, offset in seconds); sorted here.
    pub fn new(name: &str, first: i32, mut changes: Vec<(i64, i32)>) -> Zone {
        changes.sort_unstable();
        let mut spans = vec![(i64::MIN, first)];
        for (at, offset) in changes {
            if spans.last().is_some_and(|last| last.1 != offset) {
                spans.push((at, offset));
            }
        }
        Zone {
            name: name.to_owned(),
            spans,
        }
    }

    /// Parses `Z`, `UTC`, `+08:00`, `-0530`, `+8`.
    pub fn parse_fixed(text: &str) -> Option<Zone> {
        if matches!(text, "Z" | "z" | "UTC" | "utc" | "GMT") {
            return Some(Zone::utc());
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let digits: String = text.get(1..)?.chars().filter(|c| *c != ':').collect();
        if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n: i32 = digits.parse().ok()?;
        let (h, m) = if digits.len() <= 2 {
            (n, 0)
        } else {
            (n / 100, n % 100)
        };
        if h > 18 || m > 59 {
            return None;
        }
        let offset = sign * (h * 3600 + m * 60);
        let name = format!("{}{h:02}:{m:02}", if sign < 0 { '-' } else { '+' });
        Some(Zone::fixed(&name, offset))
    }

    /// Offset from UTC in seconds at an instant.
    pub fn offset_at(&self, utc_secs: i64) -> i32 {
        let i = self.spans.partition_point(|s| s.0 <= utc_secs);
        self.spans.get(i.saturating_sub(1)).map_or(0, |s| s.1)
    }

    /// A local time (seconds as if it were UTC) in UTC.
    pub fn to_utc(&self, local_secs: i64) -> Local {
        if let [(_, only)] = self.spans.as_slice() {
            return Local::Unique(local_secs - i64::from(*only));
        }
        let before = self.offset_at(local_secs - 86_400);
        let after = self.offset_at(local_secs + 86_400);
        let a = local_secs - i64::from(before);
        let b = local_secs - i64::from(after);
        match (self.offset_at(a) == before, self.offset_at(b) == after) {
            (true, true) if a == b => Local::Unique(a),
            (true, true) => Local::Twice(a.min(b), a.max(b)),
            (true, false) => Local::Unique(a),
            (false, true) => Local::Unique(b),
            (false, false) => Local::Skipped(a),
        }
    }

    /// The wall clock of this zone at an instant.
    pub fn civil(&self, time: Time) -> Civil {
        time.civil_at(self.offset_at(time.secs()))
    }
}

/// A span of time as people say it: `45 s`, `12 min`, `3 h 20 min`, `5 days`.
pub fn human_span(micros: i64) -> String {
    let s = micros.max(0) / SECOND;
    match s {
        0..=119 => format!("{s} s"),
        120..=7_199 => format!("{} min", s / 60),
        7_200..=172_799 if s % 3600 < 60 => format!("{} h", s / 3600),
        7_200..=172_799 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_an_undated_log_are_in_order_and_no_dates() {
        let (a, b) = (Time::undated(1), Time::undated(2));
        assert!(a < b && b.0 - a.0 == SECOND);
        assert_eq!(Time::undated(u64::from(u32::MAX)).dated(), None);
        for real in [Time(0), Time::from_secs(-1), Time::from_secs(1_774_713_615)] {
            assert_eq!(real.dated(), Some(real));
            assert!(b < real);
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for micros in [0, 1, 1_500_000, 1_774_713_615_250_000, -86_400_000_000] {
            let shown = Time(micros).to_string();
            assert_eq!(Time::parse_utc(&shown), Some(Time(micros)), "{shown}");
        }
        for bad in [
            "",
            "Z",
            "2026-03-28T16:00:15",
            "2026-03-28 16:00:15Z",
            "2026-02-30T16:00:15Z",
            "2026-13-01T16:00:15Z",
            "2026-03-28T24:00:15Z",
            "2026-03-28T16:00:15.Z",
            "2026-03-28T16:00:15.1234567Z",
            "2026-03-28T16:00:15+02:00",
            "+026-03-28T16:00:15Z",
            "2026-03-28T16:00:15:00Z",
        ] {
            assert_eq!(Time::parse_utc(bad), None, "{bad}");
        }
    }

    #[test]
    fn civil_and_days_agree() {
        for days in (-200_000..200_000).step_by(37) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(
            days_from_civil(2024, 2, 29) + 1,
            days_from_civil(2024, 3, 1)
        );
    }

    #[test]
    fn prints_rfc3339() {
        assert_eq!(
            Time(1_774_713_615_000_000).to_string(),
            "2026-03-28T16:00:15Z"
        );
        assert_eq!(
            Time(1_774_713_615_000_042).to_string(),
            "2026-03-28T16:00:15.000042Z"
        );
    }

    #[test]
    fn rfc3339_reads_what_it_prints_and_what_runtimes_print() {
        for (text, want, used) in [
            ("2026-03-28T16:00:15Z rest", "2026-03-28T16:00:15Z", 20),
            (
                "2026-03-28T16:00:15.000042Z",
                "2026-03-28T16:00:15.000042Z",
                27,
            ),
            (
                "2026-03-29T00:00:15.000042999+08:00 x",
                "2026-03-28T16:00:15.000042Z",
                35,
            ),
            (
                "2026-03-28 16:00:15.5-00:30",
                "2026-03-28T16:30:15.500000Z",
                27,
            ),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", 20),
        ] {
            let (t, n) = Time::parse_rfc3339(text.as_bytes()).unwrap();
            assert_eq!((t.to_string().as_str(), n), (want, used), "{text}");
        }
        for bad in [
            "2026-03-28T16:00:15",
            "2026-13-28T16:00:15Z",
            "2026-03-28T24:00:15Z",
            "2026-03-28T16:00:15.Z",
            "2026-03-28T16:00:15+0800",
            "2026-03-28x16:00:15Z",
            "",
        ] {
            assert_eq!(Time::parse_rfc3339(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_hour_that_exists_twice_and_the_one_that_does_not() {
        // Europe/Berlin 2026: +1 h, +2 h from 2026-03-29T01:00Z, +1 h again from 2026-10-25T01:00Z.
        let spring = days_from_civil(2026, 3, 29) * 86_400 + 3600;
        let autumn = days_from_civil(2026, 10, 25) * 86_400 + 3600;
        let berlin = Zone::new("Europe/Berlin", 3600, vec![(spring, 7200), (autumn, 3600)]);
        let skipped = days_from_civil(2026, 3, 29) * 86_400 + 2 * 3600 + 1800;
        assert_eq!(berlin.to_utc(skipped), Local::Skipped(skipped - 3600));
        let twice = days_from_civil(2026, 10, 25) * 86_400 + 2 * 3600 + 1800;
        assert_eq!(
            berlin.to_utc(twice),
            Local::Twice(twice - 7200, twice - 3600)
        );
        let summer = days_from_civil(2026, 7, 1) * 86_400;
        assert_eq!(berlin.to_utc(summer), Local::Unique(summer - 7200));
    }

    #[test]
    fn fixed_zones_parse_and_near_misses_do_not() {
        assert_eq!(
            Zone::parse_fixed("+08:00").map(|z| z.offset_at(0)),
            Some(28_800)
        );
        assert_eq!(
            Zone::parse_fixed("-0530").map(|z| z.offset_at(0)),
            Some(-19_800)
        );
        for bad in [
            "",
            "+",
            "08:00",
            "+25:00",
            "+08:99",
            "Europe/Berlin",
            "+0x8",
        ] {
            assert_eq!(Zone::parse_fixed(bad), None, "{bad}");
        }
    }
}
