//! `trace collect`, `trace arm` and `trace disarm`: what is done on the source node itself.

use super::reading::now;
use super::report::print;
use crate::cli::{ArmWith, TextOrJson, TraceArm, TraceCollect, TraceDisarm};
use crate::collect::{self, Order};
use crate::exit::Exit;
use crate::watch::{self, Hours, KEY, Watch};
use crate::{client, zone};
use sshwhy_core::render::escape::terminal as esc;
use sshwhy_core::time::Time;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub fn collect(args: &TraceCollect) -> Result<Exit, String> {
    let now = now();
    let zone = zone::named(&args.tz)?;
    let (since, until) = (
        zone::moment(&args.since, &zone, now)?,
        zone::moment(&args.until, &zone, now)?,
    );
    if since >= until {
        return Err(format!("--since ({since}) is not before --until ({until})"));
    }
    if !args.root.is_dir() {
        return Err(format!("{}: no folder is there", args.root.display()));
    }
    let out = args.out.clone().unwrap_or_else(|| {
        let host = std::fs::read_to_string(args.root.join("etc/hostname")).unwrap_or_default();
        let host: String = host
            .trim()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .take(60)
            .collect();
        let stamp: String = now
            .to_string()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric())
            .take(15)
            .collect();
        let host = if host.is_empty() {
            "node".to_owned()
        } else {
            host
        };
        PathBuf::from(format!("sshwhy-{host}-{stamp}Z.tar.zst"))
    });
    let manifest = collect::run(&Order {
        since,
        until,
        now,
        out: out.clone(),
        root: args.root.clone(),
        sockets: args.socket.clone(),
        most: args.max_size.saturating_mul(1 << 20),
        most_log: args.max_log.saturating_mul(1 << 20),
        most_files: args.max_files,
        time_limit: Duration::from_secs(args.time_limit),
    })?;
    let mut text = String::new();
    if args.format == TextOrJson::Json {
        text = serde_json::to_string_pretty(&manifest).map_err(|e| e.to_string())? + "\n";
    } else {
        let bytes: u64 = manifest.files.iter().map(|f| f.bytes).sum();
        let _ = writeln!(
            text,
            "{}: {} files, {bytes} bytes unpacked, from {since} until {until}",
            out.display(),
            manifest.files.len()
        );
        for f in manifest.files.iter().filter(|f| !f.cut.is_empty()) {
            let _ = writeln!(text, "  in part: {}: {}", esc(&f.source), esc(&f.cut));
        }
        for r in &manifest.refused {
            let _ = writeln!(text, "  not had: {}: {}", esc(&r.what), esc(&r.why));
        }
        let _ = writeln!(
            text,
            "Read it where the target's log is: sshwhy trace --log LOG --evidence {}",
            out.display()
        );
    }
    if out.as_os_str() == "-" {
        // Standard output is the archive.
        eprint!("{text}");
    } else {
        print(text.as_bytes())?;
    }
    let partial = manifest.files.iter().any(|f| !f.cut.is_empty()) || manifest.files.len() < 3;
    Ok(if partial { Exit::Partial } else { Exit::Ok })
}

/// `192.0.2.1`, `192.0.2.1:2222`, `2001:db8::7`, `[2001:db8::7]:2222`
fn target(text: &str) -> Result<(IpAddr, u16), String> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Ok((addr.ip(), addr.port()));
    }
    text.trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .map(|ip| (ip, 22))
        .map_err(|_| {
            format!("{text:?} is no address: give 192.0.2.1, 192.0.2.1:2222 or [2001:db8::7]:2222")
        })
}

const SOON: Duration = Duration::from_secs(10);

fn auditctl(rule: &str) -> Result<String, String> {
    let arguments: Vec<String> = rule.split(' ').map(str::to_owned).collect();
    let ran = client::run("auditctl", &arguments, SOON).map_err(|e| format!("auditctl: {e}"))?;
    match ran.code {
        Some(0) => Ok(ran.out),
        _ => Err(format!("auditctl {rule}: {}", ran.err.trim())),
    }
}

/// Whether auditd takes rules: `None` yes, else why not.
fn no_auditd() -> Option<String> {
    match auditctl("-s") {
        Err(e) => Some(e),
        Ok(status) => {
            let says = |key: &str| {
                status
                    .lines()
                    .find_map(|l| l.strip_prefix(key))
                    .map(str::trim)
                    .map(str::to_owned)
            };
            match (says("enabled "), says("pid ")) {
                (Some(e), _) if e == "2" => {
                    Some("the audit rules are locked until the next boot".to_owned())
                }
                (Some(e), _) if e == "0" => Some("auditing is switched off".to_owned()),
                (_, Some(p)) if p == "0" => Some("no auditd runs".to_owned()),
                _ => None,
            }
        }
    }
}

