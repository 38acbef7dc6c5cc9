//! The socket of a broker in the file system.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    listen as start_listening, socket_with,
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A socket's path, and which file it is.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: (u64, u64),
}

impl Place {
    fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            file: (metadata.dev(), metadata.ino()),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the socket, unless another file has taken its place.
    pub(super) fn remove(&self) {
        if Self::at(&self.path).is_ok_and(|now| now.file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on a new socket of mode 0600. A socket that nobody listens on is replaced.
pub(super) fn listen(path: &Path) -> io::Result<(OwnedFd, Place)> {
    let address = SocketAddrUnix::new(path)?;
    let socket = new_socket()?;
    // The file gets the mode of the socket, so it is never open to others.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
            let _lock = lock_directory(path)?;
            if !is_dead(path, &address)? {
                return Err(Errno::ADDRINUSE.into());
            }
            fs::remove_file(path)?;
            bind(&socket, &address)?;
        }
        bound => bound?,
    }
    start_listening(&socket, BACKLOG)?;
    Ok((socket, Place::at(path)?))
}

fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}

/// Of several brokers that find the same dead socket, one replaces it. The lock ends with the file.
fn lock_directory(path: &Path) -> io::Result<File> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory = File::open(directory)?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Errno::ADDRINUSE.into()),
        locked => Ok(locked.map(|()| directory)?),
    }
}

fn is_dead(path: &Path, address: &SocketAddrUnix) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    Ok(connect(new_socket()?, address) == Err(Errno::CONNREFUSED))
}
