//! Where log lines come from: files, folders, globs, rotated sets, pipes, journals, or this machine's own logs.
//!
//! [`expand()`] turns arguments into [`Input`]s in the order in which they are to be read, oldest first, and [`own()`]
//! finds a machine's own logs; [`Blocks`] reads one input as blocks of whole lines. Nothing fails as a whole: what cannot
//! be read becomes a [`Skipped`] with a reason and an advice.

mod expand;
pub mod follow;
mod journal;
mod machine;
mod open;
mod read;
mod rotation;
pub mod stdin;
#[cfg(test)]
pub mod testing;
mod unpack;

pub use expand::{expand, own};
pub use read::{Block, Blocks};
pub use unpack::{Stream, unpacked};

use sshwhy_core::report::Skipped;
use std::path::PathBuf;

/// One thing to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// As it is shown in evidence: the path as the user would type it, `-` for standard input.
    pub name: String,
    pub origin: Origin,
    /// Inputs with the same number are one log: a file and its rotated copies, oldest first. Sets do not continue each
    /// other.
    pub set: u32,
    /// Its lines may stand in another input too: ask [`Once`](sshwhy_core::once::Once) about each, with `set`.
    pub shared: bool,
    /// Seconds since the epoch at which it was last written: a line without a year is not younger than that.
    pub mtime: Option<i64>,
    /// Bytes on the disk.
    pub size: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    Stdin,
    File(PathBuf),
    /// The journal files of one folder, read as one log.
    Journal(Vec<PathBuf>),
}

/// Whether a file is a rotated copy of another one, by its name.
pub fn is_rotated(path: &std::path::Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| {
        let r = rotation::rotation(n);
        r.packed || r.age != rotation::Age::Current
    })
}

/// What the arguments came to.
#[derive(Clone, Debug, Default)]
pub struct Expanded {
    pub inputs: Vec<Input>,
    pub skipped: Vec<Skipped>,
    /// What a reader of the report should know: siblings that were not named, copies that were left out.
    pub notes: Vec<String>,
    /// Where a machine's own logs were looked for and what was there, one line a place.
    pub looked_at: Vec<String>,
}
