//! Keys as sshd would read them: where it looks, whether it trusts the file, what stands in it, what the options say.

use super::Scene;
use super::accounts::{self, Account};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::config::authorized_keys::{self, Entry, Line};
use sshwhy_core::config::effective::Why;
use sshwhy_core::config::krl;
use sshwhy_core::config::pattern;
use sshwhy_core::server::modes::{self, Kind, Stat};

/// Lines of one file that are told of one by one.
const TOLD: usize = 5;

/// The path with its tokens filled in, absolute (auth2-pubkeyfile.c expand_authorized_keys()).
pub(crate) fn expand(pattern: &str, account: &Account) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('h')) => out.push_str(&account.home),
            ('%', Some('u')) => out.push_str(&account.name),
            ('%', Some('U')) => out.push_str(&account.uid.to_string()),
            ('%', Some('%')) => out.push('%'),
            ('%', other) => out.extend(std::iter::once('%').chain(other)),
            (c, _) => out.push(c),
        }
    }
    match out.starts_with('/') {
        true => out,
        false => format!("{}/{out}", account.home),
    }
}

/// The path and every folder above it, real names.
pub(crate) fn components(scene: &Scene<'_>, path: &str) -> Vec<Stat> {
    let mut at = scene.machine.canonical(path);
    let mut out = Vec::new();
    loop {
        out.extend(scene.machine.stat(&at));
        if at == "/" || at.is_empty() {
            return out;
        }
        let cut = at.rfind('/').unwrap_or(0);
        at.truncate(cut.max(1));
        if cut == 0 {
            out.extend(scene.machine.stat("/"));
            return out;
        }
    }
}

/// Where sshd looks for the account's keys.
pub(crate) fn files(scene: &Scene<'_>, account: &Account) -> Vec<String> {
    let setting = scene.effective.value("AuthorizedKeysFile");
    setting
        .split(' ')
        .filter(|p| !p.is_empty() && *p != "none")
        .map(|p| expand(p, account))
        .collect()
}

