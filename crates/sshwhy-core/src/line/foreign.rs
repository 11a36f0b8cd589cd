//! Envelopes of systems that write neither of the two usual forms: macOS, Apple System Log, AIX, hashes of Ruby programs.

use super::cursor::{Cursor, number};
use super::json::json_time;
use super::{Line, Program};
use memchr::{memchr, memmem};

/// `log show` on macOS: `thread type activity pid ttl process: message`, or with `--style compact`: `type process[pid:thread] message`.
/// A library and a subsystem may stand in front of the message.
pub(super) fn macos<'a>(cur: &mut Cursor<'a>, line: &mut Line<'a>) -> bool {
    let start = cur.at;
    let found = if cur.rest().starts_with(b"0x") {
        columns(cur)
    } else {
        compact(cur)
    };
    let Some((ident, pid, message)) = found.filter(|f| Program::of(f.0) != Program::Other) else {
        cur.at = start;
        return false;
    };
    line.pid = Some(pid);
    line.ident = ident;
    line.program = Program::of(ident);
    line.message = after_sender(message);
    true
}

fn columns<'a>(cur: &mut Cursor<'a>) -> Option<(&'a [u8], u32, &'a [u8])> {
    let mut pid = None;
    // Thread, type, activity, pid, ttl.
    for column in 0..5 {
        let word = cur.word();
        cur.spaces();
        if column == 3 {
            pid = number(word).map(|n| n.0);
        }
    }
    let colon = memchr(b':', cur.rest())?;
    let ident = cur.rest().get(..colon)?;
    let message = cur.rest().get(colon + 1..)?;
    Some((ident, pid?, message.strip_prefix(b" ").unwrap_or(message)))
}

fn compact<'a>(cur: &mut Cursor<'a>) -> Option<(&'a [u8], u32, &'a [u8])> {
    if !matches!(
        cur.word(),
        b"I" | b"Df" | b"Db" | b"E" | b"F" | b"A" | b"Ac" | b"Ev"
    ) {
        return None;
    }
    cur.spaces();
    let tag = cur.word().strip_suffix(b"]")?;
    let open = memchr(b'[', tag)?;
    let numbers = tag.get(open + 1..)?;
    let (pid, len) = number(numbers)?;
    (numbers.get(len) == Some(&b':')).then_some((tag.get(..open)?, pid, cur.rest()))
}

/// Without `(library) ` and `[subsystem:category] `; no message of ours begins like that.
pub(super) fn after_sender(message: &[u8]) -> &[u8] {
    let within = |text: &[u8], open: u8, close: u8| -> Option<usize> {
        let end = memchr(close, text.get(..96.min(text.len()))?)?;
        (text.first() == Some(&open)
            && memchr(b' ', text.get(..end)?).is_none()
            && text.get(end + 1) == Some(&b' '))
        .then_some(end + 2)
    };
    let mut text = message;
    if let Some(rest) = within(text, b'(', b')').and_then(|n| text.get(n..)) {
        text = rest;
    }
    match within(text, b'[', b']').and_then(|n| Some((text.get(..n)?, text.get(n..)?))) {
        Some((sender, rest)) if memchr(b':', sender).is_some() => rest,
        _ => text,
    }
}

/// `[ASLMessageID 9] [Time 1793678706] [PID 812] [Host mac] [Sender sshd] [Message …]`, as `syslog -F raw` writes.
pub(super) fn asl<'a>(text: &'a [u8]) -> Option<Line<'a>> {
    if !text.starts_with(b"[ASLMessageID ") {
        return None;
    }
    let at = memmem::find(text, b" [Message ")?;
    let head = text.get(..at)?;
    let field = |key: &[u8]| -> Option<&'a [u8]> {
        let from = memmem::find(head, key)? + key.len();
        let rest = head.get(from..)?;
        rest.get(..memchr(b']', rest)?)
    };
    // What the client chose may hold brackets; what ASL writes behind the message begins with a word in capitals.
    let message = text.get(at + 10..)?;
    let ident = field(b" [Sender ")?;
    Some(Line {
        time: field(b" [Time ").and_then(json_time),
        host: field(b" [Host ").unwrap_or_default(),
        ident,
        program: Program::of(ident),
        pid: field(b" [PID ").and_then(number).map(|n| n.0),
        message: message.strip_suffix(b"]").unwrap_or(message),
        repeat: 1,
        ..Line::default()
    })
}

