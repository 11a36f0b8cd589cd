//! fail2ban's configuration as fail2ban reads it: `jail.conf`, `jail.d/*.conf`, `jail.local`, `jail.d/*.local`, later ones over earlier
//! ones, each with what its `[INCLUDES]` name, `[DEFAULT]` under every section, `%(name)s` replaced (jail.conf(5)).
//!
//! What a jail for SSH says that we have a word for is carried over; everything else that its owner wrote himself is named in
//! [`Imported::left`], with the file and the line, so that nobody believes himself protected by it.

use crate::config::Files;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// How deep includes and replacements may nest.
const DEPTH: usize = 10;
/// Longest value after replacement; each replacement can double it.
const LONGEST: usize = 64 << 10;
const MOST_REPLACEMENTS: usize = 200_000;
/// Files read in all.
const MOST_FILES: usize = 500;

/// A value and where it stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Value {
    text: String,
    file: String,
    line: usize,
    /// What it was before a later file changed it: `%(known/name)s`.
    before: Option<Box<str>>,
}

type Section = BTreeMap<String, Value>;

/// One jail, as far as we have words for it. Times in seconds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Jail {
    pub name: String,
    pub enabled: bool,
    pub maxretry: Option<u32>,
    pub findtime: Option<i64>,
    /// Negative: for good.
    pub bantime: Option<i64>,
    /// Whether each ban is longer than the last (`bantime.increment`), and at most so long.
    pub increment: bool,
    pub maxtime: Option<i64>,
    pub ignoreip: Vec<String>,
    /// `auto`, `systemd`, `polling`, …
    pub backend: String,
    pub port: Vec<String>,
    pub logpath: Vec<String>,
}

/// Something that could not be carried over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// `jail.local:12`
    pub at: String,
    /// `[sshd] ignorecommand = …`
    pub what: String,
    pub why: String,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Imported {
    /// Jails that watch SSH and are on.
    pub jails: Vec<Jail>,
    pub left: Vec<Left>,
    /// Files that were read, in order.
    pub files: Vec<String>,
}

struct Reader<'a> {
    files: &'a dyn Files,
    root: &'a str,
    sections: BTreeMap<String, Section>,
    /// Replacements still allowed: names that stand for nothing can nest without making anything longer.
    budget: Cell<usize>,
    out: Imported,
}

/// Reads the folder (`/etc/fail2ban`).
pub fn read(files: &dyn Files, root: &str) -> Imported {
    let mut r = Reader {
        files,
        root,
        sections: BTreeMap::new(),
        budget: Cell::new(MOST_REPLACEMENTS),
        out: Imported::default(),
    };
    let mut paths = vec![format!("{root}/jail.conf")];
    let some = |pattern: &str| {
        let mut found = files.glob(&format!("{root}/jail.d/{pattern}"));
        found.sort();
        found
    };
    paths.extend(some("*.conf"));
    paths.push(format!("{root}/jail.local"));
    paths.extend(some("*.local"));
    for path in paths {
        r.file(&path, 0);
    }
    r.jails();
    r.out
}

/// A file's lines as sections: `(section, key, value, line)`, in order. Text before the first section belongs to none and is odd.
fn ini(text: &str) -> (Vec<(String, String, String, usize)>, Vec<usize>) {
    let mut out: Vec<(String, String, String, usize)> = Vec::new();
    let mut odd = Vec::new();
    let mut section: Option<String> = None;
    let mut open = false;
    for (i, raw) in text.lines().enumerate() {
        let indented = raw.starts_with([' ', '\t']);
        let line = raw.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if line.is_empty() {
            // An empty line ends no value in Python's reader, but nothing that follows unindented continues one.
            continue;
        }
        // A semicolon after a blank begins a comment.
        let line = match line.find(" ;").into_iter().chain(line.find("\t;")).min() {
            Some(at) => line.get(..at).unwrap_or_default().trim_end(),
            None => line,
        };
        if indented
            && open
            && let Some(last) = out.last_mut()
        {
            if last.2.len() + line.len() < LONGEST {
                last.2.push('\n');
                last.2.push_str(line);
            }
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = Some(name.trim().to_owned());
            open = false;
            continue;
        }
        let delimiter = line.find(['=', ':']);
        let (Some(at), Some(section)) = (delimiter, &section) else {
            odd.push(i + 1);
            open = false;
            continue;
        };
        let key = line.get(..at).unwrap_or_default().trim().to_lowercase();
        let value = line.get(at + 1..).unwrap_or_default().trim().to_owned();
        open = true;
        out.push((section.clone(), key, value, i + 1));
    }
    (out, odd)
}