pub(crate) fn look(scene: &mut Scene<'_>) {
    let Some(account) = scene.account.clone() else {
        return;
    };
    command(scene);
    revoked(scene);
    if !scene.effective.is("TrustedUserCAKeys", "none") {
        let file = scene.effective.value("TrustedUserCAKeys").to_owned();
        let value = if scene.machine.exists(&file) {
            "set"
        } else {
            "missing"
        };
        let (place, line) = scene.set_at("TrustedUserCAKeys");
        scene.say(Gate::Auth, "keys.ca", value, file, line, place);
    }
    principals(scene, &account);
    let (place, line) = scene.set_at("AuthorizedKeysFile");
    let paths = files(scene, &account);
    let found: Vec<String> = paths
        .iter()
        .filter(|p| scene.machine.exists(p))
        .cloned()
        .collect();
    let read_instead = match paths.as_slice() {
        [] => "no file".to_owned(),
        some => some.join(" and "),
    };
    let usual = format!("{}/.ssh/authorized_keys", account.home);
    if found.is_empty() {
        let unread = !paths.contains(&usual) && entries(scene, &usual) > 0;
        let elsewhere = key_elsewhere(scene, &account, &paths)
            .map(|(at, key)| (at, format!("the client's key {key} stands in")))
            .or_else(|| unread.then(|| (usual, "the keys are in".to_owned())))
            .or_else(|| {
                let named = beside(scene, &account, &paths);
                let named = named.into_iter().find(|f| entries(scene, f) > 0);
                named.map(|f| (f, format!("keys for {} are in", account.name)))
            });
        if let Some((at, what)) = elsewhere {
            let text = format!("sshd reads {read_instead} ({line}); {what} {at}");
            scene.say(Gate::Auth, "keys.file", "elsewhere", at, text, place);
        } else {
            let first = paths.first().cloned().unwrap_or_default();
            let mut text = format!(
                "sshd reads {}, and there is no such file ({line})",
                paths.join(" and ")
            );
            if let Some(other) = misnamed(scene, &account) {
                text.push_str(&format!(
                    "; {other} has the client's key, and nobody reads a file of that name"
                ));
            }
            scene.say(Gate::Auth, "keys.file", "missing", first, text, place);
        }
        return;
    }
    let mut good = 0;
    let mut all: Vec<(String, Entry)> = Vec::new();
    for path in &found {
        label(scene, path);
        good += usize::from(trusted(scene, &account, path));
        read(scene, path, &mut all);
    }
    let usable = all
        .iter()
        .filter(|(_, e)| e.option("cert-authority").is_none())
        .count();
    let listed = all
        .iter()
        .any(|(_, e)| scene.question.keys.contains(&e.key.fingerprint));
    if !listed && let Some((at, key)) = key_elsewhere(scene, &account, &paths) {
        let text =
            format!("sshd reads {read_instead} ({line}); the client's key {key} stands in {at}");
        scene.say(
            Gate::Auth,
            "keys.file",
            "elsewhere",
            at,
            text,
            place.clone(),
        );
    } else if !paths.contains(&usual) && entries(scene, &usual) > 0 && usable == 0 {
        let text = format!("sshd reads {read_instead} ({line}); the keys are in {usual}");
        scene.say(
            Gate::Auth,
            "keys.file",
            "elsewhere",
            usual.clone(),
            text,
            place.clone(),
        );
    }
    let barred = |place: &str| {
        scene.seen.observations.iter().any(|o| {
            o.key == "keys.line"
                && o.about == place
                && matches!(o.value.as_str(), "from-refused" | "expired")
        })
    };
    if usable > 0 && usable <= TOLD && all.iter().all(|(place, _)| barred(place)) {
        let text = "no key in it counts for this client now";
        scene.say(
            Gate::Auth,
            "keys.usable",
            "none",
            found.join(" "),
            text,
            found.join(" "),
        );
    }
    let value = match (good, usable) {
        (_, 0) => "empty",
        _ => "ok",
    };
    scene.say(
        Gate::Auth,
        "keys.file",
        value,
        found.join(" "),
        format!("{usable} keys in {}", found.join(" and ")),
        found.join(" "),
    );
    algorithms(scene, &all);
    let wanted = scene.question.keys.clone();
    for key in wanted {
        let is_ca = |e: &Entry| e.option("cert-authority").is_some();
        let hit = all
            .iter()
            .filter(|(_, e)| e.key.fingerprint == key)
            .min_by_key(|(_, e)| is_ca(e))
            .map(|(at, e)| (at.clone(), is_ca(e)));
        match hit {
            Some((at, true)) => scene.say(
                Gate::Auth,
                "keys.offered",
                "listed-as-ca",
                key.clone(),
                format!(
                    "{key} stands at {at} as cert-authority: certificates that it signed are taken there, the key itself is not"
                ),
                at,
            ),
            Some((at, false)) => scene.say(
                Gate::Auth,
                "keys.offered",
                "listed",
                key.clone(),
                format!("{key} stands at {at}"),
                at,
            ),
            None => scene.say(
                Gate::Auth,
                "keys.offered",
                "not-listed",
                key.clone(),
                format!("{key} is not in {}", found.join(" or ")),
                found.join(" "),
            ),
        }
    }
}

/// AuthorizedPrincipalsFile: whom certificates must name to let this user in; without one, the user's own name.
fn principals(scene: &mut Scene<'_>, account: &Account) {
    let setting = scene.effective.value("AuthorizedPrincipalsFile").to_owned();
    let off = |v: &str| v.is_empty() || v == "none";
    if off(&setting) || off(scene.effective.value("TrustedUserCAKeys")) {
        return;
    }
    let path = expand(&setting, account);
    let (place, line) = scene.set_at("AuthorizedPrincipalsFile");
    let Ok(text) = scene.machine.text(&path) else {
        let text = format!(
            "{line}: {path} cannot be read, so no certificate lets {} in",
            account.name
        );
        scene.say(Gate::Auth, "keys.principals", "missing", path, text, place);
        return;
    };
    // Options may stand before the name, as in authorized_keys.
    let names: Vec<&str> = text
        .lines()
        .map(|l| l.split('#').next().unwrap_or_default().trim())
        .filter_map(|l| l.split_ascii_whitespace().next_back())
        .collect();
    let own = names.contains(&account.name.as_str());
    let value = if own { "own-name" } else { "other-names" };
    let shown: Vec<&str> = names.iter().take(TOLD).copied().collect();
    let text = format!("{line}: {path} takes certificates for {}", shown.join(", "));
    scene.say(Gate::Auth, "keys.principals", value, path, text, place);
}

