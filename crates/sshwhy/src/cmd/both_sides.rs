//! The client's and the server's view joined: what neither side sees alone, and `probe` asking the server's `doctor` by ssh.

use crate::client;
use serde_json::Value;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::{self, Observation};
use sshwhy_core::render::escape::shell_word;
use std::net::IpAddr;
use std::time::Duration;

/// The address to judge: where the client called over the other family than the given address has, its own one there.
pub fn as_called(
    from: Option<IpAddr>,
    client: &[Observation],
    blind: &mut Vec<String>,
) -> Option<IpAddr> {
    let given = from?;
    let called = |o: &&Observation| o.key == "tcp.connect" && o.source.starts_with("probe");
    let mut called = client.iter().filter(called).peekable();
    let v6 = |o: &Observation| o.about.starts_with('[');
    if called.peek().is_none() || called.any(|o| v6(o) == given.is_ipv6()) {
        return from;
    }
    let other = client
        .iter()
        .filter(|o| o.key == "route.source")
        .filter_map(|o| o.value.parse::<IpAddr>().ok())
        .find(|ip| ip.is_ipv6() != given.is_ipv6());
    if let Some(ip) = other {
        blind.push(format!(
            "{given} is not judged: the client called over {}, from {ip}",
            if ip.is_ipv6() { "IPv6" } else { "IPv4" }
        ));
    }
    other.or(from)
}

/// The server's address that the client calls, of the family in which it comes.
pub fn called(client: &[Observation], from: Option<IpAddr>) -> Option<IpAddr> {
    client
        .iter()
        .filter(|o| o.key == "tcp.connect")
        .filter_map(|o| o.about.parse::<std::net::SocketAddr>().ok())
        .map(|a| a.ip())
        .find(|ip| from.is_none_or(|f| f.is_ipv4() == ip.is_ipv4()))
}

/// What neither side sees alone.
pub fn joined(all: &[Observation]) -> Vec<Observation> {
    let any = |key: &str, about: &str, values: &[&str]| {
        all.iter().any(|o| {
            o.key == key
                && (about.is_empty() || o.about == about)
                && values.contains(&o.value.as_str())
        })
    };
    let mut out = Vec::new();
    let in_log = all
        .iter()
        .any(|o| o.key == "log.outcome" && o.value != "no-trace");
    if let (false, Some(end)) = (
        in_log,
        all.iter()
            .find(|o| o.key == "auth.end" && matches!(o.value.as_str(), "denied" | "too-many")),
    ) {
        out.push(
            Observation::new(
                Gate::Auth,
                "log.outcome",
                "refused-client",
                end.source.clone(),
            )
            .text(end.text.clone()),
        );
    }
    // A forwarding of a Unix socket meets a setting of its own.
    let socket = all.iter().any(|o| {
        o.key == "forward.end"
            && o.about.starts_with('/')
            && matches!(o.value.as_str(), "prohibited" | "remote-failed")
    });
    let closed = all
        .iter()
        .find(|o| o.key == "session.forwarding" && o.value == "off-sockets");
    if let (true, Some(closed)) = (socket, closed) {
        out.push(Observation {
            value: "off".to_owned(),
            ..closed.clone()
        });
    }
    out.extend(ended_by_startup(all));
    let password = any("conf.method", "password", &["off"])
        && !any("conf.method", "keyboard-interactive", &["on"])
        && any("keys.file", "", &["missing", "empty"])
        && any("user.password", "", &["set"])
        && any("client.can-prompt", "", &["yes"])
        && !any("client.wants", "", &["key"]);
    if password {
        let text = "the account has a password and no key, and the client could have asked for it";
        out.push(
            Observation::new(Gate::Auth, "login.last-way", "password", "both sides").text(text),
        );
    }
    out
}

