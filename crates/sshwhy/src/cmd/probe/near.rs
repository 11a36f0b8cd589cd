//! Nothing answers where it should: what is near it? Other ports, the other family, the first hop, this machine's firewall.

use super::Probe;
use crate::client;
use crate::net;
use crate::sys::{Dial, Icmp};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::Observation;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl Probe<'_> {
    /// How long a look beside the way may take: four of them fit into one stage.
    pub(super) fn soon(&self) -> Duration {
        (self.stage / 4).min(Duration::from_secs(3))
    }

    /// Tries the addresses, and where nothing has answered after a while, looks around meanwhile: a dead server is told
    /// of in the time of one connect timeout.
    pub(super) fn reach(
        &mut self,
        addrs: &[SocketAddr],
        wait: Duration,
    ) -> (Vec<net::Reached>, bool) {
        let Some(first) = addrs.first().copied() else {
            return (Vec::new(), false);
        };
        let silent = [(first, "timeout", wait)];
        let (mut around, mut known, mut file) = (self.again(), self.again(), self.again());
        let how = self.dialling();
        let patience = self.soon();
        let (reached, looked) = std::thread::scope(|scope| {
            let (over, waiting) = std::sync::mpsc::channel();
            let tries = scope.spawn(move || {
                let reached = net::reach(addrs, how, wait);
                let _ = over.send(());
                reached
            });
            // Name servers that are dead take their time too.
            let named = scope.spawn(|| file.hosts_file());
            let looked = waiting.recv_timeout(patience).is_err();
            if looked {
                let other = scope.spawn(|| known.known_addresses(addrs));
                around.look_around(&silent);
                let _ = other.join();
            }
            let _ = named.join();
            (tries.join().unwrap_or_default(), looked)
        });
        self.out.append(&mut file.out);
        let dead = !reached.is_empty() && reached.iter().all(|r| r.dialled.result.is_err());
        let word = reached.first().map(|r| net::word(&r.dialled));
        let use_it = looked && dead && word == Some("timeout");
        if use_it {
            self.out.append(&mut around.out);
            self.out.append(&mut known.out);
        }
        (reached, use_it)
    }

    /// Nothing could be reached: what is near it?
    pub(super) fn look_around(&mut self, words: &[(SocketAddr, &'static str, Duration)]) {
        let Some((addr, word, _)) = words.first().copied() else {
            return;
        };
        let (wait, port) = (self.soon(), self.port);
        let (silent, refused) = (word == "timeout", word == "refused");
        self.at_once(&[
            &|p| {
                if addr.is_ipv6() && !refused {
                    p.other_family(addr, wait);
                }
            },
            &|p| {
                if port != 22 {
                    p.default_port(addr.ip());
                } else if refused {
                    p.other_ssh_ports(addr.ip());
                }
            },
            &|p| {
                if silent || refused {
                    p.first_hop(addr, wait);
                }
            },
            &|p| {
                if silent {
                    p.other_port(addr, wait);
                }
            },
            &|p| p.local_firewall(addr),
        ]);
    }

    /// Looks that do not need one another, at the same time; what they saw comes in their order.
    fn at_once(&mut self, looks: &[&(dyn Fn(&mut Probe<'_>) + Sync)]) {
        let seen: Vec<Vec<Observation>> = std::thread::scope(|scope| {
            let running: Vec<_> = looks
                .iter()
                .map(|look| {
                    let mut probe = self.again();
                    scope.spawn(move || {
                        look(&mut probe);
                        probe.out
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|r| r.join().unwrap_or_default())
                .collect()
        });
        self.out.extend(seen.into_iter().flatten());
    }

    /// A port that nobody uses: is the whole machine silent, or this port?
    fn other_port(&mut self, addr: SocketAddr, wait: Duration) {
        let other = SocketAddr::new(addr.ip(), if self.port == 1 { 7 } else { 1 });
        for r in net::reach(&[other], self.dialling(), wait) {
            let value = match net::word(&r.dialled) {
                "ok" => "open",
                "refused" => "refused",
                "timeout" => "timeout",
                // No router says so: this machine has asked on the link, and nobody has answered for the next hop.
                "host-unreachable" if r.dialled.icmp.is_none() => "no-neighbour",
                _ => "unreachable",
            };
            let text = format!("{other}: {value}");
            self.see(Gate::Tcp, "tcp.other-port", value, &other.to_string(), text);
        }
    }

    /// Only IPv6 was tried, and it is dead: does the server greet over IPv4?
    pub(super) fn other_family(&mut self, dead: SocketAddr, wait: Duration) {
        let others = net::lookup(&self.host, self.port, Some(4), wait).unwrap_or_default();
        if let Some(other) = others.first()
            && net::greets(*other, wait) == "ssh"
        {
            let text = format!("{} does not answer; {} does", dead.ip(), other.ip());
            self.see(
                Gate::Tcp,
                "tcp.dead-family",
                "6",
                &dead.ip().to_string(),
                text,
            );
        }
    }

    /// Packets that live for one hop: does one to this port come as far as one to another?
    pub(super) fn first_hop(&mut self, addr: SocketAddr, wait: Duration) {
        let about = addr.to_string();
        if client::is_near(addr.ip()) != Some(false) {
            return;
        }
        let how = Dial {
            hops: Some(1),
            ..self.dialling()
        };
        let other = SocketAddr::new(addr.ip(), if self.port == 1 { 7 } else { 1 });
        let wait = wait.min(Duration::from_secs(2));
        let mut tries = net::reach(&[addr, other], how, wait).into_iter();
        let (Some(this), Some(that)) = (tries.next(), tries.next()) else {
            return;
        };
        let over = |r: &net::Reached| r.dialled.icmp.is_some_and(Icmp::is_time_exceeded);
        let (word, text) = if net::word(&this.dialled) == "refused" {
            (
                "refused",
                "refused within the first hop, by this machine or the first router",
            )
        } else if over(&this) {
            ("passes", "a packet to this port reaches the first router")
        } else if over(&that) {
            (
                "this-port-silent",
                "a packet to another port reaches the first router, one to this port does not",
            )
        } else {
            ("silent", "the first router does not say")
        };
        let text = format!("{about}: {text}");
        self.see(Gate::Tcp, "tcp.first-hop", word, &about, text);
    }

    pub(super) fn default_port(&mut self, ip: IpAddr) {
        let addr = SocketAddr::new(ip, 22);
        let wait = self.soon();
        let word = net::greets(addr, wait);
        let text = match word {
            "ssh" => format!(
                "an SSH server answers at port 22 of {ip}, not at {}",
                self.port
            ),
            other => format!("port 22 of {ip}: {other}"),
        };
        self.see(Gate::Tcp, "tcp.default-port", word, &addr.to_string(), text);
    }

    /// The ports at which this client has known the host, and the usual second one.
    pub(super) fn other_ssh_ports(&mut self, ip: IpAddr) {
        let mut ports: Vec<u16> = Vec::new();
        let hosts = [self.host.to_ascii_lowercase(), ip.to_string()];
        for (_, entry) in client::known_hosts(&self.config) {
            for name in entry.names() {
                if let Some((host, port)) = name.strip_prefix('[').and_then(|n| n.split_once("]:"))
                    && hosts.iter().any(|h| h == host)
                    && let Ok(port) = port.parse()
                    && !ports.contains(&port)
                    && ports.len() < 4
                {
                    ports.push(port);
                }
            }
        }
        for usual in [2222, 22222] {
            if !ports.contains(&usual) {
                ports.push(usual);
            }
        }
        let wait = self.soon();
        let answers: Vec<(u16, &'static str)> = std::thread::scope(|scope| {
            let tries: Vec<_> = ports
                .into_iter()
                .map(|port| {
                    let ask = move || net::greets(SocketAddr::new(ip, port), wait);
                    (port, scope.spawn(ask))
                })
                .collect();
            tries
                .into_iter()
                .map(|(port, t)| (port, t.join().unwrap_or("filtered")))
                .collect()
        });
        if let Some((port, _)) = answers.iter().find(|(_, word)| *word == "ssh") {
            let addr = SocketAddr::new(ip, *port);
            let text = format!("an SSH server answers at port {port} of {ip}");
            self.see(Gate::Tcp, "tcp.ssh-port", "ssh", &addr.to_string(), text);
        }
    }

    /// What this machine's own packet filter does, where it may be read.
    pub(super) fn local_firewall(&mut self, addr: SocketAddr) {
        let Some((word, text)) = crate::filter::outbound(addr, self.source) else {
            return;
        };
        self.see(
            Gate::Tcp,
            "client.firewall",
            word,
            &addr.ip().to_string(),
            text,
        );
    }
}
