//! Files and POSIX shared memory objects that are mapped where they are, at the caller's word.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use memmap2::MmapOptions;

use super::Frozen;
use crate::archive::checked::{Checked, Form};
use crate::archive::content::Content;
#[cfg(doc)]
use crate::error::HeaderError;
use crate::error::{Error, Result};
use crate::region::format::Header;
#[cfg(feature = "posix-shm")]
use crate::region::posix;
use crate::region::{self, Region};

impl<T: Content> Frozen<T> {
    /// Maps a file that [`Region::save`] wrote where it is, read-only: takes the time of a few
    /// system calls, whatever its size, and no memory but the page cache's, which all who map it
    /// share. [`load`](Self::load) is the safe way: it copies the file and checks every byte.
    ///
    /// Checks that it is a regular file of the length and with the digest that its header tells, of
    /// this format, and of this type. Digests of the sections and the values in them are *not*
    /// looked at.
    ///
    /// The handle has no descriptor to pass on; otherwise it is like any other.
    ///
    /// ```
    /// use floe::{Frozen, Map};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("ages.floe");
    /// Map::freeze("ages", [("ada".to_owned(), 36_u32)])?.region().save(&path)?;
    ///
    /// // SAFETY: the file was saved by this very program, in a folder that only this user can
    /// // open, and nothing writes there but `save`, which puts a new file into its place.
    /// let ages: Frozen<Map<String, u32>> = unsafe { Frozen::map_file(&path)? };
    /// assert_eq!(ages["ada"], 36);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// The caller promises all of this:
    ///
    /// 1. **It is what was written.** The bytes are those that this library wrote for a `T` which
    ///    it had frozen, or had opened with all checks, by a program built with the same `T`; as
    ///    with a [`Trust`](crate::Trust). Whoever can write the file can make this process read
    ///    any memory that it has.
    /// 2. **It stays so.** From the call on, and as long as this handle or a clone of it lives in
    ///    any process that was forked from here, nobody writes to the file, shortens it, or punches
    ///    holes into it, whatever their rights: not root, not another program of this user, not
    ///    this program. A change that is seen is undefined behaviour, as of any memory behind a
    ///    shared reference; a file that gets shorter is a `SIGBUS`.
    ///    To remove the file, or to put another one into its place by rename (which
    ///    [`Region::save`] does), is no change of it.
    /// 3. **It can be read.** The file system and what is below it go on to give its pages: a disk
    ///    that fails, a server that is gone or a medium that is pulled is a `SIGBUS`, too.
    ///
    /// # Errors
    /// [`Error::ReadFile`], and [`Error::Load`] with the reason why the content was refused: those
    /// of the header, [`HeaderError::Length`] among them, and [`Error::SchemaMismatch`].
    pub unsafe fn map_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mapped = region::open(path).and_then(|(file, _, header)| {
            // SAFETY: the caller's promise; the file was found to have the length of the header.
            unsafe { Self::map_in_place(&file, header) }
        });
        mapped.map_err(|error| error.of_file(path))
    }

    /// Maps an object that [`Region::publish_posix`] made where it is, as
    /// [`map_file`](Self::map_file) does a file. [`open_posix`](Self::open_posix) is the safe way:
    /// it copies the object and checks every byte.
    ///
    /// Checks of the object what `open_posix` checks, and of its content what `map_file` does.
    ///
    /// ```
    /// use floe::{Frozen, Map};
    ///
    /// let ages = Map::freeze("ages", [("ada".to_owned(), 36_u32)])?;
    /// let name = format!("in-place-{}", std::process::id());
    /// let published = ages.region().publish_posix(&name)?;
    ///
    /// // SAFETY: this program has just published it, and no program of this user writes to objects
    /// // of this name.
    /// let mapped: Frozen<Map<String, u32>> = unsafe { Frozen::map_posix(&name)? };
    /// drop(published);
    /// assert_eq!(mapped["ada"], 36);
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Safety
    /// What the caller of [`map_file`](Self::map_file) promises of the file, the caller promises of
    /// the object. Programs of other users cannot open it; those of this user, and root, can write
    /// to it. Removing the name, or publishing it again, is no change of the object.
    ///
    /// # Errors
    /// Those of [`open_posix`](Self::open_posix) for the object, and of `map_file` for its content.
    #[cfg(feature = "posix-shm")]
    pub unsafe fn map_posix(name: &str) -> Result<Self> {
        let (file, path) = (posix::open(name)?, posix::path(name));
        let mapped = region::read_opened(file, &path).and_then(|(file, header)| {
            // SAFETY: the caller's promise; the file was found to have the length of the header.
            unsafe { Self::map_in_place(&file, header) }
        });
        mapped.map_err(|error| error.of_file(&path))
    }

    /// # Safety
    /// As [`map_file`](Self::map_file); the file has the length that the header tells.
    unsafe fn map_in_place(file: &File, header: Header) -> Result<Self> {
        let unmappable = |reason| Error::Descriptor { reason };
        let length = usize::try_from(header.length).map_err(std::io::Error::other);
        let mut options = MmapOptions::new();
        options.len(length.map_err(unmappable)?);
        // SAFETY: the caller promises that the file stays as long, and as it is.
        let map = unsafe { options.map(file) }.map_err(unmappable)?;
        let region = Region::in_place(map, header);
        T::Form::check_type(&region)?;
        // SAFETY: the caller promises that the bytes were written for a valid `T`.
        let checked = unsafe { Checked::from_region_unchecked(region)? };
        Ok(Self::from_checked(checked))
    }
}
