//! Secrets in command lines and in what runtimes say of containers: what is collected on a node is handed on, so none may be in it.
//!
//! Names of environment variables stay, their values go. In command lines what follows `--password`, `-p` of programs that take
//! a password there, `NAME=` of a telling name, the password of a URL, and tokens with a known shape become [`MASK`]. Words that
//! are no secrets (`PasswordAuthentication=no`, `--password-file=/x`, `$PASSWORD`) stay: they tell what happened.

use serde_json::Value;
use std::borrow::Cow;

pub const MASK: &str = "***";

/// Parts of a name whose value is a secret.
const TELLING: [&str; 17] = [
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api-key",
    "accesskey",
    "access-key",
    "privatekey",
    "private-key",
    "credential",
    "authkey",
    "auth-key",
    "authorization",
    "bearer",
    "signature",
];
/// Ends of a name that says where a secret is, or something about it.
const ABOUT: [&str; 18] = [
    "file",
    "path",
    "dir",
    "name",
    "ttl",
    "expiry",
    "expiration",
    "expirationseconds",
    "length",
    "policy",
    "url",
    "uri",
    "id",
    "type",
    "env",
    "prompt",
    "prompts",
    "authentication",
];
const NO_SECRETS: [&str; 11] = [
    "", "yes", "no", "true", "false", "none", "null", "prompt", "ask", MASK, "-",
];
/// Programs of which `-p` takes a password, attached or as the next word.
const PASSWORD_P: [&str; 12] = [
    "sshpass",
    "mysql",
    "mysqldump",
    "mysqladmin",
    "mysqlimport",
    "mariadb",
    "mariadb-dump",
    "mongo",
    "mongosh",
    "mongodump",
    "docker",
    "podman",
];
/// What begins with `-p` elsewhere and is no password.
const OTHER_P: [&str; 24] = [
    "ort", "ath", "id", "roject", "rofile", "lugin", "rint", "refix", "roxy", "rocess", "rod",
    "ackage", "arallel", "attern", "ython", "ool", "olicy", "riority", "erm", "arent", "eer",
    "ipe", "ublic", "reserve",
];
/// Beginnings of tokens that services give out.
const TOKENS: [&str; 18] = [
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "glrt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "AKIA",
    "ASIA",
    "eyJ",
    "sk-",
    "AIza",
    "hvs.",
    "dop_v1_",
    "npm_",
];

fn telling(name: &str) -> bool {
    let name = name
        .trim_start_matches('-')
        .to_ascii_lowercase()
        .replace('_', "-");
    let parts = || name.split(['-', '.', '/', ':']);
    if parts().next_back().is_some_and(|p| {
        ABOUT
            .iter()
            .any(|a| p == *a || (a.len() > 3 && p.ends_with(a)))
    }) {
        return false;
    }
    TELLING.iter().any(|t| name.contains(t))
        || parts().any(|p| matches!(p, "pass" | "pw" | "psk" | "sasl" | "otp" | "auth"))
}

fn is_secret(value: &str) -> bool {
    let plain = value.trim_matches(['"', '\'', ' ']);
    !NO_SECRETS.contains(&plain.to_ascii_lowercase().as_str())
        && !plain.starts_with('$')
        && !plain.starts_with("%{")
}

/// Arguments of one command, secrets masked.
pub fn argv(args: &[String]) -> Vec<String> {
    let mut state = State::default();
    args.iter().map(|a| state.argument(a)).collect()
}

/// A command line as one text (a crontab's line, `sh -c`'s argument, a line of syslog), secrets masked.
pub fn line(text: &str) -> Cow<'_, str> {
    let mut state = State::default();
    let mut out: Option<String> = None;
    let mut at = 0;
    for (from, word) in words(text) {
        let masked = state.word(word);
        if masked != word {
            let out = out.get_or_insert_with(String::new);
            out.push_str(text.get(at..from).unwrap_or_default());
            out.push_str(&masked);
            at = from + word.len();
        }
        // A new command begins: what the last one's options meant is over.
        if matches!(word, "|" | ";" | "&&" | "||" | "&") || word.ends_with(';') {
            state = State::default();
        }
    }
    match out {
        Some(mut out) => {
            out.push_str(text.get(at..).unwrap_or_default());
            Cow::Owned(out)
        }
        None => Cow::Borrowed(text),
    }
}

