//! Keeps time: every endpoint is checked at its interval, spread evenly, never twice at once; what is new goes to the
//! notifier, every result to the history, the last ones to `/metrics`.
//!
//! One thread does all of it (checks wait far more than they work); notifications and scrapes have threads of their own.
//! SIGHUP reads the file again, and a bad file changes nothing. SIGTERM ends it with everything written.

use super::check;
use super::settings::{self, Settings, Watch};
use super::store::Store;
use crate::cmd::reading::now;
use crate::sink::metrics::{Kind, Page, Server, Source};
use crate::sink::notify::{Alert, Notifier};
use sshwhy_core::monitor::{Depth, News, Outcome, State, Subject, Track, least_pause};
use sshwhy_core::render::escape;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Descriptors that are not for checks: the state file, channels, scrapes.
const SPARE_DESCRIPTORS: u64 = 64;
/// Push URLs called at once.
const PUSHES: usize = 8;
/// What is said once to standard error about one endpoint, and how often the history is pruned.
const PRUNE: Duration = Duration::from_secs(3600);

/// What is known of one endpoint.
struct Entry {
    watch: Arc<Watch>,
    track: Track,
    last: Option<Outcome>,
    checks: u64,
    failures: u64,
}

#[derive(Default)]
struct Board {
    entries: BTreeMap<String, Entry>,
    /// How late checks began: the sum and the worst, in seconds, and how many there were.
    slip_sum: f64,
    slip_worst: f64,
    starts: u64,
    skipped: u64,
    reloads: u64,
    reload_failed: bool,
    store_failed: bool,
    notifier: Option<Arc<Notifier>>,
    /// When each address was last called, for the pause that its version wants.
    called: BTreeMap<String, Instant>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Board>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until it is told to end. `state` is where the history lies.
pub fn run(path: &Path, state: PathBuf, first: Settings) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Name lookups and pushes block; a name server that hangs must not take a thousand threads.
        .max_blocking_threads(32)
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    let result = runtime.block_on(watch(path, &state, first));
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn watch(path: &Path, state: &Path, first: Settings) -> Result<(), String> {
    let (mut store, moved) = Store::open(state)?;
    if let Some(moved) = moved {
        eprintln!("sshwhy monitor: {moved}");
    }
    let shared = Shared(Arc::new(Mutex::new(Board::default())));
    let permits = Arc::new(Semaphore::new(descriptors()));
    let pushes = Arc::new(Semaphore::new(PUSHES));
    let (results, mut arrivals) = mpsc::channel::<Arrival>(1024);
    let mut tracks = store.tracks()?;
    let mut settings = first;
    let mut notifier = Arc::new(Notifier::start(&settings.notify, &this_host())?);
    let mut server = serve(&settings, &shared)?;
    let mut tasks = JoinSet::new();
    begin(
        &settings,
        &shared,
        &mut tracks,
        &notifier,
        &mut tasks,
        &results,
        &permits,
    );
    eprintln!(
        "sshwhy monitor: {}",
        described(&settings, state, server.as_ref())
    );
    let mut signals = Signals::new()?;
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pruned: Option<Instant> = None;
    loop {
        tokio::select! {
            arrival = arrivals.recv() => {
                if let Some(a) = arrival {
                    take(a, &shared, &settings, &notifier, &mut store, &pushes);
                }
                if store.waiting() > 2000 {
                    flush(&mut store, &shared);
                }
            }
            _ = tick.tick() => {
                for name in store.take_forgotten() {
                    forget(&name, &shared);
                }
                flush(&mut store, &shared);
                if pruned.is_none_or(|p| p.elapsed() > PRUNE) {
                    pruned = Some(Instant::now());
                    let age = i64::try_from(settings.history.as_micros()).unwrap_or(i64::MAX);
                    if let Err(e) = store.prune(now().0.saturating_sub(age), age) {
                        eprintln!("sshwhy monitor: {e}");
                    }
                }
            }
            signal = signals.next() => match signal {
                Signal::Reload => match reload(path, &settings, &shared) {
                    Ok((new, channels, listener)) => {
                        tasks.shutdown().await;
                        while let Ok(a) = arrivals.try_recv() {
                            take(a, &shared, &settings, &notifier, &mut store, &pushes);
                        }
                        tracks = std::mem::take(&mut shared.lock().entries)
                            .into_iter()
                            .map(|(name, e)| (name, e.track))
                            .collect();
                        // Those that were taken out and come back are remembered from before.
                        flush(&mut store, &shared);
                        for (name, track) in store.tracks().unwrap_or_default() {
                            tracks.entry(name).or_insert(track);
                        }
                        settings = new;
                        let old = std::mem::replace(&mut notifier, Arc::new(channels));
                        shared.lock().notifier = None;
                        end_channels(old);
                        if let Some(listener) = listener {
                            server = listener;
                        }
                        begin(&settings, &shared, &mut tracks, &notifier, &mut tasks, &results, &permits);
                        eprintln!("sshwhy monitor: read {} again: {}", path.display(), described(&settings, state, server.as_ref()));
                    }
                    Err(e) => {
                        shared.lock().reload_failed = true;
                        eprintln!("sshwhy monitor: {e}");
                        eprintln!("sshwhy monitor: nothing was changed; the settings from before stay");
                    }
                },
                Signal::End => break,
            }
        }
    }
    tasks.shutdown().await;
    while let Ok(a) = arrivals.try_recv() {
        take(a, &shared, &settings, &notifier, &mut store, &pushes);
    }
    flush(&mut store, &shared);
    shared.lock().notifier = None;
    end_channels(notifier);
    drop(server);
    Ok(())
}

/// The next check learns its keys, ident and algorithms anew; whether it is up stays known.
fn forget(name: &str, shared: &Shared) {
    let mut board = shared.lock();
    if let Some(entry) = board.entries.get_mut(name) {
        entry.track = std::mem::take(&mut entry.track).forgotten();
        eprintln!(
            "sshwhy monitor: forgot what was known of {}",
            escape::terminal(name)
        );
    }
}

fn end_channels(notifier: Arc<Notifier>) {
    if let Some(notifier) = Arc::into_inner(notifier) {
        notifier.finish(Duration::from_secs(3));
    }
}

fn flush(store: &mut Store, shared: &Shared) {
    let result = store.flush();
    let mut board = shared.lock();
    if let Err(e) = &result
        && !board.store_failed
    {
        eprintln!("sshwhy monitor: {e}");
    }
    board.store_failed = result.is_err();
}

type Reloaded = (Settings, Notifier, Option<Option<Server>>);

/// Everything that may fail, before anything is changed.
fn reload(path: &Path, old: &Settings, shared: &Shared) -> Result<Reloaded, String> {
    let new = settings::read(path)?;
    let channels = Notifier::start(&new.notify, &this_host())?;
    let listener = if new.metrics == old.metrics {
        None
    } else {
        Some(serve(&new, shared)?)
    };
    let mut board = shared.lock();
    board.reloads += 1;
    board.reload_failed = false;
    Ok((new, channels, listener))
}

fn serve(settings: &Settings, shared: &Shared) -> Result<Option<Server>, String> {
    let Some(addr) = settings.metrics else {
        return Ok(None);
    };
    Server::start(addr, Arc::new(shared.clone())).map(Some)
}

fn described(settings: &Settings, state: &Path, server: Option<&Server>) -> String {
    let metrics = server.map_or(String::new(), |s| {
        format!(", metrics at http://{}/metrics", s.addr)
    });
    let n = settings.watches.len();
    let s = if n == 1 { "" } else { "s" };
    format!(
        "watching {n} endpoint{s}, history in {}{metrics}",
        state.display()
    )
}

pub fn this_host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// How many checks may be under way: as many as there are descriptors for.
fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(65_536).min(65_536);
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    let have = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => limit.current.unwrap_or(1024),
    };
    usize::try_from(have.saturating_sub(SPARE_DESCRIPTORS))
        .unwrap_or(1024)
        .max(16)
}

