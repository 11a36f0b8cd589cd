//! Arguments to inputs: what is read, in which order, and what is left out and why.
//!
//! - A file is read whatever its name is; its rotated siblings are not added unasked, but mentioned.
//! - A folder is walked; in it only files are read whose content is a log.
//! - A pattern is expanded as a shell would, where no file has that very name.
//! - Rotated copies of one log are put in order, oldest first, where the first of them was named.
//! - The same file (by device and inode) is read once; so is a rotated copy that exists both plain and packed.

use super::journal::{self, is_journal};
use super::machine;
use super::open::{self, Opened, Problem};
use super::rotation::{self, Age, Rotation, rotation};
use super::unpack::{Stream, Unpacked, unpack};
use super::{Expanded, Input, Origin};
use sshwhy_core::line::{LineParser, Years};
use sshwhy_core::report::Skipped;
use sshwhy_core::time::{Time, Zone};
use sshwhy_core::transcode::sniff::looks_like_log;
use sshwhy_core::transcode::{Form, Sniff};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How deep folders are walked, and how many files are looked at in one argument.
const MAX_DEPTH: usize = 24;
const MAX_FILES: usize = 100_000;

/// The logs of the machine whose root folder this is: `/`, or where a disk is mounted.
pub fn own(root: &Path) -> Expanded {
    let mut walk = Walk::default();
    walk.machine(root);
    walk.done()
}

/// What the arguments name, in the order in which it is to be read.
pub fn expand(args: &[OsString]) -> Expanded {
    let mut walk = Walk::default();
    for arg in args {
        walk.argument(Path::new(arg));
    }
    walk.done()
}

#[derive(Debug)]
struct Found {
    path: PathBuf,
    meta: Option<Metadata>,
    rotation: Rotation,
    /// Named by the user, not met in a folder.
    asked: bool,
}

#[derive(Default)]
struct Walk {
    found: Vec<Found>,
    /// Files by device and inode.
    files: HashSet<(u64, u64)>,
    folders: HashSet<(u64, u64)>,
    stdin: bool,
    /// A machine's own logs are among them.
    machines: bool,
    out: Expanded,
}

impl Walk {
    fn skip(&mut self, path: &Path, problem: Problem) {
        self.out.skipped.push(Skipped {
            name: shown(path),
            what: problem.what,
            advice: problem.advice,
            bytes_read: 0,
            lines_read: 0,
        });
    }

