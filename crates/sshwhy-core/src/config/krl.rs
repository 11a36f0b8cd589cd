//! Key revocation lists: which keys a KRL file names, by fingerprint (OpenSSH PROTOCOL.krl).
//!
//! Only plain keys are read, listed whole or by SHA-256; a hash by SHA-1 (which ssh-keygen makes on demand only) and sections about certificates (serials, key ids) are passed over: what
//! they revoke is known only together with the certificate, and sshd says it in its log.

use super::authorized_keys::encode;
use sha2::{Digest as _, Sha256};

/// "SSHKRL\n\0".
const MAGIC: &[u8] = b"SSHKRL\n\0";
/// The header after the magic: format version, list version, date and flags.
const NUMBERS: usize = 4 + 8 + 8 + 8;

const EXPLICIT_KEY: u8 = 2;
const SHA256_HASH: u8 = 5;

/// `SHA256:…` without padding, as ssh-keygen prints it.
fn print(hash: &[u8]) -> String {
    format!("SHA256:{}", encode(hash).trim_end_matches('='))
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(head)
}

fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?);
    take(bytes, len as usize)
}

/// The fingerprints (`SHA256:…`) of the plain keys that a KRL revokes; `None` where the bytes are no KRL. A file that is cut
/// short gives what was whole.
pub fn fingerprints(bytes: &[u8]) -> Option<Vec<String>> {
    let mut left = bytes.strip_prefix(MAGIC)?;
    take(&mut left, NUMBERS)?;
    // Reserved, and the comment.
    string(&mut left)?;
    string(&mut left)?;
    let mut out = Vec::new();
    while let Some(kind) = take(&mut left, 1) {
        let Some(mut body) = string(&mut left) else {
            break;
        };
        let kind = kind.first().copied().unwrap_or(0);
        if !matches!(kind, EXPLICIT_KEY | SHA256_HASH) {
            continue;
        }
        while let Some(item) = string(&mut body) {
            out.push(match kind {
                EXPLICIT_KEY => print(&Sha256::digest(item)),
                _ => print(item),
            });
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sections: &[(u8, &[&[u8]])]) -> Vec<u8> {
        let put = |out: &mut Vec<u8>, s: &[u8]| {
            out.extend((s.len() as u32).to_be_bytes());
            out.extend(s);
        };
        let mut out = MAGIC.to_vec();
        out.extend([0; NUMBERS]);
        put(&mut out, b"");
        put(&mut out, b"a comment");
        for (kind, items) in sections {
            let mut body = Vec::new();
            items.iter().for_each(|i| put(&mut body, i));
            out.push(*kind);
            put(&mut out, &body);
        }
        out
    }

    #[test]
    fn keys_are_found_whole_and_by_hash() {
        let krl = with(&[
            (1, &[b"a certificate's section"]),
            (EXPLICIT_KEY, &[b"first", b"second"]),
            (SHA256_HASH, &[Sha256::digest(b"third").as_slice()]),
        ]);
        let wanted: Vec<String> = [&b"first"[..], b"second", b"third"]
            .iter()
            .map(|k| print(&Sha256::digest(k)))
            .collect();
        assert_eq!(fingerprints(&krl), Some(wanted.clone()));
        // Cut anywhere: what is left is read, and nothing is made up.
        for len in 0..krl.len() {
            let cut = fingerprints(&krl[..len]).unwrap_or_default();
            assert!(wanted.starts_with(&cut), "{len}");
        }
        assert_eq!(fingerprints(b"ssh-ed25519 AAAA"), None);
    }
}
