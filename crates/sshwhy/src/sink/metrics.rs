//! Prometheus: the text format (exposition format 0.0.4), and a tiny HTTP/1.1 listener for `/metrics` and `/healthz`.
//!
//! The listener answers GET and HEAD, one request a connection. It is for a scraper on this machine: loopback unless the
//! settings name another address. What it reads is bounded in bytes and in time, and so is how many it serves at once.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A request's head may be this long, and take this long to come; its answer may take as long to be read.
const LONGEST_HEAD: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(5);
/// Served at the same time; more wait in the system's queue.
const MOST_AT_ONCE: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Counter,
    Gauge,
}

/// One page of metrics as it is written: a family, then its samples.
#[derive(Clone, Debug, Default)]
pub struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a family; the samples that follow are its own.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.family = name;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample; labels' values are anybody's text.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(self.family);
        for (i, (name, text)) in labels.iter().enumerate() {
            self.text.push(if i == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        if value.is_nan() {
            self.text.push_str(" NaN\n");
        } else if value.is_infinite() {
            self.text
                .push_str(if value > 0.0 { " +Inf\n" } else { " -Inf\n" });
        } else {
            let _ = writeln!(self.text, " {value}");
        }
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

/// What the listener shows; asked anew at every request.
pub trait Source: Send + Sync + 'static {
    fn metrics(&self) -> String;
    /// `Err` says what is wrong: the answer is 503 with that text.
    fn health(&self) -> Result<String, String>;
}

/// The listener; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    pub addr: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start(addr: SocketAddr, source: Arc<dyn Source>) -> Result<Server, String> {
        let listener = TcpListener::bind(addr)
            .map_err(|e| format!("cannot listen at {addr} for /metrics: {e}"))?;
        let addr = listener.local_addr().unwrap_or(addr);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || accept(&listener, &source, &stopped))
            .map_err(|e| format!("cannot start the thread for /metrics: {e}"))?;
        Ok(Server { addr, stop })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for the next connection.
        let _ = TcpStream::connect_timeout(&self.addr, Duration::from_millis(200));
    }
}

fn accept(listener: &TcpListener, source: &Arc<dyn Source>, stop: &AtomicBool) {
    let busy = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = listener.accept();
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: it passes.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        while busy.load(Ordering::SeqCst) >= MOST_AT_ONCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        busy.fetch_add(1, Ordering::SeqCst);
        let (source, mine) = (Arc::clone(source), Arc::clone(&busy));
        let spawned = std::thread::Builder::new().spawn(move || {
            let _ = serve(stream, source.as_ref());
            mine.fetch_sub(1, Ordering::SeqCst);
        });
        if spawned.is_err() {
            busy.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn serve(mut stream: TcpStream, source: &dyn Source) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = head(&mut stream)?;
    let (status, kind, body, head_only) = answer(&head, source);
    let more = match status {
        "405 Method Not Allowed" => "Allow: GET, HEAD\r\n",
        _ => "",
    };
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{more}Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if !head_only {
        out.push_str(&body);
    }
    stream.write_all(out.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // What the other side still says is heard out, briefly, so that closing does not reset what it has to read.
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut rest = [0; 1024];
    for _ in 0..8 {
        if stream.read(&mut rest)? == 0 {
            break;
        }
    }
    Ok(())
}

/// The request up to its empty line; empty where it is too long or too slow.
fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let end = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > LONGEST_HEAD {
            return Ok(Vec::new());
        }
        stream.set_read_timeout(Some(left))?;
        let n = match stream.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(Vec::new()),
        };
        head.extend_from_slice(buffer.get(..n).unwrap_or_default());
        let done = memchr::memmem::find(&head, b"\r\n\r\n").is_some()
            || memchr::memmem::find(&head, b"\n\n").is_some();
        if n == 0 || done {
            return Ok(head);
        }
    }
}

