//! `doctor`: why can't they get in? Looks at the machine, joins what the client's probe saw, and says what stands in the way.

use crate::cli::{Doctor as Args, TextOrJson};
use crate::exit::Exit;
use crate::fix;
use crate::host::machine::Machine;
use crate::host::{self, Question};
use crate::image;
use crate::zone;
use serde::Serialize;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::config::authorized_keys::{self, Line};
use sshwhy_core::diagnose::{Case, Look, diagnose};
use sshwhy_core::finding::Finding;
use sshwhy_core::image::dockerfile::parse;
use sshwhy_core::image::{from_dockerfile, judge, patch};
use sshwhy_core::observation::{self, Observation};
use sshwhy_core::render::escape;
use sshwhy_core::render::json;
use sshwhy_core::render::terminal::{self, TextOptions};
use std::io::IsTerminal;
use std::net::IpAddr;

#[derive(Serialize)]
struct Answer<'a> {
    findings: &'a [Finding],
    gates: &'a [Look],
    observations: &'a [Observation],
    blind: &'a [String],
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a fix::Outcome>,
}

pub fn run(args: Args) -> Result<Exit, String> {
    if let Some(id) = &args.fix_watch {
        fix::watch(&args.fix_state, id, args.stop_at)?;
        return Ok(Exit::Ok);
    }
    if let Some(id) = &args.confirm {
        let said = fix::confirm(&args.fix_state, id)?;
        super::report::print(format!("{said}\n").as_bytes())?;
        return Ok(Exit::Ok);
    }
    if args.recover {
        let said = fix::recover(&args.fix_state)?;
        let text = match said.is_empty() {
            true => format!("Nothing to take back in {}.\n", args.fix_state.display()),
            false => said
                .iter()
                .map(|l| format!("{}\n", escape::terminal(l)))
                .collect(),
        };
        super::report::print(text.as_bytes())?;
        return Ok(Exit::Ok);
    }
    if let Some(path) = &args.dockerfile {
        return dockerfile(&args, path);
    }
    let image = match &args.image {
        Some(path) => Some(image::read(path)?),
        None => None,
    };
    let laid = image.as_ref().map(|i| i.root().to_owned());
    let machine = match args.root.as_ref().or(laid.as_ref()) {
        Some(dir) if !dir.is_dir() => return Err(format!("{} is no folder", dir.display())),
        Some(dir) => Machine::at(dir),
        None => Machine::here(),
    };
    let from = match args.from.as_deref() {
        Some(text) => Some(host::address(text).ok_or_else(|| format!("{text:?} is no address"))?),
        None => None,
    };
    let mut blind = Vec::new();
    let client = client(&args, &mut blind);
    let said = |key: &str| {
        client
            .iter()
            .find(|o| o.key == key)
            .map(|o| o.value.clone())
    };
    let from = as_called(from, &client, &mut blind);
    let question = Question {
        user: args.user.clone().or_else(|| said("target.user")),
        from,
        port: args
            .port
            .or_else(|| said("target.port").and_then(|p| p.parse().ok())),
        keys: fingerprints(&args.key, &client)?,
    };
    let zone = zone::local();
    let now = super::reading::now();
    let seen = host::look(&machine, &question, &zone, now);
    let mut observations = seen.observations;
    observations.extend(client);
    observations.extend(joined(&observations));
    blind.extend(seen.blind);
    let case = Case {
        user: question.user.clone(),
        port: question.port,
        client_addr: from.map(|f| f.to_string()),
        ..Case::default()
    };
    let mut diagnosis = diagnose(&case, &observations);
    let mut notes = seen.notes;
    if let Some(image) = &image {
        // The image's own judgement knows how a container starts; a machine's would miss what nobody runs yet.
        diagnosis
            .findings
            .retain(|f| !OF_A_RUNNING_MACHINE.contains(&f.slug));
        diagnosis.findings.extend(judge(&image.facts));
        diagnosis.findings.sort_by(Finding::order);
        notes.extend(image.notes.iter().cloned());
        blind.retain(|b| b != "no log of sshd could be read");
    }
    let mut answer = Answer {
        findings: &diagnosis.findings,
        gates: &diagnosis.looks,
        observations: &observations,
        blind: &blind,
        notes: &notes,
        fix: None,
    };
    if args.fix && args.format == TextOrJson::Text {
        super::report::print(shown(&answer, &question, &zone).as_bytes())?;
    }
    let outcome = match args.fix {
        true => Some(mend(
            &args,
            &machine,
            &question,
            &diagnosis.findings,
            &observations,
        )?),
        false => None,
    };
    answer.fix = outcome.as_ref();
    let text = match (args.format, &outcome) {
        (TextOrJson::Json, _) => json::to_string(&answer, false),
        (TextOrJson::Text, Some(outcome)) => mended(outcome, &args),
        (TextOrJson::Text, None) => shown(&answer, &question, &zone),
    };
    let text = match args.redact {
        true => redacted(text, &question),
        false => text,
    };
    super::report::print(text.as_bytes())?;
    Ok(match outcome.map(|o| o.result) {
        Some("reverted") => Exit::Partial,
        _ => Exit::of(&diagnosis.findings, !blind.is_empty()),
    })
}

