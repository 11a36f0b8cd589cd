//! Sockets that systemd opens: whether one listens in sshd's place and where, what it starts for a connection, and whose the port is.

use super::machine::Machine;
use super::{Scene, daemon, network, sandbox, unit_failure};
use sshwhy_core::catalog::causes::Gate;
use std::net::{IpAddr, SocketAddr};

/// The names that distributions give sshd's own.
const OURS: [&str; 2] = ["ssh.socket", "sshd.socket"];

/// The socket that is up in sshd's place, if one is.
pub(super) fn look(scene: &mut Scene<'_>) {
    let machine = scene.machine;
    let up = OURS.into_iter().find_map(|name| {
        let socket = daemon::unit(machine, name).filter(|s| !s.masked)?;
        let state = daemon::show(machine, name);
        state
            .get("ActiveState")
            .map_or(socket.enabled && !machine.is_live(), |s| s == "active")
            .then_some(socket)
    });
    let Some(socket) = up else {
        return;
    };
    let streams: Vec<(String, String)> = socket.all("Socket.ListenStream").to_vec();
    let port_of = |v: &str| v.rsplit(':').next().and_then(|p| p.parse::<u16>().ok());
    let (value, place) = streams.last().cloned().unwrap_or_default();
    let here: Vec<&str> = streams
        .iter()
        .map(|(v, _)| v.as_str())
        .filter(|v| port_of(v) == Some(scene.port))
        .collect();
    let only6 = socket
        .all("Socket.BindIPv6Only")
        .last()
        .is_some_and(|(v, _)| v == "ipv6-only");
    let client = Client {
        from: scene.question.from,
        to: scene.question.to,
        own: daemon::own_addresses(machine),
    };
    // An interface of its own, which is not that of the called address.
    let device = socket.all("Socket.BindToDevice").last();
    let elsewhere = device.is_some_and(|(device, _)| match client.to {
        Some(to) => network::interface_of(machine, to).is_some_and(|at| at != *device),
        None => device == "lo",
    });
    let state = match here.as_slice() {
        [] => "other-port",
        all if !elsewhere && all.iter().any(|v| client.reaches(v, only6)) => "listens",
        _ => "other-address",
    };
    let files = socket.files.join(", ");
    scene.say(
        Gate::Tcp,
        "unit.socket",
        state,
        format!("{} {value}", socket.name),
        format!(
            "{} decides where sshd is reached, not sshd_config: ListenStream={value}{} ({place}; {files})",
            socket.name,
            device.map_or_else(String::new, |(d, at)| format!(", BindToDevice={d} ({at})"))
        ),
        place,
    );
    let each = socket
        .all("Socket.Accept")
        .last()
        .is_some_and(|(v, _)| matches!(v.as_str(), "yes" | "true" | "on" | "1"));
    if each && state == "listens" {
        per_connection(scene, &socket);
    }
}

/// `Accept=yes`: systemd starts a service for each connection, and counts them.
fn per_connection(scene: &mut Scene<'_>, socket: &daemon::Unit) {
    let machine = scene.machine;
    let args = ["show", &socket.name, "-p", "NConnections,MaxConnections"];
    let name = format!("systemctl-connections-{}", socket.name);
    let answer = machine.ask(&name, "systemctl", &args).unwrap_or_default();
    let number = |key: &str| {
        let value = answer.out.lines().find_map(|l| l.strip_prefix(key));
        value.and_then(|v| v.trim().parse::<u64>().ok())
    };
    if let (Some(now), Some(most)) = (number("NConnections="), number("MaxConnections="))
        && now >= most
    {
        let set = socket.all("Socket.MaxConnections").last();
        let place = set.map_or_else(|| socket.files.join(", "), |(_, at)| at.clone());
        scene.say(
            Gate::Ident,
            "load.socket",
            "full",
            socket.name.clone(),
            format!(
                "{} has {now} connections, and MaxConnections={most} lets no more in ({place})",
                socket.name
            ),
            place,
        );
    }
    let stem = socket.name.trim_end_matches(".socket");
    let template = format!("{stem}@.service");
    let Some(unit) = daemon::unit(machine, &template) else {
        let text = format!(
            "{} starts {template} for each connection, and there is no such unit",
            socket.name
        );
        broken(scene, &socket.name, text, socket.files.join(", "));
        return;
    };
    for (value, place) in unit.all("Service.ExecStart").iter().rev().take(1) {
        let program = value
            .trim_start_matches(['-', '@', ':', '+', '!'])
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default();
        if program.starts_with('/')
            && let Some(why) = machine.cannot_run(program)
        {
            let about = unit_failure::movable(machine, place).unwrap_or(&template);
            let text = format!(
                "{template}, which is started for each connection, names {program}: {why} ({place})"
            );
            broken(scene, about, text, place.clone());
        }
    }
    let pattern = format!("{stem}@*");
    let args = [
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "--no-pager",
        &pattern,
    ];
    let name = format!("systemctl-list-{stem}");
    let answer = machine.ask(&name, "systemctl", &args).unwrap_or_default();
    if let Some(instance) = answer.out.lines().find_map(waits_before_start) {
        let before = unit.all("Service.ExecStartPre").last();
        let (command, place) = before.map_or_else(
            || (String::new(), template.clone()),
            |(v, at)| (format!(" ExecStartPre={v}"), at.clone()),
        );
        let about = unit_failure::movable(machine, &place).unwrap_or(&template);
        let text = format!(
            "{instance} has a connection, and has not come to start sshd:{command} has not ended ({place})"
        );
        broken(scene, about, text, place.clone());
    }
    sandbox::look(scene, &unit, true);
}

