//! One message over one channel: how it is worded there, what is escaped, and what went wrong.

use super::Batch;
use super::settings::{Email, Exec, Format, Journal, Markup, Syslog, Tls, Webhook, fill};
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{Message, SmtpTransport, Transport};
use serde_json::json;
use sshwhy_core::finding::Severity;
use sshwhy_core::render::escape;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A datagram to syslog that is longer may be cut or refused.
const LONGEST_LINE: usize = 2000;

/// Why it was not sent, and whether trying again may help.
pub struct Failure {
    pub why: String,
    pub passes: bool,
}

fn lasting(why: impl std::fmt::Display) -> Failure {
    Failure {
        why: why.to_string(),
        passes: false,
    }
}

fn passing(why: impl std::fmt::Display) -> Failure {
    Failure {
        why: why.to_string(),
        passes: true,
    }
}

pub enum Way {
    Webhook(Box<Webhook>, ureq::tls::RootCerts),
    Email(Box<Email>, Option<String>),
    Exec(Exec),
    Syslog(Syslog),
    Journal(Journal),
}

impl Way {
    pub fn webhook(w: &Webhook) -> Result<Way, String> {
        let roots = match &w.ca_file {
            None => ureq::tls::RootCerts::WebPki,
            Some(file) => {
                let name = file.display();
                let pem = std::fs::read(file).map_err(|e| format!("cannot read {name}: {e}"))?;
                let mut all = Vec::new();
                for item in ureq::tls::parse_pem(&pem) {
                    if let ureq::tls::PemItem::Certificate(c) =
                        item.map_err(|e| format!("{name}: {e}"))?
                    {
                        all.push(c);
                    }
                }
                if all.is_empty() {
                    return Err(format!("{name}: no certificate in it"));
                }
                ureq::tls::RootCerts::new_with_certs(&all)
            }
        };
        Ok(Way::Webhook(Box::new(w.clone()), roots))
    }

    pub fn email(e: &Email) -> Result<Way, String> {
        let password = match &e.password_file {
            None => None,
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|e| format!("cannot read {}: {e}", file.display()))?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        Ok(Way::Email(Box::new(e.clone()), password))
    }

    pub fn send(&self, batch: &Batch, host: &str, timeout: Duration) -> Result<(), Failure> {
        match self {
            Way::Webhook(w, roots) => webhook(w, roots, batch, host, timeout),
            Way::Email(e, password) => email(e, password.as_deref(), batch, host, timeout),
            Way::Exec(e) => exec(e, batch, host, timeout),
            Way::Syslog(s) => syslog(s, batch),
            Way::Journal(j) => journal(j, batch),
        }
    }
}

/// The alerts as JSON, for webhooks without a body and for programs.
fn as_json(batch: &Batch, host: &str) -> String {
    json!({"host": host, "count": batch.count(), "alerts": batch.alerts}).to_string()
}

/// A value for people: its lines stay lines, and nothing in them is invisible or a control sequence.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(escape::terminal).collect();
    lines.join("\n")
}

fn marked(text: &str, markup: Markup) -> String {
    let each = |escaped: fn(&str) -> String| -> String {
        let lines: Vec<String> = text.lines().map(escaped).collect();
        lines.join("\n")
    };
    match markup {
        Markup::None => shown(text),
        Markup::Slack => shown(text)
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;"),
        Markup::Html => each(|l| escape::html(l).into_owned()),
        Markup::Markdown => each(|l| escape::markdown(l).into_owned()),
    }
}

/// As it stands between the quotes of a JSON string.
fn in_json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted
        .strip_prefix('"')
        .and_then(|q| q.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned()
}

/// RFC 3986 section 2.1: everything but unreserved characters.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// One line of ASCII, as a header may hold it.
fn in_header(text: &str) -> String {
    shown(text)
        .chars()
        .map(|c| match c {
            ' '..='~' => c,
            '…' => '.',
            _ => '?',
        })
        .take(500)
        .collect()
}

fn body(w: &Webhook, batch: &Batch, host: &str) -> (String, &'static str) {
    let Some(template) = &w.body else {
        return (as_json(batch, host), "application/json");
    };
    let format = w.format.unwrap_or_else(|| {
        let json = template.trim_start().starts_with(['{', '[']);
        if json { Format::Json } else { Format::Text }
    });
    let text = fill(template, |name| {
        let value = marked(&batch.value(name, host), w.markup);
        match format {
            Format::Json => in_json(&value),
            Format::Form => percent(&value),
            Format::Text => value,
        }
    });
    let kind = match format {
        Format::Json => "application/json",
        Format::Form => "application/x-www-form-urlencoded",
        Format::Text => "text/plain; charset=utf-8",
    };
    (text, kind)
}

