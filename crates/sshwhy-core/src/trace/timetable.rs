//! When a crontab line or a systemd timer fires, and whether the logins keep to it.
//!
//! Formats: crontab(5) with its `@daily` names, and of systemd.time(7) the calendar events that people write: an optional weekday, a
//! date of `*`, hours and minutes as lists, ranges and steps. What is not understood is no timetable, and says nothing.

use crate::time::{Civil, HOUR, MINUTE, SECOND, Time, Zone};

/// Minutes, hours and days on which something is started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timetable {
    /// One bit each: minutes 0–59, hours 0–23, days of the month 1–31, months 1–12, weekdays 0 (Sunday) – 6.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

/// How well the logins keep to a timetable.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Share of the logins that come right after it fires.
    pub logins: f64,
    /// Share of its firings that a login follows, from the first login to the last.
    pub firings: f64,
    /// Hours that its clock is ahead of the zone it was read in.
    pub shift: i64,
    /// How much it singles out, as a natural logarithm: a rare timetable that fits says more than "daily at three".
    pub rare: f64,
    /// The logins that come right after it fires, by index.
    pub met: Vec<u32>,
}

const ALL: u64 = u64::MAX;
/// A job needs a moment until it connects.
pub const LAG: i64 = 90 * SECOND;
/// Logins that are looked at, and minutes of the time between the first and the last.
const LOGINS: usize = 512;
const MINUTES: i64 = 400 * 24 * 60;

