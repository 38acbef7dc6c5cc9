//! One immutable span of memory: header, archive, index, inputs and schema.
//!
//! A region begins as [`Unsealed`] bytes that only grow, is sealed once, and is never written
//! again. Readers never know whether a sealed memfd or a heap buffer holds it.
#![forbid(unsafe_code)]

mod file;
pub mod format;
mod heap;
mod unsealed;

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rkyv::util::AlignedVec;

use crate::error::{Advice, Error, Part, Result, SectionKind};
use crate::sys::mapping::Mapping;
use crate::sys::memfd::SealedFile;
use format::{HEADER_LENGTH, Header};

pub(crate) use file::{TEMPORARY, generation_told, load, load_opened, open, save, where_known};
pub(crate) use unsealed::{Backing, Label, Unsealed, View};

/// Bytes that nobody can change: a memory file with all four seals, or a private heap buffer.
#[derive(Debug)]
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
            return Err(Error::Length { expected, got: 0 });
        }
        Self::sealed(file).map_err(|source| Error::Descriptor { source })
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

    /// Maps a memory file of unknown origin: first the seals, then header, lengths, padding and
    /// every digest. What the sections mean is for the reader of their type to check.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Self::checked(Bytes::open(fd)?)
    }

    /// The same for a copy of bytes on the heap.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut aligned = AlignedVec::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        Self::checked(Bytes::Heap(aligned))
    }

    /// Maps a memory file that its owner vouches for: the seals are checked, and the header is
    /// read; its digests and what the sections mean were checked when it was frozen.
    pub fn vouched(fd: OwnedFd) -> Result<Self> {
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
                let part = Part::PaddingBefore(section.kind);
                return Err(Error::Damaged { part });
            }
            section.check(slice)?;
            end = range.end;
        }
        Ok(Self { bytes, header })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The bytes of a section.
    pub fn section(&self, kind: SectionKind) -> Result<&[u8]> {
        let section = self
            .header
            .section(kind)
            .ok_or(Error::MissingSection { section: kind })?;
        Ok(&self.bytes()[section.range()])
    }

    /// Where the region lies in this process's memory, for `memory::Memory::of_mapping`.
    pub fn address_range(&self) -> Range<usize> {
        let range = self.bytes().as_ptr_range();
        range.start as usize..range.end as usize
    }

    pub fn advise(&self, advice: Advice) -> Result<()> {
        let Bytes::Memfd { map, .. } = &self.bytes else {
            return Ok(());
        };
        map.advise(advice).map_err(|source| Error::Advise {
            name: self.header.name.clone(),
            advice,
            source,
        })
    }

    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.bytes {
            Bytes::Memfd { file, .. } => Some(file.as_fd()),
            Bytes::Heap(_) => None,
        }
    }
}

/// Compares the length in a header with the bytes that are there.
fn check_length(expected: u64, got: u64) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::Length { expected, got })
    }
}

/// Adds the cache, and the step, to what the kernel said of its memory file.
fn failed(name: &str, step: &'static str) -> impl FnOnce(io::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::MemoryFile { name, step, source }
}

#[cfg(test)]
mod tests;
