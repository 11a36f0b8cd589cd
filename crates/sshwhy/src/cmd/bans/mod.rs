//! `bans`: who is kept out, until when, why, and does the ban really work?
//!
//! The ledger says what ought to be, the firewall what is; every verb that changes something changes the ledger first, then
//! the firewall, and then looks whether it worked.

mod check;
mod export;
mod import;

use crate::cli::{Bans as Args, BansAdd, BansList, BansRemove, BansVerb, BansWhy, TextOrJson};
use crate::exit::Exit;
use crate::guard::control::{self, Request};
use crate::host::machine::Machine;
use crate::host::never::{self, ALLOW, Facts, Names};
use crate::ledger::{self, Entry, Ledger};
use crate::settings::{self, Span};
use crate::sink::firewall::{self, Applied, Firewall, Order, Scope, Setup, Template};
use crate::zone;
use serde_json::{Value, json};
use sshwhy_core::addr::{Cidr, parse_ip};
use sshwhy_core::ban::{Action, Ban, Never, NeverList, Origin, Why};
use sshwhy_core::catalog::protection;
use sshwhy_core::detect::words;
use sshwhy_core::finding::{Evidence, Finding, Subjects};
use sshwhy_core::render::escape::terminal;
use sshwhy_core::render::json as view;
use sshwhy_core::render::terminal;
use sshwhy_core::time::{DAY, Time, Zone, human_span};
use std::collections::HashMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Where the settings lie that guard reads.
const SETTINGS: &str = "/etc/sshwhy/guard.toml";
/// Rows of a list, unless all are wanted.
const ROWS: usize = 50;

const REHEARSAL: &str = "the firewall is \"null\", which does nothing";

/// What every verb needs.
struct Desk {
    json: bool,
    now: Time,
    zone: Zone,
    ledger: Ledger,
    state: PathBuf,
    /// Where a running guard answers.
    socket: PathBuf,
    firewall: Firewall,
    scope: Scope,
    machine: Machine,
    facts: Facts,
    never: NeverList,
    /// Said on standard error, and in JSON under `notes`.
    notes: Vec<String>,
}

/// The part of guard's settings that counts here. guard itself checks the whole file.
#[derive(Default)]
struct Settings {
    state: Option<PathBuf>,
    socket: Option<PathBuf>,
    backend: Option<String>,
    ports: Vec<u16>,
    ban: Option<String>,
    unban: Option<String>,
    allow: Vec<String>,
}

