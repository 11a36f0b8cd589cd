//! `monitor`: is SSH up, well and unchanged over there? Once for a person or a plugin, or for ever from a file.

use super::report::print;
use crate::cli::{Monitor as Args, TextOrJson};
use crate::exit::Exit;
use crate::monitor::check::{self, Target};
use crate::monitor::settings::{self, Files, Watch};
use crate::monitor::{daemon, store};
use serde::Serialize;
use sshwhy_core::finding::{Finding, Severity};
use sshwhy_core::monitor::{Change, Depth, Expect, News, Outcome, Rules, Track};
use sshwhy_core::render::{escape, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where the history lies where nothing else is said.
fn own_state() -> PathBuf {
    if crate::sys::user_id() == 0 {
        return PathBuf::from("/var/lib/sshwhy/monitor.db");
    }
    let home = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    home("XDG_STATE_HOME")
        .or_else(|| home("HOME").map(|h| h.join(".local/state")))
        .unwrap_or_default()
        .join("sshwhy/monitor.db")
}

/// For a plugin, what could not be done is unknown: 3.
const UNKNOWN: u8 = 3;

pub fn run(args: Args) -> Result<Exit, String> {
    let nagios = args.nagios;
    match go(args) {
        Err(e) if nagios => {
            print(format!("SSH UNKNOWN - {}\n", escape::terminal(&e)).as_bytes())?;
            Ok(Exit::Status(UNKNOWN))
        }
        other => other,
    }
}

fn go(args: Args) -> Result<Exit, String> {
    let from_file = match &args.config {
        Some(path) => Some((path.clone(), settings::read(path)?)),
        None => None,
    };
    if let Some(name) = &args.forget {
        let state = args
            .state
            .clone()
            .or_else(|| from_file.as_ref().and_then(|f| f.1.state.clone()));
        return forget(name, &state.unwrap_or_else(own_state));
    }
    if args.check {
        let Some((path, settings)) = from_file else {
            return Err("--check needs --config FILE".to_owned());
        };
        print(format!("{}: {} endpoints\n", path.display(), settings.watches.len()).as_bytes())?;
        return Ok(Exit::Ok);
    }
    let once = args.once || args.nagios || !args.hosts.is_empty();
    match (from_file, once) {
        (Some((path, settings)), false) => {
            let state = args.state.or_else(|| settings.state.clone());
            daemon::run(&path, state.unwrap_or_else(own_state), settings)?;
            Ok(Exit::Ok)
        }
        (from_file, true) => {
            let mut watches: Vec<Arc<Watch>> = from_file.map(|f| f.1.watches).unwrap_or_default();
            if !args.hosts.is_empty() {
                // Hosts that the file knows by name are checked as it says.
                let known = std::mem::take(&mut watches);
                for host in &args.hosts {
                    match known.iter().find(|w| w.name == *host) {
                        Some(w) => watches.push(Arc::clone(w)),
                        None => watches.push(Arc::new(typed(host, &args)?)),
                    }
                }
            }
            if watches.is_empty() {
                return Err("nothing to check: name a host, or --config FILE".to_owned());
            }
            check_once(&watches, &args)
        }
        (None, false) => Err(
            "say what to watch: --config FILE, or hosts to check once: sshwhy monitor --once web1 web2:2222"
                .to_owned(),
        ),
    }
}

fn forget(name: &str, state: &Path) -> Result<Exit, String> {
    // Opening would make it.
    if !state.exists() {
        return Err(format!(
            "{}: not there, so nothing is remembered of {name:?}",
            state.display()
        ));
    }
    let (mut store, moved) = store::Store::open(state)?;
    if let Some(moved) = moved {
        eprintln!("sshwhy monitor: {moved}");
    }
    if !store.forget(name)? {
        return Err(format!("{}: no endpoint {name:?} in it", state.display()));
    }
    print(
        format!(
            "{}: forgot the keys, ident and algorithms of {name}; the next check learns them anew, also that of a monitor that runs\n",
            escape::terminal(&state.display().to_string())
        )
        .as_bytes(),
    )?;
    Ok(Exit::Ok)
}

/// `[user@]host[:port]`, `[v6]:port`.
fn typed(text: &str, args: &Args) -> Result<Watch, String> {
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (args.user.clone(), text),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => {
            let port = port
                .parse()
                .map_err(|_| format!("{text:?}: {port:?} is no port"))?;
            (host.trim_matches(['[', ']']).to_owned(), port)
        }
        _ => (rest.trim_matches(['[', ']']).to_owned(), args.port),
    };
    if host.is_empty() || host.starts_with('-') {
        return Err(format!("{text:?} is no host"));
    }
    let mut files = Files::default();
    let login = match (args.depth >= Depth::Auth, &user, &args.identity) {
        (false, _, _) => None,
        (true, Some(user), Some(identity)) => Some(files.login(user, identity, &args.command)?),
        (true, _, _) => {
            return Err(format!(
                "depth {} needs user@{host} and --identity FILE",
                args.depth.name()
            ));
        }
    };
    let known_hosts = match &args.known_hosts {
        Some(path) => Some(files.known_hosts(path)?),
        None => None,
    };
    Ok(Watch {
        name: text.to_owned(),
        target: Target {
            host,
            port,
            depth: args.depth,
            timeout: args.timeout.0,
            family: None,
            key_types: Vec::new(),
            certificate: true,
            known_hosts,
            login,
        },
        interval: Duration::from_secs(60),
        expect: Expect {
            host_keys: args.host_key.clone(),
            ident: args.expect_ident.clone(),
            algorithms: Vec::new(),
            forbid: Vec::new(),
        },
        rules: Rules::default(),
        push: None,
    })
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    depth: &'static str,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

#[derive(Serialize)]
struct Answer<'a> {
    findings: Vec<&'a Finding>,
    checks: Vec<Shown<'a>>,
}

