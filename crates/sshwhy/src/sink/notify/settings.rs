//! Alert channels as the settings name them, and the templates of their texts.
//!
//! ```toml
//! [[notify.webhook]]
//! name = "slack"
//! url = "https://hooks.slack.com/services/T000/B000/XXXX"
//! body = '{"text": "*{state}* {headline}\n{details}"}'
//! markup = "slack"
//!
//! [[notify.webhook]]
//! name = "telegram"
//! url = "https://api.telegram.org/bot123:TOKEN/sendMessage"
//! body = '{"chat_id": "42", "text": "{state}: {headline}"}'
//!
//! [[notify.webhook]]
//! name = "ntfy"
//! url = "https://ntfy.sh/mytopic"
//! headers = { Title = "{subject}: {state}", Priority = "high" }
//! body = "{text}"
//! format = "text"
//!
//! [[notify.webhook]]
//! name = "gotify"
//! url = "https://gotify.example/message"
//! headers = { X-Gotify-Key = "TOKEN" }
//! body = '{"title": "{headline}", "message": "{text}", "priority": 5}'
//!
//! [[notify.email]]
//! name = "mail"
//! server = "smtp.example"          # port 587 with STARTTLS; tls = "implicit" is port 465
//! username = "monitor"
//! password_file = "/etc/sshwhy/smtp-password"
//! from = "sshwhy <monitor@example>"
//! to = ["admin@example"]
//!
//! [[notify.exec]]
//! name = "pager"
//! command = ["/usr/local/bin/page", "--urgent"]   # SSHWHY_HEADLINE, … in its environment; JSON on its stdin
//!
//! [[notify.syslog]]
//! name = "syslog"
//!
//! [[notify.journal]]
//! name = "journal"
//! ```
//!
//! Every channel may have `limit = { severity = "high", batch = "30s", per_hour = 30 }`.

use crate::settings::Span;
use serde::Deserialize;
use sshwhy_core::finding::Severity;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What may stand in braces in a template.
pub const PLACEHOLDERS: [&str; 10] = [
    "headline", "severity", "state", "subject", "slug", "details", "text", "time", "count", "host",
];

#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Channels {
    pub webhook: Vec<Webhook>,
    pub email: Vec<Email>,
    pub exec: Vec<Exec>,
    pub syslog: Vec<Syslog>,
    pub journal: Vec<Journal>,
}

/// What a channel gets, and how often.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// Only from this severity on.
    pub severity: Severity,
    /// Alerts that come within this time of the first are one message.
    pub batch: Span,
    /// Messages an hour, with as many at once; what comes above waits and is joined.
    pub per_hour: u32,
    /// For one try.
    pub timeout: Span,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit {
            severity: Severity::Low,
            batch: Span::secs(2),
            per_hour: 60,
            timeout: Span::secs(10),
        }
    }
}

/// How the values in a text are escaped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Inside a JSON string.
    Json,
    /// A value of application/x-www-form-urlencoded.
    Form,
    Text,
}

/// What the receiver would read as markup is taken from the values, so that a host's banner mentions nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Markup {
    #[default]
    None,
    /// `&`, `<` and `>` as entities: Slack's and Telegram's HTML.
    Slack,
    Html,
    Markdown,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub name: Option<String>,
    pub url: String,
    #[serde(default = "post")]
    pub method: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Without one: the alerts as JSON, `{"alerts": [{"headline", "severity", …}]}`.
    pub body: Option<String>,
    /// By default: JSON where the body begins like JSON, else text.
    pub format: Option<Format>,
    #[serde(default)]
    pub markup: Markup,
    /// PEM file of the authority to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    #[serde(default)]
    pub limit: Limit,
}

