//! The files that sshd and the user's shell run before anything else, and what in them ends the session or prints.

use super::Scene;
use super::accounts::Account;
use super::machine::Machine;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::server::startup::{Found, Login, What, walk};

pub(super) fn look(scene: &mut Scene<'_>, account: &Account) {
    of_sshd(scene, account);
    let shell = match account.shell.as_str() {
        "" => "/bin/sh",
        shell => shell,
    };
    let name = shell.rsplit('/').next().unwrap_or_default();
    let login = |terminal| Login {
        user: account.name.clone(),
        uid: account.uid,
        home: account.home.clone(),
        shell: shell.to_owned(),
        terminal,
    };
    if matches!(name, "csh" | "tcsh" | "fish") {
        others(scene, account, name);
        return;
    }
    let (command, terminal) = files(scene.machine, name, &account.home);
    let of_commands = walk(scene.machine, &login(false), &command);
    let of_terminals = walk(scene.machine, &login(true), &terminal);
    for found in &of_commands {
        let value = match (found.what, found.sure) {
            (What::Ends, true) => "exits",
            (What::Ends, false) => "may-exit",
            (What::Prints, true) => "prints",
            (What::Prints, false) => "may-print",
            // Only a shell at a terminal waits for what is typed.
            (What::Idles(_), _) => continue,
        };
        tell(scene, value, found);
    }
    for found in &of_terminals {
        let value = match (found.what, found.sure) {
            // Another program in the shell's place is a choice; an exit is none.
            (What::Ends, true) if found.replaces => "exits-login",
            (What::Ends, true) => "login-exits",
            (What::Ends, false) => "may-exit-login",
            (What::Prints, true) => "prints-login",
            (What::Prints, false) => continue,
            (What::Idles(seconds), _) => {
                idles(scene, seconds, found);
                continue;
            }
        };
        tell(scene, value, found);
    }
}

/// TMOUT, and whether it is so short that people meet it while they think.
fn idles(scene: &mut Scene<'_>, seconds: u32, found: &Found) {
    const SHORT: u32 = 60;
    let place = format!("{}:{}", found.file, found.line);
    let value = if seconds <= SHORT { "short" } else { "usual" };
    let text = format!(
        "{place}: {}: an interactive shell ends where nothing is typed for {seconds} s",
        found.text
    );
    scene.say(
        Gate::Session,
        "session.idle",
        value,
        place.clone(),
        text,
        place,
    );
}

/// What the shell reads for a command, and what at a terminal, where it is a login shell.
fn files(machine: &Machine, shell: &str, home: &str) -> (Vec<String>, Vec<String>) {
    let own = |f: &str| format!("{home}/{f}");
    let mut profile = vec!["/etc/profile".to_owned()];
    // It goes through the folder in a loop, which nobody can follow by reading.
    let text = machine.text("/etc/profile").unwrap_or_default();
    if text.contains("profile.d") {
        profile.extend(machine.glob("/etc/profile.d/*.sh"));
    }
    match shell {
        "zsh" => {
            let env = ["/etc/zsh/zshenv", "/etc/zshenv"].map(str::to_owned);
            let env: Vec<String> = env.into_iter().chain([own(".zshenv")]).collect();
            let mut all = env.clone();
            for name in ["zprofile", "zshrc", "zlogin"] {
                all.push(format!("/etc/zsh/{name}"));
                all.push(format!("/etc/{name}"));
                all.push(own(&format!(".{name}")));
            }
            (env, all)
        }
        "bash" => {
            // The first of them only.
            let first = [".bash_profile", ".bash_login", ".profile"]
                .map(own)
                .into_iter()
                .find(|f| machine.exists(f));
            profile.extend(first);
            (vec!["/etc/bash.bashrc".to_owned(), own(".bashrc")], profile)
        }
        _ => {
            profile.push(own(".profile"));
            (Vec::new(), profile)
        }
    }
}

fn tell(scene: &mut Scene<'_>, value: &str, found: &Found) {
    let place = format!("{}:{}", found.file, found.line);
    let text = format!("{place}: {}", found.text);
    if let (What::Ends, Some(status)) = (found.what, found.status) {
        let status = status.to_string();
        scene.say(
            Gate::Session,
            "session.rc-exit",
            &status,
            place.clone(),
            text.clone(),
            place.clone(),
        );
    }
    scene.say(
        Gate::Session,
        "session.rc",
        value,
        place.clone(),
        text,
        place,
    );
}

/// `~/.ssh/rc` or else `/etc/ssh/sshrc`, which sshd has /bin/sh run: their exit ends nothing, and what they print comes
/// before the answer. sshd leaves the user's own out for a subsystem and for a ForceCommand.
fn of_sshd(scene: &mut Scene<'_>, account: &Account) {
    let own = format!("{}/.ssh/rc", account.home);
    let allowed = !scene.effective.is("PermitUserRC", "no")
        && scene.effective.is("ForceCommand", "none")
        && scene.machine.exists(&own);
    let (file, value) = match allowed {
        true => (own, "prints-user-rc"),
        false => ("/etc/ssh/sshrc".to_owned(), "prints"),
    };
    let login = Login {
        user: account.name.clone(),
        uid: account.uid,
        home: account.home.clone(),
        shell: "/bin/sh".to_owned(),
        terminal: false,
    };
    for found in walk(scene.machine, &login, &[file]) {
        match (found.what, found.sure) {
            (What::Prints, true) => tell(scene, value, &found),
            (What::Prints, false) => tell(scene, "may-print", &found),
            (What::Ends | What::Idles(_), _) => {}
        }
    }
}

