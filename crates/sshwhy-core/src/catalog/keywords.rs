//! The words of sshd_config: one row a keyword, with its kind of value, its defaults by release, and where it may stand.
//!
//! Defaults are those of Debian's builds where the build decides (paths, IPQoS, one key exchange of 9.2). The order is that of
//! `sshd -T` (servconf.c dump_config()). Lists of algorithms are what each release offers by default (myproposal.h). What a
//! keyword did otherwise in an earlier release stands in [`CHANGES`].
//!
//! Held against 8.4, 8.9, 9.2, 9.6, 9.9, 10.0 and 10.6. Where a change came between two of these and the release notes do not
//! name it, it counts from the earlier of the releases that may have it, so that a newer file is not called wrong.

use crate::version::Release;

/// Older than every release that is told apart here.
pub const OLDEST: Release = (0, 0);

/// The words a choice takes, and how sshd prints each.
pub type Words = &'static [(&'static str, &'static str)];

/// Which family of algorithms a list names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithms {
    Cipher,
    Mac,
    Kex,
    Key,
    Signature,
}

/// What a value may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Choice(Words),
    /// The same, in this case of letters only.
    Exact(Words),
    /// Not negative.
    Number,
    NumberOrNone,
    /// Seconds, or 1h30m (misc.c convtime()).
    Time,
    TimeOrNone,
    Octal,
    Port,
    ListenAddress,
    /// One word.
    Text,
    /// A path; a relative one is taken from sshd's working directory.
    File,
    /// Several words; the first line that has any wins.
    Words,
    /// The rest of the line as it stands, quotes and `#` included.
    Rest,
    /// The rest of the line: an absolute path with arguments, or `none`.
    Command,
    UserPatterns,
    GroupPatterns,
    EnvNames,
    SetEnv,
    Methods,
    ChannelTimeout,
    Subsystem,
    MaxStartups,
    NetBlock,
    Penalties,
    IpQos,
    RekeyLimit,
    PermitOpen,
    PermitListen,
    UserEnvironment,
    PubkeyOptions,
    KeepAlive,
    AgentSocket,
    /// A comma list of addresses and prefixes.
    Addresses,
    /// `gss-…-`, comma-separated.
    GssKex,
    Algorithms(Algorithms),
}

/// What a second line with the same keyword does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// Nothing: the first value wins.
    First,
    /// The first line wins, and each of its words is a value.
    FirstLine,
    /// It adds to the values before it.
    Each,
    /// It replaces the value before it.
    Last,
    /// The value has parts, and each line sets those that it names and that are not set yet.
    Parts,
}

/// From that release on, the value is this.
#[derive(Clone, Copy, Debug)]
pub struct Default {
    pub since: Release,
    pub value: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    /// `SW8…`; never changes, never reused.
    pub id: &'static str,
    /// As sshd_config(5) spells it; sshd ignores case.
    pub name: &'static str,
    /// Older names of the same thing.
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    pub repeat: Repeat,
    /// Allowed in a Match block.
    pub in_match: bool,
    /// Oldest first; none: unset, and `sshd -T` prints nothing.
    pub defaults: &'static [Default],
    /// First release that knows it.
    pub since: Release,
    /// Last release that knew it.
    pub until: Option<Release>,
    /// Whether `sshd -T` prints it.
    pub printed: bool,
}

/// What a keyword does since a release, and did not do before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It has its present name; before, only this one was known.
    Called(&'static str),
    /// This alias is known.
    Alias(&'static str),
    /// A second line does what the row says; before, it did this.
    Repeats(Repeat),
    /// It may stand in a Match block.
    InMatch,
    /// `sshd -T` prints it.
    Printed,
}

#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub keyword: &'static str,
    pub since: Release,
    pub what: What,
}

/// Why a word does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    Deprecated,
    Unsupported,
}

/// A word that is read and ignored.
#[derive(Clone, Copy, Debug)]
pub struct Gone {
    pub id: &'static str,
    pub name: &'static str,
    pub how: Why,
    /// sshd does not start when it stands in a Match block, although it would do nothing there.
    pub in_match: bool,
}

