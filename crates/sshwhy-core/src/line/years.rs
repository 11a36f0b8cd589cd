//! Which year a stamp means that says only its month.

use super::around::insides;
use super::cursor::Cursor;
use super::stamp::rfc3164;
use crate::time::{Time, Zone};
use memchr::memchr;

/// Counts years on where the log writes none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Years {
    pub year: i32,
    /// Month of the last stamp (1–12), 0 before the first.
    month: u8,
}

impl Years {
    pub fn starting(year: i32) -> Years {
        Years { year, month: 0 }
    }

    /// The year of a stamp that says only its month.
    pub fn of(&mut self, month: u8) -> i32 {
        if self.month == 0 {
            self.month = month;
        }
        let jump = i32::from(month) - i32::from(self.month);
        if jump < -6 {
            self.year += 1;
        } else if jump > 6 {
            // A line that comes late over New Year: last year's, without going back.
            return self.year - 1;
        }
        self.month = month;
        self.year
    }
}

/// The month (1–12) of a line that begins with a stamp without year, if that is what it begins with.
pub fn yearless_month(raw: &[u8]) -> Option<u8> {
    yearless(raw).map(|(m, ..)| m)
}

/// Month, day, second of the day of a stamp without year at the start of a line.
pub fn yearless(raw: &[u8]) -> Option<(u8, u8, u32)> {
    let raw = match raw.strip_prefix(b"<") {
        Some(rest) => rest.get(memchr(b'>', rest.get(..5.min(rest.len()))?)? + 1..)?,
        None => raw,
    };
    let (civil, has_year) = rfc3164(&mut Cursor::new(raw)).or_else(|| {
        // Behind the name of a file that grep put there, and the like.
        insides(raw).find_map(|inner| rfc3164(&mut Cursor::new(inner)))
    })?;
    (!has_year).then(|| {
        (
            civil.month,
            civil.day,
            u32::from(civil.hour) * 3600 + u32::from(civil.minute) * 60 + u32::from(civil.second),
        )
    })
}

/// The year in which a log without years begins: `stamps` are its (month, day, second of day) in order (the first one is enough
/// when it spans less than a year), `end` is when it was last written, `zone` the server's.
pub fn first_year(stamps: impl IntoIterator<Item = (u8, u8, u32)>, end: Time, zone: &Zone) -> i32 {
    let end_civil = zone.civil(Time(end.0.saturating_add(crate::time::DAY)));
    let mut years = Years::starting(0);
    let mut last = None;
    let mut leap_at = None;
    for (month, day, second) in stamps {
        let relative = years.of(month);
        if month == 2 && day == 29 {
            leap_at = Some(relative);
        }
        last = Some((relative, month, day, second));
    }
    let Some((relative, month, day, second)) = last else {
        return end_civil.year;
    };
    let of_end = (
        end_civil.month,
        end_civil.day,
        u32::from(end_civil.hour) * 3600
            + u32::from(end_civil.minute) * 60
            + u32::from(end_civil.second),
    );
    let mut first = end_civil.year - relative - i32::from((month, day, second) > of_end);
    if let Some(at) = leap_at {
        let is_leap = |y: i32| (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        while !is_leap(first + at) {
            first -= 1;
        }
    }
    first
}
