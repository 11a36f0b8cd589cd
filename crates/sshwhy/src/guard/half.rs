//! The privileged half: starts the other one without rights, and applies what it decided after a look of its own.
//!
//! It reads no log and keeps no state. What it is told are networks and times; each is checked against its own never-list,
//! gathered by itself, before the firewall hears of it ([`crate::sink::firewall::check`]), and no more than so many a second
//! are applied. When the rules are gone it asks what is to hold; when the other half is gone it starts another one.

use super::config::Config;
use super::message::{Order, Peer, Word};
use super::{Spare, drop};
use crate::cmd::reading::now;
use crate::host::machine::Machine;
use crate::host::never::{self, Names};
use crate::host::{daemon, never::Facts};
use crate::sink::firewall::{Changes, Firewall, Proof, Runner, Scope, Setup, Template};
use crate::sys::process;
use rustix::event::{PollFd, PollFlags, poll};
use sshwhy_core::addr::Cidr;
use sshwhy_core::ban::{Action, NeverList};
use sshwhy_core::server::{Leg, Packet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the rules are looked at; each look runs the firewall's own tool.
const LOOK: Duration = Duration::from_secs(5);
/// … where the kernel says that nobody changed them.
const SELDOM: Duration = Duration::from_secs(300);
/// How often it is gathered who is never banned.
const GATHER: Duration = Duration::from_secs(60);
/// Between two proofs: each reads the whole ruleset.
const PROVE: Duration = Duration::from_secs(5);
/// … and no ban was asked for since so long.
const QUIET: Duration = Duration::from_millis(300);
/// Refusals that are told of one order.
const TOLD: usize = 500;
/// Without a word of the other half for so long, it hangs.
const DEAF: Duration = Duration::from_secs(60);

/// Whom never to ban, gathered again and again on a thread of its own: a resolver that does not answer delays nobody.
pub struct Keeper {
    found: Arc<Mutex<Facts>>,
    allow: Arc<Mutex<Vec<String>>>,
}

impl Keeper {
    pub fn start(allow: Vec<String>, every: Duration) -> Keeper {
        let machine = Machine::here();
        let mut names = Names::default();
        let found = Arc::new(Mutex::new(never::gather(&machine, &allow, &mut names)));
        let allow = Arc::new(Mutex::new(allow));
        let (theirs, asked) = (Arc::clone(&found), Arc::clone(&allow));
        // Without the thread, what was found at the start holds.
        let _ = std::thread::Builder::new()
            .name("never".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(every);
                    let allow = lock(&asked).clone();
                    let facts = never::gather(&machine, &allow, &mut names);
                    *lock(&theirs) = facts;
                    if Arc::strong_count(&theirs) == 1 {
                        return;
                    }
                }
            });
        Keeper { found, allow }
    }

    /// Puts what was found into the list; says what could not be found out.
    pub fn fill(&self, list: &mut NeverList) -> Vec<String> {
        let facts = lock(&self.found);
        facts.fill(list);
        facts.troubles.clone()
    }

    /// After a reload: what is new holds at once.
    pub fn allow(&self, allow: Vec<String>) {
        let facts = never::gather(&Machine::here(), &allow, &mut Names::default());
        *lock(&self.found) = facts;
        *lock(&self.allow) = allow;
    }
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// systemd's notification socket, if there is one.
struct Notify(Option<UnixDatagram>);

impl Notify {
    fn new() -> Notify {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|path| {
            let socket = UnixDatagram::unbound().ok()?;
            let bytes = path.as_encoded_bytes();
            match bytes.strip_prefix(b"@") {
                Some(name) => {
                    use std::os::linux::net::SocketAddrExt;
                    let addr = std::os::unix::net::SocketAddr::from_abstract_name(name).ok()?;
                    socket.connect_addr(&addr).ok()?;
                }
                None => socket.connect(path).ok()?,
            }
            Some(socket)
        });
        Notify(socket)
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.0 {
            // Nobody listens: nothing to do about it.
            let _ = socket.send(text.as_bytes());
        }
    }
}

