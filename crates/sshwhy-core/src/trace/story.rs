//! The whole answer: verdict with reasons, suspects, one timeline of all sources, and what to do next.

use super::acts::{self, Source};
use super::deeds::{After, Deeds, Whose, right_after};
use super::evidence::{Evidence, Way};
use super::pattern::{Pattern, Verdict};
use super::rank::{Question, Ranking, Suspect, SuspectKind, odd_place, rank, starts_things};
use crate::catalog::deeds::What;
use crate::catalog::detectors::Detector;
use crate::catalog::traces;
use crate::finding::{Evidence as Proof, Finding, Kind, Severity, Step, Subjects};
use crate::render::escape::shell_word;
use crate::session::LineRef;
use crate::time::{DAY, HOUR, MINUTE, SECOND, Time, Zone, human_span};
use serde::Serialize;
use std::net::IpAddr;

/// One moment of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// UTC. Times of the source node are as its clock told them.
    pub at: Time,
    /// `target`, `container`, `log`, `audit`, `file`.
    pub what: &'static str,
    /// Where it stands.
    pub source: String,
    pub text: String,
}

/// What was read and what was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Read {
    pub log_lines: u64,
    pub containers: usize,
    pub container_logs: usize,
    /// Logs of the node itself.
    pub node_logs: usize,
    /// Lines of both.
    pub container_log_lines: u64,
    pub audit_records: u64,
    pub files: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_last: Option<Time>,
    pub skipped: Vec<crate::report::Skipped>,
    pub notes: Vec<String>,
}

/// Another source of logins that looked odd.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Other {
    pub source: String,
    pub logins: u64,
    pub failures: u64,
    pub successes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
}

/// The answer of `trace`. Its JSON form is a contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    pub verdict: Verdict,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// Address that the logins come from; `null` where the log shows none.
    pub source: Option<String>,
    pub first_event: Option<Time>,
    pub last_event: Option<Time>,
    /// Hours of the day in `zone` between which it happens; empty where it is spread over the day.
    pub window: Vec<String>,
    pub zone: String,
    /// The target's address, where it is known or was found out.
    pub target: Option<String>,
    pub target_names: Vec<String>,
    pub suspects: Vec<Suspect>,
    pub findings: Vec<Finding>,
    pub pattern: Pattern,
    pub others: Vec<Other>,
    /// Containers and programs that were weighed.
    pub weighed: usize,
    /// Logins that no suspect explains.
    pub unexplained: u64,
    pub timeline: Vec<Moment>,
    pub next: Vec<Step>,
    pub read: Read,
}

/// How many other sources are listed.
const OTHERS: usize = 8;
/// Deeds that get a sentence, and that get a line in the timeline.
const REASONS: usize = 4;
const DEEDS: usize = 40;
const MOMENTS: usize = 300;

/// Which source is asked about: the one named, or the oddest.
pub fn choose<'s>(
    sources: &'s [Source],
    named: Option<&str>,
    log: Option<(Time, Time)>,
    zone: &Zone,
) -> Option<(&'s Source, Pattern)> {
    if let Some(name) = named {
        return sources
            .iter()
            .find(|s| s.addr == name)
            .map(|s| (s, Pattern::of(s, zone)));
    }
    sources
        .iter()
        .map(|s| {
            let p = Pattern::of(s, zone);
            (p.oddness(s.public, log), s, p)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.addr.cmp(&a.1.addr)))
        .map(|(_, s, p)| (s, p))
}

/// The question that a source poses.
pub fn question(
    source: &Source,
    target_addrs: Vec<IpAddr>,
    port: u16,
    log: Option<(Time, Time)>,
    zone: &Zone,
) -> Question {
    let resolution = acts::resolution(&source.acts);
    let middle = if resolution == SECOND { SECOND / 2 } else { 0 };
    let mut events: Vec<i64> = source.acts.iter().map(|a| a.at.0 + middle).collect();
    events.sort_unstable();
    Question {
        events,
        source: source.addr.clone(),
        target_addrs,
        target_names: source.hosts.clone(),
        port,
        log,
        resolution,
        zone: zone.clone(),
    }
}

