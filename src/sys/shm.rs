//! POSIX shared memory objects: files in the folder where libc keeps them.
//!
//! The crate `shared_memory` makes them. It is not used beyond that:
//!
//! - it opens for reading and writing, and maps so, whatever is asked for: objects that others have
//!   made are opened by rustix, read-only;
//! - it opens what a planted link leads to if libc does, and hangs on a named pipe;
//! - it unlinks by name when it is dropped, whoever has the name by then, and in a forked child,
//!   too: so it is told that it owns nothing, and the object is removed by who knows that it is the
//!   same one;
//! - it takes descriptor 0 for none, and neither closes nor removes what got it: where nothing has that
//!   number, something else takes it meanwhile;
//! - it makes files of holes and writes through its map, which on a full file system is a `SIGBUS`:
//!   what is in the object is written by `write`.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, chmodat, fstat, renameat_with, statat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::shm;
use shared_memory::{ShmemConf, ShmemError};

/// Where libc keeps the objects.
pub(crate) const FOLDER: &str = "/dev/shm";
/// The mode of an object.
pub(crate) const MODE: u32 = 0o600;

/// The file of an object.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(FOLDER).join(name)
}

/// Makes an empty object that only this user can open, and opens it for writing.
///
/// # Errors
/// `AlreadyExists` if there is anything of this name.
pub(crate) fn create(name: &str) -> io::Result<File> {
    let _taken = match rustix::io::fcntl_getfd(io::stdin()) {
        Err(Errno::BADF) => Some(File::open("/dev/null")?),
        _ => None,
    };
    // Of one byte, the least that the crate makes: writing gives the file its length.
    let made = ShmemConf::new().os_id(format!("/{name}")).size(1).create();
    let mut made = made.map_err(|error| match error {
        ShmemError::MappingIdExists => io::ErrorKind::AlreadyExists.into(),
        ShmemError::MapCreateFailed(errno) | ShmemError::UnknownOsError(errno) => {
            io::Error::from_raw_os_error(errno.cast_signed())
        }
        other => io::Error::other(other),
    })?;
    made.set_owner(false);
    // No writable map stays, which children would inherit.
    drop(made);
    let opened = open_own(name, shm::OFlags::RDWR);
    let opened = opened.and_then(|file| {
        // Whatever the umask has made of it.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(MODE))?;
        Ok(file)
    });
    opened.inspect_err(|_| drop(unlink(name)))
}

/// Opens an object, or whatever has its name, for reading. It may be no file.
pub(crate) fn open(name: &str) -> io::Result<File> {
    Ok(open_as(name, shm::OFlags::RDONLY)?)
}

/// The same for an object of this user that is in the making: its mode may be none yet.
pub(crate) fn open_unfinished(name: &str) -> io::Result<File> {
    open_own(name, shm::OFlags::RDONLY)
}

fn open_own(name: &str, access: shm::OFlags) -> io::Result<File> {
    match open_as(name, access) {
        // The umask took the owner's rights off.
        Err(Errno::ACCESS) => {
            let path = path(name);
            let found = statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
            if !is_file || found.st_uid != geteuid().as_raw() {
                return Err(Errno::ACCESS.into());
            }
            chmodat(CWD, &path, Mode::from_raw_mode(MODE), AtFlags::empty())?;
            Ok(open_as(name, access)?)
        }
        opened => Ok(opened?),
    }
}

/// Neither follows a link nor waits for the other end of a named pipe, as `shm_open` may.
fn open_as(name: &str, access: shm::OFlags) -> rustix::io::Result<File> {
    let more = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = access | shm::OFlags::from_bits_retain(more.bits());
    shm::open(name, flags, Mode::empty()).map(File::from)
}

/// Gives an object another name, which nothing else has.
///
/// # Errors
/// `AlreadyExists` if something has.
pub(crate) fn rename(from: &str, to: &str) -> io::Result<()> {
    let (from, to) = (path(from), path(to));
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// Whether a name is that of an open file.
pub(crate) fn is_name_of(name: &str, file: &File) -> bool {
    let there = statat(CWD, path(name), AtFlags::SYMLINK_NOFOLLOW);
    let (Ok(there), Ok(own)) = (there, fstat(file)) else {
        return false;
    };
    (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)
}

pub(crate) fn unlink(name: &str) -> io::Result<()> {
    Ok(shm::unlink(name)?)
}

/// The names of all that is there, of whomever; none that is not text.
pub(crate) fn names() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(FOLDER)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// How many names an open file has.
pub(crate) fn count_of_names(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.nlink())
}
