//! From observations to causes: which rules hold, which causes are left, how sure, and what to do next.
//!
//! Nothing here looks at the world, and no gatherer judges: whoever saw the facts, they meet here, so a cause that was
//! proven from two sides is one finding with two pieces of evidence. In this order:
//!
//! 1. every rule of [`crate::catalog::rules`] whose needs were seen and which nothing rules out; a cause keeps its best
//!    rule, and the evidence of all of them;
//! 2. a cause at a gate that the client has passed is out, unless it may come and go;
//! 3. a symptom steps back behind a root cause that explains it, and leaves its evidence there;
//! 4. what the client did not reach yet comes after what stopped it, and of what is certain the first on the way comes first.

use crate::catalog::causes::{self, Cause, Gate};
use crate::catalog::rules::{self, About, Is, Rule, Test};
use crate::finding::{Evidence, Finding, Kind, Step, Subjects};
use crate::observation::Observation;
use crate::render::escape::shell_word;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A root cause is known from here on.
const KNOWN: f64 = 0.5;
/// As good as proven: which of two is more so says nothing.
const CERTAIN: f64 = 0.9;
/// Nothing is surer than this.
const SUREST: f64 = 0.99;
/// How many pieces of evidence a finding shows.
const MOST_EVIDENCE: usize = 12;

/// Who wants to get in where: what fills the placeholders of remedies. What is not known stays a placeholder; the
/// client's observations (`target.user`, …) fill in what the caller leaves out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Case {
    pub user: Option<String>,
    /// The server, as the client calls it.
    pub host: Option<String>,
    pub port: Option<u16>,
    /// The server's address.
    pub addr: Option<String>,
    /// The client's address as the server sees it.
    pub client_addr: Option<String>,
}

/// One gate, and what was seen there: for a reader who is told that nothing is wrong, and for the column of gates.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Look {
    pub gate: &'static str,
    pub state: State,
    /// How many observations stand there.
    pub observations: usize,
    /// The longest of them, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Passed,
    Failed,
    /// Nobody got there, or nobody looked.
    NotReached,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Diagnosis {
    /// Best first. Empty where nothing is wrong, or nothing is known: `looks` tells which.
    pub findings: Vec<Finding>,
    /// Every gate, first to last.
    pub looks: Vec<Look>,
}

impl Diagnosis {
    /// The gate at which the client was stopped.
    pub fn stopped_at(&self) -> Option<&Look> {
        self.looks.iter().find(|l| l.state == State::Failed)
    }
}

/// A cause that is left, with the observations that speak for it.
struct Candidate<'a> {
    cause: &'static Cause,
    confidence: f64,
    rule: &'static Rule,
    evidence: Vec<&'a Observation>,
    about: String,
}

