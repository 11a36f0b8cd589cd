use super::*;
use crate::diagnose::{Case, diagnose};
use crate::probe::command;

fn read_as(typed: &str, text: &str) -> Vec<Observation> {
    let words: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
    read(text, Some(&command::parse(&words).unwrap()))
}

fn verdict(typed: &str, text: &str) -> Option<(&'static str, bool)> {
    let d = diagnose(&Case::default(), &read_as(typed, text));
    d.findings.first().map(|f| (f.slug, f.confidence >= 0.5))
}

/// A login up to authentication, in the words of ssh -v.
const UP_TO_AUTH: &str = "OpenSSH_9.6p1, OpenSSL 3.0.13 30 Jan 2024\n\
    debug1: Connecting to server.example [192.0.2.7] port 22.\n\
    debug1: Connection established.\n\
    debug1: identity file /home/me/.ssh/id_ed25519 type 3\n\
    debug1: Remote protocol version 2.0, remote software version OpenSSH_9.6\n\
    debug1: Authenticating to server.example:22 as 'alice'\n\
    debug1: Server host key: ssh-ed25519 SHA256:AAAA\n\
    debug1: Host 'server.example' is known and matches the ED25519 host key.\n\
    debug1: Authentications that can continue: publickey,password\n\
    debug1: Next authentication method: publickey\n";

const OFFER: &str = "debug1: Offering public key: /home/me/.ssh/id_ed25519 ED25519 SHA256:BBBB\n";
const ACCEPT: &str = "debug1: Server accepts key: /home/me/.ssh/id_ed25519 ED25519 SHA256:BBBB\n";
const GO_ON: &str = "debug1: Authentications that can continue: publickey,password\n";
const DENIED: &str = "debug1: No more authentication methods to try.\n\
    alice@server.example: Permission denied (publickey,password).\n";
const LET_IN: &str = "Authenticated to server.example ([192.0.2.7]:22) using \"publickey\".\n\
    debug1: channel 0: new session [client-session]\n";

fn auth(tail: &[&str]) -> Option<(&'static str, bool)> {
    verdict(
        "ssh alice@server.example uptime",
        &format!("{UP_TO_AUTH}{}", tail.concat()),
    )
}

#[test]
fn an_address_that_this_machine_lacks_is_the_configurations_fault() {
    let text = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\n\
         debug1: Connecting to h.example [192.0.2.7] port 22.\n\
         bind 198.51.100.9: Cannot assign requested address\n\
         ssh: connect to host h.example port 22: failure\n";
    let seen = read(text, None);
    let config = seen.iter().find(|o| o.key == "client.config").unwrap();
    assert_eq!(
        (config.value.as_str(), config.about.as_str()),
        ("error", "198.51.100.9")
    );
    let failed: Vec<Gate> = seen
        .iter()
        .filter(|o| o.key == "gate.state" && o.value == "failed")
        .map(|o| o.gate)
        .collect();
    assert_eq!(failed, [Gate::Name]);
}

#[test]
fn a_proxy_command_that_carries_nothing_is_named() {
    let text = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\n\
         debug1: Executing proxy command: exec connect-proxy h.example 22\n\
         debug1: identity file /home/me/.ssh/id type -1\n";
    let seen = read(text, None);
    let failed = seen
        .iter()
        .find(|o| o.key == "proxy.command" && o.value == "failed")
        .unwrap();
    assert_eq!(failed.about, "connect-proxy h.example 22");
}

#[test]
fn a_key_that_a_file_revokes_is_revoked() {
    let text = "Host key ED25519 SHA256:abc revoked by file /home/me/revoked\nHost key verification failed.\n";
    let seen = read(text, None);
    let check = seen.iter().find(|o| o.key == "hostkey.check").unwrap();
    assert_eq!(
        (check.value.as_str(), check.about.as_str()),
        ("revoked", "/home/me/revoked")
    );
}

#[test]
fn output_counts_where_the_session_ended_badly() {
    let o = |key: &'static str, value: &str| {
        Observation::new(Gate::Session, key, value, "ssh -v line 1")
    };
    let said = "This account is currently not available.\n";
    let bad = [o("auth.end", "ok"), o("session.end", "exit")];
    let seen = output(said, &bad);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].key.as_str(), seen[0].value.as_str()),
        ("account.says", "shell-nologin")
    );
    assert!(output(said, &[o("auth.end", "ok"), o("session.end", "ok")]).is_empty());
    assert!(output(said, &[o("auth.end", "denied")]).is_empty());
}

