//! One fact, as one of the gatherers saw it: what, about what, where, when. It judges nothing.
//!
//! The client's side writes its observations into its JSON and the server's side reads them there, so the form is a
//! contract: `{"observations": [{"gate", "key", "about", "value", "text", "source", "at", "ms"}, …]}`. What the keys and
//! their values mean stands in [`crate::catalog::facts`].

use crate::catalog::causes::Gate;
use crate::time::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many observations are read from a file that somebody gives us. A probe makes fewer than three hundred.
const MOST: usize = 10_000;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Observation {
    #[serde(serialize_with = "gate_out", deserialize_with = "gate_in")]
    pub gate: Gate,
    /// `tcp.connect`, …: a key of [`crate::catalog::facts`].
    pub key: String,
    /// What it is about: an address, a file, a method, a key's fingerprint. Empty where that goes without saying.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// One of the key's words, or free text where the catalogue says so.
    pub value: String,
    /// The evidence as it stood there. Hostile: escape when showing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// `probe:tcp`, `ssh -v line 12`, `/etc/ssh/sshd_config:12`, `sshd -T`, …
    pub source: String,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "time_in"
    )]
    pub at: Option<Time>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

impl Observation {
    pub fn new(
        gate: Gate,
        key: &'static str,
        value: impl Into<String>,
        source: impl Into<String>,
    ) -> Observation {
        Observation {
            gate,
            key: key.to_owned(),
            about: String::new(),
            value: value.into(),
            text: String::new(),
            source: source.into(),
            at: None,
            ms: None,
        }
    }

    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Observation {
        self.about = about.into();
        self
    }

    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Observation {
        self.text = text.into();
        self
    }

    #[must_use]
    pub fn took(mut self, ms: u64) -> Observation {
        self.ms = Some(ms);
        self
    }

    #[must_use]
    pub fn at(mut self, at: Option<Time>) -> Observation {
        self.at = at;
        self
    }

    /// For people: the text as it stood there, or the fact in words where there was no text.
    pub fn shown(&self) -> String {
        match (self.text.is_empty(), self.about.is_empty()) {
            (false, _) => self.text.clone(),
            (true, true) => format!("{}: {}", self.key, self.value),
            (true, false) => format!("{} {}: {}", self.key, self.about, self.value),
        }
    }
}

/// What a probe's JSON held.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Read {
    pub observations: Vec<Observation>,
    /// How many entries made no sense, or were more than we read.
    pub skipped: usize,
}

/// The observations in a probe's (or doctor's) JSON. Text before the JSON is skipped, entries that make no sense are
/// counted; an error only where there is no such list at all.
pub fn read_json(text: &str) -> Result<Read, String> {
    let from = text
        .find('{')
        .ok_or_else(|| "no JSON object in it".to_owned())?;
    let text = text.get(from..).unwrap_or_default();
    let value = serde_json::Deserializer::from_str(text)
        .into_iter::<serde_json::Value>()
        .next()
        .unwrap_or(Ok(serde_json::Value::Null))
        .map_err(|e| format!("not JSON: {e}"))?;
    let Some(list) = value.get("observations").and_then(|v| v.as_array()) else {
        return Err("it has no \"observations\"".to_owned());
    };
    let mut read = Read::default();
    for entry in list {
        match Observation::deserialize(entry) {
            Ok(o) if read.observations.len() < MOST => read.observations.push(o),
            _ => read.skipped += 1,
        }
    }
    Ok(read)
}

fn gate_out<S: Serializer>(gate: &Gate, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(gate.name())
}

fn gate_in<'de, D: Deserializer<'de>>(d: D) -> Result<Gate, D::Error> {
    let name = String::deserialize(d)?;
    Gate::ALL
        .into_iter()
        .find(|g| g.name() == name)
        .ok_or_else(|| serde::de::Error::custom("no such gate"))
}

/// What is no time is no reason to lose the fact.
fn time_in<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Time>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.and_then(|t| Time::parse_utc(&t)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let all = vec![
            Observation::new(Gate::Tcp, "tcp.connect", "refused", "probe:tcp")
                .about("192.0.2.7:22")
                .text("192.0.2.7 port 22: Connection refused")
                .took(12)
                .at(Time::parse_utc("2026-03-28T16:00:15.250Z")),
            Observation::new(Gate::Name, "name.lookup", "ok", "ssh -v line 3"),
        ];
        let text = serde_json::to_string(&serde_json::json!({"findings": [], "observations": all}))
            .unwrap();
        let read = read_json(&format!("a line before\n{text}\nand after")).unwrap();
        assert_eq!(read.observations, all);
        assert_eq!(read.skipped, 0);
    }

    #[test]
    fn bad_entries_are_counted_and_cost_nothing_else() {
        let read = read_json(
            r#"{"observations": [7, {"gate": "moon", "key": "a", "value": "b", "source": "c"},
            {"gate": "kex", "key": "kex.end", "value": "timeout", "source": "p", "at": "yesterday", "new": 1}]}"#,
        )
        .unwrap();
        assert_eq!(read.skipped, 2);
        assert_eq!(read.observations.len(), 1);
        assert_eq!(read.observations[0].gate, Gate::Kex);
        assert_eq!(read.observations[0].at, None);
        assert!(read_json("").is_err());
        assert!(read_json("{}").is_err());
        assert!(read_json("{\"observations\": 1}").is_err());
        assert!(read_json("{\"observations\": [").is_err());
    }
}
