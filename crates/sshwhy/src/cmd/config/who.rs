//! `config who`: every account, whether it could log in, from where, and by which methods.

use super::{Desk, has_password};
use crate::cli::ConfigWho;
use crate::exit::Exit;
use crate::host::accounts::{self, Account};
use crate::host::session;
use serde_json::{Value, json};
use sshwhy_core::config::effective::{Effective, effective};
use sshwhy_core::config::parse::Config;
use sshwhy_core::config::samples::{self, Place};
use sshwhy_core::config::{Connection, access};
use sshwhy_core::render::escape;
use sshwhy_core::render::json as view;

/// What is so for one account from one place.
#[derive(Clone, PartialEq, Eq)]
struct Answer {
    /// Methods, or whole chains of AuthenticationMethods.
    methods: Vec<String>,
    /// Why not; empty: it can.
    why: String,
}

/// The same answer from all of these places.
struct From {
    places: Vec<String>,
    answer: Answer,
}

impl Desk {
    pub(super) fn who(&self, a: &ConfigWho) -> Result<Exit, String> {
        let config = self.read(&a.file)?;
        let broken = self.complaints(&config);
        let places = match &a.addr {
            Some(addr) => vec![Place {
                name: addr.clone(),
                addr: addr.clone(),
                host: addr.clone(),
            }],
            None => samples::places(&config),
        };
        let mut rows: Vec<(Account, bool, Vec<From>)> = Vec::new();
        for account in accounts::all(&self.machine) {
            let mut groups: Vec<From> = Vec::new();
            for place in &places {
                let answer = self.answer(&config, &account, place);
                match groups.iter_mut().find(|g| g.answer == answer) {
                    Some(g) => g.places.push(place.name.clone()),
                    None => groups.push(From {
                        places: vec![place.name.clone()],
                        answer,
                    }),
                }
            }
            let shell = session::people(std::slice::from_ref(&account)).len() == 1;
            rows.push((account, shell, groups));
        }
        let text = if self.json {
            let accounts: Vec<Value> = rows
                .iter()
                .map(|(a, _, groups)| in_json(a, groups))
                .collect();
            let notes: Vec<&str> = unsure(&rows).into_iter().collect();
            view::to_string(
                &json!({"findings": [], "accounts": accounts, "notes": notes}),
                false,
            )
        } else {
            in_text(&rows, a.all)
        };
        super::super::report::print(text.as_bytes())?;
        Ok(if broken { Exit::Partial } else { Exit::Ok })
    }

    fn answer(&self, config: &Config, a: &Account, place: &Place) -> Answer {
        let c = Connection {
            user: Some(a.name.clone()),
            groups: a.groups.clone(),
            addr: Some(place.addr.clone()),
            host: Some(place.host.clone()),
            ..Connection::default()
        };
        let e = effective(config, Some(&c));
        let who = access::Account {
            name: a.name.clone(),
            uid: a.uid,
            groups: a.groups.clone(),
        };
        let no = |why: String| Answer {
            methods: Vec::new(),
            why,
        };
        if let Some(r) = access::refused(&e, &who, &c) {
            let place =
                r.at.first()
                    .map_or_else(|| "default".to_owned(), |p| config.place(*p));
            return no(format!("{} ({place})", r.keyword));
        }
        if let Some(why) = self.closed(a, &e) {
            return no(why);
        }
        let has_key = session::has_key(&self.machine, a, e.value("AuthorizedKeysFile"));
        let other_keys =
            !e.is("AuthorizedKeysCommand", "none") || !e.is("TrustedUserCAKeys", "none");
        let on = access::methods(&e, &who);
        let methods: Vec<&str> = on
            .iter()
            .copied()
            .filter(|m| match *m {
                "publickey" => has_key || other_keys,
                "password" | "keyboard-interactive" => has_password(a, &e),
                _ => true,
            })
            .collect();
        let chains = access::chains(&e, &methods);
        let ways = chains.unwrap_or_else(|| methods.iter().map(|m| (*m).to_owned()).collect());
        match ways.is_empty() {
            true => no(lacks(&on, has_key || other_keys, has_password(a, &e), &e)),
            false => Answer {
                methods: ways,
                why: String::new(),
            },
        }
    }

