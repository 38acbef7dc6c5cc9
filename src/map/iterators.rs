//! Walking a map, and looking up many keys at once.
#![forbid(unsafe_code)]

use std::fmt;
use std::iter::FusedIterator;

use rkyv::Archive;

use super::MapKey;
use super::archived::ArchivedMap;
use super::key::Key;
use super::raw::{Entry, RawMap, Walk};
use crate::archive::Value;

/// Keys and values of a map, in the [order of the map](super::Map#order).
#[must_use = "iterators do nothing unless they are advanced"]
pub struct Iter<'a, K: Archive, V: Archive> {
    walk: Walk<'a, K, V>,
}

impl<'a, K: MapKey, V: Value> Iter<'a, K, V> {
    pub(super) fn new(map: &'a RawMap<K, V>) -> Self {
        Self {
            walk: Walk::new(map),
        }
    }
}

impl<'a, K: MapKey, V: Value> Iterator for Iter<'a, K, V> {
    type Item = (&'a K::Archived, &'a V::Archived);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.walk.next().map(|entry| (entry.key(), entry.value()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.walk.left(), Some(self.walk.left()))
    }
}

impl<K: MapKey, V: Value> ExactSizeIterator for Iter<'_, K, V> {}
impl<K: MapKey, V: Value> FusedIterator for Iter<'_, K, V> {}

impl<K: Archive, V: Archive> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self {
            walk: self.walk.clone(),
        }
    }
}

impl<K: Archive, V: Archive> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        left("Iter", self.walk.left(), f)
    }
}

/// Shows an iterator by what is left of it: entries need not be such as can be shown.
fn left(name: &str, left: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("left", &left)
        .finish_non_exhaustive()
}

/// An iterator over one half of the entries.
macro_rules! half {
    ($(#[$doc:meta])* $Half:ident yields $Part:ident: $half:pat => $part:expr) => {
        $(#[$doc])*
        #[must_use = "iterators do nothing unless they are advanced"]
        pub struct $Half<'a, K: Archive, V: Archive> {
            entries: Iter<'a, K, V>,
        }

        impl<'a, K: Archive, V: Archive> $Half<'a, K, V> {
            pub(super) fn new(entries: Iter<'a, K, V>) -> Self {
                Self { entries }
            }
        }

        impl<'a, K: MapKey, V: Value> Iterator for $Half<'a, K, V> {
            type Item = &'a $Part::Archived;

            #[inline]
            fn next(&mut self) -> Option<Self::Item> {
                self.entries.next().map(|$half| $part)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.entries.size_hint()
            }
        }

        impl<K: MapKey, V: Value> ExactSizeIterator for $Half<'_, K, V> {}
        impl<K: MapKey, V: Value> FusedIterator for $Half<'_, K, V> {}

        impl<K: Archive, V: Archive> Clone for $Half<'_, K, V> {
            fn clone(&self) -> Self {
                Self::new(self.entries.clone())
            }
        }

        impl<K: Archive, V: Archive> fmt::Debug for $Half<'_, K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                left(stringify!($Half), self.entries.walk.left(), f)
            }
        }
    };
}

half! {
    /// The archived keys of a map, in the [order of the map](super::Map#order).
    Keys yields K: (key, _) => key
}
half! {
    /// The values of a map, in the [order of the map](super::Map#order).
    Values yields V: (_, value) => value
}

/// Keys that are looked up together, at most.
const GROUP: usize = 32;
/// As many lines, and then entries behind them, as processors fetch at once.
const LINES_GROUP: usize = 16;

/// The values of many keys, in their order.
#[must_use = "iterators do nothing unless they are advanced"]
pub struct GetMany<'a, K: Archive, V: Archive, I> {
    map: &'a ArchivedMap<K, V>,
    keys: I,
    found: [Option<&'a V::Archived>; GROUP],
    next: usize,
    end: usize,
}

impl<'a, K: Archive, V: Archive, I> GetMany<'a, K, V, I> {
    pub(super) fn new(map: &'a ArchivedMap<K, V>, keys: I) -> Self {
        Self {
            map,
            keys,
            found: [None; GROUP],
            next: 0,
            end: 0,
        }
    }
}

impl<'q, K: MapKey, V: Value, Q, I> GetMany<'_, K, V, I>
where
    I: Iterator<Item = &'q Q>,
    Q: Key + ?Sized + 'q,
    K::Archived: PartialEq<Q>,
{
    /// Looks up the next keys: first all their lines are asked for, then all their entries, so
    /// that the memory accesses overlap; then the keys are compared. Entries in slots need no lines.
    #[inline]
    fn fill(&mut self) {
        let in_slots = Entry::<K, V>::IN_SLOTS;
        let group = if in_slots { GROUP } else { LINES_GROUP };
        let mut keys: [Option<&Q>; GROUP] = [None; GROUP];
        let mut hashes = [0; GROUP];
        let mut likely = [None; GROUP];
        // Set first and last, so that a panic of a key leaves nothing found.
        (self.next, self.end) = (0, 0);
        let raw = self.map.raw();
        let mut count = 0;
        while count < group {
            let Some(key) = self.keys.next() else { break };
            let hash = key.key_hash();
            match in_slots {
                true => likely[count] = raw.prefetch_slot(hash),
                false => raw.prefetch_line(hash),
            }
            keys[count] = Some(key);
            hashes[count] = hash;
            count += 1;
        }
        if !in_slots {
            for (likely, hash) in likely.iter_mut().zip(&hashes[..count]) {
                *likely = raw.home(*hash).prefetch_entry(*hash);
            }
        }
        for (number, key) in keys.into_iter().flatten().enumerate() {
            let entry = match likely[number].filter(|entry| entry.key() == key) {
                None => self.map.find(hashes[number], key),
                found => found,
            };
            self.found[number] = entry.map(Entry::value);
        }
        self.end = count;
    }
}

impl<'a, 'q, K: MapKey, V: Value, Q, I> Iterator for GetMany<'a, K, V, I>
where
    I: Iterator<Item = &'q Q>,
    Q: Key + ?Sized + 'q,
    K::Archived: PartialEq<Q>,
{
    type Item = Option<&'a V::Archived>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.end {
            self.fill();
            if self.end == 0 {
                return None;
            }
        }
        self.next += 1;
        Some(self.found[self.next - 1])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let ready = self.end - self.next;
        let (low, high) = self.keys.size_hint();
        (
            low.saturating_add(ready),
            high.and_then(|high| high.checked_add(ready)),
        )
    }
}

impl<K: Archive, V: Archive, I> fmt::Debug for GetMany<'_, K, V, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetMany")
            .field("ready", &(self.end - self.next))
            .finish_non_exhaustive()
    }
}
