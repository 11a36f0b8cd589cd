//! Would a container of this image take an SSH login? Judged from facts that either the image itself or its Dockerfile gives.
//!
//! Containers lack what a machine has for sshd without anybody thinking of it: systemd makes /run/sshd, the package's script
//! makes host keys that differ from machine to machine, and somebody starts the daemon and keeps it running.

pub mod dockerfile;

use crate::catalog::lints::{self, Lint};
use crate::config::Memory;
use crate::config::effective::effective;
use crate::config::parse::parse;
use crate::finding::{Evidence, Finding};
use crate::plan::unified;
use dockerfile::{Dockerfile, Instruction, Words};

/// Something that was seen, and where (`Dockerfile:3`, `/etc/ssh/…`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    pub place: String,
    pub text: String,
}

impl Seen {
    pub fn new(place: impl Into<String>, text: impl Into<String>) -> Seen {
        Seen {
            place: place.into(),
            text: text.into(),
        }
    }
}

/// What is known of an image. `None`: not known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Where sshd comes from.
    pub sshd: Option<Option<Seen>>,
    /// Private host keys that lie in a layer, in one that a later layer hides too.
    pub baked: Vec<Seen>,
    /// Host keys are there when sshd starts, from the image.
    pub has_keys: Option<bool>,
    pub privsep: Option<bool>,
    /// What a container runs: entrypoint and command, and what the script says that it runs.
    pub start: Vec<Seen>,
    /// The same as words, where it is no shell's text.
    pub start_text: String,
    pub exposed: Vec<String>,
    pub ports: Vec<u16>,
    pub user: Option<Seen>,
    /// UsePAM is on, and this line requires pam_loginuid.
    pub loginuid: Option<Seen>,
    pub passwords: Vec<Seen>,
    /// An image of systemd's own or the like starts what is enabled.
    pub has_init: bool,
}

fn finding(slug: &str, seen: &[Seen], note: Option<String>) -> Option<Finding> {
    let row: &Lint = lints::by_slug(slug)?;
    let files = seen.iter().map(|s| s.place.clone());
    let lines = seen.iter().map(|s| Evidence {
        source: s.place.clone(),
        at: None,
        text: s.text.clone(),
    });
    let notes = note.into_iter().collect();
    let mut finding = row.finding(
        row.title.to_owned(),
        files.collect(),
        lines.collect(),
        notes,
    );
    finding.evidence.truncate(12);
    Some(finding)
}

/// What stands in the way of a login to a container, and what is unsafe about it. Best first.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut say =
        |slug: &str, seen: &[Seen], note: Option<String>| out.extend(finding(slug, seen, note));
    let start = facts.start_text.as_str();
    let made = start.contains("ssh-keygen");
    match &facts.sshd {
        None => say("image-base-unknown", &[], None),
        Some(None) => say("image-without-sshd", &[], None),
        Some(Some(_)) => {}
    }
    say_if(
        &mut say,
        !facts.passwords.is_empty(),
        "image-password-baked",
        &facts.passwords,
    );
    say_if(
        &mut say,
        !facts.baked.is_empty(),
        "image-host-keys-baked",
        &facts.baked,
    );
    if !matches!(facts.sshd, Some(None)) {
        let runs = runs_sshd(start);
        if runs.is_none() && !facts.has_init {
            // With a base that is not known, its entrypoint may start it.
            if facts.sshd.is_some() || !facts.start.is_empty() {
                say("image-sshd-not-started", &facts.start, None);
            }
        } else if runs == Some(false) {
            say("image-sshd-in-background", &facts.start, None);
        }
        say_if(
            &mut say,
            facts.has_keys == Some(false) && !made && runs.is_some(),
            "image-host-keys-missing",
            &[],
        );
        let makes_dir = start.contains("/run/sshd");
        say_if(
            &mut say,
            facts.privsep == Some(false) && !makes_dir && !facts.has_init,
            "image-privsep-missing",
            &[],
        );
        let exposed = |p: &u16| {
            facts
                .exposed
                .iter()
                .any(|e| e.split('/').next() == Some(&p.to_string()))
        };
        if !facts.ports.is_empty() && !facts.ports.iter().any(exposed) && facts.sshd.is_some() {
            let ports: Vec<String> = facts.ports.iter().map(u16::to_string).collect();
            let note = format!(
                "sshd listens on {}; exposed: {}",
                ports.join(", "),
                list(&facts.exposed)
            );
            say("image-port-not-exposed", &[], Some(note));
        }
        if let Some(user) = &facts.user
            && !matches!(user.text.split(':').next(), Some("root" | "0" | ""))
        {
            say("image-user-not-root", std::slice::from_ref(user), None);
        }
        say_if(
            &mut say,
            facts.loginuid.is_some(),
            "image-loginuid",
            facts.loginuid.as_slice(),
        );
    }
    out.sort_by(Finding::order);
    out
}

