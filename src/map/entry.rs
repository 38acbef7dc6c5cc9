//! One entry of a map, as it lies in the archive section.
//!
//! ```text
//! archive section = entry entry ...     each at a multiple of the map's alignment
//! entry = head | archived key | archived value | what both point to | zeros to that multiple
//! head  = u32: bits 0-30 length of the entry in units of 4 bytes, bit 31 set for garbage
//! ```
//!
//! The alignment is that of the map's most aligned type, inside of values too, and 4 at least.
//! Key and value stand at fixed offsets at the start, so that a hit needs the line in which they
//! begin and no length to find them. An entry is garbage when a later one took its key.
#![forbid(unsafe_code)]

use super::index::OFFSET_UNIT;
use crate::schema::Description;

/// Most bytes of one entry: with the way back to interned values it stays within a pointer.
pub(crate) const ENTRY_LIMIT: u64 = 1 << 30;

/// Bytes of the head of an entry.
pub(crate) const HEAD: usize = size_of::<u32>();

const GARBAGE: u32 = 1 << 31;

/// What entries of a map of this description are aligned to, so that all in them is.
pub(crate) fn entry_alignment(description: &Description) -> u64 {
    let alignments = description
        .types
        .iter()
        .map(|described| described.align as u64);
    alignments.fold(OFFSET_UNIT, u64::max)
}

/// The head of an entry of `length` bytes.
pub(super) fn head_of_length(length: u64) -> u32 {
    (length / OFFSET_UNIT) as u32
}

/// The head of an entry of `length` bytes that is garbage.
pub(super) fn garbage_head(length: u64) -> [u8; HEAD] {
    (head_of_length(length) | GARBAGE).to_le_bytes()
}

/// Length in bytes from a head.
#[inline]
pub(crate) fn head_length(head: u32) -> u64 {
    u64::from(head & !GARBAGE) * OFFSET_UNIT
}

/// Whether a head marks garbage.
#[inline]
pub(crate) fn head_is_garbage(head: u32) -> bool {
    head & GARBAGE != 0
}

/// Length of the entry at the start of `archive`, and whether it is garbage. `least` is the size of
/// head, key and value.
///
/// Lengths are multiples of the map's alignment, those of garbage too, so that the next entry is
/// aligned, and a block of entries behind this archive.
pub(super) fn frame(archive: &[u8], least: usize, alignment: u64) -> Result<(usize, bool), String> {
    let Some(head) = archive.first_chunk() else {
        return Err("it has no room for its head".to_owned());
    };
    let head = u32::from_le_bytes(*head);
    let length = head_length(head) as usize;
    if length < least || length > archive.len() {
        return Err(format!(
            "its length of {length} bytes is not between {least} and the {} that are left",
            archive.len()
        ));
    }
    if !(length as u64).is_multiple_of(alignment) {
        return Err(format!(
            "its length of {length} bytes is not a multiple of {alignment}"
        ));
    }
    Ok((length, head_is_garbage(head)))
}
