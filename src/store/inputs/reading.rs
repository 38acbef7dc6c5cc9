//! Files that are read as inputs: which are, which are refused, and how their content is told
//! from another.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;
use xxhash_rust::xxh3::Xxh3Default;

use super::proof::Times;
use super::stamp::Found;

/// A file that can be read, and what it was like before anything of it was, so that a change
/// meanwhile shows.
pub(super) struct Opened {
    pub(super) found: Found,
    pub(super) times: Times,
    /// None stands for `/dev/null`, to which links lead that take a file away.
    file: Option<File>,
}

/// Why there is no content.
pub(super) enum Unread {
    /// There are more bytes than may be read: so many, or more.
    TooLarge(u64),
    Failed(io::Error),
}

/// Opens what a path leads to, if it is a regular file or `/dev/null`.
///
/// It is looked at before it is opened: to open a device may set it to work, and to open a pipe
/// lets somebody go on who waits for a reader.
pub(super) fn open(path: &Path) -> io::Result<Opened> {
    let found = Found::at(path)?;
    if found.is_null() {
        return Ok(Opened {
            found,
            times: Times::Unknown,
            file: None,
        });
    }
    refuse_special(&found)?;
    // The path may lead to a pipe or a terminal by now; for a regular file the flags mean nothing.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let found = Found::of(&file)?;
    refuse_special(&found)?;
    Ok(Opened {
        found,
        times: Times::of(&file),
        file: Some(file),
    })
}

impl Opened {
    /// All bytes, if there are no more than `most`.
    pub(super) fn read(self, most: u64) -> Result<Vec<u8>, Unread> {
        let Some(file) = self.file else {
            return Ok(Vec::new());
        };
        let size = self.found.stamp.size;
        if size > most {
            return Err(Unread::TooLarge(size));
        }
        let mut bytes = Vec::new();
        let no_memory = |_| Unread::Failed(io::ErrorKind::OutOfMemory.into());
        bytes.try_reserve_exact(size as usize).map_err(no_memory)?;
        let mut limited = file.take(most.saturating_add(1));
        limited.read_to_end(&mut bytes).map_err(Unread::Failed)?;
        match bytes.len() as u64 {
            length if length > most => Err(Unread::TooLarge(length)),
            _ => Ok(bytes),
        }
    }

    /// The digest of all bytes, if there are no more than `most`.
    pub(super) fn digest(self, most: u64) -> io::Result<Option<u128>> {
        let mut hasher = Xxh3Default::new();
        let Some(mut file) = self.file else {
            return Ok(Some(hasher.digest128()));
        };
        let mut buffer = vec![0; most.saturating_add(1).min(1 << 16) as usize];
        let mut total = 0;
        while total <= most {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Some(hasher.digest128())),
                Ok(length) => {
                    hasher.update(&buffer[..length]);
                    total += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// What is no regular file.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it is a {}; inputs are regular files and /dev/null", kind_of(*mode))]
struct Special {
    mode: u32,
}

fn kind_of(mode: u32) -> &'static str {
    match mode {
        libc::S_IFIFO => "named pipe",
        libc::S_IFSOCK => "socket",
        libc::S_IFBLK => "block device",
        libc::S_IFCHR => "character device",
        _ => "file of an unknown kind",
    }
}

fn refuse_special(found: &Found) -> io::Result<()> {
    match found.kind() {
        libc::S_IFREG => Ok(()),
        libc::S_IFDIR => Err(io::Error::from_raw_os_error(libc::EISDIR)),
        mode => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            Special { mode },
        )),
    }
}

/// A number for what went wrong, equal if the same goes wrong again: the kernel's, or beyond those
/// the kind of a special file.
pub(super) fn failure(error: &io::Error) -> u32 {
    const BEYOND: u32 = 1 << 16;
    if let Some(number) = error.raw_os_error() {
        return number.cast_unsigned();
    }
    let special = error.get_ref().and_then(|inner| inner.downcast_ref());
    special.map_or(0, |Special { mode }| BEYOND + mode)
}
