//! sshd's escapes, taken back.

use memchr::memchr;
use std::borrow::Cow;

/// A user name or other text as its author typed it: sshd's escapes (`\303\251`, `\n`, `\\`) taken back, at most twice, because
/// up to OpenSSH 10.2 lines with `[preauth]` are escaped twice.
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let once = unescape_once(text);
    // A second time only for octal codes: `corp\\\\ann` is a Windows domain and its user, not a bell.
    let octal =
        |w: &[u8]| w.first() == Some(&b'\\') && w.iter().skip(1).all(|d| (b'0'..=b'7').contains(d));
    if once.windows(4).any(octal) {
        Cow::Owned(unescape_once(&once))
    } else {
        Cow::Owned(once)
    }
}

pub(super) fn unescape_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((b, tail)) = rest.split_first() {
        rest = tail;
        if *b != b'\\' {
            out.push(*b);
            continue;
        }
        let octal = |i: usize| {
            tail.get(i)
                .filter(|d| (b'0'..=b'7').contains(*d))
                .map(|d| u32::from(d - b'0'))
        };
        if let (Some(a), Some(b), Some(c)) = (octal(0), octal(1), octal(2)) {
            out.push((a * 64 + b * 8 + c) as u8);
            rest = tail.get(3..).unwrap_or_default();
            continue;
        }
        let known = match tail.first() {
            Some(b'\\') => Some(b'\\'),
            Some(b'n') => Some(b'\n'),
            Some(b't') => Some(b'\t'),
            Some(b'r') => Some(b'\r'),
            Some(b'a') => Some(7),
            Some(b'b') => Some(8),
            Some(b'f') => Some(12),
            Some(b'v') => Some(11),
            Some(b's') => Some(b' '),
            Some(b'0') => Some(0),
            _ => None,
        };
        match known {
            Some(k) => {
                out.push(k);
                rest = tail.get(1..).unwrap_or_default();
            }
            None => out.push(b'\\'),
        }
    }
    out
}
