//! The depths that log in, over [russh](https://docs.rs/russh): a key, and perhaps a command.
//!
//! The greeting and the server's KEXINIT were read before (their times are phases of their own, and a server with which
//! russh has nothing in common must not be offered anything: it would log `Unable to negotiate`), so the library gets a
//! stream that says them again.

use super::check::Stop;
use super::quiet::GOODBYE;
use russh::client::{self, AuthResult, Handle};
use russh::keys::key::PrivateKeyWithHashAlg;
use russh::keys::ssh_key::{Algorithm, Certificate, PrivateKey, PublicKey};
use russh::{ChannelMsg, Disconnect, Preferred, SshId};
use sshwhy_core::wire::kexinit::Proposal;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Whom to log in as, with what, to do what.
pub struct Credentials {
    pub user: String,
    pub identity: PathBuf,
    pub command: String,
    key: Arc<PrivateKey>,
    certificate: Option<Certificate>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {}", self.user, self.identity.display())
    }
}

impl Credentials {
    /// Reads the key: one without a passphrase, since nobody is there to type it.
    pub fn read(user: &str, identity: &Path, command: &str) -> Result<Credentials, String> {
        let name = identity.display();
        let key = russh::keys::load_secret_key(identity, None)
            .map_err(|e| format!("cannot use the identity {name}: {e}"))?;
        let mut beside = identity.as_os_str().to_owned();
        beside.push("-cert.pub");
        let certificate = russh::keys::load_openssh_certificate(PathBuf::from(beside)).ok();
        Ok(Credentials {
            user: user.to_owned(),
            identity: identity.to_owned(),
            command: command.to_owned(),
            key: Arc::new(key),
            certificate,
        })
    }
}

/// A stream that says again what was read from it, and does not say again what was written.
pub struct Replay {
    inner: TcpStream,
    before: Vec<u8>,
    read: usize,
    /// Bytes of ours that the server has already.
    skip: usize,
}

impl Replay {
    pub fn new(inner: TcpStream, ours: &str, theirs: &str, after: Vec<u8>) -> Replay {
        let mut before = format!("{theirs}\r\n").into_bytes();
        before.extend_from_slice(&after);
        Replay {
            inner,
            before,
            read: 0,
            skip: ours.len() + 2,
        }
    }
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.before.get(self.read..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buffer);
        }
        let n = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..n).unwrap_or_default());
        self.read += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.skip > 0 {
            let n = self.skip.min(bytes.len());
            self.skip -= n;
            return Poll::Ready(Ok(n));
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Type, blob and plain key.
type Shown = (String, Vec<u8>, Vec<u8>);

struct Watcher {
    shown: Arc<Mutex<Option<Shown>>>,
}

impl client::Handler for Watcher {
    type Error = russh::Error;

    /// russh has checked the signature; whether the key is the right one is judged from what is noted here. Logging in
    /// with a key tells an impostor nothing that he could use: the signature is good for this exchange only.
    async fn check_server_key(
        &mut self,
        key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let plain = |key: &PublicKey| key.to_bytes().unwrap_or_default();
        let shown = match key {
            russh::keys::PublicKeyOrCertificate::PublicKey { key, .. } => {
                let bytes = plain(key);
                (key.algorithm().as_str().to_owned(), bytes.clone(), bytes)
            }
            russh::keys::PublicKeyOrCertificate::Certificate(c) => {
                let key = PublicKey::from(c.public_key().clone());
                let blob = c.to_bytes().unwrap_or_default();
                (key.algorithm().as_str().to_owned(), blob, plain(&key))
            }
        };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(true)
    }
}

pub struct Session {
    handle: Handle<Watcher>,
    shown: Arc<Mutex<Option<Shown>>>,
}

fn stop(word: &'static str, e: impl std::fmt::Display) -> Stop {
    Stop::new(word, e.to_string())
}

/// What both have, in our order.
fn common<N: AsRef<str> + Copy>(ours: &[&N], theirs: &[String]) -> Vec<N> {
    let has = |name: &str| name != "none" && theirs.iter().any(|t| t == name);
    ours.iter()
        .map(|n| **n)
        .filter(|n| has(n.as_ref()))
        .collect()
}

fn preferred(theirs: &Proposal, want: &[String]) -> Result<Preferred, Stop> {
    let mut kex: Vec<russh::kex::Name> = Preferred::DEFAULT
        .kex
        .iter()
        .filter(|n| theirs.kex.iter().any(|t| t == n.as_ref()))
        .copied()
        .collect();
    for more in common(russh::kex::ALL_KEX_ALGORITHMS, &theirs.kex) {
        if !kex.contains(&more) {
            kex.push(more);
        }
    }
    let mut key: Vec<Algorithm> = Vec::new();
    for name in want.iter().filter(|n| theirs.host_key.contains(n)) {
        if let Ok(algorithm) = Algorithm::new(name)
            && !key.contains(&algorithm)
        {
            key.push(algorithm);
        }
    }
    let has = |ours: &[String], theirs: &[String]| ours.iter().any(|n| theirs.contains(n));
    let mut cipher: Vec<russh::cipher::Name> = Preferred::DEFAULT.cipher.to_vec();
    for more in common(russh::cipher::ALL_CIPHERS, &theirs.cipher_out) {
        if !cipher.contains(&more) {
            cipher.push(more);
        }
    }
    let ciphers: Vec<String> = cipher.iter().map(|c| c.as_ref().to_owned()).collect();
    if kex.is_empty()
        || key.is_empty()
        || !has(&ciphers, &theirs.cipher_out)
        || !has(&ciphers, &theirs.cipher_in)
    {
        return Err(Stop::new(
            "mismatch",
            "no key exchange, host key or cipher in common with this monitor",
        ));
    }
    kex.push(russh::kex::EXTENSION_SUPPORT_AS_CLIENT);
    kex.push(russh::kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT);
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(key),
        cipher: Cow::Owned(cipher),
        mac: Cow::Owned(russh::mac::ALL_MAC_ALGORITHMS.iter().map(|m| **m).collect()),
        ..Preferred::DEFAULT
    })
}

