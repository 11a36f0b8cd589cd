//! sshd_config as sshd reads it: text to a tree ([`parse`]), the tree and a connection to values ([`effective`]), and what is
//! questionable in it ([`lint`]).
//!
//! The core reads nothing: files come through [`Files`]. The tree keeps every line with file, line and column, so that a
//! value can name the line that won and those that lost. The reference is OpenSSH's servconf.c, by release, which reads the
//! whole text twice: once for everybody, once for one connection, of which only Match blocks count.

pub mod access;
pub mod authorized_keys;
pub mod effective;
pub mod harden;
pub mod krl;
pub mod lex;
pub mod lint;
pub mod parse;
mod parts;
pub mod pattern;
pub mod samples;
pub mod simulate;
mod startup;
pub mod value;

pub use effective::{Connection, Effective, Setting};
pub use parse::{Body, Config, Criterion, Diagnostic, Directive, Level, MatchLine, Node, Pos};

/// Where the text of files comes from.
pub trait Files {
    /// The text of the file, or why it cannot be read.
    fn read(&self, path: &str) -> Result<String, String>;
    /// The files of that pattern as glob(3) gives them: sorted, only those that exist.
    fn glob(&self, pattern: &str) -> Vec<String>;
    /// Whether that is a folder, of which sshd reads nothing and says nothing.
    fn is_folder(&self, path: &str) -> bool {
        let _ = path;
        false
    }
}

/// Files that lie in memory: for tests, and for text that came from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub std::collections::BTreeMap<String, String>);

impl Memory {
    pub fn with(mut self, path: &str, text: &str) -> Memory {
        self.0.insert(path.to_owned(), text.to_owned());
        self
    }
}

impl Files for Memory {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| "No such file or directory".to_owned())
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        let depth = pattern.matches('/').count();
        self.0
            .keys()
            .filter(|p| {
                let mut parts = p.split('/').zip(pattern.split('/'));
                p.matches('/').count() == depth && parts.all(|(p, w)| pattern::glob(p, w))
            })
            .cloned()
            .collect()
    }

    fn is_folder(&self, path: &str) -> bool {
        let within = format!("{}/", path.trim_end_matches('/'));
        self.0.keys().any(|k| k.starts_with(&within))
    }
}
