//! Reading a map in its region.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;

use rkyv::Archive;

use super::entry::Entry;
use super::index::{HEAD_LENGTH, IndexHead, Line, home, next, tag};
use super::iterators::{GetMany, Iter};
use super::key::Key;

/// Bytes that memory is fetched by, of common processors.
pub(super) const CACHE_LINE: u64 = 64;

/// A frozen map, as [`Frozen<Map<K, V>>`](crate::Frozen) derefs to it.
///
/// Lookups take whatever the archived key can be compared with and that hashes alike: `&str` for
/// `String` keys, `[u8]` and arrays for byte strings, native integers, tuples and options of
/// those, and types of your own that derive [`Key`]. (rkyv archives `usize` and `isize` in 32
/// bits: look them up by `u32` and `i32`.)
///
/// No method writes, locks or allocates.
pub struct ArchivedMap<K: Archive, V: Archive> {
    archive: *const u8,
    archive_length: u64,
    lines: *const Line,
    head: IndexHead,
    types: PhantomData<(K::Archived, V::Archived)>,
}

// SAFETY: a map is a view of immutable bytes; sharing or sending it shares references to keys and
// values, which the bounds allow.
unsafe impl<K: Archive<Archived: Sync>, V: Archive<Archived: Sync>> Sync for ArchivedMap<K, V> {}
// SAFETY: as above.
unsafe impl<K: Archive<Archived: Sync>, V: Archive<Archived: Sync>> Send for ArchivedMap<K, V> {}

impl<K: Archive, V: Archive> ArchivedMap<K, V> {
    /// A view of the two sections of a map.
    ///
    /// # Safety
    /// Both sections are valid for `K` and `V`: made by this process's own builder, or accepted
    /// by [`super::check::check`]. They start at multiples of 64, outlive the view and are never
    /// written.
    pub(crate) unsafe fn new(archive: &[u8], index: &[u8], head: IndexHead) -> Self {
        Self {
            archive: archive.as_ptr(),
            archive_length: archive.len() as u64,
            // SAFETY: a valid index section has its head before the lines.
            lines: unsafe { index.as_ptr().add(HEAD_LENGTH).cast() },
            head,
            types: PhantomData,
        }
    }

    /// The same view again, under the same promise.
    pub(super) fn copy(&self) -> Self {
        Self { ..*self }
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.head.entries as usize
    }

