//! ssh_config as ssh reads it: which value of each keyword counts for one destination, and the line that says so.
//!
//! Follows readconf.c and ssh.c main() of OpenSSH 9.2 to 10.0: the command line, the user's file, the system's file, the
//! first value wins; Host and Match; Include; canonicalisation and the second pass; deprecated words. What has to look at
//! the world (files, `Match exec`, names, networks) is asked of a [`World`]. Values come out as `ssh -G` prints them.

pub mod algorithms;
mod keywords;
mod line;
mod matching;
pub mod tokens;

use crate::config::{lex, pattern};
use algorithms::Lists;
use keywords::Kind;
use std::collections::BTreeMap;
use tokens::{Client, Tokens};

/// How deep Includes may go (readconf.c READCONF_MAX_DEPTH).
const DEEPEST: usize = 16;
/// How many lines are read in all, Includes and both passes together.
const MOST_LINES: usize = 200_000;

/// Owner or mode of a file forbid its use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsafe;

/// What evaluating has to ask.
pub trait World {
    /// The text of a file. `Ok(None)`: it is not there, or cannot be read. `Err`: `check` was asked for, and owner or mode
    /// forbid its use.
    fn read(&mut self, path: &str, check: bool) -> Result<Option<Vec<u8>>, Unsafe>;
    /// The files that a pattern of Include fits, in order; `~` is put in already.
    fn glob(&mut self, pattern: &str) -> Vec<String>;
    /// `Match exec`: whether the command ends with 0.
    fn exec(&mut self, command: &str) -> bool;
    /// `Match localnetwork`: whether this machine has an address in one of these networks.
    fn local_network(&mut self, networks: &str) -> bool;
    fn env(&mut self, name: &str) -> Option<String>;
    /// Looks a name up for canonicalisation: its canonical name where it exists (itself, or where a CNAME leads).
    fn canonical(&mut self, name: &str) -> Option<String>;
}

/// Where a value was set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// `command-line` for options.
    pub file: String,
    pub line: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// As `ssh -G` prints it.
    pub text: String,
    /// `None`: a default.
    pub place: Option<Place>,
}

/// What was typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Typed {
    pub host: String,
    /// `-o` and the options that are short for one, as keyword and value, in order.
    pub settings: Vec<(String, String)>,
    /// The first that was typed, wherever it stood: `-l`, `-o User=`, `user@`.
    pub user: Option<String>,
    /// Likewise: `-p`, `-o Port=`, the port of an `ssh://` URL.
    pub port: Option<u16>,
    /// `-F`; `none` reads no file.
    pub file: Option<String>,
    /// What `Match command` and `Match sessiontype` see.
    pub command: String,
    pub session_type: &'static str,
    /// `-P TAG` of OpenSSH 9.4, which `Match tagged` sees.
    pub tag: Option<String>,
}

/// What holds for the destination.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Effective {
    values: BTreeMap<&'static str, Vec<Value>>,
    pub tokens: Tokens,
    /// Words that ssh reads and that have no effect, in ssh's own phrases.
    pub remarks: Vec<String>,
}

impl Effective {
    pub fn first(&self, key: &str) -> Option<&Value> {
        self.values.get(key)?.first()
    }

    pub fn all(&self, key: &str) -> &[Value] {
        self.values.get(key).map_or(&[], Vec::as_slice)
    }

    /// `keyword value` lines, as `ssh -G` prints them (in the order of the alphabet).
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values
            .iter()
            .flat_map(|(key, values)| values.iter().map(move |v| (*key, v)))
    }
}

/// ssh would stop here; its own words, one line each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused(pub Vec<String>);

/// The two files where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    pub user: Option<&'a str>,
    pub system: &'a str,
}

/// One file, or one of its Includes, under way.
#[derive(Clone, Copy)]
struct Reading<'a> {
    file: &'a str,
    /// Of the user, where `~` may stand.
    of_user: bool,
    /// Inside a block that does not apply: nothing in it may.
    never: bool,
    depth: usize,
}