fn webhook(
    w: &Webhook,
    roots: &ureq::tls::RootCerts,
    batch: &Batch,
    host: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("sshwhy/", env!("CARGO_PKG_VERSION")))
        .tls_config(
            ureq::tls::TlsConfig::builder()
                .root_certs(roots.clone())
                .build(),
        )
        .allow_non_standard_methods(true)
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let url = fill(&w.url, |name| percent(&batch.value(name, host)));
    let (body, kind) = body(w, batch, host);
    let mut request = ureq::http::Request::builder()
        .method(w.method.as_str())
        .uri(url);
    let has_kind = w
        .headers
        .keys()
        .any(|h| h.eq_ignore_ascii_case("content-type"));
    if !has_kind {
        request = request.header("content-type", kind);
    }
    for (name, value) in &w.headers {
        let value = fill(value, |name| in_header(&batch.value(name, host)));
        request = request.header(name, value);
    }
    let request = request
        .body(body)
        .map_err(|e| lasting(format!("the settings make no request: {e}")))?;
    // The error never names the URL: with many receivers the URL is the secret.
    let mut response = agent
        .run(request)
        .map_err(|e| passing(format!("no answer: {e}")))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let mut said = Vec::new();
    let _ = response
        .body_mut()
        .as_reader()
        .take(300)
        .read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    let why = format!("answered {status}: {}", escape::terminal(said.trim()));
    let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
    Err(Failure { why, passes })
}

fn email(
    e: &Email,
    password: Option<&str>,
    batch: &Batch,
    host: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let subject = e
        .subject
        .as_deref()
        .unwrap_or("[sshwhy] {state}: {headline}");
    let text = e
        .body
        .as_deref()
        .unwrap_or("{text}\n\nseverity: {severity}\nsince: {time}\nfrom: sshwhy on {host}\n");
    let value = |name: &str| shown(&batch.value(name, host));
    let subject = fill(subject, value).replace('\n', " ");
    let mut message = Message::builder()
        .from(e.from.parse().map_err(lasting)?)
        .subject(subject.chars().take(200).collect::<String>())
        .header(ContentType::TEXT_PLAIN);
    for to in &e.to {
        message = message.to(to.parse().map_err(lasting)?);
    }
    let message = message
        .body(fill(text, value).replace('\n', "\r\n"))
        .map_err(|e| lasting(format!("the settings make no message: {e}")))?;
    let builder = match e.tls {
        Tls::Starttls => SmtpTransport::starttls_relay(&e.server).map_err(lasting)?,
        Tls::Implicit => SmtpTransport::relay(&e.server).map_err(lasting)?,
        Tls::None => SmtpTransport::builder_dangerous(&e.server),
    };
    let mut builder = builder.timeout(Some(timeout));
    if let Some(port) = e.port {
        builder = builder.port(port);
    }
    if let (Some(user), Some(password)) = (&e.username, password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.to_owned()));
    }
    match builder.build().send(&message) {
        Ok(_) => Ok(()),
        Err(why) if why.is_permanent() => Err(lasting(format!("{}: {why}", e.server))),
        Err(why) => Err(passing(format!("{}: {why}", e.server))),
    }
}

fn exec(e: &Exec, batch: &Batch, host: &str, timeout: Duration) -> Result<(), Failure> {
    let Some((program, arguments)) = e.command.split_first() else {
        return Err(lasting("no command"));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for name in super::settings::PLACEHOLDERS {
        let value = shown(&batch.value(name, host)).replace('\0', "");
        command.env(format!("SSHWHY_{}", name.to_uppercase()), value);
    }
    let mut child = command
        .spawn()
        .map_err(|why| lasting(format!("cannot run {program}: {why}")))?;
    let input = as_json(batch, host);
    // In its own thread: a program that does not read must not hold us up.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = std::thread::Builder::new().spawn(move || stdin.write_all(input.as_bytes()));
    }
    let end = Instant::now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(lasting(format!("{program}: {status}"))),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(lasting(format!(
                    "{program} was still running after {} s and was ended",
                    timeout.as_secs_f64()
                )));
            }
            Err(why) => return Err(lasting(format!("{program}: {why}"))),
        }
    }
}

/// RFC 5424 section 6.2.1.
fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    }
}

#[cfg(unix)]
fn datagram(socket: &std::path::Path, bytes: &[u8]) -> Result<(), Failure> {
    let name = socket.display();
    let from = std::os::unix::net::UnixDatagram::unbound().map_err(passing)?;
    let _ = from.set_write_timeout(Some(Duration::from_secs(2)));
    from.send_to(bytes, socket)
        .map_err(|e| passing(format!("cannot write to {name}: {e}")))?;
    Ok(())
}

#[cfg(not(unix))]
fn datagram(_: &std::path::Path, _: &[u8]) -> Result<(), Failure> {
    Err(lasting("there is no syslog on this system"))
}

