//! What a configuration comes to for one connection, and which lines decided it.
//!
//! As servconf.c: a first pass over everything outside Match blocks, then one over the blocks that match; what the second
//! sets replaces what the first set. Within a pass the first value of a keyword wins, or they add up, as the keyword says.

use super::parse::{Body, Config, Criterion, Directive, MatchLine, Node, Pos, Test};
use super::parts;
use super::pattern::{self, Verdict};
use super::value::listen_parts;
use crate::addr::parse_ip;
use crate::catalog::keywords::{self, Keyword, Kind, Repeat};
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
    pub lost: Vec<Lost>,
}

#[derive(Clone, Debug)]
pub struct Effective {
    /// In the order of the catalogue.
    pub settings: Vec<Setting>,
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

    /// The lines of `sshd -T`.
    pub fn dump(&self) -> Vec<String> {
        let mut out = Vec::new();
        for s in self.settings.iter().filter(|s| s.keyword.printed) {
            let name = s.keyword.name.to_ascii_lowercase();
            // sshd prints the null pointer that it keeps for this one.
            let null = |v: &str| s.keyword.name == "HostCertificate" && v == "none";
            out.extend(s.values.iter().map(|v| match null(v) {
                true => format!("{name} (null)"),
                false => format!("{name} {v}"),
            }));
        }
        out
    }
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
    connection: Option<&'a Connection>,
    sets: Sets<'a>,
    lost: Vec<(&'a Directive, Why)>,
}

impl<'a> Pass<'a> {
    fn walk(&mut self, body: &'a Body, mut active: bool, mut flag: Flag, outer: Option<Pos>) {
        let mut block = outer;
        for node in &body.nodes {
            match node {
                Node::Match(line) => {
                    let fits = match flag {
                        Flag::Never => false,
                        _ => line.all || self.connection.is_some_and(|c| fits(line, c)),
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

    fn set(&mut self, d: &'a Directive, active: bool, block: Option<Pos>) {
        if !active {
            if let Some(at) = block.or(d.block) {
                self.lost.push((d, Why::NotMatched(at)));
            }
            return;
        }
        if self.connection.is_some() && !d.keyword.in_match {
            return;
        }
        // servconf.c looks at the wrong pointer here: behind an AuthorizedKeysCommand this one never counts.
        if d.keyword.name == "AuthorizedPrincipalsCommand"
            && self.sets.contains_key("AuthorizedKeysCommand")
        {
            self.lost.push((d, Why::Earlier));
            return;
        }
        let before = self.sets.entry(d.keyword.name).or_default();
        match d.keyword.repeat {
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
pub fn fits(line: &MatchLine, c: &Connection) -> bool {
    line.all || line.criteria.iter().all(|t| holds(t, c))
}

fn holds(criterion: &Criterion, c: &Connection) -> bool {
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
        Test::Version => listed(&c.version, false),
        // Known only once a session is asked for: never at the time of authentication.
        Test::SessionType | Test::Command => false,
        Test::InvalidUser => c.invalid_user,
    }
}

/// The value of every keyword. Without a connection: what `sshd -T` says without `-C`.
pub fn effective(config: &Config, connection: Option<&Connection>) -> Effective {
    let mut global = Pass {
        connection: None,
        sets: Sets::new(),
        lost: Vec::new(),
    };
    global.walk(&config.body, true, Flag::None, None);
    let mut blocks = Pass {
        connection,
        sets: Sets::new(),
        lost: Vec::new(),
    };
    if connection.is_some() {
        blocks.walk(&config.body, false, Flag::MatchOnly, None);
    }
    let mut settings: Vec<Setting> = keywords::ROWS
        .iter()
        .filter(|k| k.known_in(config.release))
        .map(|k| setting(config, k, &global, &blocks, connection.is_some()))
        .collect();
    listen(&mut settings);
    host_keys(&mut settings);
    Effective { settings }
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
        let (value, from) = parts::assemble(keyword.kind, default, &inner, &outer);
        let why = match keyword.kind {
            Kind::MaxStartups => Why::Later,
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
            // 9.2 empties the list at "none", outside of Match; from 9.3 on "none" is a value.
            let emptied = keyword.kind == Kind::ChannelTimeout && config.release < (9, 3);
            if emptied && matched.is_none() && out.values == ["none"] {
                out.values.clear();
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
            None if host == "*" => {
                for (v6, any) in [(true, "[::]"), (false, "0.0.0.0")] {
                    if allowed(v6) {
                        out.push(format!("{any}:{port}"));
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

fn host_keys(settings: &mut [Setting]) {
    if let Some(slot) = settings.iter_mut().find(|s| s.keyword.name == "HostKey")
        && slot.values.is_empty()
    {
        slot.values = ["rsa", "ecdsa", "ed25519"]
            .map(|t| format!("/etc/ssh/ssh_host_{t}_key"))
            .to_vec();
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
