//! The half without rights: reads, decides, keeps the state, answers questions, and says what is wrong.
//!
//! What is decided goes to the privileged half at once; what was read and what was counted go to the state file together a
//! moment later. After a crash in between, the same lines are read again and lead to the same bans again, which does no harm.

use super::config::Config;
use super::control::{self, Askers, Request};
use super::half::Keeper;
use super::message::{Order, PIECE, Peer, Word};
use super::sight::{self, Log, State};
use super::store::Store;
use super::tail::{self, Mark, Tail};
use super::{Spare, control::listen, drop};
use crate::cmd::reading::now;
use crate::host::accounts;
use crate::host::logging::{self, Break};
use crate::host::machine::Machine;
use crate::sink::metrics::{self, Kind, Page};
use crate::sink::notify::{Alert, Notifier};
use crate::source::follow::Lane;
use crate::sys::process;
use crate::zone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use serde_json::json;
use sshwhy_core::addr::Cidr;
use sshwhy_core::ban::{Action, Decider, Decision, Never, Sight, What};
use sshwhy_core::finding::{Finding, Severity};
use sshwhy_core::scan::{Scanned, Scanner};
use sshwhy_core::time::{SECOND, Time, Zone};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
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

/// What `/metrics` and `/healthz` show.
#[derive(Default)]
struct Board(Mutex<(String, Option<String>)>);

impl metrics::Source for Board {
    fn metrics(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    fn health(&self) -> Result<String, String> {
        match &self.0.lock().unwrap_or_else(PoisonError::into_inner).1 {
            None => Ok("guard sees and keeps out".to_owned()),
            Some(why) => Err(why.clone()),
        }
    }
}

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
                    // A name appeared in a folder, or what was watched is gone: what stands there now is to be watched.
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
            let names = F::CREATE | F::MOVED_TO | F::MOVE_SELF | F::ONLYDIR;
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

    fn decide(&mut self) {
        let clock = now();
        for d in std::mem::take(&mut self.decisions) {
            match d {
                Decision::Act(action) => {
                    if let Action::Ban(ban) = &action {
                        *self.totals.bans.entry(ban.detector.clone()).or_default() += 1;
                        log("ban", json!({ "ban": ban, "in_force": ban.holds(clock) }));
                        if !ban.holds(clock) {
                            continue;
                        }
                        self.alert(
                            Severity::Low,
                            "ban",
                            &ban.net.to_string(),
                            &ban.detector,
                            format!("{} is banned: {}", ban.net, ban.reason),
                        );
                    }
                    self.actions.push(action);
                }
                Decision::Spared {
                    net,
                    why,
                    detector,
                    reason,
                } => {
                    self.totals.spared += 1;
                    log(
                        "spared",
                        json!({ "net": net, "why": why, "detector": detector, "reason": reason }),
                    );
                    let text = format!("{net} would have been banned ({reason}), but {why}");
                    self.alert(Severity::Medium, "spared", &net.to_string(), detector, text);
                }
                Decision::Taken { ip, user, failures } => {
                    log(
                        "taken",
                        json!({ "addr": ip, "user": user, "failures": failures }),
                    );
                    let text = format!(
                        "{ip} got in as {user:?} after {failures} failures: treat the account as taken"
                    );
                    self.alert(
                        Severity::Critical,
                        "taken",
                        &ip.to_string(),
                        "success-after-failures",
                        text,
                    );
                }
                Decision::Leaks { net } => {
                    let name = net.to_string();
                    if !self.state.leaks.contains(&name) && self.state.leaks.len() < 16 {
                        log("leaks", json!({ "net": net }));
                        self.state.leaks.push(name);
                    }
                    // It may be missing there only.
                    self.restore_soon(Duration::ZERO);
                }
            }
        }
    }

    fn alert(&self, severity: Severity, state: &str, subject: &str, slug: &str, headline: String) {
        if self.notifier.is_empty() {
            return;
        }
        self.notifier.send(&Alert {
            headline,
            severity,
            state: state.to_owned(),
            subject: subject.to_owned(),
            slug: slug.to_owned(),
            details: String::new(),
            time: now(),
        });
    }

