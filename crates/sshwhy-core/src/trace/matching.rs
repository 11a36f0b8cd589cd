//! Whether a series of times follows the target's logins at a constant distance, and how surprising that would be by chance.
//!
//! The distance is unknown: clocks are wrong by seconds or minutes, zones by hours, and a program logs before or after it connects.
//! So every pair of a login and a line votes for its distance, and the distances with most votes are looked at closely: fitted
//! (with a drift, where the clock drifts), and counted one to one. By chance a login meets a line of the same log as often as
//! such lines are dense around it; a series that meets the logins as well when it is shifted by a day, or that has many distances
//! nearly as good, is a timetable, and says nothing. How dense the lines are is taken at several widths, and the densest counts: who
//! writes in bursts meets logins that come in bursts more often than its average says. The chance is a Chernoff bound on the binomial
//! tail (a login is met or it is not), multiplied by the number of distances tried.

use crate::time::{DAY, HOUR, MINUTE, SECOND};

/// Distances looked at: zones go from -12 to +14 hours.
const FAR: i64 = 15 * HOUR;
/// Distances that clocks without a zone problem have.
const NEAR: i64 = 10 * MINUTE;
/// Logins that vote, for distances of minutes and of hours (there are ninety times as many of these); all are counted afterwards.
const VOTERS: usize = 256;
const FAR_VOTERS: usize = 96;
/// Lines beyond this many are too dense for far distances.
const FAR_LINES: usize = 20_000;
/// Least tolerance of a match where logins are known to the second, and where they are known better; and the greatest.
const TIGHT: i64 = 600_000;
const TIGHTER: i64 = 250_000;
const LOOSE: i64 = 30 * SECOND;
/// Seconds that votes for one distance may differ by.
const WIDTHS: [usize; 3] = [NARROW, 15, 61];
const NARROW: usize = 3;
/// A drift beyond this many seconds a day is no clock.
const MAX_DRIFT: f64 = 30.0;
/// Within half a day a bad clock moves by less than this.
const PACE: i64 = 20 * SECOND;
/// Around a login, lines are counted this far to know how dense they are: whole minutes for what goes on all day, seconds for bursts.
const NEIGHBOURHOODS: [i64; 3] = [WIDEST, 2 * MINUTE, 20 * SECOND];
const WIDEST: i64 = 15 * MINUTE;

/// From some login on the distance is another one: a clock was set right, or local time changed to daylight saving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The first login with the new distance.
    pub at: i64,
    /// Microseconds that are added.
    pub by: i64,
}

/// A series that follows the logins.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Time of the line minus time of the login, in microseconds, at `pivot` and before the step.
    pub offset: i64,
    /// Microseconds that it grows a day.
    pub drift: f64,
    pub pivot: i64,
    pub step: Option<Step>,
    /// A pair is a match when it is not farther off than this.
    pub tolerance: i64,
    /// Logins (by index) that have a line of their own.
    pub matched: Vec<u32>,
    /// Logins that the series could have shown: inside of its first and last line.
    pub covered: usize,
    /// Lines between the first and the last login covered.
    pub lines: usize,
    /// Matches that chance would make.
    pub expected: f64,
    /// Natural logarithm of the chance of so many matches at any distance; 0: no surprise at all.
    pub ln_chance: f64,
}

impl Match {
    /// Share of the logins covered that it explains.
    pub fn share(&self) -> f64 {
        if self.covered == 0 {
            0.0
        } else {
            self.matched.len() as f64 / self.covered as f64
        }
    }

    fn shift(&self, event: i64) -> i64 {
        let stepped = self.step.filter(|s| event >= s.at).map_or(0, |s| s.by);
        self.offset + stepped + (self.drift * (event - self.pivot) as f64 / DAY as f64) as i64
    }
}

/// Memory that is used again from series to series.
#[derive(Debug, Default)]
pub struct Matcher {
    votes: Vec<u32>,
    /// The bins that were voted for, one entry a vote.
    cast: Vec<u32>,
}

/// Lines of `lines` within `reach` around each event's shifted time are counted by two running ends.
struct Running<'a> {
    lines: &'a [i64],
    from: usize,
    until: usize,
}

impl<'a> Running<'a> {
    fn new(lines: &'a [i64]) -> Running<'a> {
        Running {
            lines,
            from: 0,
            until: 0,
        }
    }

    /// Lines in `lo..=hi`; both must not go back from call to call.
    fn between(&mut self, lo: i64, hi: i64) -> &'a [i64] {
        while self.lines.get(self.from).is_some_and(|l| *l < lo) {
            self.from += 1;
        }
        self.until = self.until.max(self.from);
        while self.lines.get(self.until).is_some_and(|l| *l <= hi) {
            self.until += 1;
        }
        self.lines.get(self.from..self.until).unwrap_or_default()
    }
}

