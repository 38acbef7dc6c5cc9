//! The directory in which a store keeps its generations, and the locks by which processes that
//! share it take turns.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::TEMPORARY;
use crate::sys::owner::Owner;

/// The file that those lock who write into the directory. Files of caches have an ending.
const WRITERS: &str = "writers";

/// A directory that only this user can enter.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory with mode 0700 if it is not there.
    ///
    /// # Errors
    /// [`Error::Directory`]: it cannot be made, is a link, or others may enter it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |step| failed(path, step);
        let made = DirBuilder::new().mode(0o700).create(path);
        match made {
            // Whatever the umask is.
            Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(0o700))
                .map_err(failed("set the mode"))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create")(error)),
        }
        // Opened, so that what is checked is what the path leads to, and not a link.
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed("open"))?;
        let metadata = directory.metadata().map_err(failed("inspect"))?;
        if metadata.uid() != nix::unistd::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
            let reason = format!(
                "expected mode 0700 of user {}, got mode {:04o} of user {}",
                nix::unistd::geteuid(),
                metadata.mode() & 0o7777,
                metadata.uid()
            );
            return Err(failed("check")(io::Error::other(reason)));
        }
        let path = std::path::absolute(path).map_err(failed("find"))?;
        let directory = Self { path };
        directory.sweep()?;
        Ok(directory)
    }

    /// Saves a generation in place of the one before.
    pub(super) fn save<T: Content>(&self, frozen: &Frozen<T>) -> Result<()> {
        let _writing = self.lock_file(WRITERS, FlockArg::LockShared)?;
        frozen.save(self.file(frozen.name()))
    }

    /// Removes what writers have left that were killed, unless somebody writes now.
    fn sweep(&self) -> Result<()> {
        let alone = self.lock_file(WRITERS, FlockArg::LockExclusiveNonblock)?;
        if alone.is_none() {
            return Ok(());
        }
        let failed = |step| failed(&self.path, step);
        for entry in std::fs::read_dir(&self.path).map_err(failed("list"))? {
            let entry = entry.map_err(failed("list"))?;
            let name = entry.file_name();
            // Caches may be called so too, but their files have an ending.
            let temporary = name.as_bytes().starts_with(TEMPORARY.as_bytes())
                && !name.as_bytes()[1..].contains(&b'.');
            if temporary && entry.file_type().map_err(failed("list"))?.is_file() {
                std::fs::remove_file(entry.path()).map_err(failed("sweep"))?;
            }
        }
        Ok(())
    }

    /// Where the generation of a cache is kept.
    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.floe"))
    }

    /// Opens the file of a cache, if there is one; never through a link.
    pub(super) fn saved(&self, name: &str) -> Result<Option<Saved>> {
        let path = self.file(name);
        let opened = open_own(OpenOptions::new().read(true), &path);
        match opened {
            Ok((file, metadata)) => Ok(Some(Saved {
                identity: identity(&metadata),
                file,
                path,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, "open")(error)),
        }
    }

    /// What tells one file of a cache from another without opening it.
    pub(super) fn identity(&self, name: &str) -> Option<Identity> {
        let metadata = std::fs::symlink_metadata(self.file(name)).ok()?;
        Some(identity(&metadata))
    }

    /// Takes the turn to build a cache; `None` if another process has it and `wait` is false.
    pub(super) fn lock(&self, name: &str, wait: bool) -> Result<Option<Turn>> {
        let how = match wait {
            true => FlockArg::LockExclusive,
            false => FlockArg::LockExclusiveNonblock,
        };
        self.lock_file(&format!("{name}.lock"), how)
    }

    /// Locks a file of the directory; `None` if that would mean to wait and must not.
    fn lock_file(&self, file: &str, how: FlockArg) -> Result<Option<Turn>> {
        let path = self.path.join(file);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let (mut file, _) = open_own(&mut options, &path).map_err(failed(&path, "open"))?;
        let mode = Permissions::from_mode(0o600);
        file.set_permissions(mode)
            .map_err(failed(&path, "set the mode"))?;
        loop {
            match Flock::lock(file, how) {
                Ok(lock) => {
                    return Ok(Some(Turn {
                        lock: Some(lock),
                        owner: Owner::here(),
                    }));
                }
                Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
                Err((again, Errno::EINTR)) => file = again,
                Err((_, errno)) => return Err(failed(&path, "lock")(errno.into())),
            }
        }
    }
}

/// The turn to build a cache. It is given back explicitly: a child that was forked meanwhile has
/// the same lock, and would keep it.
#[derive(Debug)]
pub(super) struct Turn {
    lock: Option<Flock<File>>,
    owner: Owner,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Unlocking in a child would take the turn from its parent.
        if self.owner.check("a turn").is_err() {
            std::mem::forget(self.lock.take());
        }
    }
}

/// An opened file of a cache.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
}

/// Device, inode, size and time of a file.
pub(super) type Identity = (u64, u64, u64, i64, i64);

fn identity(metadata: &Metadata) -> Identity {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    )
}

/// Opens a file that is neither a link nor somebody else's, nor one that others may write.
fn open_own(options: &mut OpenOptions, path: &Path) -> io::Result<(File, Metadata)> {
    let file = options
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    let own = metadata.uid() == nix::unistd::geteuid().as_raw();
    if !metadata.is_file() || !own || metadata.mode() & 0o077 != 0 || metadata.nlink() != 1 {
        return Err(io::Error::other(
            "expected a file of mode 0600 of this user with one name; remove it",
        ));
    }
    Ok((file, metadata))
}

fn failed(path: &Path, step: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Directory {
        path: path.to_owned(),
        step,
        source,
    }
}
