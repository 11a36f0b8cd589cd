//! How a block is taken in whose connections were joined already: which of them as they are, and which line by line after all.

use super::Analysis;
use crate::scan::{NONE, Scanned};
use crate::session::LineRef;

/// How the lines of one process are taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    LineByLine,
    /// As a connection; those lines that count against its address are heard too.
    Quoted,
    /// As a connection.
    Whole,
}

type Maps = [Vec<u32>; 3];

fn number(map: &[u32], id: u32) -> u32 {
    map.get(id as usize).copied().unwrap_or(NONE)
}

impl Analysis {
    /// Whether the block's connections can be taken in as they were joined; then [`Self::ways`] says how each is.
    pub(super) fn joins(&mut self, scanned: &Scanned, file: u32, maps: &Maps) -> bool {
        let wholes = &scanned.wholes;
        let [addrs, users, hosts] = maps;
        let host = |id: usize| hosts.get(id).copied().unwrap_or(0);
        // Where lines may be there twice, each has to be looked at.
        let copies = wholes.copies
            || (wholes.repeats && self.twins.believes())
            || scanned.records.first().is_some_and(|r| {
                let (addr, user) = (number(addrs, r.addr), number(users, r.user));
                self.twins.follows(r, host(usize::from(r.host)), addr, user)
            });
        let all = !wholes.is_empty()
            && !copies
            && !self.filter.any()
            && !matches!(self.shared.get(file as usize), Some(Some(_)))
            && self.sessions.follows(wholes.first)
            && wholes
                .wordings
                .iter()
                .all(|(h, row, text)| self.versions.knows(host(usize::from(*h)), *row, *text))
            && wholes
                .pulses
                .iter()
                .enumerate()
                .all(|(h, p)| p.is_none_or(|p| self.detectors.follows(host(h), &p)));
        if !all {
            return false;
        }
        for (h, pulse) in wholes.pulses.iter().enumerate() {
            if let Some(pulse) = pulse {
                self.detectors.stretch(host(h), pulse);
            }
        }
        self.ways.clear();
        for w in &wholes.all {
            let way = if !w.holds {
                Way::LineByLine
            } else {
                let user = number(users, w.session.user);
                let s = (
                    host(w.session.host as usize),
                    w.session.pid,
                    number(addrs, w.session.addr),
                    w.session.port,
                );
                if self.sessions.finds(s) || self.detectors.listens(user, &self.names) {
                    Way::LineByLine
                } else if self.detectors.wants_lines(s.2) {
                    Way::Quoted
                } else {
                    Way::Whole
                }
            };
            self.ways.push(way);
        }
        true
    }

    /// Whether a record need not be taken in by itself, because its connection is.
    #[inline]
    pub(super) fn skips(
        &mut self,
        record: usize,
        scanned: &Scanned,
        block: &[u8],
        maps: &Maps,
        file: u32,
        first_line: u64,
    ) -> bool {
        let part = scanned.wholes.part(record);
        let Some((part, id)) = part.and_then(|p| Some((p, p.whole()?))) else {
            return false;
        };
        let way = self.ways.get(id).copied().unwrap_or(Way::LineByLine);
        if way == Way::LineByLine {
            return false;
        }
        self.twins.pass(0);
        if way == Way::Quoted
            && part.is_bad()
            && let (Some(w), Some(record)) =
                (scanned.wholes.all.get(id), scanned.records.get(record))
            && let Some(time) = record.time()
        {
            let addr = number(&maps[0], w.session.addr);
            let message = scanned.message(block, record);
            let at = LineRef {
                file,
                line: first_line + u64::from(record.line),
            };
            self.detectors.bad_line(addr, time, at, message);
        }
        if part.ends_it() {
            self.whole(id, scanned, maps, file, first_line);
        }
        true
    }

    /// Takes in a connection as it is.
    fn whole(&mut self, id: usize, scanned: &Scanned, maps: &Maps, file: u32, first_line: u64) {
        let Some(w) = scanned.wholes.all.get(id) else {
            return;
        };
        let [addrs, users, hosts] = maps;
        let s = &w.session;
        self.read.lines += u64::from(s.lines);
        self.lines_joined += u64::from(s.lines);
        self.read.first = self.read.first.min(s.first.0);
        self.read.last = self.read.last.max(s.last.0);
        self.detectors.whole(w);
        self.twins.pass(w.once);
        let mut session = s.clone();
        session.host = number(hosts, s.host);
        session.addr = number(addrs, s.addr);
        session.user = number(users, s.user);
        session.file = file;
        session.line += first_line;
        self.sessions.put(w, session, &mut self.done);
        if !self.done.is_empty() {
            self.end_sessions();
        }
    }

    /// The block was taken in.
    pub(super) fn joined(&mut self, scanned: &Scanned, maps: &Maps) {
        let [addrs, users, hosts] = maps;
        if let Some(last) = scanned.records.last() {
            let host = number(hosts, u32::from(last.host));
            let (addr, user) = (number(addrs, last.addr), number(users, last.user));
            self.repeats.resolve(last, host, addr, user);
            self.twins.see(last, host, addr, user);
            self.last_time = last.time;
        }
        self.sessions.advance(scanned.wholes.last, &mut self.done);
        self.end_sessions();
    }
}
