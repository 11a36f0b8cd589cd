//! The evaluator against the real thing: generated configurations, each asked about for several connections, by us and by
//! `sshd -T -C`. Where sshd refuses a file we must refuse it, and where it takes one every value must be the same.
//!
//! Without root or /usr/sbin/sshd it does not run, and says so by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use sshwhy_core::config::Files;
use sshwhy_core::config::effective::{Connection, effective};
use sshwhy_core::config::parse::parse;
use sshwhy_core::version::parse_release;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SSHD: &str = "/usr/sbin/sshd";
const CONFIGURATIONS: u64 = 500;
const CONNECTIONS: usize = 5;

struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        fs::read_to_string(path).map_err(|e| e.to_string())
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        let (folder, last) = pattern.rsplit_once('/').unwrap();
        let Ok(names) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut out: Vec<String> = names
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|n| !n.starts_with('.') && sshwhy_core::config::pattern::matches(n, last))
            .map(|n| format!("{folder}/{n}"))
            .collect();
        out.sort();
        out
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

const YES_NO: &[&str] = &["yes", "no", "YES", "No"];

/// Keywords allowed everywhere, with values of every kind; a few of them are wrong.
const ANYWHERE: &[(&str, &[&str])] = &[
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
    ("MaxAuthTries", &["1", "3", "6", "20"]),
    ("MaxSessions", &["0", "1", "10"]),
    ("ClientAliveInterval", &["0", "15", "1m", "1h30m", "2D"]),
    ("ClientAliveCountMax", &["0", "3"]),
    ("LogLevel", &["INFO", "verbose", "DEBUG", "debug2", "QUIET"]),
    ("Banner", &["none", "/etc/issue.net"]),
    (
        "ForceCommand",
        &[
            "none",
            "/bin/true",
            "internal-sftp -l INFO",
            "\"a b\" c # d",
            "echo 'x'",
        ],
    ),
    ("ChrootDirectory", &["none", "/srv/%u", "%h"]),
    (
        "AuthorizedKeysFile",
        &[
            "none",
            ".ssh/authorized_keys",
            "/etc/ssh/keys/%u .ssh/ak",
            "\".ssh/with blank\"",
        ],
    ),
    (
        "AuthenticationMethods",
        &[
            "publickey",
            "publickey,password",
            "publickey,password publickey,keyboard-interactive:pam",
        ],
    ),
    ("AcceptEnv", &["LANG", "LC_* XMODIFIERS", "A B C"]),
    ("SetEnv", &["A=1", "A=1 B=\"x y\"", "Z=9 Z=8"]),
    (
        "AllowUsers",
        &["root", "alice bob@192.0.2.*", "*@192.0.2.0/24"],
    ),
    ("DenyUsers", &["mallory", "m* n?"]),
    ("AllowGroups", &["root daemon", "staff"]),
    ("DenyGroups", &["games"]),
    (
        "PermitOpen",
        &["any", "none", "192.0.2.1:80 host:*", "[2001:db8::1]:22"],
    ),
    (
        "PermitListen",
        &["any", "none", "8080", "localhost:8080 *:90"],
    ),
    ("PermitTunnel", &["yes", "no", "point-to-point", "ethernet"]),
    (
        "IPQoS",
        &["af21", "lowdelay throughput", "none", "0x10 cs1", "8"],
    ),
    ("RekeyLimit", &["default", "1G", "512M 1h", "default none"]),
    ("StreamLocalBindMask", &["0177", "077"]),
    ("StreamLocalBindUnlink", YES_NO),
    ("RequiredRSASize", &["2048", "1024"]),
    (
        "PubkeyAcceptedAlgorithms",
        &[
            "+ssh-rsa",
            "-rsa*",
            "ssh-ed25519",
            "^ssh-ed25519",
            "ssh-ed25519,rsa-sha2-512",
            "ecdsa-*",
        ],
    ),
    (
        "PubkeyAuthOptions",
        &["none", "touch-required", "verify-required touch-required"],
    ),
    ("HostbasedAuthentication", YES_NO),
    ("PermitEmptyPasswords", YES_NO),
    ("TrustedUserCAKeys", &["none", "/etc/ssh/ca.pub"]),
    ("RevokedKeys", &["none", "/etc/ssh/revoked"]),
    (
        "AuthorizedPrincipalsFile",
        &["none", "/etc/ssh/principals/%u"],
    ),
    ("UnusedConnectionTimeout", &["none", "30", "5m"]),
    (
        "ChannelTimeout",
        &["none", "session=5m agent-connection=10"],
    ),
    ("IgnoreRhosts", &["yes", "no", "shosts-only"]),
    ("DisableForwarding", YES_NO),
    ("ExposeAuthInfo", YES_NO),
    ("PermitUserRC", YES_NO),
    ("X11DisplayOffset", &["5", "10"]),
    ("X11UseLocalhost", YES_NO),
];

