//! The node itself: who it is, its clock and zone, its processes, connections, schedules, audit log and journal.

use super::logs::{self, Form};
use super::{Node, file_list};
use serde_json::{Value, json};
use sshwhy_core::time::Time;
use sshwhy_core::trace::mask;
use std::borrow::Cow;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
/// Files of schedules are short.
const MAX_SCHEDULE: u64 = 1 << 20;
const MAX_PROCESSES: usize = 200_000;
const MAX_CMDLINE: u64 = 64 << 10;

fn text_of(path: &Path) -> Option<String> {
    fs::read(path)
        .ok()
        .map(|b| String::from_utf8_lossy(&b).trim().to_owned())
}

/// `node.json`: name, addresses, clock, zone. Returns the name.
pub fn describe(node: &mut Node<'_>) -> Result<String, String> {
    let host = text_of(&node.at("/etc/hostname"))
        .filter(|h| !h.is_empty())
        .or_else(|| {
            node.live
                .then(|| text_of(Path::new("/proc/sys/kernel/hostname")))
                .flatten()
        })
        .unwrap_or_else(|| "unknown".to_owned());
    let zone = fs::read_link(node.at("/etc/localtime"))
        .ok()
        .and_then(|p| {
            p.to_string_lossy()
                .split_once("zoneinfo/")
                .map(|(_, z)| z.to_owned())
        })
        .or_else(|| text_of(&node.at("/etc/timezone")));
    let mut doc = json!({
        "host": host,
        "collected": node.now,
        "machine_id": text_of(&node.at("/etc/machine-id")),
        "zone": zone,
    });
    let mut put = |key: &str, value: Value| {
        if let Some(map) = doc.as_object_mut() {
            map.insert(key.to_owned(), value);
        }
    };
    if node.live {
        put(
            "kernel",
            json!(text_of(Path::new("/proc/sys/kernel/osrelease"))),
        );
        put("boot", json!(boot_time()));
        put("addresses", json!(addresses()));
        let (ahead, how) = clock(node);
        put("clock_ahead_s", json!(ahead));
        put("clock", json!(how));
        if ahead.is_none() {
            node.pack.refuse("clock offset", how);
        }
        let local = crate::zone::local();
        put("utc_offset_s", json!(local.offset_at(node.now.secs())));
    } else {
        node.pack.refuse(
            "processes, connections and clock",
            "--root names a file system, not a running machine",
        );
    }
    let text = serde_json::to_vec_pretty(&doc).map_err(|e| e.to_string())?;
    node.pack.add("node.json", "the node", &text)?;
    Ok(host)
}

fn boot_time() -> Option<Time> {
    let stat = text_of(Path::new("/proc/stat"))?;
    let secs = stat
        .lines()
        .find_map(|l| l.strip_prefix("btime "))?
        .parse()
        .ok()?;
    Some(Time::from_secs(secs))
}

fn addresses() -> Vec<String> {
    let mut out = Vec::new();
    // Local addresses stand in the routing table of the kernel's own.
    let trie = text_of(Path::new("/proc/net/fib_trie")).unwrap_or_default();
    let mut last = "";
    for line in trie.lines() {
        if let Some(addr) = line.trim().strip_prefix("|-- ") {
            last = addr;
        } else if line.contains("/32 host LOCAL")
            && !last.starts_with("127.")
            && !out.iter().any(|a| a == last)
        {
            out.push(last.to_owned());
        }
    }
    for line in text_of(Path::new("/proc/net/if_inet6"))
        .unwrap_or_default()
        .lines()
    {
        let mut fields = line.split_whitespace();
        let (Some(hex), Some(scope)) = (fields.next(), fields.nth(2)) else {
            continue;
        };
        // 00 global, 20 link, 10 host
        if let Ok(bits) = u128::from_str_radix(hex, 16)
            && scope == "00"
        {
            out.push(std::net::Ipv6Addr::from(bits).to_string());
        }
    }
    out
}

