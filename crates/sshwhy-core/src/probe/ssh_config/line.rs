//! One directive that sets a value: what ssh takes, and what it keeps of it (readconf.c process_config_line_depth()).

use super::keywords::Kind;
use super::{Evaluator, Reading};
use crate::config::{pattern, value};

/// A directive, cut up.
pub(super) struct Line<'a> {
    pub at: Reading<'a>,
    pub number: usize,
    pub key: &'static str,
    pub kind: Kind,
    pub word: &'a str,
    /// What follows the keyword, as it stands.
    pub rest: &'a str,
    pub arguments: &'a [String],
    /// Whether its block applies; it is checked in any case.
    pub active: bool,
}

/// What a directive comes to.
enum Outcome {
    /// The first one wins.
    Put(String),
    /// Each adds.
    Add(Vec<String>),
    Nothing,
}

impl Evaluator<'_> {
    pub(super) fn value(&mut self, l: Line<'_>) {
        let outcome = self.understand(&l);
        match outcome {
            Err(what) => self.complain(l.at, l.number, &what),
            // ssh forgets to look whether the block applies, and takes the last mask (readconf.c).
            Ok(Outcome::Put(text)) if l.kind == Kind::Mask => {
                self.values.remove(l.key);
                self.put(l.key, text, l.at, l.number);
            }
            Ok(_) if !l.active && l.kind != Kind::Facility => {}
            Ok(Outcome::Put(text)) => self.put(l.key, text, l.at, l.number),
            Ok(Outcome::Add(texts)) => {
                for text in texts {
                    self.add(l.key, text, l.at, l.number);
                }
            }
            Ok(Outcome::Nothing) => {}
        }
    }

    fn understand(&mut self, l: &Line<'_>) -> Result<Outcome, String> {
        let first = l.arguments.first().filter(|a| !a.is_empty());
        let missing = || "Missing argument.".to_owned();
        let one = |n: usize| {
            if l.arguments.len() > n {
                Err(format!("keyword {} extra arguments at end of line", l.word))
            } else {
                Ok(())
            }
        };
        let put = |text: &str| Ok(Outcome::Put(text.to_owned()));
        // Those that take the whole line, or any number of words, come first.
        match l.kind {
            Kind::Command => {
                let text = l.rest.trim_start_matches([' ', '\t', '\r', '\n', '=']);
                if l.key == "proxycommand" && self.word("proxyjump").is_some() {
                    return Ok(Outcome::Nothing);
                }
                return put(text);
            }
            Kind::Jump => return self.jump(l),
            Kind::List => return list(l),
            Kind::SendEnv => return self.send_env(l),
            Kind::SetEnv => {
                if l.arguments.iter().any(|a| !a.contains('=')) {
                    return Err("Invalid SetEnv.".to_owned());
                }
                // The first line that sets any is the only one.
                let taken = self.values.get("setenv").is_some_and(|v| !v.is_empty());
                if taken {
                    return Ok(Outcome::Nothing);
                }
                let mut names: Vec<&str> = Vec::new();
                let mut out = Vec::new();
                for a in l.arguments {
                    let name = a.split('=').next().unwrap_or_default();
                    if !names.contains(&name) {
                        names.push(name);
                        out.push(a.clone());
                    }
                }
                return Ok(Outcome::Add(out));
            }
            Kind::Cnames => return cnames(l),
            Kind::RemoteOpen => return put(&l.arguments.join(" ")),
            _ => {}
        }
        let argument = first.ok_or_else(missing)?;
        match l.kind {
            Kind::Word(words) => {
                let found = words
                    .iter()
                    .find(|(typed, _)| typed.eq_ignore_ascii_case(argument));
                let (_, printed) =
                    found.ok_or_else(|| format!("unsupported option \"{argument}\"."))?;
                one(1)?;
                put(printed)
            }
            Kind::Time => {
                one(1)?;
                if argument == "none" {
                    // As if nothing were said.
                    return Ok(Outcome::Nothing);
                }
                let seconds =
                    value::seconds(argument).ok_or_else(|| "invalid time value.".to_owned())?;
                put(&seconds.to_string())
            }
            Kind::Number => {
                let n: i64 = argument
                    .parse()
                    .map_err(|_| "integer value invalid.".to_owned())?;
                one(1)?;
                put(&n.to_string())
            }
            Kind::Port => {
                let port =
                    value::port(argument).ok_or_else(|| format!("Bad port '{argument}'."))?;
                one(1)?;
                put(&port.to_string())
            }
            Kind::Text => {
                one(1)?;
                put(argument)
            }
            Kind::Lines => {
                one(1)?;
                Ok(Outcome::Add(vec![argument.clone()]))
            }
            Kind::Algorithms(class) => {
                if !self.lists.is_sound(class, argument) {
                    return Err(bad_list(l.key, argument));
                }
                one(1)?;
                put(argument)
            }
            Kind::LogLevel => {
                one(1)?;
                let upper = argument.to_ascii_uppercase();
                let level = match upper.as_str() {
                    "DEBUG1" => "DEBUG",
                    "QUIET" => "SILENT",
                    other => other,
                };
                const LEVELS: &[&str] = &[
                    "SILENT", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG2", "DEBUG3",
                ];
                if !LEVELS.contains(&level) {
                    return Err(format!("unsupported log level '{argument}'"));
                }
                put(level)
            }
            Kind::Facility => {
                one(1)?;
                const FACILITIES: &[&str] = &[
                    "DAEMON", "USER", "AUTH", "AUTHPRIV", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3",
                    "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
                ];
                let upper = argument.to_ascii_uppercase();
                if !FACILITIES.contains(&upper.as_str()) {
                    return Err(format!("unsupported log facility '{argument}'"));
                }
                put(&upper)
            }
            Kind::Forward => forward(l),
            Kind::Escape => {
                one(1)?;
                let mut chars = argument.chars();
                match (chars.next(), chars.next(), chars.next()) {
                    _ if argument == "none" => put("none"),
                    (Some(c), None, None) => put(&c.to_string()),
                    (Some('^'), Some(c), None) if (64..128).contains(&u32::from(c)) => {
                        put(&format!("^{c}"))
                    }
                    _ => Err("Bad escape character.".to_owned()),
                }
            }
            Kind::ControlPersist => {
                one(1)?;
                match argument.as_str() {
                    "no" | "false" => put("no"),
                    "yes" | "true" => put("yes"),
                    other => match value::seconds(other) {
                        Some(0) => put("yes"),
                        Some(n) => put(&n.to_string()),
                        None => Err("Bad ControlPersist argument.".to_owned()),
                    },
                }
            }
            Kind::AddKeys => add_keys(l, argument),
            Kind::ForwardAgent => {
                one(1)?;
                match argument.to_ascii_lowercase().as_str() {
                    "yes" | "true" => put("yes"),
                    "no" | "false" => put("no"),
                    _ => put(argument),
                }
            }
            Kind::Rekey => rekey(l, argument),
            Kind::TunnelDevice => {
                one(1)?;
                let (local, remote) = argument.split_once(':').unwrap_or((argument, "any"));
                let sound = |t: &str| t == "any" || t.parse::<u32>().is_ok();
                if !sound(local) || !sound(remote) {
                    return Err("Bad tun device.".to_owned());
                }
                put(&format!("{local}:{remote}"))
            }
            Kind::Qos => {
                one(2)?;
                let second = l.arguments.get(1).unwrap_or(argument);
                put(&format!(
                    "{} {}",
                    argument.to_ascii_lowercase(),
                    second.to_ascii_lowercase()
                ))
            }
            Kind::Mask => {
                one(1)?;
                match u32::from_str_radix(argument, 8) {
                    Ok(mask) if mask <= 0o777 => put(&format!("0{mask:o}")),
                    _ => Err("Bad mask.".to_owned()),
                }
            }
            Kind::Hash => {
                one(1)?;
                match argument.to_ascii_uppercase().as_str() {
                    known @ ("MD5" | "SHA1" | "SHA256" | "SHA384" | "SHA512") => put(known),
                    _ => Err(format!("Invalid hash algorithm \"{argument}\".")),
                }
            }
            _ => Ok(Outcome::Nothing),
        }
    }

    /// ProxyJump, which ProxyCommand before it shuts out (readconf.c parse_jump()).
    fn jump(&mut self, l: &Line<'_>) -> Result<Outcome, String> {
        let text = l.rest.trim_start_matches([' ', '\t', '\r', '\n', '=']);
        let taken = self.word("proxycommand").is_some();
        let bad = || format!("Invalid ProxyJump \"{text}\"");
        if text.eq_ignore_ascii_case("none") {
            return Ok(if taken {
                Outcome::Nothing
            } else {
                Outcome::Put("none".to_owned())
            });
        }
        let mut hops = Vec::new();
        for hop in text.split(',') {
            let plain = hop.strip_prefix("ssh://").unwrap_or(hop);
            let plain = plain.trim_end_matches('/');
            let host = plain.rsplit('@').next().unwrap_or_default();
            if host.is_empty() || host.starts_with('-') || hop.contains(char::is_whitespace) {
                return Err(bad());
            }
            hops.push(plain.to_owned());
        }
        Ok(if taken {
            Outcome::Nothing
        } else {
            Outcome::Put(hops.join(","))
        })
    }

    fn send_env(&mut self, l: &Line<'_>) -> Result<Outcome, String> {
        let mut out = Vec::new();
        for name in l.arguments {
            if name.is_empty() || name.contains('=') {
                return Err("Invalid environment name.".to_owned());
            }
            match name.strip_prefix('-') {
                Some(gone) if l.active => {
                    out.retain(|n: &String| !pattern::matches(n, gone));
                    if let Some(values) = self.values.get_mut("sendenv") {
                        values.retain(|v| !pattern::matches(&v.text, gone));
                    }
                }
                Some(_) => {}
                None => out.push(name.clone()),
            }
        }
        Ok(Outcome::Add(out))
    }
}