/// Judges. The observations may come from any number of gatherers, in any order.
pub fn diagnose(case: &Case, observations: &[Observation]) -> Diagnosis {
    let case = complete(case, observations);
    let looks = looks(observations);
    let passed = |gate: Gate| {
        looks
            .iter()
            .any(|l| l.gate == gate.name() && l.state == State::Passed)
    };
    let stop = Gate::ALL.into_iter().find(|g| {
        looks
            .iter()
            .any(|l| l.gate == g.name() && l.state == State::Failed)
    });

    let mut left: BTreeMap<&'static str, Candidate<'_>> = BTreeMap::new();
    // Nobody who failed is told that nothing is wrong: what only says so comes where nothing says more.
    let (more, alone): (Vec<&Rule>, Vec<&Rule>) = rules::all().partition(|r| !r.alone);
    for rule in more.into_iter().chain(alone) {
        if rule.alone && left.values().any(|c| !c.rule.alone) {
            break;
        }
        let Some(cause) = causes::by_slug(rule.cause) else {
            continue;
        };
        if passed(rule.at.unwrap_or(cause.gate)) && !rule.despite {
            continue;
        }
        let Some((confidence, evidence)) = weigh(rule, observations) else {
            continue;
        };
        let about = evidence.first().map(|o| o.about.clone());
        let candidate = Candidate {
            cause,
            confidence,
            rule,
            evidence,
            about: about.unwrap_or_default(),
        };
        match left.get_mut(cause.slug) {
            Some(known) => known.join(candidate),
            None => {
                left.insert(cause.slug, candidate);
            }
        }
    }

    let mut left: Vec<Candidate<'_>> = left.into_values().collect();
    let certain = |c: &Candidate<'_>| c.confidence >= CERTAIN;
    let later = |c: &Candidate<'_>| stop.is_some_and(|stop| is_later(c.gate(), stop));
    // Where the client was stopped is not known, or only that the proof, or what the account may, was refused.
    let coarse = stop.is_none_or(|stop| stop == Gate::Auth);
    left.sort_by(|a, b| {
        a.weak()
            .cmp(&b.weak())
            .then(later(a).cmp(&later(b)))
            .then((a.weak() && !a.cause.is_symptom).cmp(&(b.weak() && !b.cause.is_symptom)))
            // Nobody tells how far the client got: of what is certain, the first gate on the way stops it.
            .then(match coarse && certain(a) && certain(b) {
                true => a.gate().cmp(&b.gate()),
                false => std::cmp::Ordering::Equal,
            })
            .then(b.confidence.total_cmp(&a.confidence))
            .then(a.gate().cmp(&b.gate()))
            .then(b.cause.severity.cmp(&a.cause.severity))
            .then(a.cause.id.cmp(b.cause.id))
    });
    explain_symptoms(&mut left, stop);

    let tie = settled_by(&left);
    let mut findings: Vec<Finding> = left
        .iter()
        .map(|c| c.finding(&case, later(c), stop))
        .collect();
    if let (Some(first), Some(note)) = (findings.first_mut(), tie) {
        first.notes.push(note);
    }
    Diagnosis { findings, looks }
}

/// Whether a client that was stopped at `stop` could not have met this gate's causes yet. What an account may not do
/// shows as a refused login, and what a session may not do as an account that is sent away.
fn is_later(gate: Gate, stop: Gate) -> bool {
    match stop {
        Gate::Auth => gate > Gate::Account,
        Gate::Account => false,
        _ => gate > stop,
    }
}

impl<'a> Candidate<'a> {
    /// No root cause that is known.
    fn weak(&self) -> bool {
        self.cause.is_symptom || self.confidence < KNOWN
    }

    /// Where it stops the client: where its rule says, or at its cause's gate, or before, where what proves it is met earlier. A
    /// home that is missing spoils a session, and the keys that lie in it before that. The log's lines stand at one gate, whatever
    /// they tell.
    fn gate(&self) -> Gate {
        if let Some(at) = self.rule.at {
            return at;
        }
        match self.evidence.first() {
            // What the daemon says of itself is no matter of one client.
            Some(o) if o.key == "log.daemon" || !o.key.starts_with("log.") => {
                self.cause.gate.min(o.gate)
            }
            _ => self.cause.gate,
        }
    }

    fn join(&mut self, other: Candidate<'a>) {
        let better = other.confidence > self.confidence;
        let (mut first, second) = if better {
            (other.evidence, std::mem::take(&mut self.evidence))
        } else {
            (std::mem::take(&mut self.evidence), other.evidence)
        };
        for o in second {
            if !first.contains(&o) {
                first.push(o);
            }
        }
        self.evidence = first;
        if better {
            self.rule = other.rule;
            self.confidence = other.confidence;
            self.about = other.about;
        }
    }

