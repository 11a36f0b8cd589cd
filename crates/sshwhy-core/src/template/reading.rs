//! Where in a message a wording's slots begin and end: from the left, from the right, and between two free texts.

use super::{Fields, Slot, Span, Token, is_ip_byte};
use memchr::memmem;

pub(super) fn stop_of(next: Option<&Token>) -> &[u8] {
    match next {
        Some(Token::Literal(l)) => l,
        _ => b"",
    }
}

/// The end of a token that begins at `lo`: `None` where it is free text, `Some(None)` where it does not match.
pub(super) fn forward(
    token: &Token,
    next: Option<&Token>,
    body: &[u8],
    lo: usize,
    hi: usize,
) -> Option<Option<usize>> {
    let text = body.get(lo..hi)?;
    match token {
        Token::Literal(l) => Some(text.starts_with(l).then(|| lo + l.len())),
        Token::Words(words) => Some(
            words
                .iter()
                .find(|w| text.starts_with(w.as_bytes()))
                .map(|w| lo + w.len()),
        ),
        Token::Slot(slot, optional) => {
            if !slot.bounded() {
                return None;
            }
            let len = extent(*slot, text, slot.stop(stop_of(next)));
            Some((valid(*slot, *optional, text.get(..len).unwrap_or_default())).then_some(lo + len))
        }
    }
}

/// The start of a token that ends at `hi`; as [`forward`].
pub(super) fn backward(
    token: &Token,
    before: Option<&Token>,
    body: &[u8],
    lo: usize,
    hi: usize,
) -> Option<Option<usize>> {
    let text = body.get(lo..hi)?;
    match token {
        Token::Literal(l) => Some(text.ends_with(l).then(|| hi - l.len())),
        Token::Words(words) => Some(
            words
                .iter()
                .find(|w| text.ends_with(w.as_bytes()))
                .map(|w| hi - w.len()),
        ),
        Token::Slot(slot, optional) => {
            if !slot.bounded() {
                return None;
            }
            let stop = match before {
                Some(Token::Literal(l)) => &**l,
                _ => b"",
            };
            let len = extent_back(*slot, text, stop);
            let found = text.get(text.len() - len..).unwrap_or_default();
            Some(valid(*slot, *optional, found).then_some(hi - len))
        }
    }
}

pub(super) fn valid(slot: Slot, optional: bool, found: &[u8]) -> bool {
    if found.is_empty() {
        return optional;
    }
    match slot {
        Slot::Ip | Slot::LocalIp => found == b"UNKNOWN" || looks_like_ip(found),
        // -1 and 65535 stand beside UNKNOWN; more than five digits or a leading zero is nothing sshd prints.
        Slot::Port | Slot::LocalPort => {
            found == b"-1"
                || (found.len() <= 5 && (found.len() == 1 || found.first() != Some(&b'0')))
        }
        Slot::AddrPort => found.iter().any(|b| matches!(b, b'.' | b':')),
        _ => true,
    }
}

/// Cheap shape check (the address is parsed for good later); a scope `%eth0` may follow. Masked digits (`183.0.2.x`), as in
/// logs made anonymous, are no address.
#[inline]
fn looks_like_ip(found: &[u8]) -> bool {
    let (mut dots, mut colons, mut letters) = (0u32, 0u32, 0u32);
    for b in found {
        match b {
            b'0'..=b'9' => {}
            b'.' => dots += 1,
            b':' => colons += 1,
            b'a'..=b'f' | b'A'..=b'F' => letters += 1,
            b'%' => break,
            _ => return false,
        }
    }
    colons >= 2 || (colons == 0 && dots == 3 && letters == 0)
}

/// How many bytes a bounded slot takes from the left of `text`.
pub(super) fn extent(slot: Slot, text: &[u8], stop: &[u8]) -> usize {
    match slot {
        Slot::Ip | Slot::LocalIp => {
            if text.starts_with(b"UNKNOWN") {
                return 7;
            }
            let mut n = text
                .iter()
                .position(|b| !is_ip_byte(*b))
                .unwrap_or(text.len());
            if text.get(n) == Some(&b'%') {
                n += 1;
                n += text
                    .get(n..)
                    .and_then(|t| {
                        t.iter().position(|b| {
                            !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
                        })
                    })
                    .unwrap_or(text.len() - n);
            }
            while n > 0 && stop.first() == Some(&b':') && text.get(n - 1) == Some(&b':') {
                n -= 1;
            }
            n
        }
        Slot::Port | Slot::LocalPort | Slot::Number => {
            let sign = usize::from(text.first() == Some(&b'-'));
            let digits = text.get(sign..).map_or(0, |t| {
                t.iter()
                    .position(|b| !b.is_ascii_digit())
                    .unwrap_or(t.len())
            });
            if digits == 0 { 0 } else { sign + digits }
        }
        _ => {
            let run = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
            let word = text.get(..run).unwrap_or_default();
            match stop.first() {
                None | Some(b' ') => run,
                Some(_) => memmem::find(word, stop.split(|b| *b == b' ').next().unwrap_or(stop))
                    .unwrap_or(run),
            }
        }
    }
}