/// What the target's log said, beside the source that is asked about.
pub struct TargetLog<'a> {
    pub sources: &'a [Source],
    pub deeds: &'a Deeds,
    /// Where in it a line stands, for evidence.
    pub place: &'a dyn Fn(LineRef) -> String,
}

/// Puts everything together.
pub fn tell(
    source: &Source,
    pattern: Pattern,
    log: &TargetLog<'_>,
    q: &Question,
    e: &Evidence,
    zone: &Zone,
) -> Trace {
    let ranking = rank(q, e);
    let after = right_after(source, log.sources, log.deeds, q.log);
    let (verdict, mut reasons) = pattern.verdict();
    let mut verdict = weigh_deeds(&pattern, verdict, &after, &mut reasons);
    let told = telling(&pattern, verdict, &after);
    reasons.extend(why(&told, verdict, log));
    let convicted: Vec<&Suspect> = ranking
        .suspects
        .iter()
        .filter(|s| s.confidence > 0.5)
        .collect();
    if let Some(s) = convicted.iter().find(|s| s.suspicious) {
        reasons.push(format!(
            "{} connects with a program that lies where no program belongs",
            s.name
        ));
        verdict = Verdict::Intrusion;
    }
    let mut trace = Trace {
        verdict,
        reasons,
        source: Some(source.addr.clone()),
        first_event: pattern.first,
        last_event: pattern.last,
        window: pattern.window.clone(),
        zone: zone.name.clone(),
        target: q
            .target_addrs
            .first()
            .copied()
            .or(ranking.target)
            .map(|t| t.to_string()),
        target_names: q.target_names.clone(),
        findings: Vec::new(),
        others: others(source, log.sources),
        weighed: ranking.weighed,
        unexplained: ranking.unexplained,
        timeline: timeline(source, &pattern, q, e, &ranking, &after, log),
        next: Vec::new(),
        suspects: ranking.suspects,
        pattern,
        read: Read::default(),
    };
    trace.next = next_steps(&trace, e, &told);
    trace.findings = findings(&trace, source, &told, log);
    trace
}

/// Few guesses and one that was right may be a person; who then makes a way to come back is none.
fn weigh_deeds(
    pattern: &Pattern,
    verdict: Verdict,
    after: &[After],
    reasons: &mut Vec<String>,
) -> Verdict {
    let way_in = after.iter().any(|a| {
        a.deed.lasting
            && a.first_stay
            && a.whose != Whose::Unsaid
            && a.is_new()
            && a.tool_is_new
            && !a.is_habit()
    });
    if verdict == Verdict::Unknown && pattern.perhaps_guessed && way_in {
        reasons.clear();
        reasons.push(format!(
            "{} failures without a pause, then a success, and right after it a way to come back was made: a password was guessed",
            pattern.chain
        ));
        return Verdict::Intrusion;
    }
    verdict
}

/// Of what was done for the first time, what is worth a reason; what lasts first.
fn telling<'a>(pattern: &Pattern, verdict: Verdict, after: &'a [After]) -> Vec<&'a After> {
    let broke_in = verdict == Verdict::Intrusion;
    // A job does the same each time, with other arguments, and its first day is as new as everything it does then.
    let job = !broke_in && pattern.active_nights() >= 3;
    let mut out: Vec<&After> = after
        .iter()
        .filter(|a| {
            let sure = a.is_new() && a.whose != Whose::Unsaid && !a.is_habit();
            let first_day = pattern.first.is_some_and(|t| a.deed.at.0 - t.0 < DAY);
            broke_in || (sure && (!job || a.deed.lasting || (a.tool_is_new && !first_day)))
        })
        .collect();
    out.sort_by_key(|a| (!a.deed.lasting, a.deed.row.what == What::Session));
    out
}