impl Reader<'_> {
    fn left(&mut self, at: String, what: String, why: &str) {
        if self.out.left.len() < 1000 {
            self.out.left.push(Left {
                at,
                what,
                why: why.to_owned(),
            });
        }
    }

    fn file(&mut self, path: &str, depth: usize) {
        if depth > DEPTH || self.out.files.len() >= MOST_FILES {
            self.left(
                path.to_owned(),
                "an include".to_owned(),
                "files include each other without end",
            );
            return;
        }
        let Ok(text) = self.files.read(path) else {
            return;
        };
        self.out.files.push(path.to_owned());
        let (entries, odd) = ini(&text);
        let includes = |key: &str| -> Vec<String> {
            let entry = entries
                .iter()
                .rfind(|(s, k, ..)| s == "INCLUDES" && k == key);
            let value = entry.map(|e| e.2.as_str()).unwrap_or_default();
            value.split_whitespace().map(str::to_owned).collect()
        };
        let folder = path.rsplit_once('/').map_or("", |(f, _)| f);
        let at = |name: &String| match name.starts_with('/') {
            true => name.clone(),
            false => format!("{folder}/{name}"),
        };
        let (before, after) = (includes("before"), includes("after"));
        for name in &before {
            self.file(&at(name), depth + 1);
        }
        for line in odd {
            self.left(
                format!("{path}:{line}"),
                "a line".to_owned(),
                "it is neither a section nor a setting",
            );
        }
        for (section, key, text, line) in entries {
            if section == "INCLUDES" {
                continue;
            }
            let settings = self.sections.entry(section).or_default();
            let before = settings.get(&key).map(|v| v.text.clone().into_boxed_str());
            settings.insert(
                key,
                Value {
                    text,
                    file: path.to_owned(),
                    line,
                    before,
                },
            );
        }
        for name in &after {
            self.file(&at(name), depth + 1);
        }
    }

    fn raw(&self, section: &str, key: &str) -> Option<&Value> {
        let own = self.sections.get(section).and_then(|s| s.get(key));
        own.or_else(|| self.sections.get("DEFAULT")?.get(key))
    }

    fn value(&self, section: &str, key: &str) -> Option<String> {
        let value = self.raw(section, key)?;
        Some(self.replace(section, key, &value.text, 0))
    }

    /// `%(name)s`, `%(section/name)s`, `%(known/name)s`, `%%`; what is not known stays as it is.
    fn replace(&self, section: &str, key: &str, text: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(rest.get(..at).unwrap_or_default());
            rest = rest.get(at..).unwrap_or_default();
            if let Some(after) = rest.strip_prefix("%%") {
                out.push('%');
                rest = after;
                continue;
            }
            let name = rest
                .strip_prefix("%(")
                .and_then(|r| r.split_once(")s"))
                .filter(|(name, _)| !name.contains(['%', '(', '\n']));
            let Some((name, after)) = name else {
                out.push('%');
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            let lower = name.to_lowercase();
            let found = match lower.split_once('/') {
                _ if name == "__name__" => Some(section.to_owned()),
                Some(("known", k)) => {
                    let v = self.raw(section, k);
                    // Of itself: the value that a later file changed; of another: the value that it has.
                    match (k == key, v) {
                        (true, Some(v)) => Some(v.before.as_deref().unwrap_or_default().to_owned()),
                        (false, Some(v)) => Some(v.text.clone()),
                        (_, None) => None,
                    }
                }
                Some((_, k)) => {
                    let other = name.split_once('/').map(|(s, _)| s).unwrap_or_default();
                    let other = if other.eq_ignore_ascii_case("default") {
                        "DEFAULT"
                    } else {
                        other
                    };
                    self.sections
                        .get(other)
                        .and_then(|s| s.get(k))
                        .map(|v| v.text.clone())
                }
                None => self.raw(section, &lower).map(|v| v.text.clone()),
            };
            match found {
                Some(text)
                    if depth < DEPTH
                        && self.budget.get() > 0
                        && out.len() + text.len() < LONGEST =>
                {
                    self.budget.set(self.budget.get() - 1);
                    // What "known" gives may not name itself again.
                    let within = self.replace(section, &lower, &text, depth + 1);
                    if out.len() + within.len() < LONGEST {
                        out.push_str(&within);
                    }
                }
                _ => out.push_str(rest.get(..rest.len() - after.len()).unwrap_or_default()),
            }
            rest = after;
            if out.len() >= LONGEST {
                break;
            }
        }
        if out.len() < LONGEST {
            out.push_str(rest);
        }
        out
    }

    /// Whether somebody wrote it himself: neither the distribution's defaults nor a file that those include.
    fn is_own(&self, value: &Value) -> bool {
        let name = value.file.strip_prefix(self.root).unwrap_or(&value.file);
        let name = name.trim_start_matches('/');
        !(name == "jail.conf"
            || name.starts_with("paths-")
            || name == "jail.d/defaults-debian.conf"
            || name.starts_with("jail.d/00-"))
    }

    fn jails(&mut self) {
        let names: Vec<String> = self
            .sections
            .keys()
            .filter(|n| *n != "DEFAULT" && *n != "INCLUDES")
            .cloned()
            .collect();
        for name in names {
            let on = self.value(&name, "enabled").is_some_and(|v| is_true(&v));
            if !on {
                continue;
            }
            let filter = self.value(&name, "filter").unwrap_or_default();
            let filter = filter
                .split('[')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned();
            let watches = |w: &str| w.contains("ssh") || w.contains("dropbear");
            if !watches(&name) && !watches(&filter) {
                let at = self.place(&name, "enabled");
                self.left(
                    at,
                    format!("[{name}]"),
                    "this jail does not watch SSH: leave fail2ban running for it",
                );
                continue;
            }
            let jail = self.jail(&name);
            self.out.jails.push(jail);
        }
    }

    fn place(&self, section: &str, key: &str) -> String {
        self.raw(section, key)
            .map_or_else(String::new, |v| format!("{}:{}", v.file, v.line))
    }

    fn number(
        &mut self,
        section: &str,
        key: &str,
        read: impl Fn(&str) -> Option<i64>,
    ) -> Option<i64> {
        let text = self.value(section, key)?;
        let number = read(&text);
        if number.is_none() {
            let at = self.place(section, key);
            self.left(
                at,
                shown(section, key, &text),
                "it is no number or length of time",
            );
        }
        number
    }

    fn jail(&mut self, name: &str) -> Jail {
        let words = |text: Option<String>| -> Vec<String> {
            let text = text.unwrap_or_default();
            let words = text.split([' ', ',', '\n', '\t']).map(str::trim);
            words.filter(|w| !w.is_empty()).map(str::to_owned).collect()
        };
        let whole = |t: &str| t.trim().parse::<u32>().ok().map(i64::from);
        let mut jail = Jail {
            name: name.to_owned(),
            enabled: true,
            maxretry: self
                .number(name, "maxretry", whole)
                .and_then(|n| u32::try_from(n).ok()),
            findtime: self.number(name, "findtime", seconds),
            bantime: self.number(name, "bantime", seconds),
            increment: self
                .value(name, "bantime.increment")
                .is_some_and(|v| is_true(&v)),
            maxtime: self.number(name, "bantime.maxtime", seconds),
            ignoreip: words(self.value(name, "ignoreip")),
            backend: self.value(name, "backend").unwrap_or_default(),
            port: words(self.value(name, "port")),
            logpath: words(self.value(name, "logpath"))
                .into_iter()
                .filter(|p| p != "tail" && p != "head")
                .collect(),
        };
        for list in [&mut jail.logpath, &mut jail.port] {
            // A name that stands nowhere is no path and no port.
            list.retain(|w| !w.contains("%("));
        }
        if jail.backend.contains("%(") {
            jail.backend = "auto".to_owned();
        }
        self.not_carried(name);
        jail
    }

    /// Names what the owner wrote himself and we have no word for.
    fn not_carried(&mut self, name: &str) {
        const CARRIED: [&str; 12] = [
            "enabled",
            "maxretry",
            "findtime",
            "bantime",
            "bantime.increment",
            "bantime.maxtime",
            "ignoreip",
            "backend",
            "port",
            "logpath",
            "filter",
            "mode",
        ];
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut rows: Vec<(String, String, String, &'static str)> = Vec::new();
        for section in [name, "DEFAULT"] {
            for (key, value) in self.sections.get(section).into_iter().flatten() {
                if !self.is_own(value) || !seen.insert(key.clone()) {
                    continue;
                }
                let own_filter = key == "filter"
                    && !matches!(
                        value.text.split('[').next().unwrap_or_default().trim(),
                        "sshd" | "%(__name__)s" | "dropbear" | "sshd-ddos" | ""
                    );
                if CARRIED.contains(&key.as_str()) && !own_filter {
                    continue;
                }
                let why = match key.as_str() {
                    "action" | "banaction" | "banaction_allports" | "action_" | "chain" => {
                        "bans go to the firewall that sshwhy finds; choose another with --firewall, or hand them to a command"
                    }
                    "ignorecommand" | "ignorecache" => {
                        "nobody is asked by a command: put those addresses on the allow-list"
                    }
                    "ignoreself" => "own addresses are never banned",
                    "destemail" | "sender" | "sendername" | "mta" => {
                        "alerts are set up by themselves: see [alerts]"
                    }
                    "filter" | "failregex" | "ignoreregex" | "prefregex" => {
                        "sshwhy knows sshd's messages by itself; a pattern of your own is not read"
                    }
                    "journalmatch" => "the journal is read for sshd's own units and identifiers",
                    "usedns" => "names are never looked up to decide a ban",
                    "logencoding" => "lines are read as bytes",
                    key if key.starts_with("bantime.") => {
                        "growing bans double each time, up to the longest"
                    }
                    "maxmatches" | "protocol" | "logtimezone" | "skip_if_nologs" => {
                        "there is no such setting"
                    }
                    _ => {
                        "there is no such setting; where another one uses it, its value was put there"
                    }
                };
                let at = format!("{}:{}", value.file, value.line);
                rows.push((
                    at,
                    section.to_owned(),
                    shown(section, key, &value.text),
                    why,
                ));
            }
        }
        for (at, _, what, why) in rows {
            let known = self.out.left.iter().any(|l| l.at == at && l.what == what);
            if !known {
                self.left(at, what, why);
            }
        }
    }
}

