//! `trace` as one self-contained HTML file with an SVG timeline: nights as columns, hours as rows, and below them on the same axis a
//! lane for each kind of source and for each suspect's life.

use super::{facts, headline, kind, nobody, utc};
use crate::render::markup::Markup;
use crate::render::words;
use crate::time::{Time, Zone};
use crate::trace::{SuspectKind, Trace, Verdict};

/// Characters of one value.
const TEXT: usize = 2_000;
/// Nights drawn; more would be thinner than a pixel.
const NIGHTS: usize = 400;

/// The whole answer as an HTML document.
pub fn html(t: &Trace, zone: &Zone) -> String {
    let mut m = Markup::default();
    let title: String = headline(t).chars().take(200).collect();
    m.raw(concat!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n",
        "<link rel=\"icon\" href=\"data:,\">\n<title>sshwhy trace: "
    ))
    .text(&title)
    .raw("</title>\n<style>\n")
    .raw(include_str!("../html.css"))
    .raw(concat!(
        ".chart { width: 100%; height: auto; display: block; }\n.chart text { font-size: 11px; fill: var(--dim); }\n",
        ".chart .night { fill: var(--faint); }\n.chart .fail { fill: var(--fail); }\n.chart .life, .chart .moment { fill: var(--low); }\n",
        ".chart .first { stroke: var(--critical); stroke-width: 1.5; }\n</style>\n</head>\n<body>\n<header class=\"top "
    ))
    .raw(match t.verdict {
        Verdict::Intrusion => "critical",
        Verdict::MisconfiguredAutomation => "medium",
        Verdict::Unknown => "info",
    })
    .raw("\">\n<p class=\"name\">sshwhy trace</p>\n<h1>")
    .text(&headline(t))
    .raw("</h1>\n");
    if let (Some(a), Some(b)) = (t.first_event, t.last_event) {
        m.raw("<p>")
            .text(&words::moment(a, zone))
            .raw(" – ")
            .text(&words::moment(b, zone))
            .raw(" <span class=\"dim\">")
            .text(&zone.name)
            .raw(" (")
            .text(&utc(a))
            .raw(" – ")
            .text(&utc(b))
            .raw(")</span></p>\n");
    }
    for reason in &t.reasons {
        m.raw("<p>").clipped(reason, TEXT).raw("</p>\n");
    }
    m.raw("</header>\n<main>\n<h2>Who</h2>\n");
    if let Some(nobody) = nobody(t) {
        m.raw("<p>").text(&nobody).raw("</p>\n");
    }
    for s in &t.suspects {
        m.raw("<details class=\"finding ")
            .raw(if s.confidence > 0.5 {
                "high\" open"
            } else {
                "low\""
            })
            .raw("><summary><span class=\"chip ")
            .raw(if s.confidence > 0.5 { "high" } else { "low" })
            .raw("\">")
            .text(&words::percent(s.confidence))
            .raw("</span><h3>")
            .text(kind(s))
            .raw(" ")
            .clipped(&s.name, 200)
            .raw("</h3></summary><div class=\"body\">\n");
        if let Some(id) = &s.container {
            m.raw("<p class=\"m\">").clipped(id, 200).raw("</p>");
        }
        for fact in facts(s, zone) {
            m.raw("<p>").clipped(&fact, TEXT).raw("</p>");
        }
        m.raw("<ul>");
        for p in &s.evidence {
            m.raw("<li>")
                .clipped(&p.text, TEXT)
                .raw(" <span class=\"dim m\">")
                .clipped(&p.source, 200)
                .raw("</span></li>");
        }
        m.raw("</ul></div></details>\n");
    }
    chart(&mut m, t, zone);
    timeline(&mut m, t, zone);
    if !t.next.is_empty() {
        m.raw("<h2>What to do next</h2>\n<ol class=\"steps\">");
        for step in &t.next {
            m.raw("<li>").clipped(&step.action, TEXT);
            if let Some(command) = &step.command {
                m.raw("<pre><code>")
                    .clipped(command, TEXT)
                    .raw("</code></pre>");
            }
            if step.risk != "none" {
                m.raw("<p class=\"dim\">Risk: ").text(step.risk).raw("</p>");
            }
            if let Some(undo) = &step.undo {
                m.raw("<p class=\"dim\">Undo: <code>")
                    .clipped(undo, TEXT)
                    .raw("</code></p>");
            }
            m.raw("</li>");
        }
        m.raw("</ol>\n");
    }
    let r = &t.read;
    m.raw("<h2>What was read</h2>\n<p>")
        .text(&format!(
            "{} lines of the target's log, {} containers, {} container logs, {} logs of the node ({} lines), {} audit records, {} file times",
            words::thousands(r.log_lines),
            r.containers,
            r.container_logs,
            r.node_logs,
            words::thousands(r.container_log_lines),
            words::thousands(r.audit_records),
            r.files
        ))
        .raw("</p>\n<ul>");
    for s in r.skipped.iter().take(200) {
        m.raw("<li>")
            .clipped(
                &format!("not read: {}: {}; {}", s.name, s.what, s.advice),
                TEXT,
            )
            .raw("</li>");
    }
    for n in r.notes.iter().take(200) {
        m.raw("<li>").clipped(n, TEXT).raw("</li>");
    }
    m.raw("</ul>\n</main>\n<footer><p>Written by sshwhy. Times in ")
        .text(&zone.name)
        .raw(" and UTC. This page runs no script and loads nothing.</p></footer>\n</body>\n</html>\n");
    m.finish()
}

