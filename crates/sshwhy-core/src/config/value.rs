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
}

fn refuse<T>(word: usize, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        word,
        message: message.into(),
        hint: None,
    })
}

fn hinted<T>(word: usize, message: String, hint: String) -> Result<T, Refusal> {
    Err(Refusal {
        word,
        message,
        hint: Some(hint),
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

fn number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let n: u32 = digits.parse().ok()?;
    (digits.bytes().all(|b| b.is_ascii_digit()) && n <= i32::MAX as u32).then_some(n)
}

/// 1–65535.
pub fn port(text: &str) -> Option<u16> {
    match text {
        "ssh" => Some(22),
        _ => number(text)
            .and_then(|n| u16::try_from(n).ok())
            .filter(|n| *n > 0),
    }
}

/// Bytes of `1G`, `512M`, `100` (scan_scaled(3)).
fn scaled(text: &str) -> Option<u64> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(split)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
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

fn qos(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("none") {
        return Some("none".to_owned());
    }
    if let Some((name, _)) = QOS.iter().find(|(n, _)| n.eq_ignore_ascii_case(text)) {
        return Some((*name).to_owned());
    }
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok()?,
        None => text.parse().ok()?,
    };
    let name = QOS.iter().find(|(_, v)| *v == value).map(|(n, _)| *n);
    (value <= 255).then(|| name.map_or_else(|| format!("{value:#04x}"), str::to_owned))
}

fn supported(family: Algorithms) -> &'static str {
    match family {
        Algorithms::Cipher => keywords::ALL_CIPHERS,
        Algorithms::Mac => keywords::ALL_MACS,
        Algorithms::Kex => keywords::ALL_KEX,
        Algorithms::Key | Algorithms::Signature => keywords::ALL_KEY_ALGORITHMS,
    }
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

/// `+x`, `-x`, `^x` or a list, against the default (kex.c kex_assemble_names()).
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
    let all = supported(family);
    let names = text.trim_start_matches(['+', '^', '-']);
    let wild = matches!(family, Algorithms::Key | Algorithms::Signature);
    if !text.starts_with('-') {
        for name in names.split(',') {
            let known = all.split(',').any(|a| a == name)
                || (wild
                    && name.contains(['*', '?'])
                    && all.split(',').any(|a| pattern::matches(a, name)));
            if !known {
                let what = match family {
                    Algorithms::Cipher => "cipher",
                    Algorithms::Mac => "MAC",
                    Algorithms::Kex => "key exchange method",
                    Algorithms::Key | Algorithms::Signature => "key algorithm",
                };
                let hint = nearest(name, all.split(',')).map(|n| format!("did you mean {n}?"));
                return Err(Refusal {
                    word: 0,
                    message: format!("{name:?} is no {what} that sshd knows"),
                    hint,
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

fn host_port(text: &str) -> bool {
    let sound = |p: &str| p == "*" || port(p).is_some();
    match text.rsplit_once(':') {
        Some((host, p)) => !host.is_empty() && sound(p),
        None => false,
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
    let text = |i: usize| args.get(i).map_or("", |w| w.text.as_str());
    let first = text(0);
    let missing = args.is_empty() || first.is_empty();
    let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
    match keyword.kind {
        Kind::Rest | Kind::Command => {
            if rest.is_empty() {
                return refuse(0, format!("{} needs a value", keyword.name));
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
        _ if missing => return refuse(0, format!("{} needs a value", keyword.name)),
        _ => {}
    }
    let one = |value: String| {
        if args.len() > 1 {
            refuse(1, format!("extra words after {first:?}"))
        } else {
            Ok(vec![value])
        }
    };
    let all_words = || args.iter().map(|w| w.text.clone()).collect::<Vec<_>>();
    match keyword.kind {
        Kind::Rest | Kind::Command => Ok(vec![rest.to_owned()]),
        Kind::Choice(words) => match words.iter().find(|(w, _)| w.eq_ignore_ascii_case(first)) {
            Some((_, printed)) => one((*printed).to_owned()),
            None => hinted(
                0,
                format!("{first:?} is no value of {}", keyword.name),
                format!(
                    "it takes {}",
                    words.iter().map(|(w, _)| *w).collect::<Vec<_>>().join(", ")
                ),
            ),
        },
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
            match seconds(first) {
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
        Kind::Octal => match u32::from_str_radix(first, 8) {
            Ok(mask) if mask <= 0o7777 => one(format!("0{mask:o}")),
            _ => refuse(0, format!("{first:?} is no octal mask")),
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
        Kind::Text => one(first.to_owned()),
        Kind::File => {
            let keep = first.starts_with('/')
                || first.starts_with('~')
                || first.eq_ignore_ascii_case("none");
            one(if keep {
                first.to_owned()
            } else {
                format!("{cwd}/{first}")
            })
        }
        Kind::Words => match args.iter().position(|w| w.text.is_empty()) {
            Some(at) => refuse(at, "an empty word"),
            None => Ok(vec![all_words().join(" ")]),
        },
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
                    if !out.iter().any(|o| name(o) == name(&word)) {
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
                let sound = args.len() == 1 && word.text.eq_ignore_ascii_case("none")
                    || word.text.split_once('=').is_some_and(|(n, t)| {
                        !n.is_empty() && (t == "none" || seconds(t).is_some())
                    });
                if !sound {
                    return refuse(at, "TYPE=TIME is wanted");
                }
            }
            Ok(vec![all_words().join(" ")])
        }
        Kind::Subsystem => {
            if args.len() < 2 {
                return refuse(1, format!("subsystem {first} has no command"));
            }
            Ok(vec![all_words().join(" ")])
        }
        Kind::MaxStartups => {
            let parts: Option<Vec<u32>> = first.split(':').map(number).collect();
            match parts.as_deref() {
                Some([n]) if *n > 0 => one(format!("{n}:30:{n}")),
                Some([begin, rate, full])
                    if *begin > 0 && begin <= full && (1..=100).contains(rate) =>
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
        Kind::NetBlock => {
            let parts: Option<Vec<u32>> = first.split(':').map(number).collect();
            match parts.as_deref() {
                Some([v4]) if *v4 <= 32 => one(format!("{v4}:0")),
                Some([v4, v6]) if *v4 <= 32 && *v6 <= 128 => one(format!("{v4}:{v6}")),
                _ => refuse(
                    0,
                    format!("{first:?}: two prefix lengths are wanted, 32:128"),
                ),
            }
        }
        Kind::Penalties => penalties(keyword, args, release),
        Kind::IpQos => match (qos(first), args.get(1)) {
            (None, _) => refuse(0, format!("{first:?} is no class of service")),
            (Some(a), None) => Ok(vec![format!("{a} {a}")]),
            (Some(a), Some(b)) => match qos(&b.text) {
                Some(b) if args.len() == 2 => Ok(vec![format!("{a} {b}")]),
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
                None | Some("none") => Some(0),
                Some(t) => seconds(t),
            };
            match interval {
                Some(_) if args.len() > 2 => refuse(2, "extra words"),
                Some(s) => Ok(vec![format!("{bytes} {s}")]),
                None => refuse(1, format!("{:?} is no time", text(1))),
            }
        }
        Kind::PermitOpen | Kind::PermitListen => {
            if matches!(first, "any" | "none") {
                return one(first.to_owned());
            }
            let mut out = Vec::new();
            for (at, word) in args.iter().enumerate() {
                let t = &word.text;
                if keyword.kind == Kind::PermitListen && port(t).is_some() {
                    out.push(format!("*:{t}"));
                } else if host_port(t) {
                    out.push(t.clone());
                } else {
                    return refuse(at, format!("{t:?}: HOST:PORT is wanted"));
                }
            }
            Ok(vec![out.join(" ")])
        }
        Kind::UserEnvironment => one(match first.to_ascii_lowercase().as_str() {
            yes_no @ ("yes" | "no") => yes_no.to_owned(),
            _ => first.to_owned(),
        }),
        Kind::PubkeyOptions => {
            let known = |w: &Word| {
                matches!(
                    w.text.as_str(),
                    "none" | "touch-required" | "verify-required"
                )
            };
            if let Some(at) = args.iter().position(|w| !known(w)) {
                return refuse(
                    at,
                    format!("{:?} is no option of PubkeyAuthOptions", text(at)),
                );
            }
            let has = |name: &str| args.iter().any(|w| w.text == name);
            let set: Vec<&str> = ["touch-required", "verify-required"]
                .into_iter()
                .filter(|n| has(n))
                .collect();
            Ok(vec![if set.is_empty() {
                "none".to_owned()
            } else {
                set.join(" ")
            }])
        }
        Kind::Algorithms(family) => {
            let value = algorithms(first, family, keyword, release)?;
            one(value)
        }
    }
}

/// One part of PerSourcePenalties, its time in seconds.
pub(super) fn penalty(word: &str) -> Option<(String, String)> {
    let (key, value) = word.split_once(':')?;
    let value = match key {
        "overflow" | "overflow6" => {
            matches!(value, "permissive" | "deny-all").then(|| value.to_owned())
        }
        "max-sources4" | "max-sources6" => number(value).map(|n| n.to_string()),
        _ => seconds(value).map(|s| s.to_string()),
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
            return refuse(at, format!("{key:?} is no penalty"));
        }
        match penalty(&word.text) {
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
