//! What a configuration comes to for one connection, and which lines decided it.
//!
//! As servconf.c: a first pass over everything outside Match blocks, then one over the blocks that match; what the second
//! sets replaces what the first set. Within a pass the first value of a keyword wins, or they add up, as the keyword says.

use super::parse::{
    Body, Config, Criterion, Diagnostic, Directive, Level, MatchLine, Node, Pos, Test, version,
};
use super::parts;
use super::pattern::{self, Verdict};
use super::value::listen_parts;
use crate::addr::parse_ip;
use crate::catalog::keywords::{self, Keyword, Kind, Repeat};
use crate::version::Release;
use std::collections::BTreeMap;

/// What sshd knows of a connection when it evaluates Match. What is `None` does not match anything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Connection {
    pub user: Option<String>,
    /// Names of the user's groups, primary first; empty for a user that does not exist.
    pub groups: Vec<String>,
    /// What sshd takes for the client's name: the address itself unless UseDNS is on.
    pub host: Option<String>,
    pub addr: Option<String>,
    pub laddr: Option<String>,
    pub lport: Option<u16>,
    pub rdomain: Option<String>,
    /// The user does not exist (`Match invalid-user`).
    pub invalid_user: bool,
    /// sshd's own version string.
    pub version: Option<String>,
}

/// Why a line did not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// A line before it had set the keyword.
    Earlier,
    /// A line after it set the keyword again, which counts for the few where the last value wins.
    Later,
    /// A Match block replaced it.
    Match,
    /// It stands in a Match block that this connection does not match.
    NotMatched(Pos),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    pub pos: Pos,
    pub value: String,
    pub why: Why,
}

/// One keyword's value.
#[derive(Clone, Debug)]
pub struct Setting {
    pub keyword: &'static Keyword,
    /// As `sshd -T` prints them, one a line; empty: unset.
    pub values: Vec<String>,
    /// The lines that won; empty: the default.
    pub from: Vec<Pos>,
    /// The Match line of the block that won.
    pub block: Option<Pos>,
    /// A block set it, be it one that holds for everybody.
    pub matched: bool,
    pub lost: Vec<Lost>,
}

#[derive(Clone, Debug)]
pub struct Effective {
    /// In the order of the catalogue.
    pub settings: Vec<Setting>,
    /// Why sshd ends this connection as soon as it reads the blocks again for it, although it starts.
    pub refusals: Vec<Diagnostic>,
    pub release: Release,
}

impl Effective {
    pub fn of(&self, keyword: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.keyword.is_named(keyword))
    }

    /// The first value; empty where unset.
    pub fn value(&self, keyword: &str) -> &str {
        self.of(keyword)
            .and_then(|s| s.values.first())
            .map_or("", String::as_str)
    }

    pub fn values(&self, keyword: &str) -> &[String] {
        self.of(keyword).map_or(&[], |s| s.values.as_slice())
    }

    pub fn is(&self, keyword: &str, value: &str) -> bool {
        self.value(keyword) == value
    }

    pub fn number(&self, keyword: &str) -> u64 {
        self.value(keyword).parse().unwrap_or(0)
    }

    /// The lines of `sshd -T`, in the words of that release.
    pub fn dump(&self) -> Vec<String> {
        let release = self.release;
        let newer = release >= (10, 1);
        let mut out = Vec::new();
        // 10.1 forgets a list of files that is none, but for one of a block.
        let forgotten = |s: &Setting| {
            let files = matches!(s.keyword.name, "RevokedKeys" | "AuthorizedKeysFile");
            newer && files && s.values == ["none"] && !s.matched
        };
        let printed = |s: &&Setting| s.keyword.printed_in(release) && !forgotten(s);
        for s in self.settings.iter().filter(printed) {
            let name = match newer {
                true => s.keyword.name.to_owned(),
                false => s.keyword.name_in(release).to_ascii_lowercase(),
            };
            for v in &s.values {
                let shown = match (s.keyword.name, v.as_str()) {
                    // sshd prints the null pointer that it keeps for this one.
                    ("HostCertificate", "none") => "(null)".to_owned(),
                    ("PermitRootLogin", "without-password") if newer => {
                        "prohibit-password".to_owned()
                    }
                    ("TCPKeepAlive", "yes") if newer => "true".to_owned(),
                    ("TCPKeepAlive", "no") if newer => "false".to_owned(),
                    ("PerSourcePenalties", v) if newer && v != "no" => with_fractions(v),
                    (_, v) => v.to_owned(),
                };
                out.push(format!("{name} {shown}"));
            }
        }
        out
    }
}