impl Matcher {
    /// The best match of `lines` with `events`, both sorted, in microseconds; `None` where there is nothing to compare.
    pub fn best(&mut self, events: &[i64], lines: &[i64]) -> Option<Match> {
        let (first, last) = (*lines.first()?, *lines.last()?);
        let from = events.partition_point(|e| *e < first - FAR);
        let until = events.partition_point(|e| *e <= last + FAR);
        let events_in_reach = events.get(from..until)?;
        if events_in_reach.len() < 2 || lines.len() < 2 {
            return None;
        }
        let stride = events_in_reach.len().div_ceil(VOTERS);
        let voters: Vec<i64> = events_in_reach.iter().copied().step_by(stride).collect();
        let mut best: Option<Match> = None;
        let mut tops: Vec<Peak> = Vec::new();
        for reach in [NEAR, FAR] {
            if reach == FAR && lines.len() > FAR_LINES {
                break;
            }
            let thinned: Vec<i64>;
            let asked = if reach == FAR && voters.len() > FAR_VOTERS {
                let stride = voters.len().div_ceil(FAR_VOTERS);
                thinned = voters.iter().copied().step_by(stride).collect();
                &thinned
            } else {
                &voters
            };
            let share = events_in_reach.len() as f64 / asked.len() as f64;
            let peaks = self.peaks(asked, lines, reach);
            let density = self.cast.len() as f64 / (2 * reach / SECOND) as f64;
            tops.extend(
                peaks
                    .iter()
                    .filter(|p| p.width == NARROW as i64 * SECOND)
                    .filter(|p| p.votes as usize * 8 >= asked.len()),
            );
            for peak in peaks {
                // Hours away and for a tenth of the logins at most: chance does that.
                if reach == FAR && (peak.votes as usize) * 10 < asked.len() {
                    continue;
                }
                if peak.is_hopeless(asked.len(), density, share) {
                    continue;
                }
                if let Some(m) = fit(events, lines, peak)
                    && best.as_ref().is_none_or(|b| m.ln_chance < b.ln_chance)
                {
                    best = Some(m);
                }
            }
            // Something this unlikely needs no farther search.
            if best
                .as_ref()
                .is_some_and(|b| b.ln_chance < -40.0 && b.share() > 0.8)
            {
                break;
            }
        }
        // A clock that moves meets some of them at any distance.
        let in_part = |b: &Option<Match>| {
            b.as_ref()
                .is_none_or(|b| b.ln_chance > -20.0 || b.share() < 0.7)
        };
        let mut turned = None;
        if in_part(&best)
            && lines.len() <= events.len().saturating_mul(20)
            && let Some(m) = self.drifting(events, &voters, lines)
        {
            // One side of a step is a good part of the logins.
            turned = (m.share() >= 0.3).then_some((m.drift, m.pivot));
            if best.as_ref().is_none_or(|b| m.ln_chance < b.ln_chance) {
                best = Some(m);
            }
        }
        if in_part(&best)
            && let Some(m) = stepped(events, &voters, lines, &tops)
            && best.as_ref().is_none_or(|b| m.ln_chance < b.ln_chance)
        {
            best = Some(m);
        }
        if in_part(&best)
            && let Some((drift, pivot)) = turned
            && let Some(m) = self.drifting_and_stepped(events, &voters, lines, drift, pivot)
            && best.as_ref().is_none_or(|b| m.ln_chance < b.ln_chance)
        {
            best = Some(m);
        }
        best
    }

    /// A clock that drifts and was set in the middle: one side of it showed how much it drifts. Lines are turned back by that, and what
    /// is left is a step.
    fn drifting_and_stepped(
        &mut self,
        events: &[i64],
        voters: &[i64],
        lines: &[i64],
        drift: f64,
        pivot: i64,
    ) -> Option<Match> {
        let days = (voters.last()? - voters.first()?) as f64 / DAY as f64;
        let rate = drift / DAY as f64;
        // What a constant distance tolerates needs no drift, and beyond what a clock does it was none.
        if (drift * days).abs() < SECOND as f64 || drift.abs() > 1.5 * MAX_DRIFT * SECOND as f64 {
            return None;
        }
        let turned: Vec<i64> = lines
            .iter()
            .map(|l| l - (rate * (l - pivot) as f64) as i64)
            .collect();
        let mut tops: Vec<Peak> = Vec::new();
        for reach in [NEAR, FAR] {
            // One side at least is where the drift was found.
            let found = tops.iter().any(|p| p.votes as usize * 4 >= voters.len());
            if reach == NEAR || (found && lines.len() <= FAR_LINES) {
                let peaks = self.peaks(voters, &turned, reach);
                tops.extend(peaks.into_iter().filter(|p| {
                    p.width == NARROW as i64 * SECOND && p.votes as usize * 8 >= voters.len()
                }));
            }
        }
        let mut m = stepped(events, voters, &turned, &tops)?;
        // Back to the clock as it was.
        let back = rate / (1.0 - rate);
        m.offset += (back * (m.pivot + m.offset - pivot) as f64) as i64;
        m.drift += back * DAY as f64;
        // Each drift that could have been tried, as in `drifting`.
        let tried = 2.0 * MAX_DRIFT / (3.0 / days).max(0.05) + 1.0;
        m.ln_chance = (m.ln_chance + tried.ln()).min(0.0);
        Some(m)
    }

    /// Distances with most votes, at three widths of a vote, each with the share of votes of the best one elsewhere.
    fn peaks(&mut self, voters: &[i64], lines: &[i64], reach: i64) -> Vec<Peak> {
        let bins = (2 * reach / SECOND + 1) as usize;
        self.cast.clear();
        let mut running = Running::new(lines);
        for event in voters {
            let mut last = u32::MAX;
            for line in running.between(event - reach, event + reach) {
                let bin = ((line - event + reach) / SECOND) as u32;
                // A burst of lines is one vote.
                if bin != last && (bin as usize) < bins {
                    self.cast.push(bin);
                    last = bin;
                }
            }
        }
        // Few votes in many bins: most series are like that, and to look at the votes alone is a hundred times cheaper.
        let few = self.cast.len() * 8 < bins;
        if few {
            self.cast.sort_unstable();
        } else {
            self.votes.clear();
            self.votes.resize(bins, 0);
            for bin in &self.cast {
                if let Some(v) = self.votes.get_mut(*bin as usize) {
                    *v += 1;
                }
            }
        }
        let half = (30 * MINUTE / SECOND) as usize;
        let mut out = Vec::new();
        for width in WIDTHS {
            let apart = (width * 2).max(10);
            let smooth = if few {
                Vec::new()
            } else {
                smoothed(&self.votes, width)
            };
            let found = if few {
                tops_of_few(&self.cast, width, apart, bins)
            } else {
                tops(&smooth, apart)
            };
            let Some(&(most, at)) = found.first() else {
                continue;
            };
            // How much of the half hour around the best distance is nearly as good: a timetable's phase is worth that much.
            let (from, until) = (at.saturating_sub(half), (at + half).min(bins));
            let good = if few {
                good_of_few(&self.cast, width, from, until, most)
            } else {
                let around = smooth.get(from..until).unwrap_or_default();
                around.iter().filter(|v| **v * 5 >= most * 4).count()
            };
            for (i, (v, at)) in found.iter().enumerate() {
                let rival = found
                    .iter()
                    .enumerate()
                    .filter(|(j, _)| *j != i)
                    .map(|(_, (r, _))| f64::from(*r) / f64::from((*v).max(1)))
                    .fold(0.0, f64::max);
                out.push(Peak {
                    offset: *at as i64 * SECOND - reach + SECOND / 2,
                    width: width as i64 * SECOND,
                    votes: *v,
                    rival: rival.min(1.0),
                    good: good as f64 / (until - from).max(1) as f64,
                });
            }
        }
        out
    }

