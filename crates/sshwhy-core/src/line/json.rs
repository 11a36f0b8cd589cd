//! JSON of the journal, of Docker or of a cloud agent, as a line of text.

use super::cursor::{Cursor, long_number};
use super::stamp::{iso, numeric_zone, zoned};
use crate::time::Time;
use crate::transcode::record::{Field, Record};

/// The fields of a JSON record as one RFC 5424 line, or as the bare text that it carries. False when there is no message.
pub(super) fn json_line(
    map: &serde_json::Map<String, serde_json::Value>,
    out: &mut Vec<u8>,
) -> bool {
    use serde_json::Value;
    // `host.name` is one key to some shippers and a name within an object to others.
    let text = |key: &str| {
        let nested = || {
            let (outer, inner) = key.split_once('.')?;
            map.get(outer)?.get(inner).and_then(json_text)
        };
        map.get(key).and_then(json_text).or_else(nested)
    };
    // journalctl -o json
    if map.contains_key("MESSAGE") {
        let mut record = Record::default();
        for (key, value) in map {
            if let Some(field) = Field::of(key.as_bytes())
                && let Some(value) = json_text(value)
            {
                record.set(field, &value);
            }
        }
        if record.message.is_none() {
            return false;
        }
        if let Some(micros) = text("_SOURCE_REALTIME_TIMESTAMP") {
            // Where an export left the journal's own time out.
            record.set(Field::Realtime, &micros);
        }
        record.line(out);
        out.pop();
        return true;
    }
    // Docker json-file
    if let (Some(log), Some(time)) = (text("log"), map.get("time").and_then(Value::as_str)) {
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(b" stderr F ");
        push_one_line(out, log.strip_suffix(b"\n").unwrap_or(&log));
        return true;
    }
    // Cloud agents and exports
    for key in [
        "message",
        "@message",
        "textPayload",
        "msg",
        "log",
        "_raw",
        "line",
        "full_message",
        "short_message",
    ] {
        let Some(message) = text(key) else { continue };
        let time = ["timestamp", "@timestamp", "time", "receiveTimestamp", "ts"]
            .iter()
            .find_map(|k| text(k));
        let host = [
            "hostname",
            "host",
            "_HOSTNAME",
            "computer",
            "host.hostname",
            "host.name",
        ]
        .iter()
        .find_map(|k| text(k));
        let ident = [
            "program",
            "appname",
            "app-name",
            "ident",
            "syslog_identifier",
            "process",
            "tag",
            "process.name",
        ]
        .iter()
        .find_map(|k| text(k));
        let pid = ["pid", "procid", "syslog_pid", "process.pid"]
            .iter()
            .find_map(|k| text(k));
        match ident {
            Some(ident) if !ident.is_empty() => {
                let time = time.and_then(|t| json_time(&t));
                let record = Record {
                    realtime: time.and_then(|t| u64::try_from(t.0).ok()),
                    host: host.unwrap_or_default(),
                    identifier: ident,
                    pid: pid.unwrap_or_default(),
                    message: Some(message),
                    ..Record::default()
                };
                record.line(out);
                out.pop();
            }
            _ => {
                // The message carries an envelope of its own, or is bare.
                if let Some(time) = time.and_then(|t| json_time(&t)) {
                    out.extend_from_slice(time.to_string().as_bytes());
                    out.extend_from_slice(b" stderr F ");
                }
                push_one_line(out, &message);
            }
        }
        return true;
    }
    // Stores put the record that they were given inside one of their own.
    WRAPPERS
        .iter()
        .filter_map(|k| map.get(*k)?.as_object())
        .any(|inner| {
            // One within another is nobody's, and could go on.
            let again = WRAPPERS.iter().any(|k| inner.contains_key(*k));
            !again && json_line(inner, out)
        })
}

/// Records that hold another record.
const WRAPPERS: [&str; 3] = ["_source", "jsonPayload", "result"];

pub(super) fn json_time(text: &[u8]) -> Option<Time> {
    let mut cur = Cursor::new(text);
    if let Some(civil) = iso(&mut cur) {
        let offset = numeric_zone(cur.rest()).map_or(0, |z| z.0);
        return zoned(civil, offset).time;
    }
    let (n, len) = long_number(text)?;
    Some(match len {
        ..=10 => Time::from_secs(n),
        11..=13 => Time(n.saturating_mul(1000)),
        14..=16 => Time(n),
        _ => Time(n / 1000),
    })
}

/// A string, a number, an array of byte values (not UTF-8), or the first of an array of strings.
pub(super) fn json_text(value: &serde_json::Value) -> Option<Vec<u8>> {
    use serde_json::Value;
    match value {
        Value::String(s) => Some(s.as_bytes().to_vec()),
        Value::Number(n) => Some(n.to_string().into_bytes()),
        Value::Array(items) => match items.first() {
            Some(Value::Number(_)) => Some(
                items
                    .iter()
                    .filter_map(|i| i.as_u64().map(|n| n as u8))
                    .collect(),
            ),
            Some(Value::String(s)) => Some(s.as_bytes().to_vec()),
            _ => None,
        },
        _ => None,
    }
}

/// Control characters as sshd itself writes them, so that one record stays one line.
pub(super) fn push_one_line(out: &mut Vec<u8>, message: &[u8]) {
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    let message = message.strip_suffix(b"\r").unwrap_or(message);
    for b in message {
        match b {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => {}
            _ => out.push(*b),
        }
    }
}
