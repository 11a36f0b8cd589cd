//! The probe's answer: for people a column of gates, one verdict and one next step; for programs everything.

use super::escape::terminal;
use super::json;
use crate::diagnose::{Diagnosis, Look, State};
use crate::finding::Finding;
use crate::observation::Observation;
use serde::Serialize;
use std::fmt::Write;

/// What was asked about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Target {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub host: String,
    pub port: u16,
    pub program: &'static str,
}

/// `{"findings": …, "target": …, "gates": …, "observations": …, "notes": …}` and a newline.
pub fn to_json(
    target: &Target,
    diagnosis: &Diagnosis,
    observations: &[Observation],
    notes: &[String],
) -> String {
    #[derive(Serialize)]
    struct Answer<'a> {
        findings: &'a [Finding],
        target: &'a Target,
        gates: &'a [Look],
        observations: &'a [Observation],
        notes: &'a [String],
    }
    json::to_string(
        &Answer {
            findings: &diagnosis.findings,
            target,
            gates: &diagnosis.looks,
            observations,
            notes,
        },
        false,
    )
}

/// Facts that stand beside the way and tell least about how far somebody came.
const BESIDE: &[&str] = &[
    "gate.state",
    "auth.key-kind",
    "auth.key-locked",
    "auth.keys",
    "client.can-prompt",
    "client.key-files",
    "client.keys",
    "client.setting",
    "hostkey.also",
    "hostkey.types",
    "path.mtu",
    "target.host",
    "target.port",
    "target.user",
];

/// How many further findings, and how many pieces of evidence, are shown.
const MOST: usize = 6;

/// The text view, without colour.
pub fn to_text(
    target: &Target,
    diagnosis: &Diagnosis,
    observations: &[Observation],
    notes: &[String],
) -> String {
    let mut out = String::new();
    let user = target.user.as_deref().map(|u| format!("{u}@"));
    let _ = writeln!(
        out,
        "{}{} port {}\n",
        terminal(&user.unwrap_or_default()),
        terminal(&target.host),
        target.port
    );
    let mut failed = false;
    for look in &diagnosis.looks {
        let state = match look.state {
            State::Failed if !failed => "failed here",
            State::Failed => "failed",
            State::Passed => "passed",
            State::NotReached => "not reached",
        };
        failed |= look.state == State::Failed;
        let ms = look.ms.map_or(String::new(), |ms| format!("{ms} ms"));
        let here = |o: &&Observation| o.gate.name() == look.gate && !o.text.is_empty();
        let tells = |o: &&Observation| here(o) && !BESIDE.contains(&o.key.as_str());
        let seen = observations
            .iter()
            .rev()
            .find(tells)
            .or_else(|| observations.iter().rev().find(here))
            .map(|o| shorten(&terminal(&o.text), 60))
            .unwrap_or_default();
        let row = format!("  {:<8} {:<12} {:>8}  {}", look.gate, state, ms, seen);
        let _ = writeln!(out, "{}", row.trim_end());
    }
    out.push('\n');
    match diagnosis.findings.first() {
        None if failed => {
            out.push_str("It does not work, and what was seen fits no cause that is known.\n");
        }
        None => {
            let looked = diagnosis
                .looks
                .iter()
                .filter(|l| l.state == State::Passed)
                .count();
            let _ = writeln!(
                out,
                "Nothing wrong was found: {looked} of {} gates were passed, {} facts were looked at.",
                diagnosis.looks.len(),
                observations.len()
            );
        }
        Some(first) => verdict(&mut out, first),
    }
    let more = diagnosis.findings.get(1..).unwrap_or_default();
    if !more.is_empty() {
        out.push_str("\nAlso:\n");
        for f in more.iter().take(MOST) {
            let percent = f.confidence * 100.0;
            let _ = writeln!(
                out,
                "  {:>3.0} %  {} ({})",
                percent,
                terminal(&f.headline),
                f.slug
            );
        }
    }
    for note in notes {
        let _ = writeln!(out, "\nNote: {}", terminal(note));
    }
    out
}

fn verdict(out: &mut String, f: &Finding) {
    let percent = f.confidence * 100.0;
    let _ = writeln!(
        out,
        "{}\n  {} · {} · {:.0} % sure",
        terminal(&f.headline),
        f.slug,
        f.id,
        percent
    );
    for e in f.evidence.iter().take(MOST) {
        let _ = writeln!(out, "  {}: {}", terminal(&e.source), terminal(&e.text));
    }
    for note in f.notes.iter().take(MOST) {
        let _ = writeln!(out, "  - {}", terminal(note));
    }
    if let Some(step) = f
        .remedy
        .iter()
        .find(|s| s.command.is_some())
        .or(f.remedy.first())
    {
        let _ = writeln!(
            out,
            "\nNext, on the {}: {}",
            step.place,
            terminal(&step.action)
        );
        if let Some(command) = &step.command {
            let _ = writeln!(out, "  {}", terminal(command));
        }
        if step.risk != "none" {
            let _ = writeln!(out, "  risk: {}", terminal(step.risk));
        }
    } else {
        out.push_str("\nNext, on the server: sshwhy doctor --client-json FILE (this answer with --format json)\n");
    }
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let cut: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{cut}…")
}