/// Starts every endpoint's own loop.
fn begin(
    settings: &Settings,
    shared: &Shared,
    tracks: &mut BTreeMap<String, Track>,
    notifier: &Arc<Notifier>,
    tasks: &mut JoinSet<()>,
    results: &mpsc::Sender<Arrival>,
    permits: &Arc<Semaphore>,
) {
    let start = Instant::now();
    let mut board = shared.lock();
    board.notifier = Some(Arc::clone(notifier));
    board.entries.clear();
    let n = settings.watches.len();
    for (i, watch) in settings.watches.iter().enumerate() {
        let entry = Entry {
            watch: Arc::clone(watch),
            track: tracks.remove(&watch.name).unwrap_or_default(),
            last: None,
            checks: 0,
            failures: 0,
        };
        board.entries.insert(watch.name.clone(), entry);
        // Evenly over the interval, in an order that does not depend on the file's, so that endpoints of one server are
        // apart.
        let mut hasher = DefaultHasher::new();
        (&watch.name, i).hash(&mut hasher);
        let share = (hasher.finish() % 10_000) as f64 / 10_000.0;
        let first = if n == 1 {
            start
        } else {
            start + watch.interval.mul_f64(share)
        };
        tasks.spawn(each(
            Arc::clone(watch),
            first,
            shared.clone(),
            results.clone(),
            Arc::clone(permits),
        ));
    }
}

