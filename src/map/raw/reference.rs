//! Entries as they are handed around, and what is copied of a search and a walk.
#![forbid(unsafe_code)]

use std::hash::{Hash, Hasher};
use std::mem::offset_of;
use std::ptr;

use rkyv::Archive;
use rkyv::api::{access_pos_with_context, check_pos_with_context};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::BoxedError;

use super::in_slots::SlotWalk;
use super::{CACHE_LINE, Entry, Framed, MapLine, RawMap, Slotted, prefetch};
use crate::archive::{CheckStrategy, Collections, Validator, Value};
use crate::map::MapKey;
use crate::map::entry::{entry_length, frame};
use crate::map::garbage::GarbageList;
use crate::map::index::{Line, home};
use crate::map::slots::{MOST_SIZE, SlotLayout};
use crate::schema::{Description, MapLayout, Schema, Shape, TypeIndex, Types};

impl<K: Value, V: Value> Entry<'_, K, V> {
    /// Whether entries of these types stand in slots.
    pub(in crate::map) const IN_SLOTS: bool = K::Archived::SELF_CONTAINED
        && V::Archived::SELF_CONTAINED
        && 0 < size_of::<Slotted<K, V>>()
        && size_of::<Slotted<K, V>>() <= MOST_SIZE;
    /// Bytes of an entry, without what key and value point to.
    pub(in crate::map) const SIZE: usize = match Self::IN_SLOTS {
        true => size_of::<Slotted<K, V>>(),
        false => size_of::<Framed<K, V>>(),
    };
    pub(in crate::map) const ALIGN: usize = match Self::IN_SLOTS {
        true => align_of::<Slotted<K, V>>(),
        false => align_of::<Framed<K, V>>(),
    };
    pub(in crate::map) const KEY: usize = match Self::IN_SLOTS {
        true => offset_of!(Slotted<K, V>, key),
        false => offset_of!(Framed<K, V>, key),
    };
    pub(in crate::map) const VALUE: usize = match Self::IN_SLOTS {
        true => offset_of!(Slotted<K, V>, value),
        false => offset_of!(Framed<K, V>, value),
    };

    /// Describes a map of such entries.
    pub(in crate::map) fn describe(types: &mut Types) -> TypeIndex {
        match Self::IN_SLOTS {
            true => Slotted::<K, V>::describe(types),
            false => Framed::<K, V>::describe(types),
        }
    }

    /// Length of the entry at the start of `archive`, or why there is none.
    pub(super) fn frame(archive: &[u8], alignment: u64) -> Result<usize, String> {
        match Self::IN_SLOTS {
            false => frame(archive, Self::SIZE, alignment),
            true if archive.len() >= Self::SIZE => Ok(Self::SIZE),
            true => Err("it is cut off".to_owned()),
        }
    }
}

impl<'a, K: Archive, V: Archive> Entry<'a, K, V> {
    #[inline]
    pub(in crate::map) fn key(self) -> &'a K::Archived {
        self.key
    }

    #[inline]
    pub(in crate::map) fn value(self) -> &'a V::Archived {
        self.value
    }
}

impl<K: Archive, V: Archive> Clone for Entry<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Archive, V: Archive> Copy for Entry<'_, K, V> {}

/// A map of entries, as its schema has it; the offsets are those of key and value.
pub(super) fn shape<K: Value, V: Value>(
    types: &mut Types,
    offsets: [usize; 2],
    layout: MapLayout,
) -> Shape {
    Shape::Map {
        key: K::Archived::describe(types),
        value: V::Archived::describe(types),
        key_offset: offsets[0],
        value_offset: offsets[1],
        layout,
    }
}

/// Asks for the memory of a line of any index.
#[inline]
pub(in crate::map) fn ask_for(line: &[u8; 64]) {
    prefetch(line.as_ptr());
}