fn answer(head: &[u8], source: &dyn Source) -> (&'static str, &'static str, String, bool) {
    const TEXT: &str = "text/plain; charset=utf-8";
    const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.0" | "HTTP/1.1")) = (method, target, version)
    else {
        return (
            "400 Bad Request",
            TEXT,
            "no HTTP request\n".to_owned(),
            false,
        );
    };
    let head_only = method == "HEAD";
    if !head_only && method != "GET" {
        let text = "only GET and HEAD\n".to_owned();
        return ("405 Method Not Allowed", TEXT, text, false);
    }
    match target.split('?').next().unwrap_or_default() {
        "/metrics" => ("200 OK", METRICS, source.metrics(), head_only),
        "/healthz" => match source.health() {
            Ok(text) => ("200 OK", TEXT, text, head_only),
            Err(text) => ("503 Service Unavailable", TEXT, text, head_only),
        },
        "/" => {
            let text = "sshwhy: /metrics and /healthz\n".to_owned();
            ("200 OK", TEXT, text, head_only)
        }
        _ => (
            "404 Not Found",
            TEXT,
            "/metrics and /healthz are here\n".to_owned(),
            head_only,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Source for Fixed {
        fn metrics(&self) -> String {
            let mut page = Page::default();
            page.family("probe_success", Kind::Gauge, "Whether it is \\ up\nnow");
            page.sample(&[("target", "a\"b\\c\nd"), ("x", "é")], 1.0);
            page.sample(&[], 0.25);
            page.family("n_total", Kind::Counter, "How many");
            page.sample(&[], f64::NAN);
            page.into_text()
        }
        fn health(&self) -> Result<String, String> {
            Err("behind\n".to_owned())
        }
    }

    fn ask(addr: SocketAddr, request: &[u8]) -> String {
        let mut s = TcpStream::connect(addr).unwrap();
        s.write_all(request).unwrap();
        let mut out = String::new();
        s.read_to_string(&mut out).unwrap();
        out
    }

    #[test]
    fn the_format_is_prometheus_own() {
        assert_eq!(
            Fixed.metrics(),
            "# HELP probe_success Whether it is \\\\ up\\nnow\n# TYPE probe_success gauge\n\
             probe_success{target=\"a\\\"b\\\\c\\nd\",x=\"é\"} 1\nprobe_success 0.25\n\
             # HELP n_total How many\n# TYPE n_total counter\nn_total NaN\n"
        );
    }

    #[test]
    fn it_serves_what_it_has_and_refuses_the_rest() {
        let server = Server::start(([127, 0, 0, 1], 0).into(), Arc::new(Fixed)).unwrap();
        let at = server.addr;
        let page = ask(at, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
        assert!(page.contains("version=0.0.4"));
        assert!(page.ends_with("n_total NaN\n"));
        let head = ask(at, b"HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"));
        for (request, status) in [
            (&b"GET /healthz HTTP/1.0\n\n"[..], "503"),
            (b"GET /healthz?a=b HTTP/1.0\n\n", "503"),
            (b"GET / HTTP/1.1\r\n\r\n", "200"),
            (b"GET /etc/passwd HTTP/1.1\r\n\r\n", "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"SSH-2.0-x\r\n\r\n", "400"),
            (b"\xff\xfe\x00\r\n\r\n", "400"),
        ] {
            let said = ask(at, request);
            assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
        }
        let long = [b"GET /".to_vec(), vec![b'a'; 3 * LONGEST_HEAD]].concat();
        assert!(ask(at, &long[..LONGEST_HEAD + 2000]).starts_with("HTTP/1.1 400"));
        // Many who connect and say nothing take no place from one who asks, up to the limit.
        let silent: Vec<TcpStream> = (0..MOST_AT_ONCE - 1)
            .map(|_| TcpStream::connect(at).unwrap())
            .collect();
        assert!(ask(at, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
        drop(silent);
        drop(server);
        let gone = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            TcpStream::connect(at).is_err()
        });
        assert!(gone, "it still listens");
    }
}
