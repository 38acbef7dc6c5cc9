//! Values written bottom-up, by whoever has them in another form.
#![forbid(unsafe_code)]

mod error;
mod parts;
mod written;

use std::any::TypeId;
use std::fmt;

use super::format::{
    self, BIG, BYTES, DICT, FALSE, LIST, NONE, SET, SURROGATES, TEXT, TEXT_LIMIT, TRUE, TUPLE,
    WORD, header, integer_word,
};
use super::number::BigInt;
use super::surrogates;
use crate::archive::Output;

pub use error::WriteError;
pub(super) use written::Place;
pub use written::Written;

use error::Refused;
use parts::{Scratch, Texts};
use written::What;

/// Writes values into a region, the parts of each before it.
///
/// A [`ToValue`] is given one. Each method writes one value and returns where it is, for the value
/// that contains it. What was written before is found again and takes no bytes.
///
/// ```
/// use floe::Frozen;
/// use floe::value::{AsValue, ToValue, Value, WriteError, Writer, Written};
///
/// struct Version(u8, u8);
///
/// impl ToValue for Version {
///     fn write(&self, writer: &mut Writer<'_>) -> Result<Written, WriteError> {
///         let parts = [writer.int(self.0.into()), writer.int(self.1.into())];
///         let (key, numbers) = (writer.text("numbers")?, writer.tuple(&parts)?);
///         writer.dict(&[(key, numbers)])
///     }
/// }
///
/// let version = Frozen::<Value>::freeze_as("version", &AsValue(Version(1, 3)))?;
/// assert_eq!(version["numbers"][1].as_i64(), Some(3));
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Writer<'a> {
    out: &'a mut dyn Output,
    scratch: Scratch,
}

