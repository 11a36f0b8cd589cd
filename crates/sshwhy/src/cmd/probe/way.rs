//! The way to the server: its name, the routes, every address; then whoever answers is spoken with.

use super::{Probe, millis, plain_error};
use crate::client;
use crate::net;
use crate::sys::Icmp;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::known_hosts;
use sshwhy_core::wire::dns;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl Probe<'_> {
    /// From a name to a host key, as far as it goes.
    pub(super) fn way(&mut self, log: &[Observation]) {
        let jump = self.command.jump.clone().or_else(|| {
            let configured = self.config.first("proxyjump").filter(|j| *j != "none");
            configured.map(str::to_owned)
        });
        if let Some(jump) = jump.filter(|j| j != "none") {
            self.jump(&jump, log.is_empty(), log);
            self.seen_from_elsewhere();
            return;
        }
        let proxy = self.config.first("proxycommand").filter(|c| *c != "none");
        if let Some(proxy) = proxy.map(str::to_owned) {
            self.proxy(&proxy, log.is_empty(), log);
            self.seen_from_elsewhere();
            return;
        }
        let family = self
            .command
            .family
            .or(match self.config.first("addressfamily") {
                Some("inet") => Some(4),
                Some("inet6") => Some(6),
                _ => None,
            });
        let Some(addrs) = self.names(family) else {
            return;
        };
        let Some(first) = addrs.first().copied() else {
            return;
        };
        self.addr = Some(first);
        if !self.routes(&addrs) {
            self.hosts_file();
            return;
        }
        let wait = self
            .config
            .first("connecttimeout")
            .and_then(|t| t.parse::<u64>().ok())
            .filter(|t| *t > 0)
            .map_or(self.stage, |t| self.stage.min(Duration::from_secs(t)));
        let (mut reached, looked) = self.reach(&addrs, wait);
        for r in &reached {
            let socket = r.addr.to_string();
            let word = net::word(&r.dialled);
            let ms = millis(r.dialled.took);
            let text = match &r.dialled.result {
                Ok(_) => format!("{socket}: connected"),
                Err(e) => format!("{socket}: {}", plain_error(e)),
            };
            self.timed(Gate::Tcp, "tcp.connect", word, &socket, text, ms);
            if let Some(icmp) = r.dialled.icmp {
                self.icmp(r.addr, icmp);
            }
            let local = matches!(
                r.dialled.result.as_ref().map_err(std::io::Error::kind),
                Err(std::io::ErrorKind::PermissionDenied)
            );
            if local {
                let text = format!("{socket}: this machine itself refuses to send");
                self.see(Gate::Tcp, "tcp.local-refusal", "permission", &socket, text);
            }
        }
        let words: Vec<(SocketAddr, &'static str, Duration)> = reached
            .iter()
            .map(|r| (r.addr, net::word(&r.dialled), r.dialled.took))
            .collect();
        self.together(&words, log);
        let alive = reached.iter().position(|r| r.dialled.result.is_ok());
        self.state(Gate::Tcp, alive.is_some());
        if alive.is_some() {
            self.state(Gate::Route, true);
        }
        match alive {
            Some(i) => {
                let r = reached.swap_remove(i);
                self.addr = Some(r.addr);
                if let Ok(stream) = r.dialled.result {
                    if let Some(mtu) = net::path_mtu(&stream) {
                        let text =
                            format!("packets of up to {mtu} bytes are sent to {}", r.addr.ip());
                        let about = r.addr.ip().to_string();
                        self.see(Gate::Tcp, "path.mtu", &mtu.to_string(), &about, text);
                    }
                    self.talk(stream, r.addr, log);
                }
            }
            None if looked => {}
            None => self.look_around(&words),
        }
        if !looked {
            self.known_addresses(&addrs);
        }
        self.seen_from_elsewhere();
    }

    /// `--via`
    fn seen_from_elsewhere(&mut self) {
        if let Some(via) = self.args.via.clone() {
            self.via(&via);
        }
    }

    pub(super) fn names(&mut self, family: Option<u8>) -> Option<Vec<SocketAddr>> {
        let host = self.host.clone();
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            self.see(
                Gate::Name,
                "name.source",
                "literal",
                &host,
                format!("{host} is an address"),
            );
            self.state(Gate::Name, true);
            return Some(vec![SocketAddr::new(ip, self.port)]);
        }
        let start = std::time::Instant::now();
        let found = net::lookup(&host, self.port, family, self.stage);
        let ms = millis(start.elapsed());
        let addrs = match found {
            Err(error) => {
                let word = match error.to_ascii_lowercase() {
                    e if e.contains("temporary failure") || e.contains("non-recoverable") => {
                        "no-server"
                    }
                    e if e.contains("no address") => "no-address",
                    e if e.contains("not known")
                        || e.contains("does not")
                        || e.contains("no such") =>
                    {
                        "nxdomain"
                    }
                    _ => "error",
                };
                self.timed(
                    Gate::Name,
                    "name.lookup",
                    word,
                    &host,
                    format!("{host}: {error}"),
                    ms,
                );
                self.state(Gate::Name, false);
                return None;
            }
            Ok(addrs) if addrs.is_empty() => {
                let text = format!("{host} has no address of the family that was asked for");
                self.timed(Gate::Name, "name.lookup", "no-address", &host, text, ms);
                self.state(Gate::Name, false);
                return None;
            }
            Ok(addrs) => addrs,
        };
        let list: Vec<String> = addrs.iter().map(|a| a.ip().to_string()).collect();
        let text = format!("{host} is {}", list.join(", "));
        self.timed(Gate::Name, "name.lookup", "ok", &host, text, ms);
        for (i, addr) in addrs.iter().enumerate() {
            let family = if addr.is_ipv4() { "4" } else { "6" };
            let text = format!("{host} is {} ({} of {})", addr.ip(), i + 1, addrs.len());
            self.see(
                Gate::Name,
                "name.address",
                family,
                &addr.ip().to_string(),
                text,
            );
        }
        self.state(Gate::Name, true);
        Some(addrs)
    }

    /// /etc/hosts against what DNS itself says.
    pub(super) fn hosts_file(&mut self) {
        let host = self.host.clone();
        let lines = client::hosts_file(&host);
        if lines.is_empty() {
            return;
        }
        let servers = client::name_servers();
        let wait = self.stage.min(Duration::from_secs(2));
        let said = net::ask_dns(&servers, &host, wait);
        for (line, ip) in lines {
            if ip.is_loopback() {
                continue;
            }
            let (word, text) = match &said {
                Some(dns::Answer::Addresses(all)) if all.contains(&ip) => {
                    ("agrees", "DNS says the same".to_owned())
                }
                Some(dns::Answer::Addresses(all)) if !all.is_empty() => {
                    let all: Vec<String> = all.iter().map(IpAddr::to_string).collect();
                    ("differs", format!("DNS says {}", all.join(", ")))
                }
                _ => ("dns-silent", "DNS knows no address for it".to_owned()),
            };
            let text = format!("/etc/hosts line {line}: {host} is {ip}; {text}");
            self.see(Gate::Name, "name.hosts-file", word, &ip.to_string(), text);
            if let Some(last) = self.out.last_mut() {
                last.source = format!("/etc/hosts:{line}");
            }
        }
    }

    pub(super) fn routes(&mut self, addrs: &[SocketAddr]) -> bool {
        let mut any = false;
        for addr in addrs {
            let (word, text, source) = net::route(*addr);
            let ip = addr.ip().to_string();
            // An IPv6 address without a route is nothing wrong where there is an IPv4 one with a route.
            if word != "ok" && addrs.iter().any(|a| net::route(*a).0 == "ok") {
                continue;
            }
            any |= word == "ok";
            let text = match source {
                Some(source) => format!("{ip} is called from {source}"),
                None => format!("{ip}: {text} on this machine"),
            };
            self.see(Gate::Route, "route.lookup", word, &ip, text);
            if let (Some(source), None) = (source, self.source) {
                self.source = Some(source);
                let text = source.to_string();
                self.see(Gate::Route, "route.source", &text, &ip, String::new());
            }
        }
        if !any {
            self.state(Gate::Route, false);
        }
        any
    }

    pub(super) fn icmp(&mut self, addr: SocketAddr, icmp: Icmp) {
        let from = icmp.from.to_string();
        let text = format!(
            "{} answered for {}: ICMP type {} code {} ({})",
            from,
            addr.ip(),
            icmp.kind,
            icmp.code,
            icmp.word()
        );
        self.see(Gate::Tcp, "tcp.icmp", icmp.word(), &from, text.clone());
        let own = self.source.is_some_and(|s| s == icmp.from);
        let who = if icmp.from == addr.ip() {
            "target"
        } else if own {
            "self"
        } else {
            "other"
        };
        // A machine's own "host unreachable" is the neighbour that does not answer, not a filter.
        if who != "self" || icmp.word() != "host" {
            self.see(Gate::Tcp, "tcp.icmp-from", who, &from, text);
        }
    }

    /// The addresses of the name together.
    pub(super) fn together(
        &mut self,
        words: &[(SocketAddr, &'static str, Duration)],
        log: &[Observation],
    ) {
        let dead = |w: &str| matches!(w, "timeout" | "host-unreachable" | "prohibited");
        let any_alive = words.iter().any(|(_, w, _)| *w == "ok");
        let Some((first, word, _)) = words.first() else {
            return;
        };
        if words.len() == 1 || !any_alive {
            return;
        }
        // Where ssh was stopped on one of them, that one was dead to it, however it answers now.
        let hung = |a: &SocketAddr| {
            let socket = a.to_string();
            log.iter().any(|o| {
                o.key == "tcp.connect"
                    && o.about == socket
                    && (o.value == "started" || dead(&o.value))
            })
        };
        let first_dead = dead(word) && (*word == "timeout" || hung(first));
        let of_family = |six: bool, alive: bool| {
            words
                .iter()
                .any(|(a, w, _)| a.is_ipv6() == six && (*w == "ok") == alive)
        };
        if first_dead {
            let text = format!(
                "{} is tried first and does not answer; another address of {} does (ssh tries one after the other and waits for each)",
                first.ip(),
                self.host
            );
            if first.is_ipv6() && !of_family(true, true) && of_family(false, true) {
                self.see(
                    Gate::Tcp,
                    "tcp.dead-family",
                    "6",
                    &first.ip().to_string(),
                    text,
                );
            } else {
                self.see(
                    Gate::Tcp,
                    "tcp.addresses",
                    "first-dead",
                    &first.ip().to_string(),
                    text,
                );
            }
        } else if words.iter().any(|(_, w, _)| dead(w)) {
            let text = "an address that is not tried first does not answer".to_owned();
            self.see(Gate::Tcp, "tcp.addresses", "later-dead", "", text);
        }
    }

    /// Addresses that known_hosts keeps for the same name, where the name leads elsewhere now.
    pub(super) fn known_addresses(&mut self, addrs: &[SocketAddr]) {
        let worked = self
            .out
            .iter()
            .any(|o| o.key == "ident.end" && o.value == "ok");
        let fine = self
            .out
            .iter()
            .all(|o| o.key != "hostkey.check" || matches!(o.value.as_str(), "match" | "unknown"));
        if worked && fine {
            return;
        }
        let name = known_hosts::name(&self.host, self.port);
        // An address of the other family is no other place: the name still leads there.
        let every = net::lookup(&self.host, self.port, None, self.soon()).unwrap_or_default();
        let mut known: Vec<IpAddr> = Vec::new();
        for (_, entry) in client::known_hosts(&self.config) {
            if !entry.names().any(|n| n.eq_ignore_ascii_case(&name)) {
                continue;
            }
            for other in entry.names() {
                let other = other
                    .strip_prefix('[')
                    .and_then(|n| n.split_once("]:"))
                    .map_or(other, |(h, _)| h);
                // What answers over the other family says nothing of this one.
                if let Ok(ip) = other.parse::<IpAddr>()
                    && addrs.iter().any(|a| a.is_ipv4() == ip.is_ipv4())
                    && !known.contains(&ip)
                    && !addrs.iter().chain(&every).any(|a| a.ip() == ip)
                    && known.len() < 4
                {
                    known.push(ip);
                }
            }
        }
        let (wait, port) = (self.soon(), self.port);
        let answers: Vec<(IpAddr, &'static str)> = std::thread::scope(|scope| {
            let tries: Vec<_> = known
                .into_iter()
                .map(|ip| {
                    let ask = move || net::greets(SocketAddr::new(ip, port), wait);
                    (ip, scope.spawn(ask))
                })
                .collect();
            tries
                .into_iter()
                .map(|(ip, t)| (ip, t.join().unwrap_or("filtered")))
                .collect()
        });
        let now: Vec<String> = addrs.iter().map(|a| a.ip().to_string()).collect();
        let now = now.join(", ");
        for (ip, word) in answers {
            let about = ip.to_string();
            let text = format!(
                "known_hosts keeps {about} for {}, which leads to {now} now",
                self.host
            );
            self.see(Gate::Name, "name.known-address", "other", &about, text);
            let word = if word == "ssh" { "ssh" } else { "no" };
            let text = format!("{about} port {}: {word}", self.port);
            self.see(Gate::Name, "name.known-address-answers", word, &about, text);
        }
    }
}
