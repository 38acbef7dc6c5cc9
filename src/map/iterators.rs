//! Walking a map, and looking up many keys at once.
#![forbid(unsafe_code)]

use std::fmt;
use std::iter::FusedIterator;

use rkyv::Archive;

use super::MapKey;
use super::archived::ArchivedMap;
use super::key::Key;
use super::raw::{Entry, RawMap, SlotView, Walk};
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
/// As many where lines lead to entries: there is more to wait for.
const LINES_GROUP: usize = 16;

/// How many keys ahead a fold over slots asks for entries.
const AHEAD: usize = 32;
/// Most bytes of slots that this is good for: in larger maps, pilots are waited for, too, and groups
/// let more of them come at once.
const MOST_AHEAD: usize = 64 << 20;

/// The values of many keys, in their order.
#[must_use = "iterators do nothing unless they are advanced"]
pub struct GetMany<'a, K: Archive, V: Archive, I: Iterator> {
    map: &'a ArchivedMap<K, V>,
    keys: I,
    /// The keys of a group, and the entries that they have, if they have one, as a rule.
    group: [Option<I::Item>; GROUP],
    likely: [Option<Entry<'a, K, V>>; GROUP],
    next: usize,
    end: usize,
}

impl<'a, K: Archive, V: Archive, I: Iterator> GetMany<'a, K, V, I> {
    pub(super) fn new(map: &'a ArchivedMap<K, V>, keys: I) -> Self {
        Self {
            map,
            keys,
            group: [const { None }; GROUP],
            likely: [None; GROUP],
            next: 0,
            end: 0,
        }
    }
}

impl<'a, 'q, K: MapKey, V: Value, Q, I> GetMany<'a, K, V, I>
where
    I: Iterator<Item = &'q Q>,
    Q: Key + ?Sized + 'q,
    K::Archived: PartialEq<Q>,
{
    /// Asks for the memory of the next keys, so that the accesses overlap.
    #[inline]
    fn fill(&mut self) {
        // Set first, and the end last, so that a panic of a key leaves nothing to be given.
        (self.next, self.end) = (0, 0);
        self.end = match Entry::<K, V>::IN_SLOTS {
            true => self.fill_from_slots(),
            false => self.fill_by_lines(),
        };
    }

    /// First all lines are asked for, then all entries.
    #[inline]
    fn fill_by_lines(&mut self) -> usize {
        let raw = self.map.raw();
        let mut hashes = [0; LINES_GROUP];
        let mut count = 0;
        while count < LINES_GROUP {
            let Some(key) = self.keys.next() else { break };
            let hash = key.key_hash();
            raw.prefetch_line(hash);
            self.group[count] = Some(key);
            hashes[count] = hash;
            count += 1;
        }
        for (likely, hash) in self.likely.iter_mut().zip(&hashes[..count]) {
            *likely = raw.home(*hash).prefetch_entry(*hash);
        }
        count
    }

    /// Asks for all entries; apart, so that a loop over values is small.
    #[inline(never)]
    fn fill_from_slots(&mut self) -> usize {
        let slots = self.map.raw().slot_view();
        let mut count = 0;
        let keys = &mut self.keys;
        for (place, likely) in self.group.iter_mut().zip(&mut self.likely) {
            let Some(key) = keys.next() else { break };
            *place = Some(key);
            *likely = slots.as_ref().map(|slots| slots.prefetch(key.key_hash()));
            count += 1;
        }
        count
    }

    /// The value of a key.
    #[inline]
    fn value(
        map: &'a ArchivedMap<K, V>,
        key: &'q Q,
        likely: Option<Entry<'a, K, V>>,
    ) -> Option<&'a V::Archived> {
        match likely {
            Some(entry) if entry.key() == key => Some(entry.value()),
            _ => Self::look_again(map, key),
        }
    }

    /// Looks up a key for itself; apart, so that what is usual keeps few registers.
    #[inline(never)]
    fn look_again(map: &'a ArchivedMap<K, V>, key: &'q Q) -> Option<&'a V::Archived> {
        map.get(key)
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
        let (key, likely) = (self.group[self.next]?, self.likely[self.next]);
        self.next += 1;
        Some(Self::value(self.map, key, likely))
    }

    /// Where entries stand in slots, it keeps what it needs in registers, and takes less time than a
    /// loop over [`next`](Self::next).
    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, start: B, mut f: F) -> B {
        let mut folded = start;
        let is_ahead = Entry::<K, V>::IN_SLOTS && self.map.archive().len() <= MOST_AHEAD;
        while self.next < self.end || !is_ahead {
            let Some(found) = self.next() else {
                return folded;
            };
            folded = f(folded, found);
        }
        match self.map.raw().slot_view() {
            Some(slots) => fold_ahead(self.map, &slots, self.keys, folded, f),
            None => self.keys.fold(folded, |folded, _| f(folded, None)),
        }
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

/// Asks for the entry of each key so many keys before it is compared, where entries stand in slots.
#[inline]
fn fold_ahead<'a, 'q, K: MapKey, V: Value, Q, B>(
    map: &'a ArchivedMap<K, V>,
    slots: &SlotView<'a, K, V>,
    mut keys: impl Iterator<Item = &'q Q>,
    start: B,
    mut f: impl FnMut(B, Option<&'a V::Archived>) -> B,
) -> B
where
    Q: Key + ?Sized + 'q,
    K::Archived: PartialEq<Q>,
{
    let likely = |key: &'q Q| (key, slots.prefetch(key.key_hash()));
    let value = |(key, likely): (&'q Q, Entry<'a, K, V>)| match likely.key() == key {
        true => Some(likely.value()),
        false => map.get(key),
    };
    let Some(first) = keys.next() else {
        return start;
    };
    // The keys on their way, each at its number modulo the length.
    let mut ring = [likely(first); AHEAD];
    let mut taken = 1;
    for (place, key) in ring[1..].iter_mut().zip(&mut keys) {
        *place = likely(key);
        taken += 1;
    }
    let (mut folded, mut given) = (start, 0);
    for key in keys {
        let place = &mut ring[given % AHEAD];
        let earlier = std::mem::replace(place, likely(key));
        folded = f(folded, value(earlier));
        given += 1;
    }
    for number in given..given + taken {
        folded = f(folded, value(ring[number % AHEAD]));
    }
    folded
}

impl<K: Archive, V: Archive, I: Iterator> fmt::Debug for GetMany<'_, K, V, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetMany")
            .field("ready", &(self.end - self.next))
            .finish_non_exhaustive()
    }
}
