//! What the log says of this user's and this address's last attempts, and of the daemon itself.

use super::check::file_line;
use super::{Scene, kernel, log};
use sshwhy_core::addr::Cidr;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::Observation;
use sshwhy_core::server::pam;
use std::net::IpAddr;

/// How long ago an attempt may be and still say how far the client gets now.
const RECENT: i64 = 15 * 60 * 1_000_000;

/// How long ago a complaint may be and still be about the client who asks now.
const JUST_NOW: i64 = 2 * 60 * 1_000_000;

/// How long after a module sshd itself says that the password was wrong: pam_unix waits for two seconds, give or take one.
const PROMPTED: i64 = 8_000_000;

/// Whether the log would have a line about a client that reached sshd: at INFO, the default, each leaves one.
fn alive(scene: &mut Scene<'_>) {
    let level = scene.effective.value("LogLevel").to_ascii_uppercase();
    if matches!(level.as_str(), "QUIET" | "FATAL" | "ERROR") {
        return;
    }
    let listener = scene.processes.iter().find(|p| p.is_listener());
    let since = listener.and_then(|p| kernel::started(scene, p.pid));
    let (Some(since), Some(last)) = (since, scene.log.last) else {
        return;
    };
    // Both clocks are read in whole seconds.
    if last.secs() + 2 < since {
        return;
    }
    let stray = scene.log.stray.clone();
    let stray = stray.filter(|l| l.at.is_some_and(|at| scene.now.0 - at.0 < JUST_NOW));
    let (value, text) = match &stray {
        Some(l) => ("complains", l.text.clone()),
        None => (
            "yes",
            format!("sshd logs at level {level}, and has logged since it runs"),
        ),
    };
    let source = scene.log.sources.join(", ");
    scene.say(Gate::Tcp, "log.alive", value, "", text, source);
}

