//! What the target's log says was done on it, and which of that a source of logins did for the first time, right after it got in.
//!
//! Each deed is kept once, where it stands first: that is what makes it new or not. All of it is text that whoever has an account on
//! the host can write into its log under any name, so what comes out is what *the log says*, and nothing of it decides alone. Bounded
//! by [`MAX_DEEDS`].

use super::acts::{Act, Source};
use crate::catalog::deeds::{self as rows, Deed as Row, Lasting, What};
use crate::names::{HostId, Names, UserId};
use crate::scan::NONE;
use crate::session::LineRef;
use crate::time::{DAY, HOUR, MINUTE, Time};
use crate::trace::mask;
use hashbrown::HashMap;
use memchr::memmem;
use std::collections::BTreeMap;

/// So many different deeds are kept, and as many more of those that last.
pub const MAX_DEEDS: usize = 20_000;
/// Longer texts are cut.
const MAX_TEXT: usize = 300;
/// Who got in and whose end the log does not show counts as logged in for so long.
pub const UNENDED: i64 = 30 * MINUTE;
/// A log that begins less than this before a source does cannot say what is new.
const HISTORY: i64 = HOUR;
/// What comes back on so many days is a habit.
const HABIT: u32 = 3;
/// What journald says in front of a line that another program wrote (see `transcode::record`).
const FORGED: &[u8] = b"[journal exe=";

/// One thing done on the target, where the log says it first.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    pub at: Time,
    pub line: LineRef,
    pub host: HostId,
    pub row: &'static Row,
    /// The line's own tag.
    pub program: &'static str,
    /// Who did it, as the line says; empty where it does not.
    pub user: Box<str>,
    pub what: Box<str>,
    pub to: Box<str>,
    pub lasting: bool,
    /// Who had become root last on this host, and when: whose deed it may be where the line says "root" or nobody.
    by: Option<(Box<str>, Time)>,
    /// `user` and `by` among the names of the logins, or [`NONE`].
    user_id: UserId,
    by_id: UserId,
    /// On how many days it was done.
    pub days: u32,
    last_day: i64,
}

/// Collects deeds in the order of the log.
#[derive(Clone, Debug, Default)]
pub struct Deeds {
    list: Vec<Deed>,
    known: HashMap<Box<str>, u32>,
    root: HashMap<HostId, (Box<str>, Time)>,
    /// Root among the names of the logins.
    root_id: Option<UserId>,
    /// Different deeds that did not fit.
    pub dropped: u64,
    /// Lines in the name of one of these programs that another one wrote.
    pub forged: u64,
}

/// The slots of a wording, filled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Slots<'a> {
    user: &'a [u8],
    what: &'a [u8],
    to: &'a [u8],
}

/// Matches one wording of [`rows::ROWS`].
fn read<'a>(text: &'static str, message: &'a [u8]) -> Option<Slots<'a>> {
    let mut out = Slots::default();
    let (literal, mut wording) = text.split_at(text.find('{').unwrap_or(text.len()));
    let mut rest = message.strip_prefix(literal.as_bytes())?;
    while let Some((name, behind)) = wording.strip_prefix('{').and_then(|w| w.split_once('}')) {
        let (literal, after) = behind.split_at(behind.find('{').unwrap_or(behind.len()));
        let end = if literal.is_empty() {
            rest.len()
        } else {
            memmem::find(rest, literal.as_bytes())?
        };
        let (value, more) = rest.split_at_checked(end)?;
        rest = more.get(literal.len()..)?;
        wording = after;
        let word = !value.is_empty() && !value.iter().any(u8::is_ascii_whitespace);
        match name {
            "user" if word => out.user = value,
            "to" if word => out.to = value,
            "what" if !value.trim_ascii().is_empty() => out.what = value.trim_ascii(),
            "*" => {}
            _ => return None,
        }
    }
    rest.is_empty().then_some(out)
}

/// The row of a line whose own tag is `program`, and what it says.
fn find<'a>(program: &str, message: &'a [u8]) -> Option<(&'static Row, Slots<'a>)> {
    rows::ROWS
        .iter()
        .filter(|row| row.programs.contains(&program))
        .find_map(|row| {
            let slots = row.texts.iter().find_map(|text| read(text, message))?;
            Some((row, slots))
        })
}

