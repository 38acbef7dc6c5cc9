//! What is done with the words of a page.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::thread::futex;

use super::{PAGE_LENGTH, PageReader, PageWriter};
use crate::sys::memfd::FixedFile;

impl PageWriter {
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
}

impl PageReader {
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
