//! What a value means: checked as sshd checks it (servconf.c), and written as `sshd -T` prints it.

use super::lex::Word;
use super::pattern;
use crate::addr::parse_ip;
use crate::catalog::keywords::{self, Algorithms, Keyword, Kind};
use crate::version::Release;

/// Why sshd does not take a value, and which word is at fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Index into the arguments; past the end: something is missing.
    pub word: usize,
    pub message: String,
    pub hint: Option<String>,
    /// The part of the word that is at fault, where it is not all of it.
    pub part: Option<String>,
}

fn refuse<T>(word: usize, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        word,
        message: message.into(),
        hint: None,
        part: None,
    })
}

fn hinted<T>(word: usize, message: String, hint: String) -> Result<T, Refusal> {
    Err(Refusal {
        word,
        message,
        hint: Some(hint),
        part: None,
    })
}

/// Seconds of `1h30m`, `90`, `2d` (misc.c convtime()).
pub fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut number, mut digits) = (0u64, 0u64, false);
    for c in text.chars() {
        if let Some(d) = c.to_digit(10) {
            number = number.checked_mul(10)?.checked_add(u64::from(d))?;
            digits = true;
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        if !digits {
            return None;
        }
        total = total.checked_add(number.checked_mul(unit)?)?;
        (number, digits) = (0, false);
    }
    let total = total.checked_add(number)?;
    (!text.is_empty() && total <= i32::MAX as u64).then_some(total)
}

/// The same as that release of sshd reads it: before 9.9 with strtol(3), which takes blanks and a plus before each number, and
/// before 8.5 with what an int cannot hold cut off.
fn time(text: &str, release: Release) -> Option<i64> {
    if release >= (9, 9) {
        return seconds(text).map(|s| s as i64);
    }
    let (mut total, mut left) = (0i64, text);
    let limit = match release < (8, 5) {
        true => i64::MAX,
        false => i64::from(i32::MAX),
    };
    while !left.is_empty() {
        let word = left.trim_start_matches([' ', '\t', '\r', '\x0b', '\x0c']);
        let word = word.strip_prefix('+').unwrap_or(word);
        let end = word
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(word.len());
        let (digits, rest) = word.split_at_checked(end)?;
        let number: i64 = digits.parse().ok()?;
        let mut letters = rest.chars();
        let unit = match letters.next().map(|c| c.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        if total > limit {
            return None;
        }
        left = letters.as_str();
    }
    let total = i64::from(total as i32);
    (!text.is_empty() && total != -1).then_some(total)
}

/// A number from 0 on (strtonum(3)): blanks and a sign before it are fine, anything behind it is not.
fn number(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '\t']);
    let digits = text.strip_prefix('+').unwrap_or(text);
    let n: u32 = digits.parse().ok()?;
    (digits.bytes().all(|b| b.is_ascii_digit()) && n <= i32::MAX as u32).then_some(n)
}

/// Numbers parted by colons as sscanf(3) reads them: what follows the last one that it wants does not matter.
fn scanned(text: &str, most: usize) -> Vec<i64> {
    let (mut out, mut left) = (Vec::new(), text);
    while out.len() < most {
        left = left.trim_start_matches([' ', '\t']);
        let sign = usize::from(left.starts_with(['-', '+']));
        let digits = left.bytes().skip(sign).take_while(u8::is_ascii_digit);
        let (word, rest) = left
            .split_at_checked(sign + digits.count())
            .unwrap_or((left, ""));
        let Ok(n) = word.parse() else { break };
        out.push(n);
        match rest.strip_prefix(':') {
            Some(rest) => left = rest,
            None => break,
        }
    }
    out
}

/// Services that /etc/services names and somebody might write for a port.
const SERVICES: [(&str, u16); 8] = [
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("kerberos", 88),
    ("https", 443),
    ("http-alt", 8080),
];

/// 1–65535, or the name of a service.
pub fn port(text: &str) -> Option<u16> {
    port_or_zero(text).filter(|n| *n > 0)
}

/// The same, and 0, which is nobody's port (`Match LocalPort`).
pub fn port_or_zero(text: &str) -> Option<u16> {
    let named = SERVICES.iter().find(|(n, _)| *n == text).map(|(_, p)| *p);
    let number = || number(text).and_then(|n| u16::try_from(n).ok());
    named.or_else(number)
}

/// Bytes of `1G`, `1.5M`, `100` (scan_scaled(3)).
fn scaled(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(split)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.contains('.') || whole.len() > 18 {
        return None;
    }
    let mut letters = unit.chars();
    let factor: u64 = match letters.next().map(|c| c.to_ascii_lowercase()) {
        None | Some('b') => 1,
        Some('k') => 1 << 10,
        Some('m') => 1 << 20,
        Some('g') => 1 << 30,
        Some('t') => 1 << 40,
        Some('p') => 1 << 50,
        Some('e') => 1 << 60,
        Some(_) => return None,
    };
    if letters.next().is_some_and(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    // Without a unit the fraction is dropped.
    let places: String = fraction.chars().take(9).collect();
    let part = match places.parse::<u128>() {
        Ok(n) => n * u128::from(factor) / 10u128.pow(places.len() as u32),
        Err(_) => 0,
    };
    let total = u128::from(whole) * u128::from(factor) + part;
    u64::try_from(total).ok().filter(|t| *t <= i64::MAX as u64)
}

/// An octal number with anything behind it (strtol(3)).
fn octal(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '\t']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|c| !('0'..='7').contains(&c))
        .unwrap_or(text.len());
    u32::from_str_radix(text.get(..end)?, 8).ok()
}

