//! Files changed so that at any moment the old or the new one is there: a temporary file beside it, fsync, rename.
//!
//! Every path is opened below a root without following a link anywhere on the way: part of it may belong to the user whose
//! login is mended, who could otherwise make root write somewhere else.

use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Owner, mode and the rest that belongs to a file and is not its content.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Meta {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Extended attributes: SELinux's label, ACLs.
    pub extended: Vec<(String, Vec<u8>)>,
}

pub struct Disk {
    root: OwnedFd,
}

/// A file's bytes and what belongs to it.
pub struct Held {
    pub bytes: Vec<u8>,
    pub meta: Meta,
}

fn told(path: &str) -> impl Fn(rustix::io::Errno) -> String {
    let path = path.to_owned();
    move |e| format!("{path}: {}", std::io::Error::from(e))
}

impl Disk {
    pub fn at(root: &Path) -> Result<Disk, String> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(root, flags, Mode::empty()).map_err(told(&root.to_string_lossy()))?;
        Ok(Disk { root })
    }

    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, rustix::io::Errno> {
        let below = path.trim_start_matches('/');
        fs::openat2(
            &self.root,
            if below.is_empty() { "." } else { below },
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH,
        )
    }

    fn folder<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), String> {
        let (folder, name) = path
            .rsplit_once('/')
            .ok_or_else(|| format!("{path} is no whole path"))?;
        let fd = self
            .open(folder, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(told(folder))?;
        Ok((fd, name))
    }

    /// The file as it is; `None`: there is none.
    pub fn hold(&self, path: &str) -> Result<Option<Held>, String> {
        let fd = match self.open(path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(e) => return Err(told(path)(e)),
        };
        let meta = meta(&fd).map_err(told(path))?;
        let mut bytes = Vec::new();
        let mut file = File::from(fd);
        if !file.metadata().is_ok_and(|m| m.is_file()) {
            return Err(format!("{path} is no regular file"));
        }
        file.read_to_end(&mut bytes)
            .map_err(|e| format!("{path}: {e}"))?;
        Ok(Some(Held { bytes, meta }))
    }

    /// Owner and mode, of a folder too; `None`: there is nothing.
    pub fn meta(&self, path: &str) -> Result<Option<Meta>, String> {
        match self.open(path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(fd) => meta(&fd).map(Some).map_err(told(path)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(e) => Err(told(path)(e)),
        }
    }

    /// The owner goes first: chown(2) clears bits that chmod(2) then sets.
    pub fn set_access(&self, path: &str, mode: u32, uid: u32, gid: u32) -> Result<(), String> {
        let fd = self
            .open(path, OFlags::RDONLY | OFlags::NONBLOCK)
            .map_err(told(path))?;
        let now = meta(&fd).map_err(told(path))?;
        if (now.uid, now.gid) != (uid, gid) {
            fs::fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(told(path))?;
        }
        fs::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(told(path))?;
        fs::fsync(&fd).map_err(told(path))
    }

    /// Puts the file there, old or none before.
    pub fn put(&self, path: &str, bytes: &[u8], meta: &Meta, mark: &str) -> Result<(), String> {
        let (folder, name) = self.folder(path)?;
        let temporary = format!(".{name}.{mark}");
        let _ = fs::unlinkat(&folder, &temporary, AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = fs::openat(&folder, &temporary, flags, Mode::from_raw_mode(0o600))
            .map_err(told(path))?;
        let written = (|| {
            let mut file = File::from(fd);
            file.write_all(bytes).map_err(|e| format!("{path}: {e}"))?;
            let now = file.metadata().map_err(|e| format!("{path}: {e}"))?;
            let owner = (
                std::os::unix::fs::MetadataExt::uid(&now),
                std::os::unix::fs::MetadataExt::gid(&now),
            );
            if owner != (meta.uid, meta.gid) {
                let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
                fs::fchown(&file, Some(uid), Some(gid)).map_err(told(path))?;
            }
            fs::fchmod(&file, Mode::from_raw_mode(meta.mode)).map_err(told(path))?;
            for (key, value) in &meta.extended {
                fs::fsetxattr(&file, key.as_str(), value, fs::XattrFlags::empty())
                    .map_err(told(path))?;
            }
            file.sync_all().map_err(|e| format!("{path}: {e}"))?;
            fs::renameat(&folder, &temporary, &folder, name).map_err(told(path))
        })();
        if written.is_err() {
            let _ = fs::unlinkat(&folder, &temporary, AtFlags::empty());
        }
        written?;
        fs::fsync(&folder).map_err(told(path))
    }

    /// What a killed `put` left behind.
    pub fn sweep(&self, path: &str, mark: &str) {
        if let Ok((folder, name)) = self.folder(path) {
            let _ = fs::unlinkat(&folder, format!(".{name}.{mark}"), AtFlags::empty());
        }
    }

    pub fn remove(&self, path: &str, is_folder: bool) -> Result<(), String> {
        let (folder, name) = self.folder(path)?;
        let flags = if is_folder {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        match fs::unlinkat(&folder, name, flags) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(told(path)(e)),
        }
        fs::fsync(&folder).map_err(told(path))
    }

    pub fn make_folder(&self, path: &str, mode: u32) -> Result<(), String> {
        let (folder, name) = self.folder(path)?;
        match fs::mkdirat(&folder, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(told(path)(e)),
        }
        // The mask of the process may have taken bits away.
        let fd = self
            .open(path, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(told(path))?;
        fs::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(told(path))?;
        fs::fsync(&folder).map_err(told(path))
    }
}

fn meta(fd: &OwnedFd) -> rustix::io::Result<Meta> {
    let stat = fs::fstat(fd)?;
    let mut extended = Vec::new();
    let mut names = vec![0u8; 64 * 1024];
    // A file system without them has none to keep.
    let n = fs::flistxattr(fd, &mut names[..]).unwrap_or(0);
    for name in names
        .get(..n)
        .unwrap_or_default()
        .split(|b| *b == 0)
        .filter(|n| !n.is_empty())
    {
        let mut value = vec![0u8; 64 * 1024];
        if let Ok(n) = fs::fgetxattr(fd, name, &mut value[..]) {
            value.truncate(n);
            extended.push((String::from_utf8_lossy(name).into_owned(), value));
        }
    }
    Ok(Meta {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        extended,
    })
}
