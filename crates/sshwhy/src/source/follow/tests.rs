//! A writer that rotates in every way against a reader that is stopped at any moment: every line once.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::source::testing::Scratch;
use std::io::Write;

/// Small, fast, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn append(path: &Path, text: &str) {
    let mut f = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    f.write_all(text.as_bytes()).unwrap();
}

/// Who writes the log and rotates it.
struct Writer {
    dir: PathBuf,
    log: PathBuf,
    written: u64,
    /// Between the steps of a rotation.
    pause: Duration,
}

/// What a reader has taken in, and what of it was committed.
struct World {
    writer: Writer,
    _dir: Scratch,
    seen: Vec<u64>,
    committed: (usize, Vec<Position>),
    follow: Option<Follow>,
}

/// Which lines of the log these are.
fn numbers(lines: &[u8]) -> Vec<u64> {
    let lines = std::str::from_utf8(lines).unwrap().lines();
    lines
        .map(|line| line.split(' ').nth(1).unwrap().parse().unwrap())
        .collect()
}

impl Writer {
    fn write(&mut self, n: u64) {
        let mut text = String::new();
        for _ in 0..n {
            self.written += 1;
            text.push_str(&format!("line {} of the log\n", self.written));
        }
        append(&self.log, &text);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// auth.log.1 → auth.log.2.gz and so on; none is thrown away.
    fn shift(&self) {
        for n in (1..100u32).rev() {
            for ending in ["", ".gz"] {
                let from = self.path(&format!("auth.log.{n}{ending}"));
                if from.exists() {
                    std::fs::rename(&from, self.path(&format!("auth.log.{}{ending}", n + 1)))
                        .unwrap();
                    std::thread::sleep(self.pause);
                }
            }
        }
    }

    fn pack(&self, n: u32) {
        let plain = self.path(&format!("auth.log.{n}"));
        if let Ok(bytes) = std::fs::read(&plain) {
            let bytes = crate::source::testing::gzip(&bytes);
            let mut packed = File::create(self.path(&format!("auth.log.{n}.gz"))).unwrap();
            for piece in bytes.chunks(bytes.len() / 2 + 1) {
                packed.write_all(piece).unwrap();
                std::thread::sleep(self.pause);
            }
            std::fs::remove_file(&plain).unwrap();
        }
    }

    fn rename(&self) {
        self.shift();
        if self.log.exists() {
            std::fs::rename(&self.log, self.path("auth.log.1")).unwrap();
            std::thread::sleep(self.pause);
        }
    }

    fn copytruncate(&self) {
        self.shift();
        if self.log.exists() {
            // As cp does, and logrotate: a piece after another.
            let bytes = std::fs::read(&self.log).unwrap();
            let mut copy = File::create(self.path("auth.log.1")).unwrap();
            for piece in bytes.chunks(bytes.len() / 3 + 1) {
                std::thread::sleep(self.pause);
                copy.write_all(piece).unwrap();
            }
            std::thread::sleep(self.pause);
            std::fs::File::options()
                .write(true)
                .open(&self.log)
                .unwrap()
                .set_len(0)
                .unwrap();
        }
    }
}

impl std::ops::Deref for World {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.writer
    }
}

impl std::ops::DerefMut for World {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }
}

impl World {
    fn new() -> World {
        let dir = Scratch::new();
        let writer = Writer {
            dir: dir.path().to_owned(),
            log: dir.path().join("auth.log"),
            written: 0,
            pause: Duration::ZERO,
        };
        World {
            writer,
            _dir: dir,
            seen: Vec::new(),
            committed: (0, Vec::new()),
            follow: None,
        }
    }

    fn start(&mut self) {
        let positions = self.committed.1.clone();
        self.follow = Some(Follow::start(&self.log, positions, true));
    }

    /// At most so many blocks.
    fn read(&mut self, blocks: usize) {
        let Some(f) = &mut self.follow else { return };
        let mut buf = Vec::new();
        for _ in 0..blocks {
            match f.next(&mut buf) {
                Got::Nothing => return,
                Got::Lines(Lane::Known) => {}
                Got::Lines(_) => self.seen.extend(numbers(&buf)),
            }
        }
    }

    fn commit(&mut self) {
        if let Some(f) = &self.follow {
            self.committed = (self.seen.len(), f.positions());
        }
    }

    /// kill -9: what was not committed never happened.
    fn crash(&mut self) {
        self.follow = None;
        self.seen.truncate(self.committed.0);
    }

