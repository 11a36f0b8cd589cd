//! JSON that is not one object a line: `journalctl -o json-pretty`, `json-seq` (RFC 7464), `json-sse`, arrays of objects.
//!
//! Each outermost object becomes one line, without the white space outside of strings. What stands between objects
//! (`[`, `,`, `data: `, 0x1e, blank lines) is dropped. The objects are not judged here.

use super::{Losses, MAX_LINE, Transcoder};

#[derive(Debug, Default)]
pub struct Json {
    /// The object so far, compact.
    object: Vec<u8>,
    /// Open braces and brackets, the outermost object's included.
    depth: usize,
    in_string: bool,
    escaped: bool,
    overlong: bool,
    losses: Losses,
}

impl Json {
    fn push(&mut self, byte: u8) {
        if self.object.len() < MAX_LINE {
            self.object.push(byte);
        } else {
            self.overlong = true;
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.depth == 0 {
            // Commas and brackets of an array, `data:` of server-sent events, record separators are no part of it.
            if byte == b'{' {
                self.depth = 1;
                self.push(byte);
            }
            return;
        }
        if self.in_string {
            match byte {
                // No JSON writer leaves a line break inside a string: this object was cut, the next one starts below.
                b'\n' => {
                    self.losses.records += 1;
                    self.reset();
                    return;
                }
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            self.push(byte);
            return;
        }
        match byte {
            // Starts a record in json-seq, whatever came before (RFC 7464 section 2.1).
            0x1e => {
                self.losses.records += 1;
                self.reset();
            }
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => {
                self.in_string = true;
                self.push(byte);
            }
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.push(byte);
            }
            b'}' | b']' => {
                self.depth -= 1;
                self.push(byte);
                if self.depth == 0 {
                    if self.overlong {
                        // Half an object says nothing.
                        self.losses.cut += 1;
                        self.losses.records += 1;
                    } else {
                        out.append(&mut self.object);
                        out.push(b'\n');
                    }
                    self.reset();
                }
            }
            _ => self.push(byte),
        }
    }

    fn reset(&mut self) {
        self.object.clear();
        self.depth = 0;
        self.in_string = false;
        self.escaped = false;
        self.overlong = false;
    }
}

impl Transcoder for Json {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &byte in input {
            self.byte(byte, out);
        }
    }

    fn finish(&mut self, _: &mut Vec<u8>) {
        if self.depth > 0 {
            self.losses.records += 1;
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

    const ONE: &str = r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":"a { \"b\" ] \\","L":[1,2]}"#;
    const TWO: &str = r#"{"MESSAGE":"second, with spaces"}"#;

    #[test]
    fn every_framing_gives_one_object_a_line() {
        let pretty = "{\n\t\"__REALTIME_TIMESTAMP\" : \"1\",\n\t\"MESSAGE\" : \"a { \\\"b\\\" ] \\\\\",\n\t\"L\" : [ 1, 2 ]\n}\n{\n\t\"MESSAGE\" : \"second, with spaces\"\n}\n";
        let sse = format!("data: {ONE}\n\ndata: {TWO}\n\n");
        let seq = format!("\u{1e}{ONE}\n\u{1e}{TWO}\n");
        let array = format!("[\n {ONE},\n {TWO}\n]\n");
        for input in [pretty.to_owned(), sse, seq, array] {
            assert_eq!(
                run_all(|| Box::new(Json::default()), input.as_bytes()),
                format!("{ONE}\n{TWO}\n")
            );
        }
    }

    #[test]
    fn a_cut_object_costs_only_itself() {
        let cut_string = format!("{{\"MESSAGE\":\"cut here\n{TWO}\n");
        assert_eq!(
            run(Json::default(), cut_string.as_bytes(), 5),
            format!("{TWO}\n")
        );
        let cut_seq = format!("\u{1e}{{\"A\":1,\n\u{1e}{TWO}\n{{\"B\":");
        assert_eq!(
            run(Json::default(), cut_seq.as_bytes(), 5),
            format!("{TWO}\n")
        );
    }

    #[test]
    fn an_endless_object_takes_bounded_room() {
        let mut t = Json::default();
        let mut out = Vec::new();
        t.feed(b"{\"A\":\"", &mut out);
        for _ in 0..100 {
            t.feed(&[b'x'; 10_000], &mut out);
        }
        assert!(t.object.len() <= MAX_LINE);
        t.feed(format!("\"}}\n{TWO}\n").as_bytes(), &mut out);
        assert_eq!(out, format!("{TWO}\n").as_bytes());
        assert_eq!(t.losses().cut, 1);
    }
}
