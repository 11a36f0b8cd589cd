//! Facts of the client's own machine: what ssh's configuration comes to, keys, agent, known hosts, /etc/hosts. Only looks.

#[cfg(target_os = "linux")]
use crate::host::{daemon, machine::Machine};
use crate::world::Here;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::command::Command;
use sshwhy_core::probe::keyfile::{self, Kind};
use sshwhy_core::probe::known_hosts::{self, Entry};
use sshwhy_core::probe::ssh_config::algorithms::Lists;
use sshwhy_core::probe::ssh_config::tokens::{Tokens, dollar};
use sshwhy_core::probe::ssh_config::{Effective, Files, Typed, evaluate};
use sshwhy_core::wire::base64;
use sshwhy_core::wire::kexinit::Proposal;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Key files and known_hosts files are read up to here.
const MOST_BYTES: u64 = 16 << 20;

/// What a program wrote, and how it ended.
pub struct Ran {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

/// Feeds a program that may stop reading: that is its right.
fn feed(mut pipe: impl std::io::Write + Send + 'static, text: String) {
    std::thread::spawn(move || {
        let _ = pipe.write_all(text.as_bytes());
    });
}

/// Runs a program with nothing on its standard input, for no longer than `timeout`; then it is ended.
pub fn run(program: &str, arguments: &[String], timeout: Duration) -> std::io::Result<Ran> {
    run_with(program, arguments, String::new(), timeout)
}

/// The same with something to read for it.
pub fn run_with(
    program: &str,
    arguments: &[String],
    input: String,
    timeout: Duration,
) -> std::io::Result<Ran> {
    let stdin = match input.is_empty() {
        true => Stdio::null(),
        false => Stdio::piped(),
    };
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    crate::sys::end_with_us(&mut command);
    let mut child = command.spawn()?;
    if let Some(pipe) = child.stdin.take() {
        feed(pipe, input);
    }
    let reader = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                let _ = pipe.take(MOST_BYTES).read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = reader(
        child
            .stdout
            .take()
            .map(|p| Box::new(p) as Box<dyn Read + Send>),
    );
    let err = reader(
        child
            .stderr
            .take()
            .map(|p| Box::new(p) as Box<dyn Read + Send>),
    );
    let end = Instant::now() + timeout;
    let code = loop {
        match child.try_wait()? {
            Some(status) => break status.code(),
            None if Instant::now() >= end => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    Ok(Ran {
        out: out.join().unwrap_or_default(),
        err: err.join().unwrap_or_default(),
        code,
    })
}

/// The effective configuration: keyword in small letters to values, in order, as `ssh -G` prints them.
#[derive(Clone, Debug, Default)]
pub struct Config {
    values: BTreeMap<String, Vec<String>>,
    places: BTreeMap<String, String>,
    tokens: Option<Tokens>,
}

impl Config {
    fn of(effective: &Effective) -> Config {
        let mut config = Config {
            tokens: Some(effective.tokens.clone()),
            ..Config::default()
        };
        for (key, value) in effective.lines() {
            let values = config.values.entry(key.to_owned()).or_default();
            values.push(value.text.clone());
            if let Some(place) = &value.place {
                let text = if place.line == 0 {
                    place.file.clone()
                } else {
                    format!("{}:{}", place.file, place.line)
                };
                config.places.entry(key.to_owned()).or_insert(text);
            }
        }
        config
    }

    /// `file:line` of the value that won, or `command-line`; nothing for a default.
    pub fn place(&self, key: &str) -> Option<&str> {
        self.places.get(key).map(String::as_str)
    }

    /// A path of the configuration: `~`, and the tokens of ssh_config(5).
    pub fn path(&self, text: &str) -> PathBuf {
        let Some(tokens) = &self.tokens else {
            return expand(text);
        };
        let text = tokens.tilde(text);
        let text = tokens.percent(&text).unwrap_or(text);
        let mut env = |name: &str| std::env::var(name).ok();
        PathBuf::from(dollar(&text, &mut env).unwrap_or(text))
    }

    /// A command of the configuration with its tokens; `None` where ssh would refuse it.
    pub fn expanded(&self, text: &str) -> Option<String> {
        match &self.tokens {
            Some(tokens) => tokens.percent(text).ok(),
            None => Some(text.to_owned()),
        }
    }

    pub fn is_known(&self) -> bool {
        !self.values.is_empty()
    }

    pub fn first(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.first().map(String::as_str)
    }

    pub fn all(&self, key: &str) -> &[String] {
        self.values.get(key).map_or(&[], Vec::as_slice)
    }

    pub fn is(&self, key: &str, words: &[&str]) -> bool {
        self.first(key).is_some_and(|v| words.contains(&v))
    }

    pub fn list(&self, key: &str) -> Vec<String> {
        let text = self.first(key).unwrap_or_default();
        let words = text.split(',').filter(|w| !w.is_empty());
        words.map(str::to_owned).collect()
    }

    /// What this client would propose.
    pub fn proposal(&self) -> Proposal {
        let (ciphers, macs) = (self.list("ciphers"), self.list("macs"));
        Proposal {
            kex: self.list("kexalgorithms"),
            host_key: self.list("hostkeyalgorithms"),
            cipher_out: ciphers.clone(),
            cipher_in: ciphers,
            mac_out: macs.clone(),
            mac_in: macs,
            compression_out: Vec::new(),
            compression_in: Vec::new(),
        }
    }
}

/// What ssh's configuration comes to for what was typed; or why ssh would refuse it, in ssh's words.
pub fn configuration(command: &Command) -> Result<Config, String> {
    let mut settings = command.settings.clone();
    let given = |settings: &[(String, String)], key: &str, value: &str| {
        settings.iter().any(|(k, v)| k == key && v == value)
    };
    for identity in &command.identities {
        if !given(&settings, "identityfile", identity) {
            settings.push(("identityfile".to_owned(), format!("\"{identity}\"")));
        }
    }
    if let Some(jump) = &command.jump
        && !given(&settings, "proxyjump", jump)
    {
        settings.insert(0, ("proxyjump".to_owned(), jump.clone()));
    }
    let typed = Typed {
        host: command.host.clone(),
        settings,
        user: command.user.clone(),
        port: command.port,
        file: command.config_file.clone(),
        command: command.remote.clone(),
        session_type: match (command.no_session, command.subsystem) {
            (true, _) => "none",
            (_, true) => "subsystem",
            _ => "",
        },
        tag: None,
    };
    let mut here = Here::new();
    let user_file = home().map(|h| h.join(".ssh/config").display().to_string());
    let files = Files {
        user: user_file.as_deref(),
        system: if cfg!(windows) {
            r"C:\ProgramData\ssh\ssh_config"
        } else {
            "/etc/ssh/ssh_config"
        },
    };
    let client = here.client.clone();
    match evaluate(&typed, files, &client, &lists(), &mut here) {
        Ok(effective) => Ok(Config::of(&effective)),
        Err(refused) => Err(refused.0.join("\n")),
    }
}

/// What this machine's ssh proposes by default, where there is one; else what a current release does.
fn lists() -> Lists {
    let mut lists = Lists::default();
    let arguments = ["-G", "-F", "none", "localhost"].map(str::to_owned);
    let Ok(ran) = run("ssh", &arguments, Duration::from_secs(2)) else {
        return lists;
    };
    let says = |key: &str| -> Option<Vec<String>> {
        let line = ran.out.lines().find_map(|l| l.strip_prefix(key))?;
        let list: Vec<String> = line.trim().split(',').map(str::to_owned).collect();
        (ran.code == Some(0)).then_some(list)
    };
    let keys = [
        "ciphers ",
        "macs ",
        "kexalgorithms ",
        "hostkeyalgorithms ",
        "casignaturealgorithms ",
    ];
    for (i, key) in keys.into_iter().enumerate() {
        let Some(list) = says(key) else { continue };
        // Whatever it proposes it knows.
        if let Some(all) = lists.all.get_mut(i) {
            for name in &list {
                if !all.contains(name) {
                    all.push(name.clone());
                }
            }
        }
        if let Some(default) = lists.default.get_mut(i) {
            *default = list;
        }
    }
    lists
}

/// Asks who sits at the terminal, or the askpass program that ssh would ask. `None`: nobody there, or given up.
pub fn ask_secret(prompt: &str, echo: bool) -> Option<String> {
    let askpass = std::env::var("SSH_ASKPASS").ok().filter(|p| !p.is_empty());
    let require = std::env::var("SSH_ASKPASS_REQUIRE").unwrap_or_default();
    if let Some(program) = askpass
        && matches!(require.as_str(), "force" | "prefer")
    {
        let ran = run(&program, &[prompt.to_owned()], Duration::from_secs(60)).ok()?;
        let answer = ran.out.lines().next().unwrap_or_default().to_owned();
        return (ran.code == Some(0)).then_some(answer);
    }
    terminal_secret(prompt, echo)
}

#[cfg(unix)]
fn terminal_secret(prompt: &str, echo: bool) -> Option<String> {
    use std::io::Write;
    let mut tty = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()?;
    // The prompt is the server's text.
    let prompt = sshwhy_core::render::escape::terminal(prompt);
    tty.write_all(format!("sshwhy: {prompt}").as_bytes()).ok()?;
    // Without signals of the terminal an interrupt comes as a letter, and the terminal is put right before we leave.
    let quiet = crate::sys::terminal::Quiet::new(&tty).ok()?;
    let mut line = Vec::new();
    let mut byte = [0];
    let given = loop {
        match tty.read(&mut byte) {
            Ok(1) => match byte {
                [b'\n' | b'\r'] => break true,
                [3 | 4 | 28] => break false,
                [8 | 127] => {
                    line.pop();
                }
                [b] if line.len() < 1024 => {
                    line.push(b);
                    if echo {
                        let _ = tty.write_all(&[b]);
                    }
                }
                _ => {}
            },
            _ => break false,
        }
    };
    drop(quiet);
    let _ = tty.write_all(b"\n");
    given.then(|| String::from_utf8_lossy(&line).into_owned())
}

#[cfg(not(unix))]
fn terminal_secret(_prompt: &str, _echo: bool) -> Option<String> {
    None
}

pub fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|h| h.is_absolute())
}

/// `~/…` as a path.
fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The names that ssh tries where nothing is configured (readconf.c fill_default_options()).
const DEFAULT_KEYS: &[&str] = &[
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "id_xmss",
    "id_dsa",
];

fn is_default(path: &Path) -> bool {
    let in_ssh = home().is_some_and(|h| path.parent() == Some(&h.join(".ssh")));
    let name = path.file_name().and_then(|n| n.to_str());
    in_ssh && name.is_some_and(|n| DEFAULT_KEYS.contains(&n))
}

/// The keys that ssh would try: each file, its public half, its certificate.
pub fn keys(config: &Config, user: Option<&str>, now: u64) -> Vec<Observation> {
    let mut out = Vec::new();
    let mut usable = 0;
    let named = |key| config.all(key).iter().filter(|f| *f != "none").take(50);
    for file in named("identityfile") {
        let path = config.path(file);
        let shown = path.display().to_string();
        let see = |value: &str, text: String| {
            Observation::new(Gate::Auth, "auth.key", value, "probe:keys")
                .about(shown.clone())
                .text(text)
        };
        let public = read_file(&path.with_extension_added("pub")).ok();
        let bytes = match read_file(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                if public.is_some() {
                    let text = format!(
                        "{shown}.pub is there and {shown} is not: only an agent could sign with it"
                    );
                    out.push(see("no-private-half", text));
                } else if !is_default(&path) {
                    out.push(see("missing", format!("{shown}: no such file")));
                }
                continue;
            }
            Err(e) => {
                // What lies there is no key, whoever may read it.
                let value = match e.kind() {
                    std::io::ErrorKind::IsADirectory => "invalid",
                    _ => "permissions",
                };
                out.push(see(value, format!("{shown}: {e}")));
                continue;
            }
        };
        let before = out.len();
        if let Some(mode) = too_open(&path) {
            let text =
                format!("{shown} has mode {mode:04o}: others may read it, so ssh does not use it");
            out.push(see("permissions", text));
        }
        let key = keyfile::read(&bytes);
        match key.kind {
            Kind::Private { encrypted: true } => {
                let text = format!("{shown} is locked with a passphrase");
                out.push(
                    Observation::new(Gate::Auth, "auth.key-locked", "yes", "probe:keys")
                        .about(shown.clone())
                        .text(text),
                );
                usable += 1;
            }
            Kind::Private { encrypted: false } => usable += usize::from(out.len() == before),
            Kind::Public => {
                let text = format!("{shown} holds a public key, not a private one");
                out.push(see("invalid", text));
            }
            Kind::Putty => {
                let text = format!("{shown} is in PuTTY's format, which ssh does not read");
                out.push(see("invalid", text));
            }
            Kind::Invalid(why) => {
                out.push(see("invalid", format!("{shown} is no private key: {why}")));
            }
        }
        let public = public.and_then(|b| {
            let text = String::from_utf8_lossy(&b).into_owned();
            keyfile::public_line(text.lines().next().unwrap_or_default())
        });
        if let (Some(of_file), Some((_, of_pub))) = (&key.public, &public)
            && of_file != of_pub
        {
            let text = format!("{shown}.pub belongs to another key than {shown}");
            out.push(see("mismatch", text));
        }
        let kind = key
            .public
            .as_deref()
            .and_then(|b| sshwhy_core::wire::Cursor::new(b).text())
            .or(public.map(|(k, _)| k));
        if let Some(kind) = kind {
            out.push(
                Observation::new(
                    Gate::Auth,
                    "auth.key-kind",
                    keyfile::kind_word(&kind),
                    "probe:keys",
                )
                .about(shown.clone())
                .text(format!("{shown} is a {kind} key")),
            );
        }
        out.extend(certificate(&format!("{shown}-cert.pub"), user, now));
    }
    for file in named("certificatefile") {
        let path = config.path(file);
        let shown = path.display().to_string();
        if !path.exists() {
            // ssh says nothing of it.
            let gone = Observation::new(Gate::Auth, "auth.certificate", "missing", "probe:keys");
            let place = config
                .place("certificatefile")
                .map_or_else(String::new, |p| format!(" ({p})"));
            out.push(
                gone.about(shown.clone())
                    .text(format!("CertificateFile {shown}: no such file{place}")),
            );
        }
        out.extend(certificate(&shown, user, now));
    }
    let any = if usable > 0 { "some" } else { "none" };
    out.push(
        Observation::new(Gate::Auth, "client.key-files", any, "probe:keys")
            .text(format!("{usable} usable private key files")),
    );
    out
}