impl Settings {
    fn read(named: Option<&Path>) -> Result<Settings, String> {
        let path = named.unwrap_or(Path::new(SETTINGS));
        if named.is_none() && !path.exists() {
            return Ok(Settings::default());
        }
        let table: toml::Table = settings::read(path)?;
        let section = |name: &str| table.get(name).and_then(toml::Value::as_table);
        let word = |section: Option<&toml::Table>, key: &str| {
            section
                .and_then(|t| t.get(key))
                .and_then(toml::Value::as_str)
                .map(str::to_owned)
        };
        let list = |section: Option<&toml::Table>, key: &str| -> Vec<toml::Value> {
            let value = section.and_then(|t| t.get(key));
            value
                .and_then(toml::Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let firewall = section("firewall");
        let ports = list(firewall, "ports").into_iter().map(|p| {
            let port = p.as_integer().and_then(|p| u16::try_from(p).ok());
            port.ok_or_else(|| format!("{}: [firewall] ports: {p:?} is no port", path.display()))
        });
        Ok(Settings {
            state: word(Some(&table), "state").map(PathBuf::from),
            socket: word(Some(&table), "socket").map(PathBuf::from),
            backend: word(firewall, "backend"),
            ports: ports.collect::<Result<_, _>>()?,
            ban: word(firewall, "ban-command"),
            unban: word(firewall, "unban-command"),
            allow: list(section("never"), "allow")
                .iter()
                .filter_map(toml::Value::as_str)
                .map(str::to_owned)
                .collect(),
        })
    }
}

pub fn run(args: Args) -> Result<Exit, String> {
    let settings = Settings::read(args.config.as_deref())?;
    let template = |typed: &Option<String>, set: Option<String>| {
        let text = typed.clone().or(set);
        text.as_deref().map(Template::parse).transpose()
    };
    let scope = Scope {
        ports: if args.port.is_empty() {
            settings.ports
        } else {
            args.port.clone()
        },
    };
    let setup = Setup {
        scope: scope.clone(),
        ban: template(&args.ban_command, settings.ban)?,
        unban: template(&args.unban_command, settings.unban)?,
        hosts_deny: args.hosts_deny.clone(),
        ..Setup::default()
    };
    let name = args.firewall.clone().or(settings.backend);
    let firewall = Firewall::open(name.as_deref().unwrap_or("auto"), setup)?;
    let state = args
        .state
        .clone()
        .or(settings.state)
        .unwrap_or_else(|| PathBuf::from(ledger::FILE));
    let socket = settings
        .socket
        .unwrap_or_else(|| crate::guard::config::Config::default().socket);
    let looks = matches!(
        args.verb,
        BansVerb::List(_) | BansVerb::Check(_) | BansVerb::Why(_) | BansVerb::Export(_)
    );
    let absent = !state.exists();
    let (ledger, moved) = if looks {
        Ledger::look(&state)?
    } else {
        Ledger::open(&state)?
    };
    let machine = Machine::here();
    let mut allow = settings.allow;
    allow.extend(args.allow.iter().cloned());
    let facts = never::gather(&machine, &allow, &mut Names::default());
    let mut never = NeverList::default();
    facts.fill(&mut never);
    if let Some(ip) = never::caller() {
        never.add(Never {
            net: Cidr::one(ip),
            why: Why::LoggedIn,
            until: None,
        });
    }
    let mut notes: Vec<String> = moved.into_iter().collect();
    if looks && absent && args.state.is_some() {
        notes.push(format!(
            "{} is not there: nothing is remembered in it",
            state.display()
        ));
    }
    notes.extend(facts.troubles.iter().cloned());
    let mut desk = Desk {
        json: args.format == TextOrJson::Json,
        now: super::reading::now(),
        zone: zone::local(),
        ledger,
        state,
        socket,
        firewall,
        scope,
        machine,
        facts,
        never,
        notes,
    };
    desk.sweep();
    let done = match args.verb {
        BansVerb::List(a) => desk.list(&a),
        BansVerb::Add(a) => desk.add(&a),
        BansVerb::Remove(a) => desk.remove(&a),
        BansVerb::Check(a) => desk.check(&a),
        BansVerb::Why(a) => desk.why(&a),
        BansVerb::Import(a) => desk.import(&a),
        BansVerb::Export(a) => desk.export(a.form),
        BansVerb::Restore(a) => desk.restore(a.rebuild),
    };
    if !desk.json {
        for note in &desk.notes {
            eprintln!("sshwhy: {}", terminal(note));
        }
    }
    done
}

fn nets(words: &[String]) -> Result<Vec<Cidr>, String> {
    let one = |w: &String| {
        Cidr::parse(w).ok_or_else(|| {
            format!("{w:?} is no address or network: give 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64")
        })
    };
    words.iter().map(one).collect()
}

/// How long a ban is to last, in microseconds; nothing is for good.
fn length(text: &str) -> Result<Option<i64>, String> {
    if matches!(text, "forever" | "-1" | "permanent") {
        return Ok(None);
    }
    let span = Span::parse(text)
        .filter(|s| !s.0.is_zero())
        .ok_or_else(|| format!("--time {text:?}: give 10m, 1h, 7d, or forever"))?;
    i64::try_from(span.0.as_micros())
        .map(Some)
        .map_err(|_| format!("--time {text:?} is too long: give forever"))
}

impl Desk {
    /// Lifts what is over, where the firewall does not by itself.
    fn sweep(&mut self) {
        match self.ledger.expire(self.now) {
            Ok(over) if !self.firewall.expires() && !over.is_empty() => {
                let lift = |net: Cidr| Action::Unban {
                    net,
                    reason: "its time is over".to_owned(),
                };
                let actions: Vec<Action> = over.into_iter().map(lift).collect();
                if let Err(e) = self.firewall.apply(&actions, &self.never, self.now) {
                    self.notes
                        .push(format!("bans that are over could not be lifted: {e}"));
                }
            }
            Ok(_) => {}
            Err(e) => self.notes.push(e),
        }
    }

    fn until(&self, until: Option<Time>) -> String {
        match until {
            None => "for good".to_owned(),
            Some(t) => format!("{} left", human_span(t.0.saturating_sub(self.now.0))),
        }
    }

    fn clock(&self, t: Time) -> String {
        let c = self.zone.civil(t);
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    }

    /// Text for people and `fields` for programs, findings in both.
    fn show(
        &self,
        mut text: String,
        mut fields: Value,
        findings: &[Finding],
    ) -> Result<(), String> {
        if self.json {
            if let Some(all) = fields.as_object_mut() {
                all.insert("findings".to_owned(), json!(findings));
                all.insert("firewall".to_owned(), json!(self.firewall.name()));
                all.insert("notes".to_owned(), json!(self.notes));
            }
            return super::report::print(view::to_string(&fields, false).as_bytes());
        }
        if !findings.is_empty() {
            let options = super::report::options(&self.zone, std::io::stdout().is_terminal());
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&terminal::findings(findings, &options));
        }
        super::report::print(text.as_bytes())
    }

    fn finding(&self, slug: &'static str, net: Option<Cidr>, headline: String) -> Option<Finding> {
        let row = protection::by_slug(slug)?;
        let subjects = Subjects {
            addrs: net.iter().map(Cidr::to_string).collect(),
            ..Subjects::default()
        };
        let mut f = words::of_row(row, subjects);
        f.headline = headline;
        f.confidence = 1.0;
        f.count = 1;
        f.last = Some(self.now);
        Some(f)
    }

    fn evidence(&self, source: &str, text: String) -> Evidence {
        Evidence {
            source: source.to_owned(),
            at: Some(self.now),
            text,
        }
    }

    /// Puts it into the ledger, then into the firewall. What the firewall refuses for itself is not written down.
    fn act(
        &mut self,
        actions: Vec<Action>,
        evidence: impl Fn(&Ban) -> Value,
    ) -> Result<Applied, String> {
        let mut refused = Vec::new();
        let mut wanted = Vec::with_capacity(actions.len());
        for action in actions {
            match firewall::check(&action, &self.never, self.now) {
                Ok(_) => wanted.push(action),
                Err(why) => refused.push(firewall::Refused {
                    net: action.net(),
                    why: match self.facts.words(&action.net()) {
                        Some(words) if why.contains("never banned") => format!("{why}: {words}"),
                        _ => why,
                    },
                }),
            }
        }
        self.ledger.record(&wanted, evidence, self.now)?;
        let mut done = self.firewall.apply(&wanted, &self.never, self.now).map_err(|e| {
            format!(
                "the firewall ({}) did not take it: {e}. It stands in {} and is done by: sshwhy bans restore",
                self.firewall.name(),
                self.state.display()
            )
        })?;
        done.refused.extend(refused);
        Ok(done)
    }

    fn add(&mut self, a: &BansAdd) -> Result<Exit, String> {
        let nets = nets(&a.nets)?;
        let span = length(&a.time)?;
        let mut actions = Vec::new();
        for net in &nets {
            let strikes = self
                .ledger
                .get(*net, self.now)?
                .map_or(0, |e| e.ban.strikes);
            actions.push(Action::Ban(Ban {
                net: *net,
                since: self.now,
                until: span.map(|s| Time(self.now.0.saturating_add(s))),
                detector: "operator".to_owned(),
                reason: a.reason.clone(),
                origin: Origin::Operator,
                strikes: strikes.saturating_add(1),
            }));
        }
        let who = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
        let by = json!([{"source": "sshwhy bans add", "at": self.now, "text": format!("by {}", who.unwrap_or_else(|_| "somebody".to_owned()))}]);
        let done = self.act(actions, |_| by.clone())?;
        let refused: Vec<Cidr> = done.refused.iter().map(|r| r.net).collect();
        let banned: Vec<Cidr> = nets.into_iter().filter(|n| !refused.contains(n)).collect();
        let (proofs, findings) = self.prove(&banned)?;
        let mut text = String::new();
        for (net, proof) in banned.iter().zip(&proofs) {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{net} is kept out ({}): {}",
                self.until(span.map(|s| Time(self.now.0.saturating_add(s)))),
                terminal(&check::words(proof))
            );
        }
        for r in &done.refused {
            let _ = writeln!(text, "{} is not banned: {}", r.net, terminal(&r.why));
        }
        let rows: Vec<Value> = banned
            .iter()
            .zip(&proofs)
            .map(|(n, p)| json!({"net": n.to_string(), "proof": check::json(p)}))
            .collect();
        let not: Vec<Value> = done
            .refused
            .iter()
            .map(|r| json!({"net": r.net.to_string(), "why": r.why}))
            .collect();
        self.show(text, json!({"banned": rows, "refused": not}), &findings)?;
        Ok(Exit::of(&findings, !done.refused.is_empty()))
    }