/// Whether [`line`] may change anything: cheap, for logs.
pub fn may_hold_secret(text: &[u8]) -> bool {
    let lower = |needle: &[u8]| {
        text.windows(needle.len())
            .any(|w| w.eq_ignore_ascii_case(needle))
    };
    let exact = |needle: &[u8]| memchr::memmem::find(text, needle).is_some();
    exact(b"CMD (")
        || exact(b"COMMAND=")
        || exact(b"://")
        || [
            &b"pass"[..],
            b"token",
            b"secret",
            b"bearer",
            b"pwd",
            b"key",
            b"auth",
            b"credential",
        ]
        .iter()
        .any(|n| lower(n))
        || TOKENS.iter().any(|t| exact(t.as_bytes()))
}

/// Words with their places; what is quoted belongs to its word.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut start = None;
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => {
                // A quote that never closes is an apostrophe.
                let closes = text.get(i + 1..).is_some_and(|rest| rest.contains(c));
                if closes {
                    quote = Some(c);
                }
                start = start.or(Some(i));
            }
            (None, c) if c.is_whitespace() => {
                if let Some(s) = start.take() {
                    out.extend(text.get(s..i).map(|w| (s, w)));
                }
            }
            _ => start = start.or(Some(i)),
        }
    }
    if let Some(s) = start {
        out.extend(text.get(s..).map(|w| (s, w)));
    }
    out
}

#[derive(Default)]
struct State {
    /// A program of which `-p`, `-u`, `-a` or `-w` takes a secret.
    program: String,
    next: Next,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Next {
    #[default]
    Plain,
    /// The next word is a secret.
    Secret,
    /// The next word is `NAME=VALUE` of an environment.
    Environment,
    /// The next word is `user:password`.
    UserAndSecret,
}

impl State {
    /// One argument as the program got it; a whole command in it is a line of its own.
    fn argument(&mut self, arg: &str) -> String {
        // A document as an argument: after `--env` it is the environment.
        if arg.starts_with('{')
            && let Ok(mut document) = serde_json::from_str::<Value>(arg)
        {
            let key = if self.next == Next::Environment {
                "env"
            } else {
                ""
            };
            self.next = Next::Plain;
            scrub_at(&mut document, key, DEPTH);
            return document.to_string();
        }
        if self.next == Next::Plain && arg.contains(char::is_whitespace) {
            let key = match arg.split_once([':', '=']) {
                // A command may follow on an assignment; a header's value or an option's is all of the argument.
                Some((k, _))
                    if arg.as_bytes().get(k.len()) == Some(&b':') || k.starts_with('-') =>
                {
                    Some(k)
                }
                _ => None,
            };
            if let Some(key) = key
                && !key.contains(char::is_whitespace)
                && (telling(key) || header(key))
                && is_secret(arg.get(key.len() + 1..).unwrap_or_default())
            {
                return format!("{}{MASK}", arg.get(..=key.len()).unwrap_or_default());
            }
            return line(arg).into_owned();
        }
        self.word(arg)
    }

    fn word(&mut self, word: &str) -> String {
        let next = std::mem::take(&mut self.next);
        let bare = word.trim_matches(['"', '\'', '(', ')', '`', ',']);
        match next {
            Next::Secret if is_secret(bare) => return MASK.to_owned(),
            Next::UserAndSecret if bare.contains([':', '%']) => {
                let user = bare.split([':', '%']).next().unwrap_or_default();
                return format!("{user}:{MASK}");
            }
            Next::Environment => {
                if let Some((name, _)) = bare.split_once('=') {
                    return format!("{name}={MASK}");
                }
            }
            _ => {}
        }
        if !bare.starts_with('-') && !bare.contains('=') {
            let name = bare.rsplit('/').next().unwrap_or(bare);
            let known = PASSWORD_P.contains(&name)
                || matches!(
                    name,
                    "redis-cli"
                        | "curl"
                        | "wget"
                        | "smbclient"
                        | "env"
                        | "ssh"
                        | "nmap"
                        | "docker"
                        | "podman"
                )
                || name.starts_with("ldap");
            if known || self.program.is_empty() {
                name.clone_into(&mut self.program);
            }
        }
        if matches!(bare.to_ascii_lowercase().as_str(), "bearer" | "basic") {
            self.next = Next::Secret;
            return word.to_owned();
        }
        if let Some(masked) = self.option(bare) {
            return word.replacen(bare, &masked, 1);
        }
        match shapes(word) {
            Cow::Owned(masked) => masked,
            Cow::Borrowed(_) => word.to_owned(),
        }
    }

