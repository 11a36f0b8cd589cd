//! From findings to changes: what `doctor --fix` would do, each step as data, shown as a diff before anybody does it.
//!
//! Pure: it reads through [`World`] and changes nothing. What may be changed at all stands in [`crate::catalog::fixes`].

use crate::addr::parse_ip;
use crate::catalog::fixes::{self, Fix, How};
use crate::catalog::keywords;
use crate::config::effective::effective;
use crate::config::parse::{Config, Level, Node, parse};
use crate::config::value::nearest;
use crate::config::{Files, Memory};
use crate::finding::Finding;
use crate::observation::Observation;
use crate::render::escape;
use crate::server::lift::lift;
use crate::server::modes::{Kind, Stat};
use serde::Serialize;

/// A cause is mended from here on: below it, it is a guess.
const SURE: f64 = 0.8;

/// What a plan needs to know of the machine.
pub trait World: Files {
    fn stat(&self, path: &str) -> Option<Stat>;
    /// Uid, primary gid and home of an account.
    fn account(&self, name: &str) -> Option<(u32, u32, String)>;
    /// Whether services can be started here: a machine that runs, with systemd.
    fn has_units(&self) -> bool;
    /// Whether fail2ban's server answers its client.
    fn has_fail2ban(&self) -> bool;
}

/// One change. Paths are absolute; modes are permission bits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "act")]
pub enum Act {
    /// Owner and mode of what exists.
    Access {
        path: String,
        before: (u32, u32, u32),
        after: (u32, u32, u32),
    },
    /// A whole new text for a file.
    Write {
        path: String,
        before: String,
        after: String,
    },
    Remove {
        path: String,
    },
    MakeDir {
        path: String,
        mode: u32,
    },
    /// A private host key of that type, and its public half beside it.
    MakeHostKey {
        path: String,
        kind: String,
    },
    /// A program, and the one that takes it back (empty: nothing can).
    Run {
        program: Vec<String>,
        undo: Vec<String>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Step {
    pub cause: &'static str,
    #[serde(flatten)]
    pub act: Act,
    pub why: String,
    pub risk: &'static str,
}

/// A cause that was found and is not mended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Left {
    pub cause: &'static str,
    pub why: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub left: Vec<Left>,
}

impl Plan {
    /// Every step as it would look in a patch. Nothing in it is for a terminal yet: escape when showing.
    pub fn diff(&self) -> String {
        self.steps.iter().map(|s| shown(&s.act)).collect()
    }

    /// Whether sshd has to read its configuration again.
    pub fn reloads(&self) -> bool {
        self.steps
            .iter()
            .any(|s| matches!(&s.act, Act::Write { .. } | Act::MakeHostKey { .. }))
    }
}

struct Planner<'a> {
    world: &'a dyn World,
    config: &'a Config,
    observations: &'a [Observation],
    user: Option<&'a str>,
    addr: Option<&'a str>,
    out: Plan,
}

/// What can be mended of what was found. `user` and `addr`: who cannot get in, and from where.
pub fn plan(
    world: &dyn World,
    config: &Config,
    findings: &[Finding],
    observations: &[Observation],
    user: Option<&str>,
    addr: Option<&str>,
) -> Plan {
    let mut planner = Planner {
        world,
        config,
        observations,
        user,
        addr,
        out: Plan::default(),
    };
    let mut starts = None;
    for finding in findings.iter().filter(|f| f.cause.is_some()) {
        let Some(row) = fixes::of(finding.slug) else {
            let why = "only a person can decide that: see its steps above";
            planner.leave(finding.slug, why);
            continue;
        };
        if finding.confidence < SURE {
            let why = format!(
                "not sure enough ({:.0} %, {:.0} % wanted)",
                finding.confidence * 100.0,
                SURE * 100.0
            );
            planner.leave(row.cause, why);
            continue;
        }
        let before = planner.out.steps.len();
        if let Err(why) = planner.mend(row) {
            planner.out.steps.truncate(before);
            planner.leave(row.cause, why);
            continue;
        }
        if row.starts {
            starts = starts.or(Some(row));
        }
    }
    if let Some(row) = starts {
        planner.start(row);
    }
    planner.out
}

