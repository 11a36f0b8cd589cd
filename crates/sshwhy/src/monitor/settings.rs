//! What to watch, from a TOML file. A mistake is refused with its place; nothing that is misspelt is passed over.
//!
//! ```toml
//! state = "/var/lib/sshwhy/monitor.db"   # history, and what is remembered of each endpoint
//! history = "90d"
//! metrics = "127.0.0.1:9722"             # /metrics and /healthz
//! zone = "Europe/Berlin"                 # of maintenance windows
//!
//! [defaults]
//! interval = "60s"
//! timeout = "10s"
//! retries = 2
//! depth = "hostkey"
//!
//! [[endpoint]]
//! host = "web1.example"
//!
//! [[endpoint]]
//! name = "build farm"
//! host = "198.51.100.7"
//! port = 2222
//! depth = "session"
//! user = "monitor"
//! identity = "/etc/sshwhy/monitor_ed25519"
//! command = "true"
//! host_keys = ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
//! push = "https://kuma.example/api/push/TOKEN"
//!
//! [[maintenance]]
//! endpoints = ["web*"]
//! weekly = "sun 02:00-04:00"
//!
//! [[notify.syslog]]
//! ```

use super::check::Target;
use super::login::Credentials;
use crate::settings::{self, Span};
use crate::sink::notify::settings::Channels;
use crate::zone;
use serde::Deserialize;
use sshwhy_core::monitor::{Depth, Expect, Rules};
use sshwhy_core::probe::known_hosts::{self, Entry, matches};
use sshwhy_core::time::{Time, Zone};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// More than this is a fleet's work for several monitors.
const MOST_ENDPOINTS: usize = 20_000;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    state: Option<PathBuf>,
    history: Option<Span>,
    metrics: Option<SocketAddr>,
    zone: Option<String>,
    #[serde(default)]
    defaults: Given,
    #[serde(default)]
    endpoint: Vec<toml::Spanned<Endpoint>>,
    #[serde(default)]
    maintenance: Vec<toml::Spanned<Maintenance>>,
    #[serde(default)]
    notify: Channels,
}

/// What may stand in `[defaults]` and in an endpoint; an endpoint's own counts more.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Given {
    interval: Option<Span>,
    timeout: Option<Span>,
    retries: Option<u32>,
    depth: Option<Depth>,
    family: Option<u8>,
    user: Option<String>,
    identity: Option<PathBuf>,
    command: Option<String>,
    known_hosts: Option<PathBuf>,
    remember: Option<bool>,
    certificate_days: Option<u32>,
    slow: Option<Span>,
    flap_high: Option<f64>,
    flap_low: Option<f64>,
    ident: Option<String>,
    algorithms: Option<Vec<String>>,
    forbid: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    host: String,
    name: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    host_keys: Vec<String>,
    push: Option<String>,
    // The same as in `Given`: flattening would lose unknown names and places.
    interval: Option<Span>,
    timeout: Option<Span>,
    retries: Option<u32>,
    depth: Option<Depth>,
    family: Option<u8>,
    user: Option<String>,
    identity: Option<PathBuf>,
    command: Option<String>,
    known_hosts: Option<PathBuf>,
    remember: Option<bool>,
    certificate_days: Option<u32>,
    slow: Option<Span>,
    flap_high: Option<f64>,
    flap_low: Option<f64>,
    ident: Option<String>,
    algorithms: Option<Vec<String>>,
    forbid: Option<Vec<String>>,
}

/// When nothing is said: once, or every day, or on a day of the week.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Maintenance {
    /// Names of endpoints, with `*` and `?`; all where none are given.
    #[serde(default)]
    endpoints: Vec<String>,
    from: Option<String>,
    until: Option<String>,
    /// `02:00-04:00`
    daily: Option<String>,
    /// `sun 02:00-04:00`
    weekly: Option<String>,
}

/// Seconds of a day, and on which day of the week (0 is Monday).
#[derive(Clone, PartialEq, Debug)]
enum When {
    Once(Time, Time),
    Every {
        day: Option<usize>,
        from: u32,
        until: u32,
    },
}

