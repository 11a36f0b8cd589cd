//! `doctor` beside a real sshd: each scenario in mount, network and process namespaces of its own, where nothing of this
//! machine changes. Needs root, sshd, nft, ip and unshare; says by name what is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use std::process::Command;

/// What every scenario stands on: a copy of /etc, an sshd_config of a few lines, keys of its own, one interface.
const WORLD: &str = r#"
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp -a /etc "$dir/etc"
mount --bind "$dir/etc" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir -p /run/sshd
rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d /etc/hosts.deny /etc/nologin
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n' > /etc/ssh/sshd_config
ip link set lo up
ip link add ve0 type veth peer name ve1
ip addr add 198.51.100.1/24 dev ve0
ip link set ve0 up
ip link set ve1 up
ip route add default via 198.51.100.254
start() { /usr/sbin/sshd || true; for i in 1 2 3 4 5 6 7 8 9 10; do ss -Hltn | grep -q . && break; sleep 0.1; done; }
conf() { printf '%s\n' "$@" >> /etc/ssh/sshd_config; }
# A server with PAM and a password for root; what it logged of the client a moment ago, each argument a message.
pam() { sed -i 's/^UsePAM no/UsePAM yes/' /etc/ssh/sshd_config; echo 'root:right-1' | chpasswd; }
says() { for m in "$@"; do printf '%s web1 sshd[77]: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%S.000000+00:00)" "$m"; done >> /var/log/auth.log; }
failed='Failed password for root from 203.0.113.9 port 4000 ssh2'
unix='pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root'
account='fatal: Access denied for user root by PAM account configuration [preauth]'
"#;

/// Name, what is done before doctor looks, and the cause (`none`: nothing may be found).
const SCENARIOS: &[(&str, &str, &str)] = &[
    ("healthy", "start", "none"),
    (
        "healthy behind a filter",
        "start; nft 'add table inet f; add chain inet f i { type filter hook input priority 0; policy drop; }; \
         add rule inet f i tcp dport { 22, 80 } counter accept'",
        "none",
    ),
    ("nobody listens", "true", "sshd-not-running"),
    ("another port", "conf 'Port 2222'; start", "wrong-port"),
    (
        "loopback only",
        "conf 'ListenAddress 127.0.0.1'; start",
        "listen-address",
    ),
    (
        "a misspelt option",
        "conf 'PermitRootLogon yes'; start",
        "sshd-config-error",
    ),
    (
        "no host key",
        "rm /etc/ssh/ssh_host_*; start",
        "host-keys-missing",
    ),
    (
        "a host key that others read",
        "chmod 644 /etc/ssh/ssh_host_ed25519_key; start",
        "host-key-permissions",
    ),
    (
        "a stopped daemon",
        "start; kill -STOP $(cat /run/sshd.pid)",
        "sshd-hung",
    ),
    (
        "dropped on the way in",
        "start; nft 'add table inet f; add chain inet f i { type filter hook input priority 0; policy drop; }; \
         add rule inet f i tcp dport 443 accept'",
        "firewall-server-drop",
    ),
    (
        "refused on the way in",
        "start; nft 'add table ip f; add chain ip f i { type filter hook input priority 0; }; \
         add rule ip f i tcp dport 22 reject with tcp reset'",
        "firewall-server-reject",
    ),
    (
        "dropped on the way out",
        "start; nft 'add table inet f; add chain inet f o { type filter hook output priority 0; policy drop; }; \
         add rule inet f o udp dport 53 accept'",
        "firewall-server-drop",
    ),
    (
        "banned",
        "start; nft 'add table inet f2b-table; add set inet f2b-table addr-set-sshd { type ipv4_addr; }; \
         add chain inet f2b-table c { type filter hook input priority -1; }; \
         add rule inet f2b-table c tcp dport 22 ip saddr @addr-set-sshd reject; \
         add element inet f2b-table addr-set-sshd { 203.0.113.9 }'",
        "ip-banned",
    ),
    (
        "no route back",
        "start; ip route del default",
        "no-return-route",
    ),
    (
        "denied by name",
        "conf 'DenyUsers root'; start",
        "user-not-allowed",
    ),
    (
        "every place taken",
        "conf 'MaxStartups 2'; start; for i in 3 4; do eval \"exec $i<>/dev/tcp/127.0.0.1/22\"; done; sleep 0.5",
        "max-startups",
    ),
    (
        "denied by an option that was typed",
        "/usr/sbin/sshd -o DenyUsers=root; sleep 0.5",
        "user-not-allowed",
    ),
    (
        "let in by options that were typed",
        "conf 'AllowUsers nobody'; /usr/sbin/sshd -o AllowUsers=root -p 22; sleep 0.5",
        "none",
    ),
    (
        "a second daemon that denies",
        "start; printf 'Port 2222\\nDenyUsers root\\n' > /etc/ssh/other; /usr/sbin/sshd -f /etc/ssh/other; sleep 0.5",
        "none",
    ),
    (
        "answers by a table that leads nowhere",
        "start; ip route add blackhole default table 9; ip rule add from 198.51.100.1 table 9",
        "no-return-route",
    ),
    (
        "answers by a table that works",
        "start; ip route add default via 198.51.100.254 table 9; ip rule add from 198.51.100.1 table 9",
        "none",
    ),
    (
        "a link to the client's network, down at its other end",
        "start; ip link add v0 type veth peer name v1; ip addr add 203.0.113.1/24 dev v0; ip link set v0 up",
        "no-return-route",
    ),
    (
        "dropped by a verdict map",
        "start; nft 'add table inet f; add chain inet f i { type filter hook input priority 0; }; \
         add rule inet f i tcp dport vmap { 22 : drop, 80 : accept }'",
        "firewall-server-drop",
    ),
    (
        "others are banned, and limits are far",
        "start; nft 'add table inet f; add set inet f b { type ipv4_addr; flags interval; }; \
         add element inet f b { 198.18.0.0/15, 203.0.113.8 }; \
         add chain inet f i { type filter hook input priority 0; policy drop; }; add rule inet f i ip saddr @b drop; \
         add rule inet f i tcp dport 22 ct state new limit rate 100/second accept; add rule inet f i tcp dport 22 accept'",
        "none",
    ),
    (
        "a shell that nothing runs",
        "printf '#!/opt/none\\n' > /etc/menu; chmod 755 /etc/menu; sed -i '/^root:/s,[^:]*$,/etc/menu,' /etc/passwd; start",
        "shell-missing",
    ),
    (
        "a revocation list with the key in it",
        "ssh-keygen -q -t ed25519 -N '' -f /run/key; cp /run/key.pub /etc/ssh/root_keys; \
         ssh-keygen -q -k -f /etc/ssh/krl /run/key.pub; \
         conf 'AuthorizedKeysFile /etc/ssh/root_keys' 'RevokedKeys /etc/ssh/krl'; start",
        "pubkey-revoked",
    ),
    (
        "a password that is wrong",
        r#"pam; start; says "$unix" "$failed""#,
        "wrong-password",
    ),
    (
        "a password that is wrong, and a module whose word counts for nothing",
        r#"pam; echo 'auth optional pam_exec.so /opt/none' >> /etc/pam.d/sshd; start
           says 'pam_exec(sshd:auth): /opt/none failed: exit code 2' "$unix" "$failed""#,
        "wrong-password",
    ),
    (
        "a module that refuses before anybody looks at the password",
        r#"pam; sed -i '1i auth required pam_exec.so /opt/posture' /etc/pam.d/sshd; start
           says 'pam_exec(sshd:auth): /opt/posture failed: exit code 1' "$failed""#,
        "pam-denied",
    ),
    (
        "a module that refuses the account: sshd calls the password failed",
        r#"pam; echo 'account required pam_exec.so /opt/hbac' >> /etc/pam.d/sshd; start
           says 'pam_exec(sshd:account): /opt/hbac failed: exit code 1' "$failed" "$account""#,
        "pam-denied",
    ),
    (
        "an account that is refused and nobody says by what",
        r#"pam; start; says "$failed" "$account""#,
        "pam-denied",
    ),
    (
        "a terminal where root may not log in",
        r#"pam; echo tty1 > /etc/securetty; sed -i '1i auth required pam_securetty.so' /etc/pam.d/sshd; start; says "$failed""#,
        "pam-denied",
    ),
    (
        "a shell that the password's stack does not like",
        r#"pam; sed -i '1i auth requisite pam_shells.so' /etc/pam.d/sshd; sed -i '/bash$/d' /etc/shells; start; says "$failed""#,
        "shell-not-listed",
    ),
    (
        "a session whose optional module fails",
        r#"pam; echo 'session optional pam_exec.so /opt/none' >> /etc/pam.d/sshd; start
           says 'Accepted password for root from 203.0.113.9 port 4000 ssh2' \
             'pam_exec(sshd:session): /opt/none failed: exit code 2' \
             'pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)'"#,
        "none",
    ),
];

fn missing() -> Option<String> {
    if !is_root() {
        return Some("root".to_owned());
    }
    let tools = ["sshd", "ssh-keygen", "nft", "ip", "ss", "unshare"];
    let there = |t: &&str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|d| std::path::Path::new(d).join(t).exists())
    };
    if let Some(tool) = tools.iter().find(|t| !there(t)) {
        return Some((*tool).to_owned());
    }
    let may = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--mount-proc",
            "true",
        ])
        .status()
        .is_ok_and(|s| s.success());
    (!may).then(|| "namespaces".to_owned())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn ask(setup: &str) -> serde_json::Value {
    let script = format!(
        "{WORLD}\n{setup}\n\"$SSHWHY\" doctor --format json --user root --from 203.0.113.9 || [ $? -lt 4 ]\n"
    );
    let out = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["bash", "-c", &script])
        .env("SSHWHY", env!("CARGO_BIN_EXE_sshwhy"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let from = text.find('{').unwrap_or(0);
    serde_json::from_str(&text[from..])
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&out.stderr)))
}

#[test]
fn a_real_sshd_and_what_keeps_clients_from_it() {
    if let Some(what) = missing() {
        for (name, ..) in SCENARIOS {
            eprintln!("skipped: {name}: needs {what}");
        }
        return;
    }
    let mut wrong = Vec::new();
    for (name, setup, expect) in SCENARIOS {
        let answer = ask(setup);
        let known: Vec<&str> = answer["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["confidence"].as_f64().unwrap() >= 0.5)
            .map(|f| f["cause"].as_str().unwrap())
            .collect();
        let right = match *expect {
            "none" => known.is_empty(),
            cause => known.first() == Some(&cause),
        };
        if !right {
            wrong.push(format!("{name}: expected {expect}, got {known:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
