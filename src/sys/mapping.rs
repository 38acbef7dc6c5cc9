//! Maps of memory files into this process.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::error::Advice;

/// Size and alignment of a huge page of memory files.
const HUGE_PAGE: usize = 2 << 20;

/// Read-only bytes of a file, mapped until dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: NonZeroUsize,
}

// SAFETY: a mapping gives shared references to bytes that do not change (`shared`, `private`).
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the start of a file, shared with all who map it; on an address that allows huge pages
    /// where the length does.
    ///
    /// Kernels before 6.7 refuse to map a write-sealed file as shared. A private read-only map has
    /// the same frames, and where nobody can write, none of them is ever copied.
    ///
    /// # Safety
    /// Nobody changes or truncates these bytes while the mapping lives.
    pub(crate) unsafe fn shared(file: &File, length: NonZeroUsize) -> io::Result<Self> {
        let map = |flags| match map_aligned(file, length, flags) {
            Err(_) => map(file, length, flags),
            aligned => aligned,
        };
        let start = map(MapFlags::MAP_SHARED).or_else(|_| map(MapFlags::MAP_PRIVATE))?;
        Ok(Self { start, length })
    }

    /// Maps the start of a file without marking it as shared, so that it can be sealed meanwhile.
    ///
    /// # Safety
    /// As [`shared`](Self::shared).
    pub(crate) unsafe fn private(file: &File, length: NonZeroUsize) -> io::Result<Self> {
        let start = map(file, length, MapFlags::MAP_PRIVATE)?;
        Ok(Self { start, length })
    }

    pub(crate) fn advise(&self, advice: Advice) -> io::Result<()> {
        let (number, length) = match advice {
            Advice::WillNeed => (libc::MADV_WILLNEED, self.length.get()),
            Advice::NoDump => (libc::MADV_DONTDUMP, self.length.get()),
            Advice::Dump => (libc::MADV_DODUMP, self.length.get()),
            Advice::Populate => (libc::MADV_POPULATE_READ, self.length.get()),
            // Not in `libc` yet; the number is that of Linux's `asm-generic/mman-common.h`.
            Advice::HugePages => (25, self.length.get() / HUGE_PAGE * HUGE_PAGE),
        };
        if length == 0 {
            return Ok(());
        }
        // SAFETY: the range is that of this mapping, and these advices change no byte of it.
        Errno::result(unsafe { libc::madvise(self.start.as_ptr().cast(), length, number) })?;
        Ok(())
    }
}

impl Deref for Mapping {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: these bytes are mapped readable until `drop`, and do not change (`shared`).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length.get()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is that of this mapping; references into it borrow `self`. Refused, as at
        // the most mappings that a process may have, it stays mapped: the addresses are lost, no more.
        let _ = unsafe { munmap(self.start.cast(), self.length.get()) };
    }
}

/// Maps a file wherever the kernel likes.
fn map(file: &File, length: NonZeroUsize, flags: MapFlags) -> Result<NonNull<u8>, Errno> {
    // SAFETY: without an address, a new mapping touches no memory in use.
    let start = unsafe { mmap(None, length, ProtFlags::PROT_READ, flags, file, 0)? };
    Ok(start.cast())
}

/// Maps a file, if it has so much, at a multiple of the huge page size: into a reservation that is
/// longer by one huge page, of which the ends are given back.
fn map_aligned(file: &File, length: NonZeroUsize, flags: MapFlags) -> Result<NonNull<u8>, Errno> {
    if length.get() < HUGE_PAGE {
        return map(file, length, flags);
    }
    let pages = length.get().next_multiple_of(rustix::param::page_size());
    let reserved = NonZeroUsize::new(pages + HUGE_PAGE).ok_or(Errno::ENOMEM)?;
    let none = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: without an address, a new mapping touches no memory in use.
    let reservation = unsafe { mmap_anonymous(None, reserved, ProtFlags::PROT_NONE, none)? };
    let before = reservation.as_ptr().align_offset(HUGE_PAGE);
    let after = HUGE_PAGE - before;
    // SAFETY: the start of the map lies in the reservation, one huge page at most from its start.
    let start = unsafe { reservation.byte_add(before) };
    let address = NonZeroUsize::new(start.as_ptr() as usize);
    // SAFETY: the fixed range lies in the reservation, which nobody else knows.
    let mapped = unsafe {
        mmap(
            address,
            length,
            ProtFlags::PROT_READ,
            flags | MapFlags::MAP_FIXED,
            file,
            0,
        )
    };
    if let Err(errno) = mapped {
        unmap(reservation, reserved.get());
        return Err(errno);
    }
    unmap(reservation, before);
    // SAFETY: what lies behind the map's pages is the rest of the reservation.
    unmap(unsafe { start.byte_add(pages) }, after);
    Ok(start.cast())
}

/// Gives back a part of a reservation that holds nothing.
fn unmap(start: NonNull<c_void>, length: usize) {
    if length > 0 {
        // SAFETY: `map_aligned` passes parts of its own reservation, which nothing refers to. Refused,
        // the addresses are lost, no more.
        let _ = unsafe { munmap(start, length) };
    }
}
