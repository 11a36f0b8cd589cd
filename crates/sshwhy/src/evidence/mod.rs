//! Reads what was collected on a node: a folder, or a tar archive of one, into [`Evidence`].
//!
//! What a file is follows from its name and its first bytes; nothing depends on one tool's layout. First everything small is read
//! (containers, processes, file times, crontabs), then logs, each compared with the logins as soon as it was read, so that memory
//! does not grow with them.

mod archive;
mod lines;
mod owners;
mod roles;
mod small;

use crate::source::{Blocks, Input, Origin};
use lines::{Others, digest_blocks};
use owners::Owners;
use roles::{Role, role};
use small::Small;
use sshwhy_core::audit::facts::Intake;
use sshwhy_core::audit::{Facts, Limits};
use sshwhy_core::report::Skipped;
use sshwhy_core::time::{DAY, HOUR, Time, Zone};
use sshwhy_core::trace::container::Container;
use sshwhy_core::trace::digest::{Digest, Digested, Needles};
use sshwhy_core::trace::evidence::{Evidence, LogFacts, Owner};
use sshwhy_core::trace::happening::{self, Family, Happening};
use sshwhy_core::trace::matching::Matcher;
use sshwhy_core::trace::rank::shim_of;
use sshwhy_core::trace::relay::Who;
use sshwhy_core::trace::story::Read;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use archive::{Archive, EntryKind, Limits as ArchiveLimits};
pub use small::container_of_cgroup;

/// What the evidence is compared with.
pub struct Wanted {
    /// The logins: UTC microseconds, sorted.
    pub events: Vec<i64>,
    pub needles: Needles,
    pub port: u16,
    /// For logs that write local time.
    pub zone: Zone,
    pub threads: usize,
}

/// Files of one folder that are looked at.
const MAX_FILES: usize = 500_000;
const MAX_DEPTH: usize = 24;
/// Containers known in all, before those that only the audit log names are left out.
const MAX_GONE: usize = 100_000;
/// Documents that are read as a whole: containers of a node are at most some tens of megabytes.
pub(crate) const MAX_DOCUMENT: u64 = 512 << 20;

/// A log of the evidence: where it lies and whose it is.
struct Log {
    name: String,
    path: PathBuf,
}

enum Job {
    Audit(Vec<Log>),
    Logs(Owner, Vec<Log>),
}

fn skipped(name: &str, what: impl Into<String>, advice: &str) -> Skipped {
    Skipped {
        name: name.to_owned(),
        what: what.into(),
        advice: advice.to_owned(),
        bytes_read: 0,
        lines_read: 0,
    }
}

