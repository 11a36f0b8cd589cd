//! Says what a message means: any line of either side, a whole paste, or an id or slug of the catalogue.
//!
//! ```text
//! paste → lines → who said which message → what each leans towards → one verdict, best first
//! id    → the row, and where it stands
//! ```
//!
//! What `ssh -v` tells is judged by [`crate::diagnose`], from the same observations and rules that the probe uses; messages
//! of other programs and lone lines, which show less, are weighed by what is usually behind them. Nothing is guessed in
//! silence: a line that nobody knows is named as unknown, and what looks like it is offered as a guess.

mod lookup;
mod reading;
mod said;
mod scene;
mod weigh;

use crate::catalog::causes::Cause;
use crate::diagnose::{Case, fill};
use crate::finding::{Finding, Step};
use reading::Said;
use serde::Serialize;

/// The answer. In JSON: `{"findings": […], "causes": […], "lines": […], "rows": […], "unknown": […], "notes": […]}`.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Explanation {
    /// Causes that all the lines together point at, best first. A symptom comes first where no root cause is known.
    pub findings: Vec<Finding>,
    /// The rows of these causes in full, in the same order, with what is known about this case filled in.
    pub causes: Vec<CauseText>,
    /// Lines that are known messages, in order.
    pub lines: Vec<LineMeaning>,
    /// Rows that were asked for by id or slug.
    pub rows: Vec<Row>,
    /// Lines that nobody here knows.
    pub unknown: Vec<Unknown>,
    pub notes: Vec<String>,
}

impl Explanation {
    /// Nothing in it was known.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.rows.is_empty()
    }
}

/// A line, and what it means.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LineMeaning {
    /// From 1, in the input.
    pub line: usize,
    /// As it stood there. Hostile: escape when showing.
    pub text: String,
    pub id: &'static str,
    pub slug: &'static str,
    /// `ssh`, `sshd`, `PAM`, `PuTTY`, …
    pub said_by: &'static str,
    pub meaning: &'static str,
    /// How often the same message stands in the input.
    pub times: usize,
    /// What may be behind it, likeliest first; from the line, and from what stands beside it.
    pub causes: Vec<Possible>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tells_apart: &'static str,
}

/// A cause that may be behind a message.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Possible {
    pub slug: &'static str,
    pub title: &'static str,
    /// 0–1
    pub weight: f64,
    pub is_symptom: bool,
}

/// A cause in full.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CauseText {
    pub id: &'static str,
    pub slug: &'static str,
    pub title: &'static str,
    pub blames: &'static str,
    pub gate: &'static str,
    pub severity: &'static str,
    pub is_symptom: bool,
    pub explanation: &'static str,
    pub confirm: Vec<Look>,
    pub remedy: Vec<Step>,
    pub look_alikes: Vec<Other>,
    pub refs: &'static [&'static str],
}

/// A look that settles it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Look {
    pub command: String,
    #[serde(rename = "where")]
    pub place: &'static str,
    pub shows: &'static str,
}

/// Another cause, by name.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Other {
    pub slug: &'static str,
    pub title: &'static str,
}

/// A row of the catalogue.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Row {
    Cause {
        /// Where the row stands in our source: `path:line`.
        at: String,
        #[serde(flatten)]
        text: CauseText,
        /// Messages that point at it, of either side.
        shown_by: Vec<&'static str>,
    },
    Message {
        at: String,
        id: &'static str,
        slug: &'static str,
        said_by: &'static str,
        meaning: &'static str,
        wordings: Vec<Wording>,
        causes: Vec<Possible>,
        #[serde(skip_serializing_if = "str::is_empty")]
        tells_apart: &'static str,
        example: &'static str,
    },
    /// A word of sshd_config.
    Keyword {
        at: String,
        id: &'static str,
        slug: &'static str,
        facts: Vec<String>,
        refs: Vec<String>,
    },
    /// Something questionable in a configuration.
    Lint {
        at: String,
        id: &'static str,
        slug: &'static str,
        title: &'static str,
        severity: &'static str,
        advice: &'static str,
        refs: [&'static str; 1],
    },
    Detector {
        at: String,
        id: &'static str,
        slug: &'static str,
        title: &'static str,
        severity: &'static str,
        meaning: &'static str,
        thresholds: Vec<Threshold>,
        remedy: Vec<Step>,
        refs: &'static [&'static str],
    },
}

/// One wording of a message, in the catalogue's template language, and the releases that print it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Wording {
    pub text: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub since: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub until: &'static str,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Threshold {
    pub name: &'static str,
    pub default: u32,
    pub unit: &'static str,
    pub why: &'static str,
}

/// A line that is no known message.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Unknown {
    pub line: usize,
    /// Hostile: escape when showing.
    pub text: String,
    /// Known messages that look like it. Guesses, nothing more.
    pub guesses: Vec<Guess>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Guess {
    pub id: &'static str,
    pub slug: &'static str,
    pub text: &'static str,
    /// 0–1: the share of the message's words that the line has, rare words counting more.
    pub likeness: f64,
}

/// How many unknown lines are shown; the rest is counted in a note.
const MOST_UNKNOWN: usize = 20;

