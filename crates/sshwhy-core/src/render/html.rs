//! The page: one self-contained file to keep, to mail, to open years later. No script, nothing loaded from elsewhere.
//!
//! It says the same as the text view with more room: the verdict first, findings in the same order, then when it
//! happened, then the tables. Tables are cut where a browser would suffer, with the count of what was left out.

use super::arrange::{self, Block, SERIES, Tail};
use super::markup::Markup;
use super::{svg, words};
use crate::finding::{Evidence, Finding, Severity, Step};
use crate::report::{Input, Report};
use crate::time::{Time, Zone};

/// Rows of a table of addresses, users or logins.
const ROWS: usize = 500;
/// Rows of a table of findings of one kind.
const TAIL: usize = 200;
/// Evidence lines that are shown at once, and with those that unfold.
const LINES: usize = 5;
const ALL_LINES: usize = 100;
/// Names in one list, likewise.
const NAMES: usize = 12;
const ALL_NAMES: usize = 300;
/// Characters of one value.
const TEXT: usize = 2_000;
const NAME: usize = 200;
/// Notes, sources, hosts, remedies of one list.
const ITEMS: usize = 200;

/// The whole report as an HTML document.
pub fn report(r: &Report, zone: &Zone) -> String {
    let mut page = Page {
        m: Markup::default(),
        zone,
    };
    page.head(r);
    page.top(r);
    page.m.raw("<main>\n");
    page.findings(r);
    page.activity(r);
    page.addresses(r);
    page.users(r);
    page.logins(r);
    page.input(r);
    page.m
        .raw("</main>\n<footer><p>Written by sshwhy. Times in ");
    let zone_name = words::zone_name(zone, r.input.first, r.input.last);
    page.m
        .text(&zone_name)
        .raw(". This page runs no script and loads nothing.</p></footer>\n</body>\n</html>\n");
    page.m.finish()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Informational => "info",
    }
}

/// What a table cell holds; [`Page::cell`] is the only place that writes one.
enum Cell {
    Blank,
    /// Our words or a short value.
    Text(String),
    /// A value from the log, to be set apart from what stands around it.
    Name(String),
    Number(u64),
    /// A number with a bar behind it: (value, the highest of its column).
    Bar(u64, u64),
    Moment(Time),
    /// Without the seconds, where room matters more; the exact time is in the markup.
    Minute(Time),
    Tags(Vec<&'static str>),
    Level(Severity),
}

struct Head {
    title: &'static str,
    number: bool,
}

const fn text(title: &'static str) -> Head {
    Head {
        title,
        number: false,
    }
}

const fn number(title: &'static str) -> Head {
    Head {
        title,
        number: true,
    }
}

struct Page<'a> {
    m: Markup,
    zone: &'a Zone,
}

