//! Which files are rotations of one log, and which of them is older: told from their names, as rotation programs make them.

use sshwhy_core::time::Time;

/// How old a rotated copy is among its siblings.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Age {
    /// Digits of a date and time, so that they compare as text, and a number where several came on one day.
    Dated(String, u32),
    /// `.1` is younger than `.2`; `.0` is the youngest where counting begins there.
    Numbered(u32),
    /// `.old`
    Old,
    /// Still written to.
    Current,
}

/// A file name taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// `auth.log` of `auth.log.2.gz`.
    pub base: String,
    pub age: Age,
    pub packed: bool,
}

const PACKED: &[&str] = &[".gz", ".xz", ".zst", ".zstd", ".bz2", ".lz4", ".lzma", ".Z"];

pub fn rotation(name: &str) -> Rotation {
    // systemd: system@SEQUENCE-NUMBER-TIME.journal, and .journal~ after a crash. They are ordered by what stands in them.
    if let Some(stem) = name
        .strip_suffix('~')
        .unwrap_or(name)
        .strip_suffix(".journal")
        && let Some((user, _)) = stem.split_once('@')
    {
        return Rotation {
            base: format!("{user}.journal"),
            age: Age::Old,
            packed: false,
        };
    }
    let mut stem = name;
    let mut packed = false;
    for ending in PACKED {
        if let Some(s) = stem.strip_suffix(ending).filter(|s| !s.is_empty()) {
            stem = s;
            packed = true;
            break;
        }
    }
    if let Some((base, age)) = suffix(stem) {
        return Rotation {
            base: base.to_owned(),
            age,
            packed,
        };
    }
    // logrotate's `extension .log`: auth.1.log, auth-20261103.log
    if let Some((inner, extension)) = stem.rsplit_once('.')
        && matches!(extension, "log" | "txt")
        && let Some((base, age)) = suffix(inner)
    {
        return Rotation {
            base: format!("{base}.{extension}"),
            age,
            packed,
        };
    }
    Rotation {
        base: stem.to_owned(),
        age: Age::Current,
        packed,
    }
}

/// Splits off `.3`, `.old`, `-20261103`, `-2026-11-03`, `.20261103-040506`, `-20261103.1`, `-1793678706`.
fn suffix(stem: &str) -> Option<(&str, Age)> {
    if let Some(base) = stem.strip_suffix(".old").filter(|b| !b.is_empty()) {
        return Some((base, Age::Old));
    }
    if let Some((base, date)) = dated(stem) {
        return Some((base, Age::Dated(date, 0)));
    }
    let (base, number) = stem.rsplit_once('.')?;
    // An address such as 192.0.2.7 names a host, not a rotation.
    let named = base.bytes().any(|b| b.is_ascii_alphabetic());
    if !named
        || number.is_empty()
        || number.len() > 3
        || !number.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let number = number.parse().ok()?;
    Some(match dated(base) {
        Some((base, date)) => (base, Age::Dated(date, number)),
        None => (base, Age::Numbered(number)),
    })
}

/// Splits off a date at the end, behind `-`, `.` or `_`.
fn dated(stem: &str) -> Option<(&str, String)> {
    // The date is the longest tail of digits and separators that reads as one.
    let tail = stem
        .bytes()
        .rev()
        .take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b'T' | b':'))
        .count();
    let from = stem.len() - tail;
    for (i, separator) in stem.bytes().enumerate().skip(from.max(1)) {
        if !matches!(separator, b'-' | b'.' | b'_') {
            continue;
        }
        let (base, date) = (stem.get(..i)?, stem.get(i + 1..)?);
        if !date.starts_with(|c: char| c.is_ascii_digit()) || date.contains('.') {
            continue;
        }
        let digits: String = date.chars().filter(char::is_ascii_digit).collect();
        if let Some(digits) = date_digits(&digits) {
            return Some((base, digits));
        }
    }
    None
}

/// `YYYYMMDD` with or without a time of day, or seconds since the epoch, as digits of the first kind.
fn date_digits(digits: &str) -> Option<String> {
    let n = |from: usize, to: usize| digits.get(from..to)?.parse::<u32>().ok();
    let plausible = matches!(digits.len(), 8 | 10 | 12 | 14)
        && (1970..2200).contains(&n(0, 4)?)
        && (1..=12).contains(&n(4, 6)?)
        && (1..=31).contains(&n(6, 8)?);
    if plausible {
        return Some(digits.to_owned());
    }
    if digits.len() == 10 {
        let c = Time::from_secs(digits.parse().ok()?).civil();
        return Some(format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        ));
    }
    None
}

