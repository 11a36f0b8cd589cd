//! `journalctl -o export` and `-o verbose`: many lines a record, turned into one.
//!
//! The export format is documented at <https://systemd.io/JOURNAL_EXPORT_FORMATS>: `NAME=value` lines; a field whose value
//! is no plain text is its name alone, then 64 bits of length (little endian), the bytes, and a newline; an empty line
//! ends the record.

use super::record::{Field, Record};
use super::{Losses, MAX_LINE, Transcoder};
use crate::time::{Civil, SECOND, Time};
use memchr::{memchr, memmem};

#[derive(Debug, Default)]
pub struct Export {
    record: Record,
    state: State,
    /// The line or value so far, at most [`MAX_LINE`].
    held: Vec<u8>,
    fields: usize,
    losses: Losses,
    /// Of the last record that is complete.
    cursor: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Line,
    /// Reading the length of a binary field: digits so far.
    Length {
        field: Option<Field>,
        bytes: [u8; 8],
        have: usize,
    },
    /// So many bytes of a binary field are to come.
    Value { field: Option<Field>, left: u64 },
    /// The newline after a binary field.
    AfterValue,
}

/// A binary field longer than this is not believed: journald itself refuses larger ones.
const MAX_VALUE: u64 = 768 * 1024 * 1024;

impl Export {
    /// Where to go on reading after the last complete record; empty before the first.
    pub fn cursor(&self) -> &[u8] {
        &self.cursor
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.held.len());
        self.held
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.held);
        if line.is_empty() {
            self.record_done(out);
        } else if let Some(equals) = memchr(b'=', &line) {
            self.fields += 1;
            let (name, value) = line.split_at(equals);
            if let Some(field) = Field::of(name) {
                self.record.set(field, value.get(1..).unwrap_or_default());
            }
        } else if is_name(&line) {
            self.fields += 1;
            self.state = State::Length {
                field: Field::of(&line),
                bytes: [0; 8],
                have: 0,
            };
        } else {
            self.losses.bytes += line.len() as u64 + 1;
        }
        self.held = line;
        self.held.clear();
    }

    fn record_done(&mut self, out: &mut Vec<u8>) {
        if self.fields == 0 {
            return;
        }
        if self.record.is_empty() {
            self.losses.records += 1;
        } else {
            self.record.line(out);
        }
        if !self.record.cursor.is_empty() {
            self.cursor = std::mem::take(&mut self.record.cursor);
        }
        self.record.clear();
        self.fields = 0;
    }
}

fn is_name(line: &[u8]) -> bool {
    line.len() <= 64
        && line
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
}