    /// Why the account itself is closed, whatever the lists say.
    fn closed(&self, a: &Account, e: &Effective) -> Option<String> {
        if session::people(std::slice::from_ref(a)).is_empty() {
            return Some(format!("its shell is {}", a.shell));
        }
        let shell = if a.shell.is_empty() {
            "/bin/sh"
        } else {
            &a.shell
        };
        if !self.machine.exists(shell) {
            return Some(format!("its shell {shell} does not exist"));
        }
        let shadow = a.shadow.as_ref()?;
        // auth.c: with PAM a locked password only rules the password out.
        if shadow.hash.starts_with('!') && !e.is("UsePAM", "yes") {
            return Some("the account is locked, and UsePAM is off".to_owned());
        }
        let today = super::super::reading::now().0 / 86_400_000_000;
        let expired = shadow.expire.is_some_and(|day| day >= 0 && day < today);
        expired.then(|| "the account has expired".to_owned())
    }
}

/// What could not be seen.
fn unsure(rows: &[(Account, bool, Vec<From>)]) -> Option<&'static str> {
    let blind = rows.iter().all(|(a, ..)| a.shadow.is_none());
    blind.then_some("/etc/shadow cannot be read: whether an account has a password is not known, and taken for granted")
}

/// What an account that the lists let in is short of.
fn lacks(on: &[&str], key: bool, password: bool, e: &Effective) -> String {
    let asks = |m: &str| on.contains(&m);
    let mut why = Vec::new();
    match (asks("publickey"), key) {
        (true, false) => why.push("it has no key"),
        (false, true) => why.push("keys are off"),
        _ => {}
    }
    match (asks("password") || asks("keyboard-interactive"), password) {
        (true, false) => why.push("it has no password"),
        (false, _) => why.push("passwords are off"),
        _ => {}
    }
    let chain = e.value("AuthenticationMethods");
    match chain {
        "" | "any" => why.join(", "),
        _ if why.is_empty() => format!("AuthenticationMethods {chain} cannot be met"),
        _ => format!("AuthenticationMethods {chain}: {}", why.join(", ")),
    }
}

fn in_json(a: &Account, groups: &[From]) -> Value {
    let first = groups
        .iter()
        .find(|g| g.answer.why.is_empty())
        .or(groups.first());
    let from: Vec<Value> = groups
        .iter()
        .map(|g| json!({"from": g.places, "can": g.answer.why.is_empty(), "methods": g.answer.methods, "why": g.answer.why}))
        .collect();
    json!({
        "user": a.name,
        "can": first.is_some_and(|g| g.answer.why.is_empty()),
        "methods": first.map(|g| g.answer.methods.clone()).unwrap_or_default(),
        "why": first.map(|g| g.answer.why.clone()).unwrap_or_default(),
        "places": from,
    })
}

fn in_text(rows: &[(Account, bool, Vec<From>)], all: bool) -> String {
    let mut out = String::new();
    let mut without_shell = 0;
    for (a, shell, groups) in rows {
        if !shell && !all {
            without_shell += 1;
            continue;
        }
        for (i, g) in groups.iter().enumerate() {
            let what = match g.answer.why.is_empty() {
                true => format!("yes  {}", g.answer.methods.join(" or ")),
                false => format!("no   {}", g.answer.why),
            };
            let from = match groups.len() {
                1 => String::new(),
                _ => format!("  from {}", g.places.join(", ")),
            };
            let name = if i == 0 { a.name.as_str() } else { "" };
            out.push_str(&format!(
                "{:<20} {}{}\n",
                escape::terminal(name),
                escape::terminal(&what),
                escape::terminal(&from)
            ));
        }
    }
    if let Some(note) = unsure(rows) {
        out.push_str(&format!("note: {note}\n"));
    }
    if without_shell > 0 {
        out.push_str(&format!(
            "{without_shell} more without a login shell: no (--all lists them)\n"
        ));
    }
    out
}
