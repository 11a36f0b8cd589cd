//! `doctor`: why can't they get in? Looks at the machine, joins what the client's probe saw, and says what stands in the way.

use super::both_sides;
use super::report::options;
use crate::cli::{Doctor as Args, TextOrJson};
use crate::exit::Exit;
use crate::fix;
use crate::host::machine::Machine;
use crate::host::{self, Question};
use crate::image;
use crate::zone;
use serde::Serialize;
use sshwhy_core::config::authorized_keys::{self, Line};
use sshwhy_core::diagnose::{Case, Look, diagnose};
use sshwhy_core::finding::Finding;
use sshwhy_core::image::dockerfile::parse;
use sshwhy_core::image::{from_dockerfile, judge, patch};
use sshwhy_core::observation::{self, Observation};
use sshwhy_core::probe::redact::Redactor;
use sshwhy_core::render::escape;
use sshwhy_core::render::json;
use sshwhy_core::render::layout;
use sshwhy_core::render::terminal;
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
    let from = both_sides::as_called(from, &client, &mut blind);
    let question = Question {
        user: args.user.clone().or_else(|| said("target.user")),
        from,
        port: args
            .port
            .or_else(|| said("target.port").and_then(|p| p.parse().ok())),
        to: both_sides::called(&client, from),
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
    if let Some(image) = &image {
        notes.extend(image.notes.iter().cloned());
        blind.retain(|b| b != "no log of sshd could be read");
    }
    if args.redact {
        if args.fix {
            return Err(
                "--fix needs the real names: run once with --redact to show, once with --fix to mend"
                    .to_owned(),
            );
        }
        let mut hide = redactor(&question, &observations);
        hide.case(&mut case);
        observations.iter_mut().for_each(|o| hide.observation(o));
        for text in blind.iter_mut().chain(&mut notes).chain([&mut who]) {
            *text = hide.text(text);
        }
    }
    let mut diagnosis = diagnose(&case, &observations);
    if let Some(image) = &image {
        // The image's own judgement knows how a container starts; a machine's would miss what nobody runs yet.
        diagnosis
            .findings
            .retain(|f| !OF_A_RUNNING_MACHINE.contains(&f.slug));
        diagnosis.findings.extend(judge(&image.facts));
        diagnosis.findings.sort_by(Finding::order);
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
        super::report::print(shown(&answer, &who, &zone).as_bytes())?;
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
        (TextOrJson::Text, None) => shown(&answer, &who, &zone),
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
            let options = options(&zone, std::io::stdout().is_terminal());
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
        let line = line.replace('\t', "    ");
        out.push_str(&format!("    {}\n", escape::terminal(&line)));
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

/// Where an enabled sshwhy-fix-recover.service shows.
const BOOT_UNIT: [&str; 2] = [
    "/etc/systemd/system/multi-user.target.wants/sshwhy-fix-recover.service",
    "/usr/lib/systemd/system/multi-user.target.wants/sshwhy-fix-recover.service",
];

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
            let mut text = format!(
                "Done. Keep this session, log in anew, and say there within {} s that it works, or all of it is taken back:\n    sshwhy doctor --confirm {id}{state}\n",
                args.confirm_within
            );
            if args.root.is_none() && !BOOT_UNIT.iter().any(|p| std::path::Path::new(p).exists()) {
                text.push_str(&format!(
                    "Should the machine go down before that, this takes it back: sshwhy doctor --recover{state}\n(sshwhy-fix-recover.service does so at boot, and is not enabled here)\n"
                ));
            }
            text
        }
        _ => format!(
            "Taken back, everything is as it was: {}\n",
            escape::terminal(outcome.why.as_deref().unwrap_or_default())
        ),
    });
    out
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

/// What the first part of a fact's key is about, in the order of the gates.
const LOOKED: [(&str, &str); 16] = [
    ("sshd", "the daemon and its files"),
    ("unit", "its systemd unit"),
    ("port", "who else has the port"),
    ("load", "its load"),
    ("kernel", "limits of the kernel"),
    ("clock", "the clock"),
    ("route", "the way back"),
    ("fw", "the packet filter"),
    ("ban", "bans"),
    ("wrappers", "hosts.allow and hosts.deny"),
    ("conf", "sshd_config"),
    ("user", "the account"),
    ("keys", "its keys"),
    ("pam", "PAM"),
    ("session", "the session"),
    ("log", "the log"),
];

fn shown(answer: &Answer<'_>, who: &str, zone: &sshwhy_core::time::Zone) -> String {
    let options = options(zone, std::io::stdout().is_terminal());
    let mut out = String::new();
    let who = escape::terminal(who).into_owned();
    let sure = answer
        .findings
        .iter()
        .filter(|f| f.confidence >= 0.5)
        .count();
    let first = match (answer.findings.first(), sure) {
        (None, _) | (_, 0) => {
            format!("Nothing on this machine keeps {who} out, as far as can be seen.")
        }
        (Some(f), 1) => format!("What keeps {who} out: {}", escape::terminal(&f.headline)),
        (Some(f), n) => format!(
            "The first of {n} things that keep {who} out: {}",
            escape::terminal(&f.headline)
        ),
    };
    for line in layout::wrap(&first, options.width) {
        out.push_str(&line);
        out.push('\n');
    }
    out.push('\n');
    // What is only possible must not look like what is known.
    let (known, mut possible): (Vec<Finding>, Vec<Finding>) = answer
        .findings
        .iter()
        .cloned()
        .partition(|f| f.confidence >= 0.5);
    out.push_str(&terminal::findings(&known, &options));
    if !possible.is_empty() {
        // Steps are for what is known; whoever wants these asks for them.
        possible.iter_mut().for_each(|f| f.remedy.clear());
        out.push_str(
            "\nLess than likely here, and worth knowing (sshwhy explain ID says what to do):\n\n",
        );
        out.push_str(&terminal::findings(&possible, &options));
    }
    if sure == 0 {
        let looked: Vec<&str> = LOOKED
            .iter()
            .filter(|(part, _)| {
                let of = |key: &str| key.split('.').next() == Some(part);
                answer.observations.iter().any(|o| of(o.key.as_ref()))
            })
            .map(|(_, words)| *words)
            .collect();
        out.push_str(&format!(
            "{} facts, about {}.\n",
            answer.observations.len(),
            looked.join(", ")
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
