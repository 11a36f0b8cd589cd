//! Joins what all lines of a paste lean towards into one ranking of causes.
//!
//! In this order:
//! 1. `ssh -v` and ssh's own errors become observations, and [`crate::diagnose`] judges them; what it knows, stands;
//! 2. each other message brings the causes that are usually behind it. Gates that the attempt has passed, and gates it never
//!    reached, hold no cause of its end;
//! 3. the lines of one connection in the server's log are read together: one that names a reason silences those that only
//!    say that it ended;
//! 4. where one cause is known, the others keep what it leaves them; a symptom comes first only where none is known.

use super::reading::{Reading, Said, ServerLine};
use super::round;
use super::scene::Scene;
use crate::catalog::causes::{self, Cause, Gate};
use crate::catalog::client_messages::Program;
use crate::catalog::messages::Outcome;
use crate::diagnose::{self, Case};
use crate::finding::{Evidence, Finding, Kind, Subjects};
use crate::probe::sshlog;
use crate::transcript::Hit;
use std::collections::{BTreeMap, BTreeSet};

/// A root cause is known from here on.
const KNOWN: f64 = 0.5;
/// A line that alone says this much has said why.
const DECIDES: f64 = 0.7;
/// Nothing is surer than this: it is read from text alone.
const SUREST: f64 = 0.97;
/// Not worth a reader's time below.
const LEAST: f64 = 0.03;
/// A cause at a gate that was passed, or not reached, keeps this share.
const WRONG_GATE: f64 = 0.1;
const MOST_FINDINGS: usize = 6;
const MOST_EVIDENCE: usize = 8;
/// How many lines the diagnosis reads, and how many of them may be the same message: a loop that tries again and again says
/// nothing new.
const MOST_DIAGNOSED: usize = 2_000;
const MOST_SAME: usize = 20;

pub struct Weighed {
    pub findings: Vec<Finding>,
    /// What each finding is about, in the same order: a file, an address; empty where the lines name none.
    pub abouts: Vec<String>,
    /// The causes of a message, where its text or the lines around it say more than its wording: by the message's slug.
    pub told: BTreeMap<&'static str, Vec<(&'static str, f32)>>,
    pub case: Case,
    pub notes: Vec<String>,
}

/// One line's (or the diagnosis') word for a cause.
struct Word {
    cause: &'static Cause,
    weight: f64,
    /// Distinct per source: the same message twice is no second witness.
    from: &'static str,
    /// Indexes into the readings.
    lines: Vec<usize>,
    notes: Vec<String>,
    about: String,
    /// The file that the lines name, for the commands.
    file: Option<String>,
    /// It tells again what other lines told: the server writes one failure into several lines, and the diagnosis has read
    /// the client's.
    same_witness: bool,
}

