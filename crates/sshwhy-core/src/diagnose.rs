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
mod tests {
    use super::*;

    fn o(gate: Gate, key: &'static str, about: &str, value: &str) -> Observation {
        Observation::new(gate, key, value, "probe").about(about)
    }

    fn case() -> Case {
        Case {
            user: Some("alice".into()),
            host: Some("server.example".into()),
            port: Some(22),
            addr: Some("192.0.2.7".into()),
            client_addr: Some("198.51.100.4".into()),
        }
    }

    fn slugs(observations: &[Observation]) -> Vec<(&'static str, bool)> {
        diagnose(&case(), observations)
            .findings
            .iter()
            .map(|f| (f.slug, f.confidence >= KNOWN))
            .collect()
    }

    #[test]
    fn who_answers_in_the_servers_place_is_known_by_its_log() {
        let seen = |alive: &str, end: &str| {
            [
                o(Gate::Ident, "ident.end", "", end),
                o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "ok"),
                o(Gate::Tcp, "gate.state", "", "passed"),
                o(Gate::Ident, "gate.state", "", "failed"),
                o(Gate::Tcp, "sshd.process", "sshd", "running"),
                o(Gate::Tcp, "sshd.listen", "0.0.0.0:22", "reachable"),
                o(Gate::Tcp, "fw.rule", "22", "passes"),
                o(Gate::Tcp, "log.outcome", "", "no-trace"),
                o(Gate::Tcp, "log.alive", "", alive),
            ]
        };
        let first = |seen: &[Observation]| slugs(seen).first().copied();
        let cut = Some(("reset-by-middlebox", true));
        assert_eq!(first(&seen("yes", "closed")), cut);
        assert_eq!(first(&seen("yes", "reset")), cut);
        // sshd complains of something else at that moment, is full, or cannot open files: it may have been sshd.
        assert_ne!(first(&seen("complains", "closed")), cut);
        for (key, value) in [("load.startups", "full"), ("kernel.files", "full")] {
            let mut seen = seen("yes", "closed").to_vec();
            seen.push(o(Gate::Ident, key, "", value));
            assert_ne!(first(&seen), cut, "{key}");
        }
        let mut tried = seen("yes", "closed").to_vec();
        tried.retain(|o| o.key != "log.outcome");
        tried.push(o(Gate::Auth, "log.outcome", "", "closed-early"));
        assert_ne!(first(&tried), cut);
    }

    #[test]
    fn what_the_server_sends_and_nobody_acknowledges_is_lost_on_the_way() {
        let lost = |size: &str, end: &[Observation]| {
            let mut seen = vec![
                o(Gate::Ident, "path.unacked", "198.51.100.4", size),
                o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "ok"),
                o(Gate::Tcp, "gate.state", "", "passed"),
            ];
            seen.extend(end.iter().cloned());
            slugs(&seen).first().copied()
        };
        let silent = [o(Gate::Ident, "ident.end", "", "timeout")];
        assert_eq!(lost("small", &silent), Some(("firewall-path-drop", true)));
        let stuck = [o(Gate::HostKey, "kex.end", "", "timeout")];
        assert_eq!(lost("large", &stuck), Some(("mtu-blackhole", true)));
        // The client has the greeting.
        let greeted = [o(Gate::Ident, "ident.end", "", "ok")];
        assert_eq!(lost("small", &greeted), None);
    }

    #[test]
    fn one_setting_stops_sshd_and_another_the_login() {
        let connect = |word: &str| o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", word);
        let failed = o(Gate::Tcp, "gate.state", "", "failed");
        let sandbox = |value: &str| o(Gate::Tcp, "unit.sandbox", "/etc/x.conf:2", value);
        let down = [
            sandbox("stops"),
            o(Gate::Tcp, "sshd.process", "sshd", "none"),
            o(Gate::Tcp, "unit.state", "ssh.service", "failed"),
            connect("refused"),
            failed.clone(),
        ];
        let d = diagnose(&case(), &down);
        assert_eq!(d.findings[0].slug, "service-sandboxed");
        assert!(d.findings.iter().all(|f| f.slug != "sshd-not-running"));
        // It is said where it stops the client, and not as something that would come later.
        assert!(
            d.findings[0]
                .notes
                .iter()
                .all(|n| !n.starts_with("not reached"))
        );
        let up = [
            sandbox("shuts-out"),
            o(Gate::Tcp, "sshd.process", "sshd", "running"),
            connect("timeout"),
            failed,
        ];
        let d = diagnose(&case(), &up);
        assert_eq!(d.findings[0].slug, "service-sandboxed");
        assert!(
            d.findings[0]
                .notes
                .iter()
                .all(|n| !n.starts_with("not reached"))
        );
    }

    #[test]
    fn a_dead_name_server_holds_up_who_asks_it() {
        let dead = o(Gate::Ident, "names.resolver", "192.0.2.53", "dead");
        let asked = |when: &str| o(Gate::Ident, "names.asked", "/etc/hosts.deny:1", when);
        let silent = o(Gate::Ident, "ident.end", "", "timeout");
        let seen = [dead.clone(), asked("before-greeting"), silent.clone()];
        assert_eq!(slugs(&seen)[0], ("sshd-hung", true));
        let stopped = o(Gate::Session, "attempt.end", "", "stopped");
        let seen = [dead.clone(), asked("at-login"), stopped];
        assert_eq!(slugs(&seen)[0], ("slow-reverse-dns", true));
        let answers = o(Gate::Ident, "names.resolver", "192.0.2.53", "answers");
        let seen = [answers, asked("before-greeting"), silent];
        assert_eq!(slugs(&seen)[0].0, "banner-timeout");
        // Who got in waited, and nothing more.
        let seen = [
            dead,
            asked("at-login"),
            o(Gate::Auth, "log.outcome", "", "accepted"),
        ];
        assert_eq!(slugs(&seen), []);
    }

    #[test]
    fn a_filter_for_new_connections_alone_stops_what_follows() {
        let follows = |value| o(Gate::Ident, "fw.follows", "filter INPUT", value);
        let passed = o(Gate::Tcp, "gate.state", "", "passed");
        let seen = [follows("drops"), passed.clone()];
        assert_eq!(slugs(&seen).first(), Some(&("firewall-server-drop", true)));
        let seen = [follows("rejects"), passed.clone()];
        let first = slugs(&seen).first().copied();
        assert_eq!(first, Some(("firewall-server-reject", true)));
        // The client got its greeting through it.
        let greeted = o(Gate::Ident, "ident.end", "", "ok");
        assert_eq!(slugs(&[follows("drops"), passed, greeted]), []);
    }

    fn first(observations: &[Observation]) -> Option<&'static str> {
        slugs(observations)
            .first()
            .filter(|(_, known)| *known)
            .map(|f| f.0)
    }

    #[test]
    fn of_two_that_are_certain_the_one_that_is_met_first() {
        let mut all = vec![
            o(Gate::Auth, "gate.state", "", "failed"),
            o(Gate::Auth, "auth.end", "", "denied"),
            o(Gate::Account, "user.account", "alice", "expired"),
            o(Gate::Auth, "user.shell", "/usr/bin/fish", "missing"),
        ];
        assert_eq!(first(&all), Some("shell-missing"));
        // What sshd itself was kept from stops the client where it is.
        let kept = [
            o(Gate::Kex, "gate.state", "", "failed"),
            o(Gate::Kex, "kex.end", "", "closed"),
            o(Gate::Tcp, "log.daemon", "", "service-sandboxed"),
        ];
        let d = diagnose(&case(), &kept);
        assert_eq!(d.findings[0].slug, "service-sandboxed");
        assert!(
            d.findings[0]
                .notes
                .iter()
                .all(|n| !n.starts_with("not reached"))
        );
        // A home that is missing hides the keys in it: it is no matter of the session alone.
        all.truncate(2);
        all.push(o(Gate::Auth, "user.home", "/home/Alice", "missing"));
        let d = diagnose(&case(), &all);
        assert_eq!(d.findings[0].slug, "home-missing");
        assert!(
            d.findings[0]
                .notes
                .iter()
                .all(|n| !n.starts_with("not reached"))
        );
    }

    #[test]
    fn an_sshd_that_has_not_read_what_its_files_say_now() {
        let stale = o(Gate::Tcp, "sshd.stale", "/etc/ssh/sshd_config", "config");
        let refused = [
            o(Gate::Auth, "keys.offered", "SHA256:A", "listed"),
            o(Gate::Auth, "log.outcome", "alice", "gave-up"),
            o(Gate::Auth, "auth.key", "/home/a/.ssh/id", "refused"),
            o(Gate::Auth, "auth.end", "", "denied"),
        ];
        let with = |more: &[Observation]| [&refused[..], more].concat();
        assert_eq!(first(&refused), None);
        let now = with(std::slice::from_ref(&stale));
        assert_eq!(first(&now), Some("authorized-keys-path"));
        // What the log says is another reason.
        let said = o(Gate::Auth, "log.says", "", "user-not-allowed");
        assert_eq!(
            first(&with(&[stale.clone(), said])),
            Some("user-not-allowed")
        );
        let off = [
            o(Gate::Auth, "auth.methods", "", "publickey"),
            o(Gate::Auth, "conf.method", "password", "on"),
            o(Gate::Auth, "client.can-prompt", "", "yes"),
            o(Gate::Auth, "client.wants", "", "password"),
            o(Gate::Auth, "auth.end", "", "denied"),
            stale,
        ];
        let d = diagnose(&case(), &off);
        assert_eq!(d.findings[0].slug, "password-auth-disabled");
        assert!(d.findings[0].notes.iter().any(|n| n.contains("reload")));
    }

    #[test]
    fn what_a_session_writes_and_how_long_it_is_silent() {
        let cut = [
            o(
                Gate::Session,
                "session.limit",
                "/etc/security/limits.conf:3",
                "file-size",
            ),
            o(Gate::Session, "session.says", "", "write-failure"),
        ];
        assert_eq!(first(&cut), Some("pam-limits"));
        assert_eq!(first(&cut[..1]), None);
        assert_eq!(first(&cut[1..]), Some("disk-full"));
        let unit = o(Gate::Session, "unit.sandbox", "ssh.service", "hinders");
        let killed = o(Gate::Session, "session.end", "", "signal");
        assert_eq!(
            first(&[unit.clone(), killed.clone(), cut[1].clone()]),
            Some("service-sandboxed")
        );
        let channels = o(Gate::Session, "conf.alive", "ChannelTimeout", "channels");
        let closed = o(Gate::Session, "session.end", "", "closed");
        assert_eq!(
            first(&[channels.clone(), closed]),
            Some("client-alive-timeout")
        );
        let ok = o(Gate::Session, "session.end", "", "ok");
        assert_eq!(first(&[channels, ok]), None);
        let asked = o(Gate::Session, "session.asked", "", "shell");
        let idle = |value| o(Gate::Session, "session.idle", "/etc/profile:9", value);
        assert_eq!(
            first(&[idle("short"), asked.clone()]),
            Some("shell-rc-exits")
        );
        assert_eq!(first(&[idle("usual"), asked]), None);
        let command = o(Gate::Session, "session.asked", "", "command");
        assert_eq!(first(&[idle("short"), command]), None);
    }

    #[test]
    fn a_copy_that_waits_for_the_rest_of_what_a_start_up_file_said() {
        let mut all = vec![
            o(
                Gate::Session,
                "session.rc",
                "/home/alice/.bashrc:1",
                "prints",
            ),
            o(Gate::Session, "session.end", "", "timeout"),
            o(Gate::Session, "session.lasted", "", "while"),
        ];
        assert_eq!(first(&all), Some("idle-connection-dropped"));
        all.push(o(Gate::Session, "target.command", "", "scp"));
        assert_eq!(first(&all), Some("shell-rc-output"));
    }

    #[test]
    fn a_certificate_that_is_not_there_and_a_disk_that_takes_nothing() {
        let denied = o(Gate::Auth, "auth.end", "", "denied");
        let certificate = |value| o(Gate::Auth, "auth.certificate", "/home/a/x-cert.pub", value);
        let gone = [certificate("missing"), denied.clone()];
        assert_eq!(first(&gone), Some("identity-file-missing"));
        assert_eq!(
            first(&[certificate("missing"), certificate("valid"), denied]),
            None
        );
        let disk = o(Gate::Session, "disk.full", "/home/alice", "read-only");
        let said = o(Gate::Session, "session.says", "", "open-failure");
        assert_eq!(first(std::slice::from_ref(&disk)), None);
        assert_eq!(first(&[disk, said]), Some("disk-full"));
    }

    #[test]
    fn an_agent_and_windows_that_do_not_arrive() {
        let asked = o(Gate::Session, "session.agent", "", "asked");
        let exit = o(Gate::Session, "session.end", "", "exit");
        let off = |what| o(Gate::Session, "session.forwarding", "x", what);
        let disabled = Some("forwarding-disabled");
        let agent = [off("off-agent"), asked.clone(), exit.clone()];
        assert_eq!(first(&agent), disabled);
        assert_eq!(first(&[off("off-agent"), exit.clone()]), None);
        assert_eq!(first(&[off("off-x11"), asked, exit]), None);
        let windows = o(Gate::Session, "forward.end", "X11", "x11-refused");
        assert_eq!(first(&[windows.clone(), off("off-x11")]), disabled);
        // Where the rest of the session went well, nothing is wrong with the login.
        let passed = o(Gate::Session, "gate.state", "", "passed");
        assert_eq!(first(&[windows, passed]), None);
    }

    #[test]
    fn terminals_that_the_kernel_does_not_give_out() {
        let refused = o(Gate::Session, "session.request", "", "pty-refused");
        let none = o(Gate::Session, "session.pty", "/dev/pts", "none-left");
        assert_eq!(first(&[none.clone(), refused]), Some("pty-disabled"));
        assert_eq!(first(&[none]), None);
    }

    #[test]
    fn settings_of_the_client_that_keep_it_from_what_the_server_takes() {
        let setting = |keyword, value| o(Gate::Auth, "client.setting", keyword, value);
        let ended = |methods| {
            vec![
                o(Gate::Auth, "auth.methods", "", methods),
                o(Gate::Auth, "auth.end", "", "denied"),
                o(Gate::Auth, "auth.keys", "", "none"),
            ]
        };
        let with = |methods, more: &[Observation]| [&ended(methods)[..], more].concat();
        let no_password = [
            setting("passwordauthentication", "no"),
            o(Gate::Auth, "client.keys", "", "none"),
        ];
        let mismatch = Some("auth-method-mismatch");
        assert_eq!(first(&with("publickey,password", &no_password)), mismatch);
        assert_eq!(first(&with("publickey", &no_password)), None);
        let unreachable = o(Gate::Auth, "auth.agent", "/run/a", "unreachable");
        let agent = [&no_password[..], &[unreachable]].concat();
        assert_eq!(
            first(&with("publickey,password", &agent)),
            Some("agent-unreachable")
        );
        let prompts = [
            setting("numberofpasswordprompts", "0"),
            o(Gate::Auth, "auth.method", "password", "tried"),
        ];
        assert_eq!(first(&with("password", &prompts)), mismatch);
        let three = [setting("numberofpasswordprompts", "3"), prompts[1].clone()];
        assert_eq!(first(&with("password", &three)), None);
        // The server takes no passwords: that is not the client's doing.
        let none = [
            o(Gate::Auth, "auth.common", "", "none"),
            o(Gate::Auth, "client.wants", "", "password"),
        ];
        let d = diagnose(&case(), &with("publickey", &none));
        assert_eq!(d.findings[0].slug, "password-auth-disabled");
        assert!(
            d.findings
                .iter()
                .all(|f| f.slug != "auth-method-mismatch" || f.confidence < KNOWN)
        );
        assert_eq!(first(&with("keyboard-interactive", &none)), mismatch);
    }

    #[test]
    fn a_daemon_that_nobody_started_again() {
        let none = o(Gate::Tcp, "sshd.process", "", "none");
        let first = |more: &[Observation]| {
            let all: Vec<Observation> = [std::slice::from_ref(&none), more].concat();
            slugs(&all).first().map(|f| f.0)
        };
        let in_use = o(Gate::Tcp, "log.daemon", "", "port-in-use");
        assert_eq!(
            first(std::slice::from_ref(&in_use)),
            Some("sshd-not-running")
        );
        let held = o(Gate::Tcp, "port.holder", "socat", "other");
        assert_eq!(first(&[in_use, held]), Some("port-in-use"));
        let mistake = o(Gate::Tcp, "log.daemon", "/etc/ssh/a:1", "sshd-config-error");
        assert_eq!(
            first(std::slice::from_ref(&mistake)),
            Some("sshd-config-error")
        );
        let mended = o(Gate::Tcp, "sshd.mended", "/etc/ssh/a:1", "config");
        assert_eq!(first(&[mistake, mended]), Some("sshd-not-running"));
    }

    #[test]
    fn a_path_that_drops_by_exclusion() {
        let mut all = vec![
            o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "timeout"),
            o(Gate::Tcp, "sshd.process", "", "running"),
            o(Gate::Tcp, "sshd.listen", "", "reachable"),
            o(Gate::Tcp, "fw.rule", "22", "passes"),
            o(Gate::Route, "route.return", "", "ok"),
            o(Gate::Tcp, "log.outcome", "", "no-trace"),
        ];
        let first = |all: &[Observation]| slugs(all).first().map(|f| f.0);
        // The address that was called may be another machine's.
        assert_eq!(first(&all), Some("connect-timeout"));
        all.push(o(Gate::Route, "route.called", "192.0.2.7", "own"));
        assert_eq!(first(&all), Some("firewall-path-drop"));
        all.push(o(Gate::Tcp, "client.firewall", "192.0.2.7", "drops"));
        assert_eq!(first(&all), Some("firewall-client-outbound"));
    }

    #[test]
    fn one_host_key_that_is_passed_over() {
        let mut all = vec![
            o(Gate::Tcp, "sshd.process", "", "running"),
            o(Gate::Tcp, "sshd.hostkey", "/etc/ssh/k", "open"),
        ];
        assert_eq!(slugs(&all), []);
        all.push(o(Gate::Kex, "kex.mismatch", "rsa-sha2-512", "host-key"));
        let first = slugs(&all).first().copied();
        assert_eq!(first, Some(("host-key-permissions", true)));
    }

    #[test]
    fn nothing_wrong_is_no_finding_and_a_list_of_looks() {
        let mut seen: Vec<Observation> = Gate::ALL
            .into_iter()
            .map(|g| o(g, "gate.state", "", "passed"))
            .collect();
        seen.push(o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "ok").took(7));
        let d = diagnose(&case(), &seen);
        assert!(d.findings.is_empty());
        assert_eq!(d.looks.len(), Gate::ALL.len());
        assert!(d.looks.iter().all(|l| l.state == State::Passed));
        assert_eq!(d.looks[2].observations, 1);
        assert_eq!(d.looks[2].ms, Some(7));
        assert_eq!(d.stopped_at(), None);
    }

    #[test]
    fn a_symptom_alone_is_an_answer_below_one_half() {
        assert_eq!(
            slugs(&[
                o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "refused"),
                o(Gate::Tcp, "gate.state", "", "failed"),
            ]),
            [("connect-refused", false)]
        );
    }

    #[test]
    fn a_root_cause_takes_its_symptoms_evidence() {
        let d = diagnose(
            &case(),
            &[
                o(Gate::Tcp, "gate.state", "", "failed"),
                o(Gate::Tcp, "tcp.connect", "192.0.2.7:2022", "refused"),
                o(Gate::Tcp, "tcp.default-port", "192.0.2.7:22", "ssh"),
            ],
        );
        let slugs: Vec<_> = d.findings.iter().map(|f| f.slug).collect();
        assert_eq!(slugs, ["wrong-port"]);
        assert_eq!(d.findings[0].evidence.len(), 2);
        assert_eq!(d.findings[0].subjects.addrs, ["192.0.2.7"]);
    }

    #[test]
    fn a_gate_that_was_passed_holds_no_cause_except_what_comes_and_goes() {
        let refused = o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "refused");
        let passed = o(Gate::Tcp, "gate.state", "", "passed");
        assert_eq!(slugs(&[refused.clone(), passed.clone()]), []);
        let full = o(Gate::Ident, "ident.reason", "", "max-startups");
        let ident = o(Gate::Ident, "gate.state", "", "passed");
        assert_eq!(
            slugs(&[full, ident, passed.clone()]),
            [("max-startups", true)]
        );
        // Somebody got through, and somebody did not: it is not passed.
        let failed = o(Gate::Tcp, "gate.state", "", "failed");
        assert_eq!(
            slugs(&[refused, passed, failed]),
            [("connect-refused", false)]
        );
    }

    #[test]
    fn what_stopped_the_client_comes_before_what_would_stop_it_later() {
        let d = diagnose(
            &case(),
            &[
                o(Gate::Auth, "gate.state", "", "failed"),
                o(Gate::Auth, "auth.end", "", "denied"),
                o(Gate::Auth, "auth.key", "/home/a/.ssh/id_rsa", "permissions"),
                o(Gate::Session, "session.request", "", "subsystem-refused"),
            ],
        );
        let slugs: Vec<_> = d.findings.iter().map(|f| f.slug).collect();
        assert_eq!(slugs, ["private-key-permissions", "sftp-subsystem-missing"]);
        assert!(d.findings[1].notes[0].starts_with("not reached yet"));
        assert_eq!(d.findings[0].subjects.files, ["/home/a/.ssh/id_rsa"]);
    }

    #[test]
    fn two_sides_make_one_finding_with_two_pieces_of_evidence() {
        let from = |source: &str| {
            Observation::new(Gate::Kex, "kex.mismatch", "cipher", source).about("3des-cbc")
        };
        let d = diagnose(&case(), &[from("ssh -v line 40"), from("probe:kex")]);
        assert_eq!(d.findings.len(), 1);
        assert_eq!(d.findings[0].slug, "no-matching-cipher");
        assert_eq!(d.findings[0].evidence.len(), 2);
    }

    #[test]
    fn the_second_file_may_be_the_one() {
        // The first key's passphrase does not matter, because the server refused that key; the second's does.
        let key = |file: &str, value: &str| o(Gate::Auth, "auth.key", file, value);
        let d = diagnose(
            &case(),
            &[
                o(Gate::Auth, "auth.end", "", "denied"),
                key("/k/one", "passphrase"),
                key("/k/one", "refused"),
                key("/k/two", "passphrase"),
                key("/k/two", "accepted"),
            ],
        );
        assert_eq!(d.findings[0].slug, "key-passphrase");
        assert_eq!(d.findings[0].subjects.files, ["/k/two"]);
    }

    #[test]
    fn placeholders_become_safe_words_or_stay() {
        let fill =
            |t: &str, place: &str| super::fill(t, &case(), "/home/a b/.ssh/id", place).into_owned();
        assert_eq!(fill("ssh USER@HOST", "client"), "ssh alice@server.example");
        assert_eq!(
            fill("sshd -T -C user=USER,host=HOST,addr=ADDR", "server"),
            "sshd -T -C user=alice,host=198.51.100.4,addr=198.51.100.4"
        );
        assert_eq!(
            fill("ip route get ADDR", "client"),
            "ip route get 192.0.2.7"
        );
        assert_eq!(
            fill("ufw allow from CLIENT_NET to any", "server"),
            "ufw allow from 198.51.100.4/32 to any"
        );
        assert_eq!(fill("ssh HOST.DOMAIN", "client"), "ssh HOST.DOMAIN");
        assert_eq!(
            fill("head -1 ~/.ssh/KEY", "client"),
            "head -1 '/home/a b/.ssh/id'"
        );
        let about = |t: &str, about: &str| super::fill(t, &case(), about, "client").into_owned();
        for other in [
            "/home/a/.bashrc",
            "/home/a/.ssh/config",
            "/home/a/.ssh/authorized_keys",
            "/etc/ssh/gate.sh",
        ] {
            assert_eq!(
                about("ssh -i ~/.ssh/KEY", other),
                "ssh -i ~/.ssh/KEY",
                "{other} is no key"
            );
        }
        assert_eq!(
            about("puttygen ~/.ssh/KEY.ppk", "/home/a/web.ppk"),
            "puttygen /home/a/web.ppk"
        );
        assert_eq!(
            about("cat ~/.ssh/KEY.pub", "/home/a/.ssh/id_rsa.pub"),
            "cat /home/a/.ssh/id_rsa.pub"
        );
        assert_eq!(
            about(
                "ssh-keygen -f ~/.ssh/KNOWN_HOSTS -R KNOWN_NAME",
                "/etc/ssh/ssh_known_hosts:3"
            ),
            "ssh-keygen -f /etc/ssh/ssh_known_hosts -R server.example"
        );
        let far = Case {
            port: Some(2222),
            client_addr: Some("2001:db8::4".into()),
            addr: Some("2001:db8::7".into()),
            ..case()
        };
        let far = |t: &str, place: &str| super::fill(t, &far, "", place).into_owned();
        assert_eq!(
            far("ssh-keygen -f ~/.ssh/KNOWN_HOSTS -R KNOWN_NAME", "client"),
            "ssh-keygen -f ~/.ssh/known_hosts -R '[server.example]:2222'"
        );
        assert_eq!(
            far("echo sshd: CLIENT_WRAPPED", "server"),
            "echo sshd: '[2001:db8::4]/128'"
        );
        assert_eq!(
            far("iptables -I INPUT -s CLIENT_NET -j ACCEPT", "server"),
            "ip6tables -I INPUT -s 2001:db8::4/128 -j ACCEPT"
        );
        assert_eq!(
            far("ip route add ADDR/32 via GATEWAY", "client"),
            "ip -6 route add 2001:db8::7/128 via GATEWAY"
        );
        assert_eq!(about("ssh -p PORT", "2022"), "ssh -p 2022");
        assert_eq!(
            fill("stat 'KEY'", "client"),
            "stat 'KEY'",
            "not inside quotes"
        );
        assert_eq!(
            super::fill("ssh -p PORT", &case(), "192.0.2.7:2222", "client"),
            "ssh -p 2222"
        );
        assert_eq!(fill("REVOKED_USER USERS", "client"), "REVOKED_USER USERS");
        let hostile = Case {
            user: Some("a; rm -rf ~".into()),
            host: Some("-oProxyCommand=x".into()),
            ..Case::default()
        };
        assert_eq!(
            super::fill("ssh USER@HOST", &hostile, "", "client"),
            "ssh 'a; rm -rf ~'@HOST"
        );
        assert_eq!(
            super::fill("tcpdump 'host ADDR and USER'", &hostile, "", "client"),
            "tcpdump 'host ADDR and USER'"
        );
    }

    #[test]
    fn the_clients_observations_complete_the_case() {
        let d = diagnose(
            &Case::default(),
            &[
                o(Gate::Name, "target.user", "", "bob"),
                o(Gate::Name, "target.host", "", "server.example"),
                o(Gate::Kex, "kex.mismatch", "aes128-cbc", "cipher"),
            ],
        );
        assert_eq!(d.findings[0].subjects.users, ["bob"]);
        assert_eq!(d.findings[0].subjects.hosts, ["server.example"]);
    }
}
