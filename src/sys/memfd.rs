//! memfds and their seals.
//!
//! What may be mapped is told by types, each of which is made in this file alone: a [`SealedFile`]
//! never changes, a [`FixedFile`] never gets shorter, and an [`UnsealedFile`] has one writer.
#![forbid(unsafe_code)]

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use rustix::fs::{
    FlockOperation, MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fcntl_lock,
    memfd_create,
};
use rustix::io::Errno;

use super::memfd_id::MemfdId;
use super::owner::Owner;
use crate::error::{Error, HeaderError, Result};

/// The seals that make a memfd immutable for everybody, for ever.
const IMMUTABLE: SealFlags = SealFlags::WRITE.union(FIXED_LENGTH);
/// The seals by which nobody can map a memfd writable any more, cut it or seal it further;
/// maps that were writable before still are.
const READ_ONLY: SealFlags = SealFlags::FUTURE_WRITE.union(FIXED_LENGTH);
const FIXED_LENGTH: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// Creates an empty memfd that only this process can write: closed on exec, not
/// executable where the kernel knows the flag (Linux 6.3), mode 0400 whatever the umask is.
///
/// The mode keeps other processes of the same user from opening it for writing through /proc
/// before it is sealed.
pub(crate) fn create(label: &str) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = match memfd_create(label, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(label, flags)?,
        other => other?,
    };
    let file = File::from(fd);
    file.set_permissions(Permissions::from_mode(0o400))?;
    Ok(file)
}

/// A memfd with all four seals: its bytes never change, for nobody.
#[derive(Debug)]
pub(crate) struct SealedFile {
    file: File,
    length: u64,
}

impl SealedFile {
    /// Seals a file of this process. Fails with `EBUSY` while any writable map of it exists.
    pub(crate) fn seal(file: File) -> io::Result<Self> {
        fcntl_add_seals(&file, IMMUTABLE)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// Seals a file that others may have sealed, or may still write to, if it can be; then as
    /// [`open`](Self::open): what counts are the seals that it has.
    pub(crate) fn seal_shared(file: File) -> Result<Self> {
        let _ = fcntl_add_seals(&file, IMMUTABLE);
        Self::open(file.into())
    }

    /// Takes a descriptor from anywhere, if its file has all seals, and no holes.
    ///
    /// # Errors
    /// [`Error::Unsealed`], [`HeaderError::Sparse`], [`Error::Descriptor`].
    pub(crate) fn open(fd: OwnedFd) -> Result<Self> {
        let file = File::from(fd);
        let length = sealed_length(&file, IMMUTABLE)?;
        Ok(Self { file, length })
    }

    /// Bytes that are there for ever.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Reads bytes from an offset on: needs no mapping.
    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    pub(crate) fn id(&self) -> io::Result<MemfdId> {
        MemfdId::of(&self.file)
    }

    /// A copy of its first bytes: as many as are asked for, or as there are.
    pub(crate) fn start(&self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length.min(most) as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

impl AsFd for SealedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<SealedFile> for File {
    fn from(sealed: SealedFile) -> Self {
        sealed.file
    }
}

/// A memfd of which nobody can make a writable map any more, and that keeps its length.
#[derive(Debug)]
pub(crate) struct FixedFile {
    file: File,
    length: u64,
}

impl FixedFile {
    /// Seals a file of this process; writable maps that it has stay writable.
    pub(super) fn seal(file: File) -> io::Result<Self> {
        fcntl_add_seals(&file, READ_ONLY)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// Takes a descriptor from anywhere, if its file has these seals, and no holes.
    ///
    /// # Errors
    /// [`Error::Unsealed`], [`HeaderError::Sparse`], [`Error::Descriptor`].
    pub(crate) fn open(fd: OwnedFd) -> Result<Self> {
        let file = File::from(fd);
        let length = sealed_length(&file, READ_ONLY)?;
        Ok(Self { file, length })
    }

    /// Bytes that are there for ever, though they may change.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            length: self.length,
        })
    }
}

impl AsFd for FixedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A memfd that one process writes, through one value; in a forked child it refuses.
#[derive(Debug)]
pub(crate) struct UnsealedFile {
    file: File,
    owner: Owner,
    /// No more than the file has.
    length: u64,
}

impl UnsealedFile {
    /// An empty file.
    pub(crate) fn create(label: &str) -> io::Result<Self> {
        Ok(Self::from_file(create(label)?, 0))
    }

