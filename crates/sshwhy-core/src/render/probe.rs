//! The probe's answer: for people a column of gates, one verdict and one next step; for programs everything.

use super::escape::terminal;
use super::json;
use super::layout;
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
    "auth.agent",
    "auth.certificate",
    "auth.key-options",
    "auth.key-kind",
    "auth.key-locked",
    "auth.keys",
    "client.can-prompt",
    "client.firewall",
    "client.key-files",
    "client.keys",
    "client.setting",
    "client.wants",
    "hostkey.also",
    "hostkey.types",
    "path.mtu",
    "tcp.default-port",
    "tcp.first-hop",
    "tcp.icmp",
    "tcp.icmp-from",
    "tcp.other-port",
    "target.host",
    "target.port",
    "target.user",
    "via.connect",
];

/// How many further findings, and how many pieces of evidence, are shown.
const MOST: usize = 6;

/// The columns before what was seen: gate, state and time.
const BEFORE: usize = 34;

/// The text view, without colour, in lines of `width` cells where that can be; a command stays one line, to be copied.
pub fn to_text(
    target: &Target,
    diagnosis: &Diagnosis,
    observations: &[Observation],
    notes: &[String],
    width: usize,
) -> String {
    let mut out = String::new();
    let user = target.user.as_deref().map(|u| format!("{u}@"));
    let whom = format!(
        "{}{} port {}",
        terminal(&user.unwrap_or_default()),
        terminal(&target.host),
        target.port
    );
    paragraph(&mut out, "", &answer(diagnosis, observations), width);
    let _ = writeln!(out, "\n{whom}");
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
        let row = format!("  {:<8} {:<11} {:>8}  ", look.gate, state, ms);
        let seen = seen_at(look, observations);
        let seen = layout::cut(&terminal(seen), width.saturating_sub(BEFORE).max(16));
        let _ = writeln!(out, "{}", format!("{row}{seen}").trim_end());
    }
    if let Some(first) = diagnosis.findings.first() {
        out.push('\n');
        verdict(&mut out, first, width);
    }
    let more = diagnosis.findings.get(1..).unwrap_or_default();
    if !more.is_empty() {
        out.push_str("\nAlso possible, or next in the way:\n");
        for f in more.iter().take(MOST) {
            let percent = f.confidence * 100.0;
            let text = format!("{} ({})", terminal(&f.headline), f.slug);
            paragraph(&mut out, &format!("  {percent:>3.0} %  "), &text, width);
        }
        if more.len() > MOST {
            let _ = writeln!(
                out,
                "         and {} more (--format json)",
                more.len() - MOST
            );
        }
    }
    for note in notes {
        out.push('\n');
        paragraph(&mut out, "Note: ", &terminal(note), width);
    }
    out
}

/// In one sentence, which stands first.
fn answer(diagnosis: &Diagnosis, observations: &[Observation]) -> String {
    let of = |state: State| diagnosis.looks.iter().filter(move |l| l.state == state);
    match diagnosis.findings.first() {
        Some(first) => terminal(&first.headline).into_owned(),
        None if of(State::Failed).next().is_some() => {
            "It does not work, and what was seen fits no cause that is known.".to_owned()
        }
        None if of(State::Passed).next().is_none() => format!(
            "Nobody was asked, so nothing is known of the server; the {} facts that are at hand here show nothing wrong.",
            observations.len()
        ),
        None => format!(
            "Nothing wrong was found: {} of {} gates were passed, {} facts were looked at.",
            of(State::Passed).count(),
            diagnosis.looks.len(),
            observations.len()
        ),
    }
}

/// What tells most about how far somebody came at this gate; nothing where nobody came.
fn seen_at<'o>(look: &Look, observations: &'o [Observation]) -> &'o str {
    if look.state == State::NotReached {
        return "";
    }
    let here = |o: &&Observation| o.gate.name() == look.gate && !o.text.is_empty();
    let tells = |o: &&Observation| here(o) && !BESIDE.contains(&o.key.as_str());
    observations
        .iter()
        .rev()
        .find(tells)
        .or_else(|| observations.iter().rev().find(here))
        .map_or("", |o| o.text.as_str())
}

