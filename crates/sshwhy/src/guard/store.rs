//! The guard's tables: how far was read, what is counted, who is banned. Always written in one transaction, so that after a crash
//! a line has been counted exactly when it is behind a position.

use crate::ledger::Ledger;
use crate::state;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Serialize, de::DeserializeOwned};
use sshwhy_core::addr::Cidr;
use sshwhy_core::ban::{Ban, Change, Origin};
use sshwhy_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

const STEPS: &[&str] = &["
    CREATE TABLE guard_source (net TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE guard_name (hash INTEGER PRIMARY KEY, state TEXT NOT NULL) STRICT;
    CREATE TABLE guard_value (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"];

pub struct Store {
    connection: Connection,
    /// What could not be written yet; the last word about each thing.
    pending: BTreeMap<String, Change>,
    values: BTreeMap<String, String>,
    pub moved: Option<String>,
    /// Changes when another program has written.
    seen: i64,
    /// The last line of the history that was looked at.
    read: i64,
}

/// Bans that are taken over from another program at once.
const SOME: i64 = 10_000;

fn version(c: &Connection) -> i64 {
    // Asked every second: the statement is kept.
    c.prepare_cached("PRAGMA data_version")
        .and_then(|mut s| s.query_row([], |r| r.get(0)))
        .unwrap_or(0)
}

fn last(c: &Connection) -> i64 {
    c.query_row("SELECT coalesce(max(id), 0) FROM ban_history", [], |r| {
        r.get(0)
    })
    .unwrap_or(0)
}

fn address(raw: &[u8]) -> Option<IpAddr> {
    match (<[u8; 4]>::try_from(raw), <[u8; 16]>::try_from(raw)) {
        (Ok(four), _) => Some(IpAddr::from(four)),
        (_, Ok(all)) => Some(IpAddr::from(all)),
        _ => None,
    }
}

fn net(r: &Row<'_>) -> rusqlite::Result<Option<Cidr>> {
    let raw: Vec<u8> = r.get(0)?;
    let len: u8 = r.get(1)?;
    Ok(address(&raw).map(|ip| Cidr { ip, len }))
}

/// Of `ip, len, since, until, detector, reason, origin, strikes`.
fn ban(r: &Row<'_>) -> rusqlite::Result<Option<Ban>> {
    let Some(net) = net(r)? else { return Ok(None) };
    Ok(Some(Ban {
        net,
        since: Time(r.get(2)?),
        until: r.get::<_, Option<i64>>(3)?.map(Time),
        detector: r.get(4)?,
        reason: r.get(5)?,
        origin: match r.get_ref(6)?.as_str().unwrap_or_default() {
            "operator" => Origin::Operator,
            "import" => Origin::Import,
            _ => Origin::Detector,
        },
        strikes: r.get(7)?,
    }))
}

const BANS: &str = "SELECT ip, len, since, until, detector, reason, origin, strikes FROM bans";

fn key(change: &Change) -> String {
    match change {
        Change::Source(net, _) => format!("s{net}"),
        Change::Name(hash, _) => format!("n{hash}"),
        Change::Ban(net, _) => format!("b{net}"),
        Change::Never(_) => "never".to_owned(),
    }
}

fn raw(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Detector => "detector",
        Origin::Operator => "operator",
        Origin::Import => "import",
    }
}

impl Store {
    pub fn open(path: &Path) -> Result<Store, String> {
        // The bans' own tables, which `bans` reads and writes too.
        let (_, moved) = Ledger::open(path)?;
        let opened = state::open(path, "guard", STEPS)?;
        Ok(Store {
            seen: version(&opened.connection),
            read: last(&opened.connection),
            connection: opened.connection,
            pending: BTreeMap::new(),
            values: BTreeMap::new(),
            moved: moved.or(opened.moved),
        })
    }

    /// Everything that a decider has to be given back, but the bans.
    pub fn load(&self) -> Result<Vec<Change>, String> {
        let c = &self.connection;
        let said = |e: rusqlite::Error| format!("cannot read the state: {e}");
        let mut out = Vec::new();
        let mut rows = c
            .prepare("SELECT net, state FROM guard_source")
            .map_err(said)?;
        for row in rows
            .query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))
            .map_err(said)?
        {
            let (net, state) = row.map_err(said)?;
            if let Some(net) = Cidr::parse(&net) {
                out.push(Change::Source(net, Some(state)));
            }
        }
        let mut rows = c
            .prepare("SELECT hash, state FROM guard_name")
            .map_err(said)?;
        for row in rows
            .query_map([], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?)))
            .map_err(said)?
        {
            let (hash, state) = row.map_err(said)?;
            out.push(Change::Name(hash.cast_unsigned(), Some(state)));
        }
        if let Some(text) = self.text("never") {
            out.push(Change::Never(text));
        }
        Ok(out)
    }

    /// Hands over every ban, one at a time: there may be a million.
    pub fn bans(&self, mut each: impl FnMut(&Ban)) -> Result<(), String> {
        let said = |e: rusqlite::Error| format!("cannot read the bans: {e}");
        let mut rows = self.connection.prepare(BANS).map_err(said)?;
        for row in rows.query_map([], ban).map_err(said)? {
            if let Some(ban) = row.map_err(said)? {
                each(&ban);
            }
        }
        Ok(())
    }

    /// Some of what another program (`bans add`, `bans import`) made of the bans since the last look: as they are now. Nothing: no
    /// more news.
    pub fn changed(&mut self) -> Option<Vec<(Cidr, Option<Ban>)>> {
        let now = version(&self.connection);
        if now == self.seen {
            return None;
        }
        let found = self.news();
        match &found {
            Ok(news) if news.is_empty() => self.seen = now,
            Ok(_) => {}
            // It is tried again in a second.
            Err(_) => return None,
        }
        found.ok().filter(|news| !news.is_empty())
    }

    fn news(&mut self) -> rusqlite::Result<Vec<(Cidr, Option<Ban>)>> {
        let c = &self.connection;
        // A history that was thrown away begins anew.
        let from = self.read.min(last(c));
        let (to, nets) = {
            let mut rows = c.prepare_cached(
                "SELECT ip, len, id FROM ban_history WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let mut nets: BTreeSet<Cidr> = BTreeSet::new();
            let mut to = from;
            let mut rows = rows.query(params![from, SOME])?;
            while let Some(r) = rows.next()? {
                nets.extend(net(r)?);
                to = r.get(2)?;
            }
            (to, nets)
        };
        let mut get = c.prepare_cached(&format!("{BANS} WHERE ip = ?1 AND len = ?2"))?;
        let news = nets
            .into_iter()
            .map(|net| {
                let now = get.query_row(params![raw(net.ip), net.len], ban);
                Ok((net, now.optional()?.flatten()))
            })
            .collect::<rusqlite::Result<Vec<_>>>()?;
        self.read = to;
        Ok(news)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.connection
            .query_row("SELECT value FROM guard_value WHERE key = ?1", [key], |r| {
                r.get(0)
            })
            .optional()
            .ok()
            .flatten()
    }

    pub fn value<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(&self.text(key)?).ok()
    }

    /// To be written with the next commit.
    pub fn set<T: Serialize>(&mut self, key: &str, value: &T) {
        if let Ok(text) = serde_json::to_string(value) {
            self.values.insert(key.to_owned(), text);
        }
    }

    pub fn note(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.pending.insert(key(&change), change);
        }
    }

    /// Everything that was noted, or nothing. What could not be written stays noted.
    pub fn commit(&mut self) -> Result<(), String> {
        let said = |e: rusqlite::Error| {
            format!(
                "cannot write the state: {e}; protection goes on, but what was counted since would be forgotten by a restart (is the disk full?)"
            )
        };
        let t = self.connection.transaction().map_err(said)?;
        for change in self.pending.values() {
            write(&t, change).map_err(said)?;
        }
        for (key, value) in &self.values {
            t.prepare_cached(
                "INSERT INTO guard_value (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .and_then(|mut s| s.execute(params![key, value]))
            .map_err(said)?;
        }
        t.commit().map_err(said)?;
        self.pending.clear();
        self.values.clear();
        Ok(())
    }
}

