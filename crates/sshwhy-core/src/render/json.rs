//! The JSON view: serde's, with every character escaped that a terminal or an editor would not show as it is.
//!
//! `cat report.json` must be as safe as the text view, and a program that reads it must get back the exact text: so what
//! is hidden ([`escape::is_hidden`]) leaves as `\u202e`, never raw and never as the lossy escapes of the other views.

use super::escape;
use crate::finding::Finding;
use crate::report::Report;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::io::{self, Write};

/// The whole report, one JSON object and a newline.
pub fn report(r: &Report, pretty: bool) -> String {
    to_string(r, pretty)
}

/// `{"findings": […]}` and a newline.
pub fn findings_only(findings: &[Finding], pretty: bool) -> String {
    #[derive(Serialize)]
    struct Findings<'a> {
        findings: &'a [Finding],
    }
    to_string(&Findings { findings }, pretty)
}

/// Any value of ours, with the safe escapes, and a newline.
pub fn to_string<T: Serialize>(value: &T, pretty: bool) -> String {
    let mut out = Vec::new();
    let result = if pretty {
        value.serialize(&mut serde_json::Serializer::with_formatter(
            &mut out,
            Safe(PrettyFormatter::new()),
        ))
    } else {
        value.serialize(&mut serde_json::Serializer::with_formatter(
            &mut out,
            Safe(CompactFormatter),
        ))
    };
    // Writing to memory does not fail, and our types have string keys only; a half object would be worse than none.
    debug_assert!(result.is_ok());
    if result.is_err() {
        out.clear();
        out.extend_from_slice(b"{}");
    }
    out.push(b'\n');
    let text = String::from_utf8(out).unwrap_or_default();
    if pretty { fold_numbers(&text) } else { text }
}

/// Puts arrays of numbers on one line: a row of a heat map is a row. Strings never hold a line break here.
fn fold_numbers(pretty: &str) -> String {
    let mut out = String::with_capacity(pretty.len());
    let mut lines = pretty.lines().peekable();
    let number = |line: &str| {
        line.trim_start()
            .starts_with(|c: char| c == '-' || c.is_ascii_digit())
    };
    while let Some(line) = lines.next() {
        out.push_str(line);
        if line.ends_with('[') && lines.peek().is_some_and(|l| number(l)) {
            let mut gap = "";
            while let Some(n) = lines.next_if(|l| number(l)) {
                out.push_str(gap);
                out.push_str(n.trim_start());
                gap = " ";
            }
            if let Some(end) = lines.next_if(|l| l.trim_start().starts_with(']')) {
                out.push_str(end.trim_start());
            }
        }
        out.push('\n');
    }
    out
}

/// Appends `text` as a JSON string with its quotes: for writers of many small objects, without a serializer.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text
        .bytes()
        .all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\')
    {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut from = 0;
    for (at, c) in text.char_indices() {
        if c != '"' && c != '\\' && !escape::is_hidden(c) {
            continue;
        }
        out.extend_from_slice(text.as_bytes().get(from..at).unwrap_or_default());
        from = at + c.len_utf8();
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c => push_units(out, c),
        }
    }
    out.extend_from_slice(text.as_bytes().get(from..).unwrap_or_default());
    out.push(b'"');
}

/// `\uXXXX`, as a surrogate pair where it takes two (RFC 8259, 7).
fn push_units(out: &mut Vec<u8>, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

/// A serde_json formatter that escapes what is hidden and leaves the layout to another.
struct Safe<F>(F);

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in fragment
            .char_indices()
            .filter(|(_, c)| escape::is_hidden(*c))
        {
            w.write_all(fragment.as_bytes().get(from..at).unwrap_or_default())?;
            from = at + c.len_utf8();
            let mut units = Vec::with_capacity(12);
            push_units(&mut units, c);
            w.write_all(&units)?;
        }
        w.write_all(fragment.as_bytes().get(from..).unwrap_or_default())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_array(w)
    }
    fn end_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_array(w)
    }
    fn begin_array_value<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(w, first)
    }
    fn end_array_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_array_value(w)
    }
    fn begin_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_object(w)
    }
    fn end_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_object(w)
    }
    fn begin_object_key<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(w, first)
    }
    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_object_value(w)
    }
    fn end_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_object_value(w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &[&str] = &[
        "\x1b]52;c;cm0gLXJmIC8=\x07root",
        "a\u{202e}b\u{2066}\u{2028}\u{2029}",
        "\u{7f}\u{85}\u{9b}31m",
        "\u{e0041}\u{10ffff} tag",
        "\"\\/\n\r\t\u{8}\u{c}\0",
        "<script>alert('x')</script>",
        "管理员 größe 😀",
        "",
    ];

    #[test]
    fn nothing_hidden_is_raw_and_nothing_is_lost() {
        for text in HOSTILE {
            for pretty in [false, true] {
                let json = to_string(text, pretty);
                let json = json.trim_end_matches('\n');
                assert!(!json.chars().any(escape::is_hidden), "{json}");
                assert_eq!(serde_json::from_str::<String>(json).unwrap(), *text);
            }
            let mut out = Vec::new();
            push_string(&mut out, text);
            let json = String::from_utf8(out).unwrap();
            assert!(!json.chars().any(escape::is_hidden), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), *text);
        }
    }

    #[test]
    fn beyond_the_first_plane_is_a_surrogate_pair() {
        assert_eq!(to_string(&"\u{e0041}", false), "\"\\udb40\\udc41\"\n");
    }

    #[test]
    fn keys_are_escaped_too() {
        let map = std::collections::BTreeMap::from([("a\u{202e}", 1)]);
        assert_eq!(to_string(&map, false), "{\"a\\u202e\":1}\n");
    }

    #[test]
    fn pretty_differs_in_layout_only() {
        let r = Report::default();
        let compact: serde_json::Value = serde_json::from_str(&report(&r, false)).unwrap();
        let pretty: serde_json::Value = serde_json::from_str(&report(&r, true)).unwrap();
        assert_eq!(compact, pretty);
        assert_eq!(report(&r, false).lines().count(), 1);
        let rows = report(&r, true);
        assert!((30..100).contains(&rows.lines().count()), "{rows}");
    }

    #[test]
    fn only_arrays_of_numbers_are_folded() {
        let value = serde_json::json!({"a": [1, -2.5, 3], "b": ["1", "["], "c": [], "d": [[0], [1, 2]], "e": [1, "x", 2]});
        let text = to_string(&value, true);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
        assert!(text.contains("\"a\": [1, -2.5, 3],\n"), "{text}");
        assert!(text.contains("    [1, 2]\n"), "{text}");
        assert!(text.contains("\"b\": [\n    \"1\",\n"), "{text}");
    }
}
