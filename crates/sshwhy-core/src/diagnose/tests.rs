//! What the rules make of observations: which cause comes first, and what a remedy is filled with.

use super::*;

fn o(gate: Gate, key: &'static str, about: &str, value: &str) -> Observation {
    Observation::new(gate, key, value, "probe").about(about)
}

fn case() -> Case {
    Case {
        user: Some("alice".into()),
        host: Some("server.example".into()),
        port: Some(22),
        addr: Some("192.0.2.7".into()),
        client_addr: Some("198.51.100.4".into()),
    }
}

fn slugs(observations: &[Observation]) -> Vec<(&'static str, bool)> {
    diagnose(&case(), observations)
        .findings
        .iter()
        .map(|f| (f.slug, f.confidence >= KNOWN))
        .collect()
}

#[test]
fn who_answers_in_the_servers_place_is_known_by_its_log() {
    let seen = |alive: &str, end: &str| {
        [
            o(Gate::Ident, "ident.end", "", end),
            o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "ok"),
            o(Gate::Tcp, "gate.state", "", "passed"),
            o(Gate::Ident, "gate.state", "", "failed"),
            o(Gate::Tcp, "sshd.process", "sshd", "running"),
            o(Gate::Tcp, "sshd.listen", "0.0.0.0:22", "reachable"),
            o(Gate::Tcp, "fw.rule", "22", "passes"),
            o(Gate::Tcp, "log.outcome", "", "no-trace"),
            o(Gate::Tcp, "log.alive", "", alive),
        ]
    };
    let first = |seen: &[Observation]| slugs(seen).first().copied();
    let cut = Some(("reset-by-middlebox", true));
    assert_eq!(first(&seen("yes", "closed")), cut);
    assert_eq!(first(&seen("yes", "reset")), cut);
    // sshd complains of something else at that moment, is full, or cannot open files: it may have been sshd.
    assert_ne!(first(&seen("complains", "closed")), cut);
    for (key, value) in [("load.startups", "full"), ("kernel.files", "full")] {
        let mut seen = seen("yes", "closed").to_vec();
        seen.push(o(Gate::Ident, key, "", value));
        assert_ne!(first(&seen), cut, "{key}");
    }
    let mut tried = seen("yes", "closed").to_vec();
    tried.retain(|o| o.key != "log.outcome");
    tried.push(o(Gate::Auth, "log.outcome", "", "closed-early"));
    assert_ne!(first(&tried), cut);
}

#[test]
fn what_the_server_sends_and_nobody_acknowledges_is_lost_on_the_way() {
    let lost = |size: &str, end: &[Observation]| {
        let mut seen = vec![
            o(Gate::Ident, "path.unacked", "198.51.100.4", size),
            o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "ok"),
            o(Gate::Tcp, "gate.state", "", "passed"),
        ];
        seen.extend(end.iter().cloned());
        slugs(&seen).first().copied()
    };
    let silent = [o(Gate::Ident, "ident.end", "", "timeout")];
    assert_eq!(lost("small", &silent), Some(("firewall-path-drop", true)));
    let stuck = [o(Gate::HostKey, "kex.end", "", "timeout")];
    assert_eq!(lost("large", &stuck), Some(("mtu-blackhole", true)));
    // The client has the greeting.
    let greeted = [o(Gate::Ident, "ident.end", "", "ok")];
    assert_eq!(lost("small", &greeted), None);
}

