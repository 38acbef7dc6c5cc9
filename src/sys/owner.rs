//! Telling a process from those that are forked off it.
//!
//! Process numbers do not tell: they are reused, and start anew in each pid namespace.
#![allow(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::libc;

use crate::error::{Error, Result};

/// A mark of the process that made something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    mark: u64,
    process: u32,
}

impl Owner {
    /// This process.
    pub(crate) fn here() -> Self {
        Self {
            mark: mark(),
            process: process::id(),
        }
    }

    /// Refuses what belongs to another process. Costs one load.
    #[inline]
    pub(crate) fn check(self, what: &'static str) -> Result<()> {
        if mark() == self.mark {
            return Ok(());
        }
        Err(Error::NotOwner {
            what,
            owner: self.process,
            process: process::id(),
        })
    }
}

/// The page of this process's mark: the kernel hands it to children filled with zeros.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// A number that this process has drawn, and no child of it has.
fn mark() -> u64 {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        page = make_page();
    }
    // SAFETY: the page is never unmapped, and holds zeros or a mark.
    let mark = unsafe { &*page };
    match mark.load(Ordering::Relaxed) {
        0 => draw(mark),
        drawn => drawn,
    }
}

#[cold]
fn draw(mark: &AtomicU64) -> u64 {
    // Never zero, which stands for a mark that is not drawn yet.
    let drawn = RandomState::new().hash_one(process::id()) | 1;
    match mark.compare_exchange(0, drawn, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => drawn,
        Err(earlier) => earlier,
    }
}

/// Maps the page, which is wiped on fork since Linux 4.14. Lock-free, so that a fork in the middle
/// leaves nothing locked; of two threads that get here at once, one keeps its page.
#[cold]
fn make_page() -> *mut AtomicU64 {
    let size = procfs::page_size() as usize;
    // SAFETY: without an address, a new mapping touches no memory in use.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    // SAFETY: the range is that of the mapping, if there is one.
    let wiped = page != libc::MAP_FAILED
        && unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) } == 0;
    // Memory for one page is what a process needs to do anything at all.
    assert!(
        wiped,
        "cannot map a page that is wiped on fork: {}",
        Errno::last()
    );
    let page: *mut AtomicU64 = page.cast();
    match PAGE.compare_exchange(ptr::null_mut(), page, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => page,
        Err(earlier) => {
            // SAFETY: nobody else has seen this page.
            unsafe { libc::munmap(page.cast(), size) };
            earlier
        }
    }
}
