//! Messages as people paste them, of every program and side, and the cause that has to stand first: what an administrator
//! would name. An empty cause: harmless, nothing may be accused.

use super::explain;

/// The first cause that is no symptom; where only a symptom is known, that one.
fn first(paste: &str) -> &'static str {
    let answer = explain(paste);
    let slugs: Vec<&'static str> = answer.findings.iter().map(|f| f.slug).collect();
    let is_root =
        |slug: &&&str| crate::catalog::causes::by_slug(slug).is_some_and(|cause| !cause.is_symptom);
    slugs
        .iter()
        .find(is_root)
        .or(slugs.first())
        .copied()
        .unwrap_or_default()
}

#[track_caller]
fn all(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(paste, want)| first(paste) != *want)
        .map(|(paste, want)| format!("{paste:?}: wanted {want:?}, got {:?}", first(paste)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_the_answer_in_a_servers_line_decides() {
    let sss = "sshd[991]: pam_sss(sshd:auth): received for user build:";
    let winbind = "sshd[991]: pam_winbind(sshd:auth): request wbcLogonUser failed: WBC_ERR_AUTH_ERROR, PAM error:";
    all(&[
        (
            &format!("{sss} 7 (Authentication failure)"),
            "wrong-password",
        ),
        (
            &format!("{sss} 9 (Authentication service cannot retrieve authentication info)"),
            "directory-service-down",
        ),
        (
            &format!("{sss} 10 (User not known to the underlying authentication module)"),
            "user-not-found",
        ),
        (
            &format!("{sss} 12 (Authentication token is no longer valid; new one required)"),
            "password-expired",
        ),
        (
            "sshd[991]: pam_sss(sshd:account): Access denied for user build: 6 (Permission denied)",
            "pam-denied",
        ),
        (
            "sshd[991]: pam_sss(sshd:account): Access denied for user build: 4 (System error)",
            "directory-service-down",
        ),
        (
            &format!(
                "{winbind} PAM_AUTH_ERR (7), NTSTATUS: NT_STATUS_WRONG_PASSWORD, Error message was: Wrong Password"
            ),
            "wrong-password",
        ),
        (
            &format!(
                "{winbind} PAM_AUTH_ERR (7), NTSTATUS: NT_STATUS_ACCOUNT_LOCKED_OUT, Error message was: locked"
            ),
            "account-faillock",
        ),
        (
            "sshd[991]: pam_winbind(sshd:auth): request wbcLogonUser failed: WBC_ERR_WINBIND_NOT_AVAILABLE, PAM error: PAM_AUTHINFO_UNAVAIL (9)",
            "directory-service-down",
        ),
        (
            "sshd[991]: pam_systemd(sshd:session): Failed to create session: Connection timed out",
            "slow-login-logind",
        ),
        (
            "sshd[991]: pam_systemd(sshd:session): Failed to create session: No such file or directory",
            "",
        ),
        (
            "sshd[991]: error: fork: Cannot allocate memory",
            "out-of-memory",
        ),
        (
            "sshd[991]: fatal: setresuid 1001: Resource temporarily unavailable",
            "process-limit",
        ),
        (
            "kernel: sshd[1189]: segfault at 0 ip 00007f sp 00007ffd error 4 in libnss_x.so.2[7f000+1000]",
            "sshd-crashes",
        ),
        (
            "dropbear[500]: Exit before auth from <192.0.2.7:5555>: No matching algo kex",
            "no-matching-kex",
        ),
        (
            "dropbear[500]: Exit before auth from <192.0.2.7:5555>: No matching algo hostkey",
            "no-matching-host-key-type",
        ),
        // What the client said when it left; Java libraries give the same number whatever it was.
        (
            "sshd[991]: error: Received disconnect from 192.0.2.7 port 55:3: com.jcraft.jsch.JSchException: Auth fail [preauth]",
            "wrong-password",
        ),
        (
            "sshd[991]: error: Received disconnect from 192.0.2.7 port 55:3: java.net.SocketTimeoutException: Read timed out [preauth]",
            "",
        ),
        // The line that says why silences the one that says that it failed.
        (
            "sshd[991]: error: Bind to port 2222 on :: failed: Permission denied.\nsshd[991]: fatal: Cannot bind any address.",
            "selinux-port",
        ),
    ]);
}

#[test]
fn what_selinux_refused() {
    let denied = |what: &str, class: &str| {
        format!(
            "type=AVC msg=audit(1699999999.123:456): avc:  denied  {{ {what} }} for  pid=991 comm=\"sshd\" name=\"x\" scontext=system_u:system_r:sshd_t:s0 tcontext=system_u:object_r:default_t:s0 tclass={class} permissive=0"
        )
    };
    all(&[
        (&denied("name_bind", "tcp_socket"), "selinux-port"),
        (&denied("read", "file"), "selinux-context"),
        (
            &denied("read", "file").replace("type=AVC msg=audit", "audit: type=1400 audit"),
            "selinux-context",
        ),
        // Only noted; granted; another program's.
        (
            &denied("read", "file").replace("permissive=0", "permissive=1"),
            "",
        ),
        (&denied("read", "file").replace("denied", "granted"), ""),
        (
            &denied("read", "file")
                .replace("comm=\"sshd\"", "comm=\"nginx\"")
                .replace("sshd_t", "httpd_t"),
            "",
        ),
        (
            "SELinux is preventing /usr/sbin/sshd from name_bind access on the tcp_socket port 2222.",
            "selinux-port",
        ),
    ]);
}

#[test]
fn which_algorithm_is_missing() {
    all(&[
        (
            "Couldn't agree a host key algorithm (available: rsa-sha2-512,rsa-sha2-256)",
            "no-matching-host-key-type",
        ),
        (
            "Couldn't agree a client-to-server cipher (available: aes128-ctr)",
            "no-matching-cipher",
        ),
        (
            "Couldn't agree a client-to-server MAC (available: hmac-sha2-256-etm@openssh.com)",
            "no-matching-mac",
        ),
        (
            "com.jcraft.jsch.JSchAlgoNegoFailException: Algorithm negotiation fail: algorithmName=\"server_host_key\" jschProposal=\"ssh-rsa\" serverProposal=\"ssh-ed25519\"",
            "no-matching-host-key-type",
        ),
        (
            "kex error : no match for method mac algo client->server: server [hmac-md5], client [hmac-sha2-256]",
            "no-matching-mac",
        ),
        (
            "net.schmizz.sshj.transport.TransportException: Unable to reach a settlement: [diffie-hellman-group1-sha1] and [curve25519-sha256]",
            "no-matching-kex",
        ),
        (
            "net.schmizz.sshj.transport.TransportException: Unable to reach a settlement: [ssh-rsa] and [ssh-ed25519]",
            "no-matching-host-key-type",
        ),
        (
            "Net::SSH::Exception: could not settle on encryption_client algorithm",
            "no-matching-cipher",
        ),
        (
            "Error: Handshake failed: no matching host key format",
            "no-matching-host-key-type",
        ),
        (
            "%SSH-3-NO_MATCH: No matching kex algorithm found: client curve25519-sha256 server diffie-hellman-group14-sha1",
            "no-matching-kex",
        ),
        // "encryption keys" are no cipher.
        ("Unable to exchange encryption keys", "no-matching-kex"),
    ]);
}

#[test]
fn what_stands_around_it_decides() {
    all(&[
        (
            "nc: Proxy error: \"HTTP/1.1 403 Forbidden\"\nkex_exchange_identification: Connection closed by remote host",
            "proxy-command-failed",
        ),
        (
            "/bin/sh: line 1: exec: nc: not found\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            "proxy-command-failed",
        ),
        (
            "An error occurred (TargetNotConnected) when calling the StartSession operation: i-0123 is not connected.\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            "proxy-command-failed",
        ),
        (
            "bash: rsync: command not found\nrsync error: remote command not found (code 127) at io.c(231) [sender=3.2.7]",
            "remote-program-missing",
        ),
        (
            "bash: line 1: /opt/gate/menu: No such file or directory",
            "forced-command",
        ),
        (
            "sh: 1: /usr/lib/sftp-server: not found\nscp: Connection closed",
            "sftp-subsystem-missing",
        ),
        (
            "sh: /usr/libexec/sftp-server: not found\nscp: Connection closed",
            "sftp-subsystem-missing",
        ),
        (
            "Please login as the user \"ubuntu\" rather than the user \"root\".\n\nConnection to 192.0.2.10 closed.",
            "root-login-disabled",
        ),
        (
            "mux_client_request_session: session request failed: Session open refused by peer\nControlSocket /run/user/1000/cm already exists, disabling multiplexing",
            "max-sessions",
        ),
        (
            "debug1: SSH2_MSG_KEXINIT received\ndebug1: expecting SSH2_MSG_KEX_ECDH_REPLY",
            "mtu-blackhole",
        ),
        (
            "Permissions 0644 for '/etc/ssh/ssh_host_rsa_key' are too open.",
            "host-key-permissions",
        ),
        (
            "4120 2026-05-02 10:11:12.123 debug3: Bad permissions. Try removing permissions for user: BUILTIN\\Users (S-1-5-32-545) on file __PROGRAMDATA__/ssh/administrators_authorized_keys.",
            "authorized-keys-permissions",
        ),
        (
            "Permissions 0644 for '/home/build/.ssh/id_rsa' are too open.",
            "private-key-permissions",
        ),
        ("Permission denied (gssapi-with-mic).", "kerberos-failed"),
        ("Permission denied ().", "no-auth-methods"),
        (
            "open /root/.ssh/known_hosts: no such file or directory",
            "host-key-unknown",
        ),
        (
            "open /root/.ssh/id_ed25519: no such file or directory",
            "identity-file-missing",
        ),
        (
            "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none password], no supported methods remain",
            "wrong-password",
        ),
        (
            "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none], no supported methods remain",
            "auth-method-mismatch",
        ),
        (
            "Received disconnect from UNKNOWN port 65535:2: Too many authentication failures",
            "too-many-auth-failures",
        ),
        (
            "Received disconnect from 192.0.2.10 port 22:2: Packet corrupt",
            "packet-corruption",
        ),
        (
            "Remote: build@backup: Permission denied (publickey).\nConnection closed by remote host. Is borg working on the server?",
            "pubkey-not-authorized",
        ),
        (
            "web3 | UNREACHABLE! => {\n    \"changed\": false,\n    \"msg\": \"Failed to connect to the host via ssh: ssh: connect to host web3 port 22: Connection refused\",\n    \"unreachable\": true\n}",
            "sshd-not-running",
        ),
    ]);
}

#[test]
fn a_box_is_one_message() {
    all(&[
        (
            "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\nPermissions 0644 for '/etc/ssh/ssh_host_rsa_key' are too open.\nsshd: no hostkeys available -- exiting.",
            "host-key-permissions",
        ),
        (
            "sshd: no hostkeys available -- exiting.",
            "host-keys-missing",
        ),
    ]);
}

#[test]
fn short_forms_are_known() {
    all(&[
        ("Permission denied (publickey)", "pubkey-not-authorized"),
        ("Host key verification failed", "host-key-unknown"),
        (
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
            "host-key-changed",
        ),
        (
            "no matching host key type found",
            "no-matching-host-key-type",
        ),
        ("agent refused operation", "agent-refused"),
        (
            "2026/11/12 10:00:00 dial tcp 192.0.2.10:22: i/o timeout",
            "firewall-path-drop",
        ),
        (
            "debug1: Connecting to build.example.org [192.0.2.10] port 22.",
            "firewall-path-drop",
        ),
    ]);
}

#[test]
fn nothing_is_accused_that_does_no_harm() {
    all(&[
        (
            "Received disconnect from 192.0.2.10 port 22:11: disconnected by user",
            "",
        ),
        (
            "Pseudo-terminal will not be allocated because stdin is not a terminal.",
            "",
        ),
        (
            "Hi build! You've successfully authenticated, but GitHub does not provide shell access.",
            "",
        ),
        ("rm: cannot remove 'x': Permission denied", ""),
        (
            "debug1: No Kerberos credentials available (default cache: FILE:/tmp/krb5cc_1000)",
            "",
        ),
        (
            "/home/build/.ssh/id_rsa already exists.\nOverwrite (y/n)?",
            "",
        ),
        (
            "INFO:paramiko.transport:Authentication (publickey) successful!",
            "",
        ),
        (
            "sshd[991]: pam_systemd(sshd:session): Failed to connect to system bus: No such file or directory",
            "",
        ),
        (
            "scp: dest open \"/root/x\": Permission denied\nscp: failed to upload file x to /root/x",
            "",
        ),
    ]);
}

#[test]
fn commands_name_the_file_that_the_message_names() {
    let answer = explain("Load key \"/home/build/keys/web.pem\": invalid format");
    let commands: Vec<&str> = answer
        .causes
        .iter()
        .flat_map(|cause| &cause.confirm)
        .map(|look| look.command.as_str())
        .collect();
    assert!(
        commands
            .iter()
            .any(|c| c.contains("/home/build/keys/web.pem")),
        "{commands:#?}"
    );
    assert_eq!(
        answer.findings[0].subjects.files,
        ["/home/build/keys/web.pem"]
    );
    // Two files: the reader has to choose.
    let answer = explain(
        "Load key \"/home/build/a\": invalid format\nLoad key \"/home/build/b\": invalid format",
    );
    assert!(answer.findings[0].subjects.files.is_empty());
}

#[test]
fn whom_and_where_a_message_names() {
    let commands = |paste: &str| -> Vec<String> {
        explain(paste)
            .causes
            .iter()
            .flat_map(|cause| cause.remedy.iter().filter_map(|step| step.command.clone()))
            .collect()
    };
    // A ban tool names the client, whom the server's commands are about.
    let unban = commands("fail2ban.actions [812]: NOTICE [sshd] Ban 192.0.2.7");
    assert!(
        unban.iter().any(|c| c.contains("unbanip 192.0.2.7")),
        "{unban:#?}"
    );
    let forget =
        commands("Host key for [web1]:2222 has changed and you have requested strict checking.");
    assert!(
        forget.iter().any(|c| c.contains("'[web1]:2222'")),
        "{forget:#?}"
    );
    let looks: Vec<String> =
        explain("Host key for [web1]:2222 has changed and you have requested strict checking.")
            .causes
            .iter()
            .flat_map(|cause| cause.confirm.iter().map(|look| look.command.clone()))
            .collect();
    assert!(
        looks.iter().any(|c| c.starts_with("getent ahosts web1")),
        "{looks:#?}"
    );
}

#[test]
fn commands_and_lines_name_the_program_that_is_missing() {
    let answer = explain("bash: borg: command not found");
    assert_eq!(answer.causes[0].slug, "remote-program-missing");
    let commands: Vec<&str> = answer.causes[0]
        .confirm
        .iter()
        .map(|look| look.command.as_str())
        .collect();
    assert!(commands.contains(&"command -v borg"), "{commands:#?}");
    assert!(answer.findings[0].subjects.files.is_empty());
    // The line's own list says what the verdict says.
    assert_eq!(answer.lines[0].causes[0].slug, "remote-program-missing");
}

#[test]
fn what_failed_without_a_cause_is_not_called_harmless() {
    let notes = |paste: &str| explain(paste).notes.join(" ");
    let failed = notes("error: cannot run ssh: No such file or directory");
    assert!(failed.contains("what each means stands below"), "{failed}");
    let fine = notes("debug1: Connection established.");
    assert!(fine.contains("Nothing in these lines is a fault"), "{fine}");
}
