//! A place in a line, and the numbers that may stand there.

use super::stamp::{iso, other_order, rfc3164};
use memchr::memchr;

/// A place in a line.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn eat(&mut self, what: &[u8]) -> bool {
        let yes = self.rest().starts_with(what);
        if yes {
            self.at += what.len();
        }
        yes
    }

    pub(super) fn spaces(&mut self) {
        while self.eat(b" ") {}
    }

    /// Up to the next space, which is eaten too.
    pub(super) fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = memchr(b' ', rest).unwrap_or(rest.len());
        self.at += (end + 1).min(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    pub(super) fn priority(&mut self) -> Option<u8> {
        let inner = self.rest().strip_prefix(b"<")?;
        let (n, len) = number(inner)?;
        if n > 191 || len > 3 || inner.get(len) != Some(&b'>') {
            return None;
        }
        self.at += len + 2;
        u8::try_from(n).ok()
    }

    /// `- ` or `[id k="v"]…`, with `\]` escaped inside quotes.
    pub(super) fn structured_data(&mut self) {
        if self.eat(b"- ") || self.rest() == b"-" {
            return;
        }
        while self.rest().first() == Some(&b'[') {
            let rest = self.rest();
            let mut escaped = false;
            let Some(close) = rest.iter().position(|b| {
                let end = *b == b']' && !escaped;
                escaped = *b == b'\\' && !escaped;
                end
            }) else {
                return;
            };
            self.at += close + 1;
        }
        self.eat(b" ");
    }

    pub(super) fn any_stamp(&self) -> bool {
        let mut probe = self.clone();
        iso(&mut probe).is_some()
            || rfc3164(&mut self.clone()).is_some()
            || other_order(&mut self.clone()).is_some()
    }
}

/// Decimal digits at the start: (value, how many); at most 9, so that nothing overflows.
#[inline(always)]
pub(crate) fn number(text: &[u8]) -> Option<(u32, usize)> {
    if let Some(head) = text.first_chunk::<8>()
        && let Some(found) = short_number(*head)
    {
        return (found.1 > 0).then_some(found);
    }
    long(text)
}

/// The number that eight bytes begin with and how many digits it has; `None` where all eight are digits, for it may go on.
#[inline(always)]
pub(super) fn short_number(text: [u8; 8]) -> Option<(u32, usize)> {
    let digits = u64::from_le_bytes(text) ^ 0x3030_3030_3030_3030;
    // The high bit of each byte that is above 9.
    let others = (((digits & 0x7f7f_7f7f_7f7f_7f7f) + 0x7676_7676_7676_7676) | digits)
        & 0x8080_8080_8080_8080;
    if others == 0 {
        return None;
    }
    let len = others.trailing_zeros() as usize / 8;
    if len == 0 {
        return Some((0, 0));
    }
    // The digits to the end, zeros in front; then pairs, fours and all eight at once.
    let n = digits << (64 - 8 * len);
    let n = (n.wrapping_mul(2561) >> 8) & 0x00ff_00ff_00ff_00ff;
    let n = (n.wrapping_mul(6_553_601) >> 16) & 0x0000_ffff_0000_ffff;
    let n = n.wrapping_mul(42_949_672_960_001) >> 32;
    Some((n as u32, len))
}

/// As [`number`], for many digits or a short text.
#[inline(never)]
pub(super) fn long(text: &[u8]) -> Option<(u32, usize)> {
    let mut n = 0u32;
    let mut len = 0;
    for b in text.iter().take(10) {
        if !b.is_ascii_digit() {
            break;
        }
        n = n.checked_mul(10)?.checked_add(u32::from(b - b'0'))?;
        len += 1;
    }
    (len > 0).then_some((n, len))
}

pub(super) fn long_number(text: &[u8]) -> Option<(i64, usize)> {
    let len = text
        .iter()
        .take(18)
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len().min(18));
    let n = text
        .get(..len)?
        .iter()
        .fold(0i64, |n, b| n * 10 + i64::from(b - b'0'));
    (len > 0).then_some((n, len))
}

/// Digits after the point: (microseconds, how many digits).
#[inline]
pub(super) fn fraction(text: &[u8]) -> (u32, usize) {
    let mut micro = 0u32;
    let mut len = 0usize;
    for b in text {
        if !b.is_ascii_digit() {
            break;
        }
        if len < 6 {
            micro = micro * 10 + u32::from(b - b'0');
        }
        len += 1;
    }
    for _ in len..6 {
        micro *= 10;
    }
    (micro, len)
}

#[inline]
pub(super) fn two(text: &[u8], at: usize) -> Option<u8> {
    let (a, b) = (
        text.get(at)?.wrapping_sub(b'0'),
        text.get(at + 1)?.wrapping_sub(b'0'),
    );
    (a < 10 && b < 10).then(|| a * 10 + b)
}