impl Keyword {
    /// The default in that release; `None`: unset.
    pub fn default(&self, release: Release) -> Option<&'static str> {
        self.defaults
            .iter()
            .rev()
            .find(|d| d.since <= release)
            .map(|d| d.value)
    }

    pub fn is_named(&self, word: &str) -> bool {
        self.name.eq_ignore_ascii_case(word)
            || self.aliases.iter().any(|a| a.eq_ignore_ascii_case(word))
    }

    pub fn known_in(&self, release: Release) -> bool {
        self.since <= release && self.until.is_none_or(|u| release <= u)
    }

    /// What that release did not do yet.
    fn missing(&self, release: Release) -> impl Iterator<Item = What> {
        CHANGES
            .iter()
            .filter(move |c| c.keyword == self.name && release < c.since)
            .map(|c| c.what)
    }

    /// Its name in that release.
    pub fn name_in(&self, release: Release) -> &'static str {
        self.missing(release)
            .find_map(|w| match w {
                What::Called(before) => Some(before),
                _ => None,
            })
            .unwrap_or(self.name)
    }

    /// Whether that release takes the word for this keyword.
    pub fn is_named_in(&self, word: &str, release: Release) -> bool {
        let alias = |a: &&&'static str| {
            a.eq_ignore_ascii_case(word) && !self.missing(release).any(|w| w == What::Alias(a))
        };
        self.known_in(release)
            && (self.name_in(release).eq_ignore_ascii_case(word)
                || self.aliases.iter().any(|a| alias(&a)))
    }

    pub fn repeat_in(&self, release: Release) -> Repeat {
        self.missing(release)
            .find_map(|w| match w {
                What::Repeats(before) => Some(before),
                _ => None,
            })
            .unwrap_or(self.repeat)
    }

    pub fn in_match_in(&self, release: Release) -> bool {
        self.in_match && !self.missing(release).any(|w| w == What::InMatch)
    }

    pub fn printed_in(&self, release: Release) -> bool {
        self.printed && !self.missing(release).any(|w| w == What::Printed)
    }
}

/// The keyword of that name, in any case of letters, whatever the release.
pub fn by_name(word: &str) -> Option<&'static Keyword> {
    let exact = ROWS.iter().find(|k| k.name.eq_ignore_ascii_case(word));
    exact.or_else(|| ROWS.iter().find(|k| k.is_named(word)))
}

/// The keyword that this release takes the word for.
pub fn by_name_in(word: &str, release: Release) -> Option<&'static Keyword> {
    ROWS.iter().find(|k| k.is_named_in(word, release))
}

/// The names that an algorithm of that family may have (`ssh -Q`).
pub fn algorithms(family: Algorithms, release: Release) -> &'static str {
    let lists = match family {
        Algorithms::Cipher => ALL_CIPHERS,
        Algorithms::Mac => ALL_MACS,
        Algorithms::Kex => ALL_KEX,
        Algorithms::Key => ALL_KEY_ALGORITHMS,
        Algorithms::Signature => ALL_SIGNATURES,
    };
    let newest = lists.iter().rev().find(|d| d.since <= release);
    newest.map_or("", |d| d.value)
}

pub fn gone(word: &str) -> Option<&'static Gone> {
    GONE.iter().find(|g| g.name.eq_ignore_ascii_case(word))
}

const YES_NO: Words = &[("yes", "yes"), ("no", "no")];
const ADDRESS_FAMILY: Words = &[("inet", "inet"), ("inet6", "inet6"), ("any", "any")];
const PERMIT_ROOT: Words = &[
    ("without-password", "without-password"),
    ("prohibit-password", "without-password"),
    ("forced-commands-only", "forced-commands-only"),
    ("yes", "yes"),
    ("no", "no"),
];
const IGNORE_RHOSTS: Words = &[("yes", "yes"), ("no", "no"), ("shosts-only", "shosts-only")];
const COMPRESSION: Words = &[("yes", "yes"), ("delayed", "yes"), ("no", "no")];
const GATEWAY_PORTS: Words = &[
    ("clientspecified", "clientspecified"),
    ("yes", "yes"),
    ("no", "no"),
];
const FORWARDING: Words = &[
    ("yes", "yes"),
    ("all", "yes"),
    ("no", "no"),
    ("remote", "remote"),
    ("local", "local"),
];
const FINGERPRINT_HASH: Words = &[
    ("md5", "MD5"),
    ("sha1", "SHA1"),
    ("sha256", "SHA256"),
    ("sha384", "SHA384"),
    ("sha512", "SHA512"),
];
const WEAK_CRYPTO: Words = &[
    ("yes", "true"),
    ("true", "true"),
    ("no", "false"),
    ("false", "false"),
    ("no-pq-kex", "false"),
];
const TUNNEL: Words = &[
    ("yes", "yes"),
    ("no", "no"),
    ("point-to-point", "point-to-point"),
    ("ethernet", "ethernet"),
];
const LOG_LEVEL: Words = &[
    ("quiet", "SILENT"),
    ("fatal", "FATAL"),
    ("error", "ERROR"),
    ("info", "INFO"),
    ("verbose", "VERBOSE"),
    ("debug", "DEBUG"),
    ("debug1", "DEBUG"),
    ("debug2", "DEBUG2"),
    ("debug3", "DEBUG3"),
];
const FACILITY: Words = &[
    ("daemon", "DAEMON"),
    ("user", "USER"),
    ("auth", "AUTH"),
    ("authpriv", "AUTHPRIV"),
    ("local0", "LOCAL0"),
    ("local1", "LOCAL1"),
    ("local2", "LOCAL2"),
    ("local3", "LOCAL3"),
    ("local4", "LOCAL4"),
    ("local5", "LOCAL5"),
    ("local6", "LOCAL6"),
    ("local7", "LOCAL7"),
];

const CIPHERS: &str = "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,\
    aes256-gcm@openssh.com";
const CIPHERS_10_0: &str = "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,\
    aes192-ctr,aes256-ctr";
const MACS: &str = "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,\
    hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,\
    umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1";
