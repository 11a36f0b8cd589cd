//! Logs within a window of time, copied line by line: where they are plain files the window is found by bisection, since a log may
//! be a hundred times longer than its window.

use super::pack::Spool;
use crate::source::{Stream, unpacked};
use sshwhy_core::time::Time;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Longest line; what is longer is cut.
const MAX_LINE: usize = 1 << 20;
/// Lines after the window's end before the rest is believed to be later too.
const PATIENCE: u32 = 2000;
/// Below this the rest is read rather than searched.
const CLOSE: u64 = 256 << 10;
/// Packed logs unpack to about so many times their size.
const PACKED: u64 = 12;

#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub since: Time,
    pub until: Time,
}

impl Window {
    pub fn holds(&self, t: Time) -> bool {
        t >= self.since && t <= self.until
    }
}

/// How a line tells its time, and what is done to it.
pub struct Form<'a> {
    pub time: &'a dyn Fn(&[u8]) -> Option<Time>,
    pub mask: &'a dyn Fn(&[u8]) -> Cow<'_, [u8]>,
}

pub fn as_it_is(line: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(line)
}

/// `type=… msg=audit(SECONDS.MILLIS:SERIAL)`
pub fn audit_time(line: &[u8]) -> Option<Time> {
    let head = line.get(..200).unwrap_or(line);
    let at = memchr::memmem::find(head, b"audit(")? + 6;
    let digits = head.get(at..)?;
    let end = digits.iter().position(|b| !b.is_ascii_digit())?;
    let secs: i64 = std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()?;
    (digits.get(end) == Some(&b'.') && secs < 100_000_000_000).then(|| Time::from_secs(secs))
}

/// Copies of a log, oldest first: `x`, `x.1`, `x.2.gz`, `x-20260101`, `x.20230328-160015.gz`; the one without a suffix is the newest.
pub fn rotated(path: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return vec![path.to_owned()];
    };
    let mut found: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let Some(rest) = file.to_str().and_then(|f| f.strip_prefix(name)) else {
            continue;
        };
        let plain = rest
            .trim_end_matches(".gz")
            .trim_end_matches(".zst")
            .trim_end_matches(".xz")
            .trim_end_matches(".bz2");
        let is_copy = plain.is_empty()
            || plain.strip_prefix(['.', '-']).is_some_and(|n| {
                !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit() || b == b'-')
            });
        if let Ok(meta) = entry.metadata()
            && is_copy
            && meta.is_file()
        {
            found.push((
                meta.modified().unwrap_or(std::time::UNIX_EPOCH),
                entry.path(),
            ));
        }
    }
    found.sort_by(|a, b| {
        let newest = |p: &PathBuf| p == path;
        newest(&a.1)
            .cmp(&newest(&b.1))
            .then(a.0.cmp(&b.0))
            .then(b.1.cmp(&a.1))
    });
    found.into_iter().map(|(_, p)| p).collect()
}

fn is_packed(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| ["gz", "zst", "xz", "bz2"].iter().any(|x| e == *x))
}

