//! What is kept of an audit log: every connect to an address, and what is known of each process and when. Bounded.
//!
//! Texts (program, executable, arguments) are kept once. Past a limit, connects to other ports than the watched one are dropped
//! first, then whatever comes later; what was dropped is counted.

use super::join::{Call, Event, Joiner};
use super::record::Reader;
use crate::time::{Time, Zone};
use hashbrown::HashMap;
use memchr::memchr;
use std::net::IpAddr;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// 40 bytes each.
    pub connects: usize,
    /// 40 bytes each.
    pub processes: usize,
    /// Bytes of distinct texts.
    pub texts: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connects: 4_000_000,
            processes: 3_000_000,
            texts: 64 << 20,
        }
    }
}

pub type TextId = u32;

/// One attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connect {
    pub time: Time,
    pub pid: u32,
    pub ppid: u32,
    /// Into [`Facts::destinations`].
    pub to: u32,
    pub comm: TextId,
    pub exe: TextId,
    /// Its container's id, where the record says so.
    pub container: TextId,
    pub login: Login,
}

/// As whom a process ran, and who had logged in before it was started; what no record says is [`u32::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Login {
    pub uid: u32,
    /// The login that it descends from, whatever it became since (auid).
    pub auid: u32,
}

impl Default for Login {
    fn default() -> Login {
        Login {
            uid: u32::MAX,
            auid: u32::MAX,
        }
    }
}

/// What is known of a process from some moment on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    pub time: Time,
    pub pid: u32,
    pub ppid: u32,
    pub comm: TextId,
    pub exe: TextId,
    /// 0: no EXECVE record. Otherwise the arguments, joined by NUL.
    pub argv: TextId,
}

/// Distinct texts by number; 0 is the empty one and stands for what did not fit.
#[derive(Debug)]
pub struct Texts {
    list: Vec<Box<[u8]>>,
    ids: HashMap<Box<[u8]>, TextId>,
    bytes: usize,
    limit: usize,
}

impl Texts {
    fn new(limit: usize) -> Texts {
        Texts {
            list: vec![Box::default()],
            ids: HashMap::new(),
            bytes: 0,
            limit,
        }
    }

    fn id(&mut self, text: &[u8]) -> TextId {
        if text.is_empty() {
            return 0;
        }
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        // The text is there twice, and each place costs about 40 bytes.
        let cost = text.len() * 2 + 80;
        if self.bytes + cost > self.limit {
            return 0;
        }
        self.bytes += cost;
        let id = self.list.len() as TextId;
        self.list.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }

    pub fn text(&self, id: TextId) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.list.get(id as usize).map_or(&b""[..], |t| t))
    }

    /// A list that was joined by NUL.
    pub fn list(&self, id: TextId) -> Vec<String> {
        let text = self.list.get(id as usize).map_or(&b""[..], |t| t);
        if text.is_empty() {
            return Vec::new();
        }
        text.split(|b| *b == 0)
            .map(|t| String::from_utf8_lossy(t).into_owned())
            .collect()
    }
}

/// All of an audit log that `trace` needs.
#[derive(Debug)]
pub struct Facts {
    limits: Limits,
    /// Port that is kept even when there is no room for others.
    port: u16,
    pub connects: Vec<Connect>,
    pub destinations: Vec<(IpAddr, u16)>,
    destination_ids: HashMap<(IpAddr, u16), u32>,
    pub processes: Vec<Process>,
    latest: HashMap<u32, u32>,
    pub texts: Texts,
    pub lines: u64,
    pub records: u64,
    pub bytes: u64,
    /// Times of the first and last record of any kind.
    pub span: Option<(Time, Time)>,
    pub dropped: u64,
    pub incomplete: u64,
}