fn bad_list(key: &str, argument: &str) -> String {
    match key {
        "ciphers" => format!("Bad SSH2 cipher spec '{argument}'."),
        "macs" => format!("Bad SSH2 MAC spec '{argument}'."),
        "kexalgorithms" => format!("Bad SSH2 KexAlgorithms '{argument}'."),
        _ => format!("Bad key types '{argument}'."),
    }
}

/// `none` stands alone; words of CanonicalDomains and the files of known hosts.
fn list(l: &Line<'_>) -> Result<Outcome, String> {
    if l.arguments.is_empty() {
        return Ok(Outcome::Nothing);
    }
    if l.arguments.iter().any(String::is_empty) {
        return Err(format!("keyword {} empty argument", l.word));
    }
    let none = l.arguments.iter().any(|a| a.eq_ignore_ascii_case("none"));
    if none && l.arguments.len() > 1 {
        return Err(format!(
            "keyword {} \"none\" argument must appear alone.",
            l.word
        ));
    }
    Ok(Outcome::Put(l.arguments.join(" ")))
}

fn cnames(l: &Line<'_>) -> Result<Outcome, String> {
    let mut rules = Vec::new();
    for a in l.arguments {
        if a.eq_ignore_ascii_case("none") {
            if l.arguments.len() > 1 {
                return Err(format!(
                    "keyword {} \"none\" argument must appear alone.",
                    l.word
                ));
            }
            rules.push("none".to_owned());
        } else if a == "*" {
            rules.push("*:*".to_owned());
        } else {
            match a.split_once(':') {
                Some((_, to)) if !to.is_empty() => rules.push(a.to_ascii_lowercase()),
                _ => return Err(format!("Invalid permitted CNAME \"{a}\"")),
            }
        }
    }
    Ok(Outcome::Put(rules.join(" ")))
}

