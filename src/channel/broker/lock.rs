//! One broker starts at a time.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::address::Location;

/// How long a broker waits for another that starts at the same path.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts to take the lock.
const PAUSE: Duration = Duration::from_millis(2);

/// Held from before a socket is bound until it listens: in between, another broker would take it
/// for a dead one.
///
/// It is on a file of its own, which only this user can open, and which goes with it.
pub(super) struct StartLock<'a> {
    at: &'a Location,
    name: String,
    file: OwnedFd,
}

impl<'a> StartLock<'a> {
    /// `None` where another user has taken the name of the lock, or the file system has no locks.
    /// Brokers of this user that start at the very same time may then get into each other's way;
    /// but nobody can keep them from starting.
    pub(super) fn take(at: &'a Location) -> io::Result<Option<Self>> {
        let name = at.passing("lock");
        let until = Instant::now() + PATIENCE;
        loop {
            match attempt(at, &name) {
                Ok(file) => return Ok(Some(Self { at, name, file })),
                Err(Errno::AGAIN | Errno::INTR) if Instant::now() < until => thread::sleep(PAUSE),
                Err(Errno::AGAIN | Errno::INTR) => {
                    return Err(io::Error::new(
                        io::ErrorKind::AddrInUse,
                        "another broker has been starting there for 5 seconds",
                    ));
                }
                Err(_) => return Ok(None),
            }
        }
    }
}

/// The locked file; `AGAIN` while another broker has it.
fn attempt(at: &Location, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = openat(
        &at.folder,
        name,
        flags | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    )?;
    let opened = fstat(&file)?;
    let is_plain = FileType::from_raw_mode(opened.st_mode) == FileType::RegularFile;
    if !is_plain || opened.st_uid != geteuid().as_raw() {
        return Err(Errno::PERM);
    }
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    // Whoever had it before may have taken the file away.
    match statat(&at.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) if (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino) => Ok(file),
        Ok(_) | Err(Errno::NOENT) => Err(Errno::AGAIN),
        Err(errno) => Err(errno),
    }
}

impl Drop for StartLock<'_> {
    fn drop(&mut self) {
        let _ = unlinkat(&self.at.folder, &self.name, AtFlags::empty());
        // A child that is forked meanwhile has the same lock, which closing would leave to it.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}