/// The last part of a path, without quotes.
fn base(word: &str) -> &str {
    let word = word.trim_matches(|c| matches!(c, '"' | '\'' | '(' | ')' | ';'));
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether a command changes who may log in, or what runs by itself.
fn keeps_a_way(command: &str) -> bool {
    let mut words = command.split_ascii_whitespace();
    let first = base(words.next().unwrap_or_default());
    if rows::READS.contains(&first) {
        return false;
    }
    let runs = rows::RUNS.contains(&first);
    let looks = |program: &str| {
        rows::LOOKS
            .iter()
            .any(|(p, option)| *p == program && command.split(' ').any(|w| w == *option))
    };
    let keeps = |word: &str| rows::KEEPS.contains(&word) && !looks(word);
    keeps(first)
        || (runs && words.any(|w| keeps(base(w))))
        || rows::PLACES.iter().any(|place| command.contains(place))
}

/// A text without its numbers, so that what only counts on is the same: `build 17` and `build 18`.
fn without_numbers(text: &str, out: &mut String) {
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if !name.bytes().any(|b| b.is_ascii_digit()) {
            out.push_str(word);
            continue;
        }
        if name.bytes().all(|b| b.is_ascii_hexdigit()) {
            out.push('#');
        } else {
            let mut before = false;
            for c in name.chars() {
                let digit = c.is_ascii_digit();
                if !(digit && before) {
                    out.push(if digit { '#' } else { c });
                }
                before = digit;
            }
        }
        out.push_str(word.get(name.len()..).unwrap_or_default());
    }
}

fn text(bytes: &[u8]) -> Box<str> {
    let cut = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    String::from_utf8_lossy(cut).into()
}

impl Deed {
    /// What was done, whoever did it: equal for deeds that are the same.
    fn kind(&self) -> String {
        let mut out = format!("{}\0{}\0{}\0", self.host, self.row.slug, self.to);
        if self.lasting {
            out.push_str(&self.what);
        } else {
            without_numbers(&self.what, &mut out);
        }
        out
    }

