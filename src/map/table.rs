//! Placing entries into the slots of an index.

use super::index::{Line, home, next, tag};
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

/// The lines of an index, and the entries that are not in it.
pub(super) struct Table {
    pub(super) lines: Vec<Line>,
    pub(super) garbage: Vec<Garbage>,
}

impl Table {
    /// Places all records in their order.
    ///
    /// `replaces(earlier, later)` compares the keys of two entries with equal tags: `None` if
    /// they differ, the length of the earlier entry if the later one replaces it, or an error.
    pub(super) fn build(
        lines: u64,
        records: &[Record],
        mut replaces: impl FnMut(u64, u64) -> Result<Option<u64>>,
    ) -> Result<Self> {
        let mut table = Self {
            lines: vec![Line::default(); lines as usize],
            garbage: Vec::new(),
        };
        for record in records {
            table.place(*record, &mut replaces)?;
        }
        Ok(table)
    }

    fn place(
        &mut self,
        record: Record,
        replaces: &mut impl FnMut(u64, u64) -> Result<Option<u64>>,
    ) -> Result<()> {
        let (tag, lines) = (tag(record.hash), self.lines.len() as u64);
        let mut number = home(record.hash, lines);
        loop {
            let line = &mut self.lines[number as usize];
            for slot in line.candidates(tag) {
                let offset = line.offset(slot);
                if let Some(length) = replaces(offset, record.offset)? {
                    self.garbage.push(Garbage { offset, length });
                    line.put(slot, tag, record.offset);
                    return Ok(());
                }
            }
            // There are more slots than records, so a line with room comes.
            if line.put_in_empty(tag, record.offset) {
                return Ok(());
            }
            number = next(number, lines);
        }
    }
}
