//! This machine, as the evaluator of ssh_config asks about it: files, commands of `Match exec`, names, networks.

use crate::client;
use sshwhy_core::probe::ssh_config::World;
use sshwhy_core::probe::ssh_config::tokens::Client;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// How long a command of `Match exec` may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Here {
    pub client: Client,
}

impl Here {
    pub fn new() -> Here {
        let env = |names: &[&str]| names.iter().find_map(|n| std::env::var(n).ok());
        let home = client::home().map(|h| h.display().to_string());
        Here {
            client: Client {
                user: account_name()
                    .or_else(|| env(&["USER", "LOGNAME", "USERNAME"]))
                    .unwrap_or_default(),
                home: home.unwrap_or_default(),
                uid: crate::sys::user_id(),
                hostname: hostname()
                    .or_else(|| env(&["HOSTNAME", "COMPUTERNAME"]))
                    .unwrap_or_default(),
            },
        }
    }
}

/// The name of whoever runs this, as the account says; the environment may say something else after `su` or `sudo`.
#[cfg(unix)]
fn account_name() -> Option<String> {
    let uid = crate::sys::user_id().to_string();
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(not(unix))]
fn account_name() -> Option<String> {
    None
}

#[cfg(unix)]
fn hostname() -> Option<String> {
    let name = rustix::system::uname();
    Some(name.nodename().to_string_lossy().into_owned())
}

#[cfg(not(unix))]
fn hostname() -> Option<String> {
    None
}

/// Owned by root or by us, and writable by nobody else (readconf.c read_config_file_depth()).
#[cfg(unix)]
fn is_trusted(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map_or(true, |meta| {
        let ours = meta.uid() == 0 || meta.uid() == crate::sys::user_id();
        ours && meta.mode() & 0o022 == 0
    })
}

#[cfg(not(unix))]
fn is_trusted(_path: &Path) -> bool {
    true
}

impl World for Here {
    fn read(
        &mut self,
        path: &str,
        check: bool,
    ) -> Result<Option<Vec<u8>>, sshwhy_core::probe::ssh_config::Unsafe> {
        let path = Path::new(path);
        let Ok(bytes) = client::read_file(path) else {
            return Ok(None);
        };
        if check && !is_trusted(path) {
            return Err(sshwhy_core::probe::ssh_config::Unsafe);
        }
        Ok(Some(bytes))
    }

    fn glob(&mut self, pattern: &str) -> Vec<String> {
        let found = glob::glob(pattern).into_iter().flatten().flatten();
        found.take(1000).map(|p| p.display().to_string()).collect()
    }

    fn exec(&mut self, command: &str) -> bool {
        let shell = if cfg!(windows) {
            "cmd".to_owned()
        } else {
            std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned())
        };
        let flag = if cfg!(windows) { "/C" } else { "-c" };
        let arguments = [flag.to_owned(), command.to_owned()];
        client::run(&shell, &arguments, PATIENCE).is_ok_and(|ran| ran.code == Some(0))
    }

    fn local_network(&mut self, networks: &str) -> bool {
        use sshwhy_core::config::pattern::{Verdict, addresses};
        let inside = |ip: &IpAddr| {
            addresses(Some(&ip.to_string()), networks).is_ok_and(|v| v == Verdict::Yes)
        };
        crate::net::own_addresses().iter().any(inside)
    }

    fn env(&mut self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// Only whether it exists: where a CNAME leads the system's resolver does not tell.
    fn canonical(&mut self, name: &str) -> Option<String> {
        let absolute = format!("{}.", name.trim_end_matches('.'));
        let found = (absolute.as_str(), 22).to_socket_addrs().ok()?.next();
        found.map(|_| name.to_owned())
    }
}
