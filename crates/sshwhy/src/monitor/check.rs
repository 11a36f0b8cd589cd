//! One check of one endpoint: from a name to the depth that is asked for, a time for each phase, and a quiet end.

use super::login::{self, Credentials};
use super::packets;
use super::quiet::{Context, Exchange, GOODBYE};
use sshwhy_core::monitor::{Depth, Failure, HostKey, Outcome, Phase};
use sshwhy_core::probe::keyfile::{certificate, fingerprint};
use sshwhy_core::probe::known_hosts::{self, Entry};
use sshwhy_core::probe::protocol;
use sshwhy_core::time::Time;
use sshwhy_core::wire::ident::{self, Progress};
use sshwhy_core::wire::kexinit;
use sshwhy_core::wire::packet::{self, KEX_ECDH_REPLY, KEXINIT, Taken};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

/// What we say we are. The first is for a real exchange; the second is OpenSSH's own sign for a monitor.
pub const IDENT: &str = concat!("SSH-2.0-sshwhy_monitor_", env!("CARGO_PKG_VERSION"));
const PROBE_IDENT: &str = concat!("SSH-2.0-Probe-sshwhy_monitor_", env!("CARGO_PKG_VERSION"));

/// How long a server may keep still before we greet first, and how long its end is waited for.
const QUIET: Duration = Duration::from_millis(1500);
const LINGER: Duration = Duration::from_secs(2);
/// More than this before a key exchange is no SSH server's.
const MOST_BYTES: usize = 256 << 10;
/// Host key types, in the order in which they are asked for where none is known: OpenSSH's own order.
const KEY_TYPES: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
];

/// What to check, and how.
#[derive(Clone, Debug)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub depth: Depth,
    pub timeout: Duration,
    /// 4, 6 or either.
    pub family: Option<u8>,
    /// Types of host keys to ask for first: those that are pinned or remembered.
    pub key_types: Vec<String>,
    /// Ask for a host certificate where the server has one.
    pub certificate: bool,
    pub known_hosts: Option<Arc<Vec<Entry>>>,
    pub login: Option<Arc<Credentials>>,
}

/// What stopped a phase.
pub struct Stop {
    pub word: &'static str,
    pub text: String,
    pub ours: bool,
}

impl Stop {
    pub fn new(word: &'static str, text: impl Into<String>) -> Stop {
        Stop {
            word,
            text: text.into(),
            ours: false,
        }
    }

    fn io(e: &Error) -> Stop {
        use std::io::ErrorKind as K;
        let text = e.to_string();
        let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
        let word = match e.kind() {
            K::ConnectionRefused => "refused",
            K::ConnectionReset | K::BrokenPipe => "reset",
            K::TimedOut => "timeout",
            K::HostUnreachable => "host-unreachable",
            K::NetworkUnreachable => "no-route",
            K::PermissionDenied => "prohibited",
            K::UnexpectedEof => "closed",
            _ => "error",
        };
        // EMFILE and ENFILE: no word about the other side.
        let ours = matches!(e.raw_os_error(), Some(23 | 24)) || e.kind() == K::OutOfMemory;
        Stop { word, text, ours }
    }
}

struct Check<'t> {
    target: &'t Target,
    outcome: Outcome,
    began: Instant,
    phase: Phase,
    phase_began: Instant,
}

/// Checks. Takes no longer than the target's timeout and the time for a goodbye.
pub async fn run(target: &Target) -> Outcome {
    let at = crate::cmd::reading::now();
    let now = Instant::now();
    let mut check = Check {
        target,
        outcome: Outcome {
            at: Time(at.0 / 1000 * 1000),
            ..Outcome::default()
        },
        began: now,
        phase: Phase::Resolve,
        phase_began: now,
    };
    if let Err(stop) = check.walk().await {
        check.close_phase();
        let text = match check.outcome.addr.as_deref() {
            Some(addr) => format!("{addr}: {}", stop.text),
            None => stop.text,
        };
        check.outcome.failure = Some(Failure {
            phase: check.phase,
            word: stop.word.to_owned(),
            text,
            ours: stop.ours,
        });
    }
    check.outcome
}