/// Times as 10.1 and later print them: 5 as 5.000000.
fn with_fractions(value: &str) -> String {
    let part = |word: &str| match word.split_once(':') {
        Some((key, time)) if !key.starts_with("max-sources") => match time.parse::<f64>() {
            Ok(seconds) => format!("{key}:{seconds:.6}"),
            Err(_) => word.to_owned(),
        },
        _ => word.to_owned(),
    };
    value.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

type Sets<'a> = BTreeMap<&'static str, Vec<&'a Directive>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    None,
    /// Only what stands in Match blocks counts, until the first of them.
    MatchOnly,
    /// Inside a block that does not match: nothing counts.
    Never,
}

struct Pass<'a> {
    /// `None`: the first pass, at the start of sshd.
    connection: Option<&'a Connection>,
    release: Release,
    sets: Sets<'a>,
    lost: Vec<(&'a Directive, Why)>,
    refusals: Vec<Diagnostic>,
}

impl<'a> Pass<'a> {
    fn walk(&mut self, body: &'a Body, mut active: bool, mut flag: Flag, outer: Option<Pos>) {
        let mut block = outer;
        for node in &body.nodes {
            match node {
                Node::Match(line) => {
                    let fits = match flag {
                        Flag::Never => false,
                        _ => match self.connection {
                            Some(c) => fits(line, c, self.release),
                            None => line.holds_at_start(self.release),
                        },
                    };
                    active = fits && flag != Flag::Never;
                    block = (!line.all || !active).then_some(line.pos);
                    if flag == Flag::MatchOnly {
                        flag = Flag::None;
                    }
                }
                Node::Include { files, .. } => {
                    let inner = match (flag, active) {
                        (Flag::MatchOnly, _) => Flag::MatchOnly,
                        (_, true) => Flag::None,
                        (_, false) => Flag::Never,
                    };
                    for file in files {
                        self.walk(file, active, inner, block);
                    }
                }
                Node::Set(d) => self.set(d, active, block),
            }
        }
    }

    /// What is wrong with a line only now that it is read for a connection.
    fn wrong_here(&self, d: &Directive, active: bool) -> Option<String> {
        self.connection?;
        let before = self.sets.get(d.keyword.name).filter(|b| !b.is_empty());
        // Also in a block that does not hold.
        if d.no_any_after(self.release) && before.is_some() {
            return Some("\"any\" must stand alone".to_owned());
        }
        let same = |o: &&Directive| {
            o.keyword.kind != Kind::Subsystem || o.words.first() == d.words.first()
        };
        let said = before.is_some_and(|b| b.iter().any(same));
        let looked_at = active || d.keyword.kind == Kind::Methods;
        d.late.clone().filter(|_| looked_at && !said)
    }