/// One sentence each, and one for those that are too many. All of it is the log's word, which whoever has an account there can write.
fn why(told: &[&After], verdict: Verdict, log: &TargetLog<'_>) -> Vec<String> {
    let mut out: Vec<String> = told
        .iter()
        .take(REASONS)
        .map(|a| {
            let who = match a.user.as_str() {
                "" => "it was let in".to_owned(),
                user => format!("it was let in as {user}"),
            };
            let new = match (a.whose, a.is_new()) {
                (Whose::Unsaid, _) => "the log does not say by whom".to_owned(),
                (_, false) => format!(
                    "the log begins only {} before, too late to tell whether that is new",
                    human_span(a.history)
                ),
                (_, true) if a.nobody => "nobody had done that before in this log".to_owned(),
                (_, true) => "this user had not done that before in this log".to_owned(),
            };
            let as_root = if a.whose == Whose::AsRoot {
                ", by root, which that user had become"
            } else {
                ""
            };
            let alone = if verdict == Verdict::Intrusion {
                ""
            } else {
                " (by itself no break-in)"
            };
            format!(
                "right after, {} after {who}, the log says: {}{as_root}; {new}{alone} [{}]",
                human_span(a.since),
                a.deed.said(),
                (log.place)(a.deed.line)
            )
        })
        .collect();
    if told.len() > REASONS {
        out.push(format!(
            "{} more such deeds right after its logins: see the timeline",
            told.len() - REASONS
        ));
    }
    out
}

fn others(source: &Source, sources: &[Source]) -> Vec<Other> {
    sources
        .iter()
        .filter(|s| s.addr != source.addr && s.failures() > 0 && s.successes() > 0)
        .take(OTHERS)
        .map(|s| Other {
            source: s.addr.clone(),
            logins: s.acts.len() as u64,
            failures: s.failures(),
            successes: s.successes(),
            first: s.acts.first().map(|a| a.at),
        })
        .collect()
}

fn timeline(
    source: &Source,
    pattern: &Pattern,
    q: &Question,
    e: &Evidence,
    ranking: &Ranking,
    after: &[After],
    log: &TargetLog<'_>,
) -> Vec<Moment> {
    let place = |act: &super::Act| (log.place)(act.line);
    let mut out: Vec<Moment> = Vec::new();
    let mut add = |at: Option<Time>, what: &'static str, source: &str, text: String| {
        if let Some(at) = at
            && out.len() < MOMENTS
        {
            out.push(Moment {
                at,
                what,
                source: source.to_owned(),
                text,
            });
        }
    };
    let acts = &source.acts;
    if let Some((from, until)) = q.log {
        add(
            Some(from),
            "target",
            "",
            "the target's log begins".to_owned(),
        );
        add(
            Some(until),
            "target",
            "",
            "the target's log ends".to_owned(),
        );
    }
    if let Some(a) = acts.first() {
        add(
            Some(a.at),
            "target",
            &place(a),
            format!("first login from {}", source.addr),
        );
    }
    if let Some(a) = acts.iter().find(|a| a.ok) {
        add(Some(a.at), "target", &place(a), "first success".to_owned());
    }
    if let Some(a) = acts.last().filter(|_| acts.len() > 1) {
        add(
            Some(a.at),
            "target",
            &place(a),
            format!("last login from {}", source.addr),
        );
    }
    let mut deeds: Vec<&After> = after.iter().collect();
    deeds.sort_by_key(|a| !a.deed.lasting);
    for a in deeds.iter().take(DEEDS) {
        let whose = match (a.whose, a.user.as_str()) {
            (Whose::Named, user) => format!("{user}: "),
            (Whose::AsRoot, user) => format!("{user} as root: "),
            (Whose::Unsaid, _) => String::new(),
        };
        add(
            Some(a.deed.at),
            "target",
            &(log.place)(a.deed.line),
            format!("{whose}{}, for the first time", a.deed.said()),
        );
    }
    for night in pattern.nights.iter().take(120) {
        if night.failures + night.successes == 0 {
            continue;
        }
        let first = acts
            .iter()
            .find(|a| a.at >= night.start && a.at.0 < night.start.0 + DAY + HOUR);
        add(
            first.map(|a| a.at),
            "target",
            "",
            format!(
                "night of {}: {} failures, {} successes",
                night.date, night.failures, night.successes
            ),
        );
    }
    for s in ranking.suspects.iter().take(4) {
        let who = &s.name;
        if s.kind == SuspectKind::Container {
            add(s.created, "container", who, format!("created: {who}"));
            let code = s
                .exit_code
                .map_or(String::new(), |c| format!(" with code {c}"));
            add(s.finished, "container", who, format!("exited{code}: {who}"));
        }
        for p in s.evidence.iter().filter(|p| p.source != "containers") {
            let what = if p.source == e.audit_name {
                "audit"
            } else if p.source == "files" {
                "file"
            } else {
                "log"
            };
            add(p.at, what, &p.source, format!("{who}: {}", p.text));
        }
    }
    if let Some((from, until)) = e.audit.as_ref().and_then(|a| a.span) {
        add(
            Some(from),
            "audit",
            &e.audit_name,
            "the audit log begins".to_owned(),
        );
        add(
            Some(until),
            "audit",
            &e.audit_name,
            "the audit log ends".to_owned(),
        );
    }
    if let (Some(first), Some(last)) = (q.events.first(), q.events.last()) {
        let notable = |f: &&super::evidence::FileTime| {
            f.mtime.0 > first - 2 * DAY
                && f.mtime.0 < last + DAY
                && (starts_things(&f.path) || odd_place(&f.path) || f.path.contains("/tmp/."))
        };
        for f in e.files.iter().filter(notable).take(60) {
            add(
                Some(f.mtime),
                "file",
                "files",
                format!("written: {}", f.path),
            );
        }
    }
    out.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.text.cmp(&b.text)));
    out.dedup();
    out
}

