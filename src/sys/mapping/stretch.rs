//! What is mapped: stretches of sealed files.
#![forbid(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;

use crate::sys::memfd::SealedFile;

/// Bytes of a sealed file, from a multiple of the page size on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) file: &'a SealedFile,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl<'a> Stretch<'a> {
    pub(crate) fn whole(file: &'a SealedFile) -> Self {
        let (offset, length) = (0, file.length());
        Self {
            file,
            offset,
            length,
        }
    }
}

/// The length of stretches one behind the other.
///
/// # Errors
/// `InvalidInput` for no bytes, for those that a file does not have, and for stretches but the last
/// that do not end with a page.
pub(super) fn length_of(stretches: &[Stretch<'_>]) -> io::Result<NonZeroUsize> {
    let page = rustix::param::page_size() as u64;
    let last = stretches.len().saturating_sub(1);
    let mut length = 0_u64;
    for (number, stretch) in stretches.iter().enumerate() {
        let end = stretch.offset.checked_add(stretch.length);
        let is_there = end.is_some_and(|end| end <= stretch.file.length());
        let is_whole = stretch.length.is_multiple_of(page) || number == last;
        if stretch.length == 0 || !is_there || !is_whole {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        length = length.saturating_add(stretch.length);
    }
    let length = usize::try_from(length).map_err(io::Error::other)?;
    Ok(NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?)
}
