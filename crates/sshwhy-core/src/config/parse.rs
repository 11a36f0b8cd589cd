//! sshd_config to a tree: lines, Match blocks, Includes, and what sshd would say about each.

use super::lex::{self, Word};
use super::value::{self, nearest};
use super::{Files, pattern, startup};
use crate::catalog::keywords::{self, Keyword, Kind};
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
    /// The same, cut into words as that release cuts it.
    pub words: Vec<String>,
    pub pos: Pos,
    /// The Match line in whose block it stands, through Includes too.
    pub block: Option<Pos>,
    /// What sshd finds wrong with it, but only where its block holds and no line before it says the same: it starts, and ends
    /// such a connection.
    pub late: Option<String>,
}

impl Directive {
    /// 8.7 to 9.8 take no `any` where AuthenticationMethods are set already, be it in a block that does not hold: servconf.c
    /// counts the methods of the wrong line.
    pub(super) fn no_any_after(&self, release: Release) -> bool {
        let counted = ((8, 7)..(9, 9)).contains(&release);
        counted && self.keyword.name == "AuthenticationMethods" && self.values == ["any"]
    }
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
    InvalidUser,
}

/// The words of Match, and the first release that has each. SessionType and Command are the client's only (ssh_config).
const TESTS: [(&str, Test, Release); 9] = [
    ("user", Test::User, (0, 0)),
    ("group", Test::Group, (0, 0)),
    ("host", Test::Host, (0, 0)),
    ("address", Test::Address, (0, 0)),
    ("localaddress", Test::LocalAddress, (6, 1)),
    ("localport", Test::LocalPort, (6, 1)),
    ("rdomain", Test::RDomain, (7, 6)),
    ("version", Test::Version, (10, 0)),
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

impl MatchLine {
    /// Whether the block holds for everybody already when sshd starts: `Match all`, `Match version` of its own release, and
    /// in 9.9, by mistake, `Match invalid-user`.
    pub fn holds_at_start(&self, release: Release) -> bool {
        let holds = |c: &Criterion| match c.test {
            Test::Version => {
                pattern::list(&version(release), &c.argument, false) == pattern::Verdict::Yes
            }
            Test::InvalidUser => release == (9, 9),
            _ => false,
        };
        self.all || self.criteria.iter().all(holds)
    }
}

/// What sshd of that release calls itself, as far as a release tells (`Match version`).
pub fn version(release: Release) -> String {
    format!("OpenSSH_{}.{}p1", release.0, release.1)
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
    /// The AuthenticationMethods that hold for everybody.
    methods: Option<Pos>,
    /// The first of those of a block.
    methods_of_block: Option<Pos>,
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
        methods: None,
        methods_of_block: None,
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
            let line = match self.release < (8, 5) {
                true => lex::without_comment(line),
                false => line,
            };
            let cut = match lex::cut(line) {
                Ok(Some(cut)) => cut,
                Ok(None) => continue,
                // sshd takes it for an empty line.
                Err(column) => {
                    self.say(
                        Level::Warning,
                        at(column, 1),
                        "a quote is never closed: sshd skips the whole line".to_owned(),
                        None,
                    );
                    continue;
                }
            };
            let word = at(cut.keyword.column, cut.keyword.width);
            let name = cut.keyword.text.to_ascii_lowercase();
            let argv = self.release >= (8, 7);
            let (args, open) = match lex::arguments(&cut.rest, cut.rest_column) {
                _ if !argv => lex::old_arguments(&cut.rest, cut.rest_column, name != "setenv"),
                Ok(args) => (args, None),
                Err(column) => (Vec::new(), Some(column)),
            };
            if let Some(column) = open
                && argv
            {
                self.say(
                    Level::Error,
                    at(column, 1),
                    "a quote is never closed".to_owned(),
                    Some("close it, or write \\ before it".to_owned()),
                );
                continue;
            }
            if argv && cut.rest.is_empty() {
                let known = keywords::by_name_in(&name, self.release).is_some()
                    || keywords::gone(&name).is_some()
                    || matches!(name.as_str(), "match" | "include");
                // A word that is no keyword is more often the mistake than the value that is missing.
                match known {
                    true => {
                        let message =
                            format!("{} says nothing: no value follows", cut.keyword.text);
                        self.say(Level::Error, word, message, None);
                    }
                    false => self.unknown(&cut.keyword.text, word, block),
                }
                continue;
            }
            if name == "match" {
                if let Some(line) = self.match_line(&cut, &args, word) {
                    let holds = line.holds_at_start(self.release);
                    // Within a block that does not hold, an included file's "Match all" does not either.
                    block = (!holds || outer.is_some()).then_some(word);
                    nodes.push(Node::Match(line));
                }
                continue;
            }
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
        // Before 8.7 the list ends at an empty word.
        let argv = self.release >= (8, 7);
        let end = args.iter().position(|w| w.text.is_empty() && !argv);
        if end == Some(0) {
            self.say(Level::Error, pos, "Include names no file".to_owned(), None);
        }
        for word in args.iter().take(end.unwrap_or(args.len())) {
            let here = Pos {
                column: word.column,
                width: word.width,
                ..pos
            };
            if word.text.is_empty() && self.release >= (8, 7) {
                self.say(Level::Error, here, "an empty file name".to_owned(), None);
                break;
            }
            let pattern = match word.text.starts_with(['/', '~']) {
                true => word.text.clone(),
                false => format!("/etc/ssh/{}", word.text),
            };
            let found = self.files.glob(&pattern);
            if found.is_empty() && !pattern.contains(['*', '?', '[']) {
                let hint = pattern
                    .starts_with('~')
                    .then(|| "sshd does not expand ~ here".to_owned());
                self.say(
                    Level::Warning,
                    here,
                    format!("{pattern} does not exist: nothing is included"),
                    hint,
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
                if self.files.is_folder(&path) {
                    self.say(
                        Level::Warning,
                        here,
                        format!(
                            "{path} is a folder: sshd reads nothing of it, and does not say so"
                        ),
                        Some(format!(
                            "{}/*.conf includes the files in it",
                            path.trim_end_matches('/')
                        )),
                    );
                    continue;
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
        let Some(keyword) = keywords::by_name_in(name, self.release) else {
            self.unknown(name, word, block);
            return None;
        };
        if keyword.name == "RDomain" {
            let message = "RDomain is not supported on this platform".to_owned();
            self.say(Level::Error, word, message, Some("take it out".to_owned()));
            return None;
        }
        // Another keyword of the same meaning may not stand where this one may.
        let misplaced = block.is_some()
            && (!keyword.in_match_in(self.release)
                || name.eq_ignore_ascii_case("DSAAuthentication"));
        if misplaced {
            self.say(
                Level::Error,
                word,
                format!("{} is not allowed within a Match block", keyword.name),
                Some(self.way_out(block, word)),
            );
        }
        let directive = |values: Vec<String>, late: Option<String>| Directive {
            keyword,
            values,
            written: cut.rest.clone(),
            words: args.iter().map(|w| w.text.clone()).collect(),
            pos: word,
            block,
            late,
        };
        let named = args.first().map(|w| w.text.clone()).unwrap_or_default();
        let late = self.late(keyword, &named, args, &cut.rest, block);
        if let Some(late) = late {
            let message = match block {
                Some(_) => format!(
                    "{}: {late}: sshd ends every connection for which this block holds",
                    keyword.name
                ),
                None => format!("{}: {late}, and an earlier line counts", keyword.name),
            };
            self.say(Level::Warning, word, message, None);
            return Some(directive(Vec::new(), Some(late.to_owned())));
        }
        let values = match value::values(keyword, args, &cut.rest, self.release, self.cwd) {
            Ok(values) => values,
            // Before 8.7 sshd does not look at methods where it has some, but reads the line again for a connection.
            Err(refusal)
                if keyword.kind == Kind::Methods
                    && self.release < (8, 7)
                    && self.methods.is_some() =>
            {
                let message = format!(
                    "{}: {}: sshd starts, and ends every connection for which no block before this line sets methods",
                    keyword.name, refusal.message
                );
                self.say(Level::Warning, word, message, refusal.hint);
                return Some(directive(Vec::new(), Some(refusal.message)));
            }
            Err(refusal) => {
                let pos = args.get(refusal.word).map_or(word, |w| {
                    // Where the word stands as it is, the part of it can be shown.
                    let part = refusal.part.as_deref().unwrap_or_default();
                    let chars = |text: &str| text.chars().count() as u32;
                    let inner = w
                        .text
                        .split_once(part)
                        .filter(|_| chars(&w.text) == w.width);
                    let (before, width) = match inner {
                        Some((before, _)) if !part.is_empty() => (chars(before), chars(part)),
                        _ => (0, w.width),
                    };
                    Pos {
                        column: w.column + before,
                        width,
                        ..word
                    }
                });
                let message = format!("{}: {}", keyword.name, refusal.message);
                self.say(Level::Error, pos, message, refusal.hint);
                return None;
            }
        };
        if keyword.name == "Subsystem" {
            let earlier = self.subsystems.iter().find(|(n, _)| *n == named);
            if let Some((_, first)) = earlier.filter(|_| self.release < (9, 5)) {
                let first = format!(
                    "{}:{}",
                    self.sources.get(first.file).map_or("", |s| &s.name),
                    first.line
                );
                self.say(
                    Level::Error,
                    word,
                    format!("Subsystem {named} is already defined"),
                    Some(format!("at {first}: take one of the two lines out")),
                );
            }
            if block.is_none() || self.release < (9, 5) {
                self.subsystems.push((named, word));
            }
        }
        let directive = directive(values, None);
        if keyword.name == "AuthenticationMethods" {
            self.no_any_after(&directive);
        }
        Some(directive)
    }

    /// What is wrong with a line at which sshd does not look until its block holds.
    fn late(
        &self,
        keyword: &Keyword,
        named: &str,
        args: &[Word],
        rest: &str,
        block: Option<Pos>,
    ) -> Option<&'static str> {
        let set = |name: &str| self.subsystems.iter().any(|(n, _)| n == name);
        match keyword.kind {
            // Since 9.5, and at no command of a name that it has.
            Kind::Subsystem => {
                let command = args.get(1).is_some_and(|w| !w.text.is_empty());
                let unseen = self.release >= (9, 5) && (block.is_some() || set(named));
                (unseen && !command && !named.is_empty()).then_some("no command")
            }
            // Until 8.6.
            Kind::Command if self.release < (8, 7) && block.is_some() => {
                let sound = rest.starts_with('/') || rest.eq_ignore_ascii_case("none");
                (!sound && !rest.is_empty()).then_some("it must be an absolute path")
            }
            _ => None,
        }
    }

    fn no_any_after(&mut self, d: &Directive) {
        let place = |first: Pos| {
            let at = self.sources.get(first.file).map_or("", |s| &s.name);
            format!("{at}:{}", first.line)
        };
        if d.no_any_after(self.release) {
            let message = "\"any\" must appear alone in AuthenticationMethods".to_owned();
            match (self.methods, self.methods_of_block) {
                (Some(first), _) => {
                    let hint = format!(
                        "this release takes no \"any\" after {}, not even in a Match block",
                        place(first)
                    );
                    self.say(Level::Error, d.pos, message, Some(hint));
                }
                (None, Some(first)) if first != d.pos => {
                    let hint = format!(
                        "this release ends every connection for which the block of {} holds",
                        place(first)
                    );
                    self.say(Level::Warning, d.pos, message, Some(hint));
                }
                _ => {}
            }
        }
        let first = match d.block {
            None => &mut self.methods,
            Some(_) => &mut self.methods_of_block,
        };
        *first = first.or(Some(d.pos));
    }

    /// Says why a word is no keyword, and what it may have been meant for.
    fn unknown(&mut self, name: &str, word: Pos, block: Option<Pos>) {
        let (a, b) = self.release;
        if let Some(gone) = keywords::gone(name) {
            let how = match gone.how {
                keywords::Why::Deprecated => "is deprecated: it does nothing",
                keywords::Why::Unsupported => "is not supported: it does nothing",
            };
            if block.is_some() && !gone.in_match {
                let message = format!(
                    "{} is deprecated, and not allowed within a Match block",
                    gone.name
                );
                self.say(Level::Error, word, message, Some("take it out".to_owned()));
            } else {
                self.say(
                    Level::Warning,
                    word,
                    format!("{} {how}", gone.name),
                    Some("take it out".to_owned()),
                );
            }
            return;
        }
        let hint = match keywords::by_name(name) {
            Some(k) if k.since > self.release => Some(format!(
                "OpenSSH {}.{} knows it, this is {a}.{b}",
                k.since.0, k.since.1
            )),
            Some(k) if k.known_in(self.release) => Some(format!(
                "OpenSSH {a}.{b} calls it {}",
                k.name_in(self.release)
            )),
            Some(_) => Some(format!("OpenSSH {a}.{b} does not know it any more")),
            None => strange(name).map(str::to_owned).or_else(|| {
                let known = keywords::ROWS.iter().filter(|k| k.known_in(self.release));
                let names: Vec<&str> = known.map(|k| k.name).chain(["Match", "Include"]).collect();
                // What follows the word is a value, and not the rest of a longer word.
                let begins = |k: &&&str| {
                    let head = name.get(..k.len());
                    let rest = name.get(k.len()..).unwrap_or_default().to_ascii_lowercase();
                    head.is_some_and(|h| h.eq_ignore_ascii_case(k))
                        && (rest.starts_with(|c: char| c.is_ascii_digit())
                            || matches!(rest.as_str(), "yes" | "no"))
                };
                if let Some(glued) = names.iter().filter(begins).max_by_key(|k| k.len()) {
                    return Some(format!("a blank is missing after {glued}"));
                }
                nearest(name, names.into_iter()).map(|n| format!("did you mean {n}?"))
            }),
        };
        self.say(
            Level::Error,
            word,
            format!("Bad configuration option: {name}"),
            hint,
        );
    }

    /// How a line gets out of the block in which it stands.
    fn way_out(&self, block: Option<Pos>, at: Pos) -> String {
        let begins = block.map_or_else(String::new, |b| {
            let name = |file: usize| self.sources.get(file).map_or("", |s| s.name.as_str());
            match b.file == at.file {
                true => format!(" (this one begins at line {})", b.line),
                false => format!(" (this one begins at {}:{})", name(b.file), b.line),
            }
        });
        format!(
            "a block reaches to the next Match or to the end of the file{begins}: put the line above the first Match, or below \"Match all\""
        )
    }

    fn match_line(&mut self, cut: &lex::Cut, args: &[Word], pos: Pos) -> Option<MatchLine> {
        let argv = self.release >= (9, 9);
        let words = match argv {
            true => args.to_vec(),
            false => lex::match_words(&cut.rest, cut.rest_column),
        };
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
            // Up to 9.8 `=` had parted the words already; 9.9p1 forgot about it, later ones read it again.
            let (name, inline) = match attribute.text.split_once('=') {
                Some((n, v)) if argv => (n, Some(v)),
                _ => (attribute.text.as_str(), None),
            };
            if inline.is_some() && self.release == (9, 9) {
                self.say(
                    Level::Warning,
                    at(attribute),
                    "OpenSSH 9.9p1 does not start with \"=\" in a Match line; 9.9p2 does"
                        .to_owned(),
                    Some("write a blank instead".to_owned()),
                );
            }
            let Some((_, test, _)) = TESTS
                .iter()
                .find(|(n, ..)| n.eq_ignore_ascii_case(name))
                .filter(|(_, _, since)| *since <= self.release)
            else {
                let (a, b) = self.release;
                let later = TESTS.iter().find(|(n, ..)| n.eq_ignore_ascii_case(name));
                let names = line.criteria.last().map(|c| (c.test, c.argument.as_str()));
                let hint = match later {
                    None if matches!(names, Some((Test::User | Test::Group, _))) && inline.is_none() => {
                        let list = names.map_or("", |(_, list)| list);
                        Some(format!("several names are one word, with commas: {list},{name}"))
                    }
                    Some((_, _, since)) => Some(format!("OpenSSH {}.{} knows it, this is {a}.{b}", since.0, since.1)),
                    None if is_client_test(name) => Some("only ssh_config, the client's side, can test it".to_owned()),
                    None => nearest(name, TESTS.iter().map(|(n, ..)| *n))
                        .map(|n| format!("did you mean {n}?"))
                        .or_else(|| Some("it takes all, or User, Group, Host, Address, LocalAddress, LocalPort, RDomain; several names stand in one word, with commas".to_owned())),
                };
                self.say(
                    Level::Error,
                    at(attribute),
                    format!("{name:?} is nothing that Match can test"),
                    hint,
                );
                return None;
            };
            let argument = match (test, inline) {
                (Test::InvalidUser, Some(_)) => {
                    let message = format!("Match {name} takes no value");
                    self.say(Level::Error, at(attribute), message, None);
                    return None;
                }
                (Test::InvalidUser, None) => String::new(),
                (_, Some(v)) if !v.is_empty() => v.to_owned(),
                (_, inline) => match left.next().filter(|_| inline.is_none()) {
                    Some(w) if !w.text.is_empty() && !w.text.starts_with('#') => w.text.clone(),
                    _ => {
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
                Test::LocalPort if value::port_or_zero(&argument).is_none() => {
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

fn is_client_test(name: &str) -> bool {
    let client = [
        "sessiontype",
        "command",
        "originalhost",
        "localuser",
        "exec",
        "final",
        "canonical",
        "localnetwork",
        "tagged",
    ];
    client.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// What is odd about a word that looks like a keyword and is none.
fn strange(name: &str) -> Option<&'static str> {
    const CLIENT: [&str; 12] = [
        "Host",
        "HostName",
        "User",
        "IdentityFile",
        "ProxyJump",
        "ProxyCommand",
        "ForwardAgent",
        "ForwardX11",
        "StrictHostKeyChecking",
        "UserKnownHostsFile",
        "ServerAliveInterval",
        "ServerAliveCountMax",
    ];
    if name.starts_with('\u{feff}') {
        return Some(
            "the file begins with a byte order mark, which sshd reads as part of the word: save it as UTF-8 without BOM",
        );
    }
    if name.contains(['\u{a0}', '\u{2007}', '\u{202f}', '\u{3000}']) {
        return Some(
            "there is a blank in it that is none to sshd (a no-break space, as web pages have): type it again",
        );
    }
    if name.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
        return Some("typographic quotes are letters to sshd: write \"");
    }
    if matches!(name.chars().next(), Some(';' | '/' | '-' | '*')) {
        return Some("comments begin with #");
    }
    if matches!(name.chars().next(), Some('<' | '>' | '|')) && name.len() >= 7 {
        return Some("a conflict of versions was left in the file: settle it");
    }
    if name.ends_with(':') || name.contains(':') {
        return Some("the value follows after a blank, not after a colon");
    }
    if CLIENT.iter().any(|c| c.eq_ignore_ascii_case(name)) {
        return Some("it belongs to ssh_config, the client's side");
    }
    if name.bytes().all(|b| b.is_ascii_digit())
        || name.starts_with("ssh-")
        || name.starts_with("ecdsa-")
    {
        return Some(
            "this line is no keyword with a value: the line above was broken in two, or a key was pasted here",
        );
    }
    (!name.is_ascii())
        .then_some("keywords are of plain ASCII letters: one of these only looks like one")
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
        // It does nothing, and still sshd does not start.
        assert!(!read("Match User a\nUsePrivilegeSeparation yes\n").is_sound());
        assert!(read("UsePrivilegeSeparation yes\n").is_sound());
        assert!(!read("Match Address 192.0.2.1/24\n").is_sound());
        assert!(read("Match Address 192.0.2.0/24,!192.0.2.7 LocalPort 22 # x\n").is_sound());
        // A port that nothing is, but a number.
        assert!(read("Match LocalPort 0\n").is_sound());
        assert!(!read("Match LocalPort 65536\n").is_sound());
    }

    #[test]
    fn lines_are_cut_as_the_release_cuts_them() {
        let at = |text: &str, release| {
            let files = Memory::default().with("/c", text);
            parse(&files, "/c", release, "/").is_sound()
        };
        for (text, old, middle, new) in [
            ("Banner /a#b\n", true, true, true),
            ("X11Forwarding 'yes'\n", false, true, true),
            ("AcceptEnv\n", true, false, false),
            ("AcceptEnv # none\n", true, true, false),
            ("Match User=root\n", true, true, true),
            ("Match SessionType shell\n", false, false, false),
            (
                "Match version OpenSSH_10.*\nUsePAM yes\n",
                false,
                false,
                true,
            ),
            (
                "Match version OpenSSH_9.*\nUsePAM yes\n",
                false,
                false,
                false,
            ),
            ("Subsystem a b\nSubsystem a c\n", false, false, true),
            ("PubkeyAcceptedAlgorithms ssh-rsa\n", false, true, true),
        ] {
            for (release, sound) in [((8, 4), old), ((9, 2), middle), ((10, 0), new)] {
                assert_eq!(at(text, release), sound, "{text} {release:?}");
            }
        }
    }

    #[test]
    fn what_people_paste_is_explained() {
        for (text, says) in [
            ("\u{feff}Port 22\n", "byte order mark"),
            ("PermitRootLogin\u{a0}no\n", "no-break space"),
            ("<<<<<<< HEAD\n", "conflict"),
            ("PermitRootLogin: no\n", "colon"),
            ("Match SessionType shell\n", "ssh_config"),
            ("IdentityFile ~/.ssh/id\n", "ssh_config"),
            ("PasswordAuthentication true\n", "write yes"),
            ("// Port 22\n", "comments begin with #"),
            (
                "LoginGraceTime9000\n",
                "a blank is missing after LoginGraceTime",
            ),
        ] {
            let c = read(text);
            let hint = c
                .diagnostics
                .first()
                .and_then(|d| d.hint.clone())
                .unwrap_or_default();
            assert!(!c.is_sound() && hint.contains(says), "{text}: {hint}");
        }
    }

    #[test]
    fn a_folder_that_is_included_says_nothing_and_is_pointed_at() {
        let files = Memory::default()
            .with("/c", "Include /d\n")
            .with("/d/a.conf", "Port 1\n");
        let mut files = files;
        files.0.insert("/d".into(), String::new());
        let c = parse(&files, "/c", (9, 2), "/");
        assert!(
            c.is_sound() && c.diagnostics[0].message.contains("folder"),
            "{:?}",
            c.diagnostics
        );
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
