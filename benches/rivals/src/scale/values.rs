//! What maps are filled with, to see how they scale.

use floe::Value;
use rkyv::string::ArchivedString;

use crate::data::{MapValue, Recipe, Touch};
use crate::keys::Key;

/// Bytes of a text.
const TEXT: usize = 64 << 10;

/// A value that maps are filled with, and its kind of key.
pub trait Scalable: Value<Archived: Touch> + Touch {
    /// How rows call maps of it.
    const KIND: &'static str;
    /// Bytes that such a map and its builder need for each entry.
    const MEMORY_PER_ENTRY: u64;
    /// What such maps are keyed by.
    type Key: Key;

    /// The value with a number.
    fn make(number: u64) -> Self;

    /// Bytes that such a map, its builder and its readers need.
    fn memory_for(entries: u64) -> u64 {
        (64 << 20) + entries * Self::MEMORY_PER_ENTRY
    }
}

impl Scalable for u64 {
    const KIND: &'static str = "u64 to u64";
    const MEMORY_PER_ENTRY: u64 = 128;
    type Key = Self;

    fn make(number: u64) -> Self {
        MapValue::numbered(number)
    }
}

impl Scalable for Recipe {
    const KIND: &'static str = "recipes";
    const MEMORY_PER_ENTRY: u64 = 512;
    type Key = String;

    fn make(number: u64) -> Self {
        Self::numbered(number)
    }
}

impl Scalable for String {
    const KIND: &'static str = "texts of 64 KiB";
    const MEMORY_PER_ENTRY: u64 = TEXT as u64 + 256;
    type Key = u64;

    fn make(number: u64) -> Self {
        let mut text = number.to_string();
        text.reserve_exact(TEXT - text.len());
        text.extend(std::iter::repeat_n('.', TEXT - text.len()));
        text
    }
}

/// The bytes of the number that a text begins with, and of its end.
fn touch_text(text: &str) -> u64 {
    let ends = text.bytes().take(8).chain(text.bytes().next_back());
    ends.fold(0, |sum, byte| sum * 31 + u64::from(byte))
}

impl Touch for String {
    fn touch(&self) -> u64 {
        touch_text(self)
    }
}

impl Touch for ArchivedString {
    fn touch(&self) -> u64 {
        touch_text(self)
    }
}
