//! The evaluator against the real thing: generated configurations, each asked about for several connections, by us and by
//! `sshd -T -C`, and once without a connection. Where sshd refuses a file we must refuse it, and where it takes one every value
//! must be the same.
//!
//! Without root or /usr/sbin/sshd it does not run, and says so by name. `SSHWHY_TEST_SSHD=/opt/…/sshd` asks another release,
//! `SSHWHY_TEST_SEED=N` starts the configurations at another number (CONTRIBUTING.md). Of all pairs of lines, and all wrong lines,
//! one in five is asked about, and each with `SSHWHY_TEST_ALL=1`, as `./test` does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::catalog::keywords;
use sshwhy_core::config::Files;
use sshwhy_core::config::effective::{Connection, effective};
use sshwhy_core::config::parse::{Config, Level, parse};
use sshwhy_core::version::{Release, parse_release};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The sshd that is asked.
fn sshd() -> String {
    std::env::var("SSHWHY_TEST_SSHD").unwrap_or_else(|_| "/usr/sbin/sshd".to_owned())
}

const CONFIGURATIONS: u64 = 500;
const CONNECTIONS: usize = 5;

/// The number of the first configuration.
fn first() -> u64 {
    let said = std::env::var("SSHWHY_TEST_SEED").ok();
    said.map_or(1, |s| s.parse().expect("SSHWHY_TEST_SEED is a number"))
}

struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        fs::read_to_string(path).map_err(|e| e.to_string())
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        // A folder's name may be a pattern too.
        let mut out = vec![String::new()];
        for part in pattern.split('/').skip(1) {
            let within = |folder: String| {
                if part.is_empty() || part == ".." {
                    return vec![format!("{folder}/{part}")];
                }
                let names = fs::read_dir(format!("{folder}/")).into_iter().flatten();
                names
                    .flatten()
                    .map(|e| e.file_name().to_string_lossy().into_owned())
                    .filter(|n| sshwhy_core::config::pattern::glob(n, part))
                    .map(|n| format!("{folder}/{n}"))
                    .collect()
            };
            out = out.into_iter().flat_map(within).collect();
        }
        out.sort();
        out
    }

    fn is_folder(&self, path: &str) -> bool {
        Path::new(path).is_dir()
    }
}

/// A small generator of its own, so that a failure can be seen again by its number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

type Values = &'static [&'static str];

const YES_NO: Values = &["yes", "no", "YES", "No"];