struct Evaluator<'w> {
    world: &'w mut dyn World,
    typed: &'w Typed,
    client: &'w Client,
    lists: &'w Lists,
    values: BTreeMap<&'static str, Vec<Value>>,
    /// The host as it is now: canonicalised in the second pass.
    host: String,
    last_pass: bool,
    wants_last_pass: bool,
    /// The last pass is to be made for canonicalisation's sake.
    canonicalized: bool,
    complaints: Vec<String>,
    remarks: Vec<String>,
    lines: usize,
}

/// Evaluates.
pub fn evaluate(
    typed: &Typed,
    files: Files<'_>,
    client: &Client,
    lists: &Lists,
    world: &mut dyn World,
) -> Result<Effective, Refused> {
    let mut e = Evaluator {
        world,
        typed,
        client,
        lists,
        values: BTreeMap::new(),
        host: typed.host.clone(),
        last_pass: false,
        wants_last_pass: false,
        canonicalized: false,
        complaints: Vec::new(),
        remarks: Vec::new(),
        lines: 0,
    };
    e.command_line()?;
    e.files(files)?;
    // ssh takes the defaults of these three before it reads the files again.
    for key in [
        "canonicalizemaxdots",
        "canonicalizefallbacklocal",
        "canonicalizehostname",
    ] {
        e.default_of(key);
    }
    e.take_host_name()?;
    e.canonicalize()?;
    let canonical = e.word("canonicalizehostname").is_some_and(|v| v != "false");
    if canonical || e.wants_last_pass {
        e.canonicalized = canonical;
        e.last_pass = true;
        e.set_host_name();
        e.files(files)?;
    }
    e.finish()
}

