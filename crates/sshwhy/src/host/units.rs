//! What systemd makes of sshd's service: its state, and what breaks it.

use super::{Scene, daemon, sandbox, sockets, unit_failure};
use sshwhy_core::catalog::causes::Gate;

pub(super) fn units(scene: &mut Scene<'_>) {
    let machine = scene.machine;
    let systemd = machine.exists("/run/systemd/system")
        || machine
            .ask(
                "systemctl-show-ssh.service",
                "systemctl",
                &["show", "ssh.service", "-p", "ActiveState"],
            )
            .is_some_and(|a| a.ok);
    let is_init = if machine.is_live() {
        machine.exists("/run/systemd/system")
    } else {
        systemd || !machine.is_running()
    };
    if !is_init {
        return;
    }
    service(scene);
    sockets::look(scene);
}

/// A unit that is up and cannot be at the same time.
fn rival(scene: &Scene<'_>, name: &str) -> Option<String> {
    let machine = scene.machine;
    let args = ["show", name, "-p", "ConflictedBy,Conflicts", "--no-pager"];
    let answer = machine.ask(&format!("systemctl-conflicts-{name}"), "systemctl", &args)?;
    let units = answer
        .out
        .lines()
        .filter_map(|l| Some(l.split_once('=')?.1));
    units
        .flat_map(str::split_ascii_whitespace)
        .filter(|u| !u.ends_with(".target"))
        .find(|u| {
            let state = daemon::show(machine, u);
            state.get("ActiveState").is_some_and(|s| s == "active")
        })
        .map(str::to_owned)
}

