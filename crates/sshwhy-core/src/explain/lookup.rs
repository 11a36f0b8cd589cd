//! Finds rows of the catalogue: by id, by slug, and by likeness for lines that are no known message.
//!
//! Where a row stands is looked up in our own source, which is part of the program for that: `path:line` is what somebody
//! needs who wants to correct a row.

use super::{CauseText, Guess, Row, Threshold, Wording, cause_text, possible, steps};
use crate::catalog::causes::{self, Cause};
use crate::catalog::client_messages::{self, ClientMessage};
use crate::catalog::clues;
use crate::catalog::detectors::{self, Detector};
use crate::catalog::keywords::{self, Keyword, Repeat};
use crate::catalog::lints;
use crate::catalog::messages::{self, Daemon, Message};
use crate::catalog::protection;
use crate::catalog::traces;
use crate::diagnose::Case;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// How many rows may be asked for at once.
const MOST_ROWS: usize = 32;

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        /// The catalogue's files, by path in the repository.
        const SOURCES: &[(&str, &str)] = &[
            $((
                concat!("crates/sshwhy-core/src/catalog/", $path),
                include_str!(concat!("../catalog/", $path)),
            )),*
        ];
    };
}

sources!(
    "causes/auth.rs",
    "causes/client.rs",
    "causes/network.rs",
    "causes/session.rs",
    "causes/symptoms.rs",
    "causes/transport.rs",
    "client_messages/java.rs",
    "client_messages/libraries.rs",
    "client_messages/machine.rs",
    "client_messages/more.rs",
    "client_messages/openssh.rs",
    "client_messages/others.rs",
    "client_messages/python.rs",
    "client_messages/remote.rs",
    "client_messages/tools.rs",
    "client_messages/trace.rs",
    "client_messages/ways.rs",
    "client_messages/web.rs",
    "messages/audit.rs",
    "messages/dropbear.rs",
    "messages/openssh_auth.rs",
    "messages/openssh_config.rs",
    "messages/openssh_connection.rs",
    "messages/openssh_internal.rs",
    "messages/openssh_key.rs",
    "messages/openssh_session.rs",
    "messages/pam.rs",
    "messages/platform.rs",
    "protection.rs",
    "messages/records.rs",
    "detectors.rs",
    "keywords.rs",
    "lints.rs",
    "traces.rs",
);

/// Where the row of that id stands: `path:line`; empty where it is not found.
fn place(id: &str) -> String {
    let needle = format!("\"{id}\"");
    SOURCES
        .iter()
        .find_map(|(path, source)| {
            let at = source.find(&needle)?;
            let line = 1 + source.get(..at)?.matches('\n').count();
            Some(format!("{path}:{line}"))
        })
        .unwrap_or_default()
}