const KEX_OLD: &str = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
    ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
    diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1";
const KEX_8_2: &str = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
    ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
    diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
const KEX_8_9: &str = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
    ecdh-sha2-nistp521,sntrup761x25519-sha512@openssh.com,diffie-hellman-group-exchange-sha256,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
const KEX_9_0: &str = "sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,\
    ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
    diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
    diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
const KEX_9_2: &str = "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,\
    curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
    diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
    diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
const KEX_9_9: &str = "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,mlkem768x25519-sha256,\
    curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
    ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
    diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
const KEX_10_0: &str = "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,\
    curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
    ecdh-sha2-nistp521";
const CA_SIGNATURES_OLD: &str = "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-512,\
    rsa-sha2-256,ssh-rsa";
const CA_SIGNATURES_8_2: &str = "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
    sk-ecdsa-sha2-nistp256@openssh.com,ssh-ed25519,sk-ssh-ed25519@openssh.com,rsa-sha2-512,\
    rsa-sha2-256";
const CA_SIGNATURES_8_5: &str = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
    sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";
const CA_SIGNATURES_10_1: &str = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
    sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    webauthn-sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";
const KEY_ALGORITHMS_OLD: &str = "ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,\
    ecdsa-sha2-nistp521-cert-v01@openssh.com,ssh-ed25519-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,\
    ssh-rsa-cert-v01@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
    ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ssh-rsa";
const KEY_ALGORITHMS_8_2: &str = "ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,\
    ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,\
    ssh-rsa-cert-v01@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
    sk-ecdsa-sha2-nistp256@openssh.com,ssh-ed25519,sk-ssh-ed25519@openssh.com,rsa-sha2-512,\
    rsa-sha2-256,ssh-rsa";
const KEY_ALGORITHMS_8_8: &str = "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,\
    ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,\
    sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";
const KEY_ALGORITHMS_8_5: &str = "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,\
    ssh-rsa-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    rsa-sha2-512,rsa-sha2-256,ssh-rsa";
const KEY_ALGORITHMS_10_1: &str = "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
    webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,\
    rsa-sha2-256-cert-v01@openssh.com,ssh-mldsa44-ed25519-cert,ssh-ed25519,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,\
    sk-ecdsa-sha2-nistp256@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,\
    rsa-sha2-256,ssh-mldsa44-ed25519";
/// `ssh -Q cipher`.
const ALL_CIPHERS: &[Default] = &[
    Default {
        since: OLDEST,
        value: "3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc,rijndael-cbc@lysator.liu.se,aes128-ctr,aes192-ctr,\
    aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com",
    },
    Default {
        since: (8, 5),
        value: "3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc,aes128-ctr,aes192-ctr,aes256-ctr,\
    aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com",
    },
];
/// `ssh -Q mac`.
const ALL_MACS: &[Default] = &[Default {
    since: OLDEST,
    value: "hmac-sha1,hmac-sha1-96,hmac-sha2-256,hmac-sha2-512,hmac-md5,hmac-md5-96,umac-64@openssh.com,\
    umac-128@openssh.com,hmac-sha1-etm@openssh.com,hmac-sha1-96-etm@openssh.com,\
    hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-md5-etm@openssh.com,\
    hmac-md5-96-etm@openssh.com,umac-64-etm@openssh.com,umac-128-etm@openssh.com",
}];
/// `ssh -Q kex`.
const ALL_KEX: &[Default] = &[
    Default {
        since: OLDEST,
        value: "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,\
    ecdh-sha2-nistp384,ecdh-sha2-nistp521,curve25519-sha256,curve25519-sha256@libssh.org,\
    sntrup4591761x25519-sha512@tinyssh.org",
    },
    Default {
        since: (8, 5),
        value: "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,\
    ecdh-sha2-nistp384,ecdh-sha2-nistp521,curve25519-sha256,curve25519-sha256@libssh.org,\
    sntrup761x25519-sha512@openssh.com",
    },
    Default {
        since: (9, 2),
        value: "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,\
    ecdh-sha2-nistp384,ecdh-sha2-nistp521,curve25519-sha256,curve25519-sha256@libssh.org,\
    sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com",
    },
    Default {
        since: (9, 3),
        value: "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,\
    ecdh-sha2-nistp384,ecdh-sha2-nistp521,curve25519-sha256,curve25519-sha256@libssh.org,\
    sntrup761x25519-sha512@openssh.com",
    },
    Default {
        since: (9, 9),
        value: "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,\
    ecdh-sha2-nistp384,ecdh-sha2-nistp521,curve25519-sha256,curve25519-sha256@libssh.org,\
    sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,mlkem768x25519-sha256",
    },
    Default {
        since: (10, 1),
        value: "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,\
    ecdh-sha2-nistp384,ecdh-sha2-nistp521,mlkem768nistp256-sha256,curve25519-sha256,\
    curve25519-sha256@libssh.org,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,\
    mlkem768x25519-sha256",
    },
];
/// `ssh -Q key-sig`.
const ALL_KEY_ALGORITHMS: &[Default] = &[
    Default {
        since: OLDEST,
        value: "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,ssh-rsa,rsa-sha2-256,rsa-sha2-512,ssh-dss,\
    ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
    sk-ecdsa-sha2-nistp256@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,\
    ssh-rsa-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,\
    rsa-sha2-512-cert-v01@openssh.com,ssh-dss-cert-v01@openssh.com,\
    ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,\
    ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    },
    Default {
        since: (9, 2),
        value: "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521,\
    ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,\
    ssh-dss,ssh-dss-cert-v01@openssh.com,ssh-rsa,ssh-rsa-cert-v01@openssh.com,rsa-sha2-256,\
    rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512,rsa-sha2-512-cert-v01@openssh.com",
    },
    Default {
        since: (9, 9),
        value: "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521,\
    ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,\
    ssh-rsa,ssh-rsa-cert-v01@openssh.com,rsa-sha2-256,rsa-sha2-256-cert-v01@openssh.com,\
    rsa-sha2-512,rsa-sha2-512-cert-v01@openssh.com",
    },
    Default {
        since: (10, 1),
        value: "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,ssh-mldsa44-ed25519,ssh-mldsa44-ed25519-cert,\
    ecdsa-sha2-nistp256,ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521,\
    ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,\
    webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,ssh-rsa,ssh-rsa-cert-v01@openssh.com,\
    rsa-sha2-256,rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512,\
    rsa-sha2-512-cert-v01@openssh.com",
    },
];
/// Those of them that are no certificates: what CASignatureAlgorithms chooses from.
const ALL_SIGNATURES: &[Default] = &[
    Default {
        since: OLDEST,
        value: "ssh-ed25519,sk-ssh-ed25519@openssh.com,ssh-rsa,rsa-sha2-256,rsa-sha2-512,ssh-dss,\
    ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
    sk-ecdsa-sha2-nistp256@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    },
    Default {
        since: (9, 2),
        value: "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,\
    webauthn-sk-ecdsa-sha2-nistp256@openssh.com,ssh-dss,ssh-rsa,rsa-sha2-256,rsa-sha2-512",
    },
    Default {
        since: (9, 9),
        value: "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,\
    webauthn-sk-ecdsa-sha2-nistp256@openssh.com,ssh-rsa,rsa-sha2-256,rsa-sha2-512",
    },
    Default {
        since: (10, 1),
        value: "ssh-ed25519,sk-ssh-ed25519@openssh.com,ssh-mldsa44-ed25519,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,\
    webauthn-sk-ecdsa-sha2-nistp256@openssh.com,ssh-rsa,rsa-sha2-256,rsa-sha2-512",
    },
];

