//! The system calls for which no safe binding exists: connecting with a say in hops and segment size, and hearing which
//! ICMP message answered.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How to connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dial {
    /// How many hops the packets live; the system's own number where nothing is said.
    pub hops: Option<u8>,
    /// The largest segment, both ways.
    pub segment: Option<u16>,
    /// The address to call from, where it is of the same family as the one that is called.
    pub bind: Option<IpAddr>,
}

/// An ICMP message that answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Icmp {
    pub from: IpAddr,
    /// Of ICMP, or of ICMPv6.
    pub kind: u8,
    pub code: u8,
    pub v6: bool,
}

impl Icmp {
    /// The word of the catalogue (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3.1).
    pub fn word(self) -> &'static str {
        match (self.v6, self.kind, self.code) {
            (false, 3, 0 | 6) | (true, 1, 0) => "net",
            (false, 3, 1 | 7) | (true, 1, 3) => "host",
            (false, 3, 3) | (true, 1, 4) => "port",
            (false, 3, 9 | 11) => "net-prohibited",
            (false, 3, 10 | 12) => "host-prohibited",
            (false, 3, 13) | (true, 1, 1 | 5 | 6) => "admin-prohibited",
            _ => "other",
        }
    }

    /// A packet's life was over on the way.
    pub fn is_time_exceeded(self) -> bool {
        matches!((self.v6, self.kind), (false, 11) | (true, 3))
    }
}

/// How connecting ended.
#[derive(Debug)]
pub struct Dialled {
    pub result: Result<TcpStream, io::Error>,
    pub icmp: Option<Icmp>,
    pub took: Duration,
}

/// Connects, and waits no longer than `timeout`.
#[cfg(not(target_os = "linux"))]
pub fn dial(addr: SocketAddr, _how: Dial, timeout: Duration) -> Dialled {
    let start = Instant::now();
    Dialled {
        result: TcpStream::connect_timeout(&addr, timeout),
        icmp: None,
        took: start.elapsed(),
    }
}

