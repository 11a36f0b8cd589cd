//! `guard`: keep them out. Parses nothing and judges nothing: starts the halves, asks the running one, shows the answer.

use super::reading::now;
use super::report::print;
use crate::cli::{Guard as Args, GuardVerb, TextOrJson};
use crate::exit::Exit;
use crate::feed::Feed;
use crate::guard::config::{Config, PATH};
use crate::guard::control::Request;
use crate::guard::{dry, half, test, worker};
use crate::host::machine::Machine;
use crate::source::expand;
use crate::zone;
use serde_json::{Value, json};
use sshwhy_core::ban::Decider;
use sshwhy_core::render::escape;
use sshwhy_core::render::words::{moment, thousands};
use sshwhy_core::time::human_span;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

pub fn run(args: Args) -> Result<Exit, String> {
    let config = args.config.as_deref();
    match &args.verb {
        None if args.worker => worker::run().map(|()| Exit::Ok),
        None if args.panic => panic(config),
        None if !args.dry_run.is_empty() => dry_run(&args),
        None => half::run(config).map(|()| Exit::Ok),
        Some(GuardVerb::Status { format }) => status(config, *format),
        Some(GuardVerb::Test { port, wait }) => canary(config, *port, *wait),
        Some(GuardVerb::CheckConfig) => check(config),
    }
}

fn check(named: Option<&Path>) -> Result<Exit, String> {
    let (config, _, name) = Config::load(named)?;
    let (files, journal) = crate::guard::tail::choose(&config);
    let mut logs: Vec<String> = files.iter().map(|p| p.display().to_string()).collect();
    if journal {
        logs.push("the journal".to_owned());
    }
    let from = match name.as_str() {
        "defaults" => format!("{PATH} is not there: the defaults are in force"),
        name => format!("{name} is right"),
    };
    let follows = match logs.is_empty() {
        true => "no log: none of the usual ones is there".to_owned(),
        false => logs.join(", "),
    };
    print(
        format!(
            "{from}\nfollows: {follows}\nfirewall: {}\nstate: {}\n",
            config.firewall.backend,
            config.state.display()
        )
        .as_bytes(),
    )?;
    let followed = crate::guard::tail::followed(&config);
    let breaks = crate::host::logging::breaks(&Machine::here(), &followed);
    for b in &breaks {
        let (what, next) = (escape::terminal(&b.what), escape::terminal(&b.next));
        print(format!("blind: {what}\n    {next}\n").as_bytes())?;
    }
    Ok(if logs.is_empty() || !breaks.is_empty() {
        Exit::Findings
    } else {
        Exit::Ok
    })
}

/// Lifts everything, whether a guard is running or not.
fn panic(named: Option<&Path>) -> Result<Exit, String> {
    // A broken file shall not keep anybody locked out.
    let config = Config::load(named).map_or_else(
        |e| {
            eprintln!("sshwhy: {e}; going on with the defaults");
            Config::default()
        },
        |(c, ..)| c,
    );
    let file = &config.panic_file;
    if let Some(folder) = file.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    std::fs::write(file, b"").map_err(|e| format!("cannot make {}: {e}", file.display()))?;
    half::open_firewall(&config)?
        .flush()
        .map_err(|t| t.to_string())?;
    print(
        format!(
            "every ban is lifted, and nobody is banned until {} is removed\n",
            file.display()
        )
        .as_bytes(),
    )?;
    Ok(Exit::Ok)
}

fn canary(named: Option<&Path>, port: u16, wait: u64) -> Result<Exit, String> {
    let (config, ..) = Config::load(named)?;
    match test::run(&config, port, Duration::from_secs(wait))? {
        Ok(took) => {
            print(
                format!(
                    "seen after {} ms: guard sees what sshd writes\n",
                    took.as_millis()
                )
                .as_bytes(),
            )?;
            Ok(Exit::Ok)
        }
        Err(what) => {
            print(format!("blind: {what}\nsshd writes somewhere else than guard reads, or not at all: see `sshwhy guard status`, LogLevel and SyslogFacility in sshd_config, and where rsyslog or journald put them\n").as_bytes())?;
            Ok(Exit::Findings)
        }
    }
}

fn status(named: Option<&Path>, format: TextOrJson) -> Result<Exit, String> {
    let (config, ..) = Config::load(named)?;
    let answer = worker::ask(&config, &Request::Status)?;
    let findings = answer["findings"].as_array().cloned().unwrap_or_default();
    let bad = findings
        .iter()
        .any(|f| !matches!(f["severity"].as_str(), Some("informational" | "low")));
    let text = match format {
        TextOrJson::Json => format!("{answer}\n"),
        TextOrJson::Text => status_text(&answer, &findings),
    };
    print(text.as_bytes())?;
    Ok(if bad { Exit::Findings } else { Exit::Ok })
}

