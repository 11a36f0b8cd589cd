//! known_hosts as ssh reads it: names, patterns, hashes, `@cert-authority` and `@revoked` (sshd(8), hostfile.c).

use super::keyfile::{certificate, public_line};
use crate::wire::base64;
use sha1::{Digest, Sha1};

/// How many lines are read.
const MOST_LINES: usize = 200_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Marker {
    None,
    Authority,
    Revoked,
}

/// One line that could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// 1 is the first.
    pub line: usize,
    pub marker: Marker,
    /// As it stands there: names and patterns with commas, or one hash.
    pub hosts: String,
    /// `ssh-ed25519`, …
    pub kind: String,
    pub blob: Vec<u8>,
}

/// What the file says about a key of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Check {
    Match {
        line: usize,
    },
    /// There is a key of this type for the host, and it is another one.
    Changed {
        line: usize,
    },
    Revoked {
        line: usize,
    },
    /// A certificate of an authority that is known for the host, and that does not hold: its time, or another host's.
    Invalid {
        line: usize,
    },
    Unknown,
}

impl Check {
    /// The word of the catalogue.
    pub fn word(&self) -> &'static str {
        match self {
            Check::Match { .. } => "match",
            Check::Changed { .. } => "changed",
            Check::Revoked { .. } => "revoked",
            Check::Invalid { .. } => "certificate-invalid",
            Check::Unknown => "unknown",
        }
    }

    /// The line that says so; 0 for none.
    pub fn line(&self) -> usize {
        match *self {
            Check::Match { line }
            | Check::Changed { line }
            | Check::Revoked { line }
            | Check::Invalid { line } => line,
            Check::Unknown => 0,
        }
    }

    /// Which of two files' answers counts: the greater one.
    pub fn rank(&self) -> u8 {
        match self {
            Check::Unknown => 0,
            Check::Changed { .. } => 1,
            Check::Invalid { .. } => 2,
            Check::Match { .. } => 3,
            Check::Revoked { .. } => 4,
        }
    }
}

/// Reads a file; lines that are no entries are left out, as ssh leaves them out.
pub fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (i, line) in text.lines().enumerate().take(MOST_LINES) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (marker, rest) = match line.strip_prefix('@') {
            Some(rest) => match rest.split_once(char::is_whitespace) {
                Some(("cert-authority", rest)) => (Marker::Authority, rest.trim_start()),
                Some(("revoked", rest)) => (Marker::Revoked, rest.trim_start()),
                _ => continue,
            },
            None => (Marker::None, line),
        };
        let Some((hosts, key)) = rest.split_once(char::is_whitespace) else {
            continue;
        };
        if let Some((kind, blob)) = public_line(key) {
            entries.push(Entry {
                line: i + 1,
                marker,
                hosts: hosts.to_owned(),
                kind,
                blob,
            });
        }
    }
    entries
}

/// How a host is written there: `host`, or `[host]:port` where the port is another than 22.
pub fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

impl Entry {
    /// Whether the line is about that name (as [`name`] writes it).
    pub fn covers(&self, name: &str) -> bool {
        if let Some(hash) = self.hosts.strip_prefix("|1|") {
            let Some((salt, digest)) = hash.split_once('|') else {
                return false;
            };
            let (Some(salt), Some(digest)) = (
                base64::decode(salt.as_bytes()),
                base64::decode(digest.as_bytes()),
            ) else {
                return false;
            };
            return hmac_sha1(&salt, name.as_bytes()) == digest;
        }
        let mut found = false;
        for pattern in self.hosts.split(',') {
            match pattern.strip_prefix('!') {
                Some(pattern) if matches(pattern, name) => return false,
                Some(_) => {}
                None => found |= matches(pattern, name),
            }
        }
        found
    }

    /// The plain names of the line; none where they are hashed or patterns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hosts
            .split(',')
            .filter(|n| !n.starts_with(['|', '!']) && !n.contains(['*', '?']))
    }
}

/// What the entries say about this key, or certificate, for this name at `now` (seconds since the epoch).
pub fn check(entries: &[Entry], name: &str, kind: &str, blob: &[u8], now: u64) -> Check {
    let mine = || entries.iter().filter(|e| e.covers(name));
    if let Some(e) = mine().find(|e| e.marker == Marker::Revoked && e.blob == blob) {
        return Check::Revoked { line: e.line };
    }
    if let Some(cert) = certificate(blob) {
        let by = |marker| mine().find(|e| e.marker == marker && e.blob == cert.authority);
        if let Some(e) = by(Marker::Revoked) {
            return Check::Revoked { line: e.line };
        }
        return match by(Marker::Authority) {
            Some(e) if cert.is_for_host(now, name) => Check::Match { line: e.line },
            Some(e) => Check::Invalid { line: e.line },
            None => Check::Unknown,
        };
    }
    if let Some(e) = mine().find(|e| e.marker == Marker::None && e.blob == blob) {
        return Check::Match { line: e.line };
    }
    match mine().find(|e| e.marker == Marker::None && e.kind == kind) {
        Some(e) => Check::Changed { line: e.line },
        None => Check::Unknown,
    }
}

