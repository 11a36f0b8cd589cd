//! JSON of the journal, of Docker, or of whatever agent, store or export carries a log line, as a line of text.
//!
//! Everybody names the fields otherwise, and alike when case and punctuation are left out: `SyslogMessage`, `syslog_message` and
//! `_message` are known by their letters alone. A record inside another (`_source`, `jsonPayload`, `content`) is looked into; what
//! it does not say, such as the time, its wrapping does.

use super::cursor::{Cursor, fraction, long_number};
use super::envelope::ident_of;
use super::stamp::{iso, numeric_zone, zoned};
use super::{MAX_LINE, Program};
use crate::time::Time;
use crate::transcode::record::{Field, Record};
use serde_json::{Map, Value};

/// The text of the record, the likeliest first.
const MESSAGE: [&str; 21] = [
    "message",
    "textpayload",
    "msg",
    "log",
    "raw",
    "line",
    "fullmessage",
    "shortmessage",
    "eventmessage",
    "syslogmessage",
    "fulllog",
    "logmsg",
    "logmessage",
    "rawmessage",
    "rawlog",
    "rawstring",
    "body",
    "body.stringvalue",
    "event.original",
    "winlog.eventdata.payload",
    // Splunk's collector: a text, where others have an object.
    "event",
];
const TIME: [&str; 16] = [
    "timestamp",
    "time",
    "timegenerated",
    "timereported",
    "eventtime",
    "receivetimestamp",
    "ts",
    "dt",
    "date",
    "datetime",
    "timeunixnano",
    "observedtimeunixnano",
    "isotimestamp",
    "eventreceivedtime",
    "generatedat",
    "timecreated",
];
const HOST: [&str; 10] = [
    "hostname",
    "host",
    "computer",
    "computername",
    "host.hostname",
    "host.name",
    "logsource",
    "machinename",
    "syslog.hostname",
    "agent.hostname",
];
/// Names of programs.
const PROGRAM: [&str; 13] = [
    "program",
    "programname",
    "appname",
    "applicationname",
    "ident",
    "syslogidentifier",
    "processname",
    "process.name",
    "syslog.appname",
    "syslog.identifier",
    "event.syslog.appname",
    "log.syslog.appname",
    "winlog.eventdata.process",
];
/// What may be the name of a program and is often something else: believed where it is one of ours.
const MAYBE_PROGRAM: [&str; 8] = [
    "process",
    "tag",
    "syslogtag",
    "sourcename",
    "processimagepath",
    "service",
    "app",
    "identifier",
];
const PID: [&str; 8] = [
    "pid",
    "procid",
    "processid",
    "syslogpid",
    "process.pid",
    "syslog.procid",
    "event.syslog.pid",
    "log.syslog.procid",
];

/// Records that hold another record.
const WRAPPERS: [&str; 7] = [
    "_source",
    "jsonPayload",
    "result",
    "content",
    "attributes",
    "fields",
    "columns",
];

/// The fields of a JSON record as one RFC 5424 line, or as the bare text that it carries. False when there is no message.
pub(super) fn json_line(map: &Map<String, Value>, out: &mut Vec<u8>) -> bool {
    // journalctl -o json; syslog-ng uses the same word for the message and others for the rest.
    if map.contains_key("MESSAGE") && !map.contains_key("PROGRAM") {
        return journal(map, out);
    }
    // Docker json-file
    if let (Some(log), Some(time)) = (
        map.get("log").and_then(json_text),
        map.get("time").and_then(Value::as_str),
    ) {
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(b" stderr F ");
        push_one_line(out, log.strip_suffix(b"\n").unwrap_or(&log));
        return true;
    }
    let outer = Said::of(map);
    if let Some(message) = &outer.message {
        // A record as the text of another: what an agent forwards as it found it.
        if message.first() == Some(&b'{')
            && let Ok(Value::Object(inner)) = serde_json::from_slice::<Value>(message)
        {
            let inner = if inner.contains_key("MESSAGE") && !inner.contains_key("PROGRAM") {
                return journal(&inner, out);
            } else {
                Said::of(&inner).within(&outer)
            };
            if inner
                .message
                .as_ref()
                .is_some_and(|m| m.first() != Some(&b'{'))
            {
                return inner.line(out);
            }
        }
        return outer.line(out);
    }
    // Stores put the record that they were given inside one of their own. One within another is nobody's, and could go on.
    WRAPPERS
        .iter()
        .filter_map(|k| map.get(*k)?.as_object())
        .filter(|inner| {
            !WRAPPERS.iter().any(|k| {
                inner.get(*k).is_some_and(Value::is_object) && !inner.contains_key("message")
            })
        })
        .any(|inner| {
            if inner.contains_key("MESSAGE") && !inner.contains_key("PROGRAM") {
                return journal(inner, out);
            }
            let said = Said::of(inner).within(&outer);
            said.message.is_some() && said.line(out)
        })
}

