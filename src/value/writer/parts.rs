//! What is written of values, and how it is found again.
#![forbid(unsafe_code)]

use std::any::TypeId;

use rkyv::primitive::{ArchivedF64, ArchivedI64};

use super::error::{Refused, WriteError};
use super::written::{What, Written};
use super::{Writer, Writes};
use crate::archive::Output;
use crate::region::format::{BIG_ENDIAN, byte_order};
use crate::value::check::fill_table;
use crate::value::format::{
    FLOAT, FLOATS, INTEGERS, ITEM_LIMIT, LONG, OTHER, SHAPE, WORD, header, integer_word, padded,
    pointer_word,
};

/// Farther back, values are written again, so that what is written next reaches them.
const LOOK_BACK: u64 = 1 << 29;

/// Buffers that are used again.
#[derive(Default)]
pub(super) struct Scratch {
    /// What tells one value from others.
    identity: Vec<u8>,
    bytes: Vec<u8>,
    /// The parts of a value, each with a word of its own or something that words lead to.
    parts: Vec<Written>,
}

/// Values that are told apart by their bytes, behind a header or with it.
pub(super) struct Texts;
pub(super) struct Others;
/// Values that are told apart by where their parts are.
pub(super) struct Nodes;

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

impl Writer<'_> {
    pub(super) fn node(&mut self, tag: u32, items: &[Written], hash: Option<u64>) -> Writes {
        self.words(tag, None, items.iter().copied(), hash)
    }

    /// Takes over the parts of a value; those that no word has room for are written now.
    pub(super) fn take_parts(
        &mut self,
        parts: impl ExactSizeIterator<Item = Written>,
    ) -> Writes<()> {
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
    pub(super) fn words(
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
    pub(super) fn shape(&mut self, keys: impl ExactSizeIterator<Item = Written>) -> Writes<u64> {
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
    pub(super) fn find_parts(&mut self, tag: u32, first: u64) -> (u128, Option<u64>) {
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

    pub(super) fn packed_floats(&mut self, floats: impl ExactSizeIterator<Item = f64>) -> Writes {
        self.packed(FLOATS, floats.len(), |bytes| {
            floats.for_each(|it| bytes.extend_from_slice(&float_bytes(it)));
        })
    }

    pub(super) fn packed_integers(
        &mut self,
        integers: impl ExactSizeIterator<Item = i64>,
    ) -> Writes {
        self.packed(INTEGERS, integers.len(), |bytes| {
            integers.for_each(|it| bytes.extend_from_slice(&integer_bytes(it)));
        })
    }

    pub(super) fn packed(
        &mut self,
        kind: u32,
        number: usize,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Writes {
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
    pub(super) fn run(&mut self, kind: u32, run: &[u8], hash: Option<u64>) -> Writes {
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
    pub(super) fn boxed(&mut self, part: Written) -> Writes {
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
    pub(super) fn leaf(&mut self, bytes: &[u8], align: usize, hash: Option<u64>) -> Writes {
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
    pub(in crate::value) fn finish(&mut self, value: Written) -> Writes {
        self.boxed(value)
    }

    pub(in crate::value) fn out(&self) -> &dyn Output {
        self.out
    }

    pub(super) fn find(&mut self, written_as: TypeId, bytes: &[u8]) -> (u128, Option<u64>) {
        let (identity, found) = self.out.find_same(written_as, bytes);
        let end = self.out.offset();
        let is_near = |offset: &u64| end.wrapping_sub(*offset) <= LOOK_BACK;
        (identity, found.filter(is_near))
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Writes<()> {
        self.out.append(bytes).map_err(WriteError)
    }

    pub(super) fn append_scratch(&mut self, identity: u128, offset: u64) -> Writes<()> {
        self.out.append(&self.scratch.bytes).map_err(WriteError)?;
        let written_as = TypeId::of::<Nodes>();
        self.out.remember_at(written_as, identity, offset);
        Ok(())
    }

    /// Appends zeros up to a multiple of `alignment`; returns the offset behind them.
    pub(super) fn align(&mut self, alignment: usize) -> Writes<u64> {
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
    match byte_order() {
        BIG_ENDIAN => float.to_be_bytes(),
        _ => float.to_le_bytes(),
    }
}

/// The bytes of a packed integer.
fn integer_bytes(integer: i64) -> [u8; 8] {
    match byte_order() {
        BIG_ENDIAN => integer.to_be_bytes(),
        _ => integer.to_le_bytes(),
    }
}

const _: () = assert!(size_of::<ArchivedF64>() == 8 && size_of::<ArchivedI64>() == 8);
