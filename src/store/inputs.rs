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
mod sets;
mod stamp;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::sys::clock::{Clock, Moment};

pub use change::{Change, Difference};
pub(crate) use check::{Changed, Values};
pub(crate) use encode::{decode, encode};
pub(crate) use input::Input;
use input::{Seen, Subject};
pub use listing::{DirectoryEntry, EntryKind};
pub(crate) use sets::{Sets, SetsBuilder, Touched};
use stamp::{Stamp, existing};

/// How long after the last change of a file its stamp alone is not trusted, unless a policy says
/// otherwise.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
/// Most bytes that a build may read from one file, unless a policy says otherwise.
pub(crate) const READ_LIMIT: u64 = 1 << 30;

/// Reads on behalf of a build, and remembers what was read.
///
/// Every method gives what is there and records it. What is not there is an answer as well, and
/// is recorded: `read` gives `None`, `glob` nothing. When any of it is different later, what was
/// built from it is built again. An error records nothing: a build that goes on in spite of one is
/// not built again when that can be read.
///
/// A file is recorded by device, inode, size and times, and a digest of its content. The content
/// is compared only when a stamp differs, or was younger than the *settle* time of two seconds when
/// it was taken: so an edit within the same tick of the clock is seen, and a file that was merely
/// touched is not taken for a change.
///
/// ```
/// use floe::Inputs;
///
/// # let directory = tempfile::tempdir().unwrap();
/// # std::env::set_current_dir(&directory).unwrap();
/// std::fs::write("machine.conf", "MACHINE = \"qemux86-64\"").unwrap();
/// let mut inputs = Inputs::new();
/// let machine = inputs.read_to_string("machine.conf")?.unwrap();
/// assert!(inputs.absent("local.conf")?);
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

    /// The content of a file, or `None` if there is none.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if it cannot be read or is no regular file, [`Error::InputTooLarge`].
    pub fn read(&mut self, path: impl AsRef<Path>) -> Result<Option<Vec<u8>>> {
        let (path, now) = (self.absolute(path.as_ref())?, self.clock.now());
        let opened = existing(open(&path)).map_err(unreadable(&path))?;
        let Some((file, metadata)) = opened else {
            self.record(path, Seen::Absent);
            return Ok(None);
        };
        let bytes = self.read_all(&path, &file, &metadata)?;
        let stamp = Stamp::of(&metadata);
        let seen = Seen::Content {
            unsettled: self.is_unsettled(&stamp, now),
            stamp,
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
            let reason = io::Error::new(io::ErrorKind::InvalidData, error.utf8_error());
            unreadable(path)(reason)
        })?;
        Ok(Some(text))
    }

    /// The metadata of what a path leads to, or `None` if it leads nowhere.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if the kernel does not tell.
    pub fn stat(&mut self, path: impl AsRef<Path>) -> Result<Option<Metadata>> {
        let path = self.absolute(path.as_ref())?;
        let metadata = stamp::metadata(&path).map_err(unreadable(&path))?;
        let seen = metadata.as_ref().map(Stamp::of);
        self.record(path, seen.map_or(Seen::Absent, Seen::Metadata));
        Ok(metadata)
    }

    /// The entries of a directory in the order of kind and name, or `None` if there is none.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if it cannot be listed.
    pub fn read_dir(&mut self, path: impl AsRef<Path>) -> Result<Option<Vec<DirectoryEntry>>> {
        self.listing(path.as_ref(), None)
    }

    /// The paths that match a pattern, sorted: `*`, `?` and `[...]` within a name, `**` for any
    /// directories. Hidden names match only a pattern with a dot.
    ///
    /// # Errors
    /// [`Error::Pattern`], and [`Error::ReadFile`] if a directory cannot be listed.
    pub fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>> {
        listing::expand(self, pattern)
    }

    /// Whether a path leads nowhere. What it leads to is not recorded, only that it does.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if the kernel does not tell.
    pub fn absent(&mut self, path: impl AsRef<Path>) -> Result<bool> {
        let path = self.absolute(path.as_ref())?;
        let metadata = stamp::metadata(&path).map_err(unreadable(&path))?;
        let absent = metadata.is_none();
        self.record(path, if absent { Seen::Absent } else { Seen::Present });
        Ok(absent)
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
    /// path, and reads only what has another stamp or a young one.
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
        let (path, now) = (self.absolute(path)?, self.clock.now());
        let metadata = stamp::metadata(&path).map_err(unreadable(&path))?;
        let directory = metadata.filter(|it| filter.is_none() || it.is_dir());
        let listed =
            directory.map(|it| listing::list(&path, filter.as_deref()).map(|names| (it, names)));
        let Some((metadata, names)) = listed.transpose().map_err(unreadable(&path))? else {
            let seen = if filter.is_some() {
                self.no_directory(&path)?
            } else {
                Seen::Absent
            };
            self.record(path, seen);
            return Ok(None);
        };
        let stamp = Stamp::of(&metadata);
        let entries = listing::entries(&names);
        let seen = Seen::Listing {
            unsettled: self.is_unsettled(&stamp, now),
            stamp,
            filter,
            names,
        };
        self.record(path, seen);
        Ok(Some(entries))
    }

    /// What a pattern saw where it found no directory to look into.
    fn no_directory(&self, path: &Path) -> Result<Seen> {
        let metadata = stamp::metadata(path).map_err(unreadable(path))?;
        Ok(metadata.map_or(Seen::Absent, |it| Seen::Metadata(Stamp::of(&it))))
    }

    fn read_all(&self, path: &Path, file: &File, metadata: &Metadata) -> Result<Vec<u8>> {
        let too_large = |got| Error::InputTooLarge {
            path: path.to_owned(),
            most: self.read_limit,
            got,
        };
        if metadata.len() > self.read_limit {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        let mut limited = file.take(self.read_limit + 1);
        limited.read_to_end(&mut bytes).map_err(unreadable(path))?;
        if bytes.len() as u64 > self.read_limit {
            return Err(too_large(bytes.len() as u64));
        }
        Ok(bytes)
    }

    /// Another working directory must not lead to other files.
    fn absolute(&self, path: &Path) -> Result<PathBuf> {
        std::path::absolute(path).map_err(unreadable(path))
    }

    /// By the moment before anything was read: reading may take longer than stamps need to settle.
    fn is_unsettled(&self, stamp: &Stamp, before: Moment) -> bool {
        let settle = self.settle.as_nanos() as u64;
        stamp.is_unsettled(before.wall_nanos, settle)
    }

    fn record(&mut self, path: PathBuf, seen: Seen) {
        let subject = Subject::Path(path.into_os_string());
        self.found.insert(Input { subject, seen });
    }
}

/// Opens a regular file. The stamp is taken before its content is read, so that a change meanwhile
/// shows.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // A pipe must not block the open; for a regular file the flag means nothing.
    let flags = nix::libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if !metadata.is_file() {
        let reason = "not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    Ok((file, metadata))
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::ReadFile {
        path: path.to_owned(),
        source,
    }
}

fn text_digest(text: &OsStr) -> u128 {
    xxh3_128(text.as_bytes())
}