fn syslog(s: &Syslog, batch: &Batch) -> Result<(), Failure> {
    for a in &batch.alerts {
        let code = u16::from(s.facility) * 8 + u16::from(priority(a.severity));
        let text = format!("{} {}: {}", a.subject, a.state, a.headline);
        let text: String = escape::terminal(&text).chars().take(LONGEST_LINE).collect();
        let line = format!("<{code}>sshwhy[{}]: {text}", std::process::id());
        datagram(&s.socket, line.as_bytes())?;
    }
    Ok(())
}

/// The journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a value with line breaks goes with its length.
fn journal(j: &Journal, batch: &Batch) -> Result<(), Failure> {
    for a in &batch.alerts {
        let mut out = Vec::new();
        let message = format!("{} {}: {}", a.subject, a.state, a.headline);
        let message = escape::terminal(&message).into_owned();
        let priority = priority(a.severity).to_string();
        for (name, value) in [
            ("MESSAGE", message.as_str()),
            ("PRIORITY", &priority),
            ("SYSLOG_IDENTIFIER", "sshwhy"),
            ("SSHWHY_SUBJECT", &a.subject),
            ("SSHWHY_STATE", &a.state),
            ("SSHWHY_SLUG", &a.slug),
            ("SSHWHY_DETAILS", &a.details),
        ] {
            let value = value.as_bytes();
            let value = value
                .get(..value.len().min(4 * LONGEST_LINE))
                .unwrap_or_default();
            out.extend_from_slice(name.as_bytes());
            out.push(b'\n');
            out.extend_from_slice(&(value.len() as u64).to_le_bytes());
            out.extend_from_slice(value);
            out.push(b'\n');
        }
        datagram(&j.socket, &out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Alert, Notifier, settings::Channels, tests::alert};
    use super::*;
    use crate::settings::parse;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// Takes one request and answers it; what came is handed back.
    fn receiver(answers: Vec<&'static str>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let mut got = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let mut request = String::new();
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap();
                    }
                    request.push_str(&line);
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                request.push_str(&String::from_utf8(body).unwrap());
                got.push(request);
                let answer = format!(
                    "HTTP/1.1 {answer}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
                );
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            got
        });
        (port, thread)
    }

    fn notifier(text: &str) -> Notifier {
        let c: Channels = parse(text, "t").unwrap();
        Notifier::start(&c, "mon1").unwrap()
    }

    fn hostile() -> Alert {
        Alert {
            headline: "a \"quoted\" <!channel> \\ \u{1b}[31m & é\nnext".to_owned(),
            ..alert(1)
        }
    }

    #[test]
    fn a_webhook_gets_json_that_is_json_whatever_the_text() {
        let (port, thread) = receiver(vec!["200 OK"]);
        let n = notifier(&format!(
            "[[webhook]]\nname = \"w\"\nurl = \"http://127.0.0.1:{port}/a?s={{subject}}\"\nheaders = {{ X-Title = \"{{headline}}\" }}\n\
             body = '{{\"text\": \"{{state}} {{headline}}\"}}'\nmarkup = \"slack\"\nlimit.batch = \"0s\""
        ));
        n.send(&hostile());
        let got = thread.join().unwrap();
        let request = &got[0];
        assert!(
            request.starts_with("POST /a?s=web1 HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("content-type: application/json"),
            "{request}"
        );
        let title = request.lines().find(|l| l.starts_with("x-title")).unwrap();
        assert!(
            title.contains("quoted") && title.ends_with("next"),
            "{title}"
        );
        let body = request.split("\r\n\r\n").nth(1).unwrap();
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            value["text"],
            "down a \"quoted\" &lt;!channel&gt; \\ \\x1b[31m &amp; é\nnext"
        );
        n.finish(Duration::from_secs(5));
    }

    #[test]
    fn what_passes_is_tried_again_and_what_lasts_is_counted() {
        let (port, thread) = receiver(vec!["503 Busy", "200 OK", "403 Forbidden"]);
        let n = notifier(&format!(
            "[[webhook]]\nurl = \"http://127.0.0.1:{port}/\"\nlimit.batch = \"0s\""
        ));
        n.send(&alert(1));
        let wait = |n: &Notifier, done: &dyn Fn(&super::super::Fare) -> bool| {
            for _ in 0..500 {
                if done(&n.fares()[0]) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            panic!("{:?}", n.fares());
        };
        wait(&n, &|f| f.sent == 1);
        n.send(&alert(2));
        wait(&n, &|f| f.failed == 1);
        let got = thread.join().unwrap();
        assert!(
            got[1].contains("\"headline\":\"web1 does not answer\""),
            "{}",
            got[1]
        );
        let error = n.fares()[0].last_error.clone().unwrap();
        assert!(
            error.contains("403") && !error.contains("127.0.0.1"),
            "{error}"
        );
    }

    #[test]
    fn a_channel_that_hangs_holds_nobody_up() {
        // Accepts and never answers.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (good, thread) = receiver(vec!["200 OK"]);
        let n = notifier(&format!(
            "[[webhook]]\nname = \"hangs\"\nurl = \"http://127.0.0.1:{port}/\"\nlimit.batch = \"0s\"\n\
             [[webhook]]\nname = \"works\"\nurl = \"http://127.0.0.1:{good}/\"\nlimit.batch = \"500ms\""
        ));
        let start = Instant::now();
        for i in 0..2000 {
            n.send(&alert(i));
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        let got = thread.join().unwrap();
        assert!(got[0].contains("\"count\":"), "{}", got[0]);
        let fares = n.fares();
        assert!(fares[0].dropped >= 1000, "{fares:?}");
        assert_eq!(fares[0].sent, 0);
    }

    #[test]
    fn a_program_gets_the_alert_and_is_ended_when_it_hangs() {
        let dir = std::env::temp_dir().join(format!("sshwhy-exec-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let out = dir.join("out");
        let n = notifier(&format!(
            "[[exec]]\ncommand = [\"sh\", \"-c\", \"{{ cat; echo; echo \\\"$SSHWHY_STATE/$SSHWHY_HEADLINE\\\"; }} > {0}.new && mv {0}.new {0}\"]\nlimit.batch = \"0s\"\n\
             [[exec]]\ncommand = [\"sleep\", \"600\"]\nlimit = {{ batch = \"0s\", timeout = \"1s\" }}",
            out.display()
        ));
        n.send(&alert(1));
        for _ in 0..1000 {
            if out.exists() && n.fares()[1].failed == 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = std::fs::read_to_string(&out).unwrap();
        let (json, env) = text.split_once('\n').unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(value["alerts"][0]["severity"], "high");
        assert_eq!(env.trim(), "down/web1 does not answer");
        let fares = n.fares();
        assert!(
            fares[1]
                .last_error
                .as_deref()
                .is_some_and(|e| e.contains("was ended")),
            "{fares:?}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn syslog_and_the_journal_get_datagrams() {
        let dir = std::env::temp_dir().join(format!("sshwhy-syslog-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let (log, journal) = (dir.join("log"), dir.join("journal"));
        let bind = |p| {
            let s = std::os::unix::net::UnixDatagram::bind(p).unwrap();
            s.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            s
        };
        let (at_log, at_journal) = (bind(&log), bind(&journal));
        let n = notifier(&format!(
            "[[syslog]]\nsocket = \"{}\"\nlimit.batch = \"0s\"\n[[journal]]\nsocket = \"{}\"\nlimit.batch = \"0s\"",
            log.display(),
            journal.display()
        ));
        n.send(&hostile());
        let mut buffer = [0; 8192];
        let got = at_log.recv(&mut buffer).unwrap();
        let line = String::from_utf8_lossy(&buffer[..got]).into_owned();
        assert!(line.starts_with("<27>sshwhy["), "{line}");
        assert!(
            line.ends_with("\\x1b[31m & é\\nnext") || line.contains("\\x0a"),
            "{line}"
        );
        assert!(!line.contains('\n'));
        let got = at_journal.recv(&mut buffer).unwrap();
        let fields = &buffer[..got];
        assert!(fields.starts_with(b"MESSAGE\n"));
        let n8 = u64::from_le_bytes(fields[8..16].try_into().unwrap());
        assert_eq!(fields[16 + n8 as usize], b'\n');
        assert!(String::from_utf8_lossy(fields).contains("SSHWHY_SLUG"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn mail_goes_by_smtp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut all = String::new();
            reader.get_mut().write_all(b"220 sink ESMTP\r\n").unwrap();
            let mut data = false;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 {
                    return all;
                }
                all.push_str(&line);
                let answer: &[u8] = match line.trim_end() {
                    "." if data => {
                        data = false;
                        b"250 ok\r\n"
                    }
                    _ if data => continue,
                    "DATA" => {
                        data = true;
                        b"354 go on\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    l if l.starts_with("EHLO") => b"250 sink\r\n",
                    _ => b"250 ok\r\n",
                };
                reader.get_mut().write_all(answer).unwrap();
                if line.starts_with("QUIT") {
                    return all;
                }
            }
        });
        let n = notifier(&format!(
            "[[email]]\nserver = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nfrom = \"sshwhy <m@host.example>\"\nto = [\"admin@host.example\"]\nlimit.batch = \"0s\""
        ));
        n.send(&hostile());
        n.finish(Duration::from_secs(10));
        let all = thread.join().unwrap();
        assert!(all.contains("RCPT TO:<admin@host.example>"), "{all}");
        assert!(all.contains("Subject: "), "{all}");
        assert!(!all.contains('\u{1b}'), "{all}");
    }
}