/// `journalctl -o json`
fn journal(map: &Map<String, Value>, out: &mut Vec<u8>) -> bool {
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
    if let Some(micros) = map.get("_SOURCE_REALTIME_TIMESTAMP").and_then(json_text) {
        // Where an export left the journal's own time out.
        record.set(Field::Realtime, &micros);
    }
    record.line(out);
    out.pop();
    true
}

/// What a record of any agent says, by whatever names.
#[derive(Default)]
struct Said {
    time: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    program: Option<Vec<u8>>,
    pid: Option<Vec<u8>>,
    message: Option<Vec<u8>>,
}

impl Said {
    fn of(map: &Map<String, Value>) -> Said {
        let mut fields = Vec::new();
        flatten(map, "", 0, &mut fields);
        let find = |names: &[&str]| {
            names.iter().find_map(|name| {
                let (_, value) = fields.iter().find(|(n, _)| n == name)?;
                json_text(value).filter(|text| !text.is_empty())
            })
        };
        let ours = |text: Vec<u8>| {
            let tag = text.strip_suffix(b":").unwrap_or(&text);
            let name = tag.split(|b| *b == b'[').next().unwrap_or_default();
            (Program::of(name) != Program::Other).then_some(text)
        };
        Said {
            time: find(&TIME),
            host: find(&HOST),
            program: find(&PROGRAM).or_else(|| {
                MAYBE_PROGRAM
                    .iter()
                    .find_map(|name| find(&[name]).and_then(ours))
            }),
            pid: find(&PID),
            message: find(&MESSAGE),
        }
    }

    /// What it does not say the record around it does.
    fn within(self, outer: &Said) -> Said {
        Said {
            time: self.time.or_else(|| outer.time.clone()),
            host: self.host.or_else(|| outer.host.clone()),
            program: self.program.or_else(|| outer.program.clone()),
            pid: self.pid.or_else(|| outer.pid.clone()),
            message: self.message,
        }
    }

    /// Writes it as a line. Without a message there is none.
    fn line(mut self, out: &mut Vec<u8>) -> bool {
        let Some(message) = self.message.take() else {
            return false;
        };
        let time = self.time.as_deref().map(When::of);
        // A message of sshd's begins with neither a time nor a priority: this one is a whole line.
        // And so is one that names its program by itself, unless another program is said to have written it.
        let other = self.program.as_deref().is_some_and(|p| {
            Program::of(p.split(|b| *b == b'[').next().unwrap_or(p)) == Program::Other
        });
        let tag = message.split(|b| *b == b' ').next().and_then(ident_of);
        let whole = Cursor::new(&message).any_stamp()
            || Cursor::new(&message).priority().is_some()
            || !other && tag.is_some_and(|(ident, _)| Program::of(ident) == Program::Sshd);
        let Some(program) = self.program.filter(|_| !whole) else {
            match time {
                Some(When::At(time)) => {
                    out.extend_from_slice(time.to_string().as_bytes());
                    out.extend_from_slice(b" stderr F ");
                }
                Some(When::Local(text)) => {
                    out.extend_from_slice(text);
                    out.extend_from_slice(b" stderr F ");
                }
                Some(When::Never) | None => {}
            }
            push_one_line(out, &message);
            return true;
        };
        // `sshd[812]:` as one field.
        let tag = [program.as_slice(), b":"].concat();
        let (ident, pid) = match ident_of(if program.ends_with(b":") {
            &program
        } else {
            &tag
        }) {
            Some((ident, Some(Some(pid)))) => (ident.to_vec(), Some(pid.to_string().into_bytes())),
            _ => (program.clone(), None),
        };
        let mut record = Record {
            host: self.host.unwrap_or_default(),
            identifier: ident,
            pid: self.pid.or(pid).unwrap_or_default(),
            message: Some(message),
            ..Record::default()
        };
        if let Some(When::At(time)) = time {
            record.realtime = u64::try_from(time.0).ok();
        }
        if let Some(message) = &mut record.message {
            let blank = message.iter().take_while(|b| **b == b' ').count();
            message.drain(..blank);
        }
        let from = out.len();
        record.line(out);
        out.pop();
        // The line is read in the zone of the log where the record names none.
        if let Some(When::Local(text)) = time
            && let Some(nil) = memchr::memmem::find(out.get(from..).unwrap_or_default(), b">1 - ")
        {
            let at = from + nil + 3;
            let stamp: Vec<u8> = text
                .iter()
                .map(|b| if *b == b' ' { b'T' } else { *b })
                .collect();
            out.splice(at..at + 1, stamp);
        }
        true
    }
}

