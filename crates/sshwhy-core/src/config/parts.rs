//! Keywords whose value several lines make: RekeyLimit, MaxStartups, PerSourcePenalties, UnusedConnectionTimeout.
//!
//! As servconf.c: RekeyLimit and PerSourcePenalties take each part from the first line that says it. MaxStartups is the odd
//! one, read with sscanf(3) into the live values: its last line wins, and a line of one number leaves the rate alone. The
//! first UnusedConnectionTimeout wins, but for `none`, which replaces whatever stood before it.

use super::parse::{Directive, Pos};
use super::value::penalty;
use crate::catalog::keywords::Kind;
use crate::version::Release;

/// The value as `sshd -T` prints it, and the lines that a part of it comes from. `inner` are the lines of matching blocks,
/// which go before `outer`, those for everybody.
pub(super) fn assemble(
    kind: Kind,
    default: &str,
    inner: &[Directive],
    outer: &[Directive],
    release: Release,
) -> (String, Vec<Pos>) {
    match kind {
        // Since 10.1 it is like any other: the first line wins.
        Kind::MaxStartups if release >= (10, 1) => {
            let first = outer.first();
            let value = first
                .and_then(|d| d.values.first())
                .map_or(default, String::as_str);
            (value.to_owned(), from(&[first]))
        }
        Kind::MaxStartups => max_startups(default, outer, release),
        Kind::RekeyLimit => rekey_limit(inner, outer),
        Kind::TimeOrNone => time_or_none(default, if inner.is_empty() { outer } else { inner }),
        _ => penalties(default, outer, release),
    }
}

fn from(lines: &[Option<&Directive>]) -> Vec<Pos> {
    let mut out: Vec<Pos> = lines.iter().flatten().map(|d| d.pos).collect();
    out.sort();
    out.dedup();
    out
}

/// The parts of a checked value, which is `a:b:c`.
fn part(d: Option<&Directive>, separator: char, index: usize) -> Option<&str> {
    d?.values.first()?.split(separator).nth(index)
}

fn max_startups(default: &str, lines: &[Directive], release: Release) -> (String, Vec<Pos>) {
    let last = lines.last();
    let rated = lines
        .iter()
        .rev()
        .find(|d| d.words.first().is_some_and(|w| w.contains(':')));
    let known = |i| default.split(':').nth(i).unwrap_or_default();
    // Where numbers below zero were taken, -1 stands for what was not said.
    let said = |d, i| part(d, ':', i).filter(|v| *v != "-1" || release >= (9, 0));
    let value = format!(
        "{}:{}:{}",
        said(last, 0).unwrap_or(known(0)),
        said(rated, 1).unwrap_or(known(1)),
        said(last, 2).unwrap_or(known(2)),
    );
    (value, from(&[last, rated]))
}

fn rekey_limit(inner: &[Directive], outer: &[Directive]) -> (String, Vec<Pos>) {
    let mut all = inner.iter().chain(outer);
    let bytes = all.clone().next();
    let interval = all.find(|d| d.words.get(1).is_some_and(|w| w != "none"));
    let value = format!(
        "{} {}",
        part(bytes, ' ', 0).unwrap_or("0"),
        part(interval, ' ', 1).unwrap_or("0"),
    );
    (value, from(&[bytes, interval]))
}

fn time_or_none(default: &str, lines: &[Directive]) -> (String, Vec<Pos>) {
    let none = |d: &&Directive| {
        d.words
            .first()
            .is_some_and(|w| w.eq_ignore_ascii_case("none"))
    };
    let winner = lines.iter().rev().find(none).or(lines.first());
    let value = winner
        .and_then(|d| d.values.first())
        .map_or(default, String::as_str);
    (value.to_owned(), from(&[winner]))
}