    /// Whether the map has no entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.entries == 0
    }

    /// Bytes of entries that were replaced by later ones under the same key and are still there.
    pub fn garbage(&self) -> u64 {
        self.head.garbage
    }

    /// The value of a key.
    ///
    /// Costs one line of the table and the lines of one entry.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V::Archived>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        self.find(key.key_hash(), key).map(|entry| &entry.value)
    }

    /// The archived key and the value of a key.
    #[inline]
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(&K::Archived, &V::Archived)>
    where
        Q: Key + ?Sized,
        K::Archived: PartialEq<Q>,
    {
        self.find(key.key_hash(), key)
            .map(|entry| (&entry.key, &entry.value))
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
    /// Takes the keys in groups of sixteen and fetches the memory of a group at once. With keys of
    /// text, in maps larger than the processor's caches, it takes about half of the time of single
    /// lookups.
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

    /// Keys and values, in the order in which they were inserted.
    #[inline]
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(self)
    }

    /// Archive offsets and keys of all entries, in the order in which they were inserted.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = (u64, &K::Archived)> {
        let mut walk = self.iter();
        std::iter::from_fn(move || walk.next_entry()).map(|(offset, entry)| (offset, &entry.key))
    }

    /// The archived keys, in the order in which they were inserted.
    #[inline]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &K::Archived> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order in which their keys were inserted.
    #[inline]
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V::Archived> {
        self.iter().map(|(_, value)| value)
    }

    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Entry<K, V>>
    where
        Q: ?Sized,
        K::Archived: PartialEq<Q>,
    {
        let home = home(hash, self.head.lines);
        let line = self.line(home);
        match self.find_in(line, hash, key) {
            None if line.overflows() => self.find_beyond(home, hash, key),
            found => found,
        }
    }

    #[inline]
    fn find_in<Q>(&self, line: &Line, hash: u64, key: &Q) -> Option<&Entry<K, V>>
    where
        Q: ?Sized,
        K::Archived: PartialEq<Q>,
    {
        for slot in line.candidates(tag(hash)) {
            let offset = line.offset(slot);
            // Such a key reaches into the next line as a rule, and would be waited for twice.
            if Entry::<K, V>::SIZE as u64 > CACHE_LINE / 2 {
                self.prefetch(offset + CACHE_LINE, 1);
            }
            let entry = self.entry(offset);
            if entry.key == *key {
                return Some(entry);
            }
        }
        None
    }

    /// Goes on behind a line that overflows; apart, so that what is usual is small.
    #[inline(never)]
    fn find_beyond<Q>(&self, home: u64, hash: u64, key: &Q) -> Option<&Entry<K, V>>
    where
        Q: ?Sized,
        K::Archived: PartialEq<Q>,
    {
        let mut number = home;
        loop {
            number = next(number, self.head.lines);
            let line = self.line(number);
            let found = self.find_in(line, hash, key);
            if found.is_some() || !line.overflows() {
                return found;
            }
        }
    }

    /// All lines of the index.
    pub(super) fn lines(&self) -> &[Line] {
        // SAFETY: a valid index section has as many lines behind its head as the head says, at a
        // multiple of 64 (`new`).
        unsafe { std::slice::from_raw_parts(self.lines, self.head.lines as usize) }
    }

    /// The archive offset of the entry with a key.
    pub(crate) fn find_offset<Q>(&self, hash: u64, key: &Q) -> Option<u64>
    where
        Q: ?Sized,
        K::Archived: PartialEq<Q>,
    {
        let found = self.find(hash, key)?;
        Some((&raw const *found).addr() as u64 - self.archive.addr() as u64)
    }

    /// The key of the entry at an offset that this map gave.
    pub(crate) fn key_at(&self, offset: u64) -> &K::Archived {
        &self.entry(offset).key
    }

    /// Length in bytes of the entry at an offset that this map gave.
    pub(crate) fn length_at(&self, offset: u64) -> usize {
        self.entry(offset).length()
    }

    /// The archive offset of an entry whose key has a hash.
    pub(crate) fn find_hash(&self, hash: u64) -> Option<u64>
    where
        K::Archived: Key,
    {
        let mut number = home(hash, self.head.lines);
        loop {
            let line = self.line(number);
            let mut offsets = line.candidates(tag(hash)).map(|slot| line.offset(slot));
            let found = offsets.find(|offset| self.entry(*offset).key.key_hash() == hash);
            if found.is_some() || !line.overflows() {
                return found;
            }
            number = next(number, self.head.lines);
        }
    }

    /// The line and the slot in which the entry at an archive offset stands.
    pub(super) fn slot_of(&self, hash: u64, offset: u64) -> Option<(usize, usize)> {
        let mut number = home(hash, self.head.lines);
        loop {
            let line = self.line(number);
            let mut slots = line.candidates(tag(hash));
            if let Some(slot) = slots.find(|slot| line.offset(*slot) == offset) {
                return Some((number as usize, slot));
            }
            if !line.overflows() {
                return None;
            }
            number = next(number, self.head.lines);
        }
    }

    /// The line with a number from [`home`] or [`next`].
    #[inline]
    fn line(&self, number: u64) -> &Line {
        // SAFETY: `home` and `next` keep numbers below the number of lines, and the lines are
        // valid and start at a multiple of 64 (`new`).
        unsafe { &*self.lines.add(number as usize) }
    }

    /// The entry at an offset from a slot or from a walk over the entries.
    #[inline]
    pub(super) fn entry(&self, offset: u64) -> &Entry<K, V> {
        // SAFETY: the sections are valid (`new`): offsets in slots, and the ends of entries before
        // the end of the archive, are starts of valid entries, which live as long as `self`.
        unsafe { Entry::at(self.archive, offset) }
    }

    #[inline]
    pub(super) fn archive_length(&self) -> u64 {
        self.archive_length
    }

    /// Asks for the memory of the home line of a hash.
    #[inline]
    pub(super) fn prefetch_line(&self, hash: u64) {
        let home = home(hash, self.head.lines);
        prefetch(self.lines.wrapping_add(home as usize).cast());
    }

    /// The first entry in the home line of a hash that has its tag, whose memory is asked for.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: u64) -> Option<u64> {
        let line = self.line(home(hash, self.head.lines));
        let offset = line.offset(line.candidates(tag(hash)).next()?);
        self.prefetch(offset, 2);
        Some(offset)
    }

    /// Asks for some lines of memory from an archive offset on, which may lie behind the end.
    #[inline]
    pub(super) fn prefetch(&self, offset: u64, lines: u64) {
        let start = self.archive.wrapping_add(offset as usize);
        for line in 0..lines {
            prefetch(start.wrapping_add((line * CACHE_LINE) as usize));
        }
    }
}

/// Starts loading a cache line; a hint that has no effect on addresses that are not mapped.
#[inline]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could see and never faults; SSE is part
    // of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// `map[key]`: the value of a key.
///
/// # Panics
/// If the key is not there, like the maps of the standard library.
impl<K: Archive, V: Archive, Q> Index<&Q> for ArchivedMap<K, V>
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

impl<'a, K: Archive, V: Archive> IntoIterator for &'a ArchivedMap<K, V> {
    type Item = (&'a K::Archived, &'a V::Archived);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K, V> fmt::Debug for ArchivedMap<K, V>
where
    K: Archive<Archived: fmt::Debug>,
    V: Archive<Archived: fmt::Debug>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}
