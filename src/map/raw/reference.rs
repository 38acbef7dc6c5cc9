//! Entries as they are handed around, and what is copied of a search and a walk.
#![forbid(unsafe_code)]

use std::hash::{Hash, Hasher};
use std::ptr;

use rkyv::Archive;

use super::{CACHE_LINE, Entry, MapLine, RawMap, Walk};
use crate::map::entry::entry_length;

impl<K: Archive, V: Archive> Entry<K, V> {
    #[inline]
    pub(in crate::map) fn key(&self) -> &K::Archived {
        &self.key
    }

    #[inline]
    pub(in crate::map) fn value(&self) -> &V::Archived {
        &self.value
    }
}

/// An entry, and the archive in which it lies. Two of them are equal if they are one and the same.
pub(crate) struct EntryRef<'a, K: Archive, V: Archive> {
    pub(super) entry: &'a Entry<K, V>,
    pub(super) archive: &'a [u8],
}

impl<'a, K: Archive, V: Archive> EntryRef<'a, K, V> {
    pub(crate) fn key(self) -> &'a K::Archived {
        &self.entry.key
    }

    /// The archive offset at which it starts.
    pub(crate) fn offset(self) -> u64 {
        (ptr::from_ref(self.entry).addr() - self.archive.as_ptr().addr()) as u64
    }

    /// Length in bytes, to the start of the next entry.
    pub(crate) fn length(self) -> u64 {
        entry_length(self.entry.header.to_native())
    }

    /// The bytes of the entry with all that only it points to.
    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.archive[self.offset() as usize..][..self.length() as usize]
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
        ptr::eq(self.entry, other.entry)
    }
}

impl<K: Archive, V: Archive> Eq for EntryRef<'_, K, V> {}

impl<K: Archive, V: Archive> Hash for EntryRef<'_, K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ptr::hash(self.entry, state);
    }
}

impl<K: Archive, V: Archive> Clone for MapLine<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Archive, V: Archive> Copy for MapLine<'_, K, V> {}

/// How many bytes ahead of the entry that it gives a walk asks for memory, so that it comes in
/// time: each entry tells only where the next one is.
pub(super) const AHEAD: u64 = 2048;
/// Most lines that it asks for at each step.
const MOST_AHEAD: u64 = 8;

impl<'a, K: Archive, V: Archive> Walk<'a, K, V> {
    pub(in crate::map) fn new(map: &'a RawMap<K, V>) -> Self {
        let mean_length = (map.archive_length - map.start) / map.header.entries.max(1);
        Self {
            map,
            offset: map.start,
            left: map.header.entries as usize,
            ahead: (mean_length / CACHE_LINE + 1).min(MOST_AHEAD),
            garbage: map.garbage(),
        }
    }

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
