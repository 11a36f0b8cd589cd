//! Signs that speak for or against a candidate: when it lived, what its log says and when, whom it names, what it runs, which files
//! were written before it began, what starts it.

use super::super::digest::{addresses, contains_word};
use super::super::evidence::{Evidence, FileTime, Topic};
use super::who::PARENTS;
use super::{
    ABSENT, CIRCUMSTANCES, Candidate, FEWEST, LOG_FOLLOWS, MANY, NAMES_AND_TOOLS, Question,
    SuspectKind, TELLING, base, chance_in_words, odd_place, signed_span, tool_in, weight_of,
};
use crate::time::{DAY, HOUR, MINUTE, SECOND, Time, human_span};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Alive while it happened; created just before it began, gone just before it stopped.
pub(super) fn lifetimes(q: &Question, candidates: &mut [Candidate<'_>]) {
    let (Some(first), Some(last)) = (q.events.first(), q.events.last()) else {
        return;
    };
    for c in candidates {
        let Some(container) = c.container else {
            continue;
        };
        // Clocks of the two machines differ by minutes at most while nothing else is known.
        let slack = 5 * MINUTE;
        let alive = q
            .events
            .iter()
            .filter(|t| {
                container.alive_at(Time(**t + slack)) || container.alive_at(Time(**t - slack))
            })
            .count();
        c.alive = if q.events.is_empty() {
            1.0
        } else {
            alive as f64 / q.events.len() as f64
        };
        let span = q.log.map_or(last - first, |(a, b)| b.0 - a.0).max(1);
        if let Some(born) = container.born()
            && born.0 <= first + slack
            && first - born.0 < DAY
            && q.log.is_some_and(|(a, _)| first - a.0 > DAY)
        {
            let gap = (first - born.0).max(MINUTE);
            let weight = (span as f64 / gap as f64).ln().clamp(0.0, 2.5);
            c.add(
                weight,
                CIRCUMSTANCES,
                "containers",
                Some(born),
                format!("created {} before the first login", human_span(gap)),
            );
        }
        if let Some(finished) = container.finished
            && finished.0 >= last - slack
            && finished.0 - last < 2 * DAY
            && q.log.is_some_and(|(_, b)| b.0 > finished.0 + 12 * HOUR)
        {
            let gap = (finished.0 - last).max(MINUTE);
            let weight = ((span as f64 / gap as f64).ln() - 1.5).clamp(0.0, 2.0);
            c.add(
                weight,
                CIRCUMSTANCES,
                "containers",
                Some(finished),
                format!(
                    "exited{} {} after the last login, and there was none after that",
                    container
                        .exit_code
                        .map_or(String::new(), |code| format!(" (code {code})")),
                    human_span(gap)
                ),
            );
        }
    }
}

/// Lines that follow the logins.
pub(super) fn logs<'a>(q: &Question, c: &mut Candidate<'a>) {
    let of_container = c
        .logs
        .iter()
        .flat_map(|l| l.found.iter().map(|f| (*l, f)))
        .min_by(|a, b| a.1.ln_chance.total_cmp(&b.1.ln_chance));
    let Some((log, found)) = of_container.or(c.found) else {
        if c.alive < 1.0 {
            let missing = 1.0 - c.alive;
            c.score -= 8.0 * missing;
        }
        return;
    };
    let weight = weight_of(found.ln_chance);
    // Few of many is a coincidence of a part of it more often than not.
    let weight = if found.fit.share() < 0.15 {
        weight.min(4.0)
    } else {
        weight
    };
    if weight <= 0.0 {
        if c.alive < 1.0 {
            c.score -= 8.0 * (1.0 - c.alive);
        }
        return;
    }
    let fit = &found.fit;
    let what = match &found.topic {
        Topic::Kind => "lines like".to_owned(),
        Topic::Addr(ip) => format!("lines that mention {ip}, like"),
        Topic::Target => "lines that name the target, like".to_owned(),
    };
    let text = format!(
        "{} of {} logins have {what} {:?} at {} (±{:.1} s){}{}; {} of these lines in that time; {}",
        fit.matched.len(),
        fit.covered,
        found.sample,
        signed_span(fit.offset),
        fit.tolerance as f64 / SECOND as f64,
        if fit.drift.abs() > 100_000.0 {
            format!(", drifting {:+.1} s a day", fit.drift / SECOND as f64)
        } else {
            String::new()
        },
        fit.step.map_or(String::new(), |s| format!(
            ", {} more from {} on",
            signed_span(s.by),
            Time(s.at)
        )),
        fit.lines,
        chance_in_words(found.ln_chance),
    );
    let first = found.first;
    c.matched = fit.matched.clone();
    c.covered = fit.covered;
    c.fit = Some((fit.clone(), found.ln_chance));
    c.found = Some((log, found));
    // Where the target is known, lines about a connection to somebody else are another job's of the same clock; or the address leads
    // to the target, which nobody here can tell.
    let ours = |ip: &IpAddr| q.target_addrs.contains(ip);
    let elsewhere = !q.target_addrs.is_empty()
        && log.names_target == 0
        && !log.addrs.iter().any(|(ip, _)| ours(ip))
        && connects_to(&found.sample).is_some_and(|ip| !ours(&ip));
    let text = if elsewhere {
        format!("{text}; they name another address than the target's")
    } else {
        text
    };
    let ceiling = if elsewhere {
        NAMES_AND_TOOLS
    } else if weight >= TELLING && fit.matched.len() >= FEWEST {
        LOG_FOLLOWS
    } else {
        CIRCUMSTANCES
    };
    c.add(weight, ceiling, &log.name, Some(first), text);
    // Logins before its log began or after it ended are nobody's fault (rotated away); those before it was created are.
    if c.alive < 0.5 && fit.matched.len() * 2 < (c.alive * q.events.len() as f64) as usize {
        c.score -= 2.0;
    }
}

