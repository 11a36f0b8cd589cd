//! Does what is followed get what sshd writes? The way of a line is walked from its end: sshd's own options, its unit, journald,
//! rsyslog, the file. Only what is certain is said: a configuration that is not understood on the way ends the walk.

use super::daemon::{self, Process};
use super::machine::Machine;
use sshwhy_core::config::effective::{Why, effective};
use sshwhy_core::config::parse::parse;
use sshwhy_core::line::Program;
use std::collections::BTreeSet;

/// A break on the way: what is so, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Break {
    pub what: String,
    pub next: String,
}

fn broken(what: impl Into<String>, next: impl Into<String>) -> Break {
    Break {
        what: what.into(),
        next: next.into(),
    }
}

/// What is followed: files by their paths, and whether the journal is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Followed {
    pub files: Vec<String>,
    pub journal: bool,
    /// Names by which the journal is asked for sshd's lines (`_COMM`).
    pub comms: &'static [&'static str],
}

/// Syslog's severities, most urgent first; sshd writes failed logins at `info`.
const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];
const INFO: usize = 6;
/// Programs that write what comes over /dev/log into files.
const WRITERS: [&str; 10] = [
    "rsyslogd",
    "syslog-ng",
    "syslogd",
    "busybox",
    "metalog",
    "socklog",
    "svlogd",
    "s6-log",
    "vector",
    "fluent-bit",
];
/// Files that only such a program writes.
const THEIRS: [&str; 4] = [
    "/var/log/auth.log",
    "/var/log/secure",
    "/var/log/authlog",
    "/var/log/messages",
];

fn level(word: &str) -> Option<usize> {
    let word = match word {
        "panic" => "emerg",
        "error" => "err",
        "warn" => "warning",
        w => w,
    };
    LEVELS
        .iter()
        .position(|l| *l == word)
        .or_else(|| word.parse().ok().filter(|n| *n < LEVELS.len()))
}

/// Values of an option on a command line: `-E x`, `-Ex`; of `-o`, `Name=x` and `Name x`.
fn options(title: &str, flag: char) -> Vec<String> {
    let dashed = format!("-{flag}");
    let mut out = Vec::new();
    let mut words = title.split_ascii_whitespace();
    while let Some(word) = words.next() {
        if word == dashed {
            out.extend(words.next().map(str::to_owned));
        } else if let Some(value) = word.strip_prefix(&dashed) {
            out.push(value.to_owned());
        }
    }
    out
}

fn has_flag(title: &str, flag: char) -> bool {
    let mut words = title.split_ascii_whitespace().skip(1);
    words.any(|w| {
        w.strip_prefix('-').is_some_and(|letters| {
            // What takes a value ends the word.
            let plain = letters.split(['b', 'C', 'c', 'E', 'f', 'g', 'h', 'o', 'p', 'u']);
            letters.chars().all(|c| c.is_ascii_alphanumeric())
                && plain.into_iter().next().is_some_and(|l| l.contains(flag))
        })
    })
}

/// What `-o` says of a keyword.
fn told(title: &str, keyword: &str) -> Option<String> {
    options(title, 'o').into_iter().find_map(|o| {
        let (name, value) = o.split_once(['=', ' '])?;
        name.eq_ignore_ascii_case(keyword)
            .then(|| value.trim_matches('"').to_owned())
    })
}

