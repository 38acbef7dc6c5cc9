//! Placing entries into the slots of an index.

use super::index::{EMPTY, Slot, probe, slot, slot_offset, slot_tag, tag};
use crate::error::Result;

/// An entry that a builder has written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) hash: u64,
    pub(super) offset: u64,
}

/// An entry whose key a later one took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Garbage {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The slots of an index, and the entries that are not in it.
pub(super) struct Table {
    pub(super) slots: Vec<Slot>,
    pub(super) garbage: Vec<Garbage>,
}

impl Table {
    /// Places all records in their order.
    ///
    /// `replaces(earlier, later)` compares the keys of two entries with equal tags: `None` if
    /// they differ, the length of the earlier entry if the later one replaces it, or an error.
    pub(super) fn build(
        slots: u64,
        records: &[Record],
        mut replaces: impl FnMut(u64, u64) -> Result<Option<u64>>,
    ) -> Result<Self> {
        let mut table = Self {
            slots: vec![EMPTY; slots as usize],
            garbage: Vec::new(),
        };
        for record in records {
            for number in probe(record.hash, slots) {
                let taken = u64::from_le_bytes(table.slots[number]);
                if taken != 0 {
                    if slot_tag(taken) != tag(record.hash) {
                        continue;
                    }
                    let offset = slot_offset(taken);
                    let Some(length) = replaces(offset, record.offset)? else {
                        continue;
                    };
                    table.garbage.push(Garbage { offset, length });
                }
                table.slots[number] = slot(record.hash, record.offset);
                break;
            }
        }
        Ok(table)
    }
}
