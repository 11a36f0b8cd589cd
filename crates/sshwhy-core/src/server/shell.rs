//! The grammar of sh, bash and zsh as far as start-up files need it: commands, what joins them, what they stand in.
//!
//! Reads any text and never fails: what is no shell becomes commands that nobody knows. Substitutions stay part of their
//! word; here-documents and comments are passed over.

/// How deep commands may stand inside each other.
const DEEPEST: u32 = 60;

/// A command, or several that belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Simple {
        line: u32,
        /// As written, quotes and all.
        words: Vec<String>,
        /// Its output goes elsewhere.
        quiet: bool,
    },
    /// The first, and each other with what stands before it: `&&` is true.
    Chain(Box<Node>, Vec<(bool, Node)>),
    Not(Box<Node>),
    /// In a shell of their own, which may end without harm.
    Apart(Vec<Node>),
    If {
        arms: Vec<(Vec<Node>, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    Case {
        subject: String,
        arms: Vec<(Vec<String>, Vec<Node>)>,
    },
    Loop(Vec<Node>),
    Group(Vec<Node>),
    /// Its output goes elsewhere.
    Quiet(Box<Node>),
    /// A definition: it runs when somebody calls it.
    Function,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Word(String),
    Op(&'static str),
    /// Whether it moves standard output.
    Redirect(bool),
}

pub(super) fn parse(text: &str) -> Vec<Node> {
    let tokens = Lexer::new(text).tokens();
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
    };
    let mut out = Vec::new();
    while parser.at < parser.tokens.len() {
        out.extend(parser.list(&[]));
        // A closing sign that nothing opened.
        parser.at += 1;
    }
    out
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: u32,
    /// Ends of here-documents that begin after this line: the word, and whether tabs before it count.
    documents: Vec<(String, bool)>,
    out: Vec<(Token, u32)>,
    /// Quotes and substitutions inside each other.
    nested: u32,
}

impl Lexer {
    fn new(text: &str) -> Lexer {
        Lexer {
            chars: text.chars().collect(),
            at: 0,
            line: 1,
            documents: Vec::new(),
            out: Vec::new(),
            nested: 0,
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn starts(&self, what: &str) -> bool {
        what.chars()
            .enumerate()
            .all(|(i, c)| self.peek(i) == Some(c))
    }

    fn tokens(mut self) -> Vec<(Token, u32)> {
        let mut in_test = false;
        while let Some(c) = self.peek(0) {
            let line = self.line;
            if c == '\n' {
                self.next();
                self.out.push((Token::Op("\n"), line));
                self.documents();
            } else if c.is_whitespace() {
                self.next();
            } else if c == '\\' && self.peek(1) == Some('\n') {
                self.next();
                self.next();
            } else if c == '#' {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if in_test {
                // `[[ a && b ]]`: operators are words of the test.
                let mut word = String::new();
                while let Some(c) = self.peek(0).filter(|c| !c.is_whitespace()) {
                    if matches!(c, '\'' | '"' | '`' | '$' | '\\') {
                        self.part(&mut word);
                    } else {
                        word.push(c);
                        self.next();
                    }
                }
                let word = match word.strip_suffix(';') {
                    Some(end) if end == "]]" => {
                        self.at -= 1;
                        end.to_owned()
                    }
                    _ => word,
                };
                in_test = word != "]]";
                self.out.push((Token::Word(word), line));
            } else if self.starts("((") {
                let mut word = String::new();
                self.enclosed(&mut word, '(', ')');
                self.out.push((Token::Word(word), line));
            } else if let Some(op) = self.operator() {
                self.out.push((Token::Op(op), line));
            } else if self.redirect() {
            } else {
                let word = self.word();
                in_test = word == "[[";
                self.out.push((Token::Word(word), line));
            }
        }
        self.out
    }

    fn operator(&mut self) -> Option<&'static str> {
        if self.starts("&>") {
            return None;
        }
        const OPS: [(&str, &str); 10] = [
            (";;&", ";;"),
            (";;", ";;"),
            (";&", ";;"),
            ("&&", "&&"),
            ("||", "||"),
            (";", ";"),
            ("&", "&"),
            ("|", "|"),
            ("(", "("),
            (")", ")"),
        ];
        let (text, op) = OPS.into_iter().find(|(text, _)| self.starts(text))?;
        self.at += text.len();
        Some(op)
    }

    /// `2>file`, `>&2`, `<<EOF`, with what it leads to.
    fn redirect(&mut self) -> bool {
        let line = self.line;
        let digits = (0..)
            .take_while(|i| self.peek(*i).is_some_and(|c| c.is_ascii_digit()))
            .count();
        let both = digits == 0 && self.starts("&>");
        let sign = digits + usize::from(both);
        if !matches!(self.peek(sign), Some('<' | '>')) || self.peek(sign + 1) == Some('(') {
            return false;
        }
        let output = self.peek(sign) == Some('>');
        let first = digits == 0 || digits == 1 && self.peek(0) == Some('1');
        self.at += sign;
        let document = self.starts("<<") && !self.starts("<<<");
        let tabs = self.starts("<<-");
        while matches!(self.peek(0), Some('<' | '>' | '&' | '|' | '-')) {
            self.at += 1;
        }
        while matches!(self.peek(0), Some(' ' | '\t')) {
            self.at += 1;
        }
        let target = self.word();
        if document {
            let end = target.replace(['\'', '"', '\\'], "");
            self.documents.push((end, tabs));
        }
        self.out.push((Token::Redirect(output && first), line));
        true
    }

    /// Passes over the here-documents of the line that just ended.
    fn documents(&mut self) {
        for (end, tabs) in std::mem::take(&mut self.documents) {
            while self.at < self.chars.len() {
                let mut line = String::new();
                while let Some(c) = self.next().filter(|c| *c != '\n') {
                    line.push(c);
                }
                let line = if tabs {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                if line == end {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        let from = self.at;
        while let Some(c) = self.peek(0) {
            match c {
                '\'' | '"' | '`' | '$' | '\\' => self.part(&mut word),
                // An array, or a pattern of several.
                '(' if word.ends_with(['=', '@', '?', '+', '!', '*']) => {
                    self.enclosed(&mut word, '(', ')');
                }
                '<' | '>' if self.peek(1) == Some('(') => {
                    word.push(c);
                    self.next();
                    self.enclosed(&mut word, '(', ')');
                }
                ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                c if c.is_whitespace() => break,
                c => {
                    word.push(c);
                    self.next();
                }
            }
        }
        if self.at == from {
            // No sign of the grammar is left: nothing may stop the reading.
            self.next();
        }
        word
    }

    /// One quoted or substituted part of a word, as written.
    fn part(&mut self, word: &mut String) {
        let Some(first) = self.next() else {
            return;
        };
        if self.nested > DEEPEST {
            word.push(first);
            return;
        }
        self.nested += 1;
        match first {
            '\\' => match self.next() {
                Some('\n') | None => {}
                Some(c) => {
                    word.push('\\');
                    word.push(c);
                }
            },
            '$' => {
                word.push('$');
                match self.peek(0) {
                    Some('(') => self.enclosed(word, '(', ')'),
                    Some('{') => self.enclosed(word, '{', '}'),
                    _ => {}
                }
            }
            quote => {
                word.push(quote);
                while let Some(c) = self.peek(0) {
                    if c == quote {
                        self.next();
                        break;
                    }
                    match c {
                        '\\' if quote != '\'' => {
                            self.next();
                            word.push('\\');
                            word.extend(self.next());
                        }
                        '$' if quote == '"' => self.part(word),
                        c => {
                            word.push(c);
                            self.next();
                        }
                    }
                }
                word.push(quote);
            }
        }
        self.nested -= 1;
    }

    /// From an opening sign to the one that closes it.
    fn enclosed(&mut self, word: &mut String, open: char, close: char) {
        let mut depth = 0u32;
        while let Some(c) = self.peek(0) {
            if matches!(c, '\'' | '"' | '`' | '\\') {
                self.part(word);
                continue;
            }
            self.next();
            word.push(c);
            if c == open {
                depth += 1;
            } else if c == close {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            }
        }
    }
}

struct Parser {
    tokens: Vec<(Token, u32)>,
    at: usize,
    depth: u32,
}

impl Parser {
    fn word(&self) -> Option<&str> {
        match self.tokens.get(self.at) {
            Some((Token::Word(word), _)) => Some(word),
            _ => None,
        }
    }

    fn op(&self) -> Option<&'static str> {
        self.op_at(self.at)
    }

    fn op_at(&self, at: usize) -> Option<&'static str> {
        match self.tokens.get(at) {
            Some((Token::Op(op), _)) => Some(op),
            _ => None,
        }
    }

    fn take(&mut self, what: &str) -> bool {
        let is = self.word() == Some(what) || self.op() == Some(what);
        self.at += usize::from(is);
        is
    }

    fn skip_lines(&mut self) {
        while self.op() == Some("\n") {
            self.at += 1;
        }
    }

    /// Commands up to one of these words, or to a sign that closes what they stand in.
    fn list(&mut self, ends: &[&str]) -> Vec<Node> {
        let mut out = Vec::new();
        loop {
            while matches!(self.op(), Some(";" | "\n" | "&")) {
                self.at += 1;
            }
            let over = self.at >= self.tokens.len() || matches!(self.op(), Some(")" | ";;"));
            if over || self.word().is_some_and(|w| ends.contains(&w)) {
                return out;
            }
            let from = self.at;
            out.push(self.chain());
            if self.at == from {
                self.at += 1;
            }
        }
    }

    fn chain(&mut self) -> Node {
        let first = self.pipe();
        let mut others = Vec::new();
        while let Some(op @ ("&&" | "||")) = self.op() {
            self.at += 1;
            self.skip_lines();
            others.push((op == "&&", self.pipe()));
        }
        let node = match others.is_empty() {
            true => first,
            false => Node::Chain(Box::new(first), others),
        };
        match self.op() {
            Some("&") => Node::Apart(Vec::new()),
            _ => node,
        }
    }

    fn pipe(&mut self) -> Node {
        let mut not = false;
        while self.take("!") {
            not = !not;
        }
        let mut node = self.command();
        while self.op() == Some("|") {
            self.at += 1;
            self.skip_lines();
            self.command();
            node = Node::Apart(Vec::new());
        }
        match not {
            true => Node::Not(Box::new(node)),
            false => node,
        }
    }

    fn command(&mut self) -> Node {
        if self.depth > DEEPEST {
            self.at += 1;
            return Node::Apart(Vec::new());
        }
        self.depth += 1;
        let node = self.compound();
        self.depth -= 1;
        let Some(node) = node else {
            return self.simple();
        };
        let mut quiet = false;
        while let Some((Token::Redirect(output), _)) = self.tokens.get(self.at) {
            quiet |= output;
            self.at += 1;
        }
        match quiet {
            true => Node::Quiet(Box::new(node)),
            false => node,
        }
    }

    fn compound(&mut self) -> Option<Node> {
        if self.take("(") {
            let inner = self.list(&[]);
            self.take(")");
            return Some(Node::Apart(inner));
        }
        let defines = self.op_at(self.at + 1) == Some("(") && self.op_at(self.at + 2) == Some(")");
        let word = self.word()?.to_owned();
        match word.as_str() {
            "if" => {
                let mut arms = Vec::new();
                let mut otherwise = Vec::new();
                while self.take("if") || self.take("elif") {
                    let test = self.list(&["then", "fi"]);
                    self.take("then");
                    arms.push((test, self.list(&["elif", "else", "fi"])));
                }
                if self.take("else") {
                    otherwise = self.list(&["fi"]);
                }
                self.take("fi");
                Some(Node::If { arms, otherwise })
            }
            "case" => Some(self.case()),
            "for" | "select" | "while" | "until" => {
                self.at += 1;
                let mut inner = self.list(&["do", "done"]);
                if matches!(word.as_str(), "for" | "select") {
                    inner.clear();
                }
                self.take("do");
                inner.extend(self.list(&["done"]));
                self.take("done");
                Some(Node::Loop(inner))
            }
            "{" => {
                self.at += 1;
                let inner = self.list(&["}"]);
                self.take("}");
                Some(Node::Group(inner))
            }
            "function" => {
                self.at += 2;
                if self.take("(") {
                    self.take(")");
                }
                self.body()
            }
            _ if defines => {
                self.at += 3;
                self.body()
            }
            _ => None,
        }
    }

    fn body(&mut self) -> Option<Node> {
        self.skip_lines();
        self.command();
        Some(Node::Function)
    }

    fn case(&mut self) -> Node {
        self.at += 1;
        let subject = self.word().unwrap_or_default().to_owned();
        self.at += 1;
        self.skip_lines();
        self.take("in");
        let mut arms = Vec::new();
        loop {
            while matches!(self.op(), Some("\n" | ";;" | ";")) {
                self.at += 1;
            }
            if self.take("esac") || self.at >= self.tokens.len() {
                return Node::Case { subject, arms };
            }
            self.take("(");
            let mut patterns = Vec::new();
            while let Some(word) = self.word() {
                patterns.push(word.to_owned());
                self.at += 1;
                self.take("|");
            }
            if !self.take(")") {
                // No arm: whatever it is, it must not hold up the reading.
                self.at += 1;
                continue;
            }
            arms.push((patterns, self.list(&["esac"])));
        }
    }

    fn simple(&mut self) -> Node {
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        let mut words = Vec::new();
        let mut quiet = false;
        loop {
            match self.tokens.get(self.at) {
                Some((Token::Word(word), _)) => words.push(word.clone()),
                Some((Token::Redirect(output), _)) => quiet |= output,
                _ => return Node::Simple { line, words, quiet },
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(node: &Node) -> Vec<&str> {
        match node {
            Node::Simple { words, .. } => words.iter().map(String::as_str).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_keep_their_quotes_and_substitutions() {
        let nodes = parse("echo \"a; b\" 'c # d' $(id -un; x) ${A:-b c} e\\;f # exit\n");
        assert_eq!(
            words(&nodes[0]),
            [
                "echo",
                "\"a; b\"",
                "'c # d'",
                "$(id -un; x)",
                "${A:-b c}",
                "e\\;f"
            ]
        );
        assert_eq!(nodes.len(), 1);
        let nodes = parse("[[ -n $A && ! -t 1 ]]; PS1=\"$(x)\"; a=(b c)\n");
        assert_eq!(words(&nodes[0]).len(), 8);
        assert_eq!(words(&nodes[2]), ["a=(b c)"]);
    }

    #[test]
    fn what_stands_in_what() {
        let nodes = parse(
            "f() {\n  exit 1\n}\nfunction g { exit; }\nif a; then b; elif c; then d; else e; fi\n\
             case $x in\n  (a|b) c ;;\n  *) d;; esac\nx | exit\n( exit ) >/dev/null\nwhile a; do b; done\n",
        );
        assert_eq!(nodes.len(), 7);
        assert_eq!(&nodes[..2], [Node::Function, Node::Function]);
        assert!(
            matches!(&nodes[2], Node::If { arms, otherwise } if arms.len() == 2 && otherwise.len() == 1)
        );
        assert!(
            matches!(&nodes[3], Node::Case { arms, .. } if arms.len() == 2 && arms[0].0 == ["a", "b"])
        );
        assert_eq!(nodes[4], Node::Apart(Vec::new()));
        assert!(matches!(&nodes[5], Node::Quiet(_)));
        assert!(matches!(&nodes[6], Node::Loop(inner) if inner.len() == 2));
    }

    #[test]
    fn documents_are_no_commands_and_lines_are_counted() {
        let nodes = parse("cat <<-EOF >&2\n\texit 1\n\tEOF\nexit 2\n");
        assert!(matches!(&nodes[0], Node::Simple { quiet: true, .. }));
        assert!(matches!(&nodes[1], Node::Simple { line: 4, .. }));
        assert!(matches!(
            &parse("exec 2>/dev/null\n")[0],
            Node::Simple { quiet: false, .. }
        ));
    }

    #[test]
    fn any_text_is_survived() {
        for part in [
            "if",
            "case x",
            "case x in",
            "esac",
            "((",
            "$(",
            "${",
            "\"$(",
            "[[ ",
            "{",
            "}",
            ")",
            ";;",
            "<<",
            "f()",
            "&",
            "|",
            "`",
            "\\",
            "function",
            "for",
            "!",
            "é\u{0}",
        ] {
            for other in ["", " ", "\n", " fi\n", " ) ;; "] {
                let text = format!("{part}{other}");
                parse(&text);
                parse(&text.repeat(400));
            }
        }
    }
}