/// All breaks that are certain.
pub fn breaks(machine: &Machine, followed: &Followed) -> Vec<Break> {
    let processes = if machine.is_running() {
        daemon::processes(machine)
    } else {
        Vec::new()
    };
    let listener = listener(machine, &processes);
    let title = listener.map_or("", |l| l.title.as_str());
    let mut out = Vec::new();
    // A file of somebody's own choice may hold the lines of any machine.
    let own = |f: &String| THEIRS.contains(&f.as_str()) || options(title, 'E').contains(f);
    if !followed.journal && !followed.files.iter().any(own) {
        return out;
    }
    levels(machine, title, &mut out);
    if let Some(l) = listener {
        names(l, followed, &mut out);
    }
    if let Some(file) = options(title, 'E').pop() {
        if !followed.files.contains(&file) {
            out.push(broken(
                format!("sshd writes to {file} (-E on its command line), which is not followed"),
                format!("name {file} under [log] files, or start sshd without -E"),
            ));
        }
        return out;
    }
    let unit = listener
        .and_then(|l| unit_of(machine, l.pid))
        .and_then(|name| daemon::unit(machine, &name));
    if has_flag(title, 'e') || has_flag(title, 'd') {
        // Standard error of a service is the journal, unless its unit says otherwise.
        let to = unit
            .as_ref()
            .and_then(|u| u.all("Service.StandardError").last())
            .map_or("journal", |(v, _)| v.as_str());
        let file = to.split_once(':').map(|(_, file)| file.to_owned());
        let seen = match &file {
            Some(file) => followed.files.contains(file),
            None => followed.journal || unit.is_none(),
        };
        if !seen {
            out.push(broken(
                format!(
                    "sshd writes to its standard error (-e on its command line), which goes to {}: that is not followed",
                    file.as_deref().unwrap_or("the journal")
                ),
                "set journal = \"yes\" under [log], or start sshd without -e",
            ));
        }
        return out;
    }
    let facility = told(title, "SyslogFacility").unwrap_or_else(|| {
        let file = options(title, 'f').pop();
        let file = file.unwrap_or_else(|| "/etc/ssh/sshd_config".to_owned());
        let config = parse(machine, &file, (10, 0), "/");
        effective(&config, None).value("SyslogFacility").to_owned()
    });
    // journald stands between wherever it took /dev/log.
    let journald = machine.exists("/run/systemd/journal/socket");
    if journald {
        if let Some(unit) = &unit {
            for (key, what) in [
                ("Service.LogNamespace", "a journal of its own"),
                ("Service.LogLevelMax", ""),
            ] {
                let Some((value, at)) = unit.all(key).last() else {
                    continue;
                };
                if what.is_empty() {
                    if level(value).is_some_and(|l| l < INFO) {
                        out.push(broken(
                            format!("systemd drops sshd's failed logins: LogLevelMax={value} in {at}"),
                            "LogLevelMax=info or higher, then systemctl daemon-reload and restart of the unit",
                        ));
                    }
                } else {
                    out.push(broken(
                        format!("sshd writes to {what}: LogNamespace={value} in {at}"),
                        "take LogNamespace out of the unit: only the machine's own journal is followed",
                    ));
                }
            }
        }
        let settings = journald_settings(machine);
        let get = |key: &str| settings.iter().rev().find(|(k, ..)| k == key);
        if followed.journal {
            if let Some((_, value, at)) = get("Storage").filter(|s| s.1 == "none") {
                out.push(broken(
                    format!("the journal keeps nothing: Storage={value} in {at}"),
                    "set Storage=auto and restart systemd-journald, or follow a file of rsyslog's",
                ));
            }
            if let Some((_, value, at)) =
                get("MaxLevelStore").filter(|s| level(&s.1).is_some_and(|l| l < INFO))
            {
                out.push(broken(
                    format!("the journal drops failed logins: MaxLevelStore={value} in {at}"),
                    "set MaxLevelStore=info or higher and restart systemd-journald",
                ));
            }
        }
        let off =
            |s: &&(String, String, String)| matches!(s.1.as_str(), "no" | "false" | "0" | "off");
        if !followed.journal
            && processes.iter().any(|p| p.name == "rsyslogd")
            && let Some((_, value, at)) = get("ForwardToSyslog").filter(off)
            && !rsyslog_text(machine).contains("imjournal")
        {
            out.push(broken(
                format!("rsyslog gets nothing: ForwardToSyslog={value} in {at}, and it does not read the journal"),
                "set ForwardToSyslog=yes and restart systemd-journald, or journal = \"yes\" under [log]",
            ));
        }
    }
    if !followed.journal {
        files(
            machine,
            &facility.to_ascii_lowercase(),
            journald,
            &processes,
            followed,
            &mut out,
        );
    }
    out
}