/// Checks key and value of the entry at an archive offset; returns the key.
pub(in crate::map) fn check_entry<'a, K: Value, V: Value>(
    archive: &'a [u8],
    offset: usize,
    validator: &mut Validator,
) -> Result<&'a K::Archived, String> {
    let (key, value) = (offset + Entry::<K, V>::KEY, offset + Entry::<K, V>::VALUE);
    let key = access_pos_with_context::<K::Archived, _, BoxedError>(archive, key, validator)
        .map_err(|error| format!("key: {error}"))?;
    check_pos_with_context::<V::Archived, _, BoxedError>(archive, value, validator)
        .map_err(|error| format!("value: {error}"))?;
    Ok(key)
}

/// The value at an archive offset from anywhere, if a valid one is there.
pub(super) fn check_value<T>(archive: &[u8], offset: usize) -> Option<&T>
where
    T: CheckBytes<CheckStrategy> + Schema,
{
    let validator = &mut Validator::new(archive);
    let value = access_pos_with_context::<T, _, BoxedError>(archive, offset, validator).ok()?;
    let collections = Collections::new(&Description::of::<T>(), archive).check(offset);
    collections.ok()?;
    Some(value)
}

/// An entry, and the archive in which it lies. Two of them are equal if they are one and the same.
pub(crate) struct EntryRef<'a, K: Archive, V: Archive> {
    pub(super) entry: Entry<'a, K, V>,
    pub(super) archive: &'a [u8],
}

impl<'a, K: Archive, V: Archive> EntryRef<'a, K, V> {
    pub(crate) fn key(self) -> &'a K::Archived {
        self.entry.key
    }

    pub(crate) fn value(self) -> &'a V::Archived {
        self.entry.value
    }
}

impl<'a, K: Value, V: Value> EntryRef<'a, K, V> {
    /// Where the parts of an entry are that stands in a slot.
    pub(in crate::map) const SLOT: SlotLayout = SlotLayout {
        size: Entry::<K, V>::SIZE,
        key_offset: Entry::<K, V>::KEY,
        key_size: size_of::<K::Archived>(),
    };

    /// The archive offset at which it starts.
    pub(crate) fn offset(self) -> u64 {
        let key = ptr::from_ref(self.entry.key).addr() - self.archive.as_ptr().addr();
        (key - Entry::<K, V>::KEY) as u64
    }

    /// Length in bytes, to the start of the next entry.
    pub(crate) fn length(self) -> u64 {
        if Entry::<K, V>::IN_SLOTS {
            return Entry::<K, V>::SIZE as u64;
        }
        let header = self.archive[self.offset() as usize..].first_chunk();
        header.map_or(0, |header| entry_length(u32::from_le_bytes(*header)))
    }

    /// The bytes of the entry with all that only it points to.
    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.archive[self.offset() as usize..][..self.length() as usize]
    }

    /// Whether another entry begins where this one ends.
    pub(in crate::map) fn is_before(self, next: Self) -> bool {
        self.is_in(next.archive) && next.offset() == self.offset() + self.length()
    }

    /// The bytes from the start of this entry to the end of one behind it, in the same archive.
    pub(in crate::map) fn bytes_to_end_of(self, last: Self) -> &'a [u8] {
        &self.archive[self.offset() as usize..(last.offset() + last.length()) as usize]
    }

    /// Whether another entry that stands in a slot has the same key, byte for byte.
    pub(in crate::map) fn has_key_bytes(self, other: EntryRef<'_, K, V>) -> bool {
        let key = |entry: &[u8]| Self::SLOT.key(entry).to_vec();
        Entry::<K, V>::IN_SLOTS && key(self.bytes()) == key(other.bytes())
    }

    /// Whether it is an entry of the map whose archive section this is.
    pub(in crate::map) fn is_in(self, archive: &[u8]) -> bool {
        ptr::eq(self.archive, archive)
    }
}

impl<K: Archive, V: Archive> Clone for EntryRef<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Archive, V: Archive> Copy for EntryRef<'_, K, V> {}

impl<K: Archive, V: Archive> PartialEq for EntryRef<'_, K, V> {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.entry.key, other.entry.key)
    }
}

