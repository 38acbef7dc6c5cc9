//! Placing entries into the slots of an index.
#![forbid(unsafe_code)]

use super::MapKey;
use super::index::{Line, home, most_steps, next, tag};
use super::key::Key;
use super::lines::Lines;
use super::raw::EntryRef;
use crate::archive::Value;
use crate::error::{Error, Result};

/// An entry that a builder has written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) hash: u64,
    pub(super) offset: u64,
}

impl Record {
    /// The same entry with an archive before its own.
    pub(super) fn behind(self, shift: u64) -> Self {
        let offset = self.offset + shift;
        Self { offset, ..self }
    }
}

impl<K: MapKey, V: Value> From<EntryRef<'_, K, V>> for Record {
    fn from(entry: EntryRef<'_, K, V>) -> Self {
        Self {
            hash: entry.key().key_hash(),
            offset: entry.offset(),
        }
    }
}

/// An entry whose key a later one took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Garbage {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The lines of an index, and the entries that are not in it.
///
/// A taken slot leads where one of the lines led that the table began with, or to a record that was
/// placed; to nothing that was exchanged, cleared or is garbage.
pub(super) struct Table<L> {
    lines: L,
    garbage: Vec<Garbage>,
    steps_left: u64,
}

impl Table<Vec<Line>> {
    /// A table with all records, placed in their order.
    ///
    /// `replaces(earlier, later)` compares the keys of two records with equal tags, by their
    /// offsets: `None` if they differ, the length of the earlier entry if the later one replaces
    /// it, or an error.
    ///
    /// # Errors
    /// `crowded` if too many keys have equal hashes, and what `replaces` returns.
    pub(super) fn build(
        lines: u64,
        records: &[Record],
        mut replaces: impl FnMut(u64, u64) -> Result<Option<u64>>,
        crowded: impl Fn() -> Error,
    ) -> Result<Self> {
        let mut table = Self::from_lines(vec![Line::EMPTY; lines as usize]);
        for record in records {
            if !table.place(*record, &mut replaces)? {
                return Err(crowded());
            }
        }
        Ok(table)
    }
}

impl<L: Lines> Table<L> {
    /// A table that begins with lines of an earlier index, for changes.
    pub(super) fn from_lines(lines: L) -> Self {
        Self {
            garbage: Vec::new(),
            steps_left: most_steps(lines.count()),
            lines,
        }
    }

    pub(super) fn lines(&self) -> &L {
        &self.lines
    }

    pub(super) fn into_lines(self) -> L {
        self.lines
    }

    /// The entries that later ones have replaced.
    pub(super) fn garbage(&self) -> &[Garbage] {
        &self.garbage
    }

    /// Places a record whose key is not there; false if no steps are left.
    pub(super) fn add(&mut self, record: Record) -> bool {
        self.place(record, &mut |_, _| Ok(None)).unwrap_or(false)
    }

    /// Gives the slot of the entry at an archive offset to a record with the same hash; false if it
    /// has none.
    pub(super) fn exchange(&mut self, offset: u64, record: Record) -> bool {
        let Some((line, slot)) = self.slot_of(record.hash, offset) else {
            return false;
        };
        self.lines
            .line_mut(line)
            .put(slot, tag(record.hash), record.offset);
        true
    }

    /// Empties the slot of the entry at an archive offset; false if that is not possible.
    pub(super) fn clear(&mut self, hash: u64, offset: u64) -> bool {
        match self.slot_of(hash, offset) {
            // A line that overflows must stay full: searches rely on it.
            Some((line, slot)) if !self.lines.line(line).overflows() => {
                self.lines.line_mut(line).clear(slot);
                true
            }
            _ => false,
        }
    }

    /// The line and the slot in which the entry at an archive offset stands.
    fn slot_of(&self, hash: u64, offset: u64) -> Option<(u64, usize)> {
        let lines = self.lines.count();
        let mut number = home(hash, lines);
        loop {
            let line = self.lines.line(number);
            let mut slots = line.candidates(tag(hash));
            if let Some(slot) = slots.find(|slot| line.offset(*slot) == offset) {
                return Some((number, slot));
            }
            if !line.overflows() {
                return None;
            }
            number = next(number, lines);
        }
    }

    /// Places one record; false if no steps are left.
    fn place(
        &mut self,
        record: Record,
        replaces: &mut impl FnMut(u64, u64) -> Result<Option<u64>>,
    ) -> Result<bool> {
        let (tag, lines) = (tag(record.hash), self.lines.count());
        let mut number = home(record.hash, lines);
        loop {
            let line = self.lines.line_mut(number);
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