/// This machine's sshd among all that run: not a container's, and rather one with the usual configuration.
fn listener<'a>(machine: &Machine, processes: &'a [Process]) -> Option<&'a Process> {
    let contained = |p: &Process| {
        let status = machine.text(&format!("/proc/{}/status", p.pid));
        let status = status.unwrap_or_default();
        // A number in each process namespace from ours on down.
        let numbers = status.lines().find_map(|l| l.strip_prefix("NSpid:"));
        numbers.is_some_and(|n| n.split_ascii_whitespace().count() > 1)
    };
    let ours = processes
        .iter()
        .filter(|p| p.is_listener() && !contained(p));
    ours.min_by_key(|p| (!options(&p.title, 'f').is_empty(), p.pid))
}

/// LogLevel, for everybody and in Match blocks.
fn levels(machine: &Machine, title: &str, out: &mut Vec<Break>) {
    let quiet = |l: &str| matches!(l, "SILENT" | "QUIET" | "FATAL" | "ERROR");
    if has_flag(title, 'q') {
        out.push(broken(
            "sshd was started with -q: it writes nothing about logins",
            "take -q out of its command line (SSHD_OPTS in /etc/default/ssh, OPTIONS in /etc/sysconfig/sshd) and restart it",
        ));
        return;
    }
    if let Some(l) = told(title, "LogLevel") {
        if quiet(&l.to_ascii_uppercase()) {
            out.push(broken(
                format!("sshd was started with -o LogLevel={l}: failed logins leave no trace"),
                "start it with LogLevel INFO or VERBOSE",
            ));
        }
        return;
    }
    let file = options(title, 'f').pop();
    let file = file.unwrap_or_else(|| "/etc/ssh/sshd_config".to_owned());
    let config = parse(machine, &file, (10, 0), "/");
    let all = effective(&config, None);
    let Some(setting) = all.of("LogLevel") else {
        return;
    };
    let at = |pos: &sshwhy_core::config::parse::Pos| {
        let name = config.sources.get(pos.file).map_or("", |s| s.name.as_str());
        format!("{name}:{}", pos.line)
    };
    let value = setting.values.first().map_or("", String::as_str);
    if quiet(value) {
        let from = setting.from.first().map(&at).unwrap_or_default();
        out.push(broken(
            format!("LogLevel {value} ({from}): failed logins leave no trace"),
            "LogLevel INFO or VERBOSE there, then sshd -t && systemctl reload ssh",
        ));
        return;
    }
    for lost in &setting.lost {
        if matches!(lost.why, Why::NotMatched(_)) && quiet(&lost.value.to_ascii_uppercase()) {
            out.push(broken(
                format!(
                    "LogLevel {} in a Match block ({}): failed logins that it matches leave no trace",
                    lost.value,
                    at(&lost.pos)
                ),
                "take it out of the block, then sshd -t && systemctl reload ssh",
            ));
        }
    }
}

/// The names under which its lines come.
fn names(listener: &Process, followed: &Followed, out: &mut Vec<Break>) {
    let exe = listener.exe.as_deref().unwrap_or_default();
    let program = exe
        .trim_end_matches(" (deleted)")
        .rsplit('/')
        .next()
        .filter(|n| !n.is_empty())
        .unwrap_or(&listener.name);
    if Program::of(program.as_bytes()) == Program::Other {
        out.push(broken(
            format!("sshd runs as {program:?}: its lines are taken for another program's"),
            "have it called sshd: the name of the file is what stands in the log",
        ));
    } else if followed.journal
        && followed.files.is_empty()
        && !followed.comms.contains(&listener.name.as_str())
    {
        out.push(broken(
            format!(
                "the journal is asked for lines of {}, and sshd's process is called {:?}",
                followed.comms.join(", "),
                listener.name
            ),
            "have it called sshd, or follow a file of rsyslog's",
        ));
    }
}

