//! The text view of an explanation: the verdict first, then what settles it and what to do, then each line's meaning.

use super::escape::terminal as esc;
use super::layout::wrap;
use super::words::percent;
use crate::explain::{CauseText, Explanation, LineMeaning, Possible, Row, Unknown};
use crate::finding::{Finding, Step};

/// Wider prose is hard to read.
const PROSE: usize = 100;
/// Where text begins behind a label: `  settle `.
const INDENT: usize = 9;
/// How many of the lines are explained one by one; JSON has them all.
const MOST_LINES: usize = 12;
/// How many commands of a cause are shown.
const MOST_LOOKS: usize = 4;

/// Renders for a terminal of `width` cells (at least 40). Without `colour` there is no escape byte in it.
pub fn render_text(answer: &Explanation, width: usize, colour: bool) -> String {
    let mut page = Page {
        out: String::new(),
        width: width.clamp(40, PROSE),
        colour,
    };
    for row in &answer.rows {
        page.row(row);
    }
    page.verdict(answer);
    page.lines(answer);
    page.unknown(&answer.unknown, !answer.lines.is_empty());
    for note in &answer.notes {
        page.gap();
        page.prose("", note);
    }
    page.out
}

struct Page {
    out: String,
    width: usize,
    colour: bool,
}

impl Page {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn push(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// One empty line, unless there is one or nothing yet.
    fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn heading(&mut self, text: &str) {
        self.gap();
        for line in wrap(text, self.width) {
            let line = self.bold(&line);
            self.push(&line);
        }
    }

    /// `  label  text`, wrapped under the text.
    fn prose(&mut self, label: &str, text: &str) {
        let indent = if label.is_empty() { 2 } else { INDENT };
        for (i, line) in wrap(&esc(text), self.width - indent).iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            let label = format!("  {label}");
            let blanks = " ".repeat(indent.saturating_sub(label.len()));
            let label = self.faint(&label);
            self.push(&format!("{label}{blanks}{line}"));
        }
    }

    /// A command on a line of its own, never wrapped: it is there to be copied.
    fn command(&mut self, command: &str) {
        let command = self.bold(&esc(command));
        self.push(&format!("{}{command}", " ".repeat(INDENT)));
    }

    fn verdict(&mut self, answer: &Explanation) {
        let (Some(first), Some(cause)) = (answer.findings.first(), answer.causes.first()) else {
            return;
        };
        self.gap();
        let title = wrap(&esc(&first.headline), self.width);
        for line in title {
            let line = self.bold(&line);
            self.push(&line);
        }
        let sure = if cause.is_symptom {
            "what was seen; the cause is not known from here".to_owned()
        } else {
            format!(
                "{}, {}",
                likely(first.confidence),
                percent(first.confidence)
            )
        };
        let about = format!(
            "{sure} · at gate {}{} · {} {}",
            cause.gate,
            if cause.is_symptom {
                String::new()
            } else {
                format!(" · to mend: {}", blame(cause.blames))
            },
            cause.id,
            cause.slug
        );
        let about = self.faint(&about);
        self.push(&about);
        self.gap();
        self.prose("", cause.explanation);
        let others: Vec<&Finding> = answer.findings.iter().skip(1).collect();
        if !others.is_empty() {
            let label = if cause.is_symptom {
                "behind it may be:"
            } else {
                "or else:"
            };
            self.gap();
            self.prose("", label);
            for other in others {
                self.chance(other.confidence, &other.headline, other.slug);
            }
        }
        for evidence in &first.evidence {
            self.gap_if_new("seen");
            self.prose("seen", &format!("{}: {}", evidence.source, evidence.text));
        }
        self.gap();
        for note in &first.notes {
            self.prose("note", note);
        }
        self.looks(cause);
        self.steps(&cause.remedy);
        if cause.is_symptom
            && let Some(likeliest) = answer.causes.get(1)
        {
            self.gap();
            self.prose(
                "",
                &format!(
                    "If it is the likeliest of them, {}:",
                    lower_first(likeliest.title)
                ),
            );
            self.steps(&likeliest.remedy);
        }
        self.gap();
        self.prose("", &format!("More on each: sshwhy explain {}", cause.slug));
    }

    fn gap_if_new(&mut self, label: &str) {
        let last = self.out.trim_end().rsplit('\n').next().unwrap_or_default();
        if !last.contains(label) {
            self.gap();
        }
    }

    fn chance(&mut self, confidence: f64, title: &str, slug: &str) {
        let number = format!("{:>4} ", percent(confidence));
        let text = format!("{title}  ({slug})");
        for (i, line) in wrap(&esc(&text), self.width - INDENT).iter().enumerate() {
            let head = if i == 0 { number.as_str() } else { "" };
            self.push(&format!("  {head:<7}{line}"));
        }
    }