/// Sorts what `of` sees as rotations of one log, oldest first. Where names of different styles meet (the rotation was
/// reconfigured), only the time of the last write can order them.
pub fn sort<T>(set: &mut [T], of: impl Fn(&T) -> (&Age, Option<i64>, &str)) {
    let style = |age: &Age| match age {
        Age::Dated(..) => Some(0),
        Age::Numbered(_) => Some(1),
        Age::Old => Some(2),
        Age::Current => None,
    };
    let mut styles: Vec<_> = set.iter().filter_map(|t| style(of(t).0)).collect();
    styles.sort_unstable();
    styles.dedup();
    let mixed = styles.len() > 1;
    set.sort_by(|a, b| {
        let ((age_a, mtime_a, name_a), (age_b, mtime_b, name_b)) = (of(a), of(b));
        let current = |age: &Age| *age == Age::Current;
        current(age_a)
            .cmp(&current(age_b))
            .then_with(|| {
                if mixed {
                    mtime_a.cmp(&mtime_b)
                } else {
                    match (age_a, age_b) {
                        (Age::Numbered(x), Age::Numbered(y)) => y.cmp(x),
                        _ => age_a.cmp(age_b),
                    }
                }
            })
            .then_with(|| name_a.cmp(name_b))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let dated = |d: &str, n| Age::Dated(d.to_owned(), n);
        for (name, base, age, packed) in [
            ("auth.log", "auth.log", Age::Current, false),
            ("auth.log.1", "auth.log", Age::Numbered(1), false),
            ("auth.log.12.gz", "auth.log", Age::Numbered(12), true),
            ("auth.log.0.bz2", "auth.log", Age::Numbered(0), true),
            ("secure-20261103", "secure", dated("20261103", 0), false),
            ("secure-20261103.xz", "secure", dated("20261103", 0), true),
            ("secure-20261103.1.xz", "secure", dated("20261103", 1), true),
            ("secure-2026-11-03", "secure", dated("20261103", 0), false),
            (
                "secure.20261103-040506.zst",
                "secure",
                dated("20261103040506", 0),
                true,
            ),
            ("secure-2026110304", "secure", dated("2026110304", 0), false),
            (
                "secure-1793678706",
                "secure",
                dated("20261103040506", 0),
                false,
            ),
            ("auth-20261103.log", "auth.log", dated("20261103", 0), false),
            ("auth.1.log.gz", "auth.log", Age::Numbered(1), true),
            ("messages.old", "messages", Age::Old, false),
            ("auth.log.gz", "auth.log", Age::Current, true),
            (
                "system@0123-01-0006.journal",
                "system.journal",
                Age::Old,
                false,
            ),
            (
                "user-1000@0006-0f.journal~",
                "user-1000.journal",
                Age::Old,
                false,
            ),
            ("system.journal", "system.journal", Age::Current, false),
            // Near misses.
            ("web-10", "web-10", Age::Current, false),
            ("host1.2026", "host1.2026", Age::Current, false),
            ("host-20261399", "host-20261399", Age::Current, false),
            ("192.0.2.5.log", "192.0.2.5.log", Age::Current, false),
            ("192.0.2.5", "192.0.2.5", Age::Current, false),
            (".1", ".1", Age::Current, false),
            (".gz", ".gz", Age::Current, false),
            ("20261103", "20261103", Age::Current, false),
        ] {
            let want = Rotation {
                base: base.to_owned(),
                age,
                packed,
            };
            assert_eq!(rotation(name), want, "{name}");
        }
    }

    fn sorted(names: &[(&str, i64)]) -> Vec<String> {
        let mut set: Vec<_> = names
            .iter()
            .map(|(n, m)| (rotation(n).age, *m, (*n).to_owned()))
            .collect();
        sort(&mut set, |(age, mtime, name)| (age, Some(*mtime), name));
        set.into_iter().map(|(_, _, name)| name).collect()
    }

    #[test]
    fn oldest_first_in_every_style() {
        let table: &[&[&str]] = &[
            &[
                "auth.log.10.gz",
                "auth.log.9.gz",
                "auth.log.2.xz",
                "auth.log.1",
                "auth.log",
            ],
            &["auth.log.2.gz", "auth.log.1.gz", "auth.log.0", "auth.log"],
            &[
                "secure-20251231.gz",
                "secure-20260104.bz2",
                "secure-20261103",
                "secure",
            ],
            &[
                "s-20261102",
                "s-20261103",
                "s-20261103.1",
                "s-20261103.2",
                "s",
            ],
            &["s-20261102", "s-1793678706", "s"],
            &["messages.old", "messages"],
            &["auth.2.log", "auth.1.log", "auth.log"],
        ];
        for want in table {
            // From every starting order that a rotation of the list gives.
            for turn in 0..want.len() {
                let mut names: Vec<_> = want.iter().map(|n| (*n, 0)).collect();
                names.rotate_left(turn);
                assert_eq!(sorted(&names), *want);
            }
        }
    }

    #[test]
    fn mixed_styles_are_ordered_by_the_last_write() {
        let got = sorted(&[
            ("auth.log", 5),
            ("auth.log.1", 40),
            ("auth.log-20261103", 30),
            ("auth.log.2.gz", 20),
        ]);
        assert_eq!(
            got,
            [
                "auth.log.2.gz",
                "auth.log-20261103",
                "auth.log.1",
                "auth.log"
            ]
        );
    }
}