    fn argument(&mut self, path: &Path) {
        if open::is_stdin(path) {
            if !std::mem::replace(&mut self.stdin, true) {
                self.found.push(Found {
                    path: PathBuf::from("-"),
                    meta: None,
                    rotation: rotation("-"),
                    asked: true,
                });
            }
            return;
        }
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => self.folder_argument(path, &meta),
            Ok(meta) => self.file(path, meta, true),
            Err(error) => match expand_glob(path) {
                Some(paths) if paths.is_empty() => self.skip(
                    path,
                    Problem::new("no file fits this pattern", "check the folder and the name"),
                ),
                Some(paths) => {
                    for path in paths {
                        match std::fs::metadata(&path) {
                            Ok(meta) if meta.is_dir() => self.folder_argument(&path, &meta),
                            Ok(meta) => self.file(&path, meta, true),
                            Err(error) => self.skip(&path, Problem::opening(&path, &error)),
                        }
                    }
                }
                None => self.skip(path, Problem::opening(path, &error)),
            },
        }
    }

    fn file(&mut self, path: &Path, meta: Metadata, asked: bool) {
        let special = !meta.is_file();
        if special
            && path != Path::new("/dev/null")
            && let Err(problem) = open::check_kind(&meta)
        {
            self.skip(path, problem);
            return;
        }
        // Two names of one pipe are one pipe, too.
        if !self.files.insert((meta.dev(), meta.ino())) {
            return;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.found.push(Found {
            path: path.to_owned(),
            rotation: rotation(&name),
            meta: Some(meta),
            asked,
        });
    }

    fn machine(&mut self, root: &Path) {
        let machine::Found {
            paths,
            records,
            looked_at,
        } = machine::find(root);
        if paths.is_empty() {
            self.skip(
                &root.join("var/log"),
                Problem::new(
                    "no log of sshd found",
                    "sshd may log elsewhere (SyslogFacility, `-E FILE`, a container's output): name the file",
                ),
            );
        }
        self.out.looked_at.push(looked_at);
        self.machines = true;
        for path in paths.into_iter().chain(records) {
            match std::fs::metadata(&path) {
                Ok(meta) => self.file(&path, meta, false),
                Err(error) => self.skip(&path, Problem::opening(&path, &error)),
            }
        }
    }

    fn folder_argument(&mut self, path: &Path, meta: &Metadata) {
        if machine::is_root(path) {
            self.out.notes.push(format!(
                "{}: taken for a machine's disk, its own logs are read",
                shown(path)
            ));
            return self.machine(path);
        }
        let mut tally = Tally::default();
        self.folder(path, meta, 0, &mut tally);
        if tally.files >= MAX_FILES {
            self.skip(
                path,
                Problem::new(
                    format!("holds more than {MAX_FILES} files: the others were not looked at"),
                    "name the folder with the logs in it",
                ),
            );
        }
        if tally.picked == 0 {
            self.skip(
                path,
                Problem::new(
                    format!(
                        "a folder without logs in it ({} files looked at)",
                        tally.files
                    ),
                    "name the folder with auth.log, secure or the journal in it",
                ),
            );
        } else if tally.files > tally.picked {
            self.out.notes.push(format!(
                "{}: {} of {} files are logs and are read",
                shown(path),
                tally.picked,
                tally.files
            ));
        }
    }

    fn folder(&mut self, path: &Path, meta: &Metadata, depth: usize, tally: &mut Tally) {
        // A link back to a folder above would never end.
        if !self.folders.insert((meta.dev(), meta.ino())) {
            return;
        }
        if depth > MAX_DEPTH {
            self.skip(
                path,
                Problem::new(
                    format!("more than {MAX_DEPTH} folders deep"),
                    "name it as an argument of its own",
                ),
            );
            return;
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                self.skip(path, Problem::opening(path, &error));
                return;
            }
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
        paths.sort();
        for path in paths {
            match std::fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => self.folder(&path, &meta, depth + 1, tally),
                Ok(meta) if meta.is_file() => {
                    if tally.files >= MAX_FILES {
                        return;
                    }
                    tally.files += 1;
                    match pick(&path) {
                        Ok(true) => {
                            tally.picked += 1;
                            self.file(&path, meta, false);
                        }
                        Ok(false) => {}
                        Err(problem) => self.skip(&path, problem),
                    }
                }
                // Sockets, devices and pipes are no logs; a dangling link is none of ours.
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => self.skip(&path, Problem::opening(&path, &error)),
            }
        }
    }

    fn done(mut self) -> Expanded {
        // Sets in the order of their first member. All journals of one folder are a set.
        let mut order: HashMap<(PathBuf, Option<String>), u32> = HashMap::new();
        let mut sets: BTreeMap<u32, Vec<Found>> = BTreeMap::new();
        let mut journals = HashSet::new();
        for found in std::mem::take(&mut self.found) {
            let folder = found.path.parent().unwrap_or(Path::new("")).to_owned();
            let file = found.meta.as_ref().is_some_and(Metadata::is_file);
            let journal = file && is_journal(&found.path);
            let base = (!journal).then(|| found.rotation.base.clone());
            let next = u32::try_from(order.len()).unwrap_or(u32::MAX);
            let set = *order.entry((folder, base)).or_insert(next);
            if journal {
                journals.insert(set);
            }
            sets.entry(set).or_default().push(found);
        }
        let mixed = !journals.is_empty() && journals.len() < sets.len();
        let mut inputs: Vec<Vec<Input>> = Vec::new();
        for (set, mut members) in sets {
            if journals.contains(&set) {
                if members.iter().all(|m| m.asked) {
                    self.mention_siblings(&members);
                }
                inputs.push(vec![journal_input(set, members)]);
                continue;
            }
            rotation::sort(&mut members, |f| {
                (
                    &f.rotation.age,
                    f.meta.as_ref().map(open::mtime),
                    f.path.to_str().unwrap_or(""),
                )
            });
            self.drop_packed_twins(&mut members);
            if members.iter().all(|m| m.asked) {
                self.mention_siblings(&members);
            }
            inputs.push(
                members
                    .into_iter()
                    .map(|found| file_input(set, found))
                    .collect(),
            );
        }
        // A log and the journal of one machine: what began earlier is read first, so that the other only goes on.
        if self.machines || mixed {
            for input in inputs.iter_mut().flatten() {
                input.shared = !is_login_records(input);
            }
            inputs.sort_by_key(|set| {
                let records = set.first().is_some_and(is_login_records);
                (records, set.first().and_then(begin).unwrap_or(i64::MAX))
            });
        }
        self.out.inputs = inputs.into_iter().flatten().collect();
        self.out
    }

    /// `auth.log.2` beside `auth.log.2.gz` with the same beginning: the packing was interrupted, or somebody unpacked it.
    fn drop_packed_twins(&mut self, members: &mut Vec<Found>) {
        let mut dropped = Vec::new();
        for (i, packed) in members
            .iter()
            .enumerate()
            .filter(|(_, m)| m.rotation.packed)
        {
            let twin = members
                .iter()
                .enumerate()
                .find(|(j, m)| {
                    i != *j
                        && m.rotation.age == packed.rotation.age
                        && (!m.rotation.packed || *j < i)
                        && !dropped.contains(j)
                })
                .map(|(_, m)| m);
            if let Some(twin) = twin
                && same_beginning(&packed.path, &twin.path)
            {
                dropped.push(i);
                self.out.notes.push(format!(
                    "{} is a packed copy of {} and is left out",
                    shown(&packed.path),
                    shown(&twin.path)
                ));
            }
        }
        let mut i = 0;
        members.retain(|_| {
            i += 1;
            !dropped.contains(&(i - 1))
        });
    }

    fn mention_siblings(&mut self, members: &[Found]) {
        let Some(first) = members
            .first()
            .filter(|f| f.meta.as_ref().is_some_and(Metadata::is_file))
        else {
            return;
        };
        let folder = match first.path.parent() {
            Some(p) if p != Path::new("") => p,
            _ => Path::new("."),
        };
        let base = &first.rotation.base;
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        let mut siblings: Vec<String> = entries
            .take(MAX_FILES)
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter(|name| {
                let r = rotation(name);
                r.base == *base && r.age != Age::Current
            })
            .filter(|name| {
                !members
                    .iter()
                    .any(|m| m.path.file_name().is_some_and(|f| f == name.as_str()))
            })
            .collect();
        siblings.sort();
        let (Some(one), count) = (siblings.first(), siblings.len()) else {
            return;
        };
        let others = if count == 1 {
            one.clone()
        } else {
            format!("{one} and {} more", count - 1)
        };
        self.out.notes.push(format!(
            "{} has rotated copies that were not named and are not read: {others}",
            shown(&folder.join(base)),
        ));
    }
}

