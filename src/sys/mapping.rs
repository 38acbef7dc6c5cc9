//! Memory that this process maps: of sealed and unsealed memfds, and what it shares with others
//! word by word.
#![allow(unsafe_code)]

mod page;
mod room;
mod stretch;
#[cfg(test)]
mod tests;

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use memmap2::{Mmap, MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

pub(crate) use self::room::make_room;
pub(crate) use self::stretch::Stretch;
use super::memfd::{FixedFile, SealedFile, UnsealedFile};
use super::owner::Owner;
use crate::error::Advice;

/// Size and alignment of a huge page of memfds.
const HUGE_PAGE: usize = 2 << 20;
/// `MADV_COLLAPSE` (Linux 6.1), which `libc` has for glibc alone.
const COLLAPSE: libc::c_int = 25;

/// Read-only bytes of a file, mapped until dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: NonZeroUsize,
}

// SAFETY: a mapping gives shared references to bytes that do not change, since they are sealed.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a sealed file, shared with all who map it; on an address that allows huge pages where
    /// the length does.
    ///
    /// # Errors
    /// `InvalidInput` for an empty file.
    pub(crate) fn sealed(file: &SealedFile) -> io::Result<Self> {
        Self::joined(&[Stretch::whole(file)])
    }

    /// Maps stretches of sealed files one behind the other, as one range of bytes.
    ///
    /// Kernels before 6.7 refuse to map a write-sealed file as shared. A private read-only map has
    /// the same frames, and where nobody can write, none of them is ever copied.
    ///
    /// # Errors
    /// `InvalidInput` for no bytes, for those that a file does not have, and for stretches but the
    /// last that do not end with a page.
    pub(crate) fn joined(stretches: &[Stretch<'_>]) -> io::Result<Self> {
        let length = stretch::length_of(stretches)?;
        let reservation = || Reservation::new(length);
        let map = |flags| match stretches {
            [whole] if length.get() < HUGE_PAGE => map_anywhere(whole, flags),
            [whole] => match reservation() {
                Ok(reservation) => reservation.fill(stretches, flags),
                Err(_) => map_anywhere(whole, flags),
            },
            _ => reservation()?.fill(stretches, flags),
        };
        let start = map(MapFlags::MAP_SHARED).or_else(|_| map(MapFlags::MAP_PRIVATE))?;
        Ok(Self { start, length })
    }

    pub(crate) fn advise(&self, advice: Advice) -> io::Result<()> {
        let (number, length) = match advice {
            Advice::WillNeed => (libc::MADV_WILLNEED, self.length.get()),
            Advice::NoDump => (libc::MADV_DONTDUMP, self.length.get()),
            Advice::Dump => (libc::MADV_DODUMP, self.length.get()),
            Advice::Populate => (libc::MADV_POPULATE_READ, self.length.get()),
            Advice::HugePages => (COLLAPSE, self.length.get() / HUGE_PAGE * HUGE_PAGE),
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
        // SAFETY: these bytes are mapped readable until `drop`. A `SealedFile` had so many, and its
        // seals, which nobody can take off, keep them as they are.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length.get()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is that of this mapping; references into it borrow `self`. Refused, as
        // at the most mappings that a process may have, it stays mapped: the addresses are
        // lost, no more.
        let _ = unsafe { munmap(self.start.cast(), self.length.get()) };
    }
}

/// Lets the kernel put huge pages into the place of small ones, in a file that is so many whole huge
/// pages long, or longer. Each has to have a page already; what is not there is zeros then.
///
/// The map that this takes is a private one, which does not keep the file from its seals; it is gone at
/// the end, and children that are forked meanwhile do not have it.
fn collapse(file: &File, length: NonZeroUsize) -> Result<(), Errno> {
    let reservation = Reservation::new(length)?;
    let address = NonZeroUsize::new(reservation.target().as_ptr().addr());
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
    // SAFETY: the fixed range is the place of the pages in the reservation, which nobody else knows
    // and which is given back at the end; no byte of it changes.
    unsafe {
        let start = mmap(address, length, ProtFlags::PROT_READ, flags, file, 0)?;
        for advice in [libc::MADV_DONTFORK, COLLAPSE] {
            Errno::result(libc::madvise(start.as_ptr(), length.get(), advice))?;
        }
    }
    Ok(())
}

/// Maps a stretch wherever the kernel likes: a small one, or where a sandbox refuses reservations.
fn map_anywhere(stretch: &Stretch<'_>, flags: MapFlags) -> Result<NonNull<u8>, Errno> {
    // SAFETY: without an address, a new mapping touches no memory in use.
    let start = unsafe { map_stretch(None, stretch, flags)? };
    Ok(start.cast())
}

/// Maps stretches from an address on; the error also tells how many bytes were mapped before.
///
/// # Safety
/// If `flags` have `MAP_FIXED`, nobody else uses what is mapped there.
unsafe fn map_at(
    start: NonNull<c_void>,
    stretches: &[Stretch<'_>],
    flags: MapFlags,
) -> Result<NonNull<u8>, (Errno, usize)> {
    let mut at = 0;
    for stretch in stretches {
        let address = start.as_ptr().addr() + at;
        // SAFETY: the caller's promise.
        let mapped = unsafe { map_stretch(NonZeroUsize::new(address), stretch, flags) };
        let mapped = mapped.map_err(|errno| (errno, at))?;
        let length = stretch.length as usize;
        if mapped.as_ptr().addr() != address {
            // `MAP_FIXED_NOREPLACE` is a mere wish before Linux 4.17.
            unmap(mapped, length);
            return Err((Errno::EEXIST, at));
        }
        at += length;
    }
    Ok(start.cast())
}

/// Maps stretches to addresses that were free a moment ago. After an error nothing stays mapped.
///
/// # Errors
/// `EEXIST` if something is there by now, which stays.
fn map_free(
    start: NonNull<c_void>,
    stretches: &[Stretch<'_>],
    flags: MapFlags,
) -> Result<NonNull<u8>, Errno> {
    // SAFETY: it replaces nothing.
    let mapped = unsafe { map_at(start, stretches, flags | MapFlags::MAP_FIXED_NOREPLACE) };
    mapped.map_err(|(errno, length)| {
        unmap(start, length);
        errno
    })
}

/// Maps a stretch, at an address if there is one.
///
/// # Safety
/// As [`map_at`].
unsafe fn map_stretch(
    address: Option<NonZeroUsize>,
    stretch: &Stretch<'_>,
    flags: MapFlags,
) -> Result<NonNull<c_void>, Errno> {
    let length = NonZeroUsize::new(stretch.length as usize).ok_or(Errno::EINVAL)?;
    let offset = i64::try_from(stretch.offset).map_err(|_| Errno::EINVAL)?;
    let read = ProtFlags::PROT_READ;
    // SAFETY: a mapping that replaces none touches no memory in use; otherwise the caller's promise.
    unsafe { mmap(address, length, read, flags, stretch.file, offset) }
}

/// Addresses that nothing else is mapped to.
struct Reservation {
    start: NonNull<c_void>,
    length: usize,
    /// Where the pages go: at a multiple of the huge page size, if there are so many.
    place: usize,
    pages: usize,
}

impl Reservation {
    fn new(length: NonZeroUsize) -> Result<Self, Errno> {
        let page = rustix::param::page_size();
        let pages = length.get().checked_next_multiple_of(page);
        let pages = pages.ok_or(Errno::ENOMEM)?;
        let spare = if pages < HUGE_PAGE { 0 } else { HUGE_PAGE };
        let reserved = pages.checked_add(spare).and_then(NonZeroUsize::new);
        let reserved = reserved.ok_or(Errno::ENOMEM)?;
        let none = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: without an address, a new mapping touches no memory in use.
        let start = unsafe { mmap_anonymous(None, reserved, ProtFlags::PROT_NONE, none)? };
        let place = match spare {
            0 => 0,
            _ => start.as_ptr().align_offset(HUGE_PAGE),
        };
        Ok(Self {
            start,
            length: reserved.get(),
            place,
            pages,
        })
    }

    /// Where the pages go.
    fn target(&self) -> NonNull<c_void> {
        // SAFETY: the offset lies in the reservation.
        unsafe { self.start.byte_add(self.place) }
    }

    /// Puts stretches into their place, which together have as many pages, and gives back the rest;
    /// returns where they are. After an error nothing stays mapped.
    ///
    /// All is given back first: to map over something takes a quarter more time. What another
    /// thread maps there meanwhile stays, and the stretches get another place.
    fn fill(self, stretches: &[Stretch<'_>], flags: MapFlags) -> Result<NonNull<u8>, Errno> {
        let (target, pages) = (self.target(), NonZeroUsize::new(self.pages));
        drop(self);
        match (map_free(target, stretches, flags), pages) {
            (Err(Errno::EEXIST), Some(pages)) => Self::new(pages)?.fill_over(stretches, flags),
            (filled, _) => filled,
        }
    }

    /// The same, at addresses that stay reserved until they are mapped over.
    fn fill_over(self, stretches: &[Stretch<'_>], flags: MapFlags) -> Result<NonNull<u8>, Errno> {
        let total: u64 = stretches.iter().map(|it| it.length).sum();
        assert!(total as usize <= self.pages);
        // SAFETY: the fixed range lies in the place of the pages in the reservation, which nobody
        // else knows.
        let filled = unsafe { map_at(self.target(), stretches, flags | MapFlags::MAP_FIXED) };
        filled.map_err(|(errno, _)| errno)?;
        Ok(self.keep())
    }

    /// Gives back all but the pages.
    fn keep(self) -> NonNull<u8> {
        let this = std::mem::ManuallyDrop::new(self);
        unmap(this.start, this.place);
        // SAFETY: the offset lies in the reservation, or is its end.
        let end = unsafe { this.target().byte_add(this.pages) };
        unmap(end, this.length - this.place - this.pages);
        this.target().cast()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        unmap(self.start, self.length);
    }
}

/// Gives back what this file has mapped and nothing refers to.
fn unmap(start: NonNull<c_void>, length: usize) {
    if length > 0 {
        // SAFETY: each caller passes what it has mapped, or reserved, and nobody else knows. Refused,
        // the addresses are lost, no more.
        let _ = unsafe { munmap(start, length) };
    }
}

/// The bytes of an unsealed file as they were written, borrowed from its only writer.
pub(crate) struct View<'a> {
    map: Mmap,
    file: PhantomData<&'a UnsealedFile>,
}

impl<'a> View<'a> {
    /// Maps what was written so far, without marking it as shared, so that the file can be sealed.
    pub(crate) fn of(file: &'a UnsealedFile) -> io::Result<Self> {
        file.check_owner().map_err(io::Error::other)?;
        let length = usize::try_from(file.length()).map_err(io::Error::other)?;
        let raw = file.as_fd().as_raw_fd();
        // SAFETY: the file has so many bytes. It is written and cut through `&mut UnsealedFile` in
        // this process alone, and that is borrowed for as long as the view. No other process opens
        // it for writing, since its mode is 0400; children that have inherited it refuse to
        // write.
        let map = unsafe { MmapOptions::new().len(length).map_copy_read_only(raw)? };
        let file = PhantomData;
        Ok(Self { map, file })
    }
}

impl Deref for View<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

// Read-only memory may be loaded from atomically up to the width of a pointer.
const _: () = assert!(
    size_of::<usize>() == 8,
    "pages of words need a 64-bit system"
);

/// Length of the file of a page, and of each map of it.
const PAGE_LENGTH: usize = 4096;
/// How many words a page has.
pub(crate) const PAGE_WORDS: usize = 7;

/// Words that one process writes and others read, in the byte order of the machine.
#[repr(C)]
struct Page {
    words: [AtomicU64; PAGE_WORDS],
    /// Counts events, for those who wait for the next.
    events: AtomicU32,
}

const _: () = assert!(size_of::<Page>() == 64 && size_of::<Page>() <= PAGE_LENGTH);

/// The writer's half of a page: the one writable map. Children of the writer do not inherit it, and
/// in them it does nothing.
#[derive(Debug)]
pub(crate) struct PageWriter {
    /// In a child there is something else at this address, or nothing.
    map: Option<MmapRaw>,
    owner: Owner,
}

impl PageWriter {
    /// `None` in a child.
    fn page(&self) -> Option<&Page> {
        let map = self.map.as_ref().filter(|_| self.is_here())?;
        // SAFETY: in the process that mapped it the page is readable and writable until `drop`, and
        // of this length for ever (`FixedFile`). `Page` is made of atomics, for which any bytes are
        // valid, and page-aligned.
        Some(unsafe { &*map.as_ptr().cast() })
    }
}

/// The reader's half of a page.
#[derive(Debug)]
pub(crate) struct PageReader {
    map: MmapRaw,
    file: FixedFile,
}

impl PageReader {
    /// Stays in this file: nobody may store to what it gives.
    #[inline]
    fn page(&self) -> &Page {
        // SAFETY: `new` found the file of this length, and its seals keep it; so the page is mapped
        // and readable until `drop`. `Page` is made of atomics, for which any bytes are valid, also
        // while another process writes them. They are only loaded, which read-only memory allows up
        // to the width of a pointer.
        unsafe { &*self.map.as_ptr().cast() }
    }
}

/// Two words, padded, so that no two lines share a cache line, nor the one that is fetched along
/// with it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Line {
    pub(crate) words: [AtomicU64; 2],
}

/// Lines that a process shares with those that are forked from it, zeros at first.
#[derive(Debug)]
pub(crate) struct SharedWords {
    start: NonNull<Line>,
    count: usize,
}

// SAFETY: the lines are read and written through atomics only.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    pub(crate) fn new(count: usize) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let length = Self::length(count).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: without an address, a new mapping touches no memory in use.
        let start = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_SHARED)? };
        let start = start.cast();
        Ok(Self { start, count })
    }

    /// `None` for more than the address space holds.
    fn length(count: usize) -> Option<NonZeroUsize> {
        NonZeroUsize::new(count.max(1).checked_mul(size_of::<Line>())?)
    }
}

