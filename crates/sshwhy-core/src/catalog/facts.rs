//! The words in which observations are written: each key, the gate it belongs to, its values, and what it is about.
//!
//! Gatherers write no other key (by test), rules read no other. A table a side: what the client can see, and what is
//! seen on the server's machine. To add a fact: a row here, then a rule that reads it.

use super::causes::Gate;

/// One row: a key of [`crate::observation::Observation`].
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    pub key: &'static str,
    /// Where it is usually seen; an observation may stand at another one (`gate.state` stands at all of them).
    pub gate: Gate,
    /// The words its value may be; empty where the value is free text.
    pub values: &'static [&'static str],
    /// What `about` holds, or an empty text where it stays empty.
    pub about: &'static str,
    pub meaning: &'static str,
}

const fn fact(
    key: &'static str,
    gate: Gate,
    values: &'static [&'static str],
    about: &'static str,
    meaning: &'static str,
) -> Fact {
    Fact {
        key,
        gate,
        values,
        about,
        meaning,
    }
}

/// What the client sees: its own machine, the network, and the server from outside.
pub const CLIENT: &[Fact] = &[
    fact(
        "gate.state",
        Gate::Name,
        &["passed", "failed"],
        "",
        "whether the client got through the gate at which the observation stands",
    ),
    fact(
        "target.user",
        Gate::Name,
        &[],
        "",
        "whom the client wants to be",
    ),
    fact(
        "target.host",
        Gate::Name,
        &[],
        "",
        "the host as typed or as HostName says",
    ),
    fact(
        "target.port",
        Gate::Name,
        &[],
        "",
        "the port the client calls",
    ),
    fact(
        "target.command",
        Gate::Session,
        &["ssh", "scp", "sftp"],
        "",
        "which program was used",
    ),
    fact(
        "client.version",
        Gate::Name,
        &[],
        "",
        "the client's own release, as in its first line",
    ),
    fact(
        "client.config",
        Gate::Name,
        &["ok", "error", "permissions"],
        "file or file:line",
        "what ssh says of its own configuration",
    ),
    fact(
        "client.setting",
        Gate::Name,
        &[],
        "keyword in small letters",
        "an effective client setting that matters here",
    ),
    fact(
        "client.destination",
        Gate::Name,
        &["invalid"],
        "",
        "ssh does not accept what was typed as a destination",
    ),
    fact(
        "name.lookup",
        Gate::Name,
        &["ok", "nxdomain", "no-server", "no-address", "error"],
        "host name",
        "how the name was resolved",
    ),
    fact(
        "name.address",
        Gate::Name,
        &["4", "6"],
        "address",
        "an address of the name, in the order in which ssh tries them; the family",
    ),
    fact(
        "name.source",
        Gate::Name,
        &["hosts-file", "dns", "literal", "both"],
        "address",
        "who says so",
    ),
    fact(
        "name.hosts-file",
        Gate::Name,
        &["agrees", "differs", "dns-silent"],
        "address",
        "a line of /etc/hosts for this name, against what DNS says",
    ),
    fact(
        "name.known-address",
        Gate::Name,
        &["same", "other"],
        "address",
        "an address that known_hosts keeps for the same name, against the ones the name has now",
    ),
    fact(
        "name.known-address-answers",
        Gate::Name,
        &["ssh", "no"],
        "address",
        "whether an SSH server answers at the address that known_hosts keeps",
    ),
    fact(
        "route.lookup",
        Gate::Route,
        &["ok", "none", "blackhole", "prohibit", "unreachable"],
        "address",
        "what this machine's routing table says",
    ),
    fact(
        "client.firewall",
        Gate::Tcp,
        &["drops", "rejects", "passes", "unreadable"],
        "address",
        "what this machine's own packet filter does with a packet to the server",
    ),
    fact(
        "route.source",
        Gate::Route,
        &[],
        "the server's address",
        "the address from which this machine would call",
    ),
    fact(
        "tcp.local-refusal",
        Gate::Tcp,
        &["permission"],
        "address",
        "connect(2) was refused by this machine itself (EPERM, EACCES)",
    ),
    fact(
        "tcp.connect",
        Gate::Tcp,
        &[
            "ok",
            "refused",
            "timeout",
            "reset",
            "host-unreachable",
            "net-unreachable",
            "prohibited",
            "no-route",
            "error",
            "started",
        ],
        "address:port (or host:port where ssh says no more)",
        "how connecting ended; started: no end of it was seen",
    ),
    fact(
        "tcp.icmp",
        Gate::Tcp,
        &[
            "port",
            "host",
            "net",
            "host-prohibited",
            "net-prohibited",
            "admin-prohibited",
            "other",
        ],
        "address of the sender",
        "the ICMP message that answered, its code and who sent it",
    ),
    fact(
        "tcp.icmp-from",
        Gate::Tcp,
        &["target", "self", "other"],
        "address of the sender",
        "whether the refusal came from the called address, from this machine, or from something between",
    ),
    fact(
        "tcp.first-hop",
        Gate::Tcp,
        &["passes", "this-port-silent", "refused", "silent", "near"],
        "address:port",
        "what a packet that lives for one hop only brings back, against one to another port: does it leave this machine?",
    ),
    fact(
        "tcp.addresses",
        Gate::Tcp,
        &[
            "one",
            "first-dead",
            "later-dead",
            "all-dead",
            "all-alive",
            "mixed",
        ],
        "the first dead address",
        "the addresses of the name together: which of them take a connection",
    ),
    fact(
        "tcp.dead-family",
        Gate::Tcp,
        &["6", "4"],
        "the dead address",
        "every address of one family is dead, and the other family works",
    ),
    fact(
        "tcp.other-port",
        Gate::Tcp,
        &["refused", "open", "timeout", "unreachable"],
        "address:port",
        "another port of the same address, to tell a dead host from a filtered port",
    ),
    fact(
        "tcp.default-port",
        Gate::Tcp,
        &["ssh", "other", "closed", "filtered"],
        "address:port",
        "what answers at port 22 where another one was asked for",
    ),
    fact(
        "tcp.ssh-port",
        Gate::Tcp,
        &["ssh"],
        "address:port",
        "a port that known_hosts, or custom, knows, and where an SSH server greets",
    ),
    fact(
        "ident.server",
        Gate::Ident,
        &[],
        "",
        "the server's greeting",
    ),
    fact(
        "ident.end",
        Gate::Ident,
        &["ok", "closed", "reset", "timeout", "other-protocol"],
        "",
        "how the exchange of greetings ended",
    ),
    fact(
        "ident.protocol",
        Gate::Ident,
        &[
            "http", "tls", "smtp", "ftp", "mysql", "redis", "telnet", "rdp", "vnc", "socks",
            "unknown",
        ],
        "",
        "what speaks there instead of SSH",
    ),
    fact(
        "ident.reason",
        Gate::Ident,
        &["max-startups", "not-allowed"],
        "",
        "why the server does not want to talk, in its own words",
    ),
    fact(
        "ident.prelude",
        Gate::Ident,
        &["dripping", "flood", "some"],
        "",
        "lines before the greeting; dripping: one at a time, without an end",
    ),
    fact(
        "ident.quiet",
        Gate::Ident,
        &["ident", "closed", "reset", "silent", "other"],
        "",
        "what came when the client connected and said nothing",
    ),
    fact(
        "ident.spoken",
        Gate::Ident,
        &["ident", "closed", "reset", "silent", "other"],
        "",
        "what came after the client had greeted",
    ),
    fact(
        "kex.mismatch",
        Gate::Kex,
        &["kex", "host-key", "cipher", "mac", "compression"],
        "what the server offers",
        "the first class of algorithms in which the two have nothing in common",
    ),
    fact(
        "kex.end",
        Gate::Kex,
        &[
            "ok",
            "closed",
            "reset",
            "timeout",
            "corrupt",
            "group-out-of-range",
            "protocol-error",
        ],
        "",
        "how the key exchange ended; timeout: it stopped without a word",
    ),
    fact(
        "kex.large",
        Gate::Kex,
        &["passes", "lost", "lost-unless-small-segments"],
        "",
        "large packets on this path: do they arrive, and do small ones?",
    ),
    fact(
        "kex.weak",
        Gate::Kex,
        &[],
        "class",
        "old algorithms that the server still offers",
    ),
    fact(
        "hostkey.offered",
        Gate::HostKey,
        &[],
        "type",
        "the fingerprint of the server's key",
    ),
    fact(
        "hostkey.check",
        Gate::HostKey,
        &[
            "match",
            "unknown",
            "changed",
            "revoked",
            "differs-by-address",
            "certificate-invalid",
            "too-short",
            "failed",
        ],
        "file:line",
        "the server's key against known_hosts",
    ),
    fact(
        "auth.methods",
        Gate::Auth,
        &[],
        "user",
        "the methods that the server lets this user go on with, comma-separated",
    ),
    fact(
        "auth.method",
        Gate::Auth,
        &["tried", "failed", "partial", "ok", "not-tried"],
        "method",
        "what became of a method",
    ),
    fact(
        "auth.key",
        Gate::Auth,
        &[
            "offered",
            "refused",
            "accepted",
            "accepted-not-signed",
            "missing",
            "permissions",
            "invalid",
            "passphrase",
            "agent-refused",
            "no-signature-algorithm",
            "type-not-taken",
            "too-short",
            "mismatch",
            "sign-failed",
        ],
        "file, or what ssh calls the key",
        "what became of a key, in the order in which ssh tries them",
    ),
    fact(
        "client.keys",
        Gate::Auth,
        &["none", "some"],
        "",
        "whether the client has any key that it would offer",
    ),
    fact(
        "client.wants",
        Gate::Auth,
        &["password", "key", "nothing"],
        "",
        "the one kind of proof to which the command line or the configuration restricts the client",
    ),
    fact(
        "client.can-prompt",
        Gate::Auth,
        &["yes", "no"],
        "",
        "whether ssh could have asked its user for a password (no BatchMode; a terminal or an askpass program)",
    ),
    fact(
        "auth.key-options",
        Gate::Auth,
        &[],
        "authorized_keys:line as the server says",
        "what the accepted key may do, and whether it runs a command, in the server's words",
    ),
    fact(
        "auth.key-kind",
        Gate::Auth,
        &[
            "ed25519",
            "ecdsa",
            "rsa",
            "dsa",
            "ed25519-sk",
            "ecdsa-sk",
            "other",
        ],
        "file",
        "the type of a key file",
    ),
    fact(
        "auth.keys",
        Gate::Auth,
        &["none", "one", "few", "many"],
        "",
        "how many keys were offered to the server (none usable; one; up to five; six and more)",
    ),
    fact(
        "auth.certificate",
        Gate::Auth,
        &[
            "valid",
            "expired",
            "not-yet-valid",
            "wrong-principal",
            "host-certificate",
        ],
        "file",
        "the user certificate beside a key, against the clock and the user's name",
    ),
    fact(
        "auth.agent",
        Gate::Auth,
        &["ok", "empty", "unreachable", "none", "locked"],
        "socket",
        "the agent",
    ),
    fact(
        "auth.password",
        Gate::Auth,
        &["refused", "not-possible", "sent"],
        "",
        "a password was sent and refused; or could not be asked for",
    ),
    fact(
        "auth.slow",
        Gate::Auth,
        &["seconds"],
        "method",
        "how long the server kept still about it, where the connection was then closed",
    ),
    fact(
        "auth.server-says",
        Gate::Auth,
        &[],
        "",
        "the banner, prompts or refusal that the server sent, as text",
    ),
    fact(
        "auth.end",
        Gate::Auth,
        &[
            "ok",
            "denied",
            "closed",
            "reset",
            "too-many",
            "timeout",
            "disconnected",
        ],
        "",
        "how authentication ended",
    ),
    fact(
        "account.says",
        Gate::Account,
        &[
            "expired",
            "password-expired",
            "nologin",
            "booting",
            "shell-nologin",
            "too-many-logins",
            "locked",
        ],
        "",
        "what the server said about the account",
    ),
    fact(
        "session.end",
        Gate::Session,
        &[
            "ok",
            "closed",
            "reset",
            "exit",
            "timeout",
            "broken-pipe",
            "signal",
        ],
        "",
        "how the session ended; exit: the command ended with another status than 0",
    ),
    fact(
        "session.exit",
        Gate::Session,
        &[],
        "",
        "the exit status of the remote command",
    ),
    fact(
        "session.output",
        Gate::Session,
        &["none", "some"],
        "",
        "whether the remote side wrote anything to standard error or was heard otherwise",
    ),
    fact(
        "session.lasted",
        Gate::Session,
        &["moment", "while"],
        "",
        "a moment: it ended at once; a while: it had worked and had been idle",
    ),
    fact(
        "session.open",
        Gate::Session,
        &["refused", "ok"],
        "",
        "the server's answer to opening the session channel",
    ),
    fact(
        "session.request",
        Gate::Session,
        &[
            "pty-refused",
            "exec-refused",
            "shell-refused",
            "subsystem-refused",
        ],
        "",
        "a request on the open channel that the server refused",
    ),
    fact(
        "session.says",
        Gate::Session,
        &[
            "no-space",
            "quota",
            "write-failure",
            "not-clean",
            "no-such-command",
            "other-command-missing",
            "no-home",
            "permission-denied",
            "no-such-file",
            "sftp-only",
            "no-resources",
        ],
        "path where one is named",
        "what the remote side or the file transfer said",
    ),
    fact(
        "session.alive",
        Gate::Session,
        &["server-not-responding"],
        "",
        "the client gave up on a silent server (ServerAliveInterval)",
    ),
    fact(
        "session.rekey",
        Gate::Session,
        &["stalled"],
        "",
        "the session stopped in a key exchange",
    ),
    fact(
        "forward.end",
        Gate::Session,
        &[
            "prohibited",
            "connect-failed",
            "remote-failed",
            "local-failed",
            "unknown-channel",
        ],
        "listener or target",
        "a forwarding that did not come to be",
    ),
    fact(
        "forward.stdio",
        Gate::Session,
        &["failed"],
        "",
        "ssh -W, or the jump host's part of ProxyJump, failed",
    ),
    fact(
        "proxy.jump",
        Gate::Tcp,
        &["used", "failed", "ok"],
        "jump host",
        "the way through ProxyJump",
    ),
    fact(
        "proxy.command",
        Gate::Tcp,
        &["used", "failed", "missing", "ok"],
        "command",
        "the way through ProxyCommand",
    ),
    fact(
        "mux.socket",
        Gate::Session,
        &["stale", "frozen", "refused", "too-long", "used", "ok"],
        "path",
        "the ControlMaster's socket",
    ),
    fact(
        "attempt.end",
        Gate::Session,
        &["stopped", "ended", "ok"],
        "",
        "the failing run itself: stopped from outside while something was under way, or ended",
    ),
    fact(
        "via.connect",
        Gate::Tcp,
        &["ssh", "refused", "timeout", "error"],
        "jump host",
        "what a working jump host sees at the same address and port",
    ),
];

/// Every row of both sides.
pub fn all() -> impl Iterator<Item = &'static Fact> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The row of that key.
pub fn by_key(key: &str) -> Option<&'static Fact> {
    all().find(|fact| fact.key == key)
}

const TABLES: &[&[Fact]] = &[CLIENT];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_unique_and_say_what_they_mean() {
        let mut seen = HashSet::new();
        for fact in all() {
            assert!(seen.insert(fact.key), "{} twice", fact.key);
            assert!(fact.key.contains('.') && !fact.meaning.is_empty());
        }
        assert!(by_key("tcp.connect").is_some());
        assert!(by_key("tcp.conect").is_none());
    }
}
