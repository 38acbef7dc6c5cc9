//! The bytes of self-describing values.
//!
//! A value is one *word* of four bytes, aligned to four. All integers are little-endian, but for
//! those of packed lists, which have the byte order of the region.
//!
//! ```text
//! word = payload << 3 | tag
//! tag  0 constant   payload 0 none, 1 false, 2 true
//!      1 integer    payload is the number, of 29 bits with sign
//!      2 text       payload leads to what the word stands for: a distance with sign, in units of
//!      3 list       four bytes, from the word itself
//!      4 tuple
//!      5 dict
//!      6 set
//!      7 other
//!
//! text        length << 4 | is ASCII << 3 | 2, UTF-8, zeros to a multiple of 4
//! list, tuple n << 3 | tag, n words
//! dict        word with tag 5 that leads to the shape, n words: the values
//! set         word with tag 6 that leads to the shape, 1 if it is frozen, otherwise 0
//! shape       n << 3 | 0, log, n words: the keys, table
//! other       kind << 3 | 7, then by kind:
//!    0 float          IEEE 754 of 8 bytes
//!    1 integer        8 bytes: one that its word has no room for
//!    2 big integer    length, two's complement bytes, as few as possible: more than 8
//!    3 bytes          length, bytes
//!    4 surrogates     length, UTF-8 in which surrogates are encoded like other code points: one
//!                     at least, since otherwise it is text
//!    5 list of integers  number, so many i64     aligned to 8
//!    6 list of floats    number, so many f64     aligned to 8
//! ```
//!
//! What a word leads to starts at a multiple of four, with the tag in its first byte, and lies before
//! every word that stands in a list, tuple, dict, set or shape and leads to it: so no value contains
//! itself. Equal values are written once, as far as words reach.
//!
//! A shape has the keys of dicts or the items of sets, in their order, once for all that have the
//! same. Its table finds a key by its hash. The *tag of a hash* is its lowest byte, or 1 where that
//! is 0.
//!
//! ```text
//! up to 8 keys   log = 0: eight bytes, the tags of the hashes of the keys, zeros
//! more           log = that of the least power of two from 3 n / 2 on: so many tags of one byte,
//!                zeros where a slot is free, then as many positions of keys, of one byte where n
//!                is up to 255, two up to 65,535, otherwise four; zeros to a multiple of 4
//! ```
//!
//! The slot of a key is the first one from `hash >> (64 - log)` on, and from the first slot after
//! the last one, that is free when it is its turn.
//!
//! Hashes are those of [`Key`](crate::Key) for integers and text. Numbers that are equal have one
//! hash, and so have all sets of equal items.
//!
//! ```text
//! none            mix(0, 1)
//! bool, integer, float without a fraction, of up to 64 bits   as the integer
//! larger          mix(hash of the bytes of the big integer, 2)
//! other float     mix(bits, 3)
//! text, surrogates   hash of the bytes
//! bytes           mix(hash of the bytes, 4)
//! tuple           mix(.. mix(mix(n, 5), first) ..)
//! frozen set      mix(n, sum of mix(item, 6))
//! ```
#![forbid(unsafe_code)]

use crate::map::{Key, integer_hash, mix};

pub(crate) const CONSTANT: u32 = 0;
pub(crate) const INTEGER: u32 = 1;
pub(crate) const TEXT: u32 = 2;
pub(crate) const LIST: u32 = 3;
pub(crate) const TUPLE: u32 = 4;
pub(crate) const DICT: u32 = 5;
pub(crate) const SET: u32 = 6;
pub(crate) const OTHER: u32 = 7;
/// In the header of a shape.
pub(crate) const SHAPE: u32 = 0;

pub(crate) const NONE: u32 = CONSTANT;
pub(crate) const FALSE: u32 = 1 << TAG_BITS;
pub(crate) const TRUE: u32 = 2 << TAG_BITS;
/// What a word is given that cannot reach its target: no value.
pub(crate) const OUT_OF_REACH: u32 = 3 << TAG_BITS;

pub(crate) const FLOAT: u32 = 0;
pub(crate) const LONG: u32 = 1;
pub(crate) const BIG: u32 = 2;
pub(crate) const BYTES: u32 = 3;
pub(crate) const SURROGATES: u32 = 4;
pub(crate) const INTEGERS: u32 = 5;
pub(crate) const FLOATS: u32 = 6;