#[derive(Clone, Debug)]
pub struct Window {
    endpoints: Vec<String>,
    when: When,
}

/// One endpoint, whole.
#[derive(Clone, Debug)]
pub struct Watch {
    pub name: String,
    pub target: Target,
    pub interval: Duration,
    pub expect: Expect,
    pub rules: Rules,
    pub push: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub state: Option<PathBuf>,
    pub history: Duration,
    pub metrics: Option<SocketAddr>,
    pub zone: Zone,
    pub watches: Vec<Arc<Watch>>,
    pub windows: Vec<Window>,
    pub notify: Channels,
}

pub fn read(path: &Path) -> Result<Settings, String> {
    let file: File = settings::read(path)?;
    let text = std::fs::read(path).unwrap_or_default();
    let name = path.display().to_string();
    build(file, &|at: usize, why: String| {
        let (line, column) = settings::place(&text, at);
        format!("{name}:{line}:{column}: {why}")
    })
    .map_err(|e| {
        if e.starts_with(&name) {
            e
        } else {
            format!("{name}: {e}")
        }
    })
}

fn build(file: File, at: &dyn Fn(usize, String) -> String) -> Result<Settings, String> {
    let zone = match &file.zone {
        Some(name) => zone::named(name)?,
        None => zone::local(),
    };
    file.notify.check()?;
    if file.endpoint.len() > MOST_ENDPOINTS {
        return Err(format!("more than {MOST_ENDPOINTS} endpoints"));
    }
    let mut read = Files::default();
    let mut names = BTreeSet::new();
    let mut watches = Vec::with_capacity(file.endpoint.len());
    for spanned in file.endpoint {
        let place = spanned.span().start;
        let watch =
            watch(spanned.into_inner(), &file.defaults, &mut read).map_err(|why| at(place, why))?;
        if !names.insert(watch.name.clone()) {
            let why = format!(
                "there is another endpoint {:?}; give one a name",
                watch.name
            );
            return Err(at(place, why));
        }
        watches.push(Arc::new(watch));
    }
    if watches.is_empty() {
        return Err("no [[endpoint]] in it: nothing to watch".to_owned());
    }
    let mut windows = Vec::new();
    for spanned in file.maintenance {
        let place = spanned.span().start;
        windows.push(window(spanned.into_inner(), &zone).map_err(|why| at(place, why))?);
    }
    Ok(Settings {
        state: file.state,
        history: file
            .history
            .map_or(Duration::from_secs(90 * 86_400), |s| s.0),
        metrics: file.metrics,
        zone,
        watches,
        windows,
        notify: file.notify,
    })
}

/// Files that many endpoints name are read once.
#[derive(Default)]
pub struct Files {
    known: BTreeMap<PathBuf, Arc<Vec<Entry>>>,
    login: BTreeMap<(String, PathBuf, String), Arc<Credentials>>,
}

impl Files {
    pub fn known_hosts(&mut self, path: &Path) -> Result<Arc<Vec<Entry>>, String> {
        if let Some(known) = self.known.get(path) {
            return Ok(Arc::clone(known));
        }
        let bytes =
            std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let entries = Arc::new(known_hosts::parse(&String::from_utf8_lossy(&bytes)));
        self.known.insert(path.to_owned(), Arc::clone(&entries));
        Ok(entries)
    }

    pub fn login(
        &mut self,
        user: &str,
        identity: &Path,
        command: &str,
    ) -> Result<Arc<Credentials>, String> {
        let key = (user.to_owned(), identity.to_owned(), command.to_owned());
        if let Some(login) = self.login.get(&key) {
            return Ok(Arc::clone(login));
        }
        let login = Arc::new(Credentials::read(user, identity, command)?);
        self.login.insert(key, Arc::clone(&login));
        Ok(login)
    }
}