#[test]
fn one_setting_stops_sshd_and_another_the_login() {
    let connect = |word: &str| o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", word);
    let failed = o(Gate::Tcp, "gate.state", "", "failed");
    let sandbox = |value: &str| o(Gate::Tcp, "unit.sandbox", "/etc/x.conf:2", value);
    let down = [
        sandbox("stops"),
        o(Gate::Tcp, "sshd.process", "sshd", "none"),
        o(Gate::Tcp, "unit.state", "ssh.service", "failed"),
        connect("refused"),
        failed.clone(),
    ];
    let d = diagnose(&case(), &down);
    assert_eq!(d.findings[0].slug, "service-sandboxed");
    assert!(d.findings.iter().all(|f| f.slug != "sshd-not-running"));
    // It is said where it stops the client, and not as something that would come later.
    assert!(
        d.findings[0]
            .notes
            .iter()
            .all(|n| !n.starts_with("not reached"))
    );
    let up = [
        sandbox("shuts-out"),
        o(Gate::Tcp, "sshd.process", "sshd", "running"),
        connect("timeout"),
        failed,
    ];
    let d = diagnose(&case(), &up);
    assert_eq!(d.findings[0].slug, "service-sandboxed");
    assert!(
        d.findings[0]
            .notes
            .iter()
            .all(|n| !n.starts_with("not reached"))
    );
}

#[test]
fn a_dead_name_server_holds_up_who_asks_it() {
    let dead = o(Gate::Ident, "names.resolver", "192.0.2.53", "dead");
    let asked = |when: &str| o(Gate::Ident, "names.asked", "/etc/hosts.deny:1", when);
    let silent = o(Gate::Ident, "ident.end", "", "timeout");
    let seen = [dead.clone(), asked("before-greeting"), silent.clone()];
    assert_eq!(slugs(&seen)[0], ("sshd-hung", true));
    let stopped = o(Gate::Session, "attempt.end", "", "stopped");
    let seen = [dead.clone(), asked("at-login"), stopped];
    assert_eq!(slugs(&seen)[0], ("slow-reverse-dns", true));
    let answers = o(Gate::Ident, "names.resolver", "192.0.2.53", "answers");
    let seen = [answers, asked("before-greeting"), silent];
    assert_eq!(slugs(&seen)[0].0, "banner-timeout");
    // Who got in waited, and nothing more.
    let seen = [
        dead,
        asked("at-login"),
        o(Gate::Auth, "log.outcome", "", "accepted"),
    ];
    assert_eq!(slugs(&seen), []);
}

#[test]
fn a_filter_for_new_connections_alone_stops_what_follows() {
    let follows = |value| o(Gate::Ident, "fw.follows", "filter INPUT", value);
    let passed = o(Gate::Tcp, "gate.state", "", "passed");
    let seen = [follows("drops"), passed.clone()];
    assert_eq!(slugs(&seen).first(), Some(&("firewall-server-drop", true)));
    let seen = [follows("rejects"), passed.clone()];
    let first = slugs(&seen).first().copied();
    assert_eq!(first, Some(("firewall-server-reject", true)));
    // The client got its greeting through it.
    let greeted = o(Gate::Ident, "ident.end", "", "ok");
    assert_eq!(slugs(&[follows("drops"), passed, greeted]), []);
}

fn first(observations: &[Observation]) -> Option<&'static str> {
    slugs(observations)
        .first()
        .filter(|(_, known)| *known)
        .map(|f| f.0)
}

#[test]
fn of_two_that_are_certain_the_one_that_is_met_first() {
    let mut all = vec![
        o(Gate::Auth, "gate.state", "", "failed"),
        o(Gate::Auth, "auth.end", "", "denied"),
        o(Gate::Account, "user.account", "alice", "expired"),
        o(Gate::Auth, "user.shell", "/usr/bin/fish", "missing"),
    ];
    assert_eq!(first(&all), Some("shell-missing"));
    // What sshd itself was kept from stops the client where it is.
    let kept = [
        o(Gate::Kex, "gate.state", "", "failed"),
        o(Gate::Kex, "kex.end", "", "closed"),
        o(Gate::Tcp, "log.daemon", "", "service-sandboxed"),
    ];
    let d = diagnose(&case(), &kept);
    assert_eq!(d.findings[0].slug, "service-sandboxed");
    assert!(
        d.findings[0]
            .notes
            .iter()
            .all(|n| !n.starts_with("not reached"))
    );
    // A home that is missing hides the keys in it: it is no matter of the session alone.
    all.truncate(2);
    all.push(o(Gate::Auth, "user.home", "/home/Alice", "missing"));
    let d = diagnose(&case(), &all);
    assert_eq!(d.findings[0].slug, "home-missing");
    assert!(
        d.findings[0]
            .notes
            .iter()
            .all(|n| !n.starts_with("not reached"))
    );
}

