//! What a check has seen of an archive of self-describing values.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Places of an archive at which values were found, each with one value that is valid.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    /// Of texts, which most are: to see one again takes no look at it.
    pub(crate) texts: Places,
    pub(crate) others: Places,
    /// Levels below values that have more than one.
    heights: HashMap<usize, u8, BuildHasherDefault<PlaceHasher>>,
    /// Hashes of keys that have parts.
    hashes: HashMap<usize, u64, BuildHasherDefault<PlaceHasher>>,
    /// How many bytes values come to, where that is asked for.
    sizes: Option<HashMap<usize, u64, BuildHasherDefault<PlaceHasher>>>,
}

/// Places, as a bit for each: an archive has millions of them.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<u64>);

impl Places {
    /// Whether nobody was here before; the place is a number below the length of the archive.
    #[inline]
    pub(crate) fn is_first(&mut self, place: usize) -> bool {
        let (word, bit) = (place / 64, 1_u64 << (place % 64));
        if word >= self.0.len() {
            self.0.resize((word + 1).next_power_of_two(), 0);
        }
        let first = self.0[word] & bit == 0;
        self.0[word] |= bit;
        first
    }
}

impl Visited {
    /// Remembers how many levels lie below the value at a place.
    pub(crate) fn set_height(&mut self, place: usize, height: u32) {
        if height > 1 {
            self.heights.insert(place, height as u8);
        }
    }

    /// How many levels lie below a value with parts.
    pub(crate) fn height(&self, place: usize) -> u32 {
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
