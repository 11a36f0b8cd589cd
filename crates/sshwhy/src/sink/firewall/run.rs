//! How programs of the firewall are run: found in an administrator's folders, no shell, bounded in time, what they said kept.

use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Where programs of an administrator are looked for, whatever PATH says.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];
/// Longest that one call may take: a million elements are listed in a quarter of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest answer: a million elements are 70 MiB of JSON.
const MOST_OUTPUT: u64 = 512 << 20;

/// Something that the firewall did not do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// `nft -j -f -`, a file
    pub what: String,
    /// The program's own words, or the system's.
    pub said: String,
    /// The likely cause and the next step.
    pub next: String,
}

impl Trouble {
    pub fn new(what: &str, said: impl Into<String>, next: &str) -> Trouble {
        Trouble {
            what: what.to_owned(),
            said: said.into(),
            next: next.to_owned(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.said)?;
        if !self.next.is_empty() {
            write!(f, " ({})", self.next)?;
        }
        Ok(())
    }
}

/// What a program answered.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub ok: bool,
    pub out: Vec<u8>,
    pub err: String,
}

impl Said {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

#[derive(Clone, Debug)]
pub struct Runner {
    folders: Vec<PathBuf>,
}

impl Default for Runner {
    fn default() -> Runner {
        Runner {
            folders: FOLDERS.iter().map(PathBuf::from).collect(),
        }
    }
}

impl Runner {
    /// Programs of one folder only.
    #[cfg(test)]
    pub fn of(folder: &std::path::Path) -> Runner {
        Runner {
            folders: vec![folder.to_owned()],
        }
    }

    pub fn find(&self, program: &str) -> Option<PathBuf> {
        if program.starts_with('/') {
            return Some(PathBuf::from(program)).filter(|p| p.is_file());
        }
        self.folders
            .iter()
            .map(|f| f.join(program))
            .find(|p| p.is_file())
    }

    /// Runs it, whatever its exit status is; an error where it could not be run at all or did not end.
    pub fn ask(
        &self,
        program: &str,
        args: &[&str],
        input: Option<Vec<u8>>,
    ) -> Result<Said, Trouble> {
        let shown = shown(program, args);
        let path = self.find(program).ok_or_else(|| {
            Trouble::new(
                &shown,
                format!("no program {program} on this machine"),
                "install it, or choose another firewall with --firewall",
            )
        })?;
        let folders: Vec<String> = self
            .folders
            .iter()
            .map(|f| f.to_string_lossy().into_owned())
            .collect();
        let mut child = Command::new(path)
            .args(args)
            .env("LC_ALL", "C")
            .env("PATH", folders.join(":"))
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| Trouble::new(&shown, e.to_string(), "it could not be started"))?;
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), input) {
            // Who does not read its input says why on its way out.
            std::thread::spawn(move || pipe.write_all(&bytes));
        }
        let (send, done) = mpsc::channel();
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|p| Box::new(p) as _),
            child.stderr.take().map(|p| Box::new(p) as _),
        ];
        for (which, pipe) in pipes.into_iter().enumerate() {
            let send = send.clone();
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(pipe) = pipe {
                    let _ = pipe.take(MOST_OUTPUT).read_to_end(&mut bytes);
                }
                let _ = send.send((which, bytes));
            });
        }
        let mut said = Said::default();
        for _ in 0..2 {
            match done.recv_timeout(PATIENCE) {
                Ok((0, bytes)) => said.out = bytes,
                Ok((_, bytes)) => said.err = String::from_utf8_lossy(&bytes).trim().to_owned(),
                Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Trouble::new(
                        &shown,
                        format!("did not end within {} seconds", PATIENCE.as_secs()),
                        "it was ended; nothing is known about what it did",
                    ));
                }
            }
        }
        said.ok = child.wait().is_ok_and(|s| s.success());
        Ok(said)
    }

    /// Runs it and expects success.
    pub fn run(
        &self,
        program: &str,
        args: &[&str],
        input: Option<Vec<u8>>,
    ) -> Result<Said, Trouble> {
        let said = self.ask(program, args, input)?;
        if said.ok {
            return Ok(said);
        }
        let text = if said.err.is_empty() {
            said.text()
        } else {
            said.err.clone()
        };
        let first: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .take(3)
            .collect();
        let text = first.join("; ");
        let next = if text.contains("ermitted")
            || text.contains("ermission")
            || text.contains("must be root")
        {
            "it takes root, or CAP_NET_ADMIN"
        } else if text.contains("No such file") || text.contains("not supported") {
            "the kernel may lack a module that it needs"
        } else {
            ""
        };
        let text = if text.is_empty() {
            "failed and said nothing".to_owned()
        } else {
            text
        };
        Err(Trouble::new(&shown(program, args), text, next))
    }
}

fn shown(program: &str, args: &[&str]) -> String {
    let mut out = program.to_owned();
    for a in args.iter().take(12) {
        out.push(' ');
        out.push_str(a);
    }
    if args.len() > 12 {
        out.push_str(" …");
    }
    out
}
