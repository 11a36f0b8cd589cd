//! What survives a restart: one SQLite file, opened so that a crash neither loses nor doubles what was committed.
//!
//! Every part of the program that keeps something (monitor, guard) names itself and gives the steps by which its tables
//! came to be; which steps a file has had stands in its table `schema`. A file that is no database, or a broken one, is
//! moved aside, said, and begun anew: a daemon that does not start protects nobody.

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// Larger files are not checked page by page at every start.
const LARGEST_CHECKED: u64 = 256 << 20;

#[derive(Debug)]
pub struct Opened {
    pub connection: Connection,
    /// What was moved aside, and why; to be said to people.
    pub moved: Option<String>,
}

enum Trouble {
    /// What is in the file is broken.
    Corrupt(String),
    Other(String),
}

impl From<rusqlite::Error> for Trouble {
    fn from(e: rusqlite::Error) -> Trouble {
        match e.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Trouble::Corrupt(e.to_string())
            }
            _ => Trouble::Other(e.to_string()),
        }
    }
}

/// Opens the file, makes it where it is not there, and brings the tables of `part` up to date: `steps[n]` leads from
/// version n to n + 1. Steps are never changed once released, only added.
pub fn open(path: &Path, part: &str, steps: &[&str]) -> Result<Opened, String> {
    let name = path.display();
    match try_open(path, part, steps) {
        Ok(connection) => Ok(Opened {
            connection,
            moved: None,
        }),
        Err(Trouble::Other(why)) => Err(format!("cannot open the state file {name}: {why}")),
        // A name that was mistyped may be anybody's file.
        Err(Trouble::Corrupt(_)) if !may_be_ours(path) => Err(format!(
            "{name} is no database, and was left as it is: name the state file, or one that is not there yet"
        )),
        Err(Trouble::Corrupt(why)) => {
            let aside = move_aside(path)
                .map_err(|e| format!("{name} is broken ({why}) and cannot be moved aside: {e}"))?;
            let connection = try_open(path, part, steps).map_err(|t| match t {
                Trouble::Corrupt(why) | Trouble::Other(why) => {
                    format!("cannot make a new state file {name}: {why}")
                }
            })?;
            let moved = format!(
                "{name} was broken ({why}); it was moved to {} and a new one begun",
                aside.display()
            );
            Ok(Opened {
                connection,
                moved: Some(moved),
            })
        }
    }
}

/// As [`open`], for who only looks: where the file is not there, an empty one in memory stands for it, and nothing is made.
pub fn open_to_read(path: &Path, part: &str, steps: &[&str]) -> Result<Opened, String> {
    if path.exists() {
        return open(path, part, steps);
    }
    let empty = || {
        let c = Connection::open_in_memory()?;
        steps.iter().try_for_each(|s| c.execute_batch(s))?;
        Ok(c)
    };
    let connection = empty().map_err(|e: rusqlite::Error| e.to_string())?;
    Ok(Opened {
        connection,
        moved: None,
    })
}

fn try_open(path: &Path, part: &str, steps: &[&str]) -> Result<Connection, Trouble> {
    let other = |e: std::io::Error| Trouble::Other(e.to_string());
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(other)?;
    }
    if !path.exists() {
        create(path).map_err(other)?;
    }
    let size = std::fs::metadata(path).map_err(other)?.len();
    let mut c = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    c.busy_timeout(BUSY)?;
    // Before anything is changed in it.
    let (tables, ours): (i64, i64) = c.query_row(
        "SELECT count(*), count(*) FILTER (WHERE name = 'schema') FROM sqlite_master WHERE type = 'table'",
        [],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    if tables > 0 && ours == 0 {
        return Err(Trouble::Other(
            "it is another program's database, and was left as it is".to_owned(),
        ));
    }
    // Readers (a status page, `bans`) never wait for the writer. A commit survives kill -9; what a power cut may cost is
    // the last moments, never the file.
    c.pragma_update(None, "journal_mode", "wal")?;
    c.pragma_update(None, "synchronous", "normal")?;
    c.pragma_update(None, "foreign_keys", true)?;
    if size > 0 && size <= LARGEST_CHECKED {
        let said: String = c.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if said != "ok" {
            return Err(Trouble::Corrupt(said));
        }
    }
    let t = c.transaction_with_behavior(TransactionBehavior::Immediate)?;
    t.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT",
    )?;
    let had: usize = t
        .query_row("SELECT version FROM schema WHERE part = ?1", [part], |r| {
            r.get::<_, i64>(0)
        })
        .map(|v| usize::try_from(v).unwrap_or(usize::MAX))
        .or_else(|e| match e {
            rusqlite::Error::QueryReturnedNoRows => Ok(0),
            e => Err(e),
        })?;
    if had > steps.len() {
        return Err(Trouble::Other(format!(
            "it was written by a newer sshwhy (version {had} of its tables, this one knows {}); use that one, or another file",
            steps.len()
        )));
    }
    for step in steps.get(had..).unwrap_or_default() {
        t.execute_batch(step)?;
    }
    if had < steps.len() {
        let now = i64::try_from(steps.len()).unwrap_or(i64::MAX);
        t.execute(
            "INSERT INTO schema (part, version) VALUES (?1, ?2)
             ON CONFLICT (part) DO UPDATE SET version = excluded.version",
            (part, now),
        )?;
    }
    t.commit()?;
    Ok(c)
}

/// Whether a file that cannot be read as a database may have been one of ours: by its head (a power cut may leave zeros there), or by
/// how databases are called.
fn may_be_ours(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(512).read_to_end(&mut head));
    let called = path
        .extension()
        .is_some_and(|e| e == "db" || e == "sqlite" || e == "sqlite3");
    read.is_ok() && (called || head.starts_with(b"SQLite format 3") || head.iter().all(|b| *b == 0))
}

