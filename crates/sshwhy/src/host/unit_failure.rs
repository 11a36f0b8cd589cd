//! Why systemd could not start the service, from the status that it left (systemd.exec(5), "Process Exit Codes"), and which
//! line of the unit asks for what failed.

use super::Scene;
use super::daemon::Unit;
use super::machine::Machine;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::catalog::systemd::{CALL_FILTERS, NAMESPACE, STEPS};
use std::collections::BTreeMap;

/// How the last try ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Status(u32),
    Signal(u32),
}

/// SIGSYS, where Linux numbers signals as it does nearly everywhere.
const SIGSYS: u32 = 31;

/// Whether a file is of this machine's administrator, and not of a package.
fn is_local(place: &str) -> bool {
    place.starts_with("/etc/") || place.starts_with("/run/")
}

/// Only a file of this machine's administrator may be moved away, and a whole unit only where a packaged one takes its place: without
/// that there would be no unit at all.
pub(super) fn movable<'p>(machine: &Machine, place: &'p str) -> Option<&'p str> {
    let file = place.split(':').next().unwrap_or(place);
    let name = file.rsplit('/').next().unwrap_or_default();
    let packaged = || {
        ["/usr/lib/systemd/system", "/lib/systemd/system"]
            .iter()
            .any(|folder| machine.exists(&format!("{folder}/{name}")))
    };
    (is_local(place) && (file.contains(".d/") || packaged())).then_some(place)
}

/// The unit's state is known: says what failed, where it is one of systemd's own steps or the filter of system calls.
pub(super) fn look(
    scene: &mut Scene<'_>,
    unit: &Unit,
    shown: &BTreeMap<String, String>,
    source: &str,
) {
    if shown.get("ActiveState").is_some_and(|s| s == "active") {
        return;
    }
    if let Some((command, status)) = shown.get("ExecStartPost").and_then(|c| failed_after(c)) {
        let (setting, place) = lines(unit, &["ExecStartPost"])
            .into_iter()
            .find(|(setting, _)| setting.contains(command))
            .unwrap_or_else(|| (format!("ExecStartPost={command}"), unit.name.clone()));
        let text = format!(
            "{setting} ({place}) ended with status {status}: systemd stops sshd again when what runs after it fails"
        );
        let about = movable(scene.machine, &place)
            .unwrap_or(&unit.name)
            .to_owned();
        scene.say(Gate::Tcp, "unit.broken", "exec", about, text, source);
        return;
    }
    if shown.get("Job").is_some_and(|j| !j.is_empty() && j != "0") {
        waiting(scene, unit, source);
        return;
    }
    passed_over(scene, unit, shown, source);
    // Between two tries the properties are those of the one that has just begun: the last one stands in the journal.
    let trying = shown
        .get("ActiveState")
        .is_some_and(|s| matches!(s.as_str(), "failed" | "activating"));
    let logged = || last_end(&journal(scene, &unit.name));
    match end(shown).or_else(|| logged().filter(|_| trying)) {
        Some(End::Signal(SIGSYS)) => killed(scene, unit, source),
        _ if shown.get("Result").is_some_and(|r| r == "timeout") => {
            out_of_time(scene, unit, source)
        }
        Some(End::Status(status)) => {
            if let Some((_, step, settings)) = STEPS.iter().find(|s| s.0 == status) {
                failed_at(scene, unit, status, step, settings, source);
            } else if status == NOT_LOADED {
                not_loaded(scene, unit, source);
            }
        }
        _ => {}
    }
}

/// Of the main process, or of the one that ran before it: `{ path=… ; code=exited ; status=226 }`.
fn end(shown: &BTreeMap<String, String>) -> Option<End> {
    let main = |key: &str| shown.get(key).and_then(|v| v.parse::<u32>().ok());
    let killed = matches!(main("ExecMainCode"), Some(2 | 3));
    match main("ExecMainStatus") {
        Some(status) if status != 0 && killed => return Some(End::Signal(status)),
        Some(status) if status != 0 => return Some(End::Status(status)),
        _ => {}
    }
    let commands = ["ExecStartPre", "ExecStart"].map(|k| shown.get(k).map_or("", String::as_str));
    commands.iter().flat_map(|c| c.lines()).find_map(|line| {
        let field = |name: &str| line.split(" ; ").find_map(|f| f.trim().strip_prefix(name));
        let number = field("status=")?.split([' ', '/']).next()?.parse().ok()?;
        match field("code=")? {
            "exited" if number != 0 => Some(End::Status(number)),
            "killed" | "dumped" => Some(End::Signal(number)),
            _ => None,
        }
    })
}