#[test]
fn an_sshd_that_has_not_read_what_its_files_say_now() {
    let stale = o(Gate::Tcp, "sshd.stale", "/etc/ssh/sshd_config", "config");
    let refused = [
        o(Gate::Auth, "keys.offered", "SHA256:A", "listed"),
        o(Gate::Auth, "log.outcome", "alice", "gave-up"),
        o(Gate::Auth, "auth.key", "/home/a/.ssh/id", "refused"),
        o(Gate::Auth, "auth.end", "", "denied"),
    ];
    let with = |more: &[Observation]| [&refused[..], more].concat();
    assert_eq!(first(&refused), None);
    let now = with(std::slice::from_ref(&stale));
    assert_eq!(first(&now), Some("authorized-keys-path"));
    // What the log says is another reason.
    let said = o(Gate::Auth, "log.says", "", "user-not-allowed");
    assert_eq!(
        first(&with(&[stale.clone(), said])),
        Some("user-not-allowed")
    );
    let off = [
        o(Gate::Auth, "auth.methods", "", "publickey"),
        o(Gate::Auth, "conf.method", "password", "on"),
        o(Gate::Auth, "client.can-prompt", "", "yes"),
        o(Gate::Auth, "client.wants", "", "password"),
        o(Gate::Auth, "auth.end", "", "denied"),
        stale,
    ];
    let d = diagnose(&case(), &off);
    assert_eq!(d.findings[0].slug, "password-auth-disabled");
    assert!(d.findings[0].notes.iter().any(|n| n.contains("reload")));
}

#[test]
fn what_a_session_writes_and_how_long_it_is_silent() {
    let cut = [
        o(
            Gate::Session,
            "session.limit",
            "/etc/security/limits.conf:3",
            "file-size",
        ),
        o(Gate::Session, "session.says", "", "write-failure"),
    ];
    assert_eq!(first(&cut), Some("pam-limits"));
    assert_eq!(first(&cut[..1]), None);
    assert_eq!(first(&cut[1..]), Some("disk-full"));
    let unit = o(Gate::Session, "unit.sandbox", "ssh.service", "hinders");
    let killed = o(Gate::Session, "session.end", "", "signal");
    assert_eq!(
        first(&[unit.clone(), killed.clone(), cut[1].clone()]),
        Some("service-sandboxed")
    );
    let channels = o(Gate::Session, "conf.alive", "ChannelTimeout", "channels");
    let closed = o(Gate::Session, "session.end", "", "closed");
    assert_eq!(
        first(&[channels.clone(), closed]),
        Some("client-alive-timeout")
    );
    let ok = o(Gate::Session, "session.end", "", "ok");
    assert_eq!(first(&[channels, ok]), None);
    let asked = o(Gate::Session, "session.asked", "", "shell");
    let idle = |value| o(Gate::Session, "session.idle", "/etc/profile:9", value);
    assert_eq!(
        first(&[idle("short"), asked.clone()]),
        Some("shell-rc-exits")
    );
    assert_eq!(first(&[idle("usual"), asked]), None);
    let command = o(Gate::Session, "session.asked", "", "command");
    assert_eq!(first(&[idle("short"), command]), None);
}

#[test]
fn a_copy_that_waits_for_the_rest_of_what_a_start_up_file_said() {
    let mut all = vec![
        o(
            Gate::Session,
            "session.rc",
            "/home/alice/.bashrc:1",
            "prints",
        ),
        o(Gate::Session, "session.end", "", "timeout"),
        o(Gate::Session, "session.lasted", "", "while"),
    ];
    assert_eq!(first(&all), Some("idle-connection-dropped"));
    all.push(o(Gate::Session, "target.command", "", "scp"));
    assert_eq!(first(&all), Some("shell-rc-output"));
}

