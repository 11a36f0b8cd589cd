//! How numbers, times, amounts and names read, the same in every view.

use crate::finding::Step;
use crate::report::{HostVersion, Input, Report, Totals};
use crate::time::{SECOND, Time, Zone, human_span};
use std::borrow::Cow;

/// `12,034`
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 line`, `12,034 lines`
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// `512 B`, `4.1 MiB`
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64;
    let mut unit = "B";
    for u in UNITS {
        // 1023.95 would print as 1024.0
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = u;
    }
    format!("{value:.1} {unit}")
}

/// `97 %`, rounded down: 100 % is said of nothing less.
pub fn percent(confidence: f64) -> String {
    format!("{} %", (confidence.clamp(0.0, 1.0) * 100.0 + 1e-9).floor())
}

/// `17 min`, `1 h`
pub fn duration(seconds: u64) -> String {
    if seconds == 3600 {
        return "1 h".to_owned();
    }
    let micros = i64::try_from(seconds).unwrap_or(i64::MAX);
    human_span(micros.saturating_mul(SECOND))
}

/// `brute force` of `brute-force`.
pub fn label(slug: &str) -> String {
    slug.replace('-', " ")
}

/// `2026-03-28 03:12:44` on the wall clock of `zone`.
pub fn moment(t: Time, zone: &Zone) -> String {
    format!("{} {}", date(t, zone), clock(t, zone))
}

/// `2026-03-28 03:12`
pub fn minute(t: Time, zone: &Zone) -> String {
    let c = zone.civil(t);
    format!("{} {:02}:{:02}", date(t, zone), c.hour, c.minute)
}

/// `2026-03-28`
pub fn date(t: Time, zone: &Zone) -> String {
    let c = zone.civil(t);
    format!("{:04}-{:02}-{:02}", c.year, c.month, c.day)
}

/// `03:12:44`
pub fn clock(t: Time, zone: &Zone) -> String {
    let c = zone.civil(t);
    format!("{:02}:{:02}:{:02}", c.hour, c.minute, c.second)
}

/// `2026-03-28 03:12:44 – 03:14:10`; the date of the end only where it is another day. `None` without a time.
pub fn span(first: Option<Time>, last: Option<Time>, zone: &Zone) -> Option<String> {
    let (a, b) = match (first, last) {
        (Some(a), Some(b)) => (a, b),
        (Some(t), None) | (None, Some(t)) => (t, t),
        (None, None) => return None,
    };
    let start = moment(a, zone);
    let end = moment(b, zone);
    Some(if start == end {
        start
    } else if date(a, zone) == date(b, zone) {
        format!("{start} – {}", clock(b, zone))
    } else {
        format!("{start} – {end}")
    })
}

/// The zone with its offset, where the name does not say it: `Europe/Berlin (+01:00, later +02:00)`.
pub fn zone_name(zone: &Zone, first: Option<Time>, last: Option<Time>) -> String {
    if zone.name == "UTC" || Zone::parse_fixed(&zone.name).is_some() {
        return zone.name.clone();
    }
    let Some(first) = first.or(last) else {
        return zone.name.clone();
    };
    let a = zone.offset_at(first.secs());
    let b = zone.offset_at(last.unwrap_or(first).secs());
    if a == b {
        format!("{} ({})", zone.name, offset(a))
    } else {
        format!("{} ({}, later {})", zone.name, offset(a), offset(b))
    }
}

fn offset(seconds: i32) -> String {
    let minutes = seconds.abs() / 60;
    format!(
        "{}{:02}:{:02}",
        if seconds < 0 { '-' } else { '+' },
        minutes / 60,
        minutes % 60
    )
}

/// `a, b and 12 more`: at most `most` of them, each escaped for its destination.
pub fn list(items: &[String], most: usize, escape: fn(&str) -> Cow<'_, str>) -> String {
    let mut out = String::new();
    for (i, item) in items.iter().take(most).enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        out.push_str(&name(item, escape));
    }
    match items.len().saturating_sub(most) {
        0 => out,
        more => format!("{out} and {} more", thousands(more as u64)),
    }
}

/// `a, b +12`: at most `most` of `all`, where room is short.
pub fn short_list(
    items: &[String],
    all: u64,
    most: usize,
    escape: fn(&str) -> Cow<'_, str>,
) -> String {
    let shown = items.get(..most).unwrap_or(items);
    let list = list(shown, most, escape);
    match all.saturating_sub(shown.len() as u64) {
        0 => list,
        more => format!("{list} +{}", thousands(more)),
    }
}

/// A name as it stood in the log; an empty one, which attackers send too, is shown as `""`.
pub fn name(text: &str, escape: fn(&str) -> Cow<'_, str>) -> String {
    escape(if text.is_empty() { "\"\"" } else { text }).into_owned()
}

/// What was read, in one line: `40,118 lines in 3 files, 12,034 of them about SSH logins`.
pub fn read(input: &Input) -> String {
    let lines = count(input.lines, "line", "lines");
    let files = match input.files.len() {
        0 => String::new(),
        n => format!(" in {}", count(n as u64, "source", "sources")),
    };
    match input.ssh_lines {
        _ if input.lines == 0 => format!("no line{files}"),
        0 if input.narrowed => {
            format!("{lines}{files}, none of them about SSH logins in what was asked for")
        }
        0 => format!("{lines}{files}, none of them about SSH logins"),
        n if n == input.lines => format!("{lines}{files}, all about SSH logins"),
        n => format!("{lines}{files}, {} of them about SSH logins", thousands(n)),
    }
}

/// What happened, in one line: `4,213 connections from 412 addresses: 38 logins, 12,001 failures, …`.
pub fn totals(t: &Totals) -> String {
    let more = if t.addresses_forgotten > 0 { "+" } else { "" };
    let addresses = if t.addresses == 1 && more.is_empty() {
        "address"
    } else {
        "addresses"
    };
    let mut parts = vec![
        count(t.accepted, "login", "logins"),
        count(t.failures, "failed attempt", "failed attempts"),
    ];
    if t.invalid_users > 0 {
        parts.push(format!(
            "{} with a user that does not exist",
            thousands(t.invalid_users)
        ));
    }
    if t.without_attempt > 0 {
        parts.push(format!(
            "{} without an attempt",
            thousands(t.without_attempt)
        ));
    }
    if t.dropped > 0 {
        parts.push(format!("{} dropped", thousands(t.dropped)));
    }
    format!(
        "{} from {}{more} {addresses}: {}",
        count(t.connections, "connection", "connections"),
        thousands(t.addresses),
        parts.join(", ")
    )
}

/// The verdict, or a neutral one where nobody wrote any.
pub fn verdict(r: &Report) -> Cow<'_, str> {
    match (r.verdict.as_str(), r.findings.len() as u64) {
        ("", 0) if r.input.ssh_lines == 0 => Cow::Borrowed("nothing about SSH logins to judge"),
        ("", 0) => Cow::Borrowed("nothing wrong found"),
        ("", n) => Cow::Owned(count(n, "finding", "findings")),
        (verdict, _) => Cow::Borrowed(verdict),
    }
}

/// `lock the account (on the server; risk: …)`
pub fn action(step: &Step) -> String {
    let place = match step.place {
        "" => String::new(),
        "network" => "in the network".to_owned(),
        place => format!("on the {place}"),
    };
    let risk = match step.risk {
        "" | "none" => String::new(),
        risk => format!("risk: {risk}"),
    };
    match (place.as_str(), risk.as_str()) {
        ("", "") => step.action.clone(),
        (a, "") | ("", a) => format!("{} ({a})", step.action),
        (a, b) => format!("{} ({a}; {b})", step.action),
    }
}

/// `brute force: 40 findings`, or how many more than those in full.
pub fn tail(slug: &str, in_full: usize, rest: u64) -> String {
    match in_full {
        0 => format!("{}: {}", label(slug), count(rest, "finding", "findings")),
        _ => format!("{}: {} more", label(slug), thousands(rest)),
    }
}

/// In which zone times were read and are shown.
pub fn zones(input: &Input, zone: &Zone) -> String {
    let shown = zone_name(zone, input.first, input.last);
    match input.zone.as_str() {
        read if read.is_empty() || read == zone.name => format!("times in {shown}"),
        read => format!("local times read as {read}, shown in {shown}"),
    }
}

/// `bastion runs OpenSSH 9.2 – 9.7, by its wording`
pub fn version(v: &HostVersion) -> Option<String> {
    let range = match (&v.since, &v.until) {
        (Some(a), Some(b)) if a == b => a.clone(),
        (Some(a), Some(b)) => format!("{a} – {b}"),
        (Some(a), None) => format!("{a} or later"),
        (None, Some(b)) => format!("{b} or earlier"),
        (None, None) => return None,
    };
    let daemon = v.daemon;
    Some(match v.host.as_str() {
        "" => format!("written by {daemon} {range}, by the wording"),
        host => format!("{host} runs {daemon} {range}, by its wording"),
    })
}

/// How many lines about SSH logins nobody could judge.
pub fn unknown(input: &Input) -> Option<String> {
    let lines = count(input.unknown_lines, "line", "lines");
    (input.unknown_lines > 0)
        .then(|| format!("{lines} about SSH logins not in the catalogue, not judged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(count(1, "line", "lines"), "1 line");
        assert_eq!(count(0, "line", "lines"), "0 lines");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(bytes(4_300_000), "4.1 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(duration(1_050), "17 min");
        assert_eq!(duration(3_600), "1 h");
        assert_eq!(duration(u64::MAX), "106751991 days");
        assert_eq!(percent(0.999), "99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.29), "29 %", "0.29 * 100 is 28.999… in binary");
        assert_eq!(percent(f64::INFINITY), "100 %");
    }

    #[test]
    fn spans_say_the_day_once() {
        let zone = Zone::fixed("+08:00", 8 * 3600);
        let t = |s: i64| Some(Time::from_secs(1_774_713_615 + s));
        assert_eq!(
            span(t(0), t(0), &zone).as_deref(),
            Some("2026-03-29 00:00:15")
        );
        assert_eq!(
            span(t(0), t(60), &zone).as_deref(),
            Some("2026-03-29 00:00:15 – 00:01:15")
        );
        assert_eq!(
            span(t(-60), t(0), &zone).as_deref(),
            Some("2026-03-28 23:59:15 – 2026-03-29 00:00:15")
        );
        assert_eq!(
            span(None, t(0), &zone).as_deref(),
            Some("2026-03-29 00:00:15")
        );
        assert_eq!(span(None, None, &zone), None);
    }

    #[test]
    fn zones_say_their_offset_where_the_name_does_not() {
        let berlin = Zone::new("Europe/Berlin", 3600, vec![(1_774_746_000, 7200)]);
        let before = Some(Time::from_secs(1_774_713_615));
        let after = Some(Time::from_secs(1_774_800_000));
        assert_eq!(zone_name(&berlin, before, before), "Europe/Berlin (+01:00)");
        assert_eq!(
            zone_name(&berlin, before, after),
            "Europe/Berlin (+01:00, later +02:00)"
        );
        assert_eq!(
            zone_name(&Zone::fixed("-05:30", -19_800), before, after),
            "-05:30"
        );
        assert_eq!(
            zone_name(&Zone::fixed("X", -19_800), before, after),
            "X (-05:30)"
        );
        assert_eq!(zone_name(&Zone::utc(), before, after), "UTC");
    }

    #[test]
    fn lists_say_how_many_were_cut() {
        let items: Vec<String> = ["a", "b\x1b", "c"]
            .iter()
            .map(|s| (*s).to_owned())
            .collect();
        assert_eq!(
            list(&items, 3, crate::render::escape::terminal),
            r"a, b\x1b, c"
        );
        assert_eq!(
            list(&items, 1, crate::render::escape::terminal),
            "a and 2 more"
        );
        assert_eq!(
            short_list(&items, 15, 1, crate::render::escape::terminal),
            "a +14"
        );
        assert_eq!(name("", crate::render::escape::html), "&quot;&quot;");
        assert_eq!(list(&[], 1, crate::render::escape::terminal), "");
    }
}
