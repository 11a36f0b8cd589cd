//! One audit record: its type, time and serial, and its fields as bytes; hex, quotes and socket addresses decoded.
//!
//! Formats: audit_log_untrustedstring() and friends of the kernel (a value is quoted, or hex where it holds a blank, a quote, a
//! control character or a byte above 0x7e), auditd's enriched tail after 0x1d, and what `ausearch -i` makes of them.

use crate::addr::canonical;
use crate::time::{Civil, Time, Zone, days_from_civil};
use memchr::{memchr, memmem};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The record types that matter here, by name or by the kernel's number (linux/audit.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// 1300
    Syscall,
    /// 1309
    Execve,
    /// 1306
    Sockaddr,
    /// 1327
    Proctitle,
    /// 1320: the event is complete.
    Eoe,
    Other,
}

impl Kind {
    fn of(name: &[u8]) -> Kind {
        match name {
            b"SYSCALL" | b"1300" | b"UNKNOWN[1300]" => Kind::Syscall,
            b"EXECVE" | b"1309" | b"UNKNOWN[1309]" => Kind::Execve,
            b"SOCKADDR" | b"1306" | b"UNKNOWN[1306]" => Kind::Sockaddr,
            b"PROCTITLE" | b"1327" | b"UNKNOWN[1327]" => Kind::Proctitle,
            b"EOE" | b"1320" | b"UNKNOWN[1320]" => Kind::Eoe,
            _ => Kind::Other,
        }
    }
}

/// One line of the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub kind: Kind,
    pub time: Time,
    pub serial: u64,
    /// Values were written for people (`ausearch -i`): names instead of numbers, nothing quoted, nothing in hex.
    pub interpreted: bool,
    /// `key=value …`, without what auditd added for people.
    pub body: &'a [u8],
}

/// In which order `ausearch -i` writes day and month: it follows the locale of whoever ran it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum DateOrder {
    #[default]
    MonthFirst,
    DayFirst,
}

/// Reads the records of one stream.
#[derive(Clone, Debug)]
pub struct Reader {
    /// For times that `ausearch -i` wrote in local time.
    zone: Zone,
    order: DateOrder,
}

/// How far into a line a record may begin: behind a syslog or journal envelope.
const ENVELOPE: usize = 256;

impl Reader {
    pub fn new(zone: Zone) -> Reader {
        Reader {
            zone,
            order: DateOrder::default(),
        }
    }

    /// The record on a line without its newline; `None` for `----`, `time->…`, torn lines and everything else.
    pub fn record<'a>(&mut self, line: &'a [u8]) -> Option<Record<'a>> {
        let line = if line.starts_with(b"type=") {
            line
        } else {
            let head = line.get(..ENVELOPE.min(line.len()))?;
            line.get(memmem::find(head, b"type=")?..)?
        };
        let name_end = memchr(b' ', line)?;
        let kind = Kind::of(line.get(5..name_end)?);
        let after = line.get(name_end + 1..)?;
        let after = after.strip_prefix(b"msg=").unwrap_or(after);
        let stamp = after.strip_prefix(b"audit(")?;
        let (time, serial, used, interpreted) = match raw_stamp(stamp) {
            Some((time, serial, used)) => (time, serial, used, false),
            None => {
                let (time, serial, used) = self.local_stamp(stamp)?;
                (time, serial, used, true)
            }
        };
        let body = stamp.get(used..)?;
        let body = body.strip_prefix(b" ").unwrap_or(body);
        let body = body.strip_prefix(b":").unwrap_or(body);
        let body = match memchr(0x1d, body) {
            Some(tail) => body.get(..tail)?,
            None => body,
        };
        Some(Record {
            kind,
            time,
            serial,
            interpreted,
            body,
        })
    }

    /// `03/29/2023 00:00:15.123:4214)`, in the order and with the separators of some locale.
    fn local_stamp(&mut self, text: &[u8]) -> Option<(Time, u64, usize)> {
        let close = memchr(b')', text.get(..64.min(text.len()))?)?;
        let inner = text.get(..close)?;
        let space = memchr(b' ', inner)?;
        let mut date = inner.get(..space)?.split(|b| !b.is_ascii_digit());
        let (a, b, c) = (date.next()?, date.next()?, date.next()?);
        let n = |text: &[u8]| -> Option<i32> { std::str::from_utf8(text).ok()?.parse().ok() };
        let (year, month, day) = if a.len() == 4 {
            (n(a)?, n(b)?, n(c)?)
        } else {
            let (a, b, year) = (n(a)?, n(b)?, n(c)?);
            // One date that can only be read one way decides for those that follow.
            if a > 12 {
                self.order = DateOrder::DayFirst;
            } else if b > 12 {
                self.order = DateOrder::MonthFirst;
            }
            let year = if year < 100 { year + 2000 } else { year };
            match self.order {
                DateOrder::MonthFirst => (year, a, b),
                DateOrder::DayFirst => (year, b, a),
            }
        };
        let mut clock = inner.get(space + 1..)?.split(|b| !b.is_ascii_digit());
        let (hour, minute, second) = (n(clock.next()?)?, n(clock.next()?)?, n(clock.next()?)?);
        let millis = n(clock.next()?)?;
        let serial = std::str::from_utf8(clock.next()?).ok()?.parse().ok()?;
        let in_range = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..=60).contains(&second)
            && (1970..3000).contains(&year);
        if !in_range {
            return None;
        }
        let civil = Civil {
            year,
            month: month as u8,
            day: day as u8,
            hour: hour as u8,
            minute: minute as u8,
            second: second as u8,
            micro: 0,
        };
        debug_assert!(days_from_civil(year, civil.month, civil.day) >= 0);
        let secs = self.zone.to_utc(civil.as_utc_secs()).first();
        let time = Time(secs * 1_000_000 + i64::from(millis) * 1000);
        Some((time, serial, close + 1))
    }
}

