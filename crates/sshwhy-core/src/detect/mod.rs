//! What the detectors are given, and what they give back.
//!
//! [`Detectors`] hears of every line about SSH as a [`Fact`], of every accepted login and of every session that is over, in the
//! order of the log; at the end it turns what it counted into findings. It never sees text except to quote it as evidence.

use crate::finding::Finding;
use crate::names::{AddrId, HostId, Names, UserId};
use crate::scan::flag;
use crate::session::{LineRef, Role, Session};
use crate::time::{Time, Zone};

/// One line about SSH, joined to its session.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    pub time: Time,
    pub at: LineRef,
    pub host: HostId,
    /// 0: not known.
    pub pid: u32,
    /// [`crate::scan::NONE`]: not known, not even from the session.
    pub addr: AddrId,
    /// [`crate::scan::NONE`]: not known.
    pub user: UserId,
    pub port: u16,
    /// [`crate::scan::UNKNOWN`]: a line that the catalogue does not know.
    pub row: crate::event::Row,
    pub role: Role,
    pub flags: u8,
    /// The line counts against its address.
    pub hostile: bool,
    /// How often it happened.
    pub repeat: u32,
    /// The message, for evidence.
    pub message: &'a [u8],
}

impl Fact<'_> {
    pub fn ambiguous(&self) -> bool {
        self.flags & flag::AMBIGUOUS != 0
    }
}

/// What findings need to know about the run to be written.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub names: &'a Names,
    /// Names of the inputs, by index: evidence is `name:line`.
    pub files: &'a [String],
    /// For times of day in headlines and windows.
    pub zone: &'a Zone,
}

impl Context<'_> {
    /// `file:line`
    pub fn source(&self, at: LineRef) -> String {
        let name = self
            .files
            .get(at.file as usize)
            .map_or("input", |n| n.as_str());
        format!("{name}:{}", at.line)
    }
}

/// All detectors over one run.
#[derive(Debug, Default)]
pub struct Detectors {}

impl Detectors {
    /// Hears everything and finds nothing: for callers that want lines only.
    pub fn off() -> Detectors {
        Detectors::default()
    }

    /// Every line about SSH.
    pub fn line(&mut self, _fact: &Fact<'_>) {}

    /// A login was accepted; the session goes on.
    pub fn accepted(&mut self, _session: &Session, _message: &[u8]) {}

    /// A session is over (also one that was accepted).
    pub fn ended(&mut self, _session: &Session) {}

    /// What it all amounts to.
    pub fn finish(self, _context: &Context<'_>) -> Vec<Finding> {
        Vec::new()
    }
}
