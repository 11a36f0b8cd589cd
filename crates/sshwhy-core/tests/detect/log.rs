//! Writes logs as sshd would, actor by actor, and reads them with the detectors.

use sshwhy_core::analysis::{Analysis, Filter};
use sshwhy_core::detect::{Detectors, Settings};
use sshwhy_core::finding::Finding;
use sshwhy_core::line::Years;
use sshwhy_core::names::Limits;
use sshwhy_core::report::Report;
use sshwhy_core::scan::{Scanned, Scanner};
use sshwhy_core::time::{Time, Zone};

pub const HOUR: f64 = 3600.0;
pub const DAY: f64 = 86_400.0;
/// 2026-03-02, a Monday, midnight UTC.
const START: i64 = 1_772_409_600;

/// Lines with their times, in any order.
#[derive(Clone, Default)]
pub struct Log {
    pub lines: Vec<(f64, String)>,
    pid: u32,
    pub host: &'static str,
}

impl Log {
    pub fn new() -> Log {
        Log {
            lines: Vec::new(),
            pid: 1000,
            host: "srv",
        }
    }

    fn next(&mut self) -> (u32, u32) {
        self.pid += 3;
        (self.pid, 20_000 + self.pid % 40_000)
    }

    pub fn say(&mut self, at: f64, pid: u32, text: &str) {
        let t = Time((START as f64 * 1e6) as i64 + (at * 1e6).round() as i64);
        self.lines
            .push((at, format!("{t} {} sshd[{pid}]: {text}\n", self.host)));
    }

    /// A connection in which `tries` passwords fail, one every two seconds; the last is at `at`.
    pub fn fails(&mut self, at: f64, ip: &str, user: &str, tries: u32) {
        let (pid, port) = self.next();
        let invalid = user.starts_with("no-") || user.contains(' ') || user.contains('\u{1b}');
        let who = if invalid {
            format!("invalid user {user}")
        } else {
            user.to_owned()
        };
        for i in 0..tries {
            let t = at - 2.0 * f64::from(tries - 1 - i);
            self.say(
                t,
                pid,
                &format!("Failed password for {who} from {ip} port {port} ssh2"),
            );
        }
        let kind = if invalid {
            "invalid user"
        } else {
            "authenticating user"
        };
        self.say(
            at + 0.2,
            pid,
            &format!("Connection closed by {kind} {user} {ip} port {port} [preauth]"),
        );
    }

    /// One that ends between name and proof: all that a log without passwords shows.
    pub fn refused(&mut self, at: f64, ip: &str, user: &str) {
        let (pid, port) = self.next();
        self.say(
            at,
            pid,
            &format!("Connection closed by authenticating user {user} {ip} port {port} [preauth]"),
        );
    }

    pub fn login(&mut self, at: f64, ip: &str, user: &str, method: &str, seconds: f64) {
        let (pid, port) = self.next();
        self.say(
            at,
            pid,
            &format!("Accepted {method} for {user} from {ip} port {port} ssh2"),
        );
        self.say(
            at + 0.01,
            pid,
            &format!("pam_unix(sshd:session): session opened for user {user}(uid=1000) by (uid=0)"),
        );
        self.say(
            at + seconds,
            pid + 1,
            &format!("Disconnected from user {user} {ip} port {port}"),
        );
        self.say(
            at + seconds + 0.01,
            pid,
            &format!("pam_unix(sshd:session): session closed for user {user}"),
        );
    }

    /// A TCP check.
    pub fn check(&mut self, at: f64, ip: &str) {
        let (pid, port) = self.next();
        self.say(
            at,
            pid,
            "error: kex_exchange_identification: Connection closed by remote host",
        );
        self.say(
            at + 0.001,
            pid,
            &format!("Connection closed by {ip} port {port}"),
        );
    }

    pub fn probe(&mut self, at: f64, ip: &str, what: &str) {
        let (pid, port) = self.next();
        let text = what.replace("IP", ip).replace("PORT", &port.to_string());
        self.say(at, pid, &text);
        self.say(
            at + 0.01,
            pid,
            &format!("Connection closed by {ip} port {port}"),
        );
    }

    /// A connection that a line without address explains.
    pub fn symptom(&mut self, at: f64, ip: &str, user: &str, text: &str) {
        let (pid, port) = self.next();
        self.say(at, pid, text);
        self.say(
            at + 0.1,
            pid,
            &format!("Connection closed by authenticating user {user} {ip} port {port} [preauth]"),
        );
    }