/// Reads every folder and archive given.
pub fn load(paths: &[PathBuf], wanted: &Wanted) -> (Evidence, Read) {
    let mut small = Small::default();
    let mut read = Read::default();
    let mut logs: Vec<Log> = Vec::new();
    let mut audits: Vec<Log> = Vec::new();
    let mut archives: Vec<&PathBuf> = Vec::new();
    for path in paths {
        if path.is_dir() {
            for (name, file) in walk(path, &mut read.skipped) {
                let head = head_of(&file);
                match role(&name, &head) {
                    Role::Log => logs.push(Log { name, path: file }),
                    Role::Audit => audits.push(Log { name, path: file }),
                    Role::Other => {}
                    role => match document(&file, &name) {
                        Ok(bytes) => small.take(role, &name, &bytes),
                        Err(s) => read.skipped.push(s),
                    },
                }
            }
        } else if let Some(role) = loose(path) {
            let name = path.display().to_string();
            match role {
                Role::Log | Role::Other => logs.push(Log {
                    name,
                    path: path.clone(),
                }),
                Role::Audit => audits.push(Log {
                    name,
                    path: path.clone(),
                }),
                role => match document(path, &name) {
                    Ok(bytes) => small.take(role, &name, &bytes),
                    Err(s) => read.skipped.push(s),
                },
            }
        } else {
            archives.push(path);
            read_small_entries(path, &mut small, &mut read.skipped);
        }
    }
    let mut owners = Owners::new(small.containers());
    let families = happening::families(owners.list());
    let runs = Runs::of(&families);
    let told = told(&small.happenings, &families, owners.list());
    let mut groups: BTreeMap<Option<String>, Vec<Log>> = BTreeMap::new();
    for log in logs {
        let head = head_of(&log.path);
        let owner = owners.of(&log.name, &head).map(|id| runs.whose(id));
        groups.entry(owner).or_default().push(log);
    }
    let mut jobs: VecDeque<Job> = VecDeque::new();
    let audit_name = audits.first().map(|l| l.name.clone());
    if !audits.is_empty() {
        jobs.push_back(Job::Audit(audits));
    }
    for (owner, group) in groups {
        match owner {
            Some(id) => jobs.push_back(Job::Logs(Owner::Container(id), group)),
            // Each log of the node stands for itself.
            None => jobs.extend(group.into_iter().map(|l| Job::Logs(Owner::Node, vec![l]))),
        }
    }
    let zones = Zones {
        told: &small.zones,
        usual: &wanted.zone,
    };
    let mut done = work(jobs, wanted, &zones);
    done.study_told(told, wanted);
    for path in archives {
        let from = Archived {
            path,
            wanted,
            zones: &zones,
            owners: &mut owners,
            runs: &runs,
        };
        from.read(&mut done, &mut read.skipped);
    }
    done.study_relayed(&mut owners, &runs, wanted);
    let audit = done.audit.take().map(Intake::finish);
    done.logs.sort_by_key(|l| l.0);
    let logs: Vec<LogFacts> = done.logs.into_iter().map(|(_, l)| l).collect();
    let mut containers = owners.containers();
    runs.unite(&families, &mut containers);
    if let Some(audit) = &audit {
        gone(audit, &mut containers);
    }
    read.skipped.extend(done.skipped);
    read.skipped.sort_by(|a, b| a.name.cmp(&b.name));
    read.notes.extend(small.notes.iter().cloned());
    read.containers = containers.len();
    read.container_logs = logs
        .iter()
        .filter(|l| matches!(l.owner, Owner::Container(_)))
        .count();
    let node_logs: HashSet<&str> = logs
        .iter()
        .filter(|l| !matches!(l.owner, Owner::Container(_)))
        .map(|l| l.name.as_str())
        .collect();
    read.node_logs = node_logs.len();
    read.container_log_lines = logs.iter().map(|l| l.lines).sum();
    read.files = small.files.len();
    read.notes.extend(silent(&containers));
    if let Some(a) = &audit {
        read.audit_records = a.records;
        read.audit_first = a.span.map(|s| s.0);
        read.audit_last = a.span.map(|s| s.1);
        if a.dropped > 0 {
            read.notes.push(format!(
                "{} audit events did not fit into memory and were left out",
                a.dropped
            ));
        }
    }
    let nothing = containers.is_empty()
        && logs.iter().all(|l| l.lines == 0)
        && audit.as_ref().is_none_or(Facts::is_empty)
        && small.files.is_empty()
        && small.schedules.is_empty()
        && small.typed.is_empty()
        && small.running.is_empty();
    if nothing && !paths.is_empty() {
        read.notes.push(
            "the evidence holds nothing that tells of the node: `sshwhy trace --help` lists what is read".to_owned(),
        );
    }
    let evidence = Evidence {
        containers,
        logs,
        audit_name: audit_name.unwrap_or_else(|| "audit.log".to_owned()),
        audit: audit.filter(|a| !a.is_empty()),
        files: small.files,
        running: small.running,
        schedules: small.schedules,
        scripts: small.scripts,
        typed: small.typed,
        accounts: small.accounts,
        addrs: small.addrs,
        clock_ahead: small.clock_ahead,
    };
    (evidence, read)
}

/// Containers whose output nobody keeps: what is not in the evidence because it never was anywhere.
fn silent(containers: &[Container]) -> Option<String> {
    let names: Vec<String> = containers
        .iter()
        .filter(|c| c.log_driver == "none")
        .map(Container::shown_name)
        .collect();
    let first = names.first()?;
    let others = match names.len() {
        1 => String::new(),
        n => format!(" and {} others", n - 1),
    };
    Some(format!(
        "{first}{others} kept no log (log driver none): what happened there can be seen only by what others wrote down"
    ))
}

