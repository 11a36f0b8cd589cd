//! JSON that is not one object a line: `journalctl -o json-pretty`, `json-seq` (RFC 7464), `json-sse`, arrays of objects, answers of
//! log stores that hold their records in a list, and hashes as Ruby prints them.
//!
//! Each outermost object becomes one line, without the white space outside of strings. What stands between objects
//! (`[`, `,`, `data: `, 0x1e, blank lines) is dropped. The objects are not judged here, but for one question: an object that
//! holds a list of objects under one of the names that stores use ([`LISTS`]), and no message before it, is an answer, and its
//! records are what is inside.

use super::{Losses, MAX_LINE, Transcoder};

/// CloudWatch, Elasticsearch, Azure, Datadog, OpenTelemetry, Loki.
pub(super) const LISTS: [&str; 9] = [
    "events",
    "logEvents",
    "hits",
    "records",
    "entries",
    "value",
    "data",
    "logRecords",
    "values",
];
/// Where one of these stands, the object is a record itself.
const TEXTS: [&str; 6] = ["message", "MESSAGE", "msg", "log", "textPayload", "line"];
/// Longer names are none of the above.
const KEY: usize = 16;

#[derive(Debug, Default)]
pub struct Json {
    /// The object so far, compact.
    object: Vec<u8>,
    /// Open braces and brackets, the outermost object's included.
    depth: usize,
    in_string: bool,
    escaped: bool,
    overlong: bool,
    /// The last string, if it may be a key of interest, and whether its colon has come.
    key: Vec<u8>,
    colon: bool,
    /// Such a key and `[` were read: what comes next tells whether it is a list of records.
    list: bool,
    /// Inside of an answer: what stands between its records is no record.
    enclosed: bool,
    /// Its records are pairs of time and line.
    pairs: bool,
    has_text: bool,
    /// A word outside of strings: a number, `true`, or a time that Ruby does not quote.
    word: Vec<u8>,
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

    /// A byte of a string, without its quotation marks; true at its end.
    fn string(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                return true;
            }
            _ => {}
        }
        if self.key.len() < KEY {
            self.key.push(byte);
        }
        false
    }

    fn open_string(&mut self) {
        self.in_string = true;
        self.key.clear();
        self.colon = false;
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.depth == 0 {
            self.between(byte);
            return;
        }
        if self.in_string {
            // No JSON writer leaves a line break inside a string: this object was cut, the next one starts below.
            if byte == b'\n' {
                self.losses.records += 1;
                self.reset();
                return;
            }
            self.push(byte);
            self.string(byte);
            return;
        }
        // `2026-11-03T03:05:06Z`: a colon behind digits is part of the word.
        let more = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'+' | b'.')
            || (byte == b':' && self.word.first().is_some_and(u8::is_ascii_digit));
        if more {
            if self.word.len() < 64 {
                self.word.push(byte);
            }
            return;
        }
        self.end_word();
        match byte {
            // Starts a record in json-seq, whatever came before (RFC 7464 section 2.1).
            0x1e => {
                self.losses.records += 1;
                self.reset();
            }
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => {
                self.list = false;
                self.push(byte);
                self.open_string();
            }
            // Ruby's arrow.
            b'=' => {}
            b':' | b'>' => {
                self.colon = true;
                self.has_text |= TEXTS.iter().any(|k| k.as_bytes() == self.key);
                self.push(b':');
            }
            b'{' | b'[' if self.list => self.enter(byte),
            b'{' | b'[' => {
                self.list = byte == b'['
                    && self.colon
                    && !self.has_text
                    && LISTS.iter().any(|k| k.as_bytes() == self.key);
                self.depth = self.depth.saturating_add(1);
                self.push(byte);
            }
            b'}' | b']' => {
                self.list = false;
                self.depth -= 1;
                self.push(byte);
                if self.depth == 0 {
                    self.close(out);
                }
            }
            _ => {
                self.colon = false;
                self.push(byte);
            }
        }
    }

    /// The word is over: as JSON has it, or as a string.
    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word);
        let plain = serde_json::from_slice::<serde_json::Value>(&word).is_ok();
        if !plain {
            self.push(b'"');
        }
        for byte in &word {
            self.push(*byte);
        }
        if !plain {
            self.push(b'"');
        }
        self.list = false;
    }

    /// Between records: commas and brackets of a list, `data:` of server-sent events, record separators are no part of any.
    fn between(&mut self, byte: u8) {
        if self.in_string {
            self.string(byte);
            return;
        }
        match byte {
            b'"' if self.enclosed => self.open_string(),
            b'{' => {
                self.depth = 1;
                self.has_text = false;
                self.push(byte);
            }
            b'[' if self.pairs => {
                self.depth = 1;
                self.push(byte);
            }
            b']' => self.pairs = false,
            _ => {}
        }
    }

    /// The first record of an answer's list begins: what was read of the answer itself is let go.
    fn enter(&mut self, byte: u8) {
        self.reset();
        self.enclosed = true;
        self.pairs = byte == b'[';
        self.depth = 1;
        self.push(byte);
    }

    /// The outermost brace is closed.
    fn close(&mut self, out: &mut Vec<u8>) {
        if self.overlong {
            // Half an object says nothing.
            self.losses.cut += 1;
            self.losses.records += 1;
        } else if self.object.first() == Some(&b'[') {
            match pair(&self.object) {
                Some(line) => out.extend_from_slice(line.as_bytes()),
                None => self.losses.records += 1,
            }
        } else {
            out.append(&mut self.object);
            out.push(b'\n');
        }
        let pairs = self.pairs;
        self.reset();
        self.pairs = pairs;
    }

    fn reset(&mut self) {
        self.object.clear();
        self.word.clear();
        self.depth = 0;
        self.in_string = false;
        self.escaped = false;
        self.overlong = false;
        self.list = false;
        self.colon = false;
        self.pairs = false;
        self.has_text = false;
    }
}