/// What the log says of the last attempts.
pub(super) fn attempts(scene: &mut Scene<'_>) {
    let user = scene.question.user.clone();
    let from = scene.question.from;
    let trouble = scene
        .seen
        .observations
        .iter()
        .any(|o| o.key == "sshd.process" && o.value != "running");
    // What the daemon said of itself since it last began to listen.
    let since = scene
        .log
        .daemon
        .iter()
        .rposition(|l| l.text.starts_with("Server listening"))
        .map_or(0, |i| i + 1);
    let own: Vec<log::Said> = scene
        .log
        .daemon
        .iter()
        .skip(if trouble { 0 } else { since })
        .filter(|l| !l.cause.is_empty())
        .cloned()
        .collect();
    // Latest first; what names a file and line before what only follows from it.
    let (placed, rest): (Vec<&log::Said>, Vec<&log::Said>) = own
        .iter()
        .rev()
        .partition(|l| !file_line(&l.text).is_empty());
    for l in placed.into_iter().chain(rest).take(12) {
        scene.seen.observations.push(
            Observation::new(Gate::Tcp, "log.daemon", l.cause, l.source.clone())
                .about(file_line(&l.text))
                .text(l.text.clone())
                .at(l.at),
        );
    }
    if own.iter().any(|l| l.slug == "bind-permission-denied") {
        let said = own
            .iter()
            .rev()
            .find(|l| l.slug == "bind-permission-denied");
        let (text, source) =
            said.map_or_else(Default::default, |l| (l.text.clone(), l.source.clone()));
        scene.say(Gate::Tcp, "sshd.bind", "denied", "", text, source);
    }
    penalty(scene);
    if user.is_none() && from.is_none() {
        return;
    }
    let all: Vec<log::Connection> = scene
        .log
        .attempts(user.as_deref(), from)
        .into_iter()
        .cloned()
        .collect();
    let Some(newest) = all.first() else {
        if !scene.log.sources.is_empty() {
            scene.say(
                Gate::Tcp,
                "log.outcome",
                "no-trace",
                "",
                "the log has no line about this client",
                scene.log.sources.join(", "),
            );
            alive(scene);
        }
        return;
    };
    let lead = all
        .iter()
        .find(|c| c.user.is_some() || c.lines.iter().any(|l| !l.cause.is_empty()))
        .unwrap_or(newest)
        .clone();
    let near = |c: &&log::Connection| match (lead.last, c.last) {
        (Some(a), Some(b)) => (a.0 - b.0).abs() < 120_000_000,
        _ => true,
    };
    let accepted = lead
        .lines
        .iter()
        .position(|l| l.slug.starts_with("accepted"));
    let outcome = outcome(&lead);
    // The line that tells it, and not the one with which the connection is closed.
    let tells = |l: &&log::Said| match outcome {
        "denied-password" => l.text.contains("Failed ") || l.slug == "pam-authentication-failed",
        "denied-account" => denies_account(l),
        "denied-key" => l.text.contains("Failed publickey"),
        _ => false,
    };
    let end = lead
        .lines
        .iter()
        .rev()
        .find(tells)
        .or_else(|| lead.lines.iter().rev().find(|l| !l.text.is_empty()))
        .cloned();
    if let Some(l) = &end {
        scene.seen.observations.push(
            Observation::new(Gate::Auth, "log.outcome", outcome, l.source.clone())
                .about(lead.user.clone().unwrap_or_default())
                .text(l.text.clone())
                .at(l.at),
        );
    }
    let mut said: Vec<log::Said> = Vec::new();
    for (i, c) in all.iter().filter(near).enumerate() {
        let was_in = c.lines.iter().position(|l| l.slug.starts_with("accepted"));
        if accepted.is_some() && i > 0 && was_in.is_none() && c.last <= lead.last {
            continue;
        }
        said.extend(
            c.lines
                .iter()
                .skip(was_in.unwrap_or(0))
                .filter(|l| !l.cause.is_empty())
                .cloned(),
        );
    }
    said.retain(|l| {
        let Some((stack, module)) = module_of(&l.text).filter(|_| l.cause == "pam-denied") else {
            return true;
        };
        let rules = rules_of(scene, stack, module);
        rules.is_empty() || !rules.iter().all(is_optional)
    });
    let mut slugs: Vec<&str> = Vec::new();
    for l in said {
        if slugs.iter().filter(|s| **s == l.cause).count() < 2 {
            slugs.push(l.cause);
            scene.seen.observations.push(
                Observation::new(Gate::Auth, "log.says", l.cause, l.source.clone())
                    .about(path_in(&l.text))
                    .text(l.text.clone())
                    .at(l.at),
            );
        }
    }
    if let Some((l, rule)) = refusing(scene, &lead)
        && matches!(outcome, "denied-account" | "denied-password")
    {
        let text = match &rule {
            Some(r) => format!("{} ({}, {})", l.text, r.module, r.place()),
            None => l.text.clone(),
        };
        let seen = Observation::new(Gate::Auth, "log.module", "refused", l.source.clone())
            .about(rule.map(|r| r.place()).unwrap_or_default())
            .text(text)
            .at(l.at);
        scene.seen.observations.push(seen);
    }
    let method = |m: &str| {
        lead.lines
            .iter()
            .any(|l| l.text.contains(&format!(" {m} for ")))
    };
    let password = method("password")
        || method("keyboard-interactive/pam")
        || lead
            .lines
            .iter()
            .any(|l| l.slug.starts_with("pam-") && l.text.contains(":auth)"));
    if password {
        scene.say(Gate::Auth, "log.method", "password", "", "", "log");
    }
    // Behind prompts PAM's modules speak in a process of their own, which names the user and no port.
    let of_modules = |c: &&log::Connection| {
        let at_once =
            matches!((lead.last, c.last), (Some(a), Some(b)) if (a.0 - b.0).abs() < PROMPTED);
        at_once && c.lines.iter().all(|l| module_of(&l.text).is_some())
    };
    let wrong = std::iter::once(&lead)
        .chain(all.iter().filter(of_modules))
        .flat_map(|c| c.lines.iter().rev())
        .find(|l| says_wrong(scene, l))
        .filter(|_| outcome == "denied-password");
    if let Some(l) = wrong {
        let (text, source) = (l.text.clone(), l.source.clone());
        scene.say(Gate::Auth, "log.password", "wrong", "", text, source);
    }
    if method("publickey") {
        scene.say(Gate::Auth, "log.method", "publickey", "", "", "log");
    }
    if let Some(i) = accepted
        && let (Some(a), Some(b)) = (lead.lines.get(i).and_then(|l| l.at), lead.last)
    {
        let value = if b.0 - a.0 < 2_500_000 {
            "moment"
        } else {
            "while"
        };
        scene.say(
            Gate::Session,
            "log.lasted",
            value,
            "",
            format!(
                "{:.1} s from login to the last line",
                (b.0 - a.0) as f64 / 1e6
            ),
            "log",
        );
    }
    if lead.says("subsystem request for sftp") {
        scene.say(Gate::Session, "log.subsystem", "sftp", "", "", "log");
    }
    let fresh = lead.last.is_none_or(|t| scene.now.0 - t.0 < RECENT);
    if !fresh || trouble {
        return;
    }
    let elsewhere = scene.question.port.is_none()
        && scene
            .seen
            .observations
            .iter()
            .any(|o| o.key == "sshd.listen" && o.value == "other-port");
    let mut state = |gate: Gate, value: &str| {
        scene
            .seen
            .observations
            .push(Observation::new(gate, "gate.state", value, "log"));
    };
    if elsewhere {
        // It got to sshd, so the other port is the one it calls.
        state(Gate::Tcp, "passed");
    }
    if lead.user.is_some() {
        for gate in [Gate::Ident, Gate::Kex, Gate::HostKey] {
            if newest.user.is_some() {
                state(gate, "passed");
            }
        }
        if accepted.is_some() {
            state(Gate::Auth, "passed");
        } else {
            state(Gate::Auth, "failed");
        }
    }
}