struct Arrival {
    name: String,
    outcome: Outcome,
}

/// One endpoint, for ever.
async fn each(
    watch: Arc<Watch>,
    first: Instant,
    shared: Shared,
    results: mpsc::Sender<Arrival>,
    permits: Arc<Semaphore>,
) {
    let mut next = first;
    let mut target = watch.target.clone();
    loop {
        sleep_until(next).await;
        let slip = next.elapsed().as_secs_f64();
        let pause = {
            let mut board = shared.lock();
            board.slip_sum += slip;
            board.slip_worst = board.slip_worst.max(slip);
            board.starts += 1;
            let pause = board.pause(&watch.name);
            if let Some(entry) = board.entries.get(&watch.name) {
                target.key_types = entry.track.keys.iter().map(|k| k.kind.clone()).collect();
            }
            pause
        };
        if let Some(until) = pause {
            sleep_until(until).await;
        }
        let Ok(permit) = permits.acquire().await else {
            return;
        };
        let outcome = check::run(&target).await;
        drop(permit);
        let arrival = Arrival {
            name: watch.name.clone(),
            outcome,
        };
        if results.send(arrival).await.is_err() {
            return;
        }
        next += watch.interval;
        let late = next.elapsed();
        if late > Duration::ZERO && next < Instant::now() {
            // A check that takes longer than its interval is not made up for.
            let missed = (late.as_secs_f64() / watch.interval.as_secs_f64()).ceil();
            shared.lock().skipped += missed as u64;
            next += watch.interval.mul_f64(missed);
        }
    }
}

impl Board {
    /// Until when the server of this endpoint wants to be left alone by this address; notes the call.
    fn pause(&mut self, name: &str) -> Option<Instant> {
        let entry = self.entries.get(name)?;
        let last = entry.last.as_ref()?;
        let addr = last.addr.clone()?;
        let depth = entry.watch.target.depth;
        if matches!(depth, Depth::Ping | Depth::HalfOpen) {
            return None;
        }
        let barred = last
            .failure
            .as_ref()
            .is_some_and(|f| f.word == "not-allowed");
        let failed = last.failure.is_some();
        let pause = if barred {
            30.0
        } else {
            let ident = last.ident.as_deref().or(entry.track.ident.as_deref());
            least_pause(ident, depth >= Depth::Auth, failed)
        };
        let now = Instant::now();
        let least = Duration::from_secs_f64(pause);
        let until = self
            .called
            .get(&addr)
            .map(|at| *at + least)
            .filter(|until| *until > now);
        if pause > 0.0 {
            self.called.insert(addr, until.unwrap_or(now));
        }
        until
    }
}

