//! Rules over what the client sees: its own machine, the network, the server from outside, and what ssh said.
//!
//! Where the client cannot tell two causes apart, the rule is the symptom's, and the causes stand in its look-alikes.

use super::{Gate, Rule, Test, has, is, isnt, lacks, rule, seen};

const DEAD: Test = is(
    "tcp.connect",
    &[
        "timeout",
        "host-unreachable",
        "net-unreachable",
        "refused",
        "reset",
        "prohibited",
    ],
);
const SILENT: Test = is("tcp.connect", &["timeout"]);
const REFUSED: Test = is("tcp.connect", &["refused"]);
const NOT_LET_IN: Test = isnt("auth.end", &["ok"]);
const LET_IN: Test = is("auth.end", &["ok"]);
const THROUGH_PROXY: Test = is("proxy.jump", &["failed"]);
const THROUGH_COMMAND: Test = is("proxy.command", &["failed", "missing"]);
const PROHIBITED: Test = is(
    "tcp.icmp",
    &["host-prohibited", "net-prohibited", "admin-prohibited"],
);

/// What tells why no key was shown, or that more than a key was tried.
const NO_KEY_OF_ITS_OWN: &[Test] = &[
    LET_IN,
    is("auth.agent", &["unreachable", "silent", "locked"]),
    is(
        "auth.key",
        &[
            "missing",
            "permissions",
            "invalid",
            "passphrase",
            "type-not-taken",
            "no-private-half",
        ],
    ),
    is("auth.key-locked", &["yes"]),
    is("auth.method", &["partial"]),
    is("auth.password", &["refused"]),
];

