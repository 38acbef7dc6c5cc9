//! Values that tell themselves what they are.

use std::borrow::Cow;

use super::archive::{Archive, Run};
use super::fault::{Fault, FaultKind, Read};
use super::sequences::{Entries, Items};
use super::value::{Dynamic, View};
use crate::schema::TypeIndex;
use crate::value::format::{
    BIG, BYTES, DICT, FALSE, FLOAT, FLOATS, INTEGER, INTEGERS, LIST, LONG, NONE, OTHER, SET, SHAPE,
    SURROGATES, TEXT, TRUE, TUPLE, TableLayout, WORD, payload, signed, tag,
};
use crate::value::number::{self, BigInt};
use crate::value::surrogates;

const WORD_LENGTH: u64 = WORD as u64;

/// What a word stands for, and where its parts are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Bytes.
    Big(Run),
    Text(Run),
    Surrogates(Run),
    Bytes(Run),
    /// Words, of a list or of a tuple.
    Items(Run),
    /// Numbers of eight bytes, and whether they are floats.
    Packed(Run, bool),
    /// Words.
    Dict {
        shape: Shape,
        values: u64,
    },
    Set {
        /// Where it starts.
        at: u64,
        shape: Shape,
    },
}

/// Keys of dicts or items of sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Where it starts, and all of its bytes.
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    /// Words.
    pub(crate) keys: Run,
}

/// Reads a word, and what it leads to.
pub(crate) fn find(archive: Archive<'_>, at: u64) -> Read<Found> {
    let word = read(archive, at)?;
    let unknown = || Fault::new(at, FaultKind::Word { got: word });
    Ok(match (word, tag(word)) {
        (NONE, _) => Found::None,
        (FALSE | TRUE, _) => Found::Bool(word == TRUE),
        (_, INTEGER) => Found::Int(signed(word).into()),
        (_, TEXT) => {
            let (place, head) = target(archive, at, word)?;
            Found::Text(run(archive, place + WORD_LENGTH, payload(head) >> 1, 1)?)
        }
        (_, LIST | TUPLE) => {
            let (place, head) = target(archive, at, word)?;
            Found::Items(run(
                archive,
                place + WORD_LENGTH,
                payload(head),
                WORD_LENGTH,
            )?)
        }
        (_, DICT) => {
            let (place, head) = target(archive, at, word)?;
            let shape = shape(archive, place, head)?;
            let number = shape.keys.length as u32;
            let values = run(archive, place + WORD_LENGTH, number, WORD_LENGTH)?.at;
            Found::Dict { shape, values }
        }
        (_, SET) => {
            let (place, head) = target(archive, at, word)?;
            run(archive, place, 2, WORD_LENGTH)?;
            let shape = shape(archive, place, head)?;
            Found::Set { at: place, shape }
        }
        (_, OTHER) => {
            let (place, head) = target(archive, at, word)?;
            let eight = || archive.array(place + WORD_LENGTH);
            let behind = |size| {
                let number = read(archive, place + WORD_LENGTH)?;
                run(archive, place + 2 * WORD_LENGTH, number, size)
            };
            match payload(head) {
                FLOAT => Found::Float(f64::from_le_bytes(eight()?)),
                LONG => Found::Int(i64::from_le_bytes(eight()?)),
                BIG => Found::Big(behind(1)?),
                BYTES => Found::Bytes(behind(1)?),
                SURROGATES => Found::Surrogates(behind(1)?),
                INTEGERS => Found::Packed(behind(8)?, false),
                FLOATS => Found::Packed(behind(8)?, true),
                _ => return Err(unknown()),
            }
        }
        _ => return Err(unknown()),
    })
}

/// Where the number starts that the word at an offset leads to, if it leads anywhere.
pub(crate) fn boxed_number(archive: Archive<'_>, at: u64) -> Read<Option<u64>> {
    let word = read(archive, at)?;
    match tag(word) {
        OTHER => Ok(Some(place(archive, at, word)?.0)),
        _ => Ok(None),
    }
}

