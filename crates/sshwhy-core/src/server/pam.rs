//! The PAM stack of a service for one user: which module would refuse, and which rule made it (pam.conf(5)).
//!
//! The stack is read with its includes and walked with its controls. Modules that decide from files are judged from those
//! files; of the others it is assumed that they agree, because they can only be asked by running them.

mod limits;

pub use limits::file_size;

use crate::addr::Cidr;
use limits::limits;
use std::net::IpAddr;

const MAX_DEPTH: usize = 16;
const MAX_RULES: usize = 2000;
/// Files read for one service, again and again counted: a real stack has a dozen.
const MAX_FILES: usize = 200;

/// Where the text of files comes from.
pub trait Read {
    fn text(&self, path: &str) -> Option<String>;
    fn exists(&self, path: &str) -> bool;
    /// Whether the module's shared object is there.
    fn module(&self, name: &str) -> bool;
    /// Whether others than its owner and group may write the file.
    fn writable(&self, path: &str) -> bool;
    /// Files of a folder with that ending, sorted.
    fn folder(&self, path: &str, ending: &str) -> Vec<String>;
}

/// Who logs in from where.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Who {
    pub user: String,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<String>,
    pub shell: String,
    pub home: String,
    pub from: Option<IpAddr>,
    pub host: Option<String>,
    /// How many sessions the user has now.
    pub sessions: u32,
    /// Sessions of everybody that are up.
    pub all_sessions: u32,
    /// How many processes run as the user.
    pub processes: u32,
    /// Minutes since Sunday, local time; for pam_time.
    pub minute_of_week: Option<u32>,
    /// Failures on record in faillock's tally, not older than its interval.
    pub failures: u32,
    /// What pam_unix would say of the account (`account` only): it is judged elsewhere.
    pub unix_refuses: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    pub file: String,
    pub line: u32,
    /// `auth`, `account`, `password`, `session`.
    pub kind: String,
    pub control: String,
    pub module: String,
    /// The module's shared object is not there. A `-` before the kind of rule only keeps PAM from logging that.
    pub missing: bool,
    pub arguments: Vec<String>,
}

impl Rule {
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.arguments
            .iter()
            .find_map(|a| a.strip_prefix(name)?.strip_prefix('='))
    }

    fn has(&self, name: &str) -> bool {
        self.arguments.iter().any(|a| a == name)
    }
}

/// Which kind of refusal it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Denied,
    Nologin,
    Shell,
    Faillock,
    Limits,
    Processes,
    Broken,
}

/// A module that says no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub kind: Kind,
    /// The rule's place, `/etc/pam.d/sshd:4`.
    pub place: String,
    pub module: String,
    /// The file and line that made the module say no, and the line's text.
    pub because: String,
    pub stack: String,
}

fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut depth) = (Vec::new(), String::new(), 0u32);
    for c in line.chars() {
        match c {
            '[' if depth == 0 => depth = 1,
            ']' if depth == 1 => depth = 0,
            c if c.is_whitespace() && depth == 0 => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

/// The rules of a service with all that they include. What makes no sense is given back as places.
pub fn rules(read: &dyn Read, service: &str) -> (Vec<Rule>, Vec<(String, String)>) {
    let mut out = Vec::new();
    let mut bad = Vec::new();
    let mut path = format!("/etc/pam.d/{service}");
    if !read.exists(&path) {
        path = "/etc/pam.d/other".to_owned();
    }
    load(read, &path, (None, 0), &mut 0, &mut out, &mut bad);
    (out, bad)
}

fn load(
    read: &dyn Read,
    path: &str,
    (only, depth): (Option<&str>, usize),
    files: &mut usize,
    out: &mut Vec<Rule>,
    bad: &mut Vec<(String, String)>,
) {
    // Files that include each other twice would double with each step down: what is read is bounded in all.
    *files += 1;
    if out.len() >= MAX_RULES || *files > MAX_FILES {
        return;
    }
    let Some(text) = read.text(path) else {
        bad.push((path.to_owned(), "cannot be read".to_owned()));
        return;
    };
    if depth > MAX_DEPTH {
        bad.push((path.to_owned(), "includes itself".to_owned()));
        return;
    }
    let file_of = |name: &str| match name.starts_with('/') {
        true => name.to_owned(),
        false => format!("/etc/pam.d/{name}"),
    };
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let w = words(line);
        let place = format!("{path}:{}", i + 1);
        match w.as_slice() {
            [] => {}
            [include, name, ..] if include == "@include" => {
                load(read, &file_of(name), (only, depth + 1), files, out, bad)
            }
            [kind, control, module, rest @ ..] => {
                let kind = kind.strip_prefix('-').unwrap_or(kind).to_ascii_lowercase();
                if !matches!(kind.as_str(), "auth" | "account" | "password" | "session") {
                    bad.push((place, format!("{kind:?} is no kind of rule")));
                    continue;
                }
                if only.is_some_and(|o| o != kind) {
                    continue;
                }
                if matches!(control.as_str(), "include" | "substack") {
                    let below = (Some(kind.as_str()), depth + 1);
                    load(read, &file_of(module), below, files, out, bad);
                    continue;
                }
                let plain = matches!(
                    control.to_ascii_lowercase().as_str(),
                    "required" | "requisite" | "sufficient" | "optional"
                );
                if !plain && !control.contains('=') {
                    bad.push((place, format!("{control:?} is no control")));
                    continue;
                }
                if out.len() < MAX_RULES {
                    out.push(Rule {
                        file: path.to_owned(),
                        line: i as u32 + 1,
                        kind,
                        control: control.clone(),
                        module: module.rsplit('/').next().unwrap_or(module).to_owned(),
                        missing: !read.module(module),
                        arguments: rest.to_vec(),
                    });
                }
            }
            _ => bad.push((place, "the rule is cut short".to_owned())),
        }
    }
}

/// The refusals that decide a stack: those whose module's answer ends it with a failure.
pub fn refusals(read: &dyn Read, service: &str, stack: &str, who: &Who) -> Vec<Refusal> {
    let (rules, bad) = rules(read, service);
    let mut out: Vec<Refusal> = Vec::new();
    // A missing @include, or a line that makes no sense, breaks every stack of the service.
    out.extend(bad.into_iter().map(|(place, why)| Refusal {
        kind: Kind::Broken,
        module: String::new(),
        because: format!("{place}: {why}"),
        place,
        stack: stack.to_owned(),
    }));
    let mine: Vec<&Rule> = rules.iter().filter(|r| r.kind == stack).collect();
    // A module that is not there, and whose success would have led past what stands behind it.
    let mut way_gone: Option<&Rule> = None;
    let mut i = 0;
    while let Some(rule) = mine.get(i) {
        i += 1;
        let verdict = match rule.missing {
            true => Some((
                Kind::Broken,
                format!("{}: {} is not installed", rule.place(), rule.module),
            )),
            false => judge(read, rule, who),
        };
        let action = action(&rule.control, verdict.as_ref().map(|v| v.0), rule);
        if rule.missing && passes_on(&rule.control) {
            way_gone = way_gone.or(Some(rule));
        }
        let refused = matches!(action, Action::Bad | Action::Die);
        if let (Some(gone), "pam_deny.so", true) = (way_gone, rule.module.as_str(), refused) {
            out.push(Refusal {
                kind: Kind::Broken,
                place: gone.place(),
                module: gone.module.clone(),
                because: format!(
                    "{}: {} is not installed there, so nothing leads past {} pam_deny.so",
                    gone.place(),
                    gone.module,
                    rule.place()
                ),
                stack: stack.to_owned(),
            });
        } else if let (Some((kind, because)), true) = (&verdict, refused) {
            out.push(Refusal {
                kind: *kind,
                place: rule.place(),
                module: rule.module.clone(),
                because: because.clone(),
                stack: stack.to_owned(),
            });
        }
        match action {
            Action::Die | Action::Done => break,
            Action::Jump(n) => i += n,
            Action::Bad | Action::Go => {}
        }
    }
    out
}

/// A module of the stack that decides by running or asking something, and whose failure counts: what it says cannot be known from
/// files.
pub fn asks(read: &dyn Read, service: &str, stack: &str) -> Option<Rule> {
    const ASKING: [&str; 8] = [
        "pam_exec.so",
        "pam_script.so",
        "pam_python.so",
        "pam_lua.so",
        "pam_radius_auth.so",
        "pam_duo.so",
        "pam_ldap.so",
        "pam_sss.so",
    ];
    let (rules, _) = rules(read, service);
    rules.into_iter().find(|r| {
        let decides = !matches!(
            action(&r.control, Some(Kind::Denied), r),
            Action::Go | Action::Jump(_)
        );
        r.kind == stack && decides && ASKING.contains(&r.module.as_str())
    })
}

/// Whether the module's success ends the stack well, or jumps over rules.
fn passes_on(control: &str) -> bool {
    let control = control.to_ascii_lowercase();
    control == "sufficient"
        || control.split_ascii_whitespace().any(|pair| {
            pair.strip_prefix("success=")
                .is_some_and(|what| what == "done" || what.parse::<usize>().is_ok())
        })
}

enum Action {
    Go,
    Bad,
    Die,
    Done,
    Jump(usize),
}

fn action(control: &str, failure: Option<Kind>, rule: &Rule) -> Action {
    let failed = failure.is_some();
    match (control.to_ascii_lowercase().as_str(), failed) {
        ("required", true) => return Action::Bad,
        ("requisite", true) => return Action::Die,
        // Success of a module that can only be asked by running it does not end the stack here.
        ("sufficient", false) if certain(rule) => return Action::Done,
        ("required" | "requisite" | "sufficient" | "optional", _) => return Action::Go,
        _ => {}
    }
    let mut default = Action::Go;
    for pair in control.split_ascii_whitespace() {
        let Some((name, what)) = pair.split_once('=') else {
            continue;
        };
        let action = match what {
            "ok" | "ignore" | "reset" => Action::Go,
            "bad" => Action::Bad,
            "die" => Action::Die,
            "done" => Action::Done,
            n => n.parse().map_or(Action::Go, Action::Jump),
        };
        match name {
            "success" if !failed => return action,
            "module_unknown" if failure == Some(Kind::Broken) => return action,
            "perm_denied" | "auth_err" | "acct_expired"
                if failed && failure != Some(Kind::Broken) =>
            {
                return action;
            }
            // For every result that is not named, success included: `[default=1] pam_permit.so`.
            "default" => default = action,
            _ => {}
        }
    }
    default
}

/// Whether the success of the module is known from files.
fn certain(rule: &Rule) -> bool {
    matches!(
        rule.module.as_str(),
        "pam_permit.so"
            | "pam_access.so"
            | "pam_listfile.so"
            | "pam_succeed_if.so"
            | "pam_localuser.so"
            | "pam_unix.so"
    )
}

fn judge(read: &dyn Read, rule: &Rule, who: &Who) -> Option<(Kind, String)> {
    match rule.module.as_str() {
        "pam_deny.so" => Some((
            Kind::Denied,
            format!(
                "{}: {} {} pam_deny.so",
                rule.place(),
                rule.kind,
                rule.control
            ),
        )),
        "pam_unix.so" if who.unix_refuses && rule.kind == "account" => {
            Some((Kind::Denied, "the account itself".to_owned()))
        }
        "pam_nologin.so" => {
            let files: Vec<&str> = match rule.value("file") {
                Some(f) => vec![f],
                None => vec!["/var/run/nologin", "/run/nologin", "/etc/nologin"],
            };
            let found = files.into_iter().find(|f| read.exists(f))?;
            (who.uid != 0).then(|| (Kind::Nologin, found.to_owned()))
        }
        "pam_shells.so" => {
            // pam_shells.c: a list that others may write is no list.
            if read.writable("/etc/shells") {
                let why =
                    "/etc/shells is writable by others, and pam_shells then refuses everybody";
                return Some((Kind::Shell, why.to_owned()));
            }
            let shells = read.text("/etc/shells").unwrap_or_default();
            let shell = if who.shell.is_empty() {
                "/bin/sh"
            } else {
                &who.shell
            };
            let listed = shells.lines().any(|l| l.trim() == shell);
            (!listed).then(|| (Kind::Shell, format!("/etc/shells does not list {shell}")))
        }
        "pam_access.so" => access(read, rule, who),
        "pam_listfile.so" => listfile(read, rule, who),
        "pam_time.so" => time(read, rule, who),
        "pam_succeed_if.so" => succeed_if(rule, who),
        "pam_faillock.so" | "pam_tally2.so" => faillock(read, rule, who),
        "pam_limits.so" => limits(read, rule, who),
        "pam_wheel.so" if rule.kind == "account" || rule.kind == "auth" => {
            let group = rule.value("group").unwrap_or("wheel");
            let inside = who.groups.iter().any(|g| g == group);
            let refused = if rule.has("deny") { inside } else { !inside };
            refused.then(|| (Kind::Denied, format!("{}: group {group}", rule.place())))
        }
        "pam_localuser.so" => {
            let file = rule.value("file").unwrap_or("/etc/passwd");
            let known = read.text(file).unwrap_or_default();
            let prefix = format!("{}:", who.user);
            (!known.lines().any(|l| l.starts_with(&prefix)))
                .then(|| (Kind::Denied, format!("the user is not in {file}")))
        }
        "pam_usertype.so" => usertype(read, rule, who),
        // Of a login over the network it sees a terminal called "ssh".
        "pam_securetty.so" => {
            let listed = read
                .text("/etc/securetty")?
                .lines()
                .any(|l| l.trim() == "ssh");
            (who.uid == 0 && !listed)
                .then(|| (Kind::Denied, "/etc/securetty does not list ssh".to_owned()))
        }
        _ => None,
    }
}

/// pam_usertype(8): whether the uid is a system's or a person's, by login.defs(5) SYS_UID_MAX and UID_MIN.
fn usertype(read: &dyn Read, rule: &Rule, who: &Who) -> Option<(Kind, String)> {
    const NOBODY: u32 = 65534;
    let defs = read.text("/etc/login.defs").unwrap_or_default();
    let number = |name: &str| -> Option<u32> {
        let mut w = defs
            .lines()
            .map(str::split_ascii_whitespace)
            .find(|w| w.clone().next() == Some(name))?;
        w.nth(1)?.parse().ok()
    };
    let least = number("UID_MIN").unwrap_or(1000);
    let most = number("SYS_UID_MAX").unwrap_or_else(|| least.saturating_sub(1));
    let system = who.uid <= most || who.uid == NOBODY;
    let refused = rule.has("issys") && !system || rule.has("isregular") && system;
    refused.then(|| {
        let text = format!(
            "{}: {} has the uid {}; {most} and below are of the system (/etc/login.defs)",
            rule.place(),
            who.user,
            who.uid
        );
        (Kind::Denied, text)
    })
}

/// The rule that makes a home where there is none, and refuses the session where it cannot.
pub fn makes_home(read: &dyn Read, service: &str) -> Option<Rule> {
    let (rules, _) = rules(read, service);
    rules.into_iter().find(|r| {
        r.kind == "session"
            && matches!(
                r.module.as_str(),
                "pam_mkhomedir.so" | "pam_oddjob_mkhomedir.so"
            )
            && matches!(
                action(&r.control, Some(Kind::Denied), r),
                Action::Bad | Action::Die
            )
    })
}

/// access.conf(5): the first line that fits decides; none: granted.
fn access(read: &dyn Read, rule: &Rule, who: &Who) -> Option<(Kind, String)> {
    let main = rule
        .value("accessfile")
        .unwrap_or("/etc/security/access.conf")
        .to_owned();
    let mut files = vec![main.clone()];
    if rule.value("accessfile").is_none() {
        files.extend(read.folder("/etc/security/access.d", ".conf"));
    }
    let separator = rule
        .value("fieldsep")
        .and_then(|s| s.chars().next())
        .unwrap_or(':');
    for file in files {
        let Some(text) = read.text(&file) else {
            continue;
        };
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut parts = line.splitn(3, separator).map(str::trim);
            let (Some(sign), Some(users), Some(origins)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let user = |w: &str| access_user(w, who);
            let origin = |w: &str| access_origin(w, who);
            if list(users, &user) && list(origins, &origin) {
                return sign
                    .starts_with('-')
                    .then(|| (Kind::Denied, format!("{file}:{}: {line}", i + 1)));
            }
        }
    }
    None
}

fn list(text: &str, hit: &dyn Fn(&str) -> bool) -> bool {
    let words: Vec<&str> = text
        .split([' ', '\t', ','])
        .filter(|w| !w.is_empty())
        .collect();
    let mut parts = words.split(|w| *w == "EXCEPT");
    let first = parts.next().is_some_and(|p| p.iter().any(|w| hit(w)));
    let rest: Vec<bool> = parts.map(|p| p.iter().any(|w| hit(w))).collect();
    first && !rest.iter().rev().fold(false, |inner, this| *this && !inner)
}

fn access_user(word: &str, who: &Who) -> bool {
    if word == "ALL" {
        return true;
    }
    if let Some(group) = word.strip_prefix('(').and_then(|w| w.strip_suffix(')')) {
        return who.groups.iter().any(|g| g == group);
    }
    let name = word.split('@').next().unwrap_or(word);
    name == who.user || who.groups.iter().any(|g| g == name)
}

fn access_origin(word: &str, who: &Who) -> bool {
    match word {
        "ALL" => return true,
        "NONE" => return who.from.is_none(),
        // A login from somewhere is never local.
        "LOCAL" => {
            return who.from.is_none() || who.host.as_deref().is_some_and(|h| !h.contains('.'));
        }
        _ => {}
    }
    let Some(from) = who.from else {
        return false;
    };
    if let Some(cidr) = Cidr::parse(word) {
        return cidr.contains(from);
    }
    if word.ends_with('.') {
        return from.to_string().starts_with(word);
    }
    let host = who.host.as_deref().unwrap_or_default().to_ascii_lowercase();
    let word = word.to_ascii_lowercase();
    if word.starts_with('.') {
        host.ends_with(&word)
    } else {
        host == word
    }
}

/// pam_listfile(8).
fn listfile(read: &dyn Read, rule: &Rule, who: &Who) -> Option<(Kind, String)> {
    let (item, sense, file) = (
        rule.value("item")?,
        rule.value("sense")?,
        rule.value("file")?,
    );
    let from = who.from.map(|f| f.to_string()).unwrap_or_default();
    let mine: Vec<&str> = match item {
        "user" => vec![who.user.as_str()],
        "group" => who.groups.iter().map(String::as_str).collect(),
        "rhost" => vec![from.as_str(), who.host.as_deref().unwrap_or_default()],
        "shell" => vec![who.shell.as_str()],
        _ => return None,
    };
    let Some(text) = read.text(file) else {
        let fails = rule.value("onerr") == Some("fail") || rule.value("onerr").is_none();
        return fails.then(|| {
            (
                Kind::Denied,
                format!("{file} cannot be read, and onerr is fail"),
            )
        });
    };
    let found = text
        .lines()
        .enumerate()
        .find(|(_, l)| !l.trim().is_empty() && mine.contains(&l.trim()));
    match (sense, found) {
        ("deny", Some((i, line))) => Some((Kind::Denied, format!("{file}:{}: {line}", i + 1))),
        ("allow", None) => Some((
            Kind::Denied,
            format!("{file} does not list {}", mine.join(", ")),
        )),
        _ => None,
    }
}

/// time.conf(5): services;ttys;users;times. A line that fits the login and not the time refuses.
fn time(read: &dyn Read, rule: &Rule, who: &Who) -> Option<(Kind, String)> {
    let now = who.minute_of_week?;
    let file = rule.value("conffile").unwrap_or("/etc/security/time.conf");
    let text = read.text(file)?;
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let parts: Vec<&str> = line.split(';').map(str::trim).collect();
        let [services, ttys, users, times] = parts[..] else {
            continue;
        };
        let fits = logic(services, &|w| crate::config::pattern::matches("sshd", w))
            && logic(ttys, &|w| crate::config::pattern::matches("ssh", w))
            && logic(users, &|w| crate::config::pattern::matches(&who.user, w));
        if fits && !logic(times, &|w| within(w, now)) {
            return Some((Kind::Denied, format!("{file}:{}: {line}", i + 1)));
        }
    }
    None
}

