//! The proof that steps say what the search would say: which other wordings some text accepted by the steps could be.

use super::{GRAPHIC, MAX_RIVALS, Shortcut, Step, WORD};
use crate::event::{Event, Found};
use crate::template::{Slot, Template, Token};

/// The steps of a wording, if it is certain that they say what the search says.
pub(super) fn prove(
    event: &Event<'_>,
    found: &Found<'static>,
    front: &[u8],
    behind: &[u8],
    before: u32,
) -> Option<Shortcut> {
    let template = found.matcher.template(found.entry)?;
    let steps = steps(template, event, front, behind)?;
    let mine = items(template, true);
    let mut rivals = Vec::new();
    found.matcher.preferred(found.entry, |other| {
        // Nearly all begin otherwise.
        if begin_alike(template, other) && meet(&mine, &items(other, false)) {
            let end = match other.tokens().last() {
                Some(Token::Literal(end)) => end.clone(),
                _ => Box::default(),
            };
            rivals.push((end, other.clone()));
        }
        rivals.len() <= MAX_RIVALS
    })?;
    (rivals.len() <= MAX_RIVALS).then_some(Shortcut {
        steps,
        rivals,
        offset: found.offset,
        before,
        after: behind.len() as u32,
        row: event.row,
        text: event.text,
        preauth: event.preauth,
        hostile: event.hostile,
        user_is_invalid: event.user_is_invalid,
    })
}

fn steps(template: &Template, event: &Event<'_>, front: &[u8], behind: &[u8]) -> Option<Vec<Step>> {
    let tokens = template.tokens();
    // What the wrapping is must not depend on what stands in the slots.
    let Some(Token::Literal(first)) = tokens.first() else {
        return None;
    };
    let head = [front, first].concat();
    let pam_like = event.body.starts_with(b"pam_");
    if (memchr::memchr(b' ', first).is_none() && !pam_like)
        || memchr::memmem::find(&head, b".c:").is_some()
    {
        return None;
    }
    let in_module = front.ends_with(b"): ");
    if pam_like != in_module || !(behind.is_empty() || event.preauth || behind == b" [postauth]") {
        return None;
    }
    let mut steps = vec![Step::Literal(head.into())];
    let mut taken = 0u16;
    // Slots behind the user's name are found from the end: the text before them must not look like a part of them.
    let mut backward = false;
    for (i, token) in tokens.iter().enumerate().skip(1) {
        let (slot, optional) = match token {
            Token::Words(_) => return None,
            Token::Literal(text) => {
                steps.push(Step::literal(text));
                continue;
            }
            Token::Slot(slot, optional) => (*slot, *optional),
        };
        let Some(Token::Literal(left)) = tokens.get(i - 1) else {
            return None;
        };
        let right: &[u8] = match tokens.get(i + 1) {
            None => b" ",
            Some(Token::Literal(l)) => l,
            Some(_) => return None,
        };
        let (l, r) = (*left.last()?, *right.first()?);
        // A field that a wording has twice is not plain.
        let bit = 1u16 << (slot as u16).min(15);
        let counts = !matches!(
            slot,
            Slot::LocalIp | Slot::LocalPort | Slot::Submethod | Slot::Word | Slot::Number
        );
        if counts && taken & bit != 0 {
            return None;
        }
        taken |= bit;
        let word = |graphic: bool| {
            let set = if graphic { &GRAPHIC } else { &WORD };
            let part = |b: u8| set[usize::from(b)];
            let clear = !(part(r) || backward && part(l));
            clear.then_some(Step::Word {
                slot,
                optional: optional && slot != Slot::User,
                graphic,
            })
        };
        let part_of_ip = |b: u8| b.is_ascii_alphanumeric() || b":.%_-".contains(&b);
        steps.push(match slot {
            Slot::Ip | Slot::LocalIp => {
                let colon = r == b':' && right.get(1).is_some_and(|b| !part_of_ip(*b));
                if (part_of_ip(r) && !colon) || part_of_ip(l) || (backward && colon) {
                    return None;
                }
                Step::Ip(slot)
            }
            Slot::Port | Slot::LocalPort | Slot::Number => {
                if r.is_ascii_digit() || l.is_ascii_digit() || l == b'-' {
                    return None;
                }
                if slot == Slot::Number {
                    Step::Number
                } else {
                    Step::Port(slot)
                }
            }
            Slot::Host => {
                word(false)?;
                Step::Host { optional }
            }
            Slot::KeyType | Slot::Fingerprint => word(true)?,
            Slot::Method | Slot::Submethod | Slot::Word => word(false)?,
            Slot::User => {
                if backward {
                    return None;
                }
                backward = true;
                let determined = [&b"nvalid user "[..], b"llegal user "]
                    .iter()
                    .all(|said| i == 1 || left.len() >= said.len() || !said.ends_with(left));
                if !determined {
                    return None;
                }
                // What stands left of a name is found from the left.
                if WORD[usize::from(r)] {
                    return None;
                }
                Step::Word {
                    slot,
                    optional: false,
                    graphic: false,
                }
            }
            Slot::Text if i + 1 == tokens.len() && !backward => Step::Rest { optional },
            Slot::Text | Slot::AddrPort => return None,
        });
    }
    if !behind.is_empty() {
        steps.push(Step::literal(behind));
    }
    // The end of the body and the wrapping behind it are one text.
    Some(steps)
}

