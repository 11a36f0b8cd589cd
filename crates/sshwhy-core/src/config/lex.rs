//! How sshd cuts a line of sshd_config into words (misc.c strdelim(), argv_split(); servconf.c), with columns.

/// One word, without its quotes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    pub text: String,
    /// 1-based, in characters.
    pub column: u32,
    /// As it stands in the line, in characters.
    pub width: u32,
}

/// A line that says something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    pub keyword: Word,
    /// What follows the keyword, as it stands, and its column.
    pub rest: String,
    pub rest_column: u32,
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

fn skip(chars: &[char], mut at: usize) -> usize {
    while chars.get(at).is_some_and(|c| SPACE.contains(c)) {
        at += 1;
    }
    at
}

fn text(chars: &[char], from: usize, to: usize) -> String {
    chars.get(from..to).unwrap_or_default().iter().collect()
}

/// Without what sshd strips at the end of a line.
pub fn trim_end(line: &str) -> &str {
    line.trim_end_matches([' ', '\t', '\r', '\n', '\x0c'])
}

/// The next word as strdelim() cuts it, and where the next begins; `None` at the end or where a quote stays open.
fn delimited(chars: &[char], from: usize, equals: bool) -> Option<(Word, usize)> {
    if from >= chars.len() {
        return None;
    }
    let stop = |c: &char| SPACE.contains(c) || *c == '"' || (equals && *c == '=');
    let end = (from..chars.len())
        .find(|i| chars.get(*i).is_some_and(stop))
        .unwrap_or(chars.len());
    let word = |text: String, column: usize, width: usize| Word {
        text,
        column: column as u32 + 1,
        width: width.max(1) as u32,
    };
    if chars.get(end) == Some(&'"') {
        // strdelim() drops the opening quote and goes on to the closing one.
        let close = (end + 1..chars.len()).find(|i| chars.get(*i) == Some(&'"'))?;
        let mut inner = text(chars, from, end);
        inner.push_str(&text(chars, end + 1, close));
        return Some((word(inner, from, close + 1 - from), skip(chars, close + 1)));
    }
    let mut next = end;
    if next < chars.len() {
        let was_equals = chars.get(next) == Some(&'=');
        next = skip(chars, next + 1);
        if equals && !was_equals && chars.get(next) == Some(&'=') {
            next = skip(chars, next + 1);
        }
    }
    Some((word(text(chars, from, end), from, end - from), next))
}

/// The keyword and what follows it; `Ok(None)` for empty lines and comments.
pub fn cut(line: &str) -> Result<Option<Cut>, u32> {
    let chars: Vec<char> = trim_end(line).chars().collect();
    let start = skip(&chars, 0);
    let Some(first) = chars.get(start) else {
        return Ok(None);
    };
    if *first == '#' {
        return Ok(None);
    }
    let (keyword, next) = delimited(&chars, start, true).ok_or(start as u32 + 1)?;
    if keyword.text.is_empty() {
        // `= value`: sshd takes the next word for the keyword.
        let (keyword, next) = delimited(&chars, next, true).ok_or(next as u32 + 1)?;
        return Ok((!keyword.text.is_empty()).then(|| Cut {
            keyword,
            rest: text(&chars, next, chars.len()),
            rest_column: next as u32 + 1,
        }));
    }
    Ok(Some(Cut {
        keyword,
        rest: text(&chars, next, chars.len()),
        rest_column: next as u32 + 1,
    }))
}

/// The words of a Match line: cut by blanks, quotes and `=`, ended by a word that begins with `#`.
pub fn match_words(rest: &str, column: u32) -> Vec<Word> {
    let chars: Vec<char> = rest.chars().collect();
    let mut at = 0;
    let mut words = Vec::new();
    while let Some((mut word, next)) = delimited(&chars, at, true) {
        if word.text.is_empty() || word.text.starts_with('#') {
            break;
        }
        word.column += column - 1;
        words.push(word);
        at = next;
    }
    words
}

/// The words of a directive before OpenSSH 8.7: as of a Match line, with `#` cut off before. Where a quote stays open, what
/// follows it is lost; its column is given beside the words. `equals`: `=` parts words too.
pub fn old_arguments(rest: &str, column: u32, equals: bool) -> (Vec<Word>, Option<u32>) {
    let chars: Vec<char> = rest.chars().collect();
    let (mut at, mut words) = (0, Vec::new());
    while at < chars.len() {
        let Some((mut word, next)) = delimited(&chars, at, equals) else {
            return (words, Some(column + at as u32));
        };
        word.column += column - 1;
        words.push(word);
        at = next;
    }
    (words, None)
}