pub fn weigh(readings: &[Reading<'_>]) -> Weighed {
    let case = case(readings);
    let mut told = BTreeMap::new();
    let mut words = client_words(readings, &case, &mut told);
    words.extend(diagnosed(readings, &case));
    words.extend(server_words(readings));
    let mut pool = pool(words);
    settle(&mut pool);
    let mut notes = Vec::new();
    let abouts = pool.iter().map(|joined| joined.file.clone()).collect();
    let findings = findings(readings, &case, pool);
    let any_known = readings
        .iter()
        .any(|r| matches!(r.said, Said::Client(_) | Said::Server(_)));
    match findings.first() {
        None if readings.iter().any(reports_a_failure) => notes.push(
            "What these lines report is no fault of the way to a shell that is known here: what each means stands below."
                .to_owned(),
        ),
        None if any_known => notes.push(
            "Nothing in these lines is a fault by itself: what went wrong stands in other lines, or nothing did.".to_owned(),
        ),
        Some(first) if causes::by_slug(first.slug).is_some_and(|c| c.is_symptom) => notes.push(
            "From these lines alone it cannot be known why; the server's log of the same moment says more.".to_owned(),
        ),
        _ => {}
    }
    Weighed {
        findings,
        abouts,
        told,
        case,
        notes,
    }
}

/// Whether a line says that something did not work, whatever is behind it.
fn reports_a_failure(reading: &Reading<'_>) -> bool {
    match &reading.said {
        Said::Client(hits) => hits.iter().any(|hit| hit.message.failed_at.is_some()),
        Said::Server(line) => !matches!(
            line.message.outcome,
            Outcome::Info | Outcome::Success | Outcome::Probe | Outcome::Disconnect
        ),
        Said::Command(_) | Said::Nothing | Said::Unknown => false,
    }
}

// ---- who and where

/// What the lines say about whom it is about. Where they name two, it stays open.
fn case(readings: &[Reading<'_>]) -> Case {
    let mut users = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    let mut addrs = BTreeSet::new();
    let mut clients = BTreeSet::new();
    let mut ports = BTreeSet::new();
    let mut typed = None;
    for reading in readings {
        match &reading.said {
            Said::Command(command) => typed = Some(command),
            Said::Client(hits) => {
                for hit in hits {
                    users.extend(hit.user().map(str::to_owned));
                    // known_hosts writes a host with another port as `[web1]:2222`.
                    let (host, port) = hit.host().map_or((None, None), bracketed);
                    ports.extend(port);
                    // `Connection to 192.0.2.10 closed`: a host slot may hold an address.
                    match host.map(|h| (h, h.parse::<std::net::IpAddr>())) {
                        Some((host, Err(_))) => {
                            hosts.insert(host.to_owned());
                        }
                        Some((host, Ok(_))) => {
                            addrs.insert(host.to_owned());
                        }
                        None => {}
                    }
                    // A ban tool, a packet filter and a device name the client.
                    let about_client = matches!(
                        hit.message.program,
                        Program::Fail2ban | Program::Sshguard | Program::Kernel | Program::Device
                    );
                    let side = if about_client {
                        &mut clients
                    } else {
                        &mut addrs
                    };
                    side.extend(hit.ip().map(str::to_owned));
                    ports.extend(hit.port().filter(|p| *p > 0 && *p < 65_535));
                    if let Some((addr, port)) = target(hit) {
                        addrs.insert(addr);
                        ports.insert(port);
                    }
                }
            }
            Said::Server(line) => {
                if line.user.as_deref().is_some_and(|u| u.len() <= 64) {
                    users.extend(line.user.clone());
                }
                clients.extend(line.addr.clone());
            }
            Said::Nothing | Said::Unknown => {}
        }
    }
    let mut case = Case {
        user: only(users),
        host: only(hosts),
        port: only(ports),
        addr: only(addrs),
        client_addr: only(clients),
    };
    if let Some(command) = typed {
        case.user = case.user.or_else(|| command.user.clone());
        case.host = Some(command.host.clone())
            .filter(|h| !h.is_empty())
            .or(case.host);
        case.port = case.port.or(command.port);
    }
    case
}

/// `[web1]:2222` in its parts; anything else is a host.
fn bracketed(host: &str) -> (Option<&str>, Option<u16>) {
    let parts = host
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
        .and_then(|(name, port)| Some((name, port.parse().ok()?)));
    match parts {
        Some((name, port)) => (Some(name), Some(port)),
        None => (Some(host), None),
    }
}

fn only<T: Ord>(mut set: BTreeSet<T>) -> Option<T> {
    if set.len() == 1 {
        set.pop_first()
    } else {
        None
    }
}

/// `dial tcp 192.0.2.10:22: …`: Go's messages hold the address in their text.
fn target(hit: &Hit<'_>) -> Option<(String, u16)> {
    if hit.message.program != Program::Go {
        return None;
    }
    let socket: std::net::SocketAddr = hit.text()?.parse().ok()?;
    Some((socket.ip().to_string(), socket.port()))
}

// ---- the client's side

fn client_words(
    readings: &[Reading<'_>],
    case: &Case,
    told: &mut BTreeMap<&'static str, Vec<(&'static str, f32)>>,
) -> Vec<Word> {
    let hits: Vec<(usize, &Hit<'_>)> = readings
        .iter()
        .enumerate()
        .filter_map(|(i, r)| match &r.said {
            Said::Client(hits) => Some(hits.iter().map(move |h| (i, h))),
            _ => None,
        })
        .flatten()
        .collect();
    let scene = Scene {
        case,
        command: readings.iter().find_map(|r| match &r.said {
            Said::Command(command) => Some(command),
            _ => None,
        }),
        slugs: hits.iter().map(|(_, h)| h.message.slug).collect(),
        last: hits.last().map_or("", |(_, h)| h.message.slug),
    };
    let saw = |slug: &str| scene.saw(slug);
    // Through a proxy the lines are of two connections, and their gates say nothing about each other.
    let proxied = [
        "client-closed-by-unknown",
        "trace-proxy",
        "client-proxy-failed",
        "tunnel-refused",
        "proxy-program-missing",
        "ssm-refused",
        "iap-refused",
    ]
    .into_iter()
    .any(saw);
    let gates = if proxied {
        (None, None)
    } else {
        (
            hits.iter().filter_map(|(_, h)| h.message.passed).max(),
            hits.iter()
                .filter_map(|(_, h)| h.message.failed_at)
                .next_back(),
        )
    };
    let mut seen = BTreeMap::<&'static str, Vec<usize>>::new();
    for (i, hit) in &hits {
        seen.entry(hit.message.slug).or_default().push(*i);
    }
    let mut files = BTreeMap::<&'static str, Option<String>>::new();
    for (_, hit) in &hits {
        let file = match hit.message.slug {
            "remote-command-not-found" => super::scene::missing_program(hit.body),
            _ => hit.text().and_then(path_of),
        };
        let known = files
            .entry(hit.message.slug)
            .or_insert_with(|| file.clone());
        // Where the lines name two, the reader has to choose.
        if file.is_some() && *known != file {
            *known = None;
        }
    }
    let mut words = Vec::new();
    let mut done = BTreeSet::new();
    for (_, hit) in &hits {
        let row = hit.message;
        if !done.insert(row.slug) {
            continue;
        }
        let lines = seen.get(row.slug).cloned().unwrap_or_default();
        // What the server's own programs say, they say from inside: no gate speaks against it.
        let gates = match row.program {
            Program::Remote => (None, None),
            _ => gates,
        };
        // A box of several lines is one message: the line that names the file, or the kind, speaks for it.
        let telling = hits
            .iter()
            .map(|(_, other)| *other)
            .find(|other| other.message.slug == row.slug && scene.told(other).is_some())
            .unwrap_or(hit);
        let behind = scene.behind(telling);
        if behind
            .iter()
            .map(|(slug, _)| *slug)
            .ne(row.causes.iter().map(|(slug, _)| *slug))
        {
            let causes = behind.iter().map(|(slug, weight)| (*slug, *weight as f32));
            told.insert(row.slug, causes.collect());
        }
        for (slug, weight) in behind {
            let Some(cause) = causes::by_slug(slug) else {
                continue;
            };
            words.push(Word {
                cause,
                weight: weight * gate_share(cause, gates),
                from: row.slug,
                lines: lines.clone(),
                notes: (!row.tells_apart.is_empty())
                    .then(|| row.tells_apart.to_owned())
                    .into_iter()
                    .collect(),
                about: String::new(),
                file: files.get(row.slug).cloned().flatten(),
                same_witness: false,
            });
        }
    }
    words
}

/// The file that a message's text names: `/home/build/.ssh/known_hosts:12`. A text with blanks in it is no path.
fn path_of(text: &str) -> Option<String> {
    let file = text.split(':').next().unwrap_or_default();
    (file.starts_with('/') && file.len() > 1 && !file.contains(char::is_whitespace))
        .then(|| file.to_owned())
}

/// What the gates leave of a cause. Symptoms say where it ended, and stay.
fn gate_share(cause: &Cause, (passed, failed): (Option<Gate>, Option<Gate>)) -> f64 {
    let before = passed.is_some_and(|passed| cause.gate <= passed);
    let beyond = failed.is_some_and(|failed| cause.gate > failed);
    if (before || beyond) && !cause.is_symptom {
        WRONG_GATE
    } else {
        1.0
    }
}

/// ssh's own text as the diagnosis sees it.
fn diagnosed(readings: &[Reading<'_>], case: &Case) -> Vec<Word> {
    let mut text = String::new();
    let mut numbers = Vec::new();
    let mut command = None;
    let mut ssh = 0usize;
    let mut same = BTreeMap::<&'static str, usize>::new();
    for (i, reading) in readings.iter().enumerate() {
        if numbers.len() >= MOST_DIAGNOSED {
            break;
        }
        let line = match &reading.said {
            Said::Command(typed) => {
                command = Some(typed);
                continue;
            }
            Said::Server(_) => continue,
            Said::Nothing | Said::Unknown => reading.text,
            Said::Client(hits) => {
                let Some(hit) = hits.last() else { continue };
                let times = same.entry(hit.message.slug).or_default();
                *times += 1;
                if *times > MOST_SAME {
                    continue;
                }
                match hit.message.program {
                    Program::OpenSsh | Program::Scp | Program::Sftp | Program::Remote => ssh += 1,
                    Program::Git | Program::Rsync => {}
                    _ => continue,
                }
                let own = ["debug1: ", "debug2: ", "debug3: ", "scp: ", "sftp: "];
                if own.iter().any(|p| reading.text.starts_with(p)) {
                    reading.text
                } else {
                    hit.body
                }
            }
        };
        text.push_str(line);
        text.push('\n');
        numbers.push(i);
    }
    if ssh < 2 {
        return Vec::new();
    }
    let observations = sshlog::read(&text, command);
    diagnose::diagnose(case, &observations)
        .findings
        .into_iter()
        .filter_map(|finding| {
            let cause = causes::by_slug(finding.slug)?;
            let lines = finding
                .evidence
                .iter()
                .filter_map(|e| e.source.rsplit(' ').next()?.parse::<usize>().ok())
                .filter_map(|n| numbers.get(n.checked_sub(1)?).copied())
                .collect();
            let about = finding
                .headline
                .strip_prefix(cause.title)
                .and_then(|rest| rest.strip_prefix(": "))
                .unwrap_or_default()
                .to_owned();
            Some(Word {
                cause,
                weight: finding.confidence,
                from: "diagnosis",
                lines,
                notes: Vec::new(),
                file: path_of(&about),
                about,
                same_witness: true,
            })
        })
        .collect()
}

// ---- the server's side

fn server_words(readings: &[Reading<'_>]) -> Vec<Word> {
    let lines: Vec<(usize, &ServerLine)> = readings
        .iter()
        .enumerate()
        .filter_map(|(i, r)| match &r.said {
            Said::Server(line) => Some((i, line)),
            _ => None,
        })
        .collect();
    // The listener's own lines, and lines without a pid, are about no single connection.
    let alone = |line: &ServerLine| line.pid.is_none() || line.message.slug == "server-listening";
    let mut connections = BTreeMap::<Option<u32>, Vec<(usize, &ServerLine)>>::new();
    for (i, line) in &lines {
        let key = if alone(line) { None } else { line.pid };
        connections.entry(key).or_default().push((*i, *line));
    }
    let served = connections.keys().any(Option::is_some);
    let mut words: Vec<Word> = Vec::new();
    for (pid, lines) in connections {
        let said: Vec<(usize, &ServerLine, Vec<(&'static str, f32)>)> = lines
            .into_iter()
            .map(|(i, line)| (i, line, line.behind()))
            .collect();
        let decided = said
            .iter()
            .flat_map(|(_, _, causes)| causes)
            .map(|(_, weight)| f64::from(*weight))
            .fold(0.0, f64::max)
            >= DECIDES;
        let let_in = said
            .iter()
            .any(|(_, line, _)| line.message.outcome == Outcome::Success);
        let told = said
            .iter()
            .any(|(_, line, causes)| !causes.is_empty() && !is_farewell(line));
        let bind_told = said
            .iter()
            .any(|(_, line, causes)| line.message.slug.starts_with("bind-") && !causes.is_empty());
        for (i, line, causes) in said {
            // That it ended says something only where nothing else does.
            if told && pid.is_some() && is_farewell(line) {
                continue;
            }
            // Why it could not is what the line before says.
            if line.message.slug == "cannot-bind-any" && bind_told {
                continue;
            }
            // Connections come in: it listens where it should.
            if line.message.slug == "server-listening" && served {
                continue;
            }
            for (slug, weight) in causes {
                let weight = f64::from(weight);
                let Some(cause) = causes::by_slug(slug) else {
                    continue;
                };
                if pid.is_some() && decided && weight < DECIDES {
                    continue;
                }
                // A failed attempt before one that worked was a slip, not a fault.
                let failure = line.message.outcome == Outcome::AuthFailure;
                if let_in && weight < DECIDES && (failure || cause.gate <= Gate::Auth) {
                    continue;
                }
                match words
                    .iter_mut()
                    .find(|w| w.cause.slug == slug && w.from == line.message.slug)
                {
                    Some(word) => word.lines.push(i),
                    None => words.push(Word {
                        cause,
                        weight,
                        from: line.message.slug,
                        lines: vec![i],
                        notes: Vec::new(),
                        about: String::new(),
                        file: line.file.as_deref().and_then(path_of),
                        same_witness: true,
                    }),
                }
            }
        }
    }
    words
}

/// A line that says no more than that a connection is over.
fn is_farewell(line: &ServerLine) -> bool {
    [
        "connection-closed",
        "connection-reset",
        "disconnected",
        "received-disconnect",
    ]
    .iter()
    .any(|prefix| line.message.slug.starts_with(prefix))
}

// ---- together

struct Joined {
    cause: &'static Cause,
    confidence: f64,
    /// The surest single word.
    surest: f64,
    lines: BTreeSet<usize>,
    notes: Vec<String>,
    about: String,
    file: String,
}

/// Words for the same cause, joined: independent witnesses make it surer, the diagnosis stands for itself.
fn pool(words: Vec<Word>) -> Vec<Joined> {
    let mut pool = BTreeMap::<&'static str, Joined>::new();
    for word in words {
        let joined = pool.entry(word.cause.slug).or_insert_with(|| Joined {
            cause: word.cause,
            confidence: 0.0,
            surest: 0.0,
            lines: BTreeSet::new(),
            notes: Vec::new(),
            about: String::new(),
            file: String::new(),
        });
        joined.confidence = if word.same_witness || word.cause.is_symptom {
            joined.confidence.max(word.weight)
        } else {
            1.0 - (1.0 - joined.confidence) * (1.0 - word.weight)
        };
        joined.surest = joined.surest.max(word.weight);
        joined.lines.extend(word.lines);
        for note in word.notes {
            if !joined.notes.contains(&note) {
                joined.notes.push(note);
            }
        }
        if joined.about.is_empty() {
            joined.about = word.about;
        }
        if joined.file.is_empty() {
            joined.file = word.file.unwrap_or_default();
        }
    }
    pool.into_values().collect()
}

/// Ranks, and lets what is known take from what is not.
fn settle(pool: &mut Vec<Joined>) {
    let best = pool
        .iter()
        .filter(|j| !j.cause.is_symptom)
        .map(|j| j.confidence)
        .fold(0.0, f64::max);
    if best >= KNOWN {
        pool.retain(|j| !j.cause.is_symptom);
        // Causes that a line of their own names are true beside it; the others share what is left.
        let own = |j: &Joined| j.surest >= DECIDES || j.confidence >= best;
        let rest: f64 = pool.iter().filter(|j| !own(j)).map(|j| j.confidence).sum();
        let share = if rest > 0.0 {
            ((1.0 - best) / rest).min(1.0)
        } else {
            1.0
        };
        for joined in pool
            .iter_mut()
            .filter(|j| j.surest < DECIDES && j.confidence < best)
        {
            joined.confidence *= share;
        }
    } else {
        // One symptom: the one seen most clearly, and of those the one that shows furthest on the way.
        let shown = pool
            .iter()
            .filter(|j| j.cause.is_symptom && j.confidence >= best)
            .max_by(|a, b| {
                a.confidence
                    .total_cmp(&b.confidence)
                    .then(a.cause.gate.cmp(&b.cause.gate))
                    .then(b.cause.id.cmp(a.cause.id))
            })
            .map(|j| j.cause.slug);
        pool.retain(|j| !j.cause.is_symptom || Some(j.cause.slug) == shown);
    }
    for joined in pool.iter_mut() {
        let cap = if joined.cause.is_symptom {
            KNOWN - 0.01
        } else {
            SUREST
        };
        joined.confidence = joined.confidence.min(cap);
    }
    pool.retain(|j| j.confidence >= LEAST);
    pool.sort_by(|a, b| {
        b.cause
            .is_symptom
            .cmp(&a.cause.is_symptom)
            .then(b.confidence.total_cmp(&a.confidence))
            .then(a.cause.gate.cmp(&b.cause.gate))
            .then(a.cause.id.cmp(b.cause.id))
    });
    pool.truncate(MOST_FINDINGS);
}

fn findings(readings: &[Reading<'_>], case: &Case, pool: Vec<Joined>) -> Vec<Finding> {
    let mut out: Vec<Finding> = pool
        .iter()
        .map(|joined| {
            let cause = joined.cause;
            let evidence: Vec<Evidence> = joined
                .lines
                .iter()
                .filter_map(|i| readings.get(*i))
                .take(MOST_EVIDENCE)
                .map(|reading| Evidence {
                    source: format!("line {}", reading.number),
                    at: None,
                    text: reading.text.to_owned(),
                })
                .collect();
            let mut subjects = Subjects::default();
            subjects.users.extend(case.user.clone());
            subjects.hosts.extend(case.host.clone());
            subjects.addrs.extend(case.addr.clone());
            subjects.addrs.extend(case.client_addr.clone());
            let file = joined.about.split(':').next().unwrap_or_default();
            if file.starts_with(['/', '~']) {
                subjects.files.push(file.to_owned());
            } else if joined.file.starts_with('/') {
                subjects.files.push(joined.file.clone());
            }
            Finding {
                id: cause.id,
                slug: cause.slug,
                cause: Some(cause.slug),
                kind: Kind::Cause,
                severity: cause.severity,
                confidence: round(joined.confidence),
                hostile: false,
                headline: if joined.about.is_empty() || joined.about.len() > 120 {
                    cause.title.to_owned()
                } else {
                    format!("{}: {}", cause.title, joined.about)
                },
                subjects,
                first: None,
                last: None,
                count: joined.lines.len().max(1) as u64,
                evidence,
                notes: joined.notes.clone(),
                remedy: super::steps(cause.remedy, case, &joined.file),
                refs: cause.refs.to_vec(),
            }
        })
        .collect();
    if let [first, second, ..] = out.as_mut_slice()
        && first.confidence - second.confidence < 0.15
        && second.confidence >= 0.3
        && !causes::by_slug(first.slug).is_some_and(|c| c.is_symptom)
    {
        first
            .notes
            .push(format!("Almost as likely: {}", second.slug));
    }
    out
}
