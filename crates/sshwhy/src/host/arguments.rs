//! What was typed when sshd was started: settings on its command line come before every file (sshd(8)).
//!
//! The words are those of the process's title, so a value with blanks in it cannot be told from two words; it is read up to
//! the next option.

use super::machine::Machine;
use sshwhy_core::config::Files;

/// Options of sshd(8) that take a value.
const WITH_VALUE: &str = "CcEfghkbopTu";

/// The options of a command line or title: letter and value.
fn options(title: &str) -> Vec<(char, String)> {
    let line = title.split(" [listener]").next().unwrap_or_default();
    let line = line.strip_prefix("sshd: ").unwrap_or(line);
    let mut out: Vec<(char, String)> = Vec::new();
    // The value of the last option goes on until the next one begins.
    let mut open = false;
    for word in line.split_ascii_whitespace().skip(1) {
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            if let (true, Some((_, value))) = (open, out.last_mut()) {
                if !value.is_empty() {
                    value.push(' ');
                }
                value.push_str(word);
            }
            continue;
        };
        open = false;
        for (i, letter) in letters.char_indices() {
            let takes = WITH_VALUE.contains(letter);
            let value = match takes {
                true => letters.get(i + letter.len_utf8()..).unwrap_or_default(),
                false => "",
            };
            out.push((letter, value.to_owned()));
            if takes {
                open = true;
                break;
            }
        }
    }
    out
}

/// The configuration file that was named.
pub(super) fn file(title: &str) -> Option<String> {
    named(title, 'f')
}

/// The file to which it logs in syslog's place.
pub(super) fn log_file(title: &str) -> Option<String> {
    named(title, 'E')
}

fn named(title: &str, letter: char) -> Option<String> {
    let found = options(title).into_iter().rev().find(|(l, _)| *l == letter);
    let name = found?.1.split(' ').next()?.to_owned();
    (!name.is_empty()).then_some(name)
}

/// The settings that were typed, as lines of sshd_config.
pub(super) fn settings(title: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (letter, value) in options(title) {
        let first = value.split(' ').next().unwrap_or_default();
        match letter {
            'o' => out.push(value.replacen('=', " ", 1)),
            'p' => out.push(format!("Port {first}")),
            '4' => out.push("AddressFamily inet".to_owned()),
            '6' => out.push("AddressFamily inet6".to_owned()),
            'g' => out.push(format!("LoginGraceTime {first}")),
            'h' => out.push(format!("HostKey {first}")),
            'c' => out.push(format!("HostCertificate {first}")),
            _ => {}
        }
    }
    out
}

/// The machine's files, and one more: what was typed, which then goes on with the configuration file.
pub(super) struct WithArguments<'a> {
    machine: &'a Machine,
    pub name: String,
    text: String,
}

impl<'a> WithArguments<'a> {
    pub fn new(machine: &'a Machine, pid: u32, settings: &[String], file: &str) -> Self {
        WithArguments {
            machine,
            name: format!("command line of sshd (process {pid})"),
            text: format!("{}\nInclude {file}\n", settings.join("\n")),
        }
    }
}

impl Files for WithArguments<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        match path == self.name {
            true => Ok(self.text.clone()),
            false => Files::read(self.machine, path),
        }
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        Files::glob(self.machine, pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        let title = "sshd: /usr/sbin/sshd -D -o AllowUsers=bob root -4p 2022 -f /etc/ssh/b -oUsePAM=no [listener] 0 of 10-100 startups";
        assert_eq!(
            settings(title),
            [
                "AllowUsers bob root",
                "AddressFamily inet",
                "Port 2022",
                "UsePAM no"
            ]
        );
        assert_eq!(file(title).as_deref(), Some("/etc/ssh/b"));
        let plain = "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups";
        assert!(settings(plain).is_empty());
        assert_eq!(file(plain), None);
        assert_eq!(
            log_file("/usr/sbin/sshd -E/var/log/x -e").as_deref(),
            Some("/var/log/x")
        );
        assert_eq!(file("/usr/sbin/sshd -f"), None);
        assert!(settings("").is_empty());
    }
}
