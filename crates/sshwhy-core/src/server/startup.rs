//! What the start-up files of a shell do to one login: which commands end it or print, and whether they are reached.
//!
//! The files are walked as the shell would read them, sourced ones included. A condition is decided where this login
//! decides it (`$-`, `-t 0`, whose login it is, which files are there); any other may hold or not, and what stands behind
//! it is reached perhaps.

use super::shell::{self, Node};
use crate::config::pattern::glob;
use std::collections::BTreeMap;

/// How deep files may source each other, and how many are read in all.
const DEEPEST: u32 = 6;
const MOST_FILES: u32 = 64;
/// How many commands are looked at, and findings kept.
const MOST_STEPS: u32 = 20_000;
const MOST_FOUND: usize = 40;
/// Longer words are not understood, and more variables not remembered: the files are anybody's.
const LONGEST_WORD: usize = 4096;
const MOST_VARIABLES: usize = 500;
/// Larger files are no start-up files.
const LARGEST: usize = 256 * 1024;

/// What is asked of the machine.
pub trait Disk {
    fn text(&self, path: &str) -> Option<String>;
    fn exists(&self, path: &str) -> bool;
    fn is_folder(&self, path: &str) -> bool;
    /// Whether it is a program that can be started.
    fn runs(&self, path: &str) -> bool;
}

/// Whose login it is, and of which kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Login {
    pub user: String,
    pub uid: u32,
    pub home: String,
    /// The path of the login shell.
    pub shell: String,
    /// A terminal and a login shell; else sshd runs `shell -c COMMAND`.
    pub terminal: bool,
}

impl Login {
    /// The shell's own name.
    fn name(&self) -> &str {
        self.shell.rsplit('/').next().unwrap_or_default()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Ends,
    Prints,
    /// A shell at a terminal ends where nothing is typed for so many seconds (bash(1), ksh(1), zsh(1): TMOUT).
    Idles(u32),
}

/// A command that ends the shell or prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub file: String,
    pub line: u32,
    pub text: String,
    pub what: What,
    /// It is reached whatever happens; else perhaps.
    pub sure: bool,
    /// Another program takes the shell's place.
    pub replaces: bool,
    /// The status with which the shell ends, where the file says it.
    pub status: Option<u8>,
}

/// Walks the files in their order.
pub fn walk(disk: &dyn Disk, login: &Login, files: &[String]) -> Vec<Found> {
    let mut walk = Walk {
        disk,
        login,
        variables: variables(login),
        found: Vec::new(),
        depth: 0,
        files: 0,
        steps: 0,
        reading: Vec::new(),
    };
    for file in files {
        if walk.file(file, true).ended {
            break;
        }
    }
    walk.found
}

/// What a word becomes, as far as it can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    Text(String),
    /// Something, nobody knows what.
    Some,
}

fn variables(login: &Login) -> BTreeMap<String, Value> {
    let known = |text: &str| Value::Text(text.to_owned());
    let shell = login.name();
    let only = |of: &str| match shell == of {
        true => Value::Some,
        false => known(""),
    };
    let interactive = || match login.terminal {
        true => Value::Some,
        false => known(""),
    };
    let mut out: BTreeMap<String, Value> = [
        ("HOME", known(&login.home)),
        ("USER", known(&login.user)),
        ("LOGNAME", known(&login.user)),
        ("SHELL", known(&login.shell)),
        ("SSH_CONNECTION", Value::Some),
        ("SSH_CLIENT", Value::Some),
        ("SSH_TTY", interactive()),
        ("PS1", interactive()),
        ("-", known(if login.terminal { "himBHs" } else { "hBc" })),
        ("BASH_VERSION", only("bash")),
        ("BASH", only("bash")),
        ("ZSH_VERSION", only("zsh")),
        // No login over ssh begins inside one of these.
        ("TMUX", known("")),
        ("STY", known("")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if matches!(shell, "bash" | "zsh") {
        for name in ["UID", "EUID"] {
            out.insert(name.to_owned(), Value::Text(login.uid.to_string()));
        }
    }
    out
}

/// Whether the file is read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Goes {
    On,
    Perhaps,
    /// `return`
    Left,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Flow {
    /// Whether the command succeeds.
    truth: Option<bool>,
    goes: Goes,
    /// The shell has ended.
    ended: bool,
}

impl Flow {
    const UNKNOWN: Flow = Flow::is(None);

    const fn is(truth: Option<bool>) -> Flow {
        Flow {
            truth,
            goes: Goes::On,
            ended: false,
        }
    }

    fn stops(self) -> bool {
        self.ended || self.goes == Goes::Left
    }

    /// The same where it may not have run at all.
    fn perhaps(self) -> Flow {
        self.perhaps_from(Flow::UNKNOWN)
    }

    /// This or the other, nobody knows which.
    fn perhaps_from(self, other: Flow) -> Flow {
        Flow {
            truth: None,
            goes: match (self.goes, other.goes) {
                (Goes::On, Goes::On) => Goes::On,
                _ => Goes::Perhaps,
            },
            ended: false,
        }
    }
}

/// Where the commands stand that are walked.
#[derive(Clone, Copy)]
struct Place<'p> {
    file: &'p str,
    text: &'p str,
    /// Reached whatever happens.
    sure: bool,
    /// Nobody sees what they print.
    quiet: bool,
    /// In a shell of their own.
    apart: bool,
}

struct Walk<'a> {
    disk: &'a dyn Disk,
    login: &'a Login,
    /// What is not here is not known.
    variables: BTreeMap<String, Value>,
    found: Vec<Found>,
    depth: u32,
    files: u32,
    steps: u32,
    /// The files under way: one that sources itself is read once.
    reading: Vec<String>,
}