    fn remove(&mut self, a: &BansRemove) -> Result<Exit, String> {
        if a.all {
            return self.remove_all(&a.reason);
        }
        let mut text = String::new();
        let mut rows = Vec::new();
        let mut findings = Vec::new();
        let mut nothing = false;
        let held = self.firewall.list().unwrap_or_default();
        for net in nets(&a.nets)? {
            // Whoever is locked out by a network is let in by lifting that network.
            let mut lift: Vec<Cidr> = self
                .ledger
                .covering(net.ip, self.now)?
                .iter()
                .map(|e| e.ban.net)
                .filter(|n| n.len <= net.len)
                .collect();
            lift.extend(self.ledger.within(net, self.now)?);
            lift.extend(held.iter().map(|h| h.net).filter(|h| h.overlaps(&net)));
            lift.sort_by_key(|n| (n.len, n.ip));
            lift.dedup();
            let actions = lift
                .iter()
                .map(|net| Action::Unban {
                    net: *net,
                    reason: a.reason.clone(),
                })
                .collect();
            self.act(actions, |_| Value::Null)?;
            for n in &lift {
                let _ = writeln!(
                    text,
                    "{n} is lifted{}",
                    if *n == net {
                        String::new()
                    } else {
                        format!(" (it covered {net})")
                    }
                );
            }
            let still = self.others(net.ip);
            if lift.is_empty() && still.is_none() {
                nothing = true;
                let _ = writeln!(
                    text,
                    "{net} was not banned: looked through {} and {} elements of the firewall ({})",
                    self.state.display(),
                    held.len(),
                    self.firewall.name()
                );
            }
            if let Some(by) = &still {
                let _ = writeln!(
                    text,
                    "{} is still kept out, not by sshwhy: {}",
                    net.ip,
                    terminal(by)
                );
            } else if !lift.is_empty() {
                let _ = writeln!(
                    text,
                    "So that it is never banned again: echo '{net}' >> {ALLOW}"
                );
            }
            rows.push(json!({"net": net.to_string(), "lifted": lift.iter().map(Cidr::to_string).collect::<Vec<_>>(), "still": still}));
            if let Some(by) = still {
                let found = self.finding(
                    "ban-unknown",
                    Some(Cidr::one(net.ip)),
                    format!("{} is still kept out by another program", net.ip),
                );
                findings.extend(found.map(|mut f| {
                    f.severity = sshwhy_core::finding::Severity::Medium;
                    f.evidence.push(self.evidence("packet filter", by));
                    f.remedy.clear();
                    f
                }));
            }
        }
        self.show(
            text,
            json!({"removed": rows}),
            if self.json { &findings } else { &[] },
        )?;
        Ok(Exit::of(&findings, nothing))
    }