    /// What an option or an assignment becomes; `None`: nothing to hide.
    fn option(&mut self, bare: &str) -> Option<String> {
        let program = self.program.as_str();
        if let Some((name, value)) = bare.split_once('=') {
            let environment =
                matches!(name, "--env" | "-e") || (program == "env" && !name.starts_with('-'));
            if environment {
                let inner = if name.starts_with('-') {
                    value.split('=').next().map(|n| format!("{name}={n}"))
                } else {
                    Some(name.to_owned())
                };
                return Some(format!("{}={MASK}", inner.unwrap_or_default()));
            }
            if telling(name) && is_secret(value) {
                return Some(format!("{name}={MASK}"));
            }
            return None;
        }
        // `Authorization: Bearer …` in words, `password: …`
        if let Some(name) = bare.strip_suffix(':') {
            if (telling(name) || header(name)) && !name.is_empty() {
                self.next = Next::Secret;
            }
            return None;
        }
        if !bare.starts_with('-') {
            return None;
        }
        let attached_p = bare.starts_with("-p")
            && !["-pass", "-pwd", "-priv"]
                .iter()
                .any(|p| bare.starts_with(p));
        if bare.starts_with("--") || bare.len() > 3 && !attached_p && telling(bare) {
            if telling(bare) {
                self.next = Next::Secret;
            } else if bare == "--env" {
                self.next = Next::Environment;
            } else if matches!(bare, "--user" | "--proxy-user") && program == "curl" {
                self.next = Next::UserAndSecret;
            }
            return None;
        }
        match bare {
            "-e" if matches!(program, "docker" | "podman") => self.next = Next::Environment,
            "-u" | "-U" if matches!(program, "curl" | "smbclient") => {
                self.next = Next::UserAndSecret
            }
            "-a" if program == "redis-cli" => self.next = Next::Secret,
            "-w" if program.starts_with("ldap") => self.next = Next::Secret,
            "-p" if PASSWORD_P.contains(&program)
                && !program.starts_with("my")
                && !program.starts_with("maria") =>
            {
                // `docker run -p 80:80` publishes a port.
                self.next = Next::Secret;
                if matches!(program, "docker" | "podman") {
                    self.next = Next::Plain;
                }
            }
            _ => {}
        }
        let attached = bare.strip_prefix("-p")?;
        let ports = attached
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b':' | b',' | b'-' | b'.' | b'/'));
        let known = PASSWORD_P.contains(&program);
        let word = OTHER_P.iter().any(|o| attached.starts_with(o));
        let secret = if known {
            !(attached.is_empty() || ports && matches!(program, "docker" | "podman"))
        } else {
            attached.len() >= 4 && !ports && !word && !matches!(program, "ssh" | "nmap")
        };
        (secret && is_secret(attached)).then(|| format!("-p{MASK}"))
    }
}

fn header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower == "authorization" || lower == "cookie" || lower.starts_with("x-") && telling(&lower)
}

/// Passwords in URLs, and tokens that are known by how they begin.
pub fn shapes(text: &str) -> Cow<'_, str> {
    let mut out = Cow::Borrowed(text);
    if let Some(masked) = url_password(text) {
        out = Cow::Owned(masked);
    }
    if TOKENS.iter().any(|t| out.contains(t)) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let mut masked = String::with_capacity(out.len());
        let mut changed = false;
        for run in out.split_inclusive(|c: char| !is_part(c)) {
            let token = run.trim_end_matches(|c: char| !is_part(c));
            let known = TOKENS
                .iter()
                .any(|t| token.strip_prefix(t).is_some_and(|rest| rest.len() >= 16));
            if known {
                masked.push_str(MASK);
                masked.push_str(run.get(token.len()..).unwrap_or_default());
                changed = true;
            } else {
                masked.push_str(run);
            }
        }
        if changed {
            out = Cow::Owned(masked);
        }
    }
    out
}

