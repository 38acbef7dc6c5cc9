//! Walking a map, and looking up many keys at once.
#![forbid(unsafe_code)]

use std::fmt;
use std::iter::FusedIterator;

use rkyv::Archive;

use super::archived::ArchivedMap;
use super::key::Key;
use super::raw::{RawMap, Walk};

/// Keys and values of a map, in the order in which they were inserted.
#[must_use = "iterators do nothing unless they are advanced"]
pub struct Iter<'a, K: Archive, V: Archive> {
    walk: Walk<'a, K, V>,
}

impl<'a, K: Archive, V: Archive> Iter<'a, K, V> {
    pub(super) fn new(map: &'a RawMap<K, V>) -> Self {
        Self {
            walk: Walk::new(map),
        }
    }
}

impl<'a, K: Archive, V: Archive> Iterator for Iter<'a, K, V> {
    type Item = (&'a K::Archived, &'a V::Archived);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.walk.next().map(|entry| (entry.key(), entry.value()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.walk.left(), Some(self.walk.left()))
    }
}

impl<K: Archive, V: Archive> ExactSizeIterator for Iter<'_, K, V> {}
impl<K: Archive, V: Archive> FusedIterator for Iter<'_, K, V> {}

impl<K: Archive, V: Archive> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self {
            walk: self.walk.clone(),
        }
    }
}

impl<K: Archive, V: Archive> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        left("Iter", self.len(), f)
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

        impl<'a, K: Archive, V: Archive> Iterator for $Half<'a, K, V> {
            type Item = &'a $Part::Archived;

            #[inline]
            fn next(&mut self) -> Option<Self::Item> {
                self.entries.next().map(|$half| $part)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.entries.size_hint()
            }
        }

        impl<K: Archive, V: Archive> ExactSizeIterator for $Half<'_, K, V> {}
        impl<K: Archive, V: Archive> FusedIterator for $Half<'_, K, V> {}

        impl<K: Archive, V: Archive> Clone for $Half<'_, K, V> {
            fn clone(&self) -> Self {
                Self::new(self.entries.clone())
            }
        }

        impl<K: Archive, V: Archive> fmt::Debug for $Half<'_, K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                left(stringify!($Half), self.len(), f)
            }
        }
    };
}

half! {
    /// The archived keys of a map, in the order in which they were inserted.
    Keys yields K: (key, _) => key
}
half! {
    /// The values of a map, in the order in which their keys were inserted.
    Values yields V: (_, value) => value
}

/// Keys that are looked up together.
const GROUP: usize = 16;

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

impl<'q, K: Archive, V: Archive, Q, I> GetMany<'_, K, V, I>
where
    I: Iterator<Item = &'q Q>,
    Q: Key + ?Sized + 'q,
    K::Archived: PartialEq<Q>,
{
    /// Looks up the next keys: first all their lines are asked for, then all their entries, so
    /// that the memory accesses overlap; then the keys are compared.
    #[inline]
    fn fill(&mut self) {
        let mut keys: [Option<&Q>; GROUP] = [None; GROUP];
        let mut hashes = [0; GROUP];
        let mut likely = [None; GROUP];
        // Set first and last, so that a panic of a key leaves nothing found.
        (self.next, self.end) = (0, 0);
        let mut count = 0;
        while count < GROUP {
            let Some(key) = self.keys.next() else { break };
            let hash = key.key_hash();
            self.map.raw().prefetch_line(hash);
            keys[count] = Some(key);
            hashes[count] = hash;
            count += 1;
        }
        for (likely, hash) in likely.iter_mut().zip(&hashes[..count]) {
            *likely = self.map.raw().home(*hash).prefetch_entry(*hash);
        }
        for (number, key) in keys.into_iter().flatten().enumerate() {
            let entry = match likely[number].filter(|entry| entry.key() == key) {
                None => self.map.find(hashes[number], key),
                found => found,
            };
            self.found[number] = entry.map(|entry| entry.value());
        }
        self.end = count;
    }
}

impl<'a, 'q, K: Archive, V: Archive, Q, I> Iterator for GetMany<'a, K, V, I>
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
