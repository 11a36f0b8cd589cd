//! A key exchange that proves the server's host key, and an end of it that no log watcher counts.
//!
//! What sshd writes when a connection ends before a login depends on how it ends. A DISCONNECT is logged as
//! `Disconnected from … [preauth]`, which fail2ban's `aggressive` and `ddos` modes count as an attack, as they count
//! every connection that is closed or reset at that point. Two ends are not counted by anything, and both name us:
//!
//! * before the key exchange: a software version that begins with `Probe-` is OpenSSH's own sign for monitors
//!   (compat.c SSH_BUG_PROBE); sshd logs `probed from … Don't panic.` and closes.
//! * after it: asking for a service that does not exist. sshd answers with a DISCONNECT of its own, as RFC 4253 section 10
//!   wants it to, and logs `Disconnecting …: bad service request sshwhy-monitor` at INFO.
//!
//! The second needs encryption for one packet in one direction, which is why the exchange is done here, with ring's
//! primitives, and not by an SSH library, none of which can ask for such a service.

use ring::aead::{self, LessSafeKey, Nonce, UnboundKey, chacha20_poly1305_openssh};
use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, signature};
use sshwhy_core::wire::kexinit::{Proposal, first_match};
use sshwhy_core::wire::packet::{self, KEX_ECDH_INIT, NEWKEYS};
use sshwhy_core::wire::{Cursor, put_string};

const SERVICE_REQUEST: u8 = 5;
/// The service that no server has.
pub const SERVICE: &str = "sshwhy-monitor";
/// What a DISCONNECT of ours says.
pub const GOODBYE: &str = "sshwhy monitor";

/// Our half of an exchange, and what is agreed on.
pub struct Exchange {
    curve: &'static agreement::Algorithm,
    private: EphemeralPrivateKey,
    public: Vec<u8>,
    cipher: Option<Cipher>,
    /// Our KEXINIT's payload.
    ours: Vec<u8>,
    #[cfg(test)]
    host_key: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20,
}

const CURVES: [(&str, &agreement::Algorithm); 3] = [
    ("curve25519-sha256", &agreement::X25519),
    ("curve25519-sha256@libssh.org", &agreement::X25519),
    ("ecdh-sha2-nistp256", &agreement::ECDH_P256),
];

const CIPHERS: [(&str, Cipher); 3] = [
    ("aes128-gcm@openssh.com", Cipher::Aes128Gcm),
    ("aes256-gcm@openssh.com", Cipher::Aes256Gcm),
    ("chacha20-poly1305@openssh.com", Cipher::ChaCha20),
];

/// The identification strings and the server's KEXINIT, over which the exchange is signed.
pub struct Context<'a> {
    pub our_ident: &'a str,
    pub their_ident: &'a str,
    pub their_kexinit: &'a [u8],
}

/// What the reply showed.
pub struct Reply {
    pub kind: String,
    /// The whole blob: key or certificate.
    pub blob: Vec<u8>,
    /// The plain key in it.
    pub key: Vec<u8>,
    pub proven: bool,
    /// NEWKEYS and the goodbye.
    pub goodbye: Vec<u8>,
}

impl Exchange {
    /// Chooses from what the server has; `None` where the two have no exchange in common. `want` are host key types, best
    /// first.
    pub fn choose(theirs: &Proposal, want: &[String]) -> Option<Exchange> {
        let known: Vec<String> = CURVES.iter().map(|c| c.0.to_owned()).collect();
        let kex = first_match(&known, &theirs.kex)?;
        let curve = CURVES.iter().find(|c| c.0 == kex)?.1;
        let host_key = first_match(want, &theirs.host_key)
            .or_else(|| {
                let plain = theirs.host_key.iter().find(|n| !n.contains("-cert-"));
                plain.or(theirs.host_key.first()).map(String::as_str)
            })?
            .to_owned();
        let ciphers: Vec<String> = CIPHERS.iter().map(|c| c.0.to_owned()).collect();
        let cipher_name = first_match(&ciphers, &theirs.cipher_out);
        let cipher = CIPHERS
            .iter()
            .find(|c| Some(c.0) == cipher_name)
            .map(|c| c.1);
        let proposal = Proposal {
            kex: vec![kex.to_owned()],
            host_key: vec![host_key.clone()],
            cipher_out: cipher_name
                .map_or_else(|| theirs.cipher_out.clone(), |c| vec![c.to_owned()]),
            cipher_in: theirs.cipher_in.clone(),
            mac_out: theirs.mac_out.clone(),
            mac_in: theirs.mac_in.clone(),
            compression_out: vec!["none".to_owned()],
            compression_in: vec!["none".to_owned()],
        };
        let random = SystemRandom::new();
        let mut cookie = [0; 16];
        random.fill(&mut cookie).ok()?;
        let private = EphemeralPrivateKey::generate(curve, &random).ok()?;
        let public = private.compute_public_key().ok()?.as_ref().to_vec();
        Some(Exchange {
            curve,
            private,
            public,
            cipher,
            ours: proposal.payload(cookie),
            #[cfg(test)]
            host_key,
        })
    }

