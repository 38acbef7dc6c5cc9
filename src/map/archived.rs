//! Reading a map in its region.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{Index, Range};

use rkyv::Archive;

use super::MapKey;
use super::garbage::GarbageList;
use super::index::Line;
use super::iterators::{GetMany, Iter, Keys, Values};
use super::key::Key;
use super::raw::{Entry, EntryRef, MapLine, RawMap, Walk};
use crate::archive::Value;

/// A frozen map, as [`Frozen<Map<K, V>>`](crate::Frozen) derefs to it.
///
/// Lookups take whatever the archived key can be compared with and that hashes alike: `&str` for
/// `String` keys, `[u8]` and arrays for byte strings, native integers, tuples and options of
/// those, and types of your own that derive [`Key`]. (rkyv archives `usize` and `isize` in 32
/// bits: look them up by `u32` and `i32`.)
///
/// No method writes, locks or allocates.
pub struct ArchivedMap<K: Archive, V: Archive> {
    raw: RawMap<K, V>,
}

impl<K: MapKey, V: Value> ArchivedMap<K, V> {
    pub(super) fn from_raw(raw: RawMap<K, V>) -> Self {
        Self { raw }
    }

    #[inline]
    pub(super) fn raw(&self) -> &RawMap<K, V> {
        &self.raw
    }

    /// Number of entries.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.entries() as usize
    }

    /// Whether the map has no entries.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.entries() == 0
    }

    /// Bytes of entries that were replaced by later ones under the same key and are still there. None
    /// are where entries stand in the table (see [`Map`](super::Map)).
    #[must_use]
    pub fn garbage(&self) -> u64 {
        self.raw.garbage_bytes()
    }

    /// The value of a key.
    ///
    /// Costs one line of the table and the lines of one entry; where entries stand in the table, one
    /// byte of it and the lines of one entry.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V::Archived>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        self.find(key.key_hash(), key).map(Entry::value)
    }

    /// The archived key and the value of a key.
    #[inline]
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(&K::Archived, &V::Archived)>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        self.find(key.key_hash(), key)
            .map(|entry| (entry.key(), entry.value()))
    }

    /// Whether the map has a key.
    #[inline]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        self.find(key.key_hash(), key).is_some()
    }

    /// The values of many keys, in their order: `None` for those that are not there.
    ///
    /// Takes the keys in groups, of sixteen or of 32, and fetches the memory of a group at once. In
    /// maps larger than the processor's caches it takes about half of the time of single lookups.
    ///
    /// ```
    /// # use floe::Map;
    /// let ages = Map::freeze("ages", [("ada", 36_u32), ("alan", 41)].map(|(k, v)| (k.to_owned(), v)))?;
    /// let found: Vec<Option<u32>> =
    ///     ages.get_many(["alan", "grace", "ada"]).map(|age| age.map(|age| age.to_native())).collect();
    /// assert_eq!(found, [Some(41), None, Some(36)]);
    /// # Ok::<(), floe::Error>(())
    /// ```
    #[inline]
    pub fn get_many<'q, Q, I>(&self, keys: I) -> GetMany<'_, K, V, I::IntoIter>
    where
        I: IntoIterator<Item = &'q Q>,
        Q: Key + ?Sized + 'q,
        K::Archived: PartialEq<Q>,
    {
        GetMany::new(self, keys.into_iter())
    }

    /// Keys and values, in the [order of the map](super::Map#order).
    #[inline]
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(&self.raw)
    }

    /// The entries, in the order of the map, which is that of their offsets.
    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryRef<'_, K, V>> {
        let mut walk = Walk::new(&self.raw);
        std::iter::from_fn(move || walk.next()).filter_map(|entry| self.raw.entry_ref(entry))
    }

    /// The archived keys, in the [order of the map](super::Map#order).
    #[inline]
    pub fn keys(&self) -> Keys<'_, K, V> {
        Keys::new(self.iter())
    }

    /// The values, in the [order of the map](super::Map#order).
    #[inline]
    pub fn values(&self) -> Values<'_, K, V> {
        Values::new(self.iter())
    }

    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<Entry<'_, K, V>>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        if Entry::<K, V>::IN_SLOTS {
            return self.raw.find_in_slots(hash, key);
        }
        let home = self.raw.home(hash);
        match find_in(home, hash, key) {
            None if home.overflows() => find_behind(home, hash, key),
            found => found,
        }
    }

    /// The entry with a key.
    pub(crate) fn find_entry<Q>(&self, hash: u64, key: &Q) -> Option<EntryRef<'_, K, V>>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        self.raw.entry_ref(self.find(hash, key)?)
    }

    /// An entry whose key has a hash.
    pub(crate) fn find_hash(&self, hash: u64) -> Option<EntryRef<'_, K, V>> {
        if Entry::<K, V>::IN_SLOTS {
            return self.raw.entry_ref(self.raw.find_hash_in_slots(hash)?);
        }
        let mut line = self.raw.home(hash);
        let has_hash = |entry: &Entry<'_, K, V>| entry.key().key_hash() == hash;
        loop {
            if let Some(entry) = line.candidates(hash).find(has_hash) {
                return self.raw.entry_ref(entry);
            }
            line = line.behind()?;
        }
    }

    /// The entry at an archive offset from anywhere, if there is one.
    ///
    /// Costs a check of the key and what a lookup costs.
    pub(crate) fn entry_at(&self, offset: u64) -> Option<EntryRef<'_, K, V>> {
        self.raw.entry_at(offset)
    }

    /// The entries that stand in a range of slots.
    pub(super) fn slot_entries(
        &self,
        slots: Range<u64>,
    ) -> impl Iterator<Item = EntryRef<'_, K, V>> {
        self.raw.slot_entries(slots)
    }

    /// Where the entries start that are [garbage](Self::garbage).
    pub(super) fn garbage_list(&self) -> GarbageList<'_> {
        self.raw.garbage()
    }

    /// The archive section.
    pub(crate) fn archive(&self) -> &[u8] {
        self.raw.archive()
    }

    /// All lines of the index; none where entries stand in slots.
    pub(super) fn lines(&self) -> &[Line] {
        self.raw.lines()
    }
}