/// The unit that a process belongs to: `ssh.service`.
fn unit_of(machine: &Machine, pid: u32) -> Option<String> {
    let text = machine.text(&format!("/proc/{pid}/cgroup")).ok()?;
    text.lines()
        .filter_map(|l| l.rsplit('/').next())
        .find(|n| n.ends_with(".service"))
        // Of an instance, its template's file.
        .map(|n| match n.split_once('@') {
            Some((name, _)) => format!("{name}@.service"),
            None => n.to_owned(),
        })
}

/// `(key, value, file:line)` of journald.conf and what lies over it, in the order in which they count.
fn journald_settings(machine: &Machine) -> Vec<(String, String, String)> {
    let mut files = vec!["/etc/systemd/journald.conf".to_owned()];
    let mut over: Vec<String> = ["/usr/lib", "/usr/local/lib", "/run", "/etc"]
        .iter()
        .flat_map(|f| machine.glob(&format!("{f}/systemd/journald.conf.d/*.conf")))
        .collect();
    // By their names, whatever folder they lie in.
    over.sort_by_key(|f| f.rsplit('/').next().unwrap_or_default().to_owned());
    files.extend(over);
    let mut out = Vec::new();
    for file in files {
        for (i, line) in machine.text(&file).unwrap_or_default().lines().enumerate() {
            let line = line.trim();
            if let Some((key, value)) = line
                .split_once('=')
                .filter(|_| !line.starts_with(['#', ';']))
            {
                let value = value.trim().to_ascii_lowercase();
                out.push((key.trim().to_owned(), value, format!("{file}:{}", i + 1)));
            }
        }
    }
    out
}

fn rsyslog_text(machine: &Machine) -> String {
    rsyslog_lines(machine)
        .into_iter()
        .map(|(_, l)| l + "\n")
        .collect()
}

/// Lines of rsyslog.conf, its includes in their places: `(file:line, text)`.
fn rsyslog_lines(machine: &Machine) -> Vec<(String, String)> {
    fn read(machine: &Machine, file: &str, depth: u8, out: &mut Vec<(String, String)>) {
        for (i, line) in machine.text(file).unwrap_or_default().lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let legacy = line.strip_prefix("$IncludeConfig").map(str::trim);
            let modern = line
                .strip_prefix("include(")
                .and_then(|l| l.split("file=\"").nth(1))
                .and_then(|l| l.split('"').next());
            match legacy.or(modern) {
                Some(pattern) if depth < 4 => {
                    for name in machine.glob(pattern) {
                        read(machine, &name, depth + 1, out);
                    }
                }
                Some(_) => {}
                None => out.push((format!("{file}:{}", i + 1), line.to_owned())),
            }
        }
    }
    let mut out = Vec::new();
    read(machine, "/etc/rsyslog.conf", 0, &mut out);
    out
}

/// Where rsyslog puts sshd's lines of severity info.
#[derive(Debug, Default, PartialEq)]
struct Routes {
    files: BTreeSet<String>,
    /// Where they are thrown away.
    dropped: Option<String>,
    /// Something was not understood: what is missing above may be there.
    unsure: bool,
}

/// Whether a selector (`auth,authpriv.*;mail.none`) takes the facility at severity info; `None`: not understood.
fn takes(selector: &str, facility: &str) -> Option<bool> {
    let mut taken = false;
    for part in selector.split(';').filter(|p| !p.is_empty()) {
        let (facilities, priority) = part.rsplit_once('.')?;
        if !facilities
            .split(',')
            .any(|f| f == "*" || f.eq_ignore_ascii_case(facility))
        {
            continue;
        }
        let (not, rest) = match priority.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, priority),
        };
        let (exact, name) = match rest.strip_prefix('=') {
            Some(name) => (true, name),
            None => (false, rest),
        };
        let hit = match name {
            "*" => true,
            "none" => {
                taken = false;
                continue;
            }
            name => {
                let l = level(&name.to_ascii_lowercase())?;
                if exact { l == INFO } else { l >= INFO }
            }
        };
        if hit {
            taken = !not;
        }
    }
    Some(taken)
}

/// `-/var/log/auth.log;Template` → `/var/log/auth.log`; `None`: no file.
fn file_of(action: &str) -> Option<String> {
    let path = action.trim_start_matches('-').split(';').next()?.trim();
    path.starts_with('/').then(|| path.to_owned())
}

