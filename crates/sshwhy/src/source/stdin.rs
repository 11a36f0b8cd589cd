//! Where no log is named: is it on standard input, or are this machine's own meant?
//!
//! A shell's pipe or file is what somebody put there to be read. A terminal, `/dev/null`, a closed pipe and the socket of
//! `ssh host sshwhy report` are what is there when nobody thought of it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::FileType;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

/// Who writes to the pipe may have to begin (`ssh host cat … |`); after that somebody who watches is told what is waited for.
const QUIET: Duration = Duration::from_secs(2);
/// A program that keeps a pipe open and never writes must not keep us.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// A log stands there.
    Given,
    /// Nothing was put there.
    Nothing,
    /// A pipe without a writer, and without a byte in it.
    Empty,
    /// A pipe on which nothing came for a minute.
    Silent,
}

/// Looks at standard input; waits only where it is a pipe.
pub fn standing() -> Standing {
    let Ok(meta) = std::fs::metadata("/dev/stdin") else {
        return Standing::Nothing;
    };
    of(meta.file_type(), |patience| {
        answer(std::io::stdin().as_fd(), patience)
    })
}

fn of(kind: FileType, mut wait: impl FnMut(Duration) -> Option<Standing>) -> Standing {
    if kind.is_file() {
        return Standing::Given;
    }
    if kind.is_socket() {
        // sshd's, inetd's: somebody may have piped a log into it; nobody waits for one.
        return match wait(Duration::ZERO) {
            Some(Standing::Given) => Standing::Given,
            _ => Standing::Nothing,
        };
    }
    if !kind.is_fifo() {
        return Standing::Nothing;
    }
    if let Some(standing) = wait(QUIET) {
        return standing;
    }
    eprintln!(
        "sshwhy: waiting for a log on standard input (`sshwhy report < /dev/null` reads this machine's own)"
    );
    wait(PATIENCE).unwrap_or(Standing::Silent)
}

/// Whether there is a byte to read, or nobody left who could write one; `None` when neither is so in time.
fn answer(input: impl AsFd, patience: Duration) -> Option<Standing> {
    let mut fds = [PollFd::new(&input, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    // An interrupted wait is an answer in time all the same: reading will say what there is.
    match poll(&mut fds, Some(&timeout)) {
        Ok(0) => None,
        Ok(_) => {
            let [fd] = &fds;
            Some(if fd.revents().contains(PollFlags::IN) {
                Standing::Given
            } else {
                Standing::Empty
            })
        }
        Err(_) => Some(Standing::Given),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::Write;

    #[test]
    fn a_pipe_is_given_empty_or_silent() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        assert_eq!(answer(&reader, Duration::ZERO), None);
        writer.write_all(b"x").unwrap();
        assert_eq!(answer(&reader, Duration::ZERO), Some(Standing::Given));
        drop(writer);
        assert_eq!(answer(&reader, Duration::ZERO), Some(Standing::Given));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        assert_eq!(answer(&reader, Duration::ZERO), Some(Standing::Empty));
    }

    #[test]
    fn only_what_a_shell_puts_there_is_waited_for() {
        let kind = |path: &str| std::fs::metadata(path).unwrap().file_type();
        let never = |_| -> Option<Standing> { unreachable!("nothing to wait for") };
        assert_eq!(of(kind("/dev/null"), never), Standing::Nothing);
        assert_eq!(of(kind("/etc/passwd"), never), Standing::Given);
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        let socket = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&a));
        assert_eq!(of(kind(&socket), |_| None), Standing::Nothing);
        assert_eq!(
            of(kind(&socket), |_| Some(Standing::Given)),
            Standing::Given
        );
        assert_eq!(
            of(kind(&socket), |_| Some(Standing::Empty)),
            Standing::Nothing
        );
        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        let mut asked = Vec::new();
        let silent = of(kind(&pipe), |patience| {
            asked.push(patience);
            None
        });
        assert_eq!(silent, Standing::Silent);
        assert_eq!(asked, [QUIET, PATIENCE]);
    }
}