#[test]
fn a_certificate_that_is_not_there_and_a_disk_that_takes_nothing() {
    let denied = o(Gate::Auth, "auth.end", "", "denied");
    let certificate = |value| o(Gate::Auth, "auth.certificate", "/home/a/x-cert.pub", value);
    let gone = [certificate("missing"), denied.clone()];
    assert_eq!(first(&gone), Some("identity-file-missing"));
    assert_eq!(
        first(&[certificate("missing"), certificate("valid"), denied]),
        None
    );
    let disk = o(Gate::Session, "disk.full", "/home/alice", "read-only");
    let said = o(Gate::Session, "session.says", "", "open-failure");
    assert_eq!(first(std::slice::from_ref(&disk)), None);
    assert_eq!(first(&[disk, said]), Some("disk-full"));
}

#[test]
fn an_agent_and_windows_that_do_not_arrive() {
    let asked = o(Gate::Session, "session.agent", "", "asked");
    let exit = o(Gate::Session, "session.end", "", "exit");
    let off = |what| o(Gate::Session, "session.forwarding", "x", what);
    let disabled = Some("forwarding-disabled");
    let agent = [off("off-agent"), asked.clone(), exit.clone()];
    assert_eq!(first(&agent), disabled);
    assert_eq!(first(&[off("off-agent"), exit.clone()]), None);
    assert_eq!(first(&[off("off-x11"), asked, exit]), None);
    let windows = o(Gate::Session, "forward.end", "X11", "x11-refused");
    assert_eq!(first(&[windows.clone(), off("off-x11")]), disabled);
    // Where the rest of the session went well, nothing is wrong with the login.
    let passed = o(Gate::Session, "gate.state", "", "passed");
    assert_eq!(first(&[windows, passed]), None);
}

#[test]
fn terminals_that_the_kernel_does_not_give_out() {
    let refused = o(Gate::Session, "session.request", "", "pty-refused");
    let none = o(Gate::Session, "session.pty", "/dev/pts", "none-left");
    assert_eq!(first(&[none.clone(), refused]), Some("pty-disabled"));
    assert_eq!(first(&[none]), None);
}

#[test]
fn settings_of_the_client_that_keep_it_from_what_the_server_takes() {
    let setting = |keyword, value| o(Gate::Auth, "client.setting", keyword, value);
    let ended = |methods| {
        vec![
            o(Gate::Auth, "auth.methods", "", methods),
            o(Gate::Auth, "auth.end", "", "denied"),
            o(Gate::Auth, "auth.keys", "", "none"),
        ]
    };
    let with = |methods, more: &[Observation]| [&ended(methods)[..], more].concat();
    let no_password = [
        setting("passwordauthentication", "no"),
        o(Gate::Auth, "client.keys", "", "none"),
    ];
    let mismatch = Some("auth-method-mismatch");
    assert_eq!(first(&with("publickey,password", &no_password)), mismatch);
    assert_eq!(first(&with("publickey", &no_password)), None);
    let unreachable = o(Gate::Auth, "auth.agent", "/run/a", "unreachable");
    let agent = [&no_password[..], &[unreachable]].concat();
    assert_eq!(
        first(&with("publickey,password", &agent)),
        Some("agent-unreachable")
    );
    let prompts = [
        setting("numberofpasswordprompts", "0"),
        o(Gate::Auth, "auth.method", "password", "tried"),
    ];
    assert_eq!(first(&with("password", &prompts)), mismatch);
    let three = [setting("numberofpasswordprompts", "3"), prompts[1].clone()];
    assert_eq!(first(&with("password", &three)), None);
    // The server takes no passwords: that is not the client's doing.
    let none = [
        o(Gate::Auth, "auth.common", "", "none"),
        o(Gate::Auth, "client.wants", "", "password"),
    ];
    let d = diagnose(&case(), &with("publickey", &none));
    assert_eq!(d.findings[0].slug, "password-auth-disabled");
    assert!(
        d.findings
            .iter()
            .all(|f| f.slug != "auth-method-mismatch" || f.confidence < KNOWN)
    );
    assert_eq!(first(&with("keyboard-interactive", &none)), mismatch);
}