#[test]
fn a_client_that_may_use_none_of_the_methods_tries_none() {
    let begun = "debug1: Next authentication method: publickey\n";
    let up_to_auth = UP_TO_AUTH.strip_suffix(begun).unwrap();
    let methods = |tail: &[&str]| {
        let seen = read(&format!("{up_to_auth}{}", tail.concat()), None);
        seen.into_iter().find(|o| o.key == "auth.common")
    };
    let none = methods(&[GO_ON, DENIED]).unwrap();
    assert!(none.text.contains("publickey,password"), "{}", none.text);
    assert_eq!(
        verdict("ssh alice@server.example", &format!("{up_to_auth}{DENIED}")),
        Some(("auth-method-mismatch", true))
    );
    // Begun, with nothing to show.
    assert_eq!(methods(&[GO_ON, begun, DENIED]), None);
    assert_eq!(methods(&[OFFER, GO_ON, DENIED]), None);
    assert_eq!(methods(&[GO_ON]), None, "not over yet");
}

#[test]
fn keys_end_in_many_ways() {
    assert_eq!(
        auth(&[OFFER, GO_ON, DENIED]),
        Some(("auth-rejected-publickey", false))
    );
    assert_eq!(
        auth(&[OFFER, ACCEPT, DENIED]),
        Some(("key-passphrase", true))
    );
    assert_eq!(
        auth(&[OFFER, ACCEPT, GO_ON, DENIED]),
        Some(("auth-rejected-publickey", false)),
        "signed, and refused after all: no passphrase"
    );
    assert_eq!(
        auth(&[OFFER, ACCEPT, "Connection closed by 192.0.2.7 port 22\n"]),
        Some(("account-denied", false))
    );
    assert_eq!(
        auth(&[
            OFFER,
            "Received disconnect from 192.0.2.7 port 22:2: Too many authentication failures\n"
        ]),
        Some(("too-many-auth-failures", true))
    );
    assert_eq!(
        auth(&[
            "no such identity: /home/me/.ssh/id_job: No such file or directory\n",
            DENIED
        ]),
        Some(("identity-file-missing", true))
    );
}

#[test]
fn a_login_that_works_has_nothing_to_find() {
    let works = [
        OFFER,
        ACCEPT,
        LET_IN,
        "debug1: Sending command: uptime\ndebug1: Exit status 0\n",
    ];
    assert_eq!(auth(&works), None);
    // A banner that speaks of maintenance is no nologin file where the login works.
    let banner = [
        "Maintenance on Sunday.\n",
        OFFER,
        ACCEPT,
        LET_IN,
        "debug1: Exit status 0\n",
    ];
    assert_eq!(auth(&banner), None);
    let fails = [
        OFFER,
        ACCEPT,
        "Down for maintenance.\n",
        "Connection closed by 192.0.2.7 port 22\n",
    ];
    assert_eq!(auth(&fails), Some(("nologin-file", true)));
    let exit = [OFFER, ACCEPT, LET_IN, "debug1: Exit status 3\n"];
    assert_eq!(auth(&exit), Some(("session-closed", false)));
}

#[test]
fn the_first_of_two_proofs_was_right() {
    let prompt = "debug1: Next authentication method: password\n\
        debug1: read_passphrase: requested to askpass\n";
    let right = "Authenticated using \"password\" with partial success.\n\
        debug1: Authentications that can continue: publickey\n";
    let missing = [
        prompt,
        right,
        "alice@server.example: Permission denied (publickey).\n",
    ];
    assert_eq!(auth(&missing), Some(("multi-factor-required", true)));
    // The second one is asked for, given and wrong.
    let half = "Authenticated using \"publickey\" with partial success.\n\
        debug1: Authentications that can continue: password\n";
    let wrong = [
        OFFER,
        ACCEPT,
        half,
        prompt,
        "debug1: Authentications that can continue: password\n",
        "alice@server.example: Permission denied (password).\n",
    ];
    assert_eq!(auth(&wrong), Some(("auth-rejected-password", false)));
}

