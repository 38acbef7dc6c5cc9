//! Building a map entry by entry.
#![forbid(unsafe_code)]

mod carry;

use std::fmt;
use std::sync::Arc;

use super::assembly::Assembly;
use super::{EntryRef, Map, MapKey};
use crate::archive::{ArchivedAs, Value};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::frozen::Frozen;
use crate::region::{Backing, Label, Region, Unsealed};

pub(crate) use carry::{Moved, Places, offset_of_unit, unit};

/// Builds a frozen map: each [`insert`](Self::insert) serialises straight into the memfd.
///
/// The heap holds one entry, sixteen bytes for each entry inserted, a digest and an offset for
/// each distinct interned value, and at the end the table. Entries keep the order of insertion,
/// and equal insertions give equal bytes. Small entries that [stand in the table](Map#small-entries)
/// stay in the heap until it is made.
///
/// Several builders, on several threads or in forked parsers (see [`MapShard`](super::MapShard)),
/// become one map by [`merge`](Self::merge) and [`append`](Self::append): their bytes are
/// concatenated, nothing is serialised again. What is interned is written once per builder.
///
/// In a forked child a builder of the parent refuses with [`Error::NotOwner`], and dropping it
/// there does nothing.
///
/// ```
/// use floe::MapBuilder;
///
/// let mut versions = MapBuilder::<String, String>::new("versions")?;
/// versions.insert(&"zlib".into(), &"1.3.1".into())?;
/// versions.insert(&"busybox".into(), &"1.37.0".into())?;
/// let versions = versions.finish()?;
/// assert_eq!(versions["zlib"].as_str(), "1.3.1");
/// assert_eq!(versions.get("gcc"), None);
/// # Ok::<(), floe::Error>(())
/// ```
#[must_use = "the map is made by `finish`"]
pub struct MapBuilder<K, V> {
    assembly: Assembly<K, V>,
    last_wins: bool,
    /// A generation with which the map shares pages.
    earlier: Option<Arc<Region>>,
}

impl<K: MapKey, V: Value> MapBuilder<K, V> {
    /// An empty map in a memfd named `floe:NAME.GENERATION`.
    ///
    /// # Errors
    /// [`Error::Name`] and [`Error::Memfd`].
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self::from_unsealed(Unsealed::create(
            Label::first(name)?,
            Backing::Memfd,
        )?))
    }

    /// An empty map on the heap, for tests and for systems without memfds: it cannot be
    /// handed to other processes, and a fork copies it like any heap.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn on_heap(name: &str) -> Result<Self> {
        Ok(Self::from_unsealed(Unsealed::create(
            Label::first(name)?,
            Backing::Heap,
        )?))
    }

    pub(crate) fn from_unsealed(unsealed: Unsealed) -> Self {
        Self {
            assembly: Assembly::from_unsealed(unsealed),
            last_wins: false,
            earlier: None,
        }
    }

    /// Lets the map share pages with an earlier generation.
    pub(crate) fn sharing(self, earlier: Option<Arc<Region>>) -> Self {
        Self { earlier, ..self }
    }

    /// Lets the entry inserted last under a key replace earlier ones, instead of failing. The
    /// replaced bytes stay in the region as garbage, unless entries stand in the table.
    pub fn last_wins(mut self) -> Self {
        self.last_wins = true;
        self
    }

    /// Entries inserted so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.assembly.len()
    }

    /// Whether nothing was inserted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.assembly.len() == 0
    }

    /// Adds an entry.
    ///
    /// That a key was there before is noticed by [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`Error::Serialize`], [`Error::TooLarge`] (an entry has at most 1 GiB), [`Error::Write`]
    /// and [`Error::NotOwner`]. The entry is then not in the map; the builder can go on, also if
    /// the serialisation of a key or value panics.
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

    /// Adds all entries of another builder, behind the own ones, by copying its bytes. `other` is
    /// gone afterwards, also if entries of this builder are what is refused.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Memfd`] and [`Error::NotOwner`]; what [`finish`](Self::finish)
    /// says of entries, if those of either builder are refused. Refused entries stay, and with them
    /// every later merge and `finish` fails.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.assembly.merge(other.assembly)
    }

    /// Adds all entries of a frozen map, behind the own ones, by copying its bytes.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Memfd`] and [`Error::NotOwner`]; what
    /// [`finish`](Self::finish) says of the own entries, as for [`merge`](Self::merge).
    pub fn append(&mut self, map: &Frozen<Map<K, V>>) -> Result<()> {
        self.assembly.append(map)
    }

    /// Checks the entries, builds the index, seals the region and maps it.
    ///
    /// # Errors
    /// [`Error::DuplicateKey`] unless the builder was told [`last_wins`](Self::last_wins);
    /// [`Error::TooLarge`] if all entries together take more than 4 TiB; [`Error::KeyHash`] and
    /// [`Error::Crowded`] for keys with a bad hash; [`Error::Invalid`] if a serialisation wrote
    /// what does not read; [`Error::Write`], [`Error::Memfd`] and [`Error::NotOwner`].
    pub fn finish(self) -> Result<Frozen<Map<K, V>>> {
        let map = self.assembly.finish(self.last_wins, None)?;
        match self.earlier {
            Some(earlier) => map.sharing(&earlier),
            None => Ok(map),
        }
    }
}

impl<K, V> fmt::Debug for MapBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBuilder")
            .field("name", &self.assembly.label().name)
            .field("entries", &self.assembly.len())
            .finish_non_exhaustive()
    }
}
