//! Private key files, public keys and user certificates: what they are, without using them.
//!
//! Formats: OpenSSH's own (PROTOCOL.key), PEM (RFC 7468: PKCS#1, SEC1, PKCS#8), PuTTY's; public lines and certificates
//! (PROTOCOL.certkeys). Nothing secret is kept or returned.

use crate::wire::{Cursor, base64};
use sha2::{Digest, Sha256};

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A private key; whether it takes a passphrase.
    Private { encrypted: bool },
    /// A public key where a private one belongs.
    Public,
    /// PuTTY's format, which ssh does not read.
    Putty,
    /// None of these; why.
    Invalid(&'static str),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFile {
    pub kind: Kind,
    /// The public key's blob, where the file shows it.
    pub public: Option<Vec<u8>>,
}

/// Reads a private key file.
pub fn read(bytes: &[u8]) -> KeyFile {
    let invalid = |why| KeyFile {
        kind: Kind::Invalid(why),
        public: None,
    };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return invalid("it is empty");
    }
    if text.starts_with("PuTTY-User-Key-File-") {
        return KeyFile {
            kind: Kind::Putty,
            public: None,
        };
    }
    if let Some((_, blob)) = public_line(text.lines().next().unwrap_or_default()) {
        return KeyFile {
            kind: Kind::Public,
            public: Some(blob),
        };
    }
    let Some((label, body)) = pem(text) else {
        return invalid(if text.contains("-----BEGIN ") {
            "its last line (-----END …) is missing or broken"
        } else {
            "it does not begin like a private key"
        });
    };
    if label == "OPENSSH PRIVATE KEY" {
        let Some(decoded) = base64::decode(body.as_bytes()) else {
            return invalid("its text is no base64");
        };
        return match openssh(&decoded) {
            Some(file) => file,
            None => invalid("its content is cut off or damaged"),
        };
    }
    let known = [
        "RSA PRIVATE KEY",
        "DSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    ];
    if !known.contains(&label) {
        return invalid("it holds something else than a private key");
    }
    let encrypted = label.starts_with("ENCRYPTED")
        || body
            .lines()
            .any(|l| l.starts_with("Proc-Type:") && l.contains("ENCRYPTED"));
    let data: String = body.lines().filter(|l| !l.contains(':')).collect();
    if !encrypted && base64::decode(data.as_bytes()).is_none_or(|d| d.first() != Some(&0x30)) {
        return invalid("its text is damaged");
    }
    KeyFile {
        kind: Kind::Private { encrypted },
        public: None,
    }
}

/// The label and what stands between BEGIN and END.
fn pem(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let end = format!("-----END {label}-----");
    let (body, _) = rest.split_once(&end)?;
    Some((label, body))
}

/// PROTOCOL.key: magic, cipher, kdf, kdf options, count, public keys, private part.
fn openssh(bytes: &[u8]) -> Option<KeyFile> {
    let mut c = Cursor::new(bytes.strip_prefix(b"openssh-key-v1\0")?);
    let cipher = c.text()?;
    c.string()?;
    c.string()?;
    let count = c.u32()?;
    (count == 1).then_some(())?;
    let public = c.string()?.to_vec();
    let secret = c.string()?;
    (!secret.is_empty()).then_some(())?;
    Some(KeyFile {
        kind: Kind::Private {
            encrypted: cipher != "none",
        },
        public: Some(public),
    })
}

/// `ssh-ed25519 AAAA… comment`: type and blob, where they agree.
pub fn public_line(line: &str) -> Option<(String, Vec<u8>)> {
    let mut words = line.split_whitespace();
    let kind = words.next()?;
    let blob = base64::decode(words.next()?.as_bytes())?;
    let inner = Cursor::new(&blob).text()?;
    (inner == kind).then(|| (kind.to_owned(), blob))
}

/// `SHA256:…`, as ssh-keygen -l shows it.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", base64::encode_unpadded(&Sha256::digest(blob)))
}