impl Facts {
    pub fn new(limits: Limits, port: u16) -> Facts {
        Facts {
            limits,
            port,
            connects: Vec::new(),
            destinations: Vec::new(),
            destination_ids: HashMap::new(),
            processes: Vec::new(),
            latest: HashMap::new(),
            texts: Texts::new(limits.texts),
            lines: 0,
            records: 0,
            bytes: 0,
            span: None,
            dropped: 0,
            incomplete: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// One joined event.
    pub fn event(&mut self, e: &Event) {
        if !e.has_syscall || e.pid == 0 {
            return;
        }
        let container = self.texts.id(&e.container);
        let comm = self.texts.id(&e.comm);
        let exe = self.texts.id(&e.exe);
        let argv = if e.call == Call::Exec {
            let argv = e.argv().join("\0");
            self.texts.id(argv.as_bytes())
        } else {
            0
        };
        self.process(Process {
            time: e.time,
            pid: e.pid,
            ppid: e.ppid,
            comm,
            exe,
            argv,
        });
        if e.call == Call::Fork
            && let Ok(child) = u32::try_from(e.exit)
            && child > 0
        {
            self.process(Process {
                time: e.time,
                pid: child,
                ppid: e.pid,
                comm,
                exe,
                argv: 0,
            });
        }
        if let Some((ip, port)) = e.to
            && e.call == Call::Connect
            && port != 0
        {
            self.connect(e, (ip, port), [comm, exe, container]);
        }
    }

    fn connect(&mut self, e: &Event, to: (IpAddr, u16), [comm, exe, container]: [TextId; 3]) {
        let half_full = self.connects.len() >= self.limits.connects / 2;
        if self.connects.len() >= self.limits.connects || (half_full && to.1 != self.port) {
            self.dropped += 1;
            return;
        }
        let id = match self.destination_ids.get(&to) {
            Some(id) => *id,
            None => {
                if self.destinations.len() >= self.limits.connects / 4 {
                    self.dropped += 1;
                    return;
                }
                let id = self.destinations.len() as u32;
                self.destinations.push(to);
                self.destination_ids.insert(to, id);
                id
            }
        };
        self.connects.push(Connect {
            time: e.time,
            pid: e.pid,
            ppid: e.ppid,
            to: id,
            comm,
            exe,
            container,
            login: Login {
                uid: e.uid,
                auid: e.auid,
            },
        });
    }

    /// What is known of a process from somewhere else (a snapshot), or from its last record. Kept where it says something new.
    fn process(&mut self, p: Process) {
        if let Some(last) = self.latest.get(&p.pid)
            && let Some(known) = self.processes.get(*last as usize)
            && known.ppid == p.ppid
            && known.comm == p.comm
            && known.exe == p.exe
            && p.argv == 0
            && p.time >= known.time
        {
            return;
        }
        if self.processes.len() >= self.limits.processes {
            self.dropped += 1;
            return;
        }
        self.latest.insert(p.pid, self.processes.len() as u32);
        self.processes.push(p);
    }

    /// Everything in order of time, once all was read.
    pub fn settle(&mut self) {
        self.latest = HashMap::new();
        self.destination_ids = HashMap::new();
        self.texts.ids = HashMap::new();
        self.connects.sort_by_key(|c| c.time);
        self.processes.sort_by_key(|p| (p.pid, p.time));
    }
}

/// Reads an audit log block by block into [`Facts`].
#[derive(Debug)]
pub struct Intake {
    reader: Reader,
    joiner: Joiner,
    pub facts: Facts,
}

impl Intake {
    /// `zone`: of times that `ausearch -i` wrote; `port`: sshd's.
    pub fn new(zone: Zone, limits: Limits, port: u16) -> Intake {
        Intake {
            reader: Reader::new(zone),
            joiner: Joiner::default(),
            facts: Facts::new(limits, port),
        }
    }

    /// A block of whole lines.
    pub fn block(&mut self, mut block: &[u8]) {
        self.facts.bytes += block.len() as u64;
        while !block.is_empty() {
            let end = memchr(b'\n', block).unwrap_or(block.len());
            let line = block.get(..end).unwrap_or_default();
            block = block.get(end + 1..).unwrap_or_default();
            self.facts.lines += 1;
            if let Some(record) = self.reader.record(line) {
                let facts = &mut self.facts;
                facts.records += 1;
                facts.span = Some(match facts.span {
                    Some((a, b)) => (a.min(record.time), b.max(record.time)),
                    None => (record.time, record.time),
                });
                self.joiner.push(&record, &mut |e: &Event| facts.event(e));
            }
        }
    }

    /// The end of one log; another may follow.
    pub fn end_of_log(&mut self) {
        let facts = &mut self.facts;
        facts.incomplete +=
            std::mem::take(&mut self.joiner).finish(&mut |e: &Event| facts.event(e));
    }

    pub fn finish(mut self) -> Facts {
        self.end_of_log();
        self.facts.settle();
        self.facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(n: u64, port: u16) -> String {
        let mut out = String::new();
        for i in 0..n {
            let s = format!("msg=audit({}.000:{i})", 1000 + i);
            out.push_str(&format!("type=SYSCALL {s}: arch=c000003e syscall=42 exit=0 ppid=1 pid={} uid=0 comm=\"run{i}\" exe=\"/app/run\"\ntype=SOCKADDR {s}: saddr=0200{port:04X}C0000201\n", 5 + i % 3));
        }
        out
    }

    #[test]
    fn connects_are_kept_with_their_texts() {
        let mut intake = Intake::new(Zone::utc(), Limits::default(), 22);
        intake.block(log(6, 22).as_bytes());
        let facts = intake.finish();
        assert_eq!(facts.connects.len(), 6);
        assert_eq!(facts.destinations.len(), 1);
        assert_eq!(facts.texts.text(facts.connects[2].comm), "run2");
        assert_eq!(facts.records, 12);
        assert_eq!(
            facts.span.map(|s| (s.0.secs(), s.1.secs())),
            Some((1000, 1005))
        );
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_watched_port_goes_first() {
        let limits = Limits {
            connects: 10,
            processes: 4,
            texts: 400,
        };
        let mut intake = Intake::new(Zone::utc(), limits, 22);
        intake.block(log(8, 80).as_bytes());
        intake.end_of_log();
        intake.block(log(8, 22).as_bytes());
        let facts = intake.finish();
        let port = |p: u16| {
            facts
                .connects
                .iter()
                .filter(|c| facts.destinations[c.to as usize].1 == p)
                .count()
        };
        assert_eq!((port(80), port(22)), (5, 5));
        assert_eq!(facts.processes.len(), 4);
        assert!(facts.dropped >= 6);
        assert!(facts.texts.bytes <= 400);
    }
}
