//! What attackers' text becomes before it is shown: one function per destination, used by every view.
//!
//! Log text is hostile: a user name may hold terminal control sequences (OSC 52 writes the clipboard), bidirectional
//! overrides that make a line read as another, markup, spreadsheet formulas or shell metacharacters. Whatever a reader
//! would not see, or would see in another place than where it stands, is shown as a visible escape: `\x1b`, `\u{202e}`.
//! A backslash itself stays as it is (`DOMAIN\user` is common), so the escapes are for the eye; JSON is for programs.

use std::borrow::Cow;
use unicode_width::UnicodeWidthChar;

/// How many combining marks may sit on one character. Real scripts need up to three; more is drawn over other lines.
const MARKS: usize = 3;

/// Characters that draw nothing, a blank, or move what stands around them. Inclusive, ascending.
///
/// Unicode 17: categories Cc, Cf, Zl, Zp, Zs (other than the space), Co and noncharacters, Default_Ignorable_Code_Point,
/// blanks that are letters (Hangul fillers, braille blank), and emoji modifiers, which terminals do not agree about.
const HIDDEN: &[(u32, u32)] = &[
    (0x0000, 0x001f),
    (0x007f, 0x00a0),
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x0600, 0x0605),
    (0x061c, 0x061c),
    (0x06dd, 0x06dd),
    (0x070f, 0x070f),
    (0x0890, 0x0891),
    (0x08e2, 0x08e2),
    (0x115f, 0x1160),
    (0x1680, 0x1680),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x2000, 0x200f),
    (0x2028, 0x202f),
    (0x205f, 0x206f),
    (0x2800, 0x2800),
    (0x3000, 0x3000),
    (0x3164, 0x3164),
    (0xe000, 0xf8ff),
    (0xfdd0, 0xfdef),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0xfffe, 0xffff),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x16fe4, 0x16fe4),
    (0x1bca0, 0x1bca3),
    (0x1d159, 0x1d159),
    (0x1d173, 0x1d17a),
    (0x1f3fb, 0x1f3ff),
    (0xe0000, 0x10ffff),
];

/// Whether a reader would not see this character, or would see others in the wrong place because of it.
pub fn is_hidden(c: char) -> bool {
    let c = u32::from(c);
    if (0x20..0x7f).contains(&c) {
        return false;
    }
    let i = HIDDEN.partition_point(|range| range.1 < c);
    HIDDEN.get(i).is_some_and(|range| range.0 <= c)
}

/// Text for a terminal, for one line of it: no control sequence, no line break, nothing invisible.
pub fn terminal(text: &str) -> Cow<'_, str> {
    rewrite(text, |_| None)
}

/// Text for HTML, as text and inside a quoted attribute; invisible characters as in [`terminal`].
pub fn html(text: &str) -> Cow<'_, str> {
    rewrite(text, |c| {
        Some(match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ => return None,
        })
    })
}

/// Text for a line of Markdown (CommonMark), also inside a table of GitHub's: nothing in it is markup, a link or an image.
pub fn markdown(text: &str) -> Cow<'_, str> {
    rewrite(text, |c| {
        Some(match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '\\' => "\\\\",
            '`' => "\\`",
            '*' => "\\*",
            '_' => "\\_",
            '{' => "\\{",
            '}' => "\\}",
            '[' => "\\[",
            ']' => "\\]",
            '#' => "\\#",
            '!' => "\\!",
            '|' => "\\|",
            '~' => "\\~",
            // Bare addresses become links in some dialects; a colon as an entity is no scheme.
            ':' => "&#58;",
            '@' => "&#64;",
            _ => return None,
        })
    })
}

