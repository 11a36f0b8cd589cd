//! utmp, wtmp and btmp: fixed records of who was logged in, and who failed to (utmp(5)).
//!
//! | record | line |
//! |---|---|
//! | btmp, any | `<86>1 TIME - btmp PID - - failed login record: user "U" from ADDR on LINE` |
//! | `USER_PROCESS` (7) | `<86>1 TIME - wtmp PID - - login record: user "U" from ADDR on LINE` |
//! | `DEAD_PROCESS` (8) | `<86>1 TIME - wtmp PID - - logout record: on LINE` |
//! | `BOOT_TIME` (2) | `<86>1 TIME - wtmp - - - boot record: kernel RELEASE` |
//! | `RUN_LVL` (1), shutdown | `<86>1 TIME - wtmp - - - shutdown record: kernel RELEASE` |
//! | `NEW_TIME`, `OLD_TIME` (3, 4) | `<86>1 TIME - wtmp - - - clock record: new time` and `old time` |
//! | other | none |
//!
//! ` from ADDR` is missing for a login at the machine itself; ADDR is the numeric address where the record has one, else
//! the host name that was recorded. `U` is escaped as sshd does it, and `"` as `\"`. btmp has no mark of its own: its records are
//! `LOGIN_PROCESS` (6) with a user, and the file is taken for one when all records that name a user are of that kind.
//!
//! Two layouts are known, both 384 bytes on little-endian machines with a 32-bit time (x86-64, 32-bit x86, and ARM as
//! well as most others), and the 400-byte one with a 64-bit time (64-bit ARM, RISC-V and others). They are told apart by
//! what the records say: types in range, printable lines, times between 1990 and 2100.

use super::record::escape;
use super::{Losses, Transcoder};
use crate::time::Time;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the fields of a record stand, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    pub size: usize,
    /// Seconds, of 4 or 8 bytes; microseconds follow in as many.
    time: usize,
    time_size: usize,
    address: usize,
}

/// type 0, pid 4, line 8, id 40, user 44, host 76, exit 332, session 336, time 340, address 348, unused 364.
const TIME32: Layout = Layout {
    size: 384,
    time: 340,
    time_size: 4,
    address: 348,
};

/// As above to the exit status; session 336, time 344, address 360, unused 376.
const TIME64: Layout = Layout {
    size: 400,
    time: 344,
    time_size: 8,
    address: 360,
};

const EMPTY: u16 = 0;
const RUN_LVL: u16 = 1;
const BOOT_TIME: u16 = 2;
const NEW_TIME: u16 = 3;
const OLD_TIME: u16 = 4;
const INIT_PROCESS: u16 = 5;
const LOGIN_PROCESS: u16 = 6;
const USER_PROCESS: u16 = 7;
const DEAD_PROCESS: u16 = 8;
const ACCOUNTING: u16 = 9;

/// 1990-01-01 and 2100-01-01.
const PLAUSIBLE: std::ops::Range<i64> = 631_152_000..4_102_444_800;

struct Entry<'a> {
    kind: u16,
    pid: u32,
    line: &'a [u8],
    user: &'a [u8],
    host: &'a [u8],
    secs: i64,
    micros: i64,
    address: Option<IpAddr>,
}

fn bytes<const N: usize>(record: &[u8], at: usize) -> Option<[u8; N]> {
    record.get(at..at + N)?.try_into().ok()
}

/// Up to the first NUL.
fn text(record: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    let field = record.get(at..at + len)?;
    field.split(|&b| b == 0).next()
}

fn entry(record: &[u8], layout: Layout) -> Option<Entry<'_>> {
    let (secs, micros) = if layout.time_size == 8 {
        (
            i64::from_le_bytes(bytes(record, layout.time)?),
            i64::from_le_bytes(bytes(record, layout.time + 8)?),
        )
    } else {
        (
            // Unsigned, so that it holds beyond 2038.
            i64::from(u32::from_le_bytes(bytes(record, layout.time)?)),
            i64::from(i32::from_le_bytes(bytes(record, layout.time + 4)?)),
        )
    };
    let raw: [u8; 16] = bytes(record, layout.address)?;
    let address = match raw {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => None,
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => {
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        _ => Some(IpAddr::V6(Ipv6Addr::from(raw)).to_canonical()),
    };
    Some(Entry {
        kind: u16::from_le_bytes(bytes(record, 0)?),
        pid: u32::from_le_bytes(bytes(record, 4)?),
        line: text(record, 8, 32)?,
        user: text(record, 44, 32)?,
        host: text(record, 76, 256)?,
        secs,
        micros,
        address,
    })
}