fn url_password(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| matches!(c, '/' | '?' | '#' | '"' | '\'') || c.is_whitespace())
            .unwrap_or(after.len());
        let authority = after.get(..end).unwrap_or_default();
        if let Some((login, host)) = authority.rsplit_once('@')
            && let Some((user, secret)) = login.split_once(':')
            && is_secret(secret)
        {
            out.push_str(user);
            out.push(':');
            out.push_str(MASK);
            out.push('@');
            out.push_str(host);
            changed = true;
        } else {
            out.push_str(authority);
        }
        rest = after.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// How deep a document is looked into.
const DEPTH: usize = 64;

/// Takes the secrets out of what a runtime or the Kubernetes API says: values of environments go, names stay.
pub fn scrub(v: &mut Value) {
    scrub_at(v, "", DEPTH);
}

fn scrub_at(v: &mut Value, key: &str, depth: usize) {
    if depth == 0 {
        *v = Value::Null;
        return;
    }
    match v {
        Value::String(text) => {
            if !key.is_empty() && telling(key) && is_secret(text) {
                *text = MASK.to_owned();
            } else if text.trim_start().starts_with(['{', '[']) {
                // A document inside of a text: annotations, podman's spec.
                if let Ok(mut inner) = serde_json::from_str::<Value>(text) {
                    scrub_at(&mut inner, key, depth - 1);
                    *text = inner.to_string();
                }
            } else if let Cow::Owned(masked) = shapes(text) {
                *text = masked;
            }
        }
        Value::Array(list) => {
            if is_environment(key) {
                for item in list.iter_mut() {
                    environment(item);
                }
                return;
            }
            let command = matches!(
                key.to_ascii_lowercase().as_str(),
                "args"
                    | "argv"
                    | "cmd"
                    | "command"
                    | "entrypoint"
                    | "test"
                    | "createcommand"
                    | "processargs"
            );
            if command && list.iter().all(Value::is_string) {
                let args: Vec<String> = list
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect();
                *list = argv(&args).into_iter().map(Value::String).collect();
                return;
            }
            for item in list {
                scrub_at(item, key, depth - 1);
            }
        }
        Value::Object(map) => {
            if is_environment(key) {
                for value in map.values_mut() {
                    *value = Value::String(MASK.to_owned());
                }
                return;
            }
            map.remove("kubectl.kubernetes.io/last-applied-configuration");
            // Docker splits the command in two, Kubernetes too: options are read with their program.
            for (head, tail) in [("Path", "Args"), ("command", "args"), ("Entrypoint", "Cmd")] {
                let first: Vec<String> = match map.get(head) {
                    Some(Value::String(s)) => vec![s.clone()],
                    Some(Value::Array(l)) => l
                        .iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect(),
                    _ => Vec::new(),
                };
                if let Some(Value::Array(list)) = map.get_mut(tail)
                    && list.iter().all(Value::is_string)
                {
                    let skip = first.len();
                    let mut all = first;
                    all.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
                    *list = argv(&all)
                        .into_iter()
                        .skip(skip)
                        .map(Value::String)
                        .collect();
                }
            }
            for (k, value) in map.iter_mut() {
                scrub_at(value, k, depth - 1);
            }
        }
        _ => {}
    }
}

fn is_environment(key: &str) -> bool {
    matches!(
        key.to_ascii_lowercase().as_str(),
        "env" | "envs" | "environment"
    )
}

/// `NAME=VALUE` → `NAME`; `{name, value}` → `{name}`.
fn environment(item: &mut Value) {
    match item {
        Value::String(text) => {
            if let Some(end) = text.find('=') {
                text.truncate(end);
            }
        }
        Value::Object(map) => {
            map.remove("value");
            map.remove("Value");
        }
        _ => {}
    }
}