impl Deref for SharedWords {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        // SAFETY: `new` mapped so many lines, page-aligned, readable and writable until `drop`. All
        // zeros, and any other bytes, are valid atomics, also while other processes write them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        if let Some(length) = Self::length(self.count) {
            // SAFETY: the range is that of this process's map; references into it borrow `self`.
            // Refused, the addresses are lost, no more.
            let _ = unsafe { munmap(self.start.cast(), length.get()) };
        }
    }
}

/// A word that the kernel hands to children as zero, whoever forks them and however
/// (`MADV_WIPEONFORK`, Linux 4.14): always the same one. `None` where the kernel has none to give,
/// does not know the advice, or a sandbox refuses it.
///
/// Lock-free, so that a fork in the middle leaves nothing locked; of two threads that get here at
/// once, one keeps its page.
#[inline]
pub(crate) fn word_wiped_on_fork() -> Option<&'static AtomicU64> {
    let mut place = PLACE.load(Ordering::Acquire);
    if place.is_null() {
        place = find_place();
    }
    // SAFETY: it is that of `NOWHERE`, or of a page that is never unmapped, readable and writable,
    // and of which any bytes are valid atomics.
    (!ptr::eq(place, &NOWHERE)).then(|| unsafe { &*place })
}

/// Where the word is; null until it is needed.
static PLACE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
/// Stands for no word.
static NOWHERE: AtomicU64 = AtomicU64::new(0);