/// In the order in which `sshd -T` prints them.
pub const ROWS: &[Keyword] = &[
    Keyword {
        id: "SW8001",
        name: "Port",
        aliases: &[],
        kind: Kind::Port,
        repeat: Repeat::Each,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "22",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8002",
        name: "AddressFamily",
        aliases: &[],
        kind: Kind::Choice(ADDRESS_FAMILY),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "any",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8003",
        name: "ListenAddress",
        aliases: &[],
        kind: Kind::ListenAddress,
        repeat: Repeat::Each,
        in_match: false,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8004",
        name: "UsePAM",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8005",
        name: "LoginGraceTime",
        aliases: &[],
        kind: Kind::Time,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "120",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8006",
        name: "X11DisplayOffset",
        aliases: &[],
        kind: Kind::Number,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "10",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8007",
        name: "MaxAuthTries",
        aliases: &[],
        kind: Kind::Number,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "6",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8008",
        name: "MaxSessions",
        aliases: &[],
        kind: Kind::Number,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "10",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8009",
        name: "ClientAliveInterval",
        aliases: &[],
        kind: Kind::Time,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "0",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8010",
        name: "ClientAliveCountMax",
        aliases: &[],
        kind: Kind::Number,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "3",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8011",
        name: "RequiredRSASize",
        aliases: &["RSAMinSize"],
        kind: Kind::Number,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "1024",
        }],
        since: (9, 1),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8012",
        name: "StreamLocalBindMask",
        aliases: &[],
        kind: Kind::Octal,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "0177",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8013",
        name: "UnusedConnectionTimeout",
        aliases: &[],
        kind: Kind::TimeOrNone,
        repeat: Repeat::Parts,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: (9, 2),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8014",
        name: "PermitRootLogin",
        aliases: &[],
        kind: Kind::Choice(PERMIT_ROOT),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[
            Default {
                since: OLDEST,
                value: "yes",
            },
            Default {
                since: (7, 0),
                value: "without-password",
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8015",
        name: "IgnoreRhosts",
        aliases: &[],
        kind: Kind::Choice(IGNORE_RHOSTS),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8016",
        name: "IgnoreUserKnownHosts",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8017",
        name: "HostbasedAuthentication",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8018",
        name: "HostbasedUsesNameFromPacketOnly",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8019",
        name: "PubkeyAuthentication",
        aliases: &["DSAAuthentication"],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8020",
        name: "KerberosAuthentication",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8021",
        name: "KerberosOrLocalPasswd",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8022",
        name: "KerberosTicketCleanup",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8023",
        name: "GSSAPIAuthentication",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8024",
        name: "GSSAPICleanupCredentials",
        aliases: &["GSSAPICleanupCreds"],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8025",
        name: "GSSAPIKeyExchange",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8026",
        name: "GSSAPIStrictAcceptorCheck",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8027",
        name: "GSSAPIStoreCredentialsOnRekey",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8028",
        name: "GSSAPIKexAlgorithms",
        aliases: &[],
        kind: Kind::GssKex,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "gss-group14-sha256-,gss-group16-sha512-,gss-nistp256-sha256-,gss-curve25519-sha256-,gss-group14-sha1-,gss-gex-sha1-",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8029",
        name: "PasswordAuthentication",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8030",
        name: "KbdInteractiveAuthentication",
        aliases: &["ChallengeResponseAuthentication", "SkeyAuthentication"],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[
            Default {
                since: OLDEST,
                value: "no",
            },
            Default {
                since: (8, 7),
                value: "yes",
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8031",
        name: "PrintMotd",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8032",
        name: "PrintLastLog",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8033",
        name: "X11Forwarding",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8034",
        name: "X11UseLocalhost",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8035",
        name: "PermitTTY",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8036",
        name: "PermitUserRC",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8037",
        name: "StrictModes",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8038",
        name: "TCPKeepAlive",
        aliases: &["KeepAlive"],
        kind: Kind::KeepAlive,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8039",
        name: "PermitEmptyPasswords",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8040",
        name: "Compression",
        aliases: &[],
        kind: Kind::Choice(COMPRESSION),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8041",
        name: "GatewayPorts",
        aliases: &[],
        kind: Kind::Choice(GATEWAY_PORTS),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8042",
        name: "UseDNS",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[
            Default {
                since: OLDEST,
                value: "yes",
            },
            Default {
                since: (6, 8),
                value: "no",
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8043",
        name: "AllowTcpForwarding",
        aliases: &[],
        kind: Kind::Choice(FORWARDING),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8044",
        name: "AllowAgentForwarding",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8045",
        name: "DisableForwarding",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: (7, 4),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8046",
        name: "AllowStreamLocalForwarding",
        aliases: &[],
        kind: Kind::Choice(FORWARDING),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8047",
        name: "StreamLocalBindUnlink",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8048",
        name: "FingerprintHash",
        aliases: &[],
        kind: Kind::Choice(FINGERPRINT_HASH),
        repeat: Repeat::Last,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "SHA256",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8049",
        name: "ExposeAuthInfo",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: (7, 6),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8050",
        name: "RefuseConnection",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: (9, 9),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8051",
        name: "PidFile",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "/run/sshd.pid",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8052",
        name: "ModuliFile",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "/etc/ssh/moduli",
        }],
        since: (8, 5),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8053",
        name: "XAuthLocation",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "/usr/bin/xauth",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8054",
        name: "Ciphers",
        aliases: &[],
        kind: Kind::Algorithms(Algorithms::Cipher),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[
            Default {
                since: OLDEST,
                value: CIPHERS,
            },
            Default {
                since: (10, 0),
                value: CIPHERS_10_0,
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8055",
        name: "MACs",
        aliases: &[],
        kind: Kind::Algorithms(Algorithms::Mac),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: MACS,
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8056",
        name: "Banner",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8057",
        name: "ForceCommand",
        aliases: &[],
        kind: Kind::Rest,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8058",
        name: "ChrootDirectory",
        aliases: &[],
        kind: Kind::Text,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8059",
        name: "TrustedUserCAKeys",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8060",
        name: "RevokedKeys",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8061",
        name: "SecurityKeyProvider",
        aliases: &[],
        kind: Kind::Text,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "internal",
        }],
        since: (8, 2),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8062",
        name: "AuthorizedPrincipalsFile",
        aliases: &[],
        kind: Kind::Text,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8063",
        name: "VersionAddendum",
        aliases: &[],
        kind: Kind::Rest,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8064",
        name: "AuthorizedKeysCommand",
        aliases: &[],
        kind: Kind::Command,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8065",
        name: "AuthorizedKeysCommandUser",
        aliases: &[],
        kind: Kind::Text,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8066",
        name: "AuthorizedPrincipalsCommand",
        aliases: &[],
        kind: Kind::Command,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8067",
        name: "AuthorizedPrincipalsCommandUser",
        aliases: &[],
        kind: Kind::Text,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8068",
        name: "HostKeyAgent",
        aliases: &[],
        kind: Kind::Text,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8069",
        name: "KexAlgorithms",
        aliases: &[],
        kind: Kind::Algorithms(Algorithms::Kex),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[
            Default {
                since: OLDEST,
                value: KEX_OLD,
            },
            Default {
                since: (8, 2),
                value: KEX_8_2,
            },
            Default {
                since: (8, 9),
                value: KEX_8_9,
            },
            Default {
                since: (9, 0),
                value: KEX_9_0,
            },
            Default {
                since: (9, 2),
                value: KEX_9_2,
            },
            Default {
                since: (9, 3),
                value: KEX_9_0,
            },
            Default {
                since: (9, 9),
                value: KEX_9_9,
            },
            Default {
                since: (10, 0),
                value: KEX_10_0,
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8070",
        name: "CASignatureAlgorithms",
        aliases: &[],
        kind: Kind::Algorithms(Algorithms::Signature),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[
            Default {
                since: OLDEST,
                value: CA_SIGNATURES_OLD,
            },
            Default {
                since: (8, 2),
                value: CA_SIGNATURES_8_2,
            },
            Default {
                since: (8, 5),
                value: CA_SIGNATURES_8_5,
            },
            Default {
                since: (10, 1),
                value: CA_SIGNATURES_10_1,
            },
        ],
        since: (7, 9),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8071",
        name: "HostbasedAcceptedAlgorithms",
        aliases: &["HostbasedAcceptedKeyTypes"],
        kind: Kind::Algorithms(Algorithms::Key),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[
            Default {
                since: OLDEST,
                value: KEY_ALGORITHMS_OLD,
            },
            Default {
                since: (8, 2),
                value: KEY_ALGORITHMS_8_2,
            },
            Default {
                since: (8, 5),
                value: KEY_ALGORITHMS_8_5,
            },
            Default {
                since: (8, 8),
                value: KEY_ALGORITHMS_8_8,
            },
            Default {
                since: (10, 1),
                value: KEY_ALGORITHMS_10_1,
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8072",
        name: "HostKeyAlgorithms",
        aliases: &[],
        kind: Kind::Algorithms(Algorithms::Key),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[
            Default {
                since: OLDEST,
                value: KEY_ALGORITHMS_OLD,
            },
            Default {
                since: (8, 2),
                value: KEY_ALGORITHMS_8_2,
            },
            Default {
                since: (8, 5),
                value: KEY_ALGORITHMS_8_5,
            },
            Default {
                since: (8, 8),
                value: KEY_ALGORITHMS_8_8,
            },
            Default {
                since: (10, 1),
                value: KEY_ALGORITHMS_10_1,
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8073",
        name: "PubkeyAcceptedAlgorithms",
        aliases: &["PubkeyAcceptedKeyTypes"],
        kind: Kind::Algorithms(Algorithms::Key),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[
            Default {
                since: OLDEST,
                value: KEY_ALGORITHMS_OLD,
            },
            Default {
                since: (8, 2),
                value: KEY_ALGORITHMS_8_2,
            },
            Default {
                since: (8, 5),
                value: KEY_ALGORITHMS_8_5,
            },
            Default {
                since: (8, 8),
                value: KEY_ALGORITHMS_8_8,
            },
            Default {
                since: (10, 1),
                value: KEY_ALGORITHMS_10_1,
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8074",
        name: "LogLevel",
        aliases: &[],
        kind: Kind::Choice(LOG_LEVEL),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "INFO",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8075",
        name: "SyslogFacility",
        aliases: &[],
        kind: Kind::Choice(FACILITY),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "AUTH",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8076",
        name: "AuthorizedKeysFile",
        aliases: &[],
        kind: Kind::Words,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: ".ssh/authorized_keys .ssh/authorized_keys2",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8077",
        name: "HostKey",
        aliases: &["HostDSAKey"],
        kind: Kind::File,
        repeat: Repeat::Each,
        in_match: false,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8078",
        name: "HostCertificate",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::Each,
        in_match: false,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8079",
        name: "AllowUsers",
        aliases: &[],
        kind: Kind::UserPatterns,
        repeat: Repeat::Each,
        in_match: true,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8080",
        name: "DenyUsers",
        aliases: &[],
        kind: Kind::UserPatterns,
        repeat: Repeat::Each,
        in_match: true,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8081",
        name: "AllowGroups",
        aliases: &[],
        kind: Kind::GroupPatterns,
        repeat: Repeat::Each,
        in_match: true,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8082",
        name: "DenyGroups",
        aliases: &[],
        kind: Kind::GroupPatterns,
        repeat: Repeat::Each,
        in_match: true,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8083",
        name: "AcceptEnv",
        aliases: &[],
        kind: Kind::EnvNames,
        repeat: Repeat::Each,
        in_match: true,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8084",
        name: "SetEnv",
        aliases: &[],
        kind: Kind::SetEnv,
        repeat: Repeat::FirstLine,
        in_match: true,
        defaults: &[],
        since: (7, 8),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8085",
        name: "AuthenticationMethods",
        aliases: &[],
        kind: Kind::Methods,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "any",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8086",
        name: "LogVerbose",
        aliases: &[],
        kind: Kind::Words,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[],
        since: (8, 5),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8087",
        name: "ChannelTimeout",
        aliases: &[],
        kind: Kind::ChannelTimeout,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: (9, 3),
            value: "none",
        }],
        since: (9, 2),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8088",
        name: "Subsystem",
        aliases: &[],
        kind: Kind::Subsystem,
        repeat: Repeat::Each,
        in_match: true,
        defaults: &[],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8089",
        name: "MaxStartups",
        aliases: &[],
        kind: Kind::MaxStartups,
        repeat: Repeat::Parts,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "10:30:100",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8090",
        name: "PerSourceMaxStartups",
        aliases: &[],
        kind: Kind::NumberOrNone,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: (8, 5),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8091",
        name: "PerSourceNetBlockSize",
        aliases: &[],
        kind: Kind::NetBlock,
        repeat: Repeat::Last,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "32:128",
        }],
        since: (8, 5),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8092",
        name: "PerSourcePenalties",
        aliases: &[],
        kind: Kind::Penalties,
        repeat: Repeat::Parts,
        in_match: false,
        defaults: &[
            Default {
                since: OLDEST,
                value: "crash:90 authfail:5 noauth:1 grace-exceeded:10 refuseconnection:10 max:600 min:15 max-sources4:65536 max-sources6:65536 overflow:permissive overflow6:permissive",
            },
            Default {
                since: (10, 1),
                value: "crash:90 authfail:5 noauth:1 invaliduser:5 grace-exceeded:10 refuseconnection:10 max:600 min:15 max-sources4:65536 max-sources6:65536 overflow:permissive overflow6:permissive",
            },
        ],
        since: (9, 8),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8093",
        name: "PerSourcePenaltyExemptList",
        aliases: &[],
        kind: Kind::Addresses,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "none",
        }],
        since: (9, 8),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8094",
        name: "PermitTunnel",
        aliases: &[],
        kind: Kind::Exact(TUNNEL),
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8095",
        name: "IPQoS",
        aliases: &[],
        kind: Kind::IpQos,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[
            Default {
                since: OLDEST,
                value: "lowdelay throughput",
            },
            Default {
                since: (10, 1),
                value: "ef cs0",
            },
        ],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8096",
        name: "RekeyLimit",
        aliases: &[],
        kind: Kind::RekeyLimit,
        repeat: Repeat::Parts,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "0 0",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8097",
        name: "PermitOpen",
        aliases: &[],
        kind: Kind::PermitOpen,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "any",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8098",
        name: "PermitListen",
        aliases: &[],
        kind: Kind::PermitListen,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "any",
        }],
        since: (7, 8),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8099",
        name: "PermitUserEnvironment",
        aliases: &[],
        kind: Kind::UserEnvironment,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "no",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8100",
        name: "PubkeyAuthOptions",
        aliases: &[],
        kind: Kind::PubkeyOptions,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[
            Default {
                since: OLDEST,
                value: "none",
            },
            Default {
                since: (10, 1),
                value: "none max-pk-ok:6",
            },
        ],
        since: (8, 2),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8101",
        name: "RDomain",
        aliases: &[],
        kind: Kind::Text,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[],
        since: (7, 6),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8102",
        name: "PAMServiceName",
        aliases: &[],
        kind: Kind::Text,
        repeat: Repeat::First,
        in_match: true,
        defaults: &[Default {
            since: OLDEST,
            value: "sshd",
        }],
        since: (9, 8),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8103",
        name: "SshdSessionPath",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "/usr/lib/openssh/sshd-session",
        }],
        since: (9, 8),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8104",
        name: "SshdAuthPath",
        aliases: &[],
        kind: Kind::File,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "/usr/lib/openssh/sshd-auth",
        }],
        since: (10, 0),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8105",
        name: "DebianBanner",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8106",
        name: "ChallengeResponseAuthentication",
        aliases: &[],
        kind: Kind::Choice(YES_NO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "yes",
        }],
        since: OLDEST,
        until: Some((8, 6)),
        printed: true,
    },
    Keyword {
        id: "SW8107",
        name: "WarnWeakCrypto",
        aliases: &[],
        kind: Kind::Choice(WEAK_CRYPTO),
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "true",
        }],
        since: (10, 1),
        until: None,
        printed: true,
    },
    Keyword {
        id: "SW8108",
        name: "AgentSocketPath",
        aliases: &[],
        kind: Kind::AgentSocket,
        repeat: Repeat::First,
        in_match: false,
        defaults: &[Default {
            since: OLDEST,
            value: "user:.ssh/agent",
        }],
        since: (10, 1),
        until: None,
        printed: true,
    },
];

