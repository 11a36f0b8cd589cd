//! What ssh, scp and sftp say without being asked: errors of each gate.

use super::{Channel, Reader, Stage, between, connect_error, lookup_error, noise};
use crate::catalog::causes::Gate;
use crate::probe::command::Program;

impl Reader<'_> {
    /// What is written without `-v` too.
    pub(super) fn plain(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        const OF_SCP: [&str; 3] = ["scp: ", "Sink: ", "Sending file modes: "];
        self.copying |= OF_SCP.iter().any(|p| line.starts_with(p));
        if line.starts_with("OpenSSH_") && line.contains("SSL") {
            let version = line.split(',').next().unwrap_or(line);
            if self.stage == Stage::Start && self.through.is_none() {
                self.see(Gate::Name, "client.version", version, "", line);
            }
        } else if let Some(rest) = line.strip_prefix("ssh: Could not resolve hostname ") {
            let (host, error) = rest.split_once(": ").unwrap_or((rest, ""));
            if self.hop.is_some() {
                self.jump_failed(line);
            } else {
                self.fail(Gate::Name, "name.lookup", lookup_error(error), host, line);
            }
        } else if let Some(rest) = line.strip_prefix("ssh: connect to host ") {
            let host = rest.split(' ').next().unwrap_or_default();
            let port = between(rest, "port ", ":").unwrap_or("22");
            let error = between(rest, ": ", "").unwrap_or_default();
            let known = self.out.iter().any(|o| {
                o.key == "tcp.connect" && o.value == connect_error(error) && o.value != "error"
            });
            if self.hop.is_some() {
                self.jump_failed(line);
            } else if known {
                self.broken = true;
            } else {
                self.connect_failed(host, port, error, line);
                self.broken = true;
            }
            self.reach(Stage::Connecting);
        } else if !self.configuration(line)
            && !self.exchange(line)
            && !self.host_key(line)
            && !self.authentication(line)
            && !self.session(line)
            && !noise(line)
        {
            self.other(line);
        }
    }

    /// The client's configuration and command line (readconf.c, ssh.c, sshconnect.c ssh_create_socket()).
    pub(super) fn configuration(&mut self, line: &str) -> bool {
        if self.stage == Stage::Connecting
            && let Some(rest) = line
                .strip_prefix("bind ")
                .or_else(|| line.strip_prefix("getaddrinfo: "))
            && (rest.ends_with("Cannot assign requested address")
                || rest.ends_with("Can't assign requested address")
                || rest.ends_with("Invalid argument"))
        {
            // BindAddress or BindInterface: this machine does not have that address.
            let about = rest.split(": ").next().unwrap_or_default().to_owned();
            self.fail(Gate::Name, "client.config", "error", &about, line);
            return true;
        }
        if let Some(name) = line
            .strip_prefix("getifaddrs: ")
            .and_then(|l| l.strip_suffix(": no suitable addresses"))
        {
            // BindInterface: there is no such interface, or it has no address of the family.
            self.fail(Gate::Name, "client.config", "error", name, line);
            return true;
        }
        if let Some(word) = unexpanded(line) {
            // Paths of keys are expanded late, on a connection that stands already.
            if self.stage <= Stage::Connected {
                self.fail(Gate::Name, "client.config", "error", word, line);
                return true;
            }
        }
        if let Some(path) = control_path(line) {
            self.fail(Gate::Name, "client.config", "error", path, line);
            return true;
        }
        if self.stage != Stage::Start {
            return false;
        }
        if let Some(host) = line
            .strip_prefix("ssh: Could not resolve host \"")
            .and_then(|l| l.strip_suffix('"'))
        {
            // CanonicalizeHostname, and no fallback to the usual lookup.
            self.fail(Gate::Name, "name.lookup", "not-canonical", host, line);
            return true;
        }
        if let Some(file) = line.strip_prefix("Bad owner or permissions on ") {
            self.fail(Gate::Name, "client.config", "permissions", file, line);
            return true;
        }
        if line.contains(": terminating, ") && line.contains("bad configuration option") {
            self.broken = true;
            return true;
        }
        let numbered = line.find(" line ").filter(|_| {
            !line.contains("Deprecated option") && !line.contains("Unsupported option")
        });
        if let Some(at) = numbered {
            let (file, rest) = line.split_at_checked(at).unwrap_or((line, ""));
            let number: String = rest
                .chars()
                .skip(" line ".len())
                .take_while(char::is_ascii_digit)
                .collect();
            let after = rest
                .get(" line ".len() + number.len()..)
                .unwrap_or_default();
            // `/bin/sh: line 1: exec: nc: not found`: a shell speaks so too, of the ProxyCommand or of a start-up file.
            let is_shells = after.starts_with(": exec: ")
                || after.ends_with(": command not found")
                || file.starts_with('-');
            if !number.is_empty() && after.starts_with([':', '.']) && !is_shells {
                let file = file.trim_end_matches(':');
                let about = format!("{file}:{number}");
                self.fail(Gate::Name, "client.config", "error", &about, line);
                return true;
            }
        }
        if line.starts_with("Cannot execute command-line and remote command") {
            self.fail(Gate::Name, "client.config", "error", "RemoteCommand", line);
            return true;
        }
        const ABOUT_CONFIG: &[&str] = &[
            "Can't open user config file ",
            "command-line: ",
            "jumphost loop via ",
            "Bad dynamic forwarding specification",
            "Bad local forwarding specification",
            "Bad remote forwarding specification",
            "Bad stdio forwarding specification",
            "Bad escape character",
            "Unknown cipher type",
            "Unknown mac type",
            "Bad key types",
            "unknown option -- ",
            "ssh: illegal option -- ",
            "Invalid -J argument",
            "Too many configuration",
            "Cannot specify -J with ProxyCommand",
            "Cannot fork into background without a command",
            // A % or $ in a path or command that ssh cannot fill in (misc.c vdollar_percent_expand()).
            "vdollar_percent_expand: ",
            "percent_dollar_expand: ",
            "percent_expand: ",
            "dollar_expand: ",
        ];
        const ABOUT_DESTINATION: &[&str] = &[
            "hostname contains invalid characters",
            "remote username contains invalid characters",
            "usage: ssh ",
            "usage: scp ",
            "usage: sftp ",
            "Bad port '",
        ];
        if ABOUT_CONFIG.iter().any(|p| line.starts_with(p)) {
            self.fail(Gate::Name, "client.config", "error", "", line);
            return true;
        }
        if ABOUT_DESTINATION.iter().any(|p| line.starts_with(p)) {
            self.fail(Gate::Name, "client.destination", "invalid", "", line);
            return true;
        }
        false
    }

    /// How the transport ended (kex.c, packet.c, sshconnect.c).
    pub(super) fn exchange(&mut self, line: &str) -> bool {
        let line = line
            .strip_prefix("ssh_exchange_identification: ")
            .or_else(|| line.strip_prefix("kex_exchange_identification: "))
            .unwrap_or(line);
        let (gate, end) = match self.stage {
            Stage::Start | Stage::Connecting | Stage::Connected => (Gate::Ident, "ident.end"),
            Stage::Ident => (Gate::Kex, "kex.end"),
            Stage::HostKey => (Gate::HostKey, "kex.end"),
            Stage::Auth => (Gate::Auth, "auth.end"),
            Stage::Session => (Gate::Session, "session.end"),
        };
        // Behind a proxy the two ends of the pipe are all that ssh sees.
        let broken_proxy = self.through.is_some() && self.stage <= Stage::Connecting;
        if line == "proxy dialer did not pass back a connection" {
            // ProxyUseFdpass, and the command copies data as other commands do.
            self.proxy_failed(line);
            return true;
        }
        if let Some(rest) = line.strip_prefix("Unable to negotiate with ") {
            let class = match rest {
                r if r.contains("no matching key exchange method") => "kex",
                r if r.contains("no matching host key type") => "host-key",
                r if r.contains("no matching cipher") => "cipher",
                r if r.contains("no matching MAC") => "mac",
                r if r.contains("no matching compression") => "compression",
                _ => return false,
            };
            let offer = between(rest, "Their offer: ", "").unwrap_or_default();
            self.fail(Gate::Kex, "kex.mismatch", class, offer, line);
            return true;
        }
        if line.starts_with("banner line contains invalid characters")
            || line.contains(": invalid format")
            || line.starts_with("Protocol major versions differ")
            || line.starts_with("Bad remote protocol version identification")
            || line.starts_with("client sent invalid protocol identifier")
        {
            self.fail(Gate::Ident, "ident.end", "other-protocol", "", line);
        } else if line.starts_with("Connection timed out during banner exchange")
            || line.starts_with("Operation timed out during banner exchange")
        {
            self.fail(Gate::Ident, "ident.end", "timeout", "", line);
        } else if line.starts_with("Corrupted MAC on input")
            || line.starts_with("Bad packet length ")
            || line.contains("message authentication code incorrect")
        {
            self.fail(gate, "kex.end", "corrupt", "", line);
        } else if line.contains("DH GEX group out of range") {
            self.fail(Gate::Kex, "kex.end", "group-out-of-range", "", line);
        } else if line.contains("Invalid key length") {
            self.fail(Gate::HostKey, "hostkey.check", "too-short", "", line);
        } else if let Some(rest) = line.strip_prefix("Received disconnect from ") {
            let too_many = rest.contains("Too many authentication failures");
            if rest.contains("no authentication methods enabled") {
                // auth2.c: it comes in answer to the first request of a proof, of which ssh says nothing.
                self.reach(Stage::Auth);
                self.fail(Gate::Auth, "auth.end", "disconnected", "", line);
                self.see(
                    Gate::Auth,
                    "auth.server-says",
                    "no authentication methods enabled",
                    "",
                    line,
                );
                return true;
            }
            let said = rest.splitn(3, ':').last().unwrap_or(rest).trim();
            if too_many {
                self.fail(Gate::Auth, "auth.end", "too-many", "", line);
            } else {
                let value = if end == "auth.end" {
                    "disconnected"
                } else {
                    "closed"
                };
                self.fail(gate, end, value, "", line);
                self.see(gate, "auth.server-says", said, "", line);
            }
        } else if line.starts_with("Connection closed by remote host") || {
            line.starts_with("Connection closed by ") && line.contains(" port ")
        } {
            if broken_proxy && line.contains("UNKNOWN") {
                self.proxy_failed(line);
            } else if !broken_proxy {
                self.end_once(gate, end, "closed", line);
            }
        } else if line.contains("Connection reset by peer")
            || (line.starts_with("Connection reset by ") && line.contains(" port "))
            || line.contains(": Software caused connection abort")
        {
            if broken_proxy {
                self.proxy_failed(line);
            } else {
                self.end_once(gate, end, "reset", line);
            }
        } else if line.contains("Broken pipe") && !line.starts_with("debug") {
            let value = if end == "session.end" {
                "broken-pipe"
            } else {
                "reset"
            };
            if broken_proxy {
                self.proxy_failed(line);
            } else {
                self.end_once(gate, end, value, line);
            }
        } else if line.starts_with("Connection to ") && line.ends_with(" timed out") {
            self.end_once(gate, end, "timeout", line);
        } else if line.starts_with("Disconnected from ") && line.contains(" port ") {
            self.broken = true;
        } else {
            return false;
        }
        true
    }

    /// ssh says twice how a connection ended; the first one knows best.
    pub(super) fn end_once(&mut self, gate: Gate, key: &'static str, value: &str, line: &str) {
        let known = self.broken
            && self
                .out
                .iter()
                .any(|o| o.key == key && o.value != "ok" || o.key == "kex.mismatch");
        if !known {
            self.fail(gate, key, value, "", line);
        }
    }

    pub(super) fn proxy_failed(&mut self, line: &str) {
        match self.through.clone() {
            Some((true, command)) => {
                let hop = self.hop.clone();
                let hop = hop
                    .unwrap_or_else(|| command.rsplit(' ').next().unwrap_or_default().to_owned());
                self.see(Gate::Tcp, "proxy.jump", "failed", &hop, line);
            }
            Some((false, command)) => {
                self.see(Gate::Tcp, "proxy.command", "failed", &command, line);
            }
            None => {}
        }
        self.broken = true;
    }

    /// The server's host key (sshconnect.c).
    pub(super) fn host_key(&mut self, line: &str) -> bool {
        let check = |value| ("hostkey.check", value);
        let (key, value) = if line.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            check("changed")
        } else if let Some(file) = line
            .strip_prefix("Host key ")
            .and_then(|l| l.split_once(" revoked by file "))
            .map(|(_, file)| file.to_owned())
        {
            // RevokedHostKeys
            self.reach(Stage::HostKey);
            self.fail(Gate::HostKey, "hostkey.check", "revoked", &file, line);
            return true;
        } else if let Some(file) = line
            .strip_prefix("Error checking host key ")
            .and_then(|l| l.split_once(" in revoked keys file "))
            .and_then(|(_, rest)| rest.split(": ").next())
            .map(str::to_owned)
        {
            // Without the list that RevokedHostKeys names ssh trusts nobody.
            self.reach(Stage::HostKey);
            self.fail(Gate::HostKey, "client.config", "error", &file, line);
            return true;
        } else if line == "KnownHostsCommand failed"
            || line.starts_with("KnownHostsCommand") && line.contains(" failed")
        {
            self.fail(
                Gate::HostKey,
                "client.config",
                "error",
                "KnownHostsCommand",
                line,
            );
            return true;
        } else if line.contains("REVOKED HOST KEY DETECTED") || line.contains("marked as revoked") {
            check("revoked")
        } else if line.starts_with("No ") && line.contains(" host key is known for ")
            || line.contains("can't be established.")
        {
            check("unknown")
        } else if line.starts_with("Host key verification failed") {
            check("failed")
        } else if line.contains("differs from the key for the IP address")
            || line.contains("POSSIBLE DNS SPOOFING DETECTED")
        {
            self.see(
                Gate::HostKey,
                "hostkey.check",
                "differs-by-address",
                "",
                line,
            );
            return true;
        } else if line.starts_with("Certificate invalid: ")
            || line.contains("Host certificate") && line.contains("invalid")
        {
            check("certificate-invalid")
        } else if line.starts_with("Offending ") && line.contains(" in ") {
            let about = between(line, " in ", "").unwrap_or_default().to_owned();
            for o in &mut self.out {
                if o.key == "hostkey.check" && o.value == "changed" && o.about.is_empty() {
                    o.about = about.clone();
                }
            }
            return true;
        } else {
            return false;
        };
        self.reach(Stage::HostKey);
        self.fail(Gate::HostKey, key, value, "", line);
        true
    }

    /// Keys, passwords and the server's verdict on them (sshconnect2.c, authfile.c).
    pub(super) fn authentication(&mut self, line: &str) -> bool {
        let key = |s: &mut Self, value: &str, name: &str| {
            s.client_keys = true;
            s.see(Gate::Auth, "auth.key", value, name, line);
        };
        if let Some(rest) = line.strip_prefix("Permissions ")
            && rest.contains("are too open")
        {
            let name = between(rest, "'", "'").unwrap_or_default().to_owned();
            self.accepted = None;
            key(self, "permissions", &name);
        } else if let Some(rest) = line.strip_prefix("Load key \"") {
            let (name, error) = rest.split_once("\": ").unwrap_or((rest, ""));
            let name = name.to_owned();
            let value = match error {
                e if e.contains("bad permissions") || e.contains("Permission denied") => {
                    "permissions"
                }
                e if e.contains("passphrase") => "passphrase",
                e if e.contains("No such file") => "missing",
                _ => "invalid",
            };
            self.accepted = None;
            let known = self
                .out
                .iter()
                .any(|o| o.key == "auth.key" && o.about == name && o.value == value);
            if !known {
                key(self, value, &name);
            }
        } else if let Some(rest) = line
            .strip_prefix("no such identity: ")
            .or_else(|| line.strip_prefix("Warning: Identity file "))
        {
            let (name, error) = rest
                .split_once(" not accessible: ")
                .or_else(|| rest.split_once(": "))
                .unwrap_or((rest, ""));
            let value = if error.contains("Permission denied") {
                "permissions"
            } else {
                "missing"
            };
            let name = name.to_owned();
            self.see(Gate::Auth, "auth.key", value, &name, line);
        } else if line.contains("no mutual signature") {
            let name = self.offering.take().unwrap_or_default();
            key(self, "no-signature-algorithm", &name);
        } else if line.contains("signing failed for ") || line.contains("agent refused operation") {
            let name = between(line, "\"", "\"").unwrap_or_default().to_owned();
            let value =
                if line.contains("agent refused operation") || line.contains("communication") {
                    "agent-refused"
                } else if line.contains("passphrase") {
                    "passphrase"
                } else {
                    "sign-failed"
                };
            self.accepted = None;
            key(self, value, &name);
        } else if line.contains("refusing RSA key: Invalid key length") || {
            line.contains("Invalid key length") && self.stage == Stage::Auth
        } {
            key(self, "too-short", "");
        } else if line.contains("do not match") && line.contains("private") {
            let name = between(line, "\"", "\"").unwrap_or_default().to_owned();
            key(self, "mismatch", &name);
        } else if line.contains("with partial success") {
            let method = between(line, "\"", "\"").unwrap_or(&self.method).to_owned();
            self.accepted = None;
            // The list of methods that follows does not refuse what was typed.
            self.prompted = false;
            self.see(Gate::Auth, "auth.method", "partial", &method, line);
        } else if let Some(rest) = line.strip_prefix("Authenticated to ") {
            let host = rest.split(' ').next().unwrap_or_default();
            let method = between(line, "using \"", "\"")
                .unwrap_or_default()
                .to_owned();
            if self.hop.is_some() && !rest.contains("(via proxy)") && !self.is_target(host) {
                return true;
            }
            self.hop = None;
            self.authenticated(&method, line);
        } else if line.starts_with("Permission denied, please try again") {
            let value = if self.no_terminal {
                "not-possible"
            } else {
                "refused"
            };
            let said = self
                .out
                .iter()
                .any(|o| o.key == "auth.password" && o.value == value);
            if !said {
                self.see(Gate::Auth, "auth.password", value, "", line);
            }
            self.reach(Stage::Auth);
        } else if line.contains("Permission denied (") && line.ends_with(").") {
            if self.hop.is_some() {
                self.jump_failed(line);
                return true;
            }
            let list = between(line, "Permission denied (", ").").unwrap_or_default();
            let list = list.to_owned();
            self.refused(line);
            self.reach(Stage::Auth);
            self.see(Gate::Auth, "auth.methods", &list, "", line);
            self.fail(Gate::Auth, "auth.end", "denied", "", line);
        } else if line.starts_with("@@@@@")
            || line.starts_with("@ ")
            || line.starts_with("It is required that your private key files")
            || line.starts_with("This private key will be ignored")
            || line.starts_with("Too many authentication failures")
        {
            // Part of a message whose other lines are read.
        } else {
            return false;
        }
        true
    }

    /// Channels, forwardings, file transfers (clientloop.c, channels.c, mux.c, sftp-client.c).
    pub(super) fn session(&mut self, line: &str) -> bool {
        let bare = line
            .strip_prefix("scp: ")
            .or_else(|| line.strip_prefix("sftp: "))
            .unwrap_or(line);
        let lower = bare.to_ascii_lowercase();
        if line.starts_with("channel ") && line.contains(": open failed: ") {
            let reason = between(line, ": open failed: ", "").unwrap_or_default();
            // A session is never connected to anywhere: that reason is a tunnel's.
            let tunnel = reason.starts_with("connect failed: ") && !reason.ends_with("open failed");
            let forward = tunnel
                || self.channel == Channel::Forward
                || self.command.is_some_and(|c| c.stdio_forward.is_some());
            if forward {
                let about = self
                    .command
                    .and_then(|c| c.stdio_forward.clone())
                    .unwrap_or_default();
                self.fail(
                    Gate::Session,
                    "forward.end",
                    forward_end(reason),
                    &about,
                    line,
                );
            } else {
                self.fail(Gate::Session, "session.open", "refused", "", line);
            }
        } else if line.starts_with("stdio forwarding failed") {
            // Only now it shows that the channel which was refused was no session (ssh -W of a jump host).
            if let Some(open) = self
                .out
                .iter_mut()
                .rfind(|o| o.key == "session.open" && o.value == "refused")
            {
                let reason = between(&open.text, ": open failed: ", "").unwrap_or_default();
                open.value = forward_end(reason).to_owned();
                open.key = "forward.end".to_owned();
            }
            self.fail(Gate::Session, "forward.stdio", "failed", "", line);
        } else if line.contains("remote port forwarding failed for listen") {
            let about = line.rsplit(' ').next().unwrap_or_default().to_owned();
            self.fail(Gate::Session, "forward.end", "remote-failed", &about, line);
        } else if line.starts_with("bind [") && line.contains("Address already in use")
            || line.starts_with("bind [") && line.contains("Permission denied")
            || line.starts_with("bind [") && line.contains("assign requested address")
            || line.starts_with("channel_setup_fwd_listener")
            || line.starts_with("Could not request local forwarding")
            || line.starts_with("Privileged ports can only be forwarded")
        {
            let known = self.out.iter().any(|o| o.value == "local-failed");
            if !known {
                let about = between(line, "bind ", ": ").unwrap_or_default().to_owned();
                self.fail(Gate::Session, "forward.end", "local-failed", &about, line);
            }
        } else if line.starts_with("X11 forwarding request failed on channel ") {
            self.see(Gate::Session, "forward.end", "x11-refused", "X11", line);
        } else if line.contains(" request failed on channel ") {
            let value = match line.split(' ').next() {
                Some("PTY") => "pty-refused",
                Some("exec") => "exec-refused",
                Some("shell") => "shell-refused",
                Some("subsystem") => "subsystem-refused",
                _ => return false,
            };
            self.fail(Gate::Session, "session.request", value, "", line);
        } else if line.starts_with("Connection to ") && line.ends_with(" closed by remote host.") {
            self.fail(Gate::Session, "session.end", "closed", "", line);
        } else if line.starts_with("Timeout, server ") {
            self.fail(
                Gate::Session,
                "session.alive",
                "server-not-responding",
                "",
                line,
            );
            self.fail(Gate::Session, "session.end", "timeout", "", line);
        } else if line.contains("session request failed: Session open refused by peer") {
            self.fail(Gate::Session, "mux.socket", "refused", "", line);
        } else if line.contains("too long for Unix domain socket") {
            let about = between(line, "\"", "\"").unwrap_or_default().to_owned();
            self.fail(Gate::Session, "mux.socket", "too-long", &about, line);
        } else if line.starts_with("Control socket connect(") {
            self.stale(line);
        } else if line.starts_with("mux_client_") {
            let path = self.mux.clone().unwrap_or_default();
            self.fail(Gate::Session, "mux.socket", "stale", &path, line);
        } else if lower.contains("no space left on device") {
            self.says_at_work("no-space", line);
        } else if lower.contains("disk quota exceeded") {
            self.says_at_work("quota", line);
        } else if self.copies() && lower.ends_with("read-only file system") {
            self.says_at_work("read-only", line);
        } else if self.copies()
            && (lower.contains("dest open ") || lower.starts_with("remote open("))
            && lower.ends_with("failure")
        {
            // SFTP has no word for it.
            self.says_at_work("open-failure", line);
        } else if bare.starts_with("Received message too long")
            || lower.contains("is your shell clean")
            || lower.contains("ensure the remote shell produces no output")
            || lower.contains("protocol error: unexpected")
        {
            self.says_at_work("not-clean", line);
        } else if self.copies()
            && (lower.starts_with("write remote ")
                || lower.starts_with("couldn't write to remote file")
                || lower.starts_with("close remote:"))
            && lower.ends_with("failure")
        {
            self.says_at_work("write-failure", line);
        } else if self.copies() && lower.ends_with("permission denied") {
            self.says_at_work("permission-denied", line);
        } else if self.copies() && lower.ends_with("no such file or directory") {
            self.says_at_work("no-such-file", line);
        } else if lower.contains("this service allows sftp connections only") {
            self.says_at_work("sftp-only", line);
        } else if line.starts_with("Could not chdir to home directory") {
            let about = between(line, "directory ", ":")
                .unwrap_or_default()
                .to_owned();
            self.see(Gate::Session, "session.says", "no-home", &about, line);
        } else if self.proxy_missing(line) {
            let command = self.through.clone().map(|(_, c)| c).unwrap_or_default();
            self.see(Gate::Tcp, "proxy.command", "missing", &command, line);
            self.broken = true;
        } else {
            return false;
        }
        true
    }

    pub(super) fn says_at_work(&mut self, value: &str, line: &str) {
        self.fail(Gate::Session, "session.says", value, "", line);
    }

    pub(super) fn copies(&self) -> bool {
        self.command.is_some_and(|c| c.program != Program::Ssh)
    }

    /// The shell says that the proxy command does not exist.
    pub(super) fn proxy_missing(&self, line: &str) -> bool {
        self.through.as_ref().is_some_and(|(jump, _)| !jump)
            && self.stage <= Stage::Connecting
            && (line.ends_with("not found") || line.ends_with("No such file or directory"))
    }

    /// What ssh did not write: the server's banner before the login, the remote side's words after it.
    pub(super) fn other(&mut self, line: &str) {
        if self.says.len() < 200 {
            self.says.push((self.line, line.to_owned()));
        }
    }
}