fn routes(lines: &[(String, String)], facility: &str) -> Routes {
    let mut out = Routes::default();
    // Whether what stands before `&` took the line.
    let mut before = false;
    let mut depth = 0i32;
    for (at, line) in lines {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let stops = |action: &str| matches!(action, "stop" | "~" | "discard");
        let scripted = depth > 0
            || [
                "if ", "if(", "ruleset(", "call ", "foreach", "set ", "action(", "else", "}",
            ]
            .iter()
            .any(|w| line.starts_with(w));
        if scripted {
            depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
            // A file that is named there may get them.
            let named = line.split('"').skip(1).step_by(2);
            out.files
                .extend(named.filter(|w| w.starts_with('/')).map(str::to_owned));
            out.files.extend(
                line.split_ascii_whitespace()
                    .filter_map(file_of)
                    .filter(|f| f.starts_with("/var")),
            );
            out.unsure = true;
            continue;
        }
        if line.starts_with('$')
            || [
                "module(",
                "input(",
                "global(",
                "template(",
                "main_queue(",
                "timezone(",
            ]
            .iter()
            .any(|w| line.starts_with(w))
        {
            continue;
        }
        let (hit, action) = if let Some(action) = line.strip_prefix('&') {
            (before, action.trim())
        } else if let Some(filter) = line.strip_prefix(':') {
            // :programname, isequal, "sshd" ACTION
            let parts: Vec<&str> = filter.splitn(3, ',').map(str::trim).collect();
            let &[property, operation, rest] = parts.as_slice() else {
                out.unsure = true;
                continue;
            };
            let mut quoted = rest.splitn(3, '"');
            let value = quoted.nth(1).unwrap_or_default();
            let action = quoted.next().unwrap_or_default().trim();
            let name = matches!(property, "programname" | "app-name" | "syslogtag");
            let hit = match operation {
                "isequal" if name => value == "sshd",
                "startswith" if name => "sshd[".starts_with(value),
                "contains" if name => "sshd[".contains(value),
                // What stands in a message is another matter.
                _ => {
                    out.unsure |= !stops(action);
                    continue;
                }
            };
            (hit, action)
        } else {
            let mut words = line.splitn(2, [' ', '\t']);
            let selector = words.next().unwrap_or_default();
            let action = words.next().unwrap_or_default().trim();
            match takes(selector, facility) {
                Some(hit) => (hit, action),
                None => {
                    out.unsure = true;
                    continue;
                }
            }
        };
        before = hit;
        if !hit {
            continue;
        }
        if stops(action) {
            out.dropped = Some(at.clone());
            return out;
        }
        match file_of(action) {
            Some(file) => {
                out.files.insert(file);
            }
            // Users, other machines, pipes and programs are no files; templates for names are not worked out.
            None if action.starts_with('?') => out.unsure = true,
            None => {}
        }
    }
    out
}