impl Walk<'_> {
    fn file(&mut self, path: &str, sure: bool) -> Flow {
        let known = self.reading.iter().any(|r| r == path);
        if known || self.depth >= DEEPEST || self.files >= MOST_FILES {
            return Flow::UNKNOWN;
        }
        let Some(text) = self.disk.text(path).filter(|t| t.len() <= LARGEST) else {
            return Flow::UNKNOWN;
        };
        self.files += 1;
        self.depth += 1;
        self.reading.push(path.to_owned());
        let nodes = shell::parse(&text);
        let place = Place {
            file: path,
            text: &text,
            sure,
            quiet: false,
            apart: false,
        };
        let flow = self.list(&nodes, place);
        self.reading.pop();
        self.depth -= 1;
        // A return leaves this file only.
        Flow {
            truth: None,
            goes: Goes::On,
            ended: flow.ended,
        }
    }

    fn list(&mut self, nodes: &[Node], mut place: Place<'_>) -> Flow {
        let mut out = Flow::is(Some(true));
        for node in nodes {
            let flow = self.node(node, place);
            out.truth = flow.truth;
            if flow.stops() {
                return flow;
            }
            if flow.goes == Goes::Perhaps {
                out.goes = Goes::Perhaps;
                place.sure = false;
            }
        }
        out
    }

    fn node(&mut self, node: &Node, place: Place<'_>) -> Flow {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Flow::UNKNOWN;
        }
        let unsure = Place {
            sure: false,
            ..place
        };
        match node {
            Node::Simple { line, words, quiet } => {
                let place = Place {
                    quiet: place.quiet || *quiet,
                    ..place
                };
                self.simple(*line, words, place)
            }
            Node::Chain(first, others) => {
                let mut out = self.node(first, place);
                for (and, node) in others {
                    if out.stops() {
                        return out;
                    }
                    let flow = match out.truth {
                        Some(truth) if truth != *and => continue,
                        Some(_) if out.goes == Goes::On => self.node(node, place),
                        _ => self.node(node, unsure).perhaps(),
                    };
                    out = match out.goes {
                        Goes::Perhaps => flow.perhaps_from(out),
                        _ => flow,
                    };
                }
                out
            }
            Node::Not(inner) => {
                let flow = self.node(inner, place);
                Flow {
                    truth: flow.truth.map(|t| !t),
                    ..flow
                }
            }
            Node::Apart(inner) => {
                let place = Place {
                    apart: true,
                    ..place
                };
                let before = self.variables.clone();
                self.list(inner, place);
                self.variables = before;
                Flow::UNKNOWN
            }
            Node::If { arms, otherwise } => self.branches(arms, otherwise, place),
            Node::Case { subject, arms } => self.case(subject, arms, place),
            Node::Loop(inner) => self.list(inner, unsure).perhaps(),
            Node::Group(inner) => self.list(inner, place),
            Node::Quiet(inner) => self.node(
                inner,
                Place {
                    quiet: true,
                    ..place
                },
            ),
            Node::Function => Flow::is(Some(true)),
        }
    }

    fn branches(
        &mut self,
        arms: &[(Vec<Node>, Vec<Node>)],
        otherwise: &[Node],
        mut place: Place<'_>,
    ) -> Flow {
        let mut out = Flow::is(Some(true));
        let mut unsure = false;
        for (test, body) in arms {
            let tested = self.list(test, place);
            if tested.stops() {
                return match unsure {
                    true => tested.perhaps(),
                    false => tested,
                };
            }
            match tested.truth {
                Some(false) => continue,
                Some(true) => {
                    let flow = self.list(body, place);
                    return match unsure {
                        true => flow.perhaps_from(out),
                        false => flow,
                    };
                }
                None => {
                    unsure = true;
                    place.sure = false;
                    let flow = self.list(body, place);
                    out = flow.perhaps_from(out);
                }
            }
        }
        let flow = self.list(otherwise, place);
        match unsure {
            true => flow.perhaps_from(out),
            false => flow,
        }
    }

    fn case(
        &mut self,
        subject: &str,
        arms: &[(Vec<String>, Vec<Node>)],
        mut place: Place<'_>,
    ) -> Flow {
        let subject = self.expand(subject);
        let mut out = Flow::is(Some(true));
        let mut unsure = false;
        for (patterns, body) in arms {
            let fits = self.fits(subject.as_ref(), patterns);
            if fits == Some(false) {
                continue;
            }
            if fits.is_none() {
                unsure = true;
                place.sure = false;
            }
            let flow = self.list(body, place);
            if unsure {
                out = flow.perhaps_from(out);
            } else {
                return flow;
            }
            if fits == Some(true) {
                break;
            }
        }
        out
    }

    fn fits(&self, subject: Option<&Value>, patterns: &[String]) -> Option<bool> {
        let mut out = Some(false);
        for pattern in patterns {
            let fits = match (subject, self.expand(pattern)) {
                (_, Some(Value::Text(p))) if p == "*" => Some(true),
                (Some(Value::Text(s)), Some(Value::Text(p))) => Some(like(s, &p)),
                (Some(Value::Some), Some(Value::Text(p))) if p.is_empty() => Some(false),
                _ => None,
            };
            match fits {
                Some(true) => return fits,
                None => out = None,
                Some(false) => {}
            }
        }
        out
    }

    fn tell(
        &mut self,
        line: u32,
        what: What,
        replaces: bool,
        status: Option<u8>,
        place: Place<'_>,
    ) {
        let known = |f: &Found| f.line == line && f.what == what && f.file == place.file;
        if place.apart && what == What::Ends
            || self.found.len() >= MOST_FOUND
            || self.found.iter().any(known)
        {
            return;
        }
        let at = (line as usize).saturating_sub(1);
        let text = place.text.lines().nth(at).unwrap_or_default().trim();
        self.found.push(Found {
            file: place.file.to_owned(),
            line,
            text: text.chars().take(120).collect(),
            what,
            sure: place.sure,
            replaces,
            status,
        });
    }

    fn simple(&mut self, line: u32, words: &[String], place: Place<'_>) -> Flow {
        let mut words = words;
        while let Some((first, rest)) = words.split_first() {
            let Some((name, value)) = assignment(first) else {
                break;
            };
            if rest.iter().all(|w| assignment(w).is_some()) {
                self.set(name, Some(value), place.sure);
                self.idles(line, name, place);
            }
            words = rest;
        }
        while let Some((first, rest)) = words.split_first() {
            let plain = matches!(first.as_str(), "builtin" | "command")
                && rest.first().is_some_and(|w| !w.starts_with('-'));
            if !plain {
                break;
            }
            words = rest;
        }
        let Some((first, rest)) = words.split_first() else {
            return Flow::is(Some(true));
        };
        let ended = Flow {
            ended: !place.apart,
            goes: match place.apart {
                true => Goes::Left,
                false => Goes::On,
            },
            truth: None,
        };
        let argument = |at: usize| rest.get(at).and_then(|w| self.text(w));
        match first.as_str() {
            "exit" | "logout" => {
                let status = argument(0).and_then(|n| n.parse::<u32>().ok());
                self.tell(
                    line,
                    What::Ends,
                    false,
                    status.map(|n| (n & 0xff) as u8),
                    place,
                );
                ended
            }
            "return" => Flow {
                truth: None,
                goes: Goes::Left,
                ended: false,
            },
            "exec" => self.exec(line, rest, place, ended),
            "kill" if rest.iter().any(|w| w == "$$") => {
                self.tell(line, What::Ends, false, None, place);
                ended
            }
            "set" => {
                let mut options = rest.iter().take_while(|w| *w != "--");
                let errexit = options.any(|w| {
                    w == "errexit" || w.starts_with('-') && !w.starts_with("--") && w.contains('e')
                });
                // The next command that fails ends it.
                if errexit {
                    let place = Place {
                        sure: false,
                        ..place
                    };
                    self.tell(line, What::Ends, false, None, place);
                }
                Flow::is(Some(true))
            }
            "." | "source" => match argument(0) {
                Some(path) if !place.apart => {
                    let path = self.at_home(&path);
                    let flow = self.file(&path, place.sure);
                    match self.disk.exists(&path) {
                        true => flow,
                        false => Flow::is(Some(false)),
                    }
                }
                _ => Flow::UNKNOWN,
            },
            "export" | "declare" | "typeset" | "local" | "readonly" => {
                for (name, value) in rest.iter().filter_map(|w| assignment(w)) {
                    self.set(name, Some(value), place.sure);
                    self.idles(line, name, place);
                }
                Flow::is(Some(true))
            }
            "unset" => {
                for name in rest {
                    self.set(name, Some(""), place.sure);
                    self.idles(line, name, place);
                }
                Flow::is(Some(true))
            }
            "read" => {
                for name in rest {
                    self.variables.remove(name);
                }
                Flow::UNKNOWN
            }
            "true" | ":" => Flow::is(Some(true)),
            "false" => Flow::is(Some(false)),
            "[" | "test" | "[[" => {
                let end = match first.as_str() {
                    "[" => "]",
                    "[[" => "]]",
                    _ => "",
                };
                let rest = match rest.split_last() {
                    Some((last, before)) if last == end => before,
                    _ => rest,
                };
                Flow::is(self.test(rest, 0))
            }
            "command" | "which" | "type" | "hash" => {
                let name = rest.iter().find(|w| !w.starts_with('-'));
                Flow::is(
                    name.and_then(|n| self.text(n))
                        .map(|n| self.found_program(&n)),
                )
            }
            "cd" => Flow::is(match rest {
                [] => Some(self.disk.is_folder(&self.login.home)),
                [path] => self.steady(path).map(|p| self.disk.is_folder(&p)),
                _ => None,
            }),
            "tty" => Flow::is(Some(self.login.terminal)),
            "shopt"
                if rest.iter().any(|w| w == "login_shell")
                    && rest.first().is_some_and(|w| w.contains('q')) =>
            {
                Flow::is(Some(self.login.terminal))
            }
            "cat" => {
                let files: Vec<String> = rest
                    .iter()
                    .filter(|w| !w.starts_with('-'))
                    .filter_map(|w| self.text(w))
                    .collect();
                let gone =
                    !files.is_empty() && files.iter().all(|f| !self.disk.exists(&self.at_home(f)));
                if !place.quiet && !gone {
                    self.tell(line, What::Prints, false, None, place);
                }
                Flow::is(Some(!gone))
            }
            "echo" | "printf" | "neofetch" | "fastfetch" | "figlet" | "fortune" | "motd"
            | "screenfetch" => {
                if !place.quiet {
                    self.tell(line, What::Prints, false, None, place);
                }
                Flow::is(Some(true))
            }
            _ => Flow::UNKNOWN,
        }
    }

    fn exec(&mut self, line: u32, words: &[String], place: Place<'_>, ended: Flow) -> Flow {
        let mut words = words;
        while let Some((first, rest)) = words.split_first().filter(|(w, _)| w.starts_with('-')) {
            words = match first.as_str() {
                "-a" => rest.get(1..).unwrap_or_default(),
                _ => rest,
            };
        }
        let Some((program, rest)) = words.split_first() else {
            // It only moves input and output.
            return Flow::is(Some(true));
        };
        let program = self.text(program);
        let gone = program.as_ref().is_some_and(|p| !self.found_program(p));
        if gone && self.login.terminal && self.login.name() == "bash" {
            // An interactive bash goes on.
            return Flow::is(Some(false));
        }
        let status = match program.as_deref() {
            Some(p) if gone => Some(match p.contains('/') && self.disk.exists(p) {
                true => 126,
                false => 127,
            }),
            Some(p) => self.status(p, rest),
            None => None,
        };
        self.tell(line, What::Ends, !gone, status, place);
        ended
    }

    /// The status of a program that does nothing else.
    fn status(&self, program: &str, words: &[String]) -> Option<u8> {
        match (program.rsplit('/').next()?, words) {
            ("true", _) => Some(0),
            ("false", _) => Some(1),
            ("sh" | "bash" | "dash" | "zsh" | "ksh", [flag, command]) if flag == "-c" => {
                let command = self.text(command)?;
                let (verb, number) = command.trim().split_once(' ')?;
                let number = number.trim().parse::<u32>().ok()?;
                (verb == "exit").then_some((number & 0xff) as u8)
            }
            _ => None,
        }
    }

    fn found_program(&self, name: &str) -> bool {
        const FOLDERS: [&str; 7] = [
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
            "/usr/local/sbin",
            "/usr/sbin",
            "/sbin",
            "/usr/games",
        ];
        if name.contains('/') {
            return self.disk.runs(name);
        }
        let home = &self.login.home;
        let own = [format!("{home}/bin"), format!("{home}/.local/bin")];
        let folders = FOLDERS
            .iter()
            .copied()
            .chain(own.iter().map(String::as_str));
        folders
            .into_iter()
            .any(|f| self.disk.runs(&format!("{f}/{name}")))
    }

    /// Where a login begins, a relative path begins too.
    fn at_home(&self, path: &str) -> String {
        match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{}/{}", self.login.home, path.trim_start_matches("./")),
        }
    }

    /// A path whose file is likely to be now as it was at the login.
    fn steady(&self, word: &str) -> Option<String> {
        const FLEETING: [&str; 5] = ["/tmp", "/run", "/var/run", "/proc", "/dev"];
        let path = self.text(word)?;
        if path.is_empty() || path.contains(['*', '?']) {
            return None;
        }
        let path = self.at_home(&path);
        let fleeting = FLEETING
            .iter()
            .any(|f| path.strip_prefix(f).is_some_and(|r| r.starts_with('/')));
        (!fleeting).then_some(path)
    }

    fn set(&mut self, name: &str, value: Option<&str>, sure: bool) {
        let value = value.and_then(|v| self.expand(v)).filter(|_| sure);
        match value {
            Some(value) if !name.ends_with('+') && self.variables.len() < MOST_VARIABLES => {
                self.variables.insert(name.to_owned(), value);
            }
            _ => {
                self.variables.remove(name.trim_end_matches('+'));
            }
        }
    }

    /// TMOUT was set: what it was before counts no more.
    fn idles(&mut self, line: u32, name: &str, place: Place<'_>) {
        if name != "TMOUT" || !self.login.terminal || place.apart || !place.sure {
            return;
        }
        self.found.retain(|f| !matches!(f.what, What::Idles(_)));
        let Some(Value::Text(seconds)) = self.variables.get(name) else {
            return;
        };
        if let Some(seconds) = seconds.parse().ok().filter(|s| *s > 0) {
            self.tell(line, What::Idles(seconds), false, None, place);
        }
    }

    fn text(&self, word: &str) -> Option<String> {
        match self.expand(word)? {
            Value::Text(text) => Some(text),
            Value::Some => None,
        }
    }

    /// A word without its quotes, variables filled in.
    fn expand(&self, word: &str) -> Option<Value> {
        if word.len() > LONGEST_WORD {
            return None;
        }
        let chars: Vec<char> = word.chars().collect();
        let mut out = String::new();
        let (mut unknown, mut some) = (false, false);
        let (mut single, mut double) = (false, false);
        let mut at = 0;
        if word == "~" || word.starts_with("~/") {
            out.push_str(&self.login.home);
            at = 1;
        }
        while let Some(c) = chars.get(at).copied() {
            at += 1;
            let value = match c {
                '\'' if !double => {
                    single = !single;
                    continue;
                }
                '"' if !single => {
                    double = !double;
                    continue;
                }
                '\\' if !single => {
                    out.extend(chars.get(at));
                    at += 1;
                    continue;
                }
                '`' if !single => {
                    let rest = chars.get(at..).unwrap_or_default();
                    let inner: String = rest.iter().take_while(|c| **c != '`').collect();
                    at += inner.chars().count() + 1;
                    self.answer(&inner)
                }
                '$' if !single => {
                    let rest: String = chars.get(at..).unwrap_or_default().iter().collect();
                    let (value, read) = self.dollar(&rest);
                    at += read;
                    value
                }
                c => {
                    out.push(c);
                    continue;
                }
            };
            match value {
                Some(Value::Text(text)) => out.push_str(&text),
                Some(Value::Some) => some = true,
                None => unknown = true,
            }
        }
        match (unknown, some) {
            (false, false) => Some(Value::Text(out)),
            (_, true) => Some(Value::Some),
            (true, false) if !out.is_empty() => Some(Value::Some),
            (true, false) => None,
        }
    }

    /// What a `$` leads to, and how many characters of the rest belong to it.
    fn dollar(&self, rest: &str) -> (Option<Value>, usize) {
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match rest.chars().next() {
            Some(open @ ('(' | '{')) => {
                let close = if open == '(' { ')' } else { '}' };
                let mut depth = 0u32;
                let mut length = 0;
                for c in rest.chars() {
                    length += 1;
                    if c == open {
                        depth += 1;
                    } else if c == close {
                        depth -= 1;
                        if depth == 0 {
                            break;
                        }
                    }
                }
                let inner: String = rest
                    .chars()
                    .skip(1)
                    .take(usize::saturating_sub(length, 2))
                    .collect();
                let value = match open {
                    '(' => self.answer(&inner),
                    _ => self.braces(&inner),
                };
                (value, length)
            }
            Some('-') => (self.variables.get("-").cloned(), 1),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let name: String = rest.chars().take_while(|c| named(*c)).collect();
                (self.variables.get(&name).cloned(), name.chars().count())
            }
            Some('$' | '?' | '!' | '#' | '@' | '*' | '0'..='9') => (None, 1),
            _ => (Some(Value::Text("$".to_owned())), 0),
        }
    }

    /// `NAME`, `NAME:-WORD`, `NAME:+WORD` and the like, what stands in `${ }`.
    fn braces(&self, inner: &str) -> Option<Value> {
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name: String = inner.chars().take_while(|c| named(*c)).collect();
        let rest = inner.get(name.len()..).unwrap_or_default();
        let value = match inner {
            "-" => self.variables.get("-"),
            _ => self.variables.get(&name),
        };
        let empty = value.map(|v| *v == Value::Text(String::new()));
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        let word = rest.get(1..).unwrap_or_default();
        match (rest.chars().next(), empty) {
            (None, _) => value.cloned(),
            _ if inner == "-" => value.cloned(),
            (Some('-' | '=' | '?'), Some(false)) => value.cloned(),
            (Some('-' | '='), Some(true)) | (Some('+'), Some(false)) => {
                let plain = !word.contains(['$', '`']);
                plain.then(|| Value::Text(word.replace(['"', '\''], "")))
            }
            (Some('+'), Some(true)) => Some(Value::Text(String::new())),
            _ => None,
        }
    }

    /// What a command prints, of those that only say who one is.
    fn answer(&self, command: &str) -> Option<Value> {
        let words: Vec<&str> = command.split_ascii_whitespace().collect();
        match words[..] {
            ["id", "-un"] | ["whoami"] | ["logname"] => Some(Value::Text(self.login.user.clone())),
            ["id", "-u"] => Some(Value::Text(self.login.uid.to_string())),
            _ => None,
        }
    }

    /// A test's words, as far as it can be told. `depth`: tests inside each other.
    fn test(&self, words: &[String], depth: u32) -> Option<bool> {
        if depth > 20 {
            return None;
        }
        for (signs, and) in [(["-o", "||"], false), (["-a", "&&"], true)] {
            let joined = |(at, w): (usize, &String)| {
                // `-a` and `-o` as operators stand between two tests.
                let between = at > 0 && at + 1 < words.len();
                let denied = words.get(at.wrapping_sub(1)).is_some_and(|b| b == "!");
                (between && !denied && signs.contains(&w.as_str())).then_some(at)
            };
            let Some(at) = words.iter().enumerate().find_map(joined) else {
                continue;
            };
            let (left, right) = words.split_at_checked(at)?;
            let left = self.test(left, depth + 1);
            let right = self.test(right.get(1..)?, depth + 1);
            return match (left, right) {
                (Some(l), _) | (_, Some(l)) if l != and => Some(l),
                (Some(_), Some(r)) => Some(r),
                _ => None,
            };
        }
        match words {
            [] => Some(false),
            [one] => self.filled(one),
            [not, rest @ ..] if not == "!" => self.test(rest, depth + 1).map(|t| !t),
            [open, inner @ .., close] if open.ends_with('(') && close.ends_with(')') => {
                self.test(inner, depth + 1)
            }
            [operator, word] => self.unary(operator, word),
            [left, operator, right] => self.binary(left, operator, right),
            _ => None,
        }
    }

    /// Whether the word is not empty.
    fn filled(&self, word: &str) -> Option<bool> {
        Some(match self.expand(word)? {
            Value::Text(text) => !text.is_empty(),
            Value::Some => true,
        })
    }

    fn unary(&self, operator: &str, word: &str) -> Option<bool> {
        match operator {
            "-n" => self.filled(word),
            "-z" => self.filled(word).map(|f| !f),
            "-t" => Some(self.login.terminal),
            "-v" => self.filled(&format!("${{{word}}}")),
            "-e" | "-a" | "-s" | "-r" => self.steady(word).map(|p| self.disk.exists(&p)),
            "-f" => self
                .steady(word)
                .map(|p| self.disk.exists(&p) && !self.disk.is_folder(&p)),
            "-d" => self.steady(word).map(|p| self.disk.is_folder(&p)),
            "-x" => self
                .steady(word)
                .map(|p| self.disk.is_folder(&p) || self.disk.runs(&p)),
            _ => None,
        }
    }

    fn binary(&self, left: &str, operator: &str, right: &str) -> Option<bool> {
        let (l, r) = (self.expand(left)?, self.expand(right)?);
        let (Value::Text(l), Value::Text(r)) = (&l, &r) else {
            let empty = |v: &Value| *v == Value::Text(String::new());
            // Something is never nothing.
            return match operator {
                "=" | "==" if empty(&l) || empty(&r) => Some(false),
                "!=" if empty(&l) || empty(&r) => Some(true),
                _ => None,
            };
        };
        let numbers = || Some((l.parse::<i64>().ok()?, r.parse::<i64>().ok()?));
        match operator {
            "=" | "==" => Some(like(l, r)),
            "!=" => Some(!like(l, r)),
            // Only a plain word is understood as an expression.
            "=~" => r
                .chars()
                .all(|c| c.is_ascii_alphanumeric())
                .then(|| l.contains(r.as_str())),
            "-eq" => numbers().map(|(l, r)| l == r),
            "-ne" => numbers().map(|(l, r)| l != r),
            "-lt" => numbers().map(|(l, r)| l < r),
            "-le" => numbers().map(|(l, r)| l <= r),
            "-gt" => numbers().map(|(l, r)| l > r),
            "-ge" => numbers().map(|(l, r)| l >= r),
            _ => None,
        }
    }
}