/// A list such as `0-3`, `*/15`, `mon,fri` or (systemd) `00..04/2`, as bits.
fn bits(text: &str, lo: u32, hi: u32, names: &[&str]) -> Option<u64> {
    let value = |t: &str| -> Option<u32> {
        let number = match t.parse::<u32>() {
            Ok(n) => n,
            Err(_) => {
                let short = t.get(..3)?.to_ascii_lowercase();
                names.iter().position(|n| *n == short)? as u32 + lo
            }
        };
        (lo..=hi).contains(&number).then_some(number)
    };
    let mut out = 0u64;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((r, s)) => (r, s.parse::<u32>().ok().filter(|s| *s > 0)?),
            None => (part, 1),
        };
        let stepped = part.contains('/');
        let (from, until) = if range == "*" {
            (lo, hi)
        } else if let Some((a, b)) = range.split_once("..").or_else(|| range.split_once('-')) {
            (value(a)?, value(b)?)
        } else {
            let from = value(range)?;
            (from, if stepped { hi } else { from })
        };
        if from > until {
            return None;
        }
        for n in (from..=until).step_by(step as usize) {
            out |= 1 << n;
        }
    }
    Some(out)
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Timetable {
    /// The timetable of a crontab's line, and what follows it: the command, before that the user where the file has that column.
    pub fn of_crontab(line: &str) -> Option<(Timetable, &str)> {
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix('@') {
            let (name, command) = rest.split_once(char::is_whitespace)?;
            let spelled = match name {
                "hourly" => "0 * * * *",
                "daily" | "midnight" => "0 0 * * *",
                "weekly" => "0 0 * * 0",
                "monthly" => "0 0 1 * *",
                "yearly" | "annually" => "0 0 1 1 *",
                _ => return None,
            };
            let table = Timetable::of_crontab(&format!("{spelled} x")).map(|(t, _)| t)?;
            return Some((table, command.trim()));
        }
        let mut rest = line;
        let mut fields: Vec<&str> = Vec::with_capacity(5);
        for _ in 0..5 {
            let (field, after) = rest.split_once(char::is_whitespace)?;
            fields.push(field);
            rest = after.trim_start();
        }
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return None;
        };
        let week = bits(weekdays, 0, 7, &WEEKDAYS)?;
        let table = Timetable {
            minutes: bits(minutes, 0, 59, &[])?,
            hours: bits(hours, 0, 23, &[])?,
            days: if *days == "*" {
                ALL
            } else {
                bits(days, 1, 31, &[])?
            },
            months: if *months == "*" {
                ALL
            } else {
                bits(months, 1, 12, &MONTHS)?
            },
            // Sunday is 0 and 7.
            weekdays: if *weekdays == "*" {
                ALL
            } else {
                week | ((week >> 7) & 1)
            },
        };
        (!rest.is_empty()).then_some((table, rest))
    }

    /// The calendar event of a line `OnCalendar=…` of a timer.
    pub fn of_timer(line: &str) -> Option<Timetable> {
        let event = line.trim().strip_prefix("OnCalendar=")?.trim();
        let daily = |hours: u64, weekdays: u64| Timetable {
            minutes: 1,
            hours,
            days: ALL,
            months: ALL,
            weekdays,
        };
        match event {
            "hourly" => return Some(daily(ALL, ALL)),
            "daily" => return Some(daily(1, ALL)),
            "weekly" => return Some(daily(1, 1 << 1)),
            _ => {}
        }
        let mut table = daily(1, ALL);
        for word in event.split_whitespace() {
            if word.contains(':') {
                let mut parts = word.split(':');
                table.hours = bits(parts.next()?, 0, 23, &[])?;
                table.minutes = bits(parts.next()?, 0, 59, &[])?;
            } else if word.contains('-') && !word.contains("..") || word == "*" {
                if word.split('-').any(|p| p != "*") {
                    return None;
                }
            } else {
                table.weekdays = bits(word, 0, 6, &WEEKDAYS)?;
            }
        }
        Some(table)
    }

    fn fires(&self, c: &Civil) -> bool {
        let has = |set: u64, n: u8| (set >> n) & 1 == 1;
        // Monday is 0 in the calendar here, and 1 in crontabs.
        let weekday = has(self.weekdays, ((c.weekday() + 1) % 7) as u8);
        let day = has(self.days, c.day);
        // Where both are given one of them is enough.
        let today = if self.days != ALL && self.weekdays != ALL {
            weekday || day
        } else {
            weekday && day
        };
        today && has(self.minutes, c.minute) && has(self.hours, c.hour) && has(self.months, c.month)
    }

    /// How rare a timetable of this kind is among all that people write.
    fn rarity(&self) -> f64 {
        let hours = (self.hours & ((1 << 24) - 1)).count_ones();
        let minutes = (self.minutes & ((1 << 60) - 1)).count_ones();
        let fives = (0..60)
            .filter(|m| (self.minutes >> m) & 1 == 1)
            .all(|m| m % 5 == 0);
        let of_hours = if hours >= 24 { 0.0 } else { 24f64.ln() };
        let of_minutes = match (fives, minutes) {
            (_, 60..) => 0.0,
            (true, _) => 0.7,
            (false, n) => (60.0 / f64::from(n.max(1))).ln().max(0.7),
        };
        let of_days = if self.weekdays != ALL || self.days != ALL {
            1.5
        } else {
            0.0
        };
        of_hours + of_minutes + of_days
    }

    /// Whether the logins (UTC microseconds, sorted) come when it fires, in the zone that it is read in or some hours from it: `None`
    /// where they do not.
    pub fn kept(&self, events: &[i64], zone: &Zone) -> Option<Kept> {
        let stride = events.len().div_ceil(LOGINS).max(1);
        let sample: Vec<(u32, i64)> = (0u32..)
            .zip(events.iter().copied())
            .step_by(stride)
            .collect();
        if sample.len() < 4 {
            return None;
        }
        let local = |t: i64, shift: i64| zone.civil(Time(t + shift * HOUR));
        let follows = |t: i64, shift: i64| {
            (0..=LAG / MINUTE + 1).any(|back| {
                let minute = t.div_euclid(MINUTE) - back;
                t - minute * MINUTE <= LAG && self.fires(&local(minute * MINUTE, shift))
            })
        };
        // Its own zone first: another one has to do better.
        let shifts = std::iter::once(0).chain((-14..=14).filter(|s| *s != 0));
        let mut best: Option<Kept> = None;
        for shift in shifts {
            // Most timetables are refuted by the first few logins.
            let few = sample.iter().take(12);
            let of_few = few.clone().filter(|(_, t)| follows(*t, shift)).count();
            if of_few * 10 < few.len() * 6 {
                continue;
            }
            let met: Vec<u32> = sample
                .iter()
                .filter(|(_, t)| follows(*t, shift))
                .map(|(i, _)| *i)
                .collect();
            let logins = met.len() as f64 / sample.len() as f64;
            if logins < 0.8 || best.as_ref().is_some_and(|b| b.logins + 0.05 >= logins) {
                continue;
            }
            let firings = self.followed(events, |t| local(t, shift))?;
            if firings < 0.5 {
                continue;
            }
            let rare = self.rarity() * logins * firings - if shift == 0 { 0.0 } else { 28f64.ln() };
            best = Some(Kept {
                logins,
                firings,
                shift,
                rare: rare.max(0.0),
                met,
            });
        }
        best
    }

    /// The timetable of what was seen starting (UTC microseconds, sorted), whichever it is, and whether the logins keep to it. No crontab
    /// says how it goes on, so its hours are those that were seen.
    pub fn seen(starts: &[i64], events: &[i64]) -> Option<Kept> {
        let (first, last) = (*starts.first()?, *starts.last()?);
        let within: Vec<(u32, i64)> = (0u32..)
            .zip(events.iter().copied())
            .filter(|(_, e)| (first..=last + LAG).contains(e))
            .collect();
        let (from, until) = (within.first()?.1 - LAG, within.last()?.1);
        if within.len() < 4 {
            return None;
        }
        let met: Vec<u32> = within
            .iter()
            .filter(|(_, e)| {
                let next = starts.partition_point(|s| s <= e);
                next > 0 && starts.get(next - 1).is_some_and(|s| e - s <= LAG)
            })
            .map(|(i, _)| *i)
            .collect();
        let fired: Vec<i64> = starts
            .iter()
            .copied()
            .filter(|s| (from..=until).contains(s))
            .collect();
        let followed = fired
            .iter()
            .filter(|s| {
                let next = events.partition_point(|e| e < s);
                events.get(next).is_some_and(|e| e - **s <= LAG)
            })
            .count();
        let logins = met.len() as f64 / within.len() as f64;
        let firings = followed as f64 / fired.len().max(1) as f64;
        if logins < 0.8 || firings < 0.5 {
            return None;
        }
        let mut table = Timetable {
            minutes: 0,
            hours: 0,
            days: ALL,
            months: ALL,
            weekdays: ALL,
        };
        for s in &fired {
            let minute = s.div_euclid(MINUTE);
            table.minutes |= 1 << minute.rem_euclid(60);
            table.hours |= 1 << minute.div_euclid(60).rem_euclid(24);
        }
        Some(Kept {
            logins,
            firings,
            shift: 0,
            rare: (table.rarity() * logins * firings).max(0.0),
            met,
        })
    }

    /// Share of the firings between the first login and the last that a login follows.
    fn followed(&self, events: &[i64], local: impl Fn(i64) -> Civil) -> Option<f64> {
        let (first, last) = (*events.first()? - LAG, *events.last()?);
        if (last - first) / MINUTE > MINUTES {
            return None;
        }
        let (mut fired, mut followed) = (0u64, 0u64);
        for minute in first.div_euclid(MINUTE) + 1..=last.div_euclid(MINUTE) {
            let at = minute * MINUTE;
            if self.fires(&local(at)) {
                fired += 1;
                let next = events.partition_point(|e| *e < at);
                followed += u64::from(events.get(next).is_some_and(|e| e - at <= LAG));
            }
        }
        (fired > 0).then(|| followed as f64 / fired as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY;

    /// 2023-03-29 (a Wednesday) 00:00 at +08:00
    const MIDNIGHT: i64 = 1_680_019_200 * SECOND;

    fn zone() -> Zone {
        Zone::fixed("+08:00", 28_800)
    }

    fn cron(line: &str) -> Timetable {
        Timetable::of_crontab(line).unwrap().0
    }

    /// Logins a few seconds after each quarter of the hours from midnight to four.
    fn quarters(nights: i64) -> Vec<i64> {
        (0..nights)
            .flat_map(|n| (0..16).map(move |q| (n, q)))
            .map(|(n, q)| MIDNIGHT + n * DAY + q * 15 * MINUTE + (2 + q % 5) * SECOND)
            .collect()
    }

    #[test]
    fn what_was_seen_starting_has_a_timetable_too() {
        let events = quarters(10);
        let starts: Vec<i64> = events
            .iter()
            .map(|e| e.div_euclid(MINUTE) * MINUTE + SECOND)
            .collect();
        let kept = Timetable::seen(&starts, &events).unwrap();
        assert_eq!((kept.logins, kept.firings, kept.met.len()), (1.0, 1.0, 160));
        assert!(kept.rare > 2.0, "{}", kept.rare);
        // All day long it singles out less.
        let all_day: Vec<i64> = (0..960).map(|q| MIDNIGHT + q * 15 * MINUTE).collect();
        let busy: Vec<i64> = all_day.iter().map(|s| s + 3 * SECOND).collect();
        assert!(Timetable::seen(&all_day, &busy).unwrap().rare < kept.rare);
        // It starts elsewhere, or far more often than anybody logs in, or was seen too seldom.
        let later: Vec<i64> = starts.iter().map(|s| s + 5 * MINUTE).collect();
        let often: Vec<i64> = (0..14_400).map(|m| MIDNIGHT + m * MINUTE).collect();
        assert_eq!(Timetable::seen(&later, &events), None);
        assert_eq!(Timetable::seen(&often, &events), None);
        assert_eq!(Timetable::seen(&starts[..3], &events), None);
        assert_eq!(Timetable::seen(&[], &events), None);
    }

    #[test]
    fn crontabs_and_timers_are_read() {
        let (table, rest) = Timetable::of_crontab("*/15 0-3 * * mon-fri root /x y").unwrap();
        assert_eq!(rest, "root /x y");
        assert_eq!(table.hours, 0b1111);
        assert_eq!(table.minutes, 1 | 1 << 15 | 1 << 30 | 1 << 45);
        assert_eq!(table.weekdays, 0b11_1110);
        assert_eq!(cron("5 4 * * 7 x").weekdays & 0x7f, 1);
        assert_eq!(cron("@daily x"), cron("0 0 * * * x"));
        assert_eq!(
            Timetable::of_timer("OnCalendar=*-*-* 00..03:00/15"),
            Some(cron("*/15 0-3 * * * x"))
        );
        assert_eq!(
            Timetable::of_timer("OnCalendar=Mon..Fri 02:30:00").map(|t| t.weekdays),
            Some(0b11_1110)
        );
        for none in [
            "",
            "x",
            "1 2 3 4",
            "61 * * * * x",
            "* * * * *",
            "a b c d e f",
            "5-1 * * * * x",
            "*/0 * * * * x",
            "@reboot x",
            "@",
            "PATH=/bin:/usr/bin a b c d e",
        ] {
            assert_eq!(Timetable::of_crontab(none), None, "{none}");
        }
        for none in [
            "OnCalendar=2023-*-* 01:00",
            "OnCalendar=x",
            "OnBootSec=5",
            "OnCalendar=é:é",
        ] {
            assert_eq!(Timetable::of_timer(none), None, "{none}");
        }
    }

    #[test]
    fn logins_keep_to_the_timetable_that_made_them_and_to_no_other() {
        let events = quarters(6);
        let own = cron("*/15 0-3 * * * x").kept(&events, &zone()).unwrap();
        assert_eq!((own.logins, own.firings, own.shift), (1.0, 1.0, 0));
        assert!(own.rare > 3.0, "{own:?}");
        // The same in another zone says less.
        let utc = cron("*/15 0-3 * * * x")
            .kept(&events, &Zone::utc())
            .unwrap();
        assert!(utc.shift == 8 && utc.rare < own.rare, "{utc:?}");
        for other in [
            "*/15 * * * * x",   // fires all day, and nobody comes
            "*/15 0-2 * * * x", // misses a quarter of them
            "7 * * * * x",
            "0 12 * * * x",
            "* * * * * x",
        ] {
            assert_eq!(cron(other).kept(&events, &zone()), None, "{other}");
        }
    }

    #[test]
    fn logins_at_any_time_keep_to_no_timetable() {
        let events: Vec<i64> = (0..200)
            .map(|i| MIDNIGHT + i / 20 * DAY + (i * 7919 % 14_000) * SECOND)
            .collect();
        let mut events = events;
        events.sort_unstable();
        for line in [
            "* 0-3 * * * x",
            "*/15 0-3 * * * x",
            "0 0 * * * x",
            "@hourly x",
        ] {
            let kept = cron(line).kept(&events, &zone());
            assert!(
                kept.as_ref().is_none_or(|k| k.rare < 2.0),
                "{line}: {kept:?}"
            );
        }
        assert_eq!(cron("0 0 * * * x").kept(&[], &zone()), None);
    }
}
