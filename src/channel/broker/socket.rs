//! The socket of a broker in the file system.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use std::{io, thread};

use nix::sys::stat::{FchmodatFlags, fchmodat};
use nix::unistd::fchownat;
use rustix::fs::{AtFlags, FileType, Mode, fchmod, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, listen as start_listening, socket_with};

use super::access::Access;
use super::address::{Location, Target};
use super::lock::StartLock;
use crate::sys::peer;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// How long a socket on which nobody listens is given to begin with it, where there is no lock.
const BEGINNING: Duration = Duration::from_millis(50);

/// A socket's path, and which file it is.
#[derive(Debug)]
pub(super) struct Place {
    location: Location,
    file: (u64, u64),
}

impl Place {
    fn of(location: Location) -> io::Result<Self> {
        Ok(Self {
            file: location.file()?,
            location,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.location.path
    }

    /// Removes the socket, unless another file has taken its place.
    pub(super) fn remove(&self) {
        if self.location.file().is_ok_and(|now| now == self.file) {
            let _ = self.location.remove();
        }
    }
}

impl Location {
    fn file(&self) -> rustix::io::Result<(u64, u64)> {
        let stat = statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    fn remove(&self) -> rustix::io::Result<()> {
        unlinkat(&self.folder, &self.name, AtFlags::empty())
    }
}

/// Listens on a new socket. A socket that nobody listens on is replaced, also where a child of a
/// dead broker has it open.
pub(super) fn listen(path: &Path, access: Access) -> io::Result<(OwnedFd, Place)> {
    let location = Location::of(path)?;
    let lock = StartLock::take(&location)?;
    let socket = match bound(&location) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !is_dead(&location, lock.is_some())? {
                return Err(Errno::ADDRINUSE.into());
            }
            location.remove()?;
            bound(&location)?
        }
        bound => bound?,
    };
    // Nobody can connect before it listens.
    let opened = open_to(&location, access).and_then(|()| Ok(start_listening(&socket, BACKLOG)?));
    if let Err(error) = opened {
        let _ = location.remove();
        return Err(error);
    }
    drop(lock);
    Ok((socket, Place::of(location)?))
}

fn bound(location: &Location) -> io::Result<OwnedFd> {
    let socket = new_socket()?;
    // The file gets the mode of the socket, so it is never open to others.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    location.bind(&socket)?;
    Ok(socket)
}

pub(super) fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}

/// Gives a socket the group and the mode that it is to have, also where the umask has taken some of
/// it.
fn open_to(location: &Location, access: Access) -> io::Result<()> {
    let (folder, name) = (location.folder.as_fd(), &*location.name);
    if let Some(group) = access.group {
        let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
        fchownat(folder, name, None, Some(group), flags)?;
    }
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if stat.st_mode & 0o777 != access.mode() {
        let mode = nix::sys::stat::Mode::from_bits_truncate(access.mode());
        fchmodat(folder, name, mode, FchmodatFlags::NoFollowSymlink)?;
    }
    Ok(())
}

fn is_dead(location: &Location, is_locked: bool) -> io::Result<bool> {
    let stat = statat(&location.folder, &location.name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Ok(false);
    }
    if !is_locked {
        thread::sleep(BEGINNING);
    }
    let client = new_socket()?;
    let connected = Target::of(&location.path)?.connect(&client);
    Ok(match connected.as_ref().map_err(io::Error::kind) {
        Err(kind) => kind == io::ErrorKind::ConnectionRefused,
        // A child that was forked off a broker keeps the socket open, but serves nobody.
        Ok(()) => peer::has_ended(&client),
    })
}