/// `["1793678706123456000","the line"]`, as Loki answers, as a record with a time and a line.
fn pair(text: &[u8]) -> Option<String> {
    let items: Vec<serde_json::Value> = serde_json::from_slice(text).ok()?;
    let (time, line) = (items.first()?.as_str()?, items.get(1)?.as_str()?);
    let record = serde_json::json!({ "timestamp": time, "line": line });
    Some(format!("{record}\n"))
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
    fn answers_of_log_stores_are_taken_apart() {
        let lines = |input: &str| run_all(|| Box::new(Json::default()), input.as_bytes());
        let both = "{\"message\":\"a\"}\n{\"message\":\"b [{\"}\n";
        let list = r#"[{"message":"a"},{"message":"b [{"}]"#;
        for answer in [
            format!("{{\n  \"events\": {list},\n  \"nextToken\": \"f/{{1\"\n}}\n"),
            format!(r#"{{"owner":"1","logEvents":{list}}}"#),
            format!(r#"{{"took":1,"hits":{{"total":{{"value":2}},"hits":{list}}}}}"#),
            format!(
                r#"{{"resourceLogs":[{{"scopeLogs":[{{"scope":{{}},"logRecords":{list}}}]}}]}}"#
            ),
        ] {
            assert_eq!(lines(&answer), both, "{answer}");
        }
        let loki = r#"{"status":"success","data":{"result":[{"stream":{"host":"w"},"values":[["17","a"],["18","b",{"k":"v"}]]},{"stream":{},"values":[["19","c"]]}],"stats":{"x":["y"]}}}"#;
        let expected = "{\"line\":\"a\",\"timestamp\":\"17\"}\n{\"line\":\"b\",\"timestamp\":\"18\"}\n{\"line\":\"c\",\"timestamp\":\"19\"}\n";
        let got = lines(loki);
        assert_eq!(got.get(..expected.len()), Some(expected));
        // A record that has a text of its own keeps its lists.
        let record = r#"{"message":"a","events":[{"x":1}]}"#;
        assert_eq!(lines(record), format!("{record}\n"));
    }

    #[test]
    fn hashes_of_ruby_become_json() {
        let hash = "{\n    \"message\" => \"a => b\",\n    \"@timestamp\" => 2026-11-03T03:05:06.123Z,\n    \"n\" => 1,\n    \"ok\" => true\n}\n";
        assert_eq!(
            run_all(|| Box::new(Json::default()), hash.as_bytes()),
            "{\"message\":\"a => b\",\"@timestamp\":\"2026-11-03T03:05:06.123Z\",\"n\":1,\"ok\":true}\n"
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