    pub fn drop(&mut self, at: f64, ip: &str, why: &str) {
        let (_, port) = self.next();
        self.say(
            at,
            700,
            &format!("drop connection #11 from [{ip}]:{port} on [192.0.2.1]:22 {why}"),
        );
    }

    /// Logins of a person on working days, so that the user is known.
    pub fn habit(&mut self, ip: &str, user: &str, days: u32) {
        for day in 0..days {
            for hour in [9.0, 13.5, 16.0] {
                self.login(
                    f64::from(day) * DAY + hour * HOUR,
                    ip,
                    user,
                    "publickey",
                    900.0,
                );
            }
        }
    }

    pub fn text(&self) -> String {
        let mut lines = self.lines.clone();
        lines.sort_by(|a, b| a.0.total_cmp(&b.0));
        lines.into_iter().map(|(_, l)| l).collect()
    }

    pub fn report(&self) -> Report {
        read(&self.text(), Settings::default(), Limits::default())
    }

    pub fn findings(&self) -> Vec<Finding> {
        self.report().findings
    }

    pub fn findings_with(&self, settings: &[&str]) -> Vec<Finding> {
        let mut s = Settings::default();
        for text in settings {
            s.set_text(text).unwrap();
        }
        read(&self.text(), s, Limits::default()).findings
    }
}

/// The report, which is the same whether connections are joined in the blocks already or line by line.
pub fn read(text: &str, settings: Settings, limits: Limits) -> Report {
    let whole = read_blocks(text, settings.clone(), limits, usize::MAX, false).0;
    for size in [3_000, 40_000] {
        let single = read_blocks(text, settings.clone(), limits, size, false).0;
        let joined = read_blocks(text, settings.clone(), limits, size, true).0;
        assert_eq!(
            format!("{single:#?}"),
            format!("{joined:#?}"),
            "blocks of {size} bytes"
        );
    }
    whole
}

/// The report of a log read in blocks of about `size` bytes, and how many of its lines were taken in with their connections.
pub fn read_blocks(
    text: &str,
    settings: Settings,
    limits: Limits,
    size: usize,
    join: bool,
) -> (Report, u64) {
    let zone = Zone::utc();
    let mut analysis = Analysis::new(
        zone.clone(),
        Filter::default(),
        limits,
        Detectors::new(settings),
    );
    let file = analysis.file("auth.log");
    let mut scanned = Scanned::default();
    let mut scanner = Scanner::default();
    if join {
        scanner = scanner.joining();
    }
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let end = rest
            .as_bytes()
            .iter()
            .skip(size)
            .position(|b| *b == b'\n')
            .map_or(rest.len(), |at| size + at + 1);
        let block;
        (block, rest) = rest.split_at(end);
        scanner.scan(block.as_bytes(), Years::default(), &zone, &mut scanned);
        analysis.fold(block.as_bytes(), &scanned, file, line, None);
        line += scanned.lines;
    }
    let joined = analysis.lines_joined();
    (analysis.finish(Vec::new(), Vec::new()), joined)
}

/// `slug addr` of every finding, sorted; findings without an address as `slug`.
pub fn summary(findings: &[Finding]) -> Vec<String> {
    let mut all: Vec<String> = findings
        .iter()
        .map(|f| match f.subjects.addrs.as_slice() {
            [] => f.slug.to_owned(),
            [one] => format!("{} {one}", f.slug),
            many => format!("{} {} addresses", f.slug, many.len()),
        })
        .collect();
    all.sort();
    all
}

pub fn the<'a>(findings: &'a [Finding], slug: &str) -> &'a Finding {
    let mut of: Vec<&Finding> = findings.iter().filter(|f| f.slug == slug).collect();
    assert_eq!(of.len(), 1, "{slug} in {:?}", summary(findings));
    of.remove(0)
}

pub fn has(findings: &[Finding], slug: &str) -> bool {
    findings.iter().any(|f| f.slug == slug)
}

pub fn hostile(findings: &[Finding]) -> Vec<String> {
    let accusing: Vec<Finding> = findings.iter().filter(|f| f.hostile).cloned().collect();
    summary(&accusing)
}

/// A small generator of numbers that look random and are always the same.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