fn shown(section: &str, key: &str, text: &str) -> String {
    let text: String = text.chars().take(120).collect();
    format!("[{section}] {key} = {text}")
}

fn is_true(text: &str) -> bool {
    matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "true" | "yes" | "1" | "on"
    )
}

/// fail2ban's lengths of time: `600`, `10m`, `1h 30m`, `1d12h`, `-1`, `24*60*60`.
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('-') {
        return seconds(rest).map(|n| -n);
    }
    if text.contains('*') {
        return text
            .split('*')
            .map(|p| p.trim().parse::<i64>().ok())
            .try_fold(1i64, |all, n| all.checked_mul(n?));
    }
    let mut total = 0i64;
    let mut rest = text;
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: i64 = number.parse().ok()?;
        let tail = tail.trim_start();
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit = match unit {
            "" | "s" | "ss" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "mi" | "mm" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "ho" | "hh" | "hour" | "hours" => 3600,
            "d" | "da" | "dd" | "day" | "days" => 86_400,
            "w" | "we" | "ww" | "week" | "weeks" => 604_800,
            "mo" | "mon" | "month" | "months" => 2_629_800,
            "y" | "ye" | "yy" | "year" | "years" => 31_557_600,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        any = true;
        rest = tail.trim_start();
    }
    any.then_some(total)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Folder(Vec<(&'static str, &'static str)>);

    impl Files for Folder {
        fn read(&self, path: &str) -> Result<String, String> {
            let file = self.0.iter().find(|f| f.0 == path);
            file.map(|f| f.1.to_owned()).ok_or_else(String::new)
        }

        fn glob(&self, pattern: &str) -> Vec<String> {
            let fits = |p: &&str| crate::config::pattern::matches(p, pattern);
            self.0
                .iter()
                .map(|f| f.0)
                .filter(fits)
                .map(str::to_owned)
                .collect()
        }
    }

    const JAIL_CONF: &str = "
