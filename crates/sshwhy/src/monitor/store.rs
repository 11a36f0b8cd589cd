//! The monitor's history, and what it remembers of each endpoint, in the state file.
//!
//! Results are gathered and committed together, at least once a second: what a kill -9 may cost is that second.

use crate::state;
use rusqlite::Connection;
use sshwhy_core::monitor::{News, Outcome, Track};
use std::collections::BTreeMap;
use std::path::Path;

const STEPS: &[&str] = &[
    // One row a check. `at` is microseconds since the epoch; `phases` and `failure` are JSON.
    "CREATE TABLE endpoint (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, track TEXT NOT NULL) STRICT;
     CREATE TABLE result (at INTEGER NOT NULL, endpoint INTEGER NOT NULL, good INTEGER NOT NULL, took REAL NOT NULL,
        phases TEXT NOT NULL, failure TEXT, ident TEXT, fingerprint TEXT) STRICT;
     CREATE INDEX result_by_endpoint ON result (endpoint, at);
     CREATE TABLE news (at INTEGER NOT NULL, endpoint INTEGER NOT NULL, change TEXT NOT NULL, finding TEXT NOT NULL) STRICT;",
    "CREATE INDEX result_by_time ON result (at);",
    // What a person asked a monitor to forget: one that runs has its own copy, and would write it back.
    "CREATE TABLE forget (name TEXT PRIMARY KEY) STRICT;",
];

pub struct Store {
    connection: Connection,
    ids: BTreeMap<String, i64>,
    waiting: Vec<Row>,
}

struct Row {
    name: String,
    outcome: Outcome,
    track: String,
    news: Vec<(&'static str, String)>,
}

impl Store {
    /// Opens it; the second value is what was moved aside.
    pub fn open(path: &Path) -> Result<(Store, Option<String>), String> {
        let opened = state::open(path, "monitor", STEPS)?;
        let mut store = Store {
            connection: opened.connection,
            ids: BTreeMap::new(),
            waiting: Vec::new(),
        };
        store
            .read_ids()
            .map_err(|e| format!("{}: {e}", path.display()))?;
        Ok((store, opened.moved))
    }

    fn read_ids(&mut self) -> rusqlite::Result<()> {
        let mut s = self.connection.prepare("SELECT name, id FROM endpoint")?;
        let rows = s.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?)))?;
        for row in rows {
            let (name, id) = row?;
            self.ids.insert(name, id);
        }
        Ok(())
    }

    /// What is remembered of every endpoint.
    pub fn tracks(&self) -> Result<BTreeMap<String, Track>, String> {
        let read = || -> rusqlite::Result<BTreeMap<String, Track>> {
            let mut s = self
                .connection
                .prepare("SELECT name, track FROM endpoint")?;
            let rows = s.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))?;
            let mut out = BTreeMap::new();
            for row in rows {
                let (name, track) = row?;
                out.insert(name, serde_json::from_str(&track).unwrap_or_default());
            }
            Ok(out)
        };
        read().map_err(|e| format!("the state file: {e}"))
    }

    /// Forgets what is remembered of one endpoint, and leaves word for a monitor that runs. `false`: there is none of that
    /// name.
    pub fn forget(&mut self, name: &str) -> Result<bool, String> {
        let mut go = || -> rusqlite::Result<bool> {
            let t = self.connection.transaction()?;
            let n = t.execute("UPDATE endpoint SET track = '{}' WHERE name = ?1", [name])?;
            if n > 0 {
                t.execute("INSERT OR IGNORE INTO forget VALUES (?1)", [name])?;
            }
            t.commit()?;
            Ok(n > 0)
        };
        go().map_err(|e| format!("the state file: {e}"))
    }

    /// The endpoints that somebody asked to be forgotten since the last time.
    pub fn take_forgotten(&mut self) -> Vec<String> {
        let read = |c: &Connection| -> rusqlite::Result<Vec<String>> {
            let mut s = c.prepare_cached("SELECT name FROM forget")?;
            let names = s.query_map([], |r| r.get(0))?;
            names.collect()
        };
        let names = read(&self.connection).unwrap_or_default();
        if !names.is_empty()
            && let Err(e) = self.connection.execute("DELETE FROM forget", [])
        {
            eprintln!("sshwhy monitor: the state file: {e}");
            return Vec::new();
        }
        // Results from before would bring back what is to be forgotten.
        for row in &mut self.waiting {
            if names.contains(&row.name) {
                "{}".clone_into(&mut row.track);
            }
        }
        names
    }

    pub fn push(&mut self, name: &str, outcome: &Outcome, track: &Track, news: &[News]) {
        self.waiting.push(Row {
            name: name.to_owned(),
            outcome: outcome.clone(),
            track: serde_json::to_string(track).unwrap_or_default(),
            news: news
                .iter()
                .map(|n| {
                    let text = serde_json::to_string(&n.finding).unwrap_or_default();
                    (n.change.name(), text)
                })
                .collect(),
        });
    }

    /// How many wait to be committed.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Commits what waits; what could not be written waits on, up to a bound.
    pub fn flush(&mut self) -> Result<(), String> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        match self.write() {
            Ok(()) => {
                self.waiting.clear();
                Ok(())
            }
            Err(e) => {
                let too_many = self.waiting.len().saturating_sub(100_000);
                self.waiting.drain(..too_many);
                // Ids of a transaction that was rolled back are none.
                self.ids.clear();
                let _ = self.read_ids();
                Err(format!("cannot write the history: {e}"))
            }
        }
    }

    fn write(&mut self) -> rusqlite::Result<()> {
        let t = self.connection.transaction()?;
        {
            let mut endpoint = t.prepare_cached(
                "INSERT INTO endpoint (name, track) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET track = excluded.track RETURNING id",
            )?;
            let mut again = t.prepare_cached("UPDATE endpoint SET track = ?2 WHERE id = ?1")?;
            let mut result =
                t.prepare_cached("INSERT INTO result VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
            let mut said = t.prepare_cached("INSERT INTO news VALUES (?1, ?2, ?3, ?4)")?;
            for row in &self.waiting {
                let id = match self.ids.get(&row.name) {
                    Some(id) => {
                        again.execute((id, &row.track))?;
                        *id
                    }
                    None => {
                        let id: i64 = endpoint.query_row((&row.name, &row.track), |r| r.get(0))?;
                        self.ids.insert(row.name.clone(), id);
                        id
                    }
                };
                let o = &row.outcome;
                let phases: BTreeMap<&str, f64> =
                    o.phases.iter().map(|(p, t)| (p.name(), *t)).collect();
                result.execute((
                    o.at.0,
                    id,
                    o.failure.is_none(),
                    o.took,
                    serde_json::to_string(&phases).unwrap_or_default(),
                    o.failure
                        .as_ref()
                        .map(|f| serde_json::to_string(f).unwrap_or_default()),
                    &o.ident,
                    o.host_key.as_ref().map(|k| &k.fingerprint),
                ))?;
                for (change, finding) in &row.news {
                    said.execute((o.at.0, id, change, finding))?;
                }
            }
        }
        t.commit()
    }

    /// Drops results from before that time; what was said stays four times as long.
    pub fn prune(&mut self, before: i64, age: i64) -> Result<(), String> {
        let t = || -> rusqlite::Result<()> {
            self.connection
                .execute("DELETE FROM result WHERE at < ?1", [before])?;
            let long = before.saturating_sub(age.saturating_mul(3));
            self.connection
                .execute("DELETE FROM news WHERE at < ?1", [long])?;
            Ok(())
        };
        t().map_err(|e| format!("cannot prune the history: {e}"))
    }
}