impl<K: Archive, V: Archive> Eq for EntryRef<'_, K, V> {}

impl<K: Archive, V: Archive> Hash for EntryRef<'_, K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ptr::hash(self.entry.key, state);
    }
}

impl<K: Archive, V: Archive> Clone for MapLine<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Archive, V: Archive> Copy for MapLine<'_, K, V> {}

impl<K: Archive, V: Archive> MapLine<'_, K, V> {
    /// Whether a search goes on behind this line.
    #[inline]
    pub(in crate::map) fn overflows(self) -> bool {
        self.line.overflows()
    }
}

impl<K: MapKey, V: Value> RawMap<K, V> {
    /// Number of entries.
    #[inline]
    pub(in crate::map) fn entries(&self) -> u64 {
        match Entry::<K, V>::IN_SLOTS {
            true => self.slots.entries,
            false => self.lines.entries,
        }
    }

    /// Bytes of garbage entries.
    pub(in crate::map) fn garbage_bytes(&self) -> u64 {
        self.lines.garbage
    }

    /// Asks for the memory of the home line of a hash.
    #[inline]
    pub(in crate::map) fn prefetch_line(&self, hash: u64) {
        let home = home(hash, self.lines.lines) as usize;
        prefetch(self.table.wrapping_add(home * size_of::<Line>()));
    }

    /// Asks for some lines of memory from an archive offset on, which may lie behind the end.
    #[inline]
    pub(super) fn prefetch(&self, offset: u64, lines: u64) {
        let start = self.archive.wrapping_add(offset as usize);
        for line in 0..lines {
            prefetch(start.wrapping_add((line * CACHE_LINE) as usize));
        }
    }

    /// An entry with its archive, if it is one of this map: every entry in its archive is.
    pub(in crate::map) fn entry_ref<'a>(
        &'a self,
        entry: Entry<'a, K, V>,
    ) -> Option<EntryRef<'a, K, V>> {
        let archive = self.archive();
        let start = ptr::from_ref(entry.key).addr() - Entry::<K, V>::KEY;
        let is_here = archive
            .as_ptr_range()
            .contains(&ptr::without_provenance(start));
        is_here.then_some(EntryRef { entry, archive })
    }
}

/// How many bytes ahead of the entry that it gives a walk asks for memory, so that it comes in
/// time: each entry tells only where the next one is.
pub(super) const AHEAD: u64 = 2048;
/// Most lines that it asks for at each step.
const MOST_AHEAD: u64 = 8;

/// The entries of a map that are not garbage: in the order in which they were inserted, or in that
/// of their slots.
pub(in crate::map) struct Walk<'a, K: Archive, V: Archive> {
    pub(super) map: &'a RawMap<K, V>,
    /// Where the next entry starts, or the end of the archive.
    pub(super) offset: u64,
    pub(super) left: usize,
    /// Lines of memory that are asked for at each step: as many as the mean entry has, since a
    /// number that changed would be a branch that is not predicted.
    pub(super) ahead: u64,
    pub(super) garbage: GarbageList<'a>,
    /// Where entries stand in slots, how far the walk is.
    pub(super) slots: SlotWalk,
}

impl<'a, K: MapKey, V: Value> Walk<'a, K, V> {
    pub(in crate::map) fn new(map: &'a RawMap<K, V>) -> Self {
        let entries = map.entries();
        let mean_length = (map.archive_length - map.start) / entries.max(1);
        Self {
            map,
            offset: map.start,
            left: entries as usize,
            slots: SlotWalk::default(),
            ahead: (mean_length / CACHE_LINE + 1).min(MOST_AHEAD),
            garbage: map.garbage(),
        }
    }
}

impl<K: Archive, V: Archive> Walk<'_, K, V> {
    /// How many entries are to come.
    pub(in crate::map) fn left(&self) -> usize {
        self.left
    }
}

impl<K: Archive, V: Archive> Clone for Walk<'_, K, V> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}
