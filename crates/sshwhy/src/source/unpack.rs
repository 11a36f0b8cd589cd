//! Decompression on the fly: what a packed file is and the bytes inside it, however often it was packed.
//!
//! Every decoder streams, so an archive that unpacks to terabytes costs time and no memory. Memory is bounded by the
//! decoders' windows: 128 MiB for zstd (its own default limit), 256 MiB for xz (set here), less for the others.

use sshwhy_core::transcode::sniff::{self, HEAD, Packing, Sniff};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub type Stream = Box<dyn Read + Send>;

/// Packed in packed in packed: deeper than this is no log but a trap.
const MAX_DEPTH: usize = 4;

const XZ_MEMORY_KIB: u32 = 256 * 1024;

/// What a stream is and its bytes from the beginning.
pub struct Unpacked {
    pub sniff: Sniff,
    /// The first bytes, at most [`HEAD`], already taken from `rest`.
    pub head: Vec<u8>,
    pub rest: Stream,
    /// What it was packed with, outermost first.
    pub packings: Vec<Packing>,
    /// Bad news that came while the head was read: the head holds what came before.
    pub error: Option<io::Error>,
}

/// Reads the first bytes of `stream` and unpacks it as long as it is packed.
pub fn unpack(mut stream: Stream) -> Unpacked {
    let mut packings = Vec::new();
    loop {
        let (head, error) = read_head(&mut stream);
        let sniff = sniff::sniff(&head);
        match sniff {
            Sniff::Packed(packing) if error.is_none() && packings.len() < MAX_DEPTH => {
                packings.push(packing);
                let packed = BufReader::with_capacity(HEAD, Cursor::new(head).chain(stream));
                stream = decoder(packing, packed);
            }
            _ => {
                return Unpacked {
                    sniff,
                    head,
                    rest: stream,
                    packings,
                    error,
                };
            }
        }
    }
}

/// The bytes of `stream`, unpacked as long as it is packed; what is not packed passes as it is.
pub fn unpacked(stream: Stream) -> Stream {
    let Unpacked {
        head, rest, error, ..
    } = unpack(stream);
    match error {
        None => Box::new(Cursor::new(head).chain(rest)),
        Some(e) => Box::new(Cursor::new(head).chain(Failed(Some(e)))),
    }
}

fn read_head(stream: &mut Stream) -> (Vec<u8>, Option<io::Error>) {
    let mut head = vec![0; HEAD];
    let mut filled = 0;
    while let Some(room) = head.get_mut(filled..).filter(|r| !r.is_empty()) {
        match stream.read(room) {
            Ok(0) => break,
            Ok(n) => {
                filled += n;
                // A slow pipe shall not be waited for longer than it takes to know what it is.
                if filled >= 512
                    && n < 4096
                    && head.get(..filled).is_some_and(|h| h.contains(&b'\n'))
                {
                    break;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                head.truncate(filled);
                return (head, Some(e));
            }
        }
    }
    head.truncate(filled);
    (head, None)
}

fn decoder(packing: Packing, packed: impl BufRead + Send + 'static) -> Stream {
    match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
            packed,
            true,
            XZ_MEMORY_KIB,
        )),
        Packing::Zstd => match zstd::stream::read::Decoder::with_buffer(packed) {
            Ok(decoder) => Box::new(decoder),
            Err(e) => Box::new(Failed(Some(e))),
        },
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Packing::Lz4 => Box::new(Lz4Frames::new(packed)),
    }
}

/// Reports one error, then the end.
pub struct Failed(pub Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// All frames of an lz4 file. The decoder itself stops after each, and takes the end of the input for the end of the
/// frame.
struct Lz4Frames<R: Read>(Option<lz4_flex::frame::FrameDecoder<EndSeen<R>>>);

impl<R: BufRead> Lz4Frames<R> {
    fn new(packed: R) -> Lz4Frames<R> {
        Lz4Frames(Some(lz4_flex::frame::FrameDecoder::new(EndSeen {
            inner: packed,
            seen: false,
        })))
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(frame) = &mut self.0 {
            let n = frame.read(buf)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            let Some(mut rest) = self.0.take().map(lz4_flex::frame::FrameDecoder::into_inner)
            else {
                break;
            };
            // After its end mark a frame asks for no more.
            if rest.seen {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if !rest.inner.fill_buf()?.is_empty() {
                self.0 = Some(lz4_flex::frame::FrameDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Remembers whether more was asked for than there is.
struct EndSeen<R> {
    inner: R,
    seen: bool,
}

impl<R: Read> Read for EndSeen<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.seen |= n == 0 && !buf.is_empty();
        Ok(n)
    }
}

/// Counts what is read through it.
pub struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    pub fn new(inner: R, count: Arc<AtomicU64>) -> Counted<R> {
        Counted { inner, count }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
