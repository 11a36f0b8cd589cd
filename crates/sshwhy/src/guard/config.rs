//! The settings of `guard`: one TOML file, with defaults that are right without it. Errors name file, line and column.

use crate::settings::{self, Span};
use crate::sink::firewall::{NAMES, Template};
use crate::sink::notify::settings::Channels;
use serde::{Deserialize, Deserializer, de::Error};
use sshwhy_core::ban::{Policy, Rule};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

/// Where the file lies unless another one is named.
pub const PATH: &str = "/etc/sshwhy/guard.toml";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    /// What has to survive: one SQLite file.
    pub state: PathBuf,
    /// Where `guard status` and `bans` ask.
    pub socket: PathBuf,
    /// While this file exists, everything is lifted and nobody is banned.
    pub panic_file: PathBuf,
    /// Whom the reader and decider runs as, where it is started as root.
    pub user: String,
    /// Zone of times that say none.
    pub tz: String,
    pub log: Log,
    pub firewall: Firewall,
    pub never: Never,
    pub ban: Ban,
    pub detectors: Detectors,
    pub blind: Blind,
    pub metrics: Metrics,
    pub alerts: Channels,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            state: PathBuf::from("/var/lib/sshwhy/guard.db"),
            socket: PathBuf::from("/run/sshwhy/guard.sock"),
            panic_file: PathBuf::from("/run/sshwhy/panic"),
            user: "sshwhy".to_owned(),
            tz: "local".to_owned(),
            log: Log::default(),
            firewall: Firewall::default(),
            never: Never::default(),
            ban: Ban::default(),
            detectors: Detectors::default(),
            blind: Blind::default(),
            metrics: Metrics::default(),
            alerts: Channels::default(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Journal {
    /// Where no file is followed.
    #[default]
    Auto,
    Yes,
    No,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Log {
    /// Paths, with `*` and `?`. None: where this machine's sshd writes.
    pub files: Vec<String>,
    pub journal: Journal,
    /// Of a log that was never read, read also what is in it already, before anything else.
    pub from_the_beginning: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Firewall {
    #[serde(deserialize_with = "firewall_name")]
    pub backend: String,
    /// What banned addresses cannot reach. None: anything on this machine.
    pub ports: Vec<u16>,
    #[serde(deserialize_with = "template")]
    pub ban_command: Option<String>,
    #[serde(deserialize_with = "template")]
    pub unban_command: Option<String>,
    /// Actions a second that are applied; more wait. A backlog may be ten seconds' worth.
    pub rate: NonZeroU32,
}

impl Default for Firewall {
    fn default() -> Firewall {
        Firewall {
            backend: "auto".to_owned(),
            ports: Vec::new(),
            ban_command: None,
            unban_command: None,
            rate: NonZeroU32::MIN.saturating_add(9_999),
        }
    }
}

fn firewall_name<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let name = String::deserialize(d)?;
    if NAMES.contains(&name.as_str()) {
        Ok(name)
    } else {
        Err(D::Error::custom(format!(
            "no firewall is called {name:?}: give {}",
            NAMES.join(", ")
        )))
    }
}

fn template<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(d)?;
    if let Some(text) = &text {
        Template::parse(text).map_err(D::Error::custom)?;
    }
    Ok(text)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Never {
    /// Addresses, networks, names, and files of them.
    pub allow: Vec<String>,
    /// Users whose key logins protect where they come from, besides root and the members of sudo, wheel and admin.
    pub admins: Vec<String>,
    /// For how long.
    pub key_login: Span,
}

impl Default for Never {
    fn default() -> Never {
        Never {
            allow: Vec::new(),
            admins: Vec::new(),
            key_login: Span::secs(7 * 86_400),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Ban {
    pub growth: Option<NonZeroU32>,
    pub longest: Option<Span>,
    pub memory: Option<Span>,
    pub neighbours: Option<u32>,
    pub sources: Option<NonZeroUsize>,
}

/// What a detector may be told; what is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Detector {
    pub on: Option<bool>,
    pub maxretry: Option<NonZeroU32>,
    pub findtime: Option<Span>,
    pub bantime: Option<Span>,
    /// Only of `slow-brute-force`: how many failures are forgiven in `findtime`.
    pub leak: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Detectors {
    pub brute_force: Detector,
    pub slow_brute_force: Detector,
    pub invalid_user_scan: Detector,
    pub password_spray: Detector,
    pub protocol_scan: Detector,
    pub startup_flood: Detector,
    pub log_forgery: Detector,
    pub distributed_brute_force: Detector,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Blind {
    /// Without a line of sshd for so long, something is wrong. Zero: a quiet machine is fine.
    pub quiet: Span,
    /// Percent of sshd's lines that may be unknown.
    pub unknown: u32,
}

impl Default for Blind {
    fn default() -> Blind {
        Blind {
            quiet: Span::secs(0),
            unknown: 20,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Metrics {
    /// `127.0.0.1:9722`; none: no endpoint.
    pub listen: Option<SocketAddr>,
}

fn micros(span: Span) -> i64 {
    i64::try_from(span.0.as_micros()).unwrap_or(i64::MAX)
}

impl Config {
    /// From text that came from `name`.
    pub fn parse(text: &str, name: &str) -> Result<Config, String> {
        let config: Config = settings::parse(text, name)?;
        config.check().map_err(|e| format!("{name}: {e}"))?;
        Ok(config)
    }

    /// The file that was named, or the usual one; the defaults where there is none. Also its text, for whoever cannot read it.
    pub fn load(named: Option<&Path>) -> Result<(Config, String, String), String> {
        let path = named.unwrap_or(Path::new(PATH));
        if named.is_none() && !path.exists() {
            return Ok((Config::default(), String::new(), "defaults".to_owned()));
        }
        // For its check of size and letters, and the place in its errors.
        let _: toml::Table = settings::read(path)?;
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {name}: {e}"))?;
        Ok((Config::parse(&text, &name)?, text, name))
    }

    /// What the file's form alone does not forbid.
    fn check(&self) -> Result<(), String> {
        self.alerts.check()?;
        crate::zone::named(&self.tz)?;
        if self.firewall.backend == "command" && self.firewall.ban_command.is_none() {
            return Err(
                "[firewall] backend = \"command\" needs ban-command = \"/path/to/program <ip>\""
                    .to_owned(),
            );
        }
        if self.log.files.is_empty() && self.log.journal == Journal::No && !self.log_is_own() {
            return Err(
                "[log] names no files, and journal = \"no\": nothing would be read".to_owned(),
            );
        }
        for pattern in &self.log.files {
            if !pattern.starts_with('/') {
                return Err(format!("[log] files: {pattern:?} is no absolute path"));
            }
            glob::Pattern::new(pattern).map_err(|e| format!("[log] files: {pattern:?}: {e}"))?;
        }
        for (slug, d) in self.detectors.rows() {
            if d.findtime.is_some_and(|s| s.0.is_zero()) || d.bantime.is_some_and(|s| s.0.is_zero())
            {
                return Err(format!(
                    "[detectors.{slug}] findtime and bantime are longer than nothing; on = false turns it off"
                ));
            }
            if d.leak.is_some() && slug != "slow-brute-force" {
                return Err(format!(
                    "[detectors.{slug}] has no leak: only slow-brute-force has"
                ));
            }
        }
        Ok(())
    }

    fn log_is_own(&self) -> bool {
        super::tail::OWN.iter().any(|p| Path::new(p).exists())
    }

    pub fn policy(&self) -> Policy {
        let mut p = Policy::default();
        if let Some(n) = self.ban.growth {
            p.growth = n.get();
        }
        if let Some(s) = self.ban.longest {
            p.longest = micros(s);
        }
        if let Some(s) = self.ban.memory {
            p.memory = micros(s);
        }
        if let Some(n) = self.ban.neighbours {
            p.neighbours = n;
        }
        if let Some(n) = self.ban.sources {
            p.sources = n.get();
        }
        if let Some(leak) = self.detectors.slow_brute_force.leak {
            p.slow_leak = leak;
        }
        for (slug, d) in self.detectors.rows() {
            if let Some(rule) = p.rule_mut(slug) {
                d.change(rule);
            }
        }
        p
    }

    pub fn key_login(&self) -> i64 {
        micros(self.never.key_login)
    }
}

impl Detectors {
    fn rows(&self) -> [(&'static str, &Detector); 8] {
        [
            ("brute-force", &self.brute_force),
            ("slow-brute-force", &self.slow_brute_force),
            ("invalid-user-scan", &self.invalid_user_scan),
            ("password-spray", &self.password_spray),
            ("protocol-scan", &self.protocol_scan),
            ("startup-flood", &self.startup_flood),
            ("log-forgery", &self.log_forgery),
            ("distributed-brute-force", &self.distributed_brute_force),
        ]
    }
}

impl Detector {
    fn change(&self, rule: &mut Rule) {
        rule.on = self.on.unwrap_or(rule.on);
        rule.maxretry = self.maxretry.map_or(rule.maxretry, NonZeroU32::get);
        rule.findtime = self.findtime.map_or(rule.findtime, micros);
        rule.bantime = self.bantime.map_or(rule.bantime, micros);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_shipped_says_the_defaults() {
        let text = include_str!("../../../../packaging/guard.toml");
        let shipped = Config::parse(text, "guard.toml").unwrap();
        let defaults = Config::default();
        assert_eq!(shipped.policy(), defaults.policy());
        assert_eq!(format!("{shipped:?}"), format!("{defaults:?}"));
        // What is commented out is right too.
        let all: String = text
            .lines()
            .map(|l| match l.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
                    format!("{rest}\n")
                }
                _ => format!("{l}\n"),
            })
            .collect();
        let all = Config::parse(&all, "guard.toml").unwrap();
        assert_eq!(all.policy(), defaults.policy());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, part) in [
            ("[ban]\ngrowth = 0\n", "g:2:10: "),
            ("[detectors.brute-force]\nmaxretry = \"x\"\n", "g:2:12: "),
            ("[detectors.brute-froce]\n", "g:1:12: "),
            (
                "[firewall]\nbackend = \"iptable\"\n",
                "g:2:11: no firewall is called \"iptable\"",
            ),
            ("[firewall]\nban-command = \"/bin/x\"\n", "g:2:15: "),
            (
                "[detectors.brute-force]\nbantime = \"1 fortnight\"\n",
                "g:2:11: ",
            ),
            ("[log\n", "g:1:5: "),
            ("tz = \"Mars/Olympus\"\n", "g: no time zone"),
            (
                "[log]\nfiles = [\"auth.log\"]\n",
                "g: [log] files: \"auth.log\" is no absolute path",
            ),
            ("[firewall]\nbackend = \"command\"\n", "needs ban-command"),
            ("[detectors.brute-force]\nleak = 3\n", "has no leak"),
            (
                "[detectors.brute-force]\nbantime = 0\n",
                "longer than nothing",
            ),
        ] {
            let e = Config::parse(text, "g").map(|_| ()).unwrap_err();
            assert!(e.contains(part), "{text:?}: {e}");
        }
    }

    #[test]
    fn what_is_told_is_in_force() {
        let c = Config::parse(
            "[detectors.brute-force]\nmaxretry = 3\nfindtime = \"1d\"\nbantime = \"2h\"\n[detectors.log-forgery]\non = false\n[ban]\ngrowth = 1\n",
            "g",
        )
        .unwrap();
        let p = c.policy();
        assert_eq!(
            (p.brute_force.maxretry, p.brute_force.findtime),
            (3, 86_400_000_000)
        );
        assert_eq!((p.brute_force.bantime, p.growth), (7_200_000_000, 1));
        assert!(!p.forgery.on && p.brute_force.on);
    }
}
