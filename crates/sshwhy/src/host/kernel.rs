//! The kernel's side: processes killed for want of memory, limits on processes, the clock; and whether the sshd that runs is
//! the one on disk.

use super::daemon::{self, Process};
use super::{Scene, log};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::server::modes::Kind;
use std::time::SystemTime;

/// For how long a daemon that has just started may still be reading its files, in seconds.
const READING: f64 = 0.3;
/// How far a file's time may lie ahead of the clock.
const AHEAD: i64 = 26 * 3600;
/// How much of the kernel's log is read from its end.
const KERNEL_LOG: u64 = 1 << 20;
/// Ticks of /proc/PID/stat in a second, on every Linux that Debian or Red Hat built (USER_HZ).
const TICKS: i64 = 100;

pub(super) fn look(scene: &mut Scene<'_>) {
    clock(scene);
    if !scene.machine.is_running() {
        return;
    }
    killed(scene);
    let listener = scene.processes.iter().find(|p| p.is_listener()).cloned();
    if let Some(p) = &listener {
        cgroup(scene, p);
        files(scene, p);
        stale(scene, p);
    }
    processes(scene);
    entropy(scene);
}

/// Below that an old kernel lets nobody have a random number (random(4), before 5.6: blocking pool).
const LEAST_ENTROPY: u32 = 128;

/// A kernel whose pool is empty makes sshd wait for random numbers. Since 5.6 the number means nothing.
fn entropy(scene: &mut Scene<'_>) {
    let file = "/proc/sys/kernel/random/entropy_avail";
    let release = scene.machine.text("/proc/sys/kernel/osrelease");
    let release = release.unwrap_or_default();
    let mut parts = release
        .split(['.', '-'])
        .map_while(|p| p.trim().parse::<u32>().ok());
    let (Some(major), Some(minor)) = (parts.next(), parts.next()) else {
        return;
    };
    let bits = scene.machine.text(file).ok();
    let bits = bits.and_then(|t| t.trim().parse::<u32>().ok());
    if let Some(bits) = bits.filter(|b| *b < LEAST_ENTROPY && (major, minor) < (5, 6)) {
        let text = format!(
            "the kernel ({}) has {bits} bits of randomness left, and lets sshd wait for more",
            release.trim()
        );
        scene.say(Gate::Ident, "kernel.entropy", "low", "", text, file);
    }
}

/// What the listener opens for each connection, for a moment: the socket, a pipe, a pair of sockets to its child (sshd.c
/// server_accept_loop()).
const FOR_A_CONNECTION: usize = 5;

/// Whether the daemon may open the files of one more connection: without, it cannot take any.
fn files(scene: &mut Scene<'_>, p: &Process) {
    let limits = format!("/proc/{}/limits", p.pid);
    let text = scene.machine.text(&limits).unwrap_or_default();
    let most = text
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))
        .and_then(|l| l.split_ascii_whitespace().next()?.parse::<usize>().ok());
    let open = scene.machine.names(&format!("/proc/{}/fd", p.pid)).len();
    let own = most.filter(|most| open > 0 && open + FOR_A_CONNECTION > *most);
    // All of the machine's: in use, unused, and how many there may be.
    let system = scene.machine.text("/proc/sys/fs/file-nr");
    let system: Vec<u64> = system
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    let (about, text, source) = match (own, system.as_slice()) {
        (Some(most), _) => (
            "LimitNOFILE".to_owned(),
            format!(
                "sshd has {open} files open and may have {most}; a connection needs {FOR_A_CONNECTION} more"
            ),
            limits,
        ),
        (None, [used, _, most]) if used >= most => (
            "fs.file-max".to_owned(),
            format!("{used} files are open on this machine, and {most} may be"),
            "/proc/sys/fs/file-nr".to_owned(),
        ),
        _ => return,
    };
    scene.say(Gate::Ident, "kernel.files", "full", about, text, source);
}

/// Files from the future: the clock is behind.
fn clock(scene: &mut Scene<'_>) {
    let now = scene.now.secs();
    let files = [
        "/etc/passwd",
        "/etc/shadow",
        "/etc/ssh/sshd_config",
        "/var/lib/dpkg/status",
    ];
    let ahead = files
        .iter()
        .filter_map(|f| Some((*f, scene.machine.written(f)?)))
        .max_by_key(|(_, t)| *t)
        .filter(|(_, t)| *t > now + AHEAD && scene.machine.is_live());
    if let Some((file, written)) = ahead {
        let days = (written - now) / 86_400;
        scene.say(
            Gate::Auth,
            "clock.state",
            "behind",
            file,
            format!(
                "{file} was written {days} days after what the clock shows now: the clock is behind"
            ),
            file,
        );
        return;
    }
    let Some(answer) = scene
        .machine
        .ask(
            "timedatectl",
            "timedatectl",
            &["show", "-p", "NTPSynchronized", "--value"],
        )
        .filter(|a| a.ok)
    else {
        return;
    };
    let value = match answer.out.trim() {
        "yes" => "kept",
        "no" => "free",
        _ => return,
    };
    let text = format!("NTPSynchronized={}", answer.out.trim());
    scene.say(Gate::Auth, "clock.state", value, "", text, "timedatectl");
}