pub fn arm(args: &TraceArm) -> Result<Exit, String> {
    let (ip, port) = target(&args.target)?;
    let zone = zone::named(&args.tz)?;
    let hours = args
        .window
        .as_deref()
        .map(|w| Hours::parse(w, zone.clone()))
        .transpose()?;
    let at = now();
    let until = args
        .until
        .as_deref()
        .map(|u| zone::moment(u, &zone, at))
        .transpose()?
        // `04:00` in the evening is tomorrow's.
        .map(|t| {
            if t <= at
                && args
                    .until
                    .as_deref()
                    .is_some_and(|u| u.len() <= 8 && u.contains(':'))
            {
                Time(t.0 + sshwhy_core::time::DAY)
            } else {
                t
            }
        });
    if until.is_some_and(|u| u <= at) {
        return Err("--until is over already".to_owned());
    }
    let refused = no_auditd();
    let by_audit = match args.with {
        Some(with) => with == ArmWith::Auditd,
        None => refused.is_none(),
    };
    let mut text = String::new();
    if by_audit {
        let _ = writeln!(
            text,
            "# connects to addresses of that family and programs that start; only port {port} of {ip} counts when it is read"
        );
        for rule in watch::rules(ip) {
            let _ = writeln!(text, "auditctl {rule}");
        }
        let _ = writeln!(text, "# afterwards\nauditctl -D -k {KEY}");
    } else {
        if let (None, Some(why)) = (args.with, &refused) {
            let _ = writeln!(
                text,
                "# without auditd ({}): this program watches itself",
                why.lines().next().unwrap_or_default()
            );
        }
        let _ = writeln!(
            text,
            "# who connects to {ip} port {port} is written to {}, {} MiB at most",
            args.out.display(),
            args.max_size
        );
    }
    if !args.apply {
        let _ = writeln!(text, "# nothing was done: add --apply");
        print(text.as_bytes())?;
        return Ok(Exit::Ok);
    }
    print(text.as_bytes())?;
    if by_audit {
        return arm_audit(ip, hours.as_ref(), until, refused);
    }
    let pid_file = pid_file(&args.out);
    std::fs::write(&pid_file, std::process::id().to_string())
        .map_err(|e| format!("cannot write {}: {e}", pid_file.display()))?;
    let stop = watch::stopped();
    let done = watch::run(
        &Watch {
            target: Some(ip),
            port,
            hours,
            until,
            most: args.max_size.saturating_mul(1 << 20),
        },
        &args.out,
        &stop,
    );
    // It may be gone already; then disarm removed it.
    let _ = std::fs::remove_file(&pid_file);
    let done = done?;
    let mut text = format!("{} connections were recorded\n", done.connections);
    if done.nameless > 0 {
        let _ = writeln!(
            text,
            "{} of them were over before their process was found",
            done.nameless
        );
    }
    for note in &done.notes {
        let _ = writeln!(text, "note: {note}");
    }
    if done.full {
        let _ = writeln!(
            text,
            "{} is full: what came later was not recorded",
            args.out.display()
        );
    }
    print(text.as_bytes())?;
    Ok(if done.full { Exit::Partial } else { Exit::Ok })
}

fn arm_audit(
    ip: IpAddr,
    hours: Option<&Hours>,
    until: Option<Time>,
    refused: Option<String>,
) -> Result<Exit, String> {
    if let Some(why) = refused {
        return Err(format!(
            "auditd does not record here: {why}; try --with watch"
        ));
    }
    let load = || -> Result<(), String> {
        for rule in watch::rules(ip) {
            if let Err(e) = auditctl(&rule) {
                // Half of the rules would be taken for all of them.
                let _ = auditctl(&format!("-D -k {KEY}"));
                return Err(e);
            }
        }
        Ok(())
    };
    if hours.is_none() && until.is_none() {
        load()?;
        print(b"the rules are loaded until the next boot, or until: sshwhy trace disarm\n")?;
        return Ok(Exit::Ok);
    }
    let stop = watch::stopped();
    let done = toggle(hours, until, &stop, &load, &|| {
        auditctl(&format!("-D -k {KEY}")).map(drop)
    });
    done.map(|()| Exit::Ok)
}

