//! Errors of headers and section tables.

use super::page_files::Listed;
use super::{MissingFile, RegionPart, SectionKind};

/// Why bytes are not a region that this build reads: what is wrong in the header, or with lengths
/// and digests.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes do not start as a region does.
    #[error("not a floe region: it starts with \"{got}\"")]
    NotRegion {
        /// The first bytes, escaped.
        got: String,
    },
    /// There are fewer bytes than the header says or than a header has, or there are more.
    #[error(
        "the region {}: expected {expected} bytes, got {got}; build the cache again",
        if got < expected { "is cut short" } else { "has bytes after its end" }
    )]
    Length {
        /// Bytes that there should be.
        expected: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// The memfd has holes, which reading would fill.
    #[error(
        "the memfd has holes: expected {expected} bytes of memory, got {got}; build the cache again"
    )]
    Sparse {
        /// Bytes that the file is long.
        expected: u64,
        /// Bytes that have memory.
        got: u64,
    },
    /// The region has another version of the format.
    #[error(
        "the region has format version {got}, this build reads {expected}; build the cache again"
    )]
    Version {
        /// The version of this build.
        expected: u32,
        /// The version in the header.
        got: u32,
    },
    /// Bytes do not match their digest.
    #[error("the region is damaged: {part} is not what was written; build the cache again")]
    Damaged {
        /// Which bytes.
        part: RegionPart,
    },
    /// The archive was written by an rkyv of another format.
    #[error("the archive has rkyv format {}.{}, this build reads {}.{}; build the cache again", got & 0xffff, got >> 16, expected & 0xffff, expected >> 16)]
    ArchiveFormat {
        /// rkyv's version here: major in the low half, minor in the high half.
        expected: u32,
        /// The one in the header.
        got: u32,
    },
    /// The archive has the other byte order.
    #[error(
        "the archive has byte order {got}, this build reads {expected} (1 little, 2 big); build the cache with the same features of rkyv"
    )]
    ByteOrder {
        /// The byte order of this build.
        expected: u8,
        /// The one in the header.
        got: u8,
    },
    /// The archive has pointers of another width.
    #[error(
        "the archive has pointers of {got} bits, this build reads {expected}; build the cache with the same features of rkyv"
    )]
    PointerWidth {
        /// Bits of an archived pointer in this build.
        expected: u8,
        /// The ones in the header.
        got: u8,
    },
    /// The archive aligns its integers differently.
    #[error(
        "the archive has alignment {got}, this build reads {expected} (1 aligned, 0 unaligned); build the cache with the same features of rkyv"
    )]
    Alignment {
        /// Whether this build aligns archived integers.
        expected: u8,
        /// What the header says.
        got: u8,
    },
    /// The header or its section table contradicts itself.
    #[error("the section table of the region is not valid: {problem}")]
    SectionTable {
        /// What is wrong.
        problem: &'static str,
    },
    /// An image of several page files came with fewer of them, or with more.
    #[error(
        "the region has {expected} page files, got {got}; pass on all descriptors that `try_clone_fds` gives, in their order"
    )]
    Files {
        /// Page files that the header lists.
        expected: usize,
        /// Descriptors that there were.
        got: usize,
    },
    /// It is a page file that alone is no image: it holds the pages that one generation wrote.
    #[error(
        "it is one page file of a region, which generation {generation} wrote; the region needs {} more: {}; save it with `Region::save`, or open it in the /proc/PID/fd of a process that has all of them",
        missing.len(),
        Listed(missing)
    )]
    Incomplete {
        /// The generation that begins the file.
        generation: u64,
        /// The page files that its image needs beside it.
        missing: Vec<MissingFile>,
    },
    /// The layout of an image contradicts itself, or its header.
    #[error("the layout of the region is not valid: {problem}; build the cache again")]
    Layout {
        /// What is wrong.
        problem: &'static str,
    },
    /// A section that the type needs is missing.
    #[error("the region lacks the {section} section that this type needs; build the cache again")]
    MissingSection {
        /// The section.
        section: SectionKind,
    },
}