/// Judges a result, and hands on what is new.
fn take(
    a: Arrival,
    shared: &Shared,
    settings: &Settings,
    notifier: &Notifier,
    store: &mut Store,
    pushes: &Arc<Semaphore>,
) {
    let mut board = shared.lock();
    let Some(entry) = board.entries.get_mut(&a.name) else {
        return;
    };
    let watch = Arc::clone(&entry.watch);
    let quiet = settings
        .windows
        .iter()
        .any(|w| w.covers(&a.name, a.outcome.at, &settings.zone));
    let news = entry.track.take(
        &subject(&watch),
        &a.outcome,
        &watch.expect,
        &watch.rules,
        quiet,
    );
    entry.checks += 1;
    entry.failures += u64::from(a.outcome.failure.is_some());
    store.push(&a.name, &a.outcome, &entry.track, &news);
    let state = entry.track.state;
    entry.last = Some(a.outcome.clone());
    drop(board);
    for n in &news {
        say(n);
        let alert = Alert::of(&n.finding, n.change.name(), &a.name, a.outcome.at);
        notifier.send(&alert);
    }
    if let Some(url) = watch.push.clone() {
        push(url, state, &a.outcome, pushes);
    }
}

pub fn subject(watch: &Watch) -> Subject<'_> {
    Subject {
        name: &watch.name,
        host: &watch.target.host,
        port: watch.target.port,
        user: watch.target.login.as_ref().map(|l| l.user.as_str()),
    }
}

/// One line to standard output, for whoever reads the journal.
fn say(n: &News) {
    use std::io::Write;
    let line = format!(
        "{} {} {} {}",
        n.finding.last.unwrap_or_default(),
        n.change.name(),
        n.finding.severity.name(),
        escape::terminal(&n.finding.headline)
    );
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Uptime Kuma's push monitor: up for a good check, down once the endpoint is; nothing while it is being tried again.
fn push(url: String, state: State, outcome: &Outcome, pushes: &Arc<Semaphore>) {
    let word = match (&outcome.failure, state) {
        (None, State::Up) => "up",
        (_, State::Down) => "down",
        _ => return,
    };
    let Ok(permit) = Arc::clone(pushes).try_acquire_owned() else {
        return;
    };
    let text = outcome
        .failure
        .as_ref()
        .map_or("OK".to_owned(), |f| f.text.clone());
    let ms = format!("{:.1}", outcome.took * 1000.0);
    tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .build();
        let url = url.split('?').next().unwrap_or(&url).to_owned();
        let _ = ureq::Agent::new_with_config(config)
            .get(&url)
            .query("status", word)
            .query("msg", &text)
            .query("ping", &ms)
            .call();
        drop(permit);
    });
}

impl Source for Shared {
    fn metrics(&self) -> String {
        self.lock().page().into_text()
    }

    fn health(&self) -> Result<String, String> {
        let board = self.lock();
        if board.store_failed {
            return Err("the history cannot be written\n".to_owned());
        }
        if board.reload_failed {
            return Ok("ok, with the settings from before: the file was refused\n".to_owned());
        }
        Ok("ok\n".to_owned())
    }
}

