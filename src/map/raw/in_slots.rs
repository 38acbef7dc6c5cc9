//! Lookups and walks where entries stand in slots.
#![forbid(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;

use super::{CACHE_LINE, Entry, EntryRef, RawMap, SlotView, Walk, prefetch};
use crate::archive::Value;
use crate::map::MapKey;
use crate::map::index::INDEX_HEADER_LENGTH;
use crate::map::key::Key;
use crate::map::slots::{PART_BUCKETS, SlotHeader, bucket_of};

impl<K: MapKey, V: Value> RawMap<K, V> {
    pub(in crate::map) fn slots(&self) -> &SlotHeader {
        &self.slots
    }

    /// The slots, if there are some: not where lines lead to entries.
    #[inline]
    pub(in crate::map) fn slot_view(&self) -> Option<SlotView<'_, K, V>> {
        (self.slots.buckets != 0).then_some(SlotView {
            slots: self.archive,
            pilots: self.table,
            buckets: self.slots.buckets,
            mask: self.mask,
            types: PhantomData,
        })
    }

    /// The entry with a key, where entries stand in slots.
    #[inline]
    pub(in crate::map) fn find_in_slots<Q>(&self, hash: u64, key: &Q) -> Option<Entry<'_, K, V>>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        let (pilot, entry) = self.slot_view()?.place(hash);
        // The key first: nearly all lookups end here, whatever the pilot is.
        if entry.key() == key {
            return Some(entry);
        }
        match pilot {
            0 => self.search(key),
            _ => None,
        }
    }

    /// Looks at all entries that a key without a pilot may be. It hashes the key again, so that
    /// what is usual keeps few registers.
    #[cold]
    #[inline(never)]
    fn search<Q>(&self, key: &Q) -> Option<Entry<'_, K, V>>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        self.search_where(key.key_hash(), |found| found == key)
    }

    /// An entry with a key that has a hash, where entries stand in slots.
    pub(in crate::map) fn find_hash_in_slots(&self, hash: u64) -> Option<Entry<'_, K, V>> {
        let has_hash = |key: &K::Archived| key.key_hash() == hash;
        let (_, entry) = self.slot_view()?.place(hash);
        match has_hash(entry.key()) {
            true => Some(entry),
            false => self.search_where(hash, has_hash),
        }
    }

    /// Looks at the live entries of a part, and at those in the overflow that have a hash.
    fn search_where(
        &self,
        hash: u64,
        is: impl Fn(&K::Archived) -> bool,
    ) -> Option<Entry<'_, K, V>> {
        let header = &self.slots;
        let first = bucket_of(hash, header.buckets) / PART_BUCKETS * header.part_slots;
        let mut part = self.live_in(first..first + header.part_slots);
        if let Some(entry) = part.find(|entry| is(entry.key())) {
            return Some(entry);
        }
        let hash_at = |number: u64| Some(self.in_slot(number)?.key().key_hash());
        let (mut from, end) = (header.slots(), header.slots() + header.overflow);
        let mut size = header.overflow;
        while size > 0 {
            let half = size / 2;
            if hash_at(from + half).is_some_and(|it| it < hash) {
                from += half + 1;
                size -= half + 1;
            } else {
                size = half;
            }
        }
        let mut equal = (from..end).map_while(|number| self.in_slot(number));
        let mut equal = equal
            .by_ref()
            .take_while(|entry| entry.key().key_hash() == hash);
        equal.find(|entry| is(entry.key()))
    }

    /// The live entries in a range of slots.
    fn live_in(&self, slots: Range<u64>) -> impl Iterator<Item = Entry<'_, K, V>> {
        let live = slots.filter(|slot| self.is_live(*slot));
        live.filter_map(|slot| self.in_slot(slot))
    }

    /// The same with their archive.
    pub(in crate::map) fn slot_entries(
        &self,
        slots: Range<u64>,
    ) -> impl Iterator<Item = EntryRef<'_, K, V>> {
        let entries = self.live_in(slots);
        entries.filter_map(|entry| self.entry_ref(entry))
    }

    /// Whether there is an entry in a slot, and no copy; in the overflow there always is.
    pub(super) fn is_live(&self, slot: u64) -> bool {
        match slot < self.slots.slots() {
            true => self.live_word(slot / 64) >> (slot % 64) & 1 != 0,
            false => true,
        }
    }

    /// A word of the live bits: each part of several has whole words.
    #[inline]
    fn live_word(&self, number: u64) -> u64 {
        let start = self.slots.live_at(0) - INDEX_HEADER_LENGTH as u64 + number * 8;
        let bytes = self.table().get(start as usize..);
        let bytes = bytes.and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

impl<'a, K: MapKey, V: Value> SlotView<'a, K, V> {
    /// The entry in a slot that a hash leads to, whose memory is asked for.
    #[inline]
    pub(in crate::map) fn prefetch(&self, hash: u64) -> Entry<'a, K, V> {
        let (_, entry) = self.place(hash);
        let key: *const u8 = ptr::from_ref(entry.key()).cast();
        prefetch(key);
        if Entry::<K, V>::SIZE as u64 > CACHE_LINE / 2 {
            prefetch(key.wrapping_add(Entry::<K, V>::SIZE - 1));
        }
        entry
    }
}

/// How far a walk over slots is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SlotWalk {
    /// Live bits of the word before `next_word` that are to come.
    bits: u64,
    next_word: u64,
    /// Overflow entries that were met.
    overflow: u64,
}

impl<'a, K: MapKey, V: Value> Walk<'a, K, V> {
    #[inline]
    pub(super) fn next_in_slots(&mut self) -> Option<Entry<'a, K, V>> {
        let (map, walk) = (self.map, &mut self.slots);
        let words = map.slots.parts() * map.slots.words();
        while walk.bits == 0 && walk.next_word < words {
            walk.bits = map.live_word(walk.next_word);
            walk.next_word += 1;
        }
        let slot = match walk.bits {
            0 => {
                walk.overflow += 1;
                map.slots.slots() + walk.overflow - 1
            }
            bits => {
                walk.bits &= bits - 1;
                (walk.next_word - 1) * 64 + u64::from(bits.trailing_zeros())
            }
        };
        let entry = map.in_slot(slot)?;
        self.left -= 1;
        Some(entry)
    }
}
