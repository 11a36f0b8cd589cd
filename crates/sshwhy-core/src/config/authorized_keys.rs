//! authorized_keys line by line, as sshd reads it: keys with their options, and lines that it passes over, with the reason.
//!
//! sshd(8) AUTHORIZED_KEYS FILE FORMAT; OpenSSH auth2-pubkeyfile.c, auth-options.c, sshkey.c.

use sha2::{Digest, Sha256};

/// sshd does not read longer lines as one (auth2-pubkeyfile.c reads with getline, older releases cut at 8 KiB).
const LONG_LINE: usize = 64 * 1024;

/// A public key, decoded as far as its type and size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey {
    /// `ssh-ed25519`, `ssh-rsa-cert-v01@openssh.com`, …
    pub kind: String,
    /// `SHA256:…` without padding, as ssh-keygen prints it.
    pub fingerprint: String,
    /// RSA only.
    pub bits: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opt {
    /// Lower case.
    pub name: String,
    pub value: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub options: Vec<Opt>,
    pub key: PublicKey,
    pub comment: String,
}

impl Entry {
    /// The last value of an option, as sshd takes it.
    pub fn option(&self, name: &str) -> Option<&Opt> {
        self.options.iter().rev().find(|o| o.name == name)
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.option(name).and_then(|o| o.value.as_deref())
    }
}

/// Why sshd passes over a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Malformed {
    UnknownType(String),
    /// The base64 text does not decode, or holds less than a key.
    BrokenBlob,
    /// The type in front and the type inside differ.
    TypeMismatch(String),
    BadOptions(String),
    /// `-----BEGIN`, `---- BEGIN SSH2`: another program's format.
    OtherFormat,
    /// UTF-16, as editors of another system write it: sshd reads bytes.
    Wide,
    /// Goes on from the line before: somebody's editor wrapped it.
    Wrapped,
    NotAKey,
}

impl Malformed {
    pub fn text(&self) -> String {
        match self {
            Malformed::UnknownType(t) => format!("key type {t:?} is unknown"),
            Malformed::BrokenBlob => "the key is cut or garbled: its base64 text does not hold a whole key".to_owned(),
            Malformed::TypeMismatch(t) => format!("the line says one type, the key inside is {t:?}"),
            Malformed::BadOptions(o) => format!("option {o:?} is unknown or badly quoted, and one bad option voids the key"),
            Malformed::OtherFormat => "this is another program's key format (or a private key), not one line of type, base64 and comment".to_owned(),
            Malformed::Wide => "the file is UTF-16 text; sshd reads plain ASCII (iconv -f UTF-16 -t ASCII)".to_owned(),
            Malformed::Wrapped => "the key is wrapped over several lines; sshd wants one".to_owned(),
            Malformed::NotAKey => "no key on this line".to_owned(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    Entry(Entry),
    Malformed(Malformed),
}

const TYPES: [&str; 9] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-xmss@openssh.com",
];

fn is_type(word: &str) -> bool {
    let plain = word.replace("-cert-v01@openssh.com", "");
    TYPES
        .iter()
        .any(|t| *t == word || *t == plain || t.strip_suffix("@openssh.com") == Some(&plain))
}

/// Standard base64 with padding (RFC 4648 section 4); `None` where it is none.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let trimmed = text.trim_end_matches('=');
    let padding = text.len() - trimmed.len();
    if padding > 2 || !text.len().is_multiple_of(4) || text.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut have) = (0u32, 0u32);
    for b in trimmed.bytes() {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have & 0xff) as u8);
        }
    }
    Some(out)
}

/// Standard base64, padded.
pub(super) fn encode(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut n = 0u32;
        for i in 0..3 {
            n = n << 8 | u32::from(chunk.get(i).copied().unwrap_or(0));
        }
        for i in 0..=chunk.len() {
            let index = (n >> (18 - 6 * i) & 63) as usize;
            out.push(ALPHABET.get(index).copied().unwrap_or(b'A') as char);
        }
    }
    out
}