/// What the kernel killed when memory ran out, the latest of it.
fn killed(scene: &mut Scene<'_>) {
    let args = ["-k", "-q", "-n", "2000", "--no-pager", "-o", "short-iso"];
    let file = "/var/log/kern.log";
    let (text, source) = match scene.machine.tail(file, KERNEL_LOG) {
        Ok(bytes) if !bytes.is_empty() => (String::from_utf8_lossy(&bytes).into_owned(), file),
        _ => {
            let journal = scene.machine.exists("/run/log/journal")
                || scene.machine.exists("/var/log/journal");
            if scene.machine.is_live() && !journal {
                return;
            }
            match scene.machine.ask("journalctl-k", "journalctl", &args) {
                Some(a) => (a.out, "journalctl -k"),
                None => return,
            }
        }
    };
    let mut named: Vec<(&str, String)> = Vec::new();
    for line in text.lines().rev() {
        // `Out of memory: Killed process 123 (sshd) …`, `Memory cgroup out of memory: Killed process …`
        let Some(at) = line.find("Killed process ") else {
            continue;
        };
        let rest = line.get(at..).unwrap_or_default();
        let name = rest.split(['(', ')']).nth(1).unwrap_or_default().to_owned();
        let value = if name.starts_with("sshd") {
            "sshd"
        } else {
            "other"
        };
        if named.iter().all(|(v, _)| *v != value) {
            named.push((value, line.to_owned()));
        }
    }
    for (value, line) in named {
        scene.say(Gate::Ident, "kernel.oom", value, "", line, source);
    }
}