/// The service that runs all the time; with a socket for each connection there may be none.
fn service(scene: &mut Scene<'_>) {
    let machine = scene.machine;
    let name = ["ssh.service", "sshd.service"].into_iter().find(|n| {
        machine.link(&format!("/etc/systemd/system/{n}")).is_some()
            || daemon::unit(machine, n).is_some()
    });
    let Some((name, unit)) = name.and_then(|n| Some((n, daemon::unit(machine, n)?))) else {
        return;
    };
    let source = format!("systemctl show {name}");
    let shown = machine
        .ask(
            "systemctl-is-running",
            "systemctl",
            &["show", name, "-p", "ActiveState"],
        )
        .map(|_| daemon::show(machine, name))
        .unwrap_or_default();
    let prop = |k: &str| shown.get(k).map_or("", String::as_str).to_owned();
    if unit.masked || prop("LoadState") == "masked" {
        let file = format!("/etc/systemd/system/{name}");
        scene.say(
            Gate::Tcp,
            "unit.state",
            "masked",
            name,
            format!("{name} is masked: {file} points to /dev/null, systemd will not start it"),
            file,
        );
    } else if !shown.is_empty() {
        let state = prop("ActiveState");
        let value = match state.as_str() {
            "active" => "active",
            "failed" => "failed",
            "activating" | "reloading" => "activating",
            _ => "inactive",
        };
        let mut text = format!(
            "{name} is {state} ({}), {}; result {}, exit {}",
            prop("SubState"),
            prop("UnitFileState"),
            prop("Result"),
            prop("ExecMainStatus")
        );
        if let Some(other) = (value == "inactive").then(|| rival(scene, name)).flatten() {
            text.push_str(&format!(
                "; {other} is up, and one of the two ends the other (Conflicts=)"
            ));
        }
        scene.say(Gate::Tcp, "unit.state", value, name, text, source.clone());
        if !prop("LoadError").is_empty() && prop("LoadState") != "loaded" {
            scene.say(
                Gate::Tcp,
                "unit.broken",
                "load",
                name,
                prop("LoadError"),
                source.clone(),
            );
        }
        unit_failure::look(scene, &unit, &shown, &source);
    }
    for key in ["Unit.ConditionPathExists", "Unit.AssertPathExists"] {
        for (value, place) in unit.all(key) {
            let (negated, path) = match value.strip_prefix('!') {
                Some(p) => (true, p),
                None => (false, value.as_str()),
            };
            if machine.exists(path) == negated {
                scene.say(
                    Gate::Tcp,
                    "unit.broken",
                    "condition",
                    unit_failure::movable(machine, place).unwrap_or(name),
                    format!("{key}={value} does not hold ({place})"),
                    place.clone(),
                );
            }
        }
    }
    for (key, kind) in [
        ("Service.ExecStart", "exec"),
        ("Service.ExecStartPre", "exec-pre"),
    ] {
        for (value, place) in unit.all(key) {
            let soft = value.starts_with('-');
            let program = value
                .trim_start_matches(['-', '@', ':', '+', '!'])
                .split_ascii_whitespace()
                .next()
                .unwrap_or_default();
            // systemd looks for it in the root that it gives the service.
            let own_root = unit.all("Service.RootDirectory").last();
            let inside = own_root.map_or_else(
                || program.to_owned(),
                |(root, _)| format!("{}{program}", root.trim_end_matches('/')),
            );
            if program.starts_with('/')
                && !soft
                && let Some(why) = machine.cannot_run(&inside)
            {
                let place = own_root.map_or(place, |(_, at)| at).clone();
                scene.say(
                    Gate::Tcp,
                    "unit.broken",
                    kind,
                    unit_failure::movable(machine, &place).unwrap_or(name),
                    format!("{key} names {program}: {why} ({place})"),
                    place.clone(),
                );
            }
        }
    }
    let failing = scene
        .seen
        .observations
        .iter()
        .any(|o| o.key == "unit.state" && matches!(o.value.as_str(), "failed" | "activating"));
    for key in [
        "Service.ExecStart",
        "Service.ExecStartPre",
        "Service.ExecCondition",
    ] {
        let own = unit.all(key).iter().filter(|(_, place)| {
            failing && (place.starts_with("/etc/") || place.starts_with("/run/"))
        });
        for (value, place) in own {
            scene.say(
                Gate::Tcp,
                "unit.broken",
                "override",
                place.clone(),
                format!(
                    "{key}={value} was set on this machine ({place}), and the unit does not come up"
                ),
                place.clone(),
            );
        }
    }
    // Options for sshd that the unit takes from a file: /etc/default/ssh, /etc/sysconfig/sshd.
    let started = unit.all("Service.ExecStart").last();
    let files = unit.all("Service.EnvironmentFile").iter();
    for file in files
        .filter(|_| failing)
        .map(|(f, _)| f.trim_start_matches('-'))
    {
        let text = machine.text(file).unwrap_or_default();
        for (i, line) in text.lines().enumerate() {
            let Some((name, value)) = line.trim().split_once('=') else {
                continue;
            };
            let empty = value.trim_matches(['"', '\'']).trim().is_empty();
            let used = started.is_some_and(|(command, _)| {
                command.contains(&format!("${name}")) || command.contains(&format!("${{{name}}}"))
            });
            if used && !empty && !name.starts_with('#') {
                let place = format!("{file}:{}", i + 1);
                scene.say(
                    Gate::Tcp,
                    "unit.broken",
                    "override",
                    place.clone(),
                    format!(
                        "sshd is started with {name}={value} ({place}), and it does not come up"
                    ),
                    place,
                );
            }
        }
    }
    let users = unit.all("Service.User").iter().map(|set| ("User", set));
    let dynamic = unit.all("Service.DynamicUser").iter();
    let dynamic = dynamic.map(|set| ("DynamicUser", set));
    for (key, (value, place)) in users.chain(dynamic) {
        let root = match key {
            "User" => value == "root" || value == "0",
            _ => !matches!(value.as_str(), "yes" | "true" | "on" | "1"),
        };
        if !root {
            scene.say(
                Gate::Tcp,
                "unit.broken",
                "exec",
                unit_failure::movable(machine, place).unwrap_or(name),
                format!("{key}={value} ({place}): sshd must run as root to read its keys and to become other users"),
                place.clone(),
            );
        }
    }
    for key in ["Service.EnvironmentFile"] {
        for (value, place) in unit.all(key) {
            if !value.starts_with('-') && !value.contains('*') && !machine.exists(value) {
                scene.say(
                    Gate::Tcp,
                    "unit.broken",
                    "exec",
                    unit_failure::movable(machine, place).unwrap_or(name),
                    format!("{key} names {value}, which does not exist ({place})"),
                    place.clone(),
                );
            }
        }
    }
    for key in ["Unit.Requires", "Unit.BindsTo", "Unit.Requisite"] {
        for (value, place) in unit.all(key) {
            for other in value.split_ascii_whitespace() {
                if !other.contains('.') || other.contains('%') {
                    continue;
                }
                let generated = other.ends_with(".mount")
                    || other.ends_with(".device")
                    || other.ends_with(".slice")
                    || other.contains('@');
                let gone = daemon::unit(machine, other).is_none_or(|u| u.masked);
                let state = daemon::show(machine, other);
                let state = state.get("ActiveState").map_or("", String::as_str);
                // Requires= starts the other; the others want it up already, or as long as this one.
                let down = state == "failed" || state == "inactive" && key != "Unit.Requires";
                let text = match (gone && !generated, down) {
                    (true, _) => {
                        format!("{key}={other}: there is no such unit, or it is masked ({place})")
                    }
                    (false, true) => {
                        format!(
                            "{key}={other} ({place}): that unit is {state}, and sshd is not started without it"
                        )
                    }
                    _ => continue,
                };
                let about = unit_failure::movable(machine, place).unwrap_or(name);
                scene.say(
                    Gate::Tcp,
                    "unit.broken",
                    "dependency",
                    about,
                    text,
                    place.clone(),
                );
            }
        }
    }
    let tried = failing || shown.get("ActiveState").is_none_or(|s| s == "active");
    sandbox::look(scene, &unit, tried);
}
