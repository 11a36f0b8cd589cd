//! Crontabs and timers that were collected: their text may name the target or a tool, and the logins may keep to their timetable.

use super::super::digest::contains_word;
use super::super::evidence::{Evidence, Schedule};
use super::super::timetable::{Kept, LAG, Timetable};
use super::who::{program_name, subject};
use super::{
    ABSENT, CIRCUMSTANCES, Candidate, MANY, NAMES_AND_TOOLS, Question, SuspectKind, TELLING,
    TIMETABLE, base, tool_in,
};
use crate::time::{DAY, MINUTE, SECOND};
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

/// Lines that are looked at; a node has fewer.
const MAX_LINES: usize = 100_000;
/// Different timetables that are compared with the logins; each takes milliseconds.
const MAX_TABLES: usize = 300;
/// Share of the logins and of the firings that belong together where nothing else is wanted.
const ALWAYS: f64 = 0.9;
/// Candidates beyond which a tool alone makes no further one.
const MAX_CANDIDATES: usize = 5000;

/// What a schedule's line starts, and when; or what a daemon's log says that it started.
struct Entry<'a> {
    schedule: Cow<'a, Schedule>,
    /// Seen in a log: there is no table to be read.
    seen: bool,
    command: String,
    kept: Option<Kept>,
}

fn entries<'a>(q: &Question, e: &'a Evidence) -> Vec<Entry<'a>> {
    // A timer starts the service of its name.
    let mut services: HashMap<&str, &str> = HashMap::new();
    for s in &e.schedules {
        if let (Some((unit, _)), Some(command)) = (
            s.place.rsplit_once(".service:"),
            s.text.strip_prefix("ExecStart="),
        ) {
            services.entry(base(unit)).or_insert(command);
        }
    }
    let mut tables: HashMap<Timetable, Option<Kept>> = HashMap::new();
    let mut kept = |table: Timetable| -> Option<Kept> {
        if let Some(known) = tables.get(&table) {
            return known.clone();
        }
        if tables.len() >= MAX_TABLES {
            return None;
        }
        let kept = table.kept(&q.events, &q.zone);
        tables.insert(table, kept.clone());
        kept
    };
    let mut out: Vec<Entry<'a>> = e
        .schedules
        .iter()
        .take(MAX_LINES)
        .map(|s| {
            let file = s.place.rsplit_once(':').map_or(s.place.as_str(), |p| p.0);
            let (table, command) = if let Some(unit) = file.strip_suffix(".timer") {
                let command = services.get(base(unit)).copied().unwrap_or(base(unit));
                (Timetable::of_timer(&s.text), command.to_owned())
            } else if let Some((table, rest)) = Timetable::of_crontab(&s.text) {
                // The system's crontabs have a column for the user.
                let command = if file.contains("spool/cron") {
                    rest
                } else {
                    rest.split_once(char::is_whitespace).map_or(rest, |r| r.1)
                };
                (Some(table), command.trim().to_owned())
            } else {
                (None, s.text.clone())
            };
            Entry {
                schedule: Cow::Borrowed(s),
                seen: false,
                command,
                kept: table.and_then(&mut kept),
            }
        })
        .collect();
    // What was seen starting, unless a table that was collected says the same.
    for log in &e.logs {
        for (sample, kept) in &log.started {
            let Some(command) = subject(&log.name, sample) else {
                continue;
            };
            let name = program_name(&command);
            let told = |x: &Entry<'_>| x.kept.is_some() && program_name(&x.command) == name;
            if !out.iter().any(told) {
                out.push(Entry {
                    schedule: Cow::Owned(Schedule {
                        place: log.name.clone(),
                        text: sample.clone(),
                    }),
                    seen: true,
                    command,
                    kept: Some(kept.clone()),
                });
            }
        }
    }
    out
}