/// Connects, and waits no longer than `timeout`.
#[cfg(target_os = "linux")]
pub fn dial(addr: SocketAddr, how: Dial, timeout: Duration) -> Dialled {
    let start = Instant::now();
    let mut icmp = None;
    let result = linux::dial(addr, how, timeout, &mut icmp);
    Dialled {
        result,
        icmp,
        took: start.elapsed(),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Dial, Icmp};
    use std::io;
    use std::mem::{size_of, zeroed};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::time::{Duration, Instant};

    fn last() -> io::Error {
        io::Error::last_os_error()
    }

    fn set(
        fd: &OwnedFd,
        level: libc::c_int,
        name: libc::c_int,
        value: libc::c_int,
    ) -> io::Result<()> {
        // SAFETY: `value` lives for the call, and its size is given.
        let done = unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if done == 0 { Ok(()) } else { Err(last()) }
    }

    pub fn dial(
        addr: SocketAddr,
        how: Dial,
        timeout: Duration,
        icmp: &mut Option<Icmp>,
    ) -> io::Result<TcpStream> {
        let v6 = addr.is_ipv6();
        let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        // SAFETY: no pointers; the result is checked before it is owned.
        let fd = unsafe {
            let raw = libc::socket(
                family,
                libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                0,
            );
            if raw < 0 {
                return Err(last());
            }
            OwnedFd::from_raw_fd(raw)
        };
        // Only to hear who answered; without it the answer is still an errno.
        let _ = if v6 {
            set(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
        } else {
            set(&fd, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
        };
        if let Some(hops) = how.hops {
            let hops = libc::c_int::from(hops);
            if v6 {
                set(&fd, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, hops)?;
            } else {
                set(&fd, libc::IPPROTO_IP, libc::IP_TTL, hops)?;
            }
        }
        if let Some(segment) = how.segment {
            let segment = libc::c_int::from(segment);
            set(&fd, libc::IPPROTO_TCP, libc::TCP_MAXSEG, segment)?;
        }
        if let Some(from) = how.bind.filter(|from| from.is_ipv6() == v6) {
            rustix::net::bind(&fd, &SocketAddr::new(from, 0))?;
        }
        let started = connect(&fd, addr);
        if let Err(e) = started
            && e.raw_os_error() != Some(libc::EINPROGRESS)
        {
            return Err(e);
        }
        wait(&fd, timeout)?;
        let mut error: libc::c_int = 0;
        let mut length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: both pointers live for the call, and `length` is the size of `error`.
        let got = unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                (&raw mut error).cast(),
                &raw mut length,
            )
        };
        if got != 0 {
            return Err(last());
        }
        if error != 0 {
            *icmp = error_queue(&fd);
            return Err(io::Error::from_raw_os_error(error));
        }
        let stream = TcpStream::from(fd);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    fn connect(fd: &OwnedFd, addr: SocketAddr) -> io::Result<()> {
        let done = match addr {
            SocketAddr::V4(a) => {
                // SAFETY: a socket address of zeros is a valid one.
                let mut raw: libc::sockaddr_in = unsafe { zeroed() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = a.port().to_be();
                raw.sin_addr.s_addr = u32::from(*a.ip()).to_be();
                // SAFETY: `raw` lives for the call, and its size is given.
                unsafe {
                    libc::connect(
                        fd.as_raw_fd(),
                        (&raw const raw).cast(),
                        size_of::<libc::sockaddr_in>() as libc::socklen_t,
                    )
                }
            }
            SocketAddr::V6(a) => {
                // SAFETY: a socket address of zeros is a valid one.
                let mut raw: libc::sockaddr_in6 = unsafe { zeroed() };
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = a.port().to_be();
                raw.sin6_addr.s6_addr = a.ip().octets();
                raw.sin6_scope_id = a.scope_id();
                // SAFETY: `raw` lives for the call, and its size is given.
                unsafe {
                    libc::connect(
                        fd.as_raw_fd(),
                        (&raw const raw).cast(),
                        size_of::<libc::sockaddr_in6>() as libc::socklen_t,
                    )
                }
            }
        };
        if done == 0 { Ok(()) } else { Err(last()) }
    }

    /// Until the socket is writable or has failed.
    fn wait(fd: &OwnedFd, timeout: Duration) -> io::Result<()> {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
            let mut poll = libc::pollfd {
                fd: fd.as_raw_fd(),
                events: libc::POLLOUT,
                revents: 0,
            };
            // SAFETY: one valid pollfd, which lives for the call.
            match unsafe { libc::poll(&raw mut poll, 1, millis) } {
                0 => return Err(io::Error::from(io::ErrorKind::TimedOut)),
                n if n > 0 => return Ok(()),
                _ => {
                    let e = last();
                    if e.kind() != io::ErrorKind::Interrupted {
                        return Err(e);
                    }
                }
            }
        }
    }

    /// The ICMP message behind an error (ip(7) IP_RECVERR).
    fn error_queue(fd: &OwnedFd) -> Option<Icmp> {
        let mut data = [0_u8; 256];
        let mut control = [0_u64; 64]; // aligned as control messages must be
        let mut part = libc::iovec {
            iov_base: data.as_mut_ptr().cast(),
            iov_len: data.len(),
        };
        // SAFETY: a message header of zeros is a valid one; every pointer put in lives until the end of this function.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<[u64; 64]>();
        // SAFETY: the header describes buffers of ours with their true sizes.
        let n = unsafe {
            libc::recvmsg(
                fd.as_raw_fd(),
                &raw mut message,
                libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
            )
        };
        if n < 0 {
            return None;
        }
        // SAFETY: the kernel filled the control buffer, and the macros walk only inside `msg_controllen`.
        unsafe {
            let mut at = libc::CMSG_FIRSTHDR(&raw const message);
            while !at.is_null() {
                let v4 =
                    (*at).cmsg_level == libc::IPPROTO_IP && (*at).cmsg_type == libc::IP_RECVERR;
                let v6 =
                    (*at).cmsg_level == libc::IPPROTO_IPV6 && (*at).cmsg_type == libc::IPV6_RECVERR;
                let needed = size_of::<libc::sock_extended_err>() + size_of::<libc::sockaddr_in6>();
                let room = (*at).cmsg_len as usize >= needed
                    || v4
                        && (*at).cmsg_len as usize
                            >= size_of::<libc::sock_extended_err>()
                                + size_of::<libc::sockaddr_in>();
                if (v4 || v6) && room {
                    let error: libc::sock_extended_err = libc::CMSG_DATA(at)
                        .cast::<libc::sock_extended_err>()
                        .read_unaligned();
                    let sender = libc::CMSG_DATA(at).add(size_of::<libc::sock_extended_err>());
                    let from_icmp = matches!(
                        error.ee_origin,
                        libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6
                    );
                    if from_icmp {
                        let from = if v4 {
                            let a = sender.cast::<libc::sockaddr_in>().read_unaligned();
                            IpAddr::V4(Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr)))
                        } else {
                            let a = sender.cast::<libc::sockaddr_in6>().read_unaligned();
                            IpAddr::V6(Ipv6Addr::from(a.sin6_addr.s6_addr))
                        };
                        return Some(Icmp {
                            from,
                            kind: error.ee_type,
                            code: error.ee_code,
                            v6,
                        });
                    }
                }
                at = libc::CMSG_NXTHDR(&raw const message, at);
            }
        }
        None
    }
}