/// `SHA256:…` of a key blob.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", encode(&Sha256::digest(blob)))
}

/// A string of the SSH wire format (RFC 4251 section 5) and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*len) as usize)
}

/// The key of `type base64`.
pub fn key(kind: &str, text: &str) -> Result<PublicKey, Malformed> {
    let blob = base64(text).ok_or(Malformed::BrokenBlob)?;
    let (inner, mut rest) = string(&blob).ok_or(Malformed::BrokenBlob)?;
    let inner = String::from_utf8_lossy(inner).into_owned();
    if inner != kind {
        return Err(if is_type(&inner) {
            Malformed::TypeMismatch(inner)
        } else {
            Malformed::BrokenBlob
        });
    }
    let mut strings = Vec::new();
    while let Some((s, more)) = string(rest) {
        strings.push(s);
        rest = more;
        if strings.len() > 16 {
            break;
        }
    }
    let fields = match kind {
        "ssh-ed25519" => 1,
        "ssh-dss" => 4,
        k if k.contains("-cert-") => 2,
        "sk-ecdsa-sha2-nistp256@openssh.com" => 3,
        _ => 2,
    };
    let whole = strings.len() >= fields
        && (kind.contains("-cert-") || rest.is_empty())
        && (kind != "ssh-ed25519" || strings.first().is_some_and(|k| k.len() == 32));
    if !whole {
        return Err(Malformed::BrokenBlob);
    }
    let bits = (kind == "ssh-rsa").then(|| {
        let n = strings.get(1).copied().unwrap_or_default();
        let from = n.iter().position(|b| *b != 0).unwrap_or(n.len());
        let n = n.get(from..).unwrap_or_default();
        let top = n.first().map_or(0, |b| b.leading_zeros());
        (n.len() as u32 * 8).saturating_sub(top)
    });
    Ok(PublicKey {
        kind: kind.to_owned(),
        fingerprint: fingerprint(&blob),
        bits,
    })
}

const FLAGS: [&str; 14] = [
    "restrict",
    "cert-authority",
    "port-forwarding",
    "agent-forwarding",
    "x11-forwarding",
    "pty",
    "user-rc",
    "touch-required",
    "verify-required",
    "no-port-forwarding",
    "no-agent-forwarding",
    "no-x11-forwarding",
    "no-pty",
    "no-user-rc",
];
const VALUES: [&str; 8] = [
    "command",
    "principals",
    "from",
    "expiry-time",
    "environment",
    "permitopen",
    "permitlisten",
    "tunnel",
];

/// The options in front of a key, up to the first blank outside quotes, and what follows.
fn options(text: &str) -> Result<(Vec<Opt>, &str), Malformed> {
    let (mut quoted, mut escaped, mut end) = (false, false, text.len());
    let mut cuts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                end = at;
                break;
            }
            ',' if !quoted => cuts.push(at),
            _ => {}
        }
    }
    let head = text.get(..end).unwrap_or_default();
    if quoted {
        return Err(Malformed::BadOptions(head.chars().take(60).collect()));
    }
    cuts.push(head.len());
    let mut from = 0;
    let mut out = Vec::new();
    for cut in cuts {
        let word = head.get(from..cut).unwrap_or_default();
        from = cut + 1;
        let bad = || Malformed::BadOptions(word.chars().take(60).collect());
        let (name, value) = match word.split_once('=') {
            Some((n, v)) => {
                let v = v
                    .strip_prefix('"')
                    .and_then(|v| v.strip_suffix('"'))
                    .ok_or_else(bad)?;
                (n.to_ascii_lowercase(), Some(v.replace("\\\"", "\"")))
            }
            None => (word.to_ascii_lowercase(), None),
        };
        let known = match &value {
            Some(_) => VALUES.contains(&name.as_str()),
            None => FLAGS.contains(&name.as_str()) || name == "no-touch-required",
        };
        if !known {
            return Err(bad());
        }
        out.push(Opt { name, value });
    }
    Ok((out, text.get(end..).unwrap_or_default().trim_start()))
}

