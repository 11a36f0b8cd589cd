//! What was typed after `ssh`, `scp` or `sftp`: options, destination, command.
//!
//! Follows getopt(3) as those programs call it (ssh.c, scp.c, sftp.c of OpenSSH 9.2): flags may be joined (`-4v`), an
//! argument may hang on its option (`-p2222`), options may stand after ssh's destination, and `--` ends them.

/// Which program was typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Program {
    #[default]
    Ssh,
    Scp,
    Sftp,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::Ssh => "ssh",
            Program::Scp => "scp",
            Program::Sftp => "sftp",
        }
    }

    /// The option letters that take an argument.
    fn with_argument(self) -> &'static str {
        match self {
            Program::Ssh => "bceilmopBDEFIJLOPQRSwW",
            Program::Scp => "cDFiJlMoPSX",
            Program::Sftp => "bBcDFiJloPRsSX",
        }
    }

    /// The letters that take none.
    fn flags(self) -> &'static str {
        match self {
            Program::Ssh => "1246afgknqstvxyACGKMNTVXY",
            Program::Scp => "12346ABCdfOpqRrTtv",
            Program::Sftp => "1246AafhNpqrvC",
        }
    }
}

/// A command line, understood.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Command {
    pub program: Program,
    /// As typed, or from `ssh://`: what `-l`, `-o User=` and the destination say (the first of them wins, as with ssh).
    pub user: Option<String>,
    /// As typed, before any HostName.
    pub host: String,
    /// `-p` (`-P` of scp and sftp) or `ssh://…:PORT`.
    pub port: Option<u16>,
    /// `-o KEYWORD=VALUE` and the options that are short for one, in order: (keyword in small letters, value).
    pub settings: Vec<(String, String)>,
    /// `-F`
    pub config_file: Option<String>,
    /// `-i`, in order.
    pub identities: Vec<String>,
    /// `-J`
    pub jump: Option<String>,
    /// `-4`, `-6`
    pub family: Option<u8>,
    /// `-W`
    pub stdio_forward: Option<String>,
    /// `-L`, `-R`, `-D` with their letter.
    pub forwards: Vec<(char, String)>,
    /// `-s`, or sftp and scp, which speak to one.
    pub subsystem: bool,
    /// `-N`: no command and no shell.
    pub no_session: bool,
    /// `-t` counts up, `-T` is -1.
    pub tty: i8,
    /// The remote command, words joined with blanks as ssh joins them; empty for a shell.
    pub remote: String,
    /// What an `ssh -G` needs to resolve the same configuration.
    pub ssh_arguments: Vec<String>,
}

impl Command {
    /// The last setting of that keyword that counts: the first one given (ssh's rule).
    pub fn setting(&self, keyword: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(k, _)| k == keyword)
            .map(|(_, v)| v.as_str())
    }
}

/// Parses the words of a command line. The first word may be `ssh`, `scp` or `sftp` (also with a path before it); without
/// any it is ssh's arguments. The error is one line for the user.
pub fn parse(words: &[String]) -> Result<Command, String> {
    let mut command = Command::default();
    let mut rest = words;
    if let Some(first) = words.first() {
        let base = first.rsplit(['/', '\\']).next().unwrap_or(first);
        let base = base.strip_suffix(".exe").unwrap_or(base);
        let program = match base {
            "ssh" => Some(Program::Ssh),
            "scp" => Some(Program::Scp),
            "sftp" => Some(Program::Sftp),
            _ => None,
        };
        if let Some(program) = program {
            command.program = program;
            rest = words.get(1..).unwrap_or_default();
        }
    }
    let mut operands: Vec<&String> = Vec::new();
    let mut options_over = false;
    let mut at = 0;
    while let Some(word) = rest.get(at) {
        at += 1;
        let is_option = !options_over && word.len() > 1 && word.starts_with('-');
        if !is_option {
            operands.push(word);
            match command.program {
                // ssh reads options once more after the destination, then everything is the command.
                Program::Ssh if operands.len() > 1 => {
                    operands.extend(rest.get(at..).unwrap_or_default());
                    break;
                }
                _ => continue,
            }
        }
        if word == "--" {
            options_over = true;
            continue;
        }
        let letters: Vec<char> = word.chars().skip(1).collect();
        let mut i = 0;
        while let Some(&letter) = letters.get(i) {
            i += 1;
            if command.program.with_argument().contains(letter) {
                let joined: String = letters.get(i..).unwrap_or_default().iter().collect();
                let value = if joined.is_empty() {
                    at += 1;
                    rest.get(at - 1)
                        .cloned()
                        .ok_or_else(|| format!("-{letter} needs an argument"))?
                } else {
                    joined
                };
                command.option(letter, &value)?;
                break;
            }
            if !command.program.flags().contains(letter) {
                let name = command.program.name();
                return Err(format!("{name} has no option -{letter}"));
            }
            command.flag(letter);
        }
    }
    command.operands(&operands)?;
    Ok(command)
}

