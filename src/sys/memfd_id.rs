//! Which memfd it is, among all that there ever were.

use std::io;
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::fstat;

/// Tells a memfd from every other.
///
/// The number of a living file is its own. Linux before 5.9 counts them in 32 bits, so that a
/// number can come again; but not with the same time of the last change, which the kernel sets and
/// nobody else can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemfdId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Nanoseconds of the wall clock.
    pub(crate) changed: i64,
}

impl MemfdId {
    /// Refuses what is no memfd: to inspect it might take for ever.
    pub(crate) fn of(fd: impl AsFd) -> io::Result<Self> {
        fcntl(&fd, FcntlArg::F_GET_SEALS)?;
        let stat = fstat(fd)?;
        let seconds = stat.st_ctime.saturating_mul(1_000_000_000);
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            changed: seconds.saturating_add(stat.st_ctime_nsec),
        })
    }
}