/// `a|b&!c`, from left to right.
fn logic(text: &str, hit: &dyn Fn(&str) -> bool) -> bool {
    let mut value = false;
    let mut and = false;
    let mut first = true;
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once('|')) {
        if c != '|' && c != '&' {
            word.push(c);
            continue;
        }
        let (negated, w) = match word.trim().strip_prefix('!') {
            Some(w) => (true, w),
            None => (false, word.trim()),
        };
        let this = hit(w) != negated;
        value = match (first, and) {
            (true, _) => this,
            (_, true) => value && this,
            (_, false) => value || this,
        };
        (first, and) = (false, c == '&');
        word.clear();
    }
    value
}

/// `Wk0800-1800`, `Al0000-2400`.
fn within(text: &str, now: u32) -> bool {
    let letters: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    let hours = text.get(letters.len()..).unwrap_or_default();
    let Some((from, to)) = hours.split_once('-') else {
        return false;
    };
    let minutes = |t: &str| t.parse::<u32>().ok().map(|n| n / 100 * 60 + n % 100);
    let (Some(from), Some(to)) = (minutes(from), minutes(to)) else {
        return false;
    };
    let mut days = [false; 7];
    let all: Vec<char> = letters.to_ascii_lowercase().chars().collect();
    for pair in all.chunks(2) {
        let which: &[usize] = match pair {
            ['s', 'u'] => &[0],
            ['m', 'o'] => &[1],
            ['t', 'u'] => &[2],
            ['w', 'e'] => &[3],
            ['t', 'h'] => &[4],
            ['f', 'r'] => &[5],
            ['s', 'a'] => &[6],
            ['w', 'k'] => &[1, 2, 3, 4, 5],
            ['w', 'd'] => &[0, 6],
            ['a', 'l'] => &[0, 1, 2, 3, 4, 5, 6],
            _ => &[],
        };
        for d in which {
            if let Some(day) = days.get_mut(*d) {
                *day = !*day;
            }
        }
    }
    let (day, minute) = ((now / 1440 % 7) as usize, now % 1440);
    let on = |d: usize| days.get(d).copied().unwrap_or(false);
    if from <= to {
        on(day) && (from..to.max(from + 1)).contains(&minute)
    } else {
        on(day) && minute >= from || on((day + 6) % 7) && minute < to
    }
}

