//! What other programs of a host log about things that were done on it: commands with more rights, new accounts, groups, passwords,
//! crontabs. `trace` reads them to say what was done right after a login; nothing else does.
//!
//! One row a deed, with each wording that says it. Everything outside braces is matched to the letter; a slot ends where the literal
//! behind it stands first, and the last one takes the rest.
//!
//! | slot | matches | is |
//! |---|---|---|
//! | `{user}` | one word | who did it |
//! | `{what}` | free text | what was done, or to what |
//! | `{to}` | one word | with whose rights, or into which group |
//! | `{*}` | free text, or nothing | |

/// Whether a deed keeps a way in for whoever did it, or gives more rights for good.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lasting {
    No,
    Yes,
    /// Where the group in `{to}` is one of [`GROUPS`].
    Group,
    /// Where the command in `{what}` is of those that [`KEEPS`] or [`PLACES`] name.
    Command,
}

/// What kind of deed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum What {
    /// A command that ran with the rights of `{to}`.
    Command,
    /// A session as `{to}`.
    Became,
    /// Something was changed on the host.
    Change,
    /// sshd started a shell, a command or a subsystem; its rows are those of the messages.
    Session,
}

/// One deed of the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deed {
    pub slug: &'static str,
    /// Names under which the line's own tag must stand.
    pub programs: &'static [&'static str],
    pub texts: &'static [&'static str],
    pub what: What,
    pub lasting: Lasting,
    /// Said behind the program's name: `made the account {what}`.
    pub says: &'static str,
    /// A text (after `sudo[pid]: `) that is this deed.
    pub example: &'static str,
    /// One that looks like it and is not.
    pub near_miss: &'static str,
}

/// Who is in one of these does on the host what they like.
pub const GROUPS: &[&str] = &[
    "admin", "disk", "docker", "lxd", "root", "shadow", "sudo", "wheel",
];

/// Programs that change who may log in, or what runs by itself.
pub const KEEPS: &[&str] = &[
    "adduser",
    "chpasswd",
    "crontab",
    "gpasswd",
    "newusers",
    "passwd",
    "ssh-copy-id",
    "useradd",
    "usermod",
    "vipw",
    "visudo",
];

/// How those of [`KEEPS`] are called that change nothing.
pub const LOOKS: &[(&str, &str)] = &[("crontab", "-l"), ("passwd", "-S"), ("visudo", "-c")];

/// Programs that only read what they are given.
pub const READS: &[&str] = &[
    "cat",
    "diff",
    "du",
    "file",
    "grep",
    "head",
    "less",
    "ls",
    "md5sum",
    "more",
    "sha256sum",
    "stat",
    "tail",
    "wc",
    "zcat",
    "zgrep",
];

/// Programs that run others: what decides stands somewhere in their arguments.
pub const RUNS: &[&str] = &[
    "bash", "dash", "doas", "env", "nice", "nohup", "sh", "sudo", "timeout", "xargs", "zsh",
];

/// Files that decide who may log in, too; a command that names one, and does not only read, is taken for one that writes it.
pub const PLACES: &[&str] = &[
    ".ssh/",
    "/etc/cron",
    "/etc/group",
    "/etc/ld.so.preload",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/ssh/sshd_config",
    "/etc/sudoers",
    "/etc/systemd/system",
    "/var/spool/cron",
    "authorized_keys",
];

