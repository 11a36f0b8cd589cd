//! Fills [`Zone`] from the zone database: by name (`Europe/Berlin`), by offset (`+08:00`), or this machine's own.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sshwhy_core::time::{Time, Zone};

/// 1990 to 2100: the years that a log may be of.
const FROM: i64 = 631_152_000;
const UNTIL: i64 = 4_102_444_800;

/// The zone a user named.
pub fn named(name: &str) -> Result<Zone, String> {
    if let Some(zone) = Zone::parse_fixed(name) {
        return Ok(zone);
    }
    if name == "local" {
        return Ok(local());
    }
    TimeZone::get(name).map(|tz| table(name, &tz)).map_err(|_| {
        format!("no time zone is called {name:?}: give an offset (+08:00), a name of the zone database (Europe/Berlin), UTC or local")
    })
}

/// This machine's zone; UTC where it has none.
pub fn local() -> Zone {
    let tz = TimeZone::system();
    let name = tz.iana_name().unwrap_or("local").to_owned();
    if name == "Etc/UTC" || name == "UTC" || name == "Etc/Unknown" {
        return Zone::utc();
    }
    table(&name, &tz)
}

fn table(name: &str, tz: &TimeZone) -> Zone {
    let at = |secs: i64| Timestamp::from_second(secs).unwrap_or(Timestamp::UNIX_EPOCH);
    let first = tz.to_offset(at(FROM)).seconds();
    let changes = tz
        .following(at(FROM))
        .map(|t| (t.timestamp().as_second(), t.offset().seconds()))
        .take_while(|(at, _)| *at < UNTIL)
        .collect();
    Zone::new(name, first, changes)
}

/// A moment that a user typed: RFC 3339, `2026-03-28`, `2026-03-28 16:00`, `16:00` (today), or `2h`, `30m`, `7d` ago.
pub fn moment(text: &str, zone: &Zone, now: Time) -> Result<Time, String> {
    let bad = || {
        format!(
            "{text:?} is no time: give 2026-03-28, \"2026-03-28 16:00\", 2026-03-28T16:00:00Z, 16:00, or 2h, 30m, 7d (ago)"
        )
    };
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if let Some((digits, unit)) = text
        .char_indices()
        .next_back()
        .map(|(i, u)| (text.get(..i).unwrap_or_default(), u))
        && let (Ok(n), Some(secs)) = (
            digits.parse::<i64>(),
            match unit {
                's' => Some(1),
                'm' => Some(60),
                'h' => Some(3600),
                'd' => Some(86_400),
                'w' => Some(604_800),
                _ => None,
            },
        )
    {
        return Ok(Time(
            now.0
                .saturating_sub(n.saturating_mul(secs).saturating_mul(1_000_000)),
        ));
    }
    if let Ok(t) = text.parse::<Timestamp>() {
        return Ok(Time(t.as_microsecond()));
    }
    let local = |d: jiff::civil::DateTime| {
        let civil = sshwhy_core::time::Civil {
            year: i32::from(d.year()),
            month: d.month().unsigned_abs(),
            day: d.day().unsigned_abs(),
            hour: d.hour().unsigned_abs(),
            minute: d.minute().unsigned_abs(),
            second: d.second().unsigned_abs(),
            micro: 0,
        };
        Time::from_secs(zone.to_utc(civil.as_utc_secs()).first())
    };
    if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        return Ok(local(date));
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        return Ok(local(date.at(0, 0, 0, 0)));
    }
    for format in ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"] {
        if let Ok(date) = jiff::civil::DateTime::strptime(format, text) {
            return Ok(local(date));
        }
    }
    for format in ["%H:%M:%S", "%H:%M"] {
        if let Ok(clock) = jiff::civil::Time::strptime(format, text) {
            let today = zone.civil(now);
            let date =
                jiff::civil::Date::new(today.year as i16, today.month as i8, today.day as i8)
                    .map_err(|_| bad())?;
            return Ok(local(date.to_datetime(clock)));
        }
    }
    Err(bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_by_name_have_their_daylight_saving_time() {
        let z = named("Europe/Berlin").unwrap();
        assert_eq!(z.offset_at(1_774_713_600), 3600);
        assert_eq!(z.offset_at(1_783_000_000), 7200);
        assert!(named("Europe/Nowhere").is_err());
        assert_eq!(named("-03:30").unwrap().offset_at(0), -12_600);
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        let zone = Zone::parse_fixed("+08:00").unwrap();
        let now = Time::from_secs(1_774_713_600); // 2026-03-29 00:00 there
        for (text, want) in [
            ("2026-03-28", 1_774_627_200),
            ("2026-03-28 16:30", 1_774_686_600),
            ("2026-03-28T16:30:00Z", 1_774_715_400),
            ("01:00", 1_774_717_200),
            ("2h", 1_774_706_400),
            ("7d", 1_774_108_800),
        ] {
            assert_eq!(
                moment(text, &zone, now),
                Ok(Time::from_secs(want)),
                "{text}"
            );
        }
        for bad in ["", "yesterday", "2026-13-01", "5x", "25:00"] {
            assert!(moment(bad, &zone, now).is_err(), "{bad}");
        }
    }
}
