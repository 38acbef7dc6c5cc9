//! What a build read: files, files that were absent, directory listings, environment, named
//! values.
//!
//! A build closure gets [`Inputs`] and reads through it. What it read becomes a set of inputs,
//! each with a stamp; the sets of a generation are stored in its region, so that any process can
//! tell whether it is still true to its sources, without building anything.

mod change;
mod check;
mod encode;
mod input;
mod listing;
mod pattern;
mod proof;
mod reading;
mod sets;
mod stamp;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::sys::clock::Clock;

pub use change::{Change, Difference};
pub(crate) use check::{Changed, Values};
pub(crate) use encode::{decode, encode};
pub(crate) use input::Input;
use input::{Attempt, Seen, Subject};
pub use listing::{DirectoryEntry, EntryKind};
use proof::Trust;
use reading::{Unread, failure};
pub(crate) use sets::{Sets, SetsBuilder, Touched};
use stamp::{Found, existing};

/// How long after the last change of a file its stamp alone is not trusted, unless a policy says
/// otherwise.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
/// Most bytes that a build may read from one file, unless a policy says otherwise.
pub(crate) const READ_LIMIT: u64 = 1 << 30;

/// Reads on behalf of a build, and remembers what was read.
///
/// Every method gives what is there and records it. What is not there is an answer as well, and
/// is recorded: `read` gives `None`, `glob` nothing. So is an error: when what failed no longer
/// does, or fails otherwise, that is a change. When any of it is different later, what was built
/// from it is built again.
///
/// A file is recorded by device, inode, size and times, which are its *stamp*, and a digest of its
/// content. The content is compared only when a stamp differs, or was younger than the *settle* time
/// of two seconds when it was taken: so an edit within the same tick of the clock is seen, and a file
/// that was merely touched is not taken for a change. The same holds for the names in a directory.
///
/// # Where stamps do not tell
/// What a stamp is worth depends on the file system, which is asked for its type when something is
/// read. The content, or the names, are compared
/// - at every check on file systems without times that tell of changes, such as `/proc`, `/sys`,
///   cgroups, FAT, and all that are not known; of files whose size is not what was read of them; on
///   servers and in FUSE where a time of last change has whole seconds;
/// - when the mount is another one on images and layers (squashfs, EROFS, ISO 9660, overlayfs), in
///   FUSE, and for times of whole seconds on any disk, since such times may have been set by hand:
///   another image in the same place may have the same stamps. Linux tells mounts apart since 6.8;
///   before, the content is compared at every check.
///
/// Three things no stamp tells. A store through a shared map of a file (`mmap`) sets its times at
/// most when a page is first written, on tmpfs never. On a network file system they may be as old as
/// the kernel's cache of them, up to a minute unless mounted otherwise; a change is seen after that.
/// And where this machine's clock is ahead of a file server's, a file that has just been changed
/// seems to be settled; see [`Policy::settle`](crate::Policy::settle).
/// [`Policy::compare_content`](crate::Policy::compare_content) sees the first and the last.
///
/// ```
/// use floe::Inputs;
///
/// # let directory = tempfile::tempdir().unwrap();
/// # std::env::set_current_dir(&directory).unwrap();
/// std::fs::write("machine.conf", "MACHINE = \"qemux86-64\"").unwrap();
/// let mut inputs = Inputs::new();
/// let machine = inputs.read_to_string("machine.conf")?.unwrap();
/// assert!(!inputs.exists("local.conf")?);
/// assert!(inputs.changed().is_empty());
///
/// std::fs::write("machine.conf", "MACHINE = \"qemuarm64\"").unwrap();
/// std::fs::write("local.conf", "").unwrap();
/// let changed: Vec<String> = inputs.changed().iter().map(ToString::to_string).collect();
/// assert!(changed[0].ends_with("local.conf: appeared"));
/// assert!(changed[1].ends_with("machine.conf: content changed"));
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug)]
pub struct Inputs {
    found: BTreeSet<Input>,
    clock: Clock,
    values: Values,
    settle: Duration,
    read_limit: u64,
}

impl Default for Inputs {
    fn default() -> Self {
        Self::new()
    }
}

