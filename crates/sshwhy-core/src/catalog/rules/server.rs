//! Rules over what is seen on the server: the daemon, its files, the accounts, the packet filter, the log.
//!
//! What is so whatever the client does (no such user, a rule that drops) needs no attempt in the log; what depends on how
//! the client tried needs one that failed. A login that worked rules the latter out.

use super::{Gate, Rule, Test, is, isnt, lacks, rule, seen};

const RUNNING: Test = is("sshd.process", &["running", "stopped", "blocked"]);
const NOT_RUNNING: Test = is("sshd.process", &["none"]);
const LET_IN: Test = is("log.outcome", &["accepted"]);
/// An attempt is on record, and it did not end with a login.
const NOT_LET_IN: Test = isnt("log.outcome", &["accepted", "no-trace"]);
/// The client means to log in with a password.
const WANTS_PASSWORD: &[Test] = &[
    is("log.method", &["password"]),
    is("client.wants", &["password"]),
    is("auth.password", &["refused"]),
];
/// A password was given, and it was wrong: then nothing is missing but the right one.
const WRONG: &[Test] = &[
    is("log.password", &["wrong"]),
    is("auth.password", &["refused"]),
];
/// What tells better than "PAM says no" why it does.
const TOLD_OF_ACCOUNT: &[Test] = &[
    seen("pam.refuses"),
    seen("user.account"),
    seen("user.password-age"),
    is(
        "log.says",
        &[
            "account-expired",
            "password-expired",
            "shell-not-listed",
            "nologin-file",
            "account-faillock",
            "pam-limits",
            "pam-misconfigured",
        ],
    ),
];
const RELOAD: &str = "systemctl reload ssh on the server, and another try: the configuration on disk allows it, and the sshd that runs has not read it";
const FORCED: Test = seen("session.forced");
const NO_SHELL: Test = is(
    "user.shell",
    &["nologin", "nologin-but-sftp", "does-nothing"],
);
/// A transfer that broke off where it wrote, or whose other end was killed.
const CUT_OFF: &[Test] = &[
    is("session.says", &["write-failure"]),
    is("session.end", &["signal"]),
];
/// What ends a session in the place of a start-up file, or shows that none did.
const OTHERWISE_ENDED: &[Test] = &[FORCED, NO_SHELL, is("log.lasted", &["while"])];
/// What keeps a daemon from being started, beside what it says itself.
const SHUT_OUT: &[Test] = &[
    is("sshd.test", &["sshd-config-error"]),
    is("sshd.config", &["error"]),
    seen("sshd.hostkeys"),
    is("unit.state", &["masked"]),
    isnt("unit.broken", &["override"]),
    is("unit.sandbox", &["shuts-out", "stops"]),
    seen("sshd.bind"),
    is("sshd.listen", &["socket-unit"]),
    is("unit.socket", &["listens", "other-port", "other-address"]),
    seen("port.holder"),
];
/// What the daemon logs of itself when it cannot start.
const STOPS_THE_START: &[&str] = &[
    "sshd-config-error",
    "host-keys-missing",
    "host-key-permissions",
    "privsep-dir-missing",
    "privsep-user-missing",
    "port-in-use",
    "listen-address",
    "sshd-unit-broken",
];
/// What ends a connection before the login where the daemon cannot do its work.
const CUT_SHORT: &[Test] = &[
    is("ident.end", &["closed", "reset"]),
    is("kex.end", &["closed", "reset"]),
    is("auth.end", &["closed", "reset"]),
];

