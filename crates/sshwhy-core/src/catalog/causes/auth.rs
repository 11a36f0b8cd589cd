//! Causes at the gate of authentication: users, keys, passwords, certificates, and the services that know them.

use super::{Blame, Cause, Confirm, Gate, Remedy};
use crate::finding::Severity;

pub(super) const ROWS: &[Cause] = &[
    Cause {
        id: "SW0301",
        slug: "user-not-found",
        title: "There is no such user on the server",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "sshd does not know the name: it is misspelt, it is this client's own login name because none \
            was given, User in ssh_config says something else, or the image has another default user \
            (debian, ubuntu, ec2-user, rocky, core). sshd goes on to ask for keys and passwords that can \
            never be right, so that outsiders cannot find names; the client only sees \"Permission \
            denied\". The server's log says \"Invalid user\". If the user exists on other machines through \
            LDAP or SSSD, see directory-service-down. Names refused by AllowUsers are logged as \"User U \
            … not allowed\" (user-not-allowed).",
        confirm: &[
            Confirm {
                command: "getent passwd USER",
                place: "server",
                shows: "nothing: no such user in any source of nsswitch.conf",
            },
            Confirm {
                command: "ssh -G HOST | grep -i '^user '",
                place: "client",
                shows: "the name this client sends",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'nvalid user'",
                place: "server",
                shows: "the name as it arrived",
            },
        ],
        remedy: &[
            Remedy {
                action: "Say the right name; when it works, put \"User RIGHT_USER\" under the Host in ~/.ssh/config",
                command: Some("ssh RIGHT_USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If the account is missing, make it (Alpine: adduser USER)",
                command: Some("useradd -m -s /bin/bash USER"),
                place: "server",
                risk: "a new account on the machine",
                undo: Some("userdel USER"),
            },
        ],
        look_alikes: &[
            "user-not-allowed",
            "directory-service-down",
            "pubkey-not-authorized",
            "wrong-password",
            "auth-rejected-publickey",
        ],
        refs: &[
            "sshd_config(5) AllowUsers",
            "auth.c getpwnamallow()",
            "ssh_config(5) User",
        ],
    },
    Cause {
        id: "SW0302",
        slug: "user-not-allowed",
        title: "AllowUsers, DenyUsers, AllowGroups or DenyGroups keeps the user out",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "sshd_config lists who may log in, and this user, group or user@address is not on the list, \
            or is on the deny list. The order is DenyUsers, AllowUsers, DenyGroups, AllowGroups, and \
            each has to agree. From the client it looks like a wrong key or password, because sshd lets \
            it try in vain. The log names the list: \"not allowed because …\". The lists of several files \
            add up; they are the exception to \"the first value wins\".",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'not allowed because'",
                place: "server",
                shows: "which of the four lists",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE '^(allow|deny)(users|groups)'",
                place: "server",
                shows: "the lists for this user from this address",
            },
            Confirm {
                command: "id USER",
                place: "server",
                shows: "the groups; sshd reads them anew at each login",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where a DenyUsers or DenyGroups line names the user: take the name out of it, check, \
                    reload. Keep this session open and try a second login (RHEL and others: sshd)",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("put the name back and reload"),
            },
            Remedy {
                action: "Where AllowGroups keeps the user out: put the user into a group that it lists \
                    (Alpine: addgroup USER GROUP)",
                command: Some("usermod -aG GROUP USER"),
                place: "server",
                risk: "the user gets all that the group may do",
                undo: Some("gpasswd -d USER GROUP"),
            },
            Remedy {
                action: "Where AllowUsers does: add the name to that line. Where there is none, do not begin \
                    one: whoever is not on it is kept out",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("take the name out and reload"),
            },
        ],
        look_alikes: &[
            "user-not-found",
            "account-locked",
            "pam-denied",
            "root-login-disabled",
            "auth-rejected-publickey",
        ],
        refs: &[
            "sshd_config(5) AllowUsers",
            "sshd_config(5) AllowGroups",
            "auth.c allowed_user()",
        ],
    },
    Cause {
        id: "SW0303",
        slug: "root-login-disabled",
        title: "PermitRootLogin keeps root out",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "root may not log in by SSH at all, not even with a good key. sshd asks for credentials as \
            ever and then refuses: \"ROOT LOGIN REFUSED FROM\". With prohibit-password a key would work: \
            root-password-disabled. With forced-commands-only root needs a key with command= in \
            authorized_keys.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=root,host=HOST,addr=ADDR | grep -i permitrootlogin",
                place: "server",
                shows: "no",
            },
            Confirm {
                command: "grep -rni PermitRootLogin /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
                place: "server",
                shows: "where it is set; the first that applies wins",
            },
        ],
        remedy: &[
            Remedy {
                action: "Log in as yourself and become root there",
                command: Some("ssh -t YOU@HOST sudo -i"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Where root must come in by machine: allow keys only, and only from where they come, in a \
                    block \"Match Address CLIENT_NET\" with \"PermitRootLogin prohibit-password\". Keep this session \
                    open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "a stolen key then is root; restrict it with from= and command=",
                undo: Some("remove the block and reload"),
            },
        ],
        look_alikes: &[
            "root-password-disabled",
            "user-not-allowed",
            "pubkey-not-authorized",
        ],
        refs: &[
            "sshd_config(5) PermitRootLogin",
            "auth.c auth_root_allowed()",
        ],
    },
    Cause {
        id: "SW0304",
        slug: "root-password-disabled",
        title: "root may log in with a key, not with a password",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "PermitRootLogin is prohibit-password, which is also OpenSSH's default since 7.0. sshd still \
            asks for a password and refuses every one, right or wrong, so it looks like a wrong \
            password; the log even says \"Failed password for root\". A key in /root/.ssh/authorized_keys \
            works.",
        confirm: &[Confirm {
            command: "sshd -T -C user=root,host=HOST,addr=ADDR | grep -i permitrootlogin",
            place: "server",
            shows: "without-password (the old name of prohibit-password)",
        }],
        remedy: &[
            Remedy {
                action: "Log in as yourself and become root there",
                command: Some("ssh -t USER@HOST sudo -i"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Or use a key for root, installed through the console or sudo",
                command: Some("ssh -i ~/.ssh/id_ed25519 root@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "wrong-password",
            "root-login-disabled",
            "password-auth-disabled",
        ],
        refs: &["sshd_config(5) PermitRootLogin"],
    },
    Cause {
        id: "SW0305",
        slug: "wrong-password",
        title: "The password is wrong",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The password did not match: mistyped (layout, caps lock, a trailing space from a password \
            manager), changed, or meant for another machine. The same refusal comes when the account is \
            locked (account-locked), when failed logins locked it for a time (account-faillock), when \
            root may not use passwords (root-password-disabled), and when the user is not allowed or \
            does not exist: sshd asks for a password in vain then. The server's log tells: only a real \
            account with a wrong password is logged as \"Failed password for USER\" with no \"invalid user\" \
            and no other complaint.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'Failed password|authentication failure|pam_'",
                place: "server",
                shows: "what stands beside the failure",
            },
            Confirm {
                command: "passwd -S USER",
                place: "server",
                shows: "P: a password is set; L: locked; NP: none",
            },
            Confirm {
                command: "su - USER (from another unprivileged account)",
                place: "server",
                shows: "the same password on the console: if it works there, SSH's own rules are the reason",
            },
        ],
        remedy: &[
            Remedy {
                action: "Type it once into a visible field and paste it, to rule out the keyboard",
                command: None,
                place: "client",
                risk: "somebody may look over your shoulder",
                undo: None,
            },
            Remedy {
                action: "Set a new password, and hand it over in a safe way",
                command: Some("passwd USER"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Better: install a key, and passwords no longer matter",
                command: Some("ssh-copy-id USER@HOST"),
                place: "client",
                risk: "needs one working login",
                undo: None,
            },
        ],
        look_alikes: &[
            "account-locked",
            "account-faillock",
            "root-password-disabled",
            "user-not-found",
            "user-not-allowed",
        ],
        refs: &["auth-passwd.c", "pam_unix(8)"],
    },
    Cause {
        id: "SW0306",
        slug: "password-auth-disabled",
        title: "The server takes no passwords from this user",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "PasswordAuthentication is no for this user, so ssh never asks: the list in brackets after \
            \"Permission denied\" has no \"password\". Cloud images set it in \
            /etc/ssh/sshd_config.d/50-cloud-init.conf, and since the first value wins and the Include \
            stands at the top, a drop-in beats the main file. A Match block swallows everything below \
            it, up to the next Match. With PAM, passwords may also run as keyboard-interactive, which is \
            a switch of its own.",
        confirm: &[
            Confirm {
                command: "ssh -v -o PubkeyAuthentication=no USER@HOST 2>&1 | grep 'can continue'",
                place: "client",
                shows: "the methods the server offers: no password",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE '^(password|kbdinteractive)authentication'",
                place: "server",
                shows: "no: what really holds for this user",
            },
            Confirm {
                command: "grep -rniE '^ *(PasswordAuthentication|Match|Include)' /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
                place: "server",
                shows: "every place that sets it, in the order read",
            },
        ],
        remedy: &[
            Remedy {
                action: "Use a key that the account accepts",
                command: Some("ssh -i ~/.ssh/id_ed25519 USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Install the user's public key for them (they send the .pub file; keep this session open)",
                command: Some(
                    "install -d -m 700 -o USER -g GROUP ~USER/.ssh && { echo; cat KEY.pub; } >> ~USER/.ssh/authorized_keys && chmod 600 ~USER/.ssh/authorized_keys && chown USER: ~USER/.ssh/authorized_keys",
                ),
                place: "server",
                risk: "whoever has that private key can log in",
                undo: Some("delete the line from authorized_keys"),
            },
            Remedy {
                action: "If passwords are wanted for this one user: a block \"Match User USER\" with \
                    \"PasswordAuthentication yes\", above every Match that says no (the first value \
                    counts). Where AuthenticationMethods asks for keys, the block has to set that too",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "that password can be guessed from outside",
                undo: Some("remove the block and reload"),
            },
        ],
        look_alikes: &[
            "pubkey-not-authorized",
            "auth-method-mismatch",
            "wrong-password",
            "root-password-disabled",
        ],
        refs: &[
            "sshd_config(5) PasswordAuthentication",
            "sshd_config(5) Match",
            "sshd_config(5) Include",
        ],
    },
    Cause {
        id: "SW0307",
        slug: "pubkey-auth-disabled",
        title: "The server takes no keys from this user",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "PubkeyAuthentication is no for this user, so \"publickey\" is missing from the list in \
            brackets after \"Permission denied\" and ssh offers none. A hardening template or a Match \
            block does it. The keys and their files are not at fault.",
        confirm: &[
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep 'can continue'",
                place: "client",
                shows: "the methods offered: no publickey",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i '^pubkeyauthentication'",
                place: "server",
                shows: "no",
            },
            Confirm {
                command: "grep -rniE '^ *(PubkeyAuthentication|AuthenticationMethods|Match)' /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
                place: "server",
                shows: "where it is set",
            },
        ],
        remedy: &[
            Remedy {
                action: "Set PubkeyAuthentication yes in the place that wins, check, reload. Keep this session open \
                    (RHEL and others: sshd)",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "none",
                undo: Some("put the line back and reload"),
            },
            Remedy {
                action: "Meanwhile use a method that is offered, such as the password",
                command: Some(
                    "ssh -o PreferredAuthentications=keyboard-interactive,password USER@HOST",
                ),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "pubkey-not-authorized",
            "auth-method-mismatch",
            "multi-factor-required",
        ],
        refs: &["sshd_config(5) PubkeyAuthentication"],
    },
    Cause {
        id: "SW0308",
        slug: "auth-method-mismatch",
        title: "Client and server have no login method in common, because of the client",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The server offers methods that the client was told not to use: BatchMode or \
            PasswordAuthentication no where only a password would do, PreferredAuthentications with one \
            name, PubkeyAuthentication no, or a program (a library, a CI step) that knows keys only. ssh \
            ends without having tried anything. The server's own settings are in order; if the method is \
            off there it is password-auth-disabled or pubkey-auth-disabled.",
        confirm: &[
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -E 'can continue|Next authentication|No more authentication'",
                place: "client",
                shows: "what is offered and what this client is ready to try",
            },
            Confirm {
                command: "ssh -G USER@HOST | grep -iE '^(preferredauthentications|passwordauthentication|pubkeyauthentication|kbdinteractiveauthentication|batchmode|identitiesonly)'",
                place: "client",
                shows: "what this client may use",
            },
        ],
        remedy: &[
            Remedy {
                action: "Allow the method for this one call",
                command: Some(
                    "ssh -o BatchMode=no -o NumberOfPasswordPrompts=3 -o PubkeyAuthentication=yes -o PasswordAuthentication=yes -o KbdInteractiveAuthentication=yes -o PreferredAuthentications=publickey,keyboard-interactive,password USER@HOST",
                ),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "For scripts: give them a key of their own, with from= and command= on the server's side",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "password-auth-disabled",
            "pubkey-auth-disabled",
            "multi-factor-required",
            "no-auth-methods",
        ],
        refs: &[
            "ssh_config(5) PreferredAuthentications",
            "ssh_config(5) BatchMode",
        ],
    },
    Cause {
        id: "SW0309",
        slug: "multi-factor-required",
        title: "The server wants more than one proof, and only one was given",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "AuthenticationMethods asks for several, such as publickey,password or \
            publickey,keyboard-interactive. The first succeeded (\"Authenticated using \"publickey\" with \
            partial success\"), and the next failed or could not be asked, as under BatchMode or in a \
            program that knows keys only. The key is right; nothing in authorized_keys needs to change.",
        confirm: &[
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -iE 'partial success|can continue'",
                place: "client",
                shows: "which method comes next",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i authenticationmethods",
                place: "server",
                shows: "the list that applies",
            },
        ],
        remedy: &[
            Remedy {
                action: "Log in by hand and give the second factor",
                command: Some("ssh USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "For a machine account that cannot: a block \"Match User USER Address CLIENT_NET\" with \
                    \"AuthenticationMethods publickey\", and a key with from= and command=. Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "one proof only for this account from that network",
                undo: Some("remove the block and reload"),
            },
        ],
        look_alikes: &[
            "one-time-code-rejected",
            "auth-method-mismatch",
            "wrong-password",
        ],
        refs: &[
            "sshd_config(5) AuthenticationMethods",
            "RFC 4252 section 5.1",
        ],
    },
    Cause {
        id: "SW0310",
        slug: "pubkey-not-authorized",
        title: "The offered key is not in the account's authorized_keys",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The server looked, and none of the keys that the client offered is listed for this account; \
            or the file is not there at all. The wrong key was offered, the key was put into another \
            account's file, the machine was rebuilt, or provisioning did not run. The log shows only \
            \"Connection closed by authenticating user\" (at VERBOSE \"Failed publickey … ED25519 \
            SHA256:…\"). If the key is listed and still refused, the log has another reason: \
            authorized-keys-permissions, authorized-keys-from, pubkey-algorithm-rejected, \
            authorized-keys-path.",
        confirm: &[
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -E 'Offering public key|Server accepts key'",
                place: "client",
                shows: "which keys were offered, with their fingerprints",
            },
            Confirm {
                command: "ssh-keygen -lf ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "the fingerprints that are accepted; is one of the offered among them?",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE '^authorizedkeys'",
                place: "server",
                shows: "the file sshd really reads",
            },
        ],
        remedy: &[
            Remedy {
                action: "Offer the right key",
                command: Some("ssh -o IdentitiesOnly=yes -i ~/.ssh/KEY USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Install it, while some other way in still works",
                command: Some("ssh-copy-id -i ~/.ssh/KEY.pub USER@HOST"),
                place: "client",
                risk: "whoever has that private key can log in",
                undo: Some("delete the line from authorized_keys"),
            },
            Remedy {
                action: "Or from the console, as root",
                command: Some(
                    "install -d -m 700 -o USER -g GROUP ~USER/.ssh && { echo; cat KEY.pub; } >> ~USER/.ssh/authorized_keys && chmod 600 ~USER/.ssh/authorized_keys && chown USER: ~USER/.ssh/authorized_keys",
                ),
                place: "server",
                risk: "whoever has that private key can log in",
                undo: Some("delete the line from authorized_keys"),
            },
        ],
        look_alikes: &[
            "authorized-keys-permissions",
            "authorized-keys-path",
            "user-not-found",
            "authorized-keys-malformed",
            "identity-file-missing",
            "auth-rejected-publickey",
        ],
        refs: &[
            "sshd_config(5) AuthorizedKeysFile",
            "sshd(8) AUTHORIZED_KEYS FILE FORMAT",
            "ssh-copy-id(1)",
        ],
    },
    Cause {
        id: "SW0311",
        slug: "authorized-keys-permissions",
        title: "Owner or mode of authorized_keys, of its folder or of the home is wrong",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "With StrictModes (the default) sshd does not trust a key file that somebody else could have \
            changed: the file, ~/.ssh and every directory up to the home must belong to the user or root \
            and must not be writable by group or others. A chmod -R, an unpacked archive, a shared group \
            home or a restore as root is the usual reason. The key may be listed and right; the client \
            only sees \"Permission denied\". The log names the path: \"bad ownership or modes for …\". A \
            file the user may not read at all counts here too (\"Could not open user … authorized keys\").",
        confirm: &[
            Confirm {
                command: "namei -l ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "owner and mode of every component: look for a w in the group or others column, or a foreign \
                    owner",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'bad ownership or modes'",
                place: "server",
                shows: "the path that sshd objects to; it names only the first",
            },
        ],
        remedy: &[
            Remedy {
                action: "Take the write right away from others, from each path that the evidence names (the \
                    same for the folders above it, up to the home)",
                command: Some("chmod go-w PATH"),
                place: "server",
                risk: "group members can no longer write there",
                undo: Some("chmod g+w PATH"),
            },
            Remedy {
                action: "Give it to the user, or to root (sshd takes no other owner), after a look at the keys \
                    in it: whoever owned it may have added some",
                command: Some("chown USER: PATH"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Usual modes where the file lies in the home",
                command: Some("chmod 700 ~USER/.ssh && chmod 600 ~USER/.ssh/authorized_keys"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "A file outside of the home (/etc/ssh/…) is read as the user: root's, and readable for all",
                command: Some("chown root: PATH && chmod 644 PATH"),
                place: "server",
                risk: "public keys are no secret",
                undo: None,
            },
        ],
        look_alikes: &[
            "pubkey-not-authorized",
            "selinux-context",
            "home-unreadable",
            "authorized-keys-path",
            "home-missing",
        ],
        refs: &[
            "sshd_config(5) StrictModes",
            "misc.c safe_path()",
            "auth2-pubkeyfile.c",
        ],
    },
    Cause {
        id: "SW0312",
        slug: "authorized-keys-malformed",
        title: "The key's line is in authorized_keys and does not parse",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The line is there, and sshd skips it: pasted with line breaks in the middle, a leading or \
            missing character, an unknown or misspelt option before the key, quotes that do not close, a \
            private or PuTTY-format key instead of the one-line public form, or a UTF-16 file from \
            Windows. sshd says so only at debug level, or as \"bad key options\". An option it does not \
            know makes it refuse the whole line.",
        confirm: &[
            Confirm {
                command: "ssh-keygen -lf ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "fewer fingerprints than lines, or \"is not a public key file\"",
            },
            Confirm {
                command: "awk '{print NR\": \"NF\" \"substr($0,1,40)}' ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "each key on one line, beginning with options or with ssh-… / ecdsa-… / sk-…",
            },
            Confirm {
                command: "file ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "UTF-16, or CRLF line ends",
            },
        ],
        remedy: &[
            Remedy {
                action: "Keep a copy, then replace the line by the exact single line of the .pub file",
                command: Some("cp -p ~USER/.ssh/authorized_keys ~USER/.ssh/authorized_keys.bak"),
                place: "server",
                risk: "none",
                undo: Some("mv ~USER/.ssh/authorized_keys.bak ~USER/.ssh/authorized_keys"),
            },
            Remedy {
                action: "Get the right form of a PuTTY key: export the OpenSSH public key from PuTTYgen, or",
                command: Some("ssh-keygen -i -f KEY_RFC4716.pub"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "pubkey-not-authorized",
            "authorized-keys-from",
            "key-pair-mismatch",
        ],
        refs: &[
            "sshd(8) AUTHORIZED_KEYS FILE FORMAT",
            "auth2-pubkeyfile.c auth_check_authkey_line()",
        ],
    },
    Cause {
        id: "SW0313",
        slug: "authorized-keys-path",
        title: "sshd reads keys from another file than the one the key was put into",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "AuthorizedKeysFile points elsewhere: /etc/ssh/authorized_keys/%u, a cloud agent's file, or \
            only .ssh/authorized_keys2. Appending to ~/.ssh/authorized_keys has no effect then, and the \
            log looks just as if the key were unknown. Relative paths are below the home directory; a \
            Match block may set it for some users only; \"none\" means that no file is read.",
        confirm: &[Confirm {
            command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i authorizedkeys",
            place: "server",
            shows: "the files and the command that count, with %u and %h for user and home",
        }],
        remedy: &[
            Remedy {
                action: "Put the key where sshd looks (owner root or the user, writable by nobody else)",
                command: Some("{ echo; cat KEY.pub; } >> FILE"),
                place: "server",
                risk: "whoever has that private key can log in",
                undo: Some("delete the line"),
            },
            Remedy {
                action: "Or let sshd read both: add .ssh/authorized_keys to the AuthorizedKeysFile line that \
                    decides. Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "users may then add keys themselves",
                undo: Some("put the old line back and reload"),
            },
        ],
        look_alikes: &[
            "pubkey-not-authorized",
            "authorized-keys-permissions",
            "authorized-keys-command",
        ],
        refs: &["sshd_config(5) AuthorizedKeysFile"],
    },
    Cause {
        id: "SW0314",
        slug: "authorized-keys-from",
        title: "The key may be used only from other addresses (from=)",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The key is listed, its signature is right, and its line carries from=\"…\" that does not \
            include the client's address: it moved, it comes through another gateway, or by IPv6 where \
            only IPv4 is listed. Host names in from= only work with UseDNS yes. The log says so in full: \
            \"correct key but not from a permitted host\".",
        confirm: &[
            Confirm {
                command: "grep -n 'from=' ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "the pattern list",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'not from a permitted host'",
                place: "server",
                shows: "the address as sshd saw it, and the list",
            },
        ],
        remedy: &[
            Remedy {
                action: "Come from a permitted address, for instance through a jump host inside",
                command: Some("ssh -J USER@BASTION USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Add the new address to the list; keep the restriction",
                command: None,
                place: "server",
                risk: "none beyond that address",
                undo: Some("take it out again"),
            },
        ],
        look_alikes: &["pubkey-not-authorized", "user-not-allowed", "ip-banned"],
        refs: &[
            "sshd(8) AUTHORIZED_KEYS FILE FORMAT from=",
            "sshd_config(5) UseDNS",
        ],
    },
    Cause {
        id: "SW0315",
        slug: "authorized-keys-command",
        title: "The program that supplies keys fails (AuthorizedKeysCommand)",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::High,
        is_symptom: false,
        explanation: "Keys come from a program (SSSD, a cloud login service, LDAP), and it exits with an error, \
            takes too long, is not owned by root, or AuthorizedKeysCommandUser is missing. Then nobody \
            who depends on it gets in by key; keys in AuthorizedKeysFile still work. sshd demands that \
            the program and every directory above it belong to root and are writable by nobody else \
            (\"Unsafe AuthorizedKeysCommand\").",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i authorizedkeyscommand",
                place: "server",
                shows: "the program and the user it runs as",
            },
            Confirm {
                command: "sudo -u COMMAND_USER COMMAND USER; echo \"exit $?\"",
                place: "server",
                shows: "the keys it prints, its exit status, and how long it takes",
            },
            Confirm {
                command: "namei -l COMMAND",
                place: "server",
                shows: "root all the way, no w for group or others",
            },
        ],
        remedy: &[
            Remedy {
                action: "Repair what it depends on: the directory service, the network, the metadata address",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Correct owner and mode of the program",
                command: Some("chown root:root COMMAND && chmod 755 COMMAND"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Keep a way in that does not depend on it: a key of one administrator in a plain file",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "directory-service-down",
            "pubkey-not-authorized",
            "authorized-keys-path",
        ],
        refs: &[
            "sshd_config(5) AuthorizedKeysCommand",
            "misc.c subprocess()",
        ],
    },
    Cause {
        id: "SW0316",
        slug: "pubkey-revoked",
        title: "The key, or the CA that signed it, is revoked on the server (RevokedKeys)",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::High,
        is_symptom: false,
        explanation: "RevokedKeys names a file, plain or KRL, that contains this key or its certificate. Somebody \
            declared it as stolen or replaced. One more form hits everybody: when the file cannot be \
            read, sshd refuses all keys.",
        confirm: &[
            Confirm {
                command: "sshd -T | grep -i revokedkeys",
                place: "server",
                shows: "the file",
            },
            Confirm {
                command: "ssh-keygen -Qf REVOKED_KEYS_FILE KEY.pub",
                place: "server",
                shows: "\"REVOKED\" or \"ok\"",
            },
            Confirm {
                command: "ls -l REVOKED_KEYS_FILE",
                place: "server",
                shows: "missing or unreadable: then every key is refused",
            },
        ],
        remedy: &[
            Remedy {
                action: "Make a new key and have it installed",
                command: Some("ssh-keygen -t ed25519"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If the file is missing by mistake: restore it; an empty file revokes nothing",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["pubkey-not-authorized", "cert-expired"],
        refs: &[
            "sshd_config(5) RevokedKeys",
            "ssh-keygen(1) KEY REVOCATION LISTS",
        ],
    },
    Cause {
        id: "SW0317",
        slug: "pubkey-algorithm-rejected",
        title: "The server (or the client itself) does not take the key's type or signature algorithm",
        blames: Blame::Peer,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The key may be listed, but its algorithm is refused. Most often RSA signed with SHA-1 \
            (\"ssh-rsa\"), off since OpenSSH 8.8: an old client, library or agent that cannot do rsa-sha2, \
            against a newer server; or a new client that finds an old server without rsa-sha2 (\"no \
            mutual signature algorithm\"). ssh-dss is off since 7.0 and gone in 10.0. \
            PubkeyAcceptedAlgorithms (PubkeyAcceptedKeyTypes before 8.5) or the crypto policy of RHEL \
            may forbid more. The RSA key itself may stay; only its way of signing is old. It is not \
            about the server's key: that is no-matching-host-key-type.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'PubkeyAccepted'",
                place: "server",
                shows: "\"signature algorithm … not in PubkeyAcceptedAlgorithms\" (8.5 and later), \"key type … not in \
                    PubkeyAcceptedKeyTypes\" (before)",
            },
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -iE 'mutual signature|Offering|Skipping'",
                place: "client",
                shows: "\"no mutual signature algorithm\", or \"Skipping … key … not in PubkeyAcceptedAlgorithms\"",
            },
            Confirm {
                command: "ssh-keygen -lf ~/.ssh/KEY.pub",
                place: "client",
                shows: "the type: RSA or DSA",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where the key is of an old type (DSA, RSA of a client that signs with SHA-1 only): \
                    make an ed25519 key and install it; both old and new sides take it (OpenSSH 6.5 and later)",
                command: Some(
                    "ssh-keygen -t ed25519 && ssh-copy-id -i ~/.ssh/id_ed25519.pub USER@HOST",
                ),
                place: "client",
                risk: "needs one working login",
                undo: None,
            },
            Remedy {
                action: "Where a list leaves the type out (PubkeyAcceptedAlgorithms, CASignatureAlgorithms, on \
                    either side; the evidence names it): add the type to the list",
                command: None,
                place: "server",
                risk: "none",
                undo: Some("put the old list back"),
            },
            Remedy {
                action: "Or upgrade the program that signs with SHA-1 (the old client, library or agent)",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "To reach an old server once more with an RSA key, for that host only: under its Host \
                    \"PubkeyAcceptedAlgorithms +ssh-rsa\"",
                command: Some("ssh -o PubkeyAcceptedAlgorithms=+ssh-rsa USER@HOST"),
                place: "client",
                risk: "the proof rests on SHA-1",
                undo: Some("delete the line"),
            },
        ],
        look_alikes: &[
            "no-matching-host-key-type",
            "pubkey-not-authorized",
            "key-too-short",
            "agent-refused",
        ],
        refs: &[
            "RFC 8332",
            "sshd_config(5) PubkeyAcceptedAlgorithms",
            "sshconnect2.c key_sig_algorithm()",
        ],
    },
    Cause {
        id: "SW0318",
        slug: "key-too-short",
        title: "The RSA key is shorter than the other side accepts",
        blames: Blame::Peer,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "RequiredRSASize (OpenSSH 9.1 and later; 1024 by default, 2048 under RHEL 9's crypto policy) \
            refuses RSA keys below that length, the user's on the server and the server's on the client \
            (\"Invalid key length\"). Keys under 1024 bits are refused by every current release.",
        confirm: &[
            Confirm {
                command: "ssh-keygen -lf ~/.ssh/KEY.pub",
                place: "client",
                shows: "the length, first number of the line",
            },
            Confirm {
                command: "sshd -T | grep -i requiredrsasize",
                place: "server",
                shows: "the least length",
            },
            Confirm {
                command: "for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf \"$k\"; done",
                place: "server",
                shows: "the lengths of the host keys, where the client complains about the server",
            },
        ],
        remedy: &[
            Remedy {
                action: "Make a new key",
                command: Some("ssh-keygen -t ed25519"),
                place: "client",
                risk: "the new one has to be installed on each server",
                undo: None,
            },
            Remedy {
                action: "For a short host key: replace it and publish the fingerprint",
                command: Some("ssh-keygen -t rsa -b 3072 -N '' -f /etc/ssh/ssh_host_rsa_key.new"),
                place: "server",
                risk: "clients will be warned of a changed key once it is put in place",
                undo: Some("rm /etc/ssh/ssh_host_rsa_key.new /etc/ssh/ssh_host_rsa_key.new.pub"),
            },
        ],
        look_alikes: &["pubkey-algorithm-rejected", "no-matching-host-key-type"],
        refs: &[
            "sshd_config(5) RequiredRSASize",
            "sshkey.c sshkey_check_rsa_length()",
        ],
    },
    Cause {
        id: "SW0319",
        slug: "cert-expired",
        title: "The user certificate has expired",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The server trusts the CA, and the certificate's time is over. Short-lived certificates from \
            a login service expire as a matter of course: a new one was not fetched. If the certificate \
            is new, compare the clocks: a server that runs ahead sees it as expired (clock-skew).",
        confirm: &[
            Confirm {
                command: "ssh-keygen -Lf ~/.ssh/KEY-cert.pub",
                place: "client",
                shows: "the Valid line",
            },
            Confirm {
                command: "date -u",
                place: "server",
                shows: "compare with date -u on the client",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'Certificate invalid'",
                place: "server",
                shows: "\"expired\"; from 10.1 on with the certificate's ID, serial and CA",
            },
        ],
        remedy: &[
            Remedy {
                action: "Fetch a new certificate from the CA or the login service, and reload the agent (ssh-add -D \
                    removes the old one from it)",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "At the CA: sign again",
                command: Some("ssh-keygen -s USER_CA -I ID -n USER -V +8h KEY.pub"),
                place: "server",
                risk: "valid for the time you say",
                undo: None,
            },
        ],
        look_alikes: &[
            "cert-not-yet-valid",
            "clock-skew",
            "cert-principal-mismatch",
            "pubkey-not-authorized",
        ],
        refs: &[
            "ssh-keygen(1) CERTIFICATES",
            "sshkey.c sshkey_cert_check_authority()",
        ],
    },
    Cause {
        id: "SW0320",
        slug: "cert-not-yet-valid",
        title: "The user certificate is not valid yet",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The certificate begins in the future as the server sees it. Nearly always a clock is wrong: \
            the server's is behind, or the CA's is ahead. Some CAs begin a certificate at once; a few \
            seconds of difference are enough then.",
        confirm: &[
            Confirm {
                command: "ssh-keygen -Lf ~/.ssh/KEY-cert.pub",
                place: "client",
                shows: "the Valid line",
            },
            Confirm {
                command: "timedatectl",
                place: "server",
                shows: "the time, and whether it is synchronised",
            },
        ],
        remedy: &[
            Remedy {
                action: "Set the clock right by NTP (Alpine: rc-service chronyd start)",
                command: Some("timedatectl set-ntp true"),
                place: "server",
                risk: "time jumps; programs that keep time may notice",
                undo: Some("timedatectl set-ntp false"),
            },
            Remedy {
                action: "At the CA: begin a few minutes early",
                command: Some("ssh-keygen -s USER_CA -I ID -n USER -V -5m:+8h KEY.pub"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["clock-skew", "cert-expired"],
        refs: &["ssh-keygen(1) CERTIFICATES"],
    },
    Cause {
        id: "SW0321",
        slug: "cert-principal-mismatch",
        title: "The certificate names no principal that this account takes",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The certificate is valid and its CA trusted, but none of its principals is the account's \
            name, or one that AuthorizedPrincipalsFile (or …Command) lists for it. A certificate without \
            principals is refused for TrustedUserCAKeys. The log says \"name is not a listed principal\".",
        confirm: &[
            Confirm {
                command: "ssh-keygen -Lf ~/.ssh/KEY-cert.pub",
                place: "client",
                shows: "the Principals",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE 'authorizedprincipals|trustedusercakeys'",
                place: "server",
                shows: "where principals are looked up; none means that the account's own name must be listed",
            },
        ],
        remedy: &[
            Remedy {
                action: "Log in as an account the certificate names, or have one issued for this account",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "At the CA: sign with the right names",
                command: Some("ssh-keygen -s USER_CA -I ID -n USER,PRINCIPAL -V +8h KEY.pub"),
                place: "server",
                risk: "the holder may log in as each of them",
                undo: None,
            },
            Remedy {
                action: "Or list the principal for the account in its AuthorizedPrincipalsFile",
                command: None,
                place: "server",
                risk: "all certificates with that principal may log in as it",
                undo: Some("delete the line"),
            },
        ],
        look_alikes: &["cert-expired", "user-not-found", "pubkey-not-authorized"],
        refs: &[
            "sshd_config(5) AuthorizedPrincipalsFile",
            "sshd_config(5) TrustedUserCAKeys",
        ],
    },
    Cause {
        id: "SW0322",
        slug: "too-many-auth-failures",
        title: "Too many attempts in one connection (MaxAuthTries)",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "Each key that is offered counts as an attempt. With many keys in the agent the server closes \
            (after six by default, fewer where hardened) before ssh comes to the right one or to the \
            password. So a password that worked yesterday fails after another key went into the agent. \
            The client prints \"Too many authentication failures\".",
        confirm: &[
            Confirm {
                command: "ssh-add -l",
                place: "client",
                shows: "how many keys the agent offers, and in which order",
            },
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -c 'Offering public key'",
                place: "client",
                shows: "as many as MaxAuthTries",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -i maxauthtries",
                place: "server",
                shows: "the limit",
            },
        ],
        remedy: &[
            Remedy {
                action: "Offer only the key meant for this host; then put \"IdentityFile ~/.ssh/KEY\" and \
                    \"IdentitiesOnly yes\" under its Host",
                command: Some("ssh -o IdentitiesOnly=yes -i ~/.ssh/KEY USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "To use a password, offer no key at all",
                command: Some("ssh -o PubkeyAuthentication=no USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If the limit is lower than usual, raise it to 6. Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "a few more guesses per connection",
                undo: Some("put the old value back and reload"),
            },
        ],
        look_alikes: &["pubkey-not-authorized", "wrong-password"],
        refs: &[
            "sshd_config(5) MaxAuthTries",
            "ssh_config(5) IdentitiesOnly",
        ],
    },
    Cause {
        id: "SW0323",
        slug: "no-auth-methods",
        title: "The configuration leaves no way to log in",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::High,
        is_symptom: false,
        explanation: "After edits no authentication method is left for this user, or AuthenticationMethods names \
            one that is switched off (\"cannot be satisfied by enabled authentication methods\"). sshd \
            then refuses to start, or ends the connection with a fatal error.",
        confirm: &[
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE 'authentication(methods)?'",
                place: "server",
                shows: "which methods are on, and which are demanded",
            },
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -1h --grep 'AuthenticationMethods|no authentication methods'",
                place: "server",
                shows: "the complaint",
            },
        ],
        remedy: &[Remedy {
            action: "Switch the demanded method on, or take it out of AuthenticationMethods; check and reload. \
                    Keep this session open",
            command: Some("sshd -t && systemctl reload ssh"),
            place: "server",
            risk: "none",
            undo: Some("put the old lines back and reload"),
        }],
        look_alikes: &[
            "multi-factor-required",
            "auth-method-mismatch",
            "sshd-config-error",
        ],
        refs: &[
            "sshd_config(5) AuthenticationMethods",
            "auth2.c auth2_setup_methods_lists()",
        ],
    },
    Cause {
        id: "SW0324",
        slug: "one-time-code-rejected",
        title: "The one-time code is not accepted",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The second factor's module refused: a wrong or used code, clocks of phone and server that \
            differ by more than its window, the wrong account's secret, a secret file with wrong owner \
            or mode, or a rate limit of the module. Some clients never ask, because keyboard-interactive \
            is off on one side.",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'google_authenticator|oath|duo|yubi'",
                place: "server",
                shows: "what the module says",
            },
            Confirm {
                command: "timedatectl",
                place: "server",
                shows: "whether the clock is synchronised",
            },
            Confirm {
                command: "sshd -T -C user=USER,host=HOST,addr=ADDR | grep -iE 'kbdinteractive|authenticationmethods|usepam'",
                place: "server",
                shows: "keyboard-interactive and PAM must be on",
            },
        ],
        remedy: &[
            Remedy {
                action: "Synchronise the clock",
                command: Some("timedatectl set-ntp true"),
                place: "server",
                risk: "time jumps",
                undo: Some("timedatectl set-ntp false"),
            },
            Remedy {
                action: "Use one of the scratch codes, then enrol anew",
                command: None,
                place: "client",
                risk: "each works once",
                undo: None,
            },
        ],
        look_alikes: &[
            "clock-skew",
            "wrong-password",
            "multi-factor-required",
            "account-faillock",
        ],
        refs: &["RFC 6238", "sshd_config(5) KbdInteractiveAuthentication"],
    },
    Cause {
        id: "SW0325",
        slug: "security-key-policy",
        title: "The security key was not touched, or its PIN was not verified",
        blames: Blame::Policy,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "For FIDO keys (types ending in -sk) the server demands that somebody was there, and, with \
            verify-required, that a PIN was given. A key made with no-touch-required, a touch that came \
            too late, or an agent that does not pass the PIN on makes a valid signature that is refused: \
            \"user presence … requirement not met\" or \"user verification requirement not met\".",
        confirm: &[
            Confirm {
                command: "journalctl -t sshd -t sshd-session --since -10min --grep 'requirement not met'",
                place: "server",
                shows: "which demand",
            },
            Confirm {
                command: "grep -nE 'touch|verify' ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "the options on the key's line; PubkeyAuthOptions in sshd_config sets it for all",
            },
        ],
        remedy: &[
            Remedy {
                action: "Try again and touch the key when it blinks",
                command: Some("ssh USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Make a key that asks for the PIN each time, where the server wants it",
                command: Some("ssh-keygen -t ed25519-sk -O verify-required"),
                place: "client",
                risk: "has to be installed on the server",
                undo: None,
            },
        ],
        look_alikes: &["agent-refused", "pubkey-not-authorized"],
        refs: &[
            "sshd_config(5) PubkeyAuthOptions",
            "PROTOCOL.u2f",
            "ssh-keygen(1) -O",
        ],
    },
    Cause {
        id: "SW0326",
        slug: "directory-service-down",
        title: "The directory that knows the users does not answer (LDAP, SSSD, NSS)",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::High,
        is_symptom: false,
        explanation: "Accounts come from a directory, and it is unreachable, slow, or its local helper died. Then \
            sshd says \"Invalid user\" for people who exist, or the login hangs until LoginGraceTime. \
            Local accounts get in as always; that is the sign.",
        confirm: &[
            Confirm {
                command: "time getent passwd USER",
                place: "server",
                shows: "slow or empty for a directory user, instant for root",
            },
            Confirm {
                command: "systemctl status sssd nslcd winbind --no-pager",
                place: "server",
                shows: "the helper's state",
            },
            Confirm {
                command: "sssctl domain-status DOMAIN",
                place: "server",
                shows: "Online or Offline, where SSSD is in use",
            },
        ],
        remedy: &[
            Remedy {
                action: "Log in with a local account or on the console",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Restart the helper",
                command: Some("systemctl restart sssd"),
                place: "server",
                risk: "none; cached logins go on",
                undo: None,
            },
            Remedy {
                action: "Repair the way to the directory server (ports 389, 636, 88), its certificate, or the clock",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "user-not-found",
            "authorized-keys-command",
            "login-grace-time",
            "kerberos-failed",
        ],
        refs: &["nsswitch.conf(5)", "sssd.conf(5)"],
    },
    Cause {
        id: "SW0327",
        slug: "kerberos-failed",
        title: "The Kerberos login does not work (ticket, key table, name or clock)",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "GSSAPI authentication needs a valid ticket on the client, a host key table on the server \
            that matches the name the client used, and clocks within five minutes of each other. \
            Otherwise ssh goes on silently to the next method, or ends with \"Permission denied \
            (gssapi-with-mic,…)\".",
        confirm: &[
            Confirm {
                command: "klist",
                place: "client",
                shows: "a ticket, and not expired",
            },
            Confirm {
                command: "ssh -vv USER@HOST 2>&1 | grep -iE 'gss|krb|unspecified'",
                place: "client",
                shows: "the reason in the library's words",
            },
            Confirm {
                command: "klist -kt /etc/krb5.keytab",
                place: "server",
                shows: "a key for host/FQDN with the version the KDC has",
            },
        ],
        remedy: &[
            Remedy {
                action: "Get a new ticket",
                command: Some("kinit USER@REALM"),
                place: "client",
                risk: "none",
                undo: Some("kdestroy"),
            },
            Remedy {
                action: "Synchronise the clocks",
                command: Some("timedatectl set-ntp true"),
                place: "server",
                risk: "time jumps",
                undo: Some("timedatectl set-ntp false"),
            },
            Remedy {
                action: "Renew the key table from the KDC (FreeIPA: ipa-getkeytab; AD: adcli update or net ads \
                    keytab)",
                command: None,
                place: "server",
                risk: "old tickets for the host become invalid",
                undo: None,
            },
        ],
        look_alikes: &[
            "clock-skew",
            "directory-service-down",
            "auth-method-mismatch",
        ],
        refs: &["RFC 4462", "sshd_config(5) GSSAPIAuthentication"],
    },
    Cause {
        id: "SW0328",
        slug: "clock-skew",
        title: "The clocks of client, server or CA differ",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "Certificates, one-time codes and Kerberos tickets depend on time. A machine that lost its \
            clock (a dead battery, a restored snapshot, no NTP) refuses fresh certificates as not yet \
            valid, or good ones as expired, and codes that are right. Plain keys and passwords go on \
            working.",
        confirm: &[
            Confirm {
                command: "date -u; timedatectl",
                place: "server",
                shows: "the time in UTC and whether it is synchronised; compare with the client",
            },
            Confirm {
                command: "chronyc tracking",
                place: "server",
                shows: "the offset, where chrony runs (others: ntpq -p, timedatectl timesync-status)",
            },
        ],
        remedy: &[
            Remedy {
                action: "Switch synchronisation on (Alpine: rc-service chronyd start)",
                command: Some("timedatectl set-ntp true"),
                place: "server",
                risk: "time jumps; programs that keep time may notice",
                undo: Some("timedatectl set-ntp false"),
            },
            Remedy {
                action: "With chrony: correct a large offset at once",
                command: Some("chronyc makestep"),
                place: "server",
                risk: "time jumps",
                undo: None,
            },
        ],
        look_alikes: &[
            "cert-not-yet-valid",
            "cert-expired",
            "one-time-code-rejected",
            "kerberos-failed",
        ],
        refs: &["RFC 4120 section 5.2.3", "RFC 6238"],
    },
    Cause {
        id: "SW0329",
        slug: "slow-reverse-dns",
        title: "The login waits for reverse DNS",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "With UseDNS yes sshd looks up the client's address before it goes on; so do PAM modules and \
            the lastlog writers. If the name server does not answer, each login pauses 5 to 30 seconds \
            and then works. The default has been UseDNS no since 6.8. slow-gssapi pauses on the client's \
            side instead.",
        confirm: &[
            Confirm {
                command: "time getent hosts CLIENT_ADDR",
                place: "server",
                shows: "many seconds: that is the pause",
            },
            Confirm {
                command: "sshd -T | grep -i usedns",
                place: "server",
                shows: "yes",
            },
        ],
        remedy: &[
            Remedy {
                action: "Repair the resolver: a name server in /etc/resolv.conf that answers",
                command: Some("time getent hosts CLIENT_ADDR"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Where the evidence names hosts.allow or hosts.deny: write addresses in place of names there",
                command: None,
                place: "server",
                risk: "whoever comes from another address than before is judged otherwise",
                undo: None,
            },
            Remedy {
                action: "Where it names UseDNS: set \"UseDNS no\", check, reload. from= and Match Host by name stop working; use addresses. \
                    Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "rules by host name no longer match",
                undo: Some("put the line back and reload"),
            },
        ],
        look_alikes: &[
            "slow-gssapi",
            "slow-login-logind",
            "login-grace-time",
            "sshd-hung",
        ],
        refs: &["sshd_config(5) UseDNS"],
    },
    Cause {
        id: "SW0330",
        slug: "slow-gssapi",
        title: "The login waits for Kerberos that is not there",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The client tries GSSAPI first, which asks DNS and a KDC that do not answer, and only then \
            goes on to keys. The pause shows in ssh -vv between \"Next authentication method: \
            gssapi-with-mic\" and the next one. Debian, Ubuntu and RHEL switch GSSAPI on in the client's \
            system-wide configuration.",
        confirm: &[Confirm {
            command: "time ssh -o GSSAPIAuthentication=no USER@HOST true",
            place: "client",
            shows: "fast: that was it",
        }],
        remedy: &[Remedy {
            action: "Switch it off for this host: under its Host \"GSSAPIAuthentication no\"",
            command: Some("ssh -o GSSAPIAuthentication=no USER@HOST"),
            place: "client",
            risk: "no Kerberos login there",
            undo: Some("delete the line"),
        }],
        look_alikes: &["slow-reverse-dns", "kerberos-failed", "slow-login-logind"],
        refs: &["ssh_config(5) GSSAPIAuthentication"],
    },
    Cause {
        id: "SW0331",
        slug: "selinux-context",
        title: "SELinux keeps sshd from reading authorized_keys",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "Modes and owners are right, and still the key is refused: the file or its directory has the \
            wrong SELinux label, because home is not under /home, was restored or moved, or is a mount \
            of its own. The audit log has an AVC for sshd; sshd itself only says that it could not open \
            the file, at debug level.",
        confirm: &[
            Confirm {
                command: "ls -Zd ~USER ~USER/.ssh ~USER/.ssh/authorized_keys",
                place: "server",
                shows: "ssh_home_t is right for .ssh and what is in it",
            },
            Confirm {
                command: "ausearch -m AVC -ts recent -c sshd",
                place: "server",
                shows: "denied { read } or { open } for authorized_keys",
            },
        ],
        remedy: &[
            Remedy {
                action: "Restore the labels",
                command: Some("restorecon -Rv ~USER/.ssh"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If homes lie elsewhere: teach the policy once, then relabel",
                command: Some("semanage fcontext -a -e /home /srv/home && restorecon -R /srv/home"),
                place: "server",
                risk: "none",
                undo: Some("semanage fcontext -d -e /home /srv/home"),
            },
        ],
        look_alikes: &[
            "authorized-keys-permissions",
            "home-unreadable",
            "pubkey-not-authorized",
        ],
        refs: &["restorecon(8)", "semanage-fcontext(8)"],
    },
    Cause {
        id: "SW0332",
        slug: "home-unreadable",
        title: "sshd cannot read the home directory before the login",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The home is encrypted and opens only with the password, lies on NFS where root may not read, \
            is an automount that does not come up, or its unit hides it. So keys in it work only while \
            the user is already logged in, and the client sees \"Permission denied\" at the first login \
            after a reboot. At debug level sshd says \"Could not open authorized keys\".",
        confirm: &[
            Confirm {
                command: "ls -la ~USER/.ssh as root, while the user is logged out",
                place: "server",
                shows: "empty, or \"Permission denied\", or a README of the encryption",
            },
            Confirm {
                command: "findmnt -T ~USER",
                place: "server",
                shows: "nfs, fuse, ecryptfs, or an automount",
            },
        ],
        remedy: &[
            Remedy {
                action: "Keep keys outside the homes: AuthorizedKeysFile /etc/ssh/authorized_keys/%u \
                    .ssh/authorized_keys. Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "the new files must belong to root",
                undo: Some("put the old line back and reload"),
            },
            Remedy {
                action: "Meanwhile log in with the password first, in one session that stays open",
                command: Some("ssh -o PubkeyAuthentication=no USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "authorized-keys-permissions",
            "home-missing",
            "selinux-context",
            "pubkey-not-authorized",
        ],
        refs: &[
            "sshd_config(5) AuthorizedKeysFile",
            "exports(5) root_squash",
        ],
    },
    Cause {
        id: "SW0333",
        slug: "service-sandboxed",
        title: "Hardening of sshd's systemd unit hides what sshd needs",
        blames: Blame::Server,
        gate: Gate::Auth,
        severity: Severity::High,
        is_symptom: false,
        explanation: "ProtectHome=, ProtectSystem=, PrivateTmp=, ReadOnlyPaths=, InaccessiblePaths=, \
            RestrictAddressFamilies= or SystemCallFilter= in the unit hold for every session that sshd \
            starts. Homes look empty or read-only, keys are not found, sudo and mounts fail, although \
            outside SSH everything is there. systemd-analyze security praises such a unit; for sshd it \
            is wrong, since users work inside it.",
        confirm: &[
            Confirm {
                command: "systemctl show ssh -p ProtectHome -p ProtectSystem -p ReadOnlyPaths -p InaccessiblePaths -p PrivateTmp -p NoNewPrivileges",
                place: "server",
                shows: "anything but no or empty (RHEL and others: sshd)",
            },
            Confirm {
                command: "nsenter -t $(cat /run/sshd.pid) -m ls -la ~USER/.ssh",
                place: "server",
                shows: "what sshd itself sees there",
            },
        ],
        remedy: &[Remedy {
            action: "Move the drop-in with the line aside (RHEL and others: sshd), or take only that line out of it; keep \
                    this session open",
            command: Some(
                "mv FILE FILE.off && systemctl daemon-reload && mkdir -p /run/sshd && sshd -t && systemctl restart ssh",
            ),
            place: "server",
            risk: "the unit is less confined, and whatever else that file sets is off too",
            undo: Some("mv FILE.off FILE && systemctl daemon-reload && systemctl restart ssh"),
        }],
        look_alikes: &[
            "home-unreadable",
            "pubkey-not-authorized",
            "sshd-unit-broken",
            "home-missing",
        ],
        refs: &["systemd.exec(5) ProtectHome"],
    },
];
