//! Settings of the daemons as TOML: what a mistake in the file looks like (`file:line:column: why`), and lengths of time
//! as fail2ban and Prometheus write them (`10`, `30s`, `10m`, `1h`, `7d`).

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// A settings file larger than this is none.
const LARGEST: u64 = 8 << 20;

/// Reads a file. The error names the place: `monitor.toml:12:7: unknown field …`.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let name = path.display();
    let size = std::fs::metadata(path)
        .map_err(|e| format!("cannot read {name}: {e}"))?
        .len();
    if size > LARGEST {
        return Err(format!(
            "{name} is {size} bytes; settings are smaller than {LARGEST}"
        ));
    }
    let bytes = std::fs::read(path).map_err(|e| format!("cannot read {name}: {e}"))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let (line, column) = place(e.as_bytes(), at);
        format!("{name}:{line}:{column}: not UTF-8")
    })?;
    parse(&text, &name.to_string())
}

/// The same for text that is at hand.
pub fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|e| {
        let (line, column) = place(text.as_bytes(), e.span().map_or(0, |s| s.start));
        let why = e.message().replace('\n', ", ");
        format!("{name}:{line}:{column}: {why}")
    })
}

/// Line and column, from 1, of a byte.
pub fn place(text: &[u8], at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |i| i + 1);
    let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default())
        .chars()
        .count();
    (line, column + 1)
}

/// A length of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Span(pub Duration);

impl Span {
    pub const fn secs(secs: u64) -> Span {
        Span(Duration::from_secs(secs))
    }

    /// `10`, `1.5`, `250ms`, `30s`, `10m`, `1h`, `7d`, `2w`; several in a row add up: `1h30m`.
    pub fn parse(text: &str) -> Option<Span> {
        let text = text.trim();
        let mut rest = text;
        let mut total = 0.0_f64;
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let (number, tail) = rest.split_at_checked(digits)?;
            let number: f64 = number.parse().ok()?;
            let letters = tail
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at_checked(letters)?;
            total += number
                * match unit {
                    "" if tail.is_empty() => 1.0,
                    "ms" => 0.001,
                    "s" => 1.0,
                    "m" => 60.0,
                    "h" => 3600.0,
                    "d" => 86_400.0,
                    "w" => 604_800.0,
                    _ => return None,
                };
            rest = tail.trim_start();
        }
        if text.is_empty() || total > 1e10 {
            return None;
        }
        Duration::try_from_secs_f64(total).ok().map(Span)
    }
}

impl<'de> serde::Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time such as 10, \"30s\", \"10m\", \"1h\" or \"7d\"")
            }
            fn visit_i64<E: Error>(self, n: i64) -> Result<Span, E> {
                self.visit_f64(n as f64)
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Span, E> {
                self.visit_f64(n as f64)
            }
            fn visit_f64<E: Error>(self, n: f64) -> Result<Span, E> {
                Duration::try_from_secs_f64(n)
                    .ok()
                    .filter(|d| d.as_secs() < 10_000_000_000)
                    .map(Span)
                    .ok_or_else(|| E::custom("a length of time cannot be that"))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).ok_or_else(|| {
                    E::custom(format!(
                        "{text:?} is no length of time: write 10, \"30s\", \"10m\", \"1h\" or \"7d\""
                    ))
                })
            }
        }
        d.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct File {
        every: Span,
    }

    #[test]
    fn lengths_of_time() {
        for (text, ms) in [
            ("10", 10_000),
            ("1.5", 1500),
            ("250ms", 250),
            ("30s", 30_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("7d", 604_800_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(
                Span::parse(text),
                Some(Span(Duration::from_millis(ms))),
                "{text}"
            );
        }
        for bad in [
            "",
            "m",
            "10 20",
            "1y",
            "-3",
            "1e5",
            "99999999999999d",
            "1..2",
        ] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
        let f: File = parse("every = 5", "f").unwrap();
        assert_eq!(f.every, Span::secs(5));
    }

    #[test]
    fn a_mistake_has_a_place() {
        for (text, begins) in [
            ("every = \"1y\"", "f.toml:1:9: \"1y\" is no length of time"),
            ("every = -1", "f.toml:1:9: a length of time cannot be that"),
            ("every = 5\nevry = 7", "f.toml:2:1: unknown field `evry`"),
            ("# é\né = [", "f.toml:2:"),
            ("", "f.toml:1:1: missing field `every`"),
            ("every = true", "f.toml:1:9: invalid type: boolean"),
        ] {
            let e = parse::<File>(text, "f.toml").unwrap_err();
            assert!(e.starts_with(begins), "{text:?}: {e}");
        }
        assert_eq!(place(b"a\nbc", 3), (2, 2));
        assert_eq!(place(b"a", 99), (1, 2));
    }
}