/// The command after the start that failed, and its status.
fn failed_after(commands: &str) -> Option<(&str, u32)> {
    commands.lines().find_map(|line| {
        let line = line.strip_prefix("{ ").unwrap_or(line);
        let field = |name: &str| line.split(" ; ").find_map(|f| f.trim().strip_prefix(name));
        let status = field("status=")?.split([' ', '/']).next()?.parse().ok()?;
        let counts = field("code=") == Some("exited") && field("ignore_errors=") == Some("no");
        (counts && status != 0).then_some((field("path=")?, status))
    })
}

fn killed(scene: &mut Scene<'_>, unit: &Unit, source: &str) {
    let (about, setting) = match lines(unit, CALL_FILTERS).first() {
        Some((setting, place)) => (place.clone(), format!(": {setting} ({place})")),
        None => (unit.name.clone(), String::new()),
    };
    let text = format!(
        "the kernel killed sshd at its start for a system call that the unit's filter does not take (status {SIGSYS}/SYS){setting}"
    );
    let about = movable(scene.machine, &about)
        .unwrap_or(&unit.name)
        .to_owned();
    scene.say(Gate::Tcp, "unit.broken", "killed", about, text, source);
}

/// The status of the dynamic loader, and of a shell that cannot find a program.
const NOT_LOADED: u32 = 127;

/// systemd has been told to start it, and has not begun: what it waits for is not up yet.
fn waiting(scene: &mut Scene<'_>, unit: &Unit, source: &str) {
    let args = ["list-jobs", "--no-legend", "--no-pager"];
    let answer = scene.machine.ask("systemctl-list-jobs", "systemctl", &args);
    let jobs = answer.map(|a| a.out).unwrap_or_default();
    let Some(other) = awaited(&jobs, &unit.name) else {
        return;
    };
    let keys = ["After", "BindsTo", "Requires", "Requisite", "Wants"];
    let named = keys.iter().find_map(|key| {
        let set = unit.all(&format!("Unit.{key}")).iter();
        let mut set = set.filter(|(v, _)| v.split_ascii_whitespace().any(|u| u == other));
        set.next()
            .map(|(_, place)| (format!("{key}={other}"), place.clone()))
    });
    let (setting, place) = named.unwrap_or_else(|| (other.to_owned(), unit.name.clone()));
    let text = format!(
        "systemd waits with the start of {} for {other}, which is still being started: {setting} ({place})",
        unit.name
    );
    let about = movable(scene.machine, &place)
        .unwrap_or(&unit.name)
        .to_owned();
    scene.say(Gate::Tcp, "unit.broken", "dependency", about, text, source);
}

/// The unit whose start is under way while another's waits: `42 cloud-setup.service start running`.
fn awaited<'t>(jobs: &'t str, unit: &str) -> Option<&'t str> {
    let rows = jobs.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        Some((words.next()?, words.next()?, words.next()?))
    });
    let (mut waits, mut other) = (false, None);
    for (name, _, state) in rows {
        waits |= name == unit && state == "waiting";
        if name != unit && state == "running" {
            other = other.or(Some(name));
        }
    }
    other.filter(|_| waits)
}