/// Where there is more about somebody who is no program that a schedule would start.
fn where_to_look(s: &Suspect) -> Option<(&'static str, String)> {
    match s.way {
        Way::Program => None,
        Way::Typed => shell_word(&s.command).map(|line| {
            (
                "See whether the shell that runs it is still there, perhaps in a tmux or a screen, and ask whose it is.",
                format!("ps -eo pid,ppid,user,lstart,tty,args | grep -F -e {line}; loginctl list-sessions"),
            )
        }),
        Way::Visitor => shell_word(&s.name).map(|who| {
            (
                "See with which key they came in to this node before each login, and what they did then.",
                format!("grep -hs Accepted /var/log/auth.log* /var/log/secure* | grep -F -e {who}; last -i"),
            )
        }),
        Way::Address => {
            let ip = s.name.split(' ').next().and_then(shell_word)?;
            Some((
                "Find who has this address behind the node.",
                format!("ip neigh | grep -wF {ip}; docker network inspect $(docker network ls -q) | grep -B 8 -F {ip}; kubectl get pods --all-namespaces -o wide | grep -wF {ip}"),
            ))
        }
    }
}

fn step(action: &str, command: Option<String>, place: &'static str, risk: &'static str) -> Step {
    Step {
        action: action.to_owned(),
        command,
        place,
        risk,
        undo: None,
    }
}

/// How to record the next night; the zone is said, since the node's may be another one.
fn arm(t: &Trace) -> String {
    let target = t
        .target
        .as_deref()
        .and_then(shell_word)
        .unwrap_or("ADDR".into());
    let hours = match (t.window.as_slice(), shell_word(&t.zone)) {
        ([from, until], Some(zone)) => format!(" --window {from}-{until} --tz {zone}"),
        _ => String::new(),
    };
    format!("sshwhy trace arm {target}{hours} --apply")
}