impl Command {
    fn set(&mut self, keyword: &str, value: &str) {
        self.settings
            .push((keyword.to_ascii_lowercase(), value.to_owned()));
    }

    fn flag(&mut self, letter: char) {
        let ssh = self.program == Program::Ssh;
        match letter {
            '4' | '6' => {
                self.family = Some(if letter == '4' { 4 } else { 6 });
                self.set(
                    "addressfamily",
                    if letter == '4' { "inet" } else { "inet6" },
                );
                self.ssh_arguments.push(format!("-{letter}"));
            }
            'C' => self.set("compression", "yes"),
            't' if ssh => self.tty += 1,
            'T' if ssh => self.tty = -1,
            's' if ssh => self.subsystem = true,
            'N' if ssh => self.no_session = true,
            'M' if ssh => self.set("controlmaster", "yes"),
            _ => {}
        }
    }

    fn option(&mut self, letter: char, value: &str) -> Result<(), String> {
        let ssh = self.program == Program::Ssh;
        let mut pass = |flag: &str| {
            self.ssh_arguments.push(flag.to_owned());
            self.ssh_arguments.push(value.to_owned());
        };
        match letter {
            'o' => {
                pass("-o");
                let (key, value) = value
                    .split_once(['=', ' ', '\t'])
                    .ok_or_else(|| format!("-o {value} has no value"))?;
                let key = key.trim().to_ascii_lowercase();
                let value = value.trim().trim_start_matches('=').trim();
                if key == "port" {
                    self.port = self.port.or(value.parse().ok());
                }
                if key == "user" && self.user.is_none() {
                    self.user = Some(value.to_owned());
                }
                if key == "identityfile" {
                    self.identities.push(value.to_owned());
                }
                if key == "proxyjump" && self.jump.is_none() {
                    self.jump = Some(value.to_owned());
                }
                self.set(&key, value);
            }
            'F' => {
                pass("-F");
                self.config_file = Some(value.to_owned());
            }
            'i' => {
                pass("-i");
                self.identities.push(value.to_owned());
            }
            'J' => {
                pass("-J");
                self.jump = Some(value.to_owned());
            }
            'l' if ssh => {
                pass("-l");
                self.user.get_or_insert_with(|| value.to_owned());
            }
            'p' if ssh => {
                pass("-p");
                self.port = Some(port(value)?);
            }
            'P' if !ssh => {
                self.ssh_arguments.push("-p".to_owned());
                self.ssh_arguments.push(value.to_owned());
                self.port = Some(port(value)?);
            }
            'c' => {
                pass("-c");
                self.set("ciphers", value);
            }
            'm' if ssh => {
                pass("-m");
                self.set("macs", value);
            }
            'S' if ssh => self.set("controlpath", value),
            'W' if ssh => self.stdio_forward = Some(value.to_owned()),
            'L' | 'R' | 'D' if ssh => self.forwards.push((letter, value.to_owned())),
            _ => {}
        }
        Ok(())
    }

    fn operands(&mut self, operands: &[&String]) -> Result<(), String> {
        match self.program {
            Program::Ssh => {
                let destination = operands.first().ok_or("no host given")?;
                self.destination(destination)?;
                let words: Vec<&str> = operands.iter().skip(1).map(|w| w.as_str()).collect();
                self.remote = words.join(" ");
            }
            Program::Sftp => {
                self.subsystem = true;
                let destination = operands.first().ok_or("no host given")?;
                let host = remote_part(destination).map_or(destination.as_str(), |(host, _)| host);
                self.destination(host)?;
            }
            Program::Scp => {
                self.subsystem = true;
                let remote = operands
                    .iter()
                    .find_map(|o| remote_part(o).map(|(host, _)| host.to_owned()))
                    .ok_or("scp without a remote side (host:path)")?;
                self.destination(&remote)?;
            }
        }
        self.ssh_arguments.push("--".to_owned());
        self.ssh_arguments.push(self.host.clone());
        if let Some(user) = self.user.clone() {
            let at = self.ssh_arguments.len().saturating_sub(2);
            self.ssh_arguments.splice(at..at, ["-l".to_owned(), user]);
        }
        Ok(())
    }

