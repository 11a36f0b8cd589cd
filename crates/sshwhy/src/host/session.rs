//! From the account to the session: PAM, shell, home, forced commands, chroot, subsystems, start-up files, full disks.

use super::Scene;
use super::accounts::{self, Account};
use super::keys;
use super::startup;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::config::authorized_keys::{self, Entry, Line};
use sshwhy_core::server::modes;
use sshwhy_core::server::pam::{self, Kind, Who};

pub(crate) fn account(scene: &mut Scene<'_>, account: &Account) {
    let shell = if account.shell.is_empty() {
        "/bin/sh"
    } else {
        &account.shell
    };
    let source = format!("{} {}", account.source, account.name);
    if !scene.machine.exists(shell) {
        scene.say(
            Gate::Auth,
            "user.shell",
            "missing",
            shell,
            format!(
                "{}'s login shell {shell} does not exist, and sshd refuses the user for it",
                account.name
            ),
            source.clone(),
        );
    } else if !scene.machine.is_executable(shell) {
        scene.say(
            Gate::Auth,
            "user.shell",
            "missing",
            shell,
            format!("{}'s login shell {shell} is not executable", account.name),
            source.clone(),
        );
    } else if let Some(why) = scene.machine.cannot_run(shell) {
        scene.say(
            Gate::Session,
            "user.shell",
            "cannot-start",
            shell,
            format!(
                "{}'s login shell cannot start, so every session ends at once: {why}",
                account.name
            ),
            source.clone(),
        );
    } else {
        let name = shell.rsplit('/').next().unwrap_or_default();
        let real = scene.machine.canonical(shell);
        let target = real.rsplit('/').next().unwrap_or_default();
        let silent = matches!(name, "true" | "sync");
        if silent
            || matches!(name, "nologin" | "false" | "halt" | "shutdown")
            || matches!(target, "nologin" | "false")
        {
            // sshd serves sftp itself then, and asks no shell.
            let sftp = scene.effective.values("Subsystem").iter();
            let own = sftp.clone().any(|s| {
                let mut w = s.split_ascii_whitespace();
                w.next() == Some("sftp") && w.next() == Some("internal-sftp")
            });
            scene.say(
                Gate::Session,
                "user.shell",
                match (own, silent) {
                    (true, _) => "nologin-but-sftp",
                    (false, true) => "does-nothing",
                    (false, false) => "nologin",
                },
                shell,
                format!(
                    "{}'s login shell is {shell}: it ends every session",
                    account.name
                ),
                source.clone(),
            );
        }
    }
    match (account.home.as_str(), scene.machine.stat(&account.home)) {
        ("", _) => {}
        (home, None) => {
            let other = other_home(scene.machine, account);
            let other = other.map_or_else(String::new, |folder| {
                format!("; {folder} belongs to {}", account.name)
            });
            scene.say(
                Gate::Auth,
                "user.home",
                "missing",
                home,
                format!("the home {home} does not exist{other}"),
                source,
            );
        }
        (home, Some(s)) if s.kind != modes::Kind::Dir => scene.say(
            Gate::Auth,
            "user.home",
            "missing",
            home,
            format!("the home {home} is no folder"),
            source,
        ),
        _ => {}
    }
}

/// A folder that is the user's, beside where the home should be or in /home.
fn other_home(machine: &super::Machine, account: &Account) -> Option<String> {
    let (beside, _) = account.home.rsplit_once('/')?;
    [beside, "/home"].into_iter().find_map(|folder| {
        let mut all = machine.names(folder).into_iter().take(MOST_HOMES);
        all.find_map(|name| {
            let path = format!("{folder}/{name}");
            let stat = machine.stat(&path)?;
            (stat.uid == account.uid && stat.kind == modes::Kind::Dir).then_some(path)
        })
    })
}

/// How many folders are looked at for one that is the user's.
const MOST_HOMES: usize = 2_000;