impl Inputs {
    /// Nothing read yet. A [`Store`](crate::Store) makes one for each call of a build closure.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Clock::system(), Values::default(), SETTLE, READ_LIMIT)
    }

    pub(crate) fn with(clock: Clock, values: Values, settle: Duration, read_limit: u64) -> Self {
        Self {
            found: BTreeSet::new(),
            clock,
            values,
            settle,
            read_limit,
        }
    }

    /// The content of a file, or `None` if there is none. A path that leads to `/dev/null`, as
    /// those of masked configuration do, is an empty file.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if it cannot be read or is no regular file, [`Error::InputTooLarge`].
    pub fn read(&mut self, path: impl AsRef<Path>) -> Result<Option<Vec<u8>>> {
        let (path, trust) = (self.absolute(path.as_ref())?, self.trust());
        let opened = match existing(reading::open(&path)) {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                self.record(path, Seen::Absent);
                return Ok(None);
            }
            Err(error) => return self.failed(path, Attempt::Read, error),
        };
        let (found, times) = (opened.found, opened.times);
        let (stamp, most) = (found.stamp, self.read_limit);
        let bytes = match opened.read(most) {
            Ok(bytes) => bytes,
            Err(Unread::TooLarge(got)) => {
                self.record(path.clone(), Seen::TooLarge { stamp, most });
                return Err(Error::InputTooLarge { path, most, got });
            }
            Err(Unread::Failed(error)) => return self.failed(path, Attempt::Read, error),
        };
        let length = bytes.len() as u64;
        let seen = Seen::Content {
            stamp,
            proof: trust.proof_of_content(&found, times, length),
            length,
            digest: xxh3_128(&bytes),
        };
        self.record(path, seen);
        Ok(Some(bytes))
    }

    /// The content of a file as text, or `None` if there is none.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Error::ReadFile`] if it is not UTF-8.
    pub fn read_to_string(&mut self, path: impl AsRef<Path>) -> Result<Option<String>> {
        let path = path.as_ref();
        let Some(bytes) = self.read(path)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let source = io::Error::new(io::ErrorKind::InvalidData, error.utf8_error());
            unreadable(path, source)
        })?;
        Ok(Some(text))
    }

    /// The metadata of what a path leads to, or `None` if it leads nowhere. The time of the last
    /// reading and the number of blocks are not compared: they change without a change.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if the kernel does not tell.
    pub fn stat(&mut self, path: impl AsRef<Path>) -> Result<Option<Metadata>> {
        let path = self.absolute(path.as_ref())?;
        let metadata = match existing(std::fs::metadata(&path)) {
            Ok(metadata) => metadata,
            Err(error) => return self.failed(path, Attempt::Find, error),
        };
        let seen = |found: Found| Seen::Metadata {
            stamp: found.stamp,
            digest: found.metadata_digest(),
        };
        let seen = metadata.as_ref().map(Found::from).map(seen);
        self.record(path, seen.unwrap_or(Seen::Absent));
        Ok(metadata)
    }

    /// The entries of a directory in the order of kind and name, or `None` if there is none.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if it cannot be listed, or is no directory.
    pub fn read_dir(&mut self, path: impl AsRef<Path>) -> Result<Option<Vec<DirectoryEntry>>> {
        self.listing(path.as_ref(), None)
    }

    /// The paths that match a pattern, sorted: `*`, `?` and `[...]` within a name, `**` for any
    /// directories, itself included, and a slash at the end for directories only. Hidden names match
    /// only a pattern with a dot. Names need not be UTF-8: a byte that is not counts as a character.
    /// `**` does not follow links.
    ///
    /// In the name of a folder these characters mean the same: give
    /// [`escape_pattern`](Self::escape_pattern) the names that are none.
    ///
    /// A directory that the pattern names must be readable if it is there. Of those that it only
    /// matches, such as `lost+found` beside the inputs, one that this user may not read or that a
    /// loop of links hides is passed over and recorded, so that it is a change when that ends;
    /// [`unreadable`](Self::unreadable) names them.
    ///
    /// # Errors
    /// [`Error::Pattern`], and [`Error::ReadFile`] if a directory that is named cannot be listed, or
    /// another for a reason that may pass, such as a failing disk or want of descriptors.
    ///
    /// ```
    /// use std::path::Path;
    /// use floe::Inputs;
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// let folder = directory.path().join("layer [old]");
    /// std::fs::create_dir(&folder).unwrap();
    /// std::fs::write(folder.join("a.conf"), "").unwrap();
    /// let pattern = Path::new(&Inputs::escape_pattern(&folder)).join("*.conf");
    /// assert_eq!(Inputs::new().glob(pattern)?, [folder.join("a.conf")]);
    /// # Ok::<(), floe::Error>(())
    /// ```
    pub fn glob(&mut self, pattern: impl AsRef<OsStr>) -> Result<Vec<PathBuf>> {
        pattern::expand(self, pattern.as_ref())
    }

    /// A path, or a part of one, as a pattern that matches nothing else.
    pub fn escape_pattern(path: impl AsRef<OsStr>) -> OsString {
        pattern::escape(path.as_ref())
    }

    /// The paths that could not be read, sorted, among them what [`glob`](Self::glob) passed over.
    pub fn unreadable(&self) -> impl Iterator<Item = &Path> {
        let failed = self.found.iter().filter(|input| input.seen.is_failure());
        failed.map(|input| Path::new(input.subject.name()))
    }

    /// Whether a path leads somewhere. What it leads to is not recorded, only whether it does.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if the kernel does not tell.
    pub fn exists(&mut self, path: impl AsRef<Path>) -> Result<bool> {
        let path = self.absolute(path.as_ref())?;
        let exists = match existing(Found::at(&path)) {
            Ok(found) => found.is_some(),
            Err(error) => return self.failed(path, Attempt::Find, error),
        };
        self.record(path, if exists { Seen::Present } else { Seen::Absent });
        Ok(exists)
    }

    /// An environment variable, or `None` if it is not set. Recorded as a digest, so that no
    /// secret gets into a region.
    pub fn env(&mut self, name: impl AsRef<OsStr>) -> Option<OsString> {
        let (name, value) = (name.as_ref(), std::env::var_os(name.as_ref()));
        let subject = Subject::Environment(name.to_owned());
        let seen = check::variable(name);
        self.found.insert(Input { subject, seen });
        value
    }

    /// Records a named value by a digest of it, such as the version of a parser: it is changed
    /// when the [`Store`](crate::Store) is told another value of that name, or a build records
    /// one. The names are those of the whole store: entries that record different values need
    /// different names, or each makes the others due. A process that starts with saved caches tells the values that count before it refreshes
    /// them.
    pub fn value(&mut self, name: &str, fingerprint: impl AsRef<[u8]>) {
        let digest = xxh3_128(fingerprint.as_ref());
        self.values.set(name, digest);
        self.record_value(name, digest);
    }

    /// Records a named value that others set.
    pub(crate) fn record_value(&mut self, name: &str, digest: u128) {
        let subject = Subject::Value(name.to_owned());
        let seen = Seen::Digest(digest);
        self.found.insert(Input { subject, seen });
    }

    /// What is different now, and how; empty if nothing is. Costs one system call for each
    /// path, and reads only what has another stamp, or one that proves nothing.
    #[must_use]
    pub fn changed(&self) -> Vec<Change> {
        let mut sets = Sets::of_whole(self.found.iter().cloned());
        sets.check(&self.values, &self.clock, self.settle).changes
    }

    pub(crate) fn into_found(self) -> BTreeSet<Input> {
        self.found
    }

    fn listing(
        &mut self,
        path: &Path,
        filter: Option<String>,
    ) -> Result<Option<Vec<DirectoryEntry>>> {
        let (path, trust) = (self.absolute(path)?, self.trust());
        let listed = match listing::list(&path, filter.as_deref()) {
            Ok(listed) => listed,
            Err(error) => return self.not_listed(path, filter, error),
        };
        let entries = listing::entries(&listed.names);
        let seen = Seen::Listing {
            stamp: listed.found.stamp,
            proof: trust.proof(&listed.found, listed.times),
            filter,
            names: listed.names,
        };
        self.record(path, seen);
        Ok(Some(entries))
    }

    /// What it means that a path cannot be listed. A pattern finds nothing in what is no directory.
    fn not_listed<T>(
        &mut self,
        path: PathBuf,
        filter: Option<String>,
        error: io::Error,
    ) -> Result<Option<T>> {
        let is_there = match error.kind() {
            io::ErrorKind::NotFound => false,
            io::ErrorKind::NotADirectory => !matches!(existing(Found::at(&path)), Ok(None)),
            _ => return self.failed(path, Attempt::List(filter), error),
        };
        if !is_there {
            self.record(path, Seen::Absent);
            return Ok(None);
        }
        let is_pattern = filter.is_some();
        match self.failed(path, Attempt::List(filter), error) {
            Err(_) if is_pattern => Ok(None),
            result => result,
        }
    }

    /// Another working directory must not lead to other files.
    fn absolute(&self, path: &Path) -> Result<PathBuf> {
        std::path::absolute(path).map_err(|source| unreadable(path, source))
    }

    /// By the moment before anything was read: reading may take longer than stamps need to settle.
    fn trust(&self) -> Trust {
        Trust::new(self.clock.now(), self.settle)
    }

    fn record(&mut self, path: PathBuf, seen: Seen) {
        let subject = Subject::Path(path.into_os_string());
        self.found.insert(Input { subject, seen });
    }

    /// Records an attempt that failed, so that it is a change when it no longer does.
    fn failed<T>(&mut self, path: PathBuf, attempt: Attempt, error: io::Error) -> Result<T> {
        let failure = failure(&error);
        self.record(path.clone(), Seen::Failed { attempt, failure });
        Err(unreadable(&path, error))
    }
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::ReadFile {
        path: path.to_owned(),
        reason: source,
    }
}

fn text_digest(text: &OsStr) -> u128 {
    xxh3_128(text.as_bytes())
}
