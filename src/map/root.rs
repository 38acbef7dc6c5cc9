//! Building a map that is one of several roots of a region.
#![forbid(unsafe_code)]

use std::fmt;

use super::assembly::{Assembly, RootMap};
use super::{EntryRef, Map, MapKey};
use crate::archive::{ArchivedAs, Scratch, Sink, Value};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::frozen::Frozen;
use crate::region::Label;

/// Fills a map that is one of several roots, entry by entry:
/// [`RootsBuilder::map_with`](crate::RootsBuilder::map_with) hands it to a closure.
///
/// Like a [`MapBuilder`](super::MapBuilder), it serialises each entry straight into the memfd.
#[must_use]
pub struct RootMapBuilder<K, V> {
    assembly: Assembly<K, V>,
    last_wins: bool,
}

impl<K: MapKey, V: Value> RootMapBuilder<K, V> {
    pub(crate) fn behind(sink: Sink, scratch: Scratch) -> Self {
        Self {
            assembly: Assembly::behind(sink, scratch),
            last_wins: false,
        }
    }

    pub(crate) fn finish(self) -> Result<RootMap> {
        self.assembly.into_root(self.last_wins)
    }

    /// Where its entries start in the region, and which region that is.
    pub(crate) fn place(&self) -> (u64, &Label) {
        (self.assembly.start(), self.assembly.label())
    }

    /// Lets the entry inserted last under a key replace earlier ones, instead of failing. The
    /// replaced bytes stay in the region as garbage.
    pub fn last_wins(&mut self) {
        self.last_wins = true;
    }

    /// Entries inserted so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.assembly.len()
    }

    /// Whether nothing was inserted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry.
    ///
    /// That a key was there before is noticed when the closure has ended.
    ///
    /// # Errors
    /// As [`MapBuilder::insert`](super::MapBuilder::insert).
    pub fn insert(&mut self, key: &K, value: &V) -> Result<()> {
        self.assembly.insert(key, value)
    }

    /// Adds an entry that was checked where it is, and that
    /// [is independent](crate::map::entries_are_independent).
    pub(crate) fn copy(&mut self, entry: EntryRef<'_, K, V>) -> Result<()> {
        self.assembly.copy_entry(entry)
    }

    /// Adds an entry whose value has another type that is archived as a `V` is: a `&str` for a
    /// `String`, or an [`AsValue`](crate::value::AsValue) for a
    /// [`value::Value`](crate::value::Value).
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_as(&mut self, key: &K, value: &impl ArchivedAs<V>) -> Result<()> {
        self.assembly.insert(key, value)
    }

    /// Adds all entries of a frozen map, by copying its bytes: what it has interned is not shared
    /// with other roots.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Memfd`] and [`Error::NotOwner`].
    pub fn append(&mut self, map: &Frozen<Map<K, V>>) -> Result<()> {
        self.assembly.append(map)
    }
}

impl<K, V> fmt::Debug for RootMapBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootMapBuilder")
            .field("name", &self.assembly.label().name)
            .field("entries", &self.assembly.len())
            .finish_non_exhaustive()
    }
}
