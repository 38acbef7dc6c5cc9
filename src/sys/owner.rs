//! Telling a process from those that are forked off it.
//!
//! Process numbers alone do not tell: they are reused, and start anew in each pid namespace. So a
//! process draws a mark, which its children must not have. Two ways lead there:
//!
//! - a page that the kernel hands to children filled with zeros (`MADV_WIPEONFORK`, Linux 4.14),
//!   whoever forks them and however;
//! - where there is no such page, a mark that contains the process number, and that a handler of
//!   libc's `fork` erases in the child. It misses only a child that was made without libc and has
//!   its parent's number, as the first process of a pid namespace may.
#![allow(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use nix::libc;
use nix::unistd::{SysconfVar, sysconf};

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

    /// Refuses what belongs to another process. Costs one load, and without a page that is wiped
    /// a call of `getpid`.
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

/// Where this process's mark is: zero until it is drawn. Null until the first one is needed.
static PLACE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// The place of a mark that no kernel wipes.
static ORDINARY: AtomicU64 = AtomicU64::new(0);

/// A number that this process has drawn, and no child of it has.
fn mark() -> u64 {
    let mut place = PLACE.load(Ordering::Acquire);
    if place.is_null() {
        place = find_place();
    }
    if ptr::eq(place, &ORDINARY) {
        return numbered(&ORDINARY, process::id());
    }
    // SAFETY: the page is never unmapped, and holds zeros or a mark.
    let mark = unsafe { &*place };
    match mark.load(Ordering::Relaxed) {
        // Never zero, which stands for a mark that is not drawn yet.
        0 => replace(mark, 0, random() | 1),
        drawn => drawn,
    }
}

/// The mark of the process with a number, which is drawn anew where the one that is there was
/// inherited from another.
fn numbered(mark: &AtomicU64, process: u32) -> u64 {
    match mark.load(Ordering::Relaxed) {
        drawn if drawn as u32 == process && drawn != 0 => drawn,
        other => replace(mark, other, random() << 32 | u64::from(process)),
    }
}

fn random() -> u64 {
    RandomState::new().hash_one(process::id())
}

/// Of two threads that draw at once, one has its mark taken.
#[cold]
fn replace(mark: &AtomicU64, earlier: u64, drawn: u64) -> u64 {
    match mark.compare_exchange(earlier, drawn, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => drawn,
        Err(other) => other,
    }
}

/// Lock-free but for libc's list of fork handlers, so that a fork in the middle leaves nothing of
/// ours locked; of two threads that get here at once, one keeps its place.
#[cold]
fn find_place() -> *mut AtomicU64 {
    let page = wiped_page();
    let place = page.unwrap_or_else(|| {
        erase_on_fork();
        (&raw const ORDINARY).cast_mut()
    });
    match PLACE.compare_exchange(ptr::null_mut(), place, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => place,
        Err(earlier) => {
            if let Some(page) = page {
                // SAFETY: nobody else has seen this page.
                unsafe { libc::munmap(page.cast(), page_size()) };
            }
            earlier
        }
    }
}

/// Maps a page that children find filled with zeros; `None` where the kernel has none to give,
/// does not know the advice, or a sandbox refuses it.
fn wiped_page() -> Option<*mut AtomicU64> {
    const UNKNOWN_ADVICE: libc::c_int = -1;
    let size = page_size();
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
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is that of the mapping, which nobody else knows. An emulator that says yes
    // to an advice that there is not would say so to any, and wipe nothing.
    let wiped = unsafe {
        libc::madvise(page, size, UNKNOWN_ADVICE) != 0
            && libc::madvise(page, size, libc::MADV_WIPEONFORK) == 0
    };
    if wiped {
        return Some(page.cast());
    }
    // SAFETY: as above.
    unsafe { libc::munmap(page, size) };
    None
}

/// Erases the ordinary mark in the children that libc forks. Should libc have no memory for that,
/// the number in the mark has to tell.
fn erase_on_fork() {
    extern "C" fn erase() {
        ORDINARY.store(0, Ordering::Relaxed);
    }
    // SAFETY: the handler does nothing but store to an atomic of its own.
    unsafe { libc::pthread_atfork(None, None, Some(erase)) };
}

fn page_size() -> usize {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.map_or(4096, |size| size as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbered_mark_is_kept_by_its_process_and_left_by_every_other() {
        let mark = AtomicU64::new(0);
        let owner = numbered(&mark, 7);
        assert_eq!(numbered(&mark, 7), owner);
        let child = numbered(&mark, 8);
        assert_ne!(child, owner);
        // A grandchild may get the number of its grandparent.
        assert_ne!(numbered(&mark, 7), owner);
    }
}
