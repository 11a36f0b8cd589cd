//! `config simulate`: what the limits do under a load, given as rates or replayed from a log; as a table and as a picture.

use super::Desk;
use crate::cli::{Attack, ConfigSimulate, Reading};
use crate::exit::Exit;
use crate::pipeline::{self, Printed, Printer};
use serde_json::{Value, json};
use sshwhy_core::addr::Addr;
use sshwhy_core::analysis::Analysis;
use sshwhy_core::config::effective::{Effective, effective};
use sshwhy_core::config::simulate::limits::{self, Limits, Method};
use sshwhy_core::config::simulate::load::{self, Arrival, Fate, Line, Rates, Said};
use sshwhy_core::config::simulate::run::{self, Outcome, Patience, Remedy, Tally};
use sshwhy_core::config::simulate::{Load, MaxStartups, settle};
use sshwhy_core::detect::Detectors;
use sshwhy_core::event::catalog;
use sshwhy_core::names::Limits as NameLimits;
use sshwhy_core::render::json as view;
use sshwhy_core::render::simulation::{self, seconds};
use sshwhy_core::render::{escape, words};
use sshwhy_core::scan::{Scanner, UNKNOWN};
use sshwhy_core::session::Role;
use std::ffi::OsString;
use std::sync::Mutex;

/// A login that a log shows.
pub(super) struct Login {
    pub user: String,
    pub addr: String,
    pub method: String,
}

/// What a log shows of connections and logins.
#[derive(Default)]
pub(super) struct Seen {
    pub lines: Vec<Line>,
    pub logins: Vec<Login>,
    /// `RSA`, `ED25519`, …
    pub key_types: Vec<String>,
    pub notes: Vec<String>,
}

impl Seen {
    pub(super) fn read(logs: &[OsString], tz: &str, year: Option<i32>) -> Result<Seen, String> {
        let reading = Reading {
            logs: logs.to_vec(),
            tz: tz.to_owned(),
            year,
            since: None,
            until: None,
            addr: Vec::new(),
            user: Vec::new(),
            host: Vec::new(),
            threads: None,
        };
        let ready = super::super::reading::ready(&reading)?;
        let mut analysis = Analysis::new(
            ready.zone.clone(),
            ready.filter,
            NameLimits::default(),
            Detectors::off(),
        );
        for name in &ready.feed.names {
            analysis.file(name);
        }
        for (file, set) in &ready.feed.shared {
            analysis.share(*file, *set);
        }
        let feed = Mutex::new(ready.feed);
        let collector = Collector::default();
        pipeline::run(
            &feed,
            analysis,
            &ready.zone,
            ready.threads,
            Some(&collector),
            &|_| {},
        );
        let broken = || "a worker failed; this is a bug, and its message stands above".to_owned();
        let feed = feed.into_inner().map_err(|_| broken())?;
        let mut seen = collector.0.into_inner().map_err(|_| broken())?;
        for s in &feed.skipped {
            seen.notes.push(format!("{}: {}", s.name, s.what));
        }
        if seen.lines.is_empty() {
            let why = seen.notes.first().map_or_else(
                || "no line there names a connection to sshd".to_owned(),
                |n| escape::terminal(n).into_owned(),
            );
            return Err(format!("nothing to go by in the log: {why}"));
        }
        seen.lines.sort_by_key(|l| (l.time, l.source, l.port));
        Ok(seen)
    }
}

#[derive(Default)]
struct Collector(Mutex<Seen>);

