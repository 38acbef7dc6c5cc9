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
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::word_wiped_on_fork;
use super::process::word_erased_on_fork;
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

/// A number that this process has drawn, and no child of it has.
#[inline]
fn mark() -> u64 {
    let Some(mark) = word_wiped_on_fork() else {
        return numbered(word_erased_on_fork(), process::id());
    };
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