/// Lines of start-up files that end this kind of session with the very status that the client got.
fn ended_by_startup(all: &[Observation]) -> Vec<Observation> {
    let value = |key: &str, about: &str| {
        let mut of = all.iter().filter(|o| o.key == key && o.about == about);
        of.next().map(|o| o.value.as_str())
    };
    let asked = value("session.asked", "");
    let got = value("session.exit", "");
    // A command of our own, which cannot fail.
    let ours = value("session.exit", "exit 0").filter(|v| *v != "0");
    let mut out: Vec<Observation> = Vec::new();
    for end in all.iter().filter(|o| o.key == "session.rc-exit") {
        let reached = |login: bool, sure: bool| {
            let values: &[&str] = match (login, sure) {
                (false, true) => &["exits"],
                (false, false) => &["may-exit"],
                (true, true) => &["login-exits", "exits-login"],
                (true, false) => &["may-exit-login"],
            };
            all.iter().any(|o| {
                o.key == "session.rc" && o.about == end.about && values.contains(&o.value.as_str())
            })
        };
        // Success says something only of a line that nothing passes by.
        let fits = |login: bool, status: Option<&str>| {
            status == Some(end.value.as_str())
                && (reached(login, true) || end.value != "0" && reached(login, false))
        };
        let same = match asked {
            Some("shell") => fits(true, got),
            Some(_) => fits(false, got),
            None => end.value != "0" && (fits(true, got) || fits(false, got)),
        };
        if (same || fits(false, ours)) && out.iter().all(|o| o.about != end.about) {
            let word = match end.value.as_str() {
                "1" => "same-common",
                _ => "same",
            };
            let text = format!("the session ended with {}, as {} says", end.value, end.text);
            out.push(
                Observation::new(Gate::Session, "session.rc-status", word, "both sides")
                    .about(end.about.clone())
                    .text(text),
            );
        }
    }
    out
}

/// How long the server's doctor may take, the login there included.
const PATIENCE: Duration = Duration::from_secs(45);

/// What the server's doctor said.
#[derive(Debug, Default)]
pub struct Told {
    /// Both sides' observations.
    pub observations: Vec<Observation>,
    /// What it could not see there.
    pub blind: Vec<String>,
}

/// `ssh://[USER@]HOST[:PORT]` or `[USER@]HOST` as arguments of ssh.
fn destination(server: &str) -> Result<Vec<String>, String> {
    let bad = || format!("--server {server:?}: expected ssh://[USER@]HOST[:PORT]");
    let rest = server.strip_prefix("ssh://").unwrap_or(server);
    let rest = rest.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@:[]%+".contains(c);
    if rest.is_empty() || rest.starts_with('-') || !rest.chars().all(plain) {
        return Err(bad());
    }
    let (user, host) = match rest.rsplit_once('@') {
        Some((u, h)) => (Some(u), h),
        None => (None, rest),
    };
    let (host, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((inner, after)) => (inner, after.strip_prefix(':')),
        None => match host.split_once(':') {
            // More than one colon is an IPv6 address without brackets.
            Some((h, p)) if !p.contains(':') => (h, Some(p)),
            _ => (host, None),
        },
    };
    if host.is_empty() || host.starts_with('-') {
        return Err(bad());
    }
    let mut out = Vec::new();
    if let Some(port) = port {
        let port: u16 = port.parse().map_err(|_| bad())?;
        out.extend(["-p".to_owned(), port.to_string()]);
    }
    out.push("--".to_owned());
    out.push(match user {
        Some(u) => format!("{u}@{host}"),
        None => host.to_owned(),
    });
    Ok(out)
}