pub(crate) fn look(scene: &mut Scene<'_>) {
    let Some(account) = scene.account.clone() else {
        return;
    };
    if scene.uses_pam() {
        stacks(scene, &account);
    } else if scene.machine.exists("/etc/nologin") && account.uid != 0 {
        scene.say(
            Gate::Account,
            "pam.refuses",
            "nologin",
            "/etc/nologin",
            "/etc/nologin exists: nobody but root may log in",
            "/etc/nologin",
        );
    }
    forced(scene, &account);
    chroot(scene, &account);
    subsystem(scene);
    forwarding(scene, &account);
    terminals(scene);
    if scene.effective.number("MaxSessions") == 0 {
        let (place, line) = scene.set_at("MaxSessions");
        scene.say(
            Gate::Session,
            "conf.sessions",
            "none",
            "MaxSessions",
            line,
            place,
        );
    }
    if scene.effective.number("ClientAliveInterval") > 0 {
        let (place, line) = scene.set_at("ClientAliveInterval");
        let (_, count) = scene.set_at("ClientAliveCountMax");
        scene.say(
            Gate::Session,
            "conf.alive",
            "on",
            "ClientAliveInterval",
            format!("{line}; {count}"),
            place,
        );
    }
    let (place, line) = scene.set_at("ChannelTimeout");
    if !matches!(scene.effective.value("ChannelTimeout"), "" | "none") {
        scene.say(
            Gate::Session,
            "conf.alive",
            "channels",
            "ChannelTimeout",
            line,
            place,
        );
    }
    startup::look(scene, &account);
    disks(scene, &account);
}

fn stacks(scene: &mut Scene<'_>, account: &Account) {
    let me = account.uid;
    let processes = scene.processes.iter().filter(|p| p.uid == me).count() as u32;
    let up: Vec<String> = scene
        .machine
        .ask("who", "who", &[])
        .map(|a| a.out)
        .unwrap_or_default()
        .lines()
        .filter_map(|l| l.split_ascii_whitespace().next().map(str::to_owned))
        .collect();
    let sessions = up.iter().filter(|u| **u == account.name).count() as u32;
    let civil = scene.zone.civil(scene.now);
    let who = Who {
        user: account.name.clone(),
        uid: account.uid,
        gid: account.gid,
        groups: account.groups.clone(),
        shell: account.shell.clone(),
        home: account.home.clone(),
        from: scene.question.from,
        host: scene.connection.host.clone(),
        sessions,
        all_sessions: up.len() as u32,
        processes,
        minute_of_week: Some(
            (civil.weekday() as u32 + 1) % 7 * 1440
                + u32::from(civil.hour) * 60
                + u32::from(civil.minute),
        ),
        failures: failures(scene, &account.name),
        unix_refuses: false,
    };
    let service = scene.pam_service().to_owned();
    if let Some(rule) = pam::asks(scene.machine, &service, "account") {
        scene.say(
            Gate::Account,
            "pam.asks",
            "account",
            rule.place(),
            format!(
                "{} decides by what it asks when somebody logs in",
                rule.module
            ),
            rule.place(),
        );
    }
    if let Some(rule) = pam::makes_home(scene.machine, &service) {
        let place = rule.place();
        let text = format!(
            "{} makes a home that is missing, or refuses the session ({place})",
            rule.module
        );
        scene.say(
            Gate::Session,
            "pam.asks",
            "home",
            place.clone(),
            text,
            place,
        );
    }
    for stack in ["auth", "account", "session"] {
        for r in pam::refusals(scene.machine, &service, stack, &who) {
            let value = match r.kind {
                Kind::Denied => "denied",
                Kind::Nologin => "nologin",
                Kind::Shell => "shell",
                Kind::Faillock => "faillock",
                Kind::Limits => "limits",
                Kind::Processes => "nproc",
                Kind::Broken => "broken",
            };
            let key = if stack == "auth" && r.kind != Kind::Broken {
                "pam.refuses-password"
            } else {
                "pam.refuses"
            };
            let about = if r.kind == Kind::Nologin {
                r.because.clone()
            } else {
                r.place.clone()
            };
            let gate = if stack == "session" {
                Gate::Session
            } else {
                Gate::Account
            };
            let text = format!(
                "{} ({}, {stack} stack) refuses: {}",
                r.module, r.place, r.because
            );
            scene.say(gate, key, value, about, text, r.place.clone());
        }
    }
    if let Some((kib, at)) = pam::file_size(scene.machine, &service, &who)
        && kib < LARGE_FILE
    {
        let place = at
            .rsplit_once(": ")
            .map_or(at.as_str(), |(p, _)| p)
            .to_owned();
        let text = format!(
            "{at}: what a session writes to a file is cut off at {kib} KiB, and the program that writes is killed"
        );
        scene.say(
            Gate::Session,
            "session.limit",
            "file-size",
            place.clone(),
            text,
            place,
        );
    }
}