    /// `sudo ran /usr/bin/id as root`; as the log says it, secrets masked.
    pub fn said(&self) -> String {
        let what = match self.row.what {
            What::Command => mask::line(&self.what),
            _ => self.what.as_ref().into(),
        };
        // One pass: what stands in a slot is nobody's template.
        let mut out = format!("{} ", self.program);
        let mut rest = self.row.says;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            out.push_str(if name == "to" { &self.to } else { &what });
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

impl Deeds {
    /// A line of one of the catalogue's programs (`program` is its own tag).
    pub fn line(
        &mut self,
        program: &'static str,
        message: &[u8],
        at: Time,
        line: LineRef,
        host: HostId,
    ) {
        let message = message.trim_ascii();
        if message.starts_with(FORGED) {
            self.forged += 1;
            return;
        }
        let Some((row, slots)) = find(program, message) else {
            return;
        };
        let mut what = slots.what;
        if row.slug == "pkexec-command" {
            what = what.strip_suffix(b"]").unwrap_or(what);
        }
        let to = match row.what {
            What::Command if slots.to.is_empty() => b"root",
            _ => slots.to,
        };
        let (user, what, to) = (text(slots.user), text(what), text(to));
        let lasting = match row.lasting {
            Lasting::No => false,
            Lasting::Yes => true,
            Lasting::Group => rows::GROUPS.contains(&to.as_ref()),
            Lasting::Command => keeps_a_way(&what),
        };
        let by = if user.is_empty() || user.as_ref() == "root" {
            self.root.get(&host).cloned()
        } else {
            if matches!(row.what, What::Command | What::Became) && to.as_ref() == "root" {
                self.root.insert(host, (user.clone(), at));
            }
            None
        };
        self.add(Deed {
            at,
            line,
            host,
            row,
            program,
            user,
            what,
            to,
            lasting,
            by,
            user_id: NONE,
            by_id: NONE,
            days: 1,
            last_day: at.0.div_euclid(DAY),
        });
    }

    /// sshd says which kind of session began.
    pub fn session(
        &mut self,
        kind: &'static str,
        user: &str,
        at: Time,
        line: LineRef,
        host: HostId,
    ) {
        self.add(Deed {
            at,
            line,
            host,
            row: &rows::SESSION,
            program: "sshd",
            user: text(user.as_bytes()),
            what: kind.into(),
            to: "".into(),
            lasting: false,
            by: None,
            user_id: NONE,
            by_id: NONE,
            days: 1,
            last_day: at.0.div_euclid(DAY),
        });
    }

    fn add(&mut self, deed: Deed) {
        let key = format!("{}\0{}", deed.user, deed.kind());
        if let Some(known) = self
            .known
            .get(key.as_str())
            .and_then(|i| self.list.get_mut(*i as usize))
        {
            if deed.last_day != known.last_day {
                known.days = known.days.saturating_add(1);
                known.last_day = deed.last_day;
            }
            // Logs are read one after the other: a later one may begin earlier.
            if deed.at < known.at {
                let (days, last_day) = (known.days, known.last_day);
                *known = Deed {
                    days,
                    last_day,
                    ..deed
                };
            }
            return;
        }
        let room = if deed.lasting {
            2 * MAX_DEEDS
        } else {
            MAX_DEEDS
        };
        if self.list.len() >= room {
            self.dropped += 1;
            return;
        }
        self.known.insert(key.into(), self.list.len() as u32);
        self.list.push(deed);
    }

    /// Finds those who did it among the names of the logins: at the end, as a login may stand behind a deed.
    pub fn name(&mut self, names: &Names) {
        let find = |name: &str| match name {
            "" => NONE,
            name => names.find_user(name).unwrap_or(NONE),
        };
        self.root_id = names.find_user("root");
        for deed in &mut self.list {
            deed.user_id = find(&deed.user);
            deed.by_id = deed.by.as_ref().map_or(NONE, |(who, _)| find(who));
        }
        self.known = HashMap::new();
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Who did what was done while a source was logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The line names the user who had got in.
    Named,
    /// Root did it, which the user had become.
    AsRoot,
    /// The line names nobody, and nobody is known to have been root then.
    Unsaid,
}

/// Something a source did for the first time, while it was logged in.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    pub deed: Deed,
    /// Who had got in; empty where the line does not tell.
    pub user: String,
    /// Since then.
    pub since: i64,
    pub whose: Whose,
    /// Nobody else had done it before either.
    pub nobody: bool,
    /// The program that ran, or the kind of change, is new as well, not only its arguments.
    pub tool_is_new: bool,
    /// What the log knows from before the source's first login.
    pub history: i64,
    /// It was done in the first stay that the source had.
    pub first_stay: bool,
}

impl After {
    /// Whether the log reaches back far enough to call it new.
    pub fn is_new(&self) -> bool {
        self.history >= HISTORY
    }

    /// It comes back day after day: what a job does.
    pub fn is_habit(&self) -> bool {
        self.deed.days >= HABIT
    }
}

/// When somebody was logged in.
#[derive(Clone, Copy, Debug)]
struct Stay {
    from: Time,
    until: Time,
}

/// Stays by host and user, in order of time and joined where they overlap.
fn stays<'a>(acts: impl Iterator<Item = &'a Act>) -> BTreeMap<(HostId, UserId), Vec<Stay>> {
    let mut out: BTreeMap<(HostId, UserId), Vec<Stay>> = BTreeMap::new();
    let mut list: Vec<(HostId, UserId, Stay)> = acts
        .filter_map(|a| {
            let (from, until) = a.stay?;
            let until = until.unwrap_or(Time(from.0 + UNENDED));
            Some((a.host, a.user, Stay { from, until }))
        })
        .collect();
    list.sort_by_key(|(.., s)| s.from);
    for (host, user, stay) in list {
        let of = out.entry((host, user)).or_default();
        match of.last_mut() {
            Some(last) if stay.from <= last.until => last.until = last.until.max(stay.until),
            _ => of.push(stay),
        }
    }
    out
}

fn within(list: &[Stay], at: Time) -> Option<Stay> {
    let i = list.partition_point(|s| s.from <= at).checked_sub(1)?;
    list.get(i).copied().filter(|s| at <= s.until)
}

/// When root was logged in from elsewhere, by host.
fn root_stays_of_others(
    source: &Source,
    sources: &[Source],
    root: UserId,
) -> BTreeMap<HostId, Vec<Stay>> {
    let acts = sources
        .iter()
        .filter(|s| s.addr != source.addr)
        .flat_map(|s| s.acts.iter());
    stays(acts.filter(|a| a.user == root))
        .into_iter()
        .map(|((host, _), list)| (host, list))
        .collect()
}

/// Whose, of which kind, with which program.
type Tool<'a> = (HostId, &'a str, &'static str, &'a str);