impl Planner<'_> {
    fn leave(&mut self, cause: &'static str, why: impl Into<String>) {
        self.out.left.push(Left {
            cause,
            why: why.into(),
        });
    }

    fn step(&mut self, row: &Fix, act: Act, why: impl Into<String>) {
        if self.out.steps.iter().any(|s| s.act == act) {
            return;
        }
        self.out.steps.push(Step {
            cause: row.cause,
            act,
            why: why.into(),
            risk: row.risk,
        });
    }

    fn seen(&self, key: &str) -> Vec<Observation> {
        self.observations
            .iter()
            .filter(|o| o.key == key)
            .cloned()
            .collect()
    }

    fn access(&mut self, row: &Fix, stat: &Stat, after: (u32, u32, u32), why: &str) {
        let before = (stat.mode, stat.uid, stat.gid);
        if before != after {
            let path = stat.path.clone();
            self.step(
                row,
                Act::Access {
                    path,
                    before,
                    after,
                },
                why,
            );
        }
    }

    fn mend(&mut self, row: &'static Fix) -> Result<(), String> {
        match row.how {
            How::TightenKeys => self.tighten_keys(row),
            How::TightenHostKeys => {
                for o in self.seen("sshd.hostkeys") {
                    let Some(s) = self.world.stat(&o.about).filter(|s| s.kind == Kind::File) else {
                        continue;
                    };
                    let after = (s.mode & !0o077, 0, 0);
                    self.access(row, &s, after, "a private key is its owner's alone");
                }
                self.any(row, "no host key was named")
            }
            How::MakeHostKeys => {
                let keys = effective(self.config, None).values("HostKey").to_vec();
                for path in keys.iter().filter(|k| self.world.stat(k).is_none()) {
                    let kind = ["ed25519", "ecdsa", "rsa"]
                        .into_iter()
                        .find(|t| path.ends_with(&format!("ssh_host_{t}_key")));
                    let Some(kind) = kind else {
                        return Err(format!("the name of {path} does not say its type"));
                    };
                    let act = Act::MakeHostKey {
                        path: path.clone(),
                        kind: kind.to_owned(),
                    };
                    self.step(row, act, format!("sshd is told to use {path}"));
                }
                self.any(row, "every host key exists")
            }
            How::MakePrivsep => {
                let path = "/run/sshd";
                match self.world.stat(path) {
                    Some(s) if s.kind == Kind::Dir => {
                        let after = (s.mode & !0o022, 0, 0);
                        self.access(
                            row,
                            &s,
                            after,
                            "sshd wants it root's, written by nobody else",
                        );
                    }
                    Some(_) => return Err(format!("{path} is no folder")),
                    None => self.step(
                        row,
                        Act::MakeDir {
                            path: path.to_owned(),
                            mode: 0o755,
                        },
                        "sshd locks itself into it before it speaks",
                    ),
                }
                self.any(row, "the folder is in order")
            }
            How::RemoveNologin => {
                for path in ["/etc/nologin", "/run/nologin", "/var/run/nologin"] {
                    // /var/run is /run: one step is enough.
                    let same = path.starts_with("/var/run") && !self.out.steps.is_empty();
                    if self.world.stat(path).is_some_and(|s| s.kind == Kind::File) && !same {
                        let act = Act::Remove {
                            path: path.to_owned(),
                        };
                        self.step(row, act, "while it is there, only root may log in");
                    }
                }
                self.any(row, "the file is gone already")
            }
            How::MendKeyword => self.mend_keyword(row),
            How::AddSftp => self.add_sftp(row),
            How::Unmask => {
                for o in self
                    .seen("unit.state")
                    .iter()
                    .filter(|o| o.value == "masked")
                {
                    self.systemctl(row, "unmask", "mask", &o.about)?;
                }
                self.any(row, "no masked unit was named")
            }
            // The step itself comes last, once for all.
            How::Start => match self.world.has_units() {
                true => Ok(()),
                false => Err("there is no systemd here to start it with".to_owned()),
            },
            How::Unban => self.unban(row),
        }
    }

    fn any(&self, row: &Fix, nothing: &str) -> Result<(), String> {
        match self.out.steps.iter().any(|s| s.cause == row.cause) {
            true => Ok(()),
            false => Err(nothing.to_owned()),
        }
    }

    fn tighten_keys(&mut self, row: &'static Fix) -> Result<(), String> {
        let Some((uid, gid, home)) = self.user.and_then(|u| self.world.account(u)) else {
            return Err("say whose login it is: --user".to_owned());
        };
        let home = home.trim_end_matches('/').to_owned();
        for o in self.seen("keys.modes") {
            let within = o.about == home || o.about.starts_with(&format!("{home}/"));
            // The one that was named, and the usual ones beside it, or sshd only objects to the next.
            let mut paths = vec![o.about.clone()];
            if within && !home.is_empty() {
                for more in [
                    "",
                    "/.ssh",
                    "/.ssh/authorized_keys",
                    "/.ssh/authorized_keys2",
                ] {
                    paths.push(format!("{home}{more}"));
                }
            }
            paths.dedup();
            for path in paths {
                let Some(s) = self.world.stat(&path) else {
                    continue;
                };
                if s.uid != 0 && s.uid != uid {
                    return Err(format!(
                        "{path} belongs to account {}, who may have put keys there: look at it first",
                        s.uid
                    ));
                }
                let unreadable = path == o.about && o.value == "unreadable";
                let (u, g) = match unreadable && s.uid == 0 && within {
                    true => (uid, gid),
                    false => (s.uid, s.gid),
                };
                let mut mode = s.mode & !0o022;
                if unreadable && u == uid {
                    mode |= if s.kind == Kind::Dir { 0o700 } else { 0o600 };
                }
                self.access(
                    row,
                    &s,
                    (mode, u, g),
                    "StrictModes wants it written by its owner alone",
                );
            }
        }
        self.any(row, "the log names no path, and the files are in order now")
    }

    fn write(
        &mut self,
        row: &'static Fix,
        path: &str,
        after: String,
        why: String,
    ) -> Result<(), String> {
        // A second change to a file goes on from the first.
        let earlier = self.out.steps.iter_mut().find_map(|s| match &mut s.act {
            Act::Write { path: p, after, .. } if p == path => Some(after),
            _ => None,
        });
        if let Some(text) = earlier {
            *text = after;
            return Ok(());
        }
        let before = self.world.read(path)?;
        if before.contains('\u{fffd}') {
            return Err(format!(
                "{path} is not all UTF-8: it could not be written back as it was"
            ));
        }
        let act = Act::Write {
            path: path.to_owned(),
            before,
            after,
        };
        self.step(row, act, why);
        Ok(())
    }

    fn text(&self, path: &str) -> Result<String, String> {
        let planned = self.out.steps.iter().find_map(|s| match &s.act {
            Act::Write { path: p, after, .. } if p == path => Some(after.clone()),
            _ => None,
        });
        planned.map_or_else(|| self.world.read(path), Ok)
    }

    /// Every error of the configuration must be a misspelt keyword with one near name: else nothing is touched.
    fn mend_keyword(&mut self, row: &'static Fix) -> Result<(), String> {
        let errors: Vec<_> = self
            .config
            .diagnostics
            .iter()
            .filter(|d| d.level == Level::Error)
            .cloned()
            .collect();
        if errors.is_empty() {
            return Err(
                "our own reading finds no error in the files: see what sshd -t says".to_owned(),
            );
        }
        for d in &errors {
            let place = self.config.place(d.pos);
            let line = self.config.line(d.pos).to_owned();
            let word: String = line
                .chars()
                .skip(d.pos.column as usize - 1)
                .take(d.pos.width as usize)
                .collect();
            let candidates = keywords::ROWS
                .iter()
                .filter(|k| k.known_in(self.config.release))
                .map(|k| k.name);
            let meant = d
                .message
                .starts_with("Bad configuration option")
                .then(|| nearest(&word, candidates))
                .flatten();
            let Some(meant) = meant else {
                return Err(format!(
                    "{place}: {}: what was meant is not for us to guess",
                    d.message
                ));
            };
            let path = self.config.source(d.pos.file).to_owned();
            let text = self.text(&path)?;
            let column = d.pos.column as usize - 1;
            let mended: Vec<String> = text
                .split('\n')
                .enumerate()
                .map(|(i, l)| {
                    if i + 1 != d.pos.line as usize {
                        return l.to_owned();
                    }
                    let head: String = l.chars().take(column).collect();
                    let tail: String = l.chars().skip(column + d.pos.width as usize).collect();
                    format!("{head}{meant}{tail}")
                })
                .collect();
            self.write(
                row,
                &path,
                mended.join("\n"),
                format!("{word} is {meant} misspelt ({place})"),
            )?;
        }
        self.sound()
    }

    fn add_sftp(&mut self, row: &'static Fix) -> Result<(), String> {
        let path = self.config.source(0).to_owned();
        let text = self.text(&path)?;
        let first_match = self.config.body.nodes.iter().find_map(|n| match n {
            Node::Match(m) => Some(m.pos.line as usize),
            _ => None,
        });
        let mut lines: Vec<&str> = text.split('\n').collect();
        let last = if text.ends_with('\n') {
            lines.len() - 1
        } else {
            lines.len()
        };
        let at = first_match.map_or(last, |n| n - 1).min(lines.len());
        lines.insert(at, "Subsystem sftp internal-sftp");
        let mut after = lines.join("\n");
        if !after.ends_with('\n') {
            after.push('\n');
        }
        self.write(
            row,
            &path,
            after,
            "sftp and scp ask for it by that name".to_owned(),
        )?;
        self.sound()
    }

    /// Reads the planned files as sshd would: what is not sound is not offered.
    fn sound(&self) -> Result<(), String> {
        let mut memory = Memory::default();
        for (i, source) in self.config.sources.iter().enumerate() {
            let text = self.text(&source.name)?;
            memory = memory.with(self.config.source(i), &text);
        }
        let again = parse(&memory, self.config.source(0), self.config.release, "/");
        match again.diagnostics.iter().find(|d| d.level == Level::Error) {
            None => Ok(()),
            Some(d) => Err(format!(
                "{}: {} would be left",
                again.place(d.pos),
                d.message
            )),
        }
    }

    fn systemctl(
        &mut self,
        row: &'static Fix,
        verb: &str,
        undo: &str,
        unit: &str,
    ) -> Result<(), String> {
        if !self.world.has_units() {
            return Err("there is no systemd here".to_owned());
        }
        let words = |verb: &str| ["systemctl", verb, unit].map(str::to_owned).to_vec();
        let act = Act::Run {
            program: words(verb),
            undo: words(undo),
        };
        self.step(row, act, format!("systemd's unit {unit}"));
        Ok(())
    }

    fn start(&mut self, row: &'static Fix) {
        let runs = self
            .observations
            .iter()
            .any(|o| o.key == "sshd.process" && o.value != "none");
        let unit = self
            .observations
            .iter()
            .find(|o| o.key == "unit.state")
            .map(|o| o.about.clone());
        if let (false, Some(unit)) = (runs, unit) {
            // Only what is not sound where we are is left out here, and that was said already.
            let _ = self.systemctl(row, "start", "stop", &unit);
        }
    }

    /// What a ban tool that is gone left in the packet filter.
    fn lift(&self, addr: &str) -> Option<(Vec<String>, Vec<String>)> {
        let ip = parse_ip(addr.as_bytes())?;
        let bans = self.observations.iter().filter(|o| o.key == "fw.ban");
        bans.filter_map(|o| {
            let rule = o.text.strip_prefix(&o.about)?.strip_prefix(": ")?;
            let rule = rule.rsplit_once(" (it answers").map_or(rule, |(r, _)| r);
            lift(&o.about, rule, &o.source, ip)
        })
        .next()
    }

    fn unban(&mut self, row: &'static Fix) -> Result<(), String> {
        let Some(addr) = self.addr.filter(|a| parse_ip(a.as_bytes()).is_some()) else {
            return Err("say which address: --from".to_owned());
        };
        let bans = self
            .observations
            .iter()
            .filter(|o| matches!(o.key.as_str(), "fw.ban" | "ban.log" | "route.return"));
        let text: String = bans
            .map(|o| format!("{} {} {}\n", o.text, o.about, o.source))
            .collect();
        let text = text.to_ascii_lowercase();
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let fail2bans = text.contains("f2b") || text.contains("fail2ban");
        let (program, undo) = if fail2bans && !self.world.has_fail2ban() {
            self.lift(addr).ok_or_else(|| {
                "fail2ban does not run, and what it left does not say what to take out: start it, or delete the rule by its handle"
                    .to_owned()
            })?
        } else if fail2bans {
            (
                words(&["fail2ban-client", "set", "sshd", "unbanip", addr]),
                words(&["fail2ban-client", "set", "sshd", "banip", addr]),
            )
        } else if text.contains("crowdsec") {
            (
                words(&["cscli", "decisions", "delete", "--ip", addr]),
                words(&[
                    "cscli",
                    "decisions",
                    "add",
                    "--ip",
                    addr,
                    "--reason",
                    "sshwhy took its fix back",
                ]),
            )
        } else {
            return Err(
                "the rule that bans it is nobody's that we know: see its steps above".to_owned(),
            );
        };
        self.step(row, Act::Run { program, undo }, format!("{addr} is banned"));
        Ok(())
    }
}