fn post() -> String {
    "POST".to_owned()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Port 587, and STARTTLS is required.
    #[default]
    Starttls,
    /// Port 465: TLS from the first byte.
    Implicit,
    /// Port 25 in the clear: for a relay on this machine.
    None,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    pub name: Option<String>,
    pub server: String,
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: Tls,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub from: String,
    pub to: Vec<String>,
    pub subject: Option<String>,
    pub body: Option<String>,
    #[serde(default)]
    pub limit: Limit,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    pub name: Option<String>,
    pub command: Vec<String>,
    #[serde(default)]
    pub limit: Limit,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    pub name: Option<String>,
    #[serde(default = "dev_log")]
    pub socket: PathBuf,
    /// 0–23 (RFC 5424 section 6.2.1); 3 is `daemon`.
    #[serde(default = "daemon")]
    pub facility: u8,
    #[serde(default)]
    pub limit: Limit,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    pub name: Option<String>,
    #[serde(default = "journal_socket")]
    pub socket: PathBuf,
    #[serde(default)]
    pub limit: Limit,
}

fn dev_log() -> PathBuf {
    PathBuf::from("/dev/log")
}

fn daemon() -> u8 {
    3
}

fn journal_socket() -> PathBuf {
    PathBuf::from("/run/systemd/journal/socket")
}

impl Channels {
    /// What the file's form alone does not forbid.
    pub fn check(&self) -> Result<(), String> {
        for (i, w) in self.webhook.iter().enumerate() {
            let who = named("webhook", w.name.as_deref(), i);
            if !w.url.starts_with("http://") && !w.url.starts_with("https://") {
                return Err(format!(
                    "{who}: url begins with neither https:// nor http://"
                ));
            }
            if w.method.is_empty() || !w.method.bytes().all(|b| b.is_ascii_uppercase()) {
                return Err(format!("{who}: method is POST, PUT or the like"));
            }
            let texts = w.body.iter().chain([&w.url]).chain(w.headers.values());
            for text in texts {
                check_template(text).map_err(|e| format!("{who}: {e}"))?;
            }
            w.limit.check(&who)?;
        }
        for (i, e) in self.email.iter().enumerate() {
            let who = named("email", e.name.as_deref(), i);
            if e.to.is_empty() {
                return Err(format!("{who}: to is empty"));
            }
            for address in e.to.iter().chain([&e.from]) {
                address
                    .parse::<lettre::message::Mailbox>()
                    .map_err(|why| format!("{who}: {address:?} is no mail address: {why}"))?;
            }
            if e.username.is_some() != e.password_file.is_some() {
                return Err(format!("{who}: username and password_file go together"));
            }
            if e.tls == Tls::None && e.username.is_some() && !is_here(&e.server) {
                return Err(format!(
                    "{who}: a password is not sent in the clear to another machine; set tls = \"starttls\" or \"implicit\""
                ));
            }
            for text in e.subject.iter().chain(&e.body) {
                check_template(text).map_err(|e| format!("{who}: {e}"))?;
            }
            e.limit.check(&who)?;
        }
        for (i, e) in self.exec.iter().enumerate() {
            let who = named("exec", e.name.as_deref(), i);
            if e.command.first().is_none_or(String::is_empty) {
                return Err(format!("{who}: command is empty"));
            }
            e.limit.check(&who)?;
        }
        for (i, s) in self.syslog.iter().enumerate() {
            let who = named("syslog", s.name.as_deref(), i);
            if s.facility > 23 {
                return Err(format!("{who}: facility is 0 to 23 (RFC 5424)"));
            }
            s.limit.check(&who)?;
        }
        for (i, j) in self.journal.iter().enumerate() {
            j.limit.check(&named("journal", j.name.as_deref(), i))?;
        }
        Ok(())
    }
}

impl Limit {
    fn check(&self, who: &str) -> Result<(), String> {
        if self.per_hour == 0 {
            return Err(format!(
                "{who}: limit.per_hour = 0 would never send anything"
            ));
        }
        if self.timeout < Span::secs(1) || self.timeout > Span::secs(300) {
            return Err(format!("{who}: limit.timeout is between 1s and 5m"));
        }
        if self.batch > Span::secs(3600) {
            return Err(format!("{who}: limit.batch is at most 1h"));
        }
        Ok(())
    }
}

/// What a channel is called in messages about it: its name, or its kind and place.
pub fn named(kind: &str, name: Option<&str>, i: usize) -> String {
    name.map_or_else(|| format!("{kind}-{}", i + 1), str::to_owned)
}

