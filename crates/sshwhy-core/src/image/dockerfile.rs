//! A Dockerfile to stages and instructions, as BuildKit's parser reads it: the escape directive, continuation lines with
//! comments between them, heredocs, ARG and ENV, flags, the JSON form.
//!
//! Any text gives some tree; what cannot be read is told with its line. Values are bounded, so that a variable which
//! contains itself twice, many times over, ends.

use std::collections::BTreeMap;

/// Longest text of one instruction after variables were put in.
const MOST: usize = 64 << 10;
const MOST_INSTRUCTIONS: usize = 2_000;

/// What an instruction was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Words {
    /// `["a", "b"]`: run as it stands.
    Exec(Vec<String>),
    /// Text for a shell (or words for instructions that take no command).
    Shell(String),
}

impl Words {
    /// One line, for looking into it.
    pub fn text(&self) -> String {
        match self {
            Words::Exec(words) => words.join(" "),
            Words::Shell(text) => text.clone(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// In capitals.
    pub name: String,
    /// `--from=build` as (`from`, `build`).
    pub flags: Vec<(String, String)>,
    pub words: Words,
    /// Bodies of heredocs, in order.
    pub documents: Vec<String>,
    /// First and last line, from 1.
    pub lines: (u32, u32),
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stage {
    /// What follows FROM, variables put in.
    pub base: String,
    pub name: Option<String>,
    pub line: u32,
    pub instructions: Vec<Instruction>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dockerfile {
    pub stages: Vec<Stage>,
    /// Line and what is wrong with it.
    pub errors: Vec<(u32, String)>,
}

impl Dockerfile {
    /// The instructions that make the last stage, those of the stages that it builds on first.
    pub fn final_instructions(&self) -> Vec<&Instruction> {
        let Some(mut at) = self.stages.len().checked_sub(1) else {
            return Vec::new();
        };
        let mut chain = vec![at];
        while let Some(stage) = self.stages.get(at) {
            // A stage builds on an earlier one only: this ends.
            let Some(before) = self.stages.iter().take(at).rposition(|s| {
                s.name
                    .as_deref()
                    .is_some_and(|n| n.eq_ignore_ascii_case(&stage.base))
            }) else {
                break;
            };
            chain.push(before);
            at = before;
        }
        chain
            .iter()
            .rev()
            .filter_map(|i| self.stages.get(*i))
            .flat_map(|s| &s.instructions)
            .collect()
    }

    /// The image that the last stage comes from in the end.
    pub fn base(&self) -> &str {
        let Some(last) = self.stages.last() else {
            return "";
        };
        let mut base = last.base.as_str();
        for stage in self.stages.iter().rev() {
            if stage
                .name
                .as_deref()
                .is_some_and(|n| n.eq_ignore_ascii_case(base))
            {
                base = &stage.base;
            }
        }
        base
    }
}

struct Raw {
    text: String,
    documents: Vec<String>,
    lines: (u32, u32),
}

/// Reads the text. `args`: what `--build-arg` would give.
pub fn parse(text: &str, args: &[(&str, &str)]) -> Dockerfile {
    let mut out = Dockerfile::default();
    let raws = split(text, &mut out.errors);
    let given: BTreeMap<&str, &str> = args.iter().copied().collect();
    // ARG before the first FROM counts in FROM lines only; within a stage it must be named again.
    let mut global: BTreeMap<String, String> = BTreeMap::new();
    let mut scope: BTreeMap<String, String> = BTreeMap::new();
    let mut env: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for raw in raws {
        let (name, rest) = match raw.text.split_once(char::is_whitespace) {
            Some((n, r)) => (n.to_ascii_uppercase(), r.trim()),
            None => (raw.text.to_ascii_uppercase(), ""),
        };
        if rest.is_empty() {
            out.errors
                .push((raw.lines.0, format!("{name} says nothing")));
            continue;
        }
        let (flags, rest) = flags(rest);
        if name == "FROM" {
            let rest = expand(rest, &global);
            let words: Vec<&str> = rest.split_ascii_whitespace().collect();
            let alias = match words.get(1) {
                Some(w) if w.eq_ignore_ascii_case("as") => words.get(2).map(|n| (*n).to_owned()),
                _ => None,
            };
            if let (Some(last), Some(stage)) = (env.last_mut(), out.stages.last()) {
                last.0 = stage.name.clone().unwrap_or_default();
                last.1 = std::mem::take(&mut scope);
            }
            let base = words.first().copied().unwrap_or_default().to_owned();
            scope = env
                .iter()
                .rev()
                .find(|(n, _)| !n.is_empty() && n.eq_ignore_ascii_case(&base))
                .map(|(_, e)| e.clone())
                .unwrap_or_default();
            env.push((String::new(), BTreeMap::new()));
            out.stages.push(Stage {
                base,
                name: alias,
                line: raw.lines.0,
                instructions: Vec::new(),
            });
            continue;
        }
        if name == "ARG" {
            for word in shell_words(rest) {
                let (key, default) = match word.split_once('=') {
                    Some((k, v)) => (k.to_owned(), Some(v.to_owned())),
                    None => (word.clone(), None),
                };
                let within = !out.stages.is_empty();
                let known = if within { &scope } else { &global };
                let value = given
                    .get(key.as_str())
                    .map(|v| (*v).to_owned())
                    .or_else(|| default.map(|d| expand(&d, known)))
                    .or_else(|| global.get(&key).cloned());
                if let Some(value) = value {
                    if within { &mut scope } else { &mut global }.insert(key, value);
                }
            }
            continue;
        }
        let Some(stage) = out.stages.last_mut() else {
            out.errors
                .push((raw.lines.0, format!("{name} stands before the first FROM")));
            continue;
        };
        if name == "ENV" {
            for (key, value) in pairs(rest) {
                let value = expand(&value, &scope);
                scope.insert(key, value);
            }
        }
        let exec = rest
            .starts_with('[')
            .then(|| serde_json::from_str::<Vec<String>>(rest).ok())
            .flatten();
        let takes_command = matches!(
            name.as_str(),
            "RUN" | "CMD" | "ENTRYPOINT" | "SHELL" | "HEALTHCHECK" | "ONBUILD"
        );
        let words = match exec {
            Some(words) => Words::Exec(words),
            // A shell puts in its own variables; those of the build are known here, so that both can be looked into.
            None if takes_command => Words::Shell(expand_known(rest, &scope)),
            None => Words::Shell(expand(rest, &scope)),
        };
        stage.instructions.push(Instruction {
            name,
            flags,
            words,
            documents: raw.documents,
            lines: raw.lines,
        });
    }
    if out.stages.is_empty() && out.errors.is_empty() {
        out.errors.push((1, "there is no FROM".to_owned()));
    }
    out
}

/// Lines joined to instructions, heredocs taken out.
fn split(text: &str, errors: &mut Vec<(u32, String)>) -> Vec<Raw> {
    let lines: Vec<&str> = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .collect();
    let mut escape = '\\';
    // Directives stand before everything else, one a line.
    for line in &lines {
        let Some((key, value)) = line
            .trim()
            .strip_prefix('#')
            .and_then(|l| l.split_once('='))
        else {
            break;
        };
        match (key.trim().to_ascii_lowercase().as_str(), value.trim()) {
            ("escape", "`") => escape = '`',
            ("escape", "\\") | ("syntax", _) | ("check", _) => {}
            _ => break,
        }
    }
    let mut out: Vec<Raw> = Vec::new();
    let mut i = 0;
    while let Some(line) = lines.get(i) {
        let first = i;
        i += 1;
        if is_nothing(line) {
            continue;
        }
        let mut joined = String::new();
        let mut part = (*line).to_owned();
        loop {
            let trimmed = part.trim_end();
            match trimmed.strip_suffix(escape) {
                Some(head) => joined.push_str(head),
                None => {
                    joined.push_str(trimmed);
                    break;
                }
            }
            // Comments and empty lines within a continued instruction vanish.
            while lines.get(i).is_some_and(|l| is_nothing(l)) {
                i += 1;
            }
            match lines.get(i) {
                Some(next) => part = (*next).to_owned(),
                None => break,
            }
            i += 1;
        }
        let joined = joined.trim().to_owned();
        let mut documents = Vec::new();
        for (end, tabs) in heredocs(&joined) {
            let mut body = String::new();
            let mut closed = false;
            while let Some(line) = lines.get(i) {
                i += 1;
                let line = if tabs {
                    line.trim_start_matches('\t')
                } else {
                    line
                };
                if line == end {
                    closed = true;
                    break;
                }
                body.push_str(line);
                body.push('\n');
            }
            if !closed {
                errors.push((
                    first as u32 + 1,
                    format!("the heredoc {end} is never closed"),
                ));
            }
            documents.push(body);
        }
        if out.len() >= MOST_INSTRUCTIONS {
            errors.push((
                first as u32 + 1,
                "more instructions than are read".to_owned(),
            ));
            break;
        }
        out.push(Raw {
            text: joined,
            documents,
            lines: (first as u32 + 1, i as u32),
        });
    }
    out
}

fn is_nothing(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// `<<EOF`, `<<-"EOF"` of RUN, COPY and ADD: the closing word, and whether leading tabs go.
fn heredocs(text: &str) -> Vec<(String, bool)> {
    let name = text.split_whitespace().next().unwrap_or_default();
    let takes = ["RUN", "COPY", "ADD"]
        .iter()
        .any(|n| name.eq_ignore_ascii_case(n));
    let mut out = Vec::new();
    for word in text.split_whitespace().skip(1).filter(|_| takes) {
        let Some(rest) = word
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix("<<")
        else {
            continue;
        };
        let (rest, tabs) = match rest.strip_prefix('-') {
            Some(r) => (r, true),
            None => (rest, false),
        };
        let end = rest.trim_matches(['"', '\'']);
        let sound = end.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if sound && !end.is_empty() && !rest.starts_with('<') {
            out.push((end.to_owned(), tabs));
        }
    }
    out
}

fn flags(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut out = Vec::new();
    while let Some(flag) = rest.strip_prefix("--") {
        let (word, tail) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        out.push((key.to_owned(), value.to_owned()));
        rest = tail.trim_start();
    }
    (out, rest)
}

/// Words as a shell parts them, quotes taken off.
fn shell_words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let (mut word, mut quote, mut any) = (String::new(), None, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.extend(chars.next()),
            ('"' | '\'', None) => (quote, any) = (Some(c), true),
            (c, Some(q)) if c == q => quote = None,
            (c, None) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (c, _) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        out.push(word);
    }
    out
}

/// `A=1 B="x y"`, or the old `A the rest`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let words = shell_words(text);
    match words.first() {
        Some(first) if !first.contains('=') => {
            let (key, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            vec![(key.to_owned(), value.trim().to_owned())]
        }
        _ => words
            .iter()
            .filter_map(|w| w.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
    }
}

/// `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+other}`; unknown names become nothing.
fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    substitute(text, known, false)
}

/// The same, and unknown names stay as they are: they are the shell's.
fn expand_known(text: &str, known: &BTreeMap<String, String>) -> String {
    substitute(text, known, true)
}

fn substitute(text: &str, known: &BTreeMap<String, String>, keep: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        if out.len() > MOST {
            return out.chars().take(MOST).collect();
        }
        if head.ends_with('\\') && !keep {
            out.pop();
            out.push('$');
            rest = tail.get(1..).unwrap_or_default();
            continue;
        }
        let body = tail.get(1..).unwrap_or_default();
        let (whole, name, default, other) =
            match body.strip_prefix('{').and_then(|b| b.split_once('}')) {
                Some((inner, _)) => {
                    let whole = inner.len() + 3;
                    match inner.split_once(':') {
                        Some((n, d)) => (whole, n, d.strip_prefix('-'), d.strip_prefix('+')),
                        None => (whole, inner, None, None),
                    }
                }
                None => {
                    let end = body
                        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                        .unwrap_or(body.len());
                    (end + 1, body.get(..end).unwrap_or_default(), None, None)
                }
            };
        let value = known.get(name).filter(|v| !v.is_empty());
        match (value, default, other) {
            (Some(_), _, Some(other)) => out.push_str(other),
            (None, _, Some(_)) => {}
            (Some(v), ..) => out.push_str(v),
            (None, Some(d), _) => out.push_str(d),
            (None, ..) if keep || name.is_empty() => out.push_str(tail.get(..whole).unwrap_or("$")),
            (None, ..) => {}
        }
        rest = tail.get(whole..).unwrap_or_default();
    }
    out.push_str(rest);
    out.chars().take(MOST).collect()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[test]
    fn continuation_comments_and_the_escape_directive() {
        let d = parse("# escape=`\nFROM a`\n  # why\n\n as b\nRUN x `\n  y\n", &[]);
        assert_eq!(
            (d.stages[0].base.as_str(), d.stages[0].name.as_deref()),
            ("a", Some("b"))
        );
        let run = &d.stages[0].instructions[0];
        assert_eq!(run.words, Words::Shell("x   y".into()));
        assert_eq!(run.lines, (6, 7));
        assert!(d.errors.is_empty(), "{:?}", d.errors);
    }

    #[test]
    fn heredocs_are_bodies_not_instructions() {
        let d = parse(
            "FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY <<-\"X\" /x\n\t\tone\n\tX\nCMD [\"a\", \"b\"]\n",
            &[],
        );
        assert_eq!(d.stages.len(), 1);
        let i = &d.stages[0].instructions;
        assert_eq!(i[0].documents, ["FROM b\n"]);
        assert_eq!(i[1].documents, ["one\n"]);
        assert_eq!(i[2].words, Words::Exec(vec!["a".into(), "b".into()]));
        let open = parse("FROM a\nRUN <<EOF\nx\n", &[]);
        assert!(open.errors[0].1.contains("never closed"));
    }

    #[test]
    fn variables_and_stages() {
        let text = "ARG V=12\nFROM debian:${V} AS base\nENV PORT=2222 X=\"a b\"\nFROM alpine AS other\nEXPOSE ${PORT:-1}\nFROM base\nARG V\nEXPOSE $PORT\nRUN echo $V $UNKNOWN ${X}\n";
        let d = parse(text, &[("V", "13")]);
        assert_eq!(d.base(), "debian:13");
        assert_eq!(d.stages[1].instructions[0].words.text(), "1");
        let last = d.final_instructions();
        assert_eq!(last.len(), 3, "{last:?}");
        assert_eq!(last[1].words.text(), "2222");
        assert_eq!(last[2].words.text(), "echo 13 $UNKNOWN a b");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let d = parse("RUN x\nFROM a\nCMD\n", &[]);
        let lines: Vec<u32> = d.errors.iter().map(|e| e.0).collect();
        assert_eq!(lines, [1, 3]);
        assert_eq!(parse("", &[]).errors.len(), 1);
        let twice = format!("FROM a\nENV A=xxxxxxxx\n{}", "ENV A=$A$A\n".repeat(60));
        assert!(parse(&twice, &[]).stages[0].instructions.len() == 61);
    }
}