/// Seconds that the clock is ahead of true time, where a time daemon knows, and what it says.
fn clock(node: &Node<'_>) -> (Option<f64>, String) {
    if let Some(Ok(text)) = node.run("chronyc", &["-n", "tracking"], SOON) {
        let line = text
            .lines()
            .find(|l| l.starts_with("System time"))
            .unwrap_or_default();
        let value = line.split(':').nth(1).unwrap_or_default();
        let secs: Option<f64> = value.split_whitespace().next().and_then(|s| s.parse().ok());
        if let Some(secs) = secs {
            let sign = if line.contains("slow") { -1.0 } else { 1.0 };
            return (Some(sign * secs), format!("chronyc: {}", line.trim()));
        }
    }
    if let Some(Ok(text)) = node.run("ntpq", &["-c", "rv 0 offset"], SOON)
        && let Some(ms) = text
            .split("offset=")
            .nth(1)
            .and_then(|s| s.trim().trim_end_matches(',').parse::<f64>().ok())
    {
        return (Some(-ms / 1000.0), format!("ntpq: {}", text.trim()));
    }
    match node.run("timedatectl", &["show"], SOON) {
        Some(Ok(text)) => {
            let says = |key: &str| {
                text.lines()
                    .find_map(|l| l.strip_prefix(key))
                    .unwrap_or("unknown")
                    .to_owned()
            };
            let synchronised = says("NTPSynchronized=");
            (
                (synchronised == "yes").then_some(0.0),
                format!(
                    "timedatectl: synchronised {synchronised}, zone {}",
                    says("Timezone=")
                ),
            )
        }
        _ => (
            None,
            "no time daemon answers (chronyc, ntpq, timedatectl)".to_owned(),
        ),
    }
}

/// `processes.json`: the tree with start, arguments, cgroup and container.
pub fn processes(node: &mut Node<'_>) -> Result<(), String> {
    if !node.live {
        return Ok(());
    }
    let boot = boot_time().unwrap_or_default();
    let mut out: Vec<Value> = Vec::new();
    let mut hidden = 0;
    for dir in file_list(Path::new("/proc")) {
        let Some(pid) = dir
            .file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.parse::<u32>().ok())
        else {
            continue;
        };
        if out.len() >= MAX_PROCESSES || node.pack.late() {
            node.pack
                .refuse("processes", "more than fit into the time given");
            break;
        }
        // Gone in the meantime is no error.
        let Some(p) = process(&dir, pid, boot) else {
            continue;
        };
        hidden += u32::from(
            p.get("exe").is_none_or(Value::is_null)
                && p.get("argv")
                    .is_some_and(|a| a.as_array().is_some_and(|a| !a.is_empty())),
        );
        out.push(p);
    }
    if hidden > 0 {
        node.pack.refuse(
            "executables of processes",
            format!("{hidden} are hidden from this user: run it as root"),
        );
    }
    let text = serde_json::to_vec(&out).map_err(|e| e.to_string())?;
    node.pack.add("processes.json", "/proc", &text)
}

/// A process as `/proc` describes it; the arguments masked, of the environment the names only.
fn process(dir: &Path, pid: u32, boot: Time) -> Option<Value> {
    let stat = text_of(&dir.join("stat"))?;
    // The name may hold blanks and parentheses.
    let close = stat.rfind(')')?;
    let comm = stat.get(stat.find('(')? + 1..close)?.to_owned();
    let fields: Vec<&str> = stat.get(close + 2..)?.split(' ').collect();
    let ppid: u32 = fields.get(1)?.parse().ok()?;
    let ticks: i64 = fields.get(19)?.parse().ok()?;
    // The kernel counts in hundredths of a second towards programs, whatever it counts in itself.
    let started = Time(boot.0 + ticks.saturating_mul(10_000));
    let mut bytes = Vec::new();
    fs::File::open(dir.join("cmdline"))
        .ok()?
        .take(MAX_CMDLINE)
        .read_to_end(&mut bytes)
        .ok()?;
    let argv: Vec<String> = bytes
        .strip_suffix(b"\0")
        .unwrap_or(&bytes)
        .split(|b| *b == 0)
        .map(|a| String::from_utf8_lossy(a).into_owned())
        .filter(|a| bytes.len() > 1 || !a.is_empty())
        .collect();
    let cgroup = text_of(&dir.join("cgroup")).unwrap_or_default();
    let uid = text_of(&dir.join("status")).and_then(|s| {
        s.lines().find_map(|l| {
            l.strip_prefix("Uid:")?
                .split_whitespace()
                .next()?
                .parse::<u32>()
                .ok()
        })
    });
    let names: Vec<String> = fs::read(dir.join("environ"))
        .unwrap_or_default()
        .split(|b| *b == 0)
        .filter_map(|v| v.split(|b| *b == b'=').next())
        .filter(|n| !n.is_empty())
        .take(200)
        .map(|n| String::from_utf8_lossy(n).into_owned())
        .collect();
    let link = |name: &str| {
        fs::read_link(dir.join(name))
            .ok()
            .map(|p| p.to_string_lossy().into_owned())
    };
    Some(json!({
        "pid": pid, "ppid": ppid, "started": started, "comm": comm, "argv": mask::argv(&argv), "exe": link("exe"), "cgroup": cgroup,
        "uid": uid, "netns": link("ns/net"), "environment": names,
    }))
}

