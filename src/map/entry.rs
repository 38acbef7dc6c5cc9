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
#![allow(unsafe_code)]

use rkyv::rend::u32_le;
use rkyv::{Archive, Portable};

use super::index::OFFSET_UNIT;
use crate::schema::{Description, Schema, Shape, TypeIndex, Types};

/// Most bytes of one entry: with the way back to interned values it stays within a pointer.
pub(crate) const ENTRY_LIMIT: u64 = 1 << 30;

/// Bytes of the head of an entry.
pub(crate) const HEAD: usize = size_of::<u32>();

const GARBAGE: u32 = 1 << 31;

/// The start of an entry.
#[repr(C)]
pub struct Entry<K: Archive, V: Archive> {
    head: u32_le,
    /// The archived key.
    pub key: K::Archived,
    /// The archived value.
    pub value: V::Archived,
}

// SAFETY: a C struct of portable fields.
unsafe impl<K: Archive, V: Archive> Portable for Entry<K, V> {}

// SAFETY: the offsets are the compiler's, and key and value have schemas of their own.
unsafe impl<K, V> Schema for Entry<K, V>
where
    K: Archive<Archived: Schema> + 'static,
    V: Archive<Archived: Schema> + 'static,
{
    fn describe(types: &mut Types) -> TypeIndex {
        types.define::<Self>("Map", |types| Shape::Map {
            key: K::Archived::describe(types),
            value: V::Archived::describe(types),
            key_offset: std::mem::offset_of!(Self, key),
            value_offset: std::mem::offset_of!(Self, value),
        })
    }
}

impl<K: Archive, V: Archive> Entry<K, V> {
    /// Bytes of head, key and value, without what they point to.
    pub(crate) const SIZE: usize = size_of::<Self>();

    /// Writes the head of an entry of `length` bytes, whose key and value are not there yet.
    ///
    /// # Safety
    /// `entry` is aligned and valid for writes.
    pub(crate) unsafe fn write_head(entry: *mut Self, length: u64) {
        let head = u32_le::from_native((length / OFFSET_UNIT) as u32);
        // SAFETY: the caller's promise.
        unsafe { (&raw mut (*entry).head).write(head) };
    }

    /// Length in bytes, to the start of the next entry.
    pub(crate) fn length(&self) -> usize {
        head_length(self.head.to_native()) as usize
    }

    pub(crate) fn is_garbage(&self) -> bool {
        head_is_garbage(self.head.to_native())
    }

    /// The entry at an archive offset.
    ///
    /// # Safety
    /// A valid, aligned entry of these types starts at `offset` of `archive`, which is not written
    /// while the result lives.
    #[inline]
    pub(crate) unsafe fn at<'a>(archive: *const u8, offset: u64) -> &'a Self {
        // SAFETY: the caller vouches for a valid, aligned entry there.
        unsafe { &*archive.add(offset as usize).cast() }
    }
}

/// What entries of a map of this description are aligned to, so that all in them is.
pub(crate) fn entry_alignment(description: &Description) -> u64 {
    let alignments = description
        .types
        .iter()
        .map(|described| described.align as u64);
    alignments.fold(OFFSET_UNIT, u64::max)
}

/// The head of an entry of `length` bytes that is garbage.
pub(crate) fn garbage_head(length: u64) -> [u8; 4] {
    ((length / OFFSET_UNIT) as u32 | GARBAGE).to_le_bytes()
}

/// Length in bytes from a head.
pub(crate) fn head_length(head: u32) -> u64 {
    u64::from(head & !GARBAGE) * OFFSET_UNIT
}

/// Whether a head marks garbage.
pub(crate) fn head_is_garbage(head: u32) -> bool {
    head & GARBAGE != 0
}