/// The rows that a text asks for: nothing but ids and slugs, or it is a message.
pub fn rows(text: &str) -> Vec<Row> {
    let words: Vec<&str> = text
        .split([' ', ',', '\n', '\t', '\r'])
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() || words.len() > MOST_ROWS {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for word in words {
        let found = by_name(word);
        if found.is_empty() {
            return Vec::new();
        }
        rows.extend(found);
    }
    rows
}

/// Every row that an id or a slug names: a cause and a message may share a slug.
fn by_name(name: &str) -> Vec<Row> {
    let is =
        |id: &str, slug: &str| id.eq_ignore_ascii_case(name) || slug.eq_ignore_ascii_case(name);
    let causes = causes::all().filter(|row| is(row.id, row.slug)).map(cause);
    let detectors = detectors::ROWS
        .iter()
        .chain(traces::ROWS)
        .chain(protection::ROWS)
        .filter(|row| is(row.id, row.slug))
        .map(detector);
    let client = client_messages::all()
        .filter(|row| is(row.id, row.slug))
        .map(client_message);
    let server = messages::all()
        .filter(|row| is(row.id, row.slug))
        .map(message);
    let lints = lints::ROWS
        .iter()
        .filter(|row| is(row.id, row.slug))
        .map(|row| Row::Lint {
            at: place(row.id),
            id: row.id,
            slug: row.slug,
            title: row.title,
            severity: row.severity.name(),
            advice: row.advice,
            refs: [row.reference],
        });
    let keywords = keywords::ROWS
        .iter()
        .filter(|row| row.id.eq_ignore_ascii_case(name) || row.is_named(name))
        .map(keyword);
    let gone = keywords::GONE
        .iter()
        .filter(|row| is(row.id, row.name))
        .map(|row| Row::Keyword {
            at: place(row.id),
            id: row.id,
            slug: row.name,
            facts: vec![
                "sshd knows the word and does nothing with it: take the line out".to_owned(),
            ],
            refs: vec!["sshd_config(5)".to_owned()],
        });
    causes
        .chain(detectors)
        .chain(client)
        .chain(server)
        .chain(lints)
        .chain(keywords)
        .chain(gone)
        .collect()
}

fn keyword(row: &'static Keyword) -> Row {
    let mut facts = vec![
        match row.repeat {
            Repeat::First => "a word of sshd_config; where it stands twice, the first value wins",
            Repeat::FirstLine => {
                "a word of sshd_config with a list; where it stands twice, the first line wins"
            }
            Repeat::Each => "a word of sshd_config; each line adds to the ones before",
            Repeat::Last => {
                "a word of sshd_config; unlike most, where it stands twice, the last value wins"
            }
            Repeat::Parts => {
                "a word of sshd_config with a value of parts, which several lines may set"
            }
        }
        .to_owned(),
    ];
    facts.push(if row.in_match {
        "may stand in a Match block".to_owned()
    } else {
        "may not stand in a Match block".to_owned()
    });
    if !row.aliases.is_empty() {
        facts.push(format!("older name: {}", row.aliases.join(", ")));
    }
    for default in row.defaults {
        let (major, minor) = default.since;
        facts.push(if default.since == keywords::OLDEST {
            format!("default: {}", default.value)
        } else {
            format!("default since OpenSSH {major}.{minor}: {}", default.value)
        });
    }
    if row.since != keywords::OLDEST {
        facts.push(format!(
            "known since OpenSSH {}.{}",
            row.since.0, row.since.1
        ));
    }
    if let Some((major, minor)) = row.until {
        facts.push(format!("known until OpenSSH {major}.{minor}"));
    }
    facts.push(format!(
        "what it is for one connection: sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i '^{} '",
        row.name.to_lowercase()
    ));
    Row::Keyword {
        at: place(row.id),
        id: row.id,
        slug: row.name,
        facts,
        refs: vec![format!("sshd_config(5) {}", row.name)],
    }
}

fn cause(row: &'static Cause) -> Row {
    let text: CauseText = cause_text(row, &Case::default(), "");
    let by_client = client_messages::all()
        .filter(|m| {
            m.causes
                .iter()
                .any(|(slug, weight)| *slug == row.slug && *weight >= 0.3)
        })
        .map(|m| m.slug);
    let by_server = messages::all()
        .filter(|m| match clues::behind(m.slug) {
            Some(behind) => behind
                .iter()
                .any(|(slug, w)| *slug == row.slug && *w >= 0.3),
            None => m.cause == row.slug,
        })
        .map(|m| m.slug);
    Row::Cause {
        at: place(row.id),
        text,
        shown_by: by_client.chain(by_server).collect(),
    }
}

fn client_message(row: &'static ClientMessage) -> Row {
    Row::Message {
        at: place(row.id),
        id: row.id,
        slug: row.slug,
        said_by: row.program.name(),
        meaning: row.meaning,
        wordings: row
            .texts
            .iter()
            .map(|text| Wording {
                text,
                since: "",
                until: "",
            })
            .collect(),
        causes: possible(row.causes),
        tells_apart: row.tells_apart,
        example: row.example,
    }
}

fn message(row: &'static Message) -> Row {
    let own = [(row.cause, 0.9)];
    Row::Message {
        at: place(row.id),
        id: row.id,
        slug: row.slug,
        said_by: daemon(row.daemon),
        meaning: row.meaning,
        wordings: row
            .texts
            .iter()
            .map(|text| Wording {
                text: text.text,
                since: text.since,
                until: text.until,
            })
            .collect(),
        causes: match clues::behind(row.slug) {
            Some(behind) => possible(behind),
            None => possible(&own),
        },
        tells_apart: "",
        example: row.example,
    }
}

fn detector(row: &'static Detector) -> Row {
    Row::Detector {
        at: place(row.id),
        id: row.id,
        slug: row.slug,
        title: row.title,
        severity: row.severity.name(),
        meaning: row.what,
        thresholds: row
            .thresholds
            .iter()
            .map(|t| Threshold {
                name: t.name,
                default: t.default,
                unit: t.unit,
                why: t.why,
            })
            .collect(),
        remedy: steps(row.remedy, &Case::default(), ""),
        refs: row.refs,
    }
}

/// Who writes a message, for people.
pub fn daemon(daemon: Daemon) -> &'static str {
    match daemon {
        Daemon::Openssh => "sshd",
        Daemon::Pam => "PAM",
        Daemon::Dropbear => "Dropbear",
        Daemon::TcpWrappers => "tcp wrappers",
        Daemon::Systemd => "systemd",
        Daemon::Kernel => "the kernel",
        Daemon::Platform => "the system",
    }
}

