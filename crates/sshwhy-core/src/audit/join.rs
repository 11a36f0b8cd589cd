//! Joins records to events: all records with one time and serial are about one system call.
//!
//! Records of an event usually stand together, but events of different processors interleave, and a damaged or merged log has
//! them anywhere. [`OPEN`] events are open at once; what is incomplete when it has to go waits among [`WAITING`] others for
//! its missing half.

use super::record::{Kind, Record, sockaddr};
use crate::time::Time;
use hashbrown::HashMap;
use memchr::memchr;
use std::collections::VecDeque;
use std::net::IpAddr;

/// What a system call does, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Call {
    Connect,
    Exec,
    /// fork, vfork, clone, clone3: `exit` is the child, as the caller's pid namespace numbers it.
    Fork,
    /// Another one, or not known.
    #[default]
    Other,
}

impl Call {
    /// By architecture (AUDIT_ARCH_*) and number, from the kernel's syscall tables.
    fn of(arch: &[u8], number: u32, a0: &[u8]) -> Call {
        let (connect, exec, execat, forks): (u32, u32, u32, [u32; 3]) = match arch {
            b"c000003e" => (42, 59, 322, [56, 57, 58]),
            // aarch64, riscv64, loongarch64: the generic table
            b"c00000b7" | b"c00000f3" | b"c0000102" => (203, 221, 281, [220, 220, 220]),
            // i386: old libraries connect through socketcall(SYS_CONNECT = 3)
            b"40000003" if number == 102 && a0 == b"3" => return Call::Connect,
            b"40000003" => (362, 11, 358, [2, 120, 190]),
            b"40000028" => (283, 11, 387, [2, 120, 190]),
            b"c0000015" | b"80000015" => (328, 11, 362, [2, 120, 189]),
            b"80000016" => (362, 11, 354, [2, 120, 190]),
            _ => return Call::Other,
        };
        if number == connect {
            Call::Connect
        } else if number == exec || number == execat {
            Call::Exec
        } else if forks.contains(&number) || number == 435 {
            Call::Fork
        } else {
            Call::Other
        }
    }

    fn named(name: &[u8]) -> Call {
        match name {
            b"connect" => Call::Connect,
            b"execve" | b"execveat" => Call::Exec,
            b"fork" | b"vfork" | b"clone" | b"clone3" => Call::Fork,
            _ => Call::Other,
        }
    }
}

/// Bytes of arguments kept for one execution; the kernel allows megabytes.
pub const MAX_ARGV: usize = 4096;
/// Arguments kept for one execution.
const MAX_ARGS: usize = 128;

/// One system call with what its records say.
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub time: Time,
    pub serial: u64,
    pub call: Call,
    /// It has its SYSCALL record.
    pub has_syscall: bool,
    pub exit: i64,
    pub pid: u32,
    pub ppid: u32,
    pub uid: u32,
    /// The login that it descends from; `u32::MAX`: none (daemons, containers).
    pub auid: u32,
    pub comm: Vec<u8>,
    pub exe: Vec<u8>,
    /// The container's id, where the record says so: `trace arm` writes it, the kernel does not.
    pub container: Vec<u8>,
    pub to: Option<(IpAddr, u16)>,
    /// A SOCKADDR record came, of whatever family.
    pub has_sockaddr: bool,
    /// Arguments by number, in the order in which they came.
    args: Vec<(u16, Vec<u8>)>,
    args_bytes: usize,
    has_execve: bool,
}

impl Event {
    fn reset(&mut self, time: Time, serial: u64) {
        let mut comm = std::mem::take(&mut self.comm);
        let mut exe = std::mem::take(&mut self.exe);
        let mut container = std::mem::take(&mut self.container);
        let mut args = std::mem::take(&mut self.args);
        container.clear();
        comm.clear();
        exe.clear();
        args.clear();
        *self = Event {
            time,
            serial,
            comm,
            exe,
            container,
            args,
            uid: u32::MAX,
            auid: u32::MAX,
            ..Event::default()
        };
    }

    fn is_complete(&self) -> bool {
        self.has_syscall
            && match self.call {
                Call::Connect => self.has_sockaddr,
                Call::Exec => self.has_execve,
                Call::Fork | Call::Other => true,
            }
    }

    fn is_of_use(&self) -> bool {
        self.has_sockaddr || self.has_execve || (self.has_syscall && self.call != Call::Other)
    }

