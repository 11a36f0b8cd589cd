//! The daemon that runs: its host keys and folder, its state, where it listens, who else has its port, its load.

use super::daemon::{self, Listener, Process};
use super::machine::Machine;
use super::{Scene, kernel, network, sockets};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::config;
use sshwhy_core::config::authorized_keys::{self, Line};
use sshwhy_core::server::modes::Kind;
use sshwhy_core::time::Time;
use std::net::IpAddr;

pub(super) fn running_daemon(scene: &mut Scene<'_>, binary: Option<&daemon::Binary>) {
    let machine = scene.machine;
    let hosts: Vec<String> = scene.effective.values("HostKey").to_vec();
    let usable = hosts.iter().filter(|k| machine.exists(k)).count();
    let agent = !scene.effective.is("HostKeyAgent", "none");
    if usable == 0 && !agent {
        let about = hosts.first().cloned().unwrap_or_default();
        scene.say(
            Gate::Tcp,
            "sshd.hostkeys",
            "missing",
            about,
            format!("none of {} exists", hosts.join(", ")),
            "/etc/ssh",
        );
    }
    if usable == hosts.iter().filter(|k| k.ends_with(".pub")).count()
        && let Some(text) = silent_agent(scene)
    {
        let (place, _) = scene.set_at("HostKeyAgent");
        let about = hosts.first().cloned().unwrap_or_default();
        scene.say(Gate::Tcp, "sshd.hostkeys", "missing", about, text, place);
    }
    let mut open = Vec::new();
    // A public half is for everybody; the agent has the other.
    for key in hosts.iter().filter(|k| !k.ends_with(".pub")) {
        if let Some(s) = machine
            .stat(key)
            .filter(|s| s.uid == 0 && s.mode & 0o077 != 0)
        {
            open.push((key.clone(), s.mode));
        }
    }
    if usable > 0 && open.len() == usable {
        for (key, mode) in &open {
            scene.say(
                Gate::Tcp,
                "sshd.hostkeys",
                "permissions",
                key.clone(),
                format!(
                    "{key} has mode {mode:04o}: sshd ignores a private key that others can read"
                ),
                key.clone(),
            );
        }
    }
    let least = scene.effective.number("RequiredRSASize");
    for key in &hosts {
        let text = machine.text(&format!("{key}.pub")).unwrap_or_default();
        let lines = authorized_keys::lines(&text).into_iter();
        let entry = lines.filter_map(|(_, l)| match l {
            Line::Entry(e) => Some(e),
            Line::Malformed(_) => None,
        });
        for e in entry.take(1) {
            let bits = e.key.bits.map(|b| format!(", {b} bits"));
            let short = e.key.bits.is_some_and(|b| u64::from(b) < least);
            let mode = open.iter().find(|(k, _)| k == key).map(|(_, mode)| *mode);
            let (value, note) = match mode {
                Some(mode) => (
                    "open",
                    format!(", mode {mode:04o}: sshd ignores a private key that others can read"),
                ),
                None if short => ("short", String::new()),
                None => ("usual", String::new()),
            };
            let text = format!("{}{}{note}", e.key.kind, bits.unwrap_or_default());
            scene.say(
                Gate::Tcp,
                "sshd.hostkey",
                value,
                key.clone(),
                text,
                key.clone(),
            );
        }
    }
    let dir = "/run/sshd";
    match machine.stat(dir) {
        None => scene.say(
            Gate::Tcp,
            "sshd.privsep",
            "missing",
            dir,
            format!("{dir} does not exist"),
            dir,
        ),
        Some(s) if s.kind == Kind::Dir && (s.uid != 0 || s.mode & 0o022 != 0) => {
            scene.say(
                Gate::Tcp,
                "sshd.privsep",
                "permissions",
                dir,
                format!("{dir} has owner {} and mode {:04o}", s.uid, s.mode),
                dir,
            );
        }
        Some(_) => {}
    }
    if !machine.is_running() {
        return;
    }
    let listeners: Vec<Process> = scene
        .processes
        .iter()
        .filter(|p| p.is_listener())
        .cloned()
        .collect();
    match listeners.first() {
        Some(p) if matches!(p.state, 'T' | 't') => {
            scene.say(
                Gate::Ident,
                "sshd.process",
                "stopped",
                p.title.clone(),
                format!(
                    "process {} is stopped (state {}): it takes connections and says nothing",
                    p.pid, p.state
                ),
                format!("/proc/{}/stat", p.pid),
            );
        }
        Some(p) if p.state == 'D' => {
            scene.say(
                Gate::Ident,
                "sshd.process",
                "blocked",
                p.title.clone(),
                format!(
                    "process {} waits for a disk or a network file system (state D)",
                    p.pid
                ),
                format!("/proc/{}/stat", p.pid),
            );
        }
        Some(p) if frozen(machine, p).is_some() => {
            let folder = frozen(machine, p).unwrap_or_default();
            let text = format!(
                "process {} is frozen with its control group (systemctl thaw ends it): it takes connections and says nothing",
                p.pid
            );
            let source = format!("{folder}/cgroup.events");
            scene.say(
                Gate::Ident,
                "sshd.process",
                "stopped",
                p.title.clone(),
                text,
                source,
            );
        }
        Some(_) if waits_for_log(machine, &scene.processes).is_some() => {
            let (pid, title) = waits_for_log(machine, &scene.processes).unwrap_or_default();
            let text = format!(
                "process {pid} ({title}) waits for whoever should read /dev/log: what it logs is not fetched, and it goes on with nothing else"
            );
            let source = format!("/proc/{pid}/wchan");
            scene.say(Gate::Ident, "sshd.process", "blocked", title, text, source);
        }
        Some(p) => {
            let text = who_runs(scene, p, binary);
            scene.say(
                Gate::Tcp,
                "sshd.process",
                "running",
                p.title.clone(),
                text,
                format!("/proc/{}", p.pid),
            );
        }
        None => {
            let what = binary.map_or("sshd", |b| b.path.as_str()).to_owned();
            scene.say(
                Gate::Tcp,
                "sshd.process",
                "none",
                what,
                "no sshd is running",
                "/proc",
            );
        }
    }
    if !listeners.is_empty() {
        log_reader(scene);
    }
    let enforce = "/sys/fs/selinux/enforce";
    if machine.text(enforce).is_ok_and(|t| t.trim() == "1") {
        let text = "SELinux is enforcing";
        scene.say(Gate::Tcp, "host.selinux", "enforcing", "", text, enforce);
    }
    let ours = |l: &Listener| {
        l.pid
            .is_some_and(|pid| listeners.iter().any(|p| p.pid == pid))
    };
    let others: Vec<Listener> = scene.listeners.clone();
    let own = daemon::own_addresses(machine);
    let mine: Vec<&Listener> = others.iter().filter(|l| ours(l)).collect();
    let shown = |ls: &[&Listener]| {
        ls.iter()
            .map(|l| std::net::SocketAddr::new(l.ip, l.port).to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let on_port: Vec<&Listener> = mine
        .iter()
        .filter(|l| l.port == scene.port)
        .copied()
        .collect();
    let family = scene.question.from;
    let reachable = |l: &&Listener| match family {
        Some(f) if f.is_loopback() => f.is_ipv4() == l.ip.is_ipv4(),
        Some(f) => {
            let dual = l.inherited && l.ip.is_unspecified();
            !l.ip.is_loopback() && (f.is_ipv4() == l.ip.is_ipv4() || dual)
        }
        None => !l.ip.is_loopback(),
    };
    let (mut at, mut line) = scene.set_at("ListenAddress");
    let (family_at, family_line) = scene.set_at("AddressFamily");
    if family_at != "default" && !family_at.is_empty() {
        if at == "default" {
            (at, line) = (family_at, family_line);
        } else {
            line = format!("{line}; {family_line}");
        }
    }
    let (port_at, port_line) = scene.set_at("Port");
    if !mine.is_empty() {
        if on_port.is_empty() {
            let about = mine.first().map(|l| l.port.to_string()).unwrap_or_default();
            let text = format!(
                "sshd listens on {}, and not on port {}; {port_line}",
                shown(&mine),
                scene.port
            );
            scene.say(Gate::Tcp, "sshd.listen", "other-port", about, text, port_at);
        } else if !on_port.iter().any(reachable) {
            let loopback = on_port.iter().all(|l| l.ip.is_loopback());
            let value = if loopback {
                "loopback"
            } else {
                "other-address"
            };
            scene.say(
                Gate::Tcp,
                "sshd.listen",
                value,
                shown(&on_port),
                format!("sshd listens on {} only; {line}", shown(&on_port)),
                at.clone(),
            );
        } else {
            scene.say(
                Gate::Tcp,
                "sshd.listen",
                "reachable",
                shown(&on_port),
                "",
                "/proc/net/tcp",
            );
            backlog(scene);
        }
    }
    let port = scene.port;
    for l in others.iter().filter(|l| l.port == port && !ours(l)) {
        let Some(p) = scene
            .processes
            .iter()
            .find(|p| Some(p.pid) == l.pid)
            .cloned()
        else {
            continue;
        };
        if (p.pid == 1 || p.name == "systemd")
            && let Some(unit) = sockets::stranger(machine, l.port)
        {
            let text = format!(
                "port {} is held by systemd for {unit}, which does not start sshd",
                l.port
            );
            let source = "systemctl list-sockets";
            scene.say(Gate::Tcp, "port.holder", "other", unit, text, source);
        } else if p.pid == 1 || p.name == "systemd" {
            scene.say(
                Gate::Tcp,
                "sshd.listen",
                "socket-unit",
                p.name.clone(),
                format!("systemd holds port {}", l.port),
                "/proc/net/tcp",
            );
        } else if !p.is_sshd() {
            let wanted = scene
                .effective
                .values("ListenAddress")
                .iter()
                .filter_map(|v| v.rsplit(':').next()?.parse::<u16>().ok())
                .any(|wanted| wanted == port);
            scene.say(
                Gate::Tcp,
                "port.holder",
                if wanted { "other" } else { "unrelated" },
                p.name.clone(),
                format!("port {} is held by {} (process {})", l.port, p.title, p.pid),
                "/proc/net/tcp",
            );
        }
    }
    let wanted: Vec<IpAddr> = scene
        .effective
        .values("ListenAddress")
        .iter()
        .filter_map(|v| v.parse::<std::net::SocketAddr>().ok())
        .map(|a| a.ip())
        .filter(|ip| !ip.is_unspecified())
        .collect();
    let explicit = scene
        .effective
        .of("ListenAddress")
        .is_some_and(|s| !s.from.is_empty());
    if explicit && !own.is_empty() {
        for ip in wanted
            .iter()
            .filter(|ip| !own.contains(ip) && !ip.is_loopback())
        {
            scene.say(
                Gate::Tcp,
                "sshd.bind",
                "address-missing",
                ip.to_string(),
                format!("{ip} is no address of this machine; {line}"),
                at.clone(),
            );
        }
    }
    if let Some((now, start, full)) = listeners.iter().find_map(Process::startups) {
        let limit = config::simulate::MaxStartups::parse(scene.effective.value("MaxStartups"));
        let (at, line) = scene.set_at("MaxStartups");
        let percent = limit
            .filter(|m| m.full == full)
            .map_or(if now >= full { 100 } else { 0 }, |m| m.drop_percent(now));
        let value = match percent {
            100 => "full",
            0 => "normal",
            _ => "throttling",
        };
        scene.say(Gate::Ident, "load.startups", value, "MaxStartups", format!("{now} connections have not logged in yet, MaxStartups begins at {start} and ends at {full}: {percent} % of new ones are refused; {line}"), at);
    }
    per_source(scene, &listeners);
    // Whether another program answers with SSH's greeting is only asked where it is not sshd that listens.
    if machine.is_live()
        && on_port.is_empty()
        && scene
            .seen
            .observations
            .iter()
            .any(|o| o.key == "port.holder")
    {
        let (value, text) = network::greeting(scene.port);
        if let Some(value) = value {
            scene.say(
                Gate::Ident,
                "port.greeting",
                value,
                scene.port.to_string(),
                text,
                "127.0.0.1",
            );
        }
    }
}

/// Which daemon it is: process, binary, release, since when, and who would start it again.
fn who_runs(scene: &Scene<'_>, p: &Process, binary: Option<&daemon::Binary>) -> String {
    let mut out = format!("process {}", p.pid);
    if let Some(b) = binary {
        let release = b.text.split(',').next().unwrap_or_default();
        out.push_str(&format!(", {} {release}", b.path));
    }
    if let Some(since) = kernel::started(scene, p.pid) {
        let c = scene.zone.civil(Time::from_secs(since));
        out.push_str(&format!(
            ", since {:04}-{:02}-{:02} {:02}:{:02}",
            c.year, c.month, c.day, c.hour, c.minute
        ));
    }
    let groups = scene.machine.text(&format!("/proc/{}/cgroup", p.pid));
    let groups = groups.unwrap_or_default();
    let unit = groups
        .lines()
        .filter_map(|l| l.trim().rsplit('/').next())
        .find(|n| n.ends_with(".service"));
    let first = scene.processes.iter().find(|p| p.pid == 1);
    match (unit, first) {
        (Some(unit), _) => out.push_str(&format!(", under systemd's {unit}")),
        (None, Some(init)) if init.is_sshd() => {
            out.push_str(", the first process of a container: nobody starts it again");
        }
        (None, Some(init)) => out.push_str(&format!(", under {}", init.name)),
        (None, None) => {}
    }
    out
}

/// Why the agent that should hold the host keys gives sshd none: nobody made its socket. One that exists is not spoken to here.
fn silent_agent(scene: &Scene<'_>) -> Option<String> {
    let socket = scene.effective.value("HostKeyAgent");
    let there = socket == "none" || socket.starts_with('$') || scene.machine.exists(socket);
    let (_, line) = scene.set_at("HostKeyAgent");
    (!there).then(|| {
        format!("the private host keys are with an agent at {socket}, which does not exist; {line}")
    })
}

/// PerSourceMaxStartups: connections of the client's address that have not logged in, as far as they can be counted.
fn per_source(scene: &mut Scene<'_>, listeners: &[Process]) {
    let (Some(from), Ok(most)) = (
        scene.question.from,
        scene
            .effective
            .value("PerSourceMaxStartups")
            .parse::<usize>(),
    ) else {
        return;
    };
    let waiting = listeners
        .iter()
        .find_map(Process::startups)
        .map_or(0, |s| s.0 as usize);
    let up = daemon::connected(scene.machine, scene.port, from);
    // No more of them can be waiting than wait in all.
    let now = up.min(waiting);
    let (at, line) = scene.set_at("PerSourceMaxStartups");
    let value = if now >= most { "full" } else { "normal" };
    let text =
        format!("{now} connections from {from} have not logged in yet, and {most} may; {line}");
    scene.say(
        Gate::Ident,
        "load.per-source",
        value,
        "PerSourceMaxStartups",
        text,
        at,
    );
}

/// The control group's folder, where it and all in it are frozen (cgroup-v2, cgroup.freeze).
fn frozen(machine: &Machine, p: &Process) -> Option<String> {
    let file = machine.text(&format!("/proc/{}/cgroup", p.pid)).ok()?;
    let path = file.lines().find_map(|l| l.strip_prefix("0::"))?;
    let path = path.trim_end_matches('/');
    // In a container the tree may be mounted from a folder further down: the one that lists the process is meant.
    let pid = p.pid.to_string();
    let ends = path.match_indices('/').filter_map(|(i, _)| path.get(i..));
    let folder = ends.map(|end| format!("/sys/fs/cgroup{end}")).find(|f| {
        let listed = machine.text(&format!("{f}/cgroup.procs"));
        listed.is_ok_and(|t| t.lines().any(|l| l == pid))
    })?;
    let events = machine.text(&format!("{folder}/cgroup.events")).ok()?;
    events
        .lines()
        .any(|l| l.trim() == "frozen 1")
        .then_some(folder)
}

/// A process of sshd that hangs in sending to a socket whose queue is full: syslog(3) waits for the reader of /dev/log.
fn waits_for_log(machine: &Machine, processes: &[Process]) -> Option<(u32, String)> {
    let waits = |p: &&Process| {
        let file = format!("/proc/{}/wchan", p.pid);
        let place = machine.text(&file).unwrap_or_default();
        place.trim() == "unix_wait_for_peer"
    };
    let mut own = processes.iter().filter(|p| p.is_sshd());
    own.find(waits).map(|p| (p.pid, p.title.clone()))
}

/// Whoever should read what sshd logs, where it is stopped: once its queue is full, every program that logs waits.
fn log_reader(scene: &mut Scene<'_>) {
    const READERS: [&str; 4] = ["rsyslogd", "syslog-ng", "systemd-journal", "syslogd"];
    let stopped = scene
        .processes
        .iter()
        .find(|p| matches!(p.state, 'T' | 't') && READERS.contains(&p.name.as_str()))
        .cloned();
    if let Some(p) = stopped {
        let text = format!(
            "{} (process {}) is stopped (state {}): once /dev/log is full, sshd waits for it",
            p.name, p.pid, p.state
        );
        let source = format!("/proc/{}/stat", p.pid);
        scene.say(Gate::Tcp, "log.reader", "stopped", p.name, text, source);
    }
}

/// How long a connection may stand in the queue: a daemon that lives fetches it at once.
const FETCHED: std::time::Duration = std::time::Duration::from_millis(300);

/// Connections that stay in the listening socket's queue.
fn backlog(scene: &mut Scene<'_>) {
    let waiting = |l: &daemon::Listener| l.port == scene.port && l.queue > 0;
    if !scene.machine.is_live() || !scene.listeners.iter().any(waiting) {
        return;
    }
    std::thread::sleep(FETCHED);
    let again = daemon::listeners(scene.machine, &[]);
    if let Some(l) = again.iter().find(|l| waiting(l)) {
        let about = std::net::SocketAddr::new(l.ip, l.port).to_string();
        let text = format!("{} connections wait for sshd to fetch them", l.queue);
        scene.say(
            Gate::Tcp,
            "sshd.backlog",
            "waiting",
            about,
            text,
            "/proc/net/tcp",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Scratch;

    fn sshd(pid: u32) -> Process {
        Process {
            pid,
            name: "sshd".into(),
            title: "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups".into(),
            exe: None,
            state: 'S',
            uid: 0,
        }
    }

    fn root(files: &[(&str, &str)]) -> Scratch {
        let root = Scratch::new();
        for (path, text) in files {
            root.write(path, text.as_bytes());
        }
        root
    }

    #[test]
    fn a_frozen_group_is_told_from_one_that_runs() {
        // The tree as a container sees it: mounted from a folder further down than the process says.
        for (events, held) in [
            ("populated 1\nfrozen 1\n", true),
            ("populated 1\nfrozen 0\n", false),
        ] {
            let root = root(&[
                (
                    "proc/52/cgroup",
                    "1:cpu:/\n0::/pod/system.slice/ssh.service\n",
                ),
                (
                    "sys/fs/cgroup/system.slice/ssh.service/cgroup.procs",
                    "51\n52\n",
                ),
                (
                    "sys/fs/cgroup/system.slice/ssh.service/cgroup.events",
                    events,
                ),
            ]);
            let machine = Machine::at(root.path());
            assert_eq!(frozen(&machine, &sshd(52)).is_some(), held, "{events}");
            assert_eq!(frozen(&machine, &sshd(53)), None);
        }
    }

    #[test]
    fn a_process_that_waits_for_the_log() {
        let root = root(&[
            ("proc/52/wchan", "poll_schedule_timeout.constprop.0"),
            ("proc/53/wchan", "unix_wait_for_peer"),
            ("proc/54/wchan", "unix_wait_for_peer"),
        ]);
        let machine = Machine::at(root.path());
        let mut other = sshd(54);
        "cron".clone_into(&mut other.name);
        assert_eq!(waits_for_log(&machine, &[sshd(52), other]), None);
        let found = waits_for_log(&machine, &[sshd(52), sshd(53)]);
        assert_eq!(found.map(|(pid, _)| pid), Some(53));
    }

    #[test]
    fn the_queue_of_a_listening_socket() {
        let line = |queue: &str| {
            format!(
                "  sl  local_address rem_address   st tx_queue rx_queue\n   0: 00000000:0016 00000000:0000 0A 00000000:{queue} 00:00000000 00000000     0        0 4711 1\n"
            )
        };
        for (queue, count) in [("00000000", 0), ("0000001A", 26)] {
            let root = root(&[("proc/net/tcp", &line(queue))]);
            let all = daemon::listeners(&Machine::at(root.path()), &[]);
            assert_eq!(all.first().map(|l| (l.port, l.queue)), Some((22, count)));
        }
    }
}