/// Keywords allowed everywhere, with values of every kind; a few of them are wrong.
const ANYWHERE: &[(&str, Values)] = &[
    ("X11Forwarding", YES_NO),
    ("passwordauthentication", YES_NO),
    ("KbdInteractiveAuthentication", YES_NO),
    ("ChallengeResponseAuthentication", YES_NO),
    ("PubkeyAuthentication", YES_NO),
    (
        "PermitRootLogin",
        &[
            "yes",
            "no",
            "prohibit-password",
            "without-password",
            "forced-commands-only",
        ],
    ),
    (
        "AllowTcpForwarding",
        &["yes", "no", "local", "remote", "all"],
    ),
    ("AllowAgentForwarding", YES_NO),
    ("GatewayPorts", &["yes", "no", "clientspecified"]),
    ("PermitTTY", YES_NO),
    (
        "MaxAuthTries",
        &["1", "3", "6", "20", "+4", "007", r#"" 5""#, "'6'", "0"],
    ),
    ("MaxSessions", &["0", "1", "10"]),
    (
        "ClientAliveInterval",
        &[
            "0", "15", "1m", "1h30m", "2D", "1h1h", "90S", "1W2d", "01m", "1d12h", "'5' ",
        ],
    ),
    ("ClientAliveCountMax", &["0", "3"]),
    ("LogLevel", &["INFO", "verbose", "DEBUG", "debug2", "QUIET"]),
    (
        "Banner",
        &[
            "none",
            "/etc/issue.net",
            "NONE",
            "relative",
            "~/banner",
            "/etc/a#b",
            r#""/etc/a b""#,
        ],
    ),
    (
        "ForceCommand",
        &[
            "none",
            "/bin/true",
            "internal-sftp -l INFO",
            "\"a b\" c # d",
            "echo 'x'",
            "NONE",
            r#"/bin/sh -c "echo $SSH_ORIGINAL_COMMAND""#,
            r"internal-sftp -d /%u -u 0002",
            r"/bin/a\ b 'c # d'",
            r#""/opt/a b/run" "it's""#,
        ],
    ),
    (
        "ChrootDirectory",
        &["none", "/srv/%u", "%h", "/srv/%%/%U", r#""/srv/a b""#],
    ),
    (
        "AuthorizedKeysFile",
        &[
            "none",
            ".ssh/authorized_keys",
            "/etc/ssh/keys/%u .ssh/ak",
            "\".ssh/with blank\"",
            "~/.ssh/keys",
            "%h/.ssh/%u /etc/keys/%U",
            "'a b' c",
            "/etc/%%keys",
            r"a\ b .ssh/c",
            r#""a b" 'c d' e"f g""#,
            "none .ssh/x",
        ],
    ),
    (
        "AuthenticationMethods",
        &[
            "publickey",
            "publickey,password",
            "publickey,password publickey,keyboard-interactive:pam",
            "any",
            "publickey:x,password:y",
            r#""publickey" 'password,publickey'"#,
            "publickey,publickey",
            "keyboard-interactive:pam,keyboard-interactive:bsdauth password",
            "publickey:",
            "gssapi-with-mic,password hostbased,publickey",
        ],
    ),
    (
        "AcceptEnv",
        &[
            "LANG",
            "LC_* XMODIFIERS",
            "A B C",
            "*",
            "?X Y*",
            r#""LANG" 'LC_*'"#,
            "LANG,LC_ALL",
        ],
    ),
    (
        "SetEnv",
        &[
            "A=1",
            "A=1 B=\"x y\"",
            "Z=9 Z=8",
            "A=b=c D=",
            r#""A=x y" 'B=z "q"' C=3"#,
            r"A=x\ y B='#'",
        ],
    ),
    (
        "AllowUsers",
        &[
            "root",
            "alice bob@192.0.2.*",
            "*@192.0.2.0/24",
            "!x *",
            "*@*.example.org",
            "a@192.0.2.0/24,!192.0.2.7",
            "x@2001:db8::/32",
            "r?ot@10.1",
            r#""alice" 'bob'"#,
            r"a\ b root",
            "!root@192.0.2.7 root",
            "root@!192.0.2.7,192.0.2.0/24",
            "a@b@192.0.2.7",
            "root@::/0 *@0.0.0.0/0",
            "root # @home",
        ],
    ),
    (
        "DenyUsers",
        &[
            "mallory",
            "m* n?",
            "root@!192.0.2.9,192.0.2.0/24",
            r#""a b" c"#,
        ],
    ),
    (
        "AllowGroups",
        &[
            "root daemon",
            "staff",
            "!games *",
            "a@b",
            "'domain users' wheel",
            "root,daemon",
        ],
    ),
    ("DenyGroups", &["games"]),
    (
        "PermitOpen",
        &[
            "any",
            "none",
            "192.0.2.1:80 host:*",
            "[2001:db8::1]:22",
            "none 192.0.2.1:1",
            "host:1 none",
            "[::1]:* 192.0.2.1:ssh",
            "*:80 any",
            "host:80 host:80",
            r#""host:80" 'h:1'"#,
            "2001:db8::1:22",
            "any host:1",
        ],
    ),
    (
        "PermitListen",
        &[
            "any",
            "none",
            "8080",
            "localhost:8080 *:90",
            "[::1]:80",
            "ssh",
            "*:8080 8081",
            "none 80",
            "'8080' \"8081\"",
        ],
    ),
    ("PermitTunnel", &["yes", "no", "point-to-point", "ethernet"]),
    (
        "IPQoS",
        &[
            "af21",
            "lowdelay throughput",
            "none",
            "0x10 cs1",
            "8",
            "EF",
            "le CS0",
            "0x12 0",
            "CS1 af13",
        ],
    ),
    (
        "RekeyLimit",
        &[
            "default",
            "1G",
            "512M 1h",
            "default none",
            "1K",
            "1.5G",
            "16",
            "512m 90",
            "2T 1w",
            "0 none",
            "1G 1h30m",
        ],
    ),
    (
        "StreamLocalBindMask",
        &["0177", "077", "0777", "0177x", "00"],
    ),
    ("StreamLocalBindUnlink", YES_NO),
    (
        "RequiredRSASize",
        &["2048", "1024", "4096", "0", "+2048", "99"],
    ),
    (
        "PubkeyAcceptedAlgorithms",
        &[
            "+ssh-rsa",
            "-rsa*",
            "ssh-ed25519",
            "^ssh-ed25519",
            "ssh-ed25519,rsa-sha2-512",
            "ecdsa-*",
            "*",
            "+ssh-*,ssh-ed25519",
            "-*ed25519*,!ssh-ed25519",
            "ssh-ed25519,",
            "sk-*,rsa-*",
            "-*",
            "ssh-ed25519,!ssh-rsa",
            "+!ssh-rsa",
        ],
    ),
    (
        "PubkeyAuthOptions",
        &[
            "none",
            "touch-required",
            "verify-required touch-required",
            "Touch-Required",
        ],
    ),
    ("HostbasedAuthentication", YES_NO),
    ("PermitEmptyPasswords", YES_NO),
    (
        "TrustedUserCAKeys",
        &["none", "/etc/ssh/ca.pub", "ca.pub", "~/ca"],
    ),
    ("RevokedKeys", &["none", "/etc/ssh/revoked"]),
    (
        "AuthorizedPrincipalsFile",
        &[
            "none",
            "/etc/ssh/principals/%u",
            "~/principals",
            "%h/.ssh/p",
        ],
    ),
    (
        "UnusedConnectionTimeout",
        &["none", "30", "5m", "0", "NONE", "1h30m"],
    ),
    (
        "ChannelTimeout",
        &[
            "none",
            "session=5m agent-connection=10",
            "*=1h30m direct-tcpip=0",
            "session:shell=5m session:*=0",
            "agent-connection=1h agent-connection=5",
            r#""session=5m" 'x11-connection=1d'"#,
            "NONE",
            "global=10m",
        ],
    ),
    ("IgnoreRhosts", &["yes", "no", "shosts-only"]),
    ("DisableForwarding", YES_NO),
    ("ExposeAuthInfo", YES_NO),
    ("PermitUserRC", YES_NO),
    ("X11DisplayOffset", &["5", "10"]),
    ("X11UseLocalhost", YES_NO),
    (
        "AllowStreamLocalForwarding",
        &["yes", "no", "local", "remote", "all"],
    ),
    ("KerberosAuthentication", YES_NO),
    ("GSSAPIAuthentication", YES_NO),
    ("HostbasedUsesNameFromPacketOnly", YES_NO),
    (
        "HostbasedAcceptedAlgorithms",
        &["+ssh-rsa", "ssh-ed25519", "-ssh-*", "*-cert-*"],
    ),
    (
        "CASignatureAlgorithms",
        &["+ssh-rsa", "ssh-ed25519", "-ecdsa*", "*", "^rsa-*", "-*"],
    ),
    ("AuthorizedKeysCommand", &["none", "/usr/bin/keys %u %t"]),
    ("AuthorizedKeysCommandUser", &["nobody", "root"]),
    (
        "AuthorizedPrincipalsCommand",
        &["none", "/usr/bin/principals %u"],
    ),
    ("AuthorizedPrincipalsCommandUser", &["nobody"]),
    ("LogVerbose", &["none", "kex.c:*:1000,*:main():*", "a b"]),
    (
        "Subsystem",
        &[
            "sftp internal-sftp",
            "other /bin/other -x y",
            "third /bin/t",
            r#"sftp /usr/lib/sftp-server -f 'AUTH X' -l \"q"#,
        ],
    ),
    ("PAMServiceName", &["sshd", "other"]),
    ("RefuseConnection", YES_NO),
];

const GLOBAL: &[(&str, Values)] = &[
    ("Port", &["22", "2222", "ssh"]),
    (
        "ListenAddress",
        &[
            "192.0.2.1",
            "192.0.2.1:2222",
            "[2001:db8::1]:22",
            "2001:db8::2",
            "0.0.0.0",
            "[2001:db8::3]",
            "::1",
            "*",
        ],
    ),
    ("AddressFamily", &["any", "inet", "inet6"]),
    ("UsePAM", YES_NO),
    ("StrictModes", YES_NO),
    ("LoginGraceTime", &["120", "2m", "1h30", "0", "1M30s", "1w"]),
    (
        "MaxStartups",
        &[
            "10:30:100",
            "5",
            "3:100:3",
            "10:30:100x",
            "100:100:100",
            "1:1:1",
            "+7",
            r#"" 3:50:9""#,
        ],
    ),
    ("PerSourceMaxStartups", &["none", "3"]),
    ("PerSourceNetBlockSize", &["24:64", "32:128", "24:64:1"]),
    ("PrintMotd", YES_NO),
    ("UseDNS", YES_NO),
    ("TCPKeepAlive", YES_NO),
    ("Compression", &["yes", "no", "delayed"]),
    (
        "SyslogFacility",
        &["AUTH", "AUTHPRIV", "local3", "user", "LOCAL7"],
    ),
    (
        "Ciphers",
        &[
            "aes128-ctr",
            "+3des-cbc",
            "-aes*",
            "^aes256-ctr,aes128-ctr",
            "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com",
            "aes128-ctr,",
            "-*",
            "+aes128-cbc,aes256-cbc",
            "-*-cbc,*@openssh.com",
            "+",
            "-",
            "^-aes128-ctr",
        ],
    ),
    (
        "MACs",
        &[
            "hmac-sha2-256",
            "+hmac-md5",
            "-*sha1*",
            "hmac-sha1,hmac-sha1",
            "^hmac-sha2-512",
        ],
    ),
    (
        "KexAlgorithms",
        &[
            "curve25519-sha256",
            "-diffie*",
            "+diffie-hellman-group1-sha1",
            "^curve25519-sha256",
            "ecdh-sha2-nistp256,ecdh-sha2-nistp256",
            "sntrup761x25519-sha512@openssh.com,curve25519-sha256@libssh.org",
            "-*",
            "-*sha1,*nistp*",
        ],
    ),
    (
        "HostKeyAlgorithms",
        &[
            "ssh-ed25519",
            "+ssh-rsa",
            "rsa-sha2-512,ssh-ed25519",
            "-ecdsa*,*cert*",
            "^rsa-*",
            "ssh-rsa",
            "*-cert-v01@openssh.com",
            "-*",
        ],
    ),
    (
        "PermitUserEnvironment",
        &["yes", "no", "LANG,X*", "YES", r#""A B""#],
    ),
    ("FingerprintHash", &["md5", "sha256", "SHA512", "sha384"]),
    (
        "VersionAddendum",
        &[
            "none",
            "hello world",
            "None",
            "x # y",
            r#""a b""#,
            "it's",
            "#none",
        ],
    ),
    ("PidFile", &["none", "/run/x.pid", "~/pid"]),
    ("Protocol", &["2"]),
    ("KeyRegenerationInterval", &["3600"]),
    ("RekeyLimit", &["1M 60"]),
    ("IgnoreUserKnownHosts", YES_NO),
    ("KerberosOrLocalPasswd", YES_NO),
    ("KerberosTicketCleanup", YES_NO),
    ("GSSAPICleanupCredentials", YES_NO),
    ("GSSAPIKeyExchange", YES_NO),
    ("GSSAPIStrictAcceptorCheck", YES_NO),
    ("GSSAPIStoreCredentialsOnRekey", YES_NO),
    ("PrintLastLog", YES_NO),
    ("DebianBanner", YES_NO),
    ("ModuliFile", &["/etc/ssh/moduli", "moduli"]),
    ("XAuthLocation", &["/usr/bin/xauth", "xauth"]),
    ("SecurityKeyProvider", &["internal", "/usr/lib/sk.so"]),
    (
        "HostKeyAgent",
        &["none", "SSH_AUTH_SOCK", "/run/agent", "agent"],
    ),
    ("HostCertificate", &["none", "/etc/ssh/cert.pub"]),
    (
        "PerSourcePenalties",
        &[
            "no",
            "yes",
            "authfail:10s noauth:1m",
            "max:1h min:2",
            "overflow:deny-all max-sources4:5",
            "crash:1h authfail:0 overflow6:deny-all",
            "refuseconnection:1m30s grace-exceeded:2",
            "authfail:1h max:10m min:1s",
            "max-sources4:100 max-sources6:5 overflow:permissive",
            "authfail:1 authfail:2",
            "'noauth:5'",
        ],
    ),
    (
        "PerSourcePenaltyExemptList",
        &[
            "192.0.2.0/24,2001:db8::/32",
            "none",
            "192.0.2.7",
            "\"192.0.2.0/24\"",
            "!192.0.2.9,192.0.2.0/24",
        ],
    ),
    ("UseLogin", YES_NO),
    ("HostDSAKey", &["/etc/ssh/three"]),
    ("KeepAlive", YES_NO),
    ("DSAAuthentication", YES_NO),
    ("SkeyAuthentication", YES_NO),
    ("PermitBlacklistedKeys", YES_NO),
    (
        "GSSAPIKexAlgorithms",
        &["gss-group14-sha256-", "gss-gex-sha1-,gss-nistp256-sha256-"],
    ),
    ("UsePrivilegeSeparation", &["sandbox"]),
    ("RhostsRSAAuthentication", YES_NO),
    ("WarnWeakCrypto", &["yes", "no", "no-pq-kex"]),
    ("AgentSocketPath", &["none", "user:x", "shared:/tmp"]),
    ("Hostkey", &["/etc/ssh/one", "/etc/ssh/two"]),
];

const WRONG: &[&str] = &[
    "PermitRootLogn no",
    "MaxAuthTries many",
    "X11Forwarding yes no",
    "PasswordAuthentication true",
    "Ciphers aes256-gmc@openssh.com",
    "ClientAliveInterval ten",
    "Banner \"open",
    "Match Colour red",
    "Match Address 192.0.2.1/24",
    "AllowUsers a@192.0.2.1/24",
    "MaxStartups 10:30:5",
    "Port 70000",
    "PermitOpen here",
    "Match User",
    "RDomain none",
    "AuthorizedKeysFile",
    "LogLevel LOUD",
    "IPQoS bogus",
    "RekeyLimit 1",
    "SetEnv X",
    "PermitListen x:y:z",
    "AuthenticationMethods publickey,none",
    "Match all User x",
    "Match User alice bob",
    "Match Address 192.0.2.0/33",
    "Match SessionType shell",
    "Match User=",
    "Match User root #c",
    "Match User 'root",
    "Match User root\nUseLogin no",
    "Match User root\nRSAAuthentication no",
    "Match User root\nPort 22",
    "Match all\nPort 22",
    "Match Group \"a b",
    "PermitTunnel YES",
    "Include",
    "Include \"\"",
    "AllowUsers \"\"",
    "AllowUsers",
    "AcceptEnv # none",
    "SetEnv A",
    "LogVerbose a none",
    "PermitOpen any,none",
    "PerSourcePenalties yes no",
    "PerSourcePenalties",
    "PerSourcePenaltyExemptList 192.0.2.1/24",
    "ListenAddress 192.0.2.0/24",
    "ListenAddress",
    "AddressFamily inet\nListenAddress ::1",
    "RekeyLimit 1X",
    "RekeyLimit 1G 1y",
    "RekeyLimit 1..5G",
    "MaxStartups 10:30",
    "MaxStartups 0",
    "MaxStartups -1",
    "GSSAPIKexAlgorithms gss-none-",
    "Ciphers ,aes128-ctr",
    "Ciphers aes128-ctr, aes256-ctr",
    "HostKeyAlgorithms !ssh-rsa",
    "X11Forwarding yes#no",
    "X11Forwarding==yes",
    "X11Forwarding = = yes",
    "X11Forwarding yes \"\"",
    "X11Forwarding yes ''",
    "X11Forwarding 'yes",
    "X11Forwarding yes # it's",
    "X11Forwarding yes\\ no",
    "X11Forwarding ye\\s",
    "'X11Forwarding' yes",
    "X11Forwarding\"yes\"",
    "X11Forwarding yes;",
    "X11Forwarding, yes",
    "X11Forwarding: yes",
    "Subsystem sftp \"\"",
    "Match all\nSubsystem sftp",
    "Match User root\nSubsystem sftp",
    "Subsystem sftp internal-sftp\nSubsystem sftp",
    "Subsystem",
    "AuthenticationMethods any\nAuthenticationMethods nonsense",
    "AuthenticationMethods none",
    "AuthenticationMethods \"\"",
    "AuthenticationMethods publickey,,password",
    "AuthenticationMethods publickey,password:",
    "AuthenticationMethods pubkey",
    "ChannelTimeout none session=5m",
    "ChannelTimeout session=5m none",
    "ChannelTimeout \"\"",
    "ChannelTimeout =5m",
    "UnusedConnectionTimeout 5m 6m",
    "UnusedConnectionTimeout never",
    "PerSourcePenalties authfail",
    "PerSourcePenalties authfail:-1",
    "PerSourcePenalties overflow:maybe",
    "PerSourcePenalties max-sources4:0",
    "PerSourcePenalties no authfail:1",
    "PerSourcePenalties min:1h max:1m",
    "PerSourceNetBlockSize 33",
    "PerSourceNetBlockSize 24:129",
    "PerSourceMaxStartups many",
    "Match invalid-user",
    "Match invalid-user=yes",
    "Match invalid-user user root",
    "Match LocalPort 22,2222",
    "Match LocalPort 0",
    "Match LocalAddress 192.0.2.1/24",
    "Match Address",
    "Match \"User root\"",
    "Match User root,",
    "Match User ,root",
    "Match User \"\"",
    "Match Address \"\"",
    "Match Address *.example.org",
    "Match Address 192.0.2",
    "Match Host=",
    "Match",
    "Match # all",
    "Match all all",
    "Match User root all",
    "Match !User root",
    "Match User root\nMatch",
    "Match User root\nInclude",
    "Match User root\nMaxStartups 5",
    "PermitOpen 192.0.2.1",
    "PermitOpen 192.0.2.1:80,192.0.2.2:80",
    "PermitOpen host:0",
    "PermitOpen :80",
    "PermitOpen host/80",
    "PermitOpen \"\"",
    "PermitOpen host:80 \"\" junk",
    "PermitListen \"\"",
    "PermitListen host",
    "PermitListen 0",
    "SetEnv =x",
    "SetEnv A=1 \"\"",
    "AcceptEnv A \"\" B",
    "AllowGroups a \"\" b",
    "AllowUsers root@",
    "AllowUsers @192.0.2.1",
    "AllowUsers root@192.0.2.0/24,192.0.2.1/24",
    "DenyUsers !",
    "LogLevel",
    "LogLevel INFO VERBOSE",
    "SyslogFacility",
    "Banner",
    "Banner \"\"",
    "MaxAuthTries -1",
    "MaxAuthTries 3.5",
    "MaxAuthTries \"\"",
    "MaxSessions 0x10",
    "MaxStartups 10:0:100",
    "MaxStartups 10:101:100",
    "MaxStartups 10:30:",
    "MaxStartups -1:30:50",
    "MaxStartups 5:30:-1",
    "MaxStartups ten",
    "Port 22 23",
    "Port -1",
    "Port 0",
    "Ciphers \"\"",
    "Ciphers aes128-ctr,,aes256-ctr",
    "Ciphers aes*",
    "Ciphers +aes*",
    "Ciphers !aes128-ctr",
    "MACs hmac-sha2-256 hmac-sha2-512",
    "KexAlgorithms +none",
    "HostKeyAlgorithms ssh-*,nothing*",
    "PubkeyAcceptedAlgorithms !ssh-*",
    "CASignatureAlgorithms none",
    "Compression zlib",
    "RekeyLimit \"\"",
    "RekeyLimit default 1h none",
    "RekeyLimit -1",
    "IPQoS \"\"",
    "IPQoS af21 \"\"",
    "ForceCommand \"\"",
    "ForceCommand # nothing",
    "AuthorizedKeysCommand \"/bin/x\"",
    "AuthorizedKeysCommand none # x",
    "AuthorizedKeysCommandUser",
    "VersionAddendum \"",
    "VersionAddendum a\rb",
    "HostKey",
    "HostKey \"\"",
    "HostCertificate a b",
    "Include \"open",
    "Include # nothing",
    "StreamLocalBindMask 8",
    "StreamLocalBindMask -1",
    "StreamLocalBindMask x",
    "FingerprintHash",
    "PidFile",
    "ChrootDirectory",
    "ChrootDirectory /a b",
    "TrustedUserCAKeys /a /b",
    "RevokedKeys none /a",
    "GatewayPorts CLIENTSPECIFIED",
    "PermitRootLogin PROHIBIT-password",
    "IgnoreRhosts SHOSTS-only",
    "LoginGraceTime -1",
    "LoginGraceTime 2m30",
    "LoginGraceTime 2147483648",
    "X11DisplayOffset -1",
    "X11DisplayOffset 99999999999",
    "X11Forwarding",
    "X11Forwarding \"\"",
    "\"X11Forwarding yes",
    "PubkeyAuthOptions",
    "AuthorizedKeysFile none x",
    "AuthorizedKeysFile # x",
    "ChannelTimeout session=none",
    "ClientAliveInterval 1.5",
    "Subsystem sftp a\nSubsystem sftp b",
    "RequiredRSASize",
    "FingerprintHash sha3",
    "IPQoS 256",
    "IPQoS af21 af22 af23",
    "StreamLocalBindMask 01000",
    "ChannelTimeout session",
    "PerSourceMaxStartups -1",
    "StreamLocalBindMask 999",
    "AllowUsers a@192.0.2.0/33",
    "KexAlgorithms",
    "MACs +",
    "ListenAddress 192.0.2.1:99999",
    "ForceCommand",
    "PubkeyAcceptedAlgorithms rsa-sha9",
    "SyslogFacility KERN",
    "LoginGraceTime 1y",
    "ClientAliveInterval 99999999999",
    "Match LocalPort many",
    "Match Address 2001:db8::1/32",
    "PermitTunnel maybe",
    "TCPKeepAlive",
    "\"Port\" 22",
    "X11Forwarding \"yes\"",
    "X11Forwarding 'yes'",
    "AcceptEnv A=B",
    "Banner a b",
    "AllowGroups \"with blank\" other",
    "VersionAddendum",
    "RequiredRSASize 100",
    "ExposeAuthInfo yes no",
    "HostKeyAlgorithms nothing",
    "=PasswordAuthentication yes",
];

const MATCHES: &[&str] = &[
    "User root",
    "User alice,bob",
    "User *,!root",
    "Group root",
    "Group games,staff",
    "Group *,!root",
    "Address 192.0.2.0/24",
    "Address 192.0.2.*,!192.0.2.9",
    "Address 2001:db8::/32",
    "Host *.example.org",
    "Host !h.example.org,*",
    "LocalPort 22",
    "LocalPort 2222",
    "LocalAddress 198.51.100.1",
    "User root Address 192.0.2.0/24",
    "User=root",
    "all",
    "ALL",
    "user \"root\" host *",
    "User root,games Group games",
    "Group *,!games User !root,*",
    "Host 192.0.2.*,*.Example.ORG",
    "Address 192.0.2.0/24,!192.0.2.9/32,2001:db8::/32",
    "Address !192.0.2.0/24,*",
    "Address 0.0.0.0/0",
    "Address 198.51.100.9,::/0",
    "LocalAddress 203.0.113.0/24 LocalPort 22",
    "LocalPort ssh",
    "RDomain *",
    "User nosuchuser",
    "User 'ro'ot",
    "User root # and nobody else",
    "all # of them",
    "User \"root\",games",
    "User root,\"games\" Address 192.0.2.0/24",
    "User \"a b\",root",
    r"User a\ b,root",
    "Group \"domain users\",root LocalPort=22",
    "User=root Address=192.0.2.0/24",
    "User = root",
    "Address 192.0.2.7,2001:db8::7",
    "Address ::/0",
    "Address 192.0.2.?",
    "Address 2001:DB8:0::7",
    "Address 192.0.2.7/32",
    "LocalAddress 198.51.100.*,!198.51.100.2",
    "Host *.example.org,!x.example.org User !root,*",
    "RDomain vrf*,!vrf1",
    "RDomain !vrf0,*",
    "User r??t,g*",
    "Group !root,*",
    "\tUser\troot\t",
    "user root group root host * address * localaddress * localport 22",
];

/// What only some releases know.
const NEWER: &[(Release, &str)] = &[
    ((9, 9), "invalid-user"),
    ((9, 9), "Invalid-User Address 192.0.2.0/24"),
    ((10, 0), "version OpenSSH_*"),
    ((10, 0), "Version !OpenSSH_9.*,OpenSSH_* User root"),
    ((10, 0), "Version OpenSSH_1.*"),
];

/// `narrow`: only so many keywords from there, so that lines meet lines of the same keyword.
#[derive(Clone, Copy)]
struct Theme {
    start: usize,
    narrow: usize,
}

impl Theme {
    fn new(d: &mut Dice) -> Theme {
        let narrow = if d.chance(40) { 4 } else { 1000 };
        let start = d.roll(1000);
        Theme { start, narrow }
    }

    /// Mostly a keyword that the release knows.
    fn pick(self, d: &mut Dice, rows: &[(&'static str, Values)]) -> (&'static str, Values) {
        let mut wide = 0;
        loop {
            // Where none of the few does, any other.
            wide += 1;
            let few = if wide > 20 { rows.len() } else { self.narrow };
            let at = self.start + d.roll(few.min(rows.len()));
            let row = rows[at % rows.len()];
            let known =
                keywords::by_name_in(row.0, release()).is_some() || keywords::gone(row.0).is_some();
            if (known || d.chance(2)) && !unbuilt(row.0) {
                return row;
            }
        }
    }
}

/// From 10.1 on Debian builds GSSAPI into a package of its own.
fn unbuilt(keyword: &str) -> bool {
    release() >= (10, 1) && left_out(&keyword.to_ascii_lowercase())
}

/// A value as somebody might write it: its words quoted, or half quoted.
fn dressed(d: &mut Dice, value: &str) -> String {
    if value.contains(['"', '\'', '#', '\\']) || !d.chance(15) {
        return value.to_owned();
    }
    // Before 8.7 these quote nothing.
    let kinds = if release() < (8, 7) && d.chance(80) {
        [0, 2, 4, 5]
    } else {
        [0, 1, 2, 3]
    };
    let words = value.split(' ').map(|word| match kinds[d.roll(4)] {
        0 => format!("\"{word}\""),
        1 => format!("'{word}'"),
        2 if word.len() > 2 => format!("{}\"{}\"", &word[..1], &word[1..]),
        3 if word.len() > 2 => format!("'{}'\"{}\"", &word[..1], &word[1..]),
        _ => word.to_owned(),
    });
    let between = if release() < (8, 7) { " " } else { "  " };
    words.collect::<Vec<_>>().join(between)
}

/// A file with one character too many or too few.
fn slip(d: &mut Dice, text: &mut String) {
    const MORE: [char; 18] = [
        '"', '\'', '\\', '#', '=', ' ', '\t', ',', ':', '!', '*', '?', '@', '/', '+', '-', '0', 'x',
    ];
    // What stands in the first two lines is no directive.
    let begin = text.match_indices('\n').nth(1).map_or(0, |(at, _)| at + 1);
    if !text.is_ascii() || begin >= text.len() {
        return;
    }
    let at = begin + d.roll(text.len() - begin);
    match d.chance(70) {
        true => text.insert(at, MORE[d.roll(MORE.len())]),
        false if !text[at..].starts_with('\n') => drop(text.remove(at)),
        false => {}
    }
}

fn cased(d: &mut Dice, keyword: &str) -> String {
    match d.roll(10) {
        0 => keyword.to_ascii_uppercase(),
        1 => keyword.to_ascii_lowercase(),
        _ => keyword.to_owned(),
    }
}

fn directive(d: &mut Dice, theme: Theme, global: bool) -> String {
    let (keyword, values) = match global && d.chance(40) {
        true => theme.pick(d, GLOBAL),
        false => theme.pick(d, ANYWHERE),
    };
    let value = values[d.roll(values.len())];
    // These take the line as it stands.
    let value = match keyword.ends_with("Command") {
        true => value.to_owned(),
        false => dressed(d, value),
    };
    let between = d.pick(&[" ", "\t", "  ", "=", " = ", " =", "= ", " \t "]);
    let indent = d.pick(&["", "  ", "\t", " \t "]);
    let end = d.pick(&[
        "",
        "",
        "",
        "",
        "  ",
        "\t",
        "\r",
        " \x0c",
        " # why",
        "\t#why",
        " #",
        " # it's \"so",
    ]);
    // sshd does not start with a command and no user: mostly it has one here.
    let user = match keyword.ends_with("Command") && keyword != "ForceCommand" && d.chance(90) {
        true => format!("{keyword}User nobody\n"),
        false => String::new(),
    };
    let keyword = cased(d, keyword);
    format!("{indent}{keyword}{between}{value}{end}\n{user}")
}

/// A Match line, and the lines of its block.
fn block(d: &mut Dice, theme: Theme, lines: usize, text: &mut String) {
    let release = release();
    let newer = NEWER.iter().filter(|(r, _)| *r <= release);
    let newer: Vec<&str> = newer.map(|(_, m)| *m).collect();
    let criteria = match !newer.is_empty() && d.chance(15) {
        true => d.pick(&newer),
        false => MATCHES[d.roll(MATCHES.len())],
    };
    // 9.9p1 does not start with `=` there, 9.9p2 does: a release does not tell.
    let criteria = match release == (9, 9) {
        true => criteria.replace("User=", "User "),
        false => criteria.to_owned(),
    };
    let keyword = cased(d, "Match");
    text.push_str(&format!("{keyword} {criteria}\n"));
    for _ in 0..=d.roll(lines) {
        text.push_str(&directive(d, theme, false));
    }
}

/// A line that includes some of the drop-ins, or none.
fn include(d: &mut Dice, drop_ins: &Path) -> String {
    let folder = drop_ins.display();
    match d.roll(16) {
        0 => format!("Include {folder}/00-x.conf {folder}/10-x.conf\n"),
        1 => format!("include\t\"{folder}/*.conf\"\n"),
        2 => format!("Include {folder}/[0-9]*.conf\n"),
        3 => format!("Include {folder}/?0-x.conf # all\n"),
        4 => format!("Include={folder}/none/*.conf\n"),
        5 => format!("Include {folder}/[!1]*.conf {folder}/*\n"),
        6 => format!("Include {folder}\n"),
        7 => format!("Include '{folder}/00-x.conf' \"{folder}/00-x.conf\"\n"),
        8 => format!("Include {folder}/../d/*.conf\n"),
        9 => format!("Include \t {folder}/*0-x.conf\t{folder}/missing.conf #x\n"),
        _ => format!("Include {folder}/*.conf\n"),
    }
}

/// The main file, with drop-ins beside it.
fn generate(d: &mut Dice, folder: &Path) -> PathBuf {
    let theme = Theme::new(d);
    let drop_ins = folder.join("d");
    let _ = fs::remove_dir_all(&drop_ins);
    fs::create_dir_all(drop_ins.join("deep")).unwrap();
    fs::write(drop_ins.join("deep/x.conf"), directive(d, theme, false)).unwrap();
    for i in 0..d.roll(3) {
        let mut text = String::new();
        for _ in 0..d.roll(5) {
            text.push_str(&directive(d, theme, false));
        }
        if d.chance(40) {
            block(d, theme, 3, &mut text);
        }
        if d.chance(15) {
            text.push_str(&format!("Include {}/deep/*.conf\n", drop_ins.display()));
        }
        fs::write(drop_ins.join(format!("{i}0-x.conf")), text).unwrap();
    }
    fs::write(drop_ins.join(".hidden.conf"), "X11Forwarding maybe\n").unwrap();
    let mut text = String::from("# generated\n\n");
    if d.chance(50) {
        text.push_str(&include(d, &drop_ins));
    }
    for _ in 0..d.roll(12) {
        text.push_str(&directive(d, theme, true));
    }
    for _ in 0..d.roll(4) {
        block(d, theme, 4, &mut text);
        if d.chance(15) {
            text.push_str(&include(d, &drop_ins));
        }
    }
    if d.chance(12) {
        let wrong = WRONG[d.roll(WRONG.len())];
        match d.chance(50) {
            true => text.push_str(&format!("{wrong}\n")),
            false => text.insert_str(0, &format!("{wrong}\n")),
        }
    }
    if d.chance(5) {
        text.truncate(text.trim_end().len());
    }
    if d.chance(10) {
        slip(d, &mut text);
    }
    let main = folder.join("sshd_config");
    fs::write(&main, text).unwrap();
    main
}

fn connection(d: &mut Dice) -> Connection {
    let user = d.pick(&["root", "daemon", "games", "nosuchuser"]);
    let host = d.pick(&[
        "h.example.org",
        "x.example.org",
        "H.Example.Org",
        "other.test",
    ]);
    let addr = d.pick(&["192.0.2.7", "192.0.2.9", "198.51.100.9", "2001:db8::7"]);
    Connection {
        user: Some(user.to_owned()),
        groups: groups(user),
        host: Some(host.to_owned()),
        addr: Some(addr.to_owned()),
        laddr: Some(d.pick(&["198.51.100.1", "203.0.113.1"]).to_owned()),
        lport: Some(if d.chance(50) { 22 } else { 2222 }),
        rdomain: d.chance(20).then(|| "vrf0".to_owned()),
        // sshd goes by what it is told here, not by the account.
        invalid_user: release() >= (9, 9) && user == "nosuchuser" && d.chance(70),
        ..Connection::default()
    }
}

/// As getgrouplist(3) gives them from the files.
fn groups(user: &str) -> Vec<String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let Some(gid) = passwd
        .lines()
        .map(|l| l.split(':').collect::<Vec<_>>())
        .find(|f| f[0] == user)
        .map(|f| f[3].to_owned())
    else {
        return Vec::new();
    };
    let group = fs::read_to_string("/etc/group").unwrap();
    let fields = group.lines().map(|l| l.split(':').collect::<Vec<_>>());
    fields
        .filter(|f| f[2] == gid || f[3].split(',').any(|m| m == user))
        .map(|f| f[0].to_owned())
        .collect()
}

/// What an unpacked sshd of another release was told when it was built.
const OF_THE_BUILD: [&str; 4] = ["sshdsessionpath", "sshdauthpath", "debianbanner", "pidfile"];

/// What a build without Kerberos does not print.
fn left_out(keyword: &str) -> bool {
    keyword.starts_with("gssapi") || keyword.starts_with("kerberos")
}

fn table<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        out.entry(keyword.to_ascii_lowercase())
            .or_default()
            .push(value.trim_end().to_owned());
    }
    out
}

fn missing() -> Option<String> {
    if !Path::new(&sshd()).exists() {
        return Some(format!("there is no {}", sshd()));
    }
    let root =
        fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    (!root).then(|| "sshd -T needs root".to_owned())
}

/// Releases before 9.2 know no -V, and say theirs when they refuse it.
fn release() -> Release {
    static SAID: std::sync::OnceLock<Release> = std::sync::OnceLock::new();
    *SAID.get_or_init(ask_release)
}

fn ask_release() -> Release {
    let said = Command::new(sshd()).arg("-V").output().unwrap();
    let said =
        String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
    let at = said.find("OpenSSH_").unwrap() + 8;
    parse_release(&said[at..]).unwrap()
}

/// What both say about one connection, or without one, where they differ.
fn differences(
    ours: &Config,
    c: Option<&Connection>,
    key: &Path,
    main: &Path,
) -> (bool, Vec<String>) {
    let mut asked = Command::new(sshd());
    asked.current_dir("/").args(["-T", "-h"]).arg(key);
    if let Some(c) = c {
        asked.args(["-C", &spec(c)]);
    }
    let said = asked.arg("-f").arg(main).output().unwrap();
    let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
    // It fell over, which says nothing about the file: 9.5 to 10.0 do when a block defines a subsystem and none stands outside.
    if said.status.code().is_none() {
        eprintln!("sshd itself crashed: {}", main.display());
        return (true, Vec::new());
    }
    let e = effective(ours, c);
    match (
        said.status.success(),
        ours.is_sound() && e.refusals.is_empty(),
    ) {
        (false, false) => return (true, Vec::new()),
        // Without -C it does not go on with a file that asks for what is not said.
        (false, true) if complaint.contains("connection test specification") => {
            return (true, Vec::new());
        }
        // Which accounts there are is nothing that the file says.
        (false, true) if complaint.contains("tilde_expand") => return (true, Vec::new()),
        (false, true) => return (true, vec![format!("sshd refuses, we do not: {complaint}")]),
        (true, false) => {
            let mut all = ours.diagnostics.iter().chain(&e.refusals);
            let first = all.find(|d| d.level == Level::Error);
            return (false, vec![format!("we refuse, sshd does not: {first:?}")]);
        }
        (true, true) => {}
    }
    let theirs = String::from_utf8_lossy(&said.stdout).into_owned();
    let theirs = table(theirs.lines());
    let dump = e.dump();
    let mut mine = table(dump.iter().map(String::as_str));
    if ours.release != (9, 2) {
        for keyword in OF_THE_BUILD {
            if let Some(v) = theirs.get(keyword) {
                mine.insert(keyword.to_owned(), v.clone());
            }
        }
        mine.retain(|k, _| theirs.contains_key(k) || !left_out(k));
    }
    // The test's own -h stands before what the file says.
    if let Some(keys) = theirs.get("hostkey") {
        mine.insert("hostkey".to_owned(), keys.clone());
    }
    let keywords: BTreeSet<&String> = theirs.keys().chain(mine.keys()).collect();
    let differ = keywords
        .into_iter()
        .filter(|k| mine.get(*k) != theirs.get(*k));
    let told = differ.map(|k| format!("{k}: we say {:?}, sshd {:?}", mine.get(k), theirs.get(k)));
    (false, told.collect())
}

/// A folder with a host key for `-h`.
fn desk(name: &str) -> (PathBuf, PathBuf) {
    let _ = fs::create_dir_all("/run/sshd");
    let folder = std::env::temp_dir().join(format!("sshwhy-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let key = folder.join("hostkey");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    (folder, key)
}

fn spec(c: &Connection) -> String {
    let of = |v: &Option<String>| v.clone().unwrap();
    let mut out = format!(
        "user={},host={},addr={},laddr={},lport={}",
        of(&c.user),
        of(&c.host),
        of(&c.addr),
        of(&c.laddr),
        c.lport.unwrap()
    );
    if let Some(domain) = &c.rdomain {
        out.push_str(&format!(",rdomain={domain}"));
    }
    if c.invalid_user {
        out.push_str(",invalid-user");
    }
    out
}

/// Asks sshd about each of the files, at its start too where `at_the_start`, and nothing may differ. At least so many are asked.
fn all_agree(name: &str, files: impl Iterator<Item = String>, at_the_start: bool, least: usize) {
    if let Some(why) = missing() {
        eprintln!("skipped: config_sshd::{name}: {why}");
        return;
    }
    let release = release();
    let (folder, key) = desk(name);
    let main = folder.join("sshd_config");
    let c = connection(&mut Dice(7));
    let each = if std::env::var_os("SSHWHY_TEST_ALL").is_some() {
        1
    } else {
        5
    };
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for text in files.step_by(each) {
        fs::write(&main, &text).unwrap();
        let ours = parse(&Disk, main.to_str().unwrap(), release, "/");
        for c in [None, Some(&c)]
            .into_iter()
            .skip(usize::from(!at_the_start))
        {
            let (_, differ) = differences(&ours, c, &key, &main);
            asked += 1;
            if !differ.is_empty() {
                wrong.push(format!("{text}{}", differ.join("\n")));
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    let differ = wrong.len();
    eprintln!("OpenSSH {release:?}: {name}: {asked} answers compared, {differ} differ");
    assert!(asked > least / each);
    wrong.truncate(40);
    assert!(
        wrong.is_empty(),
        "{differ} of {asked} differ:\n{}",
        wrong.join("\n")
    );
}

/// What each keyword does with a second line, before and within a Match block: every pair of the values above.
#[test]
fn a_second_line_does_what_it_does_to_sshd() {
    let anywhere = ANYWHERE.iter().map(|r| (r, 3));
    let rows = anywhere.chain(GLOBAL.iter().map(|r| (r, 1)));
    let files =
        rows.filter(|((keyword, _), _)| !unbuilt(keyword))
            .flat_map(|((keyword, values), ways)| {
                let pairs = values
                    .iter()
                    .flat_map(move |one| values.iter().map(move |two| (one, two)));
                pairs.flat_map(move |(one, two)| {
                    [
                        format!("{keyword} {one}\n{keyword} {two}\n"),
                        format!("{keyword} {one}\nMatch all\n{keyword} {two}\n"),
                        format!(
                            "Match User nosuch\n{keyword} {one}\nMatch User *\n{keyword} {two}\n"
                        ),
                    ]
                    .into_iter()
                    .take(ways)
                })
            });
    all_agree(
        "a_second_line_does_what_it_does_to_sshd",
        files,
        false,
        5000,
    );
}

/// Every wrong line of those above, alone, behind others, in a block, and with what may follow a value.
#[test]
fn what_is_wrong_is_so_to_sshd_too() {
    let user = connection(&mut Dice(7)).user.unwrap();
    let files = WRONG.iter().flat_map(|line| {
        [
            format!("{line}\n"),
            format!("{line} # so\n"),
            format!("{line} \"\"\n"),
            format!("UsePAM yes\n{line}\n{line}\n"),
            format!("Match User {user}\n{line}\n"),
            format!("Match User nosuch\n{line}\nMatch all\n{line}"),
        ]
    });
    all_agree("what_is_wrong_is_so_to_sshd_too", files, true, 2000);
}

#[test]
fn our_values_are_those_of_sshd() {
    if let Some(why) = missing() {
        eprintln!("skipped: config_sshd::our_values_are_those_of_sshd: {why}");
        return;
    }
    let release = release();
    let (folder, key) = desk("config");
    let (mut asked, mut refused) = (0, 0);
    // One answer of each file that differs is enough to see why.
    let (mut wrong, mut differing) = (Vec::new(), 0);
    let from = first();
    for number in from..from + CONFIGURATIONS {
        let mut d = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let main = generate(&mut d, &folder);
        let ours = parse(&Disk, main.to_str().unwrap(), release, "/");
        let before = wrong.len();
        for nth in 0..=CONNECTIONS {
            let c = (nth > 0).then(|| connection(&mut d));
            let (no, differ) = differences(&ours, c.as_ref(), &key, &main);
            asked += 1;
            refused += usize::from(no);
            differing += usize::from(!differ.is_empty());
            if !differ.is_empty() && wrong.len() == before {
                let text: String = ours
                    .sources
                    .iter()
                    .map(|s| format!("--- {}\n{}", s.name, s.lines.join("\n")))
                    .collect();
                let spec = c.as_ref().map(spec).unwrap_or_default();
                wrong.push(format!("#{number} ({spec})\n{}\n{text}", differ.join("\n")));
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    eprintln!(
        "OpenSSH {release:?}: {asked} answers compared, {refused} of them refusals, {} differ",
        differing
    );
    let shown = wrong
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(wrong.is_empty(), "{differing} of {asked} differ:\n{shown}",);
    assert!(
        asked >= 3000 && refused > 50 && refused < asked * 2 / 3,
        "{refused} of {asked}"
    );
}
