//! Addresses of sockets in the file system, whatever the length of their paths.
//!
//! An address has room for 108 bytes. Longer paths are reached by a descriptor: `/proc/self/fd/N`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, linkat, open, unlinkat};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, bind, connect};
use xxhash_rust::xxh3::xxh3_64;

/// A path by its folder, which need not be readable, and the name in it.
#[derive(Debug)]
pub(super) struct Location {
    pub(super) path: PathBuf,
    pub(super) folder: OwnedFd,
    pub(super) name: OsString,
}

impl Location {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path has no last part");
        Ok(Self {
            path: path.to_owned(),
            name: path.file_name().ok_or_else(no_name)?.to_owned(),
            folder: open(
                folder,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?,
        })
    }

    /// The name of a file that serves for a moment when a broker starts here; short, however long
    /// the name of the socket.
    pub(super) fn passing(&self, kind: &str) -> String {
        format!(".floe-{:016x}.{kind}", xxh3_64(self.name.as_bytes()))
    }

    /// Gives a socket its place, where nothing is yet.
    pub(super) fn bind(&self, socket: &OwnedFd) -> io::Result<()> {
        if let Some(address) = short(&self.path)? {
            return Ok(bind(socket, &address)?);
        }
        if let Some(address) = short(&through(&self.folder, Some(&self.name)))? {
            return bind(socket, &address).map_err(without_proc);
        }
        // The name alone is longer than an address.
        let passing = self.passing("socket");
        let address = SocketAddrUnix::new(through(&self.folder, Some(passing.as_ref())))?;
        match bind(socket, &address) {
            // Only those who start a broker of this name use it, one at a time.
            Err(Errno::ADDRINUSE) => {
                unlinkat(&self.folder, &passing, AtFlags::empty())?;
                bind(socket, &address).map_err(without_proc)?;
            }
            bound => bound.map_err(without_proc)?,
        }
        let (folder, none) = (&self.folder, AtFlags::empty());
        let placed = linkat(folder, &passing, folder, &self.name, none);
        let _ = unlinkat(folder, &passing, none);
        match placed {
            Err(Errno::EXIST) => Err(Errno::ADDRINUSE.into()),
            other => Ok(other?),
        }
    }
}

/// What a client connects to.
pub(super) struct Target {
    address: SocketAddrUnix,
    /// What the address leads to, if it is one by a descriptor.
    by: Option<OwnedFd>,
}

impl Target {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        match short(path)? {
            Some(address) => Ok(Self { address, by: None }),
            None => {
                let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
                Ok(Self {
                    address: SocketAddrUnix::new(through(&file, None))?,
                    by: Some(file),
                })
            }
        }
    }

    /// # Errors
    /// `WouldBlock` while the queue of the broker is full.
    pub(super) fn connect(&self, socket: &OwnedFd) -> io::Result<()> {
        match connect(socket, &self.address) {
            Err(errno) if self.by.is_some() => Err(without_proc(errno)),
            other => Ok(other?),
        }
    }
}

/// `None` for a path that an address has no room for.
fn short(path: &Path) -> io::Result<Option<SocketAddrUnix>> {
    match SocketAddrUnix::new(path) {
        Ok(address) => Ok(Some(address)),
        Err(Errno::NAMETOOLONG) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn through(fd: &OwnedFd, name: Option<&OsStr>) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    path.extend(name);
    path
}

fn without_proc(errno: Errno) -> io::Error {
    match Path::new("/proc/self/fd").exists() {
        true => errno.into(),
        false => io::Error::other(
            "the path is longer than the 108 bytes that an address takes, and /proc, which leads to \
             such ones, is not mounted; take a shorter path, such as one relative to the working \
             directory",
        ),
    }
}