/// systemd has passed over the start, which is no failure to it: a condition did not hold. Paths are looked at elsewhere.
fn passed_over(scene: &mut Scene<'_>, unit: &Unit, shown: &BTreeMap<String, String>, source: &str) {
    let is = |key: &str, value: &str| shown.get(key).is_some_and(|v| v == value);
    let tried = shown
        .get("ConditionTimestampMonotonic")
        .is_some_and(|t| !t.is_empty() && t != "0");
    let found = if is("Result", "exec-condition") {
        lines(unit, &["ExecCondition"])
    } else if is("ConditionResult", "no") && tried {
        let all = unit.settings.iter().filter_map(|(key, values)| {
            let key = key.strip_prefix("Unit.Condition")?;
            let of_path = key == "PathExists";
            let values = values.iter().filter(move |_| !of_path);
            Some(values.map(move |(v, place)| (format!("Condition{key}={v}"), place.clone())))
        });
        all.flatten().collect()
    } else {
        return;
    };
    let Some((_, place)) = found.last() else {
        return;
    };
    let about = movable(scene.machine, place)
        .unwrap_or(&unit.name)
        .to_owned();
    let settings: Vec<String> = found.iter().map(|(s, at)| format!("{s} ({at})")).collect();
    let text = format!(
        "systemd passed over the start, because a condition did not hold: {}",
        settings.join(", ")
    );
    scene.say(Gate::Tcp, "unit.broken", "condition", about, text, source);
}

/// What the unit sets around sshd keeps its libraries from being loaded. Where it sets nothing of the kind, the libraries are at
/// fault, which `sshd -t` meets as well.
fn not_loaded(scene: &mut Scene<'_>, unit: &Unit, source: &str) {
    let said = journal(scene, &unit.name);
    let Some(line) = said.lines().rfind(|l| {
        [
            "error while loading shared libraries",
            "symbol lookup error",
            "version `",
        ]
        .iter()
        .any(|part| l.contains(part))
    }) else {
        return;
    };
    let keys = [
        "Environment",
        "EnvironmentFile",
        "LimitAS",
        "LimitDATA",
        "LimitNOFILE",
        "MemoryDenyWriteExecute",
        "NoExecPaths",
        "InaccessiblePaths",
        "RootDirectory",
    ];
    let found = lines(unit, &keys);
    let own: Vec<&(String, String)> = found.iter().filter(|(_, place)| is_local(place)).collect();
    let Some((_, place)) = own.last() else {
        return;
    };
    let about = movable(scene.machine, place)
        .unwrap_or(&unit.name)
        .to_owned();
    let settings: Vec<String> = own.iter().map(|(s, at)| format!("{s} ({at})")).collect();
    let text = format!(
        "sshd is not even loaded as the unit starts it: {line}; the unit has {}",
        settings.join(", ")
    );
    scene.say(Gate::Tcp, "unit.broken", "exec", about, text, source);
}

/// systemd ended it over a time of the unit: that for coming up, or that for running.
fn out_of_time(scene: &mut Scene<'_>, unit: &Unit, source: &str) {
    let said = journal(scene, &unit.name);
    // "Service runtime limit reached", "Service reached runtime time limit": wordings differ.
    let ran = said.lines().any(|l| l.contains("runtime"));
    let keys: &[&str] = match ran {
        true => &["RuntimeMaxSec"],
        false => &["Type", "TimeoutStartSec", "TimeoutSec"],
    };
    // Of each the last line counts.
    let found: Vec<(String, String)> = keys
        .iter()
        .filter_map(|key| lines(unit, &[key]).pop())
        .collect();
    let own = found.iter().rfind(|(_, place)| is_local(place));
    let place = own.map_or(unit.name.as_str(), |(_, place)| place);
    let settings: Vec<String> = found.iter().map(|(s, at)| format!("{s} ({at})")).collect();
    let why = match ran {
        true => "systemd stopped sshd when it had run for the time that the unit gives it",
        false => {
            "systemd waited for sshd to say that it is up, in the way of Type=, and stopped it when the time was over"
        }
    };
    let text = format!("{why}: {}", settings.join(", "));
    let about = movable(scene.machine, place)
        .unwrap_or(&unit.name)
        .to_owned();
    scene.say(Gate::Tcp, "unit.broken", "timeout", about, text, source);
}

