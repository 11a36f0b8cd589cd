//! Taking over from fail2ban and sshguard: bans that are in force, and settings as guard's TOML. What has no place with us is named.

use super::Desk;
use crate::cli::BansImport;
use crate::exit::Exit;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use sshwhy_core::addr::Cidr;
use sshwhy_core::ban::{Action, Ban, Origin};
use sshwhy_core::import::fail2ban::{self, Imported, Jail};
use sshwhy_core::import::sshguard;
use sshwhy_core::render::escape::{is_hidden, terminal};
use sshwhy_core::time::Time;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where the two keep their things (Debian, RHEL, Alpine, FreeBSD).
const USUAL: [&str; 5] = [
    "/etc/fail2ban",
    "/var/lib/fail2ban/fail2ban.sqlite3",
    "/var/lib/sshguard/blacklist.db",
    "/etc/sshguard/blacklist.db",
    "/var/db/sshguard/blacklist.db",
];
/// A blacklist larger than this is none.
const LARGEST: u64 = 256 << 20;
/// Lines that fail2ban kept of one ban.
const MATCHES: usize = 5;

/// Bans taken over in one transaction: what a million of them need at once stays small.
const BATCH: usize = 20_000;

/// One ban as it stood there, small.
struct Found {
    net: Cidr,
    since: Time,
    until: Option<Time>,
    strikes: u32,
    reason: Rc<str>,
    evidence: Kept,
}

/// What led to it.
enum Kept {
    /// It is on that list.
    Listed(Rc<str>, Option<Time>),
    /// Lines that fail2ban kept, as JSON.
    Lines(Box<str>),
}

impl Found {
    fn action(&self) -> Action {
        Action::Ban(Ban {
            net: self.net,
            since: self.since,
            until: self.until,
            detector: "import".to_owned(),
            reason: self.reason.to_string(),
            origin: Origin::Import,
            strikes: self.strikes,
        })
    }