fn files(
    machine: &Machine,
    facility: &str,
    journald: bool,
    processes: &[Process],
    followed: &Followed,
    out: &mut Vec<Break>,
) {
    if followed.files.is_empty() {
        return;
    }
    let theirs = followed.files.iter().all(|f| THEIRS.contains(&f.as_str()));
    let list = followed.files.join(", ");
    if theirs
        && journald
        && !processes.is_empty()
        && !processes.iter().any(|p| WRITERS.contains(&p.name.as_str()))
    {
        out.push(broken(
            format!(
                "nobody writes {list}: no syslog daemon runs, sshd's lines go to the journal alone"
            ),
            "set journal = \"yes\" under [log], or install and start rsyslog",
        ));
        return;
    }
    // Another syslog daemon's configuration is not read.
    let others = processes
        .iter()
        .any(|p| p.name != "rsyslogd" && WRITERS.contains(&p.name.as_str()));
    let lines = rsyslog_lines(machine);
    if lines.is_empty() || others {
        return;
    }
    let routes = routes(&lines, facility);
    if routes.files.iter().any(|f| followed.files.contains(f)) {
        return;
    }
    if let Some(at) = &routes.dropped {
        out.push(broken(
            format!("rsyslog throws sshd's lines away ({at}) before they reach {list}"),
            "take that line out and restart rsyslog",
        ));
    } else if !routes.unsure && theirs {
        let elsewhere: Vec<&str> = routes.files.iter().map(String::as_str).collect();
        out.push(match elsewhere.is_empty() {
            true => broken(
                format!("rsyslog writes facility {facility} (SyslogFacility of sshd) to no file: {list} gets none of sshd's lines"),
                format!("{facility}.* /var/log/auth.log in /etc/rsyslog.d/sshd.conf and a restart of rsyslog, or SyslogFacility AUTH in sshd_config"),
            ),
            false => broken(
                format!(
                    "rsyslog writes facility {facility} (SyslogFacility of sshd) to {}, and {list} is followed",
                    elsewhere.join(", ")
                ),
                "name that file under [log] files",
            ),
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::testing::Scratch;

    const AUTH: &str = "/var/log/auth.log";
    /// Debian's.
    const RSYSLOG: &str = "module(load=\"imuxsock\")\n$IncludeConfig /etc/rsyslog.d/*.conf\nauth,authpriv.*\t\t/var/log/auth.log\n*.*;auth,authpriv.none\t\t-/var/log/syslog\n*.emerg :omusrmsg:*\n";
    /// RHEL's.
    const REDHAT: &str = "module(load=\"imjournal\" StateFile=\"imjournal.state\")\n*.info;mail.none;authpriv.none;cron.none                /var/log/messages\nauthpriv.*                                              /var/log/secure\n*.emerg                                                 :omusrmsg:*\n";

    fn world(files: &[(&str, &str)], followed: Followed) -> Vec<String> {
        let root = Scratch::new();
        root.write("proc/net/tcp", b"");
        for (path, text) in files {
            root.write(path, text.as_bytes());
        }
        let found = breaks(&Machine::at(root.path()), &followed);
        assert!(found.iter().all(|b| !b.next.is_empty()));
        found.into_iter().map(|b| b.what).collect()
    }

    fn file(path: &str) -> Followed {
        Followed {
            files: vec![path.to_owned()],
            journal: false,
            comms: &["sshd"],
        }
    }

    fn journal() -> Followed {
        Followed {
            files: Vec::new(),
            journal: true,
            comms: &["sshd", "sshd-session"],
        }
    }

    /// A process of a snapshot.
    fn process(pid: u32, name: &str, title: &str, files: &mut Vec<(String, String)>) {
        files.push((
            format!("proc/{pid}/stat"),
            format!("{pid} ({name}) S 1 1 1"),
        ));
        files.push((
            format!("proc/{pid}/status"),
            "Uid:\t0\t0\t0\t0\n".to_owned(),
        ));
        files.push((format!("proc/{pid}/cmdline"), title.replace(' ', "\0")));
    }

    fn live(title: &str, more: &[(&str, &str)], followed: Followed) -> Vec<String> {
        let mut files = Vec::new();
        let program = title.split([' ', ':']).next().unwrap();
        process(7, program.rsplit('/').next().unwrap(), title, &mut files);
        process(8, "rsyslogd", "/usr/sbin/rsyslogd -n", &mut files);
        files.push(("etc/rsyslog.conf".to_owned(), RSYSLOG.to_owned()));
        files.extend(more.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())));
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        world(&files, followed)
    }

    #[test]
    fn plain_hosts_are_not_accused() {
        let none: [String; 0] = [];
        assert_eq!(live("/usr/sbin/sshd -D", &[], file(AUTH)), none);
        assert_eq!(live("/usr/sbin/sshd -D", &[], journal()), none);
        assert_eq!(
            world(
                &[
                    ("etc/rsyslog.conf", REDHAT),
                    ("etc/ssh/sshd_config", "SyslogFacility AUTHPRIV\n"),
                ],
                file("/var/log/secure")
            ),
            none
        );
        // Nothing is known of what is not understood.
        let script =
            "if $programname == 'sshd' then {\n action(type=\"omfile\" dynaFile=\"x\")\n stop\n}\n";
        let more = [("etc/rsyslog.d/1.conf", script)];
        assert_eq!(
            live("/usr/sbin/sshd -D", &more, file("/srv/sshd.log")),
            none
        );
        assert_eq!(world(&[], file(AUTH)), none);
        assert_eq!(world(&[], journal()), none);
    }

    #[test]
    fn levels_that_hide_failures_are_said_with_their_line() {
        let quiet = [("etc/ssh/sshd_config", "Port 22\nLogLevel ERROR\n")];
        assert_eq!(
            live("/usr/sbin/sshd -D", &quiet, file(AUTH)),
            ["LogLevel ERROR (/etc/ssh/sshd_config:2): failed logins leave no trace"]
        );
        let block = [(
            "etc/ssh/sshd_config",
            "Match Address 203.0.113.0/24\n LogLevel QUIET\n",
        )];
        let said = live("/usr/sbin/sshd -D", &block, file(AUTH));
        assert!(
            said.len() == 1 && said[0].contains("Match block (/etc/ssh/sshd_config:2)"),
            "{said:?}"
        );
        for title in [
            "/usr/sbin/sshd -D -q",
            "/usr/sbin/sshd -Dq",
            "sshd: /usr/sbin/sshd -D -q [listener] 0 of 10-100 startups",
        ] {
            let said = live(title, &[], file(AUTH));
            assert!(said.iter().any(|s| s.contains("-q")), "{title}: {said:?}");
        }
        let said = live("/usr/sbin/sshd -o LogLevel=fatal", &[], file(AUTH));
        assert!(said[0].contains("LogLevel=fatal"), "{said:?}");
    }

    #[test]
    fn where_sshd_writes_itself_is_followed_or_said() {
        let title = "/usr/sbin/sshd -D -E /var/log/sshd.log";
        let said = live(title, &[], file(AUTH));
        assert!(
            said.len() == 1 && said[0].contains("/var/log/sshd.log"),
            "{said:?}"
        );
        assert!(live(title, &[], file("/var/log/sshd.log")).is_empty());
        let unit = [
            ("proc/7/cgroup", "0::/system.slice/ssh.service\n"),
            (
                "etc/systemd/system/ssh.service",
                "[Service]\nExecStart=/usr/sbin/sshd -D -e\n",
            ),
        ];
        let said = live("/usr/sbin/sshd -D -e", &unit, file(AUTH));
        assert!(
            said.len() == 1 && said[0].contains("the journal"),
            "{said:?}"
        );
        assert!(live("/usr/sbin/sshd -D -e", &unit, journal()).is_empty());
        let said = live("/opt/bin/mysshd -D", &[], journal());
        assert!(said.is_empty(), "not known to be sshd: {said:?}");
    }

    #[test]
    fn a_containers_sshd_and_a_second_one_are_not_this_machines() {
        let mut files = vec![("etc/rsyslog.conf".to_owned(), RSYSLOG.to_owned())];
        process(
            5,
            "sshd",
            "/usr/sbin/sshd -D -E /var/log/contained.log",
            &mut files,
        );
        files.retain(|(name, _)| name != "proc/5/status");
        let status = "Uid:\t0\t0\t0\t0\nNSpid:\t5\t1\n".to_owned();
        files.push(("proc/5/status".to_owned(), status));
        process(
            6,
            "sshd",
            "/usr/sbin/sshd -f /srv/x -E /srv/x.log",
            &mut files,
        );
        process(7, "sshd", "/usr/sbin/sshd -D", &mut files);
        process(8, "rsyslogd", "/usr/sbin/rsyslogd -n", &mut files);
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert!(world(&files, file(AUTH)).is_empty());
    }

    #[test]
    fn what_units_and_journald_drop_is_said() {
        let socket = ("run/systemd/journal/socket", "");
        let unit = |line: &str, followed: Followed| {
            let text = format!("[Service]\nExecStart=/usr/sbin/sshd -D\n{line}\n");
            let more = [
                socket,
                ("proc/7/cgroup", "0::/system.slice/ssh.service\n"),
                ("etc/systemd/system/ssh.service", text.as_str()),
            ];
            live("/usr/sbin/sshd -D", &more, followed)
        };
        assert!(unit("LogLevelMax=info", file(AUTH)).is_empty());
        assert!(
            unit("LogLevelMax=notice", file(AUTH))[0]
                .contains("LogLevelMax=notice in /etc/systemd/system/ssh.service:3")
        );
        assert!(unit("LogNamespace=ssh", journal())[0].contains("journal of its own"));
        let journald = |line: &str, followed: Followed| {
            let text = format!("[Journal]\n{line}\n");
            let more = [
                socket,
                ("etc/systemd/journald.conf.d/x.conf", text.as_str()),
            ];
            live("/usr/sbin/sshd -D", &more, followed)
        };
        assert!(journald("Storage=none", journal())[0].contains("keeps nothing"));
        assert!(journald("MaxLevelStore=warning", journal())[0].contains("MaxLevelStore=warning"));
        assert!(journald("MaxLevelStore=debug", journal()).is_empty());
        assert!(journald("ForwardToSyslog=no", file(AUTH))[0].contains("rsyslog gets nothing"));
        assert!(journald("ForwardToSyslog=no", journal()).is_empty());
        let mut files = Vec::new();
        process(7, "sshd", "/usr/sbin/sshd -D", &mut files);
        files.push((socket.0.to_owned(), String::new()));
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert!(world(&files, file(AUTH))[0].contains("nobody writes /var/log/auth.log"));
        assert!(
            world(&files, file("/srv/collected/auth.log")).is_empty(),
            "somebody else's file"
        );
    }

    #[test]
    fn rsyslog_that_drops_or_moves_the_facility_is_said() {
        let local = [("etc/ssh/sshd_config", "SyslogFacility LOCAL3\n")];
        let said = live("/usr/sbin/sshd -D", &local, file(AUTH));
        assert_eq!(
            said,
            [
                "rsyslog writes facility local3 (SyslogFacility of sshd) to /var/log/syslog, and /var/log/auth.log is followed"
            ]
        );
        assert!(live("/usr/sbin/sshd -D", &local, file("/var/log/syslog")).is_empty());
        for drop in [
            ":programname, isequal, \"sshd\" stop\n",
            ":programname, startswith, \"ssh\" ~\n",
            "auth.info stop\n",
            "auth.* /srv/auth\n& stop\n",
        ] {
            let said = live(
                "/usr/sbin/sshd -D",
                &[("etc/rsyslog.d/1.conf", drop)],
                file(AUTH),
            );
            assert!(
                said.len() == 1 && said[0].contains("/etc/rsyslog.d/1.conf:"),
                "{drop}: {said:?}"
            );
        }
        // What is dropped by its text or another program's name is not sshd's.
        for keep in [
            ":msg, contains, \"Connection closed by 192.0.2.7 port\" stop\n",
            ":programname, isequal, \"cron\" stop\n",
            "auth.debug;auth.!info stop\n",
            "mail.* stop\n",
        ] {
            let said = live(
                "/usr/sbin/sshd -D",
                &[("etc/rsyslog.d/1.conf", keep)],
                file(AUTH),
            );
            assert!(said.is_empty(), "{keep}: {said:?}");
        }
    }

    #[test]
    fn selectors_are_read_as_syslog_reads_them() {
        for (selector, facility, want) in [
            ("auth,authpriv.*", "auth", Some(true)),
            ("auth,authpriv.*", "local1", Some(false)),
            ("*.*;auth,authpriv.none", "auth", Some(false)),
            ("*.info;mail.none;authpriv.none", "auth", Some(true)),
            ("*.warning", "auth", Some(false)),
            ("auth.=info", "auth", Some(true)),
            ("auth.=notice", "auth", Some(false)),
            ("*.=debug;auth.none", "auth", Some(false)),
            ("*.debug;*.!info", "auth", Some(false)),
            ("strange", "auth", None),
        ] {
            assert_eq!(takes(selector, facility), want, "{selector} {facility}");
        }
    }
}