fn failed_at(
    scene: &mut Scene<'_>,
    unit: &Unit,
    status: u32,
    step: &str,
    settings: &[&str],
    source: &str,
) {
    let found = lines(unit, settings);
    let said = reason(&journal(scene, &unit.name), step).unwrap_or_default();
    // A path that is not there is why a view of the file system cannot be built. systemd may tell which; it makes some
    // itself (RuntimeDirectory=) that are gone again by now.
    let gone: Vec<(&String, &String, &str)> = found
        .iter()
        .filter(|_| settings == NAMESPACE)
        .filter_map(|(setting, place)| Some((setting, place, setting.split_once('=')?.1)))
        .flat_map(|(setting, place, value)| {
            paths(value).into_iter().map(move |p| (setting, place, p))
        })
        .filter(|(_, _, path)| !scene.machine.exists(path))
        .collect();
    let named = gone.iter().find(|g| said.contains(&format!("{}: ", g.2)));
    let missing = named.or(gone.first());
    let own = found.iter().rfind(|(_, place)| is_local(place));
    let (about, what) = match (missing, own.or(found.last())) {
        (Some((setting, place, gone)), _) => (
            (*place).clone(),
            format!(
                ": {setting} names {gone}, which does not exist ({place}); with a - in front of it systemd would pass over it"
            ),
        ),
        (None, Some((setting, place))) => (place.clone(), format!(": {setting} ({place})")),
        (None, None) => (unit.name.clone(), String::new()),
    };
    let mut text = format!("status {status}/{step}: systemd could not start sshd{what}");
    if !said.is_empty() {
        text.push_str(&format!("; systemd says: {said}"));
    }
    let about = movable(scene.machine, &about)
        .unwrap_or(&unit.name)
        .to_owned();
    scene.say(Gate::Tcp, "unit.broken", "step", about, text, source);
}

/// The unit's lines that set one of these, `Key=value` and `file:line`, in the order of the keys.
fn lines(unit: &Unit, keys: &[&str]) -> Vec<(String, String)> {
    let all = keys.iter().flat_map(|key| {
        let set = unit.all(&format!("Service.{key}"));
        set.iter()
            .map(move |(value, place)| (format!("{key}={value}"), place.clone()))
    });
    all.collect()
}

/// The paths of the machine that must be there: not those marked as optional, within another root, or yet to be filled in.
fn paths(value: &str) -> Vec<&str> {
    value
        .split_ascii_whitespace()
        .map(|word| word.split(':').next().unwrap_or_default())
        .filter(|path| path.starts_with('/') && !path.contains('%'))
        .collect()
}

/// The last lines of systemd about the unit.
fn journal(scene: &Scene<'_>, unit: &str) -> String {
    let args = ["-q", "--no-pager", "-o", "cat", "-n", "60", "-u", unit];
    let name = format!("journalctl-{unit}");
    let answer = scene.machine.ask(&name, "journalctl", &args);
    answer.map(|a| a.out).unwrap_or_default()
}

/// How a process of the unit last ended, unless the unit has come up since.
fn last_end(journal: &str) -> Option<End> {
    let lines: Vec<&str> = journal.lines().collect();
    let up = lines.iter().rposition(|l| l.starts_with("Started "));
    let since = lines.get(up.map_or(0, |i| i + 1)..)?;
    since.iter().rev().find_map(|line| {
        let (code, status) = line
            .split_once(" process exited, code=")?
            .1
            .split_once(", status=")?;
        let number = status.split('/').next()?.parse().ok()?;
        Some(match code {
            "exited" => End::Status(number),
            _ => End::Signal(number),
        })
    })
}

