//! What systemd makes of sshd: the unit's state and what breaks it, its sandbox, the socket that listens in sshd's place.

use super::{Scene, daemon, keys, unit_failure};
use sshwhy_core::catalog::causes::Gate;
use std::net::IpAddr;

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
    let name = ["ssh.service", "sshd.service"].into_iter().find(|n| {
        machine.link(&format!("/etc/systemd/system/{n}")).is_some()
            || daemon::unit(machine, n).is_some()
    });
    let Some((name, unit)) = name.and_then(|n| Some((n, daemon::unit(machine, n)?))) else {
        return;
    };
    let is_init = if machine.is_live() {
        machine.exists("/run/systemd/system")
    } else {
        systemd || !machine.is_running()
    };
    if !is_init {
        return;
    }
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
        let text = format!(
            "{name} is {state} ({}), {}; result {}, exit {}",
            prop("SubState"),
            prop("UnitFileState"),
            prop("Result"),
            prop("ExecMainStatus")
        );
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
                    unit_failure::movable(place).unwrap_or(name),
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
                    unit_failure::movable(&place).unwrap_or(name),
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
    for (value, place) in unit.all("Service.User") {
        if value != "root" && value != "0" {
            scene.say(
                Gate::Tcp,
                "unit.broken",
                "exec",
                unit_failure::movable(place).unwrap_or(name),
                format!("User={value} ({place}): sshd must run as root to read its keys and to become other users"),
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
                    unit_failure::movable(place).unwrap_or(name),
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
                let about = unit_failure::movable(place).unwrap_or(name);
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
    sandbox(scene, &unit);
    if let Some(socket) =
        daemon::unit(machine, "ssh.socket").or_else(|| daemon::unit(machine, "sshd.socket"))
    {
        let state = daemon::show(machine, &socket.name);
        let active = state
            .get("ActiveState")
            .map_or(socket.enabled && !machine.is_live(), |s| s == "active");
        let streams: Vec<(String, String)> = socket.all("Socket.ListenStream").to_vec();
        let port_of = |v: &str| v.rsplit(':').next().and_then(|p| p.parse::<u16>().ok());
        if active && !socket.masked {
            let (value, place) = streams.last().cloned().unwrap_or_default();
            let here: Vec<&str> = streams
                .iter()
                .map(|(v, _)| v.as_str())
                .filter(|v| port_of(v) == Some(scene.port))
                .collect();
            let only6 = socket
                .all("Socket.BindIPv6Only")
                .last()
                .is_some_and(|(v, _)| v == "ipv6-only");
            let state = match here.as_slice() {
                [] => "other-port",
                all if all.iter().any(|v| reaches(v, scene.question.from, only6)) => "listens",
                _ => "other-address",
            };
            let files = socket.files.join(", ");
            scene.say(
                Gate::Tcp,
                "unit.socket",
                state,
                format!("{} {value}", socket.name),
                format!("{} decides where sshd is reached, not sshd_config: ListenStream={value} ({place}; {files})", socket.name),
                place,
            );
        }
    }
}

/// Whether the path is that folder, or lies in it.
fn within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Settings of the unit that hide what sshd needs.
fn sandbox(scene: &mut Scene<'_>, unit: &daemon::Unit) {
    let home = scene
        .account
        .as_ref()
        .map_or_else(|| "/home".to_owned(), |a| a.home.clone());
    // A folder above the home, the home itself, or where the keys lie in it.
    let keys: Vec<String> = scene
        .account
        .as_ref()
        .map(|a| keys::files(scene, a))
        .unwrap_or_default();
    let covers = |path: &str| {
        let path = path
            .trim_start_matches(['-', '+', ':'])
            .trim_end_matches('/');
        let above = |p: &str| p == path || p.strip_prefix(path).is_some_and(|r| r.starts_with('/'));
        !path.is_empty() && (above(&home) || keys.iter().any(|k| above(k)))
    };
    let usual =
        home.starts_with("/home") || home.starts_with("/root") || home.starts_with("/run/user");
    // What is given back for writing.
    let given = ["Service.ReadWritePaths", "Service.ReadWriteDirectories"];
    let writable = given.iter().flat_map(|k| unit.all(k)).any(|(v, _)| {
        v.split_ascii_whitespace()
            .any(|p| within(&home, p.trim_start_matches(['-', '+', ':'])))
    });
    let bind_denied = scene
        .log
        .daemon
        .iter()
        .any(|l| l.slug == "bind-permission-denied");
    for (key, values) in &unit.settings {
        for (value, place) in values {
            let first = value.split([' ', ':']).next().unwrap_or_default();
            let on = matches!(
                value.to_ascii_lowercase().as_str(),
                "yes" | "true" | "on" | "1" | "strict"
            );
            // The port itself is out of its reach then.
            let no_port = match key.as_str() {
                "Service.PrivateUsers" => on,
                "Service.CapabilityBoundingSet" => {
                    value.starts_with('~') == value.contains("CAP_NET_BIND_SERVICE")
                }
                _ => false,
            };
            if no_port && bind_denied {
                let short = key.trim_start_matches("Service.");
                scene.say(
                    Gate::Tcp,
                    "unit.sandbox",
                    "shuts-out",
                    unit_failure::movable(place).unwrap_or(&unit.name),
                    format!(
                        "{} has {short}={value} ({place}), and sshd may not open its port",
                        unit.name
                    ),
                    place.clone(),
                );
                continue;
            }
            let hides = match key.as_str() {
                "Service.ProtectHome" => usual && (on || value == "tmpfs"),
                "Service.InaccessiblePaths"
                | "Service.InaccessibleDirectories"
                | "Service.TemporaryFileSystem" => {
                    value
                        .split_ascii_whitespace()
                        .any(|p| covers(p.split(':').next().unwrap_or_default()))
                        || first.contains("/etc/ssh")
                        || first.contains("shadow")
                }
                "Service.PrivateNetwork" | "Service.PrivateUsers" => on,
                "Service.RootDirectory" | "Service.RootImage" => true,
                "Service.RestrictAddressFamilies" => {
                    let v6 = scene.question.from.is_some_and(|f| f.is_ipv6());
                    let family = if v6 { "AF_INET6" } else { "AF_INET" };
                    let named = value
                        .trim_start_matches('~')
                        .split_ascii_whitespace()
                        .any(|w| w == family);
                    value.starts_with('~') == named
                }
                "Service.IPAddressDeny" => {
                    scene.question.from.is_some()
                        && unit.all("Service.IPAddressAllow").iter().all(|(v, _)| {
                            !v.split_ascii_whitespace()
                                .any(|c| allows(c, scene.question.from))
                        })
                        && value
                            .split_ascii_whitespace()
                            .any(|c| allows(c, scene.question.from))
                }
                "Service.CapabilityBoundingSet" => {
                    let taken = value.starts_with('~');
                    let named = |cap: &&str| {
                        let words = value.trim_start_matches('~').split_ascii_whitespace();
                        words.clone().any(|w| w.eq_ignore_ascii_case(cap))
                    };
                    // Another line may give it back.
                    let elsewhere = |cap: &&str| {
                        values
                            .iter()
                            .any(|(v, _)| v != value && !v.starts_with('~') && v.contains(*cap))
                    };
                    ["CAP_SETUID", "CAP_SETGID", "CAP_SYS_CHROOT"]
                        .iter()
                        .any(|cap| taken == named(cap) && (taken || !elsewhere(cap)))
                }
                _ => false,
            };
            // The login works, and the session cannot do what it should.
            let read_only = !writable
                && match key.as_str() {
                    "Service.ProtectHome" => usual && value == "read-only",
                    "Service.ProtectSystem" => value == "strict",
                    "Service.ReadOnlyPaths" | "Service.ReadOnlyDirectories" => {
                        value.split_ascii_whitespace().any(&covers)
                    }
                    _ => false,
                };
            let hinders = match key.as_str() {
                "Service.ProtectSystem" => value == "strict",
                "Service.NoExecPaths" => value
                    .split_ascii_whitespace()
                    .any(|p| matches!(p, "/" | "/bin" | "/usr" | "/usr/bin")),
                "Service.NoNewPrivileges" | "Service.RestrictSUIDSGID" => on,
                "Service.LimitFSIZE" => bytes_of(value).is_some_and(|n| n < LARGE_FILE),
                _ => false,
            };
            if key == "Service.SystemCallFilter" {
                let text = format!("{} has SystemCallFilter={value} ({place})", unit.name);
                let about = unit_failure::movable(place).unwrap_or(&unit.name);
                let source = place.clone();
                scene.say(Gate::Auth, "unit.sandbox", "filters", about, text, source);
            }
            if hinders || read_only {
                let short = key.trim_start_matches("Service.");
                scene.say(
                    Gate::Session,
                    "unit.sandbox",
                    if read_only { "read-only" } else { "hinders" },
                    unit_failure::movable(place).unwrap_or(&unit.name),
                    format!(
                        "{} has {short}={value} ({place}), and every session inherits it{}",
                        unit.name,
                        if read_only {
                            ": what it writes into the home fails with \"Read-only file system\" (over SFTP: \"Failure\")"
                        } else {
                            ""
                        }
                    ),
                    place.clone(),
                );
            }
            if hides {
                let short = key.trim_start_matches("Service.");
                let network = matches!(
                    short,
                    "IPAddressDeny" | "PrivateNetwork" | "RestrictAddressFamilies"
                );
                // Without its capabilities no child of sshd gets far.
                let gate = match short {
                    _ if network => Gate::Tcp,
                    "CapabilityBoundingSet" => Gate::Ident,
                    _ => Gate::Auth,
                };
                scene.say(
                    gate,
                    "unit.sandbox",
                    if network { "shuts-out" } else { "hides" },
                    unit_failure::movable(place).unwrap_or(&unit.name),
                    format!("{} has {short}={value} ({place})", unit.name),
                    place.clone(),
                );
            }
        }
    }
    // What the running sshd really sees: another file at the same path, or none.
    let running = scene.processes.iter().find(|p| p.is_listener());
    let Some(view) = running.map(|p| format!("/proc/{}/root", p.pid)) else {
        return;
    };
    let (live, Some(a)) = (scene.machine.is_live(), scene.account.as_ref()) else {
        return;
    };
    if !live || a.home.is_empty() || !scene.machine.exists(&format!("{view}/etc")) {
        return;
    }
    let paths = [a.home.clone(), format!("{}/.ssh", a.home)];
    // What every login needs, beside what is the user's own.
    let shared = [
        "/etc/passwd",
        "/etc/shadow",
        "/etc/group",
        "/etc/nsswitch.conf",
        "/etc/pam.d",
        "/etc/security",
    ];
    let all = paths.into_iter().chain(keys);
    let hidden = all.chain(shared.map(str::to_owned)).find(|path| {
        let here = scene.machine.identity(path);
        here.is_some() && scene.machine.identity(&format!("{view}{path}")) != here
    });
    if let Some(path) = hidden {
        // The line that names it, or a folder above it.
        let names = |value: &String| {
            value
                .split([' ', ':'])
                .map(|w| w.trim_start_matches(['-', '+']))
                .any(|w| w.starts_with('/') && w != "/" && within(&path, w))
        };
        let by = unit
            .settings
            .iter()
            .filter(|(key, _)| key.starts_with("Service."))
            .flat_map(|(key, all)| all.iter().map(move |(value, place)| (key, value, place)))
            .find(|(_, value, _)| names(value))
            .map(|(key, value, place)| {
                let short = key.trim_start_matches("Service.");
                (format!(": {short}={value} ({place})"), place.clone())
            });
        let (why, source) = by.unwrap_or_else(|| {
            let why = ": its unit gives it a view of its own".to_owned();
            (why, view)
        });
        let text = format!("the running sshd does not see {path} as it is{why}");
        scene.say(Gate::Auth, "unit.sandbox", "hides", path, text, source);
    }
}

/// A limit on the size of files from which on it is in nobody's way, in bytes.
const LARGE_FILE: u64 = 8 << 30;

/// The lower of `SOFT:HARD`, in bytes (systemd.exec(5), "Process properties"); `None`: no limit.
fn bytes_of(value: &str) -> Option<u64> {
    let one = |text: &str| -> Option<u64> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text.get(digits.len()..)? {
            "" => 0,
            "K" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(1 << unit)
    };
    value.split(':').filter_map(one).min()
}

/// Whether a client there can reach what `ListenStream=` names: a port alone takes everybody.
fn reaches(stream: &str, from: Option<IpAddr>, only6: bool) -> bool {
    let Ok(at) = stream.parse::<std::net::SocketAddr>() else {
        return true;
    };
    match from {
        Some(f) if f.is_loopback() => f.is_ipv4() == at.ip().is_ipv4(),
        _ if at.ip().is_loopback() => false,
        Some(f) => f.is_ipv4() == at.ip().is_ipv4() || at.ip().is_unspecified() && !only6,
        None => true,
    }
}

fn allows(word: &str, from: Option<IpAddr>) -> bool {
    word == "any"
        || from.is_some_and(|f| sshwhy_core::addr::Cidr::parse(word).is_some_and(|c| c.contains(f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_unit_in_bytes() {
        for (text, bytes) in [
            ("4096", Some(4096)),
            ("64K", Some(64 << 10)),
            ("infinity:1G", Some(1 << 30)),
            ("2M:1M", Some(1 << 20)),
            ("infinity", None),
            ("99999999999999T", None),
            ("", None),
        ] {
            assert_eq!(bytes_of(text), bytes, "{text}");
        }
    }
}