/// Whether a word is `auth|security:info`, as AIX puts it between host and program.
pub(super) fn is_aix_level(
    word: &[u8],
    facility: fn(&[u8]) -> bool,
    level: fn(&[u8]) -> bool,
) -> bool {
    memchr(b':', word).is_some_and(|colon| {
        let (facilities, rest) = word.split_at(colon);
        facilities.split(|b| *b == b'|').all(facility) && rest.get(1..).is_some_and(level)
    })
}

/// The hash that a Ruby program printed (`{"log"=>"…"}`, Fluent Bit's standard output) as JSON; the arrow is looked for outside
/// of strings only. `None` where none stands in the text.
pub(super) fn ruby_hash(text: &[u8]) -> Option<Vec<u8>> {
    let open = memchr(b'{', text)?;
    let arrow = memmem::find(text, b"\"=>")?;
    // `[0] auth: [[1793678706.1, {}], {"log"=>…}]`: the last hash is the record.
    let from = memchr::memrchr(b'{', text.get(..arrow)?)?.max(open);
    let mut out = Vec::with_capacity(text.len());
    let (mut string, mut escaped, mut depth) = (false, false, 0i32);
    let rest = text.get(from..)?;
    let mut i = 0;
    while let Some(b) = rest.get(i).copied() {
        if string {
            out.push(b);
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => string = false,
                _ => {}
            }
        } else if b == b'=' && rest.get(i + 1) == Some(&b'>') {
            out.push(b':');
            i += 1;
        } else {
            string = b == b'"';
            depth += i32::from(b == b'{') - i32::from(b == b'}');
            out.push(b);
            if depth == 0 {
                break;
            }
        }
        i += 1;
    }
    (depth == 0).then_some(out)
}

/// When Fluent Bit says a record happened: `[0] auth: [[1793678706.123456789, {}], …`.
pub(super) fn ruby_time(text: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(text.get(..128.min(text.len()))?, b": [")? + 3;
    let rest = text.get(at..)?;
    let rest = rest.strip_prefix(b"[").unwrap_or(rest);
    let digits = rest
        .iter()
        .position(|b| !(b.is_ascii_digit() || *b == b'.'))?;
    rest.get(..digits).filter(|d| d.len() >= 10)
}