/// What systemd wrote about the step when it last failed: the reason stands on the line before.
fn reason(journal: &str, step: &str) -> Option<String> {
    let lines: Vec<&str> = journal.lines().collect();
    let at = lines
        .iter()
        .rposition(|l| l.contains(&format!("Failed at step {step} ")))?;
    let reason = at.checked_sub(1).and_then(|i| lines.get(i));
    let reason = reason.filter(|l| l.contains(": Failed to "));
    reason.or(lines.get(at)).map(|l| (*l).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Scratch;

    fn shown(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn the_end_is_read_of_whichever_process_failed() {
        let pre = "{ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -t ; ignore_errors=no ; start_time=[n/a] ; pid=71 ; code=exited ; status=226 }";
        let none =
            "{ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D ; pid=0 ; code=(null) ; status=0/0 }";
        let both = |pre: &str| {
            shown(&[
                ("ExecMainStatus", "0"),
                ("ExecMainCode", "0"),
                ("ExecStartPre", pre),
                ("ExecStart", none),
            ])
        };
        assert_eq!(end(&both(pre)), Some(End::Status(226)));
        let sys = pre.replace("exited ; status=226", "killed ; status=31/SYS");
        assert_eq!(end(&both(&sys)), Some(End::Signal(31)));
        assert_eq!(end(&both(none)), None);
        let second = format!("{}\n{pre}", pre.replace("226", "0"));
        assert_eq!(end(&both(&second)), Some(End::Status(226)));
        let main = shown(&[("ExecMainStatus", "203"), ("ExecMainCode", "1")]);
        assert_eq!(end(&main), Some(End::Status(203)));
        let main = shown(&[("ExecMainStatus", "31"), ("ExecMainCode", "2")]);
        assert_eq!(end(&main), Some(End::Signal(31)));
        assert_eq!(end(&shown(&[])), None);
    }

    #[test]
    fn a_command_after_the_start_counts_where_its_failure_does() {
        let post = "{ path=/etc/ssh/notify.sh ; argv[]=/etc/ssh/notify.sh started ; ignore_errors=no ; pid=71 ; code=exited ; status=3 }";
        assert_eq!(failed_after(post), Some(("/etc/ssh/notify.sh", 3)));
        assert_eq!(failed_after(&post.replace("status=3", "status=0")), None);
        assert_eq!(failed_after(&post.replace("errors=no", "errors=yes")), None);
    }

    #[test]
    fn the_journal_tells_of_the_try_before() {
        let text = "ssh.service: Failed to set up mount namespacing: /run/systemd/unit-root/srv/x: No such file or directory\n\
                    ssh.service: Failed at step NAMESPACE spawning /usr/sbin/sshd: No such file or directory\n\
                    ssh.service: Control process exited, code=exited, status=226/NAMESPACE\n\
                    ssh.service: Failed with result 'exit-code'.\n\
                    Starting ssh.service - OpenBSD Secure Shell server...\n";
        assert_eq!(last_end(text), Some(End::Status(226)));
        assert!(reason(text, "NAMESPACE").is_some_and(|r| r.contains("/srv/x: ")));
        assert_eq!(reason(text, "USER"), None);
        let up = format!("{text}Started ssh.service - OpenBSD Secure Shell server.\n");
        assert_eq!(last_end(&up), None);
        let killed = "ssh.service: Main process exited, code=dumped, status=31/SYS\n";
        assert_eq!(last_end(killed), Some(End::Signal(31)));
        assert_eq!(last_end(""), None);
    }

    #[test]
    fn paths_that_may_be_missing_are_left_out() {
        assert_eq!(paths("/home -/srv/x +/opt /a:/b %t/sshd"), ["/home", "/a"]);
    }

    #[test]
    fn a_start_that_waits_names_what_it_waits_for() {
        let jobs = "42 cloud-setup.service start running\n26 ssh.service         start waiting\n";
        assert_eq!(awaited(jobs, "ssh.service"), Some("cloud-setup.service"));
        assert_eq!(awaited(jobs, "cloud-setup.service"), None);
        assert_eq!(
            awaited("26 ssh.service start running\n", "ssh.service"),
            None
        );
        assert_eq!(awaited("", "ssh.service"), None);
    }

    #[test]
    fn steps_are_in_order_and_packaged_files_stay() {
        assert!(STEPS.is_sorted_by_key(|s| s.0));
        let root = Scratch::new();
        root.write("usr/lib/systemd/system/ssh.service", b"[Service]\n");
        let machine = Machine::at(root.path());
        let movable = |place: &str| movable(&machine, place).is_some();
        assert!(!movable("/lib/systemd/system/ssh.service:9"));
        assert!(movable("/etc/systemd/system/ssh.service.d/x.conf:2"));
        assert!(movable("/etc/systemd/system/ssh.service:4"));
        // Nothing would take its place.
        assert!(!movable("/etc/systemd/system/sshd@.service:4"));
    }
}