    fn evidence(&self) -> Value {
        match &self.evidence {
            Kept::Listed(name, at) => {
                json!([{"source": &**name, "at": at, "text": "blacklisted for good"}])
            }
            Kept::Lines(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        }
    }
}

#[derive(Default)]
struct Taken {
    found: Vec<Found>,
    /// Ended already.
    over: usize,
    /// Of jails that do not watch SSH.
    other_jails: HashMap<String, usize>,
    troubles: Vec<String>,
    settings: Option<Imported>,
    read: Vec<String>,
}

impl Desk {
    pub(super) fn import(&mut self, a: &BansImport) -> Result<Exit, String> {
        let paths: Vec<PathBuf> = if a.paths.is_empty() {
            USUAL
                .iter()
                .map(PathBuf::from)
                .filter(|p| p.exists())
                .collect()
        } else {
            a.paths.clone()
        };
        if paths.is_empty() {
            return Err(format!(
                "neither fail2ban nor sshguard left anything here: looked at {}",
                USUAL.join(", ")
            ));
        }
        let mut taken = Taken::default();
        // Settings first: an old database says no bantime, the jail does.
        let (folders, files): (Vec<_>, Vec<_>) = paths.iter().partition(|p| p.is_dir());
        for folder in folders {
            let root = folder.to_string_lossy();
            let read = fail2ban::read(&self.machine, root.trim_end_matches('/'));
            if read.files.is_empty() {
                return Err(format!(
                    "{root} holds no jail.conf and no jail.local: give fail2ban's folder"
                ));
            }
            taken.read.extend(read.files.iter().cloned());
            taken.settings = Some(read);
        }
        for file in files {
            self.file(file, &mut taken)?;
        }
        let settings = taken.settings.as_ref().map(toml);
        let mut refused: Vec<(Cidr, String)> = Vec::new();
        let mut count = 0;
        for some in taken.found.chunks(BATCH) {
            let mut actions = Vec::with_capacity(some.len());
            let mut evidence: HashMap<Cidr, &Found> = HashMap::with_capacity(some.len());
            for f in some {
                let action = f.action();
                match super::would(&action, self) {
                    Ok(_) => {
                        evidence.insert(f.net, f);
                        actions.push(action);
                    }
                    Err(why) => refused.push((f.net, why)),
                }
            }
            count += actions.len();
            if !a.dry_run && !actions.is_empty() {
                self.act(actions, |b| {
                    evidence.get(&b.net).map_or(Value::Null, |f| f.evidence())
                })?;
            }
        }
        drop(std::mem::take(&mut taken.found));
        let written = match (&settings, &a.output, a.dry_run) {
            (Some(text), Some(path), false) => {
                write_new(path, text)?;
                Some(path.display().to_string())
            }
            _ => None,
        };
        let mut text = String::new();
        for path in &taken.read {
            let _ = writeln!(text, "read {}", terminal(path));
        }
        let verb = if a.dry_run {
            "would be taken over"
        } else {
            "taken over"
        };
        let _ = writeln!(
            text,
            "{count} bans {verb}; {} were over already",
            taken.over
        );
        for (net, why) in &refused {
            let _ = writeln!(text, "not taken: {net}: {}", terminal(why));
        }
        for (jail, n) in &taken.other_jails {
            let _ = writeln!(
                text,
                "not taken: {n} of the jail {}, which does not watch SSH",
                terminal(jail)
            );
        }
        for t in &taken.troubles {
            let _ = writeln!(text, "not understood: {}", terminal(t));
        }
        let left = taken
            .settings
            .as_ref()
            .map(|s| s.left.as_slice())
            .unwrap_or_default();
        for l in left {
            let _ = writeln!(
                text,
                "not carried over: {} {}: {}",
                terminal(&l.at),
                terminal(&l.what),
                terminal(&l.why)
            );
        }
        match (&settings, &written) {
            (Some(_), Some(path)) => {
                let _ = writeln!(
                    text,
                    "settings are in {}: sshwhy guard check-config",
                    terminal(path)
                );
            }
            (Some(s), None) => {
                let shown: Vec<String> = s.lines().map(|l| terminal(l).into_owned()).collect();
                let _ = writeln!(text, "\n{}", shown.join("\n"));
            }
            (None, _) => {}
        }
        let partial = !taken.troubles.is_empty();
        let fields = json!({
            "read": taken.read, "taken": count, "over": taken.over, "dry_run": a.dry_run,
            "refused": refused.iter().map(|(n, w)| json!({"net": n.to_string(), "why": w})).collect::<Vec<_>>(),
            "other_jails": taken.other_jails, "troubles": taken.troubles, "settings": settings, "written": written,
            "left": left.iter().map(|l| json!({"at": l.at, "what": l.what, "why": l.why})).collect::<Vec<_>>(),
        });
        self.show(text, fields, &[])?;
        Ok(Exit::of(&[], partial))
    }

    fn file(&self, path: &Path, taken: &mut Taken) -> Result<(), String> {
        let name = path.display().to_string();
        let mut file = fs::File::open(path).map_err(|e| format!("cannot read {name}: {e}"))?;
        let mut head = [0u8; 16];
        let n = file
            .read(&mut head)
            .map_err(|e| format!("cannot read {name}: {e}"))?;
        taken.read.push(name.clone());
        if head
            .get(..n)
            .is_some_and(|h| h.starts_with(b"SQLite format 3"))
        {
            return self.database(path, taken);
        }
        let size = file.metadata().map_or(0, |m| m.len());
        if size > LARGEST {
            return Err(format!(
                "{name} is {size} bytes: no blacklist of sshguard is that long"
            ));
        }
        let bytes = fs::read(path).map_err(|e| format!("cannot read {name}: {e}"))?;
        let list = sshguard::parse(&String::from_utf8_lossy(&bytes));
        drop(bytes);
        if list.blocked.is_empty() && list.odd_count > 0 {
            return Err(format!(
                "{name} is neither fail2ban's database nor sshguard's blacklist: its line {} is {:?}",
                list.odd.first().map_or(1, |o| o.0),
                list.odd.first().map_or("", |o| o.1.as_str())
            ));
        }
        for (line, text) in &list.odd {
            taken.troubles.push(format!("{name}:{line}: {text}"));
        }
        if list.odd_count > list.odd.len() {
            taken.troubles.push(format!(
                "{name}: {} lines more",
                list.odd_count - list.odd.len()
            ));
        }
        let (reason, from): (Rc<str>, Rc<str>) = ("on sshguard's blacklist".into(), name.into());
        taken.found.extend(list.blocked.iter().map(|b| Found {
            net: b.net,
            since: b.at.unwrap_or(self.now),
            until: None,
            strikes: 1,
            reason: Rc::clone(&reason),
            evidence: Kept::Listed(Rc::clone(&from), b.at),
        }));
        Ok(())
    }

