//! Optional statistics of readers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::error::{ChannelError, Error, Result};
use crate::sys::mapping::{Line, SharedWords};

/// Counters of the lookups of forked workers, and of those that found nothing.
///
/// Handles do not count by themselves, so without counters no worker writes to shared memory. With
/// counters, each worker writes to a cache line of its own, in memory that holds nothing else. Make
/// them before the fork; clones are the same counters. The counts of a worker stay when it ends,
/// and its successor continues from them.
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
    lines: Arc<SharedWords>,
}

/// The words of a worker's line.
const LOOKUPS: usize = 0;
const MISSES: usize = 1;

impl Counters {
    /// Creates counters for this many workers, all zero.
    ///
    /// # Errors
    /// [`ChannelError::Counters`] if their memory cannot be mapped.
    pub fn for_workers(count: usize) -> Result<Self> {
        let lines = SharedWords::new(count).map_err(|source| {
            Error::Channel(ChannelError::Counters {
                count,
                reason: source,
            })
        })?;
        Ok(Self {
            lines: Arc::new(lines),
        })
    }

    /// The counter of the worker with this index, from 0.
    ///
    /// # Panics
    /// If the index is not below [`workers`](Self::workers).
    #[must_use]
    pub fn of(&self, worker: usize) -> Counter<'_> {
        Counter(&self.lines[worker])
    }

    /// How many workers can count.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.lines.len()
    }

    /// Lookups of all workers so far.
    #[must_use]
    pub fn lookups(&self) -> u64 {
        self.sum(LOOKUPS)
    }

    /// Lookups of all workers so far that found nothing.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.sum(MISSES)
    }

    /// Whatever a worker has written there.
    fn sum(&self, word: usize) -> u64 {
        let counters = self.lines.iter().map(|line| &line.words[word]);
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

/// The counter of one worker. Two workers that use the same counter at the same time lose counts.
#[derive(Debug)]
pub struct Counter<'a>(&'a Line);

impl Counter<'_> {
    /// Counts a lookup by its result, and returns the result.
    #[inline]
    pub fn count<V>(&self, found: Option<V>) -> Option<V> {
        // There is one writer, so it needs no atomic addition.
        let increment = |counter: &AtomicU64| {
            counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
        };
        increment(&self.0.words[LOOKUPS]);
        if found.is_none() {
            increment(&self.0.words[MISSES]);
        }
        found
    }
}
