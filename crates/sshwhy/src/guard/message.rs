//! What the two halves say to each other: a line of JSON each.

use serde::{Deserialize, Serialize};
use sshwhy_core::ban::Action;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// From the one that decides to the one that acts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    Apply(Vec<Action>),
    /// What is to hold, in pieces: after a start, and when the rules are gone.
    Restore {
        first: bool,
        bans: Vec<Action>,
    },
    /// Lift everything.
    Flush,
    /// Still there; what is to be shown as the unit's status.
    Alive(String),
}

/// The way back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Text of the settings, and where it is from.
    Config {
        text: String,
        name: String,
    },
    Applied {
        banned: usize,
        unbanned: usize,
        /// Network and reason.
        refused: Vec<(String, String)>,
    },
    /// The firewall could not do it; nothing of that was done.
    Failed(String),
    /// A ban that the live rules do not keep: what, why.
    Ineffective(String, String),
    /// A ban was seen to hold.
    Effective,
    /// The rules are gone: say again what is to hold.
    Lost,
    /// Which firewall it is, and whether its bans end by themselves.
    Firewall(String, bool),
    Stop,
}

/// A line longer than this is none.
const LONGEST: usize = 64 << 20;
/// Actions in one line.
pub const PIECE: usize = 20_000;

/// One end of the pair; lines in pieces.
pub struct Peer {
    pub stream: UnixStream,
    held: Vec<u8>,
    /// The other side is gone.
    pub closed: bool,
}

impl Peer {
    pub fn new(stream: UnixStream) -> io::Result<Peer> {
        Ok(Peer {
            stream,
            held: Vec::new(),
            closed: false,
        })
    }

    pub fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stream.set_nonblocking(false)?;
        self.stream.write_all(&line)
    }

    /// What is there, without waiting.
    pub fn receive<T: for<'de> Deserialize<'de>>(&mut self) -> Vec<T> {
        // Small: it is looked at every second, and mostly there is nothing.
        let mut buf = [0; 8 * 1024];
        if self.stream.set_nonblocking(true).is_err() {
            self.closed = true;
        }
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => {
                    self.closed = true;
                    break;
                }
                Ok(n) => self
                    .held
                    .extend_from_slice(buf.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.closed = true;
                    break;
                }
            }
            if self.held.len() > LONGEST {
                self.closed = true;
                break;
            }
        }
        let Some(end) = memchr::memrchr(b'\n', &self.held) else {
            return Vec::new();
        };
        let rest = self.held.split_off(end + 1);
        let whole = std::mem::replace(&mut self.held, rest);
        whole
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .filter_map(|l| serde_json::from_slice(l).ok())
            .collect()
    }
}