/// The word of the catalogue for a key type's name.
pub fn kind_word(name: &str) -> &'static str {
    match name {
        n if n.starts_with("sk-ssh-ed25519") => "ed25519-sk",
        n if n.starts_with("sk-ecdsa") => "ecdsa-sk",
        n if n.starts_with("ssh-ed25519") => "ed25519",
        n if n.starts_with("ecdsa-") => "ecdsa",
        n if n.starts_with("ssh-rsa") || n.starts_with("rsa-sha2") => "rsa",
        n if n.starts_with("ssh-dss") => "dsa",
        _ => "other",
    }
}

/// A certificate's terms (PROTOCOL.certkeys).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    pub kind: String,
    /// Of a user (1) or of a host (2).
    pub host: bool,
    pub key_id: String,
    /// Empty: any, for a host or an old server.
    pub principals: Vec<String>,
    /// Seconds since the epoch.
    pub valid_after: u64,
    /// `u64::MAX`: for ever.
    pub valid_before: u64,
    /// The blob of the key that signed it.
    pub authority: Vec<u8>,
}

/// Reads a certificate's blob.
pub fn certificate(blob: &[u8]) -> Option<Certificate> {
    let mut c = Cursor::new(blob);
    let kind = c.text()?;
    let base = kind.strip_suffix("-cert-v01@openssh.com")?;
    c.string()?; // nonce
    let parts = match base {
        "ssh-rsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => 2,
        "ssh-dss" => 4,
        "ssh-ed25519" => 1,
        "sk-ssh-ed25519" => 2,
        "sk-ecdsa-sha2-nistp256" => 3,
        _ => return None,
    };
    for _ in 0..parts {
        c.string()?;
    }
    c.u64()?; // serial
    let host = c.u32()? == 2;
    let key_id = c.text()?;
    let mut names = Cursor::new(c.string()?);
    let mut principals = Vec::new();
    while !names.is_empty() && principals.len() < 1000 {
        principals.push(names.text()?);
    }
    let (valid_after, valid_before) = (c.u64()?, c.u64()?);
    // Critical options, extensions, reserved.
    for _ in 0..3 {
        c.string()?;
    }
    Some(Certificate {
        kind,
        host,
        key_id,
        principals,
        valid_after,
        valid_before,
        authority: c.string()?.to_vec(),
    })
}

impl Certificate {
    /// Whether a client that trusts its authority takes it for a host that known_hosts calls `name`.
    pub fn is_for_host(&self, now: u64, name: &str) -> bool {
        // `[host]:port` in known_hosts, the bare name in certificates.
        let bare = name
            .strip_prefix('[')
            .and_then(|n| n.split_once("]:"))
            .map_or(name, |(host, _)| host);
        let named = self.principals.is_empty()
            || self
                .principals
                .iter()
                .any(|p| super::known_hosts::matches(p, bare));
        self.host && named && (self.valid_after..self.valid_before).contains(&now)
    }

    /// The word of the catalogue: what a server that trusts its CA thinks of it at `now` for `user`.
    pub fn judge(&self, now: u64, user: Option<&str>) -> &'static str {
        if self.host {
            "host-certificate"
        } else if now >= self.valid_before {
            "expired"
        } else if now < self.valid_after {
            "not-yet-valid"
        } else if let Some(user) = user
            && !self.principals.iter().any(|p| p == user)
        {
            "wrong-principal"
        } else {
            "valid"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_string;

    fn openssh_key(cipher: &str) -> String {
        let mut public = Vec::new();
        put_string(&mut public, b"ssh-ed25519");
        put_string(&mut public, &[3; 32]);
        let mut b = b"openssh-key-v1\0".to_vec();
        put_string(&mut b, cipher.as_bytes());
        put_string(&mut b, b"none");
        put_string(&mut b, b"");
        b.extend_from_slice(&[0, 0, 0, 1]);
        put_string(&mut b, &public);
        put_string(&mut b, &[1; 64]);
        format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            base64::encode_unpadded(&b)
        )
    }