fn next_steps(t: &Trace, e: &Evidence, told: &[&After]) -> Vec<Step> {
    let mut out = Vec::new();
    let certain: Vec<&Suspect> = t.suspects.iter().filter(|s| s.confidence > 0.5).collect();
    if certain.is_empty() {
        if e.containers.is_empty() {
            out.push(step(
                "Collect what the source node knows: no containers are in the evidence.",
                Some("sshwhy trace collect".to_owned()),
                "client",
                "none",
            ));
        }
        let mut record = step(
            "Record who connects in the coming night: nobody in the evidence fits the logins.",
            Some(arm(t)),
            "client",
            "a record for each connection and each program that starts: watch the size of audit.log",
        );
        record.undo = Some("sshwhy trace disarm".to_owned());
        out.push(record);
        if e.audit.is_none() {
            out.push(step(
                "Ask the runtime and the cluster for containers that were removed since: events, and the logs that were shipped elsewhere.",
                Some("kubectl get events --all-namespaces --sort-by=.lastTimestamp".to_owned()),
                "client",
                "none",
            ));
        }
    }
    for s in certain.iter().take(3) {
        match (s.kind, s.container.as_deref().and_then(shell_word)) {
            (SuspectKind::Container, Some(id)) if s.created.is_none() && s.finished.is_none() => {
                out.push(step(
                    "The container is gone. Look for what is left of it: who made it, from which image, and logs that were shipped elsewhere.",
                    Some(format!(
                        "journalctl --no-pager | grep -F {id}; grep -rlF {id} /var/log /etc/kubernetes"
                    )),
                    "client",
                    "none",
                ));
            }
            (SuspectKind::Container, Some(id)) => {
                out.push(step(
                    "Keep the container and its log before anything else: removing it removes the evidence.",
                    Some(if s.pod.is_empty() {
                        format!("docker inspect {id} > inspect.json; docker logs --timestamps {id} > log.txt 2>&1; docker export {id} > container.tar")
                    } else {
                        format!("crictl inspect {id} > inspect.json; crictl logs --timestamps {id} > log.txt 2>&1")
                    }),
                    "client",
                    "none",
                ));
            }
            _ => {
                if let Some((text, command)) = where_to_look(s) {
                    out.push(step(text, Some(command), "client", "none"));
                } else if let Some(word) = shell_word(&s.name).filter(|n| !n.is_empty()) {
                    out.push(step(
                        "Find what starts it.",
                        Some(format!(
                            "grep -rns -e {word} /etc/cron* /var/spool/cron /etc/systemd/system; systemctl list-timers --all"
                        )),
                        "client",
                        "none",
                    ));
                }
            }
        }
    }
    match t.verdict {
        Verdict::Intrusion => {
            out.push(step(
                "Take the source node off the network without switching it off, and keep its memory and disks.",
                None,
                "client",
                "everything that runs on the node loses its network",
            ));
            for user in t.pattern.users.iter().take(3) {
                if let Some(user) = shell_word(user) {
                    out.push(step(
                        "Lock the account that was entered, and look at what it did.",
                        Some(format!("passwd -l {user}; last {user}; find / -xdev -user {user} -newermt '{}'", t.first_event.map_or(String::new(), |t| t.to_string()))),
                        "server",
                        "nobody logs in with this password; keys still work",
                    ));
                }
            }
            let made = |a: &&&After| a.deed.row.slug == "account-made";
            for a in told.iter().filter(made).take(3) {
                if let Some(name) = shell_word(&a.deed.what) {
                    out.push(step(
                        "Look at the account that was made right after it got in.",
                        Some(format!("id -- {name}; last -- {name}; getent passwd -- {name}")),
                        "server",
                        "none",
                    ));
                }
            }
        }
        Verdict::MisconfiguredAutomation => out.push(step(
            "Ask the owner of the job for its inventory and credentials: it logs in where it should not, or with what is no longer valid.",
            None,
            "client",
            "none",
        )),
        Verdict::Unknown => {}
    }
    out
}

/// The row of the catalogue; a test holds each slug to it.
fn row(slug: &str) -> &'static Detector {
    traces::by_slug(slug).unwrap_or(&MISSING)
}

const MISSING: Detector = Detector {
    id: "",
    slug: "",
    title: "",
    severity: Severity::Informational,
    hostile: false,
    what: "",
    thresholds: &[],
    remedy: &[],
    refs: &[],
};

