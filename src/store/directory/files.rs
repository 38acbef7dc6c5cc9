//! The files of caches in a directory.
//!
//! ```text
//! NAME.floe    the newest generation that was saved
//! NAME.inputs  what is known of its inputs since then: a region of the same name and number whose
//!              value is the digest of the generation that it belongs to
//! NAME.lock    locked by whoever builds; holds the highest number that was given to a generation
//! writers      locked by whoever writes
//! ```

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::{Directory, failed};
use crate::error::Error;
use crate::frozen::{Content, Frozen};
use crate::region::generation_in_header;

/// How often a file is read that something else than its content keeps from being read.
const ATTEMPTS: usize = 3;

/// Which file of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kept {
    Generation,
    Inputs,
}

/// What loading a file gave.
pub(in crate::store) enum LoadOutcome<T: Content> {
    Nothing,
    /// The file that was read or written last.
    Known,
    New(Frozen<T>, SavedStamp),
    /// Its kind or its content is refused.
    Refused {
        error: Error,
        stamp: SavedStamp,
        /// The generation number in its header; 0 if that cannot be read.
        generation: u64,
    },
    /// Its content could not be read, so nothing is known of it.
    Unread(Error),
}

/// Device, inode, size and modification time: tells a saved file from another in its place.
pub(in crate::store) type SavedStamp = (u64, u64, u64, i64, i64);

impl Directory {
    pub(super) fn file(&self, kept: Kept, name: &str) -> PathBuf {
        let ending = match kept {
            Kept::Generation => "floe",
            Kept::Inputs => "inputs",
        };
        self.path.join(format!("{name}.{ending}"))
    }

    /// The stamp of a file of a cache, without opening it; `None` if there is no file.
    pub(in crate::store) fn stamp(&self, kept: Kept, name: &str) -> io::Result<Option<SavedStamp>> {
        match std::fs::symlink_metadata(self.file(kept, name)) {
            Ok(metadata) => Ok(Some(stamp(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Loads a file of a cache, unless it is the one that is known; never through a link. What
    /// passes is tried again.
    pub(in crate::store) fn load<T: Content>(
        &self,
        kept: Kept,
        name: &str,
        known: Option<SavedStamp>,
    ) -> LoadOutcome<T> {
        let mut attempts = std::iter::repeat_with(|| self.load_once(kept, name, known));
        let mut attempts = attempts.by_ref().take(ATTEMPTS);
        let mut last = None;
        let read = attempts.find_map(|found| match found {
            LoadOutcome::Unread(error) => {
                last = Some(error);
                None
            }
            read => Some(read),
        });
        match (read, last) {
            (Some(read), _) => read,
            (None, Some(error)) => LoadOutcome::Unread(error),
            (None, None) => LoadOutcome::Nothing,
        }
    }

    fn load_once<T: Content>(
        &self,
        kept: Kept,
        name: &str,
        known: Option<SavedStamp>,
    ) -> LoadOutcome<T> {
        let path = self.file(kept, name);
        let found = match self.stamp(kept, name) {
            Ok(Some(found)) if Some(found) == known => return LoadOutcome::Known,
            Ok(Some(found)) => found,
            Ok(None) => return LoadOutcome::Nothing,
            Err(error) => return LoadOutcome::Unread(failed(&path, "inspect")(error)),
        };
        let refused = |error, stamp, generation| LoadOutcome::Refused {
            error,
            stamp,
            generation,
        };
        let (file, metadata) = match self.open_own(OpenOptions::new().read(true), &path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return LoadOutcome::Nothing,
            Err(error) if is_refusal(&error) => {
                return refused(failed(&path, "open")(error), found, 0);
            }
            Err(error) => return LoadOutcome::Unread(failed(&path, "open")(error)),
        };
        let found = stamp(&metadata);
        let generation = generation_in_header(&file).unwrap_or(0);
        match Frozen::<T>::load_opened(file, &path) {
            Ok(frozen) if frozen.region().name() == name => LoadOutcome::New(frozen, found),
            Ok(frozen) => {
                let got = frozen.region().name();
                let reason =
                    format!("expected a file of cache {name:?}, got a file of cache {got:?}");
                refused(failed(&path, "read")(io::Error::other(reason)), found, 0)
            }
            Err(error) if error.tells_of_content() => refused(error, found, generation),
            Err(error) => LoadOutcome::Unread(error),
        }
    }

    /// Opens a file that is neither a link nor somebody else's, nor one that others may write.
    pub(super) fn open_own(
        &self,
        options: &mut OpenOptions,
        path: &Path,
    ) -> io::Result<(File, Metadata)> {
        let file = options
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        let metadata = file.metadata()?;
        let own = metadata.uid() == nix::unistd::geteuid().as_raw();
        let private = metadata.mode() & 0o077 == 0;
        if metadata.is_file() && own && metadata.nlink() <= 1 && (private || self.has_no_modes()) {
            return Ok((file, metadata));
        }
        Err(io::Error::other(
            "expected a regular file of this user with mode 0600 and one hard link; remove it",
        ))
    }
}

/// Whether it is this crate, or the flag against links, that refused a file.
fn is_refusal(error: &io::Error) -> bool {
    match error.raw_os_error() {
        None => error.kind() == io::ErrorKind::Other,
        Some(errno) => matches!(errno, libc::ELOOP | libc::ENXIO),
    }
}

pub(super) fn stamp(metadata: &Metadata) -> SavedStamp {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    )
}