/// `1680019215.123:4214)` → time, serial, bytes used.
fn raw_stamp(text: &[u8]) -> Option<(Time, u64, usize)> {
    let (secs, a) = number(text)?;
    if text.get(a) != Some(&b'.') {
        return None;
    }
    let (millis, b) = number(text.get(a + 1..)?)?;
    let at = a + 1 + b;
    if text.get(at) != Some(&b':') || b != 3 {
        return None;
    }
    let (serial, c) = number(text.get(at + 1..)?)?;
    let at = at + 1 + c;
    if text.get(at) != Some(&b')') {
        return None;
    }
    let micros = i64::try_from(secs)
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add((millis * 1000) as i64)?;
    Some((Time(micros), serial, at + 1))
}

/// Leading decimal digits: value and length, at most 19 of them.
fn number(text: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    let mut len = 0;
    for b in text.iter().take(19) {
        if !b.is_ascii_digit() {
            break;
        }
        value = value * 10 + u64::from(b - b'0');
        len += 1;
    }
    (len > 0).then_some((value, len))
}

/// A value as it stands in the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value<'a> {
    /// Without quotes or braces.
    pub raw: &'a [u8],
    pub quoted: bool,
}

impl<'a> Value<'a> {
    pub fn u32(&self) -> Option<u32> {
        self.i64().and_then(|n| u32::try_from(n).ok())
    }

    pub fn i64(&self) -> Option<i64> {
        let (sign, digits) = match self.raw.strip_prefix(b"-") {
            Some(rest) => (-1, rest),
            None => (1, self.raw),
        };
        let (value, len) = number(digits)?;
        (len == digits.len()).then(|| i64::try_from(value).ok().map(|v| v * sign))?
    }

    /// Untrusted text: quoted as it is, bare as hex; `(null)` and `(none)` are nothing.
    pub fn text(&self) -> Option<Cow<'a, [u8]>> {
        if self.quoted {
            return Some(Cow::Borrowed(self.raw));
        }
        if matches!(self.raw, b"(null)" | b"(none)" | b"?" | b"") {
            return None;
        }
        Some(match unhex(self.raw) {
            Some(bytes) => Cow::Owned(bytes),
            None => Cow::Borrowed(self.raw),
        })
    }
}

/// The fields of a record in order.
#[derive(Clone, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Record<'a> {
    pub fn fields(&self) -> Fields<'a> {
        Fields(self.body)
    }

    /// Text of a field, whoever wrote the values.
    pub fn text(&self, value: &Value<'a>) -> Option<Cow<'a, [u8]>> {
        if self.interpreted {
            return (!matches!(value.raw, b"(null)" | b"(none)" | b"?" | b""))
                .then_some(Cow::Borrowed(value.raw));
        }
        value.text()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let skip = self.0.iter().position(|b| *b != b' ')?;
            let text = self.0.get(skip..)?;
            let equals = memchr(b'=', text)?;
            let key = text.get(..equals)?;
            // Words without a value stand between fields in some records.
            if let Some(space) = memchr::memrchr(b' ', key) {
                self.0 = text.get(space + 1..)?;
                continue;
            }
            let value = text.get(equals + 1..)?;
            let closing = match value.first() {
                Some(b'"') => Some(b'"'),
                Some(b'\'') => Some(b'\''),
                Some(b'{') => Some(b'}'),
                _ => None,
            };
            if let Some(closing) = closing
                && let Some(end) = memchr(closing, value.get(1..)?)
            {
                self.0 = value.get(end + 2..).unwrap_or_default();
                return Some((
                    key,
                    Value {
                        raw: value.get(1..=end)?,
                        quoted: closing != b'}',
                    },
                ));
            }
            let end = memchr(b' ', value).unwrap_or(value.len());
            self.0 = value.get(end..).unwrap_or_default();
            let raw = value.get(..end)?;
            // A quote that never closes: the record was cut.
            let raw = raw.strip_prefix(b"\"").unwrap_or(raw);
            return Some((
                key,
                Value {
                    raw,
                    quoted: raw.len() + 1 == end,
                },
            ));
        }
    }
}