#[derive(Default)]
struct Tally {
    files: usize,
    picked: usize,
}

/// The paths of a pattern in order; `None` when it is no pattern.
fn expand_glob(path: &Path) -> Option<Vec<PathBuf>> {
    let pattern = path.to_str()?;
    if !pattern.contains(['*', '?', '[']) {
        return None;
    }
    let paths = glob::glob(pattern).ok()?;
    Some(paths.take(MAX_FILES).filter_map(Result::ok).collect())
}

/// Whether a file met in a folder is a log; an error when it holds records that we cannot read.
fn pick(path: &Path) -> Result<bool, Problem> {
    let Unpacked { sniff, head, .. } = match peek(path)? {
        Some(unpacked) => unpacked,
        None => return Ok(false),
    };
    Ok(match sniff {
        Sniff::Empty | Sniff::Packed(_) => false,
        Sniff::Unreadable(u) if u.holds_records => return Err(Problem::new(u.what, u.advice)),
        Sniff::Unreadable(_) => false,
        Sniff::Form(Form::Lines) => looks_like_log(&head),
        Sniff::Form(Form::CarriageReturns) => {
            let text: Vec<u8> = head
                .iter()
                .map(|&b| if b == b'\r' { b'\n' } else { b })
                .collect();
            looks_like_log(&text)
        }
        Sniff::Form(Form::Utf16 { .. }) => {
            let text: Vec<u8> = head
                .iter()
                .copied()
                .filter(|b| (1..0x80).contains(b))
                .collect();
            looks_like_log(&text)
        }
        Sniff::Form(Form::Json) => ["MESSAGE", "message", "\"log\""]
            .iter()
            .any(|w| memchr::memmem::find(&head, w.as_bytes()).is_some()),
        // utmp and lastlog repeat what wtmp says.
        Sniff::Form(Form::Utmp) => !matches!(
            path.file_name().and_then(|n| n.to_str()),
            Some("utmp" | "lastlog" | "utmpx")
        ),
        Sniff::Form(
            Form::Octets
            | Form::Cri
            | Form::Export
            | Form::Verbose
            | Form::Journal
            | Form::WindowsXml
            | Form::WindowsText,
        ) => true,
    })
}

