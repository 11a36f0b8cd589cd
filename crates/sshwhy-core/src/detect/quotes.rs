//! Lines kept word for word, to be shown as evidence. Bounded: nothing is quoted beyond [`MAX_QUOTES`] lines or [`MAX_TEXT`]
//! bytes, and failures leave the last quarter of both to logins, so that no flood can hide the line that matters.

use super::Context;
use crate::finding::Evidence;
use crate::scan::NONE;
use crate::session::LineRef;
use crate::time::Time;

pub const MAX_QUOTES: usize = 300_000;
pub const MAX_TEXT: usize = 32 << 20;
/// Of one line; longer ones are cut.
const MAX_LINE: usize = 400;
/// Shown in one finding.
pub const SHOWN: usize = 8;

/// A kept line, or [`NONE`].
pub type QuoteId = u32;

#[derive(Clone, Copy, Debug)]
struct Quote {
    at: LineRef,
    time: Time,
    start: u32,
    len: u16,
}

#[derive(Debug, Default)]
pub struct Quotes {
    all: Vec<Quote>,
    text: Vec<u8>,
}

impl Quotes {
    /// Keeps a line that anybody could cause.
    pub fn keep(&mut self, time: Time, at: LineRef, text: &[u8]) -> QuoteId {
        if self.all.len() >= MAX_QUOTES / 4 * 3 || self.text.len() >= MAX_TEXT / 4 * 3 {
            return NONE;
        }
        self.keep_always(time, at, text)
    }

    /// Keeps a line that takes a login to cause.
    pub fn keep_always(&mut self, time: Time, at: LineRef, text: &[u8]) -> QuoteId {
        let text = text.get(..MAX_LINE.min(text.len())).unwrap_or_default();
        if self.all.len() >= MAX_QUOTES || self.text.len() + text.len() > MAX_TEXT {
            return NONE;
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(text);
        self.all.push(Quote {
            at,
            time,
            start,
            len: text.len() as u16,
        });
        (self.all.len() - 1) as QuoteId
    }

    /// The quoted lines in the order of the log, each once, at most [`SHOWN`].
    pub fn evidence(&self, ids: &[QuoteId], context: &Context<'_>) -> Vec<Evidence> {
        let mut quotes: Vec<&Quote> = ids
            .iter()
            .filter(|id| **id != NONE)
            .filter_map(|id| self.all.get(*id as usize))
            .collect();
        quotes.sort_by_key(|q| (q.at, q.time));
        quotes.dedup_by_key(|q| q.at);
        quotes.truncate(SHOWN);
        quotes
            .into_iter()
            .map(|q| Evidence {
                source: context.source(q.at),
                at: q.time.dated(),
                text: String::from_utf8_lossy(
                    self.text
                        .get(q.start as usize..q.start as usize + usize::from(q.len))
                        .unwrap_or_default(),
                )
                .into_owned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Limits, Names};
    use crate::time::Zone;

    #[test]
    fn failures_leave_room_for_logins() {
        let mut q = Quotes::default();
        let at = |line| LineRef { file: 0, line };
        let mut kept = 0;
        for i in 0..MAX_QUOTES as u64 + 10 {
            kept += u64::from(q.keep(Time(0), at(i), b"x") != NONE);
        }
        assert_eq!(kept, MAX_QUOTES as u64 / 4 * 3);
        let login = q.keep_always(Time(1), at(9_999_999), &[b'y'; 5000]);
        assert_ne!(login, NONE);
        let names = Names::new(Limits::default());
        let zone = Zone::utc();
        let context = Context {
            names: &names,
            files: &["auth.log".to_owned()],
            zone: &zone,
        };
        let shown = q.evidence(&[login, NONE, 3, 3, 1], &context);
        let sources: Vec<&str> = shown.iter().map(|e| e.source.as_str()).collect();
        assert_eq!(sources, ["auth.log:1", "auth.log:3", "auth.log:9999999"]);
        assert_eq!(shown[2].text.len(), MAX_LINE);
        assert!(q.text.len() <= MAX_TEXT);
    }
}
