//! What speaks at a port that was thought to be SSH's, told from its first bytes.

/// The protocol that begins like this; `None` where it may still be SSH, or is nothing known. Of SSH's own greeting and
/// the lines that may stand before it (RFC 4253 section 4.2) nothing is said.
pub fn of_bytes(start: &[u8]) -> Option<&'static str> {
    match start {
        // A TLS record: handshake or alert, version 3.x.
        [0x15 | 0x16, 3, 0..=4, ..] => return Some("tls"),
        // TELNET: IAC WILL/WONT/DO/DONT.
        [0xff, 0xfb..=0xfe, ..] => return Some("telnet"),
        // MySQL: a packet of under 64 KiB, sequence 0, protocol 10, and a version text.
        [_, _, 0, 0, 10, b'0'..=b'9', ..] => return Some("mysql"),
        // RDP: TPKT version 3.
        [3, 0, 0, ..] => return Some("rdp"),
        // SOCKS: no acceptable method, or an answer of version 5.
        [5, 0 | 0xff] => return Some("socks"),
        _ => {}
    }
    let text = String::from_utf8_lossy(start.get(..start.len().min(512)).unwrap_or_default());
    let lines: Vec<&str> = text.lines().take(8).collect();
    of_lines(&lines)
}

/// The same for lines of text.
pub fn of_lines(lines: &[&str]) -> Option<&'static str> {
    let first = lines.iter().map(|l| l.trim()).find(|l| !l.is_empty())?;
    let upper = first.to_ascii_uppercase();
    if upper.starts_with("HTTP/")
        || upper.starts_with("<!DOCTYPE")
        || upper.starts_with("<HTML")
        || upper.starts_with("<?XML")
    {
        return Some("http");
    }
    if upper.starts_with("RFB 00") {
        return Some("vnc");
    }
    if upper.starts_with("-ERR ") || upper.starts_with("-NOAUTH") {
        return Some("redis");
    }
    if let Some(rest) = upper
        .strip_prefix("220")
        .filter(|r| r.starts_with([' ', '-']))
    {
        return Some(if rest.contains("FTP") && !rest.contains("SMTP") {
            "ftp"
        } else if rest.contains("SMTP") || rest.contains("MAIL") || rest.contains("POSTFIX") {
            "smtp"
        } else {
            "unknown"
        });
    }
    if upper.starts_with("+OK ") || upper.starts_with("* OK ") || upper.starts_with("554 ") {
        return Some("unknown");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_it_knows_and_leaves_ssh_alone() {
        for (bytes, protocol) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "http"),
            (b"<!doctype html>\n<title>", "http"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "tls"),
            (b"220 mail.example ESMTP ready\r\n", "smtp"),
            (b"220 (vsFTPd 3.0.3)\r\n", "ftp"),
            (b"RFB 003.008\n", "vnc"),
            (b"-ERR wrong number of arguments\r\n", "redis"),
            (b"J\0\0\0\n8.0.36\0", "mysql"),
            (b"\xff\xfd\x18\xff\xfd\x20", "telnet"),
        ] {
            assert_eq!(of_bytes(bytes), Some(protocol), "{bytes:?}");
        }
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.2p1\r\n"[..],
            b"Welcome to the machine room\r\nSSH-2.0-x\r\n",
            b"Exceeded MaxStartups\r\n",
            b"2200 bottles\r\n",
            b"",
            b"\r\n\r\n",
            b"\x16\x04\x00",
        ] {
            assert_eq!(of_bytes(bytes), None, "{bytes:?}");
        }
    }
}
