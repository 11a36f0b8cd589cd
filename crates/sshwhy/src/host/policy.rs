//! What the configuration and the account say to this user: lists, methods, shadow.

use super::accounts::{self, Account};
use super::{Scene, session};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::config::access;
use sshwhy_core::time::Time;

/// What somebody may have meant who wrote the list: names parted by commas, or a group's number.
fn slip(keyword: &str, values: &[String], account: &Account) -> &'static str {
    let groups = keyword.ends_with("Groups");
    let known = |word: &str| match groups {
        true => account.groups.iter().any(|g| g == word),
        false => account.name == word,
    };
    let number = |word: &&String| {
        word.parse::<u32>()
            .is_ok_and(|n| n == account.gid || account.gids.contains(&n))
    };
    if values
        .iter()
        .any(|v| v.contains(',') && v.split(',').any(known))
    {
        ": names are parted by blanks here, and a comma makes one name of them"
    } else if groups && values.iter().any(|v| number(&v)) {
        ": groups are listed by name here, and not by number"
    } else {
        ""
    }
}

/// What the configuration and the account say to this user.
pub(super) fn policy(scene: &mut Scene<'_>) {
    let user = scene.question.user.clone().unwrap_or_default();
    let Some(account) = scene.account.clone() else {
        scene.say(
            Gate::Auth,
            "user.exists",
            "no",
            user.clone(),
            unknown(scene, &user),
            "/etc/passwd",
        );
        return;
    };
    scene.say(
        Gate::Auth,
        "user.exists",
        "yes",
        user.clone(),
        format!("uid {}", account.uid),
        account.source,
    );
    let who = access::Account {
        name: account.name.clone(),
        uid: account.uid,
        groups: account.groups.clone(),
    };
    if let Some(r) = access::refused(&scene.effective, &who, &scene.connection) {
        let place =
            r.at.first()
                .map(|p| scene.config.place(*p))
                .unwrap_or_default();
        let (_, line) = scene.set_at(r.keyword);
        let text = match &r.pattern {
            Some(p) => format!("{} {p} keeps {user} out ({line})", r.keyword),
            None => format!(
                "{} {} does not let {user} in{} ({line})",
                r.keyword,
                r.values.join(" "),
                slip(r.keyword, &r.values, &account)
            ),
        };
        let value = match r.keyword {
            "PermitRootLogin" => "root-no",
            "RefuseConnection" => "refuse",
            _ => "refused",
        };
        scene.say(Gate::Auth, "conf.lists", value, r.keyword, text, place);
    }
    let methods = access::methods(&scene.effective, &who);
    let chains = access::chains(&scene.effective, &methods);
    // AuthenticationMethods rules out what none of its lists holds.
    let ruled_out = |method: &str| {
        let named = |list: &String| list.split(',').any(|m| m.split(':').next() == Some(method));
        chains
            .as_ref()
            .is_some_and(|c| !c.is_empty() && !c.iter().any(named))
    };
    for (keyword, method) in [
        ("PasswordAuthentication", "password"),
        ("PubkeyAuthentication", "publickey"),
        ("KbdInteractiveAuthentication", "keyboard-interactive"),
    ] {
        let on = scene.effective.is(keyword, "yes");
        let (value, by) = match on && ruled_out(method) {
            true => ("off", "AuthenticationMethods"),
            false if on => ("on", keyword),
            false => ("off", keyword),
        };
        let (place, line) = scene.set_at(by);
        scene.say(Gate::Auth, "conf.method", value, method, line, place);
    }
    if account.uid == 0
        && matches!(
            scene.effective.value("PermitRootLogin"),
            "without-password" | "forced-commands-only"
        )
    {
        let (place, line) = scene.set_at("PermitRootLogin");
        scene.say(
            Gate::Auth,
            "conf.root",
            "key-only",
            "PermitRootLogin",
            line,
            place,
        );
    }
    if let Some(chains) = chains {
        let (place, line) = scene.set_at("AuthenticationMethods");
        let value = match chains.as_slice() {
            [] => "impossible",
            c if c.iter().all(|c| c.contains(',')) => "several",
            _ => "one",
        };
        // The one method that is wanted and is off.
        let wanted = scene.effective.value("AuthenticationMethods");
        let alone = wanted
            .split(':')
            .next()
            .filter(|_| !wanted.contains([' ', ',']));
        let about = match (value, alone) {
            ("impossible", Some(method)) => method.to_owned(),
            _ => chains.join(" "),
        };
        scene.say(Gate::Auth, "conf.chain", value, about, line, place);
    }
    if scene.effective.number("LoginGraceTime") > 0 && scene.effective.number("LoginGraceTime") < 15
    {
        let (place, line) = scene.set_at("LoginGraceTime");
        scene.say(
            Gate::Auth,
            "conf.grace",
            "short",
            "LoginGraceTime",
            line,
            place,
        );
    }
    if scene.effective.number("MaxAuthTries") <= 2 {
        let (place, line) = scene.set_at("MaxAuthTries");
        scene.say(Gate::Auth, "conf.tries", "few", "MaxAuthTries", line, place);
    }
    shadow(scene, &account);
    session::account(scene, &account);
}

