//! The memory of a process as the kernel counts it, and how much of it is shared.
//!
//! # Which number proves what
//! * *RSS* counts each page in full in every process that maps it: adding it up over workers counts
//!   shared pages many times.
//! * *PSS* divides each page by the number of its mappers: adding it up gives what all use
//!   together.
//! * *USS* counts the pages that no other process maps: what would come back if this one ended.
//! * A page that generations share, and one process maps with each of them, counts as shared there:
//!   in PSS once, in RSS with each, in USS not at all.
//! * USS and `private_dirty` are no proof that shared memory was copied: the sole mapper of a memfd
//!   shows all its pages as private. **`anonymous` is the proof**: a page of a shared mapping is
//!   anonymous only once it has been copied.

mod frames;
mod mappings;
mod page_files;
mod regions;
mod table;

use std::iter::Sum;
use std::ops::{AddAssign, Range};
use std::process;

use serde::Serialize;

pub use crate::error::{ProcError, bytes};
pub use frames::frames;
pub use page_files::MappedFile;
pub use regions::MappedRegion;
pub use table::{Row, Table};

use crate::error::Error;

/// The memory of a process or of some of its mappings, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Unique set size: pages that no other process maps (`private_clean + private_dirty`).
    pub uss: u64,
    /// Proportional set size: each page divided by the number of its mappers.
    pub pss: u64,
    /// Resident set size: all pages present, shared or not.
    pub rss: u64,
    /// Virtual set size: all addresses mapped, present or not.
    pub vss: u64,
    /// Bytes that are swapped out.
    pub swap: u64,
    /// Present pages that belong to no file: heap, stack, and copied pages of private mappings.
    pub anonymous: u64,
    /// Pages that other processes map too, equal to what is on disk.
    pub shared_clean: u64,
    /// Pages that other processes map too, written since they were read; all pages of a memfd
    /// count as written.
    pub shared_dirty: u64,
    /// Pages that only this process maps, equal to what is on disk.
    pub private_clean: u64,
    /// Pages that only this process maps, written since they were read.
    pub private_dirty: u64,
    /// The number of mappings that were counted.
    pub mappings: u64,
}

impl Usage {
    /// The memory of this process.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn of_self() -> Result<Self, Error> {
        Self::of(process::id())
    }

    /// The memory of process `pid`, all mappings together.
    ///
    /// The kernel visits every present page, so the cost grows with the process. A process that has
    /// ended but was not reaped has no memory.
    ///
    /// # Errors
    /// [`Error::ReadProcess`]: the process is gone or belongs to another user, or `/proc` is missing or
    /// has an unknown form.
    pub fn of(pid: u32) -> Result<Self, Error> {
        mappings::sum(pid, |_| true)
    }

    /// The memory of the mappings of process `pid` that overlap `addresses`. Each counts in full,
    /// not only its bytes in `addresses`.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn of_mapping(pid: u32, addresses: Range<usize>) -> Result<Self, Error> {
        let (start, end) = (addresses.start as u64, addresses.end as u64);
        mappings::sum(pid, |mapping| {
            start < end && mapping.address.0 < end && start < mapping.address.1
        })
    }

    /// The memory of the mappings of process `pid` that show a memfd named `name`, or `name`
    /// followed by a dot and more. Frozen caches are named `floe:NAME.GENERATION`, so
    /// `floe:recipes` selects all generations of one cache.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn of_named(pid: u32, name: &str) -> Result<Self, Error> {
        mappings::sum(pid, |mapping| {
            let rest = mappings::memfd(mapping).and_then(|shown| shown.strip_prefix(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.uss += other.uss;
        self.pss += other.pss;
        self.rss += other.rss;
        self.vss += other.vss;
        self.swap += other.swap;
        self.anonymous += other.anonymous;
        self.shared_clean += other.shared_clean;
        self.shared_dirty += other.shared_dirty;
        self.private_clean += other.private_clean;
        self.private_dirty += other.private_dirty;
        self.mappings += other.mappings;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |mut sum, part| {
            sum += part;
            sum
        })
    }
}