fn write(t: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Source(net, Some(state)) => t
            .prepare_cached("INSERT INTO guard_source (net, state) VALUES (?1, ?2) ON CONFLICT (net) DO UPDATE SET state = excluded.state")?
            .execute(params![net.to_string(), state]),
        Change::Source(net, None) => t
            .prepare_cached("DELETE FROM guard_source WHERE net = ?1")?
            .execute([net.to_string()]),
        Change::Name(hash, Some(state)) => t
            .prepare_cached("INSERT INTO guard_name (hash, state) VALUES (?1, ?2) ON CONFLICT (hash) DO UPDATE SET state = excluded.state")?
            .execute(params![hash.cast_signed(), state]),
        Change::Name(hash, None) => t
            .prepare_cached("DELETE FROM guard_name WHERE hash = ?1")?
            .execute([hash.cast_signed()]),
        Change::Ban(net, Some(ban)) => {
            t.prepare_cached(
                "INSERT INTO bans (ip, len, since, until, detector, reason, origin, strikes, evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '[]')
                 ON CONFLICT (ip, len) DO UPDATE SET since = excluded.since, until = excluded.until, detector = excluded.detector,
                 reason = excluded.reason, origin = excluded.origin, strikes = excluded.strikes",
            )?
            .execute(params![
                raw(net.ip),
                net.len,
                ban.since.0,
                ban.until.map(|u| u.0),
                ban.detector,
                ban.reason,
                origin(ban.origin),
                ban.strikes
            ])?;
            t.prepare_cached(
                "INSERT INTO ban_history (at, act, ip, len, until, detector, reason, origin, evidence) VALUES (?1, 'ban', ?2, ?3, ?4, ?5, ?6, ?7, '[]')",
            )?
            .execute(params![
                ban.since.0,
                raw(net.ip),
                net.len,
                ban.until.map(|u| u.0),
                ban.detector,
                ban.reason,
                origin(ban.origin)
            ])
        }
        Change::Ban(net, None) => t
            .prepare_cached("DELETE FROM bans WHERE ip = ?1 AND len = ?2")?
            .execute(params![raw(net.ip), net.len]),
        Change::Never(text) => t
            .prepare_cached("INSERT INTO guard_value (key, value) VALUES ('never', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value")?
            .execute([text]),
    }
    .map(drop)
}
