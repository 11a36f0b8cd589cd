//! `trace` on a terminal: verdict and why, who, when as a calendar, one timeline, and what to do next.

use super::{facts, headline, kind, nobody, utc};
use crate::render::escape::terminal as esc;
use crate::render::layout::{Column, cut, pad, table, width, wrap};
use crate::render::terminal::TextOptions;
use crate::render::words;
use crate::trace::Trace;
use crate::trace::pattern::Night;

/// Wider prose is hard to read.
const PROSE: usize = 110;

struct Page<'a> {
    out: String,
    opts: &'a TextOptions<'a>,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn bold(&mut self, text: &str) {
        if self.opts.colour {
            self.line(&format!("\x1b[1m{text}\x1b[0m"));
        } else {
            self.line(text);
        }
    }

    fn paragraph(&mut self, prefix: &str, text: &str) {
        let hang = width(prefix);
        let cells = self.opts.width.clamp(40, PROSE).saturating_sub(hang);
        for (i, line) in wrap(&esc(text), cells).iter().enumerate() {
            let before = if i == 0 {
                prefix.to_owned()
            } else {
                " ".repeat(hang)
            };
            self.line(&format!("{before}{line}"));
        }
    }

    fn heading(&mut self, text: &str) {
        self.line("");
        self.bold(text);
    }
}

/// The whole answer.
pub fn text(t: &Trace, opts: &TextOptions<'_>) -> String {
    let mut p = Page {
        out: String::new(),
        opts,
    };
    for line in wrap(&esc(&headline(t)), opts.width.clamp(40, PROSE)) {
        p.bold(&line);
    }
    p.line("");
    for reason in &t.reasons {
        p.paragraph("  why    ", reason);
    }
    if let (Some(first), Some(last)) = (t.first_event, t.last_event) {
        let span = format!(
            "{} ({}) until {} ({}), {}",
            words::moment(first, opts.zone),
            utc(first),
            words::moment(last, opts.zone),
            utc(last),
            opts.zone.name
        );
        p.paragraph("  when   ", &span);
    }
    if let [from, until] = t.window.as_slice() {
        p.paragraph("  hours  ", &format!("{from} – {until} {}", opts.zone.name));
    }
    let n = &t.pattern;
    if n.logins > 0 {
        let count = format!(
            "{}: {}, {}; users {}",
            words::count(n.logins, "login tried", "logins tried"),
            words::count(n.failures, "failure", "failures"),
            words::count(n.successes, "success", "successes"),
            n.users.join(", ")
        );
        p.paragraph("  count  ", &count);
    }
    suspects(&mut p, t);
    calendar(&mut p, &n.nights);
    timeline(&mut p, t);
    if !t.next.is_empty() {
        p.heading("What to do next");
        for (i, step) in t.next.iter().enumerate() {
            p.paragraph(&format!("  {}. ", i + 1), &step.action);
            if let Some(command) = &step.command {
                p.line(&format!("       {}", esc(command)));
            }
            if step.risk != "none" {
                p.paragraph("       risk: ", step.risk);
            }
            if let Some(undo) = &step.undo {
                p.line(&format!("       undo: {}", esc(undo)));
            }
        }
    }
    read(&mut p, t);
    p.out
}

fn suspects(p: &mut Page<'_>, t: &Trace) {
    if t.source.is_none() {
        return;
    }
    p.heading("Who");
    if let Some(nobody) = nobody(t) {
        p.paragraph("  ", &nobody);
    }
    for s in t.suspects.iter().take(p.opts.limit) {
        let name = format!(
            "  {:>5}  {} {}",
            words::percent(s.confidence),
            kind(s),
            esc(&s.name)
        );
        p.bold(&cut(&name, p.opts.width));
        if let Some(id) = &s.container {
            p.paragraph("         ", &format!("id {id}"));
        }
        for fact in facts(s, p.opts.zone) {
            p.paragraph("         ", &fact);
        }
        for proof in &s.evidence {
            p.paragraph("       - ", &format!("{} [{}]", proof.text, proof.source));
        }
    }
    if t.unexplained > 0 && t.suspects.iter().any(|s| s.confidence > 0.5) {
        p.paragraph(
            "  ",
            &format!(
                "{} explained by nobody above",
                words::count(t.unexplained, "login is", "logins are")
            ),
        );
    }
}