/// `state/`: connections that are open, and those the packet filter remembers. For the reader, not for the ranking.
pub fn connections(node: &mut Node<'_>) -> Result<(), String> {
    if !node.live {
        return Ok(());
    }
    match fs::read("/proc/net/nf_conntrack") {
        Ok(bytes) => node
            .pack
            .add("state/conntrack.txt", "/proc/net/nf_conntrack", &bytes)?,
        Err(e) => match node.run("conntrack", &["-L", "-o", "extended"], SOON) {
            Some(Ok(text)) => {
                node.pack
                    .add("state/conntrack.txt", "conntrack -L", text.as_bytes())?
            }
            Some(Err(why)) => node.pack.refuse("conntrack", why),
            None => node.pack.refuse(
                "conntrack",
                format!("/proc/net/nf_conntrack: {e}; conntrack is not there"),
            ),
        },
    }
    match node.run("ss", &["-tanpO"], SOON) {
        Some(Ok(text)) => node
            .pack
            .add("state/sockets.txt", "ss -tanp", text.as_bytes()),
        Some(Err(why)) => {
            node.pack.refuse("ss", why);
            Ok(())
        }
        None => {
            node.pack.refuse("ss", "is not there");
            Ok(())
        }
    }
}

/// Folders and files of what starts programs by the clock.
const SCHEDULES: [&str; 18] = [
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/etc/periodic",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
    "/var/spool/cron/atjobs",
    "/var/spool/at",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/etc/kubernetes/manifests",
];

