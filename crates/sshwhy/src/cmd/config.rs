//! `config`: what will this sshd_config do? Evaluates it for a connection, checks it, compares, simulates, hardens.

use crate::cli::{Config as Args, ConfigVerb, ConnectionArgs, HardenPolicy, TextOrJson};
use crate::exit::Exit;
use crate::host::machine::Machine;
use crate::host::{accounts, daemon, session};
use crate::zone;
use serde_json::{Value, json};
use sshwhy_core::config::effective::{Effective, Why, effective};
use sshwhy_core::config::harden::{self, Needed, Policy};
use sshwhy_core::config::lint::{self, Known, KnownAccount};
use sshwhy_core::config::parse::{Config, Level, Shown, parse};
use sshwhy_core::config::simulate::{self, Load, MaxStartups};
use sshwhy_core::config::{Connection, access};
use sshwhy_core::finding::Finding;
use sshwhy_core::render::escape;
use sshwhy_core::render::json as view;
use sshwhy_core::render::terminal::{self, TextOptions};
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
        None => daemon::binary(&machine, None)
            .and_then(|b| b.release)
            .unwrap_or((9, 2)),
    };
    let desk = Desk {
        machine,
        release,
        json: args.format == TextOrJson::Json,
    };
    match args.verb {
        ConfigVerb::Effective(a) => desk.effective(&a.connection, &a.only, a.plain, &a.file),
        ConfigVerb::Check(a) => desk.check(&a.file),
        ConfigVerb::Who(a) => desk.who(a.addr.as_deref(), &a.file),
        ConfigVerb::Diff(a) => desk.diff(&a.connection, &a.before, &a.after),
        ConfigVerb::Simulate(a) => {
            let load = Load {
                per_second: a.rate,
                hold: a.hold,
                held: a.held,
            };
            desk.simulate(load, a.max_startups.as_deref(), a.target, &a.file)
        }
        ConfigVerb::Harden(a) => {
            let policy = match a.policy {
                HardenPolicy::Compatible => Policy::Compatible,
                HardenPolicy::Modern => Policy::Modern,
                HardenPolicy::Strict => Policy::Strict,
            };
            desk.harden(policy, &a.keep, &a.file)
        }
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
        Ok(parse(&self.machine, &path, self.release, &cwd()))
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
                        Why::NotMatched(m) => format!("only for \"{}\"", config.line(m).trim()),
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
            }
        });
        Known {
            accounts: accounts.collect(),
        }
    }

    fn check(&self, file: &str) -> Result<Exit, String> {
        let config = self.read(file)?;
        let own = file == "/etc/ssh/sshd_config";
        // Another file is for another machine, perhaps: its accounts are not known.
        let known = if own {
            self.known(&config)
        } else {
            Known::default()
        };
        let findings = lint::lint(&config, &known);
        self.show(&findings, "Nothing questionable.")?;
        Ok(Exit::of(&findings, false))
    }

    fn show(&self, findings: &[Finding], nothing: &str) -> Result<(), String> {
        if self.json {
            return super::report::print(view::findings_only(findings, false).as_bytes());
        }
        let zone = zone::local();
        let mut options = TextOptions::new(&zone);
        options.colour = std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let text = match findings.is_empty() {
            true => format!("{nothing}\n"),
            false => terminal::findings(findings, &options),
        };
        super::report::print(text.as_bytes())
    }

    fn who(&self, addr: Option<&str>, file: &str) -> Result<Exit, String> {
        let config = self.read(file)?;
        let broken = self.complaints(&config);
        let mut rows = Vec::new();
        for a in accounts::all(&self.machine) {
            let c = Connection {
                user: Some(a.name.clone()),
                groups: a.groups.clone(),
                addr: addr.map(str::to_owned),
                host: addr.map(str::to_owned),
                ..Connection::default()
            };
            let e = effective(&config, Some(&c));
            let who = access::Account {
                name: a.name.clone(),
                uid: a.uid,
                groups: a.groups.clone(),
            };
            let refusal = access::refused(&e, &who, &c);
            let shell_ok = session::people(std::slice::from_ref(&a)).len() == 1;
            let has_key = session::has_key(&self.machine, &a, e.value("AuthorizedKeysFile"))
                || !e.is("AuthorizedKeysCommand", "none")
                || !e.is("TrustedUserCAKeys", "none");
            let has_password = a.shadow.as_ref().is_none_or(|s| {
                !s.is_locked() && (!s.is_empty() || e.is("PermitEmptyPasswords", "yes"))
            });
            let methods: Vec<&str> = access::methods(&e, &who)
                .into_iter()
                .filter(|m| match *m {
                    "publickey" => has_key,
                    "password" | "keyboard-interactive" => has_password,
                    _ => true,
                })
                .collect();
            let chains = access::chains(&e, &methods);
            let reachable = chains
                .as_ref()
                .map_or(!methods.is_empty(), |c| !c.is_empty());
            let why = match &refusal {
                Some(r) => format!(
                    "{} ({})",
                    r.keyword,
                    r.at.first()
                        .map_or_else(|| "default".to_owned(), |p| config.place(*p))
                ),
                None if !shell_ok => format!("shell {}", a.shell),
                None if !reachable => "no method left: no key, no password".to_owned(),
                None => String::new(),
            };
            let from = e
                .values("AllowUsers")
                .iter()
                .filter_map(|p| p.rsplit_once('@'))
                .filter(|(u, _)| sshwhy_core::config::pattern::matches(&a.name, u))
                .map(|(_, h)| h.to_owned())
                .collect::<Vec<_>>();
            rows.push(json!({
                "user": a.name, "can": why.is_empty(), "methods": chains.unwrap_or_else(|| methods.iter().map(|m| (*m).to_owned()).collect()),
                "from": from, "why": why,
            }));
        }
        if self.json {
            super::report::print(
                view::to_string(&json!({"findings": [], "accounts": rows}), false).as_bytes(),
            )?;
        } else {
            let mut out = String::new();
            let text = |v: &Value, k: &str| {
                v.get(k)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let list = |v: &Value, k: &str| {
                v.get(k)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            for r in &rows {
                let can = r.get("can").and_then(Value::as_bool).unwrap_or(false);
                let from = list(r, "from");
                let what = match can {
                    true => format!(
                        "yes  {}{}",
                        list(r, "methods"),
                        if from.is_empty() {
                            String::new()
                        } else {
                            format!(" from {from}")
                        }
                    ),
                    false => format!("no   {}", text(r, "why")),
                };
                out.push_str(&format!(
                    "{:<20} {}\n",
                    escape::terminal(&text(r, "user")),
                    escape::terminal(&what)
                ));
            }
            super::report::print(out.as_bytes())?;
        }
        Ok(if broken { Exit::Partial } else { Exit::Ok })
    }

    fn diff(&self, a: &ConnectionArgs, before: &str, after: &str) -> Result<Exit, String> {
        let (one, two) = (self.read(before)?, self.read(after)?);
        let broken = self.complaints(&one) | self.complaints(&two);
        let c = self.connection(a);
        let (e, f) = (effective(&one, c.as_ref()), effective(&two, c.as_ref()));
        let mut rows = Vec::new();
        for (s, t) in e.settings.iter().zip(&f.settings) {
            if s.values != t.values {
                let place = |config: &Config, p: &[sshwhy_core::config::Pos]| {
                    p.first()
                        .map_or_else(|| "default".to_owned(), |p| config.place(*p))
                };
                rows.push((
                    s.keyword.name,
                    s.values.join(" "),
                    place(&one, &s.from),
                    t.values.join(" "),
                    place(&two, &t.from),
                ));
            }
        }
        let text = if self.json {
            let changes: Vec<Value> = rows.iter().map(|(k, a, p, b, q)| json!({"keyword": k, "before": a, "before_at": p, "after": b, "after_at": q})).collect();
            view::to_string(&json!({"findings": [], "changes": changes}), false)
        } else if rows.is_empty() {
            "The same in effect.\n".to_owned()
        } else {
            rows.iter()
                .map(|(k, a, p, b, q)| {
                    format!(
                        "{k}\n  - {}    [{}]\n  + {}    [{}]\n",
                        escape::terminal(a),
                        escape::terminal(p),
                        escape::terminal(b),
                        escape::terminal(q)
                    )
                })
                .collect()
        };
        super::report::print(text.as_bytes())?;
        Ok(if broken { Exit::Partial } else { Exit::Ok })
    }

    fn simulate(
        &self,
        load: Load,
        limit: Option<&str>,
        target: f64,
        file: &str,
    ) -> Result<Exit, String> {
        let limit = match limit {
            Some(text) => text.to_owned(),
            None => effective(&self.read(file)?, None)
                .value("MaxStartups")
                .to_owned(),
        };
        let limit = MaxStartups::parse(&limit)
            .ok_or_else(|| format!("{limit:?} is no MaxStartups: start:rate:full"))?;
        if !(load.per_second >= 0.0 && load.hold >= 0.0 && (0.0..=1.0).contains(&target)) {
            return Err(
                "rates and times are not negative, and the target is a share between 0 and 1"
                    .to_owned(),
            );
        }
        let s = simulate::settle(limit, load);
        let better = simulate::meet(limit, load, target);
        let show = |m: MaxStartups| format!("{}:{}:{}", m.start, m.rate, m.full);
        if self.json {
            let value = json!({"findings": [], "max_startups": show(limit), "drop": s.drop, "mean": s.mean, "p99": s.p99, "tries_p50": s.tries_p50, "tries_p99": s.tries_p99,
                "target": target, "meets_target": better.map(show)});
            super::report::print(view::to_string(&value, false).as_bytes())?;
            return Ok(Exit::Ok);
        }
        let mut out = format!(
            "MaxStartups {} under {} connections a second, {} s each, {} held:\n  refused        {:.2} %\n  waiting        {:.1} on average, at most {} for 99 % of the time\n  attempts       {} at the median, {} at the 99th percentile\n\n",
            show(limit),
            load.per_second,
            load.hold,
            load.held,
            s.drop * 100.0,
            s.mean,
            s.p99,
            s.tries_p50,
            s.tries_p99
        );
        out.push_str("  not logged in   refused\n");
        for step in 0..=10u32 {
            let n = limit.full.saturating_mul(step) / 10;
            out.push_str(&format!("  {n:>13}   {:>5} %\n", limit.drop_percent(n)));
        }
        out.push_str(&match better {
            Some(m) if m != limit => format!("\nMaxStartups {} would refuse at most {:.2} %.\n", show(m), target * 100.0),
            Some(_) => format!("\nIt refuses at most {:.2} % as it is.\n", target * 100.0),
            None => "\nNo setting meets the target: shorten LoginGraceTime, or keep the attackers out before sshd.\n".to_owned(),
        });
        super::report::print(out.as_bytes())?;
        Ok(Exit::Ok)
    }

    fn harden(&self, policy: Policy, keep: &[String], file: &str) -> Result<Exit, String> {
        let config = self.read(file)?;
        let broken = self.complaints(&config);
        let e = effective(&config, None);
        let mut names = keep.to_vec();
        if names.is_empty()
            && let Some(who) = self.machine.ask("who", "who", &[])
        {
            names = who
                .out
                .lines()
                .filter_map(|l| l.split_ascii_whitespace().next())
                .map(str::to_owned)
                .collect();
        }
        names.sort();
        names.dedup();
        let needed: Vec<Needed> = names
            .iter()
            .filter_map(|n| accounts::find(&self.machine, n))
            .map(|a| Needed {
                connection: Connection {
                    user: Some(a.name.clone()),
                    groups: a.groups.clone(),
                    ..Connection::default()
                },
                is_root: a.uid == 0,
                has_key: session::has_key(&self.machine, &a, e.value("AuthorizedKeysFile")),
            })
            .collect();
        let changes = harden::propose(&e, policy, &needed);
        if self.json {
            let rows: Vec<Value> = changes.iter().map(|c| json!({"keyword": c.keyword, "from": c.from, "to": c.to, "why": c.why, "keeps_out": c.keeps_out})).collect();
            super::report::print(
                view::to_string(
                    &json!({"findings": [], "keeps": names, "changes": rows}),
                    false,
                )
                .as_bytes(),
            )?;
        } else {
            let mut out = String::from(
                "# A proposal: put it into a file that is included first, check with sshd -t, and keep this session open.\n",
            );
            for c in &changes {
                let line = format!("{} {}", c.keyword, c.to);
                let line = escape::terminal(&line).into_owned();
                match c.keeps_out.is_empty() {
                    true => out.push_str(&format!(
                        "# {}; now {}\n{line}\n",
                        c.why,
                        escape::terminal(&c.from)
                    )),
                    false => out.push_str(&format!(
                        "# left out, because {} would not get in any more (no key): {line}\n",
                        escape::terminal(&c.keeps_out.join(", "))
                    )),
                }
            }
            super::report::print(out.as_bytes())?;
        }
        Ok(if broken { Exit::Partial } else { Exit::Ok })
    }
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
    json!({"findings": [], "settings": rows})
}