/// A time as a record has it.
#[derive(Clone, Copy)]
enum When<'a> {
    At(Time),
    /// Without a zone.
    Local(&'a [u8]),
    Never,
}

impl When<'_> {
    fn of(text: &[u8]) -> When<'_> {
        let mut cur = Cursor::new(text);
        if let Some(civil) = iso(&mut cur) {
            let rest = cur.rest();
            let rest = rest.strip_prefix(b" ").unwrap_or(rest);
            return match numeric_zone(rest) {
                Some((offset, _)) => zoned(civil, offset).time.map_or(When::Never, When::At),
                None if rest.starts_with(b"UTC") => {
                    zoned(civil, 0).time.map_or(When::Never, When::At)
                }
                None => text.get(..cur.at).map_or(When::Never, When::Local),
            };
        }
        // .NET: `/Date(1793678706123)/`.
        let inner = text
            .strip_prefix(b"/Date(")
            .and_then(|t| t.strip_suffix(b")/"))
            .unwrap_or(text);
        json_time(inner).map_or(When::Never, When::At)
    }
}

/// Every field by its path, in small letters and without punctuation; three levels, which is as deep as anybody keeps a message.
fn flatten<'v>(
    map: &'v Map<String, Value>,
    path: &str,
    depth: u32,
    out: &mut Vec<(String, &'v Value)>,
) {
    const MOST: usize = 512;
    for (key, value) in map {
        if out.len() >= MOST {
            return;
        }
        let mut name = String::with_capacity(path.len() + key.len() + 1);
        name.push_str(path);
        name.extend(
            key.chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
                .map(|c| c.to_ascii_lowercase()),
        );
        if let Value::Object(inner) = value
            && depth < 2
        {
            name.push('.');
            flatten(inner, &name, depth + 1, out);
        } else {
            out.push((name, value));
        }
    }
}

pub(super) fn json_time(text: &[u8]) -> Option<Time> {
    let mut cur = Cursor::new(text);
    if let Some(civil) = iso(&mut cur) {
        let offset = numeric_zone(cur.rest()).map_or(0, |z| z.0);
        return zoned(civil, offset).time;
    }
    let (n, _) = long_number(text)?;
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let micro = match text.get(digits) {
        None => 0,
        Some(b'.') => fraction(text.get(digits + 1..)?).0,
        Some(_) => return None,
    };
    Some(match digits {
        // Fewer are no time since 1973.
        9..=10 => Time(Time::from_secs(n).0.saturating_add(i64::from(micro))),
        11..=13 => Time(n.saturating_mul(1000)),
        14..=16 => Time(n),
        17..=18 => Time(n / 1000),
        // Nanoseconds: the first eighteen digits are what was read.
        19 => Time(n / 100),
        _ => return None,
    })
}

