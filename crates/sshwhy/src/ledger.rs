//! Bans that outlive a restart, with the reason and the evidence of each, and what became of the earlier ones.
//!
//! The ledger is what ought to be; the firewall is what is. `guard` and `bans` write it in one transaction before they touch the
//! firewall, so a crash between the two leaves a ban that the next restore puts in, never one that nobody can explain.

use crate::state;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::Value;
use sshwhy_core::addr::{Cidr, network};
use sshwhy_core::ban::{Action, Ban, Origin};
use sshwhy_core::time::{DAY, Time};
use std::net::IpAddr;
use std::path::Path;

const STEPS: &[&str] = &["
    CREATE TABLE bans (
        ip BLOB NOT NULL, len INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER,
        detector TEXT NOT NULL, reason TEXT NOT NULL, origin TEXT NOT NULL, strikes INTEGER NOT NULL,
        evidence TEXT NOT NULL, PRIMARY KEY (ip, len)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX bans_until ON bans (until) WHERE until IS NOT NULL;
    CREATE TABLE ban_history (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, act TEXT NOT NULL, ip BLOB NOT NULL, len INTEGER NOT NULL,
        until INTEGER, detector TEXT NOT NULL, reason TEXT NOT NULL, origin TEXT NOT NULL, evidence TEXT NOT NULL
    ) STRICT;
    CREATE INDEX ban_history_net ON ban_history (ip, len);
    CREATE INDEX ban_history_at ON ban_history (at);
"];

/// Where the state lies unless somebody says otherwise.
pub const FILE: &str = "/var/lib/sshwhy/guard.db";
/// How long what is over is remembered.
const MEMORY: i64 = 90 * DAY;
/// Longest reason, in characters: a log line may be as long as an attacker likes.
const LONGEST: usize = 500;

/// A ban with what led to it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Entry {
    #[serde(flatten)]
    pub ban: Ban,
    /// As in a finding: `{"source": …, "at": …, "text": …}`.
    pub evidence: Value,
}

/// Something that once happened to a network.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Past {
    pub at: Time,
    /// `ban`, `unban`, `expired`
    pub act: String,
    pub net: Cidr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    pub detector: String,
    pub reason: String,
    pub origin: Origin,
    pub evidence: Value,
}

#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
}

fn bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Detector => "detector",
        Origin::Operator => "operator",
        Origin::Import => "import",
    }
}

fn origin(word: &str) -> Origin {
    match word {
        "detector" => Origin::Detector,
        "import" => Origin::Import,
        _ => Origin::Operator,
    }
}

fn failed(e: rusqlite::Error) -> String {
    format!("the state file: {e}")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn net_of(row: &Row<'_>) -> rusqlite::Result<Cidr> {
    let raw: Vec<u8> = row.get("ip")?;
    let len: u8 = row.get("len")?;
    let ip = ip(&raw).ok_or_else(|| {
        rusqlite::Error::InvalidColumnType(0, "ip".to_owned(), rusqlite::types::Type::Blob)
    })?;
    Ok(Cidr { ip, len })
}

fn ban_of(row: &Row<'_>) -> rusqlite::Result<Ban> {
    Ok(Ban {
        net: net_of(row)?,
        since: Time(row.get("since")?),
        until: row.get::<_, Option<i64>>("until")?.map(Time),
        detector: row.get("detector")?,
        reason: row.get("reason")?,
        origin: origin(&row.get::<_, String>("origin")?),
        strikes: row.get("strikes")?,
    })
}

fn evidence_of(row: &Row<'_>) -> rusqlite::Result<Value> {
    let text: String = row.get("evidence")?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::Array(Vec::new())))
}

impl Ledger {
    /// Opens or makes it; also what has to be said of a broken file that was moved aside.
    pub fn open(path: &Path) -> Result<(Ledger, Option<String>), String> {
        let opened = state::open(path, "bans", STEPS)?;
        Ok((
            Ledger {
                connection: opened.connection,
            },
            opened.moved,
        ))
    }

    /// As it is, for who only looks: an empty one where the file is not there, which is not made.
    pub fn look(path: &Path) -> Result<(Ledger, Option<String>), String> {
        let opened = state::open_to_read(path, "bans", STEPS)?;
        Ok((
            Ledger {
                connection: opened.connection,
            },
            opened.moved,
        ))
    }