fn add_keys(l: &Line<'_>, argument: &str) -> Result<Outcome, String> {
    let bad = || "unsupported option".to_owned();
    let word = match argument.to_ascii_lowercase().as_str() {
        "yes" | "true" => "true",
        "no" | "false" => "false",
        "ask" => "ask",
        "confirm" => "confirm",
        _ => "",
    };
    let text = match (word, l.arguments.get(1)) {
        ("confirm", Some(time)) => {
            let seconds = value::seconds(time).ok_or_else(|| "invalid time value.".to_owned())?;
            format!("confirm {seconds}")
        }
        ("", None) => value::seconds(argument).ok_or_else(bad)?.to_string(),
        ("", Some(_)) | (_, Some(_)) => return Err(bad()),
        (word, None) => word.to_owned(),
    };
    Ok(Outcome::Put(text))
}

fn rekey(l: &Line<'_>, argument: &str) -> Result<Outcome, String> {
    let bytes: u64 = if argument == "default" {
        0
    } else {
        let lower = argument.to_ascii_lowercase();
        let split = lower
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(lower.len());
        let (digits, unit) = lower.split_at(split);
        let shift = match unit {
            "" | "b" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return Err(format!("Bad number '{argument}'")),
        };
        let n: u64 = digits
            .parse()
            .map_err(|_| format!("Bad number '{argument}'"))?;
        n.checked_shl(shift)
            .filter(|v| v >> shift == n)
            .ok_or_else(|| format!("Bad number '{argument}'"))?
    };
    if bytes != 0 && bytes < 16 {
        return Err("RekeyLimit too small".to_owned());
    }
    let seconds = match l.arguments.get(1).map(String::as_str) {
        None | Some("none") => 0,
        Some(time) => value::seconds(time).ok_or_else(|| "invalid time value.".to_owned())?,
    };
    Ok(Outcome::Put(format!("{bytes} {seconds}")))
}

/// `[bind:]port host:port` as `ssh -G` prints it.
fn forward(l: &Line<'_>) -> Result<Outcome, String> {
    let bad = || "Bad forwarding specification.".to_owned();
    let end = |text: &str| -> Option<String> {
        if text.contains('/') {
            return Some(text.to_owned());
        }
        match text.rsplit_once(':') {
            Some((host, port)) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let port = port.parse::<u16>().ok()?;
                Some(format!("[{host}]:{port}"))
            }
            None => text.parse::<u16>().ok().map(|p| p.to_string()),
        }
    };
    let from = l.arguments.first().ok_or_else(bad)?;
    let from = end(from).ok_or_else(bad)?;
    let text = match (l.key, l.arguments.get(1)) {
        ("dynamicforward", _) => from,
        ("remoteforward", None) => format!("{from} [socks]:0"),
        (_, None) => return Err("Missing target argument.".to_owned()),
        (_, Some(to)) => format!("{from} {}", end(to).ok_or_else(bad)?),
    };
    Ok(Outcome::Add(vec![text]))
}