fn say_if(
    say: &mut impl FnMut(&str, &[Seen], Option<String>),
    so: bool,
    slug: &str,
    seen: &[Seen],
) {
    if so {
        say(slug, seen, None);
    }
}

fn list(words: &[String]) -> String {
    match words.is_empty() {
        true => "nothing".to_owned(),
        false => words.join(", "),
    }
}

/// Whether the text starts sshd: in the foreground (`true`), in the background, or not at all.
fn runs_sshd(text: &str) -> Option<bool> {
    let mut found = None;
    for command in text.split(['\n', ';', '&', '|']) {
        let command = command.trim().trim_start_matches("exec ").trim();
        if command.starts_with('#') {
            continue;
        }
        let mut words = command.split_whitespace().skip_while(|w| {
            w.contains('=')
                || matches!(
                    *w,
                    "exec" | "sudo" | "tini" | "dumb-init" | "--" | "sh" | "-c" | "gosu" | "root"
                )
                || w.ends_with("/tini")
                || w.ends_with("/dumb-init")
                || w.ends_with("/sh")
                || w.ends_with("/bash")
        });
        let Some(program) = words.next() else {
            continue;
        };
        let program = program.trim_matches(['"', '\'']);
        let args: Vec<&str> = words.collect();
        let is_sshd = program == "sshd" || program.ends_with("/sshd");
        let supervised = ["supervisord", "s6-svscan", "runsvdir", "/init", "systemd"]
            .iter()
            .any(|s| {
                program == *s || program.ends_with(&format!("/{}", s.trim_start_matches('/')))
            });
        if supervised {
            return Some(true);
        }
        if is_sshd && !args.iter().any(|a| matches!(*a, "-t" | "-T" | "-V")) {
            let stays = args.iter().any(|a| {
                a.starts_with('-')
                    && !a.starts_with("--")
                    && a.trim_matches(['"', '\'']).contains(['D', 'd'])
                    && !a.starts_with("-o")
            });
            // In the background it does no harm where something else stays.
            if stays {
                return Some(true);
            }
            found = Some(false);
        } else if matches!(program, "service" | "rc-service")
            && args.first().is_some_and(|a| a.starts_with("ssh"))
        {
            found = Some(false);
        } else if found == Some(false) && !matches!(program, "echo" | "true" | "set" | ":" | "exit")
        {
            found = Some(true);
        }
    }
    found
}