    /// The arguments, in order, lossily as text. Empty where no EXECVE record came.
    pub fn argv(&self) -> Vec<String> {
        let mut order: Vec<usize> = (0..self.args.len()).collect();
        order.sort_by_key(|i| self.args.get(*i).map(|a| a.0));
        order
            .into_iter()
            .filter_map(|i| self.args.get(i))
            .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    fn merge(&mut self, other: Event) {
        if other.has_syscall && !self.has_syscall {
            self.has_syscall = true;
            self.call = other.call;
            self.exit = other.exit;
            self.pid = other.pid;
            self.ppid = other.ppid;
            self.uid = other.uid;
            self.auid = other.auid;
            self.comm = other.comm;
            self.exe = other.exe;
            self.container = other.container;
        }
        if other.has_sockaddr {
            self.has_sockaddr = true;
            self.to = self.to.or(other.to);
        }
        self.has_execve |= other.has_execve;
        for (n, bytes) in other.args {
            self.arg(n, &bytes);
        }
    }

    fn arg(&mut self, number: u16, bytes: &[u8]) {
        let room = MAX_ARGV.saturating_sub(self.args_bytes);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        self.args_bytes += bytes.len();
        if let Some((_, known)) = self.args.iter_mut().find(|(n, _)| *n == number) {
            known.extend_from_slice(bytes);
        } else if self.args.len() < MAX_ARGS {
            self.args.push((number, bytes.to_vec()));
        }
    }

    fn take_in(&mut self, record: &Record<'_>) {
        match record.kind {
            Kind::Syscall => self.syscall(record),
            Kind::Sockaddr => {
                self.has_sockaddr = true;
                for (key, value) in record.fields() {
                    if key == b"saddr" {
                        self.to = self.to.or_else(|| sockaddr(&value));
                    }
                }
            }
            Kind::Execve => {
                self.has_execve = true;
                for (key, value) in record.fields() {
                    if let Some(number) = arg_number(key)
                        && let Some(text) = record.text(&value)
                    {
                        self.arg(number, &text);
                    }
                }
            }
            Kind::Proctitle | Kind::Eoe | Kind::Other => {}
        }
    }

    fn syscall(&mut self, record: &Record<'_>) {
        self.has_syscall = true;
        let (mut arch, mut number, mut a0) = (&b""[..], None, &b""[..]);
        for (key, value) in record.fields() {
            match key {
                b"arch" => arch = value.raw,
                b"syscall" => match value.u32() {
                    Some(n) => number = Some(n),
                    None => self.call = Call::named(value.raw),
                },
                b"a0" => a0 = value.raw,
                b"exit" => {
                    self.exit = value.i64().unwrap_or(match value.raw {
                        raw if raw.starts_with(b"EINPROGRESS") => -115,
                        raw if raw.starts_with(b"ECONNREFUSED") => -111,
                        _ => 0,
                    });
                }
                b"pid" => self.pid = value.u32().unwrap_or(0),
                b"ppid" => self.ppid = value.u32().unwrap_or(0),
                b"uid" => self.uid = value.u32().unwrap_or(u32::MAX),
                b"auid" => self.auid = value.u32().unwrap_or(u32::MAX),
                b"comm" => set(&mut self.comm, record.text(&value).as_deref()),
                b"container" => set(&mut self.container, record.text(&value).as_deref()),
                b"exe" => {
                    set(&mut self.exe, record.text(&value).as_deref());
                    // Nothing that follows is needed.
                    break;
                }
                _ => {}
            }
        }
        if let Some(number) = number {
            self.call = Call::of(arch, number, a0);
        }
    }
}

fn set(place: &mut Vec<u8>, text: Option<&[u8]>) {
    place.clear();
    place.extend_from_slice(text.unwrap_or_default());
}

/// `a0`, `a12`, `a3[0]` → the argument's number; not `a3_len`, not `argc`.
fn arg_number(key: &[u8]) -> Option<u16> {
    let digits = key.strip_prefix(b"a")?;
    let digits = match memchr(b'[', digits) {
        Some(bracket) => digits.get(..bracket)?,
        None => digits,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Events that may be open at once before the oldest is let go.
pub const OPEN: usize = 64;
/// Incomplete events that wait for their other half.
pub const WAITING: usize = 65_536;

/// Joins the records of one stream.
#[derive(Debug, Default)]
pub struct Joiner {
    open: VecDeque<Event>,
    spare: Vec<Event>,
    waiting: HashMap<(Time, u64), Event>,
    /// The keys in `waiting`, oldest first; some may be gone already.
    order: VecDeque<(Time, u64)>,
    /// Events that never got their other half.
    pub incomplete: u64,
}

impl Joiner {
    /// Takes in a record; hands out the events that are over because of it.
    pub fn push(&mut self, record: &Record<'_>, out: &mut impl FnMut(&Event)) {
        let interesting = matches!(
            record.kind,
            Kind::Syscall | Kind::Execve | Kind::Sockaddr | Kind::Eoe
        );
        if !interesting {
            return;
        }
        let at = self
            .open
            .iter()
            .rposition(|e| e.serial == record.serial && e.time == record.time);
        if record.kind == Kind::Eoe {
            if let Some(event) = at.and_then(|at| self.open.remove(at)) {
                self.let_go(event, out);
            }
            return;
        }
        match at.and_then(|at| self.open.get_mut(at)) {
            Some(event) => event.take_in(record),
            None => {
                if self.open.len() >= OPEN
                    && let Some(oldest) = self.open.pop_front()
                {
                    self.let_go(oldest, out);
                }
                let mut event = self.spare.pop().unwrap_or_default();
                event.reset(record.time, record.serial);
                event.take_in(record);
                self.open.push_back(event);
            }
        }
    }

    fn let_go(&mut self, mut event: Event, out: &mut impl FnMut(&Event)) {
        if !event.is_complete() {
            if !event.is_of_use() {
                self.spare.push(event);
                return;
            }
            let key = (event.time, event.serial);
            match self.waiting.remove(&key) {
                Some(other) => event.merge(other),
                None => {
                    self.waiting.insert(key, event);
                    self.order.push_back(key);
                    if self.order.len() > WAITING
                        && let Some(old) = self.order.pop_front()
                        && let Some(event) = self.waiting.remove(&old)
                    {
                        self.incomplete += 1;
                        out(&event);
                    }
                    return;
                }
            }
            if !event.is_complete() {
                self.waiting.insert(key, event);
                return;
            }
        }
        out(&event);
        self.spare.push(event);
    }

    /// The end of the stream: everything still open goes out, complete or not.
    pub fn finish(mut self, out: &mut impl FnMut(&Event)) -> u64 {
        while let Some(event) = self.open.pop_front() {
            self.let_go(event, out);
        }
        for key in std::mem::take(&mut self.order) {
            if let Some(event) = self.waiting.remove(&key) {
                self.incomplete += 1;
                out(&event);
            }
        }
        self.incomplete
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Reader;
    use super::*;
    use crate::time::Zone;

    fn events(lines: &[String]) -> (Vec<Event>, u64) {
        let mut reader = Reader::new(Zone::utc());
        let mut joiner = Joiner::default();
        let mut out = Vec::new();
        for line in lines {
            if let Some(r) = reader.record(line.as_bytes()) {
                joiner.push(&r, &mut |e: &Event| out.push(e.clone()));
            }
        }
        let incomplete = joiner.finish(&mut |e: &Event| out.push(e.clone()));
        (out, incomplete)
    }

    fn connect(serial: u64, pid: u32) -> Vec<String> {
        let stamp = format!("msg=audit(1680019215.{:03}:{serial})", serial % 1000);
        vec![
            format!(
                "type=SYSCALL {stamp}: arch=c000003e syscall=42 success=no exit=-115 a0=3 a1=7f items=0 ppid=1 pid={pid} auid=4294967295 uid=0 comm=\"ssh\" exe=\"/usr/bin/ssh\" key=\"x\""
            ),
            format!(
                "type=SOCKADDR {stamp}: saddr=02000016C0000201000000000000{:04X}",
                serial % 1000
            ),
            format!("type=PROCTITLE {stamp}: proctitle=737368"),
        ]
    }

    #[test]
    fn interleaved_and_scattered_records_find_their_event() {
        let a = connect(1001, 11);
        let b = connect(1002, 12);
        let mut lines: Vec<String> = a
            .iter()
            .zip(&b)
            .flat_map(|(x, y)| [x.clone(), y.clone()])
            .collect();
        // The two halves of one event, more than OPEN events apart, in the wrong order.
        let far = connect(1003, 13);
        lines.insert(0, far[1].clone());
        for i in 0..200 {
            lines.extend(connect(2000 + i, 20));
        }
        lines.push(far[0].clone());
        let (events, incomplete) = events(&lines);
        assert_eq!(events.len(), 203);
        assert_eq!(incomplete, 0);
        for (serial, pid) in [(1001, 11), (1002, 12), (1003, 13)] {
            let e = events.iter().find(|e| e.serial == serial).unwrap();
            assert_eq!((e.pid, e.call, e.exit), (pid, Call::Connect, -115));
            assert_eq!(e.to.unwrap().1, 22);
            assert_eq!(e.auid, u32::MAX);
        }
    }

    #[test]
    fn halves_that_never_meet_are_counted_and_handed_out() {
        let lines = vec![connect(1, 1)[1].clone(), connect(2, 2)[0].clone()];
        let (events, incomplete) = events(&lines);
        assert_eq!(incomplete, 2);
        assert_eq!(events.len(), 2);
        assert!(events.iter().any(|e| !e.has_syscall && e.to.is_some()));
        assert!(events.iter().any(|e| e.has_syscall && e.to.is_none()));
    }

    #[test]
    fn same_serial_at_another_time_is_another_event() {
        let mut lines = connect(7, 1);
        lines.extend(
            connect(7, 2)
                .iter()
                .map(|l| l.replace("1680019215", "1680019999")),
        );
        let (events, _) = events(&lines);
        assert_eq!(events.iter().map(|e| e.pid).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn arguments_are_put_together_from_pieces_and_records() {
        let s = "msg=audit(1.000:5)";
        let long = "61".repeat(3000);
        let lines = vec![
            format!(
                "type=SYSCALL {s}: arch=c000003e syscall=59 success=yes exit=0 ppid=3 pid=4 auid=0 uid=0 comm=\"sh\" exe=\"/bin/dash\""
            ),
            format!("type=EXECVE {s}: argc=4 a0=\"sh\" a1=\"-c\" a2_len=3000 a2[0]={long}"),
            format!("type=EXECVE {s}: a2[1]=62622063 a3=\"x\""),
        ];
        let (events, _) = events(&lines);
        let argv = events[0].argv();
        assert_eq!(argv.len(), 4);
        assert_eq!(argv[1], "-c");
        assert!(argv[2].starts_with("aaa") && argv[2].ends_with("bb c"));
        assert_eq!(argv[2].len(), 3004);
        assert_eq!(argv[3], "x");
    }

    #[test]
    fn endless_arguments_take_bounded_room() {
        let s = "msg=audit(1.000:5)";
        let mut lines = vec![format!(
            "type=SYSCALL {s}: arch=c00000b7 syscall=221 pid=4 ppid=3 comm=\"x\" exe=\"/x\""
        )];
        for i in 0..2000 {
            lines.push(format!("type=EXECVE {s}: a{i}={}", "62".repeat(500)));
        }
        let (events, _) = events(&lines);
        assert_eq!(events[0].call, Call::Exec);
        let argv = events[0].argv();
        assert!(argv.len() <= MAX_ARGS && argv.iter().map(String::len).sum::<usize>() <= MAX_ARGV);
    }

    #[test]
    fn calls_by_architecture() {
        assert_eq!(Call::of(b"c000003e", 42, b"3"), Call::Connect);
        assert_eq!(Call::of(b"c00000b7", 203, b"3"), Call::Connect);
        assert_eq!(Call::of(b"c00000b7", 42, b"3"), Call::Other);
        assert_eq!(Call::of(b"40000003", 102, b"3"), Call::Connect);
        assert_eq!(Call::of(b"40000003", 102, b"2"), Call::Other);
        assert_eq!(Call::of(b"c000003e", 435, b""), Call::Fork);
        assert_eq!(Call::named(b"execveat"), Call::Exec);
    }

    #[test]
    fn ausearch_text_reads_as_the_raw_log_does() {
        let text = "----\ntime->Tue Mar 28 16:00:15 2023\n\
            type=PROCTITLE msg=audit(28/03/2023 16:00:15.123:9) : proctitle=ssh ops@192.0.2.1\n\
            type=SOCKADDR msg=audit(28/03/2023 16:00:15.123:9) : saddr={ saddr_fam=inet laddr=192.0.2.1 lport=22 }\n\
            type=SYSCALL msg=audit(28/03/2023 16:00:15.123:9) : arch=x86_64 syscall=connect success=no exit=EINPROGRESS(Operation now in progress) a0=0x3 ppid=812 pid=4214 auid=unset uid=root comm=ssh exe=/usr/bin/ssh key=SSH";
        let (events, _) = events(&text.lines().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(events.len(), 1);
        let e = &events[0];
        assert_eq!(
            (e.pid, e.ppid, e.call, e.exit),
            (4214, 812, Call::Connect, -115)
        );
        assert_eq!(e.exe, b"/usr/bin/ssh");
        assert_eq!(e.to.unwrap().0.to_string(), "192.0.2.1");
        assert_eq!(e.time.to_string(), "2023-03-28T16:00:15.123000Z");
    }
}
