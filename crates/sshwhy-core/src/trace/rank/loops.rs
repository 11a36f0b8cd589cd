//! Loops that wait: `while true; do ssh …; sleep 600; done`, `watch -n 60 ssh …`, in a container's command or typed into a shell. The
//! logins may keep to the pause.

use super::super::digest::contains_word;
use super::super::evidence::{Evidence, Way};
use super::who::program_name;
use super::{ABSENT, Candidate, MANY, NAMES_AND_TOOLS, Question, SuspectKind, TIMETABLE, tool_in};
use crate::time::{SECOND, human_span};
use std::net::IpAddr;

/// Logins from which on their distance is one.
const FEWEST: usize = 8;
/// How far the distance of the logins may be from the pause: what is run takes its time, and a timeout more of it.
const SLACK: i64 = 5 * SECOND;

/// Microseconds between two rounds, where a command line loops or is repeated by `watch`.
fn pause(command: &str) -> Option<i64> {
    let words: Vec<&str> = command
        .split(|c: char| c.is_whitespace() || matches!(c, ';' | '\'' | '"' | '(' | ')'))
        .filter(|w| !w.is_empty())
        .collect();
    let after = |name: &str| {
        words
            .iter()
            .position(|w| w.rsplit('/').next() == Some(name))
            .and_then(|at| words.get(at + 1..))
    };
    let seconds = if let Some(rest) = after("watch") {
        let number = rest.iter().zip(rest.iter().skip(1)).find_map(|(a, b)| {
            match a.strip_prefix("-n").or(a.strip_prefix("--interval=")) {
                Some("") => b.parse::<f64>().ok(),
                Some(n) => n.parse().ok(),
                None => None,
            }
        });
        number.unwrap_or(2.0)
    } else if words
        .iter()
        .any(|w| matches!(*w, "while" | "until" | "for"))
    {
        let first = after("sleep")?.first()?;
        let number = first.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match first.get(number.len()..)? {
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        number.parse::<f64>().ok()? * unit
    } else {
        return None;
    };
    (seconds.is_finite() && (1.0..1e7).contains(&seconds))
        .then_some((seconds * SECOND as f64) as i64)
}

/// The usual distance from one login to the next.
fn distance(events: &[i64]) -> Option<i64> {
    if events.len() < FEWEST {
        return None;
    }
    let mut gaps: Vec<i64> = events
        .iter()
        .zip(events.iter().skip(1))
        .map(|(a, b)| b - a)
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

/// Whose shell a history is of: `ivan` of `home/ivan/.bash_history:3`.
fn home_of(place: &str) -> Option<&str> {
    let mut parts = place.split('/').rev().skip(1);
    let folder = parts.next()?;
    (folder == "root" || parts.next() == Some("home")).then_some(folder)
}

/// Adds what speaks for whoever loops, and for whoever typed a command that logs in.
pub(super) fn loops(
    q: &Question,
    e: &Evidence,
    target: Option<IpAddr>,
    candidates: &mut Vec<Candidate<'_>>,
) {
    let needles = super::needles(q, target);
    let names_target = |text: &str| {
        needles
            .iter()
            .any(|n| contains_word(text.as_bytes(), n.as_bytes()))
    };
    let usual = distance(&q.events);
    let keeps = |command: &str| {
        let pause = pause(command)?;
        let usual = usual?;
        (-SECOND..=SLACK.max(pause / 20))
            .contains(&(usual - pause))
            .then_some((pause, usual))
    };
    for typed in &e.typed {
        let Some(tool) = tool_in(&typed.text) else {
            continue;
        };
        let named = names_target(&typed.text);
        let kept = keeps(&typed.text);
        if !named && kept.is_none() {
            continue;
        }
        let mut c = Candidate::new(SuspectKind::HostProcess, typed.text.clone(), None);
        c.way = Way::Typed;
        c.name = program_name(&typed.text);
        if let Some(user) = home_of(&typed.place) {
            c.name = format!("{} typed by {user}", c.name);
            c.users.push(user.to_owned());
        }
        c.score = ((1.0 - ABSENT) / ABSENT / MANY as f64).ln();
        let text = format!("typed into a shell: {:?}; runs {tool}", typed.text);
        c.add(1.5, NAMES_AND_TOOLS, &typed.place, None, text);
        if named {
            let text = "the command names the target".to_owned();
            c.add(2.5, NAMES_AND_TOOLS, &typed.place, None, text);
        }
        candidates.push(c);
    }
    for c in candidates.iter_mut() {
        let Some((pause, usual)) = keeps(&c.command) else {
            continue;
        };
        // The pause is others' too; who loops over ssh to this very host is meant.
        let ceiling = if tool_in(&c.command).is_some() && names_target(&c.command) {
            TIMETABLE
        } else {
            NAMES_AND_TOOLS
        };
        let text = format!(
            "its command waits {} between two rounds, and the logins come each {}",
            human_span(pause),
            human_span(usual)
        );
        c.add(3.0, ceiling, "its command", None, text);
        // The distance is that of all of them.
        if c.matched.is_empty() && ceiling > NAMES_AND_TOOLS {
            c.covered = q.events.len();
            c.matched = (0u32..).take(q.events.len()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_of_a_loop_is_read() {
        for (command, seconds) in [
            ("while true; do ssh a@b df; sleep 600; done", Some(600)),
            ("sh -c 'while :; do /opt/x.sh; sleep 10m; done'", Some(600)),
            ("until ssh a@b; do sleep 2h; done", Some(7200)),
            ("watch -n 60 ssh a@b uptime", Some(60)),
            ("/usr/bin/watch -n30 ssh a@b", Some(30)),
            ("watch ssh a@b", Some(2)),
            // No loop, or nothing to wait for.
            ("sleep 600", None),
            ("ssh a@b 'sleep 600'", None),
            ("while true; do ssh a@b; done", None),
            ("while true; do x; sleep soon; done", None),
            ("while true; do x; sleep 1e300; done", None),
            ("", None),
        ] {
            assert_eq!(pause(command).map(|p| p / SECOND), seconds, "{command}");
        }
    }

    #[test]
    fn a_history_lies_in_its_owners_home() {
        assert_eq!(home_of("home/ivan/.bash_history:3"), Some("ivan"));
        assert_eq!(home_of("node-a/root/.bash_history:3"), Some("root"));
        assert_eq!(home_of("srv/x/.bash_history:3"), None);
        assert_eq!(home_of(".bash_history:3"), None);
    }

    #[test]
    fn the_distance_of_logins_is_the_middle_one() {
        let events: Vec<i64> = (0..20).map(|n| n * 600 * SECOND + n % 3 * SECOND).collect();
        let usual = distance(&events).unwrap() / SECOND;
        assert!((598..=601).contains(&usual), "{usual}");
        assert_eq!(distance(&events[..5]), None);
    }
}
