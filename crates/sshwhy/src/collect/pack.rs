//! The archive that is written: tar (ustar with pax headers for long names), zstd, and a manifest of what is in it, with hashes, and
//! of what was refused and why.
//!
//! An entry whose length is not known in advance (a log that is filtered) is first written to an unlinked file beside the archive.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

const BLOCK: usize = 512;

/// A file of the archive.
#[derive(Debug, Serialize)]
pub struct Packed {
    pub name: String,
    /// Where it comes from: a path, a command, a socket.
    pub source: String,
    pub bytes: u64,
    pub sha256: String,
    /// Why it is not all that there was.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cut: String,
}

/// What could not be had.
#[derive(Debug, Serialize, Clone)]
pub struct Refused {
    pub what: String,
    pub why: String,
}

/// Bytes on their way to the archive, counted.
pub struct Spool {
    file: io::BufWriter<File>,
    pub bytes: u64,
    pub most: u64,
}

impl Write for Spool {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.bytes + buf.len() as u64 > self.most {
            return Err(io::Error::other("longer than is allowed"));
        }
        self.file.write_all(buf)?;
        self.bytes += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub struct Pack {
    out: zstd::Encoder<'static, Box<dyn Write>>,
    spool_dir: PathBuf,
    spools: u32,
    pub files: Vec<Packed>,
    pub refused: Vec<Refused>,
    /// Unpacked bytes that may still be written.
    pub left: u64,
    /// Of one entry.
    pub most: u64,
    pub deadline: Instant,
}

/// Writes nothing over what exists, for nobody else to read.
pub fn create(path: &Path) -> Result<File, String> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{} exists: name another --out", path.display())
            }
            _ => format!("cannot write {}: {e}", path.display()),
        })
}

impl Pack {
    pub fn new(
        out: Box<dyn Write>,
        spool_dir: PathBuf,
        left: u64,
        most: u64,
        deadline: Instant,
    ) -> Result<Pack, String> {
        let mut out = zstd::Encoder::new(out, 3).map_err(|e| e.to_string())?;
        out.include_checksum(true).map_err(|e| e.to_string())?;
        Ok(Pack {
            out,
            spool_dir,
            spools: 0,
            files: Vec::new(),
            refused: Vec::new(),
            left,
            most,
            deadline,
        })
    }

    pub fn refuse(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let (what, why) = (what.into(), why.into());
        if !self.refused.iter().any(|r| r.what == what && r.why == why) {
            self.refused.push(Refused { what, why });
        }
    }

    /// Whether the time given is over.
    pub fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    pub fn add(&mut self, name: &str, source: &str, bytes: &[u8]) -> Result<(), String> {
        self.add_stream(name, source, bytes.len() as u64, &mut { bytes }, "")
    }

    pub fn spool(&mut self) -> Result<Spool, String> {
        self.spools += 1;
        let path = self.spool_dir.join(format!(
            ".sshwhy-collect-{}-{}",
            std::process::id(),
            self.spools
        ));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        // Nothing stays behind, however this ends.
        std::fs::remove_file(&path)
            .map_err(|e| format!("cannot remove {}: {e}", path.display()))?;
        Ok(Spool {
            file: io::BufWriter::with_capacity(256 << 10, file),
            bytes: 0,
            most: self.most.min(self.left),
        })
    }

    pub fn add_spool(
        &mut self,
        name: &str,
        source: &str,
        spool: Spool,
        cut: &str,
    ) -> Result<(), String> {
        let bytes = spool.bytes;
        let mut file = spool.file.into_inner().map_err(|e| e.to_string())?;
        file.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
        self.add_stream(name, source, bytes, &mut file, cut)
    }

    fn add_stream(
        &mut self,
        name: &str,
        source: &str,
        bytes: u64,
        from: &mut dyn Read,
        cut: &str,
    ) -> Result<(), String> {
        if bytes > self.left {
            self.refuse(
                source,
                format!("{bytes} bytes do not fit into what --max-size leaves"),
            );
            return Ok(());
        }
        self.left -= bytes;
        let sha256 = self
            .entry(name, bytes, from)
            .map_err(|e| format!("cannot write the archive: {e}"))?;
        self.files.push(Packed {
            name: name.to_owned(),
            source: source.to_owned(),
            bytes,
            sha256,
            cut: cut.to_owned(),
        });
        Ok(())
    }

    fn entry(&mut self, name: &str, bytes: u64, from: &mut dyn Read) -> io::Result<String> {
        if name.len() > 100 {
            let mut record = format!(" path={name}\n");
            let mut length = record.len() + 1;
            while length != record.len() + length.to_string().len() {
                length = record.len() + length.to_string().len();
            }
            record.insert_str(0, &length.to_string());
            self.out
                .write_all(&header("pax", record.len() as u64, b'x'))?;
            self.out.write_all(record.as_bytes())?;
            self.pad(record.len() as u64)?;
        }
        self.out.write_all(&header(name, bytes, b'0'))?;
        let mut hash = Sha256::new();
        let mut left = bytes;
        let mut buf = vec![0; 256 << 10];
        while left > 0 {
            let want = left.min(buf.len() as u64) as usize;
            let n = from.read(buf.get_mut(..want).unwrap_or_default())?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let part = buf.get(..n).unwrap_or_default();
            hash.update(part);
            self.out.write_all(part)?;
            left -= n as u64;
        }
        self.pad(bytes)?;
        Ok(hex(&hash.finalize()))
    }

    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        let rest = (BLOCK - (bytes % BLOCK as u64) as usize) % BLOCK;
        self.out
            .write_all([0; BLOCK].get(..rest).unwrap_or_default())
    }

    /// The end of the archive; nothing is written after it.
    pub fn finish(mut self) -> Result<(), String> {
        let mut end = || {
            self.out.write_all(&[0; BLOCK * 2])?;
            self.out.do_finish()?;
            self.out.get_mut().flush()
        };
        end().map_err(|e| format!("cannot write the archive: {e}"))
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn header(name: &str, bytes: u64, kind: u8) -> [u8; BLOCK] {
    let mut h = [0u8; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        for (to, from) in h.iter_mut().skip(at).zip(text) {
            *to = *from;
        }
    };
    // What does not fit stands in the pax header before it.
    put(
        0,
        name.as_bytes()
            .get(..name.len().min(100))
            .unwrap_or_default(),
    );
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{bytes:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = h.iter().map(|b| u32::from(*b)).sum();
    for (to, from) in h.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *to = from;
    }
    h
}