fn tool_of(deed: &Deed) -> Tool<'_> {
    let tool = match deed.row.what {
        What::Command => deed.what.split_ascii_whitespace().next().unwrap_or(""),
        _ => "",
    };
    (deed.host, &deed.user, deed.row.slug, tool)
}

/// When things were done first.
#[derive(Default)]
struct Known<'a> {
    kind: HashMap<String, Time>,
    tool: HashMap<Tool<'a>, Time>,
    session: HashMap<(HostId, &'a str), Time>,
}

impl<'a> Known<'a> {
    fn of(deeds: &'a Deeds) -> Known<'a> {
        let mut out = Known::default();
        let first = |at: &mut Time, deed: &Deed| *at = (*at).min(deed.at);
        for deed in &deeds.list {
            first(out.kind.entry(deed.kind()).or_insert(deed.at), deed);
            first(out.tool.entry(tool_of(deed)).or_insert(deed.at), deed);
            if deed.row.what == What::Session {
                let of = (deed.host, &*deed.user);
                first(out.session.entry(of).or_insert(deed.at), deed);
            }
        }
        out
    }
}

/// What `source` did for the first time while it was logged in, in order of time. `log`: what the target's log spans.
pub fn right_after(
    source: &Source,
    sources: &[Source],
    deeds: &Deeds,
    log: Option<(Time, Time)>,
) -> Vec<After> {
    let Some(first) = source.acts.first().map(|a| a.at) else {
        return Vec::new();
    };
    let history = log.map_or(0, |(from, _)| (first.0 - from.0).max(0));
    let stays = stays(source.acts.iter());
    let began = stays.values().flatten().map(|s| s.from).min();
    let root = deeds.root_id.unwrap_or(NONE);
    let known = Known::of(deeds);
    let others = root_stays_of_others(source, sources, root);
    let mut out: Vec<After> = Vec::new();
    for deed in deeds.list.iter().filter(|d| d.at >= first) {
        let at = |user: UserId| within(stays.get(&(deed.host, user))?, deed.at);
        let by = deed.by.as_ref().map(|(_, t)| *t);
        // Root's own login counts for what is root's, unless somebody has become root since.
        let own = |stay: &Stay| by.is_none_or(|t| t < stay.from);
        let nobody = deed.user.is_empty();
        let named = if nobody { root } else { deed.user_id };
        let found = at(named)
            .filter(own)
            .map(|stay| {
                (
                    if nobody { "root" } else { &*deed.user },
                    stay,
                    Whose::Named,
                )
            })
            .or_else(|| {
                let (who, t) = deed.by.as_ref()?;
                let stay = at(deed.by_id).filter(|stay| *t >= stay.from)?;
                Some((who, stay, Whose::AsRoot))
            })
            .or_else(|| {
                let elsewhere = others
                    .get(&deed.host)
                    .and_then(|list| within(list, deed.at));
                if !nobody || elsewhere.is_some() {
                    return None;
                }
                let here = stays.iter().filter(|((host, _), _)| *host == deed.host);
                let stay = here
                    .filter_map(|(_, list)| within(list, deed.at))
                    .find(own)?;
                Some(("", stay, Whose::Unsaid))
            });
        let Some((user, stay, whose)) = found else {
            continue;
        };
        // A kind of session is new only for who had others.
        if deed.row.what == What::Session
            && known
                .session
                .get(&(deed.host, &*deed.user))
                .is_none_or(|at| *at >= first)
        {
            continue;
        }
        out.push(After {
            user: user.to_owned(),
            since: deed.at.0 - stay.from.0,
            whose,
            nobody: known.kind.get(&deed.kind()).is_none_or(|at| *at >= deed.at),
            tool_is_new: known
                .tool
                .get(&tool_of(deed))
                .is_none_or(|at| *at >= deed.at),
            history,
            first_stay: Some(stay.from) == began,
            deed: deed.clone(),
        });
    }
    out.sort_by(|a, b| {
        a.deed
            .at
            .cmp(&b.deed.at)
            .then_with(|| a.deed.line.cmp(&b.deed.line))
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Analysis, Filter};
    use crate::detect::{Detectors, Settings};
    use crate::line::Years;
    use crate::names::Limits;
    use crate::scan::{Scanned, Scanner};
    use crate::time::Zone;

    fn of(program: &str, message: &str) -> Option<(&'static str, String, String, String)> {
        let (row, slots) = find(program, message.trim().as_bytes())?;
        let t = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Some((row.slug, t(slots.user), t(slots.what), t(slots.to)))
    }

    fn read_log(log: &str) -> (Vec<Source>, Deeds) {
        let zone = Zone::utc();
        let mut analysis = Analysis::new(
            zone.clone(),
            Filter::default(),
            Limits::default(),
            Detectors::new(Settings::default()),
        );
        analysis.keep_acts();
        let file = analysis.file("auth.log");
        let mut scanned = Scanned::default();
        Scanner::for_deeds(true).scan(log.as_bytes(), Years::default(), &zone, &mut scanned);
        analysis.fold(log.as_bytes(), &scanned, file, 1, None);
        let (sources, _) = analysis.take_sources();
        (sources, analysis.take_deeds())
    }

    /// The first line's time is long before everything else: what the log does not know of is new.
    const LOG: (Time, Time) = (Time(0), Time(i64::MAX));

    fn after(log: &str, addr: &str) -> Vec<After> {
        let (sources, deeds) = read_log(log);
        let source = sources.iter().find(|s| s.addr == addr).unwrap();
        right_after(source, &sources, &deeds, Some(LOG))
    }

    fn said(list: &[After]) -> Vec<(String, &str, Whose)> {
        list.iter()
            .map(|a| (a.deed.said(), a.user.as_str(), a.whose))
            .collect()
    }

    /// `03:00:05 sshd[9]: text` as a line of 2026-03-28.
    fn log(lines: &[&str]) -> String {
        lines
            .iter()
            .map(|l| format!("2026-03-28T{}+00:00 db-3 {}\n", &l[..8], &l[9..]))
            .collect()
    }

    fn login(user: &str) -> [String; 2] {
        [
            format!(
                "03:00:00 sshd[900]: Accepted password for {user} from 192.0.2.7 port 50122 ssh2"
            ),
            format!("03:20:00 sshd[900]: pam_unix(sshd:session): session closed for user {user}"),
        ]
    }

    /// Of a login of `user` with lines in it.
    fn stay(user: &str, before: &[&str], within: &[&str]) -> Vec<After> {
        let [open, close] = login(user);
        let mut lines = before.to_vec();
        lines.push(&open);
        lines.extend(within.iter().filter(|l| **l < "03:20:00"));
        lines.push(&close);
        lines.extend(within.iter().filter(|l| **l >= "03:20:00"));
        after(&log(&lines), "192.0.2.7")
    }

    #[test]
    fn every_row_is_its_example_and_not_its_near_miss() {
        for (i, row) in rows::ROWS.iter().enumerate() {
            assert!(
                rows::ROWS.iter().skip(i + 1).all(|r| r.slug != row.slug),
                "{}",
                row.slug
            );
            for program in row.programs {
                assert_eq!(rows::program(program.as_bytes()), Some(*program));
                assert_eq!(
                    of(program, row.example).map(|f| f.0),
                    Some(row.slug),
                    "{program}: {}",
                    row.example
                );
                assert_ne!(
                    of(program, row.near_miss).map(|f| f.0),
                    Some(row.slug),
                    "{program}: {}",
                    row.near_miss
                );
            }
            for other in ["sshd", "CRON", "logger", "sudoer", "kernel"] {
                assert_eq!(of(other, row.example), None);
                assert_eq!(rows::program(other.as_bytes()), None);
            }
        }
    }

    #[test]
    fn each_wording_is_read() {
        let f = |p, m: &str| {
            let (slug, user, what, to) = of(p, m).unwrap_or_default();
            format!("{slug}|{user}|{what}|{to}")
        };
        for (program, message, wanted) in [
            (
                "sudo",
                "  ops : TTY=unknown ; PWD=/ ; USER=www ; GROUP=web ; TSID=00 ; COMMAND=/bin/sh -c id",
                "sudo-command|ops|/bin/sh -c id|www",
            ),
            (
                "sudo",
                "ops : PWD=/ ; USER=root ; COMMAND=list",
                "sudo-command|ops|list|root",
            ),
            (
                "sudo",
                "ops : HOST=db-3 ; TTY=pts/1 ; PWD=/ ; USER=root ; ENV=A=b ; COMMAND=/bin/id",
                "sudo-command|ops|/bin/id|root",
            ),
            (
                "sudo",
                "ops : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id",
                "|||",
            ),
            (
                "sudo",
                "ops : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id",
                "|||",
            ),
            (
                "sudo",
                "pam_unix(sudo:session): session opened for user root(uid=0) by ops(uid=1000)",
                "|||",
            ),
            ("su", "(to root) ops on pts/0", "su|ops||root"),
            ("su", "Successful su for root by ops", "su|ops||root"),
            (
                "su",
                "pam_unix(su:session): session opened for user root by ops(uid=1000)",
                "su|ops||root",
            ),
            (
                "su",
                "pam_unix(su:session): session opened for user www by (uid=0)",
                "|||",
            ),
            ("usermod", "add 'm' to shadow group 'sudo'", "|||"),
            (
                "gpasswd",
                "user m added by root to group docker",
                "group-joined|root|m|docker",
            ),
            (
                "passwd",
                "password for 'm' changed by 'root'",
                "password-changed|root|m|",
            ),
            (
                "usermod",
                "unlock user 'm' password",
                "password-changed||m|",
            ),
            (
                "groupadd",
                "group added to /etc/group: name=g, GID=12",
                "group-made||g|",
            ),
        ] {
            assert_eq!(f(program, message), wanted, "{message}");
        }
        assert_eq!(
            of("pkexec", rows::ROWS[2].example).unwrap().2,
            "/usr/bin/id]",
            "the bracket goes later"
        );
    }

    #[test]
    fn what_keeps_a_way_in_is_told_from_what_only_looks() {
        for command in [
            "/usr/sbin/useradd -m x",
            "/bin/sh -c '/usr/sbin/usermod -aG sudo x'",
            "/usr/bin/tee -a /root/.ssh/authorized_keys",
            "/usr/bin/cp x /etc/cron.d/x",
            "/usr/sbin/visudo",
            "/usr/bin/crontab -e",
        ] {
            assert!(keeps_a_way(command), "{command}");
        }
        for command in [
            "/usr/bin/id",
            "/usr/bin/cat /etc/passwd",
            "/usr/bin/ls /etc/cron.d",
            "/usr/bin/crontab -l",
            "/usr/bin/passwd -S ops",
            "/usr/bin/apt install passwd",
            "list",
            "",
        ] {
            assert!(!keeps_a_way(command), "{command}");
        }
    }

    #[test]
    fn what_was_done_before_is_not_new_and_numbers_do_not_make_it_so() {
        let before = [
            "01:00:00 sudo:  ops : TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/opt/deploy --build 1234 a1b2c3",
            "01:00:01 sudo:  bob : TTY=pts/3 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/apt update",
        ];
        let list = stay(
            "ops",
            &before,
            &[
                "03:00:05 sudo:  ops : TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/opt/deploy --build 1235 d4e5f6",
                "03:00:06 sudo:  ops : TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/usr/bin/apt update",
                "03:00:07 sudo:  ops : TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/opt/deploy --undo",
                "03:00:08 sudo:  bob : TTY=pts/3 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id",
                "03:21:00 sudo:  ops : TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/usr/bin/late",
            ],
        );
        let told: Vec<(&str, bool, bool)> = list
            .iter()
            .map(|a| (&*a.deed.what, a.nobody, a.tool_is_new))
            .collect();
        assert_eq!(
            told,
            [
                ("/usr/bin/apt update", false, true),
                ("/opt/deploy --undo", true, false)
            ]
        );
        assert_eq!(list[0].since, 6_000_000);
        assert!(
            list.iter()
                .all(|a| a.first_stay && a.is_new() && !a.is_habit())
        );
    }

    #[test]
    fn without_an_end_a_stay_lasts_half_an_hour() {
        let lines = log(&[
            "03:00:00 sshd[900]: Accepted password for ops from 192.0.2.7 port 50122 ssh2",
            "03:29:00 sudo:  ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/in",
            "03:31:00 sudo:  ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/out",
        ]);
        assert_eq!(
            said(&after(&lines, "192.0.2.7")),
            [(
                "sudo ran /usr/bin/in as root".to_owned(),
                "ops",
                Whose::Named
            )]
        );
    }

    #[test]
    fn what_root_does_is_the_users_who_became_root_and_nobody_elses() {
        let became = "03:01:00 su[7]: pam_unix(su-l:session): session opened for user root(uid=0) by ops(uid=1000)";
        let makes = [
            "03:01:10 useradd[8]: new user: name=m, UID=1002, GID=1002, home=/home/m, shell=/bin/sh, from=/dev/pts/0",
            "03:01:11 usermod[9]: add 'm' to group 'sudo'",
            "03:01:12 crontab[9]: (root) REPLACE (root)",
        ];
        let mut lines = vec![became];
        lines.extend(makes);
        let list = stay("ops", &[], &lines);
        let told = said(&list);
        assert_eq!(told.len(), 4);
        assert_eq!(
            told[1],
            (
                "useradd made the account m".to_owned(),
                "ops",
                Whose::AsRoot
            )
        );
        assert_eq!(told[3].0, "crontab replaced the crontab of root");
        assert!(list.iter().skip(1).all(|a| a.deed.lasting));
        // Somebody else became root last.
        let other =
            "03:01:05 sudo:  bob : TTY=pts/3 ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/useradd m";
        let mut lines = vec![became, other];
        lines.extend(makes);
        assert_eq!(stay("ops", &[], &lines).len(), 1);
        // Nobody is known to have become root: the log does not say who it was.
        let told = stay("ops", &[], &makes);
        assert_eq!(told.len(), 2);
        assert!(
            told.iter()
                .all(|a| a.whose == Whose::Unsaid && a.user.is_empty())
        );
        // Root is logged in from elsewhere.
        let root = "02:59:00 sshd[800]: Accepted publickey for root from 192.0.2.9 port 40000 ssh2: RSA SHA256:6mYq2zJ0t3nVn8cF2p7o1kqv4B3yWm5x9uE7dLr8aTs";
        assert_eq!(stay("ops", &[root], &makes).len(), 0);
        // Root's own login.
        let told = stay("root", &[], &makes);
        assert_eq!(told.len(), 3);
        assert!(
            told.iter()
                .all(|a| a.whose == Whose::Named && a.user == "root")
        );
    }

    #[test]
    fn a_kind_of_session_is_new_for_who_had_others() {
        let shell = "03:00:02 sshd[901]: Starting session: shell on pts/0 for ops from 192.0.2.7 port 50122 id 0";
        let command =
            "01:00:02 sshd[700]: Starting session: command for ops from 192.0.2.9 port 40000 id 0";
        let told = stay("ops", &[command], &[shell]);
        assert_eq!(
            said(&told),
            [("sshd started a shell".to_owned(), "ops", Whose::Named)]
        );
        assert_eq!(stay("ops", &[], &[shell]).len(), 0);
        let before = "01:00:02 sshd[700]: Starting session: shell on pts/3 for ops from 192.0.2.9 port 40000 id 0";
        assert_eq!(stay("ops", &[before], &[shell]).len(), 0);
    }

    #[test]
    fn a_text_that_quotes_a_deed_is_none() {
        let none = stay(
            "ops",
            &[],
            &[
                "03:00:05 sshd[901]: Failed password for invalid user sudo:  ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/x from 192.0.2.66 port 4 ssh2",
                "03:00:05 app[9]: useradd[8]: new user: name=m, UID=0, GID=0, home=/, shell=/bin/sh",
                "03:00:05 sudoku:  ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/x",
                "03:00:05 sudo: pam_unix(sudo:auth): authentication failure; ruser=ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/x",
                "03:00:05 sudo:  ops : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/x",
            ],
        );
        assert_eq!(said(&none), []);
        // The journal knows who wrote it.
        let (_, deeds) = read_log(
            "<86>1 2026-03-28T03:00:05Z db-3 sudo 77 - - [journal exe=\"/usr/bin/logger\" uid=\"1000\"] ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/x\n",
        );
        assert!(deeds.is_empty());
        assert_eq!(deeds.forged, 1);
        // A folder's name that plays the rest of the line hides nothing of it.
        let told = stay(
            "ops",
            &[],
            &[
                "03:00:05 sudo:  ops : TTY=pts/0 ; PWD=/tmp/a ; USER=root ; COMMAND=/bin/ls ; USER=root ; COMMAND=/usr/sbin/useradd {to} m",
            ],
        );
        assert_eq!(
            told[0].deed.said(),
            "sudo ran /bin/ls ; USER=root ; COMMAND=/usr/sbin/useradd {to} m as root"
        );
    }

    #[test]
    fn secrets_in_commands_are_masked() {
        let told = stay(
            "ops",
            &[],
            &[
                "03:00:05 sudo:  ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/opt/x --password=hunter2",
            ],
        );
        assert!(!told[0].deed.said().contains("hunter2"));
    }

    #[test]
    fn memory_is_bounded_and_what_lasts_has_room_of_its_own() {
        let mut deeds = Deeds::default();
        let long = "x".repeat(5000);
        for i in 0..3 * MAX_DEEDS {
            let word: String = format!("{i}").bytes().map(|b| (b + 50) as char).collect();
            let line = format!("ops : TTY=a ; PWD=/ ; USER=root ; COMMAND=/bin/{word} {long}");
            deeds.line("sudo", line.as_bytes(), Time(0), LineRef::default(), 0);
        }
        assert_eq!(deeds.list.len(), MAX_DEEDS);
        assert_eq!(deeds.dropped, 2 * MAX_DEEDS as u64);
        deeds.line(
            "useradd",
            b"new user: name=m, UID=1",
            Time(0),
            LineRef::default(),
            0,
        );
        assert_eq!(deeds.list.last().unwrap().row.slug, "account-made");
        assert!(deeds.list.iter().all(|d| d.what.len() <= MAX_TEXT));
        // What is asked of all of them is asked once.
        for i in 0..3 * MAX_DEEDS {
            let line = format!("new user: name=m{i}, UID=1");
            deeds.line("useradd", line.as_bytes(), Time(0), LineRef::default(), 0);
        }
        assert_eq!(deeds.list.len(), 2 * MAX_DEEDS);
    }

    #[test]
    fn days_are_counted_and_the_first_time_is_kept() {
        let mut deeds = Deeds::default();
        let at = |day: i64| Time(day * DAY + HOUR);
        for day in [5, 6, 6, 3, 7] {
            deeds.line(
                "crontab",
                b"(ops) REPLACE (ops)",
                at(day),
                LineRef::default(),
                0,
            );
        }
        assert_eq!(deeds.list.len(), 1);
        assert_eq!((deeds.list[0].at, deeds.list[0].days), (at(3), 4));
    }
}
