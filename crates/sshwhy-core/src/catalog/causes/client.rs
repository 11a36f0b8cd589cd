//! Causes in the client's own files and programs: ssh_config, keys, agent, proxies, control sockets.

use super::{Blame, Cause, Confirm, Gate, Remedy};
use crate::finding::Severity;

pub(super) const ROWS: &[Cause] = &[
    Cause {
        id: "SW0501",
        slug: "identity-file-missing",
        title: "The configured key file does not exist",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "-i or IdentityFile names a file that is not there: a typing mistake, another home (sudo, \
            cron and CI run as another user), a path with ~ in quotes, or a mount that is missing. ssh \
            warns (\"no such identity\", \"Identity file … not accessible\"), goes on with the keys it has, \
            and ends with \"Permission denied\". With IdentitiesOnly nothing at all is offered.",
        confirm: &[
            Confirm {
                command: "ssh -G USER@HOST | grep -i identityfile",
                place: "client",
                shows: "the files ssh wants; which of them exist?",
            },
            Confirm {
                command: "ls -l ~/.ssh",
                place: "client",
                shows: "what is really there",
            },
        ],
        remedy: &[
            Remedy {
                action: "Name the right file; then correct IdentityFile in ~/.ssh/config",
                command: Some("ssh -i ~/.ssh/RIGHT_FILE USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Restore the key from a backup, or make and install a new one",
                command: Some("ssh-keygen -t ed25519"),
                place: "client",
                risk: "a new key has to be installed on each server",
                undo: None,
            },
        ],
        look_alikes: &[
            "pubkey-not-authorized",
            "private-key-invalid",
            "agent-unreachable",
            "auth-rejected-publickey",
        ],
        refs: &["ssh_config(5) IdentityFile", "ssh(1) -i"],
    },
    Cause {
        id: "SW0502",
        slug: "private-key-permissions",
        title: "Others may read the private key file, so ssh ignores it",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "ssh refuses a private key that group or others can read (\"UNPROTECTED PRIVATE KEY FILE\", \
            \"bad permissions\") and goes on without it. A copied key, a FAT or Windows mount under WSL \
            (where chmod has no effect), a container secret or an umask does it. On Windows the rule is \
            about inherited access for other users.",
        confirm: &[
            Confirm {
                command: "ls -l ~/.ssh/KEY",
                place: "client",
                shows: "more than -rw-------",
            },
            Confirm {
                command: "findmnt -T ~/.ssh/KEY",
                place: "client",
                shows: "vfat, 9p, drvfs, cifs: modes cannot be changed there",
            },
        ],
        remedy: &[
            Remedy {
                action: "Close it to others (where it is not yours: sudo chown \"$(id -u)\" first)",
                command: Some("chmod 600 ~/.ssh/KEY"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "On a file system without modes: copy it into the home, with its mode",
                command: Some("(umask 077 && cp -n /mnt/FOLDER/NAME ~/.ssh/NEW_NAME)"),
                place: "client",
                risk: "one more copy of a secret",
                undo: Some("rm ~/.ssh/NEW_NAME"),
            },
            Remedy {
                action: "Windows: remove inherited rights and leave only yourself",
                command: Some("icacls KEY /inheritance:r /grant:r \"%USERNAME%:R\""),
                place: "client",
                risk: "none",
                undo: Some("icacls KEY /reset"),
            },
        ],
        look_alikes: &[
            "private-key-invalid",
            "pubkey-not-authorized",
            "identity-file-missing",
        ],
        refs: &["authfile.c sshkey_perm_ok()", "ssh(1) FILES"],
    },
    Cause {
        id: "SW0503",
        slug: "private-key-invalid",
        title: "The private key file does not parse",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The file is not a private key in a form this ssh reads: its last line break was lost in a \
            secret store, lines are joined or indented, it is the .pub, a PuTTY .ppk, CRLF or UTF-16 \
            from Windows, an old PEM that OpenSSL 3 refuses (\"error in libcrypto\"), or of a type this \
            build lacks. \"invalid format\" may also mean that only the .pub beside it is broken. A wrong \
            passphrase has its own text: key-passphrase.",
        confirm: &[
            Confirm {
                command: "ssh-keygen -yf ~/.ssh/KEY",
                place: "client",
                shows: "prints the public key if the file is good",
            },
            Confirm {
                command: "head -1 ~/.ssh/KEY; tail -1 ~/.ssh/KEY | od -c | tail -3",
                place: "client",
                shows: "BEGIN/END lines, and whether the last one ends in \\n; PuTTY-User-Key-File means .ppk",
            },
        ],
        remedy: &[
            Remedy {
                action: "Where it ends in the middle of the last line: add the line break that was lost (a copy stays)",
                command: Some("cp -n ~/.ssh/KEY ~/.ssh/KEY.bak && echo >> ~/.ssh/KEY"),
                place: "client",
                risk: "none",
                undo: Some("mv ~/.ssh/KEY.bak ~/.ssh/KEY"),
            },
            Remedy {
                action: "Where lines end in carriage returns (file says CRLF): take them away (a copy stays)",
                command: Some("sed -i.bak 's/\\r$//' ~/.ssh/KEY"),
                place: "client",
                risk: "none",
                undo: Some("mv ~/.ssh/KEY.bak ~/.ssh/KEY"),
            },
            Remedy {
                action: "Where it begins with PuTTY-User-Key-File: convert it into a new file (package putty-tools)",
                command: Some(
                    "puttygen ~/.ssh/KEY -O private-openssh-new -o ~/.ssh/NEW_NAME && chmod 600 ~/.ssh/NEW_NAME",
                ),
                place: "client",
                risk: "none",
                undo: Some("rm ~/.ssh/NEW_NAME"),
            },
            Remedy {
                action: "Where something is missing in it: restore it from a backup, or make and install a new one",
                command: Some("ssh-keygen -t ed25519 -f ~/.ssh/NEW_NAME"),
                place: "client",
                risk: "a new key has to be installed on each server",
                undo: Some("rm ~/.ssh/NEW_NAME ~/.ssh/NEW_NAME.pub"),
            },
            Remedy {
                action: "CI: store the key base64-encoded and decode it into the file, so that line breaks survive",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "key-passphrase",
            "private-key-permissions",
            "key-pair-mismatch",
            "authorized-keys-malformed",
        ],
        refs: &["sshkey.c sshkey_parse_private_fileblob()", "PROTOCOL.key"],
    },
    Cause {
        id: "SW0504",
        slug: "key-passphrase",
        title: "The private key wants its passphrase, and nobody can give it",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The key is encrypted and ssh may not ask (BatchMode, cron, CI, no terminal), no agent holds \
            it, or what was typed is wrong (\"incorrect passphrase supplied to decrypt private key\"). The \
            server even says that it would accept the key (\"Server accepts key\" under -v), and then \
            nothing is signed and ssh goes on to \"Permission denied\".",
        confirm: &[
            Confirm {
                command: "ssh-keygen -yf ~/.ssh/KEY",
                place: "client",
                shows: "asks for the passphrase: the key is encrypted",
            },
            Confirm {
                command: "ssh-add -l",
                place: "client",
                shows: "whether an agent holds it",
            },
        ],
        remedy: &[
            Remedy {
                action: "Load it into an agent once",
                command: Some("eval \"$(ssh-agent -s)\" && ssh-add ~/.ssh/KEY"),
                place: "client",
                risk: "none",
                undo: Some("ssh-add -d ~/.ssh/KEY"),
            },
            Remedy {
                action: "For machines: a key of its own without a passphrase, held to its purpose on the server by \
                    from= and command=",
                command: Some("ssh-keygen -t ed25519 -N '' -f ~/.ssh/KEY_FOR_JOB"),
                place: "client",
                risk: "whoever can read the file can use it",
                undo: Some("rm ~/.ssh/KEY_FOR_JOB ~/.ssh/KEY_FOR_JOB.pub"),
            },
        ],
        look_alikes: &[
            "agent-unreachable",
            "agent-refused",
            "private-key-invalid",
            "pubkey-not-authorized",
        ],
        refs: &["ssh-add(1)", "ssh_config(5) BatchMode", "authfile.c"],
    },
    Cause {
        id: "SW0505",
        slug: "key-pair-mismatch",
        title: "The .pub file beside the private key belongs to another key",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "ssh asks the server about the public key from the .pub file first; the server accepts it, \
            and then the private file signs with another key, so the proof fails. Or the wrong .pub was \
            installed on the server. It comes from copying one half only, or renaming.",
        confirm: &[
            Confirm {
                command: "ssh-keygen -yf ~/.ssh/KEY | ssh-keygen -lf -; ssh-keygen -lf ~/.ssh/KEY.pub",
                place: "client",
                shows: "two different fingerprints",
            },
            Confirm {
                command: "ssh -v USER@HOST 2>&1 | grep -iE 'do not match|mismatch'",
                place: "client",
                shows: "\"private key contents do not match public\"",
            },
        ],
        remedy: &[
            Remedy {
                action: "Make the .pub from the private key (the old one is kept)",
                command: Some(
                    "cp ~/.ssh/KEY.pub ~/.ssh/KEY.pub.bak && ssh-keygen -yf ~/.ssh/KEY > ~/.ssh/KEY.pub",
                ),
                place: "client",
                risk: "none",
                undo: Some("mv ~/.ssh/KEY.pub.bak ~/.ssh/KEY.pub"),
            },
            Remedy {
                action: "Install that public key on the server",
                command: Some("ssh-copy-id -i ~/.ssh/KEY.pub USER@HOST"),
                place: "client",
                risk: "needs another working login",
                undo: None,
            },
        ],
        look_alikes: &["pubkey-not-authorized", "private-key-invalid"],
        refs: &["ssh-keygen(1) -y", "sshconnect2.c load_identity_file()"],
    },
    Cause {
        id: "SW0506",
        slug: "agent-refused",
        title: "The agent will not sign with the key",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The key is offered, the server accepts it, and the agent answers \"agent refused operation\": \
            the agent is locked, the key wants a confirmation or a touch nobody gave, gpg-agent cannot \
            show its PIN window (GPG_TTY, no pinentry), a desktop keyring does not know this key type, \
            the smart card was pulled out, or the agent restricts the key to other hosts (ssh-add -h). \
            The key on the server is right.",
        confirm: &[
            Confirm {
                command: "ssh-add -T ~/.ssh/KEY.pub",
                place: "client",
                shows: "whether this agent can sign with this key",
            },
            Confirm {
                command: "echo \"$SSH_AUTH_SOCK\"; ssh-add -l",
                place: "client",
                shows: "which agent it is: a path with gnupg or keyring in it is not ssh-agent",
            },
        ],
        remedy: &[
            Remedy {
                action: "Use the key file itself, without the agent",
                command: Some("ssh -o IdentityAgent=none -i ~/.ssh/KEY USER@HOST"),
                place: "client",
                risk: "asks for the passphrase",
                undo: None,
            },
            Remedy {
                action: "gpg-agent: tell it the terminal",
                command: Some("export GPG_TTY=$(tty); gpg-connect-agent updatestartuptty /bye"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Put the key into a fresh agent",
                command: Some("eval \"$(ssh-agent -s)\" && ssh-add ~/.ssh/KEY"),
                place: "client",
                risk: "none",
                undo: Some("ssh-agent -k"),
            },
        ],
        look_alikes: &[
            "agent-unreachable",
            "key-passphrase",
            "pubkey-algorithm-rejected",
            "security-key-policy",
        ],
        refs: &["ssh-agent(1)", "ssh-add(1) -T", "draft-ietf-sshm-ssh-agent"],
    },
    Cause {
        id: "SW0507",
        slug: "agent-unreachable",
        title: "Nobody serves the agent's socket",
        blames: Blame::Client,
        gate: Gate::Auth,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The variable is not set, or names a socket whose agent is gone: after sudo or su, in cron \
            and CI, in an old tmux session after a new login, or when agent forwarding was not asked for \
            or is not allowed. Keys that live only in the agent are then not offered, and ssh ends with \
            \"Permission denied\". Key files still work.",
        confirm: &[
            Confirm {
                command: "ssh-add -l; echo \"$?\"",
                place: "client",
                shows: "2: no agent can be reached; 1: it holds no keys",
            },
            Confirm {
                command: "ls -l \"$SSH_AUTH_SOCK\"",
                place: "client",
                shows: "the socket is not there",
            },
        ],
        remedy: &[
            Remedy {
                action: "Start one and load the key (where IdentityAgent in the configuration names another \
                    socket, that line wins: correct it)",
                command: Some("eval \"$(ssh-agent -s)\" && ssh-add ~/.ssh/KEY"),
                place: "client",
                risk: "none",
                undo: Some("ssh-agent -k"),
            },
            Remedy {
                action: "Or name the key file",
                command: Some("ssh -i ~/.ssh/KEY USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "In an old tmux: take over the variable of the new login",
                command: Some("eval \"$(tmux show-environment -s SSH_AUTH_SOCK)\""),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "agent-refused",
            "key-passphrase",
            "identity-file-missing",
            "pubkey-not-authorized",
        ],
        refs: &[
            "ssh-agent(1)",
            "ssh_config(5) IdentityAgent",
            "ssh_config(5) ForwardAgent",
        ],
    },
    Cause {
        id: "SW0508",
        slug: "client-config-error",
        title: "The client's ssh_config stops ssh",
        blames: Blame::Client,
        gate: Gate::Name,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "ssh stops before it connects, because a line in ~/.ssh/config or /etc/ssh/ssh_config has a \
            misspelt keyword, a value it does not know, or an option of another release or of another \
            ssh (UseKeychain is Apple's). The message names file and line. The server is not involved. A \
            command-line option after -o can do the same.",
        confirm: &[
            Confirm {
                command: "ssh -G HOST >/dev/null",
                place: "client",
                shows: "the file, the line and the fault",
            },
            Confirm {
                command: "ssh -F none USER@HOST",
                place: "client",
                shows: "works without any configuration file",
            },
        ],
        remedy: &[
            Remedy {
                action: "Correct the line that the message names; where ControlPath lies in a folder that is missing, make \
                    the folder",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "For an option that only other releases know: \"IgnoreUnknown OPTION\" above it",
                command: None,
                place: "client",
                risk: "none",
                undo: Some("delete the line"),
            },
            Remedy {
                action: "Get in meanwhile without the files",
                command: Some("ssh -F none USER@HOST"),
                place: "client",
                risk: "settings such as ProxyJump do not apply",
                undo: None,
            },
        ],
        look_alikes: &[
            "client-config-permissions",
            "client-destination-invalid",
            "no-matching-cipher",
        ],
        refs: &["ssh_config(5)", "readconf.c process_config_line()"],
    },
    Cause {
        id: "SW0509",
        slug: "client-config-permissions",
        title: "Others may write the client's ssh_config, so ssh stops",
        blames: Blame::Client,
        gate: Gate::Name,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "~/.ssh/config (or a file it includes) belongs to somebody else or is writable by group or \
            others: \"Bad owner or permissions on\". A ProxyCommand in it runs as you, hence the rule. \
            Files copied by root, mounts from Windows or another host, and containers with another user \
            id do this.",
        confirm: &[Confirm {
            command: "ls -ln ~/.ssh/config; id -u",
            place: "client",
            shows: "owner and mode",
        }],
        remedy: &[
            Remedy {
                action: "Close it to others",
                command: Some("chmod 600 PATH"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Take it over, if it is yours",
                command: Some("sudo chown \"$(id -u):$(id -g)\" PATH"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Windows: remove inherited rights and leave only yourself",
                command: Some(
                    "icacls \"%USERPROFILE%\\.ssh\\config\" /inheritance:r /grant:r \"%USERNAME%:F\"",
                ),
                place: "client",
                risk: "none",
                undo: Some("icacls \"%USERPROFILE%\\.ssh\\config\" /reset"),
            },
            Remedy {
                action: "Get in meanwhile without the file",
                command: Some("ssh -F none USER@HOST"),
                place: "client",
                risk: "settings such as ProxyJump do not apply",
                undo: None,
            },
        ],
        look_alikes: &["client-config-error", "private-key-permissions"],
        refs: &["readconf.c read_config_file_depth()", "ssh_config(5) FILES"],
    },
    Cause {
        id: "SW0510",
        slug: "client-destination-invalid",
        title: "The destination or the options make no sense to ssh",
        blames: Blame::Client,
        gate: Gate::Name,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "\"hostname contains invalid characters\", \"jumphost loop\", \"Bad port\", a user name with \
            characters ssh refuses since 9.6, or a URL where a host is wanted. Shell variables that were \
            empty, and host names with a trailing space or a colon, are the usual reason. Nothing was \
            sent.",
        confirm: &[Confirm {
            command: "ssh -G DESTINATION | head -5",
            place: "client",
            shows: "what ssh makes of it, or its complaint",
        }],
        remedy: &[Remedy {
            action: "Write user@host, and the port with -p; quote variables in scripts",
            command: Some("ssh -p PORT USER@HOST"),
            place: "client",
            risk: "none",
            undo: None,
        }],
        look_alikes: &["dns-failure", "client-config-error", "proxy-jump-failed"],
        refs: &["ssh(1)", "ssh.c main()"],
    },
    Cause {
        id: "SW0511",
        slug: "proxy-jump-failed",
        title: "The way through the jump host fails",
        blames: Blame::Client,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The target was never reached: the hop before it refused, or the hop could not reach the \
            target. ssh then says \"Connection closed by UNKNOWN port 65535\" about a connection that \
            never was; the line above it is the one that counts. \"stdio forwarding failed\" after \
            \"administratively prohibited\" means that the jump host allows no forwarding; \"connect \
            failed\" means that it could not reach the target, or not resolve its name, which it does \
            from its own side.",
        confirm: &[
            Confirm {
                command: "ssh -v USER@BASTION true",
                place: "client",
                shows: "whether the hop itself works",
            },
            Confirm {
                command: "ssh USER@BASTION 'getent ahosts HOST; timeout 5 bash -c \"exec 3<>/dev/tcp/HOST/22\" && echo open'",
                place: "client",
                shows: "whether the hop reaches the target",
            },
            Confirm {
                command: "ssh -G HOST | grep -iE '^proxy'",
                place: "client",
                shows: "which way ssh takes",
            },
        ],
        remedy: &[
            Remedy {
                action: "Look at the hop by itself, and mend what that says",
                command: Some("sshwhy probe HOP"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Take another hop",
                command: Some("ssh -J USER@OTHER_BASTION USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "On the hop: allow forwarding to the target for that user (\"AllowTcpForwarding local\", \
                    \"PermitOpen HOST:22\"). Keep this session open",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "that target becomes reachable through the hop",
                undo: Some("remove the lines and reload"),
            },
        ],
        look_alikes: &[
            "proxy-command-failed",
            "forwarding-disabled",
            "forwarding-target-unreachable",
            "dns-failure",
        ],
        refs: &["ssh_config(5) ProxyJump", "ssh(1) -J -W"],
    },
    Cause {
        id: "SW0512",
        slug: "proxy-command-failed",
        title: "The ProxyCommand fails",
        blames: Blame::Client,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "ssh talks to the target through a program, and it ended at once: not installed, not in PATH, \
            wrong arguments, not logged in (cloud CLIs), or it printed text where SSH's greeting should \
            come. ssh sees only a closed pipe: \"Connection closed by UNKNOWN port 65535\", \
            \"kex_exchange_identification: Connection closed by remote host\".",
        confirm: &[
            Confirm {
                command: "ssh -G HOST | grep -i '^proxycommand'",
                place: "client",
                shows: "the command that is run",
            },
            Confirm {
                command: "COMMAND HOST 22",
                place: "client",
                shows: "run by hand it must show \"SSH-2.0-…\" and nothing before it",
            },
        ],
        remedy: &[
            Remedy {
                action: "Install or log in to what the command needs, and use its full path in ssh_config",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If the target can be reached directly",
                command: Some("ssh -o ProxyCommand=none USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "proxy-jump-failed",
            "packet-corruption",
            "server-closed-early",
        ],
        refs: &["ssh_config(5) ProxyCommand"],
    },
    Cause {
        id: "SW0513",
        slug: "control-socket-stale",
        title: "A dead or frozen shared connection is in the way (ControlMaster)",
        blames: Blame::Client,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "ssh wants to reuse a connection over its control socket. Behind the socket is a master whose \
            network died (then everything hangs), or nothing at all (ssh then connects anew, or warns \
            that the socket exists). After a change of groups or keys on the server an old master also \
            keeps the old rights. It differs from a dead server in that a connection without sharing \
            works.",
        confirm: &[
            Confirm {
                command: "ssh -o ControlPath=none USER@HOST true",
                place: "client",
                shows: "works at once",
            },
            Confirm {
                command: "ssh -O check USER@HOST",
                place: "client",
                shows: "\"Master running\", or no answer",
            },
        ],
        remedy: &[
            Remedy {
                action: "Get in at once, around it",
                command: Some("ssh -o ControlPath=none USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "End the old master",
                command: Some("ssh -O exit USER@HOST"),
                place: "client",
                risk: "sessions over it end",
                undo: None,
            },
            Remedy {
                action: "If it does not answer, remove the socket file",
                command: Some("rm \"$(ssh -G USER@HOST | awk '$1==\"controlpath\"{print $2}')\""),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Notice dead masters: ServerAliveInterval 30 beside ControlPersist",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "control-path-too-long",
            "max-sessions",
            "session-refused",
            "connect-timeout",
        ],
        refs: &[
            "ssh_config(5) ControlMaster",
            "ssh_config(5) ControlPath",
            "ssh(1) -O",
        ],
    },
    Cause {
        id: "SW0514",
        slug: "control-path-too-long",
        title: "The path of the control socket is too long",
        blames: Blame::Client,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "A Unix socket's path holds about 108 bytes on Linux (104 on macOS and BSD), and ssh adds a \
            random suffix while it makes it. Long host names from cloud providers and CI build \
            directories go over it: \"too long for Unix domain socket\". Without sharing, or with a hashed \
            name (%C), it works.",
        confirm: &[Confirm {
            command: "ssh -G HOST | awk '$1==\"controlpath\"{print length($2)\": \"$2}'",
            place: "client",
            shows: "a length near or over 90",
        }],
        remedy: &[Remedy {
            action: "Use a hash: under the Host \"ControlPath ~/.ssh/cm-%C\"",
            command: Some("ssh -o ControlPath='~/.ssh/cm-%C' USER@HOST"),
            place: "client",
            risk: "none",
            undo: None,
        }],
        look_alikes: &["control-socket-stale"],
        refs: &["ssh_config(5) TOKENS %C", "unix(7)"],
    },
    Cause {
        id: "SW0515",
        slug: "local-forward-failed",
        title: "The client cannot open the port for a local or dynamic forwarding",
        blames: Blame::Client,
        gate: Gate::Session,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The port of -L or -D is taken on this client, most often by an earlier ssh that still runs \
            in the background, or it is below 1024 and you are not root. \"bind … Address already in \
            use\", \"Could not request local forwarding\". The login itself may go on, unless \
            ExitOnForwardFailure is set.",
        confirm: &[Confirm {
            command: "ss -Hltnp 'sport = :LOCAL_PORT'",
            place: "client",
            shows: "which process has the port (macOS: lsof -nP -iTCP:LOCAL_PORT)",
        }],
        remedy: &[
            Remedy {
                action: "Take another port",
                command: Some("ssh -L OTHER_PORT:TARGET:PORT USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "End the old tunnel (look first that it is yours)",
                command: Some("kill PID"),
                place: "client",
                risk: "what uses the tunnel loses it",
                undo: None,
            },
        ],
        look_alikes: &["remote-forward-failed", "forwarding-disabled"],
        refs: &["ssh(1) -L -D", "bind(2) EADDRINUSE"],
    },
];