/// Loads within the hours, takes away outside of them and at the end.
fn toggle(
    hours: Option<&Hours>,
    until: Option<Time>,
    stop: &AtomicBool,
    load: &dyn Fn() -> Result<(), String>,
    unload: &dyn Fn() -> Result<(), String>,
) -> Result<(), String> {
    let mut loaded = false;
    while !stop.load(Ordering::SeqCst) && until.is_none_or(|u| now() < u) {
        let wanted = hours.is_none_or(|h| h.holds(now()));
        if wanted != loaded {
            if wanted {
                load()?
            } else {
                unload()?
            }
            loaded = wanted;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    if loaded { unload() } else { Ok(()) }
}

fn pid_file(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".pid");
    PathBuf::from(name)
}

pub fn disarm(args: &TraceDisarm) -> Result<Exit, String> {
    let mut text = String::new();
    let mut failed = None;
    // Without auditctl there are no rules; where it refuses, there may be.
    let mut unknown = false;
    match auditctl("-l") {
        Ok(list) if list.contains(KEY) => match auditctl(&format!("-D -k {KEY}")) {
            Ok(_) => text.push_str("the audit rules are gone\n"),
            Err(e) => failed = Some(e),
        },
        Ok(_) => text.push_str("no audit rules of ours are loaded\n"),
        Err(e) => {
            unknown = !e.contains("No such file");
            let _ = writeln!(
                text,
                "audit rules cannot be listed: {}",
                e.lines().next().unwrap_or_default()
            );
        }
    }
    let file = pid_file(&args.out);
    let pid: Option<i32> = std::fs::read_to_string(&file)
        .ok()
        .and_then(|t| t.trim().parse().ok());
    match pid {
        None => text.push_str("no watcher is running\n"),
        Some(pid) => {
            // The number may be another program's by now.
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
            let ours = words.contains(&&b"trace"[..]) && words.contains(&&b"arm"[..]);
            let stopped = match rustix::process::Pid::from_raw(pid).filter(|_| ours) {
                Some(pid) => rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                    .map_err(|e| e.to_string()),
                None => Ok(()),
            };
            match stopped {
                Ok(()) => {
                    // The watcher removes it too.
                    let _ = std::fs::remove_file(&file);
                    text.push_str(if ours {
                        "the watcher was told to end\n"
                    } else {
                        "no watcher is running\n"
                    });
                }
                Err(e) => {
                    failed = Some(format!("the watcher (process {pid}) cannot be ended: {e}"))
                }
            }
        }
    }
    print(text.as_bytes())?;
    match failed {
        Some(e) => Err(e),
        None if unknown => Ok(Exit::Partial),
        None => Ok(Exit::Ok),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn targets_with_and_without_a_port() {
        let of = |t: &str| target(t).map(|(ip, port)| format!("{ip} {port}")).ok();
        assert_eq!(of("192.0.2.1").as_deref(), Some("192.0.2.1 22"));
        assert_eq!(of("192.0.2.1:2222").as_deref(), Some("192.0.2.1 2222"));
        assert_eq!(of("2001:db8::7").as_deref(), Some("2001:db8::7 22"));
        assert_eq!(
            of("[2001:db8::7]:2222").as_deref(),
            Some("2001:db8::7 2222")
        );
        assert_eq!(of("db-3"), None);
    }

    #[test]
    fn rules_are_taken_away_at_the_end() {
        let log = RefCell::new(Vec::new());
        let stop = AtomicBool::new(false);
        let add = |what: &'static str| {
            log.borrow_mut().push(what);
            Ok(())
        };
        let end = Time(now().0 + 300_000);
        toggle(None, Some(end), &stop, &|| add("load"), &|| add("unload")).unwrap();
        assert_eq!(*log.borrow(), ["load", "unload"]);
        log.borrow_mut().clear();
        let never = Hours {
            from: 0,
            until: 0,
            zone: sshwhy_core::time::Zone::utc(),
        };
        let closed = Hours {
            from: 1,
            until: 0,
            ..never
        };
        // Always open but for one minute: only the end closes it.
        let open = closed.holds(now());
        toggle(
            Some(&closed),
            Some(Time(now().0 + 300_000)),
            &stop,
            &|| add("load"),
            &|| add("unload"),
        )
        .unwrap();
        assert_eq!(log.borrow().is_empty(), !open);
    }
}
