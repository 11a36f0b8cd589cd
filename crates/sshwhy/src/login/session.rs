//! After the login: what may a session do? Runs nothing but `exit 0`, and opens what the user's command would open.

use super::{Ears, see};
use russh::client::Handle;
use russh::{ChannelMsg, ChannelOpenFailure};
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::says;
use std::time::Duration;

/// Every shell takes it, and does nothing else.
const HARMLESS: &str = "exit 0";
/// How much of a session's output is kept.
const MOST_OUTPUT: usize = 8 << 10;

/// What the user's command would ask of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// A session is opened at all (no `-N`, no `-W`).
    pub session: bool,
    pub tty: bool,
    /// The sftp subsystem, as scp and sftp use it.
    pub sftp: bool,
    /// What is to be reached through the server: `-W`, `-L`.
    pub forward: Vec<(String, u16)>,
    /// Where the server is to listen: `-R`.
    pub listen: Vec<(String, u16)>,
}

pub async fn look(
    handle: &mut Handle<Ears>,
    wish: &Wish,
    wait: Duration,
    out: &mut Vec<Observation>,
) {
    for (host, port) in wish.forward.iter().take(4) {
        forward(handle, host, *port, wait, out).await;
    }
    for (host, port) in wish.listen.iter().take(4) {
        listen(handle, host, *port, wait, out).await;
    }
    if wish.session {
        session(handle, wish, wait, out).await;
    }
}

async fn forward(
    handle: &mut Handle<Ears>,
    host: &str,
    port: u16,
    wait: Duration,
    out: &mut Vec<Observation>,
) {
    let about = format!("{host}:{port}");
    let open = handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
    let (word, text) = match tokio::time::timeout(wait, open).await {
        Ok(Ok(channel)) => {
            let _ = channel.close().await;
            let text = format!("the server connects to {about}");
            out.push(see(Gate::Session, "forward.probe", "ok", &about, text));
            return;
        }
        Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))) => {
            ("connect-failed", "the server could not connect to it")
        }
        Ok(Err(russh::Error::ChannelOpenFailure(
            ChannelOpenFailure::AdministrativelyProhibited,
        ))) => ("prohibited", "the server forbids it"),
        Ok(Err(russh::Error::ChannelOpenFailure(_))) => {
            ("unknown-channel", "the server does not do that")
        }
        Ok(Err(_)) => return,
        Err(_) => ("connect-failed", "no answer came"),
    };
    let text = format!("forwarding to {about}: {text}");
    out.push(see(Gate::Session, "forward.end", word, &about, text));
}

async fn listen(
    handle: &mut Handle<Ears>,
    host: &str,
    port: u16,
    wait: Duration,
    out: &mut Vec<Observation>,
) {
    let about = format!("{host}:{port}");
    let asked = handle.tcpip_forward(host, u32::from(port));
    match tokio::time::timeout(wait, asked).await {
        Ok(Ok(_)) => {
            let undo = handle.cancel_tcpip_forward(host, u32::from(port));
            let _ = tokio::time::timeout(wait, undo).await;
            let text = format!("the server would listen on {about}");
            out.push(see(Gate::Session, "forward.probe", "ok", &about, text));
        }
        Ok(Err(russh::Error::RequestDenied)) => {
            let text = format!("the server does not listen on {about} for us");
            out.push(see(
                Gate::Session,
                "forward.end",
                "remote-failed",
                &about,
                text,
            ));
        }
        _ => {}
    }
}

async fn session(
    handle: &mut Handle<Ears>,
    wish: &Wish,
    wait: Duration,
    out: &mut Vec<Observation>,
) {
    let mut channel = match tokio::time::timeout(wait, handle.channel_open_session()).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(russh::Error::ChannelOpenFailure(why))) => {
            let text = format!("the server opens no session: {why:?}");
            out.push(see(Gate::Session, "session.open", "refused", "", text));
            return;
        }
        Ok(Err(_)) => return,
        Err(_) => {
            let text = "no answer to opening a session".to_owned();
            out.push(see(Gate::Session, "session.end", "timeout", "", text));
            return;
        }
    };
    let text = "the server opens a session".to_owned();
    out.push(see(Gate::Session, "session.open", "ok", "", text));
    if wish.tty {
        let asked = channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await;
        if asked.is_ok() && !granted(&mut channel, wait).await {
            let text = "the server gives no terminal".to_owned();
            out.push(see(
                Gate::Session,
                "session.request",
                "pty-refused",
                "",
                text,
            ));
        }
    }
    let (asked, refused) = if wish.sftp {
        let asked = channel.request_subsystem(true, "sftp").await;
        (asked, "subsystem-refused")
    } else {
        (channel.exec(true, HARMLESS).await, "exec-refused")
    };
    if asked.is_err() {
        return;
    }
    if !granted(&mut channel, wait).await {
        if handle.is_closed() {
            return;
        }
        let text = format!(
            "the server refused {}",
            if wish.sftp { "sftp" } else { HARMLESS }
        );
        out.push(see(Gate::Session, "session.request", refused, "", text));
        return;
    }
    if wish.sftp {
        // SSH_FXP_INIT, version 3 (draft-ietf-secsh-filexfer-02): the answer is a packet, or whatever a shell prints.
        let hello: &[u8] = &[0, 0, 0, 5, 1, 0, 0, 0, 3];
        let _ = channel.data(hello).await;
    }
    let heard = listen_to(&mut channel, wait, wish.sftp).await;
    facts(&heard, wish, out);
    let _ = channel.close().await;
}