    /// fail2ban's database: `bips` since 0.11, before that `bans`, with no bantime at all before 0.10.
    fn database(&self, path: &Path, taken: &mut Taken) -> Result<(), String> {
        let name = path.display();
        let failed =
            |e: rusqlite::Error| format!("{name} could not be read as fail2ban's database: {e}");
        let db =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let has = |table: &str, column: &str| {
            db.prepare(&format!("SELECT {column} FROM {table} LIMIT 0"))
                .is_ok()
        };
        let (table, bantime) = match (has("bips", "ip"), has("bans", "bantime"), has("bans", "ip"))
        {
            (true, ..) => ("bips", "bantime"),
            (_, true, _) => ("bans", "bantime"),
            (.., true) => ("bans", "NULL"),
            _ => return Err(format!("{name} has no table of bans: it is not fail2ban's")),
        };
        let count = if has(table, "bancount") {
            "bancount"
        } else {
            "1"
        };
        let sql = format!(
            "SELECT jail, ip, max(timeofban), {bantime}, {count}, CAST(data AS TEXT) FROM {table} GROUP BY jail, ip"
        );
        let mut s = db.prepare(&sql).map_err(failed)?;
        let mut rows = s.query([]).map_err(failed)?;
        let mut reasons: HashMap<String, Rc<str>> = HashMap::new();
        while let Some(row) = rows.next().map_err(failed)? {
            // A broken row costs only itself.
            let read =
                || -> rusqlite::Result<(String, String, i64, Option<i64>, i64, Option<String>)> {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                    ))
                };
            let (jail, ip, since, bantime, count, data) = match read() {
                Ok(r) => r,
                Err(e) => {
                    taken.troubles.push(format!("{name}: a row: {e}"));
                    continue;
                }
            };
            let lower = jail.to_lowercase();
            if !lower.contains("ssh") && !lower.contains("dropbear") && lower != "recidive" {
                *taken.other_jails.entry(jail).or_default() += 1;
                continue;
            }
            let Some(net) = Cidr::parse(&ip) else {
                taken
                    .troubles
                    .push(format!("{name}: jail {jail}: {ip:?} is no address"));
                continue;
            };
            let jail_time = taken
                .settings
                .as_ref()
                .and_then(|s| s.jails.iter().find(|j| j.name == jail))
                .and_then(|j| j.bantime);
            let bantime = bantime.or(jail_time).unwrap_or(600);
            let until = (bantime >= 0)
                .then(|| Time::from_secs(since.saturating_add(bantime).clamp(0, 1 << 40)));
            if until.is_some_and(|u| u <= self.now) {
                taken.over += 1;
                continue;
            }
            let reason = reasons
                .entry(jail)
                .or_insert_with_key(|jail| format!("banned by fail2ban's jail {jail}").into());
            taken.found.push(Found {
                net,
                since: Time::from_secs(since.clamp(0, 1 << 40)),
                until,
                strikes: u32::try_from(count).unwrap_or(1).max(1),
                reason: Rc::clone(reason),
                evidence: Kept::Lines(
                    matches(&name.to_string(), data.as_deref())
                        .to_string()
                        .into(),
                ),
            });
        }
        Ok(())
    }
}

/// The lines that fail2ban kept: strings, or three parts of one line.
fn matches(name: &str, data: Option<&str>) -> Value {
    let data: Value = data
        .and_then(|d| serde_json::from_str(d).ok())
        .unwrap_or(Value::Null);
    let one = |m: &Value| match m {
        Value::String(s) => s.clone(),
        Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    };
    let lines = data
        .get("matches")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let rows: Vec<Value> = lines
        .map(one)
        .filter(|l| !l.is_empty())
        .take(MATCHES)
        .map(|l| json!({"source": name, "text": l.chars().take(500).collect::<String>()}))
        .collect();
    Value::Array(rows)
}

fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o644).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|e| {
            format!(
                "cannot write {}: {e}; the settings are printed without --output",
                path.display()
            )
        })
}

/// A TOML basic string; nothing in it that an editor would not show as it is.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if is_hidden(c) => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The jails as guard's settings. What two jails say differently, the stricter one decides.
fn toml(imported: &Imported) -> String {
    let jails = &imported.jails;
    let least = |f: fn(&Jail) -> Option<u32>| jails.iter().filter_map(f).min();
    let quoted = |s: &String| quoted(s);
    let list = |f: fn(&Jail) -> &Vec<String>| {
        let mut all: Vec<&String> = jails.iter().flat_map(f).collect();
        let mut seen = std::collections::HashSet::new();
        all.retain(|w| seen.insert(*w));
        all.into_iter().cloned().collect::<Vec<_>>()
    };
    let mut out = String::from("# From fail2ban, by sshwhy bans import.\n");
    let names: Vec<&str> = jails.iter().map(|j| j.name.as_str()).collect();
    let _ = writeln!(out, "# Jails: {}\n", terminal(&names.join(", ")));
    let logs: Vec<String> = list(|j| &j.logpath)
        .into_iter()
        .filter(|p| p.starts_with('/'))
        .collect();
    let systemd = !jails.is_empty() && jails.iter().all(|j| j.backend == "systemd");
    out.push_str("[log]\n");
    if systemd {
        out.push_str("journal = \"yes\"\n");
    } else if !logs.is_empty() {
        let words: Vec<String> = logs.iter().map(quoted).collect();
        let _ = writeln!(out, "files = [{}]", words.join(", "));
    }
    let mut ports: Vec<u16> = Vec::new();
    let mut all = false;
    for word in list(|j| &j.port) {
        match word.as_str() {
            "ssh" => ports.push(22),
            "sftp" => ports.push(115),
            w => match w.parse() {
                Ok(port) => ports.push(port),
                // `0:65535`, `any`, a range
                Err(_) => all = true,
            },
        }
    }
    ports.sort_unstable();
    ports.dedup();
    if !ports.is_empty() && !all {
        let words: Vec<String> = ports.iter().map(u16::to_string).collect();
        let _ = writeln!(out, "\n[firewall]\nports = [{}]", words.join(", "));
    }
    let allow: Vec<String> = list(|j| &j.ignoreip).iter().map(quoted).collect();
    if !allow.is_empty() {
        let _ = writeln!(out, "\n[never]\nallow = [{}]", allow.join(", "));
    }
    if jails.iter().any(|j| j.increment)
        && let Some(longest) = jails
            .iter()
            .filter_map(|j| j.maxtime)
            .max()
            .filter(|s| *s > 0)
    {
        let _ = writeln!(out, "\n[ban]\ngrowth = 2\nlongest = \"{longest}s\"");
    } else if !jails.is_empty() && jails.iter().all(|j| !j.increment) {
        out.push_str("\n[ban]\n# Every ban is as long as the first, as in fail2ban without bantime.increment.\ngrowth = 1\n");
    }
    let mut rule = String::new();
    if let Some(n) = least(|j| j.maxretry) {
        let _ = writeln!(rule, "maxretry = {n}");
    }
    if let Some(s) = jails
        .iter()
        .filter_map(|j| j.findtime)
        .max()
        .filter(|s| *s > 0)
    {
        let _ = writeln!(rule, "findtime = \"{s}s\"");
    }
    if jails.iter().any(|j| j.bantime.is_some_and(|b| b < 0)) {
        // No detector bans for good: ten years are.
        rule.push_str("bantime = \"3650d\"\n");
    } else if let Some(s) = jails
        .iter()
        .filter_map(|j| j.bantime)
        .max()
        .filter(|s| *s > 0)
    {
        let _ = writeln!(rule, "bantime = \"{s}s\"");
    }
    if !rule.is_empty() {
        let _ = write!(out, "\n[detectors.brute-force]\n{rule}");
    }
    out
}