/// Whether a text is of the shape of a pattern; a dot at its beginning is a sign as any other here.
fn like(text: &str, pattern: &str) -> bool {
    glob(&format!("x{text}"), &format!("x{pattern}"))
}

/// `NAME=VALUE`
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let plain = name.trim_end_matches('+');
    let first = plain.chars().next()?;
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!first.is_ascii_digit() && plain.chars().all(named)).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Files(BTreeMap<&'static str, &'static str>);

    impl Disk for Files {
        fn text(&self, path: &str) -> Option<String> {
            self.0.get(path).map(|t| (*t).to_owned())
        }
        fn exists(&self, path: &str) -> bool {
            self.0.contains_key(path) || self.is_folder(path)
        }
        fn is_folder(&self, path: &str) -> bool {
            self.0.keys().any(|k| k.starts_with(&format!("{path}/")))
        }
        fn runs(&self, path: &str) -> bool {
            self.0.get(path) == Some(&"#!")
        }
    }

    fn login(terminal: bool) -> Login {
        Login {
            user: "alice".to_owned(),
            uid: 2001,
            home: "/home/alice".to_owned(),
            shell: "/bin/bash".to_owned(),
            terminal,
        }
    }

    const RC: &str = "/home/alice/.bashrc";

    fn found(terminal: bool, text: &'static str) -> Vec<Found> {
        let mut files = BTreeMap::from([
            ("/etc/there", "x"),
            ("/bin/sh", "#!"),
            ("/usr/bin/fish", "#!"),
            (
                "/home/alice/.env",
                "if [ -z \"$TOKEN\" ]; then\n  exit 2\nfi\n",
            ),
            ("/home/alice/.loop", ". ~/.loop\n. ~/.bashrc\n"),
            ("/home/alice/.early", "return\nexit 9\n"),
        ]);
        files.insert(RC, text);
        walk(&Files(files), &login(terminal), &[RC.to_owned()])
    }

    /// Line, sure, status of what ends a command's shell.
    fn ends(text: &'static str) -> Vec<(u32, bool, Option<u8>)> {
        let all = found(false, text).into_iter();
        all.filter(|f| f.what == What::Ends)
            .map(|f| (f.line, f.sure, f.status))
            .collect()
    }

    fn prints(text: &'static str) -> Vec<(u32, bool)> {
        let all = found(false, text).into_iter();
        all.filter(|f| f.what == What::Prints)
            .map(|f| (f.line, f.sure))
            .collect()
    }

    #[test]
    fn shells_at_a_terminal_that_end_where_nothing_is_typed() {
        let idle = |terminal: bool, text: &'static str| {
            let all = found(terminal, text).into_iter();
            let idle = all.filter_map(|f| match f.what {
                What::Idles(seconds) => Some((f.line, seconds)),
                What::Ends | What::Prints => None,
            });
            idle.collect::<Vec<_>>()
        };
        assert_eq!(
            idle(true, "TMOUT=1; readonly TMOUT; export TMOUT\n"),
            [(1, 1)]
        );
        assert_eq!(idle(true, "x=1\nreadonly TMOUT=600\n"), [(2, 600)]);
        assert_eq!(idle(true, "TMOUT=30\nTMOUT=900\n"), [(2, 900)]);
        for text in [
            "TMOUT=30\nunset TMOUT\n",
            "TMOUT=0\n",
            "[ -e /run/x ] && TMOUT=30\n",
        ] {
            assert_eq!(idle(true, text), [], "{text}");
        }
        assert_eq!(idle(false, "TMOUT=30\n"), []);
    }

    #[test]
    fn what_ends_a_shell_under_a_condition_is_found() {
        assert_eq!(ends("exit 3\necho hi\n"), [(1, true, Some(3))]);
        assert_eq!(
            ends("if [ ! -f /etc/gone ]; then\n  exit 1\nfi\n"),
            [(2, true, Some(1))]
        );
        assert_eq!(ends("if [ ! -f /etc/there ]; then exit 1; fi\n"), []);
        // What comes and goes may have been otherwise then.
        assert_eq!(ends("[ -e /run/x ] || exit 1\n"), [(1, false, Some(1))]);
        assert_eq!(
            ends("mountpoint -q /data || exit 7\nexit 8\n"),
            [(1, false, Some(7)), (2, true, Some(8))]
        );
        assert_eq!(
            ends("if id -nG | grep -qw x; then exit 1; fi\n"),
            [(1, false, Some(1))]
        );
        assert_eq!(
            ends("if [[ -n $SSH_CONNECTION && ! -t 1 ]]; then\n    exit 1\nfi\n"),
            [(2, true, Some(1))]
        );
        assert_eq!(ends("[ -t 0 ] || exit 0\n"), [(1, true, Some(0))]);
        assert_eq!(
            ends("x || { echo no >&2; exit 4; }\n"),
            [(1, false, Some(4))]
        );
        assert_eq!(
            ends("set -eu\n[ -x /x ] || exit 1\n"),
            [(1, false, None), (2, true, Some(1))]
        );
        assert_eq!(ends("kill -9 $$\n"), [(1, true, None)]);
    }

    #[test]
    fn what_ends_nothing_is_left_alone() {
        for text in [
            "f() {\n  exit 1\n}\nquit() { exit 1; }\nfunction g { exit; }\n",
            "alias x=exit\ntrap 'exit 1' EXIT\necho exit >/dev/null\n# exit\nx='\nexit 1\n'\n",
            "( exit 1 )\nx | while read a; do exit 1; done\nx=$(exit 1)\n",
            "cat >/dev/null <<EOF\nexit 1\nEOF\n",
            "exec 2>/dev/null\nset -o vi\nset +e\nset -- -e\n",
            "[ \"$USER\" = dave ] && exit 1\ncase $(id -un) in dave) exit 1 ;; esac\n",
            "[ -n \"$TMUX\" ] && exit 1\n[ $EUID -eq 0 ] && exit 1\n",
            // The guards that people write.
            "case $- in\n  *i*) ;;\n  *) return;;\nesac\nexit 1\n",
            "[ -z \"$PS1\" ] && return\nexit 1\n",
            "[ -z \"${PS1:-}\" ] && return\nexit 1\n",
            "[[ $- == *i* ]] || return\nexit 1\n",
            "[[ $- != *i* ]] && return\nexit 1\n",
            "if [[ ! $- =~ i ]]; then return; fi\nexit 1\n",
            "if [ -t 1 ]; then exec fish; fi\n",
            "if [ ! -t 0 ]; then return; fi\nexit 1\n",
            "if shopt -q login_shell; then exit 1; fi\n",
        ] {
            assert_eq!(ends(text), [], "{text}");
        }
    }

    #[test]
    fn sourced_files_belong_to_it() {
        assert_eq!(ends(". ~/.env\n"), [(2, false, Some(2))]);
        assert_eq!(
            found(false, "source $HOME/.env\n")[0].file,
            "/home/alice/.env"
        );
        assert_eq!(ends("[ -f ~/.env ] && . \"$HOME/.env\"\n").len(), 1);
        assert_eq!(
            ends(". ~/.loop\n. ~/.early\n. ~/.gone\nexit 5\n"),
            [(4, true, Some(5))]
        );
    }

    #[test]
    fn another_program_takes_the_place() {
        assert_eq!(ends("exec /opt/menu\n"), [(1, true, Some(127))]);
        assert_eq!(ends("exec zsh -l\n"), [(1, true, Some(127))]);
        assert_eq!(ends("exec /etc/there\n"), [(1, true, Some(126))]);
        assert_eq!(ends("x && exec sh -c \"exit 4\"\n"), [(1, false, Some(4))]);
        let text = "[ -n \"$SSH_CONNECTION\" ] && exec /bin/sh -c \"exit 4\"\n";
        assert_eq!(ends(text), [(1, true, Some(4))]);
        assert!(found(false, text)[0].replaces);
        assert_eq!(ends("command -v zsh >/dev/null && exec zsh\n"), []);
        assert_eq!(
            ends("command -v fish >/dev/null && exec fish\n"),
            [(1, true, None)]
        );
        // An interactive bash goes on where the program is not there; a terminal takes what a command does not.
        assert_eq!(found(true, "exec zsh -l\n"), []);
        assert_eq!(found(true, "[[ $- == *i* ]] && exec fish\n").len(), 1);
        assert_eq!(found(true, "[ -t 0 ] || exit 0\n"), []);
    }

    #[test]
    fn what_prints_is_told_from_what_nobody_sees() {
        assert_eq!(prints("echo \"Hello $USER\"\n"), [(1, true)]);
        assert_eq!(
            prints("test -r /etc/there && cat /etc/there\n"),
            [(1, true)]
        );
        assert_eq!(prints("x && echo a\n"), [(1, false)]);
        assert_eq!(
            prints("echo a >&2\necho b 1>/dev/null\n{ echo c; } > x\ncat /etc/gone\necho d | x\n"),
            []
        );
        assert_eq!(
            prints("case $- in *i*) echo hi;; esac\n[ -t 1 ] && echo hi\n"),
            []
        );
        assert_eq!(prints("echo a 2>/dev/null\n"), [(1, true)]);
    }

    #[test]
    fn tests_are_joined_and_denied() {
        for (test, truth) in [
            ("-n \"$HOME\" -a -z \"$PS1\"", Some(true)),
            ("-n \"$WHO\" -a -n \"$PS1\"", Some(false)),
            ("-n \"$WHO\" -o -z \"$PS1\"", Some(true)),
            ("-n \"$WHO\" -o -n \"$PS1\"", None),
            ("! -a /etc/there", Some(false)),
            ("! -t 0", Some(true)),
            ("$EUID -ge 1000", Some(true)),
            ("x$SSH_TTY = x", Some(true)),
            ("\"$SSH_CONNECTION\" = \"\"", Some(false)),
            ("\"$SSH_CONNECTION\" = \"10.*\"", None),
            ("\"${WHO:-nobody}\" = nobody", None),
            ("\"${USER%x}\" = alice", None),
        ] {
            let text = format!("[ {test} ] && exit 1\n");
            let expected = match truth {
                Some(true) => vec![(1, true, Some(1))],
                Some(false) => vec![],
                None => vec![(1, false, Some(1))],
            };
            assert_eq!(ends(Box::leak(text.into_boxed_str())), expected, "{test}");
        }
    }

    #[test]
    fn a_file_made_to_be_slow_comes_to_an_end() {
        let words = format!("x={}\n", "$a".repeat(100_000));
        let variables: String = (0..10_000).map(|n| format!("v{n}=1\n( : )\n")).collect();
        for text in [words, variables, "if [ -n \"$(".repeat(20_000)] {
            assert!(found(false, Box::leak(text.into_boxed_str())).is_empty());
        }
    }

    #[test]
    fn any_text_is_survived() {
        for part in [
            "if",
            "case x in",
            "[ ! ]",
            "[[ ( ]]",
            "test -a -o",
            "${",
            "$(",
            "`",
            "x=",
            "exec -a",
            "exec -",
            ". ",
            "${é:-x}",
            "[ a -a b -o ]",
            "~",
            "kill $$",
            "cd ",
            "for i in; do",
        ] {
            found(
                false,
                Box::leak(format!("{part}\n{part} ; {part}\n").into_boxed_str()),
            );
        }
    }
}
