//! What a check has seen of an archive of self-describing values.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Places of an archive at which values were found, each with one value that is valid.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    /// Of texts, which most are: to see one again takes no look at it.
    texts: Places,
    others: Places,
    /// Of values that have more than one level below: few, and known by a bit.
    deep: Places,
    heights: HashMap<usize, u8, BuildHasherDefault<PlaceHasher>>,
    /// Hashes of keys that have parts.
    hashes: HashMap<usize, u64, BuildHasherDefault<PlaceHasher>>,
    /// How many bytes values come to, where that is asked for.
    sizes: Option<HashMap<usize, u64, BuildHasherDefault<PlaceHasher>>>,
    /// What other threads have seen, which check parts of the same archive.
    shared: Option<Arc<Shared>>,
}

/// What threads tell each other. All of them have to find what they look at valid.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Of texts that one of them has looked at, or does.
    texts: SharedPlaces,
    /// Of other values that are valid, with one level below at most.
    shallow: SharedPlaces,
}

impl Shared {
    /// For an archive with so many places.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            texts: SharedPlaces::new(places),
            shallow: SharedPlaces::new(places),
        }
    }
}

/// Places, as a bit for each: an archive has millions of them.
#[derive(Debug, Default)]
struct Places(Vec<u64>);

impl Places {
    /// Whether nobody was here before; the place is a number below the length of the archive.
    #[inline]
    fn is_first(&mut self, place: usize) -> bool {
        let (word, bit) = (place / 64, 1_u64 << (place % 64));
        if word >= self.0.len() {
            self.0.resize((word + 1).next_power_of_two(), 0);
        }
        let first = self.0[word] & bit == 0;
        self.0[word] |= bit;
        first
    }

    /// Whether somebody was here before, wherever that is.
    #[inline]
    fn contains(&self, place: usize) -> bool {
        let word = self.0.get(place / 64).copied().unwrap_or_default();
        word & (1_u64 << (place % 64)) != 0
    }
}

/// Places that threads share.
///
/// A bit says that a value is, or will be found, valid. Nobody reads what somebody else wrote, so
/// that no order of memory matters.
#[derive(Debug)]
struct SharedPlaces(Box<[AtomicU64]>);

impl SharedPlaces {
    fn new(places: usize) -> Self {
        let words = (0..places.div_ceil(64)).map(|_| AtomicU64::new(0));
        Self(words.collect())
    }

    #[inline]
    fn contains(&self, place: usize) -> bool {
        let bit = 1_u64 << (place % 64);
        let word = self.0.get(place / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Whether this thread is the first that is here.
    #[inline]
    fn is_first(&self, place: usize) -> bool {
        let bit = 1_u64 << (place % 64);
        let word = self.0.get(place / 64);
        !self.contains(place)
            && word.is_none_or(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }
}

impl Visited {
    /// One of several threads that check parts of an archive.
    pub(crate) fn share(&mut self, shared: &Arc<Shared>) {
        // At once, since memory that grows stops all threads of a process where it moves.
        self.others = Places(vec![0; shared.texts.0.len()]);
        self.shared = Some(Arc::clone(shared));
    }

    /// Whether the text at a place has yet to be looked at.
    #[inline]
    pub(crate) fn is_first_text(&mut self, place: usize) -> bool {
        match &self.shared {
            None => self.texts.is_first(place),
            Some(shared) => shared.texts.is_first(place),
        }
    }

    /// Whether another value at a place has yet to be looked at.
    #[inline]
    pub(crate) fn is_first(&mut self, place: usize) -> bool {
        let others = self.shared.as_ref();
        self.others.is_first(place) && others.is_none_or(|it| !it.shallow.contains(place))
    }

    /// Tells that the value at a place, which was the first there, is valid and has no parts.
    pub(crate) fn note_leaf(&mut self, place: usize) {
        self.set_height(place, 1);
    }

    /// Remembers how many levels lie below the value at a place.
    pub(crate) fn set_height(&mut self, place: usize, height: u32) {
        if height > 1 {
            self.deep.is_first(place);
            self.heights.insert(place, height as u8);
        } else if let Some(shared) = &self.shared {
            shared.shallow.is_first(place);
        }
    }

    /// How many levels lie below a value with parts.
    #[inline]
    pub(crate) fn height(&self, place: usize) -> u32 {
        if !self.deep.contains(place) {
            return 1;
        }
        self.heights
            .get(&place)
            .map_or(1, |height| u32::from(*height))
    }

    /// Lets sizes be noted from here on.
    pub(crate) fn note_sizes(&mut self) {
        self.sizes.get_or_insert_default();
    }

    /// Whether sizes are noted.
    #[inline]
    pub(crate) fn notes_sizes(&self) -> bool {
        self.sizes.is_some()
    }

    /// Remembers how many bytes the value at a place comes to.
    pub(crate) fn set_size(&mut self, place: usize, size: u64) {
        self.sizes.iter_mut().for_each(|sizes| {
            sizes.insert(place, size);
        });
    }

    /// How many bytes the value at a place comes to, if it was found before.
    pub(crate) fn size(&self, place: usize) -> Option<u64> {
        self.sizes.as_ref()?.get(&place).copied()
    }

    pub(crate) fn set_hash(&mut self, place: usize, hash: u64) {
        self.hashes.insert(place, hash);
    }

    pub(crate) fn hash(&self, place: usize) -> Option<u64> {
        self.hashes.get(&place).copied()
    }
}

/// Places are few of very many, and nobody gains from two that meet: one multiplication serves.
#[derive(Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, place: usize) {
        self.0 = (self.0 ^ place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_texts_and_shallow_values_and_nothing_else() {
        let shared = Arc::new(Shared::new(100));
        let (mut one, mut other) = (Visited::default(), Visited::default());
        one.share(&shared);
        other.share(&shared);
        assert!(one.is_first_text(99) && !other.is_first_text(99));
        // One that is not finished, and finished ones of several levels.
        for (place, height, is_known) in [(7, 0, false), (8, 1, true), (9, 2, false)] {
            assert!(one.is_first(place));
            if height > 0 {
                one.set_height(place, height);
            }
            assert_eq!(other.is_first(place), !is_known, "{place}");
            assert!(!one.is_first(place) && !other.is_first(place));
        }
        assert_eq!((one.height(9), other.height(8)), (2, 1));
    }
}
