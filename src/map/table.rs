//! Placing entries into the slots of an index.

use super::index::{Line, home, most_steps, next, tag};
use crate::error::{Error, Result};

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
    steps_left: u64,
}

impl Table {
    /// Places all records in their order.
    ///
    /// `replaces(earlier, later)` compares the keys of two entries with equal tags: `None` if
    /// they differ, the length of the earlier entry if the later one replaces it, or an error.
    ///
    /// # Errors
    /// `crowded` if too many keys have equal hashes, and what `replaces` returns.
    pub(super) fn build(
        lines: u64,
        records: &[Record],
        mut replaces: impl FnMut(u64, u64) -> Result<Option<u64>>,
        crowded: impl Fn() -> Error,
    ) -> Result<Self> {
        let mut table = Self {
            lines: vec![Line::EMPTY; lines as usize],
            garbage: Vec::new(),
            steps_left: most_steps(lines),
        };
        for record in records {
            if !table.place(*record, &mut replaces)? {
                return Err(crowded());
            }
        }
        Ok(table)
    }

    /// Places one record; false if no steps are left.
    fn place(
        &mut self,
        record: Record,
        replaces: &mut impl FnMut(u64, u64) -> Result<Option<u64>>,
    ) -> Result<bool> {
        let (tag, lines) = (tag(record.hash), self.lines.len() as u64);
        let mut number = home(record.hash, lines);
        loop {
            let line = &mut self.lines[number as usize];
            for slot in line.candidates(tag) {
                let offset = line.offset(slot);
                if let Some(length) = replaces(offset, record.offset)? {
                    self.garbage.push(Garbage { offset, length });
                    line.put(slot, tag, record.offset);
                    return Ok(true);
                }
            }
            // There are more slots than records, so a line with room comes.
            if line.put_in_empty(tag, record.offset) {
                return Ok(true);
            }
            let Some(left) = self.steps_left.checked_sub(1) else {
                return Ok(false);
            };
            self.steps_left = left;
            number = next(number, lines);
        }
    }
}