#[test]
fn a_session_that_ends_without_a_status() {
    let session = |tail: &str| {
        let sent = "debug1: Sending command: uptime\n";
        let text = format!("{UP_TO_AUTH}{OFFER}{ACCEPT}{LET_IN}{sent}{tail}");
        let seen = read_as("ssh alice@server.example uptime", &text);
        let ends = seen.into_iter().filter(|o| o.key == "session.end");
        ends.map(|o| o.value).collect::<Vec<_>>()
    };
    assert_eq!(session("debug1: Exit status -1\n"), ["closed"]);
    let signal = "debug1: client_input_channel_req: channel 0 rtype exit-signal reply 0\n";
    assert_eq!(
        session(&format!("{signal}debug1: Exit status -1\n")),
        ["signal"]
    );
    assert_eq!(session("debug1: Exit status 0\n"), ["ok"]);
    // A copy that fails where a signal ends the other side is no full disk.
    let copy = format!(
        "{UP_TO_AUTH}{OFFER}{ACCEPT}{LET_IN}debug1: Sending subsystem: sftp\n\
         scp: write remote \"./big\": Failure\n{signal}debug1: Exit status -1\nscp: Connection closed\n"
    );
    let typed = "scp big alice@server.example:";
    assert_eq!(verdict(typed, &copy), Some(("pam-limits", true)));
    let full = copy.replace(signal, "");
    assert_eq!(verdict(typed, &full), Some(("disk-full", true)));
}

#[test]
fn what_the_configuration_names_and_ssh_cannot_fill_in() {
    let head = "OpenSSH_9.2p1, OpenSSL 3.0\n\
        debug1: Connecting to server.example [192.0.2.7] port 22.\n\
        debug1: Connection established.\n";
    for (line, about) in [
        (
            "vdollar_percent_expand: unknown key %x\npercent_dollar_expand: failed\n",
            "%x",
        ),
        (
            "vdollar_percent_expand: env var ${KEYS} has no value\ninvalid environment variable expansion\n",
            "${KEYS}",
        ),
        ("percent_expand: unknown key %q\n", "%q"),
    ] {
        let seen = read(&format!("{head}{line}"), None);
        let config = seen.iter().find(|o| o.key == "client.config").unwrap();
        assert_eq!(config.about, about, "{line}");
        let d = diagnose(&Case::default(), &seen);
        assert_eq!(d.findings[0].slug, "client-config-error", "{line}");
    }
}