impl Check<'_> {
    fn enter(&mut self, phase: Phase) {
        self.close_phase();
        self.phase = phase;
        self.phase_began = Instant::now();
    }

    fn close_phase(&mut self) {
        let took = self.phase_began.elapsed().as_secs_f64();
        if self.outcome.phases.last().is_none_or(|p| p.0 != self.phase) {
            self.outcome.phases.push((self.phase, took));
        }
        self.outcome.took = self.began.elapsed().as_secs_f64();
    }

    fn left(&self) -> Duration {
        self.target.timeout.saturating_sub(self.began.elapsed())
    }

    fn late(&self) -> Stop {
        let after = self.target.timeout.as_secs_f64();
        Stop::new(
            "timeout",
            format!("no end of {} within {after} s", self.phase.name()),
        )
    }

    async fn walk(&mut self) -> Result<(), Stop> {
        let addrs = self.resolve().await?;
        let first = addrs.first().copied();
        let Some(first) = first else {
            return Err(Stop::new(
                "no-address",
                "no address of the family asked for",
            ));
        };
        match self.target.depth {
            Depth::Ping => {
                self.outcome.addr = Some(first.ip().to_string());
                self.enter(Phase::Ping);
                packets::ping(first.ip(), self.left()).await?;
            }
            Depth::HalfOpen => {
                self.outcome.addr = Some(first.to_string());
                self.enter(Phase::Tcp);
                packets::half_open(first, self.left()).await?;
            }
            _ => {
                self.enter(Phase::Tcp);
                let stream = self.connect(&addrs).await?;
                return self.talk(stream).await;
            }
        }
        self.close_phase();
        Ok(())
    }

    async fn resolve(&mut self) -> Result<Vec<SocketAddr>, Stop> {
        let (host, port) = (self.target.host.as_str(), self.target.port);
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let mut addrs: Vec<SocketAddr> = match literal {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => match timeout(self.left(), tokio::net::lookup_host((host, port))).await {
                Err(_) => return Err(self.late()),
                Ok(Err(e)) => {
                    let text = e.to_string();
                    let text = text.rsplit(": ").next().unwrap_or(&text);
                    let word = if text.contains("emporary") {
                        "no-server"
                    } else {
                        "nxdomain"
                    };
                    return Err(Stop::new(word, format!("{host}: {text}")));
                }
                Ok(Ok(found)) => found.collect(),
            },
        };
        addrs.dedup();
        addrs.retain(|a| match self.target.family {
            Some(4) => a.is_ipv4(),
            Some(6) => a.is_ipv6(),
            _ => true,
        });
        addrs.truncate(8);
        Ok(addrs)
    }

    /// One address after the other, as ssh does; each has its share of the time.
    async fn connect(&mut self, addrs: &[SocketAddr]) -> Result<TcpStream, Stop> {
        let mut last = Stop::new("no-address", "no address of the family asked for");
        for (i, addr) in addrs.iter().enumerate() {
            self.outcome.addr = Some(addr.to_string());
            let rest = u32::try_from(addrs.len() - i).unwrap_or(1);
            match timeout(self.left() / rest, TcpStream::connect(addr)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(e)) => last = Stop::io(&e),
                Err(_) => last = Stop::new("timeout", "Connection timed out"),
            }
        }
        Err(last)
    }

    /// From a connection on. Whatever is found, the end is a polite one.
    async fn talk(&mut self, mut stream: TcpStream) -> Result<(), Stop> {
        let depth = self.target.depth;
        if depth == Depth::Tcp {
            // The answer is there; what follows is manners.
            self.close_phase();
        } else {
            self.enter(Phase::Ident);
        }
        let mut line = Line::default();
        let wait = if depth == Depth::Tcp {
            LINGER
        } else {
            self.left()
        };
        let end = tokio::time::Instant::now() + wait;
        let greeted = match timeout_at(end, line.greeting(&mut stream)).await {
            Ok(greeted) => greeted,
            Err(_) => Err(self.late()),
        };
        if depth == Depth::Tcp {
            if let Ok(theirs) = greeted {
                let _ = timeout(LINGER, line.end_at_ident(&mut stream, &theirs)).await;
            }
            return Ok(());
        }
        let theirs = greeted?;
        self.outcome.ident = Some(theirs.clone());
        let speaks = ident::parse(&theirs).is_some_and(|g| g.speaks_2());
        if depth == Depth::Ident || !speaks {
            self.close_phase();
            let _ = timeout(LINGER, line.end_at_ident(&mut stream, &theirs)).await;
            if !speaks {
                return Err(Stop::new(
                    "other-protocol",
                    format!("speaks {theirs}, not SSH 2"),
                ));
            }
            return Ok(());
        }
        self.enter(Phase::Kex);
        let left = self.left();
        let payload = match timeout(left, line.proposal(&mut stream)).await {
            Ok(payload) => payload?,
            Err(_) => return Err(self.late()),
        };
        let Some(proposal) = kexinit::parse(&payload) else {
            return Err(Stop::new("protocol-error", "its KEXINIT cannot be read"));
        };
        let mut want: Vec<String> = Vec::new();
        if self.target.certificate {
            want.extend(KEY_TYPES.map(|k| format!("{k}-cert-v01@openssh.com")));
        }
        for kind in &self.target.key_types {
            // A key of type ssh-rsa is asked for by its signature algorithms.
            if kind == "ssh-rsa" {
                want.extend(["rsa-sha2-512", "rsa-sha2-256"].map(str::to_owned));
            }
            want.push(kind.clone());
        }
        want.extend(KEY_TYPES.map(str::to_owned));
        self.outcome.proposal = Some(proposal.clone());
        if depth >= Depth::Auth {
            return self.log_in(stream, line, &theirs, &proposal, &want).await;
        }
        if depth == Depth::HostKey {
            self.enter(Phase::HostKey);
        } else {
            self.close_phase();
        }
        let Some(exchange) = Exchange::choose(&proposal, &want) else {
            let bye = packet::disconnect(packet::BY_APPLICATION, GOODBYE);
            let _ = timeout(LINGER, goodbye(&mut stream, &bye)).await;
            let text = format!(
                "no key exchange in common with this monitor; the server has {}",
                proposal.kex.join(", ")
            );
            if depth == Depth::HostKey {
                return Err(Stop::new("mismatch", text));
            }
            self.outcome.notes.push(text);
            return Ok(());
        };
        let quiet = ident::parse(&theirs).is_some_and(|g| g.openssh().is_some());
        let wait = if depth == Depth::HostKey {
            self.left()
        } else {
            LINGER
        };
        let asked = timeout(wait, async {
            stream
                .write_all(&exchange.opening())
                .await
                .map_err(|e| Stop::io(&e))?;
            line.packet(&mut stream, KEX_ECDH_REPLY).await
        })
        .await;
        let reply = match asked {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) | Err(_) if depth == Depth::Kex => return Ok(()),
            Ok(Err(stop)) => return Err(stop),
            Err(_) => return Err(self.late()),
        };
        let context = Context {
            our_ident: IDENT,
            their_ident: &theirs,
            their_kexinit: &payload,
        };
        let Some(reply) = exchange.reply(&context, &reply, quiet) else {
            return Err(Stop::new("protocol-error", "its host key cannot be read"));
        };
        if depth == Depth::HostKey {
            self.see_key(&reply.kind, &reply.blob, &reply.key, reply.proven);
            self.close_phase();
        }
        let _ = timeout(LINGER, goodbye(&mut stream, &reply.goodbye)).await;
        if depth == Depth::HostKey && !reply.proven {
            let known = matches!(
                reply.kind.split("-cert-").next(),
                Some("ssh-ed25519" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ssh-rsa")
            );
            if known {
                return Err(Stop::new(
                    "protocol-error",
                    "the signature is not by the host key that it showed: somebody may be in between",
                ));
            }
            let note = format!("a signature of {} cannot be checked here", reply.kind);
            self.outcome.notes.push(note);
        }
        Ok(())
    }

    fn see_key(&mut self, kind: &str, blob: &[u8], key: &[u8], proven: bool) {
        let plain = kind.split("-cert-").next().unwrap_or(kind);
        self.outcome.host_key = Some(HostKey {
            kind: plain.to_owned(),
            fingerprint: fingerprint(key),
            proven,
            valid_before: certificate(blob).map(|c| c.valid_before),
        });
        if let Some(entries) = &self.target.known_hosts {
            let name = known_hosts::name(&self.target.host, self.target.port);
            // The key itself, also where it came in a certificate: whether the authority signed that is not checked here,
            // so a line of an authority vouches for nothing.
            let now = u64::try_from(self.outcome.at.secs()).unwrap_or(0);
            let said = known_hosts::check(entries, &name, plain, key, now);
            self.outcome.known = Some(said.word());
        }
    }

    async fn log_in(
        &mut self,
        stream: TcpStream,
        line: Line,
        theirs: &str,
        proposal: &kexinit::Proposal,
        want: &[String],
    ) -> Result<(), Stop> {
        let Some(credentials) = self.target.login.clone() else {
            return Err(Stop {
                ours: true,
                ..Stop::new("no-method", "no user and identity to log in with")
            });
        };
        self.enter(Phase::HostKey);
        let stream = login::Replay::new(stream, IDENT, theirs, line.seen_since_greeting());
        let opened = timeout(self.left(), login::open(stream, proposal, want)).await;
        let mut session = match opened {
            Ok(session) => session?,
            Err(_) => return Err(self.late()),
        };
        if let Some((kind, blob, key)) = session.host_key() {
            self.see_key(&kind, &blob, &key, true);
        }
        self.enter(Phase::Auth);
        let left = self.left();
        let done = timeout(left, session.authenticate(&credentials)).await;
        match done {
            Ok(Ok(())) => {}
            Ok(Err(stop)) => {
                session.close().await;
                return Err(stop);
            }
            Err(_) => {
                session.close().await;
                return Err(self.late());
            }
        }
        let mut end = Ok(());
        if self.target.depth == Depth::Session {
            self.enter(Phase::Session);
            end = match timeout(self.left(), session.command(&credentials.command)).await {
                Ok(end) => end,
                Err(_) => Err(self.late()),
            };
        }
        self.close_phase();
        session.close().await;
        end
    }
}