    fn restore_soon(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.restore_at = Some(self.restore_at.map_or(at, |known| known.min(at)));
    }

    /// Sends what was decided to the half that can do it.
    fn apply(&mut self) {
        if self.state.panic {
            self.actions.clear();
            self.restoring = None;
            return;
        }
        if self.restore_at.is_some_and(|at| at <= Instant::now()) {
            self.restore_at = None;
            self.restoring = Some(None);
            // The bans come with all others.
            self.actions.retain(|a| matches!(a, Action::Unban { .. }));
        }
        // One piece after the other: what is decided meanwhile goes between two.
        if let Some(after) = self.restoring.filter(|_| self.asked.is_empty()) {
            let clock = now();
            let mut last = None;
            let bans: Vec<Action> = self
                .decider
                .bans(after)
                .inspect(|b| last = Some(b.net))
                .filter(|b| b.holds(clock))
                .take(PIECE)
                .map(Action::Ban)
                .collect();
            self.restoring = last.filter(|_| bans.len() == PIECE).map(Some);
            self.order(&Order::Restore {
                first: after.is_none(),
                bans,
            });
        }
        let actions = std::mem::take(&mut self.actions);
        for piece in actions.chunks(PIECE) {
            self.order(&Order::Apply(piece.to_vec()));
        }
    }

    fn order(&mut self, order: &Order) {
        let lifts = |all: &[Action]| -> Vec<Action> {
            let lifts = all.iter().filter(|a| matches!(a, Action::Unban { .. }));
            lifts.cloned().collect()
        };
        match order {
            Order::Alive(_) => {}
            Order::Apply(all) => self.asked.push_back(lifts(all)),
            Order::Restore { .. } | Order::Flush => self.asked.push_back(Vec::new()),
        }
        if self.half.send(order).is_err() {
            self.half.closed = true;
        }
    }

    /// Whether more can be sent at once.
    fn is_pressed(&self) -> bool {
        !self.actions.is_empty() || (self.restoring.is_some() && self.asked.is_empty())
    }

