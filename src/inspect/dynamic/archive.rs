//! Where the parts of values lie, according to what the archive says.
//!
//! Every pointer, length, tag and node is checked here. What follows from types alone was checked
//! with the schema: a part that does not lie behind a pointer needs no check of its bounds.

use std::borrow::Cow;

use super::checked::{Checked, is_unsized};
use super::collections::LiveSlots;
use super::fault::{Fault, FaultKind, Read};
use super::roots::NamedRoots;
use super::source::Bytes;
use crate::archive::{WORD, Word, is_nan};
use crate::error::Error;
use crate::map::GarbageList;
use crate::region::format::SectionKind;
use crate::schema::{NoneMark, Shape, Type, TypeIndex, Variant};

const WORD_LENGTH: u64 = WORD as u64;

/// An archive section and its schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Archive<'a> {
    pub(super) bytes: Bytes<'a>,
    pub(crate) types: &'a Checked,
    /// Behind a reference: an archive is part of each value that is being read.
    pub(super) beside: &'a Beside,
}

/// What is known of a value beside its archive and its types.
#[derive(Debug)]
pub(crate) struct Beside {
    /// The type of the value that ends the archive.
    pub(super) root_type: TypeIndex,
    /// The values that it names, if it does.
    pub(super) roots: NamedRoots,
    /// The list of garbage; empty where there is none.
    pub(super) garbage: Vec<u8>,
    /// Which slots have entries, and how many slots there are, where entries stand in slots.
    pub(super) live: Vec<u8>,
    pub(super) slots: u64,
}

impl Beside {
    /// Nothing but a value of a type.
    pub(super) fn of(root_type: TypeIndex) -> Self {
        Self {
            root_type,
            roots: NamedRoots::default(),
            garbage: Vec::new(),
            live: Vec::new(),
            slots: 0,
        }
    }
}

/// A run of bytes or of items.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) at: u64,
    /// Items, or bytes of text.
    pub(crate) length: u64,
}

impl<'a> Archive<'a> {
    /// A section that lies in memory.
    #[cfg(test)]
    pub(crate) fn in_memory(bytes: &'a [u8], types: &'a Checked) -> Self {
        let bytes = Bytes::Memory(bytes);
        Self {
            bytes,
            types,
            beside: Box::leak(Box::new(Beside::of(types.description().root))),
        }
    }