/// What the server says, as lines and then as packets.
#[derive(Default)]
struct Line {
    reader: ident::Reader,
    buffer: Vec<u8>,
    first: Vec<u8>,
    /// Everything after the greeting, for a library that has to read it again.
    after: Vec<u8>,
    total: usize,
    spoken: bool,
}

impl Line {
    fn seen_since_greeting(self) -> Vec<u8> {
        self.after
    }

    /// More bytes; an error where none will come.
    async fn more(&mut self, stream: &mut TcpStream) -> Result<usize, Stop> {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.map_err(|e| Stop::io(&e))?;
        let piece = piece.get(..n).unwrap_or_default();
        self.buffer.extend_from_slice(piece);
        if self.first.len() < 512 {
            self.first.extend_from_slice(piece);
        }
        self.total += n;
        if n == 0 {
            return Err(Stop::io(&Error::new(
                ErrorKind::UnexpectedEof,
                "Connection closed by remote host",
            )));
        }
        if self.total > MOST_BYTES {
            return Err(Stop::new("flood", "more bytes than an SSH server sends"));
        }
        Ok(n)
    }

    /// The server's greeting. One that waits for ours gets it after a while.
    async fn greeting(&mut self, stream: &mut TcpStream) -> Result<String, Stop> {
        loop {
            match self.reader.read(&mut self.buffer) {
                Progress::Greeting(line) => {
                    self.after = self.buffer.clone();
                    return Ok(line);
                }
                Progress::TooMuch => {
                    let word = protocol::of_bytes(&self.first);
                    let text = word.map_or("not SSH".to_owned(), |p| format!("{p} speaks there"));
                    return Err(Stop::new("other-protocol", text));
                }
                Progress::More => {}
            }
            if let Some(other) = protocol::of_bytes(&self.first) {
                return Err(Stop::new("other-protocol", format!("{other} speaks there")));
            }
            let quiet = self.total == 0 && !self.spoken;
            let read = if quiet {
                match timeout(QUIET, self.more(stream)).await {
                    Ok(read) => read,
                    Err(_) => {
                        self.speak(stream, IDENT).await?;
                        continue;
                    }
                }
            } else {
                self.more(stream).await
            };
            if let Err(stop) = read {
                let rest = String::from_utf8_lossy(&self.buffer).into_owned();
                let said = self.reader.prelude.iter().chain([&rest]);
                for line in said {
                    if line.contains("Not allowed at this time") {
                        return Err(Stop::new(
                            "not-allowed",
                            "the server answers \"Not allowed at this time\": a penalty for this address, or MaxStartups",
                        ));
                    }
                    if line.contains("Exceeded MaxStartups") {
                        return Err(Stop::new(
                            "max-startups",
                            "the server answers \"Exceeded MaxStartups\"",
                        ));
                    }
                }
                return Err(stop);
            }
        }
    }

