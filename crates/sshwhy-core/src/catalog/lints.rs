//! What is questionable in a configuration: one row a lint, with how bad it is and what to do.

use crate::finding::{Evidence, Finding, Kind, Severity, Step, Subjects};

#[derive(Clone, Copy, Debug)]
pub struct Lint {
    /// `SW85…`; never changes, never reused.
    pub id: &'static str,
    pub slug: &'static str,
    pub severity: Severity,
    pub title: &'static str,
    pub advice: &'static str,
    pub reference: &'static str,
}

impl Lint {
    /// That it holds: `lines` are where, in `files`.
    pub fn finding(
        &self,
        headline: String,
        mut files: Vec<String>,
        lines: Vec<Evidence>,
        notes: Vec<String>,
    ) -> Finding {
        files.dedup();
        Finding {
            id: self.id,
            slug: self.slug,
            cause: None,
            kind: Kind::Lint,
            severity: self.severity,
            confidence: 1.0,
            hostile: false,
            headline,
            subjects: Subjects {
                files,
                ..Subjects::default()
            },
            first: None,
            last: None,
            count: lines.len().max(1) as u64,
            evidence: lines,
            notes,
            remedy: vec![Step {
                action: self.advice.to_owned(),
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            }],
            refs: vec![self.reference],
        }
    }
}

const fn lint(
    id: &'static str,
    slug: &'static str,
    severity: Severity,
    title: &'static str,
    advice: &'static str,
    reference: &'static str,
) -> Lint {
    Lint {
        id,
        slug,
        severity,
        title,
        advice,
        reference,
    }
}

use Severity::{Critical, High, Low, Medium};

