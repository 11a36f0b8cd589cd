//! As much of HTTP/1.1 as the container engines speak over their Unix sockets: one GET, one answer, bounded in time and length.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest line of a header.
const MAX_LINE: u64 = 16 << 10;
const MAX_HEADERS: usize = 200;

/// The body of an answer, read as it comes.
pub struct Body {
    stream: BufReader<UnixStream>,
    left: Left,
    deadline: Instant,
}

enum Left {
    /// Bytes of the body, of the current chunk, or until the connection closes.
    Length(u64),
    Chunk(u64),
    Close,
    Done,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn line(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream
        .by_ref()
        .take(MAX_LINE)
        .read_until(b'\n', &mut bytes)?;
    if bytes.last() != Some(&b'\n') {
        return Err(bad("an answer that breaks off or is no HTTP"));
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// Asks for `path`; an answer other than 200 is an error that says what the engine said.
pub fn get(socket: &Path, path: &str, deadline: Instant) -> io::Result<Body> {
    let mut stream = UnixStream::connect(socket)?;
    let wait = deadline
        .saturating_duration_since(Instant::now())
        .clamp(Duration::from_millis(100), Duration::from_secs(20));
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))?;
    // In one piece: an engine may answer and hang up as soon as it has the first.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: sshwhy\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut stream = BufReader::new(stream);
    let status = line(&mut stream)?;
    let code: u16 = status
        .strip_prefix("HTTP/1.")
        .and_then(|s| s.split(' ').nth(1))
        .and_then(|c| c.parse().ok())
        .ok_or_else(|| bad("an answer that is no HTTP"))?;
    let mut left = Left::Close;
    for n in 0.. {
        let header = line(&mut stream)?;
        if header.is_empty() {
            break;
        }
        if n >= MAX_HEADERS {
            return Err(bad("an answer with too many headers"));
        }
        let Some((name, value)) = header.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            left = Left::Chunk(0);
        } else if name.eq_ignore_ascii_case("content-length") && !matches!(left, Left::Chunk(_)) {
            left = Left::Length(
                value
                    .parse()
                    .map_err(|_| bad("a length that is no number"))?,
            );
        }
    }
    let mut body = Body {
        stream,
        left,
        deadline,
    };
    if code != 200 {
        let mut text = String::new();
        // What it says is an extra.
        let _ = body.by_ref().take(2000).read_to_string(&mut text);
        return Err(io::Error::other(format!(
            "{} {}",
            status.get(9..).unwrap_or_default(),
            text.trim()
        )));
    }
    Ok(body)
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if let Left::Chunk(0) = self.left {
            let size = line(&mut self.stream)?;
            let digits = size.split(';').next().unwrap_or_default().trim();
            let size =
                u64::from_str_radix(digits, 16).map_err(|_| bad("a chunk without a size"))?;
            if size == 0 {
                self.left = Left::Done;
            } else {
                self.left = Left::Chunk(size);
            }
        }
        let room = match self.left {
            Left::Length(n) | Left::Chunk(n) => n,
            Left::Close => u64::MAX,
            Left::Done => 0,
        };
        let want = room.min(buf.len() as u64) as usize;
        if want == 0 {
            return Ok(0);
        }
        let n = self.stream.read(buf.get_mut(..want).unwrap_or_default())?;
        match &mut self.left {
            Left::Length(left) | Left::Chunk(left) => {
                if n == 0 {
                    return Err(bad("an answer that breaks off"));
                }
                *left -= n as u64;
                if *left == 0 {
                    if let Left::Chunk(_) = self.left {
                        // The line end behind each chunk.
                        line(&mut self.stream)?;
                    } else {
                        self.left = Left::Done;
                    }
                }
            }
            Left::Close | Left::Done => {}
        }
        Ok(n)
    }
}

/// The whole answer, up to `most` bytes.
pub fn whole(socket: &Path, path: &str, deadline: Instant, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    get(socket, path, deadline)?
        .take(most + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(bad("an answer that is longer than is allowed"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn answer(name: &str, text: &'static [u8]) -> io::Result<Vec<u8>> {
        let path = std::env::temp_dir().join(format!("sshwhy-http-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut s, _) = listener.accept().unwrap();
            let mut buf = [0; 4096];
            let _ = s.read(&mut buf).unwrap();
            let _ = s.write_all(text);
        });
        let got = whole(&path, "/x", Instant::now() + Duration::from_secs(5), 1000);
        server.join().unwrap();
        std::fs::remove_file(&path).unwrap();
        got
    }

    #[test]
    fn bodies_by_length_by_chunks_and_until_the_end() {
        let ok = |n, t| String::from_utf8(answer(n, t).unwrap()).unwrap();
        assert_eq!(
            ok("len", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            "hello"
        );
        assert_eq!(
            ok("chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"),
            "hello"
        );
        assert_eq!(ok("close", b"HTTP/1.0 200 OK\r\n\r\nhello"), "hello");
        assert_eq!(
            ok("empty", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ""
        );
    }

    #[test]
    fn bad_answers_are_errors_that_say_what() {
        let err = |n, t| answer(n, t).unwrap_err().to_string();
        assert_eq!(
            err(
                "404",
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno such x"
            ),
            "404 Not Found no such x"
        );
        assert!(err("none", b"hello\n").contains("no HTTP"));
        assert!(
            err("cut", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell").contains("breaks off")
        );
        assert!(
            err(
                "size",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            )
            .contains("size")
        );
        assert!(err("head", b"HTTP/1.1 200 OK\r\nX: y").contains("breaks off"));
    }
}
