//! Feeds the pipeline: the blocks of all inputs in order, each with the year of its first line.
//!
//! Logs without years begin in the year that their last change implies: a line is never younger than the file it stands in.
//! A rotated set goes on where the file before it ended.

use crate::source::{Block, Blocks, Expanded, Input, Origin};
use memchr::memchr;
use sshwhy_core::line::{Years, first_year, yearless, yearless_month};
use sshwhy_core::report::Skipped;
use sshwhy_core::time::{Time, Zone};
use std::collections::VecDeque;

/// Plain files up to this size are looked through as a whole for years that pass unseen between two blocks.
const WALKED: u64 = 8 << 20;

/// A block on its way, numbered over all inputs.
#[derive(Debug, Default)]
pub struct Parcel {
    pub seq: u64,
    pub block: Block,
    pub years: Years,
    /// Lines of all inputs before this block.
    pub line_base: u64,
}

pub struct Feed {
    inputs: VecDeque<Input>,
    /// Names in the order of their numbers.
    pub names: Vec<String>,
    /// The log of each input.
    sets: Vec<u32>,
    /// Of the inputs whose lines may stand in another one too: number and log.
    pub shared: Vec<(u32, u32)>,
    zone: Zone,
    /// `--year`
    year: Option<i32>,
    now: Time,
    current: Option<(Input, Blocks)>,
    file: u32,
    years: Option<Years>,
    walk_all: bool,
    set: Option<u32>,
    seq: u64,
    lines: u64,
    pub skipped: Vec<Skipped>,
    pub notes: Vec<String>,
    inferred: Option<(i32, i32)>,
    /// Bytes of finished inputs on the disk, for the progress bar.
    done_bytes: u64,
    pub total_bytes: u64,
}

impl Feed {
    pub fn new(expanded: Expanded, zone: Zone, year: Option<i32>, now: Time) -> Feed {
        Feed {
            total_bytes: expanded.inputs.iter().filter_map(|i| i.size).sum(),
            names: expanded.inputs.iter().map(|i| i.name.clone()).collect(),
            sets: expanded.inputs.iter().map(|i| i.set).collect(),
            shared: (0u32..)
                .zip(&expanded.inputs)
                .filter(|(_, i)| i.shared)
                .map(|(n, i)| (n, i.set))
                .collect(),
            inputs: expanded.inputs.into(),
            zone,
            year,
            now,
            current: None,
            file: 0,
            years: None,
            walk_all: false,
            set: None,
            seq: 0,
            lines: 0,
            skipped: expanded.skipped,
            notes: expanded.notes,
            inferred: None,
            done_bytes: 0,
        }
    }

    /// The log that an input is a part of.
    pub fn set_of(&self, file: u32) -> u32 {
        self.sets.get(file as usize).copied().unwrap_or(file)
    }

    /// Bytes on the disk that were read so far.
    pub fn progress(&self) -> u64 {
        self.done_bytes + self.current.as_ref().map_or(0, |(_, b)| b.progress().0)
    }

    /// The next block; `spare` is a buffer for it.
    pub fn next(&mut self, mut spare: Vec<u8>) -> Option<Parcel> {
        loop {
            if self.current.is_none() {
                let input = self.inputs.pop_front()?;
                if self.set != Some(input.set) {
                    self.years = None;
                    self.set = Some(input.set);
                }
                let blocks = Blocks::open(&input, self.file);
                self.file += 1;
                self.current = Some((input, blocks));
                self.walk_all = false;
            }
            let (input, blocks) = self.current.as_mut()?;
            match blocks.next(std::mem::take(&mut spare)) {
                Some(block) => {
                    let first = block.first_line == 1;
                    let input = first.then(|| input.clone());
                    let years = self.years_of(&block, input.as_ref());
                    self.seq += 1;
                    let line_base = self.lines;
                    self.lines += block.lines;
                    return Some(Parcel {
                        line_base,
                        seq: self.seq - 1,
                        block,
                        years,
                    });
                }
                None => {
                    if let Some((input, blocks)) = self.current.take() {
                        self.done_bytes += input.size.unwrap_or(0);
                        let outcome = blocks.finish();
                        self.skipped.extend(outcome.skipped);
                        self.notes.extend(outcome.notes);
                    }
                }
            }
        }
    }

    /// The year of the block's first line; what the next block needs to know is remembered.
    fn years_of(&mut self, block: &Block, first_of: Option<&Input>) -> Years {
        let lines = || block.bytes.split(|b| *b == b'\n');
        // Only a log whose lines begin without a year needs one.
        if lines().take(20).all(|l| yearless_month(l).is_none()) {
            return self
                .years
                .unwrap_or(Years::starting(self.zone.civil(self.now).year));
        }
        if let Some(input) = first_of {
            self.walk_all = input.size.is_some_and(|s| s <= WALKED);
            let first = match (self.years, self.year) {
                (None, Some(year)) => year,
                (Some(_), Some(_)) => 0,
                (_, None) => self.infer(input, block),
            };
            if self.year.is_none() || self.years.is_none() {
                self.years = Some(Years::starting(first));
            }
        }
        let mut walk = self
            .years
            .unwrap_or(Years::starting(self.zone.civil(self.now).year));
        let mut first = None;
        let mut step = |line: &[u8]| {
            if let Some(month) = yearless_month(line) {
                let year = walk.of(month);
                first.get_or_insert(year);
            }
        };
        if self.walk_all {
            lines().for_each(&mut step);
        } else {
            lines().take(20).for_each(&mut step);
            let tail = block
                .bytes
                .get(block.bytes.len().saturating_sub(4096)..)
                .unwrap_or_default();
            let tail = memchr(b'\n', tail)
                .and_then(|at| tail.get(at + 1..))
                .unwrap_or_default();
            tail.split(|b| *b == b'\n').for_each(&mut step);
        }
        self.years = Some(walk);
        let first = first.unwrap_or(walk.year);
        if self.year.is_none() {
            let (lo, hi) = self.inferred.unwrap_or((first, first));
            self.inferred = Some((lo.min(first), hi.max(walk.year)));
        }
        Years::starting(first)
    }

    fn infer(&self, input: &Input, block: &Block) -> i32 {
        let written = input.mtime.map_or(self.now, Time::from_secs).min(self.now);
        let stamps_of = |bytes: &[u8]| -> Vec<(u8, u8, u32)> {
            bytes.split(|b| *b == b'\n').filter_map(yearless).collect()
        };
        if self.walk_all
            && let Origin::File(path) = &input.origin
        {
            // The file as it is on the disk, when that is what the block was read from.
            if let Ok(whole) = std::fs::read(path) {
                let head = block
                    .bytes
                    .get(..256.min(block.bytes.len()))
                    .unwrap_or_default();
                if whole.starts_with(head) {
                    return first_year(stamps_of(&whole), written, &self.zone);
                }
            }
        }
        // Packed or very large: it spans less than a year, or the first block shows otherwise.
        let stamps = stamps_of(&block.bytes);
        first_year(stamps.first().copied(), written, &self.zone)
    }

    /// What to say about years, once everything was read.
    pub fn year_note(&self) -> Option<String> {
        let (lo, hi) = self.inferred?;
        let years = if lo == hi {
            lo.to_string()
        } else {
            format!("{lo}–{hi}")
        };
        Some(format!(
            "the log writes no years: {years}, inferred from when it was last written (say --year {lo} if the first line is of another year)"
        ))
    }
}
