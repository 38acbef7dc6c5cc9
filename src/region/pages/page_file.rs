//! A sealed file that holds pages of images.

use std::io;
use std::os::fd::OwnedFd;

use crate::error::{Error, HeaderError, Result};
use crate::region::format::{Digests, FileRow};
use crate::sys::memfd::SealedFile;

/// A page file, and the digests that a header tells of it.
#[derive(Debug)]
pub(crate) struct PageFile {
    pub(in crate::region) sealed: SealedFile,
    pub(super) digests: Digests,
}

impl PageFile {
    pub(in crate::region) fn new(sealed: SealedFile, digests: Digests) -> Self {
        Self { sealed, digests }
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
        Ok(Self::new(sealed, row.digests))
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
