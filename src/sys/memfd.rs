//! The system-call boundary: memory files and their seals.
#![allow(unsafe_code)]

use crate::error::HeaderError;
use std::fs::{File, Permissions};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{FileStat, fstat};

use super::mapping::Mapping;
use crate::error::{Error, Result};

/// The seals that make a memory file immutable for everybody, for ever.
pub(crate) fn all_seals() -> SealFlag {
    SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

/// Creates an empty memory file that only this process can write: closed on exec, not
/// executable where the kernel knows the flag (Linux 6.3), mode 0400 whatever the umask is.
///
/// The mode keeps other processes of the same user from opening it for writing through /proc
/// before it is sealed.
pub(crate) fn create(label: &str) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let noexec = MFdFlags::from_bits_retain(nix::libc::MFD_NOEXEC_SEAL);
    let fd = match memfd_create(label, flags | noexec) {
        Err(Errno::EINVAL) => memfd_create(label, flags)?,
        other => other?,
    };
    let file = File::from(fd);
    file.set_permissions(Permissions::from_mode(0o400))?;
    Ok(file)
}

/// Adds all four seals. Fails with `EBUSY` while any writable map of the file exists.
pub(crate) fn seal(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_ADD_SEALS(all_seals()))?;
    Ok(())
}

/// The length of a memory file of unknown origin that has certain seals, and no holes.
///
/// With `SHRINK` among the seals, each of its bytes is there for ever.
pub(crate) fn sealed_length(fd: impl AsFd, seals: SealFlag) -> Result<u64> {
    check_seals(&fd, seals)?;
    let stat = fstat(fd).map_err(|errno| Error::Descriptor {
        reason: errno.into(),
    })?;
    check_not_sparse(&stat)?;
    Ok(stat.st_size as u64)
}

/// Refuses a file with holes: it costs its sender nothing, but reading it would fill them with
/// this process's memory, without end.
fn check_not_sparse(stat: &FileStat) -> Result<()> {
    const BLOCK: u64 = 512;
    let (expected, got) = (stat.st_size as u64, stat.st_blocks as u64 * BLOCK);
    if got < expected {
        return Err(Error::Header(HeaderError::Sparse { expected, got }));
    }
    Ok(())
}

/// Refuses a descriptor that lacks one of the seals; a descriptor that cannot have seals (any
/// ordinary file) lacks them all.
fn check_seals(fd: &impl AsFd, expected: SealFlag) -> Result<()> {
    let seals = match fcntl(fd, FcntlArg::F_GET_SEALS) {
        Ok(bits) => SealFlag::from_bits_retain(bits),
        Err(Errno::EINVAL) => SealFlag::empty(),
        Err(errno) => {
            return Err(Error::Descriptor {
                reason: errno.into(),
            });
        }
    };
    let missing = expected.difference(seals);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter_names().map(|(name, _)| name).collect();
    Err(Error::Unsealed {
        missing: names.join(", "),
    })
}

/// Maps a file whose seals were checked, or set by this process.
pub(crate) fn map_sealed(file: &File, length: NonZeroUsize) -> io::Result<Mapping> {
    // SAFETY: the caller checked or set the seals WRITE, SHRINK, GROW and SEAL of `file`, so no
    // process can ever change or truncate its bytes.
    unsafe { Mapping::shared(file, length) }
}

/// Maps the bytes written so far, so that their author can read them before the seal.
pub(crate) fn map_unsealed(file: &File, length: NonZeroUsize) -> io::Result<Mapping> {
    // SAFETY: `file` was created by this process with mode 0400, and `Unsealed`, its only writer,
    // is borrowed as long as the map, so the bytes do not change meanwhile. A forked child that
    // inherited the descriptor refuses to write (`Unsealed::check_owner`).
    unsafe { Mapping::private(file, length) }
}
