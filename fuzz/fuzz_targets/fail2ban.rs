//! Any text is fail2ban's configuration: never a panic, never without end, and what comes out is bounded.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::config::Files;
use sshwhy_core::import::fail2ban;

/// Two files, of which the second is named by anything.
struct Text<'a>(&'a str, &'a str);

impl Files for Text<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "/f/jail.local" => Ok(self.0.to_owned()),
            "/f/jail.conf" => Err(String::new()),
            _ => Ok(self.1.to_owned()),
        }
    }

    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (one, two) = text.split_once("\u{1}").unwrap_or((&text, ""));
    let got = fail2ban::read(&Text(one, two), "/f");
    assert!(got.files.len() <= 500 && got.left.len() <= 1000);
    for jail in &got.jails {
        let words = jail.ignoreip.iter().chain(&jail.port).chain(&jail.logpath);
        assert!(words.map(String::len).sum::<usize>() <= 4 * (64 << 10) + data.len());
    }
    for line in text.lines() {
        let _ = fail2ban::seconds(line);
    }
});
