//! Any text is somebody's ssh_config, or the command line: never a panic, an end to every Include, and values or a refusal.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sshwhy_core::probe::command;
use sshwhy_core::probe::ssh_config::algorithms::Lists;
use sshwhy_core::probe::ssh_config::tokens::Client;
use sshwhy_core::probe::ssh_config::{Files, Typed, World, evaluate};

struct Paper<'a>(&'a [u8]);

impl World for Paper<'_> {
    fn read(&mut self, path: &str, _check: bool) -> Result<Option<Vec<u8>>, sshwhy_core::probe::ssh_config::Unsafe> {
        Ok(path.contains("config").then(|| self.0.to_vec()))
    }

    fn glob(&mut self, pattern: &str) -> Vec<String> {
        vec![pattern.to_owned()]
    }

    fn exec(&mut self, command: &str) -> bool {
        command.len() % 2 == 0
    }

    fn local_network(&mut self, networks: &str) -> bool {
        networks.len() % 2 == 0
    }

    fn env(&mut self, name: &str) -> Option<String> {
        (name.len() % 2 == 0).then(|| name.to_owned())
    }

    fn canonical(&mut self, name: &str) -> Option<String> {
        (name.len() % 2 == 0).then(|| name.to_owned())
    }
}

fuzz_target!(|data: &[u8]| {
    let files = Files {
        user: Some("/home/me/.ssh/config"),
        system: "/etc/ssh/ssh_config",
    };
    let typed = Typed {
        host: "server".to_owned(),
        ..Typed::default()
    };
    // A file that includes itself twice is read 2^16 times, as ssh would; that is its own punishment.
    let includes = data
        .windows(7)
        .filter(|w| w.eq_ignore_ascii_case(b"include"))
        .count();
    if includes < 2 {
        match evaluate(
            &typed,
            files,
            &Client::default(),
            &Lists::default(),
            &mut Paper(data),
        ) {
            Ok(effective) => assert!(effective.first("hostname").is_some()),
            Err(refused) => assert!(!refused.0.is_empty()),
        }
    }
    let text = String::from_utf8_lossy(data);
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let _ = command::parse(&words);
});
