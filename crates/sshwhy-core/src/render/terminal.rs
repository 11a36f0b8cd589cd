//! The text view: the verdict first, then the findings that need a person, then the long tail, then what was read.
//!
//! What stands in full and what in a table is [`arrange`]'s choice; tables are cut with a count. Without colour there is
//! no escape byte at all.

use super::arrange::{self, Block, SERIES, Tail};
use super::escape::terminal as esc;
use super::layout::{self, Column, cut, pad, table, wrap};
use super::words;
use crate::finding::{Evidence, Finding, Severity, Step};
use crate::report::{Activity, Input, Report};
use crate::time::{Time, Zone};

/// How a text view looks.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions<'a> {
    /// Cells in a line; less than 40 counts as 40.
    pub width: usize,
    pub colour: bool,
    /// In which times are shown.
    pub zone: &'a Zone,
    /// Rows of a table; [`usize::MAX`] shows everything, each finding in full.
    pub limit: usize,
}

impl<'a> TextOptions<'a> {
    /// 80 cells, no colour, ten rows.
    pub fn new(zone: &'a Zone) -> TextOptions<'a> {
        TextOptions {
            width: 80,
            colour: false,
            zone,
            limit: 10,
        }
    }

    fn all(&self) -> bool {
        self.limit == usize::MAX
    }
}

/// The whole report.
pub fn report(r: &Report, opts: &TextOptions<'_>) -> String {
    let mut page = Page::new(opts);
    page.paragraph(Style::Bold, "", &esc(&words::verdict(r)));
    page.blank();
    page.context(r);
    page.findings(&r.findings);
    page.activity(&r.activity);
    page.addresses(r);
    page.users(r);
    page.logins(r);
    page.input(&r.input);
    page.out
}

/// Findings alone, for the commands that have nothing else to show.
pub fn findings(findings: &[Finding], opts: &TextOptions<'_>) -> String {
    let mut page = Page::new(opts);
    page.findings(findings);
    let start = page.out.len() - page.out.trim_start_matches('\n').len();
    page.out.split_off(start)
}

/// Roles, not colours: [`Style::code`] says how each looks, chosen to read on dark and on light ground.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Bold,
    Faint,
    Level(Severity),
}

impl Style {
    /// SGR parameters (ECMA-48, 8.3.117). Yellow, green and cyan are unreadable on light ground, blue on dark.
    fn code(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Bold => "1",
            Style::Faint => "2",
            Style::Level(Severity::Critical) => "1;31;7",
            Style::Level(Severity::High) => "1;31",
            Style::Level(Severity::Medium) => "1;35",
            Style::Level(Severity::Low) => "1",
            Style::Level(Severity::Informational) => "2",
        }
    }
}

/// Severity as a tag, all of one width.
fn tag(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::High => "HIGH    ",
        Severity::Medium => "MEDIUM  ",
        Severity::Low => "LOW     ",
        Severity::Informational => "INFO    ",
    }
}

/// Where the text of a finding begins, after `  seen   `.
const INDENT: usize = 9;
/// Wider prose is hard to read; tables may use the whole line.
const PROSE: usize = 110;
/// An address is never cut, host names are: the longest IPv6 address with its prefix length.
const ADDRESS: usize = 43;
/// Longest text of one evidence line, in lines of the view.
const EVIDENCE_LINES: usize = 3;

struct Page<'a> {
    out: String,
    opts: TextOptions<'a>,
    prose: usize,
}