#[test]
fn a_daemon_that_nobody_started_again() {
    let none = o(Gate::Tcp, "sshd.process", "", "none");
    let first = |more: &[Observation]| {
        let all: Vec<Observation> = [std::slice::from_ref(&none), more].concat();
        slugs(&all).first().map(|f| f.0)
    };
    let in_use = o(Gate::Tcp, "log.daemon", "", "port-in-use");
    assert_eq!(
        first(std::slice::from_ref(&in_use)),
        Some("sshd-not-running")
    );
    let held = o(Gate::Tcp, "port.holder", "socat", "other");
    assert_eq!(first(&[in_use, held]), Some("port-in-use"));
    let mistake = o(Gate::Tcp, "log.daemon", "/etc/ssh/a:1", "sshd-config-error");
    assert_eq!(
        first(std::slice::from_ref(&mistake)),
        Some("sshd-config-error")
    );
    let mended = o(Gate::Tcp, "sshd.mended", "/etc/ssh/a:1", "config");
    assert_eq!(first(&[mistake, mended]), Some("sshd-not-running"));
}

#[test]
fn a_path_that_drops_by_exclusion() {
    let mut all = vec![
        o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "timeout"),
        o(Gate::Tcp, "sshd.process", "", "running"),
        o(Gate::Tcp, "sshd.listen", "", "reachable"),
        o(Gate::Tcp, "fw.rule", "22", "passes"),
        o(Gate::Route, "route.return", "", "ok"),
        o(Gate::Tcp, "log.outcome", "", "no-trace"),
    ];
    let first = |all: &[Observation]| slugs(all).first().map(|f| f.0);
    // The address that was called may be another machine's.
    assert_eq!(first(&all), Some("connect-timeout"));
    all.push(o(Gate::Route, "route.called", "192.0.2.7", "own"));
    assert_eq!(first(&all), Some("firewall-path-drop"));
    all.push(o(Gate::Tcp, "client.firewall", "192.0.2.7", "drops"));
    assert_eq!(first(&all), Some("firewall-client-outbound"));
}

#[test]
fn one_host_key_that_is_passed_over() {
    let mut all = vec![
        o(Gate::Tcp, "sshd.process", "", "running"),
        o(Gate::Tcp, "sshd.hostkey", "/etc/ssh/k", "open"),
    ];
    assert_eq!(slugs(&all), []);
    all.push(o(Gate::Kex, "kex.mismatch", "rsa-sha2-512", "host-key"));
    let first = slugs(&all).first().copied();
    assert_eq!(first, Some(("host-key-permissions", true)));
}

#[test]
fn nothing_wrong_is_no_finding_and_a_list_of_looks() {
    let mut seen: Vec<Observation> = Gate::ALL
        .into_iter()
        .map(|g| o(g, "gate.state", "", "passed"))
        .collect();
    seen.push(o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "ok").took(7));
    let d = diagnose(&case(), &seen);
    assert!(d.findings.is_empty());
    assert_eq!(d.looks.len(), Gate::ALL.len());
    assert!(d.looks.iter().all(|l| l.state == State::Passed));
    assert_eq!(d.looks[2].observations, 1);
    assert_eq!(d.looks[2].ms, Some(7));
    assert_eq!(d.stopped_at(), None);
}

#[test]
fn a_symptom_alone_is_an_answer_below_one_half() {
    assert_eq!(
        slugs(&[
            o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "refused"),
            o(Gate::Tcp, "gate.state", "", "failed"),
        ]),
        [("connect-refused", false)]
    );
}