    async fn speak(&mut self, stream: &mut TcpStream, ident: &str) -> Result<(), Stop> {
        if !self.spoken {
            self.spoken = true;
            let line = format!("{ident}\r\n");
            stream
                .write_all(line.as_bytes())
                .await
                .map_err(|e| Stop::io(&e))?;
        }
        Ok(())
    }

    /// The payload of the server's KEXINIT, after our greeting.
    async fn proposal(&mut self, stream: &mut TcpStream) -> Result<Vec<u8>, Stop> {
        self.speak(stream, IDENT).await?;
        self.packet(stream, KEXINIT).await
    }

    /// The next packet of that kind; others that may stand between are skipped.
    async fn packet(&mut self, stream: &mut TcpStream, kind: u8) -> Result<Vec<u8>, Stop> {
        loop {
            match packet::take(&mut self.buffer) {
                Taken::Payload(p) if p.first() == Some(&kind) => return Ok(p),
                Taken::Payload(p) if p.first() == Some(&packet::DISCONNECT) => {
                    let said = packet::parse_disconnect(&p).map_or(String::new(), |d| d.1);
                    return Err(Stop::new(
                        "closed",
                        format!("the server disconnected: {said}"),
                    ));
                }
                Taken::Payload(_) => {}
                Taken::Broken => {
                    return Err(Stop::new("protocol-error", "what came is no SSH packet"));
                }
                Taken::More => {
                    let n = self.more(stream).await?;
                    let from = self.buffer.len().saturating_sub(n);
                    let new = self.buffer.get(from..).unwrap_or_default();
                    self.after.extend_from_slice(new);
                }
            }
        }
    }