/// One line a night, one cell an hour: how many logins were tried.
fn calendar(p: &mut Page<'_>, nights: &[Night]) {
    if nights.is_empty() {
        return;
    }
    p.heading(&format!("Nights and hours ({})", p.opts.zone.name));
    let hours: String = (0..24)
        .map(|h| {
            if h % 3 == 0 {
                format!("{h:02} ")
            } else {
                String::new()
            }
        })
        .collect();
    p.line(&format!("  {}  {}", pad("", 10, false), hours));
    let most = nights
        .iter()
        .flat_map(|n| n.hours)
        .max()
        .unwrap_or(0)
        .max(1);
    let shown = nights.len().min(p.opts.limit.max(31));
    for night in nights.iter().take(shown) {
        let cells: String = night.hours.iter().map(|n| shade(*n, most)).collect();
        p.line(&format!(
            "  {}  {cells}  {} failed, {} let in",
            night.date,
            words::thousands(night.failures),
            words::thousands(night.successes)
        ));
    }
    if nights.len() > shown {
        p.line(&format!("  {} more nights", nights.len() - shown));
    }
}

fn shade(n: u32, most: u32) -> char {
    match (n, n * 4 / most) {
        (0, _) => '·',
        (_, 0) => '░',
        (_, 1) => '▒',
        (_, 2) => '▓',
        _ => '█',
    }
}

fn timeline(p: &mut Page<'_>, t: &Trace) {
    if t.timeline.is_empty() {
        return;
    }
    p.heading("Timeline");
    let local = p.opts.zone.name.clone();
    let rows: Vec<Vec<String>> = t
        .timeline
        .iter()
        .map(|m| {
            vec![
                utc(m.at),
                words::moment(m.at, p.opts.zone),
                m.what.to_owned(),
                esc(&m.text).into_owned(),
            ]
        })
        .collect();
    let columns = [
        Column::fixed("UTC", 0),
        Column::fixed("local", 2),
        Column::fixed("where", 1),
        Column::text("what", 20, 0),
    ];
    p.line(&format!("  local: {}", esc(&local)));
    for line in table(&columns, &rows, p.opts.width.saturating_sub(2)) {
        p.line(&format!("  {line}"));
    }
}

fn read(p: &mut Page<'_>, t: &Trace) {
    let r = &t.read;
    p.heading("What was read");
    p.paragraph(
        "  ",
        &format!(
            "{} of the target's log, {} with {}, {} of the node ({}), {}, {}",
            words::count(r.log_lines, "line", "lines"),
            words::count(r.containers as u64, "container", "containers"),
            words::count(r.container_logs as u64, "log", "logs"),
            words::count(r.node_logs as u64, "log", "logs"),
            words::count(r.container_log_lines, "line", "lines"),
            words::count(r.audit_records, "audit record", "audit records"),
            words::count(r.files as u64, "file time", "file times"),
        ),
    );
    for s in r.skipped.iter().take(p.opts.limit) {
        p.paragraph(
            "  not read: ",
            &format!("{}: {}; {}", s.name, s.what, s.advice),
        );
    }
    for note in r.notes.iter().take(p.opts.limit) {
        p.paragraph("  note: ", note);
    }
    for o in t.others.iter().take(p.opts.limit) {
        p.paragraph(
            "  also fails and succeeds: ",
            &format!(
                "{} ({}, {})",
                o.source,
                words::count(o.failures, "failure", "failures"),
                words::count(o.successes, "success", "successes")
            ),
        );
    }
}
