//! What clients print when a login fails, or on the way to it, and what people paste beside it (a ban tool's line, the packet
//! filter's, a cloud console's): one row a message, with the causes behind it.
//!
//! The template language is that of [`super::messages`]. Client texts come without an envelope, but with whatever wrapper
//! prints them in front (`debug1: `, `FATAL ERROR: `, `fatal: [web1]: UNREACHABLE! => …`): a row holds the message alone, and
//! `crate::transcript` takes the wrapping off. Trailing blanks are not part of a message.
//!
//! To add a message: a row in the file of its program with the next free id of that file's block; `example` must match it and
//! `near_miss` must not, which the tests check.

use super::causes::Gate;

mod java;
mod libraries;
mod machine;
mod more;
mod often;
mod openssh;
mod others;
mod python;
mod remote;
mod tools;
mod trace;
mod ways;
mod web;

/// Who prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Program {
    OpenSsh,
    Scp,
    Sftp,
    Rsync,
    Git,
    Ansible,
    VsCode,
    Putty,
    WinScp,
    /// golang.org/x/crypto/ssh and what is built on it: Terraform, Packer, …
    Go,
    Paramiko,
    Jsch,
    /// Apache MINA SSHD.
    Mina,
    LibSsh,
    LibSsh2,
    /// ssh2 for Node.js and what is built on it.
    NodeSsh2,
    Sshj,
    AsyncSsh,
    NetSsh,
    Php,
    Curl,
    LibGit2,
    Jenkins,
    Vagrant,
    Dbclient,
    Gcloud,
    Aws,
    Proxy,
    Borg,
    Mosh,
    Autossh,
    Sshfs,
    /// libkrb5 and the GSSAPI, through either side's ssh.
    Kerberos,
    /// nss_ldap and its like, through sshd.
    NameService,
    Fail2ban,
    Sshguard,
    Kernel,
    SeTroubleshoot,
    /// Windows itself, or its sshd's own additions.
    Windows,
    /// A router's or a switch's own SSH, either side.
    Device,
    /// systemctl and its like, on the server's console.
    Systemctl,
    /// A program on the server, on the client's terminal: PAM, a login shell, a hosting service.
    Remote,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::OpenSsh => "ssh",
            Program::Scp => "scp",
            Program::Sftp => "sftp",
            Program::Rsync => "rsync",
            Program::Git => "git",
            Program::Ansible => "Ansible",
            Program::VsCode => "VS Code",
            Program::Putty => "PuTTY",
            Program::WinScp => "WinSCP",
            Program::Go => "Go's ssh library",
            Program::Paramiko => "paramiko",
            Program::Jsch => "JSch",
            Program::Mina => "Apache MINA SSHD",
            Program::LibSsh => "libssh",
            Program::LibSsh2 => "libssh2",
            Program::NodeSsh2 => "ssh2 for Node.js",
            Program::Sshj => "sshj",
            Program::AsyncSsh => "asyncssh",
            Program::NetSsh => "net-ssh",
            Program::Php => "PHP",
            Program::Curl => "curl",
            Program::LibGit2 => "libgit2",
            Program::Jenkins => "Jenkins",
            Program::Vagrant => "Vagrant",
            Program::Dbclient => "dbclient",
            Program::Gcloud => "gcloud",
            Program::Aws => "aws",
            Program::Proxy => "the proxy program",
            Program::Borg => "borg",
            Program::Mosh => "mosh",
            Program::Autossh => "autossh",
            Program::Sshfs => "sshfs",
            Program::Kerberos => "the Kerberos library",
            Program::NameService => "the name service",
            Program::Fail2ban => "fail2ban",
            Program::Sshguard => "sshguard",
            Program::Kernel => "the kernel",
            Program::SeTroubleshoot => "setroubleshoot",
            Program::Windows => "Windows",
            Program::Device => "the network device",
            Program::Systemctl => "systemctl",
            Program::Remote => "the server",
        }
    }
}

/// One message of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientMessage {
    /// `SW7…`; never changes, never reused.
    pub id: &'static str,
    pub slug: &'static str,
    pub program: Program,
    /// Its wordings: by release, by operating system, or lines that always come together.
    pub texts: &'static [&'static str],
    /// In plain English, one sentence or two.
    pub meaning: &'static str,
    /// The last gate that an attempt has passed for certain when this is printed.
    pub passed: Option<Gate>,
    /// The gate that stopped the attempt, where this message ends it. [`Gate::Account`] where the client cannot tell a
    /// refused proof from a refused account.
    pub failed_at: Option<Gate>,
    /// Slugs of `catalog::causes`, likeliest first. For a root cause the weight (0–1) is how often it is behind this message
    /// when nothing else is known; for a symptom, how surely the message shows it. Empty where the line decides nothing.
    pub causes: &'static [(&'static str, f32)],
    /// What would tell the causes apart.
    pub tells_apart: &'static str,
    pub example: &'static str,
    /// One that looks like it and is not.
    pub near_miss: &'static str,
}

/// The rows by file; an index into the concatenation is stable within one build only.
const BLOCKS: [&[ClientMessage]; 12] = [
    openssh::ROWS,
    trace::ROWS,
    remote::ROWS,
    tools::ROWS,
    others::ROWS,
    more::ROWS,
    java::ROWS,
    python::ROWS,
    web::ROWS,
    libraries::ROWS,
    ways::ROWS,
    machine::ROWS,
];

pub fn all() -> impl Iterator<Item = &'static ClientMessage> {
    BLOCKS.iter().flat_map(|block| block.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::causes;
    use std::collections::HashSet;

    #[test]
    fn ids_and_slugs_are_unique() {
        let (mut ids, mut slugs, mut texts) = (HashSet::new(), HashSet::new(), HashSet::new());
        for row in all() {
            assert!(ids.insert(row.id), "{} twice", row.id);
            assert!(slugs.insert(row.slug), "{} twice", row.slug);
            assert!(row.id.len() == 6 && row.id.starts_with("SW7"), "{}", row.id);
            for text in row.texts {
                assert!(texts.insert(*text), "{}: twice: {text}", row.slug);
                assert_eq!(text.trim(), *text, "{}", row.slug);
            }
        }
    }

    #[test]
    fn causes_exist_and_are_ranked() {
        for row in all() {
            let mut roots = 0.0;
            let mut seen = HashSet::new();
            for (slug, weight) in row.causes {
                let cause = causes::by_slug(slug)
                    .unwrap_or_else(|| panic!("{}: no cause {slug}", row.slug));
                assert!(seen.insert(*slug), "{}: {slug} twice", row.slug);
                assert!(*weight > 0.0 && *weight < 1.0, "{}: {slug}", row.slug);
                if !cause.is_symptom {
                    roots += weight;
                }
            }
            assert!(roots <= 1.001, "{}: the weights sum to {roots}", row.slug);
            assert!(
                row.causes.windows(2).all(|w| w[0].1 >= w[1].1),
                "{}: not ranked",
                row.slug
            );
        }
    }

    #[test]
    fn every_row_is_filled_in() {
        for row in all() {
            assert!(!row.texts.is_empty(), "{}", row.slug);
            assert!(row.meaning.ends_with('.'), "{}", row.slug);
            assert!(!row.example.is_empty() && !row.near_miss.is_empty());
            assert!(
                row.causes.is_empty() || !row.tells_apart.is_empty(),
                "{}: nothing tells the causes apart",
                row.slug
            );
        }
    }
}
