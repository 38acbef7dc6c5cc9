//! What a build read: files, files that were absent, directory listings, environment, named
//! values.
//!
//! A build closure gets [`Inputs`] and reads through it. What it read becomes a set of inputs, each
//! with a stamp. The region of a generation stores its sets, so any process can check whether the
//! generation is up to date without building it.

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
/// Every method returns what it finds and records it. Absence is recorded too: `read` returns
/// `None`, `glob` nothing. So is an error: it is a change when the call succeeds later, or fails
/// differently. When a recorded input changes, what was built from it is built again.
///
/// A file is recorded by its *stamp* (device, inode, size and times) and a digest of its content.
/// The content is compared only if the stamp differs, or was younger than the *settle* time of two
/// seconds when it was taken. So an edit within the same tick of the clock is seen, and a file that
/// was only touched is no change. The same holds for the names in a directory.
///
/// # Where stamps are not enough
/// How far a stamp is trusted depends on the type of the file system. The content, or the names,
/// are compared
/// - at every check, on file systems whose times do not follow changes: `/proc`, `/sys`, cgroups,
///   FAT, and all unknown ones; for files whose size differs from the bytes that were read; on
///   network file systems and in FUSE, if the time of last change has whole seconds;
/// - when the mount has changed, on images and layers (squashfs, EROFS, ISO 9660, overlayfs), in
///   FUSE, and for times of whole seconds on any disk: such times may have been set by hand, and
///   another image in the same place may have the same stamps. Linux identifies mounts since 6.8;
///   before that, the content is compared at every check.
///
/// No stamp shows three things:
/// - A write through a shared map of a file (`mmap`) sets the times only when a page is first
///   written, and never on tmpfs.
/// - On a network file system the kernel caches times, for up to a minute by default. A change is
///   seen after that.
/// - If this machine's clock is ahead of a file server's, a file that has just changed looks
///   settled; see [`Policy::settle`](crate::Policy::settle).
///
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
#[derive(Debug, Clone)]
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
    /// Creates an empty record. A [`Store`](crate::Store) makes one for each call of a build
    /// closure.
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

    /// The content of a file, or `None` if there is no file. A path that leads to `/dev/null`, as
    /// that of a masked configuration file does, is an empty file.
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

    /// The content of a file as text, or `None` if there is no file.
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

    /// The metadata of what a path leads to, or `None` if it leads nowhere. The access time and the
    /// number of blocks are not compared: they change while the file stays the same.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if `stat` fails for another reason than absence.
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

    /// The entries of a directory, ordered by kind and name, or `None` if there is no directory.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if it cannot be listed, or is no directory.
    pub fn read_dir(&mut self, path: impl AsRef<Path>) -> Result<Option<Vec<DirectoryEntry>>> {
        self.listing(path.as_ref(), None)
    }

    /// The paths that match a pattern, sorted. `*`, `?` and `[...]` match within a name; `**`
    /// matches any number of directories, also none, and follows no links; a slash at the end
    /// matches directories only. A hidden name matches only a pattern that starts with a dot.
    /// In names that are not UTF-8, each invalid byte counts as a character.
    ///
    /// These characters are special in every part of the path. Pass literal folders through
    /// [`escape_pattern`](Self::escape_pattern).
    ///
    /// A directory that the pattern names literally must be readable if it exists. A directory that
    /// it only matches, such as `lost+found`, is skipped if this user may not read it or its
    /// links form a loop. The skipped directory is recorded: it is a change when it becomes
    /// readable. [`unreadable`](Self::unreadable) lists such directories.
    ///
    /// # Errors
    /// [`Error::Pattern`]. [`Error::ReadFile`] if a directory that is named literally cannot be
    /// listed, or any directory for a reason that may pass, such as a failing disk or too few
    /// descriptors.
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

    /// Escapes a path, or a part of one, into a pattern that matches nothing else.
    pub fn escape_pattern(path: impl AsRef<OsStr>) -> OsString {
        pattern::escape(path.as_ref())
    }

    /// The paths that could not be read, sorted; includes those that [`glob`](Self::glob) skipped.
    pub fn unreadable(&self) -> impl Iterator<Item = &Path> {
        let failed = self.found.iter().filter(|input| input.seen.is_failure());
        failed.map(|input| Path::new(input.subject.name()))
    }

    /// Whether a path exists, links followed. Records only that, not what the path leads to.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if `stat` fails for another reason than absence.
    pub fn exists(&mut self, path: impl AsRef<Path>) -> Result<bool> {
        let path = self.absolute(path.as_ref())?;
        let exists = match existing(Found::at(&path)) {
            Ok(found) => found.is_some(),
            Err(error) => return self.failed(path, Attempt::Find, error),
        };
        self.record(path, if exists { Seen::Present } else { Seen::Absent });
        Ok(exists)
    }

    /// An environment variable, or `None` if it is not set. Only a digest is recorded, so no secret
    /// gets into a region.
    pub fn env(&mut self, name: impl AsRef<OsStr>) -> Option<OsString> {
        let (name, value) = (name.as_ref(), std::env::var_os(name.as_ref()));
        let subject = Subject::Environment(name.to_owned());
        let seen = check::variable(name);
        self.found.insert(Input { subject, seen });
        value
    }

    /// Records a digest of a named value, such as the version of a parser. The value has changed
    /// when [`Store::set_value`](crate::Store::set_value) or another build gives that name
    /// another value.
    ///
    /// Names belong to the whole store: entries that record different values need different names,
    /// or each makes the others due. A process that starts with saved caches sets the current
    /// values before it refreshes.
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

    /// What has changed since it was recorded; empty if nothing has. Costs one system call for each
    /// path, and reads only what has a new stamp or a stamp that is not trusted.
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

    /// Decides what a failed listing means. A pattern finds nothing in what is no directory.
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

    /// Takes the moment before anything is read: reading may take longer than stamps need to
    /// settle.
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