/// One word of a suggested POSIX shell command, quoted where needed.
///
/// `None` where no quoting makes a word that is both safe and readable: it is empty of meaning to suggest a command with
/// a line break or a control character in it, and a leading dash is read as an option however it is quoted. Then suggest
/// no command.
pub fn shell_word(text: &str) -> Option<Cow<'_, str>> {
    if text.starts_with('-') || text.chars().any(is_hidden) {
        return None;
    }
    let plain = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'_' | b'@' | b'+' | b':' | b',' | b'.' | b'/' | b'-')
    };
    if !text.is_empty() && text.bytes().all(plain) {
        return Some(Cow::Borrowed(text));
    }
    // Inside single quotes nothing is special but the single quote (POSIX Shell Command Language, 2.2.2).
    Some(Cow::Owned(format!("'{}'", text.replace('\'', r"'\''"))))
}

/// One field of a CSV record (RFC 4180), safe to open in a spreadsheet.
///
/// A field that a spreadsheet would run as a formula gets a leading `'`; invisible characters are shown as in
/// [`terminal`], so a field never holds a line break. A semicolon or a tab is quoted too: some locales split there.
pub fn csv_field(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    // The full-width forms are formulas too where the input method writes them.
    let formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    let starts = text.trim_start().chars().next().is_some_and(formula);
    let quote =
        shown.contains(['"', ',', ';', '\'']) || shown.starts_with(' ') || shown.ends_with(' ');
    match (starts, quote) {
        (false, false) => shown,
        (true, false) => Cow::Owned(format!("'{shown}")),
        (defend, true) => {
            let defence = if defend { "'" } else { "" };
            Cow::Owned(format!("\"{defence}{}\"", shown.replace('"', "\"\"")))
        }
    }
}

