//! `config`: what will this sshd_config do? Evaluates it for a connection, checks it, compares, simulates, hardens.

mod harden;
mod simulate;
mod who;

use crate::cli::{Config as Args, ConfigVerb, ConnectionArgs, TextOrJson};
use crate::exit::Exit;
use crate::host::machine::Machine;
use crate::host::{accounts, daemon, session};
use serde_json::{Value, json};
use sshwhy_core::config::effective::{Effective, Why, effective};
use sshwhy_core::config::lint::{self, Known, KnownAccount};
use sshwhy_core::config::parse::{Config, Level, Shown, parse};
use sshwhy_core::config::{Connection, access, samples};
use sshwhy_core::render::escape;
use sshwhy_core::render::json as view;
use sshwhy_core::version::{Release, parse_release};
use std::io::IsTerminal;
use std::path::Path;

struct Desk {
    machine: Machine,
    release: Release,
    json: bool,
}

pub fn run(args: Args) -> Result<Exit, String> {
    let machine = match &args.root {
        Some(dir) if !dir.is_dir() => return Err(format!("{} is no folder", dir.display())),
        Some(dir) => Machine::at(dir),
        None => Machine::here(),
    };
    let release = match args.openssh.as_deref() {
        Some(text) => {
            parse_release(text).ok_or_else(|| format!("{text:?} is no release: give 9.2"))?
        }
        None => match daemon::binary(&machine, None).and_then(|b| b.release) {
            Some(release) => release,
            None => {
                eprintln!(
                    "sshwhy: no sshd is here to say its version: judged as OpenSSH 9.2 (--openssh VERSION names another)"
                );
                (9, 2)
            }
        },
    };
    let desk = Desk {
        machine,
        release,
        json: args.format == TextOrJson::Json,
    };
    match args.verb {
        ConfigVerb::Effective(a) => desk.effective(&a.connection, &a.only, a.plain, &a.file),
        ConfigVerb::Check(a) => desk.check(&a.file),
        ConfigVerb::Who(a) => desk.who(&a),
        ConfigVerb::Diff(a) => desk.diff(&a.connection, &a.before, &a.after),
        ConfigVerb::Simulate(a) => desk.simulate(&a),
        ConfigVerb::Harden(a) => desk.harden(&a),
    }
}

fn cwd() -> String {
    std::env::current_dir().map_or_else(|_| "/".to_owned(), |d| d.to_string_lossy().into_owned())
}

impl Desk {
    fn read(&self, file: &str) -> Result<Config, String> {
        let path = match file.starts_with('/') || !self.machine.is_live() {
            true => file.to_owned(),
            false => Path::new(&cwd()).join(file).to_string_lossy().into_owned(),
        };
        self.machine
            .text(&path)
            .map_err(|e| format!("{path}: {e}"))?;
        // sshd's own working directory is the root, wherever this program stands.
        Ok(parse(&self.machine, &path, self.release, "/"))
    }

    fn connection(&self, a: &ConnectionArgs) -> Option<Connection> {
        let any = a.user.is_some()
            || a.addr.is_some()
            || a.host.is_some()
            || a.laddr.is_some()
            || a.lport.is_some()
            || a.rdomain.is_some();
        let account = a
            .user
            .as_deref()
            .and_then(|u| accounts::find(&self.machine, u));
        any.then(|| Connection {
            user: a.user.clone(),
            groups: match a.groups.is_empty() {
                true => account
                    .as_ref()
                    .map(|x| x.groups.clone())
                    .unwrap_or_default(),
                false => a.groups.clone(),
            },
            host: a.host.clone(),
            addr: a.addr.clone(),
            laddr: a.laddr.clone(),
            lport: a.lport,
            rdomain: a.rdomain.clone(),
            invalid_user: a.user.is_some() && account.is_none() && a.groups.is_empty(),
            version: None,
        })
    }

    fn complaints(&self, config: &Config) -> bool {
        for d in config
            .diagnostics
            .iter()
            .filter(|d| d.level == Level::Error)
        {
            eprintln!("{}", lines(&Shown(config, d).to_string()));
        }
        !config.is_sound()
    }

