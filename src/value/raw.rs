//! The word of an archived value, and what it leads to.
//!
//! What the other files rely on: an [`ArchivedValue`] exists only in an archive that was checked
//! ([`check`](super::check)), which lives as long as the word is borrowed. So its methods may follow
//! pointers without a check of their own.
#![allow(unsafe_code)]

use std::slice;

use rkyv::Portable;
use rkyv::bytecheck::CheckBytes;
use rkyv::munge::munge;
use rkyv::primitive::{ArchivedF64, ArchivedI64};
use rkyv::rancor::{Source, Strategy};
use rkyv::rend::u32_le;

use super::check;
use super::format::{
    BIG, BYTES, DICT, FLOAT, FLOATS, INTEGERS, LIST, LONG, OTHER, SET, SURROGATES, TEXT, TUPLE,
    TableLayout, WORD, payload, position_width, signed, tag,
};
use crate::archive::Validator;
use crate::schema::{Schema, Shape, TypeIndex, Types};

/// A frozen [`Value`](super::Value): four bytes, read where they lie.
///
/// It tells what it is by [`kind`](Self::kind) and gives its content by `as_..`. Dicts of texts are
/// indexed by them, lists and tuples by positions.
///
/// ```
/// use floe::Frozen;
/// use floe::value::{self, Value};
///
/// let recipe: Frozen<Value> = value::freeze_serde(
///     "recipe",
///     &serde_json::json!({"name": "zlib", "depends": ["virtual/cross-cc"], "size": 1_310_720}),
/// )?;
/// assert_eq!(recipe["name"].as_str(), Some("zlib"));
/// assert_eq!(recipe["depends"][0], "virtual/cross-cc");
/// assert_eq!(recipe["size"].as_i64(), Some(1_310_720));
/// assert!(recipe.get("license").is_none());
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Portable)]
#[repr(transparent)]
pub struct ArchivedValue {
    word: u32_le,
}

/// Keys of dicts, or items of sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) keys: &'a [ArchivedValue],
    pub(super) log: u32,
    pub(super) table: &'a [u8],
}