/// A form of values of its own that can be written as a [`Value`](super::Value).
///
/// [`AsValue`](super::AsValue) makes of it what can be frozen.
pub trait ToValue {
    /// Writes all of the value.
    ///
    /// # Errors
    /// Those of the writer, and [`WriteError::new`].
    fn write(&self, writer: &mut Writer<'_>) -> Result<Written, WriteError>;
}

type Writes<T = Written> = Result<T, WriteError>;

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut dyn Output) -> Self {
        let scratch = Scratch::default();
        Self { out, scratch }
    }

    /// Nothing: Python's `None`, JSON's `null`.
    pub fn none(&mut self) -> Written {
        Written::new(What::Constant(NONE), Some(format::none_hash()))
    }

    /// True or false.
    pub fn bool(&mut self, flag: bool) -> Written {
        let word = if flag { TRUE } else { FALSE };
        Written::new(What::Constant(word), Some(format::int_hash(flag.into())))
    }

    /// An integer.
    pub fn int(&mut self, number: i64) -> Written {
        Written::new(What::Integer(number), Some(format::int_hash(number)))
    }

    /// An integer of any size, as two's complement bytes, the lowest first.
    ///
    /// # Errors
    /// Those of writing.
    pub fn int_from_bytes(&mut self, bytes: &[u8]) -> Writes {
        match BigInt::from_bytes(bytes) {
            Err(small) => Ok(self.int(small)),
            Ok(big) => {
                let hash = format::big_hash(big.as_bytes());
                self.run(BIG, big.as_bytes(), Some(hash))
            }
        }
    }

    /// A float.
    pub fn float(&mut self, number: f64) -> Written {
        Written::new(What::Float(number.to_bits()), format::float_hash(number))
    }

    /// A text.
    ///
    /// # Errors
    /// A text of 256 MiB or more, and those of writing.
    pub fn text(&mut self, text: &str) -> Writes {
        let bytes = text.as_bytes();
        let hash = Some(format::text_hash(bytes));
        let (identity, found) = self.find(TypeId::of::<Texts>(), bytes);
        if let Some(offset) = found {
            return Ok(Written::new(What::At(TEXT, offset), hash));
        }
        if bytes.len() >= TEXT_LIMIT {
            let length = bytes.len();
            return Err(Refused::TooLong { length }.into());
        }
        let number = bytes.len() << 1 | usize::from(text.is_ascii());
        let offset = self.align(WORD)?;
        self.append(&header(TEXT, number).to_le_bytes())?;
        self.append(bytes)?;
        self.align(WORD)?;
        self.out
            .remember_at(TypeId::of::<Texts>(), identity, offset);
        Ok(Written::new(What::At(TEXT, offset), hash))
    }

    /// A text with lone surrogates, encoded as UTF-8 in which each of them is three bytes: what
    /// Python's error handler `surrogatepass` gives. Without one it is a text like others.
    ///
    /// # Errors
    /// Bytes that are no such text, and those of writing.
    pub fn text_with_surrogates(&mut self, bytes: &[u8]) -> Writes {
        if let Ok(text) = str::from_utf8(bytes) {
            return self.text(text);
        }
        if !surrogates::is_valid(bytes) {
            return Err(Refused::Surrogates.into());
        }
        self.run(SURROGATES, bytes, Some(format::text_hash(bytes)))
    }

    /// A byte string.
    ///
    /// # Errors
    /// Those of writing.
    pub fn bytes(&mut self, bytes: &[u8]) -> Writes {
        self.run(BYTES, bytes, Some(format::bytes_hash(bytes)))
    }

    /// A list. One of floats alone is packed, and one of integers that are too large for words.
    ///
    /// # Errors
    /// A list of 2^28 items or more, one that takes more than 1 GiB, and those of writing.
    pub fn list(&mut self, items: &[Written]) -> Writes {
        let is_float = |item: &Written| matches!(item.what, What::Float(_));
        let is_integer = |item: &Written| matches!(item.what, What::Integer(_));
        match items
            .first()
            .map(|first| (is_float(first), is_integer(first)))
        {
            Some((true, _)) if items.iter().all(is_float) => {
                let float = |item: &Written| match item.what {
                    What::Float(bits) => f64::from_bits(bits),
                    _ => 0.0,
                };
                self.packed_floats(items.iter().map(float))
            }
            Some((_, true)) if items.iter().all(is_integer) => {
                let integer = |item: &Written| match item.what {
                    What::Integer(number) => number,
                    _ => 0,
                };
                let is_long = |item: &Written| integer_word(integer(item)).is_none();
                match items.iter().any(is_long) {
                    true => self.packed_integers(items.iter().map(integer)),
                    false => self.node(LIST, items, None),
                }
            }
            _ => self.node(LIST, items, None),
        }
    }

    /// A list of floats.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn floats(&mut self, floats: &[f64]) -> Writes {
        match floats {
            [] => self.list(&[]),
            _ => self.packed_floats(floats.iter().copied()),
        }
    }

    /// A list of integers.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn ints(&mut self, integers: &[i64]) -> Writes {
        if integers.iter().any(|it| integer_word(*it).is_none()) {
            return self.packed_integers(integers.iter().copied());
        }
        let items: Vec<Written> = integers.iter().map(|it| self.int(*it)).collect();
        self.list(&items)
    }

    /// A tuple.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn tuple(&mut self, items: &[Written]) -> Writes {
        let hashes: Option<Vec<u64>> = items.iter().map(|item| item.hash).collect();
        let hash = hashes.map(|hashes| format::tuple_hash(hashes.into_iter()));
        self.node(TUPLE, items, hash)
    }

    /// A dict: keys and values, in their order.
    ///
    /// # Errors
    /// A key that cannot be one, two equal keys; as [`list`](Self::list).
    pub fn dict(&mut self, entries: &[(Written, Written)]) -> Writes {
        let shape = self.shape(entries.iter().map(|(key, _)| *key))?;
        self.words(
            DICT,
            Some(shape),
            entries.iter().map(|(_, value)| *value),
            None,
        )
    }

    /// A set, or a frozen one. Its items keep their order: sort them before they are written, so that
    /// equal sets give equal bytes, as [`set_of_texts`](Self::set_of_texts) does.
    ///
    /// # Errors
    /// An item that cannot be a key, two equal ones; as [`list`](Self::list).
    pub fn set(&mut self, items: &[Written], is_frozen: bool) -> Writes {
        let shape = self.shape(items.iter().copied())?;
        let hash = is_frozen.then(|| {
            let hash = |item: &Written| item.hash.unwrap_or_default();
            format::set_hash(items.iter().map(hash))
        });
        let frozen = Written::new(What::Constant(u32::from(is_frozen)), None);
        self.words(SET, Some(shape), std::iter::once(frozen), hash)
    }

    /// A set of texts, or a frozen one, in the order of the texts, which are sorted for it.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_of_texts(&mut self, texts: &mut [&str], is_frozen: bool) -> Writes {
        texts.sort_unstable();
        let items: Writes<Vec<Written>> = texts.iter().map(|text| self.text(text)).collect();
        self.set(&items?, is_frozen)
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
