//! The keys that ssh would ask a server about, in ssh's order (sshconnect2.c pubkey_prepare()): certificates, the agent's
//! keys that the configuration names, the agent's others, then key files. Reads files and asks the agent; uses nothing yet.

use crate::client::{self, Config};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey};
use sshwhy_core::probe::keyfile;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How many keys are asked about at most; sshd's MaxAuthTries is 6.
const MOST: usize = 30;

/// What the server is shown.
pub enum Shown {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

/// Who could sign with it without asking anybody.
pub enum Signs {
    File(Arc<PrivateKey>),
    /// The agent, at this socket. `plain`: it holds the key, and the certificate is a file's.
    Agent {
        socket: String,
        plain: bool,
    },
    /// Nobody; why: `passphrase`, `permissions`, `hardware`, `no-private-key`.
    Nobody(&'static str),
}

/// One question to the server.
pub struct Offer {
    /// As ssh calls it: the file, or the comment of an agent's key.
    pub name: String,
    pub shown: Shown,
    pub signs: Signs,
}

impl Offer {
    pub fn public(&self) -> PublicKey {
        match &self.shown {
            Shown::Key(key) => key.clone(),
            Shown::Certificate(cert) => PublicKey::new(cert.public_key().clone(), ""),
        }
    }

    /// The plain algorithm, as its key type is called: `ssh-rsa` for every RSA key.
    pub fn kind(&self) -> String {
        match self.public().algorithm() {
            Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
            other => other.as_str().to_owned(),
        }
    }

    /// What an agent knows it by.
    pub fn identity(&self, plain: bool) -> AgentIdentity {
        match &self.shown {
            Shown::Certificate(cert) if !plain => AgentIdentity::Certificate {
                certificate: (**cert).clone(),
                comment: String::new(),
            },
            _ => AgentIdentity::PublicKey {
                key: self.public(),
                comment: String::new(),
            },
        }
    }

    pub fn is_certificate(&self) -> bool {
        matches!(self.shown, Shown::Certificate(_))
    }