/// Whether the texts before the first slots go together.
fn begin_alike(a: &Template, b: &Template) -> bool {
    match (a.tokens().first(), b.tokens().first()) {
        (Some(Token::Literal(a)), Some(Token::Literal(b))) => {
            a.iter().zip(b.iter()).all(|(x, y)| x == y)
        }
        _ => true,
    }
}

/// A set of bytes, once or any number of times.
pub(super) struct Item {
    set: [u64; 4],
    many: bool,
}

fn set_of(keep: impl Fn(u8) -> bool) -> [u64; 4] {
    let mut set = [0u64; 4];
    for b in 0..=255u8 {
        if keep(b)
            && let Some(word) = set.get_mut(usize::from(b >> 6))
        {
            *word |= 1 << (b & 63);
        }
    }
    set
}

/// The texts of a wording: with plain values, or (for those it is compared with) at least everything that it matches.
pub(super) fn items(template: &Template, plain: bool) -> Vec<Item> {
    let mut out = Vec::new();
    for token in template.tokens() {
        let (set, needed) = match token {
            Token::Literal(text) => {
                out.extend(text.iter().map(|b| Item {
                    set: set_of(|c| c == *b),
                    many: false,
                }));
                continue;
            }
            Token::Words(_) => (set_of(|_| true), false),
            Token::Slot(slot, optional) => match slot {
                Slot::Text | Slot::User if !plain => (set_of(|_| true), false),
                Slot::Text => (set_of(|_| true), !optional),
                Slot::Port | Slot::LocalPort | Slot::Number if plain => {
                    (set_of(|b| b.is_ascii_digit()), true)
                }
                Slot::Port | Slot::LocalPort | Slot::Number => {
                    (set_of(|b| b.is_ascii_digit() || b == b'-'), false)
                }
                _ if !plain => (set_of(|b| b != b' '), false),
                Slot::Ip | Slot::LocalIp => (set_of(|b| b.is_ascii_digit() || b == b'.'), true),
                Slot::KeyType | Slot::Fingerprint => {
                    (set_of(|b| GRAPHIC[usize::from(b)]), !optional)
                }
                Slot::User => (set_of(|b| WORD[usize::from(b)]), true),
                _ => (set_of(|b| WORD[usize::from(b)]), !optional),
            },
        };
        if needed {
            out.push(Item { set, many: false });
        }
        out.push(Item { set, many: true });
    }
    out
}

/// Whether some text is both.
pub(super) fn meet(a: &[Item], b: &[Item]) -> bool {
    let width = b.len() + 1;
    let mut seen = vec![false; (a.len() + 1) * width];
    let mut todo = vec![(0usize, 0usize)];
    while let Some((i, j)) = todo.pop() {
        match seen.get_mut(i * width + j) {
            Some(place) if !*place => *place = true,
            _ => continue,
        }
        let (x, y) = match (a.get(i), b.get(j)) {
            (None, None) => return true,
            pair => pair,
        };
        if x.is_some_and(|x| x.many) {
            todo.push((i + 1, j));
        }
        if y.is_some_and(|y| y.many) {
            todo.push((i, j + 1));
        }
        if let (Some(x), Some(y)) = (x, y)
            && x.set.iter().zip(y.set).any(|(p, q)| p & q != 0)
        {
            todo.push((i + usize::from(!x.many), j + usize::from(!y.many)));
        }
    }
    false
}
