//! A short incident report in Markdown that a responder can hand on: facts first, doubts named, nothing to click.

use super::{facts, headline, kind, nobody, utc};
use crate::render::escape::markdown as esc;
use crate::render::words;
use crate::time::Zone;
use crate::trace::Trace;
use std::fmt::Write;

/// Rows of the timeline and of the nights.
const ROWS: usize = 120;

/// The report. `zone`: in which times stand beside UTC.
pub fn markdown(t: &Trace, zone: &Zone) -> String {
    let mut o = String::new();
    // Writing to memory does not fail.
    let _ = write(&mut o, t, zone);
    o
}

fn write(o: &mut String, t: &Trace, zone: &Zone) -> std::fmt::Result {
    writeln!(o, "# Incident report: odd SSH logins\n")?;
    writeln!(o, "**{}**\n", esc(&headline(t)))?;
    writeln!(o, "## Summary\n")?;
    writeln!(o, "- Verdict: {}", t.verdict.name())?;
    if let Some(source) = &t.source {
        writeln!(o, "- Source: {}", esc(source))?;
    }
    let names = t.target_names.join(", ");
    writeln!(
        o,
        "- Target: {} {}",
        esc(&names),
        esc(t.target.as_deref().unwrap_or(""))
    )?;
    if let (Some(a), Some(b)) = (t.first_event, t.last_event) {
        writeln!(
            o,
            "- First: {} ({} {})\n- Last: {} ({} {})",
            utc(a),
            words::moment(a, zone),
            esc(&zone.name),
            utc(b),
            words::moment(b, zone),
            esc(&zone.name)
        )?;
    }
    if let [from, until] = t.window.as_slice() {
        writeln!(o, "- Hours: {from} – {until} ({})", esc(&zone.name))?;
    }
    writeln!(
        o,
        "- Logins tried: {} ({} failures, {} successes), users: {}",
        words::thousands(t.pattern.logins),
        words::thousands(t.pattern.failures),
        words::thousands(t.pattern.successes),
        esc(&t.pattern.users.join(", "))
    )?;
    for reason in &t.reasons {
        writeln!(o, "- Why: {}", esc(reason))?;
    }
    writeln!(o, "\n## Who\n")?;
    if let Some(nobody) = nobody(t) {
        writeln!(o, "{}\n", esc(&nobody))?;
    }
    for s in &t.suspects {
        writeln!(
            o,
            "### {} {}, confidence {}\n",
            kind(s),
            esc(&s.name),
            words::percent(s.confidence)
        )?;
        if let Some(id) = &s.container {
            writeln!(o, "- id {}", esc(id))?;
        }
        for fact in facts(s, zone) {
            writeln!(o, "- {}", esc(&fact))?;
        }
        writeln!(o, "\nEvidence:\n")?;
        for p in &s.evidence {
            writeln!(o, "- {} (from {})", esc(&p.text), esc(&p.source))?;
        }
        writeln!(o)?;
    }
    if !t.pattern.nights.is_empty() {
        writeln!(
            o,
            "\n## Nights\n\n| night | failures | successes |\n|---|---:|---:|"
        )?;
        for n in t.pattern.nights.iter().take(ROWS) {
            writeln!(o, "| {} | {} | {} |", esc(&n.date), n.failures, n.successes)?;
        }
    }
    if !t.timeline.is_empty() {
        writeln!(
            o,
            "\n## Timeline\n\nTimes of the source node are as its clock told them.\n\n| UTC | {} | where | what |\n|---|---|---|---|",
            esc(&zone.name)
        )?;
        for m in t.timeline.iter().take(ROWS) {
            writeln!(
                o,
                "| {} | {} | {} | {} |",
                utc(m.at),
                words::moment(m.at, zone),
                m.what,
                esc(&m.text)
            )?;
        }
    }
    if !t.next.is_empty() {
        writeln!(o, "\n## Next\n")?;
        for (i, step) in t.next.iter().enumerate() {
            writeln!(o, "{}. {}", i + 1, esc(&step.action))?;
            if let Some(command) = &step.command {
                let command = crate::render::escape::terminal(command);
                // A fence longer than any in the text cannot be closed by it.
                let longest = command.split(|c| c != '`').map(str::len).max().unwrap_or(0);
                let fence = "`".repeat(longest.max(2) + 1);
                writeln!(o, "\n   {fence}\n   {command}\n   {fence}\n")?;
            }
            if step.risk != "none" {
                writeln!(o, "   Risk: {}", esc(step.risk))?;
            }
            if let Some(undo) = &step.undo {
                writeln!(o, "   Undo: {}", esc(undo))?;
            }
        }
    }
    writeln!(o, "\n## What this stands on\n")?;
    let r = &t.read;
    writeln!(
        o,
        "- {} lines of the target's log, {} containers, {} container logs, {} logs of the node ({} lines), {} audit records, {} file times",
        words::thousands(r.log_lines),
        r.containers,
        r.container_logs,
        r.node_logs,
        words::thousands(r.container_log_lines),
        words::thousands(r.audit_records),
        r.files
    )?;
    for s in r.skipped.iter().take(ROWS) {
        writeln!(o, "- not read: {}: {}", esc(&s.name), esc(&s.what))?;
    }
    for n in r.notes.iter().take(ROWS) {
        writeln!(o, "- {}", esc(n))?;
    }
    Ok(())
}
