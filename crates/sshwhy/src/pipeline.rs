//! Runs the log pipeline over all cores: blocks are scanned in any order, folded in the order of the log, and (for `events`)
//! printed in that order again.
//!
//! Every worker does whatever is next: no thread is bound to a stage. What comes out does not depend on how many there are.

use crate::feed::{Feed, Parcel};
use sshwhy_core::addr::Addr;
use sshwhy_core::analysis::{Analysis, Resolved};
use sshwhy_core::names::Names;
use sshwhy_core::scan::{NONE, Scanned, Scanner};
use sshwhy_core::time::Zone;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Items that finish in any order and pass one at a time in their own.
struct Gate<T, S> {
    waiting: Mutex<(u64, BTreeMap<u64, T>)>,
    turn: Mutex<S>,
    /// More waiting than this, and who brings another waits too.
    depth: usize,
    moved: Condvar,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, S> Gate<T, S> {
    fn new(state: S, depth: usize) -> Gate<T, S> {
        Gate {
            waiting: Mutex::new((0, BTreeMap::new())),
            turn: Mutex::new(state),
            depth,
            moved: Condvar::new(),
        }
    }

    /// Brings item `seq`, and lets through what can pass now unless somebody else is doing that.
    fn pass(&self, seq: u64, item: T, mut f: impl FnMut(&mut S, u64, T)) {
        {
            let mut w = lock(&self.waiting);
            w.1.insert(seq, item);
            // Items come in order to each worker, so whoever works on the next one is not waiting here with a later one:
            // this ends. Who has nothing waiting any more goes on.
            while w.1.len() > self.depth && w.1.contains_key(&seq) {
                // The next one is here and nobody lets it through: ours to do. Who holds the turn looks again after giving it
                // back, and every item that passes wakes us.
                let free = !matches!(
                    self.turn.try_lock(),
                    Err(std::sync::TryLockError::WouldBlock)
                );
                if w.1.contains_key(&w.0) && free {
                    break;
                }
                w = self.moved.wait(w).unwrap_or_else(PoisonError::into_inner);
            }
        }
        loop {
            let mut state = match self.turn.try_lock() {
                Ok(s) => s,
                Err(std::sync::TryLockError::Poisoned(p)) => p.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) => return,
            };
            loop {
                let head = {
                    let mut w = lock(&self.waiting);
                    let next = w.0;
                    let head = w.1.remove(&next);
                    if head.is_some() {
                        w.0 += 1;
                        self.moved.notify_all();
                    }
                    head.map(|h| (next, h))
                };
                match head {
                    Some((seq, item)) => f(&mut state, seq, item),
                    None => break,
                }
            }
            drop(state);
            // Somebody may have brought the next one while we held the turn and were about to leave.
            let w = lock(&self.waiting);
            if !w.1.contains_key(&w.0) {
                return;
            }
        }
    }
}

/// A block with what is in it.
#[derive(Default)]
struct Work {
    parcel: Parcel,
    scanned: Scanned,
    resolved: Vec<Resolved>,
    /// Names for `resolved`, filled in while the analysis is at hand.
    names: BlockNames,
}

/// The names that one block's lines mention, each once.
#[derive(Debug, Default)]
pub struct BlockNames {
    addrs: Vec<Addr>,
    users: Vec<String>,
    /// By record: which of them; [`NONE`] for none.
    of: Vec<(u32, u32)>,
}

impl BlockNames {
    /// Address and user of a record; `None` where it has none.
    pub fn of(&self, record: usize) -> (Option<u32>, Option<u32>) {
        let (addr, user) = self.of.get(record).copied().unwrap_or((NONE, NONE));
        (
            (addr != NONE).then_some(addr),
            (user != NONE).then_some(user),
        )
    }

    pub fn addrs(&self) -> &[Addr] {
        &self.addrs
    }

    pub fn users(&self) -> &[String] {
        &self.users
    }

    fn fill(&mut self, resolved: &[Resolved], names: &Names, places: &mut Places) {
        self.addrs.clear();
        self.users.clear();
        self.of.clear();
        places.block += 1;
        for r in resolved {
            let addr = places.addrs.place(r.addr, places.block, || {
                self.addrs.push(names.addr_of(r.addr)?.clone());
                Some(self.addrs.len() as u32 - 1)
            });
            let user = places.users.place(r.user, places.block, || {
                self.users.push(names.user_of(r.user).to_owned());
                Some(self.users.len() as u32 - 1)
            });
            self.of.push((addr, user));
        }
    }
}

/// Where in a block's lists a name of the whole run stands.
#[derive(Debug, Default)]
struct Places {
    block: u32,
    addrs: PlacesOf,
    users: PlacesOf,
}

/// By global number: block and place.
#[derive(Debug, Default)]
struct PlacesOf(Vec<(u32, u32)>);