fn entry(options: Vec<Opt>, text: &str) -> Result<Entry, Malformed> {
    let mut words = text.splitn(3, [' ', '\t']).filter(|w| !w.is_empty());
    let kind = words.next().unwrap_or_default();
    if !is_type(kind) {
        return Err(Malformed::UnknownType(kind.chars().take(60).collect()));
    }
    let blob = words.next().ok_or(Malformed::BrokenBlob)?;
    let key = key(kind, blob)?;
    Ok(Entry {
        options,
        key,
        comment: words.next().unwrap_or_default().trim().to_owned(),
    })
}

fn is_base64(text: &str) -> bool {
    text.len() >= 8
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

/// The shortest base64 of a key: less is a word.
const KEY_TEXT: usize = 40;

/// Every whole key in a text, wherever it stands, with where its base64 ends.
fn keys_within(text: &str) -> Vec<(usize, PublicKey)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|t| t.find("AAAA")).map(|i| at + i) {
        let rest = text.get(start..).unwrap_or_default();
        let body = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        let mut len = rest.bytes().take_while(|b| body(*b)).count();
        len += rest
            .bytes()
            .skip(len)
            .take_while(|b| *b == b'=')
            .count()
            .min(2);
        let blob = rest.get(..len).unwrap_or_default();
        at = start + len.max(4);
        if let Some(key) = base64(blob)
            .and_then(|b| Some(String::from_utf8_lossy(string(&b)?.0).into_owned()))
            .and_then(|kind| key(&kind, blob).ok())
        {
            out.push((start + len, key));
        }
    }
    out
}

/// Keys that were written onto the end of another one's line: sshd takes them for its comment.
pub fn glued(entry: &Entry) -> Vec<PublicKey> {
    keys_within(&entry.comment)
        .into_iter()
        .map(|(_, key)| key)
        .collect()
}

/// For lines that do not parse: whose key stands in them all the same, over line ends that do not belong there. The
/// fingerprint is `None` where something like a key is there and cannot be read; lines without any are left out.
pub fn mangled(text: &str) -> Vec<(u32, Option<String>)> {
    let raw: Vec<&str> = text.lines().collect();
    let bad: Vec<u32> = lines(text)
        .into_iter()
        .filter(|(_, l)| matches!(l, Line::Malformed(_)))
        .map(|(n, _)| n)
        .collect();
    let mut out = Vec::new();
    for run in bad.chunk_by(|a, b| a + 1 == *b) {
        // One text without line ends, and which line each byte came from. UTF-16 is ASCII with zeros in between.
        let (mut joined, mut from) = (String::new(), Vec::new());
        for n in run {
            let line = raw.get(*n as usize - 1).copied().unwrap_or_default();
            joined.extend(line.chars().filter(|c| !matches!(c, '\0' | '\r')));
            from.resize(joined.len(), *n);
        }
        let keys: Vec<(u32, String)> = keys_within(&joined)
            .into_iter()
            .map(|(end, key)| (from.get(end - 1).copied().unwrap_or(0), key.fingerprint))
            .collect();
        let has_body = |line: &str| {
            line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')))
                .any(|w| w.len() >= KEY_TEXT)
        };
        for n in run {
            let line = raw.get(*n as usize - 1).copied().unwrap_or_default();
            // A line belongs to the key that ends in it or after it, the last ones to the last.
            let key = keys.iter().find(|(last, _)| n <= last).or(keys.last());
            match key {
                Some((_, key)) => out.push((*n, Some(key.clone()))),
                None if has_body(line) || has_body(&joined) => out.push((*n, None)),
                None => {}
            }
        }
    }
    out
}