/// pam_succeed_if(8): `user = x`, `uid >= 1000`, `user ingroup g`, `user in a:b`, `shell = s`.
fn succeed_if(rule: &Rule, who: &Who) -> Option<(Kind, String)> {
    let args: Vec<&str> = rule
        .arguments
        .iter()
        .map(String::as_str)
        .filter(|a| {
            !matches!(
                *a,
                "debug" | "use_uid" | "quiet" | "quiet_fail" | "quiet_success" | "audit"
            )
        })
        .collect();
    for test in args.chunks(3) {
        let [left, op, right] = test else { return None };
        let value = match *left {
            "user" => who.user.clone(),
            "uid" => who.uid.to_string(),
            "gid" => who.gid.to_string(),
            "shell" => who.shell.clone(),
            "home" => who.home.clone(),
            "rhost" => who.from.map(|f| f.to_string()).unwrap_or_default(),
            "service" => "sshd".to_owned(),
            "ruser" | "tty" => return None,
            _ => return None,
        };
        let numbers = || Some((value.parse::<i64>().ok()?, right.parse::<i64>().ok()?));
        let ingroup = |names: &str| names.split(':').any(|n| who.groups.iter().any(|g| g == n));
        let ok = match *op {
            "=" => crate::config::pattern::matches(&value, right),
            "!=" => !crate::config::pattern::matches(&value, right),
            "eq" => numbers().is_some_and(|(a, b)| a == b),
            "ne" => numbers().is_some_and(|(a, b)| a != b),
            "<" | "lt" => numbers().is_some_and(|(a, b)| a < b),
            "<=" | "le" => numbers().is_some_and(|(a, b)| a <= b),
            ">" | "gt" => numbers().is_some_and(|(a, b)| a > b),
            ">=" | "ge" => numbers().is_some_and(|(a, b)| a >= b),
            "in" => right.split(':').any(|w| w == value),
            "notin" => !right.split(':').any(|w| w == value),
            "ingroup" => ingroup(right),
            "notingroup" => !ingroup(right),
            _ => return None,
        };
        if !ok {
            return Some((
                Kind::Denied,
                format!("{}: {left} {op} {right}", rule.place()),
            ));
        }
    }
    None
}

