//! What a file is, from its first bytes and never from its name: compressed, lines, something that becomes lines, or
//! something that we cannot read (then: what it is, and what to give instead).

use super::{cri, json, utmp, winevent};
use memchr::{memchr, memmem};

/// How many of a file's first bytes [`sniff`] wants to see.
pub const HEAD: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Lz4,
}

impl Packing {
    pub fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
            Packing::Zstd => "zstd",
            Packing::Bzip2 => "bzip2",
            Packing::Lz4 => "lz4",
        }
    }

    /// The command that tells where an archive is damaged.
    pub fn check(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip -t",
            Packing::Xz => "xz -t",
            Packing::Zstd => "zstd -t",
            Packing::Bzip2 => "bzip2 -t",
            Packing::Lz4 => "lz4 -t",
        }
    }
}

/// Which transcoder the bytes need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Line-based text, LF or CR LF: none.
    Lines,
    /// Text whose lines end in CR alone.
    CarriageReturns,
    Utf16 {
        big_endian: bool,
    },
    /// RFC 6587 octet counting.
    Octets,
    /// Kubernetes CRI lines.
    Cri,
    /// JSON that is not one object a line.
    Json,
    /// `journalctl -o export`.
    Export,
    /// `journalctl -o verbose`.
    Verbose,
    /// XML of Windows' event log.
    WindowsXml,
    /// `wevtutil qe … /f:text`.
    WindowsText,
    /// wtmp, btmp or utmp.
    Utmp,
    /// A systemd journal file.
    Journal,
}

/// A file that cannot be read as a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// `a Windows event log (EVTX)`
    pub what: &'static str,
    /// What to give instead.
    pub advice: &'static str,
    /// It holds log records of some kind, so it is named even when it was found in a folder and not asked for.
    pub holds_records: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sniff {
    Empty,
    Packed(Packing),
    Form(Form),
    Unreadable(Unreadable),
}

struct Magic {
    at: usize,
    bytes: &'static [u8],
    what: &'static str,
    advice: &'static str,
    holds_records: bool,
}

impl Magic {
    /// Short or printable ones could as well be the start of a text.
    fn is_strong(&self) -> bool {
        self.at == 0 && (self.bytes.len() > 4 || self.bytes.iter().any(|b| !b.is_ascii_graphic()))
    }
}

const fn other(at: usize, bytes: &'static [u8], what: &'static str, advice: &'static str) -> Magic {
    Magic {
        at,
        bytes,
        what,
        advice,
        holds_records: false,
    }
}

const fn records(
    at: usize,
    bytes: &'static [u8],
    what: &'static str,
    advice: &'static str,
) -> Magic {
    Magic {
        at,
        bytes,
        what,
        advice,
        holds_records: true,
    }
}

const NO_LOG: &str = "give the log itself: /var/log/auth.log, /var/log/secure, or the output of `journalctl -o export`";

