//! The walk over a hash table.

use std::borrow::Cow;

use super::Pair;
use crate::archive::{GROUP, WORD};
use crate::inspect::dynamic::archive::{Archive, Run};
use crate::inspect::dynamic::fault::{Fault, Problem, Read};
use crate::schema::{Shape, TypeIndex};

const WORD_LENGTH: u64 = WORD as u64;

/// The entries of a hash table, in the order of its slots.
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
                return Err(Fault::new(at, Problem::Items { length: capacity }));
            }
            let length = capacity;
            controls = archive.bytes(Run { at: middle, length })?;
        }
        let (key_offset, value_offset) = match &slot.shape {
            Shape::Struct { fields, .. } => (fields[0].offset, fields[1].offset),
            _ => (0, 0),
        };
        Ok(Self {
            controls,
            middle,
            slot_size: slot.size as u64,
            key_offset: key_offset as u64,
            value_offset: value_offset as u64,
            at,
            length,
            yielded: 0,
            next: 0,
        })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of slots and control bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match self.controls.len() {
            0 => 0,
            capacity => capacity as u64 * self.slot_size + control_count(capacity as u64),
        }
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
        let in_use = |control: &u8| control & 0x80 == 0;
        let rest = &self.controls[self.next..];
        let Some(position) = rest.iter().position(in_use) else {
            self.next = self.controls.len();
            let (expected, got) = (self.length, self.yielded);
            // The error is told once.
            self.yielded = self.length;
            return (expected != got)
                .then(|| Err(Fault::new(self.at, Problem::Entries { expected, got })));
        };
        self.next += position + 1;
        self.yielded += 1;
        let slot = self.middle - self.next as u64 * self.slot_size;
        Some(Ok(Pair {
            key: slot + self.key_offset,
            value: slot + self.value_offset,
        }))
    }
}