    fn check(&mut self, what: &str) {
        if self.follow.is_none() {
            self.start();
        }
        self.read(10_000);
        let mut times = vec![0u32; self.written as usize + 1];
        for n in &self.seen {
            times[*n as usize] += 1;
        }
        let wrong: Vec<(usize, u32)> = times
            .into_iter()
            .enumerate()
            .skip(1)
            .filter(|(_, t)| *t != 1)
            .collect();
        assert!(
            wrong.is_empty(),
            "{what}: {} of {} lines, from {:?} to {:?} (line, times), said {:?}",
            wrong.len(),
            self.written,
            wrong.first(),
            wrong.last(),
            self.follow.as_ref().unwrap().said
        );
    }
}

#[test]
fn every_line_comes_once_through_any_rotation_and_any_crash() {
    for seed in 1..=60u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut w = World::new();
        w.write(3);
        w.start();
        w.read(1);
        w.commit();
        for _ in 0..60 {
            match dice.roll(12) {
                0..4 => {
                    let n = 1 + dice.roll(40);
                    w.write(n);
                }
                4 | 5 => w.read(1),
                6 => w.commit(),
                7 => {
                    w.crash();
                    w.start();
                }
                8 => {
                    // Down for a while.
                    w.crash();
                    let n = 1 + dice.roll(9);
                    w.write(n);
                    if dice.roll(2) == 0 {
                        w.rename();
                        w.write(2);
                    }
                    w.start();
                }
                9 => {
                    w.rename();
                    w.write(1);
                }
                10 => {
                    w.copytruncate();
                    let n = dice.roll(3);
                    w.write(n);
                }
                _ => w.pack(1),
            }
            if dice.roll(5) == 0 {
                w.read(1000);
                w.commit();
            }
        }
        w.check(&format!("seed {seed}"));
    }
}

/// What a list was made of may be another thing when it is looked at: the writer does not wait.
#[test]
fn every_line_comes_once_while_somebody_rotates_at_the_same_time() {
    let worlds: u64 = std::env::var("SSHWHY_ROUNDS")
        .ok()
        .and_then(|r| r.parse().ok())
        .unwrap_or(20);
    for seed in 1..=worlds {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut w = World::new();
        w.write(3);
        let mut writer = Writer {
            dir: w.dir.clone(),
            log: w.log.clone(),
            written: w.written,
            pause: Duration::ZERO,
        };
        let mut theirs = Dice(dice.0 ^ 0x5555);
        let busy = std::thread::spawn(move || {
            for _ in 0..60 {
                let n = 1 + theirs.roll(200);
                writer.write(n);
                std::thread::sleep(Duration::from_micros(theirs.roll(3000)));
                writer.pause = Duration::from_micros(theirs.roll(3) * theirs.roll(300));
                match theirs.roll(9) {
                    0 | 1 => {
                        writer.rename();
                        append(&writer.log, "");
                        if theirs.roll(2) == 0 {
                            writer.pack(2);
                        }
                    }
                    2 => writer.copytruncate(),
                    _ => {}
                }
            }
            writer.written
        });
        w.start();
        while !busy.is_finished() {
            match dice.roll(30) {
                0 => {
                    w.crash();
                    std::thread::sleep(Duration::from_micros(dice.roll(4000)));
                    w.start();
                }
                1..8 => w.commit(),
                _ => {
                    w.read(1);
                    std::thread::sleep(Duration::from_micros(dice.roll(400)));
                }
            }
        }
        w.written = busy.join().unwrap();
        w.check(&format!("seed {seed}"));
    }
}

#[test]
fn a_compressed_predecessor_is_read_to_its_end() {
    let mut w = World::new();
    w.write(100);
    w.start();
    w.read(1);
    w.commit();
    w.crash();
    w.write(50);
    w.rename();
    w.pack(1);
    w.write(7);
    w.check("renamed and packed while down");
    assert!(w.follow.as_ref().unwrap().said.is_empty());
}

#[test]
fn a_link_that_is_switched_is_followed() {
    let mut w = World::new();
    let (a, b) = (w.path("day1"), w.path("day2"));
    std::fs::write(&a, "line 1 of the log\n").unwrap();
    std::os::unix::fs::symlink(&a, &w.log).unwrap();
    w.written = 1;
    w.start();
    w.read(10);
    w.commit();
    let switch = |to: &Path, log: &Path| {
        let next = log.with_extension("next");
        std::os::unix::fs::symlink(to, &next).unwrap();
        std::fs::rename(&next, log).unwrap();
    };
    append(&a, "line 2 of the log\n");
    append(&b, "line 3 of the log\n");
    switch(&b, &w.log);
    w.written = 3;
    w.check("switched while it runs");
    w.commit();
    w.crash();
    append(&b, "line 4 of the log\n");
    append(&a, "line 5 of the log\n");
    switch(&a, &w.log);
    w.written = 5;
    // What the link leads to now was read before: its inode is a position's no more, its text is.
    w.start();
    w.read(10);
    assert!(w.seen.contains(&4) && w.seen.contains(&5), "{:?}", w.seen);
}