fn read(archive: Archive<'_>, at: u64) -> Read<u32> {
    archive.array(at).map(u32::from_le_bytes)
}

/// Where a word leads to, and the first word there, which says the same of itself.
fn target(archive: Archive<'_>, at: u64, word: u32) -> Read<(u64, u32)> {
    let (place, head) = place(archive, at, word)?;
    match tag(head) == tag(word) {
        true => Ok((place, head)),
        false => Err(Fault::new(at, FaultKind::Word { got: word })),
    }
}

fn place(archive: Archive<'_>, at: u64, word: u32) -> Read<(u64, u32)> {
    let distance = i64::from(signed(word)) * WORD as i64;
    let place = at.checked_add_signed(distance);
    let place = place.ok_or_else(|| Fault::new(at, FaultKind::Pointer { distance }))?;
    Ok((place, read(archive, place)?))
}

/// The shape that the first word of a dict or set leads to.
fn shape(archive: Archive<'_>, at: u64, word: u32) -> Read<Shape> {
    let (place, head) = place(archive, at, word)?;
    if tag(head) != SHAPE {
        return Err(Fault::new(at, FaultKind::Word { got: word }));
    }
    let keys = run(archive, place + 2 * WORD_LENGTH, payload(head), WORD_LENGTH)?;
    let table = TableLayout::new(keys.length as usize).length() as u64;
    let bytes = (2 + keys.length) * WORD_LENGTH + table;
    Ok(Shape {
        at: place,
        bytes,
        keys,
    })
}

/// Items of a size that lie in the archive.
fn run(archive: Archive<'_>, at: u64, number: u32, size: u64) -> Read<Run> {
    let length = u64::from(number);
    archive.check(at, length * size)?;
    Ok(Run { at, length })
}

/// What a value is, given the types of the items of packed lists.
pub(super) fn view<'a>(
    value: &Dynamic<'a>,
    (integer, float): (TypeIndex, TypeIndex),
) -> Read<View<'a>> {
    let archive = value.archive;
    Ok(match find(archive, value.at)? {
        Found::None => View::None,
        Found::Bool(flag) => View::Bool(flag),
        Found::Int(number) => View::Signed(number.into()),
        Found::Float(number) => View::F64(number),
        Found::Big(run) => {
            let bytes = archive.bytes(run)?;
            if !number::is_big(&bytes) {
                let number = bytes.len() as u32;
                return Err(Fault::new(value.at, FaultKind::Word { got: number }));
            }
            big(&bytes)
        }
        Found::Text(run) => View::Text(archive.str(run)?),
        Found::Surrogates(run) => {
            let bytes = archive.bytes(run)?;
            if !surrogates::is_valid(&bytes) {
                return Err(Fault::new(run.at, FaultKind::Text { valid: 0 }));
            }
            View::Text(Cow::Owned(surrogates::lossy(&bytes)))
        }
        Found::Bytes(run) => View::Bytes(archive.bytes(run)?),
        Found::Items(run) => View::Sequence(Items::behind_pointer(*value, value.type_index, run)?),
        Found::Packed(run, is_float) => {
            let item = if is_float { float } else { integer };
            View::Sequence(Items::behind_pointer(*value, item, run)?)
        }
        Found::Dict { shape, values } => View::Map(Entries::words(*value, shape.keys, values)?),
        Found::Set { shape, .. } => {
            View::Set(Items::behind_pointer(*value, value.type_index, shape.keys)?)
        }
    })
}

/// An integer of more than 64 bits.
fn big<'a>(bytes: &[u8]) -> View<'a> {
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) => View::Signed(i128::from_le_bytes(bytes)),
        Err(_) if bytes.len() < 16 => {
            let fill = if bytes.last() >= Some(&0x80) { 0xff } else { 0 };
            let byte = |at: usize| *bytes.get(at).unwrap_or(&fill);
            View::Signed(i128::from_le_bytes(std::array::from_fn(byte)))
        }
        Err(_) => View::BigInt(BigInt::from_checked(bytes)),
    }
}
