//! `events`: the log as data, one object for each line, in order.

use super::reading::{Ready, ready};
use crate::cli::{Events as Args, EventsFormat};
use crate::exit::Exit;
use crate::pipeline::{self, Printed, Printer};
use sshwhy_core::addr::Addr;
use sshwhy_core::analysis::Analysis;
use sshwhy_core::detect::Detectors;
use sshwhy_core::event::catalog;
use sshwhy_core::names::Limits;
use sshwhy_core::render::events::{EventLine, EventWriter};
use sshwhy_core::scan::{Scanner, UNKNOWN};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
        refused: Mutex::new(None),
    };
    if args.format == EventsFormat::Csv {
        super::report::print(EventWriter::CSV_HEADER.as_bytes())?;
    }
    pipeline::run(&feed, analysis, &zone, threads, Some(&printer), &|_| {});
    let feed = feed
        .into_inner()
        .map_err(|_| "a worker failed; this is a bug, and its message stands above".to_owned())?;
    let refused = printer.refused.into_inner();
    if let Some(e) = refused.unwrap_or_else(PoisonError::into_inner) {
        return Err(format!("cannot write to standard output: {e}"));
    }
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
    /// Why no more could be written.
    refused: Mutex<Option<io::Error>>,
}

impl Printer for Lines {
    fn print(&self, scanner: &mut Scanner, block: &Printed<'_>, out: &mut Vec<u8>) {
        let mut writer = EventWriter::default();
        let catalog = catalog();
        let records = &block.scanned.records;
        let addrs: Vec<String> = block.names.addrs().iter().map(Addr::to_string).collect();
        let users = block.names.users();
        let first = block.parcel.line_base;
        // What tells method and key, beyond what the record says.
        let mut ahead = records.iter().peekable();
        let wanted = |number: u32| {
            let record = ahead.next_if(|r| r.line == number);
            record.is_some_and(|r| catalog.tells_how(r.row))
        };
        let mut index = 0;
        scanner.lines_again(
            &block.parcel.block.bytes,
            block.parcel.years,
            block.zone,
            wanted,
            |seen| {
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
                let mine = records.get(index).filter(|r| r.line == seen.number);
                if mine.is_some() {
                    let (addr, user) = block.names.of(index);
                    let Some(resolved) = block.resolved.get(index) else {
                        return;
                    };
                    index += 1;
                    if self.filtered && !resolved.passed {
                        return;
                    }
                    e.event = "unknown";
                    if resolved.row != UNKNOWN {
                        let message = catalog.row(resolved.row);
                        e.event = message.slug;
                        e.outcome = message.outcome.name();
                    }
                    e.hostile = resolved.hostile;
                    e.time = resolved.time;
                    e.user = user.map(|u| users.get(u as usize).map_or("", String::as_str));
                    e.addr = addr.and_then(|a| addrs.get(a as usize)).map(String::as_str);
                    e.port = (resolved.port != 0).then_some(resolved.port);
                    if let Some(event) = seen.event {
                        e.method = event.method();
                        e.key = event.fingerprint();
                    }
                } else if self.filtered {
                    return;
                }
                match self.format {
                    EventsFormat::Ndjson => writer.json(out, &e),
                    EventsFormat::Csv => writer.csv(out, &e),
                }
            },
        );
    }

    fn write(&self, out: &[u8]) -> bool {
        match io::stdout().lock().write_all(out) {
            Ok(()) => {
                self.written.fetch_add(out.len() as u64, Ordering::Relaxed);
                true
            }
            Err(e) => {
                // Somebody who stops reading (`| head`) is no error; a disk that is full is one.
                if e.kind() != io::ErrorKind::BrokenPipe {
                    let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                    refused.get_or_insert(e);
                }
                false
            }
        }
    }
}