/// What a Dockerfile says of the image.
pub fn from_dockerfile(d: &Dockerfile, name: &str) -> Facts {
    let instructions = d.final_instructions();
    let at = |i: &Instruction| format!("{name}:{}", i.lines.0);
    let seen = |i: &Instruction| Seen::new(at(i), format!("{} {}", i.name, i.words.text()));
    let runs: Vec<(&Instruction, String)> = instructions
        .iter()
        .filter(|i| i.name == "RUN")
        .map(|i| {
            (
                *i,
                format!("{}\n{}", i.words.text(), i.documents.join("\n")),
            )
        })
        .collect();
    let mut facts = Facts::default();
    let base = d.base().to_ascii_lowercase();
    let installs = |text: &str| {
        let words = text.contains("openssh-server") || text.contains("openssh");
        let manager = [
            "apt-get",
            "apt ",
            "apk ",
            "dnf ",
            "yum ",
            "microdnf ",
            "zypper ",
            "pacman ",
        ];
        words && manager.iter().any(|m| text.contains(m))
    };
    let installed = runs.iter().find(|(_, t)| installs(t));
    let plain = [
        "debian",
        "ubuntu",
        "alpine",
        "fedora",
        "rockylinux",
        "almalinux",
        "centos",
        "busybox",
        "scratch",
        "archlinux",
        "opensuse/leap",
    ];
    let short = base.rsplit('/').next().unwrap_or_default();
    let stem = short.split([':', '@']).next().unwrap_or_default();
    let is_plain = plain
        .iter()
        .any(|p| *p == stem || *p == base.split(':').next().unwrap_or_default());
    facts.sshd = match (installed, is_plain) {
        (Some((i, _)), _) => Some(Some(seen(i))),
        (None, true) => Some(None),
        (None, false) => None,
    };
    let debian = installed.is_some_and(|(_, t)| t.contains("apt"));
    for (i, text) in &runs {
        let removes = text.contains("rm ") && text.contains("/etc/ssh/ssh_host");
        let makes = text.contains("ssh-keygen")
            && (text.contains("-A") || text.contains("/etc/ssh/ssh_host"));
        let by_package = debian && installs(text);
        if (makes || by_package) && !removes {
            let mut s = seen(i);
            if by_package && !makes {
                s.text
                    .push_str(" (the package makes host keys when it is installed)");
            }
            facts.baked.push(s);
        }
        if text.contains("chpasswd")
            || text.contains("passwd --stdin")
            || text.contains("usermod -p")
            || text.contains("useradd -p")
        {
            // The password itself is not repeated.
            facts
                .passwords
                .push(Seen::new(at(i), "RUN … sets a password"));
        }
    }
    for i in instructions
        .iter()
        .filter(|i| matches!(i.name.as_str(), "COPY" | "ADD"))
    {
        let text = i.words.text();
        if text.contains("ssh_host_") && !text.contains(".pub") {
            facts.baked.push(seen(i));
        }
    }
    let removed_later = runs
        .iter()
        .any(|(_, t)| t.contains("rm ") && t.contains("/etc/ssh/ssh_host"));
    facts.has_keys = facts
        .sshd
        .as_ref()
        .map(|_| !facts.baked.is_empty() && !removed_later);
    let makes_dir = |(_, t): &(&Instruction, String)| {
        t.contains("/run/sshd") && (t.contains("mkdir") || t.contains("install"))
    };
    facts.privsep = debian.then(|| runs.iter().any(makes_dir));
    let mut entry: Option<&Instruction> = None;
    let mut command: Option<&Instruction> = None;
    for i in &instructions {
        match i.name.as_str() {
            // A new entrypoint forgets the command of the base.
            "ENTRYPOINT" => entry = Some(i),
            "CMD" => command = Some(i),
            "EXPOSE" => facts
                .exposed
                .extend(i.words.text().split_whitespace().map(str::to_owned)),
            "USER" => facts.user = Some(Seen::new(at(i), i.words.text())),
            _ => {}
        }
    }
    let only_exec = |i: &Instruction| matches!(i.words, Words::Exec(_));
    // A shell's text as entrypoint takes no command.
    let command = command.filter(|_| entry.is_none_or(only_exec));
    facts.start = entry.iter().chain(&command).map(|i| seen(i)).collect();
    facts.start_text = entry
        .iter()
        .chain(&command)
        .map(|i| i.words.text())
        .collect::<Vec<_>>()
        .join(" ");
    // A script that the file itself writes is known; one that is copied is not.
    for i in instructions
        .iter()
        .filter(|i| i.name == "COPY" && !i.documents.is_empty())
    {
        let target = i.words.text();
        let target = target
            .split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned();
        if !target.is_empty() && facts.start_text.contains(&target) {
            facts.start_text.push('\n');
            facts.start_text.push_str(&i.documents.join("\n"));
        }
    }
    facts.has_init =
        facts.start_text.contains("/sbin/init") || facts.start_text.contains("systemd");
    facts.ports = ports(
        &facts.start_text,
        &runs
            .iter()
            .map(|(_, t)| t.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
    );
    facts
}

/// `-p 2222` of the start, `Port 2222` that a step writes, or sshd's own default.
fn ports(start: &str, steps: &str) -> Vec<u16> {
    let mut out = Vec::new();
    let mut words = start.split_whitespace();
    while let Some(w) = words.next() {
        let value = match w.strip_prefix("-p") {
            Some("") => words.next(),
            Some(v) => Some(v),
            None => w.strip_prefix("-oPort="),
        };
        out.extend(value.and_then(|v| v.trim_matches(['"', '\'']).parse::<u16>().ok()));
    }
    if out.is_empty() {
        for (i, _) in steps.match_indices("Port ") {
            let before = steps.get(..i).and_then(|s| s.chars().last());
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '#') {
                let digits: String = steps
                    .get(i + 5..)
                    .unwrap_or_default()
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                out.extend(digits.parse::<u16>().ok());
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    if out.is_empty() {
        out.push(22);
    }
    out
}

/// The ports and UsePAM of an image's own sshd_config.
pub fn configured(files: &Memory) -> (Vec<u16>, bool) {
    let e = effective(&parse(files, "/etc/ssh/sshd_config", (9, 2), "/"), None);
    let ports = e
        .values("Port")
        .iter()
        .filter_map(|p| p.parse().ok())
        .collect();
    (ports, e.is("UsePAM", "yes"))
}

/// What to change in a Dockerfile, as a patch; what it cannot change is named. Passwords and users are left to people.
pub fn patch(text: &str, name: &str) -> (String, Vec<&'static str>) {
    let d = dockerfile::parse(text, &[]);
    let facts = from_dockerfile(&d, name);
    let findings = judge(&facts);
    let has = |slug: &str| findings.iter().any(|f| f.slug == slug);
    let mut left: Vec<&'static str> = Vec::new();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = d.stages.last().map(|s| &s.instructions);
    let Some(instructions) = last else {
        return (String::new(), findings.iter().map(|f| f.slug).collect());
    };
    let find = |n: &str| instructions.iter().rev().find(|i| i.name == n);
    // (line index to put it before, or to replace, lines replaced, text), from the end on.
    let mut edits: Vec<(usize, usize, Vec<String>)> = Vec::new();
    let (entry, command) = (find("ENTRYPOINT"), find("CMD"));
    let starter = entry.or(command);
    let before_start = starter.map_or(lines.len(), |i| i.lines.0 as usize - 1);
    let mut keygen = has("image-host-keys-missing");
    if has("image-host-keys-baked") {
        for i in instructions
            .iter()
            .filter(|i| i.name == "RUN" && i.documents.is_empty())
        {
            let is_baked = facts
                .baked
                .iter()
                .any(|s| s.place == format!("{name}:{}", i.lines.0));
            if let (true, Words::Shell(_), Some(line)) =
                (is_baked, &i.words, lines.get(i.lines.1 as usize - 1))
            {
                let line = format!("{line} \\");
                edits.push((
                    i.lines.1 as usize - 1,
                    1,
                    vec![
                        line,
                        "    && rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub"
                            .to_owned(),
                    ],
                ));
                keygen = true;
            }
        }
        if !keygen {
            left.push("image-host-keys-baked");
        }
    }
    if has("image-privsep-missing") {
        edits.push((before_start, 0, vec!["RUN mkdir -p /run/sshd".to_owned()]));
    }
    if has("image-port-not-exposed") {
        let ports: Vec<String> = facts.ports.iter().map(u16::to_string).collect();
        edits.push((before_start, 0, vec![format!("EXPOSE {}", ports.join(" "))]));
    }
    let (idle, background) = (
        has("image-sshd-not-started"),
        has("image-sshd-in-background"),
    );
    if keygen || idle || background {
        let options: Vec<String> = match starter.map(|i| &i.words) {
            Some(w) if runs_sshd(&w.text()).is_some() => w
                .text()
                .split_whitespace()
                .skip_while(|w| !w.ends_with("sshd"))
                .skip(1)
                .filter(|w| !matches!(*w, "-D" | "-e" | "-De" | "-eD"))
                .map(|w| w.trim_matches(['"', '\'']).to_owned())
                .collect(),
            _ => Vec::new(),
        };
        let plain = |w: &String| {
            w.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-=/._:".contains(c))
        };
        let simple = entry.is_none() && options.iter().all(plain) && (command.is_none() || !idle);
        if simple {
            let mut words = vec!["exec /usr/sbin/sshd -D -e".to_owned()];
            words.extend(options);
            let line = format!(
                "CMD [\"/bin/sh\", \"-c\", \"ssh-keygen -A && {}\"]",
                words.join(" ")
            );
            match command {
                Some(i) => edits.push((
                    i.lines.0 as usize - 1,
                    (i.lines.1 - i.lines.0) as usize + 1,
                    vec![line],
                )),
                None => edits.push((lines.len(), 0, vec![line])),
            }
        } else {
            left.push("image-sshd-not-started");
        }
    }
    for slug in [
        "image-password-baked",
        "image-user-not-root",
        "image-without-sshd",
        "image-base-unknown",
    ] {
        if has(slug) {
            left.push(lints::by_slug(slug).map_or("", |l| l.slug));
        }
    }
    edits.sort_by_key(|e| e.0);
    for (at, count, with) in edits.into_iter().rev() {
        let at = at.min(lines.len());
        let end = (at + count).min(lines.len());
        lines.splice(at..end, with);
    }
    let mut after = lines.join("\n");
    after.push('\n');
    (unified(name, text, &after), left)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn slugs(text: &str) -> Vec<&'static str> {
        let mut out: Vec<_> = judge(&from_dockerfile(
            &dockerfile::parse(text, &[]),
            "Dockerfile",
        ))
        .iter()
        .map(|f| f.slug)
        .collect();
        out.sort_unstable();
        out
    }

    const GOOD: &str = "FROM debian:12\nRUN apt-get update && apt-get install -y openssh-server \\\n    && rm -f /etc/ssh/ssh_host_*\nRUN mkdir -p /run/sshd\nEXPOSE 22\nCMD [\"/bin/sh\", \"-c\", \"ssh-keygen -A && exec /usr/sbin/sshd -D -e\"]\n";

    #[test]
    fn a_good_one_has_no_findings() {
        assert_eq!(slugs(GOOD), Vec::<&str>::new());
    }

    #[test]
    fn each_fault_is_found_by_itself() {
        for (from, to, want) in [
            (
                " \\\n    && rm -f /etc/ssh/ssh_host_*",
                "",
                "image-host-keys-baked",
            ),
            ("RUN mkdir -p /run/sshd\n", "", "image-privsep-missing"),
            ("EXPOSE 22\n", "EXPOSE 80\n", "image-port-not-exposed"),
            (" -D -e", "", "image-sshd-in-background"),
            ("ssh-keygen -A && ", "", "image-host-keys-missing"),
            (
                "exec /usr/sbin/sshd -D -e",
                "exec nginx",
                "image-sshd-not-started",
            ),
            ("openssh-server", "curl", "image-without-sshd"),
            (
                "EXPOSE 22\n",
                "EXPOSE 22\nRUN echo root:x | chpasswd\n",
                "image-password-baked",
            ),
            (
                "EXPOSE 22\n",
                "EXPOSE 22\nUSER app\n",
                "image-user-not-root",
            ),
            ("debian:12", "company/base:3", "none"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD);
            let found = slugs(&text);
            match want {
                "none" => assert!(found.is_empty(), "{found:?}"),
                want => assert!(found.contains(&want), "{want}: {found:?}\n{text}"),
            }
        }
        assert_eq!(
            slugs("FROM company/base\nCMD [\"/usr/sbin/sshd\", \"-D\"]\n"),
            ["image-base-unknown"]
        );
    }

    #[test]
    fn the_patch_leaves_nothing_to_find() {
        let bad = "FROM debian:12\nRUN apt-get update && apt-get install -y openssh-server\nCMD [\"/usr/sbin/sshd\", \"-p\", \"22\"]\n";
        let (diff, left) = patch(bad, "Dockerfile");
        assert!(left.is_empty(), "{left:?}");
        for line in [
            "+    && rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub",
            "+RUN mkdir -p /run/sshd",
            "+EXPOSE 22",
        ] {
            assert!(diff.contains(line), "{line}\n{diff}");
        }
        let after: String = diff
            .lines()
            .filter(|l| {
                !l.starts_with("---")
                    && !l.starts_with("+++")
                    && !l.starts_with("@@")
                    && !l.starts_with('-')
            })
            .map(|l| format!("{}\n", &l[1..]))
            .collect();
        assert_eq!(slugs(&after), Vec::<&str>::new(), "{after}");
        assert_eq!(patch(GOOD, "Dockerfile").0, "");
    }

    #[test]
    fn a_daemon_in_the_background_is_told_from_one_that_stays() {
        for (text, want) in [
            ("/usr/sbin/sshd -D", Some(true)),
            ("/usr/sbin/sshd", Some(false)),
            ("service ssh start && tail -f /dev/null", Some(true)),
            ("service ssh start", Some(false)),
            ("nginx -g daemon off;", None),
            ("/usr/sbin/sshd -t", None),
            ("/usr/bin/supervisord -n", Some(true)),
            ("/bin/sh -c exec /usr/sbin/sshd -De", Some(true)),
        ] {
            assert_eq!(runs_sshd(text), want, "{text}");
        }
    }
}