type Checked = (Arc<Watch>, Outcome, Vec<News>);

fn check_once(watches: &[Arc<Watch>], args: &Args) -> Result<Exit, String> {
    let mut tracks = match &args.state {
        Some(path) => store::Store::open(path)?.0.tracks()?,
        None => Default::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(32)
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    let outcomes = runtime.block_on(async {
        let permits = Arc::new(tokio::sync::Semaphore::new(200));
        let mut running = Vec::new();
        for w in watches {
            let (w, permits) = (Arc::clone(w), Arc::clone(&permits));
            running.push(tokio::spawn(async move {
                let _permit = permits.acquire().await;
                check::run(&w.target).await
            }));
        }
        let mut outcomes = Vec::new();
        for r in running {
            outcomes.push(r.await.map_err(|e| format!("a check ended badly: {e}"))?);
        }
        Ok::<_, String>(outcomes)
    })?;
    runtime.shutdown_timeout(Duration::from_millis(100));
    let mut all: Vec<Checked> = Vec::new();
    for (w, outcome) in watches.iter().zip(outcomes) {
        let mut track: Track = tracks.remove(&w.name).unwrap_or_default();
        // What was said before is said again to one who asks now, and nothing is tried again.
        track = track.unsaid();
        let rules = Rules {
            retries: 0,
            slow: args.warning.map(|s| s.0.as_secs_f64()).or(w.rules.slow),
            ..w.rules
        };
        let news = track.take(&daemon::subject(w), &outcome, &w.expect, &rules, false);
        all.push((Arc::clone(w), outcome, news));
    }
    if args.nagios {
        return nagios(&all, args);
    }
    let ours: Vec<&Outcome> = all
        .iter()
        .map(|c| &c.1)
        .filter(|o| o.failure.as_ref().is_some_and(|f| f.ours))
        .collect();
    let mut findings: Vec<&Finding> = all.iter().flat_map(|c| &c.2).map(|n| &n.finding).collect();
    findings.sort_by(|a, b| Finding::order(a, b));
    let text = match args.format {
        TextOrJson::Json => json::to_string(
            &Answer {
                checks: all
                    .iter()
                    .map(|(w, outcome, _)| Shown {
                        name: &w.name,
                        depth: w.target.depth.name(),
                        outcome,
                    })
                    .collect(),
                findings: findings.clone(),
            },
            false,
        ),
        TextOrJson::Text => all.iter().map(line).collect(),
    };
    print(text.as_bytes())?;
    let findings: Vec<Finding> = findings.into_iter().cloned().collect();
    Ok(Exit::of(&findings, !ours.is_empty()))
}

fn line((w, o, news): &Checked) -> String {
    let mut out = String::new();
    let name = escape::terminal(&w.name);
    match &o.failure {
        Some(f) if f.ours => {
            out.push_str(&format!("?     {name}  {}\n", escape::terminal(&f.text)))
        }
        Some(f) => out.push_str(&format!(
            "down  {name}  {}: {}\n",
            f.phase.name(),
            escape::terminal(&f.text)
        )),
        None => out.push_str(&format!("up    {name}  {}\n", summary(w, o))),
    }
    for n in news {
        if n.change != Change::Down {
            let text = escape::terminal(&n.finding.headline).into_owned();
            out.push_str(&format!("      {}: {text}\n", n.finding.severity.name()));
        } else if n.finding.cause.is_some()
            && let Some(why) = n.finding.notes.first()
        {
            out.push_str(&format!("      likely: {}\n", escape::terminal(why)));
        }
        if let Some(step) = n.finding.remedy.first() {
            let command = step.command.as_deref().map(|c| format!("\n      $ {c}"));
            out.push_str(&format!(
                "      next: {}{}\n",
                step.action,
                command.unwrap_or_default()
            ));
        }
    }
    for note in &o.notes {
        out.push_str(&format!("      note: {}\n", escape::terminal(note)));
    }
    out
}

fn summary(w: &Watch, o: &Outcome) -> String {
    let mut parts = Vec::new();
    if let Some(ident) = &o.ident {
        parts.push(escape::terminal(ident.trim_start_matches("SSH-2.0-")).into_owned());
    }
    if let Some(k) = &o.host_key {
        let kind = escape::terminal(&k.kind);
        parts.push(format!("{kind} {}", k.fingerprint));
    }
    let phases: Vec<String> = o
        .phases
        .iter()
        .map(|(p, t)| format!("{} {:.1} ms", p.name(), t * 1000.0))
        .collect();
    parts.push(format!("{:.1} ms ({})", o.took * 1000.0, phases.join(", ")));
    format!("{} in {}", w.target.depth.name(), parts.join(", "))
}

/// Plugin output (monitoring-plugins guidelines): one line, `|`, performance data; more lines for more endpoints.
fn nagios(all: &[Checked], args: &Args) -> Result<Exit, String> {
    const WORDS: [&str; 4] = ["OK", "WARNING", "CRITICAL", "UNKNOWN"];
    let status = |(_, o, news): &Checked| -> u8 {
        match &o.failure {
            Some(f) if f.ours => UNKNOWN,
            Some(_) => 2,
            None if news.iter().any(|n| n.change == Change::Changed) => 2,
            None if args.critical.is_some_and(|c| o.took > c.0.as_secs_f64()) => 2,
            None if news.iter().any(|n| n.finding.severity >= Severity::High) => 2,
            None if news.is_empty() => 0,
            None => 1,
        }
    };
    // Critical is worse than unknown.
    let rank = |s: u8| [0, 1, 3, 2].get(usize::from(s)).copied().unwrap_or(2);
    let worst = all
        .iter()
        .map(status)
        .max_by_key(|s| rank(*s))
        .unwrap_or(UNKNOWN);
    // A bar would begin the performance data, wherever it came from.
    let clean = |text: &str| escape::terminal(text).replace('|', "/");
    let said = |c: &Checked| {
        let (w, o, news) = c;
        let text = match (&o.failure, news.first()) {
            (Some(f), _) => format!("{}: {}", f.phase.name(), f.text),
            (None, Some(n)) => n.finding.headline.clone(),
            (None, None) => summary(w, o),
        };
        format!("{}: {}", clean(&w.name), clean(&text))
    };
    let word = |s: u8| WORDS.get(usize::from(s)).copied().unwrap_or("UNKNOWN");
    let mut out = format!("SSH {} - ", word(worst));
    if let [one] = all {
        out.push_str(&said(one));
    } else {
        let good = all.iter().filter(|c| status(c) == 0).count();
        out.push_str(&format!("{good} of {} endpoints are well", all.len()));
    }
    let mut data = Vec::new();
    for (i, (w, o, _)) in all.iter().enumerate() {
        let label = |name: &str| {
            if all.len() == 1 {
                name.to_owned()
            } else {
                let host: String = w
                    .name
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || "._-:[]".contains(*c))
                    .collect();
                format!("'{host}_{i}_{name}'")
            }
        };
        let limit = |s: Option<crate::settings::Span>| {
            s.map_or(String::new(), |s| s.0.as_secs_f64().to_string())
        };
        data.push(format!(
            "{}={:.6}s;{};{};0;{}",
            label("time"),
            o.took,
            limit(args.warning),
            limit(args.critical),
            w.target.timeout.as_secs_f64()
        ));
        for (phase, took) in &o.phases {
            data.push(format!("{}={took:.6}s;;;0", label(phase.name())));
        }
    }
    out.push_str(" | ");
    out.push_str(&data.join(" "));
    out.push('\n');
    if all.len() > 1 {
        for c in all {
            out.push_str(&format!("[{}] {}\n", word(status(c)), said(c)));
        }
    }
    print(out.as_bytes())?;
    Ok(Exit::Status(worst))
}