impl Transcoder for Export {
    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some(&first) = input.first() {
            match self.state {
                State::Line => match memchr(b'\n', input) {
                    Some(end) => {
                        let (piece, rest) = input.split_at(end);
                        self.hold(piece);
                        input = rest.get(1..).unwrap_or_default();
                        self.line(out);
                    }
                    None => {
                        self.hold(input);
                        return;
                    }
                },
                State::Length {
                    field,
                    mut bytes,
                    have,
                } => {
                    if let Some(slot) = bytes.get_mut(have) {
                        *slot = first;
                    }
                    input = input.get(1..).unwrap_or_default();
                    self.state = if have + 1 < bytes.len() {
                        State::Length {
                            field,
                            bytes,
                            have: have + 1,
                        }
                    } else {
                        match u64::from_le_bytes(bytes) {
                            // Not a length: go on at the next line.
                            left if left > MAX_VALUE => {
                                self.losses.bytes += 8;
                                State::Line
                            }
                            0 => State::AfterValue,
                            left => State::Value { field, left },
                        }
                    };
                }
                State::Value { field, left } => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (piece, rest) = input.split_at(take);
                    self.hold(piece);
                    input = rest;
                    let left = left - take as u64;
                    self.state = if left > 0 {
                        State::Value { field, left }
                    } else {
                        if let Some(field) = field {
                            self.record.set(field, &self.held);
                        }
                        self.held.clear();
                        State::AfterValue
                    };
                }
                State::AfterValue => {
                    if first == b'\n' {
                        input = input.get(1..).unwrap_or_default();
                    }
                    self.state = State::Line;
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self.state {
            State::Line if self.held.is_empty() => {}
            State::AfterValue => {}
            State::Line => {
                self.losses.unfinished = true;
                self.line(out);
            }
            State::Length { .. } | State::Value { .. } => {
                self.losses.unfinished = true;
                // What is there of a cut message is better than nothing.
                if let State::Value {
                    field: Some(field), ..
                } = self.state
                {
                    self.record.set(field, &self.held);
                }
            }
        }
        if self.fields > 0 && self.record.message.is_none() {
            self.losses.unfinished = true;
            self.record.clear();
        } else {
            self.record_done(out);
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

/// `journalctl -o verbose`: a line with the local time, the zone's name and the cursor, then indented `NAME=value` lines; a
/// message of several lines goes on below, indented further.
///
/// The cursor holds the instant itself (`t=` hexadecimal microseconds), so the zone's name need not be known.
#[derive(Debug, Default)]
pub struct Verbose {
    record: Record,
    held: Vec<u8>,
    started: bool,
    /// The last field was MESSAGE: deeper lines continue it.
    in_message: bool,
    losses: Losses,
}

/// Where the fields stand, and where the further lines of a value do.
const FIELD_INDENT: &[u8] = b"    ";

impl Verbose {
    fn hold(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.held.len());
        self.held
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.held);
        let text = line.strip_suffix(b"\r").unwrap_or(&line);
        if let Some(field) = text.strip_prefix(FIELD_INDENT) {
            self.field(field);
        } else if let Some(time) = header(text) {
            self.record_done(out);
            self.started = true;
            self.record.realtime = time;
        } else if !text.is_empty() && !text.starts_with(b"-- ") {
            self.losses.bytes += line.len() as u64 + 1;
        }
        self.held = line;
        self.held.clear();
    }

    fn field(&mut self, text: &[u8]) {
        if let Some(equals) = memchr(b'=', text)
            && let (name, value) = text.split_at(equals)
            && is_name(name)
            && !name.is_empty()
        {
            let field = Field::of(name);
            self.in_message = field == Some(Field::Message);
            if let Some(field) = field {
                self.record.set(field, value.get(1..).unwrap_or_default());
            }
        } else if self.in_message
            && let Some(message) = &mut self.record.message
            && message.len() + text.len() < MAX_LINE
        {
            message.push(b'\n');
            message.extend_from_slice(
                text.strip_prefix(b"        ")
                    .unwrap_or(text.trim_ascii_start()),
            );
        }
    }

    fn record_done(&mut self, out: &mut Vec<u8>) {
        if self.started {
            if self.record.is_empty() {
                self.losses.records += 1;
            } else {
                self.record.line(out);
            }
        }
        self.record.clear();
        self.started = false;
        self.in_message = false;
    }
}

/// The time of a header line: `Some(None)` when it is one and its time cannot be read.
fn header(line: &[u8]) -> Option<Option<u64>> {
    let cursor = memmem::find(line, b" [s=")?;
    if !line.ends_with(b"]") {
        return None;
    }
    let fields = line.get(cursor + 2..line.len() - 1)?;
    let micros = fields
        .split(|&b| b == b';')
        .find_map(|f| f.strip_prefix(b"t="))
        .and_then(|hex| u64::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
    Some(micros.or_else(|| local_utc(line.get(..cursor)?)))
}

/// `Tue 2026-11-03 04:05:06.123456 UTC`
fn local_utc(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix(" UTC")?;
    let mut words = text.split(' ').skip(1);
    let mut date = words.next()?.split('-').map(str::parse::<i32>);
    let clock = words.next()?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.split(':').map(str::parse::<u8>);
    let civil = Civil {
        year: date.next()?.ok()?,
        month: u8::try_from(date.next()?.ok()?)
            .ok()
            .filter(|m| (1..=12).contains(m))?,
        day: u8::try_from(date.next()?.ok()?)
            .ok()
            .filter(|d| (1..=31).contains(d))?,
        hour: clock.next()?.ok().filter(|h| *h < 24)?,
        minute: clock.next()?.ok().filter(|m| *m < 60)?,
        second: clock.next()?.ok().filter(|s| *s <= 60)?,
        micro: 0,
    };
    let micro: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let Time(time) = Time(
        civil
            .as_utc_secs()
            .checked_mul(SECOND)?
            .checked_add(micro)?,
    );
    u64::try_from(time).ok()
}

impl Transcoder for Verbose {
    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some(end) = memchr(b'\n', input) {
            let (piece, rest) = input.split_at(end);
            self.hold(piece);
            self.line(out);
            input = rest.get(1..).unwrap_or_default();
        }
        self.hold(input);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.losses.unfinished = true;
            self.line(out);
        }
        if self.started && self.record.message.is_none() {
            self.losses.unfinished = true;
            self.started = false;
        }
        self.record_done(out);
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{run, run_all};
    use super::*;

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let mut out = format!("{name}\n").into_bytes();
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
        out
    }

    fn two_records() -> Vec<u8> {
        let mut input = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1774713615123456\n_HOSTNAME=web1\nPRIORITY=6\n\
            SYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=sshd\n_PID=812\nMESSAGE=Accepted password for ann from 192.0.2.7 port 50122 ssh2\n\
            _BOOT_ID=0\n\n"
            .to_vec();
        input.extend_from_slice(b"__REALTIME_TIMESTAMP=1774713616000000\nSYSLOG_IDENTIFIER=sshd\n");
        input.extend(binary("MESSAGE", b"a\nb \xff\n\nMESSAGE=inside"));
        input.extend(binary("COREDUMP", &[b'\n'; 300]));
        input.extend_from_slice(b"_PID=813\n\n");
        input
    }

    const TWO_LINES: &str = "<86>1 2026-03-28T16:00:15.123456Z web1 sshd 812 - - Accepted password for ann from 192.0.2.7 port 50122 ssh2\n\
        <86>1 2026-03-28T16:00:16Z - sshd 813 - - a\\nb \u{fffd}\\n\\nMESSAGE=inside\n";

    #[test]
    fn text_and_binary_fields_wherever_the_input_is_cut() {
        assert_eq!(
            run_all(|| Box::new(Export::default()), &two_records()),
            TWO_LINES
        );
    }

    #[test]
    fn a_cut_export_gives_what_is_whole() {
        let input = two_records();
        let first = TWO_LINES.split_inclusive('\n').next().unwrap();
        let end_of_first = memmem::find(&input, b"\n\n").unwrap();
        for cut in 0..input.len() {
            let got = run(Export::default(), &input[..cut], 50);
            if cut > end_of_first {
                assert!(got.starts_with(first), "{cut}: {got}");
            }
            assert!(got.lines().count() <= 2);
        }
    }

    #[test]
    fn an_unbelievable_length_is_skipped() {
        let mut input = b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff\n".to_vec();
        input.extend_from_slice(b"\nMESSAGE=next\n_COMM=sshd\n\n");
        assert!(run(Export::default(), &input, 7).ends_with("<86>1 - - sshd - - - next\n"));
    }

    #[test]
    fn verbose_records_become_lines() {
        let input = b"-- Boot 0123 --\n\
            Sat 2026-03-28 17:00:15.123456 CET [s=ab;i=1;b=cd;m=ef;t=64e177fba2d40;x=9]\n\
            \x20   PRIORITY=6\n\
            \x20   _HOSTNAME=web1\n\
            \x20   SYSLOG_IDENTIFIER=sshd\n\
            \x20   MESSAGE=first line\n\
            \x20           \tsecond = line\n\
            \x20   _PID=812\n\
            Sat 2026-03-28 16:00:16.5 UTC [s=ab;i=2]\n\
            \x20   MESSAGE=x\n\
            \x20   _COMM=sshd\n";
        let time = Time(0x64e177fba2d40);
        let want = format!(
            "<86>1 {time} web1 sshd 812 - - first line\\n\\tsecond = line\n<86>1 2026-03-28T16:00:16.500000Z - sshd - - - x\n"
        );
        assert_eq!(run_all(|| Box::new(Verbose::default()), input), want);
    }

    #[test]
    fn garbage_never_panics() {
        let mut x = 7u32;
        for _ in 0..200 {
            let bytes: Vec<u8> = (0..300)
                .map(|_| {
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"A=_\n\n\0\xff [s=t;] -x"[(x >> 20) as usize % 17]
                })
                .collect();
            run(Export::default(), &bytes, 11);
            run(Verbose::default(), &bytes, 11);
        }
    }
}