/// SELinux: sshd may read keys of a few types only; files that were moved there keep the type of where they came from.
fn label(scene: &mut Scene<'_>, path: &str) {
    let enforcing = scene.machine.text("/sys/fs/selinux/enforce");
    if enforcing.is_ok_and(|t| t.trim() != "1") || !scene.machine.exists("/sys/fs/selinux/enforce")
    {
        return;
    }
    let Some(label) = scene.machine.attribute(path, "security.selinux") else {
        return;
    };
    let label = String::from_utf8_lossy(&label)
        .trim_end_matches('\0')
        .to_owned();
    let kind = label.split(':').nth(2).unwrap_or_default();
    let good = ["ssh_home_t", "sshd_key_t", "etc_t", "authorized_keys_t"].contains(&kind);
    let value = if good { "usual" } else { "unusual" };
    let text = format!(
        "{path} has the SELinux label {label}; sshd reads keys labelled ssh_home_t (restorecon -Rv sets it)"
    );
    scene.say(Gate::Auth, "keys.label", value, path, text, path);
}

/// A file that sshd does not read for this account, though somebody may well have put keys for it there: the usual places,
/// those of AuthorizedKeysFile lines that do not count, and files named for the user beside the ones that are read.
fn unread(scene: &Scene<'_>, account: &Account, paths: &[String]) -> Vec<String> {
    let usual = [".ssh/authorized_keys", ".ssh/authorized_keys2"];
    let mut out: Vec<String> = usual.iter().map(|p| expand(p, account)).collect();
    let lost = scene.effective.of("AuthorizedKeysFile");
    for lost in lost.iter().flat_map(|s| &s.lost) {
        let own_block = !matches!(lost.why, Why::NotMatched(_));
        let patterns = lost.value.split_ascii_whitespace();
        // A block for others may name a file of theirs: only what stands for any user can be this one's too.
        let patterns = patterns
            .map(|p| p.trim_matches('"'))
            .filter(|p| *p != "none")
            .filter(|p| {
                own_block || !p.starts_with('/') || ["%u", "%U", "%h"].iter().any(|t| p.contains(t))
            });
        out.extend(patterns.map(|p| expand(p, account)));
    }
    out.extend(beside(scene, account, paths));
    out.retain(|p| !paths.contains(p) && scene.machine.exists(p));
    out
}

/// Another file in ~/.ssh that holds a key the client has, and is not one half of a pair: `authorized_key`,
/// `authorized_keys.txt`.
fn misnamed(scene: &Scene<'_>, account: &Account) -> Option<String> {
    let folder = format!("{}/.ssh", account.home);
    let names = scene.machine.names(&folder).into_iter();
    names
        .filter(|n| !n.ends_with(".pub"))
        .map(|n| format!("{folder}/{n}"))
        .take(MOST_BESIDE)
        .find(|file| {
            let text = scene.machine.text(file).unwrap_or_default();
            authorized_keys::lines(&text).iter().any(|(_, l)| match l {
                Line::Entry(e) => scene.question.keys.contains(&e.key.fingerprint),
                Line::Malformed(_) => false,
            })
        })
}

/// How many files of a ~/.ssh are looked into.
const MOST_BESIDE: usize = 50;

