//! Taking a fix back, and saying that it stays: from a new session, from the watcher, or on the next run.

use super::disk::Disk;
use super::journal::{Entry, Journal, Note};
use crate::host::daemon;
use crate::host::machine::Machine;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Takes it back. What somebody else changed since then is left as it is, and named.
pub fn revert(
    state: &Path,
    id: &str,
    why: &str,
    stop_at: Option<u32>,
) -> Result<Vec<String>, String> {
    let _held = Journal::open(state, id, None)?.lock()?;
    let mut journal = Journal::open(state, id, stop_at)?;
    if journal.is_over() {
        return Ok(Vec::new());
    }
    let Some(header) = journal.header().cloned() else {
        return Ok(Vec::new());
    };
    journal.write(Note::Reverting(why.to_owned()))?;
    let disk = Disk::at(&header.root)?;
    let mut left = Vec::new();
    for i in journal.begun() {
        if let Some(entry) = header.entries.get(i)
            && let Err(why) = take_back(&disk, &journal, i, entry, id)
        {
            left.push(why);
        }
        journal.step();
    }
    if header.reload {
        reload();
    }
    journal.write(Note::Reverted)?;
    // Private keys that nobody uses have no business in the state folder.
    let _ = fs::remove_dir_all(journal.folder.join("keys"));
    Ok(left)
}

fn take_back(
    disk: &Disk,
    journal: &Journal,
    i: usize,
    entry: &Entry,
    mark: &str,
) -> Result<(), String> {
    match entry {
        Entry::Access {
            path,
            before,
            after,
        } => {
            let Some(now) = disk.meta(path)? else {
                return Err(format!("{path} is gone"));
            };
            let ours = [before, after];
            let known = ours.iter().any(|a| a.0 == now.mode)
                && ours.iter().any(|a| (a.1, a.2) == (now.uid, now.gid));
            // chown(2) takes the set-id bits with it, so the mode may be a third one when it was cut off in between.
            let between =
                now.mode & 0o1777 == before.0 & 0o1777 && (now.uid, now.gid) == (after.1, after.2);
            if !known && !between {
                return Err(format!("{path} was changed by somebody else since"));
            }
            disk.set_access(path, before.0, before.1, before.2)
        }
        Entry::Content {
            path,
            before,
            after,
        } => {
            disk.sweep(path, mark);
            let now = disk.hold(path)?;
            let kept = |which: &str, there: bool| -> Result<Option<Vec<u8>>, String> {
                there
                    .then(|| journal.kept(&format!("{i}.{which}")))
                    .transpose()
            };
            let old = kept("before", before.is_some())?;
            let new = kept("after", after.is_some())?;
            let bytes = now.map(|n| n.bytes);
            if bytes != old && bytes != new {
                return Err(format!("{path} was changed by somebody else since"));
            }
            match (before, old) {
                (Some(meta), Some(old)) => disk.put(path, &old, meta, mark),
                _ => disk.remove(path, false),
            }
        }
        // Somebody may use it by now: then it stays.
        Entry::Folder { path, .. } => {
            let _ = disk.remove(path, true);
            Ok(())
        }
        Entry::Run { undo, .. } if undo.is_empty() => Ok(()),
        Entry::Run { undo, .. } => execute(undo),
    }
}

/// Runs a program to its end.
pub fn execute(words: &[String]) -> Result<(), String> {
    let Some((program, rest)) = words.split_first() else {
        return Ok(());
    };
    let out = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    match out.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{}: {}",
            words.join(" "),
            String::from_utf8_lossy(&out.stderr).trim()
        )),
    }
}

/// Makes every listening sshd of this machine read its files again (SIGHUP: running sessions stay).
pub fn reload() -> Vec<String> {
    let machine = Machine::here();
    let mut out = Vec::new();
    for p in daemon::processes(&machine)
        .iter()
        .filter(|p| p.is_listener())
    {
        let pid = i32::try_from(p.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid
            && rustix::process::kill_process(pid, rustix::process::Signal::HUP).is_ok()
        {
            out.push(format!("process {} reads its configuration again", p.pid));
        }
    }
    out
}

/// It stays. Only from another session than the one that did it: whoever calls has got in since.
pub fn confirm(state: &Path, id: &str) -> Result<String, String> {
    let _held = Journal::open(state, id, None)?.lock()?;
    let mut journal = Journal::open(state, id, None)?;
    if journal.has(&Note::Confirmed) {
        return Ok(format!("{id} was confirmed before."));
    }
    if let Some(why) = journal.overdue() {
        return Err(format!("{id} is being taken back: {why}"));
    }
    let Some(header) = journal.header().filter(|_| !journal.is_over()) else {
        return Err(format!("{id} was taken back already"));
    };
    if header.session == super::session() {
        return Err(format!(
            "this is the session that made the change, which proves nothing: log in anew, and confirm {id} from there"
        ));
    }
    journal.write(Note::Confirmed)?;
    let _ = fs::remove_dir_all(journal.folder.join("keys"));
    Ok(format!(
        "{id} stays. What stood there before is kept in {}.",
        journal.folder.display()
    ))
}

/// Waits for the end of a fix, in a process of its own that no hang-up of the terminal ends.
pub fn watch(state: &Path, id: &str, stop_at: Option<u32>) -> Result<(), String> {
    let _ = rustix::process::setsid();
    Journal::open(state, id, None)?.keep("watcher", std::process::id().to_string().as_bytes())?;
    loop {
        let journal = Journal::open(state, id, None)?;
        if journal.is_over() {
            return Ok(());
        }
        if let Some(why) = journal.overdue() {
            revert(state, id, &why, stop_at)?;
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Takes back whatever has to be, of all fixes: for the next run, and for boot.
pub fn recover(state: &Path) -> Result<Vec<String>, String> {
    let Ok(names) = fs::read_dir(state) else {
        return Ok(Vec::new());
    };
    let mut out = Vec::new();
    for name in names.flatten() {
        let id = name.file_name().to_string_lossy().into_owned();
        let Ok(journal) = Journal::open(state, &id, None) else {
            continue;
        };
        if let Some(why) = journal.overdue() {
            let left = revert(state, &id, &why, None)?;
            out.push(format!("{id} was taken back: {why}"));
            out.extend(left);
        }
    }
    Ok(out)
}