const MAGICS: &[Magic] = &[
    records(
        0,
        b"ElfFile\0",
        "a Windows event log (EVTX)",
        "export it as text: `Get-WinEvent -Path FILE | Sort-Object TimeCreated | ForEach-Object { $_.TimeCreated.ToString('o') + ' ' + $_.Message }`, or give sshd.log from C:\\ProgramData\\ssh\\logs",
    ),
    records(
        0,
        b"SQLite format 3\0",
        "an SQLite database (wtmpdb and lastlog2 are such files)",
        "give the output of `wtmpdb last` or `lastlog2`, or the text log of sshd itself",
    ),
    records(
        0,
        b"\xd4\xc3\xb2\xa1",
        "a packet capture (pcap)",
        "SSH is encrypted, so it cannot tell who logged in; give sshd's log",
    ),
    records(
        0,
        b"\xa1\xb2\xc3\xd4",
        "a packet capture (pcap)",
        "SSH is encrypted, so it cannot tell who logged in; give sshd's log",
    ),
    records(
        0,
        b"\x4d\x3c\xb2\xa1",
        "a packet capture (pcap)",
        "SSH is encrypted, so it cannot tell who logged in; give sshd's log",
    ),
    records(
        0,
        b"\x0a\x0d\x0d\x0a",
        "a packet capture (pcapng)",
        "SSH is encrypted, so it cannot tell who logged in; give sshd's log",
    ),
    records(
        0,
        b"ASL DB\0",
        "an Apple System Log database",
        "give the output of `syslog -f FILE`",
    ),
    records(
        257,
        b"ustar",
        "a tar archive",
        "unpack it first (`tar -xf FILE -C DIR`) and give the folder",
    ),
    records(
        0,
        b"PK\x03\x04",
        "a zip archive",
        "unpack it first (`unzip FILE -d DIR`) and give the folder",
    ),
    records(
        0,
        b"7z\xbc\xaf\x27\x1c",
        "a 7-Zip archive",
        "unpack it first (`7z x FILE`) and give the folder",
    ),
    records(
        0,
        b"Rar!\x1a\x07",
        "a RAR archive",
        "unpack it first (`unrar x FILE`) and give the folder",
    ),
    records(
        0,
        b"\x1f\x9d",
        "a file packed by compress (.Z)",
        "unpack it first: `gzip -dc FILE > LOG`",
    ),
    records(
        0,
        b"\x1f\xa0",
        "a file packed by compress -H (.Z)",
        "unpack it first: `gzip -dc FILE > LOG`",
    ),
    records(
        0,
        b"\x5d\x00\x00",
        "an old .lzma file",
        "unpack it first: `xz --format=lzma -dc FILE > LOG`",
    ),
    records(
        0,
        b"LZIP",
        "an lzip file",
        "unpack it first: `lzip -dc FILE > LOG`",
    ),
    records(
        0,
        b"\x89LZO\0\r\n\x1a\n",
        "an lzop file",
        "unpack it first: `lzop -dc FILE > LOG`",
    ),
    records(
        0,
        b"EVF\x09\x0d\x0a\xff\x00",
        "an EnCase disk image (E01)",
        "mount it read-only (`ewfmount`) and give the folder",
    ),
    other(
        0,
        b"QFI\xfb",
        "a QEMU disk image (qcow2)",
        "mount it read-only (`guestmount --ro`) and give the folder",
    ),
    other(
        0,
        b"KDMV",
        "a VMware disk image",
        "mount it read-only (`guestmount --ro`) and give the folder",
    ),
    other(
        0,
        b"LUKS\xba\xbe",
        "an encrypted disk (LUKS)",
        "open and mount it read-only and give the folder",
    ),
    other(
        1080,
        b"\x53\xef",
        "an ext2/3/4 file system",
        "mount it (`mount -o ro,loop,noload FILE DIR`) and give the folder",
    ),
    other(
        0,
        b"XFSB",
        "an XFS file system",
        "mount it (`mount -o ro,loop,norecovery FILE DIR`) and give the folder",
    ),
    other(
        0,
        b"age-encryption.org/",
        "a file encrypted with age",
        "decrypt it first",
    ),
    other(
        0,
        b"-----BEGIN PGP MESSAGE",
        "a file encrypted with PGP",
        "decrypt it first",
    ),
    other(0, b"\x7fELF", "a program (ELF)", NO_LOG),
    other(0, b"MZ", "a Windows program", NO_LOG),
    other(0, b"\xcf\xfa\xed\xfe", "a program (Mach-O)", NO_LOG),
    other(
        0,
        b"\xca\xfe\xba\xbe",
        "a program (Java class or Mach-O)",
        NO_LOG,
    ),
    other(
        0,
        b"\x89PNG\r\n\x1a\n",
        "an image (PNG)",
        "give the text of the log, not a picture of it",
    ),
    other(
        0,
        b"\xff\xd8\xff",
        "an image (JPEG)",
        "give the text of the log, not a picture of it",
    ),
    other(
        0,
        b"GIF8",
        "an image (GIF)",
        "give the text of the log, not a picture of it",
    ),
    other(0, b"RIFF", "a media file (RIFF)", NO_LOG),
    other(
        0,
        b"%PDF-",
        "a PDF document",
        "give the log itself, not a print of it",
    ),
    other(
        0,
        b"!<arch>\n",
        "a Debian package or static library",
        NO_LOG,
    ),
    other(0, b"\xed\xab\xee\xdb", "an RPM package", NO_LOG),
    other(
        0,
        b"RHHHKSLP",
        "the catalogue of the systemd journal",
        "give the .journal files",
    ),
    other(
        0,
        b"bplist00",
        "an Apple property list",
        "give the output of `log show --style syslog`",
    ),
    other(
        0,
        b"-----BEGIN OPENSSH PRIVATE KEY-----",
        "a private key",
        "it was not read further; keep it secret",
    ),
    other(
        0,
        b"-----BEGIN RSA PRIVATE KEY-----",
        "a private key",
        "it was not read further; keep it secret",
    ),
    other(
        0,
        b"-----BEGIN EC PRIVATE KEY-----",
        "a private key",
        "it was not read further; keep it secret",
    ),
    other(
        0,
        b"-----BEGIN PRIVATE KEY-----",
        "a private key",
        "it was not read further; keep it secret",
    ),
];

fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Xz),
        // A frame, or a skippable frame in front of one (also pzstd).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Packing::Zstd),
        [
            b'B',
            b'Z',
            b'h',
            b'1'..=b'9',
            0x31,
            0x41,
            0x59,
            0x26,
            0x53,
            0x59,
            ..,
        ]
        | [
            b'B',
            b'Z',
            b'h',
            b'1'..=b'9',
            0x17,
            0x72,
            0x45,
            0x38,
            0x50,
            0x90,
            ..,
        ] => Some(Packing::Bzip2),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some(Packing::Lz4),
        _ => None,
    }
}

/// What the bytes are. `head` holds the first [`HEAD`] bytes, or all of a shorter file.
pub fn sniff(head: &[u8]) -> Sniff {
    if head.is_empty() {
        return Sniff::Empty;
    }
    if let Some(packing) = packing(head) {
        return Sniff::Packed(packing);
    }
    if head.starts_with(b"LPKSHHRH") {
        return Sniff::Form(Form::Journal);
    }
    for magic in MAGICS {
        if head
            .get(magic.at..)
            .is_some_and(|h| h.starts_with(magic.bytes))
            && (magic.is_strong() || not_text(head))
        {
            return Sniff::Unreadable(Unreadable {
                what: magic.what,
                advice: magic.advice,
                holds_records: magic.holds_records,
            });
        }
    }
    match head {
        [0xff, 0xfe, ..] => return Sniff::Form(Form::Utf16 { big_endian: false }),
        [0xfe, 0xff, ..] => return Sniff::Form(Form::Utf16 { big_endian: true }),
        _ => {}
    }
    if utmp::layout(head).is_some() {
        return Sniff::Form(Form::Utmp);
    }
    if utmp::is_lastlog(head) {
        return Sniff::Unreadable(Unreadable {
            what: "lastlog: the last login of each user, without names",
            advice: "give wtmp and the text log, which hold all logins",
            holds_records: false,
        });
    }
    // A crash leaves NULs where the file system had reserved room.
    let start = head.iter().position(|&b| b != 0).unwrap_or(head.len());
    let text = head.get(start..).unwrap_or_default();
    if text.is_empty() {
        return Sniff::Form(Form::Lines);
    }
    if let Some(big_endian) = unmarked_utf16(head) {
        return Sniff::Form(Form::Utf16 { big_endian });
    }
    if let Some(what) = binary(text) {
        return Sniff::Unreadable(what);
    }
    Sniff::Form(text_form(text))
}

fn not_text(head: &[u8]) -> bool {
    memchr(0, head).is_some() || binary(head).is_some()
}

