//! Frozen dicts and sets, and how their keys are found.
#![forbid(unsafe_code)]

use std::ops::Index;

use super::format::{FEW, WORD, hash_tag, home, position_width, text_hash};
use super::key::KeyRef;
use super::raw::{ArchivedValue, Keys};

/// A frozen dict.
///
/// Keys of texts, which most are, are looked up by [`get`](Self::get), others by
/// [`get_value`](Self::get_value).
#[derive(Clone, Copy)]
pub struct ArchivedDict<'a> {
    keys: Keys<'a>,
    values: &'a [ArchivedValue],
}

/// A frozen set, or a set that can be a key. It has an order of its own, not that of insertion.
#[derive(Clone, Copy)]
pub struct ArchivedSet<'a> {
    keys: Keys<'a>,
    is_frozen: bool,
}

impl Keys<'_> {
    /// Where the shape lies.
    pub(super) fn address(&self) -> usize {
        self.keys.as_ptr().addr().wrapping_sub(2 * WORD)
    }

    /// The position of the key with a hash that `is_it`.
    #[inline]
    pub(super) fn find(
        &self,
        hash: u64,
        mut is_it: impl FnMut(&ArchivedValue) -> bool,
    ) -> Option<usize> {
        if self.log == 0 {
            let tags = u64::from_le_bytes(*self.table.first_chunk::<FEW>()?);
            let mut found = equal_bytes(tags, hash_tag(hash));
            while found != 0 {
                let number = (found.trailing_zeros() / u8::BITS) as usize;
                if is_it(self.keys.get(number)?) {
                    return Some(number);
                }
                found &= found - 1;
            }
            return None;
        }
        let slots = 1_usize << self.log;
        let (tags, positions) = self.table.split_at_checked(slots)?;
        let width = position_width(self.keys.len());
        let mut slot = home(hash, self.log);
        // A table from anywhere has a free slot, since it has more slots than keys.
        loop {
            let tag = *tags.get(slot)?;
            if tag == hash_tag(hash) {
                let number = match width {
                    1 => usize::from(*positions.get(slot)?),
                    2 => {
                        let bytes = positions.get(2 * slot..)?.first_chunk()?;
                        u16::from_le_bytes(*bytes).into()
                    }
                    _ => u32::from_le_bytes(*positions.get(4 * slot..)?.first_chunk()?) as usize,
                };
                if is_it(self.keys.get(number)?) {
                    return Some(number);
                }
            }
            if tag == 0 {
                return None;
            }
            slot = (slot + 1) & (slots - 1);
        }
    }

    /// The position of a text.
    #[inline]
    pub(super) fn find_text(&self, hash: u64, key: &str) -> Option<usize> {
        self.find(hash, |found| found.as_str() == Some(key))
    }

    fn find_key(&self, key: &KeyRef<'_>) -> Option<usize> {
        self.find(key.hash()?, |found| key.is(found))
    }
}

/// The highest bit of each byte of a word that is `byte`, and perhaps of some behind those.
#[inline]
fn equal_bytes(word: u64, byte: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let differing = word ^ (ONES * u64::from(byte));
    differing.wrapping_sub(ONES) & !differing & HIGH
}

impl<'a> ArchivedDict<'a> {
    pub(super) fn new(keys: Keys<'a>, values: &'a [ArchivedValue]) -> Self {
        Self { keys, values }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value under a text.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &str) -> Option<&'a ArchivedValue> {
        self.get_hashed(text_hash(key.as_bytes()), key)
    }

    /// The value under a text whose [`key_hash`](crate::Key::key_hash) is known: for whoever looks
    /// one key up in many dicts.
    #[must_use]
    #[inline]
    pub fn get_hashed(&self, hash: u64, key: &str) -> Option<&'a ArchivedValue> {
        self.values.get(self.keys.find_text(hash, key)?)
    }

    /// The value under any key. `1`, `1.0` and `true` are one key.
    #[must_use]
    pub fn get_value<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<&'a ArchivedValue> {
        self.values.get(self.keys.find_key(&key.into())?)
    }

    pub(super) fn lookup(&self) -> Keys<'a> {
        self.keys
    }

    /// The keys, in the order of insertion.
    #[must_use]
    pub fn keys(&self) -> &'a [ArchivedValue] {
        self.keys.keys
    }

    /// The values, in the order of insertion.
    #[must_use]
    pub fn values(&self) -> &'a [ArchivedValue] {
        self.values
    }

    /// Keys and values, in the order of insertion.
    #[must_use]
    pub fn iter(
        &self,
    ) -> impl ExactSizeIterator<Item = (&'a ArchivedValue, &'a ArchivedValue)>
    + DoubleEndedIterator
    + use<'a> {
        self.keys.keys.iter().zip(self.values)
    }
}

impl<'a> ArchivedSet<'a> {
    pub(super) fn new(keys: Keys<'a>, is_frozen: bool) -> Self {
        Self { keys, is_frozen }
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn lookup(&self) -> Keys<'a> {
        self.keys
    }

    /// Whether it is a set that can be a key.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// Whether it has a text.
    #[must_use]
    #[inline]
    pub fn contains(&self, item: &str) -> bool {
        let hash = text_hash(item.as_bytes());
        self.keys.find_text(hash, item).is_some()
    }

    /// Whether it has an item of any kind.
    #[must_use]
    pub fn contains_value<'k>(&self, item: impl Into<KeyRef<'k>>) -> bool {
        self.keys.find_key(&item.into()).is_some()
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &'a [ArchivedValue] {
        self.keys.keys
    }
}

/// # Panics
/// If there is no such key.
impl Index<&str> for ArchivedDict<'_> {
    type Output = ArchivedValue;

    fn index(&self, key: &str) -> &ArchivedValue {
        self.get(key).unwrap_or_else(|| panic!("no key {key:?}"))
    }
}
