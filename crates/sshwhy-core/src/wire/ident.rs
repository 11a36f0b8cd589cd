//! The greeting: lines that may come first, then `SSH-2.0-software comments` (RFC 4253 section 4.2).

/// OpenSSH's own limits (kex.c kex_exchange_identification()): a line of 8192 bytes, 1024 lines before the greeting.
const LONGEST_LINE: usize = 8192;
const MOST_LINES: usize = 1024;
/// And no more bytes than this before the greeting, whatever their lines.
const MOST_BYTES: usize = 64 << 10;
/// How many of the lines before the greeting are kept.
const KEPT_LINES: usize = 20;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Not yet; read on.
    More,
    /// The greeting, without its line end. The bytes after it are left in the buffer.
    Greeting(String),
    /// More than a greeting may be, or not what it may hold.
    TooMuch,
}

/// Takes the server's first bytes as they come.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// The lines before the greeting.
    pub prelude: Vec<String>,
    pub lines: usize,
    pub bytes: usize,
}

impl Reader {
    /// Takes whole lines off the front of `buffer`.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> Progress {
        loop {
            let Some(end) = buffer.iter().position(|b| *b == b'\n') else {
                let waiting = buffer.len();
                let full = waiting > LONGEST_LINE || self.bytes + waiting > MOST_BYTES;
                return if full {
                    Progress::TooMuch
                } else {
                    Progress::More
                };
            };
            let line: Vec<u8> = buffer.drain(..=end).collect();
            self.bytes += line.len();
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let text = String::from_utf8_lossy(line).into_owned();
            if line.starts_with(b"SSH-") {
                return Progress::Greeting(text);
            }
            self.lines += 1;
            if self.prelude.len() < KEPT_LINES {
                self.prelude.push(text);
            }
            if line.len() > LONGEST_LINE || self.lines > MOST_LINES || self.bytes > MOST_BYTES {
                return Progress::TooMuch;
            }
        }
    }
}

/// What a greeting says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting<'t> {
    /// `2.0`, `1.99`, `1.5`
    pub protocol: &'t str,
    /// `OpenSSH_9.2p1`
    pub software: &'t str,
    pub comments: &'t str,
}

/// Splits `SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10`.
pub fn parse(line: &str) -> Option<Greeting<'_>> {
    let rest = line.strip_prefix("SSH-")?;
    let (protocol, rest) = rest.split_once('-')?;
    let (software, comments) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Greeting {
        protocol,
        software,
        comments,
    })
}

impl Greeting<'_> {
    /// Whether SSH 2 can be spoken (RFC 4253 section 5.1: 1.99 is 2.0 that also speaks 1).
    pub fn speaks_2(&self) -> bool {
        matches!(self.protocol, "2.0" | "1.99")
    }

    /// `OpenSSH_9.2p1` → (9, 2).
    pub fn openssh(&self) -> Option<(u16, u16)> {
        let version = self.software.strip_prefix("OpenSSH_")?;
        let version = version.strip_prefix("for_Windows_").unwrap_or(version);
        let (major, rest) = version.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse().ok()?, minor.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_comes_in_any_pieces() {
        let stream = b"Welcome\r\nto us\nSSH-2.0-OpenSSH_9.2p1 Debian\r\n\0\0\x01";
        for size in [1, 2, 7, stream.len()] {
            let (mut reader, mut buffer) = (Reader::default(), Vec::new());
            let mut greeting = None;
            for piece in stream.chunks(size) {
                buffer.extend_from_slice(piece);
                if greeting.is_none()
                    && let Progress::Greeting(g) = reader.read(&mut buffer)
                {
                    greeting = Some(g);
                }
            }
            assert_eq!(greeting.as_deref(), Some("SSH-2.0-OpenSSH_9.2p1 Debian"));
            assert_eq!(reader.prelude, ["Welcome", "to us"]);
            assert_eq!(buffer, b"\0\0\x01");
        }
    }

    #[test]
    fn too_much_ends_it() {
        let mut buffer = vec![b'a'; LONGEST_LINE + 1];
        assert_eq!(Reader::default().read(&mut buffer), Progress::TooMuch);
        let mut buffer = b"x\n".repeat(MOST_LINES + 1);
        let mut reader = Reader::default();
        assert_eq!(reader.read(&mut buffer), Progress::TooMuch);
        assert_eq!(reader.prelude.len(), KEPT_LINES);
        let mut buffer = b"SSH".to_vec();
        assert_eq!(Reader::default().read(&mut buffer), Progress::More);
    }

    #[test]
    fn greetings_say_who_they_are() {
        let g = parse("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10").unwrap();
        assert_eq!(g.openssh(), Some((9, 2)));
        assert_eq!(g.comments, "Debian-2+deb12u10");
        assert!(g.speaks_2());
        assert!(!parse("SSH-1.5-x").unwrap().speaks_2());
        assert_eq!(parse("SSH-2.0-dropbear_2022.83").unwrap().openssh(), None);
        let windows = parse("SSH-2.0-OpenSSH_for_Windows_8.1").unwrap();
        assert_eq!(windows.openssh(), Some((8, 1)));
        assert_eq!(parse("SSH-2.0"), None);
        assert_eq!(parse("HTTP/1.1"), None);
    }
}