    /// KEXINIT and our public value.
    pub fn opening(&self) -> Vec<u8> {
        let mut out = packet::wrap(&self.ours);
        let mut init = vec![KEX_ECDH_INIT];
        put_string(&mut init, &self.public);
        out.extend_from_slice(&packet::wrap(&init));
        out
    }

    /// Takes SSH_MSG_KEX_ECDH_REPLY (RFC 5656 section 4). `quiet`: the server is one that logs a bad service request.
    pub fn reply(self, context: &Context<'_>, payload: &[u8], quiet: bool) -> Option<Reply> {
        let mut c = Cursor::new(payload);
        c.u8()?;
        let (blob, theirs, signed) = (c.string()?, c.string()?, c.string()?);
        let kind = Cursor::new(blob).text()?;
        let key = plain_key(blob)?;
        let curve = self.curve;
        let peer = UnparsedPublicKey::new(curve, theirs);
        let secret = agreement::agree_ephemeral(self.private, &peer, mpint).ok();
        let hash = secret.as_ref().map(|secret| {
            let mut text = Vec::with_capacity(4096);
            put_string(&mut text, context.our_ident.as_bytes());
            put_string(&mut text, context.their_ident.as_bytes());
            put_string(&mut text, &self.ours);
            put_string(&mut text, context.their_kexinit);
            put_string(&mut text, blob);
            put_string(&mut text, &self.public);
            put_string(&mut text, theirs);
            text.extend_from_slice(secret);
            digest::digest(&digest::SHA256, &text)
        });
        let proven = hash
            .as_ref()
            .is_some_and(|h| verify(&key, signed, h.as_ref()).unwrap_or(false));
        let sealed = match (&secret, &hash, self.cipher) {
            (Some(secret), Some(hash), Some(cipher)) => {
                seal(cipher, secret, hash.as_ref(), &last_words(quiet))
            }
            _ => None,
        };
        let goodbye = sealed.map_or_else(
            || packet::disconnect(packet::BY_APPLICATION, GOODBYE),
            |sealed| {
                let mut out = packet::wrap(&[NEWKEYS]);
                out.extend_from_slice(&sealed);
                out
            },
        );
        Some(Reply {
            kind,
            blob: blob.to_vec(),
            key,
            proven,
            goodbye,
        })
    }
}

fn last_words(quiet: bool) -> Vec<u8> {
    let mut payload = Vec::new();
    if quiet {
        payload.push(SERVICE_REQUEST);
        put_string(&mut payload, SERVICE.as_bytes());
    } else {
        payload.push(packet::DISCONNECT);
        payload.extend_from_slice(&packet::BY_APPLICATION.to_be_bytes());
        put_string(&mut payload, GOODBYE.as_bytes());
        put_string(&mut payload, b"");
    }
    payload
}

/// A secret as an SSH `mpint` with its length (RFC 4251 section 5).
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    let mut number = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_some_and(|b| b & 0x80 != 0) {
        number.push(0);
    }
    number.extend_from_slice(digits);
    let mut out = Vec::with_capacity(number.len() + 4);
    put_string(&mut out, &number);
    out
}

