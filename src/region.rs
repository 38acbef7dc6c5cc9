//! One immutable span of memory: header, archive, index, inputs and schema.
//!
//! A region begins as [`Unsealed`] bytes that only grow, is sealed once, and is never written
//! again. Readers never know whether a sealed memfd or a heap buffer holds it.
#![forbid(unsafe_code)]

mod file;
pub mod format;
mod heap;
mod storage;
mod stream;
mod unsealed;

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

use rkyv::util::AlignedVec;

use crate::error::{Advice, Error, Fingerprint, HeaderError, RegionPart, Result, SectionKind};
use crate::sys::mapping::Mapping;
use crate::sys::memfd::SealedFile;
use format::{HEADER_LENGTH, Header};

pub(crate) use file::{TEMPORARY, generation_told, load, load_opened, open, where_known};
pub(crate) use storage::Backing;
pub(crate) use stream::read;
pub(crate) use unsealed::{Label, Unsealed, View};

/// One frozen generation as it lies in memory: bytes that nobody can change, in a memfd with all four
/// seals or in a private heap buffer.
///
/// ```
/// use floe::Frozen;
///
/// let primes = Frozen::freeze("primes", &vec![2_u32, 3, 5, 7])?;
/// let region = primes.region();
/// assert_eq!((region.name(), region.generation()), ("primes", 1));
///
/// let copy = Frozen::<Vec<u32>>::from_fd(region.try_clone_fd()?)?;
/// assert_eq!(copy.region().bytes(), region.bytes());
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Region {
    bytes: Bytes,
    header: Header,
}

#[derive(Debug)]
enum Bytes {
    Memfd { map: Mapping, file: SealedFile },
    Heap(AlignedVec<64>),
}

impl Bytes {
    fn sealed(file: SealedFile) -> io::Result<Self> {
        let map = Mapping::sealed(&file)?;
        Ok(Self::Memfd { map, file })
    }

    /// Maps a descriptor from anywhere, if it can no longer change.
    fn open(fd: OwnedFd) -> Result<Self> {
        let file = SealedFile::open(fd)?;
        if file.length() == 0 {
            let expected = HEADER_LENGTH as u64;
            return Err(Error::Header(HeaderError::Length { expected, got: 0 }));
        }
        Self::sealed(file).map_err(|source| Error::Descriptor { reason: source })
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Memfd { map, .. } => map,
            Self::Heap(bytes) => bytes,
        }
    }
}

impl Region {
    /// Takes over bytes whose header and digests this process has just written. What the sections
    /// mean is for the reader of their type to check here too.
    fn trusted(bytes: Bytes, header: Header) -> Self {
        Self { bytes, header }
    }

    /// Maps a memfd of unknown origin: first the seals, then header, lengths, padding and
    /// every digest. What the sections mean is for the reader of their type to check.
    pub(crate) fn from_fd(fd: OwnedFd) -> Result<Self> {
        Self::checked(Bytes::open(fd)?)
    }

