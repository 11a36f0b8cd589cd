//! What is looked for in a log: one row a detector, with its thresholds, why they are what they are, and what to do about it.
//!
//! Every threshold is crossed by *more than* its value. Commands are exact; `ADDR` and `USER` become the finding's own where
//! they can be written safely, other words in capitals are for the reader.

use super::causes::Remedy;
use crate::finding::Severity;

/// A number that decides, and may be set by the user as `slug.name`.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    pub name: &'static str,
    pub default: u32,
    pub unit: &'static str,
    pub min: u32,
    pub max: u32,
    /// Why the default is what it is.
    pub why: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// `SW1…`; never changes, never reused.
    pub id: &'static str,
    pub slug: &'static str,
    pub title: &'static str,
    /// Of an ordinary case; a finding may say less or more, and then says why.
    pub severity: Severity,
    /// Whether it counts against the addresses it names.
    pub hostile: bool,
    /// What it means, in plain English.
    pub what: &'static str,
    pub thresholds: &'static [Threshold],
    /// In the order to do it.
    pub remedy: &'static [Remedy],
    pub refs: &'static [&'static str],
}

/// The row of that slug.
pub fn by_slug(slug: &str) -> Option<&'static Detector> {
    ROWS.iter().find(|row| row.slug == slug)
}

/// The row of that id, in any case of letters.
pub fn by_id(id: &str) -> Option<&'static Detector> {
    ROWS.iter().find(|row| row.id.eq_ignore_ascii_case(id))
}

const fn step(
    action: &'static str,
    command: &'static str,
    place: &'static str,
    risk: &'static str,
    undo: Option<&'static str>,
) -> Remedy {
    Remedy {
        action,
        command: Some(command),
        place,
        risk,
        undo,
    }
}

const fn advice(action: &'static str, place: &'static str, risk: &'static str) -> Remedy {
    Remedy {
        action,
        command: None,
        place,
        risk,
        undo: None,
    }
}

const LOOK_AT_IT: Remedy = step(
    "See everything that address did, and whether it got in",
    "sshwhy report --addr ADDR",
    "server",
    "none",
    None,
);
/// For lines that another program wrote in sshd's name.
pub const WHO_WROTE_IT: Remedy = step(
    "See what those programs wrote, and when",
    "journalctl -o verbose -t sshd -t sshd-session | grep -E '_(EXE|UID|CMDLINE)='",
    "server",
    "none",
    None,
);
const BLOCK: Remedy = step(
    "Keep that address out for now; this lasts until the next boot",
    "ip route add blackhole ADDR",
    "server",
    "locks out everybody behind that address, you too if it is yours",
    Some("ip route del blackhole ADDR"),
);
const KEYS_ONLY: Remedy = step(
    "See who logs in by which method. Once nobody needs a password, set PasswordAuthentication no and \
     KbdInteractiveAuthentication no: guessing then leads nowhere. Keep this session open and try a second login",
    "sshwhy config who",
    "server",
    "none",
    None,
);
const PENALTIES: Remedy = step(
    "OpenSSH 9.8 and later slow such sources down by themselves: see that it is on",
    "sshd -T | grep -i persourcepenalties",
    "server",
    "none",
    None,
);