/// `n` bytes of key material (RFC 4253 section 7.2); the session's id is the hash of its first exchange.
fn derive(secret: &[u8], hash: &[u8], letter: u8, n: usize) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    while out.len() < n {
        let mut text = secret.to_vec();
        text.extend_from_slice(hash);
        if out.is_empty() {
            text.push(letter);
            text.extend_from_slice(hash);
        } else {
            text.extend_from_slice(&out);
        }
        out.extend_from_slice(digest::digest(&digest::SHA256, &text).as_ref());
    }
    out.truncate(n);
    out
}

/// The first encrypted packet from us: the fourth of the connection, after KEXINIT, ECDH_INIT and NEWKEYS.
fn seal(cipher: Cipher, secret: &[u8], hash: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    const SEQUENCE: u32 = 3;
    let block = if cipher == Cipher::ChaCha20 { 8 } else { 16 };
    let mut padding = block - (payload.len() + 1) % block;
    if padding < 4 {
        padding += block;
    }
    let mut body = vec![u8::try_from(padding).ok()?];
    body.extend_from_slice(payload);
    body.resize(body.len() + padding, 0);
    let length = u32::try_from(body.len()).ok()?.to_be_bytes();
    if cipher == Cipher::ChaCha20 {
        let key: [u8; 64] = derive(secret, hash, b'C', 64).try_into().ok()?;
        let key = chacha20_poly1305_openssh::SealingKey::new(&key);
        let mut out = length.to_vec();
        out.extend_from_slice(&body);
        let mut tag = [0; 16];
        key.seal_in_place(SEQUENCE, &mut out, &mut tag);
        out.extend_from_slice(&tag);
        return Some(out);
    }
    let (algorithm, size) = match cipher {
        Cipher::Aes128Gcm => (&aead::AES_128_GCM, 16),
        _ => (&aead::AES_256_GCM, 32),
    };
    let key = LessSafeKey::new(UnboundKey::new(algorithm, &derive(secret, hash, b'C', size)).ok()?);
    let nonce: [u8; 12] = derive(secret, hash, b'A', 12).try_into().ok()?;
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(length),
            &mut body,
        )
        .ok()?;
    let mut out = length.to_vec();
    out.extend_from_slice(&body);
    out.extend_from_slice(tag.as_ref());
    Some(out)
}

/// The key in a blob that may be a certificate (PROTOCOL.certkeys).
fn plain_key(blob: &[u8]) -> Option<Vec<u8>> {
    let mut c = Cursor::new(blob);
    let kind = c.text()?;
    let Some(base) = kind.strip_suffix("-cert-v01@openssh.com") else {
        return Some(blob.to_vec());
    };
    c.string()?; // nonce
    let parts = match base {
        "ssh-ed25519" => 1,
        "ssh-rsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => 2,
        "ssh-dss" => 4,
        _ => return None,
    };
    let mut out = Vec::new();
    put_string(&mut out, base.as_bytes());
    for _ in 0..parts {
        put_string(&mut out, c.string()?);
    }
    Some(out)
}

/// Whether the signature is the key's over the hash; `None` where we do not know the kind.
fn verify(key: &[u8], signed: &[u8], hash: &[u8]) -> Option<bool> {
    let mut k = Cursor::new(key);
    let mut s = Cursor::new(signed);
    let (kind, algorithm, sig) = (k.text()?, s.text()?, s.string()?);
    let good =
        |algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8], sig: &[u8]| {
            signature::UnparsedPublicKey::new(algorithm, key)
                .verify(hash, sig)
                .is_ok()
        };
    match kind.as_str() {
        "ssh-ed25519" => Some(algorithm == kind && good(&signature::ED25519, k.string()?, sig)),
        "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" => {
            let (how, size): (&'static dyn signature::VerificationAlgorithm, usize) =
                if kind.ends_with("256") {
                    (&signature::ECDSA_P256_SHA256_FIXED, 32)
                } else {
                    (&signature::ECDSA_P384_SHA384_FIXED, 48)
                };
            k.string()?; // the curve's name
            let point = k.string()?;
            let mut pair = Cursor::new(sig);
            let mut fixed = padded(pair.string()?, size)?;
            fixed.extend_from_slice(&padded(pair.string()?, size)?);
            Some(algorithm == kind && good(how, point, &fixed))
        }
        "ssh-rsa" => {
            let how = match algorithm.as_str() {
                "rsa-sha2-512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                "rsa-sha2-256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                "ssh-rsa" => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                _ => return None,
            };
            let (e, n) = (digits(k.string()?), digits(k.string()?));
            let key = signature::RsaPublicKeyComponents { n, e };
            Some(key.verify(how, hash, sig).is_ok())
        }
        _ => None,
    }
}