    fn finding(&self, case: &Case, later: bool, stop: Option<Gate>) -> Finding {
        let cause = self.cause;
        let headline = if self.about.is_empty() || self.about.len() > 120 {
            cause.title.to_owned()
        } else {
            format!("{}: {}", cause.title, self.about)
        };
        let mut notes = Vec::new();
        if let (true, Some(stop)) = (later, stop) {
            notes.push(format!(
                "not reached yet: the client was stopped before, at {}; this stands in its way next",
                stop.name()
            ));
        }
        if cause.is_symptom {
            notes.push("what the client sees; why cannot be known from here".to_owned());
            notes.push(format!(
                "behind it may be: {}",
                cause.look_alikes.join(", ")
            ));
        }
        if !self.rule.settle.is_empty() {
            notes.push(fill(self.rule.settle, case, &self.about, "client").into_owned());
        }
        if self.weak() {
            for look in cause.confirm {
                notes.push(format!(
                    "to settle it, on the {}: {} ({})",
                    place_name(look.place),
                    fill(look.command, case, &self.about, look.place),
                    look.shows
                ));
            }
        }
        Finding {
            id: cause.id,
            slug: cause.slug,
            cause: Some(cause.slug),
            kind: Kind::Cause,
            severity: cause.severity,
            confidence: (self.confidence * 100.0).round() / 100.0,
            hostile: false,
            headline,
            subjects: subjects(case, self),
            first: self.evidence.iter().filter_map(|o| o.at).min(),
            last: self.evidence.iter().filter_map(|o| o.at).max(),
            count: 1,
            evidence: self
                .evidence
                .iter()
                .take(MOST_EVIDENCE)
                .map(|o| Evidence {
                    source: o.source.clone(),
                    at: o.at,
                    text: o.shown(),
                })
                .collect(),
            notes,
            remedy: cause
                .remedy
                .iter()
                .map(|step| Step {
                    action: fill(step.action, case, &self.about, step.place).into_owned(),
                    command: step
                        .command
                        .map(|c| fill(c, case, &self.about, step.place).into_owned()),
                    place: step.place,
                    risk: step.risk,
                    undo: step
                        .undo
                        .map(|u| fill(u, case, &self.about, step.place).into_owned()),
                })
                .collect(),
            refs: cause.refs.to_vec(),
        }
    }
}

fn place_name(place: &str) -> &str {
    if place == "network" {
        "outside (another machine)"
    } else {
        place
    }
}

/// What the client's observations know and the caller does not.
fn complete(case: &Case, observations: &[Observation]) -> Case {
    let value = |key: &str| {
        observations
            .iter()
            .find(|o| o.key == key && !o.value.is_empty())
            .map(|o| o.value.clone())
    };
    let mut case = case.clone();
    case.user = case.user.or_else(|| value("target.user"));
    case.host = case.host.or_else(|| value("target.host"));
    case.port = case
        .port
        .or_else(|| value("target.port").and_then(|p| p.parse().ok()));
    case.addr = case.addr.or_else(|| {
        observations
            .iter()
            .find(|o| o.key == "name.address")
            .map(|o| o.about.clone())
    });
    case.client_addr = case.client_addr.or_else(|| value("route.source"));
    case
}

/// The state of each gate. One failure makes it failed, whoever else got through: the user's did not.
fn looks(observations: &[Observation]) -> Vec<Look> {
    Gate::ALL
        .into_iter()
        .map(|gate| {
            let here = observations.iter().filter(|o| o.gate == gate);
            let state = |word: &str| {
                observations
                    .iter()
                    .any(|o| o.gate == gate && o.key == "gate.state" && o.value == word)
            };
            Look {
                gate: gate.name(),
                state: if state("failed") {
                    State::Failed
                } else if state("passed") {
                    State::Passed
                } else {
                    State::NotReached
                },
                observations: here.clone().filter(|o| o.key != "gate.state").count(),
                ms: here.filter_map(|o| o.ms).max(),
            }
        })
        .collect()
}