    fn remove_all(&mut self, reason: &str) -> Result<Exit, String> {
        let mut actions = Vec::new();
        self.ledger.each(self.now, |b| {
            actions.push(Action::Unban {
                net: b.net,
                reason: reason.to_owned(),
            });
        })?;
        // The firewall first here: who calls this needs to get in now, whatever the state file does.
        let flushed = if self.firewall.name() == "command" {
            self.firewall
                .apply(&actions, &self.never, self.now)
                .map(drop)
        } else {
            self.firewall.flush()
        };
        self.ledger.record(&actions, |_| Value::Null, self.now)?;
        flushed.map_err(|e| {
            format!(
                "the firewall ({}) did not lift them: {e}",
                self.firewall.name()
            )
        })?;
        let text = format!(
            "{} bans are lifted, and nothing of sshwhy is left in the firewall ({}).\n",
            actions.len(),
            self.firewall.name()
        );
        self.show(text, json!({"removed_all": actions.len()}), &[])?;
        Ok(Exit::Ok)
    }

    fn list(&mut self, a: &BansList) -> Result<Exit, String> {
        let mut bans: Vec<Ban> = Vec::new();
        self.ledger.each(self.now, |b| bans.push(b))?;
        let held = self.firewall.list();
        let findings = self.compare(held.as_deref().unwrap_or_default(), held.is_ok())?;
        bans.sort_by_key(|b| (std::cmp::Reverse(b.since), b.net.ip, b.net.len));
        let mut text = String::new();
        let shown = if a.all { bans.len() } else { ROWS };
        if bans.is_empty() {
            let _ = writeln!(text, "Nobody is banned ({}).", self.state.display());
        } else {
            let _ = writeln!(
                text,
                "{:<24} {:<19} {:<14} {:<20} why",
                "who", "since", "ends", "by"
            );
        }
        for b in bans.iter().take(shown) {
            let strikes = if b.strikes > 1 {
                format!(" ({} times)", b.strikes)
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "{:<24} {:<19} {:<14} {:<20} {}{strikes}",
                b.net.to_string(),
                self.clock(b.since),
                self.until(b.until),
                terminal(&b.detector),
                terminal(&b.reason),
            );
        }
        if bans.len() > shown {
            let _ = writeln!(text, "… and {} more (--all shows them)", bans.len() - shown);
        }
        match &held {
            Ok(_) if self.is_rehearsal() => {
                let _ = writeln!(text, "{} banned on paper only: {REHEARSAL}", bans.len());
            }
            Ok(held) => {
                let _ = writeln!(
                    text,
                    "{} banned; the firewall ({}) holds {}",
                    bans.len(),
                    self.firewall.name(),
                    held.len()
                );
            }
            Err(e) => self
                .notes
                .push(format!("the firewall could not be asked: {e}")),
        }
        let rows: Vec<Value> = bans.iter().map(row).collect();
        let holds = held.as_ref().ok().map(Vec::len);
        let unread = held.is_err();
        self.show(text, json!({"bans": rows, "held": holds}), &findings)?;
        Ok(Exit::of(&findings, unread))
    }

