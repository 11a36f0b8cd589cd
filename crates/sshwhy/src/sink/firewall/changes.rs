//! Whether anybody changed the rules of nftables: the kernel tells it (`NFNLGRP_NFTABLES`, linux/netfilter/nfnetlink.h), so that nobody
//! has to run `nft` again and again to see that nothing happened.

use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Group 7, as a bit.
const NFTABLES: u32 = 1 << 6;

const MOST: usize = 10_000;

/// Listens to what the kernel says of its rules.
pub struct Changes(OwnedFd);

impl Changes {
    /// `None` where the kernel does not let us listen.
    pub fn listen() -> Option<Changes> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(NETFILTER),
        )
        .ok()?;
        bind(&fd, &SocketAddrNetlink::new(0, NFTABLES)).ok()?;
        Some(Changes(fd))
    }

    /// Whether anything changed since this was asked last: by us too.
    pub fn any(&self) -> bool {
        let mut some = false;
        let mut room = [0u8; 8192];
        // A stream that does not end is a change, and is read on the next time.
        for _ in 0..MOST {
            match recv(&self.0, &mut room, RecvFlags::TRUNC) {
                Ok(_) => some = true,
                // More than could be held: that much changed.
                Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => some = true,
                Err(_) => break,
            }
        }
        some
    }
}

/// To wait for: readable where something changed.
impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
