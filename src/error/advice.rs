//! Hints to the kernel.

/// A hint to the kernel about a region. It changes no byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// Put the region into pages of 2 MiB (`MADV_COLLAPSE`, Linux 6.1). Random reads of regions
    /// larger than the processor's caches get faster, in every process that maps it. The kernel
    /// copies the bytes into new frames once. A region under 2 MiB has no such pages.
    HugePages,
    /// The region will be read soon (`MADV_WILLNEED`).
    WillNeed,
    /// Leave the region out of core dumps of this process and of the children that it forks from
    /// now on (`MADV_DONTDUMP`). Costs nothing.
    ///
    /// Without this advice, the core dump of each worker has a copy of every region that it maps,
    /// if bit 1 of `/proc/PID/coredump_filter` is set, as it is by default.
    NoDump,
    /// Put the region into core dumps again (`MADV_DODUMP`).
    Dump,
    /// Map all pages now (`MADV_POPULATE_READ`, Linux 5.14), so that reading causes no page faults
    /// in this process. Children do not inherit mapped pages of shared memory: each populates
    /// its own.
    Populate,
}
