//! What answers and is no SSH server, or a broken one: each is left in time and within bounds.

use super::*;
use std::io::Write;

/// Serves every connection with a function, each in a thread of its own.
fn serve(with: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || with(stream));
        }
    });
    port
}

fn against(name: &str, with: fn(TcpStream)) -> Value {
    let home = Home::new(name);
    home.probe(serve(with), &[])
}

/// Until the other side has gone.
fn hold(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
}

#[test]
fn a_plain_acceptor_never_greets() {
    let answer = against("acceptor", hold);
    assert_eq!(
        causes(&answer).first(),
        Some(&"banner-timeout"),
        "{answer:#}"
    );
    assert_eq!(state(&answer, "ident"), "failed");
}

#[test]
fn web_servers_are_no_ssh() {
    let answer = against("http", |mut s| {
        let mut buffer = [0; 512];
        let _ = s.read(&mut buffer);
        let _ = s.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    assert_eq!(
        causes(&answer).first(),
        Some(&"not-ssh-service"),
        "{answer:#}"
    );
    assert_eq!(values(&answer, "ident.protocol"), ["http"]);
    let answer = against("tls", |mut s| {
        let mut buffer = [0; 512];
        let _ = s.read(&mut buffer);
        // A fatal alert: unexpected message.
        let _ = s.write_all(&[0x15, 3, 3, 0, 2, 2, 10]);
    });
    assert_eq!(values(&answer, "ident.protocol"), ["tls"], "{answer:#}");
}

#[test]
fn a_tarpit_is_told_from_a_slow_server() {
    let answer = against("tarpit", |mut s| {
        while s.write_all(b"9d2f\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(150));
        }
    });
    assert_eq!(causes(&answer).first(), Some(&"tarpit"), "{answer:#}");
    let answer = against("bytes", |mut s| {
        for b in b"SSH-2.0-Slow\r\n" {
            if s.write_all(&[*b]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        hold(s);
    });
    assert_eq!(
        values(&answer, "ident.server"),
        ["SSH-2.0-Slow"],
        "{answer:#}"
    );
    assert_eq!(state(&answer, "ident"), "passed");
    assert_eq!(state(&answer, "kex"), "failed");
}

#[test]
fn who_never_reads_and_who_never_stops_are_left() {
    let answer = against("deaf", |mut s| {
        let _ = s.write_all(b"SSH-2.0-Deaf\r\n");
        std::thread::sleep(Duration::from_secs(30));
    });
    assert_eq!(state(&answer, "kex"), "failed", "{answer:#}");
    let answer = against("flood", |mut s| {
        let junk = vec![b'x'; 1 << 16];
        for _ in 0..160 {
            if s.write_all(&junk).is_err() {
                return;
            }
        }
        let _ = s.write_all(b"\r\nSSH-2.0-Late\r\n");
    });
    assert_eq!(state(&answer, "ident"), "failed", "{answer:#}");
    // After the greeting: a packet that is none, and lengths that cannot be.
    let answer = against("garbage", |mut s| {
        let _ = s.write_all(b"SSH-2.0-Garbage\r\n");
        let _ = s.write_all(&[0xff; 100_000]);
        hold(s);
    });
    assert_eq!(state(&answer, "kex"), "failed", "{answer:#}");
}