fn is_address(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

impl Evaluator<'_> {
    fn word(&self, key: &str) -> Option<String> {
        self.values.get(key)?.first().map(|v| v.text.clone())
    }

    fn command_line(&mut self) -> Result<(), Refused> {
        let here = Reading {
            file: "command-line",
            of_user: true,
            never: false,
            depth: 0,
        };
        let typed = self.typed;
        let mut active = true;
        if let Some(user) = &typed.user {
            self.put("user", user.clone(), here, 0);
        }
        if let Some(port) = typed.port {
            self.put("port", port.to_string(), here, 0);
        }
        if let Some(tag) = &typed.tag {
            self.put("tag", tag.clone(), here, 0);
        }
        for (keyword, value) in &typed.settings {
            let line = format!("{keyword} {value}");
            self.line(here, 0, &line, &mut active, true)?;
        }
        self.stop_on_complaints("command-line")
    }

    /// The first value wins.
    fn put(&mut self, key: &'static str, text: String, at: Reading<'_>, line: usize) {
        let place = Place {
            file: at.file.to_owned(),
            line,
        };
        self.values.entry(key).or_insert_with(|| {
            vec![Value {
                text,
                place: Some(place),
            }]
        });
    }

    fn default_of(&mut self, key: &'static str) {
        let text = keywords::DEFAULTS.iter().find(|(k, _)| *k == key);
        if let Some((_, text)) = text {
            self.values.entry(key).or_insert_with(|| {
                vec![Value {
                    text: (*text).to_owned(),
                    place: None,
                }]
            });
        }
    }

    /// Every value counts, once (names of SendEnv are not looked at twice by ssh either).
    fn add(&mut self, key: &'static str, text: String, at: Reading<'_>, line: usize) {
        let place = Place {
            file: at.file.to_owned(),
            line,
        };
        let values = self.values.entry(key).or_default();
        let new = key == "sendenv" || !values.iter().any(|v| v.text == text);
        if new && values.len() < 1000 {
            values.push(Value {
                text,
                place: Some(place),
            });
        }
    }

    fn files(&mut self, files: Files<'_>) -> Result<(), Refused> {
        match self.typed.file.clone() {
            Some(file) if file.eq_ignore_ascii_case("none") => Ok(()),
            Some(file) => {
                let file = file.as_str();
                match self.read_file(file, true, false, 0, false)? {
                    true => Ok(()),
                    false => Err(Refused(vec![format!(
                        "Can't open user config file {file}: No such file or directory"
                    )])),
                }
            }
            None => {
                if let Some(user) = files.user {
                    self.read_file(user, true, false, 0, true)?;
                }
                self.read_file(files.system, false, false, 0, false)?;
                Ok(())
            }
        }
    }

    /// Reads one file; `false` where it is not there.
    fn read_file(
        &mut self,
        file: &str,
        of_user: bool,
        never: bool,
        depth: usize,
        check: bool,
    ) -> Result<bool, Refused> {
        if depth > DEEPEST {
            return Err(Refused(vec![
                "Too many recursive configuration includes".to_owned(),
            ]));
        }
        let bytes = match self.world.read(file, check || depth > 0) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(false),
            Err(Unsafe) => {
                return Err(Refused(vec![format!("Bad owner or permissions on {file}")]));
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let here = Reading {
            file,
            of_user,
            never,
            depth,
        };
        let mut active = !never;
        for (i, line) in text.lines().enumerate() {
            self.lines += 1;
            if self.lines > MOST_LINES {
                return Err(Refused(vec![format!(
                    "{file}: more than {MOST_LINES} lines of configuration"
                )]));
            }
            self.line(here, i + 1, line, &mut active, false)?;
        }
        self.stop_on_complaints(file)?;
        Ok(true)
    }

    fn stop_on_complaints(&mut self, file: &str) -> Result<(), Refused> {
        if self.complaints.is_empty() {
            return Ok(());
        }
        let mut said = std::mem::take(&mut self.complaints);
        said.push(format!(
            "{file}: terminating, {} bad configuration options",
            said.len()
        ));
        Err(Refused(said))
    }

    fn complain(&mut self, at: Reading<'_>, line: usize, what: &str) {
        let text = if at.file == "command-line" {
            format!("command-line: line 0: {what}")
        } else {
            format!("{} line {line}: {what}", at.file)
        };
        self.complaints.push(text);
    }

    /// One line of a file or one option.
    fn line(
        &mut self,
        at: Reading<'_>,
        number: usize,
        line: &str,
        active: &mut bool,
        command_line: bool,
    ) -> Result<(), Refused> {
        let cut = match lex::cut(line) {
            Ok(Some(cut)) => cut,
            Ok(None) => return Ok(()),
            Err(_) => {
                self.complain(at, number, "invalid quotes");
                return Ok(());
            }
        };
        let word = cut.keyword.text.to_ascii_lowercase();
        if cut.rest.is_empty() {
            let what = format!("no argument after keyword \"{word}\"");
            self.complain(at, number, &what);
            return Ok(());
        }
        let Some((key, kind)) = keywords::find(&word) else {
            let ignored = self
                .word("ignoreunknown")
                .is_some_and(|list| pattern::list(&word, &list, true) == pattern::Verdict::Yes);
            if !ignored {
                let what = if command_line {
                    format!("command-line: line 0: Bad configuration option: {word}")
                } else {
                    format!(
                        "{}: line {number}: Bad configuration option: {word}",
                        at.file
                    )
                };
                self.complaints.push(what);
            }
            return Ok(());
        };
        let Ok(arguments) = lex::arguments(&cut.rest, 1) else {
            self.complain(at, number, "invalid quotes");
            return Ok(());
        };
        let arguments: Vec<String> = arguments.into_iter().map(|w| w.text).collect();
        match kind {
            Kind::Host if command_line => {
                self.complain(
                    at,
                    number,
                    "Host directive not supported as a command-line option",
                );
            }
            Kind::Match | Kind::Include if command_line => {
                self.complain(
                    at,
                    number,
                    "directive not supported as a command-line option",
                );
            }
            Kind::Host => *active = !at.never && self.host_line(at, number, &arguments),
            Kind::Match => match self.match_line(at, number, &cut.rest) {
                Ok(applies) => *active = applies && !at.never,
                Err(why) => {
                    if !why.is_empty() {
                        self.complaints.push(why);
                    }
                    self.complain(at, number, "Bad Match condition");
                }
            },
            Kind::Include => self.include(at, number, &arguments, *active)?,
            Kind::Ignored => {}
            Kind::Deprecated => self.remarks.push(format!(
                "{} line {number}: Deprecated option \"{word}\"",
                at.file
            )),
            Kind::Unsupported => self.remarks.push(format!(
                "{} line {number}: Unsupported option \"{word}\"",
                at.file
            )),
            kind => self.value(line::Line {
                at,
                number,
                key,
                kind,
                word: &word,
                rest: &cut.rest,
                arguments: &arguments,
                active: *active,
            }),
        }
        Ok(())
    }

    fn host_line(&mut self, at: Reading<'_>, number: usize, patterns: &[String]) -> bool {
        let mut applies = false;
        for pattern in patterns {
            if pattern.is_empty() {
                self.complain(at, number, "keyword host empty argument");
                return false;
            }
            match pattern.strip_prefix('!') {
                Some(p) if pattern::matches(&self.host, p) => return false,
                Some(_) => {}
                None => applies |= pattern::matches(&self.host, pattern),
            }
        }
        applies
    }

    fn include(
        &mut self,
        at: Reading<'_>,
        number: usize,
        patterns: &[String],
        active: bool,
    ) -> Result<(), Refused> {
        for pattern in patterns {
            if pattern.starts_with('~') && !at.of_user {
                let what = format!("bad include path {pattern}.");
                self.complain(at, number, &what);
                continue;
            }
            let path = if pattern.starts_with('/') || pattern.starts_with('~') {
                pattern.clone()
            } else if at.of_user {
                format!("~/.ssh/{pattern}")
            } else {
                format!("/etc/ssh/{pattern}")
            };
            let tokens = Tokens {
                client: self.client.clone(),
                ..Tokens::default()
            };
            for file in self.world.glob(&tokens.tilde(&path)) {
                self.read_file(&file, at.of_user, at.never || !active, at.depth + 1, true)?;
            }
        }
        Ok(())
    }

    /// `HostName` as the host from now on (ssh.c main()).
    fn take_host_name(&mut self) -> Result<(), Refused> {
        if let Some(name) = self.word("hostname") {
            self.host = host_name(&name, &self.typed.host)
                .map_err(|e| Refused(vec![format!("HostName {name}: {e}")]))?;
        }
        if !is_address(&self.host) {
            self.host = self.host.to_ascii_lowercase();
        }
        Ok(())
    }

    fn set_host_name(&mut self) {
        let place = self
            .values
            .get("hostname")
            .and_then(|v| v.first()?.place.clone());
        let value = Value {
            text: self.host.clone(),
            place,
        };
        self.values.insert("hostname", vec![value]);
    }

    /// CanonicalizeHostname and what belongs to it (ssh.c resolve_canonicalize()).
    fn canonicalize(&mut self) -> Result<(), Refused> {
        let mode = self.word("canonicalizehostname").unwrap_or_default();
        let proxied = ["proxycommand", "proxyjump"].iter().any(|k| {
            self.word(k)
                .is_some_and(|v| !v.eq_ignore_ascii_case("none"))
        });
        let wanted = mode == "always" || mode == "true" && !proxied;
        if !wanted || is_address(&self.host) {
            return Ok(());
        }
        if let Some(name) = self.host.strip_suffix('.').map(str::to_owned) {
            // An absolute name is taken as it is.
            if let Some(found) = self.world.canonical(&name) {
                self.host = self.follow(&name, &found);
                return Ok(());
            }
        }
        let dots = self.host.matches('.').count();
        let most = self
            .word("canonicalizemaxdots")
            .and_then(|n| n.parse().ok())
            .unwrap_or(1);
        if dots <= most {
            let domains = self.word("canonicaldomains").unwrap_or_default();
            for domain in domains.split(' ').filter(|d| !d.is_empty() && *d != "none") {
                let name = format!("{}.{}", self.host, domain.trim_start_matches('.'));
                if let Some(found) = self.world.canonical(&name) {
                    self.host = self.follow(&name, &found);
                    return Ok(());
                }
            }
        }
        if self.word("canonicalizefallbacklocal").as_deref() == Some("no") {
            return Err(Refused(vec![format!(
                "{}: Could not resolve host \"{}\"",
                "ssh", self.host
            )]));
        }
        Ok(())
    }

    /// Where a CNAME may lead (CanonicalizePermittedCNAMEs).
    fn follow(&self, name: &str, found: &str) -> String {
        let found = found.trim_end_matches('.').to_ascii_lowercase();
        if found == name {
            return name.to_owned();
        }
        let rules = self.word("canonicalizepermittedcnames").unwrap_or_default();
        let permitted = rules.split(' ').any(|rule| {
            let (from, to) = rule.split_once(':').unwrap_or((rule, rule));
            let fits = |t: &str, p: &str| pattern::list(t, p, true) == pattern::Verdict::Yes;
            if rule == "*" || rule == "*:*" {
                return true;
            }
            rule.contains(':') && fits(name, from) && fits(&found, to)
        });
        if permitted { found } else { name.to_owned() }
    }

    /// Defaults, and what is only known at the end.
    fn finish(mut self) -> Result<Effective, Refused> {
        for (key, class) in [
            ("ciphers", algorithms::Class::Cipher),
            ("macs", algorithms::Class::Mac),
            ("kexalgorithms", algorithms::Class::Kex),
            ("hostkeyalgorithms", algorithms::Class::Key),
            ("pubkeyacceptedalgorithms", algorithms::Class::Key),
            ("hostbasedacceptedalgorithms", algorithms::Class::Key),
            ("casignaturealgorithms", algorithms::Class::Signature),
        ] {
            let text = match self.word(key) {
                Some(text) => self.lists.assemble(class, &text).join(","),
                None => self.lists.default_of(class).join(","),
            };
            let place = self.values.get(key).and_then(|v| v.first()?.place.clone());
            self.values.insert(key, vec![Value { text, place }]);
        }
        let known_before = self.word("userknownhostsfile");
        let one_default = known_before
            .as_deref()
            .is_none_or(|v| v == "~/.ssh/known_hosts");
        let dns = self.word("verifyhostkeydns").is_some_and(|v| v != "false");
        let update = if one_default && !dns { "true" } else { "false" };
        let mut default = |key: &'static str, texts: &[&str]| {
            self.values.entry(key).or_insert_with(|| {
                let value = |text: &&str| Value {
                    text: (*text).to_owned(),
                    place: None,
                };
                texts.iter().map(value).collect()
            });
        };
        default("updatehostkeys", &[update]);
        default(
            "userknownhostsfile",
            &["~/.ssh/known_hosts ~/.ssh/known_hosts2"],
        );
        default("identityfile", keywords::IDENTITIES);
        default("user", &[&self.client.user]);
        for (key, text) in keywords::DEFAULTS {
            default(key, &[text]);
        }
        for key in [
            "localcommand",
            "remotecommand",
            "proxycommand",
            "controlpath",
            "revokedhostkeys",
            "pkcs11provider",
            "securitykeyprovider",
            "knownhostscommand",
            "proxyjump",
        ] {
            if self
                .word(key)
                .is_some_and(|v| v.eq_ignore_ascii_case("none"))
            {
                self.values.remove(key);
            }
        }
        let jumps = self.word("proxyjump").is_some();
        let asks = self.word("updatehostkeys").as_deref() == Some("ask");
        let word = |key: &str| self.word(key).map(|v| v.to_ascii_lowercase());
        let quiet = matches!(
            word("loglevel").as_deref(),
            Some("silent" | "quiet" | "fatal" | "error")
        );
        // ssh.c main(): nobody is asked beside a command, in the background, or where nothing is shown.
        let silent = quiet
            || !self.typed.command.is_empty()
            || word("requesttty").as_deref() == Some("no")
            || word("remotecommand").is_some()
            || (word("controlpersist").is_some_and(|v| v != "no") && word("controlpath").is_some());
        // ssh.c 9.2: a command made of ProxyJump passes no descriptor.
        let mut instead = |key: &'static str, text: &str| {
            let value = Value {
                text: text.to_owned(),
                place: None,
            };
            self.values.insert(key, vec![value]);
        };
        if jumps {
            instead("proxyusefdpass", "no");
        }
        if silent && asks {
            instead("updatehostkeys", "false");
        }
        if self.word("clearallforwardings").as_deref() == Some("yes") {
            for key in ["localforward", "remoteforward", "dynamicforward"] {
                self.values.remove(key);
            }
            self.values.insert(
                "tunnel",
                vec![Value {
                    text: "false".to_owned(),
                    place: None,
                }],
            );
        }
        self.set_host_name();
        let host = Value {
            text: self.typed.host.clone(),
            place: None,
        };
        self.values.insert("host", vec![host]);
        if let Some(alias) = self
            .values
            .get_mut("hostkeyalias")
            .and_then(|v| v.first_mut())
        {
            alias.text = alias.text.to_ascii_lowercase();
        }
        let tokens = self.tokens();
        self.expand(&tokens)?;
        Ok(Effective {
            values: self.values,
            tokens,
            remarks: self.remarks,
        })
    }

    fn tokens(&self) -> Tokens {
        let jump = self.word("proxyjump").unwrap_or_default();
        let jump = jump.rsplit(',').next().unwrap_or_default();
        let jump = jump.rsplit('@').next().unwrap_or_default();
        let jump = jump.split(':').next().unwrap_or_default();
        Tokens {
            client: self.client.clone(),
            host: self.host.clone(),
            original: self.typed.host.clone(),
            port: self.word("port").unwrap_or_else(|| "22".to_owned()),
            user: self.word("user").unwrap_or_default(),
            alias: self
                .word("hostkeyalias")
                .unwrap_or_else(|| self.host.clone()),
            jump: jump.to_owned(),
        }
    }

    /// The values that ssh puts tokens into before anything else happens (ssh.c main()).
    fn expand(&mut self, tokens: &Tokens) -> Result<(), Refused> {
        for key in [
            "controlpath",
            "identityagent",
            "userknownhostsfile",
            "remotecommand",
            "forwardagent",
        ] {
            let Some(value) = self.values.get(key).and_then(|v| v.first()).cloned() else {
                continue;
            };
            let path = key != "remotecommand";
            if key == "forwardagent" && matches!(value.text.as_str(), "yes" | "no")
                || key == "identityagent" && value.text == "SSH_AUTH_SOCK"
                || path && value.text.starts_with('$') && !value.text.starts_with("${")
            {
                continue;
            }
            let mut parts = Vec::new();
            let list = key == "userknownhostsfile";
            let words: Vec<&str> = if list {
                value.text.split(' ').collect()
            } else {
                vec![&value.text]
            };
            for word in words {
                let text = if path {
                    tokens.tilde(word)
                } else {
                    word.to_owned()
                };
                let refuse = |why: String| Refused(vec![format!("{key} {word}: {why}")]);
                let text = tokens.percent(&text).map_err(refuse)?;
                let text = if path {
                    tokens::dollar(&text, &mut |name| self.world.env(name)).map_err(refuse)?
                } else {
                    text
                };
                parts.push(text);
            }
            if let Some(first) = self.values.get_mut(key).and_then(|v| v.first_mut()) {
                first.text = parts.join(" ");
            }
        }
        Ok(())
    }
}

/// `%h` and `%%` of HostName.
fn host_name(text: &str, host: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '%') {
            (_, true) => match chars.next() {
                Some('%') => out.push('%'),
                Some('h') => out.push_str(host),
                Some(other) => return Err(format!("unknown key %{other}")),
                None => return Err("invalid format".to_owned()),
            },
            (c, false) => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