/// The beginning of a regular file, unpacked.
fn peek(path: &Path) -> Result<Option<Unpacked>, Problem> {
    match open::open(path, Duration::ZERO)? {
        Opened::Regular { file, .. } => {
            let stream: Stream = Box::new(file);
            Ok(Some(unpack(stream)))
        }
        Opened::Pipe { .. } => Ok(None),
    }
}

fn same_beginning(a: &Path, b: &Path) -> bool {
    let head = |path: &Path| -> Option<Vec<u8>> {
        let unpacked = peek(path).ok()??;
        let mut head = Vec::new();
        Cursor::new(unpacked.head)
            .chain(unpacked.rest)
            .take(16 * 1024)
            .read_to_end(&mut head)
            .ok()?;
        Some(head)
    };
    match (head(a), head(b)) {
        (Some(a), Some(b)) => {
            let n = a.len().min(b.len());
            n > 0 && a.get(..n) == b.get(..n)
        }
        _ => false,
    }
}

fn file_input(set: u32, found: Found) -> Input {
    let file = found.meta.as_ref().filter(|m| m.is_file());
    Input {
        name: shown(&found.path),
        set,
        shared: false,
        mtime: file.map(open::mtime),
        size: file.map(MetadataExt::size),
        origin: if found.meta.is_none() {
            Origin::Stdin
        } else {
            Origin::File(found.path)
        },
    }
}

fn journal_input(set: u32, members: Vec<Found>) -> Input {
    let metas = || members.iter().filter_map(|m| m.meta.as_ref());
    let name = match members.as_slice() {
        [one] => shown(&one.path),
        [first, ..] => shown(&first.path.with_file_name("*.journal")),
        [] => String::new(),
    };
    Input {
        name,
        set,
        shared: false,
        mtime: metas().map(open::mtime).max(),
        size: Some(metas().map(MetadataExt::size).sum()),
        origin: Origin::Journal(members.into_iter().map(|m| m.path).collect()),
    }
}

/// wtmp and btmp say again what the logs say, on purpose.
fn is_login_records(input: &Input) -> bool {
    match &input.origin {
        Origin::File(path) => peek(path)
            .ok()
            .flatten()
            .is_some_and(|u| u.sniff == Sniff::Form(Form::Utmp)),
        Origin::Stdin | Origin::Journal(_) => false,
    }
}