impl Printer for Collector {
    fn print(&self, scanner: &mut Scanner, block: &Printed<'_>, _: &mut Vec<u8>) {
        let catalog = catalog();
        let addrs = block.names.addrs();
        let users = block.names.users();
        let records = &block.scanned.records;
        let mut mine = Seen::default();
        // Number of the line, user and address, for lines whose method is wanted.
        let mut accepted: Vec<(u32, String, String)> = Vec::new();
        for (i, (record, resolved)) in records.iter().zip(block.resolved).enumerate() {
            let (addr, user) = block.names.of(i);
            let Some(Addr::Ip(ip)) = addr.and_then(|a| addrs.get(a as usize)) else {
                continue;
            };
            let (Some(time), false) = (resolved.time, resolved.row == UNKNOWN) else {
                continue;
            };
            let said = match Role::of(catalog.row(resolved.row)) {
                Role::Connection => Said::Came,
                Role::Accepted => Said::Accepted,
                Role::Failed | Role::FailedKey | Role::FailedPam | Role::FailedDialogue => {
                    Said::Failed
                }
                Role::InvalidUser | Role::NotAllowed | Role::TooManyFailures => Said::Failed,
                Role::Timeout => Said::TimedOut,
                Role::Dropped => Said::Dropped,
                Role::Closed | Role::Silent | Role::Probe | Role::LoggedOut => Said::Ended,
                Role::SessionClosed | Role::Symptom | Role::Other => continue,
            };
            if said == Said::Accepted {
                let user = user
                    .and_then(|u| users.get(u as usize))
                    .cloned()
                    .unwrap_or_default();
                accepted.push((record.line, user, ip.to_string()));
            }
            if resolved.port != 0 {
                mine.lines.push(Line {
                    time: time.0,
                    source: *ip,
                    port: resolved.port,
                    said,
                });
            }
        }
        let mut ahead = accepted.iter().peekable();
        let mut wanted = accepted.iter().map(|(l, ..)| *l).peekable();
        scanner.lines_again(
            &block.parcel.block.bytes,
            block.parcel.years,
            block.zone,
            |number| wanted.next_if(|l| *l == number).is_some(),
            |line| {
                let Some((_, user, addr)) = ahead.next_if(|(l, ..)| *l == line.number) else {
                    return;
                };
                let Some(event) = line.event else { return };
                let said = |b: Option<&[u8]>| {
                    b.map(|b| String::from_utf8_lossy(b).into_owned())
                        .unwrap_or_default()
                };
                let kind = said(event.key_type());
                if !kind.is_empty() && !mine.key_types.contains(&kind) {
                    mine.key_types.push(kind);
                }
                mine.logins.push(Login {
                    user: user.clone(),
                    addr: addr.clone(),
                    method: said(event.method()),
                });
            },
        );
        let Ok(mut all) = self.0.lock() else { return };
        all.lines
            .extend(mine.lines.into_iter().take(load::MOST * 4));
        all.logins.extend(mine.logins);
        for kind in mine.key_types {
            if !all.key_types.contains(&kind) {
                all.key_types.push(kind);
            }
        }
        all.key_types.sort();
    }

    fn write(&self, _: &[u8]) -> bool {
        true
    }
}

/// What is simulated.
struct Scene {
    arrivals: Vec<Arrival>,
    /// What comes, in words.
    load: String,
    notes: Vec<String>,
}

