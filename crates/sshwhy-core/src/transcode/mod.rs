//! Everything that is not line-based text becomes lines here: one record, one line.
//!
//! The rest of the log pipeline works on blocks of whole lines. A [`Transcoder`] takes the bytes of a file as they come
//! and appends lines; it holds at most one record (bounded by [`MAX_LINE`] where the format has no smaller bound of its
//! own) and never fails: what cannot be read is skipped and counted in [`Losses`].
//!
//! [`sniff`] decides from the first bytes which transcoder a file needs. Which line envelope the lines have is no
//! question of this module.

pub mod cri;
pub mod export;
pub mod journal;
pub mod json;
pub mod octet;
pub mod record;
pub mod sniff;
pub mod utf16;
pub mod utmp;
pub mod winevent;

pub use sniff::{Form, Packing, Sniff, Unreadable, sniff};

/// The longest line that is kept whole, in bytes. sshd cuts its own messages at 1 KiB; envelopes add less than that, and
/// a JSON record with all journal fields stays far below.
pub const MAX_LINE: usize = 64 * 1024;

/// What a transcoder had to leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// Records that could not be read.
    pub records: u64,
    /// Records that were cut at [`MAX_LINE`].
    pub cut: u64,
    /// Bytes that belong to no record.
    pub bytes: u64,
    /// The input ended inside a record.
    pub unfinished: bool,
}

/// Turns the bytes of one format into lines, piece by piece.
pub trait Transcoder {
    /// Takes the next piece of input and appends what is complete. Pieces may be cut anywhere.
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>);

    /// The input has ended: appends what is left and complete enough to be of use.
    fn finish(&mut self, out: &mut Vec<u8>);

    fn losses(&self) -> Losses {
        Losses::default()
    }
}

/// Files that end their lines with CR alone (old Mac exports, some serial consoles): each CR becomes a newline.
#[derive(Debug, Default)]
pub struct CarriageReturns;

impl Transcoder for CarriageReturns {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.extend(input.iter().map(|&b| if b == b'\r' { b'\n' } else { b }));
    }

    fn finish(&mut self, _: &mut Vec<u8>) {}
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Transcoder;

    /// Feeds `input` in pieces of `step` bytes.
    pub fn run(mut t: impl Transcoder, input: &[u8], step: usize) -> String {
        let mut out = Vec::new();
        for piece in input.chunks(step.max(1)) {
            t.feed(piece, &mut out);
        }
        t.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The same result however the input is cut.
    pub fn run_all(make: impl Fn() -> Box<dyn Transcoder>, input: &[u8]) -> String {
        struct Boxed(Box<dyn Transcoder>);
        impl Transcoder for Boxed {
            fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
                self.0.feed(input, out);
            }
            fn finish(&mut self, out: &mut Vec<u8>) {
                self.0.finish(out);
            }
        }
        let whole = run(Boxed(make()), input, input.len());
        for step in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(
                run(Boxed(make()), input, step),
                whole,
                "in pieces of {step}"
            );
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriage_returns_become_newlines() {
        assert_eq!(testing::run(CarriageReturns, b"a\rb\r", 3), "a\nb\n");
    }
}