pub(super) const ROWS: &[Rule] = &[
    // ---- tcp: the daemon
    rule(
        "sshd-config-error",
        0.97,
        &[is("sshd.test", &["sshd-config-error"]), NOT_RUNNING],
    )
    .stronger(&[is("sshd.config", &["error"])]),
    rule("sshd-config-error", 0.92, &[is("sshd.config", &["error"])]).not(&[RUNNING]),
    // It runs, and says so only to a connection for which the block holds.
    rule("sshd-config-error", 0.9, &[is("conf.refusal", &["ends"])]).despite(),
    rule(
        "sshd-config-error",
        0.9,
        &[is("log.daemon", &["sshd-config-error"]), NOT_RUNNING],
    )
    .not(&[
        is("sshd.hostkeys", &["missing", "permissions"]),
        seen("sshd.mended"),
    ]),
    rule(
        "sshd-config-error",
        0.3,
        &[is("sshd.test", &["sshd-config-error"]), RUNNING],
    )
    .despite(),
    rule(
        "host-keys-missing",
        0.97,
        &[is("sshd.hostkeys", &["missing"])],
    )
    .not(&[RUNNING]),
    rule(
        "host-keys-missing",
        0.9,
        &[is("sshd.test", &["host-keys-missing"]), NOT_RUNNING],
    )
    .stronger(&[is("sshd.hostkey", &["short"])])
    .not(&[
        is("sshd.hostkeys", &["permissions"]),
        is("sshd.config", &["error"]),
    ]),
    // It runs with the others, and the client wants the one that it passes over.
    rule(
        "host-key-permissions",
        0.98,
        &[
            is("sshd.hostkey", &["open"]),
            is("kex.mismatch", &["host-key"]),
            RUNNING,
        ],
    )
    .despite(),
    rule(
        "host-key-permissions",
        0.97,
        &[is("sshd.hostkeys", &["permissions"])],
    )
    .not(&[RUNNING]),
    rule(
        "host-key-permissions",
        0.92,
        &[is("sshd.test", &["host-key-permissions"]), NOT_RUNNING],
    )
    .not(&[is("sshd.config", &["error"])]),
    rule(
        "privsep-dir-missing",
        0.97,
        &[
            is("sshd.privsep", &["missing", "permissions"]),
            is("log.daemon", &["privsep-dir-missing"]),
            NOT_RUNNING,
        ],
    ),
    rule(
        "privsep-dir-missing",
        0.93,
        &[is("sshd.privsep", &["permissions"]), NOT_RUNNING],
    ),
    // The daemon that runs goes on listening, and each of its children looks for the folder anew.
    rule(
        "privsep-dir-missing",
        0.95,
        &[
            is("sshd.privsep", &["missing", "permissions"]),
            is("log.daemon", &["privsep-dir-missing"]),
            RUNNING,
        ],
    )
    .stronger(&[is("ident.end", &["closed", "reset"])])
    .despite(),
    rule(
        "privsep-dir-missing",
        0.88,
        &[
            is("sshd.test", &["privsep-dir-missing"]),
            RUNNING,
            is("ident.end", &["closed", "reset"]),
        ],
    )
    .not(&[
        is("load.startups", &["full"]),
        seen("wrappers.verdict"),
        is("log.says", &["max-startups", "source-penalty"]),
    ])
    .despite(),
    rule(
        "privsep-dir-missing",
        0.45,
        &[
            is("sshd.privsep", &["missing"]),
            is("sshd.test", &["privsep-dir-missing"]),
            NOT_RUNNING,
        ],
    )
    .not(&[seen("unit.state")]),
    rule(
        "privsep-user-missing",
        0.97,
        &[is("sshd.test", &["privsep-user-missing"]), NOT_RUNNING],
    )
    .stronger(&[is("log.daemon", &["privsep-user-missing"])]),
    rule(
        "privsep-user-missing",
        0.9,
        &[is("log.daemon", &["privsep-user-missing"]), NOT_RUNNING],
    )
    .not(&[is("sshd.test", &["sshd-config-error", "error"])]),
    rule("sshd-masked", 0.97, &[is("unit.state", &["masked"])]).not(&[RUNNING]),
    rule(
        "sshd-unit-broken",
        0.93,
        &[isnt("unit.broken", &["override", "template"])],
    )
    .not(&[RUNNING, is("unit.state", &["active", "masked"])]),
    // systemd takes the connection and has nobody to give it to.
    rule(
        "sshd-unit-broken",
        0.93,
        &[is("unit.broken", &["template"])],
    )
    .any(&[is("ident.end", &["closed", "reset", "timeout"])])
    .despite()
    .at(Gate::Ident),
    rule("sshd-unit-broken", 0.6, &[is("unit.broken", &["template"])])
        .despite()
        .at(Gate::Ident),
    rule(
        "sshd-unit-broken",
        0.85,
        &[
            is("kernel.files", &["full"]).about("LimitNOFILE"),
            is("unit.state", &["active"]),
        ],
    )
    .any(CUT_SHORT)
    .despite()
    .at(Gate::Ident)
    .settle("a unit that sets LimitNOFILE= so low lets sshd serve nobody: some thousands are usual"),
    // Nothing else is wrong, and how it is started was changed.
    rule(
        "sshd-unit-broken",
        0.86,
        &[
            is("unit.broken", &["override"]),
            is("unit.state", &["failed", "activating"]),
            NOT_RUNNING,
        ],
    )
    .not(&[
        is("sshd.config", &["error"]),
        seen("sshd.hostkeys"),
        is("sshd.test", &["sshd-config-error", "error"]),
        is("port.holder", &["other"]),
        seen("sshd.bind"),
        is("log.daemon", STOPS_THE_START),
        is("unit.sandbox", &["shuts-out", "stops"]),
    ]),
    rule(
        "sshd-unit-broken",
        0.75,
        &[is("log.daemon", &["sshd-unit-broken"]), NOT_RUNNING],
    )
    .not(&[
        is("unit.state", &["masked"]),
        is("sshd.config", &["error"]),
        seen("sshd.hostkeys"),
    ]),
    rule(
        "sshd-unit-broken",
        0.6,
        &[is("unit.state", &["failed", "activating"]), NOT_RUNNING],
    )
    .not(&[
        seen("unit.broken"),
        is("sshd.config", &["error"]),
        seen("sshd.hostkeys"),
        is("sshd.test", &["sshd-config-error", "error"]),
        seen("port.holder"),
        seen("sshd.bind"),
        seen("log.daemon"),
        is("unit.sandbox", &["shuts-out", "stops"]),
    ]),
    rule(
        "port-in-use",
        0.96,
        &[is("port.holder", &["other"]), NOT_RUNNING],
    )
    .any(&[
        is("log.daemon", &["port-in-use"]),
        is("unit.state", &["failed"]),
    ])
    .despite(),
    rule(
        "port-in-use",
        0.6,
        &[is("port.holder", &["other"]), NOT_RUNNING],
    )
    .not(&[is("port.greeting", &["dripping"]), seen("log.daemon")])
    .despite(),
    rule("tarpit", 0.88, &[is("port.greeting", &["dripping"])]),
    rule(
        "not-ssh-service",
        0.55,
        &[is("port.greeting", &["other", "silent"])],
    )
    .not(&[
        is("log.daemon", &["port-in-use"]),
        is("unit.state", &["failed"]),
    ]),
    rule(
        "socket-activation",
        0.94,
        &[is("unit.socket", &["other-port"])],
    )
    .not(&[RUNNING]),
    rule(
        "socket-activation",
        0.9,
        &[
            is("unit.socket", &["other-port"]),
            is("sshd.listen", &["other-port"]),
        ],
    ),
    rule(
        "socket-activation",
        0.93,
        &[is("unit.socket", &["other-address"])],
    ),
    rule("wrong-port", 0.92, &[is("sshd.listen", &["other-port"])]).not(&[
        is("unit.socket", &["other-port"]),
        is("port.holder", &["other"]),
        seen("fw.redirect"),
    ]),
    rule(
        "port-in-use",
        0.8,
        &[
            is("port.holder", &["other"]),
            is("sshd.listen", &["other-port"]),
        ],
    )
    .despite(),
    rule(
        "listen-address",
        0.95,
        &[is("sshd.listen", &["loopback", "other-address"])],
    )
    .not(&[
        is("port.holder", &["other"]),
        is("unit.socket", &["other-address"]),
    ]),
    rule(
        "port-in-use",
        0.95,
        &[
            is("port.holder", &["other"]),
            is("sshd.listen", &["loopback", "other-address"]),
        ],
    )
    .despite(),
    rule(
        "listen-address",
        0.96,
        &[is("sshd.bind", &["address-missing"])],
    )
    .not(&[is("sshd.listen", &["reachable"])]),
    rule(
        "listen-address",
        0.85,
        &[is("log.daemon", &["listen-address"]), NOT_RUNNING],
    ),
    rule("sshd-not-running", 0.92, &[NOT_RUNNING])
        .stronger(&[is("unit.state", &["inactive"])])
        .doubts(&[
            seen("port.holder"),
            is("sshd.test", &["error"]),
            is("unit.broken", &["override"]),
            // systemd starts it again and again.
            is("unit.state", &["activating"]),
        ])
        .not(&[
            is("sshd.test", &["sshd-config-error"]),
            is("sshd.config", &["error"]),
            seen("sshd.hostkeys"),
            is("unit.state", &["masked"]),
            isnt("unit.broken", &["override"]),
            is("unit.sandbox", &["shuts-out", "stops"]),
            is("sshd.test", &["privsep-user-missing"]),
            is("sshd.bind", &["address-missing"]),
            is("sshd.listen", &["socket-unit"]),
            is("unit.socket", &["listens", "other-port", "other-address"]),
            is("log.daemon", STOPS_THE_START),
        ]),
    // What stopped it then is over, and nobody has started it since.
    rule(
        "sshd-not-running",
        0.88,
        &[NOT_RUNNING, is("log.daemon", &["port-in-use"])],
    )
    .not(SHUT_OUT)
    .settle("another program had the port when sshd was to start, and has it no more: start sshd again"),
    rule(
        "sshd-not-running",
        0.88,
        &[NOT_RUNNING, seen("sshd.mended")],
    )
    .not(SHUT_OUT)
    .settle("the configuration is right now: start sshd again"),
    rule("sshd-not-running", 0.6, &[is("sshd.binary", &["missing"])]),
    // ---- tcp: the packet filter, bans, routes
    rule("firewall-server-drop", 0.96, &[is("fw.rule", &["drops"])]),
    rule(
        "firewall-server-reject",
        0.96,
        &[is("fw.rule", &["rejects"])],
    ),
    // Before any filter the packet is sent elsewhere.
    rule(
        "firewall-server-reject",
        0.94,
        &[is("fw.redirect", &["closed"])],
    )
    .not(&[LET_IN])
    .settle("no filter refuses it: the translation does, and it comes before them; take that rule out, or start what should listen there"),
    rule(
        "port-in-use",
        0.9,
        &[is("fw.redirect", &["program", "machine"])],
    )
    .not(&[LET_IN])
    .despite()
    .settle("sshd has the port, and a translation sends what comes for it elsewhere: take that rule out (of Docker: publish another port)"),
    // The connection comes about, and is silent from then on.
    rule(
        "firewall-server-drop",
        0.93,
        &[is("fw.follows", &["drops"])],
    )
    .not(&[LET_IN, is("ident.end", &["ok"])])
    .despite(),
    // The server's greeting needs no answer: it arrives, and what the client sends does not.
    rule(
        "firewall-server-drop",
        0.93,
        &[
            is("fw.follows", &["drops"]),
            is("kex.end", &["timeout", "closed", "reset"]),
        ],
    )
    .not(&[LET_IN])
    .despite(),
    rule(
        "firewall-server-reject",
        0.93,
        &[is("fw.follows", &["rejects"])],
    )
    .not(&[LET_IN, is("ident.end", &["ok"])])
    .despite(),
    rule(
        "firewall-server-drop",
        0.45,
        &[is("fw.rule", &["may-drop"])],
    )
    .not(&[LET_IN]),
    rule(
        "firewall-server-drop",
        0.85,
        &[
            is("fw.rule", &["may-drop"]),
            is("tcp.connect", &["timeout"]),
        ],
    )
    .not(&[LET_IN]),
    rule(
        "firewall-server-reject",
        0.45,
        &[is("fw.rule", &["may-reject"])],
    )
    .not(&[LET_IN]),
    rule(
        "firewall-server-reject",
        0.85,
        &[
            is("fw.rule", &["may-reject"]),
            is(
                "tcp.connect",
                &["refused", "prohibited", "host-unreachable", "reset"],
            ),
            RUNNING,
        ],
    )
    .not(&[LET_IN]),
    rule("ip-banned", 0.95, &[seen("fw.ban")]).stronger(&[is("ban.log", &["banned"])]),
    rule("ip-banned", 0.9, &[is("route.return", &["banned"])])
        .stronger(&[is("ban.log", &["banned"])]),
    rule(
        "ip-banned",
        0.6,
        &[is("ban.log", &["banned"]), is("log.outcome", &["no-trace"])],
    )
    .not(&[is("fw.rule", &["passes"])]),
    rule("ip-banned", 0.35, &[is("ban.log", &["banned"])]),
    rule(
        "rate-limited",
        0.88,
        &[seen("fw.limit"), is("fw.limit-reached", &["yes"])],
    )
    .not(&[LET_IN]),
    rule(
        "rate-limited",
        0.85,
        &[
            seen("fw.limit"),
            is(
                "tcp.connect",
                &["timeout", "refused", "prohibited", "reset"],
            ),
        ],
    )
    .despite(),
    rule("rate-limited", 0.42, &[seen("fw.limit")]).despite(),
    rule("no-return-route", 0.94, &[is("route.return", &["none"])])
        .not(&[is("host.interface", &["down"])]),
    rule("no-return-route", 0.8, &[is("route.return", &["dead"])])
        .stronger(&[is("tcp.connect", &["timeout"])])
        .not(&[
            is("host.interface", &["down"]),
            LET_IN,
            is("tcp.connect", &["ok"]),
        ]),
    rule("host-unreachable", 0.9, &[is("host.interface", &["down"])]),
    // By exclusion: here everything is open, and nothing of the client has arrived.
    rule(
        "firewall-path-drop",
        0.55,
        &[
            is("tcp.connect", &["timeout", "refused"]),
            is("sshd.process", &["running"]),
            is("sshd.listen", &["reachable"]),
            is("fw.rule", &["passes"]),
            is("route.return", &["ok"]),
            is("route.called", &["own"]),
            is("log.outcome", &["no-trace"]),
        ],
    )
    .not(&[
        seen("fw.limit"),
        seen("fw.follows"),
        seen("ban.log"),
        seen("sshd.backlog"),
        seen("port.holder"),
        is("load.startups", &["full"]),
        is("client.firewall", &["drops", "rejects"]),
        seen("tcp.local-refusal"),
        is("tcp.icmp-from", &["self"]),
        is("tcp.first-hop", &["this-port-silent", "refused"]),
        is("route.lookup", &["none", "blackhole", "prohibit", "unreachable"]),
        is("name.hosts-file", &["differs"]),
        seen("tcp.dead-family"),
        seen("proxy.jump"),
        seen("proxy.command"),
        is("fw.redirect", &["closed", "program", "machine"]),
        is("unit.sandbox", &["shuts-out"]),
        is("tcp.other-port", &["no-neighbour"]),
    ])
    .settle("tcpdump -ni any 'tcp port PORT and host CLIENT_ADDR' on the server while the client tries: no SYN means that it is lost on the way"),
    // What sshd sends gets no answer, and its filter lets everything through.
    rule(
        "firewall-path-drop",
        0.72,
        &[
            is("path.unacked", &["small"]),
            is("ident.end", &["timeout"]),
            is("tcp.connect", &["ok"]),
        ],
    )
    .not(&[
        LET_IN,
        is("ident.end", &["ok"]),
        seen("fw.follows"),
        is("fw.rule", &["drops", "rejects", "may-drop", "may-reject"]),
        seen("fw.limit"),
        seen("fw.ban"),
        is("route.return", &["none", "dead", "banned"]),
        is("client.firewall", &["drops", "rejects"]),
    ])
    .despite()
    .at(Gate::Ident)
    .settle("the handshake passes and the greeting does not: something between the two looks into packets; another port or another network tells"),
    rule("mtu-blackhole", 0.85, &[is("path.unacked", &["large"])])
        .any(&[is("kex.end", &["timeout"]), is("attempt.end", &["stopped"])])
        .not(&[LET_IN, is("kex.large", &["passes"])])
        .despite(),
    // By exclusion: sshd is well and names in its log whoever comes, and somebody took this client's connection and closed it.
    rule(
        "reset-by-middlebox",
        0.62,
        &[
            is("ident.end", &["closed", "reset"]),
            is("tcp.connect", &["ok"]),
            is("sshd.process", &["running"]),
            is("sshd.listen", &["reachable"]),
            is("fw.rule", &["passes"]),
            is("log.outcome", &["no-trace"]),
            is("log.alive", &["yes"]),
        ],
    )
    .not(&[
        seen("ident.reason"),
        seen("ident.protocol"),
        seen("fw.redirect"),
        seen("fw.follows"),
        seen("wrappers.verdict"),
        seen("port.holder"),
        is("load.startups", &["full", "throttling"]),
        is("load.per-source", &["full"]),
        is("load.penalty", &["active"]),
        seen("load.socket"),
        is("kernel.pids", &["full", "was-full"]),
        seen("kernel.files"),
        seen("kernel.oom"),
        is("unit.sandbox", &["stops", "shuts-out"]),
        is("unit.broken", &["template"]),
        is("unit.socket", &["listens"]),
        is("sshd.listen", &["socket-unit"]),
        is("sshd.privsep", &["missing", "permissions"]),
        is("conf.grace", &["short"]),
        is("log.daemon", &["max-startups", "privsep-dir-missing"]),
        seen("log.says"),
        is("route.called", &["other"]),
        seen("proxy.jump"),
        seen("proxy.command"),
    ])
    .despite()
    .settle("a load balancer, a proxy or a filter took the connection in this server's place: tcpdump -ni any 'tcp port PORT and host CLIENT_ADDR' \
             on the server while the client tries shows no SYN, or another's reset; ask whoever runs what lies between for its health checks"),
    // ---- ident
    rule(
        "sshd-hung",
        0.93,
        &[
            is("names.asked", &["before-greeting"]),
            is("names.resolver", &["dead"]),
            is("ident.end", &["timeout"]),
        ],
    )
    .not(&[is("load.startups", &["full"]), LET_IN])
    .despite()
    .settle("sshd itself is well: it waits for a name server, because that line asks for the client's name; addresses in its place need none"),
    rule(
        "slow-reverse-dns",
        0.9,
        &[is("names.resolver", &["dead"]), seen("names.asked")],
    )
    .any(&[
        is("ident.end", &["timeout"]),
        is("attempt.end", &["stopped"]),
        is("log.says", &["login-grace-time"]),
    ])
    .despite()
    .at(Gate::Ident),
    rule(
        "slow-reverse-dns",
        0.45,
        &[is("names.resolver", &["dead"]), seen("names.asked")],
    )
    .not(&[LET_IN])
    .despite(),
    rule("socket-max-connections", 0.94, &[is("load.socket", &["full"])])
        .not(&[LET_IN])
        .despite(),
    rule(
        "sshd-hung",
        0.97,
        &[is("sshd.process", &["stopped", "blocked"])],
    )
    .despite(),
    rule(
        "sshd-hung",
        0.75,
        &[is("sshd.backlog", &["waiting"]), is("sshd.process", &["running"])],
    )
    .any(&[
        is("ident.end", &["timeout"]),
        is("tcp.connect", &["timeout"]),
    ])
    .not(&[is("load.startups", &["full"])])
    .despite(),
    rule(
        "sshd-hung",
        0.8,
        &[is("log.reader", &["stopped"]), is("sshd.process", &["running"])],
    )
    .any(&[
        is("ident.end", &["timeout"]),
        is("attempt.end", &["stopped"]),
    ])
    .not(&[LET_IN])
    .despite(),
    rule(
        "sshd-hung",
        0.8,
        &[
            is("kernel.files", &["full"]),
            is("ident.end", &["timeout", "closed", "reset"]),
        ],
    )
    .despite(),
    rule(
        "sshd-hung",
        0.6,
        &[
            is("kernel.entropy", &["low"]),
            is("ident.end", &["timeout"]),
        ],
    )
    .despite(),
    rule(
        "selinux-port",
        0.88,
        &[
            is("sshd.bind", &["denied"]),
            is("host.selinux", &["enforcing"]),
            NOT_RUNNING,
        ],
    ),
    rule(
        "tcp-wrappers-deny",
        0.97,
        &[is("wrappers.verdict", &["denies"])],
    )
    .stronger(&[is("log.says", &["tcp-wrappers-deny"])]),
    rule(
        "tcp-wrappers-deny",
        0.85,
        &[is("log.says", &["tcp-wrappers-deny"])],
    ),
    rule("max-startups", 0.96, &[is("load.startups", &["full"])])
        .stronger(&[is("log.says", &["max-startups"])])
        .despite(),
    rule("max-startups", 0.93, &[is("load.per-source", &["full"])])
        .stronger(&[is("log.says", &["max-startups"])])
        .not(&[LET_IN])
        .despite(),
    rule("max-startups", 0.8, &[is("load.startups", &["throttling"])])
        .any(&[
            is("log.says", &["max-startups"]),
            is("log.daemon", &["max-startups"]),
            is("ident.reason", &["max-startups", "not-allowed"]),
        ])
        .despite(),
    rule("max-startups", 0.85, &[is("log.says", &["max-startups"])])
        .not(&[LET_IN])
        .despite(),
    rule(
        "max-startups",
        0.45,
        &[is("load.startups", &["throttling"])],
    )
    .despite(),
    rule(
        "source-penalty",
        0.96,
        &[
            is("log.says", &["source-penalty"]),
            is("log.outcome", &["dropped", "closed-early", "no-trace"]),
        ],
    )
    .despite(),
    rule("source-penalty", 0.93, &[is("load.penalty", &["active"])])
        .stronger(&[is("ident.reason", &["not-allowed"])])
        .not(&[LET_IN])
        .despite(),
    rule(
        "source-penalty",
        0.8,
        &[is("log.says", &["source-penalty"])],
    )
    .not(&[LET_IN])
    .despite(),
    rule(
        "out-of-memory",
        0.7,
        &[
            is("kernel.oom", &["sshd"]),
            is("log.outcome", &["closed-early", "no-trace"]),
        ],
    )
    .not(&[
        is("fw.rule", &["drops", "rejects"]),
        seen("fw.ban"),
        seen("wrappers.verdict"),
        is("load.startups", &["full"]),
    ])
    .despite(),
    rule(
        "out-of-memory",
        0.3,
        &[is("kernel.oom", &["sshd", "group"])],
    )
    .despite(),
    // It is refused when the user's name is known, long after the greeting.
    rule("refuse-connection", 0.95, &[is("conf.lists", &["refuse"])]).despite(),
    rule(
        "login-grace-time",
        0.78,
        &[
            is("conf.grace", &["short"]),
            is("log.outcome", &["no-trace", "closed-early", "gave-up"]),
        ],
    )
    .not(&[
        is("fw.rule", &["drops", "rejects"]),
        NOT_RUNNING,
        seen("fw.ban"),
        seen("wrappers.verdict"),
        is("load.startups", &["full"]),
        is("tcp.connect", &["refused", "timeout"]),
    ])
    .despite(),
    rule(
        "login-grace-time",
        0.9,
        &[is("log.says", &["login-grace-time"])],
    )
    .despite(),
    // ---- kex
    rule(
        "no-matching-kex",
        0.97,
        &[is("log.says", &["no-matching-kex"])],
    ),
    rule(
        "no-matching-kex",
        0.85,
        &[is("conf.offer", &["outdated"]).about("kex")],
    )
    .not(&[LET_IN]),
    rule(
        "no-matching-cipher",
        0.97,
        &[is("log.says", &["no-matching-cipher"])],
    ),
    rule(
        "no-matching-cipher",
        0.85,
        &[is("conf.offer", &["outdated"]).about("cipher")],
    )
    .not(&[LET_IN]),
    rule(
        "no-matching-mac",
        0.97,
        &[is("log.says", &["no-matching-mac"])],
    ),
    rule(
        "no-matching-mac",
        0.85,
        &[is("conf.offer", &["outdated"]).about("mac")],
    )
    .not(&[LET_IN]),
    rule(
        "no-matching-host-key-type",
        0.97,
        &[is("log.says", &["no-matching-host-key-type"])],
    ),
    rule(
        "no-matching-host-key-type",
        0.85,
        &[is("conf.offer", &["outdated"]).about("host-key")],
    )
    .not(&[LET_IN]),
    // ---- auth: who
    rule("user-not-found", 0.96, &[is("user.exists", &["no"])])
        .stronger(&[is("log.says", &["user-not-found"])]),
    rule("user-not-allowed", 0.96, &[is("conf.lists", &["refused"])])
        .stronger(&[is("log.says", &["user-not-allowed"])]),
    rule(
        "user-not-allowed",
        0.85,
        &[is("log.says", &["user-not-allowed"])],
    )
    .not(&[seen("conf.lists")]),
    // The file lets the user in, and the sshd that runs does not.
    rule(
        "user-not-allowed",
        0.93,
        &[
            is("log.says", &["user-not-allowed"]),
            is("sshd.stale", &["config"]),
        ],
    )
    .not(&[seen("conf.lists")])
    .settle(RELOAD),
    rule(
        "root-login-disabled",
        0.96,
        &[is("conf.lists", &["root-no"])],
    )
    .stronger(&[is("log.says", &["root-login-disabled"])]),
    rule(
        "root-login-disabled",
        0.8,
        &[is("log.says", &["root-login-disabled"])],
    )
    .not(&[is("conf.root", &["key-only"])]),
    rule(
        "root-login-disabled",
        0.85,
        &[is("conf.root", &["forced-only"]), NOT_LET_IN],
    )
    .stronger(&[is("log.says", &["root-login-disabled"])])
    .despite(),
    rule(
        "root-password-disabled",
        0.95,
        &[
            is("conf.root", &["key-only"]),
            is("log.method", &["password"]),
        ],
    )
    .not(&[LET_IN]),
    rule(
        "root-password-disabled",
        0.93,
        &[
            is("conf.root", &["key-only"]),
            is("client.wants", &["password"]),
        ],
    )
    .not(&[LET_IN]),
    rule(
        "root-password-disabled",
        0.7,
        &[
            is("conf.root", &["key-only"]),
            is("log.outcome", &["gave-up"]),
            is("keys.file", &["missing", "empty"]),
        ],
    ),
    // ---- auth: passwords
    rule("account-locked", 0.96, &[is("user.lock-counts", &["yes"])]),
    rule("account-locked", 0.95, &[is("user.password", &["locked"])])
        .any(&[
            is("log.method", &["password"]),
            is("log.says", &["account-locked"]),
            is("client.wants", &["password"]),
            is("auth.password", &["refused"]),
        ])
        .not(&[LET_IN]),
    rule(
        "account-locked",
        0.7,
        &[
            is("user.password", &["none"]),
            is("log.method", &["password"]),
        ],
    )
    .not(&[LET_IN]),
    rule(
        "account-locked",
        0.55,
        &[
            is("user.password", &["locked"]),
            is("log.outcome", &["gave-up"]),
            is("keys.file", &["missing", "empty"]),
        ],
    ),
    rule(
        "wrong-password",
        0.86,
        &[
            is("log.outcome", &["denied-password"]),
            is("user.password", &["set"]),
        ],
    )
    .stronger(&[is("log.password", &["wrong"])])
    .not(&[
        is("conf.root", &["key-only", "forced-only"]),
        seen("conf.lists"),
        seen("log.module"),
        seen("pam.refuses-password"),
        is(
            "pam.refuses",
            &["faillock", "denied", "nologin", "shell", "broken"],
        ),
        is("user.account", &["expired"]),
        is("user.shell", &["missing"]),
        seen("user.lock-counts"),
        is(
            "log.says",
            &[
                "user-not-allowed",
                "root-login-disabled",
                "shell-missing",
                "account-locked",
            ],
        ),
    ]),
    // The second of two proofs, and it was asked for: what was sent did not do.
    rule(
        "wrong-password",
        0.8,
        &[
            is("auth.password", &["refused"]),
            is("auth.method", &["partial"]),
            is("user.password", &["set"]),
            is("auth.method", &["tried"]).about("password"),
        ],
    )
    .not(&[
        seen("log.says"),
        seen("pam.refuses"),
        seen("pam.refuses-password"),
        is("user.account", &["expired"]),
        LET_IN,
    ]),
    // No log tells, and nothing that could be wrong beside the password is.
    rule(
        "wrong-password",
        0.8,
        &[
            is("auth.password", &["refused"]),
            is("user.password", &["set"]),
            is("conf.method", &["on"]).about("password"),
        ],
    )
    .not(&[
        is("conf.root", &["key-only", "forced-only"]),
        is("conf.chain", &["several", "impossible"]),
        seen("conf.lists"),
        seen("log.says"),
        seen("pam.refuses"),
        seen("pam.refuses-password"),
        is("user.account", &["expired"]),
        is("user.shell", &["missing"]),
        seen("user.lock-counts"),
        LET_IN,
    ]),
    rule(
        "wrong-password",
        0.6,
        &[
            is("log.outcome", &["denied-password"]),
            is("user.exists", &["yes"]),
        ],
    )
    .not(&[
        is("user.password", &["locked", "none", "set"]),
        is("conf.root", &["key-only", "forced-only"]),
        seen("log.module"),
        seen("pam.refuses-password"),
    ]),
    rule(
        "password-auth-disabled",
        0.78,
        &[
            is("conf.method", &["off"]).about("password"),
            is("log.outcome", &["gave-up"]),
            is("user.password", &["set"]),
        ],
    )
    .any(&[is("keys.file", &["missing", "empty"])])
    .not(&[
        is("conf.method", &["on"]).about("keyboard-interactive"),
        is("client.wants", &["key"]),
        seen("conf.lists"),
        is("client.can-prompt", &["no"]),
    ]),
    rule(
        "password-auth-disabled",
        0.95,
        &[
            is("conf.method", &["off"]).about("password"),
            is("client.wants", &["password"]),
        ],
    )
    .not(&[
        is("conf.method", &["on"]).about("keyboard-interactive"),
        LET_IN,
    ]),
    rule(
        "password-auth-disabled",
        0.85,
        &[
            is("conf.method", &["off"]).about("password"),
            is("client.can-prompt", &["yes"]),
            NOT_LET_IN,
        ],
    )
    .any(&[
        is("client.keys", &["none"]),
        is("keys.file", &["missing", "empty"]),
    ])
    .not(&[
        is("conf.method", &["on"]).about("keyboard-interactive"),
        is("client.wants", &["key"]),
    ]),
    // The file says yes, and the sshd that runs says no.
    rule(
        "password-auth-disabled",
        0.95,
        &[
            lacks("auth.methods", &["password", "keyboard-interactive"]),
            is("conf.method", &["on"]).about("password"),
            is("sshd.stale", &["config"]),
            is("client.can-prompt", &["yes"]),
        ],
    )
    .not(&[
        is("client.wants", &["key"]),
        is("auth.method", &["partial"]),
        is("auth.key", &["accepted"]),
        LET_IN,
    ])
    .settle(RELOAD),
    rule(
        "pubkey-auth-disabled",
        0.95,
        &[
            lacks("auth.methods", &["publickey"]),
            is("conf.method", &["on"]).about("publickey"),
            is("sshd.stale", &["config"]),
            is("client.keys", &["some"]),
        ],
    )
    .not(&[
        is("client.wants", &["password"]),
        is("auth.method", &["partial"]),
        LET_IN,
    ])
    .settle(RELOAD),
    rule(
        "pubkey-auth-disabled",
        0.93,
        &[
            is("conf.method", &["off"]).about("publickey"),
            NOT_LET_IN,
            is("keys.file", &["ok"]),
        ],
    )
    .not(&[is("log.method", &["password"])]),
    rule(
        "pubkey-auth-disabled",
        0.95,
        &[is("conf.method", &["off"]).about("publickey")],
    )
    .any(&[
        is("client.wants", &["key"]),
        is("auth.method", &["not-tried"]).about("publickey"),
    ])
    .not(&[LET_IN]),
    rule(
        "pubkey-auth-disabled",
        0.6,
        &[is("conf.method", &["off"]).about("publickey"), NOT_LET_IN],
    )
    .not(&[
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
    ]),
    rule(
        "multi-factor-required",
        0.92,
        &[is("conf.chain", &["several"]), NOT_LET_IN],
    )
    .stronger(&[is("log.says", &["multi-factor-required"])])
    .not(WRONG),
    rule(
        "multi-factor-required",
        0.85,
        &[is("log.says", &["multi-factor-required"])],
    )
    .not(WRONG),
    rule(
        "no-auth-methods",
        0.95,
        &[is("conf.chain", &["impossible"])],
    )
    .not(&[
        is("conf.chain", &["impossible"]).about("publickey"),
        is("conf.chain", &["impossible"]).about("password"),
    ]),
    // It wants one method alone, and that one is off.
    rule(
        "pubkey-auth-disabled",
        0.96,
        &[
            is("conf.method", &["off"]).about("publickey"),
            is("conf.chain", &["impossible"]).about("publickey"),
        ],
    ),
    rule(
        "password-auth-disabled",
        0.96,
        &[
            is("conf.method", &["off"]).about("password"),
            is("conf.chain", &["impossible"]).about("password"),
        ],
    ),
    rule(
        "auth-method-mismatch",
        0.78,
        &[
            is("conf.method", &["off"]).about("password"),
            is("conf.method", &["on"]).about("keyboard-interactive"),
            is("client.wants", &["password"]),
            NOT_LET_IN,
        ],
    )
    .not(&[
        is("auth.method", &["tried", "failed", "partial"]).about("keyboard-interactive"),
        is("log.method", &["password"]),
    ]),
    // ---- auth: keys
    rule("authorized-keys-permissions", 0.95, &[seen("keys.modes")])
        .stronger(&[is("log.says", &["authorized-keys-permissions"])])
        .doubts(&[
            is("log.method", &["password"]),
            is("client.wants", &["password"]),
        ]),
    rule(
        "selinux-context",
        0.7,
        &[is("keys.label", &["unusual"]), NOT_LET_IN],
    )
    .not(&[is("log.method", &["password"])]),
    rule(
        "authorized-keys-permissions",
        0.88,
        &[is("log.says", &["authorized-keys-permissions"])],
    )
    .not(&[
        is("unit.sandbox", &["hides"]),
        is("user.home", &["missing"]),
    ]),
    rule(
        "authorized-keys-path",
        0.94,
        &[is("keys.file", &["elsewhere"])],
    )
    .doubts(&[
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
    ]),
    // The key is there and all is well, but for what sshd has read: of what may have stood there only the place of the keys
    // refuses them without a word in the log.
    rule(
        "authorized-keys-path",
        0.6,
        &[
            is("keys.offered", &["listed"]),
            is("sshd.stale", &["config"]),
            is("log.outcome", &["gave-up", "denied-key"]),
            is("auth.key", &["refused"]),
        ],
    )
    .not(&[
        seen("log.says"),
        seen("keys.modes"),
        seen("keys.revoked"),
        seen("conf.lists"),
        is("keys.line", &["from-refused", "expired"]),
        is("keys.offered", &["not-listed"]),
        is("conf.method", &["off"]).about("publickey"),
        is("unit.sandbox", &["hides"]),
    ])
    .settle(RELOAD),
    rule(
        "authorized-keys-from",
        0.97,
        &[is("log.says", &["authorized-keys-from"])],
    )
    .stronger(&[is("keys.line", &["from-refused"])])
    .not(&[is("keys.line", &["expired"])]),
    rule(
        "authorized-keys-from",
        0.96,
        &[
            is("keys.line", &["from-refused"]),
            is("log.says", &["authorized-keys-from"]),
        ],
    ),
    rule(
        "authorized-keys-from",
        0.94,
        &[
            is("keys.line", &["from-refused"]),
            is("keys.offered", &["listed"]),
            NOT_LET_IN,
        ],
    ),
    rule(
        "authorized-keys-from",
        0.85,
        &[
            is("keys.line", &["from-refused"]),
            is("keys.usable", &["none"]),
        ],
    )
    .not(&[LET_IN, is("keys.command", &["set"])])
    .doubts(&[is("log.method", &["password"])]),
    rule(
        "authorized-keys-from",
        0.75,
        &[is("keys.line", &["from-refused"]), NOT_LET_IN],
    )
    .doubts(&[is("log.method", &["password"])]),
    rule(
        "authorized-keys-malformed",
        0.96,
        &[is("keys.line", &["malformed-offered"]), NOT_LET_IN],
    )
    .not(&[is("keys.offered", &["listed"])]),
    rule(
        "authorized-keys-malformed",
        0.93,
        &[is("keys.line", &["malformed"]), is("keys.file", &["empty"])],
    )
    .doubts(&[
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
    ]),
    rule(
        "authorized-keys-malformed",
        0.65,
        &[
            is("keys.line", &["malformed"]),
            NOT_LET_IN,
            is("keys.file", &["ok"]),
        ],
    )
    .doubts(&[seen("keys.modes")])
    .not(&[
        is("keys.offered", &["listed"]),
        is("log.method", &["password"]),
    ]),
    rule(
        "authorized-keys-malformed",
        0.9,
        &[is("log.says", &["authorized-keys-malformed"])],
    ),
    rule(
        "authorized-keys-command",
        0.94,
        &[is("keys.command", &["broken"])],
    )
    .doubts(&[is("log.method", &["password"])]),
    rule(
        "authorized-keys-command",
        0.93,
        &[is("log.says", &["authorized-keys-command"])],
    ),
    rule(
        "pubkey-revoked",
        0.95,
        &[is("log.says", &["pubkey-revoked"])],
    )
    .stronger(&[seen("keys.revoked")]),
    rule("pubkey-revoked", 0.9, &[seen("keys.revoked")]).not(&[LET_IN]),
    rule(
        "pubkey-algorithm-rejected",
        0.96,
        &[is("log.says", &["pubkey-algorithm-rejected"])],
    )
    .stronger(&[is("keys.types", &["rejected"])]),
    rule(
        "pubkey-algorithm-rejected",
        0.9,
        &[is("keys.types", &["rejected"])],
    )
    .doubts(&[
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
    ]),
    rule("key-too-short", 0.96, &[is("log.says", &["key-too-short"])]),
    rule("key-too-short", 0.9, &[is("keys.types", &["too-short"])])
        .doubts(&[is("log.method", &["password"])]),
    rule("cert-expired", 0.96, &[is("log.says", &["cert-expired"])]),
    rule(
        "cert-not-yet-valid",
        0.96,
        &[is("log.says", &["cert-not-yet-valid"])],
    )
    .stronger(&[is("clock.state", &["behind"])]),
    rule(
        "cert-principal-mismatch",
        0.96,
        &[is("log.says", &["cert-principal-mismatch"])],
    ),
    // No log says it. The client's certificate is good in itself, and names the user as a rule.
    rule(
        "cert-principal-mismatch",
        0.85,
        &[
            is("keys.principals", &["missing", "other-names"]),
            is("auth.certificate", &["valid"]),
            is("auth.key", &["refused"]),
            NOT_LET_IN,
        ],
    )
    .not(&[seen("log.says"), seen("conf.lists"), seen("keys.revoked")]),
    rule(
        "too-many-auth-failures",
        0.94,
        &[is("log.says", &["too-many-auth-failures"])],
    )
    .stronger(&[is("conf.tries", &["few"])]),
    rule(
        "too-many-auth-failures",
        0.6,
        &[is("conf.tries", &["few"]), is("auth.end", &["too-many"])],
    ),
    rule("service-sandboxed", 0.95, &[is("unit.sandbox", &["hides"])]).not(&[LET_IN]),
    // Root was told that it may not lock itself in, or become somebody else.
    rule(
        "service-sandboxed",
        0.93,
        &[is("log.daemon", &["service-sandboxed"])],
    )
    .stronger(&[is("unit.sandbox", &["filters", "hides"])])
    .not(&[LET_IN]),
    rule(
        "service-sandboxed",
        0.85,
        &[
            is("unit.sandbox", &["hinders", "read-only"]),
            is("session.end", &["exit", "closed", "reset", "signal"]),
        ],
    )
    .not(&[
        seen("session.forced"),
        seen("session.rc"),
        is(
            "user.shell",
            &["nologin", "nologin-but-sftp", "does-nothing", "missing"],
        ),
    ])
    .despite(),
    // An upload into the home fails although the login works; the transfer may have ended without an error of ssh's own.
    rule(
        "service-sandboxed",
        0.96,
        &[
            is("unit.sandbox", &["read-only"]),
            is(
                "session.says",
                &["read-only", "open-failure", "write-failure"],
            ),
        ],
    )
    .despite(),
    rule(
        "service-sandboxed",
        0.86,
        &[
            is("unit.sandbox", &["read-only"]),
            is("target.command", &["scp", "sftp"]),
        ],
    )
    .despite(),
    rule(
        "service-sandboxed",
        0.6,
        &[is("unit.sandbox", &["read-only"])],
    )
    .despite(),
    rule(
        "service-sandboxed",
        0.93,
        &[is("unit.sandbox", &["shuts-out"])],
    )
    .not(&[LET_IN])
    .at(Gate::Tcp),
    rule(
        "service-sandboxed",
        0.96,
        &[is("unit.sandbox", &["stops"]), NOT_RUNNING],
    )
    .any(&[
        is("unit.state", &["failed", "activating"]),
        // Of a disk whose systemd cannot be asked, sshd's own last words.
        is("log.daemon", &["sshd-unit-broken"]),
    ])
    .at(Gate::Tcp),
    rule(
        "service-sandboxed",
        0.93,
        &[is("unit.sandbox", &["stops"]), RUNNING],
    )
    .any(CUT_SHORT)
    .not(&[LET_IN])
    .despite()
    .at(Gate::Ident),
    rule(
        "service-sandboxed",
        0.6,
        &[is("unit.sandbox", &["stops"]), RUNNING],
    )
    .not(&[LET_IN, seen("attempt.end"), is("ident.end", &["ok"])]),
    rule(
        "pubkey-not-authorized",
        0.92,
        &[is("keys.offered", &["not-listed"]), NOT_LET_IN],
    )
    .not(&[
        is("keys.offered", &["listed"]),
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
        is("keys.ca", &["set"]),
        is("keys.line", &["malformed-offered"]),
        is("keys.file", &["elsewhere"]),
        is("login.last-way", &["password"]),
        is("keys.command", &["broken"]),
        is("unit.sandbox", &["hides"]),
        seen("auth.certificate"),
        is("auth.end", &["too-many"]),
        is(
            "log.says",
            &["authorized-keys-command", "too-many-auth-failures"],
        ),
    ])
    .doubts(&[is("keys.line", &["malformed"])]),
    rule(
        "pubkey-not-authorized",
        0.93,
        &[is("keys.offered", &["listed-as-ca"]), NOT_LET_IN],
    )
    .not(&[
        is("keys.offered", &["listed"]),
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
        seen("auth.certificate"),
    ]),
    // A certificate that is good in itself, and no word about it: some other authority signed it.
    rule(
        "pubkey-not-authorized",
        0.75,
        &[
            is("keys.ca", &["set", "missing"]),
            is("auth.certificate", &["valid"]),
            is("auth.key", &["refused"]),
            is("keys.file", &["missing", "empty"]),
            NOT_LET_IN,
        ],
    )
    .not(&[
        is("keys.principals", &["missing", "other-names"]),
        is(
            "log.says",
            &[
                "cert-expired",
                "cert-not-yet-valid",
                "cert-principal-mismatch",
                "pubkey-revoked",
                "authorized-keys-from",
                "user-not-allowed",
            ],
        ),
        seen("keys.revoked"),
        seen("conf.lists"),
    ]),
    rule(
        "pubkey-not-authorized",
        0.9,
        &[is("keys.line", &["expired"]), NOT_LET_IN],
    )
    .not(&[
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
    ]),
    rule(
        "pubkey-not-authorized",
        0.82,
        &[
            is("keys.file", &["missing", "empty"]),
            is("log.outcome", &["gave-up", "denied-key"]),
        ],
    )
    .doubts(&[is("conf.method", &["off"]).about("password")])
    .not(&[
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
        is("keys.line", &["malformed", "malformed-offered"]),
        is("keys.ca", &["set"]),
        is("keys.command", &["set", "broken"]),
        is("user.home", &["missing"]),
        is("client.keys", &["none"]),
        is("client.can-prompt", &["yes"]),
    ]),
    rule(
        "pubkey-not-authorized",
        0.9,
        &[
            is("auth.key", &["refused"]),
            is("keys.file", &["missing", "empty", "ok"]),
        ],
    )
    .not(&[
        seen("auth.certificate"),
        is("auth.end", &["too-many"]),
        is(
            "log.says",
            &["authorized-keys-command", "too-many-auth-failures"],
        ),
        // Somebody sits there who could type the password that the account has, were passwords taken.
        is("login.last-way", &["password"]),
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
        is("keys.line", &["malformed", "malformed-offered"]),
        is("keys.file", &["elsewhere"]),
        seen("keys.modes"),
        seen("conf.lists"),
        is("user.exists", &["no"]),
        is("keys.ca", &["set"]),
        is("user.home", &["missing"]),
        seen("keys.types"),
        is("keys.offered", &["listed"]),
        seen("keys.revoked"),
        is("keys.command", &["broken"]),
        is("keys.line", &["from-refused"]),
        is("unit.sandbox", &["hides"]),
        is("conf.method", &["off"]).about("publickey"),
        seen("user.lock-counts"),
        is("user.shell", &["missing"]),
        is(
            "auth.key",
            &[
                "permissions",
                "invalid",
                "passphrase",
                "agent-refused",
                "missing",
                "mismatch",
                "no-signature-algorithm",
                "type-not-taken",
            ],
        ),
    ]),
    rule(
        "pubkey-not-authorized",
        0.45,
        &[
            is("keys.file", &["ok"]),
            is("log.outcome", &["gave-up", "denied-key"]),
        ],
    )
    .not(&[
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
        seen("keys.modes"),
        is("keys.offered", &["listed"]),
    ]),
    // ---- account
    rule("account-expired", 0.97, &[is("user.account", &["expired"])]),
    rule(
        "account-expired",
        0.85,
        &[is("log.says", &["account-expired"])],
    ),
    // A wrong password is refused before anybody looks at its age.
    rule("password-expired", 0.94, &[seen("user.password-age")])
        .not(&[is("log.password", &["wrong"])])
        .despite(),
    rule("password-expired", 0.45, &[seen("user.password-age")]).despite(),
    rule(
        "password-expired",
        0.85,
        &[is("log.says", &["password-expired"])],
    )
    .despite(),
    rule(
        "account-faillock",
        0.96,
        &[is("pam.refuses", &["faillock"])],
    ),
    rule(
        "account-faillock",
        0.95,
        &[is("pam.refuses-password", &["faillock"])],
    )
    .any(&[
        is("log.method", &["password"]),
        is("client.wants", &["password"]),
        is("log.says", &["account-faillock"]),
    ]),
    rule(
        "account-faillock",
        0.94,
        &[is("log.says", &["account-faillock"])],
    ),
    rule("nologin-file", 0.97, &[is("pam.refuses", &["nologin"])]),
    rule("nologin-file", 0.9, &[is("log.says", &["nologin-file"])]),
    rule(
        "nologin-file",
        0.94,
        &[is("pam.refuses-password", &["nologin"])],
    )
    .any(WANTS_PASSWORD),
    // Without PAM sshd looks for it once the session is open, shows it and ends with 254 (session.c do_nologin()).
    rule(
        "nologin-file",
        0.96,
        &[
            is("pam.refuses", &["nologin"]),
            is("session.exit", &["254"]),
        ],
    )
    .despite(),
    rule(
        "nologin-file",
        0.9,
        &[is("pam.refuses", &["nologin"]), LET_IN],
    )
    .not(&[is("attempt.end", &["ok"]), is("log.lasted", &["while"])])
    .despite(),
    rule("pam-denied", 0.95, &[is("pam.refuses", &["denied"])])
        .stronger(&[is("log.says", &["pam-denied"])])
        .despite(),
    rule(
        "pam-denied",
        0.9,
        &[is("pam.refuses-password", &["denied"])],
    )
    .any(WANTS_PASSWORD),
    rule(
        "pam-denied",
        0.88,
        &[
            is("log.module", &["refused"]),
            is("log.outcome", &["denied-account", "denied-password"]),
        ],
    )
    .not(TOLD_OF_ACCOUNT),
    rule(
        "pam-denied",
        0.82,
        &[is("log.outcome", &["denied-account"])],
    )
    .not(TOLD_OF_ACCOUNT),
    rule("pam-denied", 0.72, &[is("log.says", &["pam-denied"])])
        .not(TOLD_OF_ACCOUNT)
        .despite(),
    // No log tells; the account stack asks somebody, and the proof was taken.
    rule(
        "pam-denied",
        0.55,
        &[
            is("pam.asks", &["account"]),
            is("auth.end", &["closed", "reset", "disconnected"]),
        ],
    )
    .any(&[is("auth.key", &["accepted"]), is("auth.method", &["ok"])])
    .not(TOLD_OF_ACCOUNT),
    rule("shell-not-listed", 0.96, &[is("pam.refuses", &["shell"])]),
    rule(
        "shell-not-listed",
        0.92,
        &[is("pam.refuses-password", &["shell"])],
    )
    .any(WANTS_PASSWORD),
    rule(
        "shell-not-listed",
        0.93,
        &[is("log.says", &["shell-not-listed"])],
    ),
    rule("pam-limits", 0.96, &[is("pam.refuses", &["limits"])]).despite(),
    rule("pam-limits", 0.88, &[is("log.says", &["pam-limits"])])
        .not(&[is("pam.refuses", &["nproc"])])
        .despite(),
    rule("process-limit", 0.96, &[is("pam.refuses", &["nproc"])]).despite(),
    rule("process-limit", 0.85, &[is("log.says", &["process-limit"])]).despite(),
    rule("process-limit", 0.93, &[is("kernel.pids", &["full"])])
        .stronger(&[is("log.says", &["process-limit"])])
        .despite(),
    rule(
        "process-limit",
        0.4,
        &[
            is("kernel.pids", &["was-full"]),
            is(
                "log.outcome",
                &["closed-early", "no-trace", "refused-client"],
            ),
        ],
    )
    .despite(),
    rule("pam-misconfigured", 0.93, &[is("pam.refuses", &["broken"])])
        .stronger(&[is("log.says", &["pam-misconfigured"])])
        .despite(),
    rule(
        "pam-misconfigured",
        0.8,
        &[is("log.says", &["pam-misconfigured"])],
    )
    .not(&[LET_IN])
    .despite(),
    // The proof was accepted, and the session was refused for a module that has trouble of its own.
    rule(
        "pam-misconfigured",
        0.86,
        &[
            is("log.says", &["pam-misconfigured"]),
            is("log.says", &["pam-denied"]),
            LET_IN,
        ],
    )
    .despite(),
    rule("pam-limits", 0.9, &[seen("session.limit")])
        .any(CUT_OFF)
        .despite(),
    // ---- session
    rule("shell-missing", 0.97, &[is("user.shell", &["missing"])]),
    rule("shell-missing", 0.85, &[is("log.says", &["shell-missing"])]),
    rule(
        "shell-missing",
        0.93,
        &[is("user.shell", &["cannot-start"])],
    )
    .not(&[
        is("session.forced", &["sftp-only"]),
        is("attempt.end", &["ok"]),
    ])
    .despite(),
    rule("shell-nologin", 0.96, &[is("user.shell", &["nologin"])])
        .not(&[is("session.forced", &["sftp-only"])]),
    // The client takes it for a success.
    rule(
        "shell-nologin",
        0.95,
        &[is("user.shell", &["does-nothing"])],
    )
    .not(&[is("session.forced", &["sftp-only"])])
    .despite(),
    rule(
        "shell-nologin",
        0.9,
        &[is("user.shell", &["nologin-but-sftp"])],
    )
    .not(&[
        is("session.forced", &["sftp-only"]),
        is("log.subsystem", &["sftp"]),
        is("target.command", &["sftp", "scp"]),
        LET_IN,
    ]),
    rule(
        "shell-nologin",
        0.9,
        &[
            is("user.shell", &["nologin-but-sftp"]),
            is("target.command", &["ssh"]),
        ],
    )
    .not(&[is("session.forced", &["sftp-only"])]),
    rule(
        "shell-nologin",
        0.45,
        &[is("user.shell", &["nologin-but-sftp"])],
    ),
    rule("home-missing", 0.95, &[is("user.home", &["missing"])])
        .doubts(&[is("log.method", &["password"])])
        .not(&[LET_IN]),
    rule(
        "home-missing",
        0.4,
        &[is("user.home", &["missing"]), LET_IN],
    ),
    // PAM was to make it, and the session was refused.
    rule(
        "home-missing",
        0.9,
        &[
            is("user.home", &["missing"]),
            is("pam.asks", &["home"]),
            is("log.says", &["pam-denied"]),
        ],
    )
    .despite(),
    // The very status that the file ends with is what the client got.
    rule(
        "shell-rc-exits",
        0.95,
        &[
            is("session.rc-status", &["same", "same-common"]),
            is("session.rc", &["exits", "login-exits", "exits-login"]).same(),
        ],
    )
    .not(OTHERWISE_ENDED)
    .despite(),
    rule(
        "shell-rc-exits",
        0.85,
        &[
            is("session.rc-status", &["same"]),
            is("session.rc", &["may-exit", "may-exit-login"]).same(),
        ],
    )
    .not(OTHERWISE_ENDED),
    rule(
        "shell-rc-exits",
        0.72,
        &[
            is("session.rc-status", &["same-common"]),
            is("session.rc", &["may-exit", "may-exit-login"]).same(),
        ],
    )
    .not(OTHERWISE_ENDED),
    rule(
        "shell-rc-exits",
        0.94,
        &[
            is("session.rc", &["exits"]),
            LET_IN,
            is("log.lasted", &["moment"]),
        ],
    )
    .not(&[FORCED, NO_SHELL, is("session.asked", &["shell"])]),
    rule(
        "shell-rc-exits",
        0.7,
        &[
            is("session.rc", &["login-exits"]),
            LET_IN,
            is("log.lasted", &["moment"]),
        ],
    )
    .not(&[
        FORCED,
        NO_SHELL,
        is("session.rc", &["exits"]),
        is("log.subsystem", &["sftp"]),
        is("session.asked", &["command", "scp", "subsystem"]),
    ])
    .despite(),
    rule(
        "shell-rc-exits",
        0.85,
        &[
            is("session.rc", &["login-exits"]),
            is("session.asked", &["shell"]),
            is("session.end", &["exit"]),
        ],
    )
    .not(OTHERWISE_ENDED),
    rule("shell-rc-exits", 0.8, &[is("session.rc", &["exits"])]).not(&[
        FORCED,
        NO_SHELL,
        is("session.asked", &["shell"]),
    ]),
    rule(
        "shell-rc-exits",
        0.6,
        &[
            is("session.rc", &["exits-login"]),
            LET_IN,
            is("log.lasted", &["moment"]),
        ],
    )
    .not(&[
        FORCED,
        NO_SHELL,
        is("session.rc", &["exits"]),
        is("session.asked", &["command", "scp", "subsystem"]),
    ]),
    // A command that cannot fail did, and a start-up file has a way to end the shell.
    rule(
        "shell-rc-exits",
        0.85,
        &[
            is("session.rc", &["may-exit"]),
            isnt("session.exit", &["0"]).about("exit 0"),
        ],
    )
    .not(&[
        FORCED,
        is("session.rc", &["exits"]),
        is(
            "user.shell",
            &[
                "nologin",
                "nologin-but-sftp",
                "does-nothing",
                "missing",
                "cannot-start",
            ],
        ),
        seen("pam.refuses"),
        seen("log.says"),
    ]),
    rule(
        "shell-rc-exits",
        0.4,
        &[
            is("session.rc", &["may-exit"]),
            LET_IN,
            is("log.lasted", &["moment"]),
        ],
    )
    .not(&[is("session.end", &["ok"]), is("session.asked", &["shell"])]),
    rule(
        "shell-rc-exits",
        0.4,
        &[
            is("session.rc", &["may-exit-login"]),
            LET_IN,
            is("log.lasted", &["moment"]),
        ],
    )
    .not(&[
        is("session.end", &["ok"]),
        is("session.asked", &["command", "scp", "subsystem"]),
    ]),
    // It ends without an error, and so nothing says that it was not the user who ended it.
    rule(
        "shell-rc-exits",
        0.7,
        &[
            is("session.idle", &["short"]),
            is("session.asked", &["shell"]),
        ],
    )
    .not(OTHERWISE_ENDED)
    .despite()
    .settle("TMOUT: an interactive shell in which nothing is typed for so many seconds ends (\"auto-logout\")"),
    rule(
        "shell-rc-exits",
        0.4,
        &[
            is("session.idle", &["usual"]),
            is("session.asked", &["shell"]),
            is("session.lasted", &["while"]),
        ],
    )
    .not(&[is("session.end", &["ok"])])
    .despite(),
    rule(
        "shell-rc-output",
        0.9,
        &[
            is("session.rc", &["prints"]),
            is("log.subsystem", &["sftp"]),
        ],
    ),
    // The old protocol of scp takes what is printed for the other scp's word, and may wait for the rest of it.
    rule(
        "shell-rc-output",
        0.88,
        &[
            is("session.rc", &["prints"]),
            is("target.command", &["scp", "sftp"]),
            is("session.end", &["timeout"]),
        ],
    ),
    rule(
        "shell-rc-output",
        0.95,
        &[
            is("session.rc", &["prints", "prints-login"]),
            is("session.says", &["not-clean"]),
        ],
    ),
    rule(
        "shell-rc-output",
        0.94,
        &[
            is("session.rc", &["may-print"]),
            is("session.says", &["not-clean"]),
        ],
    )
    .not(&[is("session.rc", &["prints"])]),
    rule(
        "shell-rc-output",
        0.95,
        &[
            is("session.rc", &["prints", "prints-user-rc"]),
            is("session.says", &["stray-output"]),
        ],
    ),
    rule(
        "shell-rc-output",
        0.8,
        &[
            is("session.rc", &["may-print"]),
            is("session.says", &["stray-output"]),
        ],
    ),
    rule(
        "shell-rc-output",
        0.4,
        &[is("session.rc", &["prints", "prints-user-rc"])],
    ),
    rule(
        "forced-command",
        0.96,
        &[is("session.forced", &["missing", "ends"])],
    ),
    rule(
        "forced-command",
        0.8,
        &[
            is("session.forced", &["sftp-only"]),
            LET_IN,
            is("log.lasted", &["moment"]),
            is("target.command", &["ssh"]),
        ],
    )
    .not(&[is("log.subsystem", &["sftp"])]),
    // A transfer leaves the same lines as a command that got sftp's greeting instead of an answer.
    rule(
        "forced-command",
        0.45,
        &[
            is("session.forced", &["sftp-only"]),
            LET_IN,
            is("log.lasted", &["moment"]),
        ],
    )
    .not(&[is("log.subsystem", &["sftp"])]),
    rule(
        "forced-command",
        0.92,
        &[is("log.says", &["forced-command"])],
    ),
    rule(
        "forced-command",
        0.75,
        &[
            is("session.forced", &["runs"]),
            is("session.end", &["exit", "closed"]),
        ],
    ),
    rule("forced-command", 0.3, &[is("session.forced", &["runs"])]),
    rule(
        "chroot-ownership",
        0.97,
        &[is("session.chroot", &["bad", "missing"])],
    )
    .stronger(&[is("log.says", &["chroot-ownership"])]),
    rule(
        "chroot-ownership",
        0.7,
        &[is("session.chroot", &["no-shell"])],
    ),
    rule(
        "chroot-ownership",
        0.93,
        &[is("log.says", &["chroot-ownership"])],
    ),
    rule(
        "sftp-subsystem-missing",
        0.97,
        &[is("log.says", &["sftp-subsystem-missing"])],
    )
    .stronger(&[is("session.sftp", &["missing"])]),
    rule(
        "sftp-subsystem-missing",
        0.95,
        &[is("session.sftp", &["missing"])],
    )
    .any(&[
        is("target.command", &["sftp", "scp"]),
        is("session.request", &["subsystem-refused"]),
    ]),
    rule(
        "sftp-subsystem-missing",
        0.35,
        &[is("session.sftp", &["missing"])],
    ),
    rule("max-sessions", 0.96, &[is("conf.sessions", &["none"])]),
    rule("max-sessions", 0.88, &[is("log.says", &["max-sessions"])]),
    rule(
        "forwarding-disabled",
        0.96,
        &[is("log.says", &["forwarding-disabled"])],
    )
    .stronger(&[is("session.forwarding", &["off"])]),
    rule(
        "forwarding-disabled",
        0.95,
        &[
            is("session.forwarding", &["off"]),
            is("forward.end", &["prohibited", "remote-failed"]),
        ],
    ),
    rule(
        "forwarding-disabled",
        0.95,
        &[
            is("session.forwarding", &["off-x11"]),
            is("forward.end", &["x11-refused"]),
        ],
    ),
    // Nobody refuses an agent: what needs it finds none, and fails.
    rule(
        "forwarding-disabled",
        0.88,
        &[
            is("session.forwarding", &["off-agent"]),
            is("session.agent", &["asked"]),
            is("session.end", &["exit"]),
        ],
    )
    .not(&[NO_SHELL, is("session.forced", &["missing", "ends"])]),
    rule(
        "forwarding-disabled",
        0.3,
        &[is("session.forwarding", &["off"])],
    ),
    rule(
        "remote-forward-failed",
        0.88,
        &[is("log.says", &["remote-forward-failed"])],
    ),
    rule(
        "pty-disabled",
        0.95,
        &[
            is("session.pty", &["off", "none-left"]),
            is("session.request", &["pty-refused"]),
        ],
    ),
    rule("pty-disabled", 0.9, &[is("log.says", &["pty-disabled"])]),
    rule("pty-disabled", 0.3, &[is("session.pty", &["off"])]),
    rule(
        "client-alive-timeout",
        0.96,
        &[is("log.says", &["client-alive-timeout"])],
    )
    .stronger(&[is("conf.alive", &["on"])]),
    rule(
        "client-alive-timeout",
        0.85,
        &[
            is("conf.alive", &["channels"]),
            is("session.end", &["closed", "signal", "reset"]),
        ],
    )
    .not(&[seen("log.says"), FORCED, NO_SHELL]),
    rule("disk-full", 0.94, &[is("log.says", &["disk-full"])]).stronger(&[seen("disk.full")]),
    rule(
        "disk-full",
        0.9,
        &[
            is("disk.full", &["read-only"]),
            is(
                "session.says",
                &["read-only", "open-failure", "write-failure"],
            ),
        ],
    )
    .despite(),
    rule("disk-full", 0.88, &[is("disk.full", &["home"])]),
    // The transfer may well have ended without an error of ssh's own.
    rule(
        "disk-full",
        0.86,
        &[
            is("disk.full", &["home"]),
            is("target.command", &["scp", "sftp"]),
        ],
    )
    .despite(),
    rule("disk-full", 0.7, &[is("disk.full", &["system"])])
        .any(&[NOT_LET_IN, is("session.end", &["exit", "closed", "reset"])]),
    rule("disk-full", 0.45, &[is("disk.full", &["system"])]),
];
