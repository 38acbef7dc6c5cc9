//! Parts of a region, as errors name them.

use std::fmt;

/// What the bytes of a section are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum SectionKind {
    /// The value in rkyv's form, or the entries of a map.
    Archive = 1,
    /// The table that finds the entries of a map.
    Index = 2,
    /// The inputs that the build read.
    Inputs = 3,
    /// The description of the archived types, as JSON.
    Schema = 4,
    /// Where the entries of a map stand that later ones have replaced.
    Garbage = 5,
    /// Which pages come from which page file.
    Layout = 6,
}

impl SectionKind {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        const ALL: [SectionKind; 6] = [
            SectionKind::Archive,
            SectionKind::Index,
            SectionKind::Inputs,
            SectionKind::Schema,
            SectionKind::Garbage,
            SectionKind::Layout,
        ];
        ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archive => "archive",
            Self::Index => "index",
            Self::Inputs => "inputs",
            Self::Schema => "schema",
            Self::Garbage => "garbage",
            Self::Layout => "layout",
        })
    }
}

/// A part of a region whose digest is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RegionPart {
    /// The header, by its own digest.
    Header,
    /// The bytes of a page file behind its header, by their digest in the header: 0 is the file
    /// that begins with this header, the only one of most regions.
    File(usize),
    /// The bytes behind a section, up to the next or to the end, which are zero.
    PaddingBehind(SectionKind),
}

impl fmt::Display for RegionPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("its header"),
            Self::File(0) => f.write_str("what stands behind its header"),
            Self::File(number) => write!(f, "its page file {number}"),
            Self::PaddingBehind(kind) => write!(f, "the padding behind its {kind} section"),
        }
    }
}