/// What keywords did otherwise in earlier releases.
pub const CHANGES: &[Change] = &[
    change(
        "PubkeyAcceptedAlgorithms",
        (8, 5),
        What::Called("PubkeyAcceptedKeyTypes"),
    ),
    change(
        "HostbasedAcceptedAlgorithms",
        (8, 5),
        What::Called("HostbasedAcceptedKeyTypes"),
    ),
    change(
        "KbdInteractiveAuthentication",
        (8, 7),
        What::Alias("ChallengeResponseAuthentication"),
    ),
    change(
        "KbdInteractiveAuthentication",
        (8, 7),
        What::Alias("SkeyAuthentication"),
    ),
    change("Subsystem", (9, 5), What::InMatch),
    change("StreamLocalBindMask", (10, 1), What::Repeats(Repeat::Last)),
    change("IPQoS", (10, 1), What::Repeats(Repeat::Last)),
    change("PerSourceMaxStartups", (9, 3), What::Repeats(Repeat::Last)),
    change("DebianBanner", (9, 3), What::Printed),
];

const fn change(keyword: &'static str, since: Release, what: What) -> Change {
    Change {
        keyword,
        since,
        what,
    }
}

/// Words that sshd still reads and does nothing with, or never could on this platform.
pub const GONE: &[Gone] = &[
    Gone {
        id: "SW8201",
        name: "ServerKeyBits",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8202",
        name: "KeyRegenerationInterval",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8203",
        name: "RhostsAuthentication",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8204",
        name: "RhostsRSAAuthentication",
        how: Why::Deprecated,
        in_match: true,
    },
    Gone {
        id: "SW8205",
        name: "RSAAuthentication",
        how: Why::Deprecated,
        in_match: true,
    },
    Gone {
        id: "SW8206",
        name: "Protocol",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8207",
        name: "UseLogin",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8208",
        name: "UsePrivilegeSeparation",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8209",
        name: "CheckMail",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8210",
        name: "VerifyReverseMapping",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8211",
        name: "ReverseMappingCheck",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8212",
        name: "PAMAuthenticationViaKbdInt",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8213",
        name: "AuthorizedKeysFile2",
        how: Why::Deprecated,
        in_match: true,
    },
    Gone {
        id: "SW8215",
        name: "KerberosGetAFSToken",
        how: Why::Unsupported,
        in_match: false,
    },
    Gone {
        id: "SW8216",
        name: "AFSTokenPassing",
        how: Why::Unsupported,
        in_match: false,
    },
    Gone {
        id: "SW8217",
        name: "KerberosTgtPassing",
        how: Why::Unsupported,
        in_match: false,
    },
    Gone {
        id: "SW8218",
        name: "SkeyAuthentication",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8219",
        name: "GSSUseSessionCCache",
        how: Why::Unsupported,
        in_match: false,
    },
    Gone {
        id: "SW8220",
        name: "GSSAPIUseSessionCredCache",
        how: Why::Unsupported,
        in_match: false,
    },
    Gone {
        id: "SW8221",
        name: "PermitBlacklistedKeys",
        how: Why::Deprecated,
        in_match: false,
    },
    Gone {
        id: "SW8222",
        name: "GSSAPIDelegateCredentials",
        how: Why::Unsupported,
        in_match: false,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_and_names_are_unique() {
        let mut seen = HashSet::new();
        let names = ROWS.iter().flat_map(|k| {
            std::iter::once(k.name)
                .chain(k.aliases.iter().copied())
                .chain(std::iter::once(k.id))
        });
        // An alias that came later was something else before.
        let later = |n: &str| {
            CHANGES
                .iter()
                .any(|c| matches!(c.what, What::Alias(a) if a == n))
        };
        for name in names.chain(GONE.iter().flat_map(|g| [g.name, g.id])) {
            assert!(
                seen.insert(name.to_ascii_lowercase()) || later(name),
                "{name} twice"
            );
        }
        for release in [(7, 4), (8, 4), (8, 7), (9, 2), (10, 0), (10, 6)] {
            for k in ROWS.iter().filter(|k| k.known_in(release)) {
                let found = by_name_in(k.name_in(release), release);
                assert!(found.is_some_and(|f| f.name == k.name), "{}", k.name);
            }
        }
        assert!(
            CHANGES
                .iter()
                .all(|c| ROWS.iter().any(|k| k.name == c.keyword))
        );
        assert!(by_name("permitrootlogin").is_some());
        assert!(by_name("PermitRootLogn").is_none());
        let challenge =
            |release| by_name_in("challengeresponseauthentication", release).map(|k| k.name);
        assert_eq!(challenge((8, 4)), Some("ChallengeResponseAuthentication"));
        assert_eq!(challenge((9, 2)), Some("KbdInteractiveAuthentication"));
        assert!(by_name_in("PubkeyAcceptedAlgorithms", (8, 4)).is_none());
        assert!(by_name_in("PubkeyAcceptedKeyTypes", (8, 4)).is_some());
        assert!(by_name_in("PubkeyAcceptedKeyTypes", (9, 2)).is_some());
    }

    #[test]
    fn defaults_follow_the_release() {
        let at = |name: &str, release| by_name(name).and_then(|k| k.default(release));
        assert_eq!(at("PermitRootLogin", (6, 6)), Some("yes"));
        assert_eq!(at("PermitRootLogin", (9, 2)), Some("without-password"));
        assert!(at("PubkeyAcceptedAlgorithms", (8, 7)).is_some_and(|v| v.ends_with(",ssh-rsa")));
        assert!(
            at("PubkeyAcceptedAlgorithms", (8, 8))
                .is_some_and(|v| !v.contains("ssh-rsa,") && !v.ends_with(",ssh-rsa"))
        );
        assert_eq!(at("AllowUsers", (9, 2)), None);
        assert!(!by_name("PerSourcePenalties").is_some_and(|k| k.known_in((9, 2))));
    }

    #[test]
    fn defaults_stand_in_order() {
        for k in ROWS {
            assert!(
                k.defaults.windows(2).all(|w| w[0].since < w[1].since),
                "{}",
                k.name
            );
        }
    }
}