const QOS: &[(&str, u32)] = &[
    ("af11", 0x28),
    ("af12", 0x30),
    ("af13", 0x38),
    ("af21", 0x48),
    ("af22", 0x50),
    ("af23", 0x58),
    ("af31", 0x68),
    ("af32", 0x70),
    ("af33", 0x78),
    ("af41", 0x88),
    ("af42", 0x90),
    ("af43", 0x98),
    ("cs0", 0x00),
    ("cs1", 0x20),
    ("cs2", 0x40),
    ("cs3", 0x60),
    ("cs4", 0x80),
    ("cs5", 0xa0),
    ("cs6", 0xc0),
    ("cs7", 0xe0),
    ("ef", 0xb8),
    ("le", 0x01),
    ("lowdelay", 0x10),
    ("throughput", 0x08),
    ("reliability", 0x04),
];

const OLD_SERVICES: [&str; 3] = ["lowdelay", "throughput", "reliability"];

/// `va` is new with 10.1, which reads the older words of a type of service as none.
fn qos(text: &str, release: Release) -> Option<String> {
    let dscp = release >= (10, 1);
    if text.eq_ignore_ascii_case("none") {
        return Some("none".to_owned());
    }
    if let Some((name, _)) = QOS.iter().find(|(n, _)| n.eq_ignore_ascii_case(text)) {
        return Some(
            if dscp && OLD_SERVICES.contains(name) {
                "none"
            } else {
                name
            }
            .to_owned(),
        );
    }
    if dscp && text.eq_ignore_ascii_case("va") {
        return Some("va".to_owned());
    }
    let text = text.trim_start_matches([' ', '\t']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // Decimal numbers only since 9.9.
        Some(_) if release >= (9, 9) => return None,
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None if text.len() > 1 && text.starts_with('0') && release < (9, 9) => {
            u32::from_str_radix(text, 8).ok()?
        }
        None => text.parse().ok()?,
    };
    if dscp {
        return (value <= 63).then(|| format!("{value:#04x}"));
    }
    let name = QOS.iter().find(|(_, v)| *v == value).map(|(n, _)| *n);
    (value <= 255).then(|| name.map_or_else(|| format!("{value:#04x}"), str::to_owned))
}

/// Appends the names of `all` that the list's words fit.
fn add<'a>(list: &str, all: &'a str, out: &mut Vec<&'a str>) {
    for wanted in list.split(',') {
        for name in all.split(',') {
            if pattern::matches(name, wanted) && !out.contains(&name) {
                out.push(name);
            }
        }
    }
}

/// `+x`, `-x`, `^x` or a list, against the default (kex.c kex_assemble_names()). Empty where sshd gives up: a list that takes
/// nothing away may not negate.
fn assemble(text: &str, default: &str, all: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let (mode, names) = match text.chars().next() {
        Some(c @ ('+' | '-' | '^')) => (Some(c), text.get(1..).unwrap_or_default()),
        _ => (None, text),
    };
    if mode == Some('-') {
        let kept = default
            .split(',')
            .filter(|a| pattern::list(a, names, false) != pattern::Verdict::Yes);
        return kept.collect::<Vec<_>>().join(",");
    }
    if names.split(',').any(|n| n.starts_with('!')) {
        return String::new();
    }
    match mode {
        Some('+') => {
            add(default, all, &mut out);
            add(names, all, &mut out);
        }
        Some('^') => {
            add(names, all, &mut out);
            add(default, all, &mut out);
        }
        _ => add(names, all, &mut out),
    }
    out.join(",")
}

fn algorithms(
    text: &str,
    family: Algorithms,
    keyword: &Keyword,
    release: Release,
) -> Result<String, Refusal> {
    let all = keywords::algorithms(family, release);
    let names = text.strip_prefix(['+', '^']).unwrap_or(text);
    let wild = matches!(family, Algorithms::Key | Algorithms::Signature);
    // Certificates were let through as signatures of a CA until 9.6.
    let allowed = match family {
        Algorithms::Signature if release < (9, 6) => keywords::algorithms(Algorithms::Key, release),
        _ => all,
    };
    if !text.starts_with('-') {
        if names.is_empty() {
            return refuse(0, format!("{text:?} names no algorithm"));
        }
        // sshd looks no further than the first empty name.
        for name in names.split(',').take_while(|n| !n.is_empty()) {
            let is_name = keywords::algorithms(Algorithms::Key, release)
                .split(',')
                .any(|a| a == name);
            let known = match wild && !is_name {
                false => allowed.split(',').any(|a| a == name),
                true => keywords::algorithms(Algorithms::Key, release)
                    .split(',')
                    .any(|a| pattern::list(a, name, false) != pattern::Verdict::No),
            };
            if !known {
                let what = match family {
                    Algorithms::Cipher => "cipher",
                    Algorithms::Mac => "MAC",
                    Algorithms::Kex => "key exchange method",
                    Algorithms::Key | Algorithms::Signature => "key algorithm",
                };
                return Err(Refusal {
                    word: 0,
                    message: format!(
                        "{name:?} is no {what} that OpenSSH {}.{} knows",
                        release.0, release.1
                    ),
                    hint: Some(elsewhere(name, family, keyword, release)),
                    part: Some(name.to_owned()),
                });
            }
        }
    }
    Ok(assemble(
        text,
        keyword.default(release).unwrap_or_default(),
        all,
    ))
}