/// PerSourcePenalties: what the log says of the client's address, where its time is not over
/// (`srclimit_penalise: 192.0.2.7/32: activating ipv4 penalty of 90 seconds for penalty: caused crash`).
fn penalty(scene: &mut Scene<'_>) {
    let Some(from) = scene.question.from else {
        return;
    };
    let connections = scene.log.connections.iter().flat_map(|c| &c.lines);
    let active = scene
        .log
        .daemon
        .iter()
        .chain(connections)
        .filter_map(|l| Some((l, punished(&l.text, from)?, l.at?)))
        .map(|(l, secs, at)| (l, at.secs() + secs - scene.now.secs()))
        .filter(|(_, left)| *left > 0)
        .max_by_key(|(_, left)| *left);
    if let Some((said, left)) = active {
        let reason = said.text.rsplit("penalty: ").next().unwrap_or_default();
        let seen = Observation::new(Gate::Ident, "load.penalty", "active", said.source.clone())
            .about(reason)
            .text(format!("{left} s left of: {}", said.text))
            .at(said.at);
        scene.seen.observations.push(seen);
    }
}

/// For how many seconds the line says that the address is punished.
fn punished(text: &str, from: IpAddr) -> Option<i64> {
    let rest = text.split_once("srclimit_penalise: ")?.1;
    if rest.contains("deferred penalty") {
        return None;
    }
    let word = |w: &&str| w.contains(['.', ':']);
    let block = rest
        .split_ascii_whitespace()
        .filter(word)
        .map(|w| w.trim_end_matches(':'))
        .find_map(Cidr::parse)?;
    let secs = rest.split_once("penalty of ")?.1.split(' ').next()?;
    let secs = secs.trim_end_matches('s').parse().ok()?;
    block.contains(from).then_some(secs)
}

fn denies_account(l: &log::Said) -> bool {
    l.text.contains("by PAM account configuration")
}

/// The stack and the module of a line that a PAM module wrote: `pam_exec(sshd:auth): …`.
fn module_of(text: &str) -> Option<(&str, &str)> {
    let (head, _) = text.split_once("): ")?;
    let (module, service) = head.split_once('(')?;
    let (_, stack) = service.split_once(':')?;
    let word = |w: &str| w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (module.starts_with("pam_") && word(module) && word(stack)).then_some((stack, module))
}

