//! The kernel's process connector: tells of every program that starts (`linux/cn_proc.h`). Root of the first namespaces only.

use super::process::{Memory, look};
use super::sockets::message;
use rustix::net::netlink::{CONNECTOR, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};
use std::io;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

/// `CN_IDX_PROC`, also the number of its group, and `CN_VAL_PROC`.
const PROC: u32 = 1;
const LISTEN: u32 = 1;
const EXEC: u32 = 2;
const NLMSG_DONE: u16 = 3;

/// Remembers every program that starts from now on, as long as this process lives; `started` wakes whoever looks at sockets, and says
/// which process it is: it may be the first one of a network namespace.
pub fn listen(memory: Arc<Mutex<Memory>>, started: SyncSender<u32>) -> io::Result<()> {
    let fd = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(CONNECTOR),
    )?;
    bind(&fd, &SocketAddrNetlink::new(0, PROC))?;
    sendto(
        &fd,
        &subscribe(),
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    std::thread::spawn(move || {
        let mut buf = vec![0u8; 64 << 10];
        loop {
            let n = match recv(&fd, &mut buf, RecvFlags::empty()) {
                Ok((n, _)) => n,
                // Too many at once: some are lost, the next ones are not.
                Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            };
            let mut rest = buf.get(..n).unwrap_or_default();
            while let Some((_, body, after)) = message(rest) {
                rest = after;
                if let Some(pid) = execution(body)
                    && let Some(seen) = look(pid)
                {
                    super::lock(&memory).put(seen);
                    // Whoever is that far behind finds it in the next list of all processes.
                    let _ = started.try_send(pid);
                }
            }
        }
    });
    Ok(())
}

/// `struct nlmsghdr`, `struct cn_msg`, `PROC_CN_MCAST_LISTEN`
fn subscribe() -> Vec<u8> {
    let mut m = Vec::with_capacity(40);
    m.extend(40u32.to_ne_bytes());
    m.extend(NLMSG_DONE.to_ne_bytes());
    m.extend([0; 2]);
    m.extend(0u32.to_ne_bytes());
    m.extend(std::process::id().to_ne_bytes());
    m.extend(PROC.to_ne_bytes());
    m.extend(PROC.to_ne_bytes());
    m.extend([0; 8]);
    m.extend(4u16.to_ne_bytes());
    m.extend([0; 2]);
    m.extend(LISTEN.to_ne_bytes());
    m
}

/// The process of an event that says that a program started: `cn_msg` of 20 bytes, `proc_event` with its kind first.
fn execution(body: &[u8]) -> Option<u32> {
    let word = |at: usize| Some(u32::from_ne_bytes(body.get(at..at + 4)?.try_into().ok()?));
    (word(20)? == EXEC).then(|| word(36 + 4))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executions_count() {
        let mut body = vec![0u8; 44];
        body[20..24].copy_from_slice(&EXEC.to_ne_bytes());
        body[40..44].copy_from_slice(&4214u32.to_ne_bytes());
        assert_eq!(execution(&body), Some(4214));
        body[20] = 1;
        assert_eq!(execution(&body), None);
        assert_eq!(execution(&body[..30]), None);
        assert_eq!(subscribe().len(), 40);
    }
}
