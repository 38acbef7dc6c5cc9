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
}

impl SectionKind {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        [Self::Archive, Self::Index, Self::Inputs, Self::Schema]
            .into_iter()
            .find(|kind| *kind as u32 == number)
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archive => "archive",
            Self::Index => "index",
            Self::Inputs => "inputs",
            Self::Schema => "schema",
        })
    }
}

/// A part of a region whose digest is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RegionPart {
    /// The header, by its own digest.
    Header,
    /// A section, by its digest in the header.
    Section(SectionKind),
    /// The bytes before a section, which are zero.
    PaddingBefore(SectionKind),
}

impl fmt::Display for RegionPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("its header"),
            Self::Section(kind) => write!(f, "its {kind} section"),
            Self::PaddingBefore(kind) => write!(f, "the padding before its {kind} section"),
        }
    }
}