fn status_text(a: &Value, findings: &[Value]) -> String {
    let mut out = String::new();
    let word = |v: &Value| escape::terminal(v.as_str().unwrap_or_default()).into_owned();
    let number = |v: &Value| thousands(v.as_u64().unwrap_or_default());
    if findings.is_empty() {
        let _ = writeln!(out, "guard sees, and keeps out");
    }
    for f in findings {
        let _ = writeln!(out, "{}: {}", word(&f["severity"]), word(&f["headline"]));
        for note in f["notes"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "    {}", word(note));
        }
    }
    let up = a["up"].as_i64().unwrap_or_default();
    let _ = writeln!(
        out,
        "\nup {}, firewall {}, {} banned, {} sources counted, {} spared, {} refused",
        human_span(up.saturating_mul(1_000_000)),
        word(&a["firewall"]),
        number(&a["banned"]),
        number(&a["sources"]),
        number(&a["spared"]),
        number(&a["refused"]),
    );
    for log in a["logs"].as_array().into_iter().flatten() {
        let s = &log["sight"];
        let _ = writeln!(
            out,
            "{}{}: {} lines, {} about logins, {} not understood, {} failures, {} logins{}",
            word(&log["name"]),
            if log["open"] == true {
                ""
            } else {
                " (cannot be read)"
            },
            number(&s["lines"]),
            number(&s["ssh"]),
            number(&s["unknown"]),
            number(&s["failures"]),
            number(&s["accepted"]),
            if log["behind"] == true {
                "; its past is still being read"
            } else {
                ""
            },
        );
    }
    let _ = writeln!(out, "confined: {}", word(&a["confined"]));
    out
}

fn dry_run(args: &Args) -> Result<Exit, String> {
    let (config, ..) = Config::load(args.config.as_deref())?;
    let zone = zone::named(&config.tz)?;
    let mut feed = Feed::new(expand(&args.dry_run), zone.clone(), args.year, now());
    let mut decider = Decider::new(config.policy());
    decider.admins.extend(config.never.admins.iter().cloned());
    decider.key_login = config.key_login();
    let machine = Machine::here();
    let mut names = crate::host::never::Names::default();
    // Only the allow-list: whose log it is, is not known.
    let listed = crate::host::never::gather(&machine, &config.never.allow, &mut names);
    for fact in listed
        .facts
        .iter()
        .filter(|f| f.why == sshwhy_core::ban::Why::Listed)
    {
        decider.never.add(sshwhy_core::ban::Never {
            net: fact.net,
            why: fact.why,
            until: None,
        });
    }
    let out = dry::run(&mut feed, decider, &zone);
    for s in &feed.skipped {
        eprintln!(
            "sshwhy: {}: {}; {}",
            escape::terminal(&s.name),
            s.what,
            s.advice
        );
    }
    if out.lines == 0 {
        return Err("no line could be read".to_owned());
    }
    let speaking = out.rows.iter().filter(|(_, r)| r.speaks());
    if args.format == TextOrJson::Json {
        let rows: Vec<Value> = speaking
            .map(|(ip, r)| {
                json!({
                    "addr": ip, "bans": r.bans, "fail2ban_first": r.fail2ban, "fail2ban_bans": r.fail2ban_bans,
                    "spared": r.spared, "failures": r.failures, "accepted": r.accepted, "prevented": r.prevented,
                })
            })
            .collect();
        let value = json!({ "lines": out.lines, "first": out.first, "last": out.last, "addresses": rows, "networks": out.wide });
        print(format!("{value}\n").as_bytes())?;
        return Ok(Exit::Ok);
    }
    let mut text = String::new();
    let (mut ours, mut theirs, mut both) = (0, 0, 0);
    let rows: Vec<_> = speaking.collect();
    if !rows.is_empty() {
        let _ = writeln!(
            text,
            "{:<40} {:<19} {:<19} why",
            "address", "sshwhy bans", "fail2ban bans"
        );
    }
    for (ip, r) in rows {
        let first = r.bans.first();
        ours += usize::from(first.is_some());
        theirs += usize::from(r.fail2ban.is_some());
        both += usize::from(first.is_some() && r.fail2ban.is_some());
        let mut why = match (first, &r.spared) {
            (Some(b), _) => format!("{}: {}", b.detector, escape::terminal(&b.reason)),
            (None, Some(why)) => format!("spared: {why}"),
            (None, None) => "not a guesser to us".to_owned(),
        };
        if r.bans.len() > 1 {
            let _ = write!(why, "; {} bans in all", r.bans.len());
        }
        if r.accepted > 0 {
            let s = if r.accepted == 1 { "" } else { "s" };
            let _ = write!(why, "; {} login{s} from there", r.accepted);
            if r.prevented > 0 {
                let _ = write!(why, ", {} of them after that", r.prevented);
            }
        }
        let _ = writeln!(
            text,
            "{:<40} {:<19} {:<19} {why}",
            ip.to_string(),
            first.map_or_else(|| "-".to_owned(), |b| moment(b.since, &zone)),
            r.fail2ban
                .map_or_else(|| "-".to_owned(), |t| moment(t, &zone)),
        );
    }
    for b in &out.wide {
        let _ = writeln!(
            text,
            "{:<40} {:<19} {:<19} {}: {}",
            b.net.to_string(),
            moment(b.since, &zone),
            "-",
            b.detector,
            escape::terminal(&b.reason)
        );
    }
    let _ = writeln!(
        text,
        "{} lines read: sshwhy would have banned {ours} addresses and {} networks, fail2ban's defaults {theirs} addresses ({both} by both)",
        thousands(out.lines),
        out.wide.len()
    );
    print(text.as_bytes())?;
    Ok(Exit::Ok)
}
