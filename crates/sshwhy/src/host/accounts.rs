//! Accounts: who exists, with which groups, shell and home, and what shadow says of the password.

use super::machine::Machine;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    /// As in passwd; empty means /bin/sh.
    pub shell: String,
    /// Names, primary first.
    pub groups: Vec<String>,
    pub gids: Vec<u32>,
    pub shadow: Option<Shadow>,
    /// `/etc/passwd`, or the name service that knows it.
    pub source: &'static str,
}

/// shadow(5); days since 1970.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shadow {
    pub hash: String,
    pub last: Option<i64>,
    pub max: Option<i64>,
    pub inactive: Option<i64>,
    pub expire: Option<i64>,
}

impl Shadow {
    /// No password can be right.
    pub fn is_locked(&self) -> bool {
        self.hash.starts_with(['!', '*'])
    }

    pub fn is_empty(&self) -> bool {
        self.hash.is_empty()
    }
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

fn passwd_line(line: &str) -> Option<Account> {
    let [name, _, uid, gid, _, home, shell, ..] = fields(line)[..] else {
        return None;
    };
    Some(Account {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
        shell: shell.trim_end().to_owned(),
        source: "/etc/passwd",
        ..Account::default()
    })
}

/// Every account of /etc/passwd, groups filled in.
pub fn all(machine: &Machine) -> Vec<Account> {
    let passwd = machine.text("/etc/passwd").unwrap_or_default();
    let group = machine.text("/etc/group").unwrap_or_default();
    let shadow = machine.text("/etc/shadow").ok();
    let mut out: Vec<Account> = passwd.lines().filter_map(passwd_line).collect();
    for a in &mut out {
        fill(a, &group, shadow.as_deref());
    }
    out
}

fn fill(a: &mut Account, group: &str, shadow: Option<&str>) {
    for line in group.lines() {
        let [name, _, gid, members, ..] = fields(line)[..] else {
            continue;
        };
        let Ok(gid) = gid.parse::<u32>() else {
            continue;
        };
        if gid == a.gid {
            a.groups.insert(0, name.to_owned());
            a.gids.insert(0, gid);
        } else if members.trim_end().split(',').any(|m| m == a.name) {
            a.groups.push(name.to_owned());
            a.gids.push(gid);
        }
    }
    let prefix = format!("{}:", a.name);
    let line = shadow.and_then(|s| s.lines().find(|l| l.starts_with(&prefix)));
    a.shadow = line.map(|l| {
        let f = fields(l);
        let day = |i: usize| f.get(i).and_then(|d| d.trim().parse().ok());
        Shadow {
            hash: f.get(1).copied().unwrap_or_default().to_owned(),
            last: day(2),
            max: day(4),
            inactive: day(6),
            expire: day(7),
        }
    });
}

/// The line of nsswitch.conf(5) that says who is asked about accounts, `file:line: text`.
pub fn name_services(machine: &Machine) -> Option<String> {
    let file = "/etc/nsswitch.conf";
    let text = machine.text(file).ok()?;
    let mut lines = text.lines().enumerate();
    let (i, line) = lines.find(|(_, l)| l.trim_start().starts_with("passwd:"))?;
    let line = line.split('#').next().unwrap_or_default().trim();
    Some(format!("{file}:{}: {line}", i + 1))
}

/// Whether programs that ask for an account get what stands in /etc/passwd.
pub fn reads_files(machine: &Machine) -> bool {
    // Without a line for it, libc asks the files.
    let Some(line) = name_services(machine) else {
        return true;
    };
    let asked = line.rsplit("passwd:").next().unwrap_or_default();
    asked
        .split_ascii_whitespace()
        .any(|w| matches!(w, "files" | "compat" | "altfiles" | "extrausers"))
}

/// The account of that name: from the files, else from the machine's name service.
pub fn find(machine: &Machine, name: &str) -> Option<Account> {
    if reads_files(machine)
        && let Some(a) = all(machine).into_iter().find(|a| a.name == name)
    {
        return Some(a);
    }
    if name.is_empty() || name.starts_with('-') {
        return None;
    }
    let answer = machine.ask("getent-passwd", "getent", &["passwd", "--", name])?;
    let mut a = answer
        .out
        .lines()
        .find_map(passwd_line)
        .filter(|_| answer.ok)?;
    a.source = "name service";
    let group = machine.text("/etc/group").unwrap_or_default();
    let shadow = machine.text("/etc/shadow").ok();
    fill(&mut a, &group, shadow.as_deref());
    if let Some(ids) = machine.ask("id-groups", "id", &["-Gn", "--", name])
        && ids.ok
    {
        a.groups = ids
            .out
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect();
    }
    Some(a)
}

/// Whether the group's only member is the owner: what Debian's sshd asks before it forgives group write permission.
pub fn is_private_group(accounts: &[Account], machine: &Machine, gid: u32, uid: u32) -> bool {
    let group = machine.text("/etc/group").unwrap_or_default();
    let mut members = 0;
    for a in accounts.iter().filter(|a| a.gid == gid) {
        if a.uid != uid {
            return false;
        }
        members += 1;
    }
    for line in group.lines() {
        let [_, _, g, names, ..] = fields(line)[..] else {
            continue;
        };
        if g.parse() != Ok(gid) {
            continue;
        }
        for name in names.trim_end().split(',').filter(|n| !n.is_empty()) {
            match accounts.iter().find(|a| a.name == name) {
                Some(a) if a.uid == uid => members += 1,
                Some(_) => return false,
                None => {}
            }
        }
    }
    members > 0
}