/// The module that said no where the password was right or nobody looked at it: none of those that compare passwords says that it
/// was wrong.
fn refusing<'c>(
    scene: &Scene<'_>,
    c: &'c log::Connection,
) -> Option<(&'c log::Said, Option<pam::Rule>)> {
    const NO: [&str; 7] = [
        "fail",
        "denied",
        "deny",
        "refus",
        "reject",
        "not allowed",
        "invalid",
    ];
    const STUCK: [&str; 3] = ["could not", "cannot", "unable to"];
    let account = c.lines.iter().any(denies_account);
    if !account && c.says("authentication failure") {
        return None;
    }
    c.lines.iter().rev().find_map(|l| {
        let (stack, module) = module_of(&l.text)?;
        let mine = stack == if account { "account" } else { "auth" };
        let lower = l.text.to_ascii_lowercase();
        let says_no = NO.iter().any(|w| lower.contains(w));
        // What a module has no answer for fails as well, where its answer counts.
        let stuck = STUCK.iter().any(|w| lower.contains(w))
            && rules_of(scene, stack, module)
                .iter()
                .any(|r| matches!(r.control.as_str(), "required" | "requisite"));
        let says_no = says_no || stuck;
        // What has a cause of its own is told by that.
        let general = matches!(l.cause, "" | "pam-denied");
        if !mine || !says_no || !general {
            return None;
        }
        let rules = rules_of(scene, stack, module);
        let counts = rules.iter().find(|r| !is_optional(r)).cloned();
        (counts.is_some() || rules.is_empty()).then_some((l, counts))
    })
}

/// The rules with that module in that stack.
fn rules_of(scene: &Scene<'_>, stack: &str, module: &str) -> Vec<pam::Rule> {
    let (mut rules, _) = pam::rules(scene.machine, scene.pam_service());
    let file = format!("{module}.so");
    rules.retain(|r| r.kind == stack && r.module == file);
    rules
}

/// Whether a failure of the rule decides nothing.
fn is_optional(rule: &pam::Rule) -> bool {
    rule.control.eq_ignore_ascii_case("optional")
}

/// How the connection ended.
fn outcome(c: &log::Connection) -> &'static str {
    let any = |f: &dyn Fn(&log::Said) -> bool| c.lines.iter().any(f);
    if any(&|l| l.slug.starts_with("accepted")) {
        return "accepted";
    }
    // PAM's account stack comes after the proof: sshd logs its refusal as a failed password too.
    if any(&denies_account) {
        return "denied-account";
    }
    if any(&|l| {
        l.text.contains("Failed password for")
            || l.text.contains("Failed keyboard-interactive")
            // Of the prompts of PAM this is all that is said where the level is not VERBOSE.
            || l.slug == "pam-authentication-failed"
    }) {
        return "denied-password";
    }
    if any(&|l| l.text.contains("drop connection") || l.text.contains("refused connect")) {
        return "dropped";
    }
    if any(&|l| l.text.contains("Invalid user") || l.text.contains("not allowed because")) {
        return "refused";
    }
    if any(&|l| l.text.contains("Failed publickey")) {
        return "denied-key";
    }
    if any(&|l| l.text.contains("authenticating user") || l.text.contains("invalid user")) {
        return "gave-up";
    }
    if c.user.is_some() {
        "refused"
    } else {
        "closed-early"
    }
}

/// Whether the line is of somebody who compared the password: a module for that, or sshd itself where PAM is off.
fn says_wrong(scene: &Scene<'_>, l: &log::Said) -> bool {
    const COMPARES: [&str; 6] = [
        "pam_unix",
        "pam_sss",
        "pam_krb5",
        "pam_ldap",
        "pam_winbind",
        "pam_userdb",
    ];
    if !scene.uses_pam() {
        return l.text.contains("Failed password for");
    }
    module_of(&l.text).is_some_and(|(stack, module)| {
        stack == "auth" && COMPARES.contains(&module) && l.text.contains("authentication failure")
    })
}

/// The first absolute path in a message.
fn path_in(text: &str) -> String {
    let at = text
        .find(" /")
        .map(|i| i + 1)
        .or_else(|| text.starts_with('/').then_some(0))
        .or_else(|| text.find("\"/").map(|i| i + 1));
    let Some(path) = at.and_then(|i| text.get(i..)) else {
        return String::new();
    };
    let end = path.find([' ', '"', ',']).unwrap_or(path.len());
    path.get(..end)
        .unwrap_or_default()
        .trim_end_matches(':')
        .to_owned()
}