const GLOBAL: &[(&str, &[&str])] = &[
    ("Port", &["22", "2222", "ssh"]),
    (
        "ListenAddress",
        &[
            "192.0.2.1",
            "192.0.2.1:2222",
            "[2001:db8::1]:22",
            "2001:db8::2",
            "0.0.0.0",
        ],
    ),
    ("AddressFamily", &["any", "inet", "inet6"]),
    ("UsePAM", YES_NO),
    ("StrictModes", YES_NO),
    ("LoginGraceTime", &["120", "2m", "1h30", "0"]),
    ("MaxStartups", &["10:30:100", "5", "3:100:3"]),
    ("PerSourceMaxStartups", &["none", "3"]),
    ("PerSourceNetBlockSize", &["24:64", "32", "32:128"]),
    ("PrintMotd", YES_NO),
    ("UseDNS", YES_NO),
    ("TCPKeepAlive", YES_NO),
    ("Compression", &["yes", "no", "delayed"]),
    ("SyslogFacility", &["AUTH", "AUTHPRIV", "local3"]),
    (
        "Ciphers",
        &[
            "aes128-ctr",
            "+3des-cbc",
            "-aes*",
            "^aes256-ctr,aes128-ctr",
            "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com",
        ],
    ),
    (
        "MACs",
        &[
            "hmac-sha2-256",
            "+hmac-md5",
            "-*sha1*",
            "hmac-sha1,hmac-sha1",
        ],
    ),
    (
        "KexAlgorithms",
        &[
            "curve25519-sha256",
            "-diffie*",
            "+diffie-hellman-group1-sha1",
        ],
    ),
    (
        "HostKeyAlgorithms",
        &["ssh-ed25519", "+ssh-rsa", "rsa-sha2-512,ssh-ed25519"],
    ),
    ("PermitUserEnvironment", &["yes", "no", "LANG,X*"]),
    ("FingerprintHash", &["md5", "sha256"]),
    ("VersionAddendum", &["none", "hello world"]),
    ("PidFile", &["none", "/run/x.pid"]),
    ("Protocol", &["2"]),
    ("KeyRegenerationInterval", &["3600"]),
    ("RekeyLimit", &["1M 60"]),
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
];

fn directive(d: &mut Dice, global: bool) -> String {
    let (keyword, values) = if global && d.chance(40) {
        GLOBAL[d.roll(GLOBAL.len())]
    } else {
        ANYWHERE[d.roll(ANYWHERE.len())]
    };
    let value = values[d.roll(values.len())];
    let between = d.pick(&[" ", "\t", "  ", "=", " = "]);
    let indent = d.pick(&["", "  ", "\t"]);
    let comment = if matches!(keyword, "ForceCommand" | "VersionAddendum") || d.chance(85) {
        ""
    } else {
        " # why"
    };
    format!("{indent}{keyword}{between}{value}{comment}\n")
}

fn block(d: &mut Dice, lines: usize, text: &mut String) {
    text.push_str(&format!("Match {}\n", MATCHES[d.roll(MATCHES.len())]));
    for _ in 0..=d.roll(lines) {
        text.push_str(&directive(d, false));
    }
}

/// The main file, with drop-ins beside it.
fn generate(d: &mut Dice, folder: &Path) -> PathBuf {
    let drop_ins = folder.join("d");
    let _ = fs::remove_dir_all(&drop_ins);
    fs::create_dir_all(&drop_ins).unwrap();
    for i in 0..d.roll(3) {
        let mut text = String::new();
        for _ in 0..d.roll(5) {
            text.push_str(&directive(d, false));
        }
        if d.chance(40) {
            block(d, 3, &mut text);
        }
        fs::write(drop_ins.join(format!("{i}0-x.conf")), text).unwrap();
    }
    let include = format!("Include {}/*.conf\n", drop_ins.display());
    let mut text = String::from("# generated\n\n");
    if d.chance(50) {
        text.push_str(&include);
    }
    for _ in 0..d.roll(12) {
        text.push_str(&directive(d, true));
    }
    for _ in 0..d.roll(4) {
        block(d, 4, &mut text);
        if d.chance(15) {
            text.push_str(&include);
        }
    }
    if d.chance(12) {
        let wrong = WRONG[d.roll(WRONG.len())];
        match d.chance(50) {
            true => text.push_str(&format!("{wrong}\n")),
            false => text.insert_str(0, &format!("{wrong}\n")),
        }
    }
    let main = folder.join("sshd_config");
    fs::write(&main, text).unwrap();
    main
}