#[cold]
fn find_place() -> *mut AtomicU64 {
    let page = wiped_page();
    let place = page.map_or((&raw const NOWHERE).cast_mut(), |page| page.as_ptr().cast());
    match PLACE.compare_exchange(ptr::null_mut(), place, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => place,
        Err(earlier) => {
            // Nobody else has seen this one.
            if let Some(page) = page {
                unmap(page, rustix::param::page_size());
            }
            earlier
        }
    }
}

/// Maps a page that children find filled with zeros.
fn wiped_page() -> Option<NonNull<c_void>> {
    const UNKNOWN_ADVICE: libc::c_int = -1;
    let size = NonZeroUsize::new(rustix::param::page_size())?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: without an address, a new mapping touches no memory in use.
    let page = unsafe { mmap_anonymous(None, size, protection, MapFlags::MAP_PRIVATE).ok()? };
    // SAFETY: the range is that of the mapping, which nobody else knows.
    let advised = |advice| unsafe { libc::madvise(page.as_ptr(), size.get(), advice) == 0 };
    // An emulator that says yes to an advice that there is not would say so to any, and wipe
    // nothing.
    if !advised(UNKNOWN_ADVICE) && advised(libc::MADV_WIPEONFORK) {
        return Some(page);
    }
    unmap(page, size.get());
    None
}
