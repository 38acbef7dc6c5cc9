//! What a region is written to before it is sealed: the one place that tells the backings apart.
#![forbid(unsafe_code)]

use std::io;
use std::ops::Deref;

use rkyv::util::AlignedVec;

use super::heap::HeapFile;
use super::held::{self, HeldFile};
use crate::error::Result;
use crate::sys::memfd::{SealedFile, UnsealedFile};

/// What holds the bytes of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    Memfd,
    Heap,
}

/// Bytes that only their maker writes, wherever they are.
#[derive(Debug)]
pub(super) enum Storage {
    Memfd(HeldFile),
    Heap(HeapFile),
}

impl From<UnsealedFile> for Storage {
    fn from(file: UnsealedFile) -> Self {
        Self::Memfd(HeldFile::new(file))
    }
}

impl Storage {
    /// An empty one; a memfd gets the label.
    pub(super) fn create(backing: Backing, label: &str) -> io::Result<Self> {
        Ok(match backing {
            Backing::Memfd => UnsealedFile::create(label)?.into(),
            Backing::Heap => Self::Heap(HeapFile::create()),
        })
    }

    pub(super) fn backing(&self) -> Backing {
        match self {
            Self::Memfd(_) => Backing::Memfd,
            Self::Heap(_) => Backing::Heap,
        }
    }

    /// Refuses in a forked child of the maker.
    pub(super) fn check_owner(&self) -> Result<()> {
        match self {
            Self::Memfd(file) => file.check_owner(),
            Self::Heap(heap) => heap.check_owner(),
        }
    }

    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Memfd(file) => file.write_at(bytes, offset)?,
            Self::Heap(heap) => heap.write_at(bytes, offset),
        }
        Ok(())
    }

    /// Writes what is held back.
    pub(super) fn release(&mut self) -> io::Result<()> {
        match self {
            Self::Memfd(file) => file.release(),
            Self::Heap(_) => Ok(()),
        }
    }

    /// Drops what stands behind the first bytes.
    pub(super) fn cut(&mut self, length: usize) -> io::Result<()> {
        match self {
            Self::Memfd(file) => file.cut(length)?,
            Self::Heap(heap) => heap.bytes.resize(length, 0),
        }
        Ok(())
    }

    /// The bytes written so far.
    pub(super) fn view(&self) -> io::Result<StorageView<'_>> {
        Ok(match self {
            Self::Memfd(file) => StorageView::Memfd(file.view()?),
            Self::Heap(heap) => StorageView::Heap(&heap.bytes),
        })
    }

    /// Makes what was written immutable.
    pub(super) fn seal(self) -> io::Result<Sealed> {
        Ok(match self {
            Self::Memfd(file) => Sealed::Memfd(file.seal()?),
            Self::Heap(heap) => Sealed::Heap(heap.bytes),
        })
    }
}

/// Bytes that nobody can change any more.
pub(super) enum Sealed {
    Memfd(SealedFile),
    Heap(AlignedVec<64>),
}

/// Bytes of a storage, borrowed from its only writer.
pub(super) enum StorageView<'a> {
    Memfd(held::View<'a>),
    Heap(&'a [u8]),
}

impl Deref for StorageView<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memfd(held::View::Held(bytes)) | Self::Heap(bytes) => bytes,
            Self::Memfd(held::View::Written(map)) => map,
        }
    }
}
