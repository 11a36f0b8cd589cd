//! Opens one input without ever hanging, and says in plain words why one cannot be opened.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a named pipe may be without a writer before it is skipped.
pub const PIPE_PATIENCE: Duration = Duration::from_secs(2);

/// What was wrong, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub what: String,
    pub advice: String,
}

impl Problem {
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Problem {
        Problem {
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// Why `path` could not be opened or looked at.
    pub fn opening(path: &Path, error: &io::Error) -> Problem {
        let readable = "read it as root (`sudo`) or as a member of the group that owns it (adm, systemd-journal)";
        match error.kind() {
            io::ErrorKind::NotFound => {
                if path.symlink_metadata().is_ok() {
                    Problem::new(
                        "a symbolic link to a file that does not exist",
                        "give the file itself; the link may point outside of a copied folder",
                    )
                } else {
                    Problem::new("not found", "check the name; it may have been rotated away")
                }
            }
            io::ErrorKind::PermissionDenied => Problem::new("permission denied", readable),
            _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Problem::new(
                "symbolic links that lead in a circle",
                "give the file itself",
            ),
            io::ErrorKind::NotADirectory => Problem::new(
                "not found: a part of its path is a file, not a folder",
                "check the name",
            ),
            _ => Problem::new(
                format!("cannot be opened: {error}"),
                "check the file and the disk it lies on",
            ),
        }
    }
}

/// An opened input.
pub enum Opened {
    Regular {
        file: File,
        size: u64,
    },
    /// A pipe: comes once, in its own time. The bytes that were read while waiting for its writer stand in front.
    Pipe {
        first: Vec<u8>,
        rest: File,
    },
}

/// Whether a path stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    matches!(
        path.to_str(),
        Some("-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0")
    )
}

/// Refuses what is neither a file nor a pipe, without opening it: opening a device can change it.
pub fn check_kind(meta: &Metadata) -> Result<(), Problem> {
    let kind = meta.file_type();
    if kind.is_dir() {
        Err(Problem::new(
            "a folder",
            "give the files in it, or the folder as an argument of its own",
        ))
    } else if kind.is_socket() {
        Err(Problem::new(
            "a socket",
            "give the file that the log is written to",
        ))
    } else if kind.is_block_device() {
        Err(Problem::new(
            "a disk",
            "mount it read-only and give the folder",
        ))
    } else if kind.is_char_device() {
        Err(Problem::new(
            "a device",
            "give a file, or `-` for standard input",
        ))
    } else {
        Ok(())
    }
}

pub fn open(path: &Path, patience: Duration) -> Result<Opened, Problem> {
    let failed = |e: &io::Error| Problem::opening(path, e);
    let meta = std::fs::metadata(path).map_err(|e| failed(&e))?;
    if path == Path::new("/dev/null") {
        let file = File::open(path).map_err(|e| failed(&e))?;
        return Ok(Opened::Regular { file, size: 0 });
    }
    check_kind(&meta)?;
    // Not blocking, as the path may have become a pipe since it was looked at.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|e| failed(&e))?;
    let meta = file.metadata().map_err(|e| failed(&e))?;
    check_kind(&meta)?;
    if !meta.file_type().is_fifo() {
        return Ok(Opened::Regular {
            file,
            size: meta.size(),
        });
    }
    let first = await_writer(&file, patience)?;
    let blocking = fcntl_getfl(&file).map(|f| f.difference(OFlags::NONBLOCK));
    blocking
        .and_then(|f| fcntl_setfl(&file, f))
        .map_err(|e| failed(&e.into()))?;
    Ok(Opened::Pipe { first, rest: file })
}

/// Returns the first bytes, or none when a writer is there that has not written yet.
fn await_writer(mut pipe: &File, patience: Duration) -> Result<Vec<u8>, Problem> {
    let mut buf = vec![0; 64 * 1024];
    let start = Instant::now();
    loop {
        match pipe.read(&mut buf) {
            // Nobody has the other end open: not yet, or not any more.
            Ok(0) => {
                if start.elapsed() >= patience {
                    return Err(Problem::new(
                        "a pipe that nobody writes to",
                        "start the writer first, or give a file",
                    ));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(n) => {
                buf.truncate(n);
                return Ok(buf);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                return Err(Problem::new(
                    format!("cannot be read: {e}"),
                    "check the writer",
                ));
            }
        }
    }
}

/// Seconds since the epoch at which the file was last written.
pub fn mtime(meta: &Metadata) -> i64 {
    meta.mtime()
}
