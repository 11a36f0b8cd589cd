//! What is wrong or surprising in a configuration, as findings of kind lint.

use super::access;
use super::effective::{Effective, Why, effective};
use super::parse::{Config, Level, Node, Pos, Shown};
use super::samples;
use super::{Body, Directive};
use crate::catalog::lints::{self, Lint};
use crate::finding::{Evidence, Finding, Severity};

/// What is known of the accounts; empty where nothing is known, and then lints that need it keep quiet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    pub accounts: Vec<KnownAccount>,
}

/// An account that could log in, as far as its shell goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownAccount {
    pub account: access::Account,
    /// Whether there is a key for it where this configuration looks.
    pub has_key: bool,
    /// Whether a password can be right.
    pub has_password: bool,
}

struct Lints<'a> {
    config: &'a Config,
    out: Vec<Finding>,
}

impl Lints<'_> {
    fn add(&mut self, slug: &str, at: &[Pos], headline: String, notes: Vec<String>) {
        if let Some(row) = lints::by_slug(slug) {
            let finding = finding(self.config, row, at, headline, notes);
            self.out.push(finding);
        }
    }
}

fn finding(
    config: &Config,
    row: &'static Lint,
    at: &[Pos],
    headline: String,
    notes: Vec<String>,
) -> Finding {
    let files = at.iter().map(|p| config.source(p.file).to_owned());
    let lines = at.iter().map(|p| Evidence {
        source: config.place(*p),
        at: None,
        text: config.line(*p).trim().to_owned(),
    });
    row.finding(headline, files.collect(), lines.collect(), notes)
}

const WEAK: [(&str, &[&str]); 3] = [
    ("Ciphers", &["-cbc", "arcfour"]),
    ("MACs", &["hmac-md5", "-96", "umac-64"]),
    (
        "KexAlgorithms",
        &["group1-sha1", "group14-sha1", "group-exchange-sha1"],
    ),
];

/// Everything that is wrong or surprising, in the order of files, worst kind first.
pub fn lint(config: &Config, known: &Known) -> Vec<Finding> {
    let mut lints = Lints {
        config,
        out: Vec::new(),
    };
    for d in &config.diagnostics {
        let slug = match d.level {
            Level::Error => "config-error",
            Level::Warning => "config-ignored",
        };
        let notes = vec![Shown(config, d).to_string()];
        let place = config.place(d.pos);
        lints.add(slug, &[d.pos], format!("{place}: {}", d.message), notes);
    }
    let global = effective(config, None);
    never_counts(&mut lints, &global);
    swallowed(&mut lints);
    lists(&mut lints, &global, known);
    values(&mut lints, &global);
    surprises(&mut lints, &global, known);
    methods(&mut lints, &global, known);
    everybody(&mut lints, known);
    lints.out.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| a.id.cmp(b.id))
            .then_with(|| a.headline.cmp(&b.headline))
    });
    lints.out
}

fn never_counts(lints: &mut Lints<'_>, e: &Effective) {
    let config = lints.config;
    for s in &e.settings {
        let (Some(winner), value) = (s.from.first(), s.values.join(" ")) else {
            continue;
        };
        for lost in s.lost.iter().filter(|l| l.why == Why::Earlier) {
            if lost.value == value {
                continue;
            }
            let headline = format!(
                "{} {} at {} never counts: {} says {} first",
                s.keyword.name,
                lost.value,
                config.place(lost.pos),
                config.place(*winner),
                value
            );
            lints.add(
                "config-never-counts",
                &[lost.pos, *winner],
                headline,
                Vec::new(),
            );
        }
    }
}