impl Board {
    /// Names after blackbox_exporter's.
    fn page(&self) -> Page {
        type Value = fn(&Entry) -> Option<f64>;
        let mut page = Page::default();
        let families: [(&str, Kind, &str, Value); 9] = [
            (
                "probe_success",
                Kind::Gauge,
                "Whether the last check reached its depth",
                |e| e.last.as_ref().map(|o| f64::from(o.failure.is_none())),
            ),
            (
                "probe_total_duration_seconds",
                Kind::Gauge,
                "How long the last check took",
                |e| e.last.as_ref().map(|o| o.took),
            ),
            (
                "sshwhy_monitor_up",
                Kind::Gauge,
                "1 up, 0 down after its retries",
                |e| match e.track.state {
                    State::Unknown => None,
                    State::Up => Some(1.0),
                    State::Down => Some(0.0),
                },
            ),
            (
                "sshwhy_monitor_flapping",
                Kind::Gauge,
                "Whether alerts are held back because it changes too often",
                |e| Some(f64::from(e.track.flapping)),
            ),
            (
                "sshwhy_monitor_warnings",
                Kind::Gauge,
                "Standing warnings: drift, certificates, changed keys",
                |e| Some(e.track.warnings.len() as f64),
            ),
            (
                "sshwhy_monitor_checks_total",
                Kind::Counter,
                "Checks made",
                |e| Some(e.checks as f64),
            ),
            (
                "sshwhy_monitor_failures_total",
                Kind::Counter,
                "Checks that failed",
                |e| Some(e.failures as f64),
            ),
            (
                "probe_ssh_host_key_changed",
                Kind::Gauge,
                "Whether the host key is another than the pinned or remembered one",
                |e| {
                    Some(f64::from(
                        e.track.warnings.iter().any(|w| w == "host-key-changed"),
                    ))
                },
            ),
            (
                "probe_ssh_host_certificate_expiry_timestamp_seconds",
                Kind::Gauge,
                "When the host certificate ends",
                |e| {
                    let key = e.last.as_ref()?.host_key.as_ref()?;
                    key.valid_before
                        .filter(|v| *v != u64::MAX)
                        .map(|v| v as f64)
                },
            ),
        ];
        for (name, kind, help, value) in families {
            page.family(name, kind, help);
            for (target, e) in &self.entries {
                if let Some(v) = value(e) {
                    let depth = e.watch.target.depth.name();
                    page.sample(&[("target", target), ("depth", depth)], v);
                }
            }
        }
        page.family(
            "probe_duration_seconds",
            Kind::Gauge,
            "How long each phase of the last check took",
        );
        for (target, e) in &self.entries {
            for (phase, took) in e.last.iter().flat_map(|o| &o.phases) {
                page.sample(&[("target", target), ("phase", phase.name())], *took);
            }
        }
        page.family(
            "probe_ssh_info",
            Kind::Gauge,
            "What the server says it is, and its host key",
        );
        for (target, e) in &self.entries {
            let Some(ident) = e.last.as_ref().and_then(|o| o.ident.as_deref()) else {
                continue;
            };
            let key = e.last.as_ref().and_then(|o| o.host_key.as_ref());
            let print = key.map_or("", |k| k.fingerprint.as_str());
            let ident = escape::terminal(ident);
            page.sample(
                &[("target", target), ("ident", &ident), ("host_key", print)],
                1.0,
            );
        }
        for (name, kind, help, value) in [
            (
                "sshwhy_monitor_schedule_slip_seconds_sum",
                Kind::Counter,
                "How late checks began, together",
                self.slip_sum,
            ),
            (
                "sshwhy_monitor_schedule_slip_seconds_count",
                Kind::Counter,
                "Checks begun",
                self.starts as f64,
            ),
            (
                "sshwhy_monitor_schedule_slip_seconds_max",
                Kind::Gauge,
                "How late the latest began",
                self.slip_worst,
            ),
            (
                "sshwhy_monitor_skipped_total",
                Kind::Counter,
                "Checks left out because the one before was still under way",
                self.skipped as f64,
            ),
            (
                "sshwhy_monitor_reloads_total",
                Kind::Counter,
                "Times that the settings were read again",
                self.reloads as f64,
            ),
            (
                "sshwhy_monitor_reload_failed",
                Kind::Gauge,
                "Whether the last reading was refused",
                f64::from(self.reload_failed),
            ),
        ] {
            page.family(name, kind, help);
            page.sample(&[], value);
        }
        let fares = self
            .notifier
            .as_ref()
            .map(|n| n.fares())
            .unwrap_or_default();
        for (name, help, of) in [
            ("sshwhy_notify_sent_total", "Messages sent", 0),
            (
                "sshwhy_notify_failed_total",
                "Messages that could not be sent",
                1,
            ),
            (
                "sshwhy_notify_dropped_total",
                "Alerts that found the queue full",
                2,
            ),
        ] {
            page.family(name, Kind::Counter, help);
            for f in &fares {
                let value = [f.sent, f.failed, f.dropped].get(of).copied().unwrap_or(0);
                page.sample(&[("channel", &f.channel)], value as f64);
            }
        }
        page
    }
}

enum Signal {
    Reload,
    End,
}

struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Signals, String> {
        use tokio::signal::unix::{SignalKind, signal};
        let of = |kind| signal(kind).map_err(|e| format!("cannot wait for signals: {e}"));
        Ok(Signals {
            hangup: of(SignalKind::hangup())?,
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
        }
    }
}
