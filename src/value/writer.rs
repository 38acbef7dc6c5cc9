//! Values written bottom-up, by whoever has them in another form.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::fmt;

use rkyv::primitive::{ArchivedF64, ArchivedI64};
use rkyv::rancor::{BoxedError, Source};

use super::check::fill_table;
use super::format::{
    self, BIG, BYTES, DICT, FALSE, FLOAT, FLOATS, INTEGERS, ITEM_LIMIT, LIST, LONG, NONE, OTHER,
    SET, SHAPE, SURROGATES, TEXT, TEXT_LIMIT, TRUE, TUPLE, WORD, header, integer_word, padded,
    pointer_word,
};
use super::number::BigInt;
use super::surrogates;
use crate::archive::Output;

/// Farther back, values are written again, so that what is written next reaches them.
const LOOK_BACK: u64 = 1 << 29;

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

/// Buffers that are used again.
#[derive(Default)]
struct Scratch {
    /// What tells one value from others.
    identity: Vec<u8>,
    bytes: Vec<u8>,
    /// The parts of a value, each with a word of its own or something that words lead to.
    parts: Vec<Written>,
}

/// A value that a [`Writer`] has written, for the value that contains it.
///
/// It may be used as often as you like, with all writers of one builder: a cache of what was written
/// saves a second look at large values. It is of no use with other builders, nor after the entry in
/// which it was written was refused: what contains it then is refused when all is checked, or
/// contains something else that was written there.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    what: What,
    /// The hash, if the value can be a key.
    hash: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    /// A whole word.
    Constant(u32),
    Integer(i64),
    /// Its bits; floats are written where they are used.
    Float(u64),
    /// Archive offset, and tag of words that lead there.
    At(u32, u64),
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

/// Why a value was not written.
#[derive(Debug)]
pub struct WriteError(pub(super) BoxedError);

/// What the writer itself refuses.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("a text, byte string or list of {length} parts is too long")]
    TooLong { length: usize },
    #[error("a value of more than 1 GiB: one of its parts lies farther away than it reaches")]
    OutOfReach,
    #[error(
        "a value cannot be a key of a dict or an item of a set: only none, bools, numbers that are not NaN, texts, bytes, and tuples and frozen sets of these can"
    )]
    Unhashable,
    #[error("a dict has two equal keys, a set two equal items, or very many with one hash")]
    Duplicate,
    #[error("bytes are no text with surrogates: they are not encoded as UTF-8, or have none")]
    Surrogates,
    #[error("{0}")]
    Other(String),
}

impl WriteError {
    /// An error of a source of values.
    pub fn new(message: impl fmt::Display) -> Self {
        Refused::Other(message.to_string()).into()
    }
}