pub const ROWS: &[Lint] = &[
    lint(
        "SW8501",
        "config-error",
        High,
        "sshd does not start with this line",
        "Correct the line, then: sshd -t",
        "sshd_config(5)",
    ),
    lint(
        "SW8502",
        "config-ignored",
        Low,
        "sshd reads the line and does nothing with it",
        "Take the line out",
        "sshd_config(5)",
    ),
    lint(
        "SW8503",
        "config-never-counts",
        Medium,
        "An earlier line decides: this one never counts",
        "Change the line that wins, or move this one before it: the first value of a keyword wins, in the order in which files are read",
        "sshd_config(5)",
    ),
    lint(
        "SW8504",
        "match-swallows",
        Medium,
        "The line stands in a Match block, and looks as if it were meant for everybody",
        "Move it above the first Match, or put \"Match all\" before it: indentation means nothing, and a block ends at the next Match or at the end of the file",
        "sshd_config(5) Match",
    ),
    lint(
        "SW8505",
        "nobody-can-log-in",
        Critical,
        "No method of authentication is left: nobody can log in",
        "Switch one method on, and keep this session open until another login has worked",
        "sshd_config(5) AuthenticationMethods",
    ),
    lint(
        "SW8506",
        "methods-unreachable",
        Critical,
        "AuthenticationMethods wants a method that is switched off",
        "Enable the method or take it out of AuthenticationMethods",
        "sshd_config(5) AuthenticationMethods",
    ),
    lint(
        "SW8507",
        "no-keys-anywhere",
        Critical,
        "Passwords are off, and no account has a key: nobody can log in",
        "Install a key first, try it, then switch passwords off",
        "sshd_config(5) PasswordAuthentication",
    ),
    lint(
        "SW8508",
        "list-with-commas",
        High,
        "The words of this list are parted by blanks; with commas it is one pattern that fits nobody",
        "Put blanks instead of commas",
        "sshd_config(5) AllowUsers",
    ),
    lint(
        "SW8509",
        "list-fits-nobody",
        High,
        "Nobody on this machine is on the list",
        "Add the accounts that should be able to log in",
        "sshd_config(5) AllowUsers",
    ),
    lint(
        "SW8510",
        "keys-file-shared",
        Medium,
        "Every account reads the same file of keys",
        "Put %u or %h into the path, unless the accounts are meant to share keys",
        "sshd_config(5) AuthorizedKeysFile",
    ),
    lint(
        "SW8511",
        "strict-modes-off",
        Medium,
        "Keys count even where others can write the file",
        "Set StrictModes yes and mend the modes that it complains about",
        "sshd_config(5) StrictModes",
    ),
    lint(
        "SW8512",
        "empty-passwords",
        Critical,
        "Accounts without a password can log in without one",
        "Set PermitEmptyPasswords no",
        "sshd_config(5) PermitEmptyPasswords",
    ),
    lint(
        "SW8513",
        "root-by-password",
        Medium,
        "root can log in with a password",
        "Set PermitRootLogin prohibit-password, or no",
        "sshd_config(5) PermitRootLogin",
    ),
    lint(
        "SW8514",
        "weak-algorithms",
        Medium,
        "Algorithms are offered that are no longer held to be secure",
        "Take them out of the list, after a look at which clients still use them",
        "sshd_config(5) Ciphers",
    ),
    lint(
        "SW8515",
        "log-level-low",
        Medium,
        "Failed logins are not logged",
        "Set LogLevel INFO or VERBOSE",
        "sshd_config(5) LogLevel",
    ),
    lint(
        "SW8516",
        "grace-time-unbounded",
        Medium,
        "Connections may stay unauthenticated for ever and hold their slots",
        "Set LoginGraceTime 60",
        "sshd_config(5) LoginGraceTime",
    ),
    lint(
        "SW8517",
        "limit-very-low",
        Medium,
        "A limit is so low that it stops ordinary logins",
        "Raise it",
        "sshd_config(5)",
    ),
    lint(
        "SW8518",
        "sftp-missing",
        Low,
        "No sftp subsystem: sftp, and scp of OpenSSH 9 and later, do not work",
        "Subsystem sftp internal-sftp",
        "sshd_config(5) Subsystem",
    ),
    lint(
        "SW8519",
        "one-host-key-rsa-sha1",
        Medium,
        "The host key can be signed with SHA-1 only: clients since OpenSSH 8.8 refuse it",
        "Take HostKeyAlgorithms out, or add rsa-sha2-512 and an Ed25519 host key",
        "sshd_config(5) HostKeyAlgorithms",
    ),
    lint(
        "SW8520",
        "time-suspicious",
        Low,
        "The time looks like another unit than the one sshd takes: bare numbers are seconds",
        "Say the unit: 2m, 1h",
        "sshd_config(5) TIME FORMATS",
    ),
    lint(
        "SW8521",
        "passwords-still-on",
        Medium,
        "Passwords still work: keyboard-interactive asks for them through PAM",
        "Set KbdInteractiveAuthentication no as well, once a login by key has worked",
        "sshd_config(5) KbdInteractiveAuthentication",
    ),
    lint(
        "SW8522",
        "name-without-dns",
        Medium,
        "The client is known by its address only while UseDNS is off: a name fits nobody",
        "Name addresses or networks instead, or set UseDNS yes",
        "sshd_config(5) UseDNS",
    ),
    lint(
        "SW8523",
        "token-unknown",
        High,
        "sshd does not know this %-token, and ends every connection that needs it",
        "Use the tokens of the manual, and write %% for a percent sign",
        "sshd_config(5) TOKENS",
    ),
    lint(
        "SW8524",
        "tilde-is-root",
        High,
        "~ is the home of root here, for every account",
        "Leave it away: a relative path is taken from the home of the account, as %h is",
        "sshd_config(5) AuthorizedKeysFile",
    ),
    lint(
        "SW8525",
        "listens-on-loopback-only",
        High,
        "sshd listens on addresses of this machine only: nobody reaches it from elsewhere",
        "Take the line out, or name an address that others reach; for every address: 0.0.0.0 and ::",
        "sshd_config(5) ListenAddress",
    ),
    lint(
        "SW8526",
        "alive-never-ends",
        Low,
        "A connection whose peer has gone is never ended: since 8.2 a count of 0 switches that off",
        "Set ClientAliveCountMax 3",
        "sshd_config(5) ClientAliveCountMax",
    ),
    lint(
        "SW8527",
        "algorithms-none",
        Critical,
        "The list is empty: no client finds an algorithm in common",
        "Take the line out, or leave one algorithm in",
        "sshd_config(5) Ciphers",
    ),
    lint(
        "SW8528",
        "match-never",
        Medium,
        "No account of this machine fits the block: its lines never count",
        "Correct the name, or take the block out",
        "sshd_config(5) Match",
    ),
    lint(
        "SW8529",
        "no-account-gets-in",
        Critical,
        "Nobody on this machine can log in with this configuration",
        "Keep this session open, and let one account in before sshd is restarted",
        "sshd_config(5)",
    ),
    lint(
        "SW8530",
        "subsystem-crash",
        High,
        "sshd of 9.5 to 10.0 crashes where a block defines a subsystem and none stands outside of blocks",
        "Define one outside of blocks too: Subsystem sftp internal-sftp",
        "sshd_config(5) Subsystem",
    ),
    lint(
        "SW8551",
        "image-without-sshd",
        High,
        "There is no sshd in the image",
        "Install openssh-server, or use `docker exec` and no SSH at all",
        "sshd(8)",
    ),
    lint(
        "SW8552",
        "image-sshd-not-started",
        High,
        "A container of this image does not start sshd",
        "CMD [\"/usr/sbin/sshd\", \"-D\", \"-e\"], or have the entrypoint end with it",
        "sshd(8) -D",
    ),
    lint(
        "SW8553",
        "image-sshd-in-background",
        High,
        "sshd goes to the background, and the container ends with its first process",
        "Start it with -D (and -e, so that its log is the container's)",
        "sshd(8) -D",
    ),
    lint(
        "SW8554",
        "image-host-keys-baked",
        High,
        "The host keys are part of the image: whoever has the image can pose as each of its containers",
        "Remove them in the step that made them, and make new ones when a container starts (ssh-keygen -A), best onto a volume",
        "ssh-keygen(1) -A",
    ),
    lint(
        "SW8555",
        "image-host-keys-missing",
        High,
        "There are no host keys in the image and nothing makes them at the start: sshd does not start",
        "Have the entrypoint run ssh-keygen -A before sshd, or mount the keys",
        "ssh-keygen(1) -A",
    ),
    lint(
        "SW8556",
        "image-privsep-missing",
        High,
        "/run/sshd is missing, and nothing makes it: Debian's sshd does not start",
        "RUN mkdir -p /run/sshd (systemd makes it elsewhere; containers have none)",
        "sshd(8) FILES",
    ),
    lint(
        "SW8557",
        "image-port-not-exposed",
        Low,
        "The port of sshd is not exposed",
        "EXPOSE 22, and publish it when the container is started",
        "sshd_config(5) Port",
    ),
    lint(
        "SW8558",
        "image-loginuid",
        Medium,
        "UsePAM is on and pam_loginuid is required: a login ends at once where the container may not set the audit id",
        "session optional pam_loginuid.so in /etc/pam.d/sshd",
        "pam_loginuid(8)",
    ),
    lint(
        "SW8559",
        "image-password-baked",
        High,
        "A password is written into the image",
        "Use keys, or give the password when the container is started; then change it, since the image keeps every layer",
        "docker-build(1)",
    ),
    lint(
        "SW8560",
        "image-user-not-root",
        Medium,
        "The container does not run as root: sshd can then log in nobody but that user, and needs keys and a port of its own",
        "USER root before sshd is started, or a port from 1024 on and host keys that the user can read",
        "sshd(8)",
    ),
    lint(
        "SW8561",
        "image-base-unknown",
        Low,
        "What the base image brings is not known from the Dockerfile",
        "Build it, and look at the image: docker save IMAGE | sshwhy doctor --image -",
        "docker-save(1)",
    ),
];

/// The row of that slug.
pub fn by_slug(slug: &str) -> Option<&'static Lint> {
    ROWS.iter().find(|l| l.slug == slug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_and_slugs_are_unique() {
        let mut seen = HashSet::new();
        for l in ROWS {
            assert!(l.id.starts_with("SW85") && l.id.len() == 6);
            assert!(seen.insert(l.id) && seen.insert(l.slug), "{}", l.slug);
            assert!(!l.title.is_empty() && !l.advice.is_empty());
        }
    }
}