/// What a name that sshd does not know may have been meant for.
fn elsewhere(name: &str, family: Algorithms, keyword: &Keyword, release: Release) -> String {
    let has = |release| {
        keywords::algorithms(family, release)
            .split(',')
            .any(|a| a == name)
    };
    if has((9999, 0)) || has(keywords::OLDEST) {
        return "another release of OpenSSH knows it: take it out of the list, or run `sshd -T` on the machine that it is for".to_owned();
    }
    if name.contains(' ') {
        return "names are parted by commas, without blanks".to_owned();
    }
    let others = [
        (Algorithms::Cipher, "Ciphers"),
        (Algorithms::Mac, "MACs"),
        (Algorithms::Kex, "KexAlgorithms"),
        (
            Algorithms::Key,
            "HostKeyAlgorithms or PubkeyAcceptedAlgorithms",
        ),
    ];
    for (other, keyword) in others {
        if keywords::algorithms(other, release)
            .split(',')
            .any(|a| a == name)
        {
            return format!("it belongs to {keyword}");
        }
    }
    match nearest(name, keywords::algorithms(family, release).split(',')) {
        Some(n) => format!("did you mean {n}?"),
        None => {
            let offered = keyword.default(release).unwrap_or_default();
            format!("by default it offers {}", offered.replace(',', ", "))
        }
    }
}

/// The candidate that is nearest by edits, if any is near.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let limit = (word.chars().count() / 4).clamp(1, 4);
    candidates
        .map(|c| (edits(&word, &c.to_ascii_lowercase()), c))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cb, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let up = *cell;
            let cost = diagonal + usize::from(ca != *cb);
            left = cost.min(up + 1).min(left + 1);
            diagonal = up;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

const METHODS: [&str; 7] = [
    "none",
    "publickey",
    "password",
    "keyboard-interactive",
    "hostbased",
    "gssapi-with-mic",
    "gssapi-keyex",
];

/// A word of ListenAddress: host, and the port if it says one.
pub fn listen_parts(text: &str) -> Option<(String, Option<u16>)> {
    if text.contains('/') {
        return None;
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        return match tail.strip_prefix(':') {
            Some(p) => Some((host.to_owned(), Some(port(p)?))),
            None => tail.is_empty().then(|| (host.to_owned(), None)),
        };
    }
    if text.matches(':').count() > 1 {
        return parse_ip(text.as_bytes()).map(|_| (text.to_owned(), None));
    }
    match text.split_once(':') {
        Some((host, p)) => Some((host.to_owned(), Some(port(p)?))),
        None => Some((text.to_owned(), None)),
    }
}

/// A host and a port, parted at the first colon beyond brackets; no slash may part them (misc.c hpdelim()).
fn host_port(text: &str) -> bool {
    let after = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(_, after)| after),
        None => text.find([':', '/']).and_then(|at| text.get(at..)),
    };
    after
        .and_then(|a| a.strip_prefix(':'))
        .is_some_and(|p| p == "*" || port(p).is_some())
}

/// A path as sshd keeps it: `~` is the home of root, for whom it runs, and what is not absolute is taken from `cwd`.
fn file(text: &str, cwd: &str) -> String {
    if text.eq_ignore_ascii_case("none") {
        return "none".to_owned();
    }
    match home(text) {
        t if t.starts_with(['/', '~']) => t,
        t => format!("{cwd}/{t}"),
    }
}

fn home(text: &str) -> String {
    match text.strip_prefix('~') {
        Some("") => "/root/".to_owned(),
        Some(rest) if rest.starts_with('/') => format!("/root/{}", rest.trim_start_matches('/')),
        _ => text.to_owned(),
    }
}

/// Before 8.7 a list ends at an empty word, beyond which no other may stand.
fn until_empty<'a>(
    keyword: &Keyword,
    args: &'a [Word],
    release: Release,
) -> Result<&'a [Word], Refusal> {
    let list = matches!(
        keyword.kind,
        Kind::UserPatterns
            | Kind::GroupPatterns
            | Kind::EnvNames
            | Kind::SetEnv
            | Kind::PubkeyOptions
            | Kind::Methods
            | Kind::PermitOpen
            | Kind::PermitListen
            | Kind::Subsystem
            | Kind::Words
    );
    // PermitOpen and PermitListen kept to it until 9.8.
    let last = match keyword.kind {
        Kind::PermitOpen | Kind::PermitListen => (9, 9),
        _ => (8, 7),
    };
    let end = args.iter().position(|w| w.text.is_empty());
    let (true, Some(end)) = (list && release < last, end) else {
        return Ok(args);
    };
    // These two do not look at the rest of the line.
    let unseen = matches!(keyword.name, "AuthorizedKeysFile" | "AuthenticationMethods");
    let more = match release < (8, 7) {
        true => args.get(end + 1).is_some_and(|w| !w.text.is_empty()),
        false => args.len() > end + 1,
    };
    match more && !unseen {
        true => refuse(end + 1, "extra words after an empty one"),
        false => Ok(args.get(..end).unwrap_or(args)),
    }
}