/// Causes that say of a machine what is the rule for an image.
const OF_A_RUNNING_MACHINE: [&str; 3] = [
    "host-keys-missing",
    "privsep-dir-missing",
    "sshd-not-running",
];

#[derive(Serialize)]
struct OfDockerfile<'a> {
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'a str>,
    blind: &'a [String],
}

/// Judges a Dockerfile; with --fix, prints what to change in it.
fn dockerfile(args: &Args, path: &std::path::Path) -> Result<Exit, String> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| format!("{name}: {e}"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let file = parse(&text, &[]);
    let findings = judge(&from_dockerfile(&file, &name));
    let blind: Vec<String> = file
        .errors
        .iter()
        .map(|(line, why)| format!("{name}:{line}: {why}"))
        .collect();
    let (diff, left) = match args.fix {
        true => patch(&text, &name),
        false => (String::new(), Vec::new()),
    };
    let out = match args.format {
        TextOrJson::Json => json::to_string(
            &OfDockerfile {
                findings: &findings,
                patch: args.fix.then_some(diff.as_str()),
                blind: &blind,
            },
            false,
        ),
        // A patch is for patch(1): nothing else goes to standard output.
        TextOrJson::Text if args.fix => {
            for slug in left {
                eprintln!("Not in the patch: {slug}");
            }
            diff
        }
        TextOrJson::Text => {
            let zone = zone::local();
            let mut options = TextOptions::new(&zone);
            options.colour = std::io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            let mut out = match findings.is_empty() {
                true => "A container from this takes SSH logins, as far as the Dockerfile tells.\n"
                    .to_owned(),
                false => terminal::findings(&findings, &options),
            };
            for b in &blind {
                out.push_str(&format!("Not understood: {}\n", escape::terminal(b)));
            }
            out
        }
    };
    super::report::print(out.as_bytes())?;
    Ok(Exit::of(&findings, !blind.is_empty()))
}

/// Shows the plan, and does it.
fn mend(
    args: &Args,
    machine: &Machine,
    question: &Question,
    findings: &[Finding],
    observations: &[Observation],
) -> Result<fix::Outcome, String> {
    let plan = fix::plan_for(machine, question, findings, observations);
    if args.format == TextOrJson::Text {
        super::report::print(planned(&plan).as_bytes())?;
    }
    let root = args.root.clone().unwrap_or_else(|| "/".into());
    let options = fix::Options {
        root,
        live: machine.is_live(),
        state: args.fix_state.clone(),
        dry_run: args.dry_run,
        within: args.confirm_within,
        keys: args
            .key
            .iter()
            .map(std::path::PathBuf::from)
            .filter(|p| p.extension().is_none_or(|e| e != "pub") && p.is_file())
            .collect(),
        stop_at: args.stop_at,
    };
    let zone = zone::local();
    let again = || {
        let machine = match &args.root {
            Some(dir) => Machine::at(dir),
            None => Machine::here(),
        };
        let seen = host::look(&machine, question, &zone, super::reading::now());
        let case = Case {
            user: question.user.clone(),
            port: question.port,
            client_addr: question.from.map(|f| f.to_string()),
            ..Case::default()
        };
        // What the log says of earlier attempts is no fact about now.
        let now: Vec<Observation> = seen
            .observations
            .into_iter()
            .filter(|o| !o.key.starts_with("log.") && o.key != "ban.log")
            .collect();
        diagnose(&case, &now).findings
    };
    fix::run(machine, plan, question, &options, &again)
}

