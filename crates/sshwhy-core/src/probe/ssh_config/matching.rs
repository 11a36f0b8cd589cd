//! Match: whether the block applies (readconf.c match_cfg_line(); `tagged` and `localnetwork` since 9.4, `version`,
//! `command` and `sessiontype` since 10.0).

use super::{Evaluator, Reading, host_name};
use crate::config::{lex, pattern};
use pattern::Verdict;

impl Evaluator<'_> {
    /// `Err` holds ssh's complaint.
    pub(super) fn match_line(
        &mut self,
        at: Reading<'_>,
        number: usize,
        rest: &str,
    ) -> Result<bool, String> {
        let host = match self.word("hostname") {
            Some(name) if self.last_pass => name,
            Some(name) => host_name(&name, &self.host).unwrap_or(name),
            None => self.host.clone(),
        };
        let user = self
            .word("user")
            .unwrap_or_else(|| self.client.user.clone());
        let words: Vec<String> = lex::match_words(rest, 1)
            .into_iter()
            .map(|w| w.text)
            .collect();
        let mut words = words.iter();
        let mut result = true;
        let mut attributes = 0;
        while let Some(word) = words.next() {
            let (negated, name) = match word.strip_prefix('!') {
                Some(name) => (true, name.to_ascii_lowercase()),
                None => (false, word.to_ascii_lowercase()),
            };
            if name == "all" {
                if attributes > 1 || words.next().is_some() {
                    return Err(format!(
                        "{} line {number}: '{word}' cannot be combined with other Match attributes",
                        at.file
                    ));
                }
                return Ok(result && !negated);
            }
            attributes += 1;
            if name == "canonical" || name == "final" {
                if name == "final" && !self.last_pass {
                    self.wants_last_pass = true;
                }
                result &= self.last_pass != negated;
                continue;
            }
            let Some(argument) = words.next() else {
                return Err(format!("Missing Match criteria for {name}"));
            };
            let listed = |text: &str| pattern::list(text, argument, false) == Verdict::Yes;
            let host_listed = |text: &str| pattern::list(text, argument, true) == Verdict::Yes;
            let holds = match name.as_str() {
                "host" => host_listed(&host),
                "originalhost" => host_listed(&self.typed.host),
                "user" => listed(&user),
                "localuser" => listed(&self.client.user),
                "tagged" => listed(&self.word("tag").unwrap_or_default()),
                "command" => listed(&self.typed.command),
                "sessiontype" => {
                    let kind = match (self.typed.session_type, self.typed.command.is_empty()) {
                        ("", true) => "shell",
                        ("", false) => "exec",
                        (kind, _) => kind,
                    };
                    listed(kind)
                }
                "version" => false,
                "localnetwork" => self.world.local_network(argument),
                "exec" => {
                    let mut tokens = self.tokens();
                    tokens.host = host.clone();
                    tokens.user = user.clone();
                    tokens.alias = self.word("hostkeyalias").unwrap_or_else(|| host.clone());
                    let command = tokens
                        .percent(argument)
                        .map_err(|e| format!("{} line {number}: {e}", at.file))?;
                    // Not run where an earlier criterion failed already.
                    if !result {
                        continue;
                    }
                    self.world.exec(&command)
                }
                _ => return Err(format!("Unsupported Match attribute {name}")),
            };
            result &= holds != negated;
        }
        if attributes == 0 {
            return Err("One or more attributes required for Match".to_owned());
        }
        Ok(result)
    }
}