/// UTF-16 without a mark: every other byte is NUL, as Latin text has it.
fn unmarked_utf16(head: &[u8]) -> Option<bool> {
    let sample = head.get(..head.len().min(512) & !1)?;
    if sample.len() < 16 {
        return None;
    }
    let pairs = sample.len() / 2;
    let zeros = |offset: usize| {
        sample
            .iter()
            .skip(offset)
            .step_by(2)
            .filter(|&&b| b == 0)
            .count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    if odd * 10 >= pairs * 9 && even * 20 < pairs {
        Some(false)
    } else if even * 10 >= pairs * 9 && odd * 20 < pairs {
        Some(true)
    } else {
        None
    }
}

/// Text has hardly any control bytes (NULs aside: they stand for lost data) and is UTF-8 or mostly ASCII.
fn binary(text: &[u8]) -> Option<Unreadable> {
    let mut control = 0usize;
    let mut high = 0usize;
    let mut zero = 0usize;
    for &b in text {
        match b {
            0 => zero += 1,
            b'\t' | b'\n' | b'\r' | 0x1b | 0x1e => {}
            0x01..=0x1f | 0x7f => control += 1,
            0x80.. => high += 1,
            _ => {}
        }
    }
    let seen = text.len() - zero;
    let foreign = high * 10 > seen * 3
        && match std::str::from_utf8(text) {
            Ok(_) => false,
            // A character cut by the end of the head is no error.
            Err(e) => e.error_len().is_some() || e.valid_up_to() + 4 < text.len(),
        };
    (control * 20 > seen || foreign).then_some(Unreadable {
        what: "binary data of a kind that is not known here",
        advice: NO_LOG,
        holds_records: false,
    })
}

fn text_form(text: &[u8]) -> Form {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // A CR at the very end may belong to a CR LF that is still to come.
    if memchr(b'\n', text).is_none()
        && let Some((_, before)) = text.split_last()
        && memchr(b'\r', before).is_some()
    {
        return Form::CarriageReturns;
    }
    let mut lines = text
        .split(|&b| b == b'\n')
        .map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let Some(first) = lines.by_ref().find(|l| !l.is_empty()) else {
        return Form::Lines;
    };
    let second = lines.next().unwrap_or_default();
    if winevent::is_xml(text) {
        return Form::WindowsXml;
    }
    if winevent::is_text(text) {
        return Form::WindowsText;
    }
    if octet_counted(first) {
        return Form::Octets;
    }
    if cri::is_cri(first) {
        return Form::Cri;
    }
    let bare = first.trim_ascii();
    // An object that goes on below, or a list of them.
    let unfinished = bare.starts_with(b"{") && matches!(bare.last(), Some(b'{' | b'[' | b','));
    if matches!(bare, b"{" | b"[")
        || bare.starts_with(b"[{")
        || unfinished
        // One after the other without a line's end: Kinesis, and GELF over TCP.
        || (bare.starts_with(b"{")
            && (holds_records(bare)
                || memmem::find(bare, b"}{\"").is_some()
                || memmem::find(bare, b"}\0{").is_some()))
        || first.starts_with(b"\x1e{")
        || first.starts_with(b"data: {")
    {
        return Form::Json;
    }
    if export_field(first)
        && (export_field(second) || second.is_empty())
        && memmem::find(text, b"MESSAGE").is_some()
    {
        return Form::Export;
    }
    // `Tue 2026-11-03 04:05:06.123456 CET [s=…;i=…;b=…]`
    if first.ends_with(b"]")
        && memmem::find(first, b" [s=").is_some()
        && second.starts_with(b"    ")
    {
        return Form::Verbose;
    }
    Form::Lines
}

/// Whether an object on one line is a store's answer, which holds its records in a list: `{"took":1,"hits":{"hits":[{…`.
fn holds_records(line: &[u8]) -> bool {
    let text = memmem::find(line, b"\"message\"").unwrap_or(line.len());
    json::LISTS.iter().any(|name| {
        let key = format!("\"{name}\"");
        memmem::find_iter(line, key.as_bytes())
            .filter(|at| *at < text)
            .any(|at| {
                let rest = line.get(at + key.len()..).unwrap_or_default();
                let mut marks = rest.iter().filter(|b| !b.is_ascii_whitespace()).take(3);
                marks.next() == Some(&b':')
                    && marks.next() == Some(&b'[')
                    && matches!(marks.next(), Some(b'{' | b'['))
            })
    })
}

/// `97 <38>1 …`
fn octet_counted(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
    (1..=7).contains(&digits)
        && line.first() != Some(&b'0')
        && line.get(digits..).is_some_and(|rest| {
            rest.starts_with(b" <")
                && rest
                    .get(2..)
                    .is_some_and(|r| r.iter().take(4).any(|&b| b == b'>'))
        })
}

/// `__CURSOR=…`: a field name as the journal allows it, in the first line of an export.
fn export_field(line: &[u8]) -> bool {
    let name = line
        .iter()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b'_')
        .count();
    (2..=64).contains(&name) && line.get(name) == Some(&b'=')
}

/// Whether text found in a folder is worth reading as a log: a good part of its lines begins with a time or a syslog
/// priority or is a record of a known wrapper, or sshd's own words stand in it.
pub fn looks_like_log(head: &[u8]) -> bool {
    if [
        &b"sshd"[..],
        b"dropbear",
        b"Failed password for ",
        b"Accepted publickey for ",
        b"pam_unix(",
    ]
    .iter()
    .any(|word| memmem::find(head, word).is_some())
        && dated_lines(head) > 0
    {
        return true;
    }
    let lines = head
        .split(|&b| b == b'\n')
        .filter(|l| !l.trim_ascii().is_empty())
        .take(64)
        .count();
    dated_lines(head) * 2 > lines
}

/// Of the first 64 lines, how many begin like a log record.
fn dated_lines(head: &[u8]) -> usize {
    head.split(|&b| b == b'\n')
        .filter(|l| !l.trim_ascii().is_empty())
        .take(64)
        .filter(|l| begins_like_a_record(l.trim_ascii_start()))
        .count()
}

