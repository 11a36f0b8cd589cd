//! The proposals, and the first class of algorithms in which two of them have nothing in common (RFC 4253 section 7.1).

use super::packet::KEXINIT;
use super::{Cursor, put_string};

/// One side's proposal. Lists in order of preference; where the two directions differ, client to server counts first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proposal {
    pub kex: Vec<String>,
    pub host_key: Vec<String>,
    pub cipher_out: Vec<String>,
    pub cipher_in: Vec<String>,
    pub mac_out: Vec<String>,
    pub mac_in: Vec<String>,
    pub compression_out: Vec<String>,
    pub compression_in: Vec<String>,
}

/// A class in which nothing matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// `kex`, `host-key`, `cipher`, `mac`, `compression`
    pub class: &'static str,
    pub ours: Vec<String>,
    pub theirs: Vec<String>,
}

/// Names in a list that are no algorithms but signs (RFC 8308, and OpenSSH's strict key exchange).
fn is_sign(name: &str) -> bool {
    name.starts_with("ext-info-") || name.starts_with("kex-strict-")
}

/// Ciphers that bring their own integrity check, so that no MAC is agreed on.
fn is_aead(cipher: &str) -> bool {
    cipher.contains("-gcm") || cipher.contains("poly1305") || cipher.starts_with("AEAD_")
}

pub fn parse(payload: &[u8]) -> Option<Proposal> {
    let mut c = Cursor::new(payload);
    (c.u8()? == KEXINIT).then_some(())?;
    c.bytes(16)?;
    let mut list = || -> Option<Vec<String>> {
        let text = c.text()?;
        Some(
            text.split(',')
                .filter(|n| !n.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    };
    Some(Proposal {
        kex: list()?,
        host_key: list()?,
        cipher_out: list()?,
        cipher_in: list()?,
        mac_out: list()?,
        mac_in: list()?,
        compression_out: list()?,
        compression_in: list()?,
    })
}

impl Proposal {
    /// The message's payload; the cookie is the caller's randomness.
    pub fn payload(&self, cookie: [u8; 16]) -> Vec<u8> {
        let mut out = vec![KEXINIT];
        out.extend_from_slice(&cookie);
        for list in [
            &self.kex,
            &self.host_key,
            &self.cipher_out,
            &self.cipher_in,
            &self.mac_out,
            &self.mac_in,
            &self.compression_out,
            &self.compression_in,
        ] {
            put_string(&mut out, list.join(",").as_bytes());
        }
        put_string(&mut out, b""); // languages, both ways
        put_string(&mut out, b"");
        out.extend_from_slice(&[0, 0, 0, 0, 0]); // no guess follows; reserved
        out
    }

    /// The first class, in the order in which OpenSSH chooses (kex.c kex_choose_conf()), without a match; `self` is the
    /// client's. A list of ours that is empty is not known, and matches.
    pub fn mismatch(&self, theirs: &Proposal) -> Option<Mismatch> {
        let check = |class: &'static str, ours: &[String], theirs: &[String]| {
            let missed = !ours.is_empty() && first_match(ours, theirs).is_none();
            missed.then(|| Mismatch {
                class,
                ours: plain(ours),
                theirs: plain(theirs),
            })
        };
        if let Some(m) = check("kex", &self.kex, &theirs.kex) {
            return Some(m);
        }
        if let Some(m) = check("host-key", &self.host_key, &theirs.host_key) {
            return Some(m);
        }
        for (ciphers, their_ciphers, macs, their_macs) in [
            (
                &self.cipher_out,
                &theirs.cipher_out,
                &self.mac_out,
                &theirs.mac_out,
            ),
            (
                &self.cipher_in,
                &theirs.cipher_in,
                &self.mac_in,
                &theirs.mac_in,
            ),
        ] {
            if let Some(m) = check("cipher", ciphers, their_ciphers) {
                return Some(m);
            }
            let aead = first_match(ciphers, their_ciphers).is_some_and(is_aead);
            if !aead && let Some(m) = check("mac", macs, their_macs) {
                return Some(m);
            }
        }
        check(
            "compression",
            &self.compression_out,
            &theirs.compression_out,
        )
    }
}

/// The client's first that the server has too.
pub fn first_match<'a>(ours: &'a [String], theirs: &[String]) -> Option<&'a str> {
    ours.iter()
        .find(|name| !is_sign(name) && theirs.contains(name))
        .map(String::as_str)
}

fn plain(list: &[String]) -> Vec<String> {
    list.iter().filter(|n| !is_sign(n)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    fn modern() -> Proposal {
        Proposal {
            kex: list("curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com"),
            host_key: list("ssh-ed25519,rsa-sha2-512"),
            cipher_out: list("chacha20-poly1305@openssh.com,aes256-ctr"),
            cipher_in: list("chacha20-poly1305@openssh.com,aes256-ctr"),
            mac_out: list("hmac-sha2-256"),
            mac_in: list("hmac-sha2-256"),
            compression_out: list("none"),
            compression_in: list("none"),
        }
    }

    #[test]
    fn a_proposal_survives_the_wire() {
        let p = modern();
        assert_eq!(parse(&p.payload([7; 16])), Some(p.clone()));
        let payload = p.payload([7; 16]);
        for cut in 0..payload.len() - 20 {
            // The tail (languages, flags) is not read; whatever is cut before it is no proposal.
            let _ = parse(&payload[..cut]);
        }
        assert_eq!(parse(&payload[..40]), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn the_first_class_without_a_match_counts() {
        let ours = modern();
        assert_eq!(ours.mismatch(&modern()), None);
        let class = |change: &dyn Fn(&mut Proposal)| {
            let mut theirs = modern();
            change(&mut theirs);
            ours.mismatch(&theirs).map(|m| m.class)
        };
        assert_eq!(class(&|p| p.kex = list("group1")), Some("kex"));
        assert_eq!(
            class(&|p| {
                p.kex = list("kex-strict-c-v00@openssh.com");
                p.host_key = list("ssh-dss");
            }),
            Some("kex"),
            "a sign is no algorithm"
        );
        assert_eq!(class(&|p| p.host_key = list("ssh-dss")), Some("host-key"));
        assert_eq!(class(&|p| p.cipher_in = list("3des-cbc")), Some("cipher"));
        assert_eq!(
            class(&|p| {
                p.mac_out = list("hmac-md5");
                p.mac_in = list("hmac-md5");
            }),
            None,
            "no MAC is needed"
        );
        assert_eq!(
            class(&|p| {
                p.cipher_out = list("aes256-ctr");
                p.mac_out = list("hmac-md5");
            }),
            Some("mac")
        );
        let m = ours.mismatch(&Proposal {
            kex: list("group1"),
            ..modern()
        });
        assert_eq!(m.unwrap().ours, ["curve25519-sha256"]);
    }
}