impl From<Refused> for WriteError {
    fn from(refused: Refused) -> Self {
        Self(BoxedError::new(refused))
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for WriteError {}

type Writes<T = Written> = Result<T, WriteError>;

/// Values that are told apart by their bytes, behind a header or with it.
struct Texts;
struct Others;
/// Values that are told apart by where their parts are.
struct Nodes;

impl Scratch {
    /// Begins the bytes of a value.
    fn begin(&mut self, words: &[u32]) {
        self.bytes.clear();
        for word in words {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Adds the words of all parts to the bytes of the value at an offset.
    fn push_words(&mut self, offset: u64) -> Writes<()> {
        for part in &self.parts {
            let at = offset + self.bytes.len() as u64;
            let word = part.what.word(at).ok_or(Refused::OutOfReach)?;
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }
}

impl What {
    /// The word at an offset.
    fn word(self, at: u64) -> Option<u32> {
        match self {
            Self::Constant(word) => Some(word),
            Self::Integer(number) => integer_word(number),
            Self::At(tag, target) => pointer_word(tag, at, target),
            Self::Float(_) => None,
        }
    }

    /// What tells a part with a word from others.
    fn identity(self) -> u64 {
        match self {
            Self::At(tag, offset) => u64::from(tag) << 56 | 1 << 48 | offset,
            other => u64::from(other.word(0).unwrap_or_default()),
        }
    }
}

impl Written {
    const fn new(what: What, hash: Option<u64>) -> Self {
        Self { what, hash }
    }

    /// Whether the value can be a key of a dict or an item of a set.
    #[must_use]
    pub fn is_hashable(&self) -> bool {
        self.hash.is_some()
    }

    /// Where the value lies by rkyv's positions, or its word.
    pub(super) fn place(self, out: &dyn Output) -> Place {
        match self.what {
            What::At(tag, offset) => Place::At(tag, out.position_of(offset) as u64),
            What::Constant(word) => Place::Word(word),
            What::Integer(number) => Place::Word(integer_word(number).unwrap_or_default()),
            What::Float(_) => Place::Word(NONE),
        }
    }
}

/// What a word is made of once it is known where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Word(u32),
    At(u32, u64),
}

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

    fn node(&mut self, tag: u32, items: &[Written], hash: Option<u64>) -> Writes {
        self.words(tag, None, items.iter().copied(), hash)
    }

    /// Takes over the parts of a value; those that no word has room for are written now.
    fn take_parts(&mut self, parts: impl ExactSizeIterator<Item = Written>) -> Writes<()> {
        let length = parts.len();
        if length >= ITEM_LIMIT {
            return Err(Refused::TooLong { length }.into());
        }
        self.scratch.parts.clear();
        for part in parts {
            let part = self.boxed(part)?;
            self.scratch.parts.push(part);
        }
        Ok(())
    }

    /// Words behind a header, or behind a word that leads to a shape.
    fn words(
        &mut self,
        tag: u32,
        shape: Option<u64>,
        parts: impl ExactSizeIterator<Item = Written>,
        hash: Option<u64>,
    ) -> Writes {
        self.take_parts(parts)?;
        let number = self.scratch.parts.len();
        let (identity, found) = self.find_parts(tag, shape.unwrap_or(number as u64));
        if let Some(offset) = found {
            return Ok(Written::new(What::At(tag, offset), hash));
        }
        let offset = self.align(WORD)?;
        let first = match shape {
            Some(shape) => pointer_word(tag, offset, shape).ok_or(Refused::OutOfReach)?,
            None => header(tag, number),
        };
        self.scratch.begin(&[first]);
        self.scratch.push_words(offset)?;
        self.append_scratch(identity, offset)?;
        Ok(Written::new(What::At(tag, offset), hash))
    }

    /// The offset of the shape of keys.
    fn shape(&mut self, keys: impl ExactSizeIterator<Item = Written>) -> Writes<u64> {
        self.take_parts(keys)?;
        let number = self.scratch.parts.len();
        let (identity, found) = self.find_parts(SHAPE, number as u64);
        if let Some(offset) = found {
            return Ok(offset);
        }
        let hashes = self.scratch.parts.iter().map(|key| key.hash);
        let hashes: Option<Vec<u64>> = hashes.collect();
        let hashes = hashes.ok_or(Refused::Unhashable)?;
        let (layout, table) = fill_table(&hashes).ok_or(Refused::Duplicate)?;
        let offset = self.align(WORD)?;
        self.scratch.begin(&[header(SHAPE, number), layout.log]);
        self.scratch.push_words(offset)?;
        self.scratch.bytes.extend_from_slice(&table);
        self.append_scratch(identity, offset)?;
        Ok(offset)
    }

    /// The identity of a value with parts, and where the same was written.
    fn find_parts(&mut self, tag: u32, first: u64) -> (u128, Option<u64>) {
        let Scratch {
            identity, parts, ..
        } = &mut self.scratch;
        identity.clear();
        identity.extend_from_slice(&(u64::from(tag) << 56 | first).to_le_bytes());
        for part in parts {
            identity.extend_from_slice(&part.what.identity().to_le_bytes());
        }
        let identity = std::mem::take(&mut self.scratch.identity);
        let found = self.find(TypeId::of::<Nodes>(), &identity);
        self.scratch.identity = identity;
        found
    }

    fn packed_floats(&mut self, floats: impl ExactSizeIterator<Item = f64>) -> Writes {
        self.packed(FLOATS, floats.len(), |bytes| {
            floats.for_each(|it| bytes.extend_from_slice(&float_bytes(it)));
        })
    }

    fn packed_integers(&mut self, integers: impl ExactSizeIterator<Item = i64>) -> Writes {
        self.packed(INTEGERS, integers.len(), |bytes| {
            integers.for_each(|it| bytes.extend_from_slice(&integer_bytes(it)));
        })
    }

    fn packed(&mut self, kind: u32, number: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Writes {
        if number >= ITEM_LIMIT / 2 {
            return Err(Refused::TooLong { length: number }.into());
        }
        let mut bytes = std::mem::take(&mut self.scratch.bytes);
        bytes.clear();
        bytes.extend_from_slice(&header(OTHER, kind as usize).to_le_bytes());
        bytes.extend_from_slice(&(number as u32).to_le_bytes());
        fill(&mut bytes);
        let written = self.leaf(&bytes, 8, None);
        self.scratch.bytes = bytes;
        written
    }

    /// A run of bytes of a kind.
    fn run(&mut self, kind: u32, run: &[u8], hash: Option<u64>) -> Writes {
        let length = run.len();
        let number = u32::try_from(length).map_err(|_| Refused::TooLong { length })?;
        let mut bytes = std::mem::take(&mut self.scratch.bytes);
        bytes.clear();
        bytes.extend_from_slice(&header(OTHER, kind as usize).to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(run);
        bytes.resize(padded(bytes.len()), 0);
        let written = self.leaf(&bytes, WORD, hash);
        self.scratch.bytes = bytes;
        written
    }

    /// A float or an integer that no word has room for, as something that words lead to.
    fn boxed(&mut self, part: Written) -> Writes {
        let (kind, number) = match part.what {
            What::Float(bits) => (FLOAT, bits),
            What::Integer(number) if integer_word(number).is_none() => {
                (LONG, number.cast_unsigned())
            }
            _ => return Ok(part),
        };
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&header(OTHER, kind as usize).to_le_bytes());
        bytes[4..].copy_from_slice(&number.to_le_bytes());
        self.leaf(&bytes, WORD, part.hash)
    }

    /// A value without parts, whose bytes are known.
    fn leaf(&mut self, bytes: &[u8], align: usize, hash: Option<u64>) -> Writes {
        let (identity, found) = self.find(TypeId::of::<Others>(), bytes);
        if let Some(offset) = found {
            return Ok(Written::new(What::At(OTHER, offset), hash));
        }
        let offset = self.align(align)?;
        self.append(bytes)?;
        self.out
            .remember_at(TypeId::of::<Others>(), identity, offset);
        Ok(Written::new(What::At(OTHER, offset), hash))
    }

    /// What a value that ends here is as a root: something that is written, or a word.
    pub(super) fn finish(&mut self, value: Written) -> Writes {
        self.boxed(value)
    }

    pub(super) fn out(&self) -> &dyn Output {
        self.out
    }

    fn find(&mut self, written_as: TypeId, bytes: &[u8]) -> (u128, Option<u64>) {
        let (identity, found) = self.out.find_same(written_as, bytes);
        let end = self.out.offset();
        let is_near = |offset: &u64| end.wrapping_sub(*offset) <= LOOK_BACK;
        (identity, found.filter(is_near))
    }

    fn append(&mut self, bytes: &[u8]) -> Writes<()> {
        self.out.append(bytes).map_err(WriteError)
    }

    fn append_scratch(&mut self, identity: u128, offset: u64) -> Writes<()> {
        self.out.append(&self.scratch.bytes).map_err(WriteError)?;
        let written_as = TypeId::of::<Nodes>();
        self.out.remember_at(written_as, identity, offset);
        Ok(())
    }

    /// Appends zeros up to a multiple of `alignment`; returns the offset behind them.
    fn align(&mut self, alignment: usize) -> Writes<u64> {
        let offset = self.out.offset();
        let aligned = offset.next_multiple_of(alignment as u64);
        if aligned > offset {
            self.append(&[0; 8][..(aligned - offset) as usize])?;
        }
        Ok(aligned)
    }
}

/// The bytes of a packed float.
fn float_bytes(float: f64) -> [u8; 8] {
    match crate::region::format::byte_order() {
        crate::region::format::BIG_ENDIAN => float.to_be_bytes(),
        _ => float.to_le_bytes(),
    }
}

/// The bytes of a packed integer.
fn integer_bytes(integer: i64) -> [u8; 8] {
    match crate::region::format::byte_order() {
        crate::region::format::BIG_ENDIAN => integer.to_be_bytes(),
        _ => integer.to_le_bytes(),
    }
}

const _: () = assert!(size_of::<ArchivedF64>() == 8 && size_of::<ArchivedI64>() == 8);

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