/// Roughly when the lines of an input begin, in seconds since the epoch.
fn begin(input: &Input) -> Option<i64> {
    match &input.origin {
        Origin::Stdin => None,
        Origin::Journal(paths) => journal::begin(paths),
        Origin::File(path) => {
            let head = peek(path).ok()??.head;
            let written = Time::from_secs(input.mtime?);
            let zone = Zone::utc();
            let mut scratch = Vec::new();
            let mut parse = |year| {
                let mut parser = LineParser::new(&zone, Years::starting(year));
                head.split(|&b| b == b'\n')
                    .take(20)
                    .find_map(|line| parser.parse(line, &mut scratch).time)
            };
            let year = written.civil().year;
            let time = parse(year)?;
            // A line is not younger than its file, a day aside for the zone.
            let time = if time.secs() > written.secs() + 86_400 {
                parse(year - 1)?
            } else {
                time
            };
            Some(time.secs())
        }
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, gzip};
    use super::*;

    const LINE: &str =
        "Nov  3 04:05:06 web1 sshd[812]: Invalid user bob from 192.0.2.7 port 50122\n";

    fn names(expanded: &Expanded, below: &Scratch) -> Vec<String> {
        expanded
            .inputs
            .iter()
            .map(|i| {
                i.name
                    .strip_prefix(&format!("{}/", below.path().display()))
                    .unwrap_or(&i.name)
                    .to_owned()
            })
            .collect()
    }

    fn args(scratch: &Scratch, names: &[&str]) -> Vec<OsString> {
        names
            .iter()
            .map(|n| scratch.path().join(n).into_os_string())
            .collect()
    }

    #[test]
    fn rotated_sets_are_put_in_order_and_kept_apart() {
        let dir = Scratch::new();
        for name in [
            "auth.log",
            "auth.log.1",
            "secure",
            "secure-20261101",
            "secure-20261102.gz",
            "b/auth.log",
            "b/auth.log.1",
        ] {
            dir.write(name, LINE.as_bytes());
        }
        dir.write(
            "auth.log.2.gz",
            &gzip(b"Nov  1 04:05:06 web1 sshd[812]: older\n"),
        );
        dir.write(
            "auth.log.10.gz",
            &gzip(b"Oct  1 04:05:06 web1 sshd[812]: oldest\n"),
        );
        let given = args(
            &dir,
            &[
                "auth.log",
                "auth.log.1",
                "auth.log.10.gz",
                "auth.log.2.gz",
                "secure",
                "secure-20261101",
                "b/auth.log.1",
                "b/auth.log",
            ],
        );
        let got = expand(&given);
        assert_eq!(
            names(&got, &dir),
            [
                "auth.log.10.gz",
                "auth.log.2.gz",
                "auth.log.1",
                "auth.log",
                "secure-20261101",
                "secure",
                "b/auth.log.1",
                "b/auth.log"
            ]
        );
        let sets: Vec<u32> = got.inputs.iter().map(|i| i.set).collect();
        assert_eq!(sets, [0, 0, 0, 0, 1, 1, 2, 2]);
        assert!(got.skipped.is_empty(), "{:?}", got.skipped);
        assert_eq!(got.notes.len(), 1, "{:?}", got.notes);
        assert!(
            got.notes[0].ends_with("secure-20261102.gz"),
            "{:?}",
            got.notes
        );
    }

    #[test]
    fn one_file_under_many_names_is_read_once() {
        let dir = Scratch::new();
        dir.write("auth.log", LINE.as_bytes());
        std::fs::hard_link(dir.path().join("auth.log"), dir.path().join("hard")).unwrap();
        std::os::unix::fs::symlink("auth.log", dir.path().join("soft")).unwrap();
        let got = expand(&args(
            &dir,
            &["auth.log", "soft", "hard", "./auth.log", "*"],
        ));
        assert_eq!(names(&got, &dir), ["auth.log"]);
    }

    #[test]
    fn a_packed_twin_is_left_out_and_a_stranger_is_not() {
        let dir = Scratch::new();
        dir.write("auth.log.2", LINE.as_bytes());
        dir.write("auth.log.2.gz", &gzip(LINE.as_bytes()));
        dir.write("auth.log.3", LINE.as_bytes());
        dir.write(
            "auth.log.3.gz",
            &gzip(b"Jan  3 04:05:06 other sshd[812]: another file\n"),
        );
        let got = expand(&args(&dir, &["auth.log*"]));
        assert_eq!(
            names(&got, &dir),
            ["auth.log.3", "auth.log.3.gz", "auth.log.2"]
        );
        assert!(
            got.notes.iter().any(|n| n.contains("packed copy")),
            "{:?}",
            got.notes
        );
    }

    #[test]
    fn a_folder_is_walked_and_only_logs_are_picked() {
        let dir = Scratch::new();
        dir.write("log/auth.log", LINE.as_bytes());
        dir.write("log/auth.log.1.gz", &gzip(LINE.as_bytes()));
        dir.write("log/web7/renamed", LINE.as_bytes());
        dir.write("log/README", b"how to read these logs\n");
        dir.write("log/empty", b"");
        dir.write("log/picture.png", b"\x89PNG\r\n\x1a\n\0\0");
        dir.write("log/Security.evtx", b"ElfFile\0\0\0\0\0");
        std::os::unix::fs::symlink("..", dir.path().join("log/web7/up")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("log/dangling")).unwrap();
        let got = expand(&args(&dir, &["log"]));
        assert_eq!(
            names(&got, &dir),
            ["log/auth.log.1.gz", "log/auth.log", "log/web7/renamed"]
        );
        assert_eq!(got.skipped.len(), 1, "{:?}", got.skipped);
        assert!(got.skipped[0].what.contains("EVTX"));
        let got = expand(&args(&dir, &["log/web7/up/web7"]));
        assert_eq!(
            names(&got, &dir),
            [
                "log/web7/up/web7/renamed",
                "log/web7/up/web7/up/auth.log.1.gz",
                "log/web7/up/web7/up/auth.log"
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_with_advice() {
        let dir = Scratch::new();
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        std::os::unix::fs::symlink("gone", dir.path().join("dangling")).unwrap();
        dir.write("file", b"x\n");
        std::fs::create_dir(dir.path().join("bare")).unwrap();
        let mut given = args(
            &dir,
            &[
                "absent",
                "loop",
                "dangling",
                "file/inside",
                "no*match",
                "bare",
            ],
        );
        given.push("/dev/zero".into());
        let got = expand(&given);
        assert!(got.inputs.is_empty());
        let what: Vec<&str> = got.skipped.iter().map(|s| s.what.as_str()).collect();
        let want = [
            "not found",
            "circle",
            "does not exist",
            "is a file, not a folder",
            "pattern",
            "without logs",
            "a device",
        ];
        assert_eq!(what.len(), want.len(), "{what:?}");
        for (what, want) in what.iter().zip(want) {
            assert!(what.contains(want), "{what} / {want}");
        }
        assert!(got.skipped.iter().all(|s| !s.advice.is_empty()));
    }

    #[test]
    fn a_name_with_pattern_characters_is_taken_literally_when_it_exists() {
        let dir = Scratch::new();
        dir.write("a[1].log", LINE.as_bytes());
        dir.write("a1.log", LINE.as_bytes());
        assert_eq!(
            names(&expand(&args(&dir, &["a[1].log"])), &dir),
            ["a[1].log"]
        );
    }

    #[test]
    fn journals_of_a_folder_are_one_input_and_shared_with_the_text_log() {
        let dir = Scratch::new();
        dir.unpacked("j/system.journal", "system.journal.xz");
        dir.unpacked("j/user-1000.journal", "user-1000.journal.xz");
        let both = expand(&args(&dir, &["j/*.journal"]));
        assert_eq!(names(&both, &dir), ["j/*.journal"]);
        assert!(matches!(&both.inputs[0].origin, Origin::Journal(paths) if paths.len() == 2));
        assert!(!both.inputs[0].shared);
        let one = expand(&args(&dir, &["j/system.journal"]));
        assert_eq!(names(&one, &dir), ["j/system.journal"]);
        // The journal begins on 2026-03-28. What began earlier is read first, whatever the order of the arguments.
        dir.write("early.log", b"2026-03-01T00:00:00Z web1 sshd[812]: x\n");
        dir.write("late.log", b"2026-04-01T00:00:00Z web1 sshd[812]: x\n");
        let mixed = expand(&args(&dir, &["late.log", "j/*.journal", "early.log"]));
        assert_eq!(
            names(&mixed, &dir),
            ["early.log", "j/*.journal", "late.log"]
        );
        assert!(mixed.inputs.iter().all(|i| i.shared));
        // Without a journal nothing is shared: two hosts' logs are two logs.
        let text = expand(&args(&dir, &["late.log", "early.log"]));
        assert_eq!(names(&text, &dir), ["late.log", "early.log"]);
        assert!(text.inputs.iter().all(|i| !i.shared));
    }

    #[test]
    fn a_mounted_disk_is_read_as_the_machine_that_it_is() {
        let dir = Scratch::new();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        dir.write("var/log/auth.log", LINE.as_bytes());
        dir.write("var/log/auth.log.1", LINE.as_bytes());
        dir.write("var/log/nginx/access.log", LINE.as_bytes());
        dir.unpacked("var/log/journal/0123/system.journal", "system.journal.xz");
        let got = expand(&[dir.path().as_os_str().to_owned()]);
        assert_eq!(
            names(&got, &dir),
            [
                "var/log/journal/0123/system.journal",
                "var/log/auth.log.1",
                "var/log/auth.log"
            ]
        );
        assert!(got.inputs.iter().all(|i| i.shared));
        assert!(
            got.looked_at[0].contains("not there: secure"),
            "{:?}",
            got.looked_at
        );
        assert!(got.notes[0].contains("a machine's disk"));
        let empty = Scratch::new();
        let got = own(empty.path());
        assert!(got.inputs.is_empty());
        assert!(got.skipped[0].what.contains("no log of sshd found"));
    }
}