#[test]
fn a_root_cause_takes_its_symptoms_evidence() {
    let d = diagnose(
        &case(),
        &[
            o(Gate::Tcp, "gate.state", "", "failed"),
            o(Gate::Tcp, "tcp.connect", "192.0.2.7:2022", "refused"),
            o(Gate::Tcp, "tcp.default-port", "192.0.2.7:22", "ssh"),
        ],
    );
    let slugs: Vec<_> = d.findings.iter().map(|f| f.slug).collect();
    assert_eq!(slugs, ["wrong-port"]);
    assert_eq!(d.findings[0].evidence.len(), 2);
    assert_eq!(d.findings[0].subjects.addrs, ["192.0.2.7"]);
}

#[test]
fn a_gate_that_was_passed_holds_no_cause_except_what_comes_and_goes() {
    let refused = o(Gate::Tcp, "tcp.connect", "192.0.2.7:22", "refused");
    let passed = o(Gate::Tcp, "gate.state", "", "passed");
    assert_eq!(slugs(&[refused.clone(), passed.clone()]), []);
    let full = o(Gate::Ident, "ident.reason", "", "max-startups");
    let ident = o(Gate::Ident, "gate.state", "", "passed");
    assert_eq!(
        slugs(&[full, ident, passed.clone()]),
        [("max-startups", true)]
    );
    // Somebody got through, and somebody did not: it is not passed.
    let failed = o(Gate::Tcp, "gate.state", "", "failed");
    assert_eq!(
        slugs(&[refused, passed, failed]),
        [("connect-refused", false)]
    );
}

#[test]
fn what_stopped_the_client_comes_before_what_would_stop_it_later() {
    let d = diagnose(
        &case(),
        &[
            o(Gate::Auth, "gate.state", "", "failed"),
            o(Gate::Auth, "auth.end", "", "denied"),
            o(Gate::Auth, "auth.key", "/home/a/.ssh/id_rsa", "permissions"),
            o(Gate::Session, "session.request", "", "subsystem-refused"),
        ],
    );
    let slugs: Vec<_> = d.findings.iter().map(|f| f.slug).collect();
    assert_eq!(slugs, ["private-key-permissions", "sftp-subsystem-missing"]);
    assert!(d.findings[1].notes[0].starts_with("not reached yet"));
    assert_eq!(d.findings[0].subjects.files, ["/home/a/.ssh/id_rsa"]);
}

#[test]
fn two_sides_make_one_finding_with_two_pieces_of_evidence() {
    let from = |source: &str| {
        Observation::new(Gate::Kex, "kex.mismatch", "cipher", source).about("3des-cbc")
    };
    let d = diagnose(&case(), &[from("ssh -v line 40"), from("probe:kex")]);
    assert_eq!(d.findings.len(), 1);
    assert_eq!(d.findings[0].slug, "no-matching-cipher");
    assert_eq!(d.findings[0].evidence.len(), 2);
}

#[test]
fn the_second_file_may_be_the_one() {
    // The first key's passphrase does not matter, because the server refused that key; the second's does.
    let key = |file: &str, value: &str| o(Gate::Auth, "auth.key", file, value);
    let d = diagnose(
        &case(),
        &[
            o(Gate::Auth, "auth.end", "", "denied"),
            key("/k/one", "passphrase"),
            key("/k/one", "refused"),
            key("/k/two", "passphrase"),
            key("/k/two", "accepted"),
        ],
    );
    assert_eq!(d.findings[0].slug, "key-passphrase");
    assert_eq!(d.findings[0].subjects.files, ["/k/two"]);
}

