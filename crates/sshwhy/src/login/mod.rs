//! The encrypted half of SSH, through the library: what a server would let this client do, asked in one connection.
//!
//! It goes on with a connection that our own code has begun (greetings and proposals are read by
//! [`sshwhy_core::probe::exchange`]); it asks about every key without signing, signs only with what needs no prompt, runs
//! nothing but `exit 0`, and says goodbye by our name. It observes; nothing is judged here.

mod offers;
mod session;
mod stream;

pub use offers::{Offer, Signs, collect};
pub use session::Wish;

use crate::carrier::Stream;
use offers::Shown;
use russh::client::{self, AuthResult, DisconnectReason, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::agent::AgentIdentity;
#[cfg(unix)]
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey};
use russh::{Disconnect, MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::exchange::{GOODBYE, GREETING};
use sshwhy_core::probe::says;
use sshwhy_core::wire::kexinit::Proposal;
use sshwhy_core::wire::put_string;
use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the library can agree on, best first (russh 0.65: kex/mod.rs, cipher/mod.rs, mac/mod.rs); group1, CBC and DSA are
/// there for old devices.
const KEX: &[&str] = &[
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
];
const CIPHERS: &[&str] = &[
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
    "aes256-cbc",
    "aes192-cbc",
    "aes128-cbc",
    "3des-cbc",
];
const MACS: &[&str] = &[
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha1-etm@openssh.com",
    "hmac-sha2-512",
    "hmac-sha2-256",
    "hmac-sha1",
];
const HOST_KEYS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
    "ssh-dss",
];

/// What an algorithm is called where a certificate of such a key is meant.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// What the library proposes for a client with these lists: its algorithms in its order, and where `all`, after them the
/// others that the library knows.
pub fn proposal(client: &Proposal, host_keys: &[String], all: bool) -> Proposal {
    let pick = |ours: &[String], known: &[&str]| -> Vec<String> {
        let mut out: Vec<String> = ours
            .iter()
            .filter(|n| known.contains(&n.as_str()))
            .cloned()
            .collect();
        if all || ours.is_empty() {
            for name in known {
                if !out.iter().any(|n| n == name) {
                    out.push((*name).to_owned());
                }
            }
        }
        out
    };
    let ciphers = pick(&client.cipher_out, CIPHERS);
    let macs = pick(&client.mac_out, MACS);
    // The library puts certificates before keys, as ssh does where it knows their authority; else none is asked for.
    let certificates = host_keys.iter().filter(|n| {
        n.strip_suffix(CERTIFICATE)
            .is_some_and(|plain| HOST_KEYS.contains(&plain))
    });
    let certificates = certificates.cloned();
    Proposal {
        kex: pick(&client.kex, KEX),
        host_key: certificates.chain(pick(host_keys, HOST_KEYS)).collect(),
        cipher_out: ciphers.clone(),
        cipher_in: ciphers,
        mac_out: macs.clone(),
        mac_in: macs,
        compression_out: vec!["none".to_owned()],
        compression_in: vec!["none".to_owned()],
    }
}

