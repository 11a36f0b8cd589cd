//! `report`: what happened?

use super::reading::{Ready, ready};
use crate::cli::{Report as Args, ReportFormat};
use crate::exit::Exit;
use crate::feed::Feed;
use crate::pipeline;
use sshwhy_core::analysis::Analysis;
use sshwhy_core::detect::{Detectors, Settings};
use sshwhy_core::names::Limits;
use sshwhy_core::render::terminal::TextOptions;
use sshwhy_core::render::{escape, html, json, terminal};
use sshwhy_core::report::{Report, Skipped};
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub fn run(args: Args) -> Result<Exit, String> {
    let Ready {
        feed,
        zone,
        filter,
        threads,
    } = ready(&args.reading)?;
    let mut analysis = Analysis::new(
        zone.clone(),
        filter,
        Limits::default(),
        Detectors::new(settings(&args)?),
    );
    for name in &feed.names {
        analysis.file(name);
    }
    for (file, set) in &feed.shared {
        analysis.share(*file, *set);
    }
    let total = feed.total_bytes;
    let feed = Mutex::new(feed);
    let bar = Progress::new(total);
    let analysis = pipeline::run(&feed, analysis, &zone, threads, None, &|read| {
        bar.show(read)
    });
    bar.clear();
    let feed = feed
        .into_inner()
        .map_err(|_| "a worker failed; this is a bug, and its message stands above".to_owned())?;
    let year_note = feed.year_note();
    let Feed {
        skipped, mut notes, ..
    } = feed;
    notes.extend(year_note);
    let partial = !skipped.is_empty();
    let mut report = analysis.finish(skipped, notes);
    name_logs(&mut report, &args.reading.logs);
    if report.input.lines == 0 && partial {
        return Err(unreadable(&report.input.skipped, &report.input.notes));
    }
    let text = match args.format {
        ReportFormat::Json => json::report(&report, false),
        ReportFormat::Html => html::report(&report, &zone),
        ReportFormat::Text => {
            let on_terminal = args.output.is_none() && io::stdout().is_terminal();
            let mut options = options(&zone, on_terminal);
            if args.all {
                options.limit = usize::MAX;
            }
            terminal::report(&report, &options)
        }
    };
    match &args.output {
        Some(path) => std::fs::write(path, text)
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?,
        None => print(text.as_bytes())?,
    }
    Ok(Exit::of(&report.findings, partial))
}

/// The detectors' thresholds: the defaults, then the file, then what was typed.
///
/// ```toml
/// [brute-force]
/// failures = 10
/// ```
fn settings(args: &Args) -> Result<Settings, String> {
    let mut settings = Settings::default();
    if let Some(path) = &args.config {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {name}: {e}"))?;
        let file: toml::Table = text.parse().map_err(|e| format!("{name}: {e}"))?;
        for (detector, section) in &file {
            let section = section.as_table().ok_or_else(|| {
                format!("{name}: {detector} must be a section, as in [brute-force] with failures = 10 below it")
            })?;
            for (threshold, value) in section {
                let key = format!("{detector}.{threshold}");
                let number = value.as_integer().ok_or_else(|| {
                    format!(
                        "{name}: {key} must be a whole number, not a {}",
                        value.type_str()
                    )
                })?;
                settings
                    .set(&key, number)
                    .map_err(|e| format!("{name}: {e}"))?;
            }
        }
    }
    for text in &args.set {
        settings.set_text(text).map_err(|e| e.to_string())?;
    }
    Ok(settings)
}

/// A command that looks closer has to read these logs again, and not those of the machine on which it is typed.
fn name_logs(report: &mut Report, logs: &[OsString]) {
    const MOST: usize = 3;
    if logs.is_empty() {
        return;
    }
    let named: Option<Vec<String>> = logs
        .iter()
        .map(|log| log.to_str().filter(|l| *l != "-").and_then(quoted))
        .collect();
    let named = match named {
        Some(all) if all.len() <= MOST => all.join(" "),
        // Too many to type, or a pipe: whoever types it knows where they are.
        _ => "LOG".to_owned(),
    };
    let steps = report.findings.iter_mut().flat_map(|f| &mut f.remedy);
    for command in steps.filter_map(|s| s.command.as_mut()) {
        *command = command.replace("sshwhy report --", &format!("sshwhy report {named} --"));
    }
}