#[inline]
fn find_in<'a, K: MapKey, V: Value, Q>(
    line: MapLine<'a, K, V>,
    hash: u64,
    key: &Q,
) -> Option<Entry<'a, K, V>>
where
    Q: ?Sized,
    K::Archived: PartialEq<Q>,
{
    line.candidates(hash).find(|entry| entry.key() == key)
}

/// Goes on behind a line that overflows; apart, so that what is usual is small.
#[inline(never)]
fn find_behind<'a, K: MapKey, V: Value, Q>(
    home: MapLine<'a, K, V>,
    hash: u64,
    key: &Q,
) -> Option<Entry<'a, K, V>>
where
    Q: ?Sized,
    K::Archived: PartialEq<Q>,
{
    let mut line = home;
    loop {
        line = line.behind()?;
        let found = find_in(line, hash, key);
        if found.is_some() {
            return found;
        }
    }
}

/// `map[key]`: the value of a key.
///
/// # Panics
/// If the key is not there, like the maps of the standard library.
impl<K: MapKey, V: Value, Q> Index<&Q> for ArchivedMap<K, V>
where
    Q: Key + ?Sized,
    K::Archived: PartialEq<Q>,
{
    type Output = V::Archived;

    #[inline]
    fn index(&self, key: &Q) -> &V::Archived {
        self.get(key).expect("no entry found for key")
    }
}

impl<'a, K: MapKey, V: Value> IntoIterator for &'a ArchivedMap<K, V> {
    type Item = (&'a K::Archived, &'a V::Archived);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K, V> fmt::Debug for ArchivedMap<K, V>
where
    K: MapKey,
    V: Value<Archived: fmt::Debug>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}