/// What a single file is, if it is evidence by itself and no archive.
fn loose(path: &Path) -> Option<Role> {
    let name = path.display().to_string();
    let head = head_of(path);
    let role = role(&name, &head);
    let text = !head.contains(&0)
        && !head.starts_with(b"\x28\xb5\x2f\xfd")
        && !head.starts_with(b"\x1f\x8b");
    (text && !head.is_empty()).then_some(role)
}

/// Times of one container, told by somebody else: its engine, or the lives of its like.
struct Told {
    id: String,
    name: &'static str,
    lines: Vec<(Time, String)>,
}

fn told(happenings: &[Happening], families: &[Family], known: &[Container]) -> Vec<Told> {
    let mut by_id: BTreeMap<&str, Vec<(Time, String)>> = BTreeMap::new();
    for h in happenings.iter().filter(|h| !h.of_pod) {
        by_id.entry(&h.id).or_default().push((h.at, h.what.clone()));
    }
    let mut out: Vec<Told> = by_id
        .into_iter()
        .filter(|(_, lines)| lines.len() > 3)
        .map(|(id, lines)| Told {
            id: id.to_owned(),
            name: "events of the engine",
            lines,
        })
        .collect();
    out.extend(known.iter().filter(|c| c.checks.len() > 3).map(|c| {
        Told {
            id: c.id.clone(),
            name: "checks of its health",
            lines: c
                .checks
                .iter()
                .map(|(at, said)| (*at, format!("health check: {said}")))
                .collect(),
        }
    }));
    out.extend(families.iter().filter_map(|f| {
        Some(Told {
            id: f.members.last()?.clone(),
            name: "lives of containers",
            lines: f
                .times
                .iter()
                .map(|t| (*t, format!("a container of the family {} began", f.name)))
                .collect(),
        })
    }));
    out
}

/// Runs of a job stand for each other: the last one has the logs of all of them, and their time.
struct Runs(HashMap<String, String>);

impl Runs {
    fn of(families: &[Family]) -> Runs {
        let mut last = HashMap::new();
        for f in families {
            for m in &f.members {
                last.extend(f.members.last().map(|l| (m.clone(), l.clone())));
            }
        }
        Runs(last)
    }

    fn whose(&self, id: String) -> String {
        self.0.get(&id).cloned().unwrap_or(id)
    }

    fn unite(&self, families: &[Family], containers: &mut Vec<Container>) {
        containers.retain(|c| self.0.get(&c.id).is_none_or(|last| *last == c.id));
        for f in families {
            if let Some(c) = containers
                .iter_mut()
                .find(|c| f.members.last() == Some(&c.id))
            {
                c.created = Some(f.born);
                c.started = None;
                c.finished = Some(f.finished);
                c.name = format!("{} (the last of {} runs)", c.shown_name(), f.members.len());
            }
        }
    }
}

/// Containers that only the audit log knows any more: by the id that their records carry, or by the runtime's process that served
/// them.
fn gone(audit: &Facts, containers: &mut Vec<Container>) {
    let mut known: HashSet<String> = containers.iter().map(|c| c.id.clone()).collect();
    let mut add = |id: String| {
        if known.len() < MAX_GONE && known.insert(id.clone()) {
            let short: String = id.chars().take(12).collect();
            containers.push(Container {
                name: format!("(gone) {short}"),
                id,
                ..Container::default()
            });
        }
    };
    let mut seen = HashSet::new();
    for c in &audit.connects {
        if c.container != 0 && seen.insert(c.container) {
            add(audit.texts.text(c.container).into_owned());
        }
    }
    let mut seen = HashSet::new();
    for p in &audit.processes {
        if p.argv != 0
            && seen.insert(p.argv)
            && let Some(id) = shim_of(&audit.texts.list(p.argv))
        {
            add(id.to_owned());
        }
    }
}

