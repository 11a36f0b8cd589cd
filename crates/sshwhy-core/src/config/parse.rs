//! sshd_config to a tree: lines, Match blocks, Includes, and what sshd would say about each.

use super::lex::{self, Word};
use super::value::{self, nearest};
use super::{Files, pattern, startup};
use crate::catalog::keywords::{self, Keyword, Repeat};
use crate::version::Release;
use std::fmt;

/// servconf.c SERVCONF_MAX_DEPTH.
const MAX_DEPTH: usize = 16;
/// Bound on what Includes may add up to, so that a hostile tree of files ends.
const MAX_FILES: usize = 4096;

/// A place in a file. Lines and columns count from 1; columns and widths are in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pos {
    /// Index into [`Config::sources`].
    pub file: usize,
    pub line: u32,
    pub column: u32,
    pub width: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// sshd does not start with it.
    Error,
    /// sshd reads on; what it does may surprise.
    Warning,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    pub level: Level,
    pub pos: Pos,
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    pub name: String,
    pub lines: Vec<String>,
}

/// One line that sets something.
#[derive(Clone, Debug)]
pub struct Directive {
    pub keyword: &'static Keyword,
    /// As `sshd -T` prints them.
    pub values: Vec<String>,
    /// What stood after the keyword.
    pub written: String,
    pub pos: Pos,
    /// The Match line in whose block it stands, through Includes too.
    pub block: Option<Pos>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Test {
    User,
    Group,
    Host,
    Address,
    LocalAddress,
    LocalPort,
    RDomain,
    Version,
    SessionType,
    Command,
    InvalidUser,
}

const TESTS: [(&str, Test, Release); 11] = [
    ("user", Test::User, (0, 0)),
    ("group", Test::Group, (0, 0)),
    ("host", Test::Host, (0, 0)),
    ("address", Test::Address, (0, 0)),
    ("localaddress", Test::LocalAddress, (6, 1)),
    ("localport", Test::LocalPort, (6, 1)),
    ("rdomain", Test::RDomain, (7, 6)),
    ("version", Test::Version, (10, 0)),
    ("sessiontype", Test::SessionType, (10, 0)),
    ("command", Test::Command, (10, 0)),
    ("invalid-user", Test::InvalidUser, (9, 9)),
];

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Criterion {
    pub test: Test,
    pub argument: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatchLine {
    pub pos: Pos,
    /// Empty for `Match all`.
    pub criteria: Vec<Criterion>,
    pub all: bool,
    pub written: String,
}

#[derive(Clone, Debug)]
pub enum Node {
    Set(Directive),
    Match(MatchLine),
    Include { pos: Pos, files: Vec<Body> },
}

/// One file's lines, in order.
#[derive(Clone, Debug)]
pub struct Body {
    pub file: usize,
    pub nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub sources: Vec<Source>,
    pub body: Body,
    pub diagnostics: Vec<Diagnostic>,
    pub release: Release,
}

impl Config {
    pub fn source(&self, file: usize) -> &str {
        self.sources.get(file).map_or("", |s| s.name.as_str())
    }

    /// The line as it stands.
    pub fn line(&self, pos: Pos) -> &str {
        self.sources
            .get(pos.file)
            .and_then(|s| s.lines.get((pos.line as usize).wrapping_sub(1)))
            .map_or("", String::as_str)
    }

    /// `file:line`.
    pub fn place(&self, pos: Pos) -> String {
        format!("{}:{}", self.source(pos.file), pos.line)
    }

    /// Whether sshd would start with it.
    pub fn is_sound(&self) -> bool {
        self.diagnostics.iter().all(|d| d.level != Level::Error)
    }

    /// Every directive, in the order in which sshd reads them.
    pub fn directives(&self) -> Vec<&Directive> {
        fn walk<'a>(body: &'a Body, out: &mut Vec<&'a Directive>) {
            for node in &body.nodes {
                match node {
                    Node::Set(d) => out.push(d),
                    Node::Include { files, .. } => files.iter().for_each(|f| walk(f, out)),
                    Node::Match(_) => {}
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.body, &mut out);
        out
    }
}

/// A diagnostic with the line and a caret under the word, as compilers show them.
pub struct Shown<'a>(pub &'a Config, pub &'a Diagnostic);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(config, d) = self;
        let level = match d.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let p = d.pos;
        writeln!(
            f,
            "{}:{}:{}: {level}: {}",
            config.source(p.file),
            p.line,
            p.column,
            d.message
        )?;
        let line = config.line(p);
        let gutter = p.line.to_string();
        writeln!(f, "{gutter} | {line}")?;
        let before: String = line
            .chars()
            .take(p.column as usize - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(
            f,
            "{} | {before}{}",
            " ".repeat(gutter.len()),
            "^".repeat(p.width.clamp(1, 80) as usize)
        )?;
        if let Some(hint) = &d.hint {
            write!(f, " {hint}")?;
        }
        Ok(())
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    release: Release,
    cwd: &'a str,
    sources: Vec<Source>,
    diagnostics: Vec<Diagnostic>,
    subsystems: Vec<(String, Pos)>,
}

/// Reads `path` and all that it includes. Errors become diagnostics; the tree holds what could be read.
///
/// `cwd`: what relative file names are taken from, sshd's own working directory (`/` for a daemon).
pub fn parse(files: &dyn Files, path: &str, release: Release, cwd: &str) -> Config {
    let mut reader = Reader {
        files,
        release,
        cwd,
        sources: Vec::new(),
        diagnostics: Vec::new(),
        subsystems: Vec::new(),
    };
    let body = match files.read(path) {
        Ok(text) => reader.file(path, &text, None, 0),
        Err(why) => {
            reader.sources.push(Source {
                name: path.to_owned(),
                lines: Vec::new(),
            });
            reader.diagnostics.push(Diagnostic {
                level: Level::Error,
                pos: Pos {
                    file: 0,
                    line: 1,
                    column: 1,
                    width: 1,
                },
                message: format!("cannot be read: {why}"),
                hint: None,
            });
            Body {
                file: 0,
                nodes: Vec::new(),
            }
        }
    };
    let mut config = Config {
        sources: reader.sources,
        body,
        diagnostics: reader.diagnostics,
        release,
    };
    let refusals = startup::refusals(&config);
    config.diagnostics.extend(refusals);
    config
}

impl Reader<'_> {
    fn say(&mut self, level: Level, pos: Pos, message: String, hint: Option<String>) {
        self.diagnostics.push(Diagnostic {
            level,
            pos,
            message,
            hint,
        });
    }

    fn file(&mut self, name: &str, text: &str, outer: Option<Pos>, depth: usize) -> Body {
        let file = self.sources.len();
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        self.sources.push(Source {
            name: name.to_owned(),
            lines: lines.clone(),
        });
        let mut nodes = Vec::new();
        // In force from a Match line to the next one or the end of the file; an including file's block holds before it.
        let mut block = outer;
        for (index, line) in lines.iter().enumerate() {
            let number = index as u32 + 1;
            let at = |column: u32, width: u32| Pos {
                file,
                line: number,
                column,
                width,
            };
            let cut = match lex::cut(line) {
                Ok(Some(cut)) => cut,
                Ok(None) => continue,
                Err(column) => {
                    self.say(
                        Level::Error,
                        at(column, 1),
                        "a quote is never closed".to_owned(),
                        None,
                    );
                    continue;
                }
            };
            let word = at(cut.keyword.column, cut.keyword.width);
            let name = cut.keyword.text.to_ascii_lowercase();
            if name == "match" {
                if let Some(line) = self.match_line(&cut, word) {
                    block = (!line.all).then_some(word);
                    nodes.push(Node::Match(line));
                }
                continue;
            }
            let args = match lex::arguments(&cut.rest, cut.rest_column) {
                Ok(args) => args,
                Err(column) => {
                    self.say(
                        Level::Error,
                        at(column, 1),
                        "a quote is never closed".to_owned(),
                        None,
                    );
                    continue;
                }
            };
            if name == "include" && self.release >= (8, 2) {
                nodes.push(self.include(&args, word, block, depth));
                continue;
            }
            if let Some(directive) = self.directive(&cut, &args, word, block) {
                nodes.push(Node::Set(directive));
            }
        }
        Body { file, nodes }
    }

    fn include(&mut self, args: &[Word], pos: Pos, block: Option<Pos>, depth: usize) -> Node {
        if args.is_empty() {
            self.say(Level::Error, pos, "Include names no file".to_owned(), None);
        }
        let mut bodies = Vec::new();
        for word in args {
            let here = Pos {
                column: word.column,
                width: word.width,
                ..pos
            };
            let pattern = match word.text.starts_with(['/', '~']) {
                true => word.text.clone(),
                false => format!("/etc/ssh/{}", word.text),
            };
            let found = self.files.glob(&pattern);
            if found.is_empty() && !pattern.contains(['*', '?', '[']) {
                self.say(
                    Level::Warning,
                    here,
                    format!("{pattern} does not exist: nothing is included"),
                    None,
                );
            }
            for path in found {
                if depth + 1 > MAX_DEPTH || self.sources.len() >= MAX_FILES {
                    self.say(
                        Level::Error,
                        here,
                        "too many files include each other".to_owned(),
                        None,
                    );
                    break;
                }
                match self.files.read(&path) {
                    Ok(text) => bodies.push(self.file(&path, &text, block, depth + 1)),
                    Err(why) => self.say(
                        Level::Error,
                        here,
                        format!("{path} cannot be read: {why}"),
                        None,
                    ),
                }
            }
        }
        Node::Include { pos, files: bodies }
    }

    fn directive(
        &mut self,
        cut: &lex::Cut,
        args: &[Word],
        word: Pos,
        block: Option<Pos>,
    ) -> Option<Directive> {
        let name = cut.keyword.text.as_str();
        let keyword = match keywords::by_name(name) {
            Some(k) if k.known_in(self.release) => k,
            other => {
                if let Some(gone) = keywords::gone(name) {
                    let how = match gone.how {
                        keywords::Why::Deprecated => "is deprecated: it does nothing",
                        keywords::Why::Unsupported => "is not supported: it does nothing",
                    };
                    self.say(
                        Level::Warning,
                        word,
                        format!("{} {how}", gone.name),
                        Some("take it out".to_owned()),
                    );
                    return None;
                }
                let (a, b) = self.release;
                let hint = match other {
                    Some(k) => Some(format!(
                        "OpenSSH {}.{} knows it, this is {a}.{b}",
                        k.since.0, k.since.1
                    )),
                    None => nearest(name, keywords::ROWS.iter().map(|k| k.name))
                        .map(|n| format!("did you mean {n}?")),
                };
                self.say(
                    Level::Error,
                    word,
                    format!("Bad configuration option: {name}"),
                    hint,
                );
                return None;
            }
        };
        if keyword.name == "RDomain" {
            let message = "RDomain is not supported on this platform".to_owned();
            self.say(Level::Error, word, message, Some("take it out".to_owned()));
            return None;
        }
        let values = match value::values(keyword, args, &cut.rest, self.release, self.cwd) {
            Ok(values) => values,
            Err(refusal) => {
                let pos = args.get(refusal.word).map_or(word, |w| Pos {
                    column: w.column,
                    width: w.width,
                    ..word
                });
                let message = format!("{}: {}", keyword.name, refusal.message);
                self.say(Level::Error, pos, message, refusal.hint);
                return None;
            }
        };
        if block.is_some() && !keyword.in_match {
            self.say(
                Level::Error,
                word,
                format!("{} is not allowed within a Match block", keyword.name),
                Some("a Match block ends at the next Match or at the end of the file; put the line above the first Match, or below \"Match all\"".to_owned()),
            );
        }
        if keyword.name == "Subsystem" && keyword.repeat == Repeat::Each {
            let name = args.first().map(|w| w.text.clone()).unwrap_or_default();
            if let Some((_, first)) = self.subsystems.iter().find(|(n, _)| *n == name) {
                let first = format!(
                    "{}:{}",
                    self.sources.get(first.file).map_or("", |s| &s.name),
                    first.line
                );
                self.say(
                    Level::Error,
                    word,
                    format!("Subsystem {name} is already defined"),
                    Some(format!("at {first}")),
                );
            }
            self.subsystems.push((name, word));
        }
        Some(Directive {
            keyword,
            values,
            written: cut.rest.clone(),
            pos: word,
            block,
        })
    }

    fn match_line(&mut self, cut: &lex::Cut, pos: Pos) -> Option<MatchLine> {
        let words = lex::match_words(&cut.rest, cut.rest_column);
        let at = |w: &Word| Pos {
            column: w.column,
            width: w.width,
            ..pos
        };
        let mut line = MatchLine {
            pos,
            criteria: Vec::new(),
            all: false,
            written: lex::trim_end(&cut.rest).to_owned(),
        };
        if words.is_empty() {
            self.say(
                Level::Error,
                pos,
                "Match says nothing to match".to_owned(),
                Some(
                    "Match all, or User, Group, Host, Address, LocalAddress, LocalPort".to_owned(),
                ),
            );
            return None;
        }
        let mut left = words.iter();
        while let Some(attribute) = left.next() {
            if attribute.text.eq_ignore_ascii_case("all") {
                if words.len() > 1 {
                    self.say(
                        Level::Error,
                        at(attribute),
                        "all cannot be combined with other Match criteria".to_owned(),
                        None,
                    );
                    return None;
                }
                line.all = true;
                break;
            }
            let (name, inline) = match attribute.text.split_once('=') {
                Some((n, v)) => (n, Some(v)),
                None => (attribute.text.as_str(), None),
            };
            let Some((_, test, _)) = TESTS
                .iter()
                .find(|(n, ..)| n.eq_ignore_ascii_case(name))
                .filter(|(_, _, since)| *since <= self.release)
            else {
                let hint = nearest(name, TESTS.iter().map(|(n, ..)| *n))
                    .map(|n| format!("did you mean {n}?"));
                self.say(
                    Level::Error,
                    at(attribute),
                    format!("{name:?} is nothing that Match can test"),
                    hint,
                );
                return None;
            };
            let argument = match (test, inline) {
                (Test::InvalidUser, _) => String::new(),
                (_, Some(v)) => v.to_owned(),
                (_, None) => match left.next() {
                    Some(w) => w.text.clone(),
                    None => {
                        self.say(
                            Level::Error,
                            at(attribute),
                            format!("Match {name} names nothing"),
                            None,
                        );
                        return None;
                    }
                },
            };
            let problem = match test {
                Test::Address | Test::LocalAddress => {
                    pattern::addresses(None, &argument).err().map(|b| {
                        format!(
                            "{:?} is no address or prefix (bits beyond the prefix must be zero)",
                            b.0
                        )
                    })
                }
                Test::LocalPort if value::port(&argument).is_none() => {
                    Some(format!("{argument:?} is no port"))
                }
                _ => None,
            };
            if let Some(problem) = problem {
                self.say(Level::Error, at(attribute), problem, None);
                return None;
            }
            line.criteria.push(Criterion {
                test: *test,
                argument,
            });
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;

    fn read(text: &str) -> Config {
        let files = Memory::default().with("/etc/ssh/sshd_config", text);
        parse(&files, "/etc/ssh/sshd_config", (9, 2), "/")
    }

    #[test]
    fn a_misspelt_word_is_shown_with_a_caret() {
        let c = read("Port 22\n  PermitRootLogn no\n");
        assert!(!c.is_sound());
        let d = &c.diagnostics[0];
        assert_eq!((d.pos.line, d.pos.column, d.pos.width), (2, 3, 14));
        let shown = Shown(&c, d).to_string();
        assert!(
            shown.contains("sshd_config:2:3: error: Bad configuration option: PermitRootLogn"),
            "{shown}"
        );
        assert!(shown.contains("  | "), "{shown}");
        assert!(
            shown.ends_with("^^^^^^^^^^^^^^ did you mean PermitRootLogin?"),
            "{shown}"
        );
    }

    #[test]
    fn what_a_release_does_not_know_is_an_error_there() {
        let files = Memory::default().with("/c", "PerSourcePenalties no\n");
        assert!(!parse(&files, "/c", (9, 2), "/").is_sound());
        assert!(parse(&files, "/c", (9, 8), "/").is_sound());
    }

    #[test]
    fn match_blocks_reach_to_the_next_match() {
        let c = read("Match User a\nX11Forwarding no\nUsePAM no\nMatch all\nUsePAM yes\n");
        assert_eq!(c.diagnostics.len(), 1, "{:?}", c.diagnostics);
        assert_eq!(c.diagnostics[0].pos.line, 3);
        assert!(
            read("Match user\n").diagnostics[0]
                .message
                .contains("names nothing")
        );
        assert!(!read("Match all User a\n").is_sound());
        assert!(!read("Match Address 192.0.2.1/24\n").is_sound());
        assert!(read("Match Address 192.0.2.0/24,!192.0.2.7 LocalPort 22 # x\n").is_sound());
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let files = Memory::default().with("/c", "Include /c\nPort 22\n");
        let c = parse(&files, "/c", (9, 2), "/");
        assert!(!c.is_sound());
        assert!(c.sources.len() <= MAX_DEPTH + 1);
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm() {
        for text in [
            "\"",
            "Match \"",
            "=",
            "= =",
            "Port \\",
            "Include \"\"",
            "\u{0}\u{1}",
            "Match =,=,",
            "Ciphers +,,-",
            "SetEnv =",
            "ListenAddress [",
            "ListenAddress ]:",
        ] {
            let _ = read(text);
        }
    }
}