#[test]
fn a_server_that_has_no_method_left() {
    let before = UP_TO_AUTH.split("debug1: Authentications").next().unwrap();
    let text = format!(
        "{before}debug1: SSH2_MSG_SERVICE_ACCEPT received\n\
         Received disconnect from 192.0.2.7 port 22:2: no authentication methods enabled\n\
         Disconnected from 192.0.2.7 port 22\n"
    );
    let seen = read(&text, None);
    let state = |gate| {
        let states = seen
            .iter()
            .filter(|o| o.key == "gate.state" && o.gate == gate);
        states.map(|o| o.value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(state(Gate::HostKey), ["passed"]);
    assert_eq!(state(Gate::Auth), ["failed"]);
}

#[test]
fn a_forwarding_from_an_address_that_this_machine_lacks() {
    let text = format!(
        "{UP_TO_AUTH}{OFFER}{ACCEPT}{LET_IN}bind [198.51.100.9]:1080: Cannot assign requested address\n\
         channel_setup_fwd_listener_tcpip: cannot listen to port: 1080\n\
         Could not request local forwarding.\n"
    );
    let seen = read_as("ssh -N -D 198.51.100.9:1080 alice@server.example", &text);
    let end: Vec<_> = seen.iter().filter(|o| o.key == "forward.end").collect();
    assert_eq!(end.len(), 1);
    assert_eq!(end[0].about, "[198.51.100.9]:1080");
}

#[test]
fn a_text_in_the_place_of_the_old_copy_protocol() {
    let scp = |tail: &str| {
        let sent = "debug1: Sending command: scp -v -t .\n";
        let text =
            format!("{UP_TO_AUTH}Maintenance on Sunday.\n{OFFER}{ACCEPT}{LET_IN}{sent}{tail}");
        verdict("scp -O notes.txt alice@server.example:", &text)
    };
    let printed = scp("Hello alice\ndebug1: Exit status 0\n");
    assert_eq!(printed, Some(("shell-rc-output", true)));
    let copied = "stderr of a start-up file\nSending file modes: C0644 3 notes.txt\nSink: C0644 3 notes.txt\n\
         debug1: Exit status 0\n";
    assert_eq!(scp(copied), None);
    assert_eq!(
        scp("debug1: Exit status 0\n"),
        None,
        "a banner is no answer"
    );
    let gone = "bash: line 1: scp: command not found\ndebug1: Exit status 127\n";
    assert_ne!(scp(gone).map(|(slug, _)| slug), Some("shell-rc-output"));
}

#[test]
fn what_a_session_was_asked_for() {
    let asked = |typed: &str, tail: &str| {
        let text = format!("{UP_TO_AUTH}{OFFER}{ACCEPT}{LET_IN}{tail}debug1: Exit status 7\n");
        let seen = read_as(typed, &text);
        let asked = seen.into_iter().find(|o| o.key == "session.asked");
        asked.map(|o| o.value)
    };
    let host = "ssh alice@server.example";
    assert_eq!(asked(host, "").as_deref(), Some("shell"));
    let command = "debug1: Sending command: scp-wrapper -t x\n";
    assert_eq!(asked(host, command).as_deref(), Some("command"));
    let command = "debug1: Sending command: scp -f x\n";
    assert_eq!(asked(host, command).as_deref(), Some("scp"));
    let subsystem = "debug1: Sending subsystem: sftp\n";
    assert_eq!(asked(host, subsystem).as_deref(), Some("subsystem"));
    assert_eq!(asked("ssh -N alice@server.example", ""), None);
}

#[test]
fn a_start_up_file_that_hands_over_to_what_is_missing() {
    let said = |line: &str| {
        let sent = "debug1: Sending command: uptime\n";
        auth(&[
            OFFER,
            ACCEPT,
            LET_IN,
            sent,
            line,
            "debug1: Exit status 127\n",
        ])
    };
    for line in [
        "/home/alice/.bashrc: line 1: exec: zsh: not found\n",
        "/etc/profile.d/menu.sh: 1: exec: /opt/menu: not found\n",
        "-sh: 1: exec: /opt/menu/main: not found\n",
    ] {
        assert_eq!(said(line), Some(("shell-rc-exits", true)), "{line}");
    }
    let script = "/opt/wrap.sh: line 3: exec: /opt/tool: not found\n";
    assert_eq!(said(script), Some(("forced-command", true)));
    let own = "bash: line 1: exec: uptime: not found\n";
    assert_ne!(said(own).map(|(slug, _)| slug), Some("shell-rc-exits"));
}

#[test]
fn the_way_there() {
    let say = |text: &str| verdict("ssh server.example", text);
    assert_eq!(
        say("ssh: Could not resolve hostname server.example: Name or service not known\n"),
        Some(("dns-failure", true))
    );
    assert_eq!(
        say(
            "ssh: Could not resolve hostname server.example: Temporary failure in name resolution\n"
        ),
        Some(("dns-server-unreachable", true))
    );
    assert_eq!(
        say("ssh: connect to host server.example port 22: Connection refused\n"),
        Some(("connect-refused", false))
    );
    assert_eq!(
        say(
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.7 port 22\n"
        ),
        Some(("server-closed-early", false))
    );
    assert_eq!(
        say(
            "Unable to negotiate with 192.0.2.7 port 22: no matching cipher found. Their offer: 3des-cbc\n"
        ),
        Some(("no-matching-cipher", true))
    );
    assert_eq!(
        say("/home/me/.ssh/config: line 3: Bad configuration option: hostnmae\n"),
        Some(("client-config-error", true))
    );
    assert_eq!(say(""), None);
    assert_eq!(say("hello\n"), None);
}

#[test]
fn a_jump_hosts_words_are_not_the_targets() {
    let text = "debug1: Setting implicit ProxyCommand from ProxyJump: ssh -v -W '[%h]:%p' gate.example\n\
        debug1: Executing proxy command: exec ssh -v -W '[server.example]:22' gate.example\n\
        debug1: Connecting to gate.example [192.0.2.1] port 22.\n\
        debug1: connect to address 192.0.2.1 port 22: Connection refused\n\
        ssh: connect to host gate.example port 22: Connection refused\n\
        Connection closed by UNKNOWN port 65535\n";
    let seen = read_as("ssh -J gate.example server.example", text);
    assert!(seen.iter().all(|o| o.key != "tcp.connect"), "{seen:?}");
    let d = diagnose(&Case::default(), &seen);
    assert_eq!(d.findings[0].slug, "proxy-jump-failed");
}

#[test]
fn a_shells_line_number_is_no_configurations() {
    for text in [
        "/bin/sh: line 1: exec: nc: not found\n",
        "bash: line 1: cloudflared: command not found\n",
        "-bash: /home/build/.bashrc: line 3: exec: tmux: not found\n",
    ] {
        let seen = read(text, None);
        assert!(seen.iter().all(|o| o.key != "client.config"), "{seen:?}");
    }
    let seen = read(
        "/home/build/.ssh/config: line 3: Bad configuration option: prot\n",
        None,
    );
    assert!(seen.iter().any(|o| o.key == "client.config"), "{seen:?}");
}

#[test]
fn a_tunnels_channel_is_no_session() {
    let ends = |text: &str| -> Vec<String> {
        read(text, None)
            .iter()
            .filter(|o| ["forward.end", "session.open"].contains(&o.key.as_str()))
            .map(|o| format!("{} {}", o.key, o.value))
            .collect()
    };
    assert_eq!(
        ends("channel 3: open failed: connect failed: Connection refused\n"),
        ["forward.end connect-failed"]
    );
    assert_eq!(
        ends(
            "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n"
        ),
        ["forward.end prohibited"]
    );
    // Without that last line it may be a session, of which there are too many.
    assert_eq!(
        ends("channel 1: open failed: administratively prohibited: open failed\n"),
        ["session.open refused"]
    );
    assert_eq!(
        ends("channel 1: open failed: connect failed: open failed\n"),
        ["session.open refused"]
    );
}

#[test]
fn any_text_is_survived() {
    let nonsense = [
        "debug1: ",
        "debug1: Offering public key: ",
        "channel : open failed: ",
        "Permission denied (",
        "Load key \"",
        "Connecting to [",
        "\u{202e}\u{0}",
        ": line :",
    ];
    for a in nonsense {
        for b in nonsense {
            let _ = read(&format!("{a}\n{b}{a}\n"), None);
        }
    }
    let long = "x".repeat(LONGEST_LINE - 1) + "é";
    let _ = read(&long, None);
}

#[test]
fn what_ssh_says_of_its_own_configuration_on_the_way() {
    let config = Some(("client-config-error", true));
    let start = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\n";
    let typed = "ssh alice@server.example uptime";
    let connecting = format!("{start}debug1: Connecting to server.example [192.0.2.7] port 22.\n");
    let failure = "ssh: connect to host server.example port 22: failure\n";
    for text in [
        format!("{start}Cannot execute command-line and remote command.\n"),
        format!("{start}ssh: Could not resolve host \"server\"\n"),
        format!("{connecting}getifaddrs: eth1: no suitable addresses\n{failure}"),
        format!(
            "{UP_TO_AUTH}{OFFER}{ACCEPT}{LET_IN}unix_listener: cannot bind to path /home/me/.ssh/s/alice@server:22.ALQUg0UZJmHylFLK: No such file or directory\n"
        ),
    ] {
        assert_eq!(verdict(typed, &text), config, "{text}");
    }
    // Somebody else's words, and a socket that is forwarded.
    let text =
        format!("{start}ssh: Could not resolve hostname server: Name or service not known\n");
    assert_eq!(verdict(typed, &text), Some(("dns-failure", true)));
    let forwarded = "unix_listener: cannot bind to path /run/app.sock: No such file or directory\n";
    let seen = read_as(
        typed,
        &format!("{UP_TO_AUTH}{OFFER}{ACCEPT}{LET_IN}{forwarded}"),
    );
    assert!(seen.iter().all(|o| o.key != "client.config"));
}

#[test]
fn nobody_who_was_stopped_is_told_that_nothing_is_wrong() {
    let typed = "ssh alice@server.example uptime";
    let hangs = format!("{UP_TO_AUTH}{OFFER}{ACCEPT}{LET_IN}");
    assert_eq!(verdict(typed, &hangs), Some(("attempt-unexplained", false)));
    let ended = format!("{hangs}debug1: Exit status 0\n");
    assert_eq!(verdict(typed, &ended), None);
}

#[test]
fn what_the_configuration_asks_for_and_ssh_cannot_do_is_its_fault() {
    let typed = "ssh alice@server.example uptime";
    let start = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\n";
    let config = Some(("client-config-error", true));
    let up: String = UP_TO_AUTH.split_inclusive('\n').take(7).collect();
    for text in [
        format!("{start}vdollar_percent_expand: unknown key %z\npercent_dollar_expand: failed\n"),
        format!(
            "{up}Error checking host key ED25519 SHA256:AAAA in revoked keys file /etc/ssh/revoked: No such file or directory\nHost key verification failed.\n"
        ),
        format!(
            "{up}KnownHostsCommand-ORDER /etc/ssh/lookup server.example failed, status 3\nKnownHostsCommand failed\n"
        ),
    ] {
        assert_eq!(verdict(typed, &text), config, "{text}");
    }
    // A list that was read, and has the key.
    let revoked = format!(
        "{up}Host key ED25519 SHA256:AAAA revoked by file /etc/ssh/revoked\nHost key verification failed.\n"
    );
    assert_eq!(verdict(typed, &revoked), Some(("host-key-revoked", true)));
    let dialer = format!(
        "{start}debug1: Executing proxy dialer command: exec socat - TCP:h:22\nmm_receive_fd: no message header\nproxy dialer did not pass back a connection\n"
    );
    assert_eq!(
        verdict(typed, &dialer),
        Some(("proxy-command-failed", true))
    );
}