#[test]
fn a_large_backlog_waits_behind_the_end() {
    let mut w = World::new();
    w.write(10);
    w.start();
    w.read(1);
    w.commit();
    w.crash();
    w.write(1_100_000);
    w.start();
    append(&w.log, "line 1100011 of the log\n");
    w.written += 1;
    let mut f = w.follow.take().unwrap();
    let mut buf = Vec::new();
    let (mut known, mut live) = (Vec::new(), Vec::new());
    let last = loop {
        match f.next(&mut buf) {
            Got::Lines(Lane::Known) if live.is_empty() => known.extend(numbers(&buf)),
            Got::Lines(Lane::Live) => live.extend(numbers(&buf)),
            other => break other,
        }
    };
    // The newest first, with what lies just before it; the past behind it.
    assert_eq!(live.last(), Some(&1_100_011));
    assert_eq!(known.last().map(|n| n + 1), live.first().copied());
    assert!(known.len() as u64 >= RECENT / 30, "{}", known.len());
    assert!(live.len() as u64 <= RECENT / 20, "{}", live.len());
    assert_eq!(last, Got::Lines(Lane::Behind));
    assert!(f.is_behind());
    w.seen.extend(live);
    w.follow = Some(f);
    // Stopped in the middle of it: it goes on there.
    w.seen.extend(numbers(&buf));
    w.commit();
    w.crash();
    w.check("backlog");
}

#[test]
fn a_line_is_taken_in_when_it_is_whole_and_a_gap_is_said() {
    let mut w = World::new();
    w.write(1);
    w.start();
    w.read(5);
    append(&w.log, "line 2 of");
    w.read(5);
    assert_eq!(w.seen, [1]);
    append(&w.log, " the log\n");
    w.written = 2;
    w.check("whole");
    w.commit();
    w.crash();
    std::fs::remove_file(&w.log).unwrap();
    std::fs::write(&w.log, "line 3 of the log, of another file\n").unwrap();
    w.start();
    assert_eq!(w.follow.as_ref().unwrap().said.len(), 1);
    w.read(5);
    assert_eq!(w.seen, [1, 2, 3]);
}

#[test]
fn a_folder_that_is_gone_comes_back() {
    let mut w = World::new();
    w.write(5);
    w.start();
    w.read(5);
    w.commit();
    std::fs::remove_dir_all(&w.dir).unwrap();
    w.read(5);
    std::fs::create_dir_all(&w.dir).unwrap();
    w.write(5);
    w.check("made anew");
}