    fn why(&mut self, a: &BansWhy) -> Result<Exit, String> {
        let ip =
            parse_ip(a.addr.as_bytes()).ok_or_else(|| format!("{:?} is no address", a.addr))?;
        let bans = self.ledger.covering(ip, self.now)?;
        let past = self.ledger.history(ip, 50)?;
        let never = self.facts.words(&Cidr::one(ip)).map(str::to_owned);
        let others = self.others(ip);
        let held = self.firewall.list().ok().map(|held| {
            let of = held.iter().filter(|h| h.net.contains(ip));
            of.map(|h| h.net.to_string()).collect::<Vec<_>>()
        });
        let mut text = String::new();
        for e in &bans {
            self.entry(&mut text, e);
        }
        if bans.is_empty() {
            let _ = writeln!(text, "{ip} is not banned by sshwhy.");
        }
        match &held {
            Some(_) if self.is_rehearsal() && !bans.is_empty() => {
                let _ = writeln!(text, "Nobody keeps it out: {REHEARSAL}");
            }
            Some(held) if held.is_empty() && !bans.is_empty() => {
                text.push_str("The firewall does not hold it: sshwhy bans restore\n");
            }
            Some(held) if !held.is_empty() && bans.is_empty() => {
                let _ = writeln!(
                    text,
                    "The firewall ({}) holds {} all the same, and the state does not say why.",
                    self.firewall.name(),
                    held.join(", ")
                );
            }
            _ => {}
        }
        if let Some(by) = &others {
            let _ = writeln!(text, "Another program keeps it out: {}", terminal(by));
        }
        if let Some(why) = &never {
            let _ = writeln!(text, "It is never to be banned: {}", terminal(why));
        }
        let counted = self.counted(ip);
        if let Some(c) = &counted {
            let number = |key: &str| c[key].as_u64().unwrap_or(0);
            let seen = c["l"].as_i64().map_or_else(String::new, |at| {
                format!(", last heard of at {}", self.clock(Time(at)))
            });
            let _ = writeln!(
                text,
                "guard has counted {} failures of it, and {} bans{seen}.",
                number("c"),
                number("s")
            );
        }
        if !past.is_empty() {
            text.push_str("What happened before:\n");
        }
        for p in &past {
            let mut line = format!("  {}  {:<8} {}", self.clock(p.at), p.act, p.net);
            if !p.reason.is_empty() {
                let _ = write!(line, "  {}", terminal(&p.reason));
            }
            let _ = writeln!(text, "{line}");
        }
        let since = bans.iter().map(|e| e.ban.since).min();
        if let Some(since) = since {
            // What led to it came before.
            let from = Time(since.0.saturating_sub(DAY));
            let _ = writeln!(
                text,
                "What it did: sshwhy report --addr {ip} --since {from}"
            );
        }
        if !bans.is_empty() {
            let _ = writeln!(text, "To let it in: sshwhy bans remove {ip}");
        }
        let mut findings = Vec::new();
        if let (Some(e), Some(why)) = (bans.first(), &never) {
            let headline = format!("{} is banned, and is never to be: {why}", e.ban.net);
            findings.extend(self.finding("ban-hits-owner", Some(e.ban.net), headline));
        }
        let entries: Vec<Value> = bans
            .iter()
            .map(|e| {
                let mut r = row(&e.ban);
                if let Some(o) = r.as_object_mut() {
                    o.insert("evidence".to_owned(), e.evidence.clone());
                }
                r
            })
            .collect();
        let history: Vec<Value> = past.iter().map(|p| json!({"at": p.at, "act": p.act, "net": p.net.to_string(), "until": p.until, "detector": p.detector, "reason": p.reason, "origin": p.origin, "evidence": p.evidence})).collect();
        self.show(text, json!({"addr": ip.to_string(), "bans": entries, "history": history, "held": held, "never": never, "others": others, "counted": counted}), &findings)?;
        Ok(Exit::of(&findings, false))
    }

