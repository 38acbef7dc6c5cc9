//! Making a page, and what is done with its words.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use memmap2::MmapOptions;
use rustix::thread::futex;

use super::{PAGE_LENGTH, PageReader, PageWriter};
use crate::sys::memfd::{self, FixedFile};
use crate::sys::owner::Owner;

impl PageWriter {
    /// Makes a page of zeros, and the reader's half of it. From then on nobody else can get a
    /// writable map of it.
    pub(crate) fn create(label: &str) -> io::Result<(Self, PageReader)> {
        let file = memfd::create(label)?;
        file.set_len(PAGE_LENGTH as u64)?;
        let map = MmapOptions::new().len(PAGE_LENGTH).map_raw(&file)?;
        map.advise(memmap2::Advice::DontFork)?;
        let writer = Self {
            map: Some(map),
            owner: Owner::here(),
        };
        // Only a map that is made after the seal can never be made writable.
        let reader = PageReader::new(FixedFile::seal(file)?)?;
        Ok((writer, reader))
    }

    pub(crate) fn store(&self, word: usize, value: u64, order: Ordering) {
        if let Some(page) = self.page() {
            page.words[word].store(value, order);
        }
    }

    /// Counts an event, and wakes all who wait for one.
    pub(crate) fn wake(&self) {
        if let Some(page) = self.page() {
            page.events.fetch_add(1, Ordering::Release);
            // It has no way to fail for an address that is mapped.
            let _ = futex::wake(&page.events, futex::Flags::empty(), i32::MAX as u32);
        }
    }

    pub(super) fn is_here(&self) -> bool {
        self.owner.check("a control page").is_ok()
    }
}

impl Drop for PageWriter {
    fn drop(&mut self) {
        if !self.is_here() {
            std::mem::forget(self.map.take());
        }
    }
}

impl PageReader {
    /// Maps a file that is as long as a page.
    ///
    /// # Errors
    /// `InvalidInput` for one that is not.
    pub(crate) fn new(file: FixedFile) -> io::Result<Self> {
        if !Self::fits(&file) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let raw = file.as_fd().as_raw_fd();
        let map = MmapOptions::new().len(PAGE_LENGTH).map_raw_read_only(raw)?;
        Ok(Self { map, file })
    }

    /// Whether a file is as long as a page.
    pub(crate) fn fits(file: &FixedFile) -> bool {
        file.length() == PAGE_LENGTH as u64
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Self::new(self.file.try_clone()?)
    }

    #[inline]
    pub(crate) fn load(&self, word: usize, order: Ordering) -> u64 {
        self.page().words[word].load(order)
    }

    /// How many events there were, for [`wait`](Self::wait).
    pub(crate) fn events(&self) -> u32 {
        self.page().events.load(Ordering::Acquire)
    }

    /// Sleeps until there were more events than `seen`, or for `timeout`; it may also return for no
    /// reason.
    pub(crate) fn wait(&self, seen: u32, timeout: Duration) {
        let timeout = futex::Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let (events, flags) = (&self.page().events, futex::Flags::empty());
        // Whatever it returns for, the caller looks again.
        let _ = futex::wait(events, flags, seen, Some(&timeout));
    }
}

impl AsFd for PageReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
