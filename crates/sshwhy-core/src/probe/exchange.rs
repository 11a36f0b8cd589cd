//! One connection to an SSH server, up to its host key: bytes in, bytes out, no clock and no socket.
//!
//! The server's greeting is waited for before ours is sent, and its proposal before ours, so that ours can be made of what
//! the server has: it never finds "no matching …" in its log because of a probe. The host key is had by sending a public
//! value that anybody may send; the answer holds the key, which is shown, and proves nothing. The goodbye names us.
//!
//! Where a library is to go on with the same connection ([`Exchange::hand_over`]), we stop after the server's proposal, and
//! keep its bytes for the library to read again.

use super::protocol;
use crate::wire::ident::{self, Progress};
use crate::wire::kexinit::{self, Proposal, first_match};
use crate::wire::packet::{self, Taken};
use crate::wire::{Cursor, put_string};

/// What the server reads of us; it stands in its log.
pub const GREETING: &str = concat!("SSH-2.0-sshwhy_", env!("CARGO_PKG_VERSION"), "\r\n");
pub const GOODBYE: &str = "sshwhy probe: only looking";

/// How many bytes of an answer that is no SSH are kept to tell what it is.
const FIRST_BYTES: usize = 512;

/// How many bytes of the server are kept for a library that goes on: a greeting and a proposal fit many times.
const MOST_REPLAY: usize = 128 << 10;

/// How deep to go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Depth {
    Ident,
    Kex,
    HostKey,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Waiting for the server's greeting.
    Greeting,
    /// Waiting for its proposal.
    Kex,
    /// Waiting for its host key.
    HostKey,
    Done,
}

/// What was seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    pub first_bytes: Vec<u8>,
    pub prelude: Vec<String>,
    pub prelude_lines: usize,
    /// More came than a greeting may be.
    pub flood: bool,
    pub protocol: Option<&'static str>,
    pub greeting: Option<String>,
    pub proposal: Option<Proposal>,
    /// (type, blob), unproven.
    pub host_key: Option<(String, Vec<u8>)>,
    pub disconnect: Option<(u32, String)>,
    /// What came was no packet.
    pub broken: bool,
}

#[derive(Clone, Debug)]
pub struct Exchange {
    depth: Depth,
    phase: Phase,
    reader: ident::Reader,
    buffer: Vec<u8>,
    out: Vec<u8>,
    spoken: bool,
    /// The host key types that the client would take, best first: which of the server's keys to ask for.
    want: Vec<String>,
    /// Bytes of a packet that means nothing, to see whether large packets arrive.
    ballast: usize,
    /// What a library could go on with, each of which the server must fit.
    library: Vec<Proposal>,
    /// The server's greeting line and every byte after it.
    replay: Vec<u8>,
    handed_over: bool,
    pub seen: Seen,
}

impl Exchange {
    pub fn new(depth: Depth, want: &[String], ballast: usize) -> Exchange {
        Exchange {
            depth,
            phase: Phase::Greeting,
            reader: ident::Reader::default(),
            buffer: Vec::new(),
            out: Vec::new(),
            spoken: false,
            want: want.to_vec(),
            ballast,
            library: Vec::new(),
            replay: Vec::new(),
            handed_over: false,
            seen: Seen::default(),
        }
    }

    /// A library shall go on with the connection after the server's proposal, where that fits all of these.
    #[must_use]
    pub fn hand_over(mut self, to: Vec<Proposal>) -> Exchange {
        self.library = to;
        self
    }

