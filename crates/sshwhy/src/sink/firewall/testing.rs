//! What tests of backends share: actions, and fake programs that write down how they were called.

use super::Runner;
use sshwhy_core::addr::Cidr;
use sshwhy_core::ban::{Action, Ban, Origin};
use sshwhy_core::time::{SECOND, Time};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

pub fn net(text: &str) -> Cidr {
    match Cidr::parse(text) {
        Some(net) => net,
        None => unreachable!("{text} is no network"),
    }
}

pub fn ban(text: &str, secs: Option<i64>, now: Time) -> Action {
    Action::Ban(Ban {
        net: net(text),
        since: now,
        until: secs.map(|s| Time(now.0 + s * SECOND)),
        detector: "operator".to_owned(),
        // Whatever an attacker may have put there must not get anywhere near a command.
        reason: "x'; touch /tmp/sshwhy-pwned; $(id) `id` \" \n-j ACCEPT".to_owned(),
        origin: Origin::Operator,
        strikes: 1,
    })
}

/// A folder with programs of which each writes its arguments, one call a line, to `calls`, and does what `script` says.
pub struct Fakes {
    pub folder: PathBuf,
}

impl Fakes {
    pub fn new(name: &str, programs: &[(&str, &str)]) -> Fakes {
        let folder =
            std::env::temp_dir().join(format!("sshwhy-fakes-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let made = fs::create_dir_all(&folder);
        assert!(made.is_ok(), "{made:?}");
        for (program, script) in programs {
            let path = folder.join(program);
            let text = format!(
                "#!/bin/sh\nPATH=/usr/bin:/bin\n{{ printf '%s' \"{program}\"; for a in \"$@\"; do printf ' [%s]' \"$a\"; done; printf '\\n'; }} >> '{0}/calls'\n{script}\n",
                folder.display()
            );
            let written = fs::write(&path, text)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)));
            assert!(written.is_ok(), "{written:?}");
        }
        Fakes { folder }
    }

    pub fn runner(&self) -> Runner {
        Runner::of(&self.folder)
    }

    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.folder.join("calls"));
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Fakes {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