fn is_here(server: &str) -> bool {
    server == "localhost"
        || server
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// The next `{name}` in a text, with where it begins and ends: braces around anything but a lower-case word are text,
/// since JSON is full of them.
fn next_placeholder(text: &str, from: usize) -> Option<(usize, usize, &str)> {
    let mut at = from;
    loop {
        let open = at + text.get(at..)?.find('{')?;
        let rest = text.get(open + 1..)?;
        let len = rest
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .unwrap_or(rest.len());
        if len > 0 && rest.get(len..).is_some_and(|r| r.starts_with('}')) {
            return Some((open, open + len + 2, rest.get(..len)?));
        }
        at = open + 1;
    }
}

fn check_template(text: &str) -> Result<(), String> {
    let mut at = 0;
    while let Some((_, end, name)) = next_placeholder(text, at) {
        if !PLACEHOLDERS.contains(&name) {
            return Err(format!(
                "{{{name}}} is unknown; there are {}",
                PLACEHOLDERS.map(|p| format!("{{{p}}}")).join(" ")
            ));
        }
        at = end;
    }
    Ok(())
}

/// A template with its placeholders filled; `value` gives them ready for where they stand.
pub fn fill(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    while let Some((start, end, name)) = next_placeholder(text, at) {
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(&value(name));
        at = end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;

    #[test]
    fn templates_fill_names_and_leave_json_alone() {
        let t = r#"{"text": "{headline}", "x": {"y": {}}, "{": "{Headline}", "z": "{count}"}"#;
        assert!(check_template(t).is_ok());
        assert_eq!(
            fill(t, |n| n.to_uppercase()),
            r#"{"text": "HEADLINE", "x": {"y": {}}, "{": "{Headline}", "z": "COUNT"}"#
        );
        assert!(
            check_template("a {headlin} b")
                .unwrap_err()
                .contains("{headline}")
        );
        assert_eq!(fill("{", |_| String::new()), "{");
        assert_eq!(fill("é{state}é", |_| "s".into()), "éséé".replace("éé", "é"));
    }

    #[test]
    fn mistakes_are_refused_with_what_is_right() {
        for (text, why) in [
            ("[[webhook]]\nurl = \"ftp://x\"", "neither https://"),
            (
                "[[webhook]]\nurl = \"http://x/{nobody}\"",
                "{nobody} is unknown",
            ),
            (
                "[[webhook]]\nurl = \"http://x\"\nmethod = \"get\"",
                "method is",
            ),
            (
                "[[webhook]]\nurl = \"http://x\"\nlimit.per_hour = 0",
                "would never send",
            ),
            (
                "[[email]]\nserver = \"s\"\nfrom = \"nobody\"\nto = [\"a@b.example\"]",
                "no mail address",
            ),
            (
                "[[email]]\nserver = \"mx.example\"\ntls = \"none\"\nusername = \"u\"\npassword_file = \"f\"\nfrom = \"a@b.example\"\nto = [\"a@b.example\"]",
                "in the clear",
            ),
            ("[[exec]]\ncommand = []", "command is empty"),
            ("[[syslog]]\nfacility = 24", "0 to 23"),
        ] {
            let c: Channels = parse(text, "t").unwrap();
            let e = c.check().unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
        let e = parse::<Channels>("[[webhook]]\nurl = \"http://x\"\nbdy = \"\"", "t").unwrap_err();
        assert!(e.starts_with("t:3:1: unknown field `bdy`"), "{e}");
    }

    #[test]
    fn the_documented_forms_are_good() {
        // The forms that stand at the top of this file, as they stand there.
        let source = include_str!("settings.rs");
        let text: Vec<&str> = source
            .lines()
            .skip_while(|l| *l != "//! ```toml")
            .skip(1)
            .take_while(|l| *l != "//! ```")
            .map(|l| l.trim_start_matches("//!").trim_start_matches(' '))
            .collect();
        #[derive(Deserialize)]
        struct File {
            notify: Channels,
        }
        let file: File = parse(&text.join("\n"), "doc").unwrap();
        file.notify.check().unwrap();
        assert_eq!(file.notify.webhook.len(), 4);
        assert_eq!(file.notify.email.len(), 1);
    }
}