fn preferred(p: &Proposal) -> Preferred {
    let mut kexes: Vec<kex::Name> = p
        .kex
        .iter()
        .filter_map(|n| kex::Name::try_from(n.as_str()).ok())
        .collect();
    kexes.extend([
        kex::EXTENSION_SUPPORT_AS_CLIENT,
        kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    ]);
    let list = |names: &[String]| -> Vec<Algorithm> {
        names
            .iter()
            .filter_map(|n| Algorithm::new(n).ok())
            .collect()
    };
    let certified: Vec<String> = p
        .host_key
        .iter()
        .filter_map(|n| n.strip_suffix(CERTIFICATE).map(str::to_owned))
        .collect();
    let plain: Vec<String> = p
        .host_key
        .iter()
        .filter(|n| !n.ends_with(CERTIFICATE))
        .cloned()
        .collect();
    Preferred {
        kex: Cow::Owned(kexes),
        key: Cow::Owned(list(&plain)),
        host_key_certificates: Cow::Owned(list(&certified)),
        cipher: Cow::Owned(
            p.cipher_out
                .iter()
                .filter_map(|n| cipher::Name::try_from(n.as_str()).ok())
                .collect(),
        ),
        mac: Cow::Owned(
            p.mac_out
                .iter()
                .filter_map(|n| mac::Name::try_from(n.as_str()).ok())
                .collect(),
        ),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// How a connection ended that we did not end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Closed,
    Reset,
    /// The server's goodbye, in its words.
    Disconnected(String),
    Timeout,
    /// The library gave up; its words.
    Failed(String),
}

impl End {
    /// The word of `auth.end`.
    pub fn word(&self) -> &'static str {
        match self {
            End::Closed | End::Failed(_) => "closed",
            End::Reset => "reset",
            End::Disconnected(text) if text.contains("Too many authentication failures") => {
                "too-many"
            }
            End::Disconnected(_) => "disconnected",
            End::Timeout => "timeout",
        }
    }

    pub fn text(&self) -> String {
        match self {
            End::Closed => "the server closed the connection without a word".to_owned(),
            End::Reset => "the connection was reset".to_owned(),
            End::Disconnected(text) => format!("the server ended the connection: {text}"),
            End::Timeout => "no answer came".to_owned(),
            End::Failed(text) => format!("the connection broke: {text}"),
        }
    }
}

/// What was heard beside the answers.
#[derive(Debug, Default)]
struct Heard {
    /// (type, blob), proven by its signature over the key exchange.
    host_key: Option<(String, Vec<u8>)>,
    /// It came in a certificate, and the authority named there did not sign that.
    forged: bool,
    agreed: Option<String>,
    banner: Vec<String>,
    end: Option<End>,
    /// Every host key that the server has (hostkeys-00@openssh.com, after the login).
    all_keys: Vec<PublicKey>,
}

struct Ears(Arc<Mutex<Heard>>);

impl Ears {
    fn note(&self, what: impl FnOnce(&mut Heard)) {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl client::Handler for Ears {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let blob = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.to_bytes(),
            PublicKeyOrCertificate::Certificate(cert) => {
                let forged = cert.verify_signature().is_err();
                self.note(|h| h.forged = forged);
                cert.to_bytes()
            }
        };
        if let Ok(blob) = blob {
            let kind = sshwhy_core::wire::Cursor::new(&blob)
                .text()
                .unwrap_or_default();
            self.note(|h| h.host_key = Some((kind, blob)));
        }
        // Whether it is the right one is the caller's to say, before anything is told to the server.
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &russh::Names,
        _session: &mut client::Session,
    ) -> Result<(), russh::Error> {
        let text = format!(
            "agreed on {} / {} / {}",
            names.kex.as_ref(),
            names.key.as_str(),
            names.cipher.as_ref()
        );
        self.note(|h| h.agreed = Some(text));
        Ok(())
    }

    async fn auth_banner(
        &mut self,
        banner: &str,
        _session: &mut client::Session,
    ) -> Result<(), russh::Error> {
        self.note(|h| {
            let lines = banner.lines().take(50).map(str::to_owned);
            h.banner.extend(lines);
            h.banner.truncate(200);
        });
        Ok(())
    }

    async fn openssh_ext_host_keys_announced(
        &mut self,
        keys: Vec<PublicKey>,
        _session: &mut client::Session,
    ) -> Result<(), russh::Error> {
        self.note(|h| h.all_keys = keys.into_iter().take(20).collect());
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.note(|h| h.end = Some(End::Disconnected(info.message)));
                Ok(())
            }
            DisconnectReason::Error(e) => {
                let end = end_of(&e);
                self.note(|h| {
                    h.end.get_or_insert(end);
                });
                Err(e)
            }
        }
    }
}

fn end_of(e: &russh::Error) -> End {
    match e {
        russh::Error::IO(e) if e.kind() == std::io::ErrorKind::ConnectionReset => End::Reset,
        russh::Error::IO(_) | russh::Error::HUP | russh::Error::Disconnect => End::Closed,
        russh::Error::SendError | russh::Error::RecvError => End::Closed,
        other => End::Failed(other.to_string()),
    }
}