/// What OpenSSH before 8.7 keeps of a line: nothing from the first `#` on, wherever it stands.
pub fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or_default()
}

/// Words joined again so that a shell would part them as they were (misc.c argv_assemble()).
pub fn assemble<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for (i, word) in words.enumerate() {
        if i > 0 {
            out.push(' ');
        }
        let quote = word.contains([' ', '\t']);
        if quote {
            out.push('"');
        }
        for c in word.chars() {
            if matches!(c, '\\' | '\'' | '"') {
                out.push('\\');
            }
            out.push(c);
        }
        if quote {
            out.push('"');
        }
    }
    out
}

/// The arguments of a directive: blanks part them, quotes of both kinds hold them together, backslash escapes, `#` at the
/// start of a word ends the line. An open quote is an error, at the column given back.
pub fn arguments(rest: &str, column: u32) -> Result<Vec<Word>, u32> {
    let chars: Vec<char> = rest.chars().collect();
    let mut words = Vec::new();
    let mut i = 0;
    while let Some(c) = chars.get(i).copied() {
        if c == ' ' || c == '\t' {
            i += 1;
            continue;
        }
        if c == '#' {
            break;
        }
        let start = i;
        let mut quote = None;
        let mut out = String::new();
        while let Some(c) = chars.get(i).copied() {
            match (c, quote) {
                ('\\', _) => {
                    let next = chars.get(i + 1).copied();
                    let escapes = matches!(next, Some('\'' | '"' | '\\'))
                        || (quote.is_none() && next == Some(' '));
                    if escapes {
                        i += 1;
                    }
                    out.push(if escapes { next.unwrap_or('\\') } else { '\\' });
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some((c, i)),
                (c, Some((q, _))) if c == q => quote = None,
                (c, _) => out.push(c),
            }
            i += 1;
        }
        if let Some((_, at)) = quote {
            return Err(column + at as u32);
        }
        words.push(Word {
            text: out,
            column: column + start as u32,
            width: (i - start).max(1) as u32,
        });
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(rest: &str) -> Vec<String> {
        arguments(rest, 1)
            .unwrap()
            .into_iter()
            .map(|w| w.text)
            .collect()
    }

    #[test]
    fn keywords_are_cut_as_sshd_cuts_them() {
        let cut = |l: &str| cut(l).unwrap().map(|c| (c.keyword.text, c.rest));
        let some = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(cut("Port 22"), some("Port", "22"));
        assert_eq!(cut("  Port=22 \r"), some("Port", "22"));
        assert_eq!(cut("Port = 22"), some("Port", "22"));
        assert_eq!(cut("Port\t\t22"), some("Port", "22"));
        assert_eq!(cut("Banner \"a b\" # c"), some("Banner", "\"a b\" # c"));
        assert_eq!(cut("# Port 22"), None);
        assert_eq!(cut("   "), None);
        assert_eq!(super::cut("\"Port 22"), Err(1));
    }

    #[test]
    fn arguments_honour_quotes_escapes_and_comments() {
        assert_eq!(words("a \"b c\" d#e # f"), ["a", "b c", "d#e"]);
        assert_eq!(words(r"a\ b 'c d' \n"), ["a b", "c d", r"\n"]);
        assert_eq!(words("\"\""), [""]);
        assert_eq!(arguments("a \"b", 10), Err(12));
        let w = arguments("a  bc", 10).unwrap();
        assert_eq!((w[1].column, w[1].width), (13, 2));
    }

    #[test]
    fn older_releases_part_words_at_equals_and_know_no_escapes() {
        let old = |rest: &str, equals| {
            let (words, open) = old_arguments(rest, 1, equals);
            (words.into_iter().map(|w| w.text).collect::<Vec<_>>(), open)
        };
        assert_eq!(
            old("a=b \"c d\" 'e", true),
            (
                vec!["a".into(), "b".into(), "c d".into(), "'e".into()],
                None
            )
        );
        assert_eq!(
            old("A=1 B=\"x y\"", false),
            (vec!["A=1".into(), "B=x y".into()], None)
        );
        assert_eq!(old("a \"b", true), (vec!["a".into()], Some(3)));
        assert_eq!(without_comment("Banner /a#b"), "Banner /a");
        assert_eq!(
            assemble(["a b", "c\"d", "e"].into_iter()),
            "\"a b\" c\\\"d e"
        );
    }

    #[test]
    fn match_lines_split_at_equals_and_stop_at_comments() {
        let m = |s: &str| {
            match_words(s, 7)
                .into_iter()
                .map(|w| w.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(m("User=a,b Host *.x # y"), ["User", "a,b", "Host", "*.x"]);
        assert_eq!(m("User \"a b\""), ["User", "a b"]);
    }
}
