//! How detectors put what they counted into sentences, and fill the catalogue's remedies in.

use super::Context;
use crate::catalog::causes::Remedy;
use crate::catalog::detectors::{self, Detector};
use crate::finding::{Finding, Kind, Severity, Step, Subjects};
use crate::names::UserId;
use crate::time::{DAY, Time, human_span};

/// `1 failure`, `12,034 failures`
pub fn count(n: u64, one: &str, many: &str) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + many.len() + 1);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out.push(' ');
    out.push_str(if n == 1 { one } else { many });
    out
}

/// `in 41 min`, `within a second`, `at unknown times`
pub fn within(first: Time, last: Time) -> String {
    if !first.is_dated() || !last.is_dated() {
        return "at unknown times".to_owned();
    }
    let span = last.0.saturating_sub(first.0);
    if span < 1_000_000 {
        "within a second".to_owned()
    } else {
        format!("in {}", human_span(span))
    }
}

/// Longer names are cut in sentences; they stand whole in the subjects.
const NAME_SHOWN: usize = 40;

pub fn name(user: &str) -> String {
    if user.is_empty() {
        return "the empty name".to_owned();
    }
    match user.char_indices().nth(NAME_SHOWN) {
        Some((at, _)) => format!("{}…", user.get(..at).unwrap_or_default()),
        None => user.to_owned(),
    }
}

/// `root, admin, test and 17 more`; at most four by name.
pub fn list(names: &[String], total: u64) -> String {
    let shown: Vec<String> = names.iter().take(4).map(|n| name(n)).collect();
    let more = total.saturating_sub(shown.len() as u64);
    match (shown.as_slice(), more) {
        ([], _) => "nobody".to_owned(),
        ([one], 0) => one.clone(),
        ([rest @ .., last], 0) => format!("{} and {last}", rest.join(", ")),
        (all, more) => format!("{} and {more} more", all.join(", ")),
    }
}

/// `03:12` on the wall clock of the run's zone.
pub fn clock(t: Time, context: &Context<'_>) -> String {
    let c = context.zone.civil(t);
    format!("{:02}:{:02}", c.hour, c.minute)
}

/// `2026-03-28 03:12`, `at an unknown time`
pub fn moment(t: Time, context: &Context<'_>) -> String {
    if !t.is_dated() {
        return "at an unknown time".to_owned();
    }
    let c = context.zone.civil(t);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        c.year, c.month, c.day, c.hour, c.minute
    )
}

/// The day of an instant on the wall of the run's zone, counted from 1970.
pub fn local_day(t: Time, context: &Context<'_>) -> i64 {
    let offset = i64::from(context.zone.offset_at(t.secs()));
    (t.secs() + offset).div_euclid(DAY / 1_000_000)
}

pub fn users(ids: &[UserId], context: &Context<'_>) -> Vec<String> {
    ids.iter()
        .map(|u| context.names.user_of(*u).to_owned())
        .collect()
}

const MISSING: Detector = Detector {
    id: "SW1000",
    slug: "unknown",
    title: "",
    severity: Severity::Informational,
    hostile: false,
    what: "",
    thresholds: &[],
    remedy: &[],
    refs: &[],
};

/// A finding of that row, with the row's severity, remedy and references; the rest is the detector's to fill in.
pub fn finding(slug: &str, subjects: Subjects) -> Finding {
    of_row(detectors::by_slug(slug).unwrap_or(&MISSING), subjects)
}

/// The same of a row of any table of that form.
pub fn of_row(row: &'static Detector, subjects: Subjects) -> Finding {
    let fill = Fill::of(&subjects);
    Finding {
        id: row.id,
        slug: row.slug,
        cause: None,
        kind: Kind::Detection,
        severity: row.severity,
        confidence: 0.5,
        hostile: row.hostile,
        headline: String::new(),
        first: None,
        last: None,
        count: 0,
        evidence: Vec::new(),
        notes: Vec::new(),
        remedy: row.remedy.iter().map(|r| fill.step(r)).collect(),
        refs: row.refs.to_vec(),
        subjects,
    }
}

/// What stands for `ADDR` and `USER` in commands.
pub struct Fill<'a> {
    addr: Option<&'a str>,
    user: Option<&'a str>,
}

impl<'a> Fill<'a> {
    /// Only what a shell takes as it stands: names in logs are written by attackers.
    pub fn of(subjects: &'a Subjects) -> Fill<'a> {
        let safe_addr = |a: &&String| {
            !a.is_empty()
                && !a.starts_with('-')
                && a.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'/'))
        };
        let safe_user = |u: &&String| {
            u.len() <= 32
                && u.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && u.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let only = |all: &'a [String]| (all.len() == 1).then(|| all.first()).flatten();
        Fill {
            addr: only(&subjects.addrs).filter(safe_addr).map(String::as_str),
            user: only(&subjects.users).filter(safe_user).map(String::as_str),
        }
    }

    pub fn step(&self, row: &Remedy) -> Step {
        Step {
            action: row.action.to_owned(),
            command: row.command.map(|c| self.words(c)),
            place: row.place,
            risk: row.risk,
            undo: row.undo.map(|u| self.words(u)),
        }
    }

    fn words(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (word, value) in [("ADDR", self.addr), ("USER", self.user)] {
            if let Some(value) = value {
                out = replace_word(&out, word, value);
            }
        }
        out
    }
}

/// Replaces a word where no letter, digit or underscore stands beside it.
fn replace_word(text: &str, word: &str, value: &str) -> String {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = rest.split_at(at);
        let after = after.get(word.len()..).unwrap_or_default();
        let previous = before.chars().last().or_else(|| out.chars().last());
        let beside = part(previous) || part(after.chars().next());
        out.push_str(before);
        out.push_str(if beside { word } else { value });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_sentences() {
        let names = |n: &[&str]| n.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(list(&names(&["root"]), 1), "root");
        assert_eq!(list(&names(&["a", "b", "c"]), 3), "a, b and c");
        assert_eq!(
            list(&names(&["a", "b", "c", "d", "e"]), 22),
            "a, b, c, d and 18 more"
        );
        assert_eq!(list(&names(&[""]), 1), "the empty name");
        assert_eq!(name(&"x".repeat(41)), format!("{}…", "x".repeat(40)));
        assert_eq!(count(1234567, "line", "lines"), "1,234,567 lines");
    }

    #[test]
    fn only_what_is_safe_goes_into_commands() {
        let subjects = |addr: &str, user: &str| Subjects {
            addrs: vec![addr.to_owned()],
            users: vec![user.to_owned()],
            ..Subjects::default()
        };
        let s = subjects("2001:db8::7", "alice");
        assert_eq!(
            Fill::of(&s).words("ls ~USER/x ADDR USERS XUSER user=USER,addr=ADDR"),
            "ls ~alice/x 2001:db8::7 USERS XUSER user=alice,addr=2001:db8::7"
        );
        for bad in ["$(reboot)", "a b", "-rf", "", "a;b", "`x`", "x\n"] {
            let s = subjects(bad, bad);
            assert_eq!(Fill::of(&s).words("x ADDR USER"), "x ADDR USER", "{bad:?}");
        }
        let two = Subjects {
            users: vec!["a".to_owned(), "b".to_owned()],
            ..Subjects::default()
        };
        assert_eq!(Fill::of(&two).words("USER"), "USER");
    }
}