/// Files below a folder with their names relative to it, in a fixed order; links are not followed.
fn walk(root: &Path, skip: &mut Vec<Skipped>) -> Vec<(String, PathBuf)> {
    let mut out = Vec::new();
    let mut stack = vec![(root.to_path_buf(), 0)];
    while let Some((dir, depth)) = stack.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(e) => e,
            Err(e) => {
                skip.push(skipped(
                    &dir.display().to_string(),
                    e.to_string(),
                    "read it as root",
                ));
                continue;
            }
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if kind.is_dir() && depth < MAX_DEPTH {
                stack.push((path, depth + 1));
            } else if kind.is_file() && out.len() < MAX_FILES {
                let name = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .display()
                    .to_string();
                out.push((name, path));
            }
        }
    }
    out.sort();
    out
}

/// Bytes that are enough to unpack a head from.
const PACKED_HEAD: usize = 4096;
const HEAD: u64 = 512;

fn head_of(path: &Path) -> Vec<u8> {
    use std::io::Read as _;
    let mut head = Vec::new();
    if let Ok(f) = std::fs::File::open(path) {
        // What cannot be read now says so when its content is wanted.
        let _ = f.take(PACKED_HEAD as u64).read_to_end(&mut head);
    }
    unpacked_head(head)
}

/// The first bytes of what is packed, as far as the first bytes of the pack tell; of what is not packed, its own.
fn unpacked_head(packed: Vec<u8>) -> Vec<u8> {
    use std::io::Read as _;
    let mut head = Vec::new();
    let stream = crate::source::unpacked(Box::new(std::io::Cursor::new(packed)));
    // It ends in the middle: what came before is wanted.
    let _ = stream.take(HEAD).read_to_end(&mut head);
    head
}

fn document(path: &Path, name: &str) -> Result<Vec<u8>, Skipped> {
    use std::io::Read as _;
    let file =
        std::fs::File::open(path).map_err(|e| skipped(name, e.to_string(), "read it as root"))?;
    let stream: crate::source::Stream = Box::new(file);
    let mut bytes = Vec::new();
    crate::source::unpacked(stream)
        .take(MAX_DOCUMENT)
        .read_to_end(&mut bytes)
        .map_err(|e| skipped(name, e.to_string(), "check the file"))?;
    Ok(bytes)
}

#[derive(Default)]
struct Done {
    /// With the number of their job, for a fixed order.
    logs: Vec<(usize, LogFacts)>,
    /// All audit logs together, auditd's and the watcher's: open until the last was read.
    audit: Option<Intake>,
    /// What logs say of others: the log's name, of whom, and what.
    relayed: Vec<(String, Who, Digested)>,
    skipped: Vec<Skipped>,
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Done {
    fn study_told(&mut self, told: Vec<Told>, wanted: &Wanted) {
        let mut matcher = Matcher::default();
        for t in told {
            let mut digest = wanted.digest();
            for (at, text) in &t.lines {
                digest.line(Some(*at), text.as_bytes());
            }
            let facts = wanted.study(
                t.name,
                Owner::Container(t.id),
                digest.finish(),
                &mut matcher,
            );
            self.logs.push((usize::MAX, facts));
        }
    }

    /// What logs say of others, once it is known who they are.
    fn study_relayed(&mut self, owners: &mut Owners, runs: &Runs, wanted: &Wanted) {
        let mut matcher = Matcher::default();
        let mut relayed = std::mem::take(&mut self.relayed);
        relayed.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        for (name, who, digest) in relayed {
            let owner = match owners.whom(&who) {
                Owner::Container(id) => Owner::Container(runs.whose(id)),
                other => other,
            };
            let facts = wanted.study(&name, owner, digest, &mut matcher);
            self.logs.push((usize::MAX, facts));
        }
    }
}

/// Zones of the machines that logs come from, by the folder that told of them.
struct Zones<'a> {
    told: &'a [(String, Zone)],
    usual: &'a Zone,
}

impl Zones<'_> {
    /// Of the nearest folder above a log; otherwise the zone that was asked for.
    fn of(&self, log: &str) -> &Zone {
        self.told
            .iter()
            .filter(|(folder, _)| log.starts_with(folder.as_str()))
            .max_by_key(|(folder, _)| folder.len())
            .map_or(self.usual, |(_, zone)| zone)
    }
}

