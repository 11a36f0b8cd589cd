//! The first bytes of SSH, exactly: greetings, packets before encryption, the proposals, and the goodbye.
//!
//! Only what a probe needs before keys are agreed on (RFC 4253 sections 4.2, 6, 7 and 11). Everything is bounded, since the
//! other side may be anything. [`dns`] is the one query that tells /etc/hosts from name service.

pub mod base64;
pub mod dns;
pub mod ident;
pub mod kexinit;
pub mod packet;
pub mod raw;

/// Reads from the front of a byte string, and never past its end (RFC 4251 section 5).
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'b> {
    rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    pub fn new(bytes: &'b [u8]) -> Cursor<'b> {
        Cursor { rest: bytes }
    }

    pub fn bytes(&mut self, n: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.bytes(8)?.try_into().ok()?))
    }

    /// An SSH `string`: length and bytes.
    pub fn string(&mut self) -> Option<&'b [u8]> {
        let n = self.u32()?;
        self.bytes(usize::try_from(n).ok()?)
    }

    pub fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.string()?).into_owned())
    }

    pub fn rest(&self) -> &'b [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Appends an SSH `string`.
pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let n = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&n.to_be_bytes());
    out.extend_from_slice(bytes);
}
