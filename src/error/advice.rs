//! Hints to the kernel.

/// What the kernel is told about a region: a hint, that changes no byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// Put the region into pages of 2 MiB (`MADV_COLLAPSE`, Linux 6.1): random reads of regions
    /// larger than the processor's caches get faster, for all who map it. The kernel copies the
    /// bytes into new frames once. Regions under 2 MiB have none.
    HugePages,
    /// The region will be read soon (`MADV_WILLNEED`).
    WillNeed,
    /// Leave the region out of core dumps of this process and of the children that it forks from now
    /// on (`MADV_DONTDUMP`): cores then show neither its size nor its content. Unless advised so,
    /// regions are in cores, as all shared memory without a name in the file system is where bit 1 of
    /// `/proc/PID/coredump_filter` is set, which is the default: each core of each worker has a copy of
    /// every region that it maps. Costs nothing.
    NoDump,
    /// Put the region into core dumps again (`MADV_DODUMP`).
    Dump,
    /// Map all pages now (`MADV_POPULATE_READ`, Linux 5.14), so that reading takes no faults in this
    /// process. Children inherit no mapped pages of shared memory: each populates for itself.
    Populate,
}
