//! The half without rights: reads, decides, keeps the state, answers questions, and says what is wrong.
//!
//! What is decided goes to the privileged half at once; what was read and what was counted go to the state file together a
//! moment later. After a crash in between, the same lines are read again and lead to the same bans again, which does no harm.

mod orders;
mod telling;

use self::telling::Board;
use super::config::Config;
use super::control::{self, Askers, Request};
use super::half::Keeper;
use super::message::{Order, Peer, Word};
use super::sight::State;
use super::store::Store;
use super::tail::{self, Mark, Tail};
use super::{Spare, control::listen, drop};
use crate::cmd::reading::now;
use crate::host::accounts;
use crate::host::logging::Break;
use crate::host::machine::Machine;
use crate::sink::metrics;
use crate::sink::notify::Notifier;
use crate::source::follow::Lane;
use crate::sys::process;
use crate::zone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use serde_json::json;
use sshwhy_core::addr::Cidr;
use sshwhy_core::ban::{Action, Decider, Decision, Never, What};
use sshwhy_core::finding::{Finding, Severity};
use sshwhy_core::scan::{Scanned, Scanner};
use sshwhy_core::time::{SECOND, Time, Zone};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Between two commits, at least; and so many times as long as one takes.
const COMMIT: Duration = Duration::from_millis(200);
const SHARE: u32 = 15;
/// Blocks of one log before the others get their turn.
const TURN: usize = 32;
/// Failed logins from this machine itself that are remembered, for the canary.
const OWN: usize = 64;
/// How often it is gathered who is never banned: the other half, which looks more often, has the last word.
const GATHER: Duration = Duration::from_secs(120);
/// How often the other half hears of us when there is nothing new; it gives up after a minute.
const ALIVE: Duration = Duration::from_secs(10);
/// How often the state is asked for bans that `bans` added or removed: it has told the firewall itself.
const NEWS: Duration = Duration::from_secs(10);
/// How often the files and the clock are looked at, and how often where the kernel tells what changes and nothing happened for a while.
const TICK: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_secs(5);
/// How often it is looked whether there is more to follow, and who is never banned.
const AROUND: Duration = Duration::from_secs(10);
/// How often it is looked whether sshd still writes where we read.
const WALK: Duration = Duration::from_secs(300);
/// The times of live lines may differ so much from the clock.
const SKEW: i64 = 10 * 60 * SECOND;

#[derive(Default)]
struct Totals {
    bans: BTreeMap<String, u64>,
    spared: u64,
    refused: u64,
    applied: u64,
    commits: u64,
}

struct Worker {
    config: Config,
    zone: Zone,
    decider: Decider,
    store: Store,
    tails: Vec<Tail>,
    scanner: Scanner,
    scanned: Scanned,
    half: Peer,
    keeper: Keeper,
    notifier: Notifier,
    board: Arc<Board>,
    server: Option<metrics::Server>,
    state: State,
    totals: Totals,
    started: Instant,
    findings: Vec<Finding>,
    told: HashSet<String>,
    confined: String,
    firewall: (String, bool),
    actions: Vec<Action>,
    decisions: Vec<Decision>,
    own: VecDeque<(IpAddr, String)>,
    /// Everything is to be sent again, not before then.
    restore_at: Option<Instant>,
    /// When it was looked last what there is to follow, and whom never to ban.
    around: Instant,
    /// When it was looked last where sshd writes, and the answer that is awaited.
    walked: Option<Instant>,
    walk: Option<Receiver<Vec<Break>>>,
    /// Another program's changes to the bans are being taken over.
    adopting: bool,
    /// The status that the other half was told last, and when.
    alive: (String, Instant),
    /// It is being sent: up to which network.
    restoring: Option<Option<Cidr>>,
    /// Orders without an answer yet, and what each lifts.
    asked: VecDeque<Vec<Action>>,
    /// Whom the never-list held when bans were last compared with it.
    compared: Vec<Never>,
    committed: Instant,
    cost: Duration,
    dirty: bool,
    stop: bool,
}