    /// `[user@]host`, `ssh://[user@]host[:port]`.
    fn destination(&mut self, text: &str) -> Result<(), String> {
        let scheme = ["ssh://", "scp://", "sftp://"]
            .into_iter()
            .find_map(|s| text.strip_prefix(s));
        let rest = match scheme {
            Some(rest) => rest.split(['/']).next().unwrap_or(rest),
            None => text,
        };
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        if let Some(user) = user {
            // `ssh://user;fingerprint=…@host` (draft-ietf-secsh-scp-sftp-ssh-uri)
            let user = user.split(';').next().unwrap_or(user);
            self.user.get_or_insert_with(|| user.to_owned());
        }
        let mut host = host;
        if let (true, Some((h, p))) = (scheme.is_some(), host.rsplit_once(':'))
            && (!h.contains(':') || h.ends_with(']'))
        {
            self.port = Some(port(p)?);
            host = h;
        }
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() {
            return Err("no host given".to_owned());
        }
        self.host = host.to_owned();
        if let (Some(p), true) = (self.port, scheme.is_some()) {
            self.ssh_arguments.push("-p".to_owned());
            self.ssh_arguments.push(p.to_string());
        }
        Ok(())
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse::<u16>()
        .ok()
        .filter(|p| *p != 0)
        .ok_or_else(|| format!("{text} is no port"))
}

/// The two parts of `host:path`, `[2001:db8::1]:path` or a URL; `None` for a local file (a slash before the colon).
fn remote_part(operand: &str) -> Option<(&str, &str)> {
    if operand.starts_with("scp://") || operand.starts_with("sftp://") {
        return Some((operand, ""));
    }
    let after_user = operand.find('@').map_or(0, |at| at + 1);
    let tail = operand.get(after_user..)?;
    let colon = if tail.starts_with('[') {
        after_user + tail.find("]:")? + 1
    } else {
        operand.find(':')?
    };
    let (host, path) = operand.split_at_checked(colon)?;
    (!host.is_empty() && !host.contains('/')).then(|| (host, path.strip_prefix(':').unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn parsed(text: &str) -> Command {
        parse(&words(text)).unwrap()
    }

    #[test]
    fn what_people_type() {
        let c = parsed("ssh -o BatchMode=yes alice@server.example echo hello -n");
        assert_eq!(c.user.as_deref(), Some("alice"));
        assert_eq!(c.host, "server.example");
        assert_eq!(c.remote, "echo hello -n");
        assert_eq!(c.setting("batchmode"), Some("yes"));
        assert_eq!(
            c.ssh_arguments,
            words("-o BatchMode=yes -l alice -- server.example")
        );

        let c = parsed("-4vp2222 -lbob 192.0.2.7 -i ~/.ssh/k uptime");
        assert_eq!((c.port, c.family), (Some(2222), Some(4)));
        assert_eq!(c.user.as_deref(), Some("bob"));
        assert_eq!(c.identities, ["~/.ssh/k"], "an option after the host");
        assert_eq!(c.remote, "uptime");

        let c = parsed("/usr/bin/ssh -W 127.0.0.1:22 -N ssh://eve@[2001:db8::1]:2200/");
        assert_eq!(c.host, "2001:db8::1");
        assert_eq!((c.port, c.no_session), (Some(2200), true));
        assert_eq!(c.stdio_forward.as_deref(), Some("127.0.0.1:22"));

        let c = parsed("ssh -J a,b -L 1:x:2 -D 9 -tt host.example");
        assert_eq!(c.jump.as_deref(), Some("a,b"));
        assert_eq!(c.forwards.len(), 2);
        assert_eq!(c.tty, 2);
        assert_eq!(c.user, None);
    }

    #[test]
    fn copies_name_their_remote_side() {
        let c = parsed("scp -P 2022 -r ./a:b big.dat alice@server.example:upload.dat");
        assert_eq!(c.program, Program::Scp);
        assert_eq!((c.host.as_str(), c.port), ("server.example", Some(2022)));
        let c = parsed("scp [2001:db8::1]:f .");
        assert_eq!(c.host, "2001:db8::1");
        let c = parsed("sftp -b /dev/null alice@server.example");
        assert_eq!(c.program, Program::Sftp);
        assert_eq!(c.host, "server.example");
        let c = parsed("sftp sftp://bob@server.example:23/dir");
        assert_eq!((c.host.as_str(), c.port), ("server.example", Some(23)));
        assert!(parse(&words("scp a b")).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for bad in [
            "",
            "ssh",
            "ssh -p",
            "ssh -p x host",
            "ssh -p 0 host",
            "ssh -Z host",
            "ssh user@",
            "ssh -o Nothing host",
        ] {
            assert!(parse(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_setting_wins() {
        let c = parsed("ssh -o Port=1 -o port=2 -oUser=a -o User=b h");
        assert_eq!(c.setting("port"), Some("1"));
        assert_eq!(c.port, Some(1));
        assert_eq!(c.user.as_deref(), Some("a"));
    }
}