/// `schedules/`: crontabs, at jobs, timers and the units that they start.
pub fn schedules(node: &mut Node<'_>) -> Result<(), String> {
    let mut list: Vec<PathBuf> = Vec::new();
    let mut add_dir = |dir: PathBuf, units: bool| {
        let all = file_list(&dir);
        let timers: Vec<String> = all
            .iter()
            .filter_map(|p| p.to_str()?.strip_suffix(".timer").map(str::to_owned))
            .collect();
        for p in all {
            // Of units only timers and what they start; of the rest all.
            let name = p.to_string_lossy().into_owned();
            let own = dir.starts_with(node.at("/etc/systemd")) && name.ends_with(".service");
            let wanted = !units
                || name.ends_with(".timer")
                || own
                || name
                    .strip_suffix(".service")
                    .is_some_and(|s| timers.iter().any(|t| t == s));
            if wanted && p.is_file() {
                list.push(p);
            }
        }
    };
    for place in SCHEDULES {
        let path = node.at(place);
        if path.is_file() {
            add_dir(path.clone(), false);
        }
        add_dir(path, place.contains("systemd"));
    }
    for home in file_list(&node.at("/home"))
        .into_iter()
        .chain([node.at("/root")])
    {
        add_dir(home.join(".config/systemd/user"), true);
    }
    for file in ["/etc/crontab", "/etc/anacrontab"] {
        let path = node.at(file);
        if path.is_file() {
            list.push(path);
        }
    }
    list.sort();
    // `/lib` is `/usr/lib` on most systems.
    let mut seen = std::collections::HashSet::new();
    list.retain(|p| fs::canonicalize(p).is_ok_and(|real| seen.insert(real)));
    for path in list {
        let mut bytes = Vec::new();
        let read = fs::File::open(&path).and_then(|f| f.take(MAX_SCHEDULE).read_to_end(&mut bytes));
        if let Err(e) = read {
            node.pack.refuse(path.display().to_string(), e.to_string());
            continue;
        }
        let shown = path
            .strip_prefix(&node.root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let shown = shown.trim_start_matches('/');
        let text: String = String::from_utf8_lossy(&bytes)
            .lines()
            .map(|l| schedule_line(l) + "\n")
            .collect();
        node.pack.add(
            &format!("schedules/{shown}"),
            &path.display().to_string(),
            text.as_bytes(),
        )?;
    }
    match node.run("systemctl", &["list-timers", "--all", "--no-pager"], SOON) {
        Some(Ok(text)) => {
            node.pack
                .add("state/timers.txt", "systemctl list-timers", text.as_bytes())?
        }
        Some(Err(e)) => node.pack.refuse("systemctl list-timers", e),
        None => {}
    }
    Ok(())
}

/// Variables that say how a job runs, and hold no secret.
const HARMLESS: [&str; 9] = [
    "PATH", "SHELL", "MAILTO", "HOME", "CRON_TZ", "TZ", "LANG", "LOGNAME", "USER",
];

/// A line of a crontab, a unit or an at job, without values of an environment.
fn schedule_line(line: &str) -> String {
    let name_of = |text: &str| {
        let name = text.split('=').next().unwrap_or_default().trim();
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (is_name && text.contains('=')).then(|| name.to_owned())
    };
    if let Some(rest) = line.strip_prefix("Environment=") {
        let names: Vec<String> = rest
            .split_whitespace()
            .filter_map(|w| name_of(w.trim_matches(['"', '\''])))
            .collect();
        return format!(
            "Environment={}",
            names
                .iter()
                .map(|n| format!("{n}={}", mask::MASK))
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
    // `NAME=value` of a crontab, `NAME=value; export NAME` of an at job; units' keys are capitalised words.
    let upper = name_of(line).filter(|n| {
        n.bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            || line.contains("; export ")
    });
    if let Some(name) = upper
        && !HARMLESS.contains(&name.as_str())
    {
        return format!("{name}={}", mask::MASK);
    }
    mask::line(line).into_owned()
}

/// `audit.log`: the kernel's audit records of the window, and what `trace arm` recorded.
pub fn audit(node: &mut Node<'_>) -> Result<(), String> {
    for (path, name) in [
        ("/var/log/audit/audit.log", "audit.log"),
        (crate::watch::DEFAULT_OUT, "watch/audit.log"),
    ] {
        let place = node.at(path);
        let files = logs::rotated(&place);
        if files.is_empty() {
            node.pack.refuse(path, "is not there");
            continue;
        }
        let mut spool = node.pack.spool()?;
        let form = Form {
            time: &logs::audit_time,
            mask: &mask::audit_line,
        };
        match logs::copy(&files, node.window, &form, &mut spool, node.pack.deadline) {
            Ok(cut) if spool.bytes > 0 => node.pack.add_spool(name, path, spool, &cut)?,
            Ok(_) => node.pack.refuse(path, "holds nothing of this time"),
            Err(e) => node.pack.refuse(path, e),
        }
    }
    Ok(())
}

fn masked_line(line: &[u8]) -> Cow<'_, [u8]> {
    if !mask::may_hold_secret(line) {
        return Cow::Borrowed(line);
    }
    match std::str::from_utf8(line) {
        Ok(text) => match mask::line(text) {
            Cow::Borrowed(_) => Cow::Borrowed(line),
            Cow::Owned(masked) => Cow::Owned(masked.into_bytes()),
        },
        Err(_) => Cow::Owned(
            mask::line(&String::from_utf8_lossy(line))
                .into_owned()
                .into_bytes(),
        ),
    }
}

/// `journal.log` and the text logs of syslog.
pub fn journal(node: &mut Node<'_>) -> Result<(), String> {
    if let Err(why) = from_journal(node)? {
        node.pack.refuse("journal", why);
    }
    // Lines of syslog have no year: the files that were written in the window are taken whole.
    for path in [
        "/var/log/syslog",
        "/var/log/messages",
        "/var/log/cron",
        "/var/log/cron.log",
        "/var/log/daemon.log",
    ] {
        let files: Vec<PathBuf> = logs::rotated(&node.at(path));
        if files.is_empty() {
            continue;
        }
        let mut spool = node.pack.spool()?;
        let since = node.window.since;
        let form = Form {
            time: &|_| Some(since),
            mask: &masked_line,
        };
        match logs::copy(&files, node.window, &form, &mut spool, node.pack.deadline) {
            Ok(cut) if spool.bytes > 0 => {
                let name = format!("syslog/{}", path.rsplit('/').next().unwrap_or(path));
                node.pack.add_spool(&name, path, spool, &cut)?;
            }
            Ok(_) => {}
            Err(e) => node.pack.refuse(path, e),
        }
    }
    Ok(())
}

fn from_journal(node: &mut Node<'_>) -> Result<Result<(), String>, String> {
    let folder = ["/var/log/journal", "/run/log/journal"]
        .iter()
        .any(|d| node.at(d).is_dir());
    if !folder {
        return Ok(Err("no journal is kept".to_owned()));
    }
    let mut command = Command::new("journalctl");
    command.args([
        "--quiet",
        "--no-pager",
        "--utc",
        "--output=short-iso-precise",
    ]);
    command.arg(format!("--since=@{}", node.window.since.secs()));
    command.arg(format!("--until=@{}", node.window.until.secs() + 1));
    if !node.live {
        command.arg("--directory").arg(node.at("/var/log/journal"));
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(c) => c,
        Err(e) => return Ok(Err(format!("journalctl: {e}"))),
    };
    let Some(pipe) = child.stdout.take() else {
        return Ok(Err("journalctl has no output".to_owned()));
    };
    // Whoever reads waits for the pipe, so somebody else watches the clock.
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let left = node.pack.deadline.saturating_duration_since(Instant::now());
    let watch = std::thread::spawn(move || {
        let late = waits.recv_timeout(left) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if late {
            let _ = child.kill();
        }
        (child.wait(), late)
    });
    let mut spool = node.pack.spool()?;
    let mut reader = std::io::BufReader::with_capacity(256 << 10, pipe);
    let mut line = Vec::new();
    let mut cut = String::new();
    use std::io::BufRead as _;
    loop {
        line.clear();
        match reader.by_ref().take(1 << 20).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let end = line.len() - usize::from(line.last() == Some(&b'\n'));
        let masked = masked_line(line.get(..end).unwrap_or_default());
        if spool
            .write_all(&masked)
            .and_then(|()| spool.write_all(b"\n"))
            .is_err()
        {
            cut = format!("only the oldest {} MiB of the window fit", spool.most >> 20);
            break;
        }
    }
    drop(reader);
    let _ = done.send(());
    match watch.join() {
        Ok((_, true)) => cut = "the time given was over".to_owned(),
        Ok((Ok(status), _)) if !status.success() && spool.bytes == 0 => {
            return Ok(Err(format!("journalctl: {status}")));
        }
        _ => {}
    }
    if spool.bytes == 0 {
        return Ok(Err("holds nothing of this time".to_owned()));
    }
    node.pack
        .add_spool("journal.log", "journalctl", spool, &cut)?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_lose_values_and_keep_commands() {
        for (line, want) in [
            ("DB_PASSWORD=hunter2", "DB_PASSWORD=***"),
            ("PATH=/bin:/usr/bin", "PATH=/bin:/usr/bin"),
            ("Environment=A=b \"C=d e\"", "Environment=A=*** C=***"),
            ("lower=x; export lower", "lower=***"),
            (
                "ExecStart=/bin/x --token=abc",
                "ExecStart=/bin/x --token=***",
            ),
            (
                "0 16 * * * root sshpass -phunter2 ssh ops@192.0.2.9",
                "0 16 * * * root sshpass -p*** ssh ops@192.0.2.9",
            ),
            ("OnCalendar=16:00", "OnCalendar=16:00"),
            ("# x", "# x"),
        ] {
            assert_eq!(schedule_line(line), want);
        }
    }

    #[test]
    fn this_process_is_described() {
        let pid = std::process::id();
        let v = process(
            &PathBuf::from(format!("/proc/{pid}")),
            pid,
            boot_time().unwrap(),
        )
        .unwrap();
        assert_eq!(v["pid"], pid);
        assert!(v["argv"].as_array().is_some_and(|a| !a.is_empty()));
        assert!(
            v["environment"]
                .as_array()
                .unwrap()
                .iter()
                .all(|n| !n.as_str().unwrap().contains('='))
        );
    }
}
