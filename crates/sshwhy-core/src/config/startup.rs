//! What sshd refuses at its start although every line is sound: values outside of Match that do not go together (sshd.c main()).

use super::effective::{Effective, at_start};
use super::parse::{Config, Diagnostic, Level, Pos};
use super::value;
use crate::addr::parse_ip;
use crate::catalog::keywords::Kind;

pub(super) fn refusals(config: &Config) -> Vec<Diagnostic> {
    let global = at_start(config);
    let mut out = Vec::new();
    for (command, user) in [
        ("AuthorizedKeysCommand", "AuthorizedKeysCommandUser"),
        (
            "AuthorizedPrincipalsCommand",
            "AuthorizedPrincipalsCommandUser",
        ),
    ] {
        let set = |keyword: &str| global.of(keyword).and_then(|s| s.from.first().copied());
        let runs = !matches!(global.value(command), "" | "none");
        if let (true, Some(pos), None) = (runs, set(command), set(user)) {
            out.push(error(
                pos,
                format!("{command} is set without {user}"),
                format!("{user} nobody, or an account of its own"),
            ));
        }
    }
    if let Some(methods) = global.of("AuthenticationMethods")
        && let Some(pos) = methods.from.first()
        && !methods.values.iter().any(|v| is_any(v))
    {
        let lists = || methods.values.iter().flat_map(|v| v.split(' '));
        let off: Vec<&str> = lists()
            .filter_map(|list| list.split(',').find(|m| !enabled(&global, m)))
            .collect();
        if off.len() == lists().count() {
            out.push(error(
                *pos,
                "AuthenticationMethods cannot be met: every list asks for a method that is off"
                    .to_owned(),
                format!("switched off: {}", off.join(", ")),
            ));
        }
    }
    out.extend(family(config, &global));
    for s in &global.settings {
        let written = s
            .from
            .first()
            .and_then(|p| config.directives().into_iter().find(|d| d.pos == *p));
        if let (Kind::Algorithms(_), Some(d), [value]) = (s.keyword.kind, written, &s.values[..])
            && value.is_empty()
            && !d.words.first().is_some_and(|w| w.starts_with('-'))
        {
            let message = format!("{} {} fits no algorithm", s.keyword.name, d.written.trim());
            out.push(error(d.pos, message, "name at least one".to_owned()));
        }
    }
    out
}

/// What getaddrinfo(3) refuses: an address to listen on that is not of AddressFamily.
fn family(config: &Config, global: &Effective) -> Vec<Diagnostic> {
    let family = global.value("AddressFamily");
    let wrong = |host: &str| match parse_ip(host.as_bytes()) {
        Some(ip) => (family == "inet" && ip.is_ipv6()) || (family == "inet6" && ip.is_ipv4()),
        None => false,
    };
    let lines = config
        .directives()
        .into_iter()
        .filter(|d| d.keyword.name == "ListenAddress");
    lines
        .filter(|d| {
            let word = d.words.first().map(String::as_str).unwrap_or_default();
            value::listen_parts(word).is_some_and(|(host, _)| wrong(&host))
        })
        .map(|d| {
            error(
                d.pos,
                format!(
                    "ListenAddress {} does not go with AddressFamily {family}",
                    d.written
                ),
                "AddressFamily any, or take the line out".to_owned(),
            )
        })
        .collect()
}

fn is_any(value: &str) -> bool {
    value == "any"
}

fn enabled(global: &Effective, method: &str) -> bool {
    match method.split(':').next().unwrap_or_default() {
        "publickey" => global.is("PubkeyAuthentication", "yes"),
        "password" => global.is("PasswordAuthentication", "yes"),
        "keyboard-interactive" => global.is("KbdInteractiveAuthentication", "yes"),
        "hostbased" => global.is("HostbasedAuthentication", "yes"),
        "gssapi-with-mic" => global.is("GSSAPIAuthentication", "yes"),
        "gssapi-keyex" => global.is("GSSAPIKeyExchange", "yes"),
        _ => true,
    }
}

fn error(pos: Pos, message: String, hint: String) -> Diagnostic {
    Diagnostic {
        level: Level::Error,
        pos,
        message,
        hint: Some(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, parse::parse};

    fn starts(text: &str) -> bool {
        let files = Memory::default().with("/c", text);
        parse(&files, "/c", (9, 2), "/").is_sound()
    }

    #[test]
    fn a_list_that_takes_all_away_is_taken_and_one_that_nothing_fits_is_not() {
        for text in [
            "Ciphers -*",
            "Ciphers '-*'\t#why",
            "Ciphers \"-*\"",
            "PubkeyAcceptedAlgorithms '-*'",
        ] {
            assert!(starts(text), "{text}");
        }
        for text in [
            "PubkeyAcceptedAlgorithms !ssh-*",
            "PubkeyAcceptedAlgorithms '!ssh-*'",
            "PubkeyAcceptedAlgorithms ssh-ed25519,!ssh-rsa",
            "PubkeyAcceptedAlgorithms +!ssh-rsa",
        ] {
            assert!(!starts(text), "{text}");
        }
    }
}