    fn looks(&mut self, cause: &CauseText) {
        if cause.confirm.is_empty() {
            return;
        }
        self.gap();
        self.prose("", "To settle it:");
        for look in cause.confirm.iter().take(MOST_LOOKS) {
            self.prose("", &format!("on the {}", place(look.place)));
            self.command(&look.command);
            self.prose("→", look.shows);
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        self.gap();
        self.prose("", "To mend it, safest first:");
        for (i, step) in steps.iter().enumerate() {
            let number = format!("{}.", i + 1);
            self.prose(
                &number,
                &format!("{} (on the {})", step.action, place(step.place)),
            );
            if let Some(command) = &step.command {
                self.command(command);
            }
            if step.risk != "none" {
                self.prose("risk", step.risk);
            }
            if let Some(undo) = &step.undo {
                self.prose("undo", undo);
            }
        }
    }

    fn lines(&mut self, answer: &Explanation) {
        if answer.lines.is_empty() {
            return;
        }
        // With a verdict, lines that only say how far it came are for JSON.
        let worth = |l: &&LineMeaning| {
            answer.findings.is_empty() || answer.lines.len() == 1 || !l.causes.is_empty()
        };
        let shown: Vec<&LineMeaning> = answer.lines.iter().filter(worth).collect();
        self.heading(if shown.len() == 1 {
            "The line"
        } else {
            "The lines"
        });
        for line in shown.iter().take(MOST_LINES) {
            self.gap();
            let times = if line.times > 1 {
                format!(" (and {} more times)", line.times - 1)
            } else {
                String::new()
            };
            self.prose(&format!("{}", line.line), &line.text);
            self.prose(
                "",
                &format!("{} says: {}{times}", said_by(line.said_by), line.meaning),
            );
            self.possible(&line.causes);
            if !line.tells_apart.is_empty() && answer.lines.len() == 1 {
                self.prose("", line.tells_apart);
            }
        }
        if shown.len() > MOST_LINES {
            self.gap();
            self.prose(
                "",
                &format!("{} more lines are known", shown.len() - MOST_LINES),
            );
        }
    }

    fn possible(&mut self, causes: &[Possible]) {
        let roots: Vec<&Possible> = causes.iter().filter(|c| !c.is_symptom).take(4).collect();
        if roots.is_empty() {
            return;
        }
        let names: Vec<&str> = roots.iter().map(|c| c.slug).collect();
        self.prose("", &format!("usually behind it: {}", names.join(", ")));
    }

    fn unknown(&mut self, unknown: &[Unknown], some_known: bool) {
        // Beside lines that are known, a banner needs no list.
        let shown: Vec<&Unknown> = unknown
            .iter()
            .filter(|u| !some_known || !u.guesses.is_empty())
            .collect();
        if shown.is_empty() {
            if some_known && !unknown.is_empty() {
                self.gap();
                self.prose(
                    "",
                    &format!(
                        "{} of the input {} no message known here (a banner, or another program's words).",
                        if unknown.len() == 1 { "1 line" } else { "Some lines" },
                        if unknown.len() == 1 { "is" } else { "are" },
                    ),
                );
            }
            return;
        }
        self.heading("Not known here");
        for line in shown {
            self.gap();
            self.prose(&format!("{}", line.line), &line.text);
            if line.guesses.is_empty() {
                self.prose("", "No known message looks like it.");
            } else {
                self.prose("", "A guess only; these known messages look like it:");
                for guess in &line.guesses {
                    self.chance(guess.likeness, guess.text, guess.slug);
                }
            }
        }
    }

    fn row(&mut self, row: &Row) {
        match row {
            Row::Cause { at, text, shown_by } => {
                self.heading(&format!("{} {}: {}", text.id, text.slug, text.title));
                let about = format!(
                    "{} · {} · at gate {}{} · {at}",
                    if text.is_symptom { "symptom" } else { "cause" },
                    text.severity,
                    text.gate,
                    if text.is_symptom {
                        String::new()
                    } else {
                        format!(" · to mend: {}", blame(text.blames))
                    }
                );
                let about = self.faint(&about);
                self.push(&about);
                self.gap();
                self.prose("", text.explanation);
                self.looks(text);
                self.steps(&text.remedy);
                let others = if text.is_symptom {
                    "behind it may be:"
                } else {
                    "easily taken for it:"
                };
                self.gap();
                self.prose("", others);
                for other in &text.look_alikes {
                    self.prose("", &format!("- {} ({})", other.title, other.slug));
                }
                if !shown_by.is_empty() {
                    self.gap();
                    self.prose("", &format!("shown by: {}", shown_by.join(", ")));
                }
                self.gap();
                self.prose("", &format!("see: {}", text.refs.join(", ")));
            }
            Row::Message {
                at,
                id,
                slug,
                said_by: by,
                meaning,
                wordings,
                causes,
                tells_apart,
                example,
            } => {
                self.heading(&format!("{id} {slug}"));
                let about = self.faint(&format!("message of {by} · {at}"));
                self.push(&about);
                self.gap();
                self.prose("", meaning);
                self.gap();
                for wording in wordings {
                    let releases = match (wording.since, wording.until) {
                        ("", "") => String::new(),
                        (since, "") => format!("  (since {since})"),
                        ("", until) => format!("  (until {until})"),
                        (since, until) => format!("  ({since} to {until})"),
                    };
                    self.prose("says", &format!("{}{releases}", wording.text));
                }
                self.prose("like", example);
                if !causes.is_empty() {
                    self.gap();
                    self.prose("", "behind it may be:");
                    for cause in causes {
                        self.chance(cause.weight, cause.title, cause.slug);
                    }
                }
                if !tells_apart.is_empty() {
                    self.gap();
                    self.prose("", tells_apart);
                }
            }
            Row::Keyword {
                at,
                id,
                slug,
                facts,
                refs,
            } => {
                self.heading(&format!("{id} {slug}"));
                let about = self.faint(&format!("keyword · {at}"));
                self.push(&about);
                self.gap();
                for fact in facts {
                    self.prose("", &format!("- {fact}"));
                }
                self.gap();
                self.prose("", &format!("see: {}", refs.join(", ")));
            }
            Row::Lint {
                at,
                id,
                slug,
                title,
                severity,
                advice,
                refs,
            } => {
                self.heading(&format!("{id} {slug}: {title}"));
                let about = self.faint(&format!("lint of config check · {severity} · {at}"));
                self.push(&about);
                self.gap();
                self.prose("", advice);
                self.gap();
                self.prose("", &format!("see: {}", refs.join(", ")));
            }
            Row::Detector {
                at,
                id,
                slug,
                title,
                severity,
                meaning,
                thresholds,
                remedy,
                refs,
            } => {
                self.heading(&format!("{id} {slug}: {title}"));
                let about = self.faint(&format!("detector of report · {severity} · {at}"));
                self.push(&about);
                self.gap();
                self.prose("", meaning);
                if !thresholds.is_empty() {
                    self.gap();
                    for t in thresholds {
                        self.prose(
                            "",
                            &format!("{slug}.{} = {} {}: {}", t.name, t.default, t.unit, t.why),
                        );
                    }
                }
                self.steps(remedy);
                if !refs.is_empty() {
                    self.gap();
                    self.prose("", &format!("see: {}", refs.join(", ")));
                }
            }
        }
    }
}

fn likely(confidence: f64) -> &'static str {
    match confidence {
        c if c >= 0.9 => "nearly certain",
        c if c >= 0.7 => "very likely",
        c if c >= 0.5 => "likely",
        c if c >= 0.3 => "possible",
        _ => "a faint possibility",
    }
}

