//! How a cause is told from its observations: what it needs, what speaks for it, what speaks against it.
//!
//! A cause may have several rules (several ways to be recognised); the best that holds counts. A rule never names a
//! gatherer: whoever saw the facts, the same rule judges them, so the client's and the server's view meet here.
//! `confidence` is what the rule is worth alone, where everything it needs was seen: measured on broken servers, not
//! chosen for its looks. A symptom stays below one half: it is true, and it is not why.
//!
//! To add a rule: a row in the file of the side that sees the facts. Keys and values are checked against
//! [`super::facts`] by test.

mod client;
mod server;

use super::causes::Gate;

/// Which values a test takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Is {
    Any,
    /// One of these words.
    One(&'static [&'static str]),
    /// Another word than these.
    Except(&'static [&'static str]),
    /// A comma- or space-separated list that has this word.
    Has(&'static str),
    /// A comma- or space-separated list without any of these words.
    Lacks(&'static [&'static str]),
}

/// Which `about` a test takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    Any,
    /// The same thing as the rule's first need is about.
    Same,
    Word(&'static str),
}

/// One look at the observations: does one of them say this?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Test {
    pub key: &'static str,
    pub is: Is,
    pub about: About,
}

pub const fn is(key: &'static str, words: &'static [&'static str]) -> Test {
    test(key, Is::One(words))
}

pub const fn isnt(key: &'static str, words: &'static [&'static str]) -> Test {
    test(key, Is::Except(words))
}

pub const fn seen(key: &'static str) -> Test {
    test(key, Is::Any)
}

pub const fn has(key: &'static str, word: &'static str) -> Test {
    test(key, Is::Has(word))
}

pub const fn lacks(key: &'static str, words: &'static [&'static str]) -> Test {
    test(key, Is::Lacks(words))
}

const fn test(key: &'static str, is: Is) -> Test {
    Test {
        key,
        is,
        about: About::Any,
    }
}

impl Test {
    /// About the same thing as the first need.
    pub const fn same(mut self) -> Test {
        self.about = About::Same;
        self
    }

    pub const fn about(mut self, word: &'static str) -> Test {
        self.about = About::Word(word);
        self
    }
}

/// One way to tell a cause.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// A slug of [`super::causes`].
    pub cause: &'static str,
    /// 0–1: how sure, where all needs are met and nothing else is known.
    pub confidence: f64,
    /// Every one must be seen. The first is the rule's anchor: what it is about is what the finding is about.
    pub needs: &'static [Test],
    /// At least one must be seen, where there are any.
    pub any: &'static [Test],
    /// Each that is seen makes it surer.
    pub strengthens: &'static [Test],
    /// Each that is seen halves it.
    pub doubts: &'static [Test],
    /// One that is seen rules it out.
    pub excludes: &'static [Test],
    /// Holds even where the client has got through the cause's gate: it comes and goes, or only slows down.
    pub despite: bool,
    /// Holds only where no other rule does.
    pub alone: bool,
    /// Told this way, it stops the client at this gate and not at its cause's: one setting may hide keys, and another keep sshd from
    /// starting.
    pub at: Option<Gate>,
    /// The one further look that would settle it, where it is not settled.
    pub settle: &'static str,
}

pub const fn rule(cause: &'static str, confidence: f64, needs: &'static [Test]) -> Rule {
    Rule {
        cause,
        confidence,
        needs,
        any: &[],
        strengthens: &[],
        doubts: &[],
        excludes: &[],
        despite: false,
        alone: false,
        at: None,
        settle: "",
    }
}

impl Rule {
    pub const fn any(mut self, tests: &'static [Test]) -> Rule {
        self.any = tests;
        self
    }

    pub const fn stronger(mut self, tests: &'static [Test]) -> Rule {
        self.strengthens = tests;
        self
    }

    pub const fn doubts(mut self, tests: &'static [Test]) -> Rule {
        self.doubts = tests;
        self
    }

    pub const fn not(mut self, tests: &'static [Test]) -> Rule {
        self.excludes = tests;
        self
    }

    pub const fn despite(mut self) -> Rule {
        self.despite = true;
        self
    }

    pub const fn alone(mut self) -> Rule {
        self.alone = true;
        self
    }

    pub const fn at(mut self, gate: Gate) -> Rule {
        self.at = Some(gate);
        self
    }

    pub const fn settle(mut self, text: &'static str) -> Rule {
        self.settle = text;
        self
    }
}

/// The rules by the side that sees the facts.
const BLOCKS: &[&[Rule]] = &[client::ROWS, server::ROWS];

/// Every rule.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    BLOCKS.iter().flat_map(|block| block.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{causes, facts};

    fn tests(rule: &Rule) -> impl Iterator<Item = &'static Test> {
        [
            rule.needs,
            rule.any,
            rule.strengthens,
            rule.doubts,
            rule.excludes,
        ]
        .into_iter()
        .flatten()
    }

    #[test]
    fn rules_speak_of_what_exists() {
        for rule in all() {
            let cause = causes::by_slug(rule.cause);
            let cause = cause.unwrap_or_else(|| panic!("no cause {}", rule.cause));
            assert!(!rule.needs.is_empty(), "{} needs nothing", rule.cause);
            assert!((0.05..0.99).contains(&rule.confidence), "{}", rule.cause);
            assert!(
                !cause.is_symptom || rule.confidence < 0.5,
                "{} is no answer",
                rule.cause
            );
            for test in tests(rule) {
                let fact = facts::by_key(test.key);
                let fact = fact.unwrap_or_else(|| panic!("{}: no key {}", rule.cause, test.key));
                if let (Is::One(words) | Is::Except(words), false) =
                    (test.is, fact.values.is_empty())
                {
                    for word in words {
                        let known = fact.values.contains(word);
                        assert!(known, "{}: {} is never {word}", rule.cause, test.key);
                    }
                }
            }
            assert_ne!(
                rule.needs.first().map(|t| t.about),
                Some(About::Same),
                "{}: the anchor cannot refer to itself",
                rule.cause
            );
        }
    }

    #[test]
    fn no_rule_shuts_itself_out() {
        for rule in all() {
            for test in rule.needs {
                assert!(!rule.excludes.contains(test), "{}", rule.cause);
                assert!(!rule.doubts.contains(test), "{}", rule.cause);
            }
        }
    }
}