/// Bytes from hex digits, if that is all it is.
pub fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    text.chunks_exact(2)
        .map(|pair| match pair {
            [a, b] => Some(digit(*a)? << 4 | digit(*b)?),
            _ => None,
        })
        .collect()
}

/// Address and port of a `saddr=` value: hex as the kernel writes it, or words as `ausearch -i` does. `None` for other families.
pub fn sockaddr(value: &Value<'_>) -> Option<(IpAddr, u16)> {
    match unhex(value.raw) {
        Some(bytes) => sockaddr_bytes(&bytes),
        None => sockaddr_words(value.raw),
    }
}

/// `struct sockaddr_in` and `sockaddr_in6`; the family is in the byte order of the machine that wrote the log.
fn sockaddr_bytes(bytes: &[u8]) -> Option<(IpAddr, u16)> {
    let [f0, f1, p0, p1, rest @ ..] = bytes else {
        return None;
    };
    let family = match (*f0, *f1) {
        (f, 0) | (0, f) => f,
        _ => return None,
    };
    let port = u16::from_be_bytes([*p0, *p1]);
    match family {
        2 => {
            let octets: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            Some((IpAddr::V4(Ipv4Addr::from(octets)), port))
        }
        10 => {
            let octets: [u8; 16] = rest.get(4..20)?.try_into().ok()?;
            Some((canonical(IpAddr::V6(Ipv6Addr::from(octets))), port))
        }
        _ => None,
    }
}

