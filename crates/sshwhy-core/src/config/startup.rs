//! What sshd refuses at its start although every line is sound: values outside of Match that do not go together (sshd.c main()).

use super::effective::{Effective, effective};
use super::parse::{Config, Diagnostic, Level, Pos};

pub(super) fn refusals(config: &Config) -> Vec<Diagnostic> {
    let global = effective(config, None);
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
    out
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