    /// Where the clock drifts, votes of different days lie apart: they are turned back by each drift that a bad clock may have.
    fn drifting(&mut self, events: &[i64], voters: &[i64], lines: &[i64]) -> Option<Match> {
        let span = voters.last()? - voters.first()?;
        if span < DAY {
            return None;
        }
        let pivot = voters.first()? + span / 2;
        let days = span as f64 / DAY as f64;
        let widest = NEAR + (MAX_DRIFT * days / 2.0) as i64 * SECOND;
        let mut pairs: Vec<(f64, i64)> = Vec::new();
        let mut running = Running::new(lines);
        for event in voters {
            for line in running.between(event - widest, event + widest) {
                pairs.push(((event - pivot) as f64 / DAY as f64, line - event));
                if pairs.len() > 60_000 {
                    return None;
                }
            }
        }
        if !keeps_pace(&pairs, voters.len()) {
            return None;
        }
        // Steps so small that both ends of the span move by less than the width of a vote.
        let step = (3.0 / days).max(0.05);
        let steps = (MAX_DRIFT / step) as i64;
        let bins = (2 * NEAR / SECOND + 1) as usize;
        let (mut most, mut at, mut rival) = (0u32, None, 0u32);
        for k in -steps..=steps {
            let drift = k as f64 * step;
            self.votes.clear();
            self.votes.resize(bins, 0);
            for (day, distance) in &pairs {
                let turned = distance - (drift * day * SECOND as f64) as i64 + NEAR;
                if let Ok(bin) = usize::try_from(turned / SECOND)
                    && let Some(v) = self.votes.get_mut(bin)
                {
                    *v += 1;
                }
            }
            for (i, v) in smoothed(&self.votes, 3).iter().enumerate() {
                if *v > most {
                    if at.is_some_and(|(j, b)| i.abs_diff(j) > 30 || k.abs_diff(b) > 3) {
                        rival = most;
                    }
                    most = *v;
                    at = Some((i, k));
                }
            }
        }
        let (bin, k) = at?;
        let peak = Peak {
            offset: bin as i64 * SECOND - NEAR + SECOND / 2,
            width: 3 * SECOND,
            votes: most,
            rival: f64::from(rival) / f64::from(most.max(1)),
            good: 0.0,
        };
        let mut m = fit_from(events, lines, peak, k as f64 * step * SECOND as f64, pivot)?;
        m.ln_chance = (m.ln_chance + ((2 * steps + 1) as f64).ln()).min(0.0);
        Some(m)
    }
}

/// Two distances that share the logins: one until some moment, the other from then on. Each alone is a rival of the other and says
/// nothing; together they must explain far more than either.
fn stepped(events: &[i64], voters: &[i64], lines: &[i64], tops: &[Peak]) -> Option<Match> {
    let met = |peak: &Peak| -> Vec<bool> {
        let reach = peak.width / 2 + SECOND;
        let mut running = Running::new(lines);
        voters
            .iter()
            .map(|e| {
                let at = e + peak.offset;
                !running.between(at - reach, at + reach).is_empty()
            })
            .collect()
    };
    let mets: Vec<Vec<bool>> = tops.iter().map(met).collect();
    let count = |list: &[bool]| list.iter().filter(|m| **m).count();
    let mut best: Option<(usize, usize, usize, usize)> = None;
    for (a, before) in mets.iter().enumerate() {
        for (b, after) in mets.iter().enumerate() {
            if a == b {
                continue;
            }
            let mut sum = count(after);
            let alone = count(before).max(sum);
            for (i, (x, y)) in before.iter().zip(after).enumerate() {
                sum = sum + usize::from(*x) - usize::from(*y);
                if best.is_none_or(|(most, ..)| sum > most) && sum * 10 >= alone * 13 {
                    best = Some((sum, a, b, i + 1));
                }
            }
        }
    }
    let (sum, a, b, split) = best?;
    // Both together a third of the logins, or it is not worth a look.
    if sum * 3 < voters.len() {
        return None;
    }
    let (pa, pb) = (*tops.get(a)?, *tops.get(b)?);
    let at = *voters.get(split)?;
    let (early, late) = events.split_at(events.partition_point(|e| *e < at));
    let (ma, mb) = (fit(early, lines, pa)?, fit(late, lines, pb)?);
    // Where each has a drift left, both are compared where the second was fitted.
    let middle = late.get(late.len() / 2).copied().unwrap_or(at);
    let step = Step {
        at,
        by: mb.shift(middle) - ma.shift(middle),
    };
    let mut m = Match {
        step: Some(step),
        tolerance: ma.tolerance.max(mb.tolerance),
        ..ma
    };
    // Whoever is met at both distances is met by a timetable.
    let rival = Peak {
        rival: 0.0,
        good: 0.0,
        ..pa
    };
    m.settle(events, lines, rival)?;
    // The moment of the step and its width were free.
    let free = (voters.len() as f64).ln() + distances_tried(step.by, m.tolerance);
    m.ln_chance = (m.ln_chance + free).min(0.0);
    Some(m)
}

/// Votes in the window of `width` bins around each bin, as runs of bins with the same number: (first bin, last bin, votes). Only where
/// there are votes; `cast` is sorted.
fn runs_of_few(cast: &[u32], width: usize, bins: usize) -> Vec<(usize, usize, u32)> {
    let half = width / 2;
    // A vote counts from `half` bins before it to `half` bins behind it.
    let (mut entering, mut leaving) = (0, 0);
    let mut out: Vec<(usize, usize, u32)> = Vec::with_capacity(cast.len() * 2);
    let begins = |i: usize| cast.get(i).map(|b| (*b as usize).saturating_sub(half));
    let ends = |i: usize| cast.get(i).map(|b| *b as usize + half + 1);
    let mut at = 0;
    let mut votes = 0u32;
    loop {
        let next = match (begins(entering), ends(leaving)) {
            (Some(a), Some(b)) => a.min(b),
            (None, Some(b)) => b,
            _ => break,
        };
        if votes > 0 && next > at {
            out.push((at, next.min(bins).saturating_sub(1), votes));
        }
        at = next;
        while begins(entering) == Some(at) {
            votes += 1;
            entering += 1;
        }
        while ends(leaving) == Some(at) {
            votes = votes.saturating_sub(1);
            leaving += 1;
        }
    }
    out.retain(|(from, until, _)| from <= until);
    out
}