    fn set(&mut self, d: &'a Directive, active: bool, block: Option<Pos>) {
        if let Some(message) = self.wrong_here(d, active) {
            self.refusals.push(Diagnostic {
                level: Level::Error,
                pos: d.pos,
                message: format!("{}: {message}", d.keyword.name),
                hint: None,
            });
        }
        if !active {
            if let Some(at) = block.or(d.block) {
                self.lost.push((d, Why::NotMatched(at)));
            }
            return;
        }
        if self.connection.is_some() && !d.keyword.in_match_in(self.release) {
            return;
        }
        // Before 8.7 sshd reads SetEnv in a block and forgets to copy it.
        let forgets = self.connection.is_some() && self.release < (8, 7);
        if forgets && d.keyword.name == "SetEnv" {
            return;
        }
        let mut repeat = d.keyword.repeat_in(self.release);
        // servconf.c of 8.7 to 9.3 looks at the wrong pointer here: behind an AuthorizedKeysCommand this one never counts,
        // and without one the last line does.
        if d.keyword.name == "AuthorizedPrincipalsCommand"
            && ((8, 7)..(9, 4)).contains(&self.release)
        {
            if self.sets.contains_key("AuthorizedKeysCommand") {
                self.lost.push((d, Why::Earlier));
                return;
            }
            repeat = Repeat::Last;
        }
        // A line that says nothing sets nothing.
        if d.values.is_empty() {
            return;
        }
        let before = self.sets.entry(d.keyword.name).or_default();
        match repeat {
            Repeat::Each | Repeat::Parts => before.push(d),
            Repeat::Last => {
                self.lost.extend(before.drain(..).map(|d| (d, Why::Later)));
                before.push(d);
            }
            Repeat::First | Repeat::FirstLine if before.is_empty() => before.push(d),
            Repeat::First | Repeat::FirstLine => self.lost.push((d, Why::Earlier)),
        }
    }
}

/// Whether the line's block holds for the connection.
pub fn fits(line: &MatchLine, c: &Connection, release: Release) -> bool {
    line.all || line.criteria.iter().all(|t| holds(t, c, release))
}

fn holds(criterion: &Criterion, c: &Connection, release: Release) -> bool {
    let arg = criterion.argument.as_str();
    let listed = |text: &Option<String>, ignore_case| {
        text.as_deref()
            .is_some_and(|t| pattern::list(t, arg, ignore_case) == Verdict::Yes)
    };
    let addressed = |text: &Option<String>| {
        text.as_deref()
            .is_some_and(|t| pattern::addresses(Some(t), arg) == Ok(Verdict::Yes))
    };
    match criterion.test {
        Test::User => listed(&c.user, false),
        // groupaccess.c ga_match_pattern_list(): a negation in any group wins.
        Test::Group => {
            let verdicts: Vec<Verdict> = c
                .groups
                .iter()
                .map(|g| pattern::list(g, arg, false))
                .collect();
            !verdicts.contains(&Verdict::Never) && verdicts.contains(&Verdict::Yes)
        }
        Test::Host => listed(&c.host, true),
        Test::Address => addressed(&c.addr),
        Test::LocalAddress => addressed(&c.laddr),
        Test::LocalPort => c.lport.is_some_and(|p| super::value::port(arg) == Some(p)),
        Test::RDomain => listed(&c.rdomain, false),
        Test::Version => {
            let own = c.version.clone().unwrap_or_else(|| version(release));
            listed(&Some(own), false)
        }
        Test::InvalidUser => c.invalid_user,
    }
}

/// The value of every keyword. Without a connection: what `sshd -T` says without `-C`, that is for somebody of whom nothing is
/// known, whom only `Match all` fits.
pub fn effective(config: &Config, connection: Option<&Connection>) -> Effective {
    let nobody = Connection::default();
    evaluate(config, Some(connection.unwrap_or(&nobody)))
}

/// What sshd goes by when it starts, before it looks at blocks a second time.
pub fn at_start(config: &Config) -> Effective {
    evaluate(config, None)
}

fn evaluate(config: &Config, connection: Option<&Connection>) -> Effective {
    let pass = |connection| Pass {
        connection,
        release: config.release,
        sets: Sets::new(),
        lost: Vec::new(),
        refusals: Vec::new(),
    };
    let mut global = pass(None);
    global.walk(&config.body, true, Flag::None, None);
    let mut blocks = pass(connection);
    if connection.is_some() {
        blocks.walk(&config.body, false, Flag::MatchOnly, None);
    }
    let mut settings: Vec<Setting> = keywords::ROWS
        .iter()
        .filter(|k| k.known_in(config.release))
        .map(|k| setting(config, k, &global, &blocks, connection.is_some()))
        .collect();
    let mut refusals = std::mem::take(&mut blocks.refusals);
    refusals.extend(settings.iter().filter_map(|s| no_algorithm(config, s)));
    listen(&mut settings);
    host_keys(&mut settings, config.release);
    let matched = blocks.sets.contains_key("KbdInteractiveAuthentication");
    challenge(&mut settings, config.release, matched);
    Effective {
        settings,
        refusals,
        release: config.release,
    }
}