/// One finding for the pattern, and one for who made it (or that nobody fits).
fn findings(t: &Trace, source: &Source, told: &[&After], log: &TargetLog<'_>) -> Vec<Finding> {
    let mut evidence: Vec<Proof> = Vec::new();
    for act in source
        .acts
        .iter()
        .take(3)
        .chain(source.acts.iter().rev().take(1))
    {
        evidence.push(Proof {
            source: (log.place)(act.line),
            at: Some(act.at),
            text: format!(
                "{} from {}",
                if act.ok {
                    "accepted login"
                } else {
                    "failed login"
                },
                source.addr
            ),
        });
    }
    evidence.dedup();
    for a in told.iter().take(2 * REASONS) {
        evidence.push(Proof {
            source: (log.place)(a.deed.line),
            at: Some(a.deed.at),
            text: a.deed.said(),
        });
    }
    let subjects = |containers: Vec<String>| Subjects {
        addrs: vec![source.addr.clone()],
        users: t.pattern.users.clone(),
        hosts: t.target_names.clone(),
        files: Vec::new(),
        containers,
    };
    let base = |row: &'static Detector, confidence, headline: String| Finding {
        id: row.id,
        slug: row.slug,
        cause: None,
        kind: Kind::Detection,
        severity: row.severity,
        confidence,
        hostile: t.verdict == Verdict::Intrusion,
        headline,
        subjects: subjects(Vec::new()),
        first: t.first_event,
        last: t.last_event,
        count: t.pattern.logins,
        evidence: Vec::new(),
        notes: t.reasons.clone(),
        remedy: Vec::new(),
        refs: row.refs.to_vec(),
    };
    let span = match (t.first_event, t.last_event) {
        (Some(a), Some(b)) => human_span((b.0 - a.0).max(MINUTE)),
        _ => String::new(),
    };
    let mut pattern = match t.verdict {
        Verdict::Intrusion => {
            let strong = told.iter().find(|a| a.deed.lasting && a.is_new());
            base(
                row("trace-intrusion"),
                match (strong, t.pattern.verdict().0) {
                    (Some(_), Verdict::Intrusion) => 0.95,
                    // Few failures, and the log's word for a deed, which is easier to forge than hundreds of them.
                    (Some(_), _) if !t.suspects.iter().any(|s| s.suspicious) => 0.7,
                    _ => 0.9,
                },
                format!(
                    "{} broke in: {} failed logins within {span}, then a success{}",
                    source.addr,
                    t.pattern.failures,
                    strong.map_or(String::new(), |a| format!(
                        ", and right after it {}",
                        a.deed.said()
                    ))
                ),
            )
        }
        Verdict::MisconfiguredAutomation => base(
            row("trace-automation"),
            0.9,
            format!(
                "{} logs in by itself on {} days{}: {} failures, {} successes",
                source.addr,
                t.pattern.active_nights(),
                match t.window.as_slice() {
                    [a, b] => format!(" between {a} and {b}"),
                    _ => String::new(),
                },
                t.pattern.failures,
                t.pattern.successes
            ),
        ),
        Verdict::Unknown => base(
            row("trace-unclear"),
            0.5,
            format!(
                "{} tried {} logins within {span}",
                source.addr, t.pattern.logins
            ),
        ),
    };
    pattern.evidence = evidence;
    let mut out = vec![pattern];
    let mut named = false;
    for s in t.suspects.iter().filter(|s| s.confidence > 0.5).take(5) {
        named = true;
        let mut f = base(
            row("trace-culprit"),
            s.confidence,
            match s.kind {
                SuspectKind::Container => format!("the container {} made these logins", s.name),
                SuspectKind::HostProcess => {
                    format!("{} on the node itself made these logins", s.name)
                }
            },
        );
        f.subjects = subjects(s.container.iter().cloned().collect());
        f.evidence = s.evidence.clone();
        f.count = s.explains;
        f.notes = Vec::new();
        out.push(f);
    }
    if !named {
        let mut f = base(
            row("trace-nobody"),
            0.7,
            format!(
                "nothing in the evidence fits these logins: {} candidates were weighed",
                t.weighed
            ),
        );
        f.notes = vec![
            "whatever did it left no trace in what was collected, or was removed before".to_owned(),
        ];
        f.remedy = t.next.clone();
        out.push(f);
    } else if let Some(f) = out.first_mut() {
        f.remedy = t.next.clone();
    }
    out
}