fn blame(blames: &'static str) -> &'static str {
    match blames {
        "network" => "the network between",
        "client" => "the client's side",
        "server" => "the server's side",
        "policy" => "a rule on the server",
        "peer" => "both sides do not fit together",
        other => other,
    }
}

fn place(place: &str) -> &str {
    match place {
        "network" => "network (somewhere else)",
        other => other,
    }
}

fn said_by(program: &str) -> String {
    let mut chars = program.chars();
    match chars.next() {
        // Program names keep their small letter.
        Some(c) if program.starts_with("the ") => c.to_uppercase().chain(chars).collect(),
        _ => program.to_owned(),
    }
}

fn lower_first(title: &str) -> String {
    let mut chars = title.chars();
    match (chars.next(), chars.clone().next()) {
        // `PAM …`, `DNS …`, `SELinux …` stay as they are.
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => title.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::explain;

    #[test]
    fn a_verdict_stands_first_and_commands_are_whole_lines() {
        let text = render_text(
            &explain("ssh: connect to host build.example.org port 22: Network is unreachable"),
            80,
            false,
        );
        assert!(text.starts_with("The client has no usable route"), "{text}");
        assert!(text.contains("\n         ip -br link\n"), "{text}");
        assert!(
            text.lines()
                .all(|l| l.chars().count() <= 80 || l.starts_with("         "))
        );
        assert!(!text.contains('\x1b'));
        assert!(!text.contains("\n\n\n"));
    }

    #[test]
    fn hostile_text_is_escaped() {
        let line = "Received disconnect from 192.0.2.10 port 22:2: \u{202e}evil\u{1b}]52;c;x\u{7}\u{200b}\u{9b}1m";
        for colour in [false, true] {
            let text = render_text(&explain(line), 80, colour);
            assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}'));
            assert!(!text.contains('\u{9b}') && !text.contains('\u{7}'));
            assert!(text.contains("\\u{202e}"), "{text}");
            if !colour {
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
            }
        }
    }

    #[test]
    fn unknown_text_is_called_unknown() {
        let text = render_text(&explain("The flux capacitor is out of tune"), 80, false);
        assert!(text.starts_with("Not known here"), "{text}");
        let text = render_text(
            &explain("Connection was refused by host build port 22"),
            80,
            false,
        );
        assert!(text.contains("A guess only"), "{text}");
    }

    #[test]
    fn rows_say_where_they_stand() {
        let text = render_text(&explain("SW0311"), 100, false);
        assert!(
            text.starts_with("SW0311 authorized-keys-permissions: "),
            "{text}"
        );
        assert!(
            text.contains("crates/sshwhy-core/src/catalog/causes/auth.rs:"),
            "{text}"
        );
        for id in ["brute-force", "failed-password", "client-try-again"] {
            assert!(
                render_text(&explain(id), 60, true).contains("catalog/"),
                "{id}"
            );
        }
    }
}