/// How sure a rule is, and which observations make it so; `None` where it does not hold.
fn weigh<'a>(
    rule: &'static Rule,
    observations: &'a [Observation],
) -> Option<(f64, Vec<&'a Observation>)> {
    let anchor_test = rule.needs.first()?;
    let mut best: Option<(f64, Vec<&'a Observation>)> = None;
    // Every observation that fits the anchor is tried: the second key file may be the one that everything is about.
    for anchor in observations.iter().filter(|o| fits(anchor_test, o, "")) {
        let find = |test: &Test| observations.iter().find(|o| fits(test, o, &anchor.about));
        if rule.excludes.iter().any(|t| find(t).is_some()) {
            continue;
        }
        let mut evidence = vec![anchor];
        let add = |evidence: &mut Vec<&'a Observation>, o: &'a Observation| {
            if !evidence.contains(&o) {
                evidence.push(o);
            }
        };
        let mut met = true;
        for test in rule.needs.iter().skip(1) {
            match find(test) {
                Some(o) => add(&mut evidence, o),
                None => met = false,
            }
        }
        let mut some = rule.any.is_empty();
        for test in rule.any {
            if let Some(o) = find(test) {
                some = true;
                add(&mut evidence, o);
            }
        }
        if !met || !some {
            continue;
        }
        let mut confidence = rule.confidence;
        for test in rule.strengthens {
            if let Some(o) = find(test) {
                confidence = 1.0 - (1.0 - confidence) * 0.5;
                add(&mut evidence, o);
            }
        }
        for test in rule.doubts {
            if find(test).is_some() {
                confidence *= 0.5;
            }
        }
        // The same fact from another place (the log of ssh, the probe, the server) makes it no surer, but is shown.
        for o in observations.iter().filter(|o| fits(anchor_test, o, "")) {
            if o.about == anchor.about && o.source != anchor.source {
                add(&mut evidence, o);
            }
        }
        let cap = if causes::by_slug(rule.cause).is_some_and(|c| c.is_symptom) {
            KNOWN - 0.01
        } else {
            SUREST
        };
        let confidence = confidence.min(cap);
        if best.as_ref().is_none_or(|(b, _)| confidence > *b) {
            best = Some((confidence, evidence));
        }
    }
    best
}

fn fits(test: &Test, o: &Observation, anchor: &str) -> bool {
    if o.key != test.key {
        return false;
    }
    let about = match test.about {
        About::Any => true,
        About::Same => o.about == anchor,
        About::Word(word) => o.about == word,
    };
    let listed = |word: &str| o.value.split([',', ' ']).any(|part| part == word);
    about
        && match test.is {
            Is::Any => true,
            Is::One(words) => words.contains(&o.value.as_str()),
            Is::Except(words) => !words.contains(&o.value.as_str()),
            Is::Has(word) => listed(word),
            Is::Lacks(words) => !words.iter().any(|w| listed(w)),
        }
}

/// Symptoms that a known root cause explains leave, and their evidence goes to it; the others step back behind it.
fn explain_symptoms(left: &mut Vec<Candidate<'_>>, stop: Option<Gate>) {
    let Some(first) = left.first() else { return };
    if first.weak() || stop.is_some_and(|stop| is_later(first.gate(), stop)) {
        return;
    }
    let (root, gate) = (first.cause, first.gate());
    let mut rest = left.split_off(1);
    rest.retain_mut(|c| {
        if !c.cause.is_symptom {
            return true;
        }
        let explained = c.cause.look_alikes.contains(&root.slug)
            || root.look_alikes.contains(&c.cause.slug)
            || c.cause.gate == gate
            || stop.is_some_and(|stop| c.cause.gate >= stop);
        if explained && let Some(first) = left.first_mut() {
            for o in std::mem::take(&mut c.evidence) {
                if !first.evidence.contains(&o) {
                    first.evidence.push(o);
                }
            }
        } else {
            c.confidence *= 0.5;
        }
        !explained
    });
    left.append(&mut rest);
}

/// Where two root causes are about as likely: the one look that tells them apart.
fn settled_by(left: &[Candidate<'_>]) -> Option<String> {
    let (a, b) = (left.first()?, left.get(1)?);
    let close = a.confidence - b.confidence < 0.15;
    // Two that are certain both stand in the way: there is nothing to tell apart.
    if b.confidence >= CERTAIN {
        return None;
    }
    if a.cause.is_symptom || b.cause.is_symptom || !close || b.confidence < 0.3 {
        return None;
    }
    let look = a.cause.confirm.first()?;
    Some(format!(
        "almost as likely: {}; on the {}, {} tells them apart: {}",
        b.cause.slug,
        place_name(look.place),
        look.command,
        look.shows
    ))
}

fn subjects(case: &Case, candidate: &Candidate<'_>) -> Subjects {
    let mut subjects = Subjects::default();
    subjects.users.extend(case.user.clone());
    subjects.hosts.extend(case.host.clone());
    for o in &candidate.evidence {
        let about = o.about.as_str();
        if about.starts_with('/') || about.starts_with("~/") {
            let file = about.split(':').next().unwrap_or(about).to_owned();
            if !subjects.files.contains(&file) {
                subjects.files.push(file);
            }
        } else if let Some(addr) = address_in(about)
            && !subjects.addrs.contains(&addr)
        {
            subjects.addrs.push(addr);
        }
    }
    subjects
}

/// `192.0.2.7`, `192.0.2.7:22`, `[2001:db8::1]:22`, `2001:db8::1`.
fn address_in(about: &str) -> Option<String> {
    if let Ok(ip) = about.parse::<std::net::IpAddr>() {
        return Some(ip.to_string());
    }
    let socket = about.parse::<std::net::SocketAddr>().ok()?;
    Some(socket.ip().to_string())
}

/// Replaces the words in capitals of a suggestion by what is known, each as one safe word of a shell. `about` is what the
/// finding is about: a file, an address, a port, a jump host, a program.
///
/// `ADDR` is the other side's address, seen from where the step is to be done. A value that would need quoting is not put
/// inside quotes: there the placeholder stays.
pub fn fill<'t>(text: &'t str, case: &Case, about: &str, place: &str) -> Cow<'t, str> {
    let on_server = place == "server";
    // `sshd -T -C user=…,host=…,addr=…` asks about the client.
    let about_client = text.contains("-C user=");
    let file = about.split(':').next().filter(|f| f.starts_with('/'));
    // Where the finding is about a port, that one is meant, not the one that was called in vain.
    let socket = about.parse::<std::net::SocketAddr>().map(|s| s.port());
    let port = socket.or_else(|_| about.parse::<u16>()).ok().or(case.port);
    let known_name = case.host.as_deref().map(|host| match port {
        None | Some(22) => host.to_owned(),
        Some(port) => format!("[{host}]:{port}"),
    });
    let port = port.map(|p| p.to_string());
    let net = case.client_addr.as_deref().map(client_net);
    // As hosts_access(5) writes an IPv6 address.
    let wrapped = net.as_deref().map(|net| match net.split_once('/') {
        Some((ip, len)) if ip.contains(':') => format!("[{ip}]/{len}"),
        _ => net.to_owned(),
    });
    let value = |word: &str| -> Option<&str> {
        match word {
            "USER" => case.user.as_deref(),
            "HOST" if about_client => case.client_addr.as_deref(),
            "HOST" => case.host.as_deref(),
            "PORT" => port.as_deref(),
            "ADDR" if on_server => case.client_addr.as_deref(),
            "ADDR" | "SERVER_ADDR" => case.addr.as_deref(),
            "CLIENT_ADDR" => case.client_addr.as_deref(),
            "KNOWN_ADDR" => Some(about).filter(|a| a.parse::<std::net::IpAddr>().is_ok()),
            "CLIENT_NET" => net.as_deref(),
            "CLIENT_WRAPPED" => wrapped.as_deref(),
            "KNOWN_NAME" => known_name.as_deref(),
            "KNOWN_HOSTS" => file.filter(|f| f.contains("known_hosts")),
            "KEY" => file.filter(|f| is_key(f)),
            "FILE" | "PATH" | "CHROOT_PATH" => file,
            "PROGRAM" => Some(about).filter(|a| !a.is_empty() && !a.starts_with('/')),
            "HOP" => (!about.is_empty() && !about.starts_with('/')).then_some(about),
            _ => None,
        }
    };
    let mut out = String::new();
    let (mut rest, mut quote, mut changed) = (text, None::<char>, false);
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let word_len = if before.is_ascii_alphanumeric() || before == '_' {
            0
        } else {
            rest.find(|c: char| !(c.is_ascii_uppercase() || c == '_'))
                .unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at_checked(word_len).unwrap_or(("", rest));
        let whole = word.len() > 1
            && !after.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !(after.starts_with('.')
                && after.chars().nth(1).is_some_and(|c| c.is_ascii_uppercase()));
        let known = if whole { value(word) } else { None };
        // `~/.ssh/KEY` is a whole path where the key's own path is known.
        let known =
            known.filter(|v| !(v.starts_with('/') && before == '/') || out.ends_with("~/.ssh/"));
        let whole_path = known.is_some_and(|v| v.starts_with('/'));
        // `KEY.ppk` is one file where the key is that of PuTTY.
        let ending = after
            .split(|c: char| c != '.' && !c.is_ascii_lowercase())
            .next();
        let known = known.map(|v| {
            let ending = ending.filter(|e| e.len() > 1);
            ending.and_then(|e| v.strip_suffix(e)).unwrap_or(v)
        });
        match known.and_then(shell_word) {
            Some(v) if quote.is_none() || matches!(v, Cow::Borrowed(_)) => {
                if whole_path && out.ends_with("~/.ssh/") {
                    out.truncate(out.len().saturating_sub("~/.ssh/".len()));
                }
                out.push_str(&v);
                before = word.chars().last().unwrap_or(' ');
                rest = after;
                changed = true;
            }
            _ if !word.is_empty() => {
                out.push_str(word);
                before = word.chars().last().unwrap_or(' ');
                rest = after;
            }
            _ => {
                match quote {
                    Some(q) if q == c => quote = None,
                    None if c == '\'' || c == '"' => quote = Some(c),
                    _ => {}
                }
                out.push(c);
                before = c;
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    const USUAL: &str = "~/.ssh/KNOWN_HOSTS";
    if out.contains(USUAL) {
        out = out.replace(USUAL, "~/.ssh/known_hosts");
        changed = true;
    }
    if !changed {
        return Cow::Borrowed(text);
    }
    match case.client_addr.as_deref().or(case.addr.as_deref()) {
        Some(ip) if ip.contains(':') => Cow::Owned(for_ipv6(&out)),
        _ => Cow::Owned(out),
    }
}

/// The same command for the other family.
fn for_ipv6(command: &str) -> String {
    let mut out = command.to_owned();
    for (four, six) in [
        ("iptables ", "ip6tables "),
        ("ip saddr ", "ip6 saddr "),
        ("ip daddr ", "ip6 daddr "),
        ("ip route ", "ip -6 route "),
    ] {
        out = out.replace(four, six);
    }
    // One host's route is as long as its address.
    let words: Vec<String> = out
        .split(' ')
        .map(|w| match w.strip_suffix("/32") {
            Some(ip) if ip.parse::<std::net::Ipv6Addr>().is_ok() => format!("{ip}/128"),
            _ => w.to_owned(),
        })
        .collect();
    words.join(" ")
}

/// Whether the file is likely to be a key, by where it lies and what it is called: a command that takes a key is given no other.
fn is_key(path: &str) -> bool {
    const OTHERS: [&str; 6] = [
        "config",
        "known_hosts",
        "known_hosts.old",
        "authorized_keys",
        "rc",
        "environment",
    ];
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = name.strip_suffix(".pub").unwrap_or(name);
    let named = name.starts_with("id_")
        || name.starts_with("ssh_host_")
        || [".pem", ".key", ".ppk"].iter().any(|e| name.ends_with(e));
    named || (folder.ends_with("/.ssh") && !name.contains('.') && !OTHERS.contains(&name))
}

/// The narrowest network that is that address.
fn client_net(addr: &str) -> String {
    match addr.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => format!("{ip}/32"),
        Ok(std::net::IpAddr::V6(ip)) => format!("{ip}/128"),
        Err(_) => addr.to_owned(),
    }
}

#[cfg(test)]
mod tests;