    /// The same for a copy of bytes on the heap.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut aligned = AlignedVec::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        Self::checked(Bytes::Heap(aligned))
    }

    /// As [`from_fd`](Self::from_fd), but checks no padding and no digest of a section.
    pub(crate) fn from_fd_by_header(fd: OwnedFd) -> Result<Self> {
        let bytes = Bytes::open(fd)?;
        let header = Header::decode(bytes.as_slice())?;
        check_length(header.length, bytes.as_slice().len() as u64)?;
        Ok(Self::trusted(bytes, header))
    }

    fn checked(bytes: Bytes) -> Result<Self> {
        let slice = bytes.as_slice();
        let header = Header::decode(slice)?;
        check_length(header.length, slice.len() as u64)?;
        let mut end = HEADER_LENGTH;
        for section in &header.sections {
            let range = section.range();
            if slice[end..range.start].iter().any(|&byte| byte != 0) {
                let part = RegionPart::PaddingBefore(section.kind);
                return Err(Error::Header(HeaderError::Damaged { part }));
            }
            section.check(slice)?;
            end = range.end;
        }
        Ok(Self { bytes, header })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The name of the cache.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.header.name
    }

    /// The number of this version of the cache, from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.header.generation
    }

    /// When the cache was frozen, on the wall clock; where a store has carried entries over, when
    /// it last built all of them.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.header.created.wall()
    }

    /// What froze the cache: a name and a version.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.header.producer
    }

    /// The structural fingerprint of the frozen type.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.header.fingerprint
    }

    /// Length of the whole region in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header.length
    }

    /// The bytes of the whole region: header and sections.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The bytes of a section.
    pub(crate) fn section(&self, kind: SectionKind) -> Result<&[u8]> {
        let section = self
            .header
            .section(kind)
            .ok_or(Error::Header(HeaderError::MissingSection { section: kind }))?;
        Ok(&self.bytes()[section.range()])
    }

    /// Where the region lies in this process's memory, for the feature `inspect`.
    #[must_use]
    pub fn address_range(&self) -> Range<usize> {
        let range = self.bytes().as_ptr_range();
        range.start as usize..range.end as usize
    }

    /// Tells the kernel how the region will be read.
    ///
    /// # Errors
    /// [`Error::Advise`] if the kernel does not know the advice or cannot follow it now, for
    /// want of contiguous memory for huge pages. Nothing is lost then but speed. A region on the
    /// heap takes any advice and does nothing.
    pub fn advise(&self, advice: Advice) -> Result<()> {
        let Bytes::Memfd { map, .. } = &self.bytes else {
            return Ok(());
        };
        map.advise(advice).map_err(|source| Error::Advise {
            name: self.header.name.clone(),
            advice,
            reason: source,
        })
    }

    /// The sealed memfd, for handing it to another process while this one keeps it.
    ///
    /// # Errors
    /// [`Error::NoDescriptor`] if the region lies on the heap.
    pub fn as_fd(&self) -> Result<BorrowedFd<'_>> {
        self.fd().ok_or_else(|| Error::NoDescriptor {
            name: self.header.name.clone(),
        })
    }

    /// Another descriptor of the sealed memfd, closed on exec.
    ///
    /// # Errors
    /// [`Error::NoDescriptor`] if the region lies on the heap; [`Error::Descriptor`] if this process
    /// may open no more.
    pub fn try_clone_fd(&self) -> Result<OwnedFd> {
        let cloned = self.as_fd()?.try_clone_to_owned();
        cloned.map_err(|source| Error::Descriptor { reason: source })
    }

    /// Writes the region to a file, atomically: a crash or power loss at any moment leaves the
    /// old file or the new one. The file has mode 0600, where the file system knows modes; without
    /// an fsync of directories (some network and FUSE file systems) a power loss may undo it.
    ///
    /// Only a regular file is replaced. A device, a named pipe, a socket, a directory and a
    /// symbolic link, wherever it leads, are refused.
    ///
    /// # Errors
    /// [`Error::Save`]: the old file is still there. [`Error::PublishedNotDurable`]: the new one
    /// is there, but a power loss may undo it.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        file::save(self, path.as_ref())
    }

    /// Writes the bytes of the region, as they are in a file, to a pipe, a socket or a compressor;
    /// [`Frozen::from_reader`](crate::Frozen::from_reader) takes them from there.
    ///
    /// Files are written by [`save`](Self::save), which leaves none half written.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, mut writer: impl Write) -> io::Result<()> {
        writer.write_all(self.bytes())
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.bytes {
            Bytes::Memfd { file, .. } => Some(file.as_fd()),
            Bytes::Heap(_) => None,
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("name", &self.name())
            .field("generation", &self.generation())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// Compares the length in a header with the bytes that are there.
fn check_length(expected: u64, got: u64) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::Header(HeaderError::Length { expected, got }))
    }
}

/// Adds the cache, and the step, to what the kernel said of its memfd.
fn failed(name: &str, step: &'static str) -> impl FnOnce(io::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::Memfd {
        name,
        step,
        reason: source,
    }
}

#[cfg(test)]
mod tests;
