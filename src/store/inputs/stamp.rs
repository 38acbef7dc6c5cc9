//! What tells one state of a file from another without reading it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device, inode, size and times of a file, as the kernel gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether an edit after the moment `now` could leave this stamp as it is, because the file
    /// was changed less than `settle` ago: times of files advance in ticks. All in nanoseconds.
    ///
    /// Both times count: whoever copies a file sets that of its content back, but not the other.
    pub(crate) fn is_unsettled(&self, now: u64, settle: u64) -> bool {
        let last = self.modified.max(self.changed);
        i128::from(last) + i128::from(settle) > i128::from(now)
    }
}

/// The metadata of what a path leads to, or `None` if it leads nowhere.
pub(crate) fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    existing(std::fs::metadata(path))
}

/// Turns the errors that mean absence into `None`.
pub(crate) fn existing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
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

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
