//! The walk over a hash table.

use std::borrow::Cow;

use super::Pair;
use crate::archive::{GROUP, WORD};
use crate::inspect::dynamic::archive::{Archive, Run};
use crate::inspect::dynamic::fault::{Fault, FaultKind, Read};
use crate::schema::{Shape, Type, TypeIndex};

const WORD_LENGTH: u64 = WORD as u64;

/// The entries of a hash table in the order of its slots, or of an index map in their own order.
#[derive(Debug, Clone)]
pub(crate) struct Table<'a> {
    controls: Cow<'a, [u8]>,
    /// Where the slots end and the control bytes start.
    middle: u64,
    slot_size: u64,
    key_offset: u64,
    value_offset: u64,
    at: u64,
    length: u64,
    yielded: u64,
    next: usize,
    /// The slots ascend from the middle, and all of them are in use.
    in_order: bool,
    /// Bytes of what leads to the slots.
    beside: u64,
}

impl<'a> Table<'a> {
    /// The table at an offset.
    pub(crate) fn new(archive: Archive<'a>, at: u64, entry: TypeIndex) -> Read<Self> {
        let slot = archive.types.get(entry);
        let length = archive.length_at(at + WORD_LENGTH)?;
        let capacity = match length {
            0 => 0,
            _ => archive.length_at(at + 2 * WORD_LENGTH)?,
        };
        let (mut middle, mut controls) = (0, Cow::Borrowed(&[][..]));
        if capacity > 0 {
            middle = archive.follow(at, control_count(capacity), slot.align)?;
            let slots = capacity.checked_mul(slot.size as u64);
            if slots.is_none_or(|slots| slots > middle) {
                return Err(Fault::new(at, FaultKind::Items { length: capacity }));
            }
            let length = capacity;
            controls = archive.bytes(Run { at: middle, length })?;
        }
        let (key_offset, value_offset) = offsets(slot);
        Ok(Self {
            controls,
            middle,
            slot_size: slot.size as u64,
            key_offset,
            value_offset,
            at,
            length,
            yielded: 0,
            next: 0,
            in_order: false,
            beside: match capacity {
                0 => 0,
                _ => control_count(capacity),
            },
        })
    }

    /// The entries of the index map at an offset, in their own order.
    pub(crate) fn indexed(archive: Archive<'a>, at: u64, entry: TypeIndex) -> Read<Self> {
        let described = archive.types.get(entry);
        let length = archive.length_at(at + WORD_LENGTH)?;
        let (mut middle, mut beside) = (0, 0);
        if length > 0 {
            let size = length.checked_mul(described.size as u64);
            let size = size.ok_or_else(|| Fault::new(at, FaultKind::Items { length }))?;
            middle = archive.follow(at + 3 * WORD_LENGTH, size, described.align)?;
            let capacity = archive.length_at(at + 2 * WORD_LENGTH)?;
            let positions = capacity.checked_mul(WORD_LENGTH);
            let positions = positions.ok_or_else(|| Fault::new(at, FaultKind::Items { length }))?;
            beside = positions + control_count(capacity);
        }
        let (key_offset, value_offset) = offsets(described);
        Ok(Self {
            controls: Cow::Borrowed(&[]),
            middle,
            slot_size: described.size as u64,
            key_offset,
            value_offset,
            at,
            length,
            yielded: 0,
            next: 0,
            in_order: true,
            beside,
        })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of slots and of what leads to them.
    pub(crate) fn bytes(&self) -> u64 {
        let slots = if self.in_order {
            self.length
        } else {
            self.controls.len() as u64
        };
        slots * self.slot_size + self.beside
    }

    fn next_in_order(&mut self) -> Option<Read<Pair>> {
        if self.yielded == self.length {
            return None;
        }
        let entry = self.middle + self.yielded * self.slot_size;
        self.yielded += 1;
        Some(Ok(self.pair(entry)))
    }

    fn pair(&self, slot: u64) -> Pair {
        Pair {
            key: slot + self.key_offset,
            value: slot + self.value_offset,
        }
    }
}

/// Where key and value are in an entry.
fn offsets(entry: &Type) -> (u64, u64) {
    match &entry.shape {
        Shape::Struct { fields, .. } => (fields[0].offset as u64, fields[1].offset as u64),
        _ => (0, 0),
    }
}

/// Control bytes of a table: whole groups, and the first ones again, which lookups read past the
/// end.
fn control_count(capacity: u64) -> u64 {
    let group = GROUP as u64;
    capacity.next_multiple_of(group) + group - 1
}

impl Iterator for Table<'_> {
    type Item = Read<Pair>;

    fn next(&mut self) -> Option<Read<Pair>> {
        if self.in_order {
            return self.next_in_order();
        }
        let in_use = |control: &u8| control & 0x80 == 0;
        let rest = &self.controls[self.next..];
        let Some(position) = rest.iter().position(in_use) else {
            self.next = self.controls.len();
            let (expected, got) = (self.length, self.yielded);
            // The error is told once.
            self.yielded = self.length;
            return (expected != got)
                .then(|| Err(Fault::new(self.at, FaultKind::Entries { expected, got })));
        };
        self.next += position + 1;
        self.yielded += 1;
        let slot = self.middle - self.next as u64 * self.slot_size;
        Some(Ok(self.pair(slot)))
    }
}
