//! The views of `trace`: terminal text, an HTML page with a timeline, and an incident report in Markdown to hand on.

mod markdown;
mod page;
mod text;

pub use markdown::markdown;
pub use page::html;
pub use text::text;

use crate::render::words;
use crate::time::{Time, Zone};
use crate::trace::{Suspect, SuspectKind, Trace, Verdict};

/// The answer in one line.
fn headline(t: &Trace) -> String {
    let source = t.source.as_deref().unwrap_or("nobody");
    let what = match t.verdict {
        Verdict::Intrusion => format!("Intrusion: {source} guessed its way in"),
        Verdict::MisconfiguredAutomation => {
            format!("Misconfigured automation: something on {source} logs in by itself")
        }
        Verdict::Unknown if t.source.is_none() => "No login to ask about".to_owned(),
        Verdict::Unknown => format!("Not clear what {source} does here"),
    };
    let certain: Vec<&Suspect> = t.suspects.iter().filter(|s| s.confidence > 0.5).collect();
    match certain.as_slice() {
        [] if t.source.is_none() => what,
        [] => format!("{what}; nobody in the evidence fits"),
        [one, more @ ..] => {
            // A container that was made anew goes by the same name.
            let others = more.iter().filter(|s| s.name != one.name).count();
            let lives = more.len() - others;
            let sure = words::percent(one.confidence);
            let mut out = format!("{what}; {} did it ({sure})", one.name);
            if lives > 0 {
                out += &format!(
                    ", made anew {}",
                    words::count(lives as u64, "time", "times")
                );
            }
            if others > 0 {
                out += &format!(", and {}", words::count(others as u64, "other", "others"));
            }
            out
        }
    }
}

/// Said where nobody is accused, before those who are likeliest all the same.
fn nobody(t: &Trace) -> Option<String> {
    if t.source.is_none() || t.suspects.iter().any(|s| s.confidence > 0.5) {
        return None;
    }
    let weighed = words::count(t.weighed as u64, "candidate was", "candidates were");
    Some(if t.suspects.is_empty() {
        format!("Nobody fits: {weighed} weighed.")
    } else {
        format!("Nobody fits: {weighed} weighed. No accusation, only the likeliest of them:")
    })
}

fn kind(s: &Suspect) -> &'static str {
    match s.kind {
        SuspectKind::Container => "container",
        SuspectKind::HostProcess => "host process",
    }
}

/// `2026-03-28 16:00:15Z`, to stand beside the local time.
fn utc(t: Time) -> String {
    let zone = Zone::utc();
    format!("{}Z", words::moment(t, &zone))
}

/// What is known of a suspect's life and clock, one sentence each.
fn facts(s: &Suspect, zone: &Zone) -> Vec<String> {
    let mut out = Vec::new();
    if !s.image.is_empty() {
        out.push(format!("image {}", s.image));
    }
    match (s.pod.is_empty(), s.namespace.is_empty()) {
        (false, false) => out.push(format!("pod {} in namespace {}", s.pod, s.namespace)),
        (false, true) => out.push(format!("pod {}", s.pod)),
        (true, false) => out.push(format!("namespace {}", s.namespace)),
        (true, true) => {}
    }
    if !s.command.is_empty() && s.command != s.name {
        out.push(format!("command {}", s.command));
    }
    if let Some(t) = s.created {
        let end = match (s.finished, s.exit_code) {
            (Some(f), Some(code)) => {
                format!(", exited {} with code {code}", words::moment(f, zone))
            }
            (Some(f), None) => format!(", exited {}", words::moment(f, zone)),
            (None, _) => ", still running".to_owned(),
        };
        out.push(format!("created {}{end}", words::moment(t, zone)));
    }
    if s.of > 0 {
        out.push(format!(
            "explains {} of the {} that it could have shown",
            words::count(s.explains, "login", "logins"),
            words::thousands(s.of)
        ));
    }
    if let (Some(offset), Some(within)) = (s.clock_offset_s, s.clock_offset_within_s) {
        let drift = s
            .clock_drift_s_per_day
            .map_or(String::new(), |d| format!(", drifting {d:+.1} s a day"));
        let step = match (s.clock_step_s, s.clock_step_at) {
            (Some(by), Some(at)) => format!(
                ", and {by:+.1} s more from {} on, where a clock was set or the zone changed",
                words::moment(at, zone)
            ),
            _ => String::new(),
        };
        out.push(format!(
            "its times are {offset:+.1} s (±{within:.1} s) off the target's{drift}{step}{}",
            zone_hint(offset)
        ));
    }
    out
}