/// Explains a message, several lines, or an id or slug.
pub fn explain(text: &str) -> Explanation {
    let mut answer = Explanation {
        rows: lookup::rows(text),
        ..Explanation::default()
    };
    if !answer.rows.is_empty() {
        return answer;
    }
    let (lines, left_out) = crate::transcript::lines(text);
    if left_out > 0 {
        answer.notes.push(format!(
            "{left_out} more lines were not read: for a whole log there is the verb report"
        ));
    }
    let lines = crate::transcript::unfold(lines);
    let readings = reading::read(&lines);
    let weighed = weigh::weigh(&readings);
    answer.causes = weighed
        .findings
        .iter()
        .zip(&weighed.abouts)
        .filter_map(|(f, about)| Some((crate::catalog::causes::by_slug(f.slug)?, about)))
        .map(|(cause, about)| cause_text(cause, &weighed.case, about))
        .collect();
    answer.findings = weighed.findings;
    answer.notes.extend(weighed.notes);
    answer.lines = meanings(&readings, &weighed.told);
    let mut unknown = 0usize;
    let known = !answer.lines.is_empty();
    for reading in &readings {
        if !matches!(reading.said, Said::Unknown) {
            continue;
        }
        unknown += 1;
        if answer.unknown.len() < MOST_UNKNOWN {
            answer.unknown.push(Unknown {
                line: reading.number,
                text: reading.text.to_owned(),
                guesses: lookup::nearest(reading.text, known),
            });
        }
    }
    if unknown > MOST_UNKNOWN {
        answer.notes.push(format!(
            "{} more lines are unknown here",
            unknown - MOST_UNKNOWN
        ));
    }
    answer
}

/// Each message once, in the order of its first line.
fn meanings(
    readings: &[reading::Reading<'_>],
    told: &std::collections::BTreeMap<&'static str, Vec<(&'static str, f32)>>,
) -> Vec<LineMeaning> {
    let mut out: Vec<LineMeaning> = Vec::new();
    let mut places = std::collections::BTreeMap::<&'static str, usize>::new();
    let mut add = |id: &'static str, meaning: &dyn Fn() -> LineMeaning| {
        let at = *places.entry(id).or_insert(out.len());
        match out.get_mut(at) {
            Some(known) => known.times += 1,
            None => out.push(meaning()),
        }
    };
    for reading in readings {
        match &reading.said {
            Said::Client(hits) => {
                for hit in hits {
                    let row = hit.message;
                    add(row.id, &|| LineMeaning {
                        line: reading.number,
                        text: reading.text.to_owned(),
                        id: row.id,
                        slug: row.slug,
                        said_by: row.program.name(),
                        meaning: row.meaning,
                        times: 1,
                        causes: possible(told.get(row.slug).map_or(row.causes, Vec::as_slice)),
                        tells_apart: row.tells_apart,
                    });
                }
            }
            Said::Server(line) => add(line.message.id, &|| LineMeaning {
                line: reading.number,
                text: reading.text.to_owned(),
                id: line.message.id,
                slug: line.message.slug,
                said_by: lookup::daemon(line.message.daemon),
                meaning: line.message.meaning,
                times: 1,
                causes: possible(&line.behind()),
                tells_apart: "",
            }),
            Said::Command(_) | Said::Nothing | Said::Unknown => {}
        }
    }
    out
}

fn possible(causes: &[(&'static str, f32)]) -> Vec<Possible> {
    causes
        .iter()
        .filter_map(|(slug, weight)| {
            let cause = crate::catalog::causes::by_slug(slug)?;
            Some(Possible {
                slug: cause.slug,
                title: cause.title,
                weight: round(f64::from(*weight)),
                is_symptom: cause.is_symptom,
            })
        })
        .collect()
}

/// Two digits: nobody knows it better.
fn round(confidence: f64) -> f64 {
    (confidence * 100.0).round() / 100.0
}

/// `about`: the file that it is about, or nothing.
fn cause_text(cause: &'static Cause, case: &Case, about: &str) -> CauseText {
    CauseText {
        id: cause.id,
        slug: cause.slug,
        title: cause.title,
        blames: cause.blames.name(),
        gate: cause.gate.name(),
        severity: cause.severity.name(),
        is_symptom: cause.is_symptom,
        explanation: cause.explanation,
        confirm: cause
            .confirm
            .iter()
            .map(|look| Look {
                command: fill(look.command, case, about, look.place).into_owned(),
                place: look.place,
                shows: look.shows,
            })
            .collect(),
        remedy: steps(cause.remedy, case, about),
        look_alikes: cause
            .look_alikes
            .iter()
            .filter_map(|slug| crate::catalog::causes::by_slug(slug))
            .map(|other| Other {
                slug: other.slug,
                title: other.title,
            })
            .collect(),
        refs: cause.refs,
    }
}

fn steps(remedy: &[crate::catalog::causes::Remedy], case: &Case, about: &str) -> Vec<Step> {
    remedy
        .iter()
        .map(|step| Step {
            action: fill(step.action, case, about, step.place).into_owned(),
            command: step
                .command
                .map(|command| fill(command, case, about, step.place).into_owned()),
            place: step.place,
            risk: step.risk,
            undo: step
                .undo
                .map(|undo| fill(undo, case, about, step.place).into_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wordings;