pub fn open_firewall(config: &Config) -> Result<Firewall, String> {
    let template = |text: &Option<String>| text.as_deref().map(Template::parse).transpose();
    Firewall::open(
        &config.firewall.backend,
        Setup {
            scope: Scope {
                ports: config.firewall.ports.clone(),
            },
            ban: template(&config.firewall.ban_command)?,
            unban: template(&config.firewall.unban_command)?,
            hosts_deny: None,
            runner: Runner::default(),
        },
    )
}

/// Makes the folders that the other half writes to, for its user.
fn folders(config: &Config) -> Result<(), String> {
    let owner = rustix::process::geteuid()
        .is_root()
        .then(|| drop::lookup(&config.user))
        .flatten();
    for file in [&config.state, &config.socket, &config.panic_file] {
        let Some(folder) = file.parent() else {
            continue;
        };
        let made = !folder.exists();
        std::fs::create_dir_all(folder)
            .map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        // A folder that others use too stays theirs.
        let ours = folder.file_name().is_some_and(|n| n == "sshwhy");
        if let Some((uid, gid)) = owner.filter(|_| made || ours) {
            std::os::unix::fs::chown(folder, Some(uid), Some(gid))
                .map_err(|e| format!("cannot give {} to {}: {e}", folder.display(), config.user))?;
        }
    }
    if let Some((uid, gid)) = owner {
        for end in ["", "-wal", "-shm"] {
            let mut name = config.state.clone().into_os_string();
            name.push(end);
            let path = PathBuf::from(name);
            if path.exists() {
                std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(|e| {
                    format!("cannot give {} to {}: {e}", path.display(), config.user)
                })?;
            }
        }
    }
    Ok(())
}

fn spawn(text: &str, name: &str) -> io::Result<(Child, Peer)> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .args(["guard", "--worker"])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .env_remove("NOTIFY_SOCKET")
        .spawn()?;
    let mut peer = Peer::new(ours)?;
    peer.send(&Word::Config {
        text: text.to_owned(),
        name: name.to_owned(),
    })?;
    Ok((child, peer))
}

struct Half {
    config: Config,
    firewall: Firewall,
    never: NeverList,
    keeper: Keeper,
    ports: Vec<u16>,
    proven: Option<Instant>,
    /// The last one that was banned, and whether it is kept out has not been looked at.
    unproven: Option<Cidr>,
    second: (Instant, u32),
}