/// A list of a block that no algorithm fits, where it is not one that takes all away.
fn no_algorithm(config: &Config, s: &Setting) -> Option<Diagnostic> {
    let empty = matches!(s.keyword.kind, Kind::Algorithms(_)) && s.values == [""];
    let pos = s.from.first().filter(|_| empty && s.matched)?;
    let line = config.directives().into_iter().find(|d| d.pos == *pos)?;
    let less = line.words.first().is_some_and(|w| w.starts_with('-'));
    (!less).then(|| Diagnostic {
        level: Level::Error,
        pos: *pos,
        message: format!("{} {} fits no algorithm", s.keyword.name, line.written),
        hint: None,
    })
}

/// Before 8.7 ChallengeResponseAuthentication switches keyboard-interactive on, unless a Match block says otherwise.
fn challenge(settings: &mut [Setting], release: Release, matched: bool) {
    if release >= (8, 7) || matched {
        return;
    }
    let Some(asks) = find(settings, "ChallengeResponseAuthentication").cloned() else {
        return;
    };
    if let Some(slot) = settings
        .iter_mut()
        .find(|s| s.keyword.name == "KbdInteractiveAuthentication")
        && asks.values == ["yes"]
    {
        slot.values = asks.values;
        slot.from = asks.from;
    }
}

fn setting(
    config: &Config,
    keyword: &'static Keyword,
    global: &Pass<'_>,
    blocks: &Pass<'_>,
    connected: bool,
) -> Setting {
    let lost = |d: &Directive, why| Lost {
        pos: d.pos,
        value: d.values.join(" "),
        why,
    };
    let mine = |pass: &Pass<'_>| -> Vec<Lost> {
        pass.lost
            .iter()
            .filter(|(d, _)| d.keyword.name == keyword.name)
            .map(|(d, why)| lost(d, *why))
            .collect()
    };
    let base = global.sets.get(keyword.name);
    let matched = blocks.sets.get(keyword.name).filter(|m| !m.is_empty());
    let mut out = Setting {
        keyword,
        values: Vec::new(),
        from: Vec::new(),
        block: None,
        matched: matched.is_some(),
        lost: mine(global)
            .into_iter()
            .filter(|l| !connected || !matches!(l.why, Why::NotMatched(_)))
            .collect(),
    };
    if connected {
        out.lost.extend(mine(blocks));
    }
    if keyword.repeat == Repeat::Parts {
        let lines = |set: Option<&Vec<&Directive>>| -> Vec<Directive> {
            set.into_iter().flatten().map(|d| (*d).clone()).collect()
        };
        let (inner, outer) = (lines(matched), lines(base));
        let default = keyword.default(config.release).unwrap_or_default();
        let (value, from) = parts::assemble(keyword.kind, default, &inner, &outer, config.release);
        let why = match keyword.kind {
            Kind::MaxStartups if config.release < (10, 1) => Why::Later,
            _ => Why::Earlier,
        };
        let idle = inner.iter().chain(&outer);
        out.lost.extend(
            idle.filter(|d| !from.contains(&d.pos))
                .map(|d| lost(d, why)),
        );
        out.block = inner
            .iter()
            .find(|d| from.contains(&d.pos))
            .and_then(|d| d.block);
        out.values = vec![value];
        out.from = from;
        out.lost.sort_by_key(|l| l.pos);
        out.lost.dedup();
        return out;
    }
    if keyword.name == "Subsystem" && config.release >= (9, 5) {
        subsystems(&mut out, matched, base, &lost);
        return out;
    }
    let winners = match (matched, base) {
        (Some(m), base) => {
            let replaced = base.into_iter().flatten().map(|d| lost(d, Why::Match));
            out.lost
                .extend(replaced.filter(|l| !m.iter().any(|d| d.pos == l.pos)));
            Some(m)
        }
        (None, base) => base,
    };
    match winners {
        Some(winners) => {
            out.block = matched.and_then(|m| m.first()).and_then(|d| d.block);
            out.from = winners.iter().map(|d| d.pos).collect();
            out.values = winners
                .iter()
                .flat_map(|d| d.values.iter().cloned())
                .collect();
            // An empty list of algorithms is filled with the default, once sshd has looked at the blocks.
            if connected
                && matched.is_none()
                && matches!(keyword.kind, Kind::Algorithms(_))
                && out.values == [""]
            {
                out.values = keyword
                    .default(config.release)
                    .map(str::to_owned)
                    .into_iter()
                    .collect();
            }
            // sshd empties the list at "none", outside of Match; an empty one is printed as "none" from 9.3 on.
            let none = matches!(&out.values[..], [v] if v.eq_ignore_ascii_case("none"));
            if keyword.kind == Kind::ChannelTimeout && matched.is_none() && none {
                out.values = keyword
                    .default(config.release)
                    .map(str::to_owned)
                    .into_iter()
                    .collect();
            }
        }
        None => {
            out.values = keyword
                .default(config.release)
                .map(str::to_owned)
                .into_iter()
                .collect()
        }
    }
    out.lost.sort_by_key(|l| l.pos);
    out.lost.dedup();
    out
}

