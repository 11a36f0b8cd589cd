//! `%h`, `%p`, … and `${NAME}` in values (ssh_config(5) TOKENS; misc.c percent_expand(), dollar_expand()).

use sha1::{Digest, Sha1};
use std::fmt::Write;

/// Who runs ssh, and where.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    pub user: String,
    pub home: String,
    pub uid: u32,
    /// As gethostname(2) says.
    pub hostname: String,
}

/// What the tokens stand for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tokens {
    pub client: Client,
    /// `%h`
    pub host: String,
    /// `%n`
    pub original: String,
    /// `%p`
    pub port: String,
    /// `%r`
    pub user: String,
    /// `%k`
    pub alias: String,
    /// `%j`
    pub jump: String,
}

impl Tokens {
    fn token(&self, letter: char) -> Option<String> {
        let c = &self.client;
        Some(match letter {
            '%' => "%".to_owned(),
            'C' => self.hash(),
            'L' => c.hostname.split('.').next().unwrap_or_default().to_owned(),
            'd' => c.home.clone(),
            'h' => self.host.clone(),
            'i' => c.uid.to_string(),
            'j' => self.jump.clone(),
            'k' => self.alias.clone(),
            'l' => c.hostname.clone(),
            'n' => self.original.clone(),
            'p' => self.port.clone(),
            'r' => self.user.clone(),
            'u' => c.user.clone(),
            _ => return None,
        })
    }

    /// `%C`: SHA-1 of `%l%h%p%r` (and `%j` since 9.8, where there is a jump host).
    fn hash(&self) -> String {
        let digest = Sha1::new()
            .chain_update(&self.client.hostname)
            .chain_update(&self.host)
            .chain_update(&self.port)
            .chain_update(&self.user)
            .chain_update(&self.jump)
            .finalize();
        digest.iter().fold(String::new(), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        })
    }

    /// The value with its tokens; one that ssh does not know, or a lone `%` at the end, is an error.
    pub fn percent(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let letter = chars.next().ok_or("invalid format")?;
            match self.token(letter) {
                Some(value) => out.push_str(&value),
                None => return Err(format!("unknown key %{letter}")),
            }
            if out.len() > 64 << 10 {
                return Err("string too long".to_owned());
            }
        }
        Ok(out)
    }

    /// `~` and `~/…` as the home; `~user` is left to whoever can look it up.
    pub fn tilde(&self, text: &str) -> String {
        match text.strip_prefix('~') {
            Some("") => self.client.home.clone(),
            Some(rest) if rest.starts_with('/') => format!("{}{rest}", self.client.home),
            _ => text.to_owned(),
        }
    }
}

/// `${NAME}` out of the environment; a name that is not set is an error.
pub fn dollar(text: &str, env: &mut dyn FnMut(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after
            .split_once('}')
            .ok_or("environment variable has no '}'")?;
        out.push_str(before);
        out.push_str(&env(name).ok_or_else(|| format!("env var ${{{name}}} has no value"))?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_for_what_the_manual_says() {
        let t = Tokens {
            client: Client {
                user: "me".into(),
                home: "/home/me".into(),
                uid: 7,
                hostname: "box.example".into(),
            },
            host: "h".into(),
            original: "o".into(),
            port: "22".into(),
            user: "you".into(),
            alias: "k".into(),
            jump: String::new(),
        };
        assert_eq!(
            t.percent("%%%L%l%d%h%i%n%p%r%u%k").unwrap(),
            "%boxbox.example/home/meh7o22youmek"
        );
        assert!(t.percent("%").is_err() && t.percent("%q").is_err());
        assert_eq!(t.tilde("~/.ssh/x"), "/home/me/.ssh/x");
        assert_eq!(t.tilde("a~"), "a~");
        let mut env = |n: &str| (n == "A").then(|| "1".to_owned());
        assert_eq!(dollar("x${A}y", &mut env).unwrap(), "x1y");
        assert!(dollar("${B}", &mut env).is_err() && dollar("${A", &mut env).is_err());
    }
}