/// It names users' hosts and keys: its owner's alone.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Renames the file, and what SQLite keeps beside it, to `NAME.broken-SECONDS`.
fn move_aside(path: &Path) -> std::io::Result<PathBuf> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let with = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let mut aside = with(&format!(".broken-{now}"));
    let mut n = 1;
    while aside.exists() {
        aside = with(&format!(".broken-{now}-{n}"));
        n += 1;
    }
    std::fs::rename(path, &aside)?;
    for end in ["-wal", "-shm"] {
        let beside = with(end);
        if beside.exists() {
            let mut to = aside.as_os_str().to_owned();
            to.push(end);
            std::fs::rename(beside, to)?;
        }
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "CREATE TABLE a (n INTEGER) STRICT";
    const TWO: &str = "ALTER TABLE a ADD COLUMN m INTEGER";

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("sshwhy-state-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn steps_are_taken_once_and_parts_keep_apart() {
        let dir = folder("steps");
        let file = dir.join("deep/er/state.db");
        let o = open(&file, "monitor", &[ONE]).unwrap();
        assert_eq!(o.moved, None);
        o.connection
            .execute("INSERT INTO a (n) VALUES (7)", [])
            .unwrap();
        drop(o);
        let o = open(&file, "monitor", &[ONE, TWO]).unwrap();
        let n: i64 = o
            .connection
            .query_row("SELECT n FROM a WHERE m IS NULL", [], |r| r.get(0))
            .unwrap();
        assert_eq!(n, 7);
        // Another part has its own count, and may be open at the same time.
        open(&file, "guard", &["CREATE TABLE b (n INTEGER) STRICT"]).unwrap();
        let e = open(&file, "monitor", &[ONE]).unwrap_err();
        assert!(e.contains("newer sshwhy"), "{e}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_broken_file_is_moved_aside_and_said() {
        let dir = folder("broken");
        let file = dir.join("state.db");
        std::fs::write(
            &file,
            "this is no database, and long enough to show it\n".repeat(100),
        )
        .unwrap();
        let o = open(&file, "monitor", &[ONE]).unwrap();
        let said = o.moved.unwrap();
        assert!(said.contains(".broken-"), "{said}");
        o.connection
            .execute("INSERT INTO a (n) VALUES (1)", [])
            .unwrap();
        drop(o.connection);
        let aside = std::fs::read_dir(&dir)
            .unwrap()
            .filter_map(Result::ok)
            .find(|e| e.file_name().to_string_lossy().contains(".broken-"))
            .unwrap();
        assert!(
            std::fs::read_to_string(aside.path())
                .unwrap()
                .starts_with("this is no database")
        );
        // Pages overwritten in the middle of a real one.
        let c = open(&file, "monitor", &[ONE]).unwrap().connection;
        c.execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             INSERT INTO a SELECT i FROM n; PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
        drop(c);
        let mut bytes = std::fs::read(&file).unwrap();
        for b in bytes.iter_mut().skip(8192).take(60_000) {
            *b = 0xa5;
        }
        std::fs::write(&file, bytes).unwrap();
        assert!(open(&file, "monitor", &[ONE]).unwrap().moved.is_some());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_somebody_elses_is_left_as_it_is() {
        let dir = folder("elses");
        let text = dir.join("sshd_config");
        std::fs::write(&text, "PermitRootLogin no\n").unwrap();
        let e = open(&text, "bans", &[ONE]).unwrap_err();
        assert!(e.contains("was left as it is"), "{e}");
        assert_eq!(
            std::fs::read_to_string(&text).unwrap(),
            "PermitRootLogin no\n"
        );
        let other = dir.join("fail2ban.sqlite3");
        Connection::open(&other)
            .unwrap()
            .execute_batch("CREATE TABLE jails (name TEXT)")
            .unwrap();
        let before = std::fs::read(&other).unwrap();
        let e = open(&other, "bans", &[ONE]).unwrap_err();
        assert!(e.contains("another program's database"), "{e}");
        assert_eq!(std::fs::read(&other).unwrap(), before);
        assert_eq!(
            std::fs::read_dir(&dir).unwrap().count(),
            2,
            "nothing was laid beside them"
        );
        // What a power cut left of one of ours is begun anew.
        let zeros = dir.join("state");
        std::fs::write(&zeros, vec![0; 4096]).unwrap();
        assert!(open(&zeros, "bans", &[ONE]).unwrap().moved.is_some());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made_for_a_look() {
        let dir = folder("look");
        let file = dir.join("not/there.db");
        let c = open_to_read(&file, "bans", &[ONE]).unwrap().connection;
        let n: i64 = c
            .query_row("SELECT count(*) FROM a", [], |r| r.get(0))
            .unwrap();
        assert_eq!(
            (n, file.exists(), dir.join("not").exists()),
            (0, false, false)
        );
        open(&file, "bans", &[ONE])
            .unwrap()
            .connection
            .execute("INSERT INTO a (n) VALUES (7)", [])
            .unwrap();
        let c = open_to_read(&file, "bans", &[ONE]).unwrap().connection;
        let n: i64 = c.query_row("SELECT n FROM a", [], |r| r.get(0)).unwrap();
        assert_eq!(n, 7);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_cannot_be_opened_is_said_with_its_name() {
        let dir = folder("cannot");
        let e = open(&dir, "monitor", &[ONE]).unwrap_err();
        assert!(e.contains(&dir.display().to_string()), "{e}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