/// One connection, past its key exchange.
pub struct Login {
    runtime: tokio::runtime::Runtime,
    handle: Handle<Ears>,
    heard: Arc<Mutex<Heard>>,
    stage: Duration,
    began: Instant,
}

/// How a login is to be tried.
pub struct Plan<'a> {
    pub user: &'a str,
    pub offers: &'a [Offer],
    /// PubkeyAcceptedAlgorithms; empty: all.
    pub accepted: &'a [String],
    /// Asks for a password; `None`: nobody is asked. (prompt, echo) to an answer.
    pub ask: Option<&'a mut dyn FnMut(&str, bool) -> Option<String>>,
}

/// Refuses to sign, and knows whether it was asked: then the server would take the key.
struct Refuses {
    asked: bool,
}

struct Refusal;

impl From<russh::SendError> for Refusal {
    fn from(_: russh::SendError) -> Refusal {
        Refusal
    }
}

impl russh::Signer for Refuses {
    type Error = Refusal;

    fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        _data: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, Refusal>> + Send {
        self.asked = true;
        std::future::ready(Err(Refusal))
    }
}

/// Who signs without asking anybody. The library's own calls take SHA-1 for an RSA certificate, and ask an agent for a
/// certificate where it holds the plain key only.
enum Hand<'k> {
    File(&'k PrivateKey),
    #[cfg(unix)]
    Agent(Box<(AgentClient<tokio::net::UnixStream>, AgentIdentity)>),
}

impl russh::Signer for Hand<'_> {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        match self {
            Hand::File(key) => {
                let signature = match key.key_data() {
                    KeypairData::Rsa(pair) => (pair, hash).try_sign(&data),
                    pair => pair.try_sign(&data),
                };
                let mut blob = Vec::new();
                signature
                    .map_err(|e| e.to_string())
                    .and_then(|s| s.encode(&mut blob).map_err(|e| e.to_string()))
                    .map_err(Unsigned::Why)?;
                put_string(&mut data, &blob);
                Ok(data)
            }
            #[cfg(unix)]
            Hand::Agent(held) => {
                let (agent, identity) = held.as_mut();
                agent
                    .sign_request(identity, hash, data)
                    .await
                    .map_err(|e| Unsigned::Why(e.to_string()))
            }
        }
    }
}

/// Why there is no signature.
enum Unsigned {
    /// The connection ended meanwhile.
    Gone,
    Why(String),
}

impl From<russh::SendError> for Unsigned {
    fn from(_: russh::SendError) -> Unsigned {
        Unsigned::Gone
    }
}

/// What came of asking.
enum Answer {
    In,
    Refused {
        methods: MethodSet,
        partial: bool,
    },
    /// The key would do; it was not signed with.
    Taken,
    /// The agent would not sign.
    Unsigned(String),
}

fn see(gate: Gate, key: &'static str, value: &str, about: &str, text: String) -> Observation {
    Observation::new(gate, key, value, format!("probe:{}", gate.name()))
        .about(about)
        .text(text)
        .at(Some(crate::cmd::reading::now()))
}

fn names(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
    names.join(",")
}

