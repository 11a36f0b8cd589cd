//! `explain`: what does this message mean? Reads its arguments, or standard input; looks at nothing else.

use super::report::{print, width};
use crate::cli::{Explain as Args, ExplainFormat};
use crate::exit::Exit;
use sshwhy_core::explain::{Explanation, explain};
use sshwhy_core::render::explain::render_text;
use sshwhy_core::render::json;
use std::io::{self, IsTerminal, Read};

/// More than anybody pastes; a log belongs to `report`.
const MOST_INPUT: u64 = 16 * 1024 * 1024;

pub fn run(args: Args) -> Result<Exit, String> {
    let text = match args.text.as_slice() {
        [] => input()?,
        [dash] if dash == "-" => input()?,
        words => words.join(" "),
    };
    if text.trim().is_empty() {
        return Err("nothing to explain: give a message, an id (SW0311) or a slug, or paste lines into standard input".to_owned());
    }
    let answer = explain(&text);
    let out = match args.format {
        ExplainFormat::Json => json::to_string(&answer, false),
        ExplainFormat::Text => {
            let on_terminal = io::stdout().is_terminal();
            let colour = super::report::colour(on_terminal);
            render_text(&answer, width(on_terminal), colour)
        }
    };
    print(out.as_bytes())?;
    if answer.is_empty() {
        return Err(unknown(&args, &answer));
    }
    Ok(Exit::of(&answer.findings, false))
}

fn input() -> Result<String, String> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        eprintln!("sshwhy: paste the message, then press Ctrl-D");
    }
    let mut bytes = Vec::new();
    stdin
        .lock()
        .take(MOST_INPUT)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("cannot read standard input: {e}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Why nothing was explained, with the way that was perhaps meant.
fn unknown(args: &Args, answer: &Explanation) -> String {
    if let [name] = args.text.as_slice()
        && std::path::Path::new(name).is_file()
    {
        return format!(
            "{name} is a file: explain reads a message; for the file: sshwhy explain < {name}, or sshwhy report {name}"
        );
    }
    let guesses = answer.unknown.iter().any(|u| !u.guesses.is_empty());
    let and = if guesses {
        "; what looks like it stands above"
    } else {
        ""
    };
    format!("no message known here{and}")
}
