//! Envelopes of all kinds, each with the line that it holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

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
fn columns_and_records_are_no_name_on_either_way() {
    let zone = Zone::parse_fixed("+01:00").unwrap();
    for raw in [
        &b"Nov  3 04:05:06 web1 s\x08shd[812]: Invalid user bob from 192.0.2.7 port 50122"[..],
        b"Nov  3 04:05:06 web1 a,sshd[812]: Invalid user bob from 192.0.2.7 port 50122",
        b"2026-11-03T04:05:06Z {web1 sshd[812]: Invalid user bob from 192.0.2.7 port 50122",
    ] {
        let mut parser = LineParser::new(&zone, Years::starting(2026));
        assert!(parser.fast(raw).is_none());
        assert_eq!(parser.slow(raw, &mut Vec::new()).pid, None);
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

#[test]
fn a_clock_with_more_digits_than_a_clock_has_overflows_nothing() {
    let zone = Zone::utc();
    let mut scratch = Vec::new();
    let mut p = LineParser::new(&zone, Years::starting(2026));
    for raw in [
        "Nov  3 99999999999999999999:05:06 web1 sshd[812]: x",
        "Nov 99999999999999999999 04:05:06 web1 sshd[812]: x",
        "Nov  3 04:05:06.99999999999999999999999 web1 sshd[812]: x",
        "2026-11-03T04:05:06.99999999999999999999999+99:99 web1 sshd[812]: x",
        "2026-11-03T04:05:06Z web1 sshd[99999999999999999999]: x",
        "9999999999.9999999999999 web1 sshd[812]: x",
        "99999999999999999999 <38>1 2026-11-03T03:05:06Z web1 sshd 812 - - x",
        "<99999999999999999999>1 2026-11-03T03:05:06Z web1 sshd 99999999999999999999 - - x",
        "type=USER_LOGIN msg=audit(999999999999999999.9999999:45): pid=99999999999 exe=\"/usr/sbin/sshd\"",
        "@ffffffffffffffffffffffff sshd[812]: x",
        "@40000000ffffffffffffffff sshd[812]: x",
        "{\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":\"99999999999999999999\",\"_PID\":\"99999999999999999999\"}",
        "{\"message\":\"x\",\"timestamp\":99999999999999999999}",
        "web1 sshd[812]: message repeated 99999999999999999999 times: [ x]",
        "web1 last message repeated 99999999999999999999 times",
        "[99999999999999999999] Jul 10 23:53:52 x",
    ] {
        let line = p.parse(raw.as_bytes(), &mut scratch);
        // Far enough from the ends that spans of time can be added.
        let far = Time::from_secs(200_000_000_000);
        assert!(
            line.time.is_none_or(|t| t < far && t.0 > -far.0),
            "{raw}: {line:?}"
        );
        assert!(line.repeat > 0, "{raw}: {line:?}");
    }
    assert_eq!(number(b"1234567"), Some((1_234_567, 7)));
    assert_eq!(number(b"4294967295 "), Some((u32::MAX, 10)));
    assert_eq!(number(b"4294967296 "), None);
    assert_eq!(number(b"99999999999"), None);
}

#[test]
fn numbers_are_read_alike_by_eights_and_one_by_one() {
    for n in [0u32, 7, 10, 99, 812, 4_214, 65_535, 123_456, 1_234_567] {
        for tail in [
            "",
            "]",
            "]: xxxxxxxx",
            " port",
            "/2xxxxxxxxx",
            "\u{b9}xxxxxxx",
        ] {
            let text = format!("{n}{tail}");
            assert_eq!(
                number(text.as_bytes()),
                Some((n, n.to_string().len())),
                "{text}"
            );
        }
    }
    for text in [
        "", "]", "x1234567", "-1234567", "/1234567", ":1234567", " 1234567",
    ] {
        assert_eq!(number(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn another_programs_repeats_are_its_own() {
    let zone = Zone::utc();
    let mut scratch = Vec::new();
    let mut p = LineParser::new(&zone, Years::starting(2026));
    // Twice: the second time its beginning is known.
    for _ in 0..2 {
        for program in ["CRON", "sudo", "sshguard"] {
            let raw = format!(
                "Nov  3 04:05:06 web1 {program}[9]: message repeated 4 times: [ Failed password for root from 192.0.2.7 port 1 ssh2]"
            );
            let line = p.parse(raw.as_bytes(), &mut scratch);
            assert_eq!((line.program, line.repeat), (Program::Other, 1), "{raw}");
            assert!(line.message.starts_with(b"message repeated"), "{line:?}");
            assert!(!line.repeats_last);
        }
    }
}

#[test]
fn every_second_of_a_minute_is_read_as_by_itself() {
    // With a change of clocks at 01:00 UTC, in the middle of the minutes read.
    let zone = Zone::new(
        "Test",
        3600,
        vec![(1_774_746_000, 7200), (1_792_890_000, 3600)],
    );
    let mut scratch = Vec::new();
    let mut together = LineParser::new(&zone, Years::starting(2026));
    for (month, day) in [("Mar", 29), ("Jul", 1), ("Oct", 25), ("Nov", 3)] {
        for hour in 0..5 {
            for minute in [0, 1, 29, 30, 59] {
                for second in [0, 1, 30, 58, 59, 60, 61, 7] {
                    for raw in [
                        format!(
                            "{month} {day:2} {hour:02}:{minute:02}:{second:02} web1 sshd[812]: x"
                        ),
                        format!(
                            "2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}.25+01:00 web1 sshd[812]: x"
                        ),
                    ] {
                        let all = together.parse(raw.as_bytes(), &mut scratch);
                        let all = (all.time, all.twice, all.host.to_owned());
                        let mut alone = LineParser::new(&zone, Years::starting(2026));
                        let one = alone.parse(raw.as_bytes(), &mut scratch);
                        assert_eq!(all, (one.time, one.twice, one.host.to_owned()), "{raw}");
                    }
                }
            }
        }
    }
}
