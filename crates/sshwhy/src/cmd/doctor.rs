//! `doctor`: why can't they get in? Looks at the machine, joins what the client's probe saw, and says what stands in the way.

use super::both_sides;
use crate::cli::{Doctor as Args, TextOrJson};
use crate::exit::Exit;
use crate::host::machine::Machine;
use crate::host::{self, Question};
use crate::zone;
use serde::Serialize;
use sshwhy_core::config::authorized_keys::{self, Line};
use sshwhy_core::diagnose::{Case, Look, diagnose};
use sshwhy_core::finding::Finding;
use sshwhy_core::observation::{self, Observation};
use sshwhy_core::probe::redact::Redactor;
use sshwhy_core::render::escape;
use sshwhy_core::render::json;
use sshwhy_core::render::terminal::{self, TextOptions};
use std::io::{IsTerminal, Read};

/// A probe's answer is read up to here.
const MOST_JSON: u64 = 16 << 20;

#[derive(Serialize)]
struct Answer<'a> {
    findings: &'a [Finding],
    gates: &'a [Look],
    observations: &'a [Observation],
    blind: &'a [String],
    notes: &'a [String],
}

pub fn run(args: Args) -> Result<Exit, String> {
    let machine = match &args.root {
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
    let from = both_sides::as_called(from, &client, &mut blind);
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
    observations.extend(both_sides::joined(&observations));
    blind.extend(seen.blind);
    let mut case = Case {
        user: question.user.clone(),
        port: question.port,
        client_addr: from.map(|f| f.to_string()),
        ..Case::default()
    };
    let mut who = who(&question);
    let mut notes = seen.notes;
    if args.redact {
        let mut hide = redactor(&question, &observations);
        hide.case(&mut case);
        observations.iter_mut().for_each(|o| hide.observation(o));
        for text in blind.iter_mut().chain(&mut notes).chain([&mut who]) {
            *text = hide.text(text);
        }
    }
    let diagnosis = diagnose(&case, &observations);
    let answer = Answer {
        findings: &diagnosis.findings,
        gates: &diagnosis.looks,
        observations: &observations,
        blind: &blind,
        notes: &notes,
    };
    let text = match args.format {
        TextOrJson::Json => json::to_string(&answer, false),
        TextOrJson::Text => shown(&answer, &who, &zone),
    };
    super::report::print(text.as_bytes())?;
    Ok(Exit::of(&diagnosis.findings, !blind.is_empty()))
}

/// The client's observations; a file that holds none is no reason to say nothing.
fn client(args: &Args, blind: &mut Vec<String>) -> Vec<Observation> {
    let Some(path) = &args.client_json else {
        return Vec::new();
    };
    let read = match path.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            let stdin = std::io::stdin().lock();
            stdin.take(MOST_JSON).read_to_end(&mut bytes).map(|_| bytes)
        }
        false => std::fs::read(path),
    };
    let text = match read {
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

/// Whose login it is about.
fn who(question: &Question) -> String {
    match (&question.user, question.from) {
        (Some(u), Some(f)) => format!("{u} from {f}"),
        (Some(u), None) => u.clone(),
        (None, Some(f)) => format!("anybody from {f}"),
        (None, None) => "anybody".to_owned(),
    }
}

fn shown(answer: &Answer<'_>, who: &str, zone: &sshwhy_core::time::Zone) -> String {
    let on_terminal = std::io::stdout().is_terminal();
    let mut options = TextOptions::new(zone);
    options.colour = on_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let mut out = String::new();
    let who = escape::terminal(who).into_owned();
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
    // Known causes stand first; what is only possible must not look like them.
    let (known, possible) = answer.findings.split_at(sure.min(answer.findings.len()));
    out.push_str(&terminal::findings(known, &options));
    if !possible.is_empty() {
        out.push_str("\nLess than likely here, and worth knowing:\n\n");
        out.push_str(&terminal::findings(possible, &options));
    }
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

/// What must not be shown: the user, the hosts by any name that came up, and every address.
fn redactor(question: &Question, observations: &[Observation]) -> Redactor {
    let mut hide = Redactor::default();
    if let Some(user) = &question.user {
        hide.hide(user, "USER");
    }
    let named = |key: &str| {
        observations
            .iter()
            .filter(move |o| o.key == key)
            .map(|o| o.value.clone())
            .collect::<Vec<_>>()
    };
    for user in named("target.user") {
        hide.hide(&user, "USER");
    }
    for host in named("target.host") {
        hide.hide(&host, "HOST");
    }
    if let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        hide.hide(name.trim(), "SERVER");
    }
    hide
}

#[cfg(test)]
mod tests {
    use super::*;
    use sshwhy_core::catalog::causes::Gate;

    #[test]
    fn redaction_takes_names_and_addresses_and_leaves_the_rest() {
        let question = Question {
            user: Some("alice".into()),
            ..Question::default()
        };
        let host = Observation::new(Gate::Name, "target.host", "box.corp.test", "probe");
        let mut hide = redactor(&question, &[host]);
        let text = hide.text("alice from 10.1.2.7 port 22 at box.corp.test, malice at 10:22:33");
        for gone in [" alice ", "10.1.2.7", "box.corp.test"] {
            assert!(!text.contains(gone), "{text}");
        }
        assert!(
            text.starts_with("USER from ") && text.ends_with("malice at 10:22:33"),
            "{text}"
        );
    }
}