/// As [`tops`] of the smoothed votes, from the votes alone.
fn tops_of_few(cast: &[u32], width: usize, apart: usize, bins: usize) -> Vec<(u32, usize)> {
    let middle = bins / 2;
    let runs = runs_of_few(cast, width, bins);
    let mut found: Vec<(u32, usize)> = Vec::new();
    for _ in 0..3 {
        let free = |bin: &usize| found.iter().all(|(_, f)| f.abs_diff(*bin) > apart);
        let mut best: Option<(u32, usize)> = None;
        for (from, until, votes) in &runs {
            if *votes < 2 || best.is_some_and(|(most, _)| *votes < most) {
                continue;
            }
            // The bin of this run that is nearest to the middle, outside of what was found already.
            let edges = found
                .iter()
                .flat_map(|(_, f)| [f.saturating_sub(apart + 1), f + apart + 1]);
            let at = std::iter::once(middle.clamp(*from, *until))
                .chain(edges)
                .filter(|bin| (from..=until).contains(&bin) && free(bin))
                .min_by_key(|bin| bin.abs_diff(middle));
            if let Some(at) = at
                && best.is_none_or(|(most, known)| {
                    *votes > most || at.abs_diff(middle) < known.abs_diff(middle)
                })
            {
                best = Some((*votes, at));
            }
        }
        let Some(best) = best else { break };
        found.push(best);
    }
    found
}

/// Bins between `from` and `until` with at least four fifths of `most`.
fn good_of_few(cast: &[u32], width: usize, from: usize, until: usize, most: u32) -> usize {
    let lo = cast.partition_point(|b| (*b as usize) + width < from);
    let hi = cast.partition_point(|b| (*b as usize) < until + width);
    runs_of_few(cast.get(lo..hi).unwrap_or_default(), width, usize::MAX)
        .into_iter()
        .filter(|(_, _, v)| v * 5 >= most * 4)
        .map(|(a, b, _)| (b + 1).min(until).saturating_sub(a.max(from)))
        .sum()
}

/// The three highest bins (votes, place) that lie farther than `apart` from each other; of equals the one nearest to no distance at
/// all. Most of the time of a ranking goes by here, so whole runs of bins are compared at once.
fn tops(votes: &[u32], apart: usize) -> Vec<(u32, usize)> {
    let middle = votes.len() / 2;
    let mut found: Vec<(u32, usize)> = Vec::new();
    // What is left between the places found, as ranges.
    let mut left = vec![(0, votes.len())];
    for _ in 0..3 {
        let run = |(from, until): &(usize, usize)| votes.get(*from..*until).unwrap_or_default();
        let most = left
            .iter()
            .filter_map(|r| run(r).iter().max())
            .max()
            .copied()
            .unwrap_or(0);
        if most < 2 {
            break;
        }
        let nearest = left
            .iter()
            .flat_map(|r| {
                let from = r.0;
                run(r)
                    .iter()
                    .enumerate()
                    .filter(|(_, v)| **v == most)
                    .map(move |(i, _)| from + i)
            })
            .min_by_key(|i| i.abs_diff(middle));
        let Some(at) = nearest else { break };
        found.push((most, at));
        left = left
            .into_iter()
            .flat_map(|(from, until)| {
                let (cut_from, cut_until) = (at.saturating_sub(apart), at + apart + 1);
                [(from, until.min(cut_from)), (from.max(cut_until), until)]
            })
            .filter(|(from, until)| from < until)
            .collect();
    }
    found
}

#[derive(Clone, Copy, Debug)]
struct Peak {
    offset: i64,
    width: i64,
    votes: u32,
    /// The best other distance's share of this one's votes.
    rival: f64,
    /// Share of the distances around that are nearly as good.
    good: f64,
}

impl Peak {
    /// Whether so many votes are what chance makes somewhere, even if they lie as near to each other as votes of a match do. To fit and
    /// judge each of them takes most of the time of a ranking, and most are. `density`: votes a second; `share`: logins for each that voted.
    fn is_hopeless(&self, voters: usize, density: f64, share: f64) -> bool {
        // Hours away there may be fewer lines around the logins than on the whole.
        let thin = if self.offset.abs() > NEAR { 0.3 } else { 0.7 };
        let mean = density * thin * self.width as f64 / 2.0 / SECOND as f64;
        let ln = ln_tail_of(
            voters as f64 * share,
            f64::from(self.votes) * share,
            mean * share,
        );
        ln + distances_tried(self.offset, TIGHT) > -1.0
    }
}

/// Whether each day by itself agrees on a distance, as it does however much the clock drifts from day to day: cheap, and most
/// series do not.
fn keeps_pace(pairs: &[(f64, i64)], voters: usize) -> bool {
    let mut agreeing = 0;
    let mut rest = pairs;
    let mut distances: Vec<i64> = Vec::new();
    while let Some((first, _)) = rest.first() {
        let until = rest.partition_point(|(day, _)| *day < first + 0.5);
        let (day, after) = rest.split_at(until.max(1));
        rest = after;
        distances.clear();
        distances.extend(day.iter().map(|(_, d)| *d));
        distances.sort_unstable();
        let (mut from, mut most) = (0, 0);
        for (i, d) in distances.iter().enumerate() {
            while distances.get(from).is_some_and(|f| d - f > PACE) {
                from += 1;
            }
            most = most.max(i + 1 - from);
        }
        agreeing += most;
    }
    agreeing * 3 >= voters
}