impl Desk {
    pub(super) fn simulate(&self, a: &ConfigSimulate) -> Result<Exit, String> {
        let sound = |n: f64| n.is_finite() && n >= 0.0;
        let numbers = [a.rate, a.hold, a.attack_rate, a.retry, a.speed];
        if !numbers.into_iter().all(sound) || !(0.0..=1.0).contains(&a.target) || a.speed <= 0.0 {
            return Err(
                "rates and times are not negative, and the target is a share between 0 and 1"
                    .to_owned(),
            );
        }
        let config = self.read(&a.file)?;
        let broken = self.complaints(&config);
        let e = effective(&config, None);
        let mut limits = Limits::of(&e)
            .ok_or_else(|| format!("MaxStartups {} lets nobody in", e.value("MaxStartups")))?;
        if let Some(text) = &a.max_startups {
            limits.startups = MaxStartups::parse(text)
                .ok_or_else(|| format!("{text:?} is no MaxStartups: start:rate:full"))?;
        }
        let scene = scene(a, &limits)?;
        let patience = Patience {
            pause: a.retry,
            tries: a.tries,
        };
        let outcome = run::run(&scene.arrivals, &limits, patience, a.seed);
        let refused = match outcome.wanted.came {
            0 => outcome.others.first_refused(),
            _ => outcome.wanted.first_refused(),
        };
        let remedies = match refused <= a.target {
            true => Vec::new(),
            false => run::remedies(
                &scene.arrivals,
                &limits,
                patience,
                a.target,
                a.seed,
                self.release,
            ),
        };
        if let Some(path) = &a.svg {
            let drawn = simulation::svg(
                "sshd under load",
                &[head(&limits), scene.load.clone(), summary(&outcome, a)],
                limits.startups,
                &outcome,
            );
            std::fs::write(path, drawn)
                .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        let login = self.login(a, &e);
        let text = match self.json {
            true => in_json(a, &limits, &scene, &outcome, &remedies, &login),
            false => in_text(a, &limits, &scene, &outcome, refused, &remedies, &login),
        };
        super::super::report::print(text.as_bytes())?;
        Ok(if broken { Exit::Partial } else { Exit::Ok })
    }

    /// What the limits leave to one login.
    fn login(&self, a: &ConfigSimulate, e: &Effective) -> OneLogin {
        let most = u32::try_from(e.number("MaxAuthTries")).unwrap_or(u32::MAX);
        let pam = a.pam_tries.or_else(|| {
            let pam = e.is("UsePAM", "yes");
            pam.then(|| self.faillock(&pam_service(e))).flatten()
        });
        // Keys first, then passwords, as clients do.
        let offers: Vec<Method> = (0..most.min(1000))
            .map(|n| {
                if n < a.keys {
                    Method::Key
                } else {
                    Method::Password
                }
            })
            .collect();
        let keys = vec![Method::Key; most.min(1000) as usize];
        OneLogin {
            most,
            keys: a.keys,
            passwords: limits::password_tries(most, a.keys, pam),
            pam,
            silent: limits::tries(most, &keys)
                .iter()
                .filter(|t| !t.logged)
                .count(),
            logged: limits::tries(most, &offers)
                .iter()
                .filter(|t| t.logged)
                .count(),
            grace: e.number("LoginGraceTime"),
            gone: limits::notices_after(e),
        }
    }

    /// `deny` of pam_faillock in the stack of that service, with what it includes.
    fn faillock(&self, service: &str) -> Option<u32> {
        let mut wanted = vec![service.to_owned()];
        let mut seen: Vec<String> = Vec::new();
        while let Some(name) = wanted.pop() {
            if seen.contains(&name) || seen.len() > 32 {
                continue;
            }
            let text = self
                .machine
                .text(&format!("/etc/pam.d/{name}"))
                .unwrap_or_default();
            seen.push(name);
            for line in text
                .lines()
                .map(|l| l.split('#').next().unwrap_or_default())
            {
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                if let [first, rest @ ..] = words.as_slice() {
                    if *first == "@include" {
                        wanted.extend(rest.first().map(|n| (*n).to_owned()));
                    } else if first.trim_start_matches('-') == "auth" {
                        if rest.iter().any(|w| w.ends_with("pam_faillock.so")) {
                            let own = rest
                                .iter()
                                .find_map(|w| w.strip_prefix("deny=")?.parse().ok());
                            return own.or_else(|| self.faillock_file()).or(Some(3));
                        }
                        if let ["include" | "substack", name, ..] = rest {
                            wanted.push((*name).to_owned());
                        }
                    }
                }
            }
        }
        None
    }

    fn faillock_file(&self) -> Option<u32> {
        let text = self.machine.text("/etc/security/faillock.conf").ok()?;
        let lines = text
            .lines()
            .map(|l| l.split('#').next().unwrap_or_default());
        lines
            .filter_map(|l| l.split_once('='))
            .find(|(k, _)| k.trim() == "deny")
            .and_then(|(_, v)| v.trim().parse().ok())
    }
}

fn pam_service(e: &Effective) -> String {
    match e.value("PAMServiceName") {
        "" => "sshd".to_owned(),
        name => name.replace('/', ""),
    }
}

/// What MaxAuthTries, PAM, LoginGraceTime and ClientAlive come to for one login.
struct OneLogin {
    most: u32,
    keys: u32,
    passwords: u32,
    pam: Option<u32>,
    /// Refused keys that a log of LogLevel INFO does not show.
    silent: usize,
    /// Refused tries that it shows, of a connection that offers the keys and then passwords.
    logged: usize,
    grace: u64,
    gone: Option<u64>,
}

fn scene(a: &ConfigSimulate, limits: &Limits) -> Result<Scene, String> {
    if a.log.is_empty() {
        let attack = match a.attack {
            Attack::Fail => Fate::Failed,
            Attack::Leave => Fate::Left,
            Attack::Hang => Fate::Hangs,
        };
        let rates = Rates {
            logins: a.rate,
            login_seconds: a.hold,
            login_sources: a.sources,
            attacks: a.attack_rate,
            attack,
            attack_seconds: match a.attack {
                Attack::Leave => 0.5,
                _ => a.hold,
            },
            attack_sources: a.attack_sources,
            held: a.held,
            seconds: a.duration as f64,
        };
        let arrivals = load::invent(&rates, a.seed).map_err(|count| {
            format!(
                "that would be {count:.0} connections, and at most {} are simulated: shorten --duration or lower the rate",
                load::MOST
            )
        })?;
        let mut load = format!(
            "{} logins a second of {} each, from {}",
            a.rate,
            seconds(a.hold),
            words::count(u64::from(a.sources), "address", "addresses")
        );
        if a.attack_rate > 0.0 {
            let does = match a.attack {
                Attack::Fail => "that fail",
                Attack::Leave => "that leave at once",
                Attack::Hang => "that say nothing",
            };
            load.push_str(&format!(
                "; {} a second {does}, from {}",
                a.attack_rate,
                words::count(u64::from(a.attack_sources), "address", "addresses")
            ));
        }
        if a.held > 0 {
            load.push_str(&format!("; {} half open all the time", a.held));
        }
        load.push_str(&format!("; for {}", seconds(a.duration as f64)));
        return Ok(Scene {
            arrivals,
            load,
            notes: Vec::new(),
        });
    }
    let seen = Seen::read(&a.log, &a.tz, a.year)?;
    let mut replay = load::replay(&seen.lines, limits.grace.unwrap_or(120.0), a.hold);
    for arrival in &mut replay.arrivals {
        arrival.at /= a.speed;
    }
    let count = replay.arrivals.len();
    let span = replay.arrivals.last().map_or(0.0, |x| x.at);
    let sources: std::collections::HashSet<_> = replay.arrivals.iter().map(|x| x.source).collect();
    let mut notes = seen.notes;
    if replay.timed * 10 < count * 9 {
        notes.push(format!(
            "the log says of {} of {count} connections when they came (LogLevel VERBOSE does); the others are taken to have come {} before it names them",
            replay.timed,
            seconds(a.hold)
        ));
    }
    if replay.dropped > 0 {
        notes.push(format!(
            "sshd turned {} of them away when the log was written",
            replay.dropped
        ));
    }
    if count == load::MOST {
        notes.push(format!(
            "only the first {} connections are replayed",
            load::MOST
        ));
    }
    let speed = if (a.speed - 1.0).abs() < 1e-9 {
        String::new()
    } else {
        format!(", {} times as fast", a.speed)
    };
    Ok(Scene {
        load: format!(
            "{} from {} in {}, as the log has them{speed}; who ever logged in counts as a login",
            words::count(count as u64, "connection", "connections"),
            words::count(sources.len() as u64, "address", "addresses"),
            seconds(span)
        ),
        arrivals: replay.arrivals,
        notes,
    })
}

fn show(m: MaxStartups) -> String {
    format!("{}:{}:{}", m.start, m.rate, m.full)
}

fn head(l: &Limits) -> String {
    let grace = l.grace.map_or_else(|| "0 (no end)".to_owned(), seconds);
    let source = l
        .per_source
        .map_or_else(|| "none".to_owned(), |n| n.to_string());
    let penalties = match &l.penalties {
        Some(p) => format!(
            "on (authfail {}, longer than {} counts)",
            seconds(p.authfail),
            seconds(p.min)
        ),
        None => "off".to_owned(),
    };
    format!(
        "MaxStartups {}, LoginGraceTime {grace}, PerSourceMaxStartups {source}, PerSourcePenalties {penalties}",
        show(l.startups)
    )
}

fn wait(t: &Tally, quantile: f64) -> String {
    t.wait(quantile).map_or_else(|| "never".to_owned(), seconds)
}

fn summary(o: &Outcome, a: &ConfigSimulate) -> String {
    format!(
        "Logins: {} turned away at the first try, {} gave up after {}; waiting until let in: median {}, 99 of 100 {}.",
        percent(o.wanted.first_refused()),
        percent(o.wanted.gave_up()),
        words::count(u64::from(a.tries), "try", "tries"),
        wait(&o.wanted, 0.5),
        wait(&o.wanted, 0.99)
    )
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn of(part: u64, t: &Tally) -> String {
    percent(part as f64 / t.tries.max(1) as f64)
}

fn in_text(
    a: &ConfigSimulate,
    limits: &Limits,
    scene: &Scene,
    o: &Outcome,
    refused: f64,
    remedies: &[Remedy],
    login: &OneLogin,
) -> String {
    let mut out = format!("{}\n{}\n", head(limits), scene.load);
    for note in &scene.notes {
        out.push_str(&format!("note: {}\n", escape::terminal(note)));
    }
    let (w, x) = (&o.wanted, &o.others);
    out.push_str(&format!("\n{:<38}{:>12}{:>12}\n", "", "logins", "others"));
    let mut row = |name: &str, one: String, two: String| {
        out.push_str(&format!("{name:<38}{one:>12}{two:>12}\n"));
    };
    row("came", words::thousands(w.came), words::thousands(x.came));
    row(
        "turned away at the first try",
        percent(w.first_refused()),
        percent(x.first_refused()),
    );
    row(
        "tries turned away",
        percent(w.refused()),
        percent(x.refused()),
    );
    row(
        "  by MaxStartups",
        of(w.by_startups, w),
        of(x.by_startups, x),
    );
    row(
        "  by PerSourceMaxStartups",
        of(w.by_source, w),
        of(x.by_source, x),
    );
    row(
        "  by PerSourcePenalties",
        of(w.by_penalty, w),
        of(x.by_penalty, x),
    );
    row(
        &format!(
            "gave up after {}",
            words::count(u64::from(a.tries), "try", "tries")
        ),
        percent(w.gave_up()),
        percent(x.gave_up()),
    );
    row("waiting until let in, median", wait(w, 0.5), wait(x, 0.5));
    row(
        "waiting until let in, 99 of 100",
        wait(w, 0.99),
        wait(x, 0.99),
    );
    let time: f64 = o.occupied.iter().sum::<f64>().max(1e-9);
    let mean = o
        .occupied
        .iter()
        .enumerate()
        .map(|(n, t)| n as f64 * t)
        .sum::<f64>()
        / time;
    let most = o.slices.iter().map(|s| s.most).max().unwrap_or(0);
    out.push_str(&format!(
        "slots taken: {mean:.1} on average, {most} at most, of {}\n",
        limits.startups.full
    ));
    out.push_str("\n  not logged in   turned away\n");
    for step in 0..=10u64 {
        let n = (u64::from(limits.startups.full) * step / 10) as u32;
        out.push_str(&format!(
            "  {n:>13}   {:>7} %\n",
            limits.startups.drop_percent(n)
        ));
    }
    out.push('\n');
    if refused <= a.target {
        out.push_str(&format!(
            "It turns away at most {} at the first try as it is.\n",
            percent(a.target)
        ));
    } else if remedies.is_empty() {
        out.push_str(&format!("No single setting brings that to {} or less: keep the others out before sshd sees them.\n", percent(a.target)));
    } else {
        out.push_str(&format!(
            "Each of these alone brings it to {} or less:\n",
            percent(a.target)
        ));
        for r in remedies {
            out.push_str(&format!(
                "  {:<28} {} ({})\n",
                r.line,
                percent(r.refused),
                r.why
            ));
        }
    }
    out.push_str(&one_login(login));
    out
}

fn one_login(l: &OneLogin) -> String {
    let mut out = String::from("\nOne login:\n");
    out.push_str(&format!(
        "  MaxAuthTries {}: after {} refused, {} left",
        l.most,
        words::count(u64::from(l.keys), "key", "keys"),
        words::count(u64::from(l.passwords), "password is", "passwords are")
    ));
    out.push_str(&match l.pam {
        Some(n) => format!(" (PAM takes {n} wrong ones, over all connections)\n"),
        None => ", unless PAM ends it before\n".to_owned(),
    });
    out.push_str(&format!(
        "  the log (LogLevel INFO) shows every refused password, and refused keys only behind {} on the same connection: {} of these {} tries\n",
        words::count(u64::from(l.most / 2), "refused password", "refused passwords"),
        l.logged,
        l.most
    ));
    out.push_str(&match l.grace {
        0 => "  LoginGraceTime 0: who says nothing keeps a slot for ever\n".to_owned(),
        s => format!(
            "  LoginGraceTime: who has not logged in after {} is thrown out\n",
            seconds(s as f64)
        ),
    });
    out.push_str(&match l.gone {
        Some(s) => format!("  ClientAlive: a peer that has gone is noticed after {}\n", seconds(s as f64)),
        None => "  ClientAlive is off: a peer that has gone is noticed only when something is sent to it (TCPKeepAlive: hours)\n".to_owned(),
    });
    out
}

fn tally(t: &Tally) -> Value {
    json!({
        "came": t.came, "first_refused": t.first_refused(), "refused": t.refused(), "tries": t.tries,
        "by_max_startups": t.by_startups, "by_per_source": t.by_source, "by_penalties": t.by_penalty,
        "gave_up": t.gave_up(), "wait_p50": t.wait(0.5), "wait_p99": t.wait(0.99),
    })
}

fn in_json(
    a: &ConfigSimulate,
    limits: &Limits,
    scene: &Scene,
    o: &Outcome,
    remedies: &[Remedy],
    login: &OneLogin,
) -> String {
    let settled = settle(
        limits.startups,
        Load {
            per_second: a.rate,
            hold: a.hold,
            held: a.held,
        },
    );
    let remedies: Vec<Value> = remedies
        .iter()
        .map(|r| json!({"line": r.line, "why": r.why, "first_refused": r.refused}))
        .collect();
    let value = json!({
        "findings": [], "max_startups": show(limits.startups), "login_grace_time": limits.grace, "per_source_max_startups": limits.per_source,
        "penalties": limits.penalties.is_some(), "load": scene.load, "notes": scene.notes,
        "logins": tally(&o.wanted), "others": tally(&o.others),
        "slots": {"most": o.slices.iter().map(|s| s.most).max(), "slice_seconds": o.slice_seconds,
            "slices": o.slices.iter().map(|s| json!([s.tries, s.refused, s.most])).collect::<Vec<_>>()},
        "formula": (a.log.is_empty() && a.attack_rate == 0.0).then(|| json!({"drop": settled.drop, "mean": settled.mean, "p99": settled.p99})),
        "target": a.target, "meets_target": remedies,
        "login": {"max_auth_tries": login.most, "passwords_left": login.passwords, "pam_tries": login.pam, "keys_not_logged": login.silent,
            "gone_noticed_after": login.gone},
    });
    view::to_string(&value, false)
}