/// The values of a directive, each as `sshd -T` prints it after the keyword; relative files are taken from `cwd`.
pub fn values(
    keyword: &Keyword,
    args: &[Word],
    rest: &str,
    release: Release,
    cwd: &str,
) -> Result<Vec<String>, Refusal> {
    let args = until_empty(keyword, args, release)?;
    let text = |i: usize| args.get(i).map_or("", |w| w.text.as_str());
    let first = text(0);
    let missing = args.is_empty() || first.is_empty();
    let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
    match keyword.kind {
        Kind::Rest | Kind::Command => {
            if rest.is_empty() {
                return refuse(0, format!("{} needs a value", keyword.name));
            }
            if keyword.name == "VersionAddendum" && rest.contains('\r') {
                return refuse(0, "no carriage return may stand in it");
            }
            let none = rest.eq_ignore_ascii_case("none");
            if keyword.kind == Kind::Command && !rest.starts_with('/') && !none {
                return hinted(
                    0,
                    format!("{} must be an absolute path", keyword.name),
                    "give the whole path, or none".to_owned(),
                );
            }
            return Ok(vec![if none {
                "none".to_owned()
            } else {
                rest.to_owned()
            }]);
        }
        // An empty line of these says nothing before 9.9, and is an error since.
        Kind::UserPatterns
        | Kind::GroupPatterns
        | Kind::EnvNames
        | Kind::SetEnv
        | Kind::ChannelTimeout
        | Kind::PubkeyOptions
            if args.is_empty() && (release < (9, 9) || keyword.kind == Kind::PubkeyOptions)
                || missing && release < (8, 7) =>
        {
            return Ok(match keyword.kind {
                Kind::PubkeyOptions => vec![pubkey_options(args, release)?],
                _ => Vec::new(),
            });
        }
        Kind::Words if args.is_empty() && release < (9, 9) => return Ok(Vec::new()),
        _ if missing => return refuse(0, format!("{} needs a value", keyword.name)),
        _ => {}
    }
    // Before 8.7 an empty word ends the line.
    let more_than = |n: usize| args.len() > n && (release >= (8, 7) || !text(n).is_empty());
    // Before 8.7 an empty word follows a quoted one at the end, which these take for an argument.
    let optional = matches!(
        keyword.kind,
        Kind::ListenAddress | Kind::IpQos | Kind::RekeyLimit
    );
    if optional && release < (8, 7) && args.len() == 1 && rest.ends_with('"') {
        return refuse(
            0,
            format!(
                "this release takes no quotes around the only word of {}",
                keyword.name
            ),
        );
    }
    let one = |value: String| {
        if more_than(1) {
            refuse(1, format!("extra words after {first:?}"))
        } else {
            Ok(vec![value])
        }
    };
    let all_words = || args.iter().map(|w| w.text.clone()).collect::<Vec<_>>();
    match keyword.kind {
        Kind::Rest | Kind::Command => Ok(vec![rest.to_owned()]),
        Kind::Choice(words) | Kind::Exact(words) => {
            let exact = matches!(keyword.kind, Kind::Exact(_));
            let fits = |w: &str| {
                if exact {
                    w == first
                } else {
                    w.eq_ignore_ascii_case(first)
                }
            };
            match words.iter().find(|(w, _)| fits(w)) {
                Some((_, printed)) => one((*printed).to_owned()),
                None => hinted(
                    0,
                    format!("{first:?} is no value of {}", keyword.name),
                    takes(first, words),
                ),
            }
        }
        Kind::Number => match number(first) {
            Some(n) => one(n.to_string()),
            None => refuse(0, format!("{first:?} is no number from 0 on")),
        },
        Kind::NumberOrNone => match number(first) {
            Some(n) => one(n.to_string()),
            None if first.eq_ignore_ascii_case("none") => one("none".to_owned()),
            None => refuse(0, format!("{first:?} is neither a number nor none")),
        },
        Kind::Time | Kind::TimeOrNone => {
            let none = keyword.kind == Kind::TimeOrNone && first.eq_ignore_ascii_case("none");
            // Fractions are read since 10.1, and cut off.
            let whole = match first.split_once('.') {
                Some((whole, fraction)) if release >= (10, 1) => {
                    let end = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
                    format!("{whole}{end}")
                }
                _ => first.to_owned(),
            };
            match time(&whole, release) {
                _ if none => one("none".to_owned()),
                Some(0) if keyword.kind == Kind::TimeOrNone => one("none".to_owned()),
                Some(s) => one(s.to_string()),
                None => hinted(
                    0,
                    format!("{first:?} is no time"),
                    "seconds, or numbers with s, m, h, d or w: 90, 2m, 1h30m".to_owned(),
                ),
            }
        }
        Kind::Octal => match octal(first) {
            Some(mask) if mask <= 0o777 => one(format!("0{mask:o}")),
            _ => hinted(
                0,
                format!("{first:?} is no octal mask"),
                "digits from 0 to 7, not above 0777: 0177".to_owned(),
            ),
        },
        Kind::Port => match port(first) {
            Some(p) => one(p.to_string()),
            None => refuse(0, format!("{first:?} is no port (1 to 65535)")),
        },
        Kind::ListenAddress => {
            if listen_parts(first).is_none() {
                return hinted(
                    0,
                    format!("{first:?} is no address to listen on"),
                    "192.0.2.7, 192.0.2.7:2222, 2001:db8::7 or [2001:db8::7]:2222".to_owned(),
                );
            }
            match args.len() {
                1 => Ok(vec![first.to_owned()]),
                3 if text(1).eq_ignore_ascii_case("rdomain") => {
                    Ok(vec![format!("{first} rdomain {}", text(2))])
                }
                _ => refuse(1, format!("extra words after {first:?}")),
            }
        }
        Kind::Text => one(match keyword.name {
            "HostKeyAgent" if first != "SSH_AUTH_SOCK" => file(first, cwd),
            "SecurityKeyProvider" if !first.eq_ignore_ascii_case("internal") => file(first, cwd),
            "AuthorizedPrincipalsFile" => home(first),
            _ => first.to_owned(),
        }),
        Kind::File if keyword.name == "RevokedKeys" && release >= (10, 1) => {
            match args
                .iter()
                .position(|w| w.text.eq_ignore_ascii_case("none"))
            {
                Some(at) if args.len() > 1 => refuse(at, "none must stand alone"),
                _ => Ok(vec![all_words().join(" ")]),
            }
        }
        Kind::File => one(file(first, cwd)),
        Kind::Words => match args.iter().position(|w| w.text.is_empty()) {
            Some(at) if release >= (8, 7) => refuse(at, "an empty word"),
            _ => {
                let alone = |w: &Word| w.text.eq_ignore_ascii_case("none") && args.len() > 1;
                if keyword.name == "LogVerbose" && args.last().is_some_and(alone) {
                    return refuse(args.len() - 1, "none must stand alone");
                }
                if release >= (10, 1)
                    && let Some(at) = args.iter().position(alone)
                {
                    return refuse(at, "none must stand alone");
                }
                let words = args.iter().take_while(|w| !w.text.is_empty());
                let words = words.map(|w| match keyword.name {
                    "AuthorizedKeysFile" => home(&w.text),
                    _ => w.text.clone(),
                });
                Ok(vec![words.collect::<Vec<_>>().join(" ")])
            }
        },
        Kind::KeepAlive => match (first.to_ascii_lowercase().as_str(), release >= (10, 1)) {
            ("yes" | "no", false) => one(first.to_ascii_lowercase()),
            ("yes" | "true" | "transport", true) => one("yes".to_owned()),
            ("no" | "false", true) => one("no".to_owned()),
            ("all", true) => one("all".to_owned()),
            (_, newer) => hinted(
                0,
                format!("{first:?} is no value of {}", keyword.name),
                if newer {
                    "it takes transport, yes, all, no"
                } else {
                    "it takes yes, no"
                }
                .to_owned(),
            ),
        },
        Kind::AgentSocket => {
            let sound = first.eq_ignore_ascii_case("none")
                || first.strip_prefix("user:").is_some_and(|p| !p.is_empty())
                || first
                    .strip_prefix("shared:")
                    .is_some_and(|p| p.starts_with('/'));
            match sound {
                true => one(first.to_owned()),
                false => hinted(
                    0,
                    format!("{first:?} says no place for the sockets of agents"),
                    "user:PATH, shared:/PATH or none".to_owned(),
                ),
            }
        }
        Kind::Addresses => match pattern::addresses(None, first) {
            Ok(_) => one(first.to_owned()),
            Err(bad) => hinted(
                0,
                format!("{:?} is no address or prefix", bad.0),
                "the bits of the address beyond the prefix must be zero".to_owned(),
            ),
        },
        Kind::GssKex => {
            let known = |n: &&str| {
                let base = n.strip_prefix("gss-").and_then(|n| n.strip_suffix('-'));
                base.is_some_and(|b| GSS_KEX.contains(&b))
            };
            match first
                .split(',')
                .take_while(|n| !n.is_empty())
                .find(|n| !known(n))
            {
                Some(bad) => hinted(
                    0,
                    format!("{bad:?} is no key exchange of GSSAPI"),
                    format!(
                        "it takes {}",
                        GSS_KEX.map(|b| format!("gss-{b}-")).join(", ")
                    ),
                ),
                None => one(first.to_owned()),
            }
        }
        Kind::UserPatterns => {
            match args
                .iter()
                .position(|w| !pattern::user_pattern_is_sound(&w.text))
            {
                Some(at) => hinted(
                    at,
                    format!("{:?} is no user pattern", text(at)),
                    "the bits of the address beyond the prefix must be zero".to_owned(),
                ),
                None => Ok(all_words()),
            }
        }
        Kind::GroupPatterns => match args.iter().position(|w| w.text.is_empty()) {
            Some(at) if release >= (8, 7) => refuse(at, "an empty word"),
            _ => Ok(args
                .iter()
                .take_while(|w| !w.text.is_empty())
                .map(|w| w.text.clone())
                .collect()),
        },
        Kind::EnvNames => match args
            .iter()
            .position(|w| w.text.is_empty() || w.text.contains('='))
        {
            Some(at) => refuse(at, "a name without = is wanted"),
            None => Ok(all_words()),
        },
        Kind::SetEnv => match args.iter().position(|w| !w.text.contains('=')) {
            Some(at) => refuse(at, "NAME=VALUE is wanted"),
            None => {
                let mut out: Vec<String> = Vec::new();
                for word in all_words() {
                    let name = |w: &str| w.split('=').next().unwrap_or_default().to_owned();
                    // Before 9.0 a name may stand there twice.
                    if release < (9, 0) || !out.iter().any(|o| name(o) == name(&word)) {
                        out.push(word);
                    }
                }
                Ok(out)
            }
        },
        Kind::Methods => {
            if args.len() > 1
                && let Some(at) = args.iter().position(|w| w.text == "any")
            {
                return refuse(at, "any must stand alone");
            }
            if let Some(at) = args.iter().position(|w| w.text.is_empty()) {
                return refuse(at, "an empty list of methods");
            }
            for (at, word) in args.iter().enumerate() {
                for method in word.text.split(',') {
                    let name = method.split(':').next().unwrap_or_default();
                    if word.text != "any" && !METHODS.contains(&name) {
                        let hint = nearest(name, METHODS.into_iter())
                            .map_or_else(|| METHODS.join(", "), |n| format!("did you mean {n}?"));
                        return hinted(
                            at,
                            format!("{method:?} is no method of authentication"),
                            hint,
                        );
                    }
                }
            }
            Ok(vec![all_words().join(" ")])
        }
        Kind::ChannelTimeout => {
            for (at, word) in args.iter().enumerate() {
                // Up to 9.8 it may follow others, if it comes last.
                let alone = args.len() == 1 || release < (9, 9) && at + 1 == args.len();
                let sound = alone && word.text.eq_ignore_ascii_case("none")
                    || word
                        .text
                        .split_once('=')
                        .is_some_and(|(n, t)| !n.is_empty() && time(t, release).is_some());
                if !sound {
                    return refuse(at, "TYPE=TIME is wanted");
                }
            }
            Ok(vec![all_words().join(" ")])
        }
        Kind::Subsystem => {
            if text(1).is_empty() {
                return refuse(1, format!("subsystem {first} has no command"));
            }
            let command = args.iter().skip(1).map(|w| w.text.as_str());
            let command = match release >= (9, 5) {
                true => super::lex::assemble(command),
                false => command.collect::<Vec<_>>().join(" "),
            };
            Ok(vec![format!("{first} {command}")])
        }
        Kind::MaxStartups => {
            // Zero and less were taken until 8.9, and let nobody in.
            let positive = |n: i64| n > 0 || release < (9, 0);
            match scanned(first, 3)[..] {
                [n] if positive(n) => one(format!("{n}:30:{n}")),
                [begin, rate, full]
                    if positive(begin) && begin <= full && (1..=100).contains(&rate) =>
                {
                    one(format!("{begin}:{rate}:{full}"))
                }
                _ => hinted(
                    0,
                    format!("{first:?} is no MaxStartups"),
                    "start:rate:full, start not above full, rate 1 to 100; or one number"
                        .to_owned(),
                ),
            }
        }
        Kind::NetBlock => match scanned(first, 2)[..] {
            [v4] if (0..=32).contains(&v4) => one(format!("{v4}:0")),
            [v4, v6] if (0..=32).contains(&v4) && (0..=128).contains(&v6) => {
                one(format!("{v4}:{v6}"))
            }
            _ => refuse(
                0,
                format!("{first:?}: two prefix lengths are wanted, 32:128"),
            ),
        },
        Kind::Penalties => penalties(keyword, args, release),
        Kind::IpQos => match (qos(first, release), args.get(1)) {
            (None, _) => refuse(0, format!("{first:?} is no class of service")),
            (Some(a), None) => Ok(vec![format!("{a} {a}")]),
            (Some(a), Some(b)) => match qos(&b.text, release) {
                Some(b) if !more_than(2) => Ok(vec![format!("{a} {b}")]),
                Some(_) => refuse(2, "extra words"),
                None => refuse(1, format!("{:?} is no class of service", b.text)),
            },
        },
        Kind::RekeyLimit => {
            let bytes = if first == "default" {
                Some(0)
            } else {
                scaled(first)
            };
            let Some(bytes) = bytes.filter(|b| *b == 0 || *b >= 16) else {
                return refuse(
                    0,
                    format!("{first:?} is no amount of data: 1G, 512M, default"),
                );
            };
            let interval = match args.get(1).map(|w| w.text.as_str()) {
                None => Some(0),
                // Before 8.7 sshd looks for it before it takes quotes away.
                Some("none") if release >= (8, 7) || rest.ends_with("none") => Some(0),
                Some(t) => time(t, release),
            };
            match interval {
                Some(_) if more_than(2) => refuse(2, "extra words"),
                Some(s) => Ok(vec![format!("{bytes} {s}")]),
                None => refuse(1, format!("{:?} is no time", text(1))),
            }
        }
        Kind::PermitOpen | Kind::PermitListen => {
            let newer = release >= (9, 9);
            if matches!(first, "any" | "none") && !newer {
                return one(first.to_owned());
            }
            let mut out = Vec::new();
            for (at, word) in args.iter().enumerate() {
                let t = &word.text;
                // Since 9.9 words may follow them, to no use.
                if at == 0 && matches!(first, "any" | "none") {
                    out.push(t.clone());
                } else if t.is_empty() && !newer {
                    break;
                } else if keyword.kind == Kind::PermitListen && port(t).is_some() {
                    out.push(format!("*:{t}"));
                } else if host_port(t) {
                    out.push(t.clone());
                } else {
                    return refuse(at, format!("{t:?}: HOST:PORT is wanted"));
                }
            }
            Ok(vec![out.join(" ")])
        }
        Kind::UserEnvironment => one(first.to_owned()),
        Kind::PubkeyOptions => Ok(vec![pubkey_options(args, release)?]),
        Kind::Algorithms(family) => {
            let value = algorithms(first, family, keyword, release)?;
            match more_than(1) {
                false => Ok(vec![value]),
                true => hinted(
                    1,
                    format!("extra words after {first:?}"),
                    "names are parted by commas, without blanks".to_owned(),
                ),
            }
        }
    }
}