fn planned(plan: &sshwhy_core::plan::Plan) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        out.push_str(&format!("{}: {}", step.cause, escape::terminal(&step.why)));
        if step.risk != "none" {
            out.push_str(&format!(" (know before: {})", step.risk));
        }
        out.push('\n');
    }
    for line in plan.diff().lines() {
        out.push_str(&format!("    {}\n", escape::terminal(line)));
    }
    for left in &plan.left {
        out.push_str(&format!(
            "Not mended: {}: {}\n",
            left.cause,
            escape::terminal(&left.why)
        ));
    }
    out
}

fn mended(outcome: &fix::Outcome, args: &Args) -> String {
    let mut out: String = outcome
        .proof
        .iter()
        .map(|p| format!("  {}\n", escape::terminal(p)))
        .collect();
    let id = outcome.id.as_deref().unwrap_or_default();
    out.push_str(&match outcome.result {
        "nothing" => "Nothing here that may be mended without a person.\n".to_owned(),
        "dry-run" => "That is what --fix would do. Nothing was changed.\n".to_owned(),
        "applied" => {
            let state = match args.fix_state == std::path::Path::new(fix::STATE) {
                true => String::new(),
                false => format!(" --fix-state {}", args.fix_state.display()),
            };
            format!(
                "Done. Keep this session, log in anew, and say there within {} s that it works, or all of it is taken back:\n    sshwhy doctor --confirm {id}{state}\n",
                args.confirm_within
            )
        }
        _ => format!(
            "Taken back, everything is as it was: {}\n",
            escape::terminal(outcome.why.as_deref().unwrap_or_default())
        ),
    });
    out
}

/// The address to judge: where the client called over the other family than the given address has, its own one there.
fn as_called(
    from: Option<IpAddr>,
    client: &[Observation],
    blind: &mut Vec<String>,
) -> Option<IpAddr> {
    let given = from?;
    let called = |o: &&Observation| o.key == "tcp.connect" && o.source.starts_with("probe");
    let mut called = client.iter().filter(called).peekable();
    let v6 = |o: &Observation| o.about.starts_with('[');
    if called.peek().is_none() || called.any(|o| v6(o) == given.is_ipv6()) {
        return from;
    }
    let other = client
        .iter()
        .filter(|o| o.key == "route.source")
        .filter_map(|o| o.value.parse::<IpAddr>().ok())
        .find(|ip| ip.is_ipv6() != given.is_ipv6());
    if let Some(ip) = other {
        blind.push(format!(
            "{given} is not judged: the client called over {}, from {ip}",
            if ip.is_ipv6() { "IPv6" } else { "IPv4" }
        ));
    }
    other.or(from)
}

/// What neither side sees alone.
fn joined(all: &[Observation]) -> Vec<Observation> {
    let any = |key: &str, about: &str, values: &[&str]| {
        all.iter().any(|o| {
            o.key == key
                && (about.is_empty() || o.about == about)
                && values.contains(&o.value.as_str())
        })
    };
    let mut out = Vec::new();
    let in_log = all
        .iter()
        .any(|o| o.key == "log.outcome" && o.value != "no-trace");
    if let (false, Some(end)) = (
        in_log,
        all.iter()
            .find(|o| o.key == "auth.end" && matches!(o.value.as_str(), "denied" | "too-many")),
    ) {
        out.push(
            Observation::new(
                Gate::Auth,
                "log.outcome",
                "refused-client",
                end.source.clone(),
            )
            .text(end.text.clone()),
        );
    }
    let password = any("conf.method", "password", &["off"])
        && !any("conf.method", "keyboard-interactive", &["on"])
        && any("keys.file", "", &["missing", "empty"])
        && any("user.password", "", &["set"])
        && any("client.can-prompt", "", &["yes"])
        && !any("client.wants", "", &["key"]);
    if password {
        let text = "the account has a password and no key, and the client could have asked for it";
        out.push(
            Observation::new(Gate::Auth, "login.last-way", "password", "both sides").text(text),
        );
    }
    out
}