    /// The quietest end right after the server's greeting.
    async fn end_at_ident(&mut self, stream: &mut TcpStream, theirs: &str) -> Result<(), Stop> {
        let openssh = ident::parse(theirs).is_some_and(|g| g.openssh().is_some());
        if openssh && !self.spoken {
            self.speak(stream, PROBE_IDENT).await?;
            return goodbye(stream, &[]).await.map_err(|e| Stop::io(&e));
        }
        self.speak(stream, IDENT).await?;
        let bye = packet::disconnect(packet::BY_APPLICATION, GOODBYE);
        goodbye(stream, &bye).await.map_err(|e| Stop::io(&e))
    }
}

/// Says the last, and hears the other side out: a connection closed with bytes unread is reset, and a reset is logged as
/// one.
async fn goodbye(stream: &mut TcpStream, last: &[u8]) -> std::io::Result<()> {
    stream.write_all(last).await?;
    let mut rest = [0; 4096];
    let mut total = 0;
    let heard = timeout(LINGER / 2, async {
        while total < MOST_BYTES {
            match stream.read(&mut rest).await {
                Ok(0) | Err(_) => return,
                Ok(n) => total += n,
            }
        }
    });
    if heard.await.is_err() {
        stream.shutdown().await?;
    }
    Ok(())
}