/// A forced command that is a script for a shell: what it prints comes before the answer of what it then runs.
pub(super) fn forced(scene: &mut Scene<'_>, account: &Account, script: &str) {
    let text = scene.machine.text(script).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let Some(shell) = first
        .strip_prefix("#!")
        .and_then(|l| l.split_ascii_whitespace().next())
        .filter(|s| {
            matches!(
                s.rsplit('/').next(),
                Some("sh" | "bash" | "dash" | "ksh" | "zsh")
            )
        })
    else {
        return;
    };
    let login = Login {
        user: account.name.clone(),
        uid: account.uid,
        home: account.home.clone(),
        shell: shell.to_owned(),
        terminal: false,
    };
    for found in walk(scene.machine, &login, &[script.to_owned()]) {
        match (found.what, found.sure) {
            (What::Prints, true) => tell(scene, "prints", &found),
            (What::Prints, false) => tell(scene, "may-print", &found),
            (What::Ends | What::Idles(_), _) => {}
        }
    }
}

/// Shells of another grammar.
fn others(scene: &mut Scene<'_>, account: &Account, shell: &str) {
    let home = |f: &str| format!("{}/{f}", account.home);
    let (always, login) = match shell {
        "fish" => (
            vec![
                "/etc/fish/config.fish".to_owned(),
                home(".config/fish/config.fish"),
            ],
            Vec::new(),
        ),
        _ => (
            vec!["/etc/csh.cshrc".to_owned(), home(".cshrc"), home(".tcshrc")],
            vec!["/etc/csh.login".to_owned(), home(".login")],
        ),
    };
    for (files, in_login) in [(always, false), (login, true)] {
        for file in files {
            let text = scene.machine.text(&file).unwrap_or_default();
            for (found, guarded) in plain(&file, &text) {
                let value = match (found.what, found.sure, in_login || guarded) {
                    (What::Ends, true, false) => "exits",
                    (What::Ends, true, true) => "exits-login",
                    (What::Ends, false, false) => "may-exit",
                    (What::Ends, false, true) => "may-exit-login",
                    (What::Prints, true, false) => "prints",
                    (What::Prints, true, true) => "prints-login",
                    (What::Prints, false, _) | (What::Idles(_), ..) => continue,
                };
                tell(scene, value, &found);
            }
        }
    }
}

/// Lines of csh and fish that end the shell or print, and whether they stand after what sends other shells than
/// interactive ones away. What stands in a block may not be reached.
fn plain(file: &str, text: &str) -> Vec<(Found, bool)> {
    let (mut depth, mut guarded) = (0u32, false);
    let mut out = Vec::new();
    for (line, raw) in (1..).zip(text.lines()).take(2_000) {
        let line_text = raw.trim();
        let words: Vec<&str> = line_text
            .split([' ', '\t', ';'])
            .filter(|w| !w.is_empty())
            .collect();
        let Some(first) = words.first().filter(|w| !w.starts_with('#')) else {
            continue;
        };
        let asks = line_text.contains("prompt") || line_text.contains("is-interactive");
        guarded |= asks;
        match *first {
            "end" | "endif" | "endsw" => depth = depth.saturating_sub(1),
            "if" if words.last() == Some(&"then") || !line_text.contains('(') => depth += 1,
            "while" | "for" | "foreach" | "switch" | "begin" | "function" => depth += 1,
            _ => {}
        }
        let ends = matches!(*first, "exit" | "logout" | "exec");
        let behind = !asks
            && words
                .iter()
                .skip(1)
                .any(|w| matches!(*w, "exit" | "logout"));
        let prints = matches!(*first, "echo" | "printf" | "cat" | "fortune")
            && depth == 0
            && !line_text.contains(['>', '|']);
        if (ends || behind || prints) && out.len() < 20 {
            let status = words
                .iter()
                .skip_while(|w| **w != "exit")
                .nth(1)
                .and_then(|n| n.parse().ok());
            let found = Found {
                file: file.to_owned(),
                line,
                text: line_text.chars().take(120).collect(),
                what: match prints {
                    true => What::Prints,
                    false => What::Ends,
                },
                sure: depth == 0 && !behind,
                replaces: *first == "exec",
                status,
            };
            out.push((found, guarded));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, bool, bool)> {
        let found = plain("x", text).into_iter();
        found
            .map(|(f, guarded)| (f.line, f.sure, guarded))
            .collect()
    }

    #[test]
    fn other_grammars_are_read_by_the_line() {
        assert_eq!(lines("exit 3\n# exit\n"), [(1, true, false)]);
        assert_eq!(
            lines("if ( ! -e /x ) exit 4\nif (1) then\n exit\nendif\necho hi\n"),
            [(1, false, false), (3, false, false), (5, true, false)]
        );
        assert_eq!(
            lines("if (! $?prompt) exit\nexec tmux\n"),
            [(2, true, true)]
        );
        assert_eq!(
            lines("if status is-interactive\n  exec tmux\nend\necho a > b\n"),
            [(2, false, true)]
        );
    }
}