/// A limit on the size of files from which on it is in nobody's way, in KiB.
const LARGE_FILE: u64 = 8 << 20;

/// Valid entries of faillock's tally that are not older than its interval (pam_faillock: 64 bytes each).
fn failures(scene: &Scene<'_>, user: &str) -> u32 {
    const INTERVAL: i64 = 900;
    let bytes = ["/run/faillock", "/var/run/faillock"]
        .iter()
        .find_map(|d| scene.machine.raw(&format!("{d}/{user}")))
        .unwrap_or_default();
    let mut latest = 0;
    let entries: Vec<i64> = bytes
        .chunks_exact(64)
        .filter(|e| {
            e.get(54..56).is_some_and(|s| {
                u16::from_le_bytes([
                    s.first().copied().unwrap_or(0),
                    s.get(1).copied().unwrap_or(0),
                ]) & 1
                    != 0
            })
        })
        .filter_map(|e| Some(i64::from_le_bytes(e.get(56..64)?.try_into().ok()?)))
        .inspect(|t| latest = latest.max(*t))
        .collect();
    entries.iter().filter(|t| latest - **t < INTERVAL).count() as u32
}

/// The entries that may have been used: the one of the accepted key, else all.
fn used(scene: &Scene<'_>, account: &Account) -> Vec<(String, Entry)> {
    let setting = scene.effective.value("AuthorizedKeysFile").to_owned();
    let mut all = Vec::new();
    for pattern in setting.split(' ').filter(|p| !p.is_empty() && *p != "none") {
        let path = keys::expand(pattern, account);
        let text = scene.machine.text(&path).unwrap_or_default();
        for (n, l) in authorized_keys::lines(&text) {
            if let Line::Entry(e) = l {
                all.push((format!("{path}:{n}"), e));
            }
        }
    }
    let accepted: Vec<String> = scene
        .log
        .attempts(Some(&account.name), scene.question.from)
        .iter()
        .flat_map(|c| &c.lines)
        .filter(|l| l.text.contains("Accepted publickey"))
        .filter_map(|l| {
            l.text
                .split_ascii_whitespace()
                .find(|w| w.starts_with("SHA256:"))
                .map(str::to_owned)
        })
        .collect();
    let mine: Vec<(String, Entry)> = all
        .iter()
        .filter(|(_, e)| accepted.contains(&e.key.fingerprint))
        .cloned()
        .collect();
    if mine.is_empty() { all } else { mine }
}

/// The program of a command line, where it can be told without a shell.
fn program(command: &str) -> Option<String> {
    let first = command
        .split_ascii_whitespace()
        .find(|w| !w.contains('=') && *w != "exec")?;
    let plain = first.trim_matches(['"', '\'']);
    plain.starts_with('/').then(|| plain.to_owned())
}

