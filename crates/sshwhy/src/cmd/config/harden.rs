//! `config harden`: a stricter configuration by policy, that keeps out nobody who is logged in now, who is named, or whom a log
//! shows logging in.

use super::simulate::Seen;
use super::{Desk, has_password};
use crate::cli::{ConfigHarden, HardenPolicy};
use crate::exit::Exit;
use crate::host::{accounts, session};
use serde_json::{Value, json};
use sshwhy_core::config::effective::effective;
use sshwhy_core::config::harden::{self, Draft, Needed, Policy};
use sshwhy_core::config::{Connection, access};
use sshwhy_core::render::escape;
use sshwhy_core::render::json as view;
use std::collections::BTreeMap;

impl Desk {
    pub(super) fn harden(&self, a: &ConfigHarden) -> Result<Exit, String> {
        let config = self.read(&a.file)?;
        let broken = self.complaints(&config);
        let policy = match a.policy {
            HardenPolicy::Compatible => Policy::Compatible,
            HardenPolicy::Modern => Policy::Modern,
            HardenPolicy::Strict => Policy::Strict,
        };
        let seen = match a.log.is_empty() {
            true => Seen::default(),
            false => Seen::read(&a.log, &a.tz, a.year)?,
        };
        // Who, from where, and by which methods it was seen.
        let mut people: BTreeMap<(String, Option<String>), Vec<String>> = BTreeMap::new();
        for (name, from) in self.logged_in() {
            people.entry((name, from)).or_default();
        }
        for name in &a.keep {
            people.entry((name.clone(), None)).or_default();
        }
        for login in &seen.logins {
            let methods = people
                .entry((login.user.clone(), Some(login.addr.clone())))
                .or_default();
            if !methods.contains(&login.method) {
                methods.push(login.method.clone());
            }
        }
        let needed: Vec<Needed> = people
            .iter()
            .filter_map(|((name, from), used)| {
                let account = accounts::find(&self.machine, name);
                // A log of another machine names accounts that this one does not have.
                if account.is_none() && used.is_empty() {
                    return None;
                }
                let a = account.unwrap_or_else(|| accounts::Account {
                    name: name.clone(),
                    uid: if name == "root" { 0 } else { u32::MAX },
                    ..accounts::Account::default()
                });
                let c = Connection {
                    user: Some(a.name.clone()),
                    groups: a.groups.clone(),
                    addr: from.clone(),
                    host: from.clone(),
                    ..Connection::default()
                };
                let e = effective(&config, Some(&c));
                Some(Needed {
                    has_key: session::has_key(&self.machine, &a, e.value("AuthorizedKeysFile")),
                    has_password: has_password(&a, &e),
                    account: access::Account {
                        name: a.name,
                        uid: a.uid,
                        groups: a.groups,
                    },
                    connection: c,
                    used: used.clone(),
                })
            })
            .collect();
        let draft = Draft {
            files: &self.machine,
            path: config.source(0),
            release: self.release,
            cwd: "/",
        };
        let changes = harden::propose(&draft, policy, &needed, &seen.key_types);
        let mut names: Vec<&str> = needed.iter().map(|n| n.account.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let text = match self.json {
            true => {
                let rows: Vec<Value> = changes.iter().map(|c| json!({"keyword": c.keyword, "from": c.from, "to": c.to, "why": c.why, "keeps_out": c.keeps_out})).collect();
                view::to_string(
                    &json!({"findings": [], "keeps": names, "changes": rows}),
                    false,
                )
            }
            false => in_text(&changes, &names, &seen),
        };
        super::super::report::print(text.as_bytes())?;
        Ok(if broken { Exit::Partial } else { Exit::Ok })
    }

    /// Who is logged in now, and from which address, as who(1) says.
    fn logged_in(&self) -> Vec<(String, Option<String>)> {
        let Some(who) = self.machine.ask("who", "who", &[]) else {
            return Vec::new();
        };
        let mut out: Vec<(String, Option<String>)> = who
            .out
            .lines()
            .filter_map(|l| {
                let name = l.split_ascii_whitespace().next()?.to_owned();
                let from = l.rsplit_once('(').and_then(|(_, f)| f.strip_suffix(')'));
                let addr = from.filter(|f| sshwhy_core::addr::parse_ip(f.as_bytes()).is_some());
                Some((name, addr.map(str::to_owned)))
            })
            .collect();
        out.sort();
        out.dedup();
        out
    }
}

fn in_text(changes: &[harden::Change], names: &[&str], seen: &Seen) -> String {
    let mut out = String::from(
        "# A proposal: put it into a file that is included before everything else, check it with `sshd -t`, reload,\n# and log in anew before this session is closed.\n",
    );
    out.push_str(&match names.is_empty() {
        true => "# Nobody is known to be logged in: name with --keep who must get in, or give a --log.\n".to_owned(),
        false => format!("# Must still get in: {}\n", escape::terminal(&names.join(", "))),
    });
    if !seen.key_types.is_empty() {
        let types = seen.key_types.join(", ");
        out.push_str(&format!(
            "# Keys that logged in: {}\n",
            escape::terminal(&types)
        ));
    }
    if changes.is_empty() {
        out.push_str("# Nothing is left to tighten under this policy.\n");
    }
    for c in changes {
        let line = format!("{} {}", c.keyword, c.to);
        let line = escape::terminal(&line);
        let now = if c.from.is_empty() {
            "(not set)"
        } else {
            &c.from
        };
        out.push_str(&match c.keeps_out.is_empty() {
            true => format!("# {}; now {}\n{line}\n", c.why, escape::terminal(now)),
            false => format!(
                "# left out, because {} would not get in any more as before: {line}\n",
                escape::terminal(&c.keeps_out.join(", "))
            ),
        });
    }
    out
}