fn connection(d: &mut Dice) -> Connection {
    let user = d.pick(&["root", "daemon", "games", "nosuchuser"]);
    let host = d.pick(&["h.example.org", "x.example.org", "other.test"]);
    let addr = d.pick(&["192.0.2.7", "192.0.2.9", "198.51.100.9", "2001:db8::7"]);
    Connection {
        user: Some(user.to_owned()),
        groups: groups(user),
        host: Some(host.to_owned()),
        addr: Some(addr.to_owned()),
        laddr: Some(d.pick(&["198.51.100.1", "203.0.113.1"]).to_owned()),
        lport: Some(if d.chance(50) { 22 } else { 2222 }),
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

fn table<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        out.entry(keyword.to_owned())
            .or_default()
            .push(value.trim_end().to_owned());
    }
    out
}

fn missing() -> Option<&'static str> {
    if !Path::new(SSHD).exists() {
        return Some("there is no /usr/sbin/sshd");
    }
    let root =
        fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    (!root).then_some("sshd -T needs root")
}

#[test]
fn our_values_are_those_of_sshd() {
    if let Some(why) = missing() {
        eprintln!("SKIPPED config_sshd::our_values_are_those_of_sshd: {why}");
        return;
    }
    let _ = fs::create_dir_all("/run/sshd");
    let version = Command::new(SSHD).arg("-V").output().unwrap();
    let version = String::from_utf8_lossy(&version.stderr).into_owned()
        + &String::from_utf8_lossy(&version.stdout);
    let at = version.find("OpenSSH_").unwrap() + 8;
    let release = parse_release(&version[at..]).unwrap();
    let folder = std::env::temp_dir().join(format!("sshwhy-config-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let key = folder.join("hostkey");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let (mut asked, mut refused) = (0, 0);
    for number in 1..=CONFIGURATIONS {
        let mut d = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let main = generate(&mut d, &folder);
        let text = fs::read_to_string(&main).unwrap();
        let ours = parse(&Disk, main.to_str().unwrap(), release, "/");
        for _ in 0..CONNECTIONS {
            let c = connection(&mut d);
            let of = |v: &Option<String>| v.clone().unwrap();
            let spec = format!(
                "user={},host={},addr={},laddr={},lport={}",
                of(&c.user),
                of(&c.host),
                of(&c.addr),
                of(&c.laddr),
                c.lport.unwrap()
            );
            let said = Command::new(SSHD)
                .current_dir("/")
                .args(["-T", "-h"])
                .arg(&key)
                .args(["-C", &spec, "-f"])
                .arg(&main)
                .output()
                .unwrap();
            let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
            asked += 1;
            if !said.status.success() {
                refused += 1;
                assert!(
                    !ours.is_sound(),
                    "#{number}: sshd refuses, we do not: {complaint}\n{text}"
                );
                continue;
            }
            assert!(
                ours.is_sound(),
                "#{number}: we refuse, sshd does not: {:?}\n{text}",
                ours.diagnostics
            );
            let theirs = String::from_utf8_lossy(&said.stdout).into_owned();
            let theirs = table(theirs.lines());
            let dump = effective(&ours, Some(&c)).dump();
            let mut mine = table(dump.iter().map(String::as_str));
            mine.insert(
                "hostkey".to_owned(),
                theirs.get("hostkey").cloned().unwrap_or_default(),
            );
            for (keyword, values) in &theirs {
                assert_eq!(
                    mine.get(keyword),
                    Some(values),
                    "#{number} {keyword} ({spec})\n{text}"
                );
            }
            for keyword in mine.keys() {
                assert!(
                    theirs.contains_key(keyword),
                    "#{number}: sshd does not print {keyword} {:?} ({spec})\n{text}",
                    mine.get(keyword)
                );
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(
        asked >= 2500 && refused > 50 && refused < asked / 2,
        "{refused} of {asked}"
    );
}
