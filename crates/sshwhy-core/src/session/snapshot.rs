//! Open connections as numbers, for a file: what a daemon that was stopped needs to go on where it was.

use super::{End, LineRef, Session, Sessions};
use crate::names::{AddrId, HostId, UserId};
use crate::time::Time;
use hashbrown::HashMap;

/// What is open at one moment, in the order in which places would be given up.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When each began to wait, and what is known of it.
    pub sessions: Vec<(i64, Session)>,
    /// When to let go of which.
    closing: Vec<(i64, u32)>,
}

/// Yes-or-no facts of a session, as bits in this order.
macro_rules! with_flags {
    ($what:ident!($($arg:expr),*)) => {
        $what!(
            $($arg),*; invalid_user, attempted, logged_in, not_allowed, probed, timed_out, too_many, dropped, ambiguous, hostile,
            by_port, closing
        )
    };
}
macro_rules! bits {
    ($s:expr; $($field:ident),*) => {
        [$($s.$field),*].iter().rev().fold(0u16, |bits, is| bits << 1 | u16::from(*is))
    };
}
macro_rules! set_bits {
    ($s:expr, $bits:expr; $($field:ident),*) => {{
        let mut bits = $bits;
        $(
            $s.$field = bits & 1 == 1;
            bits >>= 1;
        )*
        let _ = bits;
    }};
}

/// What counts of a session, as numbers, for a file. Names are the caller's business, and so are rows: they change from one
/// release to the next.
pub type Packed = ([i64; 6], [u32; 10], (u16, u16, u8));

impl Snapshot {
    /// `names` turns host, address and user into numbers that the file knows.
    pub fn pack(&self, mut names: impl FnMut(HostId, AddrId, UserId) -> [u32; 3]) -> Vec<Packed> {
        let mut closing = vec![i64::MIN; self.sessions.len()];
        for (at, place) in &self.closing {
            if let Some(slot) = closing.get_mut(*place as usize) {
                *slot = *at;
            }
        }
        self.sessions
            .iter()
            .zip(closing)
            .map(|((began, s), closing)| {
                let [host, addr, user] = names(s.host, s.addr, s.user);
                let accepted = s.accepted.map_or(i64::MIN, |a| a.0.0);
                (
                    [
                        *began,
                        closing,
                        s.first.0,
                        s.last.0,
                        accepted,
                        s.fail_last.0,
                    ],
                    [
                        host,
                        addr,
                        user,
                        s.pid,
                        s.alias,
                        s.failures,
                        s.pam_failures,
                        s.dialogue_failures,
                        s.names_refused,
                        s.counted | s.key_failures.min(127) << 25,
                    ],
                    (with_flags!(bits!(s)), s.port, s.noted),
                )
            })
            .collect()
    }

    /// `names` is the way back.
    pub fn unpack(
        packed: &[Packed],
        mut names: impl FnMut([u32; 3]) -> (HostId, AddrId, UserId),
    ) -> Snapshot {
        let mut out = Snapshot::default();
        for ([began, closing, first, last, accepted, fail_last], n, (bits, port, noted)) in packed {
            let (host, addr, user) = names([n[0], n[1], n[2]]);
            let at = LineRef::default();
            let mut s = Session::new(host, n[3], Time(*first), at, 1);
            s.last = Time(*last);
            s.accepted = (*accepted != i64::MIN).then_some((Time(*accepted), at));
            s.fail_last = Time(*fail_last);
            (s.addr, s.user, s.port, s.alias) = (addr, user, *port, n[4]);
            (s.failures, s.pam_failures, s.dialogue_failures) = (n[5], n[6], n[7]);
            (s.names_refused, s.counted, s.key_failures) = (n[8], n[9] & 0x1ff_ffff, n[9] >> 25);
            s.noted = *noted;
            // Of its lines it only matters that there were some.
            s.lines = 1;
            with_flags!(set_bits!(s, *bits));
            if s.closing {
                s.end = End::Closed;
            }
            let place = out.sessions.len() as u32;
            out.sessions.push((*began, s));
            if *closing != i64::MIN {
                out.closing.push((*closing, place));
            }
        }
        out.closing.sort_unstable();
        out
    }
}

impl Sessions {
    /// Everything that is open, so that [`Sessions::restore`] makes the same of it.
    pub fn snapshot(&self) -> Snapshot {
        let mut places: HashMap<(u32, u32), u32> = HashMap::new();
        let mut sessions = Vec::new();
        for &(began, slot, generation) in &self.opened {
            if let Some(s) = self
                .slab
                .get(slot as usize)
                .filter(|s| s.generation == generation)
            {
                places.insert((slot, generation), sessions.len() as u32);
                sessions.push((began, s.clone()));
            }
        }
        let closing = self
            .closing
            .iter()
            .filter_map(|(at, slot, generation)| Some((*at, *places.get(&(*slot, *generation))?)))
            .collect();
        Snapshot { sessions, closing }
    }

    /// Takes in what was open elsewhere; whatever is open here is dropped.
    pub fn restore(&mut self, snapshot: Snapshot) {
        *self = Sessions {
            overflowed: self.overflowed,
            ..Sessions::new(self.limit)
        };
        for (began, mut s) in snapshot.sessions {
            self.generation = self.generation.wrapping_add(1).max(1);
            s.generation = self.generation;
            let slot = self.slab.len() as u32;
            for pid in [s.pid, s.alias] {
                if pid != 0 {
                    self.by_pid.insert((s.host, pid), slot);
                }
            }
            if s.by_port {
                self.by_port.insert((s.addr, s.port), slot);
            }
            self.opened.push_back((began, slot, s.generation));
            self.slab.push(s);
        }
        for (at, slot) in snapshot.closing {
            if let Some(s) = self.slab.get(slot as usize) {
                self.closing.push_back((at, slot, s.generation));
            }
        }
    }
}