fn extent_back(slot: Slot, text: &[u8], stop: &[u8]) -> usize {
    let run = |keep: fn(u8) -> bool| {
        text.iter()
            .rev()
            .position(|b| !keep(*b))
            .unwrap_or(text.len())
    };
    match slot {
        Slot::Ip | Slot::LocalIp => {
            if text.ends_with(b"UNKNOWN") {
                return 7;
            }
            let word = run(|b| {
                is_ip_byte(b) || b.is_ascii_alphanumeric() || matches!(b, b'%' | b'_' | b'-')
            });
            let found = text.get(text.len() - word..).unwrap_or_default();
            if memchr::memchr(b'%', found).is_some() {
                return word;
            }
            run(is_ip_byte)
        }
        Slot::Port | Slot::LocalPort | Slot::Number => {
            let digits = run(|b| b.is_ascii_digit());
            let sign = digits > 0
                && text.len() > digits
                && text.get(text.len() - digits - 1) == Some(&b'-');
            // ` port -1`: the sign belongs to the number only behind a space.
            let alone = text.len() < digits + 2 || text.get(text.len() - digits - 2) == Some(&b' ');
            digits + usize::from(sign && alone)
        }
        _ => {
            let run = run(|b| b != b' ');
            let word = text.get(text.len() - run..).unwrap_or_default();
            match stop.last() {
                None | Some(b' ') => run,
                Some(_) => {
                    let needle = stop.rsplit(|b| *b == b' ').next().unwrap_or(stop);
                    memmem::rfind(word, needle).map_or(run, |at| run - at - needle.len())
                }
            }
        }
    }
}

/// How many steps the search between two free texts may take before the line counts as unknown.
const MAX_STEPS: usize = 50_000;

/// Tokens that begin and end with free text: every split is tried, left to right.
pub(super) fn middle(
    tokens: &[Token],
    body: &[u8],
    lo: usize,
    hi: usize,
    fields: Fields,
) -> Option<Fields> {
    let mut steps = 0usize;
    let mut found: Option<Fields> = None;
    let delicate = tokens.iter().any(|t| {
        matches!(
            t,
            Token::Slot(Slot::User | Slot::Ip | Slot::Host | Slot::AddrPort, _)
        )
    });
    let mut fields = fields;
    splits(
        tokens,
        body,
        lo,
        hi,
        &mut fields,
        &mut steps,
        &mut |f| match &mut found {
            None => {
                found = Some(*f);
                delicate
            }
            Some(first) => {
                if first.ip != f.ip || first.host != f.host || first.user != f.user {
                    first.ambiguous = true;
                    return false;
                }
                true
            }
        },
    );
    if steps >= MAX_STEPS {
        return None;
    }
    if let Some(f) = &mut found
        && f.ambiguous
    {
        f.ip = Span::default();
        f.host = Span::default();
        f.port = Span::default();
        f.user = Span::default();
    }
    found
}

/// Calls `hit` for every way to lay the tokens over `body[lo..hi]`; stops when it returns false. Returns whether to go on.
fn splits(
    tokens: &[Token],
    body: &[u8],
    lo: usize,
    hi: usize,
    fields: &mut Fields,
    steps: &mut usize,
    hit: &mut dyn FnMut(&Fields) -> bool,
) -> bool {
    *steps += 1;
    if *steps >= MAX_STEPS {
        return false;
    }
    let Some((first, rest)) = tokens.split_first() else {
        return if lo == hi { hit(fields) } else { true };
    };
    if let Some(end) = forward(first, rest.first(), body, lo, hi) {
        let Some(end) = end else { return true };
        let saved = *fields;
        if let Token::Slot(slot, _) = first {
            fields.set(*slot, Span::new(lo, end), body);
        }
        let go_on = splits(rest, body, end, hi, fields, steps, hit);
        *fields = saved;
        return go_on;
    }
    let Token::Slot(slot, optional) = first else {
        return true;
    };
    let saved = *fields;
    if rest.is_empty() {
        if lo < hi || *optional {
            fields.set(*slot, Span::new(lo, hi), body);
            let go_on = hit(fields);
            *fields = saved;
            return go_on;
        }
        return true;
    }
    let mut end = if *optional { lo } else { lo + 1 };
    while end <= hi {
        // The next literal tells where this text can end at all.
        if let Some(Token::Literal(l)) = rest.first() {
            match body.get(end..hi).and_then(|t| memmem::find(t, l)) {
                Some(at) => end += at,
                None => break,
            }
        }
        fields.set(*slot, Span::new(lo, end), body);
        let go_on = splits(rest, body, end, hi, fields, steps, hit);
        *fields = saved;
        if !go_on {
            return false;
        }
        end += 1;
    }
    true
}