fn forced(scene: &mut Scene<'_>, account: &Account) {
    let mut commands: Vec<(String, String, String)> = Vec::new();
    if !scene.effective.is("ForceCommand", "none") {
        let (place, line) = scene.set_at("ForceCommand");
        commands.push((
            scene.effective.value("ForceCommand").to_owned(),
            line,
            place,
        ));
    } else {
        let entries = used(scene, account);
        let single = entries.len() == 1;
        for (place, e) in entries {
            if let Some(c) = e.value("command")
                && (single
                    || scene.question.keys.contains(&e.key.fingerprint)
                    || scene
                        .log
                        .attempts(Some(&account.name), scene.question.from)
                        .iter()
                        .any(|a| a.says(&e.key.fingerprint)))
            {
                commands.push((c.to_owned(), format!("{place}: command=\"{c}\""), place));
            }
        }
    }
    for (command, line, place) in commands {
        let value = match program(&command) {
            Some(p) if scene.machine.cannot_run(&p).is_some() => "missing",
            Some(p) if matches!(p.rsplit('/').next(), Some("false" | "nologin" | "true")) => "ends",
            _ if matches!(
                command.split_ascii_whitespace().next(),
                Some("false" | "true" | "exit" | "nologin")
            ) =>
            {
                "ends"
            }
            _ if command.starts_with("internal-sftp") => "sftp-only",
            _ => "runs",
        };
        if value == "runs"
            && let Some(script) = program(&command)
        {
            startup::forced(scene, account, &script);
        }
        scene.say(Gate::Session, "session.forced", value, command, line, place);
    }
    if account.uid == 0
        && scene
            .effective
            .is("PermitRootLogin", "forced-commands-only")
    {
        let (place, line) = scene.set_at("PermitRootLogin");
        if used(scene, account)
            .iter()
            .all(|(_, e)| e.option("command").is_none())
        {
            scene.say(
                Gate::Auth,
                "conf.root",
                "forced-only",
                "PermitRootLogin",
                line,
                place,
            );
        }
    }
}

fn chroot(scene: &mut Scene<'_>, account: &Account) {
    let setting = scene.effective.value("ChrootDirectory").to_owned();
    if setting == "none" || setting.is_empty() {
        return;
    }
    let (place, line) = scene.set_at("ChrootDirectory");
    let path = keys::expand(&setting, account);
    if !scene.machine.exists(&path) {
        scene.say(
            Gate::Session,
            "session.chroot",
            "missing",
            path.clone(),
            format!("{line}: {path} does not exist"),
            place,
        );
        return;
    }
    let parts = keys::components(scene, &path);
    if let Some((stat, why)) = modes::chroot_fault(&parts) {
        let text = format!(
            "{line}: {} {why} (owner {}, mode {:04o})",
            stat.path, stat.uid, stat.mode
        );
        let about = stat.path.clone();
        scene.say(Gate::Session, "session.chroot", "bad", about, text, place);
        return;
    }
    let shell = if account.shell.is_empty() {
        "/bin/sh"
    } else {
        &account.shell
    };
    let inner = format!("{}{shell}", path.trim_end_matches('/'));
    let sftp = scene
        .effective
        .value("ForceCommand")
        .starts_with("internal-sftp")
        || scene
            .effective
            .values("Subsystem")
            .iter()
            .any(|s| s.contains("internal-sftp"));
    if !sftp && !scene.machine.exists(&inner) {
        scene.say(
            Gate::Session,
            "session.chroot",
            "no-shell",
            inner.clone(),
            format!("{line}: {inner} does not exist in it, so no shell can start"),
            place,
        );
    }
}

fn subsystem(scene: &mut Scene<'_>) {
    let sftp = scene
        .effective
        .values("Subsystem")
        .iter()
        .find(|s| s.starts_with("sftp "))
        .cloned();
    let (place, line) = scene.set_at("Subsystem");
    match sftp {
        None => scene.say(
            Gate::Session,
            "session.sftp",
            "missing",
            "Subsystem sftp",
            "sshd_config has no Subsystem sftp",
            scene.config_file.clone(),
        ),
        Some(s) => {
            let program = s
                .split_ascii_whitespace()
                .nth(1)
                .unwrap_or_default()
                .to_owned();
            // sshd has the user's shell run it, which finds it in its path; both have to lie inside the folder that sshd locks
            // the session into.
            let root = scene.effective.value("ChrootDirectory").to_owned();
            let inside = match scene.account.as_ref() {
                Some(a) if !matches!(root.as_str(), "" | "none") => {
                    let root = keys::expand(&root, a);
                    Some(format!("{}{program}", root.trim_end_matches('/')))
                }
                _ => None,
            };
            let own = scene
                .effective
                .value("ForceCommand")
                .starts_with("internal-sftp");
            let why = match program.as_str() {
                _ if own => None,
                p if p.starts_with('/')
                    && let Some(inside) = inside.filter(|i| !scene.machine.exists(i)) =>
                {
                    Some(format!(
                        "{inside} does not exist, and ChrootDirectory shows sessions nothing else"
                    ))
                }
                "internal-sftp" => None,
                p if p.starts_with('/') => scene.machine.cannot_run(p),
                p if p.contains('/') => None,
                p if scene.machine.in_path(p) => None,
                p => Some(format!(
                    "{p} is no program in the path, and no word that sshd knows (that is internal-sftp)"
                )),
            };
            if let Some(why) = why {
                scene.say(
                    Gate::Session,
                    "session.sftp",
                    "missing",
                    program,
                    format!("{line}: {why}"),
                    place,
                );
            }
        }
    }
}