    /// Writes what was decided, all of it or nothing. `evidence` is asked once for each ban.
    pub fn record(
        &mut self,
        actions: &[Action],
        evidence: impl Fn(&Ban) -> Value,
        now: Time,
    ) -> Result<(), String> {
        let t = self.connection.transaction().map_err(failed)?;
        {
            let mut put = t
                .prepare_cached(
                    "INSERT OR REPLACE INTO bans (ip, len, since, until, detector, reason, origin, strikes, evidence)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )
                .map_err(failed)?;
            let mut take = t
                .prepare_cached("DELETE FROM bans WHERE ip = ?1 AND len = ?2")
                .map_err(failed)?;
            let mut note = t
                .prepare_cached(
                    "INSERT INTO ban_history (at, act, ip, len, until, detector, reason, origin, evidence)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )
                .map_err(failed)?;
            for action in actions {
                let net = action.net();
                let raw = bytes(net.ip);
                match action {
                    Action::Ban(b) => {
                        let why = evidence(b).to_string();
                        let reason = short(&b.reason);
                        let until = b.until.map(|u| u.0);
                        let by = origin_word(b.origin);
                        put.execute(params![
                            raw, net.len, b.since.0, until, b.detector, reason, by, b.strikes, why
                        ])
                        .map_err(failed)?;
                        note.execute(params![
                            now.0, "ban", raw, net.len, until, b.detector, reason, by, why
                        ])
                        .map_err(failed)?;
                    }
                    Action::Unban { reason, .. } => {
                        if take.execute(params![raw, net.len]).map_err(failed)? > 0 {
                            note.execute(params![
                                now.0,
                                "unban",
                                raw,
                                net.len,
                                None::<i64>,
                                "",
                                short(reason),
                                "operator",
                                "[]"
                            ])
                            .map_err(failed)?;
                        }
                    }
                }
            }
        }
        t.commit().map_err(failed)
    }

    /// Takes out what is over and returns it, for firewalls that have no timeouts; forgets what is long over.
    pub fn expire(&mut self, now: Time) -> Result<Vec<Cidr>, String> {
        let t = self.connection.transaction().map_err(failed)?;
        let over = {
            let mut s = t
                .prepare_cached("SELECT ip, len FROM bans WHERE until <= ?1")
                .map_err(failed)?;
            let rows = s.query_map([now.0], net_of).map_err(failed)?;
            rows.collect::<Result<Vec<_>, _>>().map_err(failed)?
        };
        if !over.is_empty() {
            t.execute(
                "INSERT INTO ban_history (at, act, ip, len, until, detector, reason, origin, evidence)
                 SELECT until, 'expired', ip, len, until, detector, reason, origin, '[]' FROM bans WHERE until <= ?1",
                [now.0],
            )
            .map_err(failed)?;
            t.execute("DELETE FROM bans WHERE until <= ?1", [now.0])
                .map_err(failed)?;
        }
        t.execute(
            "DELETE FROM ban_history WHERE at < ?1",
            [now.0.saturating_sub(MEMORY)],
        )
        .map_err(failed)?;
        t.commit().map_err(failed)?;
        Ok(over)
    }

    /// Hands every ban in force to `f`, one at a time, oldest address first: there may be a million.
    pub fn each(&self, now: Time, mut f: impl FnMut(Ban)) -> Result<(), String> {
        let mut s = self
            .connection
            .prepare_cached("SELECT * FROM bans WHERE until IS NULL OR until > ?1")
            .map_err(failed)?;
        let rows = s.query_map([now.0], ban_of).map_err(failed)?;
        for row in rows {
            f(row.map_err(failed)?);
        }
        Ok(())
    }

    /// The same as an iterator inside of `f`, for who wants to stop or to batch.
    pub fn with_all<T>(
        &self,
        now: Time,
        f: impl FnOnce(&mut dyn Iterator<Item = Action>) -> T,
    ) -> Result<T, String> {
        let mut s = self
            .connection
            .prepare_cached("SELECT * FROM bans WHERE until IS NULL OR until > ?1")
            .map_err(failed)?;
        let rows = s.query_map([now.0], ban_of).map_err(failed)?;
        let mut broken = None;
        let mut bans = rows.map_while(|row| match row {
            Ok(ban) => Some(Action::Ban(ban)),
            Err(e) => {
                broken = Some(e);
                None
            }
        });
        let out = f(&mut bans);
        drop(bans);
        broken.map_or(Ok(out), |e| Err(failed(e)))
    }

    pub fn count(&self, now: Time) -> Result<u64, String> {
        self.connection
            .query_row(
                "SELECT count(*) FROM bans WHERE until IS NULL OR until > ?1",
                [now.0],
                |row| row.get::<_, i64>(0),
            )
            .map(|n| u64::try_from(n).unwrap_or(0))
            .map_err(failed)
    }

    /// Bans in force of networks that hold the address, the narrowest first.
    pub fn covering(&self, addr: IpAddr, now: Time) -> Result<Vec<Entry>, String> {
        let mut out = Vec::new();
        let most = if addr.is_ipv4() { 32 } else { 128 };
        for len in (0..=most).rev() {
            out.extend(self.get(
                Cidr {
                    ip: network(addr, len),
                    len,
                },
                now,
            )?);
        }
        Ok(out)
    }

    /// The ban of exactly that network.
    pub fn get(&self, net: Cidr, now: Time) -> Result<Option<Entry>, String> {
        let mut s = self
            .connection
            .prepare_cached(
                "SELECT * FROM bans WHERE ip = ?1 AND len = ?2 AND (until IS NULL OR until > ?3)",
            )
            .map_err(failed)?;
        s.query_row(params![bytes(net.ip), net.len, now.0], |row| {
            Ok(Entry {
                ban: ban_of(row)?,
                evidence: evidence_of(row)?,
            })
        })
        .optional()
        .map_err(failed)
    }

    /// Bans in force of networks within that one.
    pub fn within(&self, net: Cidr, now: Time) -> Result<Vec<Cidr>, String> {
        let mut out = Vec::new();
        self.each(now, |b| {
            if net.len <= b.net.len && net.contains(b.net.ip) {
                out.push(b.net);
            }
        })?;
        Ok(out)
    }

    /// What became of networks that hold the address, latest first.
    pub fn history(&self, addr: IpAddr, most: usize) -> Result<Vec<Past>, String> {
        let widest = if addr.is_ipv4() { 32u8 } else { 128 };
        let mut s = self
            .connection
            .prepare_cached(
                "SELECT * FROM ban_history WHERE ip = ?1 AND len = ?2 ORDER BY id DESC LIMIT 100",
            )
            .map_err(failed)?;
        let mut out: Vec<Past> = Vec::new();
        for len in 0..=widest {
            let rows = s
                .query_map(params![bytes(network(addr, len)), len], |row| {
                    Ok(Past {
                        at: Time(row.get("at")?),
                        act: row.get("act")?,
                        net: net_of(row)?,
                        until: row.get::<_, Option<i64>>("until")?.map(Time),
                        detector: row.get("detector")?,
                        reason: row.get("reason")?,
                        origin: origin(&row.get::<_, String>("origin")?),
                        evidence: evidence_of(row)?,
                    })
                })
                .map_err(failed)?;
            for row in rows {
                out.push(row.map_err(failed)?);
            }
        }
        out.sort_by_key(|p| std::cmp::Reverse(p.at));
        out.truncate(most);
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;
    use sshwhy_core::time::SECOND;

    fn ban(text: &str, since: i64, secs: Option<i64>) -> Action {
        Action::Ban(Ban {
            net: Cidr::parse(text).unwrap(),
            since: Time(since * SECOND),
            until: secs.map(|s| Time((since + s) * SECOND)),
            detector: "brute-force".to_owned(),
            reason: "x".repeat(2000),
            origin: Origin::Detector,
            strikes: 2,
        })
    }

    #[test]
    fn bans_are_kept_with_their_evidence_end_and_leave_a_history() {
        let dir = std::env::temp_dir().join(format!("sshwhy-ledger-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let file = dir.join("state.db");
        let evidence = |b: &Ban| json!([{"source": "auth.log:7", "text": b.net.to_string()}]);
        let (mut l, moved) = Ledger::open(&file).unwrap();
        assert_eq!(moved, None);
        l.record(
            &[
                ban("192.0.2.7", 100, Some(60)),
                ban("192.0.2.0/24", 100, None),
                ban("2001:db8::/64", 100, Some(600)),
            ],
            evidence,
            Time::from_secs(100),
        )
        .unwrap();
        drop(l);
        let (mut l, _) = Ledger::open(&file).unwrap();
        let now = Time::from_secs(120);
        assert_eq!(l.count(now).unwrap(), 3);
        let over = l.covering("192.0.2.7".parse().unwrap(), now).unwrap();
        let nets: Vec<String> = over.iter().map(|e| e.ban.net.to_string()).collect();
        assert_eq!(nets, ["192.0.2.7", "192.0.2.0/24"]);
        let first = over.first().unwrap();
        assert_eq!(first.evidence[0]["source"], "auth.log:7");
        assert_eq!(first.ban.reason.chars().count(), LONGEST + 1, "cut");
        assert_eq!(
            l.within(Cidr::parse("192.0.0.0/16").unwrap(), now)
                .unwrap()
                .len(),
            2
        );
        // What is over is over at once, whether or not anybody took it out.
        let later = Time::from_secs(160);
        assert_eq!(l.count(later).unwrap(), 2);
        assert_eq!(
            l.expire(later).unwrap(),
            [Cidr::parse("192.0.2.7").unwrap()]
        );
        let lift = Action::Unban {
            net: Cidr::parse("192.0.2.0/24").unwrap(),
            reason: "my office".to_owned(),
        };
        l.record(&[lift.clone(), lift], evidence, later).unwrap();
        let past = l.history("192.0.2.7".parse().unwrap(), 10).unwrap();
        let acts: Vec<&str> = past.iter().map(|p| p.act.as_str()).collect();
        assert_eq!(acts.len(), 4, "lifted once, though asked twice: {acts:?}");
        for act in ["ban", "unban", "expired"] {
            assert!(acts.contains(&act), "{act}");
        }
        assert!(
            l.history("198.51.100.1".parse().unwrap(), 10)
                .unwrap()
                .is_empty()
        );
        let n = l.with_all(later, |all| all.count()).unwrap();
        assert_eq!(n, 1);
        l.expire(Time(later.0 + MEMORY + 1000 * SECOND)).unwrap();
        assert!(
            l.history("192.0.2.7".parse().unwrap(), 10)
                .unwrap()
                .is_empty()
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