fn smoothed(votes: &[u32], width: usize) -> Vec<u32> {
    let half = width / 2;
    let mut out = vec![0u32; votes.len()];
    let mut sum = 0u32;
    for i in 0..votes.len() + half {
        sum += votes.get(i).copied().unwrap_or(0);
        if let Some(gone) = i.checked_sub(width) {
            sum -= votes.get(gone).copied().unwrap_or(0);
        }
        if let Some(place) = i.checked_sub(half).and_then(|at| out.get_mut(at)) {
            *place = sum;
        }
    }
    out
}

fn fit(events: &[i64], lines: &[i64], peak: Peak) -> Option<Match> {
    let pivot = *events.first()?;
    fit_from(events, lines, peak, 0.0, pivot)
}

/// Pairs (login index, distance from where the line should be) within `reach`, one to one.
fn pairs(events: &[i64], lines: &[i64], m: &Match, reach: i64) -> Vec<(u32, i64)> {
    let mut out = Vec::new();
    let mut next = 0;
    for (i, event) in events.iter().enumerate() {
        let want = event + m.shift(*event);
        while lines.get(next).is_some_and(|l| *l < want - reach) {
            next += 1;
        }
        // The nearest of those within reach, so that a line more in between does not shift all that follow.
        let mut best: Option<(usize, i64)> = None;
        let mut at = next;
        while let Some(line) = lines.get(at)
            && *line <= want + reach
        {
            let off = line - want;
            if best.is_none_or(|(_, b)| off.abs() < b.abs()) {
                best = Some((at, off));
            } else {
                break;
            }
            at += 1;
        }
        if let Some((at, off)) = best {
            out.push((i as u32, off));
            next = at + 1;
        }
    }
    out
}

fn median(values: &mut [i64]) -> i64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn fit_from(events: &[i64], lines: &[i64], peak: Peak, drift: f64, pivot: i64) -> Option<Match> {
    let mut m = Match {
        offset: peak.offset,
        drift,
        pivot,
        step: None,
        tolerance: peak.width / 2 + SECOND,
        matched: Vec::new(),
        covered: 0,
        lines: 0,
        expected: 0.0,
        ln_chance: 0.0,
    };
    // Of whole seconds the middle was taken.
    let whole = |e: &i64| e.rem_euclid(SECOND) == SECOND / 2;
    let tight = if events.iter().take(64).all(whole) {
        TIGHT
    } else {
        TIGHTER
    };
    for round in 0..4 {
        let near = pairs(events, lines, &m, m.tolerance);
        if near.len() < 2 {
            return None;
        }
        m.offset += median(&mut near.iter().map(|(_, off)| *off).collect::<Vec<_>>());
        let near = pairs(events, lines, &m, m.tolerance);
        if round > 0 {
            m.turn(events, &near);
        }
        let near = pairs(events, lines, &m, m.tolerance);
        let mad = median(&mut near.iter().map(|(_, off)| off.abs()).collect::<Vec<_>>());
        let tolerance = (mad * 3).clamp(tight, LOOSE);
        if tolerance >= m.tolerance {
            break;
        }
        m.tolerance = tolerance;
    }
    m.settle(events, lines, peak)?;
    Some(m)
}

impl Match {
    /// Which logins are matched, which could have been, and how surprising that is.
    fn settle(&mut self, events: &[i64], lines: &[i64], peak: Peak) -> Option<()> {
        self.matched = pairs(events, lines, self, self.tolerance)
            .into_iter()
            .map(|(i, _)| i)
            .collect();
        let (first, last) = (*lines.first()?, *lines.last()?);
        let slack = self.tolerance + SECOND;
        let covered: Vec<u32> = (0..events.len() as u32)
            .filter(|i| {
                events.get(*i as usize).is_some_and(|e| {
                    let at = e + self.shift(*e);
                    at >= first - slack && at <= last + slack
                })
            })
            .collect();
        self.covered = covered.len();
        let at = |i: &u32| events.get(*i as usize).map_or(0, |e| e + self.shift(*e));
        // A step back may put the last one before the first.
        let (a, b) = (at(covered.first()?), at(covered.last()?));
        let (lo, hi) = (a.min(b), a.max(b));
        self.lines = lines.partition_point(|l| *l <= hi + slack)
            - lines.partition_point(|l| *l < lo - slack);
        self.judge(events, lines, &covered, peak);
        Some(())
    }

    /// Fits the drift to pairs that span days.
    fn turn(&mut self, events: &[i64], near: &[(u32, i64)]) {
        let days = |i: u32| {
            events
                .get(i as usize)
                .map_or(0.0, |e| (e - self.pivot) as f64 / DAY as f64)
        };
        let n = near.len() as f64;
        let (Some((a, _)), Some((b, _))) = (near.first(), near.last()) else {
            return;
        };
        if near.len() < 8 || days(*b) - days(*a) < 2.0 {
            return;
        }
        let mean_x = near.iter().map(|(i, _)| days(*i)).sum::<f64>() / n;
        let mean_y = near.iter().map(|(_, off)| *off as f64).sum::<f64>() / n;
        let (mut xy, mut xx) = (0.0, 0.0);
        for (i, off) in near {
            let x = days(*i) - mean_x;
            xy += x * (*off as f64 - mean_y);
            xx += x * x;
        }
        if xx < 1e-6 {
            return;
        }
        let slope = xy / xx;
        // Less than half a second over the whole span is the second that the log is cut to.
        if (slope * (days(*b) - days(*a))).abs() > 500_000.0 {
            self.drift += slope;
            self.offset += (mean_y - slope * mean_x) as i64;
        }
    }