/// Until the server answers the last request; `true` where it agrees.
async fn granted(channel: &mut russh::Channel<russh::client::Msg>, wait: Duration) -> bool {
    let answer = async {
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return true,
                Some(ChannelMsg::Failure | ChannelMsg::Close) | None => return false,
                Some(_) => {}
            }
        }
    };
    tokio::time::timeout(wait, answer).await.unwrap_or(false)
}

#[derive(Default)]
struct Session {
    output: Vec<u8>,
    exit: Option<u32>,
    signal: Option<String>,
    closed: bool,
    timed_out: bool,
}

async fn listen_to(
    channel: &mut russh::Channel<russh::client::Msg>,
    wait: Duration,
    sftp: bool,
) -> Session {
    let mut heard = Session::default();
    let listening = async {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => {
                    let room = MOST_OUTPUT.saturating_sub(heard.output.len());
                    let part = data.get(..room.min(data.len())).unwrap_or_default();
                    heard.output.extend_from_slice(part);
                    if heard.output.len() >= MOST_OUTPUT || sftp && heard.output.len() >= 9 {
                        return;
                    }
                }
                ChannelMsg::ExitStatus { exit_status } => heard.exit = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    heard.signal = Some(format!("{signal_name:?}"));
                }
                ChannelMsg::Close => {
                    heard.closed = true;
                    return;
                }
                _ => {}
            }
        }
    };
    heard.timed_out = tokio::time::timeout(wait, listening).await.is_err();
    heard
}

/// The facts of what was heard.
fn facts(heard: &Session, wish: &Wish, out: &mut Vec<Observation>) {
    let is_packet =
        wish.sftp && heard.output.first() == Some(&0) && heard.output.get(4) == Some(&2);
    if is_packet {
        let text = "the sftp server answers".to_owned();
        out.push(see(Gate::Session, "session.end", "ok", "", text));
        return;
    }
    let text = String::from_utf8_lossy(&heard.output);
    let mut told = false;
    for line in text.lines().filter(|l| !l.trim().is_empty()).take(20) {
        let (gate, key, word) = match (says::account(line, true), says::session(line)) {
            (Some(word), _) => (Gate::Account, "account.says", word),
            (None, Some(word)) => (Gate::Session, "session.says", word),
            (None, None) => continue,
        };
        told = true;
        out.push(see(gate, key, word, "", line.to_owned()));
    }
    let first = text.lines().find(|l| !l.trim().is_empty());
    if let (Some(line), false) = (first, told) {
        let (word, about) = if wish.sftp {
            ("not-clean", "sftp")
        } else {
            ("some", HARMLESS)
        };
        let (key, text) = if wish.sftp {
            (
                "session.says",
                format!("instead of sftp's answer came: {line}"),
            )
        } else {
            ("session.output", format!("{HARMLESS} printed: {line}"))
        };
        out.push(see(Gate::Session, key, word, about, text));
    }
    let ran = if wish.sftp { "sftp" } else { HARMLESS };
    match (heard.exit, &heard.signal) {
        (Some(0), _) if !wish.sftp => {
            let text = format!("{ran} ended with 0");
            out.push(see(Gate::Session, "session.end", "ok", "", text));
        }
        (Some(code), _) => {
            let text = format!("{ran} ended with {code}");
            out.push(see(
                Gate::Session,
                "session.exit",
                &code.to_string(),
                ran,
                text.clone(),
            ));
            out.push(see(Gate::Session, "session.end", "exit", ran, text));
        }
        (None, Some(signal)) => {
            let text = format!("{ran} was ended by signal {signal}");
            out.push(see(Gate::Session, "session.end", "signal", ran, text));
        }
        (None, None) if heard.timed_out => {
            let text = format!("{ran} did not end");
            out.push(see(Gate::Session, "session.end", "timeout", ran, text));
        }
        (None, None) => {
            let text = format!("the session ended before {ran} did");
            out.push(see(Gate::Session, "session.end", "closed", ran, text));
        }
    }
}
