//! Regions by POSIX names: shared memory objects, files in `/dev/shm` that `shm_open` finds.
//!
//! For programs that are given a name and nothing else: no descriptor, no socket, no path. An
//! object cannot be sealed, so readers copy it into a sealed memfd
//! ([`Frozen::open_posix`](crate::Frozen::open_posix)), or map it in place and promise that nobody
//! changes it ([`Frozen::map_posix`](crate::Frozen::map_posix)).
//!
//! ```
//! use floe::{Frozen, Map};
//!
//! let ages = Map::freeze("ages", [("ada".to_owned(), 36_u32)])?;
//! let name = format!("example-{}", std::process::id());
//! let published = ages.region().publish_posix(&name)?;
//!
//! // In any process of the same user:
//! let copy: Frozen<Map<String, u32>> = Frozen::open_posix(&name)?;
//! assert_eq!(copy["ada"], 36);
//!
//! // The name goes with the publication; what was opened stays.
//! drop(published);
//! assert!(Frozen::<Map<String, u32>>::open_posix(&name).is_err());
//! assert_eq!(copy["ada"], 36);
//! # Ok::<(), floe::Error>(())
//! ```
//!
//! # Owners
//! The owner of an object holds a lock on it (`flock`), which ends with its process, however that
//! ends. So no number of a process is believed, and what a dead owner has left is known by its lock
//! that nobody holds: [`sweep`] removes it, and so does the next owner that publishes the name.
//!
//! What `publish_posix` made is told from any other region in `/dev/shm` by its date: that of the
//! object is to the nanosecond the one at which the cache was frozen. What
//! [`Region::save`](crate::Region::save) puts there is never swept.
#![forbid(unsafe_code)]

mod leftovers;

use std::fs::{File, FileTimes};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Region;
use super::format::check_file_name;
use crate::error::{Error, PosixError, Result};
use crate::sys::memfd::check_not_sparse;
use crate::sys::owner::Owner;
use crate::sys::private_file::PrivateFile;
use crate::sys::shm;

pub use leftovers::{Object, list, sweep};

/// The longest name, in bytes: that of a file.
const LONGEST: usize = 255;
/// How often an owner takes a name from dead ones before it gives up.
const ATTEMPTS: usize = 8;
/// How the names of objects begin that are being written.
const DRAFT: &str = ".floe-posix-";

/// A name under which this process has published a region; dropping it removes the object.
///
/// Readers that have opened the object keep it. A forked child that drops its copy removes nothing,
/// and where the name is another object's by then, nobody removes that. Should the process end
/// without dropping it, the object stays until somebody [sweeps](sweep), or publishes the name
/// again.
#[derive(Debug)]
#[must_use = "dropping it removes the name"]
pub struct Publication {
    name: String,
    file: PrivateFile,
}

impl Publication {
    /// The name of the object, without a slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes the name, as dropping does, and tells what goes wrong.
    ///
    /// # Errors
    /// [`PosixError::Step`], and [`Error::NotOwner`] in a forked child.
    pub fn remove(self) -> Result<()> {
        self.file.check()?;
        self.remove_name()
            .map_err(|reason| failed(&self.name, "remove")(reason).into())
    }

    fn remove_name(&self) -> io::Result<()> {
        match self.file.get() {
            Some(file) if shm::is_name_of(&self.name, file) => shm::unlink(&self.name),
            _ => Ok(()),
        }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // What stays is swept: the lock ends here.
        let _ = self.remove_name();
    }
}

/// An object that is being written, under a name that nobody knows.
struct Draft {
    name: DraftName,
    file: PrivateFile,
}

/// The name of a draft, which goes with it until it is published.
struct DraftName {
    name: String,
    owner: Owner,
    is_published: bool,
}

impl Draft {
    fn create() -> io::Result<Self> {
        loop {
            let number = RandomState::new().hash_one(process::id());
            let name = format!("{DRAFT}{number:016x}");
            match shm::create(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => {
                    let file = PrivateFile::new(created?);
                    let name = DraftName {
                        name,
                        owner: Owner::here(),
                        is_published: false,
                    };
                    return Ok(Self { name, file });
                }
            }
        }
    }

    fn file(&self) -> io::Result<&File> {
        let file = self.file.get();
        file.ok_or_else(|| io::Error::other("it belongs to another process"))
    }

