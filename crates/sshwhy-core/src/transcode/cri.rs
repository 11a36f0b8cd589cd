//! Kubernetes CRI files: joins partial lines (`P`) with their end (`F`), for each stream on its own.
//!
//! `2026-11-03T03:05:06.123456789Z stderr P first half ` + `… stderr F second half` → one `F` line with the time of the
//! first piece. Lines of another shape pass through.

use super::{Losses, MAX_LINE, Transcoder};
use memchr::memchr;

#[derive(Debug, Default)]
pub struct Cri {
    line: Vec<u8>,
    /// Inside a line that is longer than [`MAX_LINE`]: its end is skipped.
    overlong: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    losses: Losses,
}

struct Parts<'a> {
    /// Time and stream, with the space before the tag.
    head: &'a [u8],
    stream: &'a [u8],
    /// `P` or `F`
    tag: u8,
    text: &'a [u8],
}

fn parts(line: &[u8]) -> Option<Parts<'_>> {
    let space = memchr(b' ', line)?;
    let time = line.get(..space)?;
    if !time.first()?.is_ascii_digit() || memchr(b'T', time)? != 10 {
        return None;
    }
    let rest = line.get(space + 1..)?;
    let stream = rest.get(..6)?;
    if stream != b"stdout" && stream != b"stderr" {
        return None;
    }
    // Tags may be followed by more, colon-separated (`F:…`); none is in use today.
    let (tag, text) = match rest.get(6..)? {
        [b' ', tag @ (b'P' | b'F'), b' ', text @ ..] => (*tag, text),
        [b' ', tag @ (b'P' | b'F')] => (*tag, &b""[..]),
        _ => return None,
    };
    Some(Parts {
        head: line.get(..space + 8)?,
        stream,
        tag,
        text,
    })
}

/// Whether a line has the CRI shape.
pub fn is_cri(line: &[u8]) -> bool {
    parts(line).is_some()
}

impl Cri {
    fn line_done(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        match parts(&line) {
            None => {
                out.extend_from_slice(&line);
                out.push(b'\n');
            }
            Some(parts) => {
                let held = if parts.stream == b"stdout" {
                    &mut self.stdout
                } else {
                    &mut self.stderr
                };
                if held.is_empty() {
                    held.extend_from_slice(parts.head);
                    held.extend_from_slice(b"F ");
                }
                let room = MAX_LINE.saturating_sub(held.len());
                held.extend_from_slice(parts.text.get(..room).unwrap_or(parts.text));
                if parts.text.len() > room {
                    self.losses.cut += 1;
                }
                if parts.tag == b'F' {
                    held.push(b'\n');
                    out.append(held);
                }
            }
        }
        // Keeps the allocation.
        self.line = line;
        self.line.clear();
    }

    fn take(&mut self, piece: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        match piece.get(..room) {
            Some(head) if piece.len() > room => {
                self.line.extend_from_slice(head);
                if !self.overlong {
                    self.losses.cut += 1;
                    self.overlong = true;
                }
            }
            _ => self.line.extend_from_slice(piece),
        }
    }
}

impl Transcoder for Cri {
    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some(end) = memchr(b'\n', input) {
            let (piece, rest) = input.split_at(end);
            self.take(piece);
            self.line_done(out);
            self.overlong = false;
            input = rest.get(1..).unwrap_or_default();
        }
        self.take(input);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.line.is_empty() {
            self.line_done(out);
        }
        for held in [&mut self.stdout, &mut self.stderr] {
            if !held.is_empty() {
                self.losses.unfinished = true;
                held.push(b'\n');
                out.append(held);
            }
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run_all;
    use super::*;

    #[test]
    fn pieces_are_joined_by_stream_and_other_lines_pass() {
        let input = b"2026-11-03T03:05:06.1Z stderr P Accepted publickey for ann \n\
            2026-11-03T03:05:06.2Z stdout F other stream\n\
            2026-11-03T03:05:06.3Z stderr P from 10.0.0.9 \n\
            2026-11-03T03:05:06.4Z stderr F port 50122 ssh2\n\
            no CRI line at all\n\
            2026-11-03T03:05:07Z stdout F \n\
            2026-11-03T03:05:08Z stderr P never ended";
        let want = "2026-11-03T03:05:06.2Z stdout F other stream\n\
            2026-11-03T03:05:06.1Z stderr F Accepted publickey for ann from 10.0.0.9 port 50122 ssh2\n\
            no CRI line at all\n\
            2026-11-03T03:05:07Z stdout F \n\
            2026-11-03T03:05:08Z stderr F never ended\n";
        assert_eq!(run_all(|| Box::new(Cri::default()), input), want);
    }

    #[test]
    fn endless_pieces_take_bounded_room() {
        let mut t = Cri::default();
        let mut out = Vec::new();
        let piece = format!("2026-11-03T03:05:06Z stderr P {}\n", "z".repeat(16 * 1024));
        for _ in 0..100 {
            t.feed(piece.as_bytes(), &mut out);
        }
        assert!(out.is_empty());
        t.feed(b"2026-11-03T03:05:06Z stderr F end\n", &mut out);
        assert!(out.len() <= MAX_LINE + 1);
        assert!(t.losses().cut > 0);
    }
}