/// Whole quarters of an hour are zones, not clocks.
fn zone_hint(offset: f64) -> &'static str {
    let quarters = (offset / 900.0).round();
    if quarters.abs() >= 1.0 && (offset - quarters * 900.0).abs() < 180.0 {
        ": most likely one of the two logs was read in the wrong zone (--tz)"
    } else {
        ""
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::finding::{Evidence, Step};
    use crate::trace::pattern::{Night, Pattern};
    use crate::trace::story::Moment;

    const EVIL: &str = "a\x1b]52;c;x\x07<script>alert(1)</script>|`b`\u{202e}[l](http://h)";

    fn sample() -> Trace {
        let t = Time::from_secs(1_680_019_215);
        Trace {
            verdict: Verdict::MisconfiguredAutomation,
            reasons: vec![format!("always the user {EVIL}")],
            source: Some("192.0.2.7".to_owned()),
            first_event: Some(t),
            last_event: Some(t),
            window: vec!["00:00".to_owned(), "04:00".to_owned()],
            zone: "+08:00".to_owned(),
            target: Some("192.0.2.1".to_owned()),
            target_names: vec![EVIL.to_owned()],
            suspects: vec![Suspect {
                kind: SuspectKind::Container,
                container: Some("ab12".to_owned()),
                name: EVIL.to_owned(),
                image: EVIL.to_owned(),
                pod: String::new(),
                namespace: String::new(),
                command: EVIL.to_owned(),
                confidence: 0.97,
                clock_offset_s: Some(28_800.4),
                clock_drift_s_per_day: None,
                clock_step_s: Some(-3_600.0),
                clock_step_at: Some(t),
                clock_offset_within_s: Some(1.1),
                chance_match: Some(1e-30),
                explains: 10,
                of: 11,
                created: Some(t),
                finished: None,
                exit_code: None,
                suspicious: false,
                users: vec![EVIL.to_owned()],
                evidence: vec![Evidence {
                    source: EVIL.to_owned(),
                    at: Some(t),
                    text: EVIL.to_owned(),
                }],
                matched: Vec::new(),
                way: Default::default(),
            }],
            pattern: Pattern {
                logins: 11,
                failures: 7,
                successes: 4,
                users: vec![EVIL.to_owned()],
                first: Some(t),
                last: Some(t),
                nights: vec![Night {
                    date: "2023-03-29".to_owned(),
                    failures: 7,
                    successes: 4,
                    hours: [1; 24],
                    start: t,
                }],
                ..Pattern::default()
            },
            timeline: vec![Moment {
                at: t,
                what: "log",
                source: EVIL.to_owned(),
                text: EVIL.to_owned(),
            }],
            next: vec![Step {
                action: EVIL.to_owned(),
                command: Some(
                    "auditctl -a always,exit -F arch=b64 -S connect -k sshwhy-trace".to_owned(),
                ),
                place: "client",
                risk: "none",
                undo: Some("sshwhy trace disarm".to_owned()),
            }],
            ..Trace::default()
        }
    }

    fn zone() -> Zone {
        Zone::fixed("+08:00", 28_800)
    }

    #[test]
    fn every_view_says_the_same_and_disarms_what_it_shows() {
        let t = sample();
        let zone = zone();
        for view in [
            text(&t, &crate::render::terminal::TextOptions::new(&zone)),
            html(&t, &zone),
            markdown(&t, &zone),
        ] {
            assert!(
                !view.contains('\x1b') && !view.contains('\u{202e}'),
                "{view}"
            );
            assert!(view.contains("97 %"), "{view}");
            assert!(view.contains("192.0.2.7"), "{view}");
            assert!(view.contains("wrong zone"), "{view}");
            // Lines are wrapped where there is room.
            let flat = view.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                flat.contains("-3600.0 s more") || flat.contains("\\-3600.0 s more"),
                "{view}"
            );
            assert!(view.contains("sshwhy-trace"), "{view}");
            assert!(view.contains("sshwhy trace disarm"), "{view}");
        }
        let page = html(&t, &zone);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("<svg"));
        let md = markdown(&t, &zone);
        // What is left without the escaped brackets would be a link.
        let live = md.replace("\\]", "");
        assert!(!md.contains("<script") && !live.contains("](http"), "{md}");
        // The timeline's rows have a time of day, the nights' have not.
        for line in md
            .lines()
            .filter(|l| l.starts_with("| 2023") && l.contains(':'))
        {
            assert_eq!(line.replace("\\|", "").matches('|').count(), 5, "{line}");
        }
    }

    #[test]
    fn an_empty_answer_is_an_answer() {
        let t = Trace::default();
        let zone = Zone::utc();
        assert!(text(&t, &crate::render::terminal::TextOptions::new(&zone)).contains("No login"));
        assert!(html(&t, &zone).contains("No login"));
        assert!(markdown(&t, &zone).contains("No login"));
        // One who is likeliest and does not fit is not accused.
        let mut t = sample();
        t.suspects[0].confidence = 0.2;
        for view in [
            text(&t, &crate::render::terminal::TextOptions::new(&zone)),
            html(&t, &zone),
            markdown(&t, &zone),
        ] {
            assert!(view.contains("No accusation"), "{view}");
        }
    }

    #[test]
    fn only_whole_quarters_are_zones() {
        assert!(!zone_hint(28_800.0).is_empty());
        assert!(!zone_hint(-19_700.0).is_empty());
        assert!(zone_hint(87.0).is_empty());
        assert!(zone_hint(28_800.0 + 400.0).is_empty());
    }
}