/// Lines in a Match block whose look says that the writer thought the block was over.
fn swallowed(lints: &mut Lints<'_>) {
    fn walk<'a>(config: &Config, body: &'a Body, out: &mut Vec<(&'a Directive, Pos)>) {
        let mut block: Option<(Pos, bool)> = None;
        for node in &body.nodes {
            match node {
                Node::Match(m) => block = (!m.all).then_some((m.pos, false)),
                Node::Include { files, .. } => files.iter().for_each(|f| walk(config, f, out)),
                Node::Set(d) => {
                    let Some((at, indented)) = block.as_mut() else {
                        continue;
                    };
                    let line = config.line(d.pos);
                    let at_margin = d.pos.column == 1;
                    // A gap or a comment at the margin before it, or other lines of the block that are indented.
                    let above = Pos {
                        line: d.pos.line.saturating_sub(1),
                        ..d.pos
                    };
                    let above = config.line(above);
                    let gap = above.trim().is_empty() || above.starts_with('#');
                    if at_margin && !line.is_empty() && (*indented || gap) {
                        out.push((d, *at));
                    }
                    *indented |= !at_margin;
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(lints.config, &lints.config.body, &mut found);
    for (d, at) in found {
        let config = lints.config;
        // What sshd refuses has been said.
        let refused = |x: &&super::parse::Diagnostic| x.level == Level::Error && x.pos == d.pos;
        if config.diagnostics.iter().any(|x| refused(&x)) {
            continue;
        }
        let headline = format!(
            "{} at {} holds only for \"{}\" ({})",
            d.keyword.name,
            config.place(d.pos),
            config.line(at).trim(),
            config.place(at)
        );
        lints.add("match-swallows", &[d.pos, at], headline, Vec::new());
    }
}

fn lists(lints: &mut Lints<'_>, e: &Effective, known: &Known) {
    let config = lints.config;
    for d in config.directives() {
        let is_list = matches!(
            d.keyword.name,
            "AllowUsers" | "DenyUsers" | "AllowGroups" | "DenyGroups"
        );
        if is_list
            && let Some(word) = d
                .values
                .iter()
                .find(|v| v.contains(',') && !v.contains('@'))
        {
            let headline = format!(
                "{} {word:?} at {} is one pattern",
                d.keyword.name,
                config.place(d.pos)
            );
            lints.add("list-with-commas", &[d.pos], headline, Vec::new());
        }
        if d.keyword.name == "AuthorizedKeysFile"
            && let Some(path) = d
                .values
                .iter()
                .flat_map(|v| v.split(' '))
                .find(|v| v.starts_with('/') && !v.contains('%'))
        {
            let headline = format!("AuthorizedKeysFile {path} is the same file for every account");
            lints.add("keys-file-shared", &[d.pos], headline, Vec::new());
        }
    }
    if known.accounts.is_empty() {
        return;
    }
    let nobody = |keyword: &'static str| {
        !e.values(keyword).is_empty()
            && known.accounts.iter().all(|a| {
                let c = super::Connection {
                    user: Some(a.account.name.clone()),
                    groups: a.account.groups.clone(),
                    ..super::Connection::default()
                };
                // Patterns with a host part may fit from somewhere.
                let by_host = e.values(keyword).iter().any(|v| v.contains('@'));
                !by_host && access::refused(e, &a.account, &c).is_some_and(|r| r.keyword == keyword)
            })
    };
    for keyword in ["AllowUsers", "AllowGroups"] {
        if nobody(keyword) {
            let at = e.of(keyword).map(|s| s.from.clone()).unwrap_or_default();
            let headline = format!(
                "{keyword} fits no account of this machine: {}",
                e.values(keyword).join(" ")
            );
            lints.add("list-fits-nobody", &at, headline, Vec::new());
        }
    }
}

fn values(lints: &mut Lints<'_>, e: &Effective) {
    let at = |k: &str| e.of(k).map(|s| s.from.clone()).unwrap_or_default();
    let set = |k: &str| !at(k).is_empty();
    if e.is("StrictModes", "no") {
        lints.add(
            "strict-modes-off",
            &at("StrictModes"),
            "StrictModes no".to_owned(),
            Vec::new(),
        );
    }
    if e.is("PermitEmptyPasswords", "yes") {
        lints.add(
            "empty-passwords",
            &at("PermitEmptyPasswords"),
            "PermitEmptyPasswords yes".to_owned(),
            Vec::new(),
        );
    }
    if e.is("PermitRootLogin", "yes") && e.is("PasswordAuthentication", "yes") {
        lints.add(
            "root-by-password",
            &at("PermitRootLogin"),
            "PermitRootLogin yes, and passwords are on".to_owned(),
            Vec::new(),
        );
    }
    for (keyword, weak) in WEAK {
        let value = e.value(keyword);
        let found: Vec<&str> = value
            .split(',')
            .filter(|a| weak.iter().any(|w| a.contains(w)))
            .collect();
        if set(keyword) && !found.is_empty() {
            let headline = format!("{keyword} offers {}", found.join(", "));
            lints.add("weak-algorithms", &at(keyword), headline, Vec::new());
        }
    }
    if matches!(e.value("LogLevel"), "SILENT" | "FATAL" | "ERROR") {
        let headline = format!(
            "LogLevel {}: failed logins leave no trace",
            e.value("LogLevel")
        );
        lints.add("log-level-low", &at("LogLevel"), headline, Vec::new());
    }
    match (e.number("LoginGraceTime"), set("LoginGraceTime")) {
        (0, true) => lints.add(
            "grace-time-unbounded",
            &at("LoginGraceTime"),
            "LoginGraceTime 0: no limit".to_owned(),
            Vec::new(),
        ),
        (s @ 1..10, true) => lints.add(
            "time-suspicious",
            &at("LoginGraceTime"),
            format!("LoginGraceTime {s}: {s} seconds to log in"),
            Vec::new(),
        ),
        _ => {}
    }
    if let s @ 1..10 = e.number("ClientAliveInterval") {
        lints.add(
            "time-suspicious",
            &at("ClientAliveInterval"),
            format!("ClientAliveInterval {s}: a check every {s} seconds"),
            Vec::new(),
        );
    }
    for (keyword, least) in [("MaxAuthTries", 2), ("MaxSessions", 1)] {
        if set(keyword) && e.number(keyword) < least {
            lints.add(
                "limit-very-low",
                &at(keyword),
                format!("{keyword} {}", e.value(keyword)),
                Vec::new(),
            );
        }
    }
    if let Some(full) = e
        .value("MaxStartups")
        .rsplit(':')
        .next()
        .and_then(|f| f.parse::<u32>().ok())
        && full < 5
    {
        lints.add(
            "limit-very-low",
            &at("MaxStartups"),
            format!("MaxStartups {}", e.value("MaxStartups")),
            Vec::new(),
        );
    }
    // A file that sshd does not read to its end may have one further down.
    if lints.config.is_sound() && !e.values("Subsystem").iter().any(|s| s.starts_with("sftp ")) {
        lints.add(
            "sftp-missing",
            &[],
            "No Subsystem sftp".to_owned(),
            Vec::new(),
        );
    }
    let algorithms = e.value("HostKeyAlgorithms");
    if set("HostKeyAlgorithms")
        && algorithms
            .split(',')
            .all(|a| matches!(a, "ssh-rsa" | "ssh-dss" | "ssh-rsa-cert-v01@openssh.com"))
    {
        lints.add(
            "one-host-key-rsa-sha1",
            &at("HostKeyAlgorithms"),
            format!("HostKeyAlgorithms {algorithms}"),
            Vec::new(),
        );
    }
}

/// The tokens that each keyword takes (sshd_config(5) TOKENS).
const TOKENS: [(&str, &str); 5] = [
    ("AuthorizedKeysCommand", "CDfhktUu"),
    ("AuthorizedKeysFile", "hUu"),
    ("AuthorizedPrincipalsCommand", "CDFfhiKksTtUu"),
    ("AuthorizedPrincipalsFile", "hUu"),
    ("ChrootDirectory", "hUu"),
];

/// What does something else than it seems to.
fn surprises(lints: &mut Lints<'_>, e: &Effective, known: &Known) {
    let config = lints.config;
    for d in config.directives() {
        let value = d.values.join(" ");
        if let Some((_, tokens)) = TOKENS.iter().find(|(k, _)| *k == d.keyword.name) {
            let mut after = value.split('%').skip(1);
            while let Some(part) = after.next() {
                match part.chars().next() {
                    // %% is a percent sign: what follows belongs to it.
                    None => {
                        after.next();
                    }
                    Some(c) if tokens.contains(c) => {}
                    Some(c) => {
                        let headline = format!("%{c} is nothing that {} expands", d.keyword.name);
                        let list: Vec<String> = tokens.chars().map(|t| format!("%{t}")).collect();
                        let notes = vec![format!("it takes %% {}", list.join(" "))];
                        lints.add("token-unknown", &[d.pos], headline, notes);
                        break;
                    }
                }
            }
        }
        let tilde = d.words.iter().find(|w| w.starts_with("~/"));
        if let ("AuthorizedKeysFile" | "AuthorizedPrincipalsFile", Some(word)) =
            (d.keyword.name, tilde)
        {
            let headline = format!(
                "{} {word} is {} for every account",
                d.keyword.name,
                word.replacen('~', "/root", 1)
            );
            lints.add("tilde-is-root", &[d.pos], headline, Vec::new());
        }
        if matches!(
            d.keyword.kind,
            crate::catalog::keywords::Kind::Algorithms(_)
        ) && value.is_empty()
        {
            let headline = format!("{} {} leaves nothing", d.keyword.name, d.written.trim());
            lints.add("algorithms-none", &[d.pos], headline, Vec::new());
        }
    }
    let from = |k: &str| e.of(k).map(|s| s.from.clone()).unwrap_or_default();
    if e.is("PasswordAuthentication", "no")
        && !from("PasswordAuthentication").is_empty()
        && e.is("KbdInteractiveAuthentication", "yes")
        && e.is("UsePAM", "yes")
    {
        let mut at = from("PasswordAuthentication");
        at.extend(from("KbdInteractiveAuthentication"));
        let headline = "PasswordAuthentication no, and KbdInteractiveAuthentication yes: PAM still asks for the password".to_owned();
        lints.add("passwords-still-on", &at, headline, Vec::new());
    }
    let listens = e.values("ListenAddress");
    let own = |l: &String| l.starts_with("127.") || l.starts_with("[::1]");
    if !from("ListenAddress").is_empty() && !listens.is_empty() && listens.iter().all(own) {
        let star = config.directives().iter().any(|d| {
            d.keyword.name == "ListenAddress" && d.words.first().is_some_and(|w| w == "*")
        });
        let notes = match star {
            true => vec![
                "* is no wildcard to getaddrinfo(3), which takes it for the loopback address"
                    .to_owned(),
            ],
            false => Vec::new(),
        };
        let headline = format!("sshd listens on {} and nowhere else", listens.join(", "));
        lints.add(
            "listens-on-loopback-only",
            &from("ListenAddress"),
            headline,
            notes,
        );
    }
    if e.number("ClientAliveInterval") > 0
        && e.number("ClientAliveCountMax") == 0
        && !from("ClientAliveCountMax").is_empty()
        && config.release >= (8, 2)
    {
        let mut at = from("ClientAliveCountMax");
        at.extend(from("ClientAliveInterval"));
        let headline = format!(
            "ClientAliveInterval {} with ClientAliveCountMax 0 asks and never ends a session",
            e.value("ClientAliveInterval")
        );
        lints.add("alive-never-ends", &at, headline, Vec::new());
    }
    names(lints, e);
    blocks(lints, known);
    crash(lints);
}

/// servconf.c of 9.5 to 10.0 copies the subsystems of a block over those for everybody, and falls over where there are none.
fn crash(lints: &mut Lints<'_>) {
    if !((9, 5)..=(10, 0)).contains(&lints.config.release) {
        return;
    }
    let lines = lints.config.directives().into_iter();
    let all: Vec<(Pos, Option<Pos>)> = lines
        .filter(|d| d.keyword.name == "Subsystem")
        .map(|d| (d.pos, d.block))
        .collect();
    if all.is_empty() || all.iter().any(|(_, block)| block.is_none()) {
        return;
    }
    for (pos, block) in all {
        let within = block.map_or(String::new(), |b| lints.config.place(b));
        let headline = format!(
            "Subsystem at {} stands in the block of {within} and none outside: sshd crashes when the block holds",
            lints.config.place(pos)
        );
        lints.add("subsystem-crash", &[pos], headline, Vec::new());
    }
}

/// Names of hosts, where sshd looks up none.
fn names(lints: &mut Lints<'_>, e: &Effective) {
    if !e.is("UseDNS", "no") {
        return;
    }
    let is_name = |w: &&str| {
        let w = w.trim_start_matches('!');
        w.contains(|c: char| c.is_ascii_alphabetic())
            && !w.contains(':')
            && crate::addr::parse_ip(w.as_bytes()).is_none()
    };
    let mut found: Vec<(Pos, String)> = Vec::new();
    for m in samples::matches(lints.config) {
        let hosts = m
            .criteria
            .iter()
            .filter(|c| c.test == super::parse::Test::Host);
        if let Some(name) = hosts.flat_map(|c| c.argument.split(',')).find(is_name) {
            found.push((m.pos, format!("Match Host {name}")));
        }
    }
    for d in lints.config.directives() {
        if !matches!(d.keyword.name, "AllowUsers" | "DenyUsers") {
            continue;
        }
        let mut hosts = d
            .values
            .iter()
            .filter_map(|v| v.split_once('@'))
            .flat_map(|(_, h)| h.split(','));
        if let Some(name) = hosts.find(is_name) {
            found.push((d.pos, format!("{} …@{name}", d.keyword.name)));
        }
    }
    for (pos, what) in found {
        let place = lints.config.place(pos);
        lints.add(
            "name-without-dns",
            &[pos],
            format!("{what} at {place} fits nobody while UseDNS is off"),
            Vec::new(),
        );
    }
}

/// Blocks for users or groups that this machine does not have.
fn blocks(lints: &mut Lints<'_>, known: &Known) {
    if known.accounts.is_empty() {
        return;
    }
    use super::parse::Test;
    let mut found = Vec::new();
    for m in samples::matches(lints.config) {
        let about = |t: Test| m.criteria.iter().any(|c| c.test == t);
        if !(about(Test::User) || about(Test::Group)) || m.all {
            continue;
        }
        // Only who it is counts here, not from where.
        let who = super::MatchLine {
            criteria: m
                .criteria
                .iter()
                .filter(|c| matches!(c.test, Test::User | Test::Group))
                .cloned()
                .collect(),
            ..m.clone()
        };
        let fits = known.accounts.iter().any(|a| {
            let c = super::Connection {
                user: Some(a.account.name.clone()),
                groups: a.account.groups.clone(),
                ..super::Connection::default()
            };
            super::effective::fits(&who, &c, lints.config.release)
        });
        if !fits {
            found.push((m.pos, m.written.clone()));
        }
    }
    for (pos, written) in found {
        let place = lints.config.place(pos);
        lints.add(
            "match-never",
            &[pos],
            format!("Match {written} at {place} fits no account of this machine"),
            Vec::new(),
        );
    }
}

/// Whether the account gets in from anywhere, by any method that works for it.
fn gets_in(config: &Config, a: &KnownAccount) -> bool {
    samples::places(config).into_iter().any(|p| {
        let c = super::Connection {
            user: Some(a.account.name.clone()),
            groups: a.account.groups.clone(),
            addr: Some(p.addr),
            host: Some(p.host),
            ..super::Connection::default()
        };
        let e = effective(config, Some(&c));
        let other_keys =
            !e.is("AuthorizedKeysCommand", "none") || !e.is("TrustedUserCAKeys", "none");
        let works = |m: &&str| match *m {
            "publickey" => a.has_key || other_keys,
            "password" | "keyboard-interactive" => a.has_password,
            _ => true,
        };
        let methods: Vec<&str> = access::methods(&e, &a.account)
            .into_iter()
            .filter(works)
            .collect();
        let chain = access::chains(&e, &methods).is_none_or(|c| !c.is_empty());
        access::refused(&e, &a.account, &c).is_none() && !methods.is_empty() && chain
    })
}

fn methods(lints: &mut Lints<'_>, e: &Effective, known: &Known) {
    let anybody = access::Account {
        name: String::new(),
        uid: u32::MAX,
        groups: Vec::new(),
    };
    let enabled = access::methods(e, &anybody);
    let places = |keywords: &[&str]| -> Vec<Pos> {
        keywords
            .iter()
            .filter_map(|k| e.of(k))
            .flat_map(|s| s.from.clone())
            .collect()
    };
    let at = places(&[
        "PubkeyAuthentication",
        "PasswordAuthentication",
        "KbdInteractiveAuthentication",
    ]);
    if enabled.is_empty() {
        lints.add(
            "nobody-can-log-in",
            &at,
            "Every method of authentication is off".to_owned(),
            Vec::new(),
        );
    }
    if access::chains(e, &enabled).is_some_and(|c| c.is_empty()) {
        let headline = format!(
            "AuthenticationMethods {}: none of it can be fulfilled",
            e.value("AuthenticationMethods")
        );
        lints.add(
            "methods-unreachable",
            &places(&["AuthenticationMethods"]),
            headline,
            Vec::new(),
        );
    }
    let keys_only = enabled == ["publickey"];
    let elsewhere = !e.is("AuthorizedKeysCommand", "none") || !e.is("TrustedUserCAKeys", "none");
    if keys_only
        && !elsewhere
        && !known.accounts.is_empty()
        && known.accounts.iter().all(|a| !a.has_key)
    {
        lints.add(
            "no-keys-anywhere",
            &at,
            "Only keys are allowed, and no account has one".to_owned(),
            Vec::new(),
        );
    }
}

/// That nobody gets in at all, where nothing else has said so.
fn everybody(lints: &mut Lints<'_>, known: &Known) {
    let said = [
        "nobody-can-log-in",
        "methods-unreachable",
        "no-keys-anywhere",
        "list-fits-nobody",
    ];
    if known.accounts.is_empty() || lints.out.iter().any(|f| said.contains(&f.slug)) {
        return;
    }
    // Accounts of a directory service are not all known: one that is named may well exist.
    let named = |keyword: &str, known: &dyn Fn(&str) -> bool| {
        let lines = lints.config.directives().into_iter();
        lines.filter(|d| d.keyword.name == keyword).any(|d| {
            let mut names = d
                .values
                .iter()
                .map(|v| v.split('@').next().unwrap_or_default());
            names.any(|n| !n.contains(['*', '?', '!']) && !known(n))
        })
    };
    let user = |n: &str| known.accounts.iter().any(|a| a.account.name == n);
    let group = |n: &str| {
        known
            .accounts
            .iter()
            .any(|a| a.account.groups.iter().any(|g| g == n))
    };
    if named("AllowUsers", &user) || named("AllowGroups", &group) {
        return;
    }
    if !known.accounts.iter().any(|a| gets_in(lints.config, a)) {
        let names: Vec<&str> = known
            .accounts
            .iter()
            .map(|a| a.account.name.as_str())
            .take(5)
            .collect();
        let headline = format!(
            "None of the {} accounts with a shell can log in ({} …)",
            known.accounts.len(),
            names.join(", ")
        );
        let notes = vec!["`sshwhy config who` says for each account why".to_owned()];
        lints.add("no-account-gets-in", &[], headline, notes);
    }
}

/// Whether any finding keeps sshd from starting or everybody out.
pub fn is_fatal(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.severity >= Severity::High)
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, parse::parse};
    use super::*;

    fn slugs(text: &str, known: &Known) -> Vec<&'static str> {
        let text = format!("{text}Subsystem sftp internal-sftp\n");
        let files = Memory::default()
            .with("/c", &text)
            .with("/d/50.conf", "MaxAuthTries 3\n");
        lint(&parse(&files, "/c", (9, 2), "/"), known)
            .iter()
            .map(|f| f.slug)
            .collect()
    }

    fn known(has_key: bool) -> Known {
        Known {
            accounts: vec![KnownAccount {
                account: access::Account {
                    name: "alice".into(),
                    uid: 9,
                    groups: vec!["staff".into()],
                },
                has_key,
                has_password: true,
            }],
        }
    }

    #[test]
    fn surprises_are_found_and_their_neighbours_are_not() {
        let any = Known::default();
        for (bad, slug, good) in [
            ("Prot 22\n", "config-error", "Port 22\n"),
            ("Protocol 2\n", "config-ignored", "# Protocol 2\n"),
            (
                "Include /d/*.conf\nMaxAuthTries 6\n",
                "config-never-counts",
                "Include /d/*.conf\nMaxAuthTries 3\n",
            ),
            (
                "AllowUsers alice,bob\n",
                "list-with-commas",
                "AllowUsers alice bob\n",
            ),
            (
                "AuthorizedKeysFile /etc/keys\n",
                "keys-file-shared",
                "AuthorizedKeysFile /etc/keys/%u\n",
            ),
            (
                "PubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
                "nobody-can-log-in",
                "PubkeyAuthentication no\nPasswordAuthentication no\n",
            ),
            (
                "PasswordAuthentication no\nKbdInteractiveAuthentication no\nAuthenticationMethods publickey,password\n",
                "methods-unreachable",
                "AuthenticationMethods publickey,password\n",
            ),
            (
                "Ciphers +aes128-cbc\n",
                "weak-algorithms",
                "Ciphers aes128-ctr\n",
            ),
            (
                "LoginGraceTime 2\n",
                "time-suspicious",
                "LoginGraceTime 2m\n",
            ),
            ("MaxSessions 0\n", "limit-very-low", "MaxSessions 1\n"),
            (
                "PermitEmptyPasswords yes\n",
                "empty-passwords",
                "PermitEmptyPasswords no\n",
            ),
            (
                "UsePAM yes\nPasswordAuthentication no\n",
                "passwords-still-on",
                "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            ),
            (
                "Match Host *.example.org\nX11Forwarding no\nMatch all\n",
                "name-without-dns",
                "UseDNS yes\nMatch Host *.example.org\nX11Forwarding no\nMatch all\n",
            ),
            (
                "AllowUsers alice@gate.example.org\n",
                "name-without-dns",
                "AllowUsers alice@192.0.2.* bob@2001:db8::/32\n",
            ),
            (
                "AuthorizedKeysFile /etc/keys/%U/%k\n",
                "token-unknown",
                "AuthorizedKeysFile /etc/%%k/%u\n",
            ),
            (
                "AuthorizedKeysFile ~/.ssh/authorized_keys\n",
                "tilde-is-root",
                "AuthorizedKeysFile .ssh/authorized_keys\n",
            ),
            (
                "ListenAddress *\n",
                "listens-on-loopback-only",
                "ListenAddress 0.0.0.0\nListenAddress 127.0.0.1\n",
            ),
            (
                "ClientAliveInterval 300\nClientAliveCountMax 0\n",
                "alive-never-ends",
                "ClientAliveInterval 300\nClientAliveCountMax 1\n",
            ),
            ("Ciphers -*\n", "algorithms-none", "Ciphers -*-cbc\n"),
            (
                "HostKeyAlgorithms ssh-rsa\n",
                "one-host-key-rsa-sha1",
                "HostKeyAlgorithms ssh-rsa,rsa-sha2-512\n",
            ),
        ] {
            assert!(
                slugs(bad, &any).contains(&slug),
                "{bad}: {:?}",
                slugs(bad, &any)
            );
            assert!(
                !slugs(good, &any).contains(&slug),
                "{good}: {:?}",
                slugs(good, &any)
            );
        }
    }

    #[test]
    fn a_subsystem_in_a_block_and_none_outside_crashes_some_releases() {
        let of = |text: &str, release| -> Vec<&'static str> {
            let files = Memory::default().with("/c", text);
            let found = lint(&parse(&files, "/c", release, "/"), &Known::default());
            let slugs = found.iter().map(|f| f.slug);
            slugs.filter(|s| *s == "subsystem-crash").collect()
        };
        let alone = "Match User b\nSubsystem sftp /c\n";
        let both = "Subsystem a /b\nMatch User b\nSubsystem sftp /c\nSubsystem d /e\n";
        assert_eq!(of(alone, (10, 0)), ["subsystem-crash"]);
        assert!(of(both, (10, 0)).is_empty() && of(alone, (10, 6)).is_empty());
    }

    #[test]
    fn a_block_that_looks_finished_is_pointed_at() {
        let any = Known::default();
        let bad = "Match User b\n    X11Forwarding no\n\n# again\nPasswordAuthentication yes\nMatch all\n";
        assert_eq!(slugs(bad, &any), ["match-swallows"]);
        let good =
            "Match User b\n    X11Forwarding no\n    PasswordAuthentication yes\nMatch all\n";
        assert!(slugs(good, &any).is_empty(), "{:?}", slugs(good, &any));
        let flat = "Match User b\nX11Forwarding no\nPasswordAuthentication yes\nMatch all\n";
        assert!(slugs(flat, &any).is_empty());
    }

    #[test]
    fn accounts_decide_who_is_locked_out() {
        let keys_only = "PasswordAuthentication no\nKbdInteractiveAuthentication no\n";
        assert_eq!(slugs(keys_only, &known(false)), ["no-keys-anywhere"]);
        assert!(slugs(keys_only, &known(true)).is_empty());
        assert!(slugs(keys_only, &Known::default()).is_empty());
        assert_eq!(
            slugs("AllowGroups wheel\n", &known(true)),
            ["list-fits-nobody"]
        );
        assert!(slugs("AllowGroups st*\n", &known(true)).is_empty());
        assert_eq!(
            slugs(
                "Match User bob\nX11Forwarding no\nMatch all\n",
                &known(true)
            ),
            ["match-never"]
        );
        assert!(
            slugs(
                "Match User bob,al*\nX11Forwarding no\nMatch all\n",
                &known(true)
            )
            .is_empty()
        );
        assert_eq!(slugs("DenyUsers *\n", &known(true)), ["no-account-gets-in"]);
        // From one network somebody gets in.
        assert!(slugs("DenyUsers *@!192.0.2.0/24,*\n", &known(true)).is_empty());
        assert!(slugs("AllowUsers x@192.0.2.7\n", &known(true)).is_empty());
    }
}