pub(super) const ROWS: &[Rule] = &[
    // ---- name: what was typed, the client's configuration, name service
    rule(
        "client-config-error",
        0.97,
        &[is("client.config", &["error"])],
    )
    .despite(),
    // The name is known otherwise; as ssh spells it out, it is not.
    rule(
        "client-config-error",
        0.8,
        &[is("name.lookup", &["not-canonical"])],
    )
    .despite()
    .not(&[is("name.lookup", &["nxdomain", "no-server", "error"])])
    .settle("CanonicalizeHostname puts only the domains of CanonicalDomains behind the name, and CanonicalizeFallbackLocal no forbids the usual lookup"),
    rule(
        "dns-failure",
        0.6,
        &[
            is("name.lookup", &["not-canonical"]),
            is("name.lookup", &["nxdomain", "error"]),
        ],
    ),
    rule(
        "client-config-error",
        0.75,
        &[
            is("client.command", &["not-run"]),
            is("attempt.end", &["stopped"]),
            is("auth.end", &["ok"]),
        ],
    )
    .despite()
    .settle("SessionType none is what -N says: no command is run; set it only for the host of the tunnel"),
    rule(
        "client-config-permissions",
        0.98,
        &[is("client.config", &["permissions"])],
    ),
    rule(
        "client-destination-invalid",
        0.93,
        &[is("client.destination", &["invalid"])],
    ),
    rule("dns-failure", 0.96, &[is("name.lookup", &["nxdomain"])])
        .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule("dns-failure", 0.8, &[is("name.lookup", &["no-address"])])
        .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule(
        "dns-server-unreachable",
        0.95,
        &[is("name.lookup", &["no-server"])],
    )
    .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule(
        "hosts-file-override",
        0.92,
        &[is("name.hosts-file", &["differs"]), DEAD],
    )
    .despite(),
    rule(
        "hosts-file-override",
        0.85,
        &[
            is("name.hosts-file", &["differs"]),
            is("hostkey.check", &["changed"]),
        ],
    )
    .despite(),
    rule(
        "hosts-file-override",
        0.7,
        &[
            is("name.hosts-file", &["differs"]),
            isnt("ident.end", &["ok"]),
        ],
    )
    .despite(),
    rule(
        "dns-stale-address",
        0.9,
        &[
            is("name.known-address", &["other"]),
            is("name.known-address-answers", &["ssh"]).same(),
            DEAD,
        ],
    )
    .despite()
    .not(&[is("name.hosts-file", &["differs"])]),
    rule(
        "dns-stale-address",
        0.85,
        &[
            is("name.known-address", &["other"]),
            is("name.known-address-answers", &["ssh"]).same(),
            isnt("ident.end", &["ok"]),
        ],
    )
    .despite()
    .not(&[is("name.hosts-file", &["differs"])]),
    rule(
        "dns-stale-address",
        0.55,
        &[
            is("name.known-address", &["other"]),
            is("tcp.connect", &["host-unreachable"]),
        ],
    )
    .despite()
    .not(&[is("name.hosts-file", &["differs"])]),
    rule(
        "dns-dead-address",
        0.9,
        &[is("tcp.addresses", &["first-dead"])],
    )
    .despite()
    .not(&[seen("tcp.dead-family"), is("name.hosts-file", &["differs"])]),
    rule("ipv6-unreachable", 0.92, &[is("tcp.dead-family", &["6"])]).despite(),
    // ---- route
    rule(
        "no-route",
        0.96,
        &[is(
            "route.lookup",
            &["none", "blackhole", "prohibit", "unreachable"],
        )],
    )
    .not(&[is("tcp.connect", &["ok"]).same()]),
    rule("no-route", 0.8, &[is("tcp.connect", &["no-route"])])
        .not(&[is("route.lookup", &["ok"])]),
    rule(
        "host-unreachable",
        0.85,
        &[is("tcp.connect", &["host-unreachable", "net-unreachable"])],
    )
    .stronger(&[is("tcp.icmp", &["host", "net"])])
    .doubts(&[
        is("name.known-address-answers", &["ssh"]),
        is("name.hosts-file", &["differs"]),
        is("tcp.other-port", &["refused", "open"]),
    ])
    .not(&[
        PROHIBITED,
        // Who says so himself is there.
        is("tcp.icmp-from", &["target"]),
        is(
            "route.lookup",
            &["none", "blackhole", "prohibit", "unreachable"],
        ),
        THROUGH_PROXY,
        THROUGH_COMMAND,
        seen("tcp.dead-family"),
        is("tcp.addresses", &["first-dead"]),
    ]),
    // Whatever the port: on this machine's own link nobody takes packets for it.
    rule(
        "host-unreachable",
        0.75,
        &[is("tcp.other-port", &["no-neighbour"]), SILENT],
    )
    .not(&[
        is("client.firewall", &["drops", "rejects"]),
        seen("tcp.dead-family"),
        is("name.hosts-file", &["differs"]),
        THROUGH_PROXY,
        THROUGH_COMMAND,
    ])
    .settle("ip route get SERVER_ADDR tells by which interface it goes: a tunnel that is down, or a gateway that is gone"),
    // ---- tcp
    rule(
        "firewall-client-outbound",
        0.95,
        &[is("client.firewall", &["drops", "rejects"]), DEAD],
    ),
    rule(
        "firewall-client-outbound",
        0.9,
        &[is("tcp.local-refusal", &["permission"])],
    )
    .not(&[is("route.lookup", &["prohibit", "none", "unreachable", "blackhole"])]),
    rule(
        "firewall-client-outbound",
        0.93,
        &[is("tcp.icmp-from", &["self"])],
    ),
    rule(
        "firewall-client-outbound",
        0.72,
        &[is("tcp.first-hop", &["this-port-silent"]), SILENT],
    )
    .not(&[is("client.firewall", &["passes"])])
    .settle("run it again as root, so that this machine's own firewall can be read"),
    rule(
        "firewall-client-outbound",
        0.72,
        &[is("tcp.first-hop", &["refused"]), REFUSED],
    )
    .not(&[is("client.firewall", &["passes"])])
    .settle("run it again as root, so that this machine's own firewall can be read"),
    rule("connect-timeout", 0.4, &[SILENT]).not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    // ssh was stopped while it still connected, and a connection of our own is let through now.
    rule(
        "connect-timeout",
        0.3,
        &[
            is("tcp.connect", &["started"]),
            is("tcp.connect", &["ok"]).same(),
            is("attempt.end", &["stopped"]),
        ],
    )
    .despite()
    .settle("it answers now: either that was for a moment, or something on the way minds how ssh marks its packets: ssh -o IPQoS=none tells"),
    rule(
        "firewall-drop",
        0.45,
        &[
            SILENT,
            is("tcp.other-port", &["refused", "open", "unreachable"]),
        ],
    )
    .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule("connect-refused", 0.4, &[REFUSED]).not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule(
        "firewall-reject",
        0.45,
        &[
            is("tcp.connect", &["refused", "prohibited", "host-unreachable"]),
            is(
                "tcp.icmp",
                &[
                    "port",
                    "host-prohibited",
                    "net-prohibited",
                    "admin-prohibited",
                ],
            ),
        ],
    )
    .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule(
        "firewall-reject",
        0.45,
        &[
            is("tcp.icmp", &["host", "net"]),
            is("tcp.icmp-from", &["target"]),
        ],
    )
    .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule(
        "firewall-path-drop",
        0.8,
        &[PROHIBITED, is("tcp.icmp-from", &["other"])],
    )
    .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule("firewall-reject", 0.42, &[is("tcp.connect", &["prohibited"])])
        .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule("connection-reset-early", 0.4, &[is("tcp.connect", &["reset"])]),
    rule(
        "wrong-port",
        0.93,
        &[
            is("tcp.default-port", &["ssh"]),
            is("tcp.connect", &["refused", "timeout", "prohibited"]),
        ],
    ),
    rule(
        "wrong-port",
        0.6,
        &[
            is("tcp.default-port", &["ssh"]),
            is("ident.end", &["other-protocol"]),
        ],
    )
    .despite(),
    rule(
        "wrong-port",
        0.7,
        &[
            is("tcp.default-port", &["ssh"]),
            is("ident.end", &["closed", "reset", "timeout"]),
        ],
    )
    .despite(),
    rule(
        "wrong-port",
        0.85,
        &[
            is("tcp.ssh-port", &["ssh"]),
            is("tcp.connect", &["refused"]),
        ],
    ),
    // ---- the same address seen from another host (--via)
    rule(
        "ip-banned",
        0.55,
        &[DEAD, is("via.connect", &["ssh"])],
    )
    .stronger(&[is("tcp.other-port", &["refused", "open"])])
    .not(&[
        is("client.firewall", &["drops", "rejects"]),
        is("tcp.icmp-from", &["self"]),
        is("name.hosts-file", &["differs"]),
        seen("tcp.dead-family"),
    ])
    .settle("the server lives, and something on the way or on it turns this client away: ask the server whether the address is banned (sshwhy doctor there, --from the address)"),
    rule(
        "firewall-path-drop",
        0.4,
        &[SILENT, is("via.connect", &["ssh"])],
    )
    .not(&[is("client.firewall", &["drops", "rejects"])])
    .settle("the server lives: what lies between this client and it drops the packets, or the server does for this address only"),
    rule(
        "sshd-not-running",
        0.55,
        &[REFUSED, is("via.connect", &["refused"])],
    )
    .not(&[is("tcp.default-port", &["ssh"]), seen("tcp.ssh-port"), seen("tcp.icmp")])
    .settle("refused from two places: systemctl status ssh on the server"),
    rule(
        "host-unreachable",
        0.55,
        &[SILENT, is("via.connect", &["timeout"])],
    )
    .not(&[is("tcp.other-port", &["refused", "open"]), is("tcp.default-port", &["ssh"])])
    .settle("silent from two places: is the machine up? its console, or its provider's page"),
    // Whatever leads there says nothing: the program, or the server behind it.
    rule(
        "proxy-command-failed",
        0.6,
        &[
            is("proxy.command", &["used"]),
            is("ident.end", &["timeout"]),
        ],
    )
    .despite()
    .settle("run the ProxyCommand alone in a terminal: a line that begins with SSH- within a few seconds means that it works, and the server behind it is slow"),
    rule("proxy-jump-failed", 0.95, &[is("proxy.jump", &["failed"])]),
    rule(
        "proxy-command-failed",
        0.94,
        &[is("proxy.command", &["failed", "missing"])],
    ),
    // ---- ident
    rule(
        "not-ssh-service",
        0.93,
        &[seen("ident.protocol"), isnt("ident.end", &["ok"])],
    )
    // Seen from within: a program that took sshd's port.
    .not(&[is("port.holder", &["other"])]),
    rule("tarpit", 0.9, &[is("ident.prelude", &["dripping", "flood"])])
        .not(&[is("ident.end", &["ok"])]),
    rule(
        "max-startups",
        0.93,
        &[is("ident.reason", &["max-startups"])],
    )
    .despite(),
    rule(
        "source-penalty",
        0.35,
        &[is("ident.reason", &["not-allowed"])],
    )
    .despite()
    .settle("wait for a quarter of a minute and try once: a penalty of a few seconds is over then"),
    rule("max-startups", 0.3, &[is("ident.reason", &["not-allowed"])]).despite(),
    rule(
        "reset-by-middlebox",
        0.8,
        &[
            is("ident.spoken", &["reset"]),
            is("ident.mute", &["silent"]),
        ],
    )
    .settle("the same server by another network or port: it answers there"),
    rule(
        "reset-by-middlebox",
        0.75,
        &[
            is("ident.spoken", &["reset"]),
            is("ident.quiet", &["ident"]),
        ],
    ),
    rule("banner-timeout", 0.4, &[is("ident.end", &["timeout"])])
        .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule("connection-reset-early", 0.42, &[is("ident.end", &["reset"])])
        .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule("server-closed-early", 0.4, &[is("ident.end", &["closed"])])
        .not(&[THROUGH_PROXY, THROUGH_COMMAND]),
    rule(
        "server-closed-early",
        0.45,
        &[is("ident.reason", &["not-allowed"])],
    ),
    // ---- kex
    rule("no-matching-kex", 0.97, &[is("kex.mismatch", &["kex"])]),
    rule("no-matching-cipher", 0.97, &[is("kex.mismatch", &["cipher"])]),
    rule("no-matching-mac", 0.97, &[is("kex.mismatch", &["mac"])]),
    rule(
        "no-matching-host-key-type",
        0.97,
        &[is("kex.mismatch", &["host-key"])],
    ),
    rule(
        "mtu-blackhole",
        0.95,
        &[is("kex.large", &["lost-unless-small-segments"])],
    )
    .despite(),
    rule("mtu-blackhole", 0.6, &[is("kex.end", &["timeout"])])
        .stronger(&[is("kex.large", &["lost"])])
        .doubts(&[is("kex.large", &["passes"])])
        .not(&[is("fw.follows", &["drops", "rejects"])])
        .settle("smaller segments: ssh through a tunnel or interface with an MTU of 1280 works at once"),
    rule("mtu-blackhole", 0.55, &[is("session.rekey", &["stalled"])])
        .doubts(&[is("kex.large", &["passes"])]),
    rule("packet-corruption", 0.85, &[is("kex.end", &["corrupt"])]),
    rule(
        "dh-group-exchange-failed",
        0.9,
        &[is("kex.end", &["group-out-of-range"])],
    ),
    rule(
        "server-closed-early",
        0.4,
        &[is("kex.end", &["closed", "reset"])],
    )
    .despite(),
    // ---- host key
    rule(
        "host-key-unknown",
        0.95,
        &[
            is("hostkey.check", &["unknown"]),
            is("hostkey.check", &["failed"]),
        ],
    )
    .not(&[is("hostkey.check", &["changed", "revoked"])]),
    rule(
        "host-key-unknown",
        0.9,
        &[
            is("hostkey.check", &["unknown"]),
            is("client.setting", &["yes", "true"]).about("stricthostkeychecking"),
        ],
    )
    .not(&[is("hostkey.check", &["changed", "revoked", "match"])]),
    rule(
        "host-key-unknown",
        0.88,
        &[
            is("hostkey.check", &["unknown"]),
            is("client.setting", &["yes", "true"]).about("batchmode"),
            is("client.setting", &["ask"]).about("stricthostkeychecking"),
        ],
    )
    .not(&[is("hostkey.check", &["changed", "revoked", "match"]), LET_IN]),
    // Only a certificate would make the key known, and it is not valid: ssh goes on with the bare key, which nobody knows.
    rule(
        "host-key-unknown",
        0.92,
        &[
            is("hostkey.check", &["certificate-invalid"]),
            is("hostkey.check", &["failed"]),
        ],
    )
    .not(&[is("hostkey.check", &["changed", "revoked"]), LET_IN])
    .settle("the server's host certificate would vouch for its key, and is not valid: a new one for the same key (ssh-keygen -h, on the \
             authority) mends it for every client at once"),
    // Seen from within: it is another program's key that the client got.
    rule("host-key-changed", 0.97, &[is("hostkey.check", &["changed"])]).not(&[
        is("hostkey.check", &["revoked"]),
        is("port.holder", &["other"]),
        is("fw.redirect", &["program", "machine"]),
    ]),
    rule("host-key-revoked", 0.97, &[is("hostkey.check", &["revoked"])]),
    // The line for the address is old. Of one machine that was made anew, as of several that share a name.
    rule(
        "host-key-changed",
        0.85,
        &[is("hostkey.check", &["differs-by-address"])],
    )
    .not(&[LET_IN]),
    rule(
        "host-key-differs-by-address",
        0.6,
        &[is("hostkey.check", &["differs-by-address"])],
    )
    .despite(),
    rule(
        "host-certificate-invalid",
        0.9,
        &[is("hostkey.check", &["certificate-invalid"])],
    )
    .not(&[LET_IN]),
    rule("key-too-short", 0.93, &[is("hostkey.check", &["too-short"])]),
    // ---- auth: the client's own keys and agent
    rule(
        "private-key-permissions",
        0.95,
        &[is("auth.key", &["permissions"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "private-key-invalid",
        0.92,
        &[is("auth.key", &["invalid"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "identity-file-missing",
        0.93,
        &[is("auth.key", &["missing"]), NOT_LET_IN],
    )
    .not(&[LET_IN])
    .doubts(&[
        is("auth.keys", &["few", "many"]),
        is("auth.end", &["too-many"]),
    ]),
    rule(
        "identity-file-missing",
        0.72,
        &[is("auth.certificate", &["missing"]), NOT_LET_IN],
    )
    .not(&[LET_IN, is("auth.certificate", &["valid"])])
    .settle("ssh -G HOST | grep -i certificatefile on the client: that file is not there, and ssh goes on without a word; without the certificate the plain key has to be in authorized_keys"),
    // The server would take the key, and nothing came of it: the file is locked.
    rule(
        "key-passphrase",
        0.93,
        &[
            is("auth.key-locked", &["yes"]),
            is("auth.key", &["accepted-not-signed"]).same(),
            NOT_LET_IN,
        ],
    )
    .not(&[LET_IN, is("auth.key", &["permissions", "agent-refused", "sign-failed"]).same()]),
    rule(
        "key-passphrase",
        0.75,
        &[is("auth.key", &["accepted-not-signed"]), NOT_LET_IN],
    )
    .not(&[
        LET_IN,
        is("auth.key", &["permissions", "invalid", "agent-refused", "sign-failed"]).same(),
        is("auth.key", &["mismatch", "no-private-half"]).same(),
    ]),
    // Only the public half lies here, the server would take the key, and nobody signed: the agent that should hold it
    // holds nothing (a locked agent says so too), or there is none.
    rule(
        "agent-refused",
        0.65,
        &[
            is("auth.key", &["no-private-half"]),
            is("auth.key", &["accepted-not-signed"]).same(),
            is("auth.agent", &["empty", "locked"]),
            NOT_LET_IN,
        ],
    )
    .not(&[LET_IN])
    .settle("ssh-add -X unlocks a locked agent, which until then says that it holds no keys; if it was not locked, the key has to be added again"),
    rule(
        "identity-file-missing",
        0.8,
        &[
            is("auth.key", &["no-private-half"]),
            is("auth.key", &["accepted-not-signed"]).same(),
            NOT_LET_IN,
        ],
    )
    .not(&[LET_IN, is("auth.agent", &["empty", "locked", "unreachable", "silent"])]),
    rule(
        "agent-unreachable",
        0.85,
        &[
            is("auth.key", &["no-private-half"]),
            is("auth.key", &["accepted-not-signed"]).same(),
            is("auth.agent", &["unreachable", "silent"]),
            NOT_LET_IN,
        ],
    )
    .not(&[LET_IN]),
    rule(
        "key-passphrase",
        0.92,
        &[is("auth.key", &["passphrase"]), NOT_LET_IN],
    )
    .not(&[LET_IN, is("auth.key", &["refused"]).same()]),
    // A locked file without its public half is not even offered.
    rule(
        "key-passphrase",
        0.85,
        &[is("auth.key-locked", &["yes"]), is("auth.keys", &["none"]), NOT_LET_IN],
    )
    .not(&[LET_IN, is("auth.key", &["permissions"]).same()]),
    rule(
        "key-pair-mismatch",
        0.92,
        &[is("auth.key", &["mismatch"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "agent-refused",
        0.95,
        &[is("auth.key", &["agent-refused"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "agent-refused",
        0.85,
        &[is("auth.agent", &["locked"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "agent-unreachable",
        0.9,
        &[
            is("auth.agent", &["unreachable", "silent"]),
            NOT_LET_IN,
            is("auth.keys", &["none"]),
        ],
    )
    .not(&[
        LET_IN,
        is("auth.key", &["permissions", "invalid", "passphrase", "type-not-taken"]),
    ])
    .doubts(&[is("auth.password", &["refused"])]),
    // ssh asks the agent as soon as the packets are sealed, and waits for it without an end.
    rule(
        "agent-unreachable",
        0.88,
        &[
            is("auth.agent", &["silent"]),
            is("attempt.end", &["stopped"]),
            is("hostkey.check", &["match"]),
        ],
    )
    .not(&[seen("auth.keys"), seen("auth.method"), LET_IN])
    .at(Gate::HostKey)
    .despite()
    .settle("SSH_AUTH_SOCK= ssh USER@HOST goes round the agent: if that gets further, the agent is it"),
    rule(
        "agent-unreachable",
        0.4,
        &[is("auth.agent", &["unreachable", "silent"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "pubkey-algorithm-rejected",
        0.93,
        &[is("auth.key", &["no-signature-algorithm"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "pubkey-algorithm-rejected",
        0.92,
        &[is("auth.key", &["type-not-taken"]), NOT_LET_IN],
    )
    .not(&[LET_IN])
    .doubts(&[is("auth.keys", &["few", "many"])]),
    rule(
        "pubkey-algorithm-rejected",
        0.82,
        &[
            is("client.rsa-signature", &["sha1-only"]),
            is("auth.key-kind", &["rsa"]),
            is("auth.end", &["denied"]),
        ],
    )
    .not(&[LET_IN, is("auth.key", &["accepted"])]),
    rule(
        "key-too-short",
        0.93,
        &[is("auth.key", &["too-short"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "cert-expired",
        0.94,
        &[is("auth.certificate", &["expired"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "cert-not-yet-valid",
        0.94,
        &[is("auth.certificate", &["not-yet-valid"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "cert-principal-mismatch",
        0.9,
        &[is("auth.certificate", &["wrong-principal"]), NOT_LET_IN],
    )
    .not(&[
        LET_IN,
        is("auth.certificate", &["expired", "not-yet-valid"]).same(),
    ]),
    // ---- auth: what the two sides will do
    rule(
        "too-many-auth-failures",
        0.96,
        &[is("auth.end", &["too-many"])],
    ),
    rule(
        "multi-factor-required",
        0.93,
        &[is("auth.method", &["partial"]), NOT_LET_IN],
    )
    // What was missing was asked for, and what was given was wrong.
    .not(&[
        LET_IN,
        is("auth.password", &["refused"]),
        is("log.password", &["wrong"]),
    ]),
    rule(
        "pubkey-auth-disabled",
        0.9,
        &[
            lacks("auth.methods", &["publickey"]),
            is("client.keys", &["some"]),
            NOT_LET_IN,
        ],
    )
    .not(&[
        LET_IN,
        is("auth.method", &["partial"]),
        has("auth.methods", "publickey"),
        is("auth.end", &["too-many"]),
        is("client.setting", &["no", "false"]).about("pubkeyauthentication"),
    ]),
    rule(
        "password-auth-disabled",
        0.92,
        &[
            lacks("auth.methods", &["password", "keyboard-interactive"]),
            is("client.wants", &["password"]),
            NOT_LET_IN,
        ],
    )
    .not(&[LET_IN, is("auth.method", &["partial"])]),
    rule(
        "password-auth-disabled",
        0.6,
        &[
            lacks("auth.methods", &["password", "keyboard-interactive"]),
            is("client.can-prompt", &["yes"]),
            NOT_LET_IN,
        ],
    )
    .not(&[
        LET_IN,
        is("auth.method", &["partial"]),
        is("client.wants", &["key"]),
        is("auth.key", &["accepted"]),
    ])
    .settle("which of the two was meant: a password (off for this user), or a key (not taken for this user)"),
    rule(
        "auth-method-mismatch",
        0.85,
        &[is("auth.keys", &["none"]), is("client.wants", &["nothing"])],
    )
    .any(&[NOT_LET_IN])
    .not(&[LET_IN, is("auth.method", &["partial"])]),
    // Where passwords, or keys, are off on the server, that is said more surely.
    rule(
        "auth-method-mismatch",
        0.87,
        &[is("auth.common", &["none"]), NOT_LET_IN],
    )
    .any(&[seen("client.wants"), seen("auth.methods")])
    .not(&[
        LET_IN,
        is("auth.method", &["partial"]),
        is("client.wants", &["password"]),
    ]),
    rule(
        "auth-method-mismatch",
        0.87,
        &[
            is("auth.common", &["none"]),
            is("client.wants", &["password"]),
            NOT_LET_IN,
        ],
    )
    .any(&[
        has("auth.methods", "password"),
        has("auth.methods", "keyboard-interactive"),
    ])
    .not(&[LET_IN, is("auth.method", &["partial"])]),
    // It wants to give a password, and the server takes none: that is the server's doing first.
    rule(
        "auth-method-mismatch",
        0.45,
        &[
            is("auth.common", &["none"]),
            is("client.wants", &["password"]),
            NOT_LET_IN,
        ],
    )
    .not(&[LET_IN, is("auth.method", &["partial"])]),
    // The very method that the server offers is one that a setting of the client's keeps it from.
    rule(
        "auth-method-mismatch",
        0.94,
        &[
            is("client.setting", &["no", "false"]).about("kbdinteractiveauthentication"),
            has("auth.methods", "keyboard-interactive"),
            is("auth.common", &["none"]),
            NOT_LET_IN,
        ],
    )
    .not(&[LET_IN, is("auth.method", &["partial"])]),
    rule(
        "auth-method-mismatch",
        0.82,
        &[
            is("client.setting", &["no", "false"]).about("passwordauthentication"),
            has("auth.methods", "password"),
            is("auth.keys", &["none"]),
            is("client.keys", &["none"]),
            NOT_LET_IN,
        ],
    )
    .not(NO_KEY_OF_ITS_OWN),
    rule(
        "auth-method-mismatch",
        0.92,
        &[
            is("client.setting", &["0"]).about("numberofpasswordprompts"),
            is("auth.method", &["tried"]),
            is("auth.end", &["denied"]),
        ],
    )
    .any(&[
        has("auth.methods", "password"),
        has("auth.methods", "keyboard-interactive"),
    ])
    .not(&[
        LET_IN,
        is("auth.password", &["refused"]),
        is("auth.keys", &["one", "few", "many"]),
    ]),
    // An agent that holds keys, and a configuration that hides them.
    rule(
        "identity-file-missing",
        0.6,
        &[
            is("client.setting", &["yes", "true"]).about("identitiesonly"),
            is("auth.agent", &["ok"]),
            is("auth.keys", &["none"]),
            NOT_LET_IN,
        ],
    )
    .not(&[
        LET_IN,
        is("auth.key", &["permissions", "invalid", "passphrase", "type-not-taken"]),
        is("auth.key-locked", &["yes"]),
    ])
    .settle("IdentitiesOnly keeps ssh from trying what the agent holds: name its key with IdentityFile (the public half suffices), or drop IdentitiesOnly for this host"),
    // Nothing could be shown to a server that wants a key, and nobody could be asked for a password.
    rule(
        "auth-method-mismatch",
        0.55,
        &[
            is("auth.keys", &["none"]),
            is("client.keys", &["none"]),
            is("client.key-files", &["none"]),
            is("client.can-prompt", &["no"]),
            NOT_LET_IN,
        ],
    )
    .not(NO_KEY_OF_ITS_OWN)
    .settle("ssh-add -l and ls ~/.ssh on the client: where is the key that was meant? (-i, IdentityFile, an agent that has to be filled or unlocked)"),
    rule(
        "auth-rejected-password",
        0.45,
        &[is("auth.password", &["refused"]), NOT_LET_IN],
    )
    .not(&[LET_IN]),
    rule(
        "auth-rejected-publickey",
        0.42,
        &[is("auth.end", &["denied"])],
    )
    .not(&[LET_IN, is("auth.password", &["refused"])]),
    rule(
        "account-denied",
        0.45,
        &[
            is("auth.end", &["closed", "reset", "disconnected"]),
            is("auth.key", &["accepted"]),
        ],
    ),
    rule(
        "account-denied",
        0.42,
        &[
            is("auth.end", &["closed", "reset", "disconnected"]),
            is("auth.method", &["ok"]),
        ],
    ),
    rule(
        "server-closed-early",
        0.35,
        &[is("auth.end", &["closed", "reset", "disconnected"])],
    )
    .despite(),
    rule(
        "root-login-disabled",
        0.78,
        &[
            is("auth.key", &["signed-refused"]),
            is("auth.root", &["yes"]),
            is("auth.end", &["denied"]),
        ],
    )
    .not(&[LET_IN])
    .settle("sshd -T on the server, for root from this address: permitrootlogin"),
    // ---- account
    rule(
        "account-expired",
        0.95,
        &[is("account.says", &["expired"])],
    ),
    rule(
        "password-expired",
        0.95,
        &[is("account.says", &["password-expired"])],
    )
    .despite(),
    rule("nologin-file", 0.9, &[is("account.says", &["booting"])]).despite(),
    rule("nologin-file", 0.85, &[is("account.says", &["nologin"])]).despite(),
    rule(
        "shell-nologin",
        0.93,
        &[is("account.says", &["shell-nologin"])],
    )
    .despite(),
    rule(
        "pam-limits",
        0.93,
        &[is("account.says", &["too-many-logins"])],
    )
    .despite(),
    rule(
        "account-faillock",
        0.85,
        &[is("account.says", &["locked"])],
    )
    .despite(),
    // ---- session
    rule(
        "max-sessions",
        0.75,
        &[is("session.open", &["refused"])],
    )
    .settle("how many sessions MaxSessions allows on one connection: sshd -T on the server"),
    rule("session-refused", 0.4, &[is("session.open", &["refused"])]),
    rule(
        "process-limit",
        0.6,
        &[is("session.request", &["exec-refused", "shell-refused"])],
    )
    .stronger(&[is("session.says", &["no-resources"])]),
    rule(
        "process-limit",
        0.85,
        &[is("session.says", &["no-resources"])],
    ),
    rule(
        "session-closed",
        0.35,
        &[is("session.request", &["exec-refused", "shell-refused"])],
    ),
    rule(
        "sftp-subsystem-missing",
        0.93,
        &[is("session.request", &["subsystem-refused"])],
    ),
    rule(
        "pty-disabled",
        0.7,
        &[is("session.request", &["pty-refused"])],
    )
    .stronger(&[lacks("auth.key-options", &["pty"])]),
    rule(
        "forwarding-disabled",
        0.93,
        &[is("forward.end", &["prohibited"])],
    )
    .not(&[THROUGH_PROXY]),
    // Of X11 it may as well be xauth that the server lacks.
    rule(
        "forwarding-disabled",
        0.6,
        &[is("forward.end", &["x11-refused"])],
    )
    .settle("sshd -T on the server, for this user: x11forwarding; and xauth has to be installed there"),
    rule(
        "forwarding-disabled",
        0.72,
        &[
            lacks("auth.key-options", &["agent-forwarding"]),
            is("session.agent", &["asked"]),
            is("session.end", &["exit"]),
        ],
    ),
    rule(
        "forwarding-target-unreachable",
        0.9,
        &[is("forward.end", &["connect-failed"])],
    )
    .not(&[THROUGH_PROXY]),
    rule(
        "remote-forward-failed",
        0.93,
        &[is("forward.end", &["remote-failed"])],
    )
    .not(&[
        is("log.says", &["forwarding-disabled"]),
        is("session.forwarding", &["off"]),
    ]),
    rule(
        "local-forward-failed",
        0.95,
        &[is("forward.end", &["local-failed"])],
    ),
    rule("disk-full", 0.95, &[is("session.says", &["no-space"])]),
    rule("disk-full", 0.85, &[is("session.says", &["quota"])]),
    rule("disk-full", 0.78, &[is("session.says", &["write-failure"])])
        .not(&[is("session.end", &["signal"])])
        .settle("df -h and df -i on the server, for the file system of the target folder"),
    // A full disk kills nobody; a limit on the size of files does (SIGXFSZ).
    rule(
        "pam-limits",
        0.55,
        &[
            is("session.says", &["write-failure"]),
            is("session.end", &["signal"]),
        ],
    )
    .settle("ssh USER@HOST 'ulimit -f': anything but unlimited is a limit on the size of files, set by pam_limits (fsize) or by sshd's unit (LimitFSIZE=)"),
    rule(
        "service-sandboxed",
        0.5,
        &[is("session.says", &["read-only"])],
    )
    .settle("findmnt -T FOLDER on the server, in a session over SSH and on the console: if only the session's is read-only (ro), it \
             is sshd's unit"),
    rule(
        "shell-rc-output",
        0.93,
        &[is("session.says", &["not-clean"])],
    ),
    // The old protocol of scp says nothing of it: the text is all that came back.
    rule(
        "shell-rc-output",
        0.6,
        &[is("session.says", &["stray-output"])],
    )
    .not(&[seen("session.forced")])
    .settle("ssh USER@HOST true: what it prints is what stands in scp's way"),
    rule(
        "shell-rc-exits",
        0.87,
        &[
            is("session.says", &["startup-exec"]),
            is("session.end", &["exit"]),
        ],
    ),
    rule("home-missing", 0.85, &[is("session.says", &["no-home"])]),
    rule(
        "forced-command",
        0.8,
        &[
            is("session.says", &["other-command-missing"]),
            is("session.end", &["exit"]),
        ],
    ),
    rule(
        "forced-command",
        0.85,
        &[
            has("auth.key-options", "command"),
            is("session.end", &["exit", "closed"]),
        ],
    ),
    rule(
        "forced-command",
        0.8,
        &[is("session.says", &["sftp-only"])],
    ),
    rule("session-closed", 0.4, &[is("session.end", &["exit"])]),
    rule(
        "session-closed",
        0.42,
        &[
            is("session.end", &["closed", "reset", "broken-pipe"]),
            is("session.lasted", &["moment"]),
        ],
    ),
    rule(
        "session-dropped",
        0.42,
        &[
            is("session.end", &["closed"]),
            is("session.lasted", &["while"]),
        ],
    ),
    rule(
        "idle-connection-dropped",
        0.75,
        &[
            is("session.end", &["reset", "broken-pipe", "timeout"]),
            is("session.lasted", &["while"]),
        ],
    ),
    rule(
        "server-alive-timeout",
        0.7,
        &[is("session.alive", &["server-not-responding"])],
    ),
    rule(
        "control-socket-stale",
        0.9,
        &[is("mux.socket", &["stale", "frozen"])],
    )
    .not(&[LET_IN])
    .despite(),
    // A connection of our own goes around it, however far it gets.
    rule("control-socket-stale", 0.92, &[is("mux.socket", &["cut"])]).despite(),
    // The master greets, and a connection of our own gets further than the one through it.
    rule(
        "control-socket-stale",
        0.6,
        &[
            is("mux.socket", &["ok"]),
            is("attempt.end", &["stopped"]),
            is("ident.end", &["ok"]),
        ],
    )
    .not(&[LET_IN, is("mux.socket", &["used"])])
    .despite()
    .settle("the master's own connection may be dead: ssh -O exit ends it, and ssh -S none goes round it"),
    rule(
        "attempt-unexplained",
        0.25,
        &[is("attempt.end", &["stopped"])],
    )
    .despite()
    .alone(),
    rule(
        "attempt-unexplained",
        0.2,
        &[is("gate.state", &["failed"])],
    )
    .despite()
    .alone(),
    rule(
        "control-path-too-long",
        0.95,
        &[is("mux.socket", &["too-long"])],
    )
    .despite(),
    rule("max-sessions", 0.85, &[is("mux.socket", &["refused"])]).despite(),
];