/// Whether a record can be one; user and host are not asked, as clients choose them.
fn plausible(record: &[u8], layout: Layout) -> bool {
    let Some(e) = entry(record, layout) else {
        return false;
    };
    if e.kind == EMPTY {
        return record
            .get(4..)
            .is_some_and(|rest| rest.iter().all(|&b| b == 0))
            || PLAUSIBLE.contains(&e.secs);
    }
    e.kind <= ACCOUNTING
        && PLAUSIBLE.contains(&e.secs)
        && (0..1_000_000).contains(&e.micros)
        && e.pid < 1 << 30
        && e.line.iter().all(|b| b.is_ascii_graphic() || *b == b' ')
}

/// The layout of a file that begins like this, if it is one of login records at all.
pub fn layout(head: &[u8]) -> Option<Layout> {
    [TIME32, TIME64].into_iter().find(|layout| {
        let mut records = head.chunks_exact(layout.size).take(32);
        // Records that are all zero fit everything, so one at least must say something.
        records
            .clone()
            .any(|r| entry(r, *layout).is_some_and(|e| e.kind != EMPTY))
            && records.all(|r| plausible(r, *layout))
    })
}

/// Whether a file that begins like this is lastlog: one record of 292 bytes (time, line, host) for each user id, most of
/// them empty.
pub fn is_lastlog(head: &[u8]) -> bool {
    let mut logins = 0;
    let printable = |r: &[u8], at, len| {
        text(r, at, len)
            .is_some_and(|t| t.len() < len && t.iter().all(|b| b.is_ascii_graphic() || *b == b' '))
    };
    let all = head.chunks_exact(292).all(|r| {
        let secs = bytes(r, 0).map_or(0, |b| i64::from(u32::from_le_bytes(b)));
        if secs == 0 {
            return r.iter().all(|&b| b == 0);
        }
        logins += 1;
        PLAUSIBLE.contains(&secs) && printable(r, 4, 32) && printable(r, 36, 256)
    });
    all && logins > 0
}

/// Login records as lines.
#[derive(Debug)]
pub struct Utmp {
    layout: Layout,
    /// Failed logins.
    failures: bool,
    held: Vec<u8>,
    losses: Losses,
}

impl Utmp {
    /// `head` as [`layout`] took it.
    pub fn new(layout: Layout, head: &[u8]) -> Utmp {
        let mut users = head
            .chunks_exact(layout.size)
            .filter_map(|r| entry(r, layout))
            .filter(|e| !e.user.is_empty() && e.kind >= INIT_PROCESS)
            .peekable();
        let failures = users.peek().is_some()
            && users.all(|e| e.kind == LOGIN_PROCESS && (e.user != b"LOGIN" || !e.host.is_empty()));
        Utmp {
            layout,
            failures,
            held: Vec::new(),
            losses: Losses::default(),
        }
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>) {
        if !plausible(record, self.layout) {
            self.losses.records += 1;
            return;
        }
        let Some(e) = entry(record, self.layout) else {
            return;
        };
        let micros = e.secs.saturating_mul(1_000_000).saturating_add(e.micros);
        let file = if self.failures { "btmp" } else { "wtmp" };
        let of_system =
            !self.failures && matches!(e.kind, RUN_LVL | BOOT_TIME | NEW_TIME | OLD_TIME);
        let start = |out: &mut Vec<u8>| {
            // Writing to a vector does not fail.
            let _ = write!(out, "<86>1 {} - {file} ", Time(micros));
            let _ = match e.pid {
                0 => write!(out, "-"),
                _ if of_system => write!(out, "-"),
                pid => write!(out, "{pid}"),
            };
            out.extend_from_slice(b" - - ");
        };
        match e.kind {
            USER_PROCESS | LOGIN_PROCESS if self.failures => {
                start(out);
                out.extend_from_slice(b"failed login record: user ");
                who(&e, out);
            }
            USER_PROCESS => {
                start(out);
                out.extend_from_slice(b"login record: user ");
                who(&e, out);
            }
            DEAD_PROCESS if !self.failures && !e.line.is_empty() => {
                start(out);
                out.extend_from_slice(b"logout record: on ");
                escape(e.line, out);
            }
            BOOT_TIME if !self.failures => {
                start(out);
                out.extend_from_slice(b"boot record: kernel ");
                escape(e.host, out);
            }
            RUN_LVL if !self.failures && e.user == b"shutdown" => {
                start(out);
                out.extend_from_slice(b"shutdown record: kernel ");
                escape(e.host, out);
            }
            NEW_TIME | OLD_TIME if !self.failures => {
                start(out);
                out.extend_from_slice(b"clock record: ");
                out.extend_from_slice(if e.kind == NEW_TIME {
                    b"new time"
                } else {
                    b"old time"
                });
            }
            _ => return,
        }
        out.push(b'\n');
    }
}