    fn word(&mut self, word: Word) {
        match word {
            Word::Config { text, name } => match Config::parse(&text, &name) {
                Ok(config) => self.reload(config),
                Err(e) => log("settings", json!({ "refused": e })),
            },
            Word::Applied {
                banned,
                unbanned,
                refused,
            } => {
                self.asked.pop_front();
                if self.state.firewall.take().is_some() {
                    log("firewall", json!({ "works": "again" }));
                }
                self.totals.applied += (banned + unbanned) as u64;
                for (net, why) in refused {
                    self.totals.refused += 1;
                    if self.told.insert(format!("refused {net}")) {
                        log("refused", json!({ "net": net, "why": why }));
                    }
                }
            }
            Word::Failed(why) => {
                if self.state.firewall.is_none() {
                    log("firewall", json!({ "failed": why }));
                }
                self.state.firewall = Some(why);
                // What was to be lifted is not among what a restore puts back.
                let lifts = self.asked.pop_front().unwrap_or_default();
                self.actions.extend(lifts);
                self.restoring = None;
                self.restore_soon(Duration::from_secs(2));
            }
            Word::Ineffective(net, why) => {
                if self.state.ineffective.is_none() {
                    log("ineffective", json!({ "net": net, "why": why }));
                }
                self.state.ineffective = Some((net, why));
            }
            Word::Effective => {
                self.state.ineffective = None;
                self.state.leaks.clear();
            }
            Word::Lost => {
                log(
                    "firewall",
                    json!({ "rules": "were removed by somebody; put back" }),
                );
                self.restore_soon(Duration::ZERO);
            }
            Word::Firewall(name, expires) => self.firewall = (name, expires),
            Word::Stop => self.stop = true,
        }
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

    /// Takes over what another program did to the bans: a part at a time.
    fn adopt(&mut self, look: bool) {
        if !look && !self.adopting {
            return;
        }
        let news = self.store.changed();
        self.adopting = news.is_some();
        let actions: Vec<Action> = news
            .into_iter()
            .flatten()
            .filter_map(|(net, ban)| self.decider.adopt(net, ban))
            .collect();
        if actions.is_empty() {
            return;
        }
        let added = actions.iter().filter(|a| matches!(a, Action::Ban(_)));
        let (added, some) = (added.clone().count(), added.map(Action::net).take(20));
        log(
            "bans",
            json!({ "added": added, "some": some.collect::<Vec<_>>(), "removed": actions.len() - added }),
        );
        self.actions.extend(actions);
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

    /// Looks, on a thread of its own, whether what sshd writes comes to what is followed.
    fn walk(&mut self) {
        if let Some(answer) = &self.walk {
            match answer.try_recv() {
                Ok(breaks) => self.state.breaks = breaks,
                Err(mpsc::TryRecvError::Empty) => return,
                Err(mpsc::TryRecvError::Disconnected) => {}
            }
            self.walk = None;
        }
        if self.walked.is_some_and(|w| w.elapsed() < WALK) {
            return;
        }
        self.walked = Some(Instant::now());
        let followed = tail::followed(&self.config);
        let (send, answer) = mpsc::channel();
        let started = std::thread::Builder::new()
            .name("walk".to_owned())
            .spawn(move || send.send(logging::breaks(&Machine::here(), &followed)));
        if started.is_ok() {
            self.walk = Some(answer);
        }
    }

    /// Judges whether we see, and says what is new.
    fn look(&mut self, clock: Time) {
        self.state.up = self.started.elapsed();
        let before = std::mem::take(&mut self.state.logs);
        self.state.logs = self
            .tails
            .iter()
            .map(|t| {
                let sight = t.sight();
                let was = before.iter().find(|l| l.name == t.name);
                let news = was.is_none_or(|w| w.sight.ssh != sight.ssh);
                let fresh = t.caught_up
                    && t.last_line
                        .is_some_and(|l| l.elapsed() < Duration::from_secs(2));
                let off = clock.0 - sight.last;
                Log {
                    name: t.name.clone(),
                    open: t.is_open(),
                    sight,
                    silent: t.last_line.map(|l| l.elapsed()),
                    skew: match was {
                        _ if news && fresh && off.abs() > SKEW => off,
                        _ if news && fresh => 0,
                        Some(w) => w.skew,
                        None => 0,
                    },
                    steps: t.watch().clock().steps,
                }
            })
            .collect();
        let found = sight::judge(&self.state);
        for f in &found {
            if !self.findings.iter().any(|old| same(old, f)) {
                log("finding", json!({ "finding": f }));
                self.notifier.send(&Alert::of(f, "blind", f.slug, clock));
            }
        }
        for f in &self.findings {
            if !found.iter().any(|new| same(new, f)) {
                log("resolved", json!({ "headline": f.headline }));
            }
        }
        self.findings = found;
    }

    fn sight(&self) -> Sight {
        self.tails
            .iter()
            .map(Tail::sight)
            .fold(Sight::default(), |mut all, s| {
                all.lines += s.lines;
                all.ssh += s.ssh;
                all.unknown += s.unknown;
                all.failures += s.failures;
                all.accepted += s.accepted;
                all.nameless += s.nameless;
                all.suppressed += s.suppressed;
                all.last = all.last.max(s.last);
                all
            })
    }

    fn show(&mut self) {
        if self.server.is_none() {
            return;
        }
        let s = self.sight();
        let mut page = Page::default();
        let mut one = |name, kind, help, value: f64| {
            page.family(name, kind, help);
            page.sample(&[], value);
        };
        use Kind::{Counter, Gauge};
        one(
            "sshwhy_guard_lines_total",
            Counter,
            "Lines read.",
            s.lines as f64,
        );
        one(
            "sshwhy_guard_ssh_lines_total",
            Counter,
            "Lines about logins.",
            s.ssh as f64,
        );
        one(
            "sshwhy_guard_unknown_lines_total",
            Counter,
            "Lines of sshd that are not understood.",
            s.unknown as f64,
        );
        one(
            "sshwhy_guard_failures_total",
            Counter,
            "Failures counted.",
            s.failures as f64,
        );
        one(
            "sshwhy_guard_accepted_total",
            Counter,
            "Logins accepted.",
            s.accepted as f64,
        );
        one(
            "sshwhy_guard_banned",
            Gauge,
            "Networks that are banned.",
            self.decider.ban_count() as f64,
        );
        one(
            "sshwhy_guard_sources",
            Gauge,
            "Sources that are counted.",
            self.decider.source_count() as f64,
        );
        one(
            "sshwhy_guard_sources_forgotten_total",
            Counter,
            "Sources that gave way to others.",
            self.decider.forgotten as f64,
        );
        one(
            "sshwhy_guard_spared_total",
            Counter,
            "Bans that the never-list prevented.",
            self.totals.spared as f64,
        );
        one(
            "sshwhy_guard_refused_total",
            Counter,
            "Actions that the privileged half refused.",
            self.totals.refused as f64,
        );
        one(
            "sshwhy_guard_commits_total",
            Counter,
            "Commits of the state.",
            self.totals.commits as f64,
        );
        one(
            "sshwhy_guard_blind",
            Gauge,
            "Findings of high severity or more about guard itself.",
            self.findings
                .iter()
                .filter(|f| f.severity >= Severity::High)
                .count() as f64,
        );
        one("sshwhy_guard_up", Gauge, "1 while guard runs.", 1.0);
        page.family("sshwhy_guard_bans_total", Counter, "Bans by detector.");
        for (detector, n) in &self.totals.bans {
            page.sample(&[("detector", detector)], *n as f64);
        }
        page.family("sshwhy_guard_log_open", Gauge, "Whether a log can be read.");
        for log in &self.state.logs {
            page.sample(&[("log", &log.name)], f64::from(u8::from(log.open)));
        }
        let ill = self
            .findings
            .first()
            .filter(|f| f.severity >= Severity::High)
            .map(|f| f.headline.clone());
        *self.board.0.lock().unwrap_or_else(PoisonError::into_inner) = (page.into_text(), ill);
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

    fn answer(&mut self, request: Request) -> serde_json::Value {
        let clock = now();
        match request {
            Request::Status => {
                self.look(clock);
                json!({
                    "findings": self.findings,
                    "logs": self.tails.iter().map(|t| json!({
                        "name": t.name, "open": t.is_open(), "behind": t.is_behind(), "sight": t.sight(),
                        "connections": t.watch().open_connections(),
                    })).collect::<Vec<_>>(),
                    "banned": self.decider.ban_count(),
                    "bans_decided": self.totals.bans,
                    "sources": self.decider.source_count(),
                    "forgotten": self.decider.forgotten,
                    "spared": self.totals.spared,
                    "refused": self.totals.refused,
                    "applied": self.totals.applied,
                    "commits": self.totals.commits,
                    "firewall": self.firewall.0,
                    "confined": self.confined,
                    "never": self.decider.never.entries().len(),
                    "up": self.started.elapsed().as_secs(),
                    "panic": self.state.panic,
                })
            }
            Request::Why { ip } => json!({
                "addr": ip,
                "ban": self.decider.ban_over(ip, clock),
                "never": self.decider.never.holds(ip, clock),
                "counted": self.decider.source_at(ip),
            }),
            Request::Seen { ip, user } => {
                json!({ "seen": self.own.iter().any(|(a, u)| *a == ip && *u == user) })
            }
            Request::Canary { seen, what } => {
                self.state.canary = (!seen).then_some(what);
                self.look(clock);
                json!({ "noted": true })
            }
        }
    }
}

fn same(a: &Finding, b: &Finding) -> bool {
    // Numbers change; what is wrong does not.
    let words =
        |f: &Finding| -> String { f.headline.chars().filter(|c| !c.is_ascii_digit()).collect() };
    a.slug == b.slug && words(a) == words(b)
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