#[test]
fn placeholders_become_safe_words_or_stay() {
    let fill =
        |t: &str, place: &str| super::fill(t, &case(), "/home/a b/.ssh/id", place).into_owned();
    assert_eq!(fill("ssh USER@HOST", "client"), "ssh alice@server.example");
    assert_eq!(
        fill("sshd -T -C user=USER,host=HOST,addr=ADDR", "server"),
        "sshd -T -C user=alice,host=198.51.100.4,addr=198.51.100.4"
    );
    assert_eq!(
        fill("ip route get ADDR", "client"),
        "ip route get 192.0.2.7"
    );
    assert_eq!(
        fill("ufw allow from CLIENT_NET to any", "server"),
        "ufw allow from 198.51.100.4/32 to any"
    );
    assert_eq!(fill("ssh HOST.DOMAIN", "client"), "ssh HOST.DOMAIN");
    assert_eq!(
        fill("head -1 ~/.ssh/KEY", "client"),
        "head -1 '/home/a b/.ssh/id'"
    );
    let about = |t: &str, about: &str| super::fill(t, &case(), about, "client").into_owned();
    for other in [
        "/home/a/.bashrc",
        "/home/a/.ssh/config",
        "/home/a/.ssh/authorized_keys",
        "/etc/ssh/gate.sh",
    ] {
        assert_eq!(
            about("ssh -i ~/.ssh/KEY", other),
            "ssh -i ~/.ssh/KEY",
            "{other} is no key"
        );
    }
    assert_eq!(
        about("puttygen ~/.ssh/KEY.ppk", "/home/a/web.ppk"),
        "puttygen /home/a/web.ppk"
    );
    assert_eq!(
        about("cat ~/.ssh/KEY.pub", "/home/a/.ssh/id_rsa.pub"),
        "cat /home/a/.ssh/id_rsa.pub"
    );
    assert_eq!(
        about(
            "ssh-keygen -f ~/.ssh/KNOWN_HOSTS -R KNOWN_NAME",
            "/etc/ssh/ssh_known_hosts:3"
        ),
        "ssh-keygen -f /etc/ssh/ssh_known_hosts -R server.example"
    );
    let far = Case {
        port: Some(2222),
        client_addr: Some("2001:db8::4".into()),
        addr: Some("2001:db8::7".into()),
        ..case()
    };
    let far = |t: &str, place: &str| super::fill(t, &far, "", place).into_owned();
    assert_eq!(
        far("ssh-keygen -f ~/.ssh/KNOWN_HOSTS -R KNOWN_NAME", "client"),
        "ssh-keygen -f ~/.ssh/known_hosts -R '[server.example]:2222'"
    );
    assert_eq!(
        far("echo sshd: CLIENT_WRAPPED", "server"),
        "echo sshd: '[2001:db8::4]/128'"
    );
    assert_eq!(
        far("iptables -I INPUT -s CLIENT_NET -j ACCEPT", "server"),
        "ip6tables -I INPUT -s 2001:db8::4/128 -j ACCEPT"
    );
    assert_eq!(
        far("ip route add ADDR/32 via GATEWAY", "client"),
        "ip -6 route add 2001:db8::7/128 via GATEWAY"
    );
    assert_eq!(about("ssh -p PORT", "2022"), "ssh -p 2022");
    assert_eq!(
        fill("stat 'KEY'", "client"),
        "stat 'KEY'",
        "not inside quotes"
    );
    assert_eq!(
        super::fill("ssh -p PORT", &case(), "192.0.2.7:2222", "client"),
        "ssh -p 2222"
    );
    assert_eq!(fill("REVOKED_USER USERS", "client"), "REVOKED_USER USERS");
    let hostile = Case {
        user: Some("a; rm -rf ~".into()),
        host: Some("-oProxyCommand=x".into()),
        ..Case::default()
    };
    assert_eq!(
        super::fill("ssh USER@HOST", &hostile, "", "client"),
        "ssh 'a; rm -rf ~'@HOST"
    );
    assert_eq!(
        super::fill("tcpdump 'host ADDR and USER'", &hostile, "", "client"),
        "tcpdump 'host ADDR and USER'"
    );
}

#[test]
fn the_clients_observations_complete_the_case() {
    let d = diagnose(
        &Case::default(),
        &[
            o(Gate::Name, "target.user", "", "bob"),
            o(Gate::Name, "target.host", "", "server.example"),
            o(Gate::Kex, "kex.mismatch", "aes128-cbc", "cipher"),
        ],
    );
    assert_eq!(d.findings[0].subjects.users, ["bob"]);
    assert_eq!(d.findings[0].subjects.hosts, ["server.example"]);
}