/// Copies the window of a set of files (oldest first). Returns why it is not all, empty where it is.
pub fn copy(
    files: &[PathBuf],
    window: Window,
    form: &Form<'_>,
    out: &mut Spool,
    deadline: Instant,
) -> Result<String, String> {
    let mut parts: Vec<(File, &PathBuf, u64, u64)> = Vec::new();
    let mut cut = String::new();
    let mut errors = Vec::new();
    for path in files {
        // Written for the last time before the window begins: nothing in it.
        let opened = File::open(path).and_then(|f| f.metadata().map(|m| (f, m)));
        let (mut file, meta) = match opened {
            Ok(o) => o,
            Err(e) => {
                errors.push(format!("{}: {e}", path.display()));
                continue;
            }
        };
        let modified = meta
            .modified()
            .ok()
            .and_then(|m| m.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(i64::MAX, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        if modified < window.since.secs() - 3600 || meta.len() == 0 {
            continue;
        }
        let start = if is_packed(path) {
            0
        } else {
            seek(&mut file, meta.len(), window.since, form).unwrap_or(0)
        };
        parts.push((file, path, start, meta.len()));
    }
    if parts.is_empty() && !errors.is_empty() {
        return Err(errors.join("; "));
    }
    // What is newest is kept where it does not all fit.
    let mut room = out.most.saturating_sub(out.bytes);
    for (_, path, start, length) in parts.iter_mut().rev() {
        let factor = if is_packed(path) { PACKED } else { 1 };
        let size = length.saturating_sub(*start).saturating_mul(factor);
        if size > room {
            cut = format!("only the newest {} MiB of the window fit", out.most >> 20);
            if factor == 1 {
                *start = length.saturating_sub(room);
            } else if room == 0 {
                *start = *length;
            }
            room = 0;
        } else {
            room -= size;
        }
    }
    for (mut file, path, start, length) in parts {
        if start >= length && length > 0 {
            continue;
        }
        let from_middle = start > 0;
        file.seek(SeekFrom::Start(start))
            .map_err(|e| e.to_string())?;
        let stream: Stream = Box::new(file);
        let stream = if is_packed(path) {
            unpacked(stream)
        } else {
            stream
        };
        match lines(stream, from_middle, window, form, out, deadline) {
            Ok(None) => {}
            Ok(Some(why)) => {
                cut = why;
                break;
            }
            Err(e) => errors.push(format!("{}: {e}", path.display())),
        }
    }
    errors.extend((!cut.is_empty()).then_some(cut));
    Ok(errors.join("; "))
}

/// Where in a plain file the window begins, within [`CLOSE`] bytes before it.
fn seek(file: &mut File, length: u64, since: Time, form: &Form<'_>) -> io::Result<u64> {
    let (mut lo, mut hi) = (0, length);
    while hi - lo > CLOSE {
        let mid = lo + (hi - lo) / 2;
        file.seek(SeekFrom::Start(mid))?;
        let mut reader = BufReader::new(&*file);
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        let mut time = None;
        for _ in 0..64 {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            time = (form.time)(&line);
            if time.is_some() {
                break;
            }
        }
        match time {
            Some(t) if t < since => lo = mid,
            Some(_) => hi = mid,
            None => break,
        }
    }
    Ok(lo)
}

fn lines(
    stream: Stream,
    from_middle: bool,
    window: Window,
    form: &Form<'_>,
    out: &mut Spool,
    deadline: Instant,
) -> io::Result<Option<String>> {
    let mut reader = BufReader::with_capacity(256 << 10, stream);
    let mut line = Vec::new();
    if from_middle {
        reader.read_until(b'\n', &mut line)?;
    }
    let mut inside = false;
    let mut later = 0;
    for n in 0u64.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if n % 4096 == 0 && Instant::now() >= deadline {
            return Ok(Some("the time given was over".to_owned()));
        }
        if line.len() > MAX_LINE {
            line.truncate(MAX_LINE);
            line.push(b'\n');
        }
        // A line without a time belongs to the one before it.
        if let Some(t) = (form.time)(&line) {
            inside = window.holds(t);
            later = if t > window.until { later + 1 } else { 0 };
            if later > PATIENCE {
                break;
            }
        }
        if inside {
            let end = line.len() - usize::from(line.last() == Some(&b'\n'));
            let masked = (form.mask)(line.get(..end).unwrap_or_default());
            if out
                .write_all(&masked)
                .and_then(|()| out.write_all(b"\n"))
                .is_err()
            {
                return Ok(Some(format!("no more than {} MiB fit", out.most >> 20)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_lines_tell_their_time() {
        assert_eq!(
            audit_time(b"type=SYSCALL msg=audit(1680019215.123:4214): arch=c000003e"),
            Some(Time::from_secs(1_680_019_215))
        );
        assert_eq!(audit_time(b"----"), None);
        assert_eq!(audit_time(b"type=X msg=audit("), None);
        assert_eq!(
            audit_time(b"type=X msg=audit(99999999999999999999.1:2)"),
            None
        );
    }
}
