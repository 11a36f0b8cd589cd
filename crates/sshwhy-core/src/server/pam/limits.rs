//! What limits.conf(5) leaves of one user's sessions: how many, how many processes, whether a shell can start, how large a
//! file may be.

use super::{Kind, Read, Rule, Who, rules};

/// Limits under which no shell starts at all, with the greatest value that stops one: `as` and `data` in KiB, `nofile` in
/// files, `cpu` in minutes. Measured with Debian 12's bash; locks, memlock, rss, fsize and stack stop none.
const STARVING: [(&str, i64); 4] = [("as", 8192), ("data", 512), ("nofile", 6), ("cpu", 0)];

/// The files that a rule with pam_limits reads.
fn limit_files(read: &dyn Read, rule: &Rule) -> Vec<String> {
    match rule.value("conf") {
        Some(f) => vec![f.to_owned()],
        None => {
            let mut files = vec!["/etc/security/limits.conf".to_owned()];
            files.extend(read.folder("/etc/security/limits.d", ".conf"));
            files
        }
    }
}

/// How near a domain of limits.conf(5) is to the user: a line for the user beats one for a group, which beats `*`.
fn nearness(domain: &str, who: &Who) -> Option<u8> {
    match domain {
        d if d == who.user => Some(3),
        d if d
            .strip_prefix('@')
            .is_some_and(|g| who.groups.iter().any(|x| x == g)) =>
        {
            Some(2)
        }
        "*" if who.uid != 0 => Some(1),
        _ => None,
    }
}

/// How large a file the user's sessions may write, in KiB, and the line that says so (limits.conf(5) fsize).
pub fn file_size(read: &dyn Read, service: &str, who: &Who) -> Option<(u64, String)> {
    let (rules, _) = rules(read, service);
    let rule = rules
        .iter()
        .find(|r| r.kind == "session" && r.module == "pam_limits.so" && !r.missing)?;
    let mut best: Option<(u8, Option<u64>, String)> = None;
    for file in limit_files(read, rule) {
        let text = read.text(&file).unwrap_or_default();
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let w: Vec<&str> = line.split_ascii_whitespace().collect();
            let [domain, _, "fsize", value] = w[..] else {
                continue;
            };
            let Some(rank) = nearness(domain, who) else {
                continue;
            };
            if best.as_ref().is_none_or(|(r, ..)| rank >= *r) {
                let at = format!("{file}:{}: {}", i + 1, w.join(" "));
                best = Some((rank, value.parse().ok(), at));
            }
        }
    }
    best.and_then(|(_, kib, at)| Some((kib?, at)))
}

/// limits.conf(5): maxlogins, maxsyslogins and nproc that leave no room, and what no shell can start under.
pub(super) fn limits(read: &dyn Read, rule: &Rule, who: &Who) -> Option<(Kind, String)> {
    if let Some(named) = rule.value("conf").filter(|f| !read.exists(f)) {
        let text = format!("{}: {named} does not exist", rule.place());
        return Some((Kind::Broken, text));
    }
    let files = limit_files(read, rule);
    // Among equally near ones the last counts.
    let mut best: [Option<(u8, i64, String)>; 3] = [None, None, None];
    let mut starving: [Option<(u8, i64, String)>; STARVING.len()] = Default::default();
    for file in files {
        let Some(text) = read.text(&file) else {
            continue;
        };
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let w: Vec<&str> = line.split_ascii_whitespace().collect();
            let [domain, kind, item, value] = w[..] else {
                continue;
            };
            let Some(rank) = nearness(domain, who) else {
                continue;
            };
            let slot = match item {
                "maxlogins" => best.first_mut(),
                "maxsyslogins" => best.get_mut(2),
                "nproc" if kind != "soft" || who.uid != 0 => best.get_mut(1),
                item => match STARVING.iter().position(|(name, _)| *name == item) {
                    Some(at) => starving.get_mut(at),
                    None => continue,
                },
            };
            let value = match value {
                "-" | "unlimited" | "infinity" | "-1" => i64::MAX,
                v => v.parse().unwrap_or(i64::MAX),
            };
            if let Some(slot) = slot
                && slot.as_ref().is_none_or(|(r, ..)| rank >= *r)
            {
                *slot = Some((rank, value, format!("{file}:{}: {}", i + 1, w.join(" "))));
            }
        }
    }
    let [logins, processes, all] = best;
    if let Some((_, n, at)) = all
        && i64::from(who.all_sessions) >= n
        && who.uid != 0
    {
        return Some((Kind::Limits, at));
    }
    if let Some((_, n, at)) = logins
        && i64::from(who.sessions) >= n
        && who.uid != 0
    {
        return Some((Kind::Limits, at));
    }
    if let Some((_, n, at)) = processes
        && i64::from(who.processes) >= n
        && who.uid != 0
    {
        return Some((Kind::Processes, at));
    }
    STARVING
        .iter()
        .zip(starving)
        .filter_map(|((name, most), set)| Some((name, most, set?)))
        .find(|(_, most, (_, n, _))| n <= most)
        .map(|(name, most, (_, _, at))| {
            let text = format!("{at}: no shell starts with {name} of {most} or less");
            (Kind::Limits, text)
        })
}