/// Who runs this program; 0 is root, and everybody where the system has no such number.
pub fn user_id() -> u32 {
    #[cfg(unix)]
    // SAFETY: no arguments, and it cannot fail.
    unsafe {
        libc::geteuid()
    }
    #[cfg(not(unix))]
    0
}

/// The program that this starts is told to end when the thread that starts it does: an interrupt leaves nothing behind. Only
/// Linux can; elsewhere a program ends when its input does.
#[cfg(unix)]
pub fn end_with_us(command: &mut std::process::Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: what runs between fork and exec is one system call without pointers.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, process::die_with_parent);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn connects_and_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let how = Dial {
            hops: Some(3),
            segment: Some(500),
            bind: Some(addr.ip()),
        };
        assert!(dial(addr, how, SOON).result.is_ok());
        drop(listener);
        let refused = dial(addr, Dial::default(), SOON);
        let kind = refused.result.unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::ConnectionRefused);
        assert_eq!(refused.icmp, None, "a reset is no ICMP message");
        let elsewhere = Dial {
            bind: Some(IpAddr::from([192, 0, 2, 1])),
            ..Dial::default()
        };
        let kind = dial(addr, elsewhere, SOON).result.unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn icmp_has_words() {
        let word = |v6, kind, code| {
            Icmp {
                from: IpAddr::from([192, 0, 2, 1]),
                kind,
                code,
                v6,
            }
            .word()
        };
        assert_eq!(word(false, 3, 1), "host");
        assert_eq!(word(false, 3, 10), "host-prohibited");
        assert_eq!(word(false, 3, 13), "admin-prohibited");
        assert_eq!(word(true, 1, 4), "port");
        assert_eq!(word(true, 3, 0), "other");
    }
}