/// Since 9.5 the first line of a name wins, and the subsystems of blocks that hold replace all others.
fn subsystems(
    out: &mut Setting,
    inner: Option<&Vec<&Directive>>,
    outer: Option<&Vec<&Directive>>,
    lost: &impl Fn(&Directive, Why) -> Lost,
) {
    let name = |d: &Directive| d.words.first().cloned().unwrap_or_default();
    let mut chosen: Vec<&Directive> = Vec::new();
    for d in outer.into_iter().flatten() {
        match chosen.iter().any(|c| name(c) == name(d)) {
            true => out.lost.push(lost(d, Why::Earlier)),
            false => chosen.push(d),
        }
    }
    let mut replaced: Vec<&Directive> = Vec::new();
    for d in inner.into_iter().flatten() {
        if replaced.iter().any(|c| name(c) == name(d)) {
            out.lost.push(lost(d, Why::Earlier));
            continue;
        }
        replaced.push(d);
        out.block = out.block.or(d.block);
    }
    if !replaced.is_empty() {
        let gone = chosen
            .iter()
            .filter(|c| !replaced.iter().any(|d| d.pos == c.pos));
        out.lost.extend(gone.map(|c| lost(c, Why::Match)));
        chosen = replaced;
    }
    out.from = chosen.iter().map(|d| d.pos).collect();
    out.values = chosen
        .iter()
        .flat_map(|d| d.values.iter().cloned())
        .collect();
    out.lost.sort_by_key(|l| l.pos);
    out.lost.dedup();
}

fn find<'a>(settings: &'a [Setting], name: &str) -> Option<&'a Setting> {
    settings.iter().find(|s| s.keyword.name == name)
}