/// The client's observations; a file that holds none is no reason to say nothing.
fn client(args: &Args, blind: &mut Vec<String>) -> Vec<Observation> {
    let Some(path) = &args.client_json else {
        return Vec::new();
    };
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => {
            blind.push(format!("{}: {e}", path.display()));
            return Vec::new();
        }
    };
    match observation::read_json(&text) {
        Ok(read) => read.observations,
        Err(why) => {
            blind.push(format!("{}: {why}", path.display()));
            Vec::new()
        }
    }
}

/// Fingerprints that were given, that a key file has, or that the client offered.
fn fingerprints(keys: &[String], client: &[Observation]) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for key in keys {
        if key.starts_with("SHA256:") {
            out.push(key.clone());
            continue;
        }
        let text = std::fs::read_to_string(key)
            .or_else(|_| std::fs::read_to_string(format!("{key}.pub")))
            .map_err(|e| format!("{key}: {e}"))?;
        let text = if text.starts_with("-----") {
            std::fs::read_to_string(format!("{key}.pub")).unwrap_or_default()
        } else {
            text
        };
        let found = authorized_keys::lines(&text)
            .into_iter()
            .find_map(|(_, l)| match l {
                Line::Entry(e) => Some(e.key.fingerprint),
                Line::Malformed(_) => None,
            });
        out.push(found.ok_or_else(|| format!("{key}: no public key in it"))?);
    }
    let offered = client.iter().filter(|o| {
        o.key == "auth.key" && matches!(o.value.as_str(), "offered" | "refused" | "accepted")
    });
    for o in offered {
        let words = o
            .text
            .split_ascii_whitespace()
            .chain(o.about.split_ascii_whitespace());
        out.extend(
            words
                .filter(|w| w.starts_with("SHA256:"))
                .map(|w| w.trim_end_matches([',', '.']).to_owned()),
        );
    }
    out.sort();
    out.dedup();
    Ok(out)
}

fn shown(answer: &Answer<'_>, question: &Question, zone: &sshwhy_core::time::Zone) -> String {
    let on_terminal = std::io::stdout().is_terminal();
    let mut options = TextOptions::new(zone);
    options.colour = on_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let mut out = String::new();
    let who = match (&question.user, question.from) {
        (Some(u), Some(f)) => format!("{u} from {f}"),
        (Some(u), None) => u.clone(),
        (None, Some(f)) => format!("anybody from {f}"),
        (None, None) => "anybody".to_owned(),
    };
    let who = escape::terminal(&who).into_owned();
    let sure = answer
        .findings
        .iter()
        .filter(|f| f.confidence >= 0.5)
        .count();
    out.push_str(&match sure {
        0 => format!("Nothing on this machine keeps {who} out, as far as can be seen.\n"),
        1 => format!("One thing stands in the way of {who}.\n"),
        n => format!("{n} things stand in the way of {who}; the first one stops the login.\n"),
    });
    out.push('\n');
    out.push_str(&terminal::findings(answer.findings, &options));
    if sure == 0 {
        let mut keys: Vec<&str> = answer
            .observations
            .iter()
            .map(|o| o.key.split('.').next().unwrap_or_default())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        out.push_str(&format!(
            "Looked at {} facts: {}.\n",
            answer.observations.len(),
            keys.join(", ")
        ));
    }
    for b in answer.blind {
        out.push_str(&format!("Not seen: {}\n", escape::terminal(b)));
    }
    out
}

/// The same text without the name and addresses of the case, and without any other address in it.
fn redacted(text: String, question: &Question) -> String {
    let mut text = text;
    if let Some(user) = question.user.as_deref().filter(|u| u.len() > 1) {
        text = text.replace(user, "USER");
    }
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let is_ip = word.parse::<IpAddr>().is_ok() && word.len() > 3;
        out.push_str(if is_ip { "ADDR" } else { word });
        word.clear();
    };
    for c in text.chars() {
        if c.is_ascii_hexdigit() || c == '.' || c == ':' {
            word.push(c);
        } else {
            flush(&mut word, &mut out);
            out.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_takes_names_and_addresses_and_leaves_the_rest() {
        let q = Question {
            user: Some("alice".into()),
            ..Question::default()
        };
        assert_eq!(
            redacted(
                "alice from 192.0.2.7 port 22 (2001:db8::7) at 10:22:33".into(),
                &q
            ),
            "USER from ADDR port 22 (ADDR) at 10:22:33"
        );
    }
}