/// A string, a number, an array of byte values (not UTF-8), or the first of an array of strings.
pub(super) fn json_text(value: &Value) -> Option<Vec<u8>> {
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
    let message = message.get(..MAX_LINE).unwrap_or(message);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::{LineParser, Years};
    use super::*;
    use crate::time::Zone;

    const MESSAGE: &str = "Failed password for root from 192.0.2.7 port 50122 ssh2";

    /// Time, host, pid and message of a record of sshd's; the zone of the log is UTC.
    fn parse(raw: &str) -> (Program, String, String, Option<u32>, String) {
        let zone = Zone::utc();
        let mut scratch = Vec::new();
        let mut parser = LineParser::new(&zone, Years::starting(2026));
        let line = parser.parse(raw.as_bytes(), &mut scratch);
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (
            line.program,
            line.time.map_or("-".to_owned(), |t| t.to_string()),
            text(line.host),
            line.pid,
            text(line.message),
        )
    }

    #[test]
    fn fields_are_known_by_whatever_name_an_agent_gives_them() {
        for record in [
            // Azure, NXLog, macOS, syslog-ng, rsyslog, LogDNA, Fluent Bit, Loggly, OpenTelemetry, Windows
            r#"{"TimeGenerated":"2026-11-03T04:05:06Z","Computer":"web1","SyslogMessage":"§","ProcessID":812,"ProcessName":"sshd"}"#,
            r#"{"EventTime":"2026-11-03 04:05:06","Hostname":"web1","SourceName":"sshd","ProcessID":"812","Message":"§"}"#,
            r#"{"timestamp":"2026-11-03 05:05:06+0100","eventMessage":"§","processImagePath":"/usr/sbin/sshd","processID":812,"host":"web1"}"#,
            r#"{"PROGRAM":"sshd","PID":"812","MESSAGE":"§","HOST":"web1","DATE":"2026-11-03T05:05:06+01:00"}"#,
            r#"{"timereported":"2026-11-03T05:05:06+01:00","host":"web1","syslog-tag":"sshd[812]:","message":" §"}"#,
            r#"{"_line":"§","_host":"web1","_app":"sshd","_ts":1793678706000,"pid":812}"#,
            r#"{"date":1793678706.0,"host":"web1","ident":"sshd","pid":"812","message":"§"}"#,
            r#"{"timestamp":1793678706000,"logmsg":"§","event":{"syslog":{"appName":"sshd","pid":812}},"host":"web1"}"#,
            r#"{"timeUnixNano":"1793678706000000000","body":{"stringValue":"Nov  3 04:05:06 web1 sshd[812]: §"}}"#,
            r#"{"timestamp":"2026-11-03T05:05:07+0100","full_log":"Nov  3 04:05:06 web1 sshd[812]: §","data":{"srcip":"192.0.2.9"}}"#,
            // A time beside the record, and a program's name beside a whole line.
            r#"{"timestamp":"2026-11-03T04:05:06Z","jsonPayload":{"message":"§","ident":"sshd","pid":"812","host":"web1"}}"#,
            r#"{"name":"syslog","unixTime":1,"columns":{"message":"§","tag":"sshd","pid":"812","host":"web1","time":"1793678706"}}"#,
            r#"{"time":1793678709.5,"host":"web1","event":"Nov  3 04:05:06 web1 sshd[812]: §"}"#,
            r#"{"@timestamp":1793678709000,"@rawstring":"Nov  3 04:05:06 web1 sshd[812]: §"}"#,
            r#"{"@timestamp":"2026-11-03T04:05:06Z","log":{"syslog":{"appname":"sshd","procid":812},"file":{}},"host":"web1","message":"§"}"#,
            r#"{"TimeCreated":"/Date(1793678706000)/","ProcessName":"sshd","ProcessId":812,"MachineName":"web1","Message":"§"}"#,
            r#"{"message":"{\"__REALTIME_TIMESTAMP\":\"1793678706000000\",\"SYSLOG_IDENTIFIER\":\"sshd\",\"_PID\":\"812\",\"_HOSTNAME\":\"web1\",\"MESSAGE\":\"§\"}"}"#,
            r#"{"content":{"timestamp":"2026-11-03T04:05:07Z","service":"sshd","message":"Nov  3 04:05:06 web1 sshd[812]: §"}}"#,
        ] {
            let got = parse(&record.replace('§', MESSAGE));
            let expected = (
                Program::Sshd,
                "2026-11-03T04:05:06Z".to_owned(),
                "web1".to_owned(),
                Some(812),
                MESSAGE.to_owned(),
            );
            assert_eq!(got, expected, "{record}");
        }
    }

    #[test]
    fn a_label_that_is_no_program_leaves_the_text_bare() {
        let got = parse(&format!(
            r#"{{"time":"2026-11-03T04:05:06Z","tag":"kube.web","message":"{MESSAGE}"}}"#
        ));
        assert_eq!((got.0, got.4), (Program::Bare, MESSAGE.to_owned()));
        // Another program's record stays another program's, whatever it quotes.
        let other = format!(r#"{{"program":"nginx","message":"sshd[1]: {MESSAGE}"}}"#);
        assert_eq!(parse(&other).0, Program::Other);
    }
}
