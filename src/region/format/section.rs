//! Rows of the section table.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

use super::{HEADER_LENGTH, SECTION_ALIGNMENT, array_at, u32_at, u64_at};
use crate::error::{Error, HeaderError, RegionPart, Result, SectionKind};

pub(super) const ROW_LENGTH: usize = 40;
pub(super) const ROWS: usize = 6;

/// Where a section lies, and the digest of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// What the bytes are.
    pub kind: SectionKind,
    /// Start, in bytes from the start of the region; a multiple of 64.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// xxh3-128 of the bytes.
    pub digest: u128,
}

impl Section {
    pub(crate) fn range(&self) -> Range<usize> {
        self.offset as usize..(self.offset + self.length) as usize
    }

    /// Compares the digest with the bytes of the region.
    pub(crate) fn check(&self, region: &[u8]) -> Result<()> {
        self.check_bytes(&region[self.range()])
    }

    /// Compares the digest with the bytes of the section.
    pub(crate) fn check_bytes(&self, bytes: &[u8]) -> Result<()> {
        if xxh3_128(bytes) != self.digest {
            let part = RegionPart::Section(self.kind);
            return Err(Error::Header(HeaderError::Damaged { part }));
        }
        Ok(())
    }

    pub(super) fn encode(&self) -> [u8; ROW_LENGTH] {
        let mut row = [0; ROW_LENGTH];
        row[..4].copy_from_slice(&(self.kind as u32).to_le_bytes());
        row[8..16].copy_from_slice(&self.offset.to_le_bytes());
        row[16..24].copy_from_slice(&self.length.to_le_bytes());
        row[24..].copy_from_slice(&self.digest.to_le_bytes());
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
            digest: u128::from_le_bytes(array_at(row, 24)),
        })
    }
}

/// Rounds up to the next offset at which a section may start.
pub(crate) fn align_section(offset: u64) -> u64 {
    offset.next_multiple_of(SECTION_ALIGNMENT as u64)
}

/// Reads the table of a region of `length` bytes: the sections follow each other without gaps
/// but for alignment, each kind at most once, and the last one ends the region.
pub(super) fn decode_table(table: &[u8], count: u8, length: u64) -> Result<Vec<Section>> {
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
    let mut end = HEADER_LENGTH as u64;
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
        if section.offset != align_section(end) || section_end > length {
            return refuse("the sections do not follow each other within the region");
        }
        end = section_end;
        sections.push(section);
    }
    if end != length {
        return refuse("the last section does not end the region");
    }
    Ok(sections)
}