/// Bytes of a word, and what all places are multiples of.
pub(crate) const WORD: usize = 4;
pub(crate) const TAG_BITS: u32 = 3;
/// Keys that are found without a table.
pub(crate) const FEW: usize = 8;
/// Texts have fewer bytes.
pub(crate) const TEXT_LIMIT: usize = 1 << 28;
/// Lists and shapes have fewer items.
pub(crate) const ITEM_LIMIT: usize = 1 << 28;
/// How many units a word reaches in both directions.
const REACH: i64 = 1 << 28;

/// The tag of a word or header.
#[inline]
pub(crate) const fn tag(word: u32) -> u32 {
    word & ((1 << TAG_BITS) - 1)
}

/// The payload of a word or header.
#[inline]
pub(crate) const fn payload(word: u32) -> u32 {
    word >> TAG_BITS
}

/// The payload of a word, as a number with sign.
#[inline]
pub(crate) const fn signed(word: u32) -> i32 {
    word.cast_signed() >> TAG_BITS
}

pub(crate) const fn header(tag: u32, number: usize) -> u32 {
    (number as u32) << TAG_BITS | tag
}

/// The word of an integer, if it has room for it.
pub(crate) fn integer_word(number: i64) -> Option<u32> {
    let fits = (-REACH..REACH).contains(&number);
    fits.then_some((number as u32) << TAG_BITS | INTEGER)
}

/// The word at one place that leads to another one, if it reaches that.
pub(crate) fn pointer_word(tag: u32, from: u64, to: u64) -> Option<u32> {
    let distance = to.cast_signed().wrapping_sub(from.cast_signed()) / WORD as i64;
    let fits = (-REACH..REACH).contains(&distance);
    fits.then_some((distance as u32) << TAG_BITS | tag)
}

/// Bytes with the zeros behind them.
pub(crate) const fn padded(length: usize) -> usize {
    length.next_multiple_of(WORD)
}

/// What the table of a shape looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableLayout {
    /// Of the number of slots; 0 if there are none.
    pub(crate) log: u32,
    /// Bytes of a position.
    pub(crate) width: usize,
}

impl TableLayout {
    /// The table of so many keys.
    pub(crate) fn new(keys: usize) -> Self {
        Self {
            log: match keys {
                0..=FEW => 0,
                _ => (keys + keys / 2).next_power_of_two().trailing_zeros(),
            },
            width: position_width(keys),
        }
    }

    pub(crate) fn slots(self) -> usize {
        1 << self.log
    }

    /// Bytes of the table.
    pub(crate) fn length(self) -> usize {
        match self.log {
            0 => FEW,
            _ => padded(self.slots() * (1 + self.width)),
        }
    }
}

/// Bytes of a position of one of so many keys.
#[inline]
pub(crate) const fn position_width(keys: usize) -> usize {
    match keys {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

/// The tag of a hash.
#[inline]
pub(crate) fn hash_tag(hash: u64) -> u8 {
    (hash as u8).max(1)
}

/// The slot at which a search starts; the logarithm is not 0.
#[inline]
pub(crate) fn home(hash: u64, log: u32) -> usize {
    (hash >> (u64::BITS - log)) as usize
}

#[inline]
pub(crate) fn text_hash(text: &[u8]) -> u64 {
    u8::slice_hash(text)
}

pub(crate) fn none_hash() -> u64 {
    mix(0, 1)
}

pub(crate) fn int_hash(number: i64) -> u64 {
    integer_hash(number.cast_unsigned())
}

pub(crate) fn big_hash(bytes: &[u8]) -> u64 {
    mix(text_hash(bytes), 2)
}

pub(crate) fn bytes_hash(bytes: &[u8]) -> u64 {
    mix(text_hash(bytes), 4)
}

/// The hash of a float; `None` for one that is no number.
pub(crate) fn float_hash(number: f64) -> Option<u64> {
    if number.is_nan() {
        return None;
    }
    Some(match super::number::whole(number) {
        Some(super::number::Whole::Small(number)) => int_hash(number),
        Some(super::number::Whole::Big(number)) => big_hash(number.as_bytes()),
        None => mix(number.to_bits(), 3),
    })
}

/// The hash of a tuple, given those of its items.
pub(crate) fn tuple_hash(items: impl ExactSizeIterator<Item = u64>) -> u64 {
    let start = mix(items.len() as u64, 5);
    items.fold(start, mix)
}

/// The hash of a set, given those of its items.
pub(crate) fn set_hash(items: impl ExactSizeIterator<Item = u64>) -> u64 {
    let length = items.len() as u64;
    mix(
        length,
        items.fold(0, |sum, item| sum.wrapping_add(mix(item, 6))),
    )
}
