//! What a worker adds to a map, how it comes back to the owner, and what the owner makes of it.
//!
//! A worker lays an [`Overlay`] over a frozen map and adds to it, in memory of its own. What it has
//! added it seals as a [`Delta`], which the owner merges into the next generation, by a [`Rule`]:
//!
//! ```
//! use floe::overlay::{Rule, merge};
//! use floe::{Map, Overlay};
//!
//! let lengths = Map::freeze("lengths", [("acl".to_owned(), 3_u64)])?;
//!
//! // In the workers.
//! let mut one = Overlay::over(&lengths);
//! one.insert(&"bash".to_owned(), &4)?;
//! let mut other = Overlay::over(&lengths);
//! other.insert(&"bash".to_owned(), &4)?;
//! other.insert(&"curl".to_owned(), &4)?;
//! let deltas = [one.into_delta()?, other.into_delta()?];
//!
//! // In the owner.
//! let (lengths, report) = merge(&lengths, &deltas, &Rule::FirstWins)?;
//! assert_eq!((lengths.len(), lengths["curl"].to_native()), (3, 4));
//! assert_eq!((report.deltas[1].added, report.deltas[1].equal), (1, 1));
//! # Ok::<(), floe::Error>(())
//! ```
//!
//! `Store::merge` does the same for a cache of a [`Store`](crate::Store).
#![forbid(unsafe_code)]

mod by_key;
#[cfg(feature = "channel")]
mod contribution;
mod delta;
mod merge;
mod own;
mod report;
mod rule;
mod uses;

use std::fmt;
use std::sync::Arc;

use rkyv::{Archive, Deserialize};

use crate::archive::{ThawStrategy, Value};
#[cfg(feature = "channel")]
use crate::channel::{Counters, Live};
use crate::error::{Error, Result};
use crate::frozen::Frozen;
use crate::map::{Key, LoneWriter, Map, MapKey};
use crate::region::{Label, Region};

#[cfg(feature = "channel")]
pub use contribution::Contribution;
pub use delta::{Delta, DeltaShard};
pub use merge::merge;
pub(crate) use merge::{Ages, Equality, Fresh, Origin, Plan, Stands};
use own::{Addition, Own, OwnChanges, OwnTable};
pub use report::{DeltaReport, MergeReport};
pub use rule::{Choice, Decide, Rule};
use uses::Uses;

/// What keys an overlay: a key of a [`Map`] that can be thawed.
///
/// Implemented for every such type.
pub trait OverlayKey: MapKey + Archive<Archived: Deserialize<Self, ThawStrategy>> + Sized {}

impl<K: MapKey + Archive<Archived: Deserialize<K, ThawStrategy>>> OverlayKey for K {}

/// What the entries of an overlay hold: a [`Value`] that can be thawed.
///
/// Implemented for every such type.
pub trait OverlayValue: Value + Archive<Archived: Deserialize<Self, ThawStrategy>> + Sized {}

impl<V: Value + Archive<Archived: Deserialize<V, ThawStrategy>>> OverlayValue for V {}

/// A worker's private additions over a frozen map.
///
/// Reads take the worker's own entries first, then those of the map, and give `&V::Archived` of
/// either. Additions lie in the memory of this process alone, archived and checked as everything is
/// that is frozen; the map stays as it is. With nothing added, a `get` costs what it costs in the
/// map.
///
/// Over a [`Live`] map, [`advance`](Self::advance) moves to the newest generation. What that has by
/// then is dropped from the additions, so that an overlay whose additions are
/// [merged](crate::overlay) does not grow for ever.
///
/// What was inserted goes to the owner as a [`Delta`].
///
/// ```
/// use floe::{Map, Overlay};
///
/// let versions = Map::freeze("versions", [("zlib".to_owned(), "1.3.1".to_owned())])?;
/// let mut overlay = Overlay::over(&versions);
/// overlay.insert(&"gcc".to_owned(), &"15.2".to_owned())?;
/// assert_eq!(overlay.get("gcc").unwrap(), "15.2");
/// assert_eq!(overlay.get("zlib").unwrap(), "1.3.1");
///
/// let bash = overlay.get_or_insert_with(&"bash".to_owned(), || "5.3".to_owned())?;
/// assert_eq!(bash, "5.3");
/// overlay.remove(&"zlib".to_owned())?;
/// assert!(!overlay.contains_key("zlib"));
/// assert_eq!((overlay.len(), overlay.changes().count()), (2, 3));
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Overlay<K: OverlayKey, V: OverlayValue> {
    current: Frozen<Map<K, V>>,
    #[cfg(feature = "channel")]
    live: Option<Live<Map<K, V>>>,
    own: OwnTable<K, V>,
    uses: Option<Uses>,
    writer: LoneWriter<K, V>,
    marker: LoneWriter<K, ()>,
}