fn watch(e: Endpoint, d: &Given, files: &mut Files) -> Result<Watch, String> {
    if e.host.is_empty() || e.host.contains(char::is_whitespace) || e.host.starts_with('-') {
        return Err(format!("{:?} is no host", e.host));
    }
    let port = e.port.unwrap_or(22);
    let interval = e.interval.or(d.interval).unwrap_or(Span::secs(60)).0;
    let wait = e.timeout.or(d.timeout).unwrap_or(Span::secs(10)).0;
    if interval < Duration::from_secs(1) {
        return Err("interval is at least 1s".to_owned());
    }
    if wait < Duration::from_millis(100) || wait > Duration::from_secs(300) {
        return Err("timeout is between 100ms and 5m".to_owned());
    }
    let family = e.family.or(d.family);
    if family.is_some_and(|f| f != 4 && f != 6) {
        return Err("family is 4 or 6".to_owned());
    }
    let depth = e.depth.or(d.depth).unwrap_or(Depth::HostKey);
    let user = e.user.or_else(|| d.user.clone());
    let identity = e.identity.or_else(|| d.identity.clone());
    let command = e
        .command
        .or_else(|| d.command.clone())
        .unwrap_or_else(|| "true".to_owned());
    let login = match (depth >= Depth::Auth, &user, &identity) {
        (false, _, _) => None,
        (true, Some(user), Some(identity)) => Some(files.login(user, identity, &command)?),
        (true, _, _) => {
            return Err(format!(
                "depth {} needs user and identity; without a login that succeeds, the server would count it as a failed one",
                depth.name()
            ));
        }
    };
    let known_hosts = match e.known_hosts.or_else(|| d.known_hosts.clone()) {
        Some(path) => Some(files.known_hosts(&path)?),
        None => None,
    };
    for print in &e.host_keys {
        fingerprint(print).map_err(|e| format!("host_keys: {e}"))?;
    }
    if !e.host_keys.is_empty() && depth < Depth::HostKey {
        return Err(format!(
            "host_keys are not seen at depth {}; set depth = \"hostkey\" or deeper",
            depth.name()
        ));
    }
    if let Some(push) = &e.push
        && !push.starts_with("https://")
        && !push.starts_with("http://")
    {
        return Err("push begins with neither https:// nor http://".to_owned());
    }
    let plain = Rules::default();
    let rules = Rules {
        retries: e.retries.or(d.retries).unwrap_or(plain.retries),
        flap_high: e.flap_high.or(d.flap_high).unwrap_or(plain.flap_high),
        flap_low: e.flap_low.or(d.flap_low).unwrap_or(plain.flap_low),
        certificate: e
            .certificate_days
            .or(d.certificate_days)
            .map_or(plain.certificate, |d| u64::from(d) * 86_400),
        slow: e.slow.or(d.slow).map(|s| s.0.as_secs_f64()),
        remember: e.remember.or(d.remember).unwrap_or(true),
    };
    if !(0.0..=1.0).contains(&rules.flap_low) || !(rules.flap_low..=1.1).contains(&rules.flap_high)
    {
        return Err("flap_low is from 0 to 1, and flap_high not below it".to_owned());
    }
    let name = e
        .name
        .unwrap_or_else(|| match (port, e.host.contains(':')) {
            (22, _) => e.host.clone(),
            (_, true) => format!("[{}]:{port}", e.host),
            (_, false) => format!("{}:{port}", e.host),
        });
    Ok(Watch {
        name,
        target: Target {
            host: e.host,
            port,
            depth,
            timeout: wait,
            family,
            key_types: Vec::new(),
            certificate: true,
            known_hosts,
            login,
        },
        interval,
        expect: Expect {
            host_keys: e.host_keys,
            ident: e.ident.or_else(|| d.ident.clone()),
            algorithms: e
                .algorithms
                .or_else(|| d.algorithms.clone())
                .unwrap_or_default(),
            forbid: e.forbid.or_else(|| d.forbid.clone()).unwrap_or_default(),
        },
        rules,
        push: e.push,
    })
}

