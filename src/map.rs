//! The frozen keyed cache.

mod archived;
mod assembly;
mod builder;
mod changed;
mod check;
mod entry;
mod garbage;
mod index;
mod iterators;
mod key;
mod lines;
mod raw;
mod root;
mod shard;
mod slots;
mod table;
mod thaw;

use std::fmt;
use std::marker::PhantomData;

use rkyv::Archive;

use crate::archive::Value;
use crate::error::Result;
use crate::frozen::Frozen;
use crate::region::Region;
use crate::region::format::SectionKind;

pub use archived::ArchivedMap;
pub(crate) use assembly::{LoneEntry, LoneWriter};
pub use builder::MapBuilder;
pub(crate) use builder::{Moved, Places, offset_of_unit, unit};
pub(crate) use check::{MapError, Search, check_lines, entries_are_independent, expanded};
pub(crate) use entry::{ENTRY_LIMIT, entry_alignment, entry_length};
pub(crate) use garbage::GarbageList;
pub(crate) use index::{INDEX_HEADER_LENGTH, IndexHeader, Line, home, next, tag};
pub use iterators::{GetMany, Iter, Keys, Values};
pub use key::{Key, mix};
pub(crate) use key::{integer_hash, wide_hash};
pub(crate) use raw::EntryRef;
pub use root::RootMapBuilder;
pub use shard::MapShard;
pub(crate) use slots::{SlotHeader, SlotLayout, bucket_of, check_slots, first_slot, slot_in_part};

/// The type of a frozen keyed cache: `Frozen<Map<K, V>>` has `get`, `get_many`, `iter`, `len`.
///
/// A map is built entry by entry with a [`MapBuilder`], or at once with [`Map::freeze`]; there is
/// no value of this type itself.
///
/// # Small entries
/// Keys and values that have all their bytes in themselves (numbers, arrays and tuples of them, no
/// text), at most 40 together, stand in the table that finds them: a lookup costs one byte of the
/// table and one entry, and an entry of 16 bytes takes 22 to 23. The types alone decide.
///
/// # Order
/// Entries are walked in the order in which they were inserted; small ones in an order of their own,
/// which is the same for equal maps.
///
/// ```
/// use floe::{Frozen, Map};
///
/// let versions: Frozen<Map<String, String>> =
///     Map::freeze("versions", [("zlib".to_owned(), "1.3.1".to_owned())])?;
/// assert_eq!(versions["zlib"].as_str(), "1.3.1");
/// assert!(!versions.contains_key("gcc"));
/// for (name, version) in versions.iter() {
///     println!("{name} {version}");
/// }
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Map<K, V> {
    never: std::convert::Infallible,
    types: PhantomData<fn(K, V)>,
}

/// What keys a map: a [`Value`] with a [`Key`] hash whose archived twin is a key as well and can
/// be compared and printed.
///
/// Implemented for every such type.
pub trait MapKey: Value + Key + Archive<Archived: Key + PartialEq + fmt::Debug> {}

impl<K: Value + Key + Archive<Archived: Key + PartialEq + fmt::Debug>> MapKey for K {}

impl<K: MapKey, V: Value> Map<K, V> {
    /// Freezes a small map at once, in the order of its keys, so that equal maps give equal
    /// bytes. The pairs are owned or borrowed; larger maps are better streamed into a
    /// [`MapBuilder`].
    ///
    /// # Errors
    /// As [`MapBuilder::insert`] and [`MapBuilder::finish`].
    pub fn freeze<P>(name: &str, pairs: impl IntoIterator<Item = P>) -> Result<Frozen<Self>>
    where
        P: Pair<K, V>,
        K: Ord,
    {
        let mut builder = MapBuilder::new(name)?;
        for pair in &sorted(pairs) {
            builder.insert(pair.key(), pair.value())?;
        }
        builder.finish()
    }
}

/// Pairs in the order of their keys.
pub(crate) fn sorted<K: Ord, V, P: Pair<K, V>>(pairs: impl IntoIterator<Item = P>) -> Vec<P> {
    let mut pairs: Vec<P> = pairs.into_iter().collect();
    pairs.sort_by(|left, right| left.key().cmp(right.key()));
    pairs
}

/// A key and a value, each owned or borrowed, as the iterators of maps yield them.
pub trait Pair<K, V> {
    /// The key.
    fn key(&self) -> &K;
    /// The value.
    fn value(&self) -> &V;
}

impl<K, V> Pair<K, V> for (K, V) {
    fn key(&self) -> &K {
        &self.0
    }

    fn value(&self) -> &V {
        &self.1
    }
}

impl<K, V> Pair<K, V> for (&K, &V) {
    fn key(&self) -> &K {
        self.0
    }

    fn value(&self) -> &V {
        self.1
    }
}

/// How many entries a region has that holds a map.
pub(crate) fn entries(region: &Region) -> Option<u64> {
    index::counted_entries(region.section(SectionKind::Index).ok()?)
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.never {}
    }
}

#[cfg(test)]
mod tests;
