//! A table of what is known by a key that stands in it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Things by the hash of a key. Those whose keys have the same hash are numbered from 0 on.
pub(super) struct ByKey<T> {
    things: HashMap<(u64, u32), T, BuildHasherDefault<KnownHash>>,
}

impl<T> Default for ByKey<T> {
    fn default() -> Self {
        Self {
            things: HashMap::default(),
        }
    }
}

impl<T> ByKey<T> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.things.len()
    }

    /// The thing with a hash that `is_it` accepts.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        self.with_hash(hash).find(|thing| is_it(thing))
    }

    fn with_hash(&self, hash: u64) -> impl Iterator<Item = &T> {
        (0..).map_while(move |number| self.things.get(&(hash, number)))
    }

    /// Puts a thing in the place of the one that `is_it` accepts, which is given back.
    pub(super) fn put(&mut self, hash: u64, is_it: impl Fn(&T) -> bool, thing: T) -> Option<T> {
        let number = self.with_hash(hash).take_while(|thing| !is_it(thing));
        let number = number.count() as u32;
        self.things.insert((hash, number), thing)
    }

    /// Takes out the thing that `is_it` accepts.
    pub(super) fn take(&mut self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let number = self.with_hash(hash).position(is_it)? as u32;
        let last = self.with_hash(hash).count() as u32 - 1;
        let last = self.things.remove(&(hash, last));
        match self.things.get_mut(&(hash, number)) {
            Some(place) => last.map(|last| std::mem::replace(place, last)),
            None => last,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.things.values()
    }

    /// All of them, with the hashes.
    pub(super) fn with_hashes(&self) -> impl Iterator<Item = (u64, &T)> {
        let things = self.things.iter();
        things.map(|((hash, _), thing)| (*hash, thing))
    }

    /// Takes out everything, with the hashes.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (u64, T)> {
        let things = std::mem::take(&mut self.things);
        things.into_iter().map(|((hash, _), thing)| (hash, thing))
    }
}

/// A hash that was computed before.
#[derive(Default)]
pub(super) struct KnownHash(u64);

impl Hasher for KnownHash {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = self
            .0
            .wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_with_equal_hashes_are_told_apart() {
        let mut table = ByKey::default();
        for number in 0..4 {
            assert_eq!(table.put(7, |it| *it == number, number), None);
        }
        assert_eq!(table.take(7, |it| *it == 1), Some(1));
        assert_eq!(table.take(7, |it| *it == 1), None);
        for number in [0, 2, 3] {
            assert_eq!(table.find(7, |it| *it == number), Some(&number));
        }
        assert_eq!(table.take(7, |it| *it == 3), Some(3));
        assert_eq!(table.put(7, |it| *it == 2, 2), Some(2));
        assert_eq!((table.len(), table.find(8, |_| true)), (2, None));
    }
}
