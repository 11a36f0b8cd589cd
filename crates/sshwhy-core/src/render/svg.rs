//! The charts of the page: bars over time and a heat map of the week, as inline SVG without text.
//!
//! The drawings stretch to their box (`preserveAspectRatio="none"`), so that they are as readable on a phone; labels stand
//! in HTML beside them. What a drawing says stands in its `desc`, and each bar or cell has its own title.

use super::arrange::Series;
use super::markup::Markup;
use super::words;
use crate::report::Bucket;
use crate::time::{Time, Zone};

pub(super) const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// How a heat map's level is found: five steps of equal width on the square root, so that a quiet hour beside a storm is
/// still seen.
pub(super) struct Levels {
    most: u64,
}

impl Levels {
    pub fn new(map: &[[u64; 24]; 7]) -> Levels {
        Levels {
            most: map.iter().flatten().copied().max().unwrap_or(0),
        }
    }

    /// 0 for nothing, else 1–5.
    pub fn of(&self, n: u64) -> usize {
        if n == 0 || self.most == 0 {
            return 0;
        }
        (((n as f64 / self.most as f64).sqrt() * 5.0).ceil() as usize).clamp(1, 5)
    }

    /// The counts of each level that can occur: (level, from, to).
    pub fn ranges(&self) -> Vec<(usize, u64, u64)> {
        let top = |level: u64| match level {
            5 => self.most,
            _ => (self.most as f64 * (level as f64 / 5.0).powi(2)).floor() as u64,
        };
        (1..=5)
            .map(|level| (level as usize, top(level - 1).saturating_add(1), top(level)))
            .filter(|(_, from, to)| from <= to)
            .collect()
    }
}

/// Level as a class: `l0` – `l5`.
pub(super) fn level_class(level: usize) -> &'static str {
    ["l0", "l1", "l2", "l3", "l4", "l5"]
        .get(level)
        .copied()
        .unwrap_or("l5")
}

/// One series as bars; `buckets` are contiguous, `seconds` long each.
pub(super) fn bars(m: &mut Markup, series: &Series, buckets: &[Bucket], seconds: u64, zone: &Zone) {
    let most = series.most(buckets);
    let columns = buckets.len() as f64;
    m.raw("<svg role=\"img\" preserveAspectRatio=\"none\" viewBox=\"0 0 ")
        .number(columns)
        .raw(" 100\" aria-labelledby=\"t-")
        .raw(series.name)
        .raw(" d-")
        .raw(series.name)
        .raw("\"><title id=\"t-")
        .raw(series.name)
        .raw("\">")
        .text(series.name)
        .raw(" over time</title><desc id=\"d-")
        .raw(series.name)
        .raw("\">")
        .text(&describe(series, buckets, seconds, zone))
        .raw("</desc>");
    // Hair-thin gaps would swallow bars of a pixel or two.
    let wide = if buckets.len() > 120 { 1.0 } else { 0.86 };
    for (i, b) in buckets.iter().enumerate() {
        let n = (series.of)(b);
        if n == 0 {
            continue;
        }
        let height = (n as f64 / most.max(1) as f64 * 100.0).max(2.0);
        m.raw("<g><title>")
            .text(&words::minute(b.start, zone))
            .raw(", ")
            .text(&words::duration(seconds))
            .raw(": ")
            .text(&words::thousands(n))
            .raw(" ")
            .raw(series.name)
            .raw("</title><rect x=\"")
            .number(i as f64 + (1.0 - wide) / 2.0)
            .raw("\" y=\"")
            .number(100.0 - height)
            .raw("\" width=\"")
            .number(wide)
            .raw("\" height=\"")
            .number(height)
            .raw("\"/></g>");
    }
    m.raw("</svg>");
}

fn describe(series: &Series, buckets: &[Bucket], seconds: u64, zone: &Zone) -> String {
    let total = words::thousands(series.total(buckets));
    // The first of the highest.
    let top = buckets.iter().rev().max_by_key(|b| (series.of)(b));
    match top.filter(|b| (series.of)(b) > 0) {
        None => format!("no {}", series.name),
        Some(b) => format!(
            "{total} {}; most in the {} from {}: {}",
            series.name,
            words::duration(seconds),
            words::minute(b.start, zone),
            words::thousands((series.of)(b))
        ),
    }
}

/// Hour by weekday; `name` is what is counted and makes ids unique.
pub(super) fn heat(m: &mut Markup, name: &'static str, map: &[[u64; 24]; 7]) {
    let levels = Levels::new(map);
    m.raw(
        "<svg role=\"img\" preserveAspectRatio=\"none\" viewBox=\"0 0 24 7\" aria-labelledby=\"ht-",
    )
    .raw(name)
    .raw(" hd-")
    .raw(name)
    .raw("\"><title id=\"ht-")
    .raw(name)
    .raw("\">")
    .raw(name)
    .raw(" by weekday and hour</title><desc id=\"hd-")
    .raw(name)
    .raw("\">")
    .text(&describe_heat(name, map))
    .raw("</desc>");
    for ((day, row), label) in map.iter().enumerate().zip(DAYS) {
        for (hour, n) in row.iter().enumerate() {
            m.raw("<rect class=\"")
                .raw(level_class(levels.of(*n)))
                .raw("\" x=\"")
                .number(hour as f64 + 0.04)
                .raw("\" y=\"")
                .number(day as f64 + 0.04)
                .raw("\" width=\"0.92\" height=\"0.92\"><title>")
                .raw(label)
                .text(&format!(
                    " {hour:02}:00–{:02}:00: {} ",
                    hour + 1,
                    words::thousands(*n)
                ))
                .raw(name)
                .raw("</title></rect>");
        }
    }
    m.raw("</svg>");
}

