//! `doctor --fix` on a host that runs: a real sshd, a user who cannot get in, and logins that prove it. Each in mount, network
//! and process namespaces of its own. Needs root, sshd, ssh, ip and unshare; says by name what is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// A machine on which alice may not log in for two reasons that --fix may mend: ~/.ssh is open to all, and /etc/nologin.
/// `broken` puts it so again; `state` prints what is so now; `login` tries it as a user would.
const WORLD: &str = r#"
set -eu
dir=$(mktemp -d)
chmod 755 "$dir"
trap 'rm -rf "$dir"' EXIT
cp -a /etc "$dir/etc"
mount --bind "$dir/etc" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir -p /run/sshd "$dir/alice/.ssh"
rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d /etc/hosts.deny /etc/nologin
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
cp "$dir/key.pub" /etc/ssh/root_keys
cp "$dir/key.pub" "$dir/alice/.ssh/authorized_keys"
echo "alice:x:4711:4711::$dir/alice:/bin/sh" >> /etc/passwd
echo 'alice:x:4711:' >> /etc/group
echo 'alice:*:19000:0:99999:7:::' >> /etc/shadow
chown -R 4711:4711 "$dir/alice"
cat > /etc/ssh/sshd_config <<C
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
Match User root
    AuthorizedKeysFile /etc/ssh/root_keys
C
ip link set lo up
/usr/sbin/sshd
for i in $(seq 50); do ss -Hltn | grep -q . && break; sleep 0.1; done
broken() { chmod 777 "$dir/alice/.ssh"; echo closed > /etc/nologin; rm -rf "$dir/fix"; }
state() { echo "$(stat -c %a "$dir/alice/.ssh") $(cat /etc/nologin 2>/dev/null || echo none)"; }
as() { who=$1; shift; ssh -F none -i "$dir/key" -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
    -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$who@127.0.0.1" "$@"; }
login() { if as alice true 2>/dev/null; then echo in; else echo out; fi; }
fix() { setsid -w "$SSHWHY" doctor --fix --fix-state "$dir/fix" --format json --user alice --from 127.0.0.1 \
    --key "$dir/key" "$@"; }
journal() { cat "$dir"/fix/*/journal 2>/dev/null || true; }
until_over() { for i in $(seq 100); do journal | grep -q '"reverted"' && return; sleep 0.1; done; echo "never taken back"; }
broken
"#;

fn missing() -> Option<String> {
    if !std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        return Some("root".to_owned());
    }
    let tools = ["sshd", "ssh", "ssh-keygen", "ip", "ss", "unshare", "setsid"];
    let there = |t: &&str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|d| Path::new(d).join(t).exists())
    };
    if let Some(tool) = tools.iter().find(|t| !there(t)) {
        return Some((*tool).to_owned());
    }
    let may = unshare("true").status().is_ok_and(|s| s.success());
    (!may).then(|| "namespaces".to_owned())
}

fn unshare(script: &str) -> Command {
    let mut c = Command::new("unshare");
    c.args([
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ])
    .args(["bash", "-c", script])
    .env("SSHWHY", env!("CARGO_BIN_EXE_sshwhy"));
    c
}

/// What the script prints after the world is made; `None` where this machine cannot make one.
fn in_world(name: &str, script: &str) -> Option<String> {
    if let Some(what) = missing() {
        eprintln!("skipped: {name}: needs {what}");
        return None;
    }
    let out = unshare(&format!("{WORLD}\n{script}\n")).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{name}: {text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    Some(text)
}

#[test]
fn who_could_not_get_in_does_and_it_stays_once_confirmed_from_a_new_login() {
    let script = r#"
echo "before: $(login) $(state)"
fix --confirm-within 60s > "$dir/out" || true
grep -o '"result":"[a-z-]*"' "$dir/out"
grep -o 'alice logged in over loopback' "$dir/out"
echo "after: $(login) $(state)"
id=$(basename "$dir"/fix/fix-*)
as root "$SSHWHY" doctor --confirm "$id" --fix-state "$dir/fix"
kill -0 "$(cat "$dir"/fix/*/watcher)" 2>/dev/null && sleep 1
kill -0 "$(cat "$dir"/fix/*/watcher)" 2>/dev/null && echo "the watcher still waits"
echo "confirmed: $(login) $(state)"
"#;
    let Some(text) = in_world("a fix that is confirmed", script) else {
        return;
    };
    for line in [
        "before: out 777 closed",
        "\"result\":\"applied\"",
        "alice logged in over loopback",
        "confirmed: in 755 none",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    assert!(text.contains("after: in "), "{text}");
    assert!(!text.contains("still waits"), "{text}");
}

#[test]
fn who_made_the_change_cannot_confirm_it_and_unconfirmed_it_is_taken_back() {
    let script = r#"
setsid -w bash -c '"$SSHWHY" doctor --fix --fix-state "$0/fix" --format json --user alice --from 127.0.0.1 --key "$0/key" \
    --confirm-within 3s > "$0/out"; "$SSHWHY" doctor --confirm "$(basename "$0"/fix/fix-*)" --fix-state "$0/fix" || echo "refused: $?"' "$dir"
echo "after: $(login) $(state)"
until_over
echo "taken back: $(login) $(state)"
"#;
    let Some(text) = in_world("a fix that nobody confirms", script) else {
        return;
    };
    assert!(text.contains("refused: 2"), "{text}");
    assert!(text.contains("after: in 755 none"), "{text}");
    assert!(text.contains("taken back: out 777 closed"), "{text}");
}

#[test]
fn killed_at_any_step_the_host_comes_back_to_what_it_was() {
    let script = r#"
n=0
while :; do
    n=$((n + 1))
    broken
    code=0
    fix --confirm-within 1s --stop-at "$n" > "$dir/out" 2>&1 || code=$?
    if [ -e "$(echo "$dir"/fix/*/watcher)" ]; then
        until_over
    else
        "$SSHWHY" doctor --recover --fix-state "$dir/fix"
    fi
    [ "$(state)" = "777 closed" ] || echo "step $n: left $(state)"
    as root true || echo "step $n: nobody gets in any more"
    if [ "$code" != 137 ]; then echo "ended with $code"; break; fi
done
grep -o '"result":"[a-z-]*"' "$dir/out"
echo "steps: $n"
"#;
    let Some(text) = in_world("a fix that is killed", script) else {
        return;
    };
    assert!(!text.contains("step "), "{text}");
    assert!(!text.contains("never taken back"), "{text}");
    assert!(text.contains("\"result\":\"applied\""), "{text}");
    let steps: u32 = text
        .rsplit("steps: ")
        .next()
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or(0);
    assert!(steps > 10, "{text}");
}