    /// Takes the lock of the owner. Whoever sweeps meanwhile has the object first.
    fn lock(&self) -> io::Result<()> {
        let file = self.file()?;
        while let Err(errno) = flock(file, FlockOperation::LockExclusive) {
            if errno != Errno::INTR {
                return Err(errno.into());
            }
        }
        match shm::count_of_names(file)? {
            0 => Err(io::Error::other(
                "it was swept before its owner had locked it",
            )),
            _ => Ok(()),
        }
    }

    fn write(&self, region: &Region) -> io::Result<()> {
        region.write_to(self.file()?)
    }

    /// Gives it the date by which it is known.
    fn date(&self, region: &Region) -> io::Result<()> {
        let created = region.created();
        let times = FileTimes::new().set_modified(created).set_accessed(created);
        self.file()?.set_times(times)
    }
}

impl Drop for DraftName {
    fn drop(&mut self) {
        if !self.is_published && self.owner.check("a draft").is_ok() {
            let _ = shm::unlink(&self.name);
        }
    }
}

/// Writes a region into an object that appears under its name all at once.
pub(super) fn publish(region: &Region, name: &str) -> Result<Publication> {
    check_name(name)?;
    let mut draft = Draft::create().map_err(failed(name, "create"))?;
    draft.lock().map_err(failed(name, "lock (flock)"))?;
    draft.write(region).map_err(failed(name, "write"))?;
    draft.date(region).map_err(failed(name, "date"))?;
    for _ in 0..ATTEMPTS {
        match shm::rename(&draft.name.name, name) {
            Ok(()) => {
                draft.name.is_published = true;
                return Ok(Publication {
                    name: name.to_owned(),
                    file: draft.file,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(name, "name (renameat2)")(error).into()),
        }
        make_way(name)?;
    }
    let name = name.to_owned();
    Err(PosixError::Taken { name }.into())
}

/// Removes what a dead owner has left under a name, and refuses what no owner has put there.
fn make_way(name: &str) -> Result<()> {
    if leftovers::sweep_name(name)? {
        return Ok(());
    }
    match open(name) {
        Err(Error::Posix(PosixError::Step { reason, .. }))
            if reason.kind() == io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        Err(error) => Err(error),
        Ok(_) => {
            let (expected, got) = ("that an owner has published", "another file");
            Err(refused(name, "an object", expected, got).into())
        }
    }
}

/// Opens an object that an owner of this user has published: for reading, and only if it is a file
/// of this user that nobody else may open, of one name and without holes.
///
/// # Errors
/// [`PosixError::Name`], [`PosixError::Step`] and [`PosixError::Refused`].
pub(crate) fn open(name: &str) -> Result<File> {
    check_name(name)?;
    let file = shm::open(name).map_err(|error| match error.raw_os_error() {
        Some(nix::libc::ELOOP) => refused(name, "a", "file", "a symbolic link"),
        _ => failed(name, "open (shm_open)")(error),
    })?;
    check_file(name, &file)?;
    Ok(file)
}

fn check_file(name: &str, file: &File) -> Result<()> {
    let metadata = file.metadata().map_err(failed(name, "look at (fstat)"))?;
    if !metadata.is_file() {
        return Err(refused(name, "a", "file", "something else").into());
    }
    let expect = |what, expected: u32, got: u32| match expected == got {
        true => Ok(()),
        false => Err(refused(name, what, expected, got)),
    };
    expect("the user", geteuid().as_raw(), metadata.uid())?;
    let mode = metadata.mode() & 0o7777;
    if mode != shm::MODE {
        let octal = |mode: u32| format!("{mode:04o}");
        return Err(refused(name, "the mode", octal(shm::MODE), octal(mode)).into());
    }
    expect("a number of names of", 1, metadata.nlink() as u32)?;
    check_not_sparse(&metadata).map_err(|error| error.of_file(&shm::path(name)))
}

/// The file of an object, for messages.
pub(crate) fn path(name: &str) -> PathBuf {
    shm::path(name)
}

fn check_name(name: &str) -> Result<()> {
    check_file_name(name, LONGEST).map_err(|reason| {
        let name = name.to_owned();
        Error::Posix(PosixError::Name { name, reason })
    })
}

fn refused(
    name: &str,
    what: &'static str,
    expected: impl ToString,
    got: impl ToString,
) -> PosixError {
    PosixError::Refused {
        name: name.to_owned(),
        what,
        expected: expected.to_string(),
        got: got.to_string(),
    }
}

/// Adds name and step to what the kernel said.
fn failed(name: &str, step: &'static str) -> impl FnOnce(io::Error) -> PosixError {
    let name = name.to_owned();
    move |reason| PosixError::Step { name, step, reason }
}