/// Adds what speaks for each line of a schedule, to who is known already or to a candidate of its own.
pub(super) fn schedules(
    q: &Question,
    e: &Evidence,
    target: Option<IpAddr>,
    candidates: &mut Vec<Candidate<'_>>,
) {
    let needles = super::needles(q, target);
    let entries = entries(q, e);
    let fitting = entries.iter().filter(|x| x.kept.is_some()).count().max(1) as f64;
    let names = |text: &str| {
        needles
            .iter()
            .find(|n| contains_word(text.as_bytes(), n.as_bytes()))
    };
    for entry in entries {
        let s = entry.schedule.as_ref();
        let script: Vec<&Schedule> = script_of(e, &entry.command).collect();
        let in_script = script.iter().find(|l| names(&l.text).is_some());
        let named = names(&s.text).or_else(|| in_script.and_then(|l| names(&l.text)));
        let tool = tool_in(&entry.command).or_else(|| script.iter().find_map(|l| tool_in(&l.text)));
        let file = format!(
            "/{}",
            s.place
                .rsplit_once(':')
                .map_or("", |p| p.0)
                .trim_start_matches('/')
        );
        let known = candidates.iter().position(|c| {
            c.kind == SuspectKind::HostProcess
                && (c.key == file
                    || c.fit.is_some() && c.name.len() >= 3 && s.text.contains(c.name.as_str()))
        });
        let worth = named.is_some()
            || entry.kept.is_some()
            || tool.is_some() && candidates.len() < MAX_CANDIDATES;
        let at = match known {
            Some(at) => at,
            None if worth => {
                let mut c = Candidate::new(SuspectKind::HostProcess, entry.command.clone(), None);
                c.name = program_name(&entry.command);
                c.score = ((1.0 - ABSENT) / ABSENT / MANY as f64).ln();
                candidates.push(c);
                candidates.len() - 1
            }
            None => continue,
        };
        let Some(c) = candidates.get_mut(at) else {
            continue;
        };
        if c.key == file {
            c.command.clone_from(&entry.command);
            c.name = program_name(&entry.command);
        }
        let what = if entry.seen {
            format!("seen starting in {}: {:?}", s.place, s.text)
        } else {
            format!("started by {}: {:?}", s.place, s.text)
        };
        if known.is_some() {
            c.add(1.0, CIRCUMSTANCES, &s.place, None, what.clone());
        }
        if let Some(name) = named {
            let text = match in_script {
                Some(l) => format!("{what}; the script names the target ({name}): {:?}", l.text),
                None => format!("{what}; names the target ({name})"),
            };
            let place = in_script.map_or(&s.place, |l| &l.place);
            c.add(2.5, NAMES_AND_TOOLS, place, None, text);
        }
        if let Some(tool) = tool {
            let text = format!("{what}; runs {tool}");
            c.add(1.5, NAMES_AND_TOOLS, &s.place, None, text);
        }
        if let Some(kept) = entry.kept {
            // A timetable is others' too; together with what it does, or with when it was written, it accuses.
            let weight = (kept.rare - fitting.ln()).max(0.0);
            let fresh = recent(q, e, &file, &entry.command);
            // What logs in to this very host each time that it fires, and hardly any login comes without it.
            let always = named.is_some()
                && tool.is_some()
                && kept.logins >= ALWAYS
                && kept.firings >= ALWAYS;
            let ceiling =
                if always || weight >= TELLING && (named.is_some() || tool.is_some() || fresh) {
                    TIMETABLE
                } else {
                    NAMES_AND_TOOLS
                };
            let table = if entry.seen {
                "as seen in the log"
            } else {
                &s.text
            };
            let text = format!(
                "the logins keep to its timetable ({table}): {:.0} % of them come within {} s after it fires, and {:.0} % of its firings have one{}",
                kept.logins * 100.0,
                LAG / SECOND,
                kept.firings * 100.0,
                if kept.shift == 0 {
                    String::new()
                } else {
                    format!(", if its clock is {:+} h from {}", kept.shift, q.zone.name)
                }
            );
            c.add(weight, ceiling, &s.place, None, text);
            // Of a file that starts things that was said already.
            if fresh && c.key != file {
                let text =
                    format!("{file} or what it starts was written shortly before the first login");
                c.add(2.0, NAMES_AND_TOOLS, "files", None, text);
            }
            if c.matched.is_empty() {
                c.covered = q.events.len();
                c.matched = kept.met;
            }
        }
    }
}

/// Lines of the scripts that a command runs, as far as they were collected. Copies lie below a folder, so the end of a path decides.
fn script_of<'a>(e: &'a Evidence, command: &'a str) -> impl Iterator<Item = &'a Schedule> {
    e.scripts.iter().filter(move |l| {
        let path = l.place.rsplit_once(':').map_or(l.place.as_str(), |p| p.0);
        command.split_whitespace().any(|word| {
            word.starts_with('/')
                && path
                    .strip_suffix(word.trim_start_matches('/'))
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        })
    })
}

/// Whether the schedule or what it starts was written within two days before the first login.
fn recent(q: &Question, e: &Evidence, file: &str, command: &str) -> bool {
    q.events.first().is_some_and(|first| {
        e.files.iter().any(|f| {
            let before = first - f.mtime.0;
            (-MINUTE..2 * DAY).contains(&before)
                && (f.path == file || contains_word(command.as_bytes(), f.path.as_bytes()))
        })
    })
}
