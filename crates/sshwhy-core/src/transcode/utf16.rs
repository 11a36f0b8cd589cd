//! UTF-16 text (Windows exports) to UTF-8.

use super::{Losses, Transcoder};

/// Converts UTF-16 of either byte order; a byte order mark is dropped, a lone surrogate becomes U+FFFD.
#[derive(Debug)]
pub struct Utf16 {
    big_endian: bool,
    /// First half of a code unit.
    half: Option<u8>,
    high: Option<u16>,
    losses: Losses,
}

impl Utf16 {
    pub fn new(big_endian: bool) -> Utf16 {
        Utf16 {
            big_endian,
            half: None,
            high: None,
            losses: Losses::default(),
        }
    }

    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        if let Some(high) = self.high.take() {
            if let Some(Ok(c)) = char::decode_utf16([high, unit]).next()
                && (0xdc00..0xe000).contains(&unit)
            {
                push(c, out);
                return;
            }
            self.losses.bytes += 2;
            push(char::REPLACEMENT_CHARACTER, out);
        }
        match unit {
            0xd800..0xdc00 => self.high = Some(unit),
            0xdc00..0xe000 => {
                self.losses.bytes += 2;
                push(char::REPLACEMENT_CHARACTER, out);
            }
            0xfeff => {}
            _ => push(
                char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER),
                out,
            ),
        }
    }
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

impl Transcoder for Utf16 {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &byte in input {
            match self.half.take() {
                None => self.half = Some(byte),
                Some(first) => {
                    let pair = [first, byte];
                    let unit = if self.big_endian {
                        u16::from_be_bytes(pair)
                    } else {
                        u16::from_le_bytes(pair)
                    };
                    self.unit(unit, out);
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.high.take().is_some() {
            push(char::REPLACEMENT_CHARACTER, out);
            self.losses.unfinished = true;
        }
        if self.half.take().is_some() {
            self.losses.bytes += 1;
            self.losses.unfinished = true;
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{run, run_all};
    use super::*;

    fn encode(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|u| {
                if big {
                    u.to_be_bytes()
                } else {
                    u.to_le_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn both_byte_orders_with_mark_and_astral_characters() {
        let text = "Failed password for Jürgen 🔑\r\n";
        for big in [false, true] {
            let bytes = encode(&format!("\u{feff}{text}"), big);
            assert_eq!(run_all(|| Box::new(Utf16::new(big)), &bytes), text);
        }
    }

    #[test]
    fn lone_surrogates_and_a_cut_end_do_not_stop_it() {
        let mut bytes = encode("a", false);
        bytes.extend_from_slice(&0xd83du16.to_le_bytes());
        bytes.extend(encode("b", false));
        bytes.extend_from_slice(&0xdc00u16.to_le_bytes());
        bytes.extend(encode("c", false));
        bytes.push(0x41);
        assert_eq!(run(Utf16::new(false), &bytes, 1), "a\u{fffd}b\u{fffd}c");
    }
}