/// Shows what is hidden and lets a destination replace characters of its own.
fn rewrite(text: &str, special: impl Fn(char) -> Option<&'static str>) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut marks = MARKS; // at the start there is nothing of ours that a mark may change
    for (at, c) in text.char_indices() {
        let mark = !c.is_ascii() && c.width() == Some(0);
        marks = if mark { marks + 1 } else { 0 };
        let hidden = is_hidden(c) || marks > MARKS;
        let replacement = if hidden { None } else { special(c) };
        if !hidden && replacement.is_none() {
            if let Some(out) = &mut out {
                out.push(c);
            }
            continue;
        }
        let out = out.get_or_insert_with(|| {
            let mut s = String::with_capacity(text.len() + 16);
            s.push_str(text.get(..at).unwrap_or_default());
            s
        });
        match replacement {
            Some(r) => out.push_str(r),
            None => push_visible(out, c),
        }
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

fn push_visible(out: &mut String, c: char) {
    use std::fmt::Write;
    let _ = match c {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        c if u32::from(c) < 0x100 => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_ranges_ascend() {
        for (a, b) in HIDDEN.iter().zip(HIDDEN.iter().skip(1)) {
            assert!(a.0 <= a.1 && a.1 < b.0, "{a:x?} {b:x?}");
        }
    }

    #[test]
    fn terminal_shows_control_sequences() {
        let osc52 = "\x1b]52;c;cm0gLXJmIC8=\x07root";
        assert_eq!(terminal(osc52), r"\x1b]52;c;cm0gLXJmIC8=\x07root");
        assert_eq!(terminal("\u{9b}31m"), r"\x9b31m", "the one-character CSI");
        assert_eq!(terminal("a\rb\tc\nd\0e"), r"a\rb\tc\nd\x00e");
    }

    #[test]
    fn terminal_shows_what_reorders_or_hides() {
        assert_eq!(
            terminal("user\u{202e}toor\u{2066}x\u{2069}"),
            r"user\u{202e}toor\u{2066}x\u{2069}"
        );
        assert_eq!(
            terminal("ro\u{200b}ot\u{feff}\u{ad}\u{a0}"),
            r"ro\u{200b}ot\u{feff}\xad\xa0"
        );
        assert_eq!(
            terminal("\u{e0041}\u{fe0f}\u{3164}\u{2028}"),
            r"\u{e0041}\u{fe0f}\u{3164}\u{2028}"
        );
    }

    #[test]
    fn marks_stay_where_people_need_them_and_are_shown_where_they_pile_up() {
        assert_eq!(terminal("Jose\u{301} ผู้ใช้ हिन्दी"), "Jose\u{301} ผู้ใช้ हिन्दी");
        assert_eq!(terminal("\u{301}x"), r"\u{301}x");
        assert_eq!(
            terminal("a\u{301}\u{302}\u{303}\u{304}"),
            "a\u{301}\u{302}\u{303}\\u{304}"
        );
    }

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in [
            "",
            "root",
            "DOMAIN\\user",
            "管理员",
            "Пользователь",
            "größe – 5 × 3",
            "<b>",
        ] {
            assert!(
                matches!(terminal(text), Cow::Borrowed(t) if t == text),
                "{text}"
            );
        }
        assert!(matches!(html("größe"), Cow::Borrowed(_)));
    }

    #[test]
    fn html_is_safe_as_text_and_as_attribute() {
        assert_eq!(
            html("<script>alert('x')</script>\" onload=\"x&y"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=&quot;x&amp;y"
        );
        assert_eq!(html("a\u{202e}<b>\x1b"), r"a\u{202e}&lt;b&gt;\x1b");
    }

    #[test]
    fn markdown_is_text_only() {
        assert_eq!(
            markdown("![x](http://h) `a` <b> |*_#"),
            "\\!\\[x\\](http&#58;//h) \\`a\\` &lt;b&gt; \\|\\*\\_\\#"
        );
        assert_eq!(markdown("a\nb\u{202e}"), "a\\nb\\u{202e}");
        assert!(matches!(markdown("job 12 (x.sh)"), Cow::Borrowed(_)));
    }

    #[test]
    fn shell_words_stay_one_word() {
        let word = |t| shell_word(t).map(Cow::into_owned);
        assert_eq!(word("alice").as_deref(), Some("alice"));
        assert_eq!(word("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(word("/home/a b").as_deref(), Some("'/home/a b'"));
        assert_eq!(
            word("'; rm -rf / #").as_deref(),
            Some(r"''\''; rm -rf / #'")
        );
        assert_eq!(word("$(id)`id`!x").as_deref(), Some("'$(id)`id`!x'"));
        assert_eq!(word("~root").as_deref(), Some("'~root'"));
        assert_eq!(word("").as_deref(), Some("''"));
        for refused in [
            "-rf",
            "--help",
            "a\nb",
            "a\rb",
            "\x1b[2J",
            "a\u{202e}b",
            "a\0",
        ] {
            assert_eq!(word(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn a_real_shell_reads_back_what_was_quoted() {
        for text in [
            "'; rm -rf / #",
            "$(id)`id`!x",
            "a'b'c",
            "*",
            "~root",
            "",
            "a\\b",
            "x y  z",
            "管理员",
        ] {
            let word = shell_word(text).unwrap();
            let out = std::process::Command::new("sh")
                .args(["-c", &format!("printf '%s|' {word}")])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), format!("{text}|"));
        }
    }

    #[test]
    fn csv_quotes_and_disarms() {
        assert_eq!(csv_field("root"), "root");
        assert_eq!(csv_field("a,b"), "\"a,b\"");
        assert_eq!(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(csv_field("=cmd|' /C calc'!A0"), "\"'=cmd|' /C calc'!A0\"");
        for start in ['=', '+', '-', '@', '＝'] {
            assert_eq!(csv_field(&format!("{start}1")), format!("'{start}1"));
        }
        assert_eq!(
            csv_field("\t=1"),
            "'\\t=1",
            "a spreadsheet would drop the tab and run the rest"
        );
        assert_eq!(csv_field("a;=1"), "\"a;=1\"");
        assert_eq!(csv_field("a\r\nb"), r"a\r\nb");
        assert_eq!(csv_field("1-2"), "1-2", "a dash inside is no formula");
    }
}