#[test]
fn the_past_of_a_new_log_is_read_behind_its_end() {
    let mut w = World::new();
    w.write(100_000);
    let mut f = Follow::start(&w.log, Vec::new(), false);
    let mut buf = Vec::new();
    let (mut live, mut behind) = (Vec::new(), Vec::new());
    loop {
        match f.next(&mut buf) {
            // What is recent was there first.
            Got::Lines(Lane::Live) if behind.is_empty() => live.extend(numbers(&buf)),
            Got::Lines(Lane::Behind) => behind.extend(numbers(&buf)),
            Got::Lines(Lane::Known) if live.is_empty() => {}
            Got::Nothing => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(live.last(), Some(&100_000));
    assert!(live.len() as u64 <= RECENT / 20, "{}", live.len());
    behind.extend(live);
    assert_eq!(behind, (1..=100_000).collect::<Vec<_>>());
    w.write(1);
    assert_eq!(f.next(&mut buf), Got::Lines(Lane::Live));
    assert_eq!(buf, b"line 100001 of the log\n");
    assert_eq!(f.next(&mut buf), Got::Nothing);
}

#[test]
fn what_was_never_read_of_an_emptied_log_is_read_from_its_copy() {
    // While it runs: the log was empty when it was looked at last, so nothing of it is known but its inode.
    let mut w = World::new();
    append(&w.log, "");
    w.start();
    w.read(5);
    w.commit();
    w.write(3);
    w.copytruncate();
    w.write(2);
    w.check("emptied while it runs");
    // Between two starts.
    let mut w = World::new();
    append(&w.log, "");
    w.start();
    w.read(5);
    w.commit();
    w.crash();
    w.write(3);
    w.copytruncate();
    w.write(2);
    w.check("emptied while down");
}

#[test]
fn several_rotations_between_two_looks_lose_nothing() {
    let mut w = World::new();
    w.write(5);
    w.start();
    w.read(5);
    for _ in 0..3 {
        w.write(4);
        w.copytruncate();
    }
    w.write(1);
    w.rename();
    w.pack(2);
    w.write(2);
    w.copytruncate();
    w.check("while it runs");
    w.commit();
    w.crash();
    for _ in 0..3 {
        w.write(4);
        w.copytruncate();
        w.write(2);
        w.rename();
        w.pack(1);
    }
    w.write(1);
    w.check("while down");
    assert_eq!(w.follow.as_ref().unwrap().said, Vec::<String>::new());
}

#[test]
fn where_the_place_itself_is_gone_all_that_is_newer_is_still_read() {
    let mut w = World::new();
    w.write(5);
    w.start();
    w.read(5);
    w.commit();
    w.crash();
    w.rename();
    w.write(6);
    w.rename();
    w.write(7);
    // Thrown away with everything read in it.
    std::fs::remove_file(w.path("auth.log.2")).unwrap();
    w.check("the oldest is gone");
    assert_eq!(w.follow.as_ref().unwrap().said.len(), 1);
}

#[test]
fn a_rotated_log_that_was_not_made_anew_is_not_read_twice() {
    let mut w = World::new();
    w.write(5);
    w.start();
    w.read(5);
    w.commit();
    w.crash();
    w.rename();
    w.start();
    w.read(5);
    // Long enough without a byte.
    let f = w.follow.as_mut().unwrap();
    for r in &mut f.before {
        r.quiet = Instant::now().checked_sub(DRAINED * 2).unwrap();
    }
    w.read(5);
    assert!(w.follow.as_ref().unwrap().before.is_empty());
    w.commit();
    w.crash();
    w.check("nothing twice");
    w.pack(1);
    w.write(3);
    w.commit();
    w.crash();
    w.check("packed, and a new one");
}

#[test]
fn a_copy_that_is_made_before_the_log_is_emptied_is_read_once() {
    for started in [false, true] {
        let mut w = World::new();
        w.write(30);
        if started {
            w.start();
            w.read(5);
            w.commit();
            w.write(20);
        }
        std::fs::copy(&w.log, w.path("auth.log.1")).unwrap();
        if !started {
            w.start();
        }
        w.read(1000);
        std::fs::File::options()
            .write(true)
            .open(&w.log)
            .unwrap()
            .set_len(0)
            .unwrap();
        w.write(4);
        w.check("copied, looked at, emptied");
        w.commit();
        w.crash();
        w.check("and after a crash");
    }
}

#[test]
fn a_log_that_was_replaced_by_a_copy_of_itself_is_not_read_again() {
    let mut w = World::new();
    w.write(30);
    w.start();
    w.read(5);
    w.write(2);
    std::fs::copy(&w.log, w.path("new")).unwrap();
    std::fs::rename(w.path("new"), &w.log).unwrap();
    w.write(3);
    w.check("replaced");
    w.commit();
    w.crash();
    std::fs::copy(&w.log, w.path("new")).unwrap();
    std::fs::rename(w.path("new"), &w.log).unwrap();
    w.write(3);
    w.check("replaced while down");
}

#[test]
fn a_link_whose_log_is_rotated_beside_what_it_leads_to_is_read_to_the_end() {
    let mut w = World::new();
    let real = w.path("disk");
    std::fs::create_dir(&real).unwrap();
    let log = real.join("secure");
    append(&log, "line 1 of the log\n");
    std::os::unix::fs::symlink(&log, &w.log).unwrap();
    w.written = 1;
    w.start();
    w.read(5);
    w.commit();
    w.crash();
    append(&log, "line 2 of the log\n");
    std::fs::rename(&log, real.join("secure.2")).unwrap();
    append(&real.join("secure.1"), "line 3 of the log\n");
    append(&log, "line 4 of the log\n");
    w.written = 4;
    w.check("rotated where it is");
    assert_eq!(w.follow.as_ref().unwrap().said, Vec::<String>::new());
}

#[test]
fn logs_that_begin_alike_are_told_apart_by_their_ends() {
    let mut w = World::new();
    let same = "the same first line of every log, as some programs write it, over and over and over again, for ever\n".repeat(3);
    let numbers = |w: &mut World, n: u64| w.write(n);
    append(&w.log, &same);
    let mut f = Follow::start(&w.log, Vec::new(), true);
    let mut buf = Vec::new();
    let mut seen = String::new();
    let mut read = |f: &mut Follow, seen: &mut String| {
        while f.next(&mut buf) != Got::Nothing {
            seen.push_str(std::str::from_utf8(&buf).unwrap());
        }
    };
    read(&mut f, &mut seen);
    numbers(&mut w, 3);
    read(&mut f, &mut seen);
    let positions = f.positions();
    drop(f);
    std::fs::rename(&w.log, w.path("auth.log.1")).unwrap();
    append(&w.log, &same);
    numbers(&mut w, 50);
    let mut f = Follow::start(&w.log, positions, true);
    read(&mut f, &mut seen);
    let lines: Vec<&str> = seen.lines().filter(|l| l.starts_with("line ")).collect();
    assert_eq!(lines.len(), 53, "{lines:?}");
    assert_eq!(seen.lines().count(), 53 + 6);
}