// ---- likeness

struct Likeness {
    /// Id, slug, wording, its words.
    wordings: Vec<(&'static str, &'static str, &'static str, BTreeSet<String>)>,
    /// How much a word tells: rare ones more.
    worth: BTreeMap<String, f64>,
}

fn likeness() -> &'static Likeness {
    static LIKENESS: OnceLock<Likeness> = OnceLock::new();
    LIKENESS.get_or_init(|| {
        let client = client_messages::all()
            .flat_map(|row| row.texts.iter().map(move |text| (row.id, row.slug, *text)));
        let server = messages::all().flat_map(|row| {
            row.texts
                .iter()
                .map(move |text| (row.id, row.slug, text.text))
        });
        let wordings: Vec<_> = client
            .chain(server)
            .map(|(id, slug, text)| (id, slug, text, words(&literal(text))))
            .filter(|(_, _, _, words)| words.len() >= 2)
            .collect();
        let mut counts = BTreeMap::<String, usize>::new();
        for (_, _, _, words) in &wordings {
            for word in words {
                *counts.entry(word.clone()).or_default() += 1;
            }
        }
        let all = wordings.len() as f64;
        let worth = counts
            .into_iter()
            .map(|(word, count)| (word, (1.0 + all / count as f64).ln()))
            .collect();
        Likeness { wordings, worth }
    })
}

/// A wording's own letters, without its slots.
fn literal(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (slot, tail) = after.split_once('}').unwrap_or((after, ""));
        out.push(' ');
        if let Some(words) = slot.strip_prefix('=') {
            out.push_str(&words.replace('|', " "));
        }
        out.push(' ');
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() >= 3 && !word.bytes().all(|b| b.is_ascii_digit()))
        .map(str::to_lowercase)
        .collect()
}

