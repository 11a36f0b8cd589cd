//! Any text is a start-up file, which sources itself: walked for a command and for a terminal, in each kind of shell, it ends.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::server::startup::{Disk, Login, walk};

struct One(String);

impl Disk for One {
    fn text(&self, _: &str) -> Option<String> {
        Some(self.0.clone())
    }
    fn exists(&self, path: &str) -> bool {
        path.len() % 2 == 0
    }
    fn is_folder(&self, path: &str) -> bool {
        path.ends_with('/')
    }
    fn runs(&self, path: &str) -> bool {
        path.len() % 3 == 0
    }
}

fuzz_target!(|data: &[u8]| {
    let disk = One(String::from_utf8_lossy(data).into_owned());
    let lines = disk.0.lines().count().max(1) as u32;
    let files = ["/etc/profile".to_owned(), "/home/alice/.bashrc".to_owned()];
    for (shell, terminal) in [
        ("/bin/bash", false),
        ("/bin/bash", true),
        ("/bin/sh", true),
        ("/usr/bin/zsh", false),
    ] {
        let login = Login {
            user: "alice".to_owned(),
            uid: 1000,
            home: "/home/alice".to_owned(),
            shell: shell.to_owned(),
            terminal,
        };
        for found in walk(&disk, &login, &files) {
            assert!((1..=lines).contains(&found.line), "{found:?}");
        }
    }
});
