//! A program that leads to a server: `ssh -W` through a jump host, or a ProxyCommand. Decides how it is started, what may be
//! left of it (nothing), and lets the rest of the program speak through it as through a socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much of what the program says to standard error is kept.
const MOST_SAID: usize = 256 << 10;
/// How long a program may take to end by itself once nobody listens any more, and after it was told to.
const GRACE: Duration = Duration::from_millis(300);

/// What a conversation goes over.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    /// Our end of a pair whose other end is a program's standard input and output.
    #[cfg(unix)]
    Pair(UnixStream),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Stream {
        Stream::Tcp(stream)
    }
}

impl Stream {
    /// Small packets at once, and no write longer than that. A socket that refuses either is a slower one, no fault.
    pub fn set_waits(&self, write: Duration) {
        let _ = match self {
            Stream::Tcp(s) => s
                .set_nodelay(true)
                .and_then(|()| s.set_write_timeout(Some(write))),
            #[cfg(unix)]
            Stream::Pair(s) => s.set_write_timeout(Some(write)),
        };
    }

    pub fn set_read_wait(&self, wait: Duration) {
        let _ = match self {
            Stream::Tcp(s) => s.set_read_timeout(Some(wait)),
            #[cfg(unix)]
            Stream::Pair(s) => s.set_read_timeout(Some(wait)),
        };
    }

    pub fn shutdown(&self) {
        let _ = match self {
            Stream::Tcp(s) => s.shutdown(Shutdown::Both),
            #[cfg(unix)]
            Stream::Pair(s) => s.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.read(buffer),
            #[cfg(unix)]
            Stream::Pair(s) => s.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.write(bytes),
            #[cfg(unix)]
            Stream::Pair(s) => s.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.flush(),
            #[cfg(unix)]
            Stream::Pair(s) => s.flush(),
        }
    }
}

/// The program. It ends with this value, and (on Linux) with us.
#[derive(Debug)]
pub struct Carrier {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Carrier {
    /// Starts it, with our end of its input and output.
    #[cfg(unix)]
    pub fn start(program: &str, arguments: &[String]) -> io::Result<(Carrier, Stream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let out = theirs.try_clone()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::from(std::os::fd::OwnedFd::from(out)))
            .stderr(Stdio::piped());
        crate::sys::end_with_us(&mut command);
        let mut child = command.spawn()?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&said);
        let reader = child.stderr.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                // Read to its end, or the program would wait for us.
                while let Ok(n) = pipe.read(&mut buffer) {
                    if n == 0 {
                        break;
                    }
                    let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = MOST_SAID.saturating_sub(into.len()).min(n);
                    into.extend_from_slice(buffer.get(..room).unwrap_or_default());
                }
            })
        });
        let carrier = Carrier {
            child,
            said,
            reader,
        };
        Ok((carrier, Stream::Pair(ours)))
    }

    #[cfg(not(unix))]
    pub fn start(_program: &str, _arguments: &[String]) -> io::Result<(Carrier, Stream)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends it: what it wrote to standard error. `waited` is how long it may still take to say why, where it is about to
    /// end by itself.
    pub fn finish(mut self, waited: Duration) -> String {
        self.end(waited);
        // Whoever it has started may hold the pipe open; what was said is what counts.
        let until = Instant::now() + GRACE;
        while self.reader.as_ref().is_some_and(|r| !r.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.said()
    }

    /// What it wrote to standard error so far.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    }

    fn gone_within(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(None) => return false,
                Ok(Some(_)) | Err(_) => return true,
            }
        }
    }

    fn end(&mut self, wait: Duration) {
        if self.gone_within(wait) {
            return;
        }
        // A polite end first: ssh takes its own helpers along.
        #[cfg(unix)]
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            if self.gone_within(GRACE) {
                return;
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.end(GRACE);
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Carrier, Stream) {
        Carrier::start("/bin/sh", &["-c".to_owned(), script.to_owned()]).unwrap()
    }

    #[test]
    fn what_is_written_comes_back_through_the_program() {
        let (carrier, mut stream) = shell("echo ready >&2; exec cat");
        stream.set_waits(Duration::from_secs(5));
        stream.set_read_wait(Duration::from_secs(5));
        stream.write_all(b"through").unwrap();
        let mut buffer = [0; 7];
        stream.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"through");
        drop(stream);
        assert_eq!(carrier.finish(Duration::from_secs(5)), "ready\n");
    }

    #[test]
    fn a_program_that_will_not_end_is_ended() {
        let (carrier, stream) = shell("trap '' TERM; echo no >&2; while :; do sleep 0.05; done");
        let pid = carrier.child.id();
        drop(stream);
        while carrier.said().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(carrier);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn what_it_says_is_bounded() {
        let (carrier, stream) = shell("head -c 1000000 /dev/zero >&2");
        assert_eq!(carrier.finish(Duration::from_secs(20)).len(), MOST_SAID);
        drop(stream);
    }
}
