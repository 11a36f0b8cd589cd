//! Causes between the TCP handshake and a trusted host key: greeting, key exchange, host key.

use super::{Blame, Cause, Confirm, Gate, Remedy};
use crate::finding::Severity;

pub(super) const ROWS: &[Cause] = &[
    Cause {
        id: "SW0200",
        slug: "tcp-wrappers-deny",
        title: "/etc/hosts.deny refuses the client",
        blames: Blame::Policy,
        gate: Gate::Ident,
        severity: Severity::High,
        is_symptom: false,
        explanation: "This sshd is built with tcp wrappers (Debian and Ubuntu are; upstream dropped them in 6.7, \
            RHEL in 8), and /etc/hosts.allow and /etc/hosts.deny say no to the client's address or name. \
            TCP connects, then the connection closes before any greeting. DenyHosts writes such lines by \
            itself, and a rule by host name refuses when reverse DNS changes. Unlike max-startups and \
            source-penalty it is constant for one source, and the log says \"refused connect from\".",
        confirm: &[
            Confirm {
                command: "grep -vE '^ *(#|$)' /etc/hosts.deny /etc/hosts.allow",
                place: "server",
                shows: "the rules; hosts.allow is read first and the first match wins",
            },
            Confirm {
                command: "tcpdmatch sshd ADDR",
                place: "server",
                shows: "what libwrap decides for the address (package tcpd)",
            },
            Confirm {
                command: "ldd /usr/sbin/sshd /usr/lib/openssh/sshd-session 2>/dev/null | grep libwrap",
                place: "server",
                shows: "no output: this sshd does not read these files at all",
            },
        ],
        remedy: &[
            Remedy {
                action: "Allow the client's network; it takes effect at once",
                command: Some("echo sshd: CLIENT_WRAPPED >> /etc/hosts.allow"),
                place: "server",
                risk: "that network is let through to the login",
                undo: Some("delete the line from /etc/hosts.allow"),
            },
            Remedy {
                action: "If DenyHosts wrote the line, remove the address from its data as well, or it comes back \
                    (/var/lib/denyhosts)",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "ip-banned",
            "max-startups",
            "source-penalty",
            "refuse-connection",
            "connection-reset-early",
        ],
        refs: &["hosts_access(5)", "tcpdmatch(8)"],
    },
    Cause {
        id: "SW0201",
        slug: "max-startups",
        title: "Too many connections that have not logged in yet (MaxStartups)",
        blames: Blame::Policy,
        gate: Gate::Ident,
        severity: Severity::High,
        is_symptom: false,
        explanation: "sshd limits how many connections may be waiting to authenticate: with the default 10:30:100 \
            it refuses 30 % of new ones from the tenth on, rising to all at a hundred. Password guessers \
            fill the places, and so do parallel scripts and health checks. So logins fail now and then, \
            from everywhere, and succeed on another try. OpenSSH 8.4 to 9.7 log \"past MaxStartups\", 9.8 \
            and later \"Maxstartups\" with a small s. source-penalty and per-source-max-startups hit one \
            source only.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd --since -1h --grep 'axStartups|axstartups'",
                place: "server",
                shows: "the drops, with their number",
            },
            Confirm {
                command: "pgrep -af 'sshd.*listener'",
                place: "server",
                shows: "the listener's title: \"N of 10-100 startups\"",
            },
            Confirm {
                command: "sshd -T | grep -iE 'maxstartups|logingracetime'",
                place: "server",
                shows: "the limits in force",
            },
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -iE 'Exceeded MaxStartups|Not allowed at this time'",
                place: "client",
                shows: "the greeting that says so, where the server sends one",
            },
        ],
        remedy: &[
            Remedy {
                action: "Try again after some seconds; in scripts, reuse one connection (ControlMaster, \
                    ControlPersist)",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Keep guessers away before they take a place: ban them, or allow SSH only from known networks",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Free places sooner: set \"LoginGraceTime 30\"",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "slow typists have less time",
                undo: Some("remove the line and reload"),
            },
            Remedy {
                action: "Raise the limit, for instance \"MaxStartups 50:30:200\" (RHEL and others: reload sshd). Keep \
                    this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "more memory and processes under attack",
                undo: Some("remove the line and reload"),
            },
        ],
        look_alikes: &[
            "source-penalty",
            "per-source-max-startups",
            "tcp-wrappers-deny",
            "rate-limited",
            "connection-reset-early",
        ],
        refs: &[
            "sshd_config(5) MaxStartups",
            "sshd.c should_drop_connection()",
        ],
    },
    Cause {
        id: "SW0202",
        slug: "per-source-max-startups",
        title: "Too many waiting connections from one source (PerSourceMaxStartups)",
        blames: Blame::Policy,
        gate: Gate::Ident,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "Since OpenSSH 8.5 sshd can limit the connections that wait to authenticate from one address, \
            or one network of PerSourceNetBlockSize. It hits a NAT address with many people, a CI \
            runner, or a monitor, while everybody else gets in. The log line is the one of MaxStartups, \
            with a total that is far below the limit; that tells the two apart.",
        confirm: &[
            Confirm {
                command: "sshd -T | grep -iE 'persourcemaxstartups|persourcenetblocksize'",
                place: "server",
                shows: "a number: the limit is on (the default is none)",
            },
            Confirm {
                command: "ss -Htn state established '( sport = :22 )' | awk '{print $4}' | sort | uniq -c | sort -rn | head",
                place: "server",
                shows: "how many connections each source holds",
            },
        ],
        remedy: &[
            Remedy {
                action: "Open fewer at a time, or share one connection (ControlMaster, ControlPersist)",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Raise PerSourceMaxStartups, or remove it. Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "one source may hold more places",
                undo: Some("put the line back and reload"),
            },
        ],
        look_alikes: &["max-startups", "source-penalty", "rate-limited"],
        refs: &["sshd_config(5) PerSourceMaxStartups", "srclimit.c"],
    },
    Cause {
        id: "SW0203",
        slug: "source-penalty",
        title: "sshd punishes the client's address for earlier failures (PerSourcePenalties)",
        blames: Blame::Policy,
        gate: Gate::Ident,
        severity: Severity::High,
        is_symptom: false,
        explanation: "Since OpenSSH 9.8 sshd remembers for each source what went wrong: 5 s for a failed login, 1 \
            s for a connection without a login attempt, 10 s for LoginGraceTime, 90 s for a crashed \
            session. From 15 s on, everything from that address is refused until the penalty ends, at \
            most ten minutes. Monitors that only connect, scripts with an old key, and many people \
            behind one NAT run into it. The connection closes at once; with -v the client shows \"Not \
            allowed at this time\". Another address gets in.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd --since -1h --grep 'penalty'",
                place: "server",
                shows: "\"drop connection … penalty: REASON\" with the reason",
            },
            Confirm {
                command: "sshd -T | grep -i persource",
                place: "server",
                shows: "the penalties and the exempt list in force",
            },
            Confirm {
                command: "ssh USER@HOST (from another address)",
                place: "network",
                shows: "works",
            },
        ],
        remedy: &[
            Remedy {
                action: "Wait without trying (at most 10 minutes), and stop whatever fails or only connects",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Exempt monitors and the office: PerSourcePenaltyExemptList CLIENT_NET. Keep this session \
                    open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "guessing from those networks is not slowed down",
                undo: Some("remove the line and reload"),
            },
            Remedy {
                action: "Penalties live in the memory of the listener: a restart forgets all of them",
                command: Some("sshd -t && systemctl restart ssh"),
                place: "server",
                risk: "attackers are forgiven as well",
                undo: None,
            },
        ],
        look_alikes: &[
            "max-startups",
            "ip-banned",
            "per-source-max-startups",
            "tcp-wrappers-deny",
            "refuse-connection",
        ],
        refs: &[
            "sshd_config(5) PerSourcePenalties",
            "sshd_config(5) PerSourcePenaltyExemptList",
            "srclimit.c",
        ],
    },
    Cause {
        id: "SW0204",
        slug: "refuse-connection",
        title: "RefuseConnection in sshd_config turns the client away",
        blames: Blame::Policy,
        gate: Gate::Ident,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "Since OpenSSH 9.9 \"RefuseConnection yes\" inside a Match block ends matching connections at \
            once and, by default, adds a source penalty. The log calls it \"administratively prohibited \
            connection\". Somebody wrote this on purpose; the question is whether the Match is wider than \
            meant.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i refuseconnection",
                place: "server",
                shows: "yes: it applies to this connection",
            },
            Confirm {
                command: "grep -rniE 'RefuseConnection|^ *Match' /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
                place: "server",
                shows: "the block it stands in",
            },
        ],
        remedy: &[Remedy {
            action: "Narrow the Match, check with sshd -T -C for your own login, then reload. Keep this session \
                    open",
            command: Some("sshd -t && systemctl reload ssh"),
            place: "server",
            risk: "whoever was to be kept out may get as far as the login",
            undo: Some("put the block back and reload"),
        }],
        look_alikes: &["source-penalty", "tcp-wrappers-deny", "user-not-allowed"],
        refs: &["sshd_config(5) RefuseConnection"],
    },
    Cause {
        id: "SW0205",
        slug: "socket-max-connections",
        title: "systemd's socket for sshd holds too many connections",
        blames: Blame::Policy,
        gate: Gate::Ident,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "Where systemd starts one sshd@.service for each connection (Accept=yes), the socket unit has \
            its own limit, MaxConnections=64 unless set, and TriggerLimitBurst against floods. When it \
            is reached new connections close at once, and sshd logs nothing because it never starts: the \
            line is in systemd's log.",
        confirm: &[
            Confirm {
                command: "journalctl -u 'ssh*.socket' --since -1h",
                place: "server",
                shows: "\"Too many incoming connections (64), dropping connection.\" or \"Trigger limit hit\"",
            },
            Confirm {
                command: "systemctl show ssh.socket sshd.socket -p Accept -p MaxConnections -p NConnections",
                place: "server",
                shows: "the limit and the count",
            },
        ],
        remedy: &[
            Remedy {
                action: "Raise MaxConnections= in the socket unit",
                command: Some("systemctl edit ssh.socket"),
                place: "server",
                risk: "more processes under attack",
                undo: Some("systemctl revert ssh.socket"),
            },
            Remedy {
                action: "Or run sshd as one service, with its own MaxStartups. Keep this session open",
                command: Some(
                    "systemctl disable --now ssh.socket && systemctl enable --now ssh.service",
                ),
                place: "server",
                risk: "a moment without a listener",
                undo: Some(
                    "systemctl disable --now ssh.service && systemctl enable --now ssh.socket",
                ),
            },
        ],
        look_alikes: &["max-startups", "socket-activation"],
        refs: &["systemd.socket(5) MaxConnections"],
    },
    Cause {
        id: "SW0206",
        slug: "reset-by-middlebox",
        title: "Something between client and server cuts the connection after the handshake",
        blames: Blame::Network,
        gate: Gate::Ident,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "TCP connects, and as soon as SSH shows itself a reset arrives that the server did not send: \
            deep packet inspection, an intrusion prevention system, a proxy, a load balancer without a \
            healthy backend, or a company's policy. The server's log shows nothing, or a reset that \
            looks as if the client had sent it. If the server logged a refusal at that moment it was the \
            server: max-startups, source-penalty, tcp-wrappers-deny.",
        confirm: &[
            Confirm {
                command: "tcpdump -ni any 'tcp port 22 and host CLIENT_ADDR and tcp[tcpflags] & tcp-rst != 0'",
                place: "server",
                shows: "a reset the server did not send itself, often with a TTL that does not fit",
            },
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -E 'Local version|Remote protocol|reset'",
                place: "client",
                shows: "how far it came: only \"Local version string\" means that no greeting arrived",
            },
            Confirm {
                command: "ssh USER@HOST (from another network, such as a phone's hotspot)",
                place: "network",
                shows: "works: the cut is on the first path",
            },
        ],
        remedy: &[
            Remedy {
                action: "Ask whoever runs the filter to allow SSH to this destination",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Meanwhile go through a host that is reached by another path",
                command: Some("ssh -J USER@BASTION USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "max-startups",
            "source-penalty",
            "tcp-wrappers-deny",
            "not-ssh-service",
            "connection-reset-early",
        ],
        refs: &["ssh_config(5) ProxyJump", "RFC 9293 section 3.5"],
    },
    Cause {
        id: "SW0207",
        slug: "not-ssh-service",
        title: "Another protocol answers on the port",
        blames: Blame::Client,
        gate: Gate::Ident,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "Something listens, but it is not SSH: a web server, a TLS proxy, a mail server, a database. \
            ssh waits for a line that begins with \"SSH-\", gets something else or nothing, and gives up \
            (\"banner line contains invalid characters\", \"invalid format\", or a close without a word \
            after the server's own time limit). Usually the port is wrong, or a proxy or port mapping \
            points to the wrong service.",
        confirm: &[
            Confirm {
                command: "timeout 5 bash -c 'exec 3<>/dev/tcp/HOST/PORT; head -c 60 <&3'",
                place: "client",
                shows: "an SSH server greets by itself with \"SSH-2.0-…\"; HTTP and TLS stay silent",
            },
            Confirm {
                command: "curl -sI --max-time 5 http://HOST:PORT/",
                place: "client",
                shows: "an HTTP answer",
            },
            Confirm {
                command: "ss -Hltnp | grep ':PORT '",
                place: "server",
                shows: "which program has the port",
            },
        ],
        remedy: &[
            Remedy {
                action: "Call the port that sshd has",
                command: Some("ssh -p SSHD_PORT USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Correct the port forwarding, or the load balancer's backend",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["wrong-port", "port-in-use", "tarpit", "reset-by-middlebox"],
        refs: &[
            "RFC 4253 section 4.2",
            "kex.c kex_exchange_identification()",
        ],
    },
    Cause {
        id: "SW0208",
        slug: "tarpit",
        title: "A tarpit holds the port",
        blames: Blame::Peer,
        gate: Gate::Ident,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The listener never says \"SSH-\": it sends an endless trickle of meaningless lines before the \
            greeting, as endlessh does, to hold attackers. RFC 4253 allows such lines, so clients wait. \
            The real sshd then listens on another port. With -v the client shows \
            \"kex_exchange_identification: banner line N:\" again and again; a hung sshd shows none.",
        confirm: &[
            Confirm {
                command: "ssh -v -o ConnectTimeout=20 USER@HOST 2>&1 | grep 'banner line'",
                place: "client",
                shows: "random lines, ever more of them",
            },
            Confirm {
                command: "ss -Hltnp | grep ':22 '",
                place: "server",
                shows: "endlessh or the like; sshd is on another port",
            },
        ],
        remedy: &[Remedy {
            action: "Ask for the real port, and set it under the Host in ~/.ssh/config",
            command: Some("ssh -p SSHD_PORT USER@HOST"),
            place: "client",
            risk: "none",
            undo: None,
        }],
        look_alikes: &["sshd-hung", "not-ssh-service", "banner-timeout"],
        refs: &["RFC 4253 section 4.2"],
    },
    Cause {
        id: "SW0209",
        slug: "sshd-hung",
        title: "sshd accepts the connection and does not answer",
        blames: Blame::Server,
        gate: Gate::Ident,
        severity: Severity::High,
        is_symptom: false,
        explanation: "The kernel completes the handshake for the listening socket, but the process behind it sends \
            no greeting: sshd is stopped (SIGSTOP, a debugger, a frozen cgroup), waits for a dead disk \
            or NFS, or the machine is so loaded that nothing runs. The client says \"Connection timed out \
            during banner exchange\". A tarpit sends lines all the time; not-ssh-service answers when it \
            is asked in its own protocol.",
        confirm: &[
            Confirm {
                command: "ps -o pid,stat,wchan:20,cmd -C sshd",
                place: "server",
                shows: "T: stopped; D: waits for a disk or NFS",
            },
            Confirm {
                command: "cat /proc/loadavg /proc/pressure/*",
                place: "server",
                shows: "load, and who waits for memory, disk or CPU",
            },
            Confirm {
                command: "ss -Hltn 'sport = :22'",
                place: "server",
                shows: "a receive queue that only grows: nobody accepts",
            },
        ],
        remedy: &[
            Remedy {
                action: "If it was stopped, let it go on",
                command: Some("kill -CONT $(cat /run/sshd.pid)"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Start sshd anew; sessions that run stay (RHEL and others: sshd). Keep this console open",
                command: Some("systemctl restart ssh"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If the evidence names a name server: repair it in /etc/resolv.conf, or take the names out of the line that \
                    makes sshd ask for them",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Relieve the machine: end what fills memory, or mount the dead file system lazily away \
                    (umount -l)",
                command: None,
                place: "server",
                risk: "programs that wait for it get errors",
                undo: None,
            },
        ],
        look_alikes: &[
            "tarpit",
            "server-overloaded",
            "reset-by-middlebox",
            "banner-timeout",
            "slow-reverse-dns",
        ],
        refs: &["listen(2)", "ssh_config(5) ConnectTimeout"],
    },
    Cause {
        id: "SW0210",
        slug: "server-overloaded",
        title: "The server is too busy to answer in time",
        blames: Blame::Server,
        gate: Gate::Ident,
        severity: Severity::High,
        is_symptom: false,
        explanation: "sshd runs but starts slowly: swapping, a disk at its limit, a flood of connections, or a CPU \
            quota in a small container. Sometimes it works after a long wait, sometimes the client's \
            time limit is first. sshd-hung never answers; here the same attempt succeeds when the load \
            is lower.",
        confirm: &[
            Confirm {
                command: "cat /proc/loadavg /proc/pressure/cpu /proc/pressure/memory /proc/pressure/io",
                place: "server",
                shows: "high averages, with \"full\" far from zero",
            },
            Confirm {
                command: "free -m; vmstat 1 5",
                place: "server",
                shows: "swap in and out (si, so) that does not stop",
            },
        ],
        remedy: &[
            Remedy {
                action: "Give it more time",
                command: Some("ssh -o ConnectTimeout=120 USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Find and stop what takes the resource",
                command: Some("top -b -n1 | head -20"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["sshd-hung", "out-of-memory", "max-startups"],
        refs: &["proc(5) pressure"],
    },
    Cause {
        id: "SW0211",
        slug: "out-of-memory",
        title: "The server has no memory or no process left for a new session",
        blames: Blame::Server,
        gate: Gate::Ident,
        severity: Severity::High,
        is_symptom: false,
        explanation: "sshd accepts, then fork fails (\"Cannot allocate memory\", \"Resource temporarily \
            unavailable\"), or the kernel's OOM killer ends sshd's child or the user's session. The \
            connection closes at once, or in the middle of work. The listener protects itself from the \
            OOM killer (score -1000), its sessions are not protected. A limit of the cgroup (TasksMax, \
            MemoryMax, pids of a container) does the same on a machine with free memory.",
        confirm: &[
            Confirm {
                command: "journalctl -k --since -1h --grep 'Out of memory|oom-kill|Memory cgroup out'",
                place: "server",
                shows: "which process was killed, and in which cgroup",
            },
            Confirm {
                command: "journalctl -t sshd --grep 'fork|Cannot allocate|Resource temporarily'",
                place: "server",
                shows: "sshd's own failed forks",
            },
            Confirm {
                command: "systemctl show ssh -p TasksCurrent -p TasksMax -p MemoryCurrent -p MemoryMax",
                place: "server",
                shows: "the unit's limits (RHEL and others: sshd)",
            },
        ],
        remedy: &[
            Remedy {
                action: "From the console: end what eats the memory",
                command: Some("ps -eo pid,user,rss,cmd --sort=-rss | head"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Raise the limit that was hit, for instance TasksMax= for the unit",
                command: Some("systemctl set-property --runtime ssh TasksMax=4096"),
                place: "server",
                risk: "until the next boot",
                undo: Some("systemctl set-property --runtime ssh TasksMax="),
            },
        ],
        look_alikes: &[
            "process-limit",
            "server-overloaded",
            "sshd-crashes",
            "session-killed",
        ],
        refs: &["fork(2) EAGAIN, ENOMEM", "sshd.c oom_adjust_setup()"],
    },
    Cause {
        id: "SW0212",
        slug: "sshd-crashes",
        title: "The part of sshd that serves one connection crashes",
        blames: Blame::Server,
        gate: Gate::Ident,
        severity: Severity::High,
        is_symptom: false,
        explanation: "The listener runs, but each child dies: a library replaced under the running sshd by an \
            upgrade, sshd-session or sshd-auth missing or of another release than the listener (9.8 and \
            later), a PAM or NSS module that crashes, or a system-call filter that the new libc does not \
            satisfy. The log says \"killed by signal 11\", \"unpriv child crash\", or that the exec of \
            sshd-session failed; from 9.8 the source gets a 90 s penalty on top.",
        confirm: &[
            Confirm {
                command: "journalctl --since -1h --grep 'sshd.*(signal|segfault|crash|core)'",
                place: "server",
                shows: "the signal, and with systemd-coredump the library",
            },
            Confirm {
                command: "needrestart -l 2>/dev/null; ls -l /proc/$(cat /run/sshd.pid)/exe",
                place: "server",
                shows: "\"(deleted)\": sshd still runs the replaced program",
            },
            Confirm {
                command: "/usr/sbin/sshd -ddd -p 2222",
                place: "server",
                shows: "a second sshd in the foreground shows where one connection dies (debug output; end it with \
                    ctrl-C)",
            },
        ],
        remedy: &[
            Remedy {
                action: "After an upgrade: restart the listener so that both halves match. Keep this session open \
                    (RHEL and others: sshd)",
                command: Some("sshd -t && systemctl restart ssh"),
                place: "server",
                risk: "none: running sessions stay",
                undo: None,
            },
            Remedy {
                action: "Reinstall the package when a helper is missing (RHEL: dnf reinstall openssh-server)",
                command: Some("apt-get install --reinstall openssh-server"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "source-penalty",
            "out-of-memory",
            "sshd-hung",
            "pam-misconfigured",
        ],
        refs: &["sshd.c child_reap()", "sshd_config(5) SshdSessionPath"],
    },
    Cause {
        id: "SW0213",
        slug: "mtu-blackhole",
        title: "Large packets vanish on the way (path MTU)",
        blames: Blame::Network,
        gate: Gate::Kex,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "Small packets get through and full-sized ones do not, and the ICMP message that would say so \
            is filtered. So TCP connects, the greetings pass, and ssh hangs at \"expecting \
            SSH2_MSG_KEX_ECDH_REPLY\" until LoginGraceTime or the client's patience ends. Tunnels, VPNs, \
            PPPoE and cloud overlays have a smaller MTU than their ends believe. Post-quantum key \
            exchange (default since 9.0) has larger packets and so meets the hole earlier. A login that \
            works with small output and freezes at the first long listing is the same fault.",
        confirm: &[
            Confirm {
                command: "ping -M do -s 1472 -c 3 ADDR",
                place: "client",
                shows: "no answer at 1472, an answer at a smaller size (1372, 1252): the hole, and its size (macOS: \
                    ping -D -s 1472)",
            },
            Confirm {
                command: "tracepath -n ADDR",
                place: "client",
                shows: "pmtu smaller than the interface's, or no answer from one hop on",
            },
            Confirm {
                command: "ssh -o KexAlgorithms=curve25519-sha256 USER@HOST",
                place: "client",
                shows: "smaller packets: it gets further, or in",
            },
        ],
        remedy: &[
            Remedy {
                action: "Let TCP find the size by itself (gone after a reboot)",
                command: Some("sysctl -w net.ipv4.tcp_mtu_probing=1"),
                place: "client",
                risk: "none",
                undo: Some("sysctl -w net.ipv4.tcp_mtu_probing=0"),
            },
            Remedy {
                action: "Or set the tunnel's interface to what gets through",
                command: Some("ip link set dev IFACE mtu 1280"),
                place: "client",
                risk: "a little slower",
                undo: Some("ip link set dev IFACE mtu 1500"),
            },
            Remedy {
                action: "Clamp the MSS on the router at the tunnel",
                command: Some(
                    "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
                ),
                place: "network",
                risk: "none",
                undo: Some(
                    "iptables -t mangle -D FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
                ),
            },
            Remedy {
                action: "Let ICMP \"fragmentation needed\" (IPv6: packet too big) through every firewall",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "sshd-hung",
            "banner-timeout",
            "packet-corruption",
            "idle-connection-dropped",
        ],
        refs: &["RFC 1191", "RFC 4821", "RFC 8201"],
    },
    Cause {
        id: "SW0214",
        slug: "packet-corruption",
        title: "The data is damaged on the way",
        blames: Blame::Network,
        gate: Gate::Kex,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "SSH proves every packet; \"Corrupted MAC on input\", \"message authentication code incorrect\", \
            \"Bad packet length\" and \"padding error\" mean that what arrived is not what was sent. Faulty \
            network cards and their offloads, a bad switch, memory errors, or a proxy that changes bytes \
            do it. So does a program that prints into the stream of a ProxyCommand. It is not a question \
            of keys or passwords.",
        confirm: &[
            Confirm {
                command: "ssh USER@HOST 'dd if=/dev/urandom bs=1M count=200' >/dev/null",
                place: "client",
                shows: "fails after a random amount of data",
            },
            Confirm {
                command: "ethtool -S IFACE | grep -iE 'err|crc'",
                place: "server",
                shows: "error counters that rise (on the client too)",
            },
        ],
        remedy: &[
            Remedy {
                action: "Switch hardware offload off for a test, on either side",
                command: Some("ethtool -K IFACE tso off gso off gro off rx off tx off"),
                place: "server",
                risk: "more CPU load, a moment's pause",
                undo: Some("ethtool -K IFACE tso on gso on gro on rx on tx on"),
            },
            Remedy {
                action: "Replace the cable, port or card whose counters rise; test memory",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "mtu-blackhole",
            "proxy-command-failed",
            "reset-by-middlebox",
        ],
        refs: &["RFC 4253 section 6.4", "packet.c ssh_packet_read_poll2()"],
    },
    Cause {
        id: "SW0215",
        slug: "login-grace-time",
        title: "The login took longer than LoginGraceTime",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "sshd ends a connection that has not authenticated within LoginGraceTime (120 s unless set). \
            A small value, a user who looks for a second factor, a slow directory or reverse DNS, or a \
            key exchange that hangs (mtu-blackhole) run into it. Logged as \"Timeout before \
            authentication\" in two wordings; builds that carry the fix for CVE-2024-6387 as a backport \
            may log nothing at all, and then only the duration gives it away.",
        confirm: &[
            Confirm {
                command: "sshd -T | grep -i logingracetime",
                place: "server",
                shows: "the limit in seconds; compare it with the time from connect to close",
            },
            Confirm {
                command: "time ssh -o BatchMode=yes USER@HOST true",
                place: "client",
                shows: "how long a login takes without a person",
            },
        ],
        remedy: &[
            Remedy {
                action: "Raise it, for instance \"LoginGraceTime 60\". Keep this session open (RHEL and others: reload \
                    sshd)",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "guessers hold a place longer (MaxStartups)",
                undo: Some("put the line back and reload"),
            },
            Remedy {
                action: "If the time goes into reverse DNS or GSSAPI, see slow-reverse-dns and slow-gssapi",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "mtu-blackhole",
            "slow-reverse-dns",
            "max-startups",
            "server-closed-early",
        ],
        refs: &["sshd_config(5) LoginGraceTime", "CVE-2024-6387"],
    },
    Cause {
        id: "SW0216",
        slug: "no-matching-kex",
        title: "Client and server have no key exchange in common",
        blames: Blame::Peer,
        gate: Gate::Kex,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The two lists of key exchange methods share no entry. Old devices offer only \
            diffie-hellman-group1-sha1 or group14-sha1, which current OpenSSH leaves out because they \
            are weak; old clients lack curve25519. A hardened KexAlgorithms line on one side does it \
            too. The message \"Their offer\" lists the other side's methods. It is about algorithms, not \
            about keys or accounts; no-matching-host-key-type is the next stage of the same talk.",
        confirm: &[
            Confirm {
                command: "ssh -Q kex",
                place: "client",
                shows: "what this client could do",
            },
            Confirm {
                command: "ssh -vv USER@HOST 2>&1 | grep -A1 -E 'peer server KEXINIT|KEX algorithms'",
                place: "client",
                shows: "the lists of both",
            },
            Confirm {
                command: "sshd -T | grep -i kexalgorithms",
                place: "server",
                shows: "what this server allows",
            },
        ],
        remedy: &[
            Remedy {
                action: "Upgrade the older side; that is the only lasting answer",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Until then allow the old method to this one host only: under its Host in ~/.ssh/config \
                    \"KexAlgorithms +diffie-hellman-group14-sha1\"",
                command: Some("ssh -o KexAlgorithms=+diffie-hellman-group14-sha1 USER@HOST"),
                place: "client",
                risk: "weaker protection against an eavesdropper on this connection",
                undo: Some("delete the line"),
            },
            Remedy {
                action: "If a hardened list is too narrow for the clients that exist, add one modern method they \
                    have, such as curve25519-sha256",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("put the old list back and reload"),
            },
        ],
        look_alikes: &[
            "no-matching-host-key-type",
            "no-matching-cipher",
            "no-matching-mac",
        ],
        refs: &[
            "RFC 4253 section 7.1",
            "sshd_config(5) KexAlgorithms",
            "kex.c kex_choose_conf()",
        ],
    },
    Cause {
        id: "SW0217",
        slug: "no-matching-cipher",
        title: "Client and server have no cipher in common",
        blames: Blame::Peer,
        gate: Gate::Kex,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "No cipher stands in both lists. Old devices offer only CBC modes or 3des, which OpenSSH no \
            longer offers by default (server since 6.7, client since 7.6); a hardened Ciphers line may \
            have left only what the other side lacks. \"Their offer\" lists the other side's ciphers.",
        confirm: &[
            Confirm {
                command: "ssh -Q cipher",
                place: "client",
                shows: "what this client could do",
            },
            Confirm {
                command: "sshd -T | grep -i '^ciphers'",
                place: "server",
                shows: "what this server allows",
            },
        ],
        remedy: &[
            Remedy {
                action: "Upgrade the older side",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Until then allow one of the offered ciphers to this host only: under its Host \"Ciphers \
                    +aes256-cbc\"",
                command: Some("ssh -o Ciphers=+aes256-cbc USER@HOST"),
                place: "client",
                risk: "CBC in SSH leaks a little; use it for this host alone",
                undo: Some("delete the line"),
            },
            Remedy {
                action: "If the list is too narrow: add aes256-ctr or aes256-gcm@openssh.com",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("put the old list back and reload"),
            },
        ],
        look_alikes: &[
            "no-matching-mac",
            "no-matching-kex",
            "no-matching-host-key-type",
            "client-config-error",
        ],
        refs: &["RFC 4253 section 7.1", "sshd_config(5) Ciphers"],
    },
    Cause {
        id: "SW0218",
        slug: "no-matching-mac",
        title: "Client and server have no MAC in common",
        blames: Blame::Peer,
        gate: Gate::Kex,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "No message authentication code stands in both lists: old sides offer only hmac-md5 or \
            hmac-sha1, and a hardened MACs line may allow only the -etm variants or SHA-2. Ciphers with \
            built-in authentication (the gcm ones and chacha20-poly1305) need no MAC; when one of these \
            is chosen the lists do not matter.",
        confirm: &[
            Confirm {
                command: "ssh -Q mac",
                place: "client",
                shows: "what this client could do",
            },
            Confirm {
                command: "sshd -T | grep -i '^macs'",
                place: "server",
                shows: "what this server allows",
            },
        ],
        remedy: &[
            Remedy {
                action: "Upgrade the older side, or add hmac-sha2-256, which nearly all have",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("put the old list back and reload"),
            },
            Remedy {
                action: "Until then allow the offered MAC to this host only: under its Host \"MACs +hmac-sha1\"",
                command: Some("ssh -o MACs=+hmac-sha1 USER@HOST"),
                place: "client",
                risk: "an old algorithm, though not a known break",
                undo: Some("delete the line"),
            },
        ],
        look_alikes: &["no-matching-cipher", "no-matching-kex"],
        refs: &[
            "RFC 4253 section 7.1",
            "sshd_config(5) MACs",
            "PROTOCOL section 1.2",
        ],
    },
    Cause {
        id: "SW0219",
        slug: "no-matching-host-key-type",
        title: "The client accepts none of the server's host key types",
        blames: Blame::Peer,
        gate: Gate::Kex,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The server signs only with algorithms that the client refuses. Typical is \"Their offer: \
            ssh-rsa\": an RSA key signed with SHA-1, which OpenSSH 8.8 and later refuse, or ssh-dss, off \
            since 7.0 and gone in 10.0. The RSA key itself is not the fault: a current server signs with \
            the same key by rsa-sha2-256 and -512. A HostKeyAlgorithms line on either side can do it \
            too. It is about the server's key, not about yours; for that see pubkey-algorithm-rejected.",
        confirm: &[
            Confirm {
                command: "ssh -Q HostKeyAlgorithms",
                place: "client",
                shows: "what this client could accept",
            },
            Confirm {
                command: "ssh-keyscan -t ed25519,ecdsa,rsa HOST",
                place: "client",
                shows: "the key types the server has",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where the server has keys of old types only: make the ones that are missing; those \
                    that are there stay as they are",
                command: Some("ssh-keygen -A && sshd -t && systemctl restart ssh"),
                place: "server",
                risk: "clients will be asked about the new key",
                undo: None,
            },
            Remedy {
                action: "Where a list leaves out what both have (HostKeyAlgorithms or HostKey on the server, \
                    HostKeyAlgorithms in the client's configuration; the evidence names it): add the type \
                    there",
                command: None,
                place: "server",
                risk: "none",
                undo: Some("put the old list back"),
            },
            Remedy {
                action: "Until then, where the server has nothing newer than ssh-rsa, for this host only: \
                    under its Host \"HostKeyAlgorithms +ssh-rsa\"",
                command: Some("ssh -o HostKeyAlgorithms=+ssh-rsa USER@HOST"),
                place: "client",
                risk: "the server's identity rests on SHA-1",
                undo: Some("delete the line"),
            },
        ],
        look_alikes: &[
            "no-matching-kex",
            "pubkey-algorithm-rejected",
            "key-too-short",
        ],
        refs: &["RFC 8332", "ssh_config(5) HostKeyAlgorithms"],
    },
    Cause {
        id: "SW0220",
        slug: "dh-group-exchange-failed",
        title: "The Diffie-Hellman group exchange finds no group that suits both",
        blames: Blame::Peer,
        gate: Gate::Kex,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "diffie-hellman-group-exchange lets the server pick a prime from its moduli file. If the file \
            has none of the wanted size, or the peer sends one under the minimum (2048 bits in OpenSSH), \
            the exchange ends with \"DH GEX group out of range\" or \"no matching DH grp\". Elliptic-curve \
            methods do not need the file.",
        confirm: &[
            Confirm {
                command: "ssh -o KexAlgorithms=curve25519-sha256 USER@HOST",
                place: "client",
                shows: "works, if the server has it",
            },
            Confirm {
                command: "awk '$5 >= 2047' /etc/ssh/moduli | wc -l",
                place: "server",
                shows: "0: the file has no group of 2048 bits or more",
            },
        ],
        remedy: &[
            Remedy {
                action: "Prefer a method that needs no moduli",
                command: Some(
                    "ssh -o KexAlgorithms=curve25519-sha256,ecdh-sha2-nistp256 USER@HOST",
                ),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Restore the distribution's /etc/ssh/moduli (Debian: openssh-client or openssh-server ships \
                    it)",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["no-matching-kex"],
        refs: &["RFC 4419", "RFC 8270", "moduli(5)"],
    },
    Cause {
        id: "SW0221",
        slug: "host-key-unusable",
        title: "sshd cannot sign with its host key",
        blames: Blame::Server,
        gate: Gate::Kex,
        severity: Severity::High,
        is_symptom: false,
        explanation: "The listener has loaded the host key's public half, and signing fails in the middle of the \
            key exchange: the file was replaced after sshd started, the key is held by an agent \
            (HostKeyAgent) that is gone, or a hardware or crypto-policy restriction refuses the \
            algorithm. The client only sees the connection close during key exchange.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -1h --grep 'sign'",
                place: "server",
                shows: "the failed signature",
            },
            Confirm {
                command: "sshd -T | grep -iE '^hostkey(agent)? '",
                place: "server",
                shows: "which files and which agent",
            },
            Confirm {
                command: "for k in /etc/ssh/ssh_host_*_key; do ssh-keygen -yf \"$k\" | ssh-keygen -lf -; ssh-keygen -lf \"$k.pub\"; done",
                place: "server",
                shows: "pairs whose fingerprints differ: the .pub belongs to another key",
            },
        ],
        remedy: &[Remedy {
            action: "After a key rotation: restart sshd so that it loads what is on the disk. Keep this session \
                    open (RHEL and others: sshd)",
            command: Some("sshd -t && systemctl restart ssh"),
            place: "server",
            risk: "none",
            undo: None,
        }],
        look_alikes: &["host-key-permissions", "host-keys-missing"],
        refs: &["sshd_config(5) HostKeyAgent", "monitor.c mm_answer_sign()"],
    },
    Cause {
        id: "SW0270",
        slug: "host-key-unknown",
        title: "The client has never seen this server's key, and may not ask",
        blames: Blame::Client,
        gate: Gate::HostKey,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "No line of known_hosts names this host (under this name, address and port), and strict \
            checking or batch mode forbids the question. Cron jobs, CI and Ansible meet it at first \
            contact; so does every host whose name is written differently than in known_hosts, or that \
            listens on another port, since known_hosts writes that as [host]:port. If a line is there \
            and does not fit, it is host-key-changed.",
        confirm: &[
            Confirm {
                command: "ssh-keygen -F HOST",
                place: "client",
                shows: "nothing: the name is unknown (with a port: ssh-keygen -F '[HOST]:PORT')",
            },
            Confirm {
                command: "for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf \"$k\"; done",
                place: "server",
                shows: "the true fingerprints, read on the server's console",
            },
        ],
        remedy: &[
            Remedy {
                action: "Connect once by hand and compare the fingerprint that ssh shows with the one from the \
                    server's console",
                command: Some("ssh -p PORT USER@HOST"),
                place: "client",
                risk: "none, if you compare",
                undo: Some("ssh-keygen -f ~/.ssh/KNOWN_HOSTS -R KNOWN_NAME"),
            },
            Remedy {
                action: "For machines: put the line, taken from the server and not from the network, into \
                    /etc/ssh/ssh_known_hosts, or trust a host CA with @cert-authority",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "For CI where a first contact is acceptable: accept new keys but never changed ones (OpenSSH \
                    7.6 and later)",
                command: Some("ssh -p PORT -o StrictHostKeyChecking=accept-new USER@HOST"),
                place: "client",
                risk: "the first contact is not checked",
                undo: Some("ssh-keygen -f ~/.ssh/KNOWN_HOSTS -R KNOWN_NAME"),
            },
        ],
        look_alikes: &["host-key-changed", "host-certificate-invalid"],
        refs: &[
            "ssh_config(5) StrictHostKeyChecking",
            "sshd(8) SSH_KNOWN_HOSTS FILE FORMAT",
        ],
    },
    Cause {
        id: "SW0271",
        slug: "host-key-changed",
        title: "The server shows another key than the one the client knows",
        blames: Blame::Peer,
        gate: Gate::HostKey,
        severity: Severity::Critical,
        is_symptom: false,
        explanation: "known_hosts has a key for this host and the server showed a different one. Most often the \
            machine was reinstalled, its address was given to another machine, or several machines share \
            a name. It can also be somebody in between, and nothing on the client tells the two apart: \
            only the fingerprint read on the server's own console, or from its provider, does. Until \
            then do not type a password. If it comes and goes, see host-key-differs-by-address.",
        confirm: &[
            Confirm {
                command: "for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf \"$k\"; done",
                place: "server",
                shows: "the true fingerprints: compare with the one in the warning",
            },
            Confirm {
                command: "ssh-keygen -F HOST -l",
                place: "client",
                shows: "the fingerprint and the line of known_hosts that the client trusts",
            },
            Confirm {
                command: "getent ahosts HOST",
                place: "client",
                shows: "whether the name still leads to the machine you mean",
            },
        ],
        remedy: &[
            Remedy {
                action: "Compare the fingerprint by another way than this connection. Only when it is right, forget \
                    the old key; a copy stays in known_hosts.old",
                command: Some("ssh-keygen -f ~/.ssh/KNOWN_HOSTS -R KNOWN_NAME"),
                place: "client",
                risk: "if you did not compare, you may be handing your password to somebody in between",
                undo: Some("mv ~/.ssh/KNOWN_HOSTS.old ~/.ssh/KNOWN_HOSTS"),
            },
            Remedy {
                action: "Where the message says \"Offending key for IP\": the same for the line of the address",
                command: Some("ssh-keygen -f ~/.ssh/KNOWN_HOSTS -R ADDR"),
                place: "client",
                risk: "as above: compare first",
                undo: Some("mv ~/.ssh/KNOWN_HOSTS.old ~/.ssh/KNOWN_HOSTS"),
            },
            Remedy {
                action: "If a reinstall lost the old keys and there is a backup, restore them: then no client is \
                    warned",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If the fingerprint is not the server's: stop, and treat it as an attack or a wrong address",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "host-key-unknown",
            "host-key-revoked",
            "host-key-differs-by-address",
            "dns-stale-address",
        ],
        refs: &[
            "ssh_config(5) StrictHostKeyChecking",
            "ssh-keygen(1) -R",
            "RFC 4251 section 4.1",
        ],
    },
    Cause {
        id: "SW0272",
        slug: "host-key-differs-by-address",
        title: "Several machines answer to one name, each with its own host key",
        blames: Blame::Server,
        gate: Gate::HostKey,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "A load balancer, DNS round robin, a content network or a failover pair leads the same name \
            to different machines, and each has a key of its own. So the warning about a changed key \
            comes and goes. No key changed; the name is shared. Removing lines from known_hosts only \
            moves the warning to the next machine.",
        confirm: &[
            Confirm {
                command: "for a in $(getent ahosts HOST | awk '{print $1}' | sort -u); do echo $a; ssh-keyscan -t ed25519 $a 2>/dev/null | ssh-keygen -lf -; done",
                place: "client",
                shows: "a different fingerprint for each address",
            },
            Confirm {
                command: "for i in 1 2 3 4 5; do ssh-keyscan -t ed25519 HOST 2>/dev/null | ssh-keygen -lf -; done",
                place: "client",
                shows: "behind one address: the fingerprint varies",
            },
        ],
        remedy: &[
            Remedy {
                action: "Sign all host keys with one host CA and let clients trust it by @cert-authority",
                command: Some(
                    "ssh-keygen -s HOST_CA -I HOST -h -n HOST /etc/ssh/ssh_host_ed25519_key.pub",
                ),
                place: "server",
                risk: "none",
                undo: Some("remove HostCertificate again"),
            },
            Remedy {
                action: "Or give machines that are one service the same host key",
                command: None,
                place: "server",
                risk: "one stolen key then stands for all of them",
                undo: None,
            },
            Remedy {
                action: "Or list every verified key under the one name in known_hosts: several lines are allowed",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["host-key-changed", "host-certificate-invalid"],
        refs: &[
            "sshd(8) SSH_KNOWN_HOSTS FILE FORMAT",
            "ssh-keygen(1) CERTIFICATES",
        ],
    },
    Cause {
        id: "SW0273",
        slug: "host-key-revoked",
        title: "The server's key is marked as revoked",
        blames: Blame::Policy,
        gate: Gate::HostKey,
        severity: Severity::Critical,
        is_symptom: false,
        explanation: "A @revoked line in known_hosts, or the client's RevokedHostKeys file, names the key the \
            server showed. Somebody declared this key as no longer trustworthy, for instance because it \
            was stolen. Either the server was never given its new key, or somebody uses the stolen one.",
        confirm: &[
            Confirm {
                command: "grep -n '^@revoked' ~/.ssh/known_hosts /etc/ssh/ssh_known_hosts",
                place: "client",
                shows: "the line, and from its comment or history who set it",
            },
            Confirm {
                command: "ssh -G HOST | grep -i revokedhostkeys",
                place: "client",
                shows: "a revocation file of the client",
            },
        ],
        remedy: &[
            Remedy {
                action: "Give the server a new key and publish its fingerprint",
                command: Some(
                    "mkdir /root/old-host-keys && mv /etc/ssh/ssh_host_TYPE_key* /root/old-host-keys/ && ssh-keygen -A",
                ),
                place: "server",
                risk: "clients will be warned of a changed key",
                undo: Some("mv /root/old-host-keys/* /etc/ssh/"),
            },
            Remedy {
                action: "Do not remove the @revoked line unless whoever set it says that it was a mistake",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["host-key-changed", "host-key-unknown"],
        refs: &[
            "sshd(8) SSH_KNOWN_HOSTS FILE FORMAT @revoked",
            "ssh_config(5) RevokedHostKeys",
        ],
    },
    Cause {
        id: "SW0274",
        slug: "host-certificate-invalid",
        title: "The server's host certificate is expired, or names another host",
        blames: Blame::Server,
        gate: Gate::HostKey,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The client trusts a host CA, the server shows a certificate of it, and the certificate does \
            not hold: its time is over or has not come, or the name the client used is not among its \
            principals (a short name, an address, or a new alias). ssh then falls back to the plain host \
            key, which known_hosts does not have, so that it looks like an unknown host.",
        confirm: &[
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -i 'certificate'",
                place: "client",
                shows: "\"Certificate invalid: expired\" or \"name is not a listed principal\"",
            },
            Confirm {
                command: "ssh-keygen -Lf /etc/ssh/ssh_host_ed25519_key-cert.pub",
                place: "server",
                shows: "Valid and Principals; compare with date and with the name the client uses",
            },
        ],
        remedy: &[
            Remedy {
                action: "Have the certificate issued again, with every name in use, and reload",
                command: Some(
                    "ssh-keygen -s HOST_CA -I HOST -h -n HOST,HOST.DOMAIN -V +52w /etc/ssh/ssh_host_ed25519_key.pub",
                ),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Meanwhile use a name that is listed",
                command: Some("ssh -o HostKeyAlias=LISTED_NAME USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["host-key-unknown", "host-key-changed", "clock-skew"],
        refs: &[
            "ssh-keygen(1) CERTIFICATES",
            "sshd_config(5) HostCertificate",
        ],
    },
];