fn broken(scene: &mut Scene<'_>, about: &str, text: String, source: String) {
    scene.say(Gate::Tcp, "unit.broken", "template", about, text, source);
}

/// `sshd@0-….service loaded activating start-pre …`: the service of a connection whose program is not started yet.
fn waits_before_start(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let unit = words.next()?;
    let waits = matches!(
        (words.nth(1), words.next()),
        (Some("activating"), Some("start-pre" | "condition"))
    );
    waits.then_some(unit)
}

/// The socket unit that has the port and does not lead to sshd; systemd itself holds what it opens.
pub(super) fn stranger(machine: &Machine, port: u16) -> Option<String> {
    let args = ["list-sockets", "--no-legend", "--no-pager"];
    let answer = machine.ask("systemctl-list-sockets", "systemctl", &args)?;
    let of_port = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let stream = words.next()?.rsplit(':').next()?.parse::<u16>().ok()?;
        let unit = words.next()?;
        (stream == port && unit.ends_with(".socket")).then(|| unit.to_owned())
    };
    let unit = answer.out.lines().find_map(of_port)?;
    let stem = unit.trim_end_matches(".socket");
    let leads = |name: String| {
        daemon::unit(machine, &name).is_some_and(|u| {
            let mut commands = u.all("Service.ExecStart").iter();
            commands.any(|(c, _)| c.contains("sshd"))
        })
    };
    let ours = OURS.contains(&unit.as_str())
        || leads(format!("{stem}.service"))
        || leads(format!("{stem}@.service"));
    (!ours).then_some(unit)
}

/// Who calls, whom, and which addresses this machine has; empty where that is not known.
struct Client {
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    own: Vec<IpAddr>,
}

impl Client {
    /// Whether it can reach what `ListenStream=` names: a port alone takes everybody.
    fn reaches(&self, stream: &str, only6: bool) -> bool {
        let Ok(at) = stream.parse::<SocketAddr>() else {
            return true;
        };
        let at = at.ip();
        // One address of several; or none of this machine's, which a socket may wait for (FreeBind=).
        let one = !at.is_unspecified() && !at.is_loopback();
        let here = self.own.is_empty() || self.own.contains(&at);
        let called = self.to.filter(|to| self.own.contains(to));
        if one && (!here || called.is_some_and(|to| to != at)) {
            return false;
        }
        match self.from {
            Some(f) if f.is_loopback() => f.is_ipv4() == at.is_ipv4(),
            _ if at.is_loopback() => false,
            // Only the IPv6 one takes both families.
            Some(f) => f.is_ipv4() == at.is_ipv4() || at.is_ipv6() && at.is_unspecified() && !only6,
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Scratch;

    #[test]
    fn a_stream_is_reached_where_the_client_calls_it() {
        let ip = |t: &str| t.parse::<IpAddr>().unwrap();
        let client = |own: &[&str]| Client {
            from: Some(ip("192.0.2.7")),
            to: Some(ip("198.51.100.2")),
            own: own.iter().map(|t| ip(t)).collect(),
        };
        let here = client(&["198.51.100.2", "10.8.0.1"]);
        for (stream, reached) in [
            ("22", true),
            ("0.0.0.0:22", true),
            ("[::]:22", true),
            ("198.51.100.2:22", true),
            ("10.8.0.1:22", false),
            ("10.9.0.1:22", false),
            ("127.0.0.1:22", false),
            ("[2001:db8::2]:22", false),
        ] {
            assert_eq!(here.reaches(stream, false), reached, "{stream}");
        }
        // Nothing is known of the addresses: no verdict from them.
        assert!(client(&[]).reaches("10.8.0.1:22", false));
        assert!(!here.reaches("[::]:22", true));
        let v6 = Client {
            from: Some(ip("2001:db8::7")),
            to: None,
            own: Vec::new(),
        };
        assert!(v6.reaches("[::]:22", false) && !v6.reaches("0.0.0.0:22", false));
    }

    #[test]
    fn a_service_that_waits_before_its_program_is_seen() {
        let line = |state: &str| format!("sshd@3-192.0.2.1:22.service loaded {state} OpenSSH");
        assert!(waits_before_start(&line("activating start-pre")).is_some());
        assert!(waits_before_start(&line("active running")).is_none());
        assert!(waits_before_start("").is_none());
    }

    #[test]
    fn a_socket_that_leads_elsewhere_has_the_port() {
        let root = Scratch::new();
        root.write(
            ".snapshot/run/systemctl-list-sockets",
            b"[::]:22 honeypot.socket honeypot@0.service\n[::]:2222 admin.socket admin.service\n/run/x y.socket y.service\n",
        );
        root.write(
            "etc/systemd/system/honeypot@.service",
            b"[Service]\nExecStart=-/bin/sleep 30\n",
        );
        root.write(
            "etc/systemd/system/admin.service",
            b"[Service]\nExecStart=/usr/sbin/sshd -D\n",
        );
        let machine = Machine::at(root.path());
        assert_eq!(stranger(&machine, 22).as_deref(), Some("honeypot.socket"));
        assert_eq!(stranger(&machine, 2222), None);
        assert_eq!(stranger(&machine, 23), None);
    }
}