fn forwarding(scene: &mut Scene<'_>, account: &Account) {
    for (keyword, off) in [
        ("AllowTcpForwarding", &["no", "local", "remote"][..]),
        ("AllowStreamLocalForwarding", &["no", "local", "remote"]),
        ("DisableForwarding", &["yes"]),
        ("PermitOpen", &["none"]),
        ("PermitListen", &["none"]),
        ("AllowAgentForwarding", &["no"]),
        ("X11Forwarding", &["no"]),
    ] {
        if off.contains(&scene.effective.value(keyword)) {
            let (place, line) = scene.set_at(keyword);
            let values: &[&str] = match keyword {
                "AllowStreamLocalForwarding" => &["off-sockets"],
                "AllowAgentForwarding" => &["off-agent"],
                "X11Forwarding" => &["off-x11"],
                "DisableForwarding" => &["off", "off-agent", "off-x11"],
                _ => &["off"],
            };
            for value in values {
                scene.say(
                    Gate::Session,
                    "session.forwarding",
                    value,
                    keyword,
                    line.clone(),
                    place.clone(),
                );
            }
        }
    }
    if scene.effective.is("PermitTTY", "no") {
        let (place, line) = scene.set_at("PermitTTY");
        scene.say(
            Gate::Session,
            "session.pty",
            "off",
            "PermitTTY",
            line,
            place,
        );
    }
    for (place, e) in used(scene, account) {
        let restricted = e.option("restrict").is_some();
        if e.option("no-pty").is_some() || restricted && e.option("pty").is_none() {
            scene.say(
                Gate::Session,
                "session.pty",
                "off",
                place.clone(),
                format!(
                    "{place}: {}",
                    if restricted { "restrict" } else { "no-pty" }
                ),
                place.clone(),
            );
        }
        for (no, yes, value) in [
            ("no-agent-forwarding", "agent-forwarding", "off-agent"),
            ("no-x11-forwarding", "x11-forwarding", "off-x11"),
        ] {
            if e.option(no).is_some() || restricted && e.option(yes).is_none() {
                let word = if e.option(no).is_some() {
                    no
                } else {
                    "restrict"
                };
                scene.say(
                    Gate::Session,
                    "session.forwarding",
                    value,
                    place.clone(),
                    format!("{place}: {word}"),
                    place.clone(),
                );
            }
        }
        if e.option("no-port-forwarding").is_some()
            || restricted && e.option("port-forwarding").is_none()
        {
            scene.say(
                Gate::Session,
                "session.forwarding",
                "off",
                place.clone(),
                format!(
                    "{place}: {}",
                    if restricted {
                        "restrict"
                    } else {
                        "no-port-forwarding"
                    }
                ),
                place.clone(),
            );
        }
    }
}