/// A word as a shell takes it; `None` for what nobody should paste.
fn quoted(word: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || "._/+:,@%-".contains(c);
    if word.chars().all(plain) && !word.starts_with('-') {
        return Some(word.to_owned());
    }
    let odd = word.chars().any(|c| c.is_control() || c == '\'') || word.starts_with('-');
    (!odd).then(|| format!("'{word}'"))
}

/// That nothing could be read, with what was seen of each file.
pub fn unreadable(skipped: &[Skipped], notes: &[String]) -> String {
    let reasons: Vec<String> = skipped
        .iter()
        .map(|s| {
            format!(
                "\n  {}: {}{}",
                escape::terminal(&s.name),
                escape::terminal(&s.what),
                if s.advice.is_empty() {
                    String::new()
                } else {
                    format!("; {}", s.advice)
                }
            )
        })
        .collect();
    let notes: Vec<String> = notes
        .iter()
        .map(|n| format!("\n  {}", escape::terminal(n)))
        .collect();
    format!(
        "nothing could be read{}{}",
        reasons.concat(),
        notes.concat()
    )
}

/// Writes to standard output; somebody who stops reading (`| head`) is no error.
pub fn print(text: &[u8]) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {e}"))
        }
        _ => Ok(()),
    }
}

/// Whether to write bold and colours: for a terminal that can show them, unless NO_COLOR is set.
pub fn colour(on_terminal: bool) -> bool {
    let said = |name: &str| std::env::var_os(name).unwrap_or_default();
    on_terminal && shows_colour(&said("NO_COLOR"), &said("TERM"))
}

fn shows_colour(no_color: &OsStr, term: &OsStr) -> bool {
    no_color.is_empty() && term != "dumb"
}

/// As wide as the terminal, and in colour where that is wanted.
pub fn options(zone: &sshwhy_core::time::Zone, on_terminal: bool) -> TextOptions<'_> {
    let mut options = TextOptions::new(zone);
    options.colour = colour(on_terminal);
    options.width = width(on_terminal);
    options
}

pub fn width(on_terminal: bool) -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let asked = on_terminal
        .then(|| terminal_size::terminal_size().map(|(w, _)| usize::from(w.0)))
        .flatten();
    columns
        .or(asked)
        .unwrap_or(if on_terminal { 80 } else { 100 })
        .clamp(40, 160)
}

/// A bar on standard error, for input that takes a while and somebody who watches.
struct Progress {
    total: u64,
    shown: AtomicU64,
    visible: bool,
}

/// Below this nobody has time to read a bar.
const WORTH_A_BAR: u64 = 64 << 20;

impl Progress {
    fn new(total: u64) -> Progress {
        Progress {
            total,
            shown: AtomicU64::new(0),
            visible: total >= WORTH_A_BAR && io::stderr().is_terminal(),
        }
    }

    fn show(&self, read: u64) {
        if !self.visible {
            return;
        }
        let percent = (read.saturating_mul(100) / self.total.max(1)).min(100);
        if self.shown.swap(percent, Ordering::Relaxed) == percent {
            return;
        }
        let full = (percent / 4) as usize;
        eprint!(
            "\r[{}{}] {percent:3} %  {} of {} MB",
            "=".repeat(full),
            " ".repeat(25 - full.min(25)),
            read >> 20,
            self.total >> 20
        );
    }

    fn clear(&self) {
        if self.visible {
            eprint!("\r{:60}\r", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_can_show_it_and_people_who_want_it() {
        let shows = |no: &str, term: &str| shows_colour(OsStr::new(no), OsStr::new(term));
        assert!(shows("", "xterm-256color") && shows("", "linux") && shows("", ""));
        assert!(!shows("", "dumb") && !shows("1", "xterm") && !shows("0", "xterm"));
    }
}