/// What a word with the tag `OTHER` stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Other<'a> {
    Float(f64),
    Integer(i64),
    Big(&'a [u8]),
    Bytes(&'a [u8]),
    Surrogates(&'a [u8]),
    Integers(&'a [ArchivedI64]),
    Floats(&'a [ArchivedF64]),
}

impl ArchivedValue {
    #[inline]
    pub(super) fn word(&self) -> u32 {
        self.word.to_native()
    }

    /// Writes a word.
    pub(super) fn emplace(written: u32, out: rkyv::Place<Self>) {
        munge!(let Self { word } = out);
        word.write(u32_le::from_native(written));
    }

    /// Where what the word leads to starts. The word has a tag of those that lead somewhere.
    #[inline]
    fn target(&self) -> *const u32_le {
        let distance = signed(self.word()) as isize * WORD as isize;
        std::ptr::from_ref(self)
            .wrapping_byte_offset(distance)
            .cast()
    }

    /// The `number`th word of what the word leads to.
    ///
    /// # Safety
    /// The word leads to something that has so many words.
    #[inline]
    unsafe fn head(&self, number: usize) -> u32 {
        // SAFETY: the check has found the target in the archive, at a multiple of four, and the
        // caller vouches for its length.
        unsafe { (*self.target().add(number)).to_native() }
    }

    /// Bytes behind so many words of what the word leads to.
    ///
    /// # Safety
    /// The word leads to something that has them.
    #[inline]
    unsafe fn bytes_behind(&self, words: usize, length: usize) -> &[u8] {
        // SAFETY: as in `head`.
        unsafe { slice::from_raw_parts(self.target().add(words).cast(), length) }
    }

    /// Words behind so many words of what a pointer leads to.
    ///
    /// # Safety
    /// A checked value has them there, and lives as long as the result.
    #[inline]
    unsafe fn words_behind<'a>(target: *const u32_le, words: usize, number: usize) -> &'a [Self] {
        // SAFETY: the caller's promise; the check has found each of these words valid.
        unsafe { slice::from_raw_parts(target.add(words).cast(), number) }
    }

    /// Where what the word leads to lies in memory: equal for values that were written once.
    pub(super) fn target_address(&self) -> usize {
        self.target().addr()
    }

    /// The text, and whether it is ASCII.
    #[inline]
    pub(super) fn text(&self) -> Option<(&str, bool)> {
        // SAFETY: a text begins with its header, and has so many bytes; the check found them to be
        // UTF-8.
        (self.tag() == TEXT).then(|| unsafe {
            let head = payload(self.head(0));
            let text = self.bytes_behind(1, (head >> 1) as usize);
            (str::from_utf8_unchecked(text), head & 1 != 0)
        })
    }

    /// The items of a list or tuple.
    #[inline]
    pub(super) fn words(&self) -> Option<&[Self]> {
        // SAFETY: both begin with the number of words behind it.
        matches!(self.tag(), LIST | TUPLE).then(|| unsafe {
            let number = payload(self.head(0)) as usize;
            Self::words_behind(self.target(), 1, number)
        })
    }

    /// Keys and values of a dict.
    #[inline]
    pub(super) fn dict(&self) -> Option<(Keys<'_>, &[Self])> {
        // SAFETY: a dict begins with a word that leads to its shape, and has as many words behind it
        // as that has keys.
        (self.tag() == DICT).then(|| unsafe {
            let keys = self.shape();
            let values = Self::words_behind(self.target(), 1, keys.keys.len());
            (keys, values)
        })
    }

    /// The items of a set, and whether it is a frozen one.
    #[inline]
    pub(super) fn set(&self) -> Option<(Keys<'_>, bool)> {
        // SAFETY: a set begins with a word that leads to its shape, and has one more.
        (self.tag() == SET).then(|| unsafe { (self.shape(), self.head(1) != 0) })
    }

    /// # Safety
    /// The word leads to a dict or to a set.
    #[inline]
    unsafe fn shape(&self) -> Keys<'_> {
        // SAFETY: both begin with a word that leads to a shape, which the check has found in the
        // archive: number of keys, logarithm, keys, and a table as long as both say.
        unsafe {
            let first = &*self.target().cast::<Self>();
            let shape = first.target();
            let number = payload(first.head(0)) as usize;
            let log = first.head(1);
            let table = TableLayout {
                log,
                width: position_width(number),
            };
            let start = shape.add(2 + number).cast();
            Keys {
                keys: Self::words_behind(shape, 2, number),
                log,
                table: slice::from_raw_parts(start, table.length()),
            }
        }
    }

    /// What a word stands for that leads to another kind.
    #[inline]
    pub(super) fn other(&self) -> Option<Other<'_>> {
        // SAFETY: it begins with its kind; what stands behind that, and how much of it, the check has
        // found as this reads it. Lists of numbers are aligned to 8, and any bytes are numbers.
        (self.tag() == OTHER).then(|| unsafe {
            let eight = || {
                let bytes = self.bytes_behind(1, 8).first_chunk();
                bytes.copied().unwrap_or_default()
            };
            let run = || self.bytes_behind(2, self.head(1) as usize);
            match payload(self.head(0)) {
                FLOAT => Other::Float(f64::from_le_bytes(eight())),
                LONG => Other::Integer(i64::from_le_bytes(eight())),
                BIG => Other::Big(run()),
                BYTES => Other::Bytes(run()),
                SURROGATES => Other::Surrogates(run()),
                INTEGERS => {
                    let start = self.target().add(2).cast();
                    Other::Integers(slice::from_raw_parts(start, self.head(1) as usize))
                }
                kind => {
                    debug_assert_eq!(kind, FLOATS);
                    let start = self.target().add(2).cast();
                    Other::Floats(slice::from_raw_parts(start, self.head(1) as usize))
                }
            }
        })
    }

    #[inline]
    pub(super) fn tag(&self) -> u32 {
        tag(self.word())
    }
}

// SAFETY: accepts only a word in the archive of the validator, from which the check of all that it
// leads to goes out; words that lie elsewhere are refused.
unsafe impl<E: Source> CheckBytes<Strategy<Validator, E>> for ArchivedValue {
    unsafe fn check_bytes(
        value: *const Self,
        context: &mut Strategy<Validator, E>,
    ) -> Result<(), E> {
        let validator: &mut Validator = context;
        let Some(at) = validator.offset_of(value.addr(), size_of::<Self>()) else {
            return Err(E::new(check::ValueError::Elsewhere));
        };
        let start = value.cast::<u8>().wrapping_sub(at);
        // SAFETY: the caller vouches for a pointer to the value that comes from one to the whole
        // archive, as all that are checked in one do; the archive begins `at` bytes before, is as
        // long as the validator says, and is borrowed while it checks.
        let archive = unsafe { slice::from_raw_parts(start, validator.archive_length()) };
        check::check(archive, at, validator).map_err(E::new)
    }
}

// SAFETY: four bytes that are never written; what they lead to is described by the shape, by which
// no hash table and no tree of rkyv is found.
unsafe impl Schema for ArchivedValue {
    fn describe(types: &mut Types) -> TypeIndex {
        let integer = ArchivedI64::describe(types);
        let float = ArchivedF64::describe(types);
        types.define::<Self>("Value", |_| Shape::SelfDescribing { integer, float })
    }
}