/// A line of `last` or `lastb` (`root     ssh:notty    192.0.2.7     Tue Nov  3 04:05:06 2026 - …`), in the words that their files
/// get: [`crate::transcode::utmp`]. Without `-F` the line has no year and no seconds, and the lines go back in time: then none is
/// given. False when it is no such line.
pub(super) fn login_record(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut words = text.split(|b| *b == b' ').filter(|w| !w.is_empty());
    let (Some(user), Some(terminal), Some(from)) = (words.next(), words.next(), words.next())
    else {
        return false;
    };
    let failed = matches!(terminal, b"ssh:notty" | b"ssh" | b"sshd");
    let pty = terminal
        .strip_prefix(b"pts/")
        .is_some_and(|n| number(n).is_some());
    if !(failed || pty) || !text.starts_with(user) {
        return false;
    }
    let Some(when) = words.next().and_then(|w| memmem::rfind(text, w).map(|_| w)) else {
        return false;
    };
    // Where the fourth word begins.
    let at = (when.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    let rest = text.get(at..).unwrap_or_default();
    let mut cur = Cursor::new(rest);
    let weekday = super::stamp::weekday(rest);
    if weekday {
        cur.word();
    }
    let mut dated = cur.clone();
    let stamp = match super::stamp::rfc3164(&mut dated) {
        Some((_, true)) => dated.text.get(..dated.at),
        _ => {
            let mut iso = cur.clone();
            super::stamp::iso(&mut iso)
                .map(|_| iso.word())
                .and_then(|_| rest.split(|b| *b == b' ').next())
        }
    };
    if !weekday && stamp.is_none() {
        return false;
    }
    out.clear();
    if let Some(stamp) = stamp {
        out.extend_from_slice(stamp);
        out.push(b' ');
    }
    out.extend_from_slice(if failed {
        b"btmp: failed login record: user \""
    } else {
        b"wtmp: login record: user \""
    });
    out.extend_from_slice(user);
    out.extend_from_slice(b"\" from ");
    out.extend_from_slice(from);
    out.extend_from_slice(b" on ");
    out.extend_from_slice(terminal);
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::{LineParser, Years};
    use super::*;
    use crate::time::Zone;

    const MESSAGE: &str = "Failed password for root from 192.0.2.7 port 50122 ssh2";
    const TIME: &str = "2026-11-03T04:05:06Z";

    /// Program, time, pid and message, in the zone of UTC and the year 2026.
    fn parse(raw: &str) -> (Program, String, Option<u32>, String) {
        let zone = Zone::utc();
        let mut scratch = Vec::new();
        let mut parser = LineParser::new(&zone, Years::starting(2026));
        let line = parser.parse(raw.as_bytes(), &mut scratch);
        (
            line.program,
            line.time.map_or("-".to_owned(), |t| t.to_string()),
            line.pid,
            String::from_utf8_lossy(line.message).into_owned(),
        )
    }

    #[test]
    fn envelopes_of_other_systems_come_off() {
        for envelope in [
            // AIX
            "Nov  3 04:05:06 aix1 auth|security:info sshd[812]: §",
            "Nov  3 04:05:06 Message forwarded from aix1: sshd[812]: §",
            "Nov  3 04:05:06 10.0.0.5 auth|security:info Message forwarded from aix1: sshd[812]: §",
            // Apple System Log
            "Nov  3 04:05:06 mac sshd[812] <Info>: §",
            "[ASLMessageID 9] [Time 1793678706] [Level 6] [PID 812] [UID 0] [Host mac] [Sender sshd] [Facility auth] [Message §]",
            // macOS
            "2026-11-03 04:05:06+0000 0x1a2b     Info        0x0                  812    0    sshd: (sshd) §",
            "2026-11-03 04:05:06+0000 0x1a2b     Info        0x0                  812    0    sshd: (libxpc.dylib) [com.openssh:auth] §",
            "2026-11-03 04:05:06 I  sshd[812:1a2b] §",
            "2026-11-03 04:05:06 Df sshd[812:1a2b] (sshd) §",
            "2026-11-03 04:05:06+0000  localhost sshd[812]: (sshd) §",
            // F5, Junos
            "Nov  3 04:05:06 bigip1 info sshd[812]: §",
            "Nov  3 04:05:06  mx1 sshd[812]: %AUTH-6: §",
            // Another priority behind a relay's stamp; no priority where there was one
            "2026-11-03T04:05:07Z relay1 <38>Nov  3 04:05:06 web1 sshd[812]: §",
            "1 2026-11-03T04:05:06Z web1 sshd 812 - - §",
            // OSSEC, Kiwi, tabs
            "2026 Nov 03 04:05:07 (web1) 10.0.0.5->/var/log/auth.log Nov  3 04:05:06 web1 sshd[812]: §",
            "2026-11-03 04:05:06\tAuth.Info\t10.0.0.5\tsshd[812]: §",
            "Nov  3 04:05:06\tweb1\tsshd[812]:\t§",
            // Fluentd, Fluent Bit
            "2026-11-03T04:05:06+00:00\tsystem.auth\t{\"host\":\"web1\",\"ident\":\"sshd\",\"pid\":\"812\",\"message\":\"§\"}",
            "[0] auth: [[1793678706.000000000, {}], {\"host\"=>\"web1\", \"ident\"=>\"sshd\", \"pid\"=>\"812\", \"message\"=>\"§\"}]",
            "[0] tail.0: [1793678709.000000000, {\"log\"=>\"Nov  3 04:05:06 web1 sshd[812]: §\"}]",
            // Tables whose first cell is quoted, or is a word; the program behind the message
            "\"Nov  3 04:05:06 web1 sshd[812]: §\",\"2026-11-03T04:05:09Z\",web1,main",
            "\"t-1\",Linux,\"11/3/2026, 4:05:06.000 AM\",web1,auth,\"§\",812,10.0.0.5,sshd,Syslog",
            "Information,11/3/2026 4:05:06 AM,OpenSSH,4,None,sshd[812]: §",
            // Dates in other orders
            "11/13/2026 04:05:06 web1 sshd[812]: §",
            "13.11.2026 04:05:06 web1 sshd[812]: §",
            "[03/Nov/2026:05:05:06 +0100] web1 sshd[812]: §",
            "03-Nov-2026 04:05:06 web1 sshd[812]: §",
            "3 Nov 2026 04:05:06 web1 sshd[812]: §",
            "Tue, 03 Nov 2026 05:05:06 +0100 web1 sshd[812]: §",
            "2026:11:03-04:05:06 utm1 sshd[812]: §",
            "1793678706000 web1 sshd[812]: §",
            // Cygwin, NX-OS, a table parted by semicolons, a list, PowerShell's table, Fluentd's standard output
            "Nov  3 04:05:06 win1 sshd: PID 812: §",
            "2026 Nov  3 04:05:06 nx1 %DAEMON-3-SYSTEM_MSG: § - sshd[812]",
            "Nov  3 04:05:06 nx1 %AUTHPRIV-6-SYSTEM_MSG: § - sshd[812]",
            "\"2026-11-03T04:05:06Z\";\"web1\";\"sshd\";\"812\";\"§\"",
            "Informationen,03.11.2026 04:05:06,OpenSSH,4,Keine,sshd[812]: §",
            "        \"Nov  3 04:05:06 web1 sshd[812]: §\",",
            "11/3/2026 4:05:06 AM             4 Information      sshd[812]: §",
            "2026-11-03 05:05:06.000000000 +0100 system.auth: {\"host\": \"web1\",\"ident\":\"sshd\",\"pid\":\"812\",\"message\":\"§\"}",
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='OpenSSH'/><TimeCreated SystemTime='2026-11-03T04:05:06Z'/><Execution ProcessID='812' ThreadID='1'/><Computer>W</Computer></System><EventData><Data Name='process'>sshd</Data><Data Name='payload'>§</Data></EventData></Event>",
        ] {
            let raw = envelope.replace('§', MESSAGE);
            let (program, time, pid, message) = parse(&raw);
            assert_eq!(program, Program::Sshd, "{raw}");
            assert_eq!(message, MESSAGE, "{raw}");
            assert_eq!(pid, Some(812), "{raw}");
            assert_eq!(time.replace("11-13", "11-03"), TIME, "{raw}");
        }
    }

    #[test]
    fn what_carries_less_gives_what_it_has() {
        for (raw, program, time) in [
            (
                format!("[12345.123456 <    3.000000 >] web1 sshd[812]: {MESSAGE}"),
                Program::Sshd,
                "-",
            ),
            (
                format!("Message      : sshd: {MESSAGE}"),
                Program::Sshd,
                "-",
            ),
            (
                format!("\"sshd: {MESSAGE}\",\"4\",\"OpenSSH\",\"11/3/2026 4:05:06 AM\""),
                Program::Sshd,
                TIME,
            ),
            (
                format!("2026-11-03T04:05:06Z com.example=a,env=prod {MESSAGE}"),
                Program::Bare,
                TIME,
            ),
            (format!("sshd-0 sshd {MESSAGE}"), Program::Bare, "-"),
            (
                format!("sshd-0 sshd 2026-11-03T04:05:06Z {MESSAGE}"),
                Program::Bare,
                TIME,
            ),
            // Which number is the month?
            (
                format!("03/11/2026 04:05:06 web1 sshd[812]: {MESSAGE}"),
                Program::Sshd,
                "-",
            ),
            (
                format!("11/11/2026 04:05:06 web1 sshd[812]: {MESSAGE}"),
                Program::Sshd,
                "2026-11-11T04:05:06Z",
            ),
        ] {
            let got = parse(&raw);
            assert_eq!(
                (got.0, got.1.as_str(), got.3.as_str()),
                (program, time, MESSAGE),
                "{raw}"
            );
        }
        // Neither a pod nor labels: the message's own words.
        for raw in [
            "Starting session: shell on pts/0 for ssh from 192.0.2.7 port 1",
            "2026-11-03T04:05:06Z Invalid user a=b from 192.0.2.7 port 1",
            "kex_exchange_identification: sshd x",
        ] {
            let message = raw.strip_prefix("2026-11-03T04:05:06Z ").unwrap_or(raw);
            assert_eq!(parse(raw).3, message);
        }
    }

    #[test]
    fn last_and_lastb_say_what_their_files_say() {
        let failed = "failed login record: user \"root\" from 192.0.2.7 on ssh:notty";
        for (raw, time, message) in [
            (
                "root     ssh:notty    192.0.2.7        Tue Nov  3 04:05 - 04:05  (00:00)",
                "-",
                failed,
            ),
            (
                "root     ssh:notty    192.0.2.7        Tue Nov  3 04:05:06 2026 - Tue Nov  3 04:05:06 2026  (00:00)",
                TIME,
                failed,
            ),
            (
                "root     ssh:notty    192.0.2.7        2026-11-03T04:05:06+00:00 - 2026-11-03T04:05:06+00:00  (00:00)",
                TIME,
                failed,
            ),
            (
                "ann      pts/0        192.0.2.7        Tue Nov  3 04:05   still logged in",
                "-",
                "login record: user \"ann\" from 192.0.2.7 on pts/0",
            ),
        ] {
            let got = parse(raw);
            assert_eq!(
                (got.0, got.1.as_str(), got.3.as_str()),
                (Program::Platform, time, message),
                "{raw}"
            );
        }
        for raw in [
            "reboot   system boot  6.1.0-13-amd64   Mon Nov  2 09:00   still running",
            "btmp begins Tue Nov  3 04:05:06 2026",
            "user ssh is not Tue Nov",
        ] {
            assert_ne!(parse(raw).0, Program::Platform, "{raw}");
        }
    }

    #[test]
    fn a_client_cannot_begin_a_line_in_these_either() {
        let forged =
            "Nov  3 04:05:06 web1 sshd[1]: Accepted password for root from 192.0.2.9 port 22 ssh2";
        for around in [
            "2026-11-03T04:05:07Z Invalid user \t¶ from 192.0.2.7 port 50122",
            "Invalid user a->/x ¶ from 192.0.2.7 port 50122",
            "2026-11-03T04:05:07Z Invalid user {\"log\"=>\"¶\"} from 192.0.2.7 port 50122",
            "Invalid user {\"log\"=>\"¶\"} from 192.0.2.7 port 50122",
        ] {
            let raw = around.replace('¶', forged);
            let message = raw.strip_prefix("2026-11-03T04:05:07Z ").unwrap_or(&raw);
            let got = parse(&raw);
            assert_eq!((got.0, got.3.as_str()), (Program::Bare, message), "{raw}");
        }
        // NX-OS: the program is the one at the very end.
        let user = "2026 Nov  3 04:05:06 nx1 %DAEMON-3-SYSTEM_MSG: Invalid user x - sshd[1] from 192.0.2.7 port 1 - cron[2]";
        assert_ne!(parse(user).0, Program::Sshd);
        // The program that a table names counts, and not what a client put behind a comma.
        let row = "Information,11/3/2026 4:05:06 AM,OpenSSH,4,None,sshd: Invalid user a,sshd: Accepted password for root from 192.0.2.9 port 22 ssh2";
        assert_eq!(parse(row).3, "Invalid user a");
    }
}