fn work(jobs: VecDeque<Job>, wanted: &Wanted, zones: &Zones<'_>) -> Done {
    let jobs: Mutex<(usize, VecDeque<Job>)> = Mutex::new((0, jobs));
    let done = Mutex::new(Done::default());
    let worker = || {
        let mut matcher = Matcher::default();
        loop {
            let next = {
                let mut jobs = lock(&jobs);
                jobs.0 += 1;
                let number = jobs.0;
                jobs.1.pop_front().map(|j| (number, j))
            };
            let Some((number, job)) = next else { break };
            match job {
                Job::Audit(list) => {
                    let mut intake =
                        Intake::new(wanted.zone.clone(), Limits::default(), wanted.port);
                    for log in list {
                        let mut blocks = open(&log);
                        audit_blocks(&mut blocks, &mut intake);
                        lock(&done).skipped.extend(blocks.finish().skipped);
                    }
                    lock(&done).audit = Some(intake);
                }
                Job::Logs(owner, list) => {
                    let mut digest = wanted.digest();
                    let mut others = Others::default();
                    let mut name = String::new();
                    for log in list {
                        let mut blocks = open(&log);
                        let zone = zones.of(&log.name);
                        digest_blocks(
                            &mut blocks,
                            &mut digest,
                            &owner,
                            (wanted, zone),
                            &mut others,
                        );
                        lock(&done).skipped.extend(blocks.finish().skipped);
                        name = log.name;
                    }
                    let facts = wanted.study(&name, owner, digest.finish(), &mut matcher);
                    let mut done = lock(&done);
                    done.logs.push((number, facts));
                    let told = others.finish().map(|(who, d)| (name.clone(), who, d));
                    done.relayed.extend(told);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..wanted.threads.max(1) {
            scope.spawn(worker);
        }
        worker();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Wanted {
    fn digest(&self) -> Digest {
        let reach = 2 * DAY + 16 * HOUR;
        let edge = |t: Option<&i64>, by: i64, none: i64| t.map_or(none, |t| t.saturating_add(by));
        Digest::new(
            Time(edge(self.events.first(), -reach, i64::MIN)),
            Time(edge(self.events.last(), reach, i64::MAX)),
            self.needles.clone(),
        )
    }

    fn study(&self, name: &str, owner: Owner, log: Digested, matcher: &mut Matcher) -> LogFacts {
        LogFacts::study(name, owner, log, &self.events, matcher)
    }

    fn year(&self) -> i32 {
        let first = self.events.first().map_or(Time(0), |t| Time(*t));
        self.zone.civil(first).year
    }
}

fn open(log: &Log) -> Blocks {
    let input = Input {
        name: log.name.clone(),
        origin: Origin::File(log.path.clone()),
        set: 0,
        mtime: None,
        size: None,
        shared: false,
    };
    Blocks::open(&input, 0)
}

fn audit_blocks(blocks: &mut Blocks, intake: &mut Intake) {
    let mut spare = Vec::new();
    while let Some(block) = blocks.next(std::mem::take(&mut spare)) {
        intake.block(&block.bytes);
        spare = block.bytes;
    }
    intake.end_of_log();
}

/// An archive, packed or not.
fn open_archive(path: &Path) -> Result<Archive, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err("is a folder".to_owned());
    }
    Archive::from_stream(
        crate::source::unpacked(Box::new(file)),
        ArchiveLimits::default(),
    )
}

/// A whole entry, unpacked if it is packed itself.
fn whole(entry: &archive::Entry) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let mut out = Vec::new();
    crate::source::unpacked(entry.stream())
        .take(MAX_DOCUMENT)
        .read_to_end(&mut out)
        .map_err(|e| e.to_string())?;
    Ok(out)
}

fn read_small_entries(path: &Path, small: &mut Small, skip: &mut Vec<Skipped>) {
    let mut archive = match open_archive(path) {
        Ok(a) => a,
        Err(e) => {
            skip.push(skipped(
                &path.display().to_string(),
                e,
                "give a folder, or a tar archive of it, packed or not",
            ));
            return;
        }
    };
    while let Some(entry) = archive.next() {
        match entry {
            Ok(entry) => {
                let role = role(&entry.name, &unpacked_head(entry.peek(PACKED_HEAD)));
                if !matches!(role, Role::Audit | Role::Log | Role::Other) {
                    match whole(&entry) {
                        Ok(bytes) => small.take(role, &entry.name, &bytes),
                        Err(e) => skip.push(skipped(&entry.name, e, "the archive is damaged")),
                    }
                }
            }
            Err(e) => {
                skip.push(skipped(
                    &path.display().to_string(),
                    e,
                    "what came before was read",
                ));
                break;
            }
        }
    }
}

/// The logs of an archive, read in the order in which they stand in it.
struct Archived<'a> {
    path: &'a Path,
    wanted: &'a Wanted,
    zones: &'a Zones<'a>,
    owners: &'a mut Owners,
    runs: &'a Runs,
}

impl Archived<'_> {
    fn read(self, done: &mut Done, skip: &mut Vec<Skipped>) {
        let Ok(mut archive) = open_archive(self.path) else {
            return; // said already
        };
        let mut matcher = Matcher::default();
        let mut open: Option<(Owner, String, Digest)> = None;
        let mut shared: BTreeMap<String, (String, Digest)> = BTreeMap::new();
        let mut others = Others::default();
        let mut number = 1_000_000;
        let mut close = |open: &mut Option<(Owner, String, Digest)>, done: &mut Done| {
            if let Some((owner, name, digest)) = open.take() {
                number += 1;
                let facts = self
                    .wanted
                    .study(&name, owner, digest.finish(), &mut matcher);
                done.logs.push((number, facts));
            }
        };
        while let Some(Ok(entry)) = archive.next() {
            let head = unpacked_head(entry.peek(PACKED_HEAD));
            match role(&entry.name, &head) {
                Role::Audit => {
                    let intake = done.audit.get_or_insert_with(|| {
                        Intake::new(
                            self.wanted.zone.clone(),
                            Limits::default(),
                            self.wanted.port,
                        )
                    });
                    let mut blocks = Blocks::from_stream(&entry.name, 0, entry.stream());
                    audit_blocks(&mut blocks, intake);
                    skip.extend(blocks.finish().skipped);
                }
                Role::Log => {
                    let zone = self.zones.of(&entry.name);
                    let owner = match self.owners.of(&entry.name, &head) {
                        Some(id) => Owner::Container(self.runs.whose(id)),
                        None => Owner::Node,
                    };
                    // Runs of a job lie here and there.
                    if let Owner::Container(id) = &owner
                        && self.runs.0.contains_key(id)
                    {
                        let (_, digest) = shared
                            .entry(id.clone())
                            .or_insert_with(|| (entry.name.clone(), self.wanted.digest()));
                        let mut blocks = Blocks::from_stream(&entry.name, 0, entry.stream());
                        let from = (self.wanted, zone);
                        digest_blocks(&mut blocks, digest, &owner, from, &mut others);
                        skip.extend(blocks.finish().skipped);
                        continue;
                    }
                    let goes_on =
                        matches!(&open, Some((o, ..)) if *o == owner && owner != Owner::Node);
                    if !goes_on {
                        close(&mut open, done);
                        open = Some((owner.clone(), entry.name.clone(), self.wanted.digest()));
                    }
                    if let Some((_, _, digest)) = &mut open {
                        let mut blocks = Blocks::from_stream(&entry.name, 0, entry.stream());
                        let from = (self.wanted, zone);
                        digest_blocks(&mut blocks, digest, &owner, from, &mut others);
                        skip.extend(blocks.finish().skipped);
                    }
                    let told = std::mem::take(&mut others).finish();
                    done.relayed
                        .extend(told.map(|(who, d)| (entry.name.clone(), who, d)));
                }
                _ => {}
            }
        }
        close(&mut open, done);
        for (id, (name, digest)) in shared {
            close(&mut Some((Owner::Container(id), name, digest)), done);
        }
    }
}