/// The token or variable that ssh cannot fill in, for which it gives up (misc.c vdollar_percent_expand(), percent_expand()).
/// Empty in the line that only says that it gave up.
fn unexpanded(line: &str) -> Option<&str> {
    if line == "percent_dollar_expand: failed" || line == "invalid environment variable expansion" {
        return Some("");
    }
    let rest = [
        "vdollar_percent_expand: ",
        "percent_expand: ",
        "dollar_expand: ",
    ]
    .into_iter()
    .find_map(|p| line.strip_prefix(p))?;
    if let Some(key) = rest.strip_prefix("unknown key ") {
        return Some(key);
    }
    if let Some(variable) = rest.strip_prefix("env var ") {
        return variable.strip_suffix(" has no value");
    }
    [
        "environment variable '",
        "invalid format",
        "string too long",
    ]
    .iter()
    .any(|p| rest.starts_with(p))
    .then_some("")
}

/// The ControlPath that ssh could not make its socket at, for which it gives up the session (mux.c muxserver_listen()).
/// Other sockets that a user asks for are made under their own names, this one under a name of chance first.
fn control_path(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("unix_listener: cannot bind to path ")?;
    let (path, error) = rest.rsplit_once(": ")?;
    let (path, chance) = path.rsplit_once('.')?;
    let by_chance = chance.len() == 16 && chance.bytes().all(|b| b.is_ascii_alphanumeric());
    // One that is taken is passed over.
    (by_chance && error != "Address already in use").then_some(path)
}

/// How a tunnel ended, from the reason that the server gave for refusing its channel.
fn forward_end(reason: &str) -> &'static str {
    if reason.starts_with("administratively prohibited") {
        "prohibited"
    } else if reason.starts_with("connect failed") {
        "connect-failed"
    } else {
        "unknown-channel"
    }
}