    /// Matches that lines as dense as those within `width` of each login's place would make by chance. Lines nearer than `gap` are the
    /// login's own.
    fn expected_at(
        &self,
        width: i64,
        gap: i64,
        events: &[i64],
        lines: &[i64],
        heads: &[u32],
    ) -> f64 {
        if width < 4 * gap {
            return 0.0;
        }
        let (first, last) = (
            lines.first().copied().unwrap_or(0),
            lines.last().copied().unwrap_or(0),
        );
        let mut wide = Running::new(lines);
        let mut narrow = Running::new(lines);
        let mut expected = 0.0;
        for i in heads {
            let e = events.get(*i as usize).copied().unwrap_or(0);
            let at = e + self.shift(e);
            let around = wide.between(at - width, at + width).len();
            let own = narrow.between(at - gap, at + gap).len();
            // Before its first line and after its last a series has no density.
            let inside = (at + width).min(last) - (at - width).max(first);
            let room = (inside - 2 * gap).clamp(width / 4, 2 * (width - gap));
            let rate = (around.saturating_sub(own) as f64 + 0.1 * width as f64 / WIDEST as f64)
                / room as f64;
            expected += 1.0 - (-rate * 2.0 * self.tolerance as f64).exp();
        }
        expected
    }

    fn judge(&mut self, events: &[i64], lines: &[i64], covered: &[u32], peak: Peak) {
        // Logins in quick succession are one: what follows one of them follows all.
        let gap = (2 * self.tolerance).max(2 * SECOND);
        let mut heads: Vec<u32> = Vec::new();
        let mut last = i64::MIN / 2;
        for i in covered {
            let e = events.get(*i as usize).copied().unwrap_or(0);
            if e - last > gap {
                heads.push(*i);
                last = e;
            }
        }
        let hit = |i: &u32| self.matched.binary_search(i).is_ok();
        let k = heads.iter().filter(|i| hit(i)).count() as f64;
        let mut expected = NEIGHBOURHOODS
            .into_iter()
            .map(|width| self.expected_at(width, gap, events, lines, &heads))
            .fold(0.0, f64::max);
        // Shifted by days it should match no better than by chance; a timetable does.
        for days in [-3i64, -2, -1, 1, 2, 3] {
            let (mut met, mut could) = (0.0, 0.0);
            let mut running = Running::new(lines);
            let (first, last) = (
                lines.first().copied().unwrap_or(0),
                lines.last().copied().unwrap_or(0),
            );
            for i in &heads {
                let e = events.get(*i as usize).copied().unwrap_or(0);
                let at = e + self.shift(e) + days * DAY;
                if at < first || at > last {
                    continue;
                }
                could += 1.0;
                if !running
                    .between(at - self.tolerance, at + self.tolerance)
                    .is_empty()
                {
                    met += 1.0;
                }
            }
            if could >= 3.0 && could * 4.0 >= heads.len() as f64 {
                expected = f64::max(expected, met / could * heads.len() as f64);
            }
        }
        if peak.rival >= 0.6 {
            expected = expected.max(k * peak.rival);
        }
        self.expected = expected;
        // The tolerance was fitted too.
        let tried = distances_tried(self.offset, self.tolerance) + 1.0;
        self.ln_chance = (ln_tail_of(heads.len() as f64, k, expected) + tried).min(0.0);
        // A timetable in phase with the logins: worth as much as its phase is rare, and whole minutes are everybody's phase.
        if peak.rival >= 0.6 && self.offset.abs() < 3 * SECOND && k >= 3.0 {
            let round = covered
                .iter()
                .filter_map(|i| events.get(*i as usize))
                .filter(|e| {
                    let s = e.rem_euclid(MINUTE) / SECOND;
                    s <= 4 || s >= 57
                })
                .count();
            let cap = if round * 2 > covered.len() { 1.0 } else { 4.0 };
            let phase = -(peak.good.max(1e-3)).ln();
            self.ln_chance = self.ln_chance.min(-phase.clamp(0.0, cap));
        }
    }
}

/// Logarithm of the number of distances that would have been taken for as plausible: none is best, minutes are common, and beyond
/// that zones (quarters of an hour) before anything else.
fn distances_tried(offset: i64, tolerance: i64) -> f64 {
    let span = |reach: i64| ((2 * reach) as f64 / (2 * tolerance) as f64).max(1.0).ln();
    if offset.abs() <= 3 * SECOND {
        span(3 * SECOND) + 0.7
    } else if offset.abs() <= NEAR {
        span(NEAR) + 1.1
    } else {
        span(FAR) + 1.4
    }
}