/// What an overlay has changed of a key.
pub enum Change<'a, K: Archive, V: Archive> {
    /// An entry was added, or took the place of another.
    Added {
        /// The key.
        key: &'a K::Archived,
        /// The value.
        value: &'a V::Archived,
    },
    /// A key was removed that the map has, or that an earlier delta adds.
    Removed {
        /// The key.
        key: &'a K::Archived,
    },
}

impl<K: OverlayKey, V: OverlayValue> Overlay<K, V> {
    /// An overlay over one generation, on which it stays.
    #[must_use]
    pub fn over(map: &Frozen<Map<K, V>>) -> Self {
        let name = map.region().name();
        Self {
            writer: LoneWriter::new(name),
            marker: LoneWriter::new(name),
            current: map.clone(),
            #[cfg(feature = "channel")]
            live: None,
            own: OwnTable::new(),
            uses: None,
        }
    }

    /// An overlay over the newest generation, which [`advance`](Self::advance) moves to the next.
    ///
    /// ```
    /// use floe::overlay::{Rule, merge};
    /// use floe::{Map, Overlay, Publisher};
    ///
    /// let first = Map::freeze("lengths", [("acl".to_owned(), 3_u64)])?;
    /// let publisher = Publisher::new(&first)?;
    /// let mut overlay = Overlay::following(publisher.subscribe()?);
    /// overlay.insert(&"bash".to_owned(), &4)?;
    ///
    /// let (next, _) = merge(&first, &[overlay.to_delta()?], &Rule::FirstWins)?;
    /// publisher.publish(&next)?;
    /// assert_eq!(overlay.changes().count(), 1);
    /// assert!(overlay.advance());
    /// assert_eq!((overlay.changes().count(), overlay.len()), (0, 2));
    /// # Ok::<(), floe::Error>(())
    /// ```
    #[cfg(feature = "channel")]
    #[must_use]
    pub fn following(mut live: Live<Map<K, V>>) -> Self {
        let current = live.pin();
        Self {
            live: Some(live),
            ..Self::over(&current)
        }
    }

    /// Counts the lookups of this overlay as those of a worker, and notes which entries it finds: a
    /// merge of its next delta counts them as used, where a [policy](crate::Policy::max_entries) evicts
    /// what is not. The notes take 8 bytes of private memory for each entry that was found.
    ///
    /// # Panics
    /// If the index is not below [`Counters::workers`].
    #[cfg(feature = "channel")]
    #[must_use]
    pub fn counted_by(mut self, counters: &Counters, worker: usize) -> Self {
        self.uses = Some(Uses::counted_by(counters, worker));
        self
    }