/// Ports and addresses to what is listened on, as sshd prints it: the last address of a group first.
fn listen(settings: &mut [Setting]) {
    let ports: Vec<u16> = find(settings, "Port")
        .map(|s| s.values.iter().filter_map(|p| p.parse().ok()).collect())
        .unwrap_or_default();
    let family = find(settings, "AddressFamily")
        .and_then(|s| s.values.first().cloned())
        .unwrap_or_default();
    let Some(slot) = settings
        .iter_mut()
        .find(|s| s.keyword.name == "ListenAddress")
    else {
        return;
    };
    let wanted: Vec<String> = match slot.values.is_empty() {
        true => vec!["[::]".to_owned(), "0.0.0.0".to_owned()],
        false => slot.values.clone(),
    };
    let default = slot.values.is_empty();
    let mut out = Vec::new();
    let allowed = |v6: bool| match family.as_str() {
        "inet" => !v6,
        "inet6" => v6,
        _ => true,
    };
    let mut push = |host: &str, port: u16| {
        let host = host.trim_matches(['[', ']']);
        match parse_ip(host.as_bytes()) {
            Some(ip) if ip.is_ipv4() && allowed(false) => out.push(format!("{host}:{port}")),
            Some(ip) if ip.is_ipv6() && allowed(true) => out.push(format!("[{ip}]:{port}")),
            Some(_) => {}
            // getaddrinfo(3) takes it for the loopback address, not for every one.
            None if host == "*" => {
                for (v6, own) in [(false, "127.0.0.1"), (true, "[::1]")] {
                    if allowed(v6) {
                        out.push(format!("{own}:{port}"));
                    }
                }
            }
            None => out.push(format!("{host}:{port}")),
        }
    };
    if default {
        for port in &ports {
            wanted.iter().for_each(|host| push(host, *port));
        }
    } else {
        for value in &wanted {
            let word = value.split(' ').next().unwrap_or_default();
            if let Some((host, port)) = listen_parts(word) {
                match port {
                    Some(p) => push(&host, p),
                    None => ports.iter().for_each(|p| push(&host, *p)),
                }
            }
        }
    }
    slot.values = out;
}

