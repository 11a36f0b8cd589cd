//! `events`: the log as data, one object for each line, in order.

use super::reading::{Ready, ready};
use crate::cli::{Events as Args, EventsFormat};
use crate::exit::Exit;
use crate::pipeline::{self, Printed, Printer};
use sshwhy_core::analysis::Analysis;
use sshwhy_core::detect::Detectors;
use sshwhy_core::event::catalog;
use sshwhy_core::names::Limits;
use sshwhy_core::render::events::{EventLine, EventWriter};
use sshwhy_core::scan::{NONE, Scanner, UNKNOWN};
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub fn run(args: Args) -> Result<Exit, String> {
    let Ready {
        feed,
        zone,
        filter,
        threads,
    } = ready(&args.reading)?;
    let filtered = filter.any();
    let mut analysis = Analysis::new(zone.clone(), filter, Limits::default(), Detectors::off());
    for name in &feed.names {
        analysis.file(name);
    }
    for (file, set) in &feed.shared {
        analysis.share(*file, *set);
    }
    let feed = Mutex::new(feed);
    let printer = Lines {
        format: args.format,
        filtered,
        written: AtomicU64::new(0),
    };
    if args.format == EventsFormat::Csv {
        super::report::print(EventWriter::CSV_HEADER.as_bytes())?;
    }
    pipeline::run(&feed, analysis, &zone, threads, Some(&printer), &|_| {});
    let feed = feed
        .into_inner()
        .map_err(|_| "a worker failed; this is a bug, and its message stands above".to_owned())?;
    for s in &feed.skipped {
        let clean = sshwhy_core::render::escape::terminal(&s.name);
        eprintln!(
            "sshwhy: {clean}: {}{}",
            s.what,
            if s.advice.is_empty() {
                String::new()
            } else {
                format!("; {}", s.advice)
            }
        );
    }
    if !feed.skipped.is_empty() && printer.written.load(Ordering::Relaxed) == 0 {
        return Err("nothing could be read".to_owned());
    }
    Ok(if feed.skipped.is_empty() {
        Exit::Ok
    } else {
        Exit::Partial
    })
}

struct Lines {
    format: EventsFormat,
    /// Only what passed the filter is printed.
    filtered: bool,
    written: AtomicU64,
}

impl Printer for Lines {
    fn print(&self, scanner: &mut Scanner, block: &Printed<'_>, out: &mut Vec<u8>) {
        let mut writer = EventWriter::default();
        let mut records = block.scanned.records.iter().zip(block.resolved).peekable();
        let first = block.parcel.line_base;
        scanner.lines(
            &block.parcel.block.bytes,
            block.parcel.years,
            block.zone,
            |_, seen| {
                let line = seen.line;
                let mut e = EventLine {
                    line: first + u64::from(seen.number) + 1,
                    time: line.time,
                    host: line.host,
                    program: line.ident,
                    pid: line.pid,
                    event: "other",
                    outcome: "info",
                    repeat: line.repeat,
                    ..EventLine::default()
                };
                let mine = records.next_if(|(r, _)| r.line == seen.number);
                match mine {
                    Some((_, resolved)) => {
                        if self.filtered && !resolved.passed {
                            return;
                        }
                        let known = resolved.row != UNKNOWN;
                        let message = catalog().row(resolved.row);
                        e.event = if known { message.slug } else { "unknown" };
                        e.outcome = if known {
                            message.outcome.name()
                        } else {
                            "info"
                        };
                        e.hostile = resolved.hostile;
                        e.time = resolved.time;
                        e.user = (resolved.user != NONE)
                            .then(|| block.names.users.get(&resolved.user).map_or("", |u| u));
                        e.addr = block.names.addrs.get(&resolved.addr).map(String::as_str);
                        e.port = (resolved.port != 0).then_some(resolved.port);
                        if let Some(event) = seen.event {
                            e.method = event.method();
                            e.key = event.fingerprint();
                        }
                    }
                    None if self.filtered => return,
                    None => {}
                }
                match self.format {
                    EventsFormat::Ndjson => writer.json(out, &e),
                    EventsFormat::Csv => writer.csv(out, &e),
                }
            },
        );
    }

    fn write(&self, out: &[u8]) -> bool {
        self.written.fetch_add(out.len() as u64, Ordering::Relaxed);
        io::stdout().lock().write_all(out).is_ok()
    }
}