fn window(m: Maintenance, zone: &Zone) -> Result<Window, String> {
    let moment = |text: &str| zone::moment(text, zone, crate::cmd::reading::now());
    let when = match (&m.from, &m.until, &m.daily, &m.weekly) {
        (Some(from), Some(until), None, None) => {
            let (from, until) = (moment(from)?, moment(until)?);
            if from >= until {
                return Err("from is not before until".to_owned());
            }
            When::Once(from, until)
        }
        (None, None, Some(daily), None) => {
            let (from, until) = hours(daily)?;
            When::Every {
                day: None,
                from,
                until,
            }
        }
        (None, None, None, Some(weekly)) => {
            let (day, rest) = weekly
                .split_once(' ')
                .ok_or_else(|| format!("{weekly:?} is not like \"sun 02:00-04:00\""))?;
            let short: String = day.chars().take(3).collect::<String>().to_lowercase();
            let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
                .iter()
                .position(|d| *d == short)
                .ok_or_else(|| format!("{day:?} is no day of the week"))?;
            let (from, until) = hours(rest)?;
            When::Every {
                day: Some(day),
                from,
                until,
            }
        }
        _ => {
            return Err(
                "give either from and until, or daily = \"02:00-04:00\", or weekly = \"sun 02:00-04:00\""
                    .to_owned(),
            );
        }
    };
    Ok(Window {
        endpoints: m.endpoints,
        when,
    })
}

fn hours(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("{text:?} is not like \"02:00-04:00\"");
    let one = |text: &str| -> Option<u32> {
        let (h, m) = text.trim().split_once(':')?;
        let (h, m): (u32, u32) = (h.parse().ok()?, m.parse().ok()?);
        (m < 60 && h * 60 + m <= 24 * 60).then_some((h * 60 + m) * 60)
    };
    let (from, until) = text.trim().split_once('-').ok_or_else(wrong)?;
    let (from, until) = (one(from).ok_or_else(wrong)?, one(until).ok_or_else(wrong)?);
    if from == until {
        return Err(format!("{text:?} is no time at all"));
    }
    Ok((from, until))
}

impl Window {
    pub fn covers(&self, name: &str, now: Time, zone: &Zone) -> bool {
        let mine = self.endpoints.is_empty() || self.endpoints.iter().any(|p| matches(p, name));
        if !mine {
            return false;
        }
        match self.when {
            When::Once(from, until) => now >= from && now < until,
            When::Every { day, from, until } => {
                let civil = zone.civil(now);
                let second = u32::from(civil.hour) * 3600
                    + u32::from(civil.minute) * 60
                    + u32::from(civil.second);
                let weekday = civil.weekday();
                let today = day.is_none_or(|d| d == weekday);
                let yesterday = day.is_none_or(|d| d == (weekday + 6) % 7);
                if from < until {
                    today && (from..until).contains(&second)
                } else {
                    // Over midnight: its first part lies on the day, its second on the next.
                    (today && second >= from) || (yesterday && second < until)
                }
            }
        }
    }
}