[INCLUDES]
before = paths-debian.conf

[DEFAULT]
# comment
ignorecommand =
bantime  = 10m
findtime  = 10m
maxretry = 5
maxmatches = %(maxretry)s
backend = auto
enabled = false
filter = %(__name__)s[mode=%(mode)s]
banaction = iptables-multiport

[sshd]
port    = ssh
logpath = %(sshd_log)s
backend = %(sshd_backend)s

[apache-auth]
port = http,https
";

    fn folder() -> Folder {
        Folder(vec![
            ("/f/jail.conf", JAIL_CONF),
            (
                "/f/paths-debian.conf",
                "[INCLUDES]\nbefore = paths-common.conf\nafter = paths-overrides.local\n[DEFAULT]\nsyslog_authpriv = /var/log/auth.log\n",
            ),
            (
                "/f/paths-common.conf",
                "[DEFAULT]\nsshd_log = %(syslog_authpriv)s\nsshd_backend = %(default_backend)s\ndefault_backend = %(default/backend)s\nsyslog_authpriv = /var/log/secure\n",
            ),
            ("/f/jail.d/defaults-debian.conf", "[sshd]\nenabled = true\n"),
            (
                "/f/jail.d/20-mine.conf",
                "[sshd]\nport = ssh, 2222\nmaxretry = 9\n",
            ),
            (
                "/f/jail.local",
                "[DEFAULT]\nignoreip = 127.0.0.1/8 ::1\n  198.51.100.0/24, office.example.org\nbantime = 1h ; an hour\nignorecommand = /usr/local/bin/x <ip>\n[sshd]\nmaxretry = 3\nlogpath = %(known/logpath)s\n   /var/log/other.log\n[apache-auth]\nenabled = yes\n",
            ),
            (
                "/f/jail.d/zz.local",
                "[sshd]\nbantime.increment = true\nbantime.maxtime = 5w\nfindtime = 1d 12h\nbantime = 50%% bad\n",
            ),
        ])
    }

    #[test]
    fn later_files_win_and_names_are_replaced() {
        let got = read(&folder(), "/f");
        assert_eq!(got.jails.len(), 1, "{got:?}");
        let jail = got.jails.first().unwrap();
        assert_eq!(jail.name, "sshd");
        assert_eq!(jail.maxretry, Some(3), "jail.local over jail.d/*.conf");
        assert_eq!(jail.findtime, Some(129_600));
        assert_eq!((jail.increment, jail.maxtime), (true, Some(5 * 604_800)));
        assert_eq!(jail.backend, "auto", "over three names and two files");
        assert_eq!(jail.port, ["ssh", "2222"]);
        assert_eq!(jail.logpath, ["/var/log/auth.log", "/var/log/other.log"]);
        assert_eq!(
            jail.ignoreip,
            [
                "127.0.0.1/8",
                "::1",
                "198.51.100.0/24",
                "office.example.org"
            ]
        );
        assert_eq!(jail.bantime, None);
        let left: Vec<String> = got
            .left
            .iter()
            .map(|l| format!("{} {}", l.at, l.what))
            .collect();
        let left = left.join("\n");
        for part in [
            "/f/jail.d/zz.local:5 [sshd] bantime = 50% bad",
            "/f/jail.local:5 [DEFAULT] ignorecommand",
            "[apache-auth]",
        ] {
            assert!(left.contains(part), "{part}: {left}");
        }
        assert!(
            !left.contains("banaction"),
            "the distribution's own: {left}"
        );
        assert_eq!(got.files.len(), 7);
    }

    #[test]
    fn lengths_of_time() {
        for (text, want) in [
            ("600", Some(600)),
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("1d 12h", Some(129_600)),
            ("-1", Some(-1)),
            ("24*60*60", Some(86_400)),
            ("5w", Some(3_024_000)),
            ("", None),
            ("x", None),
            ("99999999999999999999", None),
            ("9223372036854775807w", None),
            ("10 lightyears", None),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
    }

    #[test]
    fn endless_names_and_includes_end() {
        let f = Folder(vec![(
            "/f/jail.conf",
            "[INCLUDES]\nbefore = jail.conf\n[DEFAULT]\na = %(b)s%(b)s%(b)s\nb = %(a)s%(a)s%(a)s\n[sshd]\nenabled = 1\nlogpath = %(a)s\nport = %(known/port)s %(nowhere)s %( %\nmaxretry = %(maxretry)s\n",
        )]);
        let got = read(&f, "/f");
        assert_eq!(got.jails.len(), 1);
        assert!(got.jails.first().unwrap().logpath.is_empty());
        // Names that stand for nothing, a thousand million million times.
        let many = |name: &str| format!("%({name})s").repeat(3000);
        let text = format!(
            "[sshd]\nenabled = 1\nport = {}\nb = {}\nc = {}\nd = {}\ne = {}\nf =\n",
            many("b"),
            many("c"),
            many("d"),
            many("e"),
            many("f")
        );
        let f = Folder(vec![("/f/jail.local", text.leak())]);
        assert_eq!(read(&f, "/f").jails.len(), 1);
    }

    #[test]
    fn odd_text_is_named_and_survived() {
        let f = Folder(vec![(
            "/f/jail.local",
            "lost = 1\n[sshd\nx\n[sshd]\nenabled = true\n= 7\n[]\n[DEFAULT]\n\tindented\n",
        )]);
        let got = read(&f, "/f");
        assert_eq!(got.jails.len(), 1);
        assert!(
            got.left.iter().any(|l| l.at == "/f/jail.local:1"),
            "{got:?}"
        );
    }
}
