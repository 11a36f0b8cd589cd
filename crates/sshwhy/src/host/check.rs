//! Whether sshd_config is sound: to our own reading of it, and to `sshd -t`.

use super::{Scene, daemon};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::config::parse::{Level, Shown};
use sshwhy_core::event::catalog;
use sshwhy_core::line::Program;
use sshwhy_core::observation::Observation;

/// Whether the file is sound to us and to `sshd -t`.
pub(super) fn configuration(scene: &mut Scene<'_>, binary: Option<&daemon::Binary>) {
    let errors: Vec<(String, String)> = scene
        .config
        .diagnostics
        .iter()
        .filter(|d| d.level == Level::Error)
        .map(|d| {
            (
                scene.config.place(d.pos),
                // The first line; what follows is for a terminal.
                Shown(&scene.config, d)
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            )
        })
        .collect();
    for (place, text) in &errors {
        scene.say(
            Gate::Tcp,
            "sshd.config",
            "error",
            place.clone(),
            text.clone(),
            place.clone(),
        );
    }
    // It starts with these, and ends a connection for which the block holds when its user is named.
    let ends: Vec<(String, String)> = scene
        .effective
        .refusals
        .iter()
        .map(|d| (scene.config.place(d.pos), d.message.clone()))
        .collect();
    for (place, text) in ends {
        scene.say(
            Gate::Auth,
            "conf.refusal",
            "ends",
            place.clone(),
            format!("{text}: sshd ends this connection"),
            place,
        );
    }
    let Some(binary) = binary else {
        if scene.machine.is_running() {
            scene.say(
                Gate::Tcp,
                "sshd.binary",
                "missing",
                "/usr/sbin/sshd",
                "no sshd binary was found",
                "/usr/sbin",
            );
        }
        return;
    };
    let path = scene.config_file.clone();
    let Some(answer) = scene
        .machine
        .ask("sshd-t", &binary.path, &["-t", "-f", &path])
    else {
        return;
    };
    if answer.ok {
        return;
    }
    let mut known = false;
    for line in answer
        .err
        .lines()
        .chain(answer.out.lines())
        .filter(|l| !l.trim().is_empty())
    {
        let line = line.trim_end_matches('\r');
        let event = catalog().event(Program::Sshd, b"sshd", line.as_bytes());
        let cause = event.map_or("", |e| e.message().cause);
        let place = file_line(line);
        match cause {
            "host-keys-missing"
            | "host-key-permissions"
            | "privsep-dir-missing"
            | "privsep-user-missing" => {
                scene.say(Gate::Tcp, "sshd.test", cause, place, line, "sshd -t");
            }
            _ if line.contains("line ") || cause == "sshd-config-error" => {
                known = true;
                scene.say(
                    Gate::Tcp,
                    "sshd.test",
                    "sshd-config-error",
                    place,
                    line,
                    "sshd -t",
                );
            }
            _ => {}
        }
    }
    if !known
        && scene.seen.observations.iter().all(|o| o.key != "sshd.test")
        && !answer.err.trim().is_empty()
    {
        scene.say(
            Gate::Tcp,
            "sshd.test",
            "error",
            "",
            answer.err.trim(),
            "sshd -t",
        );
    }
}

/// Whether the line that the log names still has the word that it complains of: another release of sshd may take it, and the one that
/// is to be started does not.
fn still_there(scene: &Scene<'_>, said: &Observation) -> bool {
    let Some((file, line)) = said.about.rsplit_once(':') else {
        return false;
    };
    let number: usize = line.parse().unwrap_or(0);
    let text = scene.machine.text(file).unwrap_or_default();
    let Some(now) = text.lines().nth(number.wrapping_sub(1)) else {
        return false;
    };
    let word = said.text.split_ascii_whitespace().next_back();
    let word = word
        .unwrap_or_default()
        .trim_matches(|c: char| !c.is_ascii_alphanumeric());
    !word.is_empty()
        && now
            .to_ascii_lowercase()
            .contains(&word.to_ascii_lowercase())
}

/// The log names a mistake in a file, and sshd finds none there any more. What stood on its command line is not tried here.
pub(super) fn mended(scene: &mut Scene<'_>) {
    let told = |o: &Observation| o.key == "log.daemon" && o.value == "sshd-config-error";
    let stands = |o: &Observation| match o.key.as_str() {
        "sshd.test" => matches!(o.value.as_str(), "sshd-config-error" | "error"),
        "sshd.config" => true,
        _ => false,
    };
    let seen = &scene.seen.observations;
    let mut all = seen.iter().filter(|o| told(o));
    let placed = seen
        .iter()
        .find(|o| told(o) && !o.about.is_empty())
        .cloned();
    let in_files = all.all(|o| o.text.starts_with('/'));
    if !scene.machine.is_live() || !in_files || seen.iter().any(stands) {
        return;
    }
    if let Some(o) = placed.filter(|o| !still_there(scene, o)) {
        let text = format!("sshd -t finds nothing wrong there now; the log: {}", o.text);
        scene.say(Gate::Tcp, "sshd.mended", "config", o.about, text, "sshd -t");
    }
}

/// `FILE line 3: …`, `FILE: line 3: …` → `FILE:3`.
pub(super) fn file_line(text: &str) -> String {
    let Some((head, rest)) = text.split_once("line ") else {
        return String::new();
    };
    let file = head.trim().trim_end_matches(':');
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    match (file.starts_with('/'), number.is_empty()) {
        (true, false) => format!("{file}:{number}"),
        _ => String::new(),
    }
}