/// A terminal whose echo is off while a secret is typed, put right also where the process is ended meanwhile.
#[cfg(unix)]
pub mod terminal {
    use std::io;
    use std::mem::zeroed;
    use std::os::fd::{AsRawFd, RawFd};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI32, Ordering};

    /// What ends a process that does not mind; the terminal's own signals are off while it is quiet.
    const ENDING: [libc::c_int; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];
    const NONE: RawFd = -1;
    /// The terminal that is quiet now.
    static QUIET: AtomicI32 = AtomicI32::new(NONE);
    /// How it was before it first was; nothing else here changes it.
    static BEFORE: OnceLock<libc::termios> = OnceLock::new();

    /// Quiet until it is dropped.
    pub struct Quiet {
        tty: RawFd,
        before: libc::termios,
        handlers: [Option<libc::sigaction>; 3],
    }

    impl Quiet {
        /// Neither echo nor lines nor signals from the keyboard: each letter comes as it is typed. `tty` must stay open as long.
        pub fn new(tty: &impl AsRawFd) -> io::Result<Quiet> {
            let tty = tty.as_raw_fd();
            // SAFETY: the structures are filled before they are used, and live for the calls.
            unsafe {
                let mut before: libc::termios = zeroed();
                if libc::tcgetattr(tty, &raw mut before) != 0 {
                    return Err(io::Error::last_os_error());
                }
                BEFORE.get_or_init(|| before);
                QUIET.store(tty, Ordering::SeqCst);
                let mut quiet = Quiet {
                    tty,
                    before,
                    handlers: [None; 3],
                };
                for (signal, place) in ENDING.into_iter().zip(&mut quiet.handlers) {
                    let mut new: libc::sigaction = zeroed();
                    let mut old: libc::sigaction = zeroed();
                    let handler: extern "C" fn(libc::c_int) = ended;
                    new.sa_sigaction = handler as libc::sighandler_t;
                    if libc::sigaction(signal, &raw const new, &raw mut old) == 0 {
                        *place = Some(old);
                        // Who was started to outlive its terminal goes on doing so.
                        if old.sa_sigaction == libc::SIG_IGN {
                            libc::sigaction(signal, &raw const old, std::ptr::null_mut());
                        }
                    }
                }
                let mut silent = before;
                silent.c_lflag &= !(libc::ICANON | libc::ISIG | libc::ECHO);
                if libc::tcsetattr(tty, libc::TCSAFLUSH, &raw const silent) != 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(quiet)
            }
        }
    }

    impl Drop for Quiet {
        fn drop(&mut self) {
            // SAFETY: what is put back is what the system gave.
            unsafe {
                libc::tcsetattr(self.tty, libc::TCSAFLUSH, &raw const self.before);
                for (signal, old) in ENDING.into_iter().zip(&self.handlers) {
                    if let Some(old) = old {
                        libc::sigaction(signal, &raw const *old, std::ptr::null_mut());
                    }
                }
            }
            QUIET.store(NONE, Ordering::SeqCst);
        }
    }

    /// Puts the terminal right and ends as the signal would have. Only calls that signal-safety(7) allows.
    extern "C" fn ended(signal: libc::c_int) {
        let tty = QUIET.load(Ordering::SeqCst);
        // SAFETY: the structure is never written again once it is there.
        unsafe {
            if let Some(before) = BEFORE.get()
                && tty != NONE
            {
                libc::tcsetattr(tty, libc::TCSANOW, &raw const *before);
            }
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    mod tests {
        use super::*;
        use std::io::{BufRead, BufReader};
        use std::os::fd::{FromRawFd, OwnedFd};
        use std::os::unix::process::ExitStatusExt;
        use std::process::{Command, Stdio};
        use std::ptr::null_mut;

        fn echoes(tty: &OwnedFd) -> bool {
            // SAFETY: as above.
            unsafe {
                let mut now: libc::termios = zeroed();
                assert_eq!(libc::tcgetattr(tty.as_raw_fd(), &raw mut now), 0);
                now.c_lflag & libc::ECHO != 0
            }
        }

        fn pty() -> (OwnedFd, OwnedFd) {
            let (mut ours, mut theirs) = (0, 0);
            // SAFETY: two new descriptors that nobody else has.
            unsafe {
                let made = libc::openpty(
                    &raw mut ours,
                    &raw mut theirs,
                    null_mut(),
                    null_mut(),
                    null_mut(),
                );
                assert_eq!(made, 0);
                (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
            }
        }

        const CHILD: &str = "SSHWHY_TEST_QUIET";

        #[test]
        fn echo_comes_back_when_it_was_typed_and_when_the_process_is_ended() {
            if std::env::var_os(CHILD).is_some() {
                let _quiet = Quiet::new(&io::stdin()).unwrap();
                eprintln!("quiet");
                std::thread::sleep(std::time::Duration::from_secs(60));
                unreachable!("nobody ended it");
            }
            let (_ours, theirs) = pty();
            assert!(echoes(&theirs));
            let quiet = Quiet::new(&theirs).unwrap();
            assert!(!echoes(&theirs));
            drop(quiet);
            assert!(echoes(&theirs));
            for signal in ENDING {
                let mut child = Command::new(std::env::current_exe().unwrap())
                    .args(["echo_comes_back_when_it_was_typed", "--nocapture"])
                    .env(CHILD, "1")
                    .stdin(theirs.try_clone().unwrap())
                    .stderr(Stdio::piped())
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap();
                let said = BufReader::new(child.stderr.take().unwrap());
                assert!(said.lines().any(|l| l.unwrap().contains("quiet")));
                assert!(!echoes(&theirs));
                // SAFETY: our own child, which nobody has waited for.
                assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
                assert_eq!(child.wait().unwrap().signal(), Some(signal));
                assert!(echoes(&theirs), "signal {signal}");
            }
        }
    }
}

/// Signals as something to read, and rights to be given up.
#[cfg(target_os = "linux")]
pub mod process {
    use std::io;
    use std::mem::zeroed;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    fn done(result: libc::c_int) -> io::Result<()> {
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// From now on SIGHUP, SIGTERM and SIGINT are read from here instead of ending the process. To be called before any
    /// thread is started.
    pub fn signals() -> io::Result<OwnedFd> {
        // SAFETY: an empty set is filled before it is used, and lives for the calls.
        unsafe {
            let mut set: libc::sigset_t = zeroed();
            done(libc::sigemptyset(&raw mut set))?;
            for signal in [libc::SIGHUP, libc::SIGTERM, libc::SIGINT] {
                done(libc::sigaddset(&raw mut set, signal))?;
            }
            match libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) {
                0 => {}
                e => return Err(io::Error::from_raw_os_error(e)),
            }
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }

    /// The next signal that came, if any.
    pub fn next_signal(fd: &OwnedFd) -> Option<i32> {
        let mut info = [0u8; 128];
        // SAFETY: the buffer is as long as said, which is what one record takes.
        let got = unsafe { libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), info.len()) };
        let number = info.first_chunk::<4>()?;
        (got == 128).then(|| i32::from_ne_bytes(*number))
    }

    /// Gives back what only the past needed: the pages of the program itself, which are read from its file again when they are
    /// needed, and what is free in the heap. For a process that waits for months after a start that needs much more.
    pub fn give_back() {
        // SAFETY: no pointers.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0);
        }
        // SAFETY: the callback is called during the call, and looks only at what it is given.
        unsafe {
            libc::dl_iterate_phdr(Some(own_pages), std::ptr::null_mut());
        }
    }

    /// Lets go of the segments of the first object, which is the program, that nothing was ever written to.
    unsafe extern "C" fn own_pages(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        _data: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader's list holds for the time of the call, and is as long as it says. A segment that cannot be written
        // to is its file's, page by page: what is given back comes from there again.
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE).max(1) as usize;
            for i in 0..usize::from((*info).dlpi_phnum) {
                let header = &*(*info).dlpi_phdr.add(i);
                if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
                    continue;
                }
                let begin = (*info).dlpi_addr as usize + header.p_vaddr as usize;
                let first = begin.next_multiple_of(page);
                let end = (begin + header.p_filesz as usize) / page * page;
                if end > first {
                    libc::madvise(
                        std::ptr::with_exposed_provenance_mut(first),
                        end - first,
                        libc::MADV_DONTNEED,
                    );
                }
            }
        }
        // Not the libraries.
        1
    }

    /// The child ends when we do.
    pub fn die_with_parent() -> io::Result<()> {
        // SAFETY: no pointers.
        done(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) })
    }

    /// Becomes somebody else for good, with these groups. Keeps nothing but the right to read any file, where `reader` asks
    /// for it: RHEL's log is root's alone.
    pub fn become_user(uid: u32, gid: u32, groups: &[u32], reader: bool) -> io::Result<()> {
        // SAFETY: `groups` lives for the call and its length is given; the others have no pointers but to values on the stack
        // that are laid out as the kernel asks (capability.h, version 3).
        unsafe {
            done(libc::setgroups(groups.len(), groups.as_ptr()))?;
            if reader {
                done(libc::prctl(libc::PR_SET_KEEPCAPS, 1))?;
            }
            done(libc::setgid(gid))?;
            done(libc::setuid(uid))?;
            if reader {
                const READ_SEARCH: u32 = 2;
                let head: [u32; 2] = [0x2008_0522, 0];
                let bit = 1u32 << READ_SEARCH;
                let data: [u32; 6] = [bit, bit, bit, 0, 0, 0];
                if libc::syscall(libc::SYS_capset, head.as_ptr(), data.as_ptr()) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // journalctl needs it too.
                done(libc::prctl(
                    libc::PR_CAP_AMBIENT,
                    libc::PR_CAP_AMBIENT_RAISE,
                    READ_SEARCH,
                    0,
                    0,
                ))?;
            }
            done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        }
    }
}
