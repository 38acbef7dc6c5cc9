//! The socket of a broker in the file system.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerPidfd;
use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    listen as start_listening, socket_with,
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// How long a broker waits for others that start in the same directory.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts to lock the directory.
const PAUSE: Duration = Duration::from_millis(2);

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

/// Listens on a new socket of mode 0600. A socket that nobody listens on is replaced, also where a
/// child of a dead broker has it open.
pub(super) fn listen(path: &Path) -> io::Result<(OwnedFd, Place)> {
    let address = SocketAddrUnix::new(path)?;
    let socket = new_socket()?;
    // The file gets the mode of the socket, so it is never open to others.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    let _lock = DirectoryLock::over(path)?;
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
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

/// Held from before a socket is bound until it listens: in between, another broker would take it for
/// a dead one.
struct DirectoryLock(File);

impl DirectoryLock {
    fn over(path: &Path) -> io::Result<Self> {
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let directory = File::open(directory)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) if Instant::now() < until => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => return Err(Errno::ADDRINUSE.into()),
                locked => return Ok(locked.map(|()| Self(directory))?),
            }
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // A child that is forked meanwhile has the same lock, which closing would leave to it.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn is_dead(path: &Path, address: &SocketAddrUnix) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let client = new_socket()?;
    match connect(&client, address) {
        Err(Errno::CONNREFUSED) => Ok(true),
        // A child that was forked off a broker keeps the socket open, but serves nobody.
        Ok(()) => Ok(has_ended(&client)),
        Err(_) => Ok(false),
    }
}

/// Whether the process that listens at the other end has ended. Linux before 6.5 does not tell.
fn has_ended(client: &OwnedFd) -> bool {
    match getsockopt(client, PeerPidfd) {
        Ok(process) => {
            let mut polled = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
            poll(&mut polled, PollTimeout::ZERO) == Ok(1)
        }
        // Kernels that have no descriptor for a process that is gone say so by one of these.
        Err(errno) => matches!(errno, nix::Error::ESRCH | nix::Error::EINVAL),
    }
}