/// Runs `sshwhy doctor` on the server through ssh, as root where sudo asks for no password, and joins both sides.
pub fn ask(server: &str, mine: &[Observation]) -> Result<Told, String> {
    let mut arguments: Vec<String> = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-T"]
        .map(str::to_owned)
        .to_vec();
    arguments.extend(destination(server)?);
    // The address that the server sees is the one that it must judge, whatever lies between.
    let mut command = String::from(
        "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin; S=; \
         [ \"$(id -u)\" = 0 ] || { sudo -n true 2>/dev/null && S='sudo -n'; }; \
         exec $S sshwhy doctor --format json --client-json - --from \"${SSH_CONNECTION%% *}\"",
    );
    let user = mine.iter().find(|o| o.key == "target.user");
    if let Some(word) = user.and_then(|o| shell_word(&o.value)) {
        command.push_str(&format!(" --user {word}"));
    }
    arguments.push(command);
    let input = serde_json::json!({ "observations": mine }).to_string();
    let ran = client::run_with("ssh", &arguments, input, PATIENCE)
        .map_err(|e| format!("cannot run ssh to ask {server}: {e}"))?;
    let told = observation::read_json(&ran.out).map_err(|why| {
        let said = ran.err.lines().next_back().unwrap_or_default();
        match ran.code {
            Some(127) => format!(
                "{server} has no sshwhy that could look from there: copy it to /usr/local/bin"
            ),
            Some(255) => format!("{server} does not let us in to look from there: {said}"),
            _ => format!("{server} gave no answer that can be read ({why}): {said}"),
        }
    })?;
    let answer: Value = ran
        .out
        .find('{')
        .and_then(|i| serde_json::from_str(ran.out.get(i..)?).ok())
        .unwrap_or_default();
    let list = |key: &str| -> Vec<String> {
        let all = answer.get(key).and_then(Value::as_array);
        all.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|b| format!("not seen on the server: {b}"))
            .collect()
    };
    Ok(Told {
        observations: told.observations,
        blind: list("blind"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_in_the_ways_of_ssh() {
        let of = |s: &str| destination(s).map(|v| v.join(" "));
        assert_eq!(
            of("ssh://admin@box:2222").as_deref(),
            Ok("-p 2222 -- admin@box")
        );
        assert_eq!(of("box").as_deref(), Ok("-- box"));
        assert_eq!(of("ssh://[fd00::2]:22/").as_deref(), Ok("-p 22 -- fd00::2"));
        assert_eq!(of("root@fd00::2").as_deref(), Ok("-- root@fd00::2"));
        for bad in [
            "",
            "ssh://",
            "-oProxyCommand=x",
            "a@-x",
            "box:99999",
            "box;id",
            "a b",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_that_only_the_client_tells_counts_as_one() {
        let end = Observation::new(Gate::Auth, "auth.end", "denied", "ssh -v line 9");
        let trace = Observation::new(Gate::Tcp, "log.outcome", "no-trace", "auth.log");
        let out = joined(&[end.clone(), trace.clone()]);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].value, "refused-client");
        let known = Observation::new(Gate::Auth, "log.outcome", "gave-up", "auth.log");
        assert!(joined(&[end, known]).is_empty());
        assert!(joined(&[trace]).is_empty());
    }

    #[test]
    fn a_status_is_the_start_up_files_where_this_session_reads_it() {
        let o = |key: &'static str, value: &str, about: &str| {
            Observation::new(Gate::Session, key, value, "x").about(about)
        };
        let found = |value: &str, status: &str, client: &[(&'static str, &str, &str)]| {
            let mut all = vec![
                o("session.rc", value, "/home/a/.bashrc:3"),
                o("session.rc-exit", status, "/home/a/.bashrc:3"),
            ];
            all.extend(client.iter().map(|(k, v, a)| o(k, v, a)));
            let joined = joined(&all).into_iter();
            let mut joined = joined.filter(|o| o.key == "session.rc-status");
            joined.next().map(|o| o.value)
        };
        let command = ("session.asked", "command", "");
        let shell = ("session.asked", "shell", "");
        let exit = |n| ("session.exit", n, "");
        let same = Some("same".to_owned());
        assert_eq!(found("may-exit", "7", &[command, exit("7")]), same);
        assert_eq!(found("may-exit-login", "7", &[shell, exit("7")]), same);
        assert_eq!(found("exits", "0", &[command, exit("0")]), same);
        assert_eq!(found("may-exit", "7", &[exit("7")]), same);
        assert_eq!(
            found("may-exit", "7", &[("session.exit", "7", "exit 0")]),
            same
        );
        assert_eq!(
            found("may-exit", "1", &[command, exit("1")]).as_deref(),
            Some("same-common")
        );
        for (value, status, client) in [
            ("may-exit", "7", [command, exit("8")]),
            ("may-exit", "7", [shell, exit("7")]),
            ("may-exit-login", "7", [command, exit("7")]),
            ("may-exit", "0", [command, exit("0")]),
            ("exits", "0", [shell, exit("0")]),
        ] {
            assert_eq!(found(value, status, &client), None, "{value} {status}");
        }
        assert_eq!(found("exits", "0", &[exit("0")]), None);
    }

    #[test]
    fn the_family_that_was_called_is_the_one_to_judge() {
        let call = |about: &str| {
            Observation::new(Gate::Tcp, "tcp.connect", "timeout", "probe:tcp").about(about)
        };
        let source = Observation::new(Gate::Route, "route.source", "fd00::7", "probe:route");
        let given: IpAddr = "192.0.2.7".parse().unwrap();
        let mut blind = Vec::new();
        let six = [call("[fd00::2]:22"), source.clone()];
        assert_eq!(
            as_called(Some(given), &six, &mut blind),
            Some("fd00::7".parse().unwrap())
        );
        assert_eq!(blind.len(), 1);
        let both = [call("[fd00::2]:22"), call("192.0.2.1:22"), source];
        assert_eq!(as_called(Some(given), &both, &mut blind), Some(given));
        assert_eq!(as_called(Some(given), &[], &mut blind), Some(given));
        assert_eq!(as_called(None, &six, &mut blind), None);
    }
}