impl<'a> Page<'a> {
    fn new(opts: &TextOptions<'a>) -> Page<'a> {
        let width = opts.width.max(40);
        Page {
            out: String::new(),
            opts: TextOptions { width, ..*opts },
            prose: width.min(PROSE),
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        match style.code() {
            "" => text.to_owned(),
            _ if !self.opts.colour || text.is_empty() => text.to_owned(),
            code => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn blank(&mut self) {
        self.out.push('\n');
    }

    /// Wrapped text after a prefix; further lines hang below its beginning.
    fn paragraph(&mut self, style: Style, prefix: &str, text: &str) {
        let hang = layout::width(prefix);
        for (i, line) in wrap(text, self.prose.saturating_sub(hang))
            .iter()
            .enumerate()
        {
            let before = if i == 0 {
                prefix.to_owned()
            } else {
                " ".repeat(hang)
            };
            let line = self.paint(style, line);
            self.line(&format!("{before}{line}"));
        }
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        self.paragraph(Style::Bold, "", text);
    }

    /// Ready lines under a label: `  seen   …`.
    fn labelled(&mut self, label: &str, lines: &[String]) {
        for (i, line) in lines.iter().enumerate() {
            let label = pad(if i == 0 { label } else { "" }, INDENT - 2, false);
            let label = self.paint(Style::Faint, label.trim_end())
                + &" ".repeat(INDENT - 2 - label.trim_end().len());
            self.line(&format!("  {label}{line}"));
        }
    }

    fn labelled_text(&mut self, label: &str, text: &str) {
        let lines = wrap(text, self.prose - INDENT);
        self.labelled(label, &lines);
    }

    fn table(&mut self, columns: &[Column], rows: &[Vec<String>]) {
        let lines = table(columns, rows, self.opts.width - 2);
        for (i, line) in lines.iter().enumerate() {
            let line = if i == 0 {
                self.paint(Style::Faint, line)
            } else {
                line.clone()
            };
            self.line(&format!("  {line}"));
        }
    }

    fn more(&mut self, n: u64, of: &str) {
        if n > 0 {
            let hint = if self.opts.all() { "not kept" } else { "--all" };
            let text = format!("{} more {of}: {hint}", words::thousands(n));
            let text = self.paint(Style::Faint, &text);
            self.line(&format!("  {text}"));
        }
    }

    /// What the verdict stands on: how much was read, from when to when, and whether all of it could be.
    fn context(&mut self, r: &Report) {
        let zone = self.opts.zone;
        let (first, last) = (r.input.first, r.input.last);
        self.labelled_text("read", &words::read(&r.input));
        if let Some(span) = words::span(first, last, zone) {
            let text = format!("{span} {}", words::zone_name(zone, first, last));
            self.labelled_text("when", &esc(&text));
        }
        if r.totals.connections > 0 {
            self.labelled_text("total", &words::totals(&r.totals));
        }
        match r.input.skipped.len() as u64 {
            0 => {}
            n => {
                let what = words::count(n, "source was", "sources were");
                let text = format!("{what} not read, or not to the end: see below");
                let lines: Vec<String> = wrap(&text, self.prose - INDENT)
                    .iter()
                    .map(|line| self.paint(Style::Bold, line))
                    .collect();
                self.labelled("but", &lines);
            }
        }
    }

    fn findings(&mut self, findings: &[Finding]) {
        if self.opts.all() {
            findings.iter().for_each(|f| self.finding(f));
            return;
        }
        for block in arrange::blocks(findings) {
            match block {
                Block::Full(f) => self.finding(f),
                Block::Tail(tail) => self.tail(&tail),
            }
        }
    }

    fn finding(&mut self, f: &Finding) {
        self.blank();
        self.headline(f.severity, &esc(&f.headline));
        if let Some(who) = who(f) {
            self.labelled_text("who", &who);
        }
        if let Some(when) = when(f, self.opts.zone) {
            self.labelled_text("when", &when);
        }
        let most = if self.opts.all() {
            usize::MAX
        } else {
            match f.severity {
                Severity::Critical | Severity::High => 4,
                Severity::Medium => 2,
                Severity::Low | Severity::Informational => 1,
            }
        };
        let lines = self.evidence(&f.evidence, f.first, most);
        self.labelled("seen", &lines);
        for note in &f.notes {
            self.labelled_text("note", &esc(note));
        }
        self.steps(&f.remedy);
        let mut kind = format!("{} {}, {} sure", f.id, f.slug, words::percent(f.confidence));
        for r in &f.refs {
            kind.push_str("; ");
            kind.push_str(r);
        }
        self.labelled_text("what", &esc(&kind));
    }

    fn headline(&mut self, severity: Severity, text: &str) {
        let tag = tag(severity);
        let width = self.prose - tag.len() - 2;
        for (i, line) in wrap(text, width).iter().enumerate() {
            let before = if i == 0 {
                self.paint(Style::Level(severity), tag.trim_end())
                    + &" ".repeat(tag.len() - tag.trim_end().len())
            } else {
                " ".repeat(tag.len())
            };
            let line = self.paint(Style::Bold, line);
            self.line(&format!("{before}  {line}"));
        }
    }

    /// `file:line  time  text`, in columns where they fit, else the text below its place.
    fn evidence(&self, evidence: &[Evidence], first: Option<Time>, most: usize) -> Vec<String> {
        let zone = self.opts.zone;
        let inner = self.prose - INDENT;
        let shown: Vec<&Evidence> = evidence.iter().take(most).collect();
        let day = |t: Time| words::date(t, zone);
        let one_day = shown.iter().all(|e| match (e.at, first) {
            (Some(at), Some(first)) => day(at) == day(first),
            _ => true,
        });
        let time = |e: &Evidence| match e.at {
            None => String::new(),
            Some(t) if one_day => words::clock(t, zone),
            Some(t) => words::moment(t, zone),
        };
        let sources: Vec<String> = shown.iter().map(|e| esc(&e.source).into_owned()).collect();
        let source_width = sources.iter().map(|s| layout::width(s)).max().unwrap_or(0);
        let time_width = shown.iter().map(|e| time(e).len()).max().unwrap_or(0);
        let before = source_width + 2 + if time_width > 0 { time_width + 2 } else { 0 };
        let columns = before + 34 <= inner;
        let indent = if columns { before } else { 2 };
        let mut lines = Vec::new();
        for (e, source) in shown.iter().zip(&sources) {
            let text = self.evidence_text(&e.text, inner - indent);
            let place = format!(
                "{}  {}",
                pad(source, if columns { source_width } else { 0 }, false),
                time(e)
            );
            if columns {
                for (i, line) in text.iter().enumerate() {
                    let before = if i == 0 { place.trim_end() } else { "" };
                    let blanks = " ".repeat(indent - layout::width(before));
                    lines.push(format!(
                        "{}{blanks}{line}",
                        self.paint(Style::Faint, before)
                    ));
                }
            } else {
                let place = place.trim_end();
                let place = layout::cut_start(place, inner.max(layout::width(place).min(inner)));
                lines.push(self.paint(Style::Faint, &place));
                lines.extend(text.iter().map(|line| format!("  {line}")));
            }
        }
        let rest = evidence.len() - shown.len();
        if rest > 0 {
            let more = format!("{} more: --all", words::count(rest as u64, "line", "lines"));
            lines.push(self.paint(Style::Faint, &more));
        }
        lines
    }

    fn evidence_text(&self, text: &str, cells: usize) -> Vec<String> {
        let text = esc(text.trim_end());
        if self.opts.all() {
            return wrap(&text, cells);
        }
        // Far more than is shown, so that wrapping costs little whatever the log holds.
        let start = cut(&text, cells * (EVIDENCE_LINES + 2));
        let mut lines = wrap(&start, cells);
        if lines.len() > EVIDENCE_LINES {
            lines.truncate(EVIDENCE_LINES);
            if let Some(last) = lines.last_mut() {
                *last = format!("{}…", cut(last, cells - 1).trim_end_matches('…'));
            }
        }
        lines
    }

    fn steps(&mut self, steps: &[Step]) {
        let mut lines = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let number = if steps.len() > 1 {
                format!("{}. ", i + 1)
            } else {
                String::new()
            };
            let hang = number.len();
            for (j, line) in wrap(&esc(&words::action(step)), self.prose - INDENT - hang)
                .iter()
                .enumerate()
            {
                let before = if j == 0 {
                    number.clone()
                } else {
                    " ".repeat(hang)
                };
                lines.push(format!("{before}{line}"));
            }
            // A command is never wrapped: what is copied must be what runs.
            if let Some(command) = &step.command {
                let command = self.paint(Style::Bold, &esc(command));
                lines.push(format!("{}$ {command}", " ".repeat(hang)));
            }
            if let Some(undo) = &step.undo {
                lines.push(format!("{}undo: {}", " ".repeat(hang), esc(undo)));
            }
        }
        self.labelled("next", &lines);
    }

    /// The long tail of one kind: a line each.
    fn tail(&mut self, tail: &Tail<'_>) {
        let Some(best) = tail.findings.first() else {
            return;
        };
        let n = tail.findings.len() as u64;
        let text = words::tail(best.slug, tail.full, n);
        self.blank();
        self.headline(best.severity, &esc(&text));
        let mixed = tail.findings.iter().any(|f| f.severity != best.severity);
        let zone = self.opts.zone;
        let moment = |t: Option<Time>| t.map_or(String::new(), |t| words::minute(t, zone));
        let shown = tail.findings.len().min(self.opts.limit);
        let rows: Vec<Vec<String>> = tail
            .findings
            .iter()
            .take(shown)
            .map(|f| {
                let s = &f.subjects;
                let addressed = !s.addrs.is_empty();
                let who = [&s.addrs, &s.users, &s.hosts, &s.containers, &s.files]
                    .into_iter()
                    .find(|list| !list.is_empty());
                vec![
                    if mixed {
                        f.severity.name().to_owned()
                    } else {
                        String::new()
                    },
                    who.map_or(esc(&f.headline).into_owned(), |list| {
                        words::short_list(list, list.len() as u64, 1, esc)
                    }),
                    if addressed {
                        words::short_list(&s.users, s.users.len() as u64, 1, esc)
                    } else {
                        String::new()
                    },
                    words::thousands(f.count),
                    moment(f.first),
                    if f.first == f.last {
                        String::new()
                    } else {
                        moment(f.last)
                    },
                ]
            })
            .collect();
        let columns = [
            Column::fixed("level", 4),
            Column::text("who", ADDRESS, 0),
            Column::text("users", 10, 2),
            Column::number("times", 0),
            Column::fixed("first", 1),
            Column::fixed("last", 3),
        ];
        self.table(&columns, &rows);
        self.more(n - shown as u64, "of them");
        let same = |f: &&Finding| {
            f.remedy.first().map(|s| &s.action) == best.remedy.first().map(|s| &s.action)
        };
        if let Some(step) = best.remedy.first()
            && tail.findings.iter().all(same)
        {
            self.labelled_text(
                "next",
                &esc(&format!("{}; for the first of them:", words::action(step))),
            );
            if let Some(command) = &step.command {
                let command = self.paint(Style::Bold, &esc(command));
                self.labelled("", &[format!("$ {command}")]);
            }
        }
        self.labelled_text("what", &esc(&format!("{} {}", best.id, best.slug)));
    }

    fn activity(&mut self, activity: &Activity) {
        let widest = SERIES
            .iter()
            .map(|s| words::thousands(s.total(&activity.buckets)).len())
            .max();
        let room = self.prose.saturating_sub(20 + widest.unwrap_or(0));
        let Some((seconds, columns)) = arrange::columns(activity, room) else {
            return;
        };
        self.heading(&format!("Activity, {} a column", words::duration(seconds)));
        for series in SERIES {
            let most = series.most(&columns);
            if most == 0 {
                continue;
            }
            let bars: String = columns.iter().map(|b| bar((series.of)(b), most)).collect();
            let gap = " ".repeat(10 - series.name.len());
            let name = self.paint(Style::Faint, series.name) + &gap;
            let most = format!("  most {}", words::thousands(most));
            let fits = 12 + columns.len() + most.len() <= self.opts.width;
            self.line(&format!("  {name}{bars}{}", if fits { &most } else { "" }));
        }
        let (Some(first), Some(last)) = (columns.first(), columns.last()) else {
            return;
        };
        let from = words::minute(first.start, self.opts.zone);
        let to = words::minute(last.start, self.opts.zone);
        let axis = match columns.len().checked_sub(from.len() + to.len()) {
            Some(gap) if gap > 2 => format!("{from}{}{to}", " ".repeat(gap)),
            _ => format!("{from} – {to}"),
        };
        self.paragraph(Style::Faint, &" ".repeat(12), &axis);
    }

    fn addresses(&mut self, r: &Report) {
        if r.addresses.is_empty() {
            return;
        }
        let shown = r.addresses.len().min(self.opts.limit);
        let zone = self.opts.zone;
        let all = (r.addresses.len() as u64)
            .saturating_add(r.addresses_cut)
            .max(r.totals.addresses);
        let forgotten = if r.totals.addresses_forgotten > 0 {
            "+"
        } else {
            ""
        };
        self.heading(&format!(
            "Addresses, most failures first ({} of {}{forgotten})",
            shown,
            words::thousands(all)
        ));
        let rows: Vec<Vec<String>> = r
            .addresses
            .iter()
            .take(shown)
            .map(|a| {
                vec![
                    words::name(&a.addr, esc),
                    words::thousands(a.failures),
                    words::thousands(a.accepted),
                    words::thousands(a.connections),
                    words::short_list(&a.users, a.user_count, 1, esc),
                    slugs(&a.findings),
                    a.first.map_or(String::new(), |t| words::minute(t, zone)),
                    a.last.map_or(String::new(), |t| words::minute(t, zone)),
                ]
            })
            .collect();
        let columns = [
            Column::text("address", ADDRESS, 0),
            Column::number("failures", 0),
            Column::number("logins", 0),
            Column::number("connections", 5),
            Column::text("users", 12, 3),
            Column::text("findings", 14, 1),
            Column::fixed("first", 6),
            Column::fixed("last", 4),
        ];
        self.table(&columns, &rows);
        self.more(all - shown as u64, "addresses");
    }

    fn users(&mut self, r: &Report) {
        if r.users.is_empty() {
            return;
        }
        let shown = r.users.len().min(self.opts.limit);
        let zone = self.opts.zone;
        let all = (r.users.len() as u64)
            .saturating_add(r.users_cut)
            .max(r.totals.users);
        self.heading(&format!(
            "Users, most failures first ({} of {})",
            shown,
            words::thousands(all)
        ));
        let rows: Vec<Vec<String>> = r
            .users
            .iter()
            .take(shown)
            .map(|u| {
                vec![
                    words::name(&u.user, esc),
                    if u.exists { "yes" } else { "no" }.to_owned(),
                    words::thousands(u.failures),
                    words::thousands(u.accepted),
                    words::thousands(u.addr_count),
                    u.last.map_or(String::new(), |t| words::minute(t, zone)),
                ]
            })
            .collect();
        let columns = [
            Column::text("user", 12, 0),
            Column::fixed("exists", 0),
            Column::number("failures", 0),
            Column::number("logins", 0),
            Column::number("addresses", 2),
            Column::fixed("last", 1),
        ];
        self.table(&columns, &rows);
        self.more(all - shown as u64, "users");
    }

    fn logins(&mut self, r: &Report) {
        if r.logins.is_empty() {
            return;
        }
        let shown = arrange::logins(&r.logins, self.opts.limit);
        let zone = self.opts.zone;
        let all = (r.logins.len() as u64).saturating_add(r.logins_cut);
        let chosen = if shown.len() < r.logins.len() {
            ": those in a finding, then the latest"
        } else {
            ""
        };
        self.heading(&format!(
            "Logins ({} of {}{chosen})",
            shown.len(),
            words::thousands(all)
        ));
        let many_hosts = shown
            .iter()
            .any(|l| shown.first().is_some_and(|f| f.host != l.host));
        let rows: Vec<Vec<String>> = shown
            .iter()
            .map(|l| {
                vec![
                    l.at.map_or(String::new(), |t| words::moment(t, zone)),
                    if many_hosts {
                        words::name(&l.host, esc)
                    } else {
                        String::new()
                    },
                    words::name(&l.user, esc),
                    words::name(&l.addr, esc),
                    esc(&l.method).into_owned(),
                    l.key
                        .as_deref()
                        .map_or(String::new(), |k| esc(k).into_owned()),
                    l.seconds.map_or(String::new(), words::duration),
                    slugs(&l.findings),
                    esc(&l.source).into_owned(),
                ]
            })
            .collect();
        let columns = [
            Column::fixed("time", 0),
            Column::text("host", 8, 5),
            Column::text("user", 8, 0),
            Column::text("address", ADDRESS, 0),
            Column::text("method", 9, 4),
            Column::text("key", 18, 7),
            Column::fixed("lasted", 3),
            Column::text("findings", 10, 2),
            Column::place("source", 16, 6),
        ];
        self.table(&columns, &rows);
        self.more(all - shown.len() as u64, "logins");
    }

    fn input(&mut self, input: &Input) {
        let zone = self.opts.zone;
        self.heading("What was read");
        if input.files.is_empty() && input.skipped.is_empty() {
            self.paragraph(Style::Plain, "  ", "nothing: no source was given or found");
        }
        let shown = input.files.len().min(self.opts.limit);
        let rows: Vec<Vec<String>> = input
            .files
            .iter()
            .take(shown)
            .map(|f| {
                vec![
                    esc(&f.name).into_owned(),
                    words::thousands(f.lines),
                    words::thousands(f.ssh_lines),
                    words::bytes(f.bytes),
                    f.first.map_or(String::new(), |t| words::minute(t, zone)),
                    f.last.map_or(String::new(), |t| words::minute(t, zone)),
                ]
            })
            .collect();
        let columns = [
            Column::place("source", 24, 0),
            Column::number("lines", 0),
            Column::number("SSH", 2),
            Column::number("size", 3),
            Column::fixed("first", 1),
            Column::fixed("last", 1),
        ];
        if !rows.is_empty() {
            self.table(&columns, &rows);
        }
        self.more((input.files.len() - shown) as u64, "sources");
        self.paragraph(Style::Plain, "  ", &esc(&words::zones(input, zone)));
        for v in input.versions.iter().take(self.opts.limit) {
            if let Some(text) = words::version(v) {
                self.paragraph(Style::Plain, "  ", &esc(&text));
            }
        }
        self.more(
            input.versions.len().saturating_sub(self.opts.limit) as u64,
            "hosts",
        );
        if let Some(text) = words::unknown(input) {
            self.paragraph(Style::Plain, "  ", &text);
        }
        for note in &input.notes {
            self.paragraph(Style::Plain, "  ", &esc(note));
        }
        if input.skipped.is_empty() {
            return;
        }
        self.heading("What was not read");
        for s in input.skipped.iter().take(self.opts.limit) {
            let read = match s.lines_read {
                0 => String::new(),
                n => format!(" (read {})", words::count(n, "line", "lines")),
            };
            self.paragraph(
                Style::Plain,
                "  ",
                &esc(&format!("{}: {}{read}", s.name, s.what)),
            );
            if !s.advice.is_empty() {
                self.paragraph(Style::Plain, "    ", &esc(&s.advice));
            }
        }
        self.more(
            input.skipped.len().saturating_sub(self.opts.limit) as u64,
            "sources",
        );
    }
}

/// `203.0.113.7 as root on bastion`
fn who(f: &Finding) -> Option<String> {
    let s = &f.subjects;
    let mut text = words::list(&s.addrs, 5, esc);
    let mut add = |before: &str, list: &[String]| {
        if !list.is_empty() {
            if !text.is_empty() {
                text.push_str(before);
            }
            text.push_str(&words::list(list, 5, esc));
        }
    };
    add(" as ", &s.users);
    add(" on ", &s.hosts);
    add(", container ", &s.containers);
    add(", ", &s.files);
    (!text.is_empty()).then_some(text)
}

fn when(f: &Finding, zone: &Zone) -> Option<String> {
    let span = words::span(f.first, f.last, zone)?;
    Some(match f.count {
        0 | 1 => span,
        n => format!("{span}, {} times", words::thousands(n)),
    })
}

fn slugs(slugs: &[&str]) -> String {
    esc(&slugs.join(", ")).into_owned()
}

/// One of eight heights; anything but nothing is seen.
fn bar(n: u64, most: u64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if n == 0 || most == 0 {
        return ' ';
    }
    let i = ((n as f64 / most as f64) * 8.0).ceil() as usize;
    BARS.get(i.clamp(1, 8) - 1).copied().unwrap_or('█')
}