/// Upper bound of ln P(X ≥ k) where each of `n` logins is met with the chance `mean / n` (Chernoff).
pub fn ln_tail_of(n: f64, k: f64, mean: f64) -> f64 {
    if k <= mean || k <= 0.0 || n <= 0.0 {
        return 0.0;
    }
    let (k, p) = (k.min(n), (mean / n).clamp(1e-12, 1.0 - 1e-12));
    let met = k * (k / n / p).ln();
    let missed = if k < n {
        (n - k) * ((1.0 - k / n) / (1.0 - p)).ln()
    } else {
        0.0
    };
    -(met + missed).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_votes_and_many_are_counted_alike() {
        let mut dice = Dice(5);
        for round in 0..300 {
            let bins = 200 + dice.below(3000) as usize;
            let mut cast: Vec<u32> = (0..dice.below(60))
                .map(|_| dice.below(bins as i64) as u32)
                .collect();
            // Some agree.
            cast.extend(
                (0..dice.below(9)).map(|k| (bins as u32 / 3 + k as u32 % 4).min(bins as u32 - 1)),
            );
            cast.sort_unstable();
            let mut votes = vec![0u32; bins];
            for b in &cast {
                votes[*b as usize] += 1;
            }
            for width in [3usize, 15, 61] {
                let smooth = smoothed(&votes, width);
                let apart = (width * 2).max(10);
                let (dense, few) = (tops(&smooth, apart), tops_of_few(&cast, width, apart, bins));
                let heights = |t: &[(u32, usize)]| t.iter().map(|x| x.0).collect::<Vec<_>>();
                // Which of two equal places is taken decides what is left for the others.
                assert_eq!(
                    heights(&dense).first(),
                    heights(&few).first(),
                    "round {round}, width {width}"
                );
                for (i, (_, a)) in few.iter().enumerate() {
                    assert!(few.iter().skip(i + 1).all(|(_, b)| a.abs_diff(*b) > apart));
                }
                assert_eq!(
                    dense.first().map(|t| t.1.abs_diff(bins / 2)),
                    few.first().map(|t| t.1.abs_diff(bins / 2))
                );
                if let Some((most, at)) = few.first() {
                    assert_eq!(smooth[*at], *most);
                    let (from, until) = (at.saturating_sub(100), (at + 100).min(bins));
                    let good = smooth[from..until]
                        .iter()
                        .filter(|v| **v * 5 >= most * 4)
                        .count();
                    assert_eq!(
                        good_of_few(&cast, width, from, until, *most),
                        good,
                        "round {round}, width {width}"
                    );
                }
            }
        }
    }

    /// A small generator of its own, so that tests do not depend on anybody's.
    pub struct Dice(pub u64);

    impl Dice {
        pub fn below(&mut self, n: i64) -> i64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) as i64).rem_euclid(n.max(1))
        }
    }

    /// Logins at random in four hours of each night, cut to whole seconds as the log does (and taken at its middle).
    fn logins(dice: &mut Dice, nights: i64, per_night: i64) -> (Vec<i64>, Vec<i64>) {
        let mut exact: Vec<i64> = (0..nights)
            .flat_map(|n| (0..per_night).map(move |_| n))
            .map(|n| n * DAY + dice.below(4 * HOUR))
            .collect();
        exact.sort_unstable();
        let logged = exact
            .iter()
            .map(|t| t.div_euclid(SECOND) * SECOND + SECOND / 2)
            .collect();
        (exact, logged)
    }

    fn best(events: &[i64], lines: &mut [i64]) -> Option<Match> {
        lines.sort_unstable();
        Matcher::default().best(events, lines)
    }

    #[test]
    fn offsets_of_clocks_and_zones_are_found() {
        for offset in [
            -600_000,
            87 * SECOND,
            -140 * SECOND,
            8 * HOUR,
            -5 * HOUR - 30 * MINUTE + 3 * SECOND,
        ] {
            let mut dice = Dice(offset as u64 | 1);
            let (exact, logged) = logins(&mut dice, 10, 15);
            let mut lines: Vec<i64> = exact
                .iter()
                .map(|t| t + offset + dice.below(200_000))
                .collect();
            for _ in 0..200 {
                lines.push(dice.below(10 * DAY));
            }
            let m = best(&logged, &mut lines).unwrap();
            assert!((m.offset - offset).abs() < SECOND, "{offset}: {}", m.offset);
            assert!(m.share() > 0.95, "{}", m.share());
            assert!(m.ln_chance < -100.0, "{}", m.ln_chance);
        }
    }

    #[test]
    fn lines_of_the_same_window_at_other_times_are_no_match() {
        let mut least = 0.0f64;
        for seed in 0..60 {
            let mut dice = Dice(seed * 77 + 5);
            let (_, logged) = logins(&mut dice, 12, 17);
            let mut lines: Vec<i64> = (0..12 * 18)
                .map(|i| (i % 12) * DAY + dice.below(4 * HOUR))
                .collect();
            if let Some(m) = best(&logged, &mut lines) {
                least = least.min(m.ln_chance);
            }
        }
        assert!(least > -9.0, "{least}");
    }

    #[test]
    fn timetables_say_nothing_about_each_other() {
        // Logins every ten minutes; a log that says something every ten minutes, at another phase, and one every minute.
        let logged: Vec<i64> = (0..12)
            .flat_map(|n| (0..24).map(move |k| n * DAY + k * 10 * MINUTE + 7 * SECOND))
            .collect();
        for (step, phase) in [
            (10 * MINUTE, 95 * SECOND),
            (MINUTE, 0),
            (10 * MINUTE, 7 * SECOND),
        ] {
            let mut lines: Vec<i64> = (0..12 * DAY / step).map(|i| i * step + phase).collect();
            let m = best(&logged, &mut lines);
            let ln = m.map_or(0.0, |m| m.ln_chance);
            assert!(ln > -5.0, "{step} {phase}: {ln}");
        }
        // Once a night, to the second, both: the day's shift gives it away.
        let logged: Vec<i64> = (0..30).map(|n| n * DAY + 3 * SECOND).collect();
        let mut lines: Vec<i64> = (0..30).map(|n| n * DAY + 4 * SECOND).collect();
        let ln = best(&logged, &mut lines).map_or(0.0, |m| m.ln_chance);
        assert!(ln > -3.0, "{ln}");
    }

    #[test]
    fn a_clock_that_was_set_in_the_middle_is_followed() {
        for (before, by) in [(200 * SECOND, -200 * SECOND), (HOUR, HOUR), (0, -HOUR)] {
            let mut dice = Dice(by as u64 | 1);
            let (exact, logged) = logins(&mut dice, 12, 15);
            let middle = 6 * DAY + 12 * HOUR;
            let mut lines: Vec<i64> = exact
                .iter()
                .map(|t| t + before + if *t > middle { by } else { 0 } - 300_000)
                .collect();
            for _ in 0..300 {
                lines.push(dice.below(12 * DAY));
            }
            let m = best(&logged, &mut lines).unwrap();
            assert!(m.share() > 0.95 && m.ln_chance < -100.0, "{by}: {m:?}");
            let step = m.step.unwrap();
            assert!((step.by - by).abs() < 2 * SECOND, "{by}: {step:?}");
            assert!((step.at - middle).abs() < DAY, "{by}: {step:?}");
        }
    }

    #[test]
    fn a_drifting_clock_is_followed() {
        for per_day in [1.0, -4.5, 12.0] {
            let mut dice = Dice(99);
            let (exact, logged) = logins(&mut dice, 12, 15);
            let mut lines: Vec<i64> = exact
                .iter()
                .map(|t| {
                    t + 40 * SECOND + (per_day * *t as f64 / DAY as f64 * SECOND as f64) as i64
                })
                .collect();
            let m = best(&logged, &mut lines).unwrap();
            assert!(
                (m.drift / SECOND as f64 - per_day).abs() < 0.2,
                "{per_day}: {}",
                m.drift
            );
            assert!(m.share() > 0.9, "{per_day}: {}", m.share());
            assert!(m.ln_chance < -100.0);
        }
    }

    #[test]
    fn a_clock_that_drifts_and_was_set_is_followed_and_noise_is_not() {
        for (per_day, by) in [
            (4.0, -200 * SECOND),
            (-9.0, -300 * SECOND),
            (1.5, 200 * SECOND),
            (6.0, HOUR),
        ] {
            let mut dice = Dice(by as u64 | 1);
            let (exact, logged) = logins(&mut dice, 14, 15);
            let middle = 7 * DAY + 12 * HOUR;
            let mut lines: Vec<i64> = exact
                .iter()
                .map(|t| {
                    let drift = per_day * *t as f64 / DAY as f64 * SECOND as f64;
                    t + 20 * SECOND + drift as i64 + if *t > middle { by } else { 0 }
                })
                .collect();
            for _ in 0..200 {
                lines.push(dice.below(14 * DAY));
            }
            let m = best(&logged, &mut lines).unwrap();
            assert!(
                m.share() > 0.9 && m.ln_chance < -100.0,
                "{per_day} {by}: {} {} {} {:?}",
                m.share(),
                m.ln_chance,
                m.drift,
                m.step
            );
            let step = m.step.unwrap();
            assert!((step.by - by).abs() < 3 * SECOND, "{by}: {step:?}");
            assert!(
                (m.drift / SECOND as f64 - per_day).abs() < 0.4,
                "{per_day}: {}",
                m.drift
            );
            // Where it says a line should be, there is one.
            let near = m
                .matched
                .iter()
                .filter(|i| {
                    let e = logged[**i as usize];
                    let want = e + m.shift(e);
                    lines.iter().any(|l| (l - want).abs() < 3 * SECOND)
                })
                .count();
            assert!(near * 10 > m.matched.len() * 9, "{per_day} {by}: {near}");
        }
        // The same hours, other times, more of them: nothing follows by drift and step either.
        let mut least = 0.0f64;
        for seed in 0..60 {
            let mut dice = Dice(seed * 91 + 3);
            let (_, logged) = logins(&mut dice, 14, 8);
            let mut lines: Vec<i64> = (0..14 * 40)
                .map(|i| (i % 14) * DAY + dice.below(4 * HOUR))
                .collect();
            if let Some(m) = best(&logged, &mut lines) {
                least = least.min(m.ln_chance);
            }
        }
        assert!(least > -9.0, "{least}");
    }

    #[test]
    fn half_of_the_logins_and_a_log_that_was_rotated_still_match() {
        let mut dice = Dice(7);
        let (exact, logged) = logins(&mut dice, 12, 15);
        let mut lines: Vec<i64> = exact.iter().step_by(2).map(|t| t - 300_000).collect();
        let m = best(&logged, &mut lines).unwrap();
        assert!(
            m.ln_chance < -50.0 && (0.4..0.7).contains(&m.share()),
            "{m:?}"
        );
        let mut lines: Vec<i64> = exact
            .iter()
            .filter(|t| **t > 9 * DAY)
            .map(|t| t - 300_000)
            .collect();
        let m = best(&logged, &mut lines).unwrap();
        assert!(m.covered < 60 && m.share() > 0.95 && m.ln_chance < -50.0);
    }

    /// A few logins within a minute, and others' lines in the same minute.
    fn burst(dice: &mut Dice, first: i64) -> Vec<i64> {
        let mut at = first;
        (0..8)
            .map(|_| {
                at += 3 * SECOND + dice.below(5 * SECOND);
                at
            })
            .collect()
    }

    #[test]
    fn lines_that_come_in_the_same_burst_are_no_match_and_those_that_follow_are() {
        let mut worst = 0.0f64;
        let mut known = 0;
        for seed in 0..200 {
            let mut dice = Dice(seed * 131 + 7);
            let logged = burst(&mut dice, 0);
            let beginning = dice.below(20 * SECOND) - 10 * SECOND;
            let mut lines = match seed % 3 {
                0 => burst(&mut dice, beginning),
                step => (0..8)
                    .map(|i| beginning + i * (3 + step as i64) * SECOND)
                    .collect(),
            };
            let ln = best(&logged, &mut lines).map_or(0.0, |m| m.ln_chance);
            worst = worst.min(ln);
            let mut own: Vec<i64> = logged
                .iter()
                .map(|t| t - 200_000 - dice.below(300_000))
                .collect();
            known += usize::from(best(&logged, &mut own).is_some_and(|m| m.ln_chance < -7.0));
        }
        assert!(worst > -8.0, "{worst}");
        assert!(known > 180, "{known}");
    }

    #[test]
    fn a_storm_matches_no_other_burst() {
        let logged: Vec<i64> = (0..300).map(|i| i * 1_300_000).collect();
        let mut dice = Dice(3);
        let mut lines: Vec<i64> = (0..400)
            .map(|_| 2 * HOUR + dice.below(6 * MINUTE))
            .collect();
        let ln = best(&logged, &mut lines).map_or(0.0, |m| m.ln_chance);
        assert!(ln > -9.0, "{ln}");
    }

    #[test]
    fn too_little_is_nothing() {
        assert_eq!(Matcher::default().best(&[], &[1, 2, 3]), None);
        assert_eq!(Matcher::default().best(&[5], &[1, 2, 3]), None);
        assert_eq!(Matcher::default().best(&[5, 6], &[]), None);
        assert_eq!(
            Matcher::default().best(&[0, 1], &[100 * DAY, 101 * DAY]),
            None
        );
    }

    #[test]
    fn the_bound_holds() {
        assert_eq!(ln_tail_of(20.0, 3.0, 5.0), 0.0);
        assert!(ln_tail_of(1000.0, 10.0, 1.0) < -13.0);
        // All of eight, each with the chance of a fifth: 0.2^8.
        assert!((ln_tail_of(8.0, 8.0, 1.6) - 8.0 * 0.2f64.ln()).abs() < 1e-9);
        // P(X >= 1 | 0.01) is 0.00995
        let b = ln_tail_of(1000.0, 1.0, 0.01);
        assert!(b > -4.6 && b < -3.5, "{b}");
        assert_eq!(ln_tail_of(0.0, 0.0, 0.0), 0.0);
        assert!(ln_tail_of(5.0, 9.0, 7.0).is_finite());
    }
}
