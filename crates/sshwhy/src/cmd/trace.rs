//! `trace`: what on that host did it?

use super::reading::{Ready, ready};
use super::report::{options, print};
use crate::cli::{Reading, Trace as Args, TraceFormat, TraceVerb};
use crate::evidence::{self, Wanted};
use crate::exit::Exit;
use crate::pipeline;
use sshwhy_core::addr::parse_ip;
use sshwhy_core::analysis::Analysis;
use sshwhy_core::detect::{Detectors, Settings};
use sshwhy_core::finding::Finding;
use sshwhy_core::names::Limits;
use sshwhy_core::render::{json, trace as view};
use sshwhy_core::session::LineRef;
use sshwhy_core::trace::digest::Needles;
use sshwhy_core::trace::evidence::Evidence;
use sshwhy_core::trace::story::{self, Read};
use sshwhy_core::trace::{TargetLog, Trace};
use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::sync::Mutex;

pub fn run(args: Args) -> Result<Exit, String> {
    match args.verb {
        Some(TraceVerb::Collect(args)) => return super::trace_node::collect(&args),
        Some(TraceVerb::Arm(args)) => return super::trace_node::arm(&args),
        Some(TraceVerb::Disarm(args)) => return super::trace_node::disarm(&args),
        None => {}
    }
    let targets: Vec<IpAddr> = args
        .target
        .iter()
        .map(|t| parse_ip(t.as_bytes()).ok_or_else(|| format!("{t:?} is no IP address")))
        .collect::<Result<_, _>>()?;
    let source = args
        .source
        .as_ref()
        .map(|s| parse_ip(s.as_bytes()).map_or_else(|| s.clone(), |ip| ip.to_string()));
    for path in &args.evidence {
        if !path.exists() {
            return Err(format!("{}: not found", path.display()));
        }
    }
    let Ready {
        feed,
        zone,
        filter,
        threads,
    } = ready(&Reading {
        logs: args.log.clone(),
        tz: args.tz.clone(),
        year: args.year,
        since: args.since.clone(),
        until: args.until.clone(),
        addr: Vec::new(),
        user: Vec::new(),
        host: Vec::new(),
        threads: args.threads,
    })?;
    let mut analysis = Analysis::new(
        zone.clone(),
        filter,
        Limits::default(),
        Detectors::new(Settings::default()),
    );
    analysis.keep_acts();
    for name in &feed.names {
        analysis.file(name);
    }
    let names = feed.names.clone();
    let feed = Mutex::new(feed);
    let mut analysis = pipeline::run(&feed, analysis, &zone, threads, None, &|_| {});
    let feed = feed
        .into_inner()
        .map_err(|_| "a worker failed; this is a bug, and its message stands above".to_owned())?;
    let year_note = feed.year_note();
    let (sources, dropped) = analysis.take_sources();
    let deeds = analysis.take_deeds();
    let report = analysis.finish(feed.skipped, feed.notes);
    let (input, seen) = (report.input, report.findings);
    if input.lines == 0 && !input.skipped.is_empty() && input.files.is_empty() {
        return Err(super::report::unreadable(&input.skipped, &input.notes));
    }
    let span = input.first.zip(input.last);
    let mut read = Read {
        log_lines: input.lines,
        skipped: input.skipped,
        notes: input.notes,
        ..Read::default()
    };
    read.notes.extend(year_note);
    if dropped > 0 {
        read.notes
            .push(format!("{dropped} logins from outside did not fit and were left out: name the source (--source)"));
    }
    if deeds.dropped > 0 {
        read.notes.push(format!(
            "{} different commands and changes on the target did not fit and were left out of what was done right after a login: narrow \
             the time (--since, --until)",
            deeds.dropped
        ));
    }
    if deeds.forged > 0 {
        read.notes.push(format!(
            "{} lines in the name of sudo and its like were written by another program, as the journal knows: they count for nothing",
            deeds.forged
        ));
    }
    let place = |at: LineRef| {
        let name = names.get(at.file as usize).map_or("log", |n| n.as_str());
        format!("{name}:{}", at.line)
    };
    let mut trace = match story::choose(&sources, source.as_deref(), span, &zone) {
        None => Trace {
            reasons: vec![match &args.source {
                Some(s) => format!("the log shows no login from {s}"),
                None if args.since.is_some() || args.until.is_some() => {
                    "the log shows no login in the time that was asked for".to_owned()
                }
                None => "the log shows no login at all".to_owned(),
            }],
            zone: zone.name.clone(),
            read,
            ..Trace::default()
        },
        Some((chosen, pattern)) => {
            let question = story::question(chosen, targets, args.port, span, &zone);
            let (evidence, more) = if args.evidence.is_empty() {
                (Evidence::default(), Read::default())
            } else {
                evidence::load(
                    &args.evidence,
                    &Wanted {
                        events: question.events.clone(),
                        needles: Needles {
                            names: question.target_names.clone(),
                            addrs: question.target_addrs.clone(),
                        },
                        port: args.port,
                        zone: zone.clone(),
                        threads,
                    },
                )
            };
            read.skipped.extend(more.skipped);
            read.notes.extend(more.notes);
            let read = Read {
                log_lines: read.log_lines,
                skipped: read.skipped,
                notes: read.notes,
                ..more
            };
            Trace {
                read,
                ..story::tell(
                    chosen,
                    pattern,
                    &TargetLog {
                        sources: &sources,
                        deeds: &deeds,
                        place: &place,
                    },
                    &question,
                    &evidence,
                    &zone,
                )
            }
        }
    };
    // What the detectors say about this source stands beside what was found out here.
    trace.findings.extend(seen.into_iter().filter(|f| {
        trace
            .source
            .as_ref()
            .is_some_and(|s| f.subjects.addrs.contains(s))
    }));
    trace.findings.sort_by(Finding::order);
    let partial = !trace.read.skipped.is_empty();
    let text = match args.format {
        TraceFormat::Json => json::to_string(&trace, false),
        TraceFormat::Html => view::html(&trace, &zone),
        TraceFormat::Md => view::markdown(&trace, &zone),
        TraceFormat::Text => {
            let on_terminal = args.output.is_none() && io::stdout().is_terminal();
            view::text(&trace, &options(&zone, on_terminal))
        }
    };
    match &args.output {
        Some(path) => std::fs::write(path, text)
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?,
        None => print(text.as_bytes())?,
    }
    Ok(Exit::of(&trace.findings, partial))
}