    #[test]
    fn key_files_say_what_they_are() {
        let plain = read(openssh_key("none").as_bytes());
        assert_eq!(plain.kind, Kind::Private { encrypted: false });
        assert_eq!(plain.public.map(|p| p.len()), Some(4 + 11 + 4 + 32));
        let locked = read(openssh_key("aes256-ctr").as_bytes());
        assert_eq!(locked.kind, Kind::Private { encrypted: true });
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(read(pem.as_bytes()).kind, Kind::Private { encrypted: true });
        let pkcs8 = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
        assert_eq!(
            read(pkcs8.as_bytes()).kind,
            Kind::Private { encrypted: false }
        );
        assert_eq!(
            read(b"PuTTY-User-Key-File-3: ssh-ed25519\n").kind,
            Kind::Putty
        );
        for bad in [
            "".to_owned(),
            "hello".to_owned(),
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n".to_owned(),
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
                .to_owned(),
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            openssh_key("none").replace("b3BlbnNz", "b3BlbnN!"),
        ] {
            assert!(
                matches!(read(bad.as_bytes()).kind, Kind::Invalid(_)),
                "{bad}"
            );
        }
        let mut line = Vec::new();
        put_string(&mut line, b"ssh-ed25519");
        put_string(&mut line, &[3; 32]);
        let line = format!("ssh-ed25519 {} me", base64::encode_unpadded(&line));
        assert_eq!(read(line.as_bytes()).kind, Kind::Public);
    }

    fn cert(host: bool, principals: &[&str], from: u64, to: u64) -> Vec<u8> {
        let mut b = Vec::new();
        put_string(&mut b, b"ssh-ed25519-cert-v01@openssh.com");
        put_string(&mut b, &[9; 32]);
        put_string(&mut b, &[3; 32]);
        b.extend_from_slice(&7_u64.to_be_bytes());
        b.extend_from_slice(&(if host { 2_u32 } else { 1 }).to_be_bytes());
        put_string(&mut b, b"me");
        let mut names = Vec::new();
        for p in principals {
            put_string(&mut names, p.as_bytes());
        }
        put_string(&mut b, &names);
        b.extend_from_slice(&from.to_be_bytes());
        b.extend_from_slice(&to.to_be_bytes());
        for part in [&b""[..], b"", b"", b"the authority"] {
            put_string(&mut b, part);
        }
        b
    }

    #[test]
    fn a_host_certificate_is_for_its_names_and_its_time() {
        let cert = certificate(&cert(true, &["*.lab.example"], 100, 200)).unwrap();
        assert_eq!(cert.authority, b"the authority");
        assert!(cert.is_for_host(150, "a.lab.example"));
        assert!(cert.is_for_host(150, "[a.lab.example]:2222"));
        assert!(!cert.is_for_host(150, "a.other.example"));
        assert!(!cert.is_for_host(200, "a.lab.example"));
    }

    #[test]
    fn certificates_are_judged_by_clock_and_name() {
        let judge = |host, principals: &[&str], now| {
            certificate(&cert(host, principals, 100, 200))
                .unwrap()
                .judge(now, Some("alice"))
        };
        assert_eq!(judge(false, &["alice", "bob"], 150), "valid");
        assert_eq!(judge(false, &["alice"], 99), "not-yet-valid");
        assert_eq!(judge(false, &["alice"], 200), "expired");
        assert_eq!(judge(false, &["webadmin"], 150), "wrong-principal");
        assert_eq!(judge(false, &[], 150), "wrong-principal");
        assert_eq!(judge(true, &["alice"], 150), "host-certificate");
        let whole = cert(false, &["alice"], 1, 2);
        for cut in 0..whole.len() {
            assert_eq!(certificate(&whole[..cut]), None);
        }
    }
}