/// Exchanges keys.
pub async fn open(stream: Replay, theirs: &Proposal, want: &[String]) -> Result<Session, Stop> {
    let preferred = match preferred(theirs, want) {
        Ok(preferred) => preferred,
        Err(stop) => {
            let mut stream = stream.inner;
            let bye = sshwhy_core::wire::packet::disconnect(11, GOODBYE);
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &bye).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
            return Err(stop);
        }
    };
    let config = Arc::new(client::Config {
        client_id: SshId::Standard(Cow::Borrowed(super::check::IDENT)),
        preferred,
        ..client::Config::default()
    });
    let shown = Arc::new(Mutex::new(None));
    let watcher = Watcher {
        shown: Arc::clone(&shown),
    };
    let handle = client::connect_stream(config, stream, watcher)
        .await
        .map_err(|e| stop("protocol-error", e))?;
    Ok(Session { handle, shown })
}

impl Session {
    pub fn host_key(&self) -> Option<Shown> {
        self.shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub async fn authenticate(&mut self, with: &Credentials) -> Result<(), Stop> {
        let user = with.user.clone();
        let result = match &with.certificate {
            Some(c) => {
                let key = Arc::clone(&with.key);
                self.handle
                    .authenticate_openssh_cert(user, key, c.clone())
                    .await
            }
            None => {
                let hash = match with.key.algorithm() {
                    Algorithm::Rsa { .. } => self
                        .handle
                        .best_supported_rsa_hash()
                        .await
                        .map_err(|e| stop("closed", e))?
                        .flatten(),
                    _ => None,
                };
                let key = PrivateKeyWithHashAlg::new(Arc::clone(&with.key), hash);
                self.handle.authenticate_publickey(user, key).await
            }
        };
        match result {
            Ok(AuthResult::Success) => {
                // sshd goes on to send what follows a login, and dies with `fatal: … Broken pipe` where nobody is left to
                // read it; once it answers this, it is done.
                let answered = self.handle.send_ping();
                let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
                Ok(())
            }
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
                let left: Vec<String> = remaining_methods.iter().map(String::from).collect();
                let how = if partial_success {
                    "is not enough"
                } else {
                    "is refused"
                };
                Err(Stop::new(
                    "refused",
                    format!(
                        "{} {how} for {}; the server goes on with {}",
                        with.identity.display(),
                        with.user,
                        left.join(", ")
                    ),
                ))
            }
            Err(e) => Err(stop(
                "closed",
                format!("the connection ended in the login: {e}"),
            )),
        }
    }

    /// Runs it; its exit status has to be 0.
    pub async fn command(&mut self, command: &str) -> Result<(), Stop> {
        let mut channel = self
            .handle
            .channel_open_session()
            .await
            .map_err(|e| stop("refused", format!("no session: {e}")))?;
        channel
            .exec(true, command)
            .await
            .map_err(|e| stop("closed", e))?;
        let mut status = None;
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    let text = format!("{command}: ended by signal {signal_name:?}");
                    return Err(Stop::new("signal", text));
                }
                ChannelMsg::Failure => {
                    return Err(Stop::new("refused", "the server refuses to run a command"));
                }
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        match status {
            Some(0) => Ok(()),
            Some(n) => Err(Stop::new("exit", format!("{command}: exit status {n}"))),
            None => Err(Stop::new(
                "closed",
                format!("{command}: ended without a status"),
            )),
        }
    }

    /// Says goodbye by name, and waits for the other end to be heard out.
    pub async fn close(self) {
        let bye = self
            .handle
            .disconnect(Disconnect::ByApplication, GOODBYE, "");
        let _ = tokio::time::timeout(Duration::from_secs(1), bye).await;
        let _ = tokio::time::timeout(Duration::from_secs(1), self.handle).await;
    }
}
