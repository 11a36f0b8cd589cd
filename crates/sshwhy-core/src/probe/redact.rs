//! Names and addresses out of observations, so that an answer can be pasted in public.
//!
//! Done before judging, so that findings never hold what must not be shown. The same name becomes the same word
//! everywhere; documentation and loopback addresses say nothing about anybody and stay.

use crate::diagnose::Case;
use crate::observation::Observation;
use std::net::IpAddr;

/// What was replaced, by what.
#[derive(Debug, Default)]
pub struct Redactor {
    words: Vec<(String, String)>,
    addrs: Vec<IpAddr>,
}

impl Redactor {
    /// Replaces this whole word (a user, a host) wherever it stands. Empty words and `root` say nothing.
    pub fn hide(&mut self, word: &str, replacement: &str) {
        if word.len() > 1 && word != "root" && word.parse::<IpAddr>().is_err() {
            self.words.push((word.to_owned(), replacement.to_owned()));
            // Longest first, so that a host's name goes before the user name in it.
            self.words.sort_by_key(|(w, _)| std::cmp::Reverse(w.len()));
        }
    }

    pub fn case(&mut self, case: &mut Case) {
        let fields = [
            &mut case.user,
            &mut case.host,
            &mut case.addr,
            &mut case.client_addr,
        ];
        for text in fields.into_iter().flatten() {
            *text = self.text(text);
        }
    }

    pub fn observation(&mut self, o: &mut Observation) {
        o.about = self.text(&o.about);
        o.text = self.text(&o.text);
        o.value = self.text(&o.value);
        o.source = self.text(&o.source);
    }

    pub fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = ' ';
        while let Some(c) = rest.chars().next() {
            let at_word = !is_name(before);
            let word = if at_word {
                self.words
                    .iter()
                    .find(|(w, _)| {
                        rest.strip_prefix(w.as_str())
                            .is_some_and(|after| !after.starts_with(is_name))
                    })
                    .cloned()
            } else {
                None
            };
            if let Some((word, replacement)) = word {
                out.push_str(&replacement);
                before = 'x';
                rest = rest.get(word.len()..).unwrap_or_default();
                continue;
            }
            if at_word && (c.is_ascii_hexdigit() || c == ':') {
                let len = rest
                    .find(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':'))
                    .unwrap_or(rest.len());
                let token = rest.get(..len).unwrap_or_default();
                // `192.0.2.7:22`, `192.0.2.7.`: the longest part that is an address.
                let found = (2..=token.len()).rev().find_map(|n| {
                    let ip = token.get(..n)?.parse::<IpAddr>().ok()?;
                    Some((n, ip))
                });
                if let Some((n, ip)) = found
                    && !harmless(ip)
                {
                    let index = match self.addrs.iter().position(|a| *a == ip) {
                        Some(i) => i,
                        None => {
                            self.addrs.push(ip);
                            self.addrs.len() - 1
                        }
                    };
                    out.push_str(&format!("ADDR{}", index + 1));
                    before = 'x';
                    rest = rest.get(n..).unwrap_or_default();
                    continue;
                }
            }
            if let Some(after) = rest.strip_prefix("SHA256:") {
                let len = after
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '/'))
                    .unwrap_or(after.len());
                out.push_str("SHA256:(hidden)");
                before = ')';
                rest = after.get(len..).unwrap_or_default();
                continue;
            }
            out.push(c);
            before = c;
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        out
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '-' || c == '_'
}

fn harmless(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_documentation(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unspecified() || ip.segments().starts_with(&[0x2001, 0xdb8])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_and_addresses_go() {
        let mut r = Redactor::default();
        r.hide("alice", "USER");
        r.hide("alice.example.org", "HOST");
        r.hide("root", "USER");
        assert_eq!(
            r.text("alice@alice.example.org: /home/alice/.ssh, malice and alices stay"),
            "USER@HOST: /home/USER/.ssh, malice and alices stay"
        );
        assert_eq!(
            r.text("to 10.1.2.3:22, then 10.9.9.9."),
            "to ADDR1:22, then ADDR2."
        );
        assert_eq!(
            r.text("[fd66:1::2]:22 and 10.1.2.3"),
            "[ADDR3]:22 and ADDR1"
        );
        assert_eq!(
            r.text("192.0.2.7 and 127.0.0.1 and ::1"),
            "192.0.2.7 and 127.0.0.1 and ::1"
        );
        assert_eq!(
            r.text("key SHA256:abc+/9 of root"),
            "key SHA256:(hidden) of root"
        );
        assert_eq!(r.text("debug1: dead beef: 9.2"), "debug1: dead beef: 9.2");
    }
}