/// Known messages that look like a line, best first, at most three. `strict` where the rest of the input was understood:
/// a banner is not worth a guess.
pub fn nearest(line: &str, strict: bool) -> Vec<Guess> {
    let least = if strict { 0.62 } else { 0.42 };
    let known = likeness();
    let said = words(line);
    if said.len() < 2 {
        return Vec::new();
    }
    let worth = |word: &String| known.worth.get(word).copied().unwrap_or(4.0);
    let mut found: Vec<Guess> = known
        .wordings
        .iter()
        .filter_map(|(id, slug, text, words)| {
            let shared: f64 = words.intersection(&said).map(worth).sum();
            let own: f64 = words.iter().map(worth).sum();
            let other: f64 = said.difference(words).map(worth).sum();
            let likeness = shared / (own + 0.15 * other);
            (likeness >= least).then_some(Guess {
                id,
                slug,
                text,
                likeness: super::round(likeness),
            })
        })
        .collect();
    found.sort_by(|a, b| b.likeness.total_cmp(&a.likeness).then(a.id.cmp(b.id)));
    found.dedup_by(|a, b| a.id == b.id);
    found.truncate(3);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{keywords, lints};

    #[test]
    fn every_row_is_found_where_it_stands() {
        let ids = causes::all()
            .map(|r| r.id)
            .chain(client_messages::all().map(|r| r.id))
            .chain(messages::all().map(|r| r.id))
            .chain(detectors::ROWS.iter().map(|r| r.id))
            .chain(traces::ROWS.iter().map(|r| r.id))
            .chain(protection::ROWS.iter().map(|r| r.id))
            .chain(keywords::ROWS.iter().map(|r| r.id))
            .chain(keywords::GONE.iter().map(|r| r.id))
            .chain(lints::ROWS.iter().map(|r| r.id));
        let written: BTreeSet<&str> = SOURCES
            .iter()
            .flat_map(|(_, source)| source.split("\"SW").skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect();
        for id in ids {
            let number = id.strip_prefix("SW").unwrap_or(id);
            assert!(written.contains(number), "{id} stands nowhere");
        }
        let at = place("SW0311");
        let (path, line) = at.rsplit_once(':').unwrap();
        let source = SOURCES.iter().find(|(p, _)| *p == path).unwrap().1;
        let text = source.lines().nth(line.parse::<usize>().unwrap() - 1);
        assert!(text.unwrap().contains("SW0311"), "{at}");
        assert_eq!(place("SW9999"), "");
    }

    #[test]
    fn ids_and_slugs_are_asked_for_alone_or_together() {
        let slugs = |text: &str| -> Vec<String> {
            rows(text)
                .iter()
                .map(|row| match row {
                    Row::Cause { text, .. } => format!("cause {}", text.slug),
                    Row::Message { slug, .. } => format!("message {slug}"),
                    Row::Detector { slug, .. } => format!("detector {slug}"),
                    Row::Lint { slug, .. } => format!("lint {slug}"),
                    Row::Keyword { slug, .. } => format!("keyword {slug}"),
                })
                .collect()
        };
        assert_eq!(slugs("sw0311"), ["cause authorized-keys-permissions"]);
        assert_eq!(slugs(" failed-password\n"), ["message failed-password"]);
        assert_eq!(slugs("brute-force"), ["detector brute-force"]);
        assert_eq!(slugs("permitrootlogin"), ["keyword PermitRootLogin"]);
        assert_eq!(slugs("SW8501"), ["lint config-error"]);
        assert_eq!(
            slugs("SW0311, client-connect-refused"),
            [
                "cause authorized-keys-permissions",
                "message client-connect-refused"
            ]
        );
        assert_eq!(slugs("SW0311 of all things"), Vec::<String>::new());
        assert_eq!(slugs("Connection refused"), Vec::<String>::new());
        assert_eq!(slugs(""), Vec::<String>::new());
        // One slug, two rows: the cause and the message that names it.
        assert!(slugs("no-matching-kex").len() >= 2);
    }

    #[test]
    fn likeness_offers_near_messages_and_nothing_for_prose() {
        let near = nearest(
            "ssh: connecting to host web1 port 22 was refused: Connection refused",
            false,
        );
        assert!(
            near.iter().any(|g| g.text.contains("Connection refused")),
            "{near:?}"
        );
        assert_eq!(
            nearest("Welcome to the machine room, have a nice day", true),
            []
        );
        assert_eq!(nearest("x", false), []);
        assert!(nearest(&"word ".repeat(100_000), false).len() <= 3);
    }
}