    fn effective(
        &self,
        a: &ConnectionArgs,
        only: &[String],
        plain: bool,
        file: &str,
    ) -> Result<Exit, String> {
        let config = self.read(file)?;
        let connection = self.connection(a);
        let broken = self.complaints(&config);
        let e = effective(&config, connection.as_ref());
        for d in &e.refusals {
            eprintln!("{}", lines(&Shown(&config, d).to_string()));
            eprintln!("sshd starts, and ends this connection");
        }
        let broken = broken || !e.refusals.is_empty();
        let mut out = String::new();
        if plain {
            e.dump()
                .iter()
                .for_each(|l| out.push_str(&format!("{}\n", escape::terminal(l))));
        } else if self.json {
            out = view::to_string(&settings(&config, &e, only), false);
        } else {
            for s in e
                .settings
                .iter()
                .filter(|s| wanted(only, s.keyword.name) && !s.values.is_empty())
            {
                let place = match s.from.first() {
                    Some(p) => config.place(*p),
                    None => "default".to_owned(),
                };
                let name = s.keyword.name;
                for v in &s.values {
                    out.push_str(&format!(
                        "{name} {}    [{}]\n",
                        escape::terminal(v),
                        escape::terminal(&place)
                    ));
                }
                for l in &s.lost {
                    let why = match l.why {
                        Why::Earlier => "an earlier line won".to_owned(),
                        Why::Later => "a later line won".to_owned(),
                        Why::Match => "a Match block replaced it".to_owned(),
                        Why::NotMatched(m) => {
                            format!(
                                "only for \"{}\" at {}",
                                config.line(m).trim(),
                                config.place(m)
                            )
                        }
                    };
                    out.push_str(&format!(
                        "    lost: {} at {} ({})\n",
                        escape::terminal(&l.value),
                        escape::terminal(&config.place(l.pos)),
                        escape::terminal(&why)
                    ));
                }
            }
        }
        super::report::print(out.as_bytes())?;
        Ok(if broken { Exit::Partial } else { Exit::Ok })
    }

    fn known(&self, config: &Config) -> Known {
        let people = session::people(&accounts::all(&self.machine));
        let accounts = people.iter().map(|a| {
            let c = Connection {
                user: Some(a.name.clone()),
                groups: a.groups.clone(),
                ..Connection::default()
            };
            let e = effective(config, Some(&c));
            KnownAccount {
                account: access::Account {
                    name: a.name.clone(),
                    uid: a.uid,
                    groups: a.groups.clone(),
                },
                has_key: session::has_key(&self.machine, a, e.value("AuthorizedKeysFile")),
                has_password: has_password(a, &e),
            }
        });
        Known {
            accounts: accounts.collect(),
        }
    }

    fn check(&self, file: &str) -> Result<Exit, String> {
        let config = self.read(file)?;
        let own = file == "/etc/ssh/sshd_config";
        // Another file is perhaps for another machine, whose accounts are not known.
        let known = if own {
            self.known(&config)
        } else {
            Known::default()
        };
        let findings = lint::lint(&config, &known);
        let text = match self.json {
            true => view::findings_only(&findings, false),
            false => sshwhy_core::render::config::check(&config, &findings, colour()),
        };
        super::report::print(text.as_bytes())?;
        Ok(Exit::of(&findings, false))
    }