/// ` saddr_fam=inet laddr=192.0.2.1 lport=22 ` (audit 2.8 and later) or `inet host:192.0.2.1 serv:22` (before).
fn sockaddr_words(text: &[u8]) -> Option<(IpAddr, u16)> {
    let mut addr = None;
    let mut port = None;
    for word in text.split(|b| *b == b' ') {
        for prefix in [&b"laddr="[..], b"host:", b"addr="] {
            if let Some(a) = word.strip_prefix(prefix) {
                addr = crate::addr::parse_ip(a);
            }
        }
        for prefix in [&b"lport="[..], b"serv:", b"port="] {
            if let Some(p) = word.strip_prefix(prefix) {
                port = if p == b"ssh" {
                    Some(22)
                } else {
                    std::str::from_utf8(p).ok().and_then(|p| p.parse().ok())
                };
            }
        }
    }
    Some((addr?, port?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(Kind, i64, u64, Vec<(String, String)>)> {
        let mut reader = Reader::new(Zone::utc());
        let r = reader.record(line.as_bytes())?;
        let fields = r
            .fields()
            .map(|(k, v)| {
                (
                    String::from_utf8_lossy(k).into_owned(),
                    String::from_utf8_lossy(v.raw).into_owned(),
                )
            })
            .collect();
        Some((r.kind, r.time.0, r.serial, fields))
    }

    #[test]
    fn every_envelope_gives_the_same_record() {
        let body = "arch=c000003e syscall=42 success=no exit=-115 ppid=812 pid=4214 comm=\"ssh\" exe=\"/usr/bin/ssh\" key=\"SSH\"";
        let want = read(&format!(
            "type=SYSCALL msg=audit(1680019215.123:4214): {body}"
        ))
        .unwrap();
        assert_eq!(want.1, 1_680_019_215_123_000);
        assert_eq!(want.2, 4214);
        for line in [
            format!("node=n7 type=SYSCALL msg=audit(1680019215.123:4214): {body}"),
            format!(
                "type=SYSCALL msg=audit(1680019215.123:4214): {body}\u{1d}ARCH=x86_64 SYSCALL=connect AUID=\"unset\""
            ),
            format!("type=SYSCALL msg=audit(1680019215.123:4214) : {body}"),
            format!(
                "Mar 28 16:00:15 n7 kernel: [ 12.3] audit: type=1300 audit(1680019215.123:4214): {body}"
            ),
        ] {
            assert_eq!(read(&line).unwrap(), want, "{line}");
        }
        for bad in [
            "----",
            "time->Tue Mar 28 16:00:15 2023",
            "type=SYSCALL msg=audit(1680019215.123:42",
            "type=SYSCALL msg=audit(1680019215.12:42): a=1",
            "type=SYSCALL msg=audit(99999999999999999999.123:42): a=1",
            "",
            "type=",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn interpreted_dates_follow_the_locale_that_the_log_shows() {
        let zone = Zone::fixed("+08:00", 28_800);
        let mut reader = Reader::new(zone);
        let mut at = |date: &str| {
            let line = format!("type=SYSCALL msg=audit({date} 00:00:15.123:7) : pid=4 comm=cafe");
            let r = reader.record(line.as_bytes()).unwrap();
            assert!(r.interpreted);
            let (_, v) = r.fields().find(|(k, _)| *k == b"comm").unwrap();
            assert_eq!(r.text(&v).unwrap().as_ref(), b"cafe", "no hex here");
            r.time.to_string()
        };
        assert_eq!(at("03/29/2023"), "2023-03-28T16:00:15.123000Z");
        assert_eq!(at("03/04/2023"), "2023-03-03T16:00:15.123000Z");
        assert_eq!(at("29/03/23"), "2023-03-28T16:00:15.123000Z");
        assert_eq!(at("03/04/2023"), "2023-04-02T16:00:15.123000Z");
        assert_eq!(at("2023-03-29"), "2023-03-28T16:00:15.123000Z");
        let mut other = Reader::new(Zone::utc());
        assert!(
            other
                .record(b"type=SYSCALL msg=audit(31/31/2023 00:00:15.123:7) : pid=4")
                .is_none()
        );
    }

    #[test]
    fn values_are_decoded_as_the_kernel_encodes_them() {
        let v = |raw: &'static [u8], quoted| Value { raw, quoted };
        assert_eq!(v(b"ssh", true).text().unwrap().as_ref(), b"ssh");
        assert_eq!(v(b"7373682061", false).text().unwrap().as_ref(), b"ssh a");
        assert_eq!(v(b"737", false).text().unwrap().as_ref(), b"737");
        assert_eq!(v(b"cafe", true).text().unwrap().as_ref(), b"cafe");
        assert_eq!(v(b"(null)", false).text(), None);
        assert_eq!(v(b"-115", false).i64(), Some(-115));
        assert_eq!(v(b"1x", false).i64(), None);
        assert_eq!(v(b"99999999999999999999", false).i64(), None);
    }

    #[test]
    fn socket_addresses_of_both_families_and_both_byte_orders() {
        let of = |raw: &str| {
            sockaddr(&Value {
                raw: raw.as_bytes(),
                quoted: false,
            })
            .map(|(ip, port)| format!("{ip} {port}"))
        };
        assert_eq!(
            of("02000016C00002010000000000000000").as_deref(),
            Some("192.0.2.1 22")
        );
        assert_eq!(of("00020016C0000201").as_deref(), Some("192.0.2.1 22"));
        assert_eq!(
            of("0A00001600000000200 10DB8".replace(' ', "").as_str()),
            None,
            "cut"
        );
        assert_eq!(
            of("0A0000160000000020010DB800000000000000000000000700000000").as_deref(),
            Some("2001:db8::7 22")
        );
        assert_eq!(
            of("0A0000160000000000000000000000000000FFFFC000020100000000").as_deref(),
            Some("192.0.2.1 22")
        );
        assert_eq!(of("01002F72756E2F78"), None, "AF_UNIX");
        assert_eq!(
            of(" saddr_fam=inet laddr=192.0.2.1 lport=22 ").as_deref(),
            Some("192.0.2.1 22")
        );
        assert_eq!(
            of("inet host:192.0.2.1 serv:ssh").as_deref(),
            Some("192.0.2.1 22")
        );
        assert_eq!(of("local /run/x"), None);
    }

    #[test]
    fn fields_with_quotes_braces_and_torn_ends() {
        let r = read("type=SOCKADDR msg=audit(1.000:2): saddr={ saddr_fam=inet laddr=192.0.2.1 lport=22 } a0=\"x = y\" words between b=1 c=\"cut he").unwrap();
        let keys: Vec<_> = r.3.iter().map(|(k, v)| format!("{k}|{v}")).collect();
        assert_eq!(
            keys,
            [
                "saddr| saddr_fam=inet laddr=192.0.2.1 lport=22 ",
                "a0|x = y",
                "b|1",
                "c|cut"
            ]
        );
    }
}