fn host_keys(settings: &mut [Setting], release: Release) {
    if let Some(slot) = settings.iter_mut().find(|s| s.keyword.name == "HostKey")
        && slot.values.is_empty()
    {
        let newer = (release >= (10, 1)).then_some("mldsa44_ed25519");
        slot.values = ["rsa", "ecdsa", "ed25519"]
            .into_iter()
            .chain(newer)
            .map(|t| format!("/etc/ssh/ssh_host_{t}_key"))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, parse::parse};
    use super::*;

    fn config(files: &[(&str, &str)]) -> Config {
        let memory = files
            .iter()
            .fold(Memory::default(), |m, (path, text)| m.with(path, text));
        parse(&memory, "/etc/ssh/sshd_config", (9, 2), "/")
    }

    fn alice() -> Connection {
        Connection {
            user: Some("alice".into()),
            groups: vec!["alice".into(), "staff".into()],
            host: Some("192.0.2.7".into()),
            addr: Some("192.0.2.7".into()),
            laddr: Some("198.51.100.1".into()),
            lport: Some(22),
            ..Connection::default()
        }
    }

    #[test]
    fn the_first_value_wins_and_the_loser_is_named() {
        let c = config(&[
            (
                "/etc/ssh/sshd_config",
                "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\n",
            ),
            (
                "/etc/ssh/sshd_config.d/50-cloud-init.conf",
                "PasswordAuthentication no\n",
            ),
        ]);
        let e = effective(&c, Some(&alice()));
        let s = e.of("PasswordAuthentication").unwrap();
        assert_eq!(s.values, ["no"]);
        assert_eq!(
            c.place(s.from[0]),
            "/etc/ssh/sshd_config.d/50-cloud-init.conf:1"
        );
        assert_eq!(s.lost.len(), 1);
        assert_eq!(s.lost[0].why, Why::Earlier);
        assert_eq!(c.place(s.lost[0].pos), "/etc/ssh/sshd_config:2");
    }

    #[test]
    fn a_block_that_does_not_match_swallows_what_follows() {
        let c = config(&[(
            "/etc/ssh/sshd_config",
            "PasswordAuthentication no\nMatch User backup\nX11Forwarding no\n\nPasswordAuthentication yes\n",
        )]);
        let s = effective(&c, Some(&alice()));
        let s = s.of("PasswordAuthentication").unwrap();
        assert_eq!(s.values, ["no"]);
        assert!(
            matches!(s.lost[..], [Lost { why: Why::NotMatched(p), .. }] if p.line == 2),
            "{:?}",
            s.lost
        );
        let backup = Connection {
            user: Some("backup".into()),
            ..alice()
        };
        assert!(effective(&c, Some(&backup)).is("PasswordAuthentication", "yes"));
    }

    #[test]
    fn blocks_replace_lists_and_among_blocks_the_first_wins() {
        let c = config(&[(
            "/etc/ssh/sshd_config",
            "AcceptEnv A\nAllowUsers x\nMatch Group staff\nAcceptEnv B\nMaxSessions 1\nAllowUsers y\nMatch Address 192.0.2.0/24\nMaxSessions 2\nAllowUsers z\n",
        )]);
        let e = effective(&c, Some(&alice()));
        assert_eq!(e.values("AcceptEnv"), ["B"]);
        assert_eq!(e.values("AllowUsers"), ["y", "z"]);
        assert_eq!(e.value("MaxSessions"), "1");
        let none = effective(&c, None);
        assert_eq!(
            (none.values("AllowUsers"), none.value("MaxSessions")),
            (&["x".to_owned()][..], "10")
        );
    }

    #[test]
    fn includes_in_blocks_count_only_where_the_block_does() {
        let files = |user: &str| {
            config(&[
                (
                    "/etc/ssh/sshd_config",
                    &format!("Match User {user}\nInclude /etc/ssh/x.conf\nPermitTTY no\n"),
                ),
                (
                    "/etc/ssh/x.conf",
                    "X11Forwarding yes\nMatch Address 192.0.2.7\nMaxAuthTries 1\n",
                ),
            ])
        };
        let hit = effective(&files("alice"), Some(&alice()));
        assert_eq!(
            (
                hit.value("X11Forwarding"),
                hit.value("MaxAuthTries"),
                hit.value("PermitTTY")
            ),
            ("yes", "1", "no")
        );
        let miss = effective(&files("bob"), Some(&alice()));
        assert_eq!(
            (
                miss.value("X11Forwarding"),
                miss.value("MaxAuthTries"),
                miss.value("PermitTTY")
            ),
            ("no", "6", "yes")
        );
    }

    #[test]
    fn groups_negate_across_all_groups() {
        let c = config(&[(
            "/etc/ssh/sshd_config",
            "Match Group *,!staff\nMaxSessions 1\n",
        )]);
        assert_eq!(effective(&c, Some(&alice())).value("MaxSessions"), "10");
    }

    #[test]
    fn match_all_holds_for_somebody_unknown_too() {
        let c = config(&[(
            "/etc/ssh/sshd_config",
            "X11Forwarding yes\nMatch all\nX11Forwarding no\n",
        )]);
        assert_eq!(effective(&c, None).value("X11Forwarding"), "no");
        assert_eq!(at_start(&c).value("X11Forwarding"), "yes");
    }

    #[test]
    fn releases_differ_in_what_they_do_with_the_same_lines() {
        let value = |text: &str, release, keyword: &str| {
            let files = Memory::default().with("/c", text);
            effective(&parse(&files, "/c", release, "/"), Some(&alice()))
                .values(keyword)
                .join("|")
        };
        let subsystems = "Subsystem a b\nMatch User alice\nSubsystem a c\nSubsystem d e\n";
        assert_eq!(value(subsystems, (9, 6), "Subsystem"), "a c|d e");
        let twice = "PerSourceMaxStartups 3\nPerSourceMaxStartups 4\n";
        assert_eq!(value(twice, (9, 2), "PerSourceMaxStartups"), "4");
        assert_eq!(value(twice, (9, 6), "PerSourceMaxStartups"), "3");
        assert_eq!(value("", (8, 4), "KbdInteractiveAuthentication"), "yes");
        let challenge = "ChallengeResponseAuthentication no\n";
        assert_eq!(
            value(challenge, (8, 4), "KbdInteractiveAuthentication"),
            "no"
        );
        assert_eq!(
            value(challenge, (9, 2), "KbdInteractiveAuthentication"),
            "no"
        );
        // 9.9 takes the block for one that holds at its start.
        let invalid = "Match invalid-user\nX11Forwarding yes\n";
        assert_eq!(value(invalid, (9, 9), "X11Forwarding"), "yes");
        assert_eq!(value(invalid, (10, 0), "X11Forwarding"), "no");
    }

    #[test]
    fn a_connection_can_be_refused_for_a_block_that_holds() {
        let refused = |text: &str, release| {
            let files = Memory::default().with("/c", text);
            let config = parse(&files, "/c", release, "/");
            assert!(config.is_sound(), "{text} {:?}", config.diagnostics);
            let of = effective(&config, Some(&alice())).refusals;
            of.iter().map(|d| d.pos.line).collect::<Vec<_>>()
        };
        // 8.7 to 9.8 take no "any" behind the methods of a block that holds, be it in one that does not.
        let any = "Match User alice\nAuthenticationMethods publickey\nMatch User bob\nAuthenticationMethods any\n";
        assert_eq!(refused(any, (9, 2)), [4]);
        for release in [(8, 4), (9, 9)] {
            assert_eq!(refused(any, release), [0u32; 0]);
        }
        let before = "Match User bob\nAuthenticationMethods publickey\nMatch User alice\nAuthenticationMethods any\n";
        assert_eq!(refused(before, (9, 2)), [0u32; 0]);
        // A list that nothing fits; one that takes all away is another matter.
        let none = "Match User alice\nPubkeyAcceptedAlgorithms !ssh-*\n";
        assert_eq!(refused(none, (9, 2)), [2]);
        assert_eq!(refused(&none.replace("alice", "bob"), (9, 2)), [0u32; 0]);
        assert_eq!(refused(&none.replace("!ssh-*", "-*"), (9, 2)), [0u32; 0]);
        let subsystem = "Match User alice\nSubsystem sftp\n";
        assert_eq!(refused(subsystem, (10, 0)), [2]);
        assert_eq!(
            refused(&subsystem.replace("alice", "bob"), (10, 0)),
            [0u32; 0]
        );
        // Before 8.7 wrong methods behind others are seen only where no block that holds sets any.
        let wrong = "AuthenticationMethods publickey\nMatch User alice\nMaxSessions 1\nMatch User bob\nAuthenticationMethods pubkey\n";
        assert_eq!(refused(wrong, (8, 4)), [5]);
        let set = wrong.replace("MaxSessions 1", "AuthenticationMethods password");
        let files = Memory::default().with("/c", &set);
        let config = parse(&files, "/c", (8, 4), "/");
        let of = effective(&config, Some(&alice())).refusals;
        assert!(config.is_sound() && of.is_empty());
        assert!(!parse(&files, "/c", (9, 2), "/").is_sound());
        let command =
            "AuthorizedKeysCommandUser nobody\nMatch User alice\nAuthorizedKeysCommand keys\n";
        assert_eq!(refused(command, (8, 4)), [3]);
        assert_eq!(
            refused(&command.replace("keys\n", "/keys\n"), (8, 4)),
            [0u32; 0]
        );
    }

    #[test]
    fn none_empties_the_timeouts_outside_of_blocks() {
        let said = |text: &str, release| {
            let files = Memory::default().with("/c", text);
            effective(&parse(&files, "/c", release, "/"), Some(&alice()))
                .values("ChannelTimeout")
                .join("|")
        };
        assert_eq!(said("ChannelTimeout NONE\n", (9, 2)), "");
        assert_eq!(said("ChannelTimeout NONE\n", (10, 0)), "none");
        let block = "Match all\nChannelTimeout NONE\n";
        assert_eq!(said(block, (10, 0)), "NONE");
        assert_eq!(said("ChannelTimeout *=5\n", (9, 2)), "*=5");
    }

    #[test]
    fn listening_follows_ports_and_family() {
        let listen = |text: &str| {
            effective(&config(&[("/etc/ssh/sshd_config", text)]), None)
                .values("ListenAddress")
                .to_vec()
        };
        assert_eq!(
            listen("Port 22\nPort 2222\n"),
            ["[::]:22", "0.0.0.0:22", "[::]:2222", "0.0.0.0:2222"]
        );
        assert_eq!(
            listen("ListenAddress 192.0.2.1\nPort 23\nListenAddress [::1]:99\n"),
            ["192.0.2.1:23", "[::1]:99"]
        );
        assert_eq!(listen("AddressFamily inet\n"), ["0.0.0.0:22"]);
    }
}