/// What a word that is none of the values was meant for.
fn takes(word: &str, words: keywords::Words) -> String {
    let all = || words.iter().map(|(w, _)| *w).collect::<Vec<_>>().join(", ");
    let has = |w: &str| words.iter().any(|(x, _)| *x == w);
    match word.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" | "enable" | "enabled" | "y" if has("yes") => {
            format!("it takes {}: write yes", all())
        }
        "false" | "off" | "0" | "disable" | "disabled" | "n" if has("no") => {
            format!("it takes {}: write no", all())
        }
        _ => match nearest(word, words.iter().map(|(w, _)| *w)) {
            Some(n) => format!("did you mean {n}? It takes {}", all()),
            None => format!("it takes {}", all()),
        },
    }
}

const GSS_KEX: [&str; 7] = [
    "group14-sha256",
    "group16-sha512",
    "nistp256-sha256",
    "curve25519-sha256",
    "group14-sha1",
    "gex-sha1",
    "group1-sha1",
];

fn pubkey_options(args: &[Word], release: Release) -> Result<String, Refusal> {
    let limited = release >= (10, 1);
    let (mut touch, mut verify, mut most) = (false, false, None);
    for (at, word) in args.iter().enumerate() {
        let text = word.text.to_ascii_lowercase();
        match text.as_str() {
            "none" => {}
            "touch-required" => touch = true,
            "verify-required" => verify = true,
            "" if release < (8, 7) => break,
            other => match other
                .strip_prefix("max-pk-ok:")
                .filter(|_| limited)
                .map(number)
            {
                Some(Some(n)) => most = Some(n),
                _ => {
                    return refuse(
                        at,
                        format!("{:?} is no option of PubkeyAuthOptions", word.text),
                    );
                }
            },
        }
    }
    let mut out: Vec<String> = [(touch, "touch-required"), (verify, "verify-required")]
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, n)| n.to_owned())
        .collect();
    if out.is_empty() {
        out.push("none".to_owned());
    }
    out.extend(most.map(|n| format!("max-pk-ok:{n}")));
    Ok(out.join(" "))
}