/// Runs the half without rights; standard input is its end of the socket pair.
pub fn run() -> Result<(), String> {
    let signals = process::signals().map_err(|e| format!("cannot take signals: {e}"))?;
    let _ = process::die_with_parent();
    let stdin: OwnedFd = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|e| e.to_string())?;
    let mut half = Peer::new(UnixStream::from(stdin)).map_err(|e| e.to_string())?;
    let (text, name, words) = first_word(&mut half)?;
    let config = Config::parse(&text, &name)?;
    let confined = confine(&config)?;
    let mut w = Worker::new(config, half, confined)?;
    for word in words {
        w.word(word);
    }
    let listener = listen(&w.config.socket)?;
    w.work(&listener, &signals)
}

/// The settings, and whatever came behind them.
fn first_word(half: &mut Peer) -> Result<(String, String, Vec<Word>), String> {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end && !half.closed {
        let mut words = half.receive::<Word>();
        if !words.is_empty()
            && let Word::Config { text, name } = words.remove(0)
        {
            return Ok((text, name, words));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("guard --worker is started by guard, not by hand".to_owned())
}

/// Gives up what is not needed. Says what holds.
fn confine(config: &Config) -> Result<String, String> {
    let mut holds = Vec::new();
    if rustix::process::geteuid().is_root() {
        holds.push(drop::user(&config.user)?);
    }
    let parent = |p: &Path| p.parent().map(Path::to_owned);
    let write: Vec<PathBuf> = [&config.state, &config.socket]
        .into_iter()
        .filter_map(|p| parent(p))
        .collect();
    let mut read: Vec<PathBuf> = config
        .log
        .files
        .iter()
        .filter_map(|f| {
            let folder = parent(Path::new(f))?;
            // Of a pattern, what stands before it.
            let plain = folder
                .ancestors()
                .find(|a| !a.to_string_lossy().contains(['*', '?', '[']))?;
            Some(plain.to_owned())
        })
        .collect();
    read.extend(parent(&config.panic_file));
    read.extend(
        config
            .never
            .allow
            .iter()
            .filter(|a| a.starts_with('/'))
            .map(PathBuf::from),
    );
    for email in &config.alerts.email {
        read.extend(email.password_file.clone());
    }
    for hook in &config.alerts.webhook {
        read.extend(hook.ca_file.clone());
    }
    holds.push(drop::files(&read, &write));
    holds.push(drop::calls());
    Ok(holds.join(", "))
}

/// One line of JSON on standard output: the journal keeps it.
fn log(event: &str, value: serde_json::Value) {
    let mut line = json!({ "time": now(), "event": event });
    if let (Some(line), serde_json::Value::Object(more)) = (line.as_object_mut(), value) {
        line.extend(more);
    }
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn admins(config: &Config) -> Vec<String> {
    let machine = Machine::here();
    let mut all = config.never.admins.clone();
    all.push("root".to_owned());
    all.extend(
        accounts::all(&machine)
            .into_iter()
            .filter(|a| {
                a.uid == 0
                    || a.groups
                        .iter()
                        .any(|g| matches!(g.as_str(), "sudo" | "wheel" | "admin"))
            })
            .map(|a| a.name),
    );
    all.sort();
    all.dedup();
    all
}

impl Worker {
    fn new(config: Config, half: Peer, confined: String) -> Result<Worker, String> {
        let zone = zone::named(&config.tz)?;
        let store = Store::open(&config.state)?;
        let mut decider = Decider::new(config.policy());
        let bad = decider.restore(store.load()?);
        store.bans(|ban| decider.hold(ban))?;
        decider.admins = admins(&config);
        decider.key_login = config.key_login();
        let keeper = Keeper::start(config.never.allow.clone(), GATHER);
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let notifier = Notifier::start(&config.alerts, &host)?;
        let board = Arc::new(Board::default());
        let server = match config.metrics.listen {
            Some(addr) => Some(metrics::Server::start(
                addr,
                Arc::clone(&board) as Arc<dyn metrics::Source>,
            )?),
            None => None,
        };
        let mut w = Worker {
            state: State {
                unknown_percent: config.blind.unknown,
                quiet: config.blind.quiet.0,
                ..State::default()
            },
            zone,
            decider,
            store,
            tails: Vec::new(),
            scanner: Scanner::default(),
            scanned: Scanned::default(),
            half,
            keeper,
            notifier,
            board,
            server,
            totals: Totals::default(),
            started: Instant::now(),
            findings: Vec::new(),
            told: HashSet::new(),
            confined,
            firewall: (String::new(), true),
            actions: Vec::new(),
            decisions: Vec::new(),
            own: VecDeque::new(),
            restore_at: Some(Instant::now()),
            around: Instant::now(),
            walked: None,
            walk: None,
            adopting: false,
            alive: (String::new(), Instant::now()),
            restoring: None,
            asked: VecDeque::new(),
            compared: Vec::new(),
            committed: Instant::now(),
            cost: Duration::ZERO,
            dirty: false,
            stop: false,
            config,
        };
        if let Some(moved) = &w.store.moved {
            log("state", json!({ "what": moved }));
        }
        if bad > 0 {
            log(
                "state",
                json!({ "what": format!("{bad} entries of the state could not be read and are left out") }),
            );
        }
        w.open_tails();
        w.fill_never();
        log(
            "started",
            json!({
                "logs": w.tails.iter().map(|t| t.name.clone()).collect::<Vec<_>>(),
                "bans": w.decider.ban_count(),
                "confined": w.confined,
            }),
        );
        Ok(w)
    }

    /// Begins to follow what is not followed yet.
    fn open_tails(&mut self) {
        let (files, journal) = tail::choose(&self.config);
        let mut wanted: Vec<Option<PathBuf>> = files.into_iter().map(Some).collect();
        if journal {
            wanted.push(None);
        }
        for path in wanted {
            let name = path
                .as_ref()
                .map_or_else(|| "journal".to_owned(), |p| p.display().to_string());
            if self.tails.iter().any(|t| t.name == name) {
                continue;
            }
            let mark: Option<Mark> = self.store.value(&format!("mark {name}"));
            let watch = self.store.value(&format!("watch {name}"));
            self.tails.push(match path {
                Some(path) => Tail::file(&path, mark, watch, self.config.log.from_the_beginning),
                None => Tail::journal(mark, watch),
            });
        }
    }

    fn fill_never(&mut self) {
        for trouble in self.keeper.fill(&mut self.decider.never) {
            if self.told.insert(trouble.clone()) {
                log("never", json!({ "trouble": trouble }));
            }
        }
        // Comparing takes its time where there are many bans.
        if self.decider.never.entries() != self.compared {
            self.compared = self.decider.never.entries().to_vec();
            let lifted = self.decider.lift_spared(now());
            self.actions.extend(lifted);
        }
    }

    fn work(&mut self, listener: &UnixListener, signals: &OwnedFd) -> Result<(), String> {
        let watcher =
            inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).ok();
        let mut askers = Askers::default();
        let mut tick = Instant::now() - TICK;
        let mut watched: Option<Instant> = None;
        let mut told = false;
        let mut happened = Instant::now();
        let mut more = true;
        let mut asked = Instant::now();
        let mut spare = Spare::default();
        while !self.stop {
            if watched.is_none_or(|w| w.elapsed() >= CALM) {
                watched = Some(Instant::now());
                told = watcher.as_ref().is_some_and(|w| self.watch_files(w));
            }
            let pressed = self.dirty || self.is_pressed();
            if more || pressed {
                happened = Instant::now();
            }
            let wait = if more {
                Duration::ZERO
            } else if pressed {
                Duration::from_millis(100)
            } else if told && happened.elapsed() > CALM && !self.is_timed() {
                CALM
            } else {
                TICK
            };
            self.wait(listener, signals, watcher.as_ref(), &askers, wait);
            if let Some(w) = &watcher {
                let mut buf = [std::mem::MaybeUninit::uninit(); 4096];
                let mut events = inotify::Reader::new(w, &mut buf);
                while let Ok(e) = events.next() {
                    happened = Instant::now();
                    // Something came or went in a folder, or what was watched is gone: what stands there now is to be watched.
                    if e.events() != inotify::ReadFlags::MODIFY {
                        watched = None;
                    }
                }
            }
            while let Some(signal) = process::next_signal(signals) {
                // Reloading is the other half's to begin.
                self.stop |= signal != libc::SIGHUP;
            }
            for word in self.half.receive::<Word>() {
                self.word(word);
            }
            if self.half.closed {
                break;
            }
            more = self.read();
            self.decide();
            self.apply();
            askers.accept(listener);
            askers.answer(|request| self.answer(request));
            let due = asked.elapsed() >= NEWS;
            if due {
                asked = Instant::now();
            }
            self.adopt(due);
            if tick.elapsed() >= TICK {
                tick = Instant::now();
                self.tick();
                if !more {
                    spare.give_back();
                }
            }
            let due = COMMIT.max(self.cost * SHARE);
            if self.dirty && self.committed.elapsed() >= due {
                self.commit();
            }
        }
        self.commit();
        log("stopped", json!({ "bans": self.decider.ban_count() }));
        let _ = std::fs::remove_file(&self.config.socket);
        std::mem::take(&mut self.notifier).finish(Duration::from_secs(3));
        Ok(())
    }

    fn wait(
        &self,
        listener: &UnixListener,
        signals: &OwnedFd,
        watcher: Option<&OwnedFd>,
        askers: &Askers,
        most: Duration,
    ) {
        let mut fds = vec![
            PollFd::new(listener, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(&self.half.stream, PollFlags::IN),
        ];
        fds.extend(watcher.map(|w| PollFd::new(w, PollFlags::IN)));
        fds.extend(
            askers
                .peers()
                .iter()
                .map(|p| PollFd::new(&p.stream, PollFlags::IN)),
        );
        fds.extend(
            self.tails
                .iter()
                .filter_map(Tail::child_output)
                .map(|out| PollFd::new(out, PollFlags::IN)),
        );
        let wait = Timespec {
            tv_sec: most.as_secs() as i64,
            tv_nsec: i64::from(most.subsec_nanos()),
        };
        let _ = poll(&mut fds, Some(&wait));
    }

    /// Has the kernel say what happens to the files and where they lie. Whether it does for all of them: what cannot be watched,
    /// and what lies on a disk where others write too, is looked at every second.
    fn watch_files(&self, w: &OwnedFd) -> bool {
        use inotify::WatchFlags as F;
        let folder = |path: &Path| {
            let names = F::CREATE | F::MOVED_TO | F::DELETE | F::MOVE_SELF | F::ONLYDIR;
            path.parent().is_some_and(|folder| {
                inotify::add_watch(w, folder, names).is_ok() && tail::is_local(folder)
            })
        };
        let mut all = folder(&self.config.panic_file);
        for path in self.tails.iter().filter_map(Tail::path) {
            let file = inotify::add_watch(w, path, F::MODIFY).is_ok();
            all &= folder(path) && file && tail::is_local(path);
        }
        all
    }

    /// Whether something is to be done at a time that is near, which nobody but the clock says.
    fn is_timed(&self) -> bool {
        let expiring = !self.firewall.1 && self.decider.ban_count() > 0;
        self.restore_at.is_some() || self.walk.is_some() || expiring
    }

    /// Reads what is there, a turn of each log; whether there is more.
    fn read(&mut self) -> bool {
        let mut more = false;
        let clock = now();
        for tail in &mut self.tails {
            let was_up_to_date = tail.caught_up;
            for turn in 0..TURN {
                let decider = &mut self.decider;
                let decisions = &mut self.decisions;
                let own = &mut self.own;
                let lane = tail.step(
                    &mut self.scanner,
                    &mut self.scanned,
                    &self.zone,
                    clock,
                    &mut |o| {
                        if o.ip.is_loopback() {
                            if matches!(o.what, What::Failed | What::Left) {
                                if own.len() >= OWN {
                                    own.pop_front();
                                }
                                own.push_back((o.ip, o.user.unwrap_or_default().to_owned()));
                            }
                            return;
                        }
                        let before = decisions.len();
                        decider.offence(o, decisions);
                        if was_up_to_date {
                            for d in decisions.get_mut(before..).unwrap_or_default() {
                                by_this_clock(decider, d, clock);
                            }
                        }
                    },
                );
                match lane {
                    None => break,
                    Some(Lane::Behind) => {
                        self.dirty = true;
                        // Live ones first: the past has time.
                        more = true;
                        break;
                    }
                    Some(Lane::Live | Lane::Known) => {
                        self.dirty = true;
                        more |= turn + 1 == TURN;
                    }
                }
            }
        }
        more
    }

    fn reload(&mut self, config: Config) {
        let notifier = match Notifier::start(
            &config.alerts,
            &rustix::system::uname().nodename().to_string_lossy(),
        ) {
            Ok(n) => n,
            Err(e) => {
                log("settings", json!({ "refused": e }));
                return;
            }
        };
        if config.metrics.listen != self.config.metrics.listen {
            self.server = None;
            if let Some(addr) = config.metrics.listen {
                match metrics::Server::start(
                    addr,
                    Arc::clone(&self.board) as Arc<dyn metrics::Source>,
                ) {
                    Ok(server) => self.server = Some(server),
                    Err(e) => log("settings", json!({ "metrics": e })),
                }
            }
        }
        std::mem::replace(&mut self.notifier, notifier).finish(Duration::from_millis(100));
        self.decider.policy = config.policy();
        self.decider.key_login = config.key_login();
        self.decider.admins = admins(&config);
        self.state.unknown_percent = config.blind.unknown;
        self.state.quiet = config.blind.quiet.0;
        if let Ok(zone) = zone::named(&config.tz) {
            self.zone = zone;
        }
        if config.log.files != self.config.log.files
            || config.log.journal != self.config.log.journal
        {
            // Those that are no longer wanted go on from there when they are wanted again.
            self.commit();
            let (files, journal) = tail::choose(&config);
            self.tails.retain(|t| match t.path() {
                Some(path) => files.iter().any(|f| f == path),
                None => journal,
            });
        }
        if config.never.allow != self.config.never.allow {
            self.keeper.allow(config.never.allow.clone());
        }
        self.config = config;
        self.walked = None;
        self.open_tails();
        self.fill_never();
        log("settings", json!({ "loaded": true }));
    }

    fn tick(&mut self) {
        let clock = now();
        let over = self.decider.expire(clock);
        if !over.is_empty() {
            self.dirty = true;
            if !self.firewall.1 {
                self.actions.extend(over.iter().map(|b| Action::Unban {
                    net: b.net,
                    reason: "its time is over".to_owned(),
                }));
            }
        }
        let panic = self.config.panic_file.exists();
        if panic != self.state.panic {
            self.state.panic = panic;
            log("panic", json!({ "lifted": panic }));
            if panic {
                self.order(&Order::Flush);
            } else {
                self.restore_soon(Duration::ZERO);
            }
        }
        for i in 0..self.tails.len() {
            let said = self.tails.get_mut(i).map(Tail::said).unwrap_or_default();
            for what in said {
                log("log", json!({ "what": what }));
                self.alert(Severity::Medium, "gap", "", "blind", what);
            }
        }
        if self.around.elapsed() >= AROUND {
            self.around = Instant::now();
            self.open_tails();
            self.fill_never();
        }
        self.walk();
        self.look(clock);
        self.show();
        let status = match self.findings.first() {
            Some(f) => format!("{}: {}", f.severity.name(), f.headline),
            None => format!(
                "{} banned, {} sources counted",
                self.decider.ban_count(),
                self.decider.source_count()
            ),
        };
        // That it lives is said now and then, what is new at once.
        if status != self.alive.0 || self.alive.1.elapsed() >= ALIVE {
            self.order(&Order::Alive(status.replace('\n', " ")));
            self.alive = (status, Instant::now());
        }
    }

    fn commit(&mut self) {
        let begin = Instant::now();
        self.store.note(self.decider.take_changes());
        for t in &self.tails {
            self.store.set(&format!("mark {}", t.name), &t.mark());
            self.store.set(&format!("watch {}", t.name), &t.watches());
        }
        self.store.set("sight", &self.sight());
        match self.store.commit() {
            Ok(()) => {
                self.dirty = false;
                self.totals.commits += 1;
                self.state.state_file = None;
            }
            Err(e) => self.state.state_file = Some(e),
        }
        self.cost = begin.elapsed();
        self.committed = Instant::now();
    }
}

/// Where a live line's time is far from this clock's, bans run by this clock.
fn by_this_clock(decider: &mut Decider, d: &mut Decision, clock: Time) {
    if let Decision::Act(Action::Ban(ban)) = d
        && (clock.0 - ban.since.0).abs() > SKEW
    {
        let length = ban.until.map(|u| u.0 - ban.since.0);
        ban.since = clock;
        ban.until = length.map(|l| Time(clock.0.saturating_add(l)));
        // It was not covered a moment ago.
        let _ = decider.add(ban.clone(), clock);
    }
}

/// For `guard status` and the like.
pub fn ask(config: &Config, request: &Request) -> Result<serde_json::Value, String> {
    control::ask(&config.socket, request)
}
