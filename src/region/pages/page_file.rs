//! A sealed file that holds pages of images.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use crate::error::{Error, HeaderError, Result};
use crate::region::format::{Digests, FileRow};
use crate::sys::memfd::SealedFile;

/// A page file, and the digests that a header tells of it.
#[derive(Debug)]
pub(crate) struct PageFile {
    pub(in crate::region) sealed: SealedFile,
    pub(super) digests: Digests,
    /// Whether this process has made the digests, or compared the file with them.
    is_compared: AtomicBool,
}

impl PageFile {
    /// A file that this process has written, and digested meanwhile.
    pub(super) fn written(sealed: SealedFile, digests: Digests) -> Self {
        Self {
            is_compared: AtomicBool::new(true),
            ..Self::from_elsewhere(sealed, digests)
        }
    }

    /// A file that shall have these digests.
    pub(super) fn from_elsewhere(sealed: SealedFile, digests: Digests) -> Self {
        Self {
            sealed,
            digests,
            is_compared: AtomicBool::new(false),
        }
    }

    /// A file that shall be the one of a row: it has as many pages.
    pub(super) fn of_row(fd: OwnedFd, row: &FileRow, page: u64) -> Result<Self> {
        let sealed = SealedFile::open(fd)?;
        let expected = row.pages.checked_mul(page);
        if expected != Some(sealed.length()) {
            return Err(Error::Header(HeaderError::Length {
                expected: expected.unwrap_or(u64::MAX),
                got: sealed.length(),
            }));
        }
        Ok(Self::from_elsewhere(sealed, row.digests))
    }

    /// Whether there is no need to compare it with its digests.
    pub(super) fn is_compared(&self) -> bool {
        self.is_compared.load(Relaxed)
    }

    pub(super) fn note_compared(&self) {
        self.is_compared.store(true, Relaxed);
    }

    /// What a header says of it that lists it among the files of another generation.
    pub(super) fn row(&self, page: u64) -> io::Result<FileRow> {
        Ok(FileRow {
            pages: self.sealed.length() / page,
            id: self.sealed.id()?,
            digests: self.digests,
        })
    }
}