    fn diff(&self, a: &ConnectionArgs, before: &str, after: &str) -> Result<Exit, String> {
        let (one, two) = (self.read(before)?, self.read(after)?);
        let broken = self.complaints(&one) | self.complaints(&two);
        let everybody = compare(&one, &two, self.connection(a).as_ref());
        let mut groups = vec![(String::new(), everybody)];
        if self.connection(a).is_none() {
            // For each kind of caller that one of them tells apart, what is not the same for everybody.
            for line in samples::matches(&one)
                .into_iter()
                .chain(samples::matches(&two))
            {
                let title = format!("Match {}", line.written);
                if line.all || groups.iter().any(|(t, _)| *t == title) {
                    continue;
                }
                let Some(c) = samples::of(line) else { continue };
                let mut rows = compare(&one, &two, Some(&c));
                rows.retain(|r| !groups.first().is_some_and(|(_, all)| all.contains(r)));
                groups.push((title, rows));
            }
        }
        groups.retain(|(title, rows)| title.is_empty() || !rows.is_empty());
        let same = groups.iter().all(|(_, rows)| rows.is_empty());
        let text = if self.json {
            let rows = groups
                .iter()
                .flat_map(|(title, rows)| rows.iter().map(move |r| (title, r)));
            let changes: Vec<Value> = rows
                .map(|(title, r)| json!({"for": title, "keyword": r.keyword, "before": r.before, "before_at": r.before_at, "after": r.after, "after_at": r.after_at}))
                .collect();
            view::to_string(&json!({"findings": [], "changes": changes}), false)
        } else if same {
            "The same in effect.\n".to_owned()
        } else {
            let mut out = String::new();
            for (title, rows) in &groups {
                if !title.is_empty() {
                    out.push_str(&format!("\nfor {}, besides:\n", escape::terminal(title)));
                } else if rows.is_empty() {
                    out.push_str("The same for everybody whom no block is about.\n");
                }
                for r in rows {
                    out.push_str(&format!(
                        "{}\n  - {}    [{}]\n  + {}    [{}]\n",
                        r.keyword,
                        escape::terminal(&r.before),
                        escape::terminal(&r.before_at),
                        escape::terminal(&r.after),
                        escape::terminal(&r.after_at)
                    ));
                }
            }
            out
        };
        super::report::print(text.as_bytes())?;
        Ok(match broken {
            true => Exit::Partial,
            false => Exit::Ok,
        })
    }
}

fn colour() -> bool {
    super::report::colour(std::io::stdout().is_terminal())
}

/// One keyword that comes to something else.
#[derive(PartialEq, Eq)]
struct Row {
    keyword: &'static str,
    before: String,
    before_at: String,
    after: String,
    after_at: String,
}

fn compare(one: &Config, two: &Config, c: Option<&Connection>) -> Vec<Row> {
    let (e, f) = (effective(one, c), effective(two, c));
    let place = |config: &Config, p: &[sshwhy_core::config::Pos]| {
        p.first()
            .map_or_else(|| "default".to_owned(), |p| config.place(*p))
    };
    let value = |values: &[String]| match values.is_empty() {
        true => "(not set)".to_owned(),
        false => values.join(" "),
    };
    let both = e.settings.iter().zip(&f.settings);
    both.filter(|(s, t)| s.values != t.values)
        .map(|(s, t)| Row {
            keyword: s.keyword.name,
            before: value(&s.values),
            before_at: place(one, &s.from),
            after: value(&t.values),
            after_at: place(two, &t.from),
        })
        .collect()
}

/// Whether a password can be right, as far as shadow(5) is readable; where it is not, it can.
fn has_password(a: &accounts::Account, e: &Effective) -> bool {
    a.shadow
        .as_ref()
        .is_none_or(|s| !s.is_locked() && (!s.is_empty() || e.is("PermitEmptyPasswords", "yes")))
}

/// Text of several lines for a terminal, each escaped.
fn lines(text: &str) -> String {
    text.lines()
        .map(|l| escape::terminal(l).into_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn wanted(only: &[String], name: &str) -> bool {
    only.is_empty() || only.iter().any(|o| o.eq_ignore_ascii_case(name))
}

fn settings(config: &Config, e: &Effective, only: &[String]) -> Value {
    let rows: Vec<Value> = e
        .settings
        .iter()
        .filter(|s| wanted(only, s.keyword.name) && !s.values.is_empty())
        .map(|s| {
            let lost: Vec<Value> = s
                .lost
                .iter()
                .map(|l| {
                    let why = match l.why {
                        Why::Earlier => "earlier",
                        Why::Later => "later",
                        Why::Match => "match",
                        Why::NotMatched(_) => "not-matched",
                    };
                    json!({"at": config.place(l.pos), "value": l.value, "why": why})
                })
                .collect();
            json!({
                "keyword": s.keyword.name, "values": s.values, "from": s.from.iter().map(|p| config.place(*p)).collect::<Vec<_>>(),
                "block": s.block.map(|b| config.place(b)), "lost": lost,
            })
        })
        .collect();
    let refusals = e
        .refusals
        .iter()
        .map(|d| json!({"at": config.place(d.pos), "message": d.message}));
    json!({"findings": [], "settings": rows, "refusals": refusals.collect::<Vec<_>>()})
}