    fn from_file(file: File, length: u64) -> Self {
        let owner = Owner::here();
        Self {
            file,
            owner,
            length,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Refuses in a child: its parent writes to the same file.
    pub(crate) fn check_owner(&self) -> Result<()> {
        self.owner.check("a builder")
    }

    pub(crate) fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_owner().map_err(io::Error::other)?;
        self.file.write_all_at(bytes, offset)?;
        self.length = self.length.max(offset + bytes.len() as u64);
        Ok(())
    }

    /// Drops what stands behind the first bytes.
    pub(crate) fn cut(&mut self, length: u64) -> io::Result<()> {
        self.check_owner().map_err(io::Error::other)?;
        self.length = self.length.min(length);
        self.file.set_len(length)
    }

    /// Makes what was written immutable.
    pub(crate) fn seal(self) -> io::Result<SealedFile> {
        self.check_owner().map_err(io::Error::other)?;
        SealedFile::seal(self.file)
    }
}

impl AsFd for UnsealedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// An empty memfd that is made before a fork, for one process to claim.
#[derive(Debug)]
pub(crate) struct UnclaimedFile {
    file: File,
    /// By this process, or one that it was forked from.
    claimed: AtomicBool,
}

impl UnclaimedFile {
    pub(crate) fn create(label: &str) -> io::Result<Self> {
        Ok(Self {
            file: create(label)?,
            claimed: AtomicBool::new(false),
        })
    }

    /// Makes this process the only writer; `None` if there is one, in any process. A claim that
    /// failed for another reason may be tried again.
    pub(crate) fn claim(&self) -> io::Result<Option<UnsealedFile>> {
        if self.claimed.swap(true, Relaxed) {
            return Ok(None);
        }
        self.claim_from_others()
            .inspect_err(|_| self.claimed.store(false, Relaxed))
    }

    /// The lock keeps other processes out until there is a first byte; after that, the length of
    /// the file does, also when the lock ends with the first descriptor that this process
    /// closes.
    fn claim_from_others(&self) -> io::Result<Option<UnsealedFile>> {
        match fcntl_lock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::ACCESS | Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        if self.file.metadata()?.len() > 0 {
            return Ok(None);
        }
        let file = self.file.try_clone()?;
        file.write_all_at(&[0], 0)?;
        Ok(Some(UnsealedFile::from_file(file, 1)))
    }
}

impl From<UnclaimedFile> for OwnedFd {
    fn from(unclaimed: UnclaimedFile) -> Self {
        unclaimed.file.into()
    }
}

/// The length of a memfd of unknown origin that has certain seals, and no holes.
///
/// With `SHRINK` among the seals, each of its bytes is there for ever.
fn sealed_length(file: &File, seals: SealFlags) -> Result<u64> {
    check_seals(file, seals)?;
    // By the standard library, which goes another way where a sandbox refuses one.
    let metadata = file.metadata();
    let metadata = metadata.map_err(|source| Error::Descriptor { reason: source })?;
    check_not_sparse(&metadata)?;
    Ok(metadata.len())
}

/// Refuses a file with holes: it costs its sender nothing, but reading it would fill them with
/// this process's memory, without end.
pub(crate) fn check_not_sparse(metadata: &Metadata) -> Result<()> {
    const BLOCK: u64 = 512;
    let (expected, got) = (metadata.len(), metadata.blocks().saturating_mul(BLOCK));
    if got < expected {
        return Err(Error::Header(HeaderError::Sparse { expected, got }));
    }
    Ok(())
}

/// Refuses a descriptor that lacks one of the seals; a descriptor that cannot have seals (any
/// ordinary file) lacks them all.
fn check_seals(file: &File, expected: SealFlags) -> Result<()> {
    let seals = match fcntl_get_seals(file) {
        Ok(seals) => seals,
        Err(Errno::INVAL) => SealFlags::empty(),
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
    let names = missing
        .iter_names()
        .map(|(name, _)| format!("F_SEAL_{name}"));
    Err(Error::Unsealed {
        missing: names.collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lock of a claim keeps out neither its own process nor, once a descriptor of the file was
    /// closed, any other: the first byte has to.
    #[test]
    fn a_file_is_claimed_once() {
        let file = UnclaimedFile::create("claimed").unwrap();
        let as_elsewhere = UnclaimedFile {
            file: file.file.try_clone().unwrap(),
            claimed: AtomicBool::new(false),
        };
        let mut claimed = file.claim().unwrap().unwrap();
        assert!(file.claim().unwrap().is_none());
        assert!(as_elsewhere.claim().unwrap().is_none());

        claimed.write_all_at(b"abc", 0).unwrap();
        claimed.write_all_at(b"X", 1).unwrap();
        assert_eq!(claimed.seal().unwrap().length(), 3);
    }

    #[test]
    fn files_are_what_their_seals_say() {
        let file = create("seals").unwrap();
        let unsealed = file.try_clone().unwrap().into();
        let refused = SealedFile::open(unsealed).unwrap_err().to_string();
        for seal in ["WRITE", "SHRINK", "GROW", "SEAL"] {
            assert!(refused.contains(&format!("F_SEAL_{seal}")), "{refused}");
        }
        let fixed = FixedFile::seal(file).unwrap();
        let fixed = || fixed.as_fd().try_clone_to_owned().unwrap();
        assert!(FixedFile::open(fixed()).is_ok());
        assert!(SealedFile::open(fixed()).is_err());
    }
}
