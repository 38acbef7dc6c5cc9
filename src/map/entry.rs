//! One entry of a map, as it lies in the archive section.
//!
//! ```text
//! archive section = entry entry ...     each at a multiple of the map's alignment
//! entry = header | archived key | archived value | what both point to | zeros to that multiple
//! header = u32: length of the entry in units of 4 bytes
//! ```
//!
//! The alignment is that of the map's most aligned type, inside of values too, and 4 at least.
//! Key and value stand at fixed offsets at the start, so that a hit needs the line in which they
//! begin and no length to find them.
#![forbid(unsafe_code)]

use super::index::OFFSET_UNIT;
use crate::schema::{Description, TypeIndex};

/// Most bytes of one entry: with the way back to interned values it stays within a pointer.
pub(crate) const ENTRY_LIMIT: u64 = 1 << 30;

/// What entries of a map in this description are aligned to, so that all in them is.
pub(crate) fn entry_alignment(description: &Description, map: TypeIndex) -> u64 {
    let types = description.reachable(map);
    let alignments = types.map(|described| described.align as u64);
    alignments.fold(OFFSET_UNIT, u64::max)
}

/// The header of an entry of `length` bytes.
pub(super) fn header_of_length(length: u64) -> u32 {
    (length / OFFSET_UNIT) as u32
}

/// Length in bytes from a header.
#[inline]
pub(crate) fn entry_length(header: u32) -> u64 {
    u64::from(header) * OFFSET_UNIT
}

/// Length of the entry at the start of `archive`. `least` is the size of header, key and value.
///
/// Lengths are multiples of the map's alignment, those of garbage too, so that the next entry is
/// aligned, and a block of entries behind this archive.
#[inline]
pub(super) fn frame(archive: &[u8], least: usize, alignment: u64) -> Result<usize, String> {
    let Some(header) = archive.first_chunk() else {
        return Err("it has no room for its header".to_owned());
    };
    let length = entry_length(u32::from_le_bytes(*header)) as usize;
    let is_aligned = length as u64 & (alignment - 1) == 0;
    match is_aligned && (least..=archive.len()).contains(&length) {
        true => Ok(length),
        false => Err(misframed(length, least, archive.len(), alignment)),
    }
}

#[cold]
fn misframed(length: usize, least: usize, left: usize, alignment: u64) -> String {
    match (least..=left).contains(&length) {
        false => format!(
            "its length of {length} bytes is not between {least} and the {left} that are left"
        ),
        true => format!("its length of {length} bytes is not a multiple of {alignment}"),
    }
}
