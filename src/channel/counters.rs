//! Statistics of readers, for those who want them.
#![allow(unsafe_code)]

use crate::error::ChannelError;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::error::{Error, Result};

/// What forked workers count: lookups, and those that found nothing.
///
/// Handles never count by themselves, so without counters not one byte of shared memory is written.
/// With them, each worker writes to a cache line of its own, in memory that holds nothing else.
/// Make them before the fork; clones are the same counters. What a worker has counted stays when it
/// ends, and its successor goes on counting there.
///
/// ```
/// use floe::{Counters, Map, prefork};
///
/// let versions = Map::freeze("versions", [("zlib".to_owned(), 1_u32)])?;
/// let counters = Counters::for_workers(2)?;
/// let workers = prefork::spawn(2, |worker| {
///     let counter = counters.of(worker.index());
///     counter.count(versions.get("zlib")).is_some() && counter.count(versions.get("gcc")).is_none()
/// })?;
/// assert_eq!(workers.join()?, [true, true]);
/// assert_eq!((counters.lookups(), counters.misses()), (4, 2));
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Clone)]
pub struct Counters {
    memory: Arc<Memory>,
}

/// A line of one worker: padded, so that no two of them share one, nor the one that is fetched
/// along with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line {
    lookups: AtomicU64,
    misses: AtomicU64,
}

impl Counters {
    /// Zeros for a number of workers.
    ///
    /// # Errors
    /// [`ChannelError::Counters`] if there is no memory for them.
    pub fn for_workers(count: usize) -> Result<Self> {
        let memory = Memory::new(count).map_err(|source| {
            Error::Channel(ChannelError::Counters {
                count,
                reason: source,
            })
        })?;
        Ok(Self {
            memory: Arc::new(memory),
        })
    }

    /// What the worker with this index counts with, from 0.
    ///
    /// # Panics
    /// If there are not so many workers.
    pub fn of(&self, worker: usize) -> Counter<'_> {
        Counter(&self.memory.lines()[worker])
    }

    /// How many workers can count.
    pub fn workers(&self) -> usize {
        self.memory.count
    }

    /// Lookups of all workers so far.
    pub fn lookups(&self) -> u64 {
        self.sum(|line| &line.lookups)
    }

    /// Lookups of all workers that found nothing.
    pub fn misses(&self) -> u64 {
        self.sum(|line| &line.misses)
    }

    /// Whatever a worker has written there.
    fn sum(&self, counter: impl Fn(&Line) -> &AtomicU64) -> u64 {
        let counters = self.memory.lines().iter().map(counter);
        counters.fold(0, |sum, counter| sum.wrapping_add(counter.load(Relaxed)))
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters")
            .field("workers", &self.workers())
            .field("lookups", &self.lookups())
            .field("misses", &self.misses())
            .finish()
    }
}

/// The counters of one worker. Two that count with the same ones at the same time lose counts.
#[derive(Debug)]
pub struct Counter<'a>(&'a Line);

impl Counter<'_> {
    /// Counts a lookup by its result, which it gives back.
    #[inline]
    pub fn count<V>(&self, found: Option<V>) -> Option<V> {
        // There is one writer, so it needs no atomic addition.
        let increment = |counter: &AtomicU64| {
            counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
        };
        increment(&self.0.lookups);
        if found.is_none() {
            increment(&self.0.misses);
        }
        found
    }
}

/// Memory that a process shares with those that are forked from it.
struct Memory {
    start: NonNull<Line>,
    count: usize,
}

// SAFETY: the lines are read and written through atomics only.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(count: usize) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let length = Self::length(count).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: without an address, a new mapping touches no memory in use.
        let start = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_SHARED)? };
        Ok(Self {
            start: start.cast(),
            count,
        })
    }

    /// `None` for more than the address space holds.
    fn length(count: usize) -> Option<NonZeroUsize> {
        NonZeroUsize::new(count.max(1).checked_mul(size_of::<Line>())?)
    }

    fn lines(&self) -> &[Line] {
        // SAFETY: `new` mapped so many lines, page-aligned, readable and writable until `drop`. All
        // zeros, and any other bytes, are valid atomics, also while other processes write them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(length) = Self::length(self.count) {
            // SAFETY: the range is that of this process's map; references into it borrow `self`.
            // Refused, the addresses are lost, no more.
            let _ = unsafe { munmap(self.start.cast(), length.get()) };
        }
    }
}