    /// What a running guard has counted of it. Without one there is nothing to be said.
    fn counted(&self, ip: IpAddr) -> Option<Value> {
        let answer = control::ask(&self.socket, &Request::Why { ip }).ok()?;
        answer.get("counted").filter(|c| c.is_object()).cloned()
    }

    fn entry(&self, text: &mut String, e: &Entry) {
        let b = &e.ban;
        let _ = writeln!(
            text,
            "{} has been kept out since {}, {}.",
            b.net,
            self.clock(b.since),
            self.until(b.until)
        );
        let _ = writeln!(
            text,
            "  by       {}{}",
            terminal(&b.detector),
            if b.strikes > 1 {
                format!(", {} times so far", b.strikes)
            } else {
                String::new()
            }
        );
        let _ = writeln!(text, "  because  {}", terminal(&b.reason));
        for piece in e.evidence.as_array().into_iter().flatten().take(10) {
            let word = |k: &str| {
                piece
                    .get(k)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let _ = writeln!(
                text,
                "  {}: {}",
                terminal(&word("source")),
                terminal(&word("text"))
            );
        }
    }

    fn restore(&mut self, rebuild: bool) -> Result<Exit, String> {
        let (ledger, firewall) = (&self.ledger, &mut self.firewall);
        let (never, now) = (&self.never, self.now);
        let done = ledger
            .with_all(now, |all| firewall.restore(all, never, now, rebuild))?
            .map_err(|e| {
                format!(
                    "the firewall ({}) did not take it: {e}",
                    self.firewall.name()
                )
            })?;
        let total = self.ledger.count(self.now)?;
        let mut text = format!(
            "{} of {total} bans had to be put back into the firewall ({}).\n",
            done.banned,
            self.firewall.name()
        );
        let mut findings = Vec::new();
        for r in &done.refused {
            let _ = writeln!(text, "{} stays out of it: {}", r.net, terminal(&r.why));
            if r.why.contains("never banned") {
                let headline = format!(
                    "{} is banned in the state, and is never to be: {}",
                    r.net, r.why
                );
                findings.extend(self.finding("ban-hits-owner", Some(r.net), headline));
            }
        }
        self.show(
            text,
            json!({"restored": done.banned, "total": total, "refused": done.refused.len()}),
            &findings,
        )?;
        Ok(Exit::of(&findings, false))
    }

    /// Bans are written down only; nobody is meant to be kept out.
    fn is_rehearsal(&self) -> bool {
        self.firewall.name() == "null"
    }

    /// Bans in force that nobody could want, and where state and firewall differ.
    fn compare(&self, held: &[firewall::Held], known: bool) -> Result<Vec<Finding>, String> {
        let mut left: HashMap<(IpAddr, u8), ()> =
            held.iter().map(|h| ((h.net.ip, h.net.len), ())).collect();
        let (mut missing, mut hits) = (Vec::new(), Vec::new());
        self.ledger.each(self.now, |b| {
            if left.remove(&(b.net.ip, b.net.len)).is_none() {
                missing.push(b.net);
            }
            if self.never.covers(&b.net, self.now).is_some() {
                hits.push(b.net);
            }
        })?;
        let mut unknown: Vec<Cidr> = left
            .keys()
            .map(|(ip, len)| Cidr { ip: *ip, len: *len })
            .collect();
        unknown.sort_by_key(|n| (n.ip, n.len));
        missing.sort_by_key(|n| (n.ip, n.len));
        if !known || self.is_rehearsal() {
            missing.clear();
        }
        let mut out = Vec::new();
        for (slug, nets, what) in [
            ("ban-hits-owner", hits, "banned, and never to be"),
            ("ban-missing", missing, "banned, and not in the firewall"),
            (
                "ban-unknown",
                unknown,
                "in the firewall, and not in the state",
            ),
        ] {
            let Some(first) = nets.first() else { continue };
            let headline = match nets.len() {
                1 => format!("{first} is {what}"),
                n => format!("{n} networks are {what}: {first} is one of them"),
            };
            let one = (nets.len() == 1).then_some(*first);
            if let Some(mut f) = self.finding(slug, one, headline) {
                f.count = u64::try_from(nets.len()).unwrap_or(u64::MAX);
                f.subjects.addrs = nets.iter().take(100).map(Cidr::to_string).collect();
                if let Some(why) = self.facts.words(first).filter(|_| slug == "ban-hits-owner") {
                    f.notes.push(format!("{first}: {why}"));
                }
                out.push(f);
            }
        }
        out.sort_by(Finding::order);
        Ok(out)
    }

    /// Which rule of somebody else keeps the address out, if one does.
    fn others(&self, ip: IpAddr) -> Option<String> {
        check::others(
            &self.machine,
            ip,
            self.scope.ports.first().copied().unwrap_or(22),
        )
    }
}

fn row(b: &Ban) -> Value {
    json!({"net": b.net.to_string(), "since": b.since, "until": b.until, "detector": b.detector, "reason": b.reason, "origin": b.origin, "strikes": b.strikes})
}

/// The order that the firewall would be given, for who only wants to know whether it would take it.
fn would(action: &Action, desk: &Desk) -> Result<Order, String> {
    firewall::check(action, &desk.never, desk.now)
}