/// `*` and `?`, letters in any case (match.c match_pattern()).
pub fn matches(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (
        pattern.to_ascii_lowercase().chars().collect(),
        text.to_ascii_lowercase().chars().collect(),
    );
    // Greedy with one way back: linear but for the last star.
    let (mut i, mut j) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while j < t.len() {
        match p.get(i) {
            Some('*') => {
                back = Some((i, j));
                i += 1;
            }
            Some(c) if *c == '?' || Some(c) == t.get(j) => {
                i += 1;
                j += 1;
            }
            _ => match back {
                Some((star, at)) => {
                    back = Some((star, at + 1));
                    i = star + 1;
                    j = at + 1;
                }
                None => return false,
            },
        }
    }
    p.get(i..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// RFC 2104 with SHA-1: how known_hosts hashes names. The salt is the key and never longer than a block here.
fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    for (b, k) in block.iter_mut().zip(key) {
        *b = *k;
    }
    let pad = |with: u8| block.map(|b| b ^ with);
    let inner = Sha1::new()
        .chain_update(pad(0x36))
        .chain_update(text)
        .finalize();
    Sha1::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_string;

    fn key(n: u8) -> (String, Vec<u8>) {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-ed25519");
        put_string(&mut blob, &[n; 32]);
        (
            format!("ssh-ed25519 {}", base64::encode_unpadded(&blob)),
            blob,
        )
    }

    #[test]
    fn says_what_ssh_would_say() {
        let (one, blob_one) = key(1);
        let (two, blob_two) = key(2);
        let (three, blob_three) = key(3);
        let text = format!(
            "# mine\nserver.example,192.0.2.7 {one} comment\n[server.example]:2222 {two}\n\
             *.lab.example,!bad.lab.example {two}\n@revoked * {three}\n@cert-authority *.ca.example {one}\n\
             broken line\n@unknown x {one}\n"
        );
        let entries = parse(&text);
        assert_eq!(entries.len(), 5);
        let check = |name: &str, blob: &[u8]| super::check(&entries, name, "ssh-ed25519", blob, 0);
        assert_eq!(check("server.example", &blob_one), Check::Match { line: 2 });
        assert_eq!(check("192.0.2.7", &blob_two), Check::Changed { line: 2 });
        assert_eq!(
            check(&name("Server.Example", 2222), &blob_two),
            Check::Match { line: 3 }
        );
        assert_eq!(check("a.lab.example", &blob_two), Check::Match { line: 4 });
        assert_eq!(check("bad.lab.example", &blob_two), Check::Unknown);
        assert_eq!(
            check("server.example", &blob_three),
            Check::Revoked { line: 5 }
        );
        assert_eq!(
            check("x.ca.example", &blob_one),
            Check::Unknown,
            "an authority's key is no host's key"
        );
        assert_eq!(
            entries[0].names().collect::<Vec<_>>(),
            ["server.example", "192.0.2.7"]
        );
    }

    #[test]
    fn hashed_names_are_found() {
        // RFC 2202, case 2, as a check of the hash itself.
        assert_eq!(
            hmac_sha1(b"Jefe", b"what do ya want for nothing?")[..4],
            [0xef, 0xfc, 0xdf, 0x6a]
        );
        let salt = [5_u8; 20];
        let digest = hmac_sha1(&salt, b"server.example");
        let line = format!(
            "|1|{}=|{}= {}",
            base64::encode_unpadded(&salt),
            base64::encode_unpadded(&digest),
            key(1).0
        );
        let entries = parse(&line);
        assert!(entries[0].covers("server.example"));
        assert!(!entries[0].covers("server.example.org"));
        assert_eq!(entries[0].names().count(), 0);
    }

    #[test]
    fn patterns_match_like_globs() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("?b?", "abc", true),
            ("*.example", "a.b.example", true),
            ("*a*b", "xaab", true),
            ("", "x", false),
            ("HOST", "host", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(50), &"a".repeat(49)));
    }
}