pub const ROWS: &[Detector] = &[
    Detector {
        id: "SW1001",
        slug: "brute-force",
        title: "Guessing passwords fast",
        severity: Severity::Medium,
        hostile: true,
        what: "One address (or one IPv6 /64) failed to log in more often in a minute than a person can by mistake.",
        thresholds: &[
            Threshold {
                name: "failures",
                default: 5,
                unit: "failures",
                min: 2,
                max: 200,
                why: "sshd ends a connection after six tries by default and clients ask three times: a person stays below",
            },
            Threshold {
                name: "seconds",
                default: 60,
                unit: "seconds",
                min: 1,
                max: 3600,
                why: "a minute is what people count in, and short enough that a day of typing errors does not add up",
            },
        ],
        remedy: &[LOOK_AT_IT, BLOCK, PENALTIES, KEYS_ONLY],
        refs: &[
            "sshd_config(5) MaxAuthTries, PerSourcePenalties",
            "MITRE ATT&CK T1110.001",
        ],
    },
    Detector {
        id: "SW1002",
        slug: "slow-brute-force",
        title: "Guessing passwords slowly",
        severity: Severity::Medium,
        hostile: true,
        what: "One address keeps failing at a pace that stays below the usual limits, for hours or days, and never gets in.",
        thresholds: &[
            Threshold {
                name: "failures",
                default: 10,
                unit: "failures",
                min: 2,
                max: 500,
                why: "in a day: somebody who is locked out gives up or asks after a few tries",
            },
            Threshold {
                name: "hours",
                default: 24,
                unit: "hours",
                min: 1,
                max: 168,
                why: "a day holds both a guesser's pace of one try an hour and a person's habits",
            },
            Threshold {
                name: "week",
                default: 30,
                unit: "failures in seven days",
                min: 2,
                max: 500,
                why: "a locked-out person tries once or twice a morning; more than four a day for a week is a machine",
            },
        ],
        remedy: &[LOOK_AT_IT, BLOCK, KEYS_ONLY],
        refs: &["MITRE ATT&CK T1110.001"],
    },
    Detector {
        id: "SW1003",
        slug: "password-spray",
        title: "A few passwords for many users",
        severity: Severity::Medium,
        hostile: true,
        what: "One address tried many user names a few times each: it stays below every limit that counts tries per user.",
        thresholds: &[
            Threshold {
                name: "users",
                default: 4,
                unit: "user names",
                min: 1,
                max: 50,
                why: "nobody has five accounts on one machine and forgets the password of each",
            },
            Threshold {
                name: "tries",
                default: 6,
                unit: "tries per name on average",
                min: 1,
                max: 100,
                why: "one connection's worth of tries; above it is plain guessing, which has its own row",
            },
        ],
        remedy: &[LOOK_AT_IT, BLOCK, KEYS_ONLY],
        refs: &["MITRE ATT&CK T1110.003"],
    },
    Detector {
        id: "SW1004",
        slug: "invalid-user-scan",
        title: "Trying names that do not exist",
        severity: Severity::Low,
        hostile: true,
        what: "One address tried user names most of which this machine does not have: it is looking for accounts.",
        thresholds: &[
            Threshold {
                name: "names",
                default: 4,
                unit: "user names",
                min: 1,
                max: 50,
                why: "a person may misspell a name twice, not invent five",
            },
            Threshold {
                name: "share",
                default: 74,
                unit: "% of the names do not exist",
                min: 0,
                max: 99,
                why: "lists hold a few real names (root) by accident",
            },
        ],
        remedy: &[LOOK_AT_IT, BLOCK],
        refs: &["MITRE ATT&CK T1087"],
    },
    Detector {
        id: "SW1005",
        slug: "distributed-brute-force",
        title: "Many addresses guess together",
        severity: Severity::High,
        hostile: true,
        what: "Many addresses, each too quiet to be noticed by itself, tried the same user or the same list of users in the same hours.",
        thresholds: &[
            Threshold {
                name: "addresses",
                default: 19,
                unit: "addresses",
                min: 2,
                max: 100_000,
                why: "twenty strangers who fail for the same name in a day and never get in have something in common",
            },
            Threshold {
                name: "hours",
                default: 24,
                unit: "hours",
                min: 1,
                max: 720,
                why: "long enough for a slow campaign, short enough that unrelated visitors do not add up",
            },
        ],
        remedy: &[
            step(
                "See whether one of them got in: look for a login of that user from an address you do not know",
                "last -i USER",
                "server",
                "none",
                None,
            ),
            KEYS_ONLY,
            step(
                "Let only known networks reach the port, if people come from known places",
                "nft insert rule inet filter input tcp dport 22 ip saddr != CLIENT_NET drop",
                "server",
                "whoever comes from elsewhere is locked out: keep this session open and try a second one",
                Some(
                    "nft -a list chain inet filter input, then nft delete rule inet filter input handle N",
                ),
            ),
        ],
        refs: &[
            "MITRE ATT&CK T1110",
            "sshd_config(5) PasswordAuthentication",
        ],
    },
    Detector {
        id: "SW1006",
        slug: "success-after-failures",
        title: "Guessed until it got in",
        severity: Severity::Critical,
        hostile: true,
        what: "An address that had been guessing was let in. Treat the account, and all that it can reach, as taken until proven otherwise.",
        thresholds: &[Threshold {
            name: "failures",
            default: 8,
            unit: "failures before the login",
            min: 2,
            max: 1000,
            why: "a person who mistypes gets in within two or three prompts of three tries",
        }],
        remedy: &[
            step(
                "See whether it is still there",
                "who -u; ss -tnp state established '( sport = :22 )'",
                "server",
                "none",
                None,
            ),
            step(
                "See all its logins, also on other accounts",
                "last -i | grep -F ADDR; sshwhy report --addr ADDR",
                "server",
                "none",
                None,
            ),
            step(
                "See what it left behind: keys, cron jobs, shells, sudo rights",
                "ls -la ~USER/.ssh; cat ~USER/.ssh/authorized_keys; crontab -l -u USER; id USER; find /etc /home /root /tmp /var/tmp \
                 -newermt '-2 days' -type f -ls",
                "server",
                "none",
                None,
            ),
            step(
                "Save the evidence before it is rotated or deleted",
                "tar czf /root/evidence-$(date +%F).tgz /var/log ~USER",
                "server",
                "needs the space",
                None,
            ),
            step(
                "Lock the account: no password, no key. With USER = root make sure of another way in first",
                "usermod --lock --expiredate 1 USER",
                "server",
                "its jobs and users stop too",
                Some("usermod --unlock --expiredate '' USER"),
            ),
            step(
                "End its sessions",
                "pkill -KILL -u USER",
                "server",
                "everything that user runs ends, unsaved work too",
                None,
            ),
            BLOCK,
            advice(
                "Change that password, and everything readable from the account: keys, tokens, passwords of databases. If it could \
                 become root, build the machine anew",
                "server",
                "none",
            ),
        ],
        refs: &["MITRE ATT&CK T1078", "NIST SP 800-61"],
    },
    Detector {
        id: "SW1007",
        slug: "protocol-scan",
        title: "Scanning what the port speaks",
        severity: Severity::Low,
        hostile: true,
        what: "Connections that do not speak SSH, or that try one set of outdated algorithms after the other, and never log in: a \
               scanner takes stock.",
        thresholds: &[Threshold {
            name: "probes",
            default: 2,
            unit: "connections",
            min: 1,
            max: 1000,
            why: "one browser pointed at the wrong port sends one or two",
        }],
        remedy: &[LOOK_AT_IT, BLOCK],
        refs: &["RFC 4253 section 4.2", "MITRE ATT&CK T1046"],
    },
    Detector {
        id: "SW1008",
        slug: "startup-flood",
        title: "Filling the places for logins that have not finished",
        severity: Severity::High,
        hostile: true,
        what: "One source opens connections and does not log in, until sshd drops new ones (MaxStartups): others cannot get in.",
        thresholds: &[
            Threshold {
                name: "drops",
                default: 20,
                unit: "dropped connections",
                min: 1,
                max: 100_000,
                why: "a deployment tool that opens too many at once loses a handful",
            },
            Threshold {
                name: "timeouts",
                default: 9,
                unit: "connections that ran into LoginGraceTime",
                min: 2,
                max: 100_000,
                why: "people leave a prompt open now and then; ten held open by one address are held on purpose",
            },
        ],
        remedy: &[
            LOOK_AT_IT,
            BLOCK,
            step(
                "Give each source its own share of the places, and waiting logins less time",
                "printf 'PerSourceMaxStartups 5\\nLoginGraceTime 30\\n' > /etc/ssh/sshd_config.d/00-startups.conf && sshd -t && \
                 systemctl reload ssh",
                "server",
                "many people behind one address share five places (RHEL and others: the unit is sshd)",
                Some("rm /etc/ssh/sshd_config.d/00-startups.conf && systemctl reload ssh"),
            ),
        ],
        refs: &["sshd_config(5) MaxStartups, PerSourceMaxStartups, LoginGraceTime"],
    },
    Detector {
        id: "SW1009",
        slug: "log-forgery",
        title: "User names that imitate log lines",
        severity: Severity::Medium,
        hostile: true,
        what: "A client sent text that looks like parts of sshd's own lines (an address, `port`, `ssh2`, control characters), so that \
               careless log readers blame or ban somebody else. The address that sshd wrote is the one named here.",
        thresholds: &[Threshold {
            name: "names",
            default: 2,
            unit: "attempts, where nothing but an address stands for the name",
            min: 0,
            max: 1000,
            why: "`ssh 192.0.2.1@host` is a typing error; a name with ` from 192.0.2.1 port 22` is none, and once is enough",
        }],
        remedy: &[
            LOOK_AT_IT,
            advice(
                "See whether your banning tool blocked the framed address instead, and let it back in",
                "server",
                "none",
            ),
            BLOCK,
        ],
        refs: &["CWE-117"],
    },
    Detector {
        id: "SW1010",
        slug: "port-monitor",
        title: "A monitor checks the port",
        severity: Severity::Low,
        hostile: false,
        what: "One address connects at even intervals and never logs in: an uptime check or load balancer. Harmless, but it fills the log, \
               and sshd 9.8 and later may penalise it.",
        thresholds: &[
            Threshold {
                name: "checks",
                default: 9,
                unit: "checks in step",
                min: 3,
                max: 10_000,
                why: "ten equal gaps do not happen by chance",
            },
            Threshold {
                name: "jitter",
                default: 20,
                unit: "% of the interval",
                min: 1,
                max: 50,
                why: "what a busy monitor is late by",
            },
        ],
        remedy: &[
            step(
                "Check in a way that leaves no error behind: this speaks SSH far enough to know that the service is well, and says goodbye \
                 so that neither fail2ban nor sshd's penalties count it",
                "sshwhy monitor --once SERVER",
                "monitor",
                "none",
                None,
            ),
            advice(
                "Let the load balancer or uptime check do the same: run `sshwhy monitor --nagios SERVER` as its check, or let it read the \
                 banner, send one and disconnect properly; check less often where a minute's notice will do",
                "monitor",
                "none",
            ),
            step(
                "OpenSSH 9.8 and later: keep sshd from penalising it",
                "printf 'PerSourcePenaltyExemptList ADDR\\n' > /etc/ssh/sshd_config.d/00-monitor.conf && sshd -t && systemctl reload ssh",
                "server",
                "guesses from that address are no longer slowed down",
                Some("rm /etc/ssh/sshd_config.d/00-monitor.conf && systemctl reload ssh"),
            ),
        ],
        refs: &[
            "sshd_config(5) PerSourcePenaltyExemptList",
            "RFC 4253 section 11.1",
        ],
    },
    Detector {
        id: "SW1011",
        slug: "scheduled-automation",
        title: "A job that half works, on a schedule",
        severity: Severity::Medium,
        hostile: false,
        what: "The same source comes back day after day in the same hours; some of its logins fail and some succeed. That is a job with a \
               wrong or outdated credential in one of its parts, not an attack.",
        thresholds: &[
            Threshold {
                name: "days",
                default: 1,
                unit: "days",
                min: 1,
                max: 365,
                why: "twice in the same hours, with failures and successes each time, is a habit",
            },
            Threshold {
                name: "window",
                default: 10,
                unit: "hours",
                min: 1,
                max: 20,
                why: "a job's window; whoever is active for most of the day is no schedule",
            },
            Threshold {
                name: "share",
                default: 19,
                unit: "% of its attempts fail",
                min: 0,
                max: 99,
                why: "a person mistypes one login in ten",
            },
        ],
        remedy: &[
            step(
                "On that machine, find the job of those hours",
                "systemctl list-timers --all; crontab -l -u USER; ls /etc/cron.d /var/spool/cron",
                "client",
                "none",
                None,
            ),
            advice(
                "Give the job one key of its own instead of a password (ssh-keygen -t ed25519 -f JOB_KEY), put it into authorized_keys with \
                 from=\"ADDR\" and a forced command, and take the old credential out of every copy of the job",
                "client",
                "none",
            ),
            advice(
                "Until then, exempt the address from banning: its failures are no attack",
                "server",
                "a real attack from that machine would be seen later",
            ),
        ],
        refs: &["sshd(8) AUTHORIZED_KEYS FILE FORMAT"],
    },
    Detector {
        id: "SW1012",
        slug: "broken-login",
        title: "A known user is refused again and again",
        severity: Severity::Medium,
        hostile: false,
        what: "Somebody who belongs here keeps failing, and the log says or suggests why.",
        thresholds: &[
            Threshold {
                name: "refusals",
                default: 2,
                unit: "refused connections",
                min: 1,
                max: 1000,
                why: "three refusals for the same reason are not a slip",
            },
            Threshold {
                name: "days",
                default: 1,
                unit: "days, where no line says why",
                min: 1,
                max: 365,
                why: "wrong passwords on one day are typing errors; on the next day too they are a problem",
            },
        ],
        remedy: &[
            step(
                "Ask sshd what it makes of that user",
                "sshwhy doctor --user USER",
                "server",
                "none",
                None,
            ),
            step(
                "See the whole story of that user",
                "sshwhy report --user USER",
                "server",
                "none",
                None,
            ),
        ],
        refs: &["sshd(8)", "sshd_config(5)"],
    },
    Detector {
        id: "SW1013",
        slug: "new-source-login",
        title: "A login from a place that is new for the user",
        severity: Severity::Informational,
        hostile: false,
        what: "A user logged in from a network that this log had not seen for that user before. Usually a trip, a new laptop or a new \
               provider; ask when the user would not.",
        thresholds: &[
            Threshold {
                name: "days",
                default: 2,
                unit: "days of history",
                min: 0,
                max: 365,
                why: "at the beginning of a log everything is new",
            },
            Threshold {
                name: "logins",
                default: 4,
                unit: "earlier logins",
                min: 0,
                max: 10_000,
                why: "a habit needs a few",
            },
            Threshold {
                name: "networks",
                default: 4,
                unit: "known networks",
                min: 1,
                max: 10_000,
                why: "for somebody who comes from everywhere nothing is new: beyond this it says nothing",
            },
        ],
        remedy: &[
            advice(
                "Ask the user, not by a mail that an intruder could answer",
                "client",
                "none",
            ),
            step(
                "Where it was not them: end the sessions and lock the account",
                "usermod --lock --expiredate 1 USER && pkill -KILL -u USER",
                "server",
                "that user's work ends",
                Some("usermod --unlock --expiredate '' USER"),
            ),
        ],
        refs: &["MITRE ATT&CK T1078"],
    },
    Detector {
        id: "SW1014",
        slug: "odd-hour-login",
        title: "A login at an hour unusual for the user",
        severity: Severity::Informational,
        hostile: false,
        what: "A user who has kept to certain hours logged in far outside of them. Usually an emergency or a trip.",
        thresholds: &[
            Threshold {
                name: "logins",
                default: 15,
                unit: "logins",
                min: 1,
                max: 10_000,
                why: "hours are a habit only when there are enough of them",
            },
            Threshold {
                name: "days",
                default: 4,
                unit: "days",
                min: 0,
                max: 365,
                why: "a working week",
            },
            Threshold {
                name: "distance",
                default: 3,
                unit: "hours from the nearest usual hour",
                min: 1,
                max: 11,
                why: "overtime is no news",
            },
        ],
        remedy: &[advice(
            "Ask the user whether it was them; look at what that session did if nobody knows",
            "client",
            "none",
        )],
        refs: &["MITRE ATT&CK T1078"],
    },
    Detector {
        id: "SW1015",
        slug: "root-login",
        title: "root logs in directly",
        severity: Severity::Low,
        hostile: false,
        what: "Somebody logs in as root instead of as themselves: the log cannot say who, and every guesser knows the name.",
        thresholds: &[Threshold {
            name: "logins",
            default: 0,
            unit: "logins",
            min: 0,
            max: 1_000_000,
            why: "one is worth a line",
        }],
        remedy: &[
            advice(
                "Give each person an account with a key and sudo",
                "server",
                "none",
            ),
            step(
                "Then allow root by key only, or not at all. Keep this session open and try a second login (RHEL and others: sshd)",
                "printf 'PermitRootLogin prohibit-password\\n' > /etc/ssh/sshd_config.d/00-root.conf && sshd -t && systemctl reload ssh",
                "server",
                "who logs in as root with a password is locked out",
                Some("rm /etc/ssh/sshd_config.d/00-root.conf && systemctl reload ssh"),
            ),
        ],
        refs: &["sshd_config(5) PermitRootLogin"],
    },
    Detector {
        id: "SW1016",
        slug: "throttling",
        title: "sshd turns away somebody who belongs here",
        severity: Severity::Medium,
        hostile: false,
        what: "MaxStartups or PerSourcePenalties dropped connections of an address that also logs in properly: what it sees is \
               \"Connection closed\" or \"Not allowed at this time\", now and then.",
        thresholds: &[Threshold {
            name: "drops",
            default: 0,
            unit: "dropped connections",
            min: 0,
            max: 1_000_000,
            why: "each is a login that failed for no reason the user can see",
        }],
        remedy: &[
            step(
                "See the limits",
                "sshd -T | grep -iE '^(maxstartups|persource)'",
                "server",
                "none",
                None,
            ),
            advice(
                "Where a tool opens many connections at once: let it reuse one (ControlMaster auto, ControlPersist 60s) or fewer at a time",
                "client",
                "none",
            ),
            step(
                "For many real clients: more places. Keep this session open and try a second login (RHEL and others: sshd)",
                "printf 'MaxStartups 50:30:200\\n' > /etc/ssh/sshd_config.d/00-startups.conf && sshd -t && systemctl reload ssh",
                "server",
                "a flood may hold more processes",
                Some("rm /etc/ssh/sshd_config.d/00-startups.conf && systemctl reload ssh"),
            ),
            step(
                "Against penalties (9.8 and later): exempt the networks you trust",
                "printf 'PerSourcePenaltyExemptList CLIENT_NET\\n' > /etc/ssh/sshd_config.d/00-exempt.conf && sshd -t && systemctl reload ssh",
                "server",
                "guesses from there are no longer slowed down",
                Some("rm /etc/ssh/sshd_config.d/00-exempt.conf && systemctl reload ssh"),
            ),
        ],
        refs: &["sshd_config(5) MaxStartups, PerSourcePenalties, PerSourcePenaltyExemptList"],
    },
    Detector {
        id: "SW1017",
        slug: "blind",
        title: "This log would not show an attack",
        severity: Severity::Medium,
        hostile: false,
        what: "Something about the log itself hides what happened: lines were dropped, a level is too low, a stretch is missing, or every \
               connection carries the same address.",
        thresholds: &[
            Threshold {
                name: "unknown",
                default: 20,
                unit: "% of sshd's lines are not known",
                min: 0,
                max: 100,
                why: "our catalogue is for OpenSSH, PAM and Dropbear; a fork may say everything in other words",
            },
            Threshold {
                name: "gap",
                default: 12,
                unit: "hours without a line",
                min: 1,
                max: 8760,
                why: "in a log that otherwise has lines in nearly every hour",
            },
            Threshold {
                name: "sessions",
                default: 9,
                unit: "sessions opened without a line of sshd about their login",
                min: 1,
                max: 100_000,
                why: "PAM writes by itself whatever LogLevel says; a few may lie at the edges of the log",
            },
        ],
        remedy: &[
            step(
                "See the level",
                "sshd -T | grep -iE '^(loglevel|syslogfacility)'",
                "server",
                "none",
                None,
            ),
            step(
                "INFO shows logins and failures, VERBOSE the keys too. (RHEL and others: sshd)",
                "printf 'LogLevel VERBOSE\\n' > /etc/ssh/sshd_config.d/00-loglevel.conf && sshd -t && systemctl reload ssh",
                "server",
                "more lines",
                Some("rm /etc/ssh/sshd_config.d/00-loglevel.conf && systemctl reload ssh"),
            ),
            step(
                "Where journald drops lines of a flood, let it keep them",
                "mkdir -p /etc/systemd/journald.conf.d && printf '[Journal]\\nRateLimitBurst=100000\\n' > \
                 /etc/systemd/journald.conf.d/10-burst.conf && systemctl restart systemd-journald",
                "server",
                "a flood fills the disk faster, up to SystemMaxUse",
                Some(
                    "rm /etc/systemd/journald.conf.d/10-burst.conf && systemctl restart systemd-journald",
                ),
            ),
        ],
        refs: &["sshd_config(5) LogLevel", "journald.conf(5) RateLimitBurst"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn rows_are_whole_and_ids_are_their_own() {
        let mut ids = HashSet::new();
        let mut slugs = HashSet::new();
        for row in ROWS {
            assert!(
                row.id.starts_with("SW1") && ids.insert(row.id),
                "{}",
                row.id
            );
            assert!(slugs.insert(row.slug), "{}", row.slug);
            assert!(
                !row.what.is_empty() && !row.remedy.is_empty() && !row.refs.is_empty(),
                "{}",
                row.slug
            );
            let mut names = HashSet::new();
            for t in row.thresholds {
                assert!(names.insert(t.name), "{}.{}", row.slug, t.name);
                assert!(
                    t.min <= t.default && t.default <= t.max,
                    "{}.{}",
                    row.slug,
                    t.name
                );
                assert!(
                    !t.why.is_empty() && !t.unit.is_empty(),
                    "{}.{}",
                    row.slug,
                    t.name
                );
            }
            assert_eq!(
                by_id(&row.id.to_lowercase()).map(|r| r.slug),
                Some(row.slug)
            );
            assert_eq!(by_slug(row.slug).map(|r| r.id), Some(row.id));
        }
        assert!(by_slug("brute").is_none());
    }

    #[test]
    fn what_changes_the_server_is_checked_and_can_be_undone() {
        for row in ROWS {
            for step in row.remedy {
                let Some(command) = step.command else {
                    continue;
                };
                if command.contains("sshd_config.d") {
                    assert!(
                        command.contains("sshd -t &&") || command.contains("sshd -t \\"),
                        "{}: {command}",
                        row.slug
                    );
                    assert!(step.undo.is_some(), "{}: {command}", row.slug);
                }
            }
        }
    }
}