/// `most on Saturday 02:00–03:00: 401 failures`, the first where there are several.
pub(super) fn describe_heat(name: &str, map: &[[u64; 24]; 7]) -> String {
    let top = map
        .iter()
        .zip(DAYS)
        .flat_map(|(row, day)| row.iter().enumerate().map(move |(hour, n)| (*n, day, hour)))
        .reduce(|best, cell| if cell.0 > best.0 { cell } else { best });
    match top {
        Some((n, day, hour)) if n > 0 => {
            format!(
                "most on {day} {hour:02}:00–{:02}:00: {} {name}",
                hour + 1,
                words::thousands(n)
            )
        }
        _ => format!("no {name}"),
    }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const STEPS: [i64; 16] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
    3650 * DAY,
];

/// Where an axis of `seconds` from `start` carries labels: (percent of its length, label), about `most` of them, at round
/// times on the zone's wall clock.
pub(super) fn ticks(start: Time, seconds: u64, zone: &Zone, most: i64) -> Vec<(f64, String)> {
    let length = i64::try_from(seconds).unwrap_or(i64::MAX);
    let Some(step) = STEPS.into_iter().find(|step| length / step <= most) else {
        return Vec::new();
    };
    let from = start.secs();
    let wall = from.saturating_add(i64::from(zone.offset_at(from)));
    let first = wall.div_euclid(step) + i64::from(wall.rem_euclid(step) != 0);
    (0..=most)
        .filter_map(|i| {
            let wall = (first + i).saturating_mul(step);
            let at = zone.to_utc(wall).first() - from;
            let c = Time::from_secs(wall).civil();
            let label = match step {
                s if s >= 365 * DAY => format!("{:04}", c.year),
                s if s >= 30 * DAY => format!("{:04}-{:02}", c.year, c.month),
                s if s >= DAY || (c.hour, c.minute) == (0, 0) => {
                    format!("{:02}-{:02}", c.month, c.day)
                }
                _ => format!("{:02}:{:02}", c.hour, c.minute),
            };
            (0..length)
                .contains(&at)
                .then(|| (at as f64 / length as f64 * 100.0, label))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::days_from_civil;

    #[test]
    fn ranges_of_levels_say_what_the_levels_are() {
        for most in [0, 1, 2, 7, 26, 401, 1_000_000] {
            let mut map = [[0; 24]; 7];
            map[3][4] = most;
            let levels = Levels::new(&map);
            for (level, from, to) in levels.ranges() {
                assert_eq!(levels.of(from), level, "{from} of {most}");
                assert_eq!(levels.of(to), level, "{to} of {most}");
            }
            let covered: u64 = levels
                .ranges()
                .iter()
                .map(|(_, from, to)| to - from + 1)
                .sum();
            assert_eq!(covered, most);
            assert_eq!(levels.of(0), 0);
        }
    }

    #[test]
    fn the_busiest_hour_is_said() {
        let mut map = [[0; 24]; 7];
        assert_eq!(describe_heat("logins", &map), "no logins");
        map[5][2] = 401;
        map[6][23] = 401;
        assert_eq!(
            describe_heat("logins", &map),
            "most on Saturday 02:00–03:00: 401 logins"
        );
    }

    #[test]
    fn ticks_stand_at_round_times_of_the_zone() {
        let zone = Zone::fixed("+08:00", 8 * 3600);
        let start = Time::from_secs(days_from_civil(2026, 3, 27) * DAY + 10 * HOUR);
        let labels = |seconds| -> Vec<String> {
            ticks(start, seconds, &zone, 8)
                .into_iter()
                .map(|t| t.1)
                .collect()
        };
        assert_eq!(
            labels(3 * 3600),
            ["18:00", "18:30", "19:00", "19:30", "20:00", "20:30"]
        );
        assert_eq!(
            labels(86_400),
            [
                "18:00", "21:00", "03-28", "03:00", "06:00", "09:00", "12:00", "15:00"
            ]
        );
        assert_eq!(
            labels(3 * 86_400),
            ["03-28", "12:00", "03-29", "12:00", "03-30", "12:00"]
        );
        assert!(labels(0).is_empty());
        assert!(labels(u64::MAX).is_empty());
    }

    #[test]
    fn ticks_follow_the_clock_across_a_change() {
        let change = days_from_civil(2026, 3, 29) * DAY + HOUR;
        let berlin = Zone::new("Europe/Berlin", 3600, vec![(change, 7200)]);
        let midnight = days_from_civil(2026, 3, 28) * DAY - HOUR;
        let ticks = ticks(Time::from_secs(midnight), 4 * 86_400, &berlin, 8);
        assert_eq!(ticks[0], (0.0, "03-28".to_owned()));
        assert_eq!(ticks[4].1, "03-30");
        // That day has 23 hours.
        assert!((ticks[4].0 - 47.0 / 96.0 * 100.0).abs() < 1e-9, "{ticks:?}");
    }
}