    /// The signature algorithm for it, of those that the client takes, when the server says `server` about RSA (`None`:
    /// it says nothing). `Err` where the two have none in common or the client does not take the type at all.
    pub fn algorithm(
        &self,
        accepted: &[String],
        server: Option<Option<HashAlg>>,
    ) -> Result<Option<HashAlg>, &'static str> {
        let kind = self.kind();
        let suffix = if self.is_certificate() {
            "-cert-v01@openssh.com"
        } else {
            ""
        };
        let takes =
            |name: &str| accepted.is_empty() || accepted.contains(&format!("{name}{suffix}"));
        if kind != "ssh-rsa" {
            return if takes(&kind) {
                Ok(None)
            } else {
                Err("type-not-taken")
            };
        }
        let all = [
            ("rsa-sha2-512", Some(HashAlg::Sha512)),
            ("rsa-sha2-256", Some(HashAlg::Sha256)),
            ("ssh-rsa", None),
        ];
        if !all.iter().any(|(name, _)| takes(name)) {
            return Err("type-not-taken");
        }
        let server_takes = |hash: Option<HashAlg>| match server {
            // A server that says nothing is older than SHA-2 signatures.
            None => hash.is_none(),
            // The library says the best one; weaker ones are taken along with it, but for SHA-1.
            Some(Some(HashAlg::Sha512)) => hash.is_some(),
            Some(best) => hash == best,
        };
        all.iter()
            .find(|(name, hash)| takes(name) && server_takes(*hash))
            .map(|(_, hash)| *hash)
            .ok_or("no-signature-algorithm")
    }
}

/// A private key file of the configuration.
struct File {
    name: String,
    public: Option<PublicKey>,
    signs: Signs,
}

/// Collects them. `agent` is the agent's socket, where one is to be asked.
pub async fn collect(config: &Config, agent: Option<String>, wait: Duration) -> Vec<Offer> {
    let mut files: Vec<File> = Vec::new();
    let mut certificates: Vec<(String, Certificate)> = Vec::new();
    let load_certificate = |path: &str, into: &mut Vec<(String, Certificate)>| {
        if let Ok(bytes) = client::read_file(&PathBuf::from(path))
            && let Ok(cert) = Certificate::from_openssh(String::from_utf8_lossy(&bytes).trim())
        {
            into.push((path.to_owned(), cert));
        }
    };
    let named = |key| config.all(key).iter().filter(|n| *n != "none").take(MOST);
    for name in named("certificatefile") {
        let path = config.path(name).display().to_string();
        load_certificate(&path, &mut certificates);
    }
    for name in named("identityfile") {
        let path = config.path(name).display().to_string();
        if let Some(file) = file(&path) {
            files.push(file);
        }
        load_certificate(&format!("{path}-cert.pub"), &mut certificates);
    }
    let held = match &agent {
        Some(socket) => tokio::time::timeout(wait, held(socket))
            .await
            .unwrap_or_default(),
        None => Vec::new(),
    };
    let only = config.is("identitiesonly", &["yes", "true"]);
    order(files, certificates, held, agent.unwrap_or_default(), only)
}

fn order(
    files: Vec<File>,
    certificates: Vec<(String, Certificate)>,
    held: Vec<AgentIdentity>,
    socket: String,
    only: bool,
) -> Vec<Offer> {
    let blob = |key: &PublicKey| key.to_bytes().unwrap_or_default();
    let mut out: Vec<Offer> = Vec::new();
    let in_agent = |key: &PublicKey| {
        held.iter().any(|h| match h {
            AgentIdentity::PublicKey { key: k, .. } => blob(k) == blob(key),
            AgentIdentity::Certificate { .. } => false,
        })
    };
    for (name, cert) in certificates {
        let public = PublicKey::new(cert.public_key().clone(), "");
        let of_file = files.iter().find_map(|f| match (&f.public, &f.signs) {
            (Some(p), Signs::File(key)) if blob(p) == blob(&public) => {
                Some(Signs::File(Arc::clone(key)))
            }
            (Some(p), Signs::Nobody(why)) if blob(p) == blob(&public) => Some(Signs::Nobody(why)),
            _ => None,
        });
        let signs = match of_file {
            Some(Signs::Nobody(_)) | None if in_agent(&public) => Signs::Agent {
                socket: socket.clone(),
                plain: true,
            },
            Some(signs) => signs,
            None => Signs::Nobody("no-private-key"),
        };
        out.push(Offer {
            name,
            shown: Shown::Certificate(Box::new(cert)),
            signs,
        });
    }
    // The agent's keys that a file names come first, under the file's name.
    let named = |key: &PublicKey| {
        files
            .iter()
            .find(|f| f.public.as_ref().is_some_and(|p| blob(p) == blob(key)))
            .map(|f| f.name.clone())
    };
    for wanted in [true, false] {
        for identity in &held {
            let (key, comment, shown) = match identity {
                AgentIdentity::PublicKey { key, comment } => {
                    (key.clone(), comment, Shown::Key(key.clone()))
                }
                AgentIdentity::Certificate {
                    certificate,
                    comment,
                } => (
                    PublicKey::new(certificate.public_key().clone(), ""),
                    comment,
                    Shown::Certificate(Box::new(certificate.clone())),
                ),
            };
            let name = named(&key);
            if name.is_some() != wanted || (!wanted && only) {
                continue;
            }
            out.push(Offer {
                name: name.unwrap_or_else(|| comment.clone()),
                shown,
                signs: Signs::Agent {
                    socket: socket.clone(),
                    plain: false,
                },
            });
        }
    }
    for file in files {
        if let Some(public) = file.public
            && !in_agent(&public)
        {
            out.push(Offer {
                name: file.name,
                shown: Shown::Key(public),
                signs: file.signs,
            });
        }
    }
    out.truncate(MOST);
    out
}

async fn held(socket: &str) -> Vec<AgentIdentity> {
    #[cfg(unix)]
    match AgentClient::connect_uds(socket).await {
        Ok(mut agent) => agent.request_identities().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
    #[cfg(not(unix))]
    {
        let _ = socket;
        Vec::new()
    }
}

/// A key file, and whether it could be used without asking.
fn file(path: &str) -> Option<File> {
    let private = PathBuf::from(path);
    let bytes = client::read_file(&private);
    let public_file = client::read_file(&PathBuf::from(format!("{path}.pub"))).ok();
    let public = public_file.and_then(|b| {
        let text = String::from_utf8_lossy(&b).into_owned();
        PublicKey::from_openssh(text.lines().next().unwrap_or_default()).ok()
    });
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(e) => {
            // ssh offers a key whose private half it has yet to miss.
            let why = if e.kind() == std::io::ErrorKind::NotFound {
                "no-private-key"
            } else {
                "permissions"
            };
            return public.map(|public| File {
                name: path.to_owned(),
                public: Some(public),
                signs: Signs::Nobody(why),
            });
        }
    };
    let read = keyfile::read(&bytes);
    let of_file = read
        .public
        .as_deref()
        .and_then(|b| PublicKey::from_bytes(b).ok());
    let signs = match read.kind {
        keyfile::Kind::Private { encrypted: true } => Signs::Nobody("passphrase"),
        keyfile::Kind::Private { encrypted: false } if client::too_open(&private).is_some() => {
            Signs::Nobody("permissions")
        }
        keyfile::Kind::Private { encrypted: false } => {
            match russh::keys::decode_secret_key(&String::from_utf8_lossy(&bytes), None) {
                Ok(key) if key.algorithm().as_str().starts_with("sk-") => Signs::Nobody("hardware"),
                Ok(key) => Signs::File(Arc::new(key)),
                Err(_) => Signs::Nobody("no-private-key"),
            }
        }
        keyfile::Kind::Public => Signs::Nobody("no-private-key"),
        keyfile::Kind::Putty | keyfile::Kind::Invalid(_) => {
            public.as_ref()?;
            Signs::Nobody("no-private-key")
        }
    };
    let of_key = match &signs {
        Signs::File(key) => Some(key.public_key().clone()),
        _ => None,
    };
    Some(File {
        name: path.to_owned(),
        public: of_file.or(of_key).or(public),
        signs,
    })
}