fn faillock(read: &dyn Read, rule: &Rule, who: &Who) -> Option<(Kind, String)> {
    let conf = read.text("/etc/security/faillock.conf").unwrap_or_default();
    let set = |name: &str| {
        rule.value(name).map(str::to_owned).or_else(|| {
            conf.lines()
                .map(|l| l.split('#').next().unwrap_or_default())
                .filter_map(|l| l.split_once('='))
                .find(|(k, _)| k.trim() == name)
                .map(|(_, v)| v.trim().to_owned())
        })
    };
    let deny: u32 = set("deny").and_then(|d| d.parse().ok()).unwrap_or(3);
    let root = rule.has("even_deny_root") || conf.lines().any(|l| l.trim() == "even_deny_root");
    let refused = rule.module == "pam_faillock.so"
        && deny > 0
        && who.failures >= deny
        && (who.uid != 0 || root);
    refused.then(|| {
        (
            Kind::Faillock,
            format!(
                "{} failures on record for {}, deny={deny}",
                who.failures, who.user
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Files(BTreeMap<String, String>);

    impl Read for Files {
        fn text(&self, path: &str) -> Option<String> {
            self.0.get(path).cloned()
        }
        fn exists(&self, path: &str) -> bool {
            self.0.contains_key(path)
        }
        fn module(&self, name: &str) -> bool {
            name != "pam_gone.so"
        }
        fn writable(&self, path: &str) -> bool {
            self.0.contains_key(&format!("{path} is writable"))
        }
        fn folder(&self, path: &str, ending: &str) -> Vec<String> {
            self.0
                .keys()
                .filter(|k| k.starts_with(path) && k.ends_with(ending))
                .cloned()
                .collect()
        }
    }

    fn alice() -> Who {
        Who {
            user: "alice".into(),
            uid: 2001,
            gid: 2001,
            groups: vec!["alice".into(), "staff".into()],
            shell: "/bin/bash".into(),
            from: "192.0.2.7".parse().ok(),
            minute_of_week: Some(1440 + 600),
            ..Who::default()
        }
    }

    fn refused(files: &[(&str, &str)], stack: &str, who: &Who) -> Vec<(Kind, String)> {
        let mut all = Files::default();
        all.0.insert("/etc/pam.d/common-account".into(), "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_permit.so\n".into());
        for (p, t) in files {
            all.0.insert((*p).into(), (*t).into());
        }
        refusals(&all, "sshd", stack, who)
            .into_iter()
            .map(|r| (r.kind, r.because))
            .collect()
    }

    const SSHD: &str = "/etc/pam.d/sshd";

    #[test]
    fn the_deny_at_the_end_of_debians_stack_is_jumped_over() {
        assert_eq!(
            refused(&[(SSHD, "@include common-account\n")], "account", &alice()),
            []
        );
        let jump = "session [default=1] pam_permit.so\nsession requisite pam_deny.so\n";
        assert_eq!(refused(&[(SSHD, jump)], "session", &alice()), []);
        let no_jump =
            "session [success=ok default=1] pam_permit.so\nsession requisite pam_deny.so\n";
        assert_eq!(refused(&[(SSHD, no_jump)], "session", &alice()).len(), 1);
        let r = refused(
            &[(
                SSHD,
                "account requisite pam_deny.so\n@include common-account\n",
            )],
            "account",
            &alice(),
        );
        assert_eq!(r.len(), 1);
        assert!(r[0].1.starts_with("/etc/pam.d/sshd:1"), "{r:?}");
    }

    #[test]
    fn access_conf_first_match_wins() {
        let with = |conf: &str| {
            refused(
                &[
                    (SSHD, "account required pam_access.so\n"),
                    ("/etc/security/access.conf", conf),
                ],
                "account",
                &alice(),
            )
        };
        assert_eq!(
            with("-:ALL EXCEPT root bob:ALL\n")[0].1,
            "/etc/security/access.conf:1: -:ALL EXCEPT root bob:ALL"
        );
        assert_eq!(with("+:alice:192.0.2.0/24\n-:ALL:ALL\n"), []);
        assert_eq!(with("+:(staff):ALL\n-:ALL:ALL\n"), []);
        assert_eq!(with("+:alice:198.51.100.\n-:ALL:ALL\n").len(), 1);
        assert_eq!(with("-:alice:LOCAL\n"), []);
    }

    #[test]
    fn lists_shells_nologin_times_and_conditions() {
        let account = |rule: &str, files: &[(&str, &str)]| {
            let mut all = vec![(SSHD, rule)];
            all.extend(files);
            refused(&all, "account", &alice())
        };
        assert_eq!(
            account(
                "account required pam_shells.so\n",
                &[("/etc/shells", "/bin/sh\n")]
            )[0]
            .0,
            Kind::Shell
        );
        assert_eq!(
            account(
                "account required pam_shells.so\n",
                &[("/etc/shells", "/bin/bash\n")]
            ),
            []
        );
        assert_eq!(
            account(
                "account required pam_nologin.so\n",
                &[("/etc/nologin", "x")]
            )[0]
            .0,
            Kind::Nologin
        );
        assert_eq!(
            account(
                "account optional pam_nologin.so\n",
                &[("/etc/nologin", "x")]
            ),
            []
        );
        let list = "account required pam_listfile.so item=user sense=deny file=/etc/ssh/deny onerr=succeed\n";
        assert_eq!(
            account(list, &[("/etc/ssh/deny", "bob\nalice\n")])[0].1,
            "/etc/ssh/deny:2: alice"
        );
        assert_eq!(account(list, &[("/etc/ssh/deny", "alicee\n")]), []);
        let time = "account required pam_time.so\n";
        assert_eq!(
            account(
                time,
                &[("/etc/security/time.conf", "sshd;*;alice;Wk0800-1800\n")]
            ),
            []
        );
        assert_eq!(
            account(
                time,
                &[("/etc/security/time.conf", "sshd;*;alice;!Al0000-2400\n")]
            )
            .len(),
            1
        );
        assert_eq!(
            account(
                time,
                &[("/etc/security/time.conf", "login;*;alice;!Al0000-2400\n")]
            ),
            []
        );
        assert_eq!(
            account(
                "account required pam_succeed_if.so user ingroup wheel\n",
                &[]
            )
            .len(),
            1
        );
        assert_eq!(
            account(
                "account required pam_succeed_if.so uid >= 1000 quiet\n",
                &[]
            ),
            []
        );
        assert_eq!(
            account("account required pam_gone.so\n", &[])[0].0,
            Kind::Broken
        );
        // The dash keeps PAM from logging it; the login fails all the same.
        let dashed = "-account required pam_gone.so\n";
        assert_eq!(account(dashed, &[])[0].0, Kind::Broken);
        assert_eq!(account("account optional pam_gone.so\n", &[]), []);
        assert_eq!(account("account [default=ignore] pam_gone.so\n", &[]), []);
        let named = "account [success=ok module_unknown=ignore default=bad] pam_gone.so\n";
        assert_eq!(account(named, &[]), []);
        assert_eq!(
            account("account requird pam_unix.so\n", &[])[0].0,
            Kind::Broken
        );
    }

    #[test]
    fn users_of_the_system_and_people() {
        let rule = (SSHD, "account requisite pam_usertype.so isregular\n");
        let service = Who {
            uid: 777,
            ..alice()
        };
        assert_eq!(refused(&[rule], "account", &service)[0].0, Kind::Denied);
        assert_eq!(refused(&[rule], "account", &alice()), []);
        let low = [rule, ("/etc/login.defs", "UID_MIN 500\n")];
        assert_eq!(refused(&low, "account", &service), []);
        let other = (SSHD, "account required pam_usertype.so issys\n");
        assert_eq!(refused(&[other], "account", &service), []);
        assert_eq!(refused(&[other], "account", &alice()).len(), 1);
    }

    #[test]
    fn who_makes_a_home() {
        let made = |text: &str| {
            let mut all = Files::default();
            all.0.insert(SSHD.into(), text.into());
            makes_home(&all, "sshd").map(|r| r.line)
        };
        assert_eq!(
            made("session required pam_mkhomedir.so umask=0077\n"),
            Some(1)
        );
        assert_eq!(made("session optional pam_mkhomedir.so\n"), None);
        assert_eq!(made("session required pam_unix.so\n"), None);
    }

    #[test]
    fn a_module_that_is_gone_leads_past_nothing() {
        let stack = "auth [success=1 default=ignore] pam_gone.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n";
        let r = refused(&[(SSHD, stack)], "auth", &alice());
        assert_eq!(r.len(), 1);
        assert_eq!(r[0].0, Kind::Broken);
        assert!(r[0].1.contains("/etc/pam.d/sshd:1"), "{r:?}");
        // Another one still leads past it.
        let two = "auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_gone.so\nauth requisite pam_deny.so\n";
        assert_eq!(refused(&[(SSHD, two)], "auth", &alice()), []);
        // A deny of its own has nothing to do with it.
        let other = "auth optional pam_gone.so\nauth requisite pam_deny.so\n";
        assert_eq!(
            refused(&[(SSHD, other)], "auth", &alice())[0].0,
            Kind::Denied
        );
    }

    #[test]
    fn files_of_limits_that_are_gone_and_a_list_of_shells_that_anybody_writes() {
        let rule = (SSHD, "session required pam_limits.so conf=/etc/site.conf\n");
        assert_eq!(refused(&[rule], "session", &alice())[0].0, Kind::Broken);
        let there = [rule, ("/etc/site.conf", "bob - maxlogins 0\n")];
        assert_eq!(refused(&there, "session", &alice()), []);
        let rule = (SSHD, "account required pam_shells.so\n");
        let shells = ("/etc/shells", "/bin/bash\n");
        assert_eq!(refused(&[rule, shells], "account", &alice()), []);
        let open = [rule, shells, ("/etc/shells is writable", "")];
        assert_eq!(refused(&open, "account", &alice())[0].0, Kind::Shell);
    }

    #[test]
    fn how_large_a_file_may_be_is_the_nearest_lines_word() {
        let with = |conf: &str| {
            let mut all = Files::default();
            all.0
                .insert(SSHD.into(), "session required pam_limits.so\n".into());
            all.0
                .insert("/etc/security/limits.conf".into(), conf.into());
            file_size(&all, "sshd", &alice())
        };
        let line = "@staff hard fsize 8";
        assert_eq!(
            with(&format!("{line}\n")),
            Some((8, format!("/etc/security/limits.conf:1: {line}")))
        );
        assert_eq!(with(&format!("{line}\nalice - fsize unlimited\n")), None);
        assert_eq!(with("bob hard fsize 8\n"), None);
    }

    #[test]
    fn limits_count_for_the_nearest_domain() {
        let with = |conf: &str| {
            refused(
                &[
                    (SSHD, "session required pam_limits.so\n"),
                    ("/etc/security/limits.d/9.conf", conf),
                ],
                "session",
                &alice(),
            )
        };
        assert_eq!(with("alice - maxlogins 0\n")[0].0, Kind::Limits);
        assert_eq!(with("* - maxlogins 0\nalice - maxlogins 5\n"), []);
        assert_eq!(with("bob - maxlogins 0\n"), []);
        assert_eq!(with("* - maxsyslogins 0\n")[0].0, Kind::Limits);
        assert_eq!(with("* - maxsyslogins 9\n"), []);
        assert_eq!(with("* hard as 4096\n")[0].0, Kind::Limits);
        assert_eq!(with("* - nofile 4\nalice - nofile 1024\n"), []);
        assert_eq!(with("* - as unlimited\n* hard data 100000\n"), []);
        let busy = Who {
            processes: 1,
            ..alice()
        };
        let r = refused(
            &[
                (SSHD, "session required pam_limits.so\n"),
                ("/etc/security/limits.conf", "alice hard nproc 1\n"),
            ],
            "session",
            &busy,
        );
        assert_eq!(r[0].0, Kind::Processes);
    }

    #[test]
    fn faillock_counts_failures_against_its_limit() {
        let with = |n: u32| {
            refused(
                &[
                    (SSHD, "auth required pam_faillock.so preauth\n"),
                    ("/etc/security/faillock.conf", "deny = 4\n"),
                ],
                "auth",
                &Who {
                    failures: n,
                    ..alice()
                },
            )
        };
        assert_eq!(with(3), []);
        assert_eq!(with(4)[0].0, Kind::Faillock);
    }

    #[test]
    fn roots_terminals_and_a_list_of_local_users_of_its_own() {
        let root = Who {
            user: "root".into(),
            uid: 0,
            ..alice()
        };
        let rule = (SSHD, "auth required pam_securetty.so\n");
        let tty = ("/etc/securetty", "tty1\n");
        assert_eq!(refused(&[rule, tty], "auth", &root).len(), 1);
        assert_eq!(refused(&[rule, tty], "auth", &alice()), []);
        assert_eq!(
            refused(&[rule, ("/etc/securetty", "tty1\nssh\n")], "auth", &root),
            []
        );
        assert_eq!(refused(&[rule], "auth", &root), []);
        let rule = (SSHD, "account required pam_localuser.so file=/etc/local\n");
        let list = ("/etc/local", "bob:x:1:1::/:\n");
        assert_eq!(refused(&[rule, list], "account", &alice()).len(), 1);
        let list = ("/etc/local", "alice:x:1:1::/:\n");
        assert_eq!(refused(&[rule, list], "account", &alice()), []);
    }

    #[test]
    fn what_only_an_answer_tells_is_named_where_it_counts() {
        let asked = |text: &str| {
            let mut all = Files::default();
            all.0.insert(SSHD.into(), text.into());
            asks(&all, "sshd", "account").map(|r| r.place())
        };
        let exec = "pam_exec.so quiet /opt/hbac\n";
        assert_eq!(
            asked(&format!("account required {exec}")),
            Some("/etc/pam.d/sshd:1".to_owned())
        );
        assert_eq!(asked(&format!("account optional {exec}")), None);
        assert_eq!(asked(&format!("session required {exec}")), None);
        assert_eq!(asked("account required pam_unix.so\n"), None);
    }
}