/// Files named for the user in the folders where sshd looks for one: `dave` and `dave.keys` beside `dave.pub`. In the home
/// everything is the user's, and a key pair of the user's own proves nothing.
fn beside(scene: &Scene<'_>, account: &Account, paths: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let home = format!("{}/", account.home);
    let folders = paths.iter().filter(|p| !p.starts_with(&home));
    for folder in folders.filter_map(|p| Some(p.rsplit_once('/')?.0)) {
        let named = |file: &String| {
            file.strip_prefix(account.name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                // Another account's, whose name goes on behind the dot.
                && !scene.accounts.iter().any(|a| a.name == *file && a.name != account.name)
        };
        let files = scene.machine.names(folder).into_iter().filter(named);
        out.extend(files.map(|f| format!("{folder}/{f}")));
    }
    out.retain(|p| !paths.contains(p));
    out
}

/// Where a key that the client has stands, in a file that sshd does not read; with the key.
fn key_elsewhere(
    scene: &Scene<'_>,
    account: &Account,
    paths: &[String],
) -> Option<(String, String)> {
    let wanted = &scene.question.keys;
    if wanted.is_empty() {
        return None;
    }
    unread(scene, account, paths).into_iter().find_map(|path| {
        let text = scene.machine.text(&path).ok()?;
        let key = authorized_keys::lines(&text)
            .into_iter()
            .find_map(|(_, l)| match l {
                Line::Entry(e) if wanted.contains(&e.key.fingerprint) => Some(e.key.fingerprint),
                _ => None,
            })?;
        Some((path, key))
    })
}

fn entries(scene: &Scene<'_>, path: &str) -> usize {
    let text = scene.machine.text(path).unwrap_or_default();
    authorized_keys::lines(&text)
        .iter()
        .filter(|(_, l)| matches!(l, Line::Entry(_)))
        .count()
}

/// StrictModes, and whether the user can read the file at all.
fn trusted(scene: &mut Scene<'_>, account: &Account, path: &str) -> bool {
    let parts = components(scene, path);
    let home = scene.machine.canonical(&account.home);
    let debian = scene.machine.exists("/etc/debian_version");
    let private =
        |gid: u32, uid: u32| accounts::is_private_group(&scene.accounts, scene.machine, gid, uid);
    if scene.effective.is("StrictModes", "yes")
        && let Some((stat, fault)) = modes::fault(
            &parts,
            account.uid,
            &home,
            if debian { Some(&private) } else { None },
        )
    {
        let what = if stat.kind == Kind::Dir {
            "folder"
        } else {
            "file"
        };
        let list = if stat.acl.is_some() {
            " (by its access control list: see getfacl)"
        } else {
            ""
        };
        let text = format!(
            "StrictModes: the {what} {} {}{list} (owner {}, group {}, mode {:04o}), so sshd ignores every key in {path}",
            stat.path,
            fault.text(),
            name_of(scene, stat.uid),
            stat.gid,
            stat.mode
        );
        let about = stat.path.clone();
        scene.say(Gate::Auth, "keys.modes", "bad", about.clone(), text, about);
        return false;
    }
    if let Some(stat) = modes::unreadable(&parts, account.uid, &account.gids) {
        let text = format!(
            "{} cannot be read by {} (owner {}, mode {:04o}), and sshd reads {path} as that user",
            stat.path,
            account.name,
            name_of(scene, stat.uid),
            stat.mode
        );
        let about = stat.path.clone();
        scene.say(
            Gate::Auth,
            "keys.modes",
            "unreadable",
            about.clone(),
            text,
            about,
        );
        return false;
    }
    true
}

fn name_of(scene: &Scene<'_>, uid: u32) -> String {
    let known = scene.accounts.iter().find(|a| a.uid == uid);
    known.map_or_else(|| uid.to_string(), |a| a.name.clone())
}

fn read(scene: &mut Scene<'_>, path: &str, all: &mut Vec<(String, Entry)>) {
    let text = match scene.machine.text(path) {
        Ok(text) => text,
        Err(why) => {
            scene.seen.blind.push(format!("{path}: {why}"));
            return;
        }
    };
    let (mut bad, mut refused) = (0, 0);
    let mangled = authorized_keys::mangled(&text);
    for (number, line) in authorized_keys::lines(&text) {
        let place = format!("{path}:{number}");
        match line {
            Line::Malformed(why) => {
                bad += 1;
                // Whose key it was: one that the client offers is what keeps it out.
                let offered = &scene.question.keys;
                let whose = mangled.iter().find(|(n, _)| *n == number);
                let value = match whose {
                    _ if offered.is_empty() => "malformed",
                    Some((_, Some(key))) if offered.contains(key) => "malformed-offered",
                    Some((_, Some(_))) => "malformed-other",
                    Some((_, None)) => "malformed",
                    None => "malformed-other",
                };
                if bad <= TOLD || value == "malformed-offered" {
                    scene.say(
                        Gate::Auth,
                        "keys.line",
                        value,
                        place.clone(),
                        format!("{place}: {}", why.text()),
                        place,
                    );
                }
            }
            Line::Entry(e) => {
                glued(scene, &place, &e);
                if let (Some(from), Some(addr)) = (e.value("from"), scene.question.from) {
                    let host = scene.connection.host.clone();
                    if !pattern::host_and_ip(host.as_deref(), &addr.to_string(), from) {
                        refused += 1;
                        if refused <= TOLD {
                            scene.say(
                                Gate::Auth,
                                "keys.line",
                                "from-refused",
                                place.clone(),
                                format!("{place}: from=\"{from}\" does not fit {addr}"),
                                place.clone(),
                            );
                        }
                    }
                }
                if let Some(expiry) = e.value("expiry-time")
                    && expired(scene, expiry)
                {
                    scene.say(
                        Gate::Auth,
                        "keys.line",
                        "expired",
                        place.clone(),
                        format!("{place}: expiry-time=\"{expiry}\" is over"),
                        place.clone(),
                    );
                }
                all.push((place, e));
            }
        }
    }
}

/// Keys that stand in the comment of another: appended to a file that did not end with a line end, or joined by an editor.
fn glued(scene: &mut Scene<'_>, place: &str, entry: &Entry) {
    for key in authorized_keys::glued(entry) {
        let offered = &scene.question.keys;
        let value = if offered.is_empty() {
            "malformed"
        } else if offered.contains(&key.fingerprint) {
            "malformed-offered"
        } else {
            "malformed-other"
        };
        let text = format!(
            "{place}: a second key ({}) stands on the line, in the comment of the first; sshd reads one key a line",
            key.fingerprint
        );
        scene.say(Gate::Auth, "keys.line", value, place, text, place);
    }
}

/// `YYYYMMDD[HHMM[SS]][Z]`.
fn expired(scene: &Scene<'_>, text: &str) -> bool {
    let digits = text.trim_end_matches(['Z', 'z']);
    let part = |a: usize, b: usize| digits.get(a..b).and_then(|d| d.parse::<i64>().ok());
    let (Some(y), Some(m), Some(d)) = (part(0, 4), part(4, 6), part(6, 8)) else {
        return false;
    };
    let days = sshwhy_core::time::days_from_civil(y as i32, m as u8, d as u8);
    let secs = days * 86_400
        + part(8, 10).unwrap_or(0) * 3600
        + part(10, 12).unwrap_or(0) * 60
        + part(12, 14).unwrap_or(0);
    let utc = if digits.len() == text.len() {
        secs - i64::from(scene.zone.offset_at(secs))
    } else {
        secs
    };
    scene.now.secs() > utc
}

/// Keys that sshd's own settings rule out, where all of them are ruled out.
fn algorithms(scene: &mut Scene<'_>, all: &[(String, Entry)]) {
    let accepted = scene.effective.value("PubkeyAcceptedAlgorithms").to_owned();
    let least = scene.effective.number("RequiredRSASize");
    let takes = |e: &Entry| {
        let fits = |name: &str| accepted.split(',').any(|a| a == name);
        match e.key.kind.as_str() {
            "ssh-rsa" => fits("ssh-rsa") || fits("rsa-sha2-256") || fits("rsa-sha2-512"),
            kind => fits(kind),
        }
    };
    let short = |e: &Entry| e.key.bits.is_some_and(|b| u64::from(b) < least);
    let (place, line) = scene.set_at("PubkeyAcceptedAlgorithms");
    let (size_place, size_line) = scene.set_at("RequiredRSASize");
    let mine: Vec<&(String, Entry)> = all
        .iter()
        .filter(|(_, e)| e.option("cert-authority").is_none())
        .collect();
    if mine.is_empty() {
        return;
    }
    if mine.iter().all(|(_, e)| !takes(e)) {
        let kinds: Vec<&str> = mine.iter().map(|(_, e)| e.key.kind.as_str()).collect();
        scene.say(
            Gate::Auth,
            "keys.types",
            "rejected",
            mine.first().map(|m| m.0.clone()).unwrap_or_default(),
            format!(
                "the keys are of type {}, which sshd does not take: {line}",
                kinds.join(", ")
            ),
            place,
        );
    }
    if let Some((at, e)) = mine
        .iter()
        .find(|(_, e)| short(e))
        .filter(|_| mine.iter().all(|(_, e)| short(e) || !takes(e)))
    {
        scene.say(
            Gate::Auth,
            "keys.types",
            "too-short",
            at.clone(),
            format!(
                "{at}: an RSA key of {} bits, and {size_line}",
                e.key.bits.unwrap_or(0)
            ),
            size_place,
        );
    }
}

/// AuthorizedKeysCommand: there, safe, and run as somebody who exists (misc.c subprocess()).
fn command(scene: &mut Scene<'_>) {
    for (keyword, user_keyword) in [
        ("AuthorizedKeysCommand", "AuthorizedKeysCommandUser"),
        (
            "AuthorizedPrincipalsCommand",
            "AuthorizedPrincipalsCommandUser",
        ),
    ] {
        let value = scene.effective.value(keyword).to_owned();
        if value == "none" || value.is_empty() {
            continue;
        }
        let (place, line) = scene.set_at(keyword);
        let program = value
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned();
        let parts = components(scene, &program);
        // Debian's sshd lets the group write where nobody but the owner is in it.
        let debian = scene.machine.exists("/etc/debian_version");
        let open = |s: &Stat| {
            let private =
                debian && accounts::is_private_group(&scene.accounts, scene.machine, s.gid, s.uid);
            s.mode & if private { 0o002 } else { 0o022 } != 0
        };
        let problem = scene.machine.cannot_run(&program).or_else(|| {
            let unsafe_part = parts.iter().find(|s| s.uid != 0 || open(s));
            unsafe_part.map(|s| {
                format!(
                    "{} must belong to root and be writable by nobody else (owner {}, mode {:04o})",
                    s.path, s.uid, s.mode
                )
            })
        });
        let user = scene.effective.value(user_keyword).to_owned();
        let nobody = user == "none"
            || (!user.contains('%') && accounts::find(scene.machine, &user).is_none());
        let problem = problem.or_else(|| {
            nobody.then(|| {
                format!("{user_keyword} {user}: there is no such user, so sshd does not run it")
            })
        });
        match problem {
            Some(p) => scene.say(
                Gate::Auth,
                "keys.command",
                "broken",
                program,
                format!("{line}: {p}"),
                place,
            ),
            None => scene.say(Gate::Auth, "keys.command", "set", program, line, place),
        }
    }
}

fn revoked(scene: &mut Scene<'_>) {
    let file = scene.effective.value("RevokedKeys").to_owned();
    if file == "none" || file.is_empty() {
        return;
    }
    let (place, line) = scene.set_at("RevokedKeys");
    if !scene.machine.exists(&file) {
        scene.say(
            Gate::Auth,
            "keys.revoked",
            "unreadable",
            file.clone(),
            format!("{line}: {file} cannot be read, and then sshd refuses every key"),
            place,
        );
        return;
    }
    // A plain list of keys, or a binary KRL.
    let bytes = scene.machine.raw(&file).unwrap_or_default();
    let listed: Vec<String> = match krl::fingerprints(&bytes) {
        Some(prints) => prints,
        None => authorized_keys::lines(&String::from_utf8_lossy(&bytes))
            .into_iter()
            .filter_map(|(_, l)| match l {
                Line::Entry(e) => Some(e.key.fingerprint),
                Line::Malformed(_) => None,
            })
            .collect(),
    };
    for key in scene.question.keys.clone() {
        if listed.contains(&key) {
            scene.say(
                Gate::Auth,
                "keys.revoked",
                "listed",
                file.clone(),
                format!("the client's key {key} stands in {file} ({line})"),
                place.clone(),
            );
        }
    }
    let Some(account) = scene.account.clone() else {
        return;
    };
    let paths: Vec<String> = scene
        .effective
        .value("AuthorizedKeysFile")
        .split(' ')
        .map(|p| expand(p, &account))
        .collect();
    for path in paths {
        let text = scene.machine.text(&path).unwrap_or_default();
        for (n, l) in authorized_keys::lines(&text) {
            if let Line::Entry(e) = l
                && listed.contains(&e.key.fingerprint)
            {
                scene.say(
                    Gate::Auth,
                    "keys.revoked",
                    "listed",
                    file.clone(),
                    format!("the key at {path}:{n} stands in {file} ({line})"),
                    place.clone(),
                );
            }
        }
    }
}