fn begins_like_a_record(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let digit = |i: usize| line.get(i).is_some_and(u8::is_ascii_digit);
    // ISO 8601 dates, also behind a pid as Windows OpenSSH writes.
    let iso = |l: &[u8]| {
        l.len() > 18
            && l.iter().take(4).all(u8::is_ascii_digit)
            && l.get(4) == Some(&b'-')
            && l.get(7) == Some(&b'-')
            && matches!(l.get(10), Some(b'T' | b' '))
            && l.get(13) == Some(&b':')
    };
    if iso(line) {
        return true;
    }
    match line.first() {
        Some(b'<') => line.iter().take(5).any(|&b| b == b'>') && digit(1),
        Some(b'{') => ["\"MESSAGE\"", "\"log\"", "\"message\"", "\"__REALTIME_TIMESTAMP\""]
            .iter()
            .any(|key| memmem::find(line, key.as_bytes()).is_some()),
        Some(b'0'..=b'9') => {
            octet_counted(line)
                || memchr(b' ', line).is_some_and(|i| i <= 10 && line.get(i + 1..).is_some_and(iso))
                || (line.get(10) == Some(&b'.') && line.iter().take(10).all(u8::is_ascii_digit))
        }
        // `Nov  3 04:05:06`, `Tue Nov  3 04:05:06 2026`, month names in other languages: a clock near the start.
        Some(c) if c.is_ascii_alphabetic() || *c >= 0x80 => {
            line.starts_with(b"type=")
                || line
                    .windows(8)
                    .take(24)
                    .any(|w| matches!(w, [a, b, b':', c, d, b':', e, f] if [a, b, c, d, e, f].iter().all(|x| x.is_ascii_digit())))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(head: &[u8]) -> Form {
        match sniff(head) {
            Sniff::Form(form) => form,
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(head)),
        }
    }

    #[test]
    fn line_envelopes_are_lines() {
        for line in [
            "Nov  3 04:05:06 web1 sshd[812]: Invalid user bob from 192.0.2.7 port 50122\n",
            "<38>1 2026-11-03T04:05:06.123Z web1 sshd 812 - - Accepted password for ann\n",
            "{\"MESSAGE\":\"x\"}\n{\"MESSAGE\":\"y\"}\n",
            "{\"log\":\"x\\r\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-03T03:05:06.123456789Z\"}\n",
            "4532 2026-11-03 04:05:06.123 Accepted password for ann from 192.0.2.7 port 50122 ssh2\r\n",
            "\u{feff}Server listening on :: port 22.\r\n",
            "no newline at all",
            "\u{feff}",
            "cut in the middle of a line end\r",
            "MESSAGE=looks like an export, but what follows does not\nsecond line\n",
            "97 is no count\n",
            "\r\n\r\n",
        ] {
            assert_eq!(form(line.as_bytes()), Form::Lines, "{line}");
        }
        assert_eq!(
            form(b"Nov  3 04:05:06 web1 sshd[812]: J\xfcrgen \x1b[31m\n"),
            Form::Lines
        );
        let mut nul_tail = vec![0; 4096];
        nul_tail.extend_from_slice(b"Nov  3 04:05:06 web1 sshd[812]: after a crash\n");
        assert_eq!(form(&nul_tail), Form::Lines);
        assert_eq!(form(&[0; 100]), Form::Lines);
    }

    #[test]
    fn what_is_no_line_gets_its_transcoder() {
        assert_eq!(form(b"one\rtwo\rthree"), Form::CarriageReturns);
        assert_eq!(form(b"\xff\xfea\0b\0"), Form::Utf16 { big_endian: false });
        assert_eq!(form(b"\xfe\xff\0a\0b"), Form::Utf16 { big_endian: true });
        let bare: Vec<u8> = "Nov  3 04:05:06 web1"
            .bytes()
            .flat_map(|b| [b, 0])
            .collect();
        assert_eq!(form(&bare), Form::Utf16 { big_endian: false });
        assert_eq!(
            form(b"97 <38>1 2026-11-03T04:05:06Z web1 sshd 812 - - x"),
            Form::Octets
        );
        assert_eq!(
            form(b"2026-11-03T03:05:06.123456789Z stderr F Accepted\n"),
            Form::Cri
        );
        assert_eq!(form(b"{\n\t\"MESSAGE\" : \"x\"\n}\n"), Form::Json);
        assert_eq!(form(b"\x1e{\"MESSAGE\":\"x\"}\n"), Form::Json);
        assert_eq!(form(b"data: {\"MESSAGE\":\"x\"}\n\n"), Form::Json);
        assert_eq!(
            form(b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\nMESSAGE=x\n\n"),
            Form::Export
        );
        assert_eq!(
            form(b"Tue 2026-11-03 04:05:06.123456 CET [s=1;i=2;b=3;m=4;t=5;x=6]\n    PRIORITY=6\n"),
            Form::Verbose
        );
        for answer in [
            &b"{\"took\":1,\"hits\":{\"hits\":[{\"_source\":{}}]}}"[..],
            b"{\"events\": [\n",
            b"{\"message\":\"x\"}{\"message\":\"y\"}",
            b"{\"short_message\":\"x\"}\0{\"short_message\":\"y\"}\0",
            b"{\"data\":{\"result\":[{\"stream\":{},\"values\":[[\"1\",\"x\"]]}]}}",
            b"[{\"message\":\"x\"},{\"message\":\"y\"}]",
        ] {
            assert_eq!(form(answer), Form::Json);
        }
        assert_eq!(form(b"{\"message\":\"x\",\"events\":[{}]}\n"), Form::Lines);
        assert_eq!(form(b"LPKSHHRH\0\0\0\0"), Form::Journal);
    }

    #[test]
    fn compression_is_told_by_magic_and_garbage_is_refused() {
        assert_eq!(sniff(b"\x1f\x8b\x08\0"), Sniff::Packed(Packing::Gzip));
        assert_eq!(sniff(b"\xfd7zXZ\0\0\x04"), Sniff::Packed(Packing::Xz));
        assert_eq!(sniff(b"\x28\xb5\x2f\xfd\x04"), Sniff::Packed(Packing::Zstd));
        assert_eq!(sniff(b"BZh91AY&SY"), Sniff::Packed(Packing::Bzip2));
        assert_eq!(sniff(b"\x04\x22\x4d\x18\x64"), Sniff::Packed(Packing::Lz4));
        assert_eq!(sniff(b""), Sniff::Empty);
        // Lines that happen to begin like something else.
        assert_eq!(sniff(b"MZ1 sshd[812]: x\n"), Sniff::Form(Form::Lines));
        assert_eq!(sniff(b"BZh9 is a name\n"), Sniff::Form(Form::Lines));
        let mut x = 1u32;
        let noise: Vec<u8> = (0..4096)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (x >> 24) as u8
            })
            .collect();
        assert!(matches!(sniff(&noise), Sniff::Unreadable(u) if u.what.starts_with("binary data")));
    }

    #[test]
    fn known_foreign_files_are_named_with_advice() {
        let mut tar = vec![b'a'; 257];
        tar.extend_from_slice(b"ustar\x0000");
        for (head, what) in [
            (&b"ElfFile\0\0\0"[..], "Windows event log"),
            (b"\x7fELF\x02\x01", "program"),
            (b"MZ\x90\0\x03", "Windows program"),
            (b"SQLite format 3\0\x10", "SQLite"),
            (&tar, "tar"),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", "private key"),
        ] {
            match sniff(head) {
                Sniff::Unreadable(u) => {
                    assert!(u.what.contains(what), "{}", u.what);
                    assert!(!u.advice.is_empty());
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }

    #[test]
    fn logs_are_told_from_other_text() {
        for log in [
            "Nov  3 04:05:06 web1 cron[1]: x\nNov  3 04:05:07 web1 cron[1]: y\n",
            "2026-11-03T04:05:06.123456+01:00 web1 x: y\n",
            "Tue Nov  3 04:05:06 2026 authpriv.info dropbear[812]: x\n",
            "4532 2026-11-03 04:05:06.123 Accepted password for ann\n",
            "1793678706.123456 web1 sshd[812]: x\n",
            "{\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":\"x\"}\n",
            "type=USER_LOGIN msg=audit(1793678706.123:45): pid=812\n",
        ] {
            assert!(looks_like_log(log.as_bytes()), "{log}");
        }
        for text in [
            "# Port 22\nPermitRootLogin no\n",
            "how sshd works\nsecond paragraph\n",
            "{\"name\":\"package\",\"version\":\"1\"}\n",
            "1793678706 bottles of beer\n",
            "",
        ] {
            assert!(!looks_like_log(text.as_bytes()), "{text}");
        }
    }
}
