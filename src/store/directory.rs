//! The directory in which a store keeps its generations.

mod files;
mod lacks;
mod turn;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::libc;

use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::{TEMPORARY, where_known};

pub(super) use files::{Kept, LoadOutcome, SavedStamp};
pub(super) use lacks::Lacks;
pub(super) use turn::{Claim, Patience, Turn, TurnTaken};

/// A directory that only this user can enter.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lacks: Mutex<Lacks>,
}

impl Directory {
    /// Creates the directory with mode 0700 if it does not exist. A directory that cannot be
    /// written can still be read.
    ///
    /// # Errors
    /// [`Error::Directory`]: it cannot be created, is a link, or others may enter it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        // Without a slash or a dot at its end, which would lead through a link.
        let own = path.components().as_path();
        let absolute = std::path::absolute(own).map_err(failed(path, "find"))?;
        let directory = Self {
            path: absolute,
            lacks: Mutex::default(),
        };
        directory.establish()?;
        directory.sweep();
        Ok(directory)
    }

    /// Makes the directory if it is not there, or not any more, and checks whose it is.
    fn establish(&self) -> Result<()> {
        let failed = |step| failed(&self.path, step);
        let directory = match open_directory(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make()?;
                open_directory(&self.path)
            }
            opened => opened,
        };
        let directory = directory.map_err(failed("open"))?;
        let metadata = directory.metadata().map_err(failed("inspect"))?;
        let (user, mode) = (nix::unistd::geteuid(), metadata.mode() & 0o7777);
        let own = metadata.uid() == user.as_raw();
        if own && (mode & 0o077 == 0 || self.has_no_modes()) {
            return Ok(());
        }
        let owner = metadata.uid();
        let reason =
            format!("expected mode 0700 of user {user}, got mode {mode:04o} of user {owner}");
        Err(failed("check")(io::Error::other(reason)))
    }

    fn make(&self) -> Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            // Whatever the umask is.
            Ok(()) => {
                let set = std::fs::set_permissions(&self.path, Permissions::from_mode(0o700));
                where_known(set).map_err(failed(&self.path, "set the mode"))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(failed(&self.path, "create")(error)),
        }
    }

    /// Whether the file system gives every file the same mode, so that nothing can be kept from
    /// others by it: a new file of mode 0600 has another one.
    fn has_no_modes(&self) -> bool {
        let probe = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(&self.path);
        let mode = probe.and_then(|probe| Ok(probe.as_file().metadata()?.mode()));
        let has_none = mode.is_ok_and(|mode| mode & 0o077 != 0);
        if has_none {
            self.lack("the file system has no file modes: other users may read what is saved");
        }
        has_none
    }

    /// Removes what writers have left that were killed, unless somebody writes now. It lies in
    /// nobody's way where that fails.
    fn sweep(&self) {
        let Some(_alone) = self.lock_writers(turn::LockMode::Alone) else {
            return;
        };
        for entry in std::fs::read_dir(&self.path).into_iter().flatten() {
            let Ok(entry) = entry else { return };
            let name = entry.file_name();
            // Caches may be called so too, but their files have an ending.
            let temporary = name.as_bytes().starts_with(TEMPORARY.as_bytes())
                && !name.as_bytes()[1..].contains(&b'.');
            if temporary && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Saves a file of a cache in place of the one before.
    pub(super) fn save<T: Content>(&self, kept: Kept, frozen: &Frozen<T>) -> Result<()> {
        self.establish()?;
        // Without the lock a sweeper may remove what is being written: an error, which is retried.
        let _writing = self.lock_writers(turn::LockMode::Shared);
        frozen
            .region()
            .save(self.file(kept, frozen.region().name()))
    }

    /// Notes what the file system lacks.
    fn lack(&self, what: &str) {
        self.lacks().note(what);
    }

    pub(super) fn lacks(&self) -> MutexGuard<'_, Lacks> {
        self.lacks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a directory, so that what is checked is what the path leads to, and not a link.
fn open_directory(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(path);
    let is_link = |path| std::fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink());
    match opened {
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP))
                && is_link(path) =>
        {
            let target = std::fs::read_link(path).unwrap_or_default();
            let target = target.display();
            Err(io::Error::other(format!(
                "it is a symbolic link to {target}; pass the path that it leads to"
            )))
        }
        opened => opened,
    }
}

/// How long a writer waits for a sweeper.
const SWEEP: Duration = Duration::from_secs(1);

fn failed(path: &Path, step: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Directory {
        path: path.to_owned(),
        step,
        reason: source,
    }
}
