//! A connection that our own code has begun and the library goes on with: what the server said already is read again, and
//! the greeting that we have sent is not sent twice.

use crate::carrier::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Either kind of socket, as the runtime has it.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

pub struct Onward {
    inner: Box<dyn Socket>,
    /// What is read before anything from the socket.
    replay: Vec<u8>,
    read: usize,
    /// How many bytes of what the library writes first have been sent already.
    sent: usize,
}

impl Onward {
    /// Of a socket that blocks; inside a runtime only.
    pub fn new(stream: Stream, replay: Vec<u8>, sent: usize) -> io::Result<Onward> {
        let inner: Box<dyn Socket> = match stream {
            Stream::Tcp(s) => {
                s.set_nonblocking(true)?;
                Box::new(TcpStream::from_std(s)?)
            }
            #[cfg(unix)]
            Stream::Pair(s) => {
                s.set_nonblocking(true)?;
                Box::new(tokio::net::UnixStream::from_std(s)?)
            }
        };
        Ok(Onward {
            inner,
            replay,
            read: 0,
            sent,
        })
    }
}

impl AsyncRead for Onward {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.replay.get(self.read..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let n = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..n).unwrap_or_default());
        self.read += n;
        if self.read >= self.replay.len() {
            self.replay = Vec::new();
            self.read = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Onward {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.sent > 0 {
            let n = self.sent.min(buf.len());
            self.sent -= n;
            return Poll::Ready(Ok(n));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
