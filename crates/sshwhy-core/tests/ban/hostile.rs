//! Text that a stranger chooses gets nobody else banned.
//!
//! The cases that others fell for: fail2ban's and DenyHosts' filters that took the first ` from ` of a line (CVE-2007-4321, Debian
//! #438187; CVE-2007-4323 for DenyHosts; BlockHosts' CVE-2007-4322), DenyHosts' `user@host` taken for an address (CVE-2013-6890: `Invalid user
//! root from 192.0.2.1 from …`), the version string of a client (CVE-2007-4323 again: the banner in `Bad protocol version
//! identification`), fail2ban's names with line ends, and sshguard's parser, which took a name that looks like the rest of a line
//! (its issue about `Invalid user … from` in user names).

use super::World;

const VICTIM: &str = "198.51.100.9";
const FORGER: &str = "203.0.113.66";

/// Names as a client may send them; sshd writes what is not printable as octal.
fn names() -> Vec<String> {
    let v = VICTIM;
    vec![
        format!("root from {v}"),
        format!("root from {v} port 22"),
        format!("root from {v} port 22 ssh2"),
        format!("x from {v} port 22 ssh2 from {v}"),
        format!("{v}"),
        format!("root@{v}"),
        format!("invalid user admin from {v} port 4000"),
        format!("admin from {v} not allowed because not listed in AllowUsers"),
        format!(
            "root\\nMar 28 16:00:00 web1 sshd[9]: Failed password for root from {v} port 22 ssh2"
        ),
        format!("root\\012Failed password for root from {v} port 22 ssh2"),
        format!("a rhost={v}  user=root"),
        format!(" from {v} port 1: "),
        format!("x [preauth] from {v}"),
        format!("by {v} port 22 [preauth]"),
        format!("'{v}' from '{v}'"),
        format!("root from ::ffff:{v}"),
        format!("authenticating user root {v} port 22"),
        "root from 0.0.0.0/0".to_owned(),
        format!("from {v} from {v} from {v}"),
        format!("x port 22 ssh2: RSA SHA256:abc from {v}"),
    ]
}

fn only_the_forger(w: &World, what: &str) {
    for net in w.nets() {
        assert_eq!(net, FORGER, "{what}");
    }
    let counted = w.decider.source_at(VICTIM.parse().unwrap());
    assert!(counted.is_none(), "{what}: counted {counted:?}");
}

#[test]
fn names_frame_nobody_and_the_forger_is_banned() {
    for name in names() {
        let mut w = World::default();
        for (i, pid) in (100..106u32).enumerate() {
            let (at, port) = (i as i64, 4000 + pid);
            w.say(
                at,
                pid,
                &format!("Connection from {FORGER} port {port} on 192.0.2.1 port 22 rdomain \"\""),
            );
            w.say(
                at,
                pid,
                &format!("Invalid user {name} from {FORGER} port {port}"),
            );
            w.say(at, pid, &format!("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={FORGER} "));
            w.say(
                at,
                pid,
                &format!("Failed password for invalid user {name} from {FORGER} port {port} ssh2"),
            );
            w.say(
                at,
                pid,
                &format!("Failed none for invalid user {name} from {FORGER} port {port} ssh2"),
            );
            w.say(
                at,
                pid,
                &format!("User {name} from {FORGER} not allowed because not listed in AllowUsers"),
            );
            w.say(at, pid, &format!("error: maximum authentication attempts exceeded for invalid user {name} from {FORGER} port {port} ssh2 [preauth]"));
            w.say(at, pid, &format!("Disconnecting invalid user {name} {FORGER} port {port}: Too many authentication failures [preauth]"));
            w.say(
                at,
                pid,
                &format!("Connection closed by invalid user {name} {FORGER} port {port} [preauth]"),
            );
        }
        only_the_forger(&w, &name);
        assert!(
            w.nets().contains(&FORGER.to_owned()),
            "{name}: nobody was banned"
        );
    }
}

#[test]
fn old_wordings_without_ports_frame_nobody_either() {
    // OpenSSH before 7 wrote no port behind these.
    for name in names() {
        let mut w = World::default();
        for (i, pid) in (100..106u32).enumerate() {
            w.say(i as i64, pid, &format!("Invalid user {name} from {FORGER}"));
            w.say(
                i as i64,
                pid,
                &format!("Failed password for invalid user {name} from {FORGER} port 4022 ssh2"),
            );
        }
        only_the_forger(&w, &name);
    }
}

#[test]
fn versions_and_goodbyes_frame_nobody() {
    let v = VICTIM;
    for text in [
        format!("Failed password for root from {v} port 22 ssh2"),
        format!("GET / from {v} port 22"),
        format!("' from {v} port 4000"),
        format!("\\n Invalid user x from {v}"),
        format!("disconnected by user from {v} port 22:11: bye"),
        format!("x from {v}: 3: Auth fail"),
        format!("Accepted password for root from {v} port 22 ssh2"),
    ] {
        let mut w = World::default();
        for (i, pid) in (100..112u32).enumerate() {
            let (at, port) = (i as i64, 4000 + pid);
            w.say(
                at,
                pid,
                &format!("Bad protocol version identification '{text}' from {FORGER} port {port}"),
            );
            w.say(
                at,
                pid + 100,
                &format!("banner exchange: Connection from {FORGER} port {port}: invalid format"),
            );
            w.say(
                at,
                pid + 200,
                &format!("Received disconnect from {FORGER} port {port}:11: {text} [preauth]"),
            );
            w.say(
                at,
                pid + 200,
                &format!("Disconnected from {FORGER} port {port} [preauth]"),
            );
            w.say(at, pid + 300, &format!("error: kex_exchange_identification: client sent invalid protocol identifier \"{text}\""));
        }
        only_the_forger(&w, &text);
        assert!(
            w.nets().contains(&FORGER.to_owned()),
            "{text}: nobody was banned"
        );
    }
}

#[test]
fn nobody_is_let_off_by_a_name_that_says_accepted() {
    let mut w = World::default();
    w.decider.admins.push("root".to_owned());
    for i in 0..9 {
        w.fail_invalid(
            i,
            FORGER,
            &format!("Accepted publickey for root from {FORGER} port 22 ssh2: ED25519 SHA256:x"),
        );
    }
    assert_eq!(w.nets(), [FORGER]);
    assert!(w.decider.never.entries().is_empty());
}

#[test]
fn names_of_hosts_are_no_addresses_and_are_said() {
    let mut w = World::default();
    for i in 0..9 {
        w.say(
            i,
            500 + i as u32,
            "User root from office.example.org not allowed because not listed in AllowUsers",
        );
    }
    assert!(w.nets().is_empty());
    assert_eq!(w.watch.sight.nameless, 9);
}
