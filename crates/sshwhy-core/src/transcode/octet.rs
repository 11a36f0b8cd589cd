//! Syslog over TCP with octet counting (RFC 6587 section 3.4.1): `97 <38>1 2026-…`, frames one after another.

use super::{Losses, MAX_LINE, Transcoder};

/// Unwraps frames into lines. A newline inside a frame is written as `\n`, so that one frame stays one line.
///
/// Where no valid count stands, the bytes up to the next newline are passed on as a line: senders mix both framings.
#[derive(Debug, Default)]
pub struct Octets {
    state: State,
    losses: Losses,
}

#[derive(Debug, Default)]
enum State {
    /// Between frames, inside a count of so many digits.
    #[default]
    Start,
    Count {
        value: usize,
        digits: Vec<u8>,
    },
    /// So many bytes of the frame are to come; so many were written.
    Frame {
        left: usize,
        written: usize,
    },
    /// Not counted: up to the newline.
    Plain {
        written: usize,
    },
}

/// The longest count that is believed: 7 digits are 10 MB.
const MAX_DIGITS: usize = 7;

impl Transcoder for Octets {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &byte in input {
            self.state = match std::mem::take(&mut self.state) {
                State::Start => match byte {
                    b'1'..=b'9' => State::Count {
                        value: usize::from(byte - b'0'),
                        digits: vec![byte],
                    },
                    // Some senders add a newline after the frame.
                    b'\n' | b'\r' | b' ' | 0 => State::Start,
                    _ => {
                        out.push(byte);
                        State::Plain { written: 1 }
                    }
                },
                State::Count { value, mut digits } => match byte {
                    b'0'..=b'9' if digits.len() < MAX_DIGITS => {
                        digits.push(byte);
                        State::Count {
                            value: value * 10 + usize::from(byte - b'0'),
                            digits,
                        }
                    }
                    b' ' => State::Frame {
                        left: value,
                        written: 0,
                    },
                    _ => {
                        out.extend_from_slice(&digits);
                        let written = digits.len();
                        self.plain(byte, written, out)
                    }
                },
                State::Frame { left, written } => {
                    let last = left <= 1;
                    let mut written = written;
                    match byte {
                        b'\n' if last => {}
                        _ if written >= MAX_LINE => {
                            if written == MAX_LINE {
                                self.losses.cut += 1;
                                written += 1;
                            }
                        }
                        b'\n' => {
                            out.extend_from_slice(b"\\n");
                            written += 2;
                        }
                        _ => {
                            out.push(byte);
                            written += 1;
                        }
                    }
                    if last {
                        out.push(b'\n');
                        State::Start
                    } else {
                        State::Frame {
                            left: left - 1,
                            written,
                        }
                    }
                }
                State::Plain { written } => self.plain(byte, written, out),
            };
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.state) {
            State::Start => {}
            State::Count { digits, .. } => self.losses.bytes += digits.len() as u64,
            State::Frame { .. } => {
                self.losses.unfinished = true;
                out.push(b'\n');
            }
            State::Plain { .. } => out.push(b'\n'),
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

impl Octets {
    fn plain(&mut self, byte: u8, written: usize, out: &mut Vec<u8>) -> State {
        if byte == b'\n' {
            out.push(b'\n');
            return State::Start;
        }
        if written < MAX_LINE {
            out.push(byte);
        } else if written == MAX_LINE {
            self.losses.cut += 1;
        }
        State::Plain {
            written: written + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{run, run_all};
    use super::*;

    fn frame(text: &str) -> String {
        format!("{} {text}", text.len())
    }

    #[test]
    fn frames_become_lines_whatever_stands_between_them() {
        let a = "<38>1 2026-11-03T04:05:06Z web1 sshd 812 - - Invalid user bob from 192.0.2.7 port 50122";
        let b = "<38>1 2026-11-03T04:05:07Z web1 sshd 813 - - two\nlines";
        let input = format!("{}{}\n{}", frame(a), frame(b), frame("x\n"));
        let want = format!("{a}\n{}\nx\n", b.replace('\n', "\\n"));
        assert_eq!(
            run_all(|| Box::new(Octets::default()), input.as_bytes()),
            want
        );
    }

    #[test]
    fn uncounted_lines_and_a_cut_frame_survive() {
        let input = format!("<38>plain line\n{}12:30 no count\n90 cut", frame("ok"));
        assert_eq!(
            run(Octets::default(), input.as_bytes(), 4),
            "<38>plain line\nok\n12:30 no count\ncut\n"
        );
    }

    #[test]
    fn a_frame_larger_than_a_line_is_cut_and_the_next_is_found() {
        let big = "y".repeat(MAX_LINE * 3);
        let input = format!("{}{}", frame(&big), frame("next"));
        let mut t = Octets::default();
        let mut out = Vec::new();
        t.feed(input.as_bytes(), &mut out);
        t.finish(&mut out);
        assert_eq!(out.len(), MAX_LINE + 1 + 5);
        assert!(out.ends_with(b"\nnext\n"));
        assert_eq!(t.losses().cut, 1);
    }
}
