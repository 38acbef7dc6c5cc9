//! Rows of the section table.

use std::ops::Range;

use super::{
    FORMAT_VERSION, HEADER_LENGTH, LEAST_PAGE, MAGIC, MOST_PAGE, SECTION_ALIGNMENT, u32_at, u64_at,
};
use crate::error::{Error, HeaderError, Result, SectionKind};

pub(super) const ROW_LENGTH: usize = 24;
pub(super) const ROWS: usize = 6;

/// Where a section lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// What the bytes are.
    pub kind: SectionKind,
    /// Start, in bytes from the start of the region; a multiple of 64, or of the page size where
    /// the region is in pages.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
}

impl Section {
    pub(crate) fn range(&self) -> Range<usize> {
        self.offset as usize..self.end() as usize
    }

    /// Behind its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.length
    }

    pub(super) fn encode(&self) -> [u8; ROW_LENGTH] {
        let mut row = [0; ROW_LENGTH];
        row[..4].copy_from_slice(&(self.kind as u32).to_le_bytes());
        row[8..16].copy_from_slice(&self.offset.to_le_bytes());
        row[16..].copy_from_slice(&self.length.to_le_bytes());
        row
    }

    fn decode(row: &[u8]) -> Option<Self> {
        if u32_at(row, 4) != 0 {
            return None;
        }
        Some(Self {
            kind: SectionKind::from_number(u32_at(row, 0))?,
            offset: u64_at(row, 8),
            length: u64_at(row, 16),
        })
    }
}

/// Where the sections of a region may start, and what its header takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// At multiples of 64, behind a header of 576 bytes.
    Packed,
    /// At multiples of a page of so many bytes, behind a header of one page.
    Pages(u64),
}

impl Spacing {
    /// From the fields at the start of any header of this version.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self> {
        let Some(start) = bytes.first_chunk::<HEADER_LENGTH>() else {
            return Err(Error::Header(HeaderError::Length {
                expected: HEADER_LENGTH as u64,
                got: bytes.len() as u64,
            }));
        };
        if start[..8] != MAGIC {
            return Err(Error::Header(HeaderError::NotRegion {
                got: start[..8].escape_ascii().to_string(),
            }));
        }
        let version = u32_at(start, 8);
        if version != FORMAT_VERSION {
            return Err(Error::Header(HeaderError::Version {
                expected: FORMAT_VERSION,
                got: version,
            }));
        }
        let spacing = match u64::from(u32_at(start, 88)) {
            0 => Self::Packed,
            size if size.is_power_of_two() && (LEAST_PAGE..=MOST_PAGE).contains(&size) => {
                Self::Pages(size)
            }
            _ => {
                return Err(Error::Header(HeaderError::SectionTable {
                    problem: "the size of its pages is no power of two from 4 KiB to 1 MiB",
                }));
            }
        };
        if u64::from(u32_at(start, 20)) != spacing.header_length() {
            return Err(Error::Header(HeaderError::SectionTable {
                problem: "the length of the header is neither 576 nor the size of a page",
            }));
        }
        Ok(spacing)
    }

    /// Bytes of the header, behind which the first section starts.
    pub(crate) fn header_length(self) -> u64 {
        match self {
            Self::Packed => HEADER_LENGTH as u64,
            Self::Pages(size) => size,
        }
    }

    /// Rounds up to the next offset at which a section may start.
    pub(crate) fn align(self, offset: u64) -> u64 {
        match self {
            Self::Packed => offset.next_multiple_of(SECTION_ALIGNMENT as u64),
            Self::Pages(size) => offset.next_multiple_of(size),
        }
    }

    /// Where a region ends whose last section does: pages are whole.
    pub(crate) fn end(self, offset: u64) -> u64 {
        match self {
            Self::Packed => offset,
            Self::Pages(_) => self.align(offset),
        }
    }
}

/// Reads the table of a region of `length` bytes: the sections follow each other without gaps
/// but for alignment, each kind at most once, and the last one ends the region.
pub(super) fn decode_table(
    table: &[u8],
    count: u8,
    length: u64,
    spacing: Spacing,
) -> Result<Vec<Section>> {
    let refuse = |problem| Err(Error::Header(HeaderError::SectionTable { problem }));
    let count = usize::from(count);
    if count > ROWS {
        return refuse("it has more than six rows");
    }
    if length > i64::MAX as u64 {
        return refuse("the region is longer than a file can be");
    }
    let (used, unused) = table.split_at(count * ROW_LENGTH);
    if unused.iter().any(|&byte| byte != 0) {
        return refuse("an unused row is not zero");
    }
    let mut sections: Vec<Section> = Vec::with_capacity(count);
    let mut end = spacing.header_length();
    for row in used.chunks_exact(ROW_LENGTH) {
        let Some(section) = Section::decode(row) else {
            return refuse("a row has an unknown kind");
        };
        if sections.iter().any(|earlier| earlier.kind == section.kind) {
            return refuse("a kind stands twice");
        }
        // Both sums are checked, so that `range` can never overflow or leave the region.
        let Some(section_end) = section.offset.checked_add(section.length) else {
            return refuse("a section leaves the region");
        };
        if section.offset != spacing.align(end) || section_end > length {
            return refuse("the sections do not follow each other within the region");
        }
        end = section_end;
        sections.push(section);
    }
    if spacing.end(end) != length {
        return refuse("the last section does not end the region");
    }
    Ok(sections)
}