fn digits(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn padded(number: &[u8], size: usize) -> Option<Vec<u8>> {
    let digits = digits(number);
    let mut out = vec![0; size.checked_sub(digits.len())?];
    out.extend_from_slice(digits);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_rfc_4251_writes_them() {
        assert_eq!(mpint(&[0, 0, 0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(mpint(&[0x7f]), [0, 0, 0, 1, 0x7f]);
        assert_eq!(mpint(&[0, 0]), [0, 0, 0, 0]);
        assert_eq!(padded(&[0, 1], 3), Some(vec![0, 0, 1]));
        assert_eq!(padded(&[1, 2, 3], 2), None);
    }

    #[test]
    fn material_grows_by_what_there_is() {
        let a = derive(b"k", b"h", b'C', 64);
        assert_eq!(a[..32], derive(b"k", b"h", b'C', 32)[..]);
        assert_ne!(a[..32], a[32..]);
        assert_ne!(derive(b"k", b"h", b'A', 12), derive(b"k", b"h", b'C', 12));
    }

    #[test]
    fn a_key_is_taken_out_of_its_certificate() {
        let mut plain = Vec::new();
        put_string(&mut plain, b"ssh-ed25519");
        put_string(&mut plain, &[7; 32]);
        assert_eq!(plain_key(&plain), Some(plain.clone()));
        let mut cert = Vec::new();
        put_string(&mut cert, b"ssh-ed25519-cert-v01@openssh.com");
        put_string(&mut cert, b"nonce");
        put_string(&mut cert, &[7; 32]);
        cert.extend_from_slice(&[0; 40]);
        assert_eq!(plain_key(&cert), Some(plain));
        assert_eq!(plain_key(b"\0\0\0\x03abc"), Some(b"\0\0\0\x03abc".to_vec()));
        assert_eq!(plain_key(b""), None);
    }

    #[test]
    fn signatures_of_another_are_refused_and_nonsense_is_none() {
        use ring::signature::{Ed25519KeyPair, KeyPair};
        let random = SystemRandom::new();
        let pair = || {
            let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
        };
        let (mine, other) = (pair(), pair());
        let mut key = Vec::new();
        put_string(&mut key, b"ssh-ed25519");
        put_string(&mut key, mine.public_key().as_ref());
        let by = |pair: &Ed25519KeyPair| {
            let mut s = Vec::new();
            put_string(&mut s, b"ssh-ed25519");
            put_string(&mut s, pair.sign(b"hash").as_ref());
            s
        };
        assert_eq!(verify(&key, &by(&mine), b"hash"), Some(true));
        assert_eq!(verify(&key, &by(&mine), b"hasH"), Some(false));
        assert_eq!(verify(&key, &by(&other), b"hash"), Some(false));
        assert_eq!(verify(&key, b"", b"hash"), None);
        assert_eq!(verify(b"\0\0\0\x01x", &by(&mine), b"hash"), None);
    }

    #[test]
    fn what_the_server_does_not_have_is_not_proposed() {
        let l = |s: &str| s.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut theirs = Proposal {
            kex: l("sntrup761x25519-sha512,curve25519-sha256"),
            host_key: l("rsa-sha2-512,ssh-ed25519"),
            cipher_out: l("aes256-ctr,chacha20-poly1305@openssh.com"),
            cipher_in: l("aes256-ctr"),
            ..Proposal::default()
        };
        let e = Exchange::choose(&theirs, &l("ssh-ed25519")).unwrap();
        assert_eq!(e.host_key, "ssh-ed25519");
        assert_eq!(e.cipher, Some(Cipher::ChaCha20));
        let none = Exchange::choose(&theirs, &[]).unwrap();
        assert_eq!(none.host_key, "rsa-sha2-512");
        theirs.cipher_out = l("aes256-ctr");
        assert_eq!(Exchange::choose(&theirs, &[]).unwrap().cipher, None);
        theirs.kex = l("diffie-hellman-group14-sha1");
        assert!(Exchange::choose(&theirs, &[]).is_none());
    }
}