/// One part of PerSourcePenalties, its time in seconds, with fractions where the release knows them.
pub(super) fn penalty(word: &str, release: Release) -> Option<(String, String)> {
    let (key, value) = word.split_once(':')?;
    let value = match key {
        "overflow" | "overflow6" => {
            matches!(value, "permissive" | "deny-all").then(|| value.to_owned())
        }
        "max-sources4" | "max-sources6" => number(value).map(|n| n.to_string()),
        _ => match value.split_once('.') {
            // 0.5, 1.5s
            Some((whole, part)) if release >= (10, 1) => {
                let part = part.trim_end_matches(['s', 'S']);
                let sound = part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
                let whole = seconds(if whole.is_empty() { "0" } else { whole });
                let part = part.trim_end_matches('0');
                match (whole, part) {
                    (Some(s), "") if sound => Some(s.to_string()),
                    (Some(s), part) if sound => Some(format!("{s}.{part}")),
                    _ => None,
                }
            }
            _ => seconds(value).map(|s| s.to_string()),
        },
    };
    Some((key.to_owned(), value?))
}

/// Checks the parts of PerSourcePenalties; what they come to over all lines is decided where values are joined.
fn penalties(keyword: &Keyword, args: &[Word], release: Release) -> Result<Vec<String>, Refusal> {
    let default = keyword.default(release).unwrap_or_default();
    let known: Vec<&str> = default
        .split(' ')
        .filter_map(|w| w.split_once(':'))
        .map(|(k, _)| k)
        .collect();
    let mut out = Vec::new();
    for (at, word) in args.iter().enumerate() {
        if matches!(word.text.to_ascii_lowercase().as_str(), "no" | "yes") {
            if at + 1 < args.len() {
                return refuse(at, format!("{:?} must stand alone", word.text));
            }
            out.push(word.text.to_ascii_lowercase());
            continue;
        }
        let Some((key, _)) = word.text.split_once(':') else {
            return refuse(at, format!("{:?}: NAME:TIME is wanted", word.text));
        };
        if !known.contains(&key) {
            let hint = nearest(key, known.iter().copied()).map_or_else(
                || format!("it takes {}", known.join(", ")),
                |n| format!("did you mean {n}?"),
            );
            return hinted(at, format!("{key:?} is no penalty"), hint);
        }
        match penalty(&word.text, release) {
            Some((key, value)) => out.push(format!("{key}:{value}")),
            None => return refuse(at, format!("{:?} is no value", word.text)),
        }
    }
    Ok(vec![out.join(" ")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(keyword: &str, text: &str) -> Result<Vec<String>, Refusal> {
        let args = super::super::lex::arguments(text, 1).unwrap();
        let k = keywords::by_name(keyword).unwrap();
        values(k, &args, text, (9, 2), "/x")
    }

    #[test]
    fn times() {
        for (text, want) in [
            ("90", 90),
            ("1h30", 3630),
            ("2m", 120),
            ("1W", 604_800),
            ("0", 0),
        ] {
            assert_eq!(seconds(text), Some(want), "{text}");
        }
        for text in ["", "ten", "m", "1y", "99999999999999999999", "-1", "1 m"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    /// As `release` cuts and reads a line.
    fn of(release: Release, keyword: &str, text: &str) -> Result<String, usize> {
        let args = match release < (8, 7) {
            true => super::super::lex::old_arguments(text, 1, true).0,
            false => super::super::lex::arguments(text, 1).unwrap(),
        };
        let k = keywords::by_name(keyword).unwrap();
        let said = values(k, &args, text, release, "/x");
        said.map(|v| v.join("|")).map_err(|r| r.word)
    }

    #[test]
    fn times_are_read_as_each_release_reads_them() {
        let grace = |release, text| of(release, "LoginGraceTime", text);
        // An int keeps what it can of them.
        assert_eq!(grace((8, 4), "99999999999"), Ok("1215752191".to_owned()));
        assert_eq!(grace((8, 4), "4294967295"), Err(0));
        assert_eq!(grace((9, 2), "99999999999"), Err(0));
        assert_eq!(grace((9, 2), "2147483647"), Ok("2147483647".to_owned()));
        assert_eq!(grace((9, 2), "' +5m 3'"), Ok("303".to_owned()));
        assert_eq!(grace((9, 9), "+5"), Err(0));
        assert_eq!(grace((9, 2), "-5"), Err(0));
    }

    #[test]
    fn hosts_and_ports_part_at_the_first_colon() {
        let open = |text| of((9, 2), "PermitOpen", text);
        for text in ["[2001:db8::1]:22", "host:80", ":80", "host:*"] {
            assert_eq!(open(text), Ok(text.to_owned()));
        }
        for text in ["2001:db8::1:22", "host/80", "[::1]", "[::1:80", "host:0"] {
            assert_eq!(open(text), Err(0), "{text}");
        }
    }

    #[test]
    fn what_ends_a_list_depends_on_the_release() {
        let empty = r#"host:80 """#;
        let more = r#"host:80 "" more:1"#;
        for release in [(8, 4), (9, 2)] {
            assert_eq!(of(release, "PermitOpen", empty), Ok("host:80".to_owned()));
            assert_eq!(of(release, "PermitOpen", more), Err(2));
        }
        assert_eq!(of((9, 9), "PermitOpen", empty), Err(1));
        assert_eq!(
            of((8, 4), "X11Forwarding", r#"yes "" x"#),
            Ok("yes".to_owned())
        );
        assert_eq!(of((8, 4), "X11Forwarding", "yes x"), Err(1));
        assert_eq!(of((9, 2), "X11Forwarding", r#"yes """#), Err(1));
        // Quotes at the end of the line leave an empty word behind.
        assert_eq!(of((8, 4), "IPQoS", r#""ef""#), Err(0));
        assert_eq!(of((8, 4), "IPQoS", r#""ef" cs1"#), Ok("ef cs1".to_owned()));
        assert_eq!(of((9, 2), "IPQoS", r#""ef""#), Ok("ef ef".to_owned()));
        let quoted = r#"default "none""#;
        assert_eq!(of((8, 4), "RekeyLimit", quoted), Err(1));
        assert_eq!(of((9, 2), "RekeyLimit", quoted), Ok("0 0".to_owned()));
        assert_eq!(
            of((8, 4), "RekeyLimit", "default none"),
            Ok("0 0".to_owned())
        );
        let timeout = |release, text| of(release, "ChannelTimeout", text);
        let last = "session=5m none";
        assert_eq!(timeout((9, 2), last), Ok(last.to_owned()));
        assert_eq!(timeout((9, 2), "none session=5m"), Err(0));
        assert_eq!(timeout((9, 9), last), Err(1));
        assert_eq!(of((9, 2), "VersionAddendum", "a\rb"), Err(0));
        assert_eq!(of((9, 2), "VersionAddendum", "a b"), Ok("a b".to_owned()));
        assert_eq!(of((10, 0), "Subsystem", r#"sftp """#), Err(1));
    }

    #[test]
    fn values_print_as_sshd_prints_them() {
        for (keyword, text, want) in [
            ("MaxStartups", "30", "30:30:30"),
            ("RekeyLimit", "1G 1h", "1073741824 3600"),
            ("IPQoS", "af21", "af21 af21"),
            ("IPQoS", "none 0x12", "none 0x12"),
            ("PermitListen", "8080 host:80", "*:8080 host:80"),
            ("PermitRootLogin", "Prohibit-Password", "without-password"),
            ("StreamLocalBindMask", "077", "077"),
            ("TrustedUserCAKeys", "ca", "/x/ca"),
            ("ForceCommand", "\"a b\" c # d", "\"a b\" c # d"),
            ("MACs", "hmac-sha1,hmac-sha1", "hmac-sha1"),
            ("MACs", "hmac-sha1,", "hmac-sha1"),
            ("RekeyLimit", "1.5G", "1610612736 0"),
            ("MaxStartups", "10:30:100x", "10:30:100"),
            ("StreamLocalBindMask", "0177x", "0177"),
            ("AuthorizedKeysFile", "~/.ssh/keys", "/root/.ssh/keys"),
            ("HostKeyAgent", "agent", "/x/agent"),
            ("Ciphers", "-aes*", "chacha20-poly1305@openssh.com"),
        ] {
            assert_eq!(
                value(keyword, text),
                Ok(vec![want.to_owned()]),
                "{keyword} {text}"
            );
        }
    }

    #[test]
    fn what_sshd_refuses_is_refused_at_the_word() {
        for (keyword, text, word) in [
            ("PasswordAuthentication", "true", 0),
            ("Port", "0", 0),
            ("PermitTunnel", "YES", 0),
            ("MACs", "+", 0),
            ("StreamLocalBindMask", "999", 0),
            ("ListenAddress", "192.0.2.0/24", 0),
            ("ChannelTimeout", "session=none", 0),
            ("PerSourcePenaltyExemptList", "192.0.2.1/24", 0),
            ("GSSAPIKexAlgorithms", "gss-group2-", 0),
            ("MaxAuthTries", "-1", 0),
            ("MaxStartups", "10:30:5", 0),
            ("X11Forwarding", "yes no", 1),
            ("AllowUsers", "bob alice@192.0.2.1/24", 1),
            ("Ciphers", "aes256-gmc@openssh.com", 0),
            ("PermitOpen", "host", 0),
            ("AuthenticationMethods", "publickey,pasword", 0),
            ("Subsystem", "sftp", 1),
            ("AuthorizedKeysCommand", "keys %u", 0),
            ("LoginGraceTime", "", 0),
        ] {
            assert_eq!(
                value(keyword, text).map_err(|r| r.word),
                Err(word),
                "{keyword} {text}"
            );
        }
        let hint = value("Ciphers", "aes256-gmc@openssh.com").unwrap_err().hint;
        assert_eq!(
            hint.as_deref(),
            Some("did you mean aes256-gcm@openssh.com?")
        );
    }
}