/// The address that a line says somebody connects to: `svc@192.0.2.5`, `to 192.0.2.5`, `host=192.0.2.5`, `192.0.2.5 port 22`. Other
/// addresses in it are those of clients and of whoever asked.
fn connects_to(line: &str) -> Option<IpAddr> {
    addresses(line.as_bytes()).find(|ip| {
        let shown = ip.to_string();
        line.match_indices(&shown).any(|(at, _)| {
            let before = line.get(..at).unwrap_or_default();
            let after = line.get(at + shown.len()..).unwrap_or_default();
            ["@", "to ", "host=", "host ", "dst=", "->", "-> ", "DST="]
                .iter()
                .any(|w| before.ends_with(w))
                || after.starts_with(" port 22")
                || after.starts_with(":22")
        })
    })
}

/// Names the target: in its command, its labels, its log. What many do singles nobody out.
pub(super) fn names(q: &Question, target: Option<IpAddr>, candidates: &mut [Candidate<'_>]) {
    let mut texts: Vec<String> = q.target_addrs.iter().map(IpAddr::to_string).collect();
    if let Some(t) = target {
        texts.push(t.to_string());
    }
    let hosts: Vec<&String> = q.target_names.iter().filter(|n| n.len() >= 3).collect();
    let addr_in = |text: &str| {
        texts
            .iter()
            .find(|t| contains_word(text.as_bytes(), t.as_bytes()))
            .cloned()
    };
    let host_in = |text: &str| {
        hosts
            .iter()
            .find(|n| contains_word(text.as_bytes(), n.as_bytes()))
            .map(|n| (*n).clone())
    };
    let about = |c: &Candidate<'_>| {
        let mut all = c.command.clone();
        if let Some(container) = c.container {
            all.push(' ');
            all.push_str(&container.health_check);
            for (k, v) in &container.labels {
                all.push(' ');
                all.push_str(k);
                all.push(' ');
                all.push_str(v);
            }
        }
        all
    };
    let in_command: Vec<Option<String>> = candidates
        .iter()
        .map(|c| {
            let text = about(c);
            addr_in(&text).or_else(|| host_in(&text))
        })
        .collect();
    let in_log: Vec<Option<(String, u64, String)>> = candidates
        .iter()
        .map(|c| {
            c.logs.iter().find_map(|l| {
                let by_addr = target
                    .iter()
                    .chain(&q.target_addrs)
                    .find_map(|t| l.addrs.iter().find(|(ip, _)| ip == t));
                match by_addr {
                    Some((ip, n)) => Some((l.name.clone(), *n, ip.to_string())),
                    None if l.names_target > 0 => Some((
                        l.name.clone(),
                        l.names_target,
                        hosts.first().map_or(String::new(), |h| (*h).clone()),
                    )),
                    None => None,
                }
            })
        })
        .collect();
    let population = candidates.len().max(2) as f64;
    let singled = |n: usize| (population / n.max(1) as f64).ln();
    let commands = singled(in_command.iter().flatten().count());
    let logs = singled(in_log.iter().flatten().count());
    for ((c, command), log) in candidates.iter_mut().zip(in_command).zip(in_log) {
        if let Some(name) = command {
            let checks = c.container.map_or("", |k| k.health_check.as_str());
            let speaks = tool_in(&c.command).or_else(|| tool_in(checks)).is_some();
            let weight = (2.0 + commands).min(if speaks { 6.0 } else { 4.0 });
            c.add(
                weight,
                NAMES_AND_TOOLS,
                "containers",
                None,
                format!("its command, labels or health check name the target ({name})"),
            );
        }
        if let Some((source, n, name)) = log {
            let weight = (1.0 + logs).clamp(0.0, 3.0);
            c.add(
                weight,
                NAMES_AND_TOOLS,
                &source,
                None,
                format!("{n} lines of its log name the target ({name})"),
            );
        }
        if let Some(container) = c.container
            && container.addrs.contains(&q.source)
        {
            c.add(
                5.0,
                LOG_FOLLOWS,
                "containers",
                None,
                format!("the logins come from its own address, {}", q.source),
            );
        }
    }
}

