//! Symptoms: what the client sees where the cause cannot be known from there. Never the full answer.

use super::{Blame, Cause, Confirm, Gate};
use crate::finding::Severity;

pub(super) const ROWS: &[Cause] = &[
    Cause {
        id: "SW0601",
        slug: "connect-timeout",
        title: "No answer to the connection attempt",
        blames: Blame::Nobody,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "The client's packets got no answer at all until the time was over. Either they do not arrive \
            (a filter on the way, a wrong or dead address), or the server drops them (its firewall, a \
            ban), or its answers get lost (no route back). An sshd that is stopped does not look like \
            this: the machine would answer \"refused\". The one look that divides the field: does a packet \
            capture on the server see the SYN?",
        confirm: &[
            Confirm {
                command: "ssh -o ConnectTimeout=5 -p 443 USER@HOST",
                place: "client",
                shows: "any answer on another port, even a refusal: the host is alive, and port 22 is filtered",
            },
            Confirm {
                command: "tcpdump -ni any 'tcp port 22 and host CLIENT_ADDR'",
                place: "server",
                shows: "no SYN: lost before the server; SYN without answer: the server's firewall, a ban or its \
                    routes",
            },
            Confirm {
                command: "ssh USER@HOST (from another address)",
                place: "network",
                shows: "works: a ban or a filter by source",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "firewall-server-drop",
            "firewall-path-drop",
            "firewall-client-outbound",
            "ip-banned",
            "no-return-route",
            "dns-stale-address",
            "dns-dead-address",
            "ipv6-unreachable",
        ],
        refs: &["connect(2) ETIMEDOUT"],
    },
    Cause {
        id: "SW0602",
        slug: "connect-refused",
        title: "The connection was refused",
        blames: Blame::Nobody,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "Something answered at once with a refusal. Either nothing listens there (sshd is not \
            running, listens on another port or address), or a firewall or a ban answers with a reset. \
            From the client these look the same; the server, or a try from another address, tells them \
            apart.",
        confirm: &[
            Confirm {
                command: "ss -Hltnp | grep -E 'sshd|:22\\b'",
                place: "server",
                shows: "nothing: sshd is not running or is elsewhere; sshd on the port: a firewall or ban refuses",
            },
            Confirm {
                command: "systemctl status ssh sshd --no-pager",
                place: "server",
                shows: "whether it runs, and why not",
            },
            Confirm {
                command: "ssh USER@HOST (from another address)",
                place: "network",
                shows: "works: a ban or a rule by source",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "sshd-not-running",
            "wrong-port",
            "listen-address",
            "firewall-server-reject",
            "ip-banned",
            "sshd-config-error",
            "socket-activation",
            "sshd-masked",
        ],
        refs: &["connect(2) ECONNREFUSED"],
    },
    Cause {
        id: "SW0603",
        slug: "firewall-drop",
        title: "A firewall somewhere drops the connection silently",
        blames: Blame::Nobody,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "The host is alive and this port gets no answer, so a filter drops it; whether it stands on \
            the client, on the way or on the server cannot be seen from here. Where the SYN is still \
            seen tells which one it is.",
        confirm: &[
            Confirm {
                command: "tcpdump -ni any 'tcp port 22 and host ADDR'",
                place: "client",
                shows: "no SYN leaves: the client's own firewall",
            },
            Confirm {
                command: "tcpdump -ni any 'tcp port 22 and host CLIENT_ADDR'",
                place: "server",
                shows: "a SYN arrives: the server's firewall; none: one on the way",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "firewall-client-outbound",
            "firewall-path-drop",
            "firewall-server-drop",
            "ip-banned",
            "connect-timeout",
        ],
        refs: &["RFC 9293 section 3.5"],
    },
    Cause {
        id: "SW0604",
        slug: "firewall-reject",
        title: "A firewall somewhere refuses the connection",
        blames: Blame::Nobody,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "A refusal came that does not look like the host's own: an ICMP message \"administratively \
            prohibited\" or \"host prohibited\", or a reset where a listener is known to be. Whether the \
            server's firewall, a ban or a device on the way sent it shows in who the packet is from.",
        confirm: &[
            Confirm {
                command: "tcpdump -ni any \"icmp or (tcp port 22 and tcp[tcpflags] & tcp-rst != 0)\"",
                place: "client",
                shows: "the sender of the refusal, and its code",
            },
            Confirm {
                command: "nft list ruleset | grep -n reject",
                place: "server",
                shows: "a rule of the server",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "firewall-server-reject",
            "ip-banned",
            "host-unreachable",
            "connect-refused",
        ],
        refs: &["RFC 1812 section 5.2.7.1", "RFC 4443 section 3.1"],
    },
    Cause {
        id: "SW0605",
        slug: "connection-reset-early",
        title: "The connection was reset before the server greeted",
        blames: Blame::Nobody,
        gate: Gate::Ident,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "TCP connected, then a reset came before, or instead of, the server's greeting. The server \
            may have refused (MaxStartups, a source penalty, tcp wrappers, a crash of the new process), \
            and a close while our own greeting was on its way shows as a reset too; or something between \
            cut it. The server's log of that second decides: a drop line, \"refused connect\", a crash, or \
            nothing at all.",
        confirm: &[
            Confirm {
                command: "journalctl --since -5min --grep 'sshd.*(drop connection|refused connect|penalty|axStartups|fork|crash)'",
                place: "server",
                shows: "the refusal, if it was the server",
            },
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -iE 'banner line|Not allowed|Exceeded'",
                place: "client",
                shows: "the server's reason, where it sends one",
            },
            Confirm {
                command: "ssh USER@HOST (from another address)",
                place: "network",
                shows: "works: a penalty, a ban, or a device on this path",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "max-startups",
            "source-penalty",
            "tcp-wrappers-deny",
            "reset-by-middlebox",
            "server-closed-early",
            "sshd-crashes",
        ],
        refs: &["kex.c kex_exchange_identification()"],
    },
    Cause {
        id: "SW0606",
        slug: "server-closed-early",
        title: "The server closed the connection before the login was complete",
        blames: Blame::Nobody,
        gate: Gate::Ident,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "The connection ended in order, without a session: before the greeting (limits, tcp wrappers, \
            another protocol), in the key exchange, while asking (LoginGraceTime), or after a proof that \
            was right (PAM's account stage, a session that could not start). How far it came, as ssh -v \
            shows, tells which: after \"Authenticated\" it is about the account, before \"Remote protocol \
            version\" about who may connect.",
        confirm: &[
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -E 'Remote protocol|kex: algorithm|Authentications that can continue|Authenticated'",
                place: "client",
                shows: "the last step that was reached",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -5min",
                place: "server",
                shows: "the reason in the server's own words",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "pam-denied",
            "account-expired",
            "nologin-file",
            "login-grace-time",
            "max-startups",
            "tcp-wrappers-deny",
            "not-ssh-service",
            "connection-reset-early",
        ],
        refs: &["RFC 4253 section 11"],
    },
    Cause {
        id: "SW0607",
        slug: "banner-timeout",
        title: "The port is open and no SSH greeting comes",
        blames: Blame::Nobody,
        gate: Gate::Ident,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "TCP connected and the server's first line did not come in time: sshd hangs or the machine is \
            overloaded, a tarpit holds the port, another protocol waits for us to speak first, or large \
            packets vanish. With -v a tarpit shows \"banner line\" again and again; a hung sshd shows \
            nothing.",
        confirm: &[
            Confirm {
                command: "ssh -v -o ConnectTimeout=20 USER@HOST 2>&1 | grep 'banner line'",
                place: "client",
                shows: "random lines: a tarpit",
            },
            Confirm {
                command: "curl -sI --max-time 5 http://HOST:PORT/",
                place: "client",
                shows: "an answer: it is a web server",
            },
            Confirm {
                command: "ps -o pid,stat,wchan:20,cmd -C sshd",
                place: "server",
                shows: "T or D: sshd is stopped or waits for a disk",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "sshd-hung",
            "server-overloaded",
            "tarpit",
            "not-ssh-service",
            "mtu-blackhole",
        ],
        refs: &["RFC 4253 section 4.2", "ssh_config(5) ConnectTimeout"],
    },
    Cause {
        id: "SW0608",
        slug: "auth-rejected-publickey",
        title: "The server accepted none of the keys, and does not say why",
        blames: Blame::Nobody,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "\"Permission denied (publickey…)\". The server tells no outsider the reason: the key may not \
            be listed, its file may be too open, the user may not exist or not be allowed, the key's \
            algorithm may be refused. Two things can be seen from here: which keys were offered (ssh \
            -v), and whether the right one was among them. The rest stands in the server's log.",
        confirm: &[
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -E 'Will attempt|Offering|Trying private key|Server accepts'",
                place: "client",
                shows: "the keys that were offered, and those that were not",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -5min",
                place: "server",
                shows: "\"Invalid user\", \"not allowed because\", \"bad ownership or modes\", \"not in PubkeyAccepted…\", \
                    or only the close: then the key is not listed",
            },
            Confirm {
                command: "ssh-keygen -lf ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "the fingerprints that are accepted",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "pubkey-not-authorized",
            "authorized-keys-permissions",
            "user-not-found",
            "user-not-allowed",
            "pubkey-algorithm-rejected",
            "authorized-keys-path",
            "authorized-keys-from",
        ],
        refs: &["RFC 4252 section 5.1"],
    },
    Cause {
        id: "SW0609",
        slug: "auth-rejected-password",
        title: "The server did not accept the password, and does not say why",
        blames: Blame::Nobody,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "\"Permission denied, please try again.\" The password may be wrong, or the account locked, \
            unknown, not allowed, or root without the right to use one; sshd treats them all alike on \
            purpose. The server's log tells.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -5min",
                place: "server",
                shows: "\"Failed password for USER\" alone: wrong or locked; \"invalid user\": unknown or not allowed",
            },
            Confirm {
                command: "passwd -S USER",
                place: "server",
                shows: "L: locked",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "wrong-password",
            "account-locked",
            "account-faillock",
            "root-password-disabled",
            "user-not-found",
            "user-not-allowed",
        ],
        refs: &["RFC 4252 section 8"],
    },
    Cause {
        id: "SW0610",
        slug: "account-denied",
        title: "The proof was right, and the account was refused",
        blames: Blame::Nobody,
        gate: Gate::Account,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "The server accepted the key or password and then closed: PAM's account stage said no. \
            Expired account, nologin file, an access rule, a shell that is not listed. Sometimes a text \
            for the user precedes the close; without one only the server's log knows.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -5min --grep 'pam_|Access denied'",
                place: "server",
                shows: "which module refused",
            },
            Confirm {
                command: "chage -l USER; ls /etc/nologin /run/nologin",
                place: "server",
                shows: "expiry and nologin files",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "pam-denied",
            "account-expired",
            "nologin-file",
            "shell-not-listed",
            "password-expired",
        ],
        refs: &["auth-pam.c do_pam_account()"],
    },
    Cause {
        id: "SW0611",
        slug: "session-closed",
        title: "The login worked and the session ended at once",
        blames: Blame::Nobody,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "The session began and was over before anything useful happened: the shell is nologin, a \
            start-up file exits, a forced command ended, a limit struck, a chroot is wrong. The exit \
            status helps: 1 from nologin, 254 from a PAM session that failed, 255 from ssh itself, 126 \
            and 127 from a command that cannot be run or is not there.",
        confirm: &[
            Confirm {
                command: "ssh USER@HOST true; echo $?",
                place: "client",
                shows: "the status",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -5min",
                place: "server",
                shows: "what stands between \"Accepted\" and \"session closed\"",
            },
            Confirm {
                command: "getent passwd USER | cut -d: -f7",
                place: "server",
                shows: "the login shell",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "shell-nologin",
            "shell-rc-exits",
            "forced-command",
            "pam-limits",
            "process-limit",
            "chroot-ownership",
            "pam-session-failed",
        ],
        refs: &["RFC 4254 section 6.10", "ssh(1) EXIT STATUS"],
    },
    Cause {
        id: "SW0612",
        slug: "session-refused",
        title: "The login worked and no session could be opened in it",
        blames: Blame::Nobody,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "The server accepted the user and refused the channel: \"open failed\", \"Session open refused \
            by peer\". The limit MaxSessions is reached or is 0, or the account is for forwarding only.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE 'maxsessions|forcecommand|permittty'",
                place: "server",
                shows: "the limits for this user",
            },
            Confirm {
                command: "ssh -o ControlPath=none USER@HOST true",
                place: "client",
                shows: "works on a connection of its own: MaxSessions of the shared one",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "max-sessions",
            "control-socket-stale",
            "forwarding-disabled",
        ],
        refs: &["RFC 4254 section 5.1"],
    },
    Cause {
        id: "SW0613",
        slug: "session-dropped",
        title: "A running session was lost",
        blames: Blame::Nobody,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: true,
        explanation: "The session worked and then broke: \"Broken pipe\", \"Connection reset by peer\", \"closed by \
            remote host\". The server ended it (restart, ClientAliveInterval, OOM), or the way between \
            was cut or forgot it. \"closed by remote host\" means that the server said so itself; \"Broken \
            pipe\" and a reset often mean that something on the way did.",
        confirm: &[
            Confirm {
                command: "journalctl --since -1h --grep 'not responding|Received signal|oom-kill|Connection reset|Broken pipe'",
                place: "server",
                shows: "the server's side of the same moment",
            },
            Confirm {
                command: "ssh -o ServerAliveInterval=30 USER@HOST",
                place: "client",
                shows: "survives now: something on the way forgets idle connections",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "client-alive-timeout",
            "idle-connection-dropped",
            "session-killed",
            "server-alive-timeout",
            "out-of-memory",
        ],
        refs: &["clientloop.c", "serverloop.c"],
    },
    Cause {
        id: "SW0614",
        slug: "idle-timeout",
        title: "A session ended after it had been idle",
        blames: Blame::Nobody,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: true,
        explanation: "It dies when nobody types, after about the same time each time. Either something on the way \
            forgets quiet connections, or the server ends them: ClientAliveInterval for clients that do \
            not answer, ChannelTimeout (9.2 and later), TMOUT of the shell, or logind's \
            StopIdleSessionSec.",
        confirm: &[
            Confirm {
                command: "ssh -o ServerAliveInterval=30 USER@HOST",
                place: "client",
                shows: "survives now: the way between forgets; still ends: the server's rule",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE 'clientalive|channeltimeout|unusedconnectiontimeout'",
                place: "server",
                shows: "the server's own limits",
            },
            Confirm {
                command: "grep -rn TMOUT /etc/profile /etc/profile.d /etc/bash.bashrc /etc/bashrc",
                place: "server",
                shows: "a shell that ends by itself",
            },
        ],
        remedy: &[],
        look_alikes: &[
            "idle-connection-dropped",
            "client-alive-timeout",
            "session-killed",
        ],
        refs: &["sshd_config(5) ChannelTimeout", "bash(1) TMOUT"],
    },
    Cause {
        id: "SW0615",
        slug: "attempt-unexplained",
        title: "The attempt failed, and nothing that was seen says why",
        blames: Blame::Nobody,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: true,
        explanation: "ssh failed, or was stopped while it waited, and neither its own words nor what was looked at \
            afterwards tell why: the fault is over by now, comes and goes, or lies where nobody has \
            looked. The server's side of the same attempt is the next thing to see.",
        confirm: &[
            Confirm {
                command: "ssh -vvv USER@HOST",
                place: "client",
                shows: "the last line before it stops: what ssh waits for",
            },
            Confirm {
                command: "sshwhy doctor --user USER --from CLIENT_ADDR",
                place: "server",
                shows: "what the server knows of this attempt",
            },
        ],
        remedy: &[],
        look_alikes: &["sshd-hung", "session-dropped", "control-socket-stale"],
        refs: &["ssh(1) -v"],
    },
];