/// One line: `None` for empty lines and comments.
pub fn line(text: &str) -> Option<Line> {
    let text = text
        .trim_end_matches(['\n', '\r'])
        .trim_start_matches([' ', '\t']);
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    if text.starts_with("-----BEGIN")
        || text.starts_with("---- BEGIN")
        || text.starts_with("PuTTY-User-Key")
    {
        return Some(Line::Malformed(Malformed::OtherFormat));
    }
    if text.contains('\0') {
        let says = text.chars().any(|c| c != '\0' && !c.is_whitespace());
        return says.then_some(Line::Malformed(Malformed::Wide));
    }
    if text.len() > LONG_LINE {
        return Some(Line::Malformed(Malformed::NotAKey));
    }
    let first = text.split([' ', '\t']).next().unwrap_or_default();
    let read = if is_type(first) {
        entry(Vec::new(), text)
    } else if first.contains(',')
        || first.contains('=')
        || FLAGS.contains(&first.to_ascii_lowercase().as_str())
        || text.contains(" ssh-")
        || text.contains(" ecdsa-")
        || text.contains(" sk-")
    {
        options(text).and_then(|(o, rest)| entry(o, rest))
    } else {
        Err(Malformed::UnknownType(first.chars().take(60).collect()))
    };
    Some(match read {
        Ok(entry) => Line::Entry(entry),
        Err(Malformed::UnknownType(t)) if is_base64(&t) => Line::Malformed(Malformed::Wrapped),
        Err(why) => Line::Malformed(why),
    })
}

