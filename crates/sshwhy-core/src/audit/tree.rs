//! Whose child a process was at some moment, as far up as the records reach.

use super::facts::{Facts, Process};
use crate::time::{SECOND, Time};

/// Ancestors looked at; real trees are shallower, and pids that were used again can make circles.
const DEPTH: usize = 64;
/// Records of one system call and of its neighbours are not ordered to the microsecond.
const SLACK: i64 = SECOND;

/// The processes of an audit log by pid and time.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    facts: &'a Facts,
}

impl<'a> Tree<'a> {
    /// `facts` must be settled ([`Facts::settle`]).
    pub fn new(facts: &'a Facts) -> Tree<'a> {
        Tree { facts }
    }

    /// What is known of `pid` at `time`: the last word before it, or else the first after.
    pub fn process(&self, pid: u32, time: Time) -> Option<&'a Process> {
        let list = &self.facts.processes;
        let from = list.partition_point(|p| p.pid < pid);
        let until = list.partition_point(|p| p.pid <= pid);
        let own = list.get(from..until)?;
        let before = own.partition_point(|p| p.time.0 <= time.0 + SLACK);
        own.get(before.saturating_sub(1))
    }

    /// The last execution of `pid` before `time` with arguments.
    pub fn execution(&self, pid: u32, time: Time) -> Option<&'a Process> {
        let list = &self.facts.processes;
        let from = list.partition_point(|p| p.pid < pid);
        let until = list.partition_point(|p| (p.pid, p.time.0) <= (pid, time.0 + SLACK));
        list.get(from..until)?.iter().rev().find(|p| p.argv != 0)
    }

    /// The pids from `pid` up: itself, its parent (`ppid` as its own record says), the parent's parent as far as records say.
    pub fn ancestry(&self, pid: u32, ppid: u32, time: Time) -> Vec<u32> {
        let mut out = vec![pid];
        let mut next = ppid;
        while next > 1 && out.len() < DEPTH && !out.contains(&next) {
            out.push(next);
            next = match self.process(next, time) {
                Some(p) => p.ppid,
                None => break,
            };
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Intake, Limits};
    use super::*;
    use crate::time::Zone;

    fn exec(secs: u64, serial: u64, pid: u32, ppid: u32, argv: &[&str]) -> String {
        let s = format!("msg=audit({secs}.000:{serial})");
        let args: Vec<String> = argv
            .iter()
            .enumerate()
            .map(|(i, a)| format!("a{i}=\"{a}\""))
            .collect();
        format!(
            "type=SYSCALL {s}: arch=c000003e syscall=59 exit=0 ppid={ppid} pid={pid} uid=0 comm=\"x\" exe=\"/x\"\ntype=EXECVE {s}: argc={} {}\n",
            argv.len(),
            args.join(" ")
        )
    }

    #[test]
    fn a_pid_that_is_used_again_has_the_parent_of_its_time() {
        let log = [
            exec(100, 1, 50, 812, &["sh", "-c", "job"]),
            exec(101, 2, 51, 50, &["ssh", "host"]),
            exec(900, 3, 50, 7, &["other"]),
        ]
        .concat();
        let mut intake = Intake::new(Zone::utc(), Limits::default(), 22);
        intake.block(log.as_bytes());
        let facts = intake.finish();
        let tree = Tree::new(&facts);
        let t = Time::from_secs;
        assert_eq!(tree.ancestry(51, 50, t(102)), [51, 50, 812]);
        assert_eq!(tree.process(50, t(102)).unwrap().ppid, 812);
        assert_eq!(tree.process(50, t(901)).unwrap().ppid, 7);
        assert_eq!(
            tree.process(50, t(10)).unwrap().ppid,
            812,
            "first word after"
        );
        assert_eq!(
            facts.texts.list(tree.execution(50, t(102)).unwrap().argv),
            ["sh", "-c", "job"]
        );
        assert!(tree.execution(50, t(10)).is_none());
        assert!(tree.process(9, t(1)).is_none());
    }

    #[test]
    fn circles_end() {
        let log = [exec(1, 1, 5, 6, &["a"]), exec(1, 2, 6, 5, &["b"])].concat();
        let mut intake = Intake::new(Zone::utc(), Limits::default(), 22);
        intake.block(log.as_bytes());
        let facts = intake.finish();
        assert_eq!(Tree::new(&facts).ancestry(5, 6, Time::from_secs(2)), [5, 6]);
    }
}