/// A text after what it begins with; its further lines stand below the first.
fn paragraph(out: &mut String, start: &str, text: &str, width: usize) {
    let indent = layout::width(start);
    let lines = layout::wrap(text, width.saturating_sub(indent).max(20));
    for (i, line) in lines.iter().enumerate() {
        let blank = " ".repeat(indent);
        let before = if i == 0 { start } else { blank.as_str() };
        let _ = writeln!(out, "{}", format!("{before}{line}").trim_end());
    }
}

fn verdict(out: &mut String, f: &Finding, width: usize) {
    let percent = f.confidence * 100.0;
    let _ = writeln!(out, "{} · {} · {percent:.0} % sure", f.slug, f.id);
    for e in f.evidence.iter().take(MOST) {
        let text = format!("{}: {}", terminal(&e.source), terminal(&e.text));
        paragraph(out, "  ", &text, width);
    }
    for note in f.notes.iter().take(MOST) {
        paragraph(out, "  - ", &terminal(note), width);
    }
    out.push('\n');
    // The first step is the safest one. One without a command is a thing to think of; the command after it is shown too.
    let Some(first) = f.remedy.first() else {
        paragraph(
            out,
            "",
            "Next, on the server: sshwhy doctor --client-json FILE (this answer with --format json)",
            width,
        );
        return;
    };
    let then = f.remedy.iter().find(|s| s.command.is_some());
    let then = then.filter(|_| first.command.is_none());
    for (word, step) in std::iter::once(("Next", first)).chain(then.map(|s| ("Then", s))) {
        let start = format!("{word}, on the {}: ", step.place);
        paragraph(
            out,
            "",
            &format!("{start}{}", terminal(&step.action)),
            width,
        );
        if let Some(command) = &step.command {
            let _ = writeln!(out, "  {}", terminal(command));
        }
        if step.risk != "none" {
            paragraph(out, "  ", &format!("risk: {}", terminal(step.risk)), width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::causes::Gate;
    use crate::diagnose::{Case, diagnose};

    fn shown(width: usize) -> String {
        let see = |gate, key, value: &str, text: &str| {
            Observation::new(gate, key, value, "probe").text(text)
        };
        let long = "a server that has a lot to say about itself ".repeat(4);
        let seen = [
            see(Gate::Tcp, "tcp.connect", "ok", "connected"),
            see(Gate::Tcp, "gate.state", "passed", ""),
            see(
                Gate::Ident,
                "ident.server",
                "x",
                &format!("SSH-2.0-{long}\u{1b}[31m"),
            ),
            see(Gate::Ident, "gate.state", "passed", ""),
            see(Gate::HostKey, "hostkey.check", "changed", &long),
            see(Gate::HostKey, "gate.state", "failed", ""),
            see(Gate::Auth, "auth.certificate", "ok", "a certificate"),
        ];
        let target = Target {
            user: Some("alice".into()),
            host: "h.example".into(),
            port: 22,
            program: "ssh",
        };
        to_text(
            &target,
            &diagnose(&Case::default(), &seen),
            &seen,
            std::slice::from_ref(&long),
            width,
        )
    }

    #[test]
    fn lines_fit_the_terminal_but_for_commands() {
        for width in [40, 60, 80, 120] {
            let text = shown(width);
            let commands: Vec<&str> = text.lines().filter(|l| l.starts_with("  ssh")).collect();
            for line in text.lines().filter(|l| !commands.contains(l)) {
                let least = BEFORE + 16;
                assert!(layout::width(line) <= width.max(least), "{width}: {line}");
            }
            assert!(!text.contains('\u{1b}'));
        }
    }

    #[test]
    fn the_column_says_where_it_ended_and_nothing_of_what_lies_behind() {
        let text = shown(80);
        let row = |gate: &str| {
            let line = text.lines().find(|l| l.trim_start().starts_with(gate));
            line.unwrap_or_default().to_owned()
        };
        assert!(row("tcp").contains("passed") && row("tcp").ends_with("connected"));
        assert!(row("hostkey").contains("failed here"));
        assert!(row("auth").ends_with("not reached"), "{}", row("auth"));
        assert_eq!(text.matches("Next, on the").count(), 1);
    }
}