/// `"U" from ADDR on LINE`
fn who(e: &Entry<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut user = Vec::with_capacity(e.user.len());
    escape(e.user, &mut user);
    for b in user {
        if b == b'"' {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.push(b'"');
    match e.address {
        Some(address) => {
            let _ = write!(out, " from {address}");
        }
        // A local terminal's host is empty or a display, `:0`.
        None if !e.host.is_empty() && !e.host.starts_with(b":") => {
            out.extend_from_slice(b" from ");
            out.extend(
                e.host
                    .iter()
                    .map(|&b| if b.is_ascii_graphic() { b } else { b'_' }),
            );
        }
        None => {}
    }
    out.extend_from_slice(b" on ");
    escape(if e.line.is_empty() { b"-" } else { e.line }, out);
}

impl Transcoder for Utmp {
    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            let missing = self
                .layout
                .size
                .saturating_sub(self.held.len())
                .min(input.len());
            let (piece, rest) = input.split_at(missing);
            self.held.extend_from_slice(piece);
            input = rest;
            if self.held.len() < self.layout.size {
                return;
            }
            let record = std::mem::take(&mut self.held);
            self.record(&record, out);
        }
        let mut records = input.chunks_exact(self.layout.size);
        for record in records.by_ref() {
            self.record(record, out);
        }
        self.held.extend_from_slice(records.remainder());
    }

    fn finish(&mut self, _: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.losses.unfinished = true;
            self.losses.bytes += self.held.len() as u64;
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run_all;
    use super::*;

    fn record(
        layout: Layout,
        kind: u16,
        pid: u32,
        line: &str,
        user: &str,
        host: &[u8],
        ip: &str,
    ) -> Vec<u8> {
        let mut r = vec![0; layout.size];
        let mut put = |at: usize, bytes: &[u8]| r[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &kind.to_le_bytes());
        put(4, &pid.to_le_bytes());
        put(8, line.as_bytes());
        put(44, user.as_bytes());
        put(76, host);
        if layout.time_size == 8 {
            put(layout.time, &T.to_le_bytes());
            put(layout.time + 8, &250_000i64.to_le_bytes());
        } else {
            put(layout.time, &(T as u32).to_le_bytes());
            put(layout.time + 4, &250_000i32.to_le_bytes());
        }
        match ip.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => put(layout.address, &v4.octets()),
            Ok(IpAddr::V6(v6)) => put(layout.address, &v6.octets()),
            Err(_) => {}
        }
        r
    }

    const T: i64 = 1_774_713_615;

    fn transcode(layout: Layout, bytes: &[u8]) -> String {
        assert_eq!(super::layout(bytes), Some(layout));
        run_all(|| Box::new(Utmp::new(layout, bytes)), bytes)
    }

    #[test]
    fn wtmp_of_both_layouts() {
        for layout in [TIME32, TIME64] {
            let bytes = [
                record(layout, BOOT_TIME, 0, "~", "reboot", b"6.1.0-13-amd64", ""),
                record(layout, RUN_LVL, 53, "~", "runlevel", b"6.1.0-13-amd64", ""),
                record(layout, INIT_PROCESS, 600, "tty1", "", b"", ""),
                record(layout, LOGIN_PROCESS, 600, "tty1", "LOGIN", b"", ""),
                record(
                    layout,
                    USER_PROCESS,
                    812,
                    "pts/0",
                    "ann",
                    b"192.0.2.7",
                    "192.0.2.7",
                ),
                record(
                    layout,
                    USER_PROCESS,
                    813,
                    "pts/1",
                    "bob",
                    b"host.example",
                    "2001:db8::7",
                ),
                record(layout, USER_PROCESS, 814, "tty1", "root", b"", ""),
                record(layout, DEAD_PROCESS, 812, "pts/0", "", b"", ""),
                record(layout, RUN_LVL, 0, "~", "shutdown", b"6.1.0-13-amd64", ""),
                vec![0; layout.size],
            ]
            .concat();
            assert_eq!(
                transcode(layout, &bytes),
                "<86>1 2026-03-28T16:00:15.250000Z - wtmp - - - boot record: kernel 6.1.0-13-amd64\n\
                 <86>1 2026-03-28T16:00:15.250000Z - wtmp 812 - - login record: user \"ann\" from 192.0.2.7 on pts/0\n\
                 <86>1 2026-03-28T16:00:15.250000Z - wtmp 813 - - login record: user \"bob\" from 2001:db8::7 on pts/1\n\
                 <86>1 2026-03-28T16:00:15.250000Z - wtmp 814 - - login record: user \"root\" on tty1\n\
                 <86>1 2026-03-28T16:00:15.250000Z - wtmp 812 - - logout record: on pts/0\n\
                 <86>1 2026-03-28T16:00:15.250000Z - wtmp - - - shutdown record: kernel 6.1.0-13-amd64\n"
            );
        }
    }

    #[test]
    fn btmp_with_hostile_users_and_the_longest_fields() {
        let long_host = [b'h'; 256];
        let bytes = [
            record(
                TIME32,
                LOGIN_PROCESS,
                812,
                "ssh:notty",
                "root",
                b"192.0.2.7",
                "192.0.2.7",
            ),
            record(
                TIME32,
                LOGIN_PROCESS,
                813,
                "ssh:notty",
                "\" from 203.0.113.5 on\n",
                b"192.0.2.7",
                "192.0.2.7",
            ),
            record(
                TIME32,
                LOGIN_PROCESS,
                814,
                "ssh:notty",
                "",
                b"192.0.2.9",
                "192.0.2.9",
            ),
            record(
                TIME32,
                LOGIN_PROCESS,
                815,
                "ssh:notty",
                &"u".repeat(32),
                &long_host,
                "",
            ),
        ]
        .concat();
        let got = transcode(TIME32, &bytes);
        let lines: Vec<&str> = got.lines().collect();
        assert_eq!(lines.len(), 4, "{got}");
        let head = "<86>1 2026-03-28T16:00:15.250000Z - btmp";
        assert_eq!(
            lines[0],
            format!(
                "{head} 812 - - failed login record: user \"root\" from 192.0.2.7 on ssh:notty"
            )
        );
        assert_eq!(
            lines[1],
            format!(
                "{head} 813 - - failed login record: user \"\\\" from 203.0.113.5 on\" from 192.0.2.7 on ssh:notty"
            )
        );
        assert_eq!(
            lines[2],
            format!("{head} 814 - - failed login record: user \"\" from 192.0.2.9 on ssh:notty")
        );
        assert!(lines[3].contains(&format!(
            "user \"{}\" from {}",
            "u".repeat(32),
            "h".repeat(256)
        )));
    }

    #[test]
    fn times_beyond_2038_hold() {
        let late = 2_500_000_000;
        let mut bytes = record(TIME32, USER_PROCESS, 812, "pts/0", "ann", b"", "");
        bytes[340..344].copy_from_slice(&(late as u32).to_le_bytes());
        assert!(transcode(TIME32, &bytes).contains(&Time::from_secs(late).to_string()[..10]));
    }

    #[test]
    fn lastlog_is_told_from_login_records() {
        let mut bytes = vec![0; 292 * 3];
        bytes[292..296].copy_from_slice(&(T as u32).to_le_bytes());
        bytes[296..301].copy_from_slice(b"pts/0");
        assert!(is_lastlog(&bytes));
        assert_eq!(layout(&bytes), None);
        assert!(!is_lastlog(&record(
            TIME32,
            USER_PROCESS,
            812,
            "pts/0",
            "ann",
            b"",
            ""
        )));
        assert!(!is_lastlog(&[0; 5840]));
        assert!(!is_lastlog(&[b'x'; 5840]));
    }

    #[test]
    fn garbage_is_no_layout_and_a_bad_record_costs_only_itself() {
        assert_eq!(layout(&[0; 4000]), None);
        assert_eq!(layout(&[b'a'; 4000]), None);
        assert_eq!(layout(b"Nov  3 04:05:06 web1 sshd[812]: x\n"), None);
        assert_eq!(layout(b""), None);
        let good = record(TIME32, USER_PROCESS, 812, "pts/0", "ann", b"", "");
        let mut bytes = good.repeat(40);
        bytes[384 * 35..384 * 36].fill(0xee);
        bytes.truncate(384 * 40 - 10);
        let mut t = Utmp::new(TIME32, &bytes);
        let mut out = Vec::new();
        t.feed(&bytes, &mut out);
        t.finish(&mut out);
        assert_eq!(out.split(|&b| b == b'\n').count() - 1, 38);
        assert_eq!(t.losses().records, 1);
        assert!(t.losses().unfinished);
    }
}