impl PlacesOf {
    fn place(&mut self, id: u32, block: u32, fresh: impl FnOnce() -> Option<u32>) -> u32 {
        if id == NONE {
            return NONE;
        }
        let i = id as usize;
        if i >= self.0.len() {
            self.0.resize(i + 1, (0, NONE));
        }
        let Some(known) = self.0.get_mut(i) else {
            return NONE;
        };
        if known.0 != block {
            *known = (block, fresh().unwrap_or(NONE));
        }
        known.1
    }
}

/// What a printer of lines is given.
pub struct Printed<'a> {
    pub parcel: &'a Parcel,
    pub scanned: &'a Scanned,
    pub resolved: &'a [Resolved],
    pub names: &'a BlockNames,
    pub zone: &'a Zone,
}

/// Turns a block into output, on any core; and takes the output in order. `false` ends the run (nobody reads any more).
pub trait Printer: Sync {
    fn print(&self, scanner: &mut Scanner, block: &Printed<'_>, out: &mut Vec<u8>);
    fn write(&self, out: &[u8]) -> bool;
}

/// Runs everything through `analysis`; `printer` sees each block after it was folded. Returns when the feed is empty.
pub fn run(
    feed: &Mutex<Feed>,
    analysis: Analysis,
    zone: &Zone,
    threads: usize,
    printer: Option<&dyn Printer>,
    tick: &(dyn Fn(u64) + Sync),
) -> Analysis {
    let threads = threads.max(1);
    let deeds = analysis.wants_deeds();
    let spare: Mutex<Vec<Work>> = Mutex::new(Vec::new());
    let fold: Gate<Work, (Analysis, Places)> =
        Gate::new((analysis, Places::default()), threads * 3);
    let outputs: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let folded: Mutex<VecDeque<(u64, Work)>> = Mutex::new(VecDeque::new());
    let output: Gate<Vec<u8>, bool> = Gate::new(true, threads * 4);
    let stop = AtomicBool::new(false);
    let worker = || {
        let mut scanner = Scanner::for_deeds(deeds);
        if printer.is_none() {
            scanner = scanner.joining();
        }
        loop {
            // Printing comes first: it frees memory.
            let ready = printer.and_then(|p| lock(&folded).pop_front().map(|w| (p, w)));
            if let Some((p, (seq, work))) = ready {
                let mut out = lock(&outputs).pop().unwrap_or_default();
                out.clear();
                out.reserve(work.parcel.block.bytes.len() * 2);
                p.print(
                    &mut scanner,
                    &Printed {
                        parcel: &work.parcel,
                        scanned: &work.scanned,
                        resolved: &work.resolved,
                        names: &work.names,
                        zone,
                    },
                    &mut out,
                );
                lock(&spare).push(work);
                output.pass(seq, out, |open, _, bytes| {
                    if *open && !p.write(&bytes) {
                        *open = false;
                        stop.store(true, Ordering::Relaxed);
                    }
                    lock(&outputs).push(bytes);
                });
                continue;
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let mut work = lock(&spare).pop().unwrap_or_default();
            let parcel = {
                let mut feed = lock(feed);
                let buffer = std::mem::take(&mut work.parcel.block.bytes);
                let parcel = feed.next(buffer);
                tick(feed.progress());
                parcel
            };
            let Some(parcel) = parcel else { break };
            work.parcel = parcel;
            scanner.scan(
                &work.parcel.block.bytes,
                work.parcel.years,
                zone,
                &mut work.scanned,
            );
            fold.pass(
                work.parcel.seq,
                work,
                |(analysis, places), seq, mut work| {
                    let block = &work.parcel.block;
                    if printer.is_some() {
                        work.resolved.clear();
                        analysis.fold(
                            &block.bytes,
                            &work.scanned,
                            block.file,
                            block.first_line,
                            Some(&mut work.resolved),
                        );
                        work.names.fill(&work.resolved, analysis.names(), places);
                        lock(&folded).push_back((seq, work));
                    } else {
                        analysis.fold(
                            &block.bytes,
                            &work.scanned,
                            block.file,
                            block.first_line,
                            None,
                        );
                        lock(&spare).push(work);
                    }
                },
            );
        }
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        worker();
        for h in helpers {
            // A worker that panicked has said so; the blocks it held are missing, and the caller sees that in the counts.
            let _ = h.join();
        }
    });
    // Blocks that were folded after the last worker looked for something to print.
    if printer.is_some() && !stop.load(Ordering::Relaxed) {
        worker();
    }
    let turn = fold.turn.into_inner();
    turn.unwrap_or_else(PoisonError::into_inner).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_lets_through_in_order_whatever_order_things_come_in() {
        let gate: Gate<u64, Vec<u64>> = Gate::new(Vec::new(), 4);
        std::thread::scope(|scope| {
            for t in 0..4u64 {
                let gate = &gate;
                scope.spawn(move || {
                    for i in 0..250 {
                        let seq = i * 4 + (t + i) % 4;
                        gate.pass(seq, seq, |seen, _, item| seen.push(item));
                    }
                });
            }
        });
        let seen = gate.turn.into_inner().unwrap();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    }
}