    /// The value of a key: the worker's own, otherwise that of the map.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V::Archived>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        match self.own.is_empty() & self.uses.is_none() {
            true => self.current.get(key),
            false => self.get_own(key),
        }
    }

    #[inline(never)]
    fn get_own<Q>(&self, key: &Q) -> Option<&V::Archived>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        let hash = key.key_hash();
        let found = match self.own.find(hash, key) {
            Some(own) => own.added().map(|entry| entry.value()),
            None => self.current.get(key),
        };
        if let Some(uses) = &self.uses {
            uses.note(hash, found.is_some());
        }
        found
    }

    /// Whether there is an entry under a key.
    #[inline]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        self.get(key).is_some()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.entries_over(self.current.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys and values: those of the map in its order, then the worker's own as they were inserted.
    pub fn iter(&self) -> impl Iterator<Item = (&K::Archived, &V::Archived)> {
        let changed = |key: &K::Archived| self.own.find(key.key_hash(), key).is_some();
        let all = self.own.is_empty();
        let map = self
            .current
            .iter()
            .filter(move |(key, _)| all || !changed(key));
        let own = self.own.in_order().into_iter().filter_map(Own::added);
        map.chain(own.map(|entry| (entry.key(), entry.value())))
    }

    /// What differs from the map, in the order in which it was changed.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_, K, V>> {
        self.own
            .in_order()
            .into_iter()
            .map(|own| match own.added() {
                Some(entry) => Change::Added {
                    key: entry.key(),
                    value: entry.value(),
                },
                None => Change::Removed { key: own.key() },
            })
    }

    /// Adds an entry, or puts it in the place of another. One that the map has already, with an equal
    /// value, is no change, unless a delta has told something else of the key.
    ///
    /// # Errors
    /// [`Error::Serialize`], [`Error::TooLarge`] (an entry has at most 1 GiB), [`Error::KeyHash`], and
    /// [`Error::Invalid`] if a serialisation wrote what does not read. The overlay is then as it was.
    pub fn insert(&mut self, key: &K, value: &V) -> Result<()> {
        self.insert_recorded(key, value, None)
    }

    /// The same, with the encoded inputs of the entry.
    pub(crate) fn insert_recorded(
        &mut self,
        key: &K,
        value: &V,
        inputs: Option<Arc<[u8]>>,
    ) -> Result<()> {
        let entry = self.writer.write(key, value)?;
        let archived = entry.entry().key();
        let hash = archived.key_hash();
        let found = self.current.find_entry(hash, archived);
        let added = Own::Added(Addition { entry, inputs });
        let mut equality = Equality::with(&mut self.writer);
        self.own.say(added, hash, found, &mut equality);
        Ok(())
    }

    /// The value of a key, which is built if there is none: not before a look for a newer generation,
    /// which may have it by now.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn get_or_insert_with(&mut self, key: &K, build: impl FnOnce() -> V) -> Result<&V::Archived>
    where
        K::Archived: PartialEq<K>,
    {
        self.get_or_try_insert_with(key, || Ok::<V, Error>(build()))
    }

    /// The same for a build that can fail. Nothing is inserted then.
    ///
    /// # Errors
    /// That of the build; as [`insert`](Self::insert).
    pub fn get_or_try_insert_with<E: From<Error>>(
        &mut self,
        key: &K,
        build: impl FnOnce() -> Result<V, E>,
    ) -> Result<&V::Archived, E>
    where
        K::Archived: PartialEq<K>,
    {
        if !self.contains_key(key) {
            self.advance();
            if !self.contains_key(key) {
                self.insert(key, &build()?)?;
            }
        }
        Ok(self.found(key)?)
    }

    /// The value of a key that was inserted.
    pub(crate) fn found(&self, key: &K) -> Result<&V::Archived>
    where
        K::Archived: PartialEq<K>,
    {
        let own = self.own.find(key.key_hash(), key).and_then(Own::added);
        let found = own
            .map(|entry| entry.value())
            .or_else(|| self.current.get(key));
        // Unless the type says that its own archive is another key.
        found.ok_or_else(|| Error::KeyHash {
            name: self.current.region().name().to_owned(),
            key: std::any::type_name::<K>().to_owned(),
        })
    }

    /// Removes an entry; true if there was one. What the map has is marked as removed, and so is what
    /// a delta has told to add that its owner may merge at any time.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove(&mut self, key: &K) -> Result<bool> {
        let mark = self.marker.write(key, &())?;
        let archived = mark.entry().key();
        let hash = archived.key_hash();
        let found = self.current.find_entry(hash, archived);
        let was_there = match self.own.find(hash, archived) {
            Some(own) => own.added().is_some(),
            None => found.is_some(),
        };
        let mut equality = Equality::with(&mut self.writer);
        let mark = Own::Removed(mark);
        self.own.say(mark, hash, found, &mut equality);
        Ok(was_there)
    }

    /// Takes back all changes. What was handed over as a delta stays with whoever has it.
    pub fn clear(&mut self) {
        self.own = OwnTable::new();
    }

    /// Moves to the newest generation of a [`Live`] map; true if there was a newer one. Additions
    /// that it has with equal values are dropped, and so are marks of keys that it does not have;
    /// the others stay, and what corrects an earlier delta stays until a later one tells it. While
    /// nothing is new, it costs one load.
    ///
    /// An overlay over a `Frozen` map stays where it is, and so does one whose `Live` cannot take
    /// the newest generation, for which [`Live::last_error`] says why.
    pub fn advance(&mut self) -> bool {
        #[cfg(feature = "channel")]
        if let Some(live) = &mut self.live {
            live.get_stale();
            let newest = live.current();
            if !std::ptr::eq(newest.region(), self.current.region()) {
                let equality = Equality::with(&mut self.writer);
                self.own.move_over(newest, equality);
                self.current = newest.clone();
                return true;
            }
        }
        false
    }

    /// The handle that the overlay follows, if it follows one.
    #[cfg(feature = "channel")]
    #[must_use]
    pub fn live(&self) -> Option<&Live<Map<K, V>>> {
        self.live.as_ref()
    }

    /// The map below, of the generation on which the overlay is.
    #[must_use]
    pub fn map(&self) -> &Frozen<Map<K, V>> {
        &self.current
    }

    /// Seals the changes, which go to the owner of the cache.
    ///
    /// # Errors
    /// [`Error::Memfd`], [`Error::Write`], and [`Error::Thaw`] for entries with interned values.
    pub fn into_delta(self) -> Result<Delta<K, V>> {
        self.to_delta()
    }

    /// The same, while the overlay goes on with its changes: until a generation has them.
    ///
    /// Deltas of one overlay are to be merged in the order in which they were made: a later one tells
    /// what was changed again since an earlier one.
    ///
    /// # Errors
    /// As [`into_delta`](Self::into_delta).
    pub fn to_delta(&self) -> Result<Delta<K, V>> {
        let (delta, used) = self.seal()?;
        self.note_told(&used);
        Ok(delta)
    }

    /// Seals the changes; gives the uses that the delta tells, too.
    fn seal(&self) -> Result<(Delta<K, V>, Vec<u64>)> {
        let changes = self.own_changes();
        let delta = Delta::seal(self.label(), self.keyed_by(), &changes)?;
        Ok((delta, changes.used))
    }

    /// Notes that a delta is on its way that tells the changes, and these uses.
    fn note_told(&self, used: &[u64]) {
        self.own.note_told();
        // Each use counts once.
        self.uses.iter().for_each(|uses| uses.forget(used));
    }

    fn own_changes(&self) -> OwnChanges<'_, K, V> {
        let used = self.uses.as_ref().map(Uses::noted).unwrap_or_default();
        OwnChanges::of(&self.own, used)
    }

    fn keyed_by(&self) -> Option<u128> {
        self.current.region().keyed_by()
    }

    /// What a delta is called.
    fn label(&self) -> Label {
        let region: &Region = self.current.region();
        Label::after(region, region.generation())
    }
}

impl<K: OverlayKey, V: OverlayValue> fmt::Debug for Overlay<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = self.current.region();
        f.debug_struct("Overlay")
            .field("name", &region.name())
            .field("generation", &region.generation())
            .field("changes", &self.own.len())
            .finish_non_exhaustive()
    }
}

impl<K: Archive, V: Archive> Clone for Change<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Archive, V: Archive> Copy for Change<'_, K, V> {}

impl<K, V> fmt::Debug for Change<'_, K, V>
where
    K: Archive<Archived: fmt::Debug>,
    V: Archive<Archived: fmt::Debug>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { key, value } => f.debug_tuple("Added").field(key).field(value).finish(),
            Self::Removed { key } => f.debug_tuple("Removed").field(key).finish(),
        }
    }
}