fn shown(act: &Act) -> String {
    let line = |s: (u32, u32, u32)| format!("mode {:04o} owner {}:{}", s.0, s.1, s.2);
    match act {
        Act::Access {
            path,
            before,
            after,
        } => format!(
            "--- {path}\n+++ {path}\n-{}\n+{}\n",
            line(*before),
            line(*after)
        ),
        Act::Write {
            path,
            before,
            after,
        } => unified(path, before, after),
        Act::Remove { path } => format!("--- {path}\n+++ /dev/null\n-(the file)\n"),
        Act::MakeDir { path, mode } => {
            format!("--- /dev/null\n+++ {path}/\n+{}\n", line((*mode, 0, 0)))
        }
        Act::MakeHostKey { path, kind } => {
            format!(
                "--- /dev/null\n+++ {path}\n+(a new {kind} key, {})\n",
                line((0o600, 0, 0))
            )
        }
        Act::Run { program, .. } => {
            let words: Vec<_> = program
                .iter()
                .map(|w| escape::shell_word(w).unwrap_or_else(|| w.as_str().into()))
                .collect();
            format!("$ {}\n", words.join(" "))
        }
    }
}

/// A unified diff of one hunk, with three lines of context: from the first line that differs to the last one.
pub fn unified(path: &str, before: &str, after: &str) -> String {
    const CONTEXT: usize = 3;
    if before == after {
        return String::new();
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let rest = a.len().min(b.len()) - same;
    let tail = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count()
        .min(rest);
    let from = same.saturating_sub(CONTEXT);
    let (end_a, end_b) = (a.len() - tail, b.len() - tail);
    let more = tail.min(CONTEXT);
    let count = |end: usize| end + more - from;
    let start = |n: usize| if n == 0 { 0 } else { from + 1 };
    let (na, nb) = (count(end_a), count(end_b));
    let mut out = format!(
        "--- {path}\n+++ {path}\n@@ -{},{na} +{},{nb} @@\n",
        start(na),
        start(nb)
    );
    let mut add = |mark: char, lines: &[&str]| {
        for l in lines {
            out.push_str(&format!("{mark}{l}\n"));
        }
    };
    add(' ', a.get(from..same).unwrap_or_default());
    add('-', a.get(same..end_a).unwrap_or_default());
    add('+', b.get(same..end_b).unwrap_or_default());
    add(' ', a.get(end_a..end_a + more).unwrap_or_default());
    out
}