/// The limits of the daemon's control group.
fn cgroup(scene: &mut Scene<'_>, p: &Process) {
    let file = scene
        .machine
        .text(&format!("/proc/{}/cgroup", p.pid))
        .unwrap_or_default();
    let Some(path) = file.lines().find_map(|l| l.strip_prefix("0::")) else {
        return;
    };
    let folder = format!("/sys/fs/cgroup{}", path.trim_end_matches('/'));
    let number = |name: &str| -> Option<u64> {
        scene
            .machine
            .text(&format!("{folder}/{name}"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let event = |name: &str, key: &str| -> Option<u64> {
        let text = scene.machine.text(&format!("{folder}/{name}")).ok()?;
        text.lines()
            .find_map(|l| l.strip_prefix(key)?.trim().parse().ok())
    };
    let (now, most) = (number("pids.current"), number("pids.max"));
    let refused = event("pids.events", "max ").unwrap_or(0);
    let out_of_memory = event("memory.events", "oom_kill ").unwrap_or(0);
    if let (Some(now), Some(most)) = (now, most) {
        let value = match () {
            () if now >= most => "full",
            () if refused > 0 => "was-full",
            () => "room",
        };
        let text = format!(
            "{now} of {most} processes, {refused} refused since it was set up (TasksMax=, pids.max)"
        );
        scene.say(
            Gate::Session,
            "kernel.pids",
            value,
            folder.clone(),
            text,
            format!("{folder}/pids.current"),
        );
    }
    if out_of_memory > 0 {
        let text = format!(
            "the kernel killed {out_of_memory} processes of sshd's control group for want of memory"
        );
        scene.say(
            Gate::Session,
            "kernel.oom",
            "group",
            folder.clone(),
            text,
            format!("{folder}/memory.events"),
        );
    }
}

/// Whether the machine has room for one more process.
fn processes(scene: &mut Scene<'_>) {
    let number =
        |file: &str| -> Option<usize> { scene.machine.text(file).ok()?.trim().parse().ok() };
    let Some(most) = number("/proc/sys/kernel/pid_max") else {
        return;
    };
    let now = scene.processes.len();
    if now + 8 >= most {
        let text =
            format!("{now} processes run, and there are {most} numbers for them (kernel.pid_max)");
        scene.say(
            Gate::Ident,
            "kernel.pids",
            "full",
            "kernel.pid_max",
            text,
            "/proc/sys/kernel/pid_max",
        );
    }
}

/// Whether files were changed after the daemon had read them.
fn stale(scene: &mut Scene<'_>, p: &Process) {
    if !scene.machine.is_live() {
        return;
    }
    if p.exe.as_deref().is_some_and(|e| e.ends_with(" (deleted)")) {
        let text = format!(
            "process {} runs a binary that is no longer on disk: sshd was upgraded and not restarted",
            p.pid
        );
        scene.say(
            Gate::Ident,
            "sshd.stale",
            "binary",
            p.title.clone(),
            text,
            format!("/proc/{}/exe", p.pid),
        );
    }
    let Some(started) = started_at(scene, p.pid) else {
        return;
    };
    // A reload reads the files again, and shows in the log only.
    let reloaded = scene
        .log
        .daemon
        .iter()
        .filter(|l| is_restart(l))
        .filter_map(|l| l.at)
        // A log of whole seconds shows the beginning of the second.
        .map(|t| t.0 as f64 / 1e6 + if t.0 % 1_000_000 == 0 { 1.0 } else { 0.0 })
        .max_by(f64::total_cmp);
    let since = reloaded.map_or(started, |r| r.max(started));
    let mut files: Vec<String> = scene
        .config
        .sources
        .iter()
        .map(|s| s.name.clone())
        .collect();
    // A drop-in that is gone shows in its folder alone.
    let folders: Vec<String> = scene
        .config
        .sources
        .iter()
        .filter_map(|s| s.name.rsplit_once('/'))
        .map(|(folder, _)| folder.to_owned())
        .chain(["/etc/ssh/sshd_config.d".to_owned()])
        .filter(|f| f.ends_with(".d"))
        .collect();
    files.extend(folders);
    let newer = files
        .iter()
        .filter_map(|f| Some((f.clone(), scene.machine.written_at(f)?)))
        .filter(|(_, t)| *t > since + READING)
        .max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((file, _)) = newer {
        let what = match scene.machine.stat(&file) {
            Some(s) if s.kind == Kind::Dir => format!("files came to {file} or left it"),
            _ => format!("{file} was changed"),
        };
        let text = format!(
            "{what} after sshd (process {}) had read it: what runs may still do what stood there before",
            p.pid
        );
        scene.say(
            Gate::Tcp,
            "sshd.stale",
            "config",
            file.clone(),
            text.clone(),
            file,
        );
        scene.seen.notes.push(text);
    }
}

fn is_restart(line: &log::Said) -> bool {
    line.text.starts_with("Received SIGHUP") || line.text.starts_with("Server listening")
}

/// When the process started, in seconds of Unix time with their parts: /proc/stat has whole seconds only. Where the time
/// since the boot is another one than the process's (a container that is shown its own) the whole seconds have to do.
fn started_at(scene: &Scene<'_>, pid: u32) -> Option<f64> {
    let whole = started(scene, pid)?;
    let ticks = daemon::start_ticks(scene.machine, pid)?;
    let up = scene.machine.text("/proc/uptime").ok();
    let up: Option<f64> = up.and_then(|t| t.split_ascii_whitespace().next()?.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Some(exactly(now.ok()?.as_secs_f64(), up, ticks, whole))
}

/// `whole` is up to a second early.
fn exactly(now: f64, up: Option<f64>, ticks: i64, whole: i64) -> f64 {
    let whole = whole as f64;
    match up.map(|up| now - up + ticks as f64 / TICKS as f64) {
        Some(exact) if (exact - whole).abs() <= 1.5 => exact,
        _ => whole + 1.0,
    }
}

/// When the process started, in seconds of Unix time (proc_pid_stat(5) field 22, /proc/stat btime).
pub(super) fn started(scene: &Scene<'_>, pid: u32) -> Option<i64> {
    let boot = scene.machine.text("/proc/stat").ok()?;
    let boot: i64 = boot
        .lines()
        .find_map(|l| l.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + daemon::start_ticks(scene.machine, pid)? / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_process_started_to_the_hundredth_of_a_second() {
        // Up for 500.25 s, and it began 400.10 s after the boot.
        let exact = exactly(10_000.5, Some(500.25), 40_010, 9_900);
        assert!((exact - 9_900.35).abs() < 1e-6, "{exact}");
        // A container that is shown its own time since the boot.
        assert_eq!(exactly(10_000.5, Some(20.0), 40_010, 9_900), 9_901.0);
        assert_eq!(exactly(10_000.5, None, 40_010, 9_900), 9_901.0);
    }
}