/// Whether a text is a fingerprint as OpenSSH prints it: an error says that it is none.
pub fn fingerprint(text: &str) -> Result<String, String> {
    if text.starts_with("SHA256:") && text.len() == 50 {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no fingerprint as `ssh-keygen -lf` prints it (SHA256:…)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        let file: File = settings::parse(text, "m.toml")?;
        build(file, &|at, why| {
            let (l, c) = settings::place(text.as_bytes(), at);
            format!("m.toml:{l}:{c}: {why}")
        })
    }

    #[test]
    fn endpoints_take_what_they_do_not_say_from_the_defaults() {
        let s = parse(
            "[defaults]\ninterval = \"30s\"\nretries = 5\ndepth = \"kex\"\n\
             [[endpoint]]\nhost = \"a\"\n[[endpoint]]\nhost = \"b\"\nport = 2222\nretries = 0\ndepth = \"half-open\"",
        )
        .unwrap();
        let [a, b] = s.watches.as_slice() else {
            panic!("two");
        };
        assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b:2222"));
        assert_eq!((a.rules.retries, b.rules.retries), (5, 0));
        assert_eq!(
            (a.target.depth, b.target.depth),
            (Depth::Kex, Depth::HalfOpen)
        );
        assert_eq!(b.interval, Duration::from_secs(30));
    }

    #[test]
    fn mistakes_have_a_place_and_a_reason() {
        for (text, begins) in [
            (
                "[[endpoint]]\nhost = \"a\"\nhots = 1",
                "m.toml:3:1: unknown field `hots`",
            ),
            (
                "[[endpoint]]\nport = 22",
                "m.toml:1:1: missing field `host`",
            ),
            (
                "[[endpoint]]\nhost = \"a\"\ndepth = \"deep\"",
                "m.toml:3:9: unknown variant `deep`",
            ),
            (
                "\n[[endpoint]]\nhost = \"a\"\ndepth = \"auth\"",
                "m.toml:2:1: depth auth needs user and identity",
            ),
            (
                "[[endpoint]]\nhost = \"a\"\n[[endpoint]]\nhost = \"a\"",
                "m.toml:3:1: there is another endpoint",
            ),
            (
                "[[endpoint]]\nhost = \"a\"\nhost_keys = [\"MD5:x\"]",
                "m.toml:1:1: host_keys: \"MD5:x\" is no fingerprint",
            ),
            (
                "[[endpoint]]\nhost = \"a b\"",
                "m.toml:1:1: \"a b\" is no host",
            ),
            (
                "[[endpoint]]\nhost = \"a\"\ninterval = \"10ms\"",
                "m.toml:1:1: interval is at least 1s",
            ),
            ("", "no [[endpoint]] in it"),
            (
                "[[endpoint]]\nhost = \"a\"\n[[maintenance]]\ndaily = \"25:00-26:00\"",
                "m.toml:3:1: \"25:00-26:00\" is not like",
            ),
            (
                "[[endpoint]]\nhost = \"a\"\n[[maintenance]]\n",
                "m.toml:3:1: give either",
            ),
        ] {
            let e = parse(text).unwrap_err();
            assert!(e.starts_with(begins), "{text:?}: {e}");
        }
    }

    #[test]
    fn windows_cover_what_they_say() {
        let utc = Zone::utc();
        let at = |text: &str| Time::parse_utc(text).unwrap();
        let window = |lines: &str| {
            let s = parse(&format!(
                "zone = \"UTC\"\n[[endpoint]]\nhost = \"web1\"\n[[maintenance]]\n{lines}"
            ));
            s.unwrap().windows.remove(0)
        };
        let daily = window("daily = \"23:00-01:00\"\nendpoints = [\"web*\"]");
        assert!(daily.covers("web1", at("2026-11-21T23:30:00Z"), &utc));
        assert!(daily.covers("web1", at("2026-11-21T00:59:59Z"), &utc));
        assert!(!daily.covers("web1", at("2026-11-21T01:00:00Z"), &utc));
        assert!(!daily.covers("db1", at("2026-11-21T23:30:00Z"), &utc));
        // 2026-11-21 is a Saturday.
        let weekly = window("weekly = \"Sat 23:00-01:00\"");
        assert!(weekly.covers("x", at("2026-11-21T23:30:00Z"), &utc));
        assert!(weekly.covers("x", at("2026-11-22T00:30:00Z"), &utc));
        assert!(!weekly.covers("x", at("2026-11-21T00:30:00Z"), &utc));
        let once = window("from = \"2026-11-21 10:00\"\nuntil = \"2026-11-21 11:00\"");
        assert!(once.covers("x", at("2026-11-21T10:00:00Z"), &utc));
        assert!(!once.covers("x", at("2026-11-21T11:00:00Z"), &utc));
    }

    #[test]
    fn the_documented_form_is_good() {
        let source = include_str!("settings.rs");
        let text: Vec<&str> = source
            .lines()
            .skip_while(|l| *l != "//! ```toml")
            .skip(1)
            .take_while(|l| *l != "//! ```")
            .map(|l| l.trim_start_matches("//!").trim_start_matches(' '))
            .collect();
        let text = text.join("\n");
        // The identity is not there; everything else has to be right.
        let e = parse(&text).unwrap_err();
        assert!(e.contains("cannot use the identity"), "{e}");
        let text = text.replace("depth = \"session\"", "depth = \"hostkey\"");
        assert_eq!(parse(&text).unwrap().watches.len(), 2);
        let example = include_str!("../../../../examples/monitor.toml");
        assert_eq!(parse(example).unwrap().notify.webhook.len(), 3);
    }
}
