//! The one value that is shown to people: what is so, how sure we are, the evidence, and what to do next.
//!
//! Its JSON form is a contract: names and meanings here do not change without a note in CHANGELOG.md.

use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Sigma's levels, so that they can be compared with other tools'.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Informational => "informational",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A root cause of a failing login; its slug stands in `cause` too.
    Cause,
    /// Something that a detector saw in a log.
    Detection,
    /// Something questionable in a configuration.
    Lint,
}

/// Whom and what a finding is about.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Subjects {
    pub addrs: Vec<String>,
    pub users: Vec<String>,
    pub hosts: Vec<String>,
    pub files: Vec<String>,
    pub containers: Vec<String>,
}

/// A place where the thing can be seen.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Evidence {
    /// `file:line`, `probe:kex`, `sshd -T`, …
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// The text as it stood there (a log line without its envelope where that is long). Hostile: escape when showing.
    pub text: String,
}

/// One step of a remedy.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Step {
    #[serde(rename = "do")]
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// `server`, `client`, `network`, `monitor`.
    #[serde(rename = "where")]
    pub place: &'static str,
    /// `none`, or what could go wrong.
    pub risk: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// `SW…`, the catalogue row.
    pub id: &'static str,
    pub slug: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    pub kind: Kind,
    pub severity: Severity,
    /// 0–1
    pub confidence: f64,
    /// Whether it counts against the addresses in `subjects`.
    pub hostile: bool,
    pub headline: String,
    pub subjects: Subjects,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    pub count: u64,
    pub evidence: Vec<Evidence>,
    pub notes: Vec<String>,
    pub remedy: Vec<Step>,
    pub refs: Vec<&'static str>,
}

impl Finding {
    /// Best first: severity, then confidence, then count, then what is oldest; total, so that output is stable.
    pub fn order(a: &Finding, b: &Finding) -> std::cmp::Ordering {
        b.severity
            .cmp(&a.severity)
            .then(b.confidence.total_cmp(&a.confidence))
            .then(b.count.cmp(&a.count))
            .then(a.first.cmp(&b.first))
            .then(a.slug.cmp(b.slug))
            .then_with(|| a.headline.cmp(&b.headline))
    }
}