fn certificate(file: &str, user: Option<&str>, now: u64) -> Option<Observation> {
    let bytes = read_file(Path::new(file)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let blob = base64::decode(text.split_whitespace().nth(1)?.as_bytes())?;
    let cert = keyfile::certificate(&blob)?;
    let date = |t: u64| {
        i64::try_from(t).map_or_else(
            |_| "ever".to_owned(),
            |t| sshwhy_core::time::Time::from_secs(t).to_string(),
        )
    };
    let text = format!(
        "{file}: \"{}\", valid from {} to {}, for the principals {}",
        cert.key_id,
        date(cert.valid_after),
        date(cert.valid_before),
        if cert.principals.is_empty() {
            "(none)".to_owned()
        } else {
            cert.principals.join(", ")
        }
    );
    Some(
        Observation::new(
            Gate::Auth,
            "auth.certificate",
            cert.judge(now, user),
            "probe:keys",
        )
        .about(file)
        .text(text),
    )
}

/// The mode of a key file that is open to others than its owner, where ssh minds (authfile.c
/// sshkey_perm_ok(): only for one's own files).
#[cfg(unix)]
pub fn too_open(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    let mode = meta.mode() & 0o777;
    (meta.uid() == crate::sys::user_id() && mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub fn too_open(_path: &Path) -> Option<u32> {
    None
}

/// Where the agent's socket is, as the configuration and the environment say.
pub fn agent_socket(config: &Config) -> Option<String> {
    let configured = config.first("identityagent").filter(|v| !v.is_empty());
    let socket = match configured {
        Some("none") => return None,
        None | Some("SSH_AUTH_SOCK") => std::env::var("SSH_AUTH_SOCK").ok()?,
        Some(other) => match other.strip_prefix('$') {
            Some(name) => std::env::var(name).ok()?,
            None => config.path(other).display().to_string(),
        },
    };
    (!socket.is_empty()).then_some(socket)
}

/// The agent: does anybody serve its socket, and how many keys does it hold?
pub fn agent(config: &Config) -> Option<Observation> {
    let socket = agent_socket(config)?;
    let (value, text) = agent_keys(&socket);
    Some(
        Observation::new(Gate::Auth, "auth.agent", value, "probe:agent")
            .about(socket.clone())
            .text(format!("{socket}: {text}")),
    )
}

/// The ControlMaster's socket: does a living master greet there? (PROTOCOL.mux: both sides begin with MUX_MSG_HELLO.)
#[cfg(unix)]
pub fn control_socket(config: &Config) -> Option<Observation> {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    let path = config.first("controlpath").filter(|p| *p != "none")?;
    let path = expand(path);
    if !path.exists() {
        return None;
    }
    let about = path.display().to_string();
    let (value, text) = match UnixStream::connect(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => ("stale", e.to_string()),
        Err(_) => return None,
        Ok(mut stream) => {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
            let mut head = [0; 4];
            // Length 8, MUX_MSG_HELLO, version 4.
            let hello = stream.write_all(&[0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 4]);
            match hello.and_then(|()| stream.read_exact(&mut head)) {
                Ok(()) => match dead_master(&stream, &about) {
                    Some(why) => ("cut", format!("a master answers, and {why}")),
                    None => ("ok", "a master answers".to_owned()),
                },
                Err(_) => ("frozen", "somebody holds it and does not answer".to_owned()),
            }
        }
    };
    let text = format!("{about}: {text}");
    Some(
        Observation::new(Gate::Session, "mux.socket", value, "probe:mux")
            .about(about)
            .text(text),
    )
}

/// Why the connection of the master behind the socket is of no use any more. Who listened first may have gone into the background
/// since (ControlPersist): then its title has the path (mux.c, `ssh: PATH [mux]`).
#[cfg(target_os = "linux")]
fn dead_master(stream: &std::os::unix::net::UnixStream, path: &str) -> Option<String> {
    let machine = Machine::here();
    let listened = rustix::net::sockopt::socket_peercred(stream).ok();
    let listened = listened.map(|c| c.pid.as_raw_nonzero().get().cast_unsigned());
    let title = format!("ssh: {path} [mux]");
    daemon::processes(&machine)
        .iter()
        .filter(|p| Some(p.pid) == listened || p.title == title)
        .find_map(|p| daemon::dead_connection(&machine, p.pid))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn dead_master(_: &std::os::unix::net::UnixStream, _: &str) -> Option<String> {
    None
}

#[cfg(not(unix))]
pub fn control_socket(_config: &Config) -> Option<Observation> {
    None
}

#[cfg(unix)]
const AGENT_PATIENCE: Duration = Duration::from_secs(3);

#[cfg(unix)]
fn agent_keys(socket: &str) -> (&'static str, String) {
    use std::io::{ErrorKind, Write};
    use std::os::unix::net::UnixStream;
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(e) => return ("unreachable", e.to_string()),
    };
    let _ = stream.set_read_timeout(Some(AGENT_PATIENCE));
    // SSH_AGENTC_REQUEST_IDENTITIES, answered by SSH_AGENT_IDENTITIES_ANSWER (draft-ietf-sshm-ssh-agent).
    let mut head = [0; 9];
    let asked = stream
        .write_all(&[0, 0, 0, 1, 11])
        .and_then(|()| stream.read_exact(&mut head));
    match asked {
        Ok(()) => {
            let mut c = sshwhy_core::wire::Cursor::new(&head);
            c.u32();
            let (kind, count) = (c.u8(), c.u32());
            match (kind, count) {
                (Some(12), Some(0)) => ("empty", "the agent holds no keys".to_owned()),
                (Some(12), Some(n)) => ("ok", format!("the agent holds {n} keys")),
                _ => ("locked", "the agent refuses to list its keys".to_owned()),
            }
        }
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => (
            "silent",
            format!(
                "somebody holds the socket and has not answered for {} s",
                AGENT_PATIENCE.as_secs()
            ),
        ),
        Err(e) => ("unreachable", format!("the agent does not answer: {e}")),
    }
}

#[cfg(not(unix))]
fn agent_keys(_socket: &str) -> (&'static str, String) {
    ("none", "not looked at on this system".to_owned())
}

/// What the client is set to prove itself with, and whether somebody can be asked; `command`: one was typed.
pub fn intentions(config: &Config, command: bool) -> Vec<Observation> {
    let on = |key: &str| !config.is(key, &["no", "false"]);
    let batch = config.is("batchmode", &["yes", "true"]);
    let preferred = config.list("preferredauthentications");
    let allowed = |m: &str| preferred.is_empty() || preferred.iter().any(|p| p == m);
    let key = on("pubkeyauthentication") && allowed("publickey");
    let password = (on("passwordauthentication") && allowed("password"))
        || (on("kbdinteractiveauthentication") && allowed("keyboard-interactive"));
    let askpass = std::env::var_os("SSH_ASKPASS").is_some()
        && (std::env::var("SSH_ASKPASS_REQUIRE").is_ok_and(|v| v == "force" || v == "prefer")
            || std::env::var_os("DISPLAY").is_some());
    let terminal = std::fs::File::open("/dev/tty").is_ok();
    let ask = !batch && (askpass || terminal);
    let wants = match (key, password && !batch) {
        (true, true) => None,
        (true, false) => Some("key"),
        (false, true) => Some("password"),
        (false, false) => Some("nothing"),
    };
    let see = |key, value: &str, text: &str| {
        Observation::new(Gate::Auth, key, value, "probe:config").text(text)
    };
    let mut out = Vec::new();
    if let Some(wants) = wants {
        let text = format!(
            "PubkeyAuthentication {}, PasswordAuthentication {}, BatchMode {}, PreferredAuthentications {}",
            config.first("pubkeyauthentication").unwrap_or("?"),
            config.first("passwordauthentication").unwrap_or("?"),
            config.first("batchmode").unwrap_or("?"),
            if preferred.is_empty() {
                "(default)".to_owned()
            } else {
                preferred.join(",")
            }
        );
        out.push(see("client.wants", wants, &text));
    }
    let (value, text) = if ask {
        ("yes", "ssh could ask for a password")
    } else {
        ("no", "ssh could not ask anybody for a password")
    };
    out.push(see("client.can-prompt", value, text));
    for keyword in [
        "stricthostkeychecking",
        "pubkeyauthentication",
        "batchmode",
        "identitiesonly",
        "passwordauthentication",
        "kbdinteractiveauthentication",
        "numberofpasswordprompts",
    ] {
        if let Some(value) = config.first(keyword) {
            let place = config.place(keyword).map(|p| format!(" ({p})"));
            let text = format!("{keyword} {value}{}", place.unwrap_or_default());
            out.push(see("client.setting", value, &text).about(keyword));
        }
    }
    if config.is("sessiontype", &["none"]) && command {
        let text = "a command was typed, and SessionType none keeps ssh from running any";
        out.push(see("client.command", "not-run", text));
    }
    let taken = config.list("pubkeyacceptedalgorithms");
    if taken.iter().any(|a| a == "ssh-rsa") && !taken.iter().any(|a| a.starts_with("rsa-sha2-")) {
        let text = "PubkeyAcceptedAlgorithms of the client allows RSA keys to sign with SHA-1 only";
        out.push(see("client.rsa-signature", "sha1-only", text));
    }
    out
}

/// Every known_hosts file that the configuration names.
fn known_hosts_files(config: &Config) -> Vec<PathBuf> {
    ["userknownhostsfile", "globalknownhostsfile"]
        .iter()
        .flat_map(|key| config.all(key))
        .flat_map(|files| files.split_whitespace())
        .map(|file| config.path(file))
        .collect()
}

/// The entries of every known_hosts file that the configuration names, with the file's name.
pub fn known_hosts(config: &Config) -> Vec<(String, Entry)> {
    let mut out = Vec::new();
    for path in known_hosts_files(config) {
        if let Ok(bytes) = read_file(&path) {
            let text = String::from_utf8_lossy(&bytes);
            let name = path.display().to_string();
            let entries = known_hosts::parse(&text);
            out.extend(entries.into_iter().map(|e| (name.clone(), e)));
        }
    }
    out
}

/// In which of these files a key was looked for, in words: the user's own also where they cannot be read.
pub fn looked_for_hosts(config: &Config) -> String {
    let own = config.all("userknownhostsfile").iter();
    let own: Vec<PathBuf> = own
        .flat_map(|files| files.split_whitespace())
        .map(|file| config.path(file))
        .collect();
    let files = known_hosts_files(config).into_iter();
    let shown: Vec<String> = files
        .filter_map(|path| {
            let name = path.display();
            match std::fs::File::open(&path) {
                Ok(_) => Some(name.to_string()),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => own
                    .contains(&path)
                    .then(|| format!("{name} (which does not exist)")),
                Err(e) => Some(format!("{name} (which cannot be read: {e})")),
            }
        })
        .collect();
    shown.join(", ")
}

/// Where RevokedHostKeys names this key: `FILE:LINE`. A list of public keys is read (sshkey.c sshkey_check_revoked()); a key
/// revocation list, which is no text, is left to ssh.
pub fn revoked(config: &Config, blob: &[u8]) -> Option<String> {
    let path = config.path(config.first("revokedhostkeys").filter(|f| *f != "none")?);
    let bytes = read_file(&path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text
        .lines()
        .position(|line| keyfile::public_line(line).is_some_and(|(_, key)| key == blob))?;
    Some(format!("{}:{}", path.display(), line + 1))
}

/// The lines of /etc/hosts for a name: (line number, address).
pub fn hosts_file(name: &str) -> Vec<(usize, IpAddr)> {
    let path = if cfg!(windows) {
        r"C:\Windows\System32\drivers\etc\hosts"
    } else {
        "/etc/hosts"
    };
    let Ok(bytes) = read_file(Path::new(path)) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(ip)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        if words.any(|w| w.eq_ignore_ascii_case(name)) {
            out.push((i + 1, ip));
        }
    }
    out
}

/// The name servers of /etc/resolv.conf.
pub fn name_servers() -> Vec<IpAddr> {
    let bytes = read_file(Path::new("/etc/resolv.conf")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines()
        .filter_map(|l| l.trim().strip_prefix("nameserver"))
        .filter_map(|l| l.split('%').next().unwrap_or_default().trim().parse().ok())
        .take(3)
        .collect()
}

/// Whether an IPv4 address is on a network that this machine is part of, with nobody between.
#[cfg(target_os = "linux")]
pub fn is_near(ip: IpAddr) -> Option<bool> {
    let IpAddr::V4(ip) = ip else { return None };
    if ip.is_loopback() {
        return Some(true);
    }
    // proc(5): little-endian hex words; columns Destination, Gateway, …, Mask.
    let table = std::fs::read_to_string("/proc/net/route").ok()?;
    let word = |t: &str| u32::from_str_radix(t, 16).ok().map(u32::from_be);
    let target = u32::from(ip);
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let f: Vec<&str> = line.split_whitespace().collect();
            let (net, gateway, mask) = (word(f.get(1)?)?, word(f.get(2)?)?, word(f.get(7)?)?);
            (target & mask == net).then_some((mask, gateway == 0))
        })
        .max_by_key(|(mask, _)| *mask)
        .map(|(_, near)| near)
}

#[cfg(not(target_os = "linux"))]
pub fn is_near(_ip: IpAddr) -> Option<bool> {
    None
}

/// `PATH` with another ending after the one that it has.
trait WithExtensionAdded {
    fn with_extension_added(&self, extension: &str) -> PathBuf;
}

impl WithExtensionAdded for PathBuf {
    fn with_extension_added(&self, extension: &str) -> PathBuf {
        let mut name = self.clone().into_os_string();
        name.push(".");
        name.push(extension);
        PathBuf::from(name)
    }
}
