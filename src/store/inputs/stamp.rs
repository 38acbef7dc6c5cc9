//! What tells one state of a file from another without reading it.

use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::libc;
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, StatxTimestamp, makedev, statx};
use xxhash_rust::xxh3::xxh3_128;

/// Device, inode, size and times of a file, as the kernel gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub(crate) modified: i64,
    /// Last change of content or metadata, in nanoseconds since 1970.
    pub(crate) changed: i64,
}

impl Stamp {
    /// Whether an edit after the moment `now` could leave this stamp as it is, because the file
    /// was changed less than `settle` ago: times of files advance in ticks. All in nanoseconds.
    ///
    /// Both times count: whoever copies a file sets that of its content back, but not the other.
    pub(crate) fn is_unsettled(&self, now: u64, settle: u64) -> bool {
        let last = self.modified.max(self.changed);
        i128::from(last) + i128::from(settle) > i128::from(now)
    }
}

/// What the kernel tells of a file that was found, in one system call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) stamp: Stamp,
    /// The mount that it was found on, by a number that no other mount has until the next boot.
    /// Kernels tell it since 6.8.
    pub(super) mount: Option<u64>,
    mode: u32,
    links: u64,
    user: u32,
    group: u32,
    /// Of the device that it stands for.
    special: u64,
}

/// `STATX_MNT_ID_UNIQUE`, which kernels before 6.8 ignore.
const UNIQUE_MOUNT: StatxFlags = StatxFlags::from_bits_retain(0x4000);

impl Found {
    /// What a path leads to.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let wanted = StatxFlags::BASIC_STATS | UNIQUE_MOUNT;
        match statx(CWD, path, AtFlags::empty(), wanted) {
            Ok(found) => Ok(Self::from(&found)),
            Err(rustix::io::Errno::NOSYS) => Ok(Self::from(&std::fs::metadata(path)?)),
            Err(error) => Err(error.into()),
        }
    }

    /// What is open.
    pub(super) fn of(file: impl AsFd) -> io::Result<Self> {
        let wanted = StatxFlags::BASIC_STATS | UNIQUE_MOUNT;
        match statx(&file, c"", AtFlags::EMPTY_PATH, wanted) {
            Ok(found) => Ok(Self::from(&found)),
            Err(rustix::io::Errno::NOSYS) => {
                let file = std::fs::File::from(file.as_fd().try_clone_to_owned()?);
                Ok(Self::from(&file.metadata()?))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A digest of what the stamp does not tell: kind, mode, owners, names and device.
    pub(super) fn metadata_digest(&self) -> u128 {
        let numbers = [
            u64::from(self.mode),
            self.links,
            u64::from(self.user),
            u64::from(self.group),
            self.special,
        ];
        xxh3_128(&numbers.map(u64::to_le_bytes).concat())
    }

    /// The kind of file, as `S_IFMT` names it.
    pub(super) fn kind(&self) -> u32 {
        self.mode & libc::S_IFMT
    }

    /// Whether it is what `/dev/null` stands for.
    pub(super) fn is_null(&self) -> bool {
        self.kind() == libc::S_IFCHR && self.special == makedev(1, 3)
    }
}

impl From<&Statx> for Found {
    fn from(found: &Statx) -> Self {
        Self {
            stamp: Stamp {
                device: makedev(found.stx_dev_major, found.stx_dev_minor),
                inode: found.stx_ino,
                size: found.stx_size,
                modified: nanos_of(&found.stx_mtime),
                changed: nanos_of(&found.stx_ctime),
            },
            mount: (found.stx_mask & UNIQUE_MOUNT.bits() != 0).then_some(found.stx_mnt_id),
            mode: found.stx_mode.into(),
            links: found.stx_nlink.into(),
            user: found.stx_uid,
            group: found.stx_gid,
            special: makedev(found.stx_rdev_major, found.stx_rdev_minor),
        }
    }
}

impl From<&Metadata> for Found {
    fn from(metadata: &Metadata) -> Self {
        Self {
            stamp: Stamp {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
                changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
            },
            mount: None,
            mode: metadata.mode(),
            links: metadata.nlink(),
            user: metadata.uid(),
            group: metadata.gid(),
            special: metadata.rdev(),
        }
    }
}

/// Turns the errors that mean absence into `None`.
pub(super) fn existing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn nanos_of(time: &StatxTimestamp) -> i64 {
    nanos(time.tv_sec, time.tv_nsec.into())
}

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
