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
    /// The access control list, where there is one beyond the mode.
    pub acl: Option<Acl>,
}

/// An access control list (acl(5)), as far as it lets somebody in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Acl {
    /// `(uid, bits)`.
    pub users: Vec<(u32, u32)>,
    /// `(gid, bits)`; the owning group stands first, with its gid unknown here.
    pub groups: Vec<(Option<u32>, u32)>,
    pub mask: u32,
}

impl Acl {
    /// The extended attribute `system.posix_acl_access`: version 2, then tag, permissions and id of each entry
    /// (linux/posix_acl_xattr.h). `None` where it is none, or says no more than the mode.
    pub fn parse(bytes: &[u8]) -> Option<Acl> {
        let (head, entries) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*head) != 2 {
            return None;
        }
        let mut acl = Acl {
            mask: 7,
            ..Acl::default()
        };
        let mut more = false;
        for entry in entries.chunks_exact(8) {
            let short = |i: usize| {
                let pair = [entry.get(i), entry.get(i + 1)];
                u32::from(pair[0].copied().unwrap_or(0))
                    | u32::from(pair[1].copied().unwrap_or(0)) << 8
            };
            let (tag, bits, id) = (short(0), short(2) & 7, short(4) | short(6) << 16);
            more |= matches!(tag, 2 | 8);
            match tag {
                2 => acl.users.push((id, bits)),
                4 => acl.groups.insert(0, (None, bits)),
                8 => acl.groups.push((Some(id), bits)),
                16 => acl.mask = bits,
                _ => {}
            }
        }
        more.then_some(acl)
    }

    /// What it says of somebody who does not own the file; `None` where it does not speak of them.
    fn bits(&self, uid: u32, gids: &[u32], group: u32, bit: u32) -> Option<bool> {
        if let Some((_, bits)) = self.users.iter().find(|(u, _)| *u == uid) {
            return Some(bits & self.mask & bit != 0);
        }
        let mut mine = self
            .groups
            .iter()
            .filter(|(g, _)| gids.contains(&g.unwrap_or(group)))
            .peekable();
        mine.peek()?;
        Some(mine.any(|(_, bits)| bits & self.mask & bit != 0))
    }
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
        if s.uid != uid
            && let Some(acl) = &s.acl
            && let Some(may) = acl.bits(uid, gids, s.gid, bit)
        {
            return may;
        }
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
            acl: None,
        })
        .collect()
    }

    const GOOD: (u32, u32, u32) = (0o700, 2001, 2001);

    fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut out = 2u32.to_le_bytes().to_vec();
        for (tag, bits, id) in entries {
            out.extend(tag.to_le_bytes());
            out.extend(bits.to_le_bytes());
            out.extend(id.to_le_bytes());
        }
        out
    }

    #[test]
    fn an_access_control_list_gives_and_takes() {
        // getfacl: user::rw-, user:2001:r--, group::---, group:50:r--, mask::r--, other::---
        let whole = acl(&[
            (1, 6, !0),
            (2, 4, 2001),
            (4, 0, !0),
            (8, 4, 50),
            (16, 4, !0),
            (32, 0, !0),
        ]);
        let list = Acl::parse(&whole).unwrap();
        let file = |acl: Option<Acl>| {
            let mut s = path([(0o640, 0, 0), GOOD, GOOD]);
            s[0].acl = acl;
            s
        };
        let blocked = |s: &[Stat], uid, gids: &[u32]| unreadable(s, uid, gids).is_some();
        assert!(blocked(&file(None), 2001, &[2001]));
        assert!(!blocked(&file(Some(list.clone())), 2001, &[2001]));
        // A mask without r takes it from everybody but the owner.
        let masked = Acl { mask: 0, ..list };
        assert!(blocked(&file(Some(masked)), 2001, &[2001]));
        // A list that says no more than the mode is none, and neither is anything else.
        assert_eq!(
            Acl::parse(&acl(&[(1, 6, !0), (4, 4, !0), (32, 4, !0)])),
            None
        );
        assert_eq!(Acl::parse(&[]), None);
        assert_eq!(Acl::parse(&[9; 40]), None);
        assert!(Acl::parse(whole.get(..21).unwrap()).is_some());
    }

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
