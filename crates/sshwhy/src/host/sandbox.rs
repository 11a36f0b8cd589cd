//! Which settings of sshd's unit confine it so that it cannot start, cannot serve a connection, or hides from a login what it needs
//! (systemd.exec(5), "Sandboxing").

use super::{Scene, daemon, keys, unit_failure};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::catalog::systemd::refused_call;
use std::net::IpAddr;

/// Whether the path is that folder, or lies in it.
fn within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Settings of the unit that hide what sshd needs. `started`: systemd starts it, or tries to.
pub(super) fn look(scene: &mut Scene<'_>, unit: &daemon::Unit, started: bool) {
    let told = match started {
        true => stops(scene, unit),
        false => Vec::new(),
    };
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
    for (key, values) in &unit.settings {
        for (value, place) in values {
            let first = value.split([' ', ':']).next().unwrap_or_default();
            let on = matches!(
                value.to_ascii_lowercase().as_str(),
                "yes" | "true" | "on" | "1" | "strict"
            );
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
                "Service.RootDirectory" | "Service.RootImage" | "Service.NetworkNamespacePath" => {
                    true
                }
                "Service.RestrictNetworkInterfaces" => {
                    value.split_ascii_whitespace().all(|w| w == "lo")
                }
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
                    let missing = missing_capability(&[value.as_str()], 0);
                    missing.is_some()
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
                let about = unit_failure::movable(scene.machine, place).unwrap_or(&unit.name);
                let source = place.clone();
                scene.say(Gate::Auth, "unit.sandbox", "filters", about, text, source);
            }
            if hinders || read_only {
                let short = key.trim_start_matches("Service.");
                scene.say(
                    Gate::Session,
                    "unit.sandbox",
                    if read_only { "read-only" } else { "hinders" },
                    unit_failure::movable(scene.machine, place).unwrap_or(&unit.name),
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
            if hides && !told.contains(place) {
                let short = key.trim_start_matches("Service.");
                let network = matches!(
                    short,
                    "IPAddressDeny"
                        | "PrivateNetwork"
                        | "NetworkNamespacePath"
                        | "RestrictNetworkInterfaces"
                        | "RestrictAddressFamilies"
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
                    unit_failure::movable(scene.machine, place).unwrap_or(&unit.name),
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

/// What keeps sshd from starting, or every connection from being served; returned is where that stands.
fn stops(scene: &mut Scene<'_>, unit: &daemon::Unit) -> Vec<String> {
    let mut found: Vec<(String, String, String)> = Vec::new();
    let mut say = |key: &str, value: &str, place: &str, why: String| {
        found.push((format!("{key}={value}"), place.to_owned(), why));
    };
    let down = !scene.processes.iter().any(daemon::Process::is_listener);
    let filters = unit.all("Service.SystemCallFilter");
    let values: Vec<&str> = filters.iter().map(|(v, _)| v.as_str()).collect();
    if let Some((call, at)) = refused_call(&values)
        && let Some((value, place)) = at.map_or(filters.first(), |i| filters.get(i))
    {
        let why = format!("it does not let sshd call {call}()");
        say("SystemCallFilter", value, place, why);
    }
    let sets = unit.all("Service.CapabilityBoundingSet");
    let values: Vec<&str> = sets.iter().map(|(v, _)| v.as_str()).collect();
    if let (Some(missing), Some((value, place))) =
        (missing_capability(&values, scene.port), sets.last())
        && down
    {
        let why = format!("sshd needs {missing} and does not get it");
        say("CapabilityBoundingSet", value, place, why);
    }
    // What sshd reads first of all: its configuration and its host keys.
    let mut needed: Vec<String> = vec![scene.config_file.clone()];
    needed.extend(scene.effective.values("HostKey").iter().cloned());
    let machine = scene.machine;
    for (key, values) in unit.settings.iter().filter(|_| down) {
        let short = key.trim_start_matches("Service.");
        for (value, place) in values {
            let covered = value.split_ascii_whitespace().find_map(|word| {
                let word = word.trim_start_matches(['-', '+', ':']);
                let mut parts = word.split(':');
                let first = parts.next().unwrap_or_default();
                match short {
                    "InaccessiblePaths" | "InaccessibleDirectories" | "TemporaryFileSystem" => {
                        let hidden = needed.iter().find(|n| within(n, first));
                        hidden.map(|n| format!("sshd does not see {n}"))
                    }
                    "BindPaths" | "BindReadOnlyPaths" => {
                        let over = parts.next().unwrap_or(first);
                        let gone = needed.iter().find(|n| {
                            within(n, over)
                                && machine.exists(n)
                                && n.strip_prefix(over.trim_end_matches('/'))
                                    .is_some_and(|rest| !machine.exists(&format!("{first}{rest}")))
                        });
                        gone.map(|n| format!("sshd sees {first} there, which has no {n}"))
                    }
                    "PrivateUsers" if matches!(word, "yes" | "true" | "on" | "1") => {
                        Some("sshd has the rights of nobody but its own user in it".to_owned())
                    }
                    _ => None,
                }
            });
            if let Some(why) = covered {
                say(short, value, place, why);
            }
        }
    }
    let places = found.iter().map(|(_, place, _)| place.clone()).collect();
    for (setting, place, why) in found {
        scene.say(
            Gate::Tcp,
            "unit.sandbox",
            "stops",
            unit_failure::movable(scene.machine, &place).unwrap_or(&unit.name),
            format!("{} has {setting} ({place}): {why}", unit.name),
            place.clone(),
        );
    }
    places
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

/// The first capability that sshd needs and these values of `CapabilityBoundingSet=` leave out. `port`: where it listens as root
/// only, or 0 where that does not count.
fn missing_capability(values: &[&str], port: u16) -> Option<&'static str> {
    let names = |value: &str, name: &str| {
        let value = value.trim_start_matches('~');
        value.split_ascii_whitespace().any(|w| w == name)
    };
    let has = |name: &str| {
        let mut all = values.iter();
        let first = all
            .next()
            .is_none_or(|v| names(v, name) != v.starts_with('~'));
        all.fold(first, |has, v| match v.starts_with('~') {
            true => has && !names(v, name),
            false => has || names(v, name),
        })
    };
    let needed = [
        ("CAP_SETUID", true),
        ("CAP_SETGID", true),
        ("CAP_SYS_CHROOT", true),
        ("CAP_NET_BIND_SERVICE", (1..1024).contains(&port)),
    ];
    let counting = needed.into_iter().filter(|(_, counts)| *counts);
    counting.map(|(name, _)| name).find(|name| !has(name))
}

fn allows(word: &str, from: Option<IpAddr>) -> bool {
    word == "any"
        || from.is_some_and(|f| sshwhy_core::addr::Cidr::parse(word).is_some_and(|c| c.contains(f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_added_up_as_systemd_does() {
        let all = "CAP_SETUID CAP_SETGID CAP_SYS_CHROOT CAP_NET_BIND_SERVICE";
        assert_eq!(missing_capability(&[], 22), None);
        assert_eq!(missing_capability(&[all], 22), None);
        assert_eq!(missing_capability(&["~CAP_SYS_ADMIN"], 22), None);
        let bind = Some("CAP_NET_BIND_SERVICE");
        assert_eq!(missing_capability(&["~CAP_NET_BIND_SERVICE"], 22), bind);
        assert_eq!(missing_capability(&["~CAP_NET_BIND_SERVICE"], 2222), None);
        let first = "CAP_SETUID CAP_SETGID";
        assert_eq!(missing_capability(&[first], 0), Some("CAP_SYS_CHROOT"));
        assert_eq!(missing_capability(&[first, "CAP_SYS_CHROOT"], 0), None);
        assert_eq!(
            missing_capability(&[all, "~CAP_SETGID"], 22),
            Some("CAP_SETGID")
        );
    }

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
