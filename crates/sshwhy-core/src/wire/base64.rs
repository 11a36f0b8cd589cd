//! Base64 as key files and known_hosts write it (RFC 4648 section 4).

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes; white space is skipped, padding ends it, anything else is no base64.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for (i, &b) in text.iter().enumerate() {
        if b.is_ascii_whitespace() {
            continue;
        }
        if b == b'=' {
            let rest = text.get(i..).unwrap_or_default();
            let clean = rest.iter().all(|b| *b == b'=' || b.is_ascii_whitespace());
            return clean.then_some(out);
        }
        let value = u32::try_from(LETTERS.iter().position(|l| *l == b)?).ok()?;
        bits = (bits << 6) | value;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(((bits >> held) & 0xff) as u8);
        }
    }
    Some(out)
}

/// Encodes without padding, as fingerprints are written (ssh-keygen(1), `SHA256:…`).
pub fn encode_unpadded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut push = |value: u32| {
        let letter = LETTERS.get((value & 63) as usize).copied().unwrap_or(b'A');
        out.push(char::from(letter));
    };
    for &b in bytes {
        bits = (bits << 8) | u32::from(b);
        held += 8;
        while held >= 6 {
            held -= 6;
            push(bits >> held);
        }
    }
    if held > 0 {
        push(bits << (6 - held));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (plain, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode_unpadded(plain), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(plain));
        }
        assert_eq!(decode(b"Zg==\n").as_deref(), Some(&b"f"[..]));
        assert_eq!(decode(b"Zm\n9v").as_deref(), Some(&b"foo"[..]));
        assert_eq!(decode(b"Z=g"), None);
        assert_eq!(decode(b"Zm9v!"), None);
    }
}