pub const ROWS: &[Deed] = &[
    Deed {
        slug: "sudo-command",
        programs: &["sudo"],
        // What refused somebody has its reason between the name and the first of these.
        texts: &[
            "{user} : TTY={*} ; USER={to} ; COMMAND={what}",
            "{user} : TTY={*} ; USER={to} ; {*}COMMAND={what}",
            "{user} : PWD={*} ; USER={to} ; {*}COMMAND={what}",
            "{user} : HOST={*} ; USER={to} ; {*}COMMAND={what}",
        ],
        what: What::Command,
        lasting: Lasting::Command,
        says: "ran {what} as {to}",
        example: "   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id",
        near_miss: "   alice : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id",
    },
    Deed {
        slug: "doas-command",
        programs: &["doas"],
        // The command may hold ` as root from `, so it is not cut there.
        texts: &["{user} ran command {what}"],
        what: What::Command,
        lasting: Lasting::Command,
        says: "ran {what}",
        example: "alice ran command id as root from /home/alice",
        near_miss: "failed auth for alice",
    },
    Deed {
        slug: "pkexec-command",
        programs: &["pkexec"],
        texts: &["{user}: Executing command [USER={to}] [{*} [COMMAND={what}"],
        what: What::Command,
        lasting: Lasting::Command,
        says: "ran {what} as {to}",
        example: "alice: Executing command [USER=root] [TTY=/dev/pts/0] [CWD=/home/alice] [COMMAND=/usr/bin/id]",
        near_miss: "alice: Error executing command as another user: Not authorized [USER=root] [TTY=/dev/pts/0] [CWD=/] [COMMAND=/usr/bin/id]",
    },
    Deed {
        slug: "su",
        programs: &["su"],
        texts: &[
            "(to {to}) {user} on {*}",
            "Successful su for {to} by {user}",
            "pam_unix(su:session): session opened for user {to}(uid={*}) by {user}(uid={*}",
            "pam_unix(su:session): session opened for user {to} by {user}(uid={*}",
            "pam_unix(su-l:session): session opened for user {to}(uid={*}) by {user}(uid={*}",
            "pam_unix(su-l:session): session opened for user {to} by {user}(uid={*}",
        ],
        what: What::Became,
        lasting: Lasting::No,
        says: "opened a session as {to}",
        example: "pam_unix(su-l:session): session opened for user root(uid=0) by alice(uid=1000)",
        near_miss: "FAILED SU (to root) alice on pts/0",
    },
    Deed {
        slug: "account-made",
        programs: &["useradd", "newusers"],
        texts: &["new user: name={what}, UID={*}"],
        what: What::Change,
        lasting: Lasting::Yes,
        says: "made the account {what}",
        example: "new user: name=mallory, UID=1002, GID=1002, home=/home/mallory, shell=/bin/bash, from=/dev/pts/1",
        near_miss: "failed adding user 'mallory', exit code: 9",
    },
    Deed {
        slug: "group-joined",
        programs: &["useradd", "usermod", "gpasswd", "newusers"],
        texts: &[
            "add '{what}' to group '{to}'",
            "user {what} added by {user} to group {to}",
        ],
        what: What::Change,
        lasting: Lasting::Group,
        says: "put {what} into the group {to}",
        example: "add 'mallory' to group 'sudo'",
        near_miss: "delete 'mallory' from group 'sudo'",
    },
    Deed {
        slug: "uid-changed",
        programs: &["usermod"],
        texts: &["change user '{what}' UID from '{*}' to '{to}'"],
        what: What::Change,
        lasting: Lasting::Yes,
        says: "gave {what} the number {to}",
        example: "change user 'mallory' UID from '1002' to '0'",
        near_miss: "change user 'mallory' shell from '/bin/sh' to '/bin/bash'",
    },
    Deed {
        slug: "password-changed",
        programs: &["passwd", "chpasswd", "usermod", "newusers"],
        texts: &[
            "pam_unix({*}:chauthtok): password changed for {what}",
            "password for '{what}' changed by '{user}'",
            "change user '{what}' password",
            "unlock user '{what}' password",
        ],
        what: What::Change,
        lasting: Lasting::Yes,
        says: "changed the password of {what}",
        example: "pam_unix(passwd:chauthtok): password changed for root",
        near_miss: "pam_unix(passwd:chauthtok): authentication failure; logname=alice uid=1000 euid=0 tty=pts/0 ruser= rhost=  user=alice",
    },
    Deed {
        slug: "account-removed",
        programs: &["userdel"],
        texts: &["delete user '{what}'"],
        what: What::Change,
        lasting: Lasting::No,
        says: "removed the account {what}",
        example: "delete user 'alice'",
        near_miss: "user alice is currently used by process 812",
    },
    Deed {
        slug: "group-made",
        programs: &["groupadd"],
        texts: &[
            "new group: name={what}, GID={*}",
            "group added to /etc/group: name={what}, GID={*}",
        ],
        what: What::Change,
        lasting: Lasting::No,
        says: "made the group {what}",
        example: "new group: name=deploy, GID=1003",
        near_miss: "group added to /etc/gshadow: name=deploy",
    },
    Deed {
        slug: "crontab-replaced",
        programs: &["crontab"],
        texts: &["({user}) REPLACE ({what})"],
        what: What::Change,
        lasting: Lasting::Yes,
        says: "replaced the crontab of {what}",
        example: "(alice) REPLACE (alice)",
        near_miss: "(alice) LIST (alice)",
    },
    Deed {
        slug: "crontab-edited",
        programs: &["crontab"],
        texts: &["({user}) BEGIN EDIT ({what})"],
        what: What::Change,
        lasting: Lasting::No,
        says: "opened the crontab of {what}",
        example: "(root) BEGIN EDIT (root)",
        near_miss: "(root) END EDIT (root)",
    },
    Deed {
        slug: "crontab-removed",
        programs: &["crontab"],
        texts: &["({user}) DELETE ({what})"],
        what: What::Change,
        lasting: Lasting::No,
        says: "removed the crontab of {what}",
        example: "(alice) DELETE (alice)",
        near_miss: "(alice) RELOAD (crontabs/alice)",
    },
];

/// What sshd says of a session's kind: its messages' slugs, and what it started.
pub const SESSION: Deed = Deed {
    slug: "session-kind",
    programs: &["sshd"],
    texts: &[],
    what: What::Session,
    lasting: Lasting::No,
    says: "started a {what}",
    example: "",
    near_miss: "",
};

/// Slugs of the messages that say which kind of session began.
pub const SESSIONS: &[(&str, &str)] = &[
    ("starting-shell", "shell"),
    ("starting-command", "command"),
    ("starting-forced-command", "forced command"),
    ("starting-subsystem", "subsystem"),
    ("starting-session", "session of another kind"),
];

/// Whether any row is about lines of this program.
pub fn program(ident: &[u8]) -> Option<&'static str> {
    // Short names with a few first letters: most programs are told apart by one byte.
    if !matches!(
        ident.first(),
        Some(b's' | b'u' | b'd' | b'p' | b'g' | b'n' | b'c')
    ) {
        return None;
    }
    ROWS.iter()
        .flat_map(|row| row.programs)
        .copied()
        .find(|p| p.as_bytes() == ident)
}