/// A line of an audit log without secrets in EXECVE and PROCTITLE records, in the kernel's own encoding.
pub fn audit_line(text: &[u8]) -> Cow<'_, [u8]> {
    let head = text.get(..64).unwrap_or(text);
    let has = |needle: &[u8]| memchr::memmem::find(head, needle).is_some();
    if has(b"type=EXECVE") || has(b"type=1309") {
        audit_fields(text, |key| {
            key.strip_prefix(b"a")
                .is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
        })
    } else if has(b"type=PROCTITLE") || has(b"type=1327") {
        audit_fields(text, |key| key == b"proctitle")
    } else if has(b"type=USER_CMD") || has(b"type=1123") {
        audit_fields(text, |key| key == b"cmd")
    } else {
        Cow::Borrowed(text)
    }
}

fn audit_fields<'a>(text: &'a [u8], wanted: impl Fn(&[u8]) -> bool) -> Cow<'a, [u8]> {
    // Where each value stands, and what it says.
    let mut places: Vec<(usize, usize, bool)> = Vec::new();
    let mut values: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(equals) = text
        .get(at..)
        .and_then(|t| memchr::memchr(b'=', t))
        .map(|i| at + i)
    {
        let key_from = text
            .get(..equals)
            .and_then(|t| t.iter().rposition(|b| matches!(b, b' ' | b'\'')))
            .map_or(0, |i| i + 1);
        let quoted = text.get(equals + 1) == Some(&b'"');
        let from = equals + 1 + usize::from(quoted);
        let stop = if quoted { b'"' } else { b' ' };
        let end = text
            .get(from..)
            .and_then(|t| memchr::memchr(stop, t))
            .map_or(text.len(), |i| from + i);
        let is_wanted = text.get(key_from..equals).is_some_and(&wanted);
        if is_wanted {
            let raw = text.get(from..end).unwrap_or_default();
            let bytes = if quoted {
                Some(raw.to_vec())
            } else {
                crate::audit::record::unhex(raw)
            };
            if let Some(bytes) = bytes {
                places.push((from, end, quoted));
                values.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        // `msg='op=…'` holds fields itself.
        at = if is_wanted { end } else { equals + 1 };
    }
    let masked: Vec<String> = if let [one] = values.as_slice() {
        let list: Vec<String> = one.split('\0').map(str::to_owned).collect();
        vec![argv(&list).join("\0")]
    } else {
        argv(&values)
    };
    if masked == values {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut done = 0;
    for ((from, end, quoted), (new, old)) in places.into_iter().zip(masked.iter().zip(&values)) {
        if new == old {
            continue;
        }
        out.extend_from_slice(text.get(done..from).unwrap_or_default());
        if quoted {
            out.extend_from_slice(new.as_bytes());
        } else {
            for b in new.bytes() {
                out.extend_from_slice(format!("{b:02X}").as_bytes());
            }
        }
        done = end;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn masked(args: &[&str]) -> String {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        argv(&args).join(" ")
    }

    #[test]
    fn secrets_of_command_lines_are_masked() {
        for (args, want) in [
            (
                &["mysql", "-uroot", "-phunter2", "db"][..],
                "mysql -uroot -p*** db",
            ),
            (
                &["sshpass", "-p", "hunter2", "ssh", "root@192.0.2.1"],
                "sshpass -p *** ssh root@192.0.2.1",
            ),
            (
                &["/usr/bin/sshpass", "-phunter", "ssh", "-p22", "h"],
                "/usr/bin/sshpass -p*** ssh -p22 h",
            ),
            (
                &["sh", "-c", "sshpass -p 'a b' ssh x"],
                "sh -c sshpass -p *** ssh x",
            ),
            (&["x", "--password=abc"], "x --password=***"),
            (&["x", "--db-password", "abc", "y"], "x --db-password *** y"),
            (
                &["x", "--api-key=abc", "--token", "t"],
                "x --api-key=*** --token ***",
            ),
            (&["x", "-phunter2secret"], "x -p***"),
            (&["env", "A=b", "run"], "env A=*** run"),
            (
                &["docker", "run", "-e", "A=b", "-p", "80:80", "i"],
                "docker run -e A=*** -p 80:80 i",
            ),
            (
                &["docker", "run", "--env=A=b", "i"],
                "docker run --env=A=*** i",
            ),
            (
                &["curl", "-u", "me:abc", "https://u:p@h/x?y"],
                "curl -u me:*** https://u:***@h/x?y",
            ),
            (
                &["curl", "-H", "Authorization: Bearer abc.def"],
                "curl -H Authorization:***",
            ),
            (
                &["sh", "-c", "PGPASSWORD=abc psql -h h"],
                "sh -c PGPASSWORD=*** psql -h h",
            ),
            (&["x", "ghp_0123456789abcdefghij0123456789abcdef"], "x ***"),
            (&["redis-cli", "-a", "abc"], "redis-cli -a ***"),
            (&["x", "--env", "{\"A\":\"b\"}"], "x --env {\"A\":\"***\"}"),
        ] {
            assert_eq!(masked(args), want);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for args in [
            &[
                "ssh",
                "-o",
                "PasswordAuthentication=no",
                "-p2222",
                "ops@192.0.2.1",
            ][..],
            &[
                "x",
                "--password-file=/run/secrets/db",
                "--secret-name",
                "db",
            ],
            &["tar", "-pxf", "a.tar"],
            &["java", "-port=80", "-profile", "prod"],
            &["x", "--password", "$DB_PASSWORD"],
            &["python3", "/opt/executor/run.py", "--shard=3"],
            &["mysql", "-P3306", "-p"],
            &["ssh", "host", "df -h; uptime"],
            &["curl", "https://h/x@y"],
        ] {
            assert_eq!(masked(args), args.join(" "));
        }
    }

    #[test]
    fn documents_keep_names_and_lose_values() {
        let mut v = json!([{"Path": "mysql", "Args": ["-phunter2"], "Config": {"Env": ["DB_PASSWORD=hunter2", "LANG=C"],
            "Cmd": ["x", "--token", "hunter2"], "Labels": {"a": "b", "db.password": "hunter2", "u": "redis://:hunter2@h"}}}]);
        scrub(&mut v);
        let text = v.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("DB_PASSWORD") && text.contains("LANG") && !text.contains("LANG=C"));
        let mut v = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2",
            "spec": "{\"env\":[{\"name\":\"A\",\"value\":\"hunter2\"}]}"}},
            "spec": {"containers": [{"env": [{"name": "A", "value": "hunter2"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]},
            "info": {"config": {"envs": [{"key": "A", "value": "hunter2"}]}}});
        scrub(&mut v);
        let text = v.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("secretKeyRef") && text.contains("\"key\":\"A\""));
    }

    #[test]
    fn audit_records_are_masked_in_their_own_encoding() {
        let plain =
            b"type=EXECVE msg=audit(1.000:2): argc=3 a0=\"mysql\" a1=\"-phunter2\" a2=\"db\"";
        assert_eq!(
            audit_line(plain).as_ref(),
            b"type=EXECVE msg=audit(1.000:2): argc=3 a0=\"mysql\" a1=\"-p***\" a2=\"db\""
        );
        let title = b"type=PROCTITLE msg=audit(1.000:2): proctitle=6D7973716C002D7068756E74657232";
        assert_eq!(
            audit_line(title).as_ref(),
            b"type=PROCTITLE msg=audit(1.000:2): proctitle=6D7973716C002D702A2A2A"
        );
        let other = b"type=SYSCALL msg=audit(1.000:2): a0=\"--password=x\"";
        assert!(matches!(audit_line(other), Cow::Borrowed(_)));
    }

    #[test]
    fn any_text_is_taken() {
        for text in [
            "",
            "-",
            "--",
            "=",
            "'",
            "\"a",
            "-p",
            "é=ü",
            "://:@",
            "a=\"",
            "\u{0}\u{1}",
        ] {
            let once = line(text).into_owned();
            assert_eq!(line(&once), once);
            let _ = audit_line(text.as_bytes());
        }
    }
}