impl Page<'_> {
    fn head(&mut self, r: &Report) {
        // A title holds text only, so no note of what was cut.
        let title: String = words::verdict(r).chars().take(NAME).collect();
        self.m
            .raw(concat!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ",
                "style-src 'unsafe-inline'; img-src data:\">\n",
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
                "<meta name=\"referrer\" content=\"no-referrer\">\n",
                // Without it a browser asks the server for one.
                "<link rel=\"icon\" href=\"data:,\">\n<title>sshwhy: "
            ))
            .text(&title)
            .raw("</title>\n<style>\n")
            .raw(include_str!("html.css"))
            .raw("</style>\n</head>\n<body>\n");
    }

    /// The first screen: the answer, what it stands on, and the way to the rest.
    fn top(&mut self, r: &Report) {
        // Green only where everything was read and something of it was about logins.
        let quiet = r.input.ssh_lines > 0 && r.input.skipped.is_empty();
        let worst = r.findings.iter().map(|f| f.severity).max();
        self.m
            .raw("<header class=\"top ")
            .raw(worst.map_or(if quiet { "quiet" } else { "info" }, level))
            .raw("\">\n<p class=\"name\">sshwhy report</p>\n<h1>")
            .clipped(&words::verdict(r), NAME)
            .raw("</h1>\n<p>");
        if let Some(span) = words::span(r.input.first, r.input.last, self.zone) {
            let zone = words::zone_name(self.zone, r.input.first, r.input.last);
            self.m
                .text(&span)
                .raw(" <span class=\"dim\">")
                .text(&zone)
                .raw("</span><br>");
        }
        self.m
            .raw("Read ")
            .text(&words::read(&r.input))
            .raw(".</p>\n");
        if !r.input.skipped.is_empty() {
            let n = r.input.skipped.len() as u64;
            self.m
                .raw("<p class=\"warn\"><strong>")
                .text(&words::count(n, "source was", "sources were"))
                .raw(" not read, or not to the end</strong>: <a href=\"#unread\">which, and why</a></p>\n");
        }
        let t = &r.totals;
        if t.connections > 0 {
            let tiles = [
                (t.connections, "connection", "connections"),
                (t.failures, "failed attempt", "failed attempts"),
                (t.invalid_users, "with no such user", "with no such user"),
                (t.accepted, "login", "logins"),
                (
                    t.without_attempt,
                    "without an attempt",
                    "without an attempt",
                ),
                (t.dropped, "dropped", "dropped"),
                (t.addresses, "address", "addresses"),
                (t.hostile_addresses, "hostile", "hostile"),
            ];
            self.m.raw("<ul class=\"tiles\">\n");
            for (n, one, many) in tiles {
                // The reader looks for logins and failures even where there were none.
                if n == 0 && !matches!(one, "failed attempt" | "login") {
                    continue;
                }
                let more = one == "address" && t.addresses_forgotten > 0;
                self.m
                    .raw("<li><b>")
                    .text(&words::thousands(n))
                    .raw(if more { "+" } else { "" })
                    .raw("</b>")
                    .raw(if n == 1 { one } else { many })
                    .raw("</li>\n");
            }
            self.m.raw("</ul>\n");
        }
        self.m.raw("<nav aria-label=\"Sections\">");
        let sections = [
            ("findings", "Findings", r.findings.len()),
            (
                "activity",
                "Activity",
                usize::from(arrange::columns(&r.activity, 1).is_some()),
            ),
            ("addresses", "Addresses", r.addresses.len()),
            ("users", "Users", r.users.len()),
            ("logins", "Logins", r.logins.len()),
            ("read", "What was read", 1),
        ];
        for (id, title, n) in sections {
            if n > 0 {
                self.m
                    .raw("<a href=\"#")
                    .raw(id)
                    .raw("\">")
                    .raw(title)
                    .raw("</a>\n");
            }
        }
        self.m.raw("</nav>\n</header>\n");
    }

    fn heading(&mut self, id: &'static str, title: &'static str, aside: &str) {
        self.m.raw("<h2 id=\"").raw(id).raw("\">").raw(title);
        if !aside.is_empty() {
            self.m.raw(" <small>").text(aside).raw("</small>");
        }
        self.m.raw("</h2>\n");
    }

    fn time(&mut self, t: Time, shown: &str) {
        self.m
            .raw("<time datetime=\"")
            .text(&t.to_string())
            .raw("\">")
            .text(shown)
            .raw("</time>");
    }

    fn name(&mut self, name: &str) {
        let name = if name.is_empty() { "\"\"" } else { name };
        self.m
            .raw("<bdi class=\"m\">")
            .clipped(name, NAME)
            .raw("</bdi>");
    }

    fn findings(&mut self, r: &Report) {
        self.m.raw("<section aria-labelledby=\"findings\">\n");
        let n = words::thousands(r.findings.len() as u64);
        self.heading(
            "findings",
            "Findings",
            if r.findings.is_empty() { "" } else { &n },
        );
        if r.findings.is_empty() {
            self.m.raw("<p>None. What was looked at is listed under <a href=\"#read\">what was read</a>.</p>\n");
        }
        for block in arrange::blocks(&r.findings) {
            match block {
                Block::Full(f) => self.finding(f),
                Block::Tail(tail) => self.tail(&tail),
            }
        }
        self.m.raw("</section>\n");
    }

    fn summary(&mut self, severity: Severity, open: bool, headline: &str) {
        self.m
            .raw("<details class=\"finding ")
            .raw(level(severity))
            .raw(if open { "\" open>" } else { "\">" })
            .raw("<summary><span class=\"chip ")
            .raw(level(severity))
            .raw("\">")
            .raw(severity.name())
            .raw("</span><h3>")
            .clipped(headline, TEXT)
            .raw("</h3></summary>\n<div class=\"body\">\n");
    }

    fn finding(&mut self, f: &Finding) {
        self.summary(f.severity, f.severity >= Severity::Medium, &f.headline);
        self.m.raw("<dl>\n");
        self.who(f);
        if let Some(span) = words::span(f.first, f.last, self.zone) {
            self.m.raw("<dt>When</dt><dd>").text(&span);
            if f.count > 1 {
                self.m
                    .raw(", ")
                    .text(&words::count(f.count, "time", "times"));
            }
            self.m.raw("</dd>\n");
        }
        if !f.evidence.is_empty() {
            self.m.raw("<dt>Seen</dt><dd>");
            self.evidence(f);
            self.m.raw("</dd>\n");
        }
        if !f.notes.is_empty() {
            self.m.raw("<dt>Note</dt><dd>");
            for note in f.notes.iter().take(ITEMS) {
                self.m.raw("<p>").clipped(note, TEXT).raw("</p>");
            }
            self.cut(f.notes.len().saturating_sub(ITEMS) as u64, "note", "notes");
            self.m.raw("</dd>\n");
        }
        self.steps(&f.remedy);
        self.m
            .raw("<dt>What</dt><dd><code>")
            .raw(f.id)
            .raw("</code> ")
            .raw(f.slug)
            .raw(", ")
            .text(&words::percent(f.confidence))
            .raw(" sure");
        for reference in &f.refs {
            self.m.raw("; ").text(reference);
        }
        self.m.raw("</dd>\n</dl>\n</div></details>\n");
    }

    fn who(&mut self, f: &Finding) {
        let s = &f.subjects;
        let parts: [(&'static str, &'static str, &[String]); 5] = [
            ("", "addresses", &s.addrs),
            (" as ", "users", &s.users),
            (" on ", "hosts", &s.hosts),
            (", container ", "containers", &s.containers),
            (", ", "files", &s.files),
        ];
        if parts.iter().all(|(_, _, list)| list.is_empty()) {
            return;
        }
        self.m.raw("<dt>Who</dt><dd>");
        let mut first = true;
        for (before, _, list) in parts {
            if list.is_empty() {
                continue;
            }
            self.m.raw(if first { "" } else { before });
            first = false;
            self.names(list.get(..NAMES).unwrap_or(list));
            let rest = list.get(NAMES..).unwrap_or_default();
            if !rest.is_empty() {
                self.m
                    .raw(" and ")
                    .text(&words::thousands(rest.len() as u64))
                    .raw(" more");
            }
        }
        for (_, kind, list) in parts {
            let rest = list.get(NAMES..).unwrap_or_default();
            if rest.is_empty() {
                continue;
            }
            let shown = rest.get(..ALL_NAMES).unwrap_or(rest);
            self.m
                .raw("<details class=\"more\"><summary>the other ")
                .raw(kind)
                .raw("</summary>");
            self.names(shown);
            if rest.len() > shown.len() {
                self.m
                    .raw(" and ")
                    .text(&words::thousands((rest.len() - shown.len()) as u64))
                    .raw(" in the JSON report");
            }
            self.m.raw("</details>");
        }
        self.m.raw("</dd>\n");
    }

    fn names(&mut self, names: &[String]) {
        for (i, name) in names.iter().enumerate() {
            self.m.raw(if i > 0 { ", " } else { "" });
            self.name(name);
        }
    }

    fn evidence(&mut self, f: &Finding) {
        let lines = f.evidence.get(..ALL_LINES).unwrap_or(&f.evidence);
        let shown = lines.get(..LINES).unwrap_or(lines);
        let rest = lines.get(LINES..).unwrap_or_default();
        // As in the text view: the date only where the lines are not all of the day that "when" says.
        let date = |t: Option<Time>| t.map(|t| words::date(t, self.zone));
        let one_day = lines
            .iter()
            .all(|e| e.at.is_none() || date(e.at) == date(f.first));
        self.lines(shown, one_day);
        if !rest.is_empty() {
            self.m
                .raw("<details class=\"more\"><summary>")
                .text(&words::count(rest.len() as u64, "more line", "more lines"))
                .raw("</summary>");
            self.lines(rest, one_day);
            self.m.raw("</details>");
        }
        self.cut((f.evidence.len() - lines.len()) as u64, "line", "lines");
    }

    fn lines(&mut self, lines: &[Evidence], one_day: bool) {
        self.m.raw("<ol class=\"lines\">\n");
        for e in lines {
            self.m
                .raw("<li><span class=\"at\"><code>")
                .clipped(&e.source, NAME)
                .raw("</code>");
            if let Some(at) = e.at {
                let shown = if one_day {
                    words::clock(at, self.zone)
                } else {
                    words::moment(at, self.zone)
                };
                self.m.raw(" ");
                self.time(at, &shown);
            }
            self.m
                .raw("</span> <code class=\"text\">")
                .clipped(e.text.trim_end(), TEXT)
                .raw("</code></li>\n");
        }
        self.m.raw("</ol>");
    }

    fn steps(&mut self, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        self.m
            .raw("<dt>Next</dt><dd><ol class=\"steps")
            .raw(if steps.len() == 1 { " one" } else { "" })
            .raw("\">\n");
        for step in steps.iter().take(ITEMS) {
            self.m.raw("<li>");
            self.step(step);
            if let Some(undo) = &step.undo {
                self.m
                    .raw("<span class=\"dim\">Undo: <code>")
                    .clipped(undo, TEXT)
                    .raw("</code></span>");
            }
            self.m.raw("</li>\n");
        }
        self.m.raw("</ol>");
        self.cut(steps.len().saturating_sub(ITEMS) as u64, "step", "steps");
        self.m.raw("</dd>\n");
    }

    fn step(&mut self, step: &Step) {
        self.m.clipped(&words::action(step), TEXT);
        if let Some(command) = &step.command {
            self.m
                .raw("<pre><code>")
                .clipped(command, TEXT)
                .raw("</code></pre>");
        }
    }

    /// The long tail of one kind.
    fn tail(&mut self, tail: &Tail<'_>) {
        let Some(best) = tail.findings.first() else {
            return;
        };
        let n = tail.findings.len() as u64;
        let headline = words::tail(best.slug, tail.full, n);
        self.summary(best.severity, best.severity >= Severity::Medium, &headline);
        let mixed = tail.findings.iter().any(|f| f.severity != best.severity);
        let most = tail.findings.iter().map(|f| f.count).max().unwrap_or(0);
        let heads = [
            text("level"),
            text("who"),
            number("times"),
            text("users"),
            text("first"),
            text("last"),
            text("seen at"),
        ];
        let rows = tail
            .findings
            .iter()
            .take(TAIL)
            .map(|f| {
                let s = &f.subjects;
                let who = [&s.addrs, &s.users, &s.hosts, &s.containers, &s.files]
                    .into_iter()
                    .find(|list| !list.is_empty());
                let users = if s.addrs.is_empty() {
                    &[]
                } else {
                    s.users.as_slice()
                };
                vec![
                    if mixed {
                        Cell::Level(f.severity)
                    } else {
                        Cell::Blank
                    },
                    who.map_or(Cell::Name(f.headline.clone()), |list| {
                        few(list, list.len() as u64, 2)
                    }),
                    Cell::Bar(f.count, most),
                    few(users, users.len() as u64, 3),
                    f.first.map_or(Cell::Blank, Cell::Minute),
                    f.last.map_or(Cell::Blank, Cell::Minute),
                    f.evidence
                        .first()
                        .map_or(Cell::Blank, |e| Cell::Name(e.source.clone())),
                ]
            })
            .collect();
        self.table("", &heads, rows);
        self.cut(n.saturating_sub(TAIL as u64), "finding", "findings");
        self.m.raw("<dl>\n");
        let same = |f: &&Finding| {
            f.remedy.first().map(|s| &s.action) == best.remedy.first().map(|s| &s.action)
        };
        if let Some(step) = best.remedy.first()
            && tail.findings.iter().all(same)
        {
            self.m.raw("<dt>Next</dt><dd>For the first of them: ");
            self.step(step);
            self.m.raw("</dd>\n");
        }
        self.m
            .raw("<dt>What</dt><dd><code>")
            .raw(best.id)
            .raw("</code> ")
            .raw(best.slug)
            .raw("</dd>\n</dl>\n</div></details>\n");
    }

    fn activity(&mut self, r: &Report) {
        let Some((seconds, columns)) = arrange::columns(&r.activity, 240) else {
            return;
        };
        self.m.raw("<section aria-labelledby=\"activity\">\n");
        let aside = format!("{} a bar", words::duration(seconds));
        self.heading("activity", "Activity", &aside);
        self.m.raw("<div class=\"panel\">\n");
        for series in SERIES {
            let most = series.most(&columns);
            if most == 0 {
                continue;
            }
            self.m
                .raw("<div class=\"strip ")
                .raw(series.name)
                .raw(if series.name == "failures" {
                    " big"
                } else {
                    ""
                })
                .raw("\"><div class=\"label\"><b>")
                .raw(series.name)
                .raw("</b> <span class=\"dim\">at most ")
                .text(&words::thousands(most))
                .raw("</span></div>\n");
            svg::bars(&mut self.m, &series, &columns, seconds, self.zone);
            self.m.raw("</div>\n");
        }
        let start = columns.first().map(|b| b.start).unwrap_or_default();
        let length = seconds.saturating_mul(columns.len() as u64);
        self.m.raw("<div class=\"axis\" aria-hidden=\"true\">");
        for (i, (at, label)) in svg::ticks(start, length, self.zone, 8)
            .into_iter()
            .enumerate()
        {
            // A label begins at its tick; one near the end would leave the page.
            if at > 94.0 {
                continue;
            }
            self.m
                .raw(if i % 2 == 1 {
                    "<span class=\"odd\" style=\"left:"
                } else {
                    "<span style=\"left:"
                })
                .number(at)
                .raw("%\">")
                .text(&label)
                .raw("</span>");
        }
        self.m.raw("</div>\n</div>\n<div class=\"heats\">\n");
        self.heat("failures", "f", &r.activity.failures_by_hour);
        self.heat("logins", "l", &r.activity.accepted_by_hour);
        self.m.raw("</div>\n</section>\n");
    }

    fn heat(&mut self, name: &'static str, class: &'static str, map: &[[u64; 24]; 7]) {
        self.m
            .raw("<figure class=\"panel ")
            .raw(class)
            .raw("\"><figcaption>")
            .raw(name)
            .raw(" by weekday and hour <span>")
            .text(&svg::describe_heat(name, map))
            .raw("</span></figcaption>\n<div class=\"heat\"><div class=\"days\" aria-hidden=\"true\">");
        for day in svg::DAYS {
            self.m
                .raw("<span>")
                .raw(day.get(..3).unwrap_or(day))
                .raw("</span>");
        }
        self.m.raw("</div>\n");
        svg::heat(&mut self.m, name, map);
        self.m.raw("<div class=\"hours\" aria-hidden=\"true\"><span>00</span><span>06</span><span>12</span><span>18</span></div></div>\n");
        self.m.raw("<ul class=\"legend\">");
        for (level, from, to) in [(0, 0, 0)]
            .into_iter()
            .chain(svg::Levels::new(map).ranges())
        {
            self.m
                .raw("<li><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect class=\"")
                .raw(svg::level_class(level))
                .raw("\" width=\"1\" height=\"1\"/></svg>")
                .text(&words::thousands(from));
            if to > from {
                self.m.raw("–").text(&words::thousands(to));
            }
            self.m.raw("</li>");
        }
        self.m.raw("</ul></figure>\n");
    }

    fn addresses(&mut self, r: &Report) {
        if r.addresses.is_empty() {
            return;
        }
        let all = (r.addresses.len() as u64).saturating_add(r.addresses_cut);
        self.m.raw("<section aria-labelledby=\"addresses\">\n");
        let more = if r.totals.addresses_forgotten > 0 {
            "+"
        } else {
            ""
        };
        let aside = format!("{}{more}, most failures first", words::thousands(all));
        self.heading("addresses", "Addresses", &aside);
        let most = r.addresses.iter().map(|a| a.failures).max().unwrap_or(0);
        let heads = [
            text("address"),
            number("failures"),
            number("logins"),
            text("findings"),
            text("users tried"),
            number("no such user"),
            number("connections"),
            text("first"),
            text("last"),
        ];
        let rows: Vec<Vec<Cell>> = r
            .addresses
            .iter()
            .take(ROWS)
            .map(|a| {
                vec![
                    Cell::Name(a.addr.clone()),
                    Cell::Bar(a.failures, most),
                    Cell::Number(a.accepted),
                    Cell::Tags(a.findings.clone()),
                    few(&a.users, a.user_count, 3),
                    Cell::Number(a.invalid_users),
                    Cell::Number(a.connections),
                    a.first.map_or(Cell::Blank, Cell::Minute),
                    a.last.map_or(Cell::Blank, Cell::Minute),
                ]
            })
            .collect();
        let shown = rows.len() as u64;
        self.table("Addresses", &heads, rows);
        self.cut(all - shown, "address", "addresses");
        self.m.raw("</section>\n");
    }

    fn users(&mut self, r: &Report) {
        if r.users.is_empty() {
            return;
        }
        let all = (r.users.len() as u64).saturating_add(r.users_cut);
        self.m.raw("<section aria-labelledby=\"users\">\n");
        let aside = format!("{}, most failures first", words::thousands(all));
        self.heading("users", "Users", &aside);
        let most = r.users.iter().map(|u| u.failures).max().unwrap_or(0);
        let heads = [
            text("user"),
            text("exists"),
            number("failures"),
            number("logins"),
            number("addresses"),
            text("first"),
            text("last"),
        ];
        let rows: Vec<Vec<Cell>> = r
            .users
            .iter()
            .take(ROWS)
            .map(|u| {
                vec![
                    Cell::Name(u.user.clone()),
                    Cell::Text(if u.exists { "yes" } else { "no" }.to_owned()),
                    Cell::Bar(u.failures, most),
                    Cell::Number(u.accepted),
                    Cell::Number(u.addr_count),
                    u.first.map_or(Cell::Blank, Cell::Minute),
                    u.last.map_or(Cell::Blank, Cell::Minute),
                ]
            })
            .collect();
        let shown = rows.len() as u64;
        self.table("Users", &heads, rows);
        self.cut(all - shown, "user", "users");
        self.m.raw("</section>\n");
    }

    fn logins(&mut self, r: &Report) {
        if r.logins.is_empty() {
            return;
        }
        let mut shown = arrange::logins(&r.logins, ROWS);
        shown.sort_by_key(|l| l.findings.is_empty());
        let all = (r.logins.len() as u64).saturating_add(r.logins_cut);
        self.m.raw("<section aria-labelledby=\"logins\">\n");
        let named = shown.first().is_some_and(|l| !l.findings.is_empty());
        let order = match (named, shown.len() as u64 == all) {
            (true, _) => ", those in a finding first",
            (false, true) => "",
            (false, false) => ", the latest",
        };
        let aside = format!("{}{order}", words::thousands(all));
        self.heading("logins", "Logins", &aside);
        let many_hosts = shown
            .iter()
            .any(|l| shown.first().is_some_and(|f| f.host != l.host));
        let heads = [
            text("time"),
            text("host"),
            text("user"),
            text("address"),
            text("method"),
            text("findings"),
            text("lasted"),
            text("key"),
            text("source"),
        ];
        let rows: Vec<Vec<Cell>> = shown
            .iter()
            .map(|l| {
                vec![
                    l.at.map_or(Cell::Blank, Cell::Moment),
                    if many_hosts {
                        Cell::Name(l.host.clone())
                    } else {
                        Cell::Blank
                    },
                    Cell::Name(l.user.clone()),
                    Cell::Name(l.addr.clone()),
                    Cell::Text(l.method.clone()),
                    Cell::Tags(l.findings.clone()),
                    l.seconds
                        .map_or(Cell::Blank, |s| Cell::Text(words::duration(s))),
                    l.key.clone().map_or(Cell::Blank, Cell::Name),
                    Cell::Name(l.source.clone()),
                ]
            })
            .collect();
        let cut = all - rows.len() as u64;
        self.table("Logins", &heads, rows);
        self.cut(cut, "login", "logins");
        self.m.raw("</section>\n");
    }

    fn input(&mut self, r: &Report) {
        let input = &r.input;
        self.m.raw("<section aria-labelledby=\"read\">\n");
        self.heading("read", "What was read", "");
        if input.files.is_empty() && input.skipped.is_empty() {
            self.m
                .raw("<p>Nothing: no source was given or found.</p>\n");
        }
        if !input.files.is_empty() {
            let heads = [
                text("source"),
                number("lines"),
                number("about SSH"),
                number("size"),
                text("first"),
                text("last"),
            ];
            let rows = input
                .files
                .iter()
                .take(ITEMS)
                .map(|f| {
                    vec![
                        Cell::Name(f.name.clone()),
                        Cell::Number(f.lines),
                        Cell::Number(f.ssh_lines),
                        Cell::Text(words::bytes(f.bytes)),
                        f.first.map_or(Cell::Blank, Cell::Minute),
                        f.last.map_or(Cell::Blank, Cell::Minute),
                    ]
                })
                .collect();
            self.table("Sources", &heads, rows);
            self.cut(
                input.files.len().saturating_sub(ITEMS) as u64,
                "source",
                "sources",
            );
        }
        self.remarks(input);
        if !input.skipped.is_empty() {
            self.unread(input);
        }
        self.m.raw("</section>\n");
    }

    fn remarks(&mut self, input: &Input) {
        self.m.raw("<ul class=\"plain\">\n");
        let mut remarks = vec![words::zones(input, self.zone)];
        remarks.extend(input.versions.iter().take(ITEMS).filter_map(words::version));
        remarks.extend(words::unknown(input));
        remarks.extend(input.notes.iter().take(ITEMS).cloned());
        for remark in remarks {
            self.m.raw("<li>").clipped(&remark, TEXT).raw("</li>\n");
        }
        self.m.raw("</ul>\n");
        let cut =
            input.versions.len().saturating_sub(ITEMS) + input.notes.len().saturating_sub(ITEMS);
        self.cut(cut as u64, "remark", "remarks");
    }

    fn unread(&mut self, input: &Input) {
        self.heading("unread", "What was not read", "");
        let heads = [
            text("source"),
            text("what happened"),
            text("what to do"),
            number("lines read"),
        ];
        let rows = input
            .skipped
            .iter()
            .take(ITEMS)
            .map(|s| {
                vec![
                    Cell::Name(s.name.clone()),
                    Cell::Text(s.what.clone()),
                    Cell::Text(s.advice.clone()),
                    Cell::Number(s.lines_read),
                ]
            })
            .collect();
        self.table("Sources that were not read", &heads, rows);
        self.cut(
            input.skipped.len().saturating_sub(ITEMS) as u64,
            "source",
            "sources",
        );
    }

    fn cut(&mut self, n: u64, one: &str, many: &str) {
        if n > 0 {
            self.m
                .raw("<p class=\"cut\">")
                .text(&words::count(n, one, many))
                .raw(" more: <code>--format json</code> holds them.</p>\n");
        }
    }

    /// Columns without any content are left out.
    fn table(&mut self, label: &'static str, heads: &[Head], rows: Vec<Vec<Cell>>) {
        let used: Vec<bool> = (0..heads.len())
            .map(|i| {
                rows.iter()
                    .any(|row| !row.get(i).is_none_or(Cell::is_blank))
            })
            .collect();
        self.m.raw("<div class=\"scroll");
        self.m.raw(if rows.len() > 20 { " tall" } else { "" });
        // A box that scrolls must be reachable with the keyboard.
        self.m
            .raw("\" tabindex=\"0\" role=\"region\" aria-label=\"")
            .raw(if label.is_empty() {
                "Findings of one kind"
            } else {
                label
            })
            .raw("\"><table><thead><tr>");
        let is_used = |i: usize| used.get(i).copied().unwrap_or(false);
        for (_, head) in heads.iter().enumerate().filter(|(i, _)| is_used(*i)) {
            self.m
                .raw(if head.number {
                    "<th scope=\"col\" class=\"n\">"
                } else {
                    "<th scope=\"col\">"
                })
                .raw(head.title)
                .raw("</th>");
        }
        self.m.raw("</tr></thead>\n<tbody>\n");
        for row in &rows {
            self.m.raw("<tr>");
            for ((_, head), cell) in heads
                .iter()
                .enumerate()
                .zip(row)
                .filter(|((i, _), _)| is_used(*i))
            {
                self.cell(cell, head.number);
            }
            self.m.raw("</tr>\n");
        }
        self.m.raw("</tbody></table></div>\n");
    }

    fn cell(&mut self, cell: &Cell, number: bool) {
        match cell {
            Cell::Blank => {
                self.m.raw("<td>");
            }
            Cell::Text(text) => {
                self.m
                    .raw(match text.chars().count() {
                        _ if number => "<td class=\"n\">",
                        0..=24 => "<td class=\"t\">",
                        _ => "<td class=\"w\">",
                    })
                    .clipped(text, TEXT);
            }
            Cell::Name(name) => {
                // Addresses, fingerprints and file names break badly; only what is longer may.
                self.m.raw(if name.chars().count() > 64 {
                    "<td class=\"w\">"
                } else {
                    "<td class=\"t\">"
                });
                self.name(name);
            }
            Cell::Number(n) => {
                self.m.raw("<td class=\"n\">").text(&words::thousands(*n));
            }
            Cell::Bar(n, most) => {
                self.m
                    .raw("<td class=\"n bar\" style=\"--v:")
                    .number(*n as f64 / (*most).max(1) as f64 * 100.0)
                    .raw("%\">")
                    .text(&words::thousands(*n));
            }
            Cell::Moment(t) => {
                self.m.raw("<td class=\"t\">");
                self.time(*t, &words::moment(*t, self.zone));
            }
            Cell::Minute(t) => {
                self.m.raw("<td class=\"t\">");
                self.time(*t, &words::minute(*t, self.zone));
            }
            Cell::Tags(tags) => {
                self.m.raw("<td>");
                for tag in tags {
                    self.m.raw("<span class=\"tag\">").raw(tag).raw("</span>");
                }
            }
            Cell::Level(severity) => {
                self.m
                    .raw("<td><span class=\"chip ")
                    .raw(level(*severity))
                    .raw("\">")
                    .raw(severity.name())
                    .raw("</span>");
            }
        }
        self.m.raw("</td>");
    }
}

impl Cell {
    fn is_blank(&self) -> bool {
        match self {
            Cell::Blank => true,
            Cell::Text(text) => text.is_empty(),
            Cell::Tags(tags) => tags.is_empty(),
            _ => false,
        }
    }
}

/// Some of the names; the cell escapes them.
fn few(names: &[String], all: u64, most: usize) -> Cell {
    match names.len() {
        0 => Cell::Blank,
        _ => Cell::Name(words::short_list(names, all, most, |name| name.into())),
    }
}