/// Runs until it is told to stop.
pub fn run(named: Option<&Path>) -> Result<(), String> {
    let signals = process::signals().map_err(|e| format!("cannot take signals: {e}"))?;
    let (config, text, name) = Config::load(named)?;
    folders(&config)?;
    let firewall = open_firewall(&config)?;
    let keeper = Keeper::start(config.never.allow.clone(), GATHER);
    let machine = Machine::here();
    let mut ports: Vec<u16> = daemon::listeners(&machine, &daemon::processes(&machine))
        .iter()
        .map(|l| l.port)
        .collect();
    ports.extend(&config.firewall.ports);
    if ports.is_empty() {
        ports.push(22);
    }
    ports.sort_unstable();
    ports.dedup();
    let mut half = Half {
        config,
        firewall,
        never: NeverList::default(),
        keeper,
        ports,
        proven: None,
        unproven: None,
        second: (Instant::now(), 0),
    };
    let notify = Notify::new();
    let (mut text, mut name) = (text, name);
    let mut pause = Duration::from_secs(1);
    loop {
        let started = Instant::now();
        let (child, peer) =
            spawn(&text, &name).map_err(|e| format!("cannot start the part that reads: {e}"))?;
        let stopped = half.serve(child, peer, &signals, &notify, named, &mut text, &mut name);
        if stopped {
            return Ok(());
        }
        if started.elapsed() > Duration::from_secs(60) {
            pause = Duration::from_secs(1);
        }
        eprintln!(
            "sshwhy: the part of guard that reads ended; it is started again in {} s",
            pause.as_secs()
        );
        notify.say("STATUS=blind: the part that reads ended and is started again");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

impl Half {
    /// Serves one life of the other half; true when everything is to end.
    #[allow(clippy::too_many_arguments)]
    fn serve(
        &mut self,
        mut child: Child,
        mut peer: Peer,
        signals: &OwnedFd,
        notify: &Notify,
        named: Option<&Path>,
        text: &mut String,
        name: &mut String,
    ) -> bool {
        let told = Word::Firewall(self.firewall.name().to_owned(), self.firewall.expires());
        let _ = peer.send(&told);
        let mut looked = Instant::now();
        let changes = Changes::listen();
        let mut changed = true;
        let mut spare = Spare::default();
        let mut heard = Instant::now();
        let mut acted = Instant::now();
        let mut stopping: Option<Instant> = None;
        let mut standing = true;
        loop {
            // Of other backends the kernel says nothing here.
            let told = changes
                .as_ref()
                .filter(|_| self.firewall.name() == "nftables");
            {
                let mut fds = vec![
                    PollFd::new(&peer.stream, PollFlags::IN),
                    PollFd::new(signals, PollFlags::IN),
                ];
                fds.extend(told.map(|c| PollFd::new(c, PollFlags::IN)));
                // Nothing but the clock wakes us for a proof, an end or a look.
                let due = changed || stopping.is_some() || self.unproven.is_some();
                let wait = rustix::event::Timespec {
                    tv_sec: if due { 1 } else { 15 },
                    tv_nsec: 0,
                };
                let _ = poll(&mut fds, Some(&wait));
            }
            while let Some(signal) = process::next_signal(signals) {
                if signal == libc::SIGHUP {
                    match self.reload(named) {
                        Ok((new, from)) => {
                            (*text, *name) = (new, from);
                            let _ = peer.send(&Word::Config {
                                text: text.clone(),
                                name: name.clone(),
                            });
                        }
                        Err(e) => {
                            eprintln!(
                                "sshwhy: the new settings are refused, the old ones stay: {e}"
                            );
                            notify.say("STATUS=new settings refused, the old ones stay");
                        }
                    }
                } else if stopping.is_none() {
                    notify.say("STOPPING=1");
                    let _ = peer.send(&Word::Stop);
                    stopping = Some(Instant::now());
                }
            }
            for order in peer.receive::<Order>() {
                heard = Instant::now();
                if !matches!(order, Order::Alive(_)) {
                    acted = heard;
                }
                self.order(order, &mut peer, notify, &mut standing);
            }
            if acted.elapsed() > QUIET {
                self.prove(&mut peer);
            }
            let gone = peer.closed || matches!(child.try_wait(), Ok(Some(_)));
            let late = stopping.is_some_and(|s| s.elapsed() > Duration::from_secs(10));
            let deaf = heard.elapsed() > DEAF;
            if gone || late || deaf {
                if deaf {
                    eprintln!(
                        "sshwhy: the part of guard that reads says nothing any more; it is ended"
                    );
                }
                let _ = child.kill();
                let _ = child.wait();
                return stopping.is_some();
            }
            spare.give_back();
            changed |= told.is_none_or(Changes::any);
            let due = if changed { LOOK } else { SELDOM };
            if looked.elapsed() >= due && standing {
                changed = false;
                looked = Instant::now();
                if matches!(self.firewall.stands(), Ok(false)) {
                    eprintln!("sshwhy: somebody removed the firewall's rules; they are put back");
                    standing = false;
                    let _ = peer.send(&Word::Lost);
                }
            }
        }
    }

    fn reload(&mut self, named: Option<&Path>) -> Result<(String, String), String> {
        let (config, text, name) = Config::load(named)?;
        let changed = format!("{:?}", config.firewall) != format!("{:?}", self.config.firewall);
        if changed {
            self.firewall = open_firewall(&config)?;
        }
        self.keeper.allow(config.never.allow.clone());
        self.config = config;
        Ok((text, name))
    }

    fn order(&mut self, order: Order, peer: &mut Peer, notify: &Notify, standing: &mut bool) {
        let answer = match order {
            Order::Alive(status) => {
                notify.say(&format!("READY=1\nWATCHDOG=1\nSTATUS={status}"));
                return;
            }
            Order::Flush => {
                // Until something is to hold again, nothing has to stand.
                *standing = false;
                match self.firewall.flush() {
                    Ok(()) => Word::Applied {
                        banned: 0,
                        unbanned: 0,
                        refused: Vec::new(),
                    },
                    Err(t) => Word::Failed(t.to_string()),
                }
            }
            Order::Apply(actions) => {
                self.rate(actions.len());
                self.keeper.fill(&mut self.never);
                let done = self.firewall.apply(&actions, &self.never, now());
                self.applied(done, &actions)
            }
            Order::Restore { first, bans } => {
                self.keeper.fill(&mut self.never);
                let done = self.firewall.refill(&bans, &self.never, now(), first);
                *standing = done.is_ok();
                self.applied(done, &bans)
            }
        };
        let _ = peer.send(&answer);
    }

    fn applied(
        &mut self,
        done: Result<crate::sink::firewall::Applied, crate::sink::firewall::Trouble>,
        actions: &[Action],
    ) -> Word {
        match done {
            Ok(done) => {
                let last = actions.iter().rev().find_map(|a| match a {
                    Action::Ban(b) if b.holds(now()) => Some(b.net),
                    _ => None,
                });
                self.unproven = last
                    .filter(|net| !done.refused.iter().any(|r| r.net == *net))
                    .or(self.unproven);
                Word::Applied {
                    banned: done.banned,
                    unbanned: done.unbanned,
                    refused: done
                        .refused
                        .into_iter()
                        // The other half may be writing too: an answer has to fit into what the socket holds.
                        .take(TOLD)
                        .map(|r| (r.net.to_string(), r.why))
                        .collect(),
                }
            }
            Err(t) => Word::Failed(t.to_string()),
        }
    }

    /// No more than so many a second: whatever sends them, the machine has to go on.
    fn rate(&mut self, n: usize) {
        let most = self.config.firewall.rate.get();
        if self.second.0.elapsed() >= Duration::from_secs(1) {
            self.second = (Instant::now(), 0);
        }
        self.second.1 = self
            .second
            .1
            .saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        if self.second.1 > most {
            std::thread::sleep(Duration::from_secs(1).saturating_sub(self.second.0.elapsed()));
            self.second = (Instant::now(), 0);
        }
    }

    /// Whether the live rules keep out what was banned last. Reading them takes longer than a ban: only where none waits.
    fn prove(&mut self, peer: &mut Peer) {
        if self.proven.is_some_and(|p| p.elapsed() < PROVE) {
            return;
        }
        let Some(net) = self.unproven.take() else {
            return;
        };
        self.proven = Some(Instant::now());
        // Where nothing is meant to happen, nothing has to be proven.
        if self.firewall.name() == "null" {
            return;
        }
        let packets: Vec<Packet> = self
            .ports
            .iter()
            .take(4)
            .map(|port| Packet {
                from: net.ip,
                to: None,
                port: *port,
                interface: None,
                leg: Leg::Opens,
            })
            .collect();
        match self.firewall.prove(&packets) {
            Ok(proofs) => {
                let bad = proofs.into_iter().find_map(|p| match p {
                    Proof::Ineffective { why, rule, .. } if rule.is_empty() => Some(why),
                    Proof::Ineffective { why, rule, .. } => Some(format!("{why}: {rule}")),
                    _ => None,
                });
                let _ = peer.send(&match bad {
                    Some(why) => Word::Ineffective(net.to_string(), why),
                    None => Word::Effective,
                });
            }
            Err(t) => eprintln!("sshwhy: whether bans hold cannot be seen: {t}"),
        }
    }
}
