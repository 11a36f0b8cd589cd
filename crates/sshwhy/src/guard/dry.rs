//! `guard --dry-run LOG`: who would have been banned when, beside what fail2ban's defaults would have done.
//!
//! The log takes the same way as in the daemon, only faster. fail2ban is imitated: its sshd filter's normal mode (which messages
//! count) and its defaults (maxretry 5, findtime 10 min, bantime 10 min), so that nobody has to install it to compare.

use crate::feed::Feed;
use sshwhy_core::addr::parse_ip;
use sshwhy_core::ban::{Action, Ban, Decider, Decision, Watch, What};
use sshwhy_core::event::catalog;
use sshwhy_core::scan::{NO_TIME, Scanned, Scanner};
use sshwhy_core::time::{MINUTE, Time, Zone};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// fail2ban's jail.conf.
const MAXRETRY: usize = 5;
const FINDTIME: i64 = 10 * MINUTE;
const BANTIME: i64 = 10 * MINUTE;

/// What both would have done with one source.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub bans: Vec<Ban>,
    /// When fail2ban would have banned it first, and how often in all.
    pub fail2ban: Option<Time>,
    pub fail2ban_bans: u32,
    pub spared: Option<String>,
    /// Somebody got in from there; and how often while a ban would have held.
    pub accepted: u32,
    pub prevented: u32,
    pub failures: u64,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub rows: BTreeMap<IpAddr, Row>,
    /// Networks wider than one source.
    pub wide: Vec<Ban>,
    pub lines: u64,
    pub first: Option<Time>,
    pub last: Option<Time>,
}

/// fail2ban's count for one address.
#[derive(Default)]
struct Jail {
    times: Vec<i64>,
    until: i64,
}

/// Whether fail2ban's filter, in its normal mode, counts a message: by the row of the catalogue that it belongs to.
fn counts(slug: &str, message: &[u8]) -> bool {
    let starts = |p: &str| slug.starts_with(p);
    if starts("failed-") {
        // A refused key counts for names that do not exist only.
        return !starts("failed-publickey") || message.windows(12).any(|w| w == b"invalid user");
    }
    starts("invalid-user")
        || starts("not-allowed-")
        || starts("max-auth-tries")
        || slug == "pam-authentication-failed"
        || slug == "refused-connect"
        || slug == "illegal-user"
}

/// Runs a log through a decider.
pub fn run(feed: &mut Feed, mut decider: Decider, zone: &Zone) -> Outcome {
    let mut out = Outcome::default();
    let mut watches: HashMap<u32, Watch> = HashMap::new();
    let mut scanner = Scanner::default();
    let mut scanned = Scanned::default();
    let mut jails: HashMap<IpAddr, Jail> = HashMap::new();
    let mut decisions = Vec::new();
    let mut spare = Vec::new();
    while let Some(parcel) = feed.next(std::mem::take(&mut spare)) {
        let block = &parcel.block.bytes;
        scanner.scan(block, parcel.years, zone, &mut scanned);
        out.lines += scanned.lines;
        jail(block, &scanned, &mut jails, &mut out);
        // Rotated copies are one log.
        let set = feed.set_of(parcel.block.file);
        watches
            .entry(set)
            .or_default()
            .block(block, &scanned, &mut |o| {
                match o.what {
                    What::Accepted { .. } => {
                        let row = out.rows.entry(o.ip).or_default();
                        row.accepted += 1;
                        let kept_out = decider.ban_over(o.ip, o.logged).is_some();
                        row.prevented += u32::from(kept_out);
                    }
                    What::Failed => {
                        out.rows.entry(o.ip).or_default().failures += u64::from(o.n);
                    }
                    _ => {}
                }
                // A clock that goes with the log: bans end on the way.
                decider.expire(o.logged);
                decider.offence(o, &mut decisions);
                for d in decisions.drain(..) {
                    match d {
                        Decision::Act(Action::Ban(ban)) => {
                            let source = ban.net.is_one() || ban.net.len == 64;
                            if source && (ban.net.contains(o.ip) || ban.net.is_one()) {
                                let who = if ban.net.contains(o.ip) {
                                    o.ip
                                } else {
                                    ban.net.ip
                                };
                                out.rows.entry(who).or_default().bans.push(ban);
                            } else {
                                out.wide.push(ban);
                            }
                        }
                        Decision::Spared { net, why, .. } => {
                            let row = out.rows.entry(net.ip).or_default();
                            row.spared = Some(why.to_string());
                        }
                        _ => {}
                    }
                }
            });
        spare = parcel.block.bytes;
    }
    out
}

fn jail(block: &[u8], scanned: &Scanned, jails: &mut HashMap<IpAddr, Jail>, out: &mut Outcome) {
    for record in &scanned.records {
        let time = record.time;
        if time == NO_TIME {
            continue;
        }
        out.first = Some(out.first.map_or(Time(time), |f| f.min(Time(time))));
        out.last = Some(out.last.map_or(Time(time), |l| l.max(Time(time))));
        let Some(span) = scanned.addrs.get(record.addr as usize) else {
            continue;
        };
        let message = scanned.message(block, record);
        if !counts(catalog().row(record.row).slug, message) {
            continue;
        }
        let Some(ip) = parse_ip(scanned.text(block, *span)) else {
            continue;
        };
        let jail = jails.entry(ip).or_default();
        if jail.until > time {
            continue;
        }
        for _ in 0..record.repeat.clamp(1, 100) {
            jail.times.push(time);
        }
        jail.times.retain(|t| time - *t < FINDTIME);
        if jail.times.len() >= MAXRETRY {
            jail.times.clear();
            jail.until = time + BANTIME;
            let row = out.rows.entry(ip).or_default();
            row.fail2ban = row.fail2ban.or(Some(Time(time)));
            row.fail2ban_bans += 1;
        }
    }
}

impl Row {
    /// Whether anything of it is worth a line.
    pub fn speaks(&self) -> bool {
        !self.bans.is_empty() || self.fail2ban.is_some() || self.spared.is_some()
    }
}