impl Login {
    /// Goes on with a connection; `stage` bounds every step.
    pub fn begin(
        stream: Stream,
        replay: Vec<u8>,
        proposal: &Proposal,
        stage: Duration,
    ) -> Result<Login, End> {
        let began = Instant::now();
        let failed = |e: std::io::Error| End::Failed(e.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let gex = client::GexParams::new(2048, 3072, 8192).unwrap_or_default();
        let config = Arc::new(client::Config {
            client_id: SshId::Standard(Cow::Borrowed(GREETING.trim_ascii_end())),
            preferred: preferred(proposal),
            gex,
            ..client::Config::default()
        });
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ears = Ears(Arc::clone(&heard));
        let connecting = async {
            let stream = stream::Onward::new(stream, replay, GREETING.len()).map_err(failed)?;
            let connect = client::connect_stream(config, stream, ears);
            match tokio::time::timeout(stage, connect).await {
                Err(_) => Err(End::Timeout),
                Ok(Err(e)) => Err(end_of(&e)),
                Ok(Ok(handle)) => Ok(handle),
            }
        };
        match runtime.block_on(connecting) {
            Ok(handle) => Ok(Login {
                runtime,
                handle,
                heard,
                stage,
                began,
            }),
            Err(end) => Err(heard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .end
                .take()
                .unwrap_or(end)),
        }
    }

    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn host_key(&self) -> Option<(String, Vec<u8>)> {
        self.hear(|h| h.host_key.clone())
    }

    /// Whether the host key came in a certificate that its authority did not sign.
    pub fn is_forged(&self) -> bool {
        self.hear(|h| h.forged)
    }

    /// Which algorithms were agreed on.
    pub fn agreed(&self) -> Option<String> {
        self.hear(|h| h.agreed.clone())
    }

    /// Every host key of the server, where it told them after the login: (type, blob).
    pub fn all_keys(&self) -> Vec<(String, Vec<u8>)> {
        let keys = self.hear(|h| h.all_keys.clone());
        keys.iter()
            .filter_map(|k| Some((k.algorithm().as_str().to_owned(), k.to_bytes().ok()?)))
            .collect()
    }

    fn hear<T>(&self, what: impl FnOnce(&mut Heard) -> T) -> T {
        what(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(&self, otherwise: End) -> End {
        self.hear(|h| h.end.clone()).unwrap_or(otherwise)
    }

    /// The agent's and the files' keys, asked for inside this connection's runtime.
    pub fn offers(&self, config: &crate::client::Config, agent: Option<String>) -> Vec<Offer> {
        self.runtime.block_on(collect(
            config,
            agent,
            self.stage.min(Duration::from_secs(3)),
        ))
    }

    /// Asks what the server would let `plan.user` do; whether the login succeeded stands in `auth.end`.
    pub fn authenticate(&mut self, mut plan: Plan<'_>) -> Vec<Observation> {
        let mut out = Vec::new();
        let end = self.try_all(&mut plan, &mut out);
        for line in self.hear(|h| std::mem::take(&mut h.banner)) {
            let seen = match says::account(&line, false) {
                Some(word) => see(Gate::Account, "account.says", word, "", line),
                None => see(Gate::Auth, "auth.server-says", &line.clone(), "", line),
            };
            out.push(seen);
        }
        if let Some((word, text)) = end {
            out.push(see(Gate::Auth, "auth.end", word, "", text));
        }
        out
    }

    /// In ssh's order: none, keys, then (where somebody can be asked) passwords. `None`: nothing was decided, since a
    /// password would be asked for next.
    fn try_all(
        &mut self,
        plan: &mut Plan<'_>,
        out: &mut Vec<Observation>,
    ) -> Option<(&'static str, String)> {
        let gone = |end: End| Some((end.word(), end.text()));
        let user = plan.user.to_owned();
        let none = self.ask(|h, _| {
            let user = user.clone();
            Box::pin(async move { plain(h.authenticate_none(user).await) })
        });
        let mut methods = match none {
            Err(end) => return gone(end),
            Ok(Answer::In) => {
                let text = "the server asks for no proof at all".to_owned();
                out.push(see(Gate::Auth, "auth.method", "ok", "none", text.clone()));
                return Some(("ok", text));
            }
            Ok(Answer::Refused { methods, .. }) => methods,
            Ok(_) => MethodSet::empty(),
        };
        let list = names(&methods);
        let text = format!("the server lets {user} go on with: {list}");
        out.push(see(Gate::Auth, "auth.methods", &list, "", text));
        if methods.contains(&MethodKind::PublicKey) {
            match self.keys(plan, out) {
                Err(end) => return gone(end),
                Ok(Some(Answer::In)) => return Some(("ok", "logged in with a key".to_owned())),
                Ok(Some(Answer::Refused { methods: left, .. })) => methods = left,
                Ok(_) => {}
            }
        }
        let asks = [MethodKind::KeyboardInteractive, MethodKind::Password];
        let Some(method) = asks.into_iter().find(|m| methods.contains(m)) else {
            return Some(("denied", format!("what is left is {}", names(&methods))));
        };
        plan.ask.as_ref()?;
        match self.password(plan, method, out) {
            Err(end) => gone(end),
            Ok(true) => Some(("ok", "logged in with a password".to_owned())),
            Ok(false) => Some(("denied", "the password was refused".to_owned())),
        }
    }

    /// Every key. Ends with a login, with partial success, or with nothing.
    fn keys(&mut self, plan: &Plan<'_>, out: &mut Vec<Observation>) -> Result<Option<Answer>, End> {
        let rsa = plan.offers.iter().any(|o| o.kind() == "ssh-rsa");
        // A server that says nothing costs a second, so it is only asked where it matters.
        let says = if rsa {
            let stage = self.stage;
            let best = self.runtime.block_on(async {
                tokio::time::timeout(stage, self.handle.best_supported_rsa_hash()).await
            });
            best.ok().and_then(Result::ok).flatten()
        } else {
            None
        };
        let mut offered = 0_usize;
        let mut result = Ok(None);
        for offer in plan.offers {
            let about = offer.name.as_str();
            let what = describe(offer);
            let hash = match offer.algorithm(plan.accepted, says) {
                Ok(hash) => hash,
                Err(why) => {
                    let text = match why {
                        "type-not-taken" => "PubkeyAcceptedAlgorithms of the client leaves it out",
                        _ => "the two sides have no signature algorithm in common for it",
                    };
                    out.push(see(
                        Gate::Auth,
                        "auth.key",
                        why,
                        about,
                        format!("{what}: {text}"),
                    ));
                    continue;
                }
            };
            offered += 1;
            out.push(see(Gate::Auth, "auth.key", "offered", about, what.clone()));
            let asked = self.query(plan.user, offer, hash);
            let answer = match asked {
                Ok(Answer::Taken) => {
                    let text = format!("{what}: the server would take it");
                    out.push(see(Gate::Auth, "auth.key", "accepted", about, text));
                    match &offer.signs {
                        Signs::Nobody(why) => {
                            let text = format!("{what}: it was not signed with ({why})");
                            out.push(see(
                                Gate::Auth,
                                "auth.key",
                                "accepted-not-signed",
                                about,
                                text,
                            ));
                            continue;
                        }
                        _ => self.sign(plan.user, offer, hash),
                    }
                }
                other => other,
            };
            match answer {
                Ok(Answer::In) => {
                    let text = format!("logged in with {what}");
                    out.push(see(Gate::Auth, "auth.method", "ok", "publickey", text));
                    result = Ok(Some(Answer::In));
                    break;
                }
                Ok(Answer::Refused {
                    methods,
                    partial: true,
                }) => {
                    let text = format!("{what} is one of several proofs; now: {}", names(&methods));
                    out.push(see(Gate::Auth, "auth.method", "partial", "publickey", text));
                    result = Ok(Some(Answer::Refused {
                        methods,
                        partial: true,
                    }));
                    break;
                }
                Ok(Answer::Refused { .. }) => {
                    let signed = out.last().is_some_and(|o| o.value == "accepted");
                    let (word, text) = if signed {
                        (
                            "signed-refused",
                            "the server took the key and refused the signature",
                        )
                    } else {
                        ("refused", "refused")
                    };
                    out.push(see(
                        Gate::Auth,
                        "auth.key",
                        word,
                        about,
                        format!("{what}: {text}"),
                    ));
                }
                Ok(Answer::Unsigned(why)) => {
                    let text = format!("{what}: {why}");
                    out.push(see(Gate::Auth, "auth.key", "agent-refused", about, text));
                }
                Ok(Answer::Taken) => {}
                Err(end) => {
                    let text = format!(
                        "{what} was key {offered} of this connection: {}",
                        end.text()
                    );
                    out.push(see(Gate::Auth, "auth.method", "failed", "publickey", text));
                    result = Err(end);
                    break;
                }
            }
        }
        let count = match offered {
            0 => "none",
            1 => "one",
            2..=5 => "few",
            _ => "many",
        };
        let text = format!(
            "{offered} key{} offered",
            if offered == 1 { " was" } else { "s were" }
        );
        out.push(see(Gate::Auth, "auth.keys", count, "", text));
        let any = if plan.offers.is_empty() {
            "none"
        } else {
            "some"
        };
        let n = plan.offers.len();
        let text = format!("{n} key{} at hand", if n == 1 { "" } else { "s" });
        out.push(see(Gate::Auth, "client.keys", any, "", text));
        result
    }

    /// Would the server take it? Nothing is signed.
    fn query(&mut self, user: &str, offer: &Offer, hash: Option<HashAlg>) -> Result<Answer, End> {
        let user = user.to_owned();
        self.ask(|h, _| {
            Box::pin(async move {
                let mut refuses = Refuses { asked: false };
                let said = match &offer.shown {
                    Shown::Key(key) => {
                        h.authenticate_publickey_with(user, key.clone(), hash, &mut refuses)
                            .await
                    }
                    Shown::Certificate(cert) => {
                        let cert = (**cert).clone();
                        h.authenticate_certificate_with(user, cert, hash, &mut refuses)
                            .await
                    }
                };
                match said {
                    Ok(result) => Ok(result_of(result)),
                    Err(Refusal) if refuses.asked => Ok(Answer::Taken),
                    Err(Refusal) => Err(russh::Error::SendError),
                }
            })
        })
    }

    fn sign(&mut self, user: &str, offer: &Offer, hash: Option<HashAlg>) -> Result<Answer, End> {
        let user = user.to_owned();
        self.ask(|h, _| {
            Box::pin(async move {
                let hand = match &offer.signs {
                    Signs::File(key) => Hand::File(key),
                    #[cfg(unix)]
                    Signs::Agent { socket, plain } => {
                        let agent = match AgentClient::connect_uds(socket).await {
                            Ok(agent) => agent,
                            Err(e) => {
                                return Ok(Answer::Unsigned(format!("the agent is gone: {e}")));
                            }
                        };
                        Hand::Agent(Box::new((agent, offer.identity(*plain))))
                    }
                    #[cfg(not(unix))]
                    Signs::Agent { .. } => return Ok(Answer::Taken),
                    Signs::Nobody(_) => return Ok(Answer::Taken),
                };
                signed(h, user, hand, &offer.shown, hash).await
            })
        })
    }

    /// One step with the library, bounded; a connection that is gone is an end.
    fn ask<'s, F>(&'s mut self, step: F) -> Result<Answer, End>
    where
        F: FnOnce(
            &'s mut Handle<Ears>,
            Duration,
        )
            -> std::pin::Pin<Box<dyn Future<Output = Result<Answer, russh::Error>> + 's>>,
    {
        let heard = Arc::clone(&self.heard);
        let stage = self.stage;
        let handle = &mut self.handle;
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(stage, step(handle, stage)).await });
        let known = || {
            heard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .end
                .clone()
        };
        match answer {
            Err(_) => Err(known().unwrap_or(End::Timeout)),
            Ok(Err(e)) => Err(known().unwrap_or_else(|| end_of(&e))),
            // So the library says that the connection is gone.
            Ok(Ok(Answer::Refused { methods, .. })) if methods.is_empty() => {
                Err(known().unwrap_or(End::Closed))
            }
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    fn password(
        &mut self,
        plan: &mut Plan<'_>,
        method: MethodKind,
        out: &mut Vec<Observation>,
    ) -> Result<bool, End> {
        let Some(ask) = plan.ask.as_mut() else {
            return Ok(false);
        };
        let user = plan.user.to_owned();
        let name = <&str>::from(&method);
        let mut answer = if method == MethodKind::Password {
            let Some(secret) = ask(&format!("{user}'s password: "), false) else {
                let text = "no password was given".to_owned();
                out.push(see(Gate::Auth, "auth.password", "not-possible", "", text));
                return Ok(false);
            };
            let user = user.clone();
            let said = self.ask(|h, _| {
                Box::pin(async move { plain(h.authenticate_password(user, secret).await) })
            })?;
            Some(said)
        } else {
            None
        };
        if answer.is_none() {
            answer = Some(self.interactive(&user, *ask, out)?);
        }
        let (word, text, good) = match answer {
            Some(Answer::In) => ("ok", "the server let us in".to_owned(), true),
            Some(Answer::Refused {
                partial: true,
                methods,
            }) => ("partial", format!("now: {}", names(&methods)), false),
            _ => ("failed", "refused".to_owned(), false),
        };
        out.push(see(Gate::Auth, "auth.method", word, name, text.clone()));
        if word == "failed" {
            out.push(see(Gate::Auth, "auth.password", "refused", "", text));
        }
        Ok(good)
    }

    /// keyboard-interactive: the server's prompts, answered by who is asked.
    fn interactive(
        &mut self,
        user: &str,
        ask: &mut dyn FnMut(&str, bool) -> Option<String>,
        out: &mut Vec<Observation>,
    ) -> Result<Answer, End> {
        let stage = self.stage;
        let lost = |e: &Self, error: Option<russh::Error>| {
            e.end(error.map_or(End::Timeout, |e| end_of(&e)))
        };
        let start = self.runtime.block_on(async {
            let start = self
                .handle
                .authenticate_keyboard_interactive_start(user, None::<String>);
            tokio::time::timeout(stage, start).await
        });
        let mut said = match start {
            Ok(Ok(said)) => said,
            Ok(Err(e)) => return Err(lost(self, Some(e))),
            Err(_) => return Err(lost(self, None)),
        };
        // A server may ask again and again; a login has a handful of rounds.
        for _ in 0..10 {
            match said {
                KeyboardInteractiveAuthResponse::Success => return Ok(Answer::In),
                KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                } => {
                    return Ok(Answer::Refused {
                        methods: remaining_methods,
                        partial: partial_success,
                    });
                }
                KeyboardInteractiveAuthResponse::InfoRequest {
                    instructions,
                    prompts,
                    ..
                } => {
                    let mut answers = Vec::new();
                    for line in instructions.lines().take(20) {
                        if let Some(word) = says::account(line, false) {
                            out.push(see(
                                Gate::Account,
                                "account.says",
                                word,
                                "",
                                line.to_owned(),
                            ));
                        }
                    }
                    for prompt in prompts.iter().take(10) {
                        let text = &prompt.prompt;
                        if let Some(word) = says::account(text, false) {
                            out.push(see(Gate::Account, "account.says", word, "", text.clone()));
                        }
                        let shown = format!("{} ", text.trim_end());
                        answers.push(ask(&shown, prompt.echo).unwrap_or_default());
                    }
                    answers.resize(prompts.len(), String::new());
                    let next = self.runtime.block_on(async {
                        let next = self
                            .handle
                            .authenticate_keyboard_interactive_respond(answers);
                        tokio::time::timeout(stage, next).await
                    });
                    said = match next {
                        Ok(Ok(said)) => said,
                        Ok(Err(e)) => return Err(lost(self, Some(e))),
                        Err(_) => return Err(lost(self, None)),
                    };
                }
            }
        }
        Err(End::Timeout)
    }

    /// What a session may do, once logged in.
    pub fn session(&mut self, wish: &Wish) -> Vec<Observation> {
        let heard = Arc::clone(&self.heard);
        let handle = &mut self.handle;
        let wait = self.stage;
        self.runtime.block_on(async move {
            let mut out = Vec::new();
            session::look(handle, wish, wait, &mut out).await;
            if handle.is_closed() {
                let end = heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .end
                    .clone();
                if let Some(end) = end {
                    let word = match end {
                        End::Reset => "reset",
                        End::Timeout => "timeout",
                        _ => "closed",
                    };
                    out.push(see(Gate::Session, "session.end", word, "", end.text()));
                }
            }
            out
        })
    }

    /// Says goodbye by our name.
    pub fn close(self) {
        let Login {
            runtime,
            handle,
            heard,
            ..
        } = self;
        let soon = Duration::from_millis(500);
        runtime.block_on(async {
            let bye = handle.disconnect(Disconnect::ByApplication, GOODBYE, "");
            if tokio::time::timeout(soon, bye).await.is_ok() {
                // The library writes it in its own task, which ends with it.
                let _ = tokio::time::timeout(soon, handle).await;
            }
        });
        drop(heard);
        runtime.shutdown_timeout(Duration::from_millis(100));
    }
}

fn describe(offer: &Offer) -> String {
    let what = if offer.is_certificate() {
        "certificate"
    } else {
        "key"
    };
    let by = match &offer.signs {
        Signs::Agent { .. } => ", in the agent",
        _ => "",
    };
    let print = offer
        .public()
        .to_bytes()
        .map(|b| sshwhy_core::probe::keyfile::fingerprint(&b))
        .unwrap_or_default();
    format!("{} {what} {} ({print}{by})", offer.kind(), offer.name)
}

fn result_of(result: AuthResult) -> Answer {
    match result {
        AuthResult::Success => Answer::In,
        AuthResult::Failure {
            remaining_methods,
            partial_success,
        } => Answer::Refused {
            methods: remaining_methods,
            partial: partial_success,
        },
    }
}

fn plain(result: Result<AuthResult, russh::Error>) -> Result<Answer, russh::Error> {
    result.map(result_of)
}

async fn signed(
    handle: &mut Handle<Ears>,
    user: String,
    mut hand: Hand<'_>,
    shown: &Shown,
    hash: Option<HashAlg>,
) -> Result<Answer, russh::Error> {
    let of_agent = !matches!(hand, Hand::File(_));
    let said = match shown {
        Shown::Key(key) => {
            handle
                .authenticate_publickey_with(user, key.clone(), hash, &mut hand)
                .await
        }
        Shown::Certificate(cert) => {
            let cert = (**cert).clone();
            handle
                .authenticate_certificate_with(user, cert, hash, &mut hand)
                .await
        }
    };
    match said {
        Ok(result) => Ok(result_of(result)),
        Err(Unsigned::Gone) => Err(russh::Error::SendError),
        Err(Unsigned::Why(why)) if of_agent => {
            Ok(Answer::Unsigned(format!("the agent would not sign: {why}")))
        }
        Err(Unsigned::Why(why)) => Ok(Answer::Unsigned(format!("it does not sign: {why}"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use client::Handler;
    use russh::keys::ssh_key::Certificate;

    /// Of a host, signed by an authority (ssh-keygen -h).
    const SIGNED: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIMgqPxEjXtC7EEV9pwalezV2QQTGhG07LKcFZ0SQiM0nAAAAILyDf10/qAIikDSgkbjzjtxi17rQuRHLZQ8KLavU0lKcAAAAAAAAAAAAAAACAAAAAWgAAAANAAAACWguZXhhbXBsZQAAAAAAAAAA//////////8AAAAAAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIGsUlILhNDFFV5yJ6XQDzaYGViyMOhmFNnI+UzkKDljwAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEDvzTlF9LHZ21tbAWGOfRYpn25cZWDntUiq1EG+wRJe849+XWg5i+BPTblsmWLb+g2k6m4ANhIrDioCTDg9F9QM x";

    fn shown(text: &str) -> bool {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let mut ears = Ears(Arc::clone(&heard));
        let certificate = Certificate::from_openssh(text).unwrap();
        let key = PublicKeyOrCertificate::Certificate(certificate);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let taken = runtime.block_on(ears.check_server_key(&key));
        assert!(
            taken.unwrap(),
            "whether it is the right one is judged later"
        );
        let heard = heard.lock().unwrap();
        assert!(heard.host_key.is_some());
        heard.forged
    }

    #[test]
    fn a_certificate_that_its_authority_did_not_sign_is_forged() {
        assert!(!shown(SIGNED));
        // One letter of the principal's name, which the signature covers.
        let other = SIGNED.replacen("CWguZXhhbXBsZQ", "CWguZXhhbXBsZA", 1);
        assert_ne!(other, SIGNED);
        assert!(shown(&other));
    }
}
