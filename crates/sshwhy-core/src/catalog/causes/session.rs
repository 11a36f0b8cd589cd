//! Causes after the proof: account, session, shell, forwarding, and sessions that end.

use super::{Blame, Cause, Confirm, Gate, Remedy};
use crate::finding::Severity;

pub(super) const ROWS: &[Cause] = &[
    Cause {
        id: "SW0401",
        slug: "account-locked",
        title: "The account is locked",
        blames: Blame::Policy,
        gate: Gate::Account,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The password field in shadow begins with \"!\" (usermod -L, passwd -l, or an account that \
            never had a password). What that means depends on UsePAM: with UsePAM no sshd refuses the \
            account altogether, keys too, and logs \"account is locked\"; this bites in Alpine and minimal \
            containers. With UsePAM yes (Debian, Ubuntu, RHEL) only the password is dead, keys still \
            work, and the log shows a plain \"Failed password\". Some sites lock by expiry as well: \
            account-expired.",
        confirm: &[
            Confirm {
                command: "passwd -S USER",
                place: "server",
                shows: "L: locked; P: usable password; NP: none",
            },
            Confirm {
                command: "getent shadow USER | cut -d: -f2 | cut -c1",
                place: "server",
                shows: "\"!\" means locked; \"*\" means no password, but not locked",
            },
            Confirm {
                command: "sshd -T | grep -i usepam",
                place: "server",
                shows: "whether sshd itself checks the lock",
            },
        ],
        remedy: &[
            Remedy {
                action: "To allow keys and still no password: \"*\" in the place of \"!\"; the rest of the field stays",
                command: Some(
                    "usermod -p \"$(getent shadow USER | cut -d: -f2 | sed 's/^!*/*/')\" USER",
                ),
                place: "server",
                risk: "keys work again; ask first why the account was locked",
                undo: Some(
                    "usermod -p \"$(getent shadow USER | cut -d: -f2 | sed 's/^[*]/!/')\" USER",
                ),
            },
            Remedy {
                action: "To let the old password work again",
                command: Some("usermod -U USER"),
                place: "server",
                risk: "the old password is valid again",
                undo: Some("usermod -L USER"),
            },
            Remedy {
                action: "Or give it a new password, which unlocks too",
                command: Some("passwd USER"),
                place: "server",
                risk: "none",
                undo: Some("usermod -L USER"),
            },
        ],
        look_alikes: &[
            "wrong-password",
            "account-expired",
            "account-faillock",
            "user-not-allowed",
        ],
        refs: &["auth.c allowed_user()", "shadow(5)", "passwd(1)"],
    },
    Cause {
        id: "SW0402",
        slug: "account-expired",
        title: "The account has expired",
        blames: Blame::Policy,
        gate: Gate::Account,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The eighth field of shadow holds a day that is past. The proof succeeds and then PAM's \
            account stage refuses: the client may print \"Your account has expired; please contact your \
            system administrator.\" and the connection closes; the log says \"account … has expired\". It \
            is not the password's age (password-expired) and not a lock (account-locked).",
        confirm: &[
            Confirm {
                command: "chage -l USER",
                place: "server",
                shows: "\"Account expires\" in the past",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'has expired'",
                place: "server",
                shows: "the refusal",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where the account has a last day (chage -l): set a new one, if the person may still log in",
                command: Some("chage -E 2099-12-31 USER"),
                place: "server",
                risk: "none",
                undo: Some("chage -E OLD_DATE USER"),
            },
            Remedy {
                action: "Where the password ran out too long ago and took the account with it: give a new \
                    password, which the person changes at the first login",
                command: Some("passwd USER && chage -d 0 USER"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["password-expired", "account-locked", "pam-denied"],
        refs: &["shadow(5)", "chage(1)", "pam_unix(8)"],
    },
    Cause {
        id: "SW0403",
        slug: "password-expired",
        title: "The password has expired and must be changed first",
        blames: Blame::Policy,
        gate: Gate::Account,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The login is accepted, and the account stage demands a new password before anything else. \
            With a terminal the user is asked; a command, scp, sftp or a script has none and ends with \
            \"Password change required but no TTY available\". It holds for key logins as well, since the \
            age is the account's. After the grace period (inactive) the account is refused altogether.",
        confirm: &[Confirm {
            command: "chage -l USER",
            place: "server",
            shows: "\"Password expires\" in the past, or \"password must be changed\"",
        }],
        remedy: &[
            Remedy {
                action: "Log in with a terminal and change it",
                command: Some("ssh -t USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "For a machine account that only uses keys: no password age at all",
                command: Some("chage -M -1 -d 2020-01-01 USER"),
                place: "server",
                risk: "that password never has to change; lock the password too (usermod -p '*' USER)",
                undo: Some("chage -M 90 USER"),
            },
        ],
        look_alikes: &["account-expired", "wrong-password", "pam-denied"],
        refs: &["shadow(5)", "chage(1)", "auth-pam.c"],
    },
    Cause {
        id: "SW0404",
        slug: "account-faillock",
        title: "Too many wrong passwords have locked the account for a time",
        blames: Blame::Policy,
        gate: Gate::Account,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "pam_faillock (or the older pam_tally2) counts failures for each account and then refuses \
            even the right password for some minutes; anybody who guesses can lock others out. The \
            client sees \"Permission denied\" as with a wrong password. The log has the count, or \"account \
            temporarily locked\". Keys are not counted, and usually still work.",
        confirm: &[
            Confirm {
                command: "faillock --user USER",
                place: "server",
                shows: "the failures with time and source (older: pam_tally2 --user USER)",
            },
            Confirm {
                command: "grep -vE '^ *(#|$)' /etc/security/faillock.conf",
                place: "server",
                shows: "deny, unlock_time, even_deny_root",
            },
        ],
        remedy: &[
            Remedy {
                action: "Wait for unlock_time without trying, or use a key",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Clear the count",
                command: Some("faillock --user USER --reset"),
                place: "server",
                risk: "guessing may go on from zero; see first who failed",
                undo: None,
            },
        ],
        look_alikes: &["wrong-password", "account-locked", "ip-banned"],
        refs: &["pam_faillock(8)", "faillock.conf(5)"],
    },
    Cause {
        id: "SW0405",
        slug: "nologin-file",
        title: "/etc/nologin or /run/nologin keeps everybody but root out",
        blames: Blame::Policy,
        gate: Gate::Account,
        severity: Severity::High,
        is_symptom: false,
        explanation: "While the file exists, pam_nologin lets only root in and shows its text. It is made for \
            maintenance, by a shutdown that is planned, and by systemd during boot until \
            systemd-user-sessions has run: a boot that hangs leaves it (\"System is booting up.\"). The \
            proof succeeds and then the connection closes.",
        confirm: &[
            Confirm {
                command: "ls -l /etc/nologin /run/nologin /var/run/nologin; cat /etc/nologin /run/nologin",
                place: "server",
                shows: "the file, its age and its text",
            },
            Confirm {
                command: "systemctl is-system-running; systemctl list-jobs",
                place: "server",
                shows: "a boot that is not finished, and what it waits for",
            },
        ],
        remedy: &[
            Remedy {
                action: "If the boot is over and nobody is working on the machine: remove the file",
                command: Some("rm FILE"),
                place: "server",
                risk: "users may come in during maintenance",
                undo: Some("touch FILE"),
            },
            Remedy {
                action: "After a boot that hangs: finish the step that removes it",
                command: Some("systemctl start systemd-user-sessions"),
                place: "server",
                risk: "users may come in before all services run",
                undo: None,
            },
            Remedy {
                action: "root may log in, where PermitRootLogin allows it",
                command: Some("ssh root@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["pam-denied", "account-expired", "shell-nologin"],
        refs: &[
            "nologin(5)",
            "pam_nologin(8)",
            "systemd-user-sessions.service(8)",
        ],
    },
    Cause {
        id: "SW0406",
        slug: "pam-denied",
        title: "A PAM rule refuses the account",
        blames: Blame::Policy,
        gate: Gate::Account,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The key or password is right, and then the account stage of PAM says no: pam_access \
            (/etc/security/access.conf), pam_listfile, pam_time, pam_succeed_if, SSSD's access rules, or \
            a plain pam_deny. The client only sees the connection close after the login, sometimes \
            \"Permission denied\". sshd logs \"Access denied for user … by PAM account configuration\", \
            often with the module's own line before it.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'pam_|Access denied'",
                place: "server",
                shows: "the module's line, just before sshd's",
            },
            Confirm {
                command: "grep -nE '^(account|@include|.*include)' /etc/pam.d/sshd /etc/pam.d/common-account /etc/pam.d/password-auth",
                place: "server",
                shows: "the account stack (Debian: common-account; RHEL: password-auth)",
            },
            Confirm {
                command: "grep -vE '^ *(#|$)' /etc/security/access.conf",
                place: "server",
                shows: "pam_access: the first matching line decides",
            },
        ],
        remedy: &[
            Remedy {
                action: "Look at the rule that refuses, and correct it or what it reads; keep this session open and test with \
                    a second login",
                command: Some("less PATH"),
                place: "server",
                risk: "none",
                undo: Some("put the old rule back"),
            },
            Remedy {
                action: "With SSSD: look at the domain's access rules (on RHEL: realm permit USER)",
                command: Some("sssctl user-checks -a acct -s sshd USER"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "nologin-file",
            "account-expired",
            "shell-not-listed",
            "pam-misconfigured",
            "user-not-allowed",
            "account-denied",
        ],
        refs: &[
            "pam_access(8)",
            "access.conf(5)",
            "auth-pam.c do_pam_account()",
        ],
    },
    Cause {
        id: "SW0407",
        slug: "pam-misconfigured",
        title: "The PAM files are broken",
        blames: Blame::Server,
        gate: Gate::Account,
        severity: Severity::High,
        is_symptom: false,
        explanation: "A module named in /etc/pam.d cannot be loaded, an included file is missing, a line does not \
            parse, or the service file sshd is not there so that \"other\" (which denies) applies. Then \
            logins fail for everybody, with right keys too. The log names it: \"PAM unable to dlopen\", \
            \"illegal module type\", \"error loading …\". The change is often recent: an upgrade, an \
            authselect or pam-auth-update run, a hardening script.",
        confirm: &[
            Confirm {
                command: "journalctl --since -1h --grep 'PAM (unable|adding faulty|bad|error|illegal|pam_)'",
                place: "server",
                shows: "what does not load or parse",
            },
            Confirm {
                command: "ls -l /etc/pam.d/sshd; grep -n include /etc/pam.d/sshd",
                place: "server",
                shows: "the service file and what it includes",
            },
            Confirm {
                command: "ls -lt /etc/pam.d | head",
                place: "server",
                shows: "which file changed last",
            },
        ],
        remedy: &[
            Remedy {
                action: "Keep this root session open. Put the last good file back from backup or package (Debian: \
                    pam-auth-update --package; RHEL: authselect apply-changes)",
                command: None,
                place: "server",
                risk: "local changes to the stack are lost",
                undo: Some("save /etc/pam.d first: cp -a /etc/pam.d /root/pam.d.bak"),
            },
            Remedy {
                action: "Install a module that is missing (for instance libpam-google-authenticator, sssd)",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Test with a second login before you close this one",
                command: Some("ssh USER@127.0.0.1 true"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["pam-denied", "pam-session-failed", "sshd-crashes"],
        refs: &["pam.conf(5)", "pam.d(5)", "sshd_config(5) UsePAM"],
    },
    Cause {
        id: "SW0408",
        slug: "pam-limits",
        title: "A limit of limits.conf stops the login, or what the session does",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "pam_limits counts the user's sessions (or all of the machine's) and refuses the next: \"There \
            were too many logins for 'USER'.\" Sessions that were never ended, and utmp records left from \
            a crash, count too. The login was accepted; the session ends at once. Other limits (as, data, \
            nofile, cpu) keep the shell from starting, and fsize cuts off what is written: an upload breaks \
            off with \"Failure\" although there is room.",
        confirm: &[
            Confirm {
                command: "grep -rnE '^[^#]' /etc/security/limits.conf /etc/security/limits.d",
                place: "server",
                shows: "the limit and whom it is for",
            },
            Confirm {
                command: "loginctl list-sessions; who",
                place: "server",
                shows: "the sessions that count",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where the number of logins is what is limited: end sessions nobody uses (look first \
                    whose they are)",
                command: Some("loginctl terminate-session SESSION"),
                place: "server",
                risk: "what runs in it ends",
                undo: None,
            },
            Remedy {
                action: "Raise the limit where it is set (the evidence names the line); it holds from the next \
                    login on",
                command: None,
                place: "server",
                risk: "more sessions at once",
                undo: Some("put the old value back"),
            },
        ],
        look_alikes: &[
            "process-limit",
            "max-sessions",
            "pam-session-failed",
            "pam-denied",
            "disk-full",
        ],
        refs: &["pam_limits(8)", "limits.conf(5) maxlogins"],
    },
    Cause {
        id: "SW0409",
        slug: "process-limit",
        title: "The user may start no more processes (nproc)",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The login succeeds and the shell cannot be forked or executed, since the user's process \
            limit is reached: too many processes of that user, or a limit set too low in limits.d or for \
            the user's slice. The client sees \"exec request failed\", \"shell request failed on channel \
            0\", or bash's \"fork: retry: Resource temporarily unavailable\".",
        confirm: &[
            Confirm {
                command: "ps -U USER --no-headers -L | wc -l",
                place: "server",
                shows: "how many tasks the user has; threads count",
            },
            Confirm {
                command: "grep -rn nproc /etc/security/limits.conf /etc/security/limits.d",
                place: "server",
                shows: "the limit",
            },
            Confirm {
                command: "systemctl show user-$(id -u USER).slice -p TasksCurrent -p TasksMax",
                place: "server",
                shows: "systemd's own limit",
            },
        ],
        remedy: &[
            Remedy {
                action: "See what runs, then end what should not (TERM before KILL)",
                command: Some("ps -U USER -o pid,etime,cmd"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Raise nproc for that user in /etc/security/limits.d; it holds from the next login on",
                command: None,
                place: "server",
                risk: "more processes",
                undo: Some("put the old value back"),
            },
        ],
        look_alikes: &["out-of-memory", "pam-limits", "shell-rc-exits"],
        refs: &["limits.conf(5) nproc", "setrlimit(2) RLIMIT_NPROC"],
    },
    Cause {
        id: "SW0410",
        slug: "pam-session-failed",
        title: "The PAM session cannot be opened",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The login is accepted and a module of the session stage fails: pam_loginuid in a container \
            without the right to write it, pam_namespace, pam_mkhomedir, pam_selinux, pam_systemd. A \
            required module ends the session at once; an optional one only logs. sshd writes \"PAM: \
            pam_open_session()\" and the reason.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'pam_open_session|set_loginuid|pam_.*session'",
                place: "server",
                shows: "the module and the error",
            },
            Confirm {
                command: "grep -n '^session' /etc/pam.d/sshd",
                place: "server",
                shows: "which modules are required",
            },
        ],
        remedy: &[
            Remedy {
                action: "In a container: mark pam_loginuid optional in /etc/pam.d/sshd",
                command: Some(
                    "sed -i.bak 's/^session\\s\\+required\\s\\+pam_loginuid.so/session optional pam_loginuid.so/' /etc/pam.d/sshd",
                ),
                place: "server",
                risk: "the audit id of a session is not set, which a container cannot do anyway",
                undo: Some("mv /etc/pam.d/sshd.bak /etc/pam.d/sshd"),
            },
            Remedy {
                action: "Elsewhere: repair what the module needs (keep this session open)",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "pam-misconfigured",
            "pam-limits",
            "slow-login-logind",
            "home-missing",
        ],
        refs: &["pam_loginuid(8)", "auth-pam.c do_pam_session()"],
    },
    Cause {
        id: "SW0411",
        slug: "slow-login-logind",
        title: "The login waits about 25 seconds for systemd-logind or D-Bus",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "After the proof pam_systemd asks logind for a session over D-Bus, and gets no answer: dbus \
            was restarted or upgraded under logind, or logind hangs. After the D-Bus timeout of 25 s the \
            login goes on without a session. slow-reverse-dns pauses before the password, this one after \
            it.",
        confirm: &[
            Confirm {
                command: "journalctl --since -10min --grep 'pam_systemd.*(Failed to create session|timed out)'",
                place: "server",
                shows: "the timeout",
            },
            Confirm {
                command: "time loginctl list-sessions",
                place: "server",
                shows: "hangs or fails",
            },
        ],
        remedy: &[Remedy {
            action: "Restart logind (it finds the running sessions again)",
            command: Some("systemctl restart systemd-logind"),
            place: "server",
            risk: "graphical sessions may notice",
            undo: None,
        }],
        look_alikes: &["slow-reverse-dns", "slow-gssapi", "pam-session-failed"],
        refs: &["pam_systemd(8)"],
    },
    Cause {
        id: "SW0412",
        slug: "shell-nologin",
        title: "The login shell is nologin, false or the like",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The account has /usr/sbin/nologin, /sbin/nologin or /bin/false as its shell: it is meant for \
            a service or for file transfer only. The login is accepted, then the shell prints \"This \
            account is currently not available.\" (false prints nothing, and true ends as if all were well) and the \
            session ends. sftp by internal-sftp still works, since it needs no shell.",
        confirm: &[Confirm {
            command: "getent passwd USER | cut -d: -f7",
            place: "server",
            shows: "the shell",
        }],
        remedy: &[
            Remedy {
                action: "Perhaps another account is meant: log in as that",
                command: Some("ssh OTHER_USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If the account shall log in: give it a shell that exists",
                command: Some("chsh -s /bin/bash USER"),
                place: "server",
                risk: "the account can run commands",
                undo: Some("chsh -s OLD_SHELL USER"),
            },
            Remedy {
                action: "For files only: a block \"Match User USER\" with \"ForceCommand internal-sftp\"",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("remove the block and reload"),
            },
        ],
        look_alikes: &[
            "shell-missing",
            "shell-rc-exits",
            "nologin-file",
            "forced-command",
        ],
        refs: &["nologin(8)", "passwd(5)"],
    },
    Cause {
        id: "SW0413",
        slug: "shell-missing",
        title: "The login shell does not exist or cannot be run",
        blames: Blame::Server,
        gate: Gate::Account,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "sshd refuses an account whose shell is not there or not executable, before any key is even \
            looked at: \"User U not allowed because shell S does not exist\". A removed package (zsh, \
            fish), a home-built shell, a chroot without a shell, or accounts copied from another system \
            (/usr/local/bin/bash) do it. To the client it looks like a wrong key.",
        confirm: &[
            Confirm {
                command: "getent passwd USER | cut -d: -f7",
                place: "server",
                shows: "the shell; does the path exist?",
            },
            Confirm {
                command: "ls -lL \"$(getent passwd USER | cut -d: -f7)\"",
                place: "server",
                shows: "missing, or without x",
            },
        ],
        remedy: &[
            Remedy {
                action: "Give the user a shell that exists",
                command: Some("chsh -s /bin/bash USER"),
                place: "server",
                risk: "none (Alpine: /bin/ash)",
                undo: Some("chsh -s OLD_SHELL USER"),
            },
            Remedy {
                action: "Or install the package that has it",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "shell-nologin",
            "shell-not-listed",
            "user-not-allowed",
            "pubkey-not-authorized",
        ],
        refs: &["auth.c allowed_user()", "passwd(5)"],
    },
    Cause {
        id: "SW0414",
        slug: "shell-not-listed",
        title: "The login shell is not in /etc/shells",
        blames: Blame::Policy,
        gate: Gate::Account,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "A PAM stack with pam_shells refuses users whose shell is not in /etc/shells. The shell \
            exists and works; it was installed by hand, or is a wrapper. sshd itself does not look at \
            /etc/shells, so without pam_shells this is never the reason.",
        confirm: &[
            Confirm {
                command: "grep -rn pam_shells /etc/pam.d",
                place: "server",
                shows: "the rule",
            },
            Confirm {
                command: "grep -Fx \"$(getent passwd USER | cut -d: -f7)\" /etc/shells",
                place: "server",
                shows: "no output: not listed",
            },
        ],
        remedy: &[
            Remedy {
                action: "Add the shell, if it is one",
                command: Some("echo /PATH/TO/SHELL >> /etc/shells"),
                place: "server",
                risk: "other programs that read the file accept it too",
                undo: Some("delete the line"),
            },
            Remedy {
                action: "Or give the user a listed one",
                command: Some("chsh -s /bin/bash USER"),
                place: "server",
                risk: "none",
                undo: Some("chsh -s OLD_SHELL USER"),
            },
        ],
        look_alikes: &["shell-missing", "pam-denied", "shell-nologin"],
        refs: &["shells(5)", "pam_shells(8)"],
    },
    Cause {
        id: "SW0415",
        slug: "shell-rc-exits",
        title: "A start-up file of the shell ends the session",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The login works and the session ends at once, with the exit status of the start-up file: an \
            exit, an exec, a set -e, a failing test or an endless wait in ~/.bashrc, ~/.profile, \
            /etc/profile.d, a file that one of them sources or the like. The log shows an accepted login and a normal \
            disconnect within a second. bash reads ~/.bashrc even for a plain command, when it was \
            started by sshd. TMOUT in such a file ends an interactive shell in which nothing is typed for \
            so many seconds.",
        confirm: &[
            Confirm {
                command: "ssh USER@HOST true; echo $?",
                place: "client",
                shows: "a status other than 0 that true did not give, or nothing at all",
            },
            Confirm {
                command: "ssh -t USER@HOST /bin/sh",
                place: "client",
                shows: "the user's shell still reads its files first; if this works, an interactive-only file is at \
                    fault",
            },
            Confirm {
                command: "sudo -u USER -H bash -xc true; sudo -u USER -H bash -lxc true",
                place: "server",
                shows: "the last line before it ends",
            },
        ],
        remedy: &[
            Remedy {
                action: "Move the file away by sftp, which needs no shell where internal-sftp serves it",
                command: Some("echo 'rename .bashrc .bashrc.off' | sftp -b - USER@HOST"),
                place: "client",
                risk: "the user's settings are gone until it is put back",
                undo: Some("echo 'rename .bashrc.off .bashrc' | sftp -b - USER@HOST"),
            },
            Remedy {
                action: "Or as root",
                command: Some("mv ~USER/.bashrc ~USER/.bashrc.off"),
                place: "server",
                risk: "the same",
                undo: Some("mv ~USER/.bashrc.off ~USER/.bashrc"),
            },
            Remedy {
                action: "Correct the line; let interactive things begin with: case $- in *i*) ;; *) return;; esac",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "shell-nologin",
            "forced-command",
            "shell-rc-output",
            "process-limit",
            "session-closed",
        ],
        refs: &["bash(1) INVOCATION", "sshd(8) LOGIN PROCESS"],
    },
    Cause {
        id: "SW0416",
        slug: "shell-rc-output",
        title: "A start-up file prints text, which breaks scp, sftp and rsync",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "These programs talk in binary over the shell's output. A message, a stty error or a fortune \
            from ~/.bashrc, ~/.ssh/rc or /etc/ssh/sshrc comes first, and the client takes it for a packet: \
            \"Received message too long 1416128883\" (the number is the first four letters), \"protocol \
            version mismatch -- is your shell clean?\". scp -O shows the text and ends with 1. An interactive login \
            looks quite normal.",
        confirm: &[
            Confirm {
                command: "ssh USER@HOST true | od -c | head",
                place: "client",
                shows: "must print nothing at all",
            },
            Confirm {
                command: "printf '%08x\\n' NUMBER | xxd -r -p",
                place: "client",
                shows: "the first four letters of the text that came, from the number in the message",
            },
        ],
        remedy: &[
            Remedy {
                action: "Print only for people: let the file begin with: case $- in *i*) ;; *) return;; esac",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "~/.ssh/rc (which sshd leaves out for sftp) and /etc/ssh/sshrc (which it never does): let them \
                    print to standard error only, by this as their first line",
                command: Some("exec >&2"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Where the shell's own files print: for sftp, and scp without -O, \"Subsystem sftp \
                    internal-sftp\" needs no shell. It does not help against sshrc. Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("put the old line back and reload"),
            },
        ],
        look_alikes: &["shell-rc-exits", "forced-command", "sftp-subsystem-missing"],
        refs: &["sshd_config(5) Subsystem", "bash(1) INVOCATION"],
    },
    Cause {
        id: "SW0417",
        slug: "home-missing",
        title: "The user's home directory is missing",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The account's home does not exist: it was never made (useradd without -m, a directory user \
            without pam_mkhomedir), its disk or NFS export is not mounted, or it was renamed. Keys in it \
            cannot be found, so key logins are refused; a password login works and prints \"Could not \
            chdir to home directory\".",
        confirm: &[
            Confirm {
                command: "ls -ld \"$(getent passwd USER | cut -d: -f6)\"",
                place: "server",
                shows: "missing",
            },
            Confirm {
                command: "findmnt; grep -vE '^ *(#|$)' /etc/fstab",
                place: "server",
                shows: "whether it should be a mount of its own",
            },
        ],
        remedy: &[
            Remedy {
                action: "If it lies on a disk or export that is not mounted, mount that first",
                command: Some("mount -a"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Where the evidence names another folder that is the user's: put that into the account",
                command: Some("usermod -d DIR USER"),
                place: "server",
                risk: "none",
                undo: Some("usermod -d OLD_DIR USER"),
            },
            Remedy {
                action: "Otherwise make it, from the skeleton (nothing happens where something has that name)",
                command: Some(
                    "home=$(getent passwd USER | cut -d: -f6) && [ ! -e \"$home\" ] && mkdir -p \"$(dirname \"$home\")\" && cp -rT /etc/skel \"$home\" && chown -R USER: \"$home\" && chmod 700 \"$home\"",
                ),
                place: "server",
                risk: "hides what is mounted over it later",
                undo: None,
            },
            Remedy {
                action: "For directory users: pam_mkhomedir makes it at the first login (RHEL: authselect \
                    enable-feature with-mkhomedir)",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "home-unreadable",
            "authorized-keys-permissions",
            "pubkey-not-authorized",
        ],
        refs: &["passwd(5)", "pam_mkhomedir(8)", "session.c do_child()"],
    },
    Cause {
        id: "SW0418",
        slug: "forced-command",
        title: "A forced command runs instead of what the client asked for, or fails",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "command= on the key's line, or ForceCommand in sshd_config, replaces whatever the client \
            wanted; the wish is only in SSH_ORIGINAL_COMMAND. If the command is missing, refuses, or \
            ends at once, so does the session. rsync, git and backup keys are made so on purpose; then \
            the wrong key was offered. With \"bash: …: No such file or directory\" the command itself is \
            missing.",
        confirm: &[
            Confirm {
                command: "grep -n 'command=' ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "the command on the key's line",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i forcecommand",
                place: "server",
                shows: "the command for this user",
            },
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -iE 'forced command|Server accepts key'",
                place: "client",
                shows: "which key was taken (and \"Remote: … forced command\", where the server says so)",
            },
        ],
        remedy: &[
            Remedy {
                action: "Offer the key that is meant for logging in",
                command: Some("ssh -o IdentitiesOnly=yes -i ~/.ssh/KEY USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Install or repair the command; it runs by the user's shell, as the user",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If it should not be there: take ForceCommand or command= out for this user. Keep this \
                    session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "the user or key can run anything",
                undo: Some("put it back and reload"),
            },
        ],
        look_alikes: &[
            "shell-rc-exits",
            "shell-nologin",
            "chroot-ownership",
            "session-closed",
        ],
        refs: &[
            "sshd_config(5) ForceCommand",
            "sshd(8) AUTHORIZED_KEYS FILE FORMAT command=",
        ],
    },
    Cause {
        id: "SW0419",
        slug: "chroot-ownership",
        title: "The ChrootDirectory is missing, or not root's, or writable by others, or nothing can run in it",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "sshd enters a chroot only when every directory of its path belongs to root and is writable \
            by nobody else, StrictModes or not. Giving the user their own chroot as home is the usual \
            mistake. The login is accepted, the client sees \"Broken pipe\" or a close, the log \"bad \
            ownership or modes for chroot directory\". A chroot with a shell but no libraries, or no \
            internal-sftp, ends silently too.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE 'chrootdirectory|forcecommand'",
                place: "server",
                shows: "the path",
            },
            Confirm {
                command: "namei -l CHROOT_PATH",
                place: "server",
                shows: "root root, and no w for group or others, on every line",
            },
        ],
        remedy: &[Remedy {
            action: "Give the chroot itself to root (make it where it is missing), and the user a directory inside it",
            command: Some(
                "mkdir -p CHROOT_PATH && chown root:root CHROOT_PATH && chmod 755 CHROOT_PATH && install -d -o USER -g GROUP CHROOT_PATH/files",
            ),
            place: "server",
            risk: "the user can no longer write directly in the top directory",
            undo: None,
        }],
        look_alikes: &[
            "forced-command",
            "sftp-subsystem-missing",
            "home-missing",
            "session-closed",
        ],
        refs: &[
            "sshd_config(5) ChrootDirectory",
            "session.c safely_chroot()",
        ],
    },
    Cause {
        id: "SW0420",
        slug: "sftp-subsystem-missing",
        title: "There is no sftp subsystem, or its program is missing",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The login works; sftp (and scp from OpenSSH 9.0 on, which uses sftp too) ends with \
            \"subsystem request failed on channel 0\". sshd_config has no Subsystem sftp line, names a \
            path of another distribution (/usr/lib/openssh/sftp-server on Debian, \
            /usr/libexec/openssh/sftp-server on RHEL, /usr/lib/ssh/sftp-server on Alpine and SUSE), or \
            the user sits in a chroot without it.",
        confirm: &[
            Confirm {
                command: "sshd -T | grep -i subsystem",
                place: "server",
                shows: "the line, or nothing",
            },
            Confirm {
                command: "ls -l /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server",
                place: "server",
                shows: "which exists",
            },
        ],
        remedy: &[
            Remedy {
                action: "For scp: the old protocol needs no subsystem",
                command: Some("scp -O LOCAL_FILE USER@HOST:"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Use the built-in one: \"Subsystem sftp internal-sftp\"; it works in a chroot too. Keep this \
                    session open (RHEL and others: sshd)",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("put the old line back and reload"),
            },
        ],
        look_alikes: &["shell-rc-output", "chroot-ownership", "forced-command"],
        refs: &["sshd_config(5) Subsystem", "scp(1) -O"],
    },
    Cause {
        id: "SW0421",
        slug: "pty-disabled",
        title: "No terminal is given (PermitTTY no, no-pty, restrict, or none is left)",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The login works and \"PTY allocation request failed on channel 0\" appears: PermitTTY no for \
            this user, or no-pty or restrict on the key's line. Commands work, an interactive shell \
            works without prompt and line editing. If the server has run out of terminals it is \
            pty-exhausted.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i permittty",
                place: "server",
                shows: "no",
            },
            Confirm {
                command: "grep -nE 'no-pty|restrict' ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "the options on the key's line",
            },
        ],
        remedy: &[
            Remedy {
                action: "Run the command without a terminal",
                command: Some("ssh -T USER@HOST COMMAND"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Where the evidence says that no devpts is mounted (containers, chroots): mount it",
                command: Some(
                    "mount -t devpts devpts /dev/pts -o gid=5,mode=620,ptmxmode=666,nosuid,noexec",
                ),
                place: "server",
                risk: "none",
                undo: Some("umount /dev/pts"),
            },
            Remedy {
                action: "Take the option away where a terminal is wanted (on a key: restrict,pty). Keep this session \
                    open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "an interactive login becomes possible",
                undo: Some("put it back and reload"),
            },
        ],
        look_alikes: &["pty-exhausted", "forced-command"],
        refs: &[
            "sshd_config(5) PermitTTY",
            "sshd(8) AUTHORIZED_KEYS FILE FORMAT restrict",
        ],
    },
    Cause {
        id: "SW0422",
        slug: "pty-exhausted",
        title: "The server has no terminal to give (devpts)",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "\"PTY allocation request failed on channel 0\" although it is allowed: /dev/pts is not mounted \
            (a container, a chroot, an early boot), or all terminals are in use (kernel.pty.max). \
            Commands without a terminal still work. The log has \"openpty:\" with the reason.",
        confirm: &[
            Confirm {
                command: "findmnt /dev/pts; ls -l /dev/ptmx",
                place: "server",
                shows: "devpts mounted, ptmx there with mode 666",
            },
            Confirm {
                command: "sysctl kernel.pty.nr kernel.pty.max",
                place: "server",
                shows: "nr at max: exhausted",
            },
        ],
        remedy: &[
            Remedy {
                action: "Get in without a terminal",
                command: Some("ssh -T USER@HOST /bin/sh"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Raise the limit",
                command: Some("sysctl -w kernel.pty.max=8192"),
                place: "server",
                risk: "none",
                undo: Some("sysctl -w kernel.pty.max=4096"),
            },
            Remedy {
                action: "Mount devpts where it is missing",
                command: Some("mount -t devpts -o gid=5,mode=620 devpts /dev/pts"),
                place: "server",
                risk: "none",
                undo: Some("umount /dev/pts"),
            },
        ],
        look_alikes: &["pty-disabled", "process-limit"],
        refs: &["devpts filesystem", "pty(7)", "openpty(3)"],
    },
    Cause {
        id: "SW0423",
        slug: "max-sessions",
        title: "Too many sessions in one connection (MaxSessions)",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "One connection may carry at most MaxSessions shells, commands or sftp sessions (10 by \
            default; 0 forbids them all and leaves forwarding). Tools that share a connection \
            (ControlMaster, Ansible, VS Code) run into it: the next session is \"refused by peer\" or \
            \"open failed\". The connection itself is well.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i maxsessions",
                place: "server",
                shows: "the limit",
            },
            Confirm {
                command: "ssh -o ControlPath=none USER@HOST true",
                place: "client",
                shows: "works on a connection of its own",
            },
        ],
        remedy: &[
            Remedy {
                action: "Use a second connection for the rest",
                command: Some("ssh -o ControlPath=none USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Raise it. Keep this session open (RHEL and others: sshd)",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "more sessions in one connection",
                undo: Some("put the old value back and reload"),
            },
        ],
        look_alikes: &[
            "pam-limits",
            "max-startups",
            "control-socket-stale",
            "session-refused",
        ],
        refs: &["sshd_config(5) MaxSessions", "session.c session_open()"],
    },
    Cause {
        id: "SW0424",
        slug: "forwarding-disabled",
        title: "The server does not allow the forwarding",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The login works; the tunnel does not: \"open failed: administratively prohibited\". \
            AllowTcpForwarding, DisableForwarding, PermitOpen, PermitListen, AllowStreamLocalForwarding \
            or the key's options (restrict, no-port-forwarding, permitopen=) forbid it. Jump hosts need \
            it as well: \"stdio forwarding failed\" on the way to a target is this, on the jump host. If \
            the target cannot be reached from there, the text is \"connect failed\" instead.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE 'forwarding|permitopen|permitlisten'",
                place: "server",
                shows: "what is allowed for this user",
            },
            Confirm {
                command: "grep -nE 'restrict|no-port-forwarding|permitopen|permitlisten' ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "the key's options",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where it is the agent (AllowAgentForwarding, no-agent-forwarding) and the server is only a hop: go \
                    through it instead, and the agent stays here",
                command: Some("ssh -J USER@HOST USER@TARGET"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Otherwise, for the agent or X11: \"AllowAgentForwarding yes\" or \"X11Forwarding yes\" in a Match \
                    block for that user above the others; on a key with \"restrict\": add \"agent-forwarding\" or \
                    \"x11-forwarding\". Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "root there can use the agent, or the display, for as long as the session lasts",
                undo: Some("remove the block and reload"),
            },
            Remedy {
                action: "For -L and -D, where AllowTcpForwarding or PermitOpen says no: allow just the target, \
                    in a Match block for that user above the others, \"AllowTcpForwarding local\" and \
                    \"PermitOpen TARGET:PORT\". Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "that target becomes reachable through this host",
                undo: Some("remove the block and reload"),
            },
            Remedy {
                action: "For -R: \"AllowTcpForwarding remote\", or \"PermitListen PORT\" with the port that is \
                    asked for",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "the user may listen there",
                undo: Some("remove the line and reload"),
            },
            Remedy {
                action: "DisableForwarding yes wins over both: take it out for that user. \"restrict\" or \
                    \"no-port-forwarding\" on the line of the key: add \"port-forwarding\" behind it",
                command: None,
                place: "server",
                risk: "the user may forward",
                undo: Some("put it back"),
            },
        ],
        look_alikes: &[
            "forwarding-target-unreachable",
            "remote-forward-failed",
            "local-forward-failed",
            "proxy-jump-failed",
        ],
        refs: &[
            "sshd_config(5) AllowTcpForwarding",
            "sshd_config(5) PermitOpen",
            "sshd_config(5) AllowAgentForwarding",
            "RFC 4254 section 7",
        ],
    },
    Cause {
        id: "SW0425",
        slug: "forwarding-target-unreachable",
        title: "The tunnel is allowed, but its target does not answer",
        blames: Blame::Network,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The server may forward, tried to connect to the target and failed: \"open failed: connect \
            failed: Connection refused\" (or timed out, or a name that it cannot resolve). The target is \
            seen from the server, not from the client: localhost there means the server itself.",
        confirm: &[Confirm {
            command: "timeout 5 bash -c 'exec 3<>/dev/tcp/TARGET/PORT' && echo open",
            place: "server",
            shows: "whether the server itself reaches the target",
        }],
        remedy: &[
            Remedy {
                action: "Name the target as the server sees it, and a port on which it listens",
                command: Some("ssh -L LOCAL_PORT:TARGET:PORT USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Start the target's service, or open the way from the server to it",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "forwarding-disabled",
            "local-forward-failed",
            "proxy-jump-failed",
        ],
        refs: &["RFC 4254 section 7.2", "ssh(1) -L"],
    },
    Cause {
        id: "SW0426",
        slug: "remote-forward-failed",
        title: "The server cannot open the port for a remote forwarding",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "\"remote port forwarding failed for listen port\": the port is taken on the server, often by \
            the user's own earlier session that has not noticed its end, or it is below 1024 and the \
            user is not root, or PermitListen or GatewayPorts forbids it. Without ExitOnForwardFailure \
            ssh goes on without the tunnel.",
        confirm: &[
            Confirm {
                command: "ss -Hltnp 'sport = :PORT'",
                place: "server",
                shows: "which process holds the port; an sshd of the same user is a leftover",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE 'permitlisten|gatewayports|allowtcpforwarding|clientalive'",
                place: "server",
                shows: "what is allowed, and how fast dead clients are noticed",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where an older connection still holds the port: end it (look first that it is yours)",
                command: Some("kill PID"),
                place: "server",
                risk: "that session ends",
                undo: None,
            },
            Remedy {
                action: "Notice failure and dead connections: ExitOnForwardFailure yes, ServerAliveInterval 30",
                command: Some(
                    "ssh -o ExitOnForwardFailure=yes -o ServerAliveInterval=30 -R REMOTE_PORT:localhost:LOCAL_PORT USER@HOST",
                ),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Let the server notice too: \"ClientAliveInterval 30\", \"ClientAliveCountMax 3\"",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "dead sessions end after 90 s",
                undo: Some("remove the lines and reload"),
            },
        ],
        look_alikes: &["forwarding-disabled", "local-forward-failed"],
        refs: &[
            "ssh(1) -R",
            "sshd_config(5) PermitListen",
            "RFC 4254 section 7.1",
        ],
    },
    Cause {
        id: "SW0427",
        slug: "client-alive-timeout",
        title: "The server ended the session, in which it heard nothing for too long (ClientAliveInterval, ChannelTimeout)",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "sshd asks every ClientAliveInterval seconds and ends the session after ClientAliveCountMax \
            questions without an answer: a laptop that slept, a suspended client, a link that was down. \
            The log says \"Timeout, client not responding\". Work in the session is lost. It is not an \
            idle limit: an idle client that is alive answers. ChannelTimeout is one: it closes a channel on \
            which nothing was sent for so long, and the client sees no reason and no exit status. A session that dies although both ends are \
            well is idle-connection-dropped.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i clientalive",
                place: "server",
                shows: "interval times count is the patience",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -1d --grep 'not responding'",
                place: "server",
                shows: "the sessions that ended so",
            },
        ],
        remedy: &[
            Remedy {
                action: "Work inside tmux or screen, so that a lost connection loses nothing",
                command: Some("ssh -t USER@HOST tmux new -A -s main"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Give more time, for instance 60 s times 10. Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "dead sessions stay longer",
                undo: Some("put the old values back and reload"),
            },
        ],
        look_alikes: &[
            "idle-connection-dropped",
            "server-alive-timeout",
            "session-killed",
            "session-dropped",
        ],
        refs: &[
            "sshd_config(5) ClientAliveInterval",
            "sshd_config(5) ClientAliveCountMax",
        ],
    },
    Cause {
        id: "SW0428",
        slug: "server-alive-timeout",
        title: "The client gave up because the server stopped answering (ServerAliveInterval)",
        blames: Blame::Network,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The client asked the server, got no answer ServerAliveCountMax times, and ended: \"Timeout, \
            server HOST not responding.\" The server is down, overloaded, or the way to it broke in the \
            middle. Without ServerAliveInterval the terminal would have hung instead.",
        confirm: &[
            Confirm {
                command: "ping -c 5 HOST",
                place: "client",
                shows: "whether the way is there again",
            },
            Confirm {
                command: "uptime; journalctl -b --since -1h -p warning",
                place: "server",
                shows: "a reboot, or a machine that had no time",
            },
        ],
        remedy: &[
            Remedy {
                action: "Log in again; work inside tmux so that nothing is lost",
                command: Some("ssh -t USER@HOST tmux new -A -s main"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "On a link with gaps: more patience",
                command: Some("ssh -o ServerAliveInterval=30 -o ServerAliveCountMax=10 USER@HOST"),
                place: "client",
                risk: "a dead link is noticed later",
                undo: None,
            },
        ],
        look_alikes: &[
            "client-alive-timeout",
            "idle-connection-dropped",
            "server-overloaded",
            "session-dropped",
        ],
        refs: &["ssh_config(5) ServerAliveInterval"],
    },
    Cause {
        id: "SW0429",
        slug: "idle-connection-dropped",
        title: "A NAT or firewall forgets the connection while it is idle",
        blames: Blame::Network,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "Something on the way keeps a table of connections and drops entries that are quiet for some \
            minutes (cloud NAT gateways: 350 s and the like, home routers, stateful firewalls). The next \
            key press is lost or answered by a reset: a frozen terminal, \"Broken pipe\", \"Connection \
            reset by peer\". It dies after the same idle time each time, and never while data flows.",
        confirm: &[
            Confirm {
                command: "ssh -o ServerAliveInterval=30 USER@HOST",
                place: "client",
                shows: "the session now survives: something on the way forgets idle connections",
            },
            Confirm {
                command: "ss -tno state established '( sport = :22 )'",
                place: "server",
                shows: "the connection is still there for the server after the client lost it",
            },
        ],
        remedy: &[
            Remedy {
                action: "Keep it busy: under \"Host *\" in ~/.ssh/config \"ServerAliveInterval 30\"",
                command: Some("ssh -o ServerAliveInterval=30 USER@HOST"),
                place: "client",
                risk: "none",
                undo: Some("delete the line"),
            },
            Remedy {
                action: "Or from the server, for everybody: \"ClientAliveInterval 60\". Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "dead clients are ended after 180 s",
                undo: Some("remove the line and reload"),
            },
            Remedy {
                action: "Raise the idle time for TCP on the gateway",
                command: None,
                place: "network",
                risk: "larger tables",
                undo: None,
            },
        ],
        look_alikes: &[
            "client-alive-timeout",
            "server-alive-timeout",
            "session-killed",
            "idle-timeout",
            "mtu-blackhole",
        ],
        refs: &["ssh_config(5) ServerAliveInterval", "RFC 5382 section 5"],
    },
    Cause {
        id: "SW0430",
        slug: "session-killed",
        title: "The server ended running sessions (restart, stop, kill)",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "\"Connection to HOST closed by remote host.\" in the middle of work: somebody rebooted the \
            machine, a service manager killed the whole control group of sshd (KillMode other than \
            process, or OpenRC and containers that stop everything), an administrator ended the process, \
            logind's idle action or TMOUT struck, or the OOM killer chose it. The log has \"Received \
            signal 15; terminating.\" or a kernel line.",
        confirm: &[
            Confirm {
                command: "journalctl --since -1h --grep 'Received signal|terminating|oom-kill|Stopping|reboot'",
                place: "server",
                shows: "what happened at that moment",
            },
            Confirm {
                command: "systemctl show ssh -p KillMode",
                place: "server",
                shows: "process is right for sshd: a restart leaves sessions alone (RHEL and others: sshd)",
            },
            Confirm {
                command: "last -x reboot shutdown | head -3",
                place: "server",
                shows: "whether the machine went down",
            },
        ],
        remedy: &[
            Remedy {
                action: "Log in again; use tmux for what must survive",
                command: Some("ssh -t USER@HOST tmux new -A -s main"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Set KillMode=process in the unit, so that restarts spare sessions",
                command: Some("systemctl edit ssh"),
                place: "server",
                risk: "none",
                undo: Some("systemctl revert ssh"),
            },
        ],
        look_alikes: &[
            "out-of-memory",
            "client-alive-timeout",
            "idle-connection-dropped",
            "session-dropped",
        ],
        refs: &[
            "systemd.kill(5) KillMode",
            "bash(1) TMOUT",
            "logind.conf(5) StopIdleSessionSec",
        ],
    },
    Cause {
        id: "SW0431",
        slug: "disk-full",
        title: "A file system on the server is full or read-only",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::High,
        is_symptom: false,
        explanation: "No blocks or no inodes are left (or the user's quota is used up). Uploads fail (\"write \
            remote … Failure\" from scp and sftp, \"No space left on device\"), logs stop, PAM modules that \
            write fail, and sometimes logins fail altogether. Logins by key often still work. A file system \
            that the kernel made read-only after an error takes nothing either (over SFTP: \"Failure\").",
        confirm: &[
            Confirm {
                command: "df -h; df -i",
                place: "server",
                shows: "100 % in either (root keeps a reserve that users do not have)",
            },
            Confirm {
                command: "quota -u USER",
                place: "server",
                shows: "a quota at its limit",
            },
            Confirm {
                command: "du -xh / 2>/dev/null | sort -h | tail -20",
                place: "server",
                shows: "what fills it",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where the evidence says read-only: see first why the kernel made it so (a disk that fails, an entry \
                    of /etc/fstab), before it is made writable again",
                command: Some(
                    "findmnt -T ~USER; dmesg -T | grep -iE 'remount|ext4|xfs|btrfs|i/o error' | tail -20",
                ),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Free space that is safe to free: old journals",
                command: Some("journalctl --vacuum-size=200M"),
                place: "server",
                risk: "older logs are gone; copy them first if they may be evidence",
                undo: None,
            },
            Remedy {
                action: "Package caches",
                command: Some("apt-get clean"),
                place: "server",
                risk: "none (RHEL: dnf clean all; Alpine: apk cache clean)",
                undo: None,
            },
            Remedy {
                action: "Deleted files that are still open keep their space: find and restart their owners",
                command: Some("lsof -nP +L1"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["shell-rc-output", "home-missing", "pam-session-failed"],
        refs: &[
            "statvfs(3)",
            "sftp-server(8)",
            "RFC draft-ietf-secsh-filexfer-02 section 7",
        ],
    },
    Cause {
        id: "SW0432",
        slug: "remote-program-missing",
        title: "The program that ssh should start on the server is not there, or not in its PATH",
        blames: Blame::Server,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "rsync, scp, git, borg, mosh and docker each start their other half on the server through ssh. The login \
            worked; the shell there answers \"command not found\". Either the program is not installed, or it is \
            (Homebrew, Synology, a user's own bin) and the PATH of a shell that nobody sits at does not have its folder: \
            such a shell reads fewer start-up files than a login. If the name is not what you asked for, a forced command runs.",
        confirm: &[
            Confirm {
                command: "ssh USER@HOST 'command -v PROGRAM; echo $PATH'",
                place: "client",
                shows: "no path above the last line: not there for that shell, whose PATH the last line is",
            },
            Confirm {
                command: "command -v PROGRAM",
                place: "server",
                shows: "a path, in a login: then only the PATH is at fault",
            },
        ],
        remedy: &[
            Remedy {
                action: "Install it on the server, by its package's name (RHEL: dnf install; Alpine: apk add)",
                command: Some("apt-get install PROGRAM"),
                place: "server",
                risk: "none",
                undo: Some("apt-get remove PROGRAM"),
            },
            Remedy {
                action: "Or name its path: rsync --rsync-path, borg --remote-path, mosh --server, git -u",
                command: Some("rsync --rsync-path=/usr/local/bin/rsync FILE USER@HOST:"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Newer scp can do without the other half: it speaks SFTP (and -O makes it the old way, which needs scp there)",
                command: Some("scp -s FILE USER@HOST:"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "forced-command",
            "sftp-subsystem-missing",
            "shell-missing",
            "chroot-ownership",
        ],
        refs: &["rsync(1) --rsync-path", "sshd(8) LOGIN PROCESS"],
    },
    Cause {
        id: "SW0433",
        slug: "repository-access-denied",
        title: "The hosting service knows the key, and its account may not use that repository",
        blames: Blame::Policy,
        gate: Gate::Session,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "SSH is fine: GitHub, GitLab, Bitbucket, Gitea and gitolite all log in as \"git\", and tell accounts apart by the \
            key. What is refused is the repository: its name is wrong, the account has no access (or only to read), a deploy \
            key belongs to another repository, or single sign-on has not been given to this key. With keys of several accounts \
            in one agent the first that fits decides who you are, and it may be the wrong one.",
        confirm: &[
            Confirm {
                command: "ssh -T git@HOST",
                place: "client",
                shows: "the account or the deploy key that the service takes you for",
            },
            Confirm {
                command: "git remote -v",
                place: "client",
                shows: "owner and name of the repository, letter by letter",
            },
            Confirm {
                command: "ssh -vT git@HOST 2>&1 | grep 'Server accepts key'",
                place: "client",
                shows: "which key file that was",
            },
        ],
        remedy: &[
            Remedy {
                action: "Correct the repository's address",
                command: Some("git remote set-url origin git@HOST:OWNER/NAME.git"),
                place: "client",
                risk: "none",
                undo: Some("git remote set-url origin OLD"),
            },
            Remedy {
                action: "Offer the key of the right account only: IdentityFile and IdentitiesOnly under a Host entry of its own",
                command: Some(
                    "GIT_SSH_COMMAND='ssh -o IdentitiesOnly=yes -i ~/.ssh/KEY' git fetch",
                ),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Ask the repository's owner for access, or authorise the key for the organisation's single sign-on",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "pubkey-not-authorized",
            "forced-command",
            "host-key-changed",
        ],
        refs: &["git-remote(1)", "ssh_config(5) IdentitiesOnly"],
    },
];