fn penalties(default: &str, lines: &[Directive], release: Release) -> (String, Vec<Pos>) {
    let mut at: Vec<Option<&Directive>> = Vec::new();
    let mut known: Vec<(String, String, bool)> = default
        .split(' ')
        .filter_map(|w| w.split_once(':'))
        .map(|(k, v)| (k.to_owned(), v.to_owned(), false))
        .collect();
    // Saying any part turns them on, whatever stood before.
    let mut on: Option<bool> = None;
    for d in lines {
        for word in &d.words {
            let yes = word.eq_ignore_ascii_case("yes");
            if yes || word.eq_ignore_ascii_case("no") {
                if on.is_none() {
                    on = Some(yes);
                    at.push(Some(d));
                }
                continue;
            }
            let Some((key, value)) = penalty(word, release) else {
                continue;
            };
            if let Some(slot) = known.iter_mut().find(|(k, _, set)| *k == key && !set) {
                (slot.1, slot.2) = (value, true);
                on = Some(true);
                at.push(Some(d));
            }
        }
    }
    // What is not said for IPv6 is as for IPv4.
    let said = |key: &str| known.iter().position(|(k, _, set)| k == key && *set);
    if let (Some(four), None) = (said("overflow"), said("overflow6")) {
        let mode = known
            .get(four)
            .map(|(_, v, _)| v.clone())
            .unwrap_or_default();
        known
            .iter_mut()
            .filter(|(k, ..)| k == "overflow6")
            .for_each(|slot| slot.1.clone_from(&mode));
    }
    let value = match on {
        Some(false) => "no".to_owned(),
        _ => known
            .iter()
            .map(|(k, v, _)| format!("{k}:{v}"))
            .collect::<Vec<_>>()
            .join(" "),
    };
    (value, from(&at))
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, effective::effective, parse::parse};

    fn value(text: &str, release: (u16, u16), keyword: &str) -> (String, Vec<u32>) {
        let files = Memory::default().with("/c", text);
        let e = effective(&parse(&files, "/c", release, "/"), None);
        let s = e.of(keyword).unwrap();
        (s.values.join("|"), s.from.iter().map(|p| p.line).collect())
    }

    #[test]
    fn parts_come_from_the_lines_that_say_them() {
        let startups = |t: &str| value(t, (9, 2), "MaxStartups");
        assert_eq!(startups(""), ("10:30:100".into(), vec![]));
        assert_eq!(
            startups("MaxStartups 3:50:20\nMaxStartups 5\n"),
            ("5:50:5".into(), vec![1, 2])
        );
        assert_eq!(
            startups("MaxStartups 5\nMaxStartups 3:50:20\n"),
            ("3:50:20".into(), vec![2])
        );
        // What was not said has its default; in 8.4 the number for it may be written.
        for (text, said) in [
            ("-1", "10:30:100"),
            ("-1:40:50", "10:40:50"),
            ("-2", "-2:30:-2"),
        ] {
            let text = format!("MaxStartups {text}\n");
            assert_eq!(value(&text, (8, 4), "MaxStartups").0, said);
        }
        assert_eq!(startups("MaxStartups -1\n"), ("10:30:100".into(), vec![]));
        assert_eq!(
            value(
                "MaxStartups 5\nMaxStartups 3:50:20\n",
                (10, 6),
                "MaxStartups"
            ),
            ("5:30:5".into(), vec![1])
        );
        assert_eq!(
            value(
                "RekeyLimit 1G none\nRekeyLimit 2G 60\n",
                (9, 2),
                "RekeyLimit"
            ),
            ("1073741824 60".into(), vec![1, 2])
        );
        let penalties = |t: &str| value(t, (10, 0), "PerSourcePenalties");
        let (text, from) =
            penalties("PerSourcePenalties no\nPerSourcePenalties noauth:30s authfail:1m\n");
        assert!(text.contains("authfail:60 noauth:30 "), "{text}");
        assert_eq!(from, [1, 2]);
        let (text, _) = penalties("PerSourcePenalties overflow:deny-all\n");
        assert!(
            text.ends_with("overflow:deny-all overflow6:deny-all"),
            "{text}"
        );
        assert_eq!(penalties("PerSourcePenalties no\n"), ("no".into(), vec![1]));
    }
}