/// Runs what logs in.
pub(super) fn tools(candidates: &mut [Candidate<'_>]) {
    for c in candidates {
        let (image, checks) = c
            .container
            .map_or(("", ""), |k| (k.image.as_str(), k.health_check.as_str()));
        let place = match c.kind {
            SuspectKind::Container => "containers",
            SuspectKind::HostProcess => "its command",
        };
        let text = format!("{} {} {}", c.name, image, c.command);
        if let Some(tool) = tool_in(&c.command).or_else(|| tool_in(image)) {
            c.add(2.5, NAMES_AND_TOOLS, place, None, format!("runs {tool}"));
        } else if let Some(tool) = tool_in(checks) {
            let text = format!("its health check runs {tool}: {checks}");
            c.add(2.5, NAMES_AND_TOOLS, place, None, text);
        } else if let Some(hint) = HINTS.into_iter().find(|h| text.contains(h)) {
            let text = format!("its name or command says {hint:?}");
            c.add(0.5, CIRCUMSTANCES, place, None, text);
        }
    }
}

/// What a container without a network loses: it cannot have connected, whatever its times say.
const CUT_OFF: f64 = 40.0;

/// Who cannot reach anybody.
pub(super) fn networks(candidates: &mut [Candidate<'_>]) {
    for c in candidates {
        if c.container.is_some_and(|k| k.network == "none") {
            let text = "has no network (NetworkMode none): it cannot have connected".to_owned();
            c.add(-CUT_OFF, 0.0, "containers", None, text);
        }
    }
}

/// Files that make something run by itself.
pub fn starts_things(path: &str) -> bool {
    [
        "/etc/cron",
        "/var/spool/cron/",
        "/var/spool/at/",
        "/var/spool/cron/atjobs/",
        "/etc/systemd/system/",
        "/usr/lib/systemd/system/",
        "/lib/systemd/system/",
        "/etc/init.d/",
        "/etc/rc",
        "/etc/anacrontab",
        "/etc/kubernetes/manifests/",
    ]
    .iter()
    .any(|p| path.starts_with(p))
        || path.contains("/.config/systemd/")
        || path.contains("/.ssh/")
}

/// Files changed shortly before it began: those that a suspect runs, and those that start things.
pub(super) fn files(q: &Question, e: &Evidence, candidates: &mut Vec<Candidate<'_>>) {
    let Some(first) = q.events.first() else {
        return;
    };
    let recent = |f: &&FileTime| f.mtime.0 <= first + MINUTE && first - f.mtime.0 < 2 * DAY;
    let mut told: BTreeSet<String> = BTreeSet::new();
    for c in candidates.iter_mut() {
        if c.kind != SuspectKind::HostProcess {
            continue;
        }
        let hit = e.files.iter().filter(recent).find(|f| {
            contains_word(c.command.as_bytes(), f.path.as_bytes())
                && !PARENTS.contains(&base(&f.path))
        });
        if let Some(f) = hit {
            told.insert(f.path.clone());
            c.add(
                2.0,
                CIRCUMSTANCES,
                "files",
                Some(f.mtime),
                format!(
                    "{} was written {} before the first login",
                    f.path,
                    human_span(first - f.mtime.0)
                ),
            );
        }
    }
    // A program laid where none belongs, inside of a container, shortly before it began.
    let laid: Vec<&FileTime> = e
        .files
        .iter()
        .filter(recent)
        .filter(|f| {
            f.path.contains("/tmp/") || f.path.contains("/shm/") || base(&f.path).starts_with('.')
        })
        .take(1000)
        .collect();
    for c in candidates.iter_mut() {
        let Some(container) = c.container else {
            continue;
        };
        let hit = laid.iter().find_map(|f| {
            let inside = container
                .layers
                .iter()
                .filter(|l| l.len() > 1)
                .find_map(|l| f.path.strip_prefix(l.as_str()))?;
            odd_place(inside).then_some((*f, inside))
        });
        if let Some((f, inside)) = hit {
            c.add(
                2.5,
                CIRCUMSTANCES,
                "files",
                Some(f.mtime),
                format!(
                    "{inside}, where no installed program lies, was written into it {} before the first login",
                    human_span(first - f.mtime.0)
                ),
            );
        }
    }
    // What starts things and was written just before: named even where nobody saw it run, without accusing it.
    let starters: Vec<&FileTime> = e
        .files
        .iter()
        .filter(recent)
        .filter(|f| starts_things(&f.path))
        .take(8)
        .collect();
    for f in starters {
        let stem = base(&f.path).split('.').next().unwrap_or_default();
        let text = format!(
            "{} was written {} before the first login",
            f.path,
            human_span(first - f.mtime.0)
        );
        let known = candidates.iter_mut().find(|c| {
            c.kind == SuspectKind::HostProcess
                && c.fit.is_some()
                && stem.len() >= 3
                && c.command.contains(stem)
        });
        match known {
            Some(c) => c.add(1.5, CIRCUMSTANCES, "files", Some(f.mtime), text),
            None => {
                let mut c = Candidate::new(SuspectKind::HostProcess, f.path.clone(), None);
                c.name = base(&f.path).to_owned();
                c.score = ((1.0 - ABSENT) / ABSENT / MANY as f64).ln();
                c.add(1.0, CIRCUMSTANCES, "files", Some(f.mtime), text);
                candidates.push(c);
            }
        }
    }
}

/// Words that only hint at it.
const HINTS: [&str; 8] = [
    "executor",
    "remote",
    "deploy",
    "backup",
    "sync",
    "jenkins",
    "gitlab-runner",
    "orchestrat",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_is_connected_to_is_told_from_others() {
        let to: IpAddr = "192.0.2.5".parse().unwrap();
        for line in [
            "connect svc@192.0.2.5",
            "job for 10.0.0.9: dispatch to 192.0.2.5",
            "host=192.0.2.5 cmd='df'",
            "192.0.2.5 port 22: refused",
            "10.0.0.9->192.0.2.5:22",
        ] {
            assert_eq!(connects_to(line), Some(to), "{line}");
        }
        for line in [
            "192.0.2.5 GET /metrics 200",
            "started by 192.0.2.5",
            "tick",
            "",
        ] {
            assert_eq!(connects_to(line), None, "{line}");
        }
    }
}
