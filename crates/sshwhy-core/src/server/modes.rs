//! StrictModes: whether sshd trusts a file, by owner and mode of it and of every folder up to the home (misc.c safe_path()).
//!
//! Debian's sshd forgives write permission for a group whose only member is the owner (its patch user-group-modes).

/// What stat(2) says, as far as it matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stat {
    pub path: String,
    /// Permission bits only.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    File,
    Dir,
    Other,
}

/// What is wrong with one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    NotRegular,
    /// It belongs neither to root nor to the user.
    Owner,
    /// Its group may write.
    GroupWrites,
    /// Everybody may write.
    OthersWrite,
}

impl Fault {
    pub fn text(self) -> &'static str {
        match self {
            Fault::NotRegular => "is no regular file",
            Fault::Owner => "belongs to somebody else than the user or root",
            Fault::GroupWrites => "is writable by its group",
            Fault::OthersWrite => "is writable by everybody",
        }
    }
}

/// The first of the components that sshd objects to: the file first, then its folders, ending with the home (or `/`).
///
/// `private_group`: whether the group (by gid) has the owner (by uid) as its only member; `None` where this sshd does not ask.
pub fn fault<'a>(
    components: &'a [Stat],
    uid: u32,
    home: &str,
    private_group: Option<&dyn Fn(u32, u32) -> bool>,
) -> Option<(&'a Stat, Fault)> {
    for (i, s) in components.iter().enumerate() {
        if i == 0 && s.kind != Kind::File {
            return Some((s, Fault::NotRegular));
        }
        if s.uid != 0 && s.uid != uid {
            return Some((s, Fault::Owner));
        }
        if s.mode & 0o002 != 0 {
            return Some((s, Fault::OthersWrite));
        }
        if s.mode & 0o020 != 0 && !private_group.is_some_and(|f| f(s.gid, s.uid)) {
            return Some((s, Fault::GroupWrites));
        }
        if i > 0 && s.path == home {
            break;
        }
    }
    None
}

/// The first component that keeps the user from opening the file: folders must be searchable, the file readable.
pub fn unreadable<'a>(components: &'a [Stat], uid: u32, gids: &[u32]) -> Option<&'a Stat> {
    if uid == 0 {
        return None;
    }
    let may = |s: &Stat, bit: u32| {
        let shift = if s.uid == uid {
            6
        } else if gids.contains(&s.gid) {
            3
        } else {
            0
        };
        s.mode >> shift & bit != 0
    };
    components
        .iter()
        .rev()
        .find(|s| !may(s, if s.kind == Kind::Dir { 1 } else { 4 }))
}

/// ChrootDirectory: every component must belong to root and be writable by nobody else (session.c safely_chroot()).
pub fn chroot_fault(components: &[Stat]) -> Option<(&Stat, &'static str)> {
    components.iter().find_map(|s| match s {
        s if s.uid != 0 => Some((s, "does not belong to root")),
        s if s.mode & 0o022 != 0 => Some((s, "is writable by others than root")),
        s if s.kind != Kind::Dir => Some((s, "is no folder")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(modes: [(u32, u32, u32); 3]) -> Vec<Stat> {
        [
            "/home/alice/.ssh/authorized_keys",
            "/home/alice/.ssh",
            "/home/alice",
        ]
        .iter()
        .zip(modes)
        .enumerate()
        .map(|(i, (p, (mode, uid, gid)))| Stat {
            path: (*p).to_owned(),
            mode,
            uid,
            gid,
            kind: if i == 0 { Kind::File } else { Kind::Dir },
        })
        .collect()
    }

    const GOOD: (u32, u32, u32) = (0o700, 2001, 2001);

    #[test]
    fn each_component_is_judged_and_the_first_named() {
        let of = |m| fault(&path(m), 2001, "/home/alice", None).map(|(s, f)| (s.path.clone(), f));
        assert_eq!(of([(0o600, 2001, 2001), GOOD, (0o755, 2001, 2001)]), None);
        assert_eq!(of([(0o644, 0, 0), GOOD, (0o755, 0, 0)]), None);
        assert_eq!(
            of([(0o666, 2001, 2001), (0o777, 2001, 2001), GOOD]),
            Some((
                "/home/alice/.ssh/authorized_keys".into(),
                Fault::OthersWrite
            ))
        );
        assert_eq!(
            of([(0o644, 2004, 2004), GOOD, GOOD]).map(|f| f.1),
            Some(Fault::Owner)
        );
        assert_eq!(
            of([(0o600, 2001, 2001), GOOD, (0o775, 2001, 2500)]),
            Some(("/home/alice".into(), Fault::GroupWrites))
        );
    }

    #[test]
    fn a_private_group_is_forgiven_where_sshd_forgives_it() {
        let stats = path([(0o664, 2001, 2001), GOOD, (0o775, 2001, 2001)]);
        let private = |gid: u32, uid: u32| gid == uid;
        assert_eq!(fault(&stats, 2001, "/home/alice", Some(&private)), None);
        assert!(fault(&stats, 2001, "/home/alice", None).is_some());
    }

    #[test]
    fn what_the_user_cannot_open_is_found() {
        let stats = path([(0o600, 0, 0), GOOD, GOOD]);
        assert_eq!(
            unreadable(&stats, 2001, &[2001]).map(|s| s.path.as_str()),
            Some("/home/alice/.ssh/authorized_keys")
        );
        let stats = path([(0o640, 0, 2001), GOOD, GOOD]);
        assert_eq!(unreadable(&stats, 2001, &[2001]), None);
        let stats = path([(0o600, 2001, 2001), (0o700, 0, 0), GOOD]);
        assert_eq!(
            unreadable(&stats, 2001, &[2001]).map(|s| s.path.as_str()),
            Some("/home/alice/.ssh")
        );
    }
}