/// Every line that says something, with its number from 1.
pub fn lines(text: &str) -> Vec<(u32, Line)> {
    let mut out: Vec<(u32, Line)> = Vec::new();
    for (i, l) in text.split('\n').enumerate() {
        if let Some(line) = line(l) {
            // The second half of a wrapped key says what is wrong with the first.
            if line == Line::Malformed(Malformed::Wrapped)
                && let Some((_, before)) = out.last_mut()
                && *before == Line::Malformed(Malformed::BrokenBlob)
            {
                *before = Line::Malformed(Malformed::Wrapped);
            }
            out.push((i as u32 + 1, line));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBA2oH3nUcQtnCHOVmTm5kTmJYiTfg+CQ/YcYzgYCyj";

    fn one(text: &str) -> Line {
        line(text).unwrap()
    }

    #[test]
    fn a_mangled_line_still_says_whose_key_it_was() {
        const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";
        let whole = key("ssh-ed25519", KEY).unwrap().fingerprint;
        let (a, b) = KEY.split_at(30);
        let is = |text: &str| mangled(text);
        assert_eq!(is(&format!("ssh-ed25519 {KEY} x\n")), []);
        assert_eq!(
            is(&format!("# mine\nsh-ed25519 {KEY} x\n")),
            [(2, Some(whole.clone()))]
        );
        assert_eq!(
            is(&format!("ssh-ed25519 {a}\n{b} x@y\n")),
            [(1, Some(whole.clone())), (2, Some(whole.clone()))]
        );
        let broken = KEY.replacen("AAAAIAEC", "AAAAIAE", 1);
        assert_eq!(is(&format!("ssh-ed25519 {broken} x\n")), [(1, None)]);
        let wide: String = format!("ssh-ed25519 {KEY} x\n")
            .chars()
            .flat_map(|c| [c, '\0'])
            .collect();
        assert_eq!(is(&wide), [(1, Some(whole))]);
        assert_eq!(
            lines(&wide),
            [(1, Line::Malformed(Malformed::Wide))],
            "what is left of the line end says nothing"
        );
        assert_eq!(is("nothing like a key\n"), []);
        assert_eq!(is("AAAA\nAAAA=\n\u{e9}AAAA"), []);
    }

    #[test]
    fn a_second_key_on_the_line_is_the_comment_of_the_first() {
        const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";
        let second = key("ssh-ed25519", KEY).unwrap();
        let all = |text: &str| match one(text) {
            Line::Entry(e) => glued(&e),
            Line::Malformed(m) => panic!("{m:?}"),
        };
        let both = format!("{ED} bob@laptopssh-ed25519 {KEY} carol@client");
        for text in [
            both,
            format!("{ED} bob ssh-ed25519 {KEY}"),
            format!("{ED} ssh-ed25519 {KEY} x"),
        ] {
            assert_eq!(all(&text), std::slice::from_ref(&second), "{text}");
        }
        assert_eq!(all(&format!("{ED} bob@laptop AAAA of the team")), []);
        assert_eq!(all(&format!("{ED} was {}", &KEY[..40])), []);
        assert_eq!(all(ED), []);
    }

    #[test]
    fn keys_with_and_without_options() {
        let Line::Entry(e) = one(&format!("{ED} me@there")) else {
            panic!()
        };
        assert_eq!(
            (e.key.kind.as_str(), e.comment.as_str()),
            ("ssh-ed25519", "me@there")
        );
        assert!(e.key.fingerprint.starts_with("SHA256:") && e.key.fingerprint.len() == 50);
        let Line::Entry(e) = one(&format!(
            "from=\"192.0.2.0/24,*.x\",no-pty,command=\"echo \\\"a, b\\\" c\" {ED}"
        )) else {
            panic!()
        };
        assert_eq!(e.value("from"), Some("192.0.2.0/24,*.x"));
        assert_eq!(e.value("command"), Some("echo \"a, b\" c"));
        assert!(e.option("no-pty").is_some() && e.option("restrict").is_none());
    }

    #[test]
    fn what_sshd_passes_over_is_named() {
        let bad = |t: &str| match one(t) {
            Line::Malformed(m) => m,
            Line::Entry(e) => panic!("{e:?}"),
        };
        assert_eq!(bad(&ED[..60]), Malformed::BrokenBlob);
        assert_eq!(
            bad(&format!("{}=", &ED[..ED.len() - 1])),
            Malformed::BrokenBlob
        );
        assert_eq!(bad("AAAAC3NzaC1lZDI1NTE5AAAAIBBA2o"), Malformed::Wrapped);
        assert_eq!(
            bad(&format!("comand=\"x\" {ED}")),
            Malformed::BadOptions("comand=\"x\"".into())
        );
        assert_eq!(
            bad(&format!("from=\"192.0.2.1 {ED}")),
            Malformed::BadOptions(format!("from=\"192.0.2.1 {ED}").chars().take(60).collect())
        );
        assert_eq!(
            bad("-----BEGIN OPENSSH PRIVATE KEY-----"),
            Malformed::OtherFormat
        );
        assert_eq!(
            bad(&ED.replace("ssh-ed25519 ", "ssh-rsa ")),
            Malformed::TypeMismatch("ssh-ed25519".into())
        );
        assert_eq!(
            bad("sssh-ed25519 AAAA"),
            Malformed::UnknownType("sssh-ed25519".into())
        );
        assert_eq!(line("  # c"), None);
    }

    #[test]
    fn both_halves_of_a_wrapped_key_say_so() {
        let text = format!("{}\n{}\n", &ED[..50], &ED[50..]);
        let kinds: Vec<Line> = lines(&text).into_iter().map(|(_, l)| l).collect();
        assert_eq!(
            kinds,
            [
                Line::Malformed(Malformed::Wrapped),
                Line::Malformed(Malformed::Wrapped)
            ]
        );
    }

    #[test]
    fn base64_is_strict() {
        assert_eq!(base64("QUJD"), Some(b"ABC".to_vec()));
        assert_eq!(base64("QUI="), Some(b"AB".to_vec()));
        assert_eq!(base64("QUI"), None);
        assert_eq!(base64("Q-I="), None);
        assert_eq!(encode(b"AB"), "QUI");
    }
}
