//! Whether the lists of sshd_config let a user in, and by which methods (auth.c allowed_user(), auth2.c).

use super::effective::{Connection, Effective};
use super::parse::Pos;
use super::pattern::{self, Verdict};

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub groups: Vec<String>,
}

/// Why the lists keep somebody out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// `DenyUsers`, `AllowUsers`, `DenyGroups`, `AllowGroups`, `PermitRootLogin`, `RefuseConnection`.
    pub keyword: &'static str,
    /// The pattern that hit, for the Deny lists.
    pub pattern: Option<String>,
    /// The lines of the list.
    pub at: Vec<Pos>,
    pub values: Vec<String>,
}

fn group_hit(groups: &[String], patterns: &[String]) -> Option<String> {
    let one = |p: &String| {
        let verdicts: Vec<Verdict> = groups.iter().map(|g| pattern::list(g, p, false)).collect();
        !verdicts.contains(&Verdict::Never) && verdicts.contains(&Verdict::Yes)
    };
    patterns.iter().find(|p| one(p)).cloned()
}

/// The first list that refuses, in sshd's order. `None`: all agree.
pub fn refused(e: &Effective, account: &Account, c: &Connection) -> Option<Refusal> {
    let refusal = |keyword: &'static str, pattern: Option<String>| {
        let setting = e.of(keyword);
        Refusal {
            keyword,
            pattern,
            at: setting.map(|s| s.from.clone()).unwrap_or_default(),
            values: setting.map(|s| s.values.clone()).unwrap_or_default(),
        }
    };
    if e.is("RefuseConnection", "yes") {
        return Some(refusal("RefuseConnection", None));
    }
    let (host, addr) = (c.host.as_deref(), c.addr.as_deref());
    let user_hit = |patterns: &[String]| {
        let hit = |p: &&String| pattern::user_at_host(&account.name, host, addr, p);
        patterns.iter().find(hit).cloned()
    };
    if let Some(p) = user_hit(e.values("DenyUsers")) {
        return Some(refusal("DenyUsers", Some(p)));
    }
    let allowed = e.values("AllowUsers");
    if !allowed.is_empty() && user_hit(allowed).is_none() {
        return Some(refusal("AllowUsers", None));
    }
    if let Some(p) = group_hit(&account.groups, e.values("DenyGroups")) {
        return Some(refusal("DenyGroups", Some(p)));
    }
    let allowed = e.values("AllowGroups");
    if !allowed.is_empty() && group_hit(&account.groups, allowed).is_none() {
        return Some(refusal("AllowGroups", None));
    }
    if account.uid == 0 && e.is("PermitRootLogin", "no") {
        return Some(refusal("PermitRootLogin", None));
    }
    None
}

/// The methods that are switched on for the account, in the order sshd offers them.
pub fn methods(e: &Effective, account: &Account) -> Vec<&'static str> {
    let on = |k: &str| e.is(k, "yes");
    let root_by_key_only = account.uid == 0
        && matches!(
            e.value("PermitRootLogin"),
            "without-password" | "forced-commands-only"
        );
    let mut out = Vec::new();
    if on("PubkeyAuthentication") {
        out.push("publickey");
    }
    if on("PasswordAuthentication") && !root_by_key_only {
        out.push("password");
    }
    if on("KbdInteractiveAuthentication") && !root_by_key_only {
        out.push("keyboard-interactive");
    }
    if on("HostbasedAuthentication") {
        out.push("hostbased");
    }
    if on("GSSAPIAuthentication") {
        out.push("gssapi-with-mic");
    }
    out
}

/// The chains of AuthenticationMethods that the enabled methods can fulfil; `None`: any one method will do.
pub fn chains(e: &Effective, enabled: &[&str]) -> Option<Vec<String>> {
    let value = e.value("AuthenticationMethods");
    if value.is_empty() || value == "any" {
        return None;
    }
    let possible = |chain: &&str| {
        chain
            .split(',')
            .all(|m| enabled.contains(&m.split(':').next().unwrap_or_default()))
    };
    Some(
        value
            .split(' ')
            .filter(possible)
            .map(str::to_owned)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, effective::effective, parse::parse};
    use super::*;

    fn verdict(text: &str, name: &str, uid: u32) -> Option<&'static str> {
        let files = Memory::default().with("/c", text);
        let c = Connection {
            addr: Some("192.0.2.7".into()),
            host: Some("192.0.2.7".into()),
            user: Some(name.into()),
            ..Connection::default()
        };
        let account = Account {
            name: name.into(),
            uid,
            groups: vec![name.into(), "staff".into()],
        };
        let e = effective(&parse(&files, "/c", (9, 9), "/"), Some(&c));
        refused(&e, &account, &c).map(|r| r.keyword)
    }

    #[test]
    fn each_list_has_its_say_in_order() {
        assert_eq!(verdict("AllowUsers bob\n", "alice", 9), Some("AllowUsers"));
        assert_eq!(
            verdict("AllowUsers bob al*@192.0.2.0/24\n", "alice", 9),
            None
        );
        assert_eq!(
            verdict("AllowUsers alice@198.51.100.0/24\n", "alice", 9),
            Some("AllowUsers")
        );
        assert_eq!(
            verdict("AllowUsers alice\nDenyUsers a*\n", "alice", 9),
            Some("DenyUsers")
        );
        assert_eq!(
            verdict("DenyGroups staff\n", "alice", 9),
            Some("DenyGroups")
        );
        assert_eq!(
            verdict("DenyGroups stuff\nAllowGroups staff\n", "alice", 9),
            None
        );
        assert_eq!(
            verdict("AllowGroups wheel\n", "alice", 9),
            Some("AllowGroups")
        );
        assert_eq!(
            verdict("PermitRootLogin no\n", "root", 0),
            Some("PermitRootLogin")
        );
        assert_eq!(verdict("PermitRootLogin no\n", "alice", 9), None);
        assert_eq!(
            verdict(
                "Match Address 192.0.2.7\nRefuseConnection yes\n",
                "alice",
                9
            ),
            Some("RefuseConnection")
        );
    }
}