/// Whether the kernel still gives out terminals: /dev/pts is a file system of its own, and holds so many.
fn terminals(scene: &mut Scene<'_>) {
    let folder = "/dev/pts";
    let Ok(mounts) = scene.machine.text("/proc/self/mounts") else {
        return;
    };
    if !scene.machine.is_live() {
        return;
    }
    // What lies under another mount stands in the table too; every devpts shows its ptmx.
    let mounted = mounts
        .lines()
        .map(|l| l.split_ascii_whitespace().collect::<Vec<_>>())
        .filter(|_| scene.machine.names(folder).iter().any(|n| n == "ptmx"))
        .rfind(|w| w.get(1) == Some(&folder) && w.get(2) == Some(&"devpts"));
    let text = match mounted {
        None => format!("no devpts is mounted at {folder}, so no session can get a terminal"),
        Some(w) => {
            let options = w.get(3).copied().unwrap_or_default();
            let own: Option<usize> = options
                .split(',')
                .find_map(|o| o.strip_prefix("max=")?.parse().ok());
            let number = |name: &str| -> Option<usize> {
                let text = scene.machine.text(&format!("/proc/sys/kernel/pty/{name}"));
                text.ok()?.trim().parse().ok()
            };
            let here = scene
                .machine
                .names(folder)
                .iter()
                .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
                .count();
            let (all, most) = (number("nr"), number("max"));
            match (own, all, most) {
                (Some(own), ..) if here >= own => {
                    format!("{here} terminals are in use, and {folder} is mounted with max={own}")
                }
                (_, Some(all), Some(most)) if all >= most => {
                    format!("{all} terminals are in use, and there may be {most} (kernel.pty.max)")
                }
                _ => return,
            }
        }
    };
    scene.say(
        Gate::Session,
        "session.pty",
        "none-left",
        folder,
        text,
        "/proc/self/mounts",
    );
}

/// File systems without room, where a login or a transfer needs some.
fn disks(scene: &mut Scene<'_>, account: &Account) {
    if scene.machine.is_read_only(&account.home) {
        let text = format!("the file system of {} is mounted read-only", account.home);
        let home = account.home.clone();
        scene.say(
            Gate::Session,
            "disk.full",
            "read-only",
            home,
            text,
            "statvfs",
        );
    }
    let paths: Vec<&str> = [account.home.as_str(), "/tmp", "/var/log", "/run", "/var"]
        .into_iter()
        .filter(|p| scene.machine.exists(p))
        .collect();
    for (name, flag, what) in [("df", "-P", "blocks"), ("df-inodes", "-Pi", "inodes")] {
        let mut args = vec![flag, "--"];
        args.extend(&paths);
        let Some(a) = scene.machine.ask(name, "df", &args) else {
            continue;
        };
        let mut told: Vec<String> = Vec::new();
        for line in a.out.lines().skip(1) {
            let w: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, total, _, free, _, mount, ..] = w[..] else {
                continue;
            };
            let (Ok(total), Ok(free)) = (total.parse::<u64>(), free.parse::<u64>()) else {
                continue;
            };
            let least = if what == "blocks" { 16 } else { 1 };
            if total > 0 && free < least && !told.contains(&mount.to_owned()) {
                told.push(mount.to_owned());
                let home = account.home.starts_with(mount) && mount != "/";
                scene.say(
                    Gate::Session,
                    "disk.full",
                    if home || account.home.starts_with(mount) {
                        "home"
                    } else {
                        "system"
                    },
                    mount,
                    format!("{mount} has {free} of {total} {what} left: {line}"),
                    "df",
                );
            }
        }
    }
}

/// Accounts whose shell lets them log in: for `config who` and `config check`.
pub fn people(all: &[Account]) -> Vec<Account> {
    let closed = |a: &&Account| {
        !a.shell.ends_with("/nologin")
            && !a.shell.ends_with("/false")
            && !a.shell.ends_with("/sync")
    };
    all.iter().filter(closed).cloned().collect()
}

/// Whether any file of the account, where this configuration looks, holds a key.
pub fn has_key(machine: &super::Machine, account: &accounts::Account, setting: &str) -> bool {
    setting
        .split(' ')
        .filter(|p| !p.is_empty() && *p != "none")
        .any(|p| {
            let text = machine.text(&keys::expand(p, account)).unwrap_or_default();
            authorized_keys::lines(&text)
                .iter()
                .any(|(_, l)| matches!(l, Line::Entry(_)))
        })
}