    pub(super) fn roots(self) -> &'a NamedRoots {
        &self.beside.roots
    }

    /// Where entries of a map start that are garbage.
    pub(crate) fn garbage(self) -> GarbageList<'a> {
        GarbageList::of(&self.beside.garbage)
    }

    /// Which slots of a map have entries.
    pub(crate) fn live(self) -> LiveSlots<'a> {
        LiveSlots::new(self.beside.slots, &self.beside.live)
    }

    #[inline]
    pub(crate) fn length(self) -> u64 {
        self.bytes.length()
    }

    /// A place that leaves the section.
    #[cold]
    pub(crate) fn outside(self, at: u64, length: u64) -> Box<Fault> {
        self.bytes.outside(at, length)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(self, at: u64) -> Read<[u8; N]> {
        self.bytes.array(at)
    }

    /// Refuses a range that leaves the section.
    pub(crate) fn check(self, at: u64, length: u64) -> Read<()> {
        self.bytes.check(at, length)
    }

    pub(crate) fn bytes(self, run: Run) -> Read<Cow<'a, [u8]>> {
        self.bytes.get(run.at, run.length)
    }

    /// The text of a run.
    pub(crate) fn str(self, run: Run) -> Read<Cow<'a, str>> {
        let refuse = |error: std::str::Utf8Error| {
            let valid = error.valid_up_to();
            Fault::new(run.at, FaultKind::Text { valid })
        };
        match self.bytes(run)? {
            Cow::Borrowed(bytes) => Ok(Cow::Borrowed(str::from_utf8(bytes).map_err(refuse)?)),
            Cow::Owned(bytes) => {
                let text = String::from_utf8(bytes);
                Ok(Cow::Owned(
                    text.map_err(|error| refuse(error.utf8_error()))?,
                ))
            }
        }
    }

    #[inline]
    pub(crate) fn word(self, at: u64) -> Read<Word> {
        self.array(at).map(Word::from_bytes)
    }

    #[inline]
    pub(crate) fn length_at(self, at: u64) -> Read<u64> {
        Ok(self.word(at)?.length() as u64)
    }

    #[inline]
    pub(crate) fn is_nowhere(self, at: u64) -> Read<bool> {
        Ok(self.word(at)?.is_nowhere())
    }

    /// Where the relative pointer at an offset leads to, if a value of a layout has room there.
    #[inline]
    pub(crate) fn follow(self, at: u64, size: u64, align: usize) -> Read<u64> {
        let target = self.reach(at, at)?;
        if !target.is_multiple_of(align as u64) {
            return Err(Fault::new(target, FaultKind::Unaligned { align }));
        }
        self.bytes.check(target, size)?;
        Ok(target)
    }

    /// Where a distance that is stored at one offset leads to from another.
    #[inline]
    fn reach(self, stored: u64, from: u64) -> Read<u64> {
        let distance = self.word(stored)?.distance() as i64;
        let target = from.checked_add_signed(distance);
        target.ok_or_else(|| Fault::new(stored, FaultKind::Pointer { distance }))
    }

    /// The text of a string, which its UTF-8 check has still to follow.
    #[inline]
    pub(crate) fn string(self, at: u64) -> Read<Run> {
        let bytes = self.array::<{ 2 * WORD }>(at)?;
        if bytes[0] >> 6 != 0b10 {
            let end = bytes.iter().position(|&byte| byte == 0xff);
            let length = end.unwrap_or(bytes.len()) as u64;
            return Ok(Run { at, length });
        }
        let length = self.word(at)?.text_length() as u64;
        let run = Run {
            at: self.reach(at + WORD_LENGTH, at)?,
            length,
        };
        self.bytes.check(run.at, run.length)?;
        Ok(run)
    }

    /// The items that a pointer with a length leads to.
    #[inline]
    pub(crate) fn items(self, at: u64, item: &Type) -> Read<Run> {
        let length = self.length_at(at + WORD_LENGTH)?;
        let size = length.checked_mul(item.size as u64);
        let size = size.ok_or_else(|| Fault::new(at, FaultKind::Items { length }))?;
        let at = self.follow(at, size, item.align)?;
        Ok(Run { at, length })
    }

    /// The bytes of a C string, without the final NUL.
    pub(crate) fn c_string(self, at: u64) -> Read<Run> {
        let length = self.length_at(at + WORD_LENGTH)?;
        let start = self.follow(at, length, 1)?;
        let unterminated = || Fault::new(at, FaultKind::Unterminated);
        let length = length.checked_sub(1).ok_or_else(unterminated)?;
        match self.array(start + length)? {
            [0] => Ok(Run { at: start, length }),
            _ => Err(unterminated()),
        }
    }

    /// The value that a pointer leads to; the length is that of unsized values.
    #[inline]
    pub(crate) fn pointee(self, at: u64, target: TypeIndex) -> Read<Run> {
        let described = self.types.get(target);
        match described.shape {
            Shape::Slice { item } => self.items(at, self.types.get(item)),
            Shape::Str => {
                let length = self.length_at(at + WORD_LENGTH)?;
                let at = self.follow(at, length, 1)?;
                Ok(Run { at, length })
            }
            _ => {
                debug_assert!(!is_unsized(described));
                let at = self.follow(at, described.size as u64, described.align)?;
                Ok(Run { at, length: 0 })
            }
        }
    }

    /// The position of the variant of the enum at an offset.
    #[inline]
    pub(crate) fn variant(self, at: u64, variants: &[Variant]) -> Read<usize> {
        let [got] = self.array(at)?;
        let found = variants.iter().position(|variant| variant.tag == got);
        found.ok_or_else(|| Fault::new(at, FaultKind::Variant { got }))
    }

    /// Whether the option at an offset holds a value.
    #[inline]
    pub(crate) fn is_some(self, at: u64, size: usize, none: NoneMark) -> Read<bool> {
        match none {
            NoneMark::Tag => self.flag(at),
            NoneMark::Nowhere => Ok(!self.is_nowhere(at)?),
            NoneMark::AboveOne => Ok(self.array(at)? <= [1]),
            NoneMark::Nan => {
                let length = size as u64;
                Ok(!is_nan(&self.bytes(Run { at, length })?))
            }
            NoneMark::Zero => {
                let length = size as u64;
                let bytes = self.bytes(Run { at, length })?;
                Ok(bytes.iter().any(|&byte| byte != 0))
            }
        }
    }

    /// The byte at an offset, which is 0 or 1.
    #[inline]
    pub(crate) fn flag(self, at: u64) -> Read<bool> {
        match self.array(at)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [got] => Err(Fault::new(at, FaultKind::Flag { got })),
        }
    }

    /// Where the value that ends the archive starts.
    pub(crate) fn root(self) -> Read<u64> {
        let type_index = self.beside.root_type;
        let &Type { size, align, .. } = self.types.get(type_index);
        let length = size as u64;
        let found = match self.length().checked_sub(length) {
            Some(at) if at.is_multiple_of(align as u64) => Ok(at),
            Some(at) => Err(Fault::new(at, FaultKind::Unaligned { align })),
            None => Err(self.bytes.outside(0, length)),
        };
        found.map_err(|fault| fault.within(type_index))
    }

    /// The error of the whole library that a fault becomes.
    #[cold]
    pub(crate) fn error(self, fault: Fault) -> Error {
        let Fault { at, problem, .. } = &fault;
        let what = fault.type_index.map(|index| self.types.type_name(index));
        let what = what.as_deref().unwrap_or("an entry");
        Error::Invalid {
            name: self.types.name().to_owned(),
            section: SectionKind::Archive,
            reason: format!("{what} at offset {at}: {problem}"),
        }
    }
}