/// Kinds of moments, and what their lane is called.
const LANES: [(&str, &str); 5] = [
    ("target", "target"),
    ("container", "lives"),
    ("log", "logs"),
    ("audit", "audit"),
    ("file", "files"),
];

/// Nights from left to right, hours of the day from top to bottom, and below them when each suspect lived.
fn chart(m: &mut Markup, t: &Trace, zone: &Zone) {
    let nights = t.pattern.nights.get(..NIGHTS).unwrap_or(&t.pattern.nights);
    let (Some(first), Some(last)) = (nights.first(), nights.last()) else {
        return;
    };
    let lives: Vec<_> = t
        .suspects
        .iter()
        .filter(|s| s.kind == SuspectKind::Container && s.created.is_some())
        .take(5)
        .collect();
    let most = nights
        .iter()
        .flat_map(|n| n.hours)
        .max()
        .unwrap_or(1)
        .max(1);
    let (left, top, wide, row) = (60.0, 10.0, 900.0, 9.0);
    let column = wide / nights.len() as f64;
    let below = top + 24.0 * row + 22.0;
    let lanes_at = below + lives.len() as f64 * 22.0 + 10.0;
    let height = lanes_at + LANES.len() as f64 * 14.0 + 2.0;
    m.raw("<h2>Nights and hours</h2>\n<div class=\"panel\"><svg class=\"chart\" role=\"img\" viewBox=\"0 0 1000 ")
        .number(height)
        .raw("\"><title>Logins by night and hour</title><desc>")
        .text(&format!(
            "{} nights from {} to {}, {} logins, hours in {}",
            nights.len(),
            first.date,
            last.date,
            t.pattern.logins,
            zone.name
        ))
        .raw("</desc>");
    for h in [0u32, 6, 12, 18] {
        m.raw("<text x=\"0\" y=\"")
            .number(top + f64::from(h) * row + 9.0)
            .raw("\">")
            .text(&format!("{h:02}:00"))
            .raw("</text><text text-anchor=\"end\" x=\"1000\" y=\"")
            .number(top + f64::from(h) * row + 9.0)
            .raw("\">")
            .text(&utc_hour(h, zone.offset_at(first.start.secs())))
            .raw("</text>");
    }
    for (i, night) in nights.iter().enumerate() {
        let x = left + i as f64 * column;
        m.raw("<rect class=\"night\" x=\"")
            .number(x)
            .raw("\" y=\"")
            .number(top)
            .raw("\" width=\"")
            .number(column * 0.9)
            .raw("\" height=\"")
            .number(24.0 * row)
            .raw("\"/>");
        for (h, n) in night.hours.iter().enumerate().filter(|(_, n)| **n > 0) {
            m.raw("<g><title>")
                .text(&format!("{} {h:02}:00, {n} logins tried", night.date))
                .raw("</title><rect class=\"fail\" x=\"")
                .number(x)
                .raw("\" y=\"")
                .number(top + h as f64 * row)
                .raw("\" width=\"")
                .number(column * 0.9)
                .raw("\" height=\"")
                .number(row - 1.0)
                .raw("\" opacity=\"")
                .number(0.25 + 0.75 * f64::from(*n) / f64::from(most))
                .raw("\"/></g>");
        }
    }
    let text_y = top + 24.0 * row + 14.0;
    m.raw("<text x=\"")
        .number(left)
        .raw("\" y=\"")
        .number(text_y)
        .raw("\">")
        .text(&first.date)
        .raw("</text><text text-anchor=\"end\" x=\"")
        .number(left + wide)
        .raw("\" y=\"")
        .number(text_y)
        .raw("\">")
        .text(&last.date)
        .raw("</text>");
    let (from, until) = (first.start, Time(last.start.0 + crate::time::DAY));
    let span = (until.0 - from.0).max(1) as f64;
    let x_of = |at: Time| left + ((at.0 - from.0) as f64 / span).clamp(0.0, 1.0) * wide;
    for (i, s) in lives.iter().enumerate() {
        let y = below + i as f64 * 22.0;
        let a = s.created.map_or(left, x_of);
        let b = s.finished.map_or(left + wide, x_of);
        m.raw("<g><title>")
            .clipped(&s.name, 200)
            .raw("</title><rect class=\"life\" x=\"")
            .number(a)
            .raw("\" y=\"")
            .number(y)
            .raw("\" width=\"")
            .number((b - a).max(2.0))
            .raw("\" height=\"6\"/><text x=\"")
            .number(left)
            .raw("\" y=\"")
            .number(y + 17.0)
            .raw("\">")
            .clipped(&s.name, 120)
            .raw("</text></g>");
    }
    for (i, (what, label)) in LANES.into_iter().enumerate() {
        let y = lanes_at + i as f64 * 14.0;
        m.raw("<text x=\"0\" y=\"")
            .number(y + 9.0)
            .raw("\">")
            .text(label)
            .raw("</text><rect class=\"night\" x=\"")
            .number(left)
            .raw("\" y=\"")
            .number(y)
            .raw("\" width=\"")
            .number(wide)
            .raw("\" height=\"11\"/>");
        let inside = |at: Time| from <= at && at <= until;
        for moment in t.timeline.iter().filter(|m| m.what == what && inside(m.at)) {
            m.raw("<g><title>")
                .clipped(&format!("{} {}", utc(moment.at), moment.text), 300)
                .raw("</title><rect class=\"moment\" x=\"")
                .number(x_of(moment.at) - 1.5)
                .raw("\" y=\"")
                .number(y)
                .raw("\" width=\"3\" height=\"11\"/></g>");
        }
    }
    if let Some(at) = t.first_event {
        let x = x_of(at);
        m.raw("<line class=\"first\" x1=\"")
            .number(x)
            .raw("\" x2=\"")
            .number(x)
            .raw("\" y1=\"0\" y2=\"")
            .number(height)
            .raw("\"/>");
    }
    m.raw("</svg></div>\n");
}

/// `22:00Z` of 06:00 in a zone that is eight hours ahead.
fn utc_hour(hour: u32, offset: i32) -> String {
    let minutes = (i64::from(hour) * 60 - i64::from(offset) / 60).rem_euclid(24 * 60);
    format!("{:02}:{:02}Z", minutes / 60, minutes % 60)
}

fn timeline(m: &mut Markup, t: &Trace, zone: &Zone) {
    if t.timeline.is_empty() {
        return;
    }
    m.raw("<h2>Timeline</h2>\n<div class=\"scroll tall\" tabindex=\"0\"><table><thead><tr><th>UTC</th><th>")
        .text(&zone.name)
        .raw("</th><th>where</th><th>what</th></tr></thead><tbody>");
    for moment in &t.timeline {
        m.raw("<tr><td class=\"t\">")
            .text(&utc(moment.at))
            .raw("</td><td class=\"t\">")
            .text(&words::moment(moment.at, zone))
            .raw("</td><td>")
            .text(moment.what)
            .raw("</td><td class=\"w\">")
            .clipped(&moment.text, TEXT)
            .raw("</td></tr>");
    }
    m.raw("</tbody></table></div>\n");
}