/// Why sshd does not know the user.
fn unknown(scene: &Scene<'_>, user: &str) -> String {
    let listed = scene.accounts.iter().any(|a| a.name == user);
    match accounts::name_services(scene.machine).filter(|_| listed) {
        Some(line) => format!(
            "{user:?} stands in /etc/passwd, and nobody reads that: {line} (\"files\" is missing there)"
        ),
        None => format!("no account {user:?} in /etc/passwd or any name service"),
    }
}

fn shadow(scene: &mut Scene<'_>, account: &Account) {
    let Some(s) = account.shadow.clone() else {
        if scene.machine.text("/etc/shadow").is_err() {
            scene.seen.blind.push("/etc/shadow cannot be read: run it as root to know whether the account is locked or expired".to_owned());
        }
        return;
    };
    let user = account.name.as_str();
    let source = "/etc/shadow";
    let today = scene.now.secs().div_euclid(86_400);
    let value = match &s {
        s if s.is_empty() => "empty",
        s if s.hash.starts_with('!') => "locked",
        s if s.is_locked() => "none",
        _ => "set",
    };
    let text = match value {
        "locked" => format!("{user}'s password is locked (it begins with ! in /etc/shadow)"),
        "none" => format!("{user} has no password that could be right (* in /etc/shadow)"),
        "empty" => format!("{user} has an empty password"),
        _ => format!("{user} has a password"),
    };
    scene.say(Gate::Auth, "user.password", value, user, text, source);
    if !scene.uses_pam() && s.hash.starts_with('!') {
        scene.say(
            Gate::Auth,
            "user.lock-counts",
            "yes",
            user,
            "UsePAM is off: sshd itself refuses locked accounts, keys included",
            source,
        );
    }
    let day = |d: i64| {
        let c = Time(d.saturating_mul(86_400_000_000)).civil();
        format!("{:04}-{:02}-{:02}", c.year, c.month, c.day)
    };
    if let Some(e) = s.expire.filter(|e| *e > 0 && today >= *e) {
        scene.say(
            Gate::Account,
            "user.account",
            "expired",
            user,
            format!("the account expired on {}", day(e)),
            source,
        );
    }
    let max = s.max.filter(|m| *m >= 0 && *m < 99_999);
    match (s.last, max) {
        (Some(0), _) => scene.say(
            Gate::Account,
            "user.password-age",
            "must-change",
            user,
            "the password must be changed at the next login (chage -d 0)",
            source,
        ),
        (Some(last), Some(max)) if today > last + max => {
            let dead = s.inactive.is_some_and(|i| i >= 0 && today > last + max + i);
            if dead {
                scene.say(
                    Gate::Account,
                    "user.account",
                    "expired",
                    user,
                    format!(
                        "the password ran out on {} and the account with it",
                        day(last + max)
                    ),
                    source,
                );
            } else {
                scene.say(
                    Gate::Account,
                    "user.password-age",
                    "expired",
                    user,
                    format!("the password ran out on {}", day(last + max)),
                    source,
                );
            }
        }
        _ => {}
    }
}