    /// What the library is to read first, where it goes on. It must not send [`GREETING`] again.
    pub fn handed_over(&mut self) -> Option<Vec<u8>> {
        self.handed_over.then(|| std::mem::take(&mut self.replay))
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Greets, where the server keeps still: some wait for the client.
    pub fn speak(&mut self) {
        if !self.spoken {
            self.spoken = true;
            self.out.extend_from_slice(GREETING.as_bytes());
        }
    }

    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// What is to be sent now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Takes what came. The buffer never grows past what a greeting or a packet may be.
    pub fn received(&mut self, bytes: &[u8]) {
        let kept = self.seen.first_bytes.len();
        let room = FIRST_BYTES.saturating_sub(kept).min(bytes.len());
        self.seen
            .first_bytes
            .extend_from_slice(bytes.get(..room).unwrap_or_default());
        if self.phase == Phase::Done {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if self.phase == Phase::Greeting {
            self.greeting();
        } else if !self.library.is_empty() {
            self.replay.extend_from_slice(bytes);
            if self.replay.len() > MOST_REPLAY {
                self.library.clear();
                self.replay = Vec::new();
            }
        }
        while self.phase > Phase::Greeting && self.phase != Phase::Done {
            match packet::take(&mut self.buffer) {
                Taken::More => break,
                Taken::Broken => {
                    self.seen.broken = true;
                    self.finish();
                }
                Taken::Payload(payload) => self.payload(&payload),
            }
        }
    }

    /// No more will come.
    pub fn ended(&mut self) {
        if self.phase == Phase::Greeting && self.seen.protocol.is_none() {
            self.seen.protocol = protocol::of_bytes(&self.seen.first_bytes);
            // A last line without an end is a line too.
            if !self.buffer.is_empty() && self.seen.prelude.len() < 20 {
                let rest = String::from_utf8_lossy(&self.buffer).into_owned();
                self.seen.prelude.push(rest);
            }
        }
        self.phase = Phase::Done;
        self.buffer = Vec::new();
    }

    fn greeting(&mut self) {
        let progress = self.reader.read(&mut self.buffer);
        self.seen.prelude = self.reader.prelude.clone();
        self.seen.prelude_lines = self.reader.lines;
        match progress {
            Progress::More => {
                let other = protocol::of_bytes(&self.seen.first_bytes);
                if other.is_some() {
                    self.seen.protocol = other;
                    self.finish();
                }
            }
            Progress::TooMuch => {
                self.seen.protocol = protocol::of_bytes(&self.seen.first_bytes);
                self.seen.flood = true;
                self.finish();
            }
            Progress::Greeting(line) => {
                self.speak();
                let modern = ident::parse(&line).is_some_and(|g| g.speaks_2());
                if line.contains(char::REPLACEMENT_CHARACTER) {
                    // The two sides would sign different greetings.
                    self.library.clear();
                }
                if !self.library.is_empty() {
                    self.replay.extend_from_slice(line.as_bytes());
                    self.replay.extend_from_slice(b"\r\n");
                    self.replay.extend_from_slice(&self.buffer);
                }
                self.seen.greeting = Some(line);
                self.phase = Phase::Kex;
                if self.depth == Depth::Ident || !modern {
                    self.finish();
                }
            }
        }
    }

    fn payload(&mut self, payload: &[u8]) {
        match payload.first().copied() {
            Some(packet::DISCONNECT) => {
                self.seen.disconnect = packet::parse_disconnect(payload);
                self.phase = Phase::Done;
            }
            Some(packet::KEXINIT) if self.phase == Phase::Kex => match kexinit::parse(payload) {
                Some(theirs) => self.propose(theirs),
                None => {
                    self.seen.broken = true;
                    self.finish();
                }
            },
            Some(packet::KEX_ECDH_REPLY) if self.phase == Phase::HostKey => {
                let mut c = Cursor::new(payload);
                c.u8();
                if let Some(blob) = c.string() {
                    let kind = Cursor::new(blob).text().unwrap_or_default();
                    self.seen.host_key = Some((kind, blob.to_vec()));
                } else {
                    self.seen.broken = true;
                }
                self.finish();
            }
            // IGNORE, DEBUG and what else may come.
            _ => {}
        }
    }

    fn propose(&mut self, theirs: Proposal) {
        let fits = |ours: &Proposal| ours.mismatch(&theirs).is_none();
        if !self.library.is_empty() && self.library.iter().all(fits) {
            self.seen.proposal = Some(theirs);
            self.handed_over = true;
            self.phase = Phase::Done;
            self.buffer = Vec::new();
            return;
        }
        let known = kex_with_points();
        let point = first_match(&known, &theirs.kex).and_then(public_value);
        let host_key = first_match(&self.want, &theirs.host_key)
            .map(str::to_owned)
            .or_else(|| theirs.host_key.first().cloned());
        let (Some((kex, value)), Some(host_key), Depth::HostKey) = (point, host_key, self.depth)
        else {
            self.seen.proposal = Some(theirs);
            self.finish();
            return;
        };
        let ours = Proposal {
            kex: vec![kex.to_owned()],
            host_key: vec![host_key],
            cipher_out: theirs.cipher_out.clone(),
            cipher_in: theirs.cipher_in.clone(),
            mac_out: theirs.mac_out.clone(),
            mac_in: theirs.mac_in.clone(),
            compression_out: theirs.compression_out.clone(),
            compression_in: theirs.compression_in.clone(),
        };
        self.seen.proposal = Some(theirs);
        // A cookie need not be random for somebody who keeps no secret.
        self.out
            .extend_from_slice(&packet::wrap(&ours.payload([0x5a; 16])));
        if self.ballast > 0 {
            self.out.extend_from_slice(&packet::ignore(self.ballast));
        }
        let mut init = vec![packet::KEX_ECDH_INIT];
        put_string(&mut init, &value);
        self.out.extend_from_slice(&packet::wrap(&init));
        self.phase = Phase::HostKey;
    }

    /// Says goodbye, where somebody is there who understands it.
    pub fn finish(&mut self) {
        if self.spoken && self.seen.greeting.is_some() && !self.seen.broken {
            let goodbye = packet::disconnect(packet::BY_APPLICATION, GOODBYE);
            self.out.extend_from_slice(&goodbye);
        }
        self.phase = Phase::Done;
        self.buffer = Vec::new();
    }
}

/// The key exchanges for which we know a public value.
fn kex_with_points() -> Vec<String> {
    [
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The base point of Curve25519 (RFC 7748 section 4.1) and the generator of P-256 (SEC 2, section 2.4.2).
fn public_value(kex: &str) -> Option<(&str, Vec<u8>)> {
    const P256: [u8; 64] = [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
        0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98,
        0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c,
        0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68,
        0x37, 0xbf, 0x51, 0xf5,
    ];
    let value = if kex.starts_with("curve25519") {
        let mut point = vec![9];
        point.resize(32, 0);
        point
    } else {
        let mut point = vec![4];
        point.extend_from_slice(&P256);
        point
    };
    Some((kex, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    fn theirs(kex: &str) -> Proposal {
        let l = list("aes256-ctr");
        Proposal {
            kex: list(kex),
            host_key: list("rsa-sha2-512,ssh-ed25519"),
            cipher_out: l.clone(),
            cipher_in: l,
            mac_out: list("hmac-sha2-256"),
            mac_in: list("hmac-sha2-256"),
            compression_out: list("none"),
            compression_in: list("none"),
        }
    }

    fn run(depth: Depth, stream: &[u8], size: usize) -> (Exchange, Vec<u8>) {
        let mut e = Exchange::new(depth, &list("ssh-ed25519"), 0);
        let mut sent = Vec::new();
        for piece in stream.chunks(size) {
            e.received(piece);
            sent.extend(e.take_output());
        }
        (e, sent)
    }

    #[test]
    fn goes_up_to_the_host_key_in_any_pieces_and_names_itself() {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-ed25519");
        put_string(&mut blob, &[1; 32]);
        let mut reply = vec![packet::KEX_ECDH_REPLY];
        put_string(&mut reply, &blob);
        put_string(&mut reply, &[2; 32]);
        put_string(&mut reply, b"signature");
        let mut stream = b"hello\r\nSSH-2.0-Example_1\r\n".to_vec();
        stream.extend(packet::wrap(
            &theirs("sntrup761x25519-sha512,curve25519-sha256").payload([1; 16]),
        ));
        stream.extend(packet::wrap(&reply));
        for size in [1, 3, 64, stream.len()] {
            let (e, sent) = run(Depth::HostKey, &stream, size);
            assert!(e.is_done());
            assert_eq!(e.seen.greeting.as_deref(), Some("SSH-2.0-Example_1"));
            assert_eq!(e.seen.prelude, ["hello"]);
            let (kind, key) = e.seen.host_key.clone().unwrap();
            assert_eq!((kind.as_str(), &key), ("ssh-ed25519", &blob));
            // What we sent: greeting, a proposal made of theirs, the public value, the goodbye.
            let mut rest = sent.strip_prefix(GREETING.as_bytes()).unwrap().to_vec();
            let Taken::Payload(p) = packet::take(&mut rest) else {
                panic!("no proposal");
            };
            let ours = kexinit::parse(&p).unwrap();
            assert_eq!(ours.kex, ["curve25519-sha256"]);
            assert_eq!(ours.host_key, ["ssh-ed25519"], "what the client wants");
            assert_eq!(ours.mismatch(&theirs("curve25519-sha256")), None);
            let Taken::Payload(init) = packet::take(&mut rest) else {
                panic!("no public value");
            };
            assert_eq!((init[0], init.len()), (30, 1 + 4 + 32));
            let Taken::Payload(bye) = packet::take(&mut rest) else {
                panic!("no goodbye");
            };
            assert_eq!(packet::parse_disconnect(&bye).unwrap().0, 11);
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_legacy_server_is_talked_about_where_it_cannot_be_talked_to() {
        let mut stream = b"SSH-2.0-Old\n".to_vec();
        let proposal = theirs("diffie-hellman-group1-sha1");
        stream.extend(packet::wrap(&proposal.payload([1; 16])));
        let (e, sent) = run(Depth::HostKey, &stream, 5);
        assert_eq!(e.seen.proposal, Some(proposal));
        assert!(e.is_done() && e.seen.host_key.is_none());
        let mut rest = sent.strip_prefix(GREETING.as_bytes()).unwrap().to_vec();
        let Taken::Payload(bye) = packet::take(&mut rest) else {
            panic!("no goodbye");
        };
        assert_eq!(packet::parse_disconnect(&bye).unwrap().1, GOODBYE);
    }

    #[test]
    fn other_protocols_and_floods_end_it_without_a_word() {
        let (e, sent) = run(Depth::HostKey, b"HTTP/1.0 400 Bad\r\n\r\n", 4);
        assert_eq!(e.seen.protocol, Some("http"));
        assert!(e.is_done() && sent.is_empty());
        let (e, sent) = run(Depth::HostKey, &vec![b'x'; 10 << 20], 1 << 16);
        assert!(e.seen.flood && e.is_done() && sent.is_empty());
        assert!(e.buffer.capacity() < 1 << 10);
        let (mut e, _) = run(Depth::HostKey, b"Not allowed at this time\r\n", 100);
        e.ended();
        assert_eq!(e.seen.prelude, ["Not allowed at this time"]);
        assert_eq!(e.seen.protocol, None);
    }

    #[test]
    fn nonsense_after_the_greeting_is_broken_not_believed() {
        let (e, _) = run(
            Depth::HostKey,
            b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff",
            100,
        );
        assert!(e.seen.broken && e.is_done());
        let mut stream = b"SSH-2.0-x\r\n".to_vec();
        stream.extend(packet::disconnect(2, "Too many"));
        let (e, _) = run(Depth::HostKey, &stream, 100);
        assert_eq!(e.seen.disconnect, Some((2, "Too many".to_owned())));
    }
}
